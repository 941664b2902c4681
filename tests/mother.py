"""Servers that start in a tenth of a second, to be killed: `python -m tests.mother`, and `running_mother`.

Most of a start is importing and compiling templates. This process does that once, and forks a server
whenever a line comes in, before it has any thread. The server opens its store, serves and is killed
like any other; its log goes where this process's does.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

from tests.server_process import ROOT, START, Connection, environment


class Server:
    """A server that was forked: where it listens, and how it ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._tell()
        pid, port = self._answer()
        self.pid, self.port = int(pid), int(port)
        self.host = "127.0.0.1"

    def connect(self, timeout: float = 20) -> Connection:
        """A new connection; a context manager."""
        return Connection(self.host, self.port, timeout)

    def wait_until_ready(self) -> None:
        """Wait until /ready says so; AssertionError when it does not."""
        end = monotonic() + START
        while not self._is_ready():
            assert monotonic() < end, "the server is not ready"
            Event().wait(0.005)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead. AssertionError when it was dead before."""
        assert self.stop(signal.SIGKILL) == -signal.SIGKILL

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; the exit code, negative for a signal."""
        os.kill(self.pid, how)
        _, code = self._answer()
        return int(code)

    def _is_ready(self) -> bool:
        try:
            with self.connect(5) as connection:
                return connection.get("/ready").status == 200
        except OSError, HTTPException:
            return False

    def _tell(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("start\n")
        self._process.stdin.flush()

    def _answer(self) -> list[str]:
        assert self._process.stdout
        return self._process.stdout.readline().split()


class Mother:
    """The process that forks servers, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self) -> Server:
        """Fork a server. It listens when it is ready."""
        return Server(self._process)


@contextmanager
def running_mother(folder: Path, **environ: str) -> Iterator[Mother]:
    """Run the process. Its servers' store is `contacts.db` in the folder, their log `server.log`."""
    with (
        Path(folder, "server.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "tests.mother"],
            cwd=ROOT,
            env=environment(folder, **environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Mother(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with whatever server a failed test has left


class _Reopened:
    """A store that is opened after the fork, since a connection must not be taken into another process."""

    def __init__(self) -> None:
        self.real: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: getattr(self.real, name)(*args, **kwargs)


def main() -> None:
    """Fork a server for each line of standard input; say its process id and port, then how it ended."""
    from app import server
    from app.listening import free_port
    from app.main import create_app
    from app.settings import Settings
    from app.store import open_store

    settings = Settings.from_env()
    store: Any = _Reopened()
    app = create_app(settings, store)
    for _ in sys.stdin:
        settings = replace(settings, port=free_port(settings.host, 0))
        if (pid := os.fork()) == 0:
            Thread(target=die_with_the_tests, daemon=True).start()
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            store.real = open_store(settings.store)
            store.real.close_worker()
            server.run(app, settings)
            os._exit(0)
        print(pid, settings.port, flush=True)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def die_with_the_tests() -> None:
    """Wait until nobody can send a line any more, which is when the tests are gone, and die."""
    line = select.poll()
    line.register(sys.stdin, 0)
    line.poll()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
