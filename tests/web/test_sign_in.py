"""An app that asks who is there: what is closed, who gets in, how long that lasts, what a form must hold.

The clock is the test's own. Passwords are hashed by argon2id with its smallest parameters.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from logging import WARNING
from pathlib import Path
from threading import Semaphore
from typing import Any, Literal, cast

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from chirp import App, HTTPError
from chirp.testing import TestClient

from app.contacts.listing import ListQuery
from app.main import create_app
from app.server import asgi
from app.settings import BadSetting, Settings
from app.store import CannotOpen, ContactStore, StoreUnavailable
from app.store.memory import MemoryStore
from app.store.sql_accounts import SQLAccounts
from app.store.sqlite import SQLiteStore
from app.web import live, threads
from app.web.credentials import WAITING, Keys, Passwords, new_token
from app.web.gate import FIELD, _marked
from app.web.live import Live
from app.web.sign_in import browser_of
from app.web.transport import is_https, network_of, scheme
from tests.making import add
from tests.web.browser import FORM, Answer, Browser, Htmx, Serve, encoded
from tests.web.conftest import Shelf
from tests.web.markup import Element

pytestmark = pytest.mark.anyio

SECRET = "a secret that is long enough for the tests"
PASSWORD = "correct horse battery"
FORM_HEADERS = {"content-type": FORM, "sec-fetch-site": "same-origin"}
EVIL = [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "\t//evil.example",
]


class Clock:
    """Stands still until a test moves it on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 7, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **how: float) -> None:
        settle()
        self.at += timedelta(**how)


def settle() -> None:
    """Wait for what is written while nobody waits: when a session was last used."""
    threads._writer.submit(int).result()


class CountingHasher(PasswordHasher):
    """argon2id, cheap. verified: how often a password was compared, and was wrong."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        try:
            return super().verify(hash, password)
        except VerifyMismatchError:
            self.verified += 1
            raise


class AccountsShelf:
    """Passes every call on to the accounts of the running test's store."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda *args, **kwargs: getattr(self._shelf.store.accounts(), name)(*args, **kwargs)


class ClosedShelf(Shelf):
    """A shelf whose stores have accounts."""

    def accounts(self) -> AccountsShelf:
        return AccountsShelf(self)


CLOCK, HASHER, SHELF = Clock(), CountingHasher(), ClosedShelf()
PASSWORDS = Passwords(HASHER)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    SHELF.store = SQLiteStore(tmp_path_factory.mktemp("first") / "contacts.db")
    return SHELF


@pytest.fixture(scope="module")
def app(shelf: Shelf) -> App:
    """The app as CONTACTS_AUTH=password makes it."""
    return create_app(
        Settings(auth="password", secret=SECRET),
        cast("ContactStore", shelf),
        passwords=PASSWORDS,
        clock=CLOCK,
    )


@pytest.fixture
def store(sqlite: SQLiteStore) -> SQLiteStore:
    """A store with a contact, Ada Lovelace, and two users, grace and alan, who have the same password."""
    CLOCK.at = datetime(2026, 3, 7, 12, tzinfo=UTC)
    add(sqlite, "Ada Lovelace", email="ada@example.com")
    for name in ("grace", "alan"):
        sqlite.accounts().add_user(name, HASHER.hash(PASSWORD), CLOCK.at)
    return sqlite


@pytest.fixture
def visitor(client: TestClient) -> Callable[[], Browser]:
    """Makes browsers without script, each with its own cookies."""
    return lambda: Browser(client)


Signed = Callable[..., Awaitable[Browser]]


@pytest.fixture
def signed_in(visitor: Callable[[], Browser]) -> Signed:
    """Makes a browser in which somebody is signed in."""

    async def make(name: str = "grace", **more: str) -> Browser:
        browser = visitor()
        answer = await sign_in(browser, name, **more)
        assert answer.via == "/contacts"
        return browser

    return make


async def sign_in(browser: Browser, name: str, password: str = PASSWORD, **more: str) -> Answer:
    """Fill in the sign-in form, and send it."""
    page = await browser.open("/sign-in")
    return await browser.submit(form_of(page), name=name, password=password, **more)


def form_of(page: Answer) -> Element:
    """The sign-in form."""
    return page.dom.one("form", aria_labelledby="sign-in-title")


def user_of(answer: Answer) -> str:
    """Who the header of a page says is signed in; "" for nobody."""
    found = answer.dom.all("a", href="/account")
    return found[0].one("bdi").text if found else ""


async def closed_to(browser: Browser) -> bool:
    """Whether a browser is led to the sign-in page."""
    return (await browser.open("/contacts")).via.startswith("/sign-in")


def cookies_of(answer: Answer) -> dict[str, str]:
    """The cookies that an answer gives out, each with its attributes."""
    given = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    return {value.partition("=")[0]: value for value in given}


async def post_sign_in(client: TestClient, agent: str = "", at: str = "/sign-in", **more: str) -> Answer:
    """Sign in without following the redirect. agent: what the browser says it is."""
    page = Answer.of(await client.get(at))
    visit = next(iter(cookies_of(page).values())).partition(";")[0]
    fields = form_of(page).fields | {"name": "grace", "password": PASSWORD} | more
    headers = FORM_HEADERS | {"cookie": visit, "user-agent": agent}
    return Answer.of(await client.post(at, headers=headers, body=encoded(fields).encode()))


