"""GET /contacts/duplicates and /contacts/merge: likely duplicates, and one contact made of several."""

from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import connect
from threading import Barrier, BrokenBarrierError, Thread
from urllib.parse import urlencode

import pytest

from app.contacts.contact import Contact, ContactDraft
from app.contacts.duplicates import Group, find
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from app.web import duplicates
from app.web.duplicates import PAGE_SIZE
from tests.making import add
from tests.web.browser import Answer, Browser, Serve
from tests.web.markup import Element

pytestmark = pytest.mark.anyio


class Chooser(Browser):
    """A browser without script that ticks boxes, too: a name may be sent several times, or not at all."""

    async def press(self, form: Element, button: str = "Merge", **chosen: str | list[str]) -> Answer:
        """Press a button of a form, after choosing other values than its own; [] ticks no box."""
        fields = [(name, value) for name, value in ticked(form) if name not in chosen]
        for name, values in chosen.items():
            fields += [(name, value) for value in ([values] if isinstance(values, str) else values)]
        if form.button(button).attrs.get("formmethod") == "get":
            return await self.open(f"{form['action']}?{urlencode(fields)}")
        return await self._go("POST", form["action"], urlencode(fields).encode())


def ticked(form: Element) -> list[tuple[str, str]]:
    """What a form sends as it stands: boxes that are not ticked stay away."""
    return [
        (box["name"], box.attrs.get("value", "on") if box.tag == "input" else box.value)
        for box in (*form.all("input"), *form.all("textarea"))
        if box.attrs.get("type") not in ("radio", "checkbox") or "checked" in box
    ]


def chosen(form: Element) -> dict[str, str]:
    """What a merge form would send, without the ids; several tags are separated by commas."""
    fields: dict[str, str] = {}
    for name, value in ticked(form):
        if name != "id":
            fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


def groups(page: Answer) -> list[Element]:
    """The groups that the page shows."""
    return page.dom.all("article")


def merge_form(page: Answer) -> Element:
    """The form of the merge page."""
    return page.dom.form("Merge")


def message(page: Answer) -> str:
    """What the page says happened."""
    return page.dom.id("toasts").one("span").text


@pytest.fixture
def chooser(plain: Browser) -> Chooser:
    """A browser without script on the same app."""
    return Chooser(plain._client)


@pytest.fixture
def adas(store: ContactStore) -> tuple[Contact, Contact]:
    """One person twice, with something different in every field; batches 1 and 2."""
    return (
        add(
            store,
            "Ada Lovelace",
            email="ada@example.com",
            phone="+44 20 7946 0101",
            tags="VIP",
            notes="Engines.",
        ),
        add(
            store,
            "Ada King",
            email="king@example.org",
            phone="020 7946 0101",
            company="Looms",
            tags="Friends",
        ),
    )


def merge_url(*contacts: Contact) -> str:
    return "/contacts/merge?" + urlencode([("id", contact.id) for contact in contacts])


# ---- the page


