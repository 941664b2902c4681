"""GET /dashboard: a shell at once, then each section the moment it is ready, in one response."""

import asyncio
import logging
import threading
from collections.abc import Callable, MutableMapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from chirp import App
from chirp.testing import TestClient

from app.contacts.changes import Batch
from app.contacts.contact import ContactDraft, now
from app.contacts.listing import STALE, Ranked, Statistics
from app.main import create_app
from app.settings import Settings
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.web import dashboard as app_dashboard
from app.web.dashboard import SECTIONS
from app.web.view import day, short
from tests.making import add
from tests.patching import patch_stores
from tests.web.browser import Answer, Browser, Htmx, Serve
from tests.web.markup import Element

pytestmark = pytest.mark.anyio


def _cards(page: Answer) -> dict[str, tuple[str, str]]:
    """The figures: title, number, and what stands below it."""
    cards = page.dom.id("totals").roots[0].roots
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
        "Contacts": ("3", "+3 in seven days"),
        "With an email": ("67%", "2 of 3"),
        "With a phone number": ("67%", "2 of 3"),
        "Companies": ("2", "named by your contacts"),
    }


async def test_an_empty_address_book_has_figures_too(plain: Browser) -> None:
    page = await plain.open("/dashboard")

    assert _cards(page) == {
        "Contacts": ("0", "none added in seven days"),
        "With an email": ("–", "0 of 0"),
        "With a phone number": ("–", "0 of 0"),
        "Companies": ("0", "none named yet"),
    }
    assert {name: page.dom.id(name).text for name in ("weeks", "companies", "domains", "tags")} == {
        "weeks": "Nobody was added in the last 12 weeks.",
        "companies": "No contact names a company yet.",
        "domains": "No contact has an email yet.",
        "tags": "No contact has a tag yet.",
    }
    assert list(_to_tidy_up(page).values()) == [
        ("0", "/contacts?only=no-phone"),
        ("0", "/contacts?only=no-email"),
        ("0", "/contacts/duplicates"),
        ("0", "/contacts?only=stale"),
    ]
    assert page.dom.id("activity").link("Add the first contact")["href"] == "/contacts/new"


async def test_the_weeks_are_a_chart_that_says_what_is_most_with_a_table_behind_it(
    plain: Browser, store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = now()
    monday = moment.date() - timedelta(days=moment.weekday())
    for days, number in ((21, 1_234), (7, 1), (0, 617)):
        patch_stores(monkeypatch, now=lambda at=moment - timedelta(days=days): at)
        store.import_many(
            ContactDraft(f"Ada {days} {n}", f"ada{days}.{n}@example.com") for n in range(number)
        )

    section = (await plain.open("/dashboard")).dom.id("weeks")

    chart, table = section.one("svg", role="img"), section.id("weeks-table")
    says = f"Most were added in the week of {day(monday - timedelta(weeks=3))}: 1,234."
    assert section.one("figcaption").text == says
    assert [section.id(name).text for name in chart["aria-labelledby"].split()] == [
        "Contacts added in each of the last 12 weeks",
        says,
    ]
    bars = chart.all("rect")
    assert [(bar["y"], bar["height"]) for bar in bars][-4:] == [
        ("0.0%", "100.0%"),
        ("100.0%", "0.0%"),
        ("99.92%", "0.08%"),
        ("50.0%", "50.0%"),
    ]
    assert [text.text for text in chart.all("text", **{"class": "columns__number"})][-5:] == [
        "0",
        "1.2k",
        "0",
        "1",
        "617",
    ]
    rows = [[cell.text for cell in row.roots] for row in table.one("tbody").all("tr")]
    assert [number for _, number in rows] == ["0"] * 8 + ["1,234", "0", "1", "617"]
    assert rows[-1][0] == f"{day(monday)} (this week)"
    assert table.one("summary").text == "Show as a table contacts added per week"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1k"),
        (1_299, "1.2k"),
        (9_999, "9.9k"),
        (12_999, "12k"),
        (999_999, "999k"),
        (3_000_000, "3M"),
    ],
)
def test_a_number_above_a_column_is_short(number: int, text: str) -> None:
    assert short(number) == text


TOPS = {
    "companies": (
        "The largest is Engines: 2.",
        [("Engines", "2", "/contacts?q=Engines"), ("Q & A", "1", "/contacts?q=Q+%26+A")],
    ),
    "domains": (
        "The most frequent is example.com: 2.",
        [
            ("example.com", "2", "/contacts?q=%40example.com"),
            ("example.org", "1", "/contacts?q=%40example.org"),
        ],
    ),
    "tags": (
        "The most used is Work: 3.",
        [("Work", "3", "/contacts?tag=Work"), ("VIP", "1", "/contacts?tag=VIP")],
    ),
}


