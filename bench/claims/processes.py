"""Claims about processes and threads: what serves, what it shares, what it costs, how it starts and stops."""

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

from app.contacts.samples import samples
from app.store import open_store
from bench import wrk
from bench.claims.clients import at_once, idle_connections, print_table, settle
from bench.claims.ledger import Finding, Verdict, claim
from bench.claims.probes import ask, command, probe
from bench.servers import CONFIGURATIONS, CORES, FREE, GIL, TICK, Configuration, Server, running, started

CHIRP, FLASK, FLASK_THREADS, FASTAPI, FASTAPI_SINGLE = CONFIGURATIONS
CHIRP_GIL: Final = Configuration("chirp-processes", f"Chirp + Pounce, {CORES} processes, 3.14", "chirp", GIL)
ALL: Final = (*CONFIGURATIONS, CHIRP_GIL)
PROBE: Final = "The probe app; Gunicorn with gthread, 8 threads in each process."
CONTACTS: Final = "The contacts app and its twins on SQLite."


# ---- who serves, and what they share


@claim(
    "thread-model",
    "On free-threaded Python one process of Pounce serves on several threads at once; "
    "Gunicorn and Uvicorn need a process for each core.",
)
def thread_model() -> Finding:
    """Who answers /whoami, and how many cores are in use while tables are rendered."""
    parallel: dict[str, bool] = {}  # servers of one process: whether it used more than one core
    unclear: list[str] = []  # those of them to which other programs left no second core
    rows = []
    with TemporaryDirectory() as folder:
        for one in ALL:
            with probe(one, Path(folder)) as server:
                settle(server)
                seen = at_once([partial(ask, server, "/whoami")] * 64)
                processes = {each["pid"] for each in seen}
                threads = {(each["pid"], each["ident"]) for each in seen}
                gil = "on" if seen[0]["gil"] else "off"
                paths = {one.label: "/table"}
                if one is FASTAPI_SINGLE:
                    # Handlers of both kinds are good FastAPI, and they run on different threads.
                    paths = {f"{one.label}, def": "/table", f"{one.label}, async def": "/table-async"}
                for label, path in paths.items():
                    used, idle = cores_used(server, f"{path}?rows=300")
                    if len(processes) == 1:
                        if used > 1.3 or idle > 0.5:
                            parallel[label] = used > 1.3
                        else:
                            unclear.append(label)
                    rows.append((label, gil, len(processes), len(threads), f"{used:.2f}", f"{idle:.2f}"))
    print_table(("", "GIL", "processes", "threads", "cores used", "left idle"), rows)

    verdict: Verdict = "undecided" if unclear else "true"
    if parallel.get(CHIRP.label) is False:
        verdict = "false"
    elif parallel.get(CHIRP.label) and sum(parallel.values()) > 1:
        verdict = "depends"
    return Finding(
        verdict,
        f"One process used more than one core: {named(parallel, True)}; it did not: {named(parallel, False)}"
        + (f"; not decided, as others used the cores: {'; '.join(unclear)}." if unclear else "."),
        f"{PROBE} 64 requests to /whoami by 16 clients: which processes and threads answered. Then wrk on "
        "/table with 16 connections for 2 s: processor time of the server. Up to 1.3 is taken for one core. "
        "Linux only.",
    )


def cores_used(server: Server, path: str) -> tuple[float, float]:
    """How many cores a server uses while wrk asks for this path, and how many are left idle.

    Tried up to four times, until it used more than one or left one idle: else other programs were in the way.
    """
    used = idle = 0.0
    for _ in range(4):
        settle(server)
        ran, rested = server.cpu(), idle_time()
        seconds = load(server, path, 2).seconds
        used, idle = (server.cpu() - ran) / seconds, (idle_time() - rested) / seconds
        if used > 1.3 or idle > 0.5:
            break
    return used, idle


