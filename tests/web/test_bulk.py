"""POST /contacts/bulk: many contacts at once, by the form below the list."""

from urllib.parse import urlencode

import pytest

from app.contacts.contact import Contact, ContactDraft
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.sql import GROUP
from tests.making import add, names
from tests.web.browser import Answer, Browser, Htmx, Typed

pytestmark = pytest.mark.anyio

EMAILS = ("ada.lovelace", "alan.turing", "grace.hopper")  # of the three, at example.com


@pytest.fixture
def three(store: ContactStore) -> list[Contact]:
    """Ada, Alan and Grace, in the order of the list."""
    return [
        add(store, "Ada Lovelace", tags="VIP,London"),
        add(store, "Alan Turing", tags="London"),
        add(store, "Grace Hopper", tags="vip"),
    ]


def _ids(contacts: list[Contact]) -> list[str]:
    return [str(contact.id) for contact in contacts]


def _tags(store: ContactStore) -> dict[str, tuple[str, ...]]:
    return {contact.name: contact.tags for contact in store.list(ListQuery(limit=1_000)).contacts}


async def _press(asker: Browser | Htmx, page: Answer, button: str, **typed: Typed) -> Answer:
    """Tick boxes, fill in the form and press one of its buttons."""
    pressed = page.dom.id("bulk").button(button)
    return await (
        asker.submit(pressed, **typed) if isinstance(asker, Browser) else asker.send(pressed, **typed)
    )


@pytest.fixture(params=["plain", "htmx"])
def asker(request: pytest.FixtureRequest, plain: Browser, htmx: Htmx) -> Browser | Htmx:
    """A browser without script, and one with."""
    return plain if request.param == "plain" else htmx


def _message(answer: Answer) -> str:
    """What the answer says has happened."""
    if not answer.is_page:
        [detail] = answer.events.values()
        return str(detail["message"])
    return answer.dom.id("toasts").one("span").text.removesuffix(".")


async def _undo(asker: Browser | Htmx, answer: Answer) -> Answer:
    if isinstance(asker, Browser):
        return await asker.submit(answer.dom.id("toasts").form("Undo"))
    [detail] = answer.events.values()
    return await asker.ask("POST", str(detail["undo"]))


# ---- what can be done


async def test_every_row_has_a_box_that_belongs_to_the_form(plain: Browser, three: list[Contact]) -> None:
    page = await plain.open("/contacts")

    boxes = [box for box in page.dom.id("bulk").controls if box.attrs.get("name") == "id"]
    assert [box.value for box in boxes] == _ids(three)
    assert [box["aria-label"] for box in boxes] == [f"Select {contact.name}" for contact in three]
    assert page.dom.id("bulk").fields == {"tag": ""}