# ---- closed by default

OPEN = {"/sign-in", "/health", "/ready", "/metrics"}
KINDS = {
    "navigation": {"sec-fetch-mode": "navigate", "sec-fetch-site": "same-origin"},
    "old browser": {},
    "htmx": {"hx-request": "true", "sec-fetch-site": "same-origin"},
    "script": {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"},
    "wrong token": {"authorization": "Bearer nonsense"},
    "wrong cookie": {"cookie": "session=nonsense; __Host-session=nonsense; visit=x"},
}


def addresses(app: App) -> Iterator[tuple[str, str]]:
    """Every method and path of the URL table, with something in the place of each parameter."""
    for route in app._mutable_state.pending_routes:
        path = "/".join("1" if part.startswith("{") else part for part in route.path.split("/"))
        yield from ((method, path) for method in route.methods or ["GET"])


ODD = [
    "/nothing",
    "/contacts/",
    "//contacts",
    "/sign-in/",
    "/sign-in/x",
    "/metrics/x",
    "/SIGN-IN",
    "/static/none",
    "/static/../contacts",
    "/api/v1/contacts",
    "/api/",
    "/_frag/contacts?_b=contact_table",
    "/contacts/1/../../sign-in",
    "/sign-in%2f..%2fcontacts",
    "/__chirp/routes",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_route_is_closed(client: TestClient, app: App, kind: str) -> None:
    table = [
        *addresses(app),
        *((method, path) for path in ODD for method in ("GET", "POST", "HEAD", "OPTIONS")),
    ]
    assert {"/live", "/lab", "/dashboard", "/contacts.csv", "/account"} <= {path for _, path in table}

    for method, path in table:
        if path in OPEN:
            continue
        headers = KINDS[kind] | ({"content-type": FORM} if method == "POST" else {})
        async with asyncio.timeout(20):  # an open event stream would not end
            answer = Answer.of(await client.request(method, path, headers=headers))
        where = answer.header("Location")
        told = f"{path} {where}" == "/sign-out /sign-in"
        led = told or where.startswith("/sign-in?next=/")
        refused = answer.status == 401 or (answer.status == 303 and led)
        # What is at no address of ours is told to everybody.
        assert refused or (answer.status in (404, 405) and path.startswith("/_")), (
            f"{method} {path}: {answer}"
        )
        assert b"Ada" not in answer.body


async def test_what_is_refused_before_anybody_is_known_shows_no_way_around(client: TestClient) -> None:
    elsewhere = {"content-type": FORM, "sec-fetch-site": "cross-site"}
    refused = Answer.of(await client.post("/contacts", headers=elsewhere, body=b"name=x"))
    odd = Answer.of(await client.get(f"/{'x' * 1_001}"))

    assert (refused.status, odd.status) == (403, 404)
    for answer in (refused, odd):
        assert not answer.dom.all("nav")
        assert not answer.dom.all("a", href="/api/docs")


async def test_probes_and_static_files_are_open(client: TestClient) -> None:
    for path in ("/health", "/ready", "/static/app.css"):
        assert (await client.get(path)).status == 200


async def test_a_store_that_fails_lets_nobody_in(
    visitor: Callable[[], Browser], signed_in: Signed, sqlite: SQLiteStore
) -> None:
    browser = await signed_in()
    sqlite.close()

    answer = await browser.open("/contacts")

    assert answer.status == 503
    assert b"Ada" not in answer.body


@pytest.mark.parametrize("after_the_password", [False, True])
async def test_a_sign_in_while_the_database_is_locked_gives_the_form_back_and_lets_nobody_in(
    visitor: Callable[[], Browser],
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    after_the_password: bool,
) -> None:
    browser = visitor()
    with closing(sqlite3.connect(database, autocommit=True, check_same_thread=False)) as conn:

        def locking(*_: object) -> Literal[True]:
            conn.execute("BEGIN IMMEDIATE")
            return True

        if after_the_password:
            monkeypatch.setattr(HASHER, "verify", locking)
        else:
            locking()
        refused = [await sign_in(browser, "grace", remember="1")]
        monkeypatch.undo()
        refused.append(await sign_in(browser, "grace", remember="1"))

    for answer in refused:
        assert answer.status == 503
        assert answer.header("Retry-After") == "5"
        assert (
            "contacts.db is busy: something else is writing to it. " in answer.dom.one("p", role="alert").text
        )
        assert form_of(answer).fields["name"] == "grace"
        assert form_of(answer).fields["remember"] == "1"
        assert "session" not in browser.cookies
    assert "Traceback" not in caplog.text
    assert caplog.text.count("the store failed: contacts.db is busy") == 2
    assert await closed_to(browser)
    assert (await sign_in(browser, "grace")).via == "/contacts"


async def test_who_signs_in_comes_to_where_they_wanted_to_go(visitor: Callable[[], Browser]) -> None:
    browser = visitor()
    page = await browser.open("/contacts?q=ada+love")
    browser.url = page.via

    answer = await browser.submit(form_of(page), name="GRACE ", password=PASSWORD)

    assert answer.via == "/contacts?q=ada+love"
    assert answer.names == ["Ada Lovelace"]
    assert user_of(answer) == "grace"


@pytest.mark.parametrize("path", EVIL)
async def test_nobody_is_led_to_another_site(client: TestClient, signed_in: Signed, path: str) -> None:
    query = encoded({"next": path})
    cookie = f"session={(await signed_in()).cookies['session']}"

    first = await post_sign_in(client, at=f"/sign-in?{query}")
    again = await client.get(f"/sign-in?{query}", headers={"cookie": cookie})

    assert (first.status, first.header("Location")) == (303, "/contacts")
    assert (again.status, again.header("Location")) == (303, "/contacts")


async def test_htmx_says_that_the_session_has_ended_and_leaves_the_form(client: TestClient) -> None:
    answer = await Htmx(client).ask("POST", "/contacts", name="Alan Turing")

    assert (answer.status, answer.body, answer.header("HX-Reswap")) == (401, b"", "none")
    problem = answer.events["problem"]
    assert problem["message"] == "You are signed out. Sign in again in another tab, then try again."


async def test_what_was_typed_without_script_outlives_the_session(
    signed_in: Signed, sqlite: SQLiteStore
) -> None:
    browser = await signed_in()
    page = await browser.open("/contacts/new")
    form, notes = page.dom.id("contact-form"), '</textarea> "two"\n\nlines'
    sqlite.accounts().end_sessions(1)

    kept = await browser.submit(form, name="Alan Turing", email="alan@example.net", notes=notes)
    again = kept.dom.one("form", action="/contacts")
    await sign_in(browser, "grace")  # in another tab
    saved = await browser.submit(again)

    assert kept.status == 401
    assert saved.names == ["Ada Lovelace", "Alan Turing"]
    assert sqlite.get(2).notes == notes


async def test_passwords_are_not_written_back(signed_in: Signed, sqlite: SQLiteStore) -> None:
    browser = await signed_in()
    form = (await browser.open("/account")).dom.one("form", aria_labelledby="password-title")
    sqlite.accounts().end_sessions(1)

    kept = await browser.submit(form, current=PASSWORD, new="another horse", again="another horse")

    assert kept.status == 401
    assert kept.dom.all("a", href="/sign-in")
    assert b"horse" not in kept.body


async def test_a_form_is_not_sent_by_somebody_else(signed_in: Signed, sqlite: SQLiteStore) -> None:
    browser = await signed_in("grace")
    form = (await browser.open("/contacts/new")).dom.id("contact-form")
    await browser.submit((await browser.open("/contacts")).dom.form("Sign out"))
    await sign_in(browser, "alan")

    answer = await browser.submit(form, name="Alan Turing", email="alan@example.net")

    assert answer.status == 403
    assert sqlite.count() == 1


async def test_a_program_is_told_how_to_come_in(client: TestClient) -> None:
    without = Answer.of(await client.get("/api/v1/contacts"))
    wrong = Answer.of(await client.get("/api/v1/contacts", headers={"authorization": "Bearer x"}))

    for answer in (without, wrong):
        assert (answer.status, answer.content_type) == (401, "application/problem+json")
    assert without.header("WWW-Authenticate") == 'Bearer realm="contacts"'
    assert wrong.header("WWW-Authenticate") == 'Bearer realm="contacts", error="invalid_token"'


async def test_who_may_not_in_is_told_as_of_all_problems_of_the_api(client: TestClient) -> None:
    answer = Answer.of(await client.get("/api/v1/contacts"))

    assert json.loads(answer.body)["type"] == "/api/docs#problem-401"
    assert answer.header("Cache-Control") == "no-store"


async def test_more_slashes_make_no_other_api(client: TestClient, sqlite: SQLiteStore) -> None:
    token = new_token()
    sqlite.accounts().add_token(Keys(SECRET).key("token", token), 1, "export", CLOCK.at)

    stranger = Answer.of(await client.get("//api//v1/contacts"))
    let_in = await client.get("//api//v1/contacts", headers={"authorization": f"Bearer {token}"})

    assert (stranger.status, stranger.content_type) == (401, "application/problem+json")
    assert let_in.status == 200


async def test_a_token_opens_the_api_and_nothing_else(client: TestClient, sqlite: SQLiteStore) -> None:
    token = new_token()
    made = sqlite.accounts().add_token(Keys(SECRET).key("token", token), 1, "export", CLOCK.at)
    headers = {"authorization": f"Bearer {token}"}

    api, page = (
        await client.get("/api/nothing", headers=headers),
        await client.get("/contacts", headers=headers),
    )
    write = await client.post(
        "/api/nothing", headers=headers | {"content-type": "application/json"}, body=b"{}"
    )
    sqlite.accounts().revoke(made.id)
    revoked = await client.get("/api/nothing", headers=headers)

    assert (api.status, page.status, write.status, revoked.status) == (404, 303, 404, 401)


# ---- passwords


@pytest.mark.parametrize("name", ["grace", "nobody", "gracé", "", "x" * 5_000])
async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
    visitor: Callable[[], Browser], name: str
) -> None:
    browser, before = visitor(), HASHER.verified

    answer = await sign_in(browser, name, "wrong horse battery")

    form = form_of(answer)
    assert answer.status == 422
    assert HASHER.verified == before + 1  # takes as long
    assert form.one("input", name="name").attrs.get("value", "") == name
    field = form.one("input", name="password")
    assert field["aria-invalid"] == "true"
    assert field.attrs.get("value", "") == ""
    assert form.id(field["aria-describedby"]).text == "The name or the password is not right."
    assert await closed_to(browser)


async def test_keyboards_may_spell_a_password_differently(signed_in: Signed, sqlite: SQLiteStore) -> None:
    sqlite.accounts().add_user("zoë", Passwords(HASHER).hash("café ﬁrst horse"), CLOCK.at)

    await signed_in("zoe\u0308", password="cafe\u0301 first horse")


async def test_a_password_is_compared_whole(visitor: Callable[[], Browser], sqlite: SQLiteStore) -> None:
    longest = "x" * 256
    sqlite.accounts().add_user("long", HASHER.hash(longest), CLOCK.at)

    answers = [await sign_in(visitor(), "long", given) for given in (longest + "x", "x" * 5_000, longest)]

    assert [answer.status for answer in answers] == [422, 422, 200]


async def test_a_hash_with_old_parameters_is_renewed(signed_in: Signed, sqlite: SQLiteStore) -> None:
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    sqlite.accounts().add_user("old", old, CLOCK.at)

    browser = await signed_in("old")

    found = sqlite.accounts().find("old")
    assert found is not None
    assert found[1] != old
    assert HASHER.verify(found[1], PASSWORD)
    assert not await closed_to(browser)  # the session stays


# ---- when many sign in at once


async def test_two_passwords_are_hashed_at_a_time_and_no_more_than_24_wait_with_them() -> None:
    passwords, at_work, free = Passwords(HASHER), Semaphore(0), Semaphore(0)

    def work() -> bool:
        at_work.release()
        return free.acquire(timeout=20)

    async def ask() -> bool:
        with passwords.place():
            return await passwords.on_thread(work)

    asked = [asyncio.create_task(ask()) for _ in range(24)]
    try:
        await asyncio.to_thread(lambda: [at_work.acquire(timeout=20) for _ in range(2)])
        with pytest.raises(HTTPError, match="try again in a few seconds") as refused, passwords.place():
            pass
        begun_before_their_turn = at_work.acquire(blocking=False)
    finally:
        free.release(25)
        done = await asyncio.gather(*asked)

    assert (refused.value.status, begun_before_their_turn) == (503, False)
    assert done == [True] * 24
    assert await ask()  # there is room again


async def test_who_finds_no_place_has_not_failed(
    client: TestClient,
) -> None:
    with ExitStack() as places:
        for _ in range(WAITING):
            places.enter_context(PASSWORDS.place())
        busy = [await post_sign_in(client) for _ in range(30)]

    assert {(answer.status, answer.header("Retry-After")) for answer in busy} == {(503, "5")}
    assert (await post_sign_in(client)).status == 303


async def test_who_is_let_down_by_the_store_has_not_failed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SQLAccounts, "find", _fail)
        failed = [await post_sign_in(client) for _ in range(30)]

    assert {answer.status for answer in failed} == {503}
    assert (await post_sign_in(client)).status == 303


