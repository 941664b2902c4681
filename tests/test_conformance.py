"""The contract and its tests fit together, and the scoreboard counts rightly."""

import re
from pathlib import Path

import pytest

from scripts import conformance
from scripts.conformance import features, read, scoreboard, surprises

ROOT = Path(__file__).resolve().parents[1]
MARKED = [
    feature
    for path in sorted((ROOT / "e2e").glob("test_*.py"))
    for feature in re.findall(r"\bcontract\(feature=\"([^\"]*)\"\)", path.read_text())
]
EDIT = '<properties><property name="feature" value="edit"/></properties>'
REPORT = f"""
<testsuites><testsuite>
  <testcase classname="a" name="test_one[x]">{EDIT}</testcase>
  <testcase classname="a" name="test_two">{EDIT}</testcase>
  <testcase classname="a" name="test_two">{EDIT}<error message="at the end"/></testcase>
  <testcase classname="b" name="test_two">{EDIT.replace("edit", "undo")}<skipped/></testcase>
</testsuite></testsuites>"""


def test_every_feature_of_the_contract_is_tested_and_every_test_is_of_one() -> None:
    assert set(MARKED) == set(features())


def test_the_scoreboard_that_is_committed_has_every_feature() -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]", (ROOT / "docs/conformance.md").read_text(), re.MULTILINE)

    assert rows == features()


def test_a_difference_names_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "e2e").glob("test_*.py"))

    for server, known in conformance.DIFFERENCES.items():
        assert server in conformance.SERVERS
        assert [test for test in known if f"\ndef {test}(" not in tests] == []


def test_a_test_passes_when_nothing_went_wrong_in_it_nor_after_it() -> None:
    table = scoreboard(["edit", "undo"], {"flask": read(REPORT)})

    assert table.splitlines()[2:] == [
        "| [edit](contract.md#edit) | 1/2 |",
        "| [undo](contract.md#undo) | 0/1 |",
        "| all | 1/3 |",
    ]


def test_a_failure_without_a_reason_is_told_and_a_reason_without_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = read(REPORT)
    assert surprises("flask", results) == ["Flask fails test_two"] * 2

    monkeypatch.setattr(conformance, "DIFFERENCES", {"flask": {"test_one": "why", "test_two": "why"}})

    assert surprises("flask", results) == ["Flask passes test_one: no longer a difference"]
