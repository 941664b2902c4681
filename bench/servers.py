"""The servers that are compared, and what a running one costs.

Two interpreters: the free-threaded Python 3.14 of the project, and Python 3.14 with its GIL, which is where
Gunicorn and Uvicorn usually run (`scripts/setup 3.14+gil .venv-gil` brings it, with the same packages).
A server is its process and all that descend from it; what it costs is summed over them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from app.listening import free_port

ROOT: Final = Path(__file__).resolve().parents[1]
FREE: Final = ROOT / ".venv/bin/python"  # Python 3.14t
GIL: Final = ROOT / ".venv-gil/bin/python"  # Python 3.14, the usual build
CORES: Final = os.cpu_count() or 1
TICK: Final = os.sysconf("SC_CLK_TCK")
START: Final = 60  # seconds that a start may take


@dataclass(frozen=True, slots=True)
class Configuration:
    """A framework with its server as it is deployed. workers: threads of Pounce, processes of the others."""

    name: str
    label: str
    framework: str  # chirp, flask or fastapi, as `python -m twins` calls them
    python: Path
    workers: int = CORES

    def command(self) -> list[str]:
        """What starts the contacts app; CONTACTS_ variables configure it."""
        return [str(self.python), "-m", "twins", self.framework]


CONFIGURATIONS: Final = (
    Configuration("chirp", f"Chirp + Pounce, {CORES} threads, 3.14t", "chirp", FREE),
    Configuration("flask-processes", f"Flask + Gunicorn, {CORES} processes, 3.14", "flask", GIL),
    Configuration("flask-threads", "Flask + Gunicorn, 1 process of threads, 3.14t", "flask", FREE, 1),
    Configuration("fastapi-processes", f"FastAPI + Uvicorn, {CORES} processes, 3.14", "fastapi", GIL),
    Configuration("fastapi-single", "FastAPI + Uvicorn, 1 process, 3.14t", "fastapi", FREE, 1),
)


@dataclass
class Server:
    """A running server. start: seconds from its command to the first 200 of /ready."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    start: float = 0.0
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def pids(self) -> list[int]:
        """Its process and all that descend from it."""
        found = [self.process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, _read(children).split())
        return found

    def cpu(self) -> float:
        """Seconds of user and system time that its processes have taken, those that have ended included."""
        total = 0
        for pid in self.pids():
            fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))  # utime, stime, and of children that were waited for
        return total / TICK

    def memory(self) -> int:
        """Bytes that its processes hold; what they share counts once.

        Not the proportional set size alone: of a file that other programs have mapped, too, that counts a
        part only, and those who measure run on the same Python as some of the servers.
        """
        anonymous, files = 0, dict[str, int]()
        for pid in self.pids():
            mapping, resident = "", 0
            for line in _read(Path(f"/proc/{pid}/smaps")).splitlines():
                name, rest = line.split(maxsplit=1)
                match name:
                    case "Rss:":
                        resident = int(rest.split()[0])
                    case "Anonymous:":
                        of_file = resident - int(rest.split()[0])
                        files[mapping] = max(of_file, files.get(mapping, 0))
                    case _ if not name.endswith(":"):
                        mapping = rest  # its place in which file
            rollup = _read(Path(f"/proc/{pid}/smaps_rollup"))
            anonymous += int(rollup.partition("Pss_Anon:")[2].split()[0])
        return (anonymous + sum(files.values())) * 1024

    def get(self, path: str, timeout: float = 20, **headers: str) -> tuple[int, bytes]:
        """GET on a connection of its own: status and body."""
        return self.ask("GET", path, headers, timeout=timeout)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: str = "", timeout: float = 20
    ) -> tuple[int, bytes]:
        """A request on a connection of its own: status and body."""
        connection = HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body.encode() or None, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self) -> float:
        """SIGTERM; seconds until it has ended. SIGKILL, to all of it, after 15 seconds."""
        start = time.perf_counter()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        return time.perf_counter() - start


@contextmanager
def running(configuration: Configuration, folder: Path, store: str, **environ: str) -> Iterator[Server]:
    """Run the contacts app in this configuration on a store (`memory:` or `sqlite:///file`)."""
    its = {"CONTACTS_STORE": store, "CONTACTS_WORKERS": str(configuration.workers), **environ}
    with started(configuration.command(), folder, its) as server:
        yield server


@contextmanager
def started(
    command: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None, ready: str = "/ready"
) -> Iterator[Server]:
    """Run a server that listens on the port which CONTACTS_PORT or, in its command, `{port}` names.

    Its log goes to a file in the folder, so that reading it takes no time from what is measured.
    """
    port = free_port("127.0.0.1", 0)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONTACTS_")}
    log = folder / f"server-{port}.log"
    begin = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in command],
            cwd=ROOT,
            env=inherited | {"CONTACTS_PORT": str(port)} | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        while not _answers(server, ready):
            if process.poll() is not None or time.perf_counter() - begin > START:
                raise SystemExit(f"{' '.join(command)} did not start:\n{log.read_text()}")
            time.sleep(0.005)
        server.start = time.perf_counter() - begin
        yield server
    finally:
        server.stop()


def versions() -> dict[str, str]:
    """The versions that decide what is measured."""
    from importlib.metadata import version

    names = (
        "bengal-chirp", "bengal-pounce", "kida-templates", "flask", "gunicorn", "jinja2", "jinja2-fragments",
        "fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools",
    )  # fmt: skip
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


def _answers(server: Server, path: str) -> bool:
    try:
        return server.get(path, timeout=5)[0] == 200
    except OSError, HTTPException:
        return False


def _read(path: Path) -> str:
    """A file of /proc; "" when its process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
