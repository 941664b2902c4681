"""A copy of a database file that is in use, and the way back."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from app.store import CannotOpen, StoreUnavailable, shown
from app.store.private import replacing


def back_up(url: str, target: Path) -> int:
    """Copy the database that a store URL names, as it stands at one moment; return its contacts.

    The app may go on reading and writing it meanwhile. The copy is checked and then moved to
    its place, so that place never holds half of one. CannotOpen when there is no file to copy;
    StoreUnavailable, and nothing at the target that was not there, when it cannot be written.
    """
    source = _file_of(url)
    if not source.is_file():
        raise CannotOpen(f"There is no database file at {shown(url)}. Name one in CONTACTS_STORE.")
    if not target.parent.is_dir():
        raise CannotOpen(f"The folder {target.parent} does not exist. Make it first.")
    try:
        with replacing(target) as draft:
            return _copy(source, draft)
    except OSError as error:
        raise StoreUnavailable(f"{target} cannot be written: {error.strerror}.") from error


def restore(url: str, backup: Path) -> tuple[int, Path | None]:
    """Put a copy of a backup in the place of the database that a store URL names, while the app is stopped.

    Returns its contacts, and where the database that was there is now, None if there was none. To
    copy the file by hand is not enough when the app was killed: what it wrote last is in a file
    beside the database, and would be added to the backup. CannotOpen for what is in the way,
    StoreUnavailable when it cannot be written; then all is as it was.
    """
    target = _file_of(url)
    old = target.with_name(f"{target.name}.old")
    if not backup.is_file():
        raise CannotOpen(f"There is no file {backup}.")
    if old.exists():
        raise CannotOpen(f"{old} is there already, from another time. Move it away first.")
    try:
        with replacing(target) as draft:
            contacts = _copy(backup, draft)
            had_one = target.exists()
            _refuse_if_in_use(target)
            for ending in ("-wal", "-shm", ""):  # the first two are there only if it is damaged
                with suppress(FileNotFoundError):
                    os.replace(f"{target}{ending}", f"{old}{ending}")
    except OSError as error:
        raise StoreUnavailable(f"{target} cannot be written: {error.strerror}.") from error
    return contacts, old if had_one else None


def _file_of(url: str) -> Path:
    """The file of an SQLite store; CannotOpen for another store."""
    if url.startswith("postgres"):
        raise CannotOpen("CONTACTS_STORE is a PostgreSQL database. Use pg_dump and pg_restore.")
    if not url.startswith("sqlite:///"):
        raise CannotOpen(f"There is no database file at {shown(url)}. Name one in CONTACTS_STORE.")
    return Path(url.removeprefix("sqlite:///"))


def _copy(source: Path, target: Path) -> int:
    """Copy a database to an empty file and check it; its contacts. StoreUnavailable if that fails."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as conn,
            closing(sqlite3.connect(target)) as copy,
        ):
            conn.backup(copy)  # in one step: several begin anew whenever the app writes in between
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise StoreUnavailable(f"{source.name} is damaged, so the copy is, too. Restore a backup.")
            contacts: int = copy.execute("SELECT count(*) FROM contact").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source.name} cannot be copied to {target.parent}: {error}.") from error
    return contacts


def _refuse_if_in_use(database: Path) -> None:
    """CannotOpen when anybody has the database open; else bring what was written last into its file."""
    if not database.exists():
        return
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database, timeout=0)) as conn:
        try:
            conn.execute("PRAGMA journal_mode = DELETE")  # for which it must be alone
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise CannotOpen(f"{database} is in use. Stop the app first.") from None
            raise
