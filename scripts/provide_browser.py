"""Find a browser for the tests, or bring one; print its path, or an empty line for Playwright's own.

In this order: the one that E2E_BROWSER names; Chromium's headless shell, Chromium or Chrome on the PATH;
Playwright's own, downloaded if need be; Debian's package of the headless shell, which takes root or sudo, and
which comes right after E2E_BROWSER where CI is set. What it fetches it says on standard error.

The headless shell is the same engine without what draws windows: what Playwright, too, brings for tests that
nobody watches. It takes half the processor's time of a whole Chromium.

Usage: E2E_BROWSER="$(python scripts/provide_browser.py)" pytest e2e
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import playwright
from playwright.sync_api import Error, sync_playwright

SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PLAYWRIGHTS_OWN = ""
DRIVER = str(Path(playwright.__file__).parent / "driver/node")
ADVICE = """\
There is no browser for the tests, and none could be fetched. Do one of these, then repeat:
  install Chromium or Chrome, so that `chromium` or `google-chrome` is on the PATH
    (Debian, as root: apt-get update && apt-get install chromium)
  set E2E_BROWSER to the path of such a browser
  run `playwright install --with-deps chromium` on a network that reaches Playwright's downloads"""


class NoBrowser(Exception):
    """There is no browser to be had; the text says what to do."""


def provide() -> str:
    """Return a browser's path, or PLAYWRIGHTS_OWN. Raises NoBrowser."""
    if not (runs(DRIVER) or (install_debian_packages("libatomic1") and runs(DRIVER))):
        raise NoBrowser("Playwright's driver does not start; it needs libatomic (Debian: libatomic1).")
    if named := os.environ.get("E2E_BROWSER"):
        if not runs(named):
            raise NoBrowser(f"E2E_BROWSER is {named!r}, and that does not start. Correct it, or unset it.")
        return named
    if os.environ.get("CI") and not on_path(SHELL):
        install_debians_shell()
    if found := on_path(*NAMES):
        return found
    if playwrights_own_launches() or (download_playwrights_own() and playwrights_own_launches()):
        return PLAYWRIGHTS_OWN
    if install_debians_shell() and (found := on_path(SHELL)):
        return found
    raise NoBrowser(ADVICE)


def on_path(*names: str) -> str | None:
    return next((path for name in names if (path := shutil.which(name)) and runs(path)), None)


def install_debians_shell() -> bool:
    # Without a font a page shows no text; the package asks for none.
    return install_debian_packages(SHELL, "fonts-dejavu-core")


def runs(browser: str) -> bool:
    """Whether it can tell its version, which a distribution's placeholder for it cannot."""
    try:
        return subprocess.run([browser, "--version"], capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def playwrights_own_launches() -> bool:
    """Whether it is there and the machine has the libraries it needs; only a start can tell."""
    with sync_playwright() as api:
        try:
            api.chromium.launch().close()
        except Error:
            return False
    return True


def download_playwrights_own() -> bool:
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    return step("Chromium, by Playwright", command)


def install_debian_packages(*names: str) -> bool:
    if not shutil.which("apt-get"):
        return False
    apt = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt += ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt, "install", "--yes", "--no-install-recommends", *names]
    return step("list of Debian's packages", [*apt, "update"]) and step(f"{names[0]}, from Debian", install)


def step(what: str, command: list[str]) -> bool:
    """Run the command; say what it brings, how long it took, and why it failed if it did."""
    print(f"set-up: {what} ... ", end="", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError as missing:
        print(f"no: there is no {missing.filename}", file=sys.stderr)
        return False
    if done.returncode:
        reason = (line for line in done.stdout.splitlines() if "rror" in line or "E: " in line)
        print(f"no: {next(reason, done.stdout.strip())}", file=sys.stderr)
        return False
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    try:
        print(provide())
    except NoBrowser as reason:
        sys.exit(str(reason))
