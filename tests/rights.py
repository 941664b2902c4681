"""The rights that tests run with."""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def as_ordinary_user[T](call: Callable[[], T]) -> T:
    """Call in a thread that permissions hold for, even when the tests run as root.

    On Linux a thread can give up the right to disregard them; other users have none to begin with.
    """

    def give_up_rights() -> None:
        if os.geteuid() == 0:
            header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
            assert ctypes.CDLL(None).capset(header, none) == 0

    with ThreadPoolExecutor(1, initializer=give_up_rights) as pool:
        return pool.submit(call).result()
