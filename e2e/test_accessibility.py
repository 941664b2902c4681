"""Every page for everybody: axe-core, keyboard, small screens, both colour schemes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from e2e.steps import (
    assert_accessible,
    assert_no_sideways_scroll,
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


def conflict(page: Page) -> None:
    page.goto("/contacts")
    form = edit(page, "Grace Hopper")
    form.locator("[name=version]").evaluate("field => { field.value = 7 }")
    field(form, "Company").fill("Mine")
    save(form)
    expect(form).to_contain_text("Someone else changed this contact")


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
    expect(page.locator("#statistics")).to_be_visible()


def show(path: str) -> Callable[[Page], object]:
    return lambda page: page.goto(path)


STATES: dict[str, Callable[[Page], object]] = {
    "list": show("/contacts"),
    "empty list": show("/contacts?q=zzzz"),
    "add form with errors": add_form_with_errors,
    "editor with errors": editor_with_errors,
    "conflict": conflict,
    "toast": toast_after_deletion,
    "contact": contact_page,
    "dashboard": show("/dashboard"),
    "dashboard while it loads": streaming_dashboard,
    "dashboard with a failed section": show("/dashboard?fail=statistics"),
    "not found": show("/contacts/987654321"),
}


@pytest.mark.console_errors  # axe tries inline styles in shadow roots, which the page's policy refuses
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_either_colour_scheme(new_window: Callable[..., Page], state: str) -> None:
    page = new_window(color_scheme="light")
    STATES[state](page)

    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page)


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_wider_than_the_window(new_window: Callable[..., Page], state: str) -> None:
    page = new_window()
    STATES[state](page)

    for width in (1920, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert_no_sideways_scroll(page)


def test_every_control_on_a_phone_is_large_enough_to_touch(new_window: Callable[..., Page]) -> None:
    page = new_window(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/contacts/new")

    small = page.locator("button:visible, .button:visible, input:visible").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().height < 40 && !e.closest('.visually-hidden') "
        "&& !e.matches('.search__button, .skip')).map(e => e.outerHTML)"
    )

    assert small == []


def test_a_contact_is_found_edited_and_saved_by_keyboard_alone(page: Page) -> None:
    page.goto("/contacts")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("hopper")
    expect(page.locator("#contact-rows tr")).to_have_count(1)
    editor = page.get_by_role("link", name="Edit Grace Hopper")
    for _ in range(8):
        page.keyboard.press("Tab")
        if editor.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(field(page, "Name")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" PhD")
    page.keyboard.press("Enter")

    expect(row(page, "Grace Hopper PhD")).to_be_visible()


def test_the_actions_of_a_row_are_visible_when_the_keyboard_reaches_them(page: Page) -> None:
    page.goto("/contacts")
    button = page.get_by_role("button", name="Delete Grace Hopper")

    button.focus()

    expect(button).to_have_css("opacity", "1")
