"""Where uploaded files wait, and the work on them: folders, locks, threads."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.contacts.contact import ContactDraft
from app.contacts.interchange import FILE_LIMIT, Column
from app.web import uploads as module
from app.web.uploads import INTERRUPTED, Counts, Job, Limits, NoRoom, State, Upload, Uploads, Wrong
from tests.server_process import RunningServer, running_server

HOUR = 3_600


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Uploads]:
    """The uploads of a site with a database."""
    uploads = Uploads(tmp_path / "contacts.db.imports")
    uploads.open()
    yield uploads
    uploads.close()


def uploaded(uploads: Uploads, name: str = "people.csv") -> Upload:
    """A file that has arrived."""
    upload = uploads.new()
    upload.save(State(name))
    return upload


def start(uploads: Uploads, upload: Upload, work: module.Work) -> None:
    uploads.start(upload, work, after="new", during="reading")


def wait_for(uploads: Uploads, upload: Upload) -> State:
    """How the work on it ended."""
    uploads.wait(upload, 30)
    return upload.state()


def age(upload: Upload, seconds: float) -> None:
    """Make it as old as that."""
    then = time.time() - seconds
    os.utime(upload.folder, (then, then))


class Waiting:
    """Work that goes on until it is let go or stopped."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, job: Job) -> State:
        self.times += 1
        self.begun.set()
        while not self.go.wait(0.01):
            job.advance(7)
        return replace(job.state, stage="done", rows=9)


# ---- what is kept


def test_a_state_is_read_as_it_was_written(uploads: Uploads) -> None:
    state = State(
        "Zoë.csv",
        "preview",
        kind="CSV",
        rows=3,
        columns=(Column("E-mail", "email"),),
        sample=(ContactDraft("Ada", "ada@example.com", tags=("VIP", "x")),),
        wrong=(Wrong(2, "email", "nowhere", "Enter one"),),
        update=Counts(1, 2, 3, 4),
        batch=5,
    )
    upload = uploads.new()

    upload.save(state)

    assert upload.state() == state


def test_nobody_else_on_the_machine_can_read_an_upload(uploads: Uploads) -> None:
    upload = uploaded(uploads)
    start(uploads, upload, lambda job: replace(job.state, stage="preview"))
    wait_for(uploads, upload)

    paths = [upload.folder.parent, upload.folder, *upload.folder.iterdir()]

    assert {path.stat().st_mode & 0o077 for path in paths} == {0}


def test_an_upload_is_found_by_its_token_and_by_nothing_else(uploads: Uploads) -> None:
    upload = uploaded(uploads)

    assert uploads.find(upload.token) == upload
    for token in ("", ".", "..", "unknown", f"../{upload.folder.parent.name}/{upload.token}", "a" * 22):
        assert uploads.find(token) is None


def test_a_file_that_is_still_arriving_is_not_found(uploads: Uploads) -> None:
    assert uploads.find(uploads.new().token) is None


def test_a_site_without_a_database_keeps_uploads_in_a_folder_that_goes_at_the_end() -> None:
    uploads = Uploads(None)
    uploads.open()
    folder = uploaded(uploads).folder

    uploads.close()

    assert not folder.parent.exists()


# ---- how long, how many


def test_uploads_go_after_an_hour(uploads: Uploads) -> None:
    old, young = uploaded(uploads), uploaded(uploads)
    age(old, HOUR + 1)
    age(young, HOUR - 60)

    uploads.sweep()

    assert not old.folder.exists()
    assert young.folder.exists()


def test_an_upload_is_not_taken_away_from_the_work_on_it(uploads: Uploads) -> None:
    upload, work = uploaded(uploads), Waiting()
    start(uploads, upload, work)
    assert work.begun.wait(30)
    age(upload, 2 * HOUR)

    uploads.sweep()

    work.go.set()
    assert wait_for(uploads, upload).stage == "done"


@pytest.mark.parametrize("when", ["open", "close"])
def test_old_uploads_go_when_the_server_starts_and_stops(uploads: Uploads, when: str) -> None:
    upload = uploaded(uploads)
    age(upload, HOUR + 1)

    getattr(uploads, when)()

    assert not upload.folder.exists()


def test_there_is_room_for_so_many_uploads(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "limits", Limits(uploads=2))
    first = uploads.new()
    uploads.new()

    with pytest.raises(NoRoom):
        uploads.new()

    first.remove()
    assert uploads.new().folder.exists()


def test_uploads_that_have_come_to_their_end_make_room(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "limits", Limits(uploads=2))
    waiting, ended = uploaded(uploads), uploaded(uploads)
    ended.save(State("people.csv", stage="done"))

    new = uploads.new()

    assert not ended.folder.exists()
    assert waiting.folder.exists()
    assert new.folder.exists()
    with pytest.raises(NoRoom):
        uploads.new()


