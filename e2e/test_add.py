"""Adding a contact."""

import re

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from e2e.steps import add, count, field, names, open_form, row, status, toast

pytestmark = pytest.mark.contract(feature="add")


def test_a_new_contact_appears_in_its_place_and_the_badge_counts_it(page: Page) -> None:
    page.goto("/contacts")

    add(page, "Barbara Castle", "barbara@example.com")

    expect(count(page)).to_have_text("13")
    expect(row(page, "Barbara Castle")).to_be_visible()
    assert names(page) == sorted(names(page), key=str.casefold)
    expect(toast(page)).to_contain_text("Added Barbara Castle.")
    expect(status(page)).to_have_text("Added Barbara Castle. 13 contacts.")
    expect(page).to_have_url(re.compile("/contacts$"))
    expect(page.locator("#form-section form")).to_have_count(0)
    expect(page.get_by_role("link", name="New contact")).to_be_focused()


def test_the_add_form_has_an_address_that_shows_it_again(page: Page) -> None:
    page.goto("/contacts")

    form = open_form(page)

    expect(page).to_have_url(re.compile("/contacts/new$"))
    expect(field(form, "Name")).to_be_focused()
    page.reload()
    expect(page.locator("#form-section form")).to_be_visible()
    expect(page.get_by_role("heading", name="Contacts", exact=False).first).to_be_visible()
    page.go_back()
    expect(page.locator("#form-section form")).to_have_count(0)


