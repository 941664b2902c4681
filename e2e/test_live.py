"""What one window changes shows in the others."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from e2e.conftest import Site
from e2e.steps import (
    add,
    alert,
    bar,
    box,
    chip,
    count,
    delete,
    edges,
    edit,
    field,
    hold,
    ids,
    load_more,
    names,
    not_live,
    row,
    save,
    search,
    status,
    toast,
)
from tests.server_process import ROOT, running_server


@pytest.fixture
def other(new_window: Callable[..., Page]) -> Page:
    """Somebody else's window, on the list."""
    other = new_window()
    other.goto("/contacts")
    return other


def sign(page: Page) -> Locator:
    """What says that the stream is down."""
    return page.locator("#live-sign")


def note(form: Locator) -> Locator:
    """What an open editor says about other windows."""
    return form.locator(".elsewhere")


def updates(page: Page) -> list[str]:
    """The addresses that the window fetches to follow others, from here on."""
    fetched: list[str] = []

    def remember(request: Request) -> None:
        if request.resource_type == "fetch":
            fetched.append(request.url)

    page.on("request", remember)
    return fetched


# ---- the list


@pytest.mark.contract(feature="live")
def test_a_new_contact_appears_where_it_belongs_in_every_list(
    page: Page, other: Page, new_window: Callable[..., Page]
) -> None:
    page.goto("/contacts")
    found, newest = new_window(), new_window()
    found.goto("/contacts?q=lovelace&tag=VIP")
    newest.goto("/contacts?sort=updated")

    add(other, "Ada Byron Lovelace", email="byron@example.com")
    form = edit(other, "Ada Byron Lovelace")
    field(form, "Tags").fill("VIP, New")
    save(form)

    for window in (page, newest, found):
        expect(row(window, "Ada Byron Lovelace")).to_be_visible()
        expect(count(window)).to_have_text("13")
        expect(chip(window, "VIP")).to_contain_text("3")
    assert names(page)[:2] == ["Ada Byron Lovelace", "Ada Lovelace"]
    assert names(found) == ["Ada Byron Lovelace", "Ada Lovelace"]
    expect(newest.locator("#contact-rows .person__name").first).to_have_text("Ada Byron Lovelace")
    expect(chip(page, "New")).to_be_visible()


@pytest.mark.contract(feature="live")
def test_what_does_not_belong_to_a_list_does_not_appear_in_it(page: Page, other: Page) -> None:
    page.goto("/contacts?q=lovelace")

    add(other, "Sophie Wilson", email="sophie@example.com")

    expect(count(page)).to_have_text("13")
    assert names(page) == ["Ada Lovelace"]


@pytest.mark.contract(feature="live")
def test_a_changed_contact_changes_and_moves_to_its_place(page: Page, other: Page) -> None:
    page.goto("/contacts")
    form = edit(other, "Ada Lovelace")
    field(form, "Name").fill("Zoë Lovelace")
    field(form, "Company").fill("Engines Ltd")
    save(form)

    expect(row(page, "Zoë Lovelace")).to_contain_text("Engines Ltd")
    expect(row(page, "Ada Lovelace")).to_have_count(0)
    assert names(page)[0] == "Alan Turing"
    shown = names(page)
    page.reload()
    assert names(page) == shown


@pytest.mark.contract(feature="live")
def test_a_deleted_contact_goes_and_comes_back_when_that_is_undone(page: Page, other: Page) -> None:
    page.goto("/contacts")
    before = names(page)

    delete(other, "Grace Hopper")
    expect(row(page, "Grace Hopper")).to_have_count(0)
    expect(count(page)).to_have_text("11")
    toast(other).get_by_role("button", name="Undo").click()

    expect(row(page, "Grace Hopper")).to_be_visible()
    expect(count(page)).to_have_text("12")
    assert names(page) == before