def load(server: Server, path: str, seconds: int) -> wrk.Load:
    """Ask for a path on 16 connections, each time it is answered. AssertionError when a request fails."""
    seen = wrk.run(server.url + path, connections=16, seconds=seconds)
    if seen.errors:
        raise AssertionError(f"{path}: {seen.errors} of {seen.requests} requests failed")
    return seen


def idle_time() -> float:
    """Seconds in which the cores of this machine had nothing to do, together."""
    fields = Path("/proc/stat").read_text().split(maxsplit=6)
    return (int(fields[4]) + int(fields[5])) / TICK  # idle, and waiting for a disk


def named(found: Mapping[str, bool], value: bool) -> str:
    """Those with this value, for a sentence."""
    names = [label for label, each in found.items() if each is value]
    if not names:
        return "none"
    return "all" if len(names) == len(found) else "; ".join(names)


@claim(
    "shared-memory",
    "What Chirp keeps in memory on free-threaded Python is shared by all its workers; "
    "with Gunicorn and Uvicorn each worker has its own.",
)
def shared_memory() -> Finding:
    """Write on many connections, then read on others."""
    shared: dict[str, bool] = {}
    unseen: list[str] = []  # of whose processes not all answered a read
    rows = []
    with TemporaryDirectory() as folder:
        for one in ALL:
            with probe(one, Path(folder)) as server:
                settle(server)
                at_once([partial(add_number, server)] * 100)
                reads = at_once([partial(ask, server, "/number")] * 40)
            processes = {each["pid"] for each in reads}
            counts = {each["count"] for each in reads}
            if len(processes) < (1 if one.python == FREE else one.workers):
                unseen.append(one.label)
            shared[one.label] = counts == {100}
            rows.append((one.label, len(processes), len(counts), min(counts), max(counts)))
    print_table(("40 reads after 100 writes", "processes", "different counts", "smallest", "largest"), rows)

    twins = [shared[one.label] for one in CONFIGURATIONS[1:]]
    verdict: Verdict = "depends" if any(twins) else "true"
    if not shared[CHIRP.label]:
        verdict = "false"
    return Finding(
        "undecided" if unseen else verdict,
        f"All reads saw all 100 writes: {named(shared, True)}. They did not: {named(shared, False)}.",
        f"{PROBE} A list behind a lock; each request on a connection of its own, 16 at a time.",
    )


def add_number(server: Server) -> None:
    """POST /number, on a connection of its own."""
    with closing(HTTPConnection(server.host, server.port, timeout=20)) as connection:
        connection.request("POST", "/number")
        answer = connection.getresponse()
        if answer.status != 200:
            raise AssertionError(f"POST /number answered {answer.status}")
        answer.read()


# ---- what a server costs


@claim("cold-start", "Chirp answers sooner after its start than Flask and FastAPI do.")
def cold_start() -> Finding:
    """From the command to the first 200, in rounds that go through all servers."""
    times: dict[tuple[str, str], list[float]] = {}
    with TemporaryDirectory() as folder:
        store = filled(Path(folder), 12)
        for _ in range(5):
            for one in CONFIGURATIONS:
                with probe(one, Path(folder)) as server:
                    times.setdefault((one.label, "probe app"), []).append(server.start)
                its = {"CONTACTS_STORE": store, "CONTACTS_WORKERS": str(one.workers)}
                with started(contacts_command(one), Path(folder), its) as server:
                    times.setdefault((one.label, "contacts app"), []).append(server.start)
    took = {key: median(each) for key, each in times.items()}
    ratio = {(label, app): each / took[CHIRP.label, app] for (label, app), each in took.items()}
    apps = ("probe app", "contacts app")
    rows = [
        (one.label, *(f"{took[one.label, app]:.2f} s = {ratio[one.label, app]:.2f}" for app in apps))
        for one in CONFIGURATIONS
    ]
    print_table(("median of 5 starts; Chirp's = 1", *apps), rows)

    slower = [each > 1.05 for (label, _), each in ratio.items() if label != CHIRP.label]
    quickest = [min((ratio[one.label, app], one.label) for one in CONFIGURATIONS[1:]) for app in apps]
    quicker = [f"{each:.2f} ({app}: {label})" for app, (each, label) in zip(apps, quickest, strict=True)]
    return Finding(
        "true" if all(slower) else "depends" if any(slower) else "false",
        f"The quickest start of a twin took, of Chirp's time: {', '.join(quicker)}; "
        f"{sum(slower)} of {len(slower)} took longer than Chirp.",
        f"{PROBE} The contacts app, which does more than its twins, on a database with 12 contacts, each by "
        "its server's own command. Modules are compiled and files are in the system's cache.",
    )


