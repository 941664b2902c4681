"""Static files: kept in memory, named by their content, never a way into the file system."""

import re
from pathlib import Path

import pytest
from chirp.testing import TestClient

from tests.web.browser import Answer, Browser, decoded

pytestmark = pytest.mark.anyio

STATIC = Path(__file__).parents[2] / "static"
FOREVER = "public, max-age=31536000, immutable"


async def _files_of_the_page(plain: Browser) -> list[str]:
    head = (await plain.open("/contacts")).dom.one("head")
    return [element["href"] for element in head.all("link")] + [
        element["src"] for element in head.all("script")
    ]


async def _get(client: TestClient, url: str, **headers: str) -> Answer:
    return Answer.of(await client.get(decoded(url), headers=headers))


async def test_every_file_that_a_page_names_is_served_and_may_be_kept_for_ever(
    plain: Browser, client: TestClient
) -> None:
    urls = await _files_of_the_page(plain)

    answers = {url: await _get(client, url) for url in urls}

    assert len(urls) == 6  # the icon, the stylesheet, htmx, idiomorph and our two scripts
    assert {answer.status for answer in answers.values()} == {200}
    assert {answer.header("Cache-Control") for answer in answers.values()} == {FOREVER}


async def test_every_file_that_the_stylesheet_names_is_served(client: TestClient) -> None:
    urls = re.findall(r'url\("([^"]+)"\)', (STATIC / "app.css").read_text())

    statuses = {url: (await _get(client, url)).status for url in urls}

    assert statuses
    assert statuses == dict.fromkeys(urls, 200)


@pytest.mark.parametrize(
    "path", [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()]
)
async def test_a_file_is_served_as_it_lies_there(client: TestClient, path: str) -> None:
    answer = await _get(client, f"/static/{path}")

    assert answer.status == 200
    assert answer.body == (STATIC / path).read_bytes()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("app.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("vendor/inter-latin-5.3.0.woff2", "font/woff2"),
        ("vendor/htmx-LICENSE.txt", "text/plain; charset=utf-8"),
    ],
)
async def test_a_file_says_what_it_is(client: TestClient, path: str, content_type: str) -> None:
    answer = await _get(client, f"/static/{path}")

    assert answer.content_type == content_type


@pytest.mark.parametrize("version", ["", "?v=", "?v=0123456789ab"])
async def test_a_file_without_the_right_fingerprint_is_checked_every_time(
    client: TestClient, version: str
) -> None:
    answer = await _get(client, f"/static/app.css{version}")

    assert answer.status == 200
    assert answer.header("Cache-Control") == "no-cache"


async def test_a_vendored_file_may_be_kept_for_ever_by_its_name(client: TestClient) -> None:
    answer = await _get(client, "/static/vendor/inter-latin-5.3.0.woff2")

    assert answer.header("Cache-Control") == FOREVER


async def test_a_file_that_is_known_already_is_not_sent_again(client: TestClient) -> None:
    first = await _get(client, "/static/app.css")

    again = await _get(client, "/static/app.css", **{"if-none-match": first.header("ETag")})
    other = await _get(client, "/static/app.css", **{"if-none-match": '"something-else"'})

    assert (again.status, again.body) == (304, b"")
    assert again.header("ETag") == first.header("ETag")
    assert other.status == 200


async def test_a_file_can_be_asked_for_without_its_body(client: TestClient) -> None:
    answer = Answer.of(await client.request("HEAD", "/static/app.css"))

    assert answer.status == 200
    assert answer.header("ETag")


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/nothing.css",
        "/static/vendor",
        "/static/../app/main.py",
        "/static/vendor/../../app/main.py",
        "/static//etc/passwd",
        "/static/%2e%2e/app/main.py",
        "/static/..%5capp%5cmain.py",
        "/static/app.css%00",
    ],
)
async def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    as_it_came = await _get(client, path)
    as_a_server_decodes_it = Answer.of(await client.get(path))

    assert as_it_came.status == as_a_server_decodes_it.status == 404


async def test_files_cannot_be_written(client: TestClient) -> None:
    answer = Answer.of(await client.post("/static/app.css", data={"a": "b"}))
    nothing = Answer.of(await client.post("/static/nothing.css", data={"a": "b"}))

    assert (answer.status, answer.header("Allow")) == (405, "GET, HEAD")
    assert answer.header("Cache-Control") == "no-store"
    assert nothing.status == 404
