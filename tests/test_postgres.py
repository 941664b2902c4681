"""PostgreSQL in bad surroundings and between several processes, each of them caused for real.

What every store promises is in test_store*.py, which run on PostgreSQL, too.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from click.testing import CliRunner
from psycopg import sql

import app.store.news
import app.store.sql
from app.__main__ import cli
from app.contacts.contact import Contact
from app.contacts.listing import ListQuery
from app.contacts.samples import samples
from app.server import summary
from app.settings import Settings
from app.store import CannotOpen, ContactStore, ImportResult, StoreError, StoreUnavailable, open_store
from app.store.moving import move
from app.store.news import News
from app.store.postgres import PostgresStore
from app.store.postgres_migrations import FOLDER
from app.store.sqlite import SQLiteStore
from e2e.databases import PostgreSQL
from tests.making import ADA, ALAN, GRACE, add, draft, names
from tests.postgres import Postgres
from tests.racing import race

ROOT = Path(__file__).parents[1]
PEOPLE = [draft(f"Person {number:03}", tags="New") for number in range(300)]
PATIENCE = 30  # seconds


@pytest.fixture
def url(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.empty()


@pytest.fixture
def shared(url: str) -> Iterator[PostgresStore]:
    """A store that gives up on other writers after a tenth of a second."""
    with closing(PostgresStore(url, busy_timeout=0.1)) as store:
        yield store


@pytest.fixture
def other(url: str) -> Iterator[PostgresStore]:
    """The same address book, as another machine has it."""
    with closing(PostgresStore(url)) as store:
        yield store


@pytest.fixture
def groups_of_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports are written in transactions of a hundred rows each."""
    monkeypatch.setattr(app.store.sql, "IMPORT_GROUP", 100)
    monkeypatch.setattr(app.store.sql, "IMPORT_TURN", 0)


def until(true: Callable[[], bool]) -> None:
    """Wait until it is, for as long as a slow computer may take."""
    end, pause = monotonic() + PATIENCE, threading.Event()
    while not true():
        assert monotonic() < end
        pause.wait(0.01)


def consistent(store: ContactStore) -> None:
    """The log tells how the contacts came to be, without a gap, and what is counted is right."""
    changes = store.changes(0, 100_000)
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    contacts: dict[int, Contact] = {}
    for change in changes:
        assert change.before == contacts.pop(change.contact_id, None)
        if change.after:
            contacts[change.contact_id] = change.after
    assert contacts == {contact.id: contact for contact in store.export(ListQuery())}
    assert store.count() == len(contacts)
    tags = [tag.casefold() for contact in contacts.values() for tag in contact.tags]
    assert {tag.casefold(): number for tag, number in store.tags()} == {tag: tags.count(tag) for tag in tags}


def python(program: str, *args: str) -> subprocess.Popen[str]:
    """Another process."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *args],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


# --- live views: what one process knows of what others write


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener relies on being told: by itself it would ask again after minutes only."""
    monkeypatch.setattr(app.store.news, "_REFRESH", 600)
    monkeypatch.setattr(app.store.news, "_SURE", 600)


def listens(store: PostgresStore) -> None:
    """Wait until the store's listener can be relied on, so that it does not ask the database any more."""
    store.settled()
    until(lambda: store._news._sure_until > monotonic() and store._news._known == store._news._written)


@pytest.mark.usefixtures("only_told")
def test_a_store_is_told_what_another_one_writes(shared: PostgresStore, other: PostgresStore) -> None:
    listens(other)

    for number in range(1, 4):
        add(shared, f"Person {number}")

        until(lambda: other.settled() == number)  # noqa: B023 - called before the next one


@pytest.mark.usefixtures("only_told")
def test_a_store_knows_at_once_what_it_has_written_itself(shared: PostgresStore) -> None:
    listens(shared)

    for number in range(1, 30):
        add(shared, f"Person {number}")
        assert shared.settled() == number


@pytest.mark.usefixtures("only_told")
def test_a_listener_that_lost_its_connection_catches_up(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore
) -> None:
    listens(other)
    postgres.kill_backends()

    add(shared, "Ada")

    until(lambda: other.settled() == 1)
    listens(other)  # again


