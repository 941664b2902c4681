"""What a write does to contacts, decided the same way for every store."""

from collections.abc import Callable, Container, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Protocol

from app.contacts.changes import EXAMPLES, Batch, Change, Reversal, UndoPlan, reverse
from app.contacts.contact import Contact, ContactDraft, EditConflict, InvalidContact, NoSuchContact, email_key
from app.contacts.listing import fold
from app.store import ImportResult, OnDuplicate, RowError
from app.store.entry import Entry, Identity, identity, tag_key


@dataclass(frozen=True, slots=True)
class Edit:
    """One contact before and after a write; the change log keeps it as a Change.

    before: None for a new contact. after: None for one that goes.
    """

    before: Contact | None
    after: Entry | None

    @property
    def contact_id(self) -> int:
        """The id of the contact, which a write never changes."""
        contact = self.after.contact if self.after else self.before
        assert contact is not None, "an edit has a before or an after"
        return contact.id


def retagged(contact: Contact, add: Sequence[str], remove: Sequence[str], at: datetime) -> Edit | None:
    """The edit that takes tags off a contact and then puts others on it; None when nothing differs."""
    unwanted = {tag_key(tag) for tag in remove}
    kept = [tag for tag in contact.tags if tag_key(tag) not in unwanted]
    draft = replace(ContactDraft.of(contact), tags=(*kept, *add)).clean()
    return None if contact.holds(draft) else Edit(contact, Entry.of(contact.changed(draft, at)))


def removed(contact: Contact, version: int | None) -> Edit:
    """The edit that deletes a contact; EditConflict when it is not at the version, if one is given."""
    if version is not None and contact.version != version:
        raise EditConflict(contact)
    return Edit(contact, None)


def refuse_stale(versions: Mapping[int, int], find: Callable[[int], Contact | None]) -> Mapping[int, Contact]:
    """The contacts with these ids; NoSuchContact or EditConflict for the first not at its version."""
    current: dict[int, Contact] = {}
    for contact_id, version in versions.items():
        contact = find(contact_id)
        if contact is None:
            raise NoSuchContact(contact_id)
        if contact.version != version:
            raise EditConflict(contact)
        current[contact_id] = contact
    return current


class Present(Protocol):
    """What undoing a batch needs to know of the store, of one moment."""

    def contact(self, contact_id: int) -> Contact | None:
        """The contact as it is now."""
        ...

    def with_email(self, key: str | None) -> Contact | None:
        """Who has an email, by its key."""
        ...

    def change_of(self, contact_id: int) -> Change | None:
        """What the batch did to a contact; None when it is not about it."""
        ...

    def changed_since(self, contact_id: int) -> bool:
        """Whether the log has a change of the contact behind the batch."""
        ...


@dataclass(slots=True)
class Undoing:
    """Decides, change by change, how a batch is undone, and counts it for the plan."""

    batch: Batch
    at: datetime
    present: Present
    whole: int = 0
    partial: int = 0
    blocked: int = 0
    examples: list[Reversal] = field(default_factory=list)

    def edit(self, change: Change) -> Edit | None:
        """The edit that undoes a change as far as that goes; None when nothing of it can be undone."""
        reversal = self._reversal(change, frozenset())
        if reversal.obstacle:
            self.blocked += 1
        elif reversal.changed_since:
            self.partial += 1
        else:
            self.whole += 1
        if (reversal.obstacle or reversal.changed_since) and len(self.examples) < EXAMPLES:
            self.examples.append(reversal)
        if reversal.obstacle:
            return None
        return Edit(reversal.now, Entry.of(reversal.after) if reversal.after else None)

    def plan(self) -> UndoPlan:
        """What was decided."""
        return UndoPlan(self.batch, self.whole, self.partial, self.blocked, tuple(self.examples))

    def _reversal(self, change: Change, waiting: frozenset[int]) -> Reversal:
        """How a change is undone. waiting: the contacts that wait for this one to give its email back."""
        who = change.contact_id
        reversal = reverse(
            change, self.present.contact(who), self.at, changed_since=self.present.changed_since(who)
        )
        key = email_key(reversal.after.email) if reversal.after and not reversal.obstacle else None
        by = self.present.with_email(key)
        if by and by.id != who and not self._gives_back(by, key, waiting | {who}):
            taken = f"{by.name} has its email address by now."
            return replace(reversal, after=reversal.now, restored=(), obstacle=taken)
        return reversal

    def _gives_back(self, by: Contact, key: str | None, waiting: frozenset[int]) -> bool:
        """Whether the undo itself takes an email from who has it, as when a merge is undone."""
        if by.id in waiting:
            return True
        change = self.present.change_of(by.id)
        if change is None:
            return False
        reversal = self._reversal(change, waiting)
        return not reversal.obstacle and (reversal.after is None or email_key(reversal.after.email) != key)


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A draft that keeps the rules, on its way in. row: its position, from 1. draft: as it came."""

    row: int
    draft: ContactDraft
    clean: ContactDraft

    @classmethod
    def read(cls, row: int, draft: ContactDraft) -> CleanRow | RowError:
        """Check a draft."""
        try:
            clean = draft.clean()
        except InvalidContact as invalid:
            return RowError(row, draft, invalid.errors)
        return cls(row, draft, clean)

    @property
    def identity(self) -> Identity:
        """What the draft is known by."""
        return identity(email_key(self.clean.email), fold(self.clean.name), self.clean.phone)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row with the keys of its contact, ready for `Import.edits`. Making one needs no lock."""

    row: int
    draft: ContactDraft
    entry: Entry

    @classmethod
    def of(cls, row: CleanRow, at: datetime) -> ImportRow:
        return cls(row.row, row.draft, Entry.of(Contact.create(0, row.clean, at)))


