"""The JSON API on each store: lists, one contact, many, files, undo, and what it says to everything odd.

That the document describes all of it is proven in tests/test_openapi.py and tests/test_api_schemathesis.py.
"""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from chirp.testing import TestClient

from app.contacts.contact import NAME_LIMIT, TAGS_LIMIT, Contact, ContactDraft
from app.contacts.interchange import FILE_LIMIT
from app.contacts.jsons import as_json
from app.contacts.listing import ListQuery
from app.main import BODY_LIMIT
from app.store import ContactStore
from app.store.memory import MemoryStore
from app.store.sql import GROUP
from app.store.sqlite import SQLiteStore
from app.web.api import WRONG_LIMIT, etag
from app.web.problems import KINDS
from app.web.reading import PAGE_LIMIT
from app.web.uploads import Limits
from tests.making import ADA, ALAN, add, draft
from tests.web.browser import Answer, Serve

pytestmark = pytest.mark.anyio

CONTACTS = "/api/v1/contacts"
JSON = "application/json"
PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Reply:
    """One answer of the API. value: its JSON, None without a body."""

    status: int
    answer: Answer
    value: Any

    def header(self, name: str) -> str:
        """A header that is sent at most once; "" when it is not."""
        return self.answer.header(name)

    @property
    def batch(self) -> int:
        """The batch that the answer tells; 0 for none."""
        return int(self.header("Batch-Id") or 0)

    @property
    def links(self) -> dict[str, str]:
        """The addresses of the Link header, by their relation."""
        return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', self.header("Link"))}


class Api:
    """A program that uses the API."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    async def ask(
        self, method: str, path: str, body: Any = None, *, media_type: str = JSON, **headers: str
    ) -> Reply:
        """Send a request: bytes and texts as they are, all else as JSON. if_match: that header, and so on."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = b""
        if body is not None:
            text = body if isinstance(body, str) else "" if isinstance(body, bytes) else json.dumps(body)
            data = body if isinstance(body, bytes) else text.encode()
            sent |= {"content-type": media_type} if media_type else {}
        answer = Answer.of(await self._client.request(method, path, headers=sent, body=data))
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
        has_json = answer.content_type.endswith("json") and answer.body and answer.status != 304
        return Reply(answer.status, answer, json.loads(answer.body) if has_json else None)

    async def get(self, path: str = CONTACTS, **params: Any) -> Reply:
        """GET with these parameters."""
        return await self.ask("GET", f"{path}?{urlencode(params, doseq=True)}" if params else path)

    async def post(self, path: str, body: Any = None, **more: str) -> Reply:
        """POST a body."""
        return await self.ask("POST", path, body, **more)


@pytest.fixture
def api(client: TestClient) -> Api:
    """A program that talks to the app on the store of the test."""
    return Api(client)


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """Ada Lovelace, who was added as batch 1."""
    return store.add(ADA)[0]


def at(contact: Contact) -> str:
    return f"{CONTACTS}/{contact.id}"


def assert_problem(reply: Reply, status: int, *fields: str) -> None:
    """The answer is a problem of this status, with an explanation, and a message for each of these fields."""
    assert reply.status == status
    assert reply.answer.content_type == "application/problem+json"
    assert reply.value["type"] == f"/api/docs#problem-{status}"
    assert reply.value["title"] == KINDS[status][0]
    assert reply.value["status"] == status
    assert reply.value["detail"].endswith((".", "}"))
    assert set(reply.value.get("errors", {})) == set(fields)


# ---- one contact


async def test_a_contact_is_added_at_an_address_of_its_own(api: Api, store: ContactStore) -> None:
    made = await api.post(CONTACTS, {"name": "  Ada   Lovelace ", "phone": "1", "tags": ["b", "A", "a"]})

    contact = store.get(made.value["id"])
    assert made.status == 201
    assert made.value == as_json(contact)
    assert (contact.name, contact.tags) == ("Ada Lovelace", ("A", "b"))
    assert made.header("Location") == at(contact)
    assert made.header("ETag") == etag(contact)
    assert made.batch == 1
    got = await api.get(made.header("Location"))
    assert got.value == made.value
    assert got.header("ETag") == made.header("ETag")


