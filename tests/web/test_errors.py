"""What goes wrong is said in the app's own look: as a page, or for htmx as an event."""

import pytest
from chirp.testing import TestClient

from app.contacts.listing import ContactPage, ListQuery
from app.store import ContactStore
from app.store.memory import MemoryStore
from tests.web.browser import Answer, Browser, Htmx, Serve

pytestmark = pytest.mark.anyio


def _assert_leaves_the_page_alone(answer: Answer, message: str) -> None:
    assert answer.body == b""
    assert answer.header("HX-Reswap") == "none"
    assert answer.header("HX-Push-Url") == ""
    assert answer.events == {"problem": {"target": "body", "message": message}}


async def test_an_unknown_address_is_a_page_that_leads_on(plain: Browser) -> None:
    page = await plain.open("/nowhere")

    assert page.status == 404
    assert "number" not in page.dom.one("main").text  # nothing to look up
    assert page.is_page
    assert page.dom.one("title").text == "Not Found · Contacts"
    assert page.dom.one("h1").text == "There is nothing at this address."
    assert page.dom.link("Go to the contacts")["href"] == "/contacts"


async def test_an_unknown_address_is_an_event_with_htmx(htmx: Htmx) -> None:
    answer = await htmx.get("/nowhere")

    assert answer.status == 404
    _assert_leaves_the_page_alone(answer, "There is nothing at this address.")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/contacts"), ("POST", "/hello"), ("PATCH", "/contacts/1")]
)
async def test_an_address_that_cannot_do_that_says_what_it_can(
    plain: Browser, htmx: Htmx, client: TestClient, method: str, path: str
) -> None:
    page = Answer.of(await client.request(method, path))
    fragment = await htmx.ask(method, path)

    assert page.status == fragment.status == 405
    assert page.dom.one("h1").text == "This address cannot do that."
    assert "GET" in page.header("Allow")
    _assert_leaves_the_page_alone(fragment, "This address cannot do that.")


async def test_a_store_that_is_unavailable_asks_to_come_back(
    plain: Browser, htmx: Htmx, store: ContactStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.close()

    page = await plain.open("/contacts")
    fragment = await htmx.get("/contacts")

    assert page.status == fragment.status == 503
    assert page.header("Retry-After") == fragment.header("Retry-After") == "5"
    assert page.dom.one("h1").text == "The address book is closed."
    # The log has the reason beside the number.
    assert f"tell us this number: {page.header('X-Request-ID')}" in page.dom.one("main").text
    assert "the store failed: The address book is closed." in caplog.text
    _assert_leaves_the_page_alone(fragment, "The address book is closed.")


class Broken(MemoryStore):
    """A store with a mistake in it."""

    def list(self, query: ListQuery) -> ContactPage:
        raise RuntimeError("a secret of the house")


async def test_a_mistake_of_ours_is_logged_and_not_shown(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = await serve(Broken())

    page = await Browser(client).open("/contacts")
    fragment = await Htmx(client).get("/contacts")

    message = "Something went wrong on our side. Please try again."
    assert page.status == fragment.status == 500
    assert page.dom.one("h1").text == message
    assert "secret" not in page.dom.raw_text
    assert "a secret of the house" in caplog.text
    assert f"tell us this number: {page.header('X-Request-ID')}" in page.dom.one("main").text
    _assert_leaves_the_page_alone(fragment, message)


async def test_what_people_do_wrong_is_not_logged_as_our_mistake(
    plain: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    await plain.open("/nowhere")
    await plain.post("/contacts", name="")

    assert caplog.text == ""
