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
from datetime import date, datetime, timedelta

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
from app.contacts.listing import (
    COUNT_LIMIT,
    STALE,
    ContactPage,
    ListQuery,
    Only,
    Place,
    Ranked,
    Sort,
    Statistics,
    matches,
    terms,
    weeks_until,
)
from app.store import Accounts, CannotOpen, ImportResult, OnDuplicate, RowError, StoreUnavailable
from app.store.edits import CleanRow, Edit, Import, ImportRow, Undoing, refuse_stale, removed, retagged
from app.store.entry import Entry, tag_key

_PROGRESS_EVERY = 250


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the store knows at one moment.

    entries: by id. emails: email key to id. log: every change, so the one with seq n is at n - 1.
    last_id: the highest id ever given. orders, tags: made when first asked for; two readers who
    ask at once both make them, and keep the same answer.
    """

    entries: Mapping[int, Entry] = field(default_factory=dict)
    emails: Mapping[str, int] = field(default_factory=dict)
    log: tuple[Change, ...] = ()
    batches: Mapping[int, Batch] = field(default_factory=dict)
    last_id: int = 0
    orders: dict[Sort, tuple[Entry, ...]] = field(default_factory=dict)
    tags: list[tuple[str, int]] = field(default_factory=list)

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
            belongs = _belonging(query.only)
            order = tuple(
                entry
                for entry in order
                if tags <= entry.tags and matches(wanted, entry.haystack) and belongs(entry)
            )
        return order[::-1] if query.descending else order

    def tag_counts(self) -> Sequence[tuple[str, int]]:
        if not self.tags:
            counts = Counter(key for entry in self.entries.values() for key in entry.tags)
            spellings: dict[str, str] = {}
            for entry in sorted(self.entries.values(), key=lambda entry: entry.contact.id):
                for tag in entry.contact.tags:
                    spellings.setdefault(tag_key(tag), tag)
            ranked = sorted(counts, key=lambda key: (-counts[key], key))
            self.tags[:] = [(spellings[key], counts[key]) for key in ranked]
        return tuple(self.tags)

    def changes_of(self, batch: Batch) -> tuple[Change, ...]:
        start = batch.first.seq - 1
        return self.log[start : start + batch.size]

    def after(self, edits: Iterable[Edit], kind: Kind, at: datetime, undoes: int | None = None) -> Snapshot:
        """The snapshot that a batch of edits, at least one, makes of this one."""
        entries, emails, log = dict(self.entries), dict(self.emails), list(self.log)
        batch_id = len(self.batches) + 1
        edits = tuple(edits)
        for edit in edits:  # all of them first: a merge hands an email from one contact to another
            if edit.before and (key := email_key(edit.before.email)):
                del emails[key]
        for edit in edits:
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
        return Snapshot(entries, emails, tuple(log), batches, last_id)


class MemoryStore:
    """Contacts in memory. The contract is that of app.store.ContactStore."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = Snapshot()
        self._writing = threading.Lock()
        self._importing = threading.Lock()

    # --- reading

    def list(self, query: ListQuery) -> ContactPage:
        found = self._now().found(query)
        start = _start(found, query)
        rows = found[start : start + query.limit]
        more = start + query.limit < len(found)
        counted = min(len(found), COUNT_LIMIT) if query.is_filtered else len(found)
        return ContactPage(
            contacts=tuple(entry.contact for entry in rows),
            total=counted,
            next=_place_in(query.sort)(rows[-1]) if more else None,
            exact=counted == len(found),
        )

    def neighbours(self, query: ListQuery, contact_id: int) -> tuple[Contact | None, Contact | None]:
        snapshot = self._now()
        if contact_id not in snapshot.entries:
            raise NoSuchContact(contact_id)
        place = _place_in(query.sort)(snapshot.entries[contact_id])

        def behind(*, descending: bool) -> Contact | None:
            towards = replace(query, descending=descending, after=place)
            found = snapshot.found(towards)
            start = _start(found, towards)
            return found[start].contact if start < len(found) else None

        return behind(descending=not query.descending), behind(descending=query.descending)

    def ids(self, query: ListQuery) -> Sequence[int]:
        return tuple(entry.contact.id for entry in self._now().found(query))

    def tags(self) -> Sequence[tuple[str, int]]:
        return self._now().tag_counts()

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

    def history(self, contact_id: int, limit: int = 50) -> Sequence[Change]:
        log = self._now().log
        return tuple(
            itertools.islice((change for change in reversed(log) if change.contact_id == contact_id), limit)
        )

    def version(self, contact_id: int, version: int) -> Contact | None:
        for change in self._now().log:
            if change.contact_id == contact_id:
                for contact in (change.before, change.after):
                    if contact and contact.version == version:
                        return contact
        return None

    def last_change(self) -> int:
        return len(self._now().log)

    def settled(self) -> int:
        return self.last_change()

    def batch(self, batch_id: int) -> Batch | None:
        return self._now().batches.get(batch_id)

    def batches(self, limit: int = 20, before: int | None = None) -> Sequence[Batch]:
        batches = self._now().batches  # their ids are 1, 2, 3...
        newest = len(batches) if before is None else min(max(before, 1) - 1, len(batches))
        return tuple(batches[number] for number in range(newest, max(newest - limit, 0), -1))

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
        entries = self._now().entries.values()
        week_ago = now() - timedelta(days=7)
        return Statistics(
            total=len(entries),
            with_email=sum(entry.email is not None for entry in entries),
            with_phone=sum(entry.contact.phone != "" for entry in entries),
            added_this_week=sum(entry.contact.created_at >= week_ago for entry in entries),
            companies=len({entry.company for entry in entries if entry.company}),
        )

    def added_by_week(self, weeks: int) -> Sequence[tuple[date, int]]:
        mondays = weeks_until(now(), weeks)
        days = Counter(entry.contact.created_at.date() for entry in self._now().entries.values())
        return tuple(
            (monday, sum(days[monday + timedelta(days=day)] for day in range(7))) for monday in mondays
        )

    def top(self, field: Ranked, limit: int) -> Sequence[tuple[str, int]]:
        entries = sorted(self._now().entries.values(), key=lambda entry: entry.contact.id)
        keyed = [(_company if field == "company" else _domain)(entry) for entry in entries]
        counts = Counter(key for key, _ in keyed if key)
        spellings = dict(reversed(keyed))
        ranked = sorted(counts, key=lambda key: (-counts[key], key))[:limit]
        return tuple((spellings[key], counts[key]) for key in ranked)

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

    def delete(self, contact_ids: Sequence[int], *, version: int | None = None) -> Batch | None:
        with self._writing:
            snapshot = self._now()
            edits = [removed(contact, version) for contact in _known(snapshot, contact_ids)]
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

    def merge(self, versions: Mapping[int, int], draft: ContactDraft) -> tuple[Contact, Batch]:
        draft = draft.clean()
        first, *others = versions
        prepared = Entry.of(Contact.create(first, draft, now()))
        with self._writing:
            snapshot, at = self._now(), now()
            current = refuse_stale(versions, snapshot.contact)
            if (taken_by := snapshot.with_email(prepared.email)) and taken_by.id not in versions:
                raise email_taken(taken_by)
            contact = current[first].changed(draft, at)
            edits = [
                Edit(current[first], prepared.at(contact)),
                *(Edit(current[other], None) for other in others),
            ]
            return contact, self._commit(snapshot.after(edits, "merge", at))

    def undo(self, batch_id: int, *, partly: bool = False) -> Batch:
        with self._writing:
            snapshot, at = self._now(), now()
            batch = _get_batch(snapshot, batch_id)
            if by := standing_undo(batch, snapshot.batches.get):
                return by
            plan, edits = _undo(snapshot, batch, at)
            if not edits or ((plan.partial or plan.blocked) and not partly):
                raise UndoConflict(plan)
            return self._commit(snapshot.after(edits, "undo", at, undoes=batch_id))

    def undo_plan(self, batch_id: int) -> UndoPlan:
        snapshot = self._now()
        return _undo(snapshot, _get_batch(snapshot, batch_id), now())[0]

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        read = tuple(itertools.starmap(CleanRow.read, enumerate(drafts, 1)))
        with self._importing:
            rows = _prepare(read, progress)
            snapshot = self._now()
            planned = _plan(snapshot, read, rows, on_duplicate)
            with self._writing:
                if self._now() is not snapshot:  # others wrote while this was planned
                    planned = _plan(self._now(), read, rows, on_duplicate)
                plan, edits = planned
                batch = self._commit(self._now().after(edits, kind, plan.at)) if edits else None
        return plan.result(batch)

    def preview(self, drafts: Iterable[ContactDraft], on_duplicate: OnDuplicate = "skip") -> ImportResult:
        read = tuple(itertools.starmap(CleanRow.read, enumerate(drafts, 1)))
        plan, _ = _plan(self._now(), read, _prepare(read, lambda done: None), on_duplicate)
        return plan.result(None)

    # --- running

    def accounts(self) -> Accounts:
        raise CannotOpen(
            "CONTACTS_AUTH is password and CONTACTS_STORE is memory:, which no other command can reach, so "
            "nobody could be made a user. Use sqlite:///contacts.db."
        )

    def check(self) -> None:
        self._now()

    def open_worker(self) -> None:
        self._now()

    def close_worker(self) -> None:
        """Threads hold nothing."""

    def close(self) -> None:
        with self._writing:
            self._snapshot = None

    def _now(self) -> Snapshot:
        if (snapshot := self._snapshot) is None:
            raise StoreUnavailable("The address book is closed.")
        return snapshot

    def _commit(self, snapshot: Snapshot) -> Batch:
        self._snapshot = snapshot
        return snapshot.batches[len(snapshot.batches)]


