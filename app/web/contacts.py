"""Contacts in the browser: the list, the add form, the row editor, the detail page.

Each handler answers htmx with the fragment it asked for and a plain browser with a whole
page or a redirect. A mutation belongs to the list the person is looking at, see
`current_list`, so search and sort survive it.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from chirp import OOB, Fragment, Page, Request, Response, ValidationError
from chirp.http.forms import FormData
from chirp.http.query import QueryParams

from app.contacts.changes import Batch
from app.contacts.contact import (
    Contact,
    ContactDraft,
    EditConflict,
    InvalidContact,
    NoSuchContact,
)
from app.contacts.listing import ContactPage, ListQuery, milliseconds
from app.store import ContactStore, StoreUnavailable
from app.web.forms import read_form
from app.web.view import link

INDEX = "contacts/index.html"
FIELDS = ("name", "email", "phone", "company", "tags", "notes")  # in the order of the form
ROWS_LIMIT = 500  # how many rows an answer to a change renders at most

Answer = Any  # what Chirp's content negotiation takes: a return type, or it with status and headers


@dataclass(frozen=True, slots=True)
class Form:
    """A contact form as it is shown: the add form, or the editor of one contact.

    draft: what the fields hold. contact_id, version: the contact being edited and the
        version the draft is based on; 0 in the add form.
    errors: field name to message.
    problem: what went wrong with the form as a whole, "" for nothing.
    theirs: the contact as someone else saved it meanwhile; None when there is no conflict.
    gone: someone else deleted the contact meanwhile, so saving adds it again.
    """

    draft: ContactDraft = field(default_factory=ContactDraft)
    contact_id: int = 0
    version: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    theirs: Contact | None = None
    gone: bool = False

    @property
    def prefix(self) -> str:
        """What makes the ids of its fields unique on a page."""
        return f"edit-{self.contact_id}" if self.contact_id else "new"

    def value(self, name: str) -> str:
        """What a field holds, as text."""
        return _text(self.draft, name)

    def their_value(self, name: str) -> str | None:
        """What someone else saved in a field meanwhile; None where it is what the field holds."""
        if self.theirs is None or (value := _text(self.theirs, name)) == self.value(name):
            return None
        return value

    @property
    def first_wrong(self) -> str:
        """The field that takes the focus: the first that is wrong or differs, else the name."""
        differing = (name for name in FIELDS if self.their_value(name) is not None)
        return next(iter(self.errors), None) or next(differing, "name")


def _text(contact: Contact | ContactDraft, name: str) -> str:
    return ", ".join(contact.tags) if name == "tags" else getattr(contact, name)


async def home() -> Response:
    """GET /: the list is the home page."""
    return _see_other("/contacts")


async def index(request: Request, store: ContactStore) -> Answer:
    """GET /contacts and /contacts/search: the list, one page of it.

    htmx gets the table, or only the rows behind `after` when it loads more.
    """
    query = requested_list(request)
    done = _message_to_show(request, store)
    context = list_context(store, query, done=done)
    headers = {} if query.after else _push(request, link("/contacts", query))
    if done:
        headers["Set-Cookie"] = f"seen={milliseconds(done.at)}.{done.id}; Path=/; HttpOnly; SameSite=Lax"
        headers["Cache-Control"] = "no-store"  # or the back button would show the message again
    return Page(INDEX, "contact_rows" if query.after else "contact_table", **context), 200, headers


async def show(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """GET /contacts/{id}: the detail page; for htmx the row, which is how an editor is left."""
    contact = store.get(contact_id)
    query = current_list(request)
    if request.is_narrow_fragment:
        row = Fragment(INDEX, "contact_row", contact=contact, query=query, focus=True)
        return row, 200, _push(request, link("/contacts", query))
    return Page("contacts/show.html", "content", contact=contact, query=query, here="contacts")


async def new(request: Request, store: ContactStore) -> Answer:
    """GET /contacts/new: the add form, on the list for a plain browser."""
    query = current_list(request)
    if request.is_narrow_fragment:
        push = _push(request, link("/contacts/new", query))
        return Fragment(INDEX, "contact_form", form=Form(), query=query), 200, push
    return Page(INDEX, "contact_form", **list_context(store, query, form=Form()))


async def create(request: Request, store: ContactStore) -> Answer:
    """POST /contacts: add a contact; a wrong form comes back filled in, with 422."""
    form = await read_form(request)
    draft = ContactDraft.from_form(form)
    try:
        _, batch = store.add(draft)
    except InvalidContact as invalid:
        return _wrong_form(request, store, Form(draft, errors=invalid.errors), 422)
    except StoreUnavailable as unavailable:
        return _wrong_form(request, store, Form(draft, problem=str(unavailable)), 503)
    # The editor of a contact that was deleted meanwhile comes here, too, and the add form may be open.
    saved = request.htmx_trigger or "contact-form"
    return changed(request, store, batch, rows=rows_of(form), saved=saved)


async def edit(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """GET /contacts/{id}/edit: the row as an editor, in the list for a plain browser."""
    contact = store.get(contact_id)
    query = current_list(request)
    editor = Form(ContactDraft.of(contact), contact.id, contact.version)
    if request.is_narrow_fragment:
        push = _push(request, link(f"/contacts/{contact_id}/edit", query))
        return Fragment(INDEX, "edit_row", editor=editor, query=query), 200, push
    return Page(INDEX, "edit_row", **list_context(store, query, editor=editor))


async def update(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """PUT /contacts/{id}: save the editor.

    422 with messages for broken rules, 409 when someone else changed the contact
    meanwhile, 404 with the add form filled in when someone deleted it.
    """
    form = await read_form(request)
    draft = ContactDraft.from_form(form)
    editor = Form(draft, contact_id, _whole(form.get("version", "")))
    try:
        contact, batch = store.update(contact_id, draft, editor.version)
    except NoSuchContact:
        return _deleted_meanwhile(request, store, editor)
    except InvalidContact as invalid:
        return _wrong_editor(request, store, replace(editor, errors=invalid.errors), 422)
    except EditConflict as conflict:
        return _wrong_editor(request, store, _in_conflict(editor, conflict), 409)
    except StoreUnavailable as unavailable:
        return _wrong_editor(request, store, replace(editor, problem=str(unavailable)), 503)
    query = current_list(request)
    if not request.is_htmx:
        return _see_other(link("/contacts", query), done=batch)
    return (
        OOB(Fragment(INDEX, "contact_row", contact=contact, query=query, focus=True), _count(store)),
        200,
        _event("contactUpdated", store, batch, f"Nothing to save: {contact.name} is unchanged")
        | _push(request, link("/contacts", query)),
    )


async def delete(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """DELETE /contacts/{id}: delete a contact. Undo brings it back."""
    batch = store.delete([contact_id])
    if batch is None:
        raise NoSuchContact(contact_id)
    return changed(request, store, batch, rows=rows_of(await read_form(request)))


async def delete_samples(request: Request, store: ContactStore) -> Answer:
    """DELETE /contacts/samples: delete the sample contacts that nobody has changed."""
    batch = store.delete(store.samples())
    return changed(request, store, batch, rows=rows_of(await read_form(request)))


def requested_list(request: Request) -> ListQuery:
    """The list that the request's own URL describes."""
    return ListQuery.from_params(request.query, tuple(request.query.get_list("tag")))


