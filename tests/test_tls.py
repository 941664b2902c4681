"""HTTPS and HTTP/2 by Pounce itself, asked by curl: pages, forms, streams, and the end of the server.

The certificate is made here and only curl is told to trust it. app/pounce_fixes.py mends for HTTP/2 what
it mends for HTTP/1.1, as far as the fault is there, too.
"""

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, PingAckReceived

from scripts.provide_programs import provide
from tests.certificates import make_certificate
from tests.server_process import RunningServer, running_server

HEAD = "HTTP/%{http_version} %{http_code}"  # what curl is to say last


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a certificate, and curl that trusts it."""

    server: RunningServer
    certificate: Path

    def curl(self, path: str, *options: str) -> str:
        """What curl prints; CalledProcessError if it does not get a whole answer."""
        return subprocess.run(
            self._command(path, *options), capture_output=True, text=True, check=True, timeout=30
        ).stdout

    @contextmanager
    def stream(self, path: str) -> Iterator[subprocess.Popen[bytes]]:
        """A curl that prints what comes as it comes."""
        with subprocess.Popen(self._command(path, "--no-buffer"), stdout=subprocess.PIPE) as curl:
            yield curl
            curl.kill()

    def _command(self, path: str, *options: str) -> list[str]:
        url = f"https://localhost:{self.server.port}{path}"
        return [str(provide("curl")), "-sS", "--http2", "--cacert", str(self.certificate), *options, url]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@contextmanager
def secure_site(folder: Path, certificate: tuple[Path, Path]) -> Iterator[Site]:
    cert, key = certificate
    with running_server(folder, CONTACTS_TLS_CERT=str(cert), CONTACTS_TLS_KEY=str(key)) as server:
        yield Site(server, cert)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Site]:
    """The app with a certificate, on two workers."""
    with secure_site(tmp_path_factory.mktemp("site"), certificate) as site:
        yield site


def test_a_page_comes_over_http_2(site: Site) -> None:
    page = site.curl("/contacts", "--compressed", "-w", HEAD)

    assert page.endswith("HTTP/2 200")
    assert "Ada Lovelace" in page


def test_a_client_that_knows_only_http_1_is_served_as_well(site: Site) -> None:
    assert site.curl("/hello", "--http1.1", "-w", HEAD) == "Hello from Contacts.HTTP/1.1 200"


def test_a_form_is_stored_over_http_2(site: Site) -> None:
    posted = site.curl("/contacts", "-d", "name=Zora&email=zora@example.org", "-w", HEAD)

    assert posted.endswith("HTTP/2 303")
    assert "zora@example.org" in site.curl("/contacts")


def test_to_ask_for_the_head_of_an_event_stream_comes_to_an_end(site: Site) -> None:
    head = site.curl("/live", "--head")

    assert head.startswith("HTTP/2 200")
    assert "content-type: text/event-stream" in head


def test_many_requests_on_one_connection_are_all_answered(site: Site) -> None:
    url = f"https://localhost:{site.server.port}/contacts/[1-12]"

    answers = site.curl(
        "/contacts", "--parallel", "-o", "/dev/null", "-w", HEAD + "\n", url, "-o", "/dev/null"
    )

    assert answers.splitlines() == ["HTTP/2 200"] * 13


def test_a_body_over_the_limit_is_refused_with_a_page(site: Site, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"name=" + b"a" * 2_000_000)

    answer = site.curl("/contacts", "--data-binary", f"@{tmp_path / 'big'}", "-w", HEAD)

    assert answer.endswith("HTTP/2 413")
    assert "<h1>" in answer


def test_a_body_cut_short_stores_nothing(site: Site) -> None:
    form = b"name=Cut&email=cut@example.community"
    context = ssl.create_default_context(cafile=site.certificate)
    context.set_alpn_protocols(["h2"])

    with (
        socket.create_connection(("127.0.0.1", site.server.port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        connection = H2Connection(H2Configuration(header_encoding=None))
        connection.initiate_connection()
        head = {":method": "POST", ":path": "/contacts", ":scheme": "https", ":authority": "localhost"}
        connection.send_headers(1, [*head.items(), ("content-type", "application/x-www-form-urlencoded")])
        connection.send_data(1, form[:-6])
        connection.ping(b"received")
        secure.sendall(connection.data_to_send())
        # By the time of this answer the server has read all that came before it.
        while not any(
            isinstance(event, PingAckReceived) for event in connection.receive_data(secure.recv(65_536))
        ):
            pass

    assert "cut@example" not in site.curl("/contacts")
    assert "Traceback" not in site.server.log()


def test_events_come_at_once(site: Site) -> None:
    with site.stream("/live") as curl:
        opened = _read_until(curl.stdout, b"event: beat")
        site.curl("/contacts", "-d", "name=Live&email=live@example.org")
        changed = _read_until(curl.stdout, b"event: changed")

    assert opened
    assert changed


def test_each_request_is_one_line_in_the_log_without_its_query(site: Site) -> None:
    site.curl("/contacts/987654?q=grace%40example.com")
    site.server.wait_for('"path": "/contacts/987654')

    lines = [json.loads(line) for line in site.server.log().splitlines()]
    assert [line["status"] for line in lines if line.get("path") == "/contacts/987654"] == [404]
    assert "grace" not in site.server.log()
    assert "Traceback" not in site.server.log()  # not for what the tests above did, either


def test_at_sigterm_answers_are_finished_and_streams_end_politely(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with (
        secure_site(tmp_path, certificate) as site,
        site.stream("/dashboard?slow=10") as dashboard,
        site.stream("/live") as live,
    ):
        shell = _read_until(dashboard.stdout, b"</template>")  # which came before the slow section
        _read_until(live.stdout, b"event: beat")
        assert '"path": "/dashboard"' not in site.server.log()  # where it comes at its end

        assert site.server.stop() < 2

        assert b"Recent activity" in shell
        assert b"Added 12 sample contacts" in _read_until(dashboard.stdout, b"</html>")
        # curl finds fault with a stream that has no end of its own.
        assert (dashboard.wait(20), live.wait(20)) == (0, 0)
        assert site.server.process.returncode == 0


def test_an_idle_connection_whose_client_says_nothing_does_not_delay_the_end(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    with secure_site(tmp_path, certificate) as site, _idle_http2_connection(site):
        assert site.server.stop() < 3


@contextmanager
def _idle_http2_connection(site: Site) -> Iterator[list[Event]]:
    """A connection that has asked nothing; what the server says first."""
    context = ssl.create_default_context(cafile=site.certificate)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", site.server.port), 20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        connection = H2Connection()
        connection.initiate_connection()
        secure.sendall(connection.data_to_send())
        # Its settings: it has taken the connection for HTTP/2.
        yield connection.receive_data(secure.recv(65_536))


def _read_until(stream: IO[bytes] | None, text: bytes) -> bytes:
    """What has come when this text has; all that came if it never does."""
    assert stream is not None
    read = b""
    while text not in read and (line := stream.readline()):
        read += line
    assert text in read
    return read
