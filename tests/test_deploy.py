"""What is in deploy/ works: nginx really runs with our configuration in front of the real app.

The configuration is the repository's own, with the test's paths and ports in the place of those of a
machine. The systemd unit is checked by systemd where that is there; the Containerfile is read, because
no engine for containers can be taken for granted.
"""

import json
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

import pytest

from app.listening import free_port
from app.settings import Settings, refuse_unsafe
from app.web.headers import HEADERS, STRICT_TRANSPORT_SECURITY
from scripts.provide_programs import provide
from tests.certificates import make_certificate
from tests.nginx import running_nginx
from tests.server_process import START, RunningServer, running_server

DEPLOY = Path(__file__).parents[1] / "deploy"
ROOT = DEPLOY.parent
NAME = "contacts.example.org"
NAMES = f"{NAME} localhost"  # the second for tests without nginx
SECRET = "a secret of thirty-two characters"
TOKEN = "a token of thirty-two characters."
BIG = "This is too large: a file may have 32 MB, anything else 1 MB. Choose a smaller one, and send it again."


@dataclass(frozen=True, slots=True)
class Front:
    """nginx in front of the app. port: of HTTPS."""

    app: RunningServer
    port: int
    http_port: int
    certificate: Path
    log: Path

    def curl(self, path: str, *options: str) -> str:
        """What curl prints; CalledProcessError if it does not get a whole answer."""
        return subprocess.run(
            self._command(path, *options), capture_output=True, text=True, check=True, timeout=30
        ).stdout

    @contextmanager
    def stream(self, path: str) -> Iterator[IO[bytes]]:
        """What a curl prints, as it comes."""
        with subprocess.Popen(self._command(path, "--no-buffer"), stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            yield curl.stdout
            curl.kill()

    def logged(self, text: str) -> str:
        """All that nginx has logged, once this is in it, which may be a moment after an answer has come."""
        end = monotonic() + START
        while text not in (log := self.log.read_text()):
            assert monotonic() < end, log
        return log

    @contextmanager
    def connect(self, address: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
        """A connection that speaks HTTP/1.1. address: of the client, on this machine."""
        context = ssl.create_default_context(cafile=self.certificate)
        with (
            socket.create_connection(("127.0.0.1", self.port), 20, (address, 0)) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            yield secure

    def _command(self, path: str, *options: str) -> list[str]:
        found = ["--resolve", f"{NAME}:{self.port}:127.0.0.1", "--cacert", str(self.certificate)]
        return [str(provide("curl")), "-sS", "--http2", *found, *options, f"https://{NAME}:{self.port}{path}"]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """nginx with deploy/nginx.conf in front of the app, which knows of it what deploy/contacts.env says."""
    folder = tmp_path_factory.mktemp("nginx")
    kept = {name: _settings()[name] for name in ("CONTACTS_ENV", "CONTACTS_PROXIES")}
    with (
        running_server(
            folder,
            CONTACTS_SOCKET=str(folder / "app.sock"),
            CONTACTS_SECRET=SECRET,
            CONTACTS_METRICS_TOKEN=TOKEN,
            CONTACTS_ENV=kept["CONTACTS_ENV"],
            CONTACTS_PROXIES=kept["CONTACTS_PROXIES"],
            CONTACTS_HOSTS=NAMES,
        ) as app,
        _nginx(folder, app) as front,
    ):
        yield front


@contextmanager
def _nginx(folder: Path, app: RunningServer, more: Mapping[str, str] | None = None) -> Iterator[Front]:
    certificate, key = make_certificate(folder)
    port, http_port = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    changed = {
        "unix:/run/contacts/app.sock": f"unix:{app.host}",
        "listen 80;": f"listen 127.0.0.1:{http_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/contacts/fullchain.pem": str(certificate),
        "/etc/ssl/contacts/privkey.pem": str(key),
        "/var/log/nginx/": f"{folder}/",
    } | dict(more or {})
    with running_nginx(folder, changed, f"http://127.0.0.1:{http_port}"):
        yield Front(app, port, http_port, certificate, folder / "contacts.log")


def _settings() -> dict[str, str]:
    """deploy/contacts.env."""
    lines = (DEPLOY / "contacts.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- nginx


def test_a_page_comes_over_http_2_as_the_app_made_it(front: Front) -> None:
    page = front.curl("/contacts", "--compressed", "-i", "-w", "HTTP/%{http_version}")

    assert page.endswith("HTTP/2")
    assert "Ada Lovelace" in page
    assert "content-security-policy: default-src 'self'" in page


def test_http_is_led_to_https(front: Front) -> None:
    curl = [str(provide("curl")), "-sS", "-H", f"Host: {NAME}", "-w", "%{http_code} %{redirect_url}"]
    led = subprocess.run(
        [*curl, f"http://127.0.0.1:{front.http_port}/contacts?q=ada"], capture_output=True, text=True
    )

    assert led.stdout.endswith(f"301 https://{NAME}/contacts?q=ada")


def test_htmx_posts_and_the_app_takes_the_address_for_its_own(front: Front) -> None:
    # Had the app another Host or scheme in mind than the browser, it would refuse this as another site's.
    htmx = ["-H", "HX-Request: true", "-H", f"Origin: https://{NAME}"]
    posted = front.curl("/contacts", *htmx, "-d", "name=Nora&email=nora@example.org", "-w", "%{http_code}")

    assert posted.endswith("200")
    assert "Nora" in front.curl("/contacts")


def test_a_streamed_page_begins_before_its_slow_section_is_there(tmp_path: Path) -> None:
    with (
        # In development, where a page is slow when asked to be.
        running_server(tmp_path, CONTACTS_SOCKET=str(tmp_path / "app.sock"), CONTACTS_HOSTS=NAMES) as app,
        _nginx(tmp_path, app) as front,
        front.stream("/dashboard?slow=2") as page,
    ):
        shell = _read_until(page, b"</template>")
        assert '"path": "/dashboard"' not in app.log()  # where it comes at its end
        rest = page.read()

    assert b"</html>" not in shell
    assert b"</html>" in rest


def test_an_event_comes_at_once(front: Front) -> None:
    with front.stream("/live") as events:
        _read_until(events, b"event: beat")
        front.curl("/contacts", "-d", "name=Live&email=live@example.org")

        assert b"event: changed" in _read_until(events, b"event: changed")


def test_the_number_of_a_request_is_the_same_everywhere(front: Front) -> None:
    answer = front.curl("/contacts/987654?q=grace", "-i", "-H", "X-Request-ID: chosen-by-me")
    (number,) = re.findall(r"^x-request-id: ([0-9a-f]{32})\r?$", answer, re.M)

    logged = front.app.wait_for(f'.*"/contacts/987654".*"req_id": "{number}".*')
    assert json.loads(logged)["status"] == 404
    assert "grace" not in front.logged(number)


def test_what_a_stranger_says_about_where_it_comes_from_is_not_believed(front: Front) -> None:
    forged = front.curl(
        "/contacts", "-d", "name=Eve&email=eve@example.org", "-H", "Origin: https://evil.example",
        "-H", f"X-Forwarded-Host: {NAME}", "-w", "%{http_code}",
    )  # fmt: skip

    assert forged.endswith("403")


@pytest.mark.parametrize(
    ("path", "size", "whose"),
    [("/contacts", 1_500_000, "<h1>"), ("/contacts", 3_000_000, BIG), ("/import", 35_000_000, BIG)],
    ids=["a form, by the app", "a form, by nginx", "a file, by nginx"],
)
def test_what_is_too_large_is_refused(front: Front, tmp_path: Path, path: str, size: int, whose: str) -> None:
    (tmp_path / "large").write_bytes(b"a" * size)

    answer = front.curl(path, "--data-binary", f"@{tmp_path / 'large'}", "-w", "%{http_code}")

    assert answer.endswith("413")
    assert whose in answer


def test_what_nginx_answers_itself_is_a_sentence_with_the_headers_of_every_answer(
    front: Front, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"a" * 3_000_000)
    large = front.curl("/contacts", "--data-binary", f"@{tmp_path / 'large'}", "-i")
    heads = front.curl("/contacts", "--http1.1", *(["-H", f"X-A: {'a' * 8_000}"] * 5), "-i")
    hidden = front.curl("/metrics", "-i")

    for answer, status, says in (
        (large, "413", BIG),
        (heads, "431", "Delete the cookies of this site"),
        (hidden, "404", "There is nothing at this address."),
    ):
        assert answer.split()[1] == status
        assert says in answer
        assert _lacking(answer) == []


def test_a_file_may_be_larger_than_a_form(front: Front, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"a" * 3_000_000)

    for path in ("/import", "/api/v1/contacts/import"):
        answer = front.curl(path, "--data-binary", f"@{tmp_path / 'large'}", "-w", "%{http_code}")
        assert answer.endswith("415")  # it has reached the app, for which it is not a file


@pytest.mark.parametrize(
    ("path", "address"),
    [("/hello", "127.0.0.3"), ("/import", "127.0.0.4"), ("/api/v1/contacts/import", "127.0.0.5")],
)
def test_who_asks_too_often_is_refused_and_others_are_not(front: Front, path: str, address: str) -> None:
    with front.connect(address) as burst, front.connect() as other:
        statuses = _ask_at_once(burst, path, 300)

        assert 60 <= len(statuses) - statuses.count(429) < 300
        assert 429 not in _ask_at_once(other, path, 1)


def test_who_keeps_too_many_requests_open_is_refused_and_others_are_not(front: Front) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            _begin(stack.enter_context(front.connect("127.0.0.6")), "/live", "200")
        _begin(stack.enter_context(front.connect("127.0.0.6")), "/live", "429")
        _begin(stack.enter_context(front.connect()), "/live", "200")


def _begin(connection: ssl.SSLSocket, path: str, status: str) -> None:
    """Ask, and read the beginning of the answer, with this status."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    assert connection.recv(65_536).split()[1].decode() == status


def _ask_at_once(connection: ssl.SSLSocket, path: str, times: int) -> list[int]:
    """Send so many requests in one go, which nginx answers one after the other; their statuses."""
    request = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\n".encode()
    connection.sendall((request + b"\r\n") * (times - 1) + request + b"Connection: close\r\n\r\n")
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", _read_all(connection))]


def test_who_sends_slowly_is_cut_off(front: Front, tmp_path: Path) -> None:
    hurried = {
        "client_header_timeout 10s": "client_header_timeout 1s",
        "client_body_timeout 15s": "client_body_timeout 1s",
    }
    with _nginx(tmp_path, front.app, hurried) as impatient:
        for beginning in (
            b"GET /hello HTTP/1.1\r\nHost: ",
            f"POST /contacts HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\nname".encode(),
        ):
            with impatient.connect() as connection:
                connection.sendall(beginning)
                assert _read_all(connection) == b""  # to its end, which is not ours


def test_too_much_at_once_is_refused_with_when_to_try_again(front: Front) -> None:
    url = f"https://{NAME}:{front.port}/hello?[1-200]"

    answers = front.curl("/hello", "-i", "--parallel", url)

    refused = [answer for answer in answers.split("HTTP/2 ") if answer.startswith("429")]
    assert refused != []
    assert _lacking(refused[0]) == []
    assert "retry-after: 5" in refused[0]
    assert "That was too much at once. Wait a few seconds, then try again." in answers


def test_nginx_keeps_no_connection_that_the_app_could_close(front: Front, tmp_path: Path) -> None:
    path = str(tmp_path / "ours.sock")
    with socket.socket(socket.AF_UNIX) as in_its_place:
        in_its_place.bind(path)
        in_its_place.listen()
        with (
            _nginx(tmp_path, front.app, {"unix:/run/contacts/app.sock": f"unix:{path}"}) as nginx,
            nginx.connect() as client,
        ):
            client.sendall(f"GET /hello HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            asked, _ = in_its_place.accept()
            with asked:
                assert b"\r\nConnection: close\r\n" in asked.recv(65_536)


def test_no_log_of_nginx_has_what_people_search_for(front: Front) -> None:
    found = "/hello?q=Grace+Hopper"
    with front.connect("127.0.0.2") as burst:
        _ask_at_once(burst, found, 300)
    front.curl(found)
    subprocess.run([str(provide("curl")), "-sS", f"http://127.0.0.1:{front.http_port}{found}"], check=True)

    assert " 429 - " in front.log.read_text()
    assert " 200 200 " in front.log.read_text()
    assert _logs_with("Hopper", front.log.parent) == []


def _logs_with(text: str, folder: Path) -> list[str]:
    return [log.name for log in folder.glob("*.log") if text in log.read_text()]


def test_while_the_app_is_away_people_are_told_so(
    tmp_path: Path,
) -> None:
    with (
        running_server(tmp_path, CONTACTS_SOCKET=str(tmp_path / "app.sock")) as app,
        _nginx(tmp_path, app) as front,
    ):
        app.stop()

        answer = front.curl("/contacts?q=Hopper", "-i")

    assert " 502 502 " in front.log.read_text()
    assert _logs_with("Hopper", tmp_path) == []
    assert answer.startswith("HTTP/2 502 ")
    assert "Contacts is being restarted." in answer
    assert "retry-after: 5" in answer
    assert _lacking(answer) == []


def test_the_apps_own_errors_pass_as_they_are(front: Front) -> None:
    missing = front.curl("/contacts/987654", "-w", "%{http_code}")

    assert missing.endswith("404")
    assert "<h1>" in missing


def _lacking(answer: str) -> list[str]:
    """The headers that every answer has, and this one has not."""
    head = answer.replace("\r\n", "\n").lower()
    # The one that is left out is about what scripts may use, and a line of text has none.
    expected = {name: value for name, value in HEADERS.items() if name != "Permissions-Policy"}
    expected |= {"Strict-Transport-Security": STRICT_TRANSPORT_SECURITY, "Cache-Control": "no-store"}
    return [name for name, value in expected.items() if f"\n{name}: {value}\n".lower() not in head]


def test_a_head_in_several_packets_is_answered(front: Front) -> None:
    with front.connect() as connection:
        for part in (
            b"GET /hello HT",
            b"TP/1.1\r\nHost: contacts.",
            b"example.org\r\nConnection: close\r\n",
            b"\r\n",
        ):
            connection.sendall(part)

        assert b"Hello from Contacts." in _read_all(connection)


def test_a_body_cut_short_reaches_nobody(front: Front) -> None:
    with front.connect() as connection:
        head = (
            f"POST /contacts HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        connection.sendall(f"{head}Content-Length: 60\r\n\r\nname=Cut&email=cut@example.com".encode())

    assert "cut@example.com" not in front.curl("/contacts")


def test_nobody_sees_figures_through_nginx(front: Front) -> None:
    with front.app.connect() as beside:
        for path in ("/metrics", "/metrics/"):
            beside.send(f"GET {path} HTTP/1.1\nHost: localhost\nAuthorization: Bearer {TOKEN}\n\n")
            assert "contacts_requests" in beside.answer().text

            through = front.curl(path, "-H", f"Authorization: Bearer {TOKEN}", "-w", "%{http_code}")
            assert through.endswith("404")


# --- systemd, container


def test_the_settings_for_systemd_are_safe_but_for_the_secret() -> None:
    read = _settings()

    assert read["CONTACTS_SECRET"] == ""
    refuse_unsafe(Settings.from_env(read | {"CONTACTS_SECRET": SECRET}))


def test_the_units_are_what_systemd_understands(tmp_path: Path) -> None:
    unit = _unit("contacts.service")
    service = unit["Service"]

    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"  # it outlives a database that is long in coming
    assert int(service["TimeoutStopSec"]) > 2 * 8  # the shutdown_timeout of app.server
    assert service["ExecStart"].endswith("-m app serve")
    # With a user that is there only while it runs, nobody could restore, or make the first user.
    assert "DynamicUser" not in service
    assert f"runuser -u {service['User']} -- " in (DEPLOY / "contacts").read_text()
    # A folder of the service's would go with it, and the socket that systemd listens on, too.
    assert "RuntimeDirectory" not in service
    assert unit["Unit"]["Requires"] == "contacts.socket"
    listens = _unit("contacts.socket")["Socket"]
    assert _settings()["CONTACTS_SOCKET"] == listens["ListenStream"]
    assert (listens["SocketUser"], listens["SocketMode"]) == (service["User"], "0660")
    assert f"/var/lib/{service['StateDirectory']}/" in _settings()["CONTACTS_STORE"]
    if systemd := shutil.which("systemd-analyze"):
        units = [tmp_path / "contacts.service", tmp_path / "contacts.socket"]
        for ours in units:
            text = (DEPLOY / ours.name).read_text()
            ours.write_text(text.replace("/srv/contacts/.venv/bin/python", "/bin/true"))
        checked = subprocess.run([systemd, "verify", *map(str, units)], capture_output=True, text=True)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def _unit(name: str) -> ConfigParser:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / name).read_text())
    return unit


def test_the_command_line_is_that_of_the_service(tmp_path: Path) -> None:
    settings = tmp_path / "contacts.env"
    settings.write_text(
        f"# as systemd reads it\nCONTACTS_STORE=sqlite:///{tmp_path}/kept.db\nCONTACTS_SECRET='{SECRET}'\n"
    )
    command = (DEPLOY / "contacts").read_text()
    for theirs, ours in {
        "/etc/contacts.env": str(settings),
        "/srv/contacts/.venv/bin/python": sys.executable,
        "PYTHONPATH=/srv/contacts": f"PYTHONPATH={ROOT}",
        "runuser -u contacts -- ": "",
    }.items():
        assert theirs in command
        command = command.replace(theirs, ours)
    (tmp_path / "app.py").write_text("raise SystemExit('not this one')")  # in the folder that one is in

    added = subprocess.run(
        ["sh", "-c", command, "contacts", "user", "add", "Ada Lovelace"],
        cwd=tmp_path, input="staple battery horse\n", capture_output=True, text=True,
    )  # fmt: skip

    assert (added.stdout, added.stderr) == ("Ada Lovelace may sign in.\n", "")
    assert (tmp_path / "kept.db").exists()


def test_the_container_holds_what_the_app_needs_and_no_secret() -> None:
    lines = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    copied = {
        source
        for step in steps
        if step[0] == "COPY" and not step[1].startswith("--from")
        for source in step[1:-1]
    }
    set_ = dict(pair.split("=", 1) for step in steps if step[0] == "ENV" for pair in step[1:])

    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {"app", "migrations", "static", "templates"} <= copied
    assert [step[1] for step in steps if step[0] == "USER"] == ["contacts"]
    assert [step[0] for step in steps].count("HEALTHCHECK") == 1
    assert [step[1] for step in steps if step[0] == "VOLUME"] == ["/data"]
    assert set_["CONTACTS_STORE"].startswith("sqlite:////data/")
    assert [name for name in set_ if "SECRET" in name or "TOKEN" in name] == []
    run = {name: value for name, value in set_.items() if name.startswith("CONTACTS_")}
    refuse_unsafe(Settings.from_env(run | {"CONTACTS_SECRET": SECRET, "CONTACTS_HOSTS": NAME}))


def _read_until(stream: IO[bytes], text: bytes) -> bytes:
    read = b""
    while text not in read and (line := stream.readline()):
        read += line
    assert text in read
    return read


def _read_all(connection: ssl.SSLSocket) -> bytes:
    read = b""
    while more := connection.recv(65_536):
        read += more
    return read
