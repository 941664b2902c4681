"""The gate of an app that asks who is there: every route is closed to those who are not signed in.

What protects what, and why the tokens in forms are ours and not Chirp's: docs/decisions/0011-sign-in.md.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import cast
from urllib.parse import quote

from chirp import App, HTTPError, Request, Response, Template, g
from chirp.http.response import SSEResponse, StreamingResponse
from chirp.middleware.protocol import AnyResponse, Next

from app.contacts.contact import now
from app.store import Accounts, Session, StoreUnavailable, User
from app.web.credentials import Keys, is_masked, masked
from app.web.forms import UPLOAD, read_form
from app.web.headers import PROBES
from app.web.problems import Problem, is_api
from app.web.security import SAFE_METHODS
from app.web.threads import write_later
from app.web.transport import cookie_name, is_https

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
# The open addresses, besides static files, which are answered before they come here.
# /metrics asks for a token of its own.
OPEN = frozenset({SIGN_IN, *PROBES, "/metrics"})
UNKEPT = frozenset({UPLOAD, "account"})  # whose forms are not written back: they hold a file, or passwords

SESSION = "session"  # the cookie of somebody who is signed in
VISIT = "visit"  # and the one that the sign-in form belongs to
FIELD, HEADER = "_csrf_token", "X-CSRF-Token"  # as Chirp calls them
SEEN_EVERY = timedelta(minutes=1)  # how exactly it is known when a session was last used

SIGNED_OUT = "You are signed out."
STRANGE_FORM = (
    "This form is from before you signed in, so nothing was changed. Reload the page, then try again."
)
STRANGE_CALL = (
    "Whoever is known by a cookie sends the header X-CSRF-Token, too, with what the field _csrf_token "
    "holds in our forms. A program sends a token as Authorization: Bearer instead."
)
NO_TOKEN = "Send a token as Authorization: Bearer. `python -m app user token NAME --label TEXT` makes one."
STRANGE_VISIT = "Your browser kept no cookie of this page. Allow cookies, then sign in again."
_FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is looking at a page, as templates see it. name: "" for somebody who is not signed in."""

    name: str


