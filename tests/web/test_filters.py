"""The list can be narrowed and ordered by links, and says what it is."""

from urllib.parse import urlencode

import pytest

import app.store.memory
import app.store.sqlite
from app.contacts.listing import Sort, write_place
from app.store import ContactStore
from app.web.view import CHIPS
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx
from tests.web.markup import Element
from tests.web.people import crowd

pytestmark = pytest.mark.anyio


@pytest.fixture
def three(store: ContactStore) -> None:
    """Three contacts with tags: VIP twice, London twice, Work once."""
    add(store, "Ada Lovelace", email="z@example.com", company="Beta", tags="VIP,London")
    add(store, "Grace Hopper", email="y@example.com", company="Alpha", tags="vip,Work")
    add(store, "Alan Turing", email="x@example.com", company="Gamma", tags="London")


# ---- the title


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("", "Contacts"),
        ("q=ada", "“ada” · Contacts"),
        ("tag=Work", "Work · Contacts"),
        ("tag=Work&tag=VIP", "Work, VIP · Contacts"),
        ("only=no-phone", "No phone number · Contacts"),
        ("only=no-email", "No email · Contacts"),
        ("only=nonsense", "Contacts"),
        ("q=ada&tag=Work&only=stale&dir=desc", "“ada”, Work, Not changed for a year, Z to A · Contacts"),
        ("q=ada&tag=Work&sort=company", "“ada”, Work, by company · Contacts"),
        ("sort=name", "Contacts"),
        ("dir=desc", "Z to A · Contacts"),
        ("sort=email", "by email · Contacts"),
        ("sort=email&dir=desc", "by email, backwards · Contacts"),
        ("sort=company", "by company · Contacts"),
        ("sort=company&dir=desc", "by company, backwards · Contacts"),
        ("sort=updated", "by newest change · Contacts"),
        ("sort=updated&dir=desc", "by newest change · Contacts"),
        ("sort=updated&dir=asc", "by oldest change · Contacts"),
        ("q=ada&dir=desc", "“ada”, Z to A · Contacts"),
    ],
)
async def test_the_title_says_which_list_it_is(plain: Browser, htmx: Htmx, state: str, title: str) -> None:
    page = await plain.open(f"/contacts?{state}")
    fragment = await htmx.get(f"/contacts?{state}")

    assert page.dom.one("title").text == title
    assert page.dom.id("contact-table")["data-title"] == fragment.swapped["data-title"] == title


async def test_a_list_with_a_wrong_form_says_so_first(plain: Browser) -> None:
    page = await plain.post("/contacts?q=ada", name="")

    assert page.dom.one("title").text == "Error: “ada” · Contacts"
    assert page.dom.id("contact-table")["data-title"] == "“ada” · Contacts"


# ---- order


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("label", "sort", "first", "second"),
    [
        ("Email", "email", "ascending", "descending"),
        ("Company", "company", "ascending", "descending"),
        ("Changed", "updated", "descending", "ascending"),
        ("Name", "name", "descending", "ascending"),  # which the list is ordered by to begin with
    ],
)
async def test_every_heading_orders_the_list_and_turns_it_round(
    plain: Browser, htmx: Htmx, label: str, sort: Sort, first: str, second: str
) -> None:
    page = await plain.open("/contacts?q=example")

    down = await plain.follow(page.dom.link(label))
    same = await htmx.send(page.dom.link(label))
    up = await plain.follow(down.dom.link(label))

    for answer, direction in ((down, first), (same, first), (up, second)):
        sorted_by = [column for column in answer.dom.all("th") if "aria-sort" in column]
        assert [(column.text, column["aria-sort"]) for column in sorted_by] == [(label, direction)]
    assert down.names == same.names == up.names[::-1]
    assert page.dom.link(label)["id"] == down.dom.link(label)["id"] == f"sort-{sort}"
    assert htmx.url == page.dom.link(label)["href"]


@pytest.mark.usefixtures("three")
async def test_headings_and_chips_keep_the_search_and_lead_to_the_first_page(plain: Browser) -> None:
    page = await plain.open("/contacts?q=example&tag=VIP&after=" + write_place("name", ("ada", 1)))

    assert page.dom.link("Email")["href"] == "/contacts?q=example&tag=VIP&sort=email"
    assert page.dom.link("London 2 contacts")["href"] == "/contacts?q=example&tag=VIP&tag=London"


