"""Where the rows of an import and the edits of an undo wait: not in memory, which they may fill."""

import itertools
import pickle
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from operator import attrgetter
from typing import Any, Self

from app.contacts.contact import ContactDraft
from app.store import RowError, StoreUnavailable
from app.store.edits import CleanRow, ImportRow

_IN_MEMORY = 1_000_000  # bytes that stay in memory before they go to a temporary file
_AHEAD = 3  # groups that are prepared before they are asked for


class Spool:
    """A temporary file of pickled objects. StoreUnavailable when the disk takes no more of them."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, thing: object) -> int:
        """Put an object at the end; return its place."""
        place = self._file.tell()
        try:
            pickle.dump(thing, self._file, pickle.HIGHEST_PROTOCOL)
            self._file.flush()
        except OSError as error:
            raise StoreUnavailable(
                f"The folder {tempfile.gettempdir()} cannot be written to: {error.strerror}. "
                "Nothing was saved. Free some space there, then try again."
            ) from error
        return place

    def get(self, place: int) -> Any:
        """The object at a place."""
        self._file.seek(place)
        return pickle.load(self._file)

    def __iter__(self) -> Iterator[Any]:
        """Every object, in the order in which they came. Nothing may be put or got meanwhile."""
        self._file.seek(0)
        while True:
            try:
                yield pickle.load(self._file)
            except EOFError:
                return


class Drafts:
    """The drafts of an import, read to the end, checked, and put aside.

    failed: those that break a rule.
    """

    def __init__(self, drafts: Iterable[ContactDraft], group: int) -> None:
        self.failed: list[RowError] = []
        self._firsts, self._repeats = Spool(), Spool()
        self._places: dict[int, array[int]] = {}
        try:
            self._read(drafts, group)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._firsts.__exit__()
        self._repeats.__exit__()

    def groups(self, at: datetime) -> Iterator[list[ImportRow]]:
        """The rows, ready to be imported, in groups of the size given.

        All rows about one contact are in one group, at the place of the first of them, so that
        an import changes each contact once, however many rows it has about it.
        """
        for firsts in self._firsts:
            rows = [row for first in map(_unpacked, firsts) for row in (first, *self._others(first))]
            yield [ImportRow.of(row, at) for row in rows]

    def _read(self, drafts: Iterable[ContactDraft], group: int) -> None:
        seen: set[int] = set()
        with closing(
            mapped(_checked, itertools.batched(enumerate(drafts, 1), group, strict=False))
        ) as checked:
            for rows in checked:
                firsts = []
                for row, who in rows:
                    if isinstance(row, RowError):
                        self.failed.append(row)
                    elif who not in seen:
                        seen.add(who)
                        firsts.append(_packed(row))
                    else:
                        self._places.setdefault(who, array("q")).append(self._repeats.put(_packed(row)))
                self._firsts.put(firsts)

    def _others(self, first: CleanRow) -> Iterator[CleanRow]:
        """The rows that came later and have the identity of this one, or at least its hash."""
        if self._places:
            for place in self._places.get(hash(first.identity), ()):
                yield _unpacked(self._repeats.get(place))


def _checked(numbered: Iterable[tuple[int, ContactDraft]]) -> list[tuple[CleanRow | RowError, int]]:
    """The drafts, checked, each with a number that tells contacts apart."""
    rows = [CleanRow.read(number, draft) for number, draft in numbered]
    return [(row, 0 if isinstance(row, RowError) else hash(row.identity)) for row in rows]


_fields = attrgetter("name", "email", "phone", "company", "notes", "tags")


def _packed(row: CleanRow) -> tuple[Any, ...]:
    """A row as tuples, which pickle four times as fast."""
    return row.row, _fields(row.draft), None if row.draft == row.clean else _fields(row.clean)


def _unpacked(packed: tuple[Any, ...]) -> CleanRow:
    row, draft, clean = packed
    return CleanRow(row, ContactDraft(*draft), ContactDraft(*(clean or draft)))


def mapped[T, R](function: Callable[[T], R], things: Iterable[T]) -> Generator[R]:
    """What the function makes of each thing, in order, made on another thread while the next thing comes.

    What the function or the iterable raises is raised here. Close this generator to be rid of the thread.
    """
    with ThreadPoolExecutor(1, "import") as pool:
        waiting: deque[Future[R]] = deque()
        for thing in things:
            waiting.append(pool.submit(function, thing))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def ahead[T](things: Iterator[T]) -> Generator[T]:
    """The same things, made on another thread while the caller works on the one before.

    What the iterator raises is raised here, in its place. Close this generator to be rid of the thread.
    """

    def make() -> T | None:
        return next(things, None)

    with ThreadPoolExecutor(1, "import") as pool:
        waiting = deque(pool.submit(make) for _ in range(_AHEAD))
        while (thing := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(make))
            yield thing
