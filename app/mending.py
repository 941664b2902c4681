"""Putting our code in the place of a library's, in the one version that it was written for."""

from types import ModuleType
from typing import Any


def refuse_other_version(library: ModuleType, version: str, mended_in: str) -> None:
    """RuntimeError unless this version is installed. mended_in: the module that is to be looked through."""
    name = library.__name__.capitalize()
    if library.__version__ != version:
        raise RuntimeError(
            f"{mended_in} mends {name} {version}, and {library.__version__} is installed. "
            "Check which entries of docs/upstream.md are still needed, then change the version there."
        )


def put(owner: Any, name: str, ours: Any) -> None:
    """Put ours in the place of what the library calls so. RuntimeError when it has no such thing."""
    if not hasattr(owner, name):
        raise RuntimeError(f"there is no {name} to mend in {owner}")
    setattr(owner, name, ours)
