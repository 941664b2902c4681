"""GET /hello: the smallest handler there is, for benchmarks and for a first look."""

from chirp import Response


async def hello() -> Response:
    """GET /hello: plain text."""
    return Response("Hello from Contacts.", content_type="text/plain; charset=utf-8")
