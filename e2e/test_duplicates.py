"""Likely duplicates, merged and split again."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.steps import assert_accessible, assert_no_sideways_scroll, count, row, toast

LONG = "Hedwig Eva Maria Kiesler, known as Hedy Lamarr, of the Frequency Hopping Company in Vienna"


def add_twice(page: Page, name: str, other: str, *, email: str = "twice@example.com") -> None:
    """Add one person twice, with two emails and one phone."""
    for number, spelling in enumerate((name, other)):
        fields: dict[str, str | float | bool] = {
            "name": spelling,
            "email": f"{number}{email}",
            "phone": "202-555-0177",
        }
        assert page.request.post("/contacts", form=fields).ok


def group(page: Page, name: str) -> Locator:
    """The group of duplicates with this name."""
    return page.get_by_role("article", name=name)


def test_a_duplicate_is_merged_with_one_click_and_one_undo_splits_it_again(page: Page) -> None:
    add_twice(page, "Mary Somerville", "Somerville, Mary")
    page.goto("/contacts")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Duplicates").click()
    expect(group(page, "Mary Somerville")).to_contain_text("Same phone")

    group(page, "Mary Somerville").get_by_role("button", name="Merge contacts").click()

    expect(page.get_by_role("heading", name="No likely duplicates")).to_be_visible()
    expect(toast(page)).to_contain_text("Merged 2 contacts into Mary Somerville.")
    assert "done=" not in page.url
    toast(page).get_by_role("button", name="Undo").click()
    expect(count(page)).to_have_text("14")
    page.goto("/contacts/duplicates")
    expect(group(page, "Mary Somerville")).to_be_visible()


def test_a_person_chooses_what_the_merged_contact_holds(page: Page) -> None:
    add_twice(page, "Mary Somerville", "Mary F. Somerville")
    page.goto("/contacts/duplicates")

    group(page, "Mary Somerville").get_by_role("button", name="Choose fields").click()
    page.get_by_role("group", name="Name").get_by_label("Mary F. Somerville").check()
    page.get_by_role("group", name="Email").get_by_label("1twice@example.com").check()
    page.get_by_role("textbox", name="Notes").fill("Orbits.")
    page.get_by_role("button", name="Merge").click()

    expect(toast(page)).to_contain_text("Merged 2 contacts into Mary F. Somerville.")
    page.goto("/contacts?q=somerville")
    page.get_by_role("link", name="Mary F. Somerville", exact=True).click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("1twice@example.com")
    expect(main).to_contain_text("Orbits.")
    expect(main).to_contain_text("Name: Mary Somerville")
    expect(main).to_contain_text("Email: 0twice@example.com")


def test_merging_and_undoing_work_without_javascript(plain: Page) -> None:
    add_twice(plain, "Mary Somerville", "Mary Somerville")
    plain.goto("/contacts/duplicates")

    group(plain, "Mary Somerville").get_by_role("button", name="Choose fields").click()
    plain.get_by_role("group", name="Email").get_by_label("1twice@example.com").check()
    plain.get_by_role("button", name="Merge").click()

    expect(plain.get_by_role("heading", name="No likely duplicates")).to_be_visible()
    expect(toast(plain)).to_contain_text("Merged 2 contacts into Mary Somerville.")
    toast(plain).get_by_role("button", name="Undo").click()
    expect(count(plain)).to_have_text("14")
    expect(row(plain, "Mary Somerville")).to_have_count(2)


def test_a_duplicate_is_merged_by_keyboard_alone(page: Page) -> None:
    add_twice(page, "Mary Somerville", "Mary F. Somerville")
    page.goto("/contacts/duplicates")
    group(page, "Mary Somerville").get_by_role("button", name="Choose fields").focus()

    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Merge 2 contacts")).to_be_visible()
    page.get_by_role("group", name="Name").get_by_label("Mary Somerville").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(toast(page)).to_contain_text("Merged 2 contacts into Mary F. Somerville.")


def duplicates_page(page: Page) -> None:
    add_twice(page, LONG, LONG, email=f"{'very' * 12}@{'long' * 14}.example.com")
    page.goto("/contacts/duplicates")
    expect(page.get_by_role("article")).to_have_count(1)


def no_duplicates(page: Page) -> None:
    page.goto("/contacts/duplicates")
    expect(page.get_by_role("heading", name="No likely duplicates")).to_be_visible()


def merge_form(page: Page) -> None:
    duplicates_page(page)
    page.get_by_role("button", name="Choose fields").click()
    expect(page.get_by_role("heading", name="Merge 2 contacts")).to_be_visible()


def wrong_merge_form(page: Page) -> None:
    merge_form(page)
    page.get_by_role("textbox", name="Notes").fill("x" * 5_001)
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("textbox", name="Notes")).to_have_attribute("aria-invalid", "true")


STATES = [duplicates_page, no_duplicates, merge_form, wrong_merge_form]


@pytest.mark.parametrize("state", STATES)
def test_everybody_can_use_it(new_window: Callable[..., Page], state: Callable[[Page], None]) -> None:
    page = new_window(color_scheme="light")
    state(page)

    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page)


@pytest.mark.parametrize("state", STATES)
def test_it_fits_every_window(new_window: Callable[..., Page], state: Callable[[Page], None]) -> None:
    page = new_window()
    state(page)

    for width in (1920, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert_no_sideways_scroll(page)


def test_every_control_is_large_enough_to_touch(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    merge_form(page)

    small = page.locator("main :is(button, .button, label:has(input))").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
    )

    assert small == []