def contacts_command(configuration: Configuration) -> list[str]:
    """The server's own command for the contacts app: the launcher of the twins would take a start itself."""
    python, workers = str(configuration.python), configuration.workers
    match configuration.framework:
        case "chirp":
            return [python, "-m", "app", "serve"]
        case "flask":
            line = [python, "-m", "gunicorn", "--config=python:twins.gunicorn_conf"]
            return [*line, "twins.flask_app:create_app()"]
        case _:
            line = [python, "-m", "uvicorn", "--port={port}", f"--workers={workers}"]
            return [*line, "--factory", "twins.fastapi_app:create_app"]


def filled(folder: Path, number: int) -> str:
    """The URL of a new database with so many contacts."""
    url = f"sqlite:///{folder / f'contacts-{number}.db'}"
    with closing(open_store(url)) as store:
        store.import_many(samples(number))
    return url


@claim("memory", "A server whose workers are threads needs less memory than one whose workers are processes.")
def memory() -> Finding:
    """What all processes of a server hold, before and after a load."""
    kinds = {
        "Chirp + Pounce, threads, 3.14t": CHIRP,
        "Flask + Gunicorn, processes, 3.14": FLASK,
        "FastAPI + Uvicorn, processes, 3.14": FASTAPI,
        FLASK_THREADS.label: FLASK_THREADS,
        FASTAPI_SINGLE.label: FASTAPI_SINGLE,
    }
    counts = (1, 2, 4)
    after: dict[str, list[float]] = {label: [] for label in kinds}
    cells: dict[str, list[str]] = {label: [] for label in kinds}
    with TemporaryDirectory() as folder:
        store = filled(Path(folder), 1_000)
        for label, one in kinds.items():
            for workers in counts if one.workers > 1 else (1,):
                with running(replace(one, workers=workers), Path(folder), store) as server:
                    settle(server)
                    cold = server.memory() / 1e6
                    requests = 0
                    while requests < 1_000:  # so that each thread gets enough of them on a busy machine, too
                        requests += load(server, "/contacts", 2).requests
                    after[label].append(server.memory() / 1e6)
                    cells[label].append(f"{cold:.0f} {after[label][-1]:3.0f}")
    print_table(
        ("MB, cold and after a load; workers:", *map(str, counts)),
        [(label, *each, *[""] * (len(counts) - len(each))) for label, each in cells.items()],
    )

    chirp, flask, fastapi, flask_threads, _ = after.values()
    parts = {
        name: [mine / theirs for mine, theirs in zip(chirp, twin, strict=True)]
        for name, twin in (("Flask", flask), ("FastAPI", fastapi))
    }
    less = [part < 0.95 for twin in parts.values() for part in twin]
    shown = "; ".join(
        f"{name}'s processes: {', '.join(f'{part:.2f}' for part in twin)}" for name, twin in parts.items()
    )
    threads = flask_threads[0] / flask[0]
    return Finding(
        "true" if all(less) else "depends" if any(less) else "false",
        f"With {', '.join(map(str, counts))} workers Chirp's threads held, after the load, this part of what "
        f"the twins held. {shown}. Flask with 8 threads in one process held {threads:.2f} "
        "times as much on 3.14t as on 3.14.",
        f"{CONTACTS} Chirp's does more than they do. 1,000 contacts; the load: wrk on /contacts with 16 "
        "connections, for 2 s and 1,000 requests at least. Gunicorn: 8 threads in each process, preloaded. "
        "What is shared within a server counts once. Under 0.95 is taken for less. Linux only.",
    )


