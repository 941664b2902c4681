"""SQLAccounts: the accounts of a store in a database. All their SQL is here and in `migrations/`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.contacts.listing import milliseconds
from app.store.accounts import IDLE, MEMORY, NameTaken, Session, Token, User, wait_after
from app.store.entry import lookup
from app.store.sql import Rows, SQLStore, to_datetime

_USER = "a.id, a.name, a.changed_at"
_SESSION = f"s.id, s.created_at, s.seen_at, s.ends_at, s.remembered, s.browser, {_USER}"
_SESSIONS = f"SELECT {_SESSION} FROM session s JOIN account a ON a.id = s.account_id"
_LASTS = "ends_at > ? AND (remembered = 1 OR seen_at > ?)"
_TOKENS = (
    f"SELECT t.id, t.label, t.created_at, {_USER} FROM api_token t JOIN account a ON a.id = t.account_id"
)

_ACCOUNT = "name, name_key, password, changed_at"
_OWNED = {  # by table, what an account has
    "session": "key, created_at, seen_at, ends_at, remembered, browser",
    "api_token": "key, label, created_at",
}
_ADD_USER = f"INSERT INTO account ({_ACCOUNT}) VALUES (?, ?, ?, ?) RETURNING id"
_OPEN_SESSION = """
INSERT INTO session (key, account_id, created_at, seen_at, ends_at, remembered, browser)
SELECT ?, id, ?, ?, ?, ?, ? FROM account WHERE id = ? AND changed_at = ?
"""
_ATTEMPT = """
INSERT INTO attempt VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, until = excluded.until
"""


class SQLAccounts:
    """The contract is that of app.store.accounts.Accounts.

    The connections, the turn to write and the errors are the store's own: two connections of one
    thread would have to wait for each other.
    """

    def __init__(self, store: SQLStore) -> None:
        self._read, self._write = store._rows, store._write

    def add_user(self, name: str, password: str, at: datetime) -> User:
        with self._write() as rows:
            if rows.execute("SELECT 1 FROM account WHERE name_key = ?", (name.casefold(),)).fetchone():
                raise NameTaken(name)
            made = rows.execute(_ADD_USER, (name, name.casefold(), password, milliseconds(at))).fetchone()
        return User(made[0], name, at)

    def users(self) -> Sequence[User]:
        with self._read() as rows:
            return [
                _to_user(row)
                for row in rows.execute(f"SELECT {_USER} FROM account a ORDER BY name_key").fetchall()
            ]

    def find(self, name: str) -> tuple[User, str] | None:
        sql = f"SELECT {_USER}, a.password FROM account a WHERE a.name_key = ?"
        key = lookup(name.casefold())
        if "\0" in key:
            return None  # no name has it, and PostgreSQL refuses to look for it
        with self._read() as rows:
            row = rows.execute(sql, (key,)).fetchone()
        return row and (_to_user(row[:3]), row[3])

    def set_password(self, user_id: int, password: str, at: datetime) -> None:
        with self._write() as rows:
            rows.execute(
                "UPDATE account SET password = ?, changed_at = ? WHERE id = ?",
                (password, milliseconds(at), user_id),
            )
            rows.execute("DELETE FROM session WHERE account_id = ?", (user_id,))

    def rehash(self, user_id: int, old: str, new: str) -> None:
        with self._write() as rows:
            rows.execute("UPDATE account SET password = ? WHERE id = ? AND password = ?", (new, user_id, old))

    def remove_user(self, user_id: int) -> None:
        with self._write() as rows:
            rows.execute("DELETE FROM account WHERE id = ?", (user_id,))

    def open_session(
        self, key: bytes, user: User, *, at: datetime, ends_at: datetime, remembered: bool, browser: str
    ) -> bool:
        began = milliseconds(at)
        row = (key, began, began, milliseconds(ends_at), int(remembered), browser)
        with self._write() as rows:
            rows.execute(f"DELETE FROM session WHERE NOT ({_LASTS})", _moments(at))
            made = rows.execute(_OPEN_SESSION, (*row, user.id, milliseconds(user.changed_at)))
        return made.rowcount == 1

    def session(self, key: bytes, at: datetime) -> Session | None:
        with self._read() as rows:
            row = rows.execute(f"{_SESSIONS} WHERE s.key = ? AND {_LASTS}", (key, *_moments(at))).fetchone()
        return row and _to_session(row)

    def touch(self, session_id: int, at: datetime) -> None:
        with self._write() as rows:
            rows.execute("UPDATE session SET seen_at = ? WHERE id = ?", (milliseconds(at), session_id))

    def sessions(self, user_id: int, at: datetime) -> Sequence[Session]:
        sql = f"{_SESSIONS} WHERE s.account_id = ? AND {_LASTS} ORDER BY s.seen_at DESC, s.id DESC"
        with self._read() as rows:
            found = rows.execute(sql, (user_id, *_moments(at))).fetchall()
        return [_to_session(row) for row in found]

    def end_session(self, key: bytes) -> None:
        with self._write() as rows:
            rows.execute("DELETE FROM session WHERE key = ?", (key,))

    def end_sessions(self, user_id: int) -> None:
        with self._write() as rows:
            rows.execute("DELETE FROM session WHERE account_id = ?", (user_id,))

    def add_token(self, key: bytes, user_id: int, label: str, at: datetime) -> Token:
        with self._write() as rows:
            rows.execute(
                "INSERT INTO api_token (key, account_id, label, created_at) VALUES (?, ?, ?, ?)",
                (key, user_id, label, milliseconds(at)),
            )
            return _to_token(rows.execute(f"{_TOKENS} WHERE t.key = ?", (key,)).fetchone())

    def token_user(self, key: bytes) -> User | None:
        with self._read() as rows:
            row = rows.execute(f"{_TOKENS} WHERE t.key = ?", (key,)).fetchone()
        return row and _to_token(row).user

    def tokens(self) -> Sequence[Token]:
        with self._read() as rows:
            found = rows.execute(f"{_TOKENS} ORDER BY t.id").fetchall()
        return [_to_token(row) for row in found]

    def revoke(self, token_id: int) -> bool:
        with self._write() as rows:
            gone = rows.execute("DELETE FROM api_token WHERE id = ?", (token_id,))
        return gone.rowcount == 1

    def attempt(self, counters: Mapping[bytes, int], at: datetime) -> int:
        with self._write() as rows:
            rows.execute("DELETE FROM attempt WHERE at <= ?", (milliseconds(at - MEMORY),))
            known = {key: _failures(rows, key) for key in counters}
            until = max(until for _, until in known.values())
            if until > milliseconds(at):
                return -(-(until - milliseconds(at)) // 1_000)
            for key, free in counters.items():
                failures = known[key][0] + 1
                end = at + timedelta(seconds=wait_after(failures, free))
                rows.execute(_ATTEMPT, (key, failures, milliseconds(at), milliseconds(end)))
        return 0

    def forgive(self, cleared: Iterable[bytes], lessened: Iterable[bytes]) -> None:
        with self._write() as rows:
            for key in cleared:
                rows.execute("DELETE FROM attempt WHERE key = ?", (key,))
            for key in lessened:
                # Nobody had to wait when it was let through, so the wait that there is began with it.
                rows.execute(
                    "UPDATE attempt SET failures = failures - 1, until = 0 WHERE key = ? AND failures > 0",
                    (key,),
                )


def copy_accounts(old: Rows, new: Rows) -> None:
    """Copy everybody who may sign in from one database to another, with their sessions and tokens."""
    for account_id, *account in old.execute(f"SELECT id, {_ACCOUNT} FROM account ORDER BY id").fetchall():
        (copied_id,) = new.execute(_ADD_USER, account).fetchone()
        for table, columns in _OWNED.items():
            found = old.execute(
                f"SELECT {columns} FROM {table} WHERE account_id = ? ORDER BY id", (account_id,)
            )
            for row in found.fetchall():
                marks = ", ?" * len(row)
                new.execute(
                    f"INSERT INTO {table} (account_id, {columns}) VALUES (?{marks})", (copied_id, *row)
                )


def _failures(rows: Rows, key: bytes) -> tuple[int, int]:
    """How often it failed, and until when nobody may try again, in milliseconds."""
    return rows.execute("SELECT failures, until FROM attempt WHERE key = ?", (key,)).fetchone() or (0, 0)


def _moments(at: datetime) -> tuple[int, int]:
    """What _LASTS takes."""
    return milliseconds(at), milliseconds(at - IDLE)


def _to_user(row: Sequence[Any]) -> User:
    user_id, name, changed_at = row
    return User(user_id, name, to_datetime(changed_at))


def _to_session(row: Sequence[Any]) -> Session:
    session_id, created_at, seen_at, ends_at, remembered, browser, *user = row
    created_at, seen_at, ends_at = map(to_datetime, (created_at, seen_at, ends_at))
    return Session(session_id, _to_user(user), created_at, seen_at, ends_at, bool(remembered), browser)


def _to_token(row: Sequence[Any]) -> Token:
    token_id, label, created_at, *user = row
    return Token(token_id, _to_user(user), label, to_datetime(created_at))
