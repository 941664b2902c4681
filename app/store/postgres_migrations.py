"""Brings a PostgreSQL database to the schema of this code: applies what is new in `migrations/postgres/`.

The names of the files that were applied are in the table `contacts_migration`.
"""

import logging
from pathlib import Path

import psycopg

from app.store import CannotOpen
from app.store.migrations import MIGRATING

FOLDER = Path(__file__).parents[2] / "migrations/postgres"

log = logging.getLogger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"
# Tables of this schema; what an extension has brought is nobody's.
_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
_RECORD = """
CREATE TABLE IF NOT EXISTS contacts_migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())
"""
_HAS_TRIGRAMS = "SELECT FROM pg_extension WHERE extname = 'pg_trgm'"
_NO_TRIGRAMS = (
    "The database lacks the extension pg_trgm, which search needs, and this user may not make it. "
    "As an administrator of the database: CREATE EXTENSION pg_trgm; (Debian has it in postgresql-contrib)."
)
_OLDEST = 13


def migrate(conn: psycopg.Connection, lock: tuple[int, int], *, folder: Path = FOLDER) -> None:
    """Apply the migrations that the database lacks, all of them or, if one fails, none.

    conn: in autocommit mode. lock: the advisory lock under which processes that start at once
    take turns. CannotOpen, and no change, for a database that a newer version of the app or another
    program made, or that is not fit for the app; errors of psycopg pass through.
    """
    _refuse_unfit(conn)
    steps = sorted(folder.glob("[0-9]*.sql"))
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = '60s'")
        conn.execute(_LOCK, lock)
        applied = _applied(conn, {step.stem for step in steps})
        missing = [step for step in steps if step.stem not in applied]
        if missing:
            log.info(MIGRATING)
            _make_trigrams(conn)
            conn.execute(_RECORD)
        for step in missing:
            conn.execute(step.read_bytes(), prepare=False)
            conn.execute("INSERT INTO contacts_migration (name) VALUES (%s)", (step.stem,))


def _refuse_unfit(conn: psycopg.Connection) -> None:
    if conn.info.server_version < _OLDEST * 10_000:
        raise CannotOpen(f"This PostgreSQL is older than version {_OLDEST}. Update it.")
    encoding = conn.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise CannotOpen(
            f"The database keeps text as {encoding}. "
            "Make one with ENCODING 'UTF8', and name it in CONTACTS_STORE."
        )
    if conn.execute("SELECT current_schema()").fetchone() == (None,):
        raise CannotOpen("The database has no schema for tables: check the search_path of this user.")


def _applied(conn: psycopg.Connection, known: set[str]) -> set[str]:
    """The migrations that the database has; CannotOpen when it is not for this code to touch it."""
    tables = {name for (name,) in conn.execute(_TABLES).fetchall()}
    if "contacts_migration" not in tables:
        if tables:
            raise CannotOpen(
                "The database holds the tables of another program. "
                "Make one for the contacts alone (CREATE DATABASE), and name it in CONTACTS_STORE."
            )
        return set()
    applied = {name for (name,) in conn.execute("SELECT name FROM contacts_migration").fetchall()}
    if unknown := applied - known:
        raise CannotOpen(
            f"The database was made by a newer version of this app (it has {max(unknown)}). "
            "Update the app, or name another database in CONTACTS_STORE."
        )
    return applied


def _make_trigrams(conn: psycopg.Connection) -> None:
    if conn.execute(_HAS_TRIGRAMS).fetchone() is not None:
        return
    try:
        conn.execute("CREATE EXTENSION pg_trgm")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported,
            psycopg.errors.UndefinedFile) as error:  # fmt: skip
        raise CannotOpen(_NO_TRIGRAMS) from error
