"""PUT /contacts/{id} when someone else saved the contact meanwhile: both edits are joined in one form."""

import pytest

from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx, Typed
from tests.web.markup import Element

pytestmark = pytest.mark.anyio

Saved = dict[str, str]


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The contact that two people edit."""
    return add(
        store,
        "Ada Lovelace",
        email="ada@example.com",
        phone="555-0100",
        company="Engines",
        notes="first\nsecond",
        tags="London,VIP",
    )


def _they_save(store: ContactStore, ada: Contact, **fields: str) -> None:
    now = store.get(ada.id)
    texts = {name: getattr(now, name) for name in ("name", "email", "phone", "company", "notes")}
    texts |= {"tags": ",".join(now.tags)} | fields
    store.update(ada.id, ContactDraft.from_form(texts), now.version)


def _choices(form: Element) -> dict[str, dict[str, str]]:
    """By legend, what a clashing field may become: value by who has it."""
    return {
        fieldset.one("legend").own_text.strip(): {
            label.roots[1].text: label.one("input").value for label in fieldset.all("label")
        }
        for fieldset in form.all("fieldset")
    }


def _sides(form: Element) -> dict[str, dict[str, str]]:
    """By the name of the field, who has what in it."""
    sides = {}
    for pairs in form.all("dl"):
        assert pairs.parent
        [name] = {box["name"] for box in pairs.parent.walk() if "name" in box}
        sides[name] = {pair.one("dt").text: pair.one("dd").raw_text for pair in pairs.roots}
    return sides


def _saved(store: ContactStore, contact: Contact) -> ContactDraft:
    return ContactDraft.of(store.get(contact.id))


# ---- what only one side changed


async def test_what_only_one_side_changed_is_joined(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, company="Analytical", notes="")
    mine: dict[str, Typed] = {"name": "Ada King", "phone": ""}

    whole = await plain.submit(form, **mine)
    alone = await htmx.send(form, **mine)

    for back in (whole, alone):
        joined = back.dom.id(f"edit-{ada.id}")
        assert back.status == 409
        assert joined.one(role="alert").text == (
            "Someone else changed this contact while you were editing. Nothing is lost: "
            "both changes are joined below."
        )
        assert joined.fields == form.fields | mine | {"company": "Analytical", "notes": "", "version": "2"}
        assert joined.all("fieldset") == []
        assert _sides(joined) == {
            "name": {"Original": "Ada Lovelace", "Theirs": "Ada Lovelace", "Yours": "Ada King"},
            "phone": {"Original": "555-0100", "Theirs": "555-0100", "Yours": "nothing"},
            "company": {"Original": "Engines", "Theirs": "Analytical", "Yours": "Engines"},
            "notes": {"Original": "first\nsecond", "Theirs": "nothing", "Yours": "first\nsecond"},
        }
    assert whole.is_page
    assert alone.swapped["id"] == f"contact-{ada.id}"
    assert (alone.header("HX-Retarget"), alone.header("HX-Reswap")) == (f"#contact-{ada.id}", "outerHTML")
    assert store.get(ada.id).version == 2


async def test_both_changes_are_saved_together(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, company="Analytical")

    alone = await htmx.send(form, name="Ada King")
    row = await htmx.send(alone.dom.form("Save both changes"))

    assert row.names == ["Ada King"]
    assert _saved(store, ada) == ContactDraft(
        "Ada King", "ada@example.com", "555-0100", "Analytical", "first\nsecond", ("London", "VIP")
    )


async def test_tags_are_joined_one_by_one(plain: Browser, store: ContactStore, ada: Contact) -> None:
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, tags="London, Poet")  # VIP off, Poet on

    back = await plain.submit(form, tags="VIP, Work, london")  # Work on

    joined = back.dom.id(f"edit-{ada.id}")
    assert joined.box("Tags").value == "london, Poet, Work"
    assert joined.all("fieldset") == []
    assert _sides(joined)["tags"]["Theirs"] == "London, Poet"


async def test_the_same_change_on_both_sides_is_no_clash(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, name="Ada King")

    back = await plain.submit(form, name="Ada King")

    assert back.status == 409
    assert "both changes are joined" in back.dom.one(role="alert", **{"class": "problem"}).text
    assert back.dom.box("Name").value == "Ada King"


# ---- what both sides changed


async def _clash(plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact) -> tuple[Answer, Answer]:
    """Both sides change name, phone and notes; they alone change the company, I alone the tags."""
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, name="Ada Theirs", phone="", notes="their\nnotes", company="Analytical")
    mine: dict[str, Typed] = {"name": "Ada Mine", "phone": "555-0199", "notes": "my\nnotes", "tags": "VIP"}
    return await plain.submit(form, **mine), await htmx.send(form, **mine)


async def test_what_both_changed_is_a_choice(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    for back in await _clash(plain, htmx, store, ada):
        form = back.dom.id(f"edit-{ada.id}")
        assert back.status == 409
        assert "choose where both of you did" in form.one(role="alert").text
        assert _choices(form) == {
            "Name": {"Yours": "Ada Mine", "Theirs": "Ada Theirs", "Original": "Ada Lovelace"},
            "Phone": {"Yours": "555-0199", "Theirs": "", "Original": "555-0100"},
            "Notes": {
                "Yours": "my\nnotes",
                "Theirs": "their\nnotes",
                "Both": "my\nnotes\ntheir\nnotes",
                "Original": "first\nsecond",
            },
        }
        assert form.fields == {
            "_method": "PUT",
            "version": "2",
            "contact": str(ada.id),
            "name": "Ada Mine",
            "email": "ada@example.com",
            "phone": "555-0199",
            "company": "Analytical",
            "tags": "VIP",
            "notes": "my\nnotes",
        }
        assert [box["name"] for box in form.walk() if "autofocus" in box] == ["name"]


async def test_the_first_choice_has_the_focus(plain: Browser, store: ContactStore, ada: Contact) -> None:
    form = (await plain.open(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, company="Theirs", notes="theirs")

    back = await plain.submit(form, company="Mine", notes="mine")

    focused = [box for box in back.dom.id(f"edit-{ada.id}").walk() if "autofocus" in box]
    assert [(box["name"], box.value) for box in focused] == [("company", "Mine")]


@pytest.mark.parametrize(
    ("chosen", "name", "phone", "notes"),
    [
        ({}, "Ada Mine", "555-0199", "my\nnotes"),
        ({"Name": "Theirs", "Phone": "Theirs", "Notes": "Theirs"}, "Ada Theirs", "", "their\nnotes"),
        (
            {"Name": "Original", "Phone": "Original", "Notes": "Original"},
            "Ada Lovelace",
            "555-0100",
            "first\nsecond",
        ),
        ({"Name": "Theirs", "Notes": "Both"}, "Ada Theirs", "555-0199", "my\nnotes\ntheir\nnotes"),
    ],
    ids=["mine", "theirs", "original", "both"],
)
@pytest.mark.parametrize("with_htmx", [True, False], ids=["htmx", "plain"])
async def test_what_was_chosen_is_saved_exactly(
    plain: Browser,
    htmx: Htmx,
    store: ContactStore,
    ada: Contact,
    with_htmx: bool,
    chosen: Saved,
    name: str,
    phone: str,
    notes: str,
) -> None:
    whole, alone = await _clash(plain, htmx, store, ada)
    form = (alone if with_htmx else whole).dom.form("Save both changes")
    typed: dict[str, Typed] = {legend.lower(): _choices(form)[legend][who] for legend, who in chosen.items()}

    after = await (htmx.send(form, **typed) if with_htmx else plain.submit(form, **typed))

    assert after.names == [name]
    assert _saved(store, ada) == ContactDraft(name, "ada@example.com", phone, "Analytical", notes, ("VIP",))


async def test_theirs_can_be_kept(plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact) -> None:
    whole, alone = await _clash(plain, htmx, store, ada)

    row = await htmx.send(alone.dom.link("Keep theirs"))
    page = await plain.follow(whole.dom.link("Keep theirs"))

    assert row.names == page.names == ["Ada Theirs"]
    assert store.get(ada.id).version == 2


async def test_what_was_chosen_stays_when_something_else_is_wrong(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    whole, alone = await _clash(plain, htmx, store, ada)
    chosen: dict[str, Typed] = {"name": "Ada Theirs", "notes": "their\nnotes", "email": "wrong"}

    back = await plain.submit(whole.dom.form("Save both changes"), **chosen)
    fragment = await htmx.send(alone.dom.form("Save both changes"), **chosen)

    for wrong in (back, fragment):
        form = wrong.dom.id(f"edit-{ada.id}")
        assert wrong.status == 422
        assert form.fields == whole.dom.id(f"edit-{ada.id}").fields | chosen
        assert form.complaint("Email") == "Enter a valid email address, such as ada@example.com."
    saved = await htmx.send(fragment.dom.id(f"edit-{ada.id}"), email="ada@example.com")
    assert saved.names == ["Ada Theirs"]


async def test_a_second_conflict_is_joined_with_what_was_chosen_in_the_first(
    plain: Browser, htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    _, first = await _clash(plain, htmx, store, ada)
    _they_save(store, ada, name="Ada Again", phone="555-0111")

    second = await htmx.send(first.dom.form("Save both changes"), phone="", name="Ada Mine")
    form = second.dom.id(f"edit-{ada.id}")
    saved = await htmx.send(form, name="Ada Again")

    assert second.status == 409
    assert _choices(form) == {
        "Name": {"Yours": "Ada Mine", "Theirs": "Ada Again", "Original": "Ada Theirs"},
    }
    assert form.fields["phone"] == "555-0111"
    assert form.fields["version"] == "3"
    assert saved.names == ["Ada Again"]
    assert store.get(ada.id).version == 4
    assert store.get(ada.id).notes == "my\nnotes"


# ---- what the log does not tell


@pytest.mark.parametrize("version", ["", "0", "-1", "1.0", "one", "9" * 30, "²", "1 OR 1=1", "7"])
async def test_without_the_version_that_was_read_every_difference_clashes(
    htmx: Htmx, store: ContactStore, ada: Contact, version: str
) -> None:
    editor = (await htmx.get(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")

    back = await htmx.send(editor, version=version, name="Ada Mine", tags="Poet", notes="")

    form = back.dom.id(f"edit-{ada.id}")
    assert back.status == 409
    assert _choices(form) == {
        "Name": {"Yours": "Ada Mine", "Theirs": "Ada Lovelace"},
        "Tags": {"Yours": "Poet", "Theirs": "London, VIP"},
        "Notes": {"Yours": "", "Theirs": "first\nsecond"},
    }
    assert form.fields["company"] == "Engines"
    assert store.get(ada.id) == ada


async def test_tags_that_clash_are_chosen_as_they_are(htmx: Htmx, store: ContactStore, ada: Contact) -> None:
    editor = (await htmx.get(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    back = await htmx.send(editor, version="0", name="Ada Mine", tags="Poet")

    await htmx.send(back.dom.form("Save both changes"), tags="London, VIP")

    assert store.get(ada.id).tags == ("London", "VIP")
    assert store.get(ada.id).name == "Ada Mine"


async def test_an_undone_change_counts_as_a_change(plain: Browser, store: ContactStore, ada: Contact) -> None:
    _, batch = store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)
    assert batch
    page = await plain.open(f"/contacts/{ada.id}/edit")
    store.undo(batch.id)

    back = await plain.submit(page.dom.id(f"edit-{ada.id}"), name="Ada Mine")

    assert back.status == 409
    assert _choices(back.dom.id(f"edit-{ada.id}"))["Name"] == {
        "Yours": "Ada Mine",
        "Theirs": "Ada Lovelace",
        "Original": "Ada King",
    }


async def test_what_is_wrong_only_once_both_are_joined_is_said_when_it_is_saved(
    htmx: Htmx, store: ContactStore, ada: Contact
) -> None:
    editor = (await htmx.get(f"/contacts/{ada.id}/edit")).dom.id(f"edit-{ada.id}")
    _they_save(store, ada, phone="")

    joined = await htmx.send(editor, email="")
    wrong = await htmx.send(joined.dom.form("Save both changes"))
    saved = await htmx.send(wrong.dom.id(f"edit-{ada.id}"), phone="555-0123")

    assert (joined.status, wrong.status) == (409, 422)
    assert wrong.dom.complaint("Email") == "Enter an email address or a phone number."
    assert saved.names == ["Ada Lovelace"]
    assert store.get(ada.id).phone == "555-0123"
