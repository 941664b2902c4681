"""Work that takes longer than a request should keep its event loop, or that may have to wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from app.store import ContactStore

WAITING = 8  # writes of this process that may wait for others at once

_writers = ThreadPoolExecutor(WAITING, thread_name_prefix="writer")


async def write[**P, T](change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call what changes a store, and return or raise what it does.

    On a thread, which keeps its connection: a write waits for other writers, be they other programs, for
    seconds, and a worker that waits answers nobody. Reads never wait for a write, so they need none.
    """
    call = partial(copy_context().run, change, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_writers, call)


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
