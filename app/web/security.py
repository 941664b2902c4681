"""Keeps a page safe in the browser, besides the headers of app.web.headers: no writes from other sites."""

from chirp import HTTPError, NotFound, Request, Response, g
from chirp.http.response import SSEResponse
from chirp.middleware.protocol import AnyResponse, Next

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PATH_LIMIT = 1_000  # characters; the longest path of ours has an id in it


async def caching_rules(request: Request, next: Next) -> AnyResponse:
    """Add the caching rules of HTML.

    `Vary: HX-Request` because the same URL gives htmx a fragment and a browser the whole
    page: without it the back button shows the fragment as a page.
    """
    response = await next(request)
    if not isinstance(response, SSEResponse) and (response.content_type or "").startswith("text/html"):
        if response.header("Vary") is None:
            response = response.with_header("Vary", "HX-Request")
        if response.header("Cache-Control") is None:
            response = response.with_header("Cache-Control", "private, no-cache")
    return response


async def refuse_cross_site_writes(request: Request, next: Next) -> AnyResponse:
    """Refuse a write that a page of another site sent: 403.

    Browsers say where a request comes from in `Sec-Fetch-Site`; older ones, and all of them
    over plain HTTP to another machine, only in `Origin`. A request with neither comes from no
    browser and carries nobody's cookies, so it passes. The scheme of an Origin is not compared:
    behind a proxy that ends TLS it is another than ours, and Strict-Transport-Security keeps
    browsers from such pages. The method is Go's net/http.CrossOriginProtection, which needs no
    token in any page.
    """
    if request.method not in SAFE_METHODS and not _is_same_site(request):
        raise HTTPError(403, "This change came from another site, so it was refused.")
    return await next(request)


async def close_odd_paths(request: Request, next: Next) -> AnyResponse:
    """404 for paths that Chirp would answer and we do not want (docs/upstream.md).

    Its internal `/_frag/` route renders any block of any page for anyone. A number of more
    than 4,300 digits reaches a handler as text, because Python does not read it as an int.
    """
    if g.get("chirp_fragment_block") or len(request.path) > PATH_LIMIT:
        raise NotFound
    return await next(request)


async def refuse_before_middleware(request: Request) -> Response:
    """404 for a `/_frag/` address that Chirp refuses before any middleware runs.

    Its own answer puts the path into HTML as it came.
    """
    return Response("There is nothing at this address.", status=404, content_type="text/plain; charset=utf-8")


def _is_same_site(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
