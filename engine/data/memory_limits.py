"""How much memory there is: of the machine's, and within the limits of a container or a batch job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.errors import DataError

RAM_SHARE = 0.5
"""The share of the free memory that decoded images may take; the environment variable TL_TUI_RAM_SHARE replaces it."""
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


class Names(NamedTuple):
    """The files in which a version of Linux's control groups says its limit, its use, and the cache in that use."""

    limit: str
    used: str
    cached: str


V1 = Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
V2 = Names("memory.max", "memory.current", "inactive_file")


def image_memory_budget(held: int = 0) -> int:
    """Bytes of memory that images may take now, beside those of ``held`` bytes that are there already.

    All together a share of what they have and what is free. ``DataError`` where TL_TUI_RAM_SHARE is no share.
    """
    asked = os.environ.get("TL_TUI_RAM_SHARE", str(RAM_SHARE))
    try:
        share = float(asked)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise DataError(f"TL_TUI_RAM_SHARE: {asked!r} is not a number from 0 to 1, such as 0.5")
    return int(max(0, share * (free_memory() + held) - held))


def free_memory() -> int:
    """Bytes that this process may still take, of the machine's memory and of every limit on it."""
    return max(0, min((psutil.virtual_memory().available, *_free_in_groups())))


def _free_in_groups() -> Iterator[int]:
    """What is left of each limit on the groups that this process is in, in bytes."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CGROUPS, V2
        elif "memory" in controllers.split(","):
            root, names = CGROUPS / "memory", V1
        else:
            continue
        own = root / path.lstrip("/")  # of which a container may see the root alone
        for folder in (own, *own.parents):
            if folder.is_relative_to(root) and (free := _free_in(folder, names)) is not None:
                yield free


def _free_in(group: Path, names: Names) -> int | None:
    """What is left of a group's limit; cached files that are not in use count as free, as ``docker stats`` counts."""
    try:
        limit, used = (int((group / name).read_text(encoding="ascii")) for name in (names.limit, names.used))
        told = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return limit - used + int(told.get(names.cached, 0))
    except (OSError, ValueError):  # no such group here, or no limit
        return None
