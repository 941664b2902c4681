"""Uploaded files, from their arrival until an hour later, and the work on them.

Each upload is a folder named by a token that nobody can guess: the file, `state.json` and,
when rows cannot be imported, `failed.csv`. They are on disk, so that any worker, thread or
process, can say how far an import is. The work runs in a thread of the process that was
asked for it, under a lock that goes with the process: that is how the others know when it died.
"""

import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from app.contacts.contact import ContactDraft
from app.contacts.interchange import FILE_LIMIT, ROWS_LIMIT, Column

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

SPACE_LIMIT = 10 * FILE_LIMIT  # bytes, of all uploads together
KEPT = 3_600  # seconds
AT_ONCE = 2  # uploads worked on by a process: one long cell can take ten times its size in memory
PATIENCE = 1.0  # seconds that work may take to end at a shutdown

INTERRUPTED = "The work was cut off, and nothing of it is kept. Import the file again."

Stage = Literal["new", "reading", "preview", "importing", "done", "cancelled", "failed"]
WORKING: tuple[Stage, ...] = ("new", "reading", "importing")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What an import does, or would do, in contacts; failed in rows of the file."""

    added: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a row cannot be imported. field: "" when the row cannot be read at all."""

    line: int
    field: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an upload.

    name: of the file, as the browser told it. kind: what it is, in words.
    done, rows: how many contacts of the file are dealt with, and how many it has; 0 while unknown.
    sample: the first contacts as they will be kept. wrong: why the first rows that fail do.
    update, fill: what an import would do to those that are here already, see OnDuplicate.
    result: what it did. batch: 0 when it changed nothing.
    problem: why the work failed and what to do.
    """

    name: str
    stage: Stage = "new"
    kind: str = ""
    done: int = 0
    rows: int = 0
    columns: tuple[Column, ...] = ()
    sample: tuple[ContactDraft, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    update: Counts = Counts()
    fill: Counts = Counts()
    result: Counts = Counts()
    batch: int = 0
    problem: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.stage in ("done", "cancelled", "failed")

    @property
    def is_working(self) -> bool:
        """Whether the state will change by itself."""
        return self.stage in WORKING

    @classmethod
    def from_json(cls, text: str) -> State:
        """The state that `json.dumps(asdict(state))` wrote."""
        raw: dict[str, Any] = json.loads(text)
        parts = {
            "columns": tuple(Column(**column) for column in raw["columns"]),
            "sample": tuple(
                ContactDraft(**draft | {"tags": tuple(draft["tags"])}) for draft in raw["sample"]
            ),
            "wrong": tuple(Wrong(**wrong) for wrong in raw["wrong"]),
            **{name: Counts(**raw[name]) for name in ("update", "fill", "result")},
        }
        return cls(**raw | parts)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many uploads there may be at once, and how many bytes and contacts a file may have."""

    uploads: int = 20
    file: int = FILE_LIMIT
    rows: int = ROWS_LIMIT


class NoRoom(Exception):
    """There are too many uploads already."""


