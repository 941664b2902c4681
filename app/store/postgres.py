"""PostgresStore: contacts in a PostgreSQL database, which processes on several machines may share.

Each thread has a connection of its own. Writers, wherever they are, take turns at one advisory
lock: so the log has no gaps, its order is that in which writes became visible, and what a write
decides on does not change under it. All SQL is in this module, in `app/store/postgres_migrations.py`
and in `migrations/postgres/`.
"""

import asyncio
import json
import select
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.contacts.changes import Batch, Change, Kind
from app.contacts.contact import Contact, now
from app.contacts.listing import (
    COUNT_LIMIT,
    STALE,
    ContactPage,
    ListQuery,
    Only,
    Place,
    Ranked,
    Sort,
    Statistics,
    is_id,
    milliseconds,
    sort_keys,
    terms,
    weeks_until,
)
from app.store import CannotOpen, StoreUnavailable
from app.store.connections import Connections
from app.store.edits import Edit, ImportRow
from app.store.entry import KEYS, Entry, Identity, identity, tag_key
from app.store.news import News
from app.store.postgres_migrations import migrate
from app.store.sql import (
    GROUP,
    BatchRow,
    SQLStore,
    Totals,
    from_contact,
    from_entry,
    get,
    retagging,
    to_batch,
    to_datetime,
    to_logged,
)
from app.store.sql_accounts import SQLAccounts

type Conn = psycopg.Connection[tuple[Any, ...]]

_CHANNEL = "contacts"
# Advisory locks, by two numbers: one for this app ("chir"), and what the lock is for.
_APP = 0x63686972
_MIGRATING, _WRITING, _IMPORTING = (_APP, 1), (_APP, 2), (_APP, 3)

_CONNECT_TIMEOUT = 3  # seconds
# Seconds that an answer may take: on an event loop, which all its other requests wait for, and elsewhere.
# The server itself breaks off earlier, see _OPTIONS and _HURRIED; these are for one that hangs.
_ANSWER_ON_LOOP, _ANSWER = 3.0, 20.0
_SILENCE = 5.0  # seconds for which no event loop asks a server again that did not answer
_IMPORT_POLL = 0.1  # seconds between two looks at whether another import has ended
_MANY = 1_000  # contacts after whose import searches are planned anew; PostgreSQL would take a minute
_COMMIT_POLL = 0.1  # seconds between two looks at what became of a commit
# For every session; a URL may say otherwise in its `options`. Moments in milliseconds or seconds.
_OPTIONS = (
    "-c statement_timeout=15000",
    # A client that died in the middle of a write must not keep all others from writing.
    "-c idle_in_transaction_session_timeout=15000",
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
    # A plan for whatever might be searched for is no good plan for what is.
    "-c plan_cache_mode=force_custom_plan",
    "-c jit=off",  # compiling takes longer than any query here
    "-c random_page_cost=1.1",  # no disk turns any more; else searches would rather read the whole table
)
# For the session of an event loop, whatever the URL says: below _ANSWER_ON_LOOP, so that a server which is
# only busy says so itself, and keeps the session.
_HURRIED = "-c statement_timeout=2500 -c lock_timeout=2000"

# Fetched as JSON, whole lists in one cell: the driver takes long for each cell.
_CONTACT = "c.id, c.name, c.email, c.phone, c.company, c.notes, c.tags, c.created_at, c.updated_at, c.version"
_ORDER: Mapping[Sort, str] = {
    "name": "c.by_name",
    "email": "c.by_email",
    "company": "c.by_company",
    "updated": "c.updated_at",
}
# The order by email has those without one at its end: said once more, to begin there.
_ONLY: Mapping[Only, str] = {
    "no-phone": "c.phone = ''",
    "no-email": "c.email_key IS NULL AND c.by_email >= chr(1114111)",
    "stale": "c.updated_at < %s",
}
_HAS_WORD = "c.haystack LIKE %s"
_HAS_TAG = "EXISTS (SELECT FROM contact_tag t WHERE t.tag = %s AND t.contact_id = c.id)"
_FIND = f"SELECT json_build_array({_CONTACT}) FROM contact c WHERE c.id = %s"
_FIND_MANY = f"SELECT json_build_array({_CONTACT}) AS row FROM contact c WHERE c.id = ANY(%s)"
_ALL = f"SELECT json_build_array({_CONTACT}) AS row FROM contact c WHERE c.id > %s ORDER BY c.id LIMIT %s"
_BY_EMAIL = f"SELECT json_build_array({_CONTACT}) FROM contact c WHERE c.email_key = %s"
_TOTAL = "SELECT total FROM book"

# Of a search that leaves few, these are looked up and sorted; of one that leaves many, the first
# are found sooner along the index of the order. OFFSET 0: or the planner may walk for the few, too.
_SEARCH = """
WITH found AS MATERIALIZED (SELECT c.id FROM contact c WHERE {tests} LIMIT %s)
SELECT json_build_array((SELECT count(*) FROM found), CASE WHEN (SELECT count(*) FROM found) <= %s
    THEN (SELECT json_agg(r.row) FROM (
        SELECT json_build_array({contact}, {key}) AS row
        FROM (SELECT x.* FROM found JOIN contact x USING (id) OFFSET 0) c WHERE {place} {order}
    ) r)
    ELSE (SELECT json_agg(r.row) FROM (
        SELECT json_build_array({contact}, {key}) AS row FROM contact c WHERE {tests} AND {place} {order}
    ) r)
END)
"""
_WALK = "SELECT json_build_array({contact}, {key}) AS row FROM contact c WHERE {tests} AND {place} {order}"

