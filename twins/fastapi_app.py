"""The FastAPI twin: routers, dependencies, Pydantic models, Jinja2, native server-sent events.

Handlers are `async def` and call the store inline: it answers in microseconds, and so one event loop needs
one connection. On FastAPI's pool of threads, which is for libraries that block, every thread would open
its own, and threads that the pool ends give none back. What may take long goes to a thread on purpose.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Form, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader
from jinja2_fragments.fastapi import Jinja2Blocks
from pydantic import BaseModel, BeforeValidator
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.contacts.changes import Batch, UndoConflict
from app.contacts.contact import ContactDraft, ContactError, NoSuchContact, split_tags
from app.contacts.listing import ListQuery, milliseconds
from app.settings import Settings
from app.store import ContactStore, StoreError, StoreUnavailable
from app.web import editor as forms
from app.web.view import link
from twins import pages
from twins.pages import INDEX, Htmx, Section, whole

LOOK = 0.2  # seconds between two looks at the log
BEAT = 10.0  # seconds of silence after which a stream says that it is alive
RETRY = 1_000  # milliseconds after which a browser that lost its stream asks for it again
INLINE = 200  # contacts that are changed at once; more of them are changed on a thread
PATH_LIMIT = 1_000  # characters: a number of 4,300 digits is none for Python
ERRORS = (StarletteHTTPException, RequestValidationError, ContactError, StoreError, Exception)

templates = Jinja2Blocks(
    env=Environment(
        loader=FileSystemLoader(pages.TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
)
templates.env.globals.update(pages.TEMPLATE_GLOBALS)
streamed = templates.env.overlay(enable_async=True)

contacts = APIRouter(prefix="/contacts", tags=["contacts"])
site = APIRouter(tags=["site"])


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, its store open and migrated. CannotOpen or BadSetting says what is wrong."""
    settings = settings or Settings.from_env()
    app = FastAPI(title="Contacts", lifespan=lifespan, default_response_class=HTMLResponse)
    app.state.settings = settings
    app.state.store = pages.open_with_samples(settings)
    app.add_middleware(Security)
    for kind in ERRORS:
        app.add_exception_handler(kind, error_answer)
    app.include_router(contacts)
    app.include_router(site)
    app.mount("/static", Static(directory=pages.STATIC), name="static")
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the connection of the event loop's thread, and close the store at the end."""
    app.state.store.open_worker()
    yield
    app.state.store.close()


