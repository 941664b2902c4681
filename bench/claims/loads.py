"""Claims about load: cores, free threading, waiting, streams, connections.

Servers are loaded by wrk on the same machine. What it takes is shown, and where the claim allows it, what
counts is the processor time of the server or a ratio in which wrk's share cancels out.
"""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import mean, median
from urllib.parse import urlencode

from bench import wrk
from bench.claims.ledger import Finding, Verdict, claim
from bench.claims.probes import probe
from bench.servers import (
    CONFIGURATIONS,
    CORES,
    FREE,
    GIL,
    ROOT,
    TICK,
    Configuration,
    Server,
    started,
)

BUILDS = {"3.14": GIL, "3.14t": FREE}
CONNECTIONS = 16
BY_NAME = {configuration.name: configuration for configuration in CONFIGURATIONS}


# ---- measuring


@dataclass(frozen=True, slots=True)
class Sample:
    """A load. cpu, others: seconds of processor time that the server took, and all but it and wrk."""

    load: wrk.Load
    cpu: float
    others: float

    @property
    def cost(self) -> float:
        """Milliseconds of the server's processor time per request."""
        return 1000 * self.cpu / self.load.requests

    @property
    def is_disturbed(self) -> bool:
        """Whether other programs took over a tenth of a core."""
        return self.others > 0.1 * self.load.seconds


def sample(server: Server, path: str, connections: int, seconds: float = 1, *args: str) -> Sample:
    """Load a server. RuntimeError when anything was answered by an error, or nothing at all."""
    busy, before = busy_cpu(), server.cpu()
    load = wrk.run(server.url + path, connections=connections, seconds=seconds, args=args)
    if load.errors or not load.requests:
        raise RuntimeError(f"{path}: {load.errors} of {load.requests} requests failed")
    cpu = server.cpu() - before
    return Sample(load, cpu, busy_cpu() - busy - cpu - load.cpu)


def busy_cpu() -> float:
    """Seconds for which the cores of this machine have been busy, or taken away from it; not by ourselves."""
    user, nice, system, _idle, _waiting, *other = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + sum(other)) / TICK - time.process_time()


def undisturbed(server: Server, path: str, connections: int, seconds: float = 1, *args: str) -> Sample:
    """Load a server, again while something else was running; the third attempt counts as it is."""
    for _ in range(3):
        found = sample(server, path, connections, seconds, *args)
        if not found.is_disturbed:
            break
    return found


def rate(one: Sample) -> float:
    """Requests per second."""
    return one.load.rate


def thrift(one: Sample) -> float:
    """Requests for a millisecond of the server's processor time."""
    return 1 / one.cost


def unless_disturbed(verdict: Verdict, samples: Sequence[Sample]) -> Verdict:
    """The verdict, or `undecided` where it rests on samples of which some were disturbed."""
    disturbed = sum(one.is_disturbed for one in samples)
    if not disturbed:
        return verdict
    print(f"Other programs ran during {disturbed} of {len(samples)} measurements; else: {verdict}.")
    return "undecided"


@dataclass(frozen=True, slots=True)
class Case:
    """A way to serve the small app, and what is asked of it.

    workers: processes, or threads of Pounce. threads: for sync handlers, in each process; 0 for the default.
    """

    framework: str
    build: str
    path: str
    workers: int = 1
    threads: int = 0

    def served(self, folder: Path) -> AbstractContextManager[Server]:
        """Serve it."""
        configuration = Configuration("probe", "", self.framework, BUILDS[self.build], self.workers)
        pool = {"PROBE_THREADS": str(self.threads)} if self.threads else {}
        return probe(configuration, folder, self.threads or 8, **pool)


