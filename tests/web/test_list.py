"""GET /contacts: the list, its search, tags, order and pages."""

from urllib.parse import urlencode

import pytest
from chirp.testing import TestClient

from app.contacts.contact import ContactDraft
from app.contacts.listing import ListQuery, milliseconds
from app.store import ContactStore
from app.web.transport import scheme
from tests.making import add
from tests.web.browser import Answer, Browser, Htmx
from tests.web.people import crowd

pytestmark = pytest.mark.anyio


@pytest.fixture
def three(store: ContactStore) -> None:
    """Three contacts whose names, emails and companies are in three different orders."""
    add(store, "Ada Lovelace", email="z@example.com", company="Beta", tags="VIP,London")
    add(store, "Grace Hopper", email="y@example.com", company="Alpha", tags="VIP")
    add(store, "Alan Turing", email="x@example.com", company="Gamma", tags="London")


# ---- the whole page


async def test_the_home_page_is_the_list(plain: Browser) -> None:
    page = await plain.open("/")

    assert page.via == "/contacts"
    assert page.is_page
    assert page.dom.one("title").text == "Contacts"


@pytest.mark.usefixtures("three")
async def test_the_list_is_in_the_order_of_names(plain: Browser) -> None:
    page = await plain.open("/contacts")

    assert page.names == ["Ada Lovelace", "Alan Turing", "Grace Hopper"]
    assert page.dom.id("contact-count").text == "3"


async def test_a_row_shows_what_a_contact_holds(plain: Browser, store: ContactStore) -> None:
    contact = add(
        store,
        "Ada Lovelace",
        email="ada@example.com",
        phone="+44 20 7946",
        company="Engines",
        tags="VIP,Work",
    )

    page = await plain.open("/contacts")

    row = page.dom.id(f"contact-{contact.id}")
    assert row.one("th").text == "Ada Lovelace"
    cells = {cell["data-label"]: cell.text for cell in row.all("td") if "data-label" in cell}
    assert cells.pop("Tags") == "VIPWork"
    assert cells == {"Email": "ada@example.com", "Phone": "+44 20 7946", "Company": "Engines"}
    assert [tag.text for tag in row.one("td", data_label="Tags").roots] == ["VIP", "Work"]
    assert row.one("time")["datetime"] == contact.updated_at.isoformat()
    assert row.one("td", **{"class": "changed"}).text == "just now"
    assert row.link("Ada Lovelace")["href"] == f"/contacts/{contact.id}"
    assert row.link("Edit Ada Lovelace")["href"] == f"/contacts/{contact.id}/edit"


async def test_an_empty_address_book_invites_to_add_somebody(plain: Browser) -> None:
    page = await plain.open("/contacts")

    table = page.dom.id("contact-table")
    assert table.one("h2").text == "No contacts found"
    assert (await plain.follow(table.link("New contact"))).dom.has("contact-form")
    assert page.dom.id("contact-count").text == "0"


async def test_the_add_form_is_closed_on_the_list(plain: Browser) -> None:
    page = await plain.open("/contacts")

    assert page.dom.id("form-section").roots == []


async def test_the_count_marks_its_thousands(plain: Browser, store: ContactStore) -> None:
    crowd(store, 1_001)

    page = await plain.open("/contacts")

    assert page.dom.id("contact-count").text == "1,001"


# ---- search


@pytest.mark.usefixtures("three")
async def test_search_finds_words_in_any_case(plain: Browser) -> None:
    page = await plain.open("/contacts")

    found = await plain.submit(page.dom.id("search"), q="LOVE")

    assert plain.url == "/contacts?q=LOVE"
    assert found.names == ["Ada Lovelace"]


