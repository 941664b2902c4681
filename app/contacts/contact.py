"""What a contact is, the rules it keeps, and what can go wrong when one is changed.

Standard library only: this module knows neither requests nor SQL. The field rules are
those of `docs/decisions/0002-contact-rules.md`; each message says what to do.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

FIELDS = ("name", "email", "phone", "company", "tags", "notes")  # in the order of the form

NAME_LIMIT = 200
EMAIL_LIMIT = 254  # RFC 5321, 4.5.3.1.3: a path is at most 256 octets, two of them brackets
PHONE_LIMIT = 40
COMPANY_LIMIT = 200
NOTES_LIMIT = 5_000
TAG_LIMIT = 40
TAGS_LIMIT = 20

LIMITS = {
    "name": NAME_LIMIT,
    "email": EMAIL_LIMIT,
    "phone": PHONE_LIMIT,
    "company": COMPANY_LIMIT,
    "notes": NOTES_LIMIT,
}

# One mailbox: no quoted local part, no comment, a domain with at least one dot. Letters of
# any script are welcome on both sides (RFC 6531), as real address books hold them.
_LOCAL = r'[^\s@,;:<>()\[\]"\\.]+(?:\.[^\s@,;:<>()\[\]"\\.]+)*'
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
EMAIL = re.compile(rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})+")
PHONE = re.compile(r"[0-9+\-().\/xX ]*[0-9][0-9+\-().\/xX ]*")


class ContactError(Exception):
    """The root of what a store says about contacts.

    ContactError
        InvalidContact    a rule is broken, or the email is taken
        NoSuchContact     no contact with this id (any more)
        EditConflict      the contact has changed since it was read
        NoSuchBatch       the change log does not hold this batch (any more)
        UndoConflict      what a batch changed has changed again since (app.contacts.changes)
    """


class InvalidContact(ContactError):
    """A draft breaks a rule.

    errors: field name to one message for a person, in the order of the form.
    taken_by: the contact that already has the email, when that is the broken rule.
    """

    def __init__(self, errors: Mapping[str, str], taken_by: Contact | None = None) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors.items()))
        self.errors = dict(errors)
        self.taken_by = taken_by


class NoSuchContact(ContactError):
    """No contact has this id: it never existed, or it was deleted."""

    def __init__(self, contact_id: int) -> None:
        super().__init__("Contact not found")
        self.contact_id = contact_id


class NoSuchBatch(ContactError):
    """The change log holds no batch with this id."""

    def __init__(self, batch_id: int) -> None:
        super().__init__("This change is no longer in the log, so it cannot be undone.")
        self.batch_id = batch_id


class EditConflict(ContactError):
    """The contact has changed since the version that a change was based on.

    current: the contact as it is now, or None when it was deleted meanwhile.
    """

    def __init__(self, current: Contact | None) -> None:
        super().__init__("This contact was changed by someone else.")
        self.current = current


@dataclass(frozen=True, slots=True)
class ContactDraft:
    """What a form holds before it becomes a contact: every field as it was typed.

    >>> ContactDraft(name="  Ada   Lovelace ", email="ada@example.com").clean().name
    'Ada Lovelace'
    >>> ContactDraft(name="Ada").clean()
    Traceback (most recent call last):
    app.contacts.contact.InvalidContact: email: Enter an email address or a phone number.
    """

    name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> ContactDraft:
        """Take the fields of a form; those it lacks are empty. `tags` is one comma-separated text."""
        texts = {name: form.get(name) or "" for name in LIMITS}
        return cls(**texts, tags=split_tags(form.get("tags") or ""))

    @classmethod
    def of(cls, contact: Contact) -> ContactDraft:
        """The draft that an edit of this contact starts from."""
        return cls(contact.name, contact.email, contact.phone, contact.company, contact.notes, contact.tags)

    def clean(self) -> ContactDraft:
        """Return the draft as it will be kept; raise InvalidContact with every broken rule.

        Space at the ends goes, inner runs of space become one (line breaks of notes stay),
        Unicode becomes NFC, tags are sorted and named once each without regard to case.
        """
        texts = {name: _tidy(getattr(self, name), lines=name == "notes") for name in LIMITS}
        draft = ContactDraft(**texts, tags=sorted_tags(map(_tidy, self.tags)))
        errors = dict(_broken_rules(draft))
        if errors:
            raise InvalidContact(errors)
        return draft


@dataclass(frozen=True, slots=True)
class Contact:
    """A stored contact. Immutable: a change makes a new one with `version` one higher.

    created_at, updated_at: UTC, whole milliseconds. version: 1 at creation.
    email, phone, company, notes: "" when there is none. tags: sorted without regard to case.
    """

    id: int
    name: str
    email: str
    phone: str
    company: str
    notes: str
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @classmethod
    def create(cls, contact_id: int, draft: ContactDraft, at: datetime) -> Contact:
        """A new contact from a cleaned draft."""
        return cls(
            id=contact_id,
            name=draft.name,
            email=draft.email,
            phone=draft.phone,
            company=draft.company,
            notes=draft.notes,
            tags=draft.tags,
            created_at=at,
            updated_at=at,
        )

    def changed(self, draft: ContactDraft, at: datetime) -> Contact:
        """This contact with the fields of a cleaned draft, one version later."""
        return replace(
            self,
            name=draft.name,
            email=draft.email,
            phone=draft.phone,
            company=draft.company,
            notes=draft.notes,
            tags=draft.tags,
            updated_at=at,
            version=self.version + 1,
        )

    def holds(self, draft: ContactDraft) -> bool:
        """Whether a cleaned draft would change nothing."""
        return ContactDraft.of(self) == draft


def now() -> datetime:
    """The present moment as contacts keep it: UTC, whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


