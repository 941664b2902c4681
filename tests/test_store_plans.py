"""How SQLite finds what is asked for: with an index, whatever the number of contacts."""

from collections.abc import Callable

import pytest

from app.contacts.contact import ContactDraft
from app.contacts.listing import SORTS, ListQuery, Only, Sort
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from tests.making import ADA, GRACE, draft

type Call = Callable[[ContactStore], object]
type Plans = Callable[[Call], str]


@pytest.fixture
def plans(sqlite: SQLiteStore) -> Plans:
    """Tell how SQLite goes about everything that a call makes it do, one line for each step."""
    sqlite.import_many(draft(f"Person {number}", tags="Work") for number in range(30))

    def plans(call: Call) -> str:
        statements: list[str] = []
        with sqlite._read() as conn:
            conn.set_trace_callback(statements.append)
        call(sqlite)
        with sqlite._read() as conn:
            conn.set_trace_callback(None)
            asked = [
                sql for sql in statements if sql.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))
            ]
            steps = [row[3] for sql in asked for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
        assert steps
        return "\n".join(steps)

    return plans


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_the_first_page_of_every_order_walks_its_index(plans: Plans, sort: Sort, descending: bool) -> None:
    plan = plans(lambda store: store.list(ListQuery(sort=sort, descending=descending)))

    assert f"SCAN c USING INDEX contact_by_{sort}" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_later_pages_of_every_order_begin_at_their_place(plans: Plans, sort: Sort, descending: bool) -> None:
    key: str | int = 10**12 if sort == "updated" else "p"

    plan = plans(lambda store: store.list(ListQuery(sort=sort, descending=descending, after=(key, 9))))

    column = "updated_at" if sort == "updated" else f"by_{sort}"
    sign = "<" if descending else ">"
    assert f"SEARCH c USING INDEX contact_by_{sort} ({column}=? AND id{sign}?)" in plan
    assert f"SEARCH c USING INDEX contact_by_{sort} ({column}{sign}?)" in plan
    assert "TEMP B-TREE" not in plan


def test_a_search_that_finds_few_begins_with_the_search_index(plans: Plans) -> None:
    plan = plans(lambda store: store.list(ListQuery(text="person 7")))

    assert "SCAN s VIRTUAL TABLE INDEX 0:M1" in plan
    assert "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert "SCAN c " not in plan


def test_a_search_that_finds_many_walks_the_list_in_order(plans: Plans) -> None:
    plan = plans(lambda store: store.list(ListQuery(text="person", tags=("work",))))

    assert "SCAN c USING INDEX contact_by_name" in plan
    assert "TEMP B-TREE" not in plan


def test_a_tag_that_few_have_begins_with_the_tags(plans: Plans) -> None:
    plan = plans(lambda store: store.list(ListQuery(tags=("none", "work"))))

    assert "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert "SEARCH t USING PRIMARY KEY (tag=?)" in plan
    assert "SEARCH contact_tag EXISTS USING" in plan
    assert "SCAN c " not in plan


@pytest.mark.parametrize(
    ("only", "index"),
    [
        ("no-phone", "SCAN c USING COVERING INDEX contact_without_phone"),
        ("no-email", "SEARCH c USING INDEX contact_email (email_key=?)"),
        ("stale", "SEARCH c USING COVERING INDEX contact_by_updated (updated_at<?)"),
    ],
)
def test_those_to_tidy_up_are_found_in_an_index(plans: Plans, only: Only, index: str) -> None:
    plan = plans(lambda store: store.count(ListQuery(only=only)))

    assert plan.splitlines() == [index]


def test_those_without_an_email_are_read_from_the_end_of_the_order_by_email(
    plans: Plans, sqlite: SQLiteStore
) -> None:
    sqlite.import_many(draft(f"Caller {number}", phone=str(number)) for number in range(60))

    plan = plans(lambda store: store.ids(ListQuery(only="no-email", sort="email")))

    assert "SEARCH c USING INDEX contact_by_email (by_email>?)" in plan
    assert "TEMP B-TREE" not in plan


def test_short_words_and_tags_are_counted_without_reading_a_contact(plans: Plans) -> None:
    plan = plans(lambda store: store.count(ListQuery(text="pe per", tags=("work",))))

    assert "SCAN s VIRTUAL TABLE INDEX 0:M1" in plan
    assert "SEARCH contact_tag EXISTS USING" in plan
    assert " c " not in plan


@pytest.mark.parametrize("sort", SORTS)
def test_neighbours_are_found_from_their_place_on(plans: Plans, sort: Sort) -> None:
    plan = plans(lambda store: store.neighbours(ListQuery(sort=sort), 7))

    column = "updated_at" if sort == "updated" else f"by_{sort}"
    for sign in "<>":
        assert f"SEARCH c USING INDEX contact_by_{sort} ({column}{sign}?)" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


def test_tags_are_read_from_their_counts(plans: Plans) -> None:
    plan = plans(lambda store: store.tags())

    assert "SCAN t" in plan
    assert "SEARCH contact_tag USING PRIMARY KEY (tag=?)" in plan
    assert plan.count("SCAN") == 1


CALLS: dict[str, Call] = {
    "get": lambda store: store.get(7),
    "count": lambda store: store.count(),
    "find_email": lambda store: store.find_email("person.7@example.com"),
    "changes": lambda store: store.changes(7),
    "last_change": lambda store: store.last_change(),
    "batch": lambda store: store.batch(1),
    "batches": lambda store: store.batches(5),
    "samples": lambda store: store.samples(),
    "add": lambda store: store.add(ADA),
    "update": lambda store: store.update(7, GRACE, 1),
    "tag": lambda store: store.tag([7], add=["VIP"], remove=["Work"]),
    "delete": lambda store: store.delete([7]),
    "merge": lambda store: store.merge({7: 1, 8: 1}, GRACE),
    "undo": lambda store: store.undo(1),
    "undo_plan": lambda store: store.undo_plan(1),
    "count without a phone": lambda store: store.count(ListQuery(only="no-phone")),
    "count without an email": lambda store: store.count(ListQuery(only="no-email")),
    "count those not changed": lambda store: store.count(ListQuery(only="stale")),
    "history": lambda store: store.history(7),
    "version": lambda store: store.version(7, 1),
    "preview": lambda store: store.preview([ADA, ContactDraft(name="Bo", phone="1")], "fill"),
    "import": lambda store: store.import_many([ADA, ContactDraft(name="Bo", phone="1")], "fill"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_call_reads_a_whole_table(plans: Plans, call: Call) -> None:
    plan = plans(call)

    scanned = {
        line.split()[1] for line in plan.splitlines() if line.startswith("SCAN") and "INDEX" not in line
    }
    assert scanned <= {"contact_count", "json_each", "edit", "sqlite_sequence", "CONSTANT"} | {
        "b"  # the newest batches are read from the end of their table
    }
    assert "TEMP B-TREE FOR ORDER BY" not in plan or call in (CALLS["import"], CALLS["preview"])
