"""Short words for making contacts and reading lists in tests."""

from collections.abc import Iterable

from app.contacts.contact import Contact, ContactDraft
from app.store import ContactStore

ADA = ContactDraft(name="Ada Lovelace", email="ada@example.com", phone="+44 20 7946 0101", company="Engines")
GRACE = ContactDraft(name="Grace Hopper", email="grace@example.org", company="U.S. Navy")
ALAN = ContactDraft(name="Alan Turing", email="alan@example.net")


def draft(name: str, **fields: str) -> ContactDraft:
    """A draft that keeps the rules: without an email or a phone of its own it gets an email."""
    if "email" not in fields and "phone" not in fields:
        fields["email"] = f"{name.casefold().replace(' ', '.')}@example.com"
    tags = tuple(tag for tag in fields.pop("tags", "").split(",") if tag)
    return ContactDraft(name=name, tags=tags, **fields)


def add(store: ContactStore, name: str, **fields: str) -> Contact:
    """Keep a contact and return it."""
    return store.add(draft(name, **fields))[0]


def names(contacts: Iterable[Contact]) -> list[str]:
    """The names, in order."""
    return [contact.name for contact in contacts]
