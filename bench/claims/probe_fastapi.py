"""The routes of probe_chirp in FastAPI, served by Uvicorn: `uvicorn bench.claims.probe_fastapi:app`."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from bench.claims.probes import CELLS, JINJA_TABLE, squares

lock = threading.Lock()
numbers: list[int] = []
compiled = Environment(autoescape=True).from_string(JINJA_TABLE)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Set how many threads there are for sync handlers: 40, unless PROBE_THREADS says another number."""
    current_default_thread_limiter().total_tokens = int(os.environ.get("PROBE_THREADS", "40"))
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready() -> dict[str, str]:
    """GET /ready: that it serves."""
    return {"status": "ok"}


@app.get("/whoami")
async def whoami() -> dict[str, object]:
    """GET /whoami: where this runs."""
    thread = threading.current_thread()
    return {"pid": os.getpid(), "thread": thread.name, "ident": thread.ident, "gil": sys._is_gil_enabled()}


@app.post("/number")
async def add_number() -> dict[str, int]:
    """POST /number: one more in the memory of the process."""
    with lock:
        numbers.append(len(numbers))
        return {"count": len(numbers)}


@app.get("/number")
async def count() -> dict[str, int]:
    """GET /number: how many this process knows of."""
    return {"count": len(numbers), "pid": os.getpid()}


@app.get("/table")
def table(rows: int) -> HTMLResponse:
    """GET /table?rows=: a rendered table, which is work for the CPU only: so on the pool of threads."""
    return HTMLResponse(compiled.render(rows=range(rows), cells=CELLS))


@app.get("/table-async")
async def table_async(rows: int) -> HTMLResponse:
    """GET /table-async?rows=: the same on the event loop."""
    return table(rows)


@app.get("/sum")
def sum_up(to: int) -> HTMLResponse:
    """GET /sum?to=: arithmetic in Python, which is work for the CPU only and shares nothing."""
    return HTMLResponse(squares(to))


@app.get("/wait")
def wait(ms: int) -> HTMLResponse:
    """GET /wait?ms=: a sync handler that waits as for a database that blocks, on the pool of threads."""
    time.sleep(ms / 1000)
    return HTMLResponse("waited")


@app.get("/await")
async def wait_async(ms: int) -> HTMLResponse:
    """GET /await?ms=: the same in an async handler."""
    await asyncio.sleep(ms / 1000)
    return HTMLResponse("waited")
