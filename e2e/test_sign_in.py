"""Signing in to an app that asks who is there: by keyboard, without script, in two windows.

It has a server of its own, whose users are made on the command line.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import add, assert_accessible, assert_no_sideways_scroll, field, open_form, row, toast
from tests.server_process import ROOT, environment, running_server

PASSWORD = "correct horse battery"
SECRET = "a secret that is long enough for the tests"
NEVER = re.compile("/sign-in")


def make_user(folder: Path, name: str) -> None:
    """`python -m app user add NAME`."""
    command = [sys.executable, "-m", "app", "user", "add", name]
    environ = environment(folder, CONTACTS_SECRET=SECRET)
    subprocess.run(command, cwd=ROOT, env=environ, input=f"{PASSWORD}\n", text=True, check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database is."""
    folder = tmp_path_factory.mktemp("closed")
    make_user(folder, "grace")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The URL of a server that grace may use."""
    with running_server(folder, CONTACTS_AUTH="password", CONTACTS_SECRET=SECRET) as server:
        yield server.url


@pytest.fixture
def site(server: str) -> str:
    """What new_window opens."""
    return server


def sign_in(page: Page, name: str = "grace", password: str = PASSWORD, *, remember: bool = False) -> None:
    """Fill in the form, and send it with the Enter key."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    if remember:
        page.get_by_label("Remember me").check()
    page.get_by_label("Password").press("Enter")


@pytest.fixture
def signed_in(page: Page) -> Page:
    """A window in which grace is signed in."""
    page.goto("/contacts")
    sign_in(page)
    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    return page


def test_who_wants_to_see_a_page_signs_in_by_keyboard_and_sees_it(page: Page) -> None:
    page.goto("/contacts?q=hopper")
    expect(page).to_have_url(NEVER)
    expect(page.get_by_role("navigation")).to_have_count(0)
    assert_accessible(page)

    for keys in ("grace", "Tab", "wrong horse battery", "Enter"):
        page.keyboard.press(keys) if keys in ("Tab", "Enter") else page.keyboard.type(keys)
    expect(page.get_by_text("The name or the password is not right.")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("grace")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_accessible_error_message(
        re.compile("The name or the password is not right.")
    )
    assert_accessible(page)
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/contacts\?q=hopper$"))
    expect(row(page, "Grace Hopper")).to_be_visible()
    expect(page.get_by_role("link", name="Account of grace")).to_be_visible()


def test_everything_is_there_without_script(plain: Page) -> None:
    plain.goto("/contacts")
    sign_in(plain)
    row(plain, "Grace Hopper").get_by_role("button", name="Delete").click()
    expect(toast(plain)).to_contain_text("Deleted Grace Hopper")
    toast(plain).get_by_role("button", name="Undo").click()
    expect(row(plain, "Grace Hopper")).to_be_visible()

    plain.get_by_role("button", name="Sign out").click()
    expect(plain.get_by_text("You are signed out.")).to_be_visible()
    plain.goto("/contacts")
    expect(plain).to_have_url(NEVER)


def test_what_the_page_does_by_htmx_is_done(signed_in: Page) -> None:
    page = signed_in

    row(page, "Ada Lovelace").get_by_role("button", name="Delete").click()
    expect(toast(page)).to_contain_text("Deleted Ada Lovelace")
    toast(page).get_by_role("button", name="Undo").click()
    expect(row(page, "Ada Lovelace")).to_be_visible()

    row(page, "Ada Lovelace").get_by_role("link", name="Edit").click()
    form = page.locator("tr.editing form")
    field(form, "Company").fill("Analytical Engines")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Ada Lovelace")).to_contain_text("Analytical Engines")


def test_remember_me_outlives_the_browser(page: Page, new_window: Callable[..., Page]) -> None:
    page.goto("/contacts")
    sign_in(page, remember=True)
    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    cookies = page.context.cookies()

    lasting = [cookie for cookie in cookies if cookie.get("expires", -1) > 0]
    again = new_window(storage_state={"cookies": lasting, "origins": []})
    again.goto("/contacts")

    expect(row(again, "Grace Hopper")).to_be_visible()


def test_signing_out_everywhere_clears_another_window(
    signed_in: Page, new_window: Callable[..., Page]
) -> None:
    elsewhere = new_window()
    elsewhere.goto("/contacts")
    sign_in(elsewhere)
    with elsewhere.expect_response("**/live**"):
        elsewhere.goto("/contacts")

    signed_in.get_by_role("link", name="Account of grace").click()
    expect(signed_in.get_by_role("listitem").filter(has_text="this one")).to_have_count(1)
    assert_accessible(signed_in)
    signed_in.get_by_role("button", name="Sign out everywhere").click()

    expect(signed_in.get_by_text("You are signed out everywhere.")).to_be_visible()
    expect(elsewhere).to_have_url(NEVER)  # by itself: its event stream has ended
    expect(elsewhere.get_by_text("Grace Hopper")).to_have_count(0)


def test_a_change_elsewhere_leaves_other_rows_alone_though_each_answer_masks_the_token_anew(
    signed_in: Page, new_window: Callable[..., Page]
) -> None:
    elsewhere = new_window()
    elsewhere.goto("/contacts")
    sign_in(elsewhere)
    row(signed_in, "Grace Hopper").evaluate(
        """(row) => new MutationObserver(() => row.setAttribute("data-touched", ""))
          .observe(row, { subtree: true, childList: true, attributeFilter: ["value", "id", "class"] })"""
    )

    add(elsewhere, "Aaron Arrival", email="aaron@example.com")
    expect(row(signed_in, "Aaron Arrival")).to_be_visible()
    untouched = row(signed_in, "Grace Hopper").get_attribute("data-touched")
    row(signed_in, "Aaron Arrival").get_by_role("button", name="Delete").click()

    assert untouched is None
    expect(toast(signed_in)).to_contain_text("Deleted Aaron Arrival")
    expect(row(elsewhere, "Aaron Arrival")).to_have_count(0)


def test_the_back_button_shows_nothing_to_whoever_comes_next(signed_in: Page) -> None:
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_text("You are signed out.")).to_be_visible()

    signed_in.go_back()

    expect(signed_in).to_have_url(NEVER)
    expect(signed_in.get_by_text("Grace Hopper")).to_have_count(0)


