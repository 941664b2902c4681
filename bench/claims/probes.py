"""How the small apps of the claims are served, each as its framework's own documentation says.

They have the routes /ready, /whoami, /number (GET, POST), /table?rows=, /sum?to=, /wait?ms=, /await?ms=.
Each logs its requests, and PROBE_THREADS sets how many threads Chirp and FastAPI have for sync handlers.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.servers import Configuration, Server, started

CELLS = ("name", "email", "phone", "company")
KIDA_TABLE = """<table>{% for row in rows %}<tr>\
{% for cell in cells %}<td class="{{ cell }}">{{ cell }} & {{ row }}</td>{% end %}</tr>{% end %}</table>"""
JINJA_TABLE = KIDA_TABLE.replace("{% end %}", "{% endfor %}")


def command(configuration: Configuration, threads: int = 8, *more: str) -> list[str]:
    """What starts the probe. threads: of each of Gunicorn's processes."""
    python, workers = str(configuration.python), configuration.workers
    match configuration.framework:
        case "chirp":
            line = [python, "-m", "bench.claims.probe_chirp"]
        case "flask":
            line = [python, "-m", "gunicorn", "--bind=127.0.0.1:{port}", f"--workers={workers}"]
            line += ["--worker-class=gthread", f"--threads={threads}", "--no-control-socket"]
            line += ["--access-logfile=-", "bench.claims.probe_flask:app"]
        case _:
            line = [python, "-m", "uvicorn", "--port={port}", f"--workers={workers}"]
            line += ["bench.claims.probe_fastapi:app"]
    return [*line, *more]


@contextmanager
def probe(
    configuration: Configuration, folder: Path, threads: int = 8, *more: str, **environ: str
) -> Iterator[Server]:
    """Run the small app in this configuration. more: further options of the server's command line."""
    # Chirp's settings need a store; the probe has none.
    its = {"CONTACTS_STORE": "sqlite:///unused.db", "CONTACTS_WORKERS": str(configuration.workers)}
    with started(command(configuration, threads, *more), folder, its | environ) as server:
        yield server


def squares(to: int) -> str:
    """Some arithmetic in Python."""
    return str(sum(number * number % 7 for number in range(to)))


def ask(server: Server, path: str) -> Any:
    """The JSON that an address of a probe answers, on a connection of its own."""
    status, body = server.get(path)
    if status != 200:
        raise AssertionError(f"{path} answered {status}: {body[:200]!r}")
    return json.loads(body)
