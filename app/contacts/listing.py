"""What a list of contacts is: a query, one page of the answer, and the rules of search and order.

Search and order are computed here, in Python, and stores keep the results beside the
contact. The engines then only compare strings, so every store gives the same answers in
the same order (`docs/decisions/0003-stores.md`).
"""

import base64
import binascii
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import urlencode

from app.contacts.contact import TAGS_LIMIT, Contact, email_key

PAGE_SIZE = 50
TEXT_LIMIT = 200  # longer search texts are cut: no name is that long
TERMS_LIMIT = 8
_LAST = "\U0010ffff"  # the last code point, so behind every letter: contacts without a company come last

Sort = Literal["name", "email", "company", "updated"]
SORTS: tuple[Sort, ...] = get_args(Sort)

SortKey = str | int
Place = tuple[SortKey, int]  # the sort key and the id of the last contact of a page

# Letters that Unicode does not decompose but that people expect to find without the stroke.
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_PHONE_MARKS = frozenset("+-().,/x")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which contacts, in which order, from which place.

    text: words in any order; "" matches all. See `terms`.
    tags: a contact must have every one of them; compared without regard to case.
    sort: the field that orders the list; "updated" is the time of the last change.
    descending: the largest key first, so "updated" with True begins with the newest change.
    after: the place behind which the page starts; None for the first page.
    limit: contacts per page, at least 1.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    sort: Sort = "name"
    descending: bool = False
    after: Place | None = None
    limit: int = PAGE_SIZE

    @classmethod
    def from_params(cls, params: Mapping[str, str], tags: tuple[str, ...] = ()) -> ListQuery:
        """The query that a URL's parameters (q, sort, dir, after) describe.

        A URL may be typed by hand or come from an old version, so whatever cannot be
        understood is left at its default. More tags than a contact can have are cut.
        """
        asked = params.get("sort", "name")
        sort: Sort = asked if asked in SORTS else "name"
        return cls(
            text=" ".join(params.get("q", "").split())[:TEXT_LIMIT],
            tags=_distinct(tags)[:TAGS_LIMIT],
            sort=sort,
            descending=params.get("dir", "desc" if sort == "updated" else "asc") == "desc",
            after=read_place(params.get("after", ""), sort),
        )

    def url_query(self, **changes: object) -> str:
        """The query string of this list without its defaults: `q=ada&sort=email`; "" for the plain list.

        changes: fields to replace first, such as `sort="email"`.
        """
        query = replace(self, **changes)  # type: ignore[arg-type]  # dataclasses.replace takes any field
        pairs: list[tuple[str, str]] = []
        if query.text:
            pairs.append(("q", query.text))
        pairs += [("tag", tag) for tag in query.tags]
        if query.sort != "name":
            pairs.append(("sort", query.sort))
        if query.descending != (query.sort == "updated"):
            pairs.append(("dir", "desc" if query.descending else "asc"))
        if query.after:
            pairs.append(("after", write_place(query.after)))
        return urlencode(pairs)

    @property
    def is_filtered(self) -> bool:
        """Whether the list may leave contacts out."""
        return bool(self.text or self.tags)


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page of a list.

    contacts: in the order of the query, at most its limit.
    total: how many contacts match on all pages together.
    next: the place to ask for the page behind this one, None on the last page.
    """

    contacts: tuple[Contact, ...]
    total: int
    next: Place | None

    def holds(self, contact_id: int) -> bool:
        """Whether this page shows the contact."""
        return any(contact.id == contact_id for contact in self.contacts)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures about the whole address book.

    added_this_week: contacts created in the last seven days that still exist.
    companies: how many different companies, without regard to case and accents.
    top_companies: at most five (company, contacts), most contacts first, then by name.
    """

    total: int = 0
    with_email: int = 0
    with_phone: int = 0
    added_this_week: int = 0
    companies: int = 0
    top_companies: tuple[tuple[str, int], ...] = ()


