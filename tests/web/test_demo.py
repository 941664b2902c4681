"""A demo: each visitor has contacts of their own in every part of the app, and nothing typed is lost."""

import asyncio
import gc
import io
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from weakref import ref

import pytest
from chirp import App
from chirp.testing import TestClient
from pounce import Receive, Scope, Send

from app import main, routes
from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery
from app.settings import Settings
from app.store import ContactStore, memory
from app.store import sandbox as memory_sandbox
from app.store.sandbox import CONTACTS
from app.web import sandboxes
from app.web.sandboxes import AGAIN, ANEW, BURST_EACH, IDLE, NO_COOKIE, Sandboxes, SandboxStore
from app.web.sandboxes import _Own as Own
from app.web.transport import scheme
from app.web.uploads import Limits, NoRoom, State, Upload, Uploads
from tests.event_stream import EventStream
from tests.server_process import RunningServer, run_to_end, running_server
from tests.web.browser import FORM, HOST, Answer, Browser, Typed, decoded, encoded

pytestmark = pytest.mark.anyio

SECRET = "Mata Hari"


class Clock:
    """A clock that is set by hand, in seconds."""

    time = 1_000.0

    def __call__(self) -> float:
        return self.time


clock = Clock()


class Demo:
    """The demo that all tests of this module share; each has visitors of its own."""

    def __init__(self, app: App, sandboxes: Sandboxes) -> None:
        self.app = app
        self.sandboxes = sandboxes

    def store(self, visitor: Visitor) -> SandboxStore:
        """The contacts of a visitor who has some."""
        sandbox = self.sandboxes.peek(visitor.cookie)
        assert sandbox, "the visitor has no contacts"
        return sandbox.store


class Visitor(Browser):
    """A browser in the demo; `htmx` asks as htmx does."""

    @property
    def cookie(self) -> str:
        """Who the visitor is, with what the cookie says beside."""
        return self.cookies["sandbox"]

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.cookies["sandbox"] = value

    async def htmx(self, method: str, url: str, **fields: Typed) -> Answer:
        """Send what htmx sends from the list; a cookie that comes back is kept."""
        headers = {
            "hx-request": "true",
            "hx-current-url": f"{HOST}/contacts",
            "sec-fetch-site": "same-origin",
            "cookie": f"sandbox={self.cookie}",
        }
        if method != "GET":
            headers["content-type"] = FORM
        sent = await self._client.request(
            method, decoded(url), headers=headers, body=encoded(fields).encode()
        )
        answer = Answer.of(sent)
        if cookie := answer.header("Set-Cookie"):
            self.cookie = cookie.partition(";")[0].partition("=")[2]
        return answer

    async def add(self, name: str, **fields: str) -> Answer:
        """Add a contact by the add form."""
        form = (await self.open("/contacts/new")).dom.form("Save contact")
        return await self.submit(form, **{"name": name, "phone": "555-0100"} | fields)


