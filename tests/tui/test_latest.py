"""Work of which only the latest counts."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tui.work.latest import Latest


async def test_one_is_done_at_a_time_and_what_was_cancelled_is_left_out() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), list[int]()

    def work(number: int) -> int:
        begun.set()
        go_on.wait(30)
        done.append(number)
        return 10 * number

    latest = Latest(work, "tests")
    first, second, third = (asyncio.create_task(latest.answer(number)) for number in (1, 2, 3))
    await asyncio.to_thread(begun.wait, 30)
    assert sum(thread.name == "tests" for thread in threading.enumerate()) == 1
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)  # the cancellation arrives
    go_on.set()
    assert await third == 30
    assert done == [1, 3]
    latest.end()


async def test_an_error_is_raised_where_the_answer_is_awaited() -> None:
    latest = Latest[int, float](lambda number: 1 / number, "tests")
    with pytest.raises(ZeroDivisionError):
        await latest.answer(0)
    assert await latest.answer(2) == 0.5
    latest.end()
