"""One database connection for each thread, which close() may close from another."""

import threading
from collections.abc import Callable
from typing import Protocol

from app.store import StoreUnavailable

CLOSED = "The address book is closed."


class Connection(Protocol):
    """What can be closed, as far as this module cares."""

    def close(self) -> None:
        """Close it."""
        ...


class Slot[C: Connection]:
    """A connection and the lock that keeps every other thread, close() included, off it.

    Using one SQLite connection from two threads at once, or closing it while it is in use, does
    not raise: it crashes the process. On one of PostgreSQL two transactions would become one.
    """

    __slots__ = ("conn", "lock", "thread")

    def __init__(self, conn: C) -> None:
        self.conn: C | None = conn
        self.lock = threading.Lock()
        self.thread = threading.current_thread()

    def __enter__(self) -> C:
        self.lock.acquire()
        if self.conn is None:
            self.lock.release()
            raise StoreUnavailable(CLOSED)
        return self.conn

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def close(self) -> None:
        """Close the connection, once nobody uses it."""
        with self.lock:
            conn, self.conn = self.conn, None
            if conn is not None:
                conn.close()


class Connections[C: Connection]:
    """The connections of a store, made by `connect` when a thread first asks for its own."""

    def __init__(self, connect: Callable[[], C]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._guard = threading.Lock()  # guards the two below
        self._slots: set[Slot[C]] = set()
        self.closed = False

    def __len__(self) -> int:
        return len(self._slots)

    def mine(self) -> Slot[C]:
        """The calling thread's own slot. StoreUnavailable when all of this is closed."""
        slot: Slot[C] | None = getattr(self._local, "slot", None)
        if slot is not None:
            return slot
        self.refuse_if_closed()
        slot = Slot(self._connect())
        with self._guard:  # published only when set up: from here on close() may reach it
            ended = {other for other in self._slots if not other.thread.is_alive()}
            self._slots = {slot, *self._slots} - ended
        if self.closed:
            ended.add(slot)
        for other in ended:
            other.close()
        self._local.slot = slot
        return slot

    def refuse_if_closed(self) -> None:
        """StoreUnavailable once `close` was called."""
        if self.closed:
            raise StoreUnavailable(CLOSED)

    def close_mine(self) -> None:
        """Close the calling thread's connection; it gets another one when it asks."""
        slot: Slot[C] | None = self._local.__dict__.pop("slot", None)
        if slot is not None:
            with self._guard:
                self._slots.discard(slot)
            slot.close()

    def close(self) -> bool:
        """Close every connection, for good; False when that was done before."""
        with self._guard:
            again, self.closed = self.closed, True
            slots, self._slots = self._slots, set()
        for slot in slots:
            slot.close()
        return not again