class Gate:
    """Lets in who is signed in. clock: tells the present moment."""

    def __init__(self, app: App, accounts: Accounts, keys: Keys, clock: Callable[[], datetime] = now) -> None:
        self.accounts = accounts
        self.keys = keys
        self.clock = clock
        self._app = app

    async def __call__(self, request: Request, next: Next) -> AnyResponse:
        """The middleware: find out who asks, and refuse those who may not."""
        if request.path in PROBES:
            return await next(request)  # without a look at the store, which may be why somebody asks
        if user := self._bearer(request):
            g.user = user  # no browser sends such a header by itself, so there is nothing to forge
            return await next(request)
        session = self._session(request)
        if session:
            self.admit(session.user)
            g.session, g.is_signed_in = session, partial(self._lasts, self.session_key(request))
            self._touch(session)
        elif request.path not in OPEN:
            return await self._refuse(request)
        if request.path == SIGN_IN:
            g.form_key = self.visit_key(read_cookie(request, VISIT))
        if request.method not in SAFE_METHODS:
            await _refuse_strange_form(request)
        return await next(request)

    def page(self, template: str, **context: object) -> Response:
        """A whole page, to give it a status and cookies."""
        return Response(self._app.render(Template(template, **context)), render_intent="full_page")

    def admit(self, user: User) -> None:
        """Take the request for one of this user."""
        g.user, g.visitor = user, Visitor(user.name)
        # The same in each session of a person, so that a form which is open while the session ends can
        # still be sent when they have signed in again.
        g.form_key = self.keys.key("form", f"{user.id} {user.changed_at.timestamp()}")

    def visit_key(self, visit: str) -> bytes:
        """What the sign-in form holds for a browser with this cookie, masked; b"" without a cookie.

        So no other site can sign somebody in under a name of its own, to see what they then type.
        """
        return self.keys.key("visit", visit) if visit else b""

    def session_key(self, request: Request) -> bytes:
        """What the session of a request is known by, whether or not there is one."""
        return self.keys.key("session", read_cookie(request, SESSION))

    def _session(self, request: Request) -> Session | None:
        if not read_cookie(request, SESSION):
            return None
        return self.accounts.session(self.session_key(request), self.clock())

    def _bearer(self, request: Request) -> User | None:
        """Whose token the request shows, where one counts."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not is_api(request) or scheme.lower() != "bearer":
            return None
        return self.accounts.token_user(self.keys.key("token", token.strip()))

    def _lasts(self, key: bytes) -> bool:
        """Whether a session has not ended, as far as can be told: nothing can be shown meanwhile anyway."""
        try:
            return self.accounts.session(key, self.clock()) is not None
        except StoreUnavailable:
            return True

    def _touch(self, session: Session) -> None:
        if self.clock() - session.seen_at >= SEEN_EVERY:
            write_later(self.accounts.touch, session.id, self.clock())

    async def _refuse(self, request: Request) -> Response:
        """Lead to where one signs in, in the way that fits who asks. What was typed is not lost."""
        mode = request.headers.get("sec-fetch-mode")
        navigates = mode == "navigate" or (
            mode is None and "text/event-stream" not in request.headers.get("accept", "")
        )
        if is_api(request) and mode != "navigate":
            raise _problem(request)
        if request.is_htmx or not navigates:
            raise HTTPError(401, f"{SIGNED_OUT} Sign in again in another tab, then try again.")
        if request.path == SIGN_OUT:
            return Response("", status=303).with_header("Location", SIGN_IN)  # done already, in another tab
        if request.method in SAFE_METHODS:
            back = quote(request.url, safe="/?&=%+,;:@!$'()*~-._")
            return Response("", status=303).with_header("Location", f"{SIGN_IN}?next={quote(back, safe='/')}")
        return await self._keep(request)

    async def _keep(self, request: Request) -> Response:
        """A page that holds what a form sent, to be sent again."""
        form = None if request.path.strip("/") in UNKEPT else await read_form(request)
        fields = [(name, value) for name in form for value in form.get_list(name)] if form else []
        page = self.page("signed_out.html", action=request.url, fields=fields)
        return replace(page, status=401).with_header("Cache-Control", "no-store")


async def mark_forms(request: Request, next: Next) -> AnyResponse:
    """Put the visitor's token into every form of a page, and let nobody keep the page.

    Here and not in the templates, because rendered rows are cached for all visitors. No store, so
    that the back button shows nobody's contacts once that person is signed out.
    """
    g.visitor = Visitor("")  # nobody, until the gate knows better; some requests do not come so far
    response = await next(request)
    if isinstance(response, SSEResponse):
        return response  # Chirp's own, which we do not use
    if g.get("session") and response.header("Cache-Control") in (None, "private, no-cache"):
        others = tuple(pair for pair in response.headers if pair[0].lower() != "cache-control")
        response = replace(response, headers=(*others, ("Cache-Control", "no-store")))
    key: bytes = g.get("form_key") or b""
    if not key or not (response.content_type or "").startswith("text/html"):
        return response
    field = rf'\g<0><input type="hidden" name="{FIELD}" value="{masked(key)}">'
    if isinstance(response, Response):
        return replace(response, body=_FORM.sub(field, cast("str", response.body)))
    if isinstance(response, StreamingResponse):
        return replace(response, chunks=_marked(cast("AsyncIterator[str]", response.chunks), field))
    return response


def visitor() -> Visitor | None:
    """For templates: who is looking; None where nobody has to sign in."""
    return cast("Visitor | None", g.get("visitor"))


def read_cookie(request: Request, name: str) -> str:
    """The value of a cookie of ours, "" without one."""
    return request.cookies.get(cookie_name(name)) or ""


def with_cookie(response: Response, name: str, value: str, seconds: int | None = None) -> Response:
    """Give out a cookie for so many seconds; None for as long as the browser runs, 0 to take it back."""
    return response.with_cookie(cookie_name(name), value, max_age=seconds, secure=is_https(), samesite="Lax")


async def _refuse_strange_form(request: Request) -> None:
    """HTTPError 403 for a write without the token that our own pages have.

    A file is uploaded without: its form can only be read to its end once. All that it does is to show
    a preview; to import it takes a form with the token.
    """
    if request.path.strip("/") == UPLOAD:
        return
    given = request.headers.get(HEADER)
    if given is None and "form" in (request.content_type or "").lower():
        given = (await read_form(request)).get(FIELD)
    key: bytes = g.get("form_key") or b""
    if not key or not is_masked(given or "", key):
        if is_api(request):
            raise HTTPError(403, STRANGE_CALL)
        raise HTTPError(403, STRANGE_VISIT if request.path == SIGN_IN else STRANGE_FORM)


def _problem(request: Request) -> Problem:
    """What a program is told that may not come in."""
    challenge = 'Bearer realm="contacts"'
    if request.headers.get("authorization"):
        challenge += ', error="invalid_token"'
    return Problem(401, NO_TOKEN, headers={"WWW-Authenticate": challenge})


async def _marked(chunks: AsyncIterator[str], field: str) -> AsyncIterator[str]:
    """The pieces of a page with the token in their forms; a tag may begin in one and end in the next."""
    rest = ""
    try:
        async for chunk in chunks:
            text = rest + chunk
            begun = text.rfind("<")
            whole = len(text) if begun < 0 or ">" in text[begun:] else begun
            rest = text[whole:]
            yield _FORM.sub(field, text[:whole])
        yield rest
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()
