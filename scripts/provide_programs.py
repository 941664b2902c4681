"""Find a program of the system that tests run, or bring it as Debian's package, with root or sudo."""

import os
import shutil
from pathlib import Path

from scripts.provide_browser import install_debian_packages

# Where servers are, which not everybody has on the PATH.
PLACES = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin"))


def provide(name: str, package: str = "") -> Path:
    """The path of a program; RuntimeError with what to do if it is not there and cannot be brought.

    package: of Debian, and of most others; by default it has the program's name.
    """
    package = package or name
    found = shutil.which(name, path=PLACES)
    if not found and install_debian_packages(package):
        found = shutil.which(name, path=PLACES)
    if not found:
        raise RuntimeError(
            f"{name} is not installed. Debian, as root: apt-get update && apt-get install {package}"
        )
    return Path(found)
