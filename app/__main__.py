"""The command line: `python -m app serve`, `import FILE`, `export FILE`, `backup FILE` and more.

CONTACTS_STORE names the address book for each of them. Exit codes: 0 done; 1 not done, and
nothing was changed; 2 a wrong command line; 3 imported, but for the rows that are listed.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import click

from app.contacts.contact import ContactDraft, ContactError
from app.contacts.interchange import (
    FORMATS,
    Format,
    Source,
    UnreadableFile,
    failed_csv,
    failures,
    open_source,
    write,
)
from app.contacts.listing import ListQuery
from app.contacts.samples import samples
from app.settings import BadSetting, Settings
from app.store import CannotOpen, ContactStore, ImportResult, OnDuplicate, StoreError, open_store, shown
from app.store.private import replacing
from app.users import users

SOME_FAILED = 3
STEPS = 10  # lines that tell of progress where there is no terminal to draw a bar on


@click.group(help=__doc__)
def cli() -> None:
    """Collect the commands."""


cli.add_command(users)


@cli.command()
def serve() -> None:
    """Serve the app. CONTACTS_STORE, _HOST, _PORT, _WORKERS and _ENV change how, see the README."""
    from app.server import serve

    _or_exit(lambda: serve(Settings.from_env()))


@cli.command()
def ready() -> None:
    """Ask the server that runs with these settings whether it is ready; exit code 1 when it is not."""
    from app.probing import why_not_ready

    def run() -> int:
        reason = why_not_ready(Settings.from_env())
        click.echo(reason or "ready", err=bool(reason))
        return 1 if reason else 0

    _or_exit(run)


@cli.command()
def migrate() -> None:
    """Create or migrate the database that CONTACTS_STORE names, without serving."""

    def run() -> None:
        settings = Settings.from_env()
        open_store(settings.store).close()
        click.echo(f"{shown(settings.store)} is up to date.")

    _or_exit(run)


@cli.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--existing",
    type=click.Choice(["skip", "update", "fill"]),
    default="skip",
    show_default=True,
    help="What to do with contacts that are here already: leave them alone, replace their fields, "
    "or fill only those that are empty.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@click.option(
    "--failed",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the rows that fail to this CSV file, to mend and import again.",
)
def import_(file: Path, existing: OnDuplicate, dry_run: bool, failed: Path | None) -> None:
    """Import contacts from a CSV, vCard or JSON FILE; - reads the standard input.

    All of it is one change, which `undo` takes back. Safe while the app is running.
    """

    def run() -> int:
        with _open_input(file) as stream, _store() as store:
            source = open_source(stream, file.name)
            with _progress("Importing") as progress:
                rows = _Rows(source, progress)
                if dry_run:
                    result = store.preview(rows.drafts(), existing)
                else:
                    result = store.import_many(rows.drafts(), existing, progress=progress.advance)
            wrong = list(failures(source, {error.row: error.errors for error in result.failed}))
            _tell(result, len(wrong), dry_run=dry_run)
            for row, errors in wrong:
                reasons = errors if isinstance(errors, str) else " ".join(errors.values())
                click.echo(f"line {row.line}: {reasons}", err=True)
            if failed and wrong:
                with _replacing(failed) as out:
                    out.writelines(failed_csv(source, wrong))
            return SOME_FAILED if wrong else 0

    _or_exit(run)


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), help="By default what FILE ends with.")
@click.option("--query", "-q", default="", help="Only contacts that a search for this finds.")
@click.option("--tag", multiple=True, help="Only contacts with this tag; may be given several times.")
def export(file: Path, kind: Format | None, query: str, tag: tuple[str, ...]) -> None:
    """Export contacts to a CSV, vCard or JSON FILE; - writes to the standard output."""
    ending = file.suffix.removeprefix(".").lower()
    if kind is None and ending not in FORMATS:
        raise click.UsageError(f"Name a FILE that ends in .{', .'.join(FORMATS)}, or give --format.")
    format = kind or cast("Format", ending)

    def run() -> None:
        with _store() as store:
            listed = ListQuery.from_params({"q": query}, tag)
            with _progress("Exporting") as progress:
                progress.total = store.count(listed)
                contacts = progress.over(store.export(listed))
                if str(file) == "-":
                    for chunk in write(contacts, format):
                        sys.stdout.buffer.write(chunk.encode())
                else:
                    with _replacing(file) as out:
                        out.writelines(write(contacts, format))
            click.echo(f"Exported {_contacts(progress.done)} to {file}.", err=True)

    _or_exit(run)


@cli.command()
@click.argument("count", type=click.IntRange(1, 1_000_000))
@click.option("--seed", default=1, show_default=True, help="Another seed makes other contacts.")
def sample(count: int, seed: int) -> None:
    """Add COUNT sample contacts, to try things out. The page offers to remove them again."""

    def run() -> None:
        with _store() as store, _progress("Adding") as progress:
            progress.total = count
            result = store.import_many(samples(count, seed), kind="sample", progress=progress.advance)
        click.echo(f"Added {_contacts(result.added)}. {_how_to_undo(result)}".strip())

    _or_exit(run)


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there already.")
def backup(file: Path, force: bool) -> None:
    """Copy the database to FILE as it is at one moment, also while the app is running."""
    from app.store.backup import back_up

    def run() -> None:
        if file.exists() and not force:
            raise click.ClickException(f"{file} is there already. Name another file, or give --force.")
        contacts = back_up(Settings.from_env().store, file)
        click.echo(
            f"Backed up {_contacts(contacts)} to {file}. "
            f"To restore it, stop the app, then: python -m app restore {file}"
        )

    _or_exit(run)


@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put the backup FILE in the place of the database. Stop the app first.

    The database that was there stays beside it; its name then ends in .old.
    """
    from app.store.backup import restore

    def run() -> None:
        contacts, old = restore(Settings.from_env().store, file)
        kept = f" The database that was there is {old} now." if old else ""
        click.echo(f"Restored {_contacts(contacts)} from {file}.{kept}")

    _or_exit(run)


