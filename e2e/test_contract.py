"""docs/contract.md over HTTP: what every server answers to htmx, to a plain browser and to anyone else.

Each test makes the contacts that it needs and counts only their difference, so the file runs
against any server, any number of times. What a person sees is in the other files.
"""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import APIRequestContext, Playwright

from tests.web.markup import Element, assert_works_without_script, parse

FORM = "application/x-www-form-urlencoded"
ANYBODY = 987_654_321  # the id of no contact
LABELS = ("Name", "Email", "Phone", "Company", "Tags", "Notes")


@dataclass(frozen=True)
class Answer:
    """One response. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @cached_property
    def dom(self) -> Element:
        """The parsed body."""
        assert self.headers["content-type"] == "text/html; charset=utf-8"
        return parse(self.text)

    @property
    def is_page(self) -> bool:
        """Whether this is a whole page rather than a fragment."""
        return [root.tag for root in self.dom.roots] == ["html"]

    @property
    def title(self) -> str:
        """The title of the window that a page gives."""
        return self.dom.one("head").one("title").text

    @property
    def swapped(self) -> Element:
        """The one element that htmx puts where the request said."""
        [element] = [root for root in self.dom.roots if "hx-swap-oob" not in root]
        return element

    @property
    def out_of_band(self) -> dict[str, str]:
        """What htmx puts elsewhere: ids, each with the text that it then has."""
        parts = [root for root in self.dom.roots if "hx-swap-oob" in root]
        assert all(part["hx-swap-oob"] == "innerHTML" for part in parts)
        return {part["id"]: part.text for part in parts}

    @property
    def events(self) -> dict[str, dict[str, Any]]:
        """The events of HX-Trigger with their details."""
        events: dict[str, dict[str, Any]] = json.loads(self.headers.get("hx-trigger", "{}"))
        return events

    @property
    def event(self) -> dict[str, Any]:
        """The details of the only event."""
        [detail] = self.events.values()
        return detail

    @property
    def pushed(self) -> str | None:
        """What goes to the address bar; None when it stays as it is."""
        return self.headers.get("hx-push-url")

    @property
    def retargeted(self) -> tuple[str | None, str | None]:
        """Where the body goes instead, and how."""
        return self.headers.get("hx-retarget"), self.headers.get("hx-reswap")

    @property
    def names(self) -> list[str]:
        """The names in the list, from top to bottom."""
        return [row.one("a").text for row in self.dom.all("th", scope="row")]

    @property
    def ids(self) -> list[str]:
        """The ids of the rows of the list, from top to bottom."""
        rows = [row for row in self.dom.all("tr") if row.attrs.get("id", "").startswith("contact-")]
        return [row["id"] for row in rows]

    @property
    def total(self) -> int:
        """What the badge says."""
        text = self.out_of_band["contact-count"] if not self.is_page else self.dom.id("contact-count").text
        return int(text.replace(",", ""))


class Web:
    """Asks a server. It keeps cookies and follows no redirect."""

    def __init__(self, requests: APIRequestContext, url: str) -> None:
        self.url = url
        self._requests = requests

    def plain(self, method: str, path: str, headers: Mapping[str, str] = {}, /, **fields: str) -> Answer:
        """Ask as a browser without script does."""
        return self.send(method, path, urlencode(fields) if method != "GET" else None, headers)

    def htmx(
        self, method: str, path: str, headers: Mapping[str, str] = {}, /, at: str = "/contacts", **fields: str
    ) -> Answer:
        """Ask as htmx does. at: what the address bar shows."""
        asks = {"HX-Request": "true", "HX-Current-URL": self.url + at, "Sec-Fetch-Site": "same-origin"}
        return self.plain(method, path, asks | dict(headers), **fields)

    def ask(self, kind: str, method: str, path: str, **fields: str) -> Answer:
        """Ask in the way that `kind` names: htmx or plain."""
        return (self.htmx if kind == "htmx" else self.plain)(method, path, **fields)

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """Send a body as it is; it is a form unless the headers say otherwise."""
        kind = {} if body is None else {"Content-Type": FORM}
        response = self._requests.fetch(
            path, method=method, headers=kind | dict(headers), data=body, max_redirects=0
        )
        return Answer(response.status, response.headers, response.text())

    def follow(self, answer: Answer) -> Answer:
        """The page that a redirect leads to."""
        assert answer.status == 303, answer.text
        return self.plain("GET", answer.headers["location"])


@dataclass(frozen=True)
class Made:
    """A contact that a test has made. answer: to the request that made it."""

    id: int
    name: str
    email: str
    answer: Answer

    @property
    def path(self) -> str:
        return f"/contacts/{self.id}"

    @property
    def row(self) -> str:
        return f"contact-{self.id}"

    @property
    def found(self) -> str:
        """A list of this contact alone, however many there are."""
        return f"/contacts?q={self.email}"

    def fields(self, **changed: str) -> dict[str, str]:
        """What its editor sends."""
        return {"name": self.name, "email": self.email, "version": "1"} | changed


@pytest.fixture
def web(playwright: Playwright, site: str) -> Iterator[Web]:
    requests = playwright.request.new_context(base_url=site)
    yield Web(requests, site)
    requests.dispose()


NUMBERS = count(1)


def unused() -> str:
    """An email address that no contact has."""
    return f"{uuid4().hex[:12]}.{next(NUMBERS)}@example.com"


def made(web: Web, name: str = "Radia Perlman", **fields: str) -> Made:
    """Make a contact."""
    email = fields.pop("email", "") or unused()
    answer = web.htmx("POST", "/contacts", name=name, email=email, **fields)
    assert answer.status == 200, answer.text
    return Made(answer.event["contact"], name, email, answer)


@pytest.fixture
def radia(web: Web) -> Made:
    """A contact of the test's own, which nobody has changed."""
    return made(web)


contract = pytest.mark.contract
KINDS = pytest.mark.parametrize("kind", ["htmx", "plain"])


# ---- list


@contract(feature="list")
def test_the_home_page_is_the_list(web: Web) -> None:
    answer = web.plain("GET", "/")

    assert (answer.status, answer.headers["location"]) == (303, "/contacts")


@contract(feature="list")
def test_a_browser_gets_a_page_and_htmx_the_table_of_it(web: Web) -> None:
    page, table = web.plain("GET", "/contacts"), web.htmx("GET", "/contacts")

    assert (page.status, page.is_page) == (200, True)
    assert (table.status, table.swapped["id"]) == (200, "contact-table")
    assert page.names == table.names
    assert page.dom.id("contact-table")["data-total"] == str(page.total)
    assert page.dom.id("contact-table")["data-title"] == page.title == "Contacts"


@contract(feature="list")
def test_the_page_of_the_list_has_what_scripts_and_people_look_for(web: Web, radia: Made) -> None:
    dom = web.plain("GET", "/contacts").dom

    assert dom.id("contact-rows").tag == "tbody"
    assert dom.one("table", aria_label="Contacts").id("contact-rows")
    assert dom.id("form-section").all("form") == []
    assert (dom.id("search")["role"], dom.id("search")["action"]) == ("search", "/contacts")
    assert (dom.id("q")["name"], dom.id("q")["aria-label"]) == ("q", "Search contacts")
    assert dom.one("nav", aria_label="Main").link("Contacts")["aria-current"] == "page"
    assert dom.link("New contact")["href"] == "/contacts/new"
    assert [dom.id(name)["role"] for name in ("alerts", "toasts", "status")] == ["alert", "region", "status"]
    assert dom.id("question").tag == "dialog"


