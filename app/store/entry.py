"""An entry: a contact together with everything that stores find and order it by.

The keys are computed here once, when the contact is written, so that every store gives the
same answers and engines need only compare strings.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from app.contacts.contact import Contact, email_key
from app.contacts.listing import Sort, SortKey, fold, haystack, milliseconds, sort_keys

# An email and a tag never hold NUL, so a lookup that holds one finds nobody in any store;
# a lone surrogate cannot be sent to a database at all.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# One higher whenever the keys of a contact that nobody changed come out differently than before:
# SQLite then computes all of them anew when it is opened.
KEYS = 2

Identity = str | tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A contact and its keys.

    email: what makes its email unique, None without one. company: the company folded, "" without one.
    tags: the keys of its tags. haystack: the text that searches look into. order: the sort key of each sort.
    """

    contact: Contact
    email: str | None
    company: str
    tags: frozenset[str]
    haystack: str
    order: Mapping[Sort, SortKey]

    @classmethod
    def of(cls, contact: Contact) -> Entry:
        """The entry of a contact. This is the costly part of a write: most of it is folding text."""
        return cls(
            contact=contact,
            email=email_key(contact.email),
            company=fold(contact.company),
            tags=frozenset(map(tag_key, contact.tags)),
            haystack=haystack(contact),
            order=sort_keys(contact),
        )

    @property
    def identity(self) -> Identity:
        """See `identity`."""
        return identity(self.email, str(self.order["name"]), self.contact.phone)

    def at(self, contact: Contact) -> Entry:
        """The same keys for a contact with the same fields but another id, version or time."""
        order = self.order
        if contact.updated_at != self.contact.updated_at:
            order = {**order, "updated": milliseconds(contact.updated_at)}
        return Entry(contact, self.email, self.company, self.tags, self.haystack, order)


def tag_key(tag: str) -> str:
    """What makes two tags the same one: no regard to case."""
    return lookup(" ".join(unicodedata.normalize("NFC", tag).split()).casefold())


def lookup(text: str) -> str:
    """Text to look for, with what no stored text can hold replaced by NUL, which none holds either."""
    return _UNSTORABLE.sub("\x00", text)


def identity(email: str | None, name: str, phone: str) -> Identity:
    """What an import knows a contact by: its email key, else its folded name with the digits of its phone."""
    return email or (name, re.sub(r"\D", "", phone))
