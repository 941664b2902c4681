"""A lock that serves first come, first served, and shows whether anybody waits for it."""

import threading
from collections import deque


class Turns:
    """Like threading.Lock, which may serve latecomers first and let others wait for ever.

    Released, it goes to whoever has waited longest, without a moment in which another could take it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards the two below
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiting)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    def acquire(self, timeout: float) -> bool:
        """Take it; False when that takes longer than so many seconds."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout):
            return True
        with self._guard:
            if turn not in self._waiting:  # it was handed over at the last moment
                return True
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """Hand it to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