@contract(feature="list")
def test_a_row_leads_to_everything_that_can_be_done_with_its_contact(web: Web) -> None:
    contact = made(web, "Radia Perlman", phone="+1 617-555-0101", company="Digital", tags="Networks")

    row = web.plain("GET", "/contacts?sort=updated").dom.id(contact.row)

    behind = "?sort=updated"
    assert row.link("Radia Perlman")["href"] == f"{contact.path}{behind}"
    assert row.link("Edit Radia Perlman")["href"] == f"{contact.path}/edit{behind}"
    assert row.form("Delete Radia Perlman")["action"] == f"{contact.path}{behind}"
    assert row.form("Delete Radia Perlman").fields == {"_method": "DELETE"}
    for text in (contact.email, "+1 617-555-0101", "Digital", "Networks"):
        assert text in row.text


# ---- show


@contract(feature="show")
def test_a_contact_has_a_page_of_its_own(web: Web) -> None:
    contact = made(web, phone="+1 (617) 555-0101", company="Digital", notes="Two lines\nof notes")

    page = web.plain("GET", f"{contact.path}?q=radia")

    assert (page.status, page.is_page) == (200, True)
    assert page.dom.one("h1").text == "Radia Perlman"
    assert page.title == "Radia Perlman · Contacts"
    assert page.dom.link(contact.email)["href"] == f"mailto:{contact.email}"
    assert page.dom.link("+1 (617) 555-0101")["href"] == "tel:+16175550101"
    assert page.dom.link("Edit")["href"] == f"{contact.path}/edit?q=radia"
    assert page.dom.form("Delete")["action"] == f"{contact.path}?q=radia"


@contract(feature="show")
def test_htmx_gets_the_row_of_a_contact_and_the_address_of_its_list(web: Web, radia: Made) -> None:
    row = web.htmx("GET", radia.path, at=f"{radia.path}/edit?q=radia")

    assert (row.status, row.swapped["id"], row.pushed) == (200, radia.row, "/contacts?q=radia")


# ---- search


@contract(feature="search")
@KINDS
@pytest.mark.parametrize("path", ["/contacts", "/contacts/search"])
@pytest.mark.parametrize("typed", ["quxley bo", "QUXLEY", "  bö   quxl ", "quxley@"])
def test_a_search_finds_words_in_any_order_without_regard_to_case_and_accents(
    web: Web, kind: str, path: str, typed: str
) -> None:
    contact = made(web, "Bo Quxley", email=f"quxley@{uuid4().hex}.example.com")

    found = web.ask(kind, "GET", f"{path}?q={quote(typed)}")

    assert found.status == 200
    assert contact.row in found.ids
    assert set(found.names) == {"Bo Quxley"}
    assert found.dom.id(contact.row).all("mark")


@contract(feature="search")
def test_the_address_follows_a_search_and_a_page_shows_it_again(web: Web, radia: Made) -> None:
    found = web.htmx("GET", "/contacts?q=perlman&sort=name")
    again = web.htmx("GET", "/contacts?q=perlman", at="/contacts?q=perlman")
    page = web.plain("GET", "/contacts?q=perlman")

    assert (found.pushed, again.pushed) == ("/contacts?q=perlman", None)
    assert web.htmx("GET", "/contacts/search?q=perlman").pushed == "/contacts?q=perlman"
    assert page.dom.id("q").value == "perlman"
    assert page.title == found.swapped["data-title"] == "“perlman” · Contacts"


@contract(feature="search")
@KINDS
def test_a_search_without_a_match_says_so(web: Web, kind: str) -> None:
    found = web.ask(kind, "GET", f"/contacts?q={uuid4().hex}")

    assert found.status == 200
    assert "No contacts found" in found.dom.text
    assert found.dom.link("Show all contacts")["href"] == "/contacts"
    assert found.dom.id("contact-table")["data-total"] == "0"


# ---- sort


@contract(feature="sort")
@KINDS
@pytest.mark.parametrize(
    ("query", "order", "direction", "title"),
    [
        ("", ["Ann", "Ben", "Cyd"], "ascending", ""),
        ("&dir=desc", ["Cyd", "Ben", "Ann"], "descending", "Z to A"),
        ("&sort=email", ["Cyd", "Ann", "Ben"], "ascending", "by email"),
        ("&sort=email&dir=desc", ["Ben", "Ann", "Cyd"], "descending", "by email, backwards"),
        ("&sort=company", ["Ben", "Cyd", "Ann"], "ascending", "by company"),
        ("&sort=updated", ["Cyd", "Ann", "Ben"], "descending", "by newest change"),
        ("&sort=updated&dir=asc", ["Ben", "Ann", "Cyd"], "ascending", "by oldest change"),
        ("&sort=shoe-size&dir=sideways", ["Ann", "Ben", "Cyd"], "ascending", ""),
    ],
)
def test_a_heading_orders_the_list(
    web: Web, kind: str, query: str, order: list[str], direction: str, title: str
) -> None:
    family = f"X{uuid4().hex[:10]}"
    made(web, f"Ben {family}", email=f"c.{unused()}", company="Aaron & Sons")
    made(web, f"Ann {family}", email=f"b.{unused()}")  # without a company, so the last by company
    made(web, f"Cyd {family}", email=f"a.{unused()}", company="Babbage & Sons")

    found = web.ask(kind, "GET", f"/contacts?q={family}{query}")

    assert [name.split()[0] for name in found.names] == order
    [sorted_by] = [heading for heading in found.dom.all("th", scope="col") if "aria-sort" in heading]
    assert sorted_by["aria-sort"] == direction
    parts = [f"“{family}”", *filter(None, [title])]
    assert found.dom.id("contact-table")["data-title"] == f"{', '.join(parts)} · Contacts"


@contract(feature="sort")
def test_the_heading_that_orders_the_list_turns_it_round(web: Web, radia: Made) -> None:
    dom = web.plain("GET", "/contacts?q=perlman").dom

    links = {name: dom.id(f"sort-{name}")["href"] for name in ("name", "email", "company", "updated")}

    assert links == {
        "name": "/contacts?q=perlman&dir=desc",
        "email": "/contacts?q=perlman&sort=email",
        "company": "/contacts?q=perlman&sort=company",
        "updated": "/contacts?q=perlman&sort=updated",
    }


# ---- tags


@contract(feature="tags")
@KINDS
def test_tags_narrow_the_list_to_contacts_that_have_all_of_them(web: Web, kind: str) -> None:
    one, other = f"a{uuid4().hex[:8]}", f"b{uuid4().hex[:8]}"
    both = made(web, tags=f"{one}, {other}")
    first = made(web, tags=one)

    narrow = web.ask(kind, "GET", f"/contacts?tag={one.upper()}")
    narrower = web.ask(kind, "GET", f"/contacts?tag={one}&tag={other}")

    assert set(narrow.ids) == {both.row, first.row}
    assert narrower.ids == [both.row]
    chosen = narrower.dom.one("nav", aria_label="Filter by tag").all("a", aria_current="true")
    assert [chip["href"] for chip in chosen] == [f"/contacts?tag={other}", f"/contacts?tag={one}"]
    assert narrower.dom.id("contact-table")["data-title"] == f"{one}, {other} · Contacts"


