"""Files that are sent piece by piece, so that an answer of any size needs little memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import IO

from app.web.streaming import Streamed

PIECE = 16_384  # characters, about

log = logging.getLogger(__name__)


class Download(Streamed):
    """An answer that the browser saves as a file."""

    @classmethod
    def of(cls, pieces: AsyncIterator[str], content_type: str, name: str) -> Download:
        """A file with this name, which is ASCII and has no quotes."""
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return cls(content_type=content_type, headers=tuple(headers.items()), pieces=_whole(pieces))


async def in_turns(texts: Iterator[str]) -> AsyncIterator[str]:
    """The texts, joined to larger pieces; between these other requests have their turn."""
    piece, size = [], 0
    for text in texts:
        piece.append(text)
        size += len(text)
        if size > PIECE:
            yield "".join(piece)
            piece, size = [], 0
            await asyncio.sleep(0)
    yield "".join(piece)


async def blocks(file: IO[str]) -> AsyncIterator[str]:
    """The text of an open file, which is closed at the end."""
    with file:
        while block := file.read(PIECE):
            yield block


async def _whole(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """The pieces. When they break off, so does the connection, and the browser says that it failed.

    Chirp would end the file in order, with an HTML comment (docs/upstream.md).
    """
    try:
        async for piece in pieces:
            yield piece
    except Exception:
        log.exception("A download broke off")
        raise asyncio.CancelledError from None
