"""SQLite in bad surroundings, each of them caused for real: what is said, and what is left behind."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import app.store.spool
from app.contacts.listing import ListQuery
from app.store import CannotOpen, StoreUnavailable, open_store
from app.store.migrations import FOLDER
from app.store.sqlite import SQLiteStore
from tests.making import ADA, ALAN, GRACE, add, draft, names
from tests.rights import as_ordinary_user
from tests.soundness import assert_sound

ROOT = FOLDER.parent
PAGE = 4096


@contextmanager
def unavailable(message: str) -> Iterator[None]:
    """Expect exactly this message, on one line, with the SQLite error behind it if there was one."""
    with pytest.raises(StoreUnavailable) as raised:
        yield
    assert str(raised.value) == message


def cannot_open(path: Path) -> str:
    """The message of a file that is in the way of the start."""
    with pytest.raises(CannotOpen) as raised:
        SQLiteStore(path, busy_timeout=0.1)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def kept(database: Path) -> Path:
    """The file of a store that was closed with three contacts in it."""
    store = SQLiteStore(database)
    for person in (ADA, GRACE, ALAN):
        store.add(person)
    store.close()
    return database


# --- at the start


def test_a_commit_waits_for_the_disk(sqlite: SQLiteStore) -> None:
    # A power cut cannot be caused here. SQLite's own promise for it is that of this setting, 2 for FULL.
    with sqlite._read() as conn:
        assert conn.execute("PRAGMA synchronous").fetchone() == (2,)
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "contacts.db"

    assert cannot_open(path) == f"The folder {path.parent} does not exist. Make it, or change CONTACTS_STORE."


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    path.mkdir()

    assert cannot_open(path) == f"{path} is a folder. Name a file in CONTACTS_STORE, such as contacts.db."


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    Path(tmp_path, "file").touch()
    path = tmp_path / "file" / "contacts.db"

    assert cannot_open(path) == f"The folder {path.parent} does not exist. Make it, or change CONTACTS_STORE."


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    path.write_text("name,email\nAda,ada@example.com\n" * 200)

    message = cannot_open(path)

    assert message == (
        f"{path} is not a contacts database. Restore a backup of it, or name another file in CONTACTS_STORE."
    )
    assert path.read_text() == "name,email\nAda,ada@example.com\n" * 200


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "contacts.db"
    path.touch()

    store = SQLiteStore(path)

    assert store.add(ADA)[0].id == 1
    store.close()


def test_a_damaged_database_is_refused(kept: Path) -> None:
    with kept.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (PAGE - 100))

    assert cannot_open(kept) == f"{kept} is damaged. Stop the app and restore a backup of the file."


def test_a_database_that_was_cut_short_is_refused(kept: Path) -> None:
    os.truncate(kept, 3 * PAGE)

    assert cannot_open(kept) == f"{kept} is damaged. Stop the app and restore a backup of the file."


def test_a_database_that_cannot_be_written_is_refused(kept: Path) -> None:
    kept.chmod(0o444)

    message = as_ordinary_user(lambda: cannot_open(kept))

    assert message == (
        f"{kept} is read-only. Make the file and its folder writable for this user, then try again."
    )


def test_a_folder_that_cannot_be_written_is_refused(kept: Path) -> None:
    kept.parent.chmod(0o555)

    message = as_ordinary_user(lambda: cannot_open(kept))

    kept.parent.chmod(0o755)
    assert message == (
        f"{kept} is read-only. Make the file and its folder writable for this user, then try again."
    )


def test_a_folder_where_no_file_can_be_made_is_refused(database: Path) -> None:
    database.parent.chmod(0o555)

    message = as_ordinary_user(lambda: cannot_open(database))

    database.parent.chmod(0o755)
    assert message == (
        f"{database} cannot be opened. "
        "Check that it exists and that this user may write to it and to its folder."
    )


def test_a_folder_that_cannot_be_read_is_refused(kept: Path) -> None:
    kept.parent.chmod(0o333)

    message = as_ordinary_user(lambda: cannot_open(kept))

    kept.parent.chmod(0o755)
    assert message == f"The folder {kept.parent} cannot be read: Permission denied."


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", ""),
        ("sqlite:///", "sqlite:///"),
        ("sqlite://contacts.db", "sqlite://contacts.db"),
        ("memory", "memory"),
        ("mysql://ada:secret@localhost/contacts", "mysql://localhost/contacts"),
        ("postgre://localhost/contacts?user=ada&password=secret", "postgre://..."),
    ],
)
def test_a_store_of_an_unknown_kind_is_refused(url: str, told: str) -> None:
    with pytest.raises(CannotOpen) as raised:
        open_store(url)

    assert str(raised.value) == (
        f"CONTACTS_STORE is {told!r}: use memory:, sqlite:///path/to/contacts.db "
        "or postgresql://user:password@host/database."
    )


def test_a_path_may_hold_any_sign_that_a_url_would_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#50%.db"

    store = open_store(f"sqlite:///{path}")

    assert store.add(ADA)[0].id == 1
    assert path.exists()
    store.close()


def test_a_path_counts_from_the_folder_where_the_app_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///contacts.db")

    monkeypatch.chdir("/")

    assert store.add(ADA)[0].id == 1
    assert Path(tmp_path, "contacts.db").exists()
    store.close()


# --- busy


@pytest.fixture
def another_writer(database: Path, sqlite: SQLiteStore) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a write; it ends when its input does."""
    code = (
        "import sqlite3, sys; conn = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "conn.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, database], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    yield process
    process.communicate()


