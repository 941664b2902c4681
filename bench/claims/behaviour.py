"""What Chirp, Flask and FastAPI do with the same request, and what they tell of themselves.

The apps answer in this process, without a server, so that what is seen is the framework's doing.
"""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final
from urllib.parse import quote, unquote, urlencode

import fastapi
import flask
import jinja2
import kida
from chirp import OOB, App, AppConfig, Fragment, Request, Template
from chirp.contracts import check_hypermedia_surface
from chirp.http.forms import form_or_errors
from fastapi import FastAPI, Form
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from starlette.types import ASGIApp, Message

from app.contacts.listing import ContactPage, ListQuery
from app.main import create_app as create_chirp_app
from app.settings import Settings
from app.store import ContactStore, StoreUnavailable
from app.store.memory import MemoryStore
from bench.claims.clients import print_table
from bench.claims.ledger import Finding, Verdict, claim
from bench.servers import ROOT
from twins import fastapi_app, flask_app, patterns

FRAMEWORKS: Final = patterns.FRAMEWORKS
SETTINGS: Final = Settings(store="memory:", env="production")
CONTACTS: Final = (
    "the contacts app and its twins, in one process without a server; store in memory, 12 sample contacts"
)
SMALL: Final = "small apps with the defaults of each framework, in one process without a server"

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
HTMX: Final = {"HX-Request": "true"}
JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}

type Web = flask.Flask | ASGIApp


# ---- asking an app


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def kind(self) -> str:
        """The type of its content: `text/html`."""
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def targets(self) -> int:
        """How many elements of the page it renews: one where htmx swaps, and those out of band."""
        return 1 + self.text.count("hx-swap-oob=")

    def __str__(self) -> str:
        return f"{self.status} {self.kind.removeprefix('text/').removeprefix('application/')}"


def contact_apps() -> dict[str, Web]:
    """The contacts app and its twins, each with a store of its own."""
    made = (create_chirp_app(SETTINGS), flask_app.create_app(SETTINGS), fastapi_app.create_app(SETTINGS))
    return dict(zip(FRAMEWORKS, made, strict=True))


def ask(app: Web, method: str, path: str, headers: Mapping[str, str] = {}, body: str = "") -> Answer:
    """Send one request to an app. path: as in the address bar, with what is escaped in it."""
    with quiet():
        if isinstance(app, flask.Flask):
            answer = app.test_client().open(path, method=method, headers=dict(headers), data=body)
            named = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status_code, named, answer.get_data(as_text=True))
        return asyncio.run(_ask_asgi(app, method, path, headers, body))


def send(
    app: Web, path: str, headers: Mapping[str, str] = {}, /, method: str = "POST", **fields: str
) -> Answer:
    """Send a form."""
    return ask(app, method, path, FORM | dict(headers), urlencode(fields))