def test_wrong_input_shows_its_messages_in_the_form_and_keeps_what_was_typed(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Email").fill("not-an-email")
    field(form, "Notes").fill("met in Bath")

    form.get_by_role("button", name="Save contact").click()

    expect(field(form, "Name")).to_have_accessible_error_message(re.compile("This field is required"))
    expect(field(form, "Email")).to_have_accessible_error_message(re.compile("valid email"))
    expect(field(form, "Name")).to_be_focused()
    expect(field(form, "Email")).to_have_value("not-an-email")
    expect(field(form, "Notes")).to_have_value("met in Bath")
    expect(count(page)).to_have_text("12")


def test_the_form_can_be_wrong_twice_and_then_right(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Email").fill("ada")
    save = form.get_by_role("button", name="Save contact")

    save.click()
    expect(field(form, "Name")).to_have_attribute("aria-invalid", "true")
    field(form, "Name").fill("Barbara Castle")
    save.click()
    expect(field(form, "Name")).not_to_have_attribute("aria-invalid", "true")
    expect(field(form, "Email")).to_be_focused()
    field(form, "Email").fill("barbara@example.com")
    save.click()

    expect(row(page, "Barbara Castle")).to_be_visible()
    expect(page.get_by_text("valid email")).to_have_count(0)


def test_an_email_that_is_taken_is_named_in_the_form(page: Page) -> None:
    page.goto("/contacts")
    add(page, "Barbara Castle", "barbara@example.com")
    expect(count(page)).to_have_text("13")

    add(page, "Another Barbara", "BARBARA@example.com")

    form = page.locator("#form-section form")
    expect(field(form, "Email")).to_have_accessible_error_message(re.compile("Barbara Castle"))
    expect(field(form, "Name")).to_have_value("Another Barbara")
    expect(count(page)).to_have_text("13")


@pytest.mark.contract(feature="undo")
def test_undo_takes_an_added_contact_back(page: Page) -> None:
    page.goto("/contacts")
    add(page, "Barbara Castle", "barbara@example.com")
    expect(count(page)).to_have_text("13")

    toast(page).get_by_role("button", name="Undo").click()

    expect(count(page)).to_have_text("12")
    expect(row(page, "Barbara Castle")).to_have_count(0)
    expect(toast(page).get_by_role("button", name="Undo")).to_be_focused()


def test_new_contact_pressed_again_keeps_what_was_typed(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")

    page.get_by_role("link", name="New contact").click()

    expect(field(form, "Name")).to_be_focused()
    expect(field(form, "Name")).to_have_value("Barbara Castle")


def test_a_double_click_on_save_adds_one_contact(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    field(form, "Phone").fill("+44 20 7946 0999")

    form.get_by_role("button", name="Save contact").dblclick()

    expect(count(page)).to_have_text("13")
    page.reload()
    expect(count(page)).to_have_text("13")


def test_escape_closes_the_form(page: Page) -> None:
    page.goto("/contacts")
    field(open_form(page), "Name").fill("Barb")

    page.keyboard.press("Escape")

    expect(page.locator("#form-section form")).to_have_count(0)
    expect(page).to_have_url(re.compile("/contacts$"))


def test_what_cancel_discards_comes_back_with_undo(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    form.get_by_role("link", name="Cancel").click()
    expect(form).to_have_count(0)
    expect(page.get_by_role("link", name="New contact")).to_be_focused()

    toast(page).get_by_role("button", name="Undo").click()

    expect(field(form, "Name")).to_have_value("Barbara Castle")


def test_escape_ends_the_composition_of_a_word_and_not_the_form(page: Page) -> None:
    page.goto("/contacts")
    name = field(open_form(page), "Name")
    name.fill("ひょうし")

    name.evaluate(
        """field => field.dispatchEvent(
            new KeyboardEvent("keydown", {key: "Escape", isComposing: true, bubbles: true}))"""
    )

    expect(name).to_have_value("ひょうし")


@pytest.mark.contract(feature="history")
def test_what_is_typed_survives_back_and_forward(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").press_sequentially("Barbara")

    page.go_back()
    expect(form).to_have_count(0)
    expect(toast(page)).to_contain_text("What you typed is kept")
    page.go_forward()

    expect(field(form, "Name")).to_have_value("Barbara")
    page.go_back()
    expect(form).to_have_count(0)
    open_form(page)
    expect(field(form, "Name")).to_have_value("Barbara")


def test_the_fields_wait_while_the_form_is_on_its_way(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    held: list[Route] = []
    page.route("**/contacts", lambda route: held.append(route))
    with page.expect_request("**/contacts"):
        form.get_by_role("button", name="Save contact").click()

    expect(field(form, "Notes")).not_to_be_editable()
    held[0].continue_()

    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")
    expect(field(form, "Notes")).to_be_editable()


def test_leaving_the_page_with_unsaved_typing_asks_first(page: Page) -> None:
    page.goto("/contacts")
    field(open_form(page), "Name").press_sequentially("Barb")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.get_by_role("link", name="Dashboard").click(no_wait_after=True)

    expect(field(page, "Name")).to_have_value("Barb")
    assert asked == ["beforeunload"]


@pytest.mark.contract(feature="no-script")
def test_a_contact_is_added_without_javascript_and_the_message_shows_once(plain: Page) -> None:
    plain.goto("/contacts")

    add(plain, "Barbara Castle", "barbara@example.com")

    expect(count(plain)).to_have_text("13")
    expect(row(plain, "Barbara Castle")).to_be_visible()
    expect(toast(plain)).to_contain_text("Added Barbara Castle.")
    plain.reload()
    expect(row(plain, "Barbara Castle")).to_be_visible()
    expect(toast(plain)).to_have_count(0)


@pytest.mark.contract(feature="no-script")
def test_undo_works_without_javascript(plain: Page) -> None:
    plain.goto("/contacts")
    add(plain, "Barbara Castle", "barbara@example.com")

    toast(plain).get_by_role("button", name="Undo").click()

    expect(count(plain)).to_have_text("12")
    expect(toast(plain)).to_contain_text("Removed Barbara Castle.")


@pytest.mark.contract(feature="no-script")
def test_a_message_is_not_shown_again_by_the_back_button(plain: Page) -> None:
    plain.goto("/contacts")
    add(plain, "Barbara Castle", "barbara@example.com")
    toast(plain).get_by_role("button", name="Undo").click()
    expect(toast(plain)).to_contain_text("Removed Barbara Castle.")

    plain.go_back()

    expect(toast(plain)).to_have_count(0)


@pytest.mark.contract(feature="no-script")
def test_wrong_input_without_javascript_comes_back_on_a_whole_page(plain: Page) -> None:
    plain.goto("/contacts/new")
    form = plain.locator("#form-section form")
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("nobody")
    field(form, "Tags").fill("Friends, Bath")

    form.get_by_role("button", name="Save contact").click()

    expect(plain.get_by_role("navigation", name="Main")).to_be_visible()
    expect(plain).to_have_title(re.compile("^Error: "))
    expect(field(form, "Email")).to_have_accessible_error_message(re.compile("valid email"))
    expect(field(form, "Name")).to_have_value("Barbara Castle")
    expect(field(form, "Tags")).to_have_value("Friends, Bath")


@pytest.mark.parametrize(
    "name", ["Ἀριστοτέλης", "חנה סנש", "李清照", "👩🏽‍💻 Dev", 'O\'Brien <b>&amp;</b> "x"']
)
def test_names_of_any_script_are_shown_as_they_were_typed(page: Page, name: str) -> None:
    page.goto("/contacts")

    add(page, name, phone="+44 20 7946 0999")

    expect(row(page, name)).to_be_visible()
    expect(toast(page)).to_contain_text(f"Added {name}.")
