"""A real browser against a real server process with a real SQLite file.

The tests know a base URL and nothing of the app's code: `pytest e2e --base-url URL` runs
them against any server that is running already, and `--database` names what it keeps its
contacts in, an SQLite file or a PostgreSQL database. Otherwise a server is started for the
session: the app, with `--server flask` one of its twins, with `--server cluster` two processes
of the app behind nginx. Each test begins with the twelve sample contacts.

A test that is marked with `contract` is about a feature of docs/contract.md, which every server
has. `pytest e2e -m "contract(feature='edit')"` picks those of one feature.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Error, Page, expect

from e2e.databases import Database, PostgreSQL, SQLiteFile, database_at
from tests.server_process import running_server

pytest.register_assert_rewrite("e2e.steps", "tests.web.markup")
expect.set_options(timeout=8_000)
FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]
NewContext = Callable[..., BrowserContext]
# Each server that keeps the contract, and how `python -m` starts it.
SERVERS = {
    "chirp": ("app", "serve"),
    "flask": ("twins", "flask"),
    "fastapi": ("twins", "fastapi"),
    "cluster": ("scripts.cluster",),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contacts")
    group.addoption("--server", choices=list(SERVERS), default="chirp", help="the server to start and test")
    group.addoption(
        "--database",
        help="the SQLite file of the server at --base-url, or its PostgreSQL as postgresql://... (as a "
        "superuser): each test begins with what it holds now",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "console_errors: this test causes errors in the browser's console on purpose"
    )
    config.addinivalue_line(
        "markers", "contract(feature): what every server does, see docs/contract.md; the innermost counts"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the feature of a test in the report that scripts/conformance.py reads."""
    for item in items:
        if mark := item.get_closest_marker("contract"):
            item.user_properties.append(("feature", mark.kwargs["feature"]))


@dataclass(frozen=True, slots=True)
class Site:
    """A server to test.

    database: None when it is not known. fresh: a copy of it with the sample contacts alone.
    """

    url: str
    database: Database | None = None
    fresh: Path | None = None


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_type: BrowserType
) -> dict[str, Any]:
    """Chromium: the one that E2E_BROWSER names ("" for Playwright's own), else the one on the PATH."""
    args = {**browser_type_launch_args, "args": FLAGS + (["--no-sandbox"] if os.geteuid() == 0 else [])}
    path = os.environ.get("E2E_BROWSER", shutil.which("chromium"))
    if path:
        return {**args, "executable_path": path}
    try:
        browser_type.launch(**args).close()
    except Error as error:
        pytest.exit(
            f"No browser: run `make e2e`, or set E2E_BROWSER to a Chromium. ({error.message[:80]})", 1
        )
    return args


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    # Without --base-url, which the plugin puts here: `new_window` says where it goes.
    given = {name: value for name, value in browser_context_args.items() if name != "base_url"}
    return {**given, "locale": "en-GB", "timezone_id": "UTC"}


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest) -> str | None:
    """What --base-url says. The plugin's own fixture uses what pytest 9 warns of."""
    url: str | None = request.config.getoption("base_url")
    return url


@pytest.fixture(scope="session")
def started(
    request: pytest.FixtureRequest, base_url: str | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The server of the whole session."""
    folder = tmp_path_factory.mktemp("site")
    if base_url:
        place: str | None = request.config.getoption("database")
        database = database_at(place) if place else None
        if isinstance(database, SQLiteFile) and not database.path.is_file():
            pytest.exit(f"--database: there is no file {database.path}.", 1)
        fresh = database.save(folder / "fresh") if database else None
        yield Site(base_url.rstrip("/"), database, fresh)
        if database and fresh:
            database.load(fresh)
        return
    file = SQLiteFile(folder / "contacts.db")
    module = SERVERS[request.config.getoption("server")]
    with running_server(folder, module=module, CONTACTS_STORE=file.url) as server:
        said = re.search(r"postgresql://\S+", server.log())  # by the one that brings its own
        own = PostgreSQL(said.group()) if said else file
        yield Site(server.url, own, own.save(folder / "fresh"))


@pytest.fixture
def site(started: Site) -> str:
    """The base URL of a site that holds the sample contacts and no others."""
    if started.database and started.fresh:
        started.database.load(started.fresh)
    return started.url


@pytest.fixture
def new_window(
    new_context: NewContext, site: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """Make a window of its own, with its own cookies; takes the options of Playwright's new_context.

    An error in the console or the scripts of any window fails the test.
    """
    windows: list[Page] = []

    def make(**options: Any) -> Page:
        defaults = {"base_url": site, "reduced_motion": "reduce", "viewport": {"width": 1280, "height": 800}}
        windows.append(new_context(**defaults | options).new_page())
        return windows[-1]

    yield make
    if not request.node.get_closest_marker("console_errors"):
        assert [fault for window in windows for fault in _faults(window)] == []


def _faults(page: Page) -> list[str]:
    """Errors in console and scripts. Chromium logs every 4xx answer; only a static file's is a fault."""
    logged = [message for message in page.console_messages() if message.type == "error"]
    faults = [m.text for m in logged if "status of 4" not in m.text or "/static/" in m.location["url"]]
    return _without_aborts(faults) + [str(error) for error in page.page_errors()]


def _without_aborts(logged: list[str]) -> list[str]:
    """The lines without the pairs that htmx logs as errors when a request gives way to another, as it may.

    A request that the network lost leaves htmx:afterRequest and htmx:sendError, which stay.
    """
    faults: list[str] = []
    for line in logged:
        name, _, target = line.partition(", ")
        if name == "htmx:sendAbort" and faults and faults[-1] == f"htmx:afterRequest, {target}":
            faults.pop()
        else:
            faults.append(line)
    return faults


@pytest.fixture
def page(new_window: Callable[..., Page]) -> Page:
    """A window."""
    return new_window()


@pytest.fixture
def plain(new_window: Callable[..., Page]) -> Page:
    """A window that runs no JavaScript."""
    return new_window(java_script_enabled=False)


@pytest.fixture(scope="session")
def crowd(started: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a database with 120 sample contacts."""
    if not started.database:
        pytest.skip("needs the server's database")
    folder = tmp_path_factory.mktemp("crowd")
    with started.database.another(folder) as another:
        with running_server(folder, CONTACTS_STORE=another.url, CONTACTS_SAMPLE="120"):
            pass
        return another.save(folder / "crowd")


@pytest.fixture
def many(site: str, started: Site, crowd: Path) -> str:
    """The base URL of the site, which now holds 120 sample contacts: more than two pages of the list."""
    assert started.database
    started.database.load(crowd)
    return site


@pytest.fixture(scope="session")
def browser_name_and_version(browser: Browser) -> str:
    return f"{browser.browser_type.name} {browser.version}"
