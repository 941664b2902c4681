"""What goes wrong below /api/, whoever notices it, as `application/problem+json` (RFC 9457)."""

import json
from collections.abc import Mapping
from typing import Any

from chirp import Request, Response
from chirp.middleware.protocol import AnyResponse, Next
from chirp.server.terminal_errors import log_error

from app.contacts.changes import UndoConflict
from app.contacts.contact import Contact, EditConflict, InvalidContact
from app.web.errors import explain

MEDIA_TYPE = "application/problem+json"

# Each status with its title and when it comes: what /api/docs says, and where `type` leads.
KINDS: Mapping[int, tuple[str, str]] = {
    400: (
        "Malformed request",
        "The body is no JSON, or is JSON that different readers would read differently.",
    ),
    401: ("Sign in first", "The server asks for a bearer token, and none came or it is no longer valid."),
    403: ("Forbidden", "A page of another site sent this change, or the token does not allow it."),
    404: ("Not found", "There is nothing at this address: no such contact, batch, page or path."),
    405: ("Method not allowed", "The address cannot do that. The header `Allow` lists what it can."),
    409: (
        "Clash with what is there",
        "The request is right in itself, but clashes with the address book: an email address that another "
        "contact has, a patch that would leave a contact without email and phone, a change that others "
        "have changed since.",
    ),
    412: (
        "Changed meanwhile",
        "The contact is no longer as `If-Match` says. Get it again, then decide.",
    ),
    413: (
        "Too large",
        "The body is above the limit, which `detail` says. Send less at a time: nothing of it was used.",
    ),
    415: (
        "Unsupported media type",
        "The header `Content-Type` names no format that is read here, or `Content-Encoding` says that the "
        "body is compressed.",
    ),
    421: ("Not our name", "The header `Host` names a server that this is not."),
    422: (
        "Invalid",
        "The request can be read but breaks a rule, whatever the address book holds. `errors` says which: "
        "by the name of a field or a parameter, each with what to do.",
    ),
    428: (
        "Say which version",
        "Changing or deleting one contact needs `If-Match` with the `ETag` that was read.",
    ),
    429: ("Too many requests", "Wait for as many seconds as the header `Retry-After` says."),
    500: ("Our mistake", "Something went wrong on the server. Nothing was changed."),
    503: (
        "Not now",
        "The address book cannot be used at this moment, and nothing was changed. Try again after as many "
        "seconds as the header `Retry-After` says.",
    ),
}


class Problem(Exception):
    """A request to the API that cannot be done.

    detail: one sentence or two for a person: what is wrong, and what to do.
    errors: the name of a field or parameter to its message. members: what else the answer says.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors
        self.headers = headers or {}
        self.members = members

    def text(self) -> str:
        """The document that says it."""
        title = KINDS[self.status][0] if self.status in KINDS else "Error"
        said = {"type": f"/api/docs#problem-{self.status}", "title": title, "status": self.status}
        said["detail"] = str(self)
        if self.errors:
            said["errors"] = dict(self.errors)
        return json.dumps(said | self.members)

    def response(self) -> Response:
        """The answer that says it."""
        body = self.text().encode()
        response = Response(body, status=self.status, content_type=MEDIA_TYPE, render_intent="full_page")
        return response.with_headers({"Cache-Control": "no-store"} | dict(self.headers))


async def api_problems(request: Request, next: Next) -> AnyResponse:
    """Middleware: whatever goes wrong below /api/ is a problem document, whoever noticed it."""
    if not is_api(request):
        return await next(request)
    try:
        response = await next(request)
    except Exception as error:
        problem = problem_of(error)
        if problem.status == 500:
            log_error(error, request)
        return problem.response()
    if isinstance(response, Response) and response.status >= 400 and response.content_type != MEDIA_TYPE:
        # Chirp answers some conditions by itself, and without a word.
        return Problem(response.status, KINDS[response.status][1], headers=dict(response.headers)).response()
    return response


def is_api(request: Request) -> bool:
    """Whether a program asks."""
    return is_api_path(request.path)


def is_api_path(path: str) -> bool:
    """Whether an address is one for programs. Chirp takes several slashes for one."""
    return path.lstrip("/").partition("/")[0] == "api"


def problem_of(error: Exception) -> Problem:
    """What an exception is to the client of the API."""
    match error:
        case Problem():
            return error
        case EditConflict():
            return Problem(
                412, "This contact was changed by someone else. Get it again before you change it."
            )
        case InvalidContact(errors=errors, taken_by=Contact(id=taken_by)):
            detail = "Another contact has this email address. Nothing was saved."
            return Problem(409, detail, errors, taken_by=taken_by)
        case InvalidContact(errors=errors):
            return Problem(422, "This contact breaks a rule. Nothing was saved.", errors)
        case UndoConflict(plan=plan):
            counts = {"whole": plan.whole, "partial": plan.partial, "blocked": plan.blocked}
            advice = (
                "Add partly=true to undo as much as can be undone."
                if plan.whole or plan.partial
                else "Nothing of it can be undone."
            )
            return Problem(409, f"Some of this has changed since. {advice}", plan=counts)
        case _:
            status, message, headers = explain(error)
            kept = {name: value for name, value in headers.items() if not name.startswith("HX-")}
            return Problem(status, message, headers=kept)
