"""An import into SQLite in the middle of everything else: others write, and it may be cut off."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import app.store.sql
from app.contacts.listing import ListQuery
from app.store import StoreUnavailable
from app.store.sqlite import SQLiteStore
from tests.making import ADA, GRACE, add, draft, names
from tests.rights import as_ordinary_user
from tests.soundness import assert_sound

ROOT = Path(__file__).parents[1]
PEOPLE = [draft(f"Person {number:03}", tags="New") for number in range(300)]

IMPORTER = """
import sys
from pathlib import Path
import app.store.sql
from app.store.sqlite import SQLiteStore
from tests.test_store_imports import PEOPLE

def pause(done):
    if done == 200:
        print(done, flush=True)
        sys.stdin.readline()

app.store.sql.IMPORT_GROUP, app.store.sql.IMPORT_TURN = 100, 0
store = SQLiteStore(Path(sys.argv[1]))
print(store.import_many(PEOPLE, progress=pause).added, flush=True)
store.close()
"""


@pytest.fixture(autouse=True)
def groups_of_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each a transaction of its own."""
    monkeypatch.setattr(app.store.sql, "IMPORT_GROUP", 100)
    monkeypatch.setattr(app.store.sql, "IMPORT_TURN", 0)


def importer(database: Path) -> subprocess.Popen[str]:
    """Another process that has written two of the three groups of its import; a line lets it go on."""
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORTER, database],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == "200\n"
    return process


# --- others meanwhile


