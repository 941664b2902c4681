"""Reading forms: what a plain form cannot say itself, and what is no form at all."""

import pytest
from chirp.testing import TestClient

from app.contacts.contact import Contact
from app.main import BODY_LIMIT
from app.store import ContactStore
from tests.making import add
from tests.web.browser import FORM, Answer, Browser, Htmx

pytestmark = pytest.mark.anyio

MULTIPART = "multipart/form-data; boundary=cut"


@pytest.fixture
def ada(store: ContactStore) -> Contact:
    """The contact that is asked about."""
    return add(store, "Ada Lovelace", email="ada@example.com")


# ---- the method that a plain form asks for


async def test_a_form_can_ask_to_put(plain: Browser, store: ContactStore, ada: Contact) -> None:
    answer = await plain.post(
        f"/contacts/{ada.id}", _method="PUT", name="Ada King", email="ada@example.com", version="1"
    )

    assert answer.via == "/contacts?done=2"
    assert store.get(ada.id).name == "Ada King"


async def test_a_form_can_ask_to_delete(plain: Browser, store: ContactStore, ada: Contact) -> None:
    answer = await plain.post(f"/contacts/{ada.id}", _method="DELETE")

    assert answer.via == "/contacts?done=2"
    assert store.count() == 0


async def test_a_form_with_files_can_ask_too(client: TestClient, store: ContactStore, ada: Contact) -> None:
    body = b'--cut\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--cut--\r\n'

    answer = Answer.of(
        await client.post(f"/contacts/{ada.id}", body=body, headers={"content-type": MULTIPART})
    )

    assert answer.status == 303
    assert store.count() == 0


@pytest.mark.parametrize("method", ["", "PATCH", "GET", "delete", "DELETE ", "OPTIONS"])
async def test_a_form_can_ask_for_nothing_else(
    plain: Browser, store: ContactStore, ada: Contact, method: str
) -> None:
    answer = await plain.post(f"/contacts/{ada.id}", _method=method)

    assert answer.status == 405
    assert store.get(ada.id) == ada


async def test_only_a_post_can_ask(client: TestClient, store: ContactStore, ada: Contact) -> None:
    got = await client.get(f"/contacts/{ada.id}?_method=DELETE")
    put = await client.put(
        f"/contacts/{ada.id}", body=b"_method=DELETE&name=", headers={"content-type": FORM}
    )

    assert (got.status, put.status) == (200, 422)
    assert store.get(ada.id) == ada


async def test_only_a_field_of_the_form_can_ask(plain: Browser, store: ContactStore, ada: Contact) -> None:
    answer = await plain.post(f"/contacts/{ada.id}?_method=DELETE", name="x")

    assert answer.status == 405
    assert store.get(ada.id) == ada


# ---- forms that are none


BROKEN = {
    "JSON": ("application/json", b'{"name": "Grace"}', 415),
    "text": ("text/plain", b"name=Grace", 415),
    "no type that exists": ("nonsense", b"name=Grace", 415),
    "almost a form": (f"{FORM}ish", b"name=Grace", 400),
    "invalid UTF-8": (FORM, b"name=\xff\xfe", 400),
    "parts without a boundary": ("multipart/form-data", b"--cut", 400),
    "parts with another boundary": (MULTIPART, b"--other\r\n\r\n", 400),
    "parts that begin wrong": (MULTIPART, b"name=Grace", 400),
    "too large": (FORM, b"notes=" + b"n" * BODY_LIMIT, 413),
    "parts too large": (MULTIPART, b"--cut\r\n" + b"n" * BODY_LIMIT, 413),
}


@pytest.mark.parametrize(("content_type", "body", "status"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(("method", "path"), [("POST", "/contacts"), ("PUT", "/contacts/1")])
async def test_what_is_no_form_is_refused_and_nothing_is_stored(
    client: TestClient,
    store: ContactStore,
    ada: Contact,
    method: str,
    path: str,
    content_type: str,
    body: bytes,
    status: int,
) -> None:
    headers = {"content-type": content_type}

    page = Answer.of(await client.request(method, path, headers=headers, body=body))
    fragment = Answer.of(
        await client.request(method, path, headers=headers | {"hx-request": "true"}, body=body)
    )

    assert page.status == fragment.status == status
    assert page.is_page
    assert fragment.events["problem"]["message"]
    assert list(store.batches()) == [store.batch(1)]
    assert store.get(ada.id) == ada


async def test_a_field_given_twice_counts_once(client: TestClient, store: ContactStore) -> None:
    body = b"name=First&name=Second&email=first@example.com"

    await client.post("/contacts", body=body, headers={"content-type": FORM})

    assert store.get(1).name == "First"


async def test_a_form_without_a_type_is_read_as_one(client: TestClient, store: ContactStore) -> None:
    await client.post("/contacts", body=b"name=Grace&email=grace@example.org")

    assert store.get(1).name == "Grace"


async def test_a_form_in_parts_is_read_too(client: TestClient, store: ContactStore) -> None:
    fields = {"name": "Zoë", "email": "zoe@example.com"}
    parts = [
        f'--cut\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
        for name, value in fields.items()
    ]
    body = "\r\n".join([*parts, "--cut--\r\n"]).encode()

    await client.post("/contacts", body=body, headers={"content-type": MULTIPART})

    assert store.get(1).name == "Zoë"


async def test_the_longest_form_there_can_be_is_not_too_large(htmx: Htmx) -> None:
    answer = await htmx.ask(
        "POST",
        "/contacts",
        name="😀" * 200,
        email="someone@example.com",
        company="😀" * 200,
        tags=",".join(f"{number:02}{'😀' * 38}" for number in range(20)),
        notes="😀" * 5_000,
    )

    assert answer.status == 200
