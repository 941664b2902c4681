"""Joining what two people wrote: three-way merge of edits, and one contact out of several."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.contacts.contact import FIELDS, Contact, ContactDraft, email_key, sorted_tags


def merged(
    base: ContactDraft, theirs: ContactDraft, mine: ContactDraft
) -> tuple[ContactDraft, tuple[str, ...]]:
    """Merge two edits of one contact, field by field; return the draft and the fields that clash.

    base: what both edits began with. A field that only one side changed takes that side's
    value. One that both changed to different values clashes, and the draft holds mine. Tags
    never clash: what either side added is there, what either side took off is not.

    >>> base = ContactDraft(name="Ada", phone="1")
    >>> merged(base, ContactDraft(name="Ada L", phone="2"), ContactDraft(name="Ada", phone="3"))
    (ContactDraft(name='Ada L', email='', phone='3', company='', notes='', tags=()), ('phone',))
    """
    clashes = []
    values: dict[str, str] = {}
    for name in FIELDS:
        if name == "tags":
            continue
        was, their, my = getattr(base, name), getattr(theirs, name), getattr(mine, name)
        values[name] = their if my == was else my
        if my != was and their not in (was, my):
            clashes.append(name)
    return replace(mine, **values, tags=_merged_tags(base.tags, theirs.tags, mine.tags)), tuple(clashes)


def same_tags(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two lists of tags are the same without regard to order and case."""
    return {tag.casefold() for tag in some} == {tag.casefold() for tag in others}


def combined(contacts: Sequence[Contact]) -> ContactDraft:
    """What one contact that is made of several should hold: the first has the say, nothing is lost.

    Each field is that of the first contact which has one; tags are those of all; notes are all
    that differ, one below the other. Emails, phones, names and companies that find no place
    become labelled lines of the notes. Together it may be more than a contact can hold: too many
    tags, too long notes.
    """
    return with_the_rest(suggested(contacts), contacts)


def suggested(contacts: Sequence[Contact]) -> ContactDraft:
    """As `combined`, without what finds no place."""
    drafts = [ContactDraft.of(contact) for contact in contacts]
    chosen = {
        name: next(filter(None, (getattr(draft, name) for draft in drafts)), "")
        for name in ("name", "email", "phone", "company")
    }
    return replace(
        drafts[0],
        **chosen,
        tags=sorted_tags(tag for draft in drafts for tag in draft.tags),
        notes=_all_notes(drafts),
    )


def with_the_rest(draft: ContactDraft, contacts: Sequence[Contact]) -> ContactDraft:
    """The draft with a labelled line in its notes for each name, email, phone and company it leaves out."""
    there = draft.notes.splitlines()
    lines: dict[str, None] = {}
    for name in ("name", "email", "phone", "company"):
        for contact in contacts:
            value = getattr(contact, name)
            line = f"{name.capitalize()}: {value}"
            if value and essence(name, value) != essence(name, getattr(draft, name)) and line not in there:
                lines[line] = None
    return replace(draft, notes="\n".join(filter(None, (draft.notes, *lines))))


def essence(name: str, value: str) -> str:
    """A value of a field without what is only a way to write it: case, and the punctuation of phones."""
    value = email_key(value) or ""
    if name != "phone":
        return value
    return "".join(char for char in value if char.isdecimal() or char in "+x") or value


def _merged_tags(base: Iterable[str], theirs: Sequence[str], mine: Sequence[str]) -> tuple[str, ...]:
    was = {tag.casefold() for tag in base}
    both = {tag.casefold() for tag in theirs} & {tag.casefold() for tag in mine}
    return sorted_tags(tag for tag in (*mine, *theirs) if tag.casefold() in both or tag.casefold() not in was)


def _all_notes(drafts: Iterable[ContactDraft]) -> str:
    return "\n".join(dict.fromkeys(draft.notes for draft in drafts if draft.notes))
