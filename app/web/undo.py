"""POST /undo/{batch}: take back what one batch did."""

from chirp import Request

from app.contacts.changes import Batch
from app.store import ContactStore
from app.web.contacts import Answer, changed, rows_of
from app.web.forms import read_form


async def undo(request: Request, batch_id: int, store: ContactStore) -> Answer:
    """POST /undo/{batch}: undo it as a new batch, which can be undone itself.

    What is undone already is not undone twice: the answer is the same as the first time.
    404 when the log no longer holds it, 409 when one of its contacts has changed since.
    """
    rows = rows_of(await read_form(request))
    return changed(request, store, _already(store, batch_id) or store.undo(batch_id), rows=rows)


def _already(store: ContactStore, batch_id: int) -> Batch | None:
    """The batch that undid this one and still stands; None when there is none."""
    batch = store.batch(batch_id)
    by = store.batch(batch.undone_by) if batch and batch.undone_by else None
    return by if by and not by.undone_by else None
