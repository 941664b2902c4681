"""The streamed dashboard."""

import re

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import count, delete

SLOW = "/dashboard?slow=2"


def test_the_dashboard_shows_figures_and_what_happened(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")

    page.get_by_role("link", name="Dashboard").click()

    expect(page.locator("#statistics")).to_contain_text(re.compile(r"Contacts\s*11"))
    expect(page.locator("#activity li").first).to_contain_text("Deleted Grace Hopper")
    expect(page.locator("#activity li").last).to_contain_text("Added 12 sample contacts")


@pytest.mark.parametrize("window", ["page", "plain"])
def test_the_shell_shows_at_once_and_each_section_when_it_is_ready(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)
    statistics, activity = page.locator("#statistics"), page.locator("#activity")
    skeletons = page.locator("slot[name=activity] .skeleton")

    page.goto(SLOW, wait_until="commit")

    expect(page.get_by_role("heading", name="Recent activity")).to_be_visible()
    expect(skeletons.first).to_be_visible()
    assert (statistics.count(), activity.count()) == (0, 0)
    expect(statistics).to_be_visible()
    assert activity.count() == 0
    expect(skeletons.first).to_be_visible()
    expect(activity).to_be_visible()
    expect(skeletons.first).to_be_hidden()


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
    assert 2_000 <= last < 3_000, "the sections, of one and two seconds, took their times together"


@pytest.mark.parametrize("window", ["page", "plain"])
def test_a_section_that_fails_says_so_and_leaves_the_others_alone(
    window: str, request: pytest.FixtureRequest
) -> None:
    page: Page = request.getfixturevalue(window)

    page.goto("/dashboard?fail=activity")

    expect(page.locator("#activity")).to_contain_text("This section could not be loaded.")
    expect(page.locator("#statistics")).to_contain_text("With an email")
    page.locator("#activity").get_by_role("link", name="Try again").click()
    expect(page.locator("#activity")).to_contain_text("Added 12 sample contacts")


def test_a_link_can_be_followed_while_the_sections_still_load(page: Page) -> None:
    page.goto("/dashboard?slow=10", wait_until="commit")

    page.get_by_role("link", name="Contacts", exact=True).first.click(no_wait_after=True)

    expect(page.locator("#contact-rows tr")).to_have_count(12)


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