# Of contacts that an import cannot tell apart, the oldest comes last and so wins.
_KNOWN = f"""
SELECT json_build_array(c.email_key, c.by_name, {_CONTACT}) AS row FROM contact c
WHERE c.email_key = ANY(%s) OR (c.by_name = ANY(%s) AND c.email_key IS NULL) ORDER BY c.id DESC
"""

_KEPT = """
    id bigint, name text, email text, phone text, company text, notes text, tags text[],
    created_at bigint, updated_at bigint, version bigint, email_key text, company_key text,
    by_name text, by_email text, by_company text, haystack text
"""
_KEEP = f"""
INSERT INTO contact SELECT * FROM json_to_recordset(%s) AS r({_KEPT})
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, email = excluded.email, phone = excluded.phone, company = excluded.company,
    notes = excluded.notes, tags = excluded.tags, created_at = excluded.created_at,
    updated_at = excluded.updated_at, version = excluded.version, email_key = excluded.email_key,
    company_key = excluded.company_key, by_name = excluded.by_name, by_email = excluded.by_email,
    by_company = excluded.by_company, haystack = excluded.haystack
"""
_DELETE = "DELETE FROM contact WHERE id = ANY(%s)"
_UNTAG = "DELETE FROM contact_tag WHERE contact_id = ANY(%s)"
_TAG = "INSERT INTO contact_tag (tag, contact_id) SELECT * FROM unnest(%s::text[], %s::bigint[])"
# The log holds every id ever given, so none comes back.
_LAST_ID = "SELECT coalesce(max(contact_id), 0) FROM change"
_LOG = """
INSERT INTO change (seq, batch, contact_id, before, after)
SELECT (SELECT coalesce(max(seq), 0) FROM change) + n, %s, contact_id, before, after
FROM ROWS FROM (json_to_recordset(%s) AS (contact_id bigint, before json, after json))
    WITH ORDINALITY AS e(contact_id, before, after, n)
"""
_OPEN_BATCH = """
INSERT INTO batch (id, at, kind, size, undoes, open)
SELECT coalesce(max(id), 0) + 1, %s, %s, 0, %s, %s FROM batch RETURNING id
"""
_GROW_BATCH = "UPDATE batch SET size = size + %s WHERE id = %s"
_CLOSE_BATCH = "UPDATE batch SET open = false WHERE id = %s"
_UNFINISHED = "SELECT id FROM batch WHERE open ORDER BY id DESC"
_FREE_EMAIL = "UPDATE contact SET email_key = NULL WHERE id = ANY(%s)"
_UNDONE = "UPDATE batch SET undone_by = %s WHERE id = %s"

# Statements that want the first rows of an index name all of its columns in their order: one batch may
# have most of the log, and the planner would walk along another index for its first change.
_CHANGE = "h.seq, h.batch, b.at, b.kind, h.contact_id, h.before, h.after"
_LOGGED = f"SELECT json_build_array({_CHANGE}) AS row FROM change h JOIN batch b ON b.id = h.batch"
_CHANGES = f"{_LOGGED} WHERE h.seq > %s ORDER BY h.seq LIMIT %s"
_CHANGES_OF = f"{_LOGGED} WHERE h.batch = %s AND h.seq > %s ORDER BY h.batch, h.seq LIMIT %s"
_CHANGE_OF = f"{_LOGGED} WHERE h.contact_id = %s AND h.batch = %s"
_HISTORY = f"{_LOGGED} WHERE h.contact_id = %s ORDER BY h.contact_id DESC, h.batch DESC LIMIT %s"
_CHANGED_SINCE = "SELECT DISTINCT contact_id FROM change WHERE contact_id = ANY(%s) AND batch > %s"
_CHANGED_IN = "SELECT contact_id FROM change WHERE contact_id = ANY(%s) AND batch = %s"
_VERSION = """
SELECT CASE WHEN (after ->> 'version')::bigint = %(version)s THEN after ELSE before END FROM change
WHERE contact_id = %(id)s
    AND %(version)s IN ((after ->> 'version')::bigint, (before ->> 'version')::bigint) LIMIT 1
"""
_TAGS = """
SELECT json_build_array(t.tag, t.contacts, c.tags) AS row FROM tag_count t
CROSS JOIN LATERAL (SELECT contact_id FROM contact_tag WHERE tag = t.tag ORDER BY tag, contact_id LIMIT 1) o
JOIN contact c ON c.id = o.contact_id
"""
_LAST_CHANGE = "SELECT coalesce(max(seq), 0) FROM change"
# Of an open batch nothing is settled, but all before it is, and all behind it that is not its own.
_SETTLED = """
SELECT coalesce(
    CASE WHEN o.id IS NULL THEN (SELECT max(seq) FROM change) ELSE greatest(
        (SELECT min(seq) - 1 FROM change WHERE batch = o.id),
        (
            SELECT max(seq) FROM change
            WHERE batch = (SELECT id FROM batch WHERE NOT open ORDER BY id DESC LIMIT 1)
        )
    ) END,
    0
) FROM (SELECT min(id) AS id FROM batch WHERE open) o
"""
_BATCHES = f"""
SELECT json_build_array(b.size, b.undoes, b.undone_by, b.open, {_CHANGE}) AS row
FROM (SELECT * FROM batch WHERE id < %s AND id >= %s ORDER BY id DESC LIMIT %s) b
CROSS JOIN LATERAL (SELECT * FROM change WHERE batch = b.id ORDER BY batch, seq LIMIT 1) h ORDER BY b.id DESC
"""
_SAMPLE_BATCHES = "SELECT id FROM batch WHERE kind = 'sample' ORDER BY id"
# In the order of the log, new contacts have rising ids.
_SAMPLES = """
SELECT c.id AS row FROM change h JOIN contact c ON c.id = h.contact_id
WHERE h.batch = %s AND h.before IS NULL AND c.version = 1 ORDER BY h.batch, h.seq LIMIT %s
"""

