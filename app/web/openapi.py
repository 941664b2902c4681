"""The API in the words of OpenAPI 3.1: what /api/openapi.json sends and /api/docs shows.

The limits are those of the rules, from `app.contacts`, so that they cannot differ from what is enforced.
A test holds this document against the routes, and schemathesis holds the answers against it.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

from app.contacts.changes import Kind
from app.contacts.contact import (
    EMAIL,
    LIMITS,
    PHONE,
    TAG_LIMIT,
    TAGS_LIMIT,
    Contact,
    ContactDraft,
)
from app.contacts.interchange import FILE_LIMIT, MEDIA_TYPES, ROWS_LIMIT, write
from app.contacts.jsons import as_json
from app.contacts.listing import COUNT_LIMIT, ONLY, PAGE_SIZE, SORTS, TEXT_LIMIT, write_place
from app.web.api import BATCHES, CONTACTS, EXISTING, EXPORTS, NO_YES, WRONG_LIMIT
from app.web.problems import KINDS, MEDIA_TYPE
from app.web.reading import DIRECTIONS, JSON, MERGE_PATCH, PAGE_LIMIT

Node = dict[str, Any]

# What no text may hold: control characters, but for those that count as space and are tidied away.
CONTROL = r"[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f]"
_ANY_CONTROL = r"[\u0000-\u001f\u007f-\u009f]"  # those too: JSON Schema does not take all of them for space
# The rule of an email, for domains in the larger alphabets. They are spelled out, because \w means the
# letters of every script in Python and of none but English in JSON Schema, and \p{L} is not read everywhere.
# Without Chinese and Korean, whose thousands of letters cost some readers seconds; the rule takes those, too.
LETTERS = (
    r"0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0391-\u03a1\u03a3-\u03c9\u0400-\u0481\u048a-\u052f"
    r"\u05d0-\u05ea\u0620-\u064a\u0904-\u0939\u3041-\u3096\u30a1-\u30fa"
)
_EMAIL = EMAIL.pattern.replace(r"[^\W_]", f"[{LETTERS}]").replace(r"[\w-]", f"[{LETTERS}_-]")
_VISIBLE = r"[^\s\u001c-\u001f\u0085]"
_ID = {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1}
_AT = {"type": "string", "format": "date-time", "description": "In UTC, with milliseconds."}

_ADA = Contact.create(
    7,
    ContactDraft("Ada Lovelace", "ada@example.com", "+44 20 7946 0101", "Engines", "Met in London", ("VIP",)),
    datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
)
_ETAG = '"1-1769851800000"'
_SENT = {"name": _ADA.name, "email": _ADA.email, "tags": list(_ADA.tags)}
_BATCH = {
    "id": 12,
    "at": "2026-01-31T09:30:00.000Z",
    "kind": "delete",
    "size": 3,
    "summary": "Deleted 3 contacts",
    "undoes": None,
    "undone_by": None,
}


@cache
def document() -> Node:
    """The whole document. It is shared: do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Contacts",
            "version": "1",
            "summary": "Everything that the pages do with contacts, for programs.",
            "description": (
                "Bodies are JSON in UTF-8. Texts are tidied as in a form: space at the ends goes, Unicode "
                "becomes NFC, tags are sorted. Every change answers with the header `Batch-Id`, by which "
                "it can be undone. Changing or deleting one contact takes `If-Match` with its `ETag`, so "
                "that nobody overwrites what someone else has saved. Errors are "
                "`application/problem+json`."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "tags": [
            {"name": "contacts", "description": "One contact, and lists of them."},
            {"name": "many", "description": "Many contacts at once, and files."},
            {"name": "batches", "description": "What was done, and undoing it."},
        ],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Where the server asks people to sign in, programs send a token.",
                }
            },
            "parameters": _parameters(),
            "headers": _headers(),
            "schemas": _schemas(),
            "responses": {f"Problem{status}": _problem(status) for status in KINDS},
        },
    }


# --- operations


