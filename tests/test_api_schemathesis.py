"""schemathesis, which reads the OpenAPI document and tries to prove it wrong, finds nothing.

It sends what the document allows and what it forbids to a server of its own, follows the links
between the operations, and holds every answer against the document. How: tests/schemathesis.toml. The same
requests each time; SCHEMATHESIS_EXAMPLES=500 makes more of them, for an hour before a release.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.server_process import ROOT, running_server

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "10")  # for each operation
PATIENCE = 300 + 5 * int(EXAMPLES)  # seconds until it hangs, by all appearances


def test_schemathesis_has_nothing_to_report(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli"),
                *("--config-file", ROOT / "tests/schemathesis.toml"),
                *("run", f"{server.url}/api/openapi.json", "--max-examples", EXAMPLES, "--no-color"),
            ],
            cwd=tmp_path,  # where it writes what it found
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        log = server.log()

    assert done.returncode == 0, done.stdout
    assert "Tested: 11" in done.stdout
    assert re.findall(r"(✅|❌|⏭|🚫)\s+(\w+)\n", done.stdout)[-4:] == [
        ("✅", phase) for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")
    ]
    assert int(re.findall(r"(\d+) generated, \1 passed", done.stdout)[0]) > 1_000
    assert '"level": "error"' not in log