_ALL_TOTALS = (
    "SELECT (SELECT count(*) FROM contact), (SELECT count(*) FROM change), (SELECT count(*) FROM batch)"
)
_ALL_BATCHES = """
SELECT json_build_array(id, at, kind, size, undoes, undone_by) AS row
FROM batch WHERE id > %s ORDER BY id LIMIT %s
"""
_RESTORE_BATCHES = """
INSERT INTO batch (id, at, kind, size, undoes, undone_by)
SELECT (r ->> 0)::bigint, (r ->> 1)::bigint, r ->> 2, (r ->> 3)::bigint, (r ->> 4)::bigint, (r ->> 5)::bigint
FROM json_array_elements(%s) r
"""
_RESTORE_CHANGES = """
INSERT INTO change SELECT * FROM json_to_recordset(%s)
    AS r(seq bigint, batch bigint, contact_id bigint, before json, after json)
"""

_STATISTICS = """
SELECT count(*), count(email_key), count(nullif(phone, '')), count(*) FILTER (WHERE created_at >= %s),
    (SELECT count(*) FROM (SELECT FROM contact WHERE company_key <> '' GROUP BY company_key) k)
FROM contact
"""
_ADDED_BY_WEEK = """
SELECT (created_at - %(start)s) / %(week)s, count(*) FROM contact WHERE created_at >= %(start)s GROUP BY 1
"""
_TOP: Mapping[Ranked, str] = {
    "company": """
SELECT c.company, g.contacts FROM (
    SELECT company_key, count(*) AS contacts, min(id) AS oldest FROM contact WHERE company_key <> ''
    GROUP BY company_key ORDER BY contacts DESC, company_key LIMIT %s
) g JOIN contact c ON c.id = g.oldest ORDER BY g.contacts DESC, g.company_key
""",
    "domain": """
SELECT substr(email_key, position('@' IN email_key) + 1) AS domain, count(*) AS contacts
FROM contact WHERE email_key IS NOT NULL GROUP BY domain ORDER BY contacts DESC, domain LIMIT %s
""",
}
_WEEK = 7 * 24 * 60 * 60 * 1_000  # milliseconds

_BEGIN_WRITING = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({_APP}, {_WRITING[1]})"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Nothing for a transaction that has written nothing.
_ANNOUNCE = f"""
SELECT x::text, pg_notify('{_CHANNEL}', '') FROM pg_current_xact_id_if_assigned() x WHERE x IS NOT NULL
"""
_COMMITTED = "SELECT pg_xact_status(%s::xid8)"
_ANALYZE = "ANALYZE contact, contact_tag, batch, change"
_TAKE_TURN = f"SELECT pg_try_advisory_lock({_APP}, {_IMPORTING[1]})"
_GIVE_TURN = "SELECT pg_advisory_unlock_all()"
_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"

# What is wrong and what to do about it, by the code of PostgreSQL's error or its first two characters.
_TROUBLE = {
    "55P03": ("The database is busy: something else is writing to it", "Try again in a moment."),
    "57014": ("The database took too long", "Try again in a moment."),
    "53100": ("The disk of the database is full", "Free some space there, then try again."),
    "53": (
        "The database has no resources left",
        "Try again in a moment, or give it more connections or memory.",
    ),
    "25006": ("The database is read-only", "Check that CONTACTS_STORE names the primary server."),
    "25P03": ("The database gave up waiting for this app", "Try again in a moment."),
    "40": ("The database broke off a write that was in the way of another", "Try again in a moment."),
    "42501": ("The database does not permit this", "Give its user all rights on the tables of the contacts."),
    "42P01": ("The tables of the contacts are gone", "Restore a backup of the database."),
    "57P": ("The database is shutting down or starting", "Try again in a moment."),
    "58": ("The disk of the database failed", "Check the disk, then try again."),
    "XX": ("The database is damaged", "Look into PostgreSQL's log; restore a backup if need be."),
    "08": ("The database cannot be reached", "Try again in a moment."),
}
_UNKNOWN_END = (
    "The connection to the database broke while this was being saved, so it may be saved or not. "
    "Look whether it is there before you try again."
)
_NOT_A_URL = (
    "CONTACTS_STORE is not a URL that PostgreSQL's library understands. Write "
    "postgresql://user:password@host:5432/database, with %40 for an @ and %2F for a / in the password."
)


