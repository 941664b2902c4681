"""Accounts in either database, and the commands that make them: on real ones, from several threads."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.__main__ import cli
from app.store import CannotOpen, ContactStore, StoreUnavailable, User, open_store
from app.store.accounts import Accounts, NameTaken, wait_after
from app.store.backup import back_up, restore
from app.store.memory import MemoryStore
from app.store.moving import move
from app.store.sql import SQLStore
from app.store.sqlite import SQLiteStore
from app.web.credentials import Keys, Passwords, is_masked, masked

ROOT = Path(__file__).parents[1]
AT = datetime(2026, 3, 7, 12, tzinfo=UTC)
LATER = AT + timedelta(days=14)
SECRET = "a secret that is long enough for the tests"
PASSWORD = "correct horse battery"


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, database: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{database}"
    url: str = request.getfixturevalue("postgres").empty()
    return url


@pytest.fixture
def book(address: str) -> Iterator[ContactStore]:
    """The store of that database."""
    with closing(open_store(address)) as store:
        yield store


@pytest.fixture
def accounts(book: ContactStore) -> Accounts:
    """The accounts of an empty store."""
    return book.accounts()


def rows(book: ContactStore, sql: str) -> list[Any]:
    """What a statement finds in the database."""
    assert isinstance(book, SQLStore)
    with book._rows() as found:
        return [*found.execute(sql).fetchall()]


@pytest.fixture
def grace(accounts: Accounts) -> User:
    """A user."""
    return accounts.add_user("Grace", "hash", AT)


def begin(accounts: Accounts, user: User, key: bytes = b"key", at: datetime = AT) -> bool:
    """Begin a session of fourteen days."""
    return accounts.open_session(
        key, user, at=at, ends_at=at + timedelta(days=14), remembered=False, browser="Firefox"
    )


# ---- users


def test_a_name_is_the_same_in_small_and_capital_letters(accounts: Accounts, grace: User) -> None:
    with pytest.raises(NameTaken, match="There is a user GRACE already"):
        accounts.add_user("GRACE", "other", AT)

    assert accounts.find("gRACE") == (grace, "hash")
    assert accounts.find("nobody") is None
    assert accounts.users() == [grace]


@pytest.mark.parametrize("name", ["gr\0ace", "\0", "gr\ud800ace"])
def test_a_name_that_no_database_can_hold_is_nobodys(accounts: Accounts, grace: User, name: str) -> None:
    assert accounts.find(name) is None


def test_users_outlive_the_process(accounts: Accounts, grace: User, address: str) -> None:
    begin(accounts, grace)

    with closing(open_store(address)) as other:
        session = other.accounts().session(b"key", AT)

    assert session is not None
    assert (session.user, session.ends_at, session.browser) == (grace, LATER, "Firefox")


def test_a_user_who_is_removed_leaves_nothing_behind(
    book: ContactStore, accounts: Accounts, grace: User
) -> None:
    begin(accounts, grace)
    accounts.add_token(b"token", grace.id, "export", AT)

    accounts.remove_user(grace.id)

    assert accounts.session(b"key", AT) is None
    assert accounts.token_user(b"token") is None
    assert [rows(book, f"SELECT * FROM {table}") for table in ("account", "session", "api_token")] == [[]] * 3


def test_another_password_ends_the_sessions_of_that_user_alone_and_no_token(
    accounts: Accounts, grace: User
) -> None:
    alan = accounts.add_user("Alan", "hash", AT)
    begin(accounts, grace, b"hers")
    begin(accounts, alan, b"his")
    accounts.add_token(b"token", grace.id, "nightly export", AT)

    accounts.set_password(grace.id, "other", LATER)

    assert accounts.session(b"hers", AT) is None
    assert accounts.session(b"his", AT) is not None
    assert accounts.find("grace") == (User(grace.id, "Grace", LATER), "other")
    assert accounts.token_user(b"token") == User(grace.id, "Grace", LATER)


def test_no_session_begins_with_a_password_that_is_no_longer_right(accounts: Accounts, grace: User) -> None:
    accounts.set_password(grace.id, "other", AT + timedelta(seconds=1))

    assert not begin(accounts, grace)
    assert accounts.session(b"key", AT) is None


def test_a_hash_is_not_renewed_over_another_password(accounts: Accounts, grace: User) -> None:
    accounts.set_password(grace.id, "other", AT)

    accounts.rehash(grace.id, "hash", "hash with other parameters")
    assert accounts.find("grace") == (grace, "other")

    accounts.rehash(grace.id, "other", "the same with other parameters")
    assert accounts.find("grace") == (grace, "the same with other parameters")


def test_users_move_with_the_contacts_and_stay_signed_in(
    book: ContactStore, accounts: Accounts, grace: User, tmp_path: Path
) -> None:
    assert isinstance(book, SQLStore)
    gone = accounts.add_user("Gone", "hash", AT)
    alan = accounts.add_user("Alan", "other hash", AT)
    accounts.remove_user(gone.id)  # so that ids differ
    begin(accounts, alan, b"his")
    accounts.add_token(b"token", alan.id, "export", AT)

    with closing(SQLiteStore(tmp_path / "new.db")) as new:
        move(book, new)
        moved = new.accounts()

        assert [user.name for user in moved.users()] == ["Alan", "Grace"]
        assert moved.find("alan") == (moved.users()[0], "other hash")
        session, owner = moved.session(b"his", AT), moved.token_user(b"token")
        assert session is not None
        assert session.user == owner == moved.users()[0]
        with pytest.raises(CannotOpen, match="not empty"):
            move(book, new)


# ---- sessions


def test_sessions_that_are_over_are_forgotten(book: ContactStore, accounts: Accounts, grace: User) -> None:
    begin(accounts, grace, b"over")

    begin(accounts, grace, b"new", LATER)

    assert rows(book, "SELECT key FROM session") == [(b"new",)]


def test_the_session_of_a_request_is_found_by_one_index(database: Path) -> None:
    statements: list[str] = []
    store = SQLiteStore(database)
    with store._read() as conn:
        conn.set_trace_callback(statements.append)
    store.accounts().session(b"key", AT)
    with store._read() as conn:
        conn.set_trace_callback(None)
        plan = [row[3] for statement in statements for row in conn.execute(f"EXPLAIN QUERY PLAN {statement}")]
    store.close()

    assert len(statements) == 1
    assert plan == [
        "SEARCH s USING INDEX sqlite_autoindex_session_1 (key=?)",
        "SEARCH a USING INTEGER PRIMARY KEY (rowid=?)",
    ]


def test_a_store_that_is_closed_lets_nobody_in(book: ContactStore, accounts: Accounts, grace: User) -> None:
    begin(accounts, grace)
    book.close()

    with pytest.raises(StoreUnavailable):
        accounts.session(b"key", AT)


def test_contacts_in_memory_have_no_users() -> None:
    with pytest.raises(CannotOpen, match="Use sqlite:///contacts"):
        MemoryStore().accounts()


# ---- a backup that is restored, as docs/operations.md says


def test_a_backup_brings_back_who_could_come_in_until_the_secret_is_another(tmp_path: Path) -> None:
    url, backup = f"sqlite:///{tmp_path / 'contacts.db'}", tmp_path / "backup.db"
    keys, others = Keys(SECRET), Keys(SECRET.upper())
    with closing(open_store(url)) as store:
        before = store.accounts()
        user = before.add_user("Grace", "old hash", AT)
        begin(before, user, keys.key("session", "cookie"))
        token = before.add_token(keys.key("token", "made"), user.id, "export", AT)
        back_up(url, backup)
        before.revoke(token.id)
        before.set_password(user.id, "new hash", AT)
        before.remove_user(user.id)

    restore(url, backup)

    with closing(open_store(url)) as store:
        after = store.accounts()
        assert after.find("grace") == (user, "old hash")
        assert after.token_user(keys.key("token", "made")) == user
        assert after.session(keys.key("session", "cookie"), AT) is not None
        assert after.token_user(others.key("token", "made")) is None
        assert after.session(others.key("session", "cookie"), AT) is None


# ---- attempts


def test_each_failure_beyond_the_free_ones_costs_twice_as_much_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_after(failures, 5) for failures in range(4, 11)] == [0, 60, 120, 240, 480, 900, 900]
    assert wait_after(10**9, 5) == 900


def test_attempts_at_the_same_time_are_all_counted(address: str) -> None:
    stores = [open_store(address) for _ in range(2)]  # as two processes have

    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(stores[n % 2].accounts().attempt, {b"name": 5}, AT) for n in range(40)]
        waits = [each.result() for each in tried]
    for store in stores:
        store.close()

    assert sorted(waits) == [0] * 5 + [60] * 35


def test_an_attempt_that_has_to_wait_is_not_counted(accounts: Accounts) -> None:
    for _ in range(5):
        assert accounts.attempt({b"name": 5, b"address": 20}, AT) == 0
    for second in range(60):
        assert accounts.attempt({b"name": 5, b"address": 20}, AT + timedelta(seconds=second)) == 60 - second

    assert accounts.attempt({b"name": 5, b"address": 20}, AT + timedelta(seconds=60)) == 0
    assert accounts.attempt({b"name": 5, b"address": 20}, AT + timedelta(seconds=60)) == 120
    assert accounts.attempt({b"address": 20}, AT + timedelta(seconds=60)) == 0


def test_an_attempt_that_was_right_takes_back_itself_and_its_wait(accounts: Accounts) -> None:
    for _ in range(3):
        accounts.attempt({b"address": 3}, AT)
    accounts.forgive([], [b"address"])

    assert accounts.attempt({b"address": 3}, AT) == 0
    assert accounts.attempt({b"address": 3}, AT) == 60
    accounts.forgive([], [b"address", b"none"])
    assert accounts.attempt({b"address": 3}, AT) == 0
    assert accounts.attempt({b"address": 3}, AT) == 60


def test_failures_are_forgotten_a_day_after_the_first(accounts: Accounts) -> None:
    for hour in range(0, 24, 6):
        assert accounts.attempt({b"address": 5}, AT + timedelta(hours=hour)) == 0

    for _ in range(5):
        assert accounts.attempt({b"address": 5}, AT + timedelta(days=1)) == 0
    assert accounts.attempt({b"address": 5}, AT + timedelta(days=1)) == 60


def test_failures_are_forgotten_when_forgiven_and_after_a_day(book: ContactStore, accounts: Accounts) -> None:
    for _ in range(5):
        accounts.attempt({b"mine": 5}, AT)
        accounts.attempt({b"others": 5}, AT)

    accounts.forgive([b"mine"], [])

    assert accounts.attempt({b"mine": 5}, AT) == 0
    assert accounts.attempt({b"others": 5}, AT) == 60
    accounts.attempt({b"new": 5}, AT + timedelta(days=1))
    assert rows(book, "SELECT key FROM attempt") == [(b"new",)]


# ---- keys


def test_a_keyed_hash_is_of_one_secret_and_for_one_purpose() -> None:
    keys, others = Keys(SECRET), Keys(SECRET + ".")

    hashes = {
        keys.key("session", "x"),
        keys.key("token", "x"),
        keys.key("session", "y"),
        others.key("session", "x"),
    }

    assert len(hashes) == 4
    assert keys.is_code(keys.code("form", "x"), "form", "x")
    assert not keys.is_code("é", "form", "x")
    assert SECRET not in repr(keys)


def test_a_masked_hash_is_known_under_every_mask_and_no_other_is() -> None:
    keys = Keys(SECRET)
    key = keys.key("form", "x")

    shown = {masked(key) for _ in range(100)}

    assert len(shown) == 100
    assert all(is_masked(text, key) for text in shown)
    assert not any(is_masked(text, keys.key("form", "y")) for text in shown)
    assert not any(is_masked(text, key) for text in ("", "é", key.hex(), key.hex() * 2, shown.pop()[:-2]))


# ---- the command line


class Shell:
    """Calls `python -m app user` on a database in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "contacts.db"
        self.environ = {"CONTACTS_STORE": f"sqlite:///{self.file}", "CONTACTS_SECRET": SECRET}

    def __call__(self, *args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["user", *args], input=input, env=self.environ)

    def accepts(self, name: str, password: str) -> bool:
        with closing(SQLiteStore(self.file)) as store:
            found = store.accounts().find(name)
            return found is not None and Passwords().verify(found[1], password)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_user_is_made_with_a_password_from_the_standard_input(shell: Shell) -> None:
    made = shell("add", "Grace Hopper", input=f"{PASSWORD}\n")
    listed = shell("list")

    assert (made.exit_code, made.stdout) == (0, "Grace Hopper may sign in.\n")
    assert listed.stdout.startswith("1  Grace Hopper  (password of ")
    assert listed.stdout.endswith(", sessions: 0)\n")
    assert shell.accepts("grace hopper", PASSWORD)
    assert not shell.accepts("grace hopper", PASSWORD + "!")
    with closing(SQLiteStore(shell.file)) as store:
        found = store.accounts().find("grace hopper")
    assert found is not None
    assert found[1].startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_password_is_asked_for_twice_on_a_terminal(shell: Shell) -> None:
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "app", "user", "add", "grace"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | shell.environ,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    ) as process:
        os.close(its)
        shown = b""
        for question in (b"Password: ", b"Repeat for confirmation: "):
            while question not in shown:
                shown += os.read(ours, 1_000)
            os.write(ours, PASSWORD.encode() + b"\n")
        while b"may sign in" not in shown:
            shown += os.read(ours, 1_000)
        assert process.wait(30) == 0
    os.close(ours)

    assert PASSWORD.encode() not in shown
    assert shell.accepts("grace", PASSWORD)


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("grace", "short", "Use at least 12 characters."),
        ("grace", "", "Use at least 12 characters."),
        ("grace", " " * 12, "Use at least 5 different characters."),
        ("grace", "abcdabcdabcdabcd", "Use at least 5 different characters."),
        ("grace hopper", "Grace Hopper", "Use a password that does not contain the name."),
        ("Grace Hopper", "I am gracehopper", "Use a password that does not contain the name."),
        ("ada", "A-D-A and ADA again", "Use a password that does not contain the name."),
        ("grace", "x" * 257, "Use at most 256"),
        ("", PASSWORD, "A name has 1 to 60"),
        ("x" * 61, PASSWORD, "A name has 1 to 60"),
        ("a\x1bb", PASSWORD, "A name has 1 to 60"),
    ],
)
def test_what_is_wrong_with_a_name_or_password_is_said(
    shell: Shell, name: str, password: str, message: str
) -> None:
    result = shell("add", name, input=f"{password}\n")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"contacts: {message}")
    assert shell("list").stdout == ""


