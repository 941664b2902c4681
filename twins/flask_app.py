"""The Flask twin: an application factory, two blueprints, Jinja2, flash.

Handlers are plain functions on Gunicorn's threads, and the store has a connection for each thread.
"""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from time import monotonic, sleep
from typing import cast

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    render_template,
    request,
    stream_template,
    stream_with_context,
    url_for,
)
from jinja2_fragments.flask import render_block
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from app.contacts.changes import Batch, UndoConflict
from app.contacts.contact import ContactDraft, ContactError, NoSuchContact
from app.contacts.listing import ListQuery
from app.settings import Settings
from app.store import ContactStore, StoreError, StoreUnavailable
from app.web.editor import Form
from app.web.view import link
from twins import pages
from twins.pages import INDEX, Htmx, Section, whole

LOOK = 0.2  # seconds between two looks at the log
WINDOWS = 4  # event streams that wait at the same time, in one process
WAIT = 5.0  # seconds that each of them waits
RETRY = 800  # milliseconds after which a window asks again
waiting = threading.BoundedSemaphore(WINDOWS)

contacts = Blueprint("contacts", __name__)
site = Blueprint("site", __name__)


def create_app(settings: Settings | None = None) -> Flask:
    """The app, its store open and migrated. CannotOpen or BadSetting says what is wrong."""
    settings = settings or Settings.from_env()
    app = Contacts(__name__, template_folder=pages.TEMPLATES, static_folder=pages.STATIC)
    app.config.update(
        SECRET_KEY=secrets.token_hex(),  # signs the cookie of flash; FLASK_SECRET_KEY takes its place
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=pages.BODY_LIMIT,
        MAX_FORM_MEMORY_SIZE=pages.BODY_LIMIT,
        SETTINGS=settings,
    )
    app.config.from_prefixed_env()
    app.extensions["contacts"] = pages.open_with_samples(settings)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.jinja_env.globals.update(pages.TEMPLATE_GLOBALS)
    app.before_request(read_htmx)
    app.before_request(refuse_cross_site_writes)
    app.before_request(refuse_other_bodies)
    app.after_request(add_headers)
    app.register_error_handler(HTTPException, http_error)
    for kind in (ContactError, StoreError, Exception):
        app.register_error_handler(kind, our_error)
    app.register_blueprint(contacts)
    app.register_blueprint(site)
    return app


class Contacts(Flask):
    """Flask, but for how long browsers keep static files."""

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        return pages.max_age(filename or "", request.args.get("v"))


# ---- the contacts


@contacts.get("/contacts/search")
@contacts.get("/contacts")  # the nearest to the function is what url_for answers
def index() -> Response:
    """The list; for htmx the table, or only the rows behind `after` when it loads more."""
    query = pages.as_long(own_list(), whole(request.args.get("rows")))
    context = pages.list_context(store(), query)
    if not g.htmx.wants_fragment:
        return page(INDEX, **context)
    if query.after:
        return fragment("contact_rows", **context)
    return fragment("contact_table", headers=g.htmx.push(link("/contacts", query)), **context)


@contacts.get("/contacts/<int:contact_id>")
def show(contact_id: int) -> Response:
    """The detail page; for htmx the row, which is how an editor is left."""
    seq, contact, query = store().settled(), store().get(contact_id), current_list()
    if g.htmx.wants_fragment:
        address = g.htmx.push(link("/contacts", query))
        return fragment("contact_row", headers=address, contact=contact, query=query, focus=True)
    previous, following = store().neighbours(query, contact_id)
    return page(
        "contacts/show.html",
        here="contacts",
        seq=seq,
        contact=contact,
        query=query,
        previous=previous,
        following=following,
        history=store().history(contact_id),
    )