@pytest.mark.usefixtures("three")
async def test_search_with_htmx_gets_the_table_alone_and_its_address(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts")

    found = await htmx.send(page.dom.id("search"), q="love")

    assert found.swapped["id"] == "contact-table"
    assert found.names == ["Ada Lovelace"]
    assert found.swapped["data-total"] == "1"
    assert found.out_of_band == {}
    assert found.header("HX-Push-Url") == "/contacts?q=love"


@pytest.mark.usefixtures("three")
async def test_emptying_the_search_leads_back_to_the_plain_address(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts?q=love")
    htmx.url = "/contacts?q=love"

    found = await htmx.send(page.dom.id("search"), q="")

    assert found.header("HX-Push-Url") == "/contacts"
    assert len(found.names) == 3


async def test_an_address_that_stands_there_already_is_not_pushed_again(htmx: Htmx) -> None:
    htmx.url = "/contacts?q=love"

    found = await htmx.get("/contacts?q=love")

    assert found.header("HX-Push-Url") == ""


@pytest.mark.usefixtures("three")
async def test_the_search_address_answers_like_the_list(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts/search?q=love")
    fragment = await htmx.get("/contacts/search?q=love")

    assert page.is_page
    assert page.names == ["Ada Lovelace"]
    assert fragment.swapped["id"] == "contact-table"
    assert fragment.header("HX-Push-Url") == "/contacts?q=love"


@pytest.mark.usefixtures("three")
async def test_the_search_stands_in_its_box_and_says_how_many_match(plain: Browser) -> None:
    page = await plain.open("/contacts?q=vip+l&sort=email")

    assert page.dom.id("q").value == "vip l"
    assert page.dom.id("contact-count").text == "3"
    assert "1 of 3 contacts match." in page.dom.id("contact-table").text


@pytest.mark.usefixtures("three")
async def test_a_search_without_matches_says_so_and_leads_back(plain: Browser, htmx: Htmx) -> None:
    page = await plain.open("/contacts?q=nobody&tag=VIP")
    fragment = await htmx.get("/contacts?q=nobody&tag=VIP")

    for table in (page.dom.id("contact-table"), fragment.swapped):
        assert table.one("h2").text == "No contacts found"
        assert "Nothing matches “nobody” VIP." in table.text
        assert table.link("Show all contacts")["href"] == "/contacts"


async def test_a_search_text_is_cut_where_no_name_is_that_long(plain: Browser) -> None:
    page = await plain.open(f"/contacts?q={'x' * 1_000}")

    assert page.dom.id("q").value == "x" * 200


# ---- tags and order


@pytest.mark.usefixtures("three")
async def test_a_tag_narrows_the_list_and_two_narrow_it_further(plain: Browser) -> None:
    one = await plain.open("/contacts?tag=vip")
    both = await plain.open("/contacts?tag=vip&tag=London")

    assert one.names == ["Ada Lovelace", "Grace Hopper"]
    assert both.names == ["Ada Lovelace"]


async def test_more_tags_than_a_contact_can_have_are_cut(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    tags = [f"t{number}" for number in range(1_200)]
    add(store, "Ada Lovelace", tags=",".join(tags[:20]))
    address = "/contacts?" + urlencode({"tag": tags}, doseq=True)
    htmx.url = address

    page = await plain.open(address)
    answer = await htmx.ask("POST", "/contacts", name="Grace Hopper", phone="1")

    assert page.names == answer.names == ["Ada Lovelace"]
    assert page.dom.link("Company")["href"].count("tag=") == 20


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("sort=name", ["Ada Lovelace", "Alan Turing", "Grace Hopper"]),
        ("sort=name&dir=desc", ["Grace Hopper", "Alan Turing", "Ada Lovelace"]),
        ("sort=email", ["Alan Turing", "Grace Hopper", "Ada Lovelace"]),
        ("sort=company", ["Grace Hopper", "Ada Lovelace", "Alan Turing"]),
        ("sort=company&dir=desc", ["Alan Turing", "Ada Lovelace", "Grace Hopper"]),
        ("sort=updated", ["Alan Turing", "Grace Hopper", "Ada Lovelace"]),
        ("sort=updated&dir=asc", ["Ada Lovelace", "Grace Hopper", "Alan Turing"]),
        ("sort=shoe-size&dir=sideways", ["Ada Lovelace", "Alan Turing", "Grace Hopper"]),
    ],
)
async def test_the_address_says_the_order(plain: Browser, htmx: Htmx, state: str, names: list[str]) -> None:
    page = await plain.open(f"/contacts?{state}")
    fragment = await htmx.get(f"/contacts?{state}")

    assert page.names == names
    assert fragment.names == names


@pytest.mark.usefixtures("three")
async def test_a_heading_orders_the_list_and_turns_it_round(plain: Browser) -> None:
    page = await plain.open("/contacts?q=example")

    down = await plain.follow(page.dom.link("Company"))
    up = await plain.follow(down.dom.link("Company"))

    assert down.names == ["Grace Hopper", "Ada Lovelace", "Alan Turing"]
    assert up.names == ["Alan Turing", "Ada Lovelace", "Grace Hopper"]
    assert plain.url == "/contacts?q=example&sort=company&dir=desc"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("state", "sorted_by", "direction"),
    [
        ("", "Name", "ascending"),
        ("?dir=desc", "Name", "descending"),
        ("?sort=company", "Company", "ascending"),
    ],
)
async def test_the_heading_of_the_order_says_its_direction(
    plain: Browser, state: str, sorted_by: str, direction: str
) -> None:
    page = await plain.open(f"/contacts{state}")

    columns = {column.text: column.attrs.get("aria-sort") for column in page.dom.all("th", scope="col")}
    assert {name: order for name, order in columns.items() if order} == {sorted_by: direction}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "state", ["tag=VIP&sort=company&dir=desc", "sort=updated", "sort=updated&dir=asc", "dir=desc"]
)
async def test_tags_and_order_survive_a_search(plain: Browser, htmx: Htmx, state: str) -> None:
    page = await plain.open(f"/contacts?{state}")
    before = page.names

    fragment = await htmx.send(page.dom.id("search"), q="example")
    found = await plain.submit(page.dom.id("search"), q="example")

    assert fragment.names == found.names == before
    assert fragment.header("HX-Push-Url") == f"/contacts?q=example&{state}"


