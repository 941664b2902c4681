"""How the server is told to run: what it refuses, what it says at its start, and where it listens.

The rules are tried one by one on `refuse_unsafe`; that both ways to start the server keep them, on
real processes.
"""

import json
import re
import socket
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app import server
from app.listening import free_address, free_port
from app.settings import BadSetting, Settings, refuse_unsafe
from tests.certificates import make_certificate
from tests.server_process import held_up, run_to_end, running_server

SECRET = "a secret of thirty-two characters"
PRODUCTION = Settings(env="production", secret=SECRET)
PUBLIC = replace(PRODUCTION, host="0.0.0.0", hosts=("contacts.example.org",), auth="password")
BEHIND_A_PROXY = replace(
    PRODUCTION, socket="contacts.sock", proxies=("unix",), hosts=("contacts.example.org",)
)
POUNCE = ("pounce", "serve", "--app", "app.server:application()")

SAFE = {
    "the defaults": Settings(),
    "this machine, by name": Settings(host="localhost"),
    "this machine, by IPv6": Settings(host="::1"),
    "production on this machine": PRODUCTION,
    "a team on the internet": PUBLIC,
    "a demo on the internet": replace(PUBLIC, auth="none", demo=True),
    "a Unix socket": Settings(socket="contacts.sock"),
    "a Unix socket behind a proxy": BEHIND_A_PROXY,
    "a proxy on another machine": replace(PUBLIC, proxies=("10.0.0.7", "fd00::7")),
}

UNSAFE = {
    "production without a secret": (replace(PRODUCTION, secret=""), "Make one, and keep it: python3 -c"),
    "a short secret": (replace(PRODUCTION, secret=SECRET[:31]), "has 31 characters instead of 32"),
    "development on every address": (Settings(host="0.0.0.0"), "Set CONTACTS_ENV=production"),
    "development on a name": (Settings(host="contacts.example.org"), "Set CONTACTS_ENV=production"),
    "development behind a proxy": (
        replace(Settings(), proxies=("127.0.0.1",), hosts=("contacts.example.org",)),
        "Set CONTACTS_ENV=production",
    ),
    "a demo in development on the internet": (
        replace(PUBLIC, env="development", auth="none", demo=True),
        "Set CONTACTS_ENV=production",
    ),
    "nobody signs in on the internet": (replace(PUBLIC, auth="none"), "Set CONTACTS_AUTH=password"),
    "a demo that asks who is there": (replace(PUBLIC, demo=True), "Set one of the two"),
    "no names on the internet": (replace(PUBLIC, hosts=()), "CONTACTS_HOSTS=contacts.example.org"),
    "no names behind a proxy": (replace(BEHIND_A_PROXY, hosts=()), "CONTACTS_HOSTS=contacts.example.org"),
    "a URL for a name": (replace(PUBLIC, hosts=("https://contacts.example.org",)), "without scheme"),
    "a name with a port": (replace(PUBLIC, hosts=("contacts.example.org:443",)), "without scheme, port"),
    "every name": (replace(PUBLIC, hosts=("*",)), "such as contacts.example.org"),
    "a network of proxies": (replace(PUBLIC, proxies=("10.0.0.0/8",)), "single machines"),
    "every proxy": (replace(PUBLIC, proxies=("*",)), "single machines"),
    "a proxy that is not the one of the socket": (
        replace(BEHIND_A_PROXY, proxies=("127.0.0.1",)),
        "Write CONTACTS_PROXIES=unix",
    ),
    "a certificate without key": (replace(PUBLIC, tls_cert="cert.pem"), "CONTACTS_TLS_KEY is not"),
    "a key without certificate": (replace(PUBLIC, tls_key="key.pem"), "CONTACTS_TLS_CERT is not"),
    "a certificate that is not there": (
        replace(PUBLIC, tls_cert="nowhere.pem", tls_key="nowhere.pem"),
        "No such file or directory",
    ),
    "a certificate that is none": (
        replace(PUBLIC, tls_cert=__file__, tls_key=__file__),
        "a certificate (chain) and its key without password",
    ),
}


@pytest.mark.parametrize("settings", SAFE.values(), ids=SAFE)
def test_safe_settings_are_served(settings: Settings) -> None:
    refuse_unsafe(settings)


