"""Other limits and another clock for the stores, whichever of their modules go by them."""

from types import ModuleType

import pytest

import app.store.memory
import app.store.postgres
import app.store.sql
import app.store.sqlite

_MODULES: tuple[ModuleType, ...] = (app.store.memory, app.store.sql, app.store.sqlite, app.store.postgres)


def patch_stores(patch: pytest.MonkeyPatch, **values: object) -> None:
    """Put these values in the place of names such as COUNT_LIMIT and now, in each module that has them."""
    for name, value in values.items():
        holders = [module for module in _MODULES if hasattr(module, name)]
        assert holders, f"no store goes by {name}"
        for module in holders:
            patch.setattr(module, name, value)
