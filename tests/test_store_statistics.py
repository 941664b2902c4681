"""What the dashboard counts, and the lists of contacts that lack something: the same on every store."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.contacts.contact import ContactDraft, now
from app.contacts.listing import ONLY, SORTS, STALE, ListQuery, Only, Sort, Statistics, weeks_until
from app.contacts.samples import samples
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.store.sqlite import SQLiteStore
from tests.making import ADA, GRACE, add, draft, names
from tests.patching import patch_stores

Clock = Callable[[datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time by which the stores go."""

    def put(moment: datetime) -> None:
        patch_stores(monkeypatch, now=lambda: moment)

    return put


def test_an_empty_store_has_nothing_to_count(store: ContactStore) -> None:
    assert store.statistics() == Statistics()
    assert store.top("company", 8) == store.top("domain", 8) == ()
    assert [added for _, added in store.added_by_week(12)] == [0] * 12
    assert [store.count(ListQuery(only=only)) for only in ONLY] == [0] * 4


def test_a_store_counts_the_same_samples_as_the_other_one(sqlite: SQLiteStore) -> None:
    memory = MemoryStore()
    for store in (memory, sqlite):
        store.import_many(samples(600))

    calls: list[Callable[[ContactStore], object]] = [
        lambda store: store.statistics(),
        lambda store: store.added_by_week(12),
        lambda store: store.top("company", 8),
        lambda store: store.top("company", 10_000),
        lambda store: store.top("domain", 8),
        lambda store: [list(store.ids(ListQuery(only=only, sort="company"))) for only in ONLY],
        lambda store: [store.count(ListQuery(only=only, tags=("family",))) for only in ONLY],
        lambda store: [store.count(ListQuery("an", only=only)) for only in ONLY],
    ]

    assert [call(sqlite) for call in calls] == [call(memory) for call in calls]
    assert memory.statistics().total == 600


# --- totals


def test_statistics_count_contacts_emails_phones_and_companies(store: ContactStore) -> None:
    store.import_many(
        [
            draft("Ada", company="Ácme"),
            draft("Bo", company="ACME", phone="1"),
            draft("Cy", phone="2", company="Beta"),
            draft("Di"),
        ]
    )

    figures = store.statistics()

    assert (figures.total, figures.with_email, figures.with_phone) == (4, 2, 2)
    assert (figures.added_this_week, figures.companies) == (4, 2)


def test_contacts_older_than_seven_days_are_not_of_this_week(store: ContactStore, clock: Clock) -> None:
    start = now()
    clock(start)
    store.add(ADA)
    clock(start + timedelta(days=4))
    store.add(GRACE)

    clock(start + timedelta(days=7))
    assert store.statistics().added_this_week == 2

    clock(start + timedelta(days=7, milliseconds=1))
    assert store.statistics().added_this_week == 1


# --- weeks


def test_weeks_begin_on_monday() -> None:
    sunday, monday = datetime(2026, 3, 8, 23, 59, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)

    assert weeks_until(sunday, 2) == [date(2026, 2, 23), date(2026, 3, 2)]
    assert weeks_until(monday, 2) == [date(2026, 3, 2), date(2026, 3, 9)]