def _paths() -> Node:
    contact_id, batch_id = _path_id("contact_id", 7), _path_id("batch_id", 12)
    select, order = _refs("parameters", "q", "tag", "only"), _refs("parameters", "sort", "dir")
    if_match, if_none_match = _refs("parameters", "IfMatch"), _refs("parameters", "IfNoneMatch")
    contact_links = {"links": _links_to_contact()}
    return {
        CONTACTS: {
            "get": _operation(
                "listContacts",
                "List contacts",
                "One page of the contacts that match. Follow the link `next` to the end of the list: paging "
                "repeats and skips nobody, also while others write.",
                parameters=[*select, *order, *_refs("parameters", "after", "limit"), *if_none_match],
                answers={
                    200: _answer("A page of the list.", "ContactPage", _page(), "ETag", "Link"),
                    **_same(),
                },
                problems=(404, 422),
            ),
            "post": _operation(
                "createContact",
                "Add a contact",
                "409 when another contact has its email address; `taken_by` says which.",
                body=_body(JSON, "ContactDraft", _SENT),
                answers={
                    201: _answer("The new contact.", "Contact", as_json(_ADA), "ETag", "Location", "Batch-Id")
                    | contact_links
                },
                problems=(400, 409, 413, 415, 422),
            ),
        },
        f"{CONTACTS}/{{contact_id}}": {
            "parameters": [contact_id],
            "get": _operation(
                "getContact",
                "Get a contact",
                parameters=if_none_match,
                answers={200: _answer("The contact.", "Contact", as_json(_ADA), "ETag"), **_same()},
                problems=(404, 422),
            ),
            "put": _operation(
                "replaceContact",
                "Replace a contact",
                "Fields that are left out become empty. Without any difference nothing is written, and no "
                "`Batch-Id` is sent.",
                parameters=if_match,
                body=_body(JSON, "ContactDraft", _SENT | {"email": "lovelace@example.com"}),
                answers={200: _changed_contact()},
                problems=(400, 404, 409, 412, 413, 415, 422, 428),
            ),
            "patch": _operation(
                "patchContact",
                "Change some fields",
                "A JSON merge patch (RFC 7396): fields that are left out stay, null makes empty, and `tags` "
                "are replaced as a whole. 422 when the patch breaks a rule by itself, 409 when it does "
                "together with the rest of the contact.",
                parameters=if_match,
                body=_body((MERGE_PATCH, JSON), "ContactPatch", {"company": "Engines", "phone": None}),
                answers={200: _changed_contact()},
                problems=(400, 404, 409, 412, 413, 415, 422, 428),
            ),
            "delete": _operation(
                "deleteContact",
                "Delete a contact",
                "Undoing the batch brings it back.",
                parameters=if_match,
                answers={
                    204: {"description": "It is deleted.", "headers": _refs_by_name("headers", "Batch-Id")}
                },
                problems=(404, 412, 422, 428),
            ),
        },
        f"{CONTACTS}/bulk": {
            "post": _operation(
                "changeMany",
                "Delete or tag many contacts",
                "All of it is one batch, or nothing happens. Ids that do not exist are passed over. "
                "`matching` takes what the list takes; an empty object means every contact.",
                tag="many",
                body=_body(
                    JSON,
                    "BulkChange",
                    {"matching": {"q": "engines"}, "add_tags": ["VIP"], "remove_tags": ["New"]},
                ),
                answers={
                    200: _changed_many("What was done; null when nothing had to change.", "BatchResult")
                },
                problems=(400, 409, 413, 415, 422),
            )
        },
        f"{CONTACTS}/import": {
            "post": _operation(
                "importContacts",
                "Import a file",
                "The body is the file. What it is, and what its columns fill, is recognised by its content. "
                f"At most {FILE_LIMIT // 1024**2} MB and {ROWS_LIMIT:,} contacts. All of it is one batch. "
                "Rows that break a rule are left out and listed; a file that cannot be read to its end "
                "imports nothing, and 422 says the `line`.",
                tag="many",
                parameters=_refs("parameters", "existing", "dry_run"),
                body=_file_body(),
                answers={
                    200: _changed_many("What was imported, or with `dry_run` would be.", "ImportResult")
                },
                problems=(413, 415, 422),
            )
        },
        f"{CONTACTS}/export": {
            "get": _operation(
                "exportContacts",
                "Export contacts",
                "All that match, on all pages, as a file that an import takes back as it was.",
                tag="many",
                parameters=[*select, *order, *_refs("parameters", "format")],
                answers={200: _file_answer()},
                problems=(422,),
            )
        },
        f"{BATCHES}/{{batch_id}}": {
            "parameters": [batch_id],
            "get": _operation(
                "getBatch",
                "Get a batch",
                "What was done under a `Batch-Id`.",
                tag="batches",
                parameters=if_none_match,
                answers={200: _answer("The batch.", "Batch", _BATCH, "ETag"), **_same()},
                problems=(404, 422),
            ),
        },
        f"{BATCHES}/{{batch_id}}/undo": {
            "parameters": [batch_id],
            "post": _operation(
                "undoBatch",
                "Undo a batch",
                "The answer is the batch that did it, which can be undone itself; asked again, also at the "
                "same moment, it is the same one. 409 when contacts have changed since: `plan` counts those "
                "that get back everything (`whole`), something (`partial`) and nothing (`blocked`).",
                tag="batches",
                parameters=_refs("parameters", "partly"),
                answers={200: _answer("The undo.", "Undone", {"batch": _undone()}, "Batch-Id")},
                problems=(404, 409, 422),
            ),
        },
    }