# ---- pages


async def _all_pages(plain: Browser, page: Answer) -> list[str]:
    names = page.names
    while page.dom.has("more"):
        page = await plain.follow(page.dom.link("Load more"))
        names += page.names
    return names


@pytest.mark.parametrize("sort", ["name", "email", "company", "updated"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_loading_more_repeats_and_skips_nobody(
    plain: Browser, store: ContactStore, sort: str, direction: str
) -> None:
    names = crowd(store, 120)

    page = await plain.open(f"/contacts?sort={sort}&dir={direction}")
    seen = await _all_pages(plain, page)

    assert len(page.names) == 50
    assert sorted(seen) == names


async def test_more_contacts_come_with_htmx_as_rows_alone(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    names = crowd(store, 120)
    page = await plain.open("/contacts")

    second = await htmx.send(page.dom.link("Load more"))
    third = await htmx.send(second.dom.link("Load more"))

    assert {root.tag for root in second.dom.roots} == {"tr"}
    assert page.names + second.names + third.names == names
    assert not third.dom.has("more")
    assert htmx.url == "/contacts"


async def test_a_later_page_has_an_address_and_leads_back(plain: Browser, store: ContactStore) -> None:
    names = crowd(store, 60)
    first = await plain.open("/contacts")

    later = await plain.follow(first.dom.link("Load more"))
    again = await plain.open(plain.url)
    back = await plain.follow(again.dom.link("Back to the first contacts"))

    assert later.is_page
    assert later.names == again.names == names[50:]
    assert back.names == names[:50]


async def test_the_search_goes_on_behind_load_more(plain: Browser, htmx: Htmx, store: ContactStore) -> None:
    crowd(store, 60)
    add(store, "Zed Somebody")
    page = await plain.open("/contacts?q=person&dir=desc")

    rest = await plain.follow(page.dom.link("Load more"))
    rows = await htmx.send(page.dom.link("Load more"))

    assert page.names[-1] == "Person 010"
    assert rest.names == rows.names == [f"Person {number:03}" for number in reversed(range(10))]


async def test_paging_is_not_upset_by_changes_meanwhile(plain: Browser, store: ContactStore) -> None:
    names = crowd(store, 60)
    first = await plain.open("/contacts")

    add(store, "Aaron the First")
    store.delete([store.list(ListQuery(text="050")).contacts[0].id])
    second = await plain.follow(first.dom.link("Load more"))

    assert second.names == names[51:]


async def test_nothing_is_behind_the_last_page(htmx: Htmx, plain: Browser, store: ContactStore) -> None:
    crowd(store, 51)
    first = await plain.open("/contacts")
    store.delete([store.list(ListQuery(text="050")).contacts[0].id])

    rows = await htmx.send(first.dom.link("Load more"))
    page = await plain.follow(first.dom.link("Load more"))

    assert rows.dom.roots == []
    assert page.dom.id("contact-table").link("Back to the first contacts")["href"] == "/contacts"


# ---- what kind of answer


@pytest.mark.parametrize(
    "path", ["/contacts", "/contacts?q=a", "/contacts/new", "/contacts/1", "/contacts/1/edit"]
)
async def test_the_answer_says_that_it_differs_for_htmx(
    plain: Browser, htmx: Htmx, store: ContactStore, path: str
) -> None:
    add(store, "Ada Lovelace")

    page, fragment = await plain.open(path), await htmx.get(path)

    assert page.is_page
    assert not fragment.is_page
    assert "HX-Request" in page.header("Vary").split(", ")
    assert "HX-Request" in fragment.header("Vary").split(", ")


@pytest.mark.parametrize(
    "path", ["/contacts", "/contacts?q=a", "/contacts/new", "/contacts/1", "/contacts/1/edit", "/x"]
)
async def test_a_page_restored_from_history_is_whole(
    client: TestClient, store: ContactStore, path: str
) -> None:
    add(store, "Ada Lovelace")

    headers = {
        "hx-request": "true",
        "hx-history-restore-request": "true",
        "hx-current-url": "http://testserver/x",
    }
    restored = Answer.of(await client.get(path, headers=headers))

    assert restored.is_page
    assert restored.header("HX-Push-Url") == ""


# ---- samples


async def test_samples_are_pointed_out_until_they_are_gone(
    plain: Browser, htmx: Htmx, store: ContactStore
) -> None:
    without = await plain.open("/contacts?q=sample")
    store.import_many([ContactDraft("Sample Person", "sample@example.com")], kind="sample")

    page = await plain.open("/contacts")
    fragment = await htmx.get("/contacts")
    gone = await plain.submit(page.dom.form("Remove the sample contacts"))

    notice = "Some of these are samples, to try things out."
    assert notice in page.dom.id("contact-table").text
    assert notice in fragment.swapped.text
    assert notice not in without.dom.text
    assert notice not in gone.dom.text


async def test_a_sample_that_was_changed_is_one_of_your_own(plain: Browser, store: ContactStore) -> None:
    store.import_many([ContactDraft("Sample Person", "sample@example.com")], kind="sample")
    contact = store.list(ListQuery()).contacts[0]
    store.update(contact.id, ContactDraft("Mine Now", "sample@example.com"), contact.version)

    page = await plain.open("/contacts")

    assert "samples" not in page.dom.id("contact-table").text


# ---- messages after a redirect


async def test_a_message_is_shown_once(plain: Browser, store: ContactStore) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))

    first = await plain.open(f"/contacts?done={batch.id}")
    again = await plain.open(f"/contacts?done={batch.id}")

    assert first.dom.id("toasts").one("span").text == "Added Ada Lovelace."
    assert again.dom.id("toasts").roots == []


async def test_the_cookie_that_remembers_the_message_is_for_this_site_alone(
    plain: Browser, store: ContactStore
) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))

    page = await plain.open(f"/contacts?done={batch.id}")

    assert page.header("Set-Cookie") == (
        f"seen={milliseconds(batch.at)}.{batch.id}; Path=/; HttpOnly; SameSite=Lax"
    )

    _, newer = store.add(ContactDraft("Grace Hopper", "grace@example.com"))
    over = scheme.set("https")
    page = await plain.open(f"/contacts?done={newer.id}")
    scheme.reset(over)

    assert page.header("Set-Cookie").endswith("; HttpOnly; SameSite=Lax; Secure")


