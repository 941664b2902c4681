"""GET /contacts/new and POST /contacts: adding a contact."""

import pytest

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.store.sqlite import SQLiteStore
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx, Serve

pytestmark = pytest.mark.anyio

TYPED = {
    "name": "  Grace  Hopper ",
    "email": "Grace.Hopper@example.org",
    "phone": "+1 (212) 555-0199",
    "company": 'U.S. "Navy" & <Sons>',
    "tags": "VIP, Navy",
    "notes": "One line\n  and another",
}
WRONG = TYPED | {"email": "grace at example", "phone": "call me"}
LABELS = {
    "name": "Name",
    "email": "Email",
    "phone": "Phone",
    "company": "Company",
    "tags": "Tags",
    "notes": "Notes",
}


# ---- the form


async def test_the_form_has_a_page_of_its_own_above_the_list(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")

    page = await plain.open("/contacts/new")

    form = page.dom.id("contact-form")
    assert page.is_page
    assert page.names == ["Ada Lovelace"]
    assert form.fields == dict.fromkeys(LABELS, "") | {"contact": "0"}
    assert "autofocus" in form.box("Name")


async def test_the_form_comes_alone_with_htmx_and_pushes_its_address(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts")

    fragment = await htmx.send(page.dom.id("new-contact"))

    assert fragment.swapped["id"] == "contact-form"
    assert fragment.header("HX-Push-Url") == "/contacts/new"


async def test_every_field_has_a_label(plain: Browser) -> None:
    page = await plain.open("/contacts/new")

    form = page.dom.id("contact-form")
    assert {name: form.box(label)["name"] for name, label in LABELS.items()} == {
        name: name for name in LABELS
    }


async def test_cancel_leads_back_to_the_list_one_came_from(plain: Browser) -> None:
    page = await plain.open("/contacts/new?q=ada&sort=email")

    assert page.dom.link("Cancel")["href"] == "/contacts?q=ada&sort=email"


# ---- saving


async def test_a_new_contact_is_kept_as_typed_but_for_stray_space(
    plain: Browser, store: ContactStore
) -> None:
    page = await plain.open("/contacts/new")

    await plain.submit(page.dom.id("contact-form"), **TYPED)

    contact = store.list(ListQuery()).contacts[0]
    assert contact.name == "Grace Hopper"
    assert contact.email == "Grace.Hopper@example.org"
    assert contact.phone == "+1 (212) 555-0199"
    assert contact.company == 'U.S. "Navy" & <Sons>'
    assert contact.tags == ("Navy", "VIP")
    assert contact.notes == "One line\nand another"


async def test_saving_leads_to_the_list_and_says_what_happened(plain: Browser) -> None:
    page = await plain.open("/contacts/new")

    saved = await plain.submit(page.dom.id("contact-form"), **TYPED)

    assert saved.via == "/contacts?done=1"
    assert saved.names == ["Grace Hopper"]
    assert saved.dom.id("toasts").one("span").text == "Added Grace Hopper."
    assert not saved.dom.has("contact-form")


async def test_saving_with_htmx_renews_table_count_and_closes_the_form(
    htmx: Htmx, store: ContactStore
) -> None:
    add(store, "Ada Lovelace")
    form = await htmx.get("/contacts/new")

    saved = await htmx.send(form.swapped, **TYPED)

    assert saved.status == 200
    assert saved.swapped["id"] == "contact-table"
    assert saved.names == ["Ada Lovelace", "Grace Hopper"]
    assert saved.out_of_band == {"contact-count": "innerHTML", "form-section": "innerHTML"}
    assert saved.dom.id("contact-count").text == "2"
    assert saved.dom.id("form-section").roots == []
    assert saved.header("HX-Push-Url") == "/contacts"


async def test_saving_with_htmx_tells_the_page_what_happened(htmx: Htmx, store: ContactStore) -> None:
    form = await htmx.get("/contacts/new")

    saved = await htmx.send(form.swapped, **TYPED)

    batch = store.batches()[0]
    assert saved.events == {
        "contactCreated": {
            "target": "body",
            "message": "Added Grace Hopper",
            "count": 1,
            "undo": f"/undo/{batch.id}",
            "contact": batch.first.contact_id,
        }
    }


@pytest.mark.parametrize(
    "name", ["Zoë Łukasz", "北京 太郎", "فاطمة", "😀 Smiley", 'Quote " and \\ back', "Comma, Inc; Ltd"]
)
async def test_a_name_in_any_script_fits_into_a_header(htmx: Htmx, name: str) -> None:
    saved = await htmx.ask("POST", "/contacts", name=name, email="someone@example.com")

    assert saved.status == 200
    assert saved.events["contactCreated"]["message"] == f"Added {name}"


async def test_a_phone_number_will_do_instead_of_an_email(plain: Browser, store: ContactStore) -> None:
    page = await plain.open("/contacts/new")

    saved = await plain.submit(page.dom.id("contact-form"), name="Grace Hopper", phone="555")

    assert saved.names == ["Grace Hopper"]
    assert store.list(ListQuery()).contacts[0].email == ""


# ---- a wrong form comes back


def _assert_filled_in(form_answer: Answer, typed: dict[str, str]) -> None:
    form = form_answer.dom.id("contact-form")
    assert {name: form.box(label).value for name, label in LABELS.items()} == typed


async def test_a_wrong_form_comes_back_filled_in_on_the_whole_page(
    plain: Browser, store: ContactStore
) -> None:
    add(store, "Ada Lovelace")
    page = await plain.open("/contacts/new")

    back = await plain.submit(page.dom.id("contact-form"), **WRONG)

    assert back.status == 422
    assert back.is_page
    assert back.names == ["Ada Lovelace"]
    assert back.dom.one("title").text == "Error: Contacts"
    _assert_filled_in(back, WRONG)
    assert store.count() == 1


async def test_a_wrong_form_comes_back_filled_in_alone_with_htmx(htmx: Htmx, store: ContactStore) -> None:
    form = await htmx.get("/contacts/new")

    back = await htmx.send(form.swapped, **WRONG)

    assert back.status == 422
    assert back.swapped["id"] == "contact-form"
    assert back.header("HX-Retarget") == "#form-section"
    assert back.header("HX-Reswap") == "innerHTML"
    assert back.header("HX-Trigger") == ""
    assert back.header("HX-Push-Url") == ""
    _assert_filled_in(back, WRONG)
    assert store.count() == 0


async def test_each_wrong_field_says_what_to_do(htmx: Htmx) -> None:
    back = await htmx.ask(
        "POST",
        "/contacts",
        name="",
        email="grace at example",
        phone="call me",
        company="c" * 201,
        tags="t" * 41,
        notes="n" * 5_001,
    )

    assert back.dom.complaint("Name") == "This field is required. Enter a name."
    assert back.dom.complaint("Email") == "Enter a valid email address, such as ada@example.com."
    assert back.dom.complaint("Phone").startswith("Enter a phone number with digits")
    assert back.dom.complaint("Company") == "Use at most 200 characters; this has 201."
    assert back.dom.complaint("Tags").startswith("Use at most 40 characters for each tag")
    assert back.dom.complaint("Notes") == "Use at most 5,000 characters; this has 5,001."


async def test_the_first_wrong_field_has_the_focus_and_the_others_are_left_alone(htmx: Htmx) -> None:
    back = await htmx.ask("POST", "/contacts", name="Grace", email="wrong", phone="wrong")

    focused = [box["name"] for box in back.dom.walk() if "autofocus" in box]
    assert focused == ["email"]
    assert back.dom.complaint("Name") == ""
    assert back.dom.complaint("Company") == ""


async def test_a_form_without_any_field_is_answered_like_an_empty_one(htmx: Htmx) -> None:
    back = await htmx.ask("POST", "/contacts")

    assert back.status == 422
    assert back.dom.complaint("Name") == "This field is required. Enter a name."
    assert back.dom.complaint("Email") == "Enter an email address or a phone number."


async def test_an_email_that_somebody_has_is_refused_with_their_name(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    add(store, "Ada Lovelace", email="ada@example.com")
    page = await plain.open("/contacts/new")

    whole = await plain.submit(page.dom.id("contact-form"), name="Ada Two", email="ADA@example.com")
    alone = await htmx.ask("POST", "/contacts", name="Ada Two", email="ADA@example.com")

    taken = "Ada Lovelace has this email address already. Enter another one."
    for back in (whole, alone):
        assert back.status == 422
        assert back.dom.complaint("Email") == f"{taken} Open Ada Lovelace (in a new window)"
        assert back.dom.link("Open Ada Lovelace (in a new window)")["href"] == "/contacts/1"
        assert back.dom.link("Open Ada Lovelace (in a new window)")["target"] == "_blank"
        assert back.dom.box("Email").value == "ADA@example.com"
    assert store.count() == 1


async def test_a_wrong_form_can_be_mended_and_saved(plain: Browser) -> None:
    page = await plain.open("/contacts/new?q=grace")

    back = await plain.submit(page.dom.id("contact-form"), **WRONG)
    saved = await plain.submit(back.dom.id("contact-form"), email="grace@example.org", phone="")

    assert saved.via == "/contacts?q=grace&done=1"
    assert saved.names == ["Grace Hopper"]


async def test_a_wrong_form_can_be_mended_and_saved_with_htmx(htmx: Htmx) -> None:
    form = await htmx.get("/contacts/new")

    back = await htmx.send(form.swapped, **WRONG)
    saved = await htmx.send(back.swapped, email="grace@example.org", phone="")

    assert saved.status == 200
    assert saved.names == ["Grace Hopper"]


# ---- the store is unavailable


async def test_nothing_typed_is_lost_when_the_store_cannot_write(
    serve: Serve, busy_store: SQLiteStore
) -> None:
    plain = Browser(await serve(busy_store))
    page = await plain.open("/contacts/new")

    back = await plain.submit(page.dom.id("contact-form"), **TYPED)

    assert back.status == 503
    assert back.is_page
    assert back.names == ["Ada Lovelace"]
    assert "Nothing was saved. Try again" in back.dom.id("contact-form").one(role="alert").text
    _assert_filled_in(back, TYPED)


async def test_nothing_typed_is_lost_with_htmx_when_the_store_cannot_write(
    serve: Serve, busy_store: SQLiteStore
) -> None:
    htmx = Htmx(await serve(busy_store))
    form = await htmx.get("/contacts/new")

    back = await htmx.send(form.swapped, **TYPED)

    assert back.status == 503
    assert back.header("HX-Retarget") == "#form-section"
    assert back.header("HX-Reswap") == "innerHTML"
    assert "Nothing was saved. Try again" in back.swapped.one(role="alert").text
    _assert_filled_in(back, TYPED)


async def test_nothing_typed_is_lost_when_not_even_the_list_can_be_read(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    page = await plain.open("/contacts/new")
    form = page.dom.id("contact-form")
    store.close()

    whole = await plain.submit(form, **TYPED)
    alone = await htmx.send(form, **TYPED)

    assert whole.status == alone.status == 503
    assert whole.is_page
    _assert_filled_in(whole, TYPED)
    _assert_filled_in(alone, TYPED)


# ---- a mistake of ours


class Broken(MemoryStore):
    """A store with a mistake in it."""

    def add(self, draft: ContactDraft) -> tuple[Contact, Batch]:
        raise RuntimeError("a mistake of the house")


async def test_nothing_typed_is_lost_when_the_mistake_is_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = await serve(Broken())
    plain, htmx = Browser(client), Htmx(client)
    page = await plain.open("/contacts/new")

    whole = await plain.submit(page.dom.id("contact-form"), **TYPED)
    alone = await htmx.send(page.dom.id("contact-form"), **TYPED)

    for back in (whole, alone):
        form = back.dom.id("contact-form")
        assert back.status == 500
        assert form.one(role="alert").text == (
            "Something went wrong on our side, and nothing was saved. What you typed is still here."
        )
        assert [box.text for box in form.walk() if "autofocus" in box] == ["Try again"]
        _assert_filled_in(back, TYPED)
    assert whole.is_page
    assert (alone.header("HX-Retarget"), alone.header("HX-Reswap")) == ("#form-section", "innerHTML")
    assert "a mistake of the house" in caplog.text
    assert [value for value in TYPED.values() if value.strip() in caplog.text] == []


async def test_the_form_can_be_sent_again_once_the_mistake_is_gone(serve: Serve) -> None:
    htmx = Htmx(await serve(Broken()))
    back = await htmx.ask("POST", "/contacts", **TYPED)

    await serve(MemoryStore())
    saved = await htmx.send(back.swapped)

    assert saved.names == ["Grace Hopper"]
