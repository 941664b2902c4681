"""Which code does the same in the three apps: its source and its lines, taken from the files at start.

Lines are counted without blank lines, comments and docstrings. A name that is not there any more is an error,
so neither the page of `python -m twins` nor the README can go stale.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from twins.pages import ROOT

FRAMEWORKS = ("Chirp", "Flask", "FastAPI")
FLASK = "twins/flask_app.py"
FASTAPI = "twins/fastapi_app.py"
SHARED = "twins/pages.py"
INDEX = "twins/templates/contacts/index.html"
README = ROOT / "twins" / "README.md"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What one part of the app is in each framework.

    pieces: file and name of a function, a class, a `Class.method` or a template block.
    """

    title: str
    pieces: Mapping[str, Sequence[tuple[str, str]]]

    @property
    def slug(self) -> str:
        """The title as a part of a URL."""
        return re.sub(r"\W+", "-", self.title.lower())

    def source(self, framework: str) -> str:
        """The code, each piece below a line that names its file."""
        return "\n\n".join(f"# {path}\n{source(path, name)}" for path, name in self.pieces[framework])

    def lines(self, framework: str) -> int:
        """How many lines of code that is."""
        return sum(count(source(path, name), path) for path, name in self.pieces[framework])


def _pattern(title: str, chirp: str, flask: str, fastapi: str) -> Pattern:
    """A pattern from lists of names, each led by its file where that is not the twin's own."""
    files = {"pages": SHARED, "index.html": INDEX}

    def pieces(text: str, default: str) -> list[tuple[str, str]]:
        found = []
        for word in text.split():
            file, _, name = word.rpartition(":")
            found.append((files.get(file, f"app/web/{file}.py") if file else default, name))
        return found

    named = zip(FRAMEWORKS, (chirp, flask, fastapi), ("", FLASK, FASTAPI), strict=True)
    return Pattern(title, {framework: pieces(text, default) for framework, text, default in named})


PATTERNS = (
    _pattern("Active search", "contacts:index lists:requested_list", "index own_list", "index own_list"),
    _pattern(
        "Add, with the badge out of band",
        "contacts:create lists:changed lists:count_badge",
        "create changed pages:changed_context index.html:changed",
        "create Screen.changed pages:changed_context index.html:changed",
    ),
    _pattern("Validation, retargeted", "contacts:_wrong_form", "wrong_form", "ContactForm Screen.wrong_form"),
    _pattern(
        "Edit, and the conflict of two",
        "contacts:update contacts:_wrong_editor contacts:_deleted_meanwhile contacts:_in_conflict "
        "contacts:_trouble",
        "update wrong_editor index.html:saved_row pages:refused",
        "update Screen.wrong_editor index.html:saved_row pages:refused",
    ),
    _pattern("Delete", "contacts:delete", "delete", "delete"),
    _pattern(
        "Many at once",
        "bulk:bulk bulk:selected lists:ids_of threads:on_thread",
        "bulk pages:change_many pages:CannotChangeMany",
        "BulkForm bulk on_thread pages:change_many pages:CannotChangeMany",
    ),
    _pattern(
        "Message after a redirect",
        "lists:see_other lists:message_to_show lists:shown_once",
        "to_list see_other page",
        "Screen.to_list message_to_show Screen.page",
    ),
    _pattern(
        "PUT and DELETE from plain forms",
        "forms:method_override forms:read_form",
        "plain_form",
        "plain_form",
    ),
    _pattern(
        "Streamed dashboard",
        "dashboard:dashboard dashboard:_section dashboard:_as_ready dashboard:_staging",
        "dashboard as_ready pages:load pages:Staging",
        "dashboard as_ready pages:load pages:Staging",
    ),
    _pattern(
        "Events",
        "live:Live live:_Watcher live:stream streaming:Streamed streaming:send_streamed "
        "draining:draining draining:rest",
        "live news",
        "live",
    ),
    _pattern(
        "Errors",
        "errors:error_pages errors:explain errors:_page errors:_fragment",
        "http_error our_error error_answer pages:explain pages:explain_ours pages:problem_event",
        "error_answer pages:explain pages:explain_ours pages:problem_event",
    ),
    _pattern(
        "Headers, and writes from other sites",
        "headers:add_security_headers security:caching_rules security:refuse_cross_site_writes "
        "security:_is_same_site",
        "refuse_cross_site_writes refuse_other_bodies add_headers pages:is_cross_site",
        "Security add_headers pages:is_cross_site",
    ),
    _pattern("Hello", "hello:hello", "hello", "hello"),
)

