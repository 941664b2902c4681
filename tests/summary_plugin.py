"""Ends a test run with what it ran on: how many tests on which store, and in which browser.

A plugin of pytest: `pytest -p tests.summary_plugin`. A test counts for a store when the store's name is among
its parameters, and for the browser when it uses one.
"""

from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

STORES = ("memory", "sqlite", "postgres")


class Summary:
    def __init__(self) -> None:
        self.kinds: dict[str, list[str]] = {}
        self.browser = ""
        self.ran: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if isinstance(item, pytest.Function):
                parameters = item.callspec.id.split("-") if hasattr(item, "callspec") else []
                stores = [f"on the {store} store" for store in STORES if store in parameters]
                self.kinds[item.nodeid] = stores + ["in the browser"] * ("browser" in item.fixturenames)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        value = yield
        if fixturedef.argname == "browser":
            kind, version = value.browser_type.name, value.version
            self.browser = f"{kind.capitalize()} {version}"
        return value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            self.ran.update(["in all", *self.kinds.get(report.nodeid, [])])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        counts = [
            f"{self.ran[kind]} {kind.replace('the browser', self.browser)}"
            for kind in ("in all", *(f"on the {store} store" for store in STORES), "in the browser")
            if self.ran[kind]
        ]
        terminalreporter.section("what ran")
        terminalreporter.line(f"Tests run: {', '.join(counts) or 'none'}.")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Summary())
