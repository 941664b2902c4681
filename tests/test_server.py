"""The server on real sockets: each test here fails without one of the cures in app/pounce_fixes.py."""

import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import h11
import pounce
import pytest
from pounce.protocols.h1 import H1Protocol

from app import server
from app.listening import free_port
from app.main import BODY_LIMIT
from app.pounce_fixes import apply_fixes
from app.settings import Settings
from app.web import transfer
from app.web.headers import HEADERS, security_headers
from tests.server_process import Connection, RunningServer, run_to_end, running_server

PROBE = ("tests.probe_app", "routes")
NOTED_STORE = ("tests.probe_app", "store")
BROKEN = ("tests.probe_app", "broken")
CROWDED = ("tests.probe_app", "crowded")
LIKE_ANY_OTHER = {name.lower(): value for name, value in HEADERS.items()} | {
    "cache-control": "no-store",
    "connection": "close",
    "retry-after": "5",
}

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc, or needs Linux's SO_REUSEPORT"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def probe(folder: Path) -> Iterator[RunningServer]:
    """The probe app on two workers."""
    with running_server(folder, module=PROBE) as running:
        yield running


@pytest.fixture(scope="module")
def one_worker(folder: Path) -> Iterator[RunningServer]:
    """The probe app on one worker, which has read what was sent before it answers another request."""
    with running_server(folder, module=PROBE, CONTACTS_WORKERS="1") as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The real app on two workers, with an empty SQLite store."""
    with running_server(tmp_path_factory.mktemp("site"), CONTACTS_SAMPLE="0") as running:
        yield running


# --- heads and bodies ---


@pytest.mark.parametrize("split", [1, 20, 33, 40], ids=lambda split: f"after {split} bytes")
def test_a_request_head_that_arrives_in_two_packets_is_answered(
    one_worker: RunningServer, split: int
) -> None:
    head = b"GET /worker HTTP/1.1\r\nHost: localhost\r\nCookie: a=b\r\n\r\n"

    with one_worker.connect() as connection:
        connection.send(head[:split])
        one_worker.get("/worker")  # by now the first packet has been read
        connection.send(head[split:])

        assert connection.answer().status == 200


def test_a_second_request_whose_head_arrives_in_two_packets_is_answered(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        connection.get("/worker")
        connection.send("GET /worker HTTP/1.1\n")
        one_worker.get("/worker")
        connection.send("Host: localhost\n\n")

        assert connection.answer().status == 200


FORM = "name={name}&email={name}@example.community"
CUT = {
    "a length": "Content-Length: {length}\n\n{body}",
    "chunks": "Transfer-Encoding: chunked\n\n{size:x}\n{body}\n",
    "chunks, in the middle of one": "Transfer-Encoding: chunked\n\n{length:x}\n{body}",
    "chunks, of which one is malformed": "Transfer-Encoding: chunked\n\n{size:x}\n{body}\nmalformed\n",
}


@pytest.mark.parametrize("shape", CUT)
def test_a_body_cut_short_stores_nothing(site: RunningServer, shape: str) -> None:
    body = FORM.format(name=f"Person{list(CUT).index(shape)}")
    cut = CUT[shape].format(length=len(body) + 6, size=len(body), body=body)

    with site.connect() as connection:
        connection.send(_post("/contacts", cut))
        connection.end()
        answer = connection.answer()

    assert answer.status == 400
    assert "Person" not in site.get("/contacts").text
    assert "Traceback" not in site.log()


def test_a_program_whose_body_is_cut_short_is_told_as_of_all_problems(site: RunningServer) -> None:
    with site.connect() as connection:
        head = "POST /api/v1/contacts HTTP/1.1\nHost: localhost\nContent-Type: application/json"
        connection.send(f"{head}\nContent-Length: 9\n\n{{}}")
        connection.end()
        answer = connection.answer()

    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.text)["status"] == answer.status == 400


WHOLE = {
    "a length": "Content-Length: {size}\n\n{body}",
    "chunks": "Transfer-Encoding: chunked\n\n{size:x}\n{body}\n0\n\n",
}


@pytest.mark.parametrize("shape", WHOLE)
def test_the_same_body_is_stored_when_it_is_whole(site: RunningServer, shape: str) -> None:
    body = FORM.format(name=f"Whole{list(WHOLE).index(shape)}")

    with site.connect() as connection:
        connection.send(_post("/contacts", WHOLE[shape].format(size=len(body), body=body)))

        assert connection.answer().status == 303


def test_a_body_that_arrives_in_pieces_is_whole(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        connection.send(_post("/size", "Content-Length: 9\n\n123"))
        one_worker.get("/worker")
        connection.send("456")
        one_worker.get("/worker")
        connection.send("789")

        assert connection.answer().text == "9"


def test_a_chunked_body_above_the_limit_is_refused(site: RunningServer) -> None:
    with site.connect() as connection:
        connection.send(_post("/contacts", "Transfer-Encoding: chunked\n\n"))
        connection.send(_chunk(b"name=Ada&phone=1&notes=" + b"a" * BODY_LIMIT))
        answer = connection.answer()

    assert answer.status == 413
    assert "Ada" not in site.get("/contacts").text


def test_after_a_refused_body_the_connection_goes_on(site: RunningServer) -> None:
    with site.connect() as connection:
        connection.send(_post("/contacts", "Transfer-Encoding: chunked\n\n"))
        connection.send(_chunk(b"a" * (BODY_LIMIT + 1)))
        assert connection.answer().status == 413
        connection.send(_chunk(b"the rest") + _chunk(b""))

        assert connection.get("/hello").status == 200


@pytest.mark.parametrize("kind", ["announced", "chunked"])
def test_a_file_above_the_limit_is_answered_with_a_page(site: RunningServer, kind: str) -> None:
    size = transfer.BODY_LIMIT + 5_000_000
    body = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body += b"x" * (size - len(body))
    head = "POST /import HTTP/1.1\nHost: localhost\nContent-Type: multipart/form-data; boundary=cut\n"

    with site.connect() as connection:
        if kind == "announced":
            connection.send(f"{head}Content-Length: {size}\n\n")
            connection.send(body)
        else:
            connection.send(f"{head}Transfer-Encoding: chunked\n\n")
            connection.send(_chunk(body) + _chunk(b""))
        answer = connection.answer()

    assert answer.status == 413
    assert "larger than 32 MB" in answer.text


def test_the_server_cuts_no_body_that_the_app_would_accept() -> None:
    one_read = 65_536

    assert BODY_LIMIT < transfer.BODY_LIMIT
    assert transfer.BODY_LIMIT + one_read <= server.MAX_BODY


# --- downloads ---


def test_a_download_that_breaks_off_is_not_taken_for_a_whole_file(probe: RunningServer) -> None:
    with pytest.raises(IncompleteRead) as broken:
        probe.get("/half")

    assert broken.value.partial == b"the first half"


@pytest.mark.parametrize("path", ["/contacts", "/static/app.css", "/api/v1/contacts", "/api/nothing", "/no"])
def test_caches_are_told_that_an_answer_depends_on_the_encodings_asked_for(
    site: RunningServer, path: str
) -> None:
    found = {}
    for accepted in ("gzip", "zstd", "identity"):
        with closing(HTTPConnection(site.host, site.port, timeout=20)) as connection:
            connection.request("GET", path, headers={"Accept-Encoding": accepted})
            answer = connection.getresponse()
            answer.read()
        [vary] = answer.headers.get_all("Vary", [])
        assert "Accept-Encoding" in vary.split(", ")
        assert ("HX-Request" in vary.split(", ")) == (answer.headers.get_content_type() == "text/html")
        found[answer.headers["Content-Encoding"]] = answer.headers["ETag"]

    large = not path.startswith("/api")
    assert found.keys() == ({"gzip", "zstd", None} if large else {None})
    [etag] = {*found.values()}
    assert etag is None or etag.startswith("W/")


# --- connections ---


def test_security_headers_are_written_as_h11_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    apply_fixes()
    own, (_, ours) = [(b"content-length", b"2")], security_headers()
    protocol, plain = H1Protocol(), h11.Connection(h11.SERVER)
    for parser in (protocol, plain):
        parser.receive_data(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    plain.next_event()
    expected = plain.send(h11.Response(status_code=200, headers=[*own, *ours]))
    checked: list[Any] = []
    response = h11.Response

    def noted(**said: Any) -> h11.Response:
        checked.append(said["headers"])
        return response(**said)

    monkeypatch.setattr(h11, "Response", noted)

    assert protocol.send_response(200, [*own, *ours]) == expected
    assert checked == [own]


def test_a_line_break_in_a_header_begins_no_header(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        headers = connection.get("/line-break").headers

    assert "x-forged" not in headers
    assert headers["content-type"] == "text/plainx-forged: yes"


def test_a_request_sent_while_the_previous_answer_is_finishing_is_answered(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        assert connection.get("/linger").text == "done"  # every byte is here; the app still works
        connection.request("/worker")
        one_worker.get("/worker")  # by now the second request has reached the server
        one_worker.get("/release")

        assert connection.answer().status == 200


def test_two_requests_in_one_packet_are_both_answered(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        connection.send(
            _post("/size", "Content-Length: 3\n\n123") + "GET /release HTTP/1.1\nHost: localhost\n\n"
        )

        answers = connection.read_until("released")

    assert answers.count("HTTP/1.1 200") == 2
    assert "released" in answers


def test_a_client_that_leaves_is_noticed_even_when_it_has_asked_for_more(one_worker: RunningServer) -> None:
    with one_worker.connect() as connection:
        _open_stream(connection)
        connection.request("/worker")
        one_worker.get("/worker")

    assert one_worker.wait_for('"path": "/events"', timeout=10)  # logged when its answer has ended


def test_as_many_idle_clients_as_workers_do_not_delay_the_next_one(probe: RunningServer) -> None:
    with ExitStack() as stack:
        idle = {stack.enter_context(probe.connect(timeout=3)).get("/worker").text for _ in range(20)}
        assert len(idle) == 2  # each worker has idle clients, whom it keeps for five seconds and more

        for _ in range(8):
            assert probe.get("/worker", timeout=3).status == 200


@linux_only
def test_bursts_of_connections_are_spread_over_the_workers(probe: RunningServer) -> None:
    # By chance alone, one burst in 400,000 gives a worker fewer than four of 32.
    for _ in range(8):
        with ExitStack() as stack:
            burst = [stack.enter_context(probe.connect()) for _ in range(32)]
            for connection in burst:
                connection.request("/worker")
            shares = Counter(connection.answer().text for connection in burst)

        assert len(shares) == 2
        assert min(shares.values()) >= 4


# --- the end ---


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_with_an_open_stream_and_idle_clients_ends_in_two_seconds(
    tmp_path: Path, workers: str
) -> None:
    with running_server(tmp_path, module=PROBE, CONTACTS_WORKERS=workers) as running, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(running.connect()).get("/worker")
            _open_stream(stack.enter_context(running.connect()))

        assert running.stop() < 2

        assert running.process.returncode == 0
        assert running.log().count("stream closed") == 4
        assert running.log().count("shutdown hook") == int(workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_with_idle_clients_ends_in_two_seconds(tmp_path: Path, workers: str) -> None:
    with running_server(tmp_path, module=PROBE, CONTACTS_WORKERS=workers) as running, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(running.connect()).get("/worker")
            stack.enter_context(running.connect())  # and one that has not asked anything yet

        assert running.stop() < 2

        assert running.process.returncode == 0
        assert running.log().count("shutdown hook") == int(workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_at_sigterm_is_answered(tmp_path: Path, workers: str) -> None:
    with (
        running_server(tmp_path, module=PROBE, CONTACTS_WORKERS=workers) as running,
        running.connect() as connection,
    ):
        connection.get("/worker")
        connection.request("/until-draining")
        running.wait_for("in flight")

        assert running.stop() < 2

        answer = connection.answer()
        assert (answer.text, answer.headers["connection"]) == ("finished", "close")
        assert running.process.returncode == 0


def test_a_request_that_comes_before_the_last_answer_is_finished_is_answered_at_sigterm(
    tmp_path: Path,
) -> None:
    with (
        running_server(tmp_path, module=PROBE, CONTACTS_WORKERS="1") as running,
        running.connect() as connection,
    ):
        assert connection.get("/linger-until-draining").text == "done"
        connection.request("/worker")
        running.get("/worker")  # by now that request has reached the server

        assert running.stop() < 2

        assert connection.answer().status == 200


def test_a_dashboard_that_is_slow_on_purpose_is_finished_at_sigterm(tmp_path: Path) -> None:
    with running_server(tmp_path) as running, running.connect() as connection:
        connection.request("/dashboard?slow=10")
        shell = connection.read_until("</template>")

        assert running.stop() < 2

        assert "Recent activity" in shell
        assert "Added 12 sample contacts" in connection.read_until("</html>")
        assert running.process.returncode == 0


@pytest.mark.parametrize("kind", ["port", "socket"])
def test_who_comes_after_sigterm_is_served_or_cannot_connect(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "contacts.sock") if kind == "socket" else ""
    with running_server(tmp_path, module=PROBE, CONTACTS_SOCKET=path) as running, ExitStack() as stack:
        unfinished = _one_for_each_worker(running, stack)
        for connection in unfinished:
            connection.send("POST /size HTTP/1.1\nHost: localhost\n")
            connection.send("Expect: 100-continue\nContent-Length: 5\n\n")
            connection.read_until("100 ")
        running.process.send_signal(signal.SIGTERM)

        # The third is for who connects to a port in the very moment in which it is closed.
        with pytest.raises((FileNotFoundError, ConnectionRefusedError, ConnectionResetError)):
            _ask_for_ever(running)

        for connection in unfinished:
            connection.send("abcde")
            assert connection.answer().text == "5"


def _ask_for_ever(server: RunningServer) -> None:
    while True:
        assert server.get("/worker").status == 200


def test_a_server_that_stops_leaves_the_socket_of_the_next_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "contacts.sock"
    with (
        running_server(tmp_path, module=PROBE, CONTACTS_SOCKET=str(path)) as running,
        running.connect() as unfinished,
    ):
        unfinished.send("POST /size HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 1\n\n")
        unfinished.read_until("100 ")
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            _ask_for_ever(running)
        with socket.socket(socket.AF_UNIX) as of_the_next_one:
            of_the_next_one.bind(str(path))
            unfinished.send("a")

            assert unfinished.answer().text == "1"
            running.process.wait(20)
            assert path.exists()


def test_who_is_one_too_many_is_told_so_in_an_answer_like_any_other(tmp_path: Path) -> None:
    with running_server(tmp_path, module=CROWDED) as running, ExitStack() as stack:
        _one_for_each_worker(running, stack)
        told = running.get("/worker")

        assert (told.status, told.text) == (503, "Too many people are connected. Try again in a few seconds.")
        assert told.headers.items() >= LIKE_ANY_OTHER.items()


def _one_for_each_worker(server: RunningServer, stack: ExitStack) -> list[Connection]:
    """A connection to each of two workers."""
    found: dict[str, Connection] = {}
    while len(found) < 2:
        connection = server.connect()
        answer = connection.get("/worker")
        if answer.status == 200 and answer.text not in found:
            found[answer.text] = stack.enter_context(connection)
        else:
            connection.__exit__(None, None, None)
    return list(found.values())


def test_ctrl_c_ends_it_as_well(tmp_path: Path) -> None:
    with running_server(tmp_path, module=PROBE) as running, running.connect() as connection:
        _open_stream(connection)

        assert running.stop(signal.SIGINT) < 2

        assert running.process.returncode == 0
        assert "Traceback" not in running.log()


# --- the SQLite store on real workers ---


@linux_only
@pytest.mark.parametrize("workers", [1, 3])
def test_there_is_one_sqlite_connection_for_each_worker(tmp_path: Path, workers: int) -> None:
    database = tmp_path / "contacts.db"

    with running_server(tmp_path, CONTACTS_WORKERS=str(workers)) as running:
        running.wait_for("Ready to accept connections")
        assert _times_open(running, database) == workers

        _ask_all_at_once(running, ["/contacts", "/contacts?q=a", "/contacts/1", "/contacts/1/edit"] * 8)
        assert _times_open(running, database) == workers

        running.stop()

    assert running.process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.db"]  # the last to close removes the -wal


@pytest.mark.parametrize("workers", [1, 3])
def test_the_hooks_of_each_worker_open_and_close_its_connection(tmp_path: Path, workers: int) -> None:
    with running_server(tmp_path, module=NOTED_STORE, CONTACTS_WORKERS=str(workers)) as running:
        running.wait_for("Ready to accept connections")
        running.stop()
        notes = _notes(running.log())

    opened = [place for call, place in notes if call == "open_worker"]
    closed = [place for call, place in notes if call == "close_worker"]
    assert len(opened) == len(set(opened)) == workers
    assert sorted(closed) == sorted(opened)
    assert [call for call, _ in notes].count("close") == 1
    assert notes[-1][0] == "close"


# --- starting ---


def test_a_second_server_on_the_same_port_is_refused_in_one_line(
    probe: RunningServer, tmp_path: Path
) -> None:
    second = run_to_end(tmp_path, CONTACTS_PORT=str(probe.port))

    assert second.returncode == 1
    assert second.stderr == (
        f"contacts: Port {probe.port} is in use. Stop the other server or set CONTACTS_PORT.\n"
    )
    assert list(tmp_path.iterdir()) == []  # it has not even opened the store


def test_a_host_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    refused = run_to_end(tmp_path, CONTACTS_HOST="nowhere.invalid")

    assert refused.returncode == 1
    assert refused.stderr.startswith("contacts: Cannot listen on nowhere.invalid")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_worker_that_cannot_start_ends_the_server_with_exit_code_1(tmp_path: Path, workers: str) -> None:
    failed = run_to_end(tmp_path, module=BROKEN, CONTACTS_WORKERS=workers)

    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("contacts: Worker ")
    assert "this worker is broken on purpose" in failed.stderr


def test_the_start_says_where_it_is_and_how_it_runs(site: RunningServer) -> None:
    first = json.loads(site.log().splitlines()[0])["message"]

    assert f"http://127.0.0.1:{site.port}" in first
    assert "contacts.db" in first
    assert "2 worker" in first
    assert f"Python 3.{sys.version_info.minor}" in first


def test_the_summary_tells_threads_from_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(workers=4, host="::1")

    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False)
    assert "http://[::1]:8000, store sqlite:///contacts.db, 4 worker threads" in server.summary(settings)

    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True)
    assert "4 worker processes" in server.summary(settings)
    assert "1 worker thread," in server.summary(replace(settings, workers=1))


def test_pounces_own_command_line_serves_the_same_app_with_the_same_cures(tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0)
    command = ("pounce", "serve", "--app", "app.server:application()", "--worker-mode", "async")

    with (
        running_server(tmp_path, module=(*command, "--workers", "2", "--port", str(port))) as running,
        running.connect() as connection,
    ):
        page = connection.get("/contacts")
        running.wait_for('"path": "/contacts"')  # logged at its very end: now the connection is idle

        assert running.stop() < 2

    assert "Ada Lovelace" in page.text
    assert running.process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.db"]


def test_another_version_of_pounce_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pounce, "__version__", "0.9.3")

    with pytest.raises(
        RuntimeError, match=r"mends Pounce 0\.9\.2, and 0\.9\.3 is installed.*docs/upstream\.md"
    ):
        apply_fixes.__wrapped__()


# --- the log ---


def test_each_request_is_one_json_line_in_the_log_without_its_query(site: RunningServer) -> None:
    site.get("/contacts/987654?q=grace%40example.com")
    site.wait_for('"path": "/contacts/987654')

    lines = [json.loads(line) for line in site.log().splitlines()]
    about = [line for line in lines if line.get("path") == "/contacts/987654"]
    assert [(line["method"], line["status"]) for line in about] == [("GET", 404)]
    assert "grace" not in site.log()


def test_a_client_that_leaves_before_its_answer_is_no_failure_in_the_log(probe: RunningServer) -> None:
    with probe.connect() as connection:
        connection.request("/until-draining?left")
        probe.wait_for("in flight")

    line = json.loads(probe.wait_for('.*"/until-draining".*'))
    assert (line["status"], line["level"]) == (499, "info")


def test_clients_that_leave_while_the_server_writes_are_no_failure_in_the_log(tmp_path: Path) -> None:
    with running_server(tmp_path, CONTACTS_WORKERS="1") as running:
        for _ in range(3):
            with running.connect() as connection:
                # More than the server reads ahead: that they leave it learns only as it writes.
                connection.send("GET /static/app.css HTTP/1.1\nHost: localhost\n\n" * 20_000)
                answered = -1
                while answered != (answered := running.log().count("/static/app.css")):
                    for _ in range(5):  # the one worker has time for its answers, until no buffer has room
                        running.get("/contacts")

        running.stop()
        assert '"error"' not in running.log()


def test_on_a_terminal_the_log_is_text(tmp_path: Path) -> None:
    with running_server(tmp_path, module=PROBE, on_terminal=True) as running:
        running.get("/worker?name=grace")
        running.wait_for("GET.*200.*/worker")

        running.stop()

    assert "grace" not in running.log()
    assert [line for line in running.log().splitlines() if line.startswith("{")] == []


# --- Python with a GIL ---


def test_with_a_gil_the_memory_store_on_two_workers_is_refused_with_an_explanation(tmp_path: Path) -> None:
    refused = run_to_end(tmp_path, PYTHON_GIL="1", CONTACTS_STORE="memory:")

    assert refused.returncode == 1
    assert refused.stderr.startswith("contacts: CONTACTS_STORE is memory: and CONTACTS_WORKERS is 2")
    assert "contacts of its own" in refused.stderr
    assert "Set CONTACTS_WORKERS=1, use sqlite:///" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_with_a_gil_the_memory_store_on_one_worker_is_served(tmp_path: Path) -> None:
    with running_server(tmp_path, PYTHON_GIL="1", CONTACTS_STORE="memory:", CONTACTS_WORKERS="1") as running:
        assert "Ada Lovelace" in running.get("/contacts").text


def test_with_a_gil_worker_processes_share_the_sqlite_store_and_stop_in_time(tmp_path: Path) -> None:
    with running_server(tmp_path, PYTHON_GIL="1", CONTACTS_SAMPLE="0") as running, ExitStack() as stack:
        body = FORM.format(name="Ada")
        with running.connect() as connection:
            connection.send(_post("/contacts", f"Content-Length: {len(body)}\n\n{body}"))
            assert connection.answer().status == 303
        burst = [stack.enter_context(running.connect()) for _ in range(32)]
        pages = [connection.get("/contacts").text for connection in burst]

        assert running.stop() < 2

    assert "2 worker processes" in running.log()
    assert all("Ada" in page for page in pages)
    assert {line["worker"] for line in map(json.loads, running.log().splitlines()) if "worker" in line} == {
        0,
        1,
    }
    assert running.process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["contacts.db"]


def test_with_a_gil_no_worker_process_outlives_the_process_that_began_it(tmp_path: Path) -> None:
    with running_server(tmp_path, PYTHON_GIL="1") as running:
        running.stop(signal.SIGKILL)

        with pytest.raises(ConnectionRefusedError):
            running.connect()


# --- words the tests above use ---


def _post(path: str, rest: str) -> str:
    """A form post; rest: the headers that frame the body, and what is sent of it."""
    return f"POST {path} HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\n{rest}"


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _open_stream(connection: Connection) -> None:
    connection.request("/events")
    assert "open" in connection.read_until("open")


def _ask_all_at_once(running: RunningServer, paths: list[str]) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(running.connect()) for _ in paths]
        for connection, path in zip(connections, paths, strict=True):
            connection.request(path)
        assert {connection.answer().status for connection in connections} == {200}


def _times_open(running: RunningServer, file: Path) -> int:
    """How often the processes of the server's session have this file open."""
    return sum(
        os.path.realpath(descriptor) == str(file.resolve())
        for process in Path("/proc").glob("[0-9]*")
        if _session(process) == running.process.pid
        for descriptor in (process / "fd").iterdir()
    )


def _session(process: Path) -> int:
    try:
        return os.getsid(int(process.name))
    except ProcessLookupError:
        return 0


def _notes(log: str) -> list[tuple[str, str]]:
    """What NotedStore has noted: each call, and the process and thread it came from."""
    messages: list[Any] = [json.loads(line).get("message", "") for line in log.splitlines()]
    noted = [message.removeprefix("store.") for message in messages if message.startswith("store.")]
    return [(call, place) for call, _, place in (note.partition(" on ") for note in noted)]
