"""MemoryStore: contacts in memory, gone when the process ends. For tests, demos and small address books.

Everything lives in one immutable snapshot. A reader takes the snapshot of the moment and
needs no lock. A writer prepares its drafts first (the costly part), then takes the lock,
makes the next snapshot and puts it in place. One write copies the table of contacts, which
is cheap up to some ten thousand of them.
"""

import itertools
import threading
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.contacts.changes import Batch, Change, Kind, inverse
from app.contacts.contact import (
    Contact,
    ContactDraft,
    EditConflict,
    NoSuchBatch,
    NoSuchContact,
    email_key,
    now,
)
from app.contacts.listing import ContactPage, ListQuery, Place, Sort, Statistics, matches, terms
from app.store import ImportResult, OnDuplicate, RowError, StoreUnavailable
from app.store.edits import Edit, Import, ImportRow, email_taken, retagged
from app.store.entry import Entry, tag_key

_PROGRESS_EVERY = 250


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Everything the store knows at one moment.

    entries: by id. emails: email key to id. log: every change, so the one with seq n is at n - 1.
    last_id: the highest id ever given. orders: sorted when first asked for; two readers who
    ask at once both sort, and keep the same answer.
    """

    entries: Mapping[int, Entry] = field(default_factory=dict)
    emails: Mapping[str, int] = field(default_factory=dict)
    log: tuple[Change, ...] = ()
    batches: Mapping[int, Batch] = field(default_factory=dict)
    last_id: int = 0
    orders: dict[Sort, tuple[Entry, ...]] = field(default_factory=dict)

    def contact(self, contact_id: int) -> Contact | None:
        entry = self.entries.get(contact_id)
        return entry.contact if entry else None

    def with_email(self, key: str | None) -> Contact | None:
        return self.contact(self.emails[key]) if key and key in self.emails else None

    def ordered(self, sort: Sort) -> tuple[Entry, ...]:
        order = self.orders.get(sort)
        if order is None:
            order = tuple(sorted(self.entries.values(), key=_place_in(sort)))
            self.orders[sort] = order
        return order

    def found(self, query: ListQuery) -> Sequence[Entry]:
        """The entries that match, in the order of the query, its place and limit disregarded."""
        order = self.ordered(query.sort)
        if query.is_filtered:
            wanted, tags = terms(query.text), {tag_key(tag) for tag in query.tags}
            order = tuple(entry for entry in order if tags <= entry.tags and matches(wanted, entry.haystack))
        return order[::-1] if query.descending else order

    def changes_of(self, batch: Batch) -> tuple[Change, ...]:
        start = batch.first.seq - 1
        return self.log[start : start + batch.size]

    def after(self, edits: Iterable[Edit], kind: Kind, at: datetime, undoes: int | None = None) -> _Snapshot:
        """The snapshot that a batch of edits, at least one, makes of this one."""
        entries, emails, log = dict(self.entries), dict(self.emails), list(self.log)
        batch_id = len(self.batches) + 1
        for edit in edits:
            if edit.before and (key := email_key(edit.before.email)):
                del emails[key]
            if edit.after is None:
                del entries[edit.contact_id]
            else:
                entries[edit.contact_id] = edit.after
                if edit.after.email:
                    emails[edit.after.email] = edit.contact_id
            after = edit.after.contact if edit.after else None
            log.append(Change(len(log) + 1, batch_id, at, kind, edit.contact_id, edit.before, after))
        made = log[len(self.log) :]
        batches = {**self.batches, batch_id: Batch(batch_id, at, kind, len(made), made[0], undoes)}
        if undoes is not None:
            batches[undoes] = replace(batches[undoes], undone_by=batch_id)
        last_id = max(self.last_id, max(change.contact_id for change in made))
        return _Snapshot(entries, emails, tuple(log), batches, last_id)


class MemoryStore:
    """Contacts in memory. The contract is that of app.store.ContactStore."""

    def __init__(self) -> None:
        self._snapshot: _Snapshot | None = _Snapshot()
        self._writing = threading.Lock()

    # --- reading

    def list(self, query: ListQuery) -> ContactPage:
        found = self._now().found(query)
        start = _start(found, query)
        rows = found[start : start + query.limit]
        more = start + query.limit < len(found)
        return ContactPage(
            contacts=tuple(entry.contact for entry in rows),
            total=len(found),
            next=_place_in(query.sort)(rows[-1]) if more else None,
        )

    def get(self, contact_id: int) -> Contact:
        contact = self._now().contact(contact_id)
        if contact is None:
            raise NoSuchContact(contact_id)
        return contact

    def count(self, query: ListQuery | None = None) -> int:
        snapshot = self._now()
        return len(snapshot.found(query)) if query else len(snapshot.entries)

    def find_email(self, email: str) -> Contact | None:
        return self._now().with_email(email_key(email))

    def export(self, query: ListQuery) -> Iterator[Contact]:
        return (entry.contact for entry in self._now().found(query))

    def changes(self, after: int, limit: int = 100) -> Sequence[Change]:
        start = max(after, 0)
        return self._now().log[start : start + limit]

    def last_change(self) -> int:
        return len(self._now().log)

    def batch(self, batch_id: int) -> Batch | None:
        return self._now().batches.get(batch_id)

    def batches(self, limit: int = 20) -> Sequence[Batch]:
        return tuple(self._now().batches.values())[: -limit - 1 : -1]

    def samples(self, limit: int | None = None) -> Sequence[int]:
        snapshot = self._now()
        made = (
            change.contact_id
            for batch in snapshot.batches.values()
            if batch.kind == "sample"
            for change in snapshot.changes_of(batch)
            if change.before is None and snapshot.contact(change.contact_id) == change.after
        )
        return tuple(itertools.islice(made, limit))  # in the order of the log, new contacts have rising ids

    def statistics(self) -> Statistics:
        entries = sorted(self._now().entries.values(), key=lambda entry: entry.contact.id)
        week_ago = now() - timedelta(days=7)
        counts = Counter(entry.company for entry in entries if entry.company)
        spellings = {entry.company: entry.contact.company for entry in reversed(entries)}
        top = sorted(counts, key=lambda company: (-counts[company], company))[:5]
        return Statistics(
            total=len(entries),
            with_email=sum(entry.email is not None for entry in entries),
            with_phone=sum(entry.contact.phone != "" for entry in entries),
            added_this_week=sum(entry.contact.created_at >= week_ago for entry in entries),
            companies=len(counts),
            top_companies=tuple((spellings[company], counts[company]) for company in top),
        )

    # --- writing

    def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
        prepared = Entry.of(Contact.create(0, draft.clean(), now()))
        with self._writing:
            snapshot, at = self._now(), now()
            if taken_by := snapshot.with_email(prepared.email):
                raise email_taken(taken_by)
            contact = replace(prepared.contact, id=snapshot.last_id + 1, created_at=at, updated_at=at)
            return contact, self._commit(snapshot.after([Edit(None, prepared.at(contact))], "add", at))

    def update(self, contact_id: int, draft: ContactDraft, version: int) -> tuple[Contact, Batch | None]:
        draft = draft.clean()
        prepared = Entry.of(Contact.create(contact_id, draft, now()))
        with self._writing:
            snapshot, at = self._now(), now()
            current = snapshot.contact(contact_id)
            if current is None:
                raise NoSuchContact(contact_id)
            if current.version != version:
                raise EditConflict(current)
            if (taken_by := snapshot.with_email(prepared.email)) and taken_by.id != contact_id:
                raise email_taken(taken_by)
            if current.holds(draft):
                return current, None
            contact = current.changed(draft, at)
            return contact, self._commit(snapshot.after([Edit(current, prepared.at(contact))], "update", at))

    def delete(self, contact_ids: Sequence[int]) -> Batch | None:
        with self._writing:
            snapshot = self._now()
            edits = [Edit(contact, None) for contact in _known(snapshot, contact_ids)]
            return self._commit(snapshot.after(edits, "delete", now())) if edits else None

    def tag(
        self, contact_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Batch | None:
        with self._writing:
            snapshot, at = self._now(), now()
            edits = [
                edit
                for contact in _known(snapshot, contact_ids)
                if (edit := retagged(contact, add, remove, at))
            ]
            return self._commit(snapshot.after(edits, "tag", at)) if edits else None

    def undo(self, batch_id: int) -> Batch:
        with self._writing:
            snapshot, at = self._now(), now()
            batch = snapshot.batches.get(batch_id)
            if batch is None:
                raise NoSuchBatch(batch_id)
            changes = snapshot.changes_of(batch)
            _refuse_if_changed(snapshot, changes)
            _refuse_if_taken(snapshot, changes)
            contacts = (inverse(change, at) for change in changes)
            edits = [
                Edit(change.after, Entry.of(contact) if contact else None)
                for change, contact in zip(changes, contacts, strict=True)
            ]
            return self._commit(snapshot.after(edits, "undo", at, undoes=batch_id))

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        read: list[ImportRow | RowError] = []
        for draft in drafts:
            read.append(ImportRow.read(len(read) + 1, draft, now()))
            if len(read) % _PROGRESS_EVERY == 0:
                progress(len(read))
        progress(len(read))
        failed = [row for row in read if isinstance(row, RowError)]
        with self._writing:
            snapshot = self._now()
            plan = Import(on_duplicate, now(), snapshot.last_id + 1, failed=failed)
            by_id = sorted(snapshot.entries.values(), key=lambda entry: -entry.contact.id)
            known = {entry.identity: entry.contact for entry in by_id}  # of twins, the oldest
            edits = plan.edits((row for row in read if isinstance(row, ImportRow)), known)
            batch = self._commit(snapshot.after(edits, kind, plan.at)) if edits else None
        return plan.result(batch)

    # --- running

    def check(self) -> None:
        self._now()

    def open_worker(self) -> None:
        self._now()

    def close_worker(self) -> None:
        """Threads hold nothing."""

    def close(self) -> None:
        with self._writing:
            self._snapshot = None

    def _now(self) -> _Snapshot:
        if (snapshot := self._snapshot) is None:
            raise StoreUnavailable("The address book is closed.")
        return snapshot

    def _commit(self, snapshot: _Snapshot) -> Batch:
        self._snapshot = snapshot
        return snapshot.batches[len(snapshot.batches)]


def _place_in(sort: Sort) -> Callable[[Entry], Place]:
    return lambda entry: (entry.order[sort], entry.contact.id)


def _start(found: Sequence[Entry], query: ListQuery) -> int:
    """The index at which the page begins: behind the query's place."""
    if query.after is None:
        return 0
    if not query.descending:
        return bisect_right(found, query.after, key=_place_in(query.sort))
    ascending = found[::-1]
    return len(found) - bisect_left(ascending, query.after, key=_place_in(query.sort))


def _known(snapshot: _Snapshot, contact_ids: Iterable[int]) -> Iterator[Contact]:
    """The contacts that exist, once each, in the order given."""
    contacts = (snapshot.contact(contact_id) for contact_id in dict.fromkeys(contact_ids))
    return (contact for contact in contacts if contact)


def _refuse_if_changed(snapshot: _Snapshot, changes: Sequence[Change]) -> None:
    """EditConflict when any contact of these changes, all of one batch, has changed in a later one."""
    changed_since = {change.contact_id for change in snapshot.log[changes[-1].seq :]}
    for change in changes:
        if change.contact_id in changed_since:
            raise EditConflict(snapshot.contact(change.contact_id))


def _refuse_if_taken(snapshot: _Snapshot, changes: Sequence[Change]) -> None:
    """InvalidContact when undoing would give a contact an email that another has by now."""
    for change in changes:
        taken_by = snapshot.with_email(email_key(change.before.email)) if change.before else None
        if taken_by and taken_by.id != change.contact_id:
            raise email_taken(taken_by)
