"""What a request to the API holds: JSON that is what it seems, contacts, and the parameters of a list.

A web form is forgiving, a program is told: what cannot be meant is a Problem and never a default.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

from chirp import Request
from chirp.http.query import QueryParams

from app.contacts.contact import FIELDS, TAG_LIMIT, TAGS_LIMIT, ContactDraft, InvalidContact
from app.contacts.jsons import is_storable
from app.contacts.listing import ONLY, PAGE_SIZE, SORTS, TEXT_LIMIT, ListQuery, is_id, read_place
from app.web.problems import Problem
from app.web.security import SAFE_METHODS

PAGE_LIMIT = 500  # contacts of one page
DIRECTIONS = ("asc", "desc")
SELECTION = ("q", "tag", "only")  # parameters that say which contacts
ORDER = ("sort", "dir")
PAGING = ("after", "limit")
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396
NOT_DONE = "This cannot be done. Nothing was changed."
REPORTED = 20  # errors of one request, which may be anything

# Fields with which a contact keeps the rules, to try others beside.
_SOUND = ContactDraft(name="Ada", email="ada@example.com", phone="0")


# --- bodies


def media_type(request: Request) -> str:
    """The media type of the body, in small letters and without parameters."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def refuse_other_types(request: Request, types: Iterable[str], what: str = "body") -> None:
    """Problem 415 for another media type than these, and for whatever is compressed (RFC 9110, 12.5.3)."""
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        detail = f"Send the {what} as it is, without Content-Encoding: nothing is unpacked here."
        raise Problem(415, detail, headers={"Accept-Encoding": "identity"})
    if media_type(request) not in types:
        raise Problem(415, f"Send the {what} as {' or '.join(types)}.", headers={"Accept": ", ".join(types)})


async def read_json(request: Request, *types: str) -> Any:
    """The body as JSON; Problem 415 as above, 413, or 400 for anything odd.

    Refused is what readers of JSON disagree about (RFC 8259, 4 and 6): a name given twice, NaN,
    numbers beyond a double, halves of characters.
    """
    refuse_other_types(request, types)
    body = await request.body()
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"The body is no UTF-8 text: see the byte at {error.start:,}.") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refused, parse_float=_double, parse_int=_whole
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,}, column {error.colno:,}"
        raise Problem(400, f"The body is no JSON: {error.msg}, at {where}.") from None
    except RecursionError:
        raise Problem(400, "The JSON is nested too deep.") from None
    if not is_storable(value):
        raise Problem(400, "The JSON holds half of a character (a lone surrogate), or is nested too deep.")
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(400, "The JSON has an object that names a member twice.")
    return found


def _refused(name: str) -> NoReturn:
    raise Problem(400, f"{name} is no JSON number.")


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Problem(400, "The JSON has a number that is too large.")
    return int(number) if number.is_integer() else number  # 1.0 is a whole number, as JSON Schema has it


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise Problem(400, "The JSON has a number that is too large.")
    return int(text)


# --- contacts


def read_draft(value: Any) -> ContactDraft:
    """A contact as POST and PUT send it; Problem 422 for other members and other types."""
    return ContactDraft(**_fields(value, nullable=False))


def read_patch(value: Any) -> Mapping[str, Any]:
    """The fields that a merge patch sets, null as empty (RFC 7396).

    Problem 422 when it would break a rule whatever contact it is for.
    """
    patch = _fields(value, nullable=True)
    try:
        replace(_SOUND, **patch).clean()
    except InvalidContact as invalid:
        raise Problem(422, "This breaks a rule. Nothing was saved.", invalid.errors) from None
    return patch


def read_tags(value: Any, name: str, errors: dict[str, str]) -> tuple[str, ...]:
    """A list of tags; a message under the name when it is none."""
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        errors[name] = "Send a list of texts."
    elif len(value) > TAGS_LIMIT:
        errors[name] = f"Use at most {TAGS_LIMIT} tags; this has {len(value)}."
    else:
        return tuple(value)
    return ()


def read_object(value: Any, known: Iterable[str]) -> dict[str, str]:
    """The errors of what must be an object with these members alone; Problem 422 when it is no object."""
    if not isinstance(value, dict):
        raise Problem(422, "Send a JSON object.")
    names = ", ".join(known)
    return {name: f"There is no such member. Use {names}." for name in value if name not in known}


def refuse(errors: Mapping[str, str], what: str = NOT_DONE) -> None:
    """Problem 422 if there are any errors."""
    if errors:
        raise Problem(422, what, dict(islice(errors.items(), REPORTED)))


