"""Clients that mean no good and speak HTTP/2, on real TLS sockets against the real server.

The bounds are those of HTTP/1.1, see tests/test_hostile.py: what is out of bounds gets its 4xx, or
loses its stream or its connection; others, and other requests of the same client, are served.
"""

import json
import re
import select
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Self

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from app.bounds import MAX_ASIDES, MAX_BODIES, MAX_HEAD, MAX_HEADERS
from app.server import MAX_BODY
from app.web.headers import HEADERS, STRICT_TRANSPORT_SECURITY
from tests.certificates import make_certificate
from tests.server_process import APP, RunningServer, running_server

MEGABYTE = 1_048_576
PATIENCE = 60  # seconds for a whole connection, also when nobody stops a drip
FORM = ("content-type", "application/x-www-form-urlencoded")

type Pair = tuple[str, str | bytes]


@dataclass(slots=True)
class Answer:
    """What came on one stream. reset: the code that the server has cancelled it with."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: ErrorCodes | int | None = None

    @property
    def text(self) -> str:
        """The body so far, which may end in the middle of a character."""
        return self.body.decode(errors="ignore")


class Client:
    """A connection that speaks HTTP/2, and says what it is told to however wrong it is.

    A context manager. answers: by stream. goodbye: the first code with which the server has ended the
    connection; closed: whether it has.
    """

    def __init__(self, server: RunningServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self._socket = context.wrap_socket(socket.create_connection((server.host, server.port), 20))
        self.frames = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
        self.frames.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.goodbye: ErrorCodes | int | None = None
        self.closed = False
        self._pongs = 0
        self._end = monotonic() + PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, *headers: Pair, end: bool = True) -> int:
        """Send a head; the number of its stream. end: whether nothing follows."""
        stream = self.frames.get_next_available_stream_id()
        self.answers[stream] = Answer()
        pseudo = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "localhost")]
        self.frames.send_headers(stream, [*pseudo, *headers], end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send as the server's windows let; stop when it wants no more."""
        while data and not (self.closed or self._is_over(stream)):
            if not (room := min(self.frames.local_flow_control_window(stream), 16_384, len(data))):
                self.read()
                continue
            self.frames.send_data(stream, data[:room], end_stream=end and room == len(data))
            data = data[room:]
            self.flush()

    def _is_over(self, stream: int) -> bool:
        return self.answers[stream].reset is not None

    def raw(self, data: bytes) -> None:
        """Send these bytes."""
        with suppress(OSError):  # closed meanwhile; what it said before that can be read
            self._socket.sendall(data)

    def flush(self) -> None:
        """Send what there is to send."""
        self.raw(self.frames.data_to_send())

    def read(self) -> None:
        """Wait for something, and take note of it."""
        assert monotonic() < self._end, "the server goes on and on"
        try:
            data = self._socket.recv(65_536)
        except ConnectionError:
            data = b""
        self.closed = not data
        with suppress(ProtocolError):  # it answers what our parser does not know that we asked
            for event in self.frames.receive_data(data):
                self._note(event)
        self.flush()

    def _note(self, event: Event) -> None:
        match event:
            case ResponseReceived(stream_id=stream, headers=headers):
                answer = self.answers[stream]
                answer.headers = {_text(name): _text(value) for name, value in headers}
                answer.status = int(answer.headers[":status"])
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=size):
                self.answers[stream].body += data
                self.frames.acknowledge_received_data(size, stream)
            case StreamEnded(stream_id=stream):
                self.answers[stream].ended = True
            case StreamReset(stream_id=stream, error_code=code):
                self.answers[stream].reset = code
            case ConnectionTerminated(error_code=code):
                self.goodbye = code if self.goodbye is None else self.goodbye
            case PingAckReceived():
                self._pongs += 1

    def look(self) -> None:
        """Read what has come already, if anything has."""
        if select.select([self._socket], [], [], 0.05)[0]:
            self.read()

    def answer(self, stream: int) -> Answer:
        """Wait until this stream, or the connection, is at its end."""
        answer = self.answers[stream]
        while not (answer.ended or answer.reset is not None or self.closed):
            self.read()
        return answer

    def get(self, path: str, *headers: Pair) -> Answer:
        """Ask and wait for the answer."""
        return self.answer(self.ask("GET", path, *headers))

    def settle(self) -> None:
        """Wait until the server has read all that was sent, and said what it had to say about it."""
        expected = self._pongs + 1
        self.frames.ping(b"settling")
        self.flush()
        while self._pongs < expected and not self.closed:
            self.read()

    def read_to_end(self) -> None:
        """Wait until the server closes the connection."""
        while not self.closed:
            self.read()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@contextmanager