def test_there_is_room_for_so_many_bytes(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPACE_LIMIT", FILE_LIMIT + 5)
    uploads.new().file.write_bytes(b"12345")
    uploads.new().file.write_bytes(b"6")

    with pytest.raises(NoRoom):
        uploads.new()


# ---- work


def test_work_is_done_once(uploads: Uploads) -> None:
    upload, work = uploaded(uploads), Waiting()
    start(uploads, upload, work)
    assert work.begun.wait(30)

    start(uploads, upload, work)
    work.go.set()
    ended = wait_for(uploads, upload)
    start(uploads, upload, work)

    assert work.times == 1
    assert upload.state() == ended


def test_work_tells_how_far_it_is(uploads: Uploads) -> None:
    upload, work = uploaded(uploads), Waiting()
    start(uploads, upload, work)
    while not (state := upload.state()).done:
        assert state.stage == "reading"

    assert (state.stage, state.done) == ("reading", 7)
    work.go.set()


def test_more_work_than_fits_in_memory_waits_for_its_turn(uploads: Uploads) -> None:
    begun = [Waiting() for _ in range(module.AT_ONCE)]
    for work in begun:
        start(uploads, uploaded(uploads), work)
        assert work.begun.wait(30)
    waiting, cancelled, next_one = uploaded(uploads), uploaded(uploads), Waiting()
    start(uploads, waiting, next_one)
    start(uploads, cancelled, Waiting())

    cancelled.cancel()
    assert wait_for(uploads, cancelled).stage == "cancelled"  # also while it waits
    assert not next_one.begun.is_set()

    begun[0].go.set()
    assert next_one.begun.wait(30)
    next_one.go.set()
    assert wait_for(uploads, waiting).stage == "done"


def test_work_is_cancelled(uploads: Uploads) -> None:
    upload = uploaded(uploads)
    start(uploads, upload, Waiting())

    upload.cancel()

    assert wait_for(uploads, upload).stage == "cancelled"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits a second for something that comes at once waits longer, for a slow computer."""
    monkeypatch.setattr(module, "PATIENCE", 30)


@pytest.mark.usefixtures("patient")
def test_work_ends_when_the_server_stops(uploads: Uploads) -> None:
    upload, work = uploaded(uploads), Waiting()
    start(uploads, upload, work)
    assert work.begun.wait(30)

    uploads.close()

    assert [thread for thread in threading.enumerate() if thread.name == "import"] == []
    assert (upload.state().stage, upload.state().problem) == ("failed", INTERRUPTED)


def test_work_that_fails_says_so_and_nothing_of_what_it_is_about(
    uploads: Uploads, caplog: pytest.LogCaptureFixture
) -> None:
    upload = uploaded(uploads)

    def work(job: Job) -> State:
        raise ValueError("secret")

    start(uploads, upload, work)

    state = wait_for(uploads, upload)
    assert state.stage == "failed"
    assert "secret" not in state.problem
    assert "secret" in caplog.text


def test_a_file_is_forgotten_once_it_is_imported(uploads: Uploads) -> None:
    upload = uploaded(uploads)

    start(uploads, upload, lambda job: replace(job.state, stage="done"))
    wait_for(uploads, upload)

    assert not upload.file.exists()


DYING = """
import os, sys
from pathlib import Path
from app.web.uploads import State, Uploads

uploads = Uploads(Path(sys.argv[1]))
upload = uploads.new()
upload.save(State("people.csv"))
uploads.start(upload, lambda job: sys.stdin.read(), after="new", during="importing")
print(upload.token, flush=True)
sys.stdin.read()
"""


def test_work_in_another_process_is_seen_and_so_is_its_death(uploads: Uploads, tmp_path: Path) -> None:
    folder = tmp_path / "contacts.db.imports"
    with subprocess.Popen(
        [sys.executable, "-c", DYING, folder],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        upload = uploads.find(process.stdout.readline().strip())
        assert upload
        assert upload.state().stage == "importing"
        assert upload.lock() is None

        process.kill()
        process.wait()

        assert (upload.state().stage, upload.state().problem) == ("failed", INTERRUPTED)


FORKING = """
import os
from app.web.uploads import State, Uploads

uploads = Uploads(None)
uploads.open()
if os.fork() == 0:
    uploads.new().save(State("people.csv"))
    os._exit(0)
os.wait()
print(*[upload.state().name for upload in uploads.all()])
uploads.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="cannot fork")
def test_processes_that_are_forked_share_a_temporary_folder() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORKING],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout == "people.csv\n", ended.stderr


@pytest.mark.usefixtures("patient")
def test_work_begins_though_the_work_before_has_not_quite_let_go(uploads: Uploads) -> None:
    upload = uploaded(uploads)
    lock = upload.lock()
    assert lock is not None
    letting_go = threading.Timer(0.05, os.close, [lock])
    letting_go.start()

    start(uploads, upload, lambda job: replace(job.state, stage="done"))

    letting_go.join()
    assert wait_for(uploads, upload).stage == "done"


# ---- a real server


def send(server: RunningServer, path: str, body: bytes, content_type: str) -> str:
    """POST, and the address that the answer leads to."""
    connection = HTTPConnection(server.host, server.port, timeout=60)
    with closing(connection):
        connection.request("POST", path, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        assert answer.status == 303, answer.read()
        return answer.headers["Location"]


def import_under_way(server: RunningServer) -> str:
    """Start an import that takes a while; its path."""
    rows = "".join(f"Person {number},p{number}@example.com\n" for number in range(80_000))
    head = '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    body = f"{head}Name,Email\n{rows}\r\n--cut--\r\n".encode()
    path = send(server, "/import", body, "multipart/form-data; boundary=cut")
    while "Preview of the import" not in (page := server.get(path).text):
        assert "<progress" in page, page
    send(server, path, b"on_duplicate=skip", "application/x-www-form-urlencoded")
    while "<p>0 of 80,000 contacts" in (page := server.get(path).text):
        pass
    assert "<progress" in page, page  # of that very page: what comes next may be the end
    return path


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_server_that_ends_in_the_middle_of_an_import_leaves_nothing_of_it(
    tmp_path: Path, how: signal.Signals
) -> None:
    with running_server(tmp_path) as server:
        path = import_under_way(server)
        server.stop(how)
        assert "Traceback" not in server.log()

    with running_server(tmp_path) as server:
        assert INTERRUPTED in server.get(path).text
        exported = server.get("/contacts.json").text
        assert "Ada Lovelace" in exported
        assert "Person" not in exported
