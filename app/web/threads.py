"""Work that takes longer than a request should keep its event loop, or that may have to wait."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from app.store import ContactStore, StoreUnavailable

log = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that a write waits for those before it; for other programs the store has as many
BUSY = "The address book is busy: others are writing to it. Nothing was saved. Try again in a moment."

# One, because a store writes one thing at a time anyway, and what SQLite keeps of the file for a
# connection is lost whenever another one has written.
_writer = ThreadPoolExecutor(1, thread_name_prefix="writer")


async def write[**P, T](change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what changes a store, and return or raise what it does.

    On the thread that writes, which keeps its connection: a write waits for other writers, be they other
    programs, for seconds, and a worker that waits answers nobody. Reads never wait for a write, so they
    need no thread. StoreUnavailable, and nothing is done, when those before it take too long.
    """
    loop = asyncio.get_running_loop()
    waiting = _writer.submit(copy_context().run, partial(change, *args, **kwargs))
    # Only what waits can be cancelled; once it is under way, the store has a patience of its own.
    given_up = loop.call_later(PATIENCE, waiting.cancel)
    done = asyncio.wrap_future(waiting)
    try:
        return await done
    except asyncio.CancelledError:
        if given_up.when() <= loop.time() and waiting.cancelled():
            raise StoreUnavailable(BUSY) from None
        raise  # the client has left
    finally:
        given_up.cancel()


def write_later[**P](change: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call it likewise, while nobody waits: a change that can be missed, should the store be unavailable."""

    def run() -> None:
        try:
            change(*args, **kwargs)
        except StoreUnavailable:
            pass
        except Exception:
            log.exception("a change that nobody waited for failed")

    _writer.submit(copy_context().run, run)


async def on_thread[T](work: Callable[[], T], store: ContactStore, pool: Executor | None = None) -> T:
    """Run what may take long on a thread, and return or raise what it does.

    The thread belongs to no worker, so it gives back the connection that the work opened.
    pool: whose thread it is; None for one of those that all work shares.
    """

    def run() -> T:
        try:
            return work()
        finally:
            store.close_worker()

    return await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, run)