def current_list(request: Request) -> ListQuery:
    """The list that the person is looking at.

    htmx says it: the address bar, which a search may have changed since the link or form
    was made. Without script it is what the URL of the link or form says.
    """
    if not request.htmx_current_url:
        return requested_list(request)
    _, text = _address(request)
    params = QueryParams(text.encode())
    return ListQuery.from_params(params, tuple(params.get_list("tag")))


def list_context(
    store: ContactStore,
    query: ListQuery,
    *,
    form: Form | None = None,
    editor: Form | None = None,
    done: Batch | None = None,
) -> dict[str, Any]:
    """Everything that contacts/index.html and its blocks show.

    form: the add form, None while it is closed. editor: the open row editor.
    done: the batch whose message a plain browser sees.
    """
    return {
        "here": "contacts",
        "query": query,
        "page": store.list(query),
        "count": store.count(),
        "has_samples": bool(store.samples(limit=1)),
        "form": form,
        "editor": editor,
        "done": done,
    }


def changed(
    request: Request, store: ContactStore, batch: Batch | None, *, rows: int = 0, saved: str = ""
) -> Answer:
    """The answer to a change of the list: the new table and count, or a redirect to the list.

    batch: None when there was nothing to change. rows: how many the table had, which may be
    several pages; it keeps them. saved: the id of the form that has done its work, "" for none.
    """
    query = current_list(request)
    if not request.is_htmx:
        return _see_other(link("/contacts", query), done=batch)
    parts = [_count(store)]
    headers = _event(_event_of(batch), store, batch, "Nothing to change")
    if saved and not saved.startswith("edit-"):
        parts.append(
            Fragment(INDEX, "contact_form", target="form-section", swap="innerHTML", form=None, query=query)
        )
    if saved:
        headers |= _push(request, link("/contacts", query))
    if batch and batch.first.before is None:
        rows += batch.size  # those that are new or back are to be seen, too
    shown = replace(query, limit=min(max(rows, query.limit), ROWS_LIMIT))
    return OOB(Fragment(INDEX, "contact_table", **list_context(store, shown)), *parts), 200, headers


