"""Clients that write to a real server as fast as they are answered, and remember what they were told.

Each writes to contacts of its own, and to each of them once, so that none is ever refused. What
they wrote is looked for in the log afterwards: see tests.soundness.
"""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPException
from typing import Protocol
from urllib.parse import urlencode

from app.contacts.contact import ContactDraft
from app.store import ContactStore
from tests.server_process import Answer, Connection
from tests.soundness import Logged, Row

type Fields = Sequence[tuple[str, object]]


class Reachable(Protocol):
    """A server that can be connected to."""

    def connect(self, timeout: float = 20) -> Connection: ...


@dataclass(frozen=True, slots=True)
class Write:
    """A write: how it is asked for, and the batch that it makes.

    token: stands in what it writes. ids: the contacts that it changes. makes: how many it adds.
    undoes: the batch that it takes back, 0 for none.
    """

    kind: str
    token: str
    method: str
    path: str
    form: Fields = ()
    ids: frozenset[int] = frozenset()
    makes: int = 0
    undoes: int = 0

    def is_all_of(self, batch: Logged) -> bool:
        """Whether a batch is what this asks for, no more and no less."""
        if batch.kind != self.kind or (self.ids and batch.changes.keys() != self.ids):
            return False
        match self.kind:
            case "add" | "import":
                return len(batch.changes) == self.makes and self.is_begun_by(batch)
            case "update" | "tag":
                return all(map(self._wrote, batch.afters))
            case "delete":
                return not any(batch.afters)
            case _:
                return batch.undoes == self.undoes

    def is_begun_by(self, batch: Logged) -> bool:
        """Whether a batch is at least the beginning of this addition or import."""
        return batch.kind == self.kind and not any(batch.befores) and all(map(self._wrote, batch.afters))

    def _wrote(self, contact: Row | None) -> bool:
        return contact is not None and (self.token == contact["notes"] or self.token in contact["tags"])


@dataclass(slots=True)
class Told:
    """What a client knows of its writes: the batches that were acknowledged, and what it has no answer to."""

    acknowledged: dict[int, Write] = field(default_factory=dict)
    in_doubt: list[Write] = field(default_factory=list)


@dataclass(slots=True)
class Writer:
    """One client. stock: contacts that it may still change, with their versions. told: in its last run."""

    name: str
    chance: random.Random
    stock: list[tuple[int, int]] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    _number: int = 0
    _undone: set[int] = field(default_factory=set)

    def run(self, server: Reachable) -> Told:
        """Write until the server ends the connection; what was told."""
        told = self.told = Told()
        try:
            with server.connect() as connection:
                for write in self.writes(told.acknowledged):
                    told.in_doubt.append(write)
                    told.acknowledged[acknowledged(ask(connection, write))] = write
                    told.in_doubt.clear()
        except OSError, HTTPException:
            pass  # the writes that it leaves in doubt tell enough
        return told

    def restock(self, contacts: Iterable[Row]) -> None:
        """Take over those of the contacts that are this client's own."""
        own = [(row["id"], row["version"]) for row in contacts if row["company"] == self.name]
        self.stock = self.chance.sample(own, len(own))

    def writes(self, acknowledged: Mapping[int, Write]) -> Iterator[Write]:
        """Writes by chance, without end. acknowledged: it may grow; each of these batches is undone once."""
        while True:
            self._number += 1
            token = f"{self.name}-{self._number}"
            match self.chance.choices(("add", "update", "tag", "delete", "undo"), (40, 25, 15, 5, 15))[0]:
                case "update" if self.stock:
                    (one,) = self._some(1)
                    form = (*self._fields(token), ("version", one[1]))
                    yield Write("update", token, "PUT", f"/contacts/{one[0]}", form, ids=frozenset([one[0]]))
                case "tag" | "delete" as kind if len(self.stock) > 50:
                    ids = [one for one, _ in self._some(self.chance.randint(2, 40 if kind == "tag" else 15))]
                    form = (*(("id", one) for one in ids), ("do", kind), ("tag", token))
                    yield Write(kind, token, "POST", "/contacts/bulk", form, ids=frozenset(ids))
                case "undo" if undoable := acknowledged.keys() - self._undone:
                    batch = self.chance.choice(sorted(undoable))
                    self._undone.add(batch)
                    yield Write("undo", token, "POST", f"/undo/{batch}", undoes=batch)
                case _:
                    yield Write("add", token, "POST", "/contacts", self._fields(token), makes=1)

    def _some(self, number: int) -> list[tuple[int, int]]:
        return [self.stock.pop() for _ in range(number)]

    def _fields(self, token: str) -> Fields:
        return (
            ("name", f"Person {token}"),
            ("email", f"{token}@example.com"),
            ("company", self.name),
            ("notes", token),
        )


