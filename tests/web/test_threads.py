"""Where writes are done."""

import asyncio
import threading

import pytest

from app.store import StoreUnavailable
from app.web import threads
from app.web.threads import write

pytestmark = pytest.mark.anyio


async def test_a_write_that_waits_too_long_for_others_is_given_up_and_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "slow"

    first = asyncio.create_task(write(slow))
    assert await asyncio.to_thread(begun.wait, 60)
    patient = asyncio.create_task(write(done.append, "patient"))
    await asyncio.sleep(0)  # so that it is in the queue
    monkeypatch.setattr(threads, "PATIENCE", 0.01)
    with pytest.raises(StoreUnavailable, match="busy: others are writing"):
        await write(done.append, "impatient")  # while the first still goes on
    go_on.set()

    assert await first == "slow"
    await patient
    assert done == ["patient"]


async def test_a_client_that_leaves_while_it_waits_is_no_trouble() -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> None:
        begun.set()
        assert go_on.wait(60)

    first = asyncio.create_task(write(slow))
    assert await asyncio.to_thread(begun.wait, 60)
    second = asyncio.create_task(write(done.append, "left"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    await first
    await write(done.append, "after")

    assert done == ["after"]


async def test_writes_are_done_one_after_the_other_on_one_thread() -> None:
    on = await asyncio.gather(*(write(threading.current_thread) for _ in range(8)))

    assert len({thread.ident for thread in on}) == 1
    assert on[0] is not threading.current_thread()