def test_each_contact_counts_in_the_week_it_was_added_in(store: ContactStore, clock: Clock) -> None:
    for name, moment in (
        ("Too old", datetime(2025, 12, 28, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("Monday", datetime(2025, 12, 29, tzinfo=UTC)),
        ("Sunday", datetime(2026, 1, 4, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("Next Monday", datetime(2026, 1, 5, tzinfo=UTC)),
        ("Today", datetime(2026, 1, 14, 12, tzinfo=UTC)),
    ):
        clock(moment)
        add(store, name)

    assert store.added_by_week(3) == (
        (date(2025, 12, 29), 2),
        (date(2026, 1, 5), 1),
        (date(2026, 1, 12), 1),
    )
    assert store.added_by_week(1) == ((date(2026, 1, 12), 1),)


def test_a_contact_that_was_deleted_counts_in_no_week(store: ContactStore) -> None:
    contact = add(store, "Ada")
    add(store, "Bo")
    store.delete([contact.id])

    assert [added for _, added in store.added_by_week(2)] == [0, 1]


# --- companies and domains


def test_the_largest_companies_come_first_then_those_first_by_name(store: ContactStore) -> None:
    companies = ["Zeta", "Zeta", "Beta", "Éta", "eta", "Alpha", "Gamma", "Delta", ""]
    store.import_many(draft(f"Person {n}", company=company) for n, company in enumerate(companies))

    assert store.top("company", 5) == (("Éta", 2), ("Zeta", 2), ("Alpha", 1), ("Beta", 1), ("Delta", 1))
    assert store.top("company", 1) == (("Éta", 2),)
    assert store.statistics().companies == 6


def test_a_company_is_spelled_as_its_oldest_contact_has_it(store: ContactStore) -> None:
    oldest, newer = add(store, "Ada", company="Acme"), add(store, "Bo", company="ACME")
    deletion = store.delete([oldest.id])
    assert deletion is not None
    assert store.top("company", 5) == (("ACME", 1),)

    store.undo(deletion.id)

    assert newer.id > oldest.id
    assert store.top("company", 5) == (("Acme", 2),)


def test_domains_are_the_same_without_regard_to_case(store: ContactStore) -> None:
    for email in ("a@B.example", "b@b.EXAMPLE", "c@a.example", "ä@ö.example"):
        add(store, "Ada", email=email)
    add(store, "Bo", phone="1")

    assert store.top("domain", 5) == (("b.example", 2), ("a.example", 1), ("ö.example", 1))
    assert store.top("domain", 2) == (("b.example", 2), ("a.example", 1))


# --- what is missing


@pytest.fixture
def incomplete(store: ContactStore, clock: Clock) -> None:
    """Two contacts without a phone, two without an email, the first of each added more than a year ago."""
    start = now()
    clock(start)
    add(store, "Ada", email="ada@example.com", tags="VIP")
    add(store, "Cy", phone="1")
    clock(start + timedelta(milliseconds=1))
    add(store, "Bo", email="bo@example.com")
    add(store, "Di", phone="2", tags="VIP")
    add(store, "Ed", email="ed@example.com", phone="3")
    clock(start + STALE + timedelta(milliseconds=1))


MISSING: list[tuple[Only, list[str]]] = [
    ("", ["Ada", "Bo", "Cy", "Di", "Ed"]),
    ("no-phone", ["Ada", "Bo"]),
    ("no-email", ["Cy", "Di"]),
    ("stale", ["Ada", "Cy"]),
]


@pytest.mark.usefixtures("incomplete")
@pytest.mark.parametrize(("only", "found"), MISSING)
def test_a_list_can_hold_only_what_lacks_something(store: ContactStore, only: Only, found: list[str]) -> None:
    query = ListQuery(only=only)
    first = store.list(ListQuery(only=only, limit=1))
    second = store.list(ListQuery(only=only, limit=1, after=first.next))

    assert names(store.list(query).contacts) == names(store.export(query)) == found
    assert store.list(query).total == store.count(query) == len(store.ids(query)) == len(found)
    assert names(first.contacts + second.contacts) == found[:2]


@pytest.mark.usefixtures("incomplete")
@pytest.mark.parametrize(("only", "found"), MISSING)
def test_neighbours_are_those_of_such_a_list(store: ContactStore, only: Only, found: list[str]) -> None:
    ids = store.ids(ListQuery(only=only))

    before, behind = store.neighbours(ListQuery(only=only), ids[1])

    assert [contact.name if contact else "" for contact in (before, behind)] == [
        found[0],
        "".join(found[2:3]),
    ]


@pytest.mark.usefixtures("incomplete")
@pytest.mark.parametrize(
    ("only", "tag", "found"),
    [
        ("no-phone", "vip", ["Ada"]),
        ("no-email", "VIP", ["Di"]),
        ("stale", "VIP", ["Ada"]),
        ("stale", "x", []),
    ],
)
def test_such_a_list_can_be_searched_and_narrowed_to_a_tag(
    store: ContactStore, only: Only, tag: str, found: list[str]
) -> None:
    name = "".join(found)

    assert names(store.list(ListQuery(only=only, tags=(tag,))).contacts) == found
    assert names(store.list(ListQuery(name, only=only, tags=(tag,))).contacts) == found
    assert names(store.list(ListQuery(only=only, text="Ed")).contacts) == []


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_a_large_part_of_many_is_listed_without_the_others(
    store: ContactStore, clock: Clock, sort: Sort, *, descending: bool
) -> None:
    start = now()
    clock(start)
    store.import_many(draft(f"Caller {number:02}", phone=str(number), tags="Work") for number in range(60))
    clock(start + timedelta(milliseconds=1))
    store.import_many(draft(f"Writer {number:02}") for number in range(40))
    clock(start + STALE + timedelta(milliseconds=1))

    parts: list[tuple[Only, str, int]] = [
        ("no-email", "Caller", 60),
        ("no-phone", "Writer", 40),
        ("stale", "Caller", 60),
    ]
    for only, first, total in parts:
        query = ListQuery(only=only, sort=sort, descending=descending)
        some = store.list(replace(query, limit=35))
        rest = store.list(replace(query, limit=35, after=some.next))
        found = [*some.contacts, *rest.contacts]
        assert {contact.name.split()[0] for contact in found} == {first}
        assert [contact.id for contact in found] == list(store.ids(query))
        assert some.total == len(found) == total


def test_a_change_makes_a_stale_contact_fresh(store: ContactStore, clock: Clock) -> None:
    start = now()
    clock(start)
    contact = add(store, "Ada")

    clock(start + STALE)
    assert store.count(ListQuery(only="stale")) == 0

    clock(start + STALE + timedelta(milliseconds=1))
    assert store.count(ListQuery(only="stale")) == 1

    store.update(contact.id, ContactDraft("Ada King", "ada@example.com"), 1)
    assert store.count(ListQuery(only="stale")) == 0
