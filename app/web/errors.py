"""Errors as people see them: a page in the app's own look, or a message for htmx.

One middleware instead of Chirp's error handlers, because there an exception skips the
headers of every other middleware, the default texts put the request's path unescaped
into HTML, and a handler for 500 answers 200 (docs/upstream.md).
"""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus

from chirp import App, HTTPError, Request, Response, Template
from chirp.errors import PayloadTooLarge
from chirp.middleware.protocol import AnyResponse, Next

from app.contacts.contact import EditConflict, InvalidContact, NoSuchBatch, NoSuchContact
from app.store import CannotOpen, StoreFull, StoreRefused, StoreUnavailable

log = logging.getLogger(__name__)

Middleware = Callable[[Request, Next], Awaitable[AnyResponse]]


def error_pages(app: App) -> Middleware:
    """The middleware that turns whatever a handler raises into an answer."""

    async def middleware(request: Request, next: Next) -> AnyResponse:
        try:
            return await next(request)
        except Exception as error:
            status, message, headers = explain(error)
            if status == 500:
                log.error("500 for %s %s", request.method, request.path, exc_info=error)
        if request.is_narrow_fragment:
            response = _fragment(message)
        else:
            response = _page(app, status, message, request.request_id if status >= 500 else "")
        return replace(response, headers=tuple((dict(response.headers) | headers).items()), status=status)

    return middleware


def explain(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, a message that says what to do, and headers, for an exception.

    The log is told why the store failed: whoever runs it has to know, and may not see the page.
    """
    match error:
        case NoSuchContact(contact_id=contact_id):
            # htmx takes the row away, which is all that is left of the contact.
            row_goes = {"HX-Retarget": f"#contact-{contact_id}", "HX-Reswap": "delete"}
            return 404, "Contact not found. It may have been deleted.", row_goes
        case NoSuchBatch():
            return 404, str(error), {}
        case EditConflict():
            return 409, "A contact has changed meanwhile. Please look at it again.", {}
        case InvalidContact(errors=errors):
            return 409, "This cannot be done: " + " ".join(errors.values()), {}
        case StoreFull():
            return 422, str(error), {}
        case StoreRefused():
            return 409, str(error), {}
        case StoreUnavailable():
            reason = error.__cause__ if isinstance(error.__cause__, CannotOpen) else error
            log.warning("the store failed: %s", reason)
            return 503, str(error), {"Retry-After": "5"}
        case HTTPError(status=404, headers=headers):
            return 404, "There is nothing at this address.", dict(headers)
        case HTTPError(status=405, headers=headers):
            return 405, "This address cannot do that.", dict(headers)
        case PayloadTooLarge(detail=detail):  # it names the limit
            return 413, f"{detail} Send less at a time. Nothing was changed.", {}
        case HTTPError(status=status, detail=detail, headers=headers):
            return status, detail or HTTPStatus(status).phrase, dict(headers)
        case _:
            return 500, "Something went wrong on our side. Please try again.", {}


def _page(app: App, status: int, message: str, number: str) -> Response:
    title = HTTPStatus(status).phrase
    html = app.render(Template("error.html", status=status, title=title, message=message, number=number))
    return Response(html, render_intent="full_page")


def _fragment(message: str) -> Response:
    """Nothing to swap, so whatever is on the page stays; the message comes as the event `problem`."""
    return (
        Response("", render_intent="fragment")
        .with_header("HX-Reswap", "none")
        .with_header("HX-Trigger", problem_event(message))
    )


def problem_event(message: str) -> str:
    """What HX-Trigger says to have app.js tell a message."""
    return json.dumps({"problem": {"target": "body", "message": message}})
