"""Many contacts at once: delete them, or add or remove a tag."""

from collections.abc import Callable, Sequence
from functools import partial

from chirp import HTTPError, Request
from chirp.http.forms import FormData

from app.contacts.changes import Batch
from app.contacts.contact import InvalidContact, split_tags
from app.store import ContactStore
from app.web.forms import read_form
from app.web.lists import Answer, changed, current_list, ids_of, rows_of
from app.web.threads import write


async def bulk(request: Request, store: ContactStore) -> Answer:
    """POST /contacts/bulk: one batch for all contacts that the form selects, see `selected`.

    do: `delete`, or `tag` and `untag` with the tags of the field `tag`. 422 when nothing is
    selected, when no tag is named, and when a contact would have too many of them.
    """
    form = await read_form(request)
    ids = selected(request, form, store)
    tags = split_tags(form.get("tag", ""))
    if not ids:
        raise HTTPError(422, "Select the contacts first, by the boxes in front of their names.")
    change: Callable[[], Batch | None]
    match form.get("do", ""):
        case "delete":
            change = partial(store.delete, ids)
        case "tag" | "untag" if not tags:
            raise HTTPError(422, "Write the tag first.")
        case "tag":
            change = partial(store.tag, ids, add=tags)
        case "untag":
            change = partial(store.tag, ids, remove=tags)
        case _:
            raise HTTPError(400, "There is no such action.")
    try:
        batch = await write(change)
    except InvalidContact as invalid:
        raise HTTPError(422, "Nothing was changed. " + " ".join(invalid.errors.values())) from invalid
    return changed(request, store, batch, rows=rows_of(form))


def selected(request: Request, form: FormData, store: ContactStore) -> Sequence[int]:
    """Ids of the contacts that a form selects: those of its fields `id`, in the order of the list.

    With the field `all` they are those that match the list the person is looking at, on every page.
    """
    if form.get("all"):
        return store.ids(current_list(request))
    return ids_of(form)
