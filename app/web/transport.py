"""How a request came: over HTTPS or not, and from whom."""

from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address

# Of the request that is being answered. Chirp's Request does not say it, so app.server sets it here.
scheme: ContextVar[str] = ContextVar("scheme", default="http")


def secure() -> str:
    """What a Set-Cookie header has at its end for a cookie that HTTPS brought."""
    return "; Secure" if is_https() else ""


def is_https() -> bool:
    """Whether the person's browser reached us, or the proxy in front that we believe, over HTTPS."""
    return scheme.get() == "https"


def cookie_name(name: str) -> str:
    """What a cookie is called. With the prefix, no other host of this domain can set it; it needs HTTPS."""
    return f"__Host-{name}" if is_https() else name


def network_of(client: tuple[str, int] | None) -> str:
    """The address of a request's client, of IPv6 the part that one customer has.

    "" for what is none, such as a Unix socket whose proxy names nobody.
    """
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return ""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
