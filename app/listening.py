"""The address that the server listens on."""

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from app.settings import BadSetting, Settings


def free_address(settings: Settings) -> int:
    """The port to listen on, see free_port; with a Unix socket, the port as it is set.

    BadSetting when the socket cannot be made, or another server answers on it.
    """
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