# What each app is made of. Chirp's modules do more than the twins: the failure lab reaches into them, too.
_OF_CHIRP = """contacts lists bulk undo dashboard live hello errors security gate static forms streaming
    draining threads"""
WHOLE = {
    "Chirp": (
        *(f"app/web/{name}.py" for name in re.findall(r"\w+", _OF_CHIRP)),
        "app/routes.py",
        "app/main.py",
        "app/server.py",
        "app/listening.py",
        "app/mending.py",
        "app/pounce_fixes.py",
    ),
    "Flask": (FLASK, "twins/gunicorn_conf.py", SHARED),
    "FastAPI": (FASTAPI, SHARED),
}


@cache
def _read(path: str) -> str:
    return (ROOT / path).read_text()


def source(path: str, name: str) -> str:
    """The source of a function, class, method or template block. KeyError if there is none of that name."""
    text = _read(path)
    found = _block(text, name) if path.endswith(".html") else _definition(text, name)
    if found is None:
        raise KeyError(f"{path} has no {name}")
    return found


def count(text: str, path: str) -> int:
    """Lines: in Python without blank lines, comments and docstrings, in templates without blank ones."""
    if path.endswith(".html"):
        return sum(bool(line.strip()) for line in text.splitlines())
    lines = _code_lines(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if ast.get_docstring(node) is not None and first and first.end_lineno:
                lines -= set(range(first.lineno, first.end_lineno + 1))
    return len(lines)


def whole(framework: str) -> int:
    """The lines of a whole app, to the nearest 50: so small changes do not change the README."""
    return round(sum(count(_read(path), path) for path in WHOLE[framework]) / 50) * 50


def table() -> str:
    """The numbers for the README, in Markdown."""
    rows = [("Pattern", *FRAMEWORKS), ("---", *["---:"] * len(FRAMEWORKS))]
    rows += [(pattern.title, *(str(pattern.lines(name)) for name in FRAMEWORKS)) for pattern in PATTERNS]
    rows.append(("**The whole app, about**", *(f"**{whole(name):,}**" for name in FRAMEWORKS)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_table(text: str) -> str:
    """The text of the README with the numbers as they are."""
    begin, end = "<!-- lines: `python -m twins count` -->\n", "\n<!-- end of lines -->"
    before, _, rest = text.partition(begin)
    return before + begin + table() + end + rest.partition(end)[2]


def _code_lines(text: str) -> set[int]:
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    return {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in skipped and token.type != tokenize.ENDMARKER
        for line in range(token.start[0], token.end[0] + 1)
    }


def _definition(text: str, name: str) -> str | None:
    nodes: Sequence[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for part in name.split("."):
        node = next((node for node in nodes if getattr(node, "name", None) == part), None)
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        nodes = node.body
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = text.splitlines()[first - 1 : node.end_lineno]
    return "\n".join(line[node.col_offset :] for line in lines)


def _block(text: str, name: str) -> str | None:
    """A block of a Jinja template, from its tag to that which ends it."""
    start = text.find(f"{{% block {name} %}}")
    depth = 0
    for tag in _block_tags(text, start) if start >= 0 else ():
        depth += 1 if tag.group(1) == "block" else -1
        if depth == 0:
            return text[start : tag.end()]
    return None


def _block_tags(text: str, start: int) -> Iterator[re.Match[str]]:
    return re.compile(r"{% (block|endblock)\b.*?%}").finditer(text, start)
