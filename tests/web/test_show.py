"""GET /contacts/{id}: the page of one contact; for htmx its row."""

import pytest

from app.contacts.contact import Contact, ContactDraft
from app.contacts.listing import ListQuery
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
    terms = [(term.text, term.parent) for term in dom.one("article").all("dt")]
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
    assert page.dom.one("article").one("dl").one("time")["datetime"] == ada.created_at.isoformat()


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

    assert page.dom.link("← Found contacts")["href"] == "/contacts?q=ada&tag=VIP&sort=email"
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


# ---- the neighbours in the list


async def test_the_page_leads_through_the_list(plain: Browser, store: ContactStore) -> None:
    for name, tag in (("Ada", "VIP"), ("Bob", ""), ("Cy", "VIP"), ("Dan", "VIP")):
        add(store, f"{name} Example", tags=tag)
    first = store.list(ListQuery()).contacts[0]

    page = await plain.open(f"/contacts/{first.id}?q=example&tag=VIP&sort=email&dir=desc")
    back = await plain.follow(page.dom.link("← Previous: Cy Example"))
    end = await plain.follow(back.dom.link("← Previous: Dan Example"))
    there = await plain.follow(end.dom.link("Next: Cy Example →"))

    assert not page.dom.all("a", rel="next")
    assert not end.dom.all("a", rel="prev")
    assert there.dom.one("h1").text == "Cy Example"
    assert plain.url == "/contacts/3?q=example&tag=VIP&sort=email&dir=desc"
    assert page.dom.link("← Found contacts")["href"] == "/contacts?q=example&tag=VIP&sort=email&dir=desc"


async def test_a_contact_that_stands_alone_has_no_neighbours(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}?sort=company")

    assert page.dom.all("a", rel="prev") + page.dom.all("a", rel="next") == []
    assert page.dom.link("← All contacts")["href"] == "/contacts?sort=company"


async def test_a_contact_that_the_search_leaves_out_has_the_neighbours_of_its_place(
    plain: Browser, store: ContactStore
) -> None:
    add(store, "Ada Example")
    bob = add(store, "Bob Other", email="bob@example.org")
    add(store, "Cy Example")

    page = await plain.open(f"/contacts/{bob.id}?q=example.com")

    assert page.dom.one("a", rel="prev").text == "← Previous: Ada Example"
    assert page.dom.one("a", rel="next").text == "Next: Cy Example →"


# ---- history


def _history(dom: Element) -> list[tuple[str, list[str]]]:
    """What happened, newest first, each with what it changed."""
    return [
        (
            entry.one("strong").text,
            [line.text for line in entry.all("p") if line.attrs.get("class") == "history__change"],
        )
        for entry in dom.one("ol").roots
    ]


async def test_a_new_contact_has_a_history_of_one(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}")

    assert _history(page.dom) == [("Added", [])]
    assert page.dom.one("ol").one("time")["datetime"] == ada.created_at.isoformat()


async def test_the_history_says_what_was_there_before_and_after(plain: Browser, store: ContactStore) -> None:
    contact = add(store, "Ada Lovelace", email="ada@example.com", phone="555-0100", tags="VIP")
    draft = ContactDraft("Ada King", "ada@example.com", company="Engines", tags=("Poet", "VIP"))
    store.update(contact.id, draft, 1)

    page = await plain.open(f"/contacts/{contact.id}")

    assert _history(page.dom)[0] == (
        "Changed",
        [
            "Name Ada Lovelace became Ada King",
            "Phone 555-0100 removed",
            "Company became Engines",
            "Tags VIP became Poet, VIP",
        ],
    )
    entry = page.dom.one("ol").roots[0]
    assert [was.text for was in entry.all("del")] == ["Ada Lovelace", "555-0100", "VIP"]
    assert [now.text for now in entry.all("ins")] == ["Ada King", "Engines", "Poet, VIP"]


async def test_the_history_tells_of_every_kind_of_change(plain: Browser, store: ContactStore) -> None:
    store.import_many([ContactDraft("Ada Sample", "ada@example.com")], kind="sample")
    ada = store.list(ListQuery()).contacts[0]
    store.import_many([ContactDraft("Ada Sample", "ada@example.com", company="Engines")], "update")
    tagged = store.tag([ada.id], add=["VIP"])
    assert tagged
    store.undo(tagged.id)
    gone = store.delete([ada.id])
    assert gone
    store.undo(gone.id)
    other = add(store, "Ada Other", email="other@example.com")
    versions = {ada.id: store.get(ada.id).version, other.id: other.version}
    store.merge(versions, ContactDraft("Ada Lovelace", "ada@example.com", company="Engines"))

    page = await plain.open(f"/contacts/{ada.id}")

    assert _history(page.dom) == [
        ("Merged with another contact", ["Name Ada Sample became Ada Lovelace"]),
        ("Restored", []),
        ("Deleted", []),
        ("Undone", ["Tags VIP removed"]),
        ("Changed", ["Tags became VIP"]),
        ("Updated by an import", ["Company became Engines"]),
        ("Added as a sample", []),
    ]


async def test_the_history_of_those_who_came_back_tells_how_they_went(
    plain: Browser, store: ContactStore
) -> None:
    store.import_many([ContactDraft("Ada Lovelace", "ada@example.com")])
    ada = store.list(ListQuery()).contacts[0]
    store.undo(1)
    store.undo(2)
    other = add(store, "Ada Other", email="other@example.com")
    _, merged = store.merge(
        {other.id: other.version, ada.id: store.get(ada.id).version},
        ContactDraft("Ada Other", "other@example.com"),
    )
    store.undo(merged.id)

    page = await plain.open(f"/contacts/{ada.id}")

    assert [what for what, _ in _history(page.dom)] == [
        "Restored",
        "Merged into another contact",
        "Restored",
        "Removed by undo",
        "Imported",
    ]
