"""What a write does to contacts, decided the same way for every store."""

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft, InvalidContact
from app.store import ImportResult, OnDuplicate, RowError
from app.store.entry import Entry, Identity, tag_key


@dataclass(frozen=True, slots=True)
class Edit:
    """One contact before and after a write; the change log keeps it as a Change.

    before: None for a new contact. after: None for one that goes.
    again: the same batch has edited this contact already, so it needs no change of its own.
    """

    before: Contact | None
    after: Entry | None
    again: bool = False

    @property
    def contact_id(self) -> int:
        """The id of the contact, which a write never changes."""
        contact = self.after.contact if self.after else self.before
        assert contact is not None, "an edit has a before or an after"
        return contact.id


def email_taken(by: Contact) -> InvalidContact:
    """The broken rule of a draft whose email another contact has."""
    return InvalidContact(
        {"email": f"{by.name} has this email address already. Enter another one."}, taken_by=by
    )


def retagged(contact: Contact, add: Sequence[str], remove: Sequence[str], at: datetime) -> Edit | None:
    """The edit that takes tags off a contact and then puts others on it; None when nothing differs."""
    unwanted = {tag_key(tag) for tag in remove}
    kept = [tag for tag in contact.tags if tag_key(tag) not in unwanted]
    draft = replace(ContactDraft.of(contact), tags=(*kept, *add)).clean()
    return None if contact.holds(draft) else Edit(contact, Entry.of(contact.changed(draft, at)))


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A draft that keeps the rules, on its way in. row: its position, from 1. entry: its fields and keys."""

    row: int
    draft: ContactDraft
    entry: Entry

    @classmethod
    def read(cls, row: int, draft: ContactDraft, at: datetime) -> ImportRow | RowError:
        """Prepare a draft for `Import.edits`: the costly part, which needs no lock."""
        try:
            return cls(row, draft, Entry.of(Contact.create(0, draft.clean(), at)))
        except InvalidContact as invalid:
            return RowError(row, draft, invalid.errors)


@dataclass(slots=True)
class Import:
    """Decides, draft by draft, what an import does, and counts it.

    first_id: the id of the first contact that it adds; those that follow take the next ones.
    """

    on_duplicate: OnDuplicate
    at: datetime
    first_id: int
    added: int = 0
    updated: int = 0
    skipped: int = 0
    failed: list[RowError] = field(default_factory=list)
    _edited: set[int] = field(default_factory=set)

    def edits(self, rows: Iterable[ImportRow], known: MutableMapping[Identity, Contact]) -> Sequence[Edit]:
        """Decide a group of rows, one edit per contact at most.

        known: the contacts that the rows of this group may be, by identity, as they are after
        the groups before it. It learns what this group adds and changes.
        """
        edits: dict[int, Edit] = {}
        for row in rows:
            who = row.entry.identity
            present = known.get(who)
            edit = self._change(row, present) if present else self._add(row)
            if edit is None:
                continue
            if earlier := edits.get(edit.contact_id):
                edit = replace(edit, before=earlier.before, again=earlier.again)
            assert edit.after, "an import deletes nobody"
            edits[edit.contact_id] = edit
            known[who] = edit.after.contact
        return tuple(edits.values())

    def result(self, batch: Batch | None) -> ImportResult:
        """What the import did, once its edits are kept as this batch."""
        failed = sorted(self.failed, key=lambda error: error.row)
        return ImportResult(batch, self.added, self.updated, self.skipped, tuple(failed))

    def _add(self, row: ImportRow) -> Edit:
        contact = replace(
            row.entry.contact, id=self.first_id + self.added, created_at=self.at, updated_at=self.at
        )
        self.added += 1
        return Edit(None, row.entry.at(contact))

    def _change(self, row: ImportRow, present: Contact) -> Edit | None:
        try:
            draft = _merged(present, ContactDraft.of(row.entry.contact), self.on_duplicate)
        except InvalidContact as invalid:
            self.failed.append(RowError(row.row, row.draft, invalid.errors))
            return None
        if present.holds(draft):
            self.skipped += 1
            return None
        self.updated += 1
        again = present.id >= self.first_id or present.id in self._edited
        self._edited.add(present.id)
        contact = present.changed(draft, self.at)
        if again:
            contact = replace(contact, version=present.version)
        return Edit(present, Entry.of(contact), again)


def _merged(contact: Contact, draft: ContactDraft, on_duplicate: OnDuplicate) -> ContactDraft:
    """What a known contact holds after a draft of it was imported; InvalidContact for too many tags."""
    held = ContactDraft.of(contact)
    match on_duplicate:
        case "skip":
            return held
        case "update":
            return draft
        case "fill":
            texts = {
                field.name: getattr(held, field.name) or getattr(draft, field.name) for field in fields(held)
            }
            return replace(held, **texts | {"tags": (*held.tags, *draft.tags)}).clean()