class Stopped(Exception):
    """Work was told to end. stage, problem: what the upload becomes."""

    def __init__(self, stage: Stage, problem: str = "") -> None:
        super().__init__(stage)
        self.stage: Stage = stage
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded file in its folder."""

    folder: Path

    @property
    def token(self) -> str:
        """What its URL is made of: who knows it may see the file and import it."""
        return self.folder.name

    @property
    def file(self) -> Path:
        """The file as it came."""
        return self.folder / "file"

    @property
    def failed(self) -> Path:
        """The rows that cannot be imported, as CSV; missing when there are none."""
        return self.folder / "failed.csv"

    def state(self) -> State:
        """How it stands now; work whose process died has failed."""
        state = self.stored()
        if not state.is_working or not self.is_unlocked():
            return state
        state = self.stored()  # the work may have ended meanwhile
        return replace(state, stage="failed", problem=INTERRUPTED) if state.is_working else state

    def save(self, state: State) -> None:
        """Replace the state; only whoever works on the upload does that."""
        draft = self.folder / "state.new"
        with open_private(draft) as file:
            json.dump(asdict(state), file)
        draft.replace(self.folder / "state.json")

    def cancel(self) -> None:
        """Tell the work on it to end, in whichever process it runs."""
        with suppress(FileNotFoundError):
            (self.folder / "cancel").touch(mode=0o600)

    @property
    def is_cancelled(self) -> bool:
        """Whether the work on it was told to end."""
        return (self.folder / "cancel").exists()

    def remove(self) -> None:
        """Forget it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def lock(self) -> int | None:
        """Take the lock that says that somebody works on it; None when somebody does.

        It goes when the file descriptor is closed, and so when the process dies.
        """
        try:
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        try:
            if sys.platform == "win32":
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def stored(self) -> State:
        """The state as it was saved last."""
        return State.from_json((self.folder / "state.json").read_text(encoding="utf-8"))

    def is_unlocked(self) -> bool:
        """Whether nobody works on it."""
        handle = self.lock()
        if handle is None:
            return False
        os.close(handle)
        return True


def open_private(path: Path) -> TextIO:
    """Open a file to write text into that nobody else on the machine can read."""
    return open(
        path, "w", encoding="utf-8", newline="", opener=lambda name, flags: os.open(name, flags, 0o600)
    )


class Job:
    """The work on an upload, as it reports itself and is stopped."""

    def __init__(self, upload: Upload, state: State, stopping: threading.Event) -> None:
        self.upload = upload
        self.state = state
        self._stopping = stopping
        self._told = 0.0

    def go_on(self, _: int = 0) -> None:
        """Return if the work may go on, else raise Stopped."""
        if self._stopping.is_set():
            raise Stopped("failed", INTERRUPTED)
        if self.upload.is_cancelled:
            raise Stopped("cancelled")

    def advance(self, done: int, **known: Any) -> None:
        """Say how many contacts are done, and what else is known; Stopped when the work shall end."""
        self.go_on()
        self.state = replace(self.state, done=done, **known)
        if time.monotonic() - self._told > 0.25:
            self.upload.save(self.state)
            self._told = time.monotonic()


Work = Callable[[Job], State]  # the state that it ends in; Stopped passes through it


