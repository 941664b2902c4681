"""A copy of a database file that is in use."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from app.store import CannotOpen, StoreUnavailable


def back_up(url: str, target: Path) -> int:
    """Copy the database that a store URL names, as it stands at one moment; return its contacts.

    The app may go on reading and writing it meanwhile. The copy is checked and then moved to
    its place, so that place never holds half of one. CannotOpen when there is no file to copy;
    StoreUnavailable, and nothing at the target that was not there, when it cannot be written.
    """
    source = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not source.is_file():
        raise CannotOpen(f"There is no database file at {url}. Name one in CONTACTS_STORE.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as conn,
            closing(sqlite3.connect(draft)) as copy,
        ):
            conn.backup(copy)  # in one step: several begin anew whenever the app writes in between
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise StoreUnavailable(f"{source.name} is damaged, so the copy is, too. Restore a backup.")
            contacts: int = copy.execute("SELECT count(*) FROM contact").fetchone()[0]
        draft.chmod(source.stat().st_mode)
        draft.replace(target)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source.name} cannot be copied to {target}: {error}.") from error
    except OSError as error:
        raise StoreUnavailable(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return contacts