async def test_a_contact_that_breaks_rules_comes_back_with_the_rules_own_messages(
    api: Api, store: ContactStore
) -> None:
    wrong = {"name": "x" * (NAME_LIMIT + 1), "email": "nowhere", "phone": "none", "tags": ["a,b"]}

    reply = await api.post(CONTACTS, wrong)

    assert_problem(reply, 422, "name", "email", "phone", "tags")
    assert reply.value["errors"]["email"] == "Enter a valid email address, such as ada@example.com."
    assert store.count() == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 1, "phone": "1"}, "name"),
        ({"name": None, "phone": "1"}, "name"),
        ({"name": "Ada", "phone": "1", "tags": "a,b"}, "tags"),
        ({"name": "Ada", "phone": "1", "tags": ["a", 1]}, "tags"),
        ({"name": "Ada", "phone": "1", "tags": ["a"] * (TAGS_LIMIT + 1)}, "tags"),
        ({"name": "Ada", "phone": "1", "nmae": "Ada"}, "nmae"),
        ({"name": "Ada", "phone": "1", "id": 5}, "id"),
    ],
)
async def test_other_types_and_other_members_are_refused_by_name(
    api: Api, store: ContactStore, body: Any, field: str
) -> None:
    assert_problem(await api.post(CONTACTS, body), 422, field)
    assert store.count() == 0


@pytest.mark.parametrize("body", [[], "Ada", 1, None.__class__, True])
async def test_what_is_no_object_is_refused(api: Api, store: ContactStore, body: Any) -> None:
    assert_problem(await api.post(CONTACTS, "null" if body is type(None) else json.dumps(body)), 422)
    assert store.count() == 0


async def test_of_many_errors_the_first_are_told(api: Api) -> None:
    reply = await api.post(CONTACTS, {f"field{number}": 1 for number in range(1_000)})

    assert reply.status == 422
    assert len(reply.value["errors"]) == 20


async def test_an_email_that_another_contact_has_is_a_clash(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    alan = store.add(ALAN)[0]

    for reply in (
        await api.post(CONTACTS, {"name": "Other", "email": "ADA@example.com"}),
        await api.ask("PUT", at(alan), {"name": "Alan", "email": ada.email}, if_match=etag(alan)),
        await api.ask("PATCH", at(alan), {"email": ada.email}, if_match=etag(alan)),
    ):
        assert_problem(reply, 409, "email")
        assert reply.value["taken_by"] == ada.id
    assert store.get(alan.id) == alan
    assert store.count() == 2


async def test_put_replaces_all_fields(api: Api, store: ContactStore, ada: Contact) -> None:
    reply = await api.ask("PUT", at(ada), {"name": "Ada King", "phone": "2"}, if_match=etag(ada))

    assert reply.status == 200
    assert reply.value == as_json(store.get(ada.id))
    assert ContactDraft.of(store.get(ada.id)) == ContactDraft("Ada King", phone="2")
    assert reply.header("ETag") == etag(store.get(ada.id)) != etag(ada)
    assert reply.batch == 2


async def test_patch_changes_what_it_names_and_null_makes_empty(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    for media_type, body in (
        (PATCH, {"company": None, "tags": ["VIP"]}),
        (JSON, {"notes": "new", "tags": None}),
    ):
        now = store.get(ada.id)
        reply = await api.ask("PATCH", at(ada), body, media_type=media_type, if_match=etag(now))
        assert reply.status == 200

    contact = store.get(ada.id)
    assert (contact.company, contact.notes, contact.tags) == ("", "new", ())
    assert (contact.name, contact.email, contact.phone) == (ada.name, ada.email, ada.phone)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_without_a_difference_is_no_batch(
    api: Api, store: ContactStore, ada: Contact, method: str
) -> None:
    body = {"name": ADA.name, "email": ADA.email, "phone": ADA.phone, "company": ADA.company}

    reply = await api.ask(method, at(ada), body, if_match=etag(ada))

    assert (reply.status, reply.batch) == (200, 0)
    assert store.get(ada.id) == ada
    assert store.last_change() == 1


async def test_a_patch_that_no_contact_could_take_is_invalid_and_one_that_this_cannot_is_a_clash(
    api: Api, store: ContactStore
) -> None:
    alan = store.add(ALAN)[0]  # has no phone

    invalid = await api.ask("PATCH", at(alan), {"name": " ", "email": None, "phone": ""}, if_match=etag(alan))
    clash = await api.ask("PATCH", at(alan), {"email": None}, if_match=etag(alan))

    assert_problem(invalid, 422, "name", "email")
    assert_problem(clash, 409, "email")
    assert store.get(alan.id) == alan


async def test_a_deleted_contact_is_gone_and_undo_brings_it_back(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    gone = await api.ask("DELETE", at(ada), if_match=etag(ada))

    assert (gone.status, gone.answer.body) == (204, b"")
    assert_problem(await api.get(at(ada)), 404)
    back = await api.post(f"/api/v1/batches/{gone.batch}/undo")
    assert back.status == 200
    assert ContactDraft.of(store.get(ada.id)) == ADA.clean()


# ---- which version


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"name": "New", "phone": "1"}), ("PATCH", {"name": "New"}), ("DELETE", None)]
)
async def test_a_change_says_which_version_it_is_based_on(
    api: Api, store: ContactStore, ada: Contact, method: str, body: Any
) -> None:
    current = store.update(ada.id, ALAN, ada.version)[0]

    assert_problem(await api.ask(method, at(ada), body), 428)
    assert_problem(await api.ask(method, at(ada), body, if_match=" "), 428)
    for stale in (etag(ada), f"W/{etag(current)}", etag(current).strip('"'), '"none"', f"*, {etag(ada)}"):
        assert_problem(await api.ask(method, at(ada), body, if_match=stale), 412)
    assert store.get(ada.id) == current

    for right in (f"{etag(ada)} , {etag(current)}",):
        assert (await api.ask(method, at(ada), body, if_match=right)).status in (200, 204)
    assert store.last_change() == 3


