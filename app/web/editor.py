"""A contact form as it is shown: what it holds, what is wrong with it, and what clashes."""

from dataclasses import dataclass, field

from app.contacts.contact import FIELDS, Contact, ContactDraft
from app.contacts.merging import merged

LABELS = {
    "name": "Name",
    "email": "Email",
    "phone": "Phone",
    "company": "Company",
    "tags": "Tags",
    "notes": "Notes",
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two edits of one contact that met.

    original: what both began with; None when the log does not reach back that far, and then every
    difference clashes. theirs: what someone else saved meanwhile. mine: what this form held.
    clashes: the fields that both changed, to different values: they are a person's to decide.
    """

    original: Contact | None
    theirs: Contact
    mine: ContactDraft
    clashes: tuple[str, ...]

    @classmethod
    def of(cls, original: Contact | None, theirs: Contact, mine: ContactDraft) -> Conflict:
        """Compare the two edits."""
        if original:
            _, clashes = merged(ContactDraft.of(original), ContactDraft.of(theirs), mine)
        else:
            clashes = tuple(name for name in FIELDS if getattr(mine, name) != getattr(theirs, name))
        return cls(original, theirs, mine, clashes)

    @property
    def merged(self) -> ContactDraft:
        """Both edits together; mine where they clash."""
        if self.original is None:
            return self.mine
        return merged(ContactDraft.of(self.original), ContactDraft.of(self.theirs), self.mine)[0]

    def sides(self, name: str) -> list[tuple[str, str]]:
        """Who has what in a field, as (`Original`, `Theirs` or `Yours`, text); empty when all agree."""
        texts = [("Theirs", text_of(self.theirs, name)), ("Yours", text_of(self.mine, name))]
        if self.original:
            texts.insert(0, ("Original", text_of(self.original, name)))
        return texts if len({text for _, text in texts}) > 1 else []

    def choices(self, name: str) -> list[tuple[str, str]]:
        """What a clashing field may become, as (who, text), the suggestion first."""
        theirs, mine = text_of(self.theirs, name), text_of(self.mine, name)
        found = [("Yours", mine), ("Theirs", theirs)]
        if name == "notes" and mine and theirs:
            found.append(("Both", f"{mine}\n{theirs}"))
        if self.original:
            found.append(("Original", text_of(self.original, name)))
        return found


@dataclass(frozen=True, slots=True)
class Form:
    """A contact form as it is shown: the add form, or the editor of one contact.

    draft: what the fields hold. contact_id, version: the contact being edited and the
        version the draft is based on; 0 in the add form.
    errors: field name to message. taken_by: who has the email that is taken.
    problem: what went wrong with the form as a whole, "" for nothing.
    conflict: someone else saved the contact meanwhile.
    gone: someone else deleted the contact meanwhile, so saving adds it again.
    """

    draft: ContactDraft = field(default_factory=ContactDraft)
    contact_id: int = 0
    version: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    taken_by: Contact | None = None
    problem: str = ""
    conflict: Conflict | None = None
    gone: bool = False

    @property
    def prefix(self) -> str:
        """What makes the ids of its fields unique on a page."""
        return f"edit-{self.contact_id}" if self.contact_id else "new"

    def value(self, name: str) -> str:
        """What a field holds, as text."""
        return text_of(self.draft, name)

    def clashes(self, name: str) -> bool:
        """Whether a field has to be decided."""
        return self.conflict is not None and name in self.conflict.clashes

    @property
    def first_wrong(self) -> str:
        """The field that takes the focus: the first that is wrong or to be decided, else the name."""
        clashes = self.conflict.clashes if self.conflict else ()
        return next(iter(self.errors), None) or next(iter(clashes), "name")


def text_of(contact: Contact | ContactDraft, name: str) -> str:
    """What a field of a form holds for a contact."""
    return ", ".join(contact.tags) if name == "tags" else getattr(contact, name)