async def test_the_page_shows_likely_duplicates_and_why(chooser: Chooser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", email="ada@example.com", phone="202-555-0101")
    add(store, "Lovelace, Ada", email="king@example.com", phone="(202) 555-0101")
    add(store, "Grace Hopper")

    page = await chooser.open("/contacts/duplicates")

    [group] = groups(page)
    assert page.is_page
    assert page.dom.one("h1").text == "Likely duplicates 1"
    assert [tag.text for tag in group.all("span", **{"class": "tag"})] == ["Same name", "Same phone"]
    assert [link.text for link in group.all("a")] == ["Ada Lovelace", "Lovelace, Ada"]
    assert [term.text for term in group.all("li")[0].all("dt")] == ["Email", "Phone"]
    assert "Grace Hopper" not in group.text


async def test_only_what_contradicts_is_marked(chooser: Chooser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", phone="202-555-0101", company="Engines", notes="One")
    add(store, "Ada Lovelace", phone="(202) 555-0101", company="Looms", notes="Two")

    page = await chooser.open("/contacts/duplicates")

    marked = page.dom.all("dd", **{"class": "compare__differs"})
    assert [value.text for value in marked] == ["Engines", "Looms"]


async def test_without_duplicates_the_page_says_so(chooser: Chooser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")

    page = await chooser.open("/contacts/duplicates")

    assert page.dom.one("h1").text == "Likely duplicates"
    assert "No likely duplicates" in page.dom.id("main").text
    assert groups(page) == []


async def test_many_groups_are_shown_in_pages(chooser: Chooser, store: ContactStore) -> None:
    for number in range(PAGE_SIZE + 1):
        for host in ("example.com", "example.org"):
            store.add(ContactDraft(f"Person {number:03}", f"p{number}@{host}"))

    first = await chooser.open("/contacts/duplicates")
    second = await chooser.follow(first.dom.link("More"))
    back = await chooser.follow(second.dom.link("Back"))

    assert [len(groups(page)) for page in (first, second, back)] == [PAGE_SIZE, 1, PAGE_SIZE]
    assert first.dom.one("h1").text == f"Likely duplicates {PAGE_SIZE + 1}"
    assert back.dom.one("h1").text == first.dom.one("h1").text


@pytest.mark.parametrize("number", ["0", "2", "999", "-1", "x", "9" * 30])
async def test_a_page_that_is_not_there_shows_the_nearest(
    chooser: Chooser, adas: tuple[Contact, Contact], number: str
) -> None:
    assert len(groups(await chooser.open(f"/contacts/duplicates?page={number}"))) == 1


async def test_the_page_follows_every_change(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    before = await chooser.open("/contacts/duplicates")
    store.update(adas[1].id, ContactDraft("Ada King", "king@example.org"), 1)

    after = await chooser.open("/contacts/duplicates")

    assert len(groups(before)) == 1
    assert groups(after) == []


def test_many_who_ask_at_once_wait_for_one_search(
    store: ContactStore, adas: tuple[Contact, Contact], monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[Iterable[Contact]] = []

    together = Barrier(2)

    def counted(contacts: Iterable[Contact]) -> Sequence[Group]:
        searches.append(contacts)
        with suppress(BrokenBarrierError):
            together.wait(0.2)  # a second search at the same time would come here, too
        return find(contacts)

    monkeypatch.setattr(duplicates, "find", counted)
    finder, start = duplicates._Finder(), Barrier(8)
    found = []

    def ask() -> None:
        start.wait()
        found.append(finder.find(store))
        store.close_worker()

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(searches) == 1
    assert found == [find(store.export(ListQuery()))] * 8


# ---- merging with what is suggested


async def test_one_click_merges_a_group_and_keeps_everything(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open("/contacts/duplicates")

    done = await chooser.press(groups(page)[0].one("form"), "Merge contacts into Ada Lovelace")

    assert done.via == "/contacts/duplicates?done=3"
    assert message(done) == "Merged 2 contacts into Ada Lovelace."
    assert groups(done) == []
    assert store.count() == 1
    assert ContactDraft.of(store.get(adas[0].id)) == ContactDraft(
        "Ada Lovelace",
        "ada@example.com",
        "+44 20 7946 0101",
        "Looms",
        "Engines.\nName: Ada King\nEmail: king@example.org\nPhone: 020 7946 0101",
        ("Friends", "VIP"),
    )


async def test_one_undo_splits_them_again(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open("/contacts/duplicates")
    done = await chooser.press(groups(page)[0].one("form"), "Merge contacts into Ada Lovelace")

    await chooser.submit(done.dom.id("toasts").form("Undo"))

    assert store.count() == 2
    assert [ContactDraft.of(store.get(ada.id)) for ada in adas] == [ContactDraft.of(ada) for ada in adas]
    assert len(groups(await chooser.open("/contacts/duplicates"))) == 1


async def test_the_message_is_shown_once(chooser: Chooser, adas: tuple[Contact, Contact]) -> None:
    page = await chooser.open("/contacts/duplicates")
    done = await chooser.press(groups(page)[0].one("form"), "Merge contacts into Ada Lovelace")

    again = await chooser.open(done.via)

    assert done.header("Cache-Control") == "no-store"
    assert again.dom.id("toasts").text == ""


async def test_who_is_unticked_is_left_alone(chooser: Chooser, store: ContactStore) -> None:
    ada, other, third = (add(store, "Ada Lovelace", email=f"{n}@example.com") for n in range(3))
    page = await chooser.open("/contacts/duplicates")

    await chooser.press(
        groups(page)[0].one("form"), "Merge contacts into Ada Lovelace", id=[f"{ada.id}.1", f"{third.id}.1"]
    )

    assert store.get(other.id) == other
    assert store.count() == 2


async def test_merging_leads_back_to_the_same_page(chooser: Chooser, store: ContactStore) -> None:
    for number in range(PAGE_SIZE + 2):
        for host in ("example.com", "example.org"):
            store.add(ContactDraft(f"Person {number:03}", f"p{number}@{host}"))
    page = await chooser.open("/contacts/duplicates?page=2")

    done = await chooser.press(groups(page)[0].one("form"), f"Merge contacts into Person {PAGE_SIZE:03}")

    assert done.via.startswith("/contacts/duplicates?page=2&done=")
    assert len(groups(done)) == 1


async def test_a_form_that_is_sent_twice_merges_once(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open("/contacts/duplicates")
    form = groups(page)[0].one("form")

    first = await chooser.press(form, "Merge contacts into Ada Lovelace")
    second = await chooser.press(form, "Merge contacts into Ada Lovelace")

    assert second.status == 200
    assert second.via == first.via
    assert len(store.batches()) == 3


async def test_a_form_with_one_more_contact_than_was_merged_is_no_repetition(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    grace = add(store, "Grace Hopper")
    form = merge_form(await chooser.open(merge_url(*adas, grace)))
    await chooser.press(merge_form(await chooser.open(merge_url(*adas))))

    stale = await chooser.press(form)

    assert stale.status == 409
    assert store.get(grace.id) == grace
    assert [value for name, value in ticked(merge_form(stale)) if name == "id"] == [
        f"{adas[0].id}.2",
        f"{grace.id}.1",
    ]


async def test_what_was_merged_and_split_can_be_merged_again(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    form = groups(await chooser.open("/contacts/duplicates"))[0].one("form")
    await chooser.press(form, "Merge contacts into Ada Lovelace")
    store.undo(3)

    stale = await chooser.press(form, "Merge contacts into Ada Lovelace")
    done = await chooser.press(merge_form(stale))

    assert stale.status == 409
    assert "What was changed has been changed back." in merge_form(stale).text
    assert done.via == "/contacts/duplicates?done=5"
    assert store.count() == 1


# ---- the form


async def test_the_form_offers_every_value_and_suggests_the_first(
    chooser: Chooser, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open(merge_url(*adas))

    form = merge_form(page)
    assert page.dom.one("title").text == "Merge 2 contacts"
    assert [legend.text for legend in form.all("legend")] == ["Name", "Email", "Phone", "Tags"]
    assert [box["value"] for box in form.all("input", name="email")] == [
        "ada@example.com",
        "king@example.org",
    ]
    assert form.one("input", name="company")["type"] == "hidden"  # only one of them has a company
    assert chosen(form) == {
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "phone": "+44 20 7946 0101",
        "company": "Looms",
        "tag": "Friends,VIP",
        "rest": "on",
        "notes": "Engines.",
    }


async def test_the_button_choose_fields_opens_the_form_of_the_group(
    chooser: Chooser, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open("/contacts/duplicates")

    form = merge_form(await chooser.press(groups(page)[0].one("form"), "Choose fields for Ada Lovelace"))

    assert chosen(form)["back"] == "/contacts/duplicates"
    assert [value for name, value in ticked(form) if name == "id"] == [f"{ada.id}.1" for ada in adas]


async def test_the_order_of_the_ids_decides_what_is_suggested_and_the_oldest_stays(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    ada, king = adas
    form = merge_form(await chooser.open(merge_url(king, ada)))

    done = await chooser.press(form)

    assert done.via == "/contacts?done=3"
    assert message(done) == "Merged 2 contacts into Ada King."
    assert done.names == ["Ada King"]
    assert store.get(ada.id).name == "Ada King"


async def test_the_contact_gets_what_was_chosen_and_the_rest_goes_to_the_notes(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    form = merge_form(await chooser.open(merge_url(*adas)))

    await chooser.press(form, name="Ada King", email="king@example.org", tag=["VIP"], notes="One.\r\nTwo.")

    assert ContactDraft.of(store.get(adas[0].id)) == ContactDraft(
        "Ada King",
        "king@example.org",
        "+44 20 7946 0101",
        "Looms",
        "One.\nTwo.\nName: Ada Lovelace\nEmail: ada@example.com\nPhone: 020 7946 0101",
        ("VIP",),
    )


async def test_what_is_not_chosen_goes_when_that_is_wanted(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    form = merge_form(await chooser.open(merge_url(*adas)))

    await chooser.press(form, rest=[], tag=[], notes="")

    assert ContactDraft.of(store.get(adas[0].id)) == ContactDraft(
        "Ada Lovelace", "ada@example.com", "+44 20 7946 0101", "Looms"
    )


async def test_the_form_leads_back_to_the_list_it_came_from(
    chooser: Chooser, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open(merge_url(*adas) + "&q=ada&sort=email")

    done = await chooser.press(merge_form(page))

    assert page.dom.link("Cancel")["href"] == "/contacts?q=ada&sort=email"
    assert done.via == "/contacts?q=ada&sort=email&done=3"


@pytest.mark.parametrize(
    "back",
    ["https://example.com/", "//example.com", "/contacts/duplicates@x", "/contacts/duplicates\n?page=2"],
)
async def test_nobody_is_led_elsewhere(chooser: Chooser, adas: tuple[Contact, Contact], back: str) -> None:
    page = await chooser.open(merge_url(*adas) + "&" + urlencode({"back": back}))

    done = await chooser.press(merge_form(page), back=back)

    assert page.dom.link("Cancel")["href"] == "/contacts"
    assert done.via == "/contacts?done=3"


async def test_names_of_every_script_and_markup_are_shown_as_they_are(
    chooser: Chooser, store: ContactStore
) -> None:
    one = add(store, "<b>عمر</b> 🎉", email="omar@example.com", company='"Q" & A')
    other = add(store, "<b>عمر</b> 🎉 الخيام", email="khayyam@example.com", company='"Q" & A')

    form = merge_form(await chooser.open(merge_url(one, other)))

    assert [box["value"] for box in form.all("input", name="name")] == [one.name, other.name]
    assert chosen(form)["company"] == '"Q" & A'


# ---- what cannot be merged


@pytest.mark.parametrize("query", ["", "id=1", "id=1&id=1", "id=1&id=x", "id=1&id=0"])
async def test_fewer_than_two_contacts_are_refused(
    chooser: Chooser, adas: tuple[Contact, Contact], query: str
) -> None:
    asked = await chooser.open(f"/contacts/merge?{query}")
    sent = await chooser._go("POST", "/contacts/merge", query.encode())

    assert asked.status == sent.status == 400
    assert asked.dom.one("h1").text == sent.dom.one("h1").text == "Choose at least two contacts to merge."


async def test_more_than_twenty_contacts_are_refused(chooser: Chooser) -> None:
    asked = await chooser.open("/contacts/merge?" + "&".join(f"id={number}" for number in range(1, 22)))

    assert asked.status == 400
    assert asked.dom.one("h1").text == "Choose at most 20 contacts to merge at once."


async def test_contacts_that_are_gone_cannot_be_merged(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    form = merge_form(await chooser.open(merge_url(*adas)))
    store.delete([adas[1].id])

    asked = await chooser.open(merge_url(*adas))
    sent = await chooser.press(form)

    assert asked.status == sent.status == 404
    assert sent.dom.one("h1").text == "Contact not found. It may have been deleted."
    assert store.get(adas[0].id) == adas[0]


async def test_too_many_tags_are_told_at_once_and_again(chooser: Chooser, store: ContactStore) -> None:
    many = ",".join(f"tag {number:02}" for number in range(15))
    one = add(store, "Ada Lovelace", email="ada@example.com", tags=many)
    other = add(store, "Ada Lovelace", email="king@example.com", tags=many.replace("tag", "label"))
    page = await chooser.open(merge_url(one, other))

    wrong = await chooser.press(merge_form(page), email="king@example.com")
    fewer = chosen(merge_form(wrong))["tag"].split(",")[:20]
    right = await chooser.press(merge_form(wrong), tag=fewer)

    assert page.status == 200
    assert wrong.status == 422
    for shown in (page, wrong):
        assert shown.dom.one("title").text.startswith("Error: ")
        assert shown.dom.id("merge-tags-error").text == "Use at most 20 tags; this has 30."
    assert chosen(merge_form(wrong))["email"] == "king@example.com"
    assert right.status == 200
    assert store.get(one.id).tags == tuple(sorted(fewer))


async def test_notes_that_are_too_long_come_back_to_be_shortened(
    chooser: Chooser, store: ContactStore
) -> None:
    one = add(store, "Ada Lovelace", email="ada@example.com", notes="a" * 3_000)
    other = add(store, "Ada Lovelace", email="king@example.com", notes="b" * 3_000)
    page = await chooser.open("/contacts/duplicates")

    wrong = await chooser.press(groups(page)[0].one("form"), "Merge contacts into Ada Lovelace")
    form = merge_form(wrong)
    right = await chooser.press(form, notes="short")

    assert wrong.status == 422
    assert form.id("merge-notes")["aria-invalid"] == "true"
    assert "Use at most 5,000 characters; this has 6,0" in form.id("merge-notes-error").text
    assert chosen(form)["notes"] == "a" * 3_000 + "\n" + "b" * 3_000
    assert right.via == "/contacts/duplicates?done=3"
    assert store.get(one.id).notes == "short\nEmail: king@example.com"
    assert store.count() == 1
    assert other.id not in store.ids(ListQuery())


# ---- when others change things meanwhile


async def test_a_change_meanwhile_is_told_and_choices_stay(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    ada, king = adas
    form = merge_form(await chooser.open(merge_url(*adas)))
    store.update(
        king.id, ContactDraft("Ada King", "king@example.org", "555-0109", "Looms", "Met.", ("New",)), 1
    )

    stale = await chooser.press(
        form, email="king@example.org", phone=king.phone, tag=["VIP"], notes="Engines, typed."
    )
    again = merge_form(stale)
    done = await chooser.press(again)

    assert stale.status == 409
    assert [line.text for line in merge_form(stale).one("ul").all("li")] == [
        "Ada King: phone is now “555-0109”",
        "Ada King: tags are now “New”",
        "Ada King: notes are now “Met.”",
    ]
    assert chosen(again) == {
        "name": "Ada Lovelace",
        "email": "king@example.org",
        "phone": ada.phone,  # what was chosen is gone
        "company": "Looms",
        "tag": "New,VIP",
        "rest": "on",
        "notes": "Engines, typed.\nMet.",
    }
    assert done.via == "/contacts?done=4"
    assert store.count() == 1


async def test_notes_that_changed_meanwhile_take_the_place_of_the_old_ones(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    grace = add(store, "Grace Hopper", email="grace@example.com", notes="One.\nTwo.")
    form = merge_form(await chooser.open(merge_url(adas[0], grace)))
    store.update(grace.id, ContactDraft("Grace Hopper", "grace@example.com", notes="Three."), 1)

    stale = await chooser.press(form, notes="Engines.\r\nOne.\r\nTwo.")  # as a browser sends line breaks

    assert chosen(merge_form(stale))["notes"] == "Engines.\nThree."


async def test_one_click_on_a_page_that_is_out_of_date_shows_the_form(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    page = await chooser.open("/contacts/duplicates")
    store.update(adas[0].id, ContactDraft("Ada Lovelace", "ada@example.com", notes="Engines. And looms."), 1)

    stale = await chooser.press(groups(page)[0].one("form"), "Merge contacts into Ada Lovelace")

    assert stale.status == 409
    assert "Ada Lovelace: phone is empty now" in merge_form(stale).text
    assert chosen(merge_form(stale))["notes"] == "Engines. And looms."
    assert store.count() == 2


async def test_of_three_the_two_that_are_left_can_still_be_merged(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    grace = add(store, "Grace Hopper")
    form = merge_form(await chooser.open(merge_url(*adas, grace)))
    store.delete([grace.id])

    stale = await chooser.press(form, name="Grace Hopper")
    done = await chooser.press(merge_form(stale))

    assert stale.status == 409
    assert stale.dom.one("h1").text == "Merge 2 contacts"
    assert "Grace Hopper was deleted and is left out." in merge_form(stale).text
    assert message(done) == "Merged 2 contacts into Ada Lovelace."


async def test_an_email_that_another_contact_has_by_now_is_told(
    chooser: Chooser, store: ContactStore, adas: tuple[Contact, Contact]
) -> None:
    add(store, "Grace Hopper", email="grace@example.com")
    form = merge_form(await chooser.open(merge_url(*adas)))

    wrong = await chooser.press(form, email="grace@example.com")

    assert wrong.status == 422
    assert "Grace Hopper has this email address already" in wrong.dom.id("merge-email-error").text
    assert store.count() == 3


async def test_nothing_is_lost_when_the_store_cannot_write(
    serve: Serve, sqlite: SQLiteStore, database: Path
) -> None:
    chooser = Chooser(await serve(sqlite))
    one, other = (add(sqlite, "Ada Lovelace", email=f"{n}@example.com") for n in range(2))
    form = merge_form(await chooser.open(merge_url(one, other)))

    with closing(connect(database, autocommit=True)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        failed = await chooser.press(form, email=other.email, notes="typed")
    done = await chooser.press(merge_form(failed))

    assert failed.status == 503
    assert "typed" in chosen(merge_form(failed))["notes"]
    assert done.status == 200
    assert sqlite.get(one.id).email == other.email
