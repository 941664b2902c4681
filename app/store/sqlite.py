"""SQLiteStore: contacts in one file, which survives `kill -9` once a call has returned.

Each thread has a connection of its own, behind a lock that only close() ever contends for.
Writers queue at one lock for the whole process, which is fair and never sleeps; against
other processes `BEGIN IMMEDIATE` and SQLite's own timeout do the same. All SQL is in this
module and in `migrations/`.
"""

import json
import os
import sqlite3
import sys
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

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
    SortKey,
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
from app.store.migrations import migrate
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
from app.store.turns import Turns

if sys.platform != "win32":
    import fcntl

_TAG_SETS = 4_096  # sets of tags that are remembered as they stand in rows
_SHORT = 0.01  # seconds that no write need be careful about
# kB of pages that a connection keeps: those of a worker and of an import go to and fro in a large file,
# of the others there may be many.
_CACHE, _SMALL_CACHE = 16_000, 4_000
_CANDIDATES_LIMIT = 4_000  # ids from the search index that are worth having along another index
_DENSE = 25  # measured: a contact passed by takes half the time of one looked up, and a page has 50

_CONTACT = "c.id, c.name, c.email, c.phone, c.company, c.notes, c.tags, c.created_at, c.updated_at, c.version"
_ORDER: Mapping[Sort, str] = {
    "name": "c.by_name",
    "email": "c.by_email",
    "company": "c.by_company",
    "updated": "c.updated_at",
}
_INDEX: Mapping[Sort, str] = {
    "name": "contact_by_name",
    "email": "contact_by_email",
    "company": "contact_by_company",
    "updated": "contact_by_updated",
}

# The order by email has those without one at its end: said once more, or SQLite would read up to there.
_ONLY: Mapping[Only, str] = {
    "no-phone": "c.phone = ''",
    "no-email": "c.email_key IS NULL AND c.by_email >= char(0x10FFFF)",
    "stale": "c.updated_at < ?",
}
_HAS_TAG = "EXISTS (SELECT 1 FROM contact_tag WHERE tag = ? AND contact_id = {})"
_GET = f"SELECT {_CONTACT} FROM contact c WHERE c.id = ?"
_GET_MANY = f"SELECT {_CONTACT} FROM contact c WHERE c.id IN (SELECT value FROM json_each(?))"
_WITH_KEYS = f"""
SELECT {_CONTACT}, c.email_key, c.company_key, c.by_name, c.by_email, c.by_company, c.haystack
FROM contact c WHERE c.id > ? ORDER BY c.id LIMIT ?
"""
_BY_EMAIL = f"SELECT {_CONTACT} FROM contact c WHERE c.email_key = ?"
_CANDIDATES = "SELECT rowid FROM contact_search WHERE contact_search MATCH ? LIMIT ?"
_TOTAL = "SELECT total FROM contact_count"
_PROBE = "UPDATE contact_count SET total = total"

# Of contacts that an import cannot tell apart, the oldest comes last and so wins.
_KNOWN = f"""
SELECT c.email_key, c.by_name, {_CONTACT} FROM contact c
WHERE c.email_key IN (SELECT value FROM json_each(?))
UNION ALL
SELECT c.email_key, c.by_name, {_CONTACT} FROM contact c INDEXED BY contact_without_email
WHERE c.by_name IN (SELECT value FROM json_each(?)) AND c.email_key IS NULL
ORDER BY 3 DESC
"""

# One statement for one contact and for hundreds: the search index is flushed once for each.
_KEEP = """
INSERT INTO contact (
    id, name, email, phone, company, notes, tags, created_at, updated_at, version,
    email_key, company_key, by_name, by_email, by_company, haystack
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value -> 6,
    value ->> 7, value ->> 8, value ->> 9,
    value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
FROM json_each(?) WHERE true
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, email = excluded.email, phone = excluded.phone, company = excluded.company,
    notes = excluded.notes, tags = excluded.tags, created_at = excluded.created_at,
    updated_at = excluded.updated_at, version = excluded.version, email_key = excluded.email_key,
    company_key = excluded.company_key, by_name = excluded.by_name, by_email = excluded.by_email,
    by_company = excluded.by_company, haystack = excluded.haystack
"""
_DELETE = "DELETE FROM contact WHERE id IN (SELECT value FROM json_each(?))"
_UNTAG = "DELETE FROM contact_tag WHERE contact_id IN (SELECT value FROM json_each(?))"
_TAG = "INSERT INTO contact_tag (tag, contact_id) SELECT value ->> 0, value ->> 1 FROM json_each(?)"
_LAST_ID = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contact'), 0)"