def side_by_side(
    cases: Sequence[Case], best: Callable[[Sample], float], connections: int = CONNECTIONS
) -> list[Sample]:
    """Serve them all at once and load them in turn, in two rounds: of each the best sample by this measure.

    The best and not the mean: what else happens on a machine only ever makes a server slower.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        running = [(servers.enter_context(case.served(Path(folder))), case.path) for case in cases]
        for server, path in running:
            sample(server, path, connections)  # warms up
        rounds = [[undisturbed(server, path, connections) for server, path in running] for _ in range(2)]
    return [max(samples, key=best) for samples in zip(*rounds, strict=True)]


# ---- free threading


@claim("free-threading", "Flask and FastAPI gain nothing from free-threaded Python.")
def free_threading() -> Finding:
    """The same single process on both builds, at work for the processor only."""
    page, some_sum = "/table?rows=100", "/sum?to=30000"
    cases = (
        ("Flask, 1 thread", "flask", page, 1),
        (f"Flask, {CORES} threads", "flask", page, CORES),
        (f"Flask, {CORES} threads", "flask", some_sum, CORES),
        ("FastAPI, async def", "fastapi", "/table-async?rows=100", 0),
        (f"FastAPI, def, {CORES} threads", "fastapi", page, CORES),
        ("FastAPI, def, its 40 threads", "fastapi", page, 40),
        (f"FastAPI, def, {CORES} threads", "fastapi", some_sum, CORES),
        ("FastAPI, def, its 40 threads", "fastapi", some_sum, 40),
    )
    print(f"{'one process':<52}{'requests/s':>16}{'':>6}{'CPU, ms each':>16}")
    print(f"{'':<52}{'3.14':>8}{'3.14t':>8}{'ratio':>6}{'3.14':>8}{'3.14t':>8}{'ratio':>6}")
    gains: dict[str, float] = {}
    samples = []
    for name, framework, path, threads in cases:
        gil, free = side_by_side([Case(framework, build, path, threads=threads) for build in BUILDS], rate)
        samples += [gil, free]
        label = f"{name}, {path}"
        gains[label] = rate(free) / rate(gil)
        print(
            f"{label:<52}{rate(gil):>8.0f}{rate(free):>8.0f}{gains[label]:>6.2f}"
            f"{gil.cost:>8.2f}{free.cost:>8.2f}{free.cost / gil.cost:>6.2f}"
        )
    pages = [gain for label, gain in gains.items() if some_sum not in label]
    sums = [gain for label, gain in gains.items() if some_sum in label]
    # One thread has nothing to gain.
    threaded = [gain for label, gain in gains.items() if "threads" in label]
    gaining = sum(gain > 1.15 for gain in threaded)
    return Finding(
        unless_disturbed("false" if gaining == len(threaded) else "depends" if gaining else "true", samples),
        f"On 3.14t one process answered {min(pages):.2f} to {max(pages):.2f} times as many pages by Jinja as "
        f"on 3.14, and {min(sums):.2f} to {max(sums):.2f} times as many sums. {gaining} of the "
        f"{len(threaded)} configurations with threads gained, which means over 1.15.",
        f"One process on {CORES} cores. A page of 400 cells, and arithmetic that shares nothing between "
        f"threads; wrk, {CONNECTIONS} connections, the better of two rounds. The threads are those of "
        "Gunicorn's gthread and of FastAPI's pool.",
    )


@claim("single-thread-cost", "On one thread, free-threaded Python is slower.")
def single_thread_cost() -> Finding:
    """The same request on one connection, and the same template in a loop, on both builds."""
    print(f"{'ms of processor time':<34}{'3.14':>9}{'3.14t':>9}{'ratio':>8}")
    ratios, samples = {}, []

    def show(label: str, gil: float, free: float) -> None:
        ratios[label] = free / gil
        print(f"{label:<34}{gil:>9.3f}{free:>9.3f}{ratios[label]:>8.2f}")

    for framework, table in (("chirp", "/table"), ("flask", "/table"), ("fastapi", "/table-async")):
        for path in ("/ready", f"{table}?rows=100"):
            gil, free = side_by_side([Case(framework, build, path, threads=1) for build in BUILDS], thrift, 1)
            samples += [gil, free]
            show(f"{framework} {path}", gil.cost, free.cost)
    for engine in ("jinja2", "kida"):
        show(
            f"{engine}, the same table in a loop", *[render_cost(build, engine) for build in BUILDS.values()]
        )
    slower = sum(ratio > 1.03 for ratio in ratios.values())
    return Finding(
        unless_disturbed("true" if slower == len(ratios) else "depends" if slower else "false", samples),
        f"The processor time on 3.14t is {min(ratios.values()):.2f} to {max(ratios.values()):.2f} times that "
        f"on 3.14, {median(ratios.values()):.2f} in the middle; {slower} of {len(ratios)} cost over 3% more.",
        "One process, one worker (Gunicorn: one thread; Uvicorn: async handlers), wrk with one connection; "
        "user and system time of the server, the better of two rounds.",
    )


def render_cost(python: Path, engine: str) -> float:
    """Milliseconds of processor time for a table of 100 rows, in a process of its own; the best of 7."""
    source = {"jinja2": "JINJA_TABLE", "kida": "KIDA_TABLE"}[engine]
    program = f"""
