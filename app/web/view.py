"""What templates call: links that keep the list, avatars, dates, what a search matched, what changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from hashlib import blake2s
from urllib.parse import quote

from kida import Markup
from kida.utils.html import html_escape as escape

from app.contacts.changes import Change
from app.contacts.contact import FIELDS, Contact, now
from app.contacts.listing import ListQuery, Only, marked
from app.web.editor import LABELS, text_of

HUES = 12
NAMES = 4_096  # of which the avatar is remembered
CHIPS = 12  # tags that the list offers at once; the others unfold
SNIPPET = 60  # characters of the notes around what a search matched
_ONLY: Mapping[Only, str] = {
    "": "",
    "no-phone": "No phone number",
    "no-email": "No email",
    "stale": "Not changed for a year",
}
_SORTED = {"name": "", "email": "by email", "company": "by company", "updated": "by newest change"}


def link(path: str, query: ListQuery, **changes: object) -> str:
    """A path with the list it belongs to: `link("/contacts/5/edit", query)` keeps search, tags and sort."""
    text = query.url_query(**changes)
    return f"{path}?{text}" if text else path


def row_key(contact: Contact, when: str, place: str) -> str:
    """What a rendered row is remembered by: the version of its contact, and all else that it shows.

    when: how long ago it changed. place: what it shows of the list it stands in, see row_place. The time of
    the change tells versions of the same number apart, which another database has.
    """
    return f"row {contact.id} {contact.version} {contact.updated_at.timestamp()} {when} {place}"


def row_place(behind: str, wanted: tuple[str, ...], focus: bool, owner: str = "") -> str:
    """What all rows of a list have in their keys, made once for the list.

    behind: the list's query, in their links. wanted: what was searched, which the query says, too; a row
    whose editor was left has none. owner: in a demo, whose contacts they are.
    """
    return f"{len(wanted)} {focus} {owner} {behind}"


@lru_cache(NAMES)
def initials(name: str) -> str:
    """One or two letters for an avatar: of the first and the last word that begin with a letter."""
    letters = [word[0].upper() for word in name.split() if word[0].isalpha()]
    return "".join(letters[:1] + letters[1:][-1:]) or name[:1]


@lru_cache(NAMES)
def hue(name: str) -> int:
    """Which of the avatar colours a name gets: the same one every time."""
    return blake2s(name.casefold().encode(), digest_size=1).digest()[0] % HUES


def ago(moment: datetime) -> str:
    """How long ago, in words: `just now`, `5 min ago`, `3 h ago`, `2 days ago`, then the date."""
    seconds = (now() - moment).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3_600:.0f} h ago"
    if seconds < 7 * 86_400:
        days = int(seconds // 86_400)
        return "yesterday" if days == 1 else f"{days} days ago"
    return day(moment)


def day(moment: date) -> str:
    """A date that no country misreads: `7 March 2026`."""
    return f"{moment.day} {moment:%B %Y}"


def number(value: int) -> str:
    """A number with its thousands marked: `1,284`."""
    return f"{value:,}"


def short(value: int) -> str:
    """A number for where there is little room, rounded down: `1.2k`, `12k`, `3M`."""
    if value < 1_000:
        return str(value)
    size, letter = (1_000, "k") if value < 1_000_000 else (1_000_000, "M")
    whole, tenth = divmod(value * 10 // size, 10)
    return f"{whole}.{tenth}{letter}" if tenth and whole < 10 else f"{whole}{letter}"


def percent(part: int, whole: int) -> str:
    """A share in whole per cent: `87%`; a dash when there is nothing to share."""
    return f"{100 * part / whole:.0f}%" if whole else "–"


def mailto(email: str) -> str:
    """A link that writes to an email address (RFC 6068): escaped, so that it cannot add a subject."""
    return "mailto:" + quote(email, safe="@")


def dial(phone: str) -> str:
    """A phone number as a `tel:` link wants it (RFC 3966), without its extension.

    `+44 (0)20/79 x5` gives `+4402079`.
    """
    number = re.split("[xX]", phone)[0]
    return ("+" if number.startswith("+") else "") + "".join(char for char in number if char.isdecimal())


@dataclass(frozen=True, slots=True)
class Chip:
    """A tag that the list can be narrowed to. url: the list with it, or without it when it is chosen."""

    tag: str
    contacts: int
    chosen: bool
    url: str

    @property
    def id(self) -> str:
        """An id that stays the same from one answer to the next, so that the focus does."""
        return f"tag-{blake2s(self.tag.casefold().encode(), digest_size=4).hexdigest()}"


def chips(tags: Sequence[tuple[str, int]], query: ListQuery) -> tuple[list[Chip], list[Chip]]:
    """The tags to filter by: those to show, which are the most used and the chosen ones, and the rest."""
    chosen = {tag.casefold(): tag for tag in query.tags}
    known = {tag.casefold() for tag, _ in tags}
    tags = [*tags, *((tag, 0) for key, tag in chosen.items() if key not in known)]
    shown: list[Chip] = []
    rest: list[Chip] = []
    for place, (tag, contacts) in enumerate(tags):
        key = tag.casefold()
        others = tuple(other for other in query.tags if other.casefold() != key)
        wanted = others if key in chosen else (*others, tag)
        chip = Chip(tag, contacts, key in chosen, link("/contacts", query, tags=wanted, after=None))
        (shown if place < CHIPS or chip.chosen else rest).append(chip)
    return shown, rest


def chips_key(tags: Sequence[tuple[str, int]], query: ListQuery, owner: str = "") -> str:
    """What the rendered chips are remembered by: every tag with its number, and the list they narrow.

    owner: in a demo, whose tags they are.
    """
    return f"chips {hash(tuple(tags))} {owner} {query.url_query(after=None)}"


def only_label(query: ListQuery) -> str:
    """What the contacts of a list have in common besides text and tags; "" for nothing."""
    return _ONLY[query.only]


def list_title(query: ListQuery) -> str:
    """The list in words for the title of the window: `“ada”, Work, by company · Contacts`."""
    parts = [f"“{query.text}”"] if query.text else []
    parts += [*query.tags, only_label(query)]
    order = _SORTED[query.sort]
    if query.descending != (query.sort == "updated"):
        order = {"name": "Z to A", "updated": "by oldest change"}.get(query.sort, f"{order}, backwards")
    parts = list(filter(None, [*parts, order]))
    return f"{', '.join(parts)} · Contacts" if parts else "Contacts"


def mark(text: str, wanted: tuple[str, ...]) -> Markup | str:
    """A text with what a search matched in `<mark>`. wanted: the terms of the search."""
    if not wanted or not text:
        return text
    pieces = marked(text, wanted)
    if not any(hit for _, hit in pieces):
        return text
    return Markup(
        "".join([f"<mark>{escape(piece)}</mark>" if hit else escape(piece) for piece, hit in pieces])
    )


def snippet(notes: str, wanted: tuple[str, ...]) -> Markup | str:
    """The part of the notes that a search matched, "" when it matched none of it."""
    if not wanted or not notes:
        return ""
    pieces = marked(notes, wanted)
    first = next((place for place, (_, hit) in enumerate(pieces) if hit), None)
    if first is None:
        return ""
    found = sum(len(piece) for piece, _ in pieces[:first])
    start = max(min(found - SNIPPET // 3, len(notes) - SNIPPET), 0)
    end = start + SNIPPET
    shown: list[str] = []
    at = 0
    for piece, hit in pieces:
        part = piece[max(start - at, 0) : max(end - at, 0)]
        at += len(piece)
        if part:
            shown.append(f"<mark>{escape(part)}</mark>" if hit else escape(part))
    return Markup(f"{'…' if start else ''}{''.join(shown)}{'…' if end < len(notes) else ''}")


def happened(change: Change) -> str:
    """What a change did to its contact, in a word or two for its history."""
    if change.before is None:
        made = {"import": "Imported", "sample": "Added as a sample", "undo": "Restored"}
        return made.get(change.kind, "Added")
    if change.after is None:
        return {"undo": "Removed by undo", "merge": "Merged into another contact"}.get(change.kind, "Deleted")
    done = {"import": "Updated by an import", "merge": "Merged with another contact", "undo": "Undone"}
    return done.get(change.kind, "Changed")


def differences(change: Change) -> list[tuple[str, str, str]]:
    """What a change wrote, as (label, before, after) of each field; empty unless it changed a contact."""
    before, after = change.before, change.after
    if before is None or after is None:
        return []
    return [
        (LABELS[name], text_of(before, name), text_of(after, name))
        for name in FIELDS
        if getattr(before, name) != getattr(after, name)
    ]


def field_labels(names: Sequence[str], but: Sequence[str] = ()) -> str:
    """Field names, some left out, as a person reads them: `phone, notes`."""
    return ", ".join(LABELS[name].lower() for name in names if name not in but)


GLOBALS = (
    link,
    row_key,
    row_place,
    initials,
    hue,
    ago,
    day,
    number,
    short,
    percent,
    mailto,
    dial,
    chips,
    chips_key,
    only_label,
    list_title,
    mark,
    snippet,
    happened,
    differences,
    field_labels,
)
