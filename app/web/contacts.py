"""Contacts in the browser: the list, the add form, the row editor, the detail page.

Each handler answers htmx with the fragment it asked for and a plain browser with a whole
page or a redirect.
"""

import logging
from dataclasses import replace

from chirp import OOB, Fragment, HTTPError, Page, Request, Response, ValidationError
from chirp.http.forms import FormData

from app.contacts.contact import (
    FIELDS,
    ContactDraft,
    EditConflict,
    InvalidContact,
    NoSuchContact,
    email_taken,
)
from app.store import ContactStore, StoreUnavailable
from app.web.editor import Conflict, Form
from app.web.errors import explain
from app.web.forms import read_form
from app.web.lists import (
    INDEX,
    Answer,
    as_long,
    changed,
    context_in_trouble,
    count_badge,
    current_list,
    event_header,
    list_context,
    message_to_show,
    push,
    requested_list,
    rows_of,
    see_other,
    shown_once,
    whole,
)
from app.web.threads import write
from app.web.view import link

log = logging.getLogger(__name__)
OUR_FAULT = "Something went wrong on our side, and nothing was saved. What you typed is still here."


async def home() -> Response:
    """GET /: the list is the home page."""
    return see_other("/contacts")


async def index(request: Request, store: ContactStore) -> Answer:
    """GET /contacts and /contacts/search: the list, one page of it.

    htmx gets the table, or only the rows behind `after` when it loads more. live.js gets the
    page, with as many `rows` as it has on the screen.
    """
    query = as_long(requested_list(request), rows_of(request.query))
    done = message_to_show(request, store)
    context = list_context(store, query, done=done)
    headers = {} if query.after else push(request, link("/contacts", query))
    block = "contact_rows" if query.after else "contact_table"
    return Page(INDEX, block, **context), 200, headers | shown_once(done)


