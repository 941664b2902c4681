"""SandboxStore: the contacts of one visitor of a demo, in memory and within bounds.

It begins as a copy of another store, which costs nothing: both share the snapshot, which never
changes. What bounds it is looked at where every write ends, so no kind of write can pass by.
"""

import sys
from collections.abc import Callable, Iterable, Iterator

from app.contacts.changes import Batch, Change, Kind
from app.contacts.contact import ContactDraft
from app.store import ImportResult, OnDuplicate, StoreFull
from app.store.memory import MemoryStore, Snapshot

CONTACTS = 500
WEIGHT = (
    16 * 1_048_576
)  # bytes, as `weight` counts them: 500 contacts and about 4,000 changes of usual length

TOO_MANY = f"This demo holds at most {CONTACTS} contacts. Delete some, or start the demo again."
TOO_LONG = f"This demo takes files of at most {CONTACTS} contacts. Import a smaller one."
NO_ROOM = "This demo has no room for more changes. Start it again to go on."


class SandboxStore(MemoryStore):
    """A memory store that begins as a copy of another and has its bounds.

    A write that would pass them raises StoreFull and changes nothing. weight: about how many
    bytes its contacts and its log hold beside what it began with; rather too many than too few.
    """

    def __init__(self, original: MemoryStore | None = None) -> None:
        super().__init__()
        if original:
            self._snapshot = original._now()
        self.weight = 0

    def import_many(
        self,
        drafts: Iterable[ContactDraft],
        on_duplicate: OnDuplicate = "skip",
        *,
        kind: Kind = "import",
        progress: Callable[[int], object] = lambda done: None,
    ) -> ImportResult:
        return super().import_many(_few(drafts), on_duplicate, kind=kind, progress=progress)

    def preview(self, drafts: Iterable[ContactDraft], on_duplicate: OnDuplicate = "skip") -> ImportResult:
        result = super().preview(_few(drafts), on_duplicate)
        if self.count() + result.added > CONTACTS:
            raise StoreFull(TOO_MANY)
        return result

    def _commit(self, snapshot: Snapshot) -> Batch:
        if len(snapshot.entries) > CONTACTS:
            raise StoreFull(TOO_MANY)
        weight = self.weight + sum(map(_weight, snapshot.log[len(self._now().log) :]))
        if weight > WEIGHT:
            raise StoreFull(NO_ROOM)
        self.weight = weight
        return super()._commit(snapshot)


def _few(drafts: Iterable[ContactDraft]) -> Iterator[ContactDraft]:
    """The drafts, as long as they are few: all of them will be in memory at once."""
    for number, draft in enumerate(drafts, 1):
        if number > CONTACTS:
            raise StoreFull(TOO_LONG)
        yield draft


def _weight(change: Change) -> int:
    """Bytes that a change adds: itself, its contact, and the keys of it, which repeat its texts twice."""
    contact = change.after
    if contact is None:
        return 1_000
    texts = (contact.name, contact.email, contact.phone, contact.company, contact.notes, *contact.tags)
    return 2_000 + 3 * sum(map(sys.getsizeof, texts))