from timeit import repeat
from time import process_time
from {engine} import Environment
from bench.claims.probes import CELLS, {source}
template = Environment(autoescape=True).from_string({source})
render = lambda: template.render(rows=range(100), cells=CELLS)
print(min(repeat(render, timer=process_time, number=200, repeat=7)) / 200 * 1000)
"""
    line = [str(python), "-c", program]
    return float(subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


@claim(
    "cpu-rendering",
    "Work for the processor, such as rendering, spreads over the cores by threads as well as by processes.",
)
def cpu_rendering() -> Finding:
    """A page that takes milliseconds to render, with one worker and with one for each core."""
    print(f"{'':<36}{'requests/s':>18}{'':>10}{'ms of CPU/request':>20}")
    print(f"{'workers':<36}{1:>9}{CORES:>9}{'speed-up':>10}{1:>11}{CORES:>9}{'ratio':>7}{'wrk':>6}")
    speed_ups: dict[tuple[str, str], float] = {}
    samples = []
    for framework in ("chirp", "flask", "fastapi"):
        for by, build in (("threads", "3.14t"), ("processes", "3.14")):
            # A worker is one thread at work. Pounce has one setting for both kinds of worker.
            workers = by == "processes" or framework == "chirp"
            alone = Case(framework, build, "/table?rows=200", threads=1)
            together = replace(alone, workers=CORES) if workers else replace(alone, threads=CORES)
            one, all_ = side_by_side([alone, together], rate)
            samples += [one, all_]
            speed_ups[framework, by] = rate(all_) / rate(one)
            print(
                f"{f'{framework}, {by}, {build}':<36}{rate(one):>9.0f}{rate(all_):>9.0f}"
                f"{speed_ups[framework, by]:>10.2f}{one.cost:>11.2f}{all_.cost:>9.2f}"
                f"{all_.cost / one.cost:>7.2f}{all_.load.cpu / all_.load.seconds:>6.0%}"
            )
    found = {
        name: (speed_ups[name, "threads"], speed_ups[name, "processes"])
        for name in ("chirp", "flask", "fastapi")
    }
    good = sum(threads > 0.9 * processes for threads, processes in found.values())
    listed = ", ".join(
        f"{name} {threads:.2f} and {processes:.2f}" for name, (threads, processes) in found.items()
    )
    return Finding(
        unless_disturbed("true" if good == len(found) else "depends" if good else "false", samples),
        f"{CORES} workers answered so many times what one did, by threads and by processes: "
        f"{listed}. As well means at least 0.9 times as much.",
        f"/table?rows=200, a page of 800 cells, by Kida in Chirp and by Jinja in the others; wrk, "
        f"{CONNECTIONS} connections, the better of two rounds; wrk's share of a core is in the last column.",
    )


# ---- waiting


@claim(
    "io-waits",
    "When handlers wait, async ones serve many clients at once; on threads the others queue for a thread.",
)
def io_waits() -> Finding:
    """200 clients, each of which waits 100 ms for each answer."""
    clients, ideal = 200, 2_000
    cases = {
        "Chirp, async def": Case("chirp", "3.14t", "/await"),
        "Chirp, def, asyncio's pool": Case("chirp", "3.14t", "/wait"),
        "Chirp, def, 200 threads": Case("chirp", "3.14t", "/wait", threads=200),
        "FastAPI, async def": Case("fastapi", "3.14", "/await"),
        "FastAPI, def, its 40 threads": Case("fastapi", "3.14", "/wait"),
        "FastAPI, def, 200 threads": Case("fastapi", "3.14", "/wait", threads=200),
        "Flask, gthread, 8 threads": Case("flask", "3.14", "/wait", threads=8),
        "Flask, gthread, 200 threads": Case("flask", "3.14", "/wait", threads=200),
    }
    print(f"{'one worker':<30}{'requests/s':>11}{'of the ideal':>14}{'p99, ms':>9}{'ms of CPU/request':>19}")
    samples: list[Sample] = []
    on_loop: list[float] = []
    on_few: list[float] = []
    on_many: list[float] = []
    for label, case in cases.items():
        path = f"{case.path}?ms=100"
        with tempfile.TemporaryDirectory() as folder, case.served(Path(folder)) as server:
            # With few clients it warms up; with all, as with a second attempt, a queue would be left.
            sample(server, path, 4)
            one = sample(server, path, clients, 3)
        samples.append(one)
        share = rate(one) / ideal
        print(f"{label:<30}{rate(one):>11.0f}{share:>14.0%}{one.load.p99:>9.0f}{one.cost:>19.2f}")
        (on_loop if case.path == "/await" else on_many if case.threads == clients else on_few).append(share)
    verdict: Verdict = "false"
    if min(on_loop) > 2 * max(on_few):
        verdict = "depends" if max(on_many) > 0.8 * min(on_loop) else "true"
    return Finding(
        unless_disturbed(verdict, samples),
        f"Of {ideal:,} requests/s that are possible, async handlers served {min(on_loop):.0%} to "
        f"{max(on_loop):.0%}, sync ones {min(on_few):.0%} to {max(on_few):.0%} on the usual number of "
        f"threads and {min(on_many):.0%} to {max(on_many):.0%} on a thread for each client.",
        f"One process with one worker; wrk, {clients} connections, each waits 100 ms for each answer. The "
        "usual number of threads: asyncio's min(32, cores + 4), FastAPI's 40, 8 with Gunicorn (whose default "
        "is 1).",
    )


# ---- streams


@claim(
    "first-byte",
    "A streamed page with slow sections shows its frame long before the last section is ready; "
    "Flask and FastAPI can do that as well as Chirp.",
)
def first_byte() -> Finding:
    """The dashboard whose sections take 1 to 2 seconds."""
    print(f"{'milliseconds until':<40}{'first byte':>11}{'<h1>':>7}{'1st section':>13}{'the end':>9}")
    shares = {}
    for name in ("chirp", "flask-processes", "fastapi-processes"):
        configuration = BY_NAME[name]
        with tempfile.TemporaryDirectory() as folder, contacts(configuration, folder) as server:
            arrivals(server, "/dashboard")  # compiles the template
            rounds = [arrivals(server, "/dashboard?slow=2") for _ in range(2)]
        best = [min(times) * 1000 for times in zip(*rounds, strict=True)]
        shares[name] = best[1] / best[3]
        print(f"{configuration.label:<40}{best[0]:>11.0f}{best[1]:>7.0f}{best[2]:>13.0f}{best[3]:>9.0f}")
    soon = sum(share < 0.1 for share in shares.values())
    return Finding(
        "true" if soon == len(shares) else "depends" if soon else "false",
        f"The heading came after {min(shares.values()):.1%} to {max(shares.values()):.1%} of the time of the "
        "whole page. A page that is rendered first and sent then comes at the end, frame and all.",
        "The contacts apps on SQLite, /dashboard?slow=2, of which the first section takes one second and the "
        "last two; a client that reads as it comes, without compression.",
    )


def arrivals(server: Server, path: str) -> tuple[float, float, float, float]:
    """Seconds until a page's first byte, its heading, its first section and its end."""
    with closing(HTTPConnection(server.host, server.port, timeout=30)) as connection:
        page, seen = b"", dict.fromkeys((b"", b"</h1>", b'<div slot="'), 0.0)
        start = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        while chunk := answer.read1(65_536):
            page += chunk
            for text, moment in seen.items():
                if not moment and text in page:
                    seen[text] = time.perf_counter() - start
        end = time.perf_counter() - start
    if answer.status != 200 or not all(seen.values()) or b'role="alert">This section' in page:
        raise RuntimeError(f"{path} answered {answer.status} and is not whole: {page[-200:]!r}")
    first, heading, section = seen.values()
    return first, heading, section, end


