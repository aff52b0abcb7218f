"""Removing an experiment: what tl-tui wrote into its folder, and nothing else. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from engine.folder import COMPARISON, EVENTS, NETWORK, SPEC, WRITER_LOCK, is_own_file, is_own_folder
from engine.log import LogBusyError, held, is_being_written, writer
from engine.toml import SpecError

FIRST = b'{"event":"'
"""How an experiment's log begins."""


class Contents(NamedTuple):
    """What is in an experiment's folder: so many ``files`` of tl-tui's and their size in ``bytes``, among them the best
    epochs of so many ``networks``, and perhaps an exported comparison.

    ``strange``: files, folders and links that tl-tui does not make, by their place in the folder. ``link``: where it
    leads if the folder itself is a link, else empty; then nothing else is told.
    """

    files: int = 0
    bytes: int = 0
    networks: int = 0
    is_exported: bool = False
    strange: tuple[str, ...] = ()
    link: str = ""


class _Found(NamedTuple):
    place: str
    kind: Literal["file", "folder", "strange"]
    bytes: int


def contents(folder: Path) -> Contents:
    """What removing the experiment would remove, and what it would leave.

    ``SpecError`` where nothing tells that tl-tui made the folder, ``OSError`` where its files cannot be seen.
    """
    _recognise(folder)
    if folder.is_symlink():
        return Contents(link=str(folder.readlink()))
    found = list(_each(folder))
    files = [one for one in found if one.kind == "file"]
    return Contents(
        files=len(files),
        bytes=sum(one.bytes for one in files),
        networks=sum(Path(one.place).name == NETWORK for one in files),
        is_exported=any(one.place.startswith(f"{COMPARISON}.") for one in files),
        strange=tuple(one.place for one in found if one.kind == "strange"),
    )


def remove(folder: Path, *, force: bool = False) -> tuple[str, ...]:
    """Removes the experiment and returns what is left, the folder with it: what tl-tui does not make there.

    Of a link only the link is removed. ``SpecError`` as in :func:`contents`; :class:`LogBusyError` where a process
    writes the experiment's log, or one on another host may (``force``: it does not); ``OSError`` where something cannot
    be removed: the log is the last to go.
    """
    _recognise(folder)
    if folder.is_symlink():
        if is_being_written(folder):
            raise LogBusyError(f"{folder.name} is being written by {writer(folder) or 'another process'}")
        folder.unlink()
        return ()
    with held(folder, force=force):
        found = list(_each(folder))
        strange = tuple(one.place for one in found if one.kind == "strange")
        for one in sorted(found, key=lambda one: one.place == EVENTS):
            path = folder / one.place
            if one.kind == "file" and one.place != WRITER_LOCK:
                path.unlink(missing_ok=True)
            elif one.kind == "folder" and not any(other.startswith(f"{one.place}/") for other in strange):
                path.rmdir()
    # NFS keeps a file that is open under another name, so that the folder would not be empty
    (folder / WRITER_LOCK).unlink(missing_ok=True)
    if not strange:
        folder.rmdir()
    return strange


def _recognise(folder: Path) -> None:
    """Other programs may write an ``events.jsonl`` too."""
    if (folder / SPEC).is_file():
        return
    with (folder / EVENTS).open("rb") as log:
        if not log.read(len(FIRST)).startswith(FIRST):
            raise SpecError(f"{folder}: nothing in it tells that tl-tui made it; look at it, and remove it by hand")


def _each(folder: Path, within: str = "") -> Iterator[_Found]:
    """What is in an experiment's folder, what is in a folder before that itself; only tl-tui's own are looked into."""
    with os.scandir(folder / within) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            place = f"{within}/{entry.name}" if within else entry.name
            size = entry.stat(follow_symlinks=False).st_size
            if entry.is_symlink():
                yield _Found(place, "file" if is_own_file(place) or is_own_folder(place) else "strange", size)
            elif entry.is_dir() and is_own_folder(place):
                yield from _each(folder, place)
                yield _Found(place, "folder", 0)
            else:
                yield _Found(place, "file" if entry.is_file() and is_own_file(place) else "strange", size)
