"""GET /metrics: what this process has done, as Prometheus reads it.

Each app has a registry of its own. Requests are told apart by the pattern of their route, never by
their path: paths are without number, and say who is looked at. Worker processes, on a Python with
GIL, answer each for itself, so there one worker should be scraped, or none.
"""

import hmac
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from time import perf_counter
from typing import Any, cast

from chirp import App, HTTPError, NotFound, Request, Response
from chirp.errors import MethodNotAllowed
from chirp.http.response import StreamingResponse
from chirp.middleware.protocol import AnyResponse, Next
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from app.contacts.contact import ContactError
from app.settings import Settings
from app.store import AccountError, Accounts, ContactStore, StoreUnavailable
from app.web.errors import Middleware
from app.web.forms import OVERRIDES
from app.web.static import PREFIX

UNKNOWN = "unknown"  # the label of every path that is no route
LEFT = 499  # the status, after nginx, of a request whose client left before the answer
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # others are "other"
UNTIMED = frozenset({"settled", "last_change", "open_worker", "close_worker", "close"})  # all day, or once
OPERATIONS = [name for name in vars(ContactStore) if not name.startswith("_") and name not in UNTIMED]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What is counted in one app. Any thread may use it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        counted: dict[str, Any] = {"registry": self._registry}
        timed: dict[str, Any] = {"registry": self._registry, "buckets": SECONDS}
        self._requests = Counter(
            "contacts_requests", "Requests answered.", ["route", "method", "status"], **counted
        )
        self._latency = Histogram(
            "contacts_request_seconds",
            "From the request to the answer, or to the first byte of a stream.",
            ["route"],
            **timed,
        )
        self._streams = Gauge("contacts_streams_open", "Streams being sent.", ["route"], **counted)
        self._operations = Histogram(
            "contacts_store_seconds", "Calls of the store, until they returned.", ["operation"], **timed
        )
        self._failures = Counter(
            "contacts_store_errors", "Calls of the store that failed.", ["operation", "error"], **counted
        )
        for operation in OPERATIONS:  # at 0 from the start: an alarm does not see what begins with 1
            self._failures.labels(operation, StoreUnavailable.__name__)
        Gauge("contacts_gil_enabled", "Whether threads take turns.", **counted).set_function(
            lambda: float(sys._is_gil_enabled())
        )
        packages = {"chirp": "bengal-chirp", "kida": "kida-templates", "pounce": "bengal-pounce"}
        Info("contacts_build", "What it runs on.", **counted).info(
            {name: version(package) for name, package in packages.items()}
        )
        # To look a series up by its labels takes longer than to count.
        self._series = cache(
            lambda route, *rest: (self._requests.labels(route, *rest), self._latency.labels(route))
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def count_requests(self, app: App) -> Middleware:
        """The middleware that counts, outermost: it sees the answer that the client gets."""

        async def middleware(request: Request, next: Next) -> AnyResponse:
            route, start, status = _route(app, request), perf_counter(), LEFT
            try:
                response = await next(request)
                status = getattr(response, "status", 200)
            finally:
                method = request.method if request.method in METHODS else "other"
                requests, seconds = self._series(route, method, status)
                requests.inc()
                seconds.observe(perf_counter() - start)
            if isinstance(response, StreamingResponse):
                return replace(response, chunks=self._counted(route, response.chunks))
            return response

        return middleware

    def watch[Store: ContactStore | Accounts](self, store: Store) -> Store:
        """The store, or its accounts, each of whose calls is timed."""
        return cast("Store", _Watched(store, self._watched))

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        seconds = self._operations.labels(name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                return call(*args, **kwargs)
            except ContactError, AccountError:
                raise  # an answer of the store, no fault in it
            except Exception as error:
                self._failures.labels(name, type(error).__name__).inc()
                raise
            finally:
                seconds.observe(perf_counter() - start)

        return watched

    async def _counted(self, route: str, chunks: Any) -> AsyncIterator[str]:
        with self._streams.labels(route).track_inprogress():
            async for chunk in chunks:
                yield chunk


class _Watched:
    """A store whose methods are made on first use, and then found without this class."""

    def __init__(self, store: object, watched: Callable[[str, Callable[..., Any]], Any]) -> None:
        self._store = store
        self._watched = watched

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        if not callable(call):
            return call
        if name not in UNTIMED:
            call = self._watched(name, call)
        self.__dict__[name] = call
        return call


async def index(request: Request, metrics: Metrics, settings: Settings) -> Response:
    """GET /metrics: 401 without the token that is set; 404 where none is, except while developing."""
    if settings.metrics_token:
        given = request.headers.get("authorization") or ""
        if not hmac.compare_digest(given.encode(), f"Bearer {settings.metrics_token}".encode()):
            raise HTTPError(
                401, "This takes the token of CONTACTS_METRICS_TOKEN.", (("WWW-Authenticate", "Bearer"),)
            )
    elif not _is_development(settings):
        raise NotFound
    text = Response(metrics.text().decode(), content_type="text/plain; version=0.0.4; charset=utf-8")
    return text.with_header("Cache-Control", "no-store")


def _is_development(settings: Settings) -> bool:
    return (
        settings.env == "development"
        and settings.auth == "none"
        and not settings.demo
        and settings.is_private
    )


def _route(app: App, request: Request) -> str:
    """The pattern that the path of a request fits."""
    if request.path.startswith(PREFIX):
        return PREFIX
    # App tells the URL of a route, but not the route of a URL.
    router = app._router
    # What a plain form asks for stands in its body, which nobody has read yet.
    for method in (request.method, *(OVERRIDES if request.method == "POST" else ())):
        with suppress(NotFound, MethodNotAllowed):
            if router is not None:
                return router.match(method, request.path).route.path
    return UNKNOWN
