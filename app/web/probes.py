"""GET /ready: whether to send people to this process. GET /health: whether it lives.

Each worker has a connection of its own to the store, and one may lose it alone. So whichever worker
is asked asks all of them, every time: a store that is back is noticed at the next question.
"""

import asyncio
import json
import logging
import threading

from chirp import Response

from app.store import ContactStore, StoreUnavailable
from app.web.draining import draining

PATIENCE = 2.0  # seconds that a worker has for its answer; an orchestrator waits a little longer

log = logging.getLogger(__name__)


class Readiness:
    """What the workers of this process can do."""

    def __init__(self, store: ContactStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._loops: set[asyncio.AbstractEventLoop] = set()
        self._starting = True

    def started(self) -> None:
        """Note that the app has started."""
        self._starting = False

    def enter(self) -> None:
        """Note that the calling worker has started."""
        with self._lock:
            self._loops.add(asyncio.get_running_loop())

    def leave(self) -> None:
        """Note that the calling worker ends."""
        with self._lock:
            self._loops.discard(asyncio.get_running_loop())

    async def problem(self) -> str:
        """What keeps this process from answering people: "" for nothing, else a word or two."""
        if self._starting:
            return "starting"
        if draining().is_set():
            return "draining"
        with self._lock:
            loops = tuple(self._loops)
        found = await asyncio.gather(*(self._ask(loop) for loop in loops))
        return next(filter(None, found), "")

    async def _ask(self, loop: asyncio.AbstractEventLoop) -> str:
        if loop is asyncio.get_running_loop():
            return await self._check()
        checking = self._check()
        try:
            asked = asyncio.run_coroutine_threadsafe(checking, loop)
        except RuntimeError:  # its loop has just been closed
            checking.close()
            return "draining"
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.wrap_future(asked)
        except TimeoutError:
            return "a worker does not answer"

    async def _check(self) -> str:
        """What is wrong with the connection of the worker that this runs on."""
        try:
            self._store.check()
        except StoreUnavailable:
            return "store unavailable"
        except Exception:
            log.exception("the store could not be checked")
            return "store unavailable"
        return ""


async def health() -> Response:
    """GET /health: 200."""
    answer = Response("ok", content_type="text/plain; charset=utf-8")
    return answer.with_header("Cache-Control", "no-store")


async def ready(readiness: Readiness) -> Response:
    """GET /ready: 200 and {"status": "ready"}, or 503 and what is in the way."""
    problem = await readiness.problem()
    response = Response(
        status_of(problem or "ready"), status=503 if problem else 200, content_type="application/json"
    )
    return response.with_header("Cache-Control", "no-store")


def status_of(word: str) -> str:
    """The body of an answer about readiness, as JSON."""
    return json.dumps({"status": word})
