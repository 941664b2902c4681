"""GET /dashboard: a shell at once, then each section the moment it is ready, in one response."""

import logging
import threading
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import pytest
from chirp import App
from chirp.testing import TestClient

from app.contacts.changes import Batch
from app.contacts.contact import ContactDraft
from app.contacts.listing import Statistics
from app.main import create_app
from app.settings import Settings
from app.store import ContactStore
from app.store.memory import MemoryStore
from tests.making import add
from tests.web.browser import Answer, Browser, Serve
from tests.web.markup import Element

pytestmark = pytest.mark.anyio


def _cards(page: Answer) -> dict[str, tuple[str, str]]:
    """The figures: title, number, and what stands below it."""
    cards = page.dom.id("statistics").roots[0].roots
    texts = [[part.text for part in card.roots] for card in cards]
    return {title: (figure, below) for title, figure, below in texts}


def _happened(page: Answer) -> list[str]:
    return [line.one("div").one("span").text for line in page.dom.id("activity").all("li")]


# ---- what it shows


async def test_the_figures_are_those_of_the_address_book(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", email="ada@example.com", phone="1", company="Engines")
    add(store, "Alan Turing", email="alan@example.com", company="engines")
    add(store, "Grace Hopper", phone="2", company="Navy")

    page = await plain.open("/dashboard")

    assert _cards(page) == {
        "Contacts": ("3", "+3 this week"),
        "With an email": ("67%", "2 of 3"),
        "With a phone number": ("67%", "2 of 3"),
        "Companies": ("2", "most in Engines"),
    }


async def test_an_empty_address_book_has_figures_too(plain: Browser) -> None:
    page = await plain.open("/dashboard")

    assert _cards(page) == {
        "Contacts": ("0", "none added this week"),
        "With an email": ("–", "0 of 0"),
        "With a phone number": ("–", "0 of 0"),
        "Companies": ("0", "none named yet"),
    }
    assert page.dom.id("activity").link("Add the first contact")["href"] == "/contacts/new"


async def test_what_happened_last_comes_first(plain: Browser, store: ContactStore) -> None:
    contact = add(store, "Ada Lovelace", email="ada@example.com")
    store.update(contact.id, ContactDraft("Ada King", "ada@example.com"), 1)
    store.delete([contact.id])

    page = await plain.open("/dashboard")

    assert _happened(page) == ["Deleted Ada King", "Saved Ada King", "Added Ada Lovelace"]


async def test_only_the_last_twelve_changes_are_shown(plain: Browser, store: ContactStore) -> None:
    for number in range(14):
        add(store, f"Person {number:02}", email=f"p{number}@example.com")

    page = await plain.open("/dashboard")

    assert _happened(page) == [f"Added Person {number:02}" for number in reversed(range(2, 14))]


async def test_a_change_can_be_undone_from_the_dashboard(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")
    page = await plain.open("/dashboard")

    gone = await plain.submit(page.dom.form("Undo: Added Ada Lovelace"))
    again = await plain.open("/dashboard")

    assert gone.via == "/contacts?done=2"
    assert store.count() == 0
    assert _happened(again) == ["Removed Ada Lovelace", "Added Ada Lovelace"]
    assert [time.text for time in again.dom.all("time")] == ["just now", "just now, undone"]
    assert [button["aria-label"] for button in again.dom.id("activity").all("button")] == [
        "Undo: Removed Ada Lovelace"
    ]


async def test_the_navigation_says_where_one_is(plain: Browser) -> None:
    dashboard = await plain.open("/dashboard")
    contacts = await plain.follow(dashboard.dom.one("nav").link("Contacts"))

    assert dashboard.dom.one("nav").one("a", aria_current="page").text == "Dashboard"
    assert contacts.dom.one("nav").one("a", aria_current="page").text == "Contacts"


# ---- how it arrives


async def test_every_section_has_a_slot_whose_skeleton_stands_there_until_it_comes(plain: Browser) -> None:
    page = await plain.open("/dashboard")

    shell = page.dom.id("dashboard").roots[0]
    slots = {slot["name"]: slot for slot in shell.all("slot")}
    sections = [root["slot"] for root in page.dom.id("dashboard").roots[1:]]
    assert shell["shadowrootmode"] == "open"
    assert sorted(slots) == sorted(sections) == ["activity", "statistics"]
    assert {name: slot.roots[0]["aria-busy"] for name, slot in slots.items()} == dict.fromkeys(slots, "true")


class Waiting(MemoryStore):
    """A store whose answers wait for what the reader has seen so far."""

    def __init__(self) -> None:
        super().__init__()
        self.shell_seen = threading.Event()
        self.activity_seen = threading.Event()

    def batches(self, limit: int = 20, before: int | None = None) -> Sequence[Batch]:
        assert self.shell_seen.wait(10)
        return super().batches(limit, before)

    def statistics(self) -> Statistics:
        assert self.activity_seen.wait(10)
        return super().statistics()

    def reads(self, chunk: bytes) -> None:
        """Take in what was sent."""
        if b"</template>" in chunk:
            self.shell_seen.set()
        if b'slot="activity"' in chunk:
            self.activity_seen.set()


async def test_the_shell_does_not_wait_for_any_section_nor_one_section_for_another(
    app: App, serve: Serve
) -> None:
    store = Waiting()
    await serve(store)

    text = (await _read(app, "/dashboard", store.reads)).decode()

    assert text.index("</template>") < text.index('slot="activity"') < text.index('slot="statistics"')
    assert 'role="alert">This section' not in text


async def _read(app: App, path: str, reads: Callable[[bytes], None]) -> bytes:
    """Get a page, and tell someone of each chunk as it comes."""
    chunks: list[bytes] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if chunk := message.get("body", b""):
            chunks.append(chunk)
            reads(chunk)

    scope: dict[str, object] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": None,
    }
    await app(scope | {"http_version": "1.1", "server": None}, receive, send)
    return b"".join(chunks)


async def test_a_section_is_one_chunk(client: TestClient, store: ContactStore) -> None:
    for number in range(5):
        add(store, f"Person {number}", email=f"p{number}@example.com")

    stream = await client.get_chunks("/dashboard")

    sections = [chunk for chunk in stream.chunks if "<div slot=" in chunk]
    assert stream.streaming
    assert len(sections) == 2
    assert all(chunk.rstrip().endswith("</div>") for chunk in sections)


# ---- trouble stays in its section


async def test_a_section_that_fails_leaves_the_other_alone(
    plain: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        page = await plain.open("/dashboard?fail=activity")

    assert page.status == 200
    assert _problem(page.dom.id("activity")) == "This section could not be loaded. Try again"
    assert "Contacts" in _cards(page)
    assert "dashboard section activity failed" in caplog.text


async def test_a_store_that_is_unavailable_is_explained_in_each_section(
    plain: Browser, store: ContactStore
) -> None:
    store.close()

    page = await plain.open("/dashboard")

    assert page.status == 200
    for section in ("statistics", "activity"):
        assert _problem(page.dom.id(section)) == "The address book is closed. Try again"


def _problem(section: Element) -> str:
    return section.one(role="alert").text


@pytest.mark.parametrize("slow", ["0.01", "", "soon", "nan", "-1", "-inf"])
async def test_a_delay_that_is_asked_for_changes_nothing_but_the_time(plain: Browser, slow: str) -> None:
    page = await plain.open(f"/dashboard?slow={slow}&fail=nothing")

    assert page.dom.has("statistics")
    assert page.dom.has("activity")
    assert page.dom.id("dashboard").all(role="alert") == []


async def test_in_production_nobody_can_make_a_section_fail_or_wait(store: ContactStore) -> None:
    async with TestClient(create_app(Settings(env="production"), store)) as client:
        page = await Browser(client).open("/dashboard?fail=activity&slow=3600")

    assert page.dom.id("dashboard").all(role="alert") == []


async def test_a_public_demo_may_be_made_to_fail(store: ContactStore) -> None:
    async with TestClient(create_app(Settings(env="production", demo=True), store)) as client:
        page = await Browser(client).open("/dashboard?fail=activity")

    assert _problem(page.dom.id("activity")) == "This section could not be loaded. Try again"
