"""Sandboxes and their stores: what bounds them, who gives way to whom, and that nothing is left of them."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from secrets import token_urlsafe
from weakref import ref

import pytest

from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery
from app.contacts.samples import samples
from app.settings import BadSetting, Settings, refuse_unfit_demo, refuse_unsafe
from app.store import StoreFull, StoreUnavailable, sandbox
from app.store.sandbox import CONTACTS, SandboxStore
from app.web import sandboxes as module
from app.web.sandboxes import BUDGET, BURST, BURST_EACH, IDLE, RATE, RATE_EACH, ROOM, Sandboxes
from tests.making import add, draft

ADA = draft("Ada King")  # not one of the samples


class Clock:
    """A clock that is set by hand, in seconds."""

    time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def first() -> SandboxStore:
    """What every sandbox begins with: twelve samples."""
    store = SandboxStore()
    store.import_many(samples(12), kind="sample")
    return store


@pytest.fixture
def sandboxes(first: SandboxStore, clock: Clock) -> Sandboxes:
    return Sandboxes(first, lambda: SandboxStore(first), clock)


def people(count: int, start: int = 0) -> Iterator[ContactDraft]:
    return (draft(f"Person {number}") for number in range(start, start + count))


# ---- the store of a sandbox


def test_a_copy_begins_as_the_original_and_goes_its_own_way(first: SandboxStore) -> None:
    one, two = SandboxStore(first), SandboxStore(first)
    assert one.list(ListQuery()) == first.list(ListQuery())
    assert one.changes(0) == first.changes(0)

    ada, _ = one.add(ADA)
    grace = add(two, "Grace")
    one.delete([1])

    assert ada.id == grace.id == 13
    assert one.get(13).name == "Ada King"
    assert two.get(13).name == "Grace"
    assert first.count() == two.count() - 1 == one.count() == 12
    assert (first.last_change(), two.last_change(), one.last_change()) == (12, 13, 14)


def test_a_copy_costs_next_to_nothing(first: SandboxStore) -> None:
    SandboxStore(first)
    tracemalloc.start()
    try:
        copies = [SandboxStore(first) for _ in range(100)]
        assert tracemalloc.get_traced_memory()[0] / len(copies) < 1_000
    finally:
        tracemalloc.stop()


def test_there_is_room_for_so_many_contacts_whatever_would_bring_more(first: SandboxStore) -> None:
    store = SandboxStore(first)
    store.import_many(people(CONTACTS - 12))
    assert store.count() == CONTACTS
    deleted = store.delete([1, 2])
    merged = store.merge(
        {3: store.get(3).version, 4: store.get(4).version}, replace(ADA, email="a@example.com")
    )
    store.import_many(people(3, start=1_000))
    before = store.list(ListQuery(limit=CONTACTS)), store.last_change(), store.weight
    assert store.count() == CONTACTS
    assert deleted

    for write in (
        lambda: store.add(ADA),
        lambda: store.undo(deleted.id),
        lambda: store.undo(merged[1].id),
        lambda: store.import_many(people(1, start=2_000)),
        lambda: store.preview(people(1, start=2_000)),
    ):
        with pytest.raises(StoreFull, match=r"at most 500 contacts\. Delete some, or start the demo again\."):
            write()

    assert before == (store.list(ListQuery(limit=CONTACTS)), store.last_change(), store.weight)
    contact = store.get(5)
    store.update(5, replace(ContactDraft.of(contact), company="Changed"), contact.version)
    store.delete([6])
    store.add(ADA)


def test_an_import_of_those_who_are_here_needs_no_room(first: SandboxStore) -> None:
    store = SandboxStore(first)
    store.import_many(people(CONTACTS - 12))

    assert store.preview(people(CONTACTS - 12)).skipped == CONTACTS - 12
    assert store.import_many([replace(ADA, email="person.1@example.com")], "update").updated == 1


@pytest.mark.parametrize("method", ["preview", "import_many"])
def test_a_file_of_too_many_contacts_is_not_read_to_its_end(first: SandboxStore, method: str) -> None:
    read = 0

    def endless() -> Iterator[ContactDraft]:
        nonlocal read
        while True:
            read += 1
            yield ADA

    with pytest.raises(StoreFull, match="files of at most 500 contacts"):
        getattr(SandboxStore(first), method)(endless())

    assert read == CONTACTS + 1


def test_the_log_has_its_bounds_too(first: SandboxStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SandboxStore(first)
    monkeypatch.setattr(sandbox, "WEIGHT", 100_000)

    def go_on() -> None:
        for number in range(1_000):
            store.tag([1], add=[f"tag {number}"], remove=[f"tag {number - 1}"])

    with pytest.raises(StoreFull, match="Start it again"):
        go_on()

    assert 10 < store.last_change() - 12 < 100
    assert store.weight <= 100_000


@pytest.mark.parametrize("letter", ["a", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{GRINNING FACE}"])
def test_the_weight_is_no_less_than_what_the_longest_contacts_take(letter: str) -> None:
    def longest(number: int) -> ContactDraft:
        def filled(length: int) -> str:
            return f"{number:05}".ljust(length, letter)

        tags = tuple(f"{tag:02}{filled(38)}" for tag in range(20))
        return ContactDraft(filled(200), f"{number}@example.com", "1" * 40, filled(200), filled(5_000), tags)

    assert_weight_is_enough(longest)


def test_the_weight_is_no_less_than_what_usual_contacts_take() -> None:
    usual = list(samples(12))

    assert_weight_is_enough(lambda number: usual[number])


def assert_weight_is_enough(make: Callable[[int], ContactDraft]) -> None:
    """Keep contacts, list them in every order, and change each twice; all is paid for."""
    gc.collect()
    tracemalloc.start()
    try:
        store = SandboxStore()
        store.import_many(map(make, range(12)))
        for sort in ("name", "email", "company", "updated"):
            store.list(ListQuery(sort=sort))
        store.tag(store.ids(ListQuery()), remove=["Work", "00"])
        for contact_id in store.ids(ListQuery()):
            contact = store.get(contact_id)
            store.update(contact_id, replace(ContactDraft.of(contact), phone="555-0100"), contact.version)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken < store.weight


# ---- who has one, and for how long


def test_there_is_no_sandbox_before_one_is_opened(sandboxes: Sandboxes) -> None:
    assert sandboxes.find("mine") is None

    mine = sandboxes.open("mine")
    theirs = sandboxes.open("theirs")

    assert sandboxes.find("mine") is sandboxes.open("mine") is sandboxes.peek("mine") is mine
    assert mine.store is not theirs.store
    assert mine.serial != theirs.serial


def test_one_that_is_not_used_for_an_hour_goes(sandboxes: Sandboxes, clock: Clock) -> None:
    sandboxes.open("mine")
    sandboxes.open("theirs")
    clock.time += IDLE - 1
    assert sandboxes.find("mine")
    assert sandboxes.peek("theirs")

    clock.time += 1

    assert sandboxes.peek("theirs") is None
    assert sandboxes.find("mine")


def test_looking_at_one_is_no_use_of_it(sandboxes: Sandboxes, clock: Clock) -> None:
    sandboxes.open("mine")
    for _ in range(4):
        assert sandboxes.peek("mine")
        clock.time += IDLE / 4

    assert sandboxes.find("mine") is None


def test_when_there_are_too_many_the_one_not_used_for_longest_goes(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 3)
    for token in ("a", "b", "c"):
        sandboxes.open(token)
    sandboxes.find("a")

    sandboxes.open("d")

    assert [token for token in "abcd" if sandboxes.peek(token)] == ["a", "c", "d"]


def test_when_all_are_too_heavy_the_heaviest_goes(
    sandboxes: Sandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token, contacts in (("a", 3), ("b", 40), ("c", 20)):
        sandboxes.open(token).store.import_many(people(contacts))
    weights = {token: sandbox.store.weight for token in "abc" if (sandbox := sandboxes.peek(token))}
    monkeypatch.setattr(module, "BUDGET", weights["a"] + weights["c"])

    sandboxes.lighten()

    assert [token for token in "abc" if sandboxes.peek(token)] == ["a", "c"]


def test_only_so_many_are_made_in_a_time_and_the_others_go_on(sandboxes: Sandboxes, clock: Clock) -> None:
    for number in range(BURST):
        sandboxes.open(f"browser {number}")
    with pytest.raises(StoreUnavailable, match="try again in a minute"):
        sandboxes.open("one more")
    assert sandboxes.open("browser 0").store.count() == 12

    clock.time += 1 / RATE
    sandboxes.open("one more")
    with pytest.raises(StoreUnavailable):
        sandboxes.open("another")

    clock.time += IDLE / 2
    for number in range(BURST):
        sandboxes.open(f"late {number}")
    with pytest.raises(StoreUnavailable):
        sandboxes.open("later")


def test_one_address_does_not_keep_out_the_others(sandboxes: Sandboxes, clock: Clock) -> None:
    for second in range(600):  # one a second, as fast as the server lets it
        with suppress(StoreUnavailable):
            sandboxes.open(f"flood {second}", "192.0.2.1")
        sandboxes.open(f"newcomer {second}", f"198.51.100.{second % 200}")
        clock.time += 1

    assert sum(sandboxes.peek(f"flood {second}") is not None for second in range(600)) == 20 + 59


def test_what_is_kept_of_addresses_has_a_bound(sandboxes: Sandboxes, clock: Clock) -> None:
    most = 0
    for number in range(5_000):
        with suppress(StoreUnavailable):
            sandboxes.open(f"browser {number}", f"2001:db8:0:{number:x}::")
        most = max(most, len(sandboxes._by_network))
        clock.time += 0.1
    clock.time += BURST_EACH / RATE_EACH
    sandboxes.open("late", "192.0.2.1")

    assert most < BURST + RATE / RATE_EACH + 2
    assert len(sandboxes._by_network) == 1


def test_whoever_does_something_every_quarter_of_an_hour_is_not_pushed_out() -> None:
    assert (ROOM - BURST) / RATE >= 15 * 60


def test_all_together_have_a_bound_that_one_cannot_reach() -> None:
    assert sandbox.WEIGHT * 4 <= BUDGET <= 256 * 1_048_576


def test_one_that_is_forgotten_is_gone(sandboxes: Sandboxes) -> None:
    mine = sandboxes.open("mine")

    sandboxes.forget("mine")
    sandboxes.forget("never seen")

    assert sandboxes.find("mine") is None
    assert sandboxes.open("mine").serial != mine.serial


def test_many_threads_that_open_the_same_one_get_one(sandboxes: Sandboxes) -> None:
    with ThreadPoolExecutor(8) as threads:
        for _ in range(50):
            token = token_urlsafe()
            opened = list(threads.map(lambda _, token=token: sandboxes.open(token).serial, range(8)))
            sandboxes.forget(token)

            assert len(set(opened)) == 1


@pytest.mark.parametrize("end", ["idle", "room", "budget", "forget"])
def test_nothing_is_left_of_one_that_is_gone(
    sandboxes: Sandboxes, clock: Clock, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    mine = sandboxes.open("mine")
    mine.store.import_many(people(3))
    gone = ref(mine.store)
    del mine

    match end:
        case "idle":
            clock.time += IDLE
            sandboxes.peek("anyone")
        case "room":
            monkeypatch.setattr(module, "ROOM", 1)
            sandboxes.open("another")
        case "budget":
            monkeypatch.setattr(module, "BUDGET", 1)
            sandboxes.lighten()
        case "forget":
            sandboxes.forget("mine")
    gc.collect()

    assert gone() is None


# ---- what a visitor's windows follow


def test_a_log_follows_its_visitor_from_the_samples_on(sandboxes: Sandboxes) -> None:
    mine, theirs = sandboxes.log("mine"), sandboxes.log("theirs")
    assert (mine.settled(), theirs.settled()) == (12, 12)

    add(sandboxes.open("mine").store, "Ada King")

    assert (mine.settled(), theirs.settled()) == (13, 12)


@pytest.mark.parametrize("again", [False, True])
def test_a_log_tells_that_other_contacts_have_taken_the_place(sandboxes: Sandboxes, again: bool) -> None:
    add(sandboxes.open("mine").store, "Ada King")
    mine = sandboxes.log("mine")
    assert mine.settled() == 13

    sandboxes.forget("mine")
    if again:  # though it reaches as far as before
        add(sandboxes.open("mine").store, "Grace King")

    reached = 13 if again else 12
    assert [mine.settled() for _ in range(3)] == [0, reached, reached]


# ---- what is refused at the start


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(demo=True, auth="password"), "CONTACTS_DEMO is 1 and CONTACTS_AUTH is password"),
        (Settings(demo=True, sample=251), "CONTACTS_SAMPLE is 251"),
    ],
)
def test_a_demo_that_cannot_be_one_is_refused(settings: Settings, message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        refuse_unfit_demo(settings)

    refuse_unfit_demo(replace(settings, demo=False))


def test_a_demo_is_refused_where_workers_share_no_memory() -> None:
    with pytest.raises(
        BadSetting, match=r"CONTACTS_WORKERS is 3.* Set CONTACTS_WORKERS=1, or run Python 3.14t"
    ):
        refuse_unsafe(Settings(demo=True, workers=3), processes=True)

    refuse_unsafe(Settings(demo=True, workers=3))
