"""How every benchmark prints: the machine and versions, medians with their range, Markdown tables. Imports no torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from statistics import median

import psutil

from engine.devices.cpu import cpu_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "tl-tui", "textual")
CODE = ("engine", "tui", "benchmarks")
GIB = 2**30


def header(packages: Sequence[str] = PACKAGES) -> str:
    """The machine, the versions and the commit that a table was measured on, as Markdown lines."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        f"- machine: {machine()}",
        f"- system: {platform.platform(terse=True)}, Python {platform.python_version()}",
        f"- versions: {versions}",
        f"- commit {commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return "\n".join(lines)


def machine() -> str:
    """CPU model, cores this process may use, memory, and the GPUs if there are any."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [cpu_name(), f"{cores} cores", f"{psutil.virtual_memory().total / GIB:.0f} GiB of memory", *_gpus()]
    return ", ".join(parts)


def version(package: str) -> str:
    """The installed version of a package, or that it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """The short hash of the checked-out commit, and where the code differs from it, one of the code as it is."""
    short = _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    if not short:
        return "unknown"
    if not _output("git", "-C", str(ROOT), "status", "--porcelain", "--", *CODE):
        return short
    files = _output("git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "--", *CODE).splitlines()
    digest = sha256()
    for file in sorted(files):
        digest.update(file.encode())
        if (ROOT / file).is_file():
            digest.update((ROOT / file).read_bytes())
    return f"{short} with changes ({digest.hexdigest()[:8]})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(row, widths) for row in (cells[0], rule, *cells[1:]))


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """The median of the values with their smallest and largest: ``5.2 (5.0–5.9)``; a single value alone."""
    if not values:
        return "–"
    if len(values) == 1:
        return format(values[0], form)
    return f"{median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if not number else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return f"| {' | '.join((first, *rest))} |"


def _gpus() -> list[str]:
    names = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    return names.splitlines() or ["no GPU"]


def _output(*command: str) -> str:
    """What a command prints; nothing where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.strip() if done.returncode == 0 else ""