def _fail(*_: object) -> None:
    raise StoreUnavailable("The address book cannot be read.")


# ---- those who try many passwords


@pytest.mark.parametrize("name", ["grace", "nobody"])
async def test_too_many_wrong_passwords_make_one_wait_longer_and_longer(
    visitor: Callable[[], Browser], name: str
) -> None:
    waits = []
    for _ in range(7):
        while (answer := await sign_in(visitor(), name, "wrong horse")).status == 422:
            pass
        assert answer.status == 429
        assert "Please wait" in answer.dom.one("p", role="alert").text
        waits.append(int(answer.header("Retry-After")))
        CLOCK.forward(seconds=waits[-1])

    assert waits == [60, 120, 240, 480, 900, 900, 900]


async def test_the_right_password_has_to_wait_too_and_then_starts_anew(
    visitor: Callable[[], Browser], signed_in: Signed
) -> None:
    wrong = [await sign_in(visitor(), "grace", "wrong horse") for _ in range(5)]
    refused = await sign_in(visitor(), "grace", PASSWORD)
    CLOCK.forward(seconds=60)
    await signed_in("grace")
    after = [await sign_in(visitor(), "grace", "wrong horse") for _ in range(5)]

    assert [answer.status for answer in wrong] == [422] * 5
    assert refused.status == 429
    assert form_of(refused).one("input", name="name")["value"] == "grace"
    assert [answer.status for answer in after] == [422] * 5