@pytest.mark.parametrize("name", ["localhost", "contacts.example.org", "10.0.0.7", "::1", "[::1]"])
def test_a_host_may_be_a_name_or_an_address(name: str) -> None:
    refuse_unsafe(replace(PUBLIC, hosts=(name,)))


@pytest.mark.parametrize(("settings", "advice"), UNSAFE.values(), ids=UNSAFE)
def test_unsafe_settings_are_refused_with_what_to_write(settings: Settings, advice: str) -> None:
    with pytest.raises(BadSetting, match=re.escape(advice)) as refused:
        refuse_unsafe(settings)

    assert str(refused.value).count("\n") == 0
    assert settings.secret == "" or settings.secret not in str(refused.value)


@pytest.mark.parametrize("settings", [Settings(store="memory:"), Settings(demo=True)], ids=["memory", "demo"])
def test_what_one_process_remembers_is_refused_in_several(settings: Settings) -> None:
    refuse_unsafe(settings, processes=False)

    with pytest.raises(BadSetting, match="a process with contacts of its own"):
        refuse_unsafe(settings, processes=True)


def test_the_settings_for_serving_are_read_from_the_environment() -> None:
    read = Settings.from_env(
        {
            "CONTACTS_ENV": "production",
            "CONTACTS_SECRET": SECRET,
            "CONTACTS_SOCKET": "contacts.sock",
            "CONTACTS_PROXIES": "unix",
            "CONTACTS_HOSTS": "contacts.example.org",
        }
    )

    assert read == BEHIND_A_PROXY
    assert SECRET not in repr(read)


def test_a_mistyped_setting_is_refused_and_not_left_at_its_default() -> None:
    with pytest.raises(BadSetting, match=r"CONTACTS_AUHT is no setting\. Did you mean CONTACTS_AUTH\?"):
        Settings.from_env({"CONTACTS_AUHT": "password"})
    with pytest.raises(BadSetting, match=r"Did you mean CONTACTS_WORKERS\?"):
        Settings.from_env({"CONTACTS_WORKER": "3"})


def test_what_a_cluster_puts_into_every_container_is_no_mistyped_setting() -> None:
    links = ("SERVICE_HOST", "SERVICE_PORT", "DB_PORT", "DB_SERVICE_HOST", "PORT_8000_TCP_ADDR")

    assert Settings.from_env({f"CONTACTS_{name}": "tcp://10.0.0.1:5432" for name in links}) == Settings()


# --- on real processes ---


def test_serve_refuses_before_it_touches_the_store(tmp_path: Path) -> None:
    refused = run_to_end(tmp_path, CONTACTS_ENV="production")

    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "contacts: CONTACTS_ENV is production, and CONTACTS_SECRET has 0 characters"
    )
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "environ", "advice"),
    [
        (["--host", "0.0.0.0"], {}, "Set CONTACTS_ENV=production"),
        (["--worker-mode", "sync"], {}, "leave out --worker-mode"),
        (["--debug"], {"CONTACTS_ENV": "production", "CONTACTS_SECRET": SECRET}, "leave it out"),
        (["--metrics"], {}, "leave them out"),
        (["--health-check-path", "/up"], {}, "leave them out"),
    ],
    ids=["public", "sync", "debug", "metrics", "health"],
)
def test_pounces_command_line_refuses_the_same(
    tmp_path: Path, options: list[str], environ: dict[str, str], advice: str
) -> None:
    refused = run_to_end(tmp_path, module=(*POUNCE, *options), **environ)

    assert refused.returncode == 1
    assert advice in " ".join(refused.stderr.split())


def test_pounces_command_line_leaves_everything_else_to_the_environment(tmp_path: Path) -> None:
    with running_server(tmp_path, module=POUNCE, CONTACTS_AUTH="password", CONTACTS_SECRET=SECRET) as running:
        ours = running.wait_for('Contacts at .*limits: [^"]*')
        running.wait_for("nobody can sign in yet: make a user")
        first = running.log().splitlines()[0]

    assert "2 worker" in ours
    assert ours == server.summary(
        replace(
            Settings(),
            auth="password",
            store=f"sqlite:///{tmp_path / 'contacts.db'}",
            workers=2,
            port=running.port,
        )
    )
    assert json.loads(first)["message"] == ours  # and nothing is said before the log is set up


