"""Files that are written whole or not at all, or that only their owner may read. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes the text, see :func:`whole`."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file of a temporary name, which replaces ``path`` if the block succeeds: ``path`` is never half written, not
    even where the power fails.

    ``OSError`` names ``path``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.touch()  # what cannot be written is told before the block
        yield partial
        sync(partial)
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):  # gone by now, or never there, on a disk that can only be read
            partial.unlink()


def sync(path: Path) -> None:
    """Returns once the bytes of the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """An ``opener`` for files that only their owner may read."""
    return os.open(path, flags, 0o600)
