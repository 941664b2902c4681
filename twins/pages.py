"""What is neither Flask's nor FastAPI's: htmx's headers, what a page shows, what an error says.

The Chirp app has the same in app.web; here it is without Chirp, and without what the twins leave out.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.contacts.changes import Batch
from app.contacts.contact import (
    FIELDS,
    ContactDraft,
    ContactError,
    EditConflict,
    InvalidContact,
    NoSuchBatch,
    NoSuchContact,
    email_taken,
    split_tags,
)
from app.contacts.listing import ContactPage, ListQuery, terms
from app.contacts.samples import samples
from app.settings import Settings
from app.store import ContactStore, StoreUnavailable, open_store
from app.web.editor import Conflict, Form
from app.web.view import GLOBALS

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "twins" / "templates"
STATIC = ROOT / "static"
INDEX = "contacts/index.html"

BODY_LIMIT = 1_048_576  # bytes, as in the Chirp app
ROWS_LIMIT = 500
SLOWEST = 10.0  # seconds that ?slow= may ask for
YEAR = 31_536_000  # seconds

# Who may show these pages in a frame: nobody, but for the page of `python -m twins`.
FRAMED_BY = os.environ.get("TWINS_FRAMED_BY", "'none'")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'self'; form-action 'self'; "
    f"frame-ancestors {FRAMED_BY}; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HTML_HEADERS = {"Vary": "HX-Request", "Cache-Control": "private, no-cache"}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FROM_ELSEWHERE = "This change came from another site, so it was refused."
DELETED = "Contact not found: it was deleted meanwhile. Save to add it again."


def open_with_samples(settings: Settings) -> ContactStore:
    """Open the settings' store; a store in which nothing ever happened gets the sample contacts.

    The calling thread holds no connection afterwards, so the process may fork.
    """
    store = open_store(settings.store)
    if settings.sample and store.last_change() == 0:
        store.import_many(samples(settings.sample), kind="sample")
    store.close_worker()
    return store


def processes(settings: Settings) -> int:
    """How many processes serve: as many as there are workers, but one shares no memory with another."""
    return 1 if settings.store == "memory:" else settings.workers


# ---- templates


@cache
def static(name: str) -> str:
    """The URL of a static file, with its fingerprint."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


TEMPLATE_GLOBALS = {"static": static} | {function.__name__: function for function in GLOBALS}


def max_age(name: str, version: str | None) -> int | None:
    """How many seconds a browser may keep a static file; None: it asks each time."""
    return YEAR if version or name.startswith("vendor/") else None


# ---- htmx and the list on the screen


class Htmx:
    """What htmx says in the headers of a request."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self._headers = {name.lower(): value for name, value in headers}

    def __bool__(self) -> bool:
        """Whether htmx sent the request at all."""
        return self._headers.get("hx-request") == "true"

    @property
    def wants_fragment(self) -> bool:
        """Whether it wants a part of a page: not when it follows a link or restores its history."""
        whole_page = self._headers.keys() & {"hx-boosted", "hx-history-restore-request"}
        return bool(self) and not whole_page

    @property
    def trigger(self) -> str:
        """The id of the element that sent it."""
        return self._headers.get("hx-trigger", "")

    @property
    def trigger_name(self) -> str:
        """The name of the field that sent it."""
        return self._headers.get("hx-trigger-name", "")

    def current_list(self, own: ListQuery) -> ListQuery:
        """The list that the person is looking at: that of the address bar, else that of the request's URL."""
        if not self._headers.get("hx-current-url"):
            return own
        pairs = parse_qsl(self._address()[1], keep_blank_values=True)
        tags = tuple(value for name, value in pairs if name == "tag")
        return ListQuery.from_params(dict(reversed(pairs)), tags)

    def push(self, path: str) -> dict[str, str]:
        """The header that puts a path in the address bar; none when it stands there already."""
        current, query = self._address()
        there = path == (f"{current}?{query}" if query else current)
        return {"HX-Push-Url": path} if self.wants_fragment and not there else {}

    def _address(self) -> tuple[str, str]:
        try:
            url = urlsplit(self._headers.get("hx-current-url", ""))
        except ValueError:
            return "", ""
        return url.path, url.query


