"""What a person does and sees, by role, label and text."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

AXE = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()


def row(page: Page, name: str) -> Locator:
    """The row of a contact in the list."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def names(page: Page) -> list[str]:
    """The names in the list, from the top."""
    return page.locator("#contact-rows .person__name").all_inner_texts()


def ids(page: Page) -> list[str]:
    """The ids of the rows in the list, from the top."""
    return [row.get_attribute("id") or "" for row in page.locator("#contact-rows tr:not(.more)").all()]


def count(page: Page) -> Locator:
    """The badge with the number of contacts."""
    return page.locator("#contact-count")


def field(page: Page | Locator, label: str) -> Locator:
    """A field of the open form."""
    return page.get_by_role("textbox", name=label).or_(page.get_by_role("combobox", name=label))


def load_more(page: Page, rows: int) -> None:
    """Come to the end of the list, where more rows load by themselves; rows: how many there are then."""
    page.locator("#more").scroll_into_view_if_needed()
    expect(page.locator("#contact-rows tr:not(.more)")).to_have_count(rows)


def open_form(page: Page) -> Locator:
    """Open the add form."""
    page.get_by_role("link", name="New contact").first.click()
    form = page.locator("#form-section form")
    expect(form).to_be_visible()
    return form


def add(page: Page, name: str, email: str = "", phone: str = "") -> None:
    """Add a contact by the add form."""
    form = open_form(page)
    field(form, "Name").fill(name)
    field(form, "Email").fill(email)
    field(form, "Phone").fill(phone)
    form.get_by_role("button", name="Save contact").click()


def edit(page: Page, name: str) -> Locator:
    """Open the editor of a contact."""
    row(page, name).hover()
    row(page, name).get_by_role("link", name=f"Edit {name}").click()
    form = page.get_by_role("form", name=f"Edit {name}")
    expect(form).to_be_visible()
    return form


def save(form: Locator) -> None:
    """Save an open editor."""
    form.get_by_role("button", name="Save", exact=True).click()


def delete(page: Page, name: str) -> None:
    """Delete a contact by its row."""
    row(page, name).hover()
    row(page, name).get_by_role("button", name=f"Delete {name}").click()


def search(page: Page) -> Locator:
    """The search box."""
    return page.get_by_role("searchbox", name="Search contacts")


def chip(page: Page, tag: str) -> Locator:
    """The link that narrows the list to a tag, or no longer does."""
    return page.get_by_role("navigation", name="Filter by tag").get_by_role("link", name=tag)


def heading(page: Page, label: str) -> Locator:
    """The heading of a column."""
    return page.get_by_role("columnheader", name=label)


def box(page: Page, name: str) -> Locator:
    """The box that selects a contact."""
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def bar(page: Page) -> Locator:
    """What can be done with the selected contacts."""
    return page.get_by_role("form", name="Selected contacts")


def question(page: Page) -> Locator:
    """The dialog that asks what an undo shall do."""
    return page.get_by_role("dialog", name="Undo what is left?")


def hold(page: Page, url: str | re.Pattern[str], method: str = "GET") -> list[Route]:
    """Keep the first request to an address back until it is let go."""
    held: list[Route] = []

    def decide(route: Route) -> None:
        if route.request.method == method and not held:
            held.append(route)
        else:
            route.fallback()

    page.route(url, decide)
    return held


def toast(page: Page) -> Locator:
    """What happened, and Undo."""
    return page.locator("#toasts .toast")


def status(page: Page) -> Locator:
    """What a screen reader is told."""
    return page.locator("#status")


def alert(page: Page) -> Locator:
    """What went wrong."""
    return page.locator("#alerts")


def edges(element: Locator) -> tuple[float, float]:
    """Where an element begins and ends in the window, in pixels from the top."""
    box = element.bounding_box()
    assert box is not None, "it is not shown"
    return box["y"], box["y"] + box["height"]


def assert_accessible(page: Page) -> None:
    """axe-core finds nothing on the page as it stands."""
    page.evaluate(AXE)
    found = page.evaluate(
        """async () => (await axe.run(document)).violations.flatMap(violation => violation.nodes.map(
            node => `${violation.id}: ${node.target.join(" ")}: ${node.failureSummary}`))"""
    )
    assert not found, "\n".join(found)


def assert_no_sideways_scroll(page: Page) -> None:
    """The page fits the width of its window."""
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def not_live(page: Page) -> None:
    """From its next page on, a window hears nothing of others, as behind a proxy that holds streams back."""
    page.route("**/live?*", lambda route: None)
