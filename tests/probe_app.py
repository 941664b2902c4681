"""Apps for tests of the server, run like the real one: through app.server, with the same settings.

`python -m tests.probe_app routes` is a small Chirp app with routes that the real one has no
use for. `python -m tests.probe_app store` is the real one with a store that says in the log
on which worker it is opened and closed; `python -m tests.probe_app leaky` is it with a store
whose mistakes say what it holds. `python -m tests.probe_app broken` has a worker hook that fails.
`python -m tests.probe_app impatient` is the real one, which waits for its clients a second where
it would wait for ten or twenty; `python -m tests.probe_app crowded` is the small one,
with room for one connection to each of two workers. `python -m tests.probe_app quiet` is
`python -m app serve`, which tells nobody that it starts unless that takes a minute.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chirp import App, AppConfig, EventStream, Request, SSEEvent, g, get_request
from chirp.http.response import StreamingResponse
from chirp.server.sender import send_streaming_response
from pounce import Receive, Scope, Send

from app import bounds, listening, server
from app.contacts.contact import Contact
from app.contacts.listing import ListQuery
from app.main import create_app, open_with_samples
from app.settings import Settings
from app.store import ContactStore
from app.store.sqlite import SQLiteStore
from app.web import threads
from app.web.downloads import Download
from app.web.draining import draining, rest
from app.web.headers import App as ASGI
from app.web.static import StaticFiles
from app.web.streaming import send_streamed

ICONS = 24
ICON = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="{number}"/></svg>'

log = logging.getLogger("app.probe")
visitor: ContextVar[str] = ContextVar("visitor", default="nobody")


def place() -> str:
    """Where this runs: process and thread."""
    return f"{os.getpid()}/{threading.current_thread().name}"


def routes() -> ASGI:
    """The small app. Its hooks say in the log which worker they run on."""
    app = App(AppConfig(static_dir=None, safe_target=False, sse_lifecycle=False, worker_mode="async"))
    app.add_middleware(_icon_files())
    app.route("/worker")(worker)
    app.route("/size", methods=["POST"])(size)
    app.route("/events")(events)
    app.route("/until-draining")(until_draining)
    app.route("/whoami")(whoami)
    app.route("/icons")(icons)
    app.add_middleware(send_streamed)
    app.route("/half")(half)
    app.on_worker_startup(lambda: log.info("startup hook on %s", place()))
    app.on_worker_shutdown(lambda: log.info("shutdown hook on %s", place()))
    app.freeze()
    return _finishing_late(app)


async def half() -> Download:
    """GET /half: a file that breaks off."""

    async def pieces() -> AsyncIterator[str]:
        yield "the first half"
        raise OSError("no second half")

    return Download.of(pieces(), "text/plain", "half.txt")


async def worker() -> str:
    """GET /worker: which worker answers."""
    return place()


async def size(request: Request) -> str:
    """POST /size: how many bytes came."""
    return str(len(await request.body()))


async def events() -> EventStream:
    """GET /events: one event, then silence until the worker is asked to stop."""

    async def generate() -> AsyncIterator[SSEEvent]:
        try:
            yield SSEEvent("open")
            while not await rest(60):
                yield SSEEvent("still there")
        finally:
            log.info("stream closed")

    return EventStream(generate())


async def until_draining() -> str:
    """GET /until-draining: a request whose answer is ready a little after the server is asked to stop."""
    log.info("in flight")
    await draining().wait()
    await asyncio.sleep(0.1)
    return "finished"


async def whoami(request: Request) -> str:
    """GET /whoami?name=...: the name from three kinds of request context, after many others had a turn."""
    g.name = request.query["name"]
    visitor.set(request.query["name"])
    for _ in range(50):
        await asyncio.sleep(0)
    return f"{g.name} {visitor.get()} {get_request().query['name']} on {place()}"


async def icons(request: Request) -> str:
    """GET /icons?from=static: a page with 24 small images from /static/ or /late/."""
    folder = request.query["from"]
    images = "".join(f'<img src="/{folder}/{number}.svg" alt="">' for number in range(ICONS))
    return f'<!doctype html><html lang="en"><title>Icons</title>{images}</html>'


def _icon_files() -> StaticFiles:
    """The images below /static/, served as the real app serves its files."""
    with TemporaryDirectory() as folder:
        for number in range(ICONS):
            Path(folder, f"{number}.svg").write_text(ICON.format(number=number), encoding="utf-8")
        return StaticFiles(Path(folder))


def _finishing_late(app: ASGI) -> ASGI:
    """Add answers whose app goes on after the last byte, as Chirp's own static files do.

    /late/0.svg goes on for a twentieth of a second, /linger until somebody asks for /release,
    /linger-until-draining until the server is asked to stop. /line-break has one in a header.
    """
    released = asyncio.Event()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/late/"):
            await _send(send, ICON.encode(), b"image/svg+xml")
            await asyncio.sleep(0.05)
        elif path == "/linger":
            await _send(send, b"done")
            await released.wait()
        elif path == "/linger-until-draining":
            await _send(send, b"done")
            await draining().wait()
        elif path == "/release":
            released.set()
            await _send(send, b"released")
        elif path == "/line-break":
            await _send(send, b"done", b"text/plain\r\nx-forged: yes")
        else:
            await app(scope, receive, send)

    return wrapped


async def _send(send: Send, body: bytes, content_type: bytes = b"text/plain") -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class NotedStore:
    """A store that notes in the log when a worker opens and closes it, and leaves the rest to another."""

    def __init__(self, store: ContactStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            if name in ("open_worker", "close_worker", "close"):
                log.info("store.%s on %s", name, place())
            return method(*args, **kwargs)

        return noted


class LeakyStore:
    """A store most of whose methods fail, with errors that hold all contacts and what was given to them."""

    FAILING = frozenset({"update", "delete", "tag", "undo", "import_many", "statistics", "export", "history"})

    def __init__(self, store: ContactStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return partial(self._fail, name) if name in self.FAILING else getattr(self._store, name)

    def _fail(self, name: str, *args: Any, **kwargs: Any) -> Any:
        contacts = list(self._store.export(ListQuery()))
        if name == "history":  # of the page of one contact, which does not notice these
            threading.Thread(target=self._raise, args=(name, contacts)).start()
            asyncio.get_running_loop().create_task(self._raise_in_task(name, contacts))
            return self._store.history(*args, **kwargs)
        if name == "export":
            return self._break_off(contacts)
        return self._raise(name, args, kwargs, contacts)

    def _break_off(self, contacts: list[Contact]) -> Iterator[Contact]:
        yield contacts[0]
        self._raise("export", contacts)

    async def _raise_in_task(self, *what: object) -> None:
        self._raise(*what)

    def _raise(self, *what: object) -> None:
        try:
            raise ValueError(f"found {what}")
        except ValueError as error:
            error.add_note(f"noted {what}")
            raise RuntimeError(f"cannot do {what}") from error


def leaky(settings: Settings) -> ASGI:
    """The real app, with a LeakyStore, and two addresses whose failures tell their query."""
    store: Any = LeakyStore(open_with_samples(settings))
    app = create_app(settings, store)

    async def wrapped(scope: Scope, receive: Any, send: Any) -> None:
        async def breaking() -> AsyncIterator[str]:
            yield "the first half"
            raise RuntimeError(scope["query_string"])

        match scope.get("path"):
            case "/escaping":
                raise RuntimeError(scope["query_string"])
            case "/breaking":
                await send_streaming_response(StreamingResponse(breaking()), send)
            case _:
                await app(scope, receive, send)

    return wrapped


def broken() -> ASGI:
    """An app none of whose workers can start."""
    app = App(AppConfig(static_dir=None, worker_mode="async"))

    @app.on_worker_startup
    def fail() -> None:
        raise OSError("this worker is broken on purpose")

    return app


def noted(settings: Settings) -> ASGI:
    """The real app, with a NotedStore."""
    store: Any = NotedStore(open_with_samples(settings))
    return create_app(settings, store)


def impatient(settings: Settings) -> ASGI:
    """The real app; the server's patience with slow clients is a second."""
    unhurried = server.server_config
    vars(bounds).update(HEAD_TIME=1.0, BODY_TIME=1.0)
    vars(server).update(server_config=lambda settings: replace(unhurried(settings), header_timeout=1.0))
    return create_app(settings)


