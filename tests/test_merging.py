"""Three-way merge of two edits, and one contact made of several."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.contacts.contact import FIELDS, Contact, ContactDraft, now
from app.contacts.merging import combined, merged, same_tags, with_the_rest
from tests.making import ADA, GRACE

few = st.sampled_from(("", "a", "b", "c"))
drafts = st.builds(
    ContactDraft,
    few,
    few,
    few,
    few,
    few,
    st.lists(st.sampled_from(("Work", "work", "VIP", "ß")), max_size=3).map(tuple),
)
TEXTS = [field for field in FIELDS if field != "tags"]


def contact(contact_id: int, draft: ContactDraft) -> Contact:
    return Contact.create(contact_id, draft, now())


# --- merged


def test_edits_of_different_fields_are_both_kept() -> None:
    theirs, mine = replace(ADA, phone="1"), replace(ADA, notes="Countess")

    assert merged(ADA, theirs, mine) == (replace(ADA, phone="1", notes="Countess"), ())


def test_different_edits_of_one_field_clash_and_mine_is_kept() -> None:
    theirs, mine = replace(ADA, name="Ada King"), replace(ADA, name="Augusta")

    assert merged(ADA, theirs, mine) == (mine, ("name",))


def test_the_same_edit_on_both_sides_is_no_clash() -> None:
    both = replace(ADA, name="Ada King")

    assert merged(ADA, both, both) == (both, ())


def test_tags_that_either_side_put_on_are_there_and_those_that_either_took_off_are_not() -> None:
    base = replace(ADA, tags=("Maths", "Work"))

    draft, clashes = merged(base, replace(base, tags=("VIP", "Work")), replace(base, tags=("Maths", "Poets")))

    assert (draft.tags, clashes) == (("Poets", "VIP"), ())


@given(drafts, drafts, drafts)
def test_each_field_holds_what_one_side_wrote(
    base: ContactDraft, theirs: ContactDraft, mine: ContactDraft
) -> None:
    draft, clashes = merged(base, theirs, mine)

    for field in TEXTS:
        was, their, my = (getattr(side, field) for side in (base, theirs, mine))
        if field in clashes:
            assert len({was, their, my}) == 3
            assert getattr(draft, field) == my
        else:
            assert getattr(draft, field) == (their if my == was else my)


@given(drafts, drafts)
def test_without_another_edit_mine_is_what_is_kept(base: ContactDraft, mine: ContactDraft) -> None:
    draft, clashes = merged(base, base, mine)

    assert clashes == ()
    assert replace(draft, tags=()) == replace(mine, tags=())
    assert same_tags(draft.tags, mine.tags)


# --- combined


def test_of_several_contacts_the_first_has_the_say_and_nothing_is_lost() -> None:
    ada = contact(1, replace(ADA, phone="", notes="Countess", tags=("Work",)))
    grace = contact(2, replace(GRACE, phone="555-0101", notes="Admiral", tags=("work", "Navy")))

    draft = combined([ada, grace])

    assert (draft.name, draft.email, draft.phone, draft.company) == (
        ADA.name,
        ADA.email,
        "555-0101",
        ADA.company,
    )
    assert draft.tags == ("Navy", "Work")
    assert draft.notes.splitlines() == [
        "Countess",
        "Admiral",
        "Name: Grace Hopper",
        "Email: grace@example.org",
        "Company: U.S. Navy",
    ]


def test_what_differs_only_in_case_or_is_there_already_is_not_repeated() -> None:
    ada = contact(1, ADA)
    again = contact(2, replace(ADA, name="ADA LOVELACE", email="", notes=""))

    assert combined([ada, again]) == ADA
    noted = with_the_rest(replace(ADA, notes="Name: Grace Hopper"), [contact(3, replace(GRACE, email=""))])
    assert noted.notes == "Name: Grace Hopper\nCompany: U.S. Navy"


@given(st.lists(drafts, min_size=1, max_size=4))
def test_every_text_of_every_contact_is_somewhere_in_the_one_made_of_them(some: list[ContactDraft]) -> None:
    draft = combined([contact(number, each) for number, each in enumerate(some, 1)])

    everything = " ".join(getattr(draft, field) for field in TEXTS)
    assert all(getattr(each, field) in everything for each in some for field in TEXTS)
    assert {tag.casefold() for tag in draft.tags} == {tag.casefold() for each in some for tag in each.tags}