def test_the_start_says_how_it_runs_and_nothing_secret() -> None:
    settings = replace(
        BEHIND_A_PROXY,
        store="postgresql://keeper:hidden@db.example.org:5433/contacts?password=hidden",
        metrics_token="shown",
    )

    said = server.summary(settings)

    assert "Contacts at unix:contacts.sock, store postgresql://..., 2 worker" in said
    assert "production, sign-in none, TLS none, hosts contacts.example.org, proxies unix" in said
    assert (
        "limits: form 1,048,576 bytes, file 33,554,432 bytes, 4,000 connections, "
        "head 10 s, read 15 s, idle 8 s, write 15 s, stop 8 s" in said
    )
    assert "hidden" not in said
    assert SECRET not in said
    assert "https://0.0.0.0:8000" in server.summary(replace(PUBLIC, tls_cert="cert.pem", tls_key="key.pem"))


def test_who_serves_others_without_naming_the_proxy_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        server._tell(replace(PRODUCTION, auth="password"))
        assert "Behind a proxy, everybody would have its address" in caplog.text
        caplog.clear()
        server._tell(replace(PRODUCTION, auth="password", proxies=("127.0.0.1",)))
        server._tell(replace(PRODUCTION, auth="password", tls_cert="c.pem", tls_key="k.pem"))
        server._tell(Settings())

    assert caplog.text == ""


# --- asking it ---


@pytest.mark.parametrize("how", ["http", "https", "socket"])
def test_ready_asks_the_server_of_the_same_settings(tmp_path: Path, how: str) -> None:
    environ: dict[str, Any] = {"CONTACTS_PORT": str(free_port("127.0.0.1", 0))}
    if how == "https":
        cert, key = map(str, make_certificate(tmp_path))
        environ |= {"CONTACTS_TLS_CERT": cert, "CONTACTS_TLS_KEY": key}
    if how == "socket":
        environ |= {"CONTACTS_SOCKET": str(tmp_path / "contacts.sock")}
    ask = partial(run_to_end, tmp_path, module=("app", "ready"), **environ)

    before = ask()
    with held_up(tmp_path) as let_go, running_server(tmp_path, ready=False, **environ) as server:
        starting = ask()
        let_go()
        server.wait_until_ready()
        ready = ask()

    assert before.returncode == 1
    assert before.stderr.startswith("Nobody answers: ")
    assert (starting.returncode, starting.stderr) == (1, "starting\n")
    assert (ready.returncode, ready.stdout) == (0, "ready\n")


# --- a Unix socket ---


def test_a_unix_socket_is_listened_on_by_those_who_may(tmp_path: Path) -> None:
    path = tmp_path / "contacts.sock"

    with running_server(
        tmp_path,
        CONTACTS_SOCKET=str(path),
        CONTACTS_ENV="production",
        CONTACTS_SECRET=SECRET,
        CONTACTS_PROXIES="unix",
        CONTACTS_HOSTS="contacts.example.org localhost",
    ) as running:
        answer = running.get("/hello")
        mode = stat.S_IMODE(path.stat().st_mode)
        warning = running.wait_for("Nobody has to sign in")
        second = run_to_end(tmp_path, CONTACTS_SOCKET=str(path))
        running.stop()

    assert answer.text == "Hello from Contacts."
    assert mode == 0o660
    assert warning
    assert second.stderr == f"contacts: Another server listens on {path}. Stop it or set CONTACTS_SOCKET.\n"
    assert not path.exists()


def test_a_socket_that_a_killed_server_left_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "contacts.sock"))

    free_address(Settings(socket=str(tmp_path / "contacts.sock")))


def test_a_file_in_the_place_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    precious = tmp_path / "contacts.db"
    precious.write_text("precious")

    with pytest.raises(BadSetting, match="that is no socket"):
        free_address(Settings(socket=str(precious)))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="nothing can be made in that folder"):
        free_address(Settings(socket=str(tmp_path / "nowhere" / "contacts.sock")))
