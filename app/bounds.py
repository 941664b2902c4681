"""What clients may send, and no more: Pounce's parsers of HTTP/1.1 and HTTP/2 with bounds.

Bounds of the size of a head, of the time that sending takes, and of what is kept of a body that
nobody has read yet. app.pounce_fixes puts these parsers in the place of Pounce's own.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import h11
from h2.config import H2Configuration
from h2.connection import ConnectionState
from h2.connection import H2Connection as FrameParser
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    StreamReset,
    UnknownFrameReceived,
)
from h2.exceptions import DenialOfServiceError, ProtocolError
from h2.stream import H2Stream, StreamState
from pounce._errors import ParseError
from pounce.protocols._base import BodyReceived, RequestReceived
from pounce.protocols.h1 import H1Protocol
from pounce.protocols.h2 import (
    H2BodyReceived,
    H2Connection,
    H2Event,
    H2RequestReceived,
    H2StreamReset,
    H2WebSocketRequest,
)

from app.web.headers import refusal, security_headers

# Of the head of a request: what browsers send is far below.
MAX_HEAD: Final = 16_384  # bytes, names and values of headers and the target
MAX_HEADERS: Final = 100
# Of a client that sends, so that a drip does not hold a connection for ever.
HEAD_TIME: Final = 10.0  # seconds from the first byte of a head to its last
BODY_TIME: Final = 20.0  # seconds a body may take however slow, and then one more for each
BODY_RATE: Final = 500  # bytes
# Of one connection of HTTP/2.
MAX_BODIES: Final = 10  # requests at once whose bodies are still on their way
MAX_ASIDES: Final = 500  # in HEAD_TIME: frames that bring nothing, such as pings and cancellations

# What the codes of refusals say to people.
REFUSALS: Final = {
    "LARGE": (431, f"The headers are larger than {MAX_HEAD // 1024} KB, or more than {MAX_HEADERS}."),
    "SLOW": (408, "The request took too long to arrive."),
    "VERSION": (400, "Use HTTP/1.1."),
    "BODY": (400, "A request that only reads has no body."),
    "METHOD": (405, "This is no proxy."),
    "MANY": (429, f"More than {MAX_BODIES} requests at once send something. Wait until some are done."),
    "POUNCE_PARSE_H11_REJECTED": (400, "The request is malformed."),
    "POUNCE_LIMIT_REQUEST_TOO_LARGE": (413, "The request is too large."),
    "POUNCE_TIMEOUT_REQUEST_BODY": (408, "The request took too long to arrive."),
    "POUNCE_APP_E": (500, "Something failed here, and the log says what. Try again in a moment."),
    "POUNCE_APP_NO_RESPONSE": (500, "Something failed here, and the log says what. Try again in a moment."),
}


def check_head(head: RequestReceived) -> None:
    """ParseError, whose code is one of REFUSALS, for a request that nobody should see."""
    size = len(head.target) + sum(len(name) + len(value) for name, value in head.headers)
    headers = dict(head.headers)
    if size > MAX_HEAD or len(head.headers) > MAX_HEADERS:
        raise ParseError("too large", code="LARGE")
    if head.http_version not in ("1.0", "1.1", "2"):  # the last is what Pounce calls HTTP/2
        raise ParseError("another version", code="VERSION")
    if head.method == b"CONNECT":  # h11 would wait for a tunnel, and Pounce for a request
        raise ParseError("no proxy", code="METHOD")
    length, coding = int(headers.get(b"content-length", 0)), headers.get(b"transfer-encoding")
    if b"content-length" in headers and coding:
        # RFC 9112, 6.1: whoever stands in front may have taken the other one, and see another request.
        raise ParseError("two lengths", code="POUNCE_PARSE_H11_REJECTED")
    if head.method in (b"GET", b"HEAD") and (length or coding):
        # Nobody would read it: Pounce keeps it in memory for as long as the answer takes, an event stream.
        raise ParseError("a body", code="BODY")


class BoundedHTTP1(H1Protocol):
    """Pounce's parser, with bounds to the size of a head and to the time that sending takes.

    A drip of bytes comes in many reads, so it is enough to look at the clock at each.
    """

    __slots__ = ("_begun", "_got")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._begun = 0.0  # when the first byte came of the head, or of the body, that is under way
        self._got = 0  # bytes of the body

    def receive_data(self, data: bytes) -> list[Any]:
        """Parse; ParseError, whose code says why, for what is malformed or out of bounds."""
        in_body = self.their_state is h11.SEND_BODY
        events = self._parse(data)
        heads = [event for event in events if isinstance(event, RequestReceived)]
        for head in heads:
            check_head(head)
        now = monotonic()
        if heads or not self._begun:
            self._begun, self._got = now, 0
        self._got += len(data)
        if self.their_state in (h11.IDLE, h11.SEND_BODY):
            patience = BODY_TIME + self._got / BODY_RATE if in_body else HEAD_TIME
            if now - self._begun > patience:
                raise ParseError("too slow", code="SLOW")
        else:
            self._begun = 0.0
        return events

    def _parse(self, data: bytes) -> list[Any]:
        try:
            return super().receive_data(data)
        except ParseError as error:
            hint = getattr(error.__cause__, "error_status_hint", 400)
            raise ParseError(str(error), code="LARGE" if hint == 431 else error.code) from error


class _Frames(FrameParser):
    """h2's parser of a connection, which gives up on clients that keep it busy with nothing."""

    MAX_CLOSED_STREAMS = 1_000  # to remember; by default 65,536
    ASIDES = (PingReceived, PriorityUpdated, RemoteSettingsChanged, StreamReset, UnknownFrameReceived)

    def __init__(self) -> None:
        # Bytes, as they come: UTF-8, h2's default here, would be the end of a connection that breaks it.
        super().__init__(H2Configuration(client_side=False, header_encoding=None))
        self._head_begun = 0.0  # when the first byte came of the head that is under way
        self._asides, self._counting_since = 0, 0.0

    def receive_data(self, data: Any) -> list[Event]:
        """Parse; ProtocolError for what is malformed or out of bounds."""
        events = super().receive_data(data)
        now = monotonic()
        if now - self._counting_since > HEAD_TIME:
            self._asides, self._counting_since = 0, now
        for event in events:
            empty = isinstance(event, DataReceived) and not (event.data or event.stream_ended)
            self._asides += empty or isinstance(event, self.ASIDES)
            if isinstance(event, DataReceived):
                # What Pounce gives back to the client's window at once: the padding. The rest later.
                event.flow_controlled_length -= len(event.data)
        if self._asides > MAX_ASIDES:
            self._give_up("too many frames that bring nothing")
        self._head_begun = (self._head_begun or now) if self._in_head() else 0.0
        if self._head_begun and now - self._head_begun > HEAD_TIME:
            self._give_up("a head that is too slow")
        return events

    def _in_head(self) -> bool:
        """Whether a part has come of the preface, a head, or a frame that is not of a body."""
        buffer = self.incoming_buffer
        part_of_frame = buffer._data and buffer._data[3:4] != b"\x00"  # its type: DATA
        return bool(buffer._preamble_len or buffer._headers_buffer or part_of_frame)

    def _give_up(self, why: str) -> None:
        self.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        raise DenialOfServiceError(why)