def test_others_write_between_the_groups_of_an_import(sqlite: SQLiteStore, database: Path) -> None:
    told: list[int] = []

    def write(done: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(add, sqlite, f"Other {len(told)}").result()
        told.append(done)

    result = sqlite.import_many(PEOPLE, progress=write)

    assert told == [100, 200, 300, 300]
    assert result.batch is not None
    assert (result.added, result.batch.size, sqlite.count()) == (300, 300, 304)
    assert_sound(database)
    sqlite.undo(result.batch.id)
    assert names(sqlite.list(ListQuery()).contacts) == [f"Other {number}" for number in range(4)]


def test_an_import_in_progress_can_be_seen_but_not_undone(sqlite: SQLiteStore) -> None:
    seen = []

    def look(done: int) -> None:
        (batch,) = sqlite.batches()
        seen.append((batch.open, batch.size, sqlite.count()))
        for undo in (sqlite.undo, sqlite.undo_plan):
            with pytest.raises(StoreUnavailable, match=r"^This import is still running\."):
                undo(batch.id)

    result = sqlite.import_many(PEOPLE, progress=look)

    assert seen == [(True, 100, 100), (True, 200, 200), (True, 300, 300), (True, 300, 300)]
    assert result.batch == sqlite.batch(1)
    assert result.batch
    assert not result.batch.open


def test_an_import_settles_at_its_end_and_what_others_do_at_once(sqlite: SQLiteStore) -> None:
    add(sqlite, "Before")
    seen = []

    def look(done: int) -> None:
        before = sqlite.settled()
        if done == 200:
            add(sqlite, "Meanwhile")
        seen.append((before, sqlite.settled()))

    sqlite.import_many(PEOPLE, progress=look)

    # The two groups are 2 to 201, so Meanwhile is 202 and the end of the import 302.
    assert seen == [(1, 1), (1, 202), (202, 202), (202, 202)]
    assert sqlite.settled() == sqlite.last_change() == 302


def test_an_import_that_breaks_off_settles_too(sqlite: SQLiteStore) -> None:
    def stop(done: int) -> None:
        assert sqlite.settled() == 0
        if done == 200:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        sqlite.import_many(PEOPLE, progress=stop)

    assert sqlite.settled() == sqlite.last_change() == 400


def test_a_contact_that_is_deleted_during_the_import_is_added_by_a_later_row_no_more(
    sqlite: SQLiteStore, database: Path
) -> None:
    def delete(done: int) -> None:
        if done < 200:
            sqlite.delete([1, 2])

    result = sqlite.import_many([*PEOPLE, PEOPLE[0]], progress=delete)

    assert (result.added, result.skipped, sqlite.count()) == (300, 1, 298)
    assert_sound(database)


def test_a_row_that_meets_a_contact_of_this_import_under_another_email_is_reported(
    sqlite: SQLiteStore, database: Path
) -> None:
    def take_over(done: int) -> None:
        if done == 100:
            sqlite.update(1, replace(GRACE, email=PEOPLE[250].email), 1)

    result = sqlite.import_many(PEOPLE, "update", progress=take_over)

    assert (result.added, result.updated, sqlite.get(1).name) == (299, 0, "Grace Hopper")
    (failure,) = result.failed
    assert (failure.row, failure.draft) == (251, PEOPLE[250])
    assert failure.errors == {
        "email": "Grace Hopper was changed by someone else during this import. Import this row again."
    }
    assert_sound(database)


def test_imports_take_turns(database: Path) -> None:
    store = SQLiteStore(database)
    order: list[tuple[str, int]] = []
    first_is_writing, go_on = threading.Event(), threading.Event()

    def first(done: int) -> None:
        order.append(("first", done))
        first_is_writing.set()
        go_on.wait(60)

    def second(done: int) -> None:
        order.append(("second", done))

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(store.import_many, PEOPLE[:200], progress=first)
        first_is_writing.wait(60)
        two = pool.submit(store.import_many, PEOPLE[100:], progress=second)
        add(store, "Other")
        go_on.set()
        assert (one.result().added, two.result().added, two.result().skipped) == (200, 100, 100)

    assert [who for who, _ in order] == ["first"] * 3 + ["second"] * 3
    store.close()


def test_an_import_waits_for_one_of_another_process(sqlite: SQLiteStore, database: Path) -> None:
    with importer(database) as process, ThreadPoolExecutor(1) as pool:
        mine = pool.submit(sqlite.import_many, [PEOPLE[0], ADA])
        add(sqlite, "Other")
        assert not mine.done()

        assert process.communicate("go\n", timeout=60)[0] == "300\n"

        assert (mine.result(60).added, mine.result(60).skipped) == (1, 1)
    assert_sound(database)


def test_no_thread_is_left_behind(sqlite: SQLiteStore) -> None:
    def stop(done: int) -> None:
        raise OSError("enough")

    before = set(threading.enumerate())
    sqlite.import_many(PEOPLE)
    with pytest.raises(OSError, match="enough"):
        sqlite.import_many([draft(f"Another {number}") for number in range(900)], progress=stop)

    assert set(threading.enumerate()) <= before  # whatever has ended of what other tests began


# --- cut off


def test_what_an_import_of_a_killed_process_wrote_is_undone_by_the_next_that_opens_the_store(
    database: Path,
) -> None:
    with closing(SQLiteStore(database)) as store:
        store.add(ADA)
    with importer(database) as process:
        process.send_signal(signal.SIGKILL)

    store = SQLiteStore(database)

    assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace"]
    undo, imported, _ = store.batches()
    assert (imported.size, imported.open, imported.undone_by) == (200, False, undo.id)
    assert_sound(database)
    assert store.import_many(PEOPLE).added == 300
    store.close()


def test_what_others_changed_of_a_killed_import_stays(database: Path) -> None:
    store = SQLiteStore(database)
    with importer(database) as process:
        store.tag([7], add=["Mine"])
        process.send_signal(signal.SIGKILL)
    store.close()

    store = SQLiteStore(database)

    assert names(store.list(ListQuery()).contacts) == ["Person 006"]
    assert not any(batch.open for batch in store.batches())
    store.close()


def test_a_store_that_stayed_open_undoes_a_killed_import_before_its_own(
    sqlite: SQLiteStore, database: Path
) -> None:
    with importer(database) as process:
        process.send_signal(signal.SIGKILL)
    assert sqlite.count() == 200

    sqlite.import_many([ADA])

    assert names(sqlite.list(ListQuery()).contacts) == ["Ada Lovelace"]
    assert_sound(database)


def test_a_live_import_of_another_process_is_not_taken_for_a_dead_one(database: Path) -> None:
    with importer(database) as process:
        store = SQLiteStore(database)

        assert (store.count(), store.batches()[0].open) == (200, True)
        assert process.communicate("go\n", timeout=60)[0] == "300\n"

        assert (store.count(), store.batches()[0].open) == (300, False)
    assert_sound(database)
    store.close()


FULL = "The disk that holds contacts.db is full. Nothing was saved. Free some space, then try again."


def test_an_import_that_fills_the_disk_takes_back_what_it_wrote(sqlite: SQLiteStore, database: Path) -> None:
    sqlite.add(ADA)

    def fill(done: int) -> None:
        if done == 200:
            with sqlite._read() as conn:
                (pages,) = conn.execute("PRAGMA page_count").fetchone()
                conn.execute(f"PRAGMA max_page_count = {pages + 12}")

    with pytest.raises(StoreUnavailable, match=f"^{FULL}$"):
        sqlite.import_many([replace(person, notes="x" * 900) for person in PEOPLE], progress=fill)

    assert names(sqlite.list(ListQuery()).contacts) == ["Ada Lovelace"]
    assert_sound(database)


def test_what_cannot_even_be_undone_is_undone_before_the_next_import(
    sqlite: SQLiteStore, database: Path
) -> None:
    def forbid_writing(done: int) -> None:
        database.chmod(0o444)
        sqlite.close_worker()  # what is open stays writable

    def run() -> None:
        sqlite.import_many(PEOPLE, progress=forbid_writing)

    with pytest.raises(StoreUnavailable) as failed:
        as_ordinary_user(run)

    assert str(failed.value) == (
        "contacts.db is read-only. "
        "Make the file and its folder writable for this user, then try again. "
        "A part of the import is still there; the next start or import takes it back."
    )
    assert (sqlite.count(), sqlite.batches()[0].open) == (100, True)
    database.chmod(0o644)
    sqlite.import_many([GRACE])
    assert names(sqlite.list(ListQuery()).contacts) == ["Grace Hopper"]
    assert_sound(database)