def _operation(
    name: str,
    summary: str,
    description: str = "",
    *,
    tag: str = "contacts",
    parameters: Iterable[Node] = (),
    body: Node | None = None,
    answers: Mapping[int, Node],
    problems: Iterable[int],
) -> Node:
    """One operation. problems: its own; those that every operation can have are added."""
    said: Node = {"operationId": name, "summary": summary, "tags": [tag]}
    if description:
        said["description"] = description
    if parameters := list(parameters):
        said["parameters"] = parameters
    if body:
        said["requestBody"] = body
    refused = {
        str(status): _ref("responses", f"Problem{status}") for status in {*problems, 401, 403, 421, 429, 503}
    }
    return said | {
        "responses": {str(status): answer for status, answer in answers.items()}
        | dict(sorted(refused.items()))
    }


def _body(types: str | tuple[str, ...], schema: str, example: Any) -> Node:
    content = {"schema": _ref("schemas", schema), "example": example}
    return {"required": True, "content": dict.fromkeys([types] if isinstance(types, str) else types, content)}


def _answer(description: str, schema: str, example: Any, *headers: str) -> Node:
    content = {JSON: {"schema": _ref("schemas", schema), "example": example}}
    return {"description": description, "headers": _refs_by_name("headers", *headers), "content": content}


def _same() -> dict[int, Node]:
    return {304: {"description": "It is still what `If-None-Match` names."}}


def _changed_contact() -> Node:
    return _undoable(_answer("The contact as it is now.", "Contact", as_json(_ADA), "ETag"))


def _changed_many(description: str, schema: str) -> Node:
    example: Node = {"batch": _BATCH}
    if schema == "ImportResult":
        wrong = {"line": 4, "errors": {"email": "Enter a valid email address, such as ada@example.com."}}
        figures = {"added": 3, "updated": 0, "skipped": 1, "failed": 1, "failures": [wrong]}
        example = figures | {"batch": _BATCH | {"kind": "import", "summary": "Imported 3 contacts"}}
    return _undoable(_answer(description, schema, example))


def _undoable(answer: Node) -> Node:
    """The answer to a change that may have changed nothing, with the link that undoes it."""
    batch_id = _headers()["Batch-Id"] | {"required": False}
    batch_id["description"] = "The change, to be undone by it; left out when nothing had to change."
    undo = {"operationId": "undoBatch", "parameters": {"batch_id": "$response.header.Batch-Id"}}
    return answer | {"headers": answer["headers"] | {"Batch-Id": batch_id}, "links": {"undo": undo}}


def _file_body() -> Node:
    texts = {kind: "".join(write([_ADA], kind)) for kind in ("csv", "vcf")}
    return {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": texts["csv"]},
            "text/vcard": {"schema": {"type": "string"}, "example": texts["vcf"]},
            JSON: {"schema": _ref("schemas", "ContactFile"), "example": {"contacts": [_SENT]}},
        },
    }