BUSY = "contacts.db is busy: something else is writing to it. Nothing was saved. Try again in a moment."


def test_a_write_gives_up_on_another_process_and_succeeds_once_that_is_done(
    sqlite: SQLiteStore, another_writer: subprocess.Popen[str]
) -> None:
    with unavailable(BUSY):
        sqlite.add(ADA)
    assert sqlite.count() == 0

    another_writer.communicate()

    assert sqlite.add(ADA)[0].id == 1


def test_an_import_gives_up_on_another_process_and_keeps_nothing(
    sqlite: SQLiteStore, another_writer: subprocess.Popen[str]
) -> None:
    with unavailable(BUSY):
        sqlite.import_many([ADA, GRACE])

    assert sqlite.last_change() == 0


def test_reading_goes_on_while_another_process_writes(
    sqlite: SQLiteStore, another_writer: subprocess.Popen[str]
) -> None:
    assert sqlite.list(ListQuery()).total == 0
    sqlite.check()


def test_the_app_starts_while_another_process_writes(
    database: Path, another_writer: subprocess.Popen[str]
) -> None:
    store = SQLiteStore(database, busy_timeout=0.1)

    assert store.count() == 0
    store.close()


def test_a_write_gives_up_on_a_long_one_of_its_own_process(sqlite: SQLiteStore) -> None:
    assert sqlite._writing.acquire(timeout=1)
    with unavailable(BUSY):
        sqlite.add(ADA)
    sqlite._writing.release()

    assert sqlite.add(ADA)[0].id == 1


# --- full, failing, read-only


def test_a_full_disk_keeps_nothing_of_the_write_and_all_from_before(sqlite: SQLiteStore) -> None:
    sqlite.add(ADA)
    with sqlite._read() as conn:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
        conn.execute(f"PRAGMA max_page_count = {pages + 2}")

    with unavailable(
        "The disk that holds contacts.db is full. Nothing was saved. Free some space, then try again."
    ):
        sqlite.import_many(draft(f"Person {number}", notes="x" * 500) for number in range(1_000))

    assert names(sqlite.list(ListQuery()).contacts) == ["Ada Lovelace"]
    assert (sqlite.count(), sqlite.last_change()) == (1, 1)
    with sqlite._read() as conn:
        conn.execute("PRAGMA max_page_count = 1000000")
    assert sqlite.add(GRACE)[0].id == 2


