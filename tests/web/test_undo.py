"""POST /undo/{batch}: every change can be taken back, and that too."""

from contextlib import closing
from pathlib import Path

import pytest

from app.contacts.changes import EXAMPLES, Batch
from app.contacts.contact import Contact, ContactDraft
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.sql import GROUP
from app.store.sqlite import SQLiteStore
from tests.making import ADA, add
from tests.web.browser import Answer, Browser, Htmx, Serve
from tests.web.markup import Element

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


class Overtaken(SQLiteStore):
    """The store of a process that another one is ahead of: what it is asked about, that one undoes."""

    def __init__(self, database: Path) -> None:
        super().__init__(database)
        self.other = SQLiteStore(database)

    def batch(self, batch_id: int) -> Batch | None:
        found = super().batch(batch_id)
        self.other.undo(batch_id)
        return found


@pytest.mark.parametrize("address", ["/undo/{}", "/api/v1/batches/{}/undo"])
async def test_who_undoes_at_the_same_moment_as_somebody_else_is_answered_alike(
    serve: Serve, database: Path, address: str
) -> None:
    with closing(Overtaken(database)) as store, closing(store.other):
        _, added = store.add(ADA)
        client = await serve(store)

        answer = await client.request("POST", address.format(added.id), headers={"hx-request": "true"})

        assert answer.status == 200
        assert [(batch.kind, batch.undoes) for batch in store.batches()] == [
            ("undo", added.id),
            ("add", None),
        ]


async def test_what_was_undone_and_done_again_cannot_be_undone_by_the_old_address(
    plain: Browser, store: ContactStore, deleted: Batch
) -> None:
    await plain.post(f"/undo/{deleted.id}")
    await plain.post(f"/undo/{deleted.id + 1}")

    again = await plain.post(f"/undo/{deleted.id}")

    assert again.status == 409
    assert store.count() == 0


async def test_nothing_is_undone_when_the_store_cannot_write(serve: Serve, busy_store: SQLiteStore) -> None:
    client = await serve(busy_store)

    whole = await Browser(client).post("/undo/1")
    alone = await Htmx(client).ask("POST", "/undo/1")

    assert whole.status == alone.status == 503
    assert busy_store.count() == 1


# ---- what has changed since is asked about


@pytest.fixture
def moved(store: ContactStore, ada: Contact) -> Contact:
    """Ada Lovelace, whose company and notes were changed by batch 2, and then her notes by batch 3."""
    store.update(ada.id, ContactDraft("Ada Lovelace", "ada@example.com", company="Engines", notes="one"), 1)
    store.update(ada.id, ContactDraft("Ada Lovelace", "ada@example.com", company="Engines", notes="two"), 2)
    return ada


def _examples(dom: Element) -> list[str]:
    return [item.text for item in dom.one("ul").roots]


async def _ask_both(plain: Browser, htmx: Htmx, batch: int, **fields: str) -> tuple[Answer, Answer]:
    """The question as a page and as a fragment; both say the same."""
    whole = await plain.post(f"/undo/{batch}", **fields)
    alone = await htmx.ask("POST", f"/undo/{batch}", **fields)
    assert whole.status == alone.status == 409
    assert whole.dom.id("question-title").text == alone.dom.id("question-title").text
    assert _examples(whole.dom) == _examples(alone.dom)
    return whole, alone


async def test_an_undo_of_what_changed_since_asks_first(
    plain: Browser, htmx: Htmx, store: ContactStore, moved: Contact
) -> None:
    whole, alone = await _ask_both(plain, htmx, 2)

    assert whole.is_page
    assert whole.dom.one("title").text == "Undo? · Contacts"
    assert not alone.is_page
    assert (alone.header("HX-Retarget"), alone.header("HX-Reswap")) == ("#question", "innerHTML")
    assert alone.header("HX-Push-Url") == alone.header("HX-Trigger") == ""
    assert alone.dom.one("h1").text == "Undo what is left?"
    assert alone.dom.one("strong").text == "Saved Ada Lovelace"
    assert _examples(alone.dom) == ["Ada Lovelace: gets back company; keeps notes as changed since."]
    assert alone.dom.link("Ada Lovelace")["href"] == f"/contacts/{moved.id}"
    assert store.last_change() == 3