@cli.command()
@click.argument("source")
def move(source: str) -> None:
    """Copy the address book at the URL SOURCE, such as sqlite:///contacts.db, into CONTACTS_STORE.

    With its history, so that undo goes on. CONTACTS_STORE must be empty; SOURCE stays as it is. Stop
    the app first: what is written to SOURCE meanwhile is not moved.
    """
    from app.store.moving import move
    from app.store.sql import SQLStore

    def run() -> None:
        path = source.removeprefix("sqlite:///")
        if path != source and not Path(path).is_file():
            raise CannotOpen(f"There is no database file at {source}.")
        with _store() as target, closing(open_store(source)) as old, _progress("Moving") as progress:
            if not (isinstance(old, SQLStore) and isinstance(target, SQLStore)):
                raise BadSetting("Only an address book in a database can be moved, and memory: is none.")

            def advance(done: int, total: int) -> None:
                progress.total = total
                progress.advance(done)

            moved = move(old, target, advance)
        click.echo(f"Moved {_contacts(moved.contacts)} with {moved.changes:,} changes.")

    _or_exit(run)


@cli.command()
@click.argument("batch", type=click.IntRange(1))
@click.option("--partly", is_flag=True, help="Undo what has not changed since, and leave the rest.")
def undo(batch: int, partly: bool) -> None:
    """Take back the change with the number BATCH, such as an import."""

    def run() -> None:
        with _store() as store:
            done = store.undo(batch, partly=partly)
            click.echo(f"{done}. To undo that, too: python -m app undo {done.id}")

    _or_exit(run)


# --- what the commands share


def _or_exit(command: Callable[[], int | None]) -> None:
    """Run a command; what a person can mend becomes one line and exit code 1."""
    try:
        code = command()
    except UnreadableFile as error:
        line = f"line {error.line}: " if error.line else ""
        _fail(f"{line}{error} Nothing was imported.")
    except (BadSetting, StoreError, ContactError) as error:
        _fail(str(error))
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'The file'}: {error.strerror}.")
    except KeyboardInterrupt:
        _fail("Stopped. Nothing was changed.")
    else:
        sys.exit(code or 0)


def _fail(message: str) -> None:
    click.echo(f"contacts: {message}", err=True)
    sys.exit(1)


@contextmanager
def _store() -> Iterator[ContactStore]:
    settings = Settings.from_env()
    if settings.store == "memory:":
        raise BadSetting("CONTACTS_STORE is memory:, which ends with this command. Name an SQLite file.")
    with closing(open_store(settings.store)) as store:
        yield store


@contextmanager
def _open_input(file: Path) -> Iterator[BinaryIO]:
    """The file, or the standard input in a file that can be read from its beginning again."""
    if str(file) != "-":
        with file.open("rb") as stream:
            yield stream
        return
    with tempfile.TemporaryFile() as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
        yield stream


@contextmanager
def _replacing(file: Path) -> Iterator[TextIO]:
    """A file to write text into that takes its place only when it is complete."""
    with replacing(file) as draft, draft.open("w", encoding="utf-8", newline="") as out:
        yield out


class _Progress:
    """How far a command is: a bar on a terminal, a line now and then elsewhere. All of it on stderr."""

    def __init__(self, label: str) -> None:
        self.total = 0  # 0 while it is not known
        self.done = 0
        self._label = label
        self._told = 0
        self._is_terminal = sys.stderr.isatty()

    def advance(self, done: int) -> None:
        """Tell that so many are done, if there is anything new to tell."""
        self.done = done
        if not self.total:
            return
        part = done * (100 if self._is_terminal else STEPS) // self.total
        if part <= self._told:
            return
        self._told = part
        if self._is_terminal:
            bar = "#" * (part * 30 // 100)
            click.echo(f"\r{self._label} [{bar:30}] {part:3}% {done:,} of {self.total:,}", nl=False, err=True)
        else:
            click.echo(f"{self._label}: {done:,} of {self.total:,}", err=True)

    def over[T](self, items: Iterable[T]) -> Iterator[T]:
        """The items, counted as they pass."""
        for number, item in enumerate(items, 1):
            yield item
            self.done = number
            if number % 100 == 0 or number == self.total:
                self.advance(number)

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._is_terminal and self._told:
            click.echo(err=True)


@contextmanager
def _progress(label: str) -> Iterator[_Progress]:
    progress = _Progress(label)
    try:
        yield progress
    finally:
        progress.end()


class _Rows:
    """The rows of a file on their way to the store, which reads all of them before it writes."""

    def __init__(self, source: Source, progress: _Progress) -> None:
        self._source = source
        self._progress = progress

    def drafts(self) -> Iterator[ContactDraft]:
        """The drafts of the rows that can be read."""
        count = 0
        for row in self._source.rows():
            if not row.problem:
                count += 1
                yield row.draft
        self._progress.total = count


def _tell(result: ImportResult, failed: int, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    click.echo(
        f"{result.added:,} {would}added, {result.updated:,} {would}updated, "
        f"{result.skipped:,} here already, {failed:,} failed. {_how_to_undo(result)}".strip()
    )


def _how_to_undo(result: ImportResult) -> str:
    return f"To undo it: python -m app undo {result.batch.id}" if result.batch else ""


def _contacts(count: int) -> str:
    return f"{count:,} contact{'' if count == 1 else 's'}"


if __name__ == "__main__":
    cli(prog_name="python -m app")
