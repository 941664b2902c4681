"""The stores that tests take: an empty one of each kind, or SQLite or PostgreSQL alone."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from app.store import ContactStore, open_store
from app.store.sqlite import SQLiteStore
from tests.postgres import Postgres, running_postgres

settings.register_profile("tests", deadline=None)  # a slow computer is no failure
settings.load_profile("tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `store` on each kind; on PostgreSQL only those of what stores promise."""
    if "store" in metafunc.fixturenames:
        of_stores = metafunc.module.__name__.rpartition(".")[2].startswith("test_store")
        kinds = ["memory", "sqlite", *(["postgres"] if of_stores else [])]
        metafunc.parametrize("store", kinds, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContactStore]:
    """An empty store of each kind: a test that takes it runs once for each."""
    match request.param:
        case "memory":
            url = "memory:"
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'contacts.db'}"
        case _:
            url = request.getfixturevalue("postgres").empty()
    with closing(open_store(url)) as store:
        yield store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster, started when the first test wants it. `empty` empties its database."""
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the file of `sqlite` is."""
    return tmp_path / "contacts.db"


@pytest.fixture
def sqlite(database: Path) -> Iterator[SQLiteStore]:
    """An empty SQLite store that gives up on other writers after a tenth of a second."""
    store = SQLiteStore(database, busy_timeout=0.1)
    yield store
    store.close()