async def test_what_can_be_undone_is_undone_once_it_is_agreed_to(
    plain: Browser, htmx: Htmx, store: ContactStore, moved: Contact
) -> None:
    _, alone = await _ask_both(plain, htmx, 2)

    back = await htmx.send(alone.dom.form("Undo what can be undone"))

    assert back.status == 200
    assert back.swapped["id"] == "contact-table"
    assert back.events["contactUpdated"]["message"] == "Undid the changes to Ada Lovelace"
    contact = store.get(moved.id)
    assert (contact.company, contact.notes) == ("", "two")


async def test_what_can_be_undone_is_undone_without_script_too(
    plain: Browser, htmx: Htmx, store: ContactStore, moved: Contact
) -> None:
    whole = await plain.post("/undo/2?q=ada&sort=email")

    back = await plain.submit(whole.dom.form("Undo what can be undone"))
    again = await plain.submit(back.dom.id("toasts").form("Undo"))

    assert back.via == "/contacts?q=ada&sort=email&done=4"
    assert back.dom.id("toasts").one("span").text == "Undid the changes to Ada Lovelace."
    assert again.via == "/contacts?q=ada&sort=email&done=5"
    contact = store.get(moved.id)
    assert (contact.company, contact.notes) == ("Engines", "two")


async def test_an_undo_in_part_is_done_once_however_often_it_is_agreed_to(
    plain: Browser, store: ContactStore, moved: Contact
) -> None:
    whole = await plain.post("/undo/2")
    form = whole.dom.form("Undo what can be undone")

    first = await plain.submit(form)
    second = await plain.submit(form)

    assert first.via == second.via == "/contacts?done=4"
    assert len(store.batches()) == 4


async def test_everything_can_be_left_as_it_is(plain: Browser, store: ContactStore, moved: Contact) -> None:
    whole = await plain.post("/undo/2?q=ada")

    page = await plain.follow(whole.dom.link("Leave everything as it is"))

    assert plain.url == "/contacts?q=ada"
    assert page.names == ["Ada Lovelace"]
    assert store.last_change() == 3


async def test_only_closing_is_left_when_nothing_can_be_undone(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)
    store.update(ada.id, ContactDraft("Ada Third", "ada@example.com"), 2)

    for answer in await _ask_both(plain, htmx, 2):
        question = answer.dom.id("question-title").parent
        assert question
        assert question.one("h1").text == "This cannot be undone any more"
        assert _examples(question) == ["Ada Third: What it changed was changed again since."]
        assert question.all("form") == []
        assert question.link("Close")["href"] == "/contacts"
    assert store.get(ada.id).name == "Ada Third"


async def test_agreeing_to_nothing_changes_nothing(
    plain: Browser, store: ContactStore, ada: Contact, deleted: Batch
) -> None:
    store.undo(deleted.id)
    store.delete([ada.id])

    answer = await plain.post("/undo/1", partly="1")

    assert answer.status == 409
    assert answer.dom.one("h1").text == "This cannot be undone any more"
    assert store.last_change() == 4


async def test_an_addition_is_not_undone_over_a_later_edit(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)

    whole, _ = await _ask_both(plain, htmx, 1)

    assert _examples(whole.dom) == ["Ada King: It was changed after it was added, so it stays."]
    assert store.count() == 1


async def test_nobody_comes_back_whose_email_is_taken_by_now(
    plain: Browser, htmx: Htmx, store: ContactStore, deleted: Batch
) -> None:
    add(store, "Ada Two", email="ada@example.com")

    whole, _ = await _ask_both(plain, htmx, deleted.id)

    assert _examples(whole.dom) == ["Ada Lovelace: Ada Two has its email address by now."]
    assert whole.dom.one("ul").all("a") == []
    assert store.count() == 1


