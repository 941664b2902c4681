"""The OpenAPI document is valid, has every route of the API and no other, and tells the rules as they are."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from chirp import App
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.contacts.contact import FIELDS, LIMITS, TAG_LIMIT, TAGS_LIMIT, ContactDraft, InvalidContact
from app.main import create_app
from app.settings import Settings
from app.store.memory import MemoryStore
from app.web.openapi import CONTROL, LETTERS, document

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def app() -> App:
    """The app, to read its routes."""
    return create_app(Settings(), MemoryStore())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and content of every operation."""
    for path, item in document()["paths"].items():
        for method in METHODS & item.keys():
            yield method.upper(), path, item[method]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """What checks a value against a schema of the document."""
    return Draft202012Validator({**schema, "components": document()["components"]})


def schema(name: str) -> Draft202012Validator:
    return validator({"$ref": f"#/components/schemas/{name}"})


def test_the_document_is_valid_openapi() -> None:
    sent = json.loads(json.dumps(document()))

    assert [error.message for error in OpenAPIV31SpecValidator(sent).iter_errors()] == []


def test_the_document_has_every_route_of_the_api_and_no_other(app: App) -> None:
    routes = {
        (method, re.sub(r"\{(\w+)(:\w+)?\}", r"{\1}", route.path))
        for route in app._router.routes  # type: ignore[union-attr]
        for method in route.methods
        if route.path.startswith("/api/v1")
    }

    assert {(method, path) for method, path, _ in operations()} == routes
    assert len(routes) == 11


def test_every_operation_is_named_once_explained_and_says_what_goes_wrong() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names)
    for method, path, operation in operations():
        wrong = {status for status in operation["responses"] if status >= "400"}
        assert operation["summary"], path
        assert {"401", "403", "421", "422", "429", "503"} <= wrong, path
        assert ("requestBody" in operation) == ({"413", "415"} <= wrong), path
        assert (method in ("PUT", "PATCH", "DELETE")) == ({"412", "428"} <= wrong), path
        assert ("{" in path) <= ("404" in wrong), path


def test_every_example_is_what_its_schema_says() -> None:
    seen = 0
    for node in nodes(document()):
        if "example" in node and "schema" in node:
            errors = [error.message for error in validator(node["schema"]).iter_errors(node["example"])]
            assert errors == [], node["example"]
            seen += 1
    assert seen > 25


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


# ---- the schema of a contact against the rules


def breaks_a_rule(**fields: Any) -> bool:
    try:
        ContactDraft(**{"name": "Ada", "phone": "1"} | fields).clean()
    except InvalidContact:
        return True
    return False


@pytest.mark.parametrize("field", FIELDS)
def test_the_schema_has_the_limit_of_each_field(field: str) -> None:
    limits: dict[str, Any] = {"phone": "1" * 1, "name": "Ada"}
    if field == "tags":
        longest: Any = [f"{number:02}{'x' * (TAG_LIMIT - 2)}" for number in range(TAGS_LIMIT)]
        longer: Any = [*longest, "one more"]
    elif field == "email":
        end = "@" + ".".join(["d" * 60] * 3)
        longest = "x" * (LIMITS["email"] - len(end)) + end
        longer = f"x{longest}"
    else:
        longest = "1" * LIMITS[field]
        longer = f"{longest}1"

    assert schema("ContactDraft").is_valid(limits | {field: longest})
    assert not breaks_a_rule(**{field: longest})
    assert not schema("ContactDraft").is_valid(limits | {field: longer})
    assert breaks_a_rule(**{field: longer})


@pytest.mark.parametrize(
    ("fields", "is_valid"),
    [
        ({"name": "Ada", "phone": "1"}, True),
        ({"name": "Ada", "email": "ada@example.com", "phone": ""}, True),
        ({"name": "Ada"}, False),
        ({"name": "Ada", "email": "", "phone": ""}, False),
        ({"name": "", "phone": "1"}, False),
        ({"name": " \t\u3000", "phone": "1"}, False),
        ({"name": "Ada", "email": "ada@example"}, False),
        ({"name": "Ada", "email": 'a"b@example.com'}, False),
        ({"name": "Ada", "email": "zoë@exämple.org"}, True),
        ({"name": "Ada", "phone": "one"}, False),
        ({"name": "Ada", "phone": "1", "tags": ["a,b"]}, False),
        ({"name": "Ada", "phone": "1", "notes": "two\nlines"}, True),
    ],
)
def test_the_schema_and_the_rules_agree(fields: dict[str, Any], is_valid: bool) -> None:
    draft = {"name": "", "phone": ""} | fields

    assert schema("ContactDraft").is_valid(fields) is is_valid
    assert breaks_a_rule(**draft) is not is_valid


def test_the_schema_and_the_rules_forbid_the_same_characters() -> None:
    letters = [chr(code) for code in range(0x300)]

    forbidden = [letter for letter in letters if re.search(CONTROL, letter)]

    assert forbidden == [letter for letter in letters if breaks_a_rule(company=f"a{letter}b")]
    assert len(forbidden) == 55


def test_the_schema_takes_no_letters_in_the_domain_of_an_email_that_the_rule_does_not() -> None:
    letters = [chr(code) for code in range(0xE000) if re.fullmatch(f"[{LETTERS}]", chr(code))]

    assert [letter for letter in letters if breaks_a_rule(email=f"ada@{letter}.example")] == []
    assert len(letters) > 1_000


def test_a_patch_may_leave_fields_out_and_empty_them() -> None:
    patch = schema("ContactPatch")

    assert patch.is_valid({})
    assert patch.is_valid({"company": None, "tags": None, "email": "", "phone": "1"})
    assert not patch.is_valid({"name": None})
    assert not patch.is_valid({"email": None, "phone": ""})
    assert not patch.is_valid({"id": 1})