async def test_the_next_message_is_shown_too(plain: Browser, store: ContactStore) -> None:
    contact, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))
    gone = store.delete([contact.id])
    assert gone

    await plain.open(f"/contacts?done={batch.id}")
    second = await plain.open(f"/contacts?done={gone.id}")

    assert second.dom.id("toasts").one("span").text == "Deleted Ada Lovelace."


async def test_a_message_that_was_followed_by_a_newer_one_stays_away(
    plain: Browser, store: ContactStore
) -> None:
    contact, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))
    gone = store.delete([contact.id])
    assert gone

    await plain.open(f"/contacts?done={gone.id}")
    back = await plain.open(f"/contacts?done={batch.id}")

    assert back.dom.id("toasts").roots == []


async def test_a_change_that_was_undone_has_no_message_any_more(plain: Browser, store: ContactStore) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))
    store.undo(batch.id)

    page = await plain.open(f"/contacts?done={batch.id}")

    assert page.dom.id("toasts").roots == []


async def test_the_back_button_does_not_show_a_message_again(plain: Browser, store: ContactStore) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))

    first = await plain.open(f"/contacts?done={batch.id}")
    again = await plain.open(f"/contacts?done={batch.id}")

    assert first.header("Cache-Control") == "no-store"
    assert again.header("Cache-Control") == "private, no-cache"


@pytest.mark.parametrize("seen", ["", ".", "1.1", "x.y", "9" * 40, "²", "\xff;;=", "1", "5.5.5"])
async def test_an_odd_cookie_hides_no_message(client: TestClient, store: ContactStore, seen: str) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))

    page = Answer.of(await client.get(f"/contacts?done={batch.id}", headers={"cookie": f"seen={seen}"}))

    assert page.dom.id("toasts").one("span").text == "Added Ada Lovelace."


async def test_htmx_gets_no_message_from_the_address(htmx: Htmx, store: ContactStore) -> None:
    _, batch = store.add(ContactDraft("Ada Lovelace", "ada@example.com"))

    fragment = await htmx.get(f"/contacts?done={batch.id}")

    assert fragment.header("Set-Cookie") == ""
    assert fragment.header("HX-Trigger") == ""


@pytest.mark.parametrize("done", ["0", "99", "-1", "1.5", "abc", "9" * 40, "²", ""])
async def test_a_message_that_is_not_known_is_left_out(
    plain: Browser, store: ContactStore, done: str
) -> None:
    add(store, "Ada Lovelace")

    page = await plain.open(f"/contacts?{urlencode({'done': done})}")

    assert page.status == 200
    assert page.dom.id("toasts").roots == []


async def test_a_list_without_a_message_sets_no_cookie(plain: Browser) -> None:
    page = await plain.open("/contacts")

    assert page.header("Set-Cookie") == ""
