"""What everybody is answered while the app starts: its store may have to be migrated first.

A plain ASGI app, because the real one is not made yet. Probes see a process that lives and is not
ready; people see a page that comes back by itself.
"""

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

from app.web.headers import CONTENT_SECURITY_POLICY, Send
from app.web.problems import MEDIA_TYPE, Problem, is_api_path

RETRY = 2  # seconds
WAITING = "The address book is being made ready. This page comes back by itself in a few seconds."
NOT_DONE = (
    "The address book is being made ready, so nothing was saved yet. "
    "Go back, where what you typed still is, and try again in a few seconds."
)
SOON = "The address book is being made ready. Please try again in a few seconds."
STYLE = (
    "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1.5rem}"
    "h1{font-size:1.5rem}"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
{refresh}<title>One moment · Contacts</title>
<style>{style}</style>
</head>
<body><main><h1>One moment</h1><p>{message}</p></main></body>
</html>
"""
# The one page with a style of its own: there is nothing yet to serve /static/ with.
_STYLE_SOURCE = f"'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
POLICY = f"{CONTENT_SECURITY_POLICY}; style-src {_STYLE_SOURCE}"


async def starting(scope: Any, receive: object, send: Send) -> None:
    """Answer 503 to whatever is asked, and 200 to /health."""
    if scope["type"] != "http":
        return
    status, kind, text, more = _answer(scope["method"], scope["path"], dict(scope["headers"]))
    body = text.encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),  # so that the next request comes to the app
        *((name.encode(), value.encode()) for name, value in more.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _answer(method: str, path: str, headers: dict[bytes, bytes]) -> tuple[int, str, str, dict[str, str]]:
    """Status, type, text, and further headers."""
    reads = method in ("GET", "HEAD")
    message, retry = WAITING if reads else NOT_DONE, {"retry-after": str(RETRY)}
    if path == "/health":
        return 200, "text/plain; charset=utf-8", "ok", {}
    if path == "/ready":
        return 503, "application/json", json.dumps({"status": "starting"}), retry
    if is_api_path(path):
        return 503, MEDIA_TYPE, Problem(503, message).text(), retry
    if b"hx-request" in headers:  # as in app.web.errors: the page stays, and app.js tells it
        told = json.dumps({"problem": {"target": "body", "message": SOON}})
        return 503, "text/plain", "", {**retry, "hx-reswap": "none", "hx-trigger": told}
    refresh = f'<meta http-equiv="refresh" content="{RETRY}">\n' if reads else ""
    page = PAGE.format(refresh=refresh, style=STYLE, message=message)
    return 503, "text/html; charset=utf-8", page, {**retry, "content-security-policy": POLICY}
