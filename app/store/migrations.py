"""Brings a database file to the schema of this code: applies what is new in `migrations/`.

sqlite-utils does the work and keeps the record, in the table `_sqlite_migrations`. It is
slow to import, so a database that is up to date is recognised without it.
"""

import logging
import os
import runpy
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from app.store import CannotOpen
from app.store.private import make_private

if TYPE_CHECKING:
    from sqlite_utils import Migrations

if sys.platform != "win32":
    import fcntl

FOLDER = Path(__file__).parents[2] / "migrations"
MIGRATING = "Bringing the address book to the newest schema."

log = logging.getLogger(__name__)


def migrate(path: Path, *, folder: Path = FOLDER, timeout: float = 5.0) -> None:
    """Apply the migrations that the database lacks, all of them or, if one fails, none.

    Makes the file when there is none, for its owner alone, and sets it to write-ahead logging. Safe
    when several processes start at once. CannotOpen, and no change, for a database that a newer version
    of the app or another program made; errors of sqlite3 and of a migration pass through.
    """
    steps = sorted(folder.glob("[0-9]*.py"))
    with _alone_in(path.parent):
        with suppress(OSError):  # of a file that cannot be made, SQLite says why
            make_private(path.resolve())  # those beside it get the same mode from SQLite
        with closing(_connect(path, timeout)) as conn:
            if not _is_current(conn, path, steps):
                log.info(MIGRATING)
                _apply(conn, steps)


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout, isolation_level=None)  # the only kind sqlite-utils takes


def _is_current(conn: sqlite3.Connection, path: Path, steps: list[Path]) -> bool:
    """Whether nothing is left to do; CannotOpen when it is not for this code to do it."""
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    applied = set[str]()
    if "_sqlite_migrations" in tables:
        rows = conn.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'contacts'")
        applied = {name for (name,) in rows}
    if tables - {"_sqlite_migrations"} and not applied:
        raise CannotOpen(f"{path} is the database of another program. Name another file in CONTACTS_STORE.")
    if unknown := applied - {step.stem for step in steps}:
        raise CannotOpen(
            f"{path} was made by a newer version of this app (it has {max(unknown)}). "
            "Update the app, or name another file in CONTACTS_STORE."
        )
    return len(applied) == len(steps) and conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def _apply(conn: sqlite3.Connection, steps: list[Path]) -> None:
    from sqlite_utils import Database

    db = Database(conn)
    # One transaction around all of them, each in a savepoint. IMMEDIATE waits for its turn where
    # a plain BEGIN would read first and then fail.
    conn.execute("BEGIN IMMEDIATE")
    try:
        for step in steps:
            _load(step).apply(db)
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    conn.execute("PRAGMA journal_mode = WAL")  # kept in the file; not possible inside a transaction


def _load(step: Path) -> Migrations:
    """The `migrations` of a file, which is no module: its name begins with a number."""
    migrations: Migrations = runpy.run_path(str(step))["migrations"]
    return migrations


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep every other process that migrates a database in this folder waiting.

    The switch to write-ahead logging fails rather than wait when two processes try it at
    once. The lock is on the folder, because locking the database file itself would drop
    SQLite's own locks and a file beside it would stay behind. Windows has no such lock: the
    schema is still safe in its transaction, but of two processes that start at the same
    moment on a new file one may have to be started again.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
