"""An hour of everything at once, to see that nothing grows: `make soak`, `make soak MINUTES=5`.

Starts a real server with two workers and lets people read, search, write, import, undo, export, and
open and close windows, at a pace that a small machine stands for hours. The address book stays as
large as it is, but its log grows, and with the file what SQLite keeps of it, up to 16 MB a worker: so
here it keeps 1 MB, lest a leak hide behind it. Every few seconds the server's memory, threads and open
files are noted. After a warm-up memory must be flat, and when all have left there must be no more
threads and files than in the warm-up. Writes bench/results/soak.md and soak.json; exit code 1 when
something has grown.
"""

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from urllib.parse import urlencode

from bench.size import ROOT, SEARCHES, Client, environment, write_results
from tests.event_stream import EventStream
from tests.server_process import RunningServer, running_server
from tests.writers import Importer

WARM_UP = 0.25  # of the time, in which caches may fill
GROWTH = 6_000  # kB that memory may have grown, by a straight line through the rest: what noise makes


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server holds. second: since the start.

    memory: kB, the proportional set size without files: of these it is what other programs leave to it.
    """

    second: float
    memory: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int, second: float = 0) -> Usage:
        process = Path(f"/proc/{pid}")
        found = re.search(r"^Pss_Anon:\s+(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
        assert found, "a process has memory"
        return cls(second, int(found[1]), len(os.listdir(process / "task")), len(os.listdir(process / "fd")))


@dataclass
class Crowd:
    """People at a server, each in a thread of their own, until they are told to go. done: what they did."""

    server: RunningServer
    imports: Path
    done: Counter[str] = field(default_factory=Counter)
    leaving: threading.Event = field(default_factory=threading.Event)
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _clients: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """They come, and go at the end; what went wrong for any of them is raised."""
        people = (
            (0.05, self._reader()),
            (0.05, self._reader()),
            (0.1, self._writer()),
            (3.0, self._exporter()),
            (20.0, self._importer()),
            *((0.5, self._window) for _ in range(4)),
        )
        with self._clients, ThreadPoolExecutor(len(people)) as pool:
            running = [pool.submit(self._go_on, pause, act, n) for n, (pause, act) in enumerate(people)]
            try:
                yield
            finally:
                self.leaving.set()
        for each in running:
            each.result()

    def _go_on(self, pause: float, act: Callable[[Random], str], seed: int) -> None:
        """Do something again and again, about as often as this pause in seconds says."""
        chance = Random(seed)
        while not self.leaving.is_set():
            what = act(chance)
            with self._counting:
                self.done[what] += 1
            self.leaving.wait(chance.uniform(0, 2 * pause))

    def _client(self) -> Client:
        return self._clients.enter_context(closing(Client(self.server.host, self.server.port)))

    def _reader(self) -> Callable[[Random], str]:
        client = self._client()
        paths = ("/contacts", "/contacts?sort=updated", "/contacts?tag=Family", "/dashboard", "/activity")

        def act(chance: Random) -> str:
            search = urlencode({"q": chance.choice(SEARCHES)})
            client.ask(
                "read", "GET", chance.choice((*paths, f"/contacts?{search}", f"/contacts/search?{search}"))
            )
            client.times.clear()
            return "pages"

        return act

    def _writer(self) -> Callable[[Random], str]:
        client = self._client()
        number = 0

        def act(chance: Random) -> str:
            nonlocal number
            number += 1
            fields = {"name": f"Soak {number}", "email": f"soak{number}@example.com"}
            client.ask("add", "POST", "/contacts", urlencode(fields))
            page = client.ask("find", "GET", f"/contacts?q=soak{number}%40example.com")
            found = re.search(rb'<tr id="contact-(\d+)"', page)
            assert found, page
            one = found[1].decode()
            client.ask("edit", "PUT", f"/contacts/{one}", urlencode({**fields, "phone": "1", "version": 1}))
            client.ask("tag", "POST", "/contacts/bulk", f"id={one}&do=tag&tag=Soak")
            client.ask("delete", "DELETE", f"/contacts/{one}")
            client.times.clear()
            return "contacts added, edited, tagged and deleted"

        return act

    def _exporter(self) -> Callable[[Random], str]:
        client = self._client()

        def act(chance: Random) -> str:
            client.ask("export", "GET", f"/contacts.{chance.choice(('csv', 'vcf', 'json'))}")
            return "exports"

        return act

    def _importer(self) -> Callable[[Random], str]:
        importer = Importer("soak", rows=500)

        def act(chance: Random) -> str:
            importer.upload(self.server)
            assert not importer.run(self.server).in_doubt
            shutil.rmtree(
                self.imports
            )  # the app itself forgets them after an hour, and takes no more than 20
            return "imports, undone again"

        return act

    def _window(self, chance: Random) -> str:
        with EventStream(self.server) as window:
            window.event()
            self.leaving.wait(chance.uniform(0, 4))
        return "windows opened and closed"


def fill_pools(server: RunningServer) -> None:
    """Have as much done at once as makes the server begin every thread of its pools.

    Else one of them begins some time within the hour, when by chance all others are at work, and takes
    12 MB for what it allocates, once.
    """
    paths = ("/contacts.csv", "/contacts.json", "/contacts/duplicates", "/dashboard")

    def visit(path: str) -> None:
        with closing(Client(server.host, server.port)) as client:
            client.ask("fill", "GET", path)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(visit, paths * 40))


def soak(server: RunningServer, folder: Path, seconds: float, every: float) -> tuple[list[Usage], Crowd]:
    """Let people use a server for so long; what it held, every so many seconds, and what they did."""
    crowd = Crowd(server, folder / "contacts.db.imports")
    start = monotonic()
    samples = []
    with crowd.at_work():
        while (second := monotonic() - start) < seconds:
            samples.append(Usage.of(server.process.pid, round(second, 1)))
            crowd.leaving.wait(every)
    return samples, crowd


def warm_up(samples: Sequence[Usage]) -> Sequence[Usage]:
    """Those in which caches and pools of threads may fill."""
    return samples[: max(1, int(len(samples) * WARM_UP))]


def growth(samples: Sequence[Usage]) -> float:
    """kB that memory has grown after the warm-up, by the straight line that fits best."""
    warm = samples[len(warm_up(samples)) :]
    line = statistics.linear_regression([each.second for each in warm], [each.memory for each in warm])
    return line.slope * (warm[-1].second - warm[0].second)


def alone(server: RunningServer, threads: int, files: int) -> Usage:
    """What a server holds once everybody has left: when it is no more than that, or 20 seconds later."""
    end = monotonic() + 20
    while True:
        server.get("/hello")
        now = Usage.of(server.process.pid)
        if (now.threads <= threads and now.files <= files) or monotonic() > end:
            return now


def main() -> None:
    """Run it and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--contacts", type=int, default=5_000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        running_server(
            Path(name), module=("bench.soak", "serve"), CONTACTS_SAMPLE=str(options.contacts)
        ) as server,
    ):
        fill_pools(server)
        samples, crowd = soak(server, Path(name), options.minutes * 60, max(1, options.minutes / 2))
        threads = max(usage.threads for usage in warm_up(samples))
        files = max(usage.files for usage in warm_up(samples))
        after = alone(server, threads, files)
    grown = growth(samples)
    is_flat = grown <= GROWTH and after.threads <= threads and after.files <= files
    report = _report(options.minutes, samples, crowd.done, after, grown, is_flat=is_flat)
    print(report)
    (ROOT / "bench/results/soak.md").write_text(report)
    results: dict[str, object] = {
        "environment": environment(),
        "minutes": options.minutes,
        "done": crowd.done,
        "after": asdict(after),
        "growth, kB": round(grown),
        "samples": [asdict(usage) for usage in samples],
    }
    write_results("soak", results)
    sys.exit(not is_flat)


