"""What a list of contacts is: a query, one page of the answer, and the rules of search and order.

Search and order are computed here, in Python, and stores keep the results beside the
contact. The engines then only compare strings, so every store gives the same answers in
the same order (`docs/decisions/0003-stores.md`).
"""

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args
from urllib.parse import quote_plus

from app.contacts.contact import TAGS_LIMIT, Contact, distinct_tags, email_key

PAGE_SIZE = 50
TEXT_LIMIT = 200  # longer search texts are cut: no name is that long
TERMS_LIMIT = 8
COUNT_LIMIT = 1_000  # matches are counted up to here: counting them all would take longer than listing them
_LAST = "\U0010ffff"  # the last code point, so behind every letter: contacts without a company come last

Sort = Literal["name", "email", "company", "updated"]
SORTS: tuple[Sort, ...] = get_args(Sort)

# What a list can be narrowed to so that it gets tidied up; "" for everything.
Only = Literal["", "no-phone", "no-email", "stale"]
ONLY: tuple[Only, ...] = get_args(Only)
STALE = timedelta(days=365)  # a contact that nobody has changed for longer is worth a look

Ranked = Literal["company", "domain"]  # what contacts are counted by

SortKey = str | int
Place = tuple[SortKey, int]  # the sort key and the id of the last contact of a page