def unreadable(method: str, content_type: str) -> tuple[int, str] | None:
    """Status and message for a body that is no form; None for one that may be."""
    kind, _, rest = content_type.lower().partition(";")
    if method in SAFE_METHODS or kind == "application/x-www-form-urlencoded" or not kind:
        return None
    if kind == "multipart/form-data":
        return None if "boundary=" in rest else (400, "The form could not be read. Please send it again.")
    return 415, "Send the fields as a form."


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site sent the request. headers: with names in lower case."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def whole(text: object) -> int:
    """An id, a version or a number of rows as a form or URL names it; 0 for anything else."""
    text = str(text)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def as_long(query: ListQuery, rows: int) -> ListQuery:
    """The same list with so many rows at once, within reason."""
    return replace(query, limit=min(max(rows, query.limit), ROWS_LIMIT))


def list_context(
    store: ContactStore, query: ListQuery, *, form: Form | None = None, editor: Form | None = None
) -> dict[str, Any]:
    """Everything that contacts/index.html and its blocks show."""
    return {
        "seq": store.settled(),  # before the list is read, which may then only be newer
        "page": store.list(query),
        "count": store.count(),
        "tags": store.tags(),
        "query": query,
        "wanted": terms(query.text),
        "form": form,
        "editor": editor,
        "here": "contacts",
    }


def context_in_trouble(store: ContactStore, query: ListQuery, **forms: Form | None) -> dict[str, Any]:
    """The list behind a form that could not be saved: empty if not even the list can be read."""
    try:
        return list_context(store, query, **forms)
    except StoreUnavailable:
        empty = {"seq": 0, "page": ContactPage((), 0, None), "count": 0, "tags": (), "here": "contacts"}
        return empty | {"query": query, "wanted": (), "form": None, "editor": None} | forms


def changed_context(store: ContactStore, query: ListQuery, batch: Batch | None, rows: int) -> dict[str, Any]:
    """The list after a change, as long as it was on the screen. rows: how many it had there."""
    if batch and batch.first.before is None:
        rows += batch.size  # those that are new or back are to be seen, too
    return list_context(store, as_long(query, rows))


def event(store: ContactStore, batch: Batch | None, nothing: str = "Nothing to change") -> dict[str, str]:
    """The HX-Trigger header for a batch: app.js answers the event with a toast."""
    name = "contactUpdated"
    detail: dict[str, object] = {"target": "body", "message": str(batch or nothing), "count": store.count()}
    if batch:
        detail["undo"] = f"/undo/{batch.id}"
        if batch.size == 1:
            detail["contact"] = batch.first.contact_id
        if batch.first.before is None:
            name = "contactCreated"
        elif batch.first.after is None:
            name = "contactDeleted"
    return {"HX-Trigger": json.dumps({name: detail})}


# ---- forms


def checked(draft: ContactDraft, contact_id: int, store: ContactStore) -> Form:
    """A form with every message that saving it now would bring. contact_id: 0 in the add form."""
    form = Form(draft, contact_id)
    try:
        draft.clean()
    except InvalidContact as invalid:
        form = replace(form, errors=invalid.errors)
    by = store.find_email(" ".join(draft.email.split()))
    if by and by.id != contact_id and "email" not in form.errors:
        form = replace(form, errors=form.errors | email_taken(by).errors, taken_by=by)
    return form


def is_field(name: str) -> bool:
    """Whether a form has a field of this name."""
    return name in FIELDS


def refused(store: ContactStore, form: Form, error: Exception) -> tuple[int, Form]:
    """Status and form to send back when a form could not be saved."""
    match error:
        case InvalidContact():
            return 422, replace(form, errors=error.errors, taken_by=error.taken_by)
        case EditConflict(current=theirs) if theirs:
            original = store.version(form.contact_id, form.version)
            both = Conflict.of(original, theirs, form.draft.clean())
            return 409, replace(form, draft=both.merged, conflict=both, version=theirs.version)
        case NoSuchContact():
            return 404, replace(form, problem=DELETED, gone=True)
        case StoreUnavailable():
            return 503, replace(form, problem=str(error))
    log.error("a contact could not be saved", exc_info=error)
    problem = "Something went wrong on our side, and nothing was saved. What you typed is still here."
    return 500, replace(form, problem=problem)