class Static(StaticFiles):
    """Static files, and how long browsers keep them."""

    def file_response(
        self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        age = pages.max_age(scope["path"].removeprefix("/static/"), Request(scope).query_params.get("v"))
        response.headers["Cache-Control"] = f"public, max-age={age}, immutable" if age else "no-cache"
        return response


# ---- dependencies: what a handler asks for by the type of its parameters


def get_store(request: Request) -> ContactStore:
    """The store of this app."""
    return cast("ContactStore", request.app.state.store)


def get_htmx(request: Request) -> Htmx:
    """What htmx says about the request."""
    return Htmx(request.headers.items())


def own_list(
    q: str = "",
    tag: Annotated[list[str], Query(default_factory=list)] = ...,  # type: ignore[assignment]
    only: str = "",
    sort: str = "name",
    dir: str = "",
    after: str = "",
) -> ListQuery:
    """The list that the request's own URL describes."""
    asked = {"q": q, "only": only, "sort": sort, "dir": dir, "after": after}
    return ListQuery.from_params({name: text for name, text in asked.items() if text}, tuple(tag))


Store = Annotated[ContactStore, Depends(get_store)]
FromHtmx = Annotated[Htmx, Depends(get_htmx)]
OwnList = Annotated[ListQuery, Depends(own_list)]
Whole = Annotated[int, BeforeValidator(whole)]
Rows = Annotated[Whole, Form()]


class Screen:
    """The request with the list that the person is looking at, and the kinds of answer there are."""

    def __init__(self, request: Request, store: Store, htmx: FromHtmx, own: OwnList) -> None:
        self.request = request
        self.store = store
        self.htmx = htmx
        self.query = htmx.current_list(own)

    def page(
        self, template: str, status: int = 200, *, done: Batch | None = None, **context: object
    ) -> Response:
        """A whole page. done: the batch whose message it shows, this once."""
        toasts = [(str(done), link(f"/undo/{done.id}", self.query))] if done else []
        context |= {"toasts": toasts, "status": status}
        response = templates.TemplateResponse(self.request, template, context, status)
        if done:
            seen = f"{milliseconds(done.at)}.{done.id}"
            response.set_cookie("seen", seen, httponly=True, samesite="lax")
            response.headers["Cache-Control"] = "no-store"  # or the back button would show it again
        return response

    def fragment(
        self,
        block: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        template: str = INDEX,
        **context: object,
    ) -> Response:
        """One block of a template, for htmx."""
        return templates.TemplateResponse(self.request, template, context, status, headers, block_name=block)

    def to_list(self, batch: Batch | None) -> Response:
        """Back to the list, whose URL names the batch to tell of. 303, so that a reload sends nothing."""
        url = link("/contacts", self.query)
        if batch:
            url += f"{'&' if '?' in url else '?'}done={batch.id}"
        return RedirectResponse(url, 303)

    def changed(self, batch: Batch | None, rows: int, saved: str = "") -> Response:
        """The answer to a change: the new table and count, or a redirect. saved: the form that is done."""
        if not self.htmx:
            return self.to_list(batch)
        headers = pages.event(self.store, batch)
        if saved:
            headers |= self.htmx.push(link("/contacts", self.query))
        context = pages.changed_context(self.store, self.query, batch, rows)
        closes = bool(saved) and not saved.startswith("edit-")
        return self.fragment("changed", headers=headers, closes=closes, **context)

    def wrong_form(self, status: int, form: forms.Form) -> Response:
        """The add form with what was typed and what is wrong with it."""
        if not self.htmx.wants_fragment:
            return self.page(INDEX, status, **pages.context_in_trouble(self.store, self.query, form=form))
        retarget = {"HX-Retarget": "#form-section", "HX-Reswap": "innerHTML"}
        return self.fragment("contact_form", status, retarget, form=form, query=self.query)

    def wrong_editor(self, status: int, editor: forms.Form) -> Response:
        """The editor with what was typed and what is wrong with it; of a deleted contact the add form."""
        if self.htmx.wants_fragment:
            block = "conflict_row" if status == 409 else "edit_row"
            retarget = {"HX-Retarget": f"#contact-{editor.contact_id}", "HX-Reswap": "outerHTML"}
            return self.fragment(block, status, retarget, editor=editor, query=self.query)
        if editor.gone:
            return self.wrong_form(status, forms.Form(editor.draft, problem=editor.problem))
        return self.page(INDEX, status, **pages.context_in_trouble(self.store, self.query, editor=editor))


OnScreen = Annotated[Screen, Depends()]


class ContactForm(BaseModel):
    """What a contact form sends. Pydantic reads it; the rules and their messages are those of ContactDraft,
    since a wrong form has to come back with all that was typed."""

    name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    tags: str = ""
    notes: str = ""
    contact: Whole = 0
    version: Whole = 0
    rows: Whole = 0
    field: str = ""
    method: Annotated[str, Form(alias="_method")] = ""

    @property
    def draft(self) -> ContactDraft:
        """The contact that it describes."""
        texts = self.model_dump(include={"name", "email", "phone", "company", "notes"})
        return ContactDraft(**texts, tags=split_tags(self.tags))


Sent = Annotated[ContactForm, Form()]


class BulkForm(BaseModel):
    """What the form below the list sends. id: of the contacts that are ticked."""

    id: list[Whole] = []
    all: str = ""
    do: str = ""
    tag: str = ""
    rows: Whole = 0


# ---- the contacts


@contacts.get("")
@contacts.get("/search")
async def index(
    screen: OnScreen, own: OwnList, rows: Annotated[Whole, Query()] = 0, done: Annotated[Whole, Query()] = 0
) -> Response:
    """The list; for htmx the table, or only the rows behind `after` when it loads more."""
    query = pages.as_long(own, rows)
    context = pages.list_context(screen.store, query)
    if not screen.htmx.wants_fragment:
        return screen.page(INDEX, done=message_to_show(screen, done), **context)
    if query.after:
        return screen.fragment("contact_rows", **context)
    return screen.fragment("contact_table", headers=screen.htmx.push(link("/contacts", query)), **context)


@contacts.get("/new")
async def new(screen: OnScreen) -> Response:
    """The add form, on the list for a plain browser."""
    if screen.htmx.wants_fragment:
        address = screen.htmx.push(link("/contacts/new", screen.query))
        return screen.fragment("contact_form", headers=address, form=forms.Form(), query=screen.query)
    return screen.page(INDEX, **pages.list_context(screen.store, screen.query, form=forms.Form()))


@contacts.post("")
async def create(screen: OnScreen, sent: Sent) -> Response:
    """Add a contact; a wrong form comes back filled in, with 422."""
    try:
        _, batch = screen.store.add(sent.draft)
    except Exception as error:
        return screen.wrong_form(*pages.refused(screen.store, forms.Form(sent.draft), error))
    # The editor of a contact that was deleted meanwhile comes here, too.
    return screen.changed(batch, sent.rows, saved=screen.htmx.trigger or "contact-form")


@contacts.post("/check")
async def check(screen: OnScreen, sent: Sent) -> Response:
    """What is wrong with the field that a person has just left."""
    name = screen.htmx.trigger_name or sent.field
    if not pages.is_field(name):
        raise HTTPException(400, "There is no such field.")
    form = pages.checked(sent.draft, sent.contact, screen.store)
    return screen.fragment("checked", form=form, name=name)


@contacts.post("/bulk")
async def bulk(screen: OnScreen, sent: Annotated[BulkForm, Form()]) -> Response:
    """Delete, tag or untag the contacts that are ticked, or with `all` those that match the list."""
    ids = screen.store.ids(screen.query) if sent.all else sent.id
    change = partial(pages.change_many, screen.store, ids, sent.do, sent.tag)
    batch = change() if len(ids) <= INLINE else await on_thread(change, screen.store)
    return screen.changed(batch, sent.rows)


@contacts.get("/{contact_id:int}")
async def show(screen: OnScreen, contact_id: int) -> Response:
    """The detail page; for htmx the row, which is how an editor is left."""
    store, query = screen.store, screen.query
    seq, contact = store.settled(), store.get(contact_id)
    if screen.htmx.wants_fragment:
        address = screen.htmx.push(link("/contacts", query))
        return screen.fragment("contact_row", headers=address, contact=contact, query=query, focus=True)
    previous, following = store.neighbours(query, contact_id)
    return screen.page(
        "contacts/show.html",
        here="contacts",
        seq=seq,
        contact=contact,
        query=query,
        previous=previous,
        following=following,
        history=store.history(contact_id),
    )


@contacts.get("/{contact_id:int}/edit")
async def edit(screen: OnScreen, contact_id: int) -> Response:
    """The row as an editor, in the list for a plain browser."""
    contact = screen.store.get(contact_id)
    editor = forms.Form(ContactDraft.of(contact), contact.id, contact.version)
    if screen.htmx.wants_fragment:
        address = screen.htmx.push(link(f"/contacts/{contact_id}/edit", screen.query))
        return screen.fragment("edit_row", headers=address, editor=editor, query=screen.query)
    return screen.page(INDEX, **pages.list_context(screen.store, screen.query, editor=editor))


@contacts.put("/{contact_id:int}")
async def update(screen: OnScreen, contact_id: int, sent: Sent) -> Response:
    """Save the editor: 422 for broken rules, 409 and 404 when someone else was faster."""
    store, htmx, query = screen.store, screen.htmx, screen.query
    editor = forms.Form(sent.draft, contact_id, sent.version)
    try:
        contact, batch = store.update(contact_id, sent.draft, sent.version)
    except Exception as error:
        return screen.wrong_editor(*pages.refused(store, editor, error))
    if not htmx:
        return screen.to_list(batch)
    headers = pages.event(store, batch, f"Nothing to save: {contact.name} is unchanged")
    headers |= htmx.push(link("/contacts", query))
    return screen.fragment(
        "saved_row", headers=headers, contact=contact, query=query, focus=True, count=store.count()
    )


@contacts.delete("/{contact_id:int}")
async def delete(screen: OnScreen, contact_id: int, rows: Rows = 0) -> Response:
    """Delete a contact. Undo brings it back."""
    batch = screen.store.delete([contact_id])
    if batch is None:
        raise NoSuchContact(contact_id)
    return screen.changed(batch, rows)


@contacts.post("/{contact_id:int}")
async def plain_form(screen: OnScreen, contact_id: int, sent: Sent) -> Response:
    """What a plain form, which knows only GET and POST, means by its field `_method`."""
    if sent.method == "PUT":
        return await update(screen, contact_id, sent)
    if sent.method == "DELETE":
        return await delete(screen, contact_id, sent.rows)
    raise HTTPException(405, headers={"Allow": "GET, PUT, DELETE"})


@site.post("/undo/{batch_id:int}")
async def undo(
    screen: OnScreen, batch_id: int, rows: Rows = 0, partly: Annotated[str, Form()] = ""
) -> Response:
    """Undo a batch as a new one. 409, with a question, when a contact has changed since."""
    try:
        change = partial(screen.store.undo, batch_id, partly=bool(partly))
        batch = await on_thread(change, screen.store)
    except UndoConflict as conflict:
        context: dict[str, Any] = {"plan": conflict.plan, "query": screen.query}
        if not screen.htmx.wants_fragment:
            return screen.page("undo.html", 409, **context)
        retarget = {"HX-Retarget": "#question", "HX-Reswap": "innerHTML"}
        return screen.fragment("question", 409, retarget, template="undo.html", **context)
    return screen.changed(batch, rows)


async def on_thread[T](change: Callable[[], T], store: ContactStore) -> T:
    """Make a change on a thread, which a large one keeps for seconds; its connection is given back."""

    def run() -> T:
        try:
            return change()
        finally:
            store.close_worker()

    return await asyncio.to_thread(run)


def message_to_show(screen: Screen, number: int) -> Batch | None:
    """The batch that `?done=` names, once: a cookie says which was the newest that was shown."""
    batch = screen.store.batch(number) if number else None
    if batch is None or batch.undone_by:
        return None
    time, _, shown = screen.request.cookies.get("seen", "").partition(".")
    return batch if (milliseconds(batch.at), batch.id) > (whole(time), whole(shown)) else None


# ---- the rest of the site


@site.get("/")
async def home() -> Response:
    """The list is the home page."""
    return RedirectResponse("/contacts", 303)


@site.get("/dashboard")
async def dashboard(screen: OnScreen, slow: str = "", fail: str = "", section: str = "") -> Response:
    """The shell at once, then each section the moment it is ready; with `?section=` that one alone."""
    staging = pages.Staging.of(screen.request.app.state.settings, slow, fail)
    if section and screen.htmx.wants_fragment:
        if section not in pages.SECTIONS:
            raise HTTPException(404)
        part = await asyncio.to_thread(pages.load, section, screen.store, staging)
        return screen.fragment("section", template="dashboard.html", part=part)
    stream = streamed.get_template("dashboard.html").generate_async(
        here="dashboard",
        toasts=[],
        seq=screen.store.settled(),
        sections=as_ready(screen.store, staging),
    )
    return StreamingResponse(stream, media_type="text/html")


async def as_ready(store: ContactStore, staging: pages.Staging) -> AsyncIterator[Section]:
    """The sections, loaded at the same time, in the order in which they are ready."""
    loading = [asyncio.to_thread(pages.load, name, store, staging) for name in pages.SECTIONS]
    for section in asyncio.as_completed(loading):
        yield await section


@site.get("/live", response_class=EventSourceResponse)
async def live(
    store: Store, after: str = "", last_event_id: Annotated[str, Header()] = ""
) -> AsyncIterator[ServerSentEvent]:
    """Says up to where the log reaches, whenever that changes."""
    said = last_event_id or after
    seen = whole(said) if said.isdecimal() else store.settled()
    yield ServerSentEvent(raw_data="", event="beat", id=str(seen), retry=RETRY)
    silence = 0.0
    while True:
        settled = seen
        with suppress(StoreUnavailable):  # pages and /ready say so, and it may pass
            settled = store.settled()
        if settled != seen:
            seen, silence = settled, 0.0
            yield ServerSentEvent(raw_data=str(seen), event="changed", id=str(seen))
        elif silence >= BEAT:
            silence = 0.0
            yield ServerSentEvent(raw_data="", event="beat")
        await asyncio.sleep(LOOK)
        silence += LOOK


@site.get("/hello", response_class=PlainTextResponse)
async def hello() -> Response:
    """The smallest handler there is."""
    return PlainTextResponse("Hello from Contacts.")


@site.get("/health", response_class=JSONResponse)
async def health() -> JSONResponse:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@site.get("/ready", response_class=JSONResponse)
async def ready(store: Store) -> JSONResponse:
    """Whether the store can be used."""
    try:
        store.check()
    except StoreUnavailable as unavailable:
        return JSONResponse({"status": "unavailable", "store": str(unavailable)}, 503)
    return JSONResponse({"status": "ok", "store": "ok"})


# ---- before and after every request


class Security:
    """Middleware: refuses writes from other sites, and adds the security headers and caching rules."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        refusal = None
        if scope["method"] not in pages.SAFE_METHODS and pages.is_cross_site(headers):
            refusal = HTTPException(403, pages.FROM_ELSEWHERE)
        elif whole(headers.get("content-length", "0")) > pages.BODY_LIMIT:
            refusal = HTTPException(413, "This is too large.")
        elif problem := pages.unreadable(scope["method"], headers.get("content-type", "")):
            refusal = HTTPException(*problem)
        elif len(scope["path"]) > PATH_LIMIT:
            refusal = HTTPException(404)
        if refusal:
            answer: ASGIApp = await error_answer(Request(scope), refusal)
        else:
            answer = self.app
        await answer(scope, receive, send_with_headers)


def add_headers(headers: MutableHeaders, path: str = "") -> None:
    """The security headers for every answer, and the caching rules of HTML."""
    headers.update(pages.HEADERS)
    if path == "/docs":  # FastAPI's page brings its script from elsewhere, and starts it inline
        headers["Content-Security-Policy"] = "default-src 'self' https: data: 'unsafe-inline'"
    if headers.get("content-type", "").startswith("text/html"):
        for name, value in pages.HTML_HEADERS.items():
            headers.setdefault(name, value)


async def error_answer(request: Request, error: Exception) -> Response:
    """A page; for htmx an event that app.js shows; for a program a problem in JSON (RFC 9457)."""
    headers: dict[str, str] = {}
    match error:
        case StarletteHTTPException():
            status, message = error.status_code, pages.explain(error.status_code, error.detail)
            headers.update(error.headers or {})
        case RequestValidationError():
            status, message = 422, "The form could not be read. Please send it again."
        case _:
            status, message, headers = pages.explain_ours(error)
    htmx = get_htmx(request)
    if htmx.wants_fragment:
        response = Response("", status, pages.problem_event(message) | headers, "text/html")
    elif "application/json" in request.headers.get("accept", ""):
        body = {"title": message, "status": status}
        response = JSONResponse(body, status, headers, "application/problem+json")
    else:
        context = {"status": status, "message": message, "toasts": []}
        response = templates.TemplateResponse(request, "error.html", context, status, headers)
    add_headers(response.headers)  # an error of 500 passes by our middleware
    return response
