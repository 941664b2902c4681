"""Find PostgreSQL, or bring it, and run a throw-away cluster for as long as it is wanted.

The programs are looked for on the PATH and where Debian keeps them; where they are missing, Debian's
package `postgresql` is installed, which takes root or sudo. The cluster lives in a temporary
folder, listens on a Unix socket only, and would not survive a power failure: it is for tests. It ends
with the process that wanted it, even if that is killed.

Usage: python -m scripts.provide_postgres   prints a URL for CONTACTS_STORE, until Ctrl-C
"""

import ctypes.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAMS = ("initdb", "postgres", "pg_ctl")
USER = "postgres"  # the administrator of the cluster, who needs no password
OPTIONS = {
    "listen_addresses": "''",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}
# Waits for the end of its input, which comes with the end of the process that holds the other side.
CLEAN_UP = 'cat; "$1" stop -m immediate -D "$2/data"; rm -rf "$2"'
ADVICE = """\
There is no PostgreSQL for the tests, and none could be installed. Install it, then repeat
(Debian, as root: apt-get update && apt-get install postgresql)."""


class NoPostgres(Exception):
    """There is no PostgreSQL to be had; the text says what to do."""


@contextmanager
def cluster() -> Iterator[Path]:
    """Run a cluster; the folder of its socket. Raises NoPostgres."""
    programs = provide()
    home = Path(tempfile.mkdtemp(prefix="contacts-pg-"))
    data, log, who = home / "data", home / "log", _somebody()
    if who:
        shutil.chown(home, who)
    somebody: dict[str, Any] = {
        "user": who,
        "group": who and pwd.getpwnam(who).pw_gid,
        "extra_groups": who and [],
        "stdout": subprocess.DEVNULL,  # a pipe would stay open as long as the cluster runs
        "stderr": subprocess.DEVNULL,
    }

    def run(program: str, *args: str) -> None:
        done = subprocess.run(
            [programs / program, *args], cwd=home, stdin=subprocess.DEVNULL, check=False, **somebody
        )
        if done.returncode:
            raise NoPostgres(f"{program} failed: {log.read_text() if log.exists() else done.returncode}")

    with subprocess.Popen(
        ["sh", "-c", CLEAN_UP, "sh", programs / "pg_ctl", home],
        cwd="/",
        stdin=subprocess.PIPE,
        start_new_session=True,  # so that neither Ctrl-C nor the end of a process group reaches it
        **somebody,
    ):
        # A collation that is not that of code points, as most databases have one.
        run("initdb", "-D", f"{data}", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N")
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        run("pg_ctl", "start", "-w", "-D", f"{data}", "-l", f"{log}", "-o", f"{options} -k {home}")
        yield home


def url(folder: Path, database: str = "postgres", user: str = USER) -> str:
    """What CONTACTS_STORE has to be for a database of the cluster."""
    return f"postgresql://{user}@/{database}?host={folder}"


def provide() -> Path:
    """The folder of PostgreSQL's programs, which are installed if need be. Raises NoPostgres."""
    found = _find()
    if found is None and _install("postgresql"):
        found = _find()
    # The driver needs the library, which may be missing where the programs are not from Debian.
    if not found or not (ctypes.util.find_library("pq") or _install("libpq5")):
        raise NoPostgres(ADVICE)
    return found


def _find() -> Path | None:
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    folders = [*([Path(on_path).resolve().parent] if on_path else []), *reversed(debian)]
    return next(
        (folder for folder in folders if all(os.access(folder / name, os.X_OK) for name in PROGRAMS)), None
    )


def _install(package: str) -> bool:
    from scripts.provide_browser import install_debian_packages

    return install_debian_packages(package)


def _somebody() -> str | None:
    """Who runs the cluster when root asks, whom PostgreSQL refuses; None for whoever asks."""
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


if __name__ == "__main__":
    try:
        with cluster() as folder:
            print(url(folder), flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
    except NoPostgres as reason:
        sys.exit(str(reason))
