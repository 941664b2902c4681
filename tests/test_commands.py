"""The command line, on real files."""

import os
import pty
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.__main__ import cli
from app.contacts.listing import ListQuery
from app.store.sqlite import SQLiteStore
from tests.making import ADA, GRACE, names
from tests.soundness import assert_sound

ROOT = Path(__file__).parents[1]
CSV = "Name,Email,Phone\nAda Lovelace,ada@example.com,\nGrace Hopper,,+1 202-555-0109\n"


class Shell:
    """Calls the commands in a folder of their own, on one address book. file: its database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "contacts.db"
        self.environ = {"CONTACTS_STORE": f"sqlite:///{self.file}"}

    def __call__(self, *args: str | Path, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], input=input, env=self.environ)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    @property
    def store(self) -> SQLiteStore:
        return SQLiteStore(self.file)

    @property
    def names(self) -> list[str]:
        with closing(self.store) as store:
            return names(store.list(ListQuery()).contacts)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


# ---- import


def test_import_adds_the_contacts_of_a_file_as_one_change_that_can_be_undone(shell: Shell) -> None:
    result = shell("import", shell.write("new.csv", CSV))

    assert result.exit_code == 0
    assert result.stdout == (
        "2 added, 0 updated, 0 here already, 0 failed. To undo it: python -m app undo 1\n"
    )
    assert shell.names == ["Ada Lovelace", "Grace Hopper"]
    assert shell("undo", "1").exit_code == 0
    assert shell.names == []


def test_import_twice_changes_nothing(shell: Shell) -> None:
    file = shell.write("new.csv", CSV)
    shell("import", file)

    result = shell("import", file)

    assert result.exit_code == 0
    assert result.stdout == "0 added, 0 updated, 2 here already, 0 failed.\n"
    with closing(shell.store) as store:
        assert store.last_change() == 2


def test_import_reads_the_standard_input(shell: Shell) -> None:
    assert shell("import", "-", input=CSV).exit_code == 0
    assert shell.names == ["Ada Lovelace", "Grace Hopper"]


@pytest.mark.parametrize(
    ("existing", "company"), [("skip", "Engines"), ("update", "Analytical"), ("fill", "Engines")]
)
def test_import_does_with_those_that_are_here_what_it_is_told(
    shell: Shell, existing: str, company: str
) -> None:
    with closing(shell.store) as store:
        store.add(ADA)
    file = shell.write("new.csv", "Name,Email,Company,Notes\nAda,ada@example.com,Analytical,Poet\n")

    assert shell("import", file, "--existing", existing).exit_code == 0

    with closing(shell.store) as store:
        contact = store.find_email("ada@example.com")
        assert contact is not None
        assert contact.company == company
        assert contact.notes == ("" if existing == "skip" else "Poet")


def test_a_dry_run_says_what_would_happen_and_changes_nothing(shell: Shell) -> None:
    result = shell("import", shell.write("new.csv", CSV), "--dry-run")

    assert result.stdout == "2 would be added, 0 would be updated, 0 here already, 0 failed.\n"
    assert shell.names == []


def test_rows_that_fail_are_named_and_can_be_mended_and_imported_again(shell: Shell) -> None:
    file = shell.write("new.csv", "Name,Email\nAda Lovelace,broken\nGrace Hopper,grace@example.org\n")
    failed = shell.folder / "failed.csv"

    result = shell("import", file, "--failed", failed)

    assert result.exit_code == 3
    assert "1 added, 0 updated, 0 here already, 1 failed." in result.stdout
    assert "line 2: Enter a valid email address" in result.stderr
    failed.write_text(failed.read_text().replace("broken", "ada@example.com"))
    assert shell("import", failed).exit_code == 0
    assert shell.names == ["Ada Lovelace", "Grace Hopper"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "This file is empty."),
        ('Name,Email\nAda,ada@example.com\n"Grace,grace@example.org\n', "line 3: "),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(shell: Shell, text: str, reason: str) -> None:
    result = shell("import", shell.write("new.csv", text))

    assert result.exit_code == 1
    assert result.stderr.startswith("contacts: ")
    assert reason in result.stderr
    assert "Nothing was imported." in result.stderr
    assert shell.names == []


def test_a_missing_file_is_named(shell: Shell) -> None:
    result = shell("import", shell.folder / "nowhere.csv")

    assert result.exit_code == 1
    assert "nowhere.csv: No such file or directory." in result.stderr


def test_memory_is_no_address_book_for_a_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["sample", "3"], env={"CONTACTS_STORE": "memory:"})

    assert result.exit_code == 1
    assert "Name an SQLite file." in result.stderr


# ---- export


@pytest.mark.parametrize("ending", ["csv", "vcf", "json"])
def test_what_is_exported_imports_again_without_a_difference(shell: Shell, ending: str) -> None:
    shell("sample", "300")
    file = shell.folder / f"all.{ending}"

    result = shell("export", file)

    assert result.exit_code == 0
    assert "Exported 300 contacts" in result.stderr
    again = shell("import", file, "--existing", "update")
    assert again.stdout == "0 added, 0 updated, 300 here already, 0 failed.\n"


def test_export_takes_what_a_search_finds(shell: Shell) -> None:
    with closing(shell.store) as store:
        store.add(ADA)
        store.add(GRACE)

    result = shell("export", "-", "--format", "json", "-q", "lovel")

    assert "Ada Lovelace" in result.stdout
    assert "Grace Hopper" not in result.stdout


def test_export_needs_to_know_the_format(shell: Shell) -> None:
    result = shell("export", shell.folder / "contacts.txt")

    assert result.exit_code == 2
    assert "ends in .csv, .vcf, .json" in result.stderr


def test_an_export_that_fails_leaves_the_older_file_alone(shell: Shell) -> None:
    folder = shell.folder / "gone"

    result = shell("export", folder / "all.csv")

    assert result.exit_code == 1
    assert "No such file or directory." in result.stderr
    assert not folder.exists()


# ---- backup


def test_a_backup_is_a_whole_database_while_the_original_is_in_use(shell: Shell) -> None:
    target = shell.folder / "backup.db"
    with closing(shell.store) as store:
        store.add(ADA)
        with closing(sqlite3.connect(shell.file, autocommit=True)) as writer:
            writer.execute("BEGIN IMMEDIATE")  # somebody is in the middle of a change
            result = shell("backup", target)

    assert result.exit_code == 0
    assert "Backed up 1 contact" in result.stdout
    assert [path.name for path in shell.folder.glob("*backup*")] == ["backup.db"]
    with closing(SQLiteStore(target)) as store:
        assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace"]
        assert str(store.batches()[0]) == "Added Ada Lovelace"


def test_a_backup_into_a_folder_that_is_not_there_says_so(shell: Shell) -> None:
    shell("sample", "3")

    refused = shell("backup", shell.folder / "nowhere" / "copy.db")

    assert refused.exit_code == 1
    assert "nowhere does not exist. Make it first." in refused.stderr


def test_a_backup_replaces_no_file_unasked(shell: Shell) -> None:
    shell("sample", "3")
    target = shell.write("backup.db", "precious")

    refused = shell("backup", target)

    assert refused.exit_code == 1
    assert target.read_text() == "precious"
    assert shell("backup", target, "--force").exit_code == 0
    assert target.read_bytes().startswith(b"SQLite format 3")


def test_there_must_be_something_to_back_up(shell: Shell) -> None:
    result = shell("backup", shell.folder / "backup.db")

    assert result.exit_code == 1
    assert "There is no database file" in result.stderr
    assert list(shell.folder.iterdir()) == []


# ---- who else on the machine may read it


def modes(folder: Path) -> dict[str, int]:
    """Who may do what with each file of a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_what_holds_contacts_is_its_owners_alone(shell: Shell) -> None:
    before = os.umask(0)
    try:
        with closing(shell.store) as store:
            store.add(ADA)
            in_use = modes(shell.folder)
        shell("backup", shell.folder / "backup.db")
        shell("export", shell.folder / "people.csv")
        wrong = shell.write("wrong.csv", "Name,Email\nGrace Hopper,nowhere\n")
        shell("import", wrong, "--failed", shell.folder / "failed.csv")
        shell.file.unlink()
        shell("restore", shell.folder / "backup.db")
    finally:
        os.umask(before)

    assert in_use == dict.fromkeys(("contacts.db", "contacts.db-wal", "contacts.db-shm"), 0o600)
    kept = ("contacts.db", "backup.db", "people.csv", "failed.csv")
    assert modes(shell.folder) == dict.fromkeys(kept, 0o600) | {"wrong.csv": 0o666}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_that_is_there_keeps_its_mode(shell: Shell) -> None:
    shell("sample", "1")
    backup, people = shell.write("backup.db", ""), shell.write("people.csv", "")
    for path in (shell.file, backup, people):
        path.chmod(0o640)

    shell("backup", backup, "--force")
    shell("export", people)
    shell("restore", backup)

    assert set(modes(shell.folder).values()) == {0o640}
    assert backup.read_bytes().startswith(b"SQLite format 3")
    assert "@" in people.read_text()


