"""The list: search, order, paging, and that the address always shows it again."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import add, alert, count, delete, ids, load_more, names, not_live, row, search, status

ROWS = "#contact-rows tr:not(.more)"


@pytest.mark.contract(feature="list")
def test_the_list_shows_the_contacts_and_how_many_there_are(page: Page) -> None:
    page.goto("/contacts")

    expect(count(page)).to_have_text("12")
    assert len(names(page)) == 12
    assert names(page) == sorted(names(page), key=str.casefold)


@pytest.mark.contract(feature="search")
def test_typing_in_the_search_box_filters_the_list_without_a_reload(page: Page) -> None:
    page.goto("/contacts")
    page.evaluate("window.sameDocument = true")

    page.get_by_role("searchbox", name="Search contacts").type("love")

    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(row(page, "Ada Lovelace")).to_be_visible()
    expect(status(page)).to_have_text("1 contact found.")
    expect(count(page)).to_have_text("12")
    assert page.evaluate("window.sameDocument") is True


@pytest.mark.contract(feature="search")
def test_six_quick_keys_send_one_request(page: Page) -> None:
    page.clock.install()
    page.goto("/contacts")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))

    page.get_by_role("searchbox").press_sequentially("lovela")
    page.clock.run_for(251)

    expect(page.locator("#contact-rows tr")).to_have_count(1)
    assert [url for url in sent if "/contacts" in url] == [page.url]


@pytest.mark.contract(feature="search")
def test_a_late_answer_never_replaces_a_newer_one(page: Page) -> None:
    page.goto("/contacts")
    held = []
    page.route("**/contacts?q=ada", lambda route: held.append(route))
    with page.expect_request("**/contacts?q=ada"):
        page.get_by_role("searchbox").fill("ada")

    page.get_by_role("searchbox").fill("hopper")

    expect(row(page, "Grace Hopper")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?q=hopper$"))
    assert len(held) == 1
    held[0].abort()
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(row(page, "Grace Hopper")).to_be_visible()


@pytest.mark.contract(feature="search")
def test_a_spinner_shows_while_a_search_takes_long(page: Page) -> None:
    page.goto("/contacts")
    held = []
    page.route("**/contacts?q=*", lambda route: held.append(route))

    page.get_by_role("searchbox").fill("ada")

    expect(page.locator("#searching")).to_be_visible()
    held[0].continue_()
    expect(page.locator("#searching")).to_be_hidden()


@pytest.mark.contract(feature="history")
def test_the_address_shows_the_search_and_a_reload_or_a_pasted_link_brings_it_back(
    page: Page, new_window: Callable[..., Page]
) -> None:
    page.goto("/contacts")
    page.get_by_role("searchbox").fill("hopper")
    expect(page).to_have_url(re.compile(r"/contacts\?q=hopper$"))

    page.reload()
    other = new_window()
    other.goto(page.url)

    for window in (page, other):
        expect(window.get_by_role("searchbox")).to_have_value("hopper")
        assert names(window) == ["Grace Hopper"]


@pytest.mark.contract(feature="history")
def test_back_and_forward_show_whole_pages_again(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("searchbox").fill("hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    page.go_back()

    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert names(page) == ["Grace Hopper"]
    page.go_back()
    expect(page.locator("#contact-rows tr")).to_have_count(12)
    page.go_forward()
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


@pytest.mark.contract(feature="search")
def test_a_search_without_a_match_says_so_and_offers_a_way_back(page: Page) -> None:
    page.goto("/contacts")

    page.get_by_role("searchbox").fill("zzzz")

    expect(page.get_by_role("heading", name="No contacts found")).to_be_visible()
    expect(status(page)).to_have_text("No contacts found.")
    page.get_by_role("link", name="Show all contacts").click()
    expect(page.locator("#contact-rows tr")).to_have_count(12)


@pytest.mark.contract(feature="search")
def test_what_a_search_found_is_marked(page: Page) -> None:
    page.goto("/contacts")

    search(page).fill("love")

    expect(row(page, "Ada Lovelace").locator("mark")).to_have_text("Love")
    search(page).fill("logbook")
    expect(row(page, "Grace Hopper").locator("mark")).to_have_text("logbook")


@pytest.mark.contract(feature="search")
@pytest.mark.parametrize("text", ["a", '"', "O'", "👩🏽‍💻", "<b>", "%_\\", "c++ & c#", "李"])
def test_whatever_is_searched_for_is_in_the_address_and_comes_back_as_it_was(page: Page, text: str) -> None:
    page.goto("/contacts")

    search(page).fill(text)
    expect(page).to_have_title(f"“{text}” · Contacts")
    found = ids(page)
    page.reload()

    expect(search(page)).to_have_value(text)
    expect(page).to_have_title(f"“{text}” · Contacts")
    assert ids(page) == found


@pytest.mark.contract(feature="no-script")
def test_search_works_without_javascript(plain: Page) -> None:
    plain.goto("/contacts")

    plain.get_by_role("searchbox").fill("hopper")
    plain.get_by_role("button", name="Search").click()

    assert plain.url.endswith("/contacts?q=hopper")
    assert names(plain) == ["Grace Hopper"]


@pytest.mark.contract(feature="sort")
def test_a_heading_sorts_the_list_and_turns_it_round(plain: Page) -> None:
    plain.goto("/contacts")
    first, last = names(plain)[0], names(plain)[-1]

    plain.get_by_role("columnheader", name="Name").get_by_role("link").click()

    assert (names(plain)[0], names(plain)[-1]) == (last, first)
    expect(plain.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "descending")


@pytest.mark.contract(feature="paging")
def test_load_more_adds_the_next_rows_below(page: Page, many: str) -> None:
    page.goto("/contacts")
    expect(page.locator(ROWS)).to_have_count(50)
    search(page).focus()

    load_more(page, 100)
    load_more(page, 120)

    expect(page.get_by_role("link", name="Load more")).to_have_count(0)
    assert len(set(ids(page))) == 120
    expect(page).to_have_url(f"{many}/contacts")
    expect(search(page)).to_be_focused()


@pytest.mark.contract(feature="paging")
def test_what_another_window_adds_and_deletes_meanwhile_is_neither_twice_nor_lost(
    page: Page, many: str, new_window: Callable[..., Page]
) -> None:
    not_live(page)
    page.goto("/contacts")
    before = ids(page)
    other = new_window()
    other.goto("/contacts")
    delete(other, names(other)[3])
    expect(count(other)).to_have_text("119")
    add(other, "Aaron Aaronson", "aaron@example.com")
    expect(count(other)).to_have_text("120")

    load_more(page, 100)
    load_more(page, 120)

    assert ids(page)[:50] == before
    assert len(set(ids(page))) == 120


@pytest.mark.contract(feature="paging")
@pytest.mark.console_errors
def test_rows_that_could_not_be_loaded_are_loaded_by_a_press(page: Page, many: str) -> None:
    page.goto("/contacts")
    page.route("**/contacts?after=*", lambda route: route.fulfill(status=500))
    page.locator("#more").scroll_into_view_if_needed()
    expect(alert(page)).to_contain_text("error 500")
    page.unroute_all()

    page.get_by_role("link", name="Load more").click()

    expect(page.locator(ROWS)).to_have_count(100)


@pytest.mark.contract(feature="paging")
def test_load_more_by_keyboard_moves_on_to_the_first_new_row(page: Page, many: str) -> None:
    page.goto("/contacts")

    page.get_by_role("link", name="Load more").focus()

    expect(page.locator("#contact-rows tr").nth(50).locator(".person__name")).to_be_focused()


@pytest.mark.contract(feature="list")
def test_a_page_takes_clicks_at_once(new_window: Callable[..., Page]) -> None:
    page = new_window(reduced_motion="no-preference")
    page.goto("/dashboard")

    page.get_by_role("link", name="Contacts", exact=True).first.click()
    page.get_by_role("link", name="New contact").click()

    expect(page.locator("#form-section form")).to_be_visible()


@pytest.mark.contract(feature="no-script")
def test_load_more_is_a_plain_link_without_javascript(plain: Page, many: str) -> None:
    plain.goto("/contacts")
    first = ids(plain)
    seen = list(first)

    while (more := plain.get_by_role("link", name="Load more")).count():
        more.click()
        seen += ids(plain)

    assert len(seen) == len(set(seen)) == 120
    plain.get_by_role("link", name="Back to the first contacts").click()
    assert ids(plain) == first


def test_the_sample_contacts_go_with_one_click_and_come_back_with_undo(page: Page) -> None:
    page.goto("/contacts")

    page.get_by_role("button", name="Remove the sample contacts").click()

    expect(count(page)).to_have_text("0")
    expect(page.get_by_role("heading", name="No contacts found")).to_be_visible()
    expect(page.get_by_text("samples")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(count(page)).to_have_text("12")
    assert len(names(page)) == 12


def test_the_sample_contacts_go_without_javascript_too(plain: Page) -> None:
    plain.goto("/contacts")

    plain.get_by_role("button", name="Remove the sample contacts").click()

    expect(count(plain)).to_have_text("0")
    expect(plain.get_by_role("link", name="New contact").last).to_be_visible()


@pytest.mark.contract(feature="show")
def test_a_contact_has_a_page_of_its_own_with_links_to_write_and_to_call(page: Page) -> None:
    page.goto("/contacts?q=hopper")

    page.get_by_role("link", name="Grace Hopper", exact=True).click()

    expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    expect(page.locator("a[href^='mailto:']")).to_be_visible()
    expect(page.locator("a[href^='tel:+']")).to_be_visible()
    page.get_by_role("link", name="Found contacts").click()
    expect(page.get_by_role("searchbox")).to_have_value("hopper")