@pytest.mark.parametrize(
    ("state", "hidden"),
    [
        ("", []),
        ("sort=name", []),
        ("q=ada", []),
        ("dir=desc", [("sort", "name"), ("dir", "desc")]),
        ("only=no-phone&tag=VIP", [("tag", "VIP"), ("only", "no-phone")]),
        ("only=nonsense", []),
        ("sort=updated", [("sort", "updated"), ("dir", "desc")]),
        ("sort=updated&dir=asc", [("sort", "updated"), ("dir", "asc")]),
        ("sort=email&tag=VIP&tag=Work", [("sort", "email"), ("dir", "asc"), ("tag", "VIP"), ("tag", "Work")]),
    ],
)
async def test_the_search_takes_order_and_tags_along(
    plain: Browser, htmx: Htmx, state: str, hidden: list[tuple[str, str]]
) -> None:
    page = await plain.open(f"/contacts?{state}")
    fragment = await htmx.get(f"/contacts?{state}")

    assert _hidden(page.dom.id("contact-table")) == _hidden(fragment.swapped) == hidden
    assert [(box["name"], box.value) for box in page.dom.id("search").controls if box.tag == "input"] == [
        ("q", page.dom.id("q").value),
        *hidden,
    ]


def _hidden(table: Element) -> list[tuple[str, str]]:
    return [
        (box["name"], box.value)
        for box in table.all("input", type="hidden")
        if box.attrs.get("form") == "search"
    ]


# ---- tags


def _chips(answer: Answer) -> list[str]:
    return [chip.text for chip in answer.dom.one("nav", aria_label="Filter by tag").all("a")]


