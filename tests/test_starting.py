"""What a server answers while its store is not open yet, and that nobody is lost when it is.

A start is held up where it would wait for another process that migrates the same database.
"""

import json
import re
import signal
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Barrier, Event

import pytest

from app.web.headers import HEADERS
from tests.certificates import make_certificate
from tests.server_process import START, Answer, RunningServer, held_up, run_to_end, running_server

type Start = Callable[[], AbstractContextManager[RunningServer]]

CLIENTS = 4
POUNCE = ("pounce", "serve", "--app", "app.server:application()")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be locked")


@pytest.fixture(scope="module")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that does not come to its end of starting."""
    folder = tmp_path_factory.mktemp("starting")
    with held_up(folder), running_server(folder, ready=False) as server:
        yield server


def ask(server: RunningServer, path: str, *headers: str, method: str = "GET") -> Answer:
    """One request with these headers."""
    lines = (f"{method} {path} HTTP/1.1", f"Host: localhost:{server.port}", *headers, "", "")
    with server.connect() as connection:
        connection.send("\n".join(lines))
        return connection.answer()


def test_a_server_that_starts_lives_and_is_not_ready(starting: RunningServer) -> None:
    health, ready = starting.get("/health"), starting.get("/ready")

    assert (health.status, health.text) == (200, "ok")
    assert (ready.status, json.loads(ready.text)) == (503, {"status": "starting"})
    assert ready.headers["retry-after"] == "2"


def test_a_reader_gets_a_page_that_comes_back_by_itself(starting: RunningServer) -> None:
    page = starting.get("/contacts?q=ada")

    assert page.status == 503
    assert page.headers["retry-after"] == "2"
    assert page.headers["connection"] == "close"
    assert '<meta http-equiv="refresh" content="2">' in page.text
    assert "comes back by itself" in page.text


def test_its_style_is_allowed_by_its_hash_alone(starting: RunningServer) -> None:
    page = starting.get("/contacts")

    style = re.findall("<style>(.*)</style>", page.text)[0]
    source = f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
    assert (
        page.headers["content-security-policy"] == f"{HEADERS['Content-Security-Policy']}; style-src {source}"
    )


def test_who_sends_a_form_is_told_that_nothing_was_saved(starting: RunningServer) -> None:
    page = ask(starting, "/contacts", "Content-Length: 0", method="POST")

    assert page.status == 503
    assert "nothing was saved" in page.text
    assert "refresh" not in page.text  # it would lead away from what was typed


def test_htmx_leaves_the_page_as_it_is_and_tells(starting: RunningServer) -> None:
    answer = ask(starting, "/contacts/search?q=a", "HX-Request: true")

    assert (answer.status, answer.text) == (503, "")
    assert answer.headers["hx-reswap"] == "none"
    assert "try again" in json.loads(answer.headers["hx-trigger"])["problem"]["message"]


def test_a_program_gets_a_problem_document(starting: RunningServer) -> None:
    answer = ask(starting, "/api/v1/contacts")

    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.text)["status"] == answer.status == 503


@pytest.mark.parametrize("path", ["/health", "/ready", "/contacts", "/api/v1/contacts", "/static/app.css"])
def test_all_of_it_has_the_headers_of_every_answer(starting: RunningServer, path: str) -> None:
    answer = starting.get(path)

    for name in HEADERS.keys() - {"Content-Security-Policy"}:
        assert answer.headers[name.lower()] == HEADERS[name]
    assert answer.headers["content-security-policy"].startswith(HEADERS["Content-Security-Policy"])
    assert answer.headers["cache-control"] == "no-store"


def test_a_head_is_answered_without_a_body_and_another_name_refused(starting: RunningServer) -> None:
    with starting.connect() as connection:
        connection.request("/contacts", method="HEAD")
        head = connection.read_until("\r\n\r\n")
        rest = connection.read_until("</html>")  # to the end, for it never comes
    with starting.connect() as connection:
        connection.send("GET /contacts HTTP/1.1\nHost: other.example.org\n\n")
        other = connection.answer()

    assert head.startswith("HTTP/1.1 503")
    assert rest == ""
    assert other.status == 421


# --- the end of it


@pytest.fixture(params=["serve", "pounce serve", "tls", "socket", "one worker", "processes"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """A way to start a server; returns it when it listens."""
    begin = partial(running_server, tmp_path, ready=False)
    match request.param:
        case "pounce serve":
            return partial(begin, module=POUNCE)
        case "tls":
            cert, key = make_certificate(tmp_path)
            return partial(begin, CONTACTS_TLS_CERT=str(cert), CONTACTS_TLS_KEY=str(key))
        case "socket":
            return partial(begin, CONTACTS_SOCKET=str(tmp_path / "contacts.sock"))
        case "one worker":
            return partial(begin, CONTACTS_WORKERS="1")
        case "processes":
            return partial(begin, PYTHON_GIL="1")
        case _:
            return begin


def test_nobody_is_lost_when_the_app_takes_over(tmp_path: Path, start: Start) -> None:
    waiting, taken_over = Barrier(CLIENTS + 1), Event()

    def keep_asking(server: RunningServer) -> list[int]:
        statuses = [server.get("/hello").status]
        waiting.wait(START)
        while not taken_over.is_set() or statuses[-1] != 200:
            statuses.append(server.get("/hello").status)
        return statuses

    with ExitStack() as stack:
        let_go = stack.enter_context(held_up(tmp_path))
        server = stack.enter_context(start())
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        clients = [pool.submit(keep_asking, server) for _ in range(CLIENTS)]
        waiting.wait(START)
        stack.enter_context(server.connect())  # and says nothing, which must not hold up the others
        let_go()
        server.wait_until_ready()
        taken_over.set()
        statuses = [client.result() for client in clients]

    for one in statuses:
        assert (one[0], one[-1]) == (503, 200)
        assert one == sorted(one, reverse=True)  # never back again, and nothing else


def test_a_store_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "contacts.db").write_text("no database, " * 1_000)
    path = tmp_path / "contacts.sock"

    ended = run_to_end(tmp_path, CONTACTS_SOCKET=str(path))

    assert ended.returncode == 1
    assert "contacts.db" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not path.exists()


def test_a_start_ends_in_order_when_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "contacts.sock"
    with held_up(tmp_path), running_server(tmp_path, ready=False, CONTACTS_SOCKET=str(path)) as server:
        assert path.exists()
        server.stop()

        assert server.process.returncode == 128 + signal.SIGTERM
    assert not path.exists()


def test_the_log_says_what_a_start_is_busy_with(tmp_path: Path) -> None:
    with held_up(tmp_path) as let_go, running_server(tmp_path, ready=False) as server:
        let_go()
        server.wait_for("Bringing the address book to the newest schema")
        server.wait_until_ready()
