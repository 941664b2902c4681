"""schemathesis, which reads the OpenAPI document and tries to prove it wrong, finds nothing.

It sends what the document allows and what it forbids to a server of its own, follows the links
between the operations, and holds every answer against the document. How: tests/schemathesis.toml. The same
requests each time; SCHEMATHESIS_EXAMPLES=500 makes more of them, for an hour before a release.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from app.contacts.contact import now
from app.store.sqlite import SQLiteStore
from app.web.credentials import Keys, new_token
from app.web.openapi import document
from tests.server_process import ROOT, RunningServer, running_server

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "10")  # for each operation
PATIENCE = 300 + 5 * int(EXAMPLES)  # seconds until it hangs, by all appearances
SECRET = "a secret that is long enough for the tests"


def schemathesis(
    server: RunningServer, folder: Path, *arguments: str, token: str = ""
) -> subprocess.CompletedProcess[str]:
    """Let it try a server; what it says. folder: where it writes what it found."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", ROOT / "tests/schemathesis.toml"),
            *("run", f"{server.url}/api/openapi.json", "--max-examples", EXAMPLES, "--no-color"),
            *("--header", f"Authorization: Bearer {token}", *arguments),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), "API_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def went_well(folder: Path) -> set[str]:
    """The operations that were answered with a 2xx at least once."""
    answers = (folder / "answers.txt").read_text().splitlines()
    return {operation for operation, _, status in (line.rpartition(" ") for line in answers) if status < "3"}


def operations() -> set[str]:
    """Every operation of the document, as schemathesis calls it."""
    paths: Mapping[str, Mapping[str, object]] = document()["paths"]
    return {
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in item
        if method != "parameters"
    }


def test_schemathesis_has_nothing_to_report(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        done = schemathesis(server, tmp_path)
        log = server.log()

    assert done.returncode == 0, done.stdout
    assert "Tested: 11" in done.stdout
    assert re.findall(r"(✅|❌|⏭|🚫)\s+(\w+)\n", done.stdout)[-4:] == [
        ("✅", phase) for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")
    ]
    assert int(re.findall(r"(\d+) generated, \1 passed", done.stdout)[0]) > 1_000
    assert "Missing test data" not in done.stdout
    assert went_well(tmp_path) == operations()
    assert '"level": "error"' not in log


def test_schemathesis_has_nothing_to_report_when_it_signs_in(tmp_path: Path) -> None:
    token = new_token()
    with closing(SQLiteStore(tmp_path / "contacts.db")) as store:
        ada = store.accounts().add_user("ada", "no hash, so nobody has this password", now())
        store.accounts().add_token(Keys(SECRET).key("token", token), ada.id, "tests", now())
    with running_server(
        tmp_path, CONTACTS_AUTH="password", CONTACTS_SECRET=SECRET, CONTACTS_SAMPLE="0"
    ) as server:
        done = schemathesis(server, tmp_path, "--phases", "examples", token=token)

    assert done.returncode == 0, done.stdout
    assert went_well(tmp_path) == operations()
