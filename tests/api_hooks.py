"""What schemathesis does not know by itself: files of contacts. Loaded by tests/schemathesis.toml."""

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import HookContext
from schemathesis.core import NOT_SET

_NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='"\\;,'), min_size=1
)
_CONTACTS = st.lists(st.tuples(_NAMES, st.integers(0, 9_999_999)), min_size=1, max_size=5)


def _csv(contacts: list[tuple[str, int]]) -> bytes:
    return ("Name,Phone\n" + "".join(f'"{name}",{phone}\n' for name, phone in contacts)).encode()


def _vcard(contacts: list[tuple[str, int]]) -> bytes:
    return "".join(
        f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:{name}\r\nTEL:{phone}\r\nEND:VCARD\r\n" for name, phone in contacts
    ).encode()


schemathesis.openapi.media_type("text/csv", _CONTACTS.map(_csv))
schemathesis.openapi.media_type("text/vcard", _CONTACTS.map(_vcard))


@schemathesis.hook
def before_call(context: HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Send no body with a GET: the server refuses that for all addresses, before it looks at the method."""
    if case.method == "GET":
        case.body = NOT_SET


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Take the examples of files away: where schemathesis has a strategy it wants bytes, not text."""
    content = raw_schema["paths"]["/api/v1/contacts/import"]["post"]["requestBody"]["content"]
    for media_type in ("text/csv", "text/vcard"):
        del content[media_type]["example"]