@contract(feature="tags")
def test_the_search_form_keeps_tags_and_order(web: Web) -> None:
    tag = f"t{uuid4().hex[:8]}"
    made(web, tags=tag)

    dom = web.plain("GET", f"/contacts?tag={tag}&sort=email&dir=desc").dom

    assert dom.id("search").fields == {"q": "", "sort": "email", "dir": "desc", "tag": tag}


# ---- paging


@contract(feature="paging")
def test_htmx_loads_the_next_rows_and_nothing_else(web: Web, many: str) -> None:
    answer = web.htmx("GET", "/contacts")
    sizes, seen = [len(answer.ids)], list(answer.ids)

    while more := answer.dom.all("tr", id="more"):
        assert more[0].link("Load more")["hx-target"] == "#more"
        answer = web.htmx("GET", more[0].link("Load more")["hx-get"])
        assert {root.tag for root in answer.dom.roots} == {"tr"}
        assert answer.pushed is None
        sizes.append(len(answer.ids))
        seen += answer.ids

    assert sizes == [50, 50, 20]
    assert len(set(seen)) == 120


@contract(feature="paging")
def test_a_browser_turns_pages_by_a_link(web: Web, many: str) -> None:
    first = web.plain("GET", "/contacts")

    second = web.plain("GET", first.dom.link("Load more")["href"])

    assert second.is_page
    assert len(second.ids) == 50
    assert not set(first.ids) & set(second.ids)
    assert second.dom.link("Back to the first contacts")["href"] == "/contacts"


@contract(feature="paging")
@KINDS
def test_a_place_that_cannot_be_read_is_the_beginning(web: Web, many: str, kind: str) -> None:
    assert web.ask(kind, "GET", "/contacts?after=nowhere").ids == web.ask(kind, "GET", "/contacts").ids


@contract(feature="paging")
def test_a_change_keeps_as_many_rows_as_the_table_had(web: Web, many: str) -> None:
    row = web.htmx("GET", "/contacts").ids[3]

    answer = web.htmx("DELETE", f"/contacts/{row.removeprefix('contact-')}", rows="100")

    assert len(answer.ids) == 100
    assert answer.dom.has("more")


# ---- add


@contract(feature="add")
def test_the_add_form_has_an_address(web: Web) -> None:
    form, page = web.htmx("GET", "/contacts/new?q=radia"), web.plain("GET", "/contacts/new?q=radia")

    assert form.pushed == "/contacts/new"  # the list of the address bar, not of the link
    assert form.swapped["id"] == "contact-form"
    assert page.is_page
    assert page.dom.id("form-section").id("contact-form")["action"] == "/contacts?q=radia"
    for dom in (form.dom, page.dom.id("form-section")):
        assert [dom.box(label).value for label in LABELS] == [""] * len(LABELS)
        assert dom.button("Save contact").owner is dom.id("contact-form")
        assert dom.link("Cancel")
    assert form.dom.box("Name")["name"] == "name"


@contract(feature="add")
def test_htmx_gets_the_list_with_the_new_contact_the_count_and_a_closed_form(web: Web) -> None:
    before = web.plain("GET", "/contacts").total

    answer = web.htmx(
        "POST", "/contacts", at="/contacts/new?sort=updated", name="Radia Perlman", email=unused()
    )

    assert (answer.status, answer.pushed) == (200, "/contacts?sort=updated")
    assert answer.swapped["id"] == "contact-table"
    assert f"contact-{answer.event['contact']}" in answer.ids
    assert answer.out_of_band == {"contact-count": f"{before + 1:,}", "form-section": ""}


@contract(feature="add")
def test_an_editor_that_adds_its_deleted_contact_again_leaves_the_add_form_alone(web: Web) -> None:
    sender = {"HX-Trigger": "edit-5"}

    answer = web.htmx("POST", "/contacts", sender, name="Radia Perlman", email=unused())

    assert answer.status == 200
    assert answer.out_of_band.keys() == {"contact-count"}


@contract(feature="add")
def test_a_browser_is_led_to_the_list_which_says_once_what_happened(web: Web) -> None:
    sent = web.plain("POST", "/contacts?q=radia", name="Radia Perlman", email=unused())

    page, again = web.follow(sent), web.follow(sent)

    assert urlsplit(sent.headers["location"]).path == "/contacts"
    assert parse_qs(urlsplit(sent.headers["location"]).query)["q"] == ["radia"]
    message = page.dom.id("toasts")
    assert message.text.startswith("Added Radia Perlman.")
    assert message.form("Undo")["action"].startswith("/undo/")
    assert page.headers["cache-control"] == "no-store"
    assert again.dom.id("toasts").text == ""


# What is typed, and the message of each field that is wrong.
WRONG = {
    "nothing": (
        {},
        {
            "Name": "This field is required. Enter a name.",
            "Email": "Enter an email address or a phone number.",
        },
    ),
    "email": (
        {"name": "Radia", "email": "nobody"},
        {"Email": "Enter a valid email address, such as ada@example.com."},
    ),
    "phone": (
        {"name": "Radia", "phone": "call me"},
        {"Phone": "Enter a phone number with digits, spaces and + - ( ) . / x only."},
    ),
    "long name": ({"name": "R" * 201, "phone": "1"}, {"Name": "Use at most 200 characters; this has 201."}),
    "long phone": ({"name": "R", "phone": "1" * 41}, {"Phone": "Use at most 40 characters; this has 41."}),
    "long notes": (
        {"name": "R", "phone": "1", "notes": "n" * 5_001},
        {"Notes": "Use at most 5,000 characters; this has 5,001."},
    ),
    "many tags": (
        {"name": "R", "phone": "1", "tags": ",".join(map(str, range(21)))},
        {"Tags": "Use at most 20 tags; this has 21."},
    ),
    "bell": ({"name": "R\x07", "phone": "1"}, {"Name": "Remove the invisible control characters."}),
}


@contract(feature="add")
@KINDS
@pytest.mark.parametrize(("typed", "messages"), WRONG.values(), ids=WRONG)
def test_wrong_input_comes_back_with_its_messages(
    web: Web, kind: str, typed: dict[str, str], messages: dict[str, str]
) -> None:
    answer = web.ask(kind, "POST", "/contacts", **typed)

    assert answer.status == 422
    form = answer.dom.id("contact-form")
    assert {label: told for label in LABELS if (told := form.complaint(label))} == messages
    assert {box.lower(): form.box(box).value for box in LABELS if box.lower() in typed and box != "Tags"} == {
        name: text for name, text in typed.items() if name != "tags"
    }
    if kind == "htmx":
        assert answer.swapped is form
        assert answer.retargeted == ("#form-section", "innerHTML")
        assert answer.pushed is None
    else:
        assert answer.is_page
        assert answer.title == "Error: Contacts"


