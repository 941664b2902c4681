"""Passwords and tokens: their rules, and what is kept instead of them."""

import asyncio
import hmac
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from chirp import HTTPError

from app.settings import BadSetting
from app.store import AccountError

SECRET = 32  # characters that the secret has at least
SHORTEST, LONGEST = 12, 256  # characters of a password
DIFFERENT = 5  # of them, at least
NAME_LIMIT = 60  # characters of a user's name
TELLING = 3  # of them, from which on a password must not contain it
AT_ONCE = 2  # passwords that are hashed at the same time: each takes 64 MB and four threads
WAITING = 24  # that may be hashed or wait for their turn: some seconds

WORDS = "A few words that do not belong together are fine."
BUSY = "Too many people are signing in at this moment. Please try again in a few seconds."
MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


class Keys:
    """Makes keyed hashes, which tell those who read the database nothing."""

    def __init__(self, secret: str) -> None:
        """BadSetting for a secret that could be guessed."""
        if len(secret) < SECRET:
            raise BadSetting(
                f"CONTACTS_SECRET keys the sessions and tokens of sign-in: set it to {SECRET} characters or "
                f"more that nobody can guess, and keep it. To make one: {MAKE_ONE}"
            )
        self._secret = secret.encode()

    def key(self, purpose: str, text: str) -> bytes:
        """32 bytes that only this secret makes of a text, and only for this purpose."""
        return hmac.digest(self._secret, f"{purpose}\0{text}".encode(errors="replace"), "sha256")

    def code(self, purpose: str, text: str) -> str:
        """The same as a form or cookie can hold."""
        return self.key(purpose, text).hex()

    def is_code(self, given: str, purpose: str, text: str) -> bool:
        """Whether somebody who gives this code had it from us."""
        return hmac.compare_digest(given.encode(errors="replace"), self.code(purpose, text).encode())


def masked(key: bytes) -> str:
    """A keyed hash as a page can hold it: another text each time, half of it the mask.

    A page is compressed, and its length would tell, guess by guess, which text is in it twice (BREACH).
    """
    mask = secrets.token_bytes(len(key))
    return (mask + _xor(mask, key)).hex()


def is_masked(given: str, key: bytes) -> bool:
    """Whether a text is this keyed hash under some mask."""
    try:
        both = bytes.fromhex(given)
    except ValueError:
        return False
    half = len(key)
    return len(both) == 2 * half and hmac.compare_digest(_xor(both[:half], both[half:]), key)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def new_token() -> str:
    """256 bits that nobody can guess."""
    return secrets.token_urlsafe(32)


def normal(text: str) -> str:
    """A name or password without what differs between keyboards: one form of each letter (NFKC)."""
    return unicodedata.normalize("NFKC", text)


def clean_name(text: str) -> str:
    """A user's name as it is kept; AccountError says what is wrong with it."""
    name = " ".join(normal(text).split())
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise AccountError(f"A name has 1 to {NAME_LIMIT} letters, digits, signs or blanks.")
    return name


def password_problem(password: str, name: str) -> str:
    """What is wrong with a new password, in a sentence; "" for nothing.

    It wants no mixture of letters, digits and signs, see NIST SP 800-63B.
    """
    password = normal(password)
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters. {WORDS}"
    if len(password) > LONGEST or not password.isprintable():
        return f"Use at most {LONGEST} letters, digits, signs and blanks."
    if len(set(password)) < DIFFERENT:
        return f"Use at least {DIFFERENT} different characters. {WORDS}"
    if _bare(name) in _bare(password) and len(_bare(name)) >= TELLING:
        return "Use a password that does not contain the name."
    return ""


def _bare(text: str) -> str:
    """A text without blanks, in small letters."""
    return "".join(text.casefold().split())


class Passwords:
    """Hashes passwords with argon2id, a few at a time and on threads of their own.

    Its methods take a fifth of a second. Call them `on_thread`, from a `place`.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who wait, to be taken before anything else; HTTPError 503 if there is none."""
        with self._lock:
            if self._taken >= WAITING:
                raise HTTPError(503, BUSY, headers=(("Retry-After", "5"),))
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    async def on_thread[T](self, work: Callable[[], T]) -> T:
        """Do the work when its turn comes, while the worker goes on. Only for those who have a place."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def hash(self, password: str) -> str:
        """The hash to keep of a password."""
        return self._hasher.hash(normal(password))

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that this hash was kept of.

        kept: None for a user that there is not, which takes as long.
        """
        nobodys = self._nobodys
        given = normal(password) if len(password) <= 4 * LONGEST else ""  # four signs can be one letter
        try:
            right = self._hasher.verify(kept or nobodys, given)
        except VerificationError, InvalidHashError:
            return False
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than hashes are now."""
        return self._hasher.check_needs_rehash(kept)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(new_token())
