"""Deleting a contact, and getting it back."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.steps import (
    alert,
    count,
    delete,
    edit,
    field,
    ids,
    load_more,
    names,
    not_live,
    row,
    save,
    status,
    toast,
)


def test_deleting_removes_the_row_counts_down_and_offers_undo(page: Page) -> None:
    page.goto("/contacts")

    delete(page, "Grace Hopper")

    expect(row(page, "Grace Hopper")).to_have_count(0)
    expect(count(page)).to_have_text("11")
    expect(toast(page)).to_contain_text("Deleted Grace Hopper.")
    expect(status(page)).to_have_text("Deleted Grace Hopper. 11 contacts.")
    page.reload()
    expect(row(page, "Grace Hopper")).to_have_count(0)


@pytest.mark.contract(feature="events")
def test_the_page_hears_of_a_deletion_as_an_event(page: Page) -> None:
    page.goto("/contacts")
    page.evaluate(
        "document.addEventListener('contactDeleted', event => { window.heard = event.detail.message })"
    )

    delete(page, "Grace Hopper")

    expect(count(page)).to_have_text("11")
    assert page.evaluate("window.heard") == "Deleted Grace Hopper"


@pytest.mark.contract(feature="undo")
def test_undo_brings_a_deleted_contact_back_and_can_itself_be_undone(page: Page) -> None:
    page.goto("/contacts")
    before = names(page)
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")

    toast(page).get_by_role("button", name="Undo").click()

    expect(count(page)).to_have_text("12")
    assert names(page) == before
    expect(toast(page)).to_contain_text("Restored Grace Hopper.")
    toast(page).get_by_role("button", name="Undo").click()
    expect(row(page, "Grace Hopper")).to_have_count(0)


def test_the_focus_goes_to_the_next_row(page: Page) -> None:
    page.goto("/contacts")
    following = names(page)[names(page).index("Grace Hopper") + 1]
    page.get_by_role("button", name="Delete Grace Hopper").focus()

    page.keyboard.press("Enter")

    expect(page.get_by_role("link", name=f"Edit {following}")).to_be_focused()


def test_a_deletion_on_the_third_page_stays_there_and_so_does_its_undo(page: Page, many: str) -> None:
    page.goto("/contacts")
    for shown in (100, 120):
        load_more(page, shown)
    before = ids(page)
    button = page.locator(f"#{before[110]}").get_by_role("button", name="Delete")
    button.focus()

    page.keyboard.press("Enter")

    expect(count(page)).to_have_text("119")
    assert ids(page) == before[:110] + before[111:]
    expect(page.locator(f"#{before[111]}").get_by_role("link", name="Edit")).to_be_focused()
    toast(page).get_by_role("button", name="Undo").click()
    expect(count(page)).to_have_text("120")
    assert ids(page) == before
    expect(page.locator(f"#{before[110]}")).to_be_in_viewport()


def test_a_search_made_while_a_deletion_is_on_its_way_shows_its_answer_afterwards(page: Page) -> None:
    page.goto("/contacts")
    held: list[Route] = []
    page.route(
        "**/contacts/*",
        lambda route: held.append(route) if route.request.method == "DELETE" else route.continue_(),
    )
    with page.expect_request("**/contacts/*"):
        delete(page, "Grace Hopper")

    page.get_by_role("searchbox").press_sequentially("turing")
    held[0].continue_()

    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(row(page, "Alan Turing")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=turing$"))
    expect(count(page)).to_have_text("11")


@pytest.mark.console_errors
def test_a_deletion_made_while_a_search_is_on_its_way_is_not_undone_by_its_answer(page: Page) -> None:
    page.goto("/contacts")
    held: list[Route] = []
    page.route("**/contacts?q=*", lambda route: held.append(route) if not held else route.continue_())
    with page.expect_request("**/contacts?q=*"):
        page.get_by_role("searchbox").press_sequentially("a")

    delete(page, "Grace Hopper")

    expect(count(page)).to_have_text("11")
    expect(page).to_have_url(re.compile(r"\?q=a$"))
    expect(row(page, "Grace Hopper")).to_have_count(0)
    expect(row(page, "Ada Lovelace")).to_be_visible()


def test_undo_pressed_again_in_another_window_says_what_was_done(
    page: Page, new_window: Callable[..., Page]
) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    other = new_window()
    other.goto("/activity")
    other.get_by_role("button", name="Undo: Deleted Grace Hopper").click()
    expect(toast(other)).to_contain_text("Restored Grace Hopper.")

    toast(page).get_by_role("button", name="Undo").click()

    expect(toast(page)).to_contain_text("Restored Grace Hopper.")
    expect(count(page)).to_have_text("12")
    expect(row(page, "Grace Hopper")).to_have_count(1)


def test_a_dismissed_toast_gives_the_focus_back(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    page.get_by_role("searchbox").focus()
    toast(page).get_by_role("button", name="Dismiss").focus()

    page.keyboard.press("Enter")

    expect(page.get_by_role("searchbox")).to_be_focused()


def test_a_toast_is_dismissed_by_its_button(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")

    toast(page).get_by_role("button", name="Dismiss").click()

    expect(toast(page)).to_have_count(0)


def test_a_deletion_keeps_the_search_it_was_made_in(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("searchbox").fill("a")
    expect(page).to_have_url(re.compile(r"\?q=a$"))
    expect(page.locator("#contact-rows tr")).not_to_have_count(12)
    victim, *others = names(page)

    delete(page, victim)

    expect(row(page, victim)).to_have_count(0)
    assert names(page) == others


@pytest.mark.console_errors
def test_deleting_a_contact_that_another_window_has_deleted_says_so(
    page: Page, new_window: Callable[..., Page]
) -> None:
    other = new_window()
    not_live(page)
    page.goto("/contacts")
    other.goto("/contacts")
    delete(other, "Grace Hopper")
    expect(count(other)).to_have_text("11")

    delete(page, "Grace Hopper")

    expect(alert(page)).to_contain_text("Contact not found")
    expect(row(page, "Grace Hopper")).to_have_count(0)


@pytest.mark.contract(feature="undo")
@pytest.mark.console_errors
def test_undo_refuses_when_the_contact_has_changed_since(page: Page, new_window: Callable[..., Page]) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Company").fill("First")
    save(form)
    expect(toast(page)).to_contain_text("Saved Grace Hopper.")
    other = new_window()
    other.goto("/contacts")
    form = edit(other, "Grace Hopper")
    field(form, "Company").fill("Second")
    save(form)
    expect(row(other, "Grace Hopper")).to_contain_text("Second")

    toast(page).get_by_role("button", name="Undo").click()

    expect(page.get_by_role("dialog", name="This cannot be undone any more")).to_be_visible()
    page.keyboard.press("Escape")
    page.reload()
    expect(row(page, "Grace Hopper")).to_contain_text("Second")


@pytest.mark.contract(feature="no-script")
def test_a_contact_is_deleted_and_restored_without_javascript(plain: Page) -> None:
    plain.goto("/contacts?q=hopper")

    delete(plain, "Grace Hopper")

    expect(plain.get_by_role("heading", name="No contacts found")).to_be_visible()
    expect(toast(plain)).to_contain_text("Deleted Grace Hopper.")
    toast(plain).get_by_role("button", name="Undo").click()
    expect(row(plain, "Grace Hopper")).to_be_visible()


def test_a_contact_is_deleted_from_its_own_page(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("link", name="Grace Hopper", exact=True).click()

    page.get_by_role("button", name="Delete").click()

    expect(count(page)).to_have_text("11")
    expect(toast(page)).to_contain_text("Deleted Grace Hopper.")
    expect(status(page)).to_have_text("Deleted Grace Hopper.")
    expect(page).to_have_url(re.compile("/contacts$"))
    toast(page).get_by_role("button", name="Dismiss").click()
    expect(toast(page)).to_have_count(0)