# Accents go, and letters that Unicode does not decompose lose the stroke that people do not type.
_PLAIN = dict.fromkeys(
    code for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code))
) | str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
# A word of nothing but digits and phone marks, and several of them in a row.
_NUMBER = re.compile(r"(?<!\S)[\d+().,/x-]+(?!\S)")
_NUMBERS = re.compile(r"(?<!\S)[\d+().,/x-]+(?: [\d+().,/x-]+)*(?!\S)")
_NO_DIGITS = str.maketrans("", "", "+().,/x- ")
_PHONE_DIGITS = 7  # a number with so many digits is taken for a phone number
# Scripts that put no space between words: Chinese, Japanese, and the letters of decomposed Korean.
_UNSPACED = re.compile(
    r"[\u1100-\u11ff\u3005-\u3007\u3041-\u312f\u31a0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which contacts, in which order, from which place.

    text: words in any order; "" matches all. See `terms`.
    tags: a contact must have every one of them; compared without regard to case.
    only: those that lack a phone or an email, or that nobody has changed for a year (STALE); "" for all.
    sort: the field that orders the list; "updated" is the time of the last change.
    descending: the largest key first, so "updated" with True begins with the newest change.
    after: the place behind which the page starts; None for the first page.
    limit: contacts per page, at least 1.
    """

    text: str = ""
    tags: tuple[str, ...] = ()
    only: Only = ""
    sort: Sort = "name"
    descending: bool = False
    after: Place | None = None
    limit: int = PAGE_SIZE

    @classmethod
    def from_params(cls, params: Mapping[str, str], tags: tuple[str, ...] = ()) -> ListQuery:
        """The query that a URL's parameters (q, only, sort, dir, after) describe.

        A URL may be typed by hand or come from an old version, so whatever cannot be
        understood is left at its default. More tags than a contact can have are cut.
        """
        asked = params.get("sort", "name")
        sort: Sort = asked if asked in SORTS else "name"
        only = params.get("only", "")
        place = read_place(params.get("after", ""))
        return cls(
            text=" ".join(params.get("q", "").split())[:TEXT_LIMIT],
            tags=tuple(distinct_tags(tags).values())[:TAGS_LIMIT],
            only=only if only in ONLY else "",
            sort=sort,
            descending=params.get("dir", "desc" if sort == "updated" else "asc") == "desc",
            after=place[1] if place and place[0] == sort else None,
        )

    def url_query(self, **changes: Any) -> str:
        """The query string of this list without its defaults: `q=ada&sort=email`; "" for the plain list.

        changes: fields to replace first, such as `sort="email"`.
        """
        wanted = changes.get  # a page has dozens of links, and a changed copy costs more than all of this
        sort, after = wanted("sort", self.sort), wanted("after", self.after)
        query = f"&q={quote_plus(text)}" if (text := wanted("text", self.text)) else ""
        for tag in wanted("tags", self.tags):
            query += f"&tag={quote_plus(tag)}"
        if only := wanted("only", self.only):
            query += f"&only={only}"
        if sort != "name":
            query += f"&sort={sort}"
        if (descending := wanted("descending", self.descending)) != (sort == "updated"):
            query += f"&dir={'desc' if descending else 'asc'}"
        if after:
            query += f"&after={write_place(sort, after)}"
        return query[1:]

    @property
    def is_filtered(self) -> bool:
        """Whether the list may leave contacts out."""
        return bool(self.text or self.tags or self.only)


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page of a list.

    contacts: in the order of the query, at most its limit.
    total: how many contacts match on all pages together; at most COUNT_LIMIT when the query
        is filtered. exact: False when there are more than that.
    next: the place to ask for the page behind this one, None on the last page.
    """

    contacts: tuple[Contact, ...]
    total: int
    next: Place | None
    exact: bool = True

    def holds(self, contact_id: int) -> bool:
        """Whether this page shows the contact."""
        return any(contact.id == contact_id for contact in self.contacts)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures about the whole address book.

    added_this_week: contacts created in the last seven days that still exist.
    companies: how many different companies, without regard to case and accents.
    """

    total: int = 0
    with_email: int = 0
    with_phone: int = 0
    added_this_week: int = 0
    companies: int = 0


def weeks_until(moment: datetime, weeks: int) -> Sequence[date]:
    """The Mondays on which the last weeks began, the oldest first, the week of the moment last. UTC."""
    monday = moment.date() - timedelta(days=moment.weekday())
    return [monday - timedelta(weeks=back) for back in reversed(range(weeks))]


def fold(text: str) -> str:
    """Text as search and order see it: no case, no accents, `ß` as `ss`, `ł` as `l`."""
    if text.isascii():
        return text.lower()  # the same, in a tenth of the time
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).translate(_PLAIN)


def sort_keys(contact: Contact) -> Mapping[Sort, SortKey]:
    """The values that order a contact; equal values are ordered by id.

    Text keys compare by code point, as Python and SQLite's BINARY collation both do.
    """
    name = fold(contact.name)
    return {
        "name": name,
        "email": f"{email_key(contact.email) or _LAST}\x01{name}",
        "company": f"{fold(contact.company) or _LAST}\x01{name}",
        "updated": milliseconds(contact.updated_at),
    }


def haystack(contact: Contact) -> str:
    """The folded words of a contact, two spaces before each, in which `terms` are sought.

    Two spaces, so that a term of one or two letters, which must begin a word, has the three
    characters that a trigram index needs. A number is there without its punctuation, too, and
    with the numbers beside it: `+44 (0)20 7946` also as `44020`, `4402079460` and `442079460`.
    """
    texts = (contact.name, contact.email, contact.phone, contact.company, contact.notes, *contact.tags)
    words = dict.fromkeys(filter(None, _words(fold("\n".join(texts)))))
    return "  " + "  ".join(words)


def terms(text: str) -> tuple[str, ...]:
    """What a haystack must contain, all of it, to match a search text.

    Three letters and more are found anywhere in a word, fewer only where a word begins; in
    Chinese, Japanese and Korean every letter begins one. Numbers lose their punctuation:
    `754-292` finds `+48 (754) 292`. A phone number may be typed with spaces and without its
    country: numbers in a row are one if they begin like one or are at least three.

    >>> terms("Ada lo")
    ('ada', '  lo')
    >>> terms("Ada (020) 7946-0101")
    ('ada', '2079460101')
    """
    words: list[str] = []
    folded = " ".join(fold(_printable(text)[:TEXT_LIMIT]).split())
    end = 0
    for run in _NUMBERS.finditer(folded):
        words += folded[end : run.start()].split()
        words += _numbers(run[0])
        end = run.end()
    words += folded[end:].split()
    return tuple(dict.fromkeys(f"  {word}" if len(word) < 3 else word for word in words))[:TERMS_LIMIT]


def matches(wanted: tuple[str, ...], straw: str) -> bool:
    """Whether a haystack contains every term."""
    return all(term in straw for term in wanted)


def marked(text: str, wanted: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Split a text into pieces, each with whether it is what these `terms` matched.

    The pieces joined are the text. A letter is never split from its accents, nor is one that
    several folded letters stand for, such as `ß`.

    >>> marked("Zoë Groß, +48 754 292", terms("zoe ss 754292"))
    [('Zoë', True), (' Groß, +48 ', False), ('754 292', True)]
    """
    if text.isascii():
        spans = _found(text.lower(), wanted)
        if not spans:
            return [(text, False)] if text else []  # most texts, and so in a hurry
    else:
        folded, source = _traced(text)
        spans = [
            (source[start], _grapheme_end(text, source[end - 1])) for start, end in _found(folded, wanted)
        ]
    pieces: list[tuple[str, bool]] = []
    done = 0
    for start, end in _joined(spans):
        if start > done:
            pieces.append((text[done:start], False))
        pieces.append((text[start:end], True))
        done = end
    if done < len(text):
        pieces.append((text[done:], False))
    return pieces


def write_place(sort: Sort, place: Place) -> str:
    """A place in the lists of this order as URL text: opaque to people, the same for every store."""
    return base64.urlsafe_b64encode(json.dumps([sort, *place]).encode()).decode().rstrip("=")


def read_place(text: str) -> tuple[Sort, Place] | None:
    """What `write_place` was given, or None for any other text."""
    try:
        sort, key, contact_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except binascii.Error, ValueError, TypeError, RecursionError:
        return None
    expected = int if sort == "updated" else str
    if sort not in SORTS or type(key) is not expected or type(contact_id) is not int:
        return None
    if not is_id(contact_id) or (type(key) is int and not is_id(key)):
        return None
    return sort, (key if isinstance(key, int) else _printable(key, keep="\x01"), contact_id)


def is_id(number: int) -> bool:
    """Whether a number can be the id of a contact at all: databases hold 64 bits."""
    return 0 <= number < 2**63


def milliseconds(moment: datetime) -> int:
    """A moment in milliseconds since 1970."""
    return round(moment.timestamp() * 1_000)


def _words(folded: str) -> list[str]:
    """The words that a folded text is found by."""
    words = folded.split()
    for run in _NUMBERS.findall(folded):
        words += map(_digits, run.split())
        words += map(_digits, {run, run.replace("(0)", "")})
    if not folded.isascii():
        words += [word[at.start() : at.start() + 2] for word in words for at in _UNSPACED.finditer(word)]
    return words


def _numbers(run: str) -> list[str]:
    """The terms that several typed numbers in a row stand for: one phone number, or each by itself."""
    words = run.split()
    if words[0][0] in "+(0" or len(words) > 2:
        digits = _digits(run.replace("(0)", ""))
        if len(digits) >= _PHONE_DIGITS:
            return [digits.lstrip("0") or digits]
    return [_digits(word) or word for word in words]


def _digits(number: str) -> str:
    """The digits of a number, its phone marks left out."""
    return number.translate(_NO_DIGITS)


def _found(folded: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Where a folded text holds the terms, as (start, end), in any order and overlapping."""
    spans: list[tuple[int, int]] = []
    for term in wanted:
        word = term.lstrip(" ")
        start = folded.find(word)
        while start >= 0:
            if word is term or _begins(folded, start):
                spans.append((start, start + len(word)))
            start = folded.find(word, start + 1)
        if word.isdecimal() and word[0] in folded:
            spans += _found_digits(folded, word, short=word is not term)
    return spans


def _begins(folded: str, start: int) -> bool:
    """Whether a short term may be found here."""
    return start == 0 or folded[start - 1].isspace() or _UNSPACED.match(folded, start) is not None


def _found_digits(folded: str, digits: str, *, short: bool) -> Iterator[tuple[int, int]]:
    """Where numbers hold digits in spite of the punctuation and the spaces between them."""
    spans = [run.span() for run in _NUMBERS.finditer(folded)]
    if spans and short:
        spans += [word.span() for word in _NUMBER.finditer(folded)]
    trunk = folded.find("(0)") + 1
    for begin, end in spans:
        every = [at for at in range(begin, end) if folded[at].isdecimal()]
        for places in (every, [at for at in every if at != trunk]) if trunk else (every,):
            number = "".join([folded[at] for at in places])
            start = number.find(digits)
            while start >= 0 and not (short and start):
                yield places[start], places[start + len(digits) - 1] + 1
                start = number.find(digits, start + 1)


def _traced(text: str) -> tuple[str, list[int]]:
    """A text folded, and for each folded letter the index of the one it comes from."""
    letters = [fold(char) for char in text]
    return "".join(letters), [index for index, letter in enumerate(letters) for _ in letter]


def _grapheme_end(text: str, index: int) -> int:
    """The end of the letter at an index, behind its accents."""
    end = index + 1
    while end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same spans in order, with those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _printable(text: str, keep: str = "") -> str:
    """Text with control characters and lone surrogates as spaces: databases differ on them."""
    if text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in ("Cc", "Cs") else " " for char in text
    )
