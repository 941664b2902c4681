"""Who may sign in: users, their sessions, their tokens for the API, and attempts that failed.

Kept in the database of the contacts, see `ContactStore.accounts`. Nothing that opens a door is kept
as it is: of a password there is an argon2 hash, of a session and of a token a keyed hash (`key`,
see app.web.credentials). What time it is, the caller says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

IDLE = timedelta(hours=12)  # after which a session ends that nobody has used, unless it is remembered
FIRST_WAIT = 60  # seconds that the first failure too many costs; each further one costs twice as many
LONGEST_WAIT = 15 * 60
MEMORY = timedelta(days=1)  # after the first failure, all are forgotten


class AccountError(Exception):
    """An account cannot be made or changed; the text says why, in one line."""


class NameTaken(AccountError):
    """There is a user of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a user {name} already. Choose another name.")


class NoSuchUser(AccountError):
    """There is no user of this name."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. changed_at: when the password was set."""

    id: int
    name: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which somebody is signed in.

    seen_at: when it was last used, to the minute. ends_at: when it ends however much it is used.
    remembered: it outlives the browser's window, and idleness. browser: what it is, in a few words.
    """

    id: int
    user: User
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    remembered: bool
    browser: str


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a program use the JSON API on behalf of a user. label: what it is for."""

    id: int
    user: User
    label: str
    created_at: datetime


class Accounts(Protocol):
    """Keeps the accounts of a store, and shares its connections, its lock for writers and its errors.

    A name is the same in small and capital letters.
    """

    def add_user(self, name: str, password: str, at: datetime) -> User:
        """Make a user. password: its hash. NameTaken."""
        ...

    def users(self) -> Sequence[User]:
        """All users, by name."""
        ...

    def find(self, name: str) -> tuple[User, str] | None:
        """The user of a name and the hash of the password."""
        ...

    def set_password(self, user_id: int, password: str, at: datetime) -> None:
        """Replace the hash of the password and end all sessions of the user. Tokens stay."""
        ...

    def rehash(self, user_id: int, old: str, new: str) -> None:
        """Replace the hash of a password by another hash of it, unless the password has changed since."""
        ...

    def remove_user(self, user_id: int) -> None:
        """Forget a user, with all sessions and tokens."""
        ...

    def open_session(
        self, key: bytes, user: User, *, at: datetime, ends_at: datetime, remembered: bool, browser: str
    ) -> bool:
        """Begin a session; False if the user is gone or has another password by now."""
        ...

    def session(self, key: bytes, at: datetime) -> Session | None:
        """The session with this key, if it lasts still."""
        ...

    def touch(self, session_id: int, at: datetime) -> None:
        """Note that a session is in use."""
        ...

    def sessions(self, user_id: int, at: datetime) -> Sequence[Session]:
        """The sessions of a user, the last used first."""
        ...

    def end_session(self, key: bytes) -> None:
        """End one session; nothing happens if it has ended."""
        ...

    def end_sessions(self, user_id: int) -> None:
        """End all sessions of a user."""
        ...

    def add_token(self, key: bytes, user_id: int, label: str, at: datetime) -> Token:
        """Make a token for the API."""
        ...

    def token_user(self, key: bytes) -> User | None:
        """Whose token has this key."""
        ...

    def tokens(self) -> Sequence[Token]:
        """All tokens, the oldest first."""
        ...

    def revoke(self, token_id: int) -> bool:
        """Forget a token; False if there is none."""
        ...

    def attempt(self, counters: Mapping[bytes, int], at: datetime) -> int:
        """Let somebody try a password: 0, and it is counted as a failure until it is forgiven.

        Counted beforehand, so that many attempts at once are not let through together.
        counters: how many failures each of them lets pass before it makes people wait. When one
        of them does, nothing is counted and the answer is for how many seconds.
        """
        ...

    def forgive(self, cleared: Iterable[bytes], lessened: Iterable[bytes]) -> None:
        """Forget that an attempt was counted, because it was right, and that anybody has to wait for it.

        cleared: counters that forget all other failures, too. lessened: those that keep them.
        """
        ...


def wait_after(failures: int, free: int) -> int:
    """For how many seconds nobody may try again. free: how many failures cost nothing, less one."""
    if failures < free:
        return 0
    return min(FIRST_WAIT << min(failures - free, 10), LONGEST_WAIT)
