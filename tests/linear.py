"""Whether what many clients saw of a contact at the same time fits one order: linearizability.

A contact is a register, and its versions are the order in which it was written: so a history needs
no search for an order, only a look at whether that one agrees with the clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic_ns
from typing import Literal


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client has seen. kind: `write` made this version, `read` met it.

    began, ended: nanoseconds of a clock that all processes of the machine share.
    edits: how many edits the contact says it holds. by: who, it says, made the last one.
    """

    kind: Literal["read", "write"]
    contact_id: int
    began: int
    ended: int
    version: int
    edits: int
    by: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A contact as a client reads it."""

    version: int
    edits: int
    by: str


type Read = Callable[[int], Seen]
# Saves a contact with these edits if it is still at the version given: whether that was done.
type Save = Callable[[int, Seen, int], bool]


def edit(name: str, contacts: Sequence[int], read: Read, save: Save, rounds: int) -> list[Operation]:
    """One client: read a contact, add an edit to what it holds, save that; what it saw."""
    chance = Random(name)
    history = list[Operation]()
    for number in range(rounds):
        contact_id = chance.choice(contacts)
        began = monotonic_ns()
        seen = read(contact_id)
        history.append(
            Operation("read", contact_id, began, monotonic_ns(), seen.version, seen.edits, seen.by)
        )
        new = Seen(seen.version + 1, seen.edits + 1, f"{name}.{number}")
        began = monotonic_ns()
        if save(contact_id, new, seen.version):
            history.append(
                Operation("write", contact_id, began, monotonic_ns(), new.version, new.edits, new.by)
            )
    return history


def faults(history: Iterable[Operation]) -> list[str]:
    """What contradicts an order in which each operation takes effect at one moment; empty when nothing does.

    The contacts begin at version 1 with no edits.
    """
    of_contact = defaultdict[int, list[Operation]](list)
    for operation in history:
        of_contact[operation.contact_id].append(operation)
    return [fault for operations in of_contact.values() for fault in _faults(operations)]


def _faults(operations: Sequence[Operation]) -> list[str]:
    writes = sorted(operation.version for operation in operations if operation.kind == "write")
    found = []
    if writes != list(range(2, len(writes) + 2)):
        found.append(f"the versions {writes} have gaps or repeat")
    by = {operation.version: operation.by for operation in operations if operation.kind == "write"} | {1: ""}
    for each in operations:
        if each.edits != each.version - 1:
            found.append(f"an edit is lost: {each}")
        if each.by != by.get(each.version):
            found.append(f"nobody wrote that: {each}")
    newest = 0  # of the versions seen by whoever was done before the operation began
    done = sorted(operations, key=lambda operation: operation.ended, reverse=True)
    for each in sorted(operations, key=lambda operation: operation.began):
        while done and done[-1].ended < each.began:
            newest = max(newest, done.pop().version)
        if each.version < newest + (each.kind == "write"):
            found.append(f"version {newest} was seen before: {each}")
    return found
