"""GET /health, /ready and /hello: what machines ask."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import rename
from pathlib import Path

import pytest
from chirp.testing import TestClient

from app.main import create_app
from app.settings import Settings
from app.store import ContactStore, StoreUnavailable
from app.store.memory import MemoryStore
from app.store.sqlite import SQLiteStore
from app.web import probes
from app.web.draining import draining
from app.web.probes import Readiness
from tests.web.browser import Serve

pytestmark = pytest.mark.anyio


async def test_hello_is_plain_text(client: TestClient) -> None:
    response = await client.get("/hello")

    assert (response.status, response.text) == (200, "Hello from Contacts.")
    assert response.content_type == "text/plain; charset=utf-8"


async def test_a_running_app_is_healthy_and_ready(client: TestClient) -> None:
    health, ready = await client.get("/health"), await client.get("/ready")

    assert (health.status, health.text) == (200, "ok")
    assert (ready.status, ready.text) == (200, '{"status": "ready"}')
    assert ready.content_type == "application/json"
    assert health.header("Cache-Control") == ready.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_a_probe_can_only_be_asked(client: TestClient, path: str) -> None:
    refused = await client.post(path)

    assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")
    assert (await client.request("HEAD", path)).status == 200


async def test_an_app_whose_store_is_closed_is_healthy_but_not_ready(
    client: TestClient, store: ContactStore
) -> None:
    store.close()

    health, ready = await client.get("/health"), await client.get("/ready")

    assert health.status == 200
    assert ready.status == 503
    assert ready.text == '{"status": "store unavailable"}'


async def test_an_app_whose_database_was_moved_away_is_not_ready(
    serve: Serve, sqlite: SQLiteStore, database: Path
) -> None:
    client = await serve(sqlite)
    before = await client.get("/ready")
    rename(database, database.with_name("elsewhere.db"))

    after = await client.get("/ready")

    rename(database.with_name("elsewhere.db"), database)
    again = await client.get("/ready")

    assert (before.status, after.status, again.status) == (200, 503, 200)


async def test_an_app_that_has_not_started_is_not_ready(store: ContactStore) -> None:
    ready = await TestClient(create_app(Settings(), store)).get("/ready")

    assert (ready.status, ready.text) == (503, '{"status": "starting"}')


async def test_a_worker_that_is_asked_to_stop_is_not_ready(client: TestClient) -> None:
    draining().set()

    ready = await client.get("/ready")

    assert (ready.status, ready.text) == (503, '{"status": "draining"}')


class Threads(MemoryStore):
    """A store that one thread has lost."""

    lost = 0

    def check(self) -> None:
        if threading.get_ident() == self.lost:
            raise StoreUnavailable("This worker has lost its connection.")


async def test_one_worker_without_store_is_noticed_by_the_others_and_so_is_its_return() -> None:
    store = Threads()
    readiness = Readiness(store)
    readiness.started()
    readiness.enter()

    with _worker(readiness) as ident:
        before = await readiness.problem()
        store.lost = ident
        during = await readiness.problem()
        store.lost = 0
        after = await readiness.problem()
    ended = await readiness.problem()

    assert (before, during, after, ended) == ("", "store unavailable", "", "")


async def test_a_worker_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PATIENCE", 0.05)
    store, hanging, freed = Threads(), threading.Event(), threading.Event()
    readiness = Readiness(store)
    readiness.started()

    with _worker(readiness) as _:
        (loop,) = readiness._loops
        loop.call_soon_threadsafe(hanging.set)
        loop.call_soon_threadsafe(freed.wait)
        hanging.wait()
        try:
            problem = await readiness.problem()
        finally:
            freed.set()

    assert problem == "a worker does not answer"


@contextmanager
def _worker(readiness: Readiness) -> Iterator[int]:
    """A worker on a thread of its own; its ident."""
    started, idents = threading.Event(), list[int]()

    async def work(stop: asyncio.Event) -> None:
        readiness.enter()
        idents.append(threading.get_ident())
        started.set()
        await stop.wait()
        readiness.leave()

    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(work(stop),))
    thread.start()
    started.wait()
    try:
        yield idents[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