@contextmanager
def contacts(configuration: Configuration, folder: str, program: str = "") -> Iterator[Server]:
    """The contacts app on SQLite, as it is deployed. program: to start it by instead."""
    command = [str(configuration.python), "-c", program] if program else configuration.command()
    its = {
        "CONTACTS_STORE": f"sqlite:///{folder}/contacts.db",
        "CONTACTS_WORKERS": str(configuration.workers),
    }
    with started(command, Path(folder), its) as server:
        yield server


class Windows:
    """Windows that follow /live as a browser does: one whose stream ends asks again after `retry`.

    told: when each has heard of the newest change.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks: list[asyncio.Task[None]] = []
        self._open: set[int] = set()
        self.told: dict[int, float] = {}

    async def open(self, number: int) -> None:
        """Let there be so many."""
        for one in range(len(self._tasks), number):
            self._tasks.append(asyncio.create_task(self._follow(one)))
            await asyncio.sleep(0.005)  # people do not come all at once

    async def held(self, seconds: float) -> float:
        """How many of them had an open stream, on average of these seconds."""
        counts = []
        for _ in range(int(seconds * 20)):
            await asyncio.sleep(0.05)
            counts.append(len(self._open))
        return mean(counts)

    async def close(self) -> None:
        """Close them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, number: int) -> None:
        seen, retry = "", 1.0
        while True:
            with suppress(ConnectionError):
                reader, writer = await asyncio.open_connection(self._server.host, self._server.port)
                try:
                    known = f"Last-Event-ID: {seen}\r\n" if seen else ""
                    writer.write(
                        f"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{known}\r\n".encode()
                    )
                    async for line in reader:
                        field, _, value = line.decode().strip().partition(": ")
                        if field == "event":
                            self._open.add(number)
                            if value == "changed":
                                self.told[number] = time.perf_counter()
                        elif field == "id":
                            seen = value
                        elif field == "retry":
                            retry = int(value) / 1000
                finally:
                    self._open.discard(number)
                    writer.close()
            await asyncio.sleep(retry)


