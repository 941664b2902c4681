"""Script and markup planted wherever somebody can write: in a real browser, all of it stays text.

Every page that shows it is opened. Planted elements would be in the document, ask for
/canary, set `ran`, break the content policy or open a dialog; none of that may happen.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from playwright.sync_api import Dialog, FilePayload, Page, Request, expect

from e2e.steps import bar, box, chip, count, delete, edit, field, open_form, row, save, toast

TEXT = (
    "\"'></title></textarea><script>ran=1</script><img src=/canary onerror=ran=1>"
    "<b hx-get=/canary hx-trigger=load hx-on::load=ran=1 data-hx-on:click=ran=1>{{ 7*7 }}&lt;i&gt;"
)
SHORT = "\"'><img src=/canary><b hx-get=/canary>"  # as long as a tag may be
FILE = "'><img src=canary><b hx-get=canary>{{ 7*7 }}"  # a name has no slash, and browsers escape quotes
EMAIL = "x'onload=ran=1@canary.example"

# What of it would be in the document, had it become markup; and everything that the page says.
FOUND = """() => ({
    ran: window.ran ?? 0,
    violations: window.violations,
    elements: [...document.querySelectorAll(
        "[src='/canary'], [src=canary], [hx-get='/canary'], [hx-get=canary],"
        + "[onload], [onerror], script:not([src])")].map((e) => e.outerHTML),
    isolated: crossOriginIsolated,
    said: document.title + document.body.textContent
        + [...document.querySelectorAll("*")].flatMap((e) => [...e.attributes].map((a) => a.value)).join(" "),
})"""
WATCH = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI));
"""


class Watched:
    """A window whose requests and dialogs are remembered, and its policy's violations as well."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.caught: list[str] = []
        page.add_init_script(WATCH)
        page.on("request", self._asked)
        page.on("dialog", self._answer)

    def open(self, path: str, *texts: str) -> None:
        """Open a page that shows these texts."""
        self.page.goto(path)
        self.shows(*texts)

    def shows(self, *texts: str) -> None:
        """The page as it stands says the texts, and nothing of them has become anything else."""
        found = self.page.evaluate(FOUND)
        said = found.pop("said")
        assert [text for text in texts if text not in said] == [], f"not shown at {self.page.url}"
        assert found == {"ran": 0, "violations": [], "elements": [], "isolated": True}, self.page.url
        assert self.caught == []

    def _answer(self, dialog: Dialog) -> None:
        self.caught.append(dialog.message)
        dialog.accept()

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).path.endswith("/canary"):
            self.caught.append(request.url)


@pytest.fixture
def watched(page: Page) -> Watched:
    return Watched(page)


@pytest.fixture
def other(new_window: Callable[..., Page]) -> Watched:
    """Somebody else's window, on the list."""
    other = Watched(new_window())
    other.page.goto("/contacts")
    return other


def plant(page: Page, **fields: str) -> None:
    """Add a contact; every field that is not given holds the planted text."""
    form = {"name": TEXT, "email": "", "phone": "555-0199", "company": TEXT, "notes": TEXT, "tags": SHORT}
    data: dict[str, str | float | bool] = {**form, **fields}
    assert page.request.post("/contacts", form=data).ok


def planted_id(page: Page) -> int:
    """The id of the first planted contact."""
    answer = page.request.get("/contacts.json?q=canary").json()
    return int(min(contact["id"] for contact in answer.get("contacts", answer)))


def test_what_is_planted_in_a_contact_stays_text_on_every_page(watched: Watched, other: Watched) -> None:
    page = watched.page
    page.goto("/contacts")
    form = open_form(page)
    for label, text in {"Name": TEXT, "Email": TEXT, "Company": TEXT, "Tags": SHORT, "Notes": TEXT}.items():
        field(form, label).fill(text)
    save_it = form.get_by_role("button", name="Save contact")
    save_it.click()
    expect(form.get_by_text("Enter a valid email address")).to_be_visible()
    watched.shows(TEXT, SHORT)
    field(form, "Email").fill(EMAIL)
    save_it.click()
    expect(toast(page)).to_contain_text("Added")
    watched.shows(TEXT, SHORT, EMAIL)
    expect(count(other.page)).to_have_text("13")
    expect(chip(other.page, SHORT)).to_be_visible()
    other.shows(TEXT, SHORT, EMAIL)

    plant(page, email="second@example.com", company=f"{TEXT}2")
    first = planted_id(page)
    query = urlencode({"q": TEXT, "tag": SHORT})
    for path in (
        "/contacts?sort=updated&done=1",
        f"/contacts?{query}",
        "/contacts?q=canary",
        f"/contacts?{query}&tag=none",
        f"/contacts/{first}",
        f"/contacts/{first}/edit?{query}",
        f"/contacts/merge?id={first}&id={first + 1}",
        "/contacts/duplicates",
        "/dashboard",
    ):
        watched.open(path, TEXT, SHORT)
    watched.open("/activity", TEXT)