@pytest.fixture
def tagged(store: ContactStore) -> Batch:
    """A batch, the second, that tagged thirty contacts: Person 00 to Person 29."""
    store.import_many([ContactDraft(f"Person {number:02}", f"p{number}@example.com") for number in range(30)])
    batch = store.tag(store.ids(ListQuery()), add=["Work"])
    assert batch
    return batch


async def test_the_question_counts_what_can_be_restored_in_full_in_part_and_not(
    plain: Browser, htmx: Htmx, store: ContactStore, tagged: Batch
) -> None:
    ids = store.ids(ListQuery())
    store.delete(ids[:3])
    store.tag(ids[3:5], add=["Later"])

    whole, alone = await _ask_both(plain, htmx, tagged.id)
    back = await htmx.send(alone.dom.form("Undo what can be undone"))

    assert "25 contacts can be restored as they were. 2 can be restored in part. 3 cannot." in whole.dom.text
    assert _examples(whole.dom) == [
        *(f"Person 0{number}: It was deleted since." for number in range(3)),
        *(f"Person 0{number}: gets back tags; later changes stay." for number in (3, 4)),
    ]
    assert back.events["contactUpdated"]["message"] == "Undid the changes to 27 contacts"
    assert {contact.tags for contact in store.list(ListQuery()).contacts} == {(), ("Later",)}


async def test_the_question_names_no_more_than_a_person_reads(
    plain: Browser, htmx: Htmx, store: ContactStore, tagged: Batch
) -> None:
    store.delete(store.ids(ListQuery())[: EXAMPLES + 3])

    whole, _ = await _ask_both(plain, htmx, tagged.id)

    examples = _examples(whole.dom)
    assert len(examples) == EXAMPLES + 1
    assert examples[-1] == "and 3 more"


async def test_a_list_of_examples_that_is_complete_promises_no_more(
    plain: Browser, htmx: Htmx, store: ContactStore, tagged: Batch
) -> None:
    store.delete(store.ids(ListQuery())[:EXAMPLES])

    whole, _ = await _ask_both(plain, htmx, tagged.id)

    assert len(_examples(whole.dom)) == EXAMPLES


async def test_an_undo_that_failed_to_be_whole_can_be_tried_from_the_activity(
    plain: Browser, store: ContactStore, moved: Contact
) -> None:
    whole = await plain.post("/undo/2", back="activity")

    left = whole.dom.link("Leave everything as it is")["href"]
    back = await plain.submit(whole.dom.form("Undo what can be undone"))

    assert left == "/activity"
    assert back.via == "/activity?done=4"
    assert back.dom.one("h1").text == "Activity"


@pytest.mark.parametrize("back", ["", "//evil.example", "/contacts", "Activity"])
async def test_an_undo_leads_nowhere_else(plain: Browser, deleted: Batch, back: str) -> None:
    answer = await plain.post(f"/undo/{deleted.id}", back=back)

    assert answer.via == "/contacts?done=3"


async def test_very_many_are_asked_about_and_undone_in_part_alike(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    count = GROUP + 1
    store.import_many([ContactDraft(f"Person {number}", f"p{number}@example.com") for number in range(count)])
    ids = store.ids(ListQuery())
    store.tag(ids, add=["Work"])
    store.delete(ids[:1])

    _, alone = await _ask_both(plain, htmx, 2)
    back = await htmx.send(alone.dom.form("Undo what can be undone"))

    assert f"{count - 1} contacts can be restored as they were. 1 cannot." in alone.dom.text
    assert back.events["contactUpdated"]["message"] == f"Undid the changes to {count - 1} contacts"
    assert store.count(ListQuery(tags=("work",))) == 0
