"""SQLiteStore: contacts in one file, which survives `kill -9` once a call has returned.

Each thread has a connection of its own, behind a lock that only close() ever contends for.
Writers queue at one lock for the whole process, which is fair and never sleeps; against
other processes `BEGIN IMMEDIATE` and SQLite's own timeout do the same. All SQL is in this
module and in `migrations/`.
"""

import itertools
import json
import os
import pickle
import sqlite3
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from app.contacts.changes import Batch, Change, Kind, inverse
from app.contacts.contact import (
    Contact,
    ContactDraft,
    EditConflict,
    NoSuchBatch,
    NoSuchContact,
    email_key,
    now,
)
from app.contacts.listing import (
    ContactPage,
    ListQuery,
    Place,
    Sort,
    SortKey,
    Statistics,
    is_id,
    milliseconds,
    terms,
)
from app.store import CannotOpen, ImportResult, OnDuplicate, RowError, StoreUnavailable
from app.store.edits import Edit, Import, ImportRow, email_taken, retagged
from app.store.entry import Entry, Identity, identity, lookup, tag_key
from app.store.migrations import migrate

_GROUP = 500  # contacts read or written by one statement
_SPOOL = 1_000_000  # bytes of an import that stay in memory before they go to a temporary file
_DENSE = 0.1  # the share of all contacts above which walking the list beats looking up each match

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

_GET = f"SELECT {_CONTACT} FROM contact c WHERE c.id = ?"
_GET_MANY = f"SELECT {_CONTACT} FROM contact c WHERE c.id IN (SELECT value FROM json_each(?))"
_BY_EMAIL = f"SELECT {_CONTACT} FROM contact c WHERE c.email_key = ?"
_TOTAL = "SELECT total FROM contact_count"
_PROBE = "UPDATE contact_count SET total = total"

# Of contacts that an import cannot tell apart, the oldest comes last and so wins.
_KNOWN = f"""
SELECT c.email_key, c.by_name, {_CONTACT} FROM contact c
WHERE c.email_key IN (SELECT value FROM json_each(?))
UNION ALL
SELECT c.email_key, c.by_name, {_CONTACT} FROM contact c
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

_LOG = """
INSERT INTO change (batch, contact_id, before, after)
SELECT ?, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
"""
_LOG_AGAIN = """
UPDATE change SET after = edit.value ->> 2 FROM json_each(?2) AS edit
WHERE change.batch = ?1 AND change.contact_id = edit.value ->> 0
"""
_OPEN_BATCH = "INSERT INTO batch (at, kind, size, undoes) VALUES (?, ?, 0, ?) RETURNING id"
_CLOSE_BATCH = "UPDATE batch SET size = (SELECT count(*) FROM change WHERE batch = ?1) WHERE id = ?1"
_UNDONE = "UPDATE batch SET undone_by = ? WHERE id = ?"

_CHANGE = "h.seq, h.batch, b.at, b.kind, h.contact_id, h.before, h.after"
_CHANGES = (
    f"SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch WHERE h.seq > ? ORDER BY h.seq LIMIT ?"
)
_CHANGES_OF = f"""
SELECT {_CHANGE} FROM change h JOIN batch b ON b.id = h.batch
WHERE h.batch = ? AND h.seq > ? ORDER BY h.seq LIMIT ?
"""
_CHANGED_SINCE = """
SELECT h.contact_id FROM change h WHERE h.batch = ? AND EXISTS (
    SELECT 1 FROM change later WHERE later.contact_id = h.contact_id AND later.batch > h.batch
) ORDER BY h.seq LIMIT 1
"""
_LAST_CHANGE = "SELECT coalesce(max(seq), 0) FROM change"
_BATCHES = f"""
SELECT b.size, b.undoes, b.undone_by, {_CHANGE} FROM batch b
JOIN change h ON h.seq = (SELECT min(seq) FROM change WHERE batch = b.id)
"""
_BATCH = f"{_BATCHES} WHERE b.id = ?"
_NEWEST_BATCHES = f"{_BATCHES} ORDER BY b.id DESC LIMIT ?"
# In the order of the log, new contacts have rising ids.
_SAMPLES = """
SELECT c.id FROM batch b CROSS JOIN change h ON h.batch = b.id CROSS JOIN contact c ON c.id = h.contact_id
WHERE b.kind = 'sample' AND h.before IS NULL AND c.version = 1 ORDER BY b.id, h.seq LIMIT ?
"""

_STATISTICS = """
SELECT count(*), count(email_key), count(nullif(phone, '')), count(iif(created_at >= ?, 1, NULL)),
    count(DISTINCT nullif(company_key, ''))
