"""The signals that ask a process to end: Ctrl-C's and the one that batch systems send."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class EndedAtOnceError(SystemExit):
    """A person asked a second time: the process ends, with what still works in it."""


@contextmanager
def asked_to_end(ask: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call ``ask`` the first time, and end the process (status 130) the second."""
    asked = False

    def answer(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise EndedAtOnceError(130)
        asked = True
        ask()

    handlers = {number: signal.signal(number, answer) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