async def test_the_selected_are_deleted_and_come_back(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    gone = await _press(asker, page, "Delete", id=_ids(three[:2]))
    rest = names(store.list(ListQuery()).contacts)
    back = await _undo(asker, gone)

    assert gone.names == rest == ["Grace Hopper"]
    assert gone.dom.id("contact-count").text == "1"
    assert _message(gone) == "Deleted 2 contacts"
    assert back.names == ["Ada Lovelace", "Alan Turing", "Grace Hopper"]
    assert _message(back) == "Restored 2 contacts"


async def test_a_tag_is_added_to_the_selected_and_taken_back(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    tagged = await _press(asker, page, "Add tag", id=_ids(three[1:]), tag="Poet, Work")
    after = _tags(store)
    back = await _undo(asker, tagged)

    assert after == {
        "Ada Lovelace": ("London", "VIP"),
        "Alan Turing": ("London", "Poet", "Work"),
        "Grace Hopper": ("Poet", "vip", "Work"),
    }
    assert _message(tagged) == "Changed the tags of 2 contacts"
    assert tagged.names == ["Ada Lovelace", "Alan Turing", "Grace Hopper"]
    assert _tags(store) == {contact.name: contact.tags for contact in three}
    assert _message(back) == "Undid the changes to 2 contacts"


async def test_tags_are_removed_in_any_case(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    untagged = await _press(asker, page, "Remove tag", id=_ids(three), tag="VIP, london")
    after = _tags(store)
    await _undo(asker, untagged)

    assert after == {"Ada Lovelace": (), "Alan Turing": (), "Grace Hopper": ()}
    assert _message(untagged) == "Changed the tags of 3 contacts"
    assert _tags(store) == {contact.name: contact.tags for contact in three}


async def test_one_selected_contact_is_called_by_its_name(
    asker: Browser | Htmx, plain: Browser, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    gone = await _press(asker, page, "Delete", id=_ids(three[:1]))

    assert _message(gone) == "Deleted Ada Lovelace"


async def test_without_script_a_change_is_a_redirect_to_the_list(
    plain: Browser, three: list[Contact]
) -> None:
    page = await plain.open("/contacts?q=example&sort=email")

    gone = await _press(plain, page, "Delete", id=_ids(three[:1]))

    assert gone.via == "/contacts?q=example&sort=email&done=4"
    assert gone.names == ["Alan Turing", "Grace Hopper"]


async def test_with_htmx_the_table_and_the_count_are_renewed(
    plain: Browser, htmx: Htmx, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    gone = await _press(htmx, page, "Delete", id=_ids(three))

    assert gone.swapped["id"] == "contact-table"
    assert gone.out_of_band == {"contact-count": "innerHTML"}
    assert gone.events == {
        "contactDeleted": {"target": "body", "message": "Deleted 3 contacts", "count": 0, "undo": "/undo/4"}
    }


async def test_a_change_keeps_the_rows_that_were_loaded_later(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(70)])
    page = await plain.open("/contacts")

    tagged = await _press(htmx, page, "Add tag", id="1", tag="x", rows="70")

    assert len(tagged.names) == 70


async def test_nothing_is_written_where_nothing_differs(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")

    answer = await _press(asker, page, "Add tag", id=_ids(three[:2]), tag="London")

    assert answer.status == 200
    assert store.last_change() == 3
    if not answer.is_page:
        assert answer.events == {
            "contactUpdated": {"target": "body", "message": "Nothing to change", "count": 3}
        }


# ---- all that match


async def test_all_that_match_are_those_of_the_list_on_every_page(
    asker: Browser | Htmx, plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    people = [
        ContactDraft(f"Person {number:02}", f"p{number}@example.com", tags=("VIP",)) for number in range(60)
    ]
    store.import_many([*people, ContactDraft("Person Plain", "plain@example.com")])
    add(store, "Ada Lovelace", tags="VIP")
    address = "/contacts?" + urlencode({"q": "person", "tag": "VIP", "sort": "email"})
    page = await plain.open(address)
    htmx.url = address

    gone = await _press(asker, page, "Delete", all="1")

    assert _message(gone) == "Deleted 60 contacts"
    assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace", "Person Plain"]
    assert gone.names == []


async def test_with_htmx_all_that_match_are_those_of_the_address_bar(
    plain: Browser, htmx: Htmx, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")
    htmx.url = "/contacts?q=grace"

    await _press(htmx, page, "Delete", all="1", id=_ids(three[:1]))

    assert names(store.list(ListQuery()).contacts) == ["Ada Lovelace", "Alan Turing"]


async def test_all_on_a_later_page_are_those_of_the_first_page_too(
    plain: Browser, store: ContactStore
) -> None:
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(60)])
    first = await plain.open("/contacts")
    later = await plain.follow(first.dom.link("Load more"))

    await _press(plain, later, "Delete", all="1")

    assert store.count() == 0


@pytest.mark.parametrize("count", [GROUP, GROUP + 1])
async def test_very_many_are_changed_and_taken_back_alike(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, count: int
) -> None:
    store.import_many([ContactDraft(f"Person {number}", f"p{number}@example.com") for number in range(count)])
    page = await plain.open("/contacts")

    tagged = await _press(asker, page, "Add tag", all="1", tag="Many")
    with_tag = store.count(ListQuery(tags=("Many",)))
    back = await _undo(asker, tagged)
    gone = await _press(asker, page, "Delete", all="1")
    rest = store.count()
    await _undo(asker, gone)

    assert _message(tagged) == f"Changed the tags of {count} contacts"
    assert with_tag == count
    assert _message(back) == f"Undid the changes to {count} contacts"
    assert store.count(ListQuery(tags=("Many",))) == 0
    assert _message(gone) == f"Deleted {count} contacts"
    assert (rest, store.count()) == (0, count)


# ---- where else the form leads


@pytest.mark.parametrize(
    ("button", "first_line"),
    [("CSV Google, Outlook, Excel", "First Name,"), ("vCard phones, Apple", "BEGIN:VCARD"), ("JSON", "{")],
)
async def test_the_selected_are_exported(
    plain: Browser, three: list[Contact], button: str, first_line: str
) -> None:
    page = await plain.open("/contacts")

    file = await _press(plain, page, button, id=_ids(three[:2]))

    text = file.body.decode("utf-8-sig")
    assert file.status == 200
    assert file.header("Content-Disposition").startswith("attachment")
    assert text.startswith(first_line)
    assert [f"{name}@example.com" in text for name in EMAILS] == [True, True, False]


async def test_all_that_match_are_exported(plain: Browser, three: list[Contact]) -> None:
    page = await plain.open("/contacts?tag=VIP")

    file = await _press(plain, page, "JSON", all="1")

    text = file.body.decode()
    assert [f"{name}@example.com" in text for name in EMAILS] == [True, False, True]


async def test_the_selected_lead_to_the_page_that_merges_them(plain: Browser, three: list[Contact]) -> None:
    page = await plain.open("/contacts")

    merge = await _press(plain, page, "Merge", id=_ids(three[:2]))

    assert merge.status == 200
    assert plain.url.startswith("/contacts/merge?")
    assert "Ada Lovelace" in merge.dom.text
    assert "Alan Turing" in merge.dom.text
    assert "Grace Hopper" not in merge.dom.text


# ---- what cannot be done


def _problem(answer: Answer) -> str:
    if answer.header("HX-Reswap") == "none":
        return str(answer.events["problem"]["message"])
    return answer.dom.one("h1").text


@pytest.mark.parametrize(
    ("button", "typed", "message"),
    [
        ("Delete", {}, "Select the contacts first, by the boxes in front of their names."),
        ("Add tag", {"tag": "x"}, "Select the contacts first, by the boxes in front of their names."),
        (
            "Delete",
            {"id": ["x", "-1", ""]},
            "Select the contacts first, by the boxes in front of their names.",
        ),
        ("Add tag", {"id": ["1", "2"]}, "Write the tag first."),
        ("Remove tag", {"id": ["1", "2"], "tag": " , ,"}, "Write the tag first."),
    ],
)
async def test_what_is_missing_is_said(
    asker: Browser | Htmx,
    plain: Browser,
    store: ContactStore,
    three: list[Contact],
    button: str,
    typed: dict[str, Typed],
    message: str,
) -> None:
    page = await plain.open("/contacts")

    answer = await _press(asker, page, button, **typed)

    assert answer.status == 422
    assert _problem(answer) == message
    assert store.last_change() == len(three)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("One More", "Nothing was changed. Use at most 20 tags; this has 21."),
        ("t" * 41, "Nothing was changed. Use at most 40 characters for each tag; "),
    ],
)
async def test_a_tag_that_breaks_a_rule_for_one_changes_nobody(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact], tag: str, message: str
) -> None:
    full = add(store, "Full Of Tags", tags=",".join(f"t{number}" for number in range(20)))
    page = await plain.open("/contacts")

    answer = await _press(asker, page, "Add tag", id=_ids([*three, full]), tag=tag)

    assert answer.status == 422
    assert _problem(answer).startswith(message)
    assert store.last_change() == 4


async def test_ids_of_nobody_are_passed_over(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")
    odd = ["99", "0", "x", "-1", "1.5", "²", "9" * 18, "9" * 30, "\0", ""]

    gone = await _press(asker, page, "Delete", id=[*odd, str(three[0].id), str(three[0].id)])

    assert _message(gone) == "Deleted Ada Lovelace"
    assert store.count() == 2


async def test_nothing_changes_when_all_that_were_selected_are_gone(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")
    store.delete([three[0].id])

    answer = await _press(asker, page, "Delete", id=_ids(three[:1]))

    assert answer.status == 200
    assert answer.names == ["Alan Turing", "Grace Hopper"]
    assert store.last_change() == 4


@pytest.mark.parametrize("do", ["", "destroy", "DELETE"])
async def test_there_is_no_other_action(
    plain: Browser, htmx: Htmx, store: ContactStore, three: list[Contact], do: str
) -> None:
    whole = await plain.post("/contacts/bulk", do=do, id=_ids(three), tag="x")
    alone = await htmx.ask("POST", "/contacts/bulk", do=do, id=_ids(three), tag="x")

    for answer in (whole, alone):
        assert answer.status == 400
        assert _problem(answer) == "There is no such action."
    assert store.last_change() == 3


async def test_nothing_is_changed_when_the_store_fails(
    asker: Browser | Htmx, plain: Browser, store: ContactStore, three: list[Contact]
) -> None:
    page = await plain.open("/contacts")
    store.close()

    answer = await _press(asker, page, "Delete", id=_ids(three))

    assert answer.status == 503
    assert _problem(answer) == "The address book is closed."
