"""Work that takes longer than a request should keep its event loop."""

import asyncio
from collections.abc import Callable

from app.store import ContactStore


async def on_thread[T](work: Callable[[], T], store: ContactStore) -> T:
    """Run what may take long on a thread, and return or raise what it does.

    The thread belongs to no worker, so it gives back the connection that the work opened.
    """

    def run() -> T:
        try:
            return work()
        finally:
            store.close_worker()

    return await asyncio.to_thread(run)
