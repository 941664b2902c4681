"""What undoing one change does to its contact, whatever happened to it since."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.contacts.changes import Batch, Change, Kind, Reversal, reverse
from app.contacts.contact import FIELDS, TAGS_LIMIT, Contact, now
from tests.making import ADA

AT = now()
LATER = AT + timedelta(seconds=1)
V1 = Contact.create(1, replace(ADA, tags=("Work",)), AT)
V2 = replace(V1, name="Ada King", notes="Countess", tags=("VIP", "Work"), version=2)


def change(before: Contact | None, after: Contact | None, kind: Kind = "update") -> Change:
    return Change(1, 1, AT, kind, 1, before, after)


def undone(before: Contact | None, after: Contact | None, current: Contact | None) -> Reversal:
    """The reversal of a change of a contact that has changed since."""
    return reverse(change(before, after), current, LATER, changed_since=True)


# --- nothing happened since


def test_an_update_gives_everything_back_as_a_newer_version() -> None:
    reversal = reverse(change(V1, V2), V2, LATER, changed_since=False)

    assert reversal.after == replace(V1, version=3, updated_at=LATER)
    assert (reversal.restored, reversal.obstacle) == (FIELDS, "")


def test_an_added_contact_goes_and_a_deleted_one_comes_back() -> None:
    assert reverse(change(None, V1, "add"), V1, LATER, changed_since=False).after is None

    back = reverse(change(V2, None, "delete"), None, LATER, changed_since=False)

    assert back.after == replace(V2, version=3, updated_at=LATER)


# --- it has changed since


def test_fields_that_nobody_has_changed_since_get_back_what_they_held() -> None:
    current = replace(V2, phone="+44 20 7946 0199", version=3)

    reversal = undone(V1, V2, current)

    assert reversal.after == replace(
        current, name="Ada Lovelace", notes="", tags=("Work",), version=4, updated_at=LATER
    )
    assert (set(reversal.restored), reversal.kept) == ({"name", "tags", "notes"}, ())
    assert reversal.changed_since


def test_a_field_that_was_changed_again_stays_as_it_is() -> None:
    current = replace(V2, name="Augusta", version=3)

    reversal = undone(V1, V2, current)

    assert reversal.after is not None
    assert (reversal.after.name, reversal.after.notes) == ("Augusta", "")
    assert (reversal.restored, reversal.kept) == (("tags", "notes"), ("name",))


def test_tags_are_undone_one_by_one() -> None:
    current = replace(V2, tags=("Maths", "VIP", "Work"), version=3)

    reversal = undone(V1, V2, current)

    assert reversal.after is not None
    assert reversal.after.tags == ("Maths", "Work")
    assert "tags" in reversal.restored


def test_where_all_was_changed_again_nothing_can_be_undone() -> None:
    current = replace(V2, name="Augusta", notes="Mother of three", tags=("Work",), version=3)

    reversal = undone(V1, V2, current)

    assert (reversal.after, reversal.restored) == (current, ())
    assert reversal.obstacle == "What it changed was changed again since."


def test_what_would_break_a_rule_is_not_undone() -> None:
    without = replace(V1, tags=())
    full = tuple(f"t{number:02}" for number in range(TAGS_LIMIT))

    reversal = undone(V1, without, replace(without, tags=full, version=3))

    assert reversal.obstacle == f"Use at most {TAGS_LIMIT} tags; this has {TAGS_LIMIT + 1}."
    assert reversal.after == reversal.now


@pytest.mark.parametrize(
    ("before", "after", "current", "obstacle"),
    [
        (None, V1, V2, "It was changed after it was added, so it stays."),
        (None, V1, None, "It is deleted already."),
        (V1, V2, None, "It was deleted since."),
        (V1, None, V2, "It is back already."),
    ],
)
def test_a_contact_that_came_or_went_meanwhile_is_left_alone(
    before: Contact | None, after: Contact | None, current: Contact | None, obstacle: str
) -> None:
    reversal = undone(before, after, current)

    assert (reversal.after, reversal.obstacle) == (current, obstacle)


# --- in words


@pytest.mark.parametrize(
    ("kind", "size", "words"),
    [
        ("import", 1, "Imported Ada Lovelace"),
        ("import", 1_200, "Imported 1,200 contacts"),
        ("merge", 3, "Merged 3 contacts into Ada Lovelace"),
        ("sample", 12, "Added 12 sample contacts"),
    ],
)
def test_a_batch_says_what_happened(kind: Kind, size: int, words: str) -> None:
    assert str(Batch(1, AT, kind, size, change(None, V1, kind))) == words
