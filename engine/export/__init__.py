"""The comparison as text, one module a format. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.comparison.rows import Comparison
from engine.export.to_csv import to_csv
from engine.export.to_json import to_json
from engine.export.to_markdown import to_markdown
from engine.folder import COMPARISON

FORMATS: dict[str, Callable[[Comparison], str]] = {"csv": to_csv, "json": to_json, "md": to_markdown}


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes ``comparison.csv``, ``.json`` and ``.md`` into the folder and returns their paths."""
    paths = [folder / f"{COMPARISON}.{suffix}" for suffix in FORMATS]
    for path, render in zip(paths, FORMATS.values(), strict=True):
        write_text(path, render(comparison))
    return paths


def write_text(path: Path, text: str) -> None:
    """Writes the text, see :func:`whole`."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file of a temporary name, which becomes ``path`` where the block ends well: that is whole, or as it was.

    ``OSError`` names ``path``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.touch()  # what cannot be written is told before the block
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):  # what else went wrong is told
            partial.unlink()