@contract(feature="add")
@KINDS
def test_an_email_belongs_to_one_contact(web: Web, radia: Made, kind: str) -> None:
    answer = web.ask(kind, "POST", "/contacts", name="Another", email=radia.email.upper())

    assert answer.status == 422
    told = answer.dom.id("contact-form").complaint("Email")
    assert told.startswith("Radia Perlman has this email address already. Enter another one.")
    assert answer.dom.id("contact-form").one("a", href=radia.path)


@contract(feature="add")
@KINDS
def test_what_is_typed_is_tidied(web: Web, kind: str) -> None:
    tag = f"z{uuid4().hex[:8]}"

    web.ask(kind, "POST", "/contacts", name="  Radia   Perlman ", phone="617-555-0101", tags=f"{tag}, a,,A")

    found = web.plain("GET", f"/contacts?tag={tag}")
    assert found.names == ["Radia Perlman"]
    editor = web.plain("GET", found.dom.link("Edit Radia Perlman")["href"]).dom.form("Save")
    assert editor.box("Tags").value == f"a, {tag}"


# ---- check


@contract(feature="check")
@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("name", {}, "This field is required. Enter a name."),
        ("name", {"name": "Radia"}, ""),
        ("email", {"email": "nobody"}, "Enter a valid email address, such as ada@example.com."),
        ("email", {}, "Enter an email address or a phone number."),
        ("email", {"phone": "617-555-0101"}, ""),
        ("tags", {"tags": "t" * 41}, f"Use at most 40 characters for each tag; “{'t' * 40}…” is longer."),
    ],
)
def test_a_field_is_checked_alone(web: Web, name: str, typed: dict[str, str], message: str) -> None:
    by_htmx = web.htmx("POST", "/contacts/check", {"HX-Trigger-Name": name}, **typed)
    by_name = web.htmx("POST", "/contacts/check", field=name, **typed)

    assert (by_htmx.status, by_htmx.dom.text) == (200, message)
    assert (by_name.status, by_name.dom.text) == (200, message)
    assert (by_htmx.events, by_htmx.pushed) == ({}, None)


@contract(feature="check")
def test_the_phone_settles_the_email_too(web: Web) -> None:
    named = {"HX-Trigger-Name": "phone"}

    right = web.htmx("POST", "/contacts/check", named, phone="617-555-0101")
    wrong = web.htmx("POST", "/contacts/check", named, contact="7")

    assert right.out_of_band == {"new-email-error": ""}
    assert wrong.out_of_band == {"edit-7-email-error": "Enter an email address or a phone number."}


@contract(feature="check")
def test_a_taken_email_is_told_but_not_to_the_contact_that_has_it(web: Web, radia: Made) -> None:
    named = {"HX-Trigger-Name": "email"}

    other = web.htmx("POST", "/contacts/check", named, email=radia.email.upper())
    own = web.htmx("POST", "/contacts/check", named, email=radia.email.upper(), contact=str(radia.id))

    assert other.dom.text.startswith("Radia Perlman has this email address already.")
    assert other.dom.one("a")["href"] == radia.path
    assert own.dom.text == ""


@contract(feature="check")
@KINDS
def test_a_field_that_there_is_not_is_refused(web: Web, kind: str) -> None:
    assert web.ask(kind, "POST", "/contacts/check", field="shoe-size").status == 400


# ---- edit


@contract(feature="edit")
def test_an_editor_has_an_address(web: Web, radia: Made) -> None:
    row, page = web.htmx("GET", f"{radia.path}/edit"), web.plain("GET", f"{radia.path}/edit?q=radia")

    assert (row.status, row.pushed) == (200, f"{radia.path}/edit")
    assert (row.swapped.tag, row.swapped["id"]) == ("tr", radia.row)
    assert page.is_page
    assert page.dom.id("contact-rows").id(radia.row).id(f"edit-{radia.id}")
    for dom in (row.dom, page.dom):
        form = dom.id(f"edit-{radia.id}")
        assert form["aria-label"] == "Edit Radia Perlman"
        assert (form.fields["_method"], form.fields["version"]) == ("PUT", "1")
        assert form["hx-put"] == radia.path
        assert form.box("Email").value == radia.email
        assert form.button("Save")
        assert form.link("Cancel")["hx-get"] == radia.path
    assert page.dom.id(f"edit-{radia.id}")["action"] == f"{radia.path}?q=radia"


@contract(feature="edit")
def test_htmx_gets_the_saved_row_and_the_count(web: Web, radia: Made) -> None:
    before = web.plain("GET", "/contacts").total

    answer = web.htmx(
        "PUT", radia.path, at=f"{radia.path}/edit?q=perlman", **radia.fields(company="Sun Microsystems")
    )

    assert (answer.status, answer.pushed) == (200, "/contacts?q=perlman")
    assert answer.swapped["id"] == radia.row
    assert "Sun Microsystems" in answer.swapped.text
    assert answer.out_of_band == {"contact-count": f"{before:,}"}
    assert web.htmx("GET", f"{radia.path}/edit").dom.id(f"edit-{radia.id}").fields["version"] == "2"


@contract(feature="edit")
def test_a_browser_saves_by_a_form(web: Web, radia: Made) -> None:
    fields = radia.fields(company="Sun", _method="PUT")

    page = web.follow(web.plain("POST", f"{radia.path}?q={radia.email}", **fields))

    assert "Sun" in page.dom.id(radia.row).text
    assert page.dom.id("q").value == radia.email
    assert page.dom.id("toasts").text.startswith("Saved Radia Perlman.")


@contract(feature="edit")
def test_saving_what_is_unchanged_changes_nothing(web: Web, radia: Made) -> None:
    by_htmx = web.htmx("PUT", radia.path, **radia.fields())
    plainly = web.plain("POST", radia.path, **radia.fields(_method="PUT"))

    assert by_htmx.event["message"] == "Nothing to save: Radia Perlman is unchanged"
    assert "undo" not in by_htmx.event
    assert (plainly.status, plainly.headers["location"]) == (303, "/contacts")
    assert web.htmx("GET", f"{radia.path}/edit").dom.id(f"edit-{radia.id}").fields["version"] == "1"


@contract(feature="edit")
@KINDS
def test_wrong_input_stays_in_the_editor(web: Web, radia: Made, kind: str) -> None:
    answer = web.ask(kind, "PUT", radia.path, **radia.fields(email="radia@", notes="not lost"))

    assert answer.status == 422
    form = answer.dom.id(f"edit-{radia.id}")
    assert form.complaint("Email") == "Enter a valid email address, such as ada@example.com."
    assert (form.box("Email").value, form.box("Notes").value) == ("radia@", "not lost")
    assert answer.is_page == (kind == "plain")
    if kind == "htmx":
        assert (answer.swapped["id"], answer.retargeted) == (radia.row, (f"#{radia.row}", "outerHTML"))


