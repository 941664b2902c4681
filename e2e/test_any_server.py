"""The suite runs against a server that is running already, as docs/contract.md says."""

import subprocess
import sys

import pytest

from e2e.conftest import Site
from tests.server_process import ROOT


def test_the_suite_runs_against_a_server_of_ones_own(site: str, started: Site) -> None:
    if not started.database:
        pytest.skip("needs the server's database")
    picked = ["e2e/test_list.py", "-k", "shows_the_contacts", "-p", "no:cacheprovider"]
    ours = ["--base-url", site, "--database", started.database.url]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *picked, *ours],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 passed" in done.stdout