@dataclass(slots=True)
class Import:
    """Decides, draft by draft, what an import does, and counts it."""

    on_duplicate: OnDuplicate
    at: datetime
    failed: list[RowError]
    added: int = 0
    updated: int = 0
    skipped: int = 0

    def edits(
        self,
        rows: Iterable[ImportRow],
        known: MutableMapping[Identity, Contact],
        next_id: int,
        done: Container[int] = (),
    ) -> Sequence[Edit]:
        """Decide a group of rows, one edit per contact at most; all rows with one identity come in one group.

        known: the contacts that these rows may be, by identity, as they are now. It learns what
        is added and changed. next_id: the id of the first contact that is added. done: the
        contacts that groups before have edited. One that is met again has got another identity
        meanwhile, from someone else.
        """
        edits: dict[int, Edit] = {}
        named: dict[int, int] = {}  # contacts in the order in which rows first name them, as the edits are
        for row in rows:
            who = row.entry.identity
            if present := known.get(who):
                named.setdefault(present.id, len(named))
                edit = self._change(row, present, edits.get(present.id), done)
            else:
                named[next_id] = len(named)
                edit = self._add(row, next_id)
                next_id += 1
            if edit and edit.after:
                edits[edit.contact_id] = edit
                known[who] = edit.after.contact
        return sorted(edits.values(), key=lambda edit: named[edit.contact_id])

    def result(self, batch: Batch | None) -> ImportResult:
        """What the import did, once its edits are kept as this batch."""
        failed = sorted(self.failed, key=lambda error: error.row)
        return ImportResult(batch, self.added, self.updated, self.skipped, tuple(failed))

    def _add(self, row: ImportRow, contact_id: int) -> Edit:
        contact = Contact.create(contact_id, ContactDraft.of(row.entry.contact), self.at)
        self.added += 1
        return Edit(None, row.entry.at(contact))

    def _change(
        self, row: ImportRow, present: Contact, earlier: Edit | None, done: Container[int]
    ) -> Edit | None:
        try:
            draft = _merged(present, ContactDraft.of(row.entry.contact), self.on_duplicate)
            if present.id in done and not present.holds(draft):
                raise _changed_meanwhile(present)
        except InvalidContact as invalid:
            self.failed.append(RowError(row.row, row.draft, invalid.errors))
            return None
        if present.holds(draft):
            self.skipped += 1
            return None
        self.updated += 1
        contact = present.changed(draft, self.at)
        if earlier:
            return Edit(earlier.before, Entry.of(replace(contact, version=present.version)))
        return Edit(present, Entry.of(contact))


def _changed_meanwhile(contact: Contact) -> InvalidContact:
    field = "email" if contact.email else "name"
    return InvalidContact(
        {field: f"{contact.name} was changed by someone else during this import. Import this row again."}
    )


def _merged(contact: Contact, draft: ContactDraft, on_duplicate: OnDuplicate) -> ContactDraft:
    """What a known contact holds after a draft of it was imported; InvalidContact for too many tags."""
    held = ContactDraft.of(contact)
    match on_duplicate:
        case "skip":
            return held
        case "update":
            return _filled(draft, held)
        case "fill":
            return replace(_filled(held, draft), tags=(*held.tags, *draft.tags)).clean()


def _filled(draft: ContactDraft, other: ContactDraft) -> ContactDraft:
    """A draft with its empty fields taken from another one."""
    return ContactDraft(
        **{field.name: getattr(draft, field.name) or getattr(other, field.name) for field in fields(draft)}
    )
