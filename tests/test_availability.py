"""The app stays there: a stop loses no request, and a store that failed is used again when it is back."""

import json
import os
import random
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.store.sqlite import SQLiteStore
from bench.soak import Usage, alone, soak
from tests.event_stream import EventStream
from tests.mother import running_mother
from tests.postgres import Postgres
from tests.server_process import Answer, RunningServer, running_server
from tests.soundness import assert_sound
from tests.writers import Reachable, Told, Write, Writer, acknowledged, ask, compare, give_stock, send

STOPS = 6
POOLS = 12  # threads that asyncio keeps for blocking work once it was asked to do some, on two workers

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# What tells a client that nothing was done, so that it may ask another server: it could not connect,
# or the connection ended before a byte of an answer came. (RemoteDisconnected is a ConnectionResetError.)
TURNED_AWAY = (ConnectionRefusedError, ConnectionResetError, BrokenPipeError)


# --- a stop


@dataclass
class Client:
    """Writes to one server until that stops, and then once to the other.

    keeps: whether it keeps its connection, as a browser does; else it takes a new one each time.
    """

    writer: Writer
    keeps: bool

    def run(self, stopping: Reachable, other: Reachable) -> Told:
        """Write; whatever is no whole answer, and does not say that nothing was done, is raised."""
        told = Told()
        answer: Answer | None
        with ExitStack() as stack:
            connection = stack.enter_context(stopping.connect())
            for write in self.writer.writes(told.acknowledged):
                try:
                    if not self.keeps:
                        stack.close()
                        connection = stack.enter_context(stopping.connect())
                    answer = ask(connection, write)
                except TURNED_AWAY:
                    answer = None
                if turned := answer is None or is_leaving(answer):
                    answer = ask(stack.enter_context(other.connect()), write)
                told.acknowledged[acknowledged(answer)] = write
                if turned:
                    break
        return told


def is_leaving(answer: Answer) -> bool:
    """Whether an answer says that this server is shutting down: it is for another one to answer."""
    return answer.status == 503 and "retry-after" in answer.headers


def download(stopping: Reachable) -> int:
    """Export all contacts, again and again, until the server stops; how often that was done."""
    done = 0
    while True:
        try:
            with stopping.connect() as connection:
                answer = connection.get("/contacts.json")
        except TURNED_AWAY:
            return done
        if is_leaving(answer):
            return done
        assert len(json.loads(answer.text)["contacts"]) > 300
        done += 1


def test_a_stop_under_load_loses_no_request_and_does_none_twice(tmp_path: Path) -> None:
    database, chance = tmp_path / "contacts.db", random.Random(1)
    clients = [Client(Writer(f"w{number}", chance), number % 2 == 0) for number in range(4)]
    with closing(SQLiteStore(database)) as store:
        give_stock(store, [client.writer for client in clients], each=300)
    replay = assert_sound(database)
    told, downloads = list[Told](), 0
    with (
        ThreadPoolExecutor(5) as pool,
        running_mother(tmp_path) as mother,
        running_server(tmp_path) as other,
    ):
        for _ in range(STOPS):
            for client in clients:
                client.writer.restock(replay.contacts.values())
            stopping = mother.start()
            stopping.wait_until_ready()
            with ExitStack() as stack:
                windows = [stack.enter_context(EventStream(stopping)) for _ in range(4)]
                running = [pool.submit(client.run, stopping, other) for client in clients]
                downloading = pool.submit(download, stopping)
                for window in windows:
                    window.changed()  # by now they write

                assert stopping.stop() == 0

                told += [each.result() for each in running]
                downloads += downloading.result()
                for window in windows:
                    while window.event():
                        pass  # up to the end, which comes in order, or it would be raised
            replay = assert_sound(database)
    _, *batches = replay.batches.values()  # behind that of the stock
    assert compare({batch.id: batch for batch in batches}, told)
    assert len(batches) > 4 * STOPS
    assert downloads > 0
    assert "Traceback" not in Path(tmp_path, "server.log").read_text()


# --- a store that fails


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[RunningServer]:
    """The app on two workers."""
    with running_server(folder) as running:
        yield running


