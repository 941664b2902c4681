"""Static files, kept in memory and named by their content.

Chirp's own static handler cuts keep-alive connections and has no fingerprints
(docs/upstream.md), so this one answers with plain bytes. A URL with the right
fingerprint may be kept for ever, and so may a vendored file, whose name carries its
version; any other is checked every time.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from chirp import Request, Response
from chirp.middleware.protocol import AnyResponse, Next
from chirp.server.conditional import evaluate_conditional_response

PREFIX = "/static/"
VENDOR = "/static/vendor/"  # files there carry their version in the name
NOT_WRITTEN = "Files can only be read. Use GET or HEAD."
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file. fingerprint: 12 hexadecimal digits of its SHA-256."""

    body: bytes
    content_type: str
    fingerprint: str


class StaticFiles:
    """Middleware that answers for the files below /static/ from memory.

    Read once, when the app is made: a changed file needs a restart, a half-copied one is
    never served, and no request path ever becomes a file path.
    """

    def __init__(self, root: Path) -> None:
        self._files = {
            path.relative_to(root).as_posix(): _read(path)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def url(self, name: str) -> str:
        """The URL of a file, with its fingerprint. KeyError for a file that is not there."""
        return f"{PREFIX}{name}?v={self._files[name].fingerprint}"

    async def __call__(self, request: Request, next: Next) -> AnyResponse:
        file = self._files.get(request.path.removeprefix(PREFIX)) if request.path.startswith(PREFIX) else None
        if file is None:
            return await next(request)
        if request.method not in ("GET", "HEAD"):
            return Response(NOT_WRITTEN, status=405, content_type="text/plain; charset=utf-8").with_headers(
                {"Allow": "GET, HEAD", "Cache-Control": "no-store"}
            )
        fresh = request.query.get("v") == file.fingerprint or request.path.startswith(VENDOR)
        response = (
            Response(file.body, content_type=file.content_type)
            .with_header("ETag", f'W/"{file.fingerprint}"')  # weak: Pounce may compress it
            .with_header("Cache-Control", FOREVER if fresh else "no-cache")
        )
        return evaluate_conditional_response(request, response)


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    return StaticFile(body, content_type, hashlib.sha256(body).hexdigest()[:12])
