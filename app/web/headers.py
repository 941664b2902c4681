"""What every request passes first and every answer last: the Host header and the security headers.

An ASGI layer of its own, because Chirp's middleware does not see all answers: it misses event
streams, addresses that Chirp refuses before it, and what app.server refuses.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from app.settings import Settings
from app.web.problems import MEDIA_TYPE, Problem, is_api_path

# Any ASGI app. Chirp and Pounce do not agree on how `receive` and `send` are typed.
type App = Callable[[Any, Any, Any], Awaitable[None]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]
type Pairs = tuple[tuple[bytes, bytes], ...]

# No 'unsafe-inline', no 'unsafe-eval', no nonce: pages hold no inline script or style.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
# There is no word for "everything": those that browsers know today.
FEATURES = (
    "accelerometer", "autoplay", "camera", "clipboard-read", "clipboard-write", "display-capture",
    "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    "publickey-credentials-create", "publickey-credentials-get", "screen-wake-lock", "serial",
    "storage-access", "sync-xhr", "usb", "window-management", "xr-spatial-tracking",
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in FEATURES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Without includeSubDomains: what else is served below this name is not ours to decide.
STRICT_TRANSPORT_SECURITY = "max-age=31536000"

LOCAL = ("localhost", "127.0.0.1", "[::1]")
PROBES = frozenset({"/health", "/ready"})  # asked by address, not by name
WRONG_NAME = "This server does not answer to this name. Whoever runs it can add it to CONTACTS_HOSTS."
WRONG_TARGET = "Ask for a path, such as /contacts."


def security_headers() -> tuple[Pairs, Pairs]:
    """The headers as ASGI wants them: those of answers over HTTP, and those over HTTPS."""
    pairs = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
    return pairs, (*pairs, (b"strict-transport-security", STRICT_TRANSPORT_SECURITY.encode()))


def add_security_headers(app: App) -> App:
    """Add the security headers to every answer; one that an answer has already is left as it is."""
    http, https = security_headers()

    async def wrapped(scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        pairs = https if scope["scheme"] == "https" else http  # Pounce has asked a trusted proxy

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                headers = [*message["headers"], *(pair for pair in pairs if pair[0] not in own)]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_with_headers)

    return wrapped


def check_host(app: App, settings: Settings) -> App:
    """Refuse requests for names that are not ours: 421; and targets that are no path: 400.

    A page of another site could otherwise have its own name lead here (DNS rebinding) and read
    what it likes as one of ours, and a forged name could end up in links and caches.
    """
    names = frozenset(map(_bare, settings.hosts or (*LOCAL, settings.host)))

    async def wrapped(scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif not scope["path"].startswith("/"):  # such as http://name/path, with another name than Host
            await refuse(send, 400, WRONG_TARGET)
        elif scope["path"] not in PROBES and _name(scope["headers"]) not in names:
            await refuse(send, 421, WRONG_NAME, scope["path"])
        else:
            await app(scope, receive, send)

    return wrapped


async def refuse(send: Send, status: int, message: str, path: str = "") -> None:
    """Answer with a line of text, a program with a problem, and close the connection."""
    if is_api_path(path):
        headers, body = refusal(status, Problem(status, message).text(), MEDIA_TYPE.encode())
    else:
        headers, body = refusal(status, message)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def refusal(
    status: int, message: str, content_type: bytes = b"text/plain; charset=utf-8"
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers of such an answer, without the security headers, and its body."""
    body = message.encode()
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if status in (429, 503):
        headers.append((b"retry-after", b"5"))  # seconds
    return headers, body


_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::\d*)?", re.IGNORECASE)


def _name(headers: Pairs) -> str:
    """The name in the Host header, without its port; "" when there is none, or more than one."""
    match [value for name, value in headers if name == b"host"]:
        case [value] if found := _HOST.fullmatch(value):
            return found[1].decode("latin-1").lower()
        case _:
            return ""


def _bare(name: str) -> str:
    """A name of the settings as it stands in a Host header."""
    return f"[{name}]".lower() if ":" in name and not name.startswith("[") else name.lower()
