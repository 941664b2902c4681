"""Signing in and out, and the account: /sign-in, /sign-out, /account. Who may pass: app.web.gate.

Whoever tries passwords has to wait more and more, by name and by address. A name can be tried from
everywhere, so somebody could keep its owner waiting for ever, and one colleague a whole office; but a
browser in which that person was signed in before is known by a cookie and counted by itself.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from chirp import HTTPError, Request, Response, g
from chirp.security.urls import is_safe_url

from app.store import Session, StoreUnavailable, User
from app.web.credentials import Passwords, new_token, normal, password_problem
from app.web.errors import explain
from app.web.forms import read_form
from app.web.gate import SESSION, SIGN_IN, VISIT, Gate, read_cookie, with_cookie
from app.web.lists import Answer, see_other
from app.web.threads import write
from app.web.transport import network_of

KNOWN = "known"  # the cookie of a browser in which somebody was signed in before
LASTS, LASTS_REMEMBERED = timedelta(days=14), timedelta(days=60)  # see app.store.accounts.IDLE, too
KNOWN_FOR = timedelta(days=365)
FREE_BY_NAME, FREE_BY_ADDRESS = 5, 20  # failures without a wait; behind one address there may be many people
HOME = "/contacts"
PATH_LIMIT = 2_000  # characters of the address to go back to

WRONG = "The name or the password is not right."
SHORT = {"current": "Type the password that you have now.", "again": "Type the new password twice, alike."}
TOLD = {
    "out": "You are signed out.",
    "everywhere": "You are signed out everywhere.",
    "changed": "The password is changed, and all other sessions are ended.",
}
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}

log = logging.getLogger(__name__)


class TooMany(Exception):
    """Nobody may try now. seconds: how long that lasts."""

    def __init__(self, seconds: int) -> None:
        minutes = -(-seconds // 60)
        wait = f"{minutes} minute{'' if minutes == 1 else 's'}"
        super().__init__(f"There were too many attempts. Please wait {wait}, then try again.")
        self.seconds = seconds


# --- signing in and out


async def new(request: Request, gate: Gate) -> Answer:
    """GET /sign-in: the form. `next`: the path to go to afterwards. Who is signed in goes there at once."""
    if g.get("session"):
        return see_other(_next(request))
    return _sign_in_page(request, gate, told=TOLD.get(request.query.get("told", ""), ""))


async def create(request: Request, gate: Gate, passwords: Passwords) -> Answer:
    """POST /sign-in: begin a session. 422 for a wrong name or password, 429 after too many of them.

    503 while nobody can sign in, with the form as it was, but for the password.
    """
    form = await read_form(request)
    name, remember = form.get("name", ""), bool(form.get("remember"))
    try:
        user = await _verified(request, gate, passwords, name, form.get("password", ""))
        there = see_other(_next(request))
        response = await _open_session(request, gate, user, there, remember=remember) if user else None
    except TooMany as error:
        page = _sign_in_page(request, gate, name=name, remember=remember, problem=str(error))
        return replace(page, status=429).with_header("Retry-After", str(error.seconds))
    except (StoreUnavailable, HTTPError) as error:
        status, problem, headers = explain(error)
        page = _sign_in_page(request, gate, name=name, remember=remember, problem=problem)
        return replace(page, status=status).with_headers(headers)
    if user is None or response is None:
        page = _sign_in_page(request, gate, name=name, remember=remember, error=WRONG)
        return replace(page, status=422)
    log.info("sign-in: user %d", user.id)
    known = gate.keys.code("known", user.name.casefold())
    return with_cookie(response, KNOWN, known, int(KNOWN_FOR.total_seconds()))


async def delete(request: Request, gate: Gate) -> Response:
    """POST /sign-out: end this session; with `everywhere`, all of this person."""
    everywhere = bool((await read_form(request)).get("everywhere"))
    if everywhere:
        await write(gate.accounts.end_sessions, g.user.id)
    else:
        await write(gate.accounts.end_session, gate.session_key(request))
    response = see_other(f"{SIGN_IN}?told={'everywhere' if everywhere else 'out'}")
    return with_cookie(response, SESSION, "", 0)


# --- the account


async def account(request: Request, gate: Gate) -> Answer:
    """GET /account: the password, and where this person is signed in."""
    return _account_page(gate, told=TOLD.get(request.query.get("told", ""), ""))


async def change_password(request: Request, gate: Gate, passwords: Passwords) -> Answer:
    """POST /account: set another password, which ends all other sessions.

    422 with messages at the fields; 429 after too many wrong passwords.
    """
    form = await read_form(request)
    session: Session = g.session
    wanted, errors = form.get("new", ""), dict[str, str]()
    try:
        user = await _verified(request, gate, passwords, session.user.name, form.get("current", ""))
    except TooMany as error:
        page = _account_page(gate, errors={"current": str(error)})
        return replace(page, status=429).with_header("Retry-After", str(error.seconds))
    if user is None:
        errors["current"] = SHORT["current"]
    if problem := password_problem(wanted, session.user.name):
        errors["new"] = problem
    elif normal(wanted) != normal(form.get("again", "")):
        errors["again"] = SHORT["again"]
    if user is None or errors:
        return replace(_account_page(gate, errors=errors), status=422)
    with passwords.place():
        kept = await passwords.on_thread(partial(passwords.hash, wanted))
    await write(gate.accounts.set_password, user.id, kept, gate.clock())
    log.info("password changed: user %d", user.id)
    found = gate.accounts.find(user.name)
    there = see_other("/account?told=changed")
    if not found:
        return see_other(SIGN_IN)
    again = await _open_session(request, gate, found[0], there, remember=session.remembered)
    return again or see_other(SIGN_IN)


# --- what they share


async def _verified(
    request: Request, gate: Gate, passwords: Passwords, name: str, password: str
) -> User | None:
    """The user of this name, if the password is theirs. TooMany when nobody may try.

    HTTPError 503 when too many wait, StoreUnavailable. What can refuse an attempt before the password is
    compared comes before it is counted: whoever is told to try again has not failed.
    """
    counters = _counters(request, gate, name)
    with passwords.place():
        user, kept = gate.accounts.find(" ".join(normal(name).split())) or (None, None)
        if seconds := await write(gate.accounts.attempt, counters, gate.clock()):
            who = f"user {user.id}" if user else "no user"
            where = network_of(request.client) or "an unknown address"
            log.warning(
                "sign-in: too many attempts for %s from %s, refused for %d seconds", who, where, seconds
            )
            raise TooMany(seconds)
        if not await passwords.on_thread(partial(passwords.verify, kept, password)) or not user or not kept:
            return None
        own, *shared = counters
        await write(gate.accounts.forgive, [own], shared)
        if passwords.is_outdated(kept):
            renewed = await passwords.on_thread(partial(passwords.hash, password))
            await write(gate.accounts.rehash, user.id, kept, renewed)
        return user


def _counters(request: Request, gate: Gate, name: str) -> dict[bytes, int]:
    """What an attempt counts against, each with the failures that it lets pass; that of the name first."""
    name = " ".join(normal(name).split()).casefold()
    if gate.keys.is_code(read_cookie(request, KNOWN), "known", name):
        return {gate.keys.key("attempt by known browser", name): FREE_BY_NAME}
    counters = {gate.keys.key("attempt by name", name): FREE_BY_NAME}
    if network := network_of(request.client):
        counters[gate.keys.key("attempt by address", network)] = FREE_BY_ADDRESS
    return counters


async def _open_session(
    request: Request, gate: Gate, user: User, response: Response, *, remember: bool
) -> Response | None:
    """End the session that this browser had and begin another; None if the user is gone meanwhile."""
    token, at = new_token(), gate.clock()
    lasts = LASTS_REMEMBERED if remember else LASTS
    await write(gate.accounts.end_session, gate.session_key(request))
    begun = await write(
        gate.accounts.open_session,
        gate.keys.key("session", token),
        user,
        at=at,
        ends_at=at + lasts,
        remembered=remember,
        browser=browser_of(request.headers.get("user-agent", "")),
    )
    return (
        with_cookie(response, SESSION, token, int(lasts.total_seconds()) if remember else None)
        if begun
        else None
    )


def _sign_in_page(request: Request, gate: Gate, **context: Any) -> Response:
    """The form, which belongs to the browser that it is sent to."""
    visit = read_cookie(request, VISIT) or new_token()
    g.form_key = gate.visit_key(visit)
    fields = {"name": "", "remember": False, "error": "", "problem": "", "told": ""}
    response = gate.page("sign_in.html", **fields | context)
    return with_cookie(response, VISIT, visit)


def _account_page(gate: Gate, *, errors: dict[str, str] | None = None, told: str = "") -> Response:
    session: Session = g.session
    sessions = gate.accounts.sessions(session.user.id, gate.clock())
    return gate.page(
        "account.html", here="account", user=session.user, session=session, sessions=sessions,
        errors=errors or {}, told=told,
    )  # fmt: skip


def _next(request: Request) -> str:
    """The path of this site that `next` names; that of the list for anything else."""
    path = request.query.get("next", "")
    if not (is_safe_url(path) and path.isprintable() and "\\" not in path and len(path) <= PATH_LIMIT):
        return HOME
    return quote(path, safe="/?&=%+,;:@!$'()*~-._")


def browser_of(user_agent: str) -> str:
    """A browser in a few words: `Firefox on Windows`."""
    name = next((known for sign, known in _BROWSERS.items() if f"{sign}/" in user_agent), "")
    system = next((known for sign, known in _SYSTEMS.items() if sign in user_agent), "")
    return " on ".join(filter(None, (name or "A browser", system)))
