"""How Pounce runs the app: its configuration, and the ASGI wrapper."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Final

import pounce
import pounce.logging
from pounce import ASGIApp, PounceError, Receive, Scope, Send, ServerConfig
from pounce.display import DisplayConfig
from pounce.server import Server

from app.bounds import HEAD_TIME
from app.contacts.interchange import FILE_LIMIT
from app.listening import answering, free_address
from app.mending import put
from app.pounce_fixes import apply_fixes, wind_up
from app.settings import BadSetting, Settings, refuse_unsafe
from app.store import shown
from app.web.draining import draining
from app.web.headers import App, add_security_headers, check_host, refuse
from app.web.logs import keep_private, request_id
from app.web.starting import starting
from app.web.transport import scheme

if sys.platform != "win32":
    import resource

# Far above what the app itself accepts (BODY_LIMIT in app.main and app.web.transfer): Pounce
# refuses a larger Content-Length with a line of text on a connection that it closes, and cuts
# a chunked body at this limit and says nothing. So the app is to refuse first, with a page.
MAX_BODY: Final = 64 * 1_048_576

log = logging.getLogger(__name__)


# --- running ---


def serve(settings: Settings) -> None:
    """Open the store, build the app and serve it until SIGTERM or Ctrl-C.

    BadSetting or CannotOpen, before anything is served, when it cannot be done. Until the store is
    open and migrated, everybody is told that the app is starting.
    """
    free_address(settings)  # before the store is touched: another server may be using it
    # Imported before the question below: one extension module can turn the GIL on.
    from app.main import create_app

    processes = runs_in_processes(settings)
    refuse_unsafe(settings, processes=processes)
    settings, config = _prepare(settings)
    with _server_errors():
        with _ending_on_sigterm(), answering(config, asgi(starting, settings), processes=processes):
            app = create_app(settings)
        pounce.run(asgi(app, settings), config=config)


def application() -> ASGIApp:
    """The app with all that `serve` adds to it, for Pounce's own command line:

    pounce serve --app "app.server:application()"

    The environment counts as it does for `serve`; what the command line says goes before it. Pounce
    asks for the app before it knows where to listen, so the app is made when it does.
    """
    apply_fixes()
    _settle_command_line(Settings.from_env())
    return starting


def run(app: App, settings: Settings) -> None:
    """Serve any ASGI app as these settings say, until SIGTERM or Ctrl-C."""
    settings, config = _prepare(settings)
    with _server_errors():
        pounce.run(asgi(app, settings), config=config)


def _prepare(settings: Settings) -> tuple[Settings, ServerConfig]:
    """What comes before serving. The settings with the port that will be listened on, and for Pounce."""
    apply_fixes()
    _allow_many_connections()
    settings = replace(settings, port=free_address(settings))
    config = server_config(settings)
    _log_like_pounce(config)
    _tell(settings)
    return settings, config


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """End in order on SIGTERM, which the first process of a container would not even notice without this."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _server_errors() -> Iterator[None]:
    """The end of the process, when Pounce cannot serve."""
    try:
        yield
    except PounceError as error:
        # What went wrong is in the log already, with its traceback.
        sys.exit(f"contacts: {error}")


def server_config(settings: Settings) -> ServerConfig:
    """How Pounce is configured; fields that are left out do what their default says."""
    return ServerConfig(
        host=settings.host,
        port=settings.port,
        uds=settings.socket or None,
        uds_permissions=0o660,  # for its owner and group: the proxy is in the group
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        trusted_hosts=frozenset(settings.proxies),
        workers=settings.workers,
        # The default, sync, gives a whole worker to each idle browser and hangs event streams.
        worker_mode="async",
        worker_startup_failure="shutdown",
        header_timeout=8.0,  # seconds, like the others; also how long a connection may be idle
        request_timeout=15.0,  # for each read of a body
        write_timeout=15.0,
        startup_timeout=20.0,
        shutdown_timeout=8.0,
        max_request_size=MAX_BODY,
        max_connections=4_000,
        display=DisplayConfig(name="Contacts", signage="off"),  # summary() says more in one line
    )


