"""What a test run that is killed leaves behind: nothing."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).parents[1]
PATIENCE = 30  # seconds
SERVER = """
import sys
from pathlib import Path
from tests.mother import running_mother

with running_mother(Path(sys.argv[1])) as mother:
    server = mother.start()
    server.wait_until_ready()
    print(mother._process.pid, server.pid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def killed(*command: str) -> Iterator[str]:
    """Start a Python program and wait for a line that it prints, which this is; kill it at the end."""
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.kill()


def until(true: Callable[[], bool]) -> None:
    """Wait until it is, for as long as a slow computer may take."""
    end, pause = monotonic() + PATIENCE, threading.Event()
    while not true():
        assert monotonic() < end
        pause.wait(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_cluster_ends_with_the_process_that_wanted_it_and_its_folder_goes() -> None:
    with killed("-m", "scripts.provide_postgres") as url:
        folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        pid = int((folder / "data/postmaster.pid").read_text().partition("\n")[0])

    until(lambda: is_gone(pid) and not folder.exists())


def test_a_server_that_was_forked_ends_with_the_tests(tmp_path: Path) -> None:
    with killed("-c", SERVER, str(tmp_path)) as pids:
        mother, server = map(int, pids.split())

    until(lambda: is_gone(server) and is_gone(mother))
