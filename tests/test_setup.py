"""The set-up keeps its promises: it only looks when all is there, mends what is broken, and says what to do.

The network is never used: uv, apt-get, sudo and the browsers are small scripts on the PATH.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import check_tree, provide_browser, provide_python

ROOT = Path(__file__).parents[1]
SYSTEM = os.environ["PATH"]

# --- scripts/setup, on a checkout with a uv that makes an empty environment and notes what it was asked

UV = """
echo "$*" >>"$CALLS"
case "$1 $2" in
    "python find") [ "$*" != "python find --no-project --system 3.14t" ] || cat "$PYTHON_IS_THERE" ;;
    "python install") [ -n "$DOWNLOADS_WORK" ] || { echo "the download failed"; exit 1; }
        echo /path/of/python3.14t >"$PYTHON_IS_THERE" ;;
    "python dir") echo "$HOME/python" ;;
    "venv "*) for venv; do :; done
        rm -rf "$venv"; mkdir -p "$venv/bin" "$venv/lib/python3.14t/site-packages"
        echo "#!/bin/sh" >"$venv/bin/python"; chmod +x "$venv/bin/python" ;;
    "pip install") echo "no pip"; exit 1 ;;
    "pip sync") [ -z "$INDEX_IS_DOWN" ] || { echo "could not fetch"; exit 2; } ;;
esac
"""


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


class Checkout:
    """A copy of what scripts/setup works on, and a way to run it there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.calls = folder / "calls"
        self.python_is_there = folder / "python"
        self.python_is_there.write_text("/path/of/python3.14t\n")
        for name in ("scripts", "requirements"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / ".python-versions", self.folder)
        executable(folder / "bin/uv", UV)
        self.path = f"{folder / 'bin'}:{SYSTEM}"

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        variables = {
            "PATH": self.path,
            "HOME": str(self.folder),
            "CALLS": str(self.calls),
            "INDEX_IS_DOWN": "",
        }
        variables |= {"PYTHON_IS_THERE": str(self.python_is_there)} | environment
        return subprocess.run(
            [self.folder / "scripts/setup"],
            env=variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path)
    assert checkout.set_up().returncode == 0
    return checkout


def test_set_up_makes_the_environment_and_says_what_it_does(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)

    done = checkout.set_up()

    assert done.returncode == 0
    assert re.findall(r"set-up: (.*) \.\.\. \d+ s", done.stdout) == [
        "environment in .venv",
        "packages of requirements/dev.txt",
    ]
    calls = checkout.calls.read_text()
    assert "venv --clear --no-project --python /path/of/python3.14t .venv\n" in calls
    assert "pip sync --python .venv/bin/python --require-hashes" in calls


def test_set_up_repeated_only_looks(checkout: Checkout) -> None:
    done = checkout.set_up()

    assert (done.returncode, done.stdout) == (0, "set-up: up to date\n")
    assert checkout.calls.read_text() == ""


def break_python(checkout: Checkout) -> None:
    (checkout.folder / ".venv/bin/python").unlink()


def remove_packages(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".venv/lib")


def add_a_package(checkout: Checkout) -> None:
    os.utime(checkout.folder / ".venv/lib/python3.14t/site-packages", (4e9, 4e9))


def lock_other_versions(checkout: Checkout) -> None:
    with (checkout.folder / "requirements/dev.txt").open("a") as file:
        file.write("# another version\n")


def move_the_checkout(checkout: Checkout) -> None:
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("elsewhere"))


@pytest.mark.parametrize(
    "change", [break_python, remove_packages, add_a_package, lock_other_versions, move_the_checkout]
)
def test_set_up_makes_a_broken_or_outdated_environment_anew(
    checkout: Checkout, change: Callable[[Checkout], None]
) -> None:
    change(checkout)

    done = checkout.set_up()

    assert done.returncode == 0
    assert "packages of requirements/dev.txt" in done.stdout
    assert checkout.set_up().stdout == "set-up: up to date\n"