async def test_a_star_takes_any_version(api: Api, store: ContactStore, ada: Contact) -> None:
    assert (await api.ask("PATCH", at(ada), {"name": "New"}, if_match="*")).value["name"] == "New"
    assert (await api.ask("DELETE", at(ada), if_match="*")).status == 204
    assert_problem(await api.ask("DELETE", at(ada), if_match="*"), 404)


class Interrupted(MemoryStore):
    """A store in which someone else changes a contact in the middle of every change through the API."""

    def get(self, contact_id: int) -> Contact:
        contact = super().get(contact_id)
        super().update(contact_id, ContactDraft(f"Version {contact.version + 1}", phone="1"), contact.version)
        return contact


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", {"name": "New", "phone": "1"}), ("PATCH", {"name": "New"}), ("DELETE", None)]
)
async def test_a_change_in_the_last_moment_is_not_overwritten(serve: Serve, method: str, body: Any) -> None:
    store = Interrupted()
    ada = store.add(ADA)[0]
    api = Api(await serve(store))

    assert_problem(await api.ask(method, at(ada), body, if_match=etag(ada)), 412)

    [now] = store.list(ListQuery()).contacts
    assert now.name == "Version 2"


async def test_what_has_not_changed_is_not_sent_again(api: Api, store: ContactStore, ada: Contact) -> None:
    for path in (CONTACTS, at(ada), "/api/v1/batches/1", "/api/openapi.json"):
        tag = (await api.get(path)).header("ETag")
        assert (await api.ask("GET", path, if_none_match=tag)).status == 304
        assert (await api.ask("GET", path, if_none_match='"other"')).status == 200

    tags = {path: (await api.get(path)).header("ETag") for path in (CONTACTS, at(ada))}
    store.update(ada.id, ALAN, ada.version)
    for path, tag in tags.items():
        assert (await api.ask("GET", path, if_none_match=tag)).status == 200


async def test_the_validator_tells_the_same_version_of_another_database_apart(ada: Contact) -> None:
    other = replace(ada, updated_at=ada.updated_at + timedelta(milliseconds=1))

    assert etag(ada) != etag(other)


async def test_a_condition_that_the_framework_answers_is_a_problem_as_well(api: Api, ada: Contact) -> None:
    assert_problem(await api.ask("GET", at(ada), if_match='"none"'), 412)


# ---- lists


@pytest.fixture
def five(store: ContactStore) -> list[Contact]:
    """Five contacts in the order of the list, three of them with the tag VIP."""
    people = {"Ada": "VIP,Maths", "Barbara": "", "Charles": "vip", "Donald": "Maths", "Edsger": "VIP"}
    return [add(store, name, tags=tags) for name, tags in people.items()]


def found(reply: Reply) -> list[str]:
    """The names on a page."""
    return [contact["name"] for contact in reply.value["contacts"]]


async def test_the_list_holds_whole_contacts_and_their_number(api: Api, five: list[Contact]) -> None:
    reply = await api.get()

    assert reply.status == 200
    assert reply.value["contacts"] == [as_json(contact) for contact in five]
    assert (reply.value["total"], reply.value["exact"], reply.value["next"]) == (5, True, None)
    assert reply.links == {"first": CONTACTS}


async def test_the_link_next_leads_through_the_whole_list(
    api: Api, store: ContactStore, five: list[Contact]
) -> None:
    page = await api.get(limit=2, sort="email", dir="desc")
    names = found(page)
    pages = 1
    while following := page.links.get("next"):
        assert page.value["next"] == following
        assert page.links["first"] == f"{CONTACTS}?sort=email&dir=desc&limit=2"
        store.delete([page.value["contacts"][-1]["id"]])  # paging stands on no row
        page = await api.get(following)
        names += found(page)
        pages += 1

    assert pages == 3
    assert names == [contact.name for contact in reversed(five)]
    assert page.value["next"] is None