def split_tags(text: str) -> tuple[str, ...]:
    """The tags of one comma-separated text, as typed: `"work, , VIP"` gives `("work", "VIP")`."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def distinct_tags(tags: Iterable[str]) -> dict[str, str]:
    """Tags, in their order, by what makes two the same one: no regard to case, so the first spelling stays.

    Empty ones are left out.
    """
    kept: dict[str, str] = {}
    for tag in filter(None, tags):
        kept.setdefault(tag.casefold(), tag)
    return kept


def sorted_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Each tag once, as a contact keeps them: sorted without regard to case."""
    kept = distinct_tags(tags)
    return tuple(kept[key] for key in sorted(kept))


def email_taken(by: Contact) -> InvalidContact:
    """The broken rule of a draft whose email another contact has."""
    return InvalidContact(
        {"email": f"{by.name} has this email address already. Enter another one."}, taken_by=by
    )


def email_key(email: str) -> str | None:
    """What makes two emails the same one: no regard to case. None for no email."""
    return unicodedata.normalize("NFC", email).casefold() if email else None


def _tidy(text: str, *, lines: bool = False) -> str:
    text = unicodedata.normalize("NFC", text)
    if not lines:
        return " ".join(text.split())
    kept = [" ".join(line.split()) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(kept).strip("\n")


def _broken_rules(draft: ContactDraft) -> Iterable[tuple[str, str]]:
    """Yield (field, message) for each field of a tidied draft that breaks a rule, in form order."""
    for field, limit in LIMITS.items():
        text = getattr(draft, field)
        if message := _broken_rule(field, text, draft):
            yield field, message
        elif len(text) > limit:
            yield field, f"Use at most {limit:,} characters; this has {len(text):,}."
        elif _has_control_characters(text):
            yield field, "Remove the invisible control characters."
    if len(draft.tags) > TAGS_LIMIT:
        yield "tags", f"Use at most {TAGS_LIMIT} tags; this has {len(draft.tags)}."
    elif long := next((tag for tag in draft.tags if len(tag) > TAG_LIMIT), None):
        yield "tags", f"Use at most {TAG_LIMIT} characters for each tag; “{long[:TAG_LIMIT]}…” is longer."
    elif any("," in tag or _has_control_characters(tag) for tag in draft.tags):
        yield "tags", "Use tags without commas and invisible control characters."


def _broken_rule(field: str, text: str, draft: ContactDraft) -> str | None:
    match field:
        case "name" if not text:
            return "This field is required. Enter a name."
        case "email" if not text and not draft.phone:
            return "Enter an email address or a phone number."
        case "email" if text and len(text) <= EMAIL_LIMIT and not EMAIL.fullmatch(text):
            return "Enter a valid email address, such as ada@example.com."
        case "phone" if text and len(text) <= PHONE_LIMIT and not PHONE.fullmatch(text):
            return "Enter a phone number with digits, spaces and + - ( ) . / x only."
    return None


def _has_control_characters(text: str) -> bool:
    """Whether text holds what no person types: control characters and lone surrogates.

    Line breaks are not counted: only notes still have them once a draft is tidied. The
    format characters that scripts and emoji need (joiners, direction marks) are welcome.
    """
    if text.isprintable():
        return False  # the same, at once
    return any(unicodedata.category(char) in ("Cc", "Cs") and char != "\n" for char in text)
