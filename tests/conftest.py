"""The stores that tests take: an empty one of each kind, or SQLite alone with its file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from app.store import ContactStore, open_store
from app.store.sqlite import SQLiteStore

settings.register_profile("tests", deadline=None)  # a slow computer is no failure
settings.load_profile("tests")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContactStore]:
    """An empty store of each kind: a test that takes it runs twice."""
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'contacts.db'}"
    store = open_store(url)
    yield store
    store.close()


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