@pytest.mark.console_errors
def test_a_form_that_is_open_while_the_session_ends_can_be_saved(signed_in: Page) -> None:
    page = signed_in
    form = open_form(page)
    field(form, "Name").fill("Barbara Liskov")
    field(form, "Email").fill("barbara@example.com")
    page.context.clear_cookies(name="session")

    form.get_by_role("button", name="Save contact").click()

    trouble = form.get_by_role("alert")
    expect(trouble).to_contain_text("You are signed out. Sign in again in another tab, then try again.")
    with page.context.expect_page() as opened:
        trouble.get_by_role("link", name="Sign in").click()
    sign_in(opened.value)
    expect(opened.value.get_by_role("heading", name="Contacts")).to_be_visible()
    trouble.get_by_role("button", name="Try again").click()
    expect(row(page, "Barbara Liskov")).to_be_visible()


def test_a_plain_form_that_is_open_while_the_session_ends_can_be_saved(plain: Page) -> None:
    plain.goto("/contacts/new")
    sign_in(plain)
    field(plain, "Name").fill("Radia Perlman")
    field(plain, "Email").fill("radia@example.com")
    plain.context.clear_cookies(name="session")

    plain.get_by_role("button", name="Save contact").click()

    expect(plain.get_by_role("heading")).to_have_text("You are signed out, so nothing was changed yet")
    with plain.context.expect_page() as opened:
        plain.get_by_role("link", name="Sign in").click()
    sign_in(opened.value)
    expect(opened.value.get_by_role("heading", name="Contacts")).to_be_visible()
    plain.get_by_role("button", name="Send again").click()
    expect(row(plain, "Radia Perlman")).to_be_visible()


def test_on_a_phone_it_fits(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True)

    page.goto("/account")
    assert_no_sideways_scroll(page)
    sign_in(page)
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    assert_no_sideways_scroll(page)