async def test_search_tags_and_order_narrow_the_list(api: Api, five: list[Contact]) -> None:
    assert found(await api.get(q="ada")) == ["Ada"]
    assert found(await api.get(tag="VIP", dir="desc")) == ["Edsger", "Charles", "Ada"]
    assert found(await api.get(tag=["vip", "maths"])) == ["Ada"]
    assert found(await api.get(only="no-phone", limit=2)) == ["Ada", "Barbara"]
    assert found(await api.get(sort="updated", limit=1)) == ["Edsger"]
    narrowed = await api.get(q="example", tag="VIP", limit=1)
    assert narrowed.links["first"] == f"{CONTACTS}?q=example&tag=VIP&limit=1"
    assert narrowed.value["total"] == 3
    assert found(await api.get(narrowed.links["next"])) == ["Charles"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("sort=age", "sort"),
        ("dir=up", "dir"),
        ("only=me", "only"),
        ("only=", "only"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e3", "limit"),
        ("limit=", "limit"),
        (f"limit={PAGE_LIMIT + 1}", "limit"),
        (f"limit={'9' * 5_000}", "limit"),
        ("limit=1&limit=2", "limit"),
        (f"q={'x' * 201}", "q"),
        (f"tag={'x' * 41}", "tag"),
        ("&".join(f"tag={number}" for number in range(TAGS_LIMIT + 1)), "tag"),
        ("tags=VIP", "tags"),
    ],
)
async def test_a_list_that_cannot_be_meant_is_refused(api: Api, query: str, parameter: str) -> None:
    assert_problem(await api.ask("GET", f"{CONTACTS}?{query}"), 422, parameter)


async def test_who_only_reads_is_not_told_that_nothing_was_changed(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    asked = [CONTACTS, at(ada), "/api/v1/batches/1", f"{CONTACTS}/export?format=x", f"{CONTACTS}?limit=0"]
    for address in asked:
        refused = await api.get(address, strange=1) if "?" not in address else await api.ask("GET", address)
        assert refused.status == 422
        assert "changed" not in refused.value["detail"]
    for address in (CONTACTS, f"{CONTACTS}/bulk", "/api/v1/batches/1/undo"):
        refused = await api.post(f"{address}?strange=1", {"name": 1})
        assert_problem(refused, 422, "strange")
        assert "Nothing was changed." in refused.value["detail"]


async def test_a_place_that_no_list_gave_is_no_page(api: Api, five: list[Contact]) -> None:
    following = (await api.get(limit=2)).links["next"]

    for query in ("after=", "after=x", "after=W10", "after=%00", f"after={'A' * 9_000}"):
        assert_problem(await api.ask("GET", f"{CONTACTS}?{query}"), 404)
    assert (await api.ask("GET", following)).status == 200
    for sort in ("email", "company", "updated"):
        assert_problem(await api.ask("GET", f"{following}&sort={sort}"), 422, "after")
        other = (await api.get(limit=2, sort=sort)).links["next"]
        assert (await api.ask("GET", other)).status == 200
        assert_problem(await api.ask("GET", other.replace(f"sort={sort}&", "")), 422, "after")


@pytest.mark.parametrize(
    "query", ["q=%00", "q=%FF%FE", "q=%ED%A0%80", "tag=%00", "tag=%ED%A0%80", "q=%25%27%22%3B--"]
)
async def test_odd_texts_to_search_for_are_searched_for(api: Api, five: list[Contact], query: str) -> None:
    reply = await api.ask("GET", f"{CONTACTS}?{query}")

    assert reply.status == 200


# ---- many contacts


async def test_bulk_tags_and_deletes_as_one_batch(api: Api, store: ContactStore, five: list[Contact]) -> None:
    ids = [contact.id for contact in five[:2]]

    tagged = await api.post(
        f"{CONTACTS}/bulk", {"ids": [*ids, 999], "add_tags": ["New"], "remove_tags": ["vip"]}
    )
    deleted = await api.post(f"{CONTACTS}/bulk", {"matching": {"tag": ["new"]}, "delete": True})

    assert [store.version(number, 2) and store.version(number, 2).tags for number in ids] == [  # type: ignore[union-attr]
        ("Maths", "New"),
        ("New",),
    ]
    assert tagged.value["batch"]["kind"] == "tag"
    assert tagged.value["batch"]["size"] == deleted.value["batch"]["size"] == 2
    assert deleted.value["batch"]["summary"] == "Deleted 2 contacts"
    assert deleted.value["batch"]["id"] == deleted.batch == tagged.batch + 1
    assert store.count() == 3
    await api.post(f"/api/v1/batches/{deleted.batch}/undo")
    assert store.count() == 5


async def test_bulk_without_anything_to_do_is_no_batch(api: Api, five: list[Contact]) -> None:
    reply = await api.post(f"{CONTACTS}/bulk", {"matching": {"q": "nobody"}, "delete": True})

    assert (reply.status, reply.value, reply.batch) == (200, {"batch": None}, 0)


async def test_bulk_changes_more_contacts_than_fit_a_turn(api: Api, store: ContactStore) -> None:
    store.import_many(draft(f"Person {number}") for number in range(GROUP + 1))

    reply = await api.post(f"{CONTACTS}/bulk", {"matching": {}, "delete": True})

    assert reply.value["batch"]["size"] == GROUP + 1
    assert store.count() == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["ids", "delete"]),
        ({"ids": [1], "matching": {}, "delete": True}, ["ids"]),
        ({"ids": [1]}, ["delete"]),
        ({"ids": [1], "delete": True, "add_tags": ["a"]}, ["delete"]),
        ({"ids": [1], "delete": False}, ["delete"]),
        ({"ids": [], "delete": True}, ["ids"]),
        ({"ids": ["1"], "delete": True}, ["ids"]),
        ({"ids": [1.5], "delete": True}, ["ids"]),
        ({"ids": [True], "delete": True}, ["ids"]),
        ({"ids": [0], "delete": True}, ["ids"]),
        ({"ids": 1, "delete": True}, ["ids"]),
        ({"matching": [], "delete": True}, ["matching"]),
        ({"matching": {"tags": ["a"]}, "delete": True}, ["matching.tags"]),
        ({"matching": {"q": 1}, "delete": True}, ["matching.q"]),
        ({"matching": {"q": None}, "delete": True}, ["matching.q"]),
        ({"matching": {"tag": "VIP"}, "delete": True}, ["matching.tag"]),
        ({"matching": {"only": "all"}, "delete": True}, ["matching.only"]),
        ({"ids": [1], "add_tags": "VIP"}, ["add_tags"]),
        ({"ids": [1], "add_tags": ["a,b"]}, ["add_tags"]),
        ({"ids": [1], "add_tags": ["\0"]}, ["add_tags"]),
        ({"ids": [1], "remove_tags": [1]}, ["remove_tags"]),
        ({"ids": [1], "remove": ["a"], "delete": True}, ["remove"]),
    ],
)
async def test_bulk_that_cannot_be_meant_changes_nothing(
    api: Api, store: ContactStore, ada: Contact, body: Any, fields: list[str]
) -> None:
    assert_problem(await api.post(f"{CONTACTS}/bulk", body), 422, *fields)
    assert store.last_change() == 1


