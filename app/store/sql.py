"""What the stores that keep contacts in a database do alike, and what their rows say.

SQLiteStore and PostgresStore bring their connections, their statements (`Rows`) and the
reading that each does in its own way. What a write or an import is made of is here.
"""

import itertools
import logging
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple, Protocol

from app.contacts.changes import Batch, Change, Kind, UndoConflict, UndoPlan, standing_undo
from app.contacts.contact import (
    Contact,
    ContactDraft,
    EditConflict,
    NoSuchBatch,
    NoSuchContact,
    email_key,
    email_taken,
    now,
)
from app.contacts.listing import ListQuery, is_id, milliseconds
from app.store import ImportResult, OnDuplicate, StoreUnavailable
from app.store.edits import Edit, Import, ImportRow, Undoing, refuse_stale, removed, retagged
from app.store.entry import Entry, Identity, lookup
from app.store.spool import Drafts, Spool, ahead

GROUP = 500  # contacts read or written by one statement
IMPORT_GROUP = 200  # rows that an import writes before it looks whether others want to write
IMPORT_TURN = 0.1  # seconds after which it lets others write in any case: it cannot see other processes
# Rows of an import after which a store may tidy up, see `SQLStore._checkpoint`.
_CHECKPOINT = 3_000

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Totals(NamedTuple):
    """How much there is of everything."""

    contacts: int
    changes: int
    batches: int


# A row of batches: id, at, kind, size, undoes, undone_by. at: in milliseconds.
type BatchRow = tuple[int, int, Kind, int, int | None, int | None]