@pytest.mark.parametrize("name", TOPS)
async def test_the_most_used_are_a_chart_whose_bars_lead_to_their_contacts(
    plain: Browser, store: ContactStore, name: str
) -> None:
    add(store, "Ada Lovelace", email="ada@example.com", company="Engines", tags="Work,VIP")
    add(store, "Alan Turing", email="alan@example.com", company="engines", tags="work")
    add(store, "Grace Hopper", email="grace@example.org", company="Q & A", tags="Work")
    says, bars = TOPS[name]

    section = (await plain.open("/dashboard")).dom.id(name)

    links = section.one("ol").all("a")
    assert [(link.one("bdi").text, link.one("b").own_text, link["href"]) for link in links] == bars
    assert [link.one("bdi")["title"] for link in links] == [bar[0] for bar in bars]
    assert section.one("figcaption").text == says
    labels = section.one("svg", role="img")["aria-labelledby"].split()
    assert section.id(labels[0]).tag == "title"
    assert section.id(labels[1]).text == says
    most = int(bars[0][1])
    widths = [float(bar["width"]) for bar in section.one("svg").all("rect")]
    assert widths == [round(100 * int(number) / most, 2) for _, number, _ in bars]
    rows = [[cell.text for cell in row.roots] for row in section.id(f"{name}-table").one("tbody").all("tr")]
    assert rows == [[label, number] for label, number, _ in bars]
    for link in links:
        found = await plain.follow(link)
        assert len(found.names) == int(link.one("b").own_text)


async def test_at_most_eight_of_each_are_shown(plain: Browser, store: ContactStore) -> None:
    for n in range(9):
        add(store, f"Ada {n}", email=f"ada@n{n}.example", company=f"Company {n}", tags=f"Tag {n}")

    page = await plain.open("/dashboard")

    for name in TOPS:
        assert len(page.dom.id(name).one("ol").all("li")) == len(page.dom.id(name).all("rect")) == 8


