"""A database is brought to the newest schema at every start, wholly or not at all."""

import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Migrations

from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery
from app.store import CannotOpen
from app.store.entry import KEYS
from app.store.migrations import FOLDER, migrate
from app.store.sqlite import SQLiteStore
from tests.making import ADA

STEPS = sorted(FOLDER.glob("[0-9]*.py"))
CONTACTS = """
from sqlite_utils import Migrations
migrations = Migrations("contacts")

@migrations(name="{name}")
def step(db):
    {body}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to add some to."""
    return shutil.copytree(FOLDER, tmp_path / "migrations")


def add_step(folder: Path, name: str, body: str) -> None:
    Path(folder, f"{name}.py").write_text(CONTACTS.format(name=name, body=body), encoding="utf-8")


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


def schema(path: Path) -> list[tuple[object, ...]]:
    """Every table, index and trigger, as SQLite has it."""
    return rows(path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")


def applied(path: Path) -> list[object]:
    return [name for (name,) in rows(path, "SELECT name FROM _sqlite_migrations ORDER BY id")]


# --- the files


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_a_migration_file_holds_one_migration_of_its_own_name(step: Path) -> None:
    migrations = runpy.run_path(str(step))["migrations"]

    assert isinstance(migrations, Migrations)
    assert migrations.name == "contacts"
    assert [(known.name, known.transactional) for known in migrations._migrations] == [(step.stem, True)]


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [int(step.stem.split("_")[0]) for step in STEPS]

    assert numbers == list(range(1, len(STEPS) + 1))


# --- applying them


def test_a_new_database_gets_every_migration_in_order(database: Path) -> None:
    migrate(database)

    assert applied(database) == [step.stem for step in STEPS]
    assert rows(database, "PRAGMA journal_mode") == [("wal",)]


def test_nothing_but_the_database_is_left_in_its_folder(database: Path) -> None:
    migrate(database)

    assert list(database.parent.iterdir()) == [database]


def test_every_table_checks_its_types(database: Path) -> None:
    migrate(database)

    lists = rows(database, "PRAGMA table_list")
    loose = {row[1] for row in lists if row[0] == "main" and row[2] == "table" and not row[5]}
    assert loose == {"_sqlite_migrations", "sqlite_schema", "sqlite_sequence"}


def test_migrating_twice_changes_nothing(database: Path) -> None:
    migrate(database)
    before = database.read_bytes()

    migrate(database)

    assert database.read_bytes() == before


def test_a_later_migration_is_applied_to_a_database_in_use_and_keeps_its_contacts(
    database: Path, folder: Path
) -> None:
    store = SQLiteStore(database)
    ada, _ = store.add(ADA)
    add_step(folder, "0099_birthday", 'db.executescript("ALTER TABLE contact ADD COLUMN birthday TEXT")')

    migrate(database, folder=folder)

    assert applied(database) == [*(step.stem for step in STEPS), "0099_birthday"]
    assert store.list(ListQuery(text="lovelace")).contacts == (ada,)
    store.close()


def test_the_command_line_of_sqlite_utils_makes_the_same_schema(tmp_path: Path) -> None:
    by_hand, by_app = tmp_path / "by-hand.db", tmp_path / "by-app.db"
    migrate(by_app)

    for step in STEPS:
        command = [sys.executable, "-m", "sqlite_utils", "migrate", str(by_hand), str(step)]
        subprocess.run(command, check=True, timeout=60)

    assert schema(by_hand) == schema(by_app)
    assert applied(by_hand) == applied(by_app)


def test_a_database_that_the_command_line_made_can_be_used(database: Path) -> None:
    command = [sys.executable, "-m", "sqlite_utils", "migrate", str(database), *map(str, STEPS)]
    subprocess.run(command, check=True, timeout=60)

    store = SQLiteStore(database)

    assert store.add(ADA)[0].id == 1
    assert rows(database, "PRAGMA journal_mode") == [("wal",)]
    store.close()


def test_a_database_at_the_newest_version_opens_without_sqlite_utils(database: Path) -> None:
    migrate(database)
    code = (
        "import sys; from pathlib import Path; from app.store.sqlite import SQLiteStore; "
        "SQLiteStore(Path(sys.argv[1])).close(); print('sqlite_utils' in sys.modules)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, database],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ran.stdout == "False\n"


def test_a_database_of_the_first_release_keeps_everything_and_counts_its_tags(
    database: Path, folder: Path
) -> None:
    first = folder / "first"
    first.mkdir()
    shutil.copy(FOLDER / "0001_contacts.py", first)
    migrate(database, folder=first)
    with closing(sqlite3.connect(database)) as conn:
        conn.execute(
            "INSERT INTO contact VALUES (1, 'Ada', '', '1', '', '', '[\"VIP\",\"Work\"]', 0, 0, 1, NULL, '', "
            "'ada', '\U0010ffff', '\U0010ffff', '  ada')"
        )
        conn.executemany("INSERT INTO contact_tag VALUES (?, 1)", [("vip",), ("work",)])
        conn.execute("INSERT INTO batch VALUES (1, 0, 'add', 1, NULL, NULL)")
        conn.execute("INSERT INTO change VALUES (1, 1, 1, NULL, '{}')")
        conn.commit()

    store = SQLiteStore(database)

    assert applied(database) == [step.stem for step in STEPS]
    assert store.tags() == (("VIP", 1), ("Work", 1))
    assert rows(database, "SELECT id, open FROM batch") == [(1, 0)]
    store.close()


def test_keys_of_an_older_version_of_the_app_are_computed_anew(database: Path) -> None:
    store = SQLiteStore(database)
    store.import_many([ADA, ContactDraft(name="山田太郎", phone="1")])
    before = rows(database, "SELECT * FROM contact")
    store.close()
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("UPDATE contact SET haystack = '  old', by_name = 'old' WHERE id = 2")
        conn.execute("PRAGMA user_version = 1")
        conn.commit()

    store = SQLiteStore(database)

    assert rows(database, "SELECT * FROM contact") == before
    assert rows(database, "PRAGMA user_version") == [(KEYS,)]
    assert store.list(ListQuery(text="太郎")).total == 1
    assert store.list(ListQuery(text="old")).total == 0
    assert store.last_change() == 2
    store.close()


# --- what goes wrong


FAILURES = {
    "sql": ('db.executescript("CREATE TABLE half (a); CREATE TABLE half (a)")', "half already exists"),
    "python": (
        'db.executescript("CREATE TABLE half (a)"); raise RuntimeError("no half measures")',
        "measures",
    ),
}


@pytest.mark.parametrize(("body", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failed_migration_leaves_nothing_in_a_new_database(
    database: Path, folder: Path, body: str, message: str
) -> None:
    add_step(folder, "0098_fine", 'db.executescript("CREATE TABLE fine (a)")')
    add_step(folder, "0099_half", body)

    with pytest.raises(Exception, match=message):
        migrate(database, folder=folder)

    assert schema(database) == []


@pytest.mark.parametrize(("body", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failed_migration_leaves_a_database_as_it_was(
    database: Path, folder: Path, body: str, message: str
) -> None:
    migrate(database)
    before = schema(database), applied(database)
    add_step(folder, "0098_fine", 'db.executescript("CREATE TABLE fine (a)")')
    add_step(folder, "0099_half", body)

    with pytest.raises(Exception, match=message):
        migrate(database, folder=folder)

    assert (schema(database), applied(database)) == before


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Path, folder: Path) -> None:
    add_step(folder, "0099_later", 'db.executescript("CREATE TABLE later (a)")')
    migrate(database, folder=folder)
    before = database.read_bytes()

    with pytest.raises(CannotOpen) as refused:
        SQLiteStore(database)

    assert str(refused.value) == (
        f"{database} was made by a newer version of this app (it has 0099_later). "
        "Update the app, or name another file in CONTACTS_STORE."
    )
    assert database.read_bytes() == before


def test_the_database_of_another_program_is_refused_and_left_alone(database: Path) -> None:
    with closing(sqlite3.connect(database)) as conn:
        conn.execute("CREATE TABLE place (id INTEGER PRIMARY KEY, url TEXT)")
    before = database.read_bytes()

    with pytest.raises(CannotOpen) as refused:
        SQLiteStore(database)

    assert str(refused.value) == (
        f"{database} is the database of another program. Name another file in CONTACTS_STORE."
    )
    assert database.read_bytes() == before


# --- several processes at once


def test_only_one_process_at_a_time_migrates_in_a_folder(database: Path, folder: Path) -> None:
    add_step(
        folder,
        "0099_look",
        f"import fcntl, os; fcntl.flock(os.open({str(database.parent)!r}, 0), fcntl.LOCK_EX | fcntl.LOCK_NB)",
    )

    with pytest.raises(BlockingIOError):
        migrate(database, folder=folder)


OPEN = """
import sys
from pathlib import Path
import sqlite_utils
from app.contacts.contact import ContactDraft
from app.store.sqlite import SQLiteStore
print("ready", flush=True)
sys.stdin.readline()
store = SQLiteStore(Path(sys.argv[1]))
store.add(ContactDraft(name=f"Process {sys.argv[2]}", phone="1"))
store.close()
"""


@pytest.fixture
def processes(database: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Four processes that open the database, and add a contact, when they are told a line."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, database, str(number)],
            cwd=FOLDER.parent,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("attempt", range(3))
def test_processes_that_start_at_once_on_a_new_file_all_open_it(
    database: Path, processes: list[subprocess.Popen[str]], attempt: int
) -> None:
    assert [process.stdout and process.stdout.readline() for process in processes] == ["ready\n"] * 4

    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]

    assert errors == [""] * 4
    assert applied(database) == [step.stem for step in STEPS]
    names = {str(name) for (name,) in rows(database, "SELECT name FROM contact")}
    assert len(names) == 4
    assert all(re.fullmatch(r"Process \d", name) for name in names)