@contract(feature="edit")
@KINDS
def test_an_editor_whose_contact_is_gone_can_be_saved_as_a_new_contact(
    web: Web, radia: Made, kind: str
) -> None:
    web.htmx("DELETE", radia.path)

    answer = web.ask(kind, "PUT", radia.path, **radia.fields(notes="not lost"))

    assert answer.status == 404
    assert "Contact not found: it was deleted meanwhile. Save to add it again." in answer.dom.text
    if kind == "htmx":
        assert answer.retargeted == (f"#{radia.row}", "outerHTML")
        form = answer.swapped.form("Save as a new contact")
        assert form["hx-post"] == "/contacts"
    else:
        form = answer.dom.id("form-section").id("contact-form")
    assert form.box("Notes").value == "not lost"
    assert "version" not in form.fields


# ---- conflict


def clashing(radia: Made, web: Web, **theirs: str) -> None:
    """Somebody else saves something first."""
    assert web.htmx("PUT", radia.path, **radia.fields(**theirs)).status == 200


@contract(feature="conflict")
@KINDS
def test_what_only_one_side_changed_is_joined(web: Web, radia: Made, kind: str) -> None:
    clashing(radia, web, company="Theirs")

    answer = web.ask(kind, "PUT", radia.path, **radia.fields(phone="617-555-0101"))

    assert (answer.status, answer.is_page) == (409, kind == "plain")
    form = answer.dom.id(f"edit-{radia.id}")
    assert "Someone else changed this contact while you were editing." in form.text
    assert (form.box("Company").value, form.box("Phone").value) == ("Theirs", "617-555-0101")
    assert form.fields["version"] == "2"
    assert form.button("Save both changes")
    assert form.link("Keep theirs")["hx-get"] == radia.path
    if kind == "htmx":
        assert (answer.swapped["id"], answer.retargeted) == (radia.row, (f"#{radia.row}", "outerHTML"))


@contract(feature="conflict")
@KINDS
def test_what_both_changed_is_a_choice(web: Web, radia: Made, kind: str) -> None:
    clashing(radia, web, company="Theirs")

    answer = web.ask(kind, "PUT", radia.path, **radia.fields(company="Mine"))

    choice = answer.dom.one("fieldset")
    assert choice.one("legend").text.startswith("Company")
    values = [
        (radio.value, "checked" in radio) for radio in choice.all("input", type="radio", name="company")
    ]
    assert values == [("Mine", True), ("Theirs", False), ("", False)]
    assert [label.text.split()[0] for label in choice.all("label")] == ["Yours", "Theirs", "Original"]


@contract(feature="conflict")
@KINDS
def test_a_conflict_is_settled_by_saving_it(web: Web, radia: Made, kind: str) -> None:
    clashing(radia, web, company="Theirs")
    form = web.ask(kind, "PUT", radia.path, **radia.fields(company="Mine")).dom.id(f"edit-{radia.id}")

    fields = {name: str(value) for name, value in form.fields.items() if name != "_method"}
    answer = web.ask(kind, "PUT", radia.path, **fields)

    assert answer.status == (200 if kind == "htmx" else 303)
    assert "Mine" in web.htmx("GET", radia.path).swapped.text


# ---- delete


@contract(feature="delete")
def test_htmx_gets_the_list_without_the_contact(web: Web, radia: Made) -> None:
    before = web.plain("GET", "/contacts").total

    answer = web.htmx("DELETE", radia.path)

    assert (answer.status, answer.swapped["id"], answer.pushed) == (200, "contact-table", None)
    assert radia.row not in answer.ids
    assert answer.out_of_band == {"contact-count": f"{before - 1:,}"}


@contract(feature="delete")
def test_a_deletion_keeps_the_list_it_was_made_in(web: Web, radia: Made) -> None:
    by_htmx = web.htmx("DELETE", made(web).path, at="/contacts?q=perlman&sort=email")
    plainly = web.plain("POST", f"{made(web).path}?q=perlman", _method="DELETE")

    assert set(by_htmx.names) == {"Radia Perlman"}
    assert by_htmx.dom.id("contact-table")["data-title"] == "“perlman”, by email · Contacts"
    assert web.follow(plainly).dom.id("q").value == "perlman"


@contract(feature="delete")
def test_a_browser_deletes_by_a_form(web: Web, radia: Made) -> None:
    page = web.follow(web.plain("POST", radia.path, _method="DELETE"))

    assert not page.dom.has(radia.row)
    assert page.dom.id("toasts").text.startswith("Deleted Radia Perlman.")


@contract(feature="delete")
@KINDS
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/edit"), ("GET", ""), ("DELETE", "")], ids=["edit", "show", "delete"]
)
def test_a_contact_that_is_gone_is_not_found(
    web: Web, radia: Made, kind: str, method: str, path: str
) -> None:
    web.htmx("DELETE", radia.path)

    answer = web.ask(kind, method, radia.path + path)

    assert answer.status == 404
    if kind == "htmx":
        assert answer.text == ""
        assert answer.retargeted == (f"#{radia.row}", "delete")
        told = {"target": "body", "message": "Contact not found. It may have been deleted."}
        assert answer.events == {"problem": told}
    else:
        assert answer.dom.one("h1").text == "Contact not found. It may have been deleted."


# ---- bulk


def bulk(web: Web, kind: str, at: str, do: str, *ids: int, **fields: str) -> Answer:
    """Send the form below a list. ids: of the contacts that are ticked."""
    body = urlencode([*(("id", str(id)) for id in ids), *fields.items(), ("do", do)])
    asks = {"HX-Request": "true", "HX-Current-URL": web.url + at} if kind == "htmx" else {}
    return web.send("POST", at.replace("/contacts", "/contacts/bulk", 1), body, asks)


def told(web: Web, answer: Answer) -> str:
    """What an answer says has happened."""
    if answer.status == 200:
        return str(answer.event["message"])
    return web.follow(answer).dom.id("toasts").one("span").text.removesuffix(".")


def complaint(answer: Answer) -> str:
    """What a refusal says: to htmx by an event, else as the heading of a page."""
    if answer.is_page:
        return answer.dom.one("h1").text
    assert answer.headers["hx-reswap"] == "none"
    return str(answer.events["problem"]["message"])


def two_of(web: Web, tag: str) -> tuple[Made, Made]:
    """Two contacts that have a tag which nobody else has."""
    return made(web, "Radia Perlman", tags=tag), made(web, "Karen Jones", tags=tag)


@contract(feature="bulk")
def test_every_row_has_a_box_that_belongs_to_the_form_below_the_list(web: Web, radia: Made) -> None:
    page = web.plain("GET", radia.found)

    form = page.dom.id("bulk")
    assert (form["action"], form["aria-label"]) == (
        f"/contacts/bulk?q={quote(radia.email)}",
        "Selected contacts",
    )
    [box] = [box for box in form.controls if box.attrs.get("name") == "id"]
    assert (box.value, box["aria-label"]) == (str(radia.id), "Select Radia Perlman")
    buttons = {name: form.button(name) for name in ("Add tag", "Remove tag", "Delete")}
    assert [(button["name"], button["value"]) for button in buttons.values()] == [
        ("do", "tag"),
        ("do", "untag"),
        ("do", "delete"),
    ]
    assert {button["hx-post"] for button in buttons.values()} == {"/contacts/bulk"}
    assert form.fields == {"tag": ""}


