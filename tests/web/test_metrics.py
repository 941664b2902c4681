"""GET /metrics: what is counted, how it is told apart, and who may see it."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chirp import App
from chirp.testing import TestClient

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft
from app.main import create_app
from app.settings import Env, Settings
from app.store import WRITES, ContactStore, StoreUnavailable
from app.store.memory import MemoryStore
from app.store.sqlite import SQLiteStore
from app.web.live import Live
from tests.making import ADA
from tests.web.browser import FORM

pytestmark = pytest.mark.anyio

TOKEN = "the token of the scraper"


@pytest.fixture
def store() -> ContactStore:
    """One kind will do."""
    return MemoryStore()


@pytest.fixture
def apart(store: ContactStore) -> App:
    """An app of its own, which nobody has asked anything yet."""
    return create_app(Settings(), store)


@pytest.fixture
async def fresh(apart: App) -> AsyncIterator[TestClient]:
    async with TestClient(apart) as client:
        yield client


async def _value(client: TestClient, name: str, **labels: str) -> float:
    """The value of one series; 0 for one that is not there."""
    answer = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200
    for line in answer.text.splitlines():
        found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="(.*?)"', found[1] or "")) == labels:
            return float(found[2])
    return 0


async def test_requests_are_counted_by_the_pattern_of_their_route(
    fresh: TestClient, store: ContactStore
) -> None:
    for draft in (ADA, replace(ADA, email="ada@example.org")):
        contact, _ = store.add(draft)
        await fresh.get(f"/contacts/{contact.id}")
    await fresh.get("/contacts/987654")

    route = "/contacts/{contact_id:int}"
    assert await _value(fresh, "contacts_requests_total", route=route, method="GET", status="200") == 2
    assert await _value(fresh, "contacts_requests_total", route=route, method="GET", status="404") == 1
    assert await _value(fresh, "contacts_request_seconds_count", route=route) == 3


async def test_paths_and_methods_that_anybody_can_think_of_are_one_label(fresh: TestClient) -> None:
    for path in ("/ada@example.com", "/contacts/ada", "/static-ada"):
        await fresh.get(path)
    await fresh.request("ADA", "/contacts")
    await fresh.get("/static/app.css")

    text = (await fresh.get("/metrics")).text
    assert "ada" not in text.lower()
    assert await _value(fresh, "contacts_requests_total", route="unknown", method="GET", status="404") == 3
    assert await _value(fresh, "contacts_requests_total", route="unknown", method="other", status="405") == 1
    assert await _value(fresh, "contacts_requests_total", route="/static/", method="GET", status="200") == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_form_that_says_its_method_in_a_field_counts_for_the_route_that_answers(
    fresh: TestClient, store: ContactStore, method: str
) -> None:
    store.add(ADA)
    form = f"_method={method}&name=Ada&phone=1&version=1".encode()
    answer = await fresh.post("/contacts/1", body=form, headers={"content-type": FORM})
    assert answer.status == 303

    route = "/contacts/{contact_id:int}"
    assert await _value(fresh, "contacts_requests_total", route=route, method="POST", status="303") == 1


async def test_calls_of_the_store_are_timed_by_operation(fresh: TestClient) -> None:
    form = "name=Grace&email=grace%40example.com"
    await fresh.post("/contacts", body=form.encode(), headers={"content-type": FORM})

    assert await _value(fresh, "contacts_store_seconds_count", operation="add") == 1
    assert await _value(fresh, "contacts_store_seconds_count", operation="merge") == 0


async def test_so_are_those_of_the_accounts(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "contacts.db")
    settings = Settings(auth="password", secret="s" * 32, metrics_token=TOKEN)
    async with TestClient(create_app(settings, store)) as client:
        await client.get("/contacts", headers={"cookie": "session=of-nobody"})

        assert await _value(client, "contacts_store_seconds_count", operation="session") == 1


async def test_so_are_those_of_a_demo_whosever_contacts_they_are_about() -> None:
    async with TestClient(create_app(Settings(demo=True, metrics_token=TOKEN))) as client:
        headers = {"content-type": FORM, "cookie": f"sandbox=new.{'a' * 22}"}
        for name in (b"Grace", b"Alan"):
            answer = await client.post("/contacts", body=b"phone=1&name=" + name, headers=headers)
            assert answer.status == 303

        assert await _value(client, "contacts_store_seconds_count", operation="add") == 2


async def test_failures_of_the_store_are_counted_and_answers_are_not() -> None:
    class Failing(MemoryStore):
        def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
            raise StoreUnavailable("The disk is full.")

    async with TestClient(create_app(Settings(), Failing())) as client:
        form = {"body": b"name=Grace&email=grace%40example.com", "headers": {"content-type": FORM}}
        await client.post("/contacts", **form)  # type: ignore[arg-type]
        await client.get("/contacts/987654")

        error = "StoreUnavailable"
        assert await _value(client, "contacts_store_errors_total", operation="add", error=error) == 1
        assert "NoSuchContact" not in (await client.get("/metrics")).text


async def test_the_failures_of_each_operation_are_0_before_the_first(fresh: TestClient) -> None:
    text = (await fresh.get("/metrics")).text
    series = re.findall(r'^contacts_store_errors_total{error="(\w+)",operation="(\w+)"} (\S+)$', text, re.M)

    assert {(error, value) for error, _, value in series} == {("StoreUnavailable", "0.0")}
    operations = {operation for _, operation, _ in series}
    assert operations >= WRITES | {"list", "get", "batches", "check"}
    assert all(hasattr(MemoryStore, operation) for operation in operations)


async def test_open_streams_are_counted_while_they_last(apart: App, fresh: TestClient) -> None:
    async def first_event(_: object) -> float:
        return await _value(fresh, "contacts_streams_open", route="/live")

    during = -1.0
    live = apart._mutable_state.providers[Live]()
    events = live.events

    async def watched(*args: object) -> AsyncIterator[str]:
        nonlocal during
        async for event in events(*args):
            during = await first_event(event)
            yield event
            return

    live.events = watched
    await fresh.get("/live")

    assert during == 1
    assert await _value(fresh, "contacts_streams_open", route="/live") == 0


async def test_the_interpreter_and_the_process_are_described(fresh: TestClient) -> None:
    text = (await fresh.get("/metrics")).text

    assert re.search(r"^contacts_gil_enabled [01]\.0$", text, re.M)
    assert re.search(r'^contacts_build_info{.*chirp="0\.10\.3"', text, re.M)
    assert "process_resident_memory_bytes" in text
    assert 'python_info{implementation="CPython"' in text


async def test_two_apps_count_apart(fresh: TestClient) -> None:
    await fresh.get("/hello")

    async with TestClient(create_app(Settings(), MemoryStore())) as other:
        assert await _value(other, "contacts_requests_total", route="/hello", method="GET", status="200") == 0


@pytest.mark.parametrize(
    "changes",
    [{"env": "production"}, {"demo": True}, {"auth": "password"}, {"host": "192.0.2.1"}],
    ids=["production", "demo", "sign-in", "public"],
)
async def test_without_a_token_it_exists_for_developers_only(changes: dict[str, Any], tmp_path: Path) -> None:
    settings = replace(Settings(store=f"sqlite:///{tmp_path / 'contacts.db'}", secret="s" * 32), **changes)
    async with TestClient(create_app(settings)) as client:
        answer = await client.get("/metrics")

    assert answer.status == 404
    assert "contacts_requests" not in answer.text


@pytest.mark.parametrize("env", ["development", "production"])
async def test_with_a_token_it_opens_for_whoever_shows_it(env: Env, store: ContactStore) -> None:
    settings = Settings(env=env, metrics_token=TOKEN)
    async with TestClient(create_app(settings, store)) as client:
        shown = await client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        wrong: list[dict[str, str]] = [{}, {"authorization": TOKEN}, {"authorization": "Bearer é"}]
        refused = [await client.get("/metrics", headers=headers) for headers in wrong]

    assert shown.status == 200
    assert [answer.status for answer in refused] == [401, 401, 401]
    assert [answer.header("WWW-Authenticate") for answer in refused] == ["Bearer"] * 3
    assert "contacts_requests" not in "".join(answer.text for answer in refused)