@pytest.mark.contract(feature="live")
def test_a_row_that_goes_fades_first(new_window: Callable[..., Page], other: Page) -> None:
    page = new_window(reduced_motion="no-preference")
    page.goto("/contacts")
    page.evaluate(
        """() => new MutationObserver((changes) => changes.forEach(({ target }) => {
            if (target.classList.contains("leaving")) window.faded = target.innerText;
            if (target.classList.contains("news")) window.flashed = target.innerText;
        })).observe(document.querySelector("#contact-rows"), { attributes: true, subtree: true })"""
    )

    delete(other, "Grace Hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(11)
    add(other, "Sophie Wilson", email="sophie@example.com")
    expect(page.locator("#contact-rows tr")).to_have_count(12)

    assert "Grace Hopper" in page.evaluate("window.faded")
    assert "Sophie Wilson" in page.evaluate("window.flashed")
    expect(page.locator("#contact-rows .news")).to_have_count(0)


@pytest.mark.contract(feature="live")
def test_a_list_of_several_pages_stays_as_long_as_it_is(page: Page, many: str, other: Page) -> None:
    page.goto("/contacts")
    load_more(page, 100)
    before, fetched = names(page), updates(page)

    add(other, "Aaron Aaronson", email="aaron@example.com")

    expect(row(page, "Aaron Aaronson")).to_be_attached()
    expect(page.locator("#contact-rows tr:not(.more)")).to_have_count(100)
    assert names(page) == ["Aaron Aaronson", *before[:99]]
    assert len(fetched) == 1
    load_more(page, 121)
    assert len(set(ids(page))) == 121


@pytest.mark.contract(feature="live")
def test_an_update_waits_for_the_rows_that_are_loading(page: Page, many: str, other: Page) -> None:
    page.goto("/contacts")
    held = hold(page, re.compile(r"/contacts\?after="))
    page.locator("#more").scroll_into_view_if_needed()
    while not held:
        page.evaluate("document.title")  # gives the request time to be held

    add(other, "Aaron Aaronson", email="aaron@example.com")
    expect(count(other)).to_have_text("121")
    held[0].continue_()

    expect(row(page, "Aaron Aaronson")).to_be_attached()
    expect(page.locator("#contact-rows tr:not(.more)")).to_have_count(100)
    load_more(page, 121)
    assert len(set(ids(page))) == 121


@pytest.mark.contract(feature="live")
def test_what_a_person_looks_at_stays_where_it_is(page: Page, many: str, other: Page) -> None:
    page.goto("/contacts")
    last = page.locator("#contact-rows tr[id]").nth(30)
    last.scroll_into_view_if_needed()
    before = edges(last)

    add(other, "Aaron Aaronson", email="aaron@example.com")
    expect(row(page, "Aaron Aaronson")).to_be_attached()

    assert edges(page.locator("#contact-rows tr[id]").nth(31)) == before


@pytest.mark.contract(feature="live")
def test_rows_that_stay_are_not_moved(page: Page, many: str, other: Page) -> None:
    page.goto("/contacts")
    tenth = names(page)[9]
    page.evaluate(
        """() => {
            window.moved = 0;
            new MutationObserver((changes) => changes.forEach(({ removedNodes }) => {
                window.moved += [...removedNodes].filter((node) => node.tagName === "TR").length;
            })).observe(document.querySelector("#contact-rows"), { childList: true });
        }"""
    )

    add(other, "Aaron Aaronson", email="aaron@example.com")
    expect(row(page, "Aaron Aaronson")).to_be_attached()
    assert page.evaluate("window.moved") == 1  # the last one, which is on the next page now
    form = edit(other, tenth)
    field(form, "Name").fill("Ab Initio")
    save(form)

    expect(page.locator("#contact-rows .person__name").nth(1)).to_have_text("Ab Initio")
    assert page.evaluate("window.moved") == 2


@pytest.mark.contract(feature="live")
def test_a_window_without_script_is_right_after_a_reload(plain: Page, other: Page) -> None:
    plain.goto("/contacts")

    delete(other, "Grace Hopper")
    expect(count(other)).to_have_text("11")
    plain.reload()

    expect(count(plain)).to_have_text("11")
    expect(row(plain, "Grace Hopper")).to_have_count(0)


@pytest.mark.contract(feature="live")
def test_a_page_that_was_loaded_before_the_change_is_brought_up_to_date(page: Page, other: Page) -> None:
    held = hold(page, "**/live?*")
    page.goto("/contacts")
    delete(other, "Grace Hopper")
    expect(count(other)).to_have_text("11")
    expect(row(page, "Grace Hopper")).to_be_visible()

    held[0].continue_()

    expect(row(page, "Grace Hopper")).to_have_count(0)


@pytest.mark.contract(feature="live")
def test_what_a_window_changes_itself_it_does_not_fetch_again(page: Page, other: Page) -> None:
    page.goto("/contacts")
    fetched = updates(page)

    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    expect(count(other)).to_have_text("11")
    add(other, "Sophie Wilson", email="sophie@example.com")
    expect(count(page)).to_have_text("12")

    assert len(fetched) == 1


# ---- what a person is doing meanwhile


@pytest.mark.contract(feature="live")
def test_a_contact_that_is_being_edited_stays_and_leads_to_the_conflict(page: Page, other: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Ada Lovelace")
    field(form, "Phone").fill("555-0123")
    field(form, "Company").fill("Mine")

    theirs = edit(other, "Ada Lovelace")
    field(theirs, "Company").fill("Theirs")
    save(theirs)

    expect(note(form)).to_contain_text("Someone else has changed this contact meanwhile.")
    expect(field(form, "Company")).to_have_value("Mine")
    expect(field(form, "Company")).to_be_focused()
    note(form).get_by_role("button", name="See both").click()
    clash = form.get_by_role("group", name=re.compile("^Company"))
    expect(clash.get_by_label("Theirs")).to_be_visible()
    expect(note(form)).to_have_count(0)
    clash.get_by_label("Mine").check()
    form.get_by_role("button", name="Save both changes").click()
    for window in (page, other):
        expect(row(window, "Ada Lovelace")).to_contain_text("Mine")
        expect(row(window, "Ada Lovelace")).to_contain_text("555-0123")


@pytest.mark.contract(feature="live")
def test_a_contact_that_is_deleted_while_it_is_being_edited_can_be_saved_anew(
    page: Page, other: Page
) -> None:
    page.goto("/contacts?q=lovelace")
    form = edit(page, "Ada Lovelace")
    field(form, "Phone").fill("555-0123")

    delete(other, "Ada Lovelace")

    expect(note(form)).to_contain_text("Someone else has deleted this contact meanwhile.")
    expect(field(form, "Phone")).to_have_value("555-0123")
    save(form)
    form.get_by_role("button", name="Save as a new contact").click()
    expect(row(page, "Ada Lovelace")).to_contain_text("555-0123")
    expect(row(other, "Ada Lovelace")).to_contain_text("555-0123")


@pytest.mark.contract(feature="live")
def test_an_editor_says_nothing_of_changes_to_other_contacts(page: Page, other: Page) -> None:
    page.goto("/contacts?q=lovelace")
    form = edit(page, "Ada Lovelace")
    field(form, "Name").fill("Augusta Ada King")

    delete(other, "Grace Hopper")
    expect(count(page)).to_have_text("11")

    expect(note(form)).to_have_count(0)
    expect(field(form, "Name")).to_have_value("Augusta Ada King")
    save(form)
    expect(row(page, "Augusta Ada King")).to_be_visible()


@pytest.mark.contract(feature="live")
def test_what_is_typed_in_the_add_form_and_the_search_stays(page: Page, other: Page) -> None:
    page.goto("/contacts/new")
    field(page, "Name").fill("Sophie W")

    delete(other, "Grace Hopper")
    expect(count(page)).to_have_text("11")

    expect(field(page, "Name")).to_be_focused()
    expect(field(page, "Name")).to_have_value("Sophie W")
    page.goto("/contacts")
    search(page).press_sequentially("a")
    delete(other, "Alan Turing")
    expect(count(page)).to_have_text("10")
    expect(search(page)).to_be_focused()
    expect(search(page)).to_have_value("a")


@pytest.mark.contract(feature="bulk")
def test_selected_rows_stay_selected(page: Page, other: Page) -> None:
    page.goto("/contacts")
    box(page, "Ada Lovelace").check()
    box(page, "Grace Hopper").check()
    expect(bar(page)).to_contain_text("2 selected")

    delete(other, "Grace Hopper")

    expect(bar(page)).to_contain_text("1 selected")
    expect(box(page, "Ada Lovelace")).to_be_checked()
    add(other, "Aaron Aaronson", email="aaron@example.com")
    expect(box(page, "Aaron Aaronson")).not_to_be_checked()
    expect(box(page, "Ada Lovelace")).to_be_checked()


@pytest.mark.contract(feature="bulk")
def test_a_row_that_fades_is_no_longer_selected(new_window: Callable[..., Page], other: Page) -> None:
    page = new_window(reduced_motion="no-preference")
    page.goto("/contacts")
    for name in ("Ada Lovelace", "Grace Hopper", "Alan Turing"):
        box(page, name).check()

    delete(other, "Grace Hopper")

    expect(bar(page)).to_contain_text("2 selected")


@pytest.mark.contract(feature="bulk")
def test_all_that_match_stay_selected_with_those_that_come(page: Page, many: str, other: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("checkbox", name="Select all that are shown").check()
    bar(page).get_by_role("checkbox", name=re.compile("^All")).check()
    expect(bar(page)).to_contain_text("All 120 selected")

    add(other, "Aaron Aaronson", email="aaron@example.com")

    expect(bar(page)).to_contain_text("All 121 selected")
    expect(box(page, "Aaron Aaronson")).to_be_checked()


@pytest.mark.contract(feature="live")
def test_the_focus_stays_where_it_is_and_goes_to_the_next_row_if_that_one_goes(
    page: Page, other: Page
) -> None:
    page.goto("/contacts")
    grace = page.get_by_role("link", name="Grace Hopper", exact=True)
    grace.focus()

    add(other, "Aaron Aaronson", email="aaron@example.com")
    expect(count(page)).to_have_text("13")
    expect(grace).to_be_focused()
    delete(other, "Grace Hopper")

    expect(page.get_by_role("link", name="Katherine Johnson", exact=True)).to_be_focused()
    expect(status(page)).to_have_text("The contact that you were at is no longer in this list.")


@pytest.mark.contract(feature="live")
def test_a_change_that_comes_during_a_request_is_shown_after_it(page: Page, other: Page) -> None:
    page.goto("/contacts")
    held = hold(page, "**/contacts/*", "DELETE")
    delete(page, "Ada Lovelace")

    delete(other, "Grace Hopper")
    expect(count(other)).to_have_text("11")
    expect(row(page, "Grace Hopper")).to_be_visible()
    held[0].continue_()

    for name in ("Ada Lovelace", "Grace Hopper"):
        expect(row(page, name)).to_have_count(0)
    expect(count(page)).to_have_text("10")
    expect(toast(page)).to_contain_text("Deleted Ada Lovelace.")


@pytest.mark.contract(feature="live")
def test_an_answer_that_is_older_than_an_own_change_is_not_shown(page: Page, other: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Phone").fill("555-0177")
    held = hold(page, "**/contacts?rows=*")
    delete(other, "Alan Turing")
    while not held:
        page.evaluate("document.title")  # gives the request time to be held
    older = held[0].fetch()
    save(form)
    expect(row(page, "Grace Hopper")).to_contain_text("555-0177")
    page.evaluate(
        """() => new MutationObserver(() => {
            if (!document.querySelector("#main").innerText.includes("555-0177")) window.cameBack = true;
        }).observe(document.querySelector("#contact-rows"), { characterData: true, subtree: true })"""
    )

    held[0].fulfill(response=older)

    expect(row(page, "Alan Turing")).to_have_count(0)
    assert not page.evaluate("window.cameBack")


# ---- other pages


@pytest.mark.contract(feature="live")
def test_the_page_of_a_contact_follows(page: Page, other: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("link", name="Ada Lovelace", exact=True).click()

    form = edit(other, "Ada Lovelace")
    field(form, "Name").fill("Ada King")
    save(form)

    expect(page.get_by_role("heading", level=1)).to_have_text("Ada King")
    expect(page.locator(".history li").first).to_contain_text("Ada King")
    expect(page).to_have_title("Ada King · Contacts")
    delete(other, "Ada King")
    expect(alert(page)).to_contain_text("This was deleted in another window")
    alert(page).get_by_role("button", name="Dismiss").click()
    with page.expect_response(re.compile(r"/contacts/\d+$")):
        delete(other, "Grace Hopper")
    expect(alert(page)).to_be_empty()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/activity", "#done li"),
        ("/dashboard", "#activity li"),
    ],
)
def test_activity_and_dashboard_follow(page: Page, other: Page, path: str, shown: str) -> None:
    page.goto(path)
    expect(page.locator(shown)).to_have_count(1)

    delete(other, "Grace Hopper")

    expect(page.locator(shown).first).to_contain_text("Deleted Grace Hopper")


def test_a_button_of_the_activity_stays_that_of_its_change(page: Page, other: Page) -> None:
    delete(other, "Grace Hopper")
    page.goto("/dashboard")
    undo = page.get_by_role("button", name="Undo: Deleted Grace Hopper")
    undo.focus()

    delete(other, "Alan Turing")
    expect(page.locator("#activity li")).to_have_count(3)

    expect(undo).to_be_focused()


def test_the_duplicates_follow(page: Page, other: Page) -> None:
    page.goto("/contacts/duplicates")
    expect(page.get_by_role("heading", name="No likely duplicates")).to_be_visible()

    add(other, "Ada Lovelace", phone="555-0123")

    expect(page.get_by_role("heading", name=re.compile("^Ada Lovelace"))).to_be_visible()


# ---- when it cannot be


@pytest.mark.contract(feature="live")
@pytest.mark.console_errors
def test_without_a_stream_everything_else_works_and_a_sign_says_so(page: Page) -> None:
    page.route("**/live?*", lambda route: route.abort())
    page.goto("/contacts")

    expect(sign(page)).to_have_text("Reconnecting…")
    delete(page, "Grace Hopper")
    expect(count(page)).to_have_text("11")
    page.unroute("**/live?*")
    expect(sign(page)).to_be_hidden()


def listen(page: Page) -> None:
    """Have `page.evaluate("news")` wait for the next change that the window is told of."""
    page.evaluate("""() => {
        window.news = new Promise(told => stream.addEventListener("changed", event => told(event.data)));
    }""")


def test_a_stream_that_says_nothing_any_more_is_taken_for_lost(page: Page) -> None:
    page.clock.install()
    page.goto("/contacts")
    expect(count(page)).to_have_text("12")
    not_live(page)
    page.clock.fast_forward("00:20")
    expect(sign(page)).to_be_empty()

    page.clock.fast_forward("00:30")

    expect(sign(page)).to_have_text("Reconnecting…")


def test_a_window_that_was_hidden_catches_up(page: Page, other: Page) -> None:
    page.clock.install()
    page.goto("/contacts")
    page.clock.pause_at("2100-01-01")  # so that what is heard waits for its turn
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    listen(page)
    delete(other, "Grace Hopper")
    page.evaluate("news")
    page.evaluate(hide, True)
    assert page.evaluate("stream") is None
    page.clock.run_for(5_000)
    expect(row(page, "Grace Hopper")).to_be_visible()

    page.evaluate(hide, False)

    expect(row(page, "Grace Hopper")).to_have_count(0)


@pytest.mark.console_errors
def test_a_window_that_cannot_follow_asks_less_and_less_often(page: Page, other: Page) -> None:
    page.clock.install()
    page.route("**/contacts?rows=*", lambda route: route.fulfill(status=503))
    page.goto("/contacts")
    page.clock.pause_at("2100-01-01")
    fetched = updates(page)
    listen(page)
    delete(other, "Grace Hopper")
    page.evaluate("news")

    for _ in range(200):
        page.clock.run_for(100)  # 20 seconds, in which a window without patience would ask 60 times

    assert 3 <= len(fetched) <= 8
    page.unroute("**/contacts?rows=*")
    page.clock.resume()
    page.clock.fast_forward("01:00")
    expect(row(page, "Grace Hopper")).to_have_count(0)


@pytest.mark.console_errors
def test_after_a_restart_of_the_server_the_window_catches_up(
    new_window: Callable[..., Page], tmp_path: Path
) -> None:
    with running_server(tmp_path) as server:
        port, url = urlsplit(server.url).port, server.url
        page, other = new_window(base_url=url), new_window(base_url=url)
        page.goto("/contacts")
        other.goto("/contacts")
        expect(sign(page)).to_be_hidden()
        server.stop()
        expect(sign(page)).to_have_text("Reconnecting…")
    with running_server(tmp_path, CONTACTS_PORT=str(port)):
        delete(other, "Grace Hopper")

        expect(sign(page)).to_be_hidden()
        expect(row(page, "Grace Hopper")).to_have_count(0)


def test_an_import_by_the_command_line_is_one_calm_update(page: Page, started: Site, tmp_path: Path) -> None:
    if not started.database:
        pytest.skip("needs the server's database")
    file = tmp_path / "people.csv"
    file.write_text("Name,Phone\n" + "".join(f"Person {number:04},555-0100\n" for number in range(10_000)))
    page.goto("/contacts")
    fetched = updates(page)

    subprocess.run(
        [sys.executable, "-m", "app", "import", file],
        cwd=ROOT,
        env={**os.environ, "CONTACTS_STORE": started.database.url},
        check=True,
        capture_output=True,
    )

    expect(count(page)).to_have_text("10,012")
    assert len(fetched) == 1
