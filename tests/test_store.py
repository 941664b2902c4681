"""What every store promises: app.store.ContactStore, sentence by sentence."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from app.contacts.changes import EXAMPLES, UndoConflict
from app.contacts.contact import (
    Contact,
    ContactDraft,
    EditConflict,
    InvalidContact,
    NoSuchBatch,
    NoSuchContact,
)
from app.contacts.listing import SORTS, ContactPage, ListQuery, Sort
from app.store import ContactStore, OnDuplicate, RowError, StoreUnavailable
from app.store.sqlite import SQLiteStore
from tests.making import ADA, ALAN, GRACE, add, draft, names
from tests.patching import patch_stores

DUPLICATES: tuple[OnDuplicate, ...] = ("skip", "fill", "update")
IMPOSSIBLE_IDS = [0, -1, 2, 2**63, -(2**70)]


def pages(store: ContactStore, query: ListQuery) -> Iterator[ContactPage]:
    """Every page of a list, each asked for with the place that the one before gave."""
    while True:
        page = store.list(query)
        yield page
        if page.next is None:
            return
        query = replace(query, after=page.next)


def paged(store: ContactStore, query: ListQuery) -> list[str]:
    """The names on all pages together."""
    return [contact.name for page in pages(store, query) for contact in page.contacts]


def everything(store: ContactStore) -> object:
    """All that can be seen of a store, to compare before and after."""
    return list(store.export(ListQuery())), list(store.changes(0, 1_000)), store.batches(1_000), store.count()


# --- get, count, find_email


def test_an_empty_store_holds_nothing(store: ContactStore) -> None:
    assert store.list(ListQuery()) == ContactPage((), 0, None)
    assert store.count() == 0
    assert store.last_change() == 0
    assert list(store.changes(0)) == []
    assert list(store.batches()) == []
    assert list(store.samples()) == []
    assert list(store.export(ListQuery())) == []


def test_a_contact_comes_back_as_it_was_kept(store: ContactStore) -> None:
    kept, _ = store.add(replace(ADA, notes="First\nprogram 🧮", tags=("VIP", "Work")))

    assert store.get(kept.id) == kept


@pytest.mark.parametrize("contact_id", IMPOSSIBLE_IDS)
def test_getting_a_contact_that_never_was_says_so(store: ContactStore, contact_id: int) -> None:
    store.add(ADA)

    with pytest.raises(NoSuchContact) as missing:
        store.get(contact_id)

    assert missing.value.contact_id == contact_id


def test_contacts_are_counted_all_or_by_query(store: ContactStore) -> None:
    for person in (ADA, GRACE, replace(ALAN, tags=("Work",))):
        store.add(person)

    assert store.count() == 3
    assert store.count(ListQuery()) == 3
    assert store.count(ListQuery(text="a")) == 2
    assert store.count(ListQuery(tags=("work",))) == 1
    assert store.count(ListQuery(limit=1, after=("zzz", 9))) == 3


@pytest.mark.parametrize("email", ["zoë@example.com", "ZOË@EXAMPLE.COM", "zoe\u0308@example.com"])
def test_an_email_is_found_without_regard_to_case(store: ContactStore, email: str) -> None:
    zoe = add(store, "Zoë", email="Zoë@Example.com")

    assert store.find_email(email) == zoe


@pytest.mark.parametrize("email", ["", "bo@example.com", "%", "zo\ud800@example.com", "\x00"])
def test_no_email_finds_nobody(store: ContactStore, email: str) -> None:
    add(store, "Ada", phone="1")
    add(store, "Zo", email="zo@example.com")

    assert store.find_email(email) is None


# --- list


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["ada", "Åsa", "Bo", "Zoë"]),
        ("email", ["Zoë", "ada", "Bo", "Åsa"]),
        ("company", ["Zoë", "Bo", "ada", "Åsa"]),
    ],
)
def test_a_list_is_ordered_by_its_key(
    store: ContactStore, sort: Sort, expected: list[str], descending: bool
) -> None:
    add(store, "Bo", email="c@x.org", company="Beta")
    add(store, "Zoë", email="A@x.org", company="Álpha")
    add(store, "ada", email="b@x.org")
    add(store, "Åsa", phone="1")

    page = store.list(ListQuery(sort=sort, descending=descending))

    assert names(page.contacts) == (expected[::-1] if descending else expected)


def test_a_list_may_begin_with_the_newest_change(store: ContactStore) -> None:
    first, second = add(store, "First"), add(store, "Second")

    store.update(first.id, draft("First again"), 1)

    newest = store.list(ListQuery(sort="updated", descending=True)).contacts
    assert [contact.updated_at for contact in newest] == sorted(
        (store.get(first.id).updated_at, second.updated_at), reverse=True
    )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_paging_repeats_and_skips_nobody(
    store: ContactStore, sort: Sort, descending: bool, limit: int
) -> None:
    made = [add(store, "Same Name", phone=str(number), company="X" * (number % 2)) for number in range(7)]

    seen = [
        contact.id
        for page in pages(store, ListQuery(sort=sort, descending=descending, limit=limit))
        for contact in page.contacts
    ]

    assert sorted(seen) == [contact.id for contact in made]
    assert len(list(pages(store, ListQuery(sort=sort, limit=limit)))) == -(-7 // limit)
    if sort == "name":
        assert seen == sorted(seen, reverse=descending)


def test_every_page_knows_the_total(store: ContactStore) -> None:
    for name in ("Ada", "Bo", "Cy", "Di", "Ed"):
        add(store, name)

    totals = [page.total for page in pages(store, ListQuery(limit=2))]

    assert totals == [5, 5, 5]


def test_paging_skips_nobody_when_the_last_contact_of_a_page_is_deleted(store: ContactStore) -> None:
    made = {name: add(store, name) for name in ("Ada", "Bo", "Cy", "Di")}
    first = store.list(ListQuery(limit=2))

    store.delete([made["Bo"].id])

    second = store.list(ListQuery(limit=2, after=first.next))
    assert names(second.contacts) == ["Cy", "Di"]
    assert second.next is None


def test_paging_repeats_nobody_when_others_are_added_before_the_place(store: ContactStore) -> None:
    for name in ("Bo", "Cy", "Di"):
        add(store, name)
    first = store.list(ListQuery(limit=2))

    add(store, "Ada")

    second = store.list(ListQuery(limit=2, after=first.next))
    assert names(second.contacts) == ["Di"]
    assert second.total == 4


@pytest.mark.parametrize("share", [2, 50])  # few match, so look them up; most match, so walk the list
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_a_filtered_list_is_paged_like_any_other(
    store: ContactStore, share: int, sort: Sort, descending: bool
) -> None:
    people = (draft(f"Person {n % 7} {n}", tags="Odd" if n < share else "Even") for n in range(60))
    store.import_many(people)
    everyone = store.export(ListQuery(sort=sort, descending=descending))

    query = ListQuery(text="person", tags=("odd",), sort=sort, descending=descending, limit=7)

    assert paged(store, query) == [contact.name for contact in everyone if contact.tags == ("Odd",)]
    assert {page.total for page in pages(store, query)} == {share}


def test_a_search_must_find_every_word(store: ContactStore) -> None:
    for person in (ADA, GRACE, ALAN):
        store.add(person)

    assert paged(store, ListQuery(text="a example")) == ["Ada Lovelace", "Alan Turing"]
    assert paged(store, ListQuery(text="example a navy")) == []
    assert paged(store, ListQuery(text="hopper navy")) == ["Grace Hopper"]


@pytest.mark.parametrize(
    "text", ["%", "_", "a_a", "*", '"', "'", "\\", "%%%", "___", "a%c", "AND", "NEAR(", "- "]
)
def test_a_search_takes_every_sign_literally(store: ContactStore, text: str) -> None:
    add(store, "Ada abc aXa")
    signed = add(store, f"Signed {text}", email="s@x.org")

    page = store.list(ListQuery(text=text))

    assert [contact.id for contact in page.contacts] == [signed.id]
    assert page.total == store.count(ListQuery(text=text)) == 1


def test_a_search_does_not_regard_case_and_accents(store: ContactStore) -> None:
    for name in ("ÉLAN", "élan", "elan", "E\u0308lan", "plan"):
        add(store, name, phone="1")

    assert store.count(ListQuery(text="Élan")) == 4


@pytest.mark.parametrize(
    "text",
    [
        "(020) 7946 0101",
        "+442079460101",
        "020 7946-0101",
        "0044 20 7946 0101",
        "+44 (0)20 7946 0101",
        "02079460101",
        "20 7946 0101",
        "7946 0101",
        "20 7946",
    ],
)
def test_a_phone_number_is_found_however_it_is_typed(store: ContactStore, text: str) -> None:
    for number, phone in enumerate(("+44 20 7946 0101", "+44 (0)20 7946 0101", "+442079460101")):
        add(store, f"Ada {number}", phone=phone)
    add(store, "Other", phone="+44 20 7946 1010")

    if len(text) > 7 and text != "7946 0101":
        assert names(store.list(ListQuery(text=text)).contacts) == ["Ada 0", "Ada 1", "Ada 2"]
    else:
        assert "Ada 0" in names(store.list(ListQuery(text=text)).contacts)


@pytest.mark.parametrize("text", ["太郎", "太", "山田太郎", "ひろ", "철수", "수", "김"])
def test_a_few_letters_inside_a_name_are_found_where_words_have_no_spaces(
    store: ContactStore, text: str
) -> None:
    store.import_many(draft(name, phone="1") for name in ("山田太郎", "ちひろ", "김철수", "Ada"))

    assert store.list(ListQuery(text=text)).total == 1


def test_a_search_text_that_no_contact_can_hold_finds_nobody_and_harms_nothing(store: ContactStore) -> None:
    store.add(ADA)

    assert store.count(ListQuery(text="zz\x00\ud800")) == 0
    assert store.count(ListQuery(tags=("\ud800",))) == 0
    assert store.count(ListQuery(tags=("\x00",))) == 0


def test_tags_are_compared_without_regard_to_case_and_all_must_be_there(store: ContactStore) -> None:
    add(store, "Ada", tags="Work,VIP")
    add(store, "Bo", tags="work")
    add(store, "Cy", tags="Workshop")

    assert paged(store, ListQuery(tags=("WORK",))) == ["Ada", "Bo"]
    assert paged(store, ListQuery(tags=("vip", " work "))) == ["Ada"]
    assert paged(store, ListQuery(tags=("none",))) == []


@pytest.mark.parametrize("candidates", [19, 21])  # the search index knows too many of them, or not
def test_more_matches_than_the_limit_are_counted_by_count_alone(
    store: ContactStore, monkeypatch: pytest.MonkeyPatch, candidates: int
) -> None:
    patch_stores(monkeypatch, _CANDIDATES_LIMIT=candidates, COUNT_LIMIT=20)
    store.import_many(draft(f"Person {number:02}", tags="Work") for number in range(21))
    some = ListQuery(text="person", tags=("work",), limit=8)

    page = store.list(some)

    assert (page.total, page.exact, store.count(some)) == (20, False, 21)
    assert paged(store, some) == [f"Person {number:02}" for number in range(21)]
    assert (store.list(ListQuery()).total, store.list(ListQuery()).exact) == (21, True)
    assert store.list(ListQuery(tags=("work",), text="person 0")).exact
    store.delete([1])
    assert (store.list(some).total, store.list(some).exact) == (20, True)


def test_what_was_changed_is_found_by_the_new_words_and_no_longer_by_the_old(store: ContactStore) -> None:
    ada = add(store, "Ada Byron", email="ada@x.org", tags="Old")

    store.update(ada.id, draft("Ada Lovelace", email="ada@x.org", tags="New"), 1)

    assert store.count(ListQuery(text="lovelace")) == 1
    assert store.count(ListQuery(text="byron")) == 0
    assert store.count(ListQuery(tags=("new",))) == 1
    assert store.count(ListQuery(tags=("old",))) == 0


def test_what_was_deleted_is_found_no_longer(store: ContactStore) -> None:
    ada = add(store, "Ada Byron", tags="Old")

    store.delete([ada.id])

    assert store.count(ListQuery(text="byron")) == 0
    assert store.count(ListQuery(tags=("old",))) == 0
    assert store.find_email(ada.email) is None


# --- add


def test_adding_keeps_the_tidied_draft(store: ContactStore) -> None:
    added, batch = store.add(
        ContactDraft(name="  Ada  Lovelace ", email="ada@example.com", tags=("b", "A", "B"))
    )

    assert (added.name, added.tags, added.version) == ("Ada Lovelace", ("A", "b"), 1)
    assert added.created_at == added.updated_at == batch.at
    assert (batch.kind, batch.size, batch.first.after) == ("add", 1, added)


def test_adding_an_invalid_draft_keeps_nothing(store: ContactStore) -> None:
    with pytest.raises(InvalidContact) as refused:
        store.add(ContactDraft(name="", email="ada"))

    assert list(refused.value.errors) == ["name", "email"]
    assert store.count() == 0
    assert store.last_change() == 0


@pytest.mark.parametrize(("first", "second"), [("ada@x.org", "ADA@X.org"), ("zoë@x.org", "ZOË@x.org")])
def test_an_email_can_be_had_by_one_contact_only(store: ContactStore, first: str, second: str) -> None:
    ada = add(store, "Ada", email=first)

    with pytest.raises(InvalidContact) as refused:
        add(store, "Bo", email=second)

    assert refused.value.taken_by == ada
    assert refused.value.errors == {"email": "Ada has this email address already. Enter another one."}
    assert store.count() == 1


def test_any_number_of_contacts_may_be_without_an_email(store: ContactStore) -> None:
    add(store, "Ada", phone="1")
    add(store, "Ada", phone="1")

    assert store.count() == 2


def test_an_id_is_never_used_again(store: ContactStore) -> None:
    first = add(store, "First")
    last = add(store, "Last")
    store.delete([last.id])

    added = add(store, "Added")

    assert added.id not in (first.id, last.id)


def test_the_email_of_a_deleted_contact_is_free(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    store.delete([ada.id])

    again, _ = store.add(ADA)

    assert store.find_email("ada@example.com") == again


# --- update


def test_updating_replaces_every_field_and_makes_a_new_version(store: ContactStore) -> None:
    ada = add(store, "Ada", email="ada@x.org", company="Engines", notes="n", tags="Work")

    updated, batch = store.update(ada.id, ContactDraft(name=" Ada  King ", phone="12", tags=("VIP",)), 1)

    assert (updated.name, updated.email, updated.phone, updated.company) == ("Ada King", "", "12", "")
    assert (updated.notes, updated.tags, updated.version) == ("", ("VIP",), 2)
    assert updated.created_at == ada.created_at
    assert updated.updated_at >= ada.updated_at
    assert store.get(ada.id) == updated
    assert batch is not None
    assert (batch.kind, batch.first.before, batch.first.after) == ("update", ada, updated)


def test_updating_with_nothing_new_writes_nothing(store: ContactStore) -> None:
    ada, _ = store.add(ADA)

    same, batch = store.update(ada.id, replace(ADA, name=" Ada   Lovelace "), 1)

    assert same == ada
    assert batch is None
    assert store.last_change() == 1


def test_a_changed_letter_case_is_a_change(store: ContactStore) -> None:
    ada, _ = store.add(replace(ADA, tags=("vip",)))

    updated, batch = store.update(ada.id, replace(ADA, email="ADA@example.com", tags=("VIP",)), 1)

    assert batch is not None
    assert (updated.email, updated.tags) == ("ADA@example.com", ("VIP",))
    assert store.find_email("ada@example.com") == updated


def test_updating_an_outdated_version_is_a_conflict_that_shows_the_current_one(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    current, _ = store.update(ada.id, replace(ADA, company="Engines Ltd"), 1)

    with pytest.raises(EditConflict) as conflict:
        store.update(ada.id, replace(ADA, company="Looms Ltd"), 1)

    assert conflict.value.current == current
    assert store.get(ada.id) == current


@pytest.mark.parametrize("version", [0, 2, 99, -1, 2**70])
def test_a_version_that_is_not_the_present_one_is_a_conflict(store: ContactStore, version: int) -> None:
    ada, _ = store.add(ADA)

    with pytest.raises(EditConflict):
        store.update(ada.id, GRACE, version)

    assert store.get(ada.id) == ada


def test_an_outdated_version_is_a_conflict_even_when_nothing_differs(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    store.update(ada.id, GRACE, 1)

    with pytest.raises(EditConflict):
        store.update(ada.id, GRACE, 1)


@pytest.mark.parametrize("contact_id", IMPOSSIBLE_IDS)
def test_updating_a_contact_that_never_was_says_so(store: ContactStore, contact_id: int) -> None:
    store.add(ADA)

    with pytest.raises(NoSuchContact):
        store.update(contact_id, GRACE, 1)


def test_updating_a_deleted_contact_says_that_it_is_gone(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    store.delete([ada.id])

    with pytest.raises(NoSuchContact):
        store.update(ada.id, GRACE, 1)


def test_updating_to_the_email_of_another_is_refused(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    grace, _ = store.add(GRACE)

    with pytest.raises(InvalidContact) as refused:
        store.update(grace.id, replace(GRACE, email="ADA@example.com"), 1)

    assert refused.value.taken_by == ada
    assert list(refused.value.errors) == ["email"]
    assert store.get(grace.id) == grace


def test_an_update_is_refused_for_rules_then_absence_then_version_then_email(store: ContactStore) -> None:
    store.add(ADA)
    grace, _ = store.add(GRACE)
    bad, taken = ContactDraft(), replace(GRACE, email=ADA.email)

    with pytest.raises(InvalidContact):
        store.update(99, bad, 7)
    with pytest.raises(NoSuchContact):
        store.update(99, taken, 7)
    with pytest.raises(EditConflict):
        store.update(grace.id, taken, 7)
    with pytest.raises(InvalidContact):
        store.update(grace.id, taken, 1)


# --- delete


def test_deleting_takes_contacts_away_as_one_batch(store: ContactStore) -> None:
    ada, grace, alan = (store.add(person)[0] for person in (ADA, GRACE, ALAN))

    batch = store.delete([alan.id, ada.id])

    assert batch is not None
    assert (batch.kind, batch.size, batch.first.before, batch.first.after) == ("delete", 2, alan, None)
    assert store.list(ListQuery()).contacts == (grace,)
    with pytest.raises(NoSuchContact):
        store.get(ada.id)


def test_deleting_at_a_version_leaves_a_contact_that_was_changed_meanwhile(store: ContactStore) -> None:
    contact, _ = store.add(ADA)
    changed, _ = store.update(contact.id, ALAN, contact.version)
    before = everything(store)

    with pytest.raises(EditConflict) as conflict:
        store.delete([contact.id], version=contact.version)

    assert conflict.value.current == changed
    assert everything(store) == before
    assert store.delete([contact.id], version=changed.version)
    assert store.delete([contact.id], version=changed.version) is None


def test_deleting_passes_over_ids_that_do_not_exist_and_ids_given_twice(store: ContactStore) -> None:
    ada, _ = store.add(ADA)

    batch = store.delete([ada.id, *IMPOSSIBLE_IDS, ada.id])

    assert batch is not None
    assert batch.size == 1


@pytest.mark.parametrize("contact_ids", [[], IMPOSSIBLE_IDS])
def test_deleting_nobody_is_no_batch(store: ContactStore, contact_ids: list[int]) -> None:
    store.add(ADA)

    assert store.delete(contact_ids) is None
    assert store.last_change() == 1


# --- tag


def test_tags_are_taken_off_and_put_on_as_one_batch(store: ContactStore) -> None:
    ada, bo, cy = add(store, "Ada", tags="Old,Keep"), add(store, "Bo"), add(store, "Cy")

    batch = store.tag([ada.id, bo.id], add=["New"], remove=["OLD"])

    assert batch is not None
    assert (batch.kind, batch.size) == ("tag", 2)
    assert store.get(ada.id).tags == ("Keep", "New")
    assert store.get(bo.id).tags == ("New",)
    assert (store.get(ada.id).version, store.get(cy.id)) == (2, cy)


def test_tags_are_taken_off_before_others_are_put_on(store: ContactStore) -> None:
    ada = add(store, "Ada", tags="work")

    store.tag([ada.id], add=["Work"], remove=["WORK"])

    assert store.get(ada.id).tags == ("Work",)


def test_a_tag_that_a_contact_has_already_stays_as_it_is(store: ContactStore) -> None:
    ada = add(store, "Ada", tags="work")

    assert store.tag([ada.id], add=["WORK", " "], remove=["none"]) is None
    assert store.get(ada.id) == ada


def test_tagging_changes_only_those_that_differ(store: ContactStore) -> None:
    ada, bo = add(store, "Ada", tags="VIP"), add(store, "Bo")

    batch = store.tag([ada.id, bo.id, 99, -1, 2**70, bo.id], add=["VIP"])

    assert batch is not None
    assert (batch.size, batch.first.contact_id) == (1, bo.id)


@pytest.mark.parametrize("tags", [["x" * 41], ["a,b"], ["\x00"]])
def test_a_bad_tag_changes_nobody(store: ContactStore, tags: list[str]) -> None:
    ada = add(store, "Ada")

    with pytest.raises(InvalidContact) as refused:
        store.tag([ada.id], add=tags)

    assert list(refused.value.errors) == ["tags"]
    assert store.get(ada.id) == ada


def test_too_many_tags_for_one_contact_change_nobody(store: ContactStore) -> None:
    bo = add(store, "Bo")
    full = add(store, "Full", tags=",".join(map(str, range(20))))

    with pytest.raises(InvalidContact):
        store.tag([bo.id, full.id], add=["VIP"])

    assert store.get(bo.id) == bo
    assert store.last_change() == 2


# --- undo


def test_undoing_an_addition_takes_the_contact_away(store: ContactStore) -> None:
    ada, batch = store.add(ADA)

    undo = store.undo(batch.id)

    assert store.count() == 0
    assert (undo.kind, undo.undoes, undo.first.before, undo.first.after) == ("undo", batch.id, ada, None)


def test_undoing_an_update_brings_the_fields_back_as_a_newer_version(store: ContactStore) -> None:
    ada, _ = store.add(replace(ADA, tags=("VIP",)))
    _, batch = store.update(ada.id, GRACE, 1)
    assert batch is not None

    store.undo(batch.id)

    restored = store.get(ada.id)
    assert restored == replace(ada, version=3, updated_at=restored.updated_at)
    assert store.count(ListQuery(text="lovelace", tags=("vip",))) == 1
    assert store.find_email(GRACE.email) is None


def test_undoing_a_deletion_brings_the_contacts_back_under_their_ids(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(replace(GRACE, tags=("Navy",)))[0]
    batch = store.delete([ada.id, grace.id])
    assert batch is not None

    undo = store.undo(batch.id)

    assert undo.size == 2
    restored = store.get(grace.id)
    assert restored == replace(grace, version=2, updated_at=restored.updated_at)
    assert paged(store, ListQuery(text="hopper", tags=("navy",))) == ["Grace Hopper"]
    assert store.find_email(ADA.email) == store.get(ada.id)
    assert store.count() == 2


def test_undoing_tags_brings_them_back(store: ContactStore) -> None:
    ada = add(store, "Ada", tags="Old")
    batch = store.tag([ada.id], add=["New"], remove=["Old"])
    assert batch is not None

    store.undo(batch.id)

    assert store.get(ada.id).tags == ("Old",)
    assert store.count(ListQuery(tags=("old",))) == 1
    assert store.count(ListQuery(tags=("new",))) == 0


def test_undoing_an_import_takes_back_what_it_added_and_changed(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    result = store.import_many([replace(ADA, company="Looms"), GRACE], "update")
    assert result.batch is not None

    store.undo(result.batch.id)

    assert store.count() == 1
    assert store.get(ada.id).company == "Engines"


def test_an_undo_can_be_undone_and_that_again(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    deletion = store.delete([ada.id])
    assert deletion is not None

    restored = store.undo(deletion.id)
    gone = store.undo(restored.id)
    back = store.undo(gone.id)

    assert (gone.undoes, back.undoes) == (restored.id, gone.id)
    assert store.get(ada.id).version == 3


def test_a_batch_and_its_undo_know_each_other(store: ContactStore) -> None:
    _, batch = store.add(ADA)

    undo = store.undo(batch.id)

    undone = store.batch(batch.id)
    assert undone is not None
    assert (undone.undone_by, undone.undoes) == (undo.id, None)
    assert (undo.undone_by, undo.undoes) == (None, batch.id)
    assert store.batch(undo.id) == undo


def test_an_editor_opened_before_an_undo_meets_a_conflict(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    updated, batch = store.update(ada.id, GRACE, 1)
    assert batch is not None
    store.undo(batch.id)

    for seen in (ada, updated):
        with pytest.raises(EditConflict):
            store.update(ada.id, ALAN, seen.version)


@pytest.mark.parametrize("batch_id", [0, -1, 99, 2**63, 2**70])
def test_undoing_what_the_log_does_not_hold_says_so(store: ContactStore, batch_id: int) -> None:
    store.add(ADA)

    with pytest.raises(NoSuchBatch) as missing:
        store.undo(batch_id)

    assert missing.value.batch_id == batch_id
    assert store.batch(batch_id) is None


def test_a_batch_is_undone_once(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    deletion = store.delete([ada.id])
    assert deletion is not None
    undo = store.undo(deletion.id)
    before = everything(store)

    for partly in (False, True):
        assert store.undo(deletion.id, partly=partly) == undo
        assert everything(store) == before
    (example,) = store.undo_plan(deletion.id).examples
    assert (example.now, example.obstacle) == (store.get(ada.id), "It is back already.")


def test_a_batch_that_was_undone_stays_undone_when_its_outcome_comes_about_again(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    deletion = store.delete([ada.id])
    assert deletion is not None
    undo = store.undo(deletion.id)
    store.delete([ada.id])
    before = everything(store)

    assert store.undo(deletion.id) == undo
    assert everything(store) == before


def test_a_batch_whose_undo_was_undone_is_not_taken_back_by_its_old_number(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    deletion = store.delete([ada.id])
    assert deletion is not None
    store.undo(store.undo(deletion.id).id)

    with pytest.raises(UndoConflict) as conflict:
        store.undo(deletion.id)

    assert conflict.value.plan.examples[0].now is None


def test_undoing_changes_nobody_when_one_contact_has_changed_since(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(GRACE)[0]
    batch = store.tag([ada.id, grace.id], add=["VIP"])
    assert batch is not None
    current, _ = store.update(grace.id, replace(ALAN, tags=("VIP", "Logic")), 2)
    before = everything(store)

    with pytest.raises(UndoConflict) as conflict:
        store.undo(batch.id)

    plan = conflict.value.plan
    assert (plan.whole, plan.partial, plan.blocked) == (1, 1, 0)
    assert [example.now for example in plan.examples] == [current]
    assert store.undo_plan(batch.id).examples[0].restored == ("tags",)
    assert everything(store) == before


def test_undoing_partly_takes_back_what_nobody_has_changed_since(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(GRACE)[0]
    alan, _ = store.add(ALAN)
    batch = store.tag([ada.id, grace.id, alan.id], add=["VIP"])
    assert batch is not None
    store.update(grace.id, replace(GRACE, tags=("Navy", "VIP"), notes="Admiral"), 2)
    store.delete([alan.id])

    undo = store.undo(batch.id, partly=True)

    assert (undo.size, undo.undoes) == (2, batch.id)
    assert store.get(ada.id).tags == ()
    assert (store.get(grace.id).tags, store.get(grace.id).notes) == (("Navy",), "Admiral")
    assert store.undo_plan(undo.id).whole == 2


def test_undoing_changes_nobody_when_an_email_is_taken_by_now(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(GRACE)[0]
    batch = store.delete([grace.id, ada.id])
    assert batch is not None
    add(store, "Augusta", email="ADA@example.com")
    before = everything(store)

    with pytest.raises(UndoConflict) as refused:
        store.undo(batch.id)

    plan = refused.value.plan
    assert (plan.whole, plan.blocked) == (1, 1)
    assert plan.examples[0].obstacle == "Augusta has its email address by now."
    assert everything(store) == before
    assert store.undo(batch.id, partly=True).size == 1
    assert store.get(grace.id).name == "Grace Hopper"


def test_undoing_an_update_is_refused_when_the_old_email_is_taken_by_now(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    updated, batch = store.update(ada.id, replace(ADA, email="new@example.com"), 1)
    assert batch is not None
    store.add(ADA)

    with pytest.raises(UndoConflict) as refused:
        store.undo(batch.id, partly=True)

    assert refused.value.plan.blocked == 1
    assert store.get(ada.id) == updated


def test_a_plan_is_what_undoing_partly_would_do(store: ContactStore) -> None:
    result = store.import_many([draft(f"Person {number:02}") for number in range(40)])
    assert result.batch is not None
    store.tag(range(1, 31), add=["VIP"])

    plan = store.undo_plan(result.batch.id)

    assert (plan.batch.id, plan.whole, plan.partial, plan.blocked) == (result.batch.id, 10, 0, 30)
    assert [example.change.contact_id for example in plan.examples] == list(range(1, EXAMPLES + 1))
    assert {example.obstacle for example in plan.examples} == {
        "It was changed after it was added, so it stays."
    }
    with pytest.raises(NoSuchBatch):
        store.undo_plan(999)


# --- merge


def test_merging_makes_one_contact_of_several(store: ContactStore) -> None:
    ada, grace, alan = (store.add(person)[0] for person in (ADA, GRACE, ALAN))
    wanted = replace(GRACE, name="Ada Hopper", tags=("Both",))

    merged, batch = store.merge({ada.id: 1, grace.id: 1}, wanted)

    assert (merged, merged.version) == (store.get(ada.id), 2)
    assert ContactDraft.of(merged) == wanted
    assert list(store.ids(ListQuery())) == [ada.id, alan.id]
    assert (batch.kind, batch.size, str(batch)) == ("merge", 2, "Merged 2 contacts into Ada Hopper")
    assert store.find_email(GRACE.email) == merged


def test_a_merge_can_be_undone_and_that_again_though_an_email_changes_hands(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(GRACE)[0]
    _, merge = store.merge({ada.id: 1, grace.id: 1}, GRACE)

    apart = store.undo(merge.id)

    assert [store.find_email(person.email) for person in (ADA, GRACE)] == [
        store.get(ada.id),
        store.get(grace.id),
    ]
    again = store.undo(apart.id)
    assert store.find_email(GRACE.email) == store.get(ada.id)
    store.undo(again.id)
    assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace", "Grace Hopper"]


def test_a_merge_of_several_hundreds_can_be_undone(store: ContactStore) -> None:
    store.import_many([draft(f"Person {number:04}") for number in range(1_100)])
    last = store.get(1_100)
    _, merge = store.merge(dict.fromkeys(range(1, 1_101), 1), replace(ADA, email=last.email))

    store.undo(merge.id)

    assert store.count() == 1_100
    assert store.get(last.id).email == last.email == "person.1099@example.com"


def test_a_merge_is_refused_for_rules_then_absence_then_version_then_email(store: ContactStore) -> None:
    ada, grace = store.add(ADA)[0], store.add(GRACE)[0]
    alan, _ = store.add(ALAN)
    before = everything(store)

    with pytest.raises(InvalidContact):
        store.merge({ada.id: 9, 99: 1}, ContactDraft())
    with pytest.raises(NoSuchContact) as missing:
        store.merge({ada.id: 1, 99: 1, grace.id: 9}, ALAN)
    assert missing.value.contact_id == 99
    with pytest.raises(EditConflict) as conflict:
        store.merge({ada.id: 1, grace.id: 2}, ALAN)
    assert conflict.value.current == grace
    with pytest.raises(InvalidContact) as taken:
        store.merge({ada.id: 1, grace.id: 1}, ALAN)
    assert taken.value.taken_by == alan
    assert everything(store) == before


# --- import_many


# --- import_many


def test_an_import_adds_its_drafts_as_one_batch(store: ContactStore) -> None:
    result = store.import_many(iter([ADA, GRACE, ALAN]))

    assert (result.added, result.updated, result.skipped, result.failed) == (3, 0, 0, ())
    assert result.batch is not None
    assert (result.batch.kind, result.batch.size) == ("import", 3)
    assert store.batch(result.batch.id) == result.batch
    assert names(store.export(ListQuery())) == ["Ada Lovelace", "Alan Turing", "Grace Hopper"]


def test_an_import_gives_ids_in_the_order_of_its_rows(store: ContactStore) -> None:
    store.add(ALAN)

    store.import_many([GRACE, ADA])

    assert [store.get(contact_id).name for contact_id in (2, 3)] == ["Grace Hopper", "Ada Lovelace"]


@pytest.mark.parametrize("drafts", [[], [ContactDraft()], [ADA]])
def test_an_import_that_changes_nothing_is_no_batch(store: ContactStore, drafts: list[ContactDraft]) -> None:
    store.add(ADA)

    result = store.import_many(drafts, "update")

    assert result.batch is None
    assert store.last_change() == 1


def test_rows_that_break_a_rule_are_reported_and_the_others_kept(store: ContactStore) -> None:
    nameless, numberless = ContactDraft(phone=" 1 "), ContactDraft(name="Bo", phone="none")

    result = store.import_many([nameless, ADA, numberless])

    assert result.failed == (
        RowError(1, nameless, {"name": "This field is required. Enter a name."}),
        RowError(
            3, numberless, {"phone": "Enter a phone number with digits, spaces and + - ( ) . / x only."}
        ),
    )
    assert paged(store, ListQuery()) == ["Ada Lovelace"]


NEWER = ContactDraft(name="Ada King", email="ADA@example.com", notes="Countess", tags=("New", "old"))


@pytest.mark.parametrize(
    ("on_duplicate", "expected"),
    [
        ("skip", draft("Ada", email="ada@example.com", phone="1", tags="Old")),
        ("update", draft("Ada King", email="ADA@example.com", phone="1", notes="Countess", tags="New,old")),
        ("fill", draft("Ada", email="ada@example.com", phone="1", notes="Countess", tags="New,Old")),
    ],
)
def test_a_draft_with_a_known_email_is_left_alone_or_replaces_or_fills(
    store: ContactStore, on_duplicate: OnDuplicate, expected: ContactDraft
) -> None:
    ada = add(store, "Ada", email="ada@example.com", phone="1", tags="Old")

    result = store.import_many([NEWER], on_duplicate)

    assert ContactDraft.of(store.get(ada.id)) == expected
    assert store.count() == 1
    changed = on_duplicate != "skip"
    assert (result.added, result.updated, result.skipped) == (0, int(changed), int(not changed))
    assert store.get(ada.id).version == 1 + changed
    assert store.count(ListQuery(text="countess", tags=("new",))) == int(changed)


@pytest.mark.parametrize(
    ("name", "phone", "known"),
    [
        ("zoe  MÜLLER", "(0)30-12", True),
        ("Zoë Müller", "030 13", False),
        ("Zoë Miller", "030 12", False),
    ],
)
def test_a_draft_without_email_is_known_by_name_and_digits(
    store: ContactStore, name: str, phone: str, known: bool
) -> None:
    add(store, "Zoë Müller", phone="030 12")

    result = store.import_many([draft(name, phone=phone)])

    assert (result.skipped, result.added) == ((1, 0) if known else (0, 1))


def test_a_draft_without_email_is_not_known_by_a_contact_that_has_one(store: ContactStore) -> None:
    add(store, "Ada", email="ada@example.com", phone="1")

    result = store.import_many([draft("Ada", phone="1")])

    assert result.added == 1


def test_a_draft_with_an_email_is_not_known_by_name_and_digits(store: ContactStore) -> None:
    add(store, "Ada", phone="1")

    result = store.import_many([draft("Ada", phone="1", email="ada@example.com")], "fill")

    assert result.added == 1


def test_of_two_contacts_that_a_draft_may_be_the_oldest_is_meant(store: ContactStore) -> None:
    oldest, newer = add(store, "Ada", phone="1"), add(store, "Ada", phone="1")
    deletion = store.delete([oldest.id])
    assert deletion is not None
    store.undo(deletion.id)

    store.import_many([draft("Ada", phone="1", company="Engines")], "fill")

    assert (store.get(oldest.id).company, store.get(newer.id).company) == ("Engines", "")


def test_a_known_draft_that_changes_nothing_counts_as_skipped(store: ContactStore) -> None:
    store.add(ADA)

    result = store.import_many([ADA, replace(ADA, name=" Ada  Lovelace")], "update")

    assert (result.updated, result.skipped) == (0, 2)
    assert store.get(1).version == 1


def test_filling_in_more_tags_than_allowed_is_reported_and_changes_nothing(store: ContactStore) -> None:
    full, _ = store.add(replace(ADA, tags=tuple(map(str, range(20)))))
    bad, worse = ContactDraft(), replace(ADA, tags=("VIP",))

    result = store.import_many([worse, bad], "fill")

    assert [(error.row, error.draft, list(error.errors)) for error in result.failed] == [
        (1, worse, ["tags"]),
        (2, bad, ["name", "email"]),
    ]
    assert store.get(full.id) == full


def test_a_later_row_knows_what_an_earlier_one_added(store: ContactStore) -> None:
    rows = [ADA, replace(ADA, company="", notes="Countess"), draft("Bo", phone="1"), draft("BO", phone="(1)")]

    result = store.import_many(rows, "fill")

    assert (result.added, result.updated, result.skipped) == (2, 1, 1)
    assert result.batch is not None
    assert result.batch.size == 2
    assert (store.get(1).notes, store.get(1).company, store.get(1).version) == ("Countess", "Engines", 1)


def test_a_contact_that_several_rows_change_has_one_change_in_the_batch(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    others = [draft(f"Other {number}") for number in range(1_200)]

    result = store.import_many(
        [replace(ADA, notes="1"), *others, replace(ADA, notes="2"), replace(ADA, notes="3"), others[0]],
        "update",
    )

    assert (result.added, result.updated, result.skipped) == (1_200, 3, 1)
    assert result.batch is not None
    assert result.batch.size == 1_201
    changes = [change for change in store.changes(1, 2_000) if change.contact_id == ada.id]
    assert [(change.before, change.after) for change in changes] == [(ada, store.get(ada.id))]
    assert (store.get(ada.id).notes, store.get(ada.id).version) == ("3", 2)
    assert [change.seq for change in store.changes(0, 2_000)] == list(range(1, 1_203))


def test_an_import_of_several_hundreds_can_be_undone(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    people = [draft(f"Person {number}", tags="New") for number in range(1_200)]
    result = store.import_many([*people, replace(ADA, company="Looms")], "update")
    assert result.batch is not None

    undo = store.undo(result.batch.id)

    assert undo.size == 1_201
    assert (store.count(), store.get(ada.id).company) == (1, "Engines")
    assert store.count(ListQuery(tags=("new",))) == 0


def test_an_import_tells_how_far_it_has_read(store: ContactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_stores(monkeypatch, IMPORT_TURN=0)  # however fast this computer is
    told: list[int] = []

    store.import_many((draft(f"Person {number}") for number in range(1_234)), progress=told.append)

    assert told == sorted(told)
    assert told[-1] == 1_234
    assert len(told) > 2


def test_an_import_of_nothing_has_read_nothing(store: ContactStore) -> None:
    told: list[int] = []

    store.import_many([], progress=told.append)

    assert told == [0]


@pytest.mark.parametrize("where", ["drafts", "progress"])
def test_an_import_that_breaks_off_keeps_nothing_and_passes_the_error_on(
    store: ContactStore, where: str
) -> None:
    def broken() -> Iterator[ContactDraft]:
        yield from (draft(f"Person {number}") for number in range(600))
        if where == "drafts":
            raise OSError("the upload was cut off")

    def stop(done: int) -> None:
        if where == "progress":
            raise OSError("the upload was cut off")

    with pytest.raises(OSError, match="cut off"):
        store.import_many(broken(), progress=stop)

    assert store.count() == 0
    assert not any(batch.open for batch in store.batches())


def test_an_import_that_breaks_off_leaves_alone_what_others_have_changed_since(sqlite: SQLiteStore) -> None:
    def stop(done: int) -> None:
        sqlite.tag([2], add=["Mine"])
        raise OSError("the upload was cut off")

    with pytest.raises(OSError, match="cut off"):
        sqlite.import_many([draft(f"Person {number}") for number in range(3)], progress=stop)

    assert names(sqlite.list(ListQuery()).contacts) == ["Person 1"]
    undo, _, imported = sqlite.batches()
    assert (undo.kind, undo.undoes, undo.size) == ("undo", imported.id, 2)
    assert (imported.undone_by, imported.open) == (undo.id, False)


def test_others_can_write_while_the_drafts_of_an_import_are_read(store: ContactStore) -> None:
    def drafts() -> Iterator[ContactDraft]:
        yield ADA
        store.add(GRACE)
        yield GRACE

    result = store.import_many(drafts())

    assert (result.added, result.skipped, store.count()) == (1, 1, 2)


def test_a_preview_says_what_an_import_would_do_and_does_nothing(store: ContactStore) -> None:
    store.add(ADA)
    rows = [
        replace(ADA, notes="Countess"),
        GRACE,
        replace(GRACE, notes="Admiral"),
        ContactDraft(name="Nobody"),
        ADA,
        *(draft(f"Person {number}") for number in range(700)),
        GRACE,
    ]
    before = everything(store)

    previewed = {kind: store.preview(iter(rows), kind) for kind in DUPLICATES}

    assert everything(store) == before
    assert previewed["skip"].skipped == 4
    assert (previewed["fill"].added, previewed["fill"].updated, previewed["fill"].skipped) == (701, 2, 2)
    for kind, expected in previewed.items():
        result = store.import_many(rows, kind)
        assert result.batch is not None
        assert replace(result, batch=None) == expected
        store.undo(result.batch.id)


def test_rows_about_one_contact_change_it_once_however_far_apart(store: ContactStore) -> None:
    store.add(ADA)
    rows = [draft("Bo", phone="1")]
    for number in range(500):
        rows += [
            draft(f"Person {number}"),
            replace(ADA, notes=str(number)),
            draft("Bo", phone="(1)", notes="x"),
        ]

    result = store.import_many(rows, "update")

    assert (result.added, result.updated, result.skipped, len(result.failed)) == (501, 501, 499, 0)
    assert (store.get(1).notes, store.get(1).version, store.get(2).version) == ("499", 2, 1)
    assert [contact.name for contact in map(store.get, range(3, 503))] == [
        f"Person {number}" for number in range(500)
    ]


def test_a_store_can_import_what_it_exports(store: ContactStore) -> None:
    store.import_many([ADA, GRACE, ALAN])

    copies = (replace(ContactDraft.of(contact), tags=("Copy",)) for contact in store.export(ListQuery()))
    result = store.import_many(copies, "fill")

    assert (result.updated, store.count(ListQuery(tags=("copy",)))) == (3, 3)


# --- export


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_an_export_is_the_whole_list_in_its_order(store: ContactStore, sort: Sort, descending: bool) -> None:
    store.import_many(draft(f"Person {number % 10} {number}") for number in range(1_100))
    query = ListQuery(sort=sort, descending=descending, limit=600)

    exported = list(store.export(replace(query, after=("zzz", 1) if sort != "updated" else (0, 1), limit=1)))

    assert exported == [contact for page in pages(store, query) for contact in page.contacts]


def test_an_export_holds_only_what_matches(store: ContactStore) -> None:
    store.import_many([ADA, replace(GRACE, tags=("Navy",)), ALAN])

    assert names(store.export(ListQuery(text="ada"))) == ["Ada Lovelace"]
    assert names(store.export(ListQuery(tags=("navy",)))) == ["Grace Hopper"]
    assert names(store.export(ListQuery(text="a", tags=("navy",)))) == []


def test_who_is_exported_is_settled_at_the_call(store: ContactStore) -> None:
    made = [add(store, f"Person {number:04}") for number in range(1_100)]
    export = store.export(ListQuery())
    first = next(export)

    store.update(first.id, draft("Zoë once the first"), 1)
    store.update(made[-1].id, draft("Aaron once the last"), 1)
    store.delete([made[600].id])
    add(store, "Zoë")

    rest = [contact.id for contact in export]
    everybody = [contact.id for contact in made[1:]]
    assert rest in (everybody, [contact_id for contact_id in everybody if contact_id != made[600].id])


def test_an_export_may_be_left_half_read(store: ContactStore) -> None:
    store.import_many([ADA, GRACE])

    export = store.export(ListQuery())
    next(export)

    assert store.add(ALAN)[0].name == "Alan Turing"
    store.close()


# --- changes, last_change, batch, batches, samples


def test_every_write_leaves_a_change_with_before_and_after(store: ContactStore) -> None:
    ada, added = store.add(ADA)
    grace, updated = store.update(ada.id, GRACE, 1)
    deleted = store.delete([ada.id])
    assert updated is not None
    assert deleted is not None

    changes = store.changes(0)

    assert [(change.seq, change.batch, change.kind) for change in changes] == [
        (1, added.id, "add"),
        (2, updated.id, "update"),
        (3, deleted.id, "delete"),
    ]
    assert [(change.before, change.after) for change in changes] == [(None, ada), (ada, grace), (grace, None)]
    assert [change.at for change in changes] == [added.at, updated.at, deleted.at]


def test_changes_are_read_from_a_place_on_oldest_first(store: ContactStore) -> None:
    store.import_many(draft(f"Person {number}") for number in range(5))

    assert [change.seq for change in store.changes(2)] == [3, 4, 5]
    assert [change.seq for change in store.changes(1, limit=2)] == [2, 3]
    assert [change.seq for change in store.changes(-7, limit=2)] == [1, 2]
    assert list(store.changes(5)) == []
    assert list(store.changes(2**70)) == []


def test_the_newest_change_moves_with_every_write_and_with_nothing_else(store: ContactStore) -> None:
    ada, batch = store.add(ADA)
    assert store.last_change() == 1

    store.list(ListQuery(text="ada"))
    store.delete([99])
    store.update(ada.id, ADA, 1)
    assert store.last_change() == 1

    store.undo(batch.id)
    assert store.last_change() == 2


def test_the_activity_feed_has_the_newest_batches_first(store: ContactStore) -> None:
    _, first = store.add(ADA)
    second = store.import_many([GRACE, ALAN]).batch
    third = store.delete([1])

    assert list(store.batches()) == [third, second, first]
    assert list(store.batches(limit=2)) == [third, second]
    assert list(map(str, store.batches())) == [
        "Deleted Ada Lovelace",
        "Imported 2 contacts",
        "Added Ada Lovelace",
    ]


def test_the_activity_feed_says_what_happened_in_words(store: ContactStore) -> None:
    ada, added = store.add(ADA)
    _, saved = store.update(ada.id, GRACE, 1)
    tagged = store.tag([ada.id], add=["VIP"])
    deleted = store.delete([ada.id])
    sampled = store.import_many([ADA], kind="sample").batch
    assert deleted
    assert sampled
    restored = store.undo(deleted.id)
    gone = store.undo(sampled.id)
    tagged_again = store.tag([ada.id], add=["Navy"])
    assert tagged_again
    undone = store.undo(tagged_again.id)

    batches = (added, saved, tagged, deleted, sampled, restored, gone, tagged_again, undone)

    assert [str(batch) for batch in batches] == [
        "Added Ada Lovelace",
        "Saved Grace Hopper",
        "Changed the tags of Grace Hopper",
        "Deleted Grace Hopper",
        "Added 1 sample contact",
        "Restored Grace Hopper",
        "Removed Ada Lovelace",
        "Changed the tags of Grace Hopper",
        "Undid the changes to Grace Hopper",
    ]


def test_samples_are_those_that_nobody_has_changed_since(store: ContactStore) -> None:
    add(store, "Own")
    store.import_many([ADA, GRACE, ALAN, draft("Dot"), draft("Eve")], kind="sample")
    store.update(2, replace(ADA, company="Mine now"), 1)
    store.delete([3])
    deletion = store.delete([5])
    assert deletion is not None
    store.undo(deletion.id)

    assert list(store.samples()) == [4, 6]
    assert list(store.samples(limit=1)) == [4]


def test_a_sample_batch_that_was_undone_leaves_no_samples(store: ContactStore) -> None:
    result = store.import_many([ADA, GRACE], kind="sample")
    assert result.batch is not None
    assert list(store.samples()) == [1, 2]

    undo = store.undo(result.batch.id)
    assert list(store.samples()) == []

    store.undo(undo.id)
    assert list(store.samples()) == []


def test_what_a_sample_batch_changed_but_did_not_make_is_no_sample(store: ContactStore) -> None:
    store.add(ADA)

    store.import_many([replace(ADA, company="Looms"), GRACE], "update", kind="sample")

    assert list(store.samples()) == [2]


# --- running


def test_an_open_store_is_ready(store: ContactStore) -> None:
    store.open_worker()
    store.check()

    assert store.count() == 0


def test_a_thread_may_use_the_store_after_giving_back_what_it_holds(store: ContactStore) -> None:
    store.open_worker()
    store.add(ADA)
    store.close_worker()
    store.close_worker()

    assert store.count() == 1


# --- neighbours, ids, tags, history, version


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("text", ["", "person", "son 1"])
def test_neighbours_are_those_beside_a_contact_in_the_list(
    store: ContactStore, text: str, sort: Sort, descending: bool
) -> None:
    store.import_many(
        draft(f"Person {number % 4}", phone=str(number), company="Acme") for number in range(12)
    )
    query = ListQuery(text=text, sort=sort, descending=descending, limit=1, after=("x", 1))
    ids = [None, *store.ids(query), None]

    for before, contact_id, behind in zip(ids, ids[1:], ids[2:], strict=False):
        assert contact_id is not None
        beside = store.neighbours(query, contact_id)
        assert tuple(contact and contact.id for contact in beside) == (before, behind)


def test_a_contact_that_does_not_match_has_its_place_among_those_that_do(store: ContactStore) -> None:
    ada, grace, alan = (store.add(person)[0] for person in (ADA, GRACE, ALAN))

    assert store.neighbours(ListQuery(text="a"), alan.id) == (ada, None)
    assert store.neighbours(ListQuery(text="hopper"), alan.id) == (None, grace)
    assert store.neighbours(ListQuery(text="nobody"), alan.id) == (None, None)


@pytest.mark.parametrize("contact_id", IMPOSSIBLE_IDS)
def test_nobody_has_no_neighbours(store: ContactStore, contact_id: int) -> None:
    store.add(ADA)

    with pytest.raises(NoSuchContact):
        store.neighbours(ListQuery(), contact_id)


def test_ids_are_those_of_the_whole_list_in_its_order(store: ContactStore) -> None:
    store.import_many(draft(f"Person {number:03}") for number in range(120))

    assert list(store.ids(ListQuery(descending=True, limit=5, after=("x", 1)))) == list(range(120, 0, -1))
    assert list(store.ids(ListQuery(text="person 01"))) == list(range(11, 21))
    assert list(store.ids(ListQuery(text="nobody"))) == []


def test_tags_come_with_their_numbers_most_used_first(store: ContactStore) -> None:
    add(store, "Ada", tags="work,Zürich")
    bo = add(store, "Bo", tags="Work,vip")
    assert store.tags() == (("work", 2), ("vip", 1), ("Zürich", 1))

    store.tag([bo.id], add=["ZÜRICH"], remove=["vip", "work"])
    assert store.tags() == (("Zürich", 2), ("work", 1))

    deletion = store.delete([1])
    assert store.tags() == (("ZÜRICH", 1),)

    assert deletion
    store.undo(deletion.id)
    assert store.tags() == (("Zürich", 2), ("work", 1))


def test_the_history_of_a_contact_has_its_newest_change_first(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    store.add(GRACE)
    store.tag([ada.id], add=["VIP"])
    store.delete([ada.id])

    history = store.history(ada.id)

    assert [change.kind for change in history] == ["delete", "tag", "add"]
    assert store.history(ada.id, limit=1) == history[:1]
    assert [store.history(contact_id) for contact_id in (0, -1, 99, 2**70)] == [()] * 4


def test_a_contact_can_be_seen_at_each_of_its_versions(store: ContactStore) -> None:
    ada, _ = store.add(ADA)
    saved, _ = store.update(ada.id, replace(ADA, notes="Countess"), 1)
    deletion = store.delete([ada.id])
    assert deletion
    store.undo(deletion.id)

    assert [store.version(ada.id, version) for version in (1, 2, 3)] == [ada, saved, store.get(ada.id)]
    assert [store.version(ada.id, version) for version in (0, -1, 4, 2**70)] == [None] * 4
    assert store.version(99, 1) is None


def test_batches_can_be_read_from_a_place_on(store: ContactStore) -> None:
    for number in range(5):
        add(store, f"Person {number}")

    assert [batch.id for batch in store.batches(2, before=4)] == [3, 2]
    assert [batch.id for batch in store.batches(9, before=99)] == [5, 4, 3, 2, 1]
    assert [store.batches(9, before=before) for before in (1, 0, -5)] == [()] * 3


CALLS: list[Callable[[ContactStore], object]] = [
    lambda store: store.list(ListQuery()),
    lambda store: store.neighbours(ListQuery(), 1),
    lambda store: store.ids(ListQuery()),
    lambda store: store.tags(),
    lambda store: store.get(1),
    lambda store: store.count(),
    lambda store: store.merge({1: 1, 2: 1}, GRACE),
    lambda store: store.undo_plan(1),
    lambda store: store.preview([GRACE]),
    lambda store: store.history(1),
    lambda store: store.version(1, 1),
    lambda store: store.find_email("ada@example.com"),
    lambda store: store.add(GRACE),
    lambda store: store.update(1, GRACE, 1),
    lambda store: store.delete([1]),
    lambda store: store.tag([1], add=["VIP"]),
    lambda store: store.undo(1),
    lambda store: store.import_many([GRACE]),
    lambda store: list(store.export(ListQuery())),
    lambda store: store.changes(0),
    lambda store: store.last_change(),
    lambda store: store.batch(1),
    lambda store: store.batches(),
    lambda store: store.samples(),
    lambda store: store.statistics(),
    lambda store: store.added_by_week(1),
    lambda store: store.top("company", 1),
    lambda store: store.check(),
    lambda store: store.open_worker(),
]


def test_every_call_to_a_closed_store_says_that_it_is_closed(store: ContactStore) -> None:
    store.add(ADA)
    store.close()
    store.close()

    for call in CALLS:
        with pytest.raises(StoreUnavailable, match=r"^The address book is closed\.$"):
            call(store)


def test_contacts_and_their_log_do_not_change_in_the_hands_of_a_reader(store: ContactStore) -> None:
    ada: Contact = store.add(ADA)[0]

    with pytest.raises(AttributeError):
        ada.name = "Grace"  # type: ignore[misc]  # the point of this test

    assert store.get(ada.id).name == "Ada Lovelace"
