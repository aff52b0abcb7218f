"""The terminal may go away at any moment: how that is noticed, and how nothing fails because of it."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

GONE = (errno.EIO, errno.EPIPE, errno.ENXIO)
"""What writing fails with where the terminal hung up or nobody reads any more."""


class LastingText(io.TextIOWrapper):
    """Text written to a file descriptor; what that does not take is lost, and ``failed`` told why: only that may raise.

    ``like`` gives the encoding and whether each line is written at once. The descriptor stays open.
    """

    def __init__(self, descriptor: int, like: TextIO, failed: Callable[[OSError], None]) -> None:
        buffer = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - this object is the file
        super().__init__(buffer, encoding=like.encoding, errors=like.errors, line_buffering=bool(like.line_buffering))
        self._failed = failed

    def write(self, text: str) -> int:
        """Writes the text if it can."""
        try:
            return super().write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        """Writes what waits if it can."""
        try:
            super().flush()
        except OSError as error:
            self._failed(error)


def of_output(error: OSError) -> OSError:
    """The error of writing to standard output, with that where a file's name would be, which it lacks."""
    return OSError(error.errno, error.strerror, "standard output")


@contextmanager
def output_may_end() -> Iterator[None]:
    """As under nohup: where the terminal or the reader of a pipe goes away, the work goes on in silence.

    SIGHUP does not end the process. Any other failure to write, say a full disk, ends nothing either and is raised
    afterwards. Only in the main thread.
    """
    terminals = own_terminals()
    failures: list[OSError] = []

    def failed(descriptor: int, error: OSError) -> None:
        if error.errno in GONE:
            point_nowhere(terminals if descriptor in terminals else [descriptor])
        elif not failures:
            failures.append(of_output(error))

    def hung_up(_signal: int, _frame: FrameType | None) -> None:
        point_nowhere(terminals)

    before = sys.stdout, sys.stderr
    handler = signal.getsignal(signal.SIGHUP)
    if handler != signal.SIG_IGN:  # nohup has seen to it
        signal.signal(signal.SIGHUP, hung_up)
    if _is(sys.stdout, 1):
        sys.stdout = LastingText(1, sys.stdout, lambda error: failed(1, error))
    if _is(sys.stderr, 2):
        sys.stderr = LastingText(2, sys.stderr, lambda error: failed(2, error))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before
        signal.signal(signal.SIGHUP, handler)
    if failures:
        raise failures[0]


@contextmanager
def watched(tell: Callable[[], None]) -> Iterator[Callable[[OSError], None]]:
    """Calls ``tell``, once and in another thread, when the terminal is lost; SIGHUP is ignored from then on.

    It is lost when SIGHUP comes, when what is now standard input, output or error hangs up, and when what this yields
    is told of an error in writing that means the same. Only in the main thread.
    """
    lost = threading.Event()
    terminals = [os.dup(number) for number in own_terminals()]
    over, wake = os.pipe()

    def report() -> None:
        if not lost.is_set():
            lost.set()
            os.write(wake, b"!")

    def hung_up(_signal: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTTOU, signal.SIGTTIN):  # it may be another's by now: that stops nobody
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCONT, signal.SIG_DFL)  # comes with it: Textual would begin to draw again
        report()

    def failed(error: OSError) -> None:
        if error.errno in GONE:
            report()

    def watch() -> None:
        if _wait(terminals, over):
            lost.set()
            tell()

    thread = threading.Thread(target=watch, name="terminal", daemon=True)
    handler = signal.signal(signal.SIGHUP, hung_up)
    thread.start()
    try:
        yield failed
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.close(wake)
        thread.join()
        for descriptor in (over, *terminals):
            os.close(descriptor)
        if not lost.is_set():
            signal.signal(signal.SIGHUP, handler)


def _wait(terminals: list[int], over: int) -> bool:
    """Waits, without looking again and again, for a terminal that hangs up or something to read from ``over``.

    False where ``over`` was closed first.
    """
    poll = select.poll()
    poll.register(over, select.POLLIN)
    for terminal in terminals:
        poll.register(terminal, 0)  # a hang-up is told unasked
    while True:
        for descriptor, event in poll.poll():
            if descriptor == over:
                return bool(event & select.POLLIN)
            if event & (select.POLLHUP | select.POLLERR):
                return True
            poll.unregister(descriptor)  # a system that cannot watch a terminal says so, each time


def own_terminals() -> list[int]:
    """Which of standard input, output and error are a terminal: one that hung up is none any more."""
    return [number for number in (0, 1, 2) if os.isatty(number)]


def point_nowhere(descriptors: Iterable[int]) -> None:
    """Lets the descriptors read nothing, and swallow what is written to them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _is(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):  # something that only looks like a file
        return False
