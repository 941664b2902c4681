"""Whether a database file is whole: read by SQLite itself, without any of the app's code.

For tests that hurt the app in the middle of its work, and look at what is left behind.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

type Row = dict[str, Any]  # a contact as the log keeps it

_BATCH = "id, kind, size, undoes, undone_by, open"
_FIELDS = ("id", "name", "email", "phone", "company", "notes", "tags", "created_at", "updated_at", "version")


@dataclass
class Logged:
    """A batch of the log. changes: before and after of each contact, by its id."""

    id: int
    kind: str
    size: int
    undoes: int | None
    undone_by: int | None
    open: bool
    changes: dict[int, tuple[Row | None, Row | None]] = field(default_factory=dict, repr=False)

    @property
    def befores(self) -> list[Row | None]:
        """What the contacts were."""
        return [before for before, _ in self.changes.values()]

    @property
    def afters(self) -> list[Row | None]:
        """What the contacts became."""
        return [after for _, after in self.changes.values()]


@dataclass
class Replay:
    """The contacts that the log leads to, as far as it has been read. seq: how far that is.

    batches: those of the log, by id, each as it was when it was read.
    """

    contacts: dict[int, Row] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)  # also of those that are gone
    seq: int = 0
    batches: dict[int, Logged] = field(default_factory=dict, compare=False, repr=False)

    def go_on(self, conn: sqlite3.Connection) -> dict[int, Logged]:
        """Read what the log has gained: its batches, by id. AssertionError when it contradicts itself.

        Each change begins where the one before it has left its contact, and makes the next version of
        it; each batch has as many changes as it says, and none is left open.
        """
        batches = {
            row[0]: Logged(*row)
            for row in conn.execute(
                f"SELECT {_BATCH} FROM batch WHERE id > ? ORDER BY id", (max(self.batches, default=0),)
            )
        }
        changes = conn.execute(
            "SELECT seq, batch, contact_id, before, after FROM change WHERE seq > ? ORDER BY seq", (self.seq,)
        )
        for seq, batch, contact_id, before, after in changes:
            assert seq == self.seq + 1, "the log has no gap"
            was, becomes = _contact(before), _contact(after)
            assert self.contacts.pop(contact_id, None) == was, f"change {seq} begins where the log was"
            if becomes:
                version = self.versions.get(contact_id, 0) + 1
                assert (becomes["id"], becomes["version"]) == (contact_id, version)
                self.versions[contact_id] = version
                self.contacts[contact_id] = becomes
            batches[batch].changes[contact_id] = (was, becomes)
            self.seq = seq
        for batch in batches.values():
            assert batch.size == len(batch.changes) > 0, f"{batch} is whole"
            assert not batch.open, f"nobody writes {batch} any more"
        self.batches |= batches
        return batches


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection, and everything that is read over it is of one moment."""
    with closing(sqlite3.connect(database, autocommit=True)) as conn:
        conn.execute("BEGIN")
        yield conn
        conn.execute("COMMIT")


def assert_sound(database: Path) -> Replay:
    """Everything that can be asked of a file that nobody writes to; the contacts in it.

    SQLite finds it whole and the search index in step with the contacts; the log, replayed from
    empty, gives exactly the contacts; tags and counters are those of the contacts.
    """
    with closing(sqlite3.connect(database, autocommit=True)) as conn:
        conn.execute("INSERT INTO contact_search (contact_search, rank) VALUES ('integrity-check', 1)")
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        replay = Replay()
        replay.go_on(conn)
        undone = {batch.undoes: batch.id for batch in replay.batches.values() if batch.undoes}
        assert all(batch.undone_by == undone.get(batch.id) for batch in replay.batches.values())
        assert replay.contacts == _contacts(conn)
        assert conn.execute("SELECT total FROM contact_count").fetchall() == [(len(replay.contacts),)]
        tags = {(tag.casefold(), row["id"]) for row in replay.contacts.values() for tag in row["tags"]}
        assert set(conn.execute("SELECT tag, contact_id FROM contact_tag")) == tags
        assert dict(conn.execute("SELECT tag, contacts FROM tag_count")) == Counter(tag for tag, _ in tags)
    return replay


def _contacts(conn: sqlite3.Connection) -> dict[int, Row]:
    rows = conn.execute(f"SELECT {', '.join(_FIELDS)} FROM contact")
    contacts = [dict(zip(_FIELDS, row, strict=True)) for row in rows]
    return {row["id"]: row | {"tags": json.loads(row["tags"])} for row in contacts}


def _contact(text: str | None) -> Row | None:
    contact: Row | None = json.loads(text) if text else None
    return contact
