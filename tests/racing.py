"""Many threads at the same thing at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def race[T](threads: int, run: Callable[[int], T]) -> list[T]:
    """Call `run` with 0, 1, 2... in as many threads, all let go at once; return what each returned.

    What a thread raises is raised here. A bare Thread would swallow it, and the test would pass.
    """
    barrier = threading.Barrier(threads)

    def start(number: int) -> T:
        barrier.wait()
        return run(number)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(start, number) for number in range(threads)]
        return [future.result() for future in futures]
