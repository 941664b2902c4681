"""Likely duplicates: the page that lists them, and merging contacts with a choice for each field.

Plain links and forms only. A form names each contact as `id.version`, so that nobody merges
what they have not seen; a link, which changes nothing, does with the id.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from chirp import HTTPError, Page, Request
from chirp.http.forms import FormData

from app.contacts.changes import Batch
from app.contacts.contact import FIELDS, Contact, ContactDraft, EditConflict, InvalidContact, NoSuchContact
from app.contacts.duplicates import GROUP_LIMIT, Group, find
from app.contacts.listing import ListQuery
from app.contacts.merging import essence, same_tags, suggested, with_the_rest
from app.store import ContactStore, StoreUnavailable
from app.web.editor import LABELS, text_of
from app.web.errors import explain
from app.web.forms import read_form
from app.web.lists import Answer, changed, current_list, message_to_show, see_other, shown_once, whole
from app.web.threads import on_thread, write

PAGE_SIZE = 20  # groups
CHOICES = ("name", "email", "phone", "company")  # the fields of which one contact's value is chosen
DETAILS = tuple(name for name in FIELDS if name != "name")
_DUPLICATES = re.compile(r"/contacts/duplicates(\?page=[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class MergeForm:
    """The form that makes one contact of several.

    contacts: as they are now, in the order in which they were asked for.
    draft: what is chosen; its notes are typed. with_rest: what is not chosen goes to the notes.
    back: the page of duplicates that the form came from, "" for the list of contacts.
    errors: field name to message. problem: what went wrong with the form as a whole.
    news: what others have changed meanwhile, a line each.
    """

    contacts: Sequence[Contact]
    draft: ContactDraft
    with_rest: bool = True
    back: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    news: Sequence[str] = ()

    def values(self, name: str) -> Sequence[str]:
        """What there is to choose from in a field."""
        return _values(self.contacts, name)

    def chosen(self, name: str) -> str:
        """The value that is chosen in a field."""
        return text_of(self.draft, name)

    @property
    def tags(self) -> Sequence[str]:
        """All tags of all contacts."""
        return suggested(self.contacts).tags

    @property
    def result(self) -> ContactDraft:
        """What the contact that stays will hold."""
        return with_the_rest(self.draft, self.contacts) if self.with_rest else self.draft

    def checked(self) -> MergeForm:
        """The form with what is wrong with it already."""
        try:
            self.result.clean()
        except InvalidContact as invalid:
            return replace(self, errors=invalid.errors)
        return self


async def index(request: Request, store: ContactStore) -> Answer:
    """GET /contacts/duplicates: groups of likely duplicates, the strongest first; `page` counts from 1."""
    seq = store.settled()
    groups = _finder.known(store)
    if groups is None:
        groups = await on_thread(lambda: likely(store), store)
    pages = max(1, -(-len(groups) // PAGE_SIZE))
    page = min(max(1, whole(request.query.get("page", ""))), pages)  # the last group of a page may be gone
    done = message_to_show(request, store)
    answer = Page(
        "contacts/duplicates.html",
        "content",
        here="duplicates",
        seq=seq,
        query=ListQuery(),
        groups=groups[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
        count=len(groups),
        page=page,
        pages=pages,
        details=details,
        text_of=text_of,
        done=done,
    )
    return answer, 200, shown_once(done)


async def new(request: Request, store: ContactStore) -> Answer:
    """GET /contacts/merge?id=1&id=2: the form, with what `suggested` suggests.

    400 for fewer than two contacts or too many, 404 when fewer than two of them are left.
    """
    contacts = _contacts(store, _versions(request.query.get_list("id")))
    form = MergeForm(contacts, suggested(contacts), back=_back(request.query.get("back", "")))
    return _show(request, form.checked())


async def merge(request: Request, store: ContactStore) -> Answer:
    """POST /contacts/merge: the oldest takes the fields that were chosen, the others go. Undo splits them.

    A form without fields takes what is suggested. 422 when a rule is broken, 409 when one of
    the contacts was changed or deleted meanwhile; then the form comes back as it was left.
    """
    sent = await read_form(request)
    versions = _versions(sent.get_list("id"))
    back = _back(sent.get("back", ""))
    if batch := _already(store, versions):
        return _leave(request, store, batch, back)
    contacts, has_chosen = _contacts(store, versions), "name" in sent
    form = MergeForm(contacts, suggested(contacts), back=back)
    if has_chosen:
        form = replace(form, draft=_chosen(sent), with_rest="rest" in sent)
    try:
        _, merged = await write(store.merge, dict(sorted(versions.items())), form.result)
    except InvalidContact as invalid:
        return _show(request, replace(form, errors=invalid.errors), 422)
    except NoSuchContact, EditConflict:
        contacts = _contacts(store, versions)
        draft = _renewed(store, form.draft, contacts, versions) if has_chosen else suggested(contacts)
        form = replace(form, contacts=contacts, draft=draft, news=_news(store, contacts, versions))
        return _show(request, form.checked(), 409)
    except StoreUnavailable as unavailable:
        return _show(request, replace(form, problem=str(unavailable)), explain(unavailable)[0])
    return _leave(request, store, merged, back)


def likely(store: ContactStore) -> Sequence[Group]:
    """The groups that the page lists. Takes seconds in a large address book that has just changed."""
    return _finder.find(store)


def details(contacts: Sequence[Contact]) -> Sequence[tuple[str, str, bool]]:
    """The fields that any of the contacts has: name, label, and whether they contradict each other."""
    found = ((name, _values(contacts, name)) for name in DETAILS)
    return [(name, LABELS[name], _contradict(name, values)) for name, values in found if values]


def _contradict(name: str, values: Sequence[str]) -> bool:
    """Whether only one of the values can stay; tags and notes stay all."""
    return name in CHOICES and len({essence(name, value) for value in values}) > 1


class _Finder:
    """Finds duplicates once for each state of a store, however many ask at once."""

    def __init__(self) -> None:
        self._searching = threading.Lock()
        # By store, and gone with it: a demo has many.
        self._latest: WeakKeyDictionary[ContactStore, tuple[object, Sequence[Group]]] = WeakKeyDictionary()

    def known(self, store: ContactStore) -> Sequence[Group] | None:
        """The duplicates of the store as it is, if they have been found already."""
        state, groups = self._latest.get(store, (None, ()))
        return groups if state == _state(store) else None

    def find(self, store: ContactStore) -> Sequence[Group]:
        """The duplicates of the store as it is, or as it was while they were sought."""
        with self._searching:
            groups = self.known(store)
            if groups is None:
                state = _state(store)  # first: what changes from here on will be sought again
                groups = find(store.export(ListQuery()))
                self._latest[store] = (state, groups)
            return groups


_finder = _Finder()


def _state(store: ContactStore) -> object:
    """What differs whenever any contact does; the newest batch tells a restored backup from its original."""
    return store.last_change(), store.batches(1)


def _values(contacts: Sequence[Contact], name: str) -> Sequence[str]:
    """The different texts in a field, without the empty one."""
    return tuple(dict.fromkeys(filter(None, (text_of(contact, name) for contact in contacts))))


def _versions(ids: Sequence[str]) -> Mapping[int, int]:
    """Ids with versions, in the order in which they are named; HTTPError 400 if they cannot be merged."""
    pairs = (text.partition(".") for text in ids)
    versions = {whole(contact_id): whole(version) for contact_id, _, version in pairs if whole(contact_id)}
    if len(versions) < 2:
        raise HTTPError(400, "Choose at least two contacts to merge.")
    if len(versions) > GROUP_LIMIT:
        raise HTTPError(400, f"Choose at most {GROUP_LIMIT} contacts to merge at once.")
    return versions


def _contacts(store: ContactStore, versions: Mapping[int, int]) -> Sequence[Contact]:
    """Those of the contacts that still exist; NoSuchContact when there is nothing left to merge."""
    contacts = [contact for contact_id in versions if (contact := _find(store, contact_id))]
    if len(contacts) < 2:
        present = {contact.id for contact in contacts}
        raise NoSuchContact(next(contact_id for contact_id in versions if contact_id not in present))
    return contacts


def _find(store: ContactStore, contact_id: int) -> Contact | None:
    try:
        return store.get(contact_id)
    except NoSuchContact:
        return None


def _chosen(sent: FormData) -> ContactDraft:
    draft = ContactDraft.from_form(sent)
    return replace(draft, tags=tuple(sent.get_list("tag")), notes=draft.notes.replace("\r\n", "\n"))


def _back(path: str) -> str:
    """A page of duplicates as a form names it; "" for anything else, so that it cannot lead elsewhere."""
    return path if _DUPLICATES.fullmatch(path) else ""


def _already(store: ContactStore, versions: Mapping[int, int]) -> Batch | None:
    """The batch that has merged these contacts, and no others, already: the form was sent twice."""
    for contact_id in versions:
        for change in store.history(contact_id, limit=1):
            batch = store.batch(change.batch) if change.kind == "merge" and change.after is None else None
            if batch:
                merged = store.changes(batch.first.seq - 1, batch.size)
                if {part.contact_id for part in merged} == set(versions):
                    return batch
    return None


def _renewed(
    store: ContactStore, draft: ContactDraft, contacts: Sequence[Contact], versions: Mapping[int, int]
) -> ContactDraft:
    """The choices for the contacts as they are now.

    They stay where there still is what was chosen; tags and notes that are new since are added.
    """
    fresh = suggested(contacts)
    values = {
        name: chosen if (chosen := getattr(draft, name)) in _values(contacts, name) else getattr(fresh, name)
        for name in CHOICES
    }
    tags, notes = draft.tags, draft.notes
    for contact in contacts:
        old = store.version(contact.id, versions[contact.id])
        known = {tag.casefold() for tag in old.tags} if old else set()
        tags += tuple(tag for tag in contact.tags if tag.casefold() not in known)
        if old and old.notes and old.notes in notes:
            notes = notes.replace(old.notes, contact.notes)
        elif contact.notes and contact.notes not in notes and (not old or old.notes != contact.notes):
            notes = "\n".join(filter(None, (notes, contact.notes)))
    kept = {tag.casefold() for tag in tags}
    tags = tuple(tag for tag in fresh.tags if tag.casefold() in kept)
    return ContactDraft(**values, tags=tags, notes=notes)


def _news(store: ContactStore, contacts: Sequence[Contact], versions: Mapping[int, int]) -> Sequence[str]:
    """What has happened to the contacts since these versions, a line each."""
    now = {contact.id: contact for contact in contacts}
    news = []
    for contact_id, version in versions.items():
        old, new = store.version(contact_id, version), now.get(contact_id)
        if new is None:
            last = store.history(contact_id, limit=1)
            news.append(f"{last[0].contact.name if last else 'A contact'} was deleted and is left out.")
        elif new.version != version:
            news += [f"{new.name}: {what}" for what in _differences(old, new)]
    return news or ["What was changed has been changed back."]


def _differences(old: Contact | None, new: Contact) -> Sequence[str]:
    if old is None:
        return ["something was changed"]
    found = []
    for name in FIELDS:
        was, is_now = text_of(old, name), text_of(new, name)
        same = same_tags(old.tags, new.tags) if name == "tags" else was == is_now
        if not same:
            label = LABELS[name].lower()
            verb = "are" if name in ("tags", "notes") else "is"
            found.append(f"{label} {verb} now “{is_now}”" if is_now else f"{label} {verb} empty now")
    return found


def _show(request: Request, form: MergeForm, status: int = 200) -> Answer:
    here = "duplicates" if form.back else "contacts"
    answer = Page("contacts/merge.html", "content", here=here, query=current_list(request), form=form)
    return answer, status


def _leave(request: Request, store: ContactStore, batch: Batch, back: str) -> Answer:
    """To where the form came from, which says what happened and offers Undo."""
    return see_other(back, done=batch) if back else changed(request, store, batch)
