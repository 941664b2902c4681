"""Tags to filter by and headings to sort by: without a reload, in any order, and in the address."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import chip, count, delete, edit, field, heading, hold, ids, names, row, search, status

SHOWN = "#contact-rows tr:not(.more)"
TAGS = ("Football", "Suppliers")


@pytest.fixture
def page(page: Page, many: str) -> Page:
    """The list of 120 contacts."""
    page.goto("/contacts")
    return page


def number_on(page: Page, tag: str) -> int:
    """How many contacts a tag promises."""
    return int(re.sub(r"\D", "", chip(page, tag).inner_text()))


def chosen(page: Page) -> list[str]:
    """The tags that the list is narrowed to."""
    return page.locator(".chip[aria-current] bdi").all_inner_texts()


@pytest.mark.contract(feature="tags")
def test_a_tag_narrows_the_list_and_everything_that_names_it_follows(page: Page) -> None:
    page.evaluate("window.sameDocument = true")
    promised = number_on(page, "Football")

    chip(page, "Football").click()

    expect(page).to_have_url(re.compile(r"/contacts\?tag=Football$"))
    expect(page).to_have_title("Football · Contacts")
    expect(status(page)).to_have_text(f"{promised} contacts found.")
    expect(page.locator(SHOWN)).to_have_count(promised)
    expect(chip(page, "Football")).to_be_focused()
    expect(chip(page, "Football")).to_have_attribute("aria-current", "true")
    chip(page, "Football").click()
    expect(page).to_have_url(re.compile(r"/contacts$"))
    expect(page).to_have_title("Contacts")
    expect(chip(page, "Football")).to_be_focused()
    assert page.evaluate("window.sameDocument") is True


@pytest.mark.contract(feature="sort")
def test_a_heading_sorts_by_keyboard_and_keeps_the_focus_while_it_turns_round(page: Page) -> None:
    heading(page, "Email").get_by_role("link").focus()

    page.keyboard.press("Enter")

    expect(heading(page, "Email")).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile(r"\?sort=email$"))
    expect(page).to_have_title("by email · Contacts")
    expect(heading(page, "Email").get_by_role("link")).to_be_focused()
    expect(status(page)).to_have_text("120 contacts found.")
    emails = page.locator("#contact-rows .person__email").all_inner_texts()
    assert emails == sorted(emails, key=lambda email: (not email, email.casefold()))
    page.keyboard.press("Enter")
    expect(heading(page, "Email")).to_have_attribute("aria-sort", "descending")
    expect(heading(page, "Name")).not_to_have_attribute("aria-sort", re.compile(".*"))


@pytest.mark.contract(feature="history")
def test_a_search_keeps_the_tags_and_the_order_and_back_takes_them_away_one_by_one(
    page: Page, new_window: Callable[..., Page]
) -> None:
    steps = [page.url]
    presses: tuple[Callable[[], None], ...] = (
        lambda: chip(page, "Football").click(),
        lambda: chip(page, "Suppliers").click(),
        lambda: heading(page, "Company").get_by_role("link").click(),
        lambda: search(page).press_sequentially("a"),
    )
    for press in presses:
        press()
        expect(page).not_to_have_url(steps[-1])
        steps.append(page.url)
    assert steps[-1].endswith("/contacts?q=a&tag=Football&tag=Suppliers&sort=company")
    found, title = ids(page), page.title()
    assert title == "“a”, Football, Suppliers, by company · Contacts"

    other = new_window()
    other.goto(page.url)
    page.reload()
    for window in (page, other):
        assert (ids(window), window.title(), chosen(window)) == (found, title, list(TAGS))
        expect(search(window)).to_have_value("a")
        expect(heading(window, "Company")).to_have_attribute("aria-sort", "ascending")

    for url in reversed(steps[:-1]):
        page.go_back()
        expect(page).to_have_url(url)
    expect(search(page)).to_have_value("")
    expect(page).to_have_title("Contacts")
    assert chosen(page) == []
    for url in steps[1:]:
        page.go_forward()
        expect(page).to_have_url(url)
    expect(page.locator(SHOWN)).to_have_count(len(found))
    expect(search(page)).to_have_value("a")
    assert (ids(page), page.title(), chosen(page)) == (found, title, list(TAGS))


@pytest.mark.contract(feature="history")
def test_back_pressed_twice_quickly_shows_the_page_it_led_to(page: Page) -> None:
    for tag in TAGS:
        chip(page, tag).click()
        expect(chip(page, tag)).to_have_attribute("aria-current", "true")
    held = hold(page, "**/contacts?tag=Football")
    with page.expect_request("**/contacts?tag=Football"):
        page.evaluate("history.back()")
    page.evaluate("history.back()")
    expect(page).to_have_title("Contacts")

    assert held[0].request.failure, "it was given up"
    assert chosen(page) == []


def test_the_list_goes_on_working_after_the_back_button(page: Page) -> None:
    chip(page, "Football").click()
    expect(page).to_have_title("Football · Contacts")
    page.go_back()
    expect(page).to_have_title("Contacts")

    search(page).press_sequentially("a")
    expect(page).to_have_title("“a” · Contacts")
    page.get_by_role("checkbox", name="Select all that are shown").check()
    expect(page.get_by_role("form", name="Selected contacts")).to_contain_text(re.compile(r"\d+ selected"))
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").get_by_role("button", name="Close").click()
    delete(page, names(page)[0])
    expect(count(page)).to_have_text("119")


@pytest.mark.contract(feature="tags")
def test_what_is_typed_while_a_tag_is_on_its_way_is_searched_with_it(page: Page) -> None:
    page.clock.install()
    page.reload()
    held = hold(page, "**/contacts?tag=Football")
    with page.expect_request("**/contacts?tag=Football"):
        chip(page, "Football").click()

    search(page).press_sequentially("a")
    page.clock.run_for(251)
    held[0].continue_()

    expect(page).to_have_url(re.compile(r"\?q=a&tag=Football$"))
    expect(search(page)).to_have_value("a")
    expect(search(page)).to_be_focused()


@pytest.mark.contract(feature="tags")
def test_a_tag_pressed_while_a_search_is_on_its_way_gets_both(page: Page) -> None:
    held = hold(page, "**/contacts?q=a")
    with page.expect_request("**/contacts?q=a"):
        search(page).press_sequentially("a")

    chip(page, "Football").click()

    expect(page).to_have_url(re.compile(r"\?q=a&tag=Football$"))
    assert len(held) == 1
    assert chosen(page) == ["Football"]


@pytest.mark.contract(feature="tags")
def test_two_tags_and_a_deletion_pressed_at_once_all_happen(page: Page) -> None:
    held = hold(page, "**/contacts?tag=Football")
    name = names(page)[0]
    with page.expect_request("**/contacts?tag=Football"):
        chip(page, "Football").click()

    chip(page, "Suppliers").click()
    delete(page, name)

    expect(page).to_have_url(re.compile(r"\?tag=Football&tag=Suppliers$"))
    expect(count(page)).to_have_text("119")
    assert len(held) == 1
    page.goto("/contacts")
    expect(row(page, name)).to_have_count(0)


@pytest.mark.contract(feature="delete")
def test_two_rows_deleted_one_right_after_the_other_both_go(page: Page) -> None:
    first, second = names(page)[:2]
    held = hold(page, "**/contacts/*", "DELETE")
    with page.expect_request("**/contacts/*"):
        delete(page, first)

    delete(page, second)
    held[0].continue_()

    expect(count(page)).to_have_text("118")
    expect(row(page, first)).to_have_count(0)
    expect(row(page, second)).to_have_count(0)


@pytest.mark.contract(feature="edit")
def test_an_editor_opened_while_a_search_is_on_its_way_is_open_in_what_it_finds(page: Page) -> None:
    held = hold(page, "**/contacts?q=a")
    with page.expect_request("**/contacts?q=a"):
        search(page).press_sequentially("a")

    form = edit(page, "Grace Hopper")

    expect(page).to_have_url(re.compile(r"/contacts\?q=a$"))
    expect(page).to_have_title("“a” · Contacts")
    expect(form).to_be_visible()
    expect(field(form, "Name")).to_be_focused()
    assert len(held) == 1


@pytest.mark.contract(feature="tags")
def test_a_link_opened_in_a_new_tab_is_not_taken_over(page: Page) -> None:
    with page.context.expect_page() as opened:
        chip(page, "Football").click(modifiers=["ControlOrMeta"])

    expect(opened.value).to_have_url(re.compile(r"\?tag=Football$"))
    expect(page).to_have_url(re.compile(r"/contacts$"))


@pytest.mark.contract(feature="no-script")
def test_tags_and_headings_are_plain_links_without_javascript(plain: Page, many: str) -> None:
    plain.goto("/contacts")

    chip(plain, "Football").click()
    chip(plain, "Suppliers").click()
    heading(plain, "Name").get_by_role("link").click()
    search(plain).fill("a")
    plain.get_by_role("button", name="Search").click()

    assert plain.url.endswith("/contacts?q=a&sort=name&dir=desc&tag=Football&tag=Suppliers")
    assert chosen(plain) == list(TAGS)
    assert names(plain) == sorted(names(plain), key=str.casefold, reverse=True)