def _file_answer() -> Node:
    types = {kind: MEDIA_TYPES[kind].partition(";")[0] for kind in EXPORTS}
    content: Node = {types[kind]: {"schema": {"type": "string"}} for kind in ("csv", "vcf")}
    content[types["json"]] = {
        "schema": {
            "type": "object",
            "required": ["contacts"],
            "properties": {"contacts": {"type": "array", "items": _ref("schemas", "Contact")}},
        }
    }
    return {"description": "The file.", "content": content}


def _links_to_contact() -> Node:
    """From a new contact to what can be done with it."""
    found = {"contact_id": "$response.body#/id"}
    at_version = found | {"If-Match": "$response.header.ETag"}
    taken = {
        "getContact": found,
        "replaceContact": at_version,
        "patchContact": at_version,
        "deleteContact": at_version,
    }
    return {name: {"operationId": name, "parameters": parameters} for name, parameters in taken.items()}


def _page() -> Node:
    following = f"{CONTACTS}?q=ada&after={write_place('name', ('ada lovelace', 7))}"
    return {"contacts": [as_json(_ADA)], "total": 51, "exact": True, "next": following}


def _undone() -> Node:
    return _BATCH | {"id": 13, "kind": "undo", "summary": "Restored 3 contacts", "undoes": 12}


# --- parameters and headers


