"""What the log says of a request: its number in every line, and never what it or a contact holds.

An exception's text can hold anything, such as the row that could not be written, so the log has
its type and where it came from instead. What else is logged is ours to choose: no message of the
app names a value that a person typed or the store keeps.
"""

import copy
import json
import logging
import re
import secrets
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

import chirp.server.terminal_errors

# The number of the request that is being answered; "" outside of one. Threads that work for a
# request know it as well, see app.web.threads.
request_id: ContextVar[str] = ContextVar("request_id", default="")

WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")  # what the common proxies send, and nothing else

log = logging.getLogger("app.web.logs")


def number_of(given: str) -> str:
    """The number for a request: the one that a trusted proxy has given it, or twelve random digits."""
    return given if WELL_FORMED.fullmatch(given) else secrets.token_hex(6)


def describe(error: BaseException) -> str:
    """The types of an exception and of those that led to it, with their frames, and none of their texts."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "which led to"
    yield type(error).__qualname__
    if template := getattr(error, "template_name", None):  # of Kida's
        yield f"  template {template}, line {getattr(error, 'lineno', None)}"
    for frame in traceback.extract_tb(error.__traceback__, limit=-20):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield "of which"
            yield from _lines(each, seen)


class Private(logging.Filter):
    """Gives each line the number of its request, and its exception without values. For handlers."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy, because the record belongs to other handlers, too."""
        line = copy.copy(record)
        text = record.getMessage()
        if record.name == "asyncio":
            text = text.partition("\n")[0]  # below come the parts, and in them the exception once more
        if record.exc_info and record.exc_info[1]:
            text += "\n" + describe(record.exc_info[1])
        line.msg, line.args, line.exc_info, line.exc_text = text, None, None, None
        line.req_id = request_id.get()
        return line


class Lines(logging.Formatter):
    """One line of JSON for each record, with the keys of Pounce's access log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line: ts, level, logger, message, and req_id while a request is being answered."""
        entry = {
            "ts": datetime.fromtimestamp(record.created, tz=UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if number := getattr(record, "req_id", ""):
            entry["req_id"] = number
        return json.dumps(entry)


def keep_private(handler: logging.Handler) -> None:
    """Send everything that is logged to this handler, as a Private line: also what nobody catches."""
    if not any(isinstance(each, Private) for each in handler.filters):
        handler.addFilter(Private())
    root = logging.getLogger()
    root.handlers = [handler]
    for name in ("app", "chirp", "pounce"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
    # Chirp writes an exception with its text into the message.
    for function in ("format_compact_traceback", "format_minimal_error", "format_template_error"):
        setattr(chirp.server.terminal_errors, function, lambda error, *rest: describe(error))
    threading.excepthook = lambda args: _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)


def _uncaught(error: BaseException | None, *_: Any) -> None:
    log.error("Nobody has caught an exception", exc_info=error)