def test_set_up_that_stopped_half_way_is_repeated(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)

    failed = checkout.set_up(INDEX_IS_DOWN="yes")
    repeated = checkout.set_up()

    assert failed.returncode == 1
    assert re.search(
        "could not fetch\nSet-up stopped: the packages could not be installed.*\n$", failed.stdout
    )
    assert repeated.returncode == 0
    assert "packages of requirements/dev.txt" in repeated.stdout


def test_a_missing_python_is_downloaded_by_uv(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.python_is_there.unlink()

    done = checkout.set_up(DOWNLOADS_WORK="yes")

    assert done.returncode == 0
    assert re.search(r"set-up: Python 3.14t, by uv ... \d+ s", done.stdout)
    assert "venv --clear --no-project --python /path/of/python3.14t .venv\n" in checkout.calls.read_text()


def test_where_python_cannot_be_had_set_up_says_what_to_install(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.python_is_there.unlink()

    done = checkout.set_up()

    assert done.returncode == 1
    assert "Install it in one of these ways" in done.stdout
    assert done.stdout.endswith("Set-up stopped: there is no Python 3.14t.\n")


def test_without_uv_and_without_a_python_set_up_says_what_to_install(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / "bin/uv").unlink()
    executable(tmp_path / "bin/python3", "exit 1")

    done = checkout.set_up(PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")

    assert done.returncode == 1
    assert "Install uv" in done.stdout


# --- scripts/provide_python.py


@pytest.mark.parametrize(
    ("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64"), ("Windows", "AMD64")]
)
def test_on_other_platforms_python_is_not_assembled(system: str, machine: str) -> None:
    with pytest.raises(provide_python.CannotProvide, match=f"not for {system} on {machine}"):
        provide_python.check_machine("3.14t", system, machine, SYSTEM)


def test_without_apt_get_python_is_not_assembled(tmp_path: Path) -> None:
    with pytest.raises(provide_python.CannotProvide, match="there is no apt-get here"):
        provide_python.check_machine("3.14t", "Linux", "x86_64", str(tmp_path))


def test_who_cannot_have_python_from_packages_reads_what_to_install() -> None:
    script = ROOT / "scripts/provide_python.py"
    done = subprocess.run([sys.executable, script, "uv", "3.13t"], capture_output=True, text=True)

    assert done.returncode == 1
    assert "From packages there is only Python 3.14t or 3.14+gil" in done.stderr
    assert "uv python install 3.13t" in done.stderr
    assert "python.org/downloads" in done.stderr


def test_the_jump_in_the_executable_leads_from_main_to_python() -> None:
    """In the smallest ELF file with the two functions, 0x100 apart, in a section that is loaded elsewhere."""
    names = b"\0main\0Py_BytesMain\0"
    text = bytes(0x200)
    functions = [(1, 0x401010), (6, 0x401110)]
    symbols = bytes(24) + b"".join(struct.pack("<IBBHQQ", name, 0, 0, 1, at, 9) for name, at in functions)
    at_text, at_symbols, at_names = 64, 64 + len(text), 64 + len(text) + len(symbols)
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 1, 0, 0x401000, at_text, len(text), 0, 0, 0, 0),
        (0, 11, 0, 0, at_symbols, len(symbols), 3, 0, 0, 24),
        (0, 3, 0, 0, at_names, len(names), 0, 0, 0, 0),
    ]
    header = bytearray(64)
    struct.pack_into("<Q", header, 40, at_names + len(names))
    struct.pack_into("<HH", header, 58, 64, len(sections))
    heads = b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in sections)
    elf = bytes(header) + text + symbols + names + heads

    patched = provide_python.ordinary_python(elf)

    place = at_text + 0x10
    assert patched[place : place + 5] == b"\xe9" + struct.pack("<i", 0x100 - 5)
    assert patched[:place] + bytes(5) + patched[place + 5 :] == elf


