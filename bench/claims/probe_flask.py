"""The routes of probe_chirp in Flask, served by Gunicorn: `gunicorn bench.claims.probe_flask:app`."""

import os
import sys
import threading
import time

from flask import Flask, request
from jinja2 import Environment

from bench.claims.probes import CELLS, JINJA_TABLE, squares

lock = threading.Lock()
numbers: list[int] = []
compiled = Environment(autoescape=True).from_string(JINJA_TABLE)

app = Flask(__name__)


@app.get("/ready")
def ready() -> dict[str, str]:
    """GET /ready: that it serves."""
    return {"status": "ok"}


@app.get("/whoami")
def whoami() -> dict[str, object]:
    """GET /whoami: where this runs."""
    thread = threading.current_thread()
    return {"pid": os.getpid(), "thread": thread.name, "ident": thread.ident, "gil": sys._is_gil_enabled()}


@app.post("/number")
def add_number() -> dict[str, int]:
    """POST /number: one more in the memory of the process."""
    with lock:
        numbers.append(len(numbers))
        return {"count": len(numbers)}


@app.get("/number")
def count() -> dict[str, int]:
    """GET /number: how many this process knows of."""
    return {"count": len(numbers), "pid": os.getpid()}


@app.get("/table")
def table() -> str:
    """GET /table?rows=: a rendered table, which is work for the CPU only."""
    return compiled.render(rows=range(int(request.args["rows"])), cells=CELLS)


@app.get("/sum")
def sum_up() -> str:
    """GET /sum?to=: arithmetic in Python, which is work for the CPU only and shares nothing."""
    return squares(int(request.args["to"]))


@app.get("/wait")
def wait() -> str:
    """GET /wait?ms=: a handler that waits as for a database. Async ones run on the same threads."""
    time.sleep(int(request.args["ms"]) / 1000)
    return "waited"
