"""Ask whether any locked package has a known vulnerability.

Usage: python scripts/audit.py

Exit code 0: none is known, or nobody could be asked, which is said. 1: at least one; each is
listed with the versions that mend it. 2: the audit itself did not work.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds for all of it; without a network it ends much sooner
COMMAND = (
    sys.executable, "-m", "pip_audit",
    "--requirement", "requirements/app.txt", "--requirement", "requirements/dev.txt",
    "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "5",
)  # fmt: skip
# What is said where there is no network, or none that leads to the index of vulnerabilities.
UNREACHABLE = re.compile(
    r"connect|resol|timed? ?out|unreachable|refused|proxy|certificate|SSL|\b(403|404|407|5\d\d)\b",
    re.IGNORECASE,
)


def main() -> int:
    """Ask, say what came of it, and return the exit code."""
    try:
        asked = subprocess.run(
            COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return _not_asked(f"no answer within {PATIENCE} seconds")
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        reason = asked.stderr.strip().splitlines()[-1:] or ["no output"]
        if UNREACHABLE.search(asked.stderr):
            return _not_asked(reason[0])
        print(f"audit: pip-audit did not work: {reason[0]}", file=sys.stderr)
        return 2
    return _tell(packages)


def _tell(packages: list[dict[str, Any]]) -> int:
    """Packages as pip-audit lists them: `vulns` of those it could ask about, else `skip_reason`."""
    known = [package for package in packages if "vulns" in package]
    found = [(package, vuln) for package in known for vuln in package["vulns"]]
    for package, vuln in found:
        mended = ", ".join(vuln["fix_versions"]) or "no version yet"
        print(f"audit: {package['name']} {package['version']}: {vuln['id']}, mended in {mended}")
    if not known:
        return _not_asked("the index knows no package of ours")
    print(f"audit: {len(found)} vulnerabilities known in {len(known)} packages")
    if skipped := [package["name"] for package in packages if "vulns" not in package]:
        print(f"audit: could not be asked about {', '.join(skipped)}")
    return 1 if found else 0


def _not_asked(reason: str) -> int:
    print(f"audit: could not be asked ({reason}). Nothing is known, for good or ill.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
