"""What was acknowledged is kept, whatever happens to the process, and nothing is ever half done.

A server is killed with SIGKILL at random moments, again and again, while four clients write and,
now and then, a fifth one imports. After each death the next server starts, and the file is looked
at: each write that a client has read the answer to is there; each batch of the log is exactly one
write that a client has sent, or an import that was cut off and taken back as a whole; the log leads
to the contacts.

DURABILITY_KILLS says how often; DURABILITY_SEED repeats the choices of a run.
"""

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from html import unescape
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from app.store import open_store
from app.store.backup import back_up
from app.store.sqlite import SQLiteStore
from app.web.uploads import INTERRUPTED
from tests.mother import running_mother
from tests.server_process import Answer, RunningServer, running_server
from tests.soundness import assert_sound, reading
from tests.writers import Importer, Told, Write, Writer, acknowledged, ask, compare, give_stock

KILLS = int(os.environ.get("DURABILITY_KILLS", "200"))
SEED = int(os.environ.get("DURABILITY_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
UNLIMITED = resource.RLIM_INFINITY
KINDS = ("add", "update", "tag", "delete", "undo", "import")
FULLY = 20  # kills after which everything is looked at; after the others, what the log has gained

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="limits another process")


# --- killed


def test_nothing_acknowledged_is_lost_and_nothing_is_half_done_however_often_the_server_is_killed(
    tmp_path: Path,
) -> None:
    database = tmp_path / "contacts.db"
    chance = random.Random(SEED)
    writers = [Writer(f"w{number}", random.Random(chance.random())) for number in range(4)]
    importer = Importer("i", rows=600)  # the store writes 200 of them at a time when others wait
    with closing(SQLiteStore(database)) as store:
        give_stock(store, writers, each=300)
    replay, told, counts = assert_sound(database), list[Told](), Counter[str]()
    with ThreadPoolExecutor(5) as pool, running_mother(tmp_path) as mother:
        for kill in range(KILLS + 1):
            server = mother.start()
            if chance.random() < 0.1:  # it does not even live to be ready
                time.sleep(chance.uniform(0, 0.08))
                server.kill()
                server = mother.start()
                counts["killed at the start"] += 1
            server.wait_until_ready()
            with reading(database) as conn:
                assert conn.execute("PRAGMA quick_check").fetchall() == [("ok",)]
                counts += compare(replay.go_on(conn), told)
            if kill % FULLY == 0:
                assert assert_sound(database) == replay
            for writer in writers:
                writer.restock(replay.contacts.values())
            clients: list[Writer | Importer] = [*writers]
            if kill % 8 == 7:
                shutil.rmtree(f"{database}.imports", ignore_errors=True)  # the app keeps at most 20 an hour
                importer.upload(server)
                clients.append(importer)
            running = [pool.submit(client.run, server) for client in clients]
            match kill % 24:
                case 15:
                    wait_for_import(database, running[-1])
                case 23:
                    importer.imported.wait()  # so that the kill comes in the undo
            time.sleep(chance.uniform(0, 0.04))  # waits for nothing: the moment of the kill shall be any
            server.kill()
            told = [each.result() for each in running]
            counts["hit"] += any(each.in_doubt for each in told)
    print(f"DURABILITY_SEED={SEED}, {KILLS} kills:", dict(sorted(counts.items())))
    # The test itself: the kills came when it hurts, and left every kind of trace.
    assert counts["hit"] > KILLS * 0.8
    assert sum(counts[f"{kind} in doubt and kept"] for kind in KINDS) >= KILLS // 50
    assert sum(counts[f"{kind} in doubt and lost"] for kind in KINDS) >= KILLS // 5
    assert counts["import in doubt and taken back"] >= KILLS // 100
    assert all(counts[f"{kind} acknowledged"] >= KILLS // 50 for kind in KINDS)
    assert assert_sound(database).contacts
    assert "Traceback" not in Path(tmp_path, "server.log").read_text()


# --- no room


@linux_only
def test_when_the_disk_takes_no_more_nothing_is_lost_and_it_goes_on_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    database = tmp_path / "contacts.db"
    with running_server(tmp_path, CONTACTS_SAMPLE="0") as server, server.connect() as connection:
        told, writer = Told(), Writer("w", random.Random(SEED))
        with closing(SQLiteStore(database)) as store:
            give_stock(store, [writer], each=300)
        writer.restock(assert_sound(database).contacts.values())
        writes = writer.writes(told.acknowledged)

        def write() -> Answer:
            write = next(writes)
            answer = ask(connection, write)
            if answer.status == 303:
                told.acknowledged[acknowledged(answer)] = write
            return answer

        for _ in range(2):
            before = len(told.acknowledged)
            largest = max(file.stat().st_size for file in tmp_path.iterdir() if file.is_file())
            let_files_grow_to(largest + 300_000, server)
            while (answer := write()).status == 303:
                pass
            refused = [answer, *(write() for _ in range(10))]
            assert "The disk that holds contacts.db failed. Nothing was saved." in unescape(answer.text)
            assert {answer.status for answer in refused} <= {303, 503}
            assert connection.get("/contacts").status == 200

            let_files_grow_to(UNLIMITED, server)
            assert [write().status for _ in range(20)] == [303] * 20
            assert len(told.acknowledged) > before + 20
        assert server.get("/ready").status == 200
        _, *batches = assert_sound(database).batches.values()  # behind that of the stock
        assert compare({batch.id: batch for batch in batches}, [told])
        assert "Traceback" not in server.log()


def let_files_grow_to(size: int, server: RunningServer) -> None:
    """Let no file that the server writes grow beyond so many bytes. With a GIL, its workers are processes."""
    first = server.process.pid
    workers = [file.read_text().split() for file in Path(f"/proc/{first}/task").glob("*/children")]
    for pid in (first, *map(int, chain.from_iterable(workers))):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


# --- read-only


@contextmanager
def taking_no_byte(server: RunningServer, database: Path) -> Iterator[str]:
    """No file takes another byte, as on a disk that the system has turned read-only; what is said of it."""
    let_files_grow_to(0, server)
    try:
        yield "The disk that holds contacts.db failed. Nothing was saved. Check the disk, then try again."
    finally:
        let_files_grow_to(UNLIMITED, server)


@contextmanager
def immutable(server: RunningServer, database: Path) -> Iterator[str]:
    """Nothing can be written to the file and its log, not even by root; what is said of it."""
    # Not to -shm, which is memory: whoever writes to memory that turns read-only is killed.
    files = [f"{database}", f"{database}-wal"]
    make = ["chattr", "+i", *files]
    if not shutil.which("chattr") or subprocess.run(make, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("chattr +i takes root and a file system that knows it; the other case stands for it")
    try:
        yield (
            "contacts.db is read-only. Nothing was saved. "
            "Make the file and its folder writable for this user, then try again."
        )
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@linux_only
@pytest.mark.parametrize("read_only", [taking_no_byte, immutable])
def test_when_the_store_turns_read_only_nothing_is_lost_and_it_goes_on_when_it_is_writable_again(
    tmp_path: Path, read_only: Callable[[RunningServer, Path], AbstractContextManager[str]]
) -> None:
    database = tmp_path / "contacts.db"
    writers = [Writer(f"w{number}", random.Random(SEED + number)) for number in range(4)]
    told = [Told() for _ in writers]
    # In this order, so that what fails here ends the server, and with it the clients: they write on and on.
    with ThreadPoolExecutor(4) as pool, running_server(tmp_path, CONTACTS_SAMPLE="0") as server:
        with closing(SQLiteStore(database)) as store:
            give_stock(store, writers, each=300)
        stock = assert_sound(database).contacts.values()

        def write(writer: Writer, told: Told, enough: int = 10**9) -> tuple[Write, Answer]:
            """Write so often, or until a write is refused; the last one."""
            with server.connect() as connection:
                for write in writer.writes(told.acknowledged):
                    answer = ask(connection, write)
                    if answer.status != 303:
                        break
                    told.acknowledged[acknowledged(answer)] = write
                    if len(told.acknowledged) >= enough:
                        break
            return write, answer

        for writer in writers:
            writer.restock(stock)
        for times in (1, 2):
            running = [pool.submit(write, *each) for each in zip(writers[1:], told[1:], strict=True)]
            write(writers[0], told[0], enough=20 * times)
            with read_only(server, database) as message:
                refused = [each.result() for each in running]
                before = server.get("/contacts.json").text
                refused += [write(*each) for each in zip(writers, told, strict=True)]

                for asked, answer in refused:
                    assert answer.status == 503
                    assert message in unescape(answer.text)
                    # A form comes back with what was typed; the others have nothing to lose.
                    assert asked.kind not in ("add", "update") or asked.token in answer.text
                assert server.get("/contacts?q=person").status == 200
                assert server.get("/contacts.json").text == before
                assert server.get("/ready").status == (503 if read_only is immutable else 200)

            assert server.get("/ready").status == 200
            with server.connect() as connection:
                for (asked, _), known in zip(refused[:3], told[1:], strict=True):
                    known.acknowledged[acknowledged(ask(connection, asked))] = asked
        assert "Traceback" not in server.log()
    _, *batches = assert_sound(database).batches.values()  # behind that of the stock
    assert compare({batch.id: batch for batch in batches}, told)


@linux_only
@pytest.mark.parametrize("read_only", [taking_no_byte, immutable])
def test_an_import_during_which_the_store_turns_read_only_is_taken_back_as_a_whole(
    tmp_path: Path, read_only: Callable[[RunningServer, Path], AbstractContextManager[str]]
) -> None:
    database = tmp_path / "contacts.db"
    importer = Importer("i", rows=9_000)
    with ThreadPoolExecutor(1) as pool, running_server(tmp_path, CONTACTS_SAMPLE="0") as server:
        importer.upload(server)
        failing = pool.submit(importer.fail, server)
        wait_for_import(database, failing)
        with read_only(server, database) as message:
            asked, page = failing.result()
            cause, _, advice = message.partition(" Nothing was saved.")
            left = "A part of the import is still there; the next start or import takes it back."
            assert INTERRUPTED in page or f"{cause}{advice} {left}" in page
            assert "Nothing was changed" not in page
        importer.upload(server)
        told = importer.run(server)
        assert "Traceback" not in server.log()
    batches = assert_sound(database).batches
    assert compare(batches, [Told(in_doubt=[asked]), told])["import in doubt and taken back"] == 1


# --- backup


def test_a_backup_taken_under_load_is_sound_and_has_all_that_was_acknowledged_before_it(
    tmp_path: Path,
) -> None:
    database, backup = tmp_path / "contacts.db", tmp_path / "backup.db"
    writers = [Writer(f"w{number}", random.Random(SEED + number)) for number in range(3)]
    importer = Importer("i", rows=1_000)
    with closing(SQLiteStore(database)) as store:
        give_stock(store, writers, each=300)
    stock = assert_sound(database).contacts.values()
    with ThreadPoolExecutor(4) as pool, running_mother(tmp_path) as mother:
        server = mother.start()
        server.wait_until_ready()
        importer.upload(server)
        for writer in writers:
            writer.restock(stock)
        clients: list[Writer | Importer] = [*writers, importer]
        running = [pool.submit(client.run, server) for client in clients]
        wait_for_import(database, running[-1])
        for _ in range(3):
            known = [writer.told.acknowledged.copy() for writer in writers]  # at once, for they go on
            before = {batch: write for each in known for batch, write in each.items()}
            back_up(f"sqlite:///{database}", backup)
            open_store(
                f"sqlite:///{backup}"
            ).close()  # as who restores it does, which takes back half an import
            batches = assert_sound(backup).batches
            assert all(write.is_all_of(batches[batch]) for batch, write in before.items())
        server.kill()
        told = [each.result() for each in running]
    assert len(before) > 8
    assert before.keys() < {batch for each in told for batch in each.acknowledged}


def wait_for_import(database: Path, importing: Future[Any]) -> None:
    """Wait until a part of an import is written, or all of it."""
    with closing(sqlite3.connect(database)) as conn:
        while not (importing.done() or conn.execute("SELECT 1 FROM batch WHERE open").fetchall()):
            pass