# ---- restore

KILLED = """
import os, signal, sys
from pathlib import Path
from app.store.sqlite import SQLiteStore
from tests.making import GRACE
SQLiteStore(Path(sys.argv[1])).add(GRACE)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_backup_is_restored_also_after_the_app_was_killed(shell: Shell) -> None:
    with closing(shell.store) as store:
        store.add(ADA)
    backup, old = shell.folder / "backup.db", shell.folder / "contacts.db.old"
    shell("backup", backup)
    subprocess.run([sys.executable, "-c", KILLED, shell.file], cwd=ROOT, check=False)
    assert Path(f"{shell.file}-wal").stat().st_size  # what it wrote last is there, and not in the file

    result = shell("restore", backup)

    assert result.stdout == (f"Restored 1 contact from {backup}. The database that was there is {old} now.\n")
    assert {path.name for path in shell.folder.iterdir()} == {"backup.db", "contacts.db", "contacts.db.old"}
    assert shell.names == ["Ada Lovelace"]
    assert_sound(shell.file)
    with closing(SQLiteStore(old)) as store:
        assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace", "Grace Hopper"]


@pytest.mark.parametrize("lost", ["deleted", "damaged"])
def test_a_backup_is_restored_where_the_database_is_lost(shell: Shell, lost: str) -> None:
    shell("sample", "3")
    backup = shell.folder / "backup.db"
    shell("backup", backup)
    if lost == "deleted":
        shell.file.unlink()
    else:
        shell.file.write_bytes(b"x" * 8_192)

    assert shell("restore", backup).exit_code == 0

    assert len(shell.names) == 3
    assert Path(f"{shell.file}.old").exists() == (lost == "damaged")


def test_nothing_is_restored_while_the_app_is_running(shell: Shell) -> None:
    backup = shell.folder / "backup.db"
    with closing(shell.store) as store:
        store.add(ADA)
        shell("backup", backup)
        store.add(GRACE)

        refused = shell("restore", backup)

    assert refused.exit_code == 1
    assert refused.stderr == f"contacts: {shell.file} is in use. Stop the app first.\n"
    assert shell.names == ["Ada Lovelace", "Grace Hopper"]


@pytest.mark.parametrize("kind", ["missing", "of another program", "no database"])
def test_only_a_backup_is_restored(shell: Shell, kind: str) -> None:
    shell("sample", "3")
    file = shell.folder / "file"
    if kind == "no database":
        file.write_text("Name,Email\n" * 1_000)
    elif kind == "of another program":
        with closing(sqlite3.connect(file)) as conn:
            conn.execute("CREATE TABLE song (title TEXT)")

    refused = shell("restore", file)

    assert refused.exit_code == 1
    assert refused.stderr.startswith("contacts: ")
    assert refused.stderr.count("\n") == 1
    assert len(shell.names) == 3


def test_the_database_of_an_earlier_restore_is_not_thrown_away(shell: Shell) -> None:
    shell("sample", "3")
    shell("backup", shell.folder / "backup.db")
    old = shell.write("contacts.db.old", "precious")

    refused = shell("restore", shell.folder / "backup.db")

    assert refused.exit_code == 1
    assert refused.stderr == f"contacts: {old} is there already, from another time. Move it away first.\n"
    assert old.read_text() == "precious"


# ---- undo


def test_undo_says_when_something_has_changed_since(shell: Shell) -> None:
    with closing(shell.store) as store:
        contact, _ = store.add(ADA)
        _, batch = store.update(contact.id, GRACE, 1)
        store.delete([contact.id])
        assert batch is not None

    result = shell("undo", str(batch.id))

    assert result.exit_code == 1
    assert "changed since" in result.stderr


# ---- progress


def test_progress_is_lines_where_there_is_no_terminal(shell: Shell) -> None:
    result = shell("sample", "1000")

    assert "Adding: 1,000 of 1,000\n" in result.stderr
    assert "\r" not in result.stderr


def test_progress_is_a_bar_on_a_terminal(shell: Shell) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "app", "sample", "1000"]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | shell.environ, stdout=subprocess.DEVNULL, stderr=follower
    ) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
    os.close(leader)

    assert process.returncode == 0
    assert b"Adding [##############################] 100% 1,000 of 1,000\r\n" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 10_000)
    except OSError:  # how Linux says that the other end is closed
        return b""


def test_an_interrupted_import_changes_nothing(shell: Shell) -> None:
    rows = "".join(f"Ada Lovelace {n},ada{n}@example.com\n" for n in range(50_000))
    file = shell.write("new.csv", f"Name,Email\n{rows}")
    command = [sys.executable, "-m", "app", "import", str(file)]
    with (
        heeding_ctrl_c(),
        subprocess.Popen(
            command, cwd=ROOT, env=os.environ | shell.environ, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Importing: ")
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 1
    assert rest.endswith("contacts: Stopped. Nothing was changed.\n")
    assert shell.names == []


@contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Let processes that are started here take Ctrl-C as one that a person starts does.

    A shell without job control has what it runs in the background ignore it, and a process passes that on.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
