"""The failure lab: each experiment is started by its own button, and what its card promises is seen."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from e2e.steps import add, assert_accessible, assert_no_sideways_scroll, count, field, row, save, toast

BOTH = pytest.mark.parametrize("window", ["page", "plain"])


@pytest.fixture
def watched(window: str, request: pytest.FixtureRequest) -> Page:
    """A window with JavaScript, or one without."""
    page: Page = request.getfixturevalue(window)
    return page


def experiment(page: Page, title: str) -> Locator:
    """The card of an experiment, on the page that a visitor finds from the list."""
    page.goto("/contacts")
    page.get_by_role("link", name="Failure lab").click()
    return page.get_by_role("region", name=title)


def fill_in(page: Page) -> Locator:
    """The add form, filled in."""
    form = page.get_by_role("form", name="New contact")
    field(form, "Name").fill("Barbara Liskov")
    field(form, "Email").fill("barbara@example.com")
    field(form, "Notes").fill("Data abstraction\nCLU")
    return form


def expect_filled_in(form: Locator) -> None:
    """Nothing that was typed is lost."""
    expect(field(form, "Name")).to_have_value("Barbara Liskov")
    expect(field(form, "Email")).to_have_value("barbara@example.com")
    expect(field(form, "Notes")).to_have_value("Data abstraction\nCLU")


@BOTH
def test_a_slow_section_does_not_keep_the_others_waiting(watched: Page) -> None:
    slow = experiment(watched, "A slow section")
    bars = watched.locator("slot[name=activity] .skeleton")

    slow.get_by_role("link", name="Open a slow dashboard").click(no_wait_after=True)

    expect(watched.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(bars.first).to_be_visible()
    expect(watched.locator("#totals")).to_contain_text("With an email")
    assert watched.locator("#activity").count() == 0
    expect(bars.first).to_be_visible()
    expect(watched.locator("#activity")).to_contain_text("Added 12 sample contacts")
    expect(bars.first).to_be_hidden()


@BOTH
def test_a_failing_section_says_so_and_can_be_tried_again(watched: Page) -> None:
    fails = experiment(watched, "A failing section")

    fails.get_by_role("link", name="Open a failing dashboard").click()

    activity = watched.locator("#activity")
    expect(activity.get_by_role("alert")).to_contain_text("This section could not be loaded.")
    expect(watched.locator("#totals")).to_contain_text("With an email")
    activity.get_by_role("link", name="Try again").click()
    expect(activity).to_contain_text("Added 12 sample contacts")


@pytest.mark.console_errors
def test_a_dropped_event_stream_comes_back_with_what_was_missed(
    page: Page, new_window: Callable[..., Page]
) -> None:
    dropped = experiment(page, "A dropped event stream")

    dropped.get_by_role("button", name="Drop the stream").click()

    sign = page.locator("#live-sign")
    expect(sign).to_have_text("Reconnecting…")
    other = new_window()
    other.goto("/contacts")
    add(other, "Barbara Liskov", email="barbara@example.com")
    expect(other.locator("#live-sign")).to_be_empty()
    expect(row(page, "Barbara Liskov")).to_be_visible(timeout=30_000)
    expect(sign).to_be_empty()


@BOTH
@pytest.mark.console_errors
def test_a_server_error_on_save_leaves_the_form_and_can_be_tried_again(watched: Page) -> None:
    error = experiment(watched, "A server error on save")

    error.get_by_role("button", name="Let the next save fail").click()
    form = fill_in(watched)
    form.get_by_role("button", name="Save contact").click()

    expect(form.get_by_role("alert")).to_contain_text("nothing was saved")
    expect(form.get_by_role("alert")).to_contain_text("What you typed is still here")
    expect_filled_in(form)
    expect(count(watched)).to_have_text("12")
    form.get_by_role("button", name="Try again").click()
    expect(row(watched, "Barbara Liskov")).to_be_visible()
    expect(count(watched)).to_have_text("13")


@pytest.mark.console_errors
def test_a_lost_connection_leaves_the_form_until_it_is_back(page: Page) -> None:
    lost = experiment(page, "A lost connection")

    lost.get_by_role("button", name="Lose the connection").click()
    form = fill_in(page)
    form.get_by_role("button", name="Save contact").click()

    expect(form.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(form.get_by_role("alert")).to_contain_text("What you typed is still here")
    expect_filled_in(form)
    expect(count(page)).to_have_text("12")
    _try_again_until_it_is_back(form)
    expect(row(page, "Barbara Liskov")).to_be_visible()
    expect(count(page)).to_have_text("13")


def _try_again_until_it_is_back(form: Locator) -> None:
    on_its_way = form.page.locator("form[aria-busy]")
    for _ in range(500):
        form.get_by_role("button", name="Try again").click()
        expect(on_its_way).to_have_count(0)
        if not form.count():
            return


@pytest.mark.console_errors
def test_without_javascript_a_lost_connection_is_tried_again_by_reloading(plain: Page) -> None:
    lost = experiment(plain, "A lost connection")

    lost.get_by_role("button", name="Lose the connection").click()
    form = fill_in(plain)
    with plain.expect_event("requestfailed"):
        form.get_by_role("button", name="Save contact").click()

    plain.wait_for_url("chrome-error://**")  # Chromium's own page, whose button reloads
    _wait_until_it_is_back(plain)
    plain.reload()
    expect(row(plain, "Barbara Liskov")).to_have_count(1)
    expect(count(plain)).to_have_text("13")


def _wait_until_it_is_back(window: Page) -> None:
    """Send empty forms from the same browser until one is answered; none of them adds a contact."""
    end = monotonic() + 30
    while monotonic() < end:
        with suppress(Error):
            assert window.request.post("/contacts").status == 422
            return
    raise AssertionError("the connection did not come back")


@BOTH
def test_a_conflicting_edit_joins_both_changes(watched: Page) -> None:
    conflict = experiment(watched, "A conflicting edit")

    conflict.get_by_role("button", name="Edit at the same time").click()
    form = watched.get_by_role("form", name="Edit Ada Lovelace")
    field(form, "Notes").fill("Notes on the engine")
    save(form)

    expect(form.get_by_role("alert")).to_contain_text("both changes are joined below")
    expect(field(form, "Notes")).to_have_value("Notes on the engine")
    expect(field(form, "Company")).to_have_value("Changed in the lab")
    form.get_by_role("button", name="Save both changes").click()
    expect(form).to_have_count(0)
    row(watched, "Ada Lovelace").get_by_role("link", name="Ada Lovelace", exact=True).click()
    expect(watched.locator(".card")).to_contain_text("Changed in the lab")
    expect(watched.locator(".card")).to_contain_text("Notes on the engine")


def test_a_conflicting_edit_of_the_same_field_is_a_choice_and_can_be_undone(page: Page) -> None:
    conflict = experiment(page, "A conflicting edit")

    conflict.get_by_role("button", name="Edit at the same time").click()
    form = page.get_by_role("form", name="Edit Ada Lovelace")
    field(form, "Company").fill("Mine")
    save(form)

    company = form.get_by_role("group", name="Company")
    expect(company.get_by_role("radio", name="Mine")).to_be_checked()
    expect(company.get_by_role("radio", name="Changed in the lab")).not_to_be_checked()
    form.get_by_role("link", name="Keep theirs").click()
    expect(form).to_have_count(0)
    again = experiment(page, "A conflicting edit")
    again.get_by_role("link", name="activity").click()
    page.get_by_role("button", name="Undo: Saved Ada Lovelace").click()
    expect(toast(page)).to_contain_text("Ada Lovelace")
    page.goto("/contacts?q=Changed+in+the+lab")
    expect(page.get_by_text("No contacts found")).to_be_visible()


def test_what_is_caused_in_one_browser_leaves_others_alone(
    page: Page, new_window: Callable[..., Page]
) -> None:
    experiment(page, "A server error on save").get_by_role("button").click()
    other = new_window()
    experiment(other, "A server error on save")
    other.goto("/contacts")

    add(other, "Barbara Liskov", email="barbara@example.com")

    expect(toast(other)).to_contain_text("Added Barbara Liskov")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_accessible_and_fits(new_window: Callable[..., Page], width: int, scheme: str) -> None:
    page = new_window(viewport={"width": width, "height": 800}, color_scheme=scheme)

    page.goto("/lab")

    expect(page.get_by_role("heading", name="What should happen")).to_have_count(6)
    assert_accessible(page)
    assert_no_sideways_scroll(page)


def test_a_phone_finds_the_lab(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)

    experiment(page, "A slow section")

    expect(page.get_by_role("heading", name="Failure lab", level=1)).to_be_visible()