async def show(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """GET /contacts/{id}: the detail page; for htmx the row, which is how an editor is left."""
    seq = store.settled()
    contact = store.get(contact_id)
    query = current_list(request)
    if request.is_narrow_fragment:
        row = Fragment(INDEX, "contact_row", contact=contact, query=query, focus=True)
        return row, 200, push(request, link("/contacts", query))
    previous, following = store.neighbours(query, contact_id)
    return Page(
        "contacts/show.html",
        "content",
        seq=seq,
        contact=contact,
        query=query,
        previous=previous,
        following=following,
        history=store.history(contact_id),
        here="contacts",
    )


async def new(request: Request, store: ContactStore) -> Answer:
    """GET /contacts/new: the add form, on the list for a plain browser."""
    query = current_list(request)
    if request.is_narrow_fragment:
        address = push(request, link("/contacts/new", query))
        return Fragment(INDEX, "contact_form", form=Form(), query=query), 200, address
    return Page(INDEX, "contact_form", **list_context(store, query, form=Form()))


async def create(request: Request, store: ContactStore) -> Answer:
    """POST /contacts: add a contact; a wrong form comes back filled in, with 422."""
    form = await read_form(request)
    draft = ContactDraft.from_form(form)
    try:
        _, batch = await write(store.add, draft)
    except InvalidContact as invalid:
        wrong = Form(draft, errors=invalid.errors, taken_by=invalid.taken_by)
        return _wrong_form(request, store, wrong, 422)
    except Exception as error:
        status, problem = _trouble(error)
        return _wrong_form(request, store, Form(draft, problem=problem), status)
    # The editor of a contact that was deleted meanwhile comes here, too, and the add form may be open.
    saved = request.htmx_trigger or "contact-form"
    return changed(request, store, batch, rows=rows_of(form), saved=saved)


async def check(request: Request, store: ContactStore) -> Answer:
    """POST /contacts/check: what is wrong with the field that a person has just left.

    The whole form is sent, since rules join fields, and the answer is the message of the one that
    htmx names, "" when it is right. Leaving the phone settles the email, too: one of them is enough.
    """
    form = await read_form(request)
    name = request.htmx_trigger_name or form.get("field", "")
    if name not in FIELDS:
        raise HTTPError(400, "There is no such field.")
    checked = _checked(form, store)
    parts = [Fragment(INDEX, "field_error", form=checked, name=name)]
    if name == "phone":
        parts.append(
            Fragment(
                INDEX,
                "field_error",
                target=f"{checked.prefix}-email-error",
                swap="innerHTML",
                form=checked,
                name="email",
            )
        )
    return OOB(*parts)


async def edit(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """GET /contacts/{id}/edit: the row as an editor, in the list for a plain browser."""
    contact = store.get(contact_id)
    query = current_list(request)
    editor = Form(ContactDraft.of(contact), contact.id, contact.version)
    if request.is_narrow_fragment:
        address = push(request, link(f"/contacts/{contact_id}/edit", query))
        return Fragment(INDEX, "edit_row", editor=editor, query=query), 200, address
    return Page(INDEX, "edit_row", **list_context(store, query, editor=editor))


async def update(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """PUT /contacts/{id}: save the editor.

    422 with messages for broken rules, 409 when someone else changed the contact
    meanwhile, 404 with the add form filled in when someone deleted it.
    """
    form = await read_form(request)
    draft = ContactDraft.from_form(form)
    editor = Form(draft, contact_id, whole(form.get("version", "")))
    try:
        contact, batch = await write(store.update, contact_id, draft, editor.version)
    except NoSuchContact:
        return _deleted_meanwhile(request, store, editor)
    except InvalidContact as invalid:
        wrong = replace(editor, errors=invalid.errors, taken_by=invalid.taken_by)
        return _wrong_editor(request, store, wrong, 422)
    except EditConflict as conflict:
        return _wrong_editor(request, store, _in_conflict(store, editor, conflict), 409)
    except Exception as error:
        status, problem = _trouble(error)
        return _wrong_editor(request, store, replace(editor, problem=problem), status)
    query = current_list(request)
    if not request.is_htmx:
        return see_other(link("/contacts", query), done=batch)
    row = Fragment(INDEX, "contact_row", contact=contact, query=query, focus=True)
    headers = event_header("contactUpdated", store, batch, f"Nothing to save: {contact.name} is unchanged")
    return OOB(row, count_badge(store)), 200, headers | push(request, link("/contacts", query))


async def delete(request: Request, contact_id: int, store: ContactStore) -> Answer:
    """DELETE /contacts/{id}: delete a contact. Undo brings it back."""
    batch = await write(store.delete, [contact_id])
    if batch is None:
        raise NoSuchContact(contact_id)
    return changed(request, store, batch, rows=rows_of(await read_form(request)))


async def delete_samples(request: Request, store: ContactStore) -> Answer:
    """DELETE /contacts/samples: delete the sample contacts that nobody has changed."""
    batch = await write(store.delete, store.samples())
    return changed(request, store, batch, rows=rows_of(await read_form(request)))


def _checked(form: FormData, store: ContactStore) -> Form:
    """The form with every message that saving it now would bring."""
    draft = ContactDraft.from_form(form)
    contact_id = whole(form.get("contact", ""))
    checked = Form(draft, contact_id)
    try:
        draft = draft.clean()
    except InvalidContact as invalid:
        checked = replace(checked, errors=invalid.errors)
    by = store.find_email(" ".join(draft.email.split()))
    if by and by.id != contact_id and "email" not in checked.errors:
        checked = replace(checked, errors=checked.errors | email_taken(by).errors, taken_by=by)
    return checked


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
    return Page(INDEX, "contact_form", **context_in_trouble(store, query, form=form)), status


def _wrong_editor(request: Request, store: ContactStore, editor: Form, status: int) -> Answer:
    query = current_list(request)
    block = "conflict_row" if status == 409 else "edit_row"
    if request.is_narrow_fragment:
        retarget = {"HX-Retarget": f"#contact-{editor.contact_id}", "HX-Reswap": "outerHTML"}
        return Fragment(INDEX, block, editor=editor, query=query), status, retarget
    return Page(INDEX, block, **context_in_trouble(store, query, editor=editor)), status


def _deleted_meanwhile(request: Request, store: ContactStore, editor: Form) -> Answer:
    """The editor as it was left, to be saved as a new contact; on a whole page that is the add form."""
    query = current_list(request)
    problem = "Contact not found: it was deleted meanwhile. Save to add it again."
    if request.is_narrow_fragment:
        return _wrong_editor(request, store, replace(editor, problem=problem, gone=True), 404)
    form = Form(editor.draft, problem=problem)
    return Page(INDEX, "contact_form", **list_context(store, query, form=form)), 404


def _in_conflict(store: ContactStore, editor: Form, conflict: EditConflict) -> Form:
    """Both edits in one form: saving it again replaces what someone else saved, knowingly."""
    theirs = conflict.current
    assert theirs is not None, "a deleted contact is NoSuchContact"
    both = Conflict.of(store.version(editor.contact_id, editor.version), theirs, editor.draft.clean())
    return replace(editor, draft=both.merged, conflict=both, version=theirs.version)


def _trouble(error: Exception) -> tuple[int, str]:
    """Status and message for a form that could not be saved through no fault of its own."""
    if isinstance(error, StoreUnavailable):
        return explain(error)[0], str(error)
    log.error("a contact could not be saved", exc_info=error)
    return 500, OUR_FAULT
