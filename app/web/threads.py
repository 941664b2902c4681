"""Work that takes longer than a request should keep its event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context

from app.store import ContactStore


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