# Behind the writes themselves: what a contact is afterwards is read from its row.
_LOG = """
INSERT INTO change (batch, contact_id, before, after)
SELECT ?, value ->> 0, value ->> 1, (
    SELECT json_object(
        'id', id, 'name', name, 'email', email, 'phone', phone, 'company', company, 'notes', notes,
        'tags', json(tags), 'created_at', created_at, 'updated_at', updated_at, 'version', version
    ) FROM contact WHERE id = value ->> 0
) FROM json_each(?)
"""
_OPEN_BATCH = "INSERT INTO batch (at, kind, size, undoes, open) VALUES (?, ?, 0, ?, ?) RETURNING id"
_GROW_BATCH = "UPDATE batch SET size = size + ? WHERE id = ?"
_CLOSE_BATCH = "UPDATE batch SET open = 0 WHERE id = ?"
_UNFINISHED = "SELECT id FROM batch WHERE open ORDER BY id DESC"
_FREE_EMAIL = "UPDATE contact SET email_key = NULL WHERE id IN (SELECT value FROM json_each(?))"
_UNDONE = "UPDATE batch SET undone_by = ? WHERE id = ?"

_CHANGE = "h.seq, h.batch, b.at, b.kind, h.contact_id, h.before, h.after"
_CHANGES = (
    f"SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch WHERE h.seq > ? ORDER BY h.seq LIMIT ?"
)
_CHANGES_OF = f"""
SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch
WHERE h.batch = ? AND h.seq > ? ORDER BY h.seq LIMIT ?
"""
_CHANGE_OF = f"""
SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch WHERE h.contact_id = ? AND h.batch = ?
"""
_CHANGED_SINCE = """
SELECT DISTINCT contact_id FROM change WHERE contact_id IN (SELECT value FROM json_each(?)) AND batch > ?
"""
_CHANGED_IN = (
    "SELECT contact_id FROM change WHERE contact_id IN (SELECT value FROM json_each(?)) AND batch = ?"
)
_HISTORY = f"""
SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch
WHERE h.contact_id = ? ORDER BY h.batch DESC LIMIT ?
"""
_VERSION = """
SELECT iif(after ->> 'version' = ?2, after, before) FROM change
WHERE contact_id = ?1 AND ?2 IN (after ->> 'version', before ->> 'version') LIMIT 1
"""
_TAGS = """
SELECT t.tag, t.contacts, c.tags FROM tag_count t
JOIN contact c ON c.id = (SELECT min(contact_id) FROM contact_tag WHERE tag = t.tag)
"""
_LAST_CHANGE = "SELECT coalesce(max(seq), 0) FROM change"
# Of an open batch nothing is settled, but all before it is, and all behind it that is not its own.
_SETTLED = """
SELECT coalesce(
    max(
        (SELECT min(seq) - 1 FROM change WHERE batch = (SELECT min(id) FROM batch WHERE open)),
        (
            SELECT coalesce(max(seq), 0) FROM change
            WHERE batch = (SELECT id FROM batch WHERE NOT open ORDER BY id DESC)
        )
    ),
    (SELECT max(seq) FROM change),
    0
)
"""
_BATCHES = f"""
SELECT b.size, b.undoes, b.undone_by, b.open, {_CHANGE} FROM batch b
JOIN change h ON h.seq = (SELECT min(seq) FROM change WHERE batch = b.id)
"""
_BATCH = f"{_BATCHES} WHERE b.id = ?"
_NEWEST_BATCHES = f"{_BATCHES} WHERE b.id < ? ORDER BY b.id DESC LIMIT ?"
# In the order of the log, new contacts have rising ids.
_SAMPLES = """
SELECT c.id FROM batch b CROSS JOIN change h ON h.batch = b.id CROSS JOIN contact c ON c.id = h.contact_id
WHERE b.kind = 'sample' AND h.before IS NULL AND c.version = 1 ORDER BY b.id, h.seq LIMIT ?
"""

_ALL_TOTALS = (
    "SELECT (SELECT count(*) FROM contact), (SELECT count(*) FROM change), (SELECT count(*) FROM batch)"
)
_ALL_BATCHES = "SELECT id, at, kind, size, undoes, undone_by FROM batch WHERE id > ? ORDER BY id LIMIT ?"
_RESTORE_BATCH = "INSERT INTO batch (id, at, kind, size, undoes, undone_by) VALUES (?, ?, ?, ?, ?, ?)"
_RESTORE_CHANGE = "INSERT INTO change (seq, batch, contact_id, before, after) VALUES (?, ?, ?, ?, ?)"
_FORGET_LAST_ID = "DELETE FROM sqlite_sequence WHERE name = 'contact'"
_RESTORE_LAST_ID = """
INSERT INTO sqlite_sequence (name, seq) SELECT 'contact', coalesce(max(contact_id), 0) FROM change
"""