def _secure(folder: Path, certificate: tuple[Path, Path], *module: str) -> Iterator[RunningServer]:
    """A server with a certificate, whose log must tell of no fault of ours at the end."""
    cert, key = map(str, certificate)
    with running_server(
        folder, module=module or APP, CONTACTS_TLS_CERT=cert, CONTACTS_TLS_KEY=key, CONTACTS_SAMPLE="60"
    ) as running:
        yield running
        running.stop()
        assert "Traceback" not in running.log()
        levels = [json.loads(line)["level"] for line in running.log().splitlines() if line.startswith("{")]
        assert {"error", "critical"}.isdisjoint(levels)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[RunningServer]:
    with _secure(tmp_path_factory.mktemp("site"), certificate) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[RunningServer]:
    """The real server, which waits for slow clients a second."""
    with _secure(tmp_path_factory.mktemp("slow"), certificate, "tests.probe_app", "impatient") as running:
        yield running


def _lacking(headers: dict[str, str]) -> list[str]:
    """The headers that an answer of ours has, and this one has not."""
    expected = {**HEADERS, "Strict-Transport-Security": STRICT_TRANSPORT_SECURITY}
    return [name for name, value in expected.items() if headers.get(name.lower()) != value]


# ---- what is malformed or too large

HEADS: dict[str, tuple[int, str, str, tuple[Pair, ...]]] = {
    "a head above the limit": (431, "GET", "/hello", (("x-a", "a" * MAX_HEAD),)),
    "more headers than the limit": (431, "GET", "/hello", (("x-a", "a"),) * (MAX_HEADERS + 1)),
    "a path above the limit": (431, "GET", "/hello?" + "a" * MAX_HEAD, ()),
    "a WebSocket": (405, "CONNECT", "/live", ((":protocol", "websocket"),)),
    "a length where there is no body": (400, "GET", "/live", (("content-length", "9"),)),
    "a length above the limit": (413, "POST", "/contacts", (("content-length", str(MAX_BODY + 1)),)),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_head_that_is_out_of_bounds_is_refused_and_the_next_one_served(
    site: RunningServer, case: str
) -> None:
    status, method, path, headers = HEADS[case]
    with Client(site) as client:
        refused = client.answer(client.ask(method, path, *headers, end=False))

        assert refused.status == status
        assert _lacking(refused.headers) == []
        assert refused.headers["cache-control"] == "no-store"
        assert refused.text.endswith(".")
        assert client.get("/hello").status == 200


def test_a_header_that_is_not_utf_8_is_harmless(site: RunningServer) -> None:
    with Client(site) as client:
        assert client.get("/hello", ("x-a", b"\xff\xfe")).status == 200


def test_a_head_that_goes_on_and_on_ends_the_connection(site: RunningServer) -> None:
    with Client(site) as client:
        client.settle()
        client.raw(_frame(1, 0, 1, b"\x82") + _frame(9, 0, 1, b"a" * 16_384) * 8)
        client.read_to_end()

        assert client.goodbye == ErrorCodes.PROTOCOL_ERROR
    assert site.get("/hello").status == 200


@pytest.mark.parametrize(
    ("what", "times"),
    [
        (_frame(6, 0, 0, b"12345678"), MAX_ASIDES),
        (_frame(4, 0, 0), MAX_ASIDES),
        (_frame(2, 0, 1, bytes(5)), MAX_ASIDES),
    ],
    ids=["pings", "settings", "priorities"],
)
def test_frames_that_bring_nothing_end_the_connection_when_there_are_too_many(
    site: RunningServer, what: bytes, times: int
) -> None:
    with Client(site) as client:
        client.settle()
        client.raw(what * (times + 1))
        client.read_to_end()

        assert client.goodbye == ErrorCodes.ENHANCE_YOUR_CALM
    assert site.get("/hello").status == 200


def test_requests_that_are_cancelled_at_once_end_the_connection_when_there_are_too_many(
    site: RunningServer,
) -> None:
    with Client(site) as client:
        for _ in range(MAX_ASIDES + 1):
            client.frames.reset_stream(client.ask("GET", "/contacts"), ErrorCodes.CANCEL)
        client.flush()
        client.read_to_end()

        assert client.goodbye == ErrorCodes.ENHANCE_YOUR_CALM
    assert site.get("/hello").status == 200


# ---- bodies


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_body_where_none_belongs_ends_its_stream_and_is_not_kept(site: RunningServer) -> None:
    with ExitStack() as stack:
        before = _most_memory(site)
        for _ in range(4):
            client = stack.enter_context(Client(site))
            stream = client.ask("GET", "/live", end=False)
            client.send(stream, b"a" * 24 * MEGABYTE)

            assert client.answers[stream].reset is not None
            assert client.get("/hello").status == 200

        assert _most_memory(site) - before < 64


def test_only_so_many_bodies_are_taken_at_once(site: RunningServer) -> None:
    form = b"name=&email=" + b"a" * 100_000
    with Client(site) as client:
        streams = [client.ask("POST", "/contacts", FORM, end=False) for _ in range(MAX_BODIES)]
        refused = client.answer(client.ask("POST", "/contacts", FORM, end=False))
        for stream in streams:
            client.send(stream, form, end=True)

        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert _lacking(refused.headers) == []
        assert {client.answer(stream).status for stream in streams} == {422}
        again = client.ask("POST", "/contacts", FORM, end=False)
        client.send(again, form, end=True)
        assert client.answer(again).status == 422


def test_what_the_app_has_not_read_its_client_has_to_keep(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with _secure(tmp_path, certificate, "tests.probe_app", "routes") as server, Client(server) as client:
        stream = client.ask("POST", "/linger", end=False)  # answered, and then read when it is released
        client.send(stream, b"a" * 65_535)
        client.settle()
        kept = client.frames.local_flow_control_window(stream)
        released = client.get("/release").text
        client.send(stream, b"a" * 65_535, end=True)

        assert kept == 0
        assert released == "released"
        assert client.answer(stream).text == "done"


def test_what_nobody_will_read_any_more_leaves_room_for_other_bodies(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with _secure(tmp_path, certificate, "tests.probe_app", "routes") as server, Client(server) as client:
        for _ in range(3):
            stream = client.ask("POST", "/linger", end=False)  # whose body is not read
            client.send(stream, b"a" * 60_000)
            client.frames.reset_stream(stream, ErrorCodes.CANCEL)
        last = client.ask("POST", "/size", end=False)
        client.send(last, b"a" * 100_000, end=True)

        assert client.answer(last).text == "100000"


# ---- slow clients


def test_a_head_that_drips_ends_the_connection(impatient: RunningServer) -> None:
    with Client(impatient) as client:
        client.settle()
        client.raw(_frame(1, 0, 1, b"\x82"))  # without the flag that says it is all
        client.raw(_frame(9, 0, 1, bytes(16_384))[:9])  # the announcement of its rest
        end = monotonic() + PATIENCE
        while not client.closed and monotonic() < end:
            client.raw(b"a")
            assert impatient.get("/hello").status == 200
            client.look()

    assert client.goodbye == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_body_that_drips_is_given_up(impatient: RunningServer) -> None:
    with Client(impatient) as client:
        stream = client.ask("POST", "/contacts", FORM, ("content-length", "100000"), end=False)
        client.send(stream, b"name=Drip&phone=")
        end = monotonic() + PATIENCE
        while client.answers[stream].reset is None and monotonic() < end:
            client.send(stream, b"1")
            assert impatient.get("/hello").status == 200
            client.settle()

        assert client.answers[stream].status == 408
        assert "Drip" not in client.get("/contacts").text


# ---- Pounce's own answers


def probed(folder: Path, kind: str, certificate: tuple[Path, Path]) -> AbstractContextManager[RunningServer]:
    """An app of tests.probe_app, over HTTPS."""
    cert, key = map(str, certificate)
    return running_server(
        folder, module=("tests.probe_app", kind), CONTACTS_TLS_CERT=cert, CONTACTS_TLS_KEY=key
    )


def test_a_failure_outside_of_the_app_has_the_headers_of_every_answer(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with probed(tmp_path, "leaky", certificate) as server, Client(server) as client:
        failed = client.get("/escaping")

        assert failed.status == 500
        assert _lacking(failed.headers) == []
        assert failed.text == "Something failed here, and the log says what. Try again in a moment."


def test_a_file_that_breaks_off_is_not_taken_for_whole(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with probed(tmp_path, "routes", certificate) as server, Client(server) as client:
        half = client.get("/half")

        assert (half.status, half.text, half.ended) == (200, "the first half", False)
        assert half.reset == ErrorCodes.INTERNAL_ERROR
        server.stop()
        assert "Traceback" not in server.log()


def _most_memory(server: RunningServer) -> float:
    """That the server's process ever had, in megabytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
