"""Contacts in and out of files in the browser: upload, preview, import, and export.

An import is one resource, /import/{token}, in the states that `uploads.State` tells:
reading, preview, importing, and how it ended. While it works its page asks again by
itself, by htmx or, without script, by reloading.
"""

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import IO, Any, cast, get_args

from chirp import OOB, Fragment, HTTPError, Request, Response, Template
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import File, parse_options_header

from app.contacts import contact, interchange
from app.contacts.contact import Contact, NoSuchContact, now
from app.contacts.interchange import FILE_LIMIT, FORMATS, MEDIA_TYPES, Format
from app.contacts.listing import ListQuery
from app.store import ContactStore, OnDuplicate
from app.web.downloads import Download, blocks, in_turns
from app.web.forms import read_form
from app.web.importing import importing, reading
from app.web.lists import Answer, ids_of, requested_list, see_other, whole
from app.web.uploads import NoRoom, State, Upload, Uploads

INDEX = "transfer/index.html"
SHOW = "transfer/show.html"
FORM = 65_536  # bytes that a multipart form adds to its file
BODY_LIMIT = FILE_LIMIT + FORM
PATIENCE = 0.4  # seconds that an answer waits for work that may be over at once

FULL = "Too many files are waiting to be imported. Please try again in a few minutes."
NOTHING = "Choose a file first."

log = logging.getLogger(__name__)


# --- import


async def index(uploads: Uploads) -> Answer:
    """GET /import: where a file is chosen."""
    return _upload_page(uploads)


async def create(request: Request, uploads: Uploads, store: ContactStore) -> Answer:
    """POST /import: take a file in, then go to its preview.

    422 without a file, 413 for one that is too large, 503 when there is no room.
    """
    if whole(request.headers.get("content-length", "")) > uploads.limits.file + FORM:
        return _upload_page(uploads, too_large(uploads)), 413
    try:
        upload = uploads.new()
        try:
            upload.save(State(await _receive(request, uploads, upload)))
        except BaseException:  # also when the client goes away, which is no Exception
            upload.remove()
            raise
    except NoRoom:
        return _upload_page(uploads, FULL), 503
    except HTTPError as error:
        return _upload_page(uploads, error.detail), error.status
    except OSError as error:
        log.exception("An upload cannot be kept")
        problem = f"The server cannot keep the file: {error.strerror}. Please tell its keeper."
        return _upload_page(uploads, problem), 503
    await asyncio.to_thread(uploads.start, upload, reading(store), after="new", during="reading")
    return await _shown(uploads, upload)


async def show(request: Request, token: str, uploads: Uploads, store: ContactStore) -> Answer:
    """GET /import/{token}: how it stands. `said` is how much of it, in per cent, was said already."""
    upload = uploads.find(token)
    if upload is None:
        return _gone(request)
    state = upload.state()
    batch = store.batch(state.batch) if state.batch else None
    context: dict[str, Any] = {
        "here": "import",
        "state": state,
        "url": f"/import/{token}",
        "said": _said(state),
        "batch": batch,
        "has_failed": upload.failed.exists(),
    }
    if not request.is_narrow_fragment:
        return Template(SHOW, **context)
    if not state.is_working:
        return Fragment(SHOW, "outcome", **context), 200, {"HX-Retarget": "#import", "HX-Reswap": "outerHTML"}
    progress = Fragment(SHOW, "progress", **context)
    if str(_said(state)) == request.query.get("said"):
        return progress
    return OOB(progress, Fragment(SHOW, "saying", target="import-said", swap="innerHTML", **context))


async def start(request: Request, token: str, uploads: Uploads, store: ContactStore) -> Answer:
    """POST /import/{token}: import it. on_duplicate: skip, update or fill. Sent again, it does no more."""
    upload = uploads.find(token)
    if upload is None:
        return _gone(request)
    choice = (await read_form(request)).get("on_duplicate", "skip")
    if choice not in get_args(OnDuplicate):
        raise HTTPError(422, "Choose what to do with the contacts that are here already.")
    work = importing(store, cast("OnDuplicate", choice))
    await asyncio.to_thread(uploads.start, upload, work, after="preview", during="importing")
    return await _shown(uploads, upload)


async def cancel(request: Request, token: str, uploads: Uploads) -> Answer:
    """POST /import/{token}/cancel: forget the file; an import under way is taken back."""
    upload = uploads.find(token)
    if upload is None:
        return _gone(request)
    if upload.state().stage == "preview":
        upload.remove()
        return see_other("/import")
    upload.cancel()
    return await _shown(uploads, upload)


async def failed(request: Request, token: str, uploads: Uploads) -> Answer:
    """GET /import/{token}/failed.csv: the rows that cannot be imported, each with the reason."""
    upload = uploads.find(token)
    if upload is None or not upload.failed.exists():
        return _gone(request)
    stem = re.sub(r"[^\w.-]+", "-", upload.state().name.rpartition(".")[0], flags=re.ASCII).strip("-.")
    file = upload.failed.open(encoding="utf-8", newline="")
    return Download.of(blocks(file), MEDIA_TYPES["csv"], f"{stem or 'contacts'}-to-mend.csv")


