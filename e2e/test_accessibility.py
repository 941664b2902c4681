"""Every page for everybody: axe-core, keyboard, small screens, both colour schemes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import (
    assert_accessible,
    assert_no_sideways_scroll,
    bar,
    box,
    delete,
    edit,
    field,
    open_form,
    row,
    save,
    toast,
)


def add_form_with_errors(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    field(form, "Email").fill("nobody")
    form.get_by_role("button", name="Save contact").click()
    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def editor_with_errors(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    field(form, "Email").fill("nobody")
    save(form)
    expect(field(form, "Email")).to_have_attribute("aria-invalid", "true")


def toast_after_deletion(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(toast(page)).to_be_visible()


def contact_page(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("link", name="Grace Hopper", exact=True).click()
    expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()


def streaming_dashboard(page: Page) -> None:
    page.goto("/dashboard?slow=4", wait_until="commit")
    expect(page.locator("#totals")).to_be_visible()


def selected_rows(page: Page) -> None:
    page.goto("/contacts")
    for name in ("Ada Lovelace", "Alan Turing"):
        box(page, name).check()
    bar(page).get_by_text("Export").click()


def failed_save(page: Page) -> None:
    page.goto("/contacts")
    form = open_form(page)
    page.route("**/contacts", lambda route: route.fulfill(status=500))
    form.get_by_role("button", name="Save contact").click()
    expect(form.get_by_role("button", name="Try again")).to_be_focused()


def clash(page: Page) -> None:
    """Two changes of one field: a choice."""
    page.goto("/contacts")
    mine = edit(page, "Grace Hopper")
    other = page.context.new_page()
    other.goto("/contacts")
    theirs = edit(other, "Grace Hopper")
    for form, company in ((theirs, "Theirs"), (mine, "Mine")):
        field(form, "Company").fill(company)
        save(form)
    expect(mine.get_by_role("group", name="Company")).to_be_visible()
    other.close()


def partial_undo(page: Page) -> None:
    page.goto("/contacts")
    for company in ("First", "Second"):
        form = edit(page, "Grace Hopper")
        field(form, "Company").fill(company)
        save(form)
        expect(row(page, "Grace Hopper")).to_contain_text(company)
    page.goto("/activity")
    page.get_by_role("button", name="Undo: Saved Grace Hopper").last.click()
    expect(page.get_by_role("heading", name="This cannot be undone any more")).to_be_visible()


def undo_dialog(page: Page) -> None:
    page.goto("/contacts")
    other = page.context.new_page()
    for window, company in ((page, "First"), (other, "Second")):
        window.goto("/contacts")
        form = edit(window, "Grace Hopper")
        field(form, "Company").fill(company)
        save(form)
        expect(toast(window)).to_be_visible()
    other.close()
    toast(page).get_by_role("button", name="Undo").click()
    expect(page.get_by_role("dialog", name="This cannot be undone any more")).to_be_visible()


def keys_dialog(page: Page) -> None:
    page.goto("/contacts")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def everything_deleted(page: Page) -> None:
    page.goto("/contacts")
    page.get_by_role("button", name="Remove the sample contacts").click()
    expect(page.get_by_role("link", name="Import a file")).to_be_visible()


def activity(page: Page) -> None:
    page.goto("/contacts")
    delete(page, "Grace Hopper")
    expect(toast(page)).to_be_visible()
    page.goto("/activity")


def show(path: str) -> Callable[[Page], object]:
    return lambda page: page.goto(path)


STATES: dict[str, Callable[[Page], object]] = {
    "list": show("/contacts"),
    "filtered and sorted list": show("/contacts?q=a&sort=company&tag=Mathematics"),
    "selected rows": selected_rows,
    "empty list": show("/contacts?q=zzzz"),
    "no contacts": everything_deleted,
    "add form with errors": add_form_with_errors,
    "failed save": failed_save,
    "editor with errors": editor_with_errors,
    "conflict": clash,
    "toast": toast_after_deletion,
    "undo dialog": undo_dialog,
    "undo page": partial_undo,
    "keys": keys_dialog,
    "contact": contact_page,
    "activity": activity,
    "dashboard": show("/dashboard"),
    "dashboard while it loads": streaming_dashboard,
    "dashboard with a failed section": show("/dashboard?fail=weeks"),
    "not found": show("/contacts/987654321"),
    "api": show("/api/docs"),
}
# Those that only the app can be in.
OWN = {
    "selected rows",
    "no contacts",
    "undo page",
    "keys",
    "activity",
    "api",
    "dashboard with a failed section",
}
CONTRACT = pytest.mark.contract(feature="accessibility")
EVERY = [state if state in OWN else pytest.param(state, marks=CONTRACT) for state in STATES]


@pytest.mark.console_errors  # axe tries inline styles in shadow roots, which the page's policy refuses
@pytest.mark.parametrize("state", EVERY)
def test_axe_finds_nothing_wide_or_narrow_in_either_colour_scheme(
    new_window: Callable[..., Page], state: str
) -> None:
    page = new_window()
    STATES[state](page)

    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert_accessible(page)


# 640 is 1280 at a zoom of 200 %, 320 at 400 %.
@pytest.mark.console_errors
@pytest.mark.parametrize("state", EVERY)
def test_nothing_is_wider_than_the_window(new_window: Callable[..., Page], state: str) -> None:
    page = new_window()
    STATES[state](page)

    for width in (1920, 768, 640, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert_no_sideways_scroll(page)


@pytest.mark.console_errors
@pytest.mark.parametrize("state", EVERY)
def test_every_target_is_at_least_24_pixels_large_or_has_room(
    new_window: Callable[..., Page], state: str
) -> None:
    page = new_window()
    STATES[state](page)

    # WCAG 2.2, 2.5.8; links in sentences are exempt.
    small = page.locator("button, .button, summary, input:not([type=hidden]), .chip, .sort").evaluate_all(
        """all => all.filter(e => e.checkVisibility())
            .filter(e => !e.closest(".visually-hidden, .search__button, .skip, label"))
            .filter(e => { const box = e.getBoundingClientRect(); return Math.min(box.width, box.height) < 24
                && !(e.type === "checkbox" && Math.min(box.width, box.height) >= 16); })
            .map(e => e.outerHTML)"""
    )

    assert small == []


@CONTRACT
def test_every_tag_of_a_long_row_is_reached_by_keyboard_on_a_small_screen(
    new_window: Callable[..., Page], many: str
) -> None:
    page = new_window(viewport={"width": 320, "height": 640})
    page.goto("/contacts")
    last = page.locator(".chip:visible").last
    expect(last).not_to_be_in_viewport()

    last.focus()

    expect(last).to_be_in_viewport(ratio=1)
    assert_no_sideways_scroll(page)


def test_a_page_on_a_phone_is_as_wide_as_the_phone(new_window: Callable[..., Page], many: str) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)

    for path in ("/contacts", "/contacts?q=a&tag=Football", "/contacts/new", "/activity"):
        page.goto(path)
        assert page.evaluate("[window.innerWidth, document.documentElement.scrollWidth]") == [390, 390]


def test_forced_colours_and_reduced_motion_keep_everything_usable(new_window: Callable[..., Page]) -> None:
    page = new_window(forced_colors="active", reduced_motion="reduce")
    selected_rows(page)

    expect(bar(page).get_by_role("button", name="vCard")).to_be_visible()
    box_border = page.locator(".chip").first.evaluate("chip => getComputedStyle(chip).borderTopStyle")
    assert box_border == "solid"
    delete(page, "Grace Hopper")
    expect(toast(page)).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


@CONTRACT
def test_every_control_on_a_phone_is_large_enough_to_touch(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/contacts/new")

    targets = (
        "button:visible, .button:visible, summary:visible, .pick label, input:visible:not([type=checkbox])"
    )
    small = page.locator(targets).evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 40 && !e.closest('.visually-hidden') "
        "&& !e.matches('.search__button, .skip, .chip')).map(e => e.outerHTML)"
    )

    assert small == []


@CONTRACT
def test_a_contact_is_found_edited_and_saved_by_keyboard_alone(page: Page) -> None:
    page.goto("/contacts")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Grace Hopper", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Edit Grace Hopper")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field(page, "Name")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" PhD")
    page.keyboard.press("Enter")

    expect(row(page, "Grace Hopper PhD")).to_be_visible()


@CONTRACT
def test_the_actions_of_a_row_are_visible_when_the_keyboard_reaches_them(page: Page) -> None:
    page.goto("/contacts")
    button = page.get_by_role("button", name="Delete Grace Hopper")

    button.focus()

    expect(button).to_have_css("opacity", "1")