MOVED = (
    "contacts.db was deleted or replaced while the app runs. "
    "Nothing was saved. Put it back or restart the app."
)


@pytest.mark.parametrize("replaced", [False, True], ids=["moved away", "replaced"])
def test_workers_whose_store_is_gone_are_taken_out_and_come_back_with_it(
    site: RunningServer, folder: Path, replaced: bool
) -> None:
    database, away = folder / "contacts.db", folder / "away.db"
    with ExitStack() as stack:
        connections = [stack.enter_context(site.connect()) for _ in range(8)]  # on both workers
        adds = [
            Write("add", "", "POST", "/contacts", (("name", f"Ada {number}"), ("phone", "1")))
            for number in range(8)
        ]
        window = stack.enter_context(EventStream(site))
        before = site.get("/contacts.json").text

        os.rename(database, away)
        if replaced:
            shutil.copy(away, database)
        assert {connection.get("/ready").status for connection in connections} == {503}
        refused = [ask(*pair) for pair in zip(connections, adds, strict=True)]
        assert {answer.status for answer in refused} == {503}
        assert all(MOVED in answer.text and f"Ada {n}" in answer.text for n, answer in enumerate(refused))
        site.wait_for(f"the store failed: {re.escape(MOVED)}")
        assert {connection.get("/health").status for connection in connections} == {200}

        os.replace(away, database)
        assert {connection.get("/ready").status for connection in connections} == {200}
        assert site.get("/contacts.json").text == before
        assert {ask(*pair).status for pair in zip(connections, adds, strict=True)} == {303}
        assert window.changed()
    assert "Traceback" not in site.log()


def test_who_reads_does_not_wait_for_those_who_write(tmp_path: Path) -> None:
    with running_server(tmp_path, module=("tests.probe_app", "unhurried")) as site, ExitStack() as stack:
        other = stack.enter_context(closing(sqlite3.connect(tmp_path / "contacts.db", autocommit=True)))
        other.execute("BEGIN IMMEDIATE")  # as another program does that writes
        writers = [stack.enter_context(site.connect(timeout=100)) for _ in range(8)]  # on both workers
        for number, writer in enumerate(writers):
            send(writer, Write("add", "", "POST", "/contacts", (("name", f"Alan {number}"), ("phone", "1"))))
        readers = [stack.enter_context(site.connect()) for _ in range(8)]
        for _ in range(3):
            assert {reader.get("/contacts?q=turing").status for reader in readers} == {200}
            assert {reader.get("/ready").status for reader in readers} == {200}
        other.execute("ROLLBACK")
        assert {writer.answer().status for writer in writers} == {303}


def test_a_database_that_hangs_takes_nothing_else_with_it(tmp_path: Path, postgres: Postgres) -> None:
    with running_server(tmp_path, CONTACTS_STORE=postgres.empty()) as server:
        with postgres.frozen():
            for path, status in (("/contacts", 503), ("/health", 200), ("/ready", 503), ("/contacts", 503)):
                assert {server.get(path).status for _ in range(8)} == {status}  # by both workers
            with server.connect() as connection:
                add = Write("add", "", "POST", "/contacts", (("name", "Ada Hung"), ("phone", "1")))
                answer = ask(connection, add)
            assert answer.status == 503
            assert "Ada Hung" in answer.text
        server.wait_until_ready()
        assert server.get("/contacts").status == 200
    assert "Traceback" not in server.log()


# --- hours of it


@linux_only
def test_in_a_short_soak_threads_and_files_stay_few_and_memory_is_bounded(tmp_path: Path) -> None:
    with running_server(tmp_path, CONTACTS_SAMPLE="500") as running:
        before = Usage.of(running.process.pid)
        samples, crowd = soak(running, tmp_path, seconds=6, every=1)
        after = alone(running, before.threads + POOLS, before.files + POOLS)

    assert len(crowd.done) == 5  # they did everything
    assert after.threads <= before.threads + POOLS
    assert after.files <= before.files + POOLS
    assert max(usage.threads for usage in samples) <= before.threads + POOLS + 6
    assert max(usage.files for usage in samples) <= before.files + 40
    assert after.memory - before.memory < 60_000
    assert "Traceback" not in running.log()
