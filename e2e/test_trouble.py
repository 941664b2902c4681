"""When something goes wrong: a clear message, and nothing that was typed is lost."""

import contextlib
import sqlite3

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import Site
from e2e.steps import alert, count, field, open_form, row


@pytest.fixture
def form(page: Page) -> Page:
    """The list with a filled-in add form."""
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Name").fill("Barbara Castle")
    field(form, "Email").fill("barbara@example.com")
    return page


@pytest.mark.console_errors
@pytest.mark.parametrize(
    ("failure", "message"),
    [("refused", "The server cannot be reached"), ("500", "error 500"), ("offline", "You are offline")],
)
def test_a_save_that_fails_says_so_keeps_the_form_and_works_again(
    form: Page, failure: str, message: str
) -> None:
    if failure == "offline":
        form.context.set_offline(True)
    else:
        form.route(
            "**/contacts",
            lambda route: route.fulfill(status=500) if failure == "500" else route.abort("connectionrefused"),
        )
    save = form.get_by_role("button", name="Save contact")

    save.click()

    expect(alert(form)).to_contain_text(message)
    expect(alert(form)).to_contain_text("What you typed is still here")
    expect(field(form, "Name")).to_have_value("Barbara Castle")
    form.context.set_offline(False)
    form.unroute_all()
    save.click()
    expect(row(form, "Barbara Castle")).to_be_visible()
    expect(alert(form)).to_be_empty()


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
    expect(alert(page)).to_contain_text("The server took too long", timeout=20_000)
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
    with contextlib.closing(sqlite3.connect(started.database, autocommit=True)) as other:
        other.execute("BEGIN IMMEDIATE")

        form.get_by_role("button", name="Save contact").click()

        expect(form.get_by_role("alert")).to_contain_text("busy", ignore_case=True, timeout=20_000)
        other.execute("ROLLBACK")
    expect(field(form, "Name")).to_have_value("Barbara Castle")
    form.get_by_role("button", name="Save contact").click()
    expect(count(page)).to_have_text("13")


@pytest.mark.parametrize("path", ["/contacts/987654321", "/contacts/987654321/edit", "/no/such/page"])
def test_an_address_that_leads_nowhere_shows_a_page_with_a_way_on(page: Page, path: str) -> None:
    answer = page.goto(path)

    assert answer is not None
    assert answer.status == 404
    page.get_by_role("link", name="Go to the contacts").click()
    expect(page.locator("#contact-rows tr")).to_have_count(12)