@pytest.mark.parametrize(
    ("name", "password"),
    [("grace", "abcde abcde abcde"), ("al", "alphabetical order"), ("grace", "correct horse battery")],
)
def test_a_password_needs_no_mixture_of_signs(shell: Shell, name: str, password: str) -> None:
    assert shell("add", name, input=f"{password}\n").exit_code == 0


def test_the_commands_of_a_user_who_is_there_and_of_one_who_is_not(shell: Shell) -> None:
    shell("add", "grace", input=f"{PASSWORD}\n")
    with closing(SQLiteStore(shell.file)) as store:
        found = store.accounts().find("grace")
        assert found
        for key in (b"one", b"two"):
            begin(store.accounts(), found[0], key, datetime.now(UTC))

    before = shell("list").stdout
    out, after = shell("sign-out", "GRACE"), shell("list").stdout
    other = shell("password", "grace", input="staple battery horse\n")
    accepted = shell.accepts("grace", "staple battery horse")
    removed = shell("remove", "grace")

    assert "sessions: 2)" in before
    assert out.stdout == "grace is signed out everywhere.\n"
    assert "sessions: 0)" in after
    assert (other.exit_code, accepted, removed.exit_code) == (0, True, 0)
    assert other.stdout.endswith("all sessions are ended. Tokens stay: see `revoke`.\n")
    for command in ("sign-out", "password", "remove"):
        result = shell(command, "grace", input=f"{PASSWORD}\n")
        assert (result.exit_code, result.stderr) == (
            1,
            "contacts: There is no user grace. `python -m app user list` names them.\n",
        )


