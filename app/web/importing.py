"""What is done with an uploaded file: it is read and compared, then, when asked to, imported."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from app.contacts.contact import ContactDraft, InvalidContact
from app.contacts.interchange import ReadRow, Source, UnreadableFile, failed_csv, failures, open_source
from app.store import ContactStore, ImportResult, OnDuplicate, StoreError
from app.web.editor import text_of
from app.web.uploads import Counts, Job, State, Stopped, Work, Wrong, open_private

SAMPLE = 10  # contacts that the preview shows
WRONG = 50  # reasons that the page lists; the CSV has them all
VALUE = 200  # characters of a wrong value that are shown
EVERY = 100  # rows between two looks at whether to go on

ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def reading(store: ContactStore) -> Work:
    """The work that finds out what importing a file would do; it changes nothing."""

    def work(job: Job, source: Source) -> State:
        rows = _Rows(source, job.advance)
        update = store.preview(rows.drafts(), "update")
        job.advance(0, rows=rows.count, kind=_kind(source), columns=source.columns, sample=tuple(rows.sample))
        fill = store.preview(rows.drafts(), "fill") if update.updated else update
        wrong, failed = _failures(job, rows, update)
        return replace(
            job.state,
            stage="preview",
            wrong=wrong,
            update=_counts(update, failed),
            fill=_counts(fill, failed),
        )

    return _explained(store, work)


def importing(store: ContactStore, on_duplicate: OnDuplicate) -> Work:
    """The work that imports a file that was read before, as one batch, or nothing of it."""

    def work(job: Job, source: Source) -> State:
        rows = _Rows(source, job.go_on)
        result = store.import_many(rows.drafts(), on_duplicate, progress=job.advance)
        try:
            wrong, failed = _failures(job, rows, result)
        except OSError:  # no space for the list, but the import stands
            wrong, failed = (), len(result.failed)
        return replace(
            job.state,
            stage="done",
            done=job.state.rows,
            wrong=wrong,
            result=_counts(result, failed),
            batch=result.batch.id if result.batch else 0,
        )

    return _explained(store, work)


def _explained(store: ContactStore, work: Callable[[Job, Source], State]) -> Work:
    """The work with its file open; what goes wrong becomes a message."""

    def explained(job: Job) -> State:
        try:
            with job.upload.file.open("rb") as file:
                return work(job, open_source(file, job.state.name))
        except UnreadableFile as unreadable:
            raise Stopped("failed", str(unreadable)) from None
        except StoreError as error:
            raise Stopped("failed", str(error)) from error
        finally:
            store.close_worker()

    return explained


class _Rows:
    """The rows of a file on their way to the store. count: how many have come, readable or not.

    unreadable: how many cannot be read. sample: the first that keep the rules, as they will be kept.
    """

    def __init__(self, source: Source, tick: Callable[[int], object]) -> None:
        self.source = source
        self.count = 0
        self.unreadable = 0
        self.sample: list[ContactDraft] = []
        self._tick = tick

    def drafts(self) -> Iterator[ContactDraft]:
        """The drafts of the rows that can be read, from the first."""
        self.count = self.unreadable = 0
        self.sample = []
        for row in self.source.rows():
            self.count += 1
            if self.count % EVERY == 0:
                self._tick(self.count)
            if row.problem:
                self.unreadable += 1
            else:
                self._keep(row.draft)
                yield row.draft

    def _keep(self, draft: ContactDraft) -> None:
        if len(self.sample) < SAMPLE:
            with suppress(InvalidContact):  # it is listed among those that are wrong
                self.sample.append(draft.clean())


def _failures(job: Job, read: _Rows, result: ImportResult) -> tuple[tuple[Wrong, ...], int]:
    """Write every row that fails into the upload's `failed.csv`: the first reasons, and how many rows.

    That takes the file to be read once more, unless none failed.
    """
    if not (result.failed or read.unreadable):
        return (), 0
    refused = {error.row: error.errors for error in result.failed}
    wrong: list[Wrong] = []
    count = 0

    def rows() -> Iterator[tuple[ReadRow, Mapping[str, str] | str]]:
        nonlocal count
        for row, errors in failures(read.source, refused):
            count += 1
            wrong.extend(_reasons(row, errors)[: WRONG - len(wrong)])
            yield row, errors

    with open_private(job.upload.failed) as file:
        file.writelines(failed_csv(read.source, rows()))
    return tuple(wrong), count


def _reasons(row: ReadRow, errors: Mapping[str, str] | str) -> list[Wrong]:
    if isinstance(errors, str):
        return [Wrong(row.line, "", _short(", ".join(filter(None, row.cells))), errors)]
    return [
        Wrong(row.line, field, _short(text_of(row.draft, field)), message)
        for field, message in errors.items()
    ]


def _short(text: str) -> str:
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"


def _counts(result: ImportResult, failed: int) -> Counts:
    return Counts(result.added, result.updated, result.skipped, failed)


def _kind(source: Source) -> str:
    """What a file is, in words: `CSV from Google Contacts, UTF-8, separated by commas`."""
    if source.format != "csv":
        kind = "JSON" if source.format == "json" else source.dialect
        return f"{kind}, {ENCODINGS.get(source.encoding, source.encoding)}"
    kind = "CSV" if source.dialect == "CSV" else f"CSV from {source.dialect}"
    encoding = ENCODINGS.get(source.encoding, source.encoding)
    return f"{kind}, {encoding}, separated by {DELIMITERS.get(source.delimiter, source.delimiter)}"
