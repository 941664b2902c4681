"""The twins in Flask and FastAPI: what the contract asks of them most, and the page that compares all three.

Both run as real servers, on an SQLite file of their own. The rest of the contract: e2e/test_contract.py.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.event_stream import EventStream
from tests.server_process import Answer, RunningServer, running_server
from twins import patterns
from twins.compare import SCREENS, app, page
from twins.pages import ROOT
from twins.patterns import FRAMEWORKS, PATTERNS, Pattern

HTMX = {"HX-Request": "true"}
TWINS = ["flask", "fastapi"]


class Twin:
    """A running twin."""

    def __init__(self, name: str, server: RunningServer) -> None:
        self.name = name
        self.server = server

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """Send a request, with a form if there are fields."""
        sent = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
        conn = HTTPConnection(self.server.host, self.server.port, timeout=20)
        try:
            conn.request(method, path, urlencode(fields) or None, sent | dict(headers or {}))
            answer = conn.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read().decode())
        finally:
            conn.close()

    def add(self, name: str) -> int:
        """Add a contact of this name; its id."""
        answer = self.ask("POST", "/contacts", HTMX, name=name, phone="555-0100")
        return int(json.loads(answer.headers["hx-trigger"])["contactCreated"]["contact"])


@pytest.fixture(scope="module", params=TWINS)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """Each of them, with the twelve sample contacts."""
    with running_server(tmp_path_factory.mktemp(request.param), module=("twins", request.param)) as server:
        yield Twin(request.param, server)


def _names(answer: Answer) -> list[str]:
    return re.findall(r'class="person__name"[^>]*><bdi>(.*?)</bdi>', answer.text)


# ---- the list


def test_the_list_is_a_page_for_a_browser_and_a_table_for_htmx(twin: Twin) -> None:
    whole, table = twin.ask("GET", "/contacts"), twin.ask("GET", "/contacts", HTMX)

    assert whole.text.startswith("<!doctype html>")
    assert "Ada Lovelace" in _names(whole)
    assert table.text.startswith('<div id="contact-table"')
    assert _names(table) == _names(whole)
    assert "HX-Request" in table.headers["vary"].split(", ")


def test_a_search_is_pushed_and_shows_what_it_found(twin: Twin) -> None:
    found = twin.ask("GET", "/contacts?q=lovelace", HTMX | {"HX-Current-URL": f"{twin.server.url}/contacts"})

    assert found.headers["hx-push-url"] == "/contacts?q=lovelace"
    assert _names(found) == ["Ada <mark>Lovelace</mark>"]


# ---- a change


def test_an_addition_brings_table_badge_and_event(twin: Twin) -> None:
    answer = twin.ask("POST", "/contacts", HTMX, name="Radia Perlman", phone="555-0101")

    event = json.loads(answer.headers["hx-trigger"])["contactCreated"]
    assert answer.status == 200
    assert answer.text.startswith('<div id="contact-table"')
    assert f'<div id="contact-count" hx-swap-oob="innerHTML">{event["count"]}</div>' in answer.text
    assert '<div id="form-section" hx-swap-oob="innerHTML"></div>' in answer.text
    assert event["message"] == "Added Radia Perlman"
    assert f'id="contact-{event["contact"]}"' in answer.text


def test_a_wrong_form_comes_back_to_its_place(twin: Twin) -> None:
    alone = twin.ask("POST", "/contacts", HTMX, name="<Ada>", email="nowhere")
    whole = twin.ask("POST", "/contacts", name="<Ada>", email="nowhere")

    assert (alone.status, whole.status) == (422, 422)
    assert (alone.headers["hx-retarget"], alone.headers["hx-reswap"]) == ("#form-section", "innerHTML")
    for answer in (alone, whole):
        assert "Enter a valid email address, such as ada@example.com." in answer.text
        assert 'value="&lt;Ada&gt;"' in answer.text
    assert alone.text.startswith('<form id="contact-form"')
    assert "<title>Error: Contacts</title>" in whole.text


def test_two_edits_of_one_contact_meet(twin: Twin) -> None:
    path = f"/contacts/{twin.add('Edsger Dijkstra')}"
    twin.ask("PUT", path, HTMX, name="Edsger W. Dijkstra", phone="555-0100", version="1")

    late = twin.ask("PUT", path, HTMX, name="Edsger Wybe Dijkstra", phone="555-0100", version="1")

    assert (late.status, late.headers["hx-retarget"]) == (409, path.replace("/contacts/", "#contact-"))
    assert 'name="version" value="2"' in late.text
    assert 'type="radio" name="name" value="Edsger W. Dijkstra"' in late.text
    assert 'type="radio" name="name" value="Edsger Wybe Dijkstra" checked' in late.text


def test_a_deletion_can_be_undone(twin: Twin) -> None:
    path = f"/contacts/{twin.add('Alan Turing')}"

    deleted = twin.ask("DELETE", path, HTMX)
    gone = twin.ask("GET", path)
    undo = json.loads(deleted.headers["hx-trigger"])["contactDeleted"]["undo"]
    restored = twin.ask("POST", undo, HTMX)

    assert gone.status == 404
    assert "Contact not found" in gone.text
    assert json.loads(restored.headers["hx-trigger"])["contactCreated"]["message"] == "Restored Alan Turing"
    assert twin.ask("GET", path).status == 200


def test_without_script_a_redirect_brings_the_message_once(twin: Twin) -> None:
    path = f"/contacts/{twin.add('Barbara Liskov')}"

    sent = twin.ask("POST", f"{path}?q=liskov", _method="DELETE")
    cookie = {"Cookie": sent.headers.get("set-cookie", "").partition(";")[0]}
    there = twin.ask("GET", sent.headers["location"], cookie)
    cookie = {"Cookie": there.headers["set-cookie"].partition(";")[0]}
    again = twin.ask("GET", sent.headers["location"], cookie)

    assert (sent.status, sent.headers["location"].startswith("/contacts?q=liskov")) == (303, True)
    assert "<span>Deleted Barbara Liskov.</span>" in there.text
    assert re.search(r'action="/undo/\d+\?q=liskov"><button>Undo', there.text)
    assert "no-store" in there.headers["cache-control"]
    assert "Deleted Barbara Liskov" not in again.text


# ---- the rest


def test_the_dashboard_sends_its_shell_before_the_slow_sections(twin: Twin) -> None:
    with twin.server.connect() as conn:
        conn.request("/dashboard?slow=0.5&fail=activity")
        shell = conn.read_until("</template>")
        rest = conn.read_until("</html>")

    assert 'slot name="totals"' in shell
    assert 'id="totals"' not in shell
    assert rest.index('id="totals"') < rest.index('id="activity"')
    assert "This section could not be loaded." in rest


def test_a_window_is_told_what_it_missed(twin: Twin) -> None:
    twin.add("Frances Allen")

    with EventStream(twin.server, after=1) as stream:
        beat, news = stream.event(), stream.event()
        kind = stream.answer.getheader("Content-Type", "")

    assert beat is not None
    assert news is not None
    assert kind.startswith("text/event-stream")
    assert (beat["event"], beat["id"], news["event"]) == ("beat", "1", "changed")
    assert int(news["id"]) > 1


def test_probes_and_the_smallest_handler_answer(twin: Twin) -> None:
    assert twin.ask("GET", "/hello").text == "Hello from Contacts."
    assert twin.ask("GET", "/health").status == 200
    assert twin.ask("GET", "/ready").status == 200


def test_a_write_from_another_site_is_refused(twin: Twin) -> None:
    sent = {"name": "Karen Sparck Jones", "phone": "555-0102"}

    refused = twin.ask("POST", "/contacts", {"Sec-Fetch-Site": "cross-site"}, **sent)

    assert refused.status == 403
    assert "frame-ancestors 'none'" in refused.headers["content-security-policy"]
    assert "No contacts found" in twin.ask("GET", "/contacts?q=sparck").text


@pytest.mark.parametrize("twin", ["fastapi"], indirect=True)
def test_a_program_gets_its_problem_as_json_and_the_api_described(twin: Twin) -> None:
    problem = twin.ask("GET", "/contacts/999999", {"Accept": "application/json"})
    described = json.loads(twin.ask("GET", "/openapi.json").text)

    assert problem.headers["content-type"] == "application/problem+json"
    assert json.loads(problem.text)["status"] == 404
    assert {"get", "put", "delete", "post"} == described["paths"]["/contacts/{contact_id}"].keys()
    assert twin.ask("GET", "/docs").status == 200


@pytest.mark.parametrize("module", ["twins.flask_app", "twins.fastapi_app"])
def test_what_a_twin_imports_leaves_the_gil_off(module: str) -> None:
    servers = "gunicorn.app.wsgiapp, gunicorn.workers.gthread, uvicorn.main, uvloop, httptools"
    code = f"import sys, {module}, {servers}; print(sys._is_gil_enabled(), 'chirp' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert said.split() == [str(not sysconfig.get_config_var("Py_GIL_DISABLED")), "False"]


# ---- side by side

URLS = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(FRAMEWORKS, 8001)}


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.slug)
def test_every_pattern_is_shown_in_three_columns_as_it_is_in_the_files(pattern: Pattern) -> None:
    html = page(URLS, "list", pattern.slug)

    shown = re.findall(r"<code>(.*?)</code>", html, re.DOTALL)
    assert len(shown) == len(FRAMEWORKS)
    for framework, code in zip(FRAMEWORKS, shown, strict=True):
        for path, name in pattern.pieces[framework]:
            kind = "block" if path.endswith(".html") else "(?:def|class)"
            defined = re.search(rf"{kind} {name.rpartition('.')[2]}\b", unescape(code))
            assert defined, f"{name} is not shown"
            assert defined.group() in (ROOT / path).read_text()


@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_is_shown_in_three_frames(screen: str) -> None:
    html = page(URLS, screen, "")

    frames = re.findall(r'<iframe src="([^"]+)"', html)
    assert frames == [f"{url}{SCREENS[screen]}" for url in URLS.values()]


def test_all_three_may_be_framed_by_the_page_and_by_nothing_else(tmp_path: Path) -> None:
    origin = "http://127.0.0.1:1"
    print_headers = "from twins.pages import HEADERS; print(HEADERS)"
    of_twins = subprocess.run(
        [sys.executable, "-c", print_headers],
        env=os.environ | {"TWINS_FRAMED_BY": origin},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with app("chirp", tmp_path, origin) as url, urlopen(f"{url}/hello") as answer:
        of_chirp = answer.headers["Content-Security-Policy"]

    for policy in (of_twins, of_chirp):
        assert f"frame-ancestors {origin};" in policy


def test_the_numbers_in_the_readme_are_those_of_the_code() -> None:
    text = patterns.README.read_text()

    assert patterns.with_table(text) == text, "python -m twins count"
