"""GET /live: one worker's streams, without a server; tests/test_live.py has the rest."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from chirp.testing import TestClient

from app.store import ContactStore, StoreUnavailable
from app.store.memory import MemoryStore
from app.web import live
from app.web.live import Live
from tests.making import add
from tests.web.browser import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK", 0.001)


async def changed(events: AsyncGenerator[str]) -> int:
    """Wait for the next change; the id of its event."""
    async for event in events:
        if event.startswith("event: changed"):
            return int(event.partition("data: ")[2])
    raise AssertionError("the stream has ended")


def watchers() -> int:
    """How many eyes on the log this worker has open."""
    return sum("_Watcher._watch" in repr(task) for task in asyncio.all_tasks())


async def test_a_window_that_takes_its_time_is_told_once_of_all_it_missed(store: ContactStore) -> None:
    async with aclosing(Live(store).events(0)) as slow, aclosing(Live(store).events(0)) as quick:
        await anext(slow)  # has read the beginning, and nothing since
        for number in range(1, 101):
            add(store, f"Ada {number}")
            assert await changed(quick) == number

        assert await changed(slow) == 100
        add(store, "Grace")
        assert await changed(slow) == 101


async def test_a_silent_stream_says_that_it_is_alive(
    store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT", 0.001)

    async with aclosing(Live(store).events(None)) as events:
        told = [await anext(events) for _ in range(3)]

    assert told == ["event: beat\nid: 0\nretry: 1000\ndata: \n\n", *["event: beat\ndata: \n\n"] * 2]


async def test_a_window_that_comes_takes_no_news_from_the_others(
    store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK", 60)
    here = Live(store)
    async with asyncio.timeout(10), aclosing(here.events(0)) as waiting:
        await anext(waiting)
        told = asyncio.create_task(changed(waiting))
        await asyncio.sleep(0)
        add(store, "Ada")

        async with aclosing(here.events(None)):
            assert await told == 1


async def test_the_log_is_looked_at_only_while_somebody_wants_to_know(store: ContactStore) -> None:
    here = Live(store)
    one, two = here.events(0), here.events(0)
    add(store, "Ada")
    assert watchers() == 0

    assert (await changed(one), await changed(two)) == (1, 1)
    assert watchers() == 1
    await one.aclose()
    await asyncio.sleep(0)
    assert watchers() == 1
    await two.aclose()
    await asyncio.sleep(0)
    assert watchers() == 0
    async with aclosing(here.events(0)) as three:
        assert await changed(three) == 1


@pytest.mark.parametrize("error", [StoreUnavailable("The disk is full."), RuntimeError("a fault of ours")])
async def test_a_store_that_fails_for_a_while_ends_no_stream(error: Exception) -> None:
    class Ill(MemoryStore):
        ill = 0

        def settled(self) -> int:
            if self.ill:
                self.ill -= 1
                raise error
            return super().settled()

    store = Ill()
    async with aclosing(Live(store).events(0)) as events:
        await anext(events)
        store.ill = 20
        add(store, "Ada")
        assert await changed(events) == 1
    assert store.ill == 0


async def test_a_store_that_has_failed_gets_a_503_with_its_reason(
    store: ContactStore, client: TestClient
) -> None:
    store.close()

    answer = await client.get("/live")

    assert answer.status == 503
    assert "The address book is closed." in answer.text


async def test_the_streams_of_one_browser_can_be_interrupted_for_a_while(store: ContactStore) -> None:
    here = Live(store)
    async with aclosing(here.events(0, "mine")) as mine, aclosing(here.events(0, "theirs")) as theirs:
        await anext(mine)
        await anext(theirs)

        here.interrupt("mine", 60)

        assert [event async for event in mine] == []
        assert here.is_interrupted("mine")
        add(store, "Ada")
        assert await changed(theirs) == 1
    here.interrupt("mine", 0)
    assert not here.is_interrupted("mine")


async def test_an_interrupted_browser_gets_no_stream(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Live, "is_interrupted", lambda self, browser: browser == "mine")

    answer = await client.get("/live", headers={"Cookie": "lab=mine"})

    assert answer.status == 503


async def test_the_page_has_as_many_rows_as_the_window_that_follows(
    plain: Browser, store: ContactStore
) -> None:
    for number in range(120):
        add(store, f"Ada {number:03}")

    for rows, shown in (("0", 50), ("10", 50), ("70", 70), ("500", 120), ("x", 50)):
        page = await plain.open(f"/contacts?rows={rows}")
        assert sum("data-version" in row for row in page.dom.id("contact-rows").roots) == shown


async def test_each_list_says_up_to_where_it_has_read_the_log(plain: Browser, store: ContactStore) -> None:
    ada = add(store, "Ada")
    add(store, "Grace")

    for path, name in (
        ("/contacts", "contact-table"),
        (f"/contacts/{ada.id}", "contact"),
        ("/activity", "done"),
        ("/contacts/duplicates", "duplicates"),
        ("/dashboard", "dashboard"),
    ):
        page = await plain.open(path)
        assert page.dom.id(name)["data-seq"] == "2"
