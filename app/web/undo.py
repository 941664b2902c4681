"""POST /undo/{batch}: take back what one batch did; and the page of all that can be taken back."""

from typing import Any

from chirp import Fragment, HTTPError, Page, Request

from app.contacts.changes import UndoConflict
from app.contacts.listing import ListQuery
from app.store import ContactStore
from app.web.forms import read_form
from app.web.lists import (
    Answer,
    changed,
    current_list,
    message_to_show,
    rows_of,
    see_other,
    shown_once,
    whole,
)
from app.web.threads import write

PAGE = 50  # batches on one page of the activity


async def undo(request: Request, batch_id: int, store: ContactStore) -> Answer:
    """POST /undo/{batch}: undo it as a new batch, which can be undone itself.

    What is undone already is not undone twice: the answer is the same as the first time.
    404 when the log no longer holds it. 409 when a contact has changed since: then the answer
    says what can be restored and what cannot, and asks; `partly` in the form is the consent.
    """
    form = await read_form(request)
    rows, partly = rows_of(form), bool(form.get("partly"))
    try:
        batch = await write(store.undo, batch_id, partly=partly)
    except UndoConflict as conflict:
        context: dict[str, Any] = {
            "plan": conflict.plan,
            "query": current_list(request),
            "back": form.get("back", ""),
        }
        if request.is_narrow_fragment:
            retarget = {"HX-Retarget": "#question", "HX-Reswap": "innerHTML"}
            return Fragment("undo.html", "question", **context), 409, retarget
        return Page("undo.html", "question", **context), 409
    if form.get("back") == "activity" and not request.is_htmx:
        return see_other("/activity", done=batch)
    return changed(request, store, batch, rows=rows)


async def activity(request: Request, store: ContactStore) -> Answer:
    """GET /activity: what was done, newest first, as far as the log reaches. `before`: a batch id."""
    text = request.query.get("before", "")
    if text and not whole(text):
        raise HTTPError(404)
    seq = store.settled()
    batches = store.batches(PAGE + 1, before=whole(text) or None)
    done = message_to_show(request, store)
    return (
        Page(
            "activity.html",
            "content",
            seq=seq,
            batches=batches[:PAGE],
            older=batches[PAGE - 1].id if len(batches) > PAGE else None,
            newest=not text,
            done=done,
            query=ListQuery(),
            here="activity",
        ),
        200,
        shown_once(done),
    )