class _NoAnswer(psycopg.OperationalError):
    """The server has not answered in time."""


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that ends when the server does not answer in time."""

    def wait[T](self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """See psycopg. _NoAnswer, a lost connection, where that would wait for ever."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, _ANSWER_ON_LOOP if _on_event_loop() else _ANSWER)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()  # or the next statement would get the answer to this one
            raise _NoAnswer("no answer in time") from None


def _on_event_loop() -> bool:
    """Whether others wait while this thread does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class PostgresStore(SQLStore):
    """Contacts in a PostgreSQL database. The contract is that of app.store.ContactStore.

    url: as libpq takes it, so what it leaves out may come from PGPASSFILE, PGHOST and the like. It
    must lead to the server itself or to a pooler that gives each client a session of its own.
    busy_timeout: seconds that a write waits for others before it raises StoreUnavailable.
    `settled` may take some milliseconds to learn of what another process writes.
    The thread that makes the store holds no connection afterwards, so the process may fork.
    """

    def __init__(self, url: str, *, busy_timeout: float = 5.0) -> None:
        self._conninfo = _conninfo(url, busy_timeout)
        self._hurried = _conninfo(url, busy_timeout, _HURRIED)
        self._connections = Connections(self._connect)
        self._news = News(self._listening, _settled)
        self._silent_until = 0.0  # by `monotonic`: until then no event loop asks, see _SILENCE
        self._importer = threading.local()  # conn: on which this thread has the turn to import
        try:
            self._open()
            self._recover()
        finally:
            self.close_worker()

    # --- reading

    def list(self, query: ListQuery) -> ContactPage:
        more = _with_limit(query, query.limit + 1)
        with self._connection() as conn:
            if query.is_filtered:
                sql, values = _search(more)
                matching, rows = _cell(conn, sql, values)
            else:
                sql, values = _walk(more)
                matching, rows = _cell(
                    conn, f"SELECT json_build_array(({_TOTAL}), ({_as_list(sql)}))", values
                )
        shown = (rows or [])[: query.limit]
        place: Place | None = (shown[-1][-1], shown[-1][0]) if len(rows or []) > query.limit else None
        counted = min(matching, COUNT_LIMIT) if query.is_filtered else matching
        contacts = tuple(_to_contact(row[:-1]) for row in shown)
        return ContactPage(contacts, counted, place, exact=counted == matching)

    def neighbours(self, query: ListQuery, contact_id: int) -> tuple[Contact | None, Contact | None]:
        with self._snapshot() as rows:
            place = sort_keys(get(rows, contact_id))[query.sort], contact_id

            def behind(*, descending: bool) -> Contact | None:
                sql, values = _walk(_with_limit(query, 1, place, descending=descending))
                return next((_to_contact(row[:-1]) for row in _list(rows.conn, sql, values)), None)

            return behind(descending=not query.descending), behind(descending=query.descending)

    def ids(self, query: ListQuery) -> Sequence[int]:
        tests, values = _tests(query)
        with self._connection() as conn:
            return array(
                "q",
                _list(conn, f"SELECT c.id AS row FROM contact c WHERE {tests} {_order_by(query)}", values),
            )

    def tags(self) -> Sequence[tuple[str, int]]:
        with self._connection() as conn:
            rows = _list(conn, _TAGS)
        ranked = sorted(rows, key=lambda row: (-row[1], row[0]))
        return tuple((_spelled(key, tags), contacts) for key, contacts, tags in ranked)

    def count(self, query: ListQuery | None = None) -> int:
        tests, values = _tests(query or ListQuery())
        sql = f"SELECT count(*) FROM contact c WHERE {tests}" if values or (query and query.only) else _TOTAL
        with self._connection() as conn:
            return int(_cell(conn, sql, values))

    def history(self, contact_id: int, limit: int = 50) -> Sequence[Change]:
        if not is_id(contact_id):
            return ()
        with self._connection() as conn:
            return tuple(map(_to_change, _list(conn, _HISTORY, (contact_id, limit))))

    def version(self, contact_id: int, version: int) -> Contact | None:
        if not (is_id(contact_id) and is_id(version)):
            return None
        with self._connection() as conn:
            row = conn.execute(_VERSION, {"id": contact_id, "version": version}).fetchone()
        return to_logged(row[0]) if row else None

    def last_change(self) -> int:
        with self._connection() as conn:
            return int(_cell(conn, _LAST_CHANGE))

    def settled(self) -> int:
        self._refuse_if_lost()
        return self._news.settled(self._ask_settled)

    def batches(self, limit: int = 20, before: int | None = None) -> Sequence[Batch]:
        below = 2**63 - 1 if before is None else min(max(before, 0), 2**63 - 1)
        with self._connection() as conn:
            return tuple(to_batch(row, _to_change) for row in _list(conn, _BATCHES, (below, 0, limit)))

    def samples(self, limit: int | None = None) -> Sequence[int]:
        found: list[int] = []
        with self._connection() as conn:
            for (batch_id,) in conn.execute(_SAMPLE_BATCHES).fetchall():
                found += _list(conn, _SAMPLES, (batch_id, None if limit is None else limit - len(found)))
        return tuple(found)

    def statistics(self) -> Statistics:
        week_ago = milliseconds(now() - timedelta(days=7))
        with self._connection() as conn:
            row = conn.execute(_STATISTICS, (week_ago,)).fetchone()
        assert row, "an aggregate has one row"
        return Statistics(*row)

    def added_by_week(self, weeks: int) -> Sequence[tuple[date, int]]:
        mondays = weeks_until(now(), weeks)
        start = milliseconds(datetime(mondays[0].year, mondays[0].month, mondays[0].day, tzinfo=UTC))
        with self._connection() as conn:
            rows = conn.execute(_ADDED_BY_WEEK, {"start": start, "week": _WEEK}).fetchall()
        added: dict[int, int] = dict(rows)
        return tuple((monday, added.get(week, 0)) for week, monday in enumerate(mondays))

    def top(self, field: Ranked, limit: int) -> Sequence[tuple[str, int]]:
        with self._connection() as conn:
            return tuple(
                (name, contacts) for name, contacts in conn.execute(_TOP[field], (limit,)).fetchall()
            )

    # --- running

    def accounts(self) -> SQLAccounts:
        return SQLAccounts(self)

    def check(self) -> None:
        with self._connection() as conn:
            if _cell(conn, _READ_ONLY):
                raise StoreUnavailable(_unavailable("25006"))
            _cell(conn, _TOTAL)

    def open_worker(self) -> None:
        with self._connection():
            pass

    def close_worker(self) -> None:
        self._connections.close_mine()

    def close(self) -> None:
        self._news.close()
        self._connections.close()

    def _ask_settled(self) -> int:
        with self._connection() as conn:
            return _settled(conn)

    @contextmanager
    def _turn(self, *, wait: bool = True) -> Iterator[None]:
        # Asked for again and again: a lock that is waited for would hold the connection, close() included.
        while not self._took_turn():
            if not wait:
                raise BlockingIOError
            sleep(_IMPORT_POLL)
        try:
            yield
        finally:
            self._importer.conn = None
            with suppress(StoreUnavailable), self._connection() as conn:
                conn.execute(_GIVE_TURN)

    def _took_turn(self) -> bool:
        """Whether this thread's connection may import; it keeps that until `_turn` ends, or it breaks."""
        self._importer.conn = None
        with self._connection() as conn:
            took = bool(_cell(conn, _TAKE_TURN))
            self._importer.conn = conn if took else None
            return took

    def _finish(self, batch_id: int) -> Batch:
        batch = super()._finish(batch_id)
        if batch.size >= _MANY:
            with suppress(StoreUnavailable), self._connection() as conn:
                conn.execute(_ANALYZE)
        return batch

    def _undo_unfinished(self) -> None:
        # A connection that broke has lost the turn. Whoever has it now undoes what this import left.
        if self._took_turn():
            super()._undo_unfinished()

    def _refuse_if_lost(self) -> None:
        self._connections.refuse_if_closed()

    def _open(self) -> None:
        """Migrate the database; CannotOpen unless it can be read and written."""
        try:
            with self._connect(psycopg.Connection) as conn:  # which waits as long as it takes
                migrate(conn, _MIGRATING)
            with self._write() as rows:
                _renew_keys(rows)
        except StoreUnavailable as unavailable:
            if isinstance(unavailable.__cause__, CannotOpen):
                raise unavailable.__cause__ from None
            raise CannotOpen(str(unavailable).replace(" Nothing was saved.", "")) from unavailable
        except psycopg.Error as error:
            if not (trouble := _trouble(error)):
                raise
            raise CannotOpen(f"{trouble[0]}. {trouble[1]}") from error

    def _connect(self, kind: type[Conn] = _Connection) -> Conn:
        """A new connection in autocommit mode.

        StoreUnavailable when there is none to be had, for whoever uses the app; its cause is the
        CannotOpen for whoever runs it, with names that are nobody else's business.
        """
        try:
            return kind.connect(self._hurried if _on_event_loop() else self._conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.ConnectionTimeout):
                self._silent_until = monotonic() + _SILENCE
            why = CannotOpen(
                f"The database cannot be reached: {_reason(error)}. "
                "Check that PostgreSQL runs and that CONTACTS_STORE is right."
            )
            raise StoreUnavailable(
                "The database cannot be reached. Nothing was saved. Try again in a moment."
            ) from why

    def _listening(self) -> Conn:
        """A connection that is told of every write."""
        conn = self._connect()
        try:
            conn.execute(f"LISTEN {_CHANNEL}")
        except BaseException:
            conn.close()
            raise
        return conn

    @contextmanager
    def _connection(self) -> Iterator[Conn]:
        """The thread's connection, a new one if it was lost while nobody used it."""
        if monotonic() < self._silent_until and _on_event_loop():
            raise StoreUnavailable(_unavailable("08"))
        slot = self._connections.mine()
        with _errors(), slot as conn:
            if _is_lost(conn):
                conn.close()
                if conn is getattr(self._importer, "conn", None):
                    raise StoreUnavailable(_unavailable("08"))  # the turn to import went with it
                conn = slot.conn = self._connect()
            try:
                yield conn
            except _NoAnswer:
                self._silent_until = monotonic() + _SILENCE
                raise

    @contextmanager
    def _rows(self) -> Iterator[_Rows]:
        with self._connection() as conn:
            yield _Rows(conn)

    @contextmanager
    def _snapshot(self) -> Iterator[_Rows]:
        with self._connection() as conn:
            conn.execute(_BEGIN_READING)
            try:
                yield _Rows(conn)
            finally:
                _roll_back(conn)

    @contextmanager
    def _write(self) -> Iterator[_Rows]:
        with self._connection() as conn:
            try:
                conn.execute(_BEGIN_WRITING, prepare=False)  # two statements in one go
                yield _Rows(conn)
                written = conn.execute(_ANNOUNCE).fetchone()
            except BaseException:
                _roll_back(conn)
                raise
            try:
                self._commit(conn, written[0] if written else None)
            finally:
                self._news.wrote()

    def _commit(self, conn: Conn, transaction: str | None) -> None:
        """Commit; if the connection breaks in the middle of it, find out what has become of it."""
        try:
            conn.execute("COMMIT")
        except psycopg.OperationalError:
            if not conn.closed:
                _roll_back(conn)
                raise
            if not (transaction and self._was_committed(transaction)):
                raise

    def _was_committed(self, transaction: str) -> bool:
        """Whether a transaction that has come to its end was kept. StoreUnavailable when nobody can tell."""
        end = monotonic() + _CONNECT_TIMEOUT
        try:
            with self._connect() as conn:
                while (
                    status := _cell(conn, _COMMITTED, (transaction,))
                ) == "in progress" and monotonic() < end:
                    sleep(_COMMIT_POLL)
        except (psycopg.Error, StoreUnavailable) as error:
            raise StoreUnavailable(_UNKNOWN_END) from error
        if status not in ("committed", "aborted"):
            raise StoreUnavailable(_UNKNOWN_END)
        return bool(status == "committed")


