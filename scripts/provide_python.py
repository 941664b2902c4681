"""Assemble CPython 3.14 from registry packages, on machines that reach nothing else.

A network that lets through only package registries stops uv's own download, but what makes up an interpreter
also lies in their packages:

- `freeze-core`, a wheel for makers of frozen applications: an executable with the whole interpreter linked
  in, and the standard library's C extensions with the shared libraries they need;
- Debian's `libpython3.14-minimal` and `libpython3.14-stdlib`: the standard library's Python files.

The executable's own `main` starts a frozen application. But it also exports `Py_BytesMain`, the `main` of an
ordinary `python`, so five bytes do: the first instruction of `main` becomes a jump there. The result goes to
`uv python dir` under the name that uv gives such a build, and from then on uv finds it.

Wheel and Debian packages are pinned by hash. Debian keeps only the newest version of a package: when that is
no longer the pinned one it is taken on Debian's signature, which apt checks, and a note says so.

What differs from uv's own build: there are no header files, no tkinter, no ensurepip (so `uv venv`, not
`python -m venv`), and `ssl` trusts nobody until SSL_CERT_FILE names the certificates.

Usage: python3 scripts/provide_python.py UV 3.14t|3.14+gil
UV is the uv executable. Needs apt-get and the network; needs no root.
"""

from __future__ import annotations  # this file runs on whatever python3 the machine has, from 3.9

import ast
import hashlib
import os
import platform
import pprint
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

VERSION = "3.14.9"  # of the interpreter in the wheel
WHEEL = "freeze-core==0.8.1"
PIP = "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
SUITE = "forky"
DEBS = {
    ("libpython3.14-minimal", "3.14.8-1"): "149d1ff143259f6a5a405522d40143595fdedbf6d8e01123ea798603f895c93d",
    ("libpython3.14-stdlib", "3.14.8-1"): "abfa1b45e311461a4f8ee110d203efbc18808fada340af7036235b0d0c4cfd9a",
}
MULTIARCH = "x86_64-linux-gnu"


class Build(NamedTuple):
    """One of the two builds of CPython 3.14: uv's name for it, its letter in ABI names, its wheel's hash."""

    uv_name: str
    t: str
    wheel: str


BUILDS = {
    "3.14t": Build(
        f"cpython-{VERSION}+freethreaded-linux-x86_64-gnu",
        "t",
        "b8547956f9cbeabaae9cc758bbc65531962c3fb4fa0c2431c802089e7ea86cca",
    ),
    "3.14+gil": Build(
        f"cpython-{VERSION}-linux-x86_64-gnu",
        "",
        "2500ef546af0c26e30cc8630be353fa02c9ff46d009b76d6d15e79288140d7e6",
    ),
}

# Run by the new interpreter: each of these joins a Python file from Debian to a C extension from the wheel.
CHECK = """
import asyncio, bz2, compression.zstd, concurrent.interpreters, csv, ctypes, curses, datetime, decimal
import hashlib, json, lzma, multiprocessing, pickle, readline, select, socket, sqlite3, ssl, statistics
import subprocess, sys, sysconfig, unicodedata, uuid, xml.etree.ElementTree, zlib, zoneinfo
assert sys.version_info[:2] == (3, 14), sys.version
assert sys._is_gil_enabled() == (not sysconfig.get_config_var("Py_GIL_DISABLED"))
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
assert subprocess.run([sys.executable, "-c", ""]).returncode == 0
"""


class CannotProvide(Exception):
    """This machine cannot have the interpreter from packages; the text says why."""


def main(uv: str, request: str) -> None:
    check_machine(request, platform.system(), platform.machine(), os.environ.get("PATH", ""))
    build = BUILDS[request]
    home = Path(run(uv, "python", "dir").strip()) / build.uv_name
    home.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that uv overlooks it, and beside its final place, so that the last step is one atomic rename.
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".assembling-") as folder:
        work = Path(folder)
        root = assemble(build, unpack_wheel(uv, build, work), unpack_debs(work), work / "root", home)
        run(root / f"bin/python3.14{build.t}", "-c", CHECK)
        compile_all(build, root, home)
        shutil.rmtree(home, ignore_errors=True)
        root.rename(home)
    print(home)


