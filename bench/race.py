"""The race: the Chirp app against its twins in Flask and FastAPI. `make bench`, a quarter of an hour.

Each server in turn, each round: it is started on a fresh database of 1,000 sample contacts, every scenario
is run at 1, 16 and 64 connections for a second each, and it is stopped. Five rounds are interleaved, so that
whatever else the machine does falls on all; a figure is the median of its rounds. wrk loads, from the same
machine.

Equal work is checked before each round: the same rows, and bytes within 5 %. A request that fails, or a
contact that was added and is not there, makes the run void.

Writes bench/results/race.json, race.md (the tables) and race.svg (the chart).
"""

import argparse
import asyncio
import json
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, urlencode

from app.contacts.samples import samples
from app.store import open_store
from bench import race_report, wrk
from bench.servers import CONFIGURATIONS, Configuration, Server, running

CONTACTS: Final = 1_000
CONNECTIONS: Final = (1, 16, 64)
TOLERANCE: Final = 0.05  # by which the bytes of two apps may differ
LONGEST_WORD: Final = 4  # letters of a name that a search types
HTMX: Final = {"HX-Request": "true", "HX-Current-URL": "http://127.0.0.1/contacts"}
FORM: Final = HTMX | {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. body: of a form."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


# --- what is asked


def searches() -> list[Request]:
    """A search for each of the words that people type on the way to a name: `jo`, `joh`, `john`."""
    words = {
        part[:length].lower()
        for draft in samples(CONTACTS)
        for part in draft.name.split()
        for length in range(2, LONGEST_WORD + 1)
        if part.isascii() and part.isalpha()
    }
    return [Request("GET", f"/contacts?q={quote_plus(word)}", HTMX) for word in sorted(words)]


def additions(many: int) -> Iterator[Request]:
    """Contacts to add, from a page with 50 rows; no email twice."""
    for number in range(many):
        email = f"race{time.time_ns()}.{number}@example.com"
        fields = {"name": f"Race Driver {number}", "email": email, "company": "Race", "rows": "50"}
        yield Request("POST", "/contacts", FORM, urlencode(fields))


def editions(database: Path, many: int) -> Iterator[Request]:
    """Editors to save, as often as wanted in turn: each names the version that its contact has then.

    No name twice, not even by another run: an editor that changes nothing makes no version.
    """
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT id, version, email FROM contact WHERE email <> '' ORDER BY id LIMIT ?", (CONTACTS,)
        ).fetchall()
    for number in range(many):
        contact_id, version, email = rows[number % len(rows)]
        turn = number // len(rows)
        fields = {"name": f"Edited {time.time_ns()}.{number}", "email": email, "version": str(version + turn)}
        yield Request("PUT", f"/contacts/{contact_id}", FORM, urlencode(fields))


def mix(many: int) -> Iterator[Request]:
    """What people do: of twenty requests eight lists, six searches; two contacts, editors, additions."""
    wanted, new = searches(), additions(many)
    for number in range(many):
        contact = number % CONTACTS + 1
        match number % 20:
            case 0 | 10:
                yield next(new)
            case 1 | 11:
                yield Request("GET", f"/contacts/{contact}")
            case 2 | 12:
                yield Request("GET", f"/contacts/{contact}/edit", HTMX)
            case place if place % 3 == 0:
                yield wanted[number * 7 % len(wanted)]
            case _:
                yield Request("GET", "/contacts")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is raced. requests: from the database to so many requests that wrk sends in turn."""

    name: str
    label: str
    requests: Callable[[Path, int], Sequence[Request]]
    memory: bool = False  # on the memory store
    adds: bool = False  # every request adds a contact


SCENARIOS: Final = (
    Scenario("hello", "hello", lambda _, __: [Request("GET", "/hello")]),
    Scenario("page", "page of 50 rows", lambda _, __: [Request("GET", "/contacts")]),
    Scenario("search", "search fragment", lambda _, __: searches()),
    Scenario("add", "add, with badge out of band", lambda _, many: list(additions(many)), adds=True),
    Scenario("edit", "save an editor", lambda database, many: list(editions(database, many))),
    Scenario("mix", "90 % reads, 10 % writes, SQLite", lambda _, many: list(mix(many))),
    Scenario("mix-memory", "90 % reads, 10 % writes, memory", lambda _, many: list(mix(many)), memory=True),
)
DASHBOARD: Final = "dashboard"
MANY: Final = 6_000  # requests that are prepared: more than any server answers in a second but of hello


def script(requests: Sequence[Request]) -> str:
    """Lua that has wrk send these in turn, each once for each time round."""
    lines = ["local requests = {"]
    for request in requests:
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(text)}" for name, text in request.headers.items()
        )
        body = json.dumps(request.body) if request.body else "nil"
        lines.append(
            f"  {{{json.dumps(request.method)}, {json.dumps(request.path)}, {{{headers}}}, {body}}},"
        )
    return "\n".join([*lines, "}", _IN_TURN])


# wrk asks for one request to try it out, and does not send it: here the last one.
_IN_TURN = """
local number = -1
function request()
  number = number % #requests + 1
  return wrk.format(unpack(requests[number]))
