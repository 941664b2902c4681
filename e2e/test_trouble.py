"""When something goes wrong: a clear message, and nothing that was typed is lost."""

import re

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Site
from e2e.steps import alert, count, delete, edit, field, open_form, row

pytestmark = pytest.mark.contract(feature="errors")


@pytest.mark.console_errors
@pytest.mark.parametrize(
    ("failure", "message"),
    [("refused", "The server cannot be reached"), ("500", "error 500"), ("offline", "You are offline")],
)
@pytest.mark.parametrize("opened", ["add form", "editor"])
def test_a_save_that_fails_is_told_in_the_form_which_tries_again(
    page: Page, opened: str, failure: str, message: str
) -> None:
    page.goto("/contacts")
    form = open_form(page) if opened == "add form" else edit(page, "Grace Hopper")
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("barbara@example.com")
    if failure == "offline":
        page.context.set_offline(True)
    else:
        page.route(
            re.compile(r"/contacts(/\d+)?$"),
            lambda route: route.fulfill(status=500) if failure == "500" else route.abort("connectionrefused"),
        )

    field(form, "Email").press("Enter")

    again = form.get_by_role("button", name="Try again")
    expect(form.get_by_role("alert")).to_contain_text(message)
    expect(form.get_by_role("alert")).to_contain_text("What you typed is still here")
    expect(again).to_be_focused()
    expect(field(form, "Name")).to_be_editable()
    page.keyboard.press("Enter")
    expect(again).to_be_focused()
    expect(form.get_by_role("alert")).to_have_count(1)
    expect(field(form, "Name")).to_have_value("Barbara Castle")
    expect(field(form, "Email")).to_have_value("barbara@example.com")
    page.context.set_offline(False)
    page.unroute_all()
    again.click()
    expect(row(page, "Barbara Castle")).to_be_visible()
    expect(form).to_have_count(0)
    expect(alert(page)).to_be_empty()


@pytest.mark.console_errors
def test_a_deletion_that_fails_says_so_in_a_message_and_leaves_the_row(page: Page) -> None:
    page.goto("/contacts")
    page.route("**/contacts/*", lambda route: route.abort("connectionrefused"))

    delete(page, "Grace Hopper")

    expect(alert(page)).to_contain_text("The server cannot be reached")
    expect(row(page, "Grace Hopper")).to_be_visible()
    page.unroute_all()
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    expect(alert(page)).to_be_empty()


@pytest.mark.console_errors
def test_a_server_that_does_not_answer_is_given_up_after_a_while(page: Page) -> None:
    page.clock.install()
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    page.route("**/contacts", lambda route: None)
    with page.expect_request("**/contacts"):
        form.get_by_role("button", name="Save contact").click()

    page.clock.run_for(10_001)

    # A real timeout of XMLHttpRequest, which the page's clock does not drive: 10 seconds.
    expect(form.get_by_role("alert")).to_contain_text("may have saved this", timeout=20_000)
    expect(form.get_by_role("button", name="Try again")).to_be_focused()
    expect(field(form, "Name")).to_have_value("Barbara Castle")


@pytest.mark.console_errors
@pytest.mark.parametrize("window", ["page", "plain"])
def test_a_database_that_another_program_holds_brings_the_form_back_with_a_message(
    window: str, started: Site, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("barbara@example.com")
    assert started.database is not None
    with started.database.held():
        form.get_by_role("button", name="Save contact").click()

        expect(form.get_by_role("alert")).to_contain_text("busy", ignore_case=True, timeout=20_000)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(field(form, "Name")).to_have_value("Barbara Castle")
    expect(form.get_by_role("button", name="Try again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(count(page)).to_have_text("13")


@pytest.mark.parametrize("path", ["/contacts/987654321", "/contacts/987654321/edit", "/no/such/page"])
def test_an_address_that_leads_nowhere_shows_a_page_with_a_way_on(page: Page, path: str) -> None:
    answer = page.goto(path)

    assert answer is not None
    assert answer.status == 404
    page.get_by_role("link", name="Go to the contacts").click()
    expect(page.locator("#contact-rows tr")).to_have_count(12)
