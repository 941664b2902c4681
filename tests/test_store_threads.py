"""Many threads at one store: nothing is lost, done twice, or seen half done.

Without their locks the stores fail these tests on free-threaded Python; a Python with a GIL would
hide most of it.
"""

import itertools
import subprocess
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.contacts.changes import UndoConflict
from app.contacts.contact import Contact, ContactDraft, EditConflict, InvalidContact, NoSuchContact
from app.contacts.listing import SORTS, ListQuery
from app.store import ContactStore, StoreUnavailable
from app.store.sqlite import SQLiteStore
from tests.making import ADA, add, draft
from tests.racing import race

THREADS = 8


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    """Where there is a GIL, let another thread have it as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has its GIL")
def test_these_tests_run_without_a_gil() -> None:
    assert not sys._is_gil_enabled()


def test_every_addition_of_every_thread_is_kept_under_an_id_of_its_own(store: ContactStore) -> None:
    def run(thread: int) -> list[Contact]:
        return [add(store, f"Person {thread} {number}") for number in range(40)]

    added = [contact for contacts in race(THREADS, run) for contact in contacts]

    assert sorted(contact.id for contact in added) == list(range(1, THREADS * 40 + 1))
    assert sorted(store.export(ListQuery()), key=lambda contact: contact.id) == sorted(
        added, key=lambda contact: contact.id
    )
    assert store.count() == len(added)
    assert store.count(ListQuery(text="person")) == len(added)


def test_of_threads_that_edit_the_same_version_exactly_one_wins(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    conflicts: list[tuple[int, Contact | None]] = []

    def run(thread: int) -> dict[int, str]:
        """Add words to what the notes say; return those that were kept, by version."""
        kept = {}
        for number in range(40):
            current = store.get(ada.id)
            word = f"{thread}.{number}"
            try:
                edited = replace(ADA, notes=f"{current.notes} {word}")
                kept[store.update(ada.id, edited, current.version)[0].version] = word
            except EditConflict as conflict:
                conflicts.append((current.version, conflict.current))
        return kept

    kept = sorted((version, word) for words in race(THREADS, run) for version, word in words.items())

    assert [version for version, _ in kept] == list(range(2, len(kept) + 2))
    assert [word for _, word in kept] == store.get(ada.id).notes.split()
    assert len(kept) + len(conflicts) == THREADS * 40
    assert all(current and current.version > tried for tried, current in conflicts)


def test_of_threads_that_want_the_same_email_exactly_one_gets_it(store: ContactStore) -> None:
    owners: list[Contact | None] = []

    def run(thread: int) -> int:
        won = 0
        for number in range(25):
            try:
                add(store, f"Person {thread}", email=f"number{number}@example.com")
                won += 1
            except InvalidContact as refused:
                owners.append(refused.taken_by)
        return won

    won = sum(race(THREADS, run))

    assert won == 25
    assert store.count() == 25
    assert len(owners) == (THREADS - 1) * 25
    assert set(owners) <= set(store.export(ListQuery()))
    emails = Counter(contact.email for contact in store.export(ListQuery()))
    assert set(emails.values()) == {1}


def test_a_contact_is_deleted_once_however_many_threads_delete_it(store: ContactStore) -> None:
    made = [add(store, f"Person {number}").id for number in range(40)]

    def run(thread: int) -> int:
        batches = [store.delete([contact_id]) for contact_id in made]
        return sum(batch.size for batch in batches if batch)

    deleted = sum(race(THREADS, run))

    assert deleted == 40
    assert store.count() == 0
    assert store.last_change() == 80


def test_a_batch_is_undone_once_however_many_threads_undo_it(store: ContactStore) -> None:
    batches = [store.add(draft(f"Person {number}"))[1].id for number in range(25)]

    first, *others = race(THREADS, lambda thread: [store.undo(batch) for batch in batches])

    assert [undo.undoes for undo in first] == batches
    assert others == [first] * (THREADS - 1)
    assert store.count() == 0
    assert store.last_change() == 50


def test_imports_of_the_same_people_add_each_once(store: ContactStore) -> None:
    people = [draft(f"Person {number}") for number in range(60)]
    people += [draft(f"No Email {number}", phone=str(number)) for number in range(60)]

    added = sum(race(THREADS, lambda thread: store.import_many(people).added))

    assert added == 120
    assert store.count() == 120


def test_the_log_tells_everything_that_happened_in_the_order_it_happened(store: ContactStore) -> None:
    churn(store, rounds=25)

    changes = store.changes(0, 100_000)

    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    contacts: dict[int, Contact] = {}
    for change in changes:
        assert change.before == contacts.pop(change.contact_id, None)
        if change.after:
            contacts[change.contact_id] = change.after
    assert contacts == {contact.id: contact for contact in store.export(ListQuery())}
    assert store.count() == len(contacts)
    batches = store.batches(100_000)
    assert sum(batch.size for batch in batches) == len(changes)
    assert [batch.id for batch in batches] == list(range(len(batches), 0, -1))


def test_readers_see_every_page_with_the_total_of_the_same_moment(store: ContactStore) -> None:
    store.import_many(draft(f"Person {number}", tags="Work") for number in range(30))
    done = threading.Event()

    def run(thread: int) -> int:
        if thread < 4:
            try:
                churn_one(store, thread, rounds=40)
            finally:
                done.set()
            return 0
        reads = 0
        while not done.is_set() or reads < 8:
            query = ListQuery(
                text="person" if thread % 2 else "",
                tags=("work",) if thread == 5 else (),
                sort=SORTS[reads % 4],
                limit=1_000,
            )
            page = store.list(query)
            assert page.total == len(page.contacts)
            assert len({contact.id for contact in page.contacts}) == page.total
            exported = [contact.id for contact in store.export(query)]
            assert len(exported) == len(set(exported))
            reads += 1
        return reads

    reads = race(THREADS, run)

    assert min(reads[4:]) >= 8


def test_statistics_are_of_one_moment(store: ContactStore) -> None:
    store.import_many(draft(f"Person {number}", company="Acme") for number in range(30))
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(60):
                _, batch = store.add(draft(f"Another {number}", company="Acme"))
                store.undo(batch.id)
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            figures = store.statistics()
            assert figures.total == figures.with_email in (30, 31)
            assert store.top("company", 5) in ((("Acme", 30),), (("Acme", 31),))

    race(4, lambda thread: read() if thread else write())

    assert store.statistics().total == 30


def test_a_reader_that_saw_a_change_never_sees_the_time_before_it(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    acknowledged = [1]
    done = threading.Event()

    def write() -> None:
        try:
            for version in range(1, 150):
                store.update(ada.id, replace(ADA, notes=str(version)), version)
                acknowledged[0] = version + 1
        finally:
            done.set()

    def read() -> None:
        while not done.is_set():
            least = acknowledged[0]
            contact = store.get(ada.id)
            assert contact.version >= least
            assert contact.notes == (str(contact.version - 1) if contact.version > 1 else "")
            assert store.last_change() >= contact.version

    race(4, lambda thread: read() if thread else write())

    assert store.get(ada.id).version == 150


def test_a_list_that_is_paged_while_others_write_repeats_and_skips_nobody(store: ContactStore) -> None:
    store.import_many(draft(f"Steady {number:03}") for number in range(60))
    done = threading.Event()

    def run(thread: int) -> None:
        if thread < 3:
            try:
                churn_one(store, thread, rounds=40, steady=60)
            finally:
                done.set()
            return
        while not done.is_set():
            query, seen = ListQuery(limit=7, descending=thread % 2 == 0), []
            while True:
                page = store.list(query)
                seen += [contact.name for contact in page.contacts if contact.name.startswith("Steady")]
                if page.next is None:
                    break
                query = replace(query, after=page.next)
            assert sorted(seen) == [f"Steady {number:03}" for number in range(60)]

    race(6, run)

    assert store.count(ListQuery(text="steady")) == 60


@pytest.mark.parametrize("attempt", range(5))
def test_closing_a_store_in_use_stops_its_users_and_crashes_nobody(store: ContactStore, attempt: int) -> None:
    started = threading.Barrier(THREADS)
    closed = threading.Event()

    def run(thread: int) -> str:
        store.open_worker()
        started.wait()
        if thread == attempt:
            store.close()
            closed.set()
        for number in itertools.count():
            late = closed.is_set()
            try:
                store.list(ListQuery(text="person"))
                add(store, f"Person {thread} {number}")
            except StoreUnavailable as unavailable:
                return str(unavailable)
            if late:
                break
        return "wrote to a closed store"

    messages = race(THREADS, run)

    assert messages == ["The address book is closed."] * THREADS


EDITOR = """
import sys
from dataclasses import replace
from pathlib import Path
from app.contacts.contact import EditConflict
from app.store.sqlite import SQLiteStore
from tests.making import ADA
store = SQLiteStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(300):
    try:
        print(store.update(1, replace(ADA, notes=f"{sys.argv[2]} {number}"), store.get(1).version)[0].version)
    except EditConflict:
        pass