_STATISTICS = """
SELECT count(*), count(email_key), count(nullif(phone, '')), count(iif(created_at >= ?, 1, NULL)),
    count(DISTINCT nullif(company_key, ''))
FROM contact
"""
_ADDED_BY_WEEK = """
SELECT (created_at - ?1) / ?2, count(*) FROM contact WHERE created_at >= ?1 GROUP BY 1
"""
_TOP: Mapping[Ranked, str] = {
    "company": """
SELECT c.company, g.contacts FROM (
    SELECT company_key, count(*) AS contacts, min(id) AS oldest FROM contact WHERE company_key <> ''
    GROUP BY company_key ORDER BY contacts DESC, company_key LIMIT ?
) g JOIN contact c ON c.id = g.oldest ORDER BY g.contacts DESC, g.company_key
""",
    "domain": """
SELECT substr(email_key, instr(email_key, '@') + 1) AS domain, count(*) AS contacts
FROM contact WHERE email_key IS NOT NULL GROUP BY domain ORDER BY contacts DESC, domain LIMIT ?
""",
}
_WEEK = 7 * 24 * 60 * 60 * 1_000  # milliseconds

# What is wrong and what to do about it, by the primary code of SQLite's error.
_TROUBLE = {
    sqlite3.SQLITE_BUSY: ("{file} is busy: something else is writing to it", "Try again in a moment."),
    sqlite3.SQLITE_READONLY: (
        "{file} is read-only",
        "Make the file and its folder writable for this user, then try again.",
    ),
    sqlite3.SQLITE_IOERR: ("The disk that holds {file} failed", "Check the disk, then try again."),
    sqlite3.SQLITE_CORRUPT: ("{file} is damaged", "Stop the app and restore a backup of the file."),
    sqlite3.SQLITE_FULL: ("The disk that holds {file} is full", "Free some space, then try again."),
    sqlite3.SQLITE_CANTOPEN: (
        "{file} cannot be opened",
        "Check that it exists and that this user may write to it and to its folder.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "{file} is not a contacts database",
        "Restore a backup of it, or name another file in CONTACTS_STORE.",
    ),
}
_MOVED = (
    "{file} was deleted or replaced while the app runs. Nothing was saved. Put it back or restart the app."
)


