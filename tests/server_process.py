"""A real server in a process of its own, for tests that need sockets, signals or a browser.

Knows nothing of the app's code: only that a module can be run, is configured by environment
variables, says its URL in its log and answers /ready with 200.
"""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self, TextIO
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
APP = ("app", "serve")
START = 120  # seconds that a start may take on a busy machine


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request. header names are in lower case."""

    status: int
    headers: dict[str, str]
    text: str


class Connection:
    """One connection to a server; whoever waits longer than `timeout` seconds gets TimeoutError.

    host: a name, an address, or the path of a Unix socket. tls: whether to speak HTTPS, to
    whatever certificate there is.
    """

    def __init__(self, host: str, port: int, timeout: float = 20, *, tls: bool = False) -> None:
        if host.startswith("/"):
            self._socket = _connect_unix(host, timeout)
            self._host = "localhost"
        else:
            self._socket = socket.create_connection((host, port), timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._host = f"{host}:{port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def send(self, data: bytes | str) -> None:
        """Send bytes as they are; text as UTF-8 with HTTP's line ends."""
        self._socket.sendall(data if isinstance(data, bytes) else data.replace("\n", "\r\n").encode())

    def end(self) -> None:
        """Say that nothing more will be sent; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def request(self, path: str, method: str = "GET") -> None:
        """Send a request without a body."""
        self.send(f"{method} {path} HTTP/1.1\nHost: {self._host}\n\n")

    def answer(self) -> Answer:
        """Read one whole answer; RemoteDisconnected if the server closes instead."""
        with closing(HTTPResponse(self._socket)) as response:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())

    def get(self, path: str) -> Answer:
        """Ask and read the answer."""
        self.request(path)
        return self.answer()

    def read_until(self, text: str) -> str:
        """Read until the text has come, or the server closes; what came."""
        data = b""
        while text.encode() not in data and (more := self._socket.recv(65_536)):
            data += more
        return data.decode()


class RunningServer:
    """A started process, its log, and ways to talk to it."""

    def __init__(self, process: subprocess.Popen[bytes], output: TextIO) -> None:
        self.process = process
        self._output = output
        self._lines: list[str] = []
        self._complete = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.url, self.host, self.port = "", "", 0  # until it is ready

    def wait_until_listening(self) -> None:
        """Wait until it has said its URL, and listens there; AssertionError with its log if it does not."""
        self.url = self.wait_for(r"https?://[\w.\[\]:-]+:\d+|unix:/[^,]+")
        self.host = str(urlsplit(self.url).hostname or urlsplit(self.url).path)
        self.port = int(urlsplit(self.url).port or 80)
        self._wait_until(lambda: self._answers("/health"))

    def wait_until_ready(self) -> None:
        """The same, and until it answers /ready with 200."""
        self.wait_until_listening()
        self._wait_until(lambda: self._answers("/ready"))

    def log(self) -> str:
        """All that the process has printed so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, timeout: float = START) -> str:
        """Wait until the log matches a regular expression; the text that does."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._found(pattern) or self._complete, timeout):
                raise AssertionError(
                    f"no {pattern!r} in the log within {timeout} seconds:\n{''.join(self._lines)}"
                )
            match = self._found(pattern)
            if not match:
                raise AssertionError(
                    f"the server ended without {pattern!r} in its log:\n{''.join(self._lines)}"
                )
            return match.group()

    def connect(self, timeout: float = 20) -> Connection:
        """A new connection; a context manager."""
        return Connection(self.host, self.port, timeout, tls=self.url.startswith("https:"))

    def get(self, path: str, timeout: float = 20) -> Answer:
        """GET on a connection of its own."""
        with self.connect(timeout) as connection:
            return connection.get(path)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Send the signal and wait for the end, after which the log is complete; seconds it took."""
        start = monotonic()
        self.process.send_signal(how)
        self.process.wait(START)
        took = monotonic() - start
        self._reader.join(START)
        return took

    def end(self) -> None:
        """Whatever the test has left: SIGTERM, 15 seconds of patience, SIGKILL to it and to its workers."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def _read_log(self) -> None:
        with suppress(OSError):  # how a terminal says that everybody has left
            for line in self._output:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def _found(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, "".join(self._lines))

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        end = monotonic() + START
        while not condition():
            if self.process.poll() is not None or monotonic() > end:
                raise AssertionError(
                    f"the server is not ready, exit code {self.process.poll()}:\n{self.log()}"
                )
            with self._changed:
                self._changed.wait(0.05)

    def _answers(self, path: str) -> bool:
        try:
            return self.get(path, timeout=5).status == 200
        except OSError, HTTPException:
            return False


def _connect_unix(path: str, timeout: float) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(timeout)
        client.connect(path)
    except OSError:
        client.close()
        raise
    return client


@contextmanager
def running_server(
    folder: Path,
    *,
    module: Sequence[str] = APP,
    on_terminal: bool = False,
    ready: bool = True,
    passed: socket.socket | None = None,
    **environ: str,
) -> Iterator[RunningServer]:
    """Run `python -m module`; wait until it is ready; at the end, stop it if it still runs.

    Its store is `contacts.db` in the folder, its port a free one and its workers two,
    unless the environment variables say otherwise. on_terminal: whether it prints to a
    terminal, rather than to a pipe. ready: False waits only until it listens. passed: a socket
    that it gets as systemd passes it.
    """
    ours, its = os.openpty() if on_terminal else os.pipe()
    with (
        open(ours, encoding="utf-8", errors="replace") as output,
        subprocess.Popen(
            [sys.executable, *(_passing(passed) if passed else ()), "-m", *module],
            cwd=ROOT,
            env=environment(folder, **environ),
            pass_fds=[passed.fileno()] if passed else [],
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            # So that Ctrl-C in the tests does not reach it, and that its worker processes can be found.
            start_new_session=True,
        ) as process,
    ):
        os.close(its)
        server = RunningServer(process, output)
        try:
            server.wait_until_ready() if ready else server.wait_until_listening()
            yield server
        finally:
            server.end()


def _passing(passed: socket.socket) -> Sequence[str]:
    """What makes a process one that systemd has started with this socket, see sd_listen_fds(3)."""
    program = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    return "-c", program, str(passed.fileno())


def run_to_end(
    folder: Path, *, module: Sequence[str] = APP, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module`, which is expected to end by itself; exit code and output."""
    return subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment(folder, **environ),
        capture_output=True,
        text=True,
        timeout=START,
        check=False,
    )


def environment(folder: Path, **environ: str) -> dict[str, str]:
    """The variables of this process without its CONTACTS_ ones, then the defaults for tests, then these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONTACTS_")}
    defaults = {
        "CONTACTS_STORE": f"sqlite:///{folder / 'contacts.db'}",
        "CONTACTS_PORT": "0",
        "CONTACTS_WORKERS": "2",
    }
    return inherited | defaults | environ


@contextmanager
def held_up(folder: Path) -> Iterator[Callable[[], None]]:
    """Keep every start from opening a database in the folder, until what it yields is called."""
    import fcntl  # there is none on Windows, where folders cannot be locked

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)
