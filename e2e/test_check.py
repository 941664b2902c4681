"""A field says what is wrong with it as soon as it is left."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from e2e.steps import alert, count, edit, field, hold, open_form, row, save, search, toast

pytestmark = pytest.mark.contract(feature="check")
CHECK = "**/contacts/check"


@pytest.fixture
def form(page: Page) -> Locator:
    """The open add form."""
    page.goto("/contacts")
    return open_form(page)


def email_of(page: Page, name: str) -> str:
    """The email address of a contact in the list."""
    return row(page, name).locator(".person__email").inner_text()


def test_a_wrong_value_is_told_when_the_field_is_left_and_no_longer_when_it_is_mended(form: Locator) -> None:
    field(form, "Email").fill("nobody")
    field(form, "Email").press("Tab")

    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")
    expect(field(form, "Email")).to_have_accessible_description(re.compile("valid email"))
    expect(field(form, "Phone")).to_be_focused()
    expect(field(form, "Name")).not_to_have_attribute("aria-invalid", "true")
    field(form, "Email").fill("nobody@example.com")
    field(form, "Email").press("Tab")
    expect(field(form, "Email")).not_to_have_attribute("aria-invalid", "true")
    expect(form.get_by_text("valid email")).to_have_count(0)


def test_an_email_that_is_taken_leads_to_the_contact_that_has_it_in_a_new_window(
    form: Locator, page: Page
) -> None:
    field(form, "Name").fill("Another Grace")
    field(form, "Email").fill(email_of(page, "Grace Hopper").upper())
    field(form, "Email").press("Tab")

    expect(field(form, "Email")).to_have_accessible_description(re.compile("Grace Hopper"))
    with page.context.expect_page() as opened:
        form.get_by_role("link", name="Open Grace Hopper").click()
    expect(opened.value.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    expect(field(form, "Name")).to_have_value("Another Grace")


def test_an_editor_does_not_take_its_own_email_for_taken(page: Page) -> None:
    page.goto("/contacts")
    own = email_of(page, "Grace Hopper")
    form = edit(page, "Grace Hopper")

    field(form, "Email").fill(own.upper())
    with page.expect_response(CHECK):
        field(form, "Email").press("Tab")

    expect(field(form, "Phone")).to_be_focused()
    expect(field(form, "Email")).to_have_accessible_description("")
    expect(field(form, "Email")).not_to_have_attribute("aria-invalid", "true")


def test_a_phone_number_settles_the_message_of_the_email(form: Locator) -> None:
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("x")
    field(form, "Email").fill("")
    form.get_by_role("button", name="Save contact").click()
    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")

    field(form, "Phone").fill("+44 20 7946 0999")
    field(form, "Phone").press("Tab")

    expect(field(form, "Email")).not_to_have_attribute("aria-invalid", "true")


def test_two_fields_left_quickly_are_both_checked(form: Locator, page: Page) -> None:
    held = hold(page, CHECK, "POST")
    field(form, "Email").fill("nobody")
    with page.expect_request(CHECK):
        field(form, "Email").press("Tab")

    field(form, "Phone").fill("call me")
    field(form, "Phone").press("Tab")
    expect(field(form, "Phone")).to_have_attribute("aria-invalid", "true")
    held[0].continue_()

    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def test_save_works_with_one_click_right_after_a_wrong_value(form: Locator, page: Page) -> None:
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").press_sequentially("nobody")

    with page.expect_response(lambda answer: answer.status == 422):
        form.get_by_role("button", name="Save contact").click()

    expect(field(form, "Email")).to_be_focused()
    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def test_a_message_that_comes_while_the_mouse_is_down_on_save_does_not_cost_the_click(
    form: Locator, page: Page
) -> None:
    field(form, "Name").fill("Barbara Castle")
    field(form, "Phone").fill("+44 20 7946 0999")
    # The check of the phone has a message for the email, too, which moves the button: it comes first.
    with page.expect_response(lambda answer: answer.request.headers.get("hx-trigger-name") == "phone"):
        field(form, "Email").focus()
    field(form, "Email").press_sequentially("nobody")
    button = form.get_by_role("button", name="Save contact")
    button.hover()
    before = button.bounding_box()
    with page.expect_response(CHECK):
        page.mouse.down()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert button.bounding_box() == before

    with page.expect_response(lambda answer: answer.status == 422):
        page.mouse.up()

    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def test_a_message_that_waited_for_the_mouse_comes_afterwards(form: Locator, page: Page) -> None:
    field(form, "Email").press_sequentially("nobody")
    page.get_by_role("heading", name="New contact").hover()
    with page.expect_response(CHECK):
        page.mouse.down()

    page.mouse.up()

    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def test_saving_does_not_wait_for_a_check(form: Locator, page: Page) -> None:
    held = hold(page, CHECK, "POST")
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("barbara@example.com")
    with page.expect_request(CHECK):
        field(form, "Email").press("Tab")

    form.get_by_role("button", name="Save contact").click()

    expect(row(page, "Barbara Castle")).to_be_visible()
    assert len(held) == 1


@pytest.mark.console_errors
@pytest.mark.parametrize("failure", ["explained", "500", "refused"])
def test_a_check_that_fails_is_silent_and_disturbs_nothing(form: Locator, page: Page, failure: str) -> None:
    told = {"HX-Trigger": '{"problem": {"target": "body", "message": "The database is busy."}}'}

    def fail(route: Route) -> None:
        if failure == "refused":
            route.abort("connectionrefused")
        else:
            route.fulfill(status=500, headers=told if failure == "explained" else {})

    page.route(CHECK, fail)
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("barbara@example.com")
    failed = "requestfailed" if failure == "refused" else "response"
    with page.expect_event(failed, lambda it: it.url.endswith("/contacts/check")):
        field(form, "Email").press("Tab")

    search(page).fill("hopper")
    expect(row(page, "Grace Hopper")).to_be_visible()

    expect(alert(page)).to_be_empty()
    expect(toast(page)).to_have_count(0)
    expect(form.get_by_role("alert")).to_have_count(0)
    form.get_by_role("button", name="Save contact").click()
    expect(count(page)).to_have_text("13")


def test_a_check_under_way_lets_a_search_pass(form: Locator, page: Page) -> None:
    held = hold(page, CHECK, "POST")
    field(form, "Email").fill("nobody")
    with page.expect_request(CHECK):
        field(form, "Email").press("Tab")

    search(page).press_sequentially("hopper")

    expect(page.locator("#contact-rows tr")).to_have_count(1)
    field(form, "Email").press("Escape")
    expect(form).to_have_count(0)
    held[0].continue_()
    search(page).fill("turing")
    expect(row(page, "Alan Turing")).to_be_visible()


def test_an_editor_is_checked_like_the_add_form(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Name").fill("")
    field(form, "Name").press("Tab")

    expect(field(form, "Name")).to_have_accessible_description(re.compile("This field is required"))
    field(form, "Name").fill("Grace Brewster Hopper")
    save(form)
    expect(row(page, "Grace Brewster Hopper")).to_be_visible()