@contacts.get("/contacts/new")
def new() -> Response:
    """The add form, on the list for a plain browser."""
    query = current_list()
    if g.htmx.wants_fragment:
        address = g.htmx.push(link("/contacts/new", query))
        return fragment("contact_form", headers=address, form=Form(), query=query)
    return page(INDEX, **pages.list_context(store(), query, form=Form()))


@contacts.post("/contacts")
def create() -> Response:
    """Add a contact; a wrong form comes back filled in, with 422."""
    draft = ContactDraft.from_form(request.form)
    try:
        _, batch = store().add(draft)
    except Exception as error:
        return wrong_form(*pages.refused(store(), Form(draft), error))
    # The editor of a contact that was deleted meanwhile comes here, too.
    return changed(batch, saved=g.htmx.trigger or "contact-form")


@contacts.post("/contacts/check")
def check() -> Response:
    """What is wrong with the field that a person has just left."""
    name = g.htmx.trigger_name or request.form.get("field", "")
    if not pages.is_field(name):
        abort(400, "There is no such field.")
    draft = ContactDraft.from_form(request.form)
    form = pages.checked(draft, whole(request.form.get("contact")), store())
    return fragment("checked", form=form, name=name)


@contacts.post("/contacts/bulk")
def bulk() -> Response:
    """Delete, tag or untag the contacts that are ticked, or with `all` those that match the list."""
    form = request.form
    ids = store().ids(current_list()) if form.get("all") else form.getlist("id", type=whole)
    return changed(pages.change_many(store(), ids, form.get("do", ""), form.get("tag", "")))


@contacts.get("/contacts/<int:contact_id>/edit")
def edit(contact_id: int) -> Response:
    """The row as an editor, in the list for a plain browser."""
    contact, query = store().get(contact_id), current_list()
    editor = Form(ContactDraft.of(contact), contact.id, contact.version)
    if g.htmx.wants_fragment:
        address = g.htmx.push(link(f"/contacts/{contact_id}/edit", query))
        return fragment("edit_row", headers=address, editor=editor, query=query)
    return page(INDEX, **pages.list_context(store(), query, editor=editor))


@contacts.put("/contacts/<int:contact_id>")
def update(contact_id: int) -> Response:
    """Save the editor: 422 for broken rules, 409 and 404 when someone else was faster."""
    draft = ContactDraft.from_form(request.form)
    editor = Form(draft, contact_id, whole(request.form.get("version")))
    try:
        contact, batch = store().update(contact_id, draft, editor.version)
    except Exception as error:
        return wrong_editor(*pages.refused(store(), editor, error))
    query = current_list()
    if not g.htmx:
        return to_list(batch)
    headers = pages.event(store(), batch, f"Nothing to save: {contact.name} is unchanged")
    headers |= g.htmx.push(link("/contacts", query))
    return fragment(
        "saved_row", headers=headers, contact=contact, query=query, focus=True, count=store().count()
    )


@contacts.delete("/contacts/<int:contact_id>")
def delete(contact_id: int) -> Response:
    """Delete a contact. Undo brings it back."""
    batch = store().delete([contact_id])
    if batch is None:
        raise NoSuchContact(contact_id)
    return changed(batch)


@contacts.post("/contacts/<int:contact_id>")
def plain_form(contact_id: int) -> Response:
    """What a plain form, which knows only GET and POST, means by its field `_method`."""
    method = request.form.get("_method")
    if method not in ("PUT", "DELETE"):
        raise MethodNotAllowed(["GET", "PUT", "DELETE"])
    return update(contact_id) if method == "PUT" else delete(contact_id)


@contacts.post("/undo/<int:batch_id>")
def undo(batch_id: int) -> Response:
    """Undo a batch as a new one. 409, with a question, when a contact has changed since."""
    try:
        batch = store().undo(batch_id, partly=bool(request.form.get("partly")))
    except UndoConflict as conflict:
        context = {"plan": conflict.plan, "query": current_list()}
        if not g.htmx.wants_fragment:
            return page("undo.html", 409, **context)
        retarget = {"HX-Retarget": "#question", "HX-Reswap": "innerHTML"}
        return fragment("question", 409, retarget, template="undo.html", **context)
    return changed(batch)


