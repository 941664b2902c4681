"""The mended faults of Pounce; its bounds for what clients send are in app.bounds.

Pounce 0.9.2 has faults that a browser or an ordinary network meets within minutes. Each
is mended here, for that version only, so that the app is right without a proxy in front;
each has a test on a real socket in tests/test_server.py that fails without its cure, and
an entry in docs/upstream.md with a reproduction.
"""

import asyncio
import contextlib
import functools
import logging
import mmap
import multiprocessing
import os
import signal
import threading
from contextvars import ContextVar
from itertools import chain
from multiprocessing.process import BaseProcess
from typing import Any, Final

import h2.frame_buffer
import h11
import pounce
import pounce._h2_handler
import pounce._output
import pounce._request_pipeline
import pounce.logging
import pounce.protocols.h2
import pounce.server
import pounce.worker
from h2.exceptions import ProtocolError
from pounce import ASGIApp, Receive, Scope, Send, ServerConfig
from pounce._errors import ParseError, RequestTimeoutError
from pounce._request_pipeline import log_request
from pounce._timeouts import drain_with_timeout
from pounce.asgi import bridge
from pounce.asgi.h2_bridge import create_h2_receive
from pounce.protocols.h1 import H1Protocol
from pounce.supervisor import Supervisor
from pounce.worker import Worker

from app.bounds import REFUSALS, BoundedHTTP1, BoundedHTTP2, Piece
from app.listening import listen, remove_path, stop_listening
from app.mending import put, refuse_other_version
from app.web.draining import draining
from app.web.headers import refusal, security_headers
from app.web.logs import Lines, number_of
from app.web.metrics import LEFT

POUNCE: Final = "0.9.2"  # the version whose faults are mended here

GOODBYE: Final = 1.0  # seconds that an idle client has to answer the end of its TLS connection
LOOK: Final = 1.0  # seconds between two looks whether a client that has sent too much has left
FIRST: Final = 0.5  # seconds for the first request of who was let in just before the end

log = logging.getLogger(__name__)


@functools.cache
def apply_fixes() -> None:
    """Mend Pounce, once, before it serves anything."""
    refuse_other_version(pounce, POUNCE, "app/pounce_fixes.py")
    _read_heads_in_several_packets()
    _keep_requests_sent_early()
    _answer_requests_sent_together()
    _tell_of_bodies_cut_short()
    _bound_requests()
    _word_refusals()
    _write_security_headers_as_they_are()
    _word_turning_away()
    _listen_per_worker()
    _know_idle_connections()
    _know_idle_http2_connections()
    _turn_nobody_away_at_the_end()
    _tell_processes_to_stop()
    _leave_no_process_behind()
    _log_what_happened()
    _log_no_values()
    _number_requests()


def _read_heads_in_several_packets() -> None:
    """A head that comes in two reads is dropped: connection closed, no answer.

    The worker asks for a new cycle after every read, also when the head is not complete
    yet; h11 refuses that, and the worker takes the refusal for the end of the connection.
    In that one state there is no cycle to end, so there is nothing to do.
    """
    start_new_cycle = H1Protocol.start_new_cycle

    def patched(self: H1Protocol) -> None:
        if (self.our_state, self.their_state) != (h11.IDLE, h11.IDLE):
            start_new_cycle(self)

    put(H1Protocol, "start_new_cycle", patched)


def _keep_requests_sent_early() -> None:
    """While the app still works after its last byte, the client's next request is thrown away.

    To notice a client that leaves, the worker reads and drops whatever comes. The reader can
    be watched for its end without reading from it.
    """

    async def patched(reader: Any, disconnect: asyncio.Event) -> None:
        try:
            while not reader._eof and reader.exception() is None:
                if reader._paused:
                    # The client has sent more than asyncio buffers, and to wait for its data would
                    # make it buffer more. That it leaves shows now only in what is written to it.
                    await asyncio.sleep(LOOK)
                else:
                    await reader._wait_for_data("watch")
        except OSError:
            pass  # reset by the client: gone as well
        disconnect.set()

    put(Worker, "_monitor_disconnect", staticmethod(patched))


def _answer_requests_sent_together() -> None:
    """A request in the same packet as the end of the one before it waits for further bytes.

    They are in the parser's buffer, but the worker parses only after it has read. Given
    back to the reader, they are what the worker reads next.
    """
    handle_request = Worker._handle_request

    async def patched(self: Worker, head: Any, proto: Any, reader: Any, *args: Any, **kwargs: Any) -> None:
        await handle_request(self, head, proto, reader, *args, **kwargs)
        parser = proto._conn
        early, _ = parser.trailing_data
        if early:
            parser._receive_buffer = type(parser._receive_buffer)()
            reader._buffer[:0] = early

    put(Worker, "_handle_request", patched)


