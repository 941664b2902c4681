"""Check what is, or is about to be, committed: nothing that holds on one machine or network only, no secret.

Looked at are the files that git tracks and new ones that it does not ignore. Forbidden are: the host of a
package registry or a CDN (each machine's own configuration names its registries; pages load nothing from
elsewhere), an absolute path of someone's machine, a lock file that names its registry (requirements/ is the
lock), and what looks like a key or a token.

Usage: python scripts/check_tree.py [FOLDER]
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"}
HOSTS = (
    r"pypi\.(org|io|python\.org)|pythonhosted\.org|anaconda\.(org|com)"
    r"|npmjs\.(org|com)|yarnpkg\.com|jsdelivr\.net|unpkg\.com|esm\.sh|cdnjs\.cloudflare\.com"
    r"|\b(deb|ftp|security|snapshot|cdn-aws|[a-z]{2})\.debian\.org|archive\.ubuntu\.com"
    r"|crates\.io|proxy\.golang\.org|rubygems\.org"
)
FORBIDDEN = {
    "names the host of a package registry or a CDN": re.compile(HOSTS),
    "has a path of one machine": re.compile(
        r"(?<![\w.~$}])/(home|root|Users|work|workspaces?)/\w|\b[A-Z]:\\Users\\"
    ),
    "has what looks like a secret": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[oprsu]_\w{36}|\bxox[abp]-\w{10}|\bsk-\w{32}"
    ),
}


def problems(folder: Path) -> Iterator[str]:
    """Yield `file:line: what is wrong` for everything in the git checkout that must not be committed."""
    here = re.compile(rf"{re.escape(str(folder.resolve()))}\b")
    for name in committed(folder):
        if Path(name).name in LOCK_FILES:
            yield f"{name}: names its registry; requirements/ is the lock (git rm --cached {name})"
        data = (folder / name).read_bytes() if (folder / name).is_file() else b""
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
            for what, pattern in {**FORBIDDEN, "has the path of this checkout": here}.items():
                if found := pattern.search(line):
                    yield f"{name}:{number}: {what}: {found.group()}"


def committed(folder: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return sorted(filter(None, listed.split("\0")))


def main(folder: Path = Path()) -> None:
    try:
        found = list(problems(folder))
    except FileNotFoundError, subprocess.CalledProcessError:
        print("check_tree: not a git checkout, so nothing will be committed from here")
        return
    print("\n".join(found) or "check_tree: nothing that belongs to one machine or network, and no secret")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
