"""Two servers on one PostgreSQL database, as on two machines: each shows what the other one does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.event_stream import EventStream
from tests.postgres import Postgres
from tests.server_process import RunningServer, running_server
from tests.test_live import save


@contextmanager
def site(postgres: Postgres, folder: Path) -> Iterator[RunningServer]:
    """One of the servers."""
    with running_server(folder, CONTACTS_STORE=postgres.url(), CONTACTS_SAMPLE="0") as running:
        yield running


@pytest.fixture
def sites(postgres: Postgres, tmp_path: Path) -> Iterator[list[RunningServer]]:
    """Both, with an empty address book."""
    postgres.empty()
    with ExitStack() as stack:
        yield [stack.enter_context(site(postgres, tmp_path)) for _ in range(2)]


def test_the_windows_of_each_server_hear_of_what_the_other_one_changes(
    sites: list[RunningServer], postgres: Postgres
) -> None:
    with ExitStack() as stack:
        windows = [stack.enter_context(EventStream(site, after=0)) for site in sites for _ in range(3)]
        for number in range(1, 5):
            if number == 3:
                postgres.kill_backends()  # as a restart of the database does: everything goes on by itself
            save(sites[number % 2], f"Person {number}")

            assert [window.changed() for window in windows] == [number] * 6

    assert ["Person 4" in site.get("/contacts").text for site in sites] == [True, True]
    assert "store postgresql:///contacts, 2 worker" in sites[0].log()
