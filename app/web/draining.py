"""Whether this worker has been asked to stop, for answers that have no end of their own.

A worker that stops waits for its open requests. Short ones end by themselves; a stream
has to be told, or it is cut after the shutdown timeout with nothing cleaned up. Chirp does
not pass the server's message on (docs/upstream.md), so app.server sets the event here.
"""

import asyncio
import threading
from weakref import WeakKeyDictionary

_events: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()
_lock = threading.Lock()


def draining() -> asyncio.Event:
    """The event of the calling worker; call it, and await the event, in a coroutine.

    Set once, never cleared. A stream ends soon after:

        while not draining().is_set():
            yield SSEEvent(...)
    """
    with _lock:
        return _events.setdefault(asyncio.get_running_loop(), asyncio.Event())


async def rest(seconds: float) -> bool:
    """Wait that long, or until the worker is asked to stop; True when it is."""
    try:
        async with asyncio.timeout(seconds):
            return await draining().wait()
    except TimeoutError:
        return False
