"""Importing a file and exporting the list, with and without script."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.steps import assert_accessible, assert_no_sideways_scroll, count, row
from tests.server_process import running_server

HEADER = "Name,Email,Phone,Birthday\n"
# The sample contacts hold Ada Lovelace and Grace Hopper: one is different, one the same.
MIXED = HEADER + (
    "Barbara Liskov,barbara@example.com,+1 617-555-0101,1939-11-07\n"
    "Augusta Ada King,ada@example.com,+44 20 7946 0101,1815-12-10\n"
    "Nobody,nowhere,,\n"
)
LONG = 300_000  # milliseconds that much work may take on a busy computer


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A CSV file with one contact that is new, one that is different and one that is wrong."""
    return written(tmp_path / "people.csv", MIXED)


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A CSV file that takes a while."""
    rows = (f"Person {number:05},p{number}@example.com,,\n" for number in range(30_000))
    return written(tmp_path / "crowd.csv", HEADER + "".join(rows))


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[str]:
    """A server of its own, for imports that would fill the one that all tests share."""
    with running_server(tmp_path) as server:
        yield server.url


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def choose(page: Page, file: Path, site: str = "") -> None:
    """Choose a file on the import page and go on."""
    page.goto(f"{site}/import")
    page.get_by_label("Choose a file, or drop it here").set_input_files(file)
    page.get_by_role("button", name="Show preview").click()


def preview(page: Page, file: Path) -> None:
    """Go to the preview of a file."""
    choose(page, file)
    expect(heading(page, "Preview of the import")).to_be_visible(timeout=LONG)


def heading(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name, level=1)


def start(page: Page) -> None:
    """Press Import."""
    page.get_by_role("button", name="Import", exact=True).click()


def card(page: Page, title: str) -> Locator:
    """The number on a card of the preview."""
    return page.locator(".stat").filter(has=page.get_by_text(title, exact=True)).locator("b")


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file somewhere on the page."""
    data = page.evaluate_handle(
        """([name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name, { type: "text/csv" }));
            return data;
        }""",
        [name, text],
    )
    page.dispatch_event("h1", "dragover", {"dataTransfer": data})
    page.dispatch_event("h1", "drop", {"dataTransfer": data})


