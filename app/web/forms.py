"""Reading what a form sent."""

from dataclasses import replace

from chirp import HTTPError, Request
from chirp.http.forms import FormData
from chirp.middleware.protocol import AnyResponse, Next

from app.web.problems import is_api

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
OVERRIDES = ("PUT", "DELETE")  # what a plain form may ask for in its field `_method`
UPLOAD = "import"  # the path of the one form that holds a file: its handler reads it as it comes


async def read_form(request: Request) -> FormData:
    """The fields of the request's form.

    HTTPError 415 for a body that is no form, 400 for one that cannot be read: Chirp lets
    both out as 500 (docs/upstream.md).
    """
    content_type = request.content_type or FORM_TYPES[0]
    if not content_type.lower().startswith(FORM_TYPES):
        raise HTTPError(415, "Send the fields as a form.")
    try:
        return await request.form()
    except HTTPError:
        raise
    except Exception as error:  # the parsers raise whatever comes to hand
        raise HTTPError(400, "The form could not be read. Please send it again.") from error


async def method_override(request: Request, next: Next) -> AnyResponse:
    """Let a plain form, which knows only GET and POST, ask for PUT or DELETE in its field `_method`."""
    is_form = (request.content_type or "").lower().startswith(FORM_TYPES)
    if request.method == "POST" and is_form and request.path.strip("/") != UPLOAD and not is_api(request):
        method = (await read_form(request)).get("_method", "")
        if method in OVERRIDES:
            request = replace(request, method=method)
    return await next(request)