APT = """
case "$*" in
    *--print-uris*) echo "'$MIRROR/others/dists/a/InRelease' x 0
'$MIRROR/debian/dists/b/InRelease' x 0" ;;
    *download*) for name; do case $name in lib*) echo deb >"${name}_${DEBIAN_HAS}_amd64.deb" ;; esac; done ;;
esac
"""


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    executable(tmp_path / "bin/apt-get", APT)
    executable(tmp_path / "bin/dpkg-deb", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{SYSTEM}")
    monkeypatch.setenv("MIRROR", "http://mirror.example")
    return tmp_path


def test_debian_packages_come_from_the_mirror_of_the_machine(
    debian: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEBIAN_HAS", "3.14.99-1")

    provide_python.unpack_debs(debian)

    assert f" {os.environ['MIRROR']}/debian forky main" in (debian / "sources").read_text()
    assert "note: Debian has libpython3.14-stdlib_3.14.99-1_amd64.deb in place of" in capsys.readouterr().out


def test_a_pinned_debian_package_with_another_hash_is_refused(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBIAN_HAS", next(version for _, version in provide_python.DEBS))

    with pytest.raises(provide_python.CannotProvide, match="is not the file this was written for"):
        provide_python.unpack_debs(debian)


# --- scripts/provide_browser.py


class Machine:
    """A machine without a browser; what a test puts there is all there is."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.asked: list[str] = []
        self.playwright_has_one = False
        for name in ("env", "cp"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.delenv("E2E_BROWSER", raising=False)
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.setattr(provide_browser, "playwrights_own_launches", lambda: self.playwright_has_one)
        monkeypatch.setattr(
            provide_browser, "download_playwrights_own", lambda: self.asked.append("download")
        )

    def add(self, name: str, script: str = "echo 1.0") -> str:
        return str(executable(self.bin / name, script))

    def add_debians_shell(self) -> None:
        """Let apt-get be there, which can install the headless shell."""
        shell = self.add("shell.deb")
        self.add("apt-get", f'[ "$1" = update ] || cp {shell} {self.bin}/chromium-headless-shell')
        self.add("sudo", 'shift; exec "$@"')


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_the_browser_that_e2e_browser_names_comes_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add("chromium")
    monkeypatch.setenv("E2E_BROWSER", machine.add("another-browser"))

    assert provide_browser.provide() == str(machine.bin / "another-browser")


def test_a_wrong_e2e_browser_is_named_rather_than_passed_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add("chromium")
    monkeypatch.setenv("E2E_BROWSER", "no-such-browser")

    with pytest.raises(provide_browser.NoBrowser, match="E2E_BROWSER is 'no-such-browser'"):
        provide_browser.provide()


def test_chromium_on_the_path_comes_before_playwrights_own(machine: Machine) -> None:
    machine.playwright_has_one = True
    chromium = machine.add("chromium")

    assert provide_browser.provide() == chromium


def test_a_placeholder_for_chromium_is_passed_over(machine: Machine) -> None:
    machine.add("chromium-browser", "echo 'install the snap'; exit 1")
    chrome = machine.add("google-chrome")

    assert provide_browser.provide() == chrome


def test_playwrights_own_is_used_without_a_download_when_it_is_there(machine: Machine) -> None:
    machine.playwright_has_one = True

    assert provide_browser.provide() == provide_browser.PLAYWRIGHTS_OWN
    assert machine.asked == []


def test_debians_headless_shell_is_installed_when_playwrights_cannot_be_downloaded(machine: Machine) -> None:
    machine.add_debians_shell()

    assert provide_browser.provide() == str(machine.bin / "chromium-headless-shell")
    assert machine.asked == ["download"]


def test_ci_takes_the_headless_shell_even_if_there_is_a_whole_chromium(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add("chromium")
    machine.add_debians_shell()
    monkeypatch.setenv("CI", "true")

    assert provide_browser.provide() == str(machine.bin / "chromium-headless-shell")


def test_ci_takes_chromium_where_the_headless_shell_cannot_be_had(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium = machine.add("chromium")
    monkeypatch.setenv("CI", "true")

    assert provide_browser.provide() == chromium


def test_without_any_browser_one_message_says_what_to_do(machine: Machine) -> None:
    machine.add("apt-get", "echo 'E: Unable to fetch'; exit 100")
    machine.add("sudo", 'shift; exec "$@"')

    with pytest.raises(provide_browser.NoBrowser, match=r"Do one of these, then repeat:\n  install Chromium"):
        provide_browser.provide()


# --- what is committed

HOST = ".".join(("files", "pythonhosted", "org"))  # in pieces, since this file is looked at as well
HOME = "/".join(("", "home", "ada", "contacts"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("lock.txt", f"first line\nurl = https://{HOST}/x", f"lock.txt:2: names the host.*{HOST[6:]}"),
        ("notes.md", f"see {HOME}", f"notes.md:1: has a path of one machine: {HOME[:7]}"),
        ("uv.lock", "version = 1", "uv.lock: names its registry"),
        ("key.pem", "-----BEGIN " + "PRIVATE KEY-----", "key.pem:1: has what looks like a secret"),
    ],
    ids=["registry host", "absolute path", "lock file", "secret"],
)
def test_what_must_not_be_committed_is_found(repository: Path, name: str, text: str, problem: str) -> None:
    (repository / name).write_text(text)

    assert re.match(problem, next(check_tree.problems(repository)))


def test_the_path_of_the_checkout_is_found_wherever_it_is(repository: Path) -> None:
    (repository / "notes.md").write_text(f"run {repository}/scripts/setup")

    assert re.match("notes.md:1: has the path of this checkout", next(check_tree.problems(repository)))


def test_ordinary_files_and_ignored_files_are_no_problem(repository: Path) -> None:
    (repository / ".gitignore").write_text("local.txt\n")
    (repository / "local.txt").write_text(HOME)
    (repository / "page.html").write_text('<a href="/contacts"> https://example.org/home/ada $HOME/home/x')
    (repository / "icon.png").write_bytes(b"\0" + HOME.encode())

    assert list(check_tree.problems(repository)) == []


def requirements(name: str) -> dict[str, str]:
    """Package to what follows it: version, markers, hashes."""
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(.+)$", text.replace(" \\\n", ""), re.MULTILINE))


@pytest.mark.parametrize("name", ["app.txt", "dev.txt", "uv.txt"])
def test_every_locked_package_has_hashes_and_names_no_host(name: str) -> None:
    packages = requirements(name)

    assert packages
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}( |$)", rest) for rest in packages.values())
    assert "://" not in (ROOT / "requirements" / name).read_text()


def test_the_lock_has_what_pyproject_pins_and_tests_run_on_what_the_app_runs_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    app, dev = (
        {name: rest.split()[0] for name, rest in requirements(file).items()}
        for file in ("app.txt", "dev.txt")
    )

    asked = [re.findall(r"^[\w-]+|==.+|>=.+", dependency) for dependency in project["dependencies"]]
    assert all(f"=={app[name]}" == version or version.startswith(">=") for name, version in asked)
    assert app.items() <= dev.items()


IMPORT_ALL = """
import importlib.metadata, sys, sysconfig
for name in importlib.metadata.packages_distributions():
    if name.isidentifier():
        importlib.import_module(name)
assert sys._is_gil_enabled() == (not sysconfig.get_config_var("Py_GIL_DISABLED"))
"""


def test_no_installed_package_turns_the_gil_on() -> None:
    subprocess.run([sys.executable, "-c", IMPORT_ALL], check=True)


def test_make_help_names_every_target_and_what_it_does() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert re.findall(r"^  make ([a-z0-9-]+) +\w", shown, re.MULTILINE) == targets