class SQLiteStore(SQLStore):
    """Contacts in an SQLite file. The contract is that of app.store.ContactStore.

    busy_timeout: seconds that a write waits for others before it raises StoreUnavailable. An
    import, which writes some ten thousand contacts a second, is one write.
    The thread that makes the store holds no connection afterwards, so the process may fork.
    """

    def __init__(self, path: Path, *, busy_timeout: float = 5.0) -> None:
        self._path = path.absolute()
        self._busy_timeout = busy_timeout
        self._connections = Connections(self._reconnect)
        self._writing = Turns()
        self._importing = threading.Lock()  # taken before _writing
        self._damaged = False
        self._inode = self._open()
        self._recover()
        self.close_worker()

    # --- reading

    def list(self, query: ListQuery) -> ContactPage:
        with self._snapshot() as rows:
            return _page(rows.conn, query)

    def neighbours(self, query: ListQuery, contact_id: int) -> tuple[Contact | None, Contact | None]:
        with self._snapshot() as rows:
            contact = get(rows, contact_id)
            onwards = replace(query, after=(sort_keys(contact)[query.sort], contact_id), limit=1)
            found = _few(rows.conn, query)
            before = _rows(rows.conn, replace(onwards, descending=not query.descending), found)
            behind = _rows(rows.conn, onwards, found)
        return _first_contact(before), _first_contact(behind)

    def ids(self, query: ListQuery) -> Sequence[int]:
        with self._snapshot() as rows:
            return _ids(rows.conn, query)

    def tags(self) -> Sequence[tuple[str, int]]:
        with self._read() as conn:
            rows = conn.execute(_TAGS).fetchall()
        counts = [(key, contacts, _spelled(key, tags)) for key, contacts, tags in rows]
        return tuple(
            (tag, contacts) for _, contacts, tag in sorted(counts, key=lambda row: (-row[1], row[0]))
        )

    def count(self, query: ListQuery | None = None) -> int:
        with self._read() as conn:
            return _count(conn, query or ListQuery())

    def history(self, contact_id: int, limit: int = 50) -> Sequence[Change]:
        if not is_id(contact_id):
            return ()
        with self._read() as conn:
            return tuple(map(_to_change, conn.execute(_HISTORY, (contact_id, limit)).fetchall()))

    def version(self, contact_id: int, version: int) -> Contact | None:
        if not (is_id(contact_id) and is_id(version)):
            return None
        with self._read() as conn:
            rows = conn.execute(_VERSION, (contact_id, version)).fetchall()
        return _to_logged(rows[0][0]) if rows else None

    def last_change(self) -> int:
        with self._read() as conn:
            return _value(conn, _LAST_CHANGE)

    def settled(self) -> int:
        with self._read() as conn:
            return _value(conn, _SETTLED)

    def batches(self, limit: int = 20, before: int | None = None) -> Sequence[Batch]:
        below = 2**63 - 1 if before is None else min(max(before, 0), 2**63 - 1)
        with self._read() as conn:
            rows = conn.execute(_NEWEST_BATCHES, (below, limit)).fetchall()
        return tuple(to_batch(row, _to_change) for row in rows)

    def samples(self, limit: int | None = None) -> Sequence[int]:
        with self._read() as conn:
            rows = conn.execute(_SAMPLES, (-1 if limit is None else limit,)).fetchall()
        return tuple(contact_id for (contact_id,) in rows)

    def statistics(self) -> Statistics:
        week_ago = milliseconds(now() - timedelta(days=7))
        with self._read() as conn:
            return Statistics(*conn.execute(_STATISTICS, (week_ago,)).fetchone())

    def added_by_week(self, weeks: int) -> Sequence[tuple[date, int]]:
        mondays = weeks_until(now(), weeks)
        start = milliseconds(datetime(mondays[0].year, mondays[0].month, mondays[0].day, tzinfo=UTC))
        with self._read() as conn:
            added = dict(conn.execute(_ADDED_BY_WEEK, (start, _WEEK)).fetchall())
        return tuple((monday, added.get(week, 0)) for week, monday in enumerate(mondays))

    def top(self, field: Ranked, limit: int) -> Sequence[tuple[str, int]]:
        with self._read() as conn:
            return tuple(conn.execute(_TOP[field], (limit,)).fetchall())

    # --- running

    def accounts(self) -> SQLAccounts:
        return SQLAccounts(self)

    def check(self) -> None:
        self._refuse_if_lost()
        self._refuse_if_damaged()
        if self._is_read_only():
            raise StoreUnavailable(self._unavailable(sqlite3.SQLITE_READONLY))
        self.count()

    def open_worker(self) -> None:
        with self._read() as conn:
            conn.execute(f"PRAGMA cache_size = -{_CACHE}")

    def close_worker(self) -> None:
        self._connections.close_mine()

    def close(self) -> None:
        if self._connections.close() and _inode(self._path) == self._inode:
            # The last connection that closes brings the log into the file. Workers that close at the
            # same moment each take another for the last, so here comes one that is alone.
            with suppress(sqlite3.Error), closing(self._connect()) as conn:
                _value(conn, _TOTAL)

    @property
    def _wanted(self) -> bool:
        return self._writing.wanted

    def _checkpoint(self) -> None:
        """Bring the write-ahead log into the file here, where nobody waits, rather than in a write."""
        with self._read() as conn:
            conn.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _turn(self, *, wait: bool = True) -> Iterator[None]:
        """See SQLStore.

        The lock is on the write-ahead log, which is there as long as anyone has a connection, and
        which SQLite itself does not lock: closing a file that it has locked would drop its locks.
        Windows has no such lock: there, no second process should start during an import.
        """
        if not self._importing.acquire(blocking=wait):
            raise BlockingIOError
        try:
            if sys.platform == "win32":
                yield
                return
            with self._read() as conn:
                _value(conn, _TOTAL)  # from the first read on, the log exists
                conn.execute(f"PRAGMA cache_size = -{_CACHE}")
                handle = os.open(f"{self._path}-wal", os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
            finally:
                os.close(handle)
        finally:
            self._importing.release()

    def _open(self) -> tuple[int, int] | None:
        """Make or migrate the file and return its inode; CannotOpen unless it can be read and written."""
        folder = self._path.parent
        if not folder.is_dir():
            raise CannotOpen(f"The folder {folder} does not exist. Make it, or change CONTACTS_STORE.")
        if self._path.is_dir():
            raise CannotOpen(f"{self._path} is a folder. Name a file in CONTACTS_STORE, such as contacts.db.")
        try:
            migrate(self._path, timeout=self._busy_timeout)
            with closing(self._connect()) as conn:
                _renew_keys(conn)
                _probe(conn)
            return _inode(self._path)
        except sqlite3.Error as error:
            trouble, remedy = _TROUBLE.get(_code(error), (f"{{file}} cannot be used: {error}", ""))
            raise CannotOpen(f"{trouble.format(file=self._path)}. {remedy}".strip()) from error
        except OSError as error:
            raise CannotOpen(f"The folder {folder} cannot be read: {error.strerror}.") from error

    def _connect(self) -> sqlite3.Connection:
        conn = sqlite3.connect(
            f"{self._path.as_uri()}?mode=rw",  # rw: a file that was deleted is not made anew, empty
            uri=True,
            autocommit=True,
            timeout=self._busy_timeout,
            check_same_thread=False,  # so that close() may close it; the slot's lock makes that safe
        )
        try:
            conn.setconfig(sqlite3.SQLITE_DBCONFIG_DQS_DML, False)
            conn.execute("PRAGMA synchronous = FULL")  # or a power cut could take back what was acknowledged
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA trusted_schema = OFF")
            conn.execute(f"PRAGMA cache_size = -{_SMALL_CACHE}")
            conn.execute("PRAGMA wal_autocheckpoint = 10000")  # pages; see _checkpoint
            conn.execute("PRAGMA journal_size_limit = 64000000")  # or the log keeps a large import's size
        except sqlite3.Error:
            conn.close()
            raise
        return conn

    def _reconnect(self) -> sqlite3.Connection:
        self._refuse_if_lost()
        return self._connect()

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """The thread's connection. Do not call another method of the store inside: it waits for this one."""
        with self._errors(), self._connections.mine() as conn:
            yield conn

    @contextmanager
    def _rows(self) -> Iterator[_Rows]:
        with self._errors(), self._connections.mine() as conn:  # as _read does, without a detour by it
            yield _Rows(conn)

    @contextmanager
    def _snapshot(self) -> Iterator[_Rows]:
        with self._read() as conn, _transaction(conn, "BEGIN"):
            yield _Rows(conn)

    @contextmanager
    def _write(self) -> Iterator[_Rows]:
        begin = monotonic()
        if not self._writing.acquire(timeout=self._busy_timeout):
            raise StoreUnavailable(self._unavailable(sqlite3.SQLITE_BUSY))
        try:
            self._refuse_if_lost()
            self._refuse_if_damaged()
            waited = monotonic() - begin
            with self._read() as conn:
                if waited > _SHORT:  # then less is left for writers of other processes
                    conn.execute(f"PRAGMA busy_timeout = {self._milliseconds(waited)}")
                try:
                    with _transaction(conn, "BEGIN IMMEDIATE"):
                        yield _Rows(conn)
                finally:
                    if waited > _SHORT:
                        conn.execute(f"PRAGMA busy_timeout = {self._milliseconds(0)}")
        finally:
            self._writing.release()

    def _milliseconds(self, waited: float) -> int:
        """What is left of the time that a write may wait."""
        return max(0, round((self._busy_timeout - waited) * 1_000))

    def _refuse_if_lost(self) -> None:
        """StoreUnavailable when closed, and when the path no longer leads to the file that was opened.

        SQLite would go on writing to a deleted file, and all of it would be gone with the process.
        """
        self._connections.refuse_if_closed()
        if _inode(self._path) != self._inode:
            raise StoreUnavailable(_MOVED.format(file=self._path.name))

    def _refuse_if_damaged(self) -> None:
        """StoreUnavailable once damage was seen: SQLite would go on writing around it."""
        if self._damaged:
            raise StoreUnavailable(self._unavailable(sqlite3.SQLITE_CORRUPT))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            if code not in _TROUBLE:
                raise  # a mistake of ours, not of the surroundings
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self._damaged = True
            if code == sqlite3.SQLITE_READONLY:
                self.close_worker()  # opened while the file was read-only, a connection stays so
            elif code == sqlite3.SQLITE_IOERR and self._is_read_only():
                code = sqlite3.SQLITE_READONLY
            raise StoreUnavailable(self._unavailable(code)) from error

    def _is_read_only(self) -> bool:
        """Whether it is seen beforehand that nothing can be written."""
        return not (os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK))

    def _unavailable(self, code: int) -> str:
        trouble, remedy = _TROUBLE[code]
        return f"{trouble.format(file=self._path.name)}. Nothing was saved. {remedy}"


