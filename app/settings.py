"""The settings, and the only reader of the environment."""

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Final, Literal, cast, get_args

Env = Literal["development", "production"]
Auth = Literal["none", "password"]

PREFIX: Final = "CONTACTS_"
DEMO_SAMPLE = 250  # sample contacts of a demo at most: half of what a visitor may have
SECRET: Final = 32  # characters that a secret has at least
UNIX: Final = "unix"  # what Pounce calls the peer of a connection over a Unix socket

_HOST_NAME: Final = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)


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

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches the server: over loopback or a Unix socket."""
        return bool(self.socket) or _is_loopback(self.host)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; BadSetting for a value or a name that cannot be meant."""
        _refuse_unknown(environ, [each.name.upper() for each in fields(cls)])
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


def passed_sockets() -> str:
    """How many sockets systemd has passed to this process, "" for none: see sd_listen_fds(3)."""
    return os.environ.get("LISTEN_FDS", "") if os.environ.get("LISTEN_PID") == str(os.getpid()) else ""


def refuse_unfit_demo(settings: Settings) -> None:
    """BadSetting for a demo that cannot be what it says."""
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


def refuse_unsafe(settings: Settings, *, processes: bool = False) -> None:
    """Raise BadSetting, with what to write instead, for settings that would do harm when served.

    Harm is: strangers get in, one worker does not know what another has saved, or what was asked
    for does not happen. processes: whether the workers are processes, with a memory each.
    """
    refuse_unfit_demo(settings)
    _refuse_forgetting(settings, processes)
    _refuse_strangers(settings)
    _refuse_wrong_names(settings)
    _refuse_bad_certificate(settings)


def _refuse_forgetting(settings: Settings, processes: bool) -> None:
    if not processes:
        return
    if settings.demo or settings.store == "memory:":
        what = "CONTACTS_DEMO is 1" if settings.demo else "CONTACTS_STORE is memory:"
        instead = "" if settings.demo else " use sqlite:///contacts.db,"
        raise BadSetting(
            f"{what} and CONTACTS_WORKERS is {settings.workers}, but this Python has a GIL, so every "
            "worker would be a process with contacts of its own. "
            f"Set CONTACTS_WORKERS=1,{instead} or run Python 3.14t."
        )


def _refuse_strangers(settings: Settings) -> None:
    if settings.env == "production" and len(settings.secret) < SECRET:
        raise BadSetting(
            f"CONTACTS_ENV is production, and CONTACTS_SECRET has {len(settings.secret)} characters instead "
            f"of {SECRET} or more. Make one, and keep it: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    if settings.env == "development" and settings.proxies:
        raise BadSetting(
            "CONTACTS_PROXIES names a proxy, through which others come, but CONTACTS_ENV is development. "
            "Set CONTACTS_ENV=production."
        )
    if settings.is_private:
        return
    if settings.env == "development":
        raise BadSetting(
            f"CONTACTS_HOST is {settings.host}, which others can reach, but CONTACTS_ENV is development. "
            "Set CONTACTS_ENV=production, or CONTACTS_HOST=127.0.0.1."
        )
    if settings.auth == "none" and not settings.demo:
        raise BadSetting(
            f"CONTACTS_HOST is {settings.host}, which others can reach, and nobody has to sign in. "
            "Set CONTACTS_AUTH=password, or CONTACTS_HOST=127.0.0.1 or CONTACTS_SOCKET, "
            "behind a proxy that asks who is there."
        )


def _refuse_wrong_names(settings: Settings) -> None:
    for proxy in settings.proxies:
        if proxy != UNIX and not _is_address(proxy):
            raise BadSetting(
                f"CONTACTS_PROXIES has {proxy!r}: write the addresses of single machines, "
                f"such as 127.0.0.1, or {UNIX} for those who come through CONTACTS_SOCKET."
            )
    for host in settings.hosts:
        if not (_HOST_NAME.fullmatch(host) or _is_address(host.strip("[]"))):
            raise BadSetting(
                f"CONTACTS_HOSTS has {host!r}, which is no name in a Host header: "
                "write it without scheme, port and path, such as contacts.example.org."
            )
    if settings.socket and settings.proxies and UNIX not in settings.proxies:
        raise BadSetting(
            f"CONTACTS_SOCKET is set, so whoever comes is called {UNIX}. Write CONTACTS_PROXIES={UNIX}."
        )
    if not settings.hosts and (settings.proxies or not settings.is_private):
        why = "CONTACTS_PROXIES is set" if settings.proxies else f"CONTACTS_HOST is {settings.host}"
        raise BadSetting(
            f"{why}, so people come by a name that the app has to know. "
            "Write it, as in CONTACTS_HOSTS=contacts.example.org."
        )


def _refuse_bad_certificate(settings: Settings) -> None:
    if not settings.tls_cert and not settings.tls_key:
        return
    if not (settings.tls_cert and settings.tls_key):
        there, missing = ("CERT", "KEY") if settings.tls_cert else ("KEY", "CERT")
        raise BadSetting(
            f"CONTACTS_TLS_{there} is set, and CONTACTS_TLS_{missing} is not. Set both, or neither."
        )
    try:
        # An encrypted key would ask for its password on the terminal; "" is refused at once.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, "")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BadSetting(
            f"CONTACTS_TLS_CERT ({settings.tls_cert}) and CONTACTS_TLS_KEY ({settings.tls_key}) "
            f"cannot be used: {reason}. Name a certificate (chain) and its key without password, in PEM."
        ) from None


def _refuse_unknown(environ: Mapping[str, str], names: Sequence[str]) -> None:
    """A name that is mistyped would leave its setting at a default, and CONTACTS_AUTH's lets everyone in.

    Others are let be: Kubernetes sets some for each of its services, if that is called `contacts`.
    """
    for name in sorted(environ):
        if name.startswith(PREFIX) and (rest := name.removeprefix(PREFIX)) not in names:
            for alike in get_close_matches(rest, names, 1, cutoff=0.75):
                raise BadSetting(f"{name} is no setting. Did you mean {PREFIX}{alike}?")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
