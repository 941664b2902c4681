"""/api/docs: everything that the OpenAPI document says, to read, with commands that work as they stand."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from chirp.testing import TestClient

from app.contacts.contact import LIMITS
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.web.api import etag
from app.web.openapi import document
from app.web.problems import KINDS
from app.web.transport import scheme
from tests.making import add
from tests.web.browser import Browser
from tests.web.markup import Element

pytestmark = pytest.mark.anyio


@pytest.fixture
async def docs(plain: Browser) -> Element:
    """The page."""
    answer = await plain.open("/api/docs")
    assert (answer.status, answer.is_page) == (200, True)
    return answer.dom


def operations() -> Iterator[dict[str, Any]]:
    for item in document()["paths"].values():
        yield from (item[method] for method in item if method != "parameters")


async def test_every_operation_schema_and_problem_has_its_place(docs: Element) -> None:
    for operation in operations():
        section = docs.id(operation["operationId"])
        assert section.one("h3").text == operation["summary"]
        told = {link["href"] for link in section.all("a")}
        assert told >= {f"#problem-{status}" for status in operation["responses"] if status >= "400"}
    for name, schema in document()["components"]["schemas"].items():
        members = [term.one("code").text for term in docs.id(name).all("dt")]
        assert members == list(schema.get("properties", {}))
    for status, (title, _) in KINDS.items():
        assert docs.id(f"problem-{status}").one("dt").text == f"{status} {title}"


async def test_every_link_on_the_page_leads_somewhere(docs: Element, plain: Browser) -> None:
    ids = {element["id"] for element in docs.walk() if "id" in element}
    places = [link["href"] for link in docs.id("main").all("a")]

    assert {place.removeprefix("#") for place in places if place.startswith("#")} <= ids
    assert [place for place in places if not place.startswith("#")] == ["/api/openapi.json"]


async def test_the_limits_are_told(docs: Element) -> None:
    notes = docs.id("ContactDraft").one("dl").children
    text = " ".join(str(child.text) for child in notes if isinstance(child, Element))

    for limit in LIMITS.values():
        assert f"text, at most {limit:,} characters" in text


async def test_every_page_leads_to_it(plain: Browser) -> None:
    contacts = await plain.open("/contacts")

    there = await plain.follow(contacts.dom.link("API"))

    assert there.dom.one("title").text == "API · Contacts"
    assert there.dom.link("API")["aria-current"] == "page"


async def test_it_names_the_address_by_which_it_was_asked_for(client: TestClient) -> None:
    over = scheme.set("https")
    page = await client.get("/api/docs", headers={"host": "contacts.example.org"})
    scheme.reset(over)

    assert "CONTACTS=https://contacts.example.org\n" in page.text


async def test_the_commands_work_as_they_stand(
    docs: Element, client: TestClient, store: ContactStore
) -> None:
    """Only the numbers in them are made up: of the contact, of its version and of the batch."""
    commands = [code.raw_text for code in docs.all("code") if code.text.startswith("curl")]

    assert len(commands) == len(list(operations()))
    for command in commands:
        store.delete(store.ids(ListQuery()))
        contact = add(store, "Somebody")
        batch = store.delete([add(store, "Somebody else").id])
        assert batch
        command = command.replace("contacts/7", f"contacts/{contact.id}")
        command = command.replace("batches/12", f"batches/{batch.id}")
        command = re.sub(r'"\d+-\d+"', etag(contact), command)
        words = iter(shlex.split(command.replace("\\\n", "").replace("$CONTACTS", "")))
        method, path, headers, body = "GET", "", {}, b""
        for word in words:
            match word:
                case "-X":
                    method = next(words)
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers[name.lower()] = value
                case "-d":
                    body = next(words).encode()
                case "--data-binary":
                    assert next(words) == "@contacts.csv"
                    body = b"Name,Phone\nGrace,1\n"
                case _:
                    path = word if word.startswith("/") else path
        answer = await client.request(method, path, headers=headers, body=body)
        assert answer.status in (200, 201, 204), command
