"""The failure lab: a person causes what can go wrong and watches what the app makes of it.

It exists only where the settings allow staging, see create_app. Each fault happens to one
browser, the one with the cookie that GET /lab gives out, because a public demo has many
visitors; and it happens where a real one would, so that what answers it is the real thing.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any, cast

from chirp import HTTPError, Page, Request, Response, g
from chirp.middleware.protocol import AnyResponse, Next

from app.contacts.contact import ContactDraft, ContactError
from app.contacts.listing import ListQuery
from app.store import WRITES, ContactStore, StoreUnavailable
from app.web.errors import Middleware
from app.web.lists import Answer, see_other, whole
from app.web.live import Live
from app.web.security import SAFE_METHODS
from app.web.transport import secure

COOKIE = "lab"  # its value names a browser; app.web.live reads it, too
FAULTS = ("stream", "save-error", "lost", "conflict")
MEMORY = 600.0  # seconds after which a fault that did not happen is forgotten
ROOM = 1_000  # how many faults may wait; the oldest is forgotten for one more
LOST = 2.0  # seconds that a connection stays lost: browsers repeat at once what found a dead one
INTERRUPTED = 6.0  # seconds without an event stream
THEIRS = ("Changed in the lab", "Changed in the lab again")  # companies that "someone else" writes
READS = ("/contacts/check", "/contacts/export")  # the POSTs that write nothing


class Lab:
    """The faults of this process that wait to happen, each to one browser. Any thread may use it.

    now: a clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._ends: dict[tuple[str, str], float] = {}  # by browser and fault; the oldest first

    def arm(self, browser: str, fault: str) -> None:
        """Let a fault happen to a browser at the next occasion."""
        with self._lock:
            self._ends.pop((browser, fault), None)
            if len(self._ends) >= ROOM:
                del self._ends[next(iter(self._ends))]
            self._ends[browser, fault] = self._now() + MEMORY

    def strikes(self, browser: str, fault: str, lasting: float = 0.0) -> bool:
        """Whether a fault happens now: once, or from the first time on for so many seconds."""
        with self._lock:
            now, end = self._now(), self._ends.pop((browser, fault), 0.0)
            if now < end and lasting:
                self._ends[browser, fault] = min(end, now + lasting)
            return now < end


async def index(request: Request, store: ContactStore) -> Answer:
    """GET /lab: what can be caused, and what should happen then."""
    page = Page("lab.html", "content", has_contacts=store.count() > 0, here="lab")
    if request.cookies.get(COOKIE):
        return page
    browser = secrets.token_urlsafe(16)
    return page, 200, {"Set-Cookie": f"{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax{secure()}"}


async def start(request: Request, fault: str, store: ContactStore, lab: Lab, live: Live) -> Response:
    """POST /lab/{fault}: let it happen to this browser, and lead to where that can be watched.

    400 for a browser without the cookie, 404 for a fault that there is not.
    """
    browser = request.cookies.get(COOKIE, "")
    if fault not in FAULTS:
        raise HTTPError(404)
    if not browser:
        raise HTTPError(400, "The lab knows your browser by a cookie. Allow cookies, then open /lab again.")
    if fault == "stream":
        live.interrupt(browser, INTERRUPTED)
        return see_other("/contacts")
    first = store.list(ListQuery(limit=1)).contacts
    if fault == "conflict" and not first:
        return see_other("/lab#conflict")  # which says that it needs a contact
    lab.arm(browser, fault)
    return see_other(f"/contacts/{first[0].id}/edit" if fault == "conflict" else "/contacts/new")


def stage_faults(lab: Lab, current: Callable[[], ContactStore]) -> Middleware:
    """The middleware that lets faults happen, innermost: what it causes, all others answer as ever.

    current: the store of the request that is being answered.
    """

    async def middleware(request: Request, next: Next) -> AnyResponse:
        browser, path = request.cookies.get(COOKIE, ""), request.path.rstrip("/")
        is_write = request.method not in SAFE_METHODS and path.startswith("/contacts") and path not in READS
        if browser and is_write:
            if lab.strikes(browser, "lost", lasting=LOST):
                raise asyncio.CancelledError  # Pounce closes the connection, without an answer
            contact_id = whole(path.removeprefix("/contacts/"))
            if request.method == "PUT" and contact_id and lab.strikes(browser, "conflict"):
                _change(current(), contact_id)
            g.store_fails = lab.strikes(browser, "save-error")
        return await next(request)

    return middleware


def staged(store: ContactStore) -> ContactStore:
    """The store for the request that is being answered: one that fails, if stage_faults says so.

    The fault is in the store and not in the middleware, where the handler would not see it: it
    is the handler that sends back what was typed.
    """
    return cast("ContactStore", _Failing(store)) if g.get("store_fails") else store


class _Failing:
    """A store that can be read, and whose writes fail as by a mistake of ours."""

    def __init__(self, store: ContactStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            raise RuntimeError("this write was asked to fail, in the lab")
        return getattr(self._store, name)


def _change(store: ContactStore, contact_id: int) -> None:
    """Save a contact as someone else would, just before the person does."""
    with suppress(ContactError, StoreUnavailable):  # then the person's own save says what is wrong
        contact = store.get(contact_id)
        company = THEIRS[contact.company == THEIRS[0]]
        store.update(contact_id, replace(ContactDraft.of(contact), company=company), contact.version)
