"""The page that shows the three apps: the same screen in three frames, the same code in three columns.

It has no script. What it shows is in its URL: ?screen=editor&code=active-search
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from jinja2 import Environment, FileSystemLoader

from twins.pages import ROOT, STATIC, TEMPLATES
from twins.patterns import FRAMEWORKS, PATTERNS

SCREENS = {
    "list": "/contacts",
    "search": "/contacts?q=ada",
    "form": "/contacts/new",
    "editor": "/contacts/1/edit",
    "contact": "/contacts/1",
    "dashboard": "/dashboard?slow=3",
    "error": "/contacts/999999",
}
templates = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def run(port: int) -> None:
    """Start the three apps on free ports, each with a database of its own, and the page, until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: with all that was started
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    address = f"http://127.0.0.1:{server.server_port}"
    with server, tempfile.TemporaryDirectory(prefix="contacts-") as folder, ExitStack() as running:
        urls = {name: running.enter_context(app(name.lower(), Path(folder), address)) for name in FRAMEWORKS}
        server.RequestHandlerClass = handler(urls)
        for name, url in urls.items():
            print(f"{name:8} {url}")
        print(f"Side by side: {address}  (Ctrl-C to stop)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


@contextmanager
def app(name: str, folder: Path, framed_by: str) -> Iterator[str]:
    """Run one of the apps; its URL, once it serves."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("CONTACTS_")}
    environ |= {
        "CONTACTS_STORE": f"sqlite:///{folder / name}.db",
        "CONTACTS_PORT": "0",
        "CONTACTS_WORKERS": "2",
        "TWINS_FRAMED_BY": framed_by,
    }
    command = [sys.executable, "-m", "twins", name]
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = _url(name, process.stdout)
            _wait_for(url)
            yield url
        finally:
            process.terminate()


def _url(name: str, log: IO[str]) -> str:
    """The URL that an app prints when it listens. The rest of its log is read and forgotten."""
    said = []
    for line in log:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", line):
            threading.Thread(target=log.read, daemon=True).start()
            return found.group()
    raise SystemExit(f"{name} did not start:\n{''.join(said)}")


def _wait_for(url: str) -> None:
    """Wait until an app is ready: Uvicorn tells its address before its workers are there to listen."""
    while True:
        try:
            urlopen(f"{url}/ready", timeout=5).close()
        except HTTPError as starting:
            starting.close()
        except OSError:
            pass
        else:
            return
        time.sleep(0.1)


def page(urls: Mapping[str, str], screen: str, code: str) -> str:
    """The page. urls: of the three apps. screen, code: what it shows; the first for what there is not."""
    pattern = next((pattern for pattern in PATTERNS if pattern.slug == code), PATTERNS[0])
    screen = screen if screen in SCREENS else next(iter(SCREENS))
    return templates.get_template("compare.html").render(
        urls=urls, screens=SCREENS, screen=screen, patterns=PATTERNS, pattern=pattern
    )


def handler(urls: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    """What answers for the page, its stylesheet and its icon."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            match url.path:
                case "/":
                    html = page(urls, query.get("screen", ""), query.get("code", ""))
                    self._send(html, "text/html")
                case "/compare.css":
                    self._send((ROOT / "twins" / "compare.css").read_text(), "text/css")
                case "/icon.svg":
                    self._send((STATIC / "icon.svg").read_text(), "image/svg+xml")
                case _:
                    self.send_error(404)

        def _send(self, text: str, content_type: str) -> None:
            body = text.encode()
            policy = f"default-src 'self'; frame-src {' '.join(urls.values())}; frame-ancestors 'none'"
            self.send_response(200)
            self.send_header("Content-Type", f"{content_type}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