def _belonging(only: Only) -> Callable[[Entry], bool]:
    """Whether an entry is one of those that a list shows only."""
    year_ago = now() - STALE
    tests: Mapping[Only, Callable[[Entry], bool]] = {
        "": lambda entry: True,
        "no-phone": lambda entry: not entry.contact.phone,
        "no-email": lambda entry: not entry.contact.email,
        "stale": lambda entry: entry.contact.updated_at < year_ago,
    }
    return tests[only]


def _company(entry: Entry) -> tuple[str, str]:
    """What makes the company the same one, and how it is spelled."""
    return entry.company, entry.contact.company


def _domain(entry: Entry) -> tuple[str, str]:
    domain = (entry.email or "").rpartition("@")[2]
    return domain, domain


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


def _known(snapshot: Snapshot, contact_ids: Iterable[int]) -> Iterator[Contact]:
    """The contacts that exist, once each, in the order given."""
    contacts = (snapshot.contact(contact_id) for contact_id in dict.fromkeys(contact_ids))
    return (contact for contact in contacts if contact)


def _get_batch(snapshot: Snapshot, batch_id: int) -> Batch:
    batch = snapshot.batches.get(batch_id)
    if batch is None:
        raise NoSuchBatch(batch_id)
    return batch


def _undo(snapshot: Snapshot, batch: Batch, at: datetime) -> tuple[UndoPlan, list[Edit]]:
    """What undoing a batch does, and the edits that do it."""
    changes = {change.contact_id: change for change in snapshot.changes_of(batch)}
    undoing = Undoing(batch, at, _Present(snapshot, changes))
    edits = [edit for change in changes.values() if (edit := undoing.edit(change))]
    return undoing.plan(), edits


