"""A server behind nginx is stopped and started again while people write and read, and nobody notices.

Whatever any of them is answered has to be what was asked for; and what they wrote is there, once.
"""

import random
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event

import pytest

from app.listening import free_port
from app.store.sqlite import SQLiteStore
from scripts.cluster import HOST, Front, configuration, running_cluster, running_process
from tests.event_stream import EventStream
from tests.nginx import running_nginx
from tests.server_process import running_server
from tests.soundness import assert_sound
from tests.writers import Told, Writer, acknowledged, ask, compare, give_stock

WRITERS, READERS = 6, 2
QUIET = ("tests.probe_app", "quiet")  # so that a start that takes long is only waited for
KEPT = 20  # requests that a client sends on a connection; nginx opens one of its own for each


@dataclass
class Crowd:
    """Clients that write and read without a pause, from the start until `over`."""

    front: Front
    writers: list[Writer]
    over: Event

    def write(self, writer: Writer) -> Told:
        """Write; whatever does not acknowledge is raised."""
        told = Told()
        writes = writer.writes(told.acknowledged)
        while not self.over.is_set():
            with self.front.connect() as connection:
                for write in islice(writes, KEPT):
                    told.acknowledged[acknowledged(ask(connection, write))] = write
        return told

    def read(self) -> int:
        """Read pages, whole and in time, and say how many."""
        pages = 0
        while not self.over.is_set():
            with self.front.connect() as connection:
                for _ in range(KEPT):
                    answer = connection.get("/contacts")
                    assert answer.status == 200, answer
                    assert answer.text.rstrip().endswith("</html>")
                    pages += 1
        return pages

    def watch(self) -> int:
        """Follow the live view, again and again; each stream has an end in order, or it would be raised."""
        streams = 0
        while not self.over.is_set():
            with EventStream(self.front) as window:
                streams += 1
                while not self.over.is_set() and window.event():
                    pass
        return streams


@contextmanager
def crowd(front: Front, database: Path) -> Iterator[None]:
    """People, from the beginning of the block to its end, and a look at what is left of what they did."""
    people = Crowd(front, [Writer(f"w{number}", random.Random(number)) for number in range(WRITERS)], Event())
    with closing(SQLiteStore(database)) as store:
        give_stock(store, people.writers, each=300)
    before = assert_sound(database)
    for writer in people.writers:
        writer.restock(before.contacts.values())
    with ThreadPoolExecutor(WRITERS + READERS + 1) as pool:
        try:
            wrote: list[Future[Told]] = [pool.submit(people.write, writer) for writer in people.writers]
            others = [pool.submit(people.read) for _ in range(READERS)] + [pool.submit(people.watch)]
            yield
        finally:
            people.over.set()
        told = [each.result() for each in wrote]
        assert all(each.result() > 0 for each in others)
    replay = assert_sound(database)
    batches = {number: batch for number, batch in replay.batches.items() if number not in before.batches}
    assert sum(compare(batches, told).values()) == len(batches) > WRITERS


def test_the_only_one_is_restarted_and_people_wait(tmp_path: Path) -> None:
    database, path, port = tmp_path / "contacts.db", tmp_path / "0.sock", free_port(HOST, 0)
    with socket.socket(socket.AF_UNIX) as of_systemd, ExitStack() as stack:
        of_systemd.bind(str(path))
        of_systemd.listen()
        store = f"sqlite:///{database}"
        start = partial(running_process, tmp_path, store, 0, sample=0, passed=of_systemd, module=QUIET)
        server = stack.enter_context(start())
        changed = configuration(tmp_path, port, [server])
        stack.enter_context(running_nginx(tmp_path, changed, f"http://{HOST}:{port}/ready"))
        with crowd(Front(port, [server]), database):
            server.stop()
            server = stack.enter_context(start())

        server.stop()
        assert path.exists()  # and systemd goes on listening
    assert "Removed socket file" not in server.log()


@pytest.mark.parametrize("named", ["", "/run/contacts/other.sock"])
def test_a_socket_that_is_not_the_one_in_the_settings_is_refused(tmp_path: Path, named: str) -> None:
    with socket.socket(socket.AF_UNIX) as of_systemd:
        of_systemd.bind(str(tmp_path / "app.sock"))
        server = running_server(tmp_path, passed=of_systemd, CONTACTS_SOCKET=named)

        with (
            pytest.raises(AssertionError, match=r"systemd listens on .*app\.sock\."),
            server,
        ):
            pass


def test_one_of_two_is_restarted_and_nobody_notices(tmp_path: Path) -> None:
    database = tmp_path / "contacts.db"
    store = f"sqlite:///{database}"
    with (
        running_cluster(tmp_path, store, sample=0) as front,
        ExitStack() as stack,
        crowd(front, database),
    ):
        front.behind[0].stop()
        stack.enter_context(running_process(tmp_path, store, 0, module=QUIET))
        front.behind[1].stop()  # so that everybody needs the one that has just come