async def _ask_asgi(app: ASGIApp, method: str, path: str, headers: Mapping[str, str], body: str) -> Answer:
    before, _, query = path.partition("?")
    sent: list[Message] = []
    unread: list[Message] = [{"type": "http.request", "body": body.encode(), "more_body": False}]

    async def receive() -> Message:
        if not unread:
            await asyncio.Event().wait()  # the client stays
        return unread.pop()

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(before),
        "raw_path": before.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(n.lower().encode(), v.encode()) for n, v in {"Host": "localhost", **headers}.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    try:
        await app(scope, receive, keep)
    except Exception:
        if not sent:  # Starlette answers 500 and raises nevertheless
            raise
    named = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], named, b"".join(part.get("body", b"") for part in sent[1:]).decode())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what a framework logs of errors that are caused on purpose."""
    logging.disable()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def small_chirp_app(folder: Path | str = "templates") -> App:
    """A Chirp app with no routes."""
    return App(AppConfig(template_dir=folder, static_dir=None, safe_target=False, sse_lifecycle=False))


def yes(value: object) -> str:
    """A word for a table."""
    return "yes" if value else "no"


# ---- page and fragment

KIDA_ROWS: Final = "<h1>Page</h1>{% block rows %}{% for row in rows %}<p>{{ row }}</p>{% end %}{% end %}"
KIDA_DEF: Final = "{% def line(row) %}<p>{{ row }}</p>{% end %}" + KIDA_ROWS.replace(
    "<p>{{ row }}</p>", "{{ line(row) }}"
)


def as_jinja(template: str) -> str:
    """One of these templates for Jinja2."""
    template = re.sub(r"{% def (.*?) %}(.*?){% end %}", r"{% macro \1 %}\2{% endmacro %}", template)
    return template.replace("{% end %}", "{% endfor %}", 1).replace("{% end %}", "{% endblock %}", 1)


def kida_block_is_of_its_page(text: str) -> bool:
    """Whether the block alone is byte for byte what it is in the page."""
    template = kida.Environment().from_string(text)
    return template.render_block("rows", rows="ab") in template.render(rows="ab")


def jinja_block_is_of_its_page(text: str) -> bool:
    """The same in Jinja2, without any package; False, too, when the block cannot be rendered alone."""
    template = jinja2.Environment(autoescape=True).from_string(as_jinja(text))
    try:
        block = "".join(template.blocks["rows"](template.new_context({"rows": "ab"})))
    except jinja2.UndefinedError:
        return False
    return block in template.render(rows="ab")


def list_of(name: str, app: Web) -> list[object]:
    """What makes the list and its fragment in an app: a column of the table."""
    fragment, page = ask(app, "GET", "/contacts", HTMX).text, ask(app, "GET", "/contacts").text
    folder, alone = "twins/templates", jinja_block_is_of_its_page
    if name == "Chirp":
        folder, alone = "templates", kida_block_is_of_its_page
    index = (ROOT / folder / "contacts/index.html").read_text()
    imported = set(re.findall(r'{%\s*(?:import|from|include)\s+"([^"]+)"', index))
    return [
        f"{len(page.encode()):,} / {len(fragment.encode()):,}",
        yes(fragment in page and "</tr>" in fragment),
        1 + len(imported),
        yes(alone(KIDA_ROWS)),
        yes(alone(KIDA_DEF)),
    ]


@claim(
    "one-template",
    "Chirp answers htmx with a part of the very template that makes the page; Flask and FastAPI need a "
    "second template for the fragment.",
)
def one_template() -> Finding:
    """The contacts app's list as page and as fragment, and a block alone of a template of one file."""
    columns = [list_of(name, app) for name, app in contact_apps().items()]
    labels = (
        "the list: bytes of page / of fragment",
        "  the fragment is in the page, byte for byte",
        "  files that hold it and its parts",
        "small template: its block alone is as in the page",
        "  and when the block calls a def (macro) of its file",
    )
    print_table(["", *FRAMEWORKS], zip(labels, *columns, strict=True))
    print("\nA block alone is template.render_block in Kida; in Jinja2 template.blocks, or jinja2-fragments.")
    same = all(column[1] == column[3] == "yes" for column in columns)
    macros = all(column[4] == "yes" for column in columns)
    because = "All three send htmx what is byte for byte a part of the page, from a block of its template."
    if not same:
        because = "Not every fragment is byte for byte a part of its page."
    elif not macros:
        because += (
            " But in Jinja2 a block alone does not see the macros of its own file, which in Kida it does: so "
            f"the list and its parts take {columns[1][2]} files in the twins, and {columns[0][2]} in Chirp."
        )
    return Finding("true" if not same else "false" if macros else "depends", because, CONTACTS)


# ---- several places of the page


@claim(
    "several-targets",
    "Chirp renews several places of a page with one response; Flask and FastAPI need more requests or more "
    "code for it.",
)
def several_targets() -> Finding:
    """How many elements one response to a change renews, and what it takes to write."""
    apps = contact_apps()
    filled = {"name": "Radia Perlman", "email": "radia@example.com"}
    steps: tuple[tuple[str, Callable[[Web], Answer]], ...] = (
        ("add a contact", lambda app: send(app, "/contacts", HTMX, **filled)),
        ("edit one", lambda app: send(app, "/contacts/1", HTMX, "PUT", name="Ada", phone="1", version="1")),
        ("delete one", lambda app: send(app, "/contacts/2", HTMX, "DELETE")),
        ("leave the field phone", lambda app: send(app, "/contacts/check", HTMX, field="phone", phone="1")),
    )
    renewed = {label: [step(app).targets for app in apps.values()] for label, step in steps}
    added = next(pattern for pattern in patterns.PATTERNS if pattern.title.startswith("Add"))
    lines = [added.lines(name) for name in FRAMEWORKS]
    by_hand = [out_of_band_by_hand(folder) for folder in ("templates", "twins/templates", "twins/templates")]
    print_table(["elements that one response renews", *FRAMEWORKS], ([k, *v] for k, v in renewed.items()))
    print()
    print_table(
        ["to write", *FRAMEWORKS],
        [
            ["lines for `add a contact`: handler, answer, template", *lines],
            ["hx-swap-oob by hand in the templates", *by_hand],
            ["a table row out of band", how_chirp_sends_a_row(), "by hand", "by hand"],
        ],
    )
    equal = all(len(set(counts)) == 1 for counts in renewed.values())
    longer = min(lines[1:]) > 1.2 * lines[0]
    return Finding(
        "true" if longer or not equal else "false",
        f"One response renews {'as many' if equal else 'not as many'} elements in all three: out-of-band "
        f"swaps are htmx's. Adding a contact takes {lines[0]} lines in Chirp, {lines[1]} in Flask, "
        f"{lines[2]} in FastAPI. Chirp has a type for it, and {by_hand[0]} hx-swap-oob in its templates; "
        f"the twins have {by_hand[1]}.",
        CONTACTS,
    )


