"""Run the app as on several machines: two processes behind nginx, on one PostgreSQL that is thrown away.

nginx runs with deploy/nginx.conf and sends each request to the other process than the last one, so that a
person's requests go to both in turn. Only uploads stay with the process that took them, as they have to.

Usage: python -m scripts.cluster   says its URL and that of the database, until Ctrl-C
CONTACTS_PORT says where nginx listens; without, on any free port.
"""

import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from app.listening import free_port
from scripts import provide_postgres
from tests.nginx import running_nginx
from tests.server_process import APP, Answer, Connection, RunningServer, running_server

HOST = "127.0.0.1"
PROCESSES = 2
SECRET = secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Front:
    """nginx, and the processes behind it."""

    port: int
    behind: Sequence[RunningServer]
    host: str = HOST

    def connect(self) -> Connection:
        """A new connection; a context manager."""
        return Connection(self.host, self.port)

    def get(self, path: str) -> Answer:
        """GET on a connection of its own."""
        with self.connect() as connection:
            return connection.get(path)


@contextmanager
def running_cluster(
    folder: Path, store: str, port: int = 0, *, sample: int = 12, staged: bool = False
) -> Iterator[Front]:
    """Run the processes and nginx, and wait until they are ready.

    store: what CONTACTS_STORE is. port: of nginx. sample: how many sample contacts a new store gets. staged:
    whether sections of the dashboard are slow, or fail, when they are asked to.
    """
    with ExitStack() as stack:
        behind = [
            stack.enter_context(running_process(folder, store, number, sample=sample, staged=staged))
            for number in range(PROCESSES)
        ]
        port = free_port(HOST, port)
        changed = configuration(folder, port, behind)
        stack.enter_context(running_nginx(folder, changed, f"http://{HOST}:{port}/ready"))
        yield Front(port, behind)


def running_process(
    folder: Path,
    store: str,
    number: int,
    *,
    sample: int = 12,
    passed: socket.socket | None = None,
    staged: bool = False,
    module: Sequence[str] = APP,
) -> AbstractContextManager[RunningServer]:
    """Run one of the processes; again, when it has ended.

    passed: the socket that systemd listens on. module: what is run unless it is `staged`.
    """
    return running_server(
        folder,
        passed=passed,
        module=("scripts.cluster", "serve") if staged else module,
        CONTACTS_ENV="development" if staged else "production",  # as behind every proxy
        CONTACTS_SECRET=SECRET,
        CONTACTS_STORE=store,
        CONTACTS_SOCKET=str(folder / f"{number}.sock"),
        CONTACTS_PROXIES="unix",
        CONTACTS_HOSTS=f"{HOST} localhost",  # the second is what `running_server` asks for
        CONTACTS_SAMPLE=str(sample),
    )


def configuration(folder: Path, port: int, behind: Sequence[RunningServer]) -> dict[str, str]:
    """What differs from deploy/nginx.conf: two processes, any host name, plain HTTP, no limit of the rate."""
    servers = "\n".join(f"    server unix:{server.host} max_fails=0;" for server in behind)
    upload = (
        "client_max_body_size 33m; # files of 32 MB and the rest of the form; the app's own limit has a page"
    )
    return {
        "    server unix:/run/contacts/app.sock max_fails=0;": servers,
        "limit_req_zone": f"upstream uploads {{\n    ip_hash;\n{servers}\n}}\n\nlimit_req_zone",
        "rate=20r/s": "rate=1000r/s",  # a suite of tests is faster than people are
        "listen 80;": f"listen unix:{folder / 'redirect.sock'};",
        "listen 443 ssl http2;": f"listen {HOST}:{port};",
        "    ssl_": "    # ssl_",
        "Host $host;": "Host $http_host;",  # with the port
        "/var/log/nginx/": f"{folder}/",
        "location = /import {": "location /import {",
        f"{upload}\n        proxy_pass http://contacts;": f"{upload}\n        proxy_pass http://uploads;",
    }


def main() -> None:
    """Run it until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, _end)
    port = int(os.environ.get("CONTACTS_PORT") or 0)
    with (
        suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="contacts-") as folder,
        provide_postgres.cluster() as database,
    ):
        store = provide_postgres.url(database)
        with running_cluster(Path(folder), store, port, staged=True) as front:
            print(f"Contacts at http://{front.host}:{front.port}, store {store}", flush=True)
            signal.pause()


def serve() -> None:
    """Be one of the processes in development, which `python -m app serve` refuses to be behind a proxy."""
    from app import server
    from app.main import create_app
    from app.settings import Settings

    settings = Settings.from_env()
    server.run(create_app(settings), settings)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        serve() if sys.argv[1:] == ["serve"] else main()
    except provide_postgres.NoPostgres as reason:
        sys.exit(str(reason))