async def test_one_address_cannot_try_many_names(visitor: Callable[[], Browser]) -> None:
    tried = [await sign_in(visitor(), f"name {number}", "wrong horse") for number in range(21)]

    assert [answer.status for answer in tried] == [422] * 20 + [429]


async def test_the_log_says_who_is_refused_by_number_and_from_where(
    visitor: Callable[[], Browser], signed_in: Signed, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await signed_in("alan")
    for name in ("Grace", "Mata Hari"):
        for _ in range(6):
            await sign_in(visitor(), name, "wrong horse battery")
    for _ in range(6):
        await change(browser, "wrong horse battery", PASSWORD)

    refused = [record.getMessage() for record in caplog.records if record.levelno == WARNING]
    assert refused == [
        f"sign-in: too many attempts for {who} from 127.0.0.1, refused for 60 seconds"
        for who in ("user 1", "no user", "user 2")
    ]
    assert "Mata" not in caplog.text


async def test_somebody_with_an_account_cannot_try_more_names(
    visitor: Callable[[], Browser], signed_in: Signed
) -> None:
    for number in range(19):
        await sign_in(visitor(), f"name {number}", "wrong horse")
    for _ in range(3):
        await signed_in("alan")

    tried = [await sign_in(visitor(), f"other {number}", "wrong horse") for number in range(2)]
    CLOCK.forward(seconds=60)
    await signed_in("alan")
    later = [await sign_in(visitor(), f"third {number}", "wrong horse") for number in range(2)]

    assert [answer.status for answer in tried] == [422, 429]
    assert [answer.status for answer in later] == [422, 429]
    assert later[1].header("Retry-After") == "120"


async def test_a_colleague_who_fails_keeps_nobody_waiting_who_was_here_before(
    visitor: Callable[[], Browser], signed_in: Signed
) -> None:
    mine = await signed_in("grace")
    await mine.submit((await mine.open("/contacts")).dom.form("Sign out"))
    for number in range(21):
        colleague = await sign_in(visitor(), f"name {number}", "wrong horse")

    typo = await sign_in(mine, "grace", "wrong horse")
    answer = await sign_in(mine, "grace")

    assert colleague.status == 429
    assert (typo.status, answer.via) == (422, "/contacts")


async def test_an_office_begins_each_day_anew(visitor: Callable[[], Browser]) -> None:
    tried = []
    for _ in range(6):  # in three days
        for number in range(9):
            tried.append((await sign_in(visitor(), f"name {number}", "wrong horse")).status)
        CLOCK.forward(hours=12)

    assert tried == [422] * 54


async def test_nobody_can_lock_out_a_person_from_a_browser_they_used_before(
    visitor: Callable[[], Browser], signed_in: Signed
) -> None:
    mine = await signed_in("grace")
    await mine.submit((await mine.open("/contacts")).dom.form("Sign out"))
    for _ in range(6):
        stranger = await sign_in(visitor(), "grace", "wrong horse")

    answer = await sign_in(mine, "grace")
    elsewhere = await sign_in(visitor(), "grace")

    assert stranger.status == 429
    assert answer.via == "/contacts"
    assert elsewhere.status == 429


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_a_network_is_what_one_customer_has(address: str, network: str) -> None:
    assert network_of((address, 0)) == network
    assert network_of(None) == ""


# ---- sessions


async def test_the_cookie_is_for_this_site_and_no_script(client: TestClient) -> None:
    cookies = cookies_of(await post_sign_in(client))

    assert set(cookies) == {"session", "known"}
    name_and_value, *attributes = cookies["session"].split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert len(name_and_value.removeprefix("session=")) == 43  # 256 bits


async def test_over_https_the_cookie_is_for_https_alone(client: TestClient) -> None:
    over = scheme.set("https")
    try:
        cookies = cookies_of(await post_sign_in(client))
        given = cookies["__Host-session"].partition(";")[0]
        plain = await client.get("/contacts", headers={"cookie": given.removeprefix("__Host-")})
        right = await client.get("/contacts", headers={"cookie": given})
    finally:
        scheme.reset(over)

    assert cookies["__Host-session"].partition("; ")[2] == "Path=/; Secure; HttpOnly; SameSite=Lax"
    assert (plain.status, right.status) == (303, 200)


async def test_the_server_tells_how_a_request_came() -> None:
    seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append(is_https())

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    for kind in ("https", "http"):
        scope: Any = {
            "type": "http", "http_version": "1.1", "scheme": kind, "method": "GET", "path": "/health",
            "headers": [],
            "extensions": {"request_id": "1"},
        }  # fmt: skip
        await asgi(app, Settings())(scope, receive, receive)  # type: ignore[arg-type]

    assert seen == [True, False]


async def test_the_database_holds_neither_password_nor_session(
    signed_in: Signed, sqlite: SQLiteStore, database: Path
) -> None:
    browser = await signed_in("grace")
    sqlite.close()

    kept = b"".join(path.read_bytes() for path in database.parent.iterdir())

    assert b"grace" in kept
    for secret in (PASSWORD, browser.cookies["session"]):
        assert secret.encode() not in kept


async def test_signing_in_begins_a_new_session_and_ends_the_old(visitor: Callable[[], Browser]) -> None:
    browser, thief = visitor(), visitor()
    browser.cookies["session"] = thief.cookies["session"] = "planted"
    await sign_in(browser, "grace")
    thief.cookies["session"] = first = browser.cookies["session"]
    assert not await closed_to(thief)

    fresh = visitor()
    form = form_of(await fresh.open("/sign-in"))  # which who is signed in does not get
    browser.cookies["visit"] = fresh.cookies["visit"]
    browser.url = fresh.url
    answer = await browser.submit(form, name="grace", password=PASSWORD)

    assert answer.via == "/contacts"
    assert browser.cookies["session"] not in ("planted", first)
    assert await closed_to(thief)


async def test_a_session_ends_when_it_is_not_used_for_twelve_hours(signed_in: Signed) -> None:
    browser = await signed_in()
    for _ in range(3):
        CLOCK.forward(hours=11, minutes=59)
        assert not await closed_to(browser)

    CLOCK.forward(hours=12)

    assert await closed_to(browser)


async def test_a_session_ends_after_fourteen_days_however_much_it_is_used(signed_in: Signed) -> None:
    browser = await signed_in()
    for _ in range(28 + 3):
        CLOCK.forward(hours=10.5)
        assert not await closed_to(browser)

    CLOCK.forward(hours=10.5)

    assert await closed_to(browser)


async def test_a_remembered_session_lasts_sixty_days_unused(signed_in: Signed, client: TestClient) -> None:
    browser = await signed_in(remember="1")

    CLOCK.forward(days=59)
    assert not await closed_to(browser)
    CLOCK.forward(days=1)
    assert await closed_to(browser)


async def test_remember_me_keeps_the_cookie(visitor: Callable[[], Browser], client: TestClient) -> None:
    forgotten = cookies_of(await post_sign_in(client))["session"]
    remembered = cookies_of(await post_sign_in(client, remember="1"))["session"]

    assert "Max-Age" not in forgotten
    assert f"Max-Age={60 * 24 * 60 * 60};" in remembered


async def test_when_a_session_was_used_is_noted_once_a_minute(signed_in: Signed, sqlite: SQLiteStore) -> None:
    browser, began = await signed_in(), CLOCK.at
    seen = []
    for _ in range(4):
        CLOCK.forward(seconds=30)
        await browser.open("/hello")
        settle()
        seen.append((sqlite.accounts().sessions(1, CLOCK.at)[0].seen_at - began).total_seconds())

    assert seen == [0, 60, 60, 120]


async def test_signing_out_ends_the_session_and_takes_the_cookie_back(
    signed_in: Signed, visitor: Callable[[], Browser]
) -> None:
    browser, copy, other = await signed_in(), visitor(), await signed_in()
    copy.cookies["session"] = browser.cookies["session"]

    form = (await browser.open("/contacts")).dom.form("Sign out")
    answer = await browser.submit(form)
    twice = await browser.submit(form)  # in another tab

    assert "You are signed out." in form_of(answer).text
    assert twice.via == "/sign-in"
    assert "session" not in browser.cookies
    assert await closed_to(browser)
    assert await closed_to(copy)
    assert not await closed_to(other)


async def test_signing_out_everywhere_ends_every_session_of_that_person(signed_in: Signed) -> None:
    mine, elsewhere, others = await signed_in("grace"), await signed_in("grace"), await signed_in("alan")

    answer = await mine.submit((await mine.open("/account")).dom.form("Sign out everywhere"))

    assert answer.via == "/sign-in?told=everywhere"
    assert await closed_to(mine)
    assert await closed_to(elsewhere)
    assert not await closed_to(others)


async def test_the_account_lists_the_sessions_and_marks_this_one(
    client: TestClient, signed_in: Signed, sqlite: SQLiteStore
) -> None:
    browser = await signed_in()
    CLOCK.forward(hours=1)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    await post_sign_in(client, agent)

    page = await browser.open("/account")

    listed = page.dom.all("li")
    assert [item.one("strong").text for item in listed] == ["Firefox on Linux", "A browser"]
    assert ["this one" in item.text for item in listed] == [False, True]


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "A browser"),
        ("<script>" * 1_000, "A browser"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_told_in_a_few_words(agent: str, shown: str) -> None:
    assert browser_of(agent) == shown


# ---- another password


async def test_another_password_ends_all_other_sessions(
    signed_in: Signed, visitor: Callable[[], Browser]
) -> None:
    browser, elsewhere = await signed_in(remember="1"), await signed_in()
    old = browser.cookies["session"]

    answer = await change(browser, PASSWORD, "staple battery horse")

    assert answer.via == "/account?told=changed"
    assert browser.cookies["session"] != old
    assert "remembered until" in answer.dom.one("ul").text
    assert await closed_to(elsewhere)
    assert (await sign_in(visitor(), "grace", PASSWORD)).status == 422
    assert (await sign_in(visitor(), "grace", "staple battery horse")).via == "/contacts"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (("wrong horse battery", "staple battery horse", "staple battery horse"), "Current password"),
        ((PASSWORD, "too short", "too short"), "New password"),
        ((PASSWORD, "x" * 257, "x" * 257), "New password"),
        ((PASSWORD, " " * 12, " " * 12), "New password"),
        ((PASSWORD, "grace battery horse", "grace battery horse"), "New password"),
        ((PASSWORD, "staple battery horse", ""), "New password again"),
        ((PASSWORD, "staple battery horse", "staple battery house"), "New password again"),
    ],
)
async def test_what_is_wrong_with_another_password_is_said_at_its_field(
    signed_in: Signed, visitor: Callable[[], Browser], fields: tuple[str, str, str], wrong: str
) -> None:
    browser = await signed_in()

    answer = await change(browser, *fields)

    labels = ("Current password", "New password", "New password again")
    assert answer.status == 422
    assert [label for label in labels if answer.dom.complaint(label)] == [wrong]
    assert not any(answer.dom.box(label).value for label in labels)
    assert not await closed_to(await signed_in())  # with the old one


