"""The change log: what every write leaves behind, and how it is undone.

A batch is one user's action; it holds one change per contact. Undo, the activity feed,
live updates and HTTP validators all read this one log.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.contacts.contact import Contact

Kind = Literal["add", "update", "delete", "tag", "import", "sample", "undo"]


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
    """

    id: int
    at: datetime
    kind: Kind
    size: int
    first: Change
    undoes: int | None = None
    undone_by: int | None = None

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
            case "undo" if self.first.before is None:
                return f"Restored {contacts}"
            case "undo" if self.first.after is None:
                return f"Removed {contacts}"
            case "undo":
                return f"Undid the changes to {contacts}"
            case _:
                return f"{ {'add': 'Added', 'update': 'Saved', 'delete': 'Deleted'}[self.kind] } {contacts}"


def inverse(change: Change, at: datetime) -> Contact | None:
    """The contact that undoing this change leaves: None when it must go.

    Its version is higher than any the contact has had, so that an editor opened before
    the undo meets a conflict instead of overwriting it.
    """
    if change.before is None:
        return None
    return replace(change.before, version=change.contact.version + 1, updated_at=at)