def _settle_command_line(settings: Settings) -> None:
    """Let the next Server of Pounce, whose command line made its configuration, be as safe as ours.

    What the command line leaves at Pounce's default is as `serve` would have it; what it says
    counts, and is refused where a setting that says the same would be. Then the app takes the
    place of the one that `application` gave.
    """
    from app.main import create_app

    init = Server.__init__

    def patched(self: Server, config: ServerConfig, app: App, *args: Any, **kwargs: Any) -> None:
        config = _with_ours(config, server_config(settings))
        if config.worker_mode != "async" or config.reload:
            raise BadSetting(
                "Contacts needs async workers, which do not reload: leave out --worker-mode and --reload."
            )
        if config.debug and settings.env == "production":
            raise BadSetting("--debug shows strangers what is inside: leave it out, or use development.")
        if config.metrics_enabled or config.health_check_path:
            raise BadSetting(
                "--metrics and --health-check-path would answer everybody: leave them out. "
                "There are /health, /ready and /metrics, see CONTACTS_METRICS_TOKEN."
            )
        said = replace(
            settings,
            host=config.host,
            port=config.port,
            socket=config.uds or "",
            workers=config.resolve_workers(),
            proxies=tuple(sorted(config.trusted_hosts)),
            tls_cert=config.ssl_certfile or "",
            tls_key=config.ssl_keyfile or "",
        )
        processes = runs_in_processes(said)
        refuse_unsafe(said, processes=processes)
        said = replace(said, port=free_address(said))
        _allow_many_connections()
        _log_like_pounce(config)
        _tell(said)
        config = replace(config, port=said.port)
        with _ending_on_sigterm(), answering(config, asgi(app, said), processes=processes):
            app = create_app(said)
        init(self, config, asgi(app, said), *args, **kwargs)

    put(Server, "__init__", patched)


def _with_ours(theirs: ServerConfig, ours: ServerConfig) -> ServerConfig:
    """Their configuration, and ours in each field that they have left at its default."""
    default = ServerConfig()
    left = [each.name for each in fields(ServerConfig) if each.init and not each.name.startswith("_")]
    left = [name for name in left if getattr(theirs, name) == getattr(default, name)]
    return replace(theirs, **{name: getattr(ours, name) for name in left})


def _tell(settings: Settings) -> None:
    """Say in the log how the app runs, and what its operator should know."""
    log.info(summary(settings))
    if settings.proxies and settings.auth == "none" and not settings.demo:
        log.warning(
            "Nobody has to sign in, so whoever the proxy lets through may do everything. "
            "Let the proxy ask who is there, or set CONTACTS_AUTH=password."
        )
    if settings.env == "production" and settings.is_private and not (settings.proxies or settings.tls_cert):
        log.warning(
            "Behind a proxy, everybody would have its address and nobody HTTPS: "
            "set CONTACTS_PROXIES to 127.0.0.1, or to unix with CONTACTS_SOCKET."
        )


def summary(settings: Settings) -> str:
    """One line for the start of the log."""
    from app.main import BODY_LIMIT

    kind = ("process", "processes") if runs_in_processes(settings) else ("thread", "threads")
    config = server_config(settings)
    return "; ".join(
        (
            f"Contacts at {_address(settings)}, {_kept(settings)}, "
            f"{settings.workers} worker {kind[settings.workers > 1]}, "
            f"Python {'.'.join(map(str, sys.version_info[:3]))} "
            f"{'with' if sys._is_gil_enabled() else 'without'} GIL",
            f"{settings.env}{', demo' * settings.demo}, sign-in {settings.auth}, "
            f"TLS {'by Pounce' if settings.tls_cert else 'none'}, "
            f"hosts {' '.join(settings.hosts) or 'of this machine'}, "
            f"proxies {' '.join(settings.proxies) or 'none'}",
            f"limits: form {BODY_LIMIT:,} bytes, file {FILE_LIMIT:,} bytes, "
            f"{config.max_connections:,} connections, "
            f"head {HEAD_TIME:g} s, read {config.request_timeout:g} s, idle {config.header_timeout:g} s, "
            f"write {config.write_timeout:g} s, stop {config.shutdown_timeout:g} s",
        )
    )