@pytest.mark.usefixtures("only_told")
def test_a_log_that_was_put_back_is_followed_from_there(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore
) -> None:
    for number in range(3):
        add(shared, f"Person {number}")
    listens(other)
    postgres.empty()

    add(shared, "Ada")

    until(lambda: other.settled() == 1)


@pytest.mark.usefixtures("only_told")
def test_what_the_browser_tests_put_back_shows_at_once(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore, tmp_path: Path
) -> None:
    database = PostgreSQL(postgres.url())
    ada = add(shared, "Ada", tags="VIP, Work")
    copy = database.save(tmp_path / "copy")
    add(shared, "Grace")
    shared.delete([ada.id])
    until(lambda: other.settled() == 3)
    listens(other)

    database.load(copy)

    until(lambda: other.settled() == 1)
    assert names(shared.list(ListQuery()).contacts) == ["Ada"]
    assert shared.tags() == (("VIP", 1), ("Work", 1))
    assert shared.count() == 1
    consistent(shared)


def test_of_two_answers_that_cross_the_newer_counts() -> None:
    news = News(lambda: pytest.fail("nobody has to listen"), lambda _: 0)
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        asked.set()
        assert go_on.wait(20)
        return 1

    with ThreadPoolExecutor(1) as pool:
        older = pool.submit(news._learn, slow, heard=False)
        assert asked.wait(20)
        assert news._learn(lambda: 2, heard=False) == 2
        go_on.set()

        assert older.result(20) == 2


def test_without_a_listener_the_database_is_asked(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.store.news, "_RETRY", 600)
    listens(other)
    postgres.kill_backends()
    until(lambda: other._news._sure_until == 0)

    add(shared, "Ada")

    assert other.settled() == 1


def test_a_listener_whose_network_is_silent_is_not_relied_on(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.store.news, "_SURE", 0.5)
    monkeypatch.setattr(app.store.news, "_REFRESH", 0.1)
    listens(other)
    with postgres.admin() as conn:
        found = conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'chirp-contacts' AND query LIKE %s",
            ("%min(seq) - 1%",),
        ).fetchall()
    pids = [pid for (pid,) in found]
    other.close_worker()  # which has asked the same, once
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        add(shared, "Ada")

        until(lambda: other.settled() == 1)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("only_told", "groups_of_a_hundred")
def test_an_import_settles_for_others_when_it_is_complete(
    shared: PostgresStore, other: PostgresStore
) -> None:
    listens(other)
    seen: list[int] = []

    shared.import_many(PEOPLE, progress=lambda done: seen.append(other.settled()))

    assert seen[:2] == [0, 0]
    until(lambda: other.settled() == 300)


# --- processes that start and write at once


def test_stores_that_are_opened_at_once_on_a_new_database_migrate_it_once(postgres: Postgres) -> None:
    with postgres.database("new") as url:
        race(4, lambda number: PostgresStore(url).close())

        with postgres.admin("new") as conn:
            applied = conn.execute("SELECT name FROM contacts_migration ORDER BY name").fetchall()
            assert applied == [(step.stem,) for step in sorted(FOLDER.glob("*.sql"))]


WRITER = """
import sys
from app.store.postgres import PostgresStore
from tests.making import draft
store = PostgresStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    contact, batch = store.add(draft(f"{sys.argv[2]} {number}", tags="New"))
    if number % 4 == 0:
        store.undo(batch.id)
store.close()
"""


def test_processes_that_write_at_once_lose_nothing_and_leave_no_gap(url: str, shared: PostgresStore) -> None:
    writers = [python(WRITER, url, name) for name in ("Ada", "Grace", "Alan")]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"

    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=PATIENCE)

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert (shared.count(), shared.last_change()) == (90, 150)
    assert [batch.id for batch in shared.batches(1_000)] == list(range(150, 0, -1))
    consistent(shared)


# --- imports


IMPORTER = """
import sys
import app.store.sql
from app.store.postgres import PostgresStore
from tests.test_postgres import PEOPLE

def pause(done):
    if done == 200:
        print(done, flush=True)
        sys.stdin.readline()

app.store.sql.IMPORT_GROUP, app.store.sql.IMPORT_TURN = 100, 0
store = PostgresStore(sys.argv[1])
store.import_many(PEOPLE, progress=pause)
store.close()
"""