def _wrong_form(request: Request, store: ContactStore, form: Form, status: int) -> Answer:
    """The add form with what was typed and what is wrong with it: alone for htmx, else on the list."""
    query = current_list(request)
    if request.is_narrow_fragment:
        # Chirp sends no HX-Reswap, so the form's own outerHTML would replace the section itself.
        return (
            ValidationError(INDEX, "contact_form", retarget="#form-section", form=form, query=query),
            status,
            {"HX-Reswap": "innerHTML"},
        )
    return Page(INDEX, "contact_form", **_context_in_trouble(store, query, form=form)), status


def _wrong_editor(request: Request, store: ContactStore, editor: Form, status: int) -> Answer:
    query = current_list(request)
    block = "conflict_row" if status == 409 else "edit_row"
    if request.is_narrow_fragment:
        retarget = {"HX-Retarget": f"#contact-{editor.contact_id}", "HX-Reswap": "outerHTML"}
        return Fragment(INDEX, block, editor=editor, query=query), status, retarget
    return Page(INDEX, block, **_context_in_trouble(store, query, editor=editor)), status


def _deleted_meanwhile(request: Request, store: ContactStore, editor: Form) -> Answer:
    """The editor as it was left, to be saved as a new contact; on a whole page that is the add form."""
    query = current_list(request)
    problem = "Contact not found: it was deleted meanwhile. Save to add it again."
    if request.is_narrow_fragment:
        return _wrong_editor(request, store, replace(editor, problem=problem, gone=True), 404)
    form = Form(editor.draft, problem=problem)
    return Page(INDEX, "contact_form", **list_context(store, query, form=form)), 404


def _in_conflict(editor: Form, conflict: EditConflict) -> Form:
    """The editor beside what someone else saved: saving it again replaces that version knowingly."""
    assert conflict.current is not None, "a deleted contact is NoSuchContact"
    return replace(editor, theirs=conflict.current, version=conflict.current.version)


def rows_of(form: FormData) -> int:
    """How many rows the table had when htmx sent the form; 0 when that is not told."""
    return _whole(form.get("rows", ""))


def _whole(text: str) -> int:
    """A version or a batch as a form or URL names it; 0, which none has, for anything else."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _context_in_trouble(
    store: ContactStore, query: ListQuery, *, form: Form | None = None, editor: Form | None = None
) -> dict[str, Any]:
    """The list behind a form that could not be saved: empty if not even the list can be read."""
    try:
        return list_context(store, query, form=form, editor=editor)
    except StoreUnavailable:
        return {
            "here": "contacts",
            "query": query,
            "page": ContactPage((), 0, None),
            "count": 0,
            "has_samples": False,
            "form": form,
            "editor": editor,
            "done": None,
        }


def _count(store: ContactStore) -> Fragment:
    return Fragment(INDEX, "contact_count", target="contact-count", swap="innerHTML", count=store.count())


def _event_of(batch: Batch | None) -> str:
    """The event that tells the page what a batch did."""
    if batch is None or (batch.first.before and batch.first.after):
        return "contactUpdated"
    return "contactDeleted" if batch.first.after is None else "contactCreated"


def _event(name: str, store: ContactStore, batch: Batch | None, nothing: str) -> dict[str, str]:
    """The HX-Trigger header for a batch: app.js answers the event with a toast.

    `target` makes htmx fire it on the body: the element that sent the request may be gone
    by then. JSON with ASCII escapes, because a header is Latin-1.
    """
    detail: dict[str, object] = {"target": "body", "message": str(batch or nothing), "count": store.count()}
    if batch:
        detail["undo"] = f"/undo/{batch.id}"
        if batch.size == 1:
            detail["contact"] = batch.first.contact_id
    return {"HX-Trigger": json.dumps({name: detail})}


def _push(request: Request, path: str) -> dict[str, str]:
    """The header that puts a path in htmx's address bar; none when it stands there already.

    Pushed again, it would cost the person a second press of the back button.
    """
    if not request.is_narrow_fragment:
        return {}
    current, query = _address(request)
    return {} if path == (f"{current}?{query}" if query else current) else {"HX-Push-Url": path}


def _address(request: Request) -> tuple[str, str]:
    """Path and query of htmx's address bar; empty when it is not told or cannot be read."""
    try:
        url = urlsplit(request.htmx_current_url or "")
    except ValueError:
        return "", ""
    return url.path, url.query


def _message_to_show(request: Request, store: ContactStore) -> Batch | None:
    """The batch that `?done=` names, once: a cookie says which was the newest that was shown."""
    number = _whole(request.query.get("done", ""))
    batch = store.batch(number) if number and not request.is_htmx else None
    if batch is None or batch.undone_by:
        return None
    time, _, shown = request.cookies.get("seen", "").partition(".")
    return batch if (milliseconds(batch.at), batch.id) > (_whole(time), _whole(shown)) else None


def _see_other(path: str, done: Batch | None = None) -> Response:
    """303, so that a reload after a form does not send it again."""
    if done:
        path += f"{'&' if '?' in path else '?'}done={done.id}"
    return Response("", status=303).with_header("Location", path)
