"""Clients that mean no good, on real sockets against the real server.

Whatever they send gets its proper 4xx or a closed connection: no 5xx and no traceback in the
log (asked of the whole log at the end), the others keep being served, memory stays bounded.
And no answer, of whichever layer, is without the security headers.
"""

import json
import re
import resource
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest
from chirp import App

from app import routes
from app.bounds import MAX_HEAD, MAX_HEADERS
from app.main import BODY_LIMIT
from app.server import MAX_BODY
from app.web.headers import HEADERS
from tests.server_process import START, Connection, RunningServer, running_server
from tests.web.test_security import EVERY_KIND

IMPATIENT = ("tests.probe_app", "impatient")
CLOSED = 0  # in place of a status: the server has closed the connection without an answer
FORM = "Content-Type: application/x-www-form-urlencoded\n"
MULTIPART = "Content-Type: multipart/form-data; boundary={}\n"
MEGABYTE = 1_048_576

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[RunningServer]:
    """The real server with 60 contacts; at the end its log must tell of no fault of ours."""
    with running_server(folder, CONTACTS_SAMPLE="60") as running:
        yield running
        running.stop()
        assert _faults(running.log()) == []


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real server, which waits for slow clients a second."""
    with running_server(tmp_path_factory.mktemp("impatient"), module=IMPATIENT) as running:
        yield running
        running.stop()
        assert _faults(running.log()) == []


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What closes the connections of a test."""
    with ExitStack() as stack:
        yield stack


def _faults(log: str) -> list[str]:
    """The lines of a log that tell of a traceback, an error or a 5xx answer."""
    return [
        line
        for line in log.splitlines()
        if "Traceback" in line
        or (line.startswith("{") and json.loads(line).get("level") in ("error", "critical"))
        # /ready is 503 while the server starts, as it should be.
        or (line.startswith("{") and json.loads(line).get("status", 0) >= 500 and '"/ready"' not in line)
    ]


def _request(line: str, headers: str = "", body: bytes | str = b"") -> bytes:
    """A request with a Host header and, where there is a body and no other word on it, its length."""
    body = body.encode() if isinstance(body, str) else body
    if body and "ength:" not in headers and "chunked" not in headers:
        headers += f"Content-Length: {len(body)}\n"
    head = f"{line} HTTP/1.1\nHost: localhost\n{headers}\n"
    return head.replace("\n", "\r\n").encode("latin-1") + body


def _form(body: bytes | str, path: str = "/contacts") -> bytes:
    return _request(f"POST {path}", FORM, body)


def _chunked(body: bytes | str, headers: str = "") -> bytes:
    return _request("POST /contacts", f"{FORM}{headers}Transfer-Encoding: chunked\n", body)


def _status(site: RunningServer, data: bytes) -> int:
    """Send this on a connection of its own; the status of the first answer."""
    with site.connect() as connection:
        with suppress(OSError):  # refused before all of it was read
            connection.send(data)
        return _answered(connection)


def _answered(connection: Connection) -> int:
    try:
        return connection.answer().status
    except RemoteDisconnected, ConnectionResetError:
        return CLOSED


# ---- headers on every answer