# --- connections and files


@contextmanager
def _transaction(conn: sqlite3.Connection, begin: str) -> Iterator[None]:
    conn.execute(begin)
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:  # a full disk has rolled back already; doing it twice would hide that
            conn.execute("ROLLBACK")
        raise


def _probe(conn: sqlite3.Connection) -> None:
    """Raise what stands in the way of writing, except another writer: that one will pass."""
    conn.execute("PRAGMA busy_timeout = 0")
    try:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute(_PROBE)  # the first to notice a read-only file
        conn.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:
            raise


def _code(error: sqlite3.Error) -> int:
    """The primary code: an extended one keeps it in its low byte, and some have no name."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _inode(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that took its name; None when it cannot be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _renew_keys(conn: sqlite3.Connection) -> None:
    """Compute the keys of all contacts anew if another version of `Entry` has made them."""
    if _value(conn, "PRAGMA user_version") == KEYS:
        return
    with _transaction(conn, "BEGIN IMMEDIATE"):
        last_id = -1
        while rows := conn.execute(_WITH_KEYS, (last_id, GROUP)).fetchall():
            last_id = rows[-1][0]
            entries = (_from_entry(Entry.of(_to_contact(row[:10]))) for row in rows)
            renewed = [new for row, new in zip(rows, entries, strict=True) if new[10:] != row[10:]]
            conn.execute(_KEEP, (_json(renewed),))
        conn.execute(f"PRAGMA user_version = {KEYS}")


# --- reading; each function takes the connection of a thread that holds its slot


def _value(conn: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> int:
    value: int = conn.execute(sql, values).fetchall()[0][0]
    return value


def _page(conn: sqlite3.Connection, query: ListQuery) -> ContactPage:
    found = _few(conn, query)
    rows = _rows(conn, replace(query, limit=query.limit + 1), found)
    shown = rows[: query.limit]
    place: Place | None = (shown[-1][-1], shown[-1][0]) if len(rows) > query.limit else None
    contacts = tuple(_to_contact(row[:-1]) for row in shown)
    if found is not None:
        return ContactPage(contacts, len(found), place)
    if query.is_filtered:
        return ContactPage(contacts, COUNT_LIMIT, place, exact=False)
    return ContactPage(contacts, _value(conn, _TOTAL), place)


def _few(conn: sqlite3.Connection, query: ListQuery) -> Sequence[int] | None:
    """Ids of the contacts that match, in no order, if the query leaves at most COUNT_LIMIT."""
    if not query.is_filtered:
        return None
    sql, values = _looking_up(query)
    ids = [contact_id for (contact_id,) in conn.execute(f"{sql} LIMIT ?", (*values, COUNT_LIMIT + 1))]
    return ids if len(ids) <= COUNT_LIMIT else None


def _rows(conn: sqlite3.Connection, query: ListQuery, found: Sequence[int] | None) -> list[Any]:
    """The rows of a page: the columns of _CONTACT and the sort key. found: see `_in_order`."""
    sql, values = _in_order(conn, query, found)
    rows: list[Any] = []
    for behind, place_values in _behind_place(query):
        page = f"SELECT {_CONTACT}, {_ORDER[query.sort]} {sql} AND {behind} {_order_by(query)} LIMIT ?"
        rows += conn.execute(page, (*values, *place_values, query.limit - len(rows))).fetchall()
    return rows


def _first_contact(rows: Sequence[Any]) -> Contact | None:
    return _to_contact(rows[0][:-1]) if rows else None


def _ids(conn: sqlite3.Connection, query: ListQuery) -> array[int]:
    sql, values = _in_order(conn, query, _few(conn, query))
    rows = conn.execute(f"SELECT c.id {sql} {_order_by(query)}", values)
    return array("q", (contact_id for (contact_id,) in rows))


def _count(conn: sqlite3.Connection, query: ListQuery) -> int:
    if not query.is_filtered:
        return _value(conn, _TOTAL)
    sql, values = _looking_up(query)
    return _value(conn, f"SELECT count(*) FROM ({sql})", values)


def _looking_up(query: ListQuery) -> tuple[str, Sequence[object]]:
    """SELECT the ids of the contacts that match, with its values: from the search index, else from the tags.

    CROSS JOIN keeps SQLite from beginning with the contacts.
    """
    words, tags = terms(query.text), [tag_key(tag) for tag in query.tags]
    only, only_values = _only(query)
    if words:
        contact_id, source = "s.rowid", "contact_search s"
        first = "s.contact_search MATCH ?"
        values = [_trigram_query(words)]
        words = tuple(word for word in words if len(word.lstrip()) > 3 or not word.isascii())
    elif tags:
        contact_id, source, first, values = "t.contact_id", "contact_tag t", "t.tag = ?", [tags.pop()]
    else:
        contact_id, source, first, values = "c.id", "contact c", "true", []
    if contact_id != "c.id" and (words or only):
        source += f" CROSS JOIN contact c ON c.id = {contact_id}"
    tests = [first, *[_HAS_TAG.format(contact_id)] * len(tags), *only, *["instr(c.haystack, ?)"] * len(words)]
    sql = f"SELECT {contact_id} FROM {source} WHERE {' AND '.join(tests)}"
    return sql, [*values, *tags, *only_values, *words]


def _only(query: ListQuery) -> tuple[Sequence[str], Sequence[object]]:
    """The condition that the contact, c, is one of those to show only, with its values; none for all."""
    if not query.only:
        return [], []
    return [_ONLY[query.only]], [milliseconds(now() - STALE)] if query.only == "stale" else []


def _in_order(
    conn: sqlite3.Connection, query: ListQuery, found: Sequence[int] | None
) -> tuple[str, Sequence[object]]:
    """FROM and WHERE, with their values, for listing the contacts that match; place and limit disregarded.

    found: their ids, if they are few: then they are looked up, and SQLite sorts them. Many, or
    none to leave out, are found sooner along the index of the order: if one contact in n
    matches, that passes n for each that it finds. The search index says which are worth reading.
    """
    if found is not None and len(found) ** 2 <= _DENSE * _value(conn, _TOTAL):
        return "FROM contact c NOT INDEXED WHERE c.id IN (SELECT value FROM json_each(?))", [_json(found)]
    words, tags = terms(query.text), [tag_key(tag) for tag in query.tags]
    only, only_values = _only(query)
    tests = [*only, *[_HAS_TAG.format("c.id")] * len(tags), *["instr(c.haystack, ?)"] * len(words)]
    values: list[object] = [*only_values, *tags, *words]
    if words and (candidates := _candidates(conn, words)):
        tests.insert(0, "c.id IN (SELECT value FROM json_each(?))")
        values.insert(0, _json(candidates))
    walk = f"FROM contact c INDEXED BY {_INDEX[query.sort]}"
    return f"{walk} WHERE {' AND '.join(tests or ['true'])}", values


def _candidates(conn: sqlite3.Connection, words: Sequence[str]) -> Sequence[int]:
    """Ids among which are all contacts that match; empty if that would be a large part of many."""
    rows = conn.execute(_CANDIDATES, (_trigram_query(words), _CANDIDATES_LIMIT + 1)).fetchall()
    return [contact_id for (contact_id,) in rows] if len(rows) <= _CANDIDATES_LIMIT else []


def _trigram_query(words: Sequence[str]) -> str:
    """What contact_search is asked for terms; it may answer with a few contacts that do not match them."""
    return " AND ".join(_quoted(trigram) for word in words for trigram in _trigrams(word))


def _trigrams(word: str) -> Iterable[str]:
    """Pieces of three characters that make up a term.

    A short one has two spaces before it, as every word of a haystack has: the last three
    characters say it all. So do the three letters of a longer one; of more the index cannot
    tell the order, and in other scripts than ours it may take two letters for one.
    """
    if word.startswith(" "):
        return [word[-3:]]
    return {word[min(start, len(word) - 3) :][:3] for start in range(0, len(word), 3)}


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _behind_place(query: ListQuery) -> list[tuple[str, Sequence[SortKey]]]:
    """Conditions with their values: the rows behind the query's place are those of the first, then the next.

    Two, because SQLite does not use an index for the second half of `(key, id) > (?, ?)`, and
    thousands may have one key: all that a single import changed, in the order of changes.
    """
    if query.after is None:
        return [("true", ())]
    key, sign = _ORDER[query.sort], "<" if query.descending else ">"
    return [(f"{key} = ? AND c.id {sign} ?", query.after), (f"{key} {sign} ?", query.after[:1])]


def _order_by(query: ListQuery) -> str:
    direction = "DESC" if query.descending else "ASC"
    return f"ORDER BY {_ORDER[query.sort]} {direction}, c.id {direction}"


# --- what app.store.sql wants


class _Rows:
    """The statements that app.store.sql wants, on a connection."""

    __slots__ = ("conn",)

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self.conn.execute(sql, values)

    def find(self, contact_id: int) -> Contact | None:
        rows = self.conn.execute(_GET, (contact_id,)).fetchall()
        return _to_contact(rows[0]) if rows else None

    def find_many(self, contact_ids: Iterable[int]) -> Mapping[int, Contact]:
        rows = self.conn.execute(_GET_MANY, (_json([*contact_ids]),)).fetchall()
        return {row[0]: _to_contact(row) for row in rows}

    def with_email(self, key: str | None) -> Contact | None:
        rows = self.conn.execute(_BY_EMAIL, (key,)).fetchall() if key else []
        return _to_contact(rows[0]) if rows else None

    def known(self, rows: Sequence[ImportRow]) -> dict[Identity, Contact]:
        # A row with an email is known by nothing else.
        emails = [row.entry.email for row in rows if row.entry.email]
        names = [row.entry.order["name"] for row in rows if not row.entry.email]
        found = (
            (key, name, _to_contact(row))
            for key, name, *row in self.conn.execute(_KNOWN, (_json(emails), _json(names)))
        )
        return {identity(key, name, contact.phone): contact for key, name, contact in found}

    def next_id(self) -> int:
        return _value(self.conn, _LAST_ID) + 1

    def batch(self, batch_id: int) -> Batch | None:
        rows = self.conn.execute(_BATCH, (batch_id,)).fetchall()
        return to_batch(rows[0], _to_change) if rows else None

    def unfinished(self) -> Sequence[int]:
        return [batch_id for (batch_id,) in self.conn.execute(_UNFINISHED).fetchall()]

    def changes_of(self, batch_id: int, after: int, limit: int) -> Sequence[Change]:
        rows = self.conn.execute(_CHANGES_OF, (batch_id, after, limit)).fetchall()
        return [_to_change(row) for row in rows]

    def change_of(self, contact_id: int, batch_id: int) -> Change | None:
        rows = self.conn.execute(_CHANGE_OF, (contact_id, batch_id)).fetchall()
        return _to_change(rows[0]) if rows else None

    def changed_in(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        return self._ids(_CHANGED_IN, contact_ids, batch_id)

    def changed_since(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        return self._ids(_CHANGED_SINCE, contact_ids, batch_id)

    def open_batch(self, kind: Kind, at: datetime, undoes: int | None, *, unfinished: bool) -> int:
        return _value(self.conn, _OPEN_BATCH, (milliseconds(at), kind, undoes, unfinished))

    def append(self, batch_id: int, edits: Sequence[Edit]) -> None:
        if gone := [edit.contact_id for edit in edits if edit.after is None]:
            self.conn.execute(_DELETE, (_json(gone),))
        if kept := [_from_entry(edit.after) for edit in edits if edit.after]:
            self.conn.execute(_KEEP, (_json(kept),))
        untagged, tagged = retagging(edits)
        if untagged:
            self.conn.execute(_UNTAG, (_json(untagged),))
        if tagged:
            self.conn.execute(_TAG, (_json(tagged),))
        self.conn.execute(_LOG, (batch_id, _json([_from_edit(edit) for edit in edits])))
        self.conn.execute(_GROW_BATCH, (len(edits), batch_id))

    def close_batch(self, batch_id: int) -> None:
        self.conn.execute(_CLOSE_BATCH, (batch_id,))

    def mark_undone(self, batch_id: int, by: int) -> None:
        self.conn.execute(_UNDONE, (by, batch_id))

    def free_emails(self, contact_ids: Iterable[int]) -> None:
        self.conn.execute(_FREE_EMAIL, (_json([*contact_ids]),))

    def totals(self) -> Totals:
        return Totals(*self.conn.execute(_ALL_TOTALS).fetchone())

    def all_batches(self, after: int, limit: int) -> Sequence[BatchRow]:
        return self.conn.execute(_ALL_BATCHES, (after, limit)).fetchall()

    def all_changes(self, after: int, limit: int) -> Sequence[Change]:
        return [_to_change(row) for row in self.conn.execute(_CHANGES, (after, limit)).fetchall()]

    def all_contacts(self, after: int, limit: int) -> Sequence[Contact]:
        return [_to_contact(row[:10]) for row in self.conn.execute(_WITH_KEYS, (after, limit)).fetchall()]

    def restore_batches(self, batches: Sequence[BatchRow]) -> None:
        self.conn.executemany(_RESTORE_BATCH, batches)

    def restore_changes(self, changes: Sequence[Change]) -> None:
        self.conn.executemany(_RESTORE_CHANGE, map(_from_change, changes))

    def restore_contacts(self, entries: Sequence[Entry]) -> None:
        self.conn.execute(_KEEP, (_json([_from_entry(entry) for entry in entries]),))
        tagged = [(tag, entry.contact.id) for entry in entries for tag in entry.tags]
        self.conn.execute(_TAG, (_json(tagged),))

    def finish_restoring(self) -> None:
        self.conn.execute(_FORGET_LAST_ID)
        self.conn.execute(_RESTORE_LAST_ID)

    def _ids(self, sql: str, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        rows = self.conn.execute(sql, (_json([*contact_ids]), batch_id))
        return {contact_id for (contact_id,) in rows}


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
        _to_tags(tags),
        to_datetime(created_at),
        to_datetime(updated_at),
        version,
    )


@lru_cache(_TAG_SETS)
def _to_tags(text: str) -> tuple[str, ...]:
    """The tags of a row. Many contacts have the same ones, and JSON takes longer than the rest of a row."""
    return tuple(json.loads(text))


def _from_entry(entry: Entry) -> tuple[object, ...]:
    """The values that _KEEP takes, in its order."""
    return tuple(from_entry(entry).values())


def _from_edit(edit: Edit) -> tuple[object, ...]:
    """The values that _LOG takes."""
    return edit.contact_id, edit.before and from_contact(edit.before)


def _from_change(change: Change) -> tuple[object, ...]:
    """The values that _RESTORE_CHANGE takes."""
    before, after = (contact and _json(from_contact(contact)) for contact in (change.before, change.after))
    return change.seq, change.batch, change.contact_id, before, after


def _to_logged(text: str | None) -> Contact | None:
    """The contact that the log keeps as this text."""
    return None if text is None else to_logged(json.loads(text))


def _to_change(row: Sequence[Any]) -> Change:
    """The change of a row with the columns of _CHANGE."""
    seq, batch, at, kind, contact_id, before, after = row
    return Change(seq, batch, to_datetime(at), kind, contact_id, _to_logged(before), _to_logged(after))


def _spelled(key: str, tags: str) -> str:
    """How a contact with these tags, as JSON, spells the tag with this key."""
    return next((tag for tag in _to_tags(tags) if tag_key(tag) == key), key)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
