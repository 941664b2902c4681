"""The layer around the app: whose names it answers to, and the headers it adds, asked of it alone.

That nothing goes round it is shown on a real server in tests/test_hostile.py.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.settings import Settings
from app.web.headers import add_security_headers, check_host
from app.web.problems import KINDS

pytestmark = pytest.mark.anyio


@dataclass
class Sent:
    """What an app has sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.messages[0]["headers"])

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    """An app with a policy of its own at /own."""
    own = [(b"content-security-policy", b"default-src 'none'")] if scope["path"] == "/own" else []
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1"), *own]})
    await send({"type": "http.response.body", "body": b"hello"})


OF_THIS_MACHINE = Settings()
NAMED = Settings(hosts=("contacts.example", "Two.example", "::1"))


async def _ask(
    host: bytes | None, settings: Settings = OF_THIS_MACHINE, path: str = "/contacts", scheme: str = "http"
) -> Sent:
    headers = [] if host is None else [(b"host", host)]
    sent = Sent()
    app = add_security_headers(check_host(_hello, settings))
    await app({"type": "http", "path": path, "scheme": scheme, "headers": headers}, None, sent)
    return sent


@pytest.mark.parametrize(
    "host",
    [
        b"contacts.example",
        b"contacts.example:8443",
        b"CONTACTS.example",
        b"two.example",
        b"[::1]",
        b"[::1]:8000",
    ],
)
async def test_names_of_the_settings_are_answered_on_any_port(host: bytes) -> None:
    assert (await _ask(host, NAMED)).status == 200


@pytest.mark.parametrize("host", [b"localhost:8000", b"127.0.0.1", b"[::1]:1", b"192.0.2.7:8000"])
async def test_without_names_in_the_settings_those_of_this_machine_are(host: bytes) -> None:
    assert (await _ask(host, Settings(host="192.0.2.7"))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None, b"", b":80", b"evil.example", b"contacts.example.evil.example", b"evil.contacts.example",
        b"evil.example@contacts.example", b"contacts.example:80:80", b"contacts.example:x",
        b"contacts.example/evil", b"contacts.example#", b"contacts.example ", b"[contacts.example]",
        b"localhost", b"::1", b"[::1", b"contacts.example, evil.example", b"contacts.example\\@evil", b"\xff",
    ],
)  # fmt: skip
async def test_any_other_name_is_refused_with_the_setting_to_change(host: bytes | None) -> None:
    refused = await _ask(host, NAMED)

    assert refused.status == 421
    assert "CONTACTS_HOSTS" in refused.text
    assert "evil" not in refused.text


@pytest.mark.parametrize("path", ["/api/v1/contacts", "//api", "/apis", "/contacts/api"])
async def test_a_program_that_asks_by_another_name_is_told_as_of_all_problems(path: str) -> None:
    refused = await _ask(b"evil.example", NAMED, path)
    content_type = dict(refused.headers)[b"content-type"]

    assert refused.status == 421
    assert dict(refused.headers)[b"cache-control"] == b"no-store"
    if path in ("/apis", "/contacts/api"):
        assert content_type == b"text/plain; charset=utf-8"
    else:
        assert content_type == b"application/problem+json"
        problem = json.loads(refused.text)
        assert (problem["status"], problem["title"]) == (421, KINDS[421][0])
        assert "CONTACTS_HOSTS" in problem["detail"]


async def test_two_names_are_refused_even_when_one_is_ours() -> None:
    sent = Sent()
    headers = [(b"host", b"contacts.example"), (b"host", b"contacts.example")]

    await check_host(_hello, NAMED)({"type": "http", "path": "/", "headers": headers}, None, sent)

    assert sent.status == 421


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_a_probe_may_ask_by_any_name(path: str) -> None:
    assert (await _ask(b"10.0.0.7:8000", NAMED, path)).status == 200
    assert (await _ask(b"10.0.0.7:8000", NAMED, f"{path}/x")).status == 421


@pytest.mark.parametrize("target", ["http://contacts.example/contacts", "http://evil.example/", "*", ""])
async def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    assert (await _ask(b"contacts.example", NAMED, target)).status == 400


@pytest.mark.parametrize(("scheme", "years"), [("http", 0), ("https", 1)])
@pytest.mark.parametrize("host", [b"contacts.example", b"evil.example"])
async def test_only_answers_over_https_ask_for_https(host: bytes, scheme: str, years: int) -> None:
    headers = dict((await _ask(host, NAMED, scheme=scheme)).headers)

    assert headers.get(b"strict-transport-security") == (b"max-age=31536000" if years else None)
    assert headers[b"x-content-type-options"] == b"nosniff"


async def test_a_header_that_the_app_sends_itself_is_sent_once() -> None:
    sent = await _ask(b"localhost", path="/own")

    policies = [value for name, value in sent.headers if name == b"content-security-policy"]
    assert policies == [b"default-src 'none'"]
    assert (b"x-app", b"1") in sent.headers