def _fields(value: Any, *, nullable: bool) -> dict[str, Any]:
    errors = read_object(value, FIELDS)
    fields: dict[str, Any] = {}
    for name in FIELDS:
        content = value.get(name, fields)  # fields itself: there is none
        if content is fields:
            continue
        if content is None and nullable:
            fields[name] = () if name == "tags" else ""
        elif name == "tags":
            fields[name] = read_tags(content, name, errors)
        elif isinstance(content, str):
            fields[name] = content
        else:
            errors[name] = "Send a text."
    refuse(errors, "This is no contact. Nothing was changed.")
    return fields


# --- parameters


def read_list(request: Request, *known: str) -> ListQuery:
    """The list that the request's URL describes with these parameters.

    Problem 422 for what cannot be meant, such as an `after` of a list in another order; 404 for one
    that no list has given.
    """
    query = request.query
    errors = _strange(query, known)
    errors |= _select_errors(query.get("q", ""), query.get_list("tag"), query.get("only"))
    for name, choices in (("sort", SORTS), ("dir", DIRECTIONS)):
        if name in known and name in query and query[name] not in choices:
            errors[name] = f"Use {' or '.join(choices)}."
    limit = number(query.get("limit", str(PAGE_SIZE)))
    if not 1 <= limit <= PAGE_LIMIT:
        errors["limit"] = f"Use a whole number from 1 to {PAGE_LIMIT}."
    refuse(errors, "The address names a list that there is not.")
    listed = ListQuery.from_params(query, tuple(query.get_list("tag")))
    place = read_place(query.get("after", ""))
    if place and not listed.after:
        another = (
            f"This is a place in a list with sort={place[0]}. Follow the links of this list, or leave it out."
        )
        refuse({"after": another}, "The address names a list that there is not.")
    if "after" in query and not place:
        raise Problem(404, "There is no such page. Follow the links of the page before it, or begin anew.")
    return replace(listed, limit=limit)


def read_matching(value: Any, errors: dict[str, str]) -> ListQuery:
    """The contacts that a body's `matching` describes; messages for what cannot be meant."""
    if not isinstance(value, dict):
        errors["matching"] = "Send a JSON object; an empty one means every contact."
        return ListQuery()
    errors |= {f"matching.{name}": message for name, message in read_object(value, SELECTION).items()}
    tags = read_tags(value.get("tag", []), "matching.tag", errors)
    texts = {name: value[name] for name in ("q", "only") if name in value}
    for name, text in texts.items():
        if not isinstance(text, str):
            errors[f"matching.{name}"] = "Send a text."
            return ListQuery()
    found = _select_errors(texts.get("q", ""), tags, texts.get("only"))
    errors |= {f"matching.{name}": message for name, message in found.items()}
    return ListQuery.from_params(texts, tags)


def read_choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """One of the choices, the first when the URL names none; Problem 422 for any other."""
    chosen = request.query.get(name, choices[0])
    refuse({} if chosen in choices else {name: f"Use {' or '.join(choices)}."}, _not_done(request))
    return chosen


def refuse_strange(request: Request, *known: str) -> None:
    """Problem 422 for a parameter that is not one of these, or that is given twice."""
    refuse(_strange(request.query, known), _not_done(request))


def _not_done(request: Request) -> str:
    """What is said of a request with a wrong parameter: whoever only reads does not fear for anything."""
    return "This address cannot be meant." if request.method in SAFE_METHODS else NOT_DONE


def number(text: str) -> int:
    """A whole number as a URL has it; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def read_ids(value: Any, errors: dict[str, str]) -> list[int]:
    """Ids of contacts; a message when they are none."""
    if (
        isinstance(value, list)
        and value
        and all(type(one) is int and one > 0 and is_id(one) for one in value)
    ):
        return value
    errors["ids"] = "Send a list of ids, at least one."
    return []


def _strange(query: QueryParams | Any, known: Iterable[str]) -> dict[str, str]:
    errors = {}
    for name in query:
        if name not in known:
            errors[name] = f"There is no such parameter. Use {', '.join(known) or 'none'}."
        elif name != "tag" and len(query.get_list(name)) > 1:
            errors[name] = "Give it once."
    return errors


def _select_errors(text: str, tags: Sequence[str], only: str | None) -> dict[str, str]:
    errors = {}
    if len(text) > TEXT_LIMIT:
        errors["q"] = f"Use at most {TEXT_LIMIT} characters; this has {len(text):,}."
    if len(tags) > TAGS_LIMIT or any(len(tag) > TAG_LIMIT for tag in tags):
        errors["tag"] = f"Use at most {TAGS_LIMIT} tags of at most {TAG_LIMIT} characters."
    if only is not None and only not in ONLY[1:]:
        errors["only"] = f"Use {' or '.join(ONLY[1:])}."
    return errors
