"""What the programs of the claims share: clients that ask at once or stay connected, and plain tables."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

from bench.servers import Server


def at_once[T](calls: Iterable[Callable[[], T]], together: int = 16) -> list[T]:
    """What these functions return, in their order, with so many of them running at the same time."""
    with ThreadPoolExecutor(together) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def settle(server: Server) -> None:
    """Wait until all processes of a server have started: the first answers while others are still at it."""
    idle, end = 0, time.monotonic() + 30
    while idle < 3:
        before = server.cpu()
        time.sleep(0.1)
        idle = idle + 1 if server.cpu() - before < 0.015 else 0  # one tick of the clock is 0.01 s
        if time.monotonic() > end:
            raise AssertionError(
                f"the server is still busy 30 seconds after its start:\n{server.log.read_text()}"
            )


@contextmanager
def idle_connections(server: Server, number: int, path: str = "/ready") -> Iterator[int]:
    """Connections on which one request was answered and no other follows, as browsers leave them.

    Gives how many of them the server keeps open; it may close them at once.
    """
    connections = [HTTPConnection(server.host, server.port, timeout=20) for _ in range(number)]
    try:
        for connection in connections:
            connection.request("GET", path)
            connection.getresponse().read()
        yield sum(connection.sock is not None for connection in connections)
    finally:
        for connection in connections:
            connection.close()


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print columns of text: the first to the left, the others to the right."""
    lines = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join(cells).rstrip())