FROM contact
"""
# SQLite takes a bare column of a group from the row that has the group's min().
_TOP_COMPANIES = """
SELECT company, count(*) AS contacts, min(id) FROM contact WHERE company_key <> ''
GROUP BY company_key ORDER BY contacts DESC, company_key LIMIT 5
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What is wrong and what to do about it, by the primary code of SQLite's error.
_TROUBLE = {
    sqlite3.SQLITE_BUSY: ("{file} is busy: something else is writing to it", "Try again in a moment."),
    sqlite3.SQLITE_READONLY: (
        "{file} is read-only",
        "Make the file and its folder writable for this user, then start the app again.",
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
_CLOSED = "The address book is closed."


class _Slot:
    """A connection and the lock that keeps every other thread, close() included, off it.

    Using one connection from two threads at once, or closing it while it is in use, does not
    raise: it crashes the process.
    """

    __slots__ = ("conn", "lock", "thread")

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn: sqlite3.Connection | None = conn
        self.lock = threading.Lock()
        self.thread = threading.current_thread()

    def __enter__(self) -> sqlite3.Connection:
        self.lock.acquire()
        if self.conn is None:
            self.lock.release()
            raise StoreUnavailable(_CLOSED)
        return self.conn

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def close(self) -> None:
        with self.lock:
            conn, self.conn = self.conn, None
            if conn is not None:
                conn.close()


class SQLiteStore:
    """Contacts in an SQLite file. The contract is that of app.store.ContactStore.

    busy_timeout: seconds that a write waits for others before it raises StoreUnavailable. An
    import, which writes some ten thousand contacts a second, is one write.
    The thread that makes the store holds no connection afterwards, so the process may fork.
    """

    def __init__(self, path: Path, *, busy_timeout: float = 5.0) -> None:
        self._path = path.absolute()
        self._busy_timeout = busy_timeout
        self._local = threading.local()
        self._slots: set[_Slot] = set()
        self._registry = threading.Lock()  # guards _slots and _closed
        self._writing = threading.Lock()
        self._closed = False
        self._damaged = False
        self._inode = self._open()

    # --- reading

    def list(self, query: ListQuery) -> ContactPage:
        with self._read() as conn, _transaction(conn, "BEGIN"):
            return _page(conn, query)

    def get(self, contact_id: int) -> Contact:
        with self._read() as conn:
            return _get(conn, contact_id)

    def count(self, query: ListQuery | None = None) -> int:
        with self._read() as conn:
            return _count(conn, query or ListQuery())

    def find_email(self, email: str) -> Contact | None:
        with self._read() as conn:
            return _find_email(conn, email_key(lookup(email)))

    def export(self, query: ListQuery) -> Iterator[Contact]:
        # The ids, eight bytes each, settle who comes and in which order, whatever is written
        # meanwhile; so no transaction stays open while a slow reader takes its time.
        with self._read() as conn, _transaction(conn, "BEGIN"):
            sql, values = _matching(query, walk=_is_dense(conn, _count(conn, query)))
            rows = conn.execute(f"SELECT c.id {sql} {_order_by(query)}", values)
            ids = array("q", (contact_id for (contact_id,) in rows))
        return self._each(ids)

    def changes(self, after: int, limit: int = 100) -> Sequence[Change]:
        with self._read() as conn:
            rows = conn.execute(_CHANGES, (min(max(after, 0), 2**63 - 1), limit)).fetchall()
        return tuple(map(_to_change, rows))

    def last_change(self) -> int:
        with self._read() as conn:
            return _value(conn, _LAST_CHANGE)

    def batch(self, batch_id: int) -> Batch | None:
        with self._read() as conn:
            return _find_batch(conn, batch_id)

    def batches(self, limit: int = 20) -> Sequence[Batch]:
        with self._read() as conn:
            return tuple(map(_to_batch, conn.execute(_NEWEST_BATCHES, (limit,)).fetchall()))

    def samples(self, limit: int | None = None) -> Sequence[int]:
        with self._read() as conn:
            rows = conn.execute(_SAMPLES, (-1 if limit is None else limit,)).fetchall()
        return tuple(contact_id for (contact_id,) in rows)

    def statistics(self) -> Statistics:
        week_ago = milliseconds(now() - timedelta(days=7))
        with self._read() as conn, _transaction(conn, "BEGIN"):
            total, with_email, with_phone, added, companies = conn.execute(
                _STATISTICS, (week_ago,)
            ).fetchone()
            top = conn.execute(_TOP_COMPANIES).fetchall()
        top_companies = tuple((company, contacts) for company, contacts, _ in top)
        return Statistics(total, with_email, with_phone, added, companies, top_companies)

    # --- writing

    def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
        prepared = Entry.of(Contact.create(0, draft.clean(), now()))
        with self._write() as conn:
            at = now()
            if taken_by := _find_email(conn, prepared.email):
                raise email_taken(taken_by)
            contact = replace(prepared.contact, id=_next_id(conn), created_at=at, updated_at=at)
            return contact, _record_one(conn, "add", at, Edit(None, prepared.at(contact)))

    def update(self, contact_id: int, draft: ContactDraft, version: int) -> tuple[Contact, Batch | None]:
        draft = draft.clean()
        prepared = Entry.of(Contact.create(contact_id, draft, now()))
        with self._write() as conn:
            at = now()
            current = _get(conn, contact_id)
            if current.version != version:
                raise EditConflict(current)
            if (taken_by := _find_email(conn, prepared.email)) and taken_by.id != contact_id:
                raise email_taken(taken_by)
            if current.holds(draft):
                return current, None
            contact = current.changed(draft, at)
            return contact, _record_one(conn, "update", at, Edit(current, prepared.at(contact)))

    def delete(self, contact_ids: Sequence[int]) -> Batch | None:
        with self._write() as conn:
            edits = _edits(conn, contact_ids, lambda contact: Edit(contact, None))
            return _record(conn, "delete", now(), edits)

    def tag(
        self, contact_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Batch | None:
        with self._write() as conn:
            at = now()
            edits = _edits(conn, contact_ids, lambda contact: retagged(contact, add, remove, at))
            return _record(conn, "tag", at, edits)

    def undo(self, batch_id: int) -> Batch:
        with self._write() as conn:
            at = now()
            if _find_batch(conn, batch_id) is None:
                raise NoSuchBatch(batch_id)
            if changed := conn.execute(_CHANGED_SINCE, (batch_id,)).fetchall():
                raise EditConflict(_find(conn, changed[0][0]))
            batch = _record(conn, "undo", at, _inverses(conn, batch_id, at), undoes=batch_id)
            assert batch, "a batch in the log has changes"
            return batch

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            failed = _spool(drafts, spool, progress)
            with self._write() as conn:
                plan = Import(on_duplicate, now(), _next_id(conn), failed=failed)
                groups = (plan.edits(rows, _known(conn, rows)) for rows in _unspool(spool))
                batch = _record(conn, kind, plan.at, groups)
        return plan.result(batch)

    # --- running

    def check(self) -> None:
        self._refuse_if_lost()
        self._refuse_if_damaged()
        if not (os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)):
            raise StoreUnavailable(self._unavailable(sqlite3.SQLITE_READONLY))
        self.count()

    def open_worker(self) -> None:
        with self._read():
            pass

    def close_worker(self) -> None:
        slot: _Slot | None = self._local.__dict__.pop("slot", None)
        if slot is not None:
            with self._registry:
                self._slots.discard(slot)
            slot.close()

    def close(self) -> None:
        with self._registry:
            self._closed = True
            slots, self._slots = self._slots, set()
        for slot in slots:
            slot.close()

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
            conn.execute("PRAGMA synchronous = NORMAL")
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA trusted_schema = OFF")
            conn.execute("PRAGMA journal_size_limit = 64000000")  # or the log keeps a large import's size
        except sqlite3.Error:
            conn.close()
            raise
        return conn

    def _slot(self) -> _Slot:
        """The calling thread's own slot, opened at its first call."""
        slot: _Slot | None = getattr(self._local, "slot", None)
        if slot is not None:
            return slot
        self._refuse_if_lost()
        slot = _Slot(self._connect())
        with self._registry:  # published only when set up: from here on close() may reach it
            ended = {other for other in self._slots if not other.thread.is_alive()}
            self._slots = {slot, *self._slots} - ended
        if self._closed:
            ended.add(slot)
        for other in ended:
            other.close()
        self._local.slot = slot
        return slot

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """The thread's connection. Do not call another method of the store inside: it waits for this one."""
        with self._errors(), self._slot() as conn:
            yield conn

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything written inside is kept, or, if anything raises, nothing of it."""
        if not self._writing.acquire(timeout=self._busy_timeout):
            raise StoreUnavailable(self._unavailable(sqlite3.SQLITE_BUSY))
        try:
            self._refuse_if_lost()
            self._refuse_if_damaged()
            with self._read() as conn, _transaction(conn, "BEGIN IMMEDIATE"):
                yield conn
        finally:
            self._writing.release()

    def _refuse_if_lost(self) -> None:
        """StoreUnavailable when closed, and when the path no longer leads to the file that was opened.

        SQLite would go on writing to a deleted file, and all of it would be gone with the process.
        """
        if self._closed:
            raise StoreUnavailable(_CLOSED)
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
            raise StoreUnavailable(self._unavailable(code)) from error

    def _unavailable(self, code: int) -> str:
        trouble, remedy = _TROUBLE[code]
        return f"{trouble.format(file=self._path.name)}. Nothing was saved. {remedy}"

    def _each(self, ids: Sequence[int]) -> Iterator[Contact]:
        """The contacts with these ids, in their order, as they are when their turn comes."""
        for group in itertools.batched(ids, _GROUP, strict=False):
            with self._read() as conn:
                contacts = _get_many(conn, group)
            yield from (contacts[contact_id] for contact_id in group if contact_id in contacts)


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


def _spool(
    drafts: Iterable[ContactDraft], spool: IO[bytes], progress: Callable[[int], object]
) -> list[RowError]:
    """Prepare the drafts of an import and put them aside; return those that break a rule.

    Not in memory, which a large import would fill, and not in the database, which others
    could not write to while the drafts are read.
    """
    failed: list[RowError] = []
    done = 0
    for group in itertools.batched(drafts, _GROUP, strict=False):
        at = now()
        rows = [ImportRow.read(done + number, draft, at) for number, draft in enumerate(group, 1)]
        failed += [row for row in rows if isinstance(row, RowError)]
        _put_aside([row for row in rows if isinstance(row, ImportRow)], spool)
        done += len(group)
        progress(done)
    progress(done)
    return failed


def _put_aside(rows: Sequence[ImportRow], spool: IO[bytes]) -> None:
    try:
        pickle.dump(rows, spool)
        spool.flush()
    except OSError as error:
        raise StoreUnavailable(
            f"The folder {tempfile.gettempdir()} cannot be written to: {error.strerror}. Nothing was saved. "
            "Free some space there, then try again."
        ) from error


def _unspool(spool: IO[bytes]) -> Iterator[Sequence[ImportRow]]:
    """The groups that `_spool` put aside, in their order."""
    spool.seek(0)
    while True:
        try:
            yield pickle.load(spool)
        except EOFError:
            return


# --- reading; each function takes the connection of a thread that holds its slot


def _value(conn: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> int:
    value: int = conn.execute(sql, values).fetchall()[0][0]
    return value


def _page(conn: sqlite3.Connection, query: ListQuery) -> ContactPage:
    total = _count(conn, query)
    sql, values = _matching(query, walk=_is_dense(conn, total))
    rows: list[Any] = []
    for behind, place_values in _behind_place(query):
        page = f"SELECT {_CONTACT}, {_ORDER[query.sort]} {sql} AND {behind} {_order_by(query)} LIMIT ?"
        rows += conn.execute(page, (*values, *place_values, query.limit + 1 - len(rows))).fetchall()
    shown = rows[: query.limit]
    place: Place | None = (shown[-1][-1], shown[-1][0]) if len(rows) > query.limit else None
    return ContactPage(tuple(_to_contact(row[:-1]) for row in shown), total, place)


def _count(conn: sqlite3.Connection, query: ListQuery) -> int:
    if not query.is_filtered:
        return _value(conn, _TOTAL)
    sql, values = _matching(query, walk=False)
    return _value(conn, f"SELECT count(*) {sql}", values)


def _is_dense(conn: sqlite3.Connection, matching: int) -> bool:
    return matching > _DENSE * _value(conn, _TOTAL)


def _matching(query: ListQuery, *, walk: bool) -> tuple[str, list[object]]:
    """FROM and WHERE for the contacts that match, with their values; place and limit disregarded.

    walk: go along the index of the query's order and test each contact, which ends early when
    many match. Otherwise begin with the search index or the tags, and leave sorting the few
    that match to SQLite. CROSS JOIN and (NOT) INDEXED fix the plan that this asks for.
    """
    words = terms(query.text)
    tests: list[str] = []
    values: list[object] = []
    if walk or not query.is_filtered:
        source = f"contact c INDEXED BY {_INDEX[query.sort]}"
    elif words:
        source = "contact_search s CROSS JOIN contact c ON c.id = s.rowid"
        # Not escaped, which the index would not take: `%` and `_` find too much, and instr() decides.
        tests += ["s.haystack LIKE ?"] * len(words)
        values += [f"%{word}%" for word in words]
    else:
        source = "contact c NOT INDEXED"
    tests += ["instr(c.haystack, ?)"] * len(words)
    values += words
    for tag in query.tags:
        tests.append("c.id IN (SELECT contact_id FROM contact_tag WHERE tag = ?)")
        values.append(tag_key(tag))
    return f"FROM {source} WHERE {' AND '.join(tests or ['true'])}", values


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


def _find(conn: sqlite3.Connection, contact_id: int) -> Contact | None:
    rows = conn.execute(_GET, (contact_id,)).fetchall() if is_id(contact_id) else []
    return _to_contact(rows[0]) if rows else None


def _get(conn: sqlite3.Connection, contact_id: int) -> Contact:
    contact = _find(conn, contact_id)
    if contact is None:
        raise NoSuchContact(contact_id)
    return contact


def _get_many(conn: sqlite3.Connection, contact_ids: Iterable[int]) -> dict[int, Contact]:
    rows = conn.execute(_GET_MANY, (_json(list(contact_ids)),)).fetchall()
    return {row[0]: _to_contact(row) for row in rows}


def _find_email(conn: sqlite3.Connection, key: str | None) -> Contact | None:
    rows = conn.execute(_BY_EMAIL, (key,)).fetchall()
    return _to_contact(rows[0]) if rows else None


def _find_batch(conn: sqlite3.Connection, batch_id: int) -> Batch | None:
    rows = conn.execute(_BATCH, (batch_id,)).fetchall() if is_id(batch_id) else []
    return _to_batch(rows[0]) if rows else None


def _known(conn: sqlite3.Connection, rows: Sequence[ImportRow]) -> dict[Identity, Contact]:
    """The contacts that these rows may be. A row with an email is known by nothing else."""
    emails = [row.entry.email for row in rows if row.entry.email]
    names = [row.entry.order["name"] for row in rows if not row.entry.email]
    found = (
        (key, name, _to_contact(row))
        for key, name, *row in conn.execute(_KNOWN, (_json(emails), _json(names)))
    )
    return {identity(key, name, contact.phone): contact for key, name, contact in found}


def _next_id(conn: sqlite3.Connection) -> int:
    """The id for a new contact: above every id ever given."""
    return _value(conn, _LAST_ID) + 1


# --- writing; inside a transaction


def _edits(
    conn: sqlite3.Connection, contact_ids: Iterable[int], edit: Callable[[Contact], Edit | None]
) -> Iterator[Sequence[Edit]]:
    """The edits of the contacts that exist, once each, in the order given."""
    known = filter(is_id, dict.fromkeys(contact_ids))
    for group in itertools.batched(known, _GROUP, strict=False):
        contacts = _get_many(conn, group)
        edits = (edit(contacts[contact_id]) for contact_id in group if contact_id in contacts)
        yield [made for made in edits if made]


def _inverses(conn: sqlite3.Connection, batch_id: int, at: datetime) -> Iterator[Sequence[Edit]]:
    """The edits that undo a batch; InvalidContact when another contact has an email by now."""
    seq = 0
    while changes := [
        _to_change(row) for row in conn.execute(_CHANGES_OF, (batch_id, seq, _GROUP)).fetchall()
    ]:
        yield [_inverse(conn, change, at) for change in changes]
        seq = changes[-1].seq


def _inverse(conn: sqlite3.Connection, change: Change, at: datetime) -> Edit:
    contact = inverse(change, at)
    if contact is None:
        return Edit(change.after, None)
    entry = Entry.of(contact)
    if (taken_by := _find_email(conn, entry.email)) and taken_by.id != contact.id:
        raise email_taken(taken_by)
    return Edit(change.after, entry)


def _record_one(conn: sqlite3.Connection, kind: Kind, at: datetime, edit: Edit) -> Batch:
    batch = _record(conn, kind, at, [[edit]])
    assert batch, "an edit makes a batch"
    return batch


def _record(
    conn: sqlite3.Connection,
    kind: Kind,
    at: datetime,
    groups: Iterable[Sequence[Edit]],
    undoes: int | None = None,
) -> Batch | None:
    """Write the edits and their log as one batch; None when there are none.

    Each group is written before the next is asked for, which may thus depend on it.
    """
    batch_id = None
    for edits in filter(None, groups):
        if batch_id is None:
            batch_id = _value(conn, _OPEN_BATCH, (milliseconds(at), kind, undoes))
        _apply(conn, batch_id, edits)
    if batch_id is None:
        return None
    conn.execute(_CLOSE_BATCH, (batch_id,))
    if undoes is not None:
        conn.execute(_UNDONE, (batch_id, undoes))
    return _find_batch(conn, batch_id)


def _apply(conn: sqlite3.Connection, batch_id: int, edits: Sequence[Edit]) -> None:
    """Write a group of edits: the contacts, their tags, the log."""
    if gone := [edit.contact_id for edit in edits if edit.after is None]:
        conn.execute(_DELETE, (_json(gone),))
    if kept := [edit.after for edit in edits if edit.after]:
        conn.execute(_KEEP, (_json([_from_entry(entry) for entry in kept]),))
    if retagged := [
        entry for edit in edits if (entry := edit.after) and _tags(edit.before) != entry.contact.tags
    ]:
        conn.execute(_UNTAG, (_json([entry.contact.id for entry in retagged]),))
        conn.execute(_TAG, (_json([(tag, entry.contact.id) for entry in retagged for tag in entry.tags]),))
    if log := [_from_edit(edit) for edit in edits if not edit.again]:
        conn.execute(_LOG, (batch_id, _json(log)))
    if log_again := [_from_edit(edit) for edit in edits if edit.again]:
        conn.execute(_LOG_AGAIN, (batch_id, _json(log_again)))


def _tags(contact: Contact | None) -> tuple[str, ...]:
    return contact.tags if contact else ()


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
        tuple(json.loads(tags)),
        _to_datetime(created_at),
        _to_datetime(updated_at),
        version,
    )


def _from_entry(entry: Entry) -> tuple[object, ...]:
    """The values that _KEEP takes, in its order."""
    return (
        *_from_contact(entry.contact).values(),
        entry.email,
        entry.company,
        entry.order["name"],
        entry.order["email"],
        entry.order["company"],
        entry.haystack,
    )


def _from_contact(contact: Contact) -> dict[str, object]:
    """A contact as the log keeps it, in the order of _CONTACT."""
    return {
        "id": contact.id,
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "company": contact.company,
        "notes": contact.notes,
        "tags": contact.tags,
        "created_at": milliseconds(contact.created_at),
        "updated_at": milliseconds(contact.updated_at),
        "version": contact.version,
    }


def _from_edit(edit: Edit) -> tuple[object, ...]:
    """The values that _LOG takes."""
    after = edit.after.contact if edit.after else None
    return edit.contact_id, edit.before and _from_contact(edit.before), after and _from_contact(after)


def _to_logged(text: str | None) -> Contact | None:
    """The contact that the log keeps as this text."""
    if text is None:
        return None
    fields = json.loads(text)
    times = {name: _to_datetime(fields[name]) for name in ("created_at", "updated_at")}
    return Contact(**fields | times | {"tags": tuple(fields["tags"])})


def _to_change(row: Sequence[Any]) -> Change:
    """The change of a row with the columns of _CHANGE."""
    seq, batch, at, kind, contact_id, before, after = row
    return Change(seq, batch, _to_datetime(at), kind, contact_id, _to_logged(before), _to_logged(after))


def _to_batch(row: Sequence[Any]) -> Batch:
    """The batch of a row of _BATCHES."""
    size, undoes, undone_by, *columns = row
    first = _to_change(columns)
    return Batch(first.batch, first.at, first.kind, size, first, undoes, undone_by)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _to_datetime(since_epoch: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=since_epoch)
