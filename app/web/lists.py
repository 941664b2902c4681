"""The list on the screen: which one it is, what it shows, and the answer to a change of it.

A mutation belongs to the list the person is looking at, see `current_list`, so search,
tags and sort survive it.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from chirp import OOB, Fragment, Request, Response
from chirp.http.forms import FormData
from chirp.http.query import QueryParams

from app.contacts.changes import Batch
from app.contacts.listing import ContactPage, ListQuery, milliseconds, terms
from app.store import ContactStore, StoreUnavailable
from app.web.editor import Form
from app.web.transport import secure
from app.web.view import link

log = logging.getLogger(__name__)

INDEX = "contacts/index.html"
ROWS_LIMIT = 500  # how many rows an answer renders at most

Answer = Any  # what Chirp's content negotiation takes: a return type, or it with status and headers


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

    seq in it: up to where the log has been read, so that live.js knows what is news.
    form: the add form, None while it is closed. editor: the open row editor.
    done: the batch whose message a plain browser sees.
    """
    return {
        "here": "contacts",
        "seq": store.settled(),  # before the list is read, which may then only be newer
        "query": query,
        "wanted": terms(query.text),
        "page": store.list(query),
        "count": store.count(),
        "tags": store.tags(),
        "has_samples": bool(store.samples(limit=1)),
        "form": form,
        "editor": editor,
        "done": done,
    }


def context_in_trouble(
    store: ContactStore, query: ListQuery, *, form: Form | None = None, editor: Form | None = None
) -> dict[str, Any]:
    """The list behind a form that could not be saved: empty if not even the list can be read.

    Whatever is wrong with the list, the form must come back: it holds what a person typed.
    """
    try:
        return list_context(store, query, form=form, editor=editor)
    except Exception as error:
        if not isinstance(error, StoreUnavailable):
            log.exception("the list behind a form could not be read")
        return {
            "here": "contacts",
            "seq": 0,
            "query": query,
            "wanted": (),
            "page": ContactPage((), 0, None),
            "count": 0,
            "tags": (),
            "has_samples": False,
            "form": form,
            "editor": editor,
            "done": None,
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
        return see_other(link("/contacts", query), done=batch)
    parts = [count_badge(store)]
    headers = event_header(_event_of(batch), store, batch, "Nothing to change")
    if saved and not saved.startswith("edit-"):
        parts.append(
            Fragment(INDEX, "contact_form", target="form-section", swap="innerHTML", form=None, query=query)
        )
    if saved:
        headers |= push(request, link("/contacts", query))
    if batch and batch.first.before is None:
        rows += batch.size  # those that are new or back are to be seen, too
    shown = list_context(store, as_long(query, rows))
    return OOB(Fragment(INDEX, "contact_table", **shown), *parts), 200, headers


def count_badge(store: ContactStore) -> Fragment:
    """The number of contacts, out of band."""
    return Fragment(INDEX, "contact_count", target="contact-count", swap="innerHTML", count=store.count())


def event_header(name: str, store: ContactStore, batch: Batch | None, nothing: str) -> dict[str, str]:
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


def push(request: Request, path: str) -> dict[str, str]:
    """The header that puts a path in htmx's address bar; none when it stands there already.

    Pushed again, it would cost the person a second press of the back button.
    """
    if not request.is_narrow_fragment:
        return {}
    current, query = _address(request)
    return {} if path == (f"{current}?{query}" if query else current) else {"HX-Push-Url": path}


def see_other(path: str, done: Batch | None = None) -> Response:
    """303, so that a reload after a form does not send it again. done: the batch to tell of there."""
    if done:
        path += f"{'&' if '?' in path else '?'}done={done.id}"
    return Response("", status=303).with_header("Location", path)


def message_to_show(request: Request, store: ContactStore) -> Batch | None:
    """The batch that `?done=` names, once: a cookie says which was the newest that was shown."""
    number = whole(request.query.get("done", ""))
    batch = store.batch(number) if number and not request.is_htmx else None
    if batch is None or batch.undone_by:
        return None
    time, _, shown = request.cookies.get("seen", "").partition(".")
    return batch if (milliseconds(batch.at), batch.id) > (whole(time), whole(shown)) else None


def shown_once(done: Batch | None) -> dict[str, str]:
    """The headers that go with the message of a batch; none without one."""
    if done is None:
        return {}
    return {
        "Set-Cookie": f"seen={milliseconds(done.at)}.{done.id}; Path=/; HttpOnly; SameSite=Lax{secure()}",
        "Cache-Control": "no-store",  # or the back button would show the message again
    }


def rows_of(form: Mapping[str, str]) -> int:
    """How many rows the table has on the screen that asks; 0 when that is not told."""
    return whole(form.get("rows", ""))


def as_long(query: ListQuery, rows: int) -> ListQuery:
    """The same list with so many rows at once, within reason."""
    return replace(query, limit=min(max(rows, query.limit), ROWS_LIMIT))


def whole(text: str) -> int:
    """An id, a version or a batch as a form or URL names it; 0, which none has, for anything else."""
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def ids_of(form: FormData | QueryParams) -> list[int]:
    """The ids in the fields `id` of a form, in its order; what is none is passed over."""
    return list(filter(None, map(whole, form.get_list("id"))))


def _event_of(batch: Batch | None) -> str:
    """The event that tells the page what a batch did."""
    if batch is None or (batch.first.before and batch.first.after):
        return "contactUpdated"
    return "contactDeleted" if batch.first.after is None else "contactCreated"


def _address(request: Request) -> tuple[str, str]:
    """Path and query of htmx's address bar; empty when it is not told or cannot be read."""
    try:
        url = urlsplit(request.htmx_current_url or "")
    except ValueError:
        return "", ""
    return url.path, url.query
