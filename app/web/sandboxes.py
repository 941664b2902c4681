"""Demo mode: every visitor has contacts of their own, in a sandbox that goes when it is not used.

A visitor is known by a cookie, and everything a request touches follows it: the store, the
streams, the uploads, what is remembered of rendered rows. Nobody has a sandbox before they
write: until then they read the sample contacts that all share, and the server keeps nothing of
them. The first write takes a copy, which has the same ids, so that what is on the screen fits
it. Why all of this is as it is: docs/decisions/0013-demo.md.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2s
from time import monotonic
from typing import Any, Protocol, cast

from chirp import Request, Response, g
from chirp.middleware.protocol import AnyResponse, Next

from app.store import WRITES, ContactStore, StoreRefused, StoreUnavailable
from app.web.errors import Middleware, problem_event
from app.web.headers import PROBES
from app.web.lists import see_other
from app.web.live import Log
from app.web.security import SAFE_METHODS
from app.web.transport import cookie_name, is_https, network_of
from app.web.uploads import Limits, NoRoom, Upload, Uploads

RESET = "/demo/reset"
COOKIE = "sandbox"
FOR_PROGRAMS = frozenset({*PROBES, "/metrics"})  # who asks there is no visitor
IDLE = 3_600.0  # seconds without a request after which a sandbox goes
ROOM = 2_000  # sandboxes; for one more, the one that was not used for longest goes
BUDGET = 256 * 1_048_576  # bytes of all sandboxes together; when they have more, the heaviest goes
RATE = 2.0  # new sandboxes in a second, and
BURST = 100  # so many at once: so whoever does something every quarter of an hour is never pushed out
RATE_EACH, BURST_EACH = 0.1, 20  # the same of one address, so that no single one keeps out all others
UPLOADS = Limits(uploads=1_000, file=1_048_576, rows=500)

NO_COOKIE = (
    "This demo knows by a cookie which contacts are yours, and your browser has sent none. "
    "Allow cookies for this site, load the page again, then try again."
)
ANEW = (
    "This demo has started anew with the sample contacts, because it was not used for an hour "
    "or there were too many visitors. If you still want to do this, try again."
)
AGAIN = "The demo has started again with the sample contacts."
TOO_MANY = "Too many people begin with this demo just now. Please try again in a minute."

_TOKEN = re.compile(r"((?P<mark>new|again)\.)?(?P<token>[\w-]{22})", re.ASCII)


class SandboxStore(ContactStore, Protocol):
    """A store that says about how many bytes it holds."""

    weight: int


@dataclass(slots=True)
class Sandbox:
    """The contacts of one visitor. serial: no other sandbox has or had it. used: when it was, last."""

    store: SandboxStore
    serial: int
    used: float


class Tickets:
    """How many sandboxes may be made: some at once, then as many as come back in a second."""

    def __init__(self, burst: int, rate: float, now: float) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._counted = float(burst), now  # how many, and when that was so

    def left(self, now: float) -> float:
        """How many there are now."""
        self._left = min(self._burst, self._left + (now - self._counted) * self._rate)
        self._counted = now
        return self._left

    def take(self) -> None:
        """Use one."""
        self._left -= 1


class Sandboxes:
    """All sandboxes of this process, within bounds. Any thread may use it.

    samples: what visitors read before they write. copy: makes the store of a new sandbox.
    now: a clock, in seconds.
    """

    def __init__(
        self, samples: ContactStore, copy: Callable[[], SandboxStore], now: Callable[[], float] = monotonic
    ) -> None:
        self.samples = samples
        self._copy = copy
        self._now = now
        self._lock = threading.Lock()
        self._all: OrderedDict[str, Sandbox] = OrderedDict()  # by token; the one last used comes last
        self._made = 0
        self._tickets = Tickets(BURST, RATE, now())
        self._by_network: OrderedDict[str, Tickets] = OrderedDict()  # the one last asked for comes last

    def find(self, token: str) -> Sandbox | None:
        """The sandbox of a token, which is used by that; None when there is none (any more)."""
        with self._lock:
            self._sweep()
            sandbox = self._all.get(token)
            if sandbox:
                sandbox.used = self._now()
                self._all.move_to_end(token)
            return sandbox

    def peek(self, token: str) -> Sandbox | None:
        """The same, but looking at it is no use of it."""
        with self._lock:
            self._sweep()
            return self._all.get(token)

    def open(self, token: str, network: str = "") -> Sandbox:
        """The sandbox of a token, made if there is none. StoreUnavailable when too many are being made.

        network: who asks, see network_of; "" when that is not known.
        """
        with self._lock:
            self._sweep()
            sandbox = self._all.get(token)
            if sandbox is None:
                self._take_ticket(network)
                while len(self._all) >= ROOM:
                    self._all.popitem(last=False)
                self._made += 1
                sandbox = self._all[token] = Sandbox(self._copy(), self._made, self._now())
            return sandbox

    def forget(self, token: str) -> None:
        """Let a sandbox go."""
        with self._lock:
            self._all.pop(token, None)

    def lighten(self) -> None:
        """Let the heaviest go while all together are too heavy. To be called before each write."""
        with self._lock:
            while sum(sandbox.store.weight for sandbox in self._all.values()) > BUDGET:
                del self._all[max(self._all, key=lambda token: self._all[token].store.weight)]

    def _sweep(self) -> None:
        """Let those go that were not used for an hour."""
        while self._all and self._now() - next(iter(self._all.values())).used >= IDLE:
            self._all.popitem(last=False)

    def _take_ticket(self, network: str) -> None:
        """Take one of all, and one of this network. Only who got one is remembered: so they have a bound."""
        now = self._now()
        if self._tickets.left(now) < 1:
            raise StoreUnavailable(TOO_MANY)
        if network:
            while self._by_network and next(iter(self._by_network.values())).left(now) == BURST_EACH:
                self._by_network.popitem(last=False)  # all are back: as if it had never asked
            own = self._by_network.setdefault(network, Tickets(BURST_EACH, RATE_EACH, now))
            self._by_network.move_to_end(network)
            if own.left(now) < 1:
                raise StoreUnavailable(TOO_MANY)
            own.take()
        self._tickets.take()

    # --- for the request that is being answered

    def store(self) -> ContactStore:
        """The contacts of its visitor."""
        return _visit().store

    def uploads(self, uploads: Uploads) -> Uploads:
        """The uploads of its visitor, of all."""
        return cast("Uploads", _Own(uploads, _visit().token))

    def visitor(self) -> str:
        """Its visitor, as app.web.live names them."""
        return _visit().token

    def log(self, visitor: str) -> Log:
        """What the windows of a visitor follow, see app.web.live."""
        return _OwnLog(self, visitor)


class Visit:
    """One request of a visitor: which contacts it is about, and what the cookie becomes.

    The cookie is `new.` and a token before the first write, the token alone from then on, and
    `again.` and the token when the visitor has started again and has not been told so yet.
    """

    reset_url = RESET  # written in a template, `chirp check` would miss its route where this is no demo

    def __init__(self, sandboxes: Sandboxes, request: Request) -> None:
        self._sandboxes = sandboxes
        self._network = network_of(request.client)
        self._cookie = request.cookies.get(cookie_name(COOKIE), "")
        known = _TOKEN.fullmatch(self._cookie)
        self.token = known["token"] if known else ""
        self._mark = (known["mark"] or "") if known else "new"
        if request.method not in SAFE_METHODS:
            sandboxes.lighten()
        sandbox = sandboxes.find(self.token) if known else None
        self._serial = sandbox.serial if sandbox else 0
        # live.js fetches pages too, and nobody reads what is new on them. Old browsers say nothing.
        self._is_read = request.headers.get("sec-fetch-mode", "navigate") == "navigate"
        self._told = False
        self._store: ContactStore | None = sandbox.store if sandbox else self._samples(request)

    @property
    def store(self) -> ContactStore:
        """The contacts of the visitor, until the visit ends."""
        assert self._store, "the visit has ended"
        return self._store

    @property
    def is_lost(self) -> bool:
        """Whether the visitor had a sandbox which is gone, and has not been told so."""
        return self._mark == "" and not self._serial and not self._told

    @property
    def owner(self) -> str:
        """What tells the contacts of this visit from those of all others; "" for the shared samples."""
        return str(self._serial) if self._serial else ""

    @property
    def cookie(self) -> str:
        """What the cookie has to become; "" when it is so already."""
        if self._serial:
            mark = ""
        elif self._mark == "again":
            mark = "new." if self._told else "again."
        else:
            mark = "" if self.is_lost else "new."
        cookie = mark + (self.token or secrets.token_urlsafe(16))
        return "" if cookie == self._cookie else cookie

    def note(self) -> str:
        """What the visitor has to be told on a page, once; "" for nothing."""
        note = ANEW if self.is_lost else AGAIN if self._mark == "again" and not self._told else ""
        if not self._is_read:
            return ""
        self._told = self._told or note != ""
        return note

    def tell(self) -> None:
        """Take the visitor for told that the contacts are gone."""
        self._told = True

    def start_again(self) -> None:
        """Let the contacts go; the samples are back."""
        if self.token:
            self._sandboxes.forget(self.token)
            self._serial, self._mark = 0, "again"

    def end(self) -> None:
        """Hold on to no contacts. A thread that a request starts keeps its `g` for as long as it runs."""
        self._store = None

    def _samples(self, request: Request) -> ContactStore:
        if request.method in SAFE_METHODS:
            return self._sandboxes.samples
        return cast("ContactStore", _UntilFirstWrite(self._sandboxes.samples, self._begin))

    def _begin(self) -> ContactStore:
        """The store for the first write; StoreRefused when that was not meant for it."""
        if not self.token:
            raise StoreRefused(NO_COOKIE)
        if self.is_lost:
            self._told = True
            raise StoreRefused(ANEW)
        sandbox = self._sandboxes.open(self.token, self._network)
        self._serial = sandbox.serial
        return sandbox.store


class _UntilFirstWrite:
    """The samples, and from the first write on what `begin` returns."""

    def __init__(self, samples: ContactStore, begin: Callable[[], ContactStore]) -> None:
        self._store = samples
        self._begin: Callable[[], ContactStore] | None = begin

    def __getattr__(self, name: str) -> Any:
        if name in WRITES and self._begin:
            self._store, self._begin = self._begin(), None
        return getattr(self._store, name)


class _OwnLog:
    """How far the log of a visitor reaches. It says 0, once, when other contacts have taken its place."""

    def __init__(self, sandboxes: Sandboxes, visitor: str) -> None:
        self._sandboxes = sandboxes
        self._visitor = visitor
        self._serial = self._current()[0]

    def settled(self) -> int:
        """See ContactStore."""
        before, (self._serial, store) = self._serial, self._current()
        # The first write takes a copy of the samples, log and all, which goes on from there.
        return store.settled() if before in (0, self._serial) else 0

    def _current(self) -> tuple[int, ContactStore]:
        sandbox = self._sandboxes.peek(self._visitor)
        return (sandbox.serial, sandbox.store) if sandbox else (0, self._sandboxes.samples)


class _Own:
    """The uploads of one visitor, one at a time: a new one takes the place of one that waits."""

    def __init__(self, uploads: Uploads, visitor: str) -> None:
        self._uploads = uploads
        self._visitor = visitor
        self._owner = blake2s(visitor.encode(), digest_size=16).hexdigest()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)

    def new(self) -> Upload:
        """See Uploads. StoreRefused for those who can have none."""
        if not self._visitor:
            raise StoreRefused(NO_COOKIE)
        for each in self._uploads.all():
            # One that still arrives has no state yet, and its request would miss the file.
            upload = self.find(each.token)
            if upload and upload.is_unlocked():
                upload.remove()
        try:
            upload = self._uploads.new()
        except NoRoom:
            upload = self._instead_of_the_oldest()
        (upload.folder / "owner").write_text(self._owner)
        return upload

    def find(self, token: str) -> Upload | None:
        """See Uploads; None for those of others."""
        upload = self._uploads.find(token)
        return upload if upload and self._is_own(upload) else None

    def _instead_of_the_oldest(self) -> Upload:
        """When all room is taken, the files that have waited longest go: nobody can close it to the others.

        NoRoom when not even that helps.
        """
        waiting = filter(None, (self._uploads.find(each.token) for each in self._uploads.all()))
        for upload in sorted(waiting, key=_since):
            if upload.is_unlocked():
                upload.remove()
                with suppress(NoRoom):
                    return self._uploads.new()
        raise NoRoom

    def _is_own(self, upload: Upload) -> bool:
        try:
            return (upload.folder / "owner").read_text() == self._owner
        except OSError:
            return False


def _since(upload: Upload) -> float:
    """When an upload came, or was last worked on; 0 when it is gone meanwhile."""
    try:
        return upload.folder.stat().st_mtime
    except OSError:
        return 0.0


def visitors(sandboxes: Sandboxes) -> Middleware:
    """The middleware that knows the visitor, outside of error_pages: errors bring the cookie, too."""

    async def middleware(request: Request, next: Next) -> AnyResponse:
        if request.path in FOR_PROGRAMS:
            return await next(request)
        visit = g.visit = Visit(sandboxes, request)
        try:
            response = await next(request)
        finally:
            visit.end()
        is_part = request.method == "GET" and request.htmx_current_url  # of a page, for htmx
        if visit.is_lost and is_part and isinstance(response, Response):
            visit.tell()
            headers = dict(response.headers) | {"HX-Trigger": problem_event(ANEW)}
            response = replace(response, headers=tuple(headers.items()))
        if cookie := visit.cookie:
            return response.with_cookie(cookie_name(COOKIE), cookie, secure=is_https(), samesite="Lax")
        return response

    return middleware


async def reset() -> Response:
    """POST /demo/reset: the samples take the place of the visitor's contacts, in all windows at once."""
    _visit().start_again()
    return see_other("/contacts")


def banner() -> Visit | None:
    """What the frame of every page says of the demo; None when this is none."""
    visit: Visit | None = g.get("visit")
    return visit


def owner_of_contacts() -> str:
    """Whose contacts a page shows, for what is remembered of them; "" when there is one store for all."""
    visit = banner()
    return visit.owner if visit else ""


def _visit() -> Visit:
    visit: Visit = g.visit
    return visit
