"""Asking a server that runs whether it is ready, as a container or a person would."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException

from app.settings import Settings

PATIENCE = 4.0  # seconds; whoever asks by `python -m app ready` waits a little longer
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def why_not_ready(settings: Settings) -> str:
    """What /ready says of the server that runs with these settings: "" when it is ready, else why not."""
    with closing(HTTPConnection("localhost", settings.port, timeout=PATIENCE)) as connection:
        try:
            connection.sock = _connect(settings)
            connection.request("GET", "/ready")
            response = connection.getresponse()
            said = response.read()
        except (OSError, HTTPException) as error:
            return f"Nobody answers: {error}. Does the server run with these settings?"
    try:
        status = str(json.loads(said)["status"])
    except ValueError, LookupError, TypeError:
        return "Another program answers. Check CONTACTS_PORT."
    return "" if response.status == 200 else status


def _connect(settings: Settings) -> socket.socket:
    if settings.socket:
        unix = socket.socket(socket.AF_UNIX)
        with _closed_if_it_fails(unix):
            unix.settimeout(PATIENCE)
            unix.connect(settings.socket)
        return unix
    connected = socket.create_connection((_EVERY.get(settings.host, settings.host), settings.port), PATIENCE)
    if not settings.tls_cert:
        return connected
    ours = ssl.create_default_context()
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE  # it has the name that others know
    with _closed_if_it_fails(connected):
        return ours.wrap_socket(connected)


@contextmanager
def _closed_if_it_fails(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except OSError:
        opened.close()
        raise