async def test_the_current_password_cannot_be_guessed_either(signed_in: Signed) -> None:
    browser = await signed_in()

    tried = [(await change(browser, f"wrong horse {number}", PASSWORD)).status for number in range(6)]

    assert tried == [422] * 5 + [429]


async def change(browser: Browser, current: str, new: str, again: str | None = None) -> Answer:
    """Fill in the form for another password, and send it."""
    form = (await browser.open("/account")).dom.form("Change password")
    return await browser.submit(form, current=current, new=new, again=new if again is None else again)


# ---- forged forms


async def test_a_write_without_the_token_of_our_pages_is_refused(
    client: TestClient, signed_in: Signed, sqlite: SQLiteStore
) -> None:
    browser, other = await signed_in("grace"), await signed_in("alan")
    theirs = (await other.open("/contacts/new")).dom.id("contact-form").fields[FIELD]
    headers = FORM_HEADERS | {"cookie": f"session={browser.cookies['session']}"}

    mine = str((await browser.open("/contacts/new")).dom.id("contact-form").fields[FIELD])
    bare = f"{int(mine[:64], 16) ^ int(mine[64:], 16):064x}"

    for token in ("", "x", "\u00e9", str(theirs), bare, mine[:-2], mine + "00", mine[:-1] + "g", "00" * 64):
        body = encoded({"name": "Alan", "email": "a@example.net", FIELD: token}).encode()
        assert (await client.post("/contacts", headers=headers, body=body)).status == 403
        given = headers | {"x-csrf-token": token.encode().decode("latin-1")}
        assert (await client.post("/contacts", headers=given, body=b"name=Alan")).status == 403
    for method, path in (("DELETE", "/contacts/1"), ("PUT", "/contacts/1"), ("POST", "/sign-out")):
        assert (await client.request(method, path, headers=headers)).status == 403

    assert [contact.name for contact in sqlite.list(ListQuery()).contacts] == ["Ada Lovelace"]
    assert not await closed_to(browser)


