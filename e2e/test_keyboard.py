"""The keys that `?` shows: each does what a press on something does, and none does while a person types."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.steps import bar, box, count, edit, field, names, open_form, row, search, toast


@pytest.fixture
def page(page: Page) -> Page:
    """The list of twelve contacts."""
    page.goto("/contacts")
    return page


def link(page: Page, place: int) -> Locator:
    """The name in a row, counted from the top."""
    return page.locator(".person__name").nth(place)


def keys(page: Page) -> Locator:
    """The dialog that shows the keys."""
    return page.get_by_role("dialog", name="Keyboard shortcuts")


def test_slash_goes_to_the_search_box_and_selects_what_is_in_it(page: Page) -> None:
    page.goto("/contacts?q=hopper")

    page.keyboard.press("/")
    page.keyboard.type("turing")

    expect(search(page)).to_have_value("turing")
    expect(row(page, "Alan Turing")).to_be_visible()


def test_n_opens_the_add_form_on_every_page(page: Page) -> None:
    page.keyboard.press("n")
    expect(field(page, "Name")).to_be_focused()
    expect(field(page, "Name")).to_have_value("")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="New contact")).to_be_focused()

    page.goto("/dashboard")
    page.keyboard.press("n")

    expect(page).to_have_url(re.compile("/contacts/new$"))


def test_j_and_k_and_the_arrows_walk_through_the_rows(page: Page) -> None:
    page.keyboard.press("j")
    expect(link(page, 0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    expect(link(page, 2)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("ArrowUp")
    expect(link(page, 0)).to_be_focused()

    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/contacts/\d+$"))


def is_open(page: Page, name: str) -> None:
    """The page of a contact is there, and so is the script that hears the keys."""
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.wait_for_load_state()


def test_j_and_k_go_to_the_neighbours_of_a_contact_in_its_list(page: Page) -> None:
    page.goto("/contacts?q=a&sort=email")
    order = names(page)
    link(page, 0).click()
    is_open(page, order[0])

    for name in order[1:3]:
        page.keyboard.press("j")
        is_open(page, name)
    page.keyboard.press("k")
    is_open(page, order[1])

    page.get_by_role("link", name="Found contacts").click()
    expect(page).to_have_url(re.compile(r"\?q=a&sort=email$"))


def test_e_edits_and_delete_deletes_the_row_with_the_focus(page: Page) -> None:
    first, second = names(page)[:2]
    page.keyboard.press("j")
    page.keyboard.press("e")
    form = page.get_by_role("form", name=f"Edit {first}")
    expect(field(form, "Name")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name=f"Edit {first}")).to_be_focused()

    page.keyboard.press("Delete")

    expect(count(page)).to_have_text("11")
    expect(page.get_by_role("link", name=f"Edit {second}")).to_be_focused()
    page.keyboard.press("u")
    expect(count(page)).to_have_text("12")
    expect(page.get_by_role("link", name=f"Edit {second}")).to_be_focused()


def test_e_and_delete_work_on_the_page_of_a_contact(page: Page) -> None:
    page.get_by_role("link", name="Grace Hopper", exact=True).click()
    is_open(page, "Grace Hopper")
    page.keyboard.press("e")
    expect(page.get_by_role("form", name="Edit Grace Hopper")).to_be_visible()
    page.go_back()
    is_open(page, "Grace Hopper")

    page.keyboard.press("Delete")

    expect(toast(page)).to_contain_text("Deleted Grace Hopper.")
    page.keyboard.press("u")
    expect(count(page)).to_have_text("12")


def test_no_key_does_anything_while_a_person_types(page: Page) -> None:
    box(page, "Ada Lovelace").check()
    form = edit(page, "Grace Hopper")
    typed = "/njkexu?X"

    for label in ("Name", "Tags", "Notes"):
        field(form, label).fill("")
        field(form, label).press_sequentially(typed)
        field(form, label).press("Delete")
        expect(field(form, label)).to_have_value(typed)
    tag = bar(page).get_by_label("Tag", exact=True)
    tag.press_sequentially(typed)
    tag.press("Delete")

    expect(tag).to_have_value(typed)
    expect(keys(page)).to_be_hidden()
    expect(page.locator("#contact-rows :checked")).to_have_count(1)
    expect(page.locator("#form-section form")).to_have_count(0)
    expect(count(page)).to_have_text("12")


def test_a_box_that_has_the_focus_takes_the_keys_of_its_row(page: Page) -> None:
    box(page, "Grace Hopper").focus()

    page.keyboard.press("x")
    expect(bar(page)).to_contain_text("1 selected")
    page.keyboard.press("Delete")

    expect(count(page)).to_have_text("11")
    expect(row(page, "Grace Hopper")).to_have_count(0)


def test_no_key_does_anything_in_a_dialog_and_escape_only_closes_it(page: Page) -> None:
    box(page, "Ada Lovelace").check()
    page.keyboard.press("?")
    expect(keys(page)).to_be_visible()

    for key in ("n", "j", "x", "u", "Delete", "?"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")

    expect(keys(page)).to_be_hidden()
    expect(box(page, "Ada Lovelace")).to_be_checked()
    expect(box(page, "Ada Lovelace")).to_be_focused()
    expect(count(page)).to_have_text("12")
    expect(page.locator("#form-section form")).to_have_count(0)


def test_the_keys_can_be_switched_off_for_good(page: Page) -> None:
    page.get_by_role("button", name="Keyboard shortcuts").click()
    keys(page).get_by_role("checkbox", name="Use these keys").uncheck()
    keys(page).get_by_role("button", name="Close").click()
    page.keyboard.press("n")
    expect(page.locator("#form-section form")).to_have_count(0)

    page.reload()
    page.keyboard.press("?")
    expect(keys(page)).to_be_hidden()
    expect(page.locator("#form-section form")).to_have_count(0)

    page.get_by_role("button", name="Keyboard shortcuts").click()
    keys(page).get_by_role("checkbox", name="Use these keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(field(page, "Name")).to_be_focused()


def test_keys_with_control_or_alt_belong_to_the_browser(page: Page) -> None:
    for key in ("Control+k", "Alt+n", "Meta+e"):
        page.keyboard.press(key)

    expect(page.locator("form.form")).to_have_count(0)
    expect(page.locator("#contact-rows :focus")).to_have_count(0)


def test_every_key_that_is_shown_is_one_that_works(page: Page) -> None:
    page.keyboard.press("?")

    shown = keys(page).locator("kbd").all_inner_texts()

    assert shown == ["/", "n", "j", "k", "↓", "↑", "Enter", "e", "x", "Shift", "Delete", "u", "Esc", "?"]


def test_escape_in_the_search_box_empties_it_and_keeps_the_selection(page: Page) -> None:
    search(page).fill("hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    box(page, "Grace Hopper").check()
    search(page).focus()

    page.keyboard.press("Escape")

    expect(search(page)).to_have_value("")
    expect(page.locator("#contact-rows tr")).to_have_count(12)
    expect(box(page, "Grace Hopper")).to_be_checked()


def test_the_menu_of_the_keys_is_not_offered_on_a_phone(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/contacts")

    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_be_hidden()
    expect(page.get_by_role("link", name="New contact")).to_be_visible()
    open_form(page)
