"""The house rules that no other test would notice: who may import whom, and what templates leave alone."""

import ast
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The rooms of app/__init__.py, in its order: each imports only from those before it.
ROOMS = [
    "settings",
    "contacts",
    "store",
    "mending",
    "web",
    "routes",
    "main",
    "bounds",
    "listening",
    "pounce_fixes",
    "server",
    "probing",
    "users",
    "__main__",
]

MODULES = sorted(path for path in (ROOT / "app").rglob("*.py") if path != ROOT / "app/__init__.py")
# What the browser tests share with the others: how a server is started, and how HTML is read.
SHARED = ["tests/server_process.py", "tests/web/markup.py"]
TEMPLATES = sorted([*(ROOT / "templates").rglob("*.html"), *(ROOT / "twins/templates").rglob("*.html")])


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                # `from app import routes` imports a room too
                yield from (f"{module}.{alias.name}" for alias in names) if module == "app" else [str(module)]
            case ast.ImportFrom():
                yield "a relative import"


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "app").parts[0].removesuffix(".py")


# ---- imports


def test_the_rooms_are_those_that_the_package_describes() -> None:
    described = re.findall(
        r"^    (\w+)\b", ast.get_docstring(ast.parse((ROOT / "app/__init__.py").read_text())) or "", re.M
    )

    assert described == ROOMS
    assert {_room(path) for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_one_way(path: Path) -> None:
    own = [name for name in _imports(path) if name.partition(".")[0] == "app"]

    allowed = ROOMS[: ROOMS.index(_room(path)) + 1]
    assert [name for name in own if name.split(".")[1] not in allowed] == []


@pytest.mark.parametrize("path", sorted((ROOT / "app/contacts").glob("*.py")), ids=_name)
def test_what_a_contact_is_needs_only_the_standard_library(path: Path) -> None:
    strange = [
        name
        for name in _imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("app.contacts")
    ]

    assert strange == []


@pytest.mark.parametrize("path", sorted((ROOT / "app/store").glob("*.py")), ids=_name)
def test_stores_know_no_web(path: Path) -> None:
    assert {name.partition(".")[0] for name in _imports(path)}.isdisjoint({"chirp", "kida", "pounce"})


@pytest.mark.parametrize("path", sorted((ROOT / "app/web").glob("*.py")), ids=_name)
def test_handlers_know_no_database(path: Path) -> None:
    imported = list(_imports(path))

    assert {name.partition(".")[0] for name in imported}.isdisjoint({"sqlite3", "sqlite_utils"})
    assert [name for name in imported if name.startswith("app.store.")] == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    readers = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    ]

    assert (readers != []) == (path.name == "settings.py")


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "e2e").glob("*.py")), *map(ROOT.joinpath, SHARED)], ids=_name
)
def test_the_browser_tests_know_nothing_but_addresses(path: Path) -> None:
    own = {name for name in _imports(path) if name.partition(".")[0] in ("app", "tests")}

    assert own <= {path.removesuffix(".py").replace("/", ".") for path in SHARED}


# ---- templates


class _Tags(HTMLParser):
    """The tags of a template, with each {{ value }} as a dot and both sides of every {% if %}."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inline_script = ""
        text = re.sub(r"{#.*?#}|{%.*?%}", "", path.read_text(), flags=re.DOTALL)
        self.feed(re.sub(r"{{.*?}}", ".", text, flags=re.DOTALL))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.inline_script += data.strip()


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_templates_hold_no_script_and_no_style(path: Path) -> None:
    template = _Tags(path)

    attributes = {name for _, attrs in template.tags for name in attrs}
    assert [
        attrs for tag, attrs in template.tags if tag == "style" or (tag == "script" and "src" not in attrs)
    ] == []
    assert template.inline_script == ""
    assert {name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))} == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_templates_hold_nothing_that_htmx_would_evaluate(path: Path) -> None:
    values = [(name, value) for _, attrs in _Tags(path).tags for name, value in attrs.items()]

    assert [value for _, value in values if re.search(r"\b(js|javascript):", value)] == []
    assert [value for name, value in values if name == "hx-trigger" and "[" in value] == []
    assert [name for name, _ in values if name in ("hx-vars", "hx-ext", "hx-boost")] == []


def test_every_address_that_a_page_names_begins_at_the_root() -> None:
    addresses = {
        value
        for path in TEMPLATES
        for _, attrs in _Tags(path).tags
        for name, value in attrs.items()
        if name in ("href", "src", "action", "hx-get", "hx-post", "hx-put", "hx-delete")
    }

    assert {address for address in addresses if not address.startswith(("/", ".", "#", "tel:"))} == set()
