"""Editing a contact in its row."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import (
    count,
    delete,
    edit,
    field,
    ids,
    load_more,
    names,
    open_form,
    row,
    save,
    search,
    status,
    toast,
)

pytestmark = pytest.mark.contract(feature="edit")


def test_a_row_becomes_an_editor_and_the_address_says_so(page: Page) -> None:
    page.goto("/contacts")

    form = edit(page, "Grace Hopper")

    expect(page).to_have_url(re.compile(r"/contacts/\d+/edit$"))
    expect(field(form, "Name")).to_be_focused()
    expect(field(form, "Name")).to_have_value("Grace Hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(12)


def test_saving_shows_the_new_row_in_place_and_the_address_goes_back(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")

    field(form, "Company").fill("COBOL Committee")
    save(form)

    expect(row(page, "Grace Hopper")).to_contain_text("COBOL Committee")
    expect(page).to_have_url(re.compile("/contacts$"))
    expect(toast(page)).to_contain_text("Saved Grace Hopper.")
    expect(status(page)).to_have_text("Saved Grace Hopper. 12 contacts.")
    expect(page.get_by_role("link", name="Edit Grace Hopper")).to_be_focused()


@pytest.mark.contract(feature="history")
def test_reload_and_back_show_whole_pages_while_an_editor_is_open(page: Page) -> None:
    page.goto("/contacts")
    edit(page, "Grace Hopper")

    page.reload()
    expect(page.get_by_role("form", name="Edit Grace Hopper")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(page.locator("#contact-rows tr")).to_have_count(12)

    page.go_back()
    expect(page.get_by_role("form", name="Edit Grace Hopper")).to_have_count(0)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(page.locator("#contact-rows tr")).to_have_count(12)


def test_cancel_and_escape_bring_the_row_back_unchanged(page: Page) -> None:
    page.goto("/contacts")
    for leave in (
        lambda form: form.get_by_role("link", name="Cancel").click(),
        lambda form: field(form, "Name").press("Escape"),
    ):
        form = edit(page, "Grace Hopper")
        field(form, "Name").fill("Someone else")

        leave(form)

        expect(row(page, "Grace Hopper")).to_be_visible()
        expect(page.get_by_role("link", name="Edit Grace Hopper")).to_be_focused()
        expect(page).to_have_url(re.compile("/contacts$"))


def test_wrong_input_stays_in_the_editor_with_its_message(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")

    field(form, "Email").fill("grace@")
    save(form)

    expect(field(form, "Email")).to_have_accessible_error_message(re.compile("valid email"))
    expect(field(form, "Email")).to_have_value("grace@")
    expect(field(form, "Email")).to_be_focused()
    expect(page.locator("#contact-rows tr")).to_have_count(12)


@pytest.mark.contract(feature="undo")
def test_undo_brings_the_old_values_back(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Name").fill("Grace Brewster Hopper")
    save(form)
    expect(row(page, "Grace Brewster Hopper")).to_be_visible()

    toast(page).get_by_role("button", name="Undo").click()

    expect(row(page, "Grace Hopper")).to_be_visible()
    expect(toast(page)).to_contain_text("Undid the changes to Grace Hopper.")


def test_what_is_typed_in_an_editor_survives_a_search_and_the_deletion_of_another_row(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Notes").fill("half a sentence")

    delete(page, "Ada Lovelace")
    expect(count(page)).to_have_text("11")
    page.get_by_role("searchbox").press_sequentially("turing")
    expect(row(page, "Alan Turing")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_focused()

    expect(field(form, "Notes")).to_have_value("half a sentence")
    save(form)
    expect(toast(page)).to_contain_text("Saved Grace Hopper.")


def test_two_editors_can_be_open_and_are_saved_one_by_one(page: Page) -> None:
    page.goto("/contacts")
    first, second = edit(page, "Grace Hopper"), edit(page, "Ada Lovelace")
    field(first, "Company").fill("First")
    field(second, "Company").fill("Second")

    save(second)
    expect(row(page, "Ada Lovelace")).to_contain_text("Second")
    save(first)

    expect(row(page, "Grace Hopper")).to_contain_text("First")


def test_an_edit_keeps_the_search_it_was_made_in(page: Page) -> None:
    page.goto("/contacts?q=hopper")
    form = edit(page, "Grace Hopper")
    expect(page).to_have_url(re.compile(r"/edit\?q=hopper$"))

    field(form, "Company").fill("COBOL Committee")
    save(form)

    expect(page).to_have_url(re.compile(r"/contacts\?q=hopper$"))
    page.reload()
    assert names(page) == ["Grace Hopper"]


@pytest.mark.contract(feature="conflict")
def test_two_windows_that_edit_one_contact_meet_a_conflict_that_shows_both_and_loses_nothing(
    page: Page, new_window: Callable[..., Page]
) -> None:
    other = new_window()
    page.goto("/contacts")
    other.goto("/contacts")
    mine, theirs = edit(page, "Grace Hopper"), edit(other, "Grace Hopper")
    field(theirs, "Company").fill("Theirs")
    field(theirs, "Notes").fill("from the other window")
    save(theirs)
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")

    field(mine, "Company").fill("Mine")
    field(mine, "Phone").fill("+44 20 7946 0999")
    save(mine)

    expect(mine).to_contain_text("Someone else changed this contact")
    company = mine.get_by_role("group", name="Company")
    expect(company.get_by_role("radio", name="Yours Mine")).to_be_checked()
    expect(company.get_by_role("radio", name="Yours Mine")).to_be_focused()
    expect(field(mine, "Notes")).to_have_value("from the other window")
    expect(field(mine, "Phone")).to_have_value("+44 20 7946 0999")
    company.get_by_role("radio", name="Theirs Theirs").check()
    mine.get_by_role("button", name="Save both changes").click()
    expect(row(page, "Grace Hopper")).to_contain_text("Theirs")
    other.reload()
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")
    expect(row(other, "Grace Hopper")).to_contain_text("+44 20 7946 0999")


def test_a_contact_deleted_in_another_window_can_be_saved_as_a_new_one(
    page: Page, new_window: Callable[..., Page]
) -> None:
    other = new_window()
    page.goto("/contacts")
    other.goto("/contacts")
    form = edit(page, "Grace Hopper")
    delete(other, "Grace Hopper")
    expect(count(other)).to_have_text("11")

    field(form, "Notes").fill("not lost")
    save(form)

    expect(form).to_contain_text("Contact not found")
    expect(field(form, "Notes")).to_have_value("not lost")
    form.get_by_role("button", name="Save as a new contact").click()
    expect(row(page, "Grace Hopper")).to_have_count(1)
    expect(count(page)).to_have_text("12")
    expect(page.get_by_role("link", name="New contact")).not_to_be_focused()


def test_an_editor_survives_a_search_that_finds_nothing(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Notes").fill("half a sentence")

    page.get_by_role("searchbox").fill("zzzz")

    expect(page.get_by_role("heading", name="No contacts found")).to_be_visible()
    expect(field(form, "Notes")).to_have_value("half a sentence")
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#contact-rows tr")).to_have_count(12)
    expect(field(form, "Notes")).to_have_value("half a sentence")


def test_closing_the_add_form_leaves_an_open_editor_alone(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Notes").fill("half a sentence")

    open_form(page).get_by_role("link", name="Cancel").click()

    expect(page.locator("#form-section form")).to_have_count(0)
    expect(field(form, "Notes")).to_have_value("half a sentence")


@pytest.mark.contract(feature="conflict")
def test_an_editor_that_is_opened_again_by_forward_meets_the_conflict_it_was_made_for(
    page: Page, new_window: Callable[..., Page]
) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Company").fill("Mine")
    page.go_back()
    expect(form).to_have_count(0)
    other = new_window()
    other.goto("/contacts")
    theirs = edit(other, "Grace Hopper")
    field(theirs, "Company").fill("Theirs")
    save(theirs)
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")

    page.go_forward()
    expect(field(form, "Company")).to_have_value("Mine")
    save(form)

    expect(form.get_by_role("radio", name="Theirs Theirs")).to_be_visible()


def test_the_row_of_an_editor_on_top_does_not_come_twice_with_load_more(page: Page, many: str) -> None:
    page.goto("/contacts")
    load_more(page, 100)
    contact = ids(page)[80].removeprefix("contact-")

    page.goto(f"/contacts/{contact}/edit")
    expect(page.locator("#contact-rows tr.editing")).to_be_visible()
    load_more(page, 100)

    assert len(set(ids(page))) == 100


@pytest.mark.contract(feature="no-script")
def test_a_contact_is_edited_without_javascript(plain: Page) -> None:
    plain.goto("/contacts")
    form = edit(plain, "Grace Hopper")

    field(form, "Company").fill("COBOL Committee")
    save(form)

    expect(row(plain, "Grace Hopper")).to_contain_text("COBOL Committee")
    expect(toast(plain)).to_contain_text("Saved Grace Hopper.")


@pytest.mark.contract(feature="no-script")
def test_wrong_input_and_a_conflict_come_back_on_whole_pages_without_javascript(
    plain: Page, new_window: Callable[..., Page]
) -> None:
    plain.goto("/contacts")
    form = edit(plain, "Grace Hopper")
    other = new_window()
    other.goto("/contacts")
    theirs = edit(other, "Grace Hopper")
    field(theirs, "Company").fill("Theirs")
    save(theirs)
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")

    field(form, "Email").fill("grace@")
    save(form)
    expect(field(form, "Email")).to_have_accessible_error_message(re.compile("valid email"))
    expect(plain.get_by_role("navigation", name="Main")).to_be_visible()
    field(form, "Email").fill("grace@example.com")
    save(form)

    expect(form).to_contain_text("both changes are joined below")
    expect(field(form, "Company")).to_have_value("Theirs")
    expect(field(form, "Email")).to_have_value("grace@example.com")
    expect(plain.get_by_role("navigation", name="Main")).to_be_visible()
    form.get_by_role("button", name="Save both changes").click()
    expect(row(plain, "Grace Hopper")).to_contain_text("grace@example.com")
    expect(row(plain, "Grace Hopper")).to_contain_text("Theirs")


def test_an_open_add_form_survives_work_on_the_list(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")

    delete(page, "Ada Lovelace")
    expect(count(page)).to_have_text("11")

    expect(field(form, "Name")).to_have_value("Barbara Castle")


@pytest.mark.contract(feature="conflict")
def test_keep_theirs_gives_up_what_was_typed_and_can_be_taken_back(
    page: Page, new_window: Callable[..., Page]
) -> None:
    other = new_window()
    page.goto("/contacts")
    other.goto("/contacts")
    mine, theirs = edit(page, "Grace Hopper"), edit(other, "Grace Hopper")
    field(theirs, "Company").fill("Theirs")
    save(theirs)
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")
    field(mine, "Company").fill("Mine")
    save(mine)

    mine.get_by_role("link", name="Keep theirs").click()

    expect(row(page, "Grace Hopper")).to_contain_text("Theirs")
    expect(toast(page)).to_contain_text("Discarded what you typed.")


def test_cancel_after_a_search_stays_at_the_search(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    search(page).fill("hopper")
    expect(page).to_have_url(re.compile(r"/contacts\?q=hopper$"))

    form.get_by_role("link", name="Cancel").click()

    expect(form).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/contacts\?q=hopper$"))
    assert names(page) == ["Grace Hopper"]


@pytest.mark.contract(feature="conflict")
def test_a_clash_is_decided_without_javascript(plain: Page, new_window: Callable[..., Page]) -> None:
    plain.goto("/contacts")
    form = edit(plain, "Grace Hopper")
    other = new_window()
    other.goto("/contacts")
    theirs = edit(other, "Grace Hopper")
    field(theirs, "Company").fill("Theirs")
    save(theirs)
    expect(row(other, "Grace Hopper")).to_contain_text("Theirs")
    field(form, "Company").fill("Mine")
    field(form, "Notes").fill("not lost")
    save(form)

    expect(form.get_by_role("radio", name="Yours Mine")).to_be_checked()
    form.get_by_role("radio", name="Theirs Theirs").check()
    form.get_by_role("button", name="Save both changes").click()

    expect(row(plain, "Grace Hopper")).to_contain_text("Theirs")
    plain.get_by_role("link", name="Grace Hopper", exact=True).click()
    expect(plain.get_by_text("not lost").first).to_be_visible()


@pytest.mark.contract(feature="show")
def test_the_page_of_a_contact_shows_what_was_changed_and_leads_to_its_neighbours(page: Page) -> None:
    page.goto("/contacts?sort=email")
    order = names(page)
    form = edit(page, order[1])
    field(form, "Company").fill("COBOL Committee")
    save(form)
    expect(row(page, order[1])).to_contain_text("COBOL Committee")

    page.get_by_role("link", name=order[1], exact=True).click()

    history = page.get_by_role("region", name="History").get_by_role("listitem")
    expect(history.first).to_contain_text("Changed")
    expect(history.first.locator("ins")).to_have_text("COBOL Committee")
    expect(history.last).to_contain_text("Added as a sample")
    page.get_by_role("link", name=re.compile(f"Next ?: {re.escape(order[2])}")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(order[2])
    page.get_by_role("link", name=re.compile(f"Previous ?: {re.escape(order[1])}")).click()
    page.get_by_role("link", name=re.compile(f"Previous ?: {re.escape(order[0])}")).click()
    expect(page.get_by_role("link", name="Previous")).to_have_count(0)
