"""Two processes of the app behind nginx, on one PostgreSQL: together they are as one server.

nginx passes a person's requests on to both in turn (scripts/cluster.py). `make conformance SERVER=cluster`
runs all tests of the contract against them, in the browser.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.listening import free_port
from scripts.cluster import HOST, Front, configuration, running_cluster
from tests.event_stream import EventStream
from tests.nginx import running_nginx
from tests.postgres import Postgres
from tests.server_process import held_up, running_server
from tests.test_live import save


@pytest.fixture(scope="module")
def front(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The site, with an empty address book."""
    folder = tmp_path_factory.mktemp("cluster")
    with running_cluster(folder, postgres.empty(), sample=0) as front:
        yield front


def test_the_windows_of_each_process_hear_of_what_the_other_one_changes(
    front: Front, postgres: Postgres
) -> None:
    with ExitStack() as stack:
        windows = [stack.enter_context(EventStream(front, after=0)) for _ in range(6)]
        for number in range(1, 5):
            if number == 3:
                postgres.kill_backends()  # as a restart of the database does: everything goes on by itself
            save(front, f"Person {number}")

            assert [window.changed() for window in windows] == [number] * 6

    assert ["Person 4" in front.get("/contacts").text for _ in front.behind] == [True, True]
    for process in front.behind:
        process.wait_for(r'(?s)("POST", "path": "/contacts".*){2}', 20)
        process.wait_for(r'(?s)("path": "/live".*){3}', 20)
    assert "store postgresql:///contacts, 2 worker" in front.behind[0].log()


def test_an_upload_stays_with_the_process_that_took_it(front: Front) -> None:
    body = (
        '--b\r\nContent-Disposition: form-data; name="file"; filename="people.csv"\r\n'
        "Content-Type: text/csv\r\n\r\nName,Phone\r\nAda,555-0100\r\n--b--\r\n"
    )
    with front.connect() as connection:
        connection.send(
            f"POST /import HTTP/1.1\nHost: {front.host}\nContent-Length: {len(body)}\n"
            "Content-Type: multipart/form-data; boundary=b\n\n"
        )
        connection.send(body.encode())
        answer = connection.answer()

    assert answer.status == 303
    assert [front.get(answer.headers["location"]).status for _ in front.behind] == [200, 200]


def test_who_reads_is_sent_past_a_process_that_is_not_ready(tmp_path: Path) -> None:
    folders, port = [tmp_path / "starting", tmp_path / "ready"], free_port(HOST, 0)
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir()
        stack.enter_context(held_up(folders[0]))
        behind = [
            stack.enter_context(
                running_server(folder, ready=folder.name == "ready", CONTACTS_SOCKET=str(folder / "app.sock"))
            )
            for folder in folders
        ]
        changed = configuration(tmp_path, port, behind)
        stack.enter_context(running_nginx(tmp_path, changed, f"http://{HOST}:{port}/health"))
        front = Front(port, behind)

        assert behind[0].get("/contacts").status == 503
        assert [front.get("/contacts").status for _ in range(4)] == [200] * 4


# The last one: from here on there is one process.
def test_when_one_process_ends_the_other_one_goes_on_for_both(front: Front) -> None:
    front.behind[0].stop()

    for number in range(4):
        save(front, f"Person {number}")

    assert ["Person 3" in front.get("/contacts").text for _ in range(4)] == [True] * 4
