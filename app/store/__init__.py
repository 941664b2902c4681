"""Where contacts are kept: the contract that every store keeps, and how to open one.

A store is synchronous. Memory and SQLite answer in microseconds, PostgreSQL in about one
millisecond, so handlers call it inline; the command line and other frameworks call the same code.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, Protocol

from app.contacts.changes import Batch, Change, Kind, UndoPlan
from app.contacts.contact import Contact, ContactDraft
from app.contacts.listing import ContactPage, ListQuery, Ranked, Statistics
from app.store.accounts import AccountError as AccountError
from app.store.accounts import Accounts as Accounts
from app.store.accounts import NameTaken as NameTaken
from app.store.accounts import NoSuchUser as NoSuchUser
from app.store.accounts import Session as Session
from app.store.accounts import User as User

OnDuplicate = Literal["skip", "update", "fill"]


class StoreError(Exception):
    """The store itself is in trouble; the text says what to do about it, in one line.

    StoreError
        CannotOpen         at start-up: the store cannot be used at all
        StoreUnavailable   while running: this call failed and changed nothing
            StoreRefused       though all is well: a person has to do something else first
                StoreFull          there is no room for it
    """


class CannotOpen(StoreError):
    """The store cannot be opened: wrong path, no permission, not a database, too new, damaged."""


class StoreUnavailable(StoreError):
    """One call failed and left nothing behind: disk full, locked, read-only, damaged, closed."""


class StoreRefused(StoreUnavailable):
    """The store is well and does not take this call; the text says what to do first."""


class StoreFull(StoreRefused):
    """The store holds as much as it may."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A draft that an import left out. row: its position, from 1. errors: as in InvalidContact."""

    row: int
    draft: ContactDraft
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did. batch: None when it changed nothing. skipped: known already, left alone."""

    batch: Batch | None
    added: int
    updated: int
    skipped: int
    failed: tuple[RowError, ...]


# The methods of a store that may change contacts.
WRITES = frozenset({"add", "update", "delete", "tag", "merge", "undo", "import_many"})


class ContactStore(Protocol):
    """Keeps contacts and the log of their changes.

    Every write is atomic and appends one Change per contact, in one Batch, in the same
    transaction: if a call raises, nothing of it is kept. Any method may raise
    StoreUnavailable. Safe to call from any number of threads.
    """

    def list(self, query: ListQuery) -> ContactPage:
        """Return one page of the contacts that match the query.

        Order: the query's sort key, then id, both in the same direction, so that paging
        repeats and skips nobody, also while others write. `total` counts all pages, see ContactPage.
        """
        ...

    def neighbours(self, query: ListQuery, contact_id: int) -> tuple[Contact | None, Contact | None]:
        """The contacts just before and just after this one in the list, None at its ends.

        The query's place and limit are disregarded. A contact that does not match has its
        place where it would stand. NoSuchContact if there is none with this id.
        """
        ...

    def ids(self, query: ListQuery) -> Sequence[int]:
        """Ids of all contacts that match, in the order of the query, its place and limit disregarded."""
        ...

    def tags(self) -> Sequence[tuple[str, int]]:
        """Every tag in use with the number of contacts that have it, most used first, then by name.

        A tag is spelled as the oldest contact that has it spells it.
        """
        ...

    def get(self, contact_id: int) -> Contact:
        """Return the contact; NoSuchContact if there is none. Any int will do as an id."""
        ...

    def count(self, query: ListQuery | None = None) -> int:
        """How many contacts match the query; None counts all."""
        ...

    def find_email(self, email: str) -> Contact | None:
        """The contact that has this email, without regard to case; None for "" and for nobody."""
        ...

    def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
        """Keep a new contact under an id never used before.

        InvalidContact if the draft breaks a rule or its email is taken.
        """
        ...

    def update(self, contact_id: int, draft: ContactDraft, version: int) -> tuple[Contact, Batch | None]:
        """Replace the fields of a contact that is still at this version.

        The batch is None when nothing differs; then nothing is written. In this order:
        InvalidContact for a broken rule, NoSuchContact, EditConflict when the contact is at
        another version, InvalidContact when the email is taken by another contact.
        """
        ...

    def delete(self, contact_ids: Sequence[int], *, version: int | None = None) -> Batch | None:
        """Delete these contacts as one batch; ids that do not exist are passed over.

        version: what each of them must be at, else EditConflict and no change; None for any.
        None when no contact was deleted.
        """
        ...

    def tag(
        self, contact_ids: Sequence[int], add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Batch | None:
        """Add and remove tags of these contacts as one batch; unknown ids are passed over.

        Removal comes first and does not regard case. InvalidContact (and no change) when a
        contact would break a rule. None when nothing differs.
        """
        ...

    def merge(self, versions: Mapping[int, int], draft: ContactDraft) -> tuple[Contact, Batch]:
        """Make one contact of several, as one batch: the first takes the draft's fields, the others go.

        versions: ids with the version that each was read at, at least two; the first one stays.
        In this order: InvalidContact for a broken rule; NoSuchContact for the first that is
        gone; EditConflict for the first that is at another version; InvalidContact when a
        contact that is not among them has the draft's email.
        """
        ...

    def undo(self, batch_id: int, *, partly: bool = False) -> Batch:
        """Take a batch back as a new batch that can itself be undone.

        What is undone already is not undone twice: as long as the batch that did it stands, it is
        the answer, also for whoever asks at the same moment. NoSuchBatch when the log does not hold
        it. UndoConflict, and no change, when one of its contacts has changed since or when another
        contact has taken an email meanwhile; the plan of the error says what can be done. With
        `partly` that much is done, and UndoConflict only says that nothing can be.
        """
        ...

    def undo_plan(self, batch_id: int) -> UndoPlan:
        """What `undo` with `partly` would do now; NoSuchBatch when the log does not hold the batch."""
        ...

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        """Add many drafts as one batch.

        A draft is known already when a contact has its email, or, for a draft without
        email, when a contact without email has the same folded name and phone digits. Then
        `skip` leaves it alone, `update` replaces every field that the draft has, `fill` writes only the empty
        ones and adds the tags; of several such contacts the oldest is meant. A draft that
        changes nothing counts as skipped; one that breaks a rule, on its own or with the tags
        that the contact has, is reported in `failed`, in the order of the rows. Drafts are taken
        in order, so a later one may know a contact that an earlier one added; the batch still
        holds one change per contact, and a row whose contact someone else changed in between
        fails. All drafts are read before the first is written: if reading them raises, the import keeps
        nothing and the error passes through. Then they are written in small groups, between
        which others write, too; readers may see a part. If writing fails, what was written is
        undone, by this call or, when the process died, by the next that opens the store. Imports
        take turns. `progress` is called with the number of drafts done so far, now and then and
        at the end; what it raises ends the import in the same way.
        """
        ...

    def preview(self, drafts: Iterable[ContactDraft], on_duplicate: OnDuplicate = "skip") -> ImportResult:
        """What `import_many` would do now with these drafts; nothing is written and nobody waits."""
        ...

    def export(self, query: ListQuery) -> Iterator[Contact]:
        """Yield every contact that matches, in the order of the query, its place and limit disregarded.

        Who comes, and in which order, is settled when this is called: each contact comes once,
        as it is when its turn comes or as it was at the call, and only those deleted meanwhile
        may be left out. Memory holds one number for each contact, never all of them; nothing
        stays locked while the reader takes its time, and any thread may go on reading.
        """
        ...

    def changes(self, after: int, limit: int = 100) -> Sequence[Change]:
        """At most `limit` changes with a seq above `after`, oldest first."""
        ...

    def history(self, contact_id: int, limit: int = 50) -> Sequence[Change]:
        """The newest changes of one contact, newest first; also of one that is deleted."""
        ...

    def version(self, contact_id: int, version: int) -> Contact | None:
        """The contact as it was at this version, None when the log does not reach that far."""
        ...

    def last_change(self) -> int:
        """The newest seq, 0 for an empty log: it changes exactly when anything does."""
        ...

    def settled(self) -> int:
        """The newest seq of a change that is complete: what live views follow.

        Behind `last_change` only while an import is being written, which is one change, and
        nobody has changed anything else since; and, with PostgreSQL, for the milliseconds in which
        it is told what another process wrote. It never falls, and both are equal in the end.
        """
        ...

    def batch(self, batch_id: int) -> Batch | None:
        """The batch with this id, None when the log does not hold it."""
        ...

    def batches(self, limit: int = 20, before: int | None = None) -> Sequence[Batch]:
        """The newest batches, newest first: the activity feed. before: only those with a lower id."""
        ...

    def samples(self, limit: int | None = None) -> Sequence[int]:
        """Ids, ascending, of the contacts that a `sample` batch made and nobody has changed since.

        limit: at most so many; None for all.
        """
        ...

    def statistics(self) -> Statistics:
        """Figures about all contacts, from one moment."""
        ...

    def added_by_week(self, weeks: int) -> Sequence[tuple[date, int]]:
        """How many of the contacts that exist were added in each of the last weeks.

        Each with the Monday it began on (UTC), the oldest first, the present week last.
        """
        ...

    def top(self, field: Ranked, limit: int) -> Sequence[tuple[str, int]]:
        """The companies or email domains with the most contacts, most first, then by name. See `tags`, too.

        Companies are the same without regard to case and accents, and spelled as the oldest
        contact has it. A domain is in small letters. Contacts that have none are left out.
        """
        ...

    def accounts(self) -> Accounts:
        """Who may sign in, in the same database; CannotOpen from a store that could not keep them."""
        ...

    def check(self) -> None:
        """Return if the store can be read and written, as far as shows without writing.

        StoreUnavailable if it cannot.
        """
        ...

    def open_worker(self) -> None:
        """Take what the calling thread needs, such as a connection. Optional: its first call does it."""
        ...

    def close_worker(self) -> None:
        """Give back what the calling thread holds. The thread may use the store again afterwards."""
        ...

    def close(self) -> None:
        """Give back everything. Calls that come later raise StoreUnavailable. Safe to repeat."""
        ...


def open_store(url: str) -> ContactStore:
    """Open the store that a URL names; make and migrate it if it is new.

    `memory:` keeps contacts until the process ends. `sqlite:///contacts.db` is a file
    beside the working directory, `sqlite:////srv/contacts.db` one at an absolute path.
    `postgresql://user:password@host/database` is a database that several machines may share.
    CannotOpen says in one line what to do about anything in the way.
    """
    if url == "memory:":
        from app.store.memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:///") and url != "sqlite:///":
        from app.store.sqlite import SQLiteStore

        return SQLiteStore(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        from app.store.postgres import PostgresStore

        return PostgresStore(url)
    raise CannotOpen(
        f"CONTACTS_STORE is {shown(url)!r}: use memory:, sqlite:///path/to/contacts.db "
        "or postgresql://user:password@host/database."
    )


def shown(url: str) -> str:
    """A store's URL as anybody may read it: without what could be a password.

    >>> shown("postgresql://ada:secret@db.example.com/contacts?sslmode=require")
    'postgresql://db.example.com/contacts'
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme == "sqlite":
        return url
    place = rest.rpartition("@")[2].partition("?")[0]
    plain = _PLACE.fullmatch(place) and "password" not in rest
    return f"{scheme}://{place if plain else '...'}"


# A host with a port, and a database. Anything else may be a password in a URL with a mistake in it.
_PLACE = re.compile(r"(?:[\w.-]*|\[[\da-fA-F:]+\])(?::\d+)?(?:/[\w.-]*)?")
