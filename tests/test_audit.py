"""The audit of packages: a finding fails it, and no network does not. A small script stands for pip-audit."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts import audit

CLEAN = {"name": "h11", "version": "0.16", "vulns": []}
SKIPPED = {"name": "kida", "skip_reason": "Dependency not found"}
HOLED = {
    "name": "jinja",
    "version": "1.0",
    "vulns": [{"id": "CVE-2099-1", "fix_versions": ["1.1", "2.0"], "description": "", "aliases": []}],
}


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What pip-audit prints, and `err` beside it."""
    program = f"""
import pathlib, sys
print(pathlib.Path({str(tmp_path / "out")!r}).read_text())
sys.exit(pathlib.Path({str(tmp_path / "err")!r}).read_text())
"""
    monkeypatch.setattr(audit, "COMMAND", (sys.executable, "-c", program))
    (tmp_path / "err").write_text("")
    return tmp_path / "out"


def _says(answer: Path, *packages: Mapping[str, object]) -> None:
    answer.write_text(json.dumps({"dependencies": packages}))


def test_a_known_vulnerability_fails_and_says_what_mends_it(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _says(answer, CLEAN, HOLED, SKIPPED)

    assert audit.main() == 1

    said = capsys.readouterr().out
    assert "jinja 1.0: CVE-2099-1, mended in 1.1, 2.0" in said
    assert "could not be asked about kida" in said


def test_no_known_vulnerability_passes(answer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _says(answer, CLEAN)

    assert audit.main() == 0

    assert "0 vulnerabilities known in 1 packages" in capsys.readouterr().out


def test_an_index_that_knows_nothing_of_us_is_no_clean_bill(
    answer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _says(answer, SKIPPED)

    assert audit.main() == 0

    assert "could not be asked" in capsys.readouterr().out


def test_no_network_passes_and_says_so(answer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer.write_text("")
    (answer.parent / "err").write_text("ERROR: Max retries exceeded: Connection refused")

    assert audit.main() == 0

    assert "could not be asked" in capsys.readouterr().out


def test_an_index_that_does_not_answer_passes_and_says_so(
    answer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(audit, "PATIENCE", 0.2)

    assert audit.main() == 0

    assert "could not be asked" in capsys.readouterr().out


def test_an_audit_that_does_not_work_fails(answer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer.write_text("")
    (answer.parent / "err").write_text("ERROR: requirements/app.txt: invalid requirement")

    assert audit.main() == 2

    assert "invalid requirement" in capsys.readouterr().err


def test_the_locked_packages_are_those_that_are_asked_about() -> None:
    collected = subprocess.run(
        [*audit.COMMAND, "--dry-run"], cwd=audit.ROOT, capture_output=True, text=True, check=True
    )

    number = re.search(r"would have audited (\d+) packages", collected.stderr)
    assert number, collected.stderr
    assert int(number[1]) > 50