def out_of_band_by_hand(folder: str) -> int:
    """How often the templates of a folder say that something goes out of band."""
    return sum(file.read_text().count("hx-swap-oob=") for file in (ROOT / folder).rglob("*.html"))


def how_chirp_sends_a_row() -> str:
    """When OOB sends a `tr` without a `div` around it, in which a browser drops the tags of the row."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "t.html").write_text("{% block row %}<tr id='row'><td>1</td></tr>{% end %}")
        for how in ("as it is", "if registered"):
            app = small_chirp_app(folder)
            if how == "if registered":
                app.register_oob_region("row", target_id="row", wrap=False)

            @app.route("/")
            async def change() -> OOB:
                return OOB(Fragment("t.html", "row"), Fragment("t.html", "row"))

            if "<div" not in ask(app, "GET", "/", HTMX).text:
                return how
    return "never"


# ---- wrong input


@dataclass
class Person:
    """What the small apps take."""

    name: str
    age: int


class PersonModel(BaseModel):
    """The same for Pydantic."""

    name: str
    age: int


def native_apps(folder: str) -> dict[str, tuple[Web, str]]:
    """What each framework does by itself with declared types: an app and a path for each way."""
    (Path(folder) / "form.html").write_text(
        "{% block form %}"
        "{% for name, told in errors.items() %}<p id='{{ name }}'>{{ told }}</p>{% end %}{% end %}"
    )
    by_type, by_form = small_chirp_app(folder), small_chirp_app(folder)
    by_hand, by_model = flask.Flask("small"), FastAPI()

    @by_type.route("/", methods=["POST"])
    async def typed(person: Person) -> dict[str, object]:
        return {"age": person.age}

    @by_form.route("/", methods=["POST"])
    async def form(request: Request) -> object:
        person = await form_or_errors(request, Person, "form.html", "form")
        return {"age": person.age} if isinstance(person, Person) else person

    @by_hand.post("/")
    def fields() -> dict[str, object]:
        return {"name": flask.request.form["name"], "age": int(flask.request.form["age"])}

    @by_model.post("/body")
    async def body(person: PersonModel) -> dict[str, object]:
        return {"age": person.age}

    @by_model.post("/form")
    async def model(person: Annotated[PersonModel, Form()]) -> dict[str, object]:
        return {"age": person.age}

    return {
        "Chirp, parameter of a type": (by_type, "/"),
        "Chirp, form_or_errors": (by_form, "/"),
        "Flask, request.form": (by_hand, "/"),
        "FastAPI, model of a form": (by_model, "/form"),
        "FastAPI, model of a body": (by_model, "/body"),
    }


def fields_named(answer: Answer) -> int:
    """How many of the fields `name` and `age` an answer, in JSON or HTML, calls wrong by their names."""
    if answer.status not in (400, 422):
        return 0
    if not answer.kind.endswith("json"):
        return sum(f"id='{name}'" in answer.text for name in ("name", "age"))
    detail = json.loads(answer.text)["detail"]
    places = [error["loc"][-1] for error in detail] if isinstance(detail, list) else []
    return len({"name", "age"} & set(places))


@claim(
    "validation",
    "FastAPI says by itself, field by field, what is wrong with what was sent; in Flask and Chirp one writes "
    "that oneself.",
)
def validation() -> Finding:
    """A wrong contact in the three apps, and a wrong person with what each framework does by itself."""
    apps = contact_apps()
    askers: dict[str, Callable[[Web], Answer]] = {
        "htmx": lambda app: send(app, "/contacts", HTMX, email="x"),
        "browser": lambda app: send(app, "/contacts", email="x"),
        "wants JSON": lambda app: send(app, "/contacts", {"Accept": "application/json"}, email="x"),
        "sends JSON": lambda app: ask(app, "POST", "/contacts", JSON, '{"email": "x"}'),
    }
    print_table(
        ["contacts, wrong form", *askers],
        ([n, *(how(app) for how in askers.values())] for n, app in apps.items()),
    )
    print("\nby itself; without `name`, `age` is a word; in brackets: how many of these two the answer names")
    sent = {"htmx": FORM | HTMX, "browser": FORM, "sends JSON": JSON}
    told: dict[str, dict[str, Answer]] = {}
    with TemporaryDirectory() as folder:
        for label, (app, path) in native_apps(folder).items():
            told[label] = {
                who: ask(app, "POST", path, headers, '{"age": "old"}' if who == "sends JSON" else "age=old")
                for who, headers in sent.items()
            }
        accepted = send(*native_apps(folder)["Chirp, parameter of a type"], name="Ada", age="old")
    print_table(
        ["", *sent],
        ([label, *(f"{a} ({fields_named(a)})" for a in answers.values())] for label, answers in told.items()),
    )
    print(f"Chirp, parameter of a type, age a word, nothing missing: {accepted}: {accepted.text}")
    best = fields_named(told["FastAPI, model of a body"]["sends JSON"])
    rest = max(fields_named(a["sends JSON"]) for label, a in told.items() if not label.startswith("FastAPI"))
    people = told["FastAPI, model of a form"]["browser"]
    form = fields_named(told["Chirp, form_or_errors"]["htmx"])
    verdict: Verdict = (
        "false" if best <= rest else "depends" if people.kind != "text/html" or form else "true"
    )
    return Finding(
        verdict,
        f"For programs it is so: in JSON FastAPI names {best} of the 2 wrong fields, the others {rest}; a "
        f"typed parameter of Chirp answered {accepted.status} to a word for a number. For people it is not: "
        f"FastAPI answers a form with {people.kind}, too, so all three apps send forms back by code of "
        f"their own. Built in is only Chirp's form_or_errors, with {form} of 2 in HTML.",
        f"{CONTACTS}; {SMALL}",
    )


# ---- what an app tells of itself


@claim("openapi", "FastAPI describes its routes to programs by itself, as OpenAPI; Flask and Chirp do not.")
def openapi() -> Finding:
    """What there is at /openapi.json, whether it is so, and what the commands of the others know."""
    apps = contact_apps()
    checked = check_hypermedia_surface(create_chirp_app(SETTINGS))
    rules = {rule.rule for rule in flask_app.create_app(SETTINGS).url_map.iter_rules()}
    answers = {name: ask(app, "GET", "/openapi.json") for name, app in apps.items()}
    described = {name: operations(answer) for name, answer in answers.items()}
    with_form = {n: sum("requestBody" in o for o in found.values()) for n, found in described.items()}
    print_table(
        ["", *FRAMEWORKS],
        [
            ["/openapi.json", *answers.values()],
            ["operations described", *map(len, described.values())],
            ["... with the fields of their form", *with_form.values()],
            ["addresses that `chirp check`, `flask routes` know", checked.routes_checked, len(rules), "-"],
        ],
    )
    app, known = apps["FastAPI"], described["FastAPI"]
    seen = (
        ("GET /contacts", ask(app, "GET", "/contacts")),
        ("POST /contacts", send(app, "/contacts", HTMX, name="Ada", phone="1")),
        ("POST /contacts", send(app, "/contacts", HTMX, email="x")),
        ("GET /contacts/{contact_id}", ask(app, "GET", "/contacts/99999")),
        (
            "PUT /contacts/{contact_id}",
            send(app, "/contacts/1", HTMX, "PUT", name="Ada", phone="1", version="9"),
        ),
        ("DELETE /contacts/{contact_id}", send(app, "/contacts/1", method="DELETE")),
    )
    right = [
        answer.kind in known.get(to, {}).get("responses", {}).get(str(answer.status), {}).get("content", {})
        for to, answer in seen
    ]
    print("\nwhat FastAPI's twin answers, and whether its description says so")
    for (to, answer), so in zip(seen, right, strict=True):
        print(f"  {to:32}{answer!s:12}{yes(so)}")
    print(
        f"\n`chirp check` compares, for itself, {checked.routes_checked} routes with "
        f"{checked.templates_scanned} templates: {checked.targets_found} addresses\nand "
        f"{checked.hx_targets_validated} targets in them; errors: {len(checked.errors)}."
    )
    alone = described["FastAPI"] and not described["Flask"] and not described["Chirp"]
    return Finding(
        "true" if alone else "false",
        f"FastAPI describes {len(known)} operations, {with_form['FastAPI']} with their form fields, "
        f"without a line for it; Flask {len(described['Flask'])}, Chirp {len(described['Chirp'])}. Of "
        f"{len(seen)} answers tried its description has {sum(right)}: it knows what comes in; what goes out "
        "one declares for each status.",
        CONTACTS,
    )


def operations(answer: Answer) -> dict[str, dict[str, Any]]:
    """The operations that an OpenAPI description has, by method and path; none if it is no such thing."""
    if answer.status != 200 or answer.kind != "application/json":
        return {}
    return {
        f"{method.upper()} {path}": operation
        for path, methods in json.loads(answer.text)["paths"].items()
        for method, operation in methods.items()
    }


# ---- another store, for a test


class Broken(MemoryStore):
    """A store that cannot be read."""

    def list(self, query: ListQuery) -> ContactPage:
        raise StoreUnavailable("This store is broken on purpose.")


def replace_in_chirp(app: Any, store: ContactStore) -> Any:
    return create_chirp_app(SETTINGS, store=store)


def replace_in_flask(app: Any, store: ContactStore) -> Any:
    app.extensions["contacts"] = store


def replace_in_fastapi(app: Any, store: ContactStore) -> Any:
    app.dependency_overrides[fastapi_app.get_store] = lambda: store


def restore_in_chirp(app: Any, store: object) -> None:
    """Nothing to do: the app is another one."""


def restore_in_flask(app: Any, store: object) -> None:
    app.extensions["contacts"] = store


def restore_in_fastapi(app: Any, store: object) -> None:
    app.dependency_overrides.clear()


@claim("dependency-injection", "Only FastAPI lets a test replace a part of the app by one line.")
def dependency_injection() -> Finding:
    """Give each app a store that cannot be read, as a test would, and then its own again."""
    ways = zip(
        contact_apps().items(),
        (replace_in_chirp, replace_in_flask, replace_in_fastapi),
        (restore_in_chirp, restore_in_flask, restore_in_fastapi),
        strict=True,
    )
    rows, lines, works = [], [], []
    for (name, app), replace, restore in ways:
        original = app.extensions["contacts"] if isinstance(app, flask.Flask) else None
        statuses = [ask(app, "GET", "/contacts").status]
        other = replace(app, Broken()) or app
        statuses.append(ask(other, "GET", "/contacts").status)
        restore(app, original)
        statuses.append(ask(app, "GET", "/contacts").status)
        counts = [patterns.count(getsource(step), "x.py") - 1 for step in (replace, restore)]
        lines.append(counts[0])
        works.append(statuses == [200, 503, 200])
        rows.append([name, *statuses, *counts, "the same" if other is app else "another"])
    print_table(["", "before", "broken", "after", "lines to replace", "to restore", "app"], rows)
    refusal = refusal_of_chirp()
    print(f"\nChirp, asked to replace it in the app that serves already: {refusal or 'does it'}")
    equal = all(works) and max(lines[:2]) <= lines[2]
    return Finding(
        "false" if equal else "true",
        f"Lines it takes: {lines[0]} in Chirp, {lines[1]} in Flask, {lines[2]} in FastAPI; the answer "
        f"changes, and is what it was afterwards, in {sum(works)} of 3. FastAPI does it to anything that a "
        "handler depends on, Flask and Chirp to what the app keeps where a test can reach it"
        + ("; and in Chirp it is another app, since the one that serves refuses." if refusal else "."),
        CONTACTS,
    )


def refusal_of_chirp() -> str:
    """What Chirp says when a dependency is to be replaced after the start; "" when it does it."""
    app = create_chirp_app(SETTINGS)
    try:
        app.provide(ContactStore, Broken)
    except RuntimeError as error:
        return str(error).partition(".")[0]
    return ""


# ---- what a person typed

SCRIPT: Final = "<script>alert(1)</script>"
EVIL: Final = SCRIPT + "\"'&"


def places(app: Web) -> dict[str, Answer]:
    """Every kind of answer that shows what was typed."""
    added = send(
        app, "/contacts", HTMX, name=EVIL, email="evil@example.com", tags=EVIL, notes=EVIL, company=EVIL
    )
    path = f"/contacts/{json.loads(added.headers['hx-trigger'])['contactCreated']['contact']}"
    return {
        "page of the list": ask(app, "GET", "/contacts"),
        "table, after adding": added,
        "detail page": ask(app, "GET", path),
        "row editor": ask(app, "GET", f"{path}/edit", HTMX),
        "form that comes back": send(app, "/contacts", HTMX, name=EVIL, email=EVIL),
        "search, with marks": ask(app, "GET", "/contacts?q=script+alert", HTMX),
        "search in vain": ask(app, "GET", f"/contacts?q={quote(EVIL + '?')}"),
        "out of band": send(app, "/contacts/check", HTMX, field="phone", email="evil@example.com"),
    }


def escaping_of(answer: Answer) -> str:
    """Whether it shows what was typed, escaped or raw."""
    unmarked = re.sub(r"</?mark>", "", answer.text)
    if SCRIPT in unmarked:
        return "raw"
    return "escaped" if "&lt;script&gt;alert(1)&lt;/script&gt;" in unmarked else "not there"


def default_apps(folder: str) -> dict[str, Web]:
    """An app of each framework with nothing set: a template, and a handler that returns a string."""
    (Path(folder) / "t.html").write_text("<p>{{ name }}</p>")
    chirp, fast = small_chirp_app(folder), FastAPI()
    plain = flask.Flask("small", template_folder=folder)
    templates = Jinja2Templates(folder)

    @chirp.route("/template")
    async def chirp_template(request: Request) -> Template:
        return Template("t.html", name=request.query["name"])

    @chirp.route("/string")
    async def chirp_string(request: Request) -> str:
        return f"<p>{request.query['name']}</p>"

    @plain.get("/template")
    def flask_template() -> str:
        return flask.render_template("t.html", name=flask.request.args["name"])

    @plain.get("/string")
    def flask_string() -> str:
        return f"<p>{flask.request.args['name']}</p>"

    @fast.get("/template", response_class=HTMLResponse)
    async def fastapi_template(request: fastapi.Request, name: str) -> Response:
        return templates.TemplateResponse(request, "t.html", {"name": name})

    @fast.get("/string")
    async def fastapi_string(name: str) -> str:
        return f"<p>{name}</p>"

    return dict(zip(FRAMEWORKS, (chirp, plain, fast), strict=True))


def dangers() -> dict[str, list[str]]:
    """What each framework with nothing set makes of a script in a request, by the way it is answered."""
    attacks = {
        "what a template renders": f"/template?name={quote(SCRIPT)}",
        "a string that a handler returns": f"/string?name={quote(SCRIPT)}",
        "its own page for 404, with a script as the path": f"/{quote(SCRIPT, safe='')}",
    }
    with TemporaryDirectory() as folder:
        small = default_apps(folder).values()
        return {way: [danger_of(ask(app, "GET", path)) for app in small] for way, path in attacks.items()}


def danger_of(answer: Answer) -> str:
    """What a browser would make of an answer to an attack."""
    return "runs it" if answer.kind == "text/html" and SCRIPT in answer.text else "safe"


@claim("escaping", "All three escape by default what a person typed.")
def escaping() -> Finding:
    """A contact whose every field is a script, wherever it is shown; and each framework with nothing set."""
    shown = {name: places(app) for name, app in contact_apps().items()}
    inside = {
        place: [escaping_of(answers[place]) for answers in shown.values()]
        for place in next(iter(shown.values()))
    }
    told = [
        json.loads(a["table, after adding"].headers["hx-trigger"])["contactCreated"] for a in shown.values()
    ]
    whole = ["JSON" if event["message"] == f"Added {EVIL}" else "changed" for event in told]
    print_table(
        ["a script typed into every field", *FRAMEWORKS],
        [*([place, *how] for place, how in inside.items()), ["header HX-Trigger", *whole]],
    )
    default = dangers()
    print()
    print_table(["with nothing set", *FRAMEWORKS], ([way, *how] for way, how in default.items()))
    escaped = sum(how.count("escaped") for how in inside.values())
    every = escaped == len(inside) * len(FRAMEWORKS) and set(default["what a template renders"]) == {"safe"}
    holes = [
        f"{way} ({', '.join(name for name, one in zip(FRAMEWORKS, how, strict=True) if one != 'safe')})"
        for way, how in default.items()
        if set(how) != {"safe"}
    ]
    total = len(inside) * len(FRAMEWORKS)
    return Finding(
        "false" if not every else "depends" if holes else "true",
        f"What a template renders is escaped in all three, in {escaped} of {total} places: page, fragment "
        f"and out of band. With nothing set a script would run in: {'; '.join(holes) or 'nothing'}.",
        f"{CONTACTS}; {SMALL}",
    )