end
"""


# --- one server, one round


@dataclass(frozen=True, slots=True)
class Result:
    """One run. rate: requests per second. cpu: seconds of the server for each. p50, p99: milliseconds."""

    rate: float
    cpu: float
    p50: float
    p99: float
    requests: int


@dataclass
class Lap:
    """What one server did in one round. results: by scenario and connections. cold, loaded: bytes."""

    start: float = 0.0
    cold: int = 0
    loaded: int = 0
    results: dict[str, dict[int, Result]] = field(default_factory=dict)
    work: dict[str, tuple[int, int]] = field(default_factory=dict)  # rows and bytes of each kind of answer
    faults: list[str] = field(default_factory=list)


def drive(configuration: Configuration, template: Path, folder: Path, seconds: int) -> Lap:
    """One lap: every scenario on SQLite, then the one on memory. template: the database to start from."""
    lap = Lap()
    database = folder / "contacts.db"
    shutil.copyfile(template, database)
    production = {
        "CONTACTS_ENV": "production",
        "CONTACTS_SECRET": "it protects nothing in a race on one machine",
        "CONTACTS_SAMPLE": str(CONTACTS),
    }
    with running(configuration, folder, f"sqlite:///{database}", **production) as server:
        settle(server)  # the first process answers before the others are there
        lap.start, lap.cold = server.start, server.memory()
        lap.work = work(server, database)
        wrk.run(server.url, connections=16, seconds=1, script=script(searches()))  # warm
        run_scenarios(server, lap, seconds, database, memory=False)
        lap.results[DASHBOARD] = {connections: dashboard(server, connections) for connections in CONNECTIONS}
        lap.loaded = server.memory()
    with running(configuration, folder, "memory:", **production) as server:
        run_scenarios(server, lap, seconds, database, memory=True)
    return lap


def run_scenarios(server: Server, lap: Lap, seconds: int, database: Path, *, memory: bool) -> None:
    """The scenarios on SQLite or those on memory, each at every number of connections."""
    for scenario in SCENARIOS:
        if scenario.memory == memory:
            lap.results[scenario.name] = {
                connections: race(server, scenario, connections, seconds, database, lap.faults)
                for connections in CONNECTIONS
            }


def race(
    server: Server, scenario: Scenario, connections: int, seconds: int, database: Path, faults: list[str]
) -> Result:
    """One scenario at one number of connections."""
    settle(server)
    lua = script(scenario.requests(database, MANY * seconds))
    contacts = _contacts(database)
    before = server.cpu()
    load = wrk.run(server.url, connections=connections, seconds=seconds, script=lua)
    cpu = server.cpu() - before
    where = f"{scenario.name} at {connections}"
    if load.errors or not load.requests:
        faults.append(f"{where}: {load.errors} errors in {load.requests} requests")
    settle(server)
    if scenario.adds and not load.requests <= _contacts(database) - contacts <= load.requests + connections:
        faults.append(f"{where}: {load.requests} answers, {_contacts(database) - contacts} more contacts")
    return Result(load.rate, cpu / max(load.requests, 1), load.p50, load.p99, load.requests)


def settle(server: Server) -> None:
    """Wait until it has finished what it was asked before: what wrk left unread still runs."""
    cpu = -1.0
    while cpu != (cpu := server.cpu()):
        time.sleep(0.1)


def _contacts(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM contact").fetchone()[0])


def work(server: Server, database: Path) -> dict[str, tuple[int, int]]:
    """Rows and bytes of the answers, to compare servers by."""
    asked = {
        "page": [Request("GET", "/contacts")],
        "search": searches()[::10],
        "add": list(additions(3)),
        "edit": list(editions(database, 3)),
        "contact": [Request("GET", "/contacts/1")],
        "editor": [Request("GET", "/contacts/9/edit", HTMX)],
    }
    return {name: _amount(server, requests) for name, requests in asked.items()}


def _amount(server: Server, requests: Sequence[Request]) -> tuple[int, int]:
    rows = size = 0
    for request in requests:
        status, body = server.ask(request.method, request.path, request.headers, request.body)
        if status != 200:
            raise SystemExit(f"{request.method} {request.path} answered {status}: {body[:300]!r}")
        rows += len(re.findall(rb'<tr id="contact-', body))
        size += len(body)
    return rows, size


def dashboard(server: Server, connections: int) -> Result:
    """The time to the first byte of the dashboard; the rest of it is read, too."""
    each = max(64 // connections, 1)
    before, start = server.cpu(), time.perf_counter()
    times = asyncio.run(_first_bytes(server, connections, each))
    seconds, cpu = time.perf_counter() - start, server.cpu() - before
    return Result(
        len(times) / seconds,
        cpu / len(times),
        statistics.median(times),
        statistics.quantiles(times, n=100, method="inclusive")[98],
        len(times),
    )


async def _first_bytes(server: Server, connections: int, each: int) -> list[float]:
    """Milliseconds to the first byte of each answer, asked on so many connections at once."""

    async def client() -> list[float]:
        times = []
        for _ in range(each):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            head = (
                f"GET /dashboard HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nConnection: close\r\n\r\n"
            )
            begin = time.perf_counter()
            writer.write(head.encode())
            first = await reader.read(1)
            times.append((time.perf_counter() - begin) * 1_000)
            answer = first + await reader.read()
            if b" 200 " not in answer[:20] or b"</html>" not in answer:
                raise SystemExit(f"the dashboard of {server.url} is not whole: {answer[:200]!r}")
            writer.close()
        return times

    return [time for times in await asyncio.gather(*(client() for _ in range(connections))) for time in times]


# --- the whole race


def main() -> None:
    """Run the rounds, check that the work was equal, write what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of each run")
    parser.add_argument("--only", default="", help="configurations by name, with commas between")
    options = parser.parse_args()
    wrk.provide()
    wanted = options.only.split(",") if options.only else [each.name for each in CONFIGURATIONS]
    configurations = [each for each in CONFIGURATIONS if each.name in wanted]
    laps: dict[str, list[Lap]] = {each.name: [] for each in configurations}
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        with closing(open_store(f"sqlite:///{template}")) as store:
            store.import_many(samples(CONTACTS))
        for number in range(options.rounds):
            for place in range(len(configurations)):
                # Nobody is always first.
                configuration = configurations[(place + number) % len(configurations)]
                own = Path(folder) / f"{configuration.name}-{number}"
                own.mkdir()
                print(f"round {number + 1}/{options.rounds}: {configuration.label}", file=sys.stderr)
                laps[configuration.name].append(drive(configuration, template, own, options.seconds))
                shutil.rmtree(own)
    faults = list(faults_of(laps))
    race_report.write(configurations, laps, faults, minutes=(time.time() - began) / 60)
    sys.exit(bool(faults))


def faults_of(laps: dict[str, list[Lap]]) -> Iterator[str]:
    """Why the run is void: failed requests, and work that was not equal to that of the first server."""
    first, *_ = laps
    for name, rounds in laps.items():
        for number, lap in enumerate(rounds, start=1):
            yield from (f"{name}, round {number}: {fault}" for fault in lap.faults)
            for kind, (rows, size) in lap.work.items():
                own_rows, own_size = laps[first][number - 1].work[kind]
                if rows != own_rows or abs(size - own_size) > TOLERANCE * own_size:
                    yield (
                        f"{name}, round {number}: {kind} has {rows} rows and {size} bytes, "
                        f"that of {first} {own_rows} and {own_size}"
                    )


if __name__ == "__main__":
    main()
