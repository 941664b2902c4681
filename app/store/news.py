"""What a process knows of how far the log of a shared database is settled, without asking each time.

A thread listens to what the database tells of the writes of all processes and machines. As
long as it hears anything at all, what it knows is good; otherwise whoever wants to know asks
the database. So a lost connection makes live views dearer, never wrong.
"""

import select
import threading
from collections.abc import Callable
from time import monotonic

import psycopg

from app.store import StoreError

_REFRESH = 1.0  # seconds of silence after which the listener asks, in case it was not told
_SURE = 3.0  # seconds for which an answer of the listener is good: a dead network says nothing at all
_LOOK = 0.2  # seconds between two looks at whether to stop
_RETRY = 1.0  # seconds between two attempts to connect


class News:
    """The newest settled seq, followed by a thread from the first question on.

    connect: opens a connection that listens. ask: asks the database on a connection.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        ask: Callable[[psycopg.Connection], int],
    ) -> None:
        self._connect = connect
        self._ask = ask
        self._guard = threading.Lock()  # guards the following
        self._settled = 0
        self._answers = 0  # how many have come
        self._written = 0  # how often this process has written
        self._known = -1  # of which of them the answer knows
        self._sure_until = 0.0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def settled(self, ask: Callable[[], int]) -> int:
        """The newest settled seq. ask: asks the database, where the listener cannot be relied on."""
        with self._guard:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
                self._thread.start()
            if self._known == self._written and monotonic() < self._sure_until:
                return self._settled
        return self._learn(ask, heard=False)

    def wrote(self) -> None:
        """This process has written: until the listener is told, the database is asked."""
        with self._guard:
            self._written += 1

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        with self._guard:
            thread, self._sure_until = self._thread, 0.0
        if thread:
            thread.join(10 * _LOOK)  # a connection that hangs must not keep the process

    def _learn(self, ask: Callable[[], int], *, heard: bool) -> int:
        with self._guard:
            written, answers = self._written, self._answers
        settled = ask()
        with self._guard:
            # Less than was known is an answer that another one overtook. If none did, a backup was restored.
            if settled > self._settled or answers == self._answers:
                self._settled = settled
            self._answers += 1
            self._known = max(self._known, written)
            if heard:
                self._sure_until = monotonic() + _SURE
            return self._settled

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as conn:
                    self._follow(conn)
            except psycopg.Error, StoreError, OSError:
                pass  # whoever uses the store meets the trouble, and says so
            with self._guard:
                self._sure_until = 0.0
            self._stop.wait(_RETRY)

    def _follow(self, conn: psycopg.Connection) -> None:
        """Ask at once, and again whenever the database tells of a write or has been silent for long."""
        news = select.poll()
        news.register(conn.fileno(), select.POLLIN)
        while not self._stop.is_set():
            self._learn(lambda: self._ask(conn), heard=True)
            if any(conn.notifies(timeout=0)):  # told while it asked
                continue
            asked = monotonic()
            while not self._stop.is_set() and monotonic() < asked + _REFRESH:
                if news.poll(_LOOK * 1_000):
                    break