@contract(feature="bulk")
@KINDS
def test_the_selected_are_deleted_as_one_batch(web: Web, kind: str) -> None:
    one, other = two_of(web, tag := f"d{uuid4().hex[:8]}")
    left = made(web, "Frances Allen", tags=tag)
    before = web.plain("GET", "/contacts").total

    gone = bulk(web, kind, f"/contacts?tag={tag}", "delete", one.id, other.id, ANYBODY)

    if kind == "htmx":
        assert (gone.swapped["id"], gone.ids, gone.pushed) == ("contact-table", [left.row], None)
        assert gone.out_of_band == {"contact-count": f"{before - 2:,}"}
        assert gone.events.keys() == {"contactDeleted"}
        assert gone.event["undo"].startswith("/undo/")
        assert "contact" not in gone.event
    assert told(web, gone) == "Deleted 2 contacts"
    assert web.plain("GET", f"/contacts?tag={tag}").ids == [left.row]
    assert web.plain("GET", "/contacts").total == before - 2


@contract(feature="bulk")
@KINDS
def test_tags_are_added_to_the_selected_and_removed_in_any_case(web: Web, kind: str) -> None:
    one, other = two_of(web, tag := f"t{uuid4().hex[:8]}")
    at = f"/contacts?tag={tag}"

    tagged = told(web, bulk(web, kind, at, "tag", one.id, other.id, tag=f"{tag}-a, {tag}-b"))
    found = web.plain("GET", f"/contacts?tag={tag}-a&tag={tag}-b").ids
    again = bulk(web, "htmx", at, "tag", one.id, tag=f"{tag}-A")
    untagged = told(web, bulk(web, kind, at, "untag", one.id, tag=f"{tag}-a".upper()))

    assert (tagged, set(found)) == ("Changed the tags of 2 contacts", {one.row, other.row})
    assert again.event["message"] == "Nothing to change"
    assert "undo" not in again.event
    assert untagged == "Changed the tags of Radia Perlman"
    assert web.plain("GET", f"/contacts?tag={tag}-a").ids == [other.row]


@contract(feature="bulk")
@KINDS
def test_all_that_match_are_those_of_the_current_list(web: Web, kind: str) -> None:
    one, other = two_of(web, tag := f"a{uuid4().hex[:8]}")

    gone = bulk(web, kind, f"/contacts?tag={tag}&q=perlman", "delete", all="1")

    assert told(web, gone) == "Deleted Radia Perlman"
    assert web.plain("GET", one.path).status == 404
    assert web.plain("GET", f"/contacts?tag={tag}").ids == [other.row]


@contract(feature="bulk")
def test_a_change_of_many_can_be_undone(web: Web) -> None:
    one, other = two_of(web, tag := f"u{uuid4().hex[:8]}")
    gone = bulk(web, "htmx", f"/contacts?tag={tag}", "delete", one.id, other.id)

    back = web.htmx("POST", gone.event["undo"], at=f"/contacts?tag={tag}")

    assert back.event["message"] == "Restored 2 contacts"
    assert set(back.ids) == {one.row, other.row}


SELECT_FIRST = "Select the contacts first, by the boxes in front of their names."


@contract(feature="bulk")
@KINDS
@pytest.mark.parametrize(
    ("do", "ids", "tag", "status", "message"),
    [
        ("delete", [], "", 422, SELECT_FIRST),
        ("tag", [0], "x", 422, SELECT_FIRST),
        ("tag", [ANYBODY], " , ", 422, "Write the tag first."),
        ("untag", [ANYBODY], "", 422, "Write the tag first."),
        ("destroy", [ANYBODY], "x", 400, "There is no such action."),
    ],
)
def test_a_change_of_many_that_cannot_be_made_is_refused(
    web: Web, radia: Made, kind: str, do: str, ids: list[int], tag: str, status: int, message: str
) -> None:
    refused = bulk(web, kind, "/contacts", do, *ids, tag=tag)

    assert (refused.status, complaint(refused)) == (status, message)
    assert web.plain("GET", radia.path).status == 200


@contract(feature="bulk")
@KINDS
def test_a_tag_that_breaks_a_rule_for_one_changes_nobody(web: Web, radia: Made, kind: str) -> None:
    tag = f"r{uuid4().hex[:8]}"
    full = made(web, tags=",".join(map(str, range(20))))

    refused = bulk(web, kind, "/contacts", "tag", radia.id, full.id, tag=tag)

    assert refused.status == 422
    assert complaint(refused) == "Nothing was changed. Use at most 20 tags; this has 21."
    assert web.plain("GET", f"/contacts?tag={tag}").ids == []


# ---- undo


@contract(feature="undo")
@pytest.mark.parametrize("what", ["add", "edit", "delete"])
def test_htmx_undoes_a_change_and_the_undo(web: Web, radia: Made, what: str) -> None:
    change = {
        "add": lambda: radia.answer,
        "edit": lambda: web.htmx("PUT", radia.path, **radia.fields(company="Sun")),
        "delete": lambda: web.htmx("DELETE", radia.path),
    }[what]()

    undone = web.htmx("POST", change.event["undo"], at=radia.found)
    redone = web.htmx("POST", undone.event["undo"], at=radia.found)

    assert (undone.status, undone.swapped["id"], undone.pushed) == (200, "contact-table", None)
    assert (radia.row in undone.ids, radia.row in redone.ids) == (what != "add", what != "delete")
    if what == "edit":
        assert ["Sun" in answer.dom.id(radia.row).text for answer in (undone, redone)] == [False, True]


@contract(feature="undo")
def test_a_browser_undoes_by_the_button_of_the_message(web: Web, radia: Made) -> None:
    page = web.follow(web.plain("POST", f"{radia.path}?q={radia.email}", _method="DELETE"))

    page = web.follow(web.plain("POST", page.dom.id("toasts").form("Undo")["action"]))
    assert page.dom.id("q").value == radia.email

    assert page.dom.has(radia.row)
    assert page.dom.id("toasts").text.startswith("Restored Radia Perlman.")


@contract(feature="undo")
def test_undo_pressed_twice_undoes_once(web: Web, radia: Made) -> None:
    path = web.htmx("DELETE", radia.path).event["undo"]

    first, second = web.htmx("POST", path), web.htmx("POST", path)

    assert first.events == second.events


@contract(feature="undo")
@KINDS
def test_an_undo_that_cannot_be_whole_asks_and_does_what_it_can(web: Web, radia: Made, kind: str) -> None:
    changes = radia.fields(company="First", phone="617-555-0101")
    path = web.htmx("PUT", radia.path, **changes).event["undo"]
    web.htmx("PUT", radia.path, **changes | {"company": "Second", "version": "2"})

    asked = web.ask(kind, "POST", path)
    answer = web.ask(kind, "POST", path, partly="1")

    assert (asked.status, asked.is_page) == (409, kind == "plain")
    assert asked.retargeted == (("#question", "innerHTML") if kind == "htmx" else (None, None))
    assert asked.dom.one("h1", id="question-title").text == "Undo what is left?"
    assert "gets back phone; keeps company as changed since." in asked.dom.text
    form = asked.dom.form("Undo what can be undone")
    assert (urlsplit(form["action"]).path, form.fields) == (path, {"partly": "1"})
    assert asked.dom.link("Leave everything as it is")
    assert answer.status == (200 if kind == "htmx" else 303)
    row = web.htmx("GET", radia.path).swapped.text
    assert ("Second" in row, "617-555-0101" in row) == (True, False)