async def test_tags_that_do_not_fit_a_contact_are_a_clash(api: Api, store: ContactStore) -> None:
    full = add(store, "Ada", tags=",".join(map(str, range(TAGS_LIMIT))))
    other = add(store, "Alan")

    reply = await api.post(f"{CONTACTS}/bulk", {"ids": [other.id, full.id], "add_tags": ["one more"]})

    assert_problem(reply, 409, "tags")
    assert store.get(other.id) == other


# ---- files

CSV = "Name,Email\nGrace Hopper,grace@example.org\nNobody,nowhere\nAda,ada@example.com\n"


async def test_an_import_is_one_batch_and_lists_what_it_leaves_out(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    reply = await api.post(f"{CONTACTS}/import", CSV, media_type="text/csv; charset=utf-8")

    assert reply.status == 200
    assert {name: reply.value[name] for name in ("added", "updated", "skipped", "failed")} == {
        "added": 1,
        "updated": 0,
        "skipped": 1,
        "failed": 1,
    }
    assert reply.value["failures"] == [
        {"line": 3, "errors": {"email": "Enter a valid email address, such as ada@example.com."}}
    ]
    assert reply.value["batch"]["id"] == reply.batch
    assert store.count() == 2
    await api.post(f"/api/v1/batches/{reply.batch}/undo")
    assert store.count() == 1


async def test_an_import_can_update_and_can_be_tried_first(
    api: Api, store: ContactStore, ada: Contact
) -> None:
    trial = await api.post(f"{CONTACTS}/import?existing=update&dry_run=true", CSV, media_type="text/csv")
    assert (trial.value["updated"], trial.value["batch"], trial.batch) == (1, None, 0)
    assert store.last_change() == 1

    done = await api.post(f"{CONTACTS}/import?existing=update", CSV, media_type="text/csv")

    assert done.value["updated"] == 1
    assert store.get(ada.id).name == "Ada"


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("text/vcard", "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Grace Hopper\r\nTEL:1\r\nEND:VCARD\r\n"),
        (JSON, {"contacts": [{"name": "Grace Hopper", "phone": "1"}]}),
        (JSON, [{"name": "Grace Hopper", "phone": "1"}]),
        ("text/csv", "Name;Phone\nGrace Hopper;1\n".encode("utf-16")),
    ],
)
async def test_files_of_each_kind_are_imported(
    api: Api, store: ContactStore, media_type: str, content: Any
) -> None:
    reply = await api.post(f"{CONTACTS}/import", content, media_type=media_type)

    assert reply.value["added"] == 1
    assert [contact.name for contact in store.list(ListQuery()).contacts] == ["Grace Hopper"]