def test_what_a_dead_process_has_imported_is_undone_and_what_a_living_one_imports_is_not(url: str) -> None:
    with python(IMPORTER, url) as importer:
        assert importer.stdout
        assert importer.stdout.readline() == "200\n"

        with closing(PostgresStore(url)) as store:
            assert (store.count(), store.settled()) == (200, 0)
        importer.kill()
        importer.communicate()

    def recovered() -> bool:  # PostgreSQL has to notice the death first
        with closing(PostgresStore(url)) as store:
            return store.count() == 0

    until(recovered)
    with closing(PostgresStore(url)) as store:
        assert store.settled() == store.last_change() == 400
        assert store.import_many(PEOPLE).added == 300
        consistent(store)


@pytest.mark.usefixtures("groups_of_a_hundred")
def test_an_import_whose_connection_breaks_between_two_groups_is_undone(
    postgres: Postgres, shared: PostgresStore
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        shared.import_many(PEOPLE, progress=lambda done: postgres.kill_backends())

    assert (shared.count(), shared.last_change(), shared.settled()) == (0, 200, 200)
    assert shared.import_many(PEOPLE).added == 300
    consistent(shared)


@pytest.mark.usefixtures("groups_of_a_hundred")
def test_an_import_that_lost_its_turn_leaves_the_next_one_alone(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def pause(done: int) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    def give_way(done: int) -> None:
        if not imports:
            postgres.kill_backends()
            imports.append(pool.submit(other.import_many, PEOPLE, progress=pause))
            assert begun.wait(PATIENCE)

    imports: list[Future[ImportResult]] = []
    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(StoreUnavailable):
                shared.import_many([draft("Ada")], progress=give_way)
        finally:
            go_on.set()

    assert imports[0].result().added == 300
    assert shared.count() == 300
    consistent(shared)


def test_after_an_import_of_many_searches_are_planned_for_them(
    postgres: Postgres, shared: PostgresStore
) -> None:
    with postgres.admin() as conn:
        conn.execute("ALTER TABLE contact SET (autovacuum_enabled = off)")
        try:
            shared.import_many(samples(1_200))

            row = conn.execute("SELECT reltuples FROM pg_class WHERE relname = 'contact'").fetchone()
            assert row == (shared.count(),)
        finally:
            conn.execute("ALTER TABLE contact RESET (autovacuum_enabled)")


# --- connections that break


def test_a_connection_that_was_lost_meanwhile_is_made_anew(postgres: Postgres, shared: PostgresStore) -> None:
    ada = add(shared, "Ada")
    for use in (lambda: shared.get(ada.id), lambda: add(shared, f"Person {shared.count()}"), shared.check):
        assert postgres.kill_backends() > 0
        use()

    assert shared.count() == 2


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ("", ["10", "5", "3", "15000", "3"]),
        ("&keepalives_idle=7&tcp_user_timeout=900", ["7", "5", "3", "900", "3"]),
    ],
)
def test_a_server_that_vanishes_is_given_up_soon_and_what_the_url_says_goes_first(
    url: str, said: str, given: list[str]
) -> None:
    with closing(PostgresStore(url + said)) as store, store._connect() as conn:
        parameters = conn.info.get_parameters()

    names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
    assert [parameters[name] for name in (*names, "connect_timeout")] == given


