"""Threads for work on many files: decoders, digests and hashes release Python's lock while they work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from engine.devices.cpu import usable_cores

T = TypeVar("T")
MOST_WORKERS = 16


def in_order(tasks: Iterable[Callable[[], T]], workers: int, ahead: int = 4) -> Generator[T, None, None]:
    """The results of the tasks in their order, computed in threads, so many tasks ahead for each of them.

    Closing it ends the threads as soon as what is in their hands is done.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            todo = iter(tasks)
            # A window of tasks rather than all: it bounds what is ready and not yet taken, and what closing waits for.
            running = deque(pool.submit(task) for task in islice(todo, ahead * workers))
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(task) for task in islice(todo, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def collected(tasks: Iterable[Callable[[], T]], workers: int) -> Generator[int, None, list[T]]:
    """Computes all tasks and returns their results :func:`in_order`; yields how many there are."""
    found: list[T] = []
    for one in in_order(tasks, workers):
        found.append(one)
        yield len(found)
    return found


def cores() -> int:
    """The number of threads that decode: :func:`engine.devices.cpu.usable_cores`, at most 16."""
    return min(MOST_WORKERS, usable_cores())
