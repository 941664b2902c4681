"""GET /dashboard: the shell at once, then each section the moment it is ready.

The page is streamed in one response. Its shell is a declarative shadow root with a slot
for each section, whose fallback is the skeleton; each section then follows as
`<div slot="...">`, in the order in which they are ready. No script takes part. Why not
Chirp's Suspense or Stream, and why we draw the charts ourselves: docs/decisions/0004-dashboard.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from hashlib import blake2s
from typing import Self
from weakref import WeakKeyDictionary

from chirp import Fragment, HTTPError, Request, TemplateStream

from app.contacts.contact import now
from app.contacts.listing import ListQuery
from app.settings import Settings
from app.store import ContactStore, StoreUnavailable
from app.web.draining import rest
from app.web.duplicates import likely
from app.web.threads import on_thread
from app.web.view import link

SLOWEST = 10.0  # seconds that ?slow= may ask for
WEEKS = 12
TOP_LENGTH = 8
ACTIVITY_LENGTH = 12

log = logging.getLogger(__name__)

Load = Callable[[ContactStore], object]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the dashboard. data: None when it failed; then `problem` says why."""

    name: str
    data: object = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Week:
    """A column of the chart of weeks.

    left, middle, width: in per cent of the chart's width. top, height: of the tallest column.
    month: its name, in the first column and where another month begins.
    """

    monday: date
    added: int
    left: float
    middle: float
    width: float
    top: float
    height: float
    month: str


@dataclass(frozen=True, slots=True)
class Weeks:
    """The chart of weeks: its columns, the oldest first, at least one."""

    columns: Sequence[Week]

    @property
    def most(self) -> Week:
        """The week in which most were added; of several the newest."""
        return max(reversed(self.columns), key=lambda week: week.added)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the other charts. length: in per cent of the longest. url: the list of its contacts."""

    name: str
    contacts: int
    length: float
    url: str

    @property
    def id(self) -> str:
        """An id that stays the same when others overtake it, so that the focus does."""
        return f"bar-{blake2s(self.url.encode(), digest_size=4).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Quality:
    """What there is to tidy up: numbers of contacts, and of groups of likely duplicates."""

    no_phone: int
    no_email: int
    stale: int
    duplicates: int

    @classmethod
    def of(cls, store: ContactStore) -> Self:
        """The figures of a store. The duplicates of a large one take seconds, the others no time."""
        return cls(
            no_phone=store.count(ListQuery(only="no-phone")),
            no_email=store.count(ListQuery(only="no-email")),
            stale=store.count(ListQuery(only="stale")),
            duplicates=len(likely(store)),
        )


class Remembered:
    """Loads a section once for each state of the store, however many dashboards are open.

    On a thread of its own: those who wait for one section hold up nothing else.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._thread = ThreadPoolExecutor(1, "dashboard")
        # By store, and gone with it: a demo has many. Written on that thread only.
        self._latest: WeakKeyDictionary[ContactStore, tuple[object, object]] = WeakKeyDictionary()

    async def __call__(self, store: ContactStore) -> object:
        state, section = self._latest.get(store, (None, None))
        if state == _state(store):
            return section  # at once: a thread would have to open a connection first
        return await on_thread(lambda: self._current(store), store, self._thread)

    def _current(self, store: ContactStore) -> object:
        state = _state(store)  # first: what changes from here on will be loaded again
        before, section = self._latest.get(store, (None, None))
        if before != state:
            section = self._load(store)
            self._latest[store] = (state, section)
        return section


def _state(store: ContactStore) -> object:
    """What differs whenever a section may: the newest change and, since some figures are of a week, the day.

    The change itself and not its number alone tells a restored backup from its original.
    """
    seq = store.settled()
    return seq, store.changes(seq - 1, 1), now().date()


def _weeks(store: ContactStore) -> Weeks:
    added = store.added_by_week(WEEKS)
    most = max(number for _, number in added) or 1
    months = [f"{monday:%b}" for monday, _ in added]
    step = 100 / len(added)
    return Weeks(
        [
            Week(
                monday,
                number,
                left=round(step * (place + 0.2), 2),
                middle=round(step * (place + 0.5), 2),
                width=round(step * 0.6, 2),
                top=round(100 - 100 * number / most, 2),
                height=round(100 * number / most, 2),
                month="" if place and months[place - 1] == months[place] else months[place],
            )
            for place, (monday, number) in enumerate(added)
        ]
    )


def _bars(counts: Sequence[tuple[str, int]], query: Callable[[str], ListQuery]) -> Sequence[Bar]:
    """The bars of names with their numbers, the largest first. query: the list of a name's contacts."""
    return [
        Bar(name, number, round(100 * number / counts[0][1], 2), link("/contacts", query(name)))
        for name, number in counts[:TOP_LENGTH]
    ]


def _companies(store: ContactStore) -> Sequence[Bar]:
    return _bars(store.top("company", TOP_LENGTH), lambda name: ListQuery(text=name))


def _domains(store: ContactStore) -> Sequence[Bar]:
    return _bars(store.top("domain", TOP_LENGTH), lambda name: ListQuery(text=f"@{name}"))


def _tags(store: ContactStore) -> Sequence[Bar]:
    return _bars(store.tags(), lambda name: ListQuery(tags=(name,)))


async def _activity(store: ContactStore) -> object:
    """Not remembered: an import that is under way is told of, and is no change yet."""
    return store.batches(ACTIVITY_LENGTH)


SECTIONS: Mapping[str, Callable[[ContactStore], Awaitable[object]]] = {
    "totals": Remembered(lambda store: store.statistics()),
    "weeks": Remembered(_weeks),
    "companies": Remembered(_companies),
    "domains": Remembered(_domains),
    "tags": Remembered(_tags),
    "quality": Remembered(Quality.of),
    "activity": _activity,
}


async def dashboard(request: Request, store: ContactStore, settings: Settings) -> TemplateStream | Fragment:
    """GET /dashboard: all sections, loaded at the same time; to htmx with `?section=weeks` that one alone.

    `?slow=2` makes the first section take one second and the last one two, `?fail=activity` makes
    one fail, so that a person can watch; not in production. 404 for a section that there is not.
    """
    slow, fail = _staging(request) if settings.can_stage else (0.0, "")
    wanted = request.query.get("section", "")
    if wanted and request.is_narrow_fragment:
        if wanted not in SECTIONS:
            raise HTTPError(404, "There is no such section.")
        again = await _section(wanted, store, delay=slow, fails=fail == wanted)
        return Fragment("dashboard.html", "section", part=again)
    seq = _settled(store)
    last = len(SECTIONS) - 1
    sections = [
        asyncio.ensure_future(_section(name, store, delay=slow * (1 + place / last) / 2, fails=fail == name))
        for place, name in enumerate(SECTIONS)
    ]
    return TemplateStream("dashboard.html", here="dashboard", seq=seq, sections=_as_ready(sections))


async def _section(name: str, store: ContactStore, *, delay: float, fails: bool) -> Section:
    """Load one section; whatever goes wrong in it stays in it."""
    try:
        if delay:
            await rest(delay)  # cut short when the worker is asked to stop
        if fails:
            raise RuntimeError(f"the section {name} was asked to fail")
        return Section(name, await SECTIONS[name](store))
    except StoreUnavailable as unavailable:
        return Section(name, problem=str(unavailable))
    except Exception:
        log.exception("dashboard section %s failed", name)
        return Section(name, problem="This section could not be loaded.")


def _settled(store: ContactStore) -> int:
    """From where on the page has to be told of changes; from the first, if that cannot be known."""
    try:
        return store.settled()
    except StoreUnavailable:
        return 0


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