@pytest.fixture(scope="module")
def demo() -> Demo:
    """The app as CONTACTS_DEMO=1 makes it, with a clock of ours."""
    made: list[Sandboxes] = []

    class Timed(Sandboxes):
        def __init__(self, samples: ContactStore, copy: Callable[[], SandboxStore]) -> None:
            super().__init__(samples, copy, clock)
            made.append(self)

    class Lasting(memory_sandbox.SandboxStore):
        def close(self) -> None:
            """The next test goes on with it."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "Sandboxes", Timed)
        patch.setattr(main, "SandboxStore", Lasting)
        app = main.create_app(Settings(env="production", demo=True))
    return Demo(app, made[0])


@pytest.fixture
async def client(demo: Demo) -> AsyncIterator[TestClient]:
    clock.time += 60  # so that more sandboxes may be made
    async with TestClient(demo.app) as client:
        yield client


@pytest.fixture
async def ada(client: TestClient) -> Visitor:
    """A visitor who has opened the list."""
    visitor = Visitor(client)
    await visitor.open("/contacts")
    return visitor


@pytest.fixture
async def grace(client: TestClient) -> Visitor:
    """Another one."""
    visitor = Visitor(client)
    await visitor.open("/contacts")
    return visitor


def note(page: Answer) -> str:
    """What a page tells of the demo, beside what it says always."""
    strong = page.dom.one("aside").all("strong")
    return strong[0].text if strong else ""


def told(answer: Answer) -> str:
    """The message that htmx gets."""
    return str(answer.events.get("problem", {}).get("message", ""))


# ---- the cookie, and who gets a sandbox


async def test_the_cookie_names_the_visitor_and_is_not_for_scripts(client: TestClient) -> None:
    answer = await client.get("/contacts")
    over = scheme.set("https")
    behind_tls = await client.get("/contacts")
    given = dict(behind_tls.headers)["set-cookie"]
    again = await client.get("/contacts", headers={"cookie": given.partition(";")[0]})
    scheme.reset(over)

    known = re.fullmatch(
        r"sandbox=new\.[\w-]{22}; Path=/; HttpOnly; SameSite=Lax", dict(answer.headers)["set-cookie"]
    )
    assert known
    assert re.fullmatch(r"__Host-sandbox=new\.[\w-]{22}; Path=/; Secure; HttpOnly; SameSite=Lax", given)
    assert "set-cookie" not in dict(again.headers)  # it is known


async def test_who_only_looks_has_no_sandbox(demo: Demo, client: TestClient, ada: Visitor) -> None:
    before = len(demo.sandboxes._all)
    for _ in range(20):
        assert (await client.get("/contacts")).status == 200
    for path in ("/contacts", "/contacts/1", "/dashboard", "/activity", "/contacts.csv", "/import", "/lab"):
        assert (await ada.open(path)).status == 200
    checked = await ada.post("/contacts/check", field="name", name="")

    assert "required" in checked.body.decode()
    assert len(demo.sandboxes._all) == before
    assert ada.cookie.startswith("new.")


async def test_the_first_write_takes_a_copy_and_everything_before_fits_it(demo: Demo, ada: Visitor) -> None:
    editor = (await ada.open("/contacts/1/edit")).dom.form("Save")
    saved = await ada.submit(editor, company="Copied")

    assert saved.status == 200
    assert "Copied" in saved.body.decode()
    assert not ada.cookie.startswith("new.")
    assert demo.store(ada).get(1).company == "Copied"
    assert demo.sandboxes.samples.get(1).company != "Copied"


async def test_programs_that_look_after_the_demo_get_no_cookie(client: TestClient) -> None:
    answers = [await client.get(path) for path in ("/health", "/ready", "/metrics")]

    assert [answer.status for answer in answers] == [200, 200, 404]  # there is no token for /metrics
    assert not any("set-cookie" in dict(answer.headers) for answer in answers)


async def test_who_sends_no_cookie_makes_no_sandbox_and_is_told_why(demo: Demo, client: TestClient) -> None:
    before = len(demo.sandboxes._all)
    body = encoded({"name": SECRET, "phone": "555-0100", "notes": "typed"}).encode()

    for _ in range(3):
        answer = Answer.of(await client.post("/contacts", body=body, headers={"content-type": FORM}))
        form = answer.dom.id("contact-form")
        assert answer.status == 409
        assert form.one(role="alert").text == NO_COOKIE
        assert form.fields["name"] == SECRET
        assert form.fields["notes"] == "typed"
    for cookie in (
        "sandbox=",
        "sandbox=new.",
        "sandbox=x",
        "sandbox=newAAAAAAAAAAAAAAAAAAAAAA",
        "sandbox=new.Ä",
    ):
        headers = {"content-type": FORM, "cookie": cookie.encode().decode("latin-1")}
        assert (await client.post("/contacts", body=body, headers=headers)).status == 409
    file = io.BytesIO(b"--cut--\r\n").read()
    kind = {"content-type": "multipart/form-data; boundary=cut"}
    assert (await client.post("/import", body=file, headers=kind)).status == 409
    assert len(demo.sandboxes._all) == before


async def test_one_address_does_not_keep_out_the_others(demo: Demo, client: TestClient) -> None:
    async def begin(number: int, address: str) -> int:
        """Write for the first time, with a cookie that nobody gave out."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await demo.app({**scope, "client": (address, 0)}, receive, cast("Any", send))

        headers = {"content-type": FORM, "cookie": f"sandbox=new.{number:022}"}
        body = encoded({"name": "Ada King", "phone": "555-0100"}).encode()
        return (await TestClient(cast("App", app)).post("/contacts", headers=headers, body=body)).status

    flood = [await begin(number, "192.0.2.1") for number in range(BURST_EACH + 5)]
    newcomer = await begin(99, "192.0.2.2")

    assert flood == [303] * BURST_EACH + [503] * 5
    assert newcomer == 303


