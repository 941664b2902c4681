"""The event streams of a real server: who is told of what, and what is left when they go."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import pytest

from app.store.sqlite import SQLiteStore
from tests.event_stream import EventStream
from tests.making import add
from tests.server_process import ROOT, Connection, RunningServer, environment, running_server

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the database of `sqlite_site` is."""
    return tmp_path_factory.mktemp("sqlite")


@pytest.fixture(scope="module")
def sqlite_site(folder: Path) -> Iterator[RunningServer]:
    """The app on two workers with an SQLite store."""
    with running_server(folder, CONTACTS_SAMPLE="0") as running:
        yield running


@pytest.fixture(scope="module")
def memory_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The app on two workers with a memory store."""
    folder = tmp_path_factory.mktemp("memory")
    workers = "1" if sys._is_gil_enabled() else "2"  # processes would each have a store of their own
    with running_server(
        folder, CONTACTS_STORE="memory:", CONTACTS_SAMPLE="0", CONTACTS_WORKERS=workers
    ) as running:
        yield running


@pytest.fixture(params=["memory_site", "sqlite_site"])
def site(request: pytest.FixtureRequest) -> RunningServer:
    """The app on each store."""
    running: RunningServer = request.getfixturevalue(request.param)
    return running


def reached(server: RunningServer) -> int:
    """Up to where the log reaches."""
    with EventStream(server) as window:
        event = window.event()
        assert event is not None
        return int(event["id"])


class Reachable(Protocol):
    """A server that can be connected to."""

    @property
    def host(self) -> str:
        """Its name or address."""
        ...

    def connect(self) -> Connection:
        """A new connection."""
        ...


def save(server: Reachable, name: str) -> None:
    """Add a contact on a new connection, so on any of the workers."""
    form = urlencode({"name": name, "phone": "555-0100"})
    with server.connect() as connection:
        connection.send(
            f"POST /contacts HTTP/1.1\nHost: {server.host}\nContent-Length: {len(form)}\n"
            f"Content-Type: application/x-www-form-urlencoded\n\n{form}"
        )
        assert connection.answer().status == 303


# --- who is told of what


def test_every_window_hears_of_a_change_on_whichever_worker_it_was_made(site: RunningServer) -> None:
    start = reached(site)
    with ExitStack() as stack:
        windows = [stack.enter_context(EventStream(site, after=start)) for _ in range(8)]
        for number in range(1, 5):
            save(site, f"Ada {number}")

            assert [window.changed() for window in windows] == [start + number] * 8


def test_with_a_gil_the_windows_of_every_worker_process_hear_of_it(tmp_path: Path) -> None:
    with running_server(tmp_path, PYTHON_GIL="1", CONTACTS_SAMPLE="0") as running, ExitStack() as stack:
        windows = [stack.enter_context(EventStream(running, after=0)) for _ in range(16)]
        for number in range(1, 4):
            save(running, f"Ada {number}")

            assert {window.changed() for window in windows} == {number}
    assert "2 worker processes" in running.log()


def test_a_stream_begins_at_once_with_what_the_window_has_seen(site: RunningServer) -> None:
    start = reached(site)
    save(site, "Ada")
    save(site, "Grace")

    with EventStream(site) as window:
        assert window.answer.status == 200
        assert window.answer.headers["Content-Type"] == "text/event-stream"
        assert window.answer.headers["Cache-Control"] == "no-cache"
        assert window.answer.headers["Content-Security-Policy"]
        assert window.event() == {"event": "beat", "id": str(start + 2), "retry": "1000", "data": ""}


def test_a_window_whose_page_is_older_is_told_at_once(site: RunningServer) -> None:
    start = reached(site)
    save(site, "Ada")
    save(site, "Grace")

    with EventStream(site, after=start + 1) as window:
        first = window.event()
        assert first is not None
        assert first["id"] == str(start + 1)
        assert window.changed() == start + 2


def test_a_window_that_comes_back_says_it_by_the_last_event(site: RunningServer) -> None:
    start = reached(site)
    save(site, "Ada")
    save(site, "Grace")

    with EventStream(site, after=start, last=str(start + 2)) as window:
        save(site, "Alan")
        assert window.changed() == start + 3  # and of nothing before
    with EventStream(site, after=start + 3, last=str(start + 1)) as window:
        assert window.changed() == start + 3


@pytest.mark.parametrize("last", ["", "x", "-1", "1.5"])
def test_whoever_says_nonsense_is_taken_for_up_to_date(memory_site: RunningServer, last: str) -> None:
    start = reached(memory_site)

    with EventStream(memory_site, last=last) as window:
        save(memory_site, "Grace")
        assert window.changed() == start + 1


def test_a_log_that_begins_anew_is_a_change_too(site: RunningServer) -> None:
    save(site, "Ada")

    with EventStream(site, last="5000000") as window:
        assert window.changed() == reached(site)


def test_after_a_restart_a_window_misses_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, CONTACTS_SAMPLE="0") as running, EventStream(running, after=0) as window:
        save(running, "Ada")
        seen = window.changed()
        running.stop()
        assert window.event() is None  # closed in order
    with closing(SQLiteStore(tmp_path / "contacts.db")) as store:
        add(store, "Grace")

    with running_server(tmp_path) as running, EventStream(running, last=str(seen)) as window:
        assert window.changed() == 2


def test_what_another_process_imports_is_one_change(sqlite_site: RunningServer, folder: Path) -> None:
    file = folder / "people.csv"
    file.write_text("Name,Phone\n" + "".join(f"Person {number},555-0100\n" for number in range(8_000)))

    start = reached(sqlite_site)

    with EventStream(sqlite_site, after=start) as window:
        subprocess.run(
            [sys.executable, "-m", "app", "import", file],
            cwd=ROOT,
            env=environment(folder),
            check=True,
            capture_output=True,
        )
        assert window.changed() == start + 8_000
        save(sqlite_site, "Ada")
        assert window.changed() == start + 8_001


def test_with_four_writers_at_once_nothing_is_missed_and_nothing_comes_out_of_order(
    sqlite_site: RunningServer, folder: Path
) -> None:
    start = reached(sqlite_site)
    each, seen, read = 25, [start], []

    def write(writer: int) -> None:
        for number in range(each):
            save(sqlite_site, f"Writer {writer}, {number}")

    with (
        closing(SQLiteStore(folder / "contacts.db")) as store,
        EventStream(sqlite_site, after=start) as window,
        ThreadPoolExecutor(4) as pool,
    ):
        writers = [pool.submit(write, writer) for writer in range(4)]
        while seen[-1] < start + 4 * each:
            seen.append(window.changed())
            changes = store.changes(seen[-2], limit=1_000)  # what a window that is told can read
            read += [change.seq for change in changes if change.seq <= seen[-1]]
        for writer in writers:
            writer.result()

    assert seen == sorted(set(seen))
    assert read == list(range(start + 1, start + 4 * each + 1))


# --- what is left when they go


@linux_only
def test_the_server_may_hold_more_windows_than_a_process_usually_has_files(tmp_path: Path) -> None:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
    try:
        with running_server(tmp_path) as running, ExitStack() as stack:
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
            windows = [stack.enter_context(EventStream(running)) for _ in range(100)]
            save(running, "Ada")
            assert {window.changed() for window in windows} == {13}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


@linux_only
def test_five_hundred_windows_that_come_and_go_leave_nothing_behind(site: RunningServer) -> None:
    process = Path(f"/proc/{site.process.pid}")

    def used() -> tuple[int, int]:
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))

    def memory() -> int:
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0])  # kB

    def come_and_go(times: int) -> None:
        for number in range(times):
            with EventStream(site, after=0) as window:
                if number % 10 == 0:
                    save(site, "Ada")
                window.changed()

    come_and_go(100)
    before, kilobytes = used(), memory()
    come_and_go(500)
    for _ in range(2_000):  # requests, while the last windows are being noticed to be gone
        if used() <= before:
            break
        site.get("/hello")

    assert used() <= before
    assert memory() - kilobytes < 6_000


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_with_open_windows_ends_in_two_seconds_and_in_order(tmp_path: Path, workers: str) -> None:
    store = ("tests.probe_app", "store")
    with running_server(tmp_path, module=store, CONTACTS_WORKERS=workers) as running, ExitStack() as stack:
        windows = [stack.enter_context(EventStream(running)) for _ in range(20)]
        for window in windows:
            window.event()

        assert running.stop() < 2

        assert [window.event() for window in windows] == [None] * 20
        assert running.process.returncode == 0
        assert running.log().count('"store.close_worker on') == int(workers)