class Cursor(Protocol):
    """What a statement has found or done."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...


class Rows(Protocol):
    """The statements of a store, on the connection of a thread that is in a transaction or only reads."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """Run a statement that all databases understand, with a ? for each value and nowhere else."""
        ...

    def find(self, contact_id: int) -> Contact | None:
        """The contact with an id that `is_id`."""
        ...

    def find_many(self, contact_ids: Iterable[int]) -> Mapping[int, Contact]:
        """Those that there are, by id."""
        ...

    def with_email(self, key: str | None) -> Contact | None:
        """Who has an email, by its key; None for None."""
        ...

    def known(self, rows: Sequence[ImportRow]) -> dict[Identity, Contact]:
        """The contacts that these rows may be; of several, the oldest."""
        ...

    def next_id(self) -> int:
        """The id for a new contact: above every id ever given."""
        ...

    def batch(self, batch_id: int) -> Batch | None:
        """The batch with an id that `is_id`."""
        ...

    def unfinished(self) -> Sequence[int]:
        """Ids of the batches that are open, the newest first."""
        ...

    def changes_of(self, batch_id: int, after: int, limit: int) -> Sequence[Change]:
        """Changes of a batch with a seq above `after`, in the order of the log."""
        ...

    def change_of(self, contact_id: int, batch_id: int) -> Change | None:
        """What a batch did to a contact."""
        ...

    def changed_in(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        """Which of these contacts the batch has changed."""
        ...

    def changed_since(self, contact_ids: Iterable[int], batch_id: int) -> set[int]:
        """Which of these contacts a later batch has changed."""
        ...

    def open_batch(self, kind: Kind, at: datetime, undoes: int | None, *, unfinished: bool) -> int:
        """Begin a batch and return its id."""
        ...

    def append(self, batch_id: int, edits: Sequence[Edit]) -> None:
        """Write a group of edits to a batch: the contacts, their tags, the log."""
        ...

    def close_batch(self, batch_id: int) -> None:
        """Mark a batch as complete."""
        ...

    def mark_undone(self, batch_id: int, by: int) -> None:
        """Note that a batch was undone by another one."""
        ...

    def free_emails(self, contact_ids: Iterable[int]) -> None:
        """Take the emails of these contacts away, for others to have, until they are written anew."""
        ...

    # --- for moving to another database

    def totals(self) -> Totals:
        """How much there is, counted."""
        ...

    def all_batches(self, after: int, limit: int) -> Sequence[BatchRow]:
        """Batches with an id above `after`, ascending."""
        ...

    def all_changes(self, after: int, limit: int) -> Sequence[Change]:
        """Changes with a seq above `after`, ascending."""
        ...

    def all_contacts(self, after: int, limit: int) -> Sequence[Contact]:
        """Contacts with an id above `after`, ascending."""
        ...

    def restore_batches(self, batches: Sequence[BatchRow]) -> None:
        """Write batches as they were; before their changes."""
        ...

    def restore_changes(self, changes: Sequence[Change]) -> None:
        """Write changes as they were."""
        ...

    def restore_contacts(self, entries: Sequence[Entry]) -> None:
        """Write contacts, which are not there yet, as they were."""
        ...

    def finish_restoring(self) -> None:
        """After all of it: see that ids that the log knows are not given again."""
        ...


class SQLStore(ABC):
    """A store in a database, but for what each engine reads in its own way."""

    # --- what a store brings

    @abstractmethod
    def _rows(self) -> AbstractContextManager[Rows]:
        """For reading. Do not call another method of the store inside: it waits for this one."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[Rows]:
        """For reading, all of it as it is at one moment."""

    @abstractmethod
    def _write(self) -> AbstractContextManager[Rows]:
        """One transaction, alone: all that is written inside is kept, or, if anything raises, nothing."""

    @abstractmethod
    def _turn(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Import alone, among all threads and processes; BlockingIOError if that would mean to wait."""

    @abstractmethod
    def ids(self, query: ListQuery) -> Sequence[int]:
        """See ContactStore."""

    @abstractmethod
    def _refuse_if_lost(self) -> None:
        """StoreUnavailable when it is known that nothing can be written."""

    @property
    def _wanted(self) -> bool:
        """Whether somebody is known to wait for this thread's transaction to end."""
        return False

    def _checkpoint(self) -> None:  # noqa: B027 - not every store has anything to do
        """Tidy up after some thousand rows of an import, where nobody waits."""

    # --- reading

    def get(self, contact_id: int) -> Contact:
        with self._rows() as rows:
            return get(rows, contact_id)

    def find_email(self, email: str) -> Contact | None:
        with self._rows() as rows:
            return rows.with_email(email_key(lookup(email)))

    def export(self, query: ListQuery) -> Iterator[Contact]:
        # The ids, eight bytes each, settle who comes and in which order, whatever is written
        # meanwhile; so no transaction stays open while a slow reader takes its time.
        return self._each(self.ids(query))

    def changes(self, after: int, limit: int = 100) -> Sequence[Change]:
        with self._rows() as rows:
            return tuple(rows.all_changes(min(max(after, 0), 2**63 - 1), limit))

    def batch(self, batch_id: int) -> Batch | None:
        with self._rows() as rows:
            return rows.batch(batch_id) if is_id(batch_id) else None

    # --- writing

    def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
        prepared = Entry.of(Contact.create(0, draft.clean(), now()))
        with self._write() as rows:
            at = now()
            if taken_by := rows.with_email(prepared.email):
                raise email_taken(taken_by)
            contact = replace(prepared.contact, id=rows.next_id(), created_at=at, updated_at=at)
            return contact, _record_one(rows, "add", at, Edit(None, prepared.at(contact)))

    def update(self, contact_id: int, draft: ContactDraft, version: int) -> tuple[Contact, Batch | None]:
        draft = draft.clean()
        prepared = Entry.of(Contact.create(contact_id, draft, now()))
        with self._write() as rows:
            at = now()
            current = get(rows, contact_id)
            if current.version != version:
                raise EditConflict(current)
            if (taken_by := rows.with_email(prepared.email)) and taken_by.id != contact_id:
                raise email_taken(taken_by)
            if current.holds(draft):
                return current, None
            contact = current.changed(draft, at)
            return contact, _record_one(rows, "update", at, Edit(current, prepared.at(contact)))

    def delete(self, contact_ids: Sequence[int], *, version: int | None = None) -> Batch | None:
        with self._write() as rows:
            edits = _edits(rows, contact_ids, lambda contact: removed(contact, version))
            return _record(rows, "delete", now(), edits)

    def tag(
        self, contact_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Batch | None:
        with self._write() as rows:
            at = now()
            edits = _edits(rows, contact_ids, lambda contact: retagged(contact, add, remove, at))
            return _record(rows, "tag", at, edits)

    def merge(self, versions: Mapping[int, int], draft: ContactDraft) -> tuple[Contact, Batch]:
        draft = draft.clean()
        first, *others = versions
        prepared = Entry.of(Contact.create(first, draft, now()))
        with self._write() as rows:
            at = now()
            current = refuse_stale(versions, lambda contact_id: find(rows, contact_id))
            if (taken_by := rows.with_email(prepared.email)) and taken_by.id not in versions:
                raise email_taken(taken_by)
            contact = current[first].changed(draft, at)
            edits = [
                Edit(current[first], prepared.at(contact)),
                *(Edit(current[other], None) for other in others),
            ]
            batch = _record(rows, "merge", at, [edits])
            assert batch, "a merge changes at least two contacts"
            return contact, batch

    def undo(self, batch_id: int, *, partly: bool = False) -> Batch:
        with Spool() as spool, self._write() as rows:
            batch = _get_written(rows, batch_id)
            return standing_undo(batch, rows.batch) or _undo(rows, batch_id, spool, partly=partly)

    def undo_plan(self, batch_id: int) -> UndoPlan:
        with self._snapshot() as rows:
            _get_written(rows, batch_id)
            return _decide_undo(rows, batch_id, now(), lambda edits: None)

    # --- importing

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        self._refuse_if_lost()
        with Drafts(drafts, IMPORT_GROUP) as read, self._turn():
            self._undo_unfinished()
            plan = Import(on_duplicate, now(), read.failed)
            batch_id: int | None = None
            done = len(plan.failed)
            try:
                with closing(ahead(read.groups(plan.at))) as groups:
                    while (rows := next(groups, None)) is not None:
                        before = done
                        batch_id, written = self._import_some(plan, rows, groups, batch_id, kind)
                        done += written
                        if before // _CHECKPOINT != done // _CHECKPOINT:
                            self._checkpoint()
                        progress(done)
                progress(done)
                return plan.result(self._finish(batch_id) if batch_id else None)
            except BaseException:
                self._break_off(batch_id)
                raise

    def preview(self, drafts: Iterable[ContactDraft], on_duplicate: OnDuplicate = "skip") -> ImportResult:
        with Drafts(drafts, IMPORT_GROUP) as read:
            plan = Import(on_duplicate, now(), read.failed)
            for group in read.groups(plan.at):
                with self._rows() as rows:
                    known = rows.known(group)
                plan.edits(group, known, next_id=2**62)
        return plan.result(None)

    def _import_some(
        self,
        plan: Import,
        group: Sequence[ImportRow],
        groups: Iterator[Sequence[ImportRow]],
        batch_id: int | None,
        kind: Kind,
    ) -> tuple[int | None, int]:
        """Write rows of an import, and as many of the next groups as nobody else wants to write.

        All in one transaction: the fewer there are, the less has to be written twice. Returns the
        batch, None if it has none yet, and how many rows were written.
        """
        written = 0
        end = monotonic() + IMPORT_TURN
        with self._write() as rows:
            while True:
                batch_id = _import_group(rows, plan, group, batch_id, kind)
                written += len(group)
                if self._wanted or monotonic() >= end or (more := next(groups, None)) is None:
                    return batch_id, written
                group = more

    def _finish(self, batch_id: int) -> Batch:
        with self._write() as rows:
            rows.close_batch(batch_id)
            return _get_batch(rows, batch_id)

    def _break_off(self, batch_id: int | None) -> None:
        """Undo what an import has written; StoreUnavailable when not even that goes."""
        if batch_id is None:
            return
        try:
            self._undo_unfinished()
        except StoreUnavailable as unavailable:
            trouble = str(unavailable).replace(" Nothing was saved.", "")
            raise StoreUnavailable(
                f"{trouble} A part of the import is still there; the next start or import takes it back."
            ) from unavailable

    def _undo_unfinished(self) -> None:
        """Undo, as far as that goes, what imports have written that did not come to their end.

        Only while no import runs: see `_turn`.
        """
        with self._rows() as rows:
            unfinished = rows.unfinished()
        for batch_id in unfinished:
            with Spool() as spool, self._write() as rows:
                with suppress(UndoConflict):  # others have changed all of it since
                    _undo(rows, batch_id, spool, partly=True)
                rows.close_batch(batch_id)

    def _recover(self) -> None:
        """Undo what an import left that was cut off, unless another process is importing right now."""
        with suppress(BlockingIOError, StoreUnavailable):
            with self._rows() as rows:
                unfinished = rows.unfinished()
            if unfinished:
                with self._turn(wait=False):
                    log.info("Taking back an import that was cut off.")
                    self._undo_unfinished()

    def _each(self, ids: Sequence[int]) -> Iterator[Contact]:
        """The contacts with these ids, in their order, as they are when their turn comes."""
        for group in itertools.batched(ids, GROUP, strict=False):
            with self._rows() as rows:
                contacts = rows.find_many(group)
            yield from (contacts[contact_id] for contact_id in group if contact_id in contacts)


# --- finding


def find(rows: Rows, contact_id: int) -> Contact | None:
    """The contact with any int for an id."""
    return rows.find(contact_id) if is_id(contact_id) else None


def get(rows: Rows, contact_id: int) -> Contact:
    """The same; NoSuchContact if there is none."""
    contact = find(rows, contact_id)
    if contact is None:
        raise NoSuchContact(contact_id)
    return contact


def _get_batch(rows: Rows, batch_id: int) -> Batch:
    batch = rows.batch(batch_id) if is_id(batch_id) else None
    if batch is None:
        raise NoSuchBatch(batch_id)
    return batch


def _get_written(rows: Rows, batch_id: int) -> Batch:
    """The batch; StoreUnavailable for one that an import is still writing."""
    batch = _get_batch(rows, batch_id)
    if batch.open:
        raise StoreUnavailable("This import is still running. Nothing was undone. Wait for its end.")
    return batch


def _changes_of(rows: Rows, batch_id: int) -> Iterator[Sequence[Change]]:
    """The changes of a batch, a group at a time."""
    seq = 0
    while changes := rows.changes_of(batch_id, seq, GROUP):
        yield changes
        seq = changes[-1].seq


# --- writing; inside a transaction


def _import_group(
    rows: Rows, plan: Import, group: Sequence[ImportRow], batch_id: int | None, kind: Kind
) -> int | None:
    """Write a group of an import; return its batch, None if it has none yet."""
    known = rows.known(group)
    ids = [contact.id for contact in known.values()]
    done = rows.changed_in(ids, batch_id) if batch_id and ids else set()
    edits = plan.edits(group, known, rows.next_id(), done)
    if edits:
        batch_id = batch_id or rows.open_batch(kind, plan.at, None, unfinished=True)
        rows.append(batch_id, edits)
    return batch_id


def _edits(
    rows: Rows, contact_ids: Iterable[int], edit: Callable[[Contact], Edit | None]
) -> Iterator[Sequence[Edit]]:
    """The edits of the contacts that exist, once each, in the order given."""
    known = filter(is_id, dict.fromkeys(contact_ids))
    for group in itertools.batched(known, GROUP, strict=False):
        contacts = rows.find_many(group)
        edits = (edit(contacts[contact_id]) for contact_id in group if contact_id in contacts)
        yield [made for made in edits if made]


class _Present:
    """The database as app.store.edits.Present wants it. It reads what a group of changes needs at once."""

    def __init__(self, rows: Rows, batch_id: int) -> None:
        self._rows = rows
        self._batch_id = batch_id
        self._changes: dict[int, Change] = {}
        self._contacts: Mapping[int, Contact] = {}
        self._later: set[int] = set()

    def read(self, changes: Sequence[Change]) -> None:
        """Turn to another group of changes of the batch."""
        self._changes = {change.contact_id: change for change in changes}
        self._contacts = self._rows.find_many(self._changes)
        self._later = self._rows.changed_since(self._changes, self._batch_id)

    def contact(self, contact_id: int) -> Contact | None:
        if contact_id in self._changes:
            return self._contacts.get(contact_id)
        return self._rows.find(contact_id)

    def with_email(self, key: str | None) -> Contact | None:
        return self._rows.with_email(key)

    def change_of(self, contact_id: int) -> Change | None:
        if contact_id in self._changes:
            return self._changes[contact_id]
        return self._rows.change_of(contact_id, self._batch_id)

    def changed_since(self, contact_id: int) -> bool:
        if contact_id in self._changes:
            return contact_id in self._later
        return bool(self._rows.changed_since([contact_id], self._batch_id))


def _undo(rows: Rows, batch_id: int, spool: Spool, *, partly: bool) -> Batch:
    """Undo a batch; UndoConflict unless all of it can be, or, with `partly`, some of it.

    Everything is decided before the first edit, since edits depend on each other: a contact
    gets its email back from the one that has it now.
    """
    at = now()
    freed, wanted = array("q"), False

    def put_aside(edits: Sequence[Edit]) -> None:
        nonlocal wanted
        moving = [edit for edit in edits if _email(edit.before) != (edit.after and edit.after.email)]
        freed.extend(edit.contact_id for edit in moving if _email(edit.before))
        wanted = wanted or any(edit.after and edit.after.email for edit in moving)
        spool.put(edits)

    plan = _decide_undo(rows, batch_id, at, put_aside)
    if not (plan.whole or plan.partial) or ((plan.partial or plan.blocked) and not partly):
        raise UndoConflict(plan)
    if wanted:
        for ids in itertools.batched(freed, GROUP, strict=False):
            rows.free_emails(ids)
    batch = _record(rows, "undo", at, spool, undoes=batch_id)
    assert batch, "a plan that can be followed makes edits"
    return batch


def _decide_undo(
    rows: Rows, batch_id: int, at: datetime, take: Callable[[Sequence[Edit]], object]
) -> UndoPlan:
    """Plan how a batch is undone, and hand over the edits, a group at a time."""
    present = _Present(rows, batch_id)
    undoing = Undoing(_get_batch(rows, batch_id), at, present)
    for changes in _changes_of(rows, batch_id):
        present.read(changes)
        take([edit for change in changes if (edit := undoing.edit(change))])
    return undoing.plan()


def _email(contact: Contact | None) -> str | None:
    return email_key(contact.email) if contact else None


def _record_one(rows: Rows, kind: Kind, at: datetime, edit: Edit) -> Batch:
    batch = _record(rows, kind, at, [[edit]])
    assert batch, "an edit makes a batch"
    return batch


def _record(
    rows: Rows, kind: Kind, at: datetime, groups: Iterable[Sequence[Edit]], undoes: int | None = None
) -> Batch | None:
    """Write the edits and their log as one batch; None when there are none.

    Each group is written before the next is asked for, which may thus depend on it.
    """
    batch_id = None
    for edits in filter(None, groups):
        batch_id = batch_id or rows.open_batch(kind, at, undoes, unfinished=False)
        rows.append(batch_id, edits)
    if batch_id is None:
        return None
    if undoes is not None:
        rows.mark_undone(undoes, batch_id)
    return rows.batch(batch_id)


def retagging(edits: Iterable[Edit]) -> tuple[Sequence[int], Sequence[tuple[str, int]]]:
    """What `append` does to the tags of contacts that stay: ids that lose theirs, and (tag, id) to write."""
    retagged = [edit for edit in edits if edit.after and _tags(edit.before) != edit.after.contact.tags]
    untagged = [edit.contact_id for edit in retagged if _tags(edit.before)]
    return untagged, [(tag, edit.contact_id) for edit in retagged if edit.after for tag in edit.after.tags]


def _tags(contact: Contact | None) -> tuple[str, ...]:
    return contact.tags if contact else ()


# --- rows and objects


def from_contact(contact: Contact) -> dict[str, object]:
    """A contact as the log keeps it."""
    return {
        "id": contact.id,
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "company": contact.company,
        "notes": contact.notes,
        "tags": contact.tags,
        "created_at": milliseconds(contact.created_at),
        "updated_at": milliseconds(contact.updated_at),
        "version": contact.version,
    }


def from_entry(entry: Entry) -> dict[str, object]:
    """An entry as the table of contacts keeps it."""
    return {
        **from_contact(entry.contact),
        "email_key": entry.email,
        "company_key": entry.company,
        "by_name": entry.order["name"],
        "by_email": entry.order["email"],
        "by_company": entry.order["company"],
        "haystack": entry.haystack,
    }


def to_logged(fields: Mapping[str, Any] | None) -> Contact | None:
    """The contact that the log keeps as these fields."""
    if fields is None:
        return None
    times = {name: to_datetime(fields[name]) for name in ("created_at", "updated_at")}
    return Contact(**{**fields, **times, "tags": tuple(fields["tags"])})


def to_batch(row: Sequence[Any], to_change: Callable[[Sequence[Any]], Change]) -> Batch:
    """The batch of a row: size, undoes, undone_by, open, then its first change."""
    size, undoes, undone_by, is_open, *columns = row
    first = to_change(columns)
    return Batch(first.batch, first.at, first.kind, size, first, undoes, undone_by, bool(is_open))


def to_datetime(since_epoch: int) -> datetime:
    """The moment so many milliseconds after 1970."""
    return _EPOCH + timedelta(milliseconds=since_epoch)
