"""Where writes are done."""

import asyncio
import threading

import pytest

from app.store import StoreUnavailable
from app.web import threads
from app.web.threads import write

pytestmark = pytest.mark.anyio


async def test_a_write_that_waited_too_long_for_others_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "slow"

    first = asyncio.create_task(write(slow))
    assert await asyncio.to_thread(begun.wait, 60)
    second = asyncio.create_task(write(done.append, "patient"))
    await asyncio.sleep(0)  # so that it is in the queue
    monkeypatch.setattr(threads, "PATIENCE", -1.0)
    third = asyncio.create_task(write(done.append, "impatient"))
    await asyncio.sleep(0)
    go_on.set()

    assert await first == "slow"
    await second
    with pytest.raises(StoreUnavailable, match="busy: others are writing"):
        await third
    assert done == ["patient"]


async def test_writes_are_done_one_after_the_other_on_one_thread() -> None:
    on = await asyncio.gather(*(write(threading.current_thread) for _ in range(8)))

    assert len({thread.ident for thread in on}) == 1
    assert on[0] is not threading.current_thread()