def _upload_page(uploads: Uploads, problem: str = "") -> Template:
    limits = {"file_limit": uploads.limits.file, "rows_limit": uploads.limits.rows, "limits": contact.LIMITS}
    limits |= {"tags_limit": contact.TAGS_LIMIT, "tag_limit": contact.TAG_LIMIT}
    return Template(INDEX, problem=problem, here="import", too_large=too_large(uploads), **limits)


def too_large(uploads: Uploads) -> str:
    return f"This file is larger than {uploads.limits.file // 1024**2} MB. Split it and import the parts."


def _gone(request: Request) -> Answer:
    if not request.is_narrow_fragment:
        return Template("transfer/gone.html", here="import"), 404
    fragment = Fragment("transfer/gone.html", "outcome")
    return fragment, 404, {"HX-Retarget": "#import", "HX-Reswap": "outerHTML"}


async def _shown(uploads: Uploads, upload: Upload) -> Response:
    """303 to the upload's page, a moment later, so that a small file is done by then."""
    await asyncio.to_thread(uploads.wait, upload, PATIENCE)
    return see_other(f"/import/{upload.token}")


def _said(state: State) -> int:
    """How much is done, in steps of 25 per cent: enough for somebody who listens."""
    return 100 * state.done // state.rows // 25 * 25 if state.rows else 0


async def _receive(request: Request, uploads: Uploads, upload: Upload) -> str:
    """Write the file of a multipart form to disk as it comes; the file's name.

    HTTPError: 413 when it is too large, 415 and 400 for what is no such form, 422 without a file.
    """
    names: list[str] = []

    def take(part: File) -> None:
        if part.field_name == b"file" and part.file_name and not names:
            names.append(_plain_name(part.file_name))
            _copy(part.file_object, upload)
        part.close()

    kind, options = parse_options_header(request.content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise HTTPError(415, "Send the file as a form.")
    received = 0
    try:
        parser = FormParser(
            kind.decode(), lambda field: None, take, boundary=options[b"boundary"],
            config={"UPLOAD_DIR": str(upload.folder)},
        )  # fmt: skip
        async for chunk in replace(request, _max_request_body_size=None).stream():
            received += len(chunk)
            if received > uploads.limits.file + FORM:
                raise HTTPError(413, too_large(uploads))
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise HTTPError(400, "The file did not arrive whole. Please send it again.") from None
    if not names:
        raise HTTPError(422, NOTHING)
    return names[0]


def _copy(source: IO[bytes], upload: Upload) -> None:
    source.seek(0)
    with upload.file.open("wb") as file:
        while block := source.read(1_048_576):
            file.write(block)


def _plain_name(raw: bytes) -> str:
    """A file's name without folders and without what could not be shown."""
    name = raw.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in name if char.isprintable())[:100].strip() or "file"


# --- export


async def export_csv(request: Request, store: ContactStore) -> Answer:
    """GET /contacts.csv: the list as Google Contacts, Outlook and spreadsheets import it."""
    return await listed(store, requested_list(request), "csv")


async def export_vcard(request: Request, store: ContactStore) -> Answer:
    """GET /contacts.vcf: the list as vCard 4.0."""
    return await listed(store, requested_list(request), "vcf")


async def export_json(request: Request, store: ContactStore) -> Answer:
    """GET /contacts.json: the list as JSON."""
    return await listed(store, requested_list(request), "json")


async def export(request: Request, store: ContactStore) -> Answer:
    """GET and POST /contacts/export: the chosen contacts, in the format that is asked for.

    id: one for each contact; those that are gone are passed over. all: "1" for every contact
    of the list that the URL describes. format: csv, vcf or json. 422 when nothing is chosen.
    """
    form: Any = await read_form(request) if request.method == "POST" else request.query
    format = form.get("format", "csv")
    if format not in FORMATS:
        raise HTTPError(422, "Choose CSV, vCard or JSON.")
    if form.get("all") == "1":
        return await listed(store, requested_list(request), format)
    ids = ids_of(form)
    if not ids:
        raise HTTPError(422, "Choose the contacts to export first.")
    return _exported(_chosen(store, ids), format)


async def listed(store: ContactStore, query: ListQuery, format: Format) -> Download:
    """All contacts of a list as a file."""

    def settle() -> Iterator[Contact]:
        try:
            return store.export(query)
        finally:
            store.close_worker()

    # Who comes is settled at once, which takes a while in a large address book.
    return _exported(await asyncio.to_thread(settle), format)


def _chosen(store: ContactStore, ids: Iterable[int]) -> Iterator[Contact]:
    for contact_id in dict.fromkeys(ids):
        try:
            yield store.get(contact_id)
        except NoSuchContact:
            continue


def _exported(contacts: Iterable[Contact], format: Format) -> Download:
    texts = interchange.write(contacts, format)
    return Download.of(in_turns(texts), MEDIA_TYPES[format], f"contacts-{now():%Y-%m-%d}.{format}")
