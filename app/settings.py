"""The settings, and the only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

Env = Literal["development", "production"]
Auth = Literal["none", "password"]

DEMO_SAMPLE = 250  # sample contacts of a demo at most: half of what a visitor may have


class BadSetting(ValueError):
    """A setting cannot be used; the text names the variable and says what to write."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the app runs. Each field is read from `CONTACTS_` and its name in capitals.

    store: `sqlite:///path`, `postgresql://...` or `memory:`, see app.store.open_store.
    host, port: where the server listens.
    socket: the path of a Unix socket to listen on instead, "" for none.
    workers: worker threads (processes on a Python with GIL), at least 1.
    env: development or production.
    demo: a public demo; shows what development shows, on purpose, and gives each visitor a sandbox.
    sample: how many sample contacts a new store gets.
    auth: `password` asks everyone to sign in; `none` trusts whoever reaches the server.
    secret: keys what is signed or kept as a keyed hash, such as the tokens of sessions.
    hosts: the names the app answers to in the Host header, without port; those of this machine when empty.
    proxies: addresses of the reverse proxies whose X-Forwarded headers are believed; `unix` for the socket.
    tls_cert, tls_key: paths of a certificate (chain) and its key in PEM, to serve HTTPS; both "" for none.
    metrics_token: what a caller of /metrics has to show as a bearer token, "" for nothing.
    """

    store: str = "sqlite:///contacts.db"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = max(2, os.cpu_count() or 1)
    env: Env = "development"
    demo: bool = False
    sample: int = 12
    auth: Auth = "none"
    secret: str = field(default="", repr=False)
    socket: str = ""
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    metrics_token: str = field(default="", repr=False)

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
            auth=cast("Auth", _choice(environ, "CONTACTS_AUTH", default.auth, get_args(Auth))),
            secret=environ.get("CONTACTS_SECRET", ""),
            socket=environ.get("CONTACTS_SOCKET", ""),
            hosts=_words(environ, "CONTACTS_HOSTS"),
            proxies=_words(environ, "CONTACTS_PROXIES"),
            tls_cert=environ.get("CONTACTS_TLS_CERT", ""),
            tls_key=environ.get("CONTACTS_TLS_KEY", ""),
            metrics_token=environ.get("CONTACTS_METRICS_TOKEN", ""),
        )


def refuse_unfit_demo(settings: Settings, *, in_processes: bool = False) -> None:
    """BadSetting for a demo that cannot be what it says. in_processes: workers that share no memory."""
    if not settings.demo:
        return
    if settings.auth != "none":
        raise BadSetting(
            "CONTACTS_DEMO is 1 and CONTACTS_AUTH is password, but a demo is for whoever comes, "
            "each with contacts of their own. Set one of the two."
        )
    if settings.sample > DEMO_SAMPLE:
        raise BadSetting(
            f"CONTACTS_SAMPLE is {settings.sample}, but each visitor of a demo has room for few contacts. "
            f"Write a whole number from 0 to {DEMO_SAMPLE}."
        )
    if in_processes:
        raise BadSetting(
            f"CONTACTS_DEMO is 1 and CONTACTS_WORKERS is {settings.workers}, but this Python has a GIL, so "
            "every worker would be a process with visitors of its own. "
            "Set CONTACTS_WORKERS=1, or run Python 3.14t."
        )


def _number(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most and len(text) < 9):
        raise BadSetting(f"{name} is {text!r}: write a whole number from {least:,} to {most:,}.")
    return int(text)


def _words(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """What stands between commas or spaces."""
    return tuple(environ.get(name, "").replace(",", " ").split())


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = environ.get(name) or default
    if text not in choices:
        raise BadSetting(f"{name} is {text!r}: write {' or '.join(choices)}.")
    return text