async def test_two_writes_at_once_come_to_the_same_sandbox(
    demo: Demo, client: TestClient, ada: Visitor
) -> None:
    body = [encoded({"name": f"Ada {number}", "phone": "555-0100"}).encode() for number in range(4)]
    headers = {"content-type": FORM, "cookie": f"sandbox={ada.cookie}"}

    await asyncio.gather(*(client.post("/contacts", body=each, headers=headers) for each in body))
    page = await ada.open("/contacts?q=ada")

    assert [f"Ada {number}" in page.body.decode() for number in range(4)] == [True] * 4
    assert demo.store(ada).count() == 16


async def test_a_lost_answer_loses_no_contacts(ada: Visitor) -> None:
    new = ada.cookie
    await ada.add(SECRET)

    ada.cookie = new  # the answer never came
    page = await ada.open("/contacts?q=mata")

    assert page.names == [SECRET]
    assert not ada.cookie.startswith("new.")


# ---- what others see


async def test_rows_of_the_same_version_and_moment_are_each_visitors_own(
    ada: Visitor, grace: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "now", lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for visitor, company in ((ada, "Engines"), (grace, "Navy")):
        await visitor.submit((await visitor.open("/contacts/1/edit")).dom.form("Save"), company=company)

    pages = [await visitor.open("/contacts") for visitor in (ada, grace, ada)]
    rows = [page.dom.id("contact-1").text for page in pages]

    assert ["Engines" in row for row in rows] == [True, False, True]
    assert ["Navy" in row for row in rows] == [False, True, False]


class Table:
    """Collects the URL table."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def route(self, path: str, methods: tuple[str, ...] = ("GET",), **_: object) -> Callable[[object], None]:
        self.rows += [(method, path) for method in methods]
        return lambda handler: None


def addresses() -> list[tuple[str, str]]:
    """Every method and path that the demo answers."""
    table = Table()
    for register in (routes.register, routes.register_lab, routes.register_demo):
        register(cast("App", table))
    return table.rows


LIST = ListQuery()
FIELDS: dict[str, Typed] = {  # enough for any of the forms
    "id": ["13.1", "14.1"],
    "do": "tag",
    "tag": "Seen",
    "all": "1",
    "name": "Alfred",
    "phone": "555-0102",
    "version": "1",
    "partly": "1",
    "format": "json",
}
CSV = f"Name,Phone,Notes\n{SECRET},555-0101,secret agent\n".encode()


async def test_no_address_shows_or_changes_what_another_visitor_has(
    demo: Demo, ada: Visitor, grace: Visitor
) -> None:
    await ada.add(f"{SECRET} 1", notes="secret agent", tags="Spies", company="H 21")
    await ada.add(f"{SECRET} 2", notes="secret agent", tags="Spies", company="H 21")
    preview = await ada.upload((await ada.open("/import")).dom.form("Show preview"), "mata.csv", CSV)
    token = ada.url.removeprefix("/import/")
    assert SECRET in preview.body.decode()
    await grace.add("Alfred Dreyfus")  # who has contact 13 and batch 2, as the other has
    theirs = demo.store(ada)
    before, versions = theirs.last_change(), {contact.id: contact.version for contact in theirs.export(LIST)}

    walked = 0
    for method, path in addresses():
        if path in ("/live", "/lab/{fault}"):
            continue  # see below
        for contact_id, batch_id in ((13, 2), (14, 3)):
            url = path.replace("{contact_id:int}", str(contact_id)).replace("{batch_id:int}", str(batch_id))
            url = url.replace("{token}", token)
            if method == "GET":
                query = "id=13&id=14&format=csv&all=1&rows=500&done=3&page=1"
                answers = [
                    await grace.open(url),
                    await grace.open(f"{url}?{query}"),
                    await grace.htmx("GET", url),
                ]
            else:
                answers = [
                    await grace.post(url, **FIELDS | {"_method": method}),
                    await grace.htmx(method, url, **FIELDS),
                ]
            for answer in answers:
                walked += 1
                assert answer.status < 500, f"{method} {url}"
                for word in ("Mata", "Hari", "secret", "Spies", "H 21"):
                    assert word not in answer.body.decode(), f"{method} {url}"
                    assert word not in str(answer.headers), f"{method} {url}"

    assert walked > 100
    assert theirs.last_change() == before
    assert {contact.id: contact.version for contact in theirs.export(LIST)} == versions
    again = await ada.open(f"/import/{token}")
    assert SECRET in again.body.decode()
    assert (await ada.submit(again.dom.form("Import"))).status == 200
    assert theirs.count() == 15


async def test_a_search_a_filter_and_the_figures_are_each_visitors_own(ada: Visitor, grace: Visitor) -> None:
    await ada.add(SECRET, tags="Spies")
    for visitor, found, total in ((ada, [SECRET], "13"), (grace, [], "12"), (ada, [SECRET], "13")):
        assert (await visitor.open("/contacts?q=hari")).names == found
        assert (await visitor.open("/contacts?tag=spies")).names == found
        dashboard = await visitor.open("/dashboard")
        assert total in dashboard.dom.id("totals").text.split()
        assert (SECRET in dashboard.dom.id("activity").text) == bool(found)
        assert ("Mata,Hari" in (await visitor.open("/contacts.csv")).body.decode()) == bool(found)
        assert (SECRET in (await visitor.open("/activity")).body.decode()) == bool(found)


async def test_duplicates_are_each_visitors_own(ada: Visitor, grace: Visitor) -> None:
    await ada.add("Ada Lovelace", phone="555-0100")
    for visitor, groups in ((ada, 1), (grace, 0), (ada, 1)):
        page = await visitor.open("/contacts/duplicates")
        assert len(page.dom.id("duplicates").all("h2")) - (groups == 0) == groups


async def test_figures_that_were_remembered_stay_so_while_others_ask_for_theirs(
    ada: Visitor, grace: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    statistics = memory_sandbox.SandboxStore.statistics

    def counted(store: memory_sandbox.SandboxStore) -> object:
        loaded.append(store)
        return statistics(store)

    monkeypatch.setattr(memory_sandbox.SandboxStore, "statistics", counted)
    for visitor in (ada, grace):
        await visitor.add(SECRET)
    for _ in range(3):
        for visitor in (ada, grace):
            await visitor.open("/dashboard")

    assert len(loaded) == len(set(loaded)) == 2


async def test_a_fault_of_the_lab_is_about_the_visitors_own_contacts(
    demo: Demo, ada: Visitor, grace: Visitor
) -> None:
    for visitor in (ada, grace):
        await visitor.add(SECRET)
        lab = await visitor.open("/lab")
        editor = await visitor.submit(lab.dom.form("Edit at the same time"))
        assert editor.status == 200
    before = demo.store(grace).last_change()

    conflict = await ada.submit((await ada.open("/contacts/1/edit")).dom.form("Save"), notes="mine")
    failed = await ada.submit((await ada.open("/lab")).dom.form("Let the next save fail"))
    await ada.submit(failed.dom.form("Save contact"), name="Not kept", phone="1")

    assert conflict.status == 409
    assert demo.store(ada).get(1).company == "Changed in the lab"
    assert demo.store(grace).last_change() == before
    assert demo.store(ada).count() == 13


# ---- the end of a sandbox


async def expired(visitor: Visitor, *, notes: str = "") -> None:
    """Give a visitor contacts, and let them go."""
    await visitor.add(SECRET, notes=notes)
    clock.time += IDLE


async def test_a_page_says_once_that_the_demo_has_started_anew(ada: Visitor) -> None:
    await expired(ada)

    first, second = await ada.open("/contacts"), await ada.open("/contacts")

    assert (note(first), note(second)) == (ANEW, "")
    assert SECRET not in first.names
    assert len(first.names) == 12


async def test_what_fetches_a_page_for_no_reader_keeps_the_message_for_one(
    client: TestClient, ada: Visitor
) -> None:
    await expired(ada)
    fetched = {"cookie": f"sandbox={ada.cookie}", "sec-fetch-mode": "cors"}

    for path, headers in (
        ("/contacts", fetched),
        ("/dashboard?section=weeks", fetched | {"hx-request": "true"}),
    ):
        answer = await client.get(path, headers=headers)
        assert answer.status == 200
        assert "set-cookie" not in dict(answer.headers)
        assert "HX-Trigger" not in dict(answer.headers)
    assert (await ada.htmx("POST", "/contacts/check", field="name", name="x")).events == {}

    assert note(await ada.open("/contacts")) == ANEW


@pytest.mark.parametrize("with_script", [True, False])
async def test_a_form_that_was_open_comes_back_as_it_was_left(
    demo: Demo, ada: Visitor, with_script: bool
) -> None:
    await expired(ada)
    typed = {"name": "Margarete Zelle", "phone": "555-0199", "notes": "typed"}

    async def send() -> Answer:
        return await (
            ada.htmx("POST", "/contacts", **typed) if with_script else ada.post("/contacts", **typed)
        )

    refused = await send()

    form = refused.dom.id("contact-form")
    assert refused.status == 409
    assert form.one(role="alert").text == ANEW
    assert {name: form.fields[name] for name in typed} == typed
    assert (await send()).status == 200
    assert demo.store(ada).find_email("") is None
    assert [contact.name for contact in demo.store(ada).export(ListQuery(text="zelle"))] == [
        "Margarete Zelle"
    ]
    if not with_script:
        assert note(refused) == ""  # it was said at the form


@pytest.mark.parametrize("with_script", [True, False])
async def test_an_editor_that_was_open_becomes_a_new_contact(ada: Visitor, with_script: bool) -> None:
    await expired(ada)
    typed = {"name": SECRET, "phone": "555-0100", "notes": "typed", "version": "1"}

    async def send() -> Answer:
        if with_script:
            return await ada.htmx("PUT", "/contacts/13", **typed)
        return await ada.post("/contacts/13", _method="PUT", **typed)

    refused = await send()
    assert refused.status == 409
    assert ANEW in refused.dom.raw_text
    assert "typed" in refused.dom.raw_text
    again = await send()
    assert again.status == 404
    assert "it was deleted meanwhile" in again.dom.raw_text
    assert "typed" in again.dom.raw_text


@pytest.mark.parametrize(
    ("method", "url", "fields"),
    [
        ("GET", "/contacts?q=ada", {}),
        ("GET", "/contacts/13/edit", {}),
        ("DELETE", "/contacts/13", {}),
        ("POST", "/contacts/bulk", {"do": "delete", "id": "13"}),
        ("POST", "/undo/2", {}),
    ],
)
async def test_whatever_is_pressed_next_says_it_once(
    ada: Visitor, method: str, url: str, fields: dict[str, str]
) -> None:
    await expired(ada)

    first = await ada.htmx(method, url, **fields)
    second = await ada.htmx(method, url, **fields)

    assert told(first) == ANEW
    assert told(second) != ANEW


async def test_an_import_that_was_prepared_says_it(ada: Visitor) -> None:
    await ada.upload((await ada.open("/import")).dom.form("Show preview"), "mata.csv", CSV)
    url = ada.url
    await expired(ada)

    page = await ada.post(url, on_duplicate="skip")
    for _ in range(200):  # it is done on a thread; each answer comes a moment later
        if ANEW in page.dom.raw_text:
            break
        page = await ada.open(url)

    assert ANEW in page.dom.raw_text
    assert (await ada.open("/contacts?q=hari")).names == []


async def test_a_visitor_starts_again_and_others_do_not(demo: Demo, ada: Visitor, grace: Visitor) -> None:
    for visitor in (ada, grace):
        await visitor.add(SECRET)

    done = await ada.submit((await ada.open("/dashboard")).dom.form("Start again"))
    after = await ada.open("/contacts")

    assert (done.via, done.status, len(done.names)) == ("/contacts", 200, 12)
    assert (note(done), note(after)) == (AGAIN, "")
    assert (await grace.open("/contacts?q=hari")).names == [SECRET]
    await ada.add("Margarete Zelle")
    assert demo.store(ada).count() == 13


async def test_when_all_are_too_heavy_a_write_of_anyone_lets_the_heaviest_go(
    demo: Demo, ada: Visitor, grace: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.time += IDLE  # those of other tests go
    for visitor, notes in ((ada, "x" * 5_000), (grace, "")):
        await visitor.add(SECRET, notes=notes)
    heavy = demo.store(ada).weight
    others = sum(sandbox.store.weight for sandbox in demo.sandboxes._all.values()) - heavy
    monkeypatch.setattr(sandboxes, "BUDGET", others + heavy - 1)

    await grace.add("Margarete Zelle")

    assert note(await ada.open("/contacts")) == ANEW
    assert demo.store(grace).count() == 14


async def test_to_start_again_from_another_site_is_refused(client: TestClient, ada: Visitor) -> None:
    await ada.add(SECRET)
    headers = {"cookie": f"sandbox={ada.cookie}", "sec-fetch-site": "cross-site"}

    assert (await client.post("/demo/reset", headers=headers)).status == 403

    assert (await ada.open("/contacts?q=hari")).names == [SECRET]


async def test_nothing_in_the_app_holds_on_to_contacts_that_are_gone(demo: Demo, ada: Visitor) -> None:
    await ada.add(SECRET)
    for path in (
        "/contacts?q=hari",
        "/contacts/duplicates",
        "/dashboard",
        "/activity",
        "/contacts.vcf",
        "/lab",
    ):
        assert (await ada.open(path)).status == 200
    await ada.upload((await ada.open("/import")).dom.form("Show preview"), "mata.csv", CSV)
    gone = ref(demo.store(ada))

    await ada.submit((await ada.open("/contacts")).dom.form("Start again"))
    gc.collect()

    assert gone() is None


# ---- what a sandbox holds at most


@pytest.fixture
async def full(demo: Demo, ada: Visitor) -> Visitor:
    """A visitor who has as many contacts as there may be."""
    await ada.add(SECRET)
    store = demo.store(ada)
    rows = [ContactDraft(f"Person {number}", phone=f"555 {number:04}") for number in range(CONTACTS - 13)]
    store.import_many(rows)
    return ada


@pytest.mark.parametrize("with_script", [True, False])
async def test_one_too_many_is_refused_and_what_was_typed_is_kept(full: Visitor, with_script: bool) -> None:
    typed = {"name": "Margarete Zelle", "phone": "555-0199", "notes": "typed"}
    send = full.htmx("POST", "/contacts", **typed) if with_script else full.post("/contacts", **typed)

    refused = await send

    form = refused.dom.id("contact-form")
    assert refused.status == 422
    assert form.one(role="alert").text == memory_sandbox.TOO_MANY
    assert {name: form.fields[name] for name in typed} == typed


async def test_an_undo_that_would_bring_too_many_is_refused(demo: Demo, full: Visitor) -> None:
    await full.post("/contacts/13", _method="DELETE")
    await full.add("Margarete Zelle")
    before = demo.store(full).last_change()

    refused = await full.htmx("POST", f"/undo/{demo.store(full).batches(2)[1].id}")

    assert (refused.status, told(refused)) == (422, memory_sandbox.TOO_MANY)
    assert demo.store(full).last_change() == before


@pytest.mark.parametrize(
    ("rows", "message"), [(489, memory_sandbox.TOO_MANY), (501, memory_sandbox.TOO_LONG)]
)
async def test_a_file_of_too_many_is_refused_at_its_preview(ada: Visitor, rows: int, message: str) -> None:
    content = "Name,Phone\n" + "".join(f"Person {row},555-{row:04}\n" for row in range(rows))
    form = (await ada.open("/import")).dom.form("Show preview")
    await ada.upload(form, "people.csv", content.encode())

    for _ in range(200):  # it is read on a thread; each answer waits a moment for it
        page = await ada.open(ada.url)
        if message in page.dom.id("import").text:
            break
    assert message in page.dom.id("import").text


async def test_a_large_file_is_refused(ada: Visitor) -> None:
    page = await ada.open("/import")
    assert "at most 1 MB and 500 contacts" in page.dom.id("file-hint").text

    refused = await ada.upload(page.dom.form("Show preview"), "people.csv", b"x" * 1_200_000)

    assert refused.status == 413
    assert "larger than 1 MB" in refused.dom.id("upload-problem").text


async def test_a_new_upload_takes_the_place_of_the_visitors_last_and_of_nobody_elses(
    ada: Visitor, grace: Visitor
) -> None:
    urls = []
    for visitor in (ada, grace, ada):
        await visitor.upload((await visitor.open("/import")).dom.form("Show preview"), "mata.csv", CSV)
        urls.append(visitor.url)

    statuses = [
        (await visitor.open(url)).status for visitor, url in zip((ada, grace, ada), urls, strict=True)
    ]
    assert statuses == [404, 200, 200]


async def test_a_new_upload_leaves_alone_one_that_still_arrives(demo: Demo, ada: Visitor) -> None:
    arriving, go_on = asyncio.Event(), asyncio.Event()
    parts = [b"name,phone\nMata Hari,", b"555-0199\n"]

    async def receive() -> dict[str, object]:
        if len(parts) == 1:
            arriving.set()
            await go_on.wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"text/csv"),
        (b"cookie", f"sandbox={ada.cookie}".encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/contacts/import",
        "raw_path": b"/api/v1/contacts/import",
        "query_string": b"",
        "headers": headers,
    }
    first = asyncio.create_task(demo.app(scope, receive, send))
    async with asyncio.timeout(20):
        await arriving.wait()
        await ada.upload((await ada.open("/import")).dom.form("Show preview"), "mata.csv", CSV)
        go_on.set()
        await first

    assert sent[0]["status"] == 200


def test_when_all_room_is_taken_the_upload_that_has_waited_longest_goes(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(uploads=3))
    ages = {"ada": 30, "grace": 20, "mary": 10}
    kept: dict[str, Upload] = {}
    for visitor, seconds in ages.items():
        kept[visitor] = Own(uploads, visitor).new()
        kept[visitor].save(State("mata.csv", stage="preview"))
        made = kept[visitor].folder.stat().st_mtime - seconds
        os.utime(kept[visitor].folder, (made, made))
    lock = kept["ada"].lock()  # somebody works on it
    assert lock is not None

    newest = Own(uploads, "joan").new()

    os.close(lock)
    assert [visitor for visitor, upload in kept.items() if upload.folder.exists()] == ["ada", "mary"]
    assert newest.folder.exists()


def test_where_nothing_can_go_there_is_no_room(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits(uploads=1))
    Own(uploads, "ada").new()  # still arrives

    with pytest.raises(NoRoom):
        Own(uploads, "grace").new()


# ---- a real server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The demo on two workers; on one with a GIL, where two would be processes with demos of their own."""
    with running_server(
        tmp_path_factory.mktemp("demo"),
        CONTACTS_WORKERS="1" if sys._is_gil_enabled() else "2",
        CONTACTS_DEMO="1",
        CONTACTS_ENV="production",
        CONTACTS_SECRET="a secret that only the tests know",
    ) as running:
        yield running


def sent(server: RunningServer, path: str, visitor: str, **fields: str) -> int:
    """Send a form on a connection of its own, so to any of the workers; the status."""
    body = encoded(fields)
    with server.connect() as connection:
        connection.send(
            f"POST {path} HTTP/1.1\nHost: {server.host}\nCookie: sandbox={visitor}\n"
            f"Content-Type: {FORM}\nContent-Length: {len(body)}\n\n{body}"
        )
        return connection.answer().status


def heard(window: EventStream) -> int:
    """The next change that a window hears of; it waits half a minute at most."""
    for _ in range(4):
        event = window.event()
        if event and event["event"] == "changed":
            return int(event["id"])
    raise AssertionError("it has heard of nothing")


def test_the_windows_of_a_visitor_hear_of_their_own_changes_alone(site: RunningServer) -> None:
    ada, grace = "new.AdaAdaAdaAdaAdaAdaAda1", "new.GraceGraceGraceGraceGr"

    def stream(visitor: str) -> EventStream:
        return EventStream(site, after=12, cookie=f"sandbox={visitor}")

    with stream(ada) as one, stream(ada) as two, stream(ada) as three, stream(grace) as other:
        assert sent(site, "/contacts", ada, name=SECRET, phone="1") == 303
        assert [heard(window) for window in (one, two, three)] == [13] * 3
        assert sent(site, "/contacts", ada, name=SECRET, phone="2") == 303
        assert [heard(window) for window in (one, two, three)] == [14] * 3
        assert sent(site, "/contacts", grace, name="Alfred Dreyfus", phone="1") == 303
        assert heard(other) == 13  # and of nothing before
        assert sent(site, "/demo/reset", ada) == 303
        assert [(heard(window), heard(window)) for window in (one, two, three)] == [(0, 12)] * 3
        assert sent(site, "/contacts", grace, name="Alfred Dreyfus", phone="2") == 303
        assert heard(other) == 14
    assert "a demo with contacts in memory for each visitor" in site.log()
    assert SECRET not in site.log()


def test_with_a_gil_a_demo_on_two_workers_is_refused_with_an_explanation(tmp_path: Path) -> None:
    refused = run_to_end(tmp_path, PYTHON_GIL="1", CONTACTS_DEMO="1")

    assert refused.returncode == 1
    assert refused.stderr.startswith("contacts: CONTACTS_DEMO is 1 and CONTACTS_WORKERS is 2")
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