@dataclass(slots=True)
class Importer:
    """A client that imports a file, and undoes the import when it is done.

    rows: how many the file has. imported: set once the import is acknowledged, or not any more to come.
    """

    name: str
    rows: int
    imported: threading.Event = field(default_factory=threading.Event)
    _number: int = 0
    _token: str = ""
    _address: str = ""

    def upload(self, server: Reachable) -> None:
        """Send the file, and wait until it could be imported."""
        self._number += 1
        self.imported.clear()
        self._token = f"{self.name}-{self._number}"
        rows = (f"Person {row},{row}@{self._token}.example,{self._token}" for row in range(self.rows))
        file = "\r\n".join(("Name,Email,Notes", *rows))
        form = (
            '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
            f"Content-Type: text/csv\r\n\r\n{file}\r\n--cut--\r\n"
        ).encode()
        with server.connect() as connection:
            connection.send(
                f"POST /import HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {len(form)}\n"
                "Content-Type: multipart/form-data; boundary=cut\n\n"
            )
            connection.send(form)
            self._address = connection.answer().headers["location"]
            self._wait(connection, "Preview of the import")

    def run(self, server: Reachable) -> Told:
        """Import what was uploaded, then undo it; what was told."""
        told = Told()
        start = Write("import", self._token, "POST", self._address, makes=self.rows)
        told.in_doubt.append(start)
        try:
            with server.connect() as connection:
                ask(connection, start)
                page = self._wait(connection, "Import finished")
                batch = int(page.partition('action="/undo/')[2].partition('"')[0])
                told.acknowledged[batch] = start
                self.imported.set()
                undo = Write("undo", self._token, "POST", f"/undo/{batch}", undoes=batch)
                told.in_doubt[:] = [undo]
                told.acknowledged[acknowledged(ask(connection, undo))] = undo
                told.in_doubt.clear()
        except OSError, HTTPException:
            pass
        finally:
            self.imported.set()
        return told

    def fail(self, server: Reachable) -> tuple[Write, str]:
        """Import what was uploaded, which shall fail; what was asked for, and the page that says why."""
        start = Write("import", self._token, "POST", self._address, makes=self.rows)
        with server.connect() as connection:
            ask(connection, start)
            return start, unescape(self._wait(connection, "The file was not imported"))

    def _wait(self, connection: Connection, heading: str) -> str:
        """Look at the page of the import until it says that it is so far; the page."""
        while True:
            page = connection.get(self._address).text
            found = re.search(r"<h1[^>]*>\s*([^<]*?)\s*<", page)
            assert found, page
            if found[1] == heading:
                return page
            assert found[1] in ("Reading the file…", "Importing…"), page


def give_stock(store: ContactStore, writers: Iterable[Writer], each: int) -> None:
    """Contacts to begin with."""
    store.import_many(
        ContactDraft(f"Person {number}", f"{number}@{writer.name}.example", company=writer.name)
        for writer in writers
        for number in range(each)
    )


def send(connection: Connection, write: Write) -> None:
    """Send a write as a plain form."""
    form = urlencode(write.form)
    connection.send(
        f"{write.method} {write.path} HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {len(form)}\n"
        f"Content-Type: application/x-www-form-urlencoded\n\n{form}"
    )


def ask(connection: Connection, write: Write) -> Answer:
    """The same, and read all of the answer."""
    send(connection, write)
    return connection.answer()


def acknowledged(answer: Answer) -> int:
    """The batch that an answer acknowledges; AssertionError when it does not."""
    done = re.search(r"[?&]done=(\d+)", answer.headers.get("location", ""))
    assert answer.status == 303, answer
    assert done, answer
    return int(done[1])


def compare(batches: Mapping[int, Logged], told: Sequence[Told]) -> Counter[str]:
    """Compare what the log has gained in one life of the server with what its clients know; the counts."""
    unexplained = dict(batches)
    counts = Counter[str]()
    for write, batch in ((write, batch) for each in told for batch, write in each.acknowledged.items()):
        assert batch in batches, f"{write} was acknowledged, and it is lost"
        assert write.is_all_of(unexplained.pop(batch)), f"{write} was acknowledged as {batches[batch]}"
        counts[f"{write.kind} acknowledged"] += 1
    for write in (write for each in told for write in each.in_doubt):
        kept = [batch.id for batch in unexplained.values() if write.is_all_of(batch) and not batch.undone_by]
        cut = [batch.id for batch in unexplained.values() if write.is_begun_by(batch) and batch.undone_by]
        for batch in kept:
            counts[f"{write.kind} in doubt and kept"] += 1
            del unexplained[batch]
        for batch in cut:
            counts[f"{write.kind} in doubt and taken back"] += 1
            undo = unexplained.pop(unexplained.pop(batch).undone_by or 0)
            assert undo.changes.keys() == batches[batch].changes.keys()
            assert not any(undo.afters)
        if not (kept or cut):
            counts[f"{write.kind} in doubt and lost"] += 1
    assert not unexplained, "each batch is a write that was sent, and each of those made one at most"
    return counts