def test_a_server_that_is_only_busy_says_so_to_an_event_loop_and_is_asked_again_at_once(
    postgres: Postgres, url: str
) -> None:
    async def use(store: PostgresStore) -> None:
        with store._connection() as conn:
            session = conn.info.backend_pid
        with postgres.admin() as other, other.transaction():
            other.execute("LOCK TABLE contact IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="is busy"):
                store.statistics()
        assert store.statistics().added_this_week == 0
        with store._connection() as conn:
            assert conn.info.backend_pid == session

    with closing(PostgresStore(f"{url}&options=-c%20lock_timeout%3D60000")) as store:
        asyncio.run(use(store))


@contextmanager
def trigger(postgres: Postgres, when: str, kind: str = "TRIGGER", body: str = "") -> Iterator[None]:
    """Something goes wrong in the database itself whenever a batch is written."""
    body = body or "PERFORM pg_terminate_backend(pg_backend_pid());"
    with postgres.admin() as conn:
        conn.execute(
            f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;"
            f"CREATE {kind} fail {when} FOR EACH ROW EXECUTE FUNCTION fail()",
            prepare=False,
        )
        try:
            yield
        finally:
            conn.execute("DROP FUNCTION fail() CASCADE")


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("BEFORE INSERT ON batch", "TRIGGER"),
        ("AFTER INSERT ON batch DEFERRABLE INITIALLY DEFERRED", "CONSTRAINT TRIGGER"),
    ],
    ids=["in the middle", "at its commit"],
)
def test_a_write_whose_connection_breaks_keeps_nothing(
    postgres: Postgres, shared: PostgresStore, when: str, kind: str
) -> None:
    with trigger(postgres, when, kind), pytest.raises(StoreUnavailable, match="Nothing was saved"):
        shared.add(ADA)

    assert (shared.count(), shared.last_change()) == (0, 0)
    assert shared.add(ADA)[0].id == 1


WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def slow_commits(postgres: Postgres, shared: PostgresStore) -> Iterator[None]:
    """Every commit is kept, and then waits for a standby server that there is not."""

    def set_standby(name: str) -> None:
        with postgres.admin("postgres") as conn:
            conn.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(name))
            conn.execute("SELECT pg_reload_conf()")
        with postgres.admin() as conn:
            until(lambda: conn.execute("SHOW synchronous_standby_names").fetchone() == (name,))

    set_standby("nobody")
    yield
    set_standby("")


def wait_for_commit(postgres: Postgres) -> None:
    """Wait until a commit waits for the standby."""
    with postgres.admin("postgres") as conn:
        until(lambda: conn.execute(f"SELECT {WAITING}").fetchone() is not None)


def break_commit(postgres: Postgres) -> None:
    """End the connection of a commit that waits."""
    with postgres.admin("postgres") as conn:
        assert conn.execute(f"SELECT pg_terminate_backend(pid, 10000) {WAITING}").fetchall() == [(True,)]


@pytest.mark.usefixtures("slow_commits")
def test_a_write_that_was_kept_is_acknowledged_though_its_connection_broke(
    postgres: Postgres, shared: PostgresStore
) -> None:
    with ThreadPoolExecutor(1) as pool:
        added = pool.submit(shared.add, ADA)
        wait_for_commit(postgres)
        break_commit(postgres)
        contact, _ = added.result(PATIENCE)

    assert shared.get(contact.id) == contact


@pytest.mark.usefixtures("slow_commits")
def test_a_write_of_which_nobody_knows_whether_it_was_kept_says_so(
    postgres: Postgres, shared: PostgresStore
) -> None:
    with ThreadPoolExecutor(1) as pool, postgres.admin("postgres") as conn:
        added = pool.submit(shared.add, ADA)
        wait_for_commit(postgres)
        conn.execute("ALTER DATABASE contacts ALLOW_CONNECTIONS false")
        try:
            break_commit(postgres)
            with pytest.raises(StoreUnavailable, match="so it may be saved or not"):
                added.result(PATIENCE)
        finally:
            conn.execute("ALTER DATABASE contacts ALLOW_CONNECTIONS true")


# --- what is said


def test_a_write_gives_up_on_a_long_one_of_another_process(
    postgres: Postgres, shared: PostgresStore, other: PostgresStore
) -> None:
    with other._write(), pytest.raises(StoreUnavailable) as raised:
        shared.add(ADA)

    assert str(raised.value) == (
        "The database is busy: something else is writing to it. Nothing was saved. Try again in a moment."
    )
    assert shared.add(ADA)[0].id == 1