store.close()
"""


def test_of_processes_that_edit_the_same_version_exactly_one_wins_and_none_fails(database: Path) -> None:
    with closing(SQLiteStore(database)) as store:
        store.add(ADA)
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", EDITOR, database, str(number)],
            cwd=Path(__file__).parents[1],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(2)
    ]
    assert [editor.stdout and editor.stdout.readline() for editor in editors] == ["ready\n"] * 2

    answers = race(2, lambda number: editors[number].communicate("go\n", timeout=120))

    assert [errors for _, errors in answers] == ["", ""]
    versions = sorted(int(version) for output, _ in answers for version in output.split())
    assert versions == list(range(2, len(versions) + 2))
    with closing(SQLiteStore(database)) as store:
        assert store.get(1).version == len(versions) + 1 == store.last_change()


def test_connections_of_threads_that_have_ended_are_closed(database: Path) -> None:
    store = SQLiteStore(database)
    for _ in range(5):
        race(3, lambda thread: store.count())

    store.count()

    assert len(store._connections) == 1
    store.close()


def test_a_closed_store_leaves_one_file_behind(database: Path) -> None:
    store = SQLiteStore(database)
    race(THREADS, lambda thread: add(store, f"Person {thread}"))

    store.close()

    assert [path.name for path in database.parent.iterdir()] == ["contacts.db"]


def churn(store: ContactStore, rounds: int) -> None:
    """Change contacts in every way from many threads at once."""
    race(THREADS, lambda thread: churn_one(store, thread, rounds))


def churn_one(store: ContactStore, thread: int, rounds: int, steady: int = 0) -> None:
    """One thread's share of `churn`: what it does meets what the others do and may be refused.

    steady: contacts with ids up to this one are left alone.
    """
    for number in range(rounds):
        contact, batch = store.add(draft(f"Person {thread} {number}", tags="Work"))
        before = max(contact.id - 1, steady + 1)
        try:
            match (thread + number) % 5:
                case 0:
                    store.undo(batch.id)
                case 1:
                    deletion = store.delete([contact.id, before])
                    if deletion and number % 2:
                        store.undo(deletion.id)
                case 2:
                    store.tag([contact.id, before], add=["VIP"], remove=["work"])
                case 3:
                    store.update(before, ContactDraft(name=f"Person {number}", phone="1"), 1)
                case 4:
                    store.import_many([draft(f"Person {n}", tags="VIP") for n in range(number % 4)], "fill")
        except EditConflict, InvalidContact, NoSuchContact, UndoConflict:
            pass
