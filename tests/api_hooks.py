"""What schemathesis does not know by itself: files of contacts, and which contacts are there.

Loaded by tests/schemathesis.toml. API_TOKEN: what programs show the server. Notes each answer in answers.txt.
"""

import json
import os
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

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


_turns = count()


def _is_sound(case: schemathesis.Case[Any]) -> bool:
    """Whether a request keeps to the document; but not one whose numbers come from an earlier answer."""
    meta = case.meta
    return bool(meta and meta.generation.mode.is_positive and meta.phase.name != "stateful")


def _aim_at_what_is_there(case: schemathesis.Case[Any]) -> None:
    """Let a request be about a contact that has just been made: any number it makes up is nobody's."""
    if not {"contact_id", "batch_id"} & case.path_parameters.keys():
        return
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['API_TOKEN']}"}
    draft = {"name": "Ada Lovelace", "email": f"ada{next(_turns)}@example.com", "phone": "1"}
    body = json.dumps(draft).encode()
    with urlopen(Request(f"{case.operation.base_url}/api/v1/contacts", body, headers)) as made:
        there = {"contact_id": json.load(made)["id"], "batch_id": int(made.headers["Batch-Id"])}
        etag = made.headers["ETag"]
    case.path_parameters |= {name: there[name] for name in case.path_parameters}
    if "If-Match" in case.headers:
        case.headers["If-Match"] = etag


schemathesis.openapi.media_type("text/csv", _CONTACTS.map(_csv))
schemathesis.openapi.media_type("text/vcard", _CONTACTS.map(_vcard))


@schemathesis.hook
def before_call(context: HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Send no body with a GET: the server refuses that for all addresses, before it looks at the method.

    And leave no more than a few of the requests that should go well to numbers that nobody has.
    """
    if case.method == "GET":
        case.body = NOT_SET
    if _is_sound(case) and next(_turns) % 4:
        _aim_at_what_is_there(case)


@schemathesis.hook
def after_call(context: HookContext, case: schemathesis.Case[Any], response: schemathesis.Response) -> None:
    """Note what was asked and how it was answered."""
    with Path("answers.txt").open("a") as file:
        print(case.operation.label, response.status_code, file=file)


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Take the examples of files away: where schemathesis has a strategy it wants bytes, not text."""
    content = raw_schema["paths"]["/api/v1/contacts/import"]["post"]["requestBody"]["content"]
    for media_type in ("text/csv", "text/vcard"):
        del content[media_type]["example"]