class Piece(bytes):
    """A piece of a body that came over HTTP/2. Its sender may send as much again once it is taken."""

    connection: BoundedHTTP2
    stream_id: int

    def take(self) -> None:
        """Say that the app has it."""
        self.connection.take(self.stream_id, len(self))


@dataclass(slots=True)
class _Sending:
    """A request over HTTP/2 whose answer is not finished."""

    reads: bool  # GET or HEAD, which have no body
    begun: float
    got: int = 0  # bytes of its body
    waiting: int = 0  # of these, those that the app has not taken yet


class BoundedHTTP2(H2Connection):
    """Pounce's parser, with the bounds of HTTP/1.1, and flow control that bounds what is kept of bodies.

    Pounce lets a client send on as soon as its bytes are here, into a queue without bounds. Here
    it waits until the app has taken them: h2's window, 64 KB a connection, is all that is ever kept.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._conn = _Frames()
        self._writer = writer
        self._sending: dict[int, _Sending] = {}

    def receive_data(self, data: bytes) -> list[H2Event]:
        """What came, but for what is refused: that is answered here; ProtocolError ends the connection."""
        return [kept for event in super().receive_data(data) for kept in self._sift(event)]

    def _sift(self, event: H2Event) -> list[H2Event]:
        match event:
            case H2RequestReceived(stream_id, head) | H2WebSocketRequest(stream_id, head):
                reads = head.method in (b"GET", b"HEAD")
                sending = sum(
                    not (each.reads or self.stream_ended(number)) for number, each in self._sending.items()
                )
                try:
                    check_head(head)
                    if sending >= MAX_BODIES and not (reads or self.stream_ended(stream_id)):
                        raise ParseError("too many", code="MANY")
                except ParseError as error:
                    return self._refuse(stream_id, error)
                self._sending[stream_id] = _Sending(reads, monotonic())
            case H2BodyReceived(stream_id, BodyReceived(data, more)):
                if not (sent := self._sending.get(stream_id)):
                    self._credit(stream_id, len(data))  # has been refused, or answered
                    return []
                sent.got += len(data)
                sent.waiting += len(data)
                if sent.reads and data:
                    return self._refuse(stream_id, ParseError("a body", code="BODY"))
                if monotonic() - sent.begun > BODY_TIME + sent.got / BODY_RATE:
                    return self._refuse(stream_id, ParseError("too slow", code="SLOW"))
                piece = Piece(data)
                piece.connection, piece.stream_id = self, stream_id
                return [H2BodyReceived(stream_id, BodyReceived(piece, more))]
            case H2StreamReset(stream_id):
                self._forget(stream_id)
        return [event]

    def _refuse(self, stream_id: int, error: ParseError) -> list[H2Event]:
        """Answer, unless that has begun; then nothing more is wanted. What cancels the work on it."""
        stream = self._conn.streams.get(stream_id)
        if stream and stream.open and not stream.state_machine.headers_sent:
            self._answer(stream_id, *REFUSALS[error.code])
        self.remove_stream(stream_id)
        return [H2StreamReset(stream_id, ErrorCodes.CANCEL)]

    def _answer(self, stream_id: int, status: int, message: str) -> None:
        headers, body = refusal(status, message)
        super().send_response_headers(stream_id, status, [*headers, *security_headers()[1]])
        if self.local_flow_control_window(stream_id) >= len(body):
            super().send_data(stream_id, body, end_stream=True)

    def send_response_headers(
        self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]], *, end_stream: bool = False
    ) -> None:
        """Send them; what Pounce answers itself, which is known by its lack of ours, in our words."""
        if any(name == b"content-security-policy" for name, _ in headers):
            super().send_response_headers(stream_id, status, headers, end_stream=end_stream)
            return
        code = dict(headers).get(b"x-pounce-error-code", b"POUNCE_APP_E").decode()
        stream = self._conn.streams.get(stream_id)
        if stream and not stream.state_machine.headers_sent:
            self._answer(stream_id, *REFUSALS[code])
        else:  # the app has failed in the middle of its answer
            self.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)

    def send_data(self, stream_id: int, data: bytes, *, end_stream: bool = False) -> None:
        """Send; nothing after the end of an answer, such as Pounce's text after ours."""
        stream = self._conn.streams.get(stream_id)
        if stream and not _has_answered(stream):
            super().send_data(stream_id, data, end_stream=end_stream)

    def reset_stream(self, stream_id: int, error_code: int = 0) -> None:
        """Cancel a stream, and let its client send on others."""
        super().reset_stream(stream_id, error_code)
        self._forget(stream_id)

    def remove_stream(self, stream_id: int) -> None:
        """Note that the work on a stream is over: what its client still sends is not wanted."""
        super().remove_stream(stream_id)
        self._forget(stream_id)
        stream = self._conn.streams.get(stream_id)
        if stream and stream.open:
            whole = _has_answered(stream)
            with contextlib.suppress(ProtocolError):  # the connection may be at its end
                self._conn.reset_stream(
                    stream_id, ErrorCodes.NO_ERROR if whole else ErrorCodes.INTERNAL_ERROR
                )
        self._flush()

    def close_connection(self, error_code: int = 0) -> None:
        """Say goodbye, once."""
        if self._conn.state_machine.state is not ConnectionState.CLOSED:
            super().close_connection(error_code)

    def take(self, stream_id: int, size: int) -> None:
        """Let the client send as many bytes again, which the app has taken."""
        if sent := self._sending.get(stream_id):
            sent.waiting -= size
            self._credit(stream_id, size)
            self._flush()

    def _forget(self, stream_id: int) -> None:
        if sent := self._sending.pop(stream_id, None):
            self._credit(stream_id, sent.waiting)

    def _credit(self, stream_id: int, size: int) -> None:
        with contextlib.suppress(ProtocolError):  # the connection may be at its end
            self._conn.acknowledge_received_data(size, stream_id)

    def _flush(self) -> None:
        if not self._writer.is_closing() and (data := self.data_to_send()):
            self._writer.write(data)


def _has_answered(stream: H2Stream) -> bool:
    return stream.state_machine.state in (StreamState.HALF_CLOSED_LOCAL, StreamState.CLOSED)