class _Present:
    """The snapshot as app.store.edits.Present wants it. changes: those of the batch, by contact."""

    def __init__(self, snapshot: Snapshot, changes: Mapping[int, Change]) -> None:
        self.contact = snapshot.contact
        self.with_email = snapshot.with_email
        self._changes = changes
        last = max(change.seq for change in changes.values())
        self._later = {change.contact_id for change in snapshot.log[last:]}

    def change_of(self, contact_id: int) -> Change | None:
        return self._changes.get(contact_id)

    def changed_since(self, contact_id: int) -> bool:
        return contact_id in self._later


def _prepare(read: Sequence[CleanRow | RowError], progress: Callable[[int], object]) -> Sequence[ImportRow]:
    rows: list[ImportRow] = []
    at = now()
    for done, row in enumerate(read):
        if done and done % _PROGRESS_EVERY == 0:
            progress(done)
        if isinstance(row, CleanRow):
            rows.append(ImportRow.of(row, at))
    progress(len(read))
    return rows


def _plan(
    snapshot: Snapshot,
    read: Sequence[CleanRow | RowError],
    rows: Sequence[ImportRow],
    on_duplicate: OnDuplicate,
) -> tuple[Import, Sequence[Edit]]:
    """What an import does to a snapshot."""
    plan = Import(on_duplicate, now(), [row for row in read if isinstance(row, RowError)])
    by_id = sorted(snapshot.entries.values(), key=lambda entry: -entry.contact.id)
    known = {entry.identity: entry.contact for entry in by_id}  # of twins, the oldest
    return plan, plan.edits(rows, known, snapshot.last_id + 1)