def unhurried(settings: Settings) -> ASGI:
    """The real app; a write waits a minute for others."""
    vars(threads).update(PATIENCE=60.0)
    return create_app(settings, SQLiteStore(Path(settings.store.removeprefix("sqlite:///")), busy_timeout=60))


def crowded(settings: Settings) -> ASGI:
    """The small app; each of two workers has room for one connection."""
    roomy = server.server_config
    vars(server).update(server_config=lambda settings: replace(roomy(settings), max_connections=2))
    return routes()


def quiet(settings: Settings) -> None:
    """Serve the real app; whoever comes while it starts waits for it, on a busy computer, too."""
    vars(listening).update(START=60.0)
    server.serve(settings)


def main() -> None:
    settings = Settings.from_env()
    match sys.argv[1:]:
        case ["routes"]:
            server.run(routes(), settings)
        case ["store"]:
            server.run(noted(settings), settings)
        case ["leaky"]:
            server.run(leaky(settings), settings)
        case ["broken"]:
            server.run(broken(), settings)
        case ["impatient"]:
            server.run(impatient(settings), settings)
        case ["unhurried"]:
            server.run(unhurried(settings), settings)
        case ["crowded"]:
            server.run(crowded(settings), settings)
        case ["quiet"]:
            quiet(settings)


if __name__ == "__main__":
    main()
