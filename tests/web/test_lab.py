"""The failure lab: what can be caused there happens once, to one browser, and loses nothing."""

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any, cast

import pytest
from chirp import Response
from chirp.testing import TestClient

from app.contacts.contact import Contact
from app.main import create_app
from app.settings import Settings
from app.store import ContactStore
from app.web import live
from app.web.lab import FAULTS, MEMORY, ROOM, THEIRS, Lab
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx
from tests.web.markup import Element

pytestmark = pytest.mark.anyio

SAVED = {"name": "Grace Hopper", "email": "grace@example.com", "notes": "first\nsecond"}


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The first contact of the list."""
    return add(store, "Ada Lovelace", email="ada@example.com", company="Engines")


def _as(browser: str, client: TestClient) -> Htmx:
    """htmx in the browser that has this cookie."""

    class Known:
        async def request(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
            return await client.request(
                method, path, headers=headers | {"cookie": f"lab={browser}"}, body=body
            )

    return Htmx(cast("TestClient", Known()))


@pytest.fixture
def mine(client: TestClient) -> Htmx:
    """htmx in a browser that the lab knows, and that no other test uses."""
    return _as(token_hex(), client)


# ---- the faults that wait


class Clock:
    """A clock that is set by hand, in seconds."""

    time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lab(clock: Clock) -> Lab:
    return Lab(clock)


def test_a_fault_happens_once_and_to_its_browser_only(lab: Lab) -> None:
    lab.arm("ada", "lost")

    assert not lab.strikes("grace", "lost")
    assert not lab.strikes("ada", "conflict")
    assert [lab.strikes("ada", "lost") for _ in range(3)] == [True, False, False]


def test_a_fault_that_did_not_happen_is_forgotten(lab: Lab, clock: Clock) -> None:
    lab.arm("ada", "lost")
    lab.arm("grace", "lost")

    clock.time += MEMORY - 1
    in_time = lab.strikes("ada", "lost")
    clock.time += 1

    assert in_time
    assert not lab.strikes("grace", "lost")


def test_a_fault_that_lasts_does_so_from_its_first_time_on(lab: Lab, clock: Clock) -> None:
    lab.arm("ada", "lost")
    clock.time += 60

    struck = []
    for _ in range(4):
        struck.append(lab.strikes("ada", "lost", lasting=2))
        clock.time += 0.75

    assert struck == [True, True, True, False]


def test_no_more_faults_wait_than_there_is_room_for(lab: Lab) -> None:
    lab.arm("first", "lost")
    lab.arm("second", "lost")
    lab.arm("first", "lost")
    for number in range(ROOM - 1):
        lab.arm(f"browser {number}", "lost")

    assert not lab.strikes("second", "lost")
    assert lab.strikes("first", "lost")
    assert all(lab.strikes(f"browser {number}", "lost") for number in range(ROOM - 1))


def test_a_fault_that_many_threads_could_meet_happens_once(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as threads:
        for _ in range(200):
            lab.arm("ada", "conflict")
            met = list(threads.map(lambda _: lab.strikes("ada", "conflict"), range(8)))

            assert met.count(True) == 1


# ---- the page


def _experiments(page: Answer) -> dict[str, Element]:
    """The experiments by id."""
    return {section["id"]: section for section in page.dom.id("main").all("section")}


async def test_the_page_says_of_each_experiment_what_should_happen(plain: Browser, ada: Contact) -> None:
    page = await plain.open("/lab")

    experiments = _experiments(page)
    leads_to = {
        name: section.all("a", **{"class": "button"})[0]["href"]
        if name in ("slow", "fail")
        else section.one("form")["action"]
        for name, section in experiments.items()
    }
    assert leads_to == {
        "slow": "/dashboard?slow=4",
        "fail": "/dashboard?fail=activity",
        **{name: f"/lab/{name}" for name in FAULTS},
    }
    assert {section.one("h3").text for section in experiments.values()} == {"What should happen"}


async def test_the_first_visit_gives_the_browser_a_name_and_later_ones_leave_it(client: TestClient) -> None:
    first, second = Answer.of(await client.get("/lab")), Answer.of(await client.get("/lab"))
    cookie = first.header("Set-Cookie")
    again = Answer.of(await client.get("/lab", headers={"cookie": cookie.partition(";")[0]}))

    assert re.fullmatch(r"lab=[\w-]{20,}; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert second.header("Set-Cookie") != cookie
    assert again.header("Set-Cookie") == ""


async def test_every_page_leads_to_the_lab(plain: Browser) -> None:
    contacts = await plain.open("/contacts")
    lab = await plain.follow(contacts.dom.link("Failure lab"))

    assert lab.dom.one("h1").text == "Failure lab"
    assert lab.dom.link("Failure lab")["aria-current"] == "page"


async def test_a_browser_without_the_cookie_is_told_what_to_do(plain: Browser) -> None:
    for fault in FAULTS:
        page = await plain.post(f"/lab/{fault}")

        assert page.status == 400
        assert "Allow cookies, then open /lab again" in page.dom.one("h1").text


async def test_a_fault_that_there_is_not_is_not_found(plain: Browser) -> None:
    await plain.open("/lab")

    assert (await plain.post("/lab/fire")).status == 404


async def test_another_site_cannot_cause_anything(client: TestClient, store: ContactStore) -> None:
    name = token_hex()
    headers = {"sec-fetch-site": "cross-site", "cookie": f"lab={name}"}

    refused = await client.post("/lab/save-error", headers=headers)
    saved = await _as(name, client).ask("POST", "/contacts", **SAVED)

    assert refused.status == 403
    assert saved.status == 200
    assert store.count() == 1


# ---- a server error on save


async def _cause(plain: Browser, fault: str) -> Answer:
    """Press the button of an experiment; the page that it leads to."""
    page = await plain.open("/lab")
    return await plain.submit(_experiments(page)[fault].one("form"))


async def test_a_save_that_fails_brings_the_form_back_and_the_next_one_saves(
    plain: Browser, store: ContactStore, ada: Contact, caplog: pytest.LogCaptureFixture
) -> None:
    opened = await _cause(plain, "save-error")

    with caplog.at_level(logging.ERROR):
        failed = await plain.submit(opened.dom.id("contact-form"), **SAVED)
    count = store.count()
    saved = await plain.submit(failed.dom.form("Try again"))

    assert opened.via == "/contacts/new"
    assert (failed.status, failed.names) == (500, ["Ada Lovelace"])
    assert failed.dom.id("contact-form").fields.items() >= SAVED.items()
    assert "nothing was saved" in failed.dom.id("contact-form").one(role="alert").text
    assert "a contact could not be saved" in caplog.text
    assert count == 1
    assert saved.names == ["Ada Lovelace", "Grace Hopper"]
    assert store.get(2).notes == "first\nsecond"


async def test_a_save_that_fails_brings_the_form_back_with_htmx(mine: Htmx) -> None:
    form = (await mine.get("/contacts/new")).dom.id("contact-form")
    await mine.ask("POST", "/lab/save-error")

    failed = await mine.send(form, **SAVED)
    saved = await mine.send(failed.dom.form("Try again"))

    assert (failed.status, failed.header("HX-Retarget")) == (500, "#form-section")
    assert failed.dom.id("contact-form").fields.items() >= SAVED.items()
    assert saved.names == ["Grace Hopper"]


@pytest.mark.parametrize("with_htmx", [True, False], ids=["htmx", "plain"])
async def test_an_edit_that_fails_brings_the_editor_back(
    plain: Browser, mine: Htmx, store: ContactStore, ada: Contact, with_htmx: bool
) -> None:
    await _cause(plain, "save-error")
    await mine.ask("POST", "/lab/save-error")
    editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    failed = await (mine.send if with_htmx else plain.submit)(editor, name="Ada King")

    assert failed.status == 500
    assert failed.dom.id(f"edit-{ada.id}").fields["name"] == "Ada King"
    assert store.get(ada.id) == ada


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("DELETE", "/contacts/1", {}),
        ("DELETE", "/contacts/samples", {}),
        ("POST", "/contacts/bulk", {"do": "delete", "id": "1"}),
        ("POST", "/contacts/bulk", {"do": "tag", "id": "1", "tag": "VIP"}),
    ],
)
async def test_any_other_change_can_fail_as_well(
    mine: Htmx, store: ContactStore, ada: Contact, method: str, path: str, fields: dict[str, Any]
) -> None:
    await mine.ask("POST", "/lab/save-error")

    failed = await mine.ask(method, path, **fields)

    assert failed.status == 500
    assert failed.events["problem"]["message"] == "Something went wrong on our side. Please try again."
    assert store.get(ada.id) == ada


# ---- what a fault does not touch


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_only_reads_meets_no_fault_and_does_not_use_it_up(
    mine: Htmx, ada: Contact, fault: str
) -> None:
    await mine.ask("POST", f"/lab/{fault}")

    answers = [
        await mine.get("/contacts"),
        await mine.get(f"/contacts/{ada.id}/edit"),
        await mine.ask("HEAD", "/contacts"),
        await mine.ask("POST", "/contacts/check", sender_name="name", name="Grace"),
        await mine.ask("POST", "/contacts/export", id=str(ada.id), format="csv"),
    ]

    assert [answer.status for answer in answers] == [200] * len(answers)
    if fault == "save-error":
        assert (await mine.ask("DELETE", f"/contacts/{ada.id}")).status == 500


@pytest.mark.parametrize("fault", FAULTS)
async def test_another_browser_meets_no_fault(
    client: TestClient, mine: Htmx, store: ContactStore, ada: Contact, fault: str
) -> None:
    await mine.ask("POST", f"/lab/{fault}")

    for other in (_as("grace", client), _as("", client), Htmx(client)):
        editor = (await other.get(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
        assert (await other.send(editor)).status == 200
    assert store.get(ada.id) == ada


# ---- a lost connection


async def test_a_lost_connection_is_one_without_an_answer_and_changes_nothing(
    plain: Browser, store: ContactStore
) -> None:
    opened = await _cause(plain, "lost")

    for _ in range(2):  # a browser repeats at once what found a dead connection
        with pytest.raises(asyncio.CancelledError):
            await plain.submit(opened.dom.id("contact-form"), **SAVED)

    assert opened.via == "/contacts/new"
    assert store.count() == 0


# ---- a conflicting edit


@pytest.mark.parametrize("with_htmx", [True, False], ids=["htmx", "plain"])
async def test_someone_else_saves_the_contact_first(
    plain: Browser, mine: Htmx, store: ContactStore, ada: Contact, with_htmx: bool
) -> None:
    add(store, "Grace Hopper")
    await mine.ask("POST", "/lab/conflict")
    opened = await _cause(plain, "conflict")
    send = mine.send if with_htmx else plain.submit

    back = await send(opened.dom.id(f"edit-{ada.id}"), name="Ada King")
    theirs = store.get(ada.id)
    await send(back.dom.form("Save both changes"))

    assert opened.via == f"/contacts/{ada.id}/edit"
    assert back.status == 409
    assert (theirs.name, theirs.company) == ("Ada Lovelace", THEIRS[0])
    assert (store.get(ada.id).name, store.get(ada.id).company) == ("Ada King", THEIRS[0])


async def test_what_someone_else_saved_can_be_undone(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    opened = await _cause(plain, "conflict")
    await plain.submit(opened.dom.id(f"edit-{ada.id}"), name="Ada King")

    activity = await plain.open("/activity")
    await plain.submit(activity.dom.form("Undo: Saved Ada Lovelace"))

    assert store.get(ada.id).company == "Engines"


async def test_a_second_conflict_is_one_as_well(plain: Browser, store: ContactStore, ada: Contact) -> None:
    for company in (*THEIRS, THEIRS[0]):
        opened = await _cause(plain, "conflict")
        back = await plain.submit(opened.dom.id(f"edit-{ada.id}"))

        assert back.status == 409
        assert store.get(ada.id).company == company


async def test_only_an_edit_meets_the_conflict(mine: Htmx, ada: Contact) -> None:
    editor = (await mine.get(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    await mine.ask("POST", "/lab/conflict")

    added = await mine.ask("POST", "/contacts", **SAVED)
    deleted = await mine.ask("DELETE", "/contacts/2")
    edited = await mine.send(editor)
    again = await mine.send(edited.dom.form("Save both changes"))

    assert [answer.status for answer in (added, deleted, edited, again)] == [200, 200, 409, 200]


async def test_a_conflict_about_a_contact_that_is_gone_is_an_edit_of_one_that_is_gone(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    opened = await _cause(plain, "conflict")
    store.delete([ada.id])

    back = await plain.submit(opened.dom.id(f"edit-{ada.id}"), name="Ada King")

    assert back.status == 404
    assert back.dom.id("contact-form").fields["name"] == "Ada King"


async def test_a_conflict_needs_a_contact(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/lab")
    posted = await plain.post("/lab/conflict")

    conflict = _experiments(page)["conflict"]
    assert conflict.all("form") == []
    assert conflict.link("Add the first one")["href"] == "/contacts/new"
    assert posted.via == "/lab#conflict"


# ---- a dropped event stream


async def test_only_the_browser_that_drops_its_event_stream_gets_no_other(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, stopping = token_hex(), asyncio.Event()
    stopping.set()
    monkeypatch.setattr(live, "draining", lambda: stopping)  # so that a stream ends after its beginning

    dropped = await _as(name, client).ask("POST", "/lab/stream")

    refused = await client.sse("/live", headers={"cookie": f"lab={name}"}, max_events=1)
    stream = await client.get("/live", headers={"cookie": "lab=grace"})
    assert (dropped.status, dropped.header("Location")) == (303, "/contacts")
    assert (refused.status, refused.events) == (503, ())
    assert (stream.status, stream.text.count("event: beat")) == (200, 1)


# ---- where it does not exist


async def test_in_production_there_is_no_lab(store: ContactStore, ada: Contact) -> None:
    async with TestClient(create_app(Settings(env="production"), store)) as client:
        plain, mine = Browser(client), _as("ada", client)
        lab = await plain.open("/lab")
        caused = [await mine.ask("POST", f"/lab/{fault}") for fault in FAULTS]
        contacts = await plain.open("/contacts")
        editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
        saved = await mine.send(editor, name="Ada King")

    assert lab.status == 404
    assert [answer.status for answer in caused] == [404] * 4
    assert [link.text for link in contacts.dom.all("a") if link["href"].startswith("/lab")] == []
    assert saved.names == ["Ada King"]


async def test_a_public_demo_has_the_lab(store: ContactStore) -> None:
    async with TestClient(create_app(Settings(env="production", demo=True), store)) as client:
        page = await Browser(client).open("/lab")

    assert page.dom.one("h1").text == "Failure lab"