def _parameters() -> Node:
    return {
        "q": _query(
            "q",
            {"type": "string", "maxLength": TEXT_LIMIT},
            "Words that a contact must have, all of them, in any order and anywhere.",
            "ada engines",
        ),
        "tag": _query(
            "tag",
            {"type": "array", "maxItems": TAGS_LIMIT, "items": {"type": "string", "maxLength": TAG_LIMIT}},
            "A tag that a contact must have, without regard to case. May be given several times.",
            ["VIP"],
        )
        | {"style": "form", "explode": True},
        "only": _query(
            "only",
            {"type": "string", "enum": list(ONLY[1:])},
            "Only those that lack something, or that nobody has changed for a year (`stale`).",
        ),
        "sort": _query(
            "sort",
            {"type": "string", "enum": list(SORTS), "default": "name"},
            "What orders the list; then the id.",
        ),
        "dir": _query(
            "dir",
            {"type": "string", "enum": list(DIRECTIONS)},
            "Up or down. `updated` begins with the newest unless told otherwise, the others with A.",
        ),
        "after": _query(
            "after",
            {"type": "string", "minLength": 1},
            "The place behind which the page begins. Take it from the link `next`; 422 for one of a list "
            "with another `sort`, 404 for any other.",
        ),
        "limit": _query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT, "default": PAGE_SIZE},
            "How many contacts a page has.",
        ),
        "format": _query(
            "format", {"type": "string", "enum": list(EXPORTS), "default": EXPORTS[0]}, "What the file is."
        ),
        "existing": _query(
            "existing",
            {"type": "string", "enum": list(EXISTING), "default": EXISTING[0]},
            "What to do with contacts that are here already: leave them, replace their fields, or fill "
            "those that are empty.",
        ),
        "dry_run": _query("dry_run", _no_yes(), "Say what would happen, and change nothing."),
        "partly": _query("partly", _no_yes(), "Undo what can be undone, and leave the rest."),
        "IfMatch": {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": "The `ETag` that the change is based on; `*` for whatever the contact is now.",
            "schema": {"type": "string", "minLength": 1},
            "example": _ETAG,
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` of an earlier answer: 304 without a body if it would be the same.",
            "schema": {"type": "string"},
        },
    }


def _headers() -> Node:
    def header(schema: Node, description: str) -> Node:
        return {"required": True, "description": description, "schema": schema}

    return {
        "ETag": header(
            {"type": "string"},
            "Changes with the content. `If-None-Match` takes each, `If-Match` that of a contact: others are "
            "weak (`W/`).",
        )
        | {"example": _ETAG},
        "Location": header({"type": "string", "format": "uri-reference"}, "The address of the new contact.")
        | {"example": f"{CONTACTS}/7"},
        "Link": header(
            {"type": "string"}, "The first page, and the `next` one unless this is the last (RFC 8288)."
        ),
        "Batch-Id": header(_ID, "The change, to be undone by it.") | {"example": 12},
        "Allow": header({"type": "string"}, "The methods that the address has."),
        "WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to sign in."},
        "Retry-After": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds."},
    }


def _query(name: str, schema: Node, description: str, example: Any = None) -> Node:
    said: Node = {"name": name, "in": "query", "description": description, "schema": schema}
    return said if example is None else said | {"example": example}


def _no_yes() -> Node:
    return {"type": "boolean", "default": NO_YES[0] == "true"}


def _path_id(name: str, example: int) -> Node:
    return {"name": name, "in": "path", "required": True, "schema": _ID, "example": example}


# --- schemas


def _schemas() -> Node:
    fields = _fields()
    optional: Node = {
        name: schema if name == "name" else {"anyOf": [schema, {"type": "null"}]}
        for name, schema in fields.items()
    }
    empty = {"enum": ["", None]}
    held: Node = {name: {"type": "string", "maxLength": limit} for name, limit in LIMITS.items()} | {
        "tags": {"type": "array", "items": {"type": "string", "maxLength": TAG_LIMIT}, "maxItems": TAGS_LIMIT}
    }
    return {
        "Contact": _object(
            {
                "id": _ID,
                **held,
                "created_at": _AT,
                "updated_at": _AT,
                "version": _ID | {"description": "1 at creation, one higher with each change."},
            },
            "A contact as it is kept. Texts that it lacks are empty, tags are sorted.",
        ),
        "ContactDraft": _object(
            fields, "What a contact is made of: a name, and an email address or a phone number."
        )
        | {
            "required": ["name"],
            "anyOf": [
                {"required": [name], "properties": {name: {"minLength": 1}}} for name in ("email", "phone")
            ],
        },
        "ContactPatch": _object(optional, "The fields to change; null makes one empty.")
        | {
            "required": [],
            "not": {"required": ["email", "phone"], "properties": {"email": empty, "phone": empty}},
        },
        "ContactPage": _object(
            {
                "contacts": {"type": "array", "items": _ref("schemas", "Contact"), "maxItems": PAGE_LIMIT},
                "total": {
                    "type": "integer",
                    "minimum": 0,
                    "description": f"How many match on all pages; with a filter at most {COUNT_LIMIT:,}.",
                },
                "exact": {"type": "boolean", "description": "False when more match than `total` counts."},
                "next": {
                    "type": ["string", "null"],
                    "format": "uri-reference",
                    "description": "The next page; null on the last one.",
                },
            }
        ),
        "BulkChange": _bulk(),
        "Matching": _object(
            {
                "q": _parameters()["q"]["schema"],
                "tag": _parameters()["tag"]["schema"],
                "only": _parameters()["only"]["schema"],
            },
            "Every contact that the list with these parameters has; all of them for `{}`.",
        )
        | {"required": []},
        "Batch": _object(
            {
                "id": _ID,
                "at": _AT,
                "kind": {"type": "string", "enum": list(get_args(Kind))},
                "size": {"type": "integer", "minimum": 1, "description": "How many contacts it changed."},
                "summary": {"type": "string", "description": "What happened, in words for a person."},
                "undoes": {"type": ["integer", "null"], "description": "The batch that this one undid."},
                "undone_by": {"type": ["integer", "null"], "description": "The batch that undid this one."},
            },
            "One change, of one or many contacts.",
        ),
        "BatchResult": _object({"batch": {"anyOf": [_ref("schemas", "Batch"), {"type": "null"}]}}),
        "Undone": _object({"batch": _ref("schemas", "Batch")}),
        "ContactFile": {
            "description": (
                "Our own export, or the list alone. Each contact is an object with the names of our fields; "
                "what has no field becomes a line of the notes, what is no contact is a failure."
            ),
            "anyOf": [
                {"type": "array", "minItems": 1},
                {
                    "type": "object",
                    "required": ["contacts"],
                    "properties": {"contacts": {"type": "array", "minItems": 1}},
                },
            ],
        },
        "ImportResult": _object(
            {
                **{
                    name: {"type": "integer", "minimum": 0, "description": what}
                    for name, what in {
                        "added": "New contacts.",
                        "updated": "Contacts that were here and have changed.",
                        "skipped": "Contacts that were here and stay as they are.",
                        "failed": "Rows that were left out.",
                    }.items()
                },
                "failures": {
                    "type": "array",
                    "maxItems": WRONG_LIMIT,
                    "items": _ref("schemas", "Failure"),
                    "description": f"Why, for the first {WRONG_LIMIT:,}.",
                },
                "batch": {"anyOf": [_ref("schemas", "Batch"), {"type": "null"}]},
            }
        ),
        "Failure": _object(
            {
                "line": {"type": "integer", "minimum": 1, "description": "Where the row begins in the file."},
                "errors": _ref("schemas", "Errors"),
                "detail": {"type": "string", "description": "Why the row cannot be read at all."},
            }
        )
        | {"required": ["line"]},
        "Errors": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "The name of a field or parameter, and what to do about it.",
        },
        "Problem": _object(
            {
                "type": {
                    "type": "string",
                    "format": "uri-reference",
                    "description": "Where it is explained.",
                },
                "title": {"type": "string"},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string", "description": "What is wrong and what to do, for a person."},
                "errors": _ref("schemas", "Errors"),
                "taken_by": _ID | {"description": "The contact that has the email address."},
                "line": {"type": "integer", "minimum": 1, "description": "Of a file, where it is broken."},
                "plan": _object(
                    {name: {"type": "integer", "minimum": 0} for name in ("whole", "partial", "blocked")},
                    "What undoing a batch can do.",
                ),
            },
            "What went wrong (RFC 9457).",
        )
        | {"required": ["type", "title", "status", "detail"], "additionalProperties": True},
    }


def _fields() -> Node:
    """The fields that a client sends, each with its rule."""

    def text(name: str, **rule: Any) -> Node:
        return {"type": "string", "maxLength": LIMITS[name], "not": {"pattern": CONTROL}} | rule

    tag = {"type": "string", "maxLength": TAG_LIMIT, "pattern": "^[^,]*$", "not": {"pattern": CONTROL}}
    return {
        "name": text("name", minLength=1, pattern=_VISIBLE),
        "email": text(
            "email",
            pattern=f"^(?:{_EMAIL})?$",
            **{"not": {"pattern": _ANY_CONTROL}},
            description="One mailbox; letters of any script are welcome. No other contact may have it.",
        ),
        "phone": text(
            "phone", pattern=f"^(?:{PHONE.pattern})?$", description="Digits, spaces and + - ( ) . / x only."
        ),
        "company": text("company"),
        "notes": text("notes", description="May have several lines."),
        "tags": {"type": "array", "maxItems": TAGS_LIMIT, "items": tag},
    }


def _bulk() -> Node:
    tags = _fields()["tags"]
    return _object(
        {
            "ids": {"type": "array", "minItems": 1, "items": _ID},
            "matching": _ref("schemas", "Matching"),
            "delete": {"const": True},
            "add_tags": tags,
            "remove_tags": {"type": "array", "maxItems": TAGS_LIMIT, "items": {"type": "string"}},
        },
        "Which contacts (`ids` or `matching`), and what to do with them (`delete` or change the tags).",
    ) | {
        "required": [],
        "allOf": [
            {"oneOf": [{"required": ["ids"]}, {"required": ["matching"]}]},
            {
                "oneOf": [
                    {"required": ["delete"]},
                    {"anyOf": [{"required": ["add_tags"]}, {"required": ["remove_tags"]}]},
                ]
            },
        ],
    }


def _object(properties: Mapping[str, Any], description: str = "") -> Node:
    """An object with all of these members and no others."""
    said: Node = {"type": "object", "properties": dict(properties), "required": list(properties)}
    said |= {"additionalProperties": False}
    return said | {"description": description} if description else said


def _problem(status: int) -> Node:
    title, meaning = KINDS[status]
    example = {"type": f"/api/docs#problem-{status}", "title": title, "status": status, "detail": meaning}
    headers = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}
    said: Node = {
        "description": meaning,
        "content": {MEDIA_TYPE: {"schema": _ref("schemas", "Problem"), "example": example}},
    }
    if names := headers.get(status):
        said["headers"] = _refs_by_name("headers", *names)
    return said


def _ref(kind: str, name: str) -> Node:
    return {"$ref": f"#/components/{kind}/{name}"}


def _refs(kind: str, *names: str) -> list[Node]:
    return [_ref(kind, name) for name in names]


def _refs_by_name(kind: str, *names: str) -> Node:
    return {name: _ref(kind, name) for name in names}
