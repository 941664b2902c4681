"""The claims about behaviour: each program sees a difference where there is one, and only there."""

import flask
import pytest

from bench.claims import behaviour
from bench.claims.behaviour import Answer, ask, escaping_of, fields_named, operations
from bench.claims.ledger import Finding

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("check", "verdict", "because"),
    [
        (behaviour.one_template, "depends", "byte for byte a part of the page"),
        (behaviour.several_targets, "false", "renews as many elements in all three"),
        (behaviour.validation, "depends", "FastAPI names 2 of the 2 wrong fields, the others 0"),
        (behaviour.openapi, "true", "Flask 0, Chirp 0"),
        (behaviour.dependency_injection, "false", "in 3 of 3"),
        (behaviour.escaping, "depends", "in 24 of 24 places"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_the_apps_and_these_versions_do(check: object, verdict: str, because: str) -> None:
    assert callable(check)
    finding = check()

    assert isinstance(finding, Finding)
    assert finding.verdict == verdict
    assert because in finding.because


def test_what_was_typed_is_seen_raw_or_escaped_also_between_marks() -> None:
    assert escaping_of(Answer(200, HTML, "<b><script>alert(1)</script></b>")) == "raw"
    assert escaping_of(Answer(200, HTML, "&lt;<mark>script</mark>&gt;alert(1)&lt;/script&gt;")) == "escaped"
    assert escaping_of(Answer(200, HTML, "nothing")) == "not there"


def test_only_fields_that_are_named_count_as_told() -> None:
    detail = '{"detail": [{"loc": ["body", "age"]}, {"loc": ["body"]}]}'

    assert fields_named(Answer(422, JSON, detail)) == 1
    assert fields_named(Answer(422, JSON, '{"detail": "wrong"}')) == 0
    assert fields_named(Answer(422, HTML, "<p id='name'></p><p id='age'></p>")) == 2
    assert fields_named(Answer(500, HTML, "<p id='name'></p>")) == 0


def test_operations_are_those_of_a_description_and_of_nothing_else() -> None:
    described = '{"paths": {"/a": {"get": {}, "post": {}}, "/b": {"get": {}}}}'

    assert list(operations(Answer(200, JSON, described))) == ["GET /a", "POST /a", "GET /b"]
    assert operations(Answer(404, HTML, "<h1>Not here</h1>")) == {}


def test_an_app_is_asked_with_path_headers_and_body() -> None:
    app = flask.Flask("asked")

    @app.post("/<path:rest>")
    def echo(rest: str) -> str:
        return (
            f"{rest} {flask.request.args['q']} {flask.request.headers['X-Sent']} {flask.request.form['name']}"
        )

    answer = ask(app, "POST", "/a%20b?q=1", behaviour.FORM | {"X-Sent": "yes"}, "name=Ada")

    assert (answer.status, answer.kind, answer.text) == (200, "text/html", "a b 1 yes Ada")
