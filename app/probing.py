"""Asking a server that runs whether it is ready, as a container or a person would."""

import json
import socket
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from app.settings import Settings

PATIENCE = 4.0  # seconds; whoever asks by `python -m app ready` waits a little longer
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def why_not_ready(settings: Settings) -> str:
    """What /ready says of the server that runs with these settings: "" when it is ready, else why not."""
    try:
        with closing(HTTPConnection("localhost", settings.port, timeout=PATIENCE)) as connection:
            connection.sock = _connect(settings)
            connection.request("GET", "/ready")
            response = connection.getresponse()
            status = json.loads(response.read())["status"]
    except (OSError, HTTPException, ValueError, LookupError) as error:
        return f"no answer: {error}"
    return "" if response.status == 200 else str(status)


def _connect(settings: Settings) -> socket.socket:
    if settings.socket:
        unix = socket.socket(socket.AF_UNIX)
        unix.settimeout(PATIENCE)
        unix.connect(settings.socket)
        return unix
    connected = socket.create_connection((_EVERY.get(settings.host, settings.host), settings.port), PATIENCE)
    if not settings.tls_cert:
        return connected
    ours = ssl.create_default_context()
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE  # it has the name that others know
    return ours.wrap_socket(connected)