async def test_the_api_asks_for_the_token_of_our_pages_where_a_cookie_says_who_calls(
    client: TestClient, signed_in: Signed
) -> None:
    browser = await signed_in()
    headers = {"content-type": "application/json", "cookie": f"session={browser.cookies['session']}"}
    contact = b'{"name": "Alan", "email": "alan@example.net"}'
    token = (await browser.open("/contacts/new")).dom.id("contact-form").fields[FIELD]

    without = Answer.of(await client.post("/api/v1/contacts", headers=headers, body=contact))
    given = headers | {"x-csrf-token": str(token)}
    made = await client.post("/api/v1/contacts", headers=given, body=contact)

    assert (without.status, without.content_type) == (403, "application/problem+json")
    assert "X-CSRF-Token" in json.loads(without.body)["detail"]
    assert made.status == 201


@pytest.mark.parametrize("path", ["/contacts", "/api/v1/contacts", "/api/v1/contacts/1", "/contacts.csv"])
async def test_nothing_is_kept_of_what_somebody_has_seen(
    client: TestClient, signed_in: Signed, path: str
) -> None:
    cookie = f"session={(await signed_in()).cookies['session']}"

    answer = Answer.of(await client.get(path, headers={"cookie": cookie}))

    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")


async def test_a_script_of_ours_may_send_the_token_as_a_header(client: TestClient, signed_in: Signed) -> None:
    browser = await signed_in()
    token = (await browser.open("/contacts/new")).dom.id("contact-form").fields[FIELD]
    headers = FORM_HEADERS | {"cookie": f"session={browser.cookies['session']}", "x-csrf-token": str(token)}

    answer = await client.post("/contacts", headers=headers, body=b"name=Alan&email=alan%40example.net")

    assert answer.status == 303