class _Rows:
    """The statements that app.store.sql wants, on a connection."""

    def __init__(self, conn: Conn) -> None:
        self.conn = conn

    def execute(self, sql: str, values: Sequence[object] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.conn.execute(sql.replace("?", "%s").encode(), values)

    def find(self, contact_id: int) -> Contact | None:
        row = self.conn.execute(_FIND, (contact_id,)).fetchone()
        return _to_contact(row[0]) if row else None

    def find_many(self, contact_ids: Iterable[int]) -> Mapping[int, Contact]:
        rows = _list(self.conn, _FIND_MANY, ([*contact_ids],))
        return {row[0]: _to_contact(row) for row in rows}

    def with_email(self, key: str | None) -> Contact | None:
        row = self.conn.execute(_BY_EMAIL, (_sought(key),)).fetchone() if key else None
        return _to_contact(row[0]) if row else None

    def known(self, rows: Sequence[ImportRow]) -> dict[Identity, Contact]:
        emails = [row.entry.email for row in rows if row.entry.email]
        names = [row.entry.order["name"] for row in rows if not row.entry.email]
        found = (
            (key, name, _to_contact(row)) for key, name, *row in _list(self.conn, _KNOWN, (emails, names))
        )
        return {identity(key, name, contact.phone): contact for key, name, contact in found}

    def next_id(self) -> int:
        return int(_cell(self.conn, _LAST_ID)) + 1

    def batch(self, batch_id: int) -> Batch | None:
        rows = _list(self.conn, _BATCHES, (batch_id + 1, batch_id, 1)) if batch_id < 2**63 - 1 else []
        return to_batch(rows[0], _to_change) if rows else None

    def unfinished(self) -> Sequence[int]:
        return [batch_id for (batch_id,) in self.conn.execute(_UNFINISHED).fetchall()]

    def changes_of(self, batch_id: int, after: int, limit: int) -> Sequence[Change]:
        return [_to_change(row) for row in _list(self.conn, _CHANGES_OF, (batch_id, after, limit))]

    def change_of(self, contact_id: int, batch_id: int) -> Change | None:
        return next((_to_change(row) for row in _list(self.conn, _CHANGE_OF, (contact_id, batch_id))), None)

    def changed_in(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        return self._ids(_CHANGED_IN, contact_ids, batch_id)

    def changed_since(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        return self._ids(_CHANGED_SINCE, contact_ids, batch_id)

    def open_batch(self, kind: Kind, at: datetime, undoes: int | None, *, unfinished: bool) -> int:
        return int(_cell(self.conn, _OPEN_BATCH, (milliseconds(at), kind, undoes, unfinished)))

    def append(self, batch_id: int, edits: Sequence[Edit]) -> None:
        untagged, tagged = retagging(edits)
        gone = [edit.contact_id for edit in edits if edit.after is None]
        if untagged or gone:
            self.conn.execute(_UNTAG, ([*untagged, *gone],))
        if gone:
            self.conn.execute(_DELETE, (gone,))
        if kept := [edit.after for edit in edits if edit.after]:
            self._keep(kept)
        self._tag(tagged)
        self.conn.execute(_LOG, (batch_id, _json([_from_edit(edit) for edit in edits])))
        self.conn.execute(_GROW_BATCH, (len(edits), batch_id))

    def close_batch(self, batch_id: int) -> None:
        self.conn.execute(_CLOSE_BATCH, (batch_id,))

    def mark_undone(self, batch_id: int, by: int) -> None:
        self.conn.execute(_UNDONE, (by, batch_id))

    def free_emails(self, contact_ids: Iterable[int]) -> None:
        self.conn.execute(_FREE_EMAIL, ([*contact_ids],))

    def totals(self) -> Totals:
        row = self.conn.execute(_ALL_TOTALS).fetchone()
        assert row, "these statements always answer"
        return Totals(*row)

    def all_batches(self, after: int, limit: int) -> Sequence[BatchRow]:
        return _list(self.conn, _ALL_BATCHES, (after, limit))

    def all_changes(self, after: int, limit: int) -> Sequence[Change]:
        return [_to_change(row) for row in _list(self.conn, _CHANGES, (after, limit))]

    def all_contacts(self, after: int, limit: int) -> Sequence[Contact]:
        return [_to_contact(row) for row in _list(self.conn, _ALL, (after, limit))]

    def restore_batches(self, batches: Sequence[BatchRow]) -> None:
        self.conn.execute(_RESTORE_BATCHES, (_json(batches),))

    def restore_changes(self, changes: Sequence[Change]) -> None:
        self.conn.execute(_RESTORE_CHANGES, (_json([_from_change(change) for change in changes]),))

    def restore_contacts(self, entries: Sequence[Entry]) -> None:
        self._keep(entries)
        self._tag([(tag, entry.contact.id) for entry in entries for tag in entry.tags])

    def finish_restoring(self) -> None:
        self.conn.execute(_ANALYZE)  # or searches would be planned as if there was nothing

    def _keep(self, entries: Sequence[Entry]) -> None:
        self.conn.execute(_KEEP, (_json([from_entry(entry) for entry in entries]),))

    def _tag(self, tagged: Sequence[tuple[str, int]]) -> None:
        if tagged:
            self.conn.execute(_TAG, ([tag for tag, _ in tagged], [contact_id for _, contact_id in tagged]))

    def _ids(self, sql: str, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        rows = self.conn.execute(sql, ([*contact_ids], batch_id)).fetchall()
        return {contact_id for (contact_id,) in rows}


# --- connections


def _conninfo(url: str, busy_timeout: float, last: str = "") -> str:
    """What libpq is given: the URL and, where it says nothing, what this app wants.

    last: options that count whatever the URL says.
    """
    try:
        asked = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise CannotOpen(_NOT_A_URL) from None  # libpq's own words may quote the password
    ours: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        # A server that is gone without a word is given up after 15 seconds, where the system knows
        # no tcp_user_timeout after 25; the system's own patience would be minutes.
        "keepalives_idle": 10,  # seconds, like the next one
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,  # milliseconds
        "application_name": "chirp-contacts",
        "client_encoding": "UTF8",
    }
    busy = f"-c lock_timeout={round(busy_timeout * 1_000)}"
    options = [*_OPTIONS, busy, str(asked.pop("options", "")), last]
    return make_conninfo("", **{**ours, **asked, "options": " ".join(options)})


def _is_lost(conn: Conn) -> bool:
    """Whether a connection that nobody uses has ended: then there is something to read, its end."""
    news = select.poll()
    try:
        news.register(conn.fileno(), select.POLLIN)
        while news.poll(0):
            conn.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return conn.closed


def _roll_back(conn: Conn) -> None:
    """End a transaction; a connection that cannot do that is of no use, and is closed."""
    try:
        if not conn.closed:
            conn.execute("ROLLBACK")
    except psycopg.Error:
        conn.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if not (trouble := _trouble(error)):
            raise  # a mistake of ours, not of the surroundings
        raise StoreUnavailable(f"{trouble[0]}. Nothing was saved. {trouble[1]}") from error


def _trouble(error: psycopg.Error) -> tuple[str, str] | None:
    """What is wrong and what to do about it; None when the surroundings are not to blame."""
    code = error.sqlstate or ("08" if isinstance(error, psycopg.OperationalError) else "")
    return next((_TROUBLE[code[:length]] for length in (5, 3, 2) if code[:length] in _TROUBLE), None)


def _unavailable(code: str) -> str:
    trouble, remedy = _TROUBLE[code]
    return f"{trouble}. Nothing was saved. {remedy}"


def _reason(error: psycopg.OperationalError) -> str:
    """Why a connection was refused, in the words of the server or of libpq, without what may be a password.

    A URL with a mistake in it may have a piece of the password where the host or the port should be.
    """
    line = str(error).strip().partition("\n")[0]
    if "failed: " in line:
        return line.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
    reason = line.rpartition(": ")[2]
    return "its URL cannot be used" if '"' in reason else reason


def _renew_keys(rows: _Rows) -> None:
    """Compute the keys of all contacts anew if an older version of `Entry` has made them."""
    keys = _cell(rows.conn, "SELECT keys FROM book")
    if keys > KEYS:
        raise CannotOpen("The database was used by a newer version of this app. Update the app.")
    if keys < KEYS:
        last_id = -1
        while contacts := rows.all_contacts(last_id, GROUP):
            last_id = contacts[-1].id
            rows._keep([Entry.of(contact) for contact in contacts])
        rows.conn.execute("UPDATE book SET keys = %s", (KEYS,))


# --- reading


def _settled(conn: Conn) -> int:
    return int(_cell(conn, _SETTLED))


def _cell(conn: Conn, sql: str, values: Sequence[object] = ()) -> Any:
    """The one cell of the one row of an answer."""
    row = conn.execute(sql, values).fetchone()
    assert row, "these statements always answer"
    return row[0]


def _list(conn: Conn, sql: str, values: Sequence[object] = ()) -> list[Any]:
    """The column `row` of an answer, in its order."""
    rows: list[Any] = _cell(conn, _as_list(sql), values)
    return rows


def _as_list(sql: str) -> str:
    return f"SELECT coalesce(json_agg(r.row), '[]') FROM ({sql}) r"


def _with_limit(
    query: ListQuery, limit: int, place: Place | None = None, *, descending: bool | None = None
) -> ListQuery:
    return ListQuery(
        query.text,
        query.tags,
        query.only,
        query.sort,
        query.descending if descending is None else descending,
        place or query.after,
        limit,
    )


def _search(query: ListQuery) -> tuple[str, Sequence[object]]:
    """How many match, at most COUNT_LIMIT and one, and the rows of a page: `_CONTACT` and the sort key."""
    tests, found = _tests(query)
    place, behind = _behind_place(query)
    sql = _SEARCH.format(
        tests=tests,
        contact=_CONTACT,
        key=_ORDER[query.sort],
        place=place,
        order=f"{_order_by(query)} LIMIT %s",
    )
    return sql, [
        *found, COUNT_LIMIT + 1, COUNT_LIMIT, *behind, query.limit, *found, *behind, query.limit
    ]  # fmt: skip


def _walk(query: ListQuery) -> tuple[str, Sequence[object]]:
    """The rows of a page, the planner choosing how to find them."""
    tests, found = _tests(query)
    place, behind = _behind_place(query)
    sql = _WALK.format(
        tests=tests,
        contact=_CONTACT,
        key=_ORDER[query.sort],
        place=place,
        order=f"{_order_by(query)} LIMIT %s",
    )
    return sql, [*found, *behind, query.limit]


def _tests(query: ListQuery) -> tuple[str, Sequence[object]]:
    """The condition that a contact, c, matches, with its values; place and limit disregarded."""
    words = [f"%{_escaped(word)}%" for word in terms(query.text)]
    tags = [_sought(tag_key(tag)) for tag in query.tags]
    only = [_ONLY[query.only]] if query.only else []
    since = [milliseconds(now() - STALE)] if query.only == "stale" else []
    tests = [*only, *[_HAS_TAG] * len(tags), *[_HAS_WORD] * len(words)]
    return " AND ".join(tests or ["true"]), [*since, *tags, *words]


def _escaped(word: str) -> str:
    """A word as LIKE looks for it, letter by letter."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _sought(text: str) -> str:
    """Text to look for. NUL cannot be sent, and this, too, is in no email and in no tag."""
    return text.replace("\x00", "\x01")


def _behind_place(query: ListQuery) -> tuple[str, Sequence[object]]:
    if query.after is None:
        return "true", []
    return f"({_ORDER[query.sort]}, c.id) {'<' if query.descending else '>'} (%s, %s)", query.after


def _order_by(query: ListQuery) -> str:
    direction = "DESC" if query.descending else "ASC"
    return f"ORDER BY {_ORDER[query.sort]} {direction}, c.id {direction}"


# --- rows and objects


def _to_contact(row: Sequence[Any]) -> Contact:
    """The contact of a row with the columns of _CONTACT."""
    contact_id, name, email, phone, company, notes, tags, created_at, updated_at, version = row
    return Contact(
        contact_id,
        name,
        email,
        phone,
        company,
        notes,
        tuple(tags),
        to_datetime(created_at),
        to_datetime(updated_at),
        version,
    )


def _to_change(row: Sequence[Any]) -> Change:
    """The change of a row with the columns of _CHANGE."""
    seq, batch, at, kind, contact_id, before, after = row
    return Change(seq, batch, to_datetime(at), kind, contact_id, to_logged(before), to_logged(after))


def _from_edit(edit: Edit) -> dict[str, object]:
    """What _LOG takes."""
    return {
        "contact_id": edit.contact_id,
        "before": edit.before and from_contact(edit.before),
        "after": edit.after and from_contact(edit.after.contact),
    }


def _from_change(change: Change) -> dict[str, object]:
    """What _RESTORE_CHANGES takes."""
    return {
        "seq": change.seq,
        "batch": change.batch,
        "contact_id": change.contact_id,
        "before": change.before and from_contact(change.before),
        "after": change.after and from_contact(change.after),
    }


def _spelled(key: str, tags: Iterable[str]) -> str:
    """How a contact with these tags spells the tag with this key."""
    return next((tag for tag in tags if tag_key(tag) == key), key)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
