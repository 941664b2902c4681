"""The streamed dashboard."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import add, assert_accessible, assert_no_sideways_scroll, count, delete, names

SLOW = "/dashboard?slow=4"


@pytest.mark.contract(feature="dashboard")
def test_the_dashboard_shows_figures_and_what_happened(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")

    page.get_by_role("link", name="Dashboard").click()

    expect(page.locator("#totals")).to_contain_text(re.compile(r"Contacts\s*11"))
    expect(page.locator("#activity li").first).to_contain_text("Deleted Grace Hopper")
    expect(page.locator("#activity li").last).to_contain_text("Added 12 sample contacts")


@pytest.mark.contract(feature="dashboard")
@pytest.mark.parametrize("window", ["page", "plain"])
def test_the_shell_shows_at_once_and_each_section_when_it_is_ready(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)
    totals, activity = page.locator("#totals"), page.locator("#activity")
    skeletons = page.locator("slot[name=activity] .skeleton")

    page.goto(SLOW, wait_until="commit")

    expect(page.get_by_role("heading", name="Recent activity")).to_be_visible()
    expect(skeletons.first).to_be_visible()
    assert (totals.count(), activity.count()) == (0, 0)
    expect(totals).to_be_visible()
    assert activity.count() == 0
    expect(skeletons.first).to_be_visible()
    expect(activity).to_be_visible()
    expect(skeletons.first).to_be_hidden()


@pytest.mark.contract(feature="dashboard")
def test_the_sections_load_at_the_same_time(page: Page) -> None:
    page.goto("/contacts")

    first, last = page.evaluate(
        """async () => {
            const started = performance.now();
            const reader = (await fetch("/dashboard?slow=2")).body.getReader();
            let first = null, done = false;
            while (!done) { ({ done } = await reader.read()); first ??= performance.now() - started; }
            return [first, performance.now() - started];
        }"""
    )

    assert first < 1_000, "the shell waited for a section"
    assert 2_000 <= last < 3_000, "the sections, of up to two seconds each, took their times together"


@pytest.mark.contract(feature="dashboard")
@pytest.mark.parametrize("window", ["page", "plain"])
def test_a_section_that_fails_says_so_and_leaves_the_others_alone(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)

    page.goto("/dashboard?fail=activity")

    expect(page.locator("#activity")).to_contain_text("This section could not be loaded.")
    expect(page.locator("#totals")).to_contain_text("With an email")
    page.locator("#activity").get_by_role("link", name="Try again").click()
    expect(page.locator("#activity")).to_contain_text("Added 12 sample contacts")


@pytest.mark.contract(feature="dashboard")
def test_a_link_can_be_followed_while_the_sections_still_load(page: Page) -> None:
    page.goto("/dashboard?slow=10", wait_until="commit")

    page.get_by_role("link", name="Contacts", exact=True).first.click(no_wait_after=True)

    expect(page.locator("#contact-rows tr")).to_have_count(12)


@pytest.mark.contract(feature="dashboard")
def test_what_happened_can_be_undone_from_the_dashboard(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    page.goto("/dashboard")

    page.get_by_role("button", name="Undo: Deleted Grace Hopper").click()

    expect(count(page)).to_have_text("12")
    page.goto("/dashboard")
    expect(page.locator("#activity li").first).to_contain_text("Restored Grace Hopper")
    expect(page.locator("#activity li").nth(1)).to_contain_text("undone")
    expect(page.get_by_role("button", name="Undo: Deleted Grace Hopper")).to_have_count(0)


# ---- charts


CHARTS = {
    "Added per week": "Contacts added in each of the last 12 weeks Most were added in the week of",
    "Companies": "Contacts by company The largest is NASA: 2.",
    "Email domains": "Contacts by email domain The most frequent is example.com: 4.",
    "Tags": "Contacts by tag The most used is Mathematics: 6.",
}


@pytest.mark.parametrize("window", ["page", "plain"])
def test_every_chart_says_what_it_shows_and_has_a_table_behind_it(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)

    page.goto("/dashboard")

    for heading, says in CHARTS.items():
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.get_by_role("img", name=says)).to_be_visible()
    tags = page.locator("#tags")
    expect(tags.get_by_role("table")).to_be_hidden()
    tags.get_by_text("Show as a table").click()
    expect(tags.get_by_role("row").nth(1)).to_have_text(re.compile(r"Mathematics\s*6"))


@pytest.mark.parametrize("window", ["page", "plain"])
@pytest.mark.parametrize("section", ["companies", "domains", "tags"])
def test_a_bar_leads_to_the_contacts_it_counts(
    window: str, section: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)
    page.goto("/dashboard")
    bar = page.locator(f"#{section}").get_by_role("link").first
    number = int(re.findall(r"\d+", bar.inner_text())[-1])

    bar.click()

    expect(page.locator("#contact-rows tr")).to_have_count(number)


@pytest.mark.parametrize("window", ["page", "plain"])
def test_what_is_worth_tidying_up_leads_to_its_list_and_out_of_it(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)
    page.goto("/dashboard")
    quality = page.locator("#quality")
    expect(quality.get_by_role("link", name="Groups of likely duplicates 0")).to_be_visible()
    expect(quality.get_by_role("link", name="Not changed for a year 0")).to_be_visible()

    quality.get_by_role("link", name="No phone number 1").click()

    expect(page).to_have_title("No phone number · Contacts")
    assert names(page) == ["Rózsa Péter"]
    page.get_by_role("link", name="Remove the filter: No phone number").click()
    expect(page.locator("#contact-rows tr")).to_have_count(12)
    expect(page).to_have_url(re.compile("/contacts$"))
    page.go_back()
    expect(page.locator("#contact-rows tr")).to_have_count(1)


def test_a_search_stays_among_those_that_lack_something(page: Page) -> None:
    page.goto("/contacts?only=no-email")

    page.get_by_role("searchbox", name="Search contacts").fill("a")

    expect(page).to_have_url(re.compile(r"\?q=a&only=no-email$"))
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(page).to_have_title("“a”, No email · Contacts")


def test_a_section_is_tried_again_alone_and_gets_the_focus(page: Page) -> None:
    page.goto("/dashboard?fail=tags")
    page.evaluate("window.stays = true")

    page.locator("#tags").get_by_role("link", name="Try again").press("Enter")

    expect(page.locator("#tags").get_by_role("img", name="Contacts by tag")).to_be_visible()
    expect(page.locator("#tags")).to_be_focused()
    assert page.evaluate("window.stays"), "the rest of the page stayed"
    expect(page).to_have_url(re.compile(r"\?fail=tags$"))


# ---- fits and is accessible


def long_names(page: Page) -> None:
    """A contact whose company and tags are longer than any chart is wide."""
    page.goto("/contacts")
    add(page, "Ada Long", email=f"ada@{'long-' * 11}name.example")
    expect(count(page)).to_have_text("13")
    page.goto("/dashboard")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_the_dashboard_fits_its_window(new_window: Callable[..., Page], width: int) -> None:
    page = new_window(viewport={"width": width, "height": 800})
    long_names(page)

    for table in page.get_by_text("Show as a table").all():
        table.click()

    expect(page.locator("#domains table")).to_be_visible()
    assert_no_sideways_scroll(page)


@pytest.mark.console_errors  # axe tries inline styles in shadow roots, which the page's policy refuses
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_charts_and_their_tables(
    new_window: Callable[..., Page], scheme: str
) -> None:
    page = new_window(color_scheme=scheme)
    long_names(page)

    for table in page.get_by_text("Show as a table").all():
        table.click()

    expect(page.locator("#domains table")).to_be_visible()
    assert_accessible(page)
