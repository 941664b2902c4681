"""The JSON API: contacts, what was done to them, and files of them, for programs.

Every change answers with the header `Batch-Id`, the number under which it can be undone. What
goes wrong is a Problem, see app.web.problems; what each operation takes and answers is said
once, in app.web.openapi, which /api/openapi.json and /api/docs show.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import blake2s
from typing import Any, cast, get_args

from chirp import Request, Response

from app.contacts.changes import Batch
from app.contacts.contact import Contact, ContactDraft, InvalidContact, NoSuchBatch, NoSuchContact
from app.contacts.interchange import Format, UnreadableFile, failures, open_source
from app.contacts.jsons import as_json, moment
from app.contacts.listing import PAGE_SIZE, ListQuery, milliseconds
from app.store import ContactStore, OnDuplicate
from app.web.downloads import Download
from app.web.problems import Problem
from app.web.reading import (
    JSON,
    MERGE_PATCH,
    ORDER,
    PAGING,
    SELECTION,
    media_type,
    read_choice,
    read_draft,
    read_ids,
    read_json,
    read_list,
    read_matching,
    read_object,
    read_patch,
    read_tags,
    refuse,
    refuse_other_types,
    refuse_strange,
)
from app.web.threads import on_thread, write
from app.web.transfer import listed, too_large
from app.web.uploads import NoRoom, Upload, Uploads

CONTACTS = "/api/v1/contacts"
BATCHES = "/api/v1/batches"
EXISTING = get_args(OnDuplicate)
EXPORTS: tuple[Format, ...] = ("json", "csv", "vcf")
NO_YES = ("false", "true")
WRONG_LIMIT = 1_000  # failed rows that the answer to an import lists
# The media types of an import, each with what a file of it is called.
FILES = {"text/csv": "import.csv", "text/vcard": "import.vcf", JSON: "import.json"}


# --- one contact, and lists of them


async def index(request: Request, store: ContactStore) -> Response:
    """GET /api/v1/contacts: one page of the list."""
    query = read_list(request, *SELECTION, *ORDER, *PAGING)
    page = store.list(query)
    first = _address(replace(query, after=None))
    following = _address(replace(query, after=page.next)) if page.next else None
    links = [f'<{first}>; rel="first"'] + ([f'<{following}>; rel="next"'] if following else [])
    found = {
        "contacts": [as_json(contact) for contact in page.contacts],
        "total": page.total,
        "exact": page.exact,
        "next": following,
    }
    return cached(_json(found), Link=", ".join(links))


async def show(contact_id: int, request: Request, store: ContactStore) -> Response:
    """GET /api/v1/contacts/{id}: one contact."""
    refuse_strange(request)
    return _contact(store.get(contact_id)).with_header("Cache-Control", "private, no-cache")


async def create(request: Request, store: ContactStore) -> Response:
    """POST /api/v1/contacts: add one."""
    refuse_strange(request)
    contact, batch = await write(store.add, read_draft(await read_json(request, JSON)))
    location = {"Location": f"{CONTACTS}/{contact.id}"}
    return _contact(contact, batch).with_status(201).with_headers(location)


async def replace_contact(contact_id: int, request: Request, store: ContactStore) -> Response:
    """PUT /api/v1/contacts/{id}: give it these fields; those left out become empty."""
    refuse_strange(request)
    draft = read_draft(await read_json(request, JSON))
    draft.clean()  # a broken rule comes first, whoever changed the contact meanwhile
    version = _version_to_change(request, store.get(contact_id))
    return _contact(*await write(store.update, contact_id, draft, version))


async def patch(contact_id: int, request: Request, store: ContactStore) -> Response:
    """PATCH /api/v1/contacts/{id}: change some fields and leave the others."""
    refuse_strange(request)
    fields = read_patch(await read_json(request, MERGE_PATCH, JSON))
    contact = store.get(contact_id)
    version = _version_to_change(request, contact)
    try:
        changed = replace(ContactDraft.of(contact), **fields)
        return _contact(*await write(store.update, contact_id, changed, version))
    except InvalidContact as invalid:
        if invalid.taken_by:
            raise
        # The patch keeps the rules by itself, so it is the rest of the contact that it does not fit.
        raise Problem(409, "This does not fit the rest of the contact.", invalid.errors) from None


async def delete(contact_id: int, request: Request, store: ContactStore) -> Response:
    """DELETE /api/v1/contacts/{id}: delete it."""
    refuse_strange(request)
    version = _version_to_change(request, store.get(contact_id))
    batch = await write(store.delete, [contact_id], version=version)
    if batch is None:
        raise NoSuchContact(contact_id)
    return Response("", status=204, content_type=JSON).with_headers(_of_batch(batch))


# --- many contacts


async def bulk(request: Request, store: ContactStore) -> Response:
    """POST /api/v1/contacts/bulk: delete many, or add and remove tags of them, as one batch."""
    refuse_strange(request)
    body = await read_json(request, JSON)
    errors = read_object(body, ("ids", "matching", "delete", "add_tags", "remove_tags"))
    if ("ids" in body) == ("matching" in body):
        errors["ids"] = "Send either ids or matching."
    if ("delete" in body) == bool({"add_tags", "remove_tags"} & body.keys()):
        errors["delete"] = "Send either delete or tags to add or remove."
    if body.get("delete", True) is not True:
        errors["delete"] = "Send true, or leave it out."
    ids = read_ids(body["ids"], errors) if "ids" in body else []
    query = read_matching(body["matching"], errors) if "matching" in body else ListQuery()
    add, remove = (read_tags(body.get(name, []), name, errors) for name in ("add_tags", "remove_tags"))
    try:
        ContactDraft(name="Ada", phone="0", tags=add).clean()
    except InvalidContact as invalid:
        errors["add_tags"] = invalid.errors["tags"]
    refuse(errors)

    chosen = ids if "ids" in body else store.ids(query)
    change: Callable[[], Batch | None] = (
        partial(store.delete, chosen) if "delete" in body else partial(store.tag, chosen, add, remove)
    )
    try:
        batch = await write(change)
    except InvalidContact as invalid:
        raise Problem(
            409, "The tags do not fit one of the contacts. Nothing was changed.", invalid.errors
        ) from None
    return _json({"batch": _batch(batch) if batch else None}).with_headers(_of_batch(batch))


async def import_(request: Request, store: ContactStore, uploads: Uploads) -> Response:
    """POST /api/v1/contacts/import: a CSV, vCard or JSON file, all of it as one batch or nothing."""
    refuse_strange(request, "existing", "dry_run")
    existing = cast("OnDuplicate", read_choice(request, "existing", EXISTING))
    is_trial = read_choice(request, "dry_run", NO_YES) == "true"
    refuse_other_types(request, FILES, "file")
    try:
        upload = uploads.new()
    except NoRoom:
        raise Problem(
            503, "Too many files are being imported. Try again later.", headers={"Retry-After": "60"}
        ) from None
    try:
        await _receive(request, upload, uploads)
        work = partial(_import, store, upload, FILES[media_type(request)], existing, is_trial=is_trial)
        done, batch = await on_thread(work, store)
    except UnreadableFile as error:
        where: dict[str, Any] = {"line": error.line} if error.line else {}
        raise Problem(422, f"{error} Nothing was imported.", **where) from None
    finally:
        upload.remove()
    return _json(done | {"batch": _batch(batch) if batch else None}).with_headers(_of_batch(batch))


async def export(request: Request, store: ContactStore) -> Download:
    """GET /api/v1/contacts/export: all that match, as a file."""
    format = cast("Format", read_choice(request, "format", EXPORTS))
    return await listed(store, read_list(request, *SELECTION, *ORDER, "format"), format)


# --- what was done


async def show_batch(batch_id: int, request: Request, store: ContactStore) -> Response:
    """GET /api/v1/batches/{id}: one change, of one or many contacts."""
    refuse_strange(request)
    batch = store.batch(batch_id)
    if batch is None:
        raise NoSuchBatch(batch_id)
    return cached(_json(_batch(batch)))


async def undo(batch_id: int, request: Request, store: ContactStore) -> Response:
    """POST /api/v1/batches/{id}/undo: take it back, as a batch that can itself be undone."""
    refuse_strange(request, "partly")
    partly = read_choice(request, "partly", NO_YES) == "true"
    batch = await write(store.undo, batch_id, partly=partly)
    return _json({"batch": _batch(batch)}).with_headers(_of_batch(batch))


# --- what they share


def cached(response: Response, **headers: str) -> Response:
    """An answer that may be kept as long as it is asked for with its ETag.

    That is weak: it is the same for each Content-Encoding, whose bytes differ (RFC 9110, 8.8.3).
    """
    tag = blake2s(response.body_bytes, digest_size=12).hexdigest()
    return response.with_headers({"ETag": f'W/"{tag}"', "Cache-Control": "private, no-cache", **headers})


def etag(contact: Contact) -> str:
    """The strong validator of a contact: its version.

    The time tells versions of the same number apart that another database has, such as a backup.
    Strong though Pounce may compress the answer, since If-Match takes no weak one: what it stands
    for is the contact and not bytes, no part of which can be asked for.
    """
    return f'"{contact.version}-{milliseconds(contact.updated_at)}"'


def _version_to_change(request: Request, contact: Contact) -> int:
    """The version that a change is based on, when If-Match names it (RFC 9110, 13.1.1).

    Problem 428 without the header, 412 when it names others. The store looks once more when it writes.
    """
    wanted = request.headers.get("if-match", "").strip()
    if not wanted:
        raise Problem(428, "Send the header If-Match with the ETag of the contact that you read.")
    tags = [tag.strip() for tag in wanted.split(",")]
    if etag(contact) not in tags and tags != ["*"]:
        raise Problem(412, "This contact has changed since you read it. Get it again before you change it.")
    return contact.version


def _contact(contact: Contact, batch: Batch | None = None) -> Response:
    return _json(as_json(contact)).with_headers({"ETag": etag(contact)} | _of_batch(batch))


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "at": moment(batch.at),
        "kind": batch.kind,
        "size": batch.size,
        "summary": str(batch),
        "undoes": batch.undoes,
        "undone_by": batch.undone_by,
    }


def _of_batch(batch: Batch | None) -> dict[str, str]:
    return {"Batch-Id": str(batch.id)} if batch else {}


def _json(value: Any) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, content_type=JSON, render_intent="full_page")


def _address(query: ListQuery) -> str:
    """The address of a page of a list."""
    parts = [query.url_query(), f"limit={query.limit}" if query.limit != PAGE_SIZE else ""]
    text = "&".join(filter(None, parts))
    return f"{CONTACTS}?{text}" if text else CONTACTS


async def _receive(request: Request, upload: Upload, uploads: Uploads) -> None:
    """Write the body to disk as it comes; Problem 413 above the limit of these uploads."""
    received = 0
    with upload.file.open("wb") as file:
        async for chunk in replace(request, _max_request_body_size=None).stream():
            received += len(chunk)
            if received > uploads.limits.file:
                raise Problem(413, too_large(uploads))
            file.write(chunk)


def _import(
    store: ContactStore, upload: Upload, name: str, existing: OnDuplicate, *, is_trial: bool
) -> tuple[dict[str, Any], Batch | None]:
    """Import a file, or find out what that would do: the figures, and the batch unless nothing changed."""
    with upload.file.open("rb") as file:
        source = open_source(file, name)
        drafts = (row.draft for row in source.rows() if not row.problem)
        result = store.preview(drafts, existing) if is_trial else store.import_many(drafts, existing)
        wrong: list[dict[str, Any]] = []
        failed = 0
        for row, errors in failures(source, {error.row: error.errors for error in result.failed}):
            failed += 1
            if failed <= WRONG_LIMIT:
                reason = {"detail": errors} if isinstance(errors, str) else {"errors": dict(errors)}
                wrong.append({"line": row.line} | reason)
    counts = {"added": result.added, "updated": result.updated, "skipped": result.skipped}
    return counts | {"failed": failed, "failures": wrong}, result.batch