@contract(feature="undo")
@KINDS
def test_what_the_log_does_not_hold_cannot_be_undone(web: Web, kind: str) -> None:
    answer = web.ask(kind, "POST", f"/undo/{ANYBODY}")

    message = "This change is no longer in the log, so it cannot be undone."
    assert answer.status == 404
    assert (answer.event["message"] if kind == "htmx" else answer.dom.one("h1").text) == message


# ---- badge


@contract(feature="badge")
def test_the_badge_counts_all_contacts_whatever_is_searched_for(web: Web) -> None:
    total = web.plain("GET", "/contacts").total

    found = web.plain("GET", f"/contacts?q={uuid4().hex}")

    assert (found.total, found.ids) == (total, [])
    assert found.dom.one("h1").id("contact-count")


@contract(feature="badge")
def test_the_badge_follows_every_change(web: Web) -> None:
    before = web.plain("GET", "/contacts").total

    contact = made(web)
    saved = web.htmx("PUT", contact.path, **contact.fields(company="Sun"))
    gone = web.htmx("DELETE", contact.path)
    back = web.htmx("POST", gone.event["undo"])

    answers = (contact.answer, saved, gone, back)
    assert [answer.total - before for answer in answers] == [1, 1, 0, 1]
    assert [answer.event["count"] - before for answer in answers] == [1, 1, 0, 1]


# ---- events


@contract(feature="events")
def test_every_change_fires_its_event_on_the_body(web: Web) -> None:
    contact = made(web, "Radia Perlman")
    saved = web.htmx("PUT", contact.path, **contact.fields(company="Sun"))
    gone = web.htmx("DELETE", contact.path)
    back = web.htmx("POST", gone.event["undo"])
    gone_again = web.htmx("POST", back.event["undo"])

    expected = [
        (contact.answer, "contactCreated", "Added"),
        (saved, "contactUpdated", "Saved"),
        (gone, "contactDeleted", "Deleted"),
        (back, "contactCreated", "Restored"),
        (gone_again, "contactDeleted", "Removed"),
    ]
    for answer, name, done in expected:
        [(fired, detail)] = answer.events.items()
        assert (fired, detail["message"]) == (name, f"{done} Radia Perlman")
        assert (detail["target"], detail["contact"]) == ("body", contact.id)
        assert set(detail) == {"target", "message", "count", "undo", "contact"}
        assert detail["undo"].removeprefix("/undo/").isdecimal()


@contract(feature="events")
def test_a_header_stays_ascii_whatever_a_contact_is_called(web: Web) -> None:
    contact = made(web, '李清照 "É" </b>')

    assert contact.answer.headers["hx-trigger"].isascii()
    assert contact.answer.event["message"] == 'Added 李清照 "É" </b>'


# ---- history


@contract(feature="history")
@pytest.mark.parametrize("path", ["/contacts", "/contacts?q=a", "/contacts/new", "/contacts/{id}/edit"])
def test_one_address_has_two_answers_and_says_so(web: Web, radia: Made, path: str) -> None:
    path = path.replace("{id}", str(radia.id))
    fragment, page = web.htmx("GET", path), web.plain("GET", path)
    restored = web.htmx("GET", path, {"HX-History-Restore-Request": "true"})

    assert [answer.is_page for answer in (fragment, page, restored)] == [False, True, True]
    for answer in (fragment, page, restored):
        assert "hx-request" in answer.headers["vary"].lower().replace(" ", "").split(",")
        assert answer.headers["cache-control"] == "private, no-cache"
    assert (page.pushed, restored.pushed) == (None, None)


@contract(feature="history")
def test_the_target_of_a_request_does_not_change_its_answer(web: Web) -> None:
    answers = [web.htmx("GET", "/contacts", {"HX-Target": target}) for target in ("contact-table", "main")]

    assert [answer.swapped["id"] for answer in answers] == ["contact-table"] * 2


# ---- no-script


@contract(feature="no-script")
@pytest.mark.parametrize("path", ["/contacts", "/contacts?q=radia", "/contacts/new", "/contacts/{id}/edit"])
def test_whatever_htmx_sends_from_a_page_a_link_or_form_sends_too(web: Web, radia: Made, path: str) -> None:
    dom = web.plain("GET", path.replace("{id}", str(radia.id))).dom

    sending = [element for element in dom.walk() if element.requests]

    assert len(sending) > 5
    for element in sending:
        assert_works_without_script(element)


@contract(feature="no-script")
def test_a_form_asks_for_put_and_delete_by_a_field_and_for_nothing_else(web: Web, radia: Made) -> None:
    assert web.plain("POST", radia.path, _method="PATCH").status == 405
    assert web.plain("POST", radia.path).status == 405
    assert web.plain("POST", radia.path, _method="DELETE").status == 303


# ---- dashboard


@contract(feature="dashboard")
def test_the_dashboard_holds_figures_and_what_happened(web: Web, radia: Made) -> None:
    total = web.htmx("DELETE", radia.path).event["count"]

    page = web.plain("GET", "/dashboard")

    assert (page.status, page.is_page) == (200, True)
    assert page.dom.one("h1").text == "Dashboard"
    assert page.title == "Dashboard · Contacts"
    assert page.dom.id("totals").all("b")[0].text == f"{total:,}"
    newest = page.dom.id("activity").all("li")[0]
    assert "Deleted Radia Perlman" in newest.text
    assert newest.form("Undo: Deleted Radia Perlman")["action"].startswith("/undo/")


# ---- live


class Stream:
    """An event stream as a browser reads it: when it ends, it is asked for again."""

    def __init__(self, web: Web, path: str = "/live", seen: str = "") -> None:
        self._url = web.url + path
        self._seen = seen
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def next(self) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        while True:
            line = self._stream.readline().decode()
            name, _, value = line.rstrip("\r\n").partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
            elif fields:
                self._seen = fields.get("id", self._seen)
                return fields
            elif not line:
                self._open()

    def until(self, name: str) -> dict[str, str]:
        """The next event of this name."""
        while (event := self.next())["event"] != name:
            pass
        return event

    def _open(self) -> None:
        headers = {"Last-Event-ID": self._seen} if self._seen else {}
        self._stream = urllib.request.urlopen(urllib.request.Request(self._url, headers=headers), timeout=20)
        assert self._stream.headers.get_content_type() == "text/event-stream"
        assert self._stream.headers["cache-control"] == "no-cache"


@contract(feature="live")
def test_the_event_stream_tells_how_far_the_log_reaches(web: Web, radia: Made) -> None:
    read = web.plain("GET", "/contacts").dom.id("contact-table")["data-seq"]
    with Stream(web) as stream:
        first = stream.next()
        web.htmx("DELETE", radia.path)
        news = stream.until("changed")

    assert (first["event"], first["data"], first["id"]) == ("beat", "", read)
    assert int(first["retry"]) > 0
    assert news["id"] == news["data"]
    assert int(news["id"]) > int(first["id"])