def test_what_is_planted_in_an_edit_stays_text(watched: Watched, other: Watched) -> None:
    page = watched.page
    plant(page, name="Victim", tags="")
    page.goto("/contacts?sort=updated")
    form = edit(page, "Victim")
    theirs: dict[str, str | float | bool] = {
        "_method": "PUT",
        "name": f"{TEXT}2",
        "phone": "1",
        "version": "1",
    }
    assert page.request.post(f"/contacts/{planted_id(page)}", form={**theirs, "notes": f"{TEXT}2"}).ok
    expect(row(other.page, f"{TEXT}2")).to_be_visible()
    other.shows(f"{TEXT}2")

    field(form, "Name").fill(f"{TEXT}3")
    field(form, "Notes").fill(f"{TEXT}3")
    save(form)
    expect(page.get_by_role("group", name="Notes")).to_be_visible()
    watched.shows(f"{TEXT}2", f"{TEXT}3")
    page.get_by_role("button", name="Save both changes").click()
    expect(page.get_by_role("group", name="Notes")).to_have_count(0)
    watched.shows(TEXT)

    plant(page, name=TEXT)
    page.goto("/contacts?sort=updated")
    box(page, TEXT).check()
    bar(page).get_by_label("Tag").fill(f"{SHORT}{SHORT}")
    bar(page).get_by_role("button", name="Add tag").click()
    expect(page.get_by_text("is longer")).to_be_visible()
    watched.shows(SHORT)
    delete(page, TEXT)
    expect(toast(page).filter(has_text="Deleted")).to_be_visible()
    watched.shows(TEXT)


ESCAPED = TEXT.replace(";", "\\;")
CARD = (
    f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{ESCAPED}\r\nTEL:1\r\nORG:{ESCAPED}\r\nNOTE:{ESCAPED}\r\nEND:VCARD\r\n"
)
CSV = "".join(
    ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\r\n"
    for cells in (
        ("Name", "Email", "Labels", f"Birthday {TEXT}"),
        (TEXT, EMAIL, SHORT, TEXT),
        (TEXT, TEXT, SHORT, TEXT),
    )
)
FILES = {
    "csv": CSV,
    "vcf": CARD + CARD.replace("TEL", SHORT),  # of the second, a line cannot be read
    "json": json.dumps([{"name": TEXT, "phone": "1", "notes": TEXT, "tags": [SHORT], TEXT: TEXT}]),
}


@pytest.mark.parametrize("ending", FILES)
def test_what_is_planted_in_a_file_and_its_name_stays_text(watched: Watched, ending: str) -> None:
    page = watched.page
    name = f"{FILE}.{ending}"

    def choose(content: str) -> None:
        page.goto("/import")
        file = FilePayload(name=name, mimeType="text/plain", buffer=content.encode())
        page.get_by_label("Choose a file").set_input_files(file)
        page.get_by_role("button", name="Show preview").click()

    choose(f"\0{TEXT}")
    expect(page.get_by_role("heading", name="The file was not imported")).to_be_visible()
    watched.shows(name)

    choose(FILES[ending])
    expect(page.get_by_role("heading", name="Preview of the import")).to_be_visible()
    watched.shows(name, TEXT)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    watched.shows(name)
    watched.open("/contacts?sort=updated", TEXT)
    watched.open("/activity", TEXT)


def test_what_is_planted_in_addresses_and_headers_is_text_or_not_shown(
    new_window: Callable[..., Page],
) -> None:
    watched = Watched(new_window(user_agent=TEXT, extra_http_headers={"X-Request-ID": SHORT}))
    text = quote(TEXT, safe="")

    for name in ("sort", "dir", "after", "only", "done", "unknown"):
        watched.open(f"/contacts?{name}={text}")
    for path in (
        f"/{text}",
        f"/contacts/{text}",
        f"/import/{text}",
        f"/static/{text}",
        f"/_frag/contacts/{text}?_b={text}",
        f"/contacts/merge?id={text}",
        f"/contacts/new?q={text}",
        f"/contacts/1?q={text}",
        f"/dashboard?slow={text}&fail={text}&section={text}",
        f"/activity?after={text}&before={text}",
        f"/lab?fault={text}",
    ):
        answer = watched.page.goto(path)
        assert answer is not None
        if answer.headers["content-type"].startswith("text/html"):
            watched.shows()
        else:
            assert "canary" not in answer.text()


def test_what_is_planted_in_a_download_is_no_page_and_no_formula(page: Page) -> None:
    plant(page, name="=HYPERLINK(1)", notes="@SUM(1)", company="+1+1", tags="-2")

    exports: dict[str, Any] = {
        kind: page.request.get(f"/contacts.{kind}?q=HYPERLINK") for kind in ("csv", "vcf", "json")
    }

    for answer in exports.values():
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]
    cells = [cell.strip('"') for line in exports["csv"].text().splitlines() for cell in line.split(",")]
    assert "'=HYPERLINK(1)" in cells
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")] == []
