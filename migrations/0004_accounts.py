"""Users, their sessions and API tokens, and failed attempts to sign in. See app/store/accounts.py."""

from sqlite_utils import Database, Migrations

migrations = Migrations("contacts")

SCHEMA = """
-- Times are milliseconds since 1970. name_key: the name in small letters, so that SQLite only compares bytes.
CREATE TABLE account (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL UNIQUE,
    password   TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB NOT NULL UNIQUE,
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    remembered INTEGER NOT NULL,
    browser    TEXT NOT NULL
) STRICT;

CREATE INDEX session_account ON session (account_id);

CREATE TABLE api_token (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB NOT NULL UNIQUE,
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX api_token_account ON api_token (account_id);

-- until: before that, nobody may try again.
CREATE TABLE attempt (
    key      BLOB PRIMARY KEY,
    failures INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_at ON attempt (at);
"""


@migrations(name="0004_accounts")
def accounts(db: Database) -> None:
    """Make the tables of sign-in; they stay empty where nobody has to."""
    db.executescript(SCHEMA)
