"""How speed depends on the size of the address book: `make scale`.

Starts a real server on a database of 1,000 and one of 100,000 sample contacts and sends
both the same requests in turn, so that whatever else the machine does falls on both. Each
figure is the median of the answers' times in milliseconds, and the last column is what
matters: how many times longer the large address book takes. Then it imports 100,000 rows
while others read and write, and exports as many. Prints a Markdown table and writes
everything, the environment included, to bench/results/size.json.
"""

import argparse
import http.client
import json
import os
import platform
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, urlencode

from app.contacts.contact import Contact, now
from app.contacts.interchange import write
from app.contacts.listing import SORTS, ListQuery, sort_keys
from app.contacts.samples import samples
from app.store import ContactStore, open_store
from tests.server_process import RunningServer, running_server

ROOT = Path(__file__).parents[1]
FORM = "application/x-www-form-urlencoded"
SEARCHES = ("ada lovelace", "hopper", "smith", "martin vip", "an", "555", "example", "nobody at all")


@dataclass
class Client:
    """One keep-alive connection that asks as htmx does, and how long the answers took."""

    host: str
    port: int
    times: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._conn = http.client.HTTPConnection(self.host, self.port, timeout=60)

    def ask(
        self, label: str, method: str, path: str, body: str = "", *, ok: tuple[int, ...] = (200,)
    ) -> bytes:
        """Send a request; note its time in milliseconds under the label; anything but `ok` ends the run."""
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://{self.host}/contacts"}
        if body:
            headers["Content-Type"] = FORM
        start = time.perf_counter()
        self._conn.request(method, path, body.encode() or None, headers)
        answer = self._conn.getresponse()
        content = answer.read()
        took = (time.perf_counter() - start) * 1_000
        if answer.status not in ok:
            raise SystemExit(f"{method} {path} answered {answer.status}: {content[:200]!r}")
        self.times.setdefault(label, []).append(took)
        return content

    def close(self) -> None:
        """Leave."""
        self._conn.close()


@dataclass
class Site:
    """A server on an address book of one size. pages: labels and addresses of pages of every order."""

    contacts: int
    server: RunningServer
    pages: list[tuple[str, str]]
    client: Client
    number: int = 0

    def change(self) -> None:
        """Add a contact, edit it, delete it."""
        self.number += 1
        email = f"bench{self.number}@example.com"
        self.client.ask("add", "POST", "/contacts", urlencode({"name": "Ada Bench", "email": email}))
        contact_id = self._newest()
        fields = {"name": "Ada B. Bench", "email": email, "phone": "555-0100", "version": "1"}
        self.client.ask("edit", "PUT", f"/contacts/{contact_id}", urlencode(fields))
        self.client.ask("delete", "DELETE", f"/contacts/{contact_id}")

    def _newest(self) -> int:
        page = self.client.ask("(find)", "GET", "/contacts?sort=updated")
        found = re.search(rb'<tr id="contact-(\d+)"', page)
        assert found, "the list shows the contact that was added"
        return int(found[1])


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="times that every request is sent")
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        small, large = (
            _site(stack, Path(folder) / str(size), size) for size in (options.small, options.large)
        )
        _warm_up(small, large)
        for _ in range(options.rounds):
            for site in (small, large):
                _round(site)
        table = _compare(small, large)
        moved = _move(stack, Path(folder) / "moved", options.large)
    results = {"environment": environment(), "sizes": table, "import and export": moved}
    write_results("size", results)
    _show(options.small, options.large, table, moved)


def _site(stack: ExitStack, folder: Path, size: int) -> Site:
    folder.mkdir()
    url = f"sqlite:///{folder / 'contacts.db'}"
    with closing(open_store(url)) as store:
        store.import_many(samples(size))
        pages = list(_pages(store, size))
    server = stack.enter_context(running_server(folder, CONTACTS_STORE=url, CONTACTS_WORKERS="2"))
    return Site(size, server, pages, Client(server.host, server.port))