@pytest.mark.parametrize("kind", ["csv", "vcf", "json"])
async def test_an_export_is_a_file_that_an_import_takes_back(
    api: Api, serve: Serve, store: ContactStore, five: list[Contact], kind: str
) -> None:
    parts = await api._client.request("GET", f"{CONTACTS}/export?tag=vip&dir=desc&format={kind}")

    media_type = {"csv": "text/csv", "vcf": "text/vcard", "json": JSON}[kind]
    assert parts.status == 200
    assert parts.content_type.partition(";")[0] == media_type
    other = MemoryStore()
    api = Api(await serve(other))
    reply = await api.post(f"{CONTACTS}/import", parts.body_bytes, media_type=media_type)
    assert reply.value["added"] == 3
    kept = [ContactDraft.of(contact) for contact in other.list(ListQuery()).contacts]
    assert kept == [ContactDraft.of(contact) for contact in five if "vip" in str(contact.tags).lower()]


@pytest.mark.parametrize(
    ("media_type", "content", "line"),
    [
        ("text/csv", "", 0),
        ("text/csv", "Name,Email\n", 0),
        ("text/csv", "Colour,Size\nred,1\n", 1),
        ("text/csv", b"PK\x03\x04", 0),
        ("text/csv", b"Name,Email\nGrace,grace@example.org\nAl\0an,alan@example.net\n", 0),
        (JSON, '{"contacts": [{"name": "Grace", "phone": "1"},\n{"name": "Alan",, "phone": "1"}]}', 2),
        (JSON, '[{"name": "Grace", "phone": "1"}\n\n', 3),
        (JSON, "{}", 0),
        (JSON, "[" * 100_000, 1),
    ],
)
async def test_a_broken_file_imports_nothing_and_says_where(
    api: Api, store: ContactStore, media_type: str, content: Any, line: int
) -> None:
    reply = await api.post(f"{CONTACTS}/import", content, media_type=media_type)

    assert_problem(reply, 422)
    assert reply.value["detail"].endswith("Nothing was imported.")
    assert reply.value.get("line", 0) == line
    assert store.last_change() == 0


async def test_a_file_of_another_kind_and_one_that_is_too_large_are_refused(
    api: Api, store: ContactStore
) -> None:
    unknown = await api.post(f"{CONTACTS}/import", CSV, media_type="application/xml")
    nothing = await api.post(f"{CONTACTS}/import", CSV, media_type="")
    large = await api.post(f"{CONTACTS}/import", b"x" * (FILE_LIMIT + 1), media_type="text/csv")

    assert_problem(unknown, 415)
    assert_problem(nothing, 415)
    assert unknown.header("Accept") == "text/csv, text/vcard, application/json"
    assert_problem(large, 413)
    assert store.last_change() == 0


async def test_imports_that_fail_leave_no_file_behind(api: Api, store: ContactStore) -> None:
    for _ in range(Limits().uploads + 1):
        assert_problem(await api.post(f"{CONTACTS}/import", "", media_type="text/csv"), 422)

    assert (await api.post(f"{CONTACTS}/import", CSV, media_type="text/csv")).status == 200


async def test_the_rows_that_fail_are_counted_and_the_first_of_them_listed(api: Api) -> None:
    rows = "Name,Email\n" + "Nobody,nowhere\n" * (WRONG_LIMIT + 5)

    reply = await api.post(f"{CONTACTS}/import?dry_run=true", rows, media_type="text/csv")

    assert reply.value["failed"] == WRONG_LIMIT + 5
    assert len(reply.value["failures"]) == WRONG_LIMIT


@pytest.mark.parametrize(
    ("method", "query", "name"),
    [
        ("POST", "import?existing=replace", "existing"),
        ("POST", "import?dry_run=1", "dry_run"),
        ("POST", "import?dryrun=true", "dryrun"),
        ("GET", "export?format=xlsx", "format"),
        ("GET", "export?limit=5", "limit"),
    ],
)
async def test_parameters_of_files_that_cannot_be_meant_are_refused(
    api: Api, store: ContactStore, method: str, query: str, name: str
) -> None:
    reply = await api.ask(method, f"{CONTACTS}/{query}", CSV, media_type="text/csv")

    assert_problem(reply, 422, name)
    assert store.last_change() == 0


# ---- undo


