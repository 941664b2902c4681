"""POST /undo/{batch}: every change can be taken back, and that too."""

import pytest

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from tests.making import add
from tests.web.browser import Browser, Htmx, Serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The contact whose changes are undone; adding it was batch 1."""
    return add(store, "Ada Lovelace", email="ada@example.com")


@pytest.fixture
def deleted(store: ContactStore, ada: Contact) -> Batch:
    """The deletion of Ada Lovelace, batch 2."""
    batch = store.delete([ada.id])
    assert batch
    return batch


# ---- without script


async def test_the_message_after_a_change_offers_to_undo_it(plain: Browser, deleted: Batch) -> None:
    page = await plain.open(f"/contacts?done={deleted.id}")

    back = await plain.submit(page.dom.id("toasts").form("Undo"))

    assert back.via == "/contacts?done=3"
    assert back.names == ["Ada Lovelace"]
    assert back.dom.id("toasts").one("span").text == "Restored Ada Lovelace."


async def test_an_undo_can_be_undone(plain: Browser, deleted: Batch) -> None:
    page = await plain.open(f"/contacts?done={deleted.id}")

    back = await plain.submit(page.dom.id("toasts").form("Undo"))
    again = await plain.submit(back.dom.id("toasts").form("Undo"))

    assert again.names == []
    assert again.dom.id("toasts").one("span").text == "Removed Ada Lovelace."


async def test_undoing_an_addition_removes_the_contact(plain: Browser, ada: Contact) -> None:
    page = await plain.open("/contacts?done=1")

    gone = await plain.submit(page.dom.id("toasts").form("Undo"))

    assert ada.name not in gone.names
    assert gone.dom.id("toasts").one("span").text == "Removed Ada Lovelace."


async def test_undoing_an_edit_brings_the_fields_back(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    store.update(ada.id, ContactDraft("Ada King", "king@example.com", notes="new"), 1)
    page = await plain.open("/contacts?done=2")

    back = await plain.submit(page.dom.id("toasts").form("Undo"))

    assert back.names == ["Ada Lovelace"]
    assert ContactDraft.of(store.get(ada.id)) == ContactDraft.of(ada)


# ---- with htmx


async def test_undo_with_htmx_renews_table_and_count(htmx: Htmx, deleted: Batch) -> None:
    back = await htmx.ask("POST", f"/undo/{deleted.id}")

    assert back.status == 200
    assert back.swapped["id"] == "contact-table"
    assert back.names == ["Ada Lovelace"]
    assert back.out_of_band == {"contact-count": "innerHTML"}
    assert back.dom.id("contact-count").text == "1"
    assert back.events == {
        "contactCreated": {
            "target": "body",
            "message": "Restored Ada Lovelace",
            "count": 1,
            "undo": "/undo/3",
            "contact": deleted.first.contact_id,
        }
    }


async def test_undoing_an_addition_is_told_as_a_deletion(htmx: Htmx, ada: Contact) -> None:
    gone = await htmx.ask("POST", "/undo/1")

    assert ada.name not in gone.names
    assert list(gone.events) == ["contactDeleted"]


async def test_undoing_an_edit_is_told_as_an_edit(htmx: Htmx, store: ContactStore, ada: Contact) -> None:
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)

    back = await htmx.ask("POST", "/undo/2")

    assert back.names == ["Ada Lovelace"]
    assert back.events["contactUpdated"]["message"] == "Undid the changes to Ada Lovelace"


async def test_the_undo_of_an_event_is_an_address_that_undoes_it(htmx: Htmx, store: ContactStore) -> None:
    added = await htmx.ask("POST", "/contacts", name="Ada Lovelace", email="ada@example.com")

    gone = await htmx.ask("POST", added.events["contactCreated"]["undo"])

    assert gone.status == 200
    assert store.count() == 0


# ---- what cannot be undone


@pytest.mark.parametrize("batch_id", ["0", "99", "9" * 25, "9" * 5_000])
async def test_a_change_that_the_log_does_not_hold_cannot_be_undone(
    plain: Browser, htmx: Htmx, batch_id: str
) -> None:
    whole = await plain.post(f"/undo/{batch_id}")
    alone = await htmx.ask("POST", f"/undo/{batch_id}")

    assert whole.status == alone.status == 404
    assert whole.is_page
    assert alone.header("HX-Reswap") == "none"


async def test_a_change_that_was_changed_since_cannot_be_undone(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)
    store.update(ada.id, ContactDraft("Ada Third", "ada@example.com"), 2)

    whole = await plain.post("/undo/2")
    alone = await htmx.ask("POST", "/undo/2")

    assert whole.status == alone.status == 409
    assert whole.dom.one("h1").text == "A contact has changed since, so this cannot be undone."
    assert alone.events["problem"]["message"] == "A contact has changed since, so this cannot be undone."
    assert store.get(ada.id).name == "Ada Third"


async def test_nothing_is_undone_twice(plain: Browser, store: ContactStore, deleted: Batch) -> None:
    await plain.post(f"/undo/{deleted.id}")

    again = await plain.post(f"/undo/{deleted.id}")

    assert again.status == 200
    assert store.count() == 1
    assert len(store.batches()) == 3


async def test_an_undo_that_is_sent_twice_is_answered_twice_and_done_once(
    htmx: Htmx, store: ContactStore, deleted: Batch
) -> None:
    first = await htmx.ask("POST", f"/undo/{deleted.id}")
    second = await htmx.ask("POST", f"/undo/{deleted.id}")

    assert second.status == 200
    assert second.events == first.events
    assert second.names == ["Ada Lovelace"]
    assert len(store.batches()) == 3


async def test_what_was_undone_and_done_again_cannot_be_undone_by_the_old_address(
    plain: Browser, store: ContactStore, deleted: Batch
) -> None:
    await plain.post(f"/undo/{deleted.id}")
    await plain.post(f"/undo/{deleted.id + 1}")

    again = await plain.post(f"/undo/{deleted.id}")

    assert again.status == 409
    assert store.count() == 0


async def test_nobody_comes_back_whose_email_is_taken_by_now(
    plain: Browser, htmx: Htmx, store: ContactStore, deleted: Batch
) -> None:
    add(store, "Ada Two", email="ada@example.com")

    whole = await plain.post(f"/undo/{deleted.id}")
    alone = await htmx.ask("POST", f"/undo/{deleted.id}")

    assert whole.status == alone.status == 409
    assert "Ada Two has this email address already" in whole.dom.one("h1").text
    assert "Ada Two has this email address already" in alone.events["problem"]["message"]


async def test_nothing_is_undone_when_the_store_cannot_write(serve: Serve, busy_store: SQLiteStore) -> None:
    client = await serve(busy_store)

    whole = await Browser(client).post("/undo/1")
    alone = await Htmx(client).ask("POST", "/undo/1")

    assert whole.status == alone.status == 503
    assert busy_store.count() == 1
