"""What the app writes and reads past Textual: native code prints nothing on its screen, and any byte may come in."""

from __future__ import annotations

import os
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key

from tui.terminal.lost_terminal import LastingText
from tui.terminal.redirected import output_to

ESCAPE = "\x1b"
BEGIN_MORE = "[OP]^_X"
"""What after Escape begins a longer sequence of the terminal's own: a key such as F1, or an answer."""


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


class EscapeFirst(XTermParser):
    """Reads Escape and a key that came at once with it, as over a slow connection, as these two keys.

    Textual would read most of them as Alt and the key, or as a sign that a Mac types with both, and the others as the
    key alone. What terminals send for keys of their own stays that: Escape followed at once by ``[``, ``O``, ``P``,
    ``]``, ``^``, ``_`` or ``X``, by Tab (Shift+Tab), Backspace (deletes a word), ``b`` or ``f`` (a word back or on).
    """

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[Key]:
        is_two = len(sequence) == 2 and sequence[0] == ESCAPE and sequence[1] not in BEGIN_MORE
        if is_two and not isinstance(ANSI_SEQUENCES_KEYS.get(sequence), tuple):
            yield Key("escape", ESCAPE)
            sequence = sequence[1]
        yield from super()._sequence_to_key_events(sequence, alt)


def read_escape_first() -> None:
    """Lets Textual read keys as :class:`EscapeFirst` does."""
    linux_driver.XTermParser = EscapeFirst  # type: ignore[attr-defined]
