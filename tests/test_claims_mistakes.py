"""The mistakes that bench.claims.mistakes seeds still fit the files that they are made in."""

import pytest

from bench.claims.mistakes import BROWSER_TESTS, MUTED, Noticed, finding
from bench.claims.seeds import FRAMEWORKS, MISTAKES, Mistake
from bench.servers import ROOT


def test_there_are_fifty_different_mistakes_of_each_framework() -> None:
    for framework in FRAMEWORKS:
        assert len({mistake.edits[framework] for mistake in MISTAKES}) == len(MISTAKES) == 50
    assert len({mistake.what for mistake in MISTAKES}) == 50


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_what_a_mistake_replaces_stands_once_in_its_file(mistake: Mistake, framework: str) -> None:
    edit = mistake.edits[framework]

    assert (ROOT / edit.file).read_text().count(edit.old) == 1
    assert edit.old != edit.new


@pytest.mark.parametrize("name", BROWSER_TESTS)
def test_the_tests_in_the_browser_are_there(name: str) -> None:
    file, _, test = name.partition("::")

    assert f"def {test}(" in (ROOT / "e2e" / file).read_text()


def test_the_app_mutes_what_the_claim_counts_as_false_alarms() -> None:
    text = (ROOT / "app/main.py").read_text()

    assert text.count("override_contract_severity") == len(MUTED)
    assert all(f'override_contract_severity("{rule}", Severity.INFO)' in text for rule in MUTED)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [(50, "true"), (38, "true"), (37, "depends"), (13, "depends"), (12, "false"), (0, "false")],
)
def test_the_verdict_is_how_much_chirp_notices_early_of_what_the_others_notice_late(
    seen: int, verdict: str
) -> None:
    late = Noticed("browser")
    found = {
        mistake: {
            "chirp": Noticed("start") if place < seen else late,
            "flask": late,
            "fastapi": Noticed("never"),
        }
        for place, mistake in enumerate(MISTAKES)
    }

    assert finding(found, frozenset()).verdict == verdict


def test_a_part_of_the_mistakes_decides_nothing() -> None:
    found = {MISTAKES[0]: dict.fromkeys(FRAMEWORKS, Noticed("start"))}

    assert finding(found, frozenset()).verdict == "undecided"
