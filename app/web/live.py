"""GET /live: tells every window when something has changed, so that it can show it.

An event says only how far the log reaches now. The window then asks for its own page again,
with its own search, sort and paging, and puts what differs in its place (static/live.js): an
event that carried rows could not know whether and where they belong. The number is the id of
the event, so a window that comes back, after a lost connection or a restart, says with
Last-Event-ID what it has seen, and is told at once if there is more.

Each worker looks at the log on behalf of its own streams. That needs no broker, and it sees
what other workers, processes and the command line write as soon as what its own does.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol
from weakref import WeakValueDictionary

from chirp import HTTPError, Request, Response, SSEEvent, g

from app.store import ContactStore, StoreUnavailable
from app.web.draining import draining, rest
from app.web.lists import whole
from app.web.streaming import Streamed

LOOK = 0.2  # seconds between two looks at the log
BEAT = 10.0  # seconds of silence after which a stream says that it is alive
ASK = 2.0  # seconds after which a stream asks again whether the window may still have it
EVENTS = "text/event-stream"
RETRY = 1_000  # milliseconds after which a browser that lost its stream asks for it again

log = logging.getLogger(__name__)


class Log(Protocol):
    """What a stream follows: how far a log reaches, see ContactStore."""

    def settled(self) -> int:
        """Up to where it is complete."""
        ...


class Logs(Protocol):
    """The logs of a site on which each visitor has one of their own."""

    def visitor(self) -> str:
        """Who sends the request that is being answered; "" for those who have none."""
        ...

    def log(self, visitor: str) -> Log:
        """What the windows of a visitor follow."""
        ...


class Live:
    """The event streams of this process. logs: None where all follow the store."""

    def __init__(self, store: ContactStore, logs: Logs | None = None) -> None:
        self._store = store
        self._logs = logs
        self._of_worker = threading.local()
        self._lock = threading.Lock()
        self._interrupted: dict[str, float] = {}

    def events(
        self, after: int | None, browser: str = "", allowed: Callable[[], bool] | None = None
    ) -> AsyncGenerator[str]:
        """Begin a stream, as text. after: what the window has seen; None when it cannot tell.

        browser: a name by which `interrupt` can end it. allowed: whether the window may still have it.
        StoreUnavailable if the log cannot be read.
        """
        followed = self._watcher().followed(self._logs.visitor() if self._logs else "")
        followed.look()  # here, before the answer begins, it may still fail
        return self._stream(followed, followed.settled if after is None else after, browser, allowed)

    def interrupt(self, browser: str, seconds: float) -> None:
        """End the streams of a browser; for so long it gets no other. For app.web.lab."""
        with self._lock:  # and replaced as a whole, because other threads go through it
            still = {name: end for name, end in self._interrupted.items() if end > monotonic()}
            self._interrupted = still | {browser: monotonic() + seconds}

    @property
    def has_interrupted(self) -> bool:
        """Whether any browser may have to lose its streams."""
        return any(map(self.is_interrupted, self._interrupted))

    def is_interrupted(self, browser: str) -> bool:
        """Whether a browser gets no stream at the moment."""
        return self._interrupted.get(browser, 0.0) > monotonic()

    def log(self, visitor: str) -> Log:
        """What the windows of a visitor follow."""
        return self._logs.log(visitor) if self._logs else self._store

    async def _stream(
        self, followed: _Followed, seen: int, browser: str, allowed: Callable[[], bool] | None
    ) -> AsyncGenerator[str]:
        # At once, because a browser takes the stream for open when the first bytes come.
        yield SSEEvent("", "beat", str(seen), RETRY).encode()
        with followed.awake() as news:
            while not (draining().is_set() or self.is_interrupted(browser)) and (not allowed or allowed()):
                if followed.settled == seen:
                    news.clear()
                    try:
                        async with asyncio.timeout(ASK if allowed else BEAT):
                            await news.wait()
                    except TimeoutError:
                        yield SSEEvent("", "beat").encode()
                else:
                    seen = followed.settled
                    yield SSEEvent(str(seen), "changed", str(seen)).encode()

    def _watcher(self) -> _Watcher:
        """That of the calling worker."""
        watcher: _Watcher | None = getattr(self._of_worker, "watcher", None)
        if watcher is None:
            watcher = self._of_worker.watcher = _Watcher(self)
        return watcher


class _Followed:
    """A log that streams of one worker follow. settled: see ContactStore."""

    def __init__(self, log: Log, watcher: _Watcher) -> None:
        self.settled = 0
        self._log = log
        self._watcher = watcher
        self._streams: set[asyncio.Event] = set()

    def look(self) -> None:
        """Look at the log now; news wakes the streams. StoreUnavailable if that cannot be done."""
        before, self.settled = self.settled, self._log.settled()
        if self.settled != before:
            self.wake()

    @contextmanager
    def awake(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be news, as long as the stream lasts."""
        news = asyncio.Event()
        self._streams.add(news)
        try:
            with self._watcher.watching():
                yield news
        finally:
            self._streams.discard(news)

    def wake(self) -> None:
        """Let the streams see whether there is news."""
        for news in self._streams:
            news.set()


class _Watcher:
    """One worker's eye on the logs that its streams follow, open while there are any."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._followed: WeakValueDictionary[str, _Followed] = WeakValueDictionary()  # its streams keep one
        self._streams = 0
        self._watching: asyncio.Task[None] | None = None

    def followed(self, visitor: str) -> _Followed:
        """The log that a visitor's streams follow."""
        followed = self._followed.get(visitor)
        if followed is None:
            followed = self._followed[visitor] = _Followed(self._live.log(visitor), self)
        return followed

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep looking as long as the stream lasts."""
        self._streams += 1
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._streams -= 1
            if not self._streams and self._watching:
                self._watching.cancel()
                self._watching = None

    async def _watch(self) -> None:
        stops = False
        while not stops:
            stops = await rest(LOOK)
            for followed in list(self._followed.values()):
                try:
                    followed.look()
                except StoreUnavailable:
                    pass  # pages and /ready say so, and it may pass
                except Exception:
                    log.exception("the change log could not be looked at")
                if stops or self._live.has_interrupted:
                    followed.wake()


async def stream(request: Request, live: Live) -> Streamed | Response:
    """GET /live: the stream of one window. `after`: up to where the log was read for the page.

    A browser that comes back by itself says it better, with Last-Event-ID. Not Chirp's EventStream:
    when a client leaves, that goes on until its next event (docs/upstream.md).
    """
    browser = request.cookies.get("lab", "")
    if live.is_interrupted(browser):
        raise HTTPError(503, "The event stream is interrupted, as it was asked to be.")
    # X-Accel-Buffering: a proxy in front, such as nginx, is to pass each event on at once.
    headers = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
    if request.method == "HEAD":  # over HTTP/2 nothing would end it
        return Response("", content_type=EVENTS, headers=headers)
    seen = request.headers.get("last-event-id") or request.query.get("after") or ""
    events = live.events(whole(seen) if seen.isdecimal() else None, browser, g.get("is_signed_in"))
    return Streamed(content_type=EVENTS, headers=headers, pieces=events)
