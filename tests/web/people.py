"""A full address book, for tests that need more than one page."""

from app.contacts.contact import ContactDraft
from app.store import ContactStore


def crowd(store: ContactStore, count: int) -> list[str]:
    """Keep many contacts, and return their names in the order of the alphabet."""
    names = [f"Person {number:03}" for number in range(count)]
    store.import_many(
        [ContactDraft(name, f"p{place % 7}.{place}@example.com") for place, name in enumerate(names)]
    )
    return names
