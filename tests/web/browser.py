"""Who asks in the web tests: a browser without script, and htmx on a page.

Both read what the markup says (href, action, hx-put) and do that, so a test which follows
a link or sends a form proves that the markup and the handler fit together.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
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

Typed = str | list[str]  # what is typed into a field, or which values of a name are chosen
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

    url: what stands in the address bar. cookies: their values, by name.
    """

    def __init__(self, client: TestClient) -> None:
        self.url = "/"
        self._client = client
        self.cookies: dict[str, str] = {}

    async def open(self, url: str) -> Answer:
        """Go to an address."""
        return await self._go("GET", url)

    async def follow(self, link: Element) -> Answer:
        """Click a link."""
        return await self._go("GET", link["href"])

    async def submit(self, form: Element, **typed: Typed) -> Answer:
        """Send a form, or press one of its buttons, after typing something into its fields."""
        form, button = _form_and_button(form)
        action = button.get("formaction") or form.attrs.get("action") or self.url
        fields = encoded(form.fields | typed | _pressed(button))
        if (button.get("formmethod") or form.attrs.get("method", "get")) == "get":
            return await self._go("GET", f"{action.partition('?')[0]}?{fields}")
        return await self._go("POST", action, fields.encode())

    async def post(self, url: str, **fields: Typed) -> Answer:
        """Send fields that are on no page."""
        return await self._go("POST", url, encoded(fields).encode())

    async def upload(self, form: Element, name: str, content: bytes) -> Answer:
        """Choose a file in the only file field of a form, and send it."""
        assert (form["method"], form["enctype"]) == ("post", "multipart/form-data")
        field = form.one("input", type="file")["name"]
        head = (
            f'--cut\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + b"\r\n--cut--\r\n"
        return await self._go("POST", form["action"], body, content_type="multipart/form-data; boundary=cut")

    async def _go(
        self, method: str, url: str, body: bytes = b"", via: str = "", content_type: str = FORM
    ) -> Answer:
        headers = {"sec-fetch-site": "same-origin"}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            headers["content-type"] = content_type
        answer = Answer.of(await self._client.request(method, decoded(url), headers=headers, body=body), via)
        for cookie in (value for key, value in answer.headers if key.lower() == "set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "; Max-Age=0;" in cookie:
                del self.cookies[name]
        if answer.status == 303:
            return await self._go("GET", answer.header("Location"), via=answer.header("Location"))
        self.url = url
        return answer


class Htmx:
    """htmx on a page. url: what stands in the address bar; HX-Push-Url changes it."""

    def __init__(self, client: TestClient) -> None:
        self.url = "/contacts"
        self._client = client

    async def ask(
        self, method: str, url: str, sender: str = "", sender_name: str = "", **fields: Typed
    ) -> Answer:
        """Send a request as htmx does. sender, sender_name: id and name of the element that sends it."""
        headers = {"hx-request": "true", "hx-current-url": HOST + self.url, "sec-fetch-site": "same-origin"}
        if sender:
            headers["hx-trigger"] = sender
        if sender_name:
            headers["hx-trigger-name"] = sender_name
        if method != "GET":
            headers["content-type"] = FORM
        body = encoded(fields).encode()
        answer = Answer.of(await self._client.request(method, decoded(url), headers=headers, body=body))
        self.url = answer.header("HX-Push-Url") or self.url
        return answer

    async def get(self, url: str) -> Answer:
        """Ask for a fragment."""
        return await self.ask("GET", url)

    async def send(self, element: Element, **typed: Typed) -> Answer:
        """Do what the hx- attributes of a link, form, button or field say, after typing into the fields."""
        [(verb, url)] = element.requests
        form, button = (element, {}) if element.tag == "a" else _form_and_button(element)
        fields = form.fields | typed | _pressed(button)
        params = element.attrs.get("hx-params", "not ")
        assert params.startswith("not "), f"hx-params={params!r} is not understood here"
        left_out = params.removeprefix("not ").split(",")
        fields = {name: value for name, value in fields.items() if name not in left_out}
        if verb == "get" and fields:
            url, fields = f"{url}{'&' if '?' in url else '?'}{encoded(fields)}", {}
        sender, sender_name = element.attrs.get("id", ""), element.attrs.get("name", "")
        return await self.ask(verb.upper(), url, sender, sender_name, **fields)


def encoded(fields: Mapping[str, Typed]) -> str:
    """Fields as a form sends them."""
    return urlencode(fields, doseq=True)


def decoded(url: str) -> str:
    """A URL as a server hands it to the app: the path decoded, the query as it came, no fragment."""
    parts = urlsplit(url)
    return unquote(parts.path) + (f"?{parts.query}" if parts.query else "")


def _form_and_button(element: Element) -> tuple[Element, dict[str, str]]:
    """The form that an element sends, and the attributes of the button that sends it."""
    if element.tag == "form":
        return element, {}
    assert element.owner, f"{element} belongs to no form"
    return element.owner, element.attrs if element.tag == "button" else {}


def _pressed(button: dict[str, str]) -> dict[str, str]:
    """What a button adds to the fields of its form."""
    return {button["name"]: button.get("value", "")} if "name" in button else {}
