"""What a thousand open windows cost: part of `make scale`.

Starts a real server with two workers on an address book of 5,000, opens event streams as idle
windows do, and saves a contact now and then. Every tenth window is dead: it never reads. How
long does it take until all others have heard of the change; what do ordinary requests take
before, and with the windows open; how much memory and processor time does a window cost?
Prints a Markdown table and writes everything to bench/results/live.json.
"""

import argparse
import asyncio
import os
import re
import resource
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from bench.size import Client, environment, percentile, write_results
from tests.server_process import RunningServer, running_server

DEAD = 10  # one window in so many


class Windows:
    """Open event streams. told: the moment at which each has heard of the newest change."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._readers: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.told: dict[int, float] = {}
        self._changed = asyncio.Event()

    async def open(self, number: int) -> None:
        """Open one more; it returns when the stream has begun."""
        reader, writer = await asyncio.open_connection(self._server.host, self._server.port, limit=4_096)
        writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"event: beat")
        self._writers.append(writer)
        if number % DEAD:
            self._readers.append(asyncio.create_task(self._read(number, reader)))
        else:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it

    async def wait_until_told(self) -> float:
        """Wait until every window that reads has heard of a change; the moment of the last."""
        while len(self.told) < len(self._readers):
            self._changed.clear()
            await self._changed.wait()
        return max(self.told.values())

    async def close(self) -> None:
        for task in self._readers:
            task.cancel()
        for writer in self._writers:
            writer.close()

    async def _read(self, number: int, reader: asyncio.StreamReader) -> None:
        while True:
            await reader.readuntil(b"event: changed")
            self.told[number] = time.perf_counter()
            self._changed.set()


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=10, help="changes that all windows hear of")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), CONTACTS_SAMPLE="5000") as server,
    ):
        figures = asyncio.run(_measure(server, options.windows, options.rounds))
    write_results("live", {"environment": environment(), "windows": figures})
    print("\n| open windows | |\n|---|---:|")
    for label, figure in figures.items():
        print(f"| {label} | {figure:,} |")


async def _measure(server: RunningServer, number: int, rounds: int) -> dict[str, float]:
    await asyncio.to_thread(_use, server)
    alone = await asyncio.to_thread(_use, server)
    before = _usage(server)
    windows = Windows(server)
    for one in range(number):
        await windows.open(one)
    opened = _usage(server)
    await asyncio.sleep(10)
    idle = _usage(server)
    busy = await asyncio.to_thread(_use, server)
    took = [await _tell(server, windows, one) for one in range(rounds)]
    await windows.close()
    return {
        "windows": number,
        "of which dead": len(range(0, number, DEAD)),
        "until all have heard of a change, s, median": round(statistics.median(took), 3),
        "until all have heard of a change, s, worst": round(max(took), 3),
        "memory for a window, kB": round((opened[0] - before[0]) / number, 1),
        "processor time of all windows when nothing happens, % of a core": round(
            (idle[1] - opened[1]) * 10, 1
        ),
        "a list of 50 p50 alone, ms": percentile(alone, 50),
        "a list of 50 p50 with the windows, ms": percentile(busy, 50),
        "a list of 50 p50 ratio": round(percentile(busy, 50) / percentile(alone, 50), 2),
        "a list of 50 p99 alone, ms": percentile(alone, 99),
        "a list of 50 p99 with the windows, ms": percentile(busy, 99),
        "a list of 50 p99 ratio": round(percentile(busy, 99) / percentile(alone, 99), 2),
    }


def _use(server: RunningServer) -> list[float]:
    """Ask for the list on four connections in turn; the times in milliseconds."""
    times: list[float] = []
    for _ in range(4):
        client = Client(server.host, server.port)
        for _ in range(125):
            client.ask("list", "GET", "/contacts")
        times += client.times["list"]
    return times


async def _tell(server: RunningServer, windows: Windows, number: int) -> float:
    """Save a contact; seconds until all have heard."""
    windows.told.clear()
    client = Client(server.host, server.port)
    body = urlencode({"name": f"Ada {number}", "phone": "555-0100"})
    start = time.perf_counter()
    await asyncio.to_thread(client.ask, "save", "POST", "/contacts", body)
    return await windows.wait_until_told() - start


def _usage(server: RunningServer) -> tuple[int, float]:
    """Memory in kB and processor time in seconds that the server has used."""
    process = Path(f"/proc/{server.process.pid}")
    found = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert found
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(found[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