def check_machine(request: str, system: str, machine: str, path: str) -> None:
    """Raise CannotProvide unless the packages fit this machine and its tools are there to fetch them."""
    if request not in BUILDS:
        raise CannotProvide(f"From packages there is only Python {' or '.join(BUILDS)}.")
    if (system, machine) != ("Linux", "x86_64"):
        raise CannotProvide(
            f"Python's packages are there for Linux on x86_64, not for {system} on {machine}."
        )
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool, path=path):
            raise CannotProvide(f"Assembling Python takes Debian's packages, and there is no {tool} here.")


def advice(request: str) -> str:
    """What a person can do instead."""
    kind, t = ("free-threaded ", "t") if request.endswith("t") else ("", "")
    return (
        f"uv could not download Python {request}, and it could not be assembled from packages.\n"
        "Install it in one of these ways, then repeat:\n"
        f"  uv python install {request}, where the network allows it (an old uv first: uv self update)\n"
        f"  the {kind}build of Python 3.14 from python.org/downloads, as python3.14{t} on the PATH"
    )


def unpack_wheel(uv: str, build: Build, work: Path) -> Path:
    # Only pip can be asked for a wheel of another interpreter's ABI; the machine's python3 may have no pip.
    pip, lock = work / "pip", work / "pip.txt"
    lock.write_text(PIP)
    run(uv, "pip", "install", "--python", sys.executable, "--target", pip, "--require-hashes", "-r", lock)
    run(
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", work),
        *("--implementation", "cp", "--python-version", "3.14", "--abi", f"cp314{build.t}"),
        *("--platform", "manylinux2014_x86_64", WHEEL),
        env={**os.environ, "PYTHONPATH": str(pip)},
    )
    wheel = next(work.glob("freeze_core-*.whl"))
    check_hash(wheel, build.wheel)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "wheel")
    return work / "wheel"


def unpack_debs(work: Path) -> Path:
    """The standard library's Python files, from the machine's own Debian mirror."""
    (work / "lists/partial").mkdir(parents=True)
    (work / "cache/archives/partial").mkdir(parents=True)
    apt = [
        *("apt-get", "-o", f"Dir::Etc::SourceList={work}/sources", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache"),
        *("-o", "Acquire::Languages=none", "-o", "Acquire::Check-Valid-Until=false"),  # a late mirror will do
        *("-o", "APT::Sandbox::User=root"),  # apt's own user may not enter our folder
    ]
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "sources").write_text(f"deb [signed-by={keyring}] {debian_mirror()} {SUITE} main\n")
    run(*apt, "update", "--error-on=any")
    run(*apt, "download", *(name for name, _ in DEBS), cwd=work)
    for (name, version), pinned in DEBS.items():
        deb = next(work.glob(f"{name}_*.deb"))
        if deb.name.split("_")[1] == version:
            check_hash(deb, pinned)
        else:
            print(f"note: Debian has {deb.name} in place of the pinned {version}; took it, signed by Debian")
        run("dpkg-deb", "-x", deb, work / "deb")
    return work / "deb/usr/lib/python3.14"


def debian_mirror() -> str:
    """The Debian mirror in the machine's apt configuration; other repositories there have no such suite."""
    # What an update would fetch is known without root, and before the machine's first update.
    repositories: list[str] = re.findall(r"'(\S+?)/dists/", run("apt-get", "--print-uris", "update"))
    for uri in repositories:
        if uri.endswith("/debian"):
            return uri
    raise CannotProvide(f"apt-get knows no Debian mirror, only {', '.join({*repositories}) or 'nothing'}.")