# ---- the rest of the site


@site.get("/")
def home() -> Response:
    """The list is the home page."""
    return see_other(url_for("contacts.index"))


@site.get("/dashboard")
def dashboard() -> Response:
    """The shell at once, then each section the moment it is ready; with `?section=` that one alone."""
    settings: Settings = current_app.config["SETTINGS"]
    staging = pages.Staging.of(settings, request.args.get("slow", ""), request.args.get("fail", ""))
    wanted = request.args.get("section", "")
    if wanted and g.htmx.wants_fragment:
        if wanted not in pages.SECTIONS:
            abort(404)
        part = pages.load(wanted, store(), staging)
        return fragment("section", template="dashboard.html", part=part)
    sections = as_ready(store(), staging)
    stream = stream_template(
        "dashboard.html", here="dashboard", toasts=[], seq=store().settled(), sections=sections
    )
    return Response(stream)


def as_ready(store: ContactStore, staging: pages.Staging) -> Iterator[Section]:
    """The sections, loaded at the same time, in the order in which they are ready."""
    with ThreadPoolExecutor(len(pages.SECTIONS)) as pool:
        loading = [pool.submit(pages.load, name, store, staging) for name in pages.SECTIONS]
        for future in as_completed(loading):
            yield future.result()


@site.get("/live")
def live() -> Response:
    """Says up to where the log reaches, once that has changed, and ends.

    The browser asks again after `retry`, and says with Last-Event-ID what it has seen. A stream
    takes one of Gunicorn's threads as long as it lasts: so it lasts for seconds only, and
    while others have taken half of the threads it does not wait at all.
    """
    said = request.headers.get("Last-Event-ID") or request.args.get("after") or ""
    seen = whole(said) if said.isdecimal() else store().settled()
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(stream_with_context(news(seen)), mimetype="text/event-stream", headers=headers)


def news(seen: int) -> Iterator[str]:
    """The events of a window that has seen the log so far."""
    yield f"event: beat\nid: {seen}\nretry: {RETRY}\ndata:\n\n"
    end = monotonic() + WAIT
    if waiting.acquire(blocking=False):
        try:
            while store().settled() == seen and monotonic() < end:
                sleep(LOOK)
        finally:
            waiting.release()
    if (settled := store().settled()) != seen:
        yield f"event: changed\nid: {settled}\ndata: {settled}\n\n"


@site.get("/hello")
def hello() -> Response:
    """The smallest handler there is."""
    return Response("Hello from Contacts.", mimetype="text/plain")


@site.get("/health")
def health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@site.get("/ready")
def ready() -> tuple[dict[str, str], int]:
    """Whether the store can be used."""
    try:
        store().check()
    except StoreUnavailable as unavailable:
        return {"status": "unavailable", "store": str(unavailable)}, 503
    return {"status": "ok", "store": "ok"}, 200


# ---- before and after every request


def read_htmx() -> None:
    """Make htmx's headers known to the handler."""
    g.htmx = Htmx(request.headers.items())


