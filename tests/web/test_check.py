"""POST /contacts/check: a field says what is wrong with it as soon as it is left."""

import pytest

from app.contacts.contact import Contact
from app.store import ContactStore
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx
from tests.web.markup import Element

pytestmark = pytest.mark.anyio

TAKEN = "Ada Lovelace has this email address already. Enter another one."


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """A contact whose email is taken, and whose editor is open."""
    return add(store, "Ada Lovelace", email="ada@example.com")


async def _form(plain: Browser) -> Element:
    return (await plain.open("/contacts/new")).dom.id("contact-form")


def _said(answer: Answer) -> str:
    """The message that is swapped in, without what goes elsewhere."""
    return " ".join(child.strip() for child in answer.dom.children if isinstance(child, str)).strip()


@pytest.mark.parametrize(
    ("label", "text", "message"),
    [
        ("Name", " ", "This field is required. Enter a name."),
        ("Name", "Grace Hopper", ""),
        ("Email", "grace at example", "Enter a valid email address, such as ada@example.com."),
        ("Email", "grace@example.org", ""),
        ("Email", "", "Enter an email address or a phone number."),
        ("Phone", "call me", "Enter a phone number with digits, spaces and + - ( ) . / x only."),
        ("Phone", "555-0100", ""),
        ("Company", "c" * 201, "Use at most 200 characters; this has 201."),
        ("Company", "", ""),
        ("Tags", ",".join(f"t{number}" for number in range(21)), "Use at most 20 tags; this has 21."),
        ("Tags", "VIP", ""),
        ("Notes", "n" * 5_001, "Use at most 5,000 characters; this has 5,001."),
        ("Notes", "one\ntwo", ""),
    ],
)
async def test_each_field_says_what_to_do_once_it_is_left(
    plain: Browser, htmx: Htmx, store: ContactStore, label: str, text: str, message: str
) -> None:
    box = (await _form(plain)).box(label)

    answer = await htmx.send(box, **{box["name"]: text})

    assert answer.status == 200
    assert _said(answer) == message
    assert box["hx-target"] == f"#{box['aria-errormessage']}"
    assert box["hx-swap"] == "innerHTML"
    assert "hx-swap-oob" not in str(answer.dom.roots) or label == "Phone"
    assert answer.header("HX-Push-Url") == answer.header("HX-Trigger") == ""
    assert store.last_change() == 0


async def test_only_the_field_that_was_left_is_told_off(plain: Browser, htmx: Htmx) -> None:
    box = (await _form(plain)).box("Company")

    answer = await htmx.send(box, name="", email="wrong", company="c" * 201)

    assert answer.body.decode().strip() == "Use at most 200 characters; this has 201."


# ---- the email


async def test_an_email_that_is_taken_names_who_has_it_and_leads_there(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    box = (await _form(plain)).box("Email")

    answer = await htmx.send(box, name="Ada Two", email=" ADA@example.com ")

    link = answer.dom.one("a")
    assert _said(answer) == TAKEN
    assert link.text == "Open Ada Lovelace (in a new window)"
    assert (link["href"], link["target"]) == (f"/contacts/{ada.id}", "_blank")


async def test_an_email_that_is_taken_is_told_whatever_else_is_wrong(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    box = (await _form(plain)).box("Email")

    answer = await htmx.send(box, name="", phone="call me", email=ada.email)

    assert _said(answer) == TAKEN


async def test_the_own_email_is_not_taken(plain: Browser, htmx: Htmx, ada: Contact) -> None:
    editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    answer = await htmx.send(editor.box("Email"), email="ADA@example.com")

    assert _said(answer) == ""


async def test_in_an_editor_the_email_of_somebody_else_is_taken(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    add(store, "Grace Hopper", email="grace@example.org")
    editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    answer = await htmx.send(editor.box("Email"), email="grace@example.org")

    assert _said(answer) == "Grace Hopper has this email address already. Enter another one."


@pytest.mark.parametrize(
    ("phone", "email", "message"),
    [
        ("555-0100", "", ""),
        ("", "", "Enter an email address or a phone number."),
        ("555-0100", "wrong", "Enter a valid email address, such as ada@example.com."),
        ("555-0100", "ada@example.com", TAKEN),
    ],
)
async def test_the_phone_settles_the_email_too(
    plain: Browser, htmx: Htmx, ada: Contact, phone: str, email: str, message: str
) -> None:
    box = (await _form(plain)).box("Phone")

    answer = await htmx.send(box, name="Grace", phone=phone, email=email)

    assert _said(answer) == ""
    assert answer.out_of_band == {"new-email-error": "innerHTML"}
    assert answer.dom.id("new-email-error").own_text.strip() == message


async def test_in_an_editor_the_phone_settles_the_email_of_that_editor(
    plain: Browser, htmx: Htmx, ada: Contact
) -> None:
    editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    answer = await htmx.send(editor.box("Phone"), email="", phone="")

    assert answer.dom.id(f"edit-{ada.id}-email-error").text == "Enter an email address or a phone number."
    assert editor.has(f"edit-{ada.id}-email-error")


# ---- what is asked


async def test_a_check_is_never_taken_for_saving(plain: Browser, htmx: Htmx, ada: Contact) -> None:
    editor = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    assert editor.fields["_method"] == "PUT"
    assert {box["hx-params"] for box in editor.walk() if "hx-post" in box} == {"not _method"}
    assert (await htmx.send(editor.box("Name"), name="")).status == 200


@pytest.mark.parametrize("name", ["", "id", "created_at", "__class__", "NAME", "name "])
async def test_there_is_no_other_field(htmx: Htmx, name: str) -> None:
    answer = await htmx.ask("POST", "/contacts/check", sender_name=name, name="x")

    assert answer.status == 400
    assert answer.events["problem"]["message"] == "There is no such field."


async def test_a_check_can_be_asked_for_without_htmx(plain: Browser) -> None:
    answer = await plain.post("/contacts/check", field="name", name="")

    assert answer.body.decode().strip() == "This field is required. Enter a name."


@pytest.mark.parametrize("contact", ["", "0", "-1", "x", "9" * 30, "²"])
async def test_an_odd_contact_is_nobody(htmx: Htmx, ada: Contact, contact: str) -> None:
    answer = await htmx.ask("POST", "/contacts/check", sender_name="email", contact=contact, email=ada.email)

    assert _said(answer) == TAKEN