def _pages(store: ContactStore, size: int) -> Iterator[tuple[str, str]]:
    """The first page, one in the middle and the last one of each order in both directions."""
    for sort in SORTS:
        for descending in (False, True):
            query = ListQuery(sort=sort, descending=descending)
            ids = store.ids(query)
            for where, index in (("first", None), ("middle", size // 2), ("last", size - 51)):
                after = None if index is None else _place(store.get(ids[index]), query)
                label = f"page by {sort}{', backwards' if descending else ''}, {where}"
                yield label, f"/contacts?{replace(query, after=after).url_query()}"


def _place(contact: Contact, query: ListQuery) -> tuple[str | int, int]:
    return (sort_keys(contact)[query.sort], contact.id)


def _warm_up(*sites: Site) -> None:
    for site in sites:
        _round(site)
        site.client.times.clear()


def _round(site: Site) -> None:
    for text in SEARCHES:
        site.client.ask(f"search “{text}”", "GET", f"/contacts?q={quote(text)}")
    site.client.ask("filter by tag", "GET", "/contacts?tag=Family")
    for label, path in site.pages:
        site.client.ask(label, "GET", path)
    site.change()


def _compare(small: Site, large: Site) -> dict[str, dict[str, float]]:
    return {
        label: {
            "small": round(statistics.median(times), 2),
            "large": round(statistics.median(large.client.times[label]), 2),
            "ratio": round(statistics.median(large.client.times[label]) / statistics.median(times), 2),
        }
        for label, times in small.client.times.items()
        if not label.startswith("(")
    }


# --- in and out


def _move(stack: ExitStack, folder: Path, size: int) -> dict[str, float]:
    """Import a CSV of `size` rows by the page while others work, then export in every format."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'contacts.db'}"
    server = stack.enter_context(
        running_server(folder, CONTACTS_STORE=url, CONTACTS_WORKERS="2", CONTACTS_SAMPLE="1000")
    )
    contacts = (
        Contact.create(number, replace(draft, email=f"row{number}@example.net").clean(), now())
        for number, draft in enumerate(samples(size, seed=2))
    )
    file = "".join(write(contacts, "csv")).encode()
    alone = _import_alone(folder / "alone", file)
    quiet = _others(server, lambda: time.sleep(12))
    figures: dict[str, float] = {}
    busy = _others(server, lambda: figures.update(_import(server, file)))
    found = {
        "file, MB": round(len(file) / 1e6, 1),
        **{f"{label}, alone": figure for label, figure in alone.items()},
        **{f"{label}, while others work": figure for label, figure in figures.items()},
    }
    for label in quiet:
        for per_cent in (50, 99):
            before, during = percentile(quiet[label], per_cent), percentile(busy[label], per_cent)
            found[f"{label} p{per_cent} alone, ms"] = before
            found[f"{label} p{per_cent} during the import, ms"] = during
            found[f"{label} p{per_cent} ratio"] = round(during / before, 2)
        found[f"{label}, requests alone"] = len(quiet[label])
        found[f"{label}, requests during the import"] = len(busy[label])
    for format in ("csv", "vcf", "json"):
        found[f"export {format}, extra MB"] = _export(server, format)
    return found


def _import_alone(folder: Path, file: bytes) -> dict[str, float]:
    folder.mkdir()
    url = f"sqlite:///{folder / 'contacts.db'}"
    with running_server(folder, CONTACTS_STORE=url, CONTACTS_WORKERS="2", CONTACTS_SAMPLE="1000") as server:
        return _import(server, file)


def _others(server: RunningServer, work: Callable[[], object]) -> dict[str, list[float]]:
    """The times of what two people do while the work goes on: reading, and now and then a change."""
    ended = threading.Event()
    clients = [Client(server.host, server.port) for _ in range(2)]

    def use(client: Client, seed: int) -> None:
        chance = random.Random(seed)
        number = 0
        while not ended.is_set():
            match chance.random():
                case share if share < 0.1:
                    number += 1
                    email = f"other{seed}.{number}.{time.monotonic_ns()}@example.com"
                    client.ask("writes", "POST", "/contacts", urlencode({"name": "Ada", "email": email}))
                case share if share < 0.5:
                    client.ask("reads", "GET", f"/contacts?q={quote(chance.choice(SEARCHES))}")
                case _:
                    client.ask("reads", "GET", f"/contacts?sort={chance.choice(SORTS)}")
            time.sleep(0.01)  # a person thinks, if only a little

    threads = [threading.Thread(target=use, args=(client, seed)) for seed, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    try:
        work()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    times: dict[str, list[float]] = {"reads and writes": []}
    for client in clients:
        for label, took in client.times.items():
            times.setdefault(label, []).extend(took)
            times["reads and writes"].extend(took)
    return times


def _import(server: RunningServer, file: bytes) -> dict[str, float]:
    """Upload the file, wait for its preview, import it; how long each took."""
    boundary = "------------------------contacts"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="contacts.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    conn = http.client.HTTPConnection(server.host, server.port, timeout=60)
    start = time.perf_counter()
    conn.request("POST", "/import", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    answer = conn.getresponse()
    answer.read()
    address = answer.headers["Location"]
    _wait(conn, address, "Preview of the import")
    previewed = time.perf_counter()
    conn.request("POST", address, "on_duplicate=skip", {"Content-Type": FORM})
    conn.getresponse().read()
    _wait(conn, address, "Import finished")
    done = time.perf_counter()
    rows = file.count(b"\r\n") - 1
    return {
        "rows": rows,
        "upload and preview, s": round(previewed - start, 2),
        "import, s": round(done - previewed, 2),
        "import, rows/s": round(rows / (done - previewed)),
    }


def _wait(conn: http.client.HTTPConnection, address: str, heading: str) -> None:
    """Ask for the page of the import, as a browser would, until it says that it is so far."""
    while True:
        conn.request("GET", address)
        page = conn.getresponse().read().decode()
        found = re.search(r"<h1[^>]*>\s*([^<]*?)\s*<", page)
        assert found, page
        if found[1] == heading:
            return
        assert found[1] in ("Reading the file…", "Importing…"), found[1]
        time.sleep(0.2)


def _export(server: RunningServer, format: str) -> float:
    """How much memory in MB, at its peak, an export takes in addition."""
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")  # forget the peak
    before = _memory(process, "VmRSS")
    conn = http.client.HTTPConnection(server.host, server.port, timeout=120)
    conn.request("GET", f"/contacts.{format}")
    answer = conn.getresponse()
    while answer.read(65_536):
        pass
    return round((_memory(process, "VmHWM") - before) / 1024, 1)


def _memory(process: Path, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", (process / "status").read_text())
    assert found
    return int(found[1])


def percentile(times: list[float], per_cent: int) -> float:
    """The time, in milliseconds, that so many per cent of these were below."""
    return round(statistics.quantiles(times, n=100, method="inclusive")[per_cent - 1], 2)


# --- the report


def environment() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "python": sys.version,
        "gil": sys._is_gil_enabled(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": os.getloadavg(),
    }


def write_results(name: str, results: dict[str, object]) -> None:
    """Write what was measured to bench/results/{name}.json."""
    target = ROOT / f"bench/results/{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")


def _show(small: int, large: int, table: dict[str, dict[str, float]], moved: dict[str, float]) -> None:
    print(f"\n| median, ms | {small:,} contacts | {large:,} contacts | ratio |")
    print("|---|---:|---:|---:|")
    for label, row in table.items():
        print(f"| {label} | {row['small']:.1f} | {row['large']:.1f} | {row['ratio']:.2f} |")
    print(f"| **worst** | | | **{max(row['ratio'] for row in table.values()):.2f}** |")
    print("\n| moving in and out | |\n|---|---:|")
    for label, figure in moved.items():
        print(f"| {label} | {figure:,} |")


if __name__ == "__main__":
    main()
