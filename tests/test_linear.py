"""Concurrent edits of few contacts: none is lost, and all that anybody saw fits one order.

On every store, on SQLite from two processes, and through a real server.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from html import unescape
from pathlib import Path
from threading import Barrier
from urllib.parse import urlencode

import pytest

from app.contacts.contact import ContactDraft, EditConflict
from app.store import ContactStore, open_store
from tests.linear import Operation, Seen, edit, faults
from tests.making import draft
from tests.racing import race
from tests.server_process import ROOT, Connection, running_server

CONTACTS = (1, 2, 3)


def edit_store(
    store: ContactStore, name: str, rounds: int, meeting: Barrier | None = None
) -> list[Operation]:
    """A client of the store itself. meeting: where all wait for each other with what they have read first."""

    def read(contact_id: int) -> Seen:
        nonlocal meeting
        contact = store.get(contact_id)
        if meeting:
            meeting.wait()
            meeting = None
        edits, _, by = contact.company.partition(" ")
        return Seen(contact.version, int(edits), by)

    def save(contact_id: int, new: Seen, version: int) -> bool:
        try:
            contact, _ = store.update(contact_id, holding(contact_id, new.edits, new.by), version)
        except EditConflict:
            return False
        assert contact.version == new.version
        return True

    return edit(name, CONTACTS, read, save, rounds)


def edit_page(connection: Connection, name: str, rounds: int) -> list[Operation]:
    """A client of the page: it opens the editor of a row, and saves it."""

    def read(contact_id: int) -> Seen:
        connection.request(f"/contacts/{contact_id}/edit")
        page = connection.answer().text
        fields = dict(re.findall(r'name="(version|company)"[^>]* value="([^"]*)"', page))
        edits, _, by = unescape(fields["company"]).partition(" ")
        return Seen(int(fields["version"]), int(edits), by)

    def save(contact_id: int, new: Seen, version: int) -> bool:
        fields = asdict(holding(contact_id, new.edits, new.by)) | {"tags": "", "version": version}
        form = urlencode(fields)
        connection.send(
            f"PUT /contacts/{contact_id} HTTP/1.1\nHost: 127.0.0.1\nContent-Length: {len(form)}\n"
            f"Content-Type: application/x-www-form-urlencoded\n\n{form}"
        )
        status = connection.answer().status
        assert status in (303, 409)
        return status == 303

    return edit(name, CONTACTS, read, save, rounds)


def holding(contact_id: int, edits: int, by: str) -> ContactDraft:
    """A contact that says how often it was edited, and by whom."""
    return replace(draft(f"Person {contact_id}"), company=f"{edits} {by}".strip())


def make_contacts(store: ContactStore) -> None:
    store.import_many(holding(contact_id, 0, "") for contact_id in CONTACTS)


def assert_linear(histories: Sequence[Sequence[Operation]]) -> None:
    """Nothing contradicts an order; and there was something that could have."""
    history = [operation for each in histories for operation in each]
    assert faults(history) == []
    reads = sum(operation.kind == "read" for operation in history)
    assert 0 < len(history) - reads < reads, "some saves met a conflict, and some did not"


def test_edits_from_many_threads_fit_one_order(store: ContactStore) -> None:
    make_contacts(store)

    # Of eight some read the same of three contacts: so saves conflict, even if nothing else is done at once.
    meeting = Barrier(8)
    assert_linear(race(8, lambda thread: edit_store(store, f"t{thread}", 60, meeting)))


def test_edits_from_two_processes_fit_one_order(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'contacts.db'}"
    with closing(open_store(url)) as store:
        make_contacts(store)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.test_linear", url],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout
            assert other.stdout.readline() == "ready\n"

            def run(thread: int) -> list[Operation]:
                if thread:
                    return edit_store(store, f"t{thread}", 150)
                output, _ = other.communicate("go\n", timeout=60)
                return [Operation(**operation) for operation in json.loads(output)]

            histories = race(4, run)

    assert_linear(histories)


def test_edits_of_the_page_and_of_another_process_fit_one_order(tmp_path: Path) -> None:
    with (
        closing(open_store(f"sqlite:///{tmp_path / 'contacts.db'}")) as store,
        running_server(tmp_path, CONTACTS_SAMPLE="0") as server,
    ):
        make_contacts(store)

        def run(thread: int) -> list[Operation]:
            if thread == 0:
                return edit_store(store, "store", 100)
            with server.connect() as connection:
                return edit_page(connection, f"t{thread}", 25)

        histories = race(5, run)

    assert_linear(histories)


# --- the test itself

WRITE = Operation("write", 1, began=10, ended=20, version=2, edits=1, by="a")
NEXT = Operation("write", 1, began=30, ended=40, version=3, edits=2, by="b")
READ = Operation("read", 1, began=50, ended=60, version=3, edits=2, by="b")


@pytest.mark.parametrize(
    "history",
    [
        [WRITE, NEXT, READ],
        [WRITE, NEXT, replace(WRITE, kind="read", began=15, ended=35)],
        [WRITE, replace(NEXT, began=5, ended=15), replace(READ, began=12)],
        [WRITE, NEXT, replace(WRITE, contact_id=2, began=100, ended=110)],
    ],
)
def test_a_history_that_fits_an_order_is_let_pass(history: list[Operation]) -> None:
    assert faults(history) == []


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ([WRITE, NEXT, replace(WRITE, by="c")], "gaps or repeat"),
        ([WRITE, replace(NEXT, version=4, edits=3)], "gaps or repeat"),
        ([WRITE, replace(NEXT, edits=1)], "an edit is lost"),
        ([WRITE, NEXT, replace(READ, by="a")], "nobody wrote that"),
        ([WRITE, NEXT, replace(WRITE, kind="read", began=41, ended=50)], "was seen before"),
        ([WRITE, NEXT, replace(READ, began=1, ended=9)], "was seen before"),
        ([replace(WRITE, began=50, ended=60), NEXT], "was seen before"),
    ],
)
def test_a_history_that_fits_no_order_is_told(history: list[Operation], fault: str) -> None:
    assert any(fault in found for found in faults(history))


def main(url: str) -> None:
    """Another process that edits, as soon as a line comes in."""
    with closing(open_store(url)) as store:
        store.open_worker()
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps([asdict(operation) for operation in edit_store(store, "process", 400)]))


if __name__ == "__main__":
    main(sys.argv[1])