def test_a_name_that_is_taken_is_left_alone_and_no_password_is_asked_for(shell: Shell) -> None:
    shell("add", "grace", input=f"{PASSWORD}\n")

    result = shell("add", "Grace", input="")

    assert result.exit_code == 1
    assert result.stderr == "contacts: There is a user Grace already. Choose another name.\n"
    assert shell.accepts("grace", PASSWORD)


def test_a_token_is_shown_once_and_can_be_revoked(shell: Shell) -> None:
    shell("add", "grace", input=f"{PASSWORD}\n")

    made = shell("token", "grace", "--label", "nightly export")
    listed = shell("tokens")

    token = made.stdout.strip()
    assert len(token) == 43
    assert listed.stdout.startswith("1  grace  nightly export  (made ")
    assert token not in listed.stdout
    assert token.encode() not in shell.file.read_bytes()
    with closing(SQLiteStore(shell.file)) as store:
        user = store.accounts().token_user(Keys(SECRET).key("token", token))
        assert user is not None
        assert user.name == "grace"
    assert shell("revoke", "1").exit_code == 0
    assert shell("tokens").stdout == ""
    assert shell("revoke", "1").stderr == "contacts: There is no token 1.\n"


def test_tokens_want_a_secret_and_users_a_database(shell: Shell) -> None:
    shell("add", "grace", input=f"{PASSWORD}\n")
    shell.environ["CONTACTS_SECRET"] = ""
    without_secret = shell("token", "grace", "--label", "x")
    shell.environ["CONTACTS_STORE"] = "memory:"
    without_database = shell("list")

    assert without_secret.exit_code == without_database.exit_code == 1
    assert without_secret.stderr.startswith(
        "contacts: CONTACTS_SECRET keys the sessions and tokens of sign-in"
    )
    assert "CONTACTS_STORE is memory:" in without_database.stderr