def test_a_file_is_chosen_previewed_imported_and_undone(page: Page, people: Path) -> None:
    preview(page, people)
    for title, number in {"New": "1", "Different": "1", "The same": "0", "Wrong": "1"}.items():
        expect(card(page, title)).to_have_text(number)
    expect(page.get_by_role("row").filter(has_text="Barbara Liskov")).to_contain_text("Birthday: 1939-11-07")

    page.get_by_role("radio", name="Update to what the file says").check()
    start(page)

    expect(heading(page, "Import finished")).to_be_visible()
    expect(page.locator("main")).to_contain_text("1 contact added, 1 changed, 1 row left out.")
    page.get_by_role("link", name="Go to the contacts").click()
    expect(count(page)).to_have_text("13")
    expect(row(page, "Augusta Ada King")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Undo the import").click()
    page.goto("/contacts")
    expect(count(page)).to_have_text("12")
    expect(row(page, "Ada Lovelace")).to_be_visible()


def test_a_file_is_dropped_anywhere_on_the_page(page: Page) -> None:
    page.goto("/import")

    drop(page, "dropped.csv", MIXED)
    expect(page.get_by_role("button", name="Show preview")).to_be_focused()
    page.keyboard.press("Enter")

    expect(heading(page, "Preview of the import")).to_be_visible()
    expect(page.locator("main")).to_contain_text("dropped.csv")


def test_the_same_file_brings_nothing_new_the_second_time(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.goto("/import")
        page.evaluate("location.assign('/contacts.csv')")
    assert re.fullmatch(r"contacts-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "again.csv")

    preview(page, tmp_path / "again.csv")

    expect(page.get_by_role("heading", name="Nothing new: all 12 contacts are here already")).to_be_visible()
    expect(page.get_by_role("button", name="Import", exact=True)).to_have_count(0)


def test_rows_that_failed_are_downloaded_mended_and_imported(
    page: Page, people: Path, tmp_path: Path
) -> None:
    preview(page, people)
    start(page)
    expect(heading(page, "Import finished")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it as CSV").click()
    mended = download.value.path().read_text(encoding="utf-8-sig").replace("nowhere", "n@example.com")

    preview(page, written(tmp_path / "mended.csv", mended))
    start(page)

    expect(page.locator("main")).to_contain_text("1 contact added.")


def test_a_long_import_shows_its_progress_and_then_its_outcome(
    page: Page, own_site: str, crowd: Path
) -> None:
    choose(page, crowd, own_site)
    expect(page.get_by_role("progressbar", name="Reading the file")).to_be_visible()
    expect(heading(page, "Preview of the import")).to_be_visible(timeout=LONG)
    expect(heading(page, "Preview of the import")).to_be_focused()

    start(page)

    expect(page.get_by_role("progressbar", name="Importing")).to_be_visible()
    expect(page.locator("#import-progress")).to_contain_text("of 30,000 contacts")
    expect(heading(page, "Import finished")).to_be_visible(timeout=LONG)
    expect(page.locator("main")).to_contain_text("30,000 contacts added.")


def test_a_long_import_is_cancelled_without_a_trace(page: Page, own_site: str, crowd: Path) -> None:
    choose(page, crowd, own_site)
    expect(heading(page, "Preview of the import")).to_be_visible(timeout=LONG)
    start(page)
    expect(page.get_by_role("progressbar", name="Importing")).to_be_visible()

    page.get_by_role("button", name="Cancel").click()

    expect(heading(page, "Import cancelled")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="Go to the contacts").click()
    expect(count(page)).to_have_text("12")


def test_a_long_import_needs_no_script(new_window: Callable[..., Page], own_site: str, crowd: Path) -> None:
    page = new_window(java_script_enabled=False)
    choose(page, crowd, own_site)
    expect(page.get_by_role("progressbar", name="Reading the file")).to_be_visible()
    expect(heading(page, "Preview of the import")).to_be_visible(timeout=LONG)

    start(page)

    expect(page.get_by_role("progressbar", name="Importing")).to_be_visible()
    expect(heading(page, "Import finished")).to_be_visible(timeout=LONG)


def test_a_file_that_is_too_large_is_not_even_sent(page: Page, tmp_path: Path) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))

    choose(page, written(tmp_path / "large.csv", "x" * 35_000_000))

    expect(page.get_by_role("alert").filter(has_text="larger than 32 MB")).to_be_visible()
    assert "POST" not in requests


def test_without_script_a_file_that_is_too_large_is_refused_with_a_page(plain: Page, tmp_path: Path) -> None:
    choose(plain, written(tmp_path / "large.csv", "x" * 35_000_000))

    expect(plain.get_by_role("alert").filter(has_text="larger than 32 MB")).to_be_visible()


def test_a_refusal_of_the_server_is_shown_where_the_file_was_chosen(page: Page, people: Path) -> None:
    page.goto("/import")
    page.locator("#upload").evaluate("form => { form.dataset.limit = 1e9 }")
    large = people.with_name("large.csv")
    large.write_bytes(b"x" * 35_000_000)
    page.get_by_label("Choose a file, or drop it here").set_input_files(large)

    page.get_by_role("button", name="Show preview").click()

    expect(page.get_by_role("alert").filter(has_text="larger than 32 MB")).to_be_visible()
    expect(page).to_have_url(re.compile("/import$"))
    expect(page.get_by_role("button", name="Show preview")).to_be_enabled()


# ---- every state for everybody


def at_upload(page: Page, folder: Path) -> None:
    page.goto("/import")


def at_preview(page: Page, folder: Path) -> None:
    preview(page, written(folder / "people.csv", MIXED))
    page.get_by_text("What becomes of the 4 columns").click()


def at_nothing_new(page: Page, folder: Path) -> None:
    preview(page, written(folder / "people.csv", page.request.get("/contacts.csv").text()))
    expect(page.get_by_role("heading", name="Nothing new")).to_be_visible()


def at_the_end(page: Page, folder: Path) -> None:
    preview(page, written(folder / "people.csv", MIXED))
    start(page)
    expect(heading(page, "Import finished")).to_be_visible()


def at_a_failure(page: Page, folder: Path) -> None:
    choose(page, written(folder / "people.csv", MIXED + '"half'))
    expect(heading(page, "The file was not imported")).to_be_visible()


def at_a_refusal(page: Page, folder: Path) -> None:
    choose(page, written(folder / "large.csv", "x" * 35_000_000))
    expect(page.get_by_role("alert").filter(has_text="larger than 32 MB")).to_be_visible()


def at_nothing(page: Page, folder: Path) -> None:
    page.goto(f"/import/{'a' * 22}")
    expect(heading(page, "This import is no longer here")).to_be_visible()


STATES = [at_upload, at_preview, at_nothing_new, at_the_end, at_a_failure, at_a_refusal, at_nothing]


@pytest.mark.console_errors  # axe tries inline styles in shadow roots, which the page's policy refuses
@pytest.mark.parametrize("state", STATES)
def test_every_state_of_an_import_is_accessible_and_fits_a_phone(
    new_window: Callable[..., Page], tmp_path: Path, state: Callable[[Page, Path], None]
) -> None:
    page = new_window(color_scheme="light")
    state(page, tmp_path)

    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page)
    for width in (1920, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert_no_sideways_scroll(page)
    assert_accessible(page)


@pytest.mark.console_errors
def test_an_import_under_way_is_accessible(page: Page, own_site: str, crowd: Path) -> None:
    choose(page, crowd, own_site)
    expect(page.get_by_role("progressbar", name="Reading the file")).to_be_visible()

    assert_accessible(page)