def refuse_cross_site_writes() -> None:
    """403 for a write that a page of another site sent."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if request.method not in pages.SAFE_METHODS and pages.is_cross_site(headers):
        abort(403, pages.FROM_ELSEWHERE)


def refuse_other_bodies() -> None:
    """415 or 400 for a body that is no form, which Flask reads as an empty one."""
    if problem := pages.unreadable(request.method, request.content_type or ""):
        abort(*problem)


def add_headers(response: Response) -> Response:
    """The security headers for every answer, and the caching rules of HTML."""
    response.headers.update(pages.HEADERS)
    if response.mimetype == "text/html":
        for name, value in pages.HTML_HEADERS.items():
            response.headers.setdefault(name, value)
        response.vary.add("HX-Request")
    return response


def http_error(error: HTTPException) -> Response:
    """An error of HTTP, such as an address that there is not."""
    if error.code is None or error.code < 400:  # a redirect of the router
        return cast("Response", error.get_response())
    response = error_answer(error.code, pages.explain(error.code, error.description))
    if allow := dict(error.get_headers()).get("Allow"):
        response.headers["Allow"] = allow
    return response


def our_error(error: Exception) -> Response:
    """An error of the contacts or the store, or one that nobody foresaw."""
    status, message, headers = pages.explain_ours(error)
    return error_answer(status, message, headers)


def error_answer(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A page; for htmx an event that app.js shows."""
    if g.htmx.wants_fragment:
        return make_response("", status, pages.problem_event(message) | (headers or {}))
    response = page("error.html", status, message=message)
    response.headers.update(headers or {})
    return response


# ---- answers


def store() -> ContactStore:
    """The store of this app."""
    return cast("ContactStore", current_app.extensions["contacts"])


def own_list() -> ListQuery:
    """The list that the request's own URL describes."""
    return ListQuery.from_params(request.args, tuple(request.args.getlist("tag")))


def current_list() -> ListQuery:
    """The list that the person is looking at."""
    return cast("Htmx", g.htmx).current_list(own_list())


def page(template: str, status: int = 200, **context: object) -> Response:
    """A whole page, with the messages that were flashed."""
    flashed = cast("list[tuple[str, str]]", get_flashed_messages(with_categories=True))
    toasts = [(message, link(f"/undo/{batch}", current_list())) for batch, message in flashed]
    response = make_response(render_template(template, status=status, toasts=toasts, **context), status)
    if toasts:
        response.cache_control.no_store = True  # or the back button would show the message again
    return response


def fragment(
    block: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
    template: str = INDEX,
    **context: object,
) -> Response:
    """One block of a template, for htmx."""
    return make_response(render_block(template, block, **context), status, headers or {})


def see_other(path: str) -> Response:
    """303, so that a reload after a form does not send it again."""
    return cast("Response", redirect(path, code=303))


def to_list(batch: Batch | None) -> Response:
    """Back to the list, where a message tells of the batch. Its category is the batch to undo."""
    if batch:
        flash(str(batch), str(batch.id))
    return see_other(link("/contacts", current_list()))


def changed(batch: Batch | None, saved: str = "") -> Response:
    """The answer to a change: the new table and count, or a redirect. saved: the form that is done."""
    if not g.htmx:
        return to_list(batch)
    query = current_list()
    headers = pages.event(store(), batch)
    if saved:
        headers |= g.htmx.push(link("/contacts", query))
    context = pages.changed_context(store(), query, batch, whole(request.form.get("rows")))
    closes = bool(saved) and not saved.startswith("edit-")
    return fragment("changed", headers=headers, closes=closes, **context)


def wrong_form(status: int, form: Form) -> Response:
    """The add form with what was typed and what is wrong with it."""
    query = current_list()
    if not g.htmx.wants_fragment:
        return page(INDEX, status, **pages.context_in_trouble(store(), query, form=form))
    retarget = {"HX-Retarget": "#form-section", "HX-Reswap": "innerHTML"}
    return fragment("contact_form", status, retarget, form=form, query=query)


def wrong_editor(status: int, editor: Form) -> Response:
    """The editor with what was typed and what is wrong with it; of a deleted contact the add form."""
    query = current_list()
    if g.htmx.wants_fragment:
        block = "conflict_row" if status == 409 else "edit_row"
        retarget = {"HX-Retarget": f"#contact-{editor.contact_id}", "HX-Reswap": "outerHTML"}
        return fragment(block, status, retarget, editor=editor, query=query)
    if editor.gone:
        return wrong_form(status, Form(editor.draft, problem=editor.problem))
    return page(INDEX, status, **pages.context_in_trouble(store(), query, editor=editor))
