"""The queue of the writers: first come, first served, and nobody is forgotten."""

import threading
from concurrent.futures import ThreadPoolExecutor

from app.store.turns import Turns
from tests.racing import race


def waiting(turns: Turns, order: list[int], number: int) -> threading.Thread:
    """A thread that waits for its turn, notes its number, and hands on."""

    def run() -> None:
        assert turns.acquire(timeout=10)
        order.append(number)
        turns.release()

    before = turns.waiting
    thread = threading.Thread(target=run)
    thread.start()
    while turns.waiting == before:
        threading.Event().wait(0.001)
    return thread


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), list[int]()
    assert turns.acquire(timeout=1)
    threads = [waiting(turns, order, number) for number in range(5)]

    turns.release()
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4]
    assert turns.acquire(timeout=0)


def test_whoever_comes_later_does_not_go_first() -> None:
    turns, order = Turns(), list[int]()
    assert turns.acquire(timeout=1)
    thread = waiting(turns, order, 1)

    turns.release()
    assert turns.acquire(timeout=10)  # right away, but behind the one that waits
    order.append(2)
    thread.join()

    assert order == [1, 2]


def test_whoever_gives_up_is_passed_over() -> None:
    turns = Turns()
    assert turns.acquire(timeout=1)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(turns.acquire, 0.01).result() is False

    assert not turns.wanted
    turns.release()
    assert turns.acquire(timeout=0)


def test_only_one_has_it_and_none_is_lost() -> None:
    turns = Turns()
    inside: list[int] = []
    most: list[int] = []

    def use(number: int) -> int:
        done = 0
        for attempt in range(300):
            if turns.acquire(timeout=0.0005 if attempt % 3 else 10):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
                turns.release()
                done += 1
        return done

    done = race(8, use)

    assert max(most) == 1
    assert min(done) >= 100
    assert len(most) == sum(done)
    assert turns.acquire(timeout=0)