@pytest.mark.usefixtures("three")
async def test_the_tags_in_use_are_offered_with_their_numbers(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts?q=nobody")
    fragment = await htmx.get("/contacts")

    assert _chips(page) == _chips(fragment) == ["London 2 contacts", "VIP 2 contacts", "Work 1 contact"]


async def test_without_tags_there_is_nothing_to_filter_by(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace")

    page = await plain.open("/contacts")

    assert page.dom.all("nav", aria_label="Filter by tag") == []


@pytest.mark.usefixtures("three")
async def test_a_tag_is_chosen_and_taken_off_by_its_chip(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts?q=example&sort=email")

    one = await plain.follow(page.dom.link("VIP 2 contacts"))
    at_one = plain.url
    two = await plain.follow(one.dom.link("London 2 contacts"))
    at_two = plain.url
    other = await plain.follow(two.dom.link("VIP 2 contacts, chosen"))
    same = await htmx.send(page.dom.link("VIP 2 contacts"))

    assert at_one == htmx.url == "/contacts?q=example&tag=VIP&sort=email"
    assert one.names == same.names == ["Grace Hopper", "Ada Lovelace"]
    assert at_two == "/contacts?q=example&tag=VIP&tag=London&sort=email"
    assert two.names == ["Ada Lovelace"]
    assert plain.url == "/contacts?q=example&tag=London&sort=email"
    assert other.names == ["Alan Turing", "Ada Lovelace"]
    assert [chip.text for chip in two.dom.all("a", aria_current="true")] == [
        "London 2 contacts, chosen",
        "VIP 2 contacts, chosen",
    ]


@pytest.mark.usefixtures("three")
async def test_a_chip_keeps_its_id_whatever_is_chosen(plain: Browser) -> None:
    page = await plain.open("/contacts")
    chosen = await plain.open("/contacts?tag=vip&q=ada")

    ids = [chip["id"] for chip in page.dom.one("nav", aria_label="Filter by tag").all("a")]
    assert ids == [chip["id"] for chip in chosen.dom.one("nav", aria_label="Filter by tag").all("a")]
    assert len(set(ids)) == 3


@pytest.mark.usefixtures("three")
async def test_a_chosen_tag_that_nobody_has_can_be_taken_off(plain: Browser) -> None:
    page = await plain.open("/contacts?tag=Nobody&tag=VIP")

    all_of_vip = await plain.follow(page.dom.link("Nobody 0 contacts, chosen"))

    assert page.names == []
    assert plain.url == "/contacts?tag=VIP"
    assert all_of_vip.names == ["Ada Lovelace", "Grace Hopper"]


async def test_more_tags_than_a_person_reads_unfold(plain: Browser, store: ContactStore) -> None:
    for number in range(CHIPS + 3):
        add(store, f"Person {number:02}", tags=f"Tag {number:02}")

    page = await plain.open("/contacts?tag=Tag+14")

    nav = page.dom.one("nav", aria_label="Filter by tag")
    folded = nav.one("details")
    assert folded.one("summary").text == "2 more tags"
    assert [chip.text for chip in folded.all("a")] == ["Tag 12 1 contact", "Tag 13 1 contact"]
    assert [chip.text for chip in nav.all("a")][:CHIPS] == [
        f"Tag {number:02} 1 contact" for number in range(CHIPS)
    ]
    assert nav.all("a")[CHIPS].text == "Tag 14 1 contact, chosen"


async def test_as_many_tags_as_fit_do_not_unfold(plain: Browser, store: ContactStore) -> None:
    add(store, "Ada Lovelace", tags=",".join(f"t{number:02}" for number in range(CHIPS)))

    page = await plain.open("/contacts")

    assert len(_chips(page)) == CHIPS
    assert page.dom.one("nav", aria_label="Filter by tag").all("details") == []


# ---- what is missing


@pytest.mark.usefixtures("three")
async def test_those_without_a_phone_are_listed_until_the_chip_is_taken_off(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    add(store, "Katherine Johnson", email="k@example.com", phone="555-0101", tags="VIP")
    page = await plain.open("/contacts?q=example&tag=VIP&only=no-phone&sort=email")
    chip = page.dom.link("Remove the filter: No phone number")

    all_of_them = await plain.follow(chip)
    same = await htmx.send(chip)

    assert page.names == ["Grace Hopper", "Ada Lovelace"]
    assert page.dom.link("London 2 contacts")["href"].endswith("tag=London&only=no-phone&sort=email")
    assert all_of_them.names == same.names == ["Katherine Johnson", "Grace Hopper", "Ada Lovelace"]
    assert plain.url == htmx.url == "/contacts?q=example&tag=VIP&sort=email"
    assert not all_of_them.dom.has("only")


@pytest.mark.usefixtures("three")
async def test_a_list_in_which_nothing_is_missing_says_so_and_leads_to_all(plain: Browser) -> None:
    page = await plain.open("/contacts?only=no-email&sort=email")

    everybody = await plain.follow(page.dom.link("Show all contacts"))

    assert page.names == []
    assert "Nothing matches No email." in page.dom.id("contact-table").text
    assert plain.url == "/contacts?sort=email"
    assert len(everybody.names) == 3


@pytest.mark.usefixtures("three")
async def test_only_those_who_lack_something_are_exported(plain: Browser, store: ContactStore) -> None:
    add(store, "Katherine Johnson", phone="555-0101")
    page = await plain.open("/contacts?only=no-email")

    file = await plain.follow(page.dom.link("CSV"))
    everybody = await plain.follow(page.dom.link("Show all"))

    assert b"Katherine" in file.body
    assert b"Lovelace" not in file.body
    assert len(everybody.names) == 4


# ---- more rows


async def test_more_rows_come_by_themselves_and_by_a_link(plain: Browser, store: ContactStore) -> None:
    crowd(store, 51)

    page = await plain.open("/contacts?q=person")

    row = page.dom.id("more")
    [link] = row.all("a")
    assert row.tag == "tr"
    assert row.parent == page.dom.id("contact-rows")
    assert row.one("td")["colspan"] == str(len(page.dom.one("thead").all("th")))
    assert link["href"] == link["hx-get"]
    assert link["href"].startswith("/contacts?q=person&after=")
    assert (link["hx-target"], link["hx-swap"]) == ("#more", "outerHTML")
    assert link["hx-trigger"] == "intersect once, click"


async def test_a_list_of_one_page_has_no_more_rows(plain: Browser, store: ContactStore) -> None:
    crowd(store, 50)

    assert not (await plain.open("/contacts")).dom.has("more")


# ---- below the list


@pytest.fixture
def limit_of_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matches are counted up to twenty instead of a thousand."""
    for module in (app.store.memory, app.store.sqlite):
        monkeypatch.setattr(module, "COUNT_LIMIT", 20)


@pytest.mark.usefixtures("limit_of_twenty")
@pytest.mark.parametrize(
    ("count", "said", "total"),
    [(20, "20 of 1,020 contacts match.", "20"), (21, "More than 20 of 1,021 contacts match.", "20+")],
)
async def test_very_many_matches_are_not_counted_to_the_end(
    plain: Browser, htmx: Htmx, store: ContactStore, count: int, said: str, total: str
) -> None:
    crowd(store, 1_000)
    for number in range(count):
        add(store, f"Somebody {number:02}")

    page = await plain.open("/contacts?q=somebody")
    fragment = await htmx.get("/contacts?q=somebody")

    for table in (page.dom.id("contact-table"), fragment.swapped):
        assert table["data-total"] == total
        assert table.one("p", **{"class": "foot__matches"}).text == f"{said} Show all"
    assert page.dom.one("label", **{"class": "bulk__all"}).text == f"All {total} that match"


@pytest.mark.usefixtures("limit_of_twenty")
async def test_a_list_without_a_search_is_counted_to_the_end(plain: Browser, store: ContactStore) -> None:
    crowd(store, 21)

    page = await plain.open("/contacts")

    assert page.dom.id("contact-table")["data-total"] == "21"
    assert "match" not in page.dom.one("div", **{"class": "foot"}).text


@pytest.mark.usefixtures("three")
async def test_show_all_forgets_search_and_tags_but_not_the_order(plain: Browser) -> None:
    page = await plain.open("/contacts?q=example&tag=VIP&sort=email&dir=desc")

    everybody = await plain.follow(page.dom.link("Show all"))

    assert plain.url == "/contacts?sort=email&dir=desc"
    assert everybody.names == ["Ada Lovelace", "Grace Hopper", "Alan Turing"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("state", "said"), [("", "all"), ("sort=email", "all"), ("q=ada", "these"), ("tag=VIP&dir=desc", "these")]
)
async def test_the_list_that_is_shown_can_be_exported(plain: Browser, state: str, said: str) -> None:
    page = await plain.open(f"/contacts?{state}")

    foot = page.dom.one("p", **{"class": "foot__export"})
    query = f"?{state}" if state else ""
    assert foot.text == f"Export {said} as CSV, vCard or JSON"
    assert [link["href"] for link in foot.all("a")] == [
        f"/contacts.{kind}{query}" for kind in ("csv", "vcf", "json")
    ]
    assert all("download" in link for link in foot.all("a"))


async def test_an_export_is_of_every_page(plain: Browser, store: ContactStore) -> None:
    crowd(store, 51)
    first = await plain.open("/contacts?q=person")
    later = await plain.follow(first.dom.link("Load more"))

    foot = later.dom.one("p", **{"class": "foot__export"})
    assert [link["href"] for link in foot.all("a")] == [
        "/contacts.csv?q=person",
        "/contacts.vcf?q=person",
        "/contacts.json?q=person",
    ]
    assert later.dom.link("Show all")["href"] == "/contacts"


async def test_an_empty_list_has_nothing_to_export(plain: Browser) -> None:
    page = await plain.open("/contacts?" + urlencode({"q": "nobody"}))

    assert page.dom.all("a", download="") == []


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("state", ["", "q=example&tag=VIP&sort=email"])
async def test_the_form_for_many_belongs_to_the_list(plain: Browser, state: str) -> None:
    page = await plain.open(f"/contacts?{state}")

    form = page.dom.id("bulk")
    query = f"?{state}" if state else ""
    assert form["action"] == f"/contacts/bulk{query}"
    assert {
        button["formaction"] for button in form.all("button") if button.attrs.get("name") == "format"
    } == {f"/contacts/export{query}"}
    assert [option["value"] for option in form.one("datalist").all("option")] == ["London", "VIP", "Work"]
