"""A row is rendered once and kept; what is shown is always what it should say now."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.contacts.contact import Contact, now
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.web import view
from tests.making import ADA, add
from tests.web.browser import Browser, Htmx, Serve

pytestmark = pytest.mark.anyio


async def test_a_row_says_how_long_ago_its_contact_changed_as_time_goes_by(
    plain: Browser, store: ContactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = add(store, "Ada Lovelace", email=ADA.email)
    said = []

    for passed in (timedelta(), timedelta(minutes=5), timedelta(days=2)):
        monkeypatch.setattr(view, "now", lambda passed=passed: now() + passed)
        row = (await plain.open("/contacts")).dom.id(f"contact-{contact.id}")
        said.append(row.one("time").text)

    assert said == ["just now", "5 min ago", "2 days ago"]


async def test_a_row_follows_its_contact_and_its_undo(plain: Browser, store: ContactStore) -> None:
    contact = add(store, "Ada Lovelace", email=ADA.email)
    await plain.open("/contacts")

    changed, batch = store.update(contact.id, ADA, contact.version)
    after_change = await plain.open("/contacts")
    assert batch
    store.undo(batch.id)
    after_undo = await plain.open("/contacts")

    assert (after_change.names, after_undo.names) == ([changed.name], ["Ada Lovelace"])


async def test_another_database_with_the_same_ids_shows_its_own_contacts(
    serve: Serve, store: ContactStore
) -> None:
    """As after a backup was restored beneath the running server."""
    names = []

    for other, name in ((store, "Ada Lovelace"), (MemoryStore(), "Grace Hopper")):
        add(other, name, email=ADA.email)
        names += (await Browser(await serve(other)).open("/contacts")).names

    assert names == ["Ada Lovelace", "Grace Hopper"]


async def test_a_row_has_the_links_marks_and_focus_of_the_place_it_stands_in(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    contact = add(store, "Ada Lovelace", email=ADA.email)

    htmx.url = "/contacts?q=love"

    for _ in range(2):  # the second time from memory
        whole = (await plain.open("/contacts")).dom.id(f"contact-{contact.id}")
        found = (await plain.open("/contacts?q=love")).dom.id(f"contact-{contact.id}")
        other = (await plain.open("/contacts?q=ada")).dom.id(f"contact-{contact.id}")
        left = (await htmx.get(f"/contacts/{contact.id}")).dom.id(f"contact-{contact.id}")

        for row, behind in ((whole, ""), (found, "?q=love"), (other, "?q=ada"), (left, "?q=love")):
            links = [link["href"] for link in row.all("a")]
            assert links == [f"/contacts/{contact.id}{behind}", f"/contacts/{contact.id}/edit{behind}"]
        assert [mark.text for mark in found.all("mark")] == ["Love"]
        assert next(mark.text for mark in other.all("mark")) == "Ada"
        assert whole.all("mark") == left.all("mark") == []
        assert ["autofocus" in link for link in found.all("a")] == [False, False]
        assert ["autofocus" in link for link in left.all("a")] == [False, True], "the editor is left"


async def test_a_row_is_kept_apart_by_everything_that_it_shows() -> None:
    contact = Contact.create(1, ADA, now())
    later = replace(contact, updated_at=contact.updated_at + timedelta(milliseconds=1))
    place = view.row_place("?q=love", ("love",), False)

    keys = [
        view.row_key(contact, "just now", place),
        view.row_key(replace(contact, id=2), "just now", place),
        view.row_key(replace(contact, version=2), "just now", place),
        view.row_key(later, "just now", place),
        view.row_key(contact, "1 min ago", place),
        view.row_key(contact, "just now", view.row_place("?q=ada", ("love",), False)),
        view.row_key(contact, "just now", view.row_place("?q=love", (), False)),
        view.row_key(contact, "just now", view.row_place("?q=love", ("love",), True)),
        view.row_key(contact, "just now", view.row_place("?q=love", ("love",), False, "somebody")),
    ]

    assert len(set(keys)) == len(keys)