def test_who_uses_the_app_is_not_told_how_it_reaches_its_database(
    postgres: Postgres, shared: PostgresStore
) -> None:
    with postgres.admin("postgres") as conn:
        conn.execute("ALTER DATABASE contacts ALLOW_CONNECTIONS false")
        try:
            postgres.kill_backends()
            for _ in range(2):  # the first finds the connection lost, the second none to be had
                with pytest.raises(StoreUnavailable) as raised:
                    shared.add(ADA)
        finally:
            conn.execute("ALTER DATABASE contacts ALLOW_CONNECTIONS true")

    assert str(raised.value) == "The database cannot be reached. Nothing was saved. Try again in a moment."
    assert str(raised.value.__cause__) == (
        'The database cannot be reached: database "contacts" is not currently accepting connections. '
        "Check that PostgreSQL runs and that CONTACTS_STORE is right."
    )


def test_a_database_that_is_read_only_is_noticed(postgres: Postgres, shared: PostgresStore) -> None:
    with postgres.admin("postgres") as conn:
        conn.execute("ALTER DATABASE contacts SET default_transaction_read_only = on")
        postgres.kill_backends()
        try:
            for call in (shared.check, lambda: shared.add(ADA)):
                with pytest.raises(StoreUnavailable, match="The database is read-only"):
                    call()
            assert shared.count() == 0
        finally:
            conn.execute("ALTER DATABASE contacts RESET default_transaction_read_only")