def _kept(settings: Settings) -> str:
    """Where contacts are kept."""
    if settings.demo:
        return "a demo with contacts in memory for each visitor"
    return f"store {shown(settings.store)}"


def _address(settings: Settings) -> str:
    """Where to find the server, as a URL unless it is a socket."""
    if settings.socket:
        return f"unix:{settings.socket}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.port}"


def runs_in_processes(settings: Settings) -> bool:
    """Whether Pounce will fork: with a GIL, threads could not use more than one core."""
    return settings.workers > 1 and sys._is_gil_enabled()


def _allow_many_connections() -> None:
    """Let the process open as many files as it may: each window is one, and many systems begin at 1,024."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _log_like_pounce(config: ServerConfig) -> None:
    """Send every log where Pounce's goes: text on a terminal, else a line of JSON each."""
    pounce.logging.configure_logging(config)
    handler = logging.getLogger("pounce").handlers[0]
    logging.getLogger("app").setLevel(logging.INFO)
    keep_private(handler)


# --- the ASGI wrapper ---


class BodyCutShort(BaseException):
    """The client went away in the middle of its request's body.

    Not an Exception, so that nothing between here and the handler can take half a form for
    a whole one, or log a traceback for what is nobody's fault.
    """


def asgi(app: App, settings: Settings) -> ASGIApp:
    """The app as Pounce should see it: told when its worker stops, and never given half a body.

    Around it is app.web.headers, so that every answer has the security headers.
    """
    app = check_host(app, settings)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await _exchange(app, scope, receive, send)
            case "pounce.worker.draining":
                await wind_up(scope["worker_id"])
            case kind:
                try:
                    await app(scope, receive, send)
                except Exception as error:
                    # With its text, which Private leaves out: it is about the start, not about a contact.
                    log.error("%s failed: %s", kind, error)
                    raise

    return add_security_headers(wrapped)


async def _exchange(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """One request and its answer; 400 when the request breaks off."""
    scheme.set(scope["scheme"])
    request_id.set(scope["extensions"]["request_id"])  # for this task, which answers nothing else
    body, answer = _Body(scope, receive), _Answer(send, closes=scope["http_version"] == "1.1")
    try:
        await app(scope, body.receive, answer.send)
        await body.discard_rest()
    except BodyCutShort:
        if not answer.begun:
            broken = "The request broke off before its end, so nothing was done. Send it again."
            await refuse(answer.send, 400, broken, scope["path"])


class _Body:
    """The body of a request.

    Chirp takes a disconnect for the end of the body, so it must not see one before that.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._whole = scope["method"] in ("GET", "HEAD")

    async def receive(self) -> dict[str, Any]:
        """ASGI's receive; BodyCutShort when the client leaves before the end of the body."""
        message = await self._receive()
        if not self._whole:
            if message["type"] == "http.disconnect":
                raise BodyCutShort
            self._whole = not message.get("more_body", False)
        return message

    async def discard_rest(self, patience: float = 5) -> None:
        """Read what the app did not care to.

        To close on a client that still sends would reset the connection, and it might never
        see the answer.
        """
        if self._whole:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._whole:
                    await self.receive()


class _Answer:
    """What the app sends, and whether it has begun to.

    closes: whether to say that the connection ends when the worker is about to; HTTP/2 has its own word.
    """

    def __init__(self, send: Send, *, closes: bool) -> None:
        self._send = send
        self._closes = closes
        self.begun = False

    async def send(self, message: dict[str, Any]) -> None:
        """ASGI's send."""
        self.begun = True
        if headers := message.get("headers"):
            # Pounce adds the number of the request, and Chirp has done so already. It compresses, too, and
            # does not say that this depends on Accept-Encoding: a cache would give gzip to everybody.
            vary = [value for name, value in headers if name == b"vary"]
            kept = [header for header in headers if header[0] not in (b"x-request-id", b"vary")]
            message["headers"] = [*kept, (b"vary", b", ".join([*vary, b"Accept-Encoding"]))]
            if self._closes and draining().is_set():
                message["headers"].append((b"connection", b"close"))
        # Whoever leaves in the middle of an answer is no fault of the app, which Pounce would log it as.
        with contextlib.suppress(ConnectionError):
            await self._send(message)
