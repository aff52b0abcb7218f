"""The comparison as text, one module a format. Imports without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.comparison.rows import Comparison
from engine.export.to_csv import to_csv
from engine.export.to_json import to_json
from engine.export.to_markdown import to_markdown
from engine.files import write_text
from engine.logs.folder import COMPARISON

FORMATS: dict[str, Callable[[Comparison], str]] = {"csv": to_csv, "json": to_json, "md": to_markdown}


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes ``comparison.csv``, ``.json`` and ``.md`` into the folder and returns their paths."""
    paths = [folder / f"{COMPARISON}.{suffix}" for suffix in FORMATS]
    for path, render in zip(paths, FORMATS.values(), strict=True):
        write_text(path, render(comparison))
    return paths