def _report(
    minutes: float, samples: Sequence[Usage], done: Counter[str], after: Usage, grown: float, *, is_flat: bool
) -> str:  # fmt: skip
    tenths = [samples[index * (len(samples) - 1) // 10] for index in range(11)]
    rows = "".join(
        f"| {each.second / 60:.1f} | {each.memory / 1024:.1f} | {each.threads} | {each.files} |\n"
        for each in tenths
    )
    did = "".join(f"| {what} | {times:,} |\n" for what, times in sorted(done.items()))
    return (
        "# The soak\n\n"
        "Written by `make soak` ([bench/soak.py](../soak.py) says what is run); all samples in "
        "[soak.json](soak.json).\n\n"
        f"{minutes:g} minutes: {'flat' if is_flat else 'NOT FLAT'}. After the warm-up memory grew by "
        f"{grown / 1024:.1f} MB (bound: {GROWTH / 1024:.1f}). When all had left, the server had "
        f"{after.threads} threads and {after.files} open files.\n\n"
        f"| minute | memory, MB | threads | files |\n|---:|---:|---:|---:|\n{rows}\n"
        f"| what was done | times |\n|---|---:|\n{did}"
    )


def serve() -> None:
    """Be the server, as `python -m app serve` is, but for what SQLite keeps."""
    from app import server
    from app.settings import Settings
    from app.store import sqlite

    sqlite._CACHE = sqlite._SMALL_CACHE = 1_000
    server.serve(Settings.from_env())


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