def assemble(build: Build, frozen: Path, pure: Path, root: Path, home: Path) -> Path:
    """Lay out the interpreter in root as it will stand in home."""
    lib = root / f"lib/python3.14{build.t}"
    debians = ("lib-dynload", "sitecustomize.py", "EXTERNALLY-MANAGED", "_sysconfig*", "build-details*")
    shutil.copytree(pure, lib, symlinks=True, ignore=shutil.ignore_patterns(*debians))
    shutil.copytree(frozen / "freeze_core/lib", lib / "lib-dynload")
    shutil.copytree(frozen / "freeze_core.libs", root / "lib/freeze_core.libs")
    write_build_variables(build, pure, lib, home)
    executable = root / f"bin/python3.14{build.t}"
    executable.parent.mkdir()
    base = frozen / f"freeze_core/bases/console-cpython-314{build.t}-{MULTIARCH}"
    executable.write_bytes(ordinary_python(base.read_bytes()))
    executable.chmod(0o755)
    for name in ("python3", "python"):
        executable.with_name(name).symlink_to(executable.name)
    return root


def ordinary_python(elf: bytes) -> bytes:
    """The executable with `main` beginning with a jump to `Py_BytesMain`."""
    functions = exported(elf)
    main, place = functions["main"]
    start, _ = functions["Py_BytesMain"]
    jump = b"\xe9" + struct.pack("<i", start - (main + 5))  # counted from the instruction after it
    return elf[:place] + jump + elf[place + len(jump) :]


def exported(elf: bytes) -> dict[str, tuple[int, int]]:
    """What an ELF64 file exports: of each name the address in memory and the place in the file."""
    sections = struct.unpack_from("<Q", elf, 40)[0]
    size, count = struct.unpack_from("<HH", elf, 58)
    # Of each section: name, type, flags, address, place in the file, size, number of a section it refers to.
    heads = [struct.unpack_from("<IIQQQQI", elf, sections + number * size) for number in range(count)]
    symbols = next(head for head in heads if head[1] == 11)  # SHT_DYNSYM
    names = heads[symbols[6]][4]
    found = {}
    for entry in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, section, address, _ = struct.unpack_from("<IBBHQQ", elf, entry)
        if 0 < section < count:
            text = elf[names + name : elf.index(b"\0", names + name)].decode()
            found[text] = address, address - heads[section][3] + heads[section][4]
    return found


def write_build_variables(build: Build, pure: Path, lib: Path, home: Path) -> None:
    """What sysconfig tells about the build: Debian's variables, with the paths and names of this one."""
    source = (pure / f"_sysconfigdata__linux_{MULTIARCH}.py").read_text()
    debian = ast.literal_eval(source[source.index("{") :])
    renamed = (
        pprint.pformat(debian)
        .replace("cpython-314-", f"cpython-314{build.t}-")
        .replace("python3.14", f"python3.14{build.t}")
        .replace("'/usr", f"'{home}")
    )
    variables = {
        **ast.literal_eval(renamed),
        **{"prefix": str(home), "exec_prefix": str(home), "VERSION": "3.14", "LDVERSION": f"3.14{build.t}"},
        **{"ABIFLAGS": build.t, "Py_GIL_DISABLED": int(bool(build.t))},
    }
    text = f"build_time_vars = {pprint.pformat(variables)}\n"
    (lib / f"_sysconfigdata_{build.t}_linux_{MULTIARCH}.py").write_text(text)


def compile_all(build: Build, root: Path, home: Path) -> None:
    """Compile the standard library once, for all later starts: 0.1 s instead of 0.4 s."""
    python = root / f"bin/python3.14{build.t}"
    run(python, "-m", "compileall", "-q", "-s", root, "-p", home, root / "lib")


def run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    command = [str(word) for word in words]
    done = subprocess.run(command, text=True, capture_output=True, cwd=cwd, env=env, timeout=300)
    if done.returncode:
        raise CannotProvide(
            f"This failed: {' '.join(command)}\n{(done.stdout + done.stderr).strip()[-2000:]}"
        )
    return done.stdout


def check_hash(file: Path, pinned: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != pinned:
        raise CannotProvide(
            f"{file.name} is not the file this was written for: its hash is {found}, not {pinned}."
        )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (CannotProvide, OSError, subprocess.TimeoutExpired) as reason:
        sys.exit(f"{reason}\n{advice(sys.argv[2])}")
