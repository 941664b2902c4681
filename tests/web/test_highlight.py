"""What a search matched is marked in the rows, and the notes show where."""

from urllib.parse import urlencode

import pytest

from app.contacts.listing import terms
from app.store import ContactStore
from app.web.view import SNIPPET, mark, snippet
from tests.making import add
from tests.web.browser import Browser, Htmx
from tests.web.markup import Element, parse
from tests.web.people import crowd

pytestmark = pytest.mark.anyio


def _marked(dom: Element) -> list[str]:
    return [element.raw_text for element in dom.all("mark")]


@pytest.mark.parametrize(
    ("q", "marked"),
    [
        ("love", ["Love"]),
        ("ZOE", ["Zoë", "zoe"]),
        ("groß", ["Groß"]),
        ("gross", ["Groß"]),
        ("754292", ["754-292"]),
        ("vip", ["VIP"]),
        ("engines", ["Engines"]),
        ("example.com love", ["Love", "example.com"]),
        ("poet", ["poet"]),
    ],
)
async def test_what_was_found_is_marked_in_its_row(
    plain: Browser, htmx: Htmx, store: ContactStore, q: str, marked: list[str]
) -> None:
    contact = add(
        store,
        "Zoë Lovelace-Groß",
        email="zoe@example.com",
        phone="+48 754-292",
        company="Engines",
        tags="VIP",
        notes="A poet and more.",
    )
    url = f"/contacts?{urlencode({'q': q})}"

    page = await plain.open(url)
    fragment = await htmx.get(url)

    for answer in (page, fragment):
        row = answer.dom.id(f"contact-{contact.id}")
        assert _marked(row) == marked
        assert answer.names == ["Zoë Lovelace-Groß"]


async def test_the_notes_are_shown_only_where_they_were_found(plain: Browser, store: ContactStore) -> None:
    notes = f"{'before ' * 30}the analytical engine{' after' * 30}"
    add(store, "Ada Lovelace", notes=notes)

    found = await plain.open("/contacts?q=analytical")
    other = await plain.open("/contacts?q=ada")
    whole = await plain.open("/contacts")

    row = found.dom.one("th", scope="row")
    text = row.one("span", **{"class": "person__notes"}).raw_text
    assert text.startswith("…")
    assert text.endswith("…")
    assert text.strip("…") in notes
    assert len(text.strip("…")) == SNIPPET
    assert _marked(row) == ["analytical"]
    for page in (other, whole):
        assert page.dom.one("th", scope="row").text == "Ada Lovelace"


async def test_short_notes_are_shown_whole(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", notes="Daughter of a mathematician and a poet\nand more")

    page = await plain.open("/contacts?q=poet")

    assert page.dom.one("span", **{"class": "person__notes"}).raw_text == (
        "Daughter of a mathematician and a poet\nand more"
    )


async def test_rows_that_are_loaded_later_are_marked_too(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    crowd(store, 60)
    page = await plain.open("/contacts?q=person")

    rows = await htmx.send(page.dom.link("Load more"))

    assert len(rows.names) == 10
    assert _marked(rows.dom) == ["Person"] * 10


async def test_nothing_is_marked_in_a_list_without_a_search(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", tags="VIP")

    page = await plain.open("/contacts?tag=vip")

    assert _marked(page.dom) == []


async def test_markup_in_what_was_found_stays_text(plain: Browser, store: ContactStore) -> None:
    add(
        store,
        '<b>Ada</b> & "Co"',
        email="ada@example.com",
        company="<mark>Ada</mark>",
        notes="x <img src=x onerror=ada> y",
        tags="<i>ada",
    )

    page = await plain.open("/contacts?q=ada")

    row = page.dom.one("tbody").roots[0]
    assert row.one("th").one("a").raw_text == '<b>Ada</b> & "Co"'
    assert row.one("td", data_label="Company").raw_text == "<mark>Ada</mark>"
    assert row.one("td", data_label="Tags").raw_text == "<i>ada"
    assert row.one("span", **{"class": "person__notes"}).raw_text == "x <img src=x onerror=ada> y"
    assert _marked(row) == ["Ada", "ada", "ada", "Ada", "ada"]
    assert row.all("img") == row.all("b") == row.all("i") == []


@pytest.mark.parametrize("q", ["<b>", "&lt;", "amp", '"', "lt gt", "</mark>"])
async def test_a_search_for_markup_finds_text(plain: Browser, store: ContactStore, q: str) -> None:
    add(store, 'A <b>&lt; amp lt gt </mark> "q"', phone="555-0100")

    page = await plain.open(f"/contacts?{urlencode({'q': q})}")

    assert page.names == ['A <b>&lt; amp lt gt </mark> "q"']
    assert all(q.strip('"') in text or text in q for text in _marked(page.dom))
    assert page.dom.id("q").value == q


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_a_piece_of_the_notes_holds_the_match_wherever_it_stands(place: int) -> None:
    notes = "é" * place + " needle " + "<" * 100

    piece = parse(str(snippet(notes, terms("needle"))))

    assert _marked(piece) == ["needle"]
    assert piece.raw_text.strip("…") in notes
    assert piece.raw_text.startswith("…") == (place >= SNIPPET // 3)


def test_without_a_search_a_text_is_left_to_the_template_to_escape() -> None:
    assert mark("<b>", ()) == "<b>"
    assert not hasattr(mark("<b>", ()), "__html__")
    assert snippet("notes", ()) == snippet("", ("x",)) == snippet("notes", ("missing",)) == ""
