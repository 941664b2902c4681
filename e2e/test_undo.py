"""Undoing what has been changed since: the app asks. And the pages where everything can be undone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import alert, bar, box, count, delete, edit, field, question, row, save, status, toast

NewWindow = Callable[..., Page]


def change(page: Page, name: str, **fields: str) -> None:
    """Change fields of a contact, by their labels."""
    form = edit(page, name)
    for label, text in fields.items():
        field(form, label).fill(text)
    save(form)
    expect(toast(page)).to_contain_text(f"Saved {name}.")


def changed_twice(page: Page, other: Page) -> None:
    """One window changes company and phone, then the other one the company again."""
    page.goto("/contacts")
    change(page, "Grace Hopper", Company="First", Phone="+44 20 7946 0999")
    other.goto("/contacts")
    change(other, "Grace Hopper", Company="Second")


@pytest.mark.contract(feature="undo")
def test_an_undo_that_cannot_be_whole_asks_and_does_what_it_can(page: Page, new_window: NewWindow) -> None:
    changed_twice(page, new_window())

    toast(page).get_by_role("button", name="Undo").click()

    expect(question(page)).to_be_visible()
    expect(question(page)).to_contain_text("gets back phone; keeps company as changed since")
    assert question(page).evaluate(
        "dialog => dialog.matches(':modal') && dialog.contains(document.activeElement)"
    )
    question(page).get_by_role("button", name="Undo what can be undone").click()
    expect(question(page)).to_be_hidden()
    expect(row(page, "Grace Hopper")).to_contain_text("Second")
    expect(row(page, "Grace Hopper")).not_to_contain_text("+44 20 7946 0999")
    expect(toast(page)).to_contain_text("Undid the changes to Grace Hopper.")
    expect(toast(page).get_by_role("button", name="Undo")).to_be_focused()


@pytest.mark.contract(feature="undo")
@pytest.mark.parametrize("leave", ["Escape", "Leave everything as it is"])
def test_leaving_the_question_changes_nothing_and_gives_the_focus_back(
    page: Page, new_window: NewWindow, leave: str
) -> None:
    changed_twice(page, new_window())
    toast(page).get_by_role("button", name="Undo").click()
    expect(question(page)).to_be_visible()

    if leave == "Escape":
        page.keyboard.press("Escape")
    else:
        question(page).get_by_role("link", name=leave).click()

    expect(question(page)).to_be_hidden()
    expect(page).to_have_url(re.compile("/contacts$"))
    expect(toast(page).get_by_role("button", name="Undo")).to_be_focused()
    page.reload()
    expect(row(page, "Grace Hopper")).to_contain_text("+44 20 7946 0999")


@pytest.mark.contract(feature="undo")
@pytest.mark.console_errors
def test_an_answer_that_does_not_come_is_told_outside_the_dialog(page: Page, new_window: NewWindow) -> None:
    changed_twice(page, new_window())
    toast(page).get_by_role("button", name="Undo").click()
    page.route("**/undo/*", lambda route: route.abort("connectionrefused"))

    question(page).get_by_role("button", name="Undo what can be undone").click()

    expect(question(page)).to_be_hidden()
    expect(alert(page)).to_contain_text("The server cannot be reached")


def test_the_question_is_a_page_where_there_is_no_list(page: Page, new_window: NewWindow) -> None:
    changed_twice(page, new_window())
    page.goto("/activity")

    page.get_by_role("button", name="Undo: Saved Grace Hopper").last.click()

    expect(page.get_by_role("heading", name="Undo what is left?")).to_be_visible()
    page.get_by_role("button", name="Undo what can be undone").click()
    expect(page).to_have_url(re.compile("/activity"))
    expect(toast(page)).to_contain_text("Undid the changes to Grace Hopper.")


@pytest.mark.contract(feature="undo")
def test_the_question_is_a_page_without_javascript(plain: Page, new_window: NewWindow) -> None:
    changed_twice(plain, new_window())

    toast(plain).get_by_role("button", name="Undo").click()
    plain.get_by_role("button", name="Undo what can be undone").click()

    expect(toast(plain)).to_contain_text("Undid the changes to Grace Hopper.")
    expect(row(plain, "Grace Hopper")).to_contain_text("Second")


@pytest.mark.contract(feature="bulk")
def test_some_of_many_that_were_deleted_can_still_be_restored(page: Page, new_window: NewWindow) -> None:
    page.goto("/contacts")
    taken = row(page, "Grace Hopper").locator(".person__email").inner_text()
    for name in ("Ada Lovelace", "Grace Hopper"):
        box(page, name).check()
    bar(page).get_by_role("button", name="Delete").click()
    expect(count(page)).to_have_text("10")
    other = new_window()
    other.goto("/contacts")
    change(other, "Alan Turing", Email=taken)

    toast(page).get_by_role("button", name="Undo").click()

    expect(question(page)).to_contain_text("1 contact can be restored")
    question(page).get_by_role("button", name="Undo what can be undone").click()
    expect(count(page)).to_have_text("11")
    expect(row(page, "Ada Lovelace")).to_be_visible()


@pytest.mark.parametrize("window", ["page", "plain"])
def test_everything_can_be_undone_from_the_activity(window: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(window)
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    page.get_by_role("link", name="Activity").click()

    page.get_by_role("button", name="Undo: Deleted Grace Hopper").click()

    expect(page).to_have_url(re.compile("/activity"))
    expect(toast(page)).to_contain_text("Restored Grace Hopper.")
    expect(page.get_by_text("just now, undone")).to_be_visible()
    expect(page.get_by_role("button", name="Undo: Deleted Grace Hopper")).to_have_count(0)


@pytest.mark.contract(feature="undo")
def test_a_message_with_undo_stays_until_another_comes(page: Page) -> None:
    page.clock.install()
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(toast(page)).to_contain_text("Deleted Grace Hopper.")

    page.clock.run_for(600_000)
    page.get_by_role("searchbox").fill("ada")
    page.clock.run_for(300)
    expect(page).to_have_url(re.compile("q=ada"))
    page.go_back()
    expect(page).to_have_url(re.compile("/contacts$"))

    expect(toast(page)).to_contain_text("Deleted Grace Hopper.")
    delete(page, "Alan Turing")
    expect(toast(page)).to_contain_text("Deleted Alan Turing.")
    expect(toast(page)).to_have_count(1)
    expect(status(page)).to_have_text("Deleted Alan Turing. 10 contacts.")
