"""Work of which only the latest counts, in a thread that nobody waits for when the app ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Latest(Generic[Asked, Answer]):
    """Does ``work`` in one thread: what is asked for while that is busy waits, and is left out once it was cancelled.

    The threads of asyncio, Textual's workers among them, hold up the end of the app until their work is done, and
    each of those that were cancelled is taken until then.
    """

    def __init__(self, work: Callable[[Asked], Answer], name: str) -> None:
        self._work = work
        self._name = name
        self._queue: SimpleQueue[tuple[Asked, Future[Answer]] | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def answer(self, asked: Asked) -> Answer:
        """What the work makes of it."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        future: Future[Answer] = Future()
        self._queue.put((asked, future))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """Lets the thread end as soon as it can."""
        self._queue.put(None)

    def _run(self) -> None:
        while (wanted := self._queue.get()) is not None:
            asked, future = wanted
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._work(asked))
                except BaseException as error:
                    future.set_exception(error)