# ---- many contacts at once


class CannotChangeMany(ContactError):
    """What is wrong with a change of many contacts. status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def change_many(store: ContactStore, ids: Sequence[int], do: str, tag: str) -> Batch | None:
    """Delete, tag or untag these contacts as one batch; tag: as typed, maybe several. CannotChangeMany."""
    tags = split_tags(tag)
    if not any(ids):
        raise CannotChangeMany(422, "Select the contacts first, by the boxes in front of their names.")
    if do in ("tag", "untag") and not tags:
        raise CannotChangeMany(422, "Write the tag first.")
    try:
        match do:
            case "delete":
                return store.delete(ids)
            case "tag":
                return store.tag(ids, add=tags)
            case "untag":
                return store.tag(ids, remove=tags)
    except InvalidContact as invalid:
        raise CannotChangeMany(422, "Nothing was changed. " + " ".join(invalid.errors.values())) from invalid
    raise CannotChangeMany(400, "There is no such action.")


# ---- errors


def explain(status: int, detail: str | None = None) -> str:
    """What an error of HTTP says to a person."""
    messages = {404: "There is nothing at this address.", 405: "This address cannot do that."}
    return messages.get(status) or detail or "Something went wrong on our side. Please try again."


def explain_ours(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, a message that says what to do, and headers, for an exception of contacts or store."""
    match error:
        case NoSuchContact(contact_id=contact_id):
            # htmx takes the row away, which is all that is left of the contact.
            row_goes = {"HX-Retarget": f"#contact-{contact_id}", "HX-Reswap": "delete"}
            return 404, "Contact not found. It may have been deleted.", row_goes
        case NoSuchBatch():
            return 404, str(error), {}
        case CannotChangeMany(status=status):
            return status, str(error), {}
        case InvalidContact(errors=errors):
            return 409, "This cannot be done: " + " ".join(errors.values()), {}
        case EditConflict():
            return 409, "A contact has changed meanwhile. Please look at it again.", {}
        case StoreUnavailable():
            return 503, str(error), {"Retry-After": "5"}
    log.error("a request failed", exc_info=error)
    return 500, explain(500), {}


def problem_event(message: str) -> dict[str, str]:
    """Headers for htmx: nothing is swapped, so whatever is on the page stays; app.js shows the message."""
    detail = {"problem": {"target": "body", "message": message}}
    return {"HX-Reswap": "none", "HX-Trigger": json.dumps(detail)}


# ---- the dashboard


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the dashboard. data: None when it failed; then `problem` says why."""

    name: str
    data: object = None
    problem: str = ""


SECTIONS = {
    "totals": lambda store: store.statistics(),
    "activity": lambda store: store.batches(12),
}


@dataclass(frozen=True, slots=True)
class Staging:
    """What a person may ask of the dashboard, to watch it. slow: seconds. fail: a section."""

    slow: float = 0.0
    fail: str = ""

    @classmethod
    def of(cls, settings: Settings, slow: str, fail: str) -> Staging:
        """What a URL asks for, where the settings allow it."""
        try:
            seconds = float(slow or 0)
        except ValueError:
            seconds = 0.0
        return cls(min(max(seconds, 0.0), SLOWEST), fail) if settings.can_stage else cls()


def load(name: str, store: ContactStore, staging: Staging) -> Section:
    """Load one section, on a thread of its own; whatever goes wrong in it stays in it."""
    try:
        # Half the time for the first, all of it for the last.
        time.sleep(staging.slow * (list(SECTIONS).index(name) + 1) / len(SECTIONS))
        if staging.fail == name:
            raise RuntimeError(f"the section {name} was asked to fail")
        return Section(name, SECTIONS[name](store))
    except StoreUnavailable as unavailable:
        return Section(name, problem=str(unavailable))
    except Exception:
        log.exception("dashboard section %s failed", name)
        return Section(name, problem="This section could not be loaded.")
    finally:
        store.close_worker()  # the thread is not one of those that serve requests
