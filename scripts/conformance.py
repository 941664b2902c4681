"""Run the tests of docs/contract.md against every server, print who passes what, write docs/conformance.md.

Exit code 1 if a server fails a test, unless DIFFERENCES gives the reason, or passes one that it should not.
One server alone: `python scripts/conformance.py flask`; then docs/conformance.md stays as it is.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = ROOT / "docs/contract.md"
SCORE = ROOT / "docs/conformance.md"

SERVERS = {
    "chirp": "Chirp",
    "flask": "Flask",
    "fastapi": "FastAPI",
    "cluster": "Cluster",
}  # those of e2e/conftest.py

# What a twin does otherwise, and why: the names of tests that it does not pass.
DIFFERENCES: Mapping[str, Mapping[str, str]] = {}

# What a server does otherwise where the contract leaves it free, and why.
NOTES = (
    "The cluster is two processes of Chirp behind nginx, on one PostgreSQL: requests go to each in turn "
    "(`scripts/cluster.py`).",
    "Chirp has more than the contract: import and export, duplicates, the activity, "
    "charts on the dashboard, the failure lab. The twins are there to be compared, for which the core does.",
    "Flask's event streams last for seconds, and browsers ask again: on Gunicorn each takes a thread.",
    "Flask keeps the message after a plain form in its session, by `flash`; Chirp and FastAPI name the "
    "change in the address.",
)

HEAD = """\
# Conformance

Which tests of [the contract](contract.md) each server passes, of all that there are for a feature.
`make conformance` runs them and writes this page.

"""


@dataclass(frozen=True, slots=True)
class Result:
    """One test on one server. name: with its parameters."""

    feature: str
    name: str
    passed: bool

    @property
    def function(self) -> str:
        """The name of the test without its parameters."""
        return self.name.partition("[")[0]


def main(names: Sequence[str]) -> int:
    """Test the servers with these names, all of them without any; the exit code."""
    if unknown := set(names) - set(SERVERS):
        raise SystemExit(f"There is no server {unknown.pop()!r}. There are: {', '.join(SERVERS)}.")
    results: dict[str, list[Result]] = {}
    for server in names or SERVERS:
        print(f"== {SERVERS[server]} ==", flush=True)
        results[server] = run(server)
    text = scoreboard(features(), results)
    print(f"\n{text}")
    if not names:
        SCORE.write_text(HEAD + text + reasons())
    wrong = [line for server, found in results.items() for line in surprises(server, found)]
    print("\n".join(wrong))
    return 1 if wrong else 0


def features() -> list[str]:
    """The features of the contract, in its order."""
    return re.findall(r"^## (.+)$", CONTRACT.read_text(), re.MULTILINE)


def run(server: str) -> list[Result]:
    """Run every test of the contract against a server."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            "-m",
            "pytest",
            "e2e",
            "-m",
            "contract",
            "-q",
            "--server",
            server,
            "--junit-xml",
            str(report),
        ]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=False)
        if not report.exists():
            raise SystemExit("pytest has left no report: see what it says above.")
        return read(report.read_text())


def read(report: str) -> list[Result]:
    """The tests in a report of pytest; what was skipped has not passed. A test may stand in it twice."""
    found: dict[str, Result] = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        [feature] = [p.attrib["value"] for p in case.iter("property") if p.attrib["name"] == "feature"]
        key = f"{case.attrib['classname']}.{case.attrib['name']}"
        passed = all(case.find(trouble) is None for trouble in ("failure", "error", "skipped"))
        found[key] = Result(feature, case.attrib["name"], passed and (key not in found or found[key].passed))
    return list(found.values())


def scoreboard(names: Sequence[str], results: Mapping[str, Sequence[Result]]) -> str:
    """Feature by server as a table of Markdown: how many tests passed, of how many; * where one differs."""
    lines = [["Feature", *(SERVERS[server] for server in results)], ["---"] * (len(results) + 1)]
    for feature in names:
        cells = [
            cell(server, [r for r in found if r.feature == feature]) for server, found in results.items()
        ]
        lines.append([f"[{feature}](contract.md#{feature})", *cells])
    lines.append(["all", *(cell(server, found) for server, found in results.items())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(server: str, results: Sequence[Result]) -> str:
    """How many passed, of how many."""
    counted = Counter(result.passed for result in results)
    differs = any(result.function in DIFFERENCES.get(server, {}) for result in results)
    return f"{counted[True]}/{counted.total()}{'\\*' if differs else ''}"


def reasons() -> str:
    """How servers differ and why, as lists of Markdown."""
    failed = [
        f"{SERVERS[server]} does not pass `{test}`: {reason}"
        for server, tests in DIFFERENCES.items()
        for test, reason in tests.items()
    ]
    free = "".join(f"- {line}\n" for line in NOTES)
    marked = "".join(f"- {line}\n" for line in failed) or "- None.\n"
    return f"\n## Tests that are not passed, for a reason (\\*)\n\n{marked}\n## Other differences\n\n{free}"


def surprises(server: str, results: Sequence[Result]) -> list[str]:
    """Tests that should have passed, and differences that are none any more."""
    known = DIFFERENCES.get(server, {})
    failed = [
        f"{SERVERS[server]} fails {r.name}" for r in results if not r.passed and r.function not in known
    ]
    seen = {result.function for result in results if not result.passed}
    return failed + [
        f"{SERVERS[server]} passes {test}: no longer a difference" for test in known.keys() - seen
    ]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
