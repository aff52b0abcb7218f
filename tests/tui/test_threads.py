"""The threads of the app at its end."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from tui.work.threads import Threads


def test_what_is_sent_goes_in_its_order_and_all_of_it_before_the_end() -> None:
    sent, answers = list[int](), threading.Event()

    def send(number: int) -> None:
        answers.wait(0.3 if number == 0 else 0)
        sent.append(number)

    async def app() -> None:
        threads = Threads()
        asyncio.get_running_loop().set_default_executor(threads)
        for number in range(5):
            threads.send(partial(send, number))

    asyncio.run(app())
    assert sent == [0, 1, 2, 3, 4]


def test_the_end_waits_for_what_writes_and_for_nothing_else() -> None:
    never, done = threading.Event(), list[str]()

    async def app() -> None:
        loop, threads = asyncio.get_running_loop(), Threads()
        loop.set_default_executor(threads)
        begun = threading.Event()

        def write() -> None:
            begun.set()
            never.wait(0.5)
            loop.call_soon_threadsafe(done.append, "told")  # which needs a loop that still runs
            done.append("written")

        reading = asyncio.create_task(asyncio.to_thread(never.wait, 60))
        writing = asyncio.create_task(threads.write(write))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        reading.cancel()
        writing.cancel()

    ended = threading.Thread(target=asyncio.run, args=(app(),))
    ended.start()
    ended.join(30)
    was_over = not ended.is_alive()
    never.set()
    assert was_over and sorted(done) == ["told", "written"]
