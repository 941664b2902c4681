"""/api/openapi.json and /api/docs: the document of the API for programs, and the same for people.

The page is made of the document alone. References are resolved here, so that the template shows
plain values.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from chirp import Request, Response, Template

from app.web.api import cached
from app.web.openapi import Node
from app.web.openapi import document as described
from app.web.problems import KINDS
from app.web.reading import JSON
from app.web.transport import scheme

METHODS = ("get", "post", "put", "patch", "delete")
BASE = "$CONTACTS"  # of the examples: the reader sets it once

Prose = Sequence[tuple[str, bool]]  # pieces of a text, each with whether it is code


async def document() -> Response:
    """GET /api/openapi.json: the OpenAPI document."""
    return cached(Response(json.dumps(described()).encode(), content_type=JSON, render_intent="full_page"))


async def index(request: Request) -> Template:
    """GET /api/docs: the same to read, with the address by which it was asked for."""
    site = f"{scheme.get()}://{request.headers.get('host', 'localhost')}"
    return Template("api.html", **_page(), site=site, here="api")


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter, a header or a member of a schema. kind: its type and limits in words; see: a schema."""

    name: str
    kind: str
    about: Prose
    required: bool = False
    place: str = ""
    see: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is sent or answered. see: the schema that describes it, "" for none."""

    types: str
    see: str
    example: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers when it succeeds."""

    status: str
    about: Prose
    headers: Sequence[Row]
    contents: Sequence[Content]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the page shows it. problems: the statuses that tell what went wrong."""

    name: str
    method: str
    path: str
    summary: str
    about: Prose
    curl: str
    parameters: Sequence[Row]
    bodies: Sequence[Content]
    answers: Sequence[Answer]
    problems: Sequence[str]


@cache
def _page() -> dict[str, Any]:
    """What the template shows: it is the same for everybody."""
    whole = described()
    operations = [
        (tag["name"], _operation(path, method, item))
        for tag in whole["tags"]
        for path, item in whole["paths"].items()
        for method in METHODS
        if method in item and tag["name"] in item[method]["tags"]
    ]
    return {
        "about": _prose(whole["info"]["description"]),
        "groups": [
            (
                tag["description"].rstrip("."),
                [operation for name, operation in operations if name == tag["name"]],
            )
            for tag in whole["tags"]
        ],
        "schemas": [
            (name, _prose(schema.get("description", "")), _members(schema))
            for name, schema in whole["components"]["schemas"].items()
        ],
        "kinds": [(status, title, _prose(meaning)) for status, (title, meaning) in KINDS.items()],
        "base": BASE,
    }


def _operation(path: str, method: str, item: Node) -> Operation:
    said = item[method]
    parameters = [_found(one) for one in [*item.get("parameters", []), *said.get("parameters", [])]]
    body = said.get("requestBody", {}).get("content", {})
    answers = {status: _found(answer) for status, answer in said["responses"].items()}
    return Operation(
        name=said["operationId"],
        method=method.upper(),
        path=path,
        summary=said["summary"],
        about=_prose(said.get("description", "")),
        curl=_curl(method.upper(), path, parameters, body),
        parameters=[
            _row(one["name"], one["schema"], one, required=one.get("required", False), place=one["in"])
            for one in parameters
        ],
        bodies=_contents(body),
        answers=[_answer(status, answer) for status, answer in answers.items() if status < "400"],
        problems=[status for status in answers if status >= "400"],
    )


def _answer(status: str, answer: Node) -> Answer:
    headers = {name: _found(header) for name, header in answer.get("headers", {}).items()}
    rows = [_row(name, header["schema"], header, required=False) for name, header in headers.items()]
    return Answer(status, _prose(answer["description"]), rows, _contents(answer.get("content", {})))


def _contents(content: Mapping[str, Node]) -> Sequence[Content]:
    """The bodies, with those that are the same but for their media type as one."""
    joined: dict[tuple[str, str], list[str]] = {}
    for media_type, said in content.items():
        example = said.get("example", "")
        text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
        joined.setdefault((_name(said["schema"]), text.replace("\r\n", "\n")), []).append(media_type)
    return [Content(" or ".join(types), see, example) for (see, example), types in joined.items()]


def _curl(method: str, path: str, parameters: Iterable[Node], body: Mapping[str, Node]) -> str:
    """A command that does it, as a shell takes it."""
    address, words = f"{BASE}{path}", []
    query: dict[str, Any] = {}
    for one in parameters:
        match one:
            case {"in": "path", "name": name, "example": example}:
                address = address.replace(f"{{{name}}}", str(example))
            case {"in": "query", "name": name, "example": example}:
                query[name] = example
            case {"in": "header", "name": name, "required": True, "example": example}:
                words.append(f"-H {shlex.quote(f'{name}: {example}')}")
    for media_type, content in list(body.items())[:1]:
        words.append(f"-H {shlex.quote(f'Content-Type: {media_type}')}")
        example = content["example"]
        is_file = isinstance(example, str)
        sent = "--data-binary @contacts.csv" if is_file else f"-d {shlex.quote(json.dumps(example))}"
        words.append(sent)
    address += f"?{urlencode(query, doseq=True)}" if query else ""
    method_word = [] if method == "GET" else [f"-X {method}"]
    return " \\\n  ".join([" ".join(["curl", *method_word, f'"{address}"']), *words])


def _members(schema: Node) -> Sequence[Row]:
    required = schema.get("required", [])
    return [
        _row(name, member, member, required=name in required)
        for name, member in schema.get("properties", {}).items()
    ]


def _row(name: str, schema: Node, said: Node, *, required: bool, place: str = "") -> Row:
    about = said.get("description") or schema.get("description", "")
    return Row(name, _kind(schema), _prose(about), required, place, _name(schema))


def _kind(schema: Node) -> str:
    """The type and the limits in words: `text, at most 200 characters`."""
    match schema:
        case {"$ref": _}:
            return ""
        case {"anyOf": [one, {"type": "null"}]}:
            return f"{_kind(one)}, or null".removeprefix(", ")
        case {"enum": choices}:
            *others, last = map(str, choices)
            kind = f"{', '.join(others)} or {last}" if others else last
        case {"const": value}:
            kind = json.dumps(value)
        case {"type": "array"}:
            limit = f", at most {schema['maxItems']:,}" if "maxItems" in schema else ""
            items = _kind(schema.get("items", {}))
            kind = f"list{limit}" + (f"; of {items}" if items else " of")
        case {"type": list(types)}:
            kind = " or ".join(WORDS[one] for one in types)
        case _:
            kind = WORDS[schema.get("type", "object")]
    if "maxLength" in schema:
        kind += f", at most {schema['maxLength']:,} characters"
    if schema.get("maximum", 2**63) < 2**62:
        kind += f" from {schema['minimum']:,} to {schema['maximum']:,}"
    if "default" in schema:
        kind += f"; {json.dumps(schema['default']).strip('"')} unless given"
    return kind


WORDS = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


def _name(schema: Node) -> str:
    """The schema that is referred to, also as what a list holds; "" for none."""
    match schema:
        case {"$ref": reference}:
            return str(reference).rpartition("/")[2]
        case {"items": items}:
            return _name(items)
        case {"anyOf": [one, {"type": "null"}]}:
            return _name(one)
        case {"properties": {"contacts": contacts}}:
            return _name(contacts)
    return ""


def _found(node: Node) -> Node:
    """What a reference refers to, and anything else as it is."""
    if "$ref" not in node:
        return node
    found = described()
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def _prose(text: str) -> Prose:
    """A text of which some is `code`."""
    return [(piece, place % 2 == 1) for place, piece in enumerate(text.split("`")) if piece]