async def test_a_batch_tells_what_was_done_and_what_became_of_it(api: Api, ada: Contact) -> None:
    before = (await api.get("/api/v1/batches/1")).value
    undone = await api.post("/api/v1/batches/1/undo")
    again = await api.post("/api/v1/batches/1/undo")
    after = (await api.get("/api/v1/batches/1")).value

    assert (before["kind"], before["size"], before["summary"]) == ("add", 1, "Added Ada Lovelace")
    assert (before["undoes"], before["undone_by"]) == (None, None)
    assert undone.value["batch"]["undoes"] == 1
    assert undone.value == again.value
    assert after["undone_by"] == undone.batch == undone.value["batch"]["id"]
    assert_problem(await api.get("/api/v1/batches/99"), 404)
    assert_problem(await api.post("/api/v1/batches/99/undo"), 404)


async def test_an_undo_that_would_lose_something_asks_first(
    api: Api, store: ContactStore, five: list[Contact]
) -> None:
    batch = store.delete([contact.id for contact in five])
    assert batch
    add(store, "Somebody else", email=five[0].email)

    asked = await api.post(f"/api/v1/batches/{batch.id}/undo")
    assert_problem(asked, 409)
    assert asked.value["plan"] == {"whole": 4, "partial": 0, "blocked": 1}
    assert store.count() == 1

    partly = await api.post(f"/api/v1/batches/{batch.id}/undo?partly=true")
    assert partly.value["batch"]["size"] == 4
    assert store.count() == 5


# ---- JSON that is not what it seems


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"name": "Ada",}', "no JSON"),
        ("\ufeff{}", "no JSON"),
        ('{"name": "Ada", "phone": "1"} {}', "no JSON"),
        ('{"name": "a\nb", "phone": "1"}', "no JSON"),
        (b'{"name": "\xff", "phone": "1"}', "UTF-8"),
        (b'{"name": "\xed\xa0\x80", "phone": "1"}', "UTF-8"),
        ('{"name": "Ada", "phone": "1"}'.encode("utf-16"), "UTF-8"),
        ('{"name": "\\ud800", "phone": "1"}', "half of a character"),
        ('{"\\udfff": "", "name": "Ada", "phone": "1"}', "half of a character"),
        ('{"name": "Ada", "name": "Alan", "phone": "1"}', "twice"),
        ('{"name": NaN}', "NaN"),
        ('{"name": -Infinity}', "Infinity"),
        ('{"name": 1e999}', "too large"),
        (f'{{"name": {2**63}}}', "too large"),
        (f'{{"name": {"9" * 5_000}}}', "too large"),
        ("[" * 100_000, "nested too deep"),
        ("[" * 900 + "]" * 900, "This is no contact"),
        ('{"a":' * 100_000, "nested too deep"),
    ],
    ids=lambda value: repr(value[:20]),
)
async def test_json_that_readers_could_understand_differently_is_refused(
    api: Api, store: ContactStore, body: str | bytes, reason: str
) -> None:
    reply = await api.post(CONTACTS, body)

    if reply.status != 422:
        assert_problem(reply, 400)
        assert reason in reply.value["detail"]
    else:
        assert isinstance(body, str)
        assert body.startswith("[[")
    assert store.last_change() == 0


@pytest.mark.parametrize("name", ["a\0b", "\x1b[31m", "\x85\x9f"])
async def test_control_characters_break_a_rule(api: Api, store: ContactStore, name: str) -> None:
    assert_problem(await api.post(CONTACTS, {"name": name, "phone": "1"}), 422, "name")
    assert store.count() == 0


async def test_a_body_above_the_limit_is_refused(api: Api, store: ContactStore) -> None:
    body = {"name": "Ada", "phone": "1", "notes": "x" * BODY_LIMIT}

    refused = await api.post(CONTACTS, body)

    assert_problem(refused, 413)
    assert f"{BODY_LIMIT} bytes. Send less at a time." in refused.value["detail"]
    assert store.count() == 0


@pytest.mark.parametrize(
    ("method", "path", "media_type"),
    [
        ("POST", CONTACTS, "text/plain"),
        ("POST", CONTACTS, ""),
        ("POST", CONTACTS, PATCH),
        ("POST", CONTACTS, "application/jsonp"),
        ("POST", CONTACTS, "application/x-www-form-urlencoded"),
        ("PATCH", f"{CONTACTS}/1", "application/json-patch+json"),
        ("PUT", f"{CONTACTS}/1", "multipart/form-data; boundary=x"),
    ],
)
async def test_other_media_types_are_refused(
    api: Api, store: ContactStore, ada: Contact, method: str, path: str, media_type: str
) -> None:
    reply = await api.ask(method, path, {"name": "New", "phone": "1"}, media_type=media_type, if_match="*")

    assert_problem(reply, 415)
    assert reply.header("Accept").endswith(JSON)
    assert store.last_change() == 1


