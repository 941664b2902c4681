"""A demo: visitors have contacts of their own, can start again, and are told when the demo has."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.steps import (
    add,
    assert_accessible,
    assert_no_sideways_scroll,
    count,
    edges,
    edit,
    field,
    names,
    open_form,
    row,
    save,
    status,
    toast,
)
from tests.server_process import running_server

BOTH = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
ABOUT = (
    "This is a demo. Your contacts are private to this browser and disappear an hour after your last visit."
)
AGAIN = "The demo has started again with the sample contacts."
ANEW = "This demo has started anew with the sample contacts"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a public demo."""
    folder = tmp_path_factory.mktemp("demo")
    secret = "a secret that only the tests know"
    with running_server(
        folder, CONTACTS_DEMO="1", CONTACTS_ENV="production", CONTACTS_SECRET=secret
    ) as server:
        yield server.url


@pytest.fixture
def visit(demo: str, new_window: Callable[..., Page]) -> Callable[..., Page]:
    """Make a visitor: a window with cookies of its own, on the list."""

    def make(*, script: bool = True, **options: object) -> Page:
        page = new_window(base_url=demo, java_script_enabled=script, **options)
        page.goto("/contacts")
        return page

    return make


def about(page: Page) -> Locator:
    """What every page says of the demo."""
    return page.get_by_role("complementary", name="About this demo")


def start_again(page: Page) -> None:
    """Press the button of the demo."""
    page.get_by_role("button", name="Start again").click()


def test_two_visitors_see_and_change_nothing_of_each_other(visit: Callable[..., Page]) -> None:
    ada, grace = visit(), visit()
    second = ada.context.new_page()
    second.goto("/contacts")

    add(ada, "Mata Hari", phone="555-0100")
    expect(toast(ada)).to_contain_text("Added Mata Hari")
    editor = edit(ada, "Ada Lovelace")
    field(editor, "Company").fill("Ada’s own")
    save(editor)
    expect(row(ada, "Ada Lovelace")).to_contain_text("Ada’s own")

    # The visitor's other window follows; what it follows is the visitor's.
    expect(row(second, "Mata Hari")).to_be_visible()
    expect(row(second, "Ada Lovelace")).to_contain_text("Ada’s own")
    editor = edit(grace, "Ada Lovelace")
    field(editor, "Company").fill("Grace’s own")
    save(editor)
    expect(row(grace, "Ada Lovelace")).to_contain_text("Grace’s own")
    expect(count(grace)).to_have_text("12")
    for page in (grace, ada):
        page.reload()
    assert "Mata Hari" not in names(grace)
    expect(row(grace, "Ada Lovelace")).to_contain_text("Grace’s own")
    expect(row(ada, "Ada Lovelace")).to_contain_text("Ada’s own")
    grace.goto("/contacts/13")
    expect(grace.get_by_role("heading", name="Contact not found")).to_be_visible()


@BOTH
def test_a_visitor_starts_again(visit: Callable[..., Page], script: bool) -> None:
    page = visit(script=script)
    second = page.context.new_page()
    second.goto("/contacts")
    add(page, "Mata Hari", phone="555-0100")
    expect(count(page)).to_have_text("13")
    if script:
        expect(count(second)).to_have_text("13")

    start_again(page)

    expect(page).to_have_url(f"{page.url.split('/contacts')[0]}/contacts")
    expect(about(page)).to_contain_text(AGAIN)
    expect(count(page)).to_have_text("12")
    assert "Mata Hari" not in names(page)
    if script:
        expect(status(page)).to_have_text(AGAIN)
        expect(count(second)).to_have_text("12")  # by itself
    page.reload()
    expect(about(page)).not_to_contain_text(AGAIN)
    expect(about(page)).to_contain_text(ABOUT)


def test_what_was_typed_is_kept_when_the_demo_has_started_anew(visit: Callable[..., Page], demo: str) -> None:
    page = visit()
    add(page, "Mata Hari", phone="555-0100")
    expect(count(page)).to_have_text("13")
    form = open_form(page)
    field(form, "Name").fill("Margarete Zelle")
    field(form, "Phone").fill("555-0199")
    # As if an hour had passed: the cookie of somebody whose contacts are gone.
    page.context.add_cookies([{"name": "sandbox", "value": "x" * 22, "url": demo}])

    form.get_by_role("button", name="Save contact").click()

    expect(form.get_by_role("alert")).to_contain_text(ANEW)
    expect(field(form, "Name")).to_have_value("Margarete Zelle")
    expect(field(form, "Phone")).to_have_value("555-0199")
    form.get_by_role("button", name="Try again").click()
    expect(row(page, "Margarete Zelle")).to_be_visible()
    expect(count(page)).to_have_text("13")


def test_what_is_said_of_the_demo_fits_a_phone(visit: Callable[..., Page]) -> None:
    page = visit(viewport={"width": 390, "height": 800}, has_touch=True)
    start_again(page)

    expect(about(page)).to_contain_text(f"{AGAIN} {ABOUT}")
    button = page.get_by_role("button", name="Start again")
    expect(button).to_be_in_viewport(ratio=1)
    top, bottom = edges(button)
    assert bottom - top >= 44
    assert_no_sideways_scroll(page)
    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page)
