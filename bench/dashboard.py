"""When the parts of the dashboard arrive: `make scale`.

Starts a real server on a database of 100,000 sample contacts. Before each request a contact
is changed, so that nothing the server remembers is of use. Notes the time to the first byte
of the shell and to the arrival of each section. What matters is the ratio of the first byte
to the slowest section, which does not depend on the computer. Prints a Markdown table, writes
everything to bench/results/dashboard.json, and fails if the ratio is one twentieth or more.
"""

import argparse
import http.client
import re
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from app.contacts.samples import samples
from app.store import open_store
from bench.size import FORM, environment, write_results
from tests.server_process import RunningServer, running_server

LIMIT = 1 / 20
FIRST_BYTE = "first byte of the shell"


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="times that the page is asked for")
    parser.add_argument("--contacts", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'contacts.db'}"
        with closing(open_store(url)) as store:
            store.import_many(samples(options.contacts))
        with running_server(Path(folder), CONTACTS_STORE=url, CONTACTS_WORKERS="2") as server:
            _arrivals(server, 0)  # warms up
            rounds = [_arrivals(server, number) for number in range(1, options.rounds + 1)]
    table = {part: round(statistics.median(each[part] for each in rounds), 2) for part in rounds[0]}
    ratio = round(statistics.median(each[FIRST_BYTE] / max(each.values()) for each in rounds), 5)
    results = {
        "environment": environment(),
        "contacts": options.contacts,
        "median, ms": table,
        "first byte / slowest section": ratio,
    }
    write_results("dashboard", results)
    _show(options.contacts, table, ratio)
    if ratio >= LIMIT:
        sys.exit(
            f"The first byte took {ratio:.3f} of the slowest section's time: that must be below {LIMIT}."
        )


def _arrivals(server: RunningServer, number: int) -> dict[str, float]:
    """Change a contact, then ask for the dashboard: milliseconds until each part of it had come."""
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=120)) as conn:
        fields = urlencode({"name": "Ada Bench", "email": f"bench{number}@example.com"})
        conn.request("POST", "/contacts", fields, {"Content-Type": FORM})
        conn.getresponse().read()
        times: dict[str, float] = {}
        page = b""
        start = time.perf_counter()
        conn.request("GET", "/dashboard")
        answer = conn.getresponse()
        while chunk := answer.read1(65_536):
            took = (time.perf_counter() - start) * 1_000
            page += chunk
            times.setdefault(FIRST_BYTE, took)
            for name in re.findall(rb'<div slot="(\w+)"', page):
                times.setdefault(name.decode(), took)
    assert b'role="alert">This section' not in page, "no section failed"
    return times


def _show(contacts: int, table: dict[str, float], ratio: float) -> None:
    print(f"\n| dashboard, {contacts:,} contacts, after a change | ms |\n|---|---:|")
    for part, took in sorted(table.items(), key=lambda row: row[1]):
        print(f"| {part} | {took:,.1f} |")
    print(f"| **first byte / slowest section** | **{ratio:.4f}** |")


if __name__ == "__main__":
    main()
