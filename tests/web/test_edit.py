"""GET /contacts/{id}/edit and PUT /contacts/{id}: editing a contact where it stands in the list."""

import pytest

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.store.sqlite import SQLiteStore
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx, Serve
from tests.web.people import crowd

pytestmark = pytest.mark.anyio

TYPED = {
    "name": "Ada King",
    "email": "ada.king@example.org",
    "phone": "+44 20 7946 0000",
    "company": 'Engines "& Sons"',
    "tags": "Poet, VIP",
    "notes": "First line\nsecond",
}
LABELS = {
    "name": "Name",
    "email": "Email",
    "phone": "Phone",
    "company": "Company",
    "tags": "Tags",
    "notes": "Notes",
}


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The contact that is edited."""
    return add(
        store, "Ada Lovelace", email="ada@example.com", company="Engines", notes="a\nb", tags="VIP,London"
    )


def _assert_filled_in(answer: Answer, form_id: str, typed: dict[str, str]) -> None:
    form = answer.dom.id(form_id)
    assert {name: form.box(label).value for name, label in LABELS.items()} == typed


# ---- the editor


async def test_the_editor_has_an_address_that_shows_it_open_in_the_list(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    add(store, "Grace Hopper")

    page = await plain.open(f"/contacts/{ada.id}/edit")

    rows = [row["id"] for row in page.dom.id("contact-rows").roots]
    assert page.is_page
    assert rows == [f"contact-{ada.id}", f"contact-{ada.id + 1}"]
    assert page.dom.id(f"contact-{ada.id}").one("form")["id"] == f"edit-{ada.id}"


async def test_the_editor_holds_what_the_contact_holds(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")

    assert page.dom.id(f"edit-{ada.id}").fields == {
        "_method": "PUT",
        "version": "1",
        "contact": str(ada.id),
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "phone": "",
        "company": "Engines",
        "tags": "London, VIP",
        "notes": "a\nb",
    }
    assert "autofocus" in page.dom.box("Name")


async def test_the_editor_replaces_the_row_with_htmx_and_pushes_its_address(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    page = await plain.open("/contacts")

    fragment = await htmx.send(page.dom.link("Edit Ada Lovelace"))

    assert fragment.swapped.tag == "tr"
    assert fragment.swapped["id"] == f"contact-{ada.id}"
    assert fragment.swapped.one("form")["id"] == f"edit-{ada.id}"
    assert fragment.header("HX-Push-Url") == f"/contacts/{ada.id}/edit"


async def test_the_editor_of_a_contact_on_a_later_page_comes_first(
    plain: Browser, store: ContactStore
) -> None:
    crowd(store, 60)
    zoe = add(store, "Zoe Last")

    page = await plain.open(f"/contacts/{zoe.id}/edit")

    rows = page.dom.id("contact-rows").roots
    assert rows[0]["id"] == f"contact-{zoe.id}"
    assert len(rows) == 52  # the editor, a page of fifty, Load more


async def test_the_editor_of_a_contact_that_the_search_leaves_out_is_shown_all_the_same(
    plain: Browser, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit?q=nobody")

    assert page.dom.has(f"edit-{ada.id}")


async def test_an_editor_can_be_left_for_the_list_it_stands_in(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit?q=ada")

    assert page.dom.link("Cancel")["href"] == "/contacts?q=ada"


async def test_cancelling_with_htmx_brings_the_row_back_and_the_address_of_the_list(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    page = await plain.open("/contacts?q=ada")
    htmx.url = "/contacts?q=ada"
    editor = await htmx.send(page.dom.link("Edit Ada Lovelace"))

    row = await htmx.send(editor.dom.link("Cancel"))

    assert row.swapped.tag == "tr"
    assert row.names == ["Ada Lovelace"]
    assert row.header("HX-Push-Url") == "/contacts?q=ada"
    assert "autofocus" in row.dom.link("Edit Ada Lovelace")


# ---- saving


async def test_a_saved_contact_holds_what_was_typed(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")

    await plain.submit(page.dom.id(f"edit-{ada.id}"), **TYPED)

    contact = store.get(ada.id)
    assert ContactDraft.of(contact) == ContactDraft(
        name="Ada King",
        email="ada.king@example.org",
        phone="+44 20 7946 0000",
        company='Engines "& Sons"',
        notes="First line\nsecond",
        tags=("Poet", "VIP"),
    )
    assert contact.version == 2


async def test_saving_leads_to_the_list_and_says_what_happened(plain: Browser, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")

    saved = await plain.submit(page.dom.id(f"edit-{ada.id}"), **TYPED)

    assert saved.via == "/contacts?done=2"
    assert saved.names == ["Ada King"]
    assert saved.dom.id("toasts").one("span").text == "Saved Ada King."
    assert not saved.dom.has(f"edit-{ada.id}")


async def test_saving_with_htmx_renews_the_row_and_the_count(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    page = await plain.open("/contacts")
    editor = await htmx.send(page.dom.link("Edit Ada Lovelace"))

    saved = await htmx.send(editor.swapped.one("form"), **TYPED)

    assert saved.status == 200
    assert saved.swapped.tag == "tr"
    assert saved.swapped["id"] == f"contact-{ada.id}"
    assert saved.names == ["Ada King"]
    assert saved.out_of_band == {"contact-count": "innerHTML"}
    assert saved.dom.id("contact-count").text == "1"
    assert saved.header("HX-Push-Url") == "/contacts"
    assert "autofocus" in saved.dom.link("Edit Ada King")


async def test_saving_with_htmx_tells_the_page_what_happened(htmx: Htmx, ada: Contact) -> None:
    editor = await htmx.get(f"/contacts/{ada.id}/edit")

    saved = await htmx.send(editor.swapped.one("form"), name="Ada King")

    assert saved.events == {
        "contactUpdated": {
            "target": "body",
            "message": "Saved Ada King",
            "count": 1,
            "undo": "/undo/2",
            "contact": ada.id,
        }
    }


async def test_saving_without_a_change_writes_nothing(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")
    form = page.dom.id(f"edit-{ada.id}")

    whole = await plain.submit(form)
    row = await htmx.send(form)

    assert whole.via == "/contacts"
    assert whole.dom.id("toasts").roots == []
    assert row.names == ["Ada Lovelace"]
    assert row.events == {
        "contactUpdated": {
            "target": "body",
            "message": "Nothing to save: Ada Lovelace is unchanged",
            "count": 1,
        }
    }
    assert store.get(ada.id).version == 1


# ---- a wrong editor comes back


async def test_a_wrong_editor_comes_back_filled_in_on_the_whole_page(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")
    typed = TYPED | {"email": "wrong"}

    back = await plain.submit(page.dom.id(f"edit-{ada.id}"), **typed)

    assert back.status == 422
    assert back.is_page
    assert back.dom.one("title").text == "Error: Contacts"
    assert back.dom.complaint("Email") == "Enter a valid email address, such as ada@example.com."
    assert "autofocus" in back.dom.box("Email")
    _assert_filled_in(back, f"edit-{ada.id}", typed)
    assert store.get(ada.id) == ada


async def test_a_wrong_editor_comes_back_filled_in_alone_with_htmx(
    htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    editor = await htmx.get(f"/contacts/{ada.id}/edit")
    typed = TYPED | {"name": " ", "email": ""}

    back = await htmx.send(editor.swapped.one("form"), **typed)

    assert back.status == 422
    assert back.swapped.tag == "tr"
    assert back.header("HX-Retarget") == f"#contact-{ada.id}"
    assert back.header("HX-Reswap") == "outerHTML"
    assert back.dom.complaint("Name") == "This field is required. Enter a name."
    _assert_filled_in(back, f"edit-{ada.id}", typed)
    assert store.get(ada.id) == ada


async def test_an_email_that_somebody_else_has_is_refused(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    add(store, "Grace Hopper", email="grace@example.org")
    page = await plain.open(f"/contacts/{ada.id}/edit")
    form = page.dom.id(f"edit-{ada.id}")

    whole = await plain.submit(form, email="GRACE@example.org")
    alone = await htmx.send(form, email="GRACE@example.org")

    taken = "Grace Hopper has this email address already. Enter another one."
    for back in (whole, alone):
        assert back.status == 422
        assert back.dom.complaint("Email") == f"{taken} Open Grace Hopper (in a new window)"
        assert back.dom.link("Open Grace Hopper (in a new window)")["href"] == f"/contacts/{ada.id + 1}"
        assert back.dom.box("Email").value == "GRACE@example.org"
    assert store.get(ada.id) == ada


async def test_the_own_email_may_change_its_case(plain: Browser, store: ContactStore, ada: Contact) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")

    await plain.submit(page.dom.id(f"edit-{ada.id}"), email="Ada@Example.com")

    assert store.get(ada.id).email == "Ada@Example.com"


async def test_a_wrong_editor_can_be_mended_and_saved(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")

    whole = await plain.submit(page.dom.id(f"edit-{ada.id}"), name="")
    await plain.submit(whole.dom.id(f"edit-{ada.id}"), name="Ada First")
    editor = await htmx.get(f"/contacts/{ada.id}/edit")
    alone = await htmx.send(editor.swapped.one("form"), name="")
    saved = await htmx.send(alone.swapped.one("form"), name="Ada Second")

    assert saved.names == ["Ada Second"]
    assert store.get(ada.id).version == 3


# ---- someone else deleted it meanwhile


async def test_what_was_typed_moves_to_the_add_form_when_the_contact_is_gone(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")
    store.delete([ada.id])

    back = await plain.submit(page.dom.id(f"edit-{ada.id}"), **TYPED)
    saved = await plain.submit(back.dom.id("contact-form"))

    assert back.status == 404
    assert back.is_page
    assert "Contact not found" in back.dom.id("contact-form").one(role="alert").text
    _assert_filled_in(back, "contact-form", TYPED)
    assert saved.names == ["Ada King"]


async def test_what_was_typed_stays_in_the_editor_with_htmx_and_is_saved_as_a_new_contact(
    htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    editor = await htmx.get(f"/contacts/{ada.id}/edit")
    store.delete([ada.id])

    back = await htmx.send(editor.swapped.one("form"), **TYPED)
    saved = await htmx.send(back.dom.id(f"edit-{ada.id}"))

    assert back.status == 404
    assert back.swapped["id"] == f"contact-{ada.id}"
    assert back.header("HX-Retarget") == f"#contact-{ada.id}"
    assert back.header("HX-Reswap") == "outerHTML"
    assert "Contact not found" in back.dom.one(role="alert").text
    _assert_filled_in(back, f"edit-{ada.id}", TYPED)
    assert saved.names == ["Ada King"]
    assert "form-section" not in saved.out_of_band
    assert htmx.url == "/contacts"


async def test_what_was_typed_in_the_editor_of_a_contact_that_is_gone_can_be_given_up(
    htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    editor = await htmx.get(f"/contacts/{ada.id}/edit")
    store.delete([ada.id])

    back = await htmx.send(editor.swapped.one("form"), **TYPED)
    given_up = await htmx.send(back.dom.link("Cancel"))

    assert given_up.header("HX-Retarget") == f"#contact-{ada.id}"
    assert given_up.header("HX-Reswap") == "delete"
    assert store.count() == 0


@pytest.mark.parametrize("contact_id", ["0", "99", "9" * 25, "9" * 5_000])
async def test_nobody_can_be_edited_who_is_not_there(
    plain: Browser, htmx: Htmx, ada: Contact, contact_id: str
) -> None:
    page = await plain.open(f"/contacts/{contact_id}/edit")
    fragment = await htmx.get(f"/contacts/{contact_id}/edit")

    assert page.status == fragment.status == 404
    assert page.is_page
    assert fragment.header("HX-Reswap") in ("delete", "none")
    assert fragment.body == b""


# ---- the store is unavailable


async def test_nothing_typed_is_lost_when_the_store_cannot_write(
    serve: Serve, busy_store: SQLiteStore
) -> None:
    plain = Browser(await serve(busy_store))
    page = await plain.open("/contacts/1/edit")

    back = await plain.submit(page.dom.id("edit-1"), **TYPED)

    assert back.status == 503
    assert back.is_page
    assert "Nothing was saved. Try again" in back.dom.id("edit-1").one(role="alert").text
    _assert_filled_in(back, "edit-1", TYPED)


async def test_nothing_typed_is_lost_with_htmx_when_the_store_cannot_write(
    serve: Serve, busy_store: SQLiteStore
) -> None:
    htmx = Htmx(await serve(busy_store))
    editor = await htmx.get("/contacts/1/edit")

    back = await htmx.send(editor.swapped.one("form"), **TYPED)

    assert back.status == 503
    assert back.header("HX-Retarget") == "#contact-1"
    assert back.header("HX-Reswap") == "outerHTML"
    assert "Nothing was saved. Try again" in back.swapped.one(role="alert").text
    _assert_filled_in(back, "edit-1", TYPED)


async def test_nothing_typed_is_lost_when_not_even_the_list_can_be_read(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    page = await plain.open(f"/contacts/{ada.id}/edit")
    form = page.dom.id(f"edit-{ada.id}")
    store.close()

    whole = await plain.submit(form, **TYPED)
    alone = await htmx.send(form, **TYPED)

    assert whole.status == alone.status == 503
    assert whole.is_page
    _assert_filled_in(whole, f"edit-{ada.id}", TYPED)
    _assert_filled_in(alone, f"edit-{ada.id}", TYPED)


# ---- a mistake of ours


class Broken(MemoryStore):
    """A store with a mistake in it."""

    def update(self, contact_id: int, draft: ContactDraft, version: int) -> tuple[Contact, Batch | None]:
        raise RuntimeError("a mistake of the house")


async def test_nothing_typed_is_lost_when_the_mistake_is_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken()
    ada = add(store, "Ada Lovelace")
    client = await serve(store)
    plain, htmx = Browser(client), Htmx(client)
    page = await plain.open(f"/contacts/{ada.id}/edit")

    whole = await plain.submit(page.dom.id(f"edit-{ada.id}"), **TYPED)
    alone = await htmx.send(page.dom.id(f"edit-{ada.id}"), **TYPED)

    for back in (whole, alone):
        form = back.dom.id(f"edit-{ada.id}")
        assert back.status == 500
        assert "nothing was saved. What you typed is still here." in form.one(role="alert").text
        assert [box.text for box in form.walk() if "autofocus" in box] == ["Try again"]
        assert form.fields["version"] == "1"
        _assert_filled_in(back, f"edit-{ada.id}", TYPED)
    assert whole.is_page
    assert alone.header("HX-Retarget") == f"#contact-{ada.id}"
    assert "a mistake of the house" in caplog.text
    assert [value for value in TYPED.values() if value in caplog.text] == []