class _Table:
    """Takes the place of the app when routes are registered, to see which there are."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def route(self, path: str, methods: tuple[str, ...] = ("GET",), **_: Any) -> Callable[[Any], Any]:
        """Note the methods and the path, as an address that the app might be asked for."""
        self.rows += [(method, re.sub(r"{\w+:int}", "1", path)) for method in methods]
        self.rows += [(method, re.sub(r"{\w+(:int)?}", "999", path)) for method in methods if "{" in path]
        return lambda handler: handler


def _every_route() -> list[tuple[str, str]]:
    table = _Table()
    routes.register(cast("App", table))
    routes.register_lab(cast("App", table))
    return [*table.rows, ("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics")]


# What is refused before the app is asked, and by whom.
REFUSED = {
    "ours, for the name": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "ours, for the target": _request("GET http://evil.example/"),
    "ours, for a body cut short": _chunked("x\r\n"),
    "Pounce's, for the head": b"GET / HTTP/1.1\r\n\r\n",
    "Pounce's, for the size of the head": _request("GET /", "X: y\n" * 200),
    "Pounce's, for the size of the body": _request("POST /", f"Content-Length: {MAX_BODY + 1}\n"),
}


def _lacking(headers: dict[str, str]) -> list[str]:
    """The security headers that are not there as they should be."""
    return [name for name, value in HEADERS.items() if headers.get(name.lower()) != value]


def test_every_route_answers_with_the_security_headers(site: RunningServer) -> None:
    asked = [
        (method, path, headers, b"")
        for method, path in _every_route()
        for headers in ({}, {"hx-request": "true"}, {"sec-fetch-site": "cross-site"})
    ]
    asked += [(method, path, headers, body) for _, method, path, headers, body in EVERY_KIND.values()]

    statuses, faults = set(), []
    for method, path, headers, body in asked:
        client = HTTPConnection(site.host, site.port, timeout=20)
        client.request(method, path, body or None, headers)
        answer = client.getresponse()  # an event stream has no end, and nothing of it is read
        statuses.add(answer.status)
        if _lacking({name.lower(): value for name, value in answer.getheaders()}):
            faults.append((method, path, answer.status))
        client.close()

    assert faults == []
    assert statuses >= {200, 303, 304, 400, 403, 404, 405, 413, 415, 422}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_every_refusal_has_the_security_headers(site: RunningServer, data: bytes) -> None:
    with site.connect() as connection:
        connection.send(data)
        answer = connection.answer()

    assert 400 <= answer.status < 500
    assert _lacking(answer.headers) == []
    assert answer.headers["connection"] == "close"
    assert "h11" not in answer.text


# ---- what is malformed, contradictory, absurd

CASES: dict[str, tuple[int, bytes]] = {
    # methods and versions
    "TRACE": (405, _request("TRACE /contacts")),
    "CONNECT": (405, _request("CONNECT evil.example:443")),
    "CONNECT to a path": (405, _request("CONNECT /contacts")),
    "OPTIONS of everything": (400, _request("OPTIONS *")),
    "a method in small letters": (405, _request("get /contacts")),
    "a long method": (405, _request("A" * 9_000 + " /contacts")),
    "a method with a tab": (400, _request("GE\tT /contacts")),
    "HTTP/2 without TLS": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/2.0 in the line": (400, b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "HTTP/1.0 without a Host": (421, b"GET /contacts HTTP/1.0\r\n\r\n"),
    "TLS where there is none": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(99)),
    "an upgrade to HTTP/2": (200, _request("GET /hello", "Connection: Upgrade\nUpgrade: h2c\n")),
    "a WebSocket": (
        CLOSED,
        _request("GET /live", "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: eA==\n"),
    ),
    # hosts and targets
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, _request("GET /", "Host: evil.example\n")),
    "a whole URL as target": (400, _request("GET http://localhost/contacts")),
    "a target with a space": (400, _request("GET /a b")),
    "invalid UTF-8 in the path, raw": (400, _request("GET /\xff\xfe")),
    "invalid UTF-8 in the path": (404, _request("GET /contacts/%ff%fe")),
    "a path out of the folder": (404, _request("GET /static/../app/main.py")),
    "a path out of the folder, escaped": (404, _request("GET /static/%2e%2e/%2e%2e/etc/passwd")),
    "a path with backslashes": (404, _request("GET /static/..\\..\\README.md")),
    "a path with NUL": (404, _request("GET /static/app.css%00")),
    "a path that begins twice": (404, _request("GET //evil.example/contacts")),
    "an upload out of its folder": (404, _request("GET /import/..%2f..%2fcontacts.db")),
    "an upload named NUL": (404, _request("GET /import/%00")),
    "a failed file out of its folder": (404, _request("GET /import/%2e%2e/failed.csv")),
    "a fault that is a path": (404, _request("POST /lab/..%2f")),
    # queries and numbers
    "invalid UTF-8 in the query": (200, _request("GET /contacts?q=%ff%fe&tag=%80&sort=%ed%a0%80")),
    "two thousand tags": (200, _request("GET /contacts?" + "tag=a&" * 2_000)),
    "an endless place": (200, _request("GET /contacts?after=" + "9" * 5_000)),
    "an endless number of the last change": (200, _request("GET /contacts?done=" + "9" * 5_000)),
    "a delay below 0": (200, _request("GET /dashboard?slow=-1e999")),
    "a delay that is no number": (200, _request("GET /dashboard?slow=nan")),
    "an endless id": (404, _request("GET /contacts/" + "9" * 5_000)),
    "an id above 2**63": (404, _request(f"GET /contacts/{2**63}")),
    "an id below 0": (404, _request("GET /contacts/-1")),
    "an undo above 2**63": (404, _form("x=1", f"/undo/{2**63}")),
    "ids above 2**63 to merge": (400, _request(f"GET /contacts/merge?id={2**63}&id={2**64}")),
    "a version above 2**63": (422, _form(f"_method=PUT&name=&version={2**64}", "/contacts/1")),
    # headers
    "a header without colon": (400, _request("GET /hello", "X-A\n")),
    "a header with NUL": (400, _request("GET /hello", "X-A: a\0b\n")),
    "a header with a space before the colon": (400, _request("GET /hello", "X-A : a\n")),
    "invalid UTF-8 in headers": (
        200,
        _request("GET /contacts", "Cookie: \xff=\xfe\nHX-Current-URL: \xff\nHX-Request: true\n"),
    ),
    "an expectation of nobody": (200, _request("GET /hello", "Expect: the-unexpected\n")),
    "a thousand ranges": (200, _request("GET /static/app.css", "Range: bytes=0-1" + ",1-2" * 1_000 + "\n")),
    "a header above the limit": (431, _request("GET /hello", f"X-A: {'a' * MAX_HEAD}\n")),
    "a header far above the limit": (431, _request("GET /hello", f"X-A: {'a' * 200_000}\n")),
    "more headers than the limit": (431, _request("GET /hello", "X-A: a\n" * MAX_HEADERS)),
    "a target above the limit": (431, _request(f"GET /hello?{'a' * MAX_HEAD}")),
    "a line that never ends": (431, b"GET /" + b"a" * 200_000),
    "as many headers as the limit": (200, _request("GET /hello", "X-A: a\n" * (MAX_HEADERS - 1))),
    # lengths that contradict each other: where one request ends and the next begins
    "a length and chunks": (400, _chunked("0\r\n\r\n", "Content-Length: 5\n")),
    "two lengths": (400, _request("POST /contacts", f"{FORM}Content-Length: 3\nContent-Length: 4\n", "abcd")),
    "a length below 0": (400, _request("POST /contacts", f"{FORM}Content-Length: -1\n")),
    "a length with a sign": (400, _request("POST /contacts", f"{FORM}Content-Length: +3\n", "abc")),
    "a length in hexadecimal": (400, _request("POST /contacts", f"{FORM}Content-Length: 0x3\n", "abc")),
    "an endless length": (400, _request("POST /contacts", f"{FORM}Content-Length: {'9' * 5_000}\n")),
    "a length above 2**63": (413, _request("POST /contacts", f"{FORM}Content-Length: {2**63}\n")),
    "a length above the limit, which waits": (
        413,
        _request("POST /contacts", f"{FORM}Expect: 100-continue\nContent-Length: {2**40}\n"),
    ),
    "an unknown coding": (400, _request("POST /contacts", f"{FORM}Transfer-Encoding: xchunked\n")),
    "two codings": (400, _chunked("0\r\n\r\n", "Transfer-Encoding: gzip\n")),
    "a coding behind a vertical tab": (
        400,
        _request("POST /contacts", f"{FORM}Transfer-Encoding:\x0bchunked\n"),
    ),
    "a chunk below 0": (400, _chunked("-1\r\n\r\n")),
    "a chunk with 0x": (400, _chunked("0x3\r\nabc\r\n0\r\n\r\n")),
    "an endless chunk": (400, _chunked("f" * 40 + "\r\n\r\n")),
    "a chunk longer than it says": (400, _chunked("3\r\nabcdef\r\n0\r\n\r\n")),
    "a body where none belongs": (400, _request("GET /contacts", body="name=x")),
    "chunks where none belong": (400, _request("GET /hello", "Transfer-Encoding: chunked\n", "0\r\n\r\n")),
    # forms
    "invalid UTF-8 in a form": (400, _form(b"name=\xff")),
    "invalid UTF-8 in a form, escaped": (422, _form("name=%ff&email=%fe&a=%f")),
    "a form above the limit": (413, _form(b"n" * (BODY_LIMIT + 1))),
    "three hundred thousand fields": (422, _form("a=1&" * 250_000)),
    "three hundred thousand ids": (303, _form("do=delete" + "&id=999" * 140_000, "/contacts/bulk")),
    "a field above the limit": (422, _form("phone=1&name=" + "n" * 900_000)),
    "another kind of body": (415, _request("POST /contacts", "Content-Type: application/json\n", "{}")),
    "parts without a boundary": (400, _request("POST /contacts", "Content-Type: multipart/form-data\n", "x")),
    "parts that never begin": (400, _request("POST /contacts", MULTIPART.format("b"), "abc")),
    "parts without number": (
        413,
        _request(
            "POST /contacts",
            MULTIPART.format("b"),
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" * 15_000 + "--b--",
        ),
    ),
    "a file that is no form": (415, _request("POST /import", "Content-Type: text/csv\n", "Name\nx")),
    "a file without a boundary": (415, _request("POST /import", "Content-Type: multipart/form-data\n", "x")),
    "a file with a long boundary": (400, _request("POST /import", MULTIPART.format("b" * 5_000), "abc")),
    "a file with many headers": (
        400,
        _request("POST /import", MULTIPART.format("b"), "--b\r\n" + "A: b\r\n" * 40_000),
    ),
    "a file of brackets": (
        303,
        _request(
            "POST /import",
            MULTIPART.format("b"),
            "--b\r\nContent-Disposition: form-data; name=file; filename=../../a.json\r\n\r\n"
            + "[" * 200_000
            + "\r\n--b--",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_hostile_is_refused_or_harmless(site: RunningServer, case: str) -> None:
    expected, data = CASES[case]

    assert _status(site, data) == expected
    assert site.get("/hello").status == 200


SMUGGLED = "GET /contacts/424242 HTTP/1.1\r\nHost: localhost\r\n\r\n"
SHAPES = {
    "a length, and chunks that end before it": _chunked(f"0\r\n\r\n{SMUGGLED}", "Content-Length: 99\n"),
    "chunks, and a length that ends before them": _chunked(f"1\r\nx\r\n{SMUGGLED}", "Content-Length: 4\n"),
    "a body of a request that has none": _request("GET /hello", body=SMUGGLED),
    "a chunk that is longer than it says": _chunked(f"1\r\nxy\r\n0\r\n\r\n{SMUGGLED}"),
    "a chunk whose size is cut": _chunked(f"1;\nx\r\n0\r\n\r\n{SMUGGLED}", "Content-Length: 5\n"),
}  # fmt: skip


@pytest.mark.parametrize("data", SHAPES.values(), ids=SHAPES)
def test_no_request_is_smuggled_inside_another(site: RunningServer, data: bytes) -> None:
    with site.connect() as connection:
        connection.send(data)
        first = connection.answer().status
        second = _answered(connection)

    assert (first, second) == (400, CLOSED)
    site.get("/hello")
    assert "424242" not in site.log()


def test_a_hundred_requests_sent_at_once_are_answered_in_their_order(site: RunningServer) -> None:
    with site.connect() as connection:
        connection.send(
            (_request("GET /hello") + _request("PATCH /contacts")) * 50 + _request("GET /nowhere")
        )
        answers = connection.read_until("There is nothing at this address")

    assert re.findall(r"HTTP/1.1 (\d+)", answers) == ["200", "405"] * 50 + ["404"]


# ---- slow clients


def _drip(server: RunningServer, connections: list[Connection]) -> list[int]:
    """Send a byte on each connection again and again until it is answered, while others are served."""
    waiting, statuses, end = list(connections), list[int](), monotonic() + START
    while waiting and monotonic() < end:
        assert server.get("/contacts").status == 200
        readable, _, _ = select.select(waiting, [], [], 0.05)
        for connection in readable:
            statuses.append(_answered(connection))
            waiting.remove(connection)
        for connection in waiting:
            with suppress(OSError):
                connection.send(b"a")
    return statuses


def test_heads_that_never_end_are_given_up_while_others_are_served(
    impatient: RunningServer, stack: ExitStack
) -> None:
    connections = [stack.enter_context(impatient.connect()) for _ in range(200)]
    for connection in connections:
        connection.send("GET /contacts HTTP/1.1\nHost: localhost\nX-A: ")

    statuses = _drip(impatient, connections)

    assert len(statuses) == 200
    assert set(statuses) <= {408, CLOSED}  # closed: a byte crossed with the answer
    assert 408 in statuses


def test_bodies_that_never_end_are_given_up_while_others_are_served(
    impatient: RunningServer, stack: ExitStack
) -> None:
    connections = [stack.enter_context(impatient.connect()) for _ in range(50)]
    for connection in connections:
        connection.send(
            _request("POST /contacts", f"{FORM}Content-Length: 100000\n", "name=Drip&phone=1&notes=")
        )

    statuses = _drip(impatient, connections)

    assert len(statuses) == 50
    assert set(statuses) <= {400, CLOSED}
    assert "Drip" not in impatient.get("/contacts").text


def test_connections_that_say_nothing_are_closed(impatient: RunningServer, stack: ExitStack) -> None:
    silent = [stack.enter_context(impatient.connect()) for _ in range(5)]
    silent[0].get("/hello")

    assert [connection.read_until("anything") for connection in silent] == [""] * 5


# ---- crowds and floods


@pytest.fixture
def _many_files() -> Iterator[None]:
    """This process may open as many files as it ever may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _memory(server: RunningServer, what: str) -> float:
    """Of the server's process, in megabytes; what: VmRSS for now, VmHWM for the most there ever was."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(dict(re.findall(r"(\w+):\s+(\d+) kB", status))[what]) / 1024


@linux_only
@pytest.mark.usefixtures("_many_files")
def test_a_thousand_idle_connections_cost_little_and_delay_nobody(
    site: RunningServer, stack: ExitStack
) -> None:
    before = _memory(site, "VmRSS")

    for _ in range(1_000):
        stack.enter_context(site.connect())
    pages = [site.get("/contacts", timeout=5).status for _ in range(10)]

    assert set(pages) == {200}
    assert _memory(site, "VmRSS") - before < 64


def _flood_reads() -> tuple[bytes, bytes]:
    return _request("GET /live", f"Content-Length: {40 * MEGABYTE}\n"), b"a" * MEGABYTE


def _flood_chunks() -> tuple[bytes, bytes]:
    return _chunked(b""), b"100000\r\n" + b"a" * MEGABYTE + b"\r\n"


def _flood_requests() -> tuple[bytes, bytes]:
    return b"", _request("GET /static/app.css") * 20_000


@linux_only
@pytest.mark.parametrize(
    ("flood", "times"),
    [(_flood_reads, 40), (_flood_chunks, 40), (_flood_requests, 2)],
    ids=["bodies that nobody reads", "chunks without end", "requests whose answers nobody reads"],
)
def test_a_flood_is_not_kept_in_memory(
    site: RunningServer, stack: ExitStack, flood: Callable[[], tuple[bytes, bytes]], times: int
) -> None:
    head, block = flood()
    before = _memory(site, "VmHWM")

    for _ in range(4):
        connection = stack.enter_context(site.connect(timeout=1))
        with suppress(OSError):  # closed, or not read any more
            connection.send(head)
            for _ in range(times):
                connection.send(block)

    assert site.get("/contacts", timeout=10).status == 200
    assert _memory(site, "VmHWM") - before < 64


def test_the_stream_of_a_client_that_sent_too_much_ends_when_it_leaves(tmp_path: Path) -> None:
    token = "a token of this test"
    with running_server(tmp_path, CONTACTS_METRICS_TOKEN=token) as running:

        def open_streams() -> int:
            with running.connect() as connection:
                connection.send(f"GET /metrics HTTP/1.1\nHost: localhost\nAuthorization: Bearer {token}\n\n")
                return int(re.findall(r'streams_open{route="/live"} (\d+)', connection.answer().text)[0])

        with running.connect() as leaving:
            leaving.send(_request("GET /live") + _request("GET /static/app.css") * 20_000)
            leaving.read_until("retry:")
            assert open_streams() == 1

        end = monotonic() + START
        number = 0
        while open_streams():  # the server finds out as it writes, so it gets something to write
            assert monotonic() < end
            number += 1
            assert _status(running, _form(f"name=Ada&email={number}@example.com")) == 303
