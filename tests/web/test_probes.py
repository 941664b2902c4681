"""GET /health, /ready and /hello: what machines ask."""

from os import rename
from pathlib import Path

import pytest
from chirp import App
from chirp.testing import TestClient

from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from tests.web.browser import Serve

pytestmark = pytest.mark.anyio


async def test_hello_is_plain_text(client: TestClient) -> None:
    response = await client.get("/hello")

    assert (response.status, response.text) == (200, "Hello from Contacts.")
    assert response.content_type == "text/plain; charset=utf-8"


async def test_a_running_app_is_healthy_and_ready(client: TestClient) -> None:
    health, ready = await client.get("/health"), await client.get("/ready")

    assert (health.status, health.text) == (200, "ok")
    assert (ready.status, ready.text) == (200, "ready")


async def test_an_app_whose_store_is_closed_is_healthy_but_not_ready(
    client: TestClient, store: ContactStore
) -> None:
    store.close()

    health, ready = await client.get("/health"), await client.get("/ready")

    assert health.status == 200
    assert ready.status == 503
    assert "store" in ready.text


async def test_an_app_whose_database_was_moved_away_is_not_ready(
    serve: Serve, sqlite: SQLiteStore, database: Path
) -> None:
    client = await serve(sqlite)
    before = await client.get("/ready")
    rename(database, database.with_name("elsewhere.db"))

    after = await client.get("/ready")

    assert (before.status, after.status) == (200, 503)


async def test_an_app_that_has_not_started_is_not_ready(app: App) -> None:
    ready = await TestClient(app).get("/ready")

    assert (ready.status, ready.text) == (503, "not ready: starting up")
