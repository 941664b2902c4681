"""What templates call: links that keep the list, avatars, dates."""

import re
from datetime import datetime
from hashlib import blake2s
from urllib.parse import quote

from app.contacts.contact import now
from app.contacts.listing import ListQuery

HUES = 12


def link(path: str, query: ListQuery, **changes: object) -> str:
    """A path with the list it belongs to: `link("/contacts/5/edit", query)` keeps search, tags and sort."""
    text = query.url_query(**changes)
    return f"{path}?{text}" if text else path


def initials(name: str) -> str:
    """One or two letters for an avatar: of the first and the last word that begin with a letter."""
    letters = [word[0].upper() for word in name.split() if word[0].isalpha()]
    return "".join(letters[:1] + letters[1:][-1:]) or name[:1]


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


def day(moment: datetime) -> str:
    """A date that no country misreads: `7 March 2026`."""
    return f"{moment.day} {moment:%B %Y}"


def number(value: int) -> str:
    """A number with its thousands marked: `1,284`."""
    return f"{value:,}"


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


GLOBALS = (link, initials, hue, ago, day, number, percent, mailto, dial)