@pytest.mark.parametrize("path", [CONTACTS, f"{CONTACTS}/import"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "identity, gzip", "br", "made-up"])
async def test_a_compressed_body_is_refused_as_such(
    api: Api, store: ContactStore, path: str, coding: str
) -> None:
    ada = {"name": "Ada", "phone": "1"}
    body = json.dumps(ada if path == CONTACTS else [ada])

    for sent in (gzip.compress(body.encode()), body):
        reply = await api.post(path, sent, content_encoding=coding)
        assert_problem(reply, 415)
        assert "without Content-Encoding" in reply.value["detail"]
        assert reply.header("Accept-Encoding") == "identity"
    assert store.last_change() == 0
    assert (await api.post(path, body, content_encoding=" Identity ")).status in (200, 201)


async def test_a_form_cannot_ask_for_another_method(api: Api, store: ContactStore, ada: Contact) -> None:
    reply = await api.post(
        at(ada), "_method=DELETE", media_type="application/x-www-form-urlencoded", if_match="*"
    )

    assert_problem(reply, 405)
    assert store.get(ada.id) == ada


# ---- everything else that is refused


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/contacts",
        "//api/nothing",
        f"{CONTACTS}/abc",
        f"{CONTACTS}/-1",
        f"{CONTACTS}/0",
        f"{CONTACTS}/{2**63}",
        f"{CONTACTS}/{'9' * 900}",
        f"{CONTACTS}/{'9' * 5_000}",
        "/api/v1/batches/0",
        f"/api/v1/batches/{'9' * 900}",
        "/api/<script>",
        "/api/v1/contacts/\x00",
    ],
)
async def test_unknown_addresses_below_api_are_problems(api: Api, path: str) -> None:
    assert_problem(await api.ask("GET", path), 404)


async def test_a_method_that_an_address_has_not_names_those_that_it_has(api: Api) -> None:
    for method, path, allowed in (
        ("DELETE", CONTACTS, {"GET", "POST", "HEAD"}),
        ("GET", f"{CONTACTS}/bulk", {"POST"}),
        ("POST", f"{CONTACTS}/1", {"GET", "PUT", "PATCH", "DELETE", "HEAD"}),
        ("OPTIONS", CONTACTS, {"GET", "POST", "HEAD"}),
        ("BREW", CONTACTS, {"GET", "POST", "HEAD"}),
    ):
        reply = await api.ask(method, path)
        assert_problem(reply, 405)
        assert set(reply.header("Allow").split(", ")) == allowed


async def test_a_write_that_a_page_of_another_site_sent_is_refused(api: Api, store: ContactStore) -> None:
    body = {"name": "Ada", "phone": "1"}

    assert_problem(await api.post(CONTACTS, body, sec_fetch_site="cross-site"), 403)
    assert_problem(await api.post(CONTACTS, body, origin="https://evil.example"), 403)
    assert store.count() == 0
    assert (await api.post(CONTACTS, body, sec_fetch_site="same-origin")).status == 201


async def test_a_store_that_is_unavailable_asks_to_come_back(api: Api, store: ContactStore) -> None:
    store.close()

    for reply in (
        await api.get(),
        await api.post(CONTACTS, {"name": "Ada", "phone": "1"}),
        await api.post(f"{CONTACTS}/import", CSV, media_type="text/csv"),
        await api.get(f"{CONTACTS}/export"),
    ):
        assert_problem(reply, 503)
        assert reply.header("Retry-After") == "5"


async def test_a_store_that_is_busy_is_unavailable(serve: Serve, busy_store: SQLiteStore) -> None:
    api = Api(await serve(busy_store))

    assert_problem(await api.ask("DELETE", f"{CONTACTS}/1", if_match="*"), 503)
    assert (await api.get(f"{CONTACTS}/1")).status == 200


async def test_a_mistake_of_ours_is_logged_and_not_shown(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: ListQuery) -> Any:
        raise RuntimeError("a secret of the house")

    store = MemoryStore()
    monkeypatch.setattr(store, "list", cast("Callable[..., Any]", broken))

    reply = await Api(await serve(store)).get()

    assert_problem(reply, 500)
    assert "secret" not in reply.answer.body.decode()
    assert "a secret of the house" in caplog.text


async def test_answers_are_asked_for_again_and_problems_are_not_kept(api: Api, ada: Contact) -> None:
    assert (await api.get(at(ada))).header("Cache-Control") == "private, no-cache"
    assert (await api.get(f"{CONTACTS}/999")).header("Cache-Control") == "no-store"


async def test_htmx_headers_change_nothing(api: Api, ada: Contact) -> None:
    reply = await api.ask("GET", f"{CONTACTS}/999", hx_request="true")

    assert_problem(reply, 404)
    assert reply.header("HX-Retarget") == ""
