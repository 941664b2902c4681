"""One long day: a stranger's export goes in, is searched, cleaned, edited by two, undone, and comes out."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.google_export import Export, google_export
from e2e.steps import count, edit, field, names, row, save, toast

ROWS = 5_000
SAMPLES = 12
LONG = 120_000  # milliseconds that much work may take on a busy computer


@pytest.fixture(scope="module")
def export() -> Export:
    """What the stranger brings."""
    return google_export(ROWS)


@pytest.fixture
def file(export: Export, tmp_path: Path) -> Path:
    path = tmp_path / "Google Contacts.csv"
    path.write_bytes(export.content)
    return path


def number(page: Page, title: str) -> str:
    """The number on a card of the preview."""
    return page.locator(".stat").filter(has=page.get_by_text(title, exact=True)).locator("b").inner_text()


def bring_in(page: Page, file: Path, export: Export) -> None:
    """Choose the file, look at the preview, import it."""
    page.goto("/import")
    page.get_by_label("Choose a file").set_input_files(file)
    page.get_by_role("button", name="Show preview").click()
    expect(page.get_by_role("heading", name="Preview of the import")).to_be_visible(timeout=LONG)
    assert number(page, "New") == f"{export.rows - export.wrong:,}"
    assert number(page, "Wrong") == f"{export.wrong:,}"
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible(timeout=LONG)
    expect(page.get_by_text(f"{export.wrong} rows cannot be imported")).to_be_visible()


def total(export: Export) -> int:
    return SAMPLES + export.rows - export.wrong


def find(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    expect(page).to_have_url(re.compile(r"\?q="))


def bring_out(page: Page) -> list[dict[str, str]]:
    """Export what the list shows and read it."""
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as exported:
        return list(csv.DictReader(exported))


def mended(page: Page) -> bytes:
    """The rows that failed, with what was wrong put right."""
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Download .* as CSV")).click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    right = text.replace("no longer has email", "knuth@example.com").replace("call the office", "555-0109")
    return right.encode()


def test_a_day_with_script(
    new_window: Callable[..., Page], page: Page, file: Path, export: Export, tmp_path: Path
) -> None:
    bring_in(page, file, export)

    # What was wrong is mended and brought in, too; the file itself again changes nothing.
    again = tmp_path / "mended.csv"
    again.write_bytes(mended(page))
    page.goto("/import")
    page.get_by_label("Choose a file").set_input_files(again)
    page.get_by_role("button", name="Show preview").click()
    expect(page.get_by_role("heading", name="Preview of the import")).to_be_visible(timeout=LONG)
    assert (number(page, "New"), number(page, "Wrong")) == ("2", "2")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible(timeout=LONG)
    page.goto("/import")
    page.get_by_label("Choose a file").set_input_files(file)
    page.get_by_role("button", name="Show preview").click()
    expect(page.get_by_text("Nothing new")).to_be_visible(timeout=LONG)

    # It is searched, by what no field holds, too.
    page.goto("/contacts")
    expect(count(page)).to_have_text(f"{total(export) + 2:,}")
    page.get_by_role("searchbox").press_sequentially("curiosity")
    expect(row(page, "Hedy Lamarr")).to_be_visible()
    expect(page.locator("mark").first).to_have_text("curiosity")
    expect(page).to_have_title(re.compile("curiosity"))
    page.get_by_role("searchbox").fill("sparck")
    expect(page.locator("#contact-rows tr")).to_have_count(2)

    # Those that are there twice become one, and one undo splits them again.
    page.goto("/contacts/duplicates")
    card = page.locator("article", has=page.get_by_role("heading", name=re.compile("Karen Spärck Jones")))
    card.get_by_role("button", name=re.compile("^Merge")).click()
    expect(toast(page)).to_contain_text("Merged 2 contacts into Karen Spärck Jones")
    page.goto("/contacts?q=sparck")
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(row(page, "Karen Spärck Jones")).to_contain_text("karen@example.com")
    expect(row(page, "Karen Spärck Jones")).to_contain_text("+44 1223 555 0107")
    page.goto("/activity")
    page.get_by_role("button", name="Undo: Merged 2 contacts into Karen Spärck Jones").click()
    page.goto("/contacts?q=sparck")
    expect(page.locator("#contact-rows tr")).to_have_count(2)

    # Two edit one contact at once: what only one changed is joined, what both changed is asked.
    other = new_window()
    for window in (page, other):
        window.goto("/contacts?q=hedy")
    mine, theirs = edit(page, "Hedy Lamarr"), edit(other, "Hedy Lamarr")
    field(theirs, "Company").fill("Mercury Theatre")
    field(theirs, "Phone").fill("555-0177")
    save(theirs)
    expect(row(other, "Hedy Lamarr")).to_contain_text("Mercury Theatre")
    field(mine, "Phone").fill("555-0188")
    save(mine)
    both = page.get_by_role("form", name="Edit Hedy Lamarr")
    expect(both).to_contain_text("Someone else changed this contact")
    expect(field(both, "Company")).to_have_value("Mercury Theatre")
    both.get_by_role("radio", name="Yours 555-0188").check()
    both.get_by_role("button", name="Save both changes").click()
    expect(row(page, "Hedy Lamarr")).to_contain_text("555-0188")
    expect(row(page, "Hedy Lamarr")).to_contain_text("Mercury Theatre")

    # It comes out again, with nothing that a spreadsheet would run, and all of it is undone.
    page.goto("/contacts")
    out = bring_out(page)
    assert len(out) == total(export) + 2
    assert not [cell for line in out for cell in line.values() if cell.startswith(("=", "@", "\t", "-"))]
    assert any("HYPERLINK" in line["First Name"] for line in out)
    page.goto("/activity")
    page.get_by_role("button", name=f"Undo: Imported {export.rows - export.wrong:,} contacts").click()
    expect(page.get_by_role("heading", name="Undo what is left?")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Undo what can be undone").click()
    expect(page.get_by_text(re.compile("^Removed"))).not_to_have_count(0, timeout=LONG)
    page.goto("/contacts")
    assert "Hedy Lamarr" in names(page)  # edited since, so she stays
    assert int(count(page).inner_text()) < SAMPLES + 10


def test_a_day_without_script(
    new_window: Callable[..., Page], plain: Page, file: Path, export: Export
) -> None:
    bring_in(plain, file, export)

    plain.goto("/contacts")
    expect(count(plain)).to_have_text(f"{total(export):,}")
    find(plain, "sparck")
    expect(plain.locator("#contact-rows tr")).to_have_count(2)

    plain.goto("/contacts/duplicates")
    card = plain.locator("article", has=plain.get_by_role("heading", name=re.compile("Karen Spärck Jones")))
    card.get_by_role("button", name=re.compile("^Merge")).click()
    expect(toast(plain)).to_contain_text("Merged 2 contacts into Karen Spärck Jones")
    toast(plain).get_by_role("button", name="Undo").click()
    plain.goto("/contacts?q=sparck")
    expect(plain.locator("#contact-rows tr")).to_have_count(2)

    other = new_window(java_script_enabled=False)
    for window in (plain, other):
        window.goto("/contacts?q=hedy")
        row(window, "Hedy Lamarr").get_by_role("link", name="Edit Hedy Lamarr").click()
    field(other, "Company").fill("Mercury Theatre")
    field(other, "Phone").fill("555-0177")
    other.get_by_role("button", name="Save").click()
    field(plain, "Phone").fill("555-0188")
    plain.get_by_role("button", name="Save").click()
    expect(field(plain, "Company")).to_have_value("Mercury Theatre")
    plain.get_by_role("radio", name="Theirs 555-0177").check()
    plain.get_by_role("button", name="Save both changes").click()
    expect(row(plain, "Hedy Lamarr")).to_contain_text("555-0177")

    plain.goto("/contacts?tag=Choir")
    singers = bring_out(plain)
    assert len(singers) == len([line for line in singers if "Choir" in line["Labels"]]) > 500
    plain.goto("/activity")
    plain.get_by_role("button", name=f"Undo: Imported {export.rows - export.wrong:,} contacts").click()
    plain.get_by_role("button", name="Undo what can be undone").click()
    plain.goto("/contacts")
    assert "Hedy Lamarr" in names(plain)