class Uploads:
    """All uploads of a site. folder: where; None for a temporary one, which goes at the end."""

    limits = Limits()

    def __init__(self, folder: Path | None, limits: Limits | None = None) -> None:
        if limits:
            self.limits = limits
        self._fixed = folder
        self._folder = folder
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._sweeper: threading.Timer | None = None
        self._making = threading.Lock()
        self._turns = threading.Semaphore(AT_ONCE)

    def open(self) -> None:
        """Begin: work may be started. Processes that are forked after this share a temporary folder."""
        self._stopping.clear()
        if self._fixed is None:
            with suppress(OSError):  # the next upload will say it
                self._made()
        self.sweep()

    def close(self) -> None:
        """End all work, which takes back what it did, within about a second."""
        self._stopping.set()
        end = time.monotonic() + PATIENCE
        for thread in list(self._threads.values()):
            thread.join(max(0, end - time.monotonic()))
        if self._sweeper:
            self._sweeper.cancel()
            self._sweeper = None
        self.sweep()
        if self._fixed is None and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def new(self) -> Upload:
        """A new folder for a file; NoRoom when too many wait or are being worked on."""
        self.sweep()
        with self._making:
            root = self._made()
            if self._is_full(root):
                self._forget_ended()
            if self._is_full(root):
                raise NoRoom
            upload = Upload(root / secrets.token_urlsafe(16))
            upload.folder.mkdir(mode=0o700)
            upload.file.touch(mode=0o600)
            if self._sweeper is None:
                self._sweeper = threading.Timer(KEPT + 60, self._sweep_again)
                self._sweeper.daemon = True
                self._sweeper.start()
        return upload

    def find(self, token: str) -> Upload | None:
        """The upload with this token; None when there is none (any more)."""
        if self._folder is None or not re.fullmatch(r"[\w-]{22}", token, re.ASCII):
            return None
        upload = Upload(self._folder / token)
        return upload if (upload.folder / "state.json").is_file() else None

    def all(self) -> list[Upload]:
        """Every upload that is kept."""
        return [Upload(folder) for folder in self._folders()]

    def start(self, upload: Upload, work: Work, *, after: Stage, during: Stage) -> None:
        """Work on an upload in a thread, unless it is past the stage `after` or somebody works on it.

        This may wait for a second, so it is nothing for an event loop.
        """
        lock = self._take(upload, after)
        if lock is None:
            return
        state = upload.stored()
        if state.stage != after or self._stopping.is_set():
            os.close(lock)
            return
        state = replace(state, stage=during, done=0)
        upload.save(state)
        job = Job(upload, state, self._stopping)
        thread = threading.Thread(
            target=self._run,
            args=(job, work, lock),
            name="import",
            daemon=True,
            context=copy_context(),  # with the number of the request, which Python without GIL does by itself
        )
        self._threads[upload.token] = thread
        thread.start()

    def _take(self, upload: Upload, stage: Stage) -> int | None:
        """The lock of an upload that is at this stage; None for another, or one that is gone.

        Whoever has it at this stage gives it back in a moment: the work that led here and has just saved
        that, or a page that looks whether anybody works on it. Handlers begin work on a thread, so that a
        wait here holds up nobody else.
        """
        end = time.monotonic() + PATIENCE
        with suppress(OSError):
            while (lock := upload.lock()) is None:
                if upload.stored().stage != stage or time.monotonic() > end:
                    return None
                time.sleep(0.001)
            return lock
        return None

    def wait(self, upload: Upload, seconds: float) -> None:
        """Wait for the work that this process does on an upload, at most so long."""
        if thread := self._threads.get(upload.token):
            thread.join(seconds)

    def sweep(self) -> None:
        """Remove what is older than an hour and not being worked on."""
        for upload in self.all():
            with suppress(OSError):
                if upload.folder.stat().st_mtime < time.time() - KEPT and upload.is_unlocked():
                    upload.remove()

    def _is_full(self, root: Path) -> bool:
        sizes = [file.stat().st_size for file in root.glob("*/file")]
        return len(list(root.iterdir())) >= self.limits.uploads or (
            sum(sizes) + self.limits.file > SPACE_LIMIT
        )

    def _forget_ended(self) -> None:
        """Make room: remove the uploads that nobody waits for any more, before their hour is over."""
        for upload in self.all():
            with suppress(OSError):
                if upload.stored().is_over and upload.is_unlocked():
                    upload.remove()

    def _run(self, job: Job, work: Work, lock: int) -> None:
        try:
            state = self._in_turn(job, work)
            if state.stage == "preview" and job.upload.is_cancelled:
                raise Stopped("cancelled")
        except Stopped as stopped:
            state = replace(job.state, stage=stopped.stage, problem=stopped.problem)
        except Exception:
            log.exception("The work on an upload failed")
            problem = "Something went wrong on our side. Nothing was changed. Please try again."
            state = replace(job.state, stage="failed", problem=problem)
        with suppress(OSError):  # the folder is gone
            if state.stage != "preview":
                job.upload.file.unlink(missing_ok=True)
            job.upload.save(state)
        os.close(lock)
        self._threads.pop(job.upload.token, None)

    def _in_turn(self, job: Job, work: Work) -> State:
        """Do the work when it is its turn."""
        while not self._turns.acquire(timeout=0.25):
            job.go_on()
        try:
            return work(job)
        finally:
            self._turns.release()

    def _sweep_again(self) -> None:
        self._sweeper = None
        self.sweep()

    def _made(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="contacts-imports-"))
        self._folder.mkdir(mode=0o700, exist_ok=True)
        return self._folder

    def _folders(self) -> list[Path]:
        """Those of all uploads; none when they cannot be read, which the next upload will say."""
        try:
            return list(self._folder.iterdir()) if self._folder else []
        except OSError:
            return []
