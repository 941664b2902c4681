"""The settings, and the only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

Env = Literal["development", "production"]


class BadSetting(ValueError):
    """A setting cannot be used; the text names the variable and says what to write."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the app runs. Each field is read from `CONTACTS_` and its name in capitals.

    store: `sqlite:///path` or `memory:`, see app.store.open_store.
    host, port: where the server listens.
    workers: worker threads (processes on a Python with GIL), at least 1.
    env: development or production.
    demo: a public demo; shows what development shows, on purpose.
    sample: how many sample contacts a new store gets.
    """

    store: str = "sqlite:///contacts.db"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = max(2, os.cpu_count() or 1)
    env: Env = "development"
    demo: bool = False
    sample: int = 12

    @property
    def can_stage(self) -> bool:
        """Whether a visitor may cause failures on purpose: in the lab, and in sections of the dashboard."""
        return self.demo or self.env == "development"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; BadSetting for a value that cannot be meant."""
        default = cls()
        return cls(
            store=environ.get("CONTACTS_STORE") or default.store,
            host=environ.get("CONTACTS_HOST") or default.host,
            port=_number(environ, "CONTACTS_PORT", default.port, 0, 65_535),
            workers=_number(environ, "CONTACTS_WORKERS", default.workers, 1, 64),
            env=cast("Env", _choice(environ, "CONTACTS_ENV", default.env, get_args(Env))),
            demo=_choice(environ, "CONTACTS_DEMO", "0", ("0", "1")) == "1",
            sample=_number(environ, "CONTACTS_SAMPLE", default.sample, 0, 1_000_000),
        )


def _number(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most and len(text) < 9):
        raise BadSetting(f"{name} is {text!r}: write a whole number from {least:,} to {most:,}.")
    return int(text)


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = environ.get(name) or default
    if text not in choices:
        raise BadSetting(f"{name} is {text!r}: write {' or '.join(choices)}.")
    return text