SECRET = "wonder%40land"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"postgresql://ada:{SECRET}@127.0.0.1:1/contacts", "Connection refused"),
        (f"postgresql://ada:{SECRET}@/none?host=", "does not exist"),
        (f"postgresql://ada:{SECRET}@/none?host=%zz", "is not a URL that PostgreSQL's library understands"),
        (f"postgresql://127.0.0.1:{SECRET}/", "its URL cannot be used"),
        ("postgresql://ada:alice@wonder@land.invalid/contacts", "cannot be reached"),
        (f"postgresql://127.0.0.1:1/x?password={SECRET}&no=1", "is not a URL"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line_without_the_password(
    postgres: Postgres, url: str, message: str
) -> None:
    url = f"{url}{postgres.folder}" if url.endswith("host=") else url

    with pytest.raises(CannotOpen, match=message) as raised:
        open_store(url)

    assert "wonder" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "wonder" not in summary(Settings(store=url))
    for command in ("migrate", "backup x.db", "move sqlite:///none.db"):
        result = CliRunner().invoke(cli, command.split(), env={"CONTACTS_STORE": url})
        assert (result.exit_code, "wonder" in result.output) == (1, False)


def test_the_database_of_another_program_is_refused(postgres: Postgres) -> None:
    with postgres.database("others") as url, postgres.admin("others") as conn:
        conn.execute("CREATE TABLE planet (name text)")

        with pytest.raises(CannotOpen, match="holds the tables of another program"):
            PostgresStore(url)

        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_a_database_of_a_newer_version_is_refused(postgres: Postgres) -> None:
    with postgres.database("newer") as url, postgres.admin("newer") as conn:
        PostgresStore(url).close()
        conn.execute("UPDATE book SET keys = 99")
        with pytest.raises(CannotOpen, match="was used by a newer version of this app"):
            PostgresStore(url)

        conn.execute("INSERT INTO contacts_migration (name) VALUES ('9999_moons')")
        with pytest.raises(CannotOpen, match="it has 9999_moons"):
            PostgresStore(url)


def test_keys_of_an_older_version_are_computed_anew(
    url: str, postgres: Postgres, shared: PostgresStore
) -> None:
    add(shared, "Ada", tags="VIP")
    with postgres.admin() as conn:
        conn.execute("UPDATE contact SET haystack = 'old', by_name = 'old'")
        conn.execute("UPDATE book SET keys = 1")
    assert shared.count(ListQuery("ada")) == 0

    PostgresStore(url).close()

    assert shared.count(ListQuery("ada", tags=("vip",))) == 1


def test_a_user_who_may_not_make_the_extension_is_told_who_can(postgres: Postgres) -> None:
    with postgres.database("plain"), postgres.admin("plain") as conn:
        conn.execute("CREATE ROLE ada LOGIN")
        try:
            conn.execute("GRANT ALL ON SCHEMA public TO ada")
            with pytest.raises(CannotOpen, match="CREATE EXTENSION pg_trgm"):
                PostgresStore(postgres.url("plain", "ada"))

            conn.execute("CREATE EXTENSION pg_trgm")
            PostgresStore(postgres.url("plain", "ada")).close()
            conn.execute("ALTER TABLE book OWNER TO postgres")
            with pytest.raises(CannotOpen, match="does not permit this"):
                PostgresStore(postgres.url("plain", "ada"))
        finally:
            conn.execute("DROP OWNED BY ada; DROP ROLE ada", prepare=False)


def test_a_database_that_cannot_keep_every_letter_is_refused(postgres: Postgres) -> None:
    with postgres.admin("postgres") as conn:
        conn.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            with pytest.raises(CannotOpen, match="keeps text as LATIN1"):
                PostgresStore(postgres.url("latin"))
        finally:
            conn.execute("DROP DATABASE latin")


# --- moving


def everything(store: ContactStore) -> object:
    """All that can be seen of a store."""
    return (
        list(store.export(ListQuery())),
        list(store.changes(0, 10_000)),
        list(store.batches(1_000)),
        store.tags(),
        store.count(),
    )


@pytest.fixture
def used(sqlite: SQLiteStore) -> SQLiteStore:
    """An address book with a past, in SQLite; the newest contact of all is gone."""
    sqlite.import_many(samples(600), kind="sample")
    ada, _ = sqlite.add(replace(ADA, email="ada@king.example", tags=("VIP",)))
    sqlite.update(ada.id, replace(ADA, name="Ada King", email="", notes="Zoë 日本 \\ %_"), 1)
    sqlite.undo(sqlite.delete([1, 2, 3]).id)  # type: ignore[union-attr]
    sqlite.delete([sqlite.add(replace(GRACE, email="grace@navy.example"))[0].id])
    return sqlite


def test_an_address_book_moves_to_postgresql_and_back_with_its_history(
    used: SQLiteStore, shared: PostgresStore, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    totals = move(used, shared, lambda done, total: told.append((done, total)))

    assert totals.contacts == 601
    assert told[-1] == (sum(totals), sum(totals))
    assert everything(shared) == everything(used)
    with closing(SQLiteStore(tmp_path / "back.db")) as back:
        move(shared, back)
        assert everything(back) == everything(used)
        for kept in (shared, back):
            newest = kept.batches(1)[0]
            assert names([kept.undo(newest.id).first.contact]) == ["Grace Hopper"]
            assert kept.add(ALAN)[0].id == 603
            assert kept.count(ListQuery("king", tags=("vip",))) == 0
            assert names(kept.list(ListQuery("ada king")).contacts) == ["Ada King"]


def test_a_move_that_breaks_off_leaves_nothing(used: SQLiteStore, shared: PostgresStore) -> None:
    def stop(done: int, total: int) -> None:
        if done > 700:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(used, shared, stop)

    assert everything(shared) == ([], [], [], (), 0)


def test_nothing_moves_onto_an_address_book_that_is_in_use(used: SQLiteStore, shared: PostgresStore) -> None:
    shared.add(ADA)
    before = everything(shared)

    with pytest.raises(StoreError, match="is not empty"):
        move(used, shared)

    assert everything(shared) == before


@pytest.mark.usefixtures("groups_of_a_hundred")
def test_nothing_moves_in_the_middle_of_an_import(used: SQLiteStore, shared: PostgresStore) -> None:
    def try_move(done: int) -> None:
        with pytest.raises(StoreUnavailable, match="An import is running"):
            move(used, shared)

    used.import_many(PEOPLE, progress=try_move)

    assert shared.count() == 0


def test_the_command_moves_and_says_how_much(used: SQLiteStore, database: Path, url: str) -> None:
    run = ["move", f"sqlite:///{database}"]

    first = CliRunner().invoke(cli, run, env={"CONTACTS_STORE": url})
    again = CliRunner().invoke(cli, run, env={"CONTACTS_STORE": url})
    missing = CliRunner().invoke(cli, ["move", f"sqlite:///{database}x"], env={"CONTACTS_STORE": url})

    assert first.exit_code == 0
    assert first.output.endswith(f"Moved 601 contacts with {used.last_change()} changes.\n")
    assert (again.exit_code, missing.exit_code) == (1, 1)
    assert "is not empty" in again.output
    assert "There is no database file" in missing.output
