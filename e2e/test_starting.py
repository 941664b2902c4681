"""What people see of a server that starts."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.server_process import held_up, running_server


@pytest.mark.console_errors  # Chromium logs the 503
def test_the_page_of_a_start_gives_way_to_the_one_that_was_asked_for(tmp_path: Path, page: Page) -> None:
    with held_up(tmp_path) as let_go, running_server(tmp_path, ready=False) as server:
        page.goto(f"{server.url}/contacts?q=ada")
        expect(page.get_by_role("heading", name="One moment")).to_be_visible()
        expect(page.locator("body")).to_have_css("max-width", "544px")  # so its style is allowed
        let_go()
        expect(page.get_by_role("row", name="Ada Lovelace")).to_be_visible(timeout=30_000)
        expect(page).to_have_url(f"{server.url}/contacts?q=ada")
