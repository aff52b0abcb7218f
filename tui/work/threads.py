"""The threads of the app: its end waits for those that write and for no other, since a disk may not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context


class Threads(ThreadPoolExecutor):
    """The default executor of an asyncio loop, which would wait for every thread at its end; this one waits only for
    what :meth:`write` and :meth:`send` run, while the loop still answers it.
    """

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="reading")
        self._writers = ThreadPoolExecutor(thread_name_prefix="writing")
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sending")

    async def write(self, work: Callable[[], None]) -> None:
        """Runs what must not be left half done."""
        await asyncio.get_running_loop().run_in_executor(self._writers, copy_context().run, work)

    def send(self, work: Callable[[], None]) -> None:
        """Runs, after all that was sent before, what must not be left undone; it catches its own errors."""
        self._sender.submit(copy_context().run, work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waits for what writes and for all that was sent; of the rest, what has not begun never does."""
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)
        self._writers.shutdown(cancel_futures=True)
        self._sender.shutdown()
