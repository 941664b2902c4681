"""The ledger of claims is what its programs found, and nobody wrote into it by hand."""

import json
from typing import cast

import pytest

from bench.claims import ledger
from bench.claims.ledger import Claim, Finding, Verdict, all_claims, as_markdown, read_results, run


def test_the_ledger_that_is_committed_says_what_was_found() -> None:
    assert ledger.LEDGER.read_text() == as_markdown(read_results())


def test_every_claim_has_been_tested_by_its_program() -> None:
    results, claims = read_results(), all_claims()

    assert list(results) == list(claims)
    assert {id: entry["sentence"] for id, entry in results.items()} == {
        id: claim.sentence for id, claim in claims.items()
    }
    assert {id: entry["program"] for id, entry in results.items()} == {
        id: claim.program for id, claim in claims.items()
    }


def test_what_a_program_prints_is_kept_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    def check() -> Finding:
        print("1 of 2")
        return Finding("depends", "One of two did.", "two servers")

    found = run(Claim("halves", "Both do.", check))

    assert (found["printed"], found["verdict"], found["because"]) == ("1 of 2", "depends", "One of two did.")
    assert found["program"] == "tests/test_claims.py, check"
    assert "1 of 2" in capsys.readouterr().out
    assert "**Depends.** One of two did." in as_markdown({"halves": json.loads(json.dumps(found))})


def test_a_verdict_is_one_of_four() -> None:
    claim = Claim("odd", "Odd.", lambda: Finding(cast("Verdict", "perhaps"), "?", "?"))

    with pytest.raises(ValueError, match="'perhaps' is no verdict"):
        run(claim)
