"""What the app writes and reads past Textual: native code prints nothing on its screen, and any byte may come in."""

from __future__ import annotations

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from textual.drivers import linux_driver

from tui.terminal.lost_terminal import LastingText
from tui.terminal.redirected import output_to


@contextmanager
def native_output_to(path: Path, failed: Callable[[OSError], None]) -> Iterator[None]:
    """Sends what is written to the file descriptors 1 and 2 to the end of a file, while the app keeps the terminal.

    Textual captures what Python prints; libraries in C (image decoders, CUDA) write past it, over the screen. Where the
    file cannot be opened, what they write is lost.
    ``sys.__stdout__`` and ``sys.__stderr__``, through which Textual draws and asks for the size, stay the terminal.
    ``failed`` hears why the terminal takes nothing more; Textual, whose drawing would wait for ever, does not.
    """
    before = sys.__stdout__, sys.__stderr__
    log = _opened(path)
    try:
        with output_to(log) as (out, err):
            terminals = [LastingText(out, sys.stdout, failed), LastingText(err, sys.stderr, failed)]
            sys.__stdout__, sys.__stderr__ = terminals  # type: ignore[misc]  # Textual reads these
            try:
                yield
            finally:
                for terminal in terminals:
                    terminal.flush()
    finally:
        sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]
        os.close(log)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def read_any_encoding() -> None:
    """Lets Textual read what a terminal sends that is not UTF-8, as U+FFFD; its own decoder would end the app."""
    decoder = getincrementaldecoder("utf-8")
    linux_driver.getincrementaldecoder = lambda _: partial(decoder, "replace")  # type: ignore[attr-defined]
