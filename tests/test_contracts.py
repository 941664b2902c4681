"""What Chirp's own checks say about the app: routes, targets, forms, labels, security."""

import pytest

from app.main import create_app
from app.settings import Settings
from app.store.memory import MemoryStore


def test_chirp_finds_nothing_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(Settings(), MemoryStore())

    app.check(warnings_as_errors=True)  # leaves with a list of what is wrong, if anything is

    assert "All clear" in capsys.readouterr().out
