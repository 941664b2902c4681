"""The change log: what every write leaves behind, and how it is undone.

A batch is one user's action; it holds one change per contact. Undo, the activity feed,
live updates and HTTP validators all read this one log.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.contacts.contact import FIELDS, Contact, ContactDraft, ContactError, InvalidContact
from app.contacts.merging import merged, same_tags

Kind = Literal["add", "update", "delete", "tag", "import", "merge", "sample", "undo"]


@dataclass(frozen=True, slots=True)
class Change:
    """One contact before and after one batch.

    seq: position in the log, from 1, growing by one with each change.
    before: None when the contact was made; after: None when it was deleted.
    """

    seq: int
    batch: int
    at: datetime
    kind: Kind
    contact_id: int
    before: Contact | None
    after: Contact | None

    @property
    def contact(self) -> Contact:
        """The contact as it last was: after the change, or before it was deleted."""
        contact = self.after or self.before
        assert contact is not None, "a change has a before or an after"
        return contact


@dataclass(frozen=True, slots=True)
class Batch:
    """One user's action in the log.

    id: from 1, growing. size: how many contacts it changed. first: its first change.
    undoes: the batch that this one undid. undone_by: the batch that undid this one.
    open: an import is still writing it; its size so far is known, and it cannot be undone yet.
    """

    id: int
    at: datetime
    kind: Kind
    size: int
    first: Change
    undoes: int | None = None
    undone_by: int | None = None
    open: bool = False

    def __str__(self) -> str:
        """What happened, in words for a person: `Deleted Ada Lovelace`, `Added 12 sample contacts`."""
        contacts = self.first.contact.name if self.size == 1 else f"{self.size:,} contacts"
        match self.kind:
            case "sample":
                return f"Added {self.size:,} sample contact{'' if self.size == 1 else 's'}"
            case "tag":
                return f"Changed the tags of {contacts}"
            case "import":
                return f"Imported {contacts}"
            case "merge":
                return f"Merged {self.size} contacts into {self.first.contact.name}"
            case "undo" if self.first.before is None:
                return f"Restored {contacts}"
            case "undo" if self.first.after is None:
                return f"Removed {contacts}"
            case "undo":
                return f"Undid the changes to {contacts}"
            case _:
                return f"{ {'add': 'Added', 'update': 'Saved', 'delete': 'Deleted'}[self.kind] } {contacts}"


def standing_undo(batch: Batch, find: Callable[[int], Batch | None]) -> Batch | None:
    """The batch that undid this one, unless that is undone itself; None when there is none."""
    by = find(batch.undone_by) if batch.undone_by else None
    return by if by and not by.undone_by else None


@dataclass(frozen=True, slots=True)
class Reversal:
    """What undoing one change does to its contact as it stands now.

    now: None when the contact is gone. after: what the undo leaves, None when it goes.
    restored: the fields that get back what they held. kept: fields that the change had
        written too, but that were changed again since and stay as they are.
    changed_since: the contact has changed since, so a person should be asked.
    obstacle: why nothing of this change can be undone, "" when it can.
    """

    change: Change
    now: Contact | None
    after: Contact | None
    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    changed_since: bool = False
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What undoing a batch can do and what it cannot.

    whole: contacts that nobody has changed since: they get back everything. partial: contacts
    that changed since, of which something can be undone nevertheless. blocked: contacts of
    which nothing can. examples: the first EXAMPLES of the partial and the blocked ones.
    """

    batch: Batch
    whole: int
    partial: int
    blocked: int
    examples: tuple[Reversal, ...]


EXAMPLES = 20


class UndoConflict(ContactError):
    """A batch cannot be undone as if nothing had happened since; plan says what can be done."""

    def __init__(self, plan: UndoPlan) -> None:
        super().__init__("Some of this has changed since.")
        self.plan = plan


def reverse(change: Change, now: Contact | None, at: datetime, *, changed_since: bool) -> Reversal:
    """Work out what undoing a change does to its contact.

    now: the contact as it is, None when it is gone. changed_since: a later change of the log
    is about it. Its version becomes higher than any it has had, so that an editor opened before
    the undo meets a conflict instead of overwriting it. Whether another contact has taken the
    email by now is for the store to see.
    """
    if not changed_since:
        after = change.before and replace(change.before, version=change.contact.version + 1, updated_at=at)
        return Reversal(change, now, after, restored=FIELDS)
    if change.before is None:
        obstacle = "It was changed after it was added, so it stays." if now else "It is deleted already."
        return Reversal(change, now, now, changed_since=True, obstacle=obstacle)
    if now is None:
        return Reversal(change, now, now, changed_since=True, obstacle="It was deleted since.")
    if change.after is None:
        return Reversal(change, now, now, changed_since=True, obstacle="It is back already.")
    return _reverse_partly(change, change.before, change.after, now, at)


def _reverse_partly(change: Change, before: Contact, after: Contact, now: Contact, at: datetime) -> Reversal:
    """Undo what the change wrote and nobody has written since; tags one by one."""
    wrote = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    draft, clashes = merged(ContactDraft.of(after), ContactDraft.of(now), ContactDraft.of(before))
    draft = replace(draft, **{name: getattr(now, name) for name in clashes})
    restored = tuple(name for name in wrote if getattr(draft, name) != getattr(now, name))
    kept = tuple(
        name
        for name in wrote
        if name in clashes or (name == "tags" and not same_tags(draft.tags, before.tags))
    )
    obstacle = "" if restored else "What it changed was changed again since."
    if restored:
        try:
            draft = draft.clean()
        except InvalidContact as invalid:
            restored, obstacle = (), next(iter(invalid.errors.values()))
    contact = now.changed(draft, at) if restored else now
    return Reversal(change, now, contact, restored, kept, changed_since=True, obstacle=obstacle)
