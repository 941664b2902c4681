"""How soon the app answers again after kill -9, on 100,000 contacts: part of `make scale`.

Starts the real server, lets it write, kills it with SIGKILL and starts it again, several times; then the
same in the middle of an import of many rows, what of it is written being taken back at the next start.
Measured is the time from the command to the first page of the list. Prints a table and writes
bench/results/restart.json.
"""

import argparse
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

from app.contacts.samples import samples
from app.listening import free_port
from app.store import open_store
from bench.size import ROOT, Client, environment, write_results
from tests.server_process import Connection
from tests.server_process import environment as variables


class Site:
    """The app on one address book and one port. Each start is a new process."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "contacts.db"
        self.port = free_port("127.0.0.1", 0)
        self._environ = variables(folder, CONTACTS_PORT=str(self.port))

    def start(self) -> tuple[subprocess.Popen[bytes], float]:
        """The running server, and the seconds from its command to its first answer."""
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            cwd=ROOT,
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self._answers():
            assert process.poll() is None, "the server starts"
            time.sleep(0.005)
        return process, time.perf_counter() - begin

    def _answers(self) -> bool:
        try:
            with Connection("127.0.0.1", self.port) as connection:
                return connection.get("/contacts").status == 200
        except OSError, HTTPException:
            return False


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def after_writes(site: Site, rounds: int) -> list[float]:
    """Restarts after kills in the middle of ordinary writes."""
    times = []
    process, _ = site.start()
    for number in range(rounds):
        client = Client("127.0.0.1", site.port)
        for one in range(50):
            body = urlencode({"name": "Ada Bench", "email": f"restart{number}.{one}@example.com"})
            client.ask("add", "POST", "/contacts", body)
        client.close()
        kill(process)
        process, took = site.start()
        times.append(took)
    kill(process)
    return times


def after_import(site: Site, rows: int) -> tuple[float, int]:
    """A restart after a kill when an import had written so many rows, or more; and how many it had."""
    with subprocess.Popen(
        [sys.executable, "-m", "app", "sample", str(rows * 4), "--seed", "9"],
        cwd=ROOT,
        env=site._environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as importer:
        with closing(sqlite3.connect(site.database)) as conn:
            while (written := _written(conn)) < rows:
                time.sleep(0.005)
        kill(importer)
    process, took = site.start()
    kill(process)
    return took, written


def _written(conn: sqlite3.Connection) -> int:
    sizes = conn.execute("SELECT size FROM batch WHERE open").fetchall()
    return int(sizes[0][0]) if sizes else 0


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=20_000, help="of the import that is cut off")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        with closing(open_store(f"sqlite:///{site.database}")) as store:
            store.import_many(samples(options.contacts))
        times = after_writes(site, options.rounds)
        took, rows = after_import(site, options.rows)
    figures = {
        "contacts": options.contacts,
        "restart, s, median": round(statistics.median(times), 2),
        "restart, s, worst": round(max(times), 2),
        "rows that a cut off import had written": rows,
        "restart that takes them back, s": round(took, 2),
    }
    write_results("restart", {"environment": environment(), "restart": figures})
    print("\n| kill -9 and restart | |\n|---|---:|")
    for label, figure in figures.items():
        print(f"| {label} | {figure:,} |")


if __name__ == "__main__":
    main()
