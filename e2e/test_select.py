"""Selecting contacts, and doing something with all of them at once."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import alert, bar, box, chip, count, edges, names, row, search, status, toast

THREE = ("Ada Lovelace", "Alan Turing", "Grace Hopper")


def everything(page: Page) -> None:
    """Select all rows that are shown."""
    page.get_by_role("checkbox", name="Select all that are shown").check()


@pytest.mark.contract(feature="bulk")
def test_the_bar_comes_with_the_first_box_counts_and_goes_with_the_last(page: Page) -> None:
    page.goto("/contacts")
    expect(bar(page)).to_be_hidden()

    for name in THREE:
        box(page, name).check()

    expect(bar(page)).to_contain_text("3 selected")
    expect(status(page)).to_have_text("3 selected.")
    every = page.get_by_role("checkbox", name="Select all that are shown")
    assert every.evaluate("box => box.indeterminate") is True
    for name in THREE:
        box(page, name).uncheck()
    expect(bar(page)).to_be_hidden()
    expect(status(page)).to_have_text("Nothing selected.")
    assert every.evaluate("box => box.indeterminate") is False


@pytest.mark.contract(feature="bulk")
def test_shift_selects_all_rows_between_two_and_clears_them_again(page: Page) -> None:
    page.goto("/contacts")
    boxes = page.locator("#contact-rows .pick input")

    boxes.nth(5).click()
    boxes.nth(2).click(modifiers=["Shift"])

    expect(bar(page)).to_contain_text("4 selected")
    boxes.nth(4).click(modifiers=["Shift"])
    expect(bar(page)).to_contain_text("1 selected")


@pytest.mark.contract(feature="bulk")
def test_x_selects_by_keyboard_and_with_shift_up_to_there(page: Page) -> None:
    page.goto("/contacts")

    for key in ("j", "j", "x", "j", "j", "Shift+X"):
        page.keyboard.press(key)

    expect(bar(page)).to_contain_text("3 selected")
    expect(page.locator(".person__name").nth(3)).to_be_focused()
    page.keyboard.press("Escape")
    expect(bar(page)).to_be_hidden()
    expect(page.locator(".person__name").nth(3)).to_be_focused()


@pytest.mark.contract(feature="bulk")
def test_clear_gives_the_selection_up_and_the_focus_to_the_list(page: Page) -> None:
    page.goto("/contacts")
    everything(page)

    bar(page).get_by_role("button", name="Clear").click()

    expect(bar(page)).to_be_hidden()
    expect(page.get_by_role("heading", name="Contacts")).to_be_focused()
    expect(page.locator("#contact-rows :checked")).to_have_count(0)


@pytest.mark.contract(feature="bulk")
def test_all_that_match_are_offered_only_when_there_are_more_than_are_shown(page: Page, many: str) -> None:
    page.goto("/contacts")
    every = bar(page).get_by_label("that match")
    everything(page)
    expect(every).to_be_visible()
    expect(bar(page)).to_contain_text("All 120 that match")

    every.check()
    expect(bar(page)).to_contain_text("All 120 selected")
    page.locator("#contact-rows .pick input").first.uncheck()

    expect(every).to_be_hidden()
    expect(bar(page)).to_contain_text("49 selected")
    search(page).fill("hopper")
    expect(row(page, "Grace Hopper")).to_be_visible()
    everything(page)
    expect(every).to_be_hidden()


@pytest.mark.contract(feature="bulk")
def test_all_that_match_means_those_that_are_looked_at_now(page: Page, many: str) -> None:
    page.goto("/contacts")
    everything(page)
    bar(page).get_by_label("that match").check()

    chip(page, "Football").click()

    expect(page).to_have_title("Football · Contacts")
    expect(page.get_by_label("that match")).not_to_be_checked()
    expect(bar(page)).not_to_contain_text("All 120 selected")
    expect(bar(page)).to_contain_text(re.compile(r"\d+ selected"))


@pytest.mark.contract(feature="bulk")
def test_rows_that_load_later_belong_to_all_that_match(page: Page, many: str) -> None:
    page.goto("/contacts")
    everything(page)
    bar(page).get_by_label("that match").check()

    page.locator("#contact-rows tr").nth(49).scroll_into_view_if_needed()

    expect(page.locator("#contact-rows .pick input:checked")).to_have_count(100)
    expect(bar(page)).to_contain_text("All 120 selected")


@pytest.mark.contract(feature="bulk")
def test_a_selection_survives_a_new_table_as_far_as_its_rows_do(page: Page) -> None:
    page.goto("/contacts")
    for name in THREE:
        box(page, name).check()

    search(page).fill("hopper")

    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(box(page, "Grace Hopper")).to_be_checked()
    expect(bar(page)).to_contain_text("1 selected")


@pytest.mark.contract(feature="bulk")
def test_the_selected_are_deleted_by_one_key_and_come_back_with_one_undo(page: Page) -> None:
    page.goto("/contacts")
    before = names(page)
    for name in THREE:
        box(page, name).check()
    page.get_by_role("link", name="Grace Hopper", exact=True).focus()

    page.keyboard.press("Delete")

    expect(count(page)).to_have_text("9")
    expect(toast(page)).to_contain_text("Deleted 3 contacts.")
    expect(status(page)).to_have_text("Deleted 3 contacts. 9 contacts.")
    expect(bar(page)).to_be_hidden()
    expect(page.locator(".person__name").first).to_be_focused()
    page.keyboard.press("u")
    expect(count(page)).to_have_text("12")
    assert names(page) == before


@pytest.mark.contract(feature="bulk")
def test_all_120_are_deleted_at_once_and_come_back(page: Page, many: str) -> None:
    page.goto("/contacts")
    everything(page)
    bar(page).get_by_label("that match").check()

    bar(page).get_by_role("button", name="Delete").press("Enter")

    expect(count(page)).to_have_text("0")
    expect(page.get_by_role("heading", name="Contacts", exact=False).first).to_be_focused()
    toast(page).get_by_role("button", name="Undo").click()
    expect(count(page)).to_have_text("120")


@pytest.mark.contract(feature="bulk")
def test_enter_in_the_tag_field_adds_the_tag_and_deletes_nothing(page: Page) -> None:
    page.goto("/contacts")
    for name in THREE:
        box(page, name).check()

    bar(page).get_by_label("Tag", exact=True).fill("Pioneers")
    page.keyboard.press("Enter")

    expect(toast(page)).to_contain_text("Changed the tags of 3 contacts.")
    expect(count(page)).to_have_text("12")
    for name in THREE:
        expect(row(page, name)).to_contain_text("Pioneers")
        expect(box(page, name)).to_be_checked()
    expect(chip(page, "Pioneers")).to_be_visible()
    expect(bar(page).get_by_label("Tag", exact=True)).to_be_focused()
    bar(page).get_by_role("button", name="Remove tag").click()
    expect(chip(page, "Pioneers")).to_have_count(0)
    toast(page).get_by_role("button", name="Undo").click()
    expect(row(page, "Ada Lovelace")).to_contain_text("Pioneers")


@pytest.mark.contract(feature="bulk")
@pytest.mark.console_errors
def test_a_tag_without_a_name_is_asked_for(page: Page) -> None:
    page.goto("/contacts")
    box(page, "Ada Lovelace").check()

    bar(page).get_by_role("button", name="Add tag").click()

    expect(alert(page)).to_contain_text("Write the tag first.")
    expect(box(page, "Ada Lovelace")).to_be_checked()


def test_an_export_asks_for_the_selected_contacts_of_the_list_that_is_shown(page: Page, many: str) -> None:
    page.goto("/contacts")
    chip(page, "Football").click()
    expect(page).to_have_title("Football · Contacts")
    everything(page)
    chosen = page.locator("#contact-rows :checked").count()

    bar(page).get_by_text("Export").click()
    with page.expect_request("**/contacts/export*") as asked:
        bar(page).get_by_role("button", name="vCard").click()

    assert asked.value.method == "POST"
    assert asked.value.url.endswith("/contacts/export?tag=Football")
    sent = parse_qs(asked.value.post_data or "")
    assert sent["format"] == ["vcf"]
    assert len(sent["id"]) == chosen
    expect(bar(page).get_by_role("button", name="vCard")).to_be_hidden()


def test_escape_closes_the_menu_before_it_clears_the_selection(page: Page) -> None:
    page.goto("/contacts")
    box(page, "Ada Lovelace").check()
    bar(page).get_by_text("Export").click()
    bar(page).get_by_role("button", name="vCard").focus()

    page.keyboard.press("Escape")

    expect(bar(page).get_by_role("button", name="vCard")).to_be_hidden()
    expect(bar(page).locator("summary")).to_be_focused()
    expect(box(page, "Ada Lovelace")).to_be_checked()


@pytest.mark.contract(feature="bulk")
def test_the_same_form_works_without_javascript(plain: Page) -> None:
    plain.goto("/contacts")
    for name in THREE:
        box(plain, name).check()
    bar(plain).get_by_label("Tag", exact=True).fill("Pioneers")
    bar(plain).get_by_label("Tag", exact=True).press("Enter")
    expect(toast(plain)).to_contain_text("Changed the tags of 3 contacts.")
    expect(row(plain, "Grace Hopper")).to_contain_text("Pioneers")

    chip(plain, "Pioneers").click()
    bar(plain).get_by_label("that match").check()
    box(plain, "Ada Lovelace").check()
    bar(plain).get_by_role("button", name="Delete").click()

    expect(plain).to_have_url(re.compile(r"tag=Pioneers"))
    expect(count(plain)).to_have_text("9")
    toast(plain).get_by_role("button", name="Undo").click()
    expect(count(plain)).to_have_text("12")


def test_on_a_phone_nothing_hides_behind_the_bar(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/contacts?q=hopper")
    box(page, "Grace Hopper").tap()
    for button in ("Clear", "Add tag", "Remove tag", "Delete"):
        target = bar(page).get_by_role("button", name=button)
        expect(target).to_be_in_viewport(ratio=1)
        top, bottom = edges(target)
        assert bottom - top >= 40
    bar(page).get_by_label("Tag", exact=True).fill("Pioneers")
    bar(page).get_by_role("button", name="Add tag").tap()
    expect(toast(page)).to_be_in_viewport(ratio=1)

    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")

    top_of_bar, _ = edges(bar(page))
    for above in (toast(page), page.locator(".foot")):
        _, end = edges(above)
        assert end <= top_of_bar
    toast(page).get_by_role("button", name="Undo").tap()
    expect(toast(page)).to_contain_text("Undid")
