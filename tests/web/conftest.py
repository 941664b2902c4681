"""The app on each store, and who asks it.

One app serves every test, because its templates are compiled at the first request that
needs them; what changes from test to test is the store behind it.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from sqlite3 import connect
from typing import cast

import pytest
from chirp import App
from chirp.testing import TestClient

from app.main import create_app
from app.settings import Settings
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from tests.making import ADA
from tests.web.browser import Browser, Htmx, Serve


class Shelf:
    """Passes every call on to the store of the running test."""

    store: ContactStore

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda *args, **kwargs: getattr(self.store, name)(*args, **kwargs)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the server uses."""
    return "asyncio"


@pytest.fixture(scope="session")
def shelf() -> Shelf:
    """Where the store of the running test stands."""
    return Shelf()


@pytest.fixture(scope="session")
def app(shelf: Shelf) -> App:
    """The app as `python -m app serve` makes it."""
    return create_app(Settings(store="memory:"), cast("ContactStore", shelf))


@pytest.fixture
async def serve(app: App, shelf: Shelf) -> AsyncIterator[Serve]:
    """Starts the app on a store of the test's own; a second call changes the store."""
    async with AsyncExitStack() as stack:

        async def start(store: ContactStore) -> TestClient:
            shelf.store = store
            return await stack.enter_async_context(TestClient(app))

        yield start


@pytest.fixture
async def client(serve: Serve, store: ContactStore) -> TestClient:
    """Sends single requests to the app."""
    return await serve(store)


@pytest.fixture
def plain(client: TestClient) -> Browser:
    """A browser without script."""
    return Browser(client)


@pytest.fixture
def htmx(client: TestClient) -> Htmx:
    """htmx on the list of contacts."""
    return Htmx(client)


@pytest.fixture
def busy_store(sqlite: SQLiteStore, database: Path) -> Iterator[SQLiteStore]:
    """A store that holds Ada Lovelace and cannot be changed: another program is writing to its file."""
    sqlite.add(ADA)
    with closing(connect(database, autocommit=True)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield sqlite
