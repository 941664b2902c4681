"""Files that hold contacts: from the start, nobody else on the machine may read them.

Windows has no such modes; there, whoever may look into the folder may read them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make_private(path: Path) -> None:
    """Make an empty file that its owner alone can read and write. FileExistsError for one that is there."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A file to write, which takes the place of the target only when it is complete.

    Of a file that is there, the mode stays. OSError when it cannot be written; then all is as it was.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process of this number that was killed
    mode = target.stat().st_mode if target.exists() else None
    try:
        make_private(draft)
        yield draft
        if mode is not None:
            draft.chmod(mode)
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
