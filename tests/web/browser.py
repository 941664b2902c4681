"""Who asks in the web tests: a browser without script, and htmx on a page.

Both read what the markup says (href, action, hx-put) and do that, so a test which follows
a link or sends a form proves that the markup and the handler fit together.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from urllib.parse import unquote, urlencode, urlsplit

from chirp import Response
from chirp.testing import TestClient

from app.store import ContactStore
from tests.web.markup import Element, assert_works_without_script, parse

HOST = "http://testserver"
FORM = "application/x-www-form-urlencoded"

Serve = Callable[[ContactStore], Awaitable[TestClient]]  # starts the app on a store


@dataclass(frozen=True)
class Answer:
    """One response. via: the Location that led to it, "" for none."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes
    via: str = ""

    @classmethod
    def of(cls, response: Response, via: str = "") -> Self:
        """Take over a response; a header that could break out of its line fails the test."""
        for name, value in response.headers:
            assert value.isprintable(), f"{name} is {value!r}"
            assert value == value.strip(), f"{name} is {value!r}"
        return cls(response.status, response.headers, response.content_type, response.body_bytes, via)

    def header(self, name: str) -> str:
        """The value of a header that is sent at most once; "" when it is not sent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} is sent {len(values)} times"
        return values[0] if values else ""

    @property
    def events(self) -> dict[str, dict[str, Any]]:
        """The events that HX-Trigger fires, with their details."""
        events: dict[str, dict[str, Any]] = json.loads(self.header("HX-Trigger") or "{}")
        return events

    @cached_property
    def dom(self) -> Element:
        """The parsed body. Whatever htmx sends from it must be sent without script, too."""
        assert self.content_type == "text/html; charset=utf-8"
        dom = parse(self.body.decode())
        for element in dom.walk():
            assert_works_without_script(element)
        return dom

    @property
    def is_page(self) -> bool:
        """Whether this is a whole page rather than a fragment."""
        return [root.tag for root in self.dom.roots] == ["html"]

    @property
    def swapped(self) -> Element:
        """The one element that is swapped in, as opposed to those that go elsewhere out of band."""
        inband = [root for root in self.dom.roots if "hx-swap-oob" not in root]
        assert len(inband) == 1, f"{len(inband)} elements are swapped in: {list(map(str, inband))}"
        return inband[0]

    @property
    def out_of_band(self) -> dict[str, str]:
        """The ids that are swapped out of band, each with the way it is done."""
        return {root["id"]: root["hx-swap-oob"] for root in self.dom.roots if "hx-swap-oob" in root}

    @property
    def names(self) -> list[str]:
        """The names in the list, from top to bottom."""
        return [heading.one("a").text for heading in self.dom.all("th", scope="row")]


class Browser:
    """A browser without script: it follows redirects, keeps cookies and does what HTML says.

    url: what stands in the address bar.
    """

    def __init__(self, client: TestClient) -> None:
        self.url = "/"
        self._client = client
        self._cookies: dict[str, str] = {}

    async def open(self, url: str) -> Answer:
        """Go to an address."""
        return await self._go("GET", url)

    async def follow(self, link: Element) -> Answer:
        """Click a link."""
        return await self._go("GET", link["href"])

    async def submit(self, form: Element, **typed: str) -> Answer:
        """Send a form, after typing something into its fields."""
        fields, action = form.fields | typed, form.attrs.get("action") or self.url
        if form.attrs.get("method", "get") == "get":
            return await self._go("GET", f"{action.partition('?')[0]}?{urlencode(fields)}")
        return await self._go("POST", action, urlencode(fields).encode())

    async def post(self, url: str, **fields: str) -> Answer:
        """Send fields that are on no page."""
        return await self._go("POST", url, urlencode(fields).encode())

    async def _go(self, method: str, url: str, body: bytes = b"", via: str = "") -> Answer:
        headers = {"sec-fetch-site": "same-origin"}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if method == "POST":
            headers["content-type"] = FORM
        answer = Answer.of(await self._client.request(method, decoded(url), headers=headers, body=body), via)
        if cookie := answer.header("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status == 303:
            return await self._go("GET", answer.header("Location"), via=answer.header("Location"))
        self.url = url
        return answer


class Htmx:
    """htmx on a page. url: what stands in the address bar; HX-Push-Url changes it."""

    def __init__(self, client: TestClient) -> None:
        self.url = "/contacts"
        self._client = client

    async def ask(self, method: str, url: str, sender: str = "", **fields: str) -> Answer:
        """Send a request as htmx does. sender: the id of the element that sends it."""
        headers = {"hx-request": "true", "hx-current-url": HOST + self.url, "sec-fetch-site": "same-origin"}
        if sender:
            headers["hx-trigger"] = sender
        if method != "GET":
            headers["content-type"] = FORM
        body = urlencode(fields).encode()
        answer = Answer.of(await self._client.request(method, decoded(url), headers=headers, body=body))
        self.url = answer.header("HX-Push-Url") or self.url
        return answer

    async def get(self, url: str) -> Answer:
        """Ask for a fragment."""
        return await self.ask("GET", url)

    async def send(self, element: Element, **typed: str) -> Answer:
        """Do what the hx- attributes of a link or form say, after typing something into its fields."""
        [(verb, url)] = element.requests
        fields = element.fields | typed
        if verb == "get" and fields:
            url, fields = f"{url}{'&' if '?' in url else '?'}{urlencode(fields)}", {}
        return await self.ask(verb.upper(), url, element.attrs.get("id", ""), **fields)


def decoded(url: str) -> str:
    """A URL as a server hands it to the app: the path decoded, the query as it came, no fragment."""
    parts = urlsplit(url)
    return unquote(parts.path) + (f"?{parts.query}" if parts.query else "")