# ---- idle connections, and the end


@claim("keep-alive", "Idle keep-alive connections, as many as there are workers, hold up the next request.")
def keep_alive() -> Finding:
    """Leave connections open, then ask on a new one."""
    few, many = CORES, 8 * CORES
    cases: dict[str, tuple[list[str], tuple[int, ...]]] = {
        f"Pounce async, {CORES} threads": (pounce_serve("async"), (few, many)),
        # Each connection has a thread: more than these would not get as far as to be idle.
        f"Pounce sync, {CORES} threads": (pounce_serve("sync"), (few,)),
        f"Gunicorn sync, {CORES} processes": (command(FLASK, 1, "--worker-class=sync"), (few, many)),
        f"Gunicorn gthread, {CORES} processes of 1 thread": (command(FLASK, 1), (few, many)),
        f"Gunicorn gthread, {CORES} processes of 8 threads": (command(FLASK, 8), (few, many)),
        f"Uvicorn, {CORES} processes": (command(FASTAPI), (few, many)),
    }
    held: dict[str, bool] = {}
    rows = []
    with TemporaryDirectory() as folder:
        for label, (line, numbers) in cases.items():
            with started(line, Path(folder)) as server:
                settle(server)
                for number in numbers:
                    with idle_connections(server, number) as kept:
                        begin = time.perf_counter()
                        ask(server, "/ready")
                        took = time.perf_counter() - begin
                    held[label] = took > 0.5 or held.get(label, False)
                    rows.append((label, number, kept, f"{took:.2f} s"))
    print_table(("", "connections", "kept open", "the next request took"), rows)
    return Finding(
        "true" if all(held.values()) else "depends" if any(held.values()) else "false",
        f"The next request took more than half a second: {named(held, True)}; less: {named(held, False)}.",
        "The probe app. Each connection had one answer and stayed open; then a request on a new connection. "
        "Sync is what Pounce chooses itself on 3.14t for more than one worker; the contacts app sets async.",
    )


def pounce_serve(mode: str) -> list[str]:
    """Pounce's own command for the probe app, without what the contacts app mends."""
    line = [str(FREE), "-m", "pounce", "serve", "--app=bench.claims.probe_chirp:app", "--port={port}"]
    return [*line, f"--worker-mode={mode}", f"--workers={CORES}"]


PROMPT: Final = 2.5  # seconds; Gunicorn waits 2 for requests that may be on their way on idle connections


