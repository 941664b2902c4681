"""What the app takes for granted of Chirp and of free-threaded Python, tried out."""

import asyncio
import inspect
import subprocess
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest
from chirp import App
from chirp.testing import TestClient

from app import routes
from tests.server_process import ROOT, RunningServer, environment, running_server

PROBE = ("tests.probe_app", "routes")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The probe app on four workers."""
    with running_server(tmp_path_factory.mktemp("workers"), module=PROBE, CONTACTS_WORKERS="4") as running:
        yield running


def test_a_route_added_after_the_first_request_is_refused() -> None:
    app = _small_app()
    assert _ask(app) == "hello"

    with pytest.raises(RuntimeError, match="Cannot modify the app after it has started"):
        app.route("/late")(_hello)


def test_a_route_added_before_the_first_request_is_served() -> None:
    app = _small_app()
    app.route("/early")(_hello)

    assert _ask(app, "/early") == "hello"


def test_four_threads_racing_for_the_first_request_freeze_the_app_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, freeze = _small_app(), App._freeze
    start, frozen, answers = threading.Barrier(4), list[str](), list[str]()
    another = threading.Event()

    def counted(self: App) -> None:
        if frozen:
            another.set()
        frozen.append(threading.current_thread().name)
        another.wait(0.5)  # time enough for the other threads to come in, if they can
        freeze(self)

    def race() -> None:
        start.wait(30)
        answers.append(_ask(app))

    monkeypatch.setattr(App, "_freeze", counted)
    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == ["hello"] * 4
    assert len(frozen) == 1


def test_request_context_does_not_leak_between_concurrent_requests(workers: RunningServer) -> None:
    served = Counter[str]()

    for round in range(6):
        names = [f"visitor{round}-{number}" for number in range(40)]
        with ExitStack() as stack:
            connections = [stack.enter_context(workers.connect()) for _ in names]
            for connection, name in zip(connections, names, strict=True):
                connection.request(f"/whoami?name={name}")
            for connection, name in zip(connections, names, strict=True):
                said, _, place = connection.answer().text.partition(" on ")
                assert said == f"{name} {name} {name}"
                served[place] += 1

    assert len(served) > 1  # several workers had a part in it


def test_the_hooks_of_each_worker_run_once_and_on_that_worker(tmp_path: Path) -> None:
    with running_server(tmp_path, module=PROBE, CONTACTS_WORKERS="3") as running:
        running.wait_for("Ready to accept connections")
        running.stop()

    started = _places(running.log(), "startup hook on ")
    stopped = _places(running.log(), "shutdown hook on ")
    assert len(started) == len(set(started)) == 3
    assert sorted(stopped) == sorted(started)


LOAD_EVERYTHING = """
import asyncio, importlib, pkgutil, sys
from chirp.testing import TestClient
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if module.name != "app.__main__":
        importlib.import_module(module.name)
from app.main import create_app

async def ask():
    async with TestClient(create_app()) as client:
        return [(await client.get(path)).status for path in ("/contacts?q=ada", "/contacts/new", "/ready")]

assert asyncio.run(ask()) == [200, 200, 200]
print("GIL" if sys._is_gil_enabled() else "no GIL")
"""


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has its GIL")
def test_the_gil_stays_off_with_the_whole_app_loaded_and_used(tmp_path: Path) -> None:
    variables = {name: value for name, value in environment(tmp_path).items() if name != "PYTHON_GIL"}

    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD_EVERYTHING],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert loaded.stderr == ""
    assert loaded.stdout == "no GIL\n"


def test_every_handler_is_async() -> None:
    # A plain one runs on a thread of a pool, and its context leaks into event streams: docs/upstream.md.
    app = Mock()
    routes.register(app)

    handlers = [call.args[0] for call in app.route.return_value.call_args_list]

    assert handlers
    assert [handler.__name__ for handler in handlers if not inspect.iscoroutinefunction(handler)] == []


async def _hello() -> str:
    return "hello"


def _small_app() -> App:
    app = App()
    app.route("/")(_hello)
    return app


def _ask(app: App, path: str = "/") -> str:
    """The text of one answer, asked for without lifespan: the request is the first the app sees."""

    async def ask() -> str:
        return str((await TestClient(app).get(path)).text)

    return asyncio.run(ask())


def _places(log: str, words: str) -> list[str]:
    """The process and thread that follow these words, each time they are in the log."""
    return [line.partition(words)[2].split('"')[0] for line in log.splitlines() if words in line]
