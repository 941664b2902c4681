"""Moves an address book from one database to another of any kind, with its log, so that undo goes on."""

from collections.abc import Callable, Iterator, Sequence

from app.store import CannotOpen, StoreUnavailable
from app.store.entry import Entry
from app.store.sql import GROUP, Rows, SQLStore, Totals
from app.store.sql_accounts import copy_accounts


def move(
    source: SQLStore, target: SQLStore, progress: Callable[[int, int], object] = lambda done, total: None
) -> Totals:
    """Copy everything as it is at one moment: contacts by their ids, log, users; return how much.

    All of it in one transaction: if anything raises, the target stays empty. progress: called
    with the rows copied so far and the number of all. CannotOpen for a target that is not empty,
    StoreUnavailable while an import is writing to the source.
    """
    with source._snapshot() as old, target._write() as new:
        if new.totals() != Totals(0, 0, 0) or new.execute("SELECT 1 FROM account").fetchone():
            raise CannotOpen(
                "The address book to move to is not empty. Nothing was moved. Name a new database."
            )
        if old.unfinished():
            raise StoreUnavailable("An import is running. Nothing was moved. Wait for its end.")
        totals = old.totals()
        done, total = 0, sum(totals)
        for count in _copy(old, new):
            done += count
            progress(done, total)
        copy_accounts(old, new)
        new.finish_restoring()
        if new.totals() != totals:
            raise StoreUnavailable(f"Of {totals}, {new.totals()} arrived. Nothing was moved.")
    return totals


def _copy(old: Rows, new: Rows) -> Iterator[int]:
    """Copy group by group, and tell how many rows each had."""
    last = 0
    while batches := old.all_batches(last, GROUP):
        last = batches[-1][0]
        new.restore_batches(batches)
        yield len(batches)
    last = 0
    while changes := old.all_changes(last, GROUP):
        last = changes[-1].seq
        new.restore_changes(changes)
        yield len(changes)
    last = -1
    while contacts := old.all_contacts(last, GROUP):
        last = contacts[-1].id
        entries: Sequence[Entry] = [Entry.of(contact) for contact in contacts]
        new.restore_contacts(entries)
        yield len(contacts)
