"""Search, tags and order belong to the address, and every change leaves them as they are."""

from collections.abc import Awaitable, Callable

import pytest
from chirp.testing import TestClient

from app.contacts.contact import ContactDraft
from app.store import ContactStore
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx

STATE = "q=love&tag=VIP&only=no-phone&sort=email&dir=desc"
LIST = f"/contacts?{STATE}"

Change = Callable[[Browser, Answer], Awaitable[Answer]]
HtmxChange = Callable[[Htmx, Answer], Awaitable[Answer]]


@pytest.fixture
def people(store: ContactStore) -> None:
    """Two contacts that the list shows, one of them a sample, and two that it leaves out."""
    store.import_many([ContactDraft("Love Sample", "y@example.com", tags=("VIP",))], kind="sample")
    add(store, "Ada Lovelace", email="z@example.com", tags="VIP")
    add(store, "Grace Hopper", email="x@example.com", tags="VIP")
    add(store, "Clover Leaf", email="w@example.com", tags="VIP", phone="555-0101")


pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("people")]


async def _add(plain: Browser, page: Answer) -> Answer:
    form = await plain.follow(page.dom.link("New contact"))
    return await plain.submit(
        form.dom.id("contact-form"), name="Lovely Rita", email="a@example.com", tags="VIP"
    )


async def _edit(plain: Browser, page: Answer) -> Answer:
    editor = await plain.follow(page.dom.link("Edit Ada Lovelace"))
    return await plain.submit(editor.dom.form("Save"), name="Lovelace, Ada")


async def _edit_from_the_page_of_the_contact(plain: Browser, page: Answer) -> Answer:
    contact = await plain.follow(page.dom.link("Ada Lovelace"))
    editor = await plain.follow(contact.dom.link("Edit"))
    return await plain.submit(editor.dom.form("Save"), name="Lovelace, Ada")


async def _save_without_a_change(plain: Browser, page: Answer) -> Answer:
    editor = await plain.follow(page.dom.link("Edit Ada Lovelace"))
    return await plain.submit(editor.dom.form("Save"))


async def _delete(plain: Browser, page: Answer) -> Answer:
    return await plain.submit(page.dom.form("Delete Ada Lovelace"))


async def _delete_from_the_page_of_the_contact(plain: Browser, page: Answer) -> Answer:
    contact = await plain.follow(page.dom.link("Ada Lovelace"))
    return await plain.submit(contact.dom.form("Delete"))


async def _remove_samples(plain: Browser, page: Answer) -> Answer:
    return await plain.submit(page.dom.form("Remove the sample contacts"))


async def _delete_and_undo(plain: Browser, page: Answer) -> Answer:
    gone = await plain.submit(page.dom.form("Delete Ada Lovelace"))
    return await plain.submit(gone.dom.id("toasts").form("Undo"))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (_add, ["Ada Lovelace", "Love Sample", "Lovely Rita"]),
        (_edit, ["Lovelace, Ada", "Love Sample"]),
        (_edit_from_the_page_of_the_contact, ["Lovelace, Ada", "Love Sample"]),
        (_save_without_a_change, ["Ada Lovelace", "Love Sample"]),
        (_delete, ["Love Sample"]),
        (_delete_from_the_page_of_the_contact, ["Love Sample"]),
        (_remove_samples, ["Ada Lovelace"]),
        (_delete_and_undo, ["Ada Lovelace", "Love Sample"]),
    ],
)
async def test_a_change_without_script_stays_on_its_list(
    plain: Browser, change: Change, names: list[str]
) -> None:
    page = await plain.open(LIST)

    changed = await change(plain, page)

    assert changed.via.partition("&done=")[0] == LIST
    assert changed.names == names


async def _htmx_add(htmx: Htmx, page: Answer) -> Answer:
    form = await htmx.send(page.dom.link("New contact"))
    return await htmx.send(form.swapped, name="Lovely Rita", email="a@example.com", tags="VIP")


async def _htmx_delete(htmx: Htmx, page: Answer) -> Answer:
    return await htmx.send(page.dom.form("Delete Ada Lovelace"))


async def _htmx_remove_samples(htmx: Htmx, page: Answer) -> Answer:
    return await htmx.send(page.dom.form("Remove the sample contacts"))


async def _htmx_delete_and_undo(htmx: Htmx, page: Answer) -> Answer:
    gone = await htmx.send(page.dom.form("Delete Ada Lovelace"))
    return await htmx.ask("POST", gone.events["contactDeleted"]["undo"])


HTMX_CHANGES = [
    (_htmx_add, ["Ada Lovelace", "Love Sample", "Lovely Rita"]),
    (_htmx_delete, ["Love Sample"]),
    (_htmx_remove_samples, ["Ada Lovelace"]),
    (_htmx_delete_and_undo, ["Ada Lovelace", "Love Sample"]),
]


