"""GET /contacts/{id}: the page of one contact; for htmx its row."""

import pytest

from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore
from tests.making import add
from tests.web.browser import Browser, Htmx
from tests.web.markup import Element

pytestmark = pytest.mark.anyio


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """A contact that has something in every field."""
    return add(
        store,
        "Ada Lovelace",
        email="o'ada+x?y&z@example.com",
        phone="+44 (20) 7946 x12",
        company="Engines",
        notes="One\n<b>two</b>",
        tags="R&D,VIP",
    )


def _details(dom: Element) -> dict[str, str]:
    terms = [(term.text, term.parent) for term in dom.all("dt")]
    return {term: pair.one("dd").raw_text for term, pair in terms if pair}


async def test_the_page_shows_everything_about_a_contact(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}")

    details = _details(page.dom)
    assert page.is_page
    assert page.dom.one("title").text == "Ada Lovelace · Contacts"
    assert page.dom.one("h1").text == "Ada Lovelace"
    assert page.dom.one("article").one("header").one("p").text == "Engines"
    assert details["Email"] == "o'ada+x?y&z@example.com"
    assert details["Phone"] == "+44 (20) 7946 x12"
    assert details["Tags"] == "R&DVIP"
    assert details["Notes"] == "One\n<b>two</b>"
    assert page.dom.one("time")["datetime"] == ada.created_at.isoformat()


async def test_what_a_contact_has_not_is_not_mentioned(plain: Browser, store: ContactStore) -> None:
    contact = add(store, "Grace Hopper", phone="555")

    page = await plain.open(f"/contacts/{contact.id}")

    assert list(_details(page.dom)) == ["Phone", "Added"]


async def test_the_last_change_is_shown_once_there_was_one(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)

    page = await plain.open(f"/contacts/{ada.id}")

    assert _details(page.dom)["Last changed"] == "just now"


async def test_email_and_phone_are_links_that_hold_nothing_else(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}")

    assert page.dom.link(ada.email)["href"] == "mailto:o%27ada%2Bx%3Fy%26z@example.com"
    assert page.dom.link(ada.phone)["href"] == "tel:+44207946"


async def test_a_tag_leads_to_the_others_who_have_it(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    add(store, "Grace Hopper", tags="R&D")
    add(store, "Alan Turing", tags="VIP")
    page = await plain.open(f"/contacts/{ada.id}?q=lovelace&sort=email&dir=desc")

    found = await plain.follow(page.dom.link("R&D"))

    assert plain.url == "/contacts?tag=R%26D&sort=email&dir=desc"
    assert found.names == ["Ada Lovelace", "Grace Hopper"]


async def test_the_page_leads_back_to_the_list_one_came_from(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}?q=ada&tag=VIP&sort=email")

    assert page.dom.link("← All contacts")["href"] == "/contacts?q=ada&tag=VIP&sort=email"
    assert page.dom.link("Edit")["href"] == f"/contacts/{ada.id}/edit?q=ada&tag=VIP&sort=email"


async def test_htmx_gets_the_row_and_the_address_of_the_list(htmx: Htmx, ada: Contact) -> None:
    htmx.url = f"/contacts/{ada.id}/edit?q=ada"

    row = await htmx.get(f"/contacts/{ada.id}")

    assert row.swapped.tag == "tr"
    assert row.swapped["id"] == f"contact-{ada.id}"
    assert row.names == ["Ada Lovelace"]
    assert row.header("HX-Push-Url") == "/contacts?q=ada"


async def test_a_right_to_left_name_is_kept_apart_from_what_surrounds_it(
    plain: Browser, store: ContactStore
) -> None:
    contact = add(store, "فاطمة", email="f@example.com")

    page = await plain.open(f"/contacts/{contact.id}")
    rows = await plain.open("/contacts")

    assert page.dom.one("h1").one("bdi").text == "فاطمة"
    assert rows.dom.one("th", scope="row").one("bdi").text == "فاطمة"


@pytest.mark.parametrize("contact_id", ["0", "99", "-1", "1.0", "abc", "1e3", "9" * 25, "9" * 5_000])
async def test_nobody_is_shown_who_is_not_there(
    plain: Browser, htmx: Htmx, ada: Contact, contact_id: str
) -> None:
    page = await plain.open(f"/contacts/{contact_id}")
    fragment = await htmx.get(f"/contacts/{contact_id}")

    assert page.status == fragment.status == 404
    assert page.is_page
    assert fragment.header("HX-Reswap") in ("delete", "none")
    assert fragment.body == b""


async def test_a_contact_that_was_deleted_is_not_found(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    store.delete([ada.id])

    page = await plain.open(f"/contacts/{ada.id}")
    fragment = await htmx.get(f"/contacts/{ada.id}")

    assert page.dom.one("h1").text == "Contact not found. It may have been deleted."
    assert fragment.events["problem"]["message"] == "Contact not found. It may have been deleted."
