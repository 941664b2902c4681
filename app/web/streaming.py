"""Answers that are sent piece by piece."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from chirp import Request, Response
from chirp.http.response import StreamingResponse
from chirp.middleware.protocol import AnyResponse, Next


@dataclass(frozen=True, slots=True)
class Streamed(Response):
    """An answer with pieces of text instead of a body. When the client leaves, they are closed."""

    pieces: AsyncIterator[str] | None = None


async def send_streamed(request: Request, next: Next) -> AnyResponse:
    """Send a Streamed as a stream: from a handler, Chirp takes only its own (docs/upstream.md)."""
    response = await next(request)
    if not isinstance(response, Streamed) or response.pieces is None:
        return response
    return StreamingResponse(response.pieces, content_type=response.content_type, headers=response.headers)
