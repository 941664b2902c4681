"""Whether a request came over HTTPS. Chirp's Request does not say it, so app.server sets it here."""

from contextvars import ContextVar

scheme: ContextVar[str] = ContextVar("scheme", default="http")  # of the request that is being answered


def secure() -> str:
    """What a Set-Cookie header has at its end for a cookie that HTTPS brought."""
    return "; Secure" if is_https() else ""


def is_https() -> bool:
    """Whether the person's browser reached us, or the proxy in front that we believe, over HTTPS."""
    return scheme.get() == "https"