# The Flask twin lets 4 streams of a process wait, and for 5 seconds; the other windows ask again and again.
THREAD_EACH = """
import sys, threading
from gunicorn.app.wsgiapp import run
from twins import flask_app
flask_app.WINDOWS, flask_app.WAIT = 200, 60
flask_app.waiting = threading.BoundedSemaphore(flask_app.WINDOWS)
sys.argv = ["gunicorn", "--config=python:twins.gunicorn_conf", "twins.flask_app:create_app()"]
sys.exit(run())
"""


@claim("event-streams", "One server holds hundreds of open event streams while it answers ordinary requests.")
def event_streams() -> Finding:
    """Windows that follow the contacts apps, 16 and 200 of them."""
    print(f"{'':<26}{'windows':>8}{'open':>6}{'CPU when':>10}{'kB per':>8}{'told after, s':>15}{'/hello':>9}")
    print(f"{'':<26}{'':>8}{'':>6}{'idle':>10}{'window':>8}{'median':>9}{'last':>6}{'ms':>9}")
    holding, found, samples = [], [], []
    for label, name, program in (
        ("Chirp", "chirp", ""),
        ("FastAPI", "fastapi-processes", ""),
        ("Flask, 8 threads each", "flask-processes", ""),
        ("Flask, 400 threads each", "flask-processes", THREAD_EACH),
    ):
        with tempfile.TemporaryDirectory() as folder, contacts(BY_NAME[name], folder, program) as server:
            rows = asyncio.run(follow(server, (0, 16, 200)))
        alone, few, most = rows
        # From few to many: what the first windows take is mostly what a server takes only once.
        memory = f"{(most.memory - few.memory) / (most.windows - few.windows) / 1000:.0f}"
        for row in rows:
            print(
                f"{label:<26}{row.windows:>8}{row.open:>6.0f}{row.cpu:>10.0%}"
                f"{memory if row is most else '':>8}{row.median:>9.2f}{row.last:>6.2f}"
                f"{row.hello.load.p50:>9.2f}"
            )
        samples += [row.hello for row in rows]
        slower = most.hello.load.p50 / alone.hello.load.p50
        found.append(
            f"{label}: {most.open:.0f} open, last told after {most.last:.1f} s, /hello x {slower:.1f}"
        )
        holding.append(most.open > 0.95 * most.windows and most.last < 2 and slower < 2)
    return Finding(
        unless_disturbed("true" if all(holding) else "depends" if any(holding) else "false", samples),
        f"Of {most.windows} windows: {'; '.join(found)}. "
        "Holding means: over 95% open, all told within 2 s, /hello at most twice as slow.",
        f"The contacts apps on SQLite, {CORES} workers: Chirp in threads on 3.14t, the others in processes "
        "on 3.14; windows ask again when a stream ends, as a browser does; /hello by wrk, one connection.",
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """What so many windows cost.

    open: how many had a stream, on average. cpu: cores, when nothing happens. memory: bytes of the server.
    median, last: seconds until they had heard of a change.
    """

    windows: int
    open: float
    cpu: float
    memory: int
    median: float
    last: float
    hello: Sample


async def follow(server: Server, numbers: Sequence[int]) -> list[Followed]:
    """Open so many windows, and see what they cost and how soon they are told."""
    windows, rows = Windows(server), []
    await asyncio.to_thread(sample, server, "/hello", 1)  # warms up
    try:
        for number in numbers:
            await windows.open(number)
            await asyncio.sleep(0.5)
            cpu, start = server.cpu(), time.perf_counter()
            still_open = await windows.held(2)
            cpu = (server.cpu() - cpu) / (time.perf_counter() - start)
            memory = server.memory()
            hello = await asyncio.to_thread(undisturbed, server, "/hello", 1)
            waited = await told(server, windows, number)
            rows.append(Followed(number, still_open, cpu, memory, median(waited), max(waited), hello))
    finally:
        await windows.close()
    return rows


async def told(server: Server, windows: Windows, number: int) -> list[float]:
    """Add a contact: the seconds until each of so many windows has heard of it; [0.0] without windows."""
    windows.told.clear()
    start = time.perf_counter()
    await asyncio.to_thread(add_contact, server, f"Ada {number}")
    while len(windows.told) < number:
        if time.perf_counter() - start > 15:
            raise RuntimeError(f"{number - len(windows.told)} of {number} windows have not heard of a change")
        await asyncio.sleep(0.01)
    return [moment - start for moment in windows.told.values()] or [0.0]


def add_contact(server: Server, name: str) -> None:
    """Add a contact as a plain form does."""
    with closing(HTTPConnection(server.host, server.port, timeout=20)) as connection:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/contacts", urlencode({"name": name, "phone": "555-0100"}), form)
        if (status := connection.getresponse().status) != 303:
            raise RuntimeError(f"adding a contact was answered by {status}")


# ---- connections


@claim(
    "keep-alive-throughput",
    "A new connection for each request makes every server slower, so measure on connections that are kept.",
)
def keep_alive_throughput() -> Finding:
    """The smallest request of the contacts apps, on connections that are kept and that are not."""
    print(f"{'/hello':<44}{'requests/s':>16}{'':>7}{'ms of CPU/request':>20}{'wrk':>6}")
    print(f"{'':<44}{'kept':>8}{'new':>8}{'ratio':>7}{'kept':>10}{'new':>10}{'kept':>6}")
    shares, costs, samples = {}, [], []
    for configuration in CONFIGURATIONS:
        with tempfile.TemporaryDirectory() as folder, contacts(configuration, folder) as server:
            sample(server, "/hello", CONNECTIONS)
            kept = undisturbed(server, "/hello", CONNECTIONS)
            new = undisturbed(server, "/hello", CONNECTIONS, 1, "--header=Connection: close")
        samples += [kept, new]
        shares[configuration.label] = new.load.rate / kept.load.rate
        costs.append(new.cost / kept.cost)
        print(
            f"{configuration.label:<44}{kept.load.rate:>8.0f}{new.load.rate:>8.0f}"
            f"{shares[configuration.label]:>7.2f}{kept.cost:>10.2f}{new.cost:>10.2f}"
            f"{kept.load.cpu / kept.load.seconds:>6.0%}"
        )
    dearer = sum(cost > 1.1 for cost in costs)
    return Finding(
        unless_disturbed("true" if dearer == len(costs) else "depends" if dearer else "false", samples),
        f"With a new connection for each request the servers answered {min(shares.values()):.2f} to "
        f"{max(shares.values()):.2f} times as many, for {min(costs):.2f} to {max(costs):.2f} times the "
        "processor time. The verdict is by the latter (over 1.1), since wrk has a share in the former.",
        "The contacts apps on SQLite, each request logged; wrk on one thread, with 16 connections, its share "
        "of a core in the last column.",
    )