async def test_what_is_worth_tidying_up_leads_to_the_lists_it_counts(
    plain: Browser, store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch_stores(monkeypatch, now=lambda: now() - STALE - timedelta(days=1))
    add(store, "Ada Lovelace", email="ada@example.com", phone="555-0101")
    add(store, "Ada Lovelace", email="ada@example.org", phone="555-0101")
    add(store, "Alan Turing", email="alan@example.com", phone="555-0102")
    monkeypatch.undo()
    add(store, "Grace Hopper", phone="555-0103")
    add(store, "Grace Jones", email="jones@example.com")
    add(store, "Katherine Johnson", email="katherine@example.com")

    found = _to_tidy_up(await plain.open("/dashboard"))

    assert found == {
        "No phone number": ("2", "/contacts?only=no-phone"),
        "No email": ("1", "/contacts?only=no-email"),
        "Groups of likely duplicates": ("1", "/contacts/duplicates"),
        "Not changed for a year": ("3", "/contacts?only=stale"),
    }
    for number, url in found.values():
        page = await plain.open(url)
        rows = (
            page.names
            if "only" in url
            else page.dom.id("main").all("article") or page.dom.all("form", action="/contacts/merge")
        )
        assert len(rows) == int(number)


def _to_tidy_up(page: Answer) -> dict[str, tuple[str, str]]:
    """What lacks something: its name, its number and where that leads."""
    links = page.dom.id("quality").all("a")
    return {link.roots[0].text: (link.one("b").text, link["href"]) for link in links}


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
    assert sorted(slots) == sorted(sections) == sorted(SECTIONS)
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
    add(store, "Ada Lovelace")
    await serve(store)

    text = (await _read(app, "/dashboard", store.reads)).decode()

    assert text.index("</template>") < text.index('slot="activity"') < text.index('slot="totals"')
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
    assert len(sections) == len(SECTIONS)
    assert all(chunk.rstrip().endswith("</div>") for chunk in sections)


# ---- trouble stays in its section


@pytest.mark.parametrize("name", SECTIONS)
async def test_a_section_that_fails_leaves_the_others_alone(
    plain: Browser, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.ERROR):
        page = await plain.open(f"/dashboard?fail={name}")

    assert page.status == 200
    assert _problem(page.dom.id(name)) == "This section could not be loaded. Try again"
    assert len(page.dom.id("dashboard").all(role="alert")) == 1
    assert f"dashboard section {name} failed" in caplog.text


@pytest.mark.parametrize("name", SECTIONS)
async def test_a_section_that_failed_is_loaded_again_alone(
    plain: Browser, htmx: Htmx, store: ContactStore, name: str
) -> None:
    add(store, "Ada Lovelace", email="ada@example.com", company="Engines", tags="VIP")
    page = await plain.open(f"/dashboard?fail={name}")
    retry = page.dom.id(name).link("Try again")

    whole = await plain.follow(retry)
    part = await htmx.send(retry)

    assert retry["hx-target"] == f"#{name}"
    assert retry["hx-swap"] == "outerHTML"
    assert whole.dom.id("dashboard").all(role="alert") == []
    assert part.dom.roots == [part.swapped]
    assert (part.swapped["id"], part.swapped["slot"], "data-live" in part.swapped) == (name, name, True)
    assert part.swapped.text == whole.dom.id(name).text
    assert "autofocus" in part.swapped, "the link that had the focus is gone"
    assert "autofocus" not in whole.dom.id(name)


async def test_a_section_that_fails_again_offers_to_try_again(htmx: Htmx) -> None:
    part = await htmx.get("/dashboard?section=tags&fail=tags")

    assert _problem(part.swapped) == "This section could not be loaded. Try again"
    assert "autofocus" in part.swapped.link("Try again")


async def test_a_section_has_no_page_of_its_own(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/dashboard?section=tags")
    nothing = await htmx.get("/dashboard?section=nothing")

    assert all(page.dom.has(name) for name in SECTIONS)
    assert nothing.status == 404


# ---- many open dashboards


class Counting(MemoryStore):
    """A store that notes what it is asked for, and answers when all dashboards have asked for the totals.

    Each asks on the thread of its event loop how far the log reaches, for itself and for each
    section but one.
    """

    def __init__(self, dashboards: int) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._waiting = threading.Semaphore(0)
        self._dashboards = dashboards * len(SECTIONS)  # the activity is not remembered

    def statistics(self) -> Statistics:
        self.asked.append("totals")
        for _ in range(self._dashboards):  # none when it is asked again
            assert self._waiting.acquire(timeout=10)
        self._dashboards = 0
        return super().statistics()

    def settled(self) -> int:
        if threading.current_thread() is threading.main_thread():
            self._waiting.release()
        return super().settled()

    def top(self, field: Ranked, limit: int) -> Sequence[tuple[str, int]]:
        self.asked.append(field)
        return super().top(field, limit)


async def test_a_section_is_loaded_once_however_many_ask_and_again_after_a_change(serve: Serve) -> None:
    store = Counting(dashboards=5)
    client = await serve(store)
    add(store, "Ada Lovelace", company="Engines")

    first = await asyncio.gather(*(Browser(client).open("/dashboard") for _ in range(5)))
    before = sorted(store.asked)
    add(store, "Grace Hopper", company="Navy")
    second = await Browser(client).open("/dashboard")

    assert before == ["company", "domain", "totals"]
    assert sorted(store.asked) == sorted(before * 2)
    assert {_cards(page)["Contacts"][0] for page in first} == {"1"}
    assert _cards(second)["Contacts"][0] == "2"


async def test_a_failure_is_not_remembered(
    plain: Browser, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    add(store, "Ada Lovelace", company="Engines")
    await serve(store)
    with monkeypatch.context() as broken:
        broken.setattr(MemoryStore, "top", lambda *args: 1 / 0)
        failed = await plain.open("/dashboard")

    page = await plain.open("/dashboard")

    assert _problem(failed.dom.id("companies")) == "This section could not be loaded. Try again"
    assert "Engines" in page.dom.id("companies").text


async def test_what_is_of_this_week_is_counted_anew_the_next_day(
    plain: Browser, store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "Ada Lovelace")
    today = await plain.open("/dashboard")
    patch_stores(monkeypatch, now=lambda: now() + timedelta(days=8))
    monkeypatch.setattr(app_dashboard, "now", lambda: now() + timedelta(days=8))

    later = await plain.open("/dashboard")

    assert _cards(today)["Contacts"] == ("1", "+1 in seven days")
    assert _cards(later)["Contacts"] == ("1", "none added in seven days")


async def test_the_page_says_up_to_which_change_it_is_complete(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")
    add(store, "Grace Hopper")

    page = await plain.open("/dashboard")

    assert page.dom.id("dashboard")["data-seq"] == "2"
    assert all("data-live" in page.dom.id(name) for name in SECTIONS)


async def test_a_store_that_is_unavailable_is_explained_in_each_section(
    plain: Browser, store: ContactStore
) -> None:
    store.close()

    page = await plain.open("/dashboard")

    assert page.status == 200
    assert page.dom.id("dashboard")["data-seq"] == "0"
    for section in SECTIONS:
        assert _problem(page.dom.id(section)) == "The address book is closed. Try again"


def _problem(section: Element) -> str:
    return section.one(role="alert").text


@pytest.mark.parametrize("slow", ["0.01", "", "soon", "nan", "-1", "-inf"])
async def test_a_delay_that_is_asked_for_changes_nothing_but_the_time(plain: Browser, slow: str) -> None:
    page = await plain.open(f"/dashboard?slow={slow}&fail=nothing")

    assert all(page.dom.has(name) for name in SECTIONS)
    assert page.dom.id("dashboard").all(role="alert") == []


async def test_in_production_nobody_can_make_a_section_fail_or_wait(store: ContactStore) -> None:
    async with TestClient(create_app(Settings(env="production"), store)) as client:
        page = await Browser(client).open("/dashboard?fail=activity&slow=3600")

    assert page.dom.id("dashboard").all(role="alert") == []


async def test_a_public_demo_may_be_made_to_fail(store: ContactStore) -> None:
    async with TestClient(create_app(Settings(env="production", demo=True), store)) as client:
        page = await Browser(client).open("/dashboard?fail=activity")

    assert _problem(page.dom.id("activity")) == "This section could not be loaded. Try again"
