"""Finding the files that a list names below a folder. Imports without torch."""

from __future__ import annotations

import os
from pathlib import Path

from engine.data.folders import EXTENSIONS, may_be_read
from engine.errors import DataError
from engine.text import shown


class ListedFiles:
    """Finds files under a folder; each folder is listed once, which is faster than asking for every file."""

    def __init__(self, images: Path) -> None:
        self._root = str(images)
        self._base = os.path.basename(self._root) + "/"  # noqa: PTH119 - faster than pathlib, as what follows
        self._top = self._root.rstrip("/") + "/"
        self._folders: dict[str, tuple[str, frozenset[str]] | None] = {}

    def find(self, listed: str, where: str) -> str | None:
        """The absolute path of a listed file, None where it is not there; ``where`` says where it is listed.

        A backslash may stand for a slash, and the name may lack its ending. ``DataError`` where the path leads out
        of the folder.
        """
        slashed = listed.replace("\\", "/")
        inside = slashed.removeprefix(self._base)  # written from one folder up
        for written in {listed: None, slashed: None, inside: None}:
            place, name = written[: (start := written.rfind("/") + 1)], written[start:]
            if name in (".", ".."):
                place, name = written, ""
            found = self._folder(place)
            if found is None or (not name and found[0] == self._top):
                raise DataError(f"{where}: {shown(listed, 120)} {self._outside(written)}")
            folder, names = found
            if name in names:
                return folder + name
            for ending in EXTENSIONS:
                if name + ending in names:
                    return folder + name + ending
        return None

    def _outside(self, written: str) -> str:
        """What is wrong with a path that leads out of the folder, and what to do."""
        outside = f"lies outside {shown(self._root)}, the folder of images"
        path = os.path.normpath(os.path.join(self._root, written))  # noqa: PTH118
        if not os.path.lexists(path):
            return f"does not exist, and {outside}"
        return f"{outside}; name the folder that holds them all ('images in' in Setup, --images DIR)"

    def _folder(self, written: str) -> tuple[str, frozenset[str]] | None:
        """The absolute path of a folder, ending in a slash, and the files in it; None where it lies outside."""
        if written not in self._folders:
            path = os.path.normpath(os.path.join(self._root, written))  # noqa: PTH118 - pathlib keeps ".."
            folder = path.rstrip("/") + "/"
            self._folders[written] = (folder, _listing(folder)) if folder.startswith(self._top) else None
        return self._folders[written]


def _listing(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if may_be_read(entry))
    except (OSError, ValueError):
        return frozenset()
