"""The address that the server listens on, and who answers there before the app can."""

import asyncio
import contextlib
import errno
import functools
import os
import select
import socket
import ssl
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pounce import ASGIApp, ServerConfig
from pounce.net.listener import create_listeners
from pounce.net.tls import create_tls_context, is_tls_configured
from pounce.worker import Worker

from app.settings import BadSetting, Settings, passed_sockets

PASSED = 3  # the number under which systemd passes a socket, see sd_listen_fds(3)
START = 3.0  # seconds that a start may take without anybody being told; probes wait a little longer
TICK = 0.01  # seconds
PATIENCE = 20  # ticks that requests which came last have before the app takes over

_listening: list[socket.socket] = []  # what was listened on for the app, see `answering`
_made: dict[str, tuple[int, int]] = {}  # paths of Unix sockets, and which file each is


@contextlib.contextmanager
def answering(config: ServerConfig, app: ASGIApp, *, processes: bool) -> Iterator[None]:
    """Listen, and if the block takes long let this small app answer until it ends; then the next server does.

    Whoever connects before, or in between, waits in the queue of the same socket, so nobody is ever refused,
    and a start that is as short as most goes unnoticed. app: closes each connection after its answer.
    processes: whether the server will fork.
    """
    context = create_tls_context(config) if is_tls_configured(config) else None
    sockets = listen(config, config.resolve_workers(), shared=not processes)
    doorman = _Doorman(Worker(config, app, sockets[0], ssl_context=context), set(sockets), context)
    loop = asyncio.new_event_loop()
    # A thread, which has ended before anything forks.
    thread = threading.Thread(target=loop.run_forever, name="starting")
    thread.start()
    try:
        working = asyncio.run_coroutine_threadsafe(doorman.work(), loop)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(doorman.ended.set)
            working.result()
    except BaseException:
        for each in sockets:
            each.close()
        remove_path(config)
        raise
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    _listening.extend(sockets)


