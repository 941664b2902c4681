"""Import and export: a file's way in by upload, preview and import, and the list's way out."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from chirp.testing import TestClient

from app.contacts.contact import ContactDraft
from app.contacts.interchange import FILE_LIMIT
from app.contacts.listing import ListQuery
from app.main import create_app
from app.settings import Settings
from app.store import ContactStore, ImportResult
from app.web import uploads
from app.web.uploads import Limits, Upload, Uploads
from tests.making import ADA, ALAN, GRACE, add, draft, names
from tests.web.browser import Answer, Browser, Htmx, Serve

pytestmark = pytest.mark.anyio

HEADER = "Name,Email,Phone,Company,Notes\n"
TWO = HEADER + "Alan Turing,alan@example.net,,,\nGrace Hopper,grace@example.org,,,\n"
# One of each kind, when Ada and Grace are here already: new, different, the same, wrong.
MIXED = HEADER + (
    "Alan Turing,alan@example.net,,,\n"
    "Ada King,ada@example.com,,,Countess\n"
    "Grace Hopper,grace@example.org,,U.S. Navy,\n"
    "Nobody,nowhere,,,\n"
)


async def upload(plain: Browser, content: str | bytes, name: str = "people.csv") -> Answer:
    """Send a file by the form of the import page; the preview."""
    page = await plain.open("/import")
    body = content.encode() if isinstance(content, str) else content
    return await finished(plain, await plain.upload(page.dom.form("Show preview"), name, body))


async def finished(plain: Browser, page: Answer) -> Answer:
    """The page once its work is over."""
    while is_working(page):
        for thread in threading.enumerate():
            if thread.name == "import":
                thread.join()
        page = await plain.open(plain.url)
    return page


def is_working(page: Answer) -> bool:
    """Whether the page asks again by itself."""
    return any("hx-trigger" in link for link in page.dom.all("a"))


async def choose(plain: Browser, preview: Answer, on_duplicate: str = "skip") -> Answer:
    """Press Import; the page when it is over. A choice must be on the page to be made."""
    form = preview.dom.id("start")
    radios = form.all("input", type="radio")
    assert not radios or on_duplicate in [radio["value"] for radio in radios]
    answer = await plain.post(form["action"], on_duplicate=on_duplicate)
    return await finished(plain, answer)


def figures(page: Answer) -> list[int]:
    """What the cards count: new, different, the same, wrong."""
    cards = [card for card in page.dom.all("div") if "stat" in card.attrs.get("class", "").split()]
    return [int(card.one("b").text.replace(",", "")) for card in cards]


def heading(page: Answer) -> str:
    return page.dom.one("h1").text


def everybody(store: ContactStore) -> list[ContactDraft]:
    """All contacts by name, as drafts."""
    return [ContactDraft.of(contact) for contact in store.export(ListQuery())]


class Held:
    """A store whose imports wait after their first report until `go` is set."""

    def __init__(self, store: ContactStore) -> None:
        self.store = store
        self.reached, self.go = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def import_many(
        self, drafts: Iterable[ContactDraft], *args: Any, progress: Callable[[int], object]
    ) -> ImportResult:
        def report(done: int) -> None:
            progress(done)
            self.reached.set()
            assert self.go.wait(30)
            progress(done)

        return self.store.import_many(drafts, *args, progress=report)


@pytest.fixture
async def held(serve: Serve, store: ContactStore) -> Any:
    """A store that holds its imports until it is told to go on; the app runs on it."""
    held = Held(store)
    yield held
    held.go.set()


async def start_held(serve: Serve, held: Held) -> tuple[TestClient, Browser, Answer]:
    """An import of two contacts that waits half-way; the page that shows it."""
    client = await serve(cast("ContactStore", held))
    plain = Browser(client)
    preview = await upload(plain, TWO)
    page = await plain.submit(preview.dom.id("start"))
    assert held.reached.wait(30)
    return client, plain, await plain.open(page.via)


# ---- preview


async def test_a_preview_says_what_an_import_would_do_and_changes_nothing(
    plain: Browser, store: ContactStore
) -> None:
    store.add(ADA)
    store.add(GRACE)

    preview = await upload(plain, MIXED)

    assert heading(preview) == "Preview of the import"
    assert figures(preview) == [1, 1, 1, 1]
    assert store.last_change() == 2


async def test_a_preview_shows_what_the_file_is_and_what_becomes_of_its_columns(plain: Browser) -> None:
    preview = await upload(plain, "Name;E-mail;Birthday\nZoë;zoe@example.com;1815-12-10\n".encode("cp1252"))

    assert "CSV, Windows-1252, separated by semicolons" in preview.dom.text
    mapping = preview.dom.one("table", aria_labelledby="mapping-title")
    assert [(row.one("th").text, row.one("td").text) for row in mapping.one("tbody").all("tr")] == [
        ("Name", "Name"),
        ("E-mail", "Email"),
        ("Birthday", "Notes, as a line of its own"),
    ]


async def test_a_preview_shows_the_first_contacts_as_they_will_be_kept(plain: Browser) -> None:
    rows = "".join(f"  Person   {number:02} ,p{number}@example.com,,,\n" for number in range(12))

    preview = await upload(plain, HEADER + "Nobody,,,,\n" + rows)

    sample = preview.dom.one("table", aria_labelledby="sample-title").one("tbody")
    assert [row.one("th").text for row in sample.all("tr")] == [f"Person {number:02}" for number in range(10)]


async def test_every_row_that_is_wrong_is_listed_with_line_value_and_reason(plain: Browser) -> None:
    preview = await upload(plain, HEADER + "Ada Lovelace,ada@example.com,,,\nNobody,nowhere,12 ab,,\n")

    listing = preview.dom.one("table", aria_labelledby="failures-title").one("tbody")
    assert [[cell.text for cell in row.roots] for row in listing.all("tr")] == [
        ["Line 3", "Email", "nowhere", "Enter a valid email address, such as ada@example.com."],
        ["Line 3", "Phone", "12 ab", "Enter a phone number with digits, spaces and + - ( ) . / x only."],
    ]


async def test_a_row_that_cannot_be_read_does_not_shift_the_reasons_of_the_others(plain: Browser) -> None:
    rows = "Ada,ada@example.com,,,,one cell too many\nAlan Turing,alan@example.net,,,\nNobody,nowhere,,,\n"

    preview = await upload(plain, HEADER + rows)

    listing = preview.dom.one("table", aria_labelledby="failures-title").one("tbody")
    assert [row.one("th").text for row in listing.all("tr")] == ["Line 2", "Line 4"]
    assert figures(preview) == [1, 0, 0, 2]


async def test_only_the_first_wrong_rows_are_listed_and_the_download_has_them_all(plain: Browser) -> None:
    preview = await upload(plain, HEADER + "".join(f"Person {number},,,,\n" for number in range(70)))

    listing = preview.dom.one("table", aria_labelledby="failures-title").one("tbody")
    download = await plain.follow(preview.dom.link("Download them as CSV"))
    assert len(listing.all("tr")) == 50
    assert len(download.body.splitlines()) == 71
    assert not preview.dom.has("start")


async def test_what_a_file_holds_never_becomes_markup_and_keeps_its_direction(plain: Browser) -> None:
    evil = "<b onclick=alert(1)>"

    preview = await upload(
        plain, f"Name,Email,{evil}\n{evil},ada@example.com,{evil}\n{evil},{evil},\n", f"{evil}.csv"
    )

    assert b"<b onclick" not in preview.body
    assert [element.text for element in preview.dom.all("bdi")].count(evil) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "This file is empty"),
        ("header.csv", HEADER.encode(), "a header and no rows"),
        ("people.xlsx", b"PK\x03\x04rest", "Save it as CSV"),
        ("half.csv", (MIXED + '"Never closed,x@example.com,,,\n').encode(), "line 6"),
    ],
)
async def test_a_file_that_cannot_be_read_changes_nothing_and_says_what_to_do(
    plain: Browser, store: ContactStore, name: str, content: bytes, message: str
) -> None:
    page = await upload(plain, content, name)

    assert heading(page) == "The file was not imported"
    assert message in page.dom.one("main").text
    assert store.last_change() == 0
    assert page.dom.link("Choose a file")["href"] == "/import"


# ---- import


async def test_importing_adds_what_is_new_as_one_batch_that_can_be_undone(
    plain: Browser, store: ContactStore
) -> None:
    store.add(ADA)
    preview = await upload(plain, TWO)

    done = await choose(plain, preview)

    assert heading(done) == "Import finished"
    assert names(store.export(ListQuery())) == ["Ada Lovelace", "Alan Turing", "Grace Hopper"]
    await plain.submit(done.dom.form("Undo the import"))
    assert everybody(store) == [ADA]


@pytest.mark.parametrize(
    ("on_duplicate", "ada"),
    [
        ("skip", ADA),
        ("update", ContactDraft("Ada King", ADA.email, ADA.phone, ADA.company, notes="Countess")),
        ("fill", ContactDraft(ADA.name, ADA.email, ADA.phone, ADA.company, notes="Countess")),
    ],
)
async def test_those_that_are_here_already_are_left_updated_or_filled(
    plain: Browser, store: ContactStore, on_duplicate: str, ada: ContactDraft
) -> None:
    store.add(ADA)
    store.add(GRACE)

    await choose(plain, await upload(plain, MIXED), on_duplicate)

    assert everybody(store) == [ada, ALAN, GRACE]


async def test_the_choice_says_how_many_each_answer_changes(plain: Browser, store: ContactStore) -> None:
    store.add(ADA)
    store.add(GRACE)
    same_but_longer = "Grace Hopper,grace@example.org,,Yale,\n"

    preview = await upload(plain, MIXED + same_but_longer)

    meanings = {choice.one("input")["value"]: choice.text for choice in preview.dom.id("start").all("label")}
    assert "1 contact" in meanings["skip"]
    assert "2 contacts" in meanings["update"]
    assert "1 contact" in meanings["fill"]


@pytest.mark.parametrize(("rows", "checked"), [("", "fill"), ("Alan Turing,alan@example.net,,,\n", "skip")])
async def test_nothing_is_overwritten_unless_that_is_chosen(
    plain: Browser, store: ContactStore, rows: str, checked: str
) -> None:
    store.add(ADA)

    preview = await upload(plain, HEADER + rows + "Ada King,ada@example.com,,,\n")

    radios = preview.dom.id("start").all("input", type="radio")
    assert [radio["value"] for radio in radios if "checked" in radio] == [checked]


async def test_an_import_that_waits_for_its_preview_to_let_go_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, lock = threading.Event(), Upload.lock

    def spy(upload: Upload) -> int | None:
        handle = lock(upload)
        if handle is None:
            waits.set()
        return handle

    async with TestClient(create_app(Settings(store=f"sqlite:///{tmp_path / 'contacts.db'}"))) as client:
        plain = Browser(client)
        preview = await upload(plain, TWO)
        token = plain.url.rpartition("/")[2]
        held = Upload(tmp_path / "contacts.db.imports" / token).lock()
        assert held is not None
        monkeypatch.setattr(Upload, "lock", spy)

        importing = asyncio.create_task(choose(plain, preview))
        assert await asyncio.to_thread(waits.wait, 30)
        os.close(held)

        assert heading(await importing) == "Import finished"


async def test_importing_the_same_file_twice_changes_nothing(plain: Browser, store: ContactStore) -> None:
    await choose(plain, await upload(plain, MIXED))
    before = store.last_change()

    again = await upload(plain, MIXED)

    assert figures(again) == [0, 0, 3, 1]
    assert "Nothing new: all 3 contacts are here already" in again.dom.text
    assert not again.dom.has("start")
    assert store.last_change() == before


async def test_rows_that_failed_are_mended_in_the_download_and_imported(
    plain: Browser, store: ContactStore
) -> None:
    done = await choose(plain, await upload(plain, MIXED))
    download = await plain.follow(done.dom.link("Download it as CSV"))
    assert download.header("Content-Disposition") == 'attachment; filename="people-to-mend.csv"'

    mended = download.body.decode("utf-8-sig").replace("nowhere", "somebody@example.com")
    await choose(plain, await upload(plain, mended, "people-to-mend.csv"))

    assert names(store.export(ListQuery())) == ["Ada King", "Alan Turing", "Grace Hopper", "Nobody"]
    somebody = store.find_email("somebody@example.com")
    assert somebody is not None
    assert somebody.notes == ""


async def test_vcards_are_imported_too(plain: Browser, store: ContactStore) -> None:
    lines = ("BEGIN:VCARD", "VERSION:3.0", "FN:Ada Lovelace", "EMAIL:ada@example.com", "BDAY:1815-12-10")

    await choose(plain, await upload(plain, "\r\n".join([*lines, "END:VCARD", ""]), "ada.vcf"))

    [ada] = everybody(store)
    assert (ada.name, ada.email) == ("Ada Lovelace", "ada@example.com")
    assert "1815-12-10" in ada.notes


async def test_an_import_that_was_undone_says_so(plain: Browser, store: ContactStore) -> None:
    done = await choose(plain, await upload(plain, MIXED))
    url = plain.url
    await plain.submit(done.dom.form("Undo the import"))

    later = await plain.open(url)

    assert "This import was undone." in later.dom.text


async def test_a_choice_that_does_not_exist_is_refused(plain: Browser, store: ContactStore) -> None:
    preview = await upload(plain, MIXED)

    answer = await plain.post(preview.dom.id("start")["action"], on_duplicate="replace")

    assert answer.status == 422
    assert store.last_change() == 0


# ---- while it works


async def test_an_import_under_way_shows_how_far_it_is_and_reloads_without_script(
    serve: Serve, held: Held
) -> None:
    _, plain, page = await start_held(serve, held)

    bar = page.dom.one("progress")
    assert (bar["max"], bar["value"]) == ("2", "2")
    assert "2 of 2 contacts" in page.dom.text
    assert page.dom.one("noscript").one("meta", http_equiv="refresh")["content"] == "2"
    held.go.set()
    done = await finished(plain, page)
    assert heading(done) == "Import finished"
    assert not done.dom.all("meta", http_equiv="refresh")


async def test_htmx_gets_the_bar_again_and_again_and_at_the_end_the_outcome(serve: Serve, held: Held) -> None:
    client, _, page = await start_held(serve, held)
    htmx = Htmx(client)
    [link] = [link for link in page.dom.all("a") if "hx-trigger" in link]
    assert (link["hx-trigger"], link["hx-target"]) == ("every 1s", "#import-progress")
    assert page.dom.id("import-progress").one("progress")

    fragment = await htmx.send(link)
    assert [element.tag for element in fragment.dom.roots] == ["progress", "p", "p"]
    held.go.set()
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join()
    outcome = await htmx.send(link)
    assert (outcome.header("HX-Retarget"), outcome.header("HX-Reswap")) == ("#import", "outerHTML")
    assert outcome.dom.roots[0]["id"] == "import"
    assert not is_working(outcome)


async def test_a_listener_is_told_of_progress_only_when_there_is_some(serve: Serve, held: Held) -> None:
    client, plain, _ = await start_held(serve, held)
    htmx = Htmx(client)

    first = await htmx.get(f"{plain.url}?said=0")
    second = await htmx.get(f"{plain.url}?said=100")

    assert first.out_of_band == {"import-said": "innerHTML"}
    assert second.out_of_band == {}


async def test_an_import_under_way_is_cancelled_and_taken_back(
    serve: Serve, held: Held, store: ContactStore
) -> None:
    _, plain, page = await start_held(serve, held)

    await plain.submit(page.dom.form("Cancel"))
    held.go.set()
    ended = await finished(plain, await plain.open(plain.url))

    assert heading(ended) == "Import cancelled"
    assert store.count() == 0


async def test_pressing_import_twice_imports_once(serve: Serve, held: Held, store: ContactStore) -> None:
    _, plain, _ = await start_held(serve, held)

    again = await plain.post(plain.url, on_duplicate="skip")
    held.go.set()
    done = await finished(plain, again)
    later = await plain.post(plain.url, on_duplicate="update")

    assert heading(done) == heading(later) == "Import finished"
    assert len(store.batches()) == 1


async def test_a_preview_that_is_cancelled_forgets_the_file(plain: Browser, store: ContactStore) -> None:
    preview = await upload(plain, MIXED)
    url = plain.url

    answer = await plain.submit(preview.dom.form("Cancel"))

    assert answer.via == "/import"
    assert (await plain.open(url)).status == 404
    assert store.last_change() == 0


async def test_a_server_that_stops_takes_the_import_back(
    held: Held, store: ContactStore, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 30)
    client, _, _ = await start_held(serve, held)
    [hook] = [hook for hook in client.app._shutdown_hooks if "Uploads" in getattr(hook, "__qualname__", "")]
    stopping: threading.Event = hook.__self__._stopping  # type: ignore[attr-defined]

    def go_on() -> None:
        assert stopping.wait(30)
        held.go.set()

    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(go_on)
        hook()
        going_on.result()

    assert store.count() == 0


# ---- what cannot be


async def test_an_import_that_nobody_knows_is_gone(plain: Browser, htmx: Htmx) -> None:
    for path in (
        "/import/unknown",
        f"/import/{'a' * 22}",
        "/import/..%2f..",
        f"/import/{'a' * 22}/failed.csv",
    ):
        page = await plain.open(path)
        assert page.status == 404
    gone = await plain.open(f"/import/{'a' * 22}")
    fragment = await htmx.get(f"/import/{'a' * 22}?said=0")

    assert heading(gone) == "This import is no longer here"
    assert gone.dom.link("Import a file")["href"] == "/import"
    assert (fragment.status, fragment.header("HX-Retarget")) == (404, "#import")
    assert (await plain.post(f"/import/{'a' * 22}")).status == 404
    assert (await plain.post(f"/import/{'a' * 22}/cancel")).status == 404


async def test_the_page_states_its_limits(plain: Browser) -> None:
    page = await plain.open("/import")

    for limit in ("32 MB", "100,000 contacts", "name 200", "email 254", "notes 5,000"):
        assert limit in page.dom.text


async def test_a_file_that_is_too_large_is_refused_with_a_page_that_says_so(
    plain: Browser, client: TestClient
) -> None:
    page = await plain.open("/import")

    answer = await plain.upload(page.dom.form("Show preview"), "large.csv", b"x" * (FILE_LIMIT + 100_000))
    announced = Answer.of(
        await client.post(
            "/import",
            body=b"",
            headers={"content-type": "multipart/form-data; boundary=cut", "content-length": "40000000"},
        )
    )

    assert answer.status == announced.status == 413
    assert "larger than 32 MB" in answer.dom.id("upload-problem").text
    assert "larger than 32 MB" in announced.dom.id("upload-problem").text


async def test_a_file_at_the_limit_is_taken(plain: Browser) -> None:
    page = await upload(plain, b"Name,Email\n" + b"x" * (FILE_LIMIT - 11))

    assert page.status == 200
    assert "Line 2" in page.dom.text


PART = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="'


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data; boundary=cut", PART + b'"\r\n\r\n\r\n--cut--\r\n', 422),
        ("multipart/form-data; boundary=cut", b"--cut--\r\n", 422),
        ("multipart/form-data; boundary=cut", b"no parts", 400),
        ("multipart/form-data", PART, 415),
        ("application/x-www-form-urlencoded", b"file=a.csv", 415),
        ("application/json", b"{}", 415),
    ],
)
async def test_what_holds_no_file_is_refused_in_words(
    client: TestClient, content_type: str, body: bytes, status: int
) -> None:
    answer = Answer.of(await client.post("/import", body=body, headers={"content-type": content_type}))

    assert answer.status == status
    assert answer.dom.id("upload-problem").text


async def test_a_file_from_another_site_is_refused(client: TestClient, store: ContactStore) -> None:
    body = PART + b'a.csv"\r\n\r\n' + MIXED.encode() + b"\r\n--cut--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=cut", "sec-fetch-site": "cross-site"}

    assert (await client.post("/import", body=body, headers=headers)).status == 403


async def test_when_too_many_files_wait_the_next_one_is_asked_to(
    plain: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Uploads, "limits", Limits(uploads=1))
    await upload(plain, MIXED)

    answer = await upload(plain, MIXED)

    assert answer.status == 503
    assert "try again in a few minutes" in answer.dom.id("upload-problem").text


async def test_a_server_that_cannot_keep_a_file_says_so(tmp_path: Path, store: ContactStore) -> None:
    settings = Settings(store=f"sqlite:///{tmp_path / 'other.db'}")
    (tmp_path / "other.db.imports").write_text("in the way")

    async with TestClient(create_app(settings, store)) as client:
        answer = await upload(Browser(client), MIXED)

    assert answer.status == 503
    assert "The server cannot keep the file: File exists." in answer.dom.id("upload-problem").text


# ---- export


EXPORTS = {"csv": "text/csv; charset=utf-8", "vcf": "text/vcard; charset=utf-8", "json": "application/json"}


@pytest.mark.parametrize("format", EXPORTS)
async def test_what_is_exported_comes_back_without_a_change(
    plain: Browser, store: ContactStore, format: str
) -> None:
    for person in (ADA, GRACE, ALAN, draft("=1+1", notes="a\nb", tags="VIP,x y")):
        store.add(person)

    file = await plain.open(f"/contacts.{format}")
    again = await upload(plain, file.body, f"contacts.{format}")

    assert figures(again) == [0, 0, 4, 0]


@pytest.mark.parametrize(("format", "media_type"), EXPORTS.items())
async def test_an_export_is_a_file_that_nobody_keeps_or_takes_for_a_page(
    plain: Browser, store: ContactStore, format: str, media_type: str
) -> None:
    store.add(ADA)

    file = await plain.open(f"/contacts.{format}")

    assert file.content_type == media_type
    assert file.header("Content-Disposition").startswith('attachment; filename="contacts-20')
    assert file.header("Content-Disposition").endswith(f'.{format}"')
    assert file.header("Cache-Control") == "no-store"


async def test_an_export_holds_the_current_view_in_its_order(plain: Browser, store: ContactStore) -> None:
    for name in ("Ada Lovelace", "Alan Turing", "Grace Hopper"):
        add(store, name, tags="vip" if name < "B" else "")

    searched = await plain.open("/contacts.json?q=a&tag=vip&dir=desc")

    assert [each["name"] for each in contacts_of(searched)] == ["Alan Turing", "Ada Lovelace"]


async def test_an_export_comes_in_pieces(client: TestClient, store: ContactStore) -> None:
    store.import_many(draft(f"Person {number}", notes="n" * 200) for number in range(1_000))

    streamed = await client.get_chunks("/contacts.csv")

    assert streamed.chunk_count >= 5
    assert max(map(len, streamed.chunks)) < len("".join(streamed.chunks)) / 4


async def test_chosen_contacts_are_exported_by_link_and_by_form(plain: Browser, store: ContactStore) -> None:
    ada, alan, grace = (add(store, name) for name in ("Ada Lovelace", "Alan Turing", "Grace Hopper"))
    store.delete([alan.id])

    linked = await plain.open(f"/contacts/export?format=json&id={grace.id}&id={alan.id}&id={ada.id}")
    sent = await plain.post("/contacts/export", format="json", id=str(ada.id))

    assert [each["name"] for each in contacts_of(linked)] == ["Grace Hopper", "Ada Lovelace"]
    assert [each["name"] for each in contacts_of(sent)] == ["Ada Lovelace"]


async def test_everything_that_matches_is_exported_when_all_is_chosen(
    plain: Browser, store: ContactStore
) -> None:
    for name in ("Ada Lovelace", "Alan Turing", "Grace Hopper"):
        add(store, name)

    answer = await plain.post("/contacts/export?q=ada", format="json", all="1", id="3")

    assert [each["name"] for each in contacts_of(answer)] == ["Ada Lovelace"]


@pytest.mark.parametrize("query", ["format=csv", "id=x", "id=1&format=xlsx", "id=99999999999999999999"])
async def test_an_export_of_nothing_or_into_nothing_known_is_refused(plain: Browser, query: str) -> None:
    answer = await plain.open(f"/contacts/export?{query}")

    assert answer.status == 422
    assert answer.is_page


def contacts_of(answer: Answer) -> list[dict[str, Any]]:
    """The contacts of an export as JSON."""
    data: Any = json.loads(answer.body)
    found: list[dict[str, Any]] = data if isinstance(data, list) else data["contacts"]
    return found
