"""Small files load without delay, also the first time.

A browser asks for many files at once over six connections that it keeps. A server can fail
it in two ways that give stalls of many seconds: by leaving connections unserved while others
are idle, and by losing a request that comes while the previous answer is being finished.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.server_process import RunningServer, running_server

LOADS, FILES = 12, 24
SLOW = 2_000  # milliseconds
TIMES = """() => performance.getEntriesByType("resource").filter(r => r.name.endsWith(".svg"))
                            .map(r => [r.responseStatus, r.responseEnd - r.startTime])"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("probe"), module=("tests.probe_app", "routes")) as running:
        yield running


# static: as the app serves its files. late: the server still works after the last byte.
@pytest.mark.parametrize("folder", ["static", "late"])
def test_24_small_files_load_cold_12_times_with_none_over_2_seconds(
    browser: Browser, probe: RunningServer, folder: str
) -> None:
    for _ in range(LOADS):
        with browser.new_context() as context:  # nothing cached, no connection kept
            page = context.new_page()
            page.goto(f"{probe.url}/icons?from={folder}", wait_until="load")
            files = page.evaluate(TIMES)

        assert [status for status, _ in files] == [200] * FILES
        assert max(took for _, took in files) < SLOW