@pytest.mark.parametrize(("change", "names"), HTMX_CHANGES)
async def test_a_change_with_htmx_shows_the_list_of_the_address_bar(
    plain: Browser, htmx: Htmx, change: HtmxChange, names: list[str]
) -> None:
    page = await plain.open(LIST)
    htmx.url = LIST

    changed = await change(htmx, page)

    assert changed.names == names
    assert htmx.url == LIST


@pytest.mark.parametrize(("change", "names"), HTMX_CHANGES)
async def test_the_address_bar_counts_and_not_the_page_that_was_loaded_before_the_search(
    plain: Browser, htmx: Htmx, change: HtmxChange, names: list[str]
) -> None:
    page = await plain.open("/contacts")
    htmx.url = LIST

    changed = await change(htmx, page)

    assert changed.names == names
    assert htmx.url == LIST


async def test_an_edit_with_htmx_leads_back_to_the_address_of_the_list(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open(LIST)
    htmx.url = LIST

    editor = await htmx.send(page.dom.link("Edit Ada Lovelace"))
    address_of_the_editor = htmx.url
    saved = await htmx.send(editor.dom.form("Save"), name="Lovelace, Ada")

    assert address_of_the_editor.endswith(f"/edit?{STATE}")
    assert htmx.url == LIST
    assert saved.dom.link("Edit Lovelace, Ada")["href"] == address_of_the_editor


async def test_a_wrong_form_keeps_the_list_behind_it(plain: Browser) -> None:
    page = await plain.open(LIST)
    form = await plain.follow(page.dom.link("New contact"))

    back = await plain.submit(form.dom.id("contact-form"), name="")

    assert back.status == 422
    assert back.names == ["Ada Lovelace", "Love Sample"]
    assert back.dom.id("contact-form")["action"] == LIST


async def test_a_change_on_a_later_page_stays_on_that_page(plain: Browser, store: ContactStore) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(60)])
    first = await plain.open("/contacts?q=person")
    later = await plain.follow(first.dom.link("Load more"))

    gone = await plain.submit(later.dom.form("Delete Person 55"))

    assert gone.names == [f"Person {number}" for number in range(50, 60) if number != 55]


async def test_a_change_with_htmx_keeps_the_page_and_the_rows_that_are_shown(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(60)])
    first = await plain.open("/contacts?q=person")
    later = await plain.follow(first.dom.link("Load more"))
    htmx.url = plain.url

    gone = await htmx.send(later.dom.form("Delete Person 55"))

    assert gone.names == [name for name in later.names if name != "Person 55"]


async def test_a_change_with_htmx_keeps_the_rows_that_were_loaded_later(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(60)])
    page = await plain.open("/contacts?q=person")
    htmx.url = "/contacts?q=person"

    gone = await htmx.send(page.dom.form("Delete Person 00"), rows="60")
    back = await htmx.ask("POST", gone.events["contactDeleted"]["undo"], rows="59")

    assert gone.names == [f"Person {number:02}" for number in range(1, 60)]
    assert back.names == [f"Person {number:02}" for number in range(60)]
    assert not back.dom.has("more")


@pytest.mark.parametrize("rows", ["", "0", "-5", "many", "1.5", "9" * 30])
async def test_a_table_has_a_page_of_rows_when_nobody_says_how_many_it_had(
    plain: Browser, htmx: Htmx, store: ContactStore, rows: str
) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(60)])
    page = await plain.open("/contacts?q=person")
    htmx.url = "/contacts?q=person"

    gone = await htmx.send(page.dom.form("Delete Person 00"), rows=rows)

    assert len(gone.names) == 50


async def test_a_table_has_no_more_rows_than_a_browser_can_bear(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    store.import_many([ContactDraft(f"Person {number}", f"p{number}@example.com") for number in range(600)])
    page = await plain.open("/contacts?q=person")
    htmx.url = "/contacts?q=person"

    gone = await htmx.send(page.dom.form("Delete Person 0"), rows=str(10**17))

    assert len(gone.names) == 500
    assert gone.dom.link("Load more")


@pytest.mark.parametrize(
    "address",
    ["http://[", "/contacts?" + "&".join(["q=love"] * 60), "\xff?q=\xff", "//", "?q=%ff%00", "?tag=&tag="],
)
async def test_an_odd_address_bar_upsets_nothing(
    client: TestClient, store: ContactStore, address: str
) -> None:
    headers = {"hx-request": "true", "hx-current-url": address}
    form = {"name": "Zed", "email": "zed@example.com"}

    added = Answer.of(await client.post("/contacts", data=form, headers=headers))
    row = Answer.of(await client.get(f"/contacts/{store.samples()[0]}", headers=headers))

    assert added.status == row.status == 200
    assert row.names == ["Love Sample"]
    assert store.count() == 5
