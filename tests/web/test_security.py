"""What keeps a page safe in the browser, asked of every kind of answer."""

import base64
import json
import re
from urllib.parse import quote, urlencode, urlsplit

import pytest
from chirp.testing import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore
from app.store.memory import MemoryStore
from tests.making import add
from tests.web.browser import FORM, Answer, Browser, Htmx, Serve
from tests.web.markup import Element
from tests.web.people import crowd

pytestmark = pytest.mark.anyio

# The client of a test serves every example; what is stored is looked at in each.
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The contact that others want to change."""
    return add(store, "Ada Lovelace", email="ada@example.com")


# ---- headers (those of security: tests/test_hostile.py, tests/web/test_headers.py)

HTMX = {"hx-request": "true"}
FORM_HEADERS = {"content-type": FORM}
EVERY_KIND: dict[str, tuple[int, str, str, dict[str, str], bytes]] = {
    "page": (200, "GET", "/contacts", {}, b""),
    "page of one contact": (200, "GET", "/contacts/1", {}, b""),
    "fragment": (200, "GET", "/contacts?q=a", HTMX, b""),
    "editor": (200, "GET", "/contacts/1/edit", HTMX, b""),
    "what was done": (200, "GET", "/activity", {}, b""),
    "streamed page": (200, "GET", "/dashboard", {}, b""),
    "text": (200, "GET", "/hello", {}, b""),
    "page without its body": (200, "HEAD", "/contacts", {}, b""),
    "redirect": (303, "GET", "/", {}, b""),
    "redirect after a form": (303, "POST", "/undo/1", FORM_HEADERS, b""),
    "out of band": (200, "POST", "/undo/1", FORM_HEADERS | HTMX, b""),
    "static file": (200, "GET", "/static/app.css", {}, b""),
    "static file, unchanged": (304, "GET", "/static/app.css", {"if-none-match": "*"}, b""),
    "no static file": (404, "GET", "/static/none.css", {}, b""),
    "check of a field": (200, "POST", "/contacts/check", FORM_HEADERS | HTMX, b"field=name&name="),
    "check of no field": (400, "POST", "/contacts/check", FORM_HEADERS | HTMX, b""),
    "many deleted": (303, "POST", "/contacts/bulk", FORM_HEADERS, b"do=delete&id=1"),
    "many deleted with htmx": (200, "POST", "/contacts/bulk", FORM_HEADERS | HTMX, b"do=delete&id=1"),
    "none deleted": (422, "POST", "/contacts/bulk", FORM_HEADERS, b"do=delete"),
    "wrong form": (422, "POST", "/contacts", FORM_HEADERS, b"name="),
    "wrong form with htmx": (422, "POST", "/contacts", FORM_HEADERS | HTMX, b"name="),
    "conflict": (409, "PUT", "/contacts/1", FORM_HEADERS, b"name=x&phone=1&version=9"),
    "conflict with htmx": (409, "PUT", "/contacts/1", FORM_HEADERS | HTMX, b"name=x&phone=1&version=9"),
    "not found": (404, "GET", "/nowhere", {}, b""),
    "not found with htmx": (404, "GET", "/nowhere", HTMX, b""),
    "no such contact": (404, "GET", "/contacts/99", {}, b""),
    "wrong method": (405, "DELETE", "/contacts", {}, b""),
    "unknown method": (405, "FOO", "/contacts", {}, b""),
    "no form": (415, "POST", "/contacts", {"content-type": "application/json"}, b"{}"),
    "broken form": (400, "POST", "/contacts", FORM_HEADERS, b"name=\xff"),
    "form too large": (413, "POST", "/contacts", FORM_HEADERS, b"n" * 2_000_000),
    "from another site": (403, "POST", "/contacts", FORM_HEADERS | {"sec-fetch-site": "cross-site"}, b""),
    "block of a page": (404, "GET", "/_frag/contacts?_b=contact_table", {}, b""),
    "block of no page": (404, "GET", "/_frag/nowhere?_b=x", {}, b""),
    "no block": (404, "GET", "/_frag/contacts", {}, b""),
    "block with another method": (404, "GET", "/_frag/undo/1?_b=x", {}, b""),
}


@pytest.mark.parametrize(("status", "method", "path", "headers", "body"), EVERY_KIND.values(), ids=EVERY_KIND)
@pytest.mark.usefixtures("ada")
async def test_markup_is_kept_by_nobody_but_the_browser_and_looked_up_again(
    client: TestClient, status: int, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer = Answer.of(await client.request(method, path, headers=headers, body=body))

    is_markup = answer.content_type.startswith("text/html")
    assert answer.status == status
    assert (answer.header("Cache-Control") == "private, no-cache") == is_markup
    assert ("HX-Request" in answer.header("Vary").split(", ")) == is_markup


async def test_nothing_in_a_page_needs_more_than_the_policy_allows(
    plain: Browser, store: ContactStore, ada: Contact
) -> None:
    store.import_many([ContactDraft("Sample", "sample@example.com")], kind="sample")
    store.update(ada.id, ContactDraft("Ada King", "ada@example.com"), 1)

    pages = [
        await plain.open("/contacts?q=a&done=1"),
        await plain.open("/contacts/new"),
        await plain.open(f"/contacts/{ada.id}"),
        await plain.post("/contacts", name=""),
        await plain.post(f"/contacts/{ada.id}", _method="PUT", name="x", phone="1", version="1"),
        await plain.post("/contacts/bulk", do="delete"),
        await plain.post("/undo/2"),
        await plain.open("/activity"),
        await plain.open("/dashboard"),
        await plain.open("/nowhere"),
    ]

    elements = [element for page in pages for element in page.dom.walk()]
    assert [element for element in elements if element.tag == "style"] == []
    assert [
        element
        for element in elements
        if element.tag == "script" and (element.raw_text or "src" not in element)
    ] == []
    assert {
        name for element in elements for name in element.attrs if name == "style" or name.startswith("on")
    } == set()
    assert _schemes(elements) <= {"", "mailto", "tel"}
    assert {urlsplit(element.attrs.get("src", "")).netloc for element in elements} == {""}


def _schemes(elements: list[Element]) -> set[str]:
    return {
        urlsplit(element.attrs.get(name, "")).scheme
        for element in elements
        for name in ("href", "src", "action")
    }


async def test_htmx_neither_evaluates_nor_remembers(plain: Browser) -> None:
    page = await plain.open("/contacts")

    config = json.loads(page.dom.one("meta", name="htmx-config")["content"])
    assert (config["allowEval"], config["allowScriptTags"], config["includeIndicatorStyles"]) == (False,) * 3
    assert (config["historyCacheSize"], config["historyRestoreAsHxRequest"]) == (0, False)
    assert config["disableInheritance"] is True


async def test_htmx_shows_the_forms_that_come_back_and_no_other_error(plain: Browser) -> None:
    page = await plain.open("/contacts")

    config = json.loads(page.dom.one("meta", name="htmx-config")["content"])
    rules = [(re.compile(rule["code"]), rule["swap"]) for rule in config["responseHandling"]]
    shown = {
        status: next(swap for code, swap in rules if code.fullmatch(str(status)))
        for status in (200, 204, 303, 304, 400, 403, 404, 405, 409, 413, 422, 500, 503)
    }
    assert [status for status, swap in shown.items() if swap] == [200, 303, 409, 422]


# ---- writes from other sites


def _writes(contact: Contact) -> dict[str, tuple[str, str, bytes]]:
    fields = urlencode({"name": "Planted", "email": "planted@example.com", "version": "1"}).encode()
    return {
        "add": ("POST", "/contacts", fields),
        "put": ("PUT", f"/contacts/{contact.id}", fields),
        "put by form": ("POST", f"/contacts/{contact.id}", fields + b"&_method=PUT"),
        "delete": ("DELETE", f"/contacts/{contact.id}", b""),
        "delete by form": ("POST", f"/contacts/{contact.id}", b"_method=DELETE"),
        "delete samples": ("DELETE", "/contacts/samples", b""),
        "delete many": ("POST", "/contacts/bulk", b"do=delete&all=1"),
        "tag many": ("POST", "/contacts/bulk", b"do=tag&tag=Planted&id=%d" % contact.id),
        "undo": ("POST", "/undo/1", b""),
        "undo in part": ("POST", "/undo/1", b"partly=1"),
    }


FOREIGN: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": ""},
    {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
    {"origin": "http://evil.example"},
    {"origin": "http://testserver.evil.example"},
    {"origin": "http://testserver:8080"},
    {"origin": "http://evil.example/testserver"},
    {"origin": "null"},
    {"origin": "testserver"},
    {"origin": "http://["},
    {"origin": ""},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_write_from_another_site_is_refused_and_changes_nothing(
    client: TestClient, store: ContactStore, ada: Contact, headers: dict[str, str]
) -> None:
    headers = {"host": "testserver", "content-type": FORM} | headers

    answers = [
        Answer.of(await client.request(method, path, headers=headers, body=body))
        for method, path, body in _writes(ada).values()
    ]

    assert {answer.status for answer in answers} == {403}
    assert {answer.dom.one("h1").text for answer in answers} == {
        "This change came from another site, so it was refused."
    }
    assert store.last_change() == 1
    assert store.get(ada.id) == ada


async def test_a_refused_write_is_an_event_with_htmx(client: TestClient, store: ContactStore) -> None:
    headers = {"hx-request": "true", "sec-fetch-site": "cross-site", "content-type": FORM}

    answer = Answer.of(await client.request("POST", "/contacts", headers=headers, body=b"name=x&phone=1"))

    assert answer.status == 403
    assert answer.events["problem"]["message"] == "This change came from another site, so it was refused."
    assert store.count() == 0


OWN: list[dict[str, str]] = [
    {},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    {"origin": "http://testserver"},
    {"origin": "https://testserver"},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
async def test_writes_of_ones_own_pages_and_of_tools_pass(
    client: TestClient, store: ContactStore, headers: dict[str, str]
) -> None:
    headers = {"host": "testserver", "content-type": FORM} | headers

    answer = Answer.of(await client.request("POST", "/contacts", headers=headers, body=b"name=Grace&phone=1"))

    assert answer.status == 303
    assert store.count() == 1


async def test_links_from_another_site_may_be_followed(client: TestClient) -> None:
    answer = Answer.of(await client.get("/contacts", headers={"sec-fetch-site": "cross-site"}))

    assert answer.status == 200


# ---- markup that somebody typed

PLANTED = "\"'></textarea></title><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} &lt;b&gt;"
PLANTED_TAG = "\"'><svg/onload=alert(1)> &lt;b&gt;"


def _shape(dom: Element) -> list[str]:
    """The elements of a page and the names of their attributes: what somebody typed must not change it.

    Sorted, because the sections of the dashboard come in any order; without what a search marks.
    """
    elements = [element for element in dom.walk() if element.tag != "mark" or element.attrs]
    return sorted(f"<{element.tag} {' '.join(element.attrs)}>" for element in elements)


def _said(dom: Element) -> str:
    """Everything that is said: text, and the values of attributes."""
    return " ".join([dom.raw_text, *(value for element in dom.walk() for value in element.attrs.values())])


async def _every_page(client: TestClient, text: str, tag: str) -> dict[str, Answer]:
    """Every kind of page and fragment that shows what somebody typed; the address book is empty before."""
    plain, htmx = Browser(client), Htmx(client)
    everything = dict.fromkeys(("name", "email", "phone", "company", "notes"), text) | {"tags": tag}
    kept = everything | {"email": "a@example.com", "phone": ""}
    state = urlencode({"q": text, "tag": tag})
    added = await htmx.ask("POST", "/contacts", **kept)
    editor = (await plain.open("/contacts/1/edit")).dom.id("edit-1")
    saved = await htmx.send(editor, phone="5")
    again = (await plain.open("/contacts/1/edit")).dom.id("edit-1")
    second = dict.fromkeys(("name", "company", "notes"), f"{text}2") | {"tags": f"{tag}2"}
    third = dict.fromkeys(("name", "company", "notes"), f"{text}3") | {"tags": f"{tag}3"}
    pages = {
        "the list after an addition": added,
        "the row after an edit": saved,
        "the list": await plain.open("/contacts?done=1"),
        "one contact": await plain.open("/contacts/1"),
        "the editor": await plain.open("/contacts/1/edit"),
        "the editor with htmx": await htmx.get("/contacts/1/edit"),
        "a search": await plain.open(f"/contacts?{state}"),
        "a search without matches": await plain.open(f"/contacts?{state}&tag=none"),
        "a form that is wrong": await plain.post("/contacts", **everything),
        "a form that is wrong, with htmx": await htmx.ask("POST", "/contacts", **everything),
        "an email that is taken": await plain.post("/contacts", **kept),
        "a conflict": await plain.submit(editor, name="Mine", company="", notes="", tags=""),
        "a conflict with htmx": await htmx.send(editor, name="Mine", company="", notes="", tags=""),
        "the dashboard": await plain.open("/dashboard"),
        "a field that is left": await htmx.ask("POST", "/contacts/check", sender_name="email", **kept),
        "many tags that are wrong": await plain.post("/contacts/bulk", do="tag", id="1", tag=tag + "x" * 40),
    }
    await htmx.send(again, **second)
    pages |= {
        "a choice after a conflict": await plain.submit(again, **third),
        "a choice after a conflict, with htmx": await htmx.send(again, **third),
        "a choice of every field": await htmx.send(again, **third, version="0"),
    }
    latest = (await plain.open("/contacts/1/edit")).dom.id("edit-1")
    await htmx.send(latest, notes=f"{text}4")
    return pages | {
        "the history of a contact": await plain.open("/contacts/1"),
        "a search of the notes": await plain.open(f"/contacts?{urlencode({'q': text[:9]})}"),
        "what was done": await plain.open("/activity"),
        "the question of an undo": await plain.post("/undo/3"),
        "the question of an undo, with htmx": await htmx.ask("POST", "/undo/3"),
    }


# The pages that show no name and no notes, and those that show no tag.
NO_TEXT = {"many tags that are wrong"}
NO_TAG = {
    "a field that is left",
    "what was done",
    "the question of an undo",
    "the question of an undo, with htmx",
}


async def test_what_somebody_typed_never_becomes_markup(serve: Serve) -> None:
    harmless = await _every_page(await serve(MemoryStore()), "Harmless", "harmless")
    planted = await _every_page(await serve(MemoryStore()), PLANTED, PLANTED_TAG)

    for page, answer in planted.items():
        assert answer.status == harmless[page].status
        assert page in NO_TEXT or PLANTED in _said(answer.dom), page
        assert _shape(answer.dom) == _shape(harmless[page].dom), page


async def test_a_tag_that_somebody_typed_never_becomes_markup(serve: Serve) -> None:
    harmless = await _every_page(await serve(MemoryStore()), "Harmless", "harmless")
    planted = await _every_page(await serve(MemoryStore()), "Harmless", PLANTED_TAG)

    shown = {page for page in planted if PLANTED_TAG in _said(planted[page].dom)}
    assert shown == planted.keys() - NO_TAG
    assert [page for page in planted if _shape(planted[page].dom) != _shape(harmless[page].dom)] == []


@pytest.mark.parametrize(
    "name", ["after", "sort", "dir", "only", "done", "slow", "fail", "section", "unknown"]
)
async def test_what_an_address_says_never_becomes_markup(
    plain: Browser, store: ContactStore, name: str
) -> None:
    crowd(store, 51)
    query = urlencode({name: PLANTED})

    for path in ("/contacts", "/contacts/1", "/contacts/1/edit", "/contacts/new", "/dashboard"):
        harmless, planted = await plain.open(path), await plain.open(f"{path}?{query}")

        assert _shape(planted.dom) == _shape(harmless.dom)


@pytest.mark.parametrize(
    "path", [f"/{PLANTED}", f"/contacts/{PLANTED}", f"/static/{PLANTED}", f"/_frag/{PLANTED}"]
)
@pytest.mark.parametrize("query", ["", "?_b=x"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "<b>"])
async def test_an_address_is_never_repeated_as_markup(
    client: TestClient, path: str, query: str, method: str
) -> None:
    path = path.replace("?", "")

    page = Answer.of(await client.request(method, path + query))
    fragment = Answer.of(await client.request(method, path + query, headers=HTMX))

    for answer in (page, fragment):
        assert answer.status in (404, 405)
        assert b"alert(1)" not in answer.body


@pytest.mark.parametrize("block", ["contact_table", "contact_form", "content", "nothing", "x", PLANTED])
@pytest.mark.parametrize(
    "path", ["/contacts", "/contacts/1", "/contacts/1/edit", "/dashboard", "/hello", "/"]
)
@pytest.mark.usefixtures("ada")
async def test_blocks_of_pages_have_no_address(client: TestClient, path: str, block: str) -> None:
    answer = Answer.of(await client.get(f"/_frag{path}?{urlencode({'_b': block})}"))

    assert answer.status == 404
    assert b"ada@example.com" not in answer.body


@pytest.mark.parametrize("path", ["/__chirp/routes", "/__chirp/debug/manifest", "/_chirp/live", "/mcp"])
async def test_nothing_of_the_framework_is_open(client: TestClient, path: str) -> None:
    answer = Answer.of(await client.get(path))

    assert answer.status == 404


# ---- headers that somebody typed

BREAK = "x\r\nX-Planted: 1\r\n\r\n<p>"


def _has_planted(answer: Answer) -> bool:
    return bool(answer.header("X-Planted"))


async def test_a_name_cannot_break_out_of_a_header(htmx: Htmx) -> None:
    answer = await htmx.ask("POST", "/contacts", name=BREAK, email="x@example.com")

    assert answer.events["contactCreated"]["message"] == "Added x X-Planted: 1 <p>"
    assert not _has_planted(answer)


async def test_a_search_cannot_break_out_of_a_header(client: TestClient, htmx: Htmx) -> None:
    query = urlencode({"q": BREAK, "tag": BREAK, "sort": BREAK})
    form = b"name=Grace&phone=1"

    pushed = await htmx.get(f"/contacts?{query}")
    redirected = Answer.of(await client.post(f"/contacts?{query}", body=form, headers=FORM_HEADERS))

    assert pushed.header("HX-Push-Url").startswith("/contacts?q=x+X-Planted%3A+1+%3Cp%3E&tag=x%0D%0A")
    assert redirected.header("Location").startswith("/contacts?q=x+X-Planted%3A+1+%3Cp%3E&tag=x%0D%0A")
    assert not _has_planted(pushed)
    assert not _has_planted(redirected)


async def test_a_redirect_stays_on_this_site(client: TestClient) -> None:
    answer = Answer.of(
        await client.post("//evil.example/contacts", body=b"name=Grace&phone=1", headers=FORM_HEADERS)
    )
    added = Answer.of(
        await client.post("/contacts?q=//evil.example", body=b"name=Grace&phone=1", headers=FORM_HEADERS)
    )

    assert answer.status == 404
    assert urlsplit(added.header("Location")).netloc == ""


# ---- anything at all

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)  # HTML cannot hold NUL
percent = st.binary(max_size=40).map(quote)
anything = st.one_of(text.map(quote), percent)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
place = st.one_of(
    json_value,
    st.tuples(st.sampled_from(["name", "email", "company", "updated"]), text, st.integers()),
    st.tuples(st.just("updated"), st.integers(), st.integers(-(2**70), 2**70)),
).map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("="))


@fuzz
@given(
    after=st.one_of(place, anything),
    q=anything,
    tag=anything,
    sort=st.sampled_from(["name", "email", "company", "updated"]) | anything,
    dir=st.sampled_from(["asc", "desc"]) | anything,
    done=st.integers().map(str) | anything,
)
@pytest.mark.usefixtures("ada")
async def test_any_address_of_the_list_shows_a_list(
    client: TestClient, htmx: Htmx, after: str, q: str, tag: str, sort: str, dir: str, done: str
) -> None:
    address = f"/contacts?after={after}&q={q}&tag={tag}&sort={sort}&dir={dir}&done={done}"

    page = Answer.of(await client.get(address))
    fragment = await htmx.get(address)

    assert page.status == fragment.status == 200
    assert page.dom.has("contact-table")
    assert not fragment.is_page


@fuzz
@given(name=text, email=text, phone=text, company=text, tags=text, notes=text)
async def test_any_form_is_kept_or_comes_back_with_what_was_typed(
    htmx: Htmx, name: str, email: str, phone: str, company: str, tags: str, notes: str
) -> None:
    answer = await htmx.ask(
        "POST", "/contacts", name=name, email=email, phone=phone, company=company, tags=tags, notes=notes
    )

    assert answer.status in (200, 422)
    if answer.status == 422:
        assert answer.dom.box("Name").value == name
        assert answer.dom.box("Email").value == email
        assert answer.dom.box("Phone").value == phone
        assert answer.dom.box("Company").value == company
        assert answer.dom.box("Notes").value == notes


@fuzz
@given(version=(st.integers().map(str) | text).filter(lambda version: not _means_one(version)), name=text)
async def test_any_version_but_the_right_one_changes_nothing(
    htmx: Htmx, store: ContactStore, ada: Contact, version: str, name: str
) -> None:
    answer = await htmx.ask("PUT", f"/contacts/{ada.id}", name=f"x{name}", phone="1", version=version)

    assert answer.status in (409, 422)
    assert store.get(ada.id) == ada


def _means_one(version: str) -> bool:
    return version.isdecimal() and int(version) == 1


@fuzz
@given(number=st.integers(-5, 2**70).map(str) | st.integers(4_200, 4_400).map(lambda digits: "9" * digits))
async def test_any_number_of_nobody_is_not_found(client: TestClient, number: str) -> None:
    statuses = [
        (await client.get(f"/contacts/{number}")).status,
        (await client.get(f"/contacts/{number}/edit")).status,
        (await client.request("DELETE", f"/contacts/{number}")).status,
        (await client.post(f"/undo/{number}")).status,
    ]

    assert set(statuses) == {404}


@fuzz
@given(
    path=st.sampled_from(["/contacts", "/contacts/check", "/contacts/bulk"]),
    body=st.binary(max_size=200),
    content_type=st.sampled_from([FORM, "multipart/form-data; boundary=b", "x/y"]),
)
async def test_any_body_is_read_or_refused(
    client: TestClient, store: ContactStore, path: str, body: bytes, content_type: str
) -> None:
    answer = Answer.of(await client.post(path, body=body, headers={"content-type": content_type}))

    assert answer.status in (400, 415, 422)
    assert store.count() == 0


@fuzz
@given(
    name=st.sampled_from(
        ["hx-current-url", "hx-target", "origin", "cookie", "sec-fetch-site", "content-type", "host"]
    ),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
)
async def test_any_header_is_understood_or_passed_over(client: TestClient, name: str, value: str) -> None:
    got = Answer.of(await client.get("/contacts", headers=HTMX | {name: value}))
    posted = Answer.of(await client.post("/contacts", body=b"name=", headers=FORM_HEADERS | {name: value}))

    assert got.status == 200
    assert posted.status in (400, 403, 415, 422)
