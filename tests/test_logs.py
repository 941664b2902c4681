"""The log of the real server: each line of a request has its number, and none holds a contact's data.

A server whose store fails in every way it can, with errors that hold all contacts, is sent markers
in every field, search, file name, header and broken request; then its whole output is searched.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from app.web.logs import describe
from tests.server_process import Answer, RunningServer, running_server

LEAKY = ("tests.probe_app", "leaky")
MARKER = "Quetzalcoatl"  # nothing of ours is called like this
PHONE = "0987 6543 2100"
PERSON = {
    "name": f"{MARKER} of the name",
    "email": f"{MARKER}@example.com",
    "phone": PHONE,
    "company": f"{MARKER} & Co",
    "notes": f"{MARKER}\n<b>bold</b>",
    "tags": f"{MARKER}",
}
FORM = "application/x-www-form-urlencoded"
PLAIN_TEXT = "text/plain"


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real app with a store that fails and tells, behind a proxy at 127.0.0.1."""
    with running_server(
        tmp_path_factory.mktemp("leaky"),
        module=LEAKY,
        CONTACTS_SAMPLE="0",
        CONTACTS_PROXIES="127.0.0.1",
        CONTACTS_HOSTS="127.0.0.1",
    ) as running:
        yield running


def _ask(
    server: RunningServer, method: str, path: str, body: str = "", kind: str = FORM, **headers: str
) -> Answer:
    """One request; header names have _ for -."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}"] if body else []
    with server.connect() as connection:
        connection.send("\n".join(lines) + "\n\n")
        connection.send(body.encode())
        return connection.answer()


def _upload(name: str, text: str) -> str:
    return (
        f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--cut--\r\n"
    )


def _lines(server: RunningServer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log().splitlines()]


def test_nothing_of_a_contact_and_nothing_typed_is_in_the_log(leaky: RunningServer) -> None:
    added = _ask(leaky, "POST", "/contacts", urlencode(PERSON))
    answers = {
        "an invalid form": _ask(leaky, "POST", "/contacts", urlencode(PERSON | {"email": f"{MARKER}@"})),
        "a field": _ask(leaky, "POST", "/contacts/check", urlencode(PERSON | {"field": "email"})),
        "a search": _ask(leaky, "GET", f"/contacts?q={quote_plus(MARKER)}&tag={quote_plus(MARKER)}"),
        "a page": _ask(leaky, "GET", "/contacts/1", Cookie=f"lab={MARKER}", Referer=f"http://x/?q={MARKER}"),
        "an update": _ask(
            leaky,
            "POST",
            "/contacts/1",
            urlencode({**PERSON, "_method": "PUT", "version": 1, "company": "New"}),
        ),
        "a deletion": _ask(leaky, "POST", "/contacts/1", "_method=DELETE"),
        "an undo": _ask(leaky, "POST", "/undo/1", f"q={MARKER}"),
        "a bulk action": _ask(leaky, "POST", "/contacts/bulk", f"ids=1&action=tag&tag={MARKER}"),
        "sections": _ask(leaky, "GET", "/dashboard"),
        "an unknown type": _ask(leaky, "POST", "/contacts", MARKER, PLAIN_TEXT),
        "no boundary": _ask(leaky, "POST", "/import", MARKER, "multipart/form-data"),
    }
    csv = f"name,email,phone\n{MARKER},{MARKER}2@example.com,{PHONE}\n{MARKER},,\n"
    preview = _ask(
        leaky, "POST", "/import", _upload(f"{MARKER}.csv", csv), "multipart/form-data; boundary=cut"
    )
    _ask(leaky, "POST", preview.headers["location"], "existing=skip")
    _ask(leaky, "POST", "/import", _upload(f"{MARKER}.vcf", MARKER), "multipart/form-data; boundary=cut")
    with suppress(HTTPException):
        _ask(leaky, "GET", "/contacts.csv")  # breaks off
    for broken in (f"GET /?{MARKER} HTTP/9\n\n", f"GET / HTTP/1.1\nHost: x\n{MARKER}\n\n", f"{MARKER}\n\n"):
        with leaky.connect() as connection:
            connection.send(broken)
            connection.read_until("no such answer")
    _ask(leaky, "GET", f"/escaping?{MARKER}")  # past everything of ours
    _ask(leaky, "GET", f"/breaking?{MARKER}")  # in the hands of Chirp
    leaky.wait_for("ASGI app error on GET /escaping")
    leaky.wait_for(r"Server error\\nRuntimeError")
    leaky.wait_for("Task exception was never retrieved")
    leaky.wait_for("Nobody has caught an exception")
    leaky.wait_for("The work on an upload failed")
    leaky.wait_for("A download broke off")

    assert added.status == 303
    assert {name: answers[name].status for name in ("an update", "a deletion", "an undo")} == {
        "an update": 500,
        "a deletion": 500,
        "an undo": 500,
    }
    log = leaky.log().lower()
    assert [value for value in (MARKER, PHONE, *PERSON.values()) if value.lower() in log] == []
    assert "cannot do" not in log
    assert "noted" not in log
    # What is needed to mend it is there, cause and all.
    cause, effect = (
        r"ValueError\\n .*probe_app\.py:\d+ in _raise",
        r"RuntimeError\\n .*app/web/undo\.py:\d+ in",
    )
    assert re.search(rf"500 for POST /undo/1\\n{cause}\\nwhich led to\\n{effect}", leaky.log())


def test_every_line_of_a_request_has_its_number_and_so_has_the_answer(leaky: RunningServer) -> None:
    answer = _ask(leaky, "POST", "/undo/1", "q=")
    leaky.wait_for(f'"path": "/undo/1".*{answer.headers["x-request-id"]}')

    number = answer.headers["x-request-id"]
    of_it = [line for line in _lines(leaky) if line.get("req_id") == number]
    assert re.fullmatch("[0-9a-f]{12}", number)
    assert f"tell us this number: <code>{number}</code>" in answer.text
    assert [line.get("status") or line["logger"] for line in of_it] == [
        "app.web.errors",
        500,
    ]


def test_work_on_a_thread_has_the_number_of_the_request_that_began_it(leaky: RunningServer) -> None:
    upload = _upload("a.csv", "name,email\nAda,ada@example.com\n")
    preview = _ask(leaky, "POST", "/import", upload, "multipart/form-data; boundary=cut")
    number = "import-0001"

    _ask(leaky, "POST", preview.headers["location"], "existing=skip", X_Request_ID=number)

    leaky.wait_for(f'The work on an upload failed.*"req_id": "{number}"')


def test_a_stream_has_its_number_to_its_end(leaky: RunningServer) -> None:
    with suppress(HTTPException):
        _ask(leaky, "GET", "/contacts.csv", X_Request_ID="download-0001")

    leaky.wait_for('A download broke off.*"req_id": "download-0001"')


def test_a_proxy_gives_the_number_if_it_is_well_formed(leaky: RunningServer) -> None:
    given = "8f14e45f-ceea-467f-a8b2-1c2d3e4f5a6b"
    kept = _ask(leaky, "GET", "/hello", X_Request_ID=given)
    leaky.wait_for(f'"path": "/hello".*"req_id": "{given}"')

    assert kept.headers["x-request-id"] == given
    for odd in ("short", "x" * 65, 'quoted"123', "with space", "größer-als-8"):
        answer = _ask(leaky, "GET", "/hello", X_Request_ID=odd)
        assert re.fullmatch("[0-9a-f]{12}", answer.headers["x-request-id"])


def test_a_stranger_does_not_choose_the_number(tmp_path: Path) -> None:
    with running_server(tmp_path) as running, running.connect() as connection:
        connection.send("GET /hello HTTP/1.1\nHost: 127.0.0.1\nX-Request-ID: chosen-by-me\n\n")
        head = connection.read_until("Hello from Contacts.")

    assert len(re.findall(r"^x-request-id: [0-9a-f]{12}\r$", head, re.M | re.I)) == 1
    assert head.lower().count("x-request-id") == 1


def test_groups_and_circles_of_exceptions_are_described() -> None:
    inner, outer = ValueError("secret"), KeyError("secret")
    inner.__context__, outer.__context__ = outer, inner

    text = describe(ExceptionGroup("secret", [inner, OSError("secret")]))

    assert text.split("\n") == [
        "ExceptionGroup",
        "of which",
        "KeyError",
        "which led to",
        "ValueError",
        "of which",
        "OSError",
    ]