def test_a_disk_that_takes_no_more_bytes_keeps_nothing_of_the_write(kept: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from app.store import StoreUnavailable
from app.store.sqlite import SQLiteStore
from tests.making import ADA, draft
store = SQLiteStore(Path(sys.argv[1]))
store.count()
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store.import_many(draft(f"Person {number}", notes="x" * 1_000) for number in range(400))
except StoreUnavailable as unavailable:
    print(unavailable)
print(store.count(), store.last_change())
"""

    ran = subprocess.run(
        [sys.executable, "-c", code, kept], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert ran.stdout.splitlines() == [
        "The disk that holds contacts.db failed. Nothing was saved. Check the disk, then try again.",
        "3 3",
    ]


def test_a_file_that_turns_read_only_is_noticed_and_its_end_too(sqlite: SQLiteStore, database: Path) -> None:
    read_only = (
        "contacts.db is read-only. Nothing was saved. "
        "Make the file and its folder writable for this user, then try again."
    )
    sqlite.add(ADA)
    database.chmod(0o444)

    def run() -> int:
        with unavailable(read_only):
            sqlite.check()
        with unavailable(read_only):
            sqlite.add(GRACE)

        database.chmod(0o644)
        sqlite.check()
        return sqlite.add(GRACE)[0].id

    assert as_ordinary_user(run) == 2


def test_a_folder_for_temporary_files_that_takes_none_is_named(
    sqlite: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing"
    monkeypatch.setattr(tempfile, "tempdir", str(missing))
    monkeypatch.setattr(app.store.spool, "_IN_MEMORY", 1)

    with unavailable(
        f"The folder {missing} cannot be written to: No such file or directory. Nothing was saved. "
        "Free some space there, then try again."
    ):
        sqlite.import_many([ADA])

    assert sqlite.count() == 0


# --- deleted, replaced, damaged

MOVED = (
    "contacts.db was deleted or replaced while the app runs. "
    "Nothing was saved. Put it back or restart the app."
)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_deleted_or_replaced_is_noticed_before_a_write_is_lost(
    sqlite: SQLiteStore, database: Path, replaced: bool
) -> None:
    sqlite.add(ADA)
    backup = database.with_name("backup.db")
    os.rename(database, backup)
    if replaced:
        shutil.copy(backup, database)

    with unavailable(MOVED):
        sqlite.check()
    with unavailable(MOVED):
        sqlite.add(GRACE)
    with unavailable(MOVED):
        sqlite.delete([1])
    with ThreadPoolExecutor(1) as pool, unavailable(MOVED):
        pool.submit(sqlite.count).result()

    os.replace(backup, database)
    sqlite.check()
    assert sqlite.add(GRACE)[0].id == 2


DAMAGED = "contacts.db is damaged. Nothing was saved. Stop the app and restore a backup of the file."


@pytest.fixture
def damaged(database: Path) -> Iterator[SQLiteStore]:
    """A store of 300 contacts that is damaged where one of them, number 42, is kept."""
    store = SQLiteStore(database)
    store.import_many(draft(f"Needle {number:04}") for number in range(1, 301))
    store.close()
    content = database.read_bytes()
    with database.open("r+b") as file:
        for match in re.finditer(b"Needle 0042", content):
            file.seek(match.start() // PAGE * PAGE)
            file.write(b"\xff" * PAGE)
    store = SQLiteStore(database)
    yield store
    store.close()


def test_damage_is_reported_where_it_is_met_and_the_rest_can_be_read(damaged: SQLiteStore) -> None:
    with unavailable(DAMAGED):
        damaged.get(42)

    assert damaged.get(300).name == "Needle 0300"
    assert damaged.count() == 300


def test_nothing_is_written_once_damage_was_seen(damaged: SQLiteStore) -> None:
    assert add(damaged, "Before it was seen").id == 301
    damaged.check()

    with unavailable(DAMAGED):
        list(damaged.export(ListQuery()))

    with unavailable(DAMAGED):
        add(damaged, "After it was seen")
    with unavailable(DAMAGED):
        damaged.import_many([ADA])
    with unavailable(DAMAGED):
        damaged.check()
    assert damaged.count() == 301


def test_a_file_that_stops_being_a_database_is_not_written_to_again(kept: Path) -> None:
    store = SQLiteStore(kept)
    with kept.open("r+b") as file:
        file.write(b"\xff" * PAGE)

    with unavailable(
        "contacts.db is not a contacts database. Nothing was saved. "
        "Restore a backup of it, or name another file in CONTACTS_STORE."
    ):
        store.count()

    with unavailable(DAMAGED):
        store.add(ADA)
    store.close()


def test_a_store_that_is_closed_while_a_thread_connects_to_it_stays_closed(
    sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite._connect

    def close_meanwhile() -> sqlite3.Connection:
        sqlite.close()
        return connect()

    monkeypatch.setattr(sqlite, "_connect", close_meanwhile)

    for _ in range(2):
        with unavailable("The address book is closed."):
            sqlite.count()


def test_a_mistake_of_the_app_is_not_taken_for_bad_surroundings(sqlite: SQLiteStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such column"), sqlite._read() as conn:
        conn.execute("SELECT surname FROM contact")


def test_the_file_itself_holds_an_email_once_whoever_writes_to_it(kept: Path) -> None:
    with (
        closing(sqlite3.connect(kept)) as conn,
        pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE .* contact.email_key"),
    ):
        conn.execute("UPDATE contact SET email_key = 'ada@example.com'")


# --- killed

WRITER = """
import sys, threading
from pathlib import Path
from app.store.sqlite import SQLiteStore
from tests.making import draft
store = SQLiteStore(Path(sys.argv[1]))
out = threading.Lock()
def write(thread):
    for number in range(1_000_000):
        contact, _ = store.add(draft(f"Person {thread} {number}", tags="Work"))
        if number % 3 == 1:
            contact, _ = store.update(contact.id, draft(f"Changed {thread} {number}"), 1)
        with out:
            print(contact.id, contact.version, contact.name, flush=True)
for thread in range(4):
    threading.Thread(target=write, args=[thread]).start()
"""


@pytest.mark.parametrize("acknowledged", [1, 150, 400])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(database: Path, acknowledged: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, database], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        process.kill()
        lines += process.stdout.readlines()
    told = {int(contact_id): (int(version), name) for contact_id, version, name in map(words, lines) if name}

    store = SQLiteStore(database)
    kept = {contact.id: (contact.version, contact.name) for contact in store.export(ListQuery())}

    assert len(told) >= acknowledged
    assert told.items() <= {contact_id: kept.get(contact_id) for contact_id in told}.items()
    assert len(kept) - len(told) <= 4
    assert (
        store.count()
        == len(kept)
        == store.count(ListQuery(tags=("work",))) + store.count(ListQuery(text="changed"))
    )
    changes = store.changes(0, 1_000_000)
    assert {change.contact_id: change.after for change in changes} == {
        contact.id: contact for contact in store.export(ListQuery())
    }
    store.close()
    assert_sound(database)


def words(line: str) -> tuple[str, str, str]:
    """The id, version and name of a line; the last line may have been cut off and counts as none."""
    contact_id, _, rest = line.partition(" ")
    version, _, name = rest.partition(" ")
    return (contact_id, version, name.rstrip("\n")) if line.endswith("\n") else ("0", "0", "")


def test_the_search_index_is_in_step_after_every_kind_of_write(sqlite: SQLiteStore, database: Path) -> None:
    ada = add(sqlite, "Ada", tags="Work")
    sqlite.update(ada.id, draft("Ada King"), 1)
    sqlite.tag([ada.id], add=["VIP"])
    result = sqlite.import_many([GRACE, draft("Ada King", company="Engines")], "fill")
    assert result.batch
    sqlite.undo(result.batch.id)
    deletion = sqlite.delete([ada.id])
    assert deletion
    sqlite.undo(deletion.id)

    assert_sound(database)
