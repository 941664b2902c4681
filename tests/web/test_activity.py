"""GET /activity: what was done, newest first, each with its undo."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import app.store.sql
from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from app.web.undo import PAGE
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx, Serve

pytestmark = pytest.mark.anyio


def _feed(page: Answer) -> list[str]:
    """What is said of each batch, its time left out."""
    return [entry.roots[1].roots[0].text for entry in page.dom.one("section").one("ol").roots]


async def test_nothing_has_happened_in_a_new_address_book(plain: Browser) -> None:
    page = await plain.open("/activity")

    assert page.is_page
    assert page.dom.one("title").text == "Activity · Contacts"
    assert page.dom.one("section").one("h2").text == "Nothing has happened yet"
    assert (await plain.follow(page.dom.link("Add the first contact"))).dom.has("contact-form")


async def test_what_was_done_comes_newest_first(plain: Browser, store: ContactStore) -> None:
    ada = add(store, "Ada Lovelace")
    grace = add(store, "Grace Hopper")
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)
    store.tag([ada.id, grace.id], add=["VIP"])
    store.delete([grace.id])

    page = await plain.open("/activity")

    assert _feed(page) == [
        "Deleted Grace Hopper",
        "Changed the tags of 2 contacts",
        "Saved Ada King",
        "Added Grace Hopper",
        "Added Ada Lovelace",
    ]
    assert [entry["id"] for entry in page.dom.one("section").one("ol").roots] == [
        f"batch-{number}" for number in (5, 4, 3, 2, 1)
    ]
    assert page.dom.link("Activity")["aria-current"] == "page"
    assert not page.dom.has("more")


async def test_a_contact_that_is_still_there_can_be_opened_from_the_feed(
    plain: Browser, store: ContactStore
) -> None:
    ada = add(store, "Ada Lovelace")
    store.delete([add(store, "Grace Hopper").id])

    page = await plain.open("/activity")

    assert page.dom.link("Added Ada Lovelace")["href"] == f"/contacts/{ada.id}"
    assert page.dom.id("batch-3").all("a") == []


async def test_pages_of_the_feed_repeat_and_skip_nothing(plain: Browser, store: ContactStore) -> None:
    for number in range(2 * PAGE + 1):
        add(store, f"Person {number:03}")

    first = await plain.open("/activity")
    second = await plain.follow(first.dom.link("Older"))
    add(store, "Somebody Else")
    third = await plain.follow(second.dom.link("Older"))
    newest = await plain.follow(third.dom.link("Newest"))

    assert _feed(first) + _feed(second) + _feed(third) == [
        f"Added Person {number:03}" for number in reversed(range(2 * PAGE + 1))
    ]
    assert len(_feed(first)) == len(_feed(second)) == PAGE
    assert "Newest" not in first.dom.text
    assert "Older" not in third.dom.text
    assert _feed(newest)[0] == "Added Somebody Else"
    assert plain.url == "/activity"


async def test_a_feed_of_one_page_has_no_other(plain: Browser, store: ContactStore) -> None:
    for number in range(PAGE):
        add(store, f"Person {number:03}")

    page = await plain.open("/activity")

    assert len(_feed(page)) == PAGE
    assert "Older" not in page.dom.text


@pytest.mark.parametrize("before", ["0", "-1", "x", "1.5", "9" * 30, "²"])
async def test_an_odd_place_in_the_feed_is_nowhere(plain: Browser, htmx: Htmx, before: str) -> None:
    page = await plain.open(f"/activity?before={before}")
    fragment = await htmx.get(f"/activity?before={before}")

    assert page.status == fragment.status == 404
    assert page.is_page


async def test_behind_the_end_of_the_feed_is_a_way_back(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")

    page = await plain.open("/activity?before=1")

    assert page.status == 200
    assert page.dom.link("Newest")["href"] == "/activity"


# ---- undo


async def test_an_undo_from_the_feed_returns_there_and_says_what_happened(
    plain: Browser, store: ContactStore
) -> None:
    add(store, "Ada Lovelace")
    page = await plain.open("/activity")

    gone = await plain.submit(page.dom.form("Undo: Added Ada Lovelace"))
    again = await plain.open("/activity?done=2")

    assert gone.via == "/activity?done=2"
    assert gone.dom.id("toasts").one("span").text == "Removed Ada Lovelace."
    assert _feed(gone) == ["Removed Ada Lovelace", "Added Ada Lovelace"]
    assert gone.dom.id("batch-1").text.endswith(", undone")
    assert gone.dom.id("batch-1").all("form") == []
    assert again.dom.id("toasts").roots == []
    assert store.count() == 0


async def test_an_undo_can_be_undone_from_the_feed(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")
    gone = await plain.submit((await plain.open("/activity")).dom.form("Undo: Added Ada Lovelace"))

    back = await plain.submit(gone.dom.form("Undo: Removed Ada Lovelace"))

    assert _feed(back) == ["Restored Ada Lovelace", "Removed Ada Lovelace", "Added Ada Lovelace"]
    assert store.count() == 1


async def test_an_undo_from_the_feed_that_was_pressed_twice_is_done_once(
    plain: Browser, store: ContactStore
) -> None:
    add(store, "Ada Lovelace")
    form = (await plain.open("/activity")).dom.form("Undo: Added Ada Lovelace")

    first, second = await plain.submit(form), await plain.submit(form)

    assert first.via == second.via == "/activity?done=2"
    assert _feed(second) == ["Removed Ada Lovelace", "Added Ada Lovelace"]


async def test_an_undo_from_the_feed_that_is_asked_about_returns_there(
    plain: Browser, store: ContactStore
) -> None:
    ada = add(store, "Ada Lovelace")
    store.tag([ada.id], add=["VIP"])
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com", tags=("VIP",)), 2)
    page = await plain.open("/activity")

    question = await plain.submit(page.dom.form("Undo: Changed the tags of Ada Lovelace"))
    done = await plain.submit(question.dom.form("Undo what can be undone"))

    assert question.status == 409
    assert question.dom.link("Leave everything as it is")["href"] == "/activity"
    assert done.via == "/activity?done=4"
    assert (store.get(ada.id).name, store.get(ada.id).tags) == ("Ada King", ())


async def test_a_change_that_nothing_is_left_of_leads_back_to_the_feed(
    plain: Browser, store: ContactStore
) -> None:
    ada = add(store, "Ada Lovelace")
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)
    page = await plain.open("/activity")

    question = await plain.submit(page.dom.form("Undo: Added Ada Lovelace"))

    assert question.dom.link("Close")["href"] == "/activity"


async def test_the_feed_cannot_be_read_when_the_store_is_closed(plain: Browser, store: ContactStore) -> None:
    store.close()

    assert (await plain.open("/activity")).status == 503


async def test_an_undo_from_the_feed_that_cannot_be_written_changes_nothing(
    serve: Serve, busy_store: SQLiteStore
) -> None:
    plain = Browser(await serve(busy_store))
    page = await plain.open("/activity")

    answer = await plain.submit(page.dom.form("Undo: Added Ada Lovelace"))

    assert answer.status == 503
    assert busy_store.count(ListQuery()) == 1


async def test_an_import_under_way_is_told_of_and_cannot_be_undone_yet(
    serve: Serve, sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.store.sql, "IMPORT_TURN", 0)  # however fast this computer is
    plain = Browser(await serve(sqlite))
    drafts = [ContactDraft(f"Person {number}", f"p{number}@example.com") for number in range(1_000)]
    begun, go_on = threading.Event(), threading.Event()
    add(sqlite, "Ada Lovelace")
    await plain.open("/dashboard")

    def progress(done: int) -> None:
        if done < len(drafts) and len(sqlite.batches()) == 2:
            begun.set()
            go_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(sqlite.import_many, drafts, progress=progress)
        try:
            under_way = await asyncio.to_thread(begun.wait, 30)
            during = await plain.open("/activity")
            dashboard = await plain.open("/dashboard")
        finally:
            go_on.set()
        await asyncio.wrap_future(job)
    after = await plain.open("/activity")

    assert under_way
    assert during.dom.id("batch-2").text.endswith(", still running")
    assert during.dom.id("batch-2").all("form") == []
    assert dashboard.dom.id("batch-2").text.endswith(", still running")
    assert after.dom.id("batch-2").one("form")
    assert _feed(after) == ["Imported 1,000 contacts", "Added Ada Lovelace"]