@contract(feature="live")
def test_a_stream_stays_open_and_tells_what_is_new(web: Web, radia: Made) -> None:
    with urllib.request.urlopen(f"{web.url}/live", timeout=20) as stream:
        web.htmx("DELETE", radia.path)
        while (line := stream.readline()) and line != b"event: changed\n":
            pass

    assert line


@contract(feature="live")
@pytest.mark.parametrize("how", ["after", "Last-Event-ID"])
def test_a_window_that_comes_back_is_told_at_once_what_it_missed(web: Web, how: str) -> None:
    with Stream(web) as stream:
        seen = stream.next()["id"]
    made(web)

    asked = {"path": f"/live?after={seen}"} if how == "after" else {"path": "/live?after=1", "seen": seen}
    with Stream(web, **asked) as stream:
        beat, news = stream.next(), stream.next()

    assert (beat["event"], beat["id"]) == ("beat", seen)
    assert (news["event"], int(news["id"]) > int(seen)) == ("changed", True)


# ---- probes


@contract(feature="probes")
def test_hello_is_plain_text(web: Web) -> None:
    answer = web.plain("GET", "/hello")

    assert (answer.status, answer.text) == (200, "Hello from Contacts.")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@contract(feature="probes")
@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_probe_answers(web: Web, path: str) -> None:
    assert web.plain("GET", path).status == 200


# ---- security

HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@contract(feature="security")
@KINDS
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/contacts"),
        ("GET", "/dashboard"),
        ("GET", "/hello"),
        ("GET", f"/contacts/{ANYBODY}"),
        ("GET", "/ready"),
        ("GET", "/health"),
        ("GET", "/no/such/page"),
        ("POST", "/contacts"),
        ("PATCH", "/contacts"),
    ],
)
def test_every_answer_has_the_security_headers(web: Web, kind: str, method: str, path: str) -> None:
    headers = web.ask(kind, method, path).headers

    assert {name: headers.get(name) for name in HEADERS} == HEADERS


@contract(feature="security")
@pytest.mark.parametrize(
    "path", ["/contacts", "/contacts/{id}", "/contacts/{id}/edit", "/dashboard", "/nowhere"]
)
def test_a_page_holds_no_inline_script_and_style(web: Web, radia: Made, path: str) -> None:
    dom = web.plain("GET", path.replace("{id}", str(radia.id))).dom

    scripts = dom.all("script")
    assert scripts
    assert all(script["src"].startswith("/static/") and not script.raw_text for script in scripts)
    assert dom.all("style") == []
    unsafe = ("style", "hx-on", "hx-vals", "on", "data-hx-on")
    named = [name for element in dom.walk() for name in element.attrs]
    assert [name for name in named if name in unsafe or name.startswith(("on", "hx-on"))] == []


@contract(feature="security")
@KINDS
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example.com"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "{own}"}, 303),
        ({}, 303),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else str(value),
)
def test_a_write_from_another_site_is_refused(
    web: Web, radia: Made, kind: str, headers: dict[str, str], status: int
) -> None:
    own = {name: value.replace("{own}", web.url) for name, value in headers.items()}
    asks = own | ({"HX-Request": "true"} if kind == "htmx" else {})

    answer = web.plain("POST", radia.path, asks, _method="DELETE")

    assert answer.status == (200 if (kind, status) == ("htmx", 303) else status)
    assert (web.plain("GET", radia.path).status == 200) == (status == 403)
    if status == 403:
        message = "This change came from another site, so it was refused."
        assert (answer.event["message"] if kind == "htmx" else answer.dom.one("h1").text) == message


@contract(feature="security")
def test_another_site_may_lead_here(web: Web) -> None:
    assert web.plain("GET", "/contacts", {"Sec-Fetch-Site": "cross-site"}).status == 200


@contract(feature="security")
def test_what_was_typed_is_never_taken_for_markup(web: Web) -> None:
    evil = "<script>alert(1)</script>"
    made(web, evil, notes=evil, tags=evil[:40])

    for path in (f"/contacts?q={quote(evil)}", "/dashboard", f"/{quote(evil)}"):
        answer = web.plain("GET", path)
        assert evil not in answer.text
        assert all("src" in script for script in answer.dom.all("script"))


# ---- errors


@contract(feature="errors")
@KINDS
@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/no/such/page", 404, "There is nothing at this address."),
        ("GET", "/contacts/radia", 404, "There is nothing at this address."),
        ("GET", f"/contacts/{'9' * 30}", 404, "Contact not found. It may have been deleted."),
        ("PATCH", "/contacts", 405, "This address cannot do that."),
        ("GET", "/undo/1", 405, "This address cannot do that."),
    ],
)
def test_an_error_is_a_page_with_a_way_on_or_a_message_for_htmx(
    web: Web, kind: str, method: str, path: str, status: int, message: str
) -> None:
    answer = web.ask(kind, method, path)

    assert answer.status == status
    if kind == "htmx":
        assert answer.text == ""
        assert answer.events == {"problem": {"target": "body", "message": message}}
        assert answer.headers["hx-reswap"] in ("none", "delete")
    else:
        assert answer.is_page
        assert answer.dom.one("h1").text == message
        assert answer.dom.link("Go to the contacts")["href"] == "/contacts"
    if status == 405:
        assert answer.headers["allow"]


@contract(feature="errors")
@KINDS
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{}", "application/json", 415),
        ("no boundary", "multipart/form-data", 400),
        (f"notes={'n' * 1_100_000}", FORM, 413),
    ],
    ids=["json", "broken", "large"],
)
def test_a_body_that_is_no_form_is_refused(
    web: Web, kind: str, body: str, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type} | ({"HX-Request": "true"} if kind == "htmx" else {})

    answer = web.send("POST", "/contacts", body, headers)

    assert answer.status == status
    assert answer.event["message"] if kind == "htmx" else answer.is_page


# ---- accessibility


@contract(feature="accessibility")
@pytest.mark.parametrize(
    "path", ["/contacts", "/contacts/new", "/contacts/{id}", "/contacts/{id}/edit", "/dashboard", "/nowhere"]
)
def test_a_page_has_a_language_a_title_landmarks_and_a_name_for_every_control(
    web: Web, radia: Made, path: str
) -> None:
    dom = web.plain("GET", path.replace("{id}", str(radia.id))).dom

    assert dom.one("html")["lang"] == "en"
    assert dom.one("head").one("title").text.endswith("Contacts")
    assert len(dom.one("main", id="main").all("h1")) == 1
    assert dom.link("Skip to content")["href"] == "#main"
    assert dom.one("nav", aria_label="Main")
    labelled = {label["for"] for label in dom.all("label") if "for" in label}
    fields = [box for box in dom.all("input") + dom.all("textarea") if box.attrs.get("type") != "hidden"]
    named = ("aria-label", "aria-labelledby")
    nameless = [
        str(box)
        for box in fields
        if box.attrs.get("id") not in labelled
        and not any(name in box for name in named)
        and not box.around("label")
    ]
    assert nameless == []
    assert [str(b) for b in dom.all("button") if not (b.text or "aria-label" in b)] == []
