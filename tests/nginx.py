"""nginx with the repository's own configuration, deploy/nginx.conf, in front of servers of a test."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.provide_programs import provide
from tests.server_process import ROOT

CONFIGURATION = ROOT / "deploy/nginx.conf"
PATIENCE = ("--retry", "50", "--retry-connrefused", "--retry-delay", "0", "--retry-max-time", "20")


@contextmanager
def running_nginx(folder: Path, changed: Mapping[str, str], url: str) -> Iterator[None]:
    """Run nginx; wait until it answers at `url` on this machine, whatever it answers.

    folder: for what it writes, its logs too. changed: text of the configuration, which must be there, and
    what stands in its place: paths and ports of a test instead of those of a machine.
    """
    ours = CONFIGURATION.read_text()
    for theirs, mine in changed.items():
        assert theirs in ours, theirs
        ours = ours.replace(theirs, mine)
    (folder / "contacts.conf").write_text(ours)
    temporary = "\n".join(
        f"{kind}_temp_path {folder / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log {folder / 'error.log'};\n"
        f"{'user root root;' if os.geteuid() == 0 else ''}\n"
        f"events {{}}\nhttp {{ {temporary} access_log {folder / 'access.log'};\n"
        f"include {folder / 'contacts.conf'}; }}\n"
    )
    command = [str(provide("nginx")), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    subprocess.run([*command, "-t", "-q"], check=True)
    with subprocess.Popen(command) as nginx:
        try:
            # As soon as it listens; until then curl asks again.
            curl = [str(provide("curl")), "-sS", *PATIENCE, "-o", os.devnull, url]
            subprocess.run(curl, check=True, timeout=30)
            yield
        finally:
            nginx.terminate()