def fold(text: str) -> str:
    """Text as search and order see it: no case, no accents, `ß` as `ss`, `ł` as `l`."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in text if not unicodedata.combining(char)).translate(_PLAIN)


def sort_key(contact: Contact, sort: Sort) -> SortKey:
    """The value that orders a contact; equal values are ordered by id.

    Text keys compare by code point, as Python and SQLite's BINARY collation both do.
    """
    return _SORT_KEYS[sort](contact)


def haystack(contact: Contact) -> str:
    """The folded words of a contact, two spaces before each, in which `terms` are sought.

    Two spaces, so that a term of one or two letters, which must begin a word, has the three
    characters that a trigram index needs.
    """
    texts = (contact.name, contact.email, contact.phone, contact.company, contact.notes, *contact.tags)
    words = fold(" ".join(texts)).split()
    words += [digits for word in words if (digits := _digits(word)) != word]
    words.append(_digits(fold(contact.phone).replace(" ", "")))
    return "".join(f"  {word}" for word in dict.fromkeys(words) if word)


def terms(text: str) -> tuple[str, ...]:
    """What a haystack must contain, all of it, to match a search text.

    Three letters and more are found anywhere in a word, fewer only where a word begins.
    Numbers lose their punctuation: `754-292` finds `+48 (754) 292`.

    >>> terms("Ada lo")
    ('ada', '  lo')
    """
    words = fold(_printable(text)[:TEXT_LIMIT]).split()
    found = [_digits(word) or word for word in words]
    return tuple(dict.fromkeys(f"  {word}" if len(word) < 3 else word for word in found))[:TERMS_LIMIT]


def matches(wanted: tuple[str, ...], straw: str) -> bool:
    """Whether a haystack contains every term."""
    return all(term in straw for term in wanted)


def write_place(place: Place) -> str:
    """A place as URL text: opaque to people, the same for every store."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_place(text: str, sort: Sort) -> Place | None:
    """The place that `write_place` wrote for this sort, or None for anything else."""
    try:
        key, contact_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except binascii.Error, ValueError, TypeError, RecursionError:
        return None
    expected = int if sort == "updated" else str
    if type(key) is not expected or type(contact_id) is not int:
        return None
    if not is_id(contact_id) or (type(key) is int and not is_id(key)):
        return None
    return (key if isinstance(key, int) else _printable(key, keep="\x01"), contact_id)


def is_id(number: int) -> bool:
    """Whether a number can be the id of a contact at all: databases hold 64 bits."""
    return 0 <= number < 2**63


def milliseconds(moment: datetime) -> int:
    """A moment in milliseconds since 1970."""
    return round(moment.timestamp() * 1_000)


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags without those that repeat another one in other letters, and without empty ones."""
    found: dict[str, str] = {}
    for tag in filter(None, tags):
        found.setdefault(tag.casefold(), tag)
    return tuple(found.values())


def _by_company(contact: Contact) -> str:
    return f"{fold(contact.company) or _LAST}\x01{fold(contact.name)}"


def _by_email(contact: Contact) -> str:
    return f"{email_key(contact.email) or _LAST}\x01{fold(contact.name)}"


_SORT_KEYS: Mapping[Sort, Callable[[Contact], SortKey]] = {
    "name": lambda contact: fold(contact.name),
    "email": _by_email,
    "company": _by_company,
    "updated": lambda contact: milliseconds(contact.updated_at),
}


def _digits(word: str) -> str:
    """The digits of a word that is nothing but digits and phone marks, else ""."""
    if not all(char.isdecimal() or char in _PHONE_MARKS for char in word):
        return ""
    return "".join(char for char in word if char.isdecimal())


def _printable(text: str, keep: str = "") -> str:
    """Text with control characters and lone surrogates as spaces: databases differ on them."""
    return "".join(
        char if char in keep or unicodedata.category(char) not in ("Cc", "Cs") else " " for char in text
    )