def _tell_of_bodies_cut_short() -> None:
    """A body that breaks off, or breaks the rules of chunks, is given to the app as complete.

    ASGI's word for it is http.disconnect. The parser knows: it still waits for the body, or
    has given up on it.
    """
    run_with_body_reader = Worker._run_with_body_reader

    async def patched(
        self: Worker, scope: Any, receive: Receive, send: Send, state: Any, queue: Any, proto: H1Protocol,
        *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        async def receive_whole() -> dict[str, Any]:
            message = await receive()
            if not message.get("more_body") and proto.their_state in (h11.SEND_BODY, h11.ERROR):
                return {"type": "http.disconnect"}
            return message

        await run_with_body_reader(self, scope, receive_whole, send, state, queue, proto, *args, **kwargs)

    put(Worker, "_run_with_body_reader", patched)


def _bound_requests() -> None:
    """The limits for heads have no effect on async workers, and those for time begin anew at each read.

    So a head of 64 KB passes if it comes in one read, and a byte every few seconds holds a
    connection for ever. Over HTTP/2 there are none, and bodies are kept in memory however fast they come.
    """
    put(pounce.worker, "_create_h1_protocol", BoundedHTTP1)
    put(pounce.protocols.h2, "H2Connection", lambda: BoundedHTTP2(_writer.get()))
    put(h2.frame_buffer, "CONTINUATION_BACKLOG", 4)  # frames of 16 KB that a head may go on in; was 64

    def patched(queue: asyncio.Queue[dict[str, Any]], *, timeout: float | None = None) -> Receive:
        receive = create_h2_receive(queue, timeout=timeout)
        whole = False

        async def bounded() -> dict[str, Any]:
            nonlocal whole
            if whole:  # there is nothing more to come: this task is cancelled when its client goes
                await asyncio.get_running_loop().create_future()
            try:
                message = await receive()
            except RequestTimeoutError:
                return {"type": "http.disconnect"}  # as over HTTP/1.1
            if isinstance(message["body"], Piece):
                message["body"].take()
            whole = not message["more_body"]
            return message

        return bounded

    put(pounce._h2_handler, "create_h2_receive", patched)


# Of the HTTP/2 connection whose task this is.
_writer: ContextVar[asyncio.StreamWriter] = ContextVar("writer")


def _word_refusals() -> None:
    """What Pounce refuses itself has no security headers, says 400 to everything, and how it is parsed."""

    async def patched(
        self: Worker, writer: asyncio.StreamWriter, proto: H1Protocol, status: int, message: str,
        *, code: str | None = None, hint: str | None = None,
    ) -> None:  # fmt: skip
        status, message = REFUSALS.get(code or "", (status, message))
        await _answer(self, writer, proto, status, *refusal(status, message))

    put(Worker, "_send_error", patched)


def _write_security_headers_as_they_are() -> None:
    """Every header of every answer is looked through five times: 50 µs for the security headers alone.

    They never change, so h11, which checks by regular expressions, is spared them. Line breaks, with which
    a value could begin a header of its own, are looked for in all headers at once.
    """
    send_response, sanitize = H1Protocol.send_response, bridge._sanitize_headers
    _, https = security_headers()
    lines = {pair: b"%s: %s\r\n" % pair for pair in https}

    def written(self: H1Protocol, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        head = send_response(self, status, [pair for pair in headers if pair not in lines])
        ours = [lines[pair] for pair in headers if pair in lines]
        return b"".join((head[:-2], *ours, b"\r\n"))  # an empty line ends a head

    def sanitized(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        text = b"".join(chain.from_iterable(headers))
        return sanitize(headers) if b"\r" in text or b"\n" in text else headers

    put(H1Protocol, "send_response", written)
    put(bridge, "_sanitize_headers", sanitized)


async def _answer(
    worker: Worker,
    writer: asyncio.StreamWriter,
    parser: H1Protocol,
    status: int,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Send an answer that is not the app's, and the security headers with it."""
    http, https = security_headers()
    headers = [*headers, *(https if writer.get_extra_info("ssl_object") else http)]
    with contextlib.suppress(OSError, h11.LocalProtocolError, RequestTimeoutError):
        writer.write(parser.send_response(status, headers))
        writer.write(parser.send_body(body))
        await drain_with_timeout(writer, worker._config.write_timeout)


FULL: Final = "Too many people are connected. Try again in a few seconds."


def _word_turning_away() -> None:
    """The same is true of what it says to a connection that is one too many."""
    handle_connection = Worker._handle_connection

    async def patched(self: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._active_connection_count() >= self._max_connections > 0:
            await _turn_away(self, reader, writer)
            _close_soon(writer)
        else:
            await handle_connection(self, reader, writer)

    put(Worker, "_handle_connection", patched)


async def _turn_away(worker: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request, or as much as comes of it in a moment, and answer 503."""
    tls = writer.get_extra_info("ssl_object")
    if tls and tls.selected_alpn_protocol() == "h2":
        # HTTP/2 has a word for it: nothing has been done, so the client may ask elsewhere, or again.
        frames = BoundedHTTP2(writer)
        frames.initiate_connection()
        frames.close_connection()
        writer.write(frames.data_to_send())
        return
    parser = BoundedHTTP1()
    with contextlib.suppress(TimeoutError, OSError, ParseError):
        async with asyncio.timeout(GOODBYE):
            # All of it: who closes on what is not read may cut the answer as well.
            while parser.their_state in (h11.IDLE, h11.SEND_BODY) and (data := await reader.read(65_536)):
                parser.receive_data(data)
    await _answer(worker, writer, parser, 503, *refusal(503, FULL))


def _listen_per_worker() -> None:
    """A burst of connections goes to one worker: its loop accepts all that wait, in one go.

    With SO_REUSEPORT each worker has a socket and the kernel spreads the connections. The
    price: those given to a worker that is busy wait for it, and a second server on the same
    port is no longer refused, so that is asked first. Only Linux spreads them.
    """

    put(pounce.server, "create_listeners", listen)
    put(pounce.server, "create_listener", lambda config: listen(config, 1)[0])


_workers: dict[int, Worker] = {}  # by their numbers


def _turn_nobody_away_at_the_end() -> None:
    """A worker that stops accepts whoever comes, and answers 503; what is said by then is not heard.

    So a proxy that has other servers to ask passes the 503 on, for a POST that it must not repeat. Also,
    the path of a Unix socket is removed at the end, when it may be the next server's.
    """
    init = Worker.__init__

    def patched(self: Worker, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        _workers[self._worker_id] = self

    put(Worker, "__init__", patched)
    put(Worker, "start_draining", lambda self: None)  # it hears of the end without, see `wind_up`
    put(pounce.server, "cleanup_unix_socket", remove_path)


async def wind_up(worker_id: int) -> None:
    """Have the calling worker finish what it has, and begin nothing more."""
    draining().set()
    worker = _workers[worker_id]
    await stop_listening(worker._sock, worker._config)
    await _close_idle_connections()


class _OfThisWorker(threading.local):
    """What a worker knows of its connections; each worker has a thread of its own."""

    def __init__(self) -> None:
        self.idle: dict[asyncio.StreamWriter, Any] = {}  # to their readers; HTTP/1.1 only
        self.silent: set[asyncio.StreamWriter] = set()  # those that have not asked anything yet
        # Reader, to the writer and the tasks that answer requests.
        self.http2: dict[Any, tuple[asyncio.StreamWriter, set[Any]]] = {}


_here = _OfThisWorker()


def _know_idle_connections() -> None:
    """A worker that stops waits until its idle connections run into their timeout.

    It does not know which they are: those on which no request is being answered.
    """
    handle_connection, handle_request = Worker._handle_connection, Worker._handle_request

    async def connection(self: Worker, reader: Any, writer: asyncio.StreamWriter) -> None:
        _here.idle[writer] = reader
        _here.silent.add(writer)
        try:
            await handle_connection(self, reader, writer)
        finally:
            _here.idle.pop(writer, None)
            _here.silent.discard(writer)

    async def request(
        self: Worker,
        head: Any,
        proto: Any,
        reader: Any,
        writer: asyncio.StreamWriter,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        _here.idle.pop(writer, None)
        _here.silent.discard(writer)
        if writer.is_closing():
            return  # to do what can be answered no more is worse than not to: the client will ask again
        _reader.set(reader)
        await handle_request(self, head, proto, reader, writer, *args, **kwargs)
        _here.idle[writer] = reader
        if draining().is_set() and not reader._buffer:  # else the client has sent its next request already
            writer.close()  # once all of the answer is sent

    put(Worker, "_handle_connection", connection)
    put(Worker, "_handle_request", request)


async def _close_idle_connections() -> None:
    """Close this worker's connections on which no request has arrived."""
    await asyncio.sleep(0)  # one turn of the loop, for what has arrived but is not read yet
    ended = []
    for writer, reader in _here.idle.items():
        if writer in _here.silent:
            asyncio.get_running_loop().call_later(FIRST, _close_silent, writer)
        elif not reader._buffer:
            writer.close()
            ended.append(writer)
    for reader, (writer, tasks) in _here.http2.items():
        if not tasks and not reader._buffer:
            _end_http2(reader)
            ended.append(writer)
    for writer in ended:
        _close_soon(writer)


def _close_silent(writer: asyncio.StreamWriter) -> None:
    if writer in _here.silent:
        writer.close()
        _close_soon(writer)


def _close_soon(writer: asyncio.StreamWriter) -> None:
    # A TLS connection waits for the other side's goodbye, which a client that is out of reach owes.
    asyncio.get_running_loop().call_later(GOODBYE, writer.transport.abort)


def _know_idle_http2_connections() -> None:
    """The same for HTTP/2, whose many requests come on one connection and pass none of the above.

    Its loop takes an error of its reader for the end: it says goodbye with GOAWAY, and closes.
    """
    handle = pounce._h2_handler.handle_h2_connection

    async def patched(
        app: ASGIApp, config: ServerConfig, logger: Any, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter, *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            task = asyncio.current_task()
            tasks.add(task)
            try:
                await app(scope, receive, send)
            finally:
                tasks.discard(task)
                if draining().is_set() and not tasks:
                    _end_http2(reader)

        del _here.idle[writer]
        _here.silent.discard(writer)
        tasks: set[asyncio.Task[None] | None] = set()
        _here.http2[reader] = (writer, tasks)
        _writer.set(writer)
        try:
            await handle(noted, config, logger, reader, writer, *args, **kwargs)
        except ProtocolError as error:
            # The client's fault, or that it gave up in the middle of what was refused: no traceback.
            log.info("An HTTP/2 connection broke the rules and is closed: %s", type(error).__name__)
        finally:
            del _here.http2[reader]

    put(pounce.worker, "handle_h2_connection", patched)


def _end_http2(reader: asyncio.StreamReader) -> None:
    reader.set_exception(ConnectionResetError("the worker stops"))


class _SharedEvent(threading.Event):
    """An event that forked processes see, too. It has no lock that a killed process could keep."""

    def __init__(self) -> None:
        super().__init__()
        self._shared = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        return self._shared[0] == 1

    def set(self) -> None:
        self._shared[0] = 1
        super().set()

    def clear(self) -> None:
        self._shared[0] = 0
        super().clear()


def _tell_processes_to_stop() -> None:
    """Worker processes never hear that they should stop, and are killed after 12 seconds.

    The supervisor tells them by a threading.Event, of which each process has its own copy.
    """
    init = Supervisor.__init__

    def patched(self: Supervisor, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if self.mode == "process":
            self._shutdown_event = _SharedEvent()

    put(Supervisor, "__init__", patched)


def _leave_no_process_behind() -> None:
    """Worker processes go on serving when the process that began them is killed.

    Nobody can stop them any more but by their numbers, and the next server finds its port in use.
    """
    run = Worker.run

    def patched(self: Worker) -> None:
        if supervisor := multiprocessing.parent_process():
            threading.Thread(target=_die_with, args=(supervisor,), name="supervisor", daemon=True).start()
        run(self)

    put(Worker, "run", patched)


def _die_with(supervisor: BaseProcess) -> None:
    supervisor.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _log_what_happened() -> None:
    """The access log holds whole URLs, and with them the names and addresses people search for.

    And a client that leaves before its answer is logged as a failure of ours, 500.
    """

    def patched(
        config: ServerConfig, method: str, target: str, status: int, sent: int, *args: Any, **kwargs: Any
    ) -> None:
        reader = _reader.get()
        if status == 500 and not sent and reader and (reader.at_eof() or reader.exception()):
            status = LEFT
        log_request(config, method, target.partition("?")[0], status, sent, *args, **kwargs)

    put(pounce.worker, "log_request", patched)
    put(pounce._h2_handler, "log_request", patched)


# Of the HTTP/1.1 connection whose task this is.
_reader: ContextVar[asyncio.StreamReader | None] = ContextVar("reader", default=None)


def _log_no_values() -> None:
    """Exceptions are logged with their texts, and once more by a second way that no handler sees."""
    branded_traceback = pounce._output.branded_traceback

    def patched(error: BaseException, *, worker_id: int | None = None) -> None:
        if worker_id is None:  # of the command line, before anything is served
            branded_traceback(error)

    put(pounce._output, "branded_traceback", patched)
    put(pounce.logging, "_JSONFormatter", Lines)


def _number_requests() -> None:
    """A trusted proxy may give a request any number, of any length and characters."""

    def patched(headers: Any, *, trusted: bool) -> str:
        given = [value for name, value in headers if name.lower() == b"x-request-id"] if trusted else []
        return number_of(given[0].decode("latin-1") if given else "")

    put(pounce._request_pipeline, "extract_or_generate", patched)
    put(pounce._h2_handler, "extract_or_generate", patched)
