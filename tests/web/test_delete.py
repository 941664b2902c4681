"""DELETE /contacts/{id} and DELETE /contacts/samples."""

import pytest

from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from tests.making import add
from tests.web.browser import Browser, Htmx, Serve

pytestmark = pytest.mark.anyio


# ---- one contact


async def test_deleting_leads_to_the_list_and_says_who_is_gone(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")
    add(store, "Grace Hopper")
    page = await plain.open("/contacts")

    gone = await plain.submit(page.dom.form("Delete Ada Lovelace"))

    assert gone.via == "/contacts?done=3"
    assert gone.names == ["Grace Hopper"]
    assert gone.dom.id("contact-count").text == "1"
    assert gone.dom.id("toasts").one("span").text == "Deleted Ada Lovelace."


async def test_deleting_with_htmx_renews_table_and_count(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    contact = add(store, "Ada Lovelace")
    add(store, "Grace Hopper")
    page = await plain.open("/contacts")

    gone = await htmx.send(page.dom.form("Delete Ada Lovelace"))

    assert gone.status == 200
    assert gone.swapped["id"] == "contact-table"
    assert gone.names == ["Grace Hopper"]
    assert gone.out_of_band == {"contact-count": "innerHTML"}
    assert gone.dom.id("contact-count").text == "1"
    assert gone.header("HX-Push-Url") == ""
    assert gone.events == {
        "contactDeleted": {
            "target": "body",
            "message": "Deleted Ada Lovelace",
            "count": 1,
            "undo": "/undo/3",
            "contact": contact.id,
        }
    }


async def test_a_contact_can_be_deleted_from_its_own_page(plain: Browser, store: ContactStore) -> None:
    contact = add(store, "Ada Lovelace")
    page = await plain.open(f"/contacts/{contact.id}")

    gone = await plain.submit(page.dom.form("Delete"))

    assert gone.via == "/contacts?done=2"
    assert store.count() == 0


async def test_deleting_the_last_contact_leaves_the_invitation(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    add(store, "Ada Lovelace")
    page = await plain.open("/contacts")

    gone = await htmx.send(page.dom.form("Delete Ada Lovelace"))

    assert gone.swapped.one("h2").text == "No contacts found"
    assert gone.dom.id("contact-count").text == "0"


async def test_a_contact_that_is_gone_already_cannot_be_deleted(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    contact = add(store, "Ada Lovelace")
    page = await plain.open("/contacts")
    form = page.dom.form("Delete Ada Lovelace")
    store.delete([contact.id])

    whole = await plain.submit(form)
    alone = await htmx.send(form)

    assert whole.status == alone.status == 404
    assert whole.dom.one("h1").text == "Contact not found. It may have been deleted."
    assert alone.events["problem"]["message"] == "Contact not found. It may have been deleted."
    assert alone.header("HX-Retarget") == f"#contact-{contact.id}"
    assert alone.header("HX-Reswap") == "delete"


async def test_nobody_is_deleted_when_the_store_cannot_write(serve: Serve, busy_store: SQLiteStore) -> None:
    client = await serve(busy_store)
    page = await Browser(client).open("/contacts")
    form = page.dom.form("Delete Ada Lovelace")

    whole = await Browser(client).submit(form)
    alone = await Htmx(client).send(form)

    assert whole.status == alone.status == 503
    assert "Nothing was saved. Try again" in whole.dom.one("h1").text
    assert "Nothing was saved. Try again" in alone.events["problem"]["message"]
    assert whole.header("Retry-After") == alone.header("Retry-After") == "5"
    assert busy_store.count() == 1


# ---- the samples


@pytest.fixture
def samples(store: ContactStore) -> None:
    """Two sample contacts and one of one's own."""
    drafts = [ContactDraft("Sample One", "one@example.com"), ContactDraft("Sample Two", "two@example.com")]
    store.import_many(drafts, kind="sample")
    add(store, "Ada Lovelace")


@pytest.mark.usefixtures("samples")
async def test_the_samples_go_together_and_nobody_else(plain: Browser) -> None:
    page = await plain.open("/contacts")

    gone = await plain.submit(page.dom.form("Remove the sample contacts"))

    assert gone.via == "/contacts?done=3"
    assert gone.names == ["Ada Lovelace"]
    assert gone.dom.id("toasts").one("span").text == "Deleted 2 contacts."


@pytest.mark.usefixtures("samples")
async def test_the_samples_go_together_with_htmx(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts")

    gone = await htmx.send(page.dom.form("Remove the sample contacts"))

    assert gone.swapped["id"] == "contact-table"
    assert gone.names == ["Ada Lovelace"]
    assert gone.dom.id("contact-count").text == "1"
    assert gone.events == {
        "contactDeleted": {"target": "body", "message": "Deleted 2 contacts", "count": 1, "undo": "/undo/3"}
    }


@pytest.mark.usefixtures("samples")
async def test_a_sample_that_was_changed_stays(plain: Browser, store: ContactStore) -> None:
    sample = store.list(ListQuery(text="Sample One")).contacts[0]
    store.update(sample.id, ContactDraft("My Own", "one@example.com"), sample.version)
    page = await plain.open("/contacts")

    gone = await plain.submit(page.dom.form("Remove the sample contacts"))

    assert gone.names == ["Ada Lovelace", "My Own"]


async def test_removing_samples_where_there_are_none_changes_nothing(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    store.import_many([ContactDraft("Sample One", "one@example.com")], kind="sample")
    page = await plain.open("/contacts")
    form = page.dom.form("Remove the sample contacts")
    store.delete(store.samples())

    whole = await plain.submit(form)
    alone = await htmx.send(form)

    assert whole.via == "/contacts"
    assert alone.events == {"contactUpdated": {"target": "body", "message": "Nothing to change", "count": 0}}
