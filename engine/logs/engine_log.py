"""An experiment's ``engine.log``: what went wrong, with tracebacks, for those who look for the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.logs.folder import ENGINE_LOG
from engine.text import visible


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Sends the engine's log records and Python's warnings to the ``engine.log`` of an experiment meanwhile."""
    handler = _LogFile(folder / ENGINE_LOG, encoding="utf-8", delay=True)
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = (logging.getLogger("engine"), logging.getLogger("py.warnings"))
    logging.captureWarnings(True)
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield
    finally:
        for one in loggers:
            one.removeHandler(handler)
        logging.captureWarnings(False)
        with suppress(OSError):
            handler.close()


class _Visible(logging.Formatter):
    """Writes nothing that a terminal would obey when the file is looked at."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        return visible(super().format(record), keep="\n")


class _LogFile(logging.FileHandler):
    """A file that, where it cannot be opened or written, costs its lines and nothing else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record if that can be."""
        with suppress(OSError):
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging calls
        """Says nothing: stderr is the terminal's."""
