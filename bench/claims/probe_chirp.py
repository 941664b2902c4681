"""A small Chirp app to look at what a server does with it: `python -m bench.claims.probe_chirp`.

The same routes as probe_flask and probe_fastapi. The settings are those of the contacts app.
"""

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from chirp import App, AppConfig, Request
from kida import Environment

from app.server import run
from app.settings import Settings
from bench.claims.probes import CELLS, KIDA_TABLE, squares

lock = threading.Lock()
numbers: list[int] = []
compiled = Environment().from_string(KIDA_TABLE)

app = App(AppConfig(static_dir=None, safe_target=False, sse_lifecycle=False, worker_mode="async"))


@app.on_worker_startup
async def make_pool() -> None:
    """Set how many threads this worker has for sync handlers; asyncio's choice is min(32, cores + 4)."""
    if threads := os.environ.get("PROBE_THREADS"):
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(int(threads)))


@app.route("/ready")
async def ready() -> dict[str, str]:
    """GET /ready: that it serves."""
    return {"status": "ok"}


@app.route("/whoami")
async def whoami() -> dict[str, object]:
    """GET /whoami: where this runs."""
    thread = threading.current_thread()
    return {"pid": os.getpid(), "thread": thread.name, "ident": thread.ident, "gil": sys._is_gil_enabled()}


@app.route("/number", methods=["POST"])
async def add_number() -> dict[str, int]:
    """POST /number: one more in the memory of the process."""
    with lock:
        numbers.append(len(numbers))
        return {"count": len(numbers)}


@app.route("/number")
async def count() -> dict[str, int]:
    """GET /number: how many this process knows of."""
    return {"count": len(numbers), "pid": os.getpid()}


@app.route("/table")
async def table(request: Request) -> str:
    """GET /table?rows=: a rendered table, which is work for the CPU only."""
    return compiled.render(rows=range(int(request.query["rows"])), cells=CELLS)


@app.route("/sum")
async def sum_up(request: Request) -> str:
    """GET /sum?to=: arithmetic in Python, which is work for the CPU only and shares nothing."""
    return squares(int(request.query["to"]))


@app.route("/wait")
def wait(request: Request) -> str:
    """GET /wait?ms=: a sync handler that waits as for a database that blocks."""
    time.sleep(int(request.query["ms"]) / 1000)
    return "waited"


@app.route("/await")
async def wait_async(request: Request) -> str:
    """GET /await?ms=: the same in an async handler."""
    await asyncio.sleep(int(request.query["ms"]) / 1000)
    return "waited"


if __name__ == "__main__":
    app.freeze()
    run(app, Settings.from_env())