async def test_nobody_can_be_signed_in_by_another_site(
    client: TestClient, visitor: Callable[[], Browser]
) -> None:
    attacker, victim = visitor(), visitor()
    form = form_of(await attacker.open("/sign-in"))
    await victim.open("/sign-in")

    planted = await victim.submit(form, name="alan", password=PASSWORD)
    assert "Allow cookies" in planted.dom.one("h1").text
    victim.cookies.clear()
    bare = await victim.submit(form, name="alan", password=PASSWORD)
    cross = await client.post(
        "/sign-in", headers={"content-type": FORM, "sec-fetch-site": "cross-site"}, body=b""
    )

    assert (planted.status, bare.status, cross.status) == (403, 403, 403)
    assert "session" not in victim.cookies


PAGES = [
    "/contacts",
    "/contacts/new",
    "/contacts/1",
    "/contacts/1/edit",
    "/activity",
    "/import",
    "/dashboard",
    "/account",
    "/lab",
    "/nothing",
    "/contacts/duplicates",
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_form_of_a_page_holds_the_token_of_who_looks(signed_in: Signed, path: str) -> None:
    tokens = []
    for name in ("grace", "alan"):
        answer = await (await signed_in(name)).open(path)
        forms = [form for form in answer.dom.all("form") if form.attrs.get("method") == "post"]
        held = {str(form.fields.get(FIELD)) for form in forms}
        assert len(held) == 1
        assert answer.header("Cache-Control") == "no-store"
        assert user_of(answer) == name
        tokens.append(held.pop())

    assert len(set(tokens)) == 2
    assert all(len(token) == 128 for token in tokens)


@pytest.mark.parametrize("path", [*PAGES, "/sign-in"])
async def test_no_two_answers_show_the_token_alike(
    signed_in: Signed, visitor: Callable[[], Browser], path: str
) -> None:
    """So the length of compressed pages tells nothing about it (BREACH)."""
    browser = visitor() if path == "/sign-in" else await signed_in()

    answers = [await browser.open(path) for _ in range(3)]

    shown = [str(answer.dom.all("form", method="post")[0].fields[FIELD]) for answer in answers]
    masks, rests = {token[:64] for token in shown}, {token[64:] for token in shown}
    assert len(masks) == len(rests) == 3
    keys = {int(token[:64], 16) ^ int(token[64:], 16) for token in shown}
    assert len(keys) == 1
    assert not any(f"{keys.copy().pop():064x}" in answer.body.decode() for answer in answers)


async def test_a_token_of_an_older_answer_still_counts(signed_in: Signed, sqlite: SQLiteStore) -> None:
    browser = await signed_in()
    first = (await browser.open("/contacts/new")).dom.id("contact-form")
    await browser.open("/contacts/new")

    await browser.submit(first, name="Alan Turing", email="alan@example.net")

    assert sqlite.count() == 2


async def test_a_form_whose_tag_comes_in_two_pieces_holds_it_too() -> None:
    page = '<p>1 < 2</p><form class="x" method="post"><b></b></form><form method="get"></form>'

    async def pieces(size: int) -> AsyncIterator[str]:
        for start in range(0, len(page), size):
            yield page[start : start + size]

    for size in (1, 3, 20, len(page)):
        marked = "".join([piece async for piece in _marked(pieces(size), r"\g<0>TOKEN")])
        assert marked == page.replace('method="post">', 'method="post">TOKEN')


async def test_a_form_that_comes_with_htmx_holds_it_too(client: TestClient, signed_in: Signed) -> None:
    browser = await signed_in()
    headers = {"cookie": f"session={browser.cookies['session']}", "hx-request": "true"}

    for path in ("/contacts/new", "/contacts/1/edit", "/contacts?q=ada"):
        answer = Answer.of(await client.get(path, headers=headers))
        assert [FIELD in form.fields for form in answer.dom.all("form", method="post")].count(False) == 0
        assert answer.dom.all("form", method="post")


async def test_a_file_can_be_imported(signed_in: Signed, sqlite: SQLiteStore) -> None:
    browser = await signed_in()
    form = (await browser.open("/import")).dom.id("upload")

    preview = await browser.upload(form, "new.csv", b"Name,Email\nAlan Turing,alan@example.net\n")
    await browser.submit(preview.dom.id("start"))

    assert sqlite.count() == 2


# ---- streams


async def test_a_stream_ends_soon_after_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ASK", 0.001)
    session = [True]
    events = Live(MemoryStore()).events(None, allowed=lambda: bool(session))

    for _ in range(3):
        await anext(events)
    session.clear()  # which it sees between two beats

    assert await anext(events, "the end") in ("the end", "event: beat\ndata: \n\n")
    assert await anext(events, "the end") == "the end"


# ---- without sign-in, and settings


async def test_without_sign_in_nothing_of_it_is_there(serve: Serve) -> None:
    client = TestClient(create_app(Settings(store="memory:"), MemoryStore()))

    page = Answer.of(await client.get("/contacts"))

    assert page.status == 200
    for text in ("Sign in", "Sign out", "/sign-in", "/account", FIELD):
        assert text.encode() not in page.body
    for path in ("/sign-in", "/account"):
        assert (await client.get(path)).status == 404


def test_sign_in_wants_a_database_and_a_secret(sqlite: SQLiteStore) -> None:
    with pytest.raises(CannotOpen, match="CONTACTS_AUTH is password and CONTACTS_STORE is memory:"):
        create_app(Settings(auth="password", secret=SECRET), MemoryStore())
    with pytest.raises(BadSetting, match="CONTACTS_SECRET"):
        create_app(Settings(auth="password", secret="short"), sqlite)


def test_chirp_finds_nothing_to_mend_in_its_pages(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.check(warnings_as_errors=True)

    assert "All clear" in capsys.readouterr().out