@claim(
    "graceful-shutdown",
    "On SIGTERM a server answers the request in flight and then ends at once, whatever connections are open.",
)
def graceful_shutdown() -> Finding:
    """Stop servers in the middle of a request of one second, and in the middle of an event stream."""
    as_it_comes = replace(CHIRP, label=f"Pounce without mending, {CORES} threads, 3.14t")
    cases = (*ALL, as_it_comes)
    with TemporaryDirectory() as folder:
        store = filled(Path(folder), 12)

        def stop(one: Configuration) -> list[Stop]:
            if one is as_it_comes:
                with started(pounce_serve("async"), Path(folder)) as server:
                    return [stop_during(server, "/wait?ms=1000")]
            with probe(one, Path(folder)) as server:
                request = stop_during(server, "/wait?ms=1000")
            with running(one, Path(folder), store) as server:
                return [request, stop_during(server, "/live")]

        stops = at_once([partial(stop, one) for one in cases], 3)
    print_table(
        ("answer, time to the end, exit code", "request of 1 s", "event stream"),
        [
            (one.label, *map(str, each), *["-"] * (2 - len(each)))
            for one, each in zip(cases, stops, strict=True)
        ],
    )

    found = {one.label: each for one, each in zip(cases, stops, strict=True)}
    answered = {label: request.whole for label, (request, *_) in found.items()}
    prompt = {label: request.seconds < PROMPT for label, (request, *_) in found.items()}
    streams = {label: stream.seconds < PROMPT for label, (_, *rest) in found.items() for stream in rest}
    good = [*answered.values(), *prompt.values(), *streams.values()]
    return Finding(
        "true" if all(good) else "depends" if any(answered.values()) else "false",
        f"The request was answered in full: {named(answered, True)}. It took more than {PROMPT} s to the end "
        f"with a request: {named(prompt, False)}; with a stream: {named(streams, False)}.",
        f"{PROBE} The event stream is /live of the contacts apps: Flask's ends by itself after 5 s; Uvicorn "
        "is given 3 s (--timeout-graceful-shutdown), then cuts. An idle keep-alive connection was open, too. "
        "Chirp is run as in the contacts app, which mends Pounce; the last line is a plain `pounce serve`.",
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """How a server stopped.

    whole: whether the answer that was under way came to its end. seconds: from SIGTERM to the end of the
    process. code: its exit code.
    """

    whole: bool
    seconds: float
    code: int

    def __str__(self) -> str:
        return f"{'whole' if self.whole else 'cut'} {self.seconds:5.1f} s {self.code:4}"


def stop_during(server: Server, path: str) -> Stop:
    """Stop a server while it answers this, and an idle connection is open."""

    def is_whole() -> bool:
        try:
            return server.get(path, timeout=30)[0] == 200
        except OSError, HTTPException:
            return False

    settle(server)
    with idle_connections(server, 1), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(is_whole)
        time.sleep(0.3)  # until it is in flight
        seconds = server.stop()
        return Stop(answer.result(), seconds, int(server.process.returncode))


@claim("flash-once", "A message after a redirect is shown exactly once, also with several workers.")
def flash_once() -> Finding:
    """Add contacts by plain forms, each with a browser of its own; follow the redirect; reload."""
    once: dict[str, bool] = {}
    rows = []
    for one in (CHIRP, FLASK, FASTAPI):
        with TemporaryDirectory() as folder, running(one, Path(folder), filled(Path(folder), 12)) as server:
            settle(server)
            seen = at_once([partial(messages, server, number) for number in range(100)], 8)
        first, again = (Counter(each) for each in zip(*seen, strict=True))
        once[one.label] = first == {1: 100} and again == {0: 100}
        rows.append(
            (one.label, *(f"{each[0]:3} {each[1]:3} {100 - each[0] - each[1]:3}" for each in (first, again)))
        )
    print_table(("shown 0, 1, 2 times", "after the redirect", "after a reload"), rows)
    return Finding(
        "true" if all(once.values()) else "depends" if any(once.values()) else "false",
        f"100 of 100 were shown once after the redirect, and none again: {named(once, True)}; "
        f"otherwise: {named(once, False)}.",
        f"{CONTACTS} POST /contacts without htmx, 8 browsers at a time, each request on a connection of its "
        "own. Flask has flash and a signed cookie; Chirp and FastAPI do it by an address and a cookie.",
    )


def messages(server: Server, number: int) -> tuple[int, int]:
    """Add a contact: how often its message stands on the page after the redirect, and on its reload."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    form = urlencode({"name": f"Ada {number}", "phone": "555-0100"}).encode()
    with browser.open(f"{server.url}/contacts", form, timeout=20) as answer:
        first, address = answer.read().decode(), answer.url
    with browser.open(address, timeout=20) as answer:
        again = answer.read().decode()
    message = f"Added Ada {number}."
    return first.count(message), again.count(message)
