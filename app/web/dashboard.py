"""GET /dashboard: the shell at once, then each section the moment it is ready.

The page is streamed in one response. Its shell is a declarative shadow root with a slot
for each section, whose fallback is the skeleton; each section then follows as
`<div slot="...">`, in the order in which they are ready. No script takes part. Why not
Chirp's Suspense or Stream: docs/decisions/0004-dashboard.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from chirp import Request, TemplateStream

from app.contacts.changes import Batch
from app.contacts.listing import Statistics
from app.settings import Settings
from app.store import ContactStore, StoreUnavailable
from app.web.draining import rest
from app.web.threads import on_thread

SLOWEST = 10.0  # seconds that ?slow= may ask for
ACTIVITY_LENGTH = 12

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Section[T]:
    """One section of the dashboard. data: None when it failed; then `problem` says why."""

    name: str
    data: T | None = None
    problem: str = ""


async def dashboard(request: Request, store: ContactStore, settings: Settings) -> TemplateStream:
    """GET /dashboard: statistics and activity, loaded at the same time.

    `?slow=2` makes the slowest section take two seconds and `?fail=activity` makes one
    fail, so that a person can watch; not in production.
    """
    slow, fail = _staging(request) if settings.can_stage else (0.0, "")
    sections: Sequence[asyncio.Task[Section[Statistics | Sequence[Batch]]]] = [
        asyncio.ensure_future(_section(name, load, store, delay=slow * share, fails=fail == name))
        for name, load, share in (
            ("statistics", lambda: store.statistics(), 0.5),
            ("activity", lambda: store.batches(ACTIVITY_LENGTH), 1.0),
        )
    ]
    return TemplateStream("dashboard.html", here="dashboard", sections=_as_ready(sections))


async def _section[T](
    name: str, load: Callable[[], T], store: ContactStore, *, delay: float, fails: bool
) -> Section[T]:
    """Load one section; whatever goes wrong in it stays in it."""
    try:
        if delay:
            await rest(delay)  # cut short when the worker is asked to stop
        if fails:
            raise RuntimeError(f"the section {name} was asked to fail")
        return Section(name, await on_thread(load, store))
    except StoreUnavailable as unavailable:
        return Section(name, problem=str(unavailable))
    except Exception:
        log.exception("dashboard section %s failed", name)
        return Section(name, problem="This section could not be loaded.")


async def _as_ready[T](tasks: Sequence[Awaitable[T]]) -> AsyncIterator[T]:
    """Yield results in the order in which they come; cancel the rest when the reader goes away."""
    futures = [asyncio.ensure_future(task) for task in tasks]
    try:
        async for future in asyncio.as_completed(futures):
            yield await future
    finally:
        for future in futures:
            future.cancel()


def _staging(request: Request) -> tuple[float, str]:
    """The delay in seconds and the section to break that the URL asks for."""
    text = request.query.get("slow", "")
    try:
        slow = float(text) if text else 0.0
    except ValueError:
        slow = 0.0
    return (min(max(slow, 0.0), SLOWEST) if slow == slow else 0.0), request.query.get("fail", "")