class _Doorman:
    """Lets people in at these sockets for a while, to be served by one worker of Pounce."""

    def __init__(self, worker: Worker, sockets: set[socket.socket], context: ssl.SSLContext | None) -> None:
        self._worker = worker
        self._sockets = sockets
        self._context = context
        self._servers: list[asyncio.Server] = []
        self._inside: set[asyncio.StreamWriter] = set()
        self.ended = asyncio.Event()

    async def work(self) -> None:
        """Open after a while, and close when it has `ended`."""
        try:
            async with asyncio.timeout(START):
                await self.ended.wait()
        except TimeoutError:
            await self._open()
            await self.ended.wait()
            await self._close()

    async def _open(self) -> None:
        for each in self._sockets:
            # A copy, because a server closes its socket, and who waits in its queue would be lost.
            server = await asyncio.start_server(self._serve, sock=each.dup(), ssl=self._context)
            self._servers.append(server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._inside.add(writer)
        try:
            await self._worker._handle_connection(reader, writer)
        finally:
            self._inside.discard(writer)

    async def _close(self) -> None:
        """Let in nobody any more, and wait for those who are inside."""
        loop = asyncio.get_running_loop()
        for listening in [each for server in self._servers for each in server.sockets]:
            # Not `close` yet: who has just been accepted would be forgotten, and the connection stay open.
            loop.remove_reader(listening.fileno())
        await self._wait()
        for writer in self._inside:  # and asks nothing
            writer.transport.abort()
        await self._wait()
        for server in self._servers:
            server.close()

    async def _wait(self) -> None:
        """Wait for all of them, as long as there is patience.

        In ticks, each of which reads what has come: the time that others have on a busy computer is no
        patience, for in it nobody is answered.
        """
        patience = PATIENCE
        # Again and again, for one task begins another: to accept a connection, and then to serve it.
        while (tasks := asyncio.all_tasks() - {asyncio.current_task()}) and patience:
            _, waiting = await asyncio.wait(tasks, timeout=TICK)
            patience -= bool(waiting)


def remove_path(config: ServerConfig) -> None:
    """Remove the path of the Unix socket, unless it is the next server's already."""
    with contextlib.suppress(FileNotFoundError):
        if config.uds and _made.get(config.uds) == _file(config.uds):
            os.unlink(config.uds)


def _file(path: str) -> tuple[int, int]:
    """What tells the file from all others: its device and its number there."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


async def stop_listening(listening: socket.socket, config: ServerConfig) -> None:
    """Let the calling worker serve who waits in this queue, and nobody who comes later.

    Later, nobody can connect any more, so a proxy has sent nothing yet, and asks another server. In the
    queue of systemd's socket they wait for the next process.
    """
    if inherited():
        listening.listen(config.backlog)  # asyncio has made the queue shorter
    else:
        remove_path(config)
        while select.select([listening], [], [], 0)[0]:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)  # in which the loop accepts
    asyncio.get_running_loop().remove_reader(listening.fileno())
    if config.uds is None:
        # Not `close`, for there are copies of it. Who connects between the last two lines is lost.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    await asyncio.sleep(0)  # now its server knows all who were accepted, and may be closed


def listen(config: ServerConfig, count: int, *, shared: bool = False) -> list[socket.socket]:
    """The sockets that so many workers listen on, which may be one: Pounce's create_listeners.

    A socket for each, on Linux, which spreads the connections over them; see `_listen_per_worker` in
    app.pounce_fixes. BadSetting when another server listens there.
    """
    if _listening:
        sockets = _listening[:]
        _listening.clear()
        return sockets
    if passed := inherited():
        return [passed] * count
    if config.uds is None:
        config = replace(config, port=free_port(config.host, config.port))
    sockets = create_listeners(config, count, shared=shared and sys.platform != "linux")
    if config.uds:
        _made[config.uds] = _file(config.uds)
    return sockets


@functools.cache
def inherited() -> socket.socket | None:
    """The socket that systemd listens on for this process, None when it does not; BadSetting for several.

    It is there before the process and after it, so while none runs connections wait in its queue.
    """
    if not (count := passed_sockets()):
        return None
    if count != "1":
        raise BadSetting(f"systemd passes {count} sockets. Leave one ListenStream in contacts.socket.")
    passed = socket.socket(fileno=PASSED)
    passed.set_inheritable(False)
    return passed


def free_address(settings: Settings) -> int:
    """The port to listen on, see free_port; with a Unix socket, the port as it is set.

    BadSetting when the socket cannot be made, another server answers on it, or systemd's is another one.
    """
    if passed := inherited():
        if (name := passed.getsockname()) != settings.socket:
            raise BadSetting(f"systemd listens on {name}. Write the same in CONTACTS_SOCKET.")
        return settings.port
    if not settings.socket:
        return free_port(settings.host, settings.port)
    path = Path(settings.socket)
    # Pounce removes whatever is there.
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise BadSetting(f"CONTACTS_SOCKET is {path}, and that is no socket. Name another place.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadSetting(f"CONTACTS_SOCKET is {path}, and nothing can be made in that folder. Name another.")
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(str(path))
        raise BadSetting(f"Another server listens on {path}. Stop it or set CONTACTS_SOCKET.")
    return settings.port


def free_port(host: str, port: int) -> int:
    """The port, or an unused one for port 0. BadSetting when it cannot be listened on.

    Asked without SO_REUSEPORT, with which a second server would be let in (see
    _listen_per_worker) and be given some of the first one's requests.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # The same choice as Pounce's: IPv6 when there is one, and IPv4 with it.
        family, _, _, _, address = max(found, key=lambda each: each[0] == socket.AF_INET6)
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        with socket.create_server(address[:2], family=family, dualstack_ipv6=both) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadSetting(f"Port {port} is in use. Stop the other server or set CONTACTS_PORT.") from None
        raise BadSetting(
            f"Cannot listen on {host}, port {port}: {error}. Set CONTACTS_HOST or CONTACTS_PORT."
        ) from None
