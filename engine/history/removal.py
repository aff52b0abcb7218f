"""Removing an experiment: what tl-tui wrote into its folder, and nothing else. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from engine.errors import UserError
from engine.history.experiment_state import read_state, requested_experiment
from engine.logs.folder import COMPARISON, EVENTS, NETWORK, WRITER_LOCK, is_own_file, is_own_folder
from engine.logs.writer_lock import busy, held, is_being_written
from engine.specs.spec import planned_runs
from engine.states.state import can_go_on

FIRST = b'{"event":"'
"""How an experiment's log begins."""


class FolderContents(NamedTuple):
    """What is in an experiment's folder: so many ``files`` of tl-tui's and their size in ``bytes``, among them the best
    epochs of so many ``networks``, and perhaps an exported comparison. ``is_left``: somebody could go on with it.

    ``folder``: what tells the folder from another one that takes its place. ``strange``: files, folders and links that
    tl-tui does not make, by their place in the folder. ``link``: where it leads if the folder itself is a link, else
    empty; then nothing else is told.
    """

    folder: tuple[int, int]
    files: int = 0
    bytes: int = 0
    networks: int = 0
    is_exported: bool = False
    is_left: bool = False
    strange: tuple[str, ...] = ()
    link: str = ""


class _Found(NamedTuple):
    place: str
    kind: Literal["file", "folder", "strange"]
    bytes: int


def contents(folder: Path) -> FolderContents:
    """What removing the experiment would remove, and what it would leave.

    ``UserError`` where nothing tells that tl-tui made the folder, ``OSError`` where its files cannot be seen.
    """
    runs = _runs(folder)
    if folder.is_symlink():
        return FolderContents(_told_by(folder), link=str(folder.readlink()))
    found = list(_each(folder, runs))
    files = [one for one in found if one.kind == "file"]
    return FolderContents(
        _told_by(folder),
        files=len(files),
        bytes=sum(one.bytes for one in files),
        networks=sum(Path(one.place).name == NETWORK for one in files),
        is_exported=any(one.place.startswith(f"{COMPARISON}.") for one in files),
        is_left=bool(runs) and can_go_on(read_state(folder)),
        strange=tuple(one.place for one in found if one.kind == "strange"),
    )


def remove(folder: Path, asked_about: tuple[int, int], *, force: bool = False) -> tuple[str, ...]:
    """Removes the experiment and returns what is left, the folder with it: what tl-tui does not make there.

    Of a link only the link is removed. ``asked_about``: the folder of :class:`FolderContents`.

    ``UserError`` where it is another one now, and as in :func:`contents`; :class:`LogBusyError` where a process writes
    the experiment's log, or one on another host may (``force``: it does not); ``OSError`` where something cannot be
    removed: the log is the last to go.
    """
    runs = _runs(folder)
    if folder.is_symlink():
        _check_same(folder, asked_about)
        if is_being_written(folder):
            raise busy(folder)
        folder.unlink()
        return ()
    with held(folder, force=force):
        _check_same(folder, asked_about)
        found = list(_each(folder, runs))
        strange = tuple(one.place for one in found if one.kind == "strange")
        for one in sorted(found, key=lambda one: one.place == EVENTS):
            path = folder / one.place
            if one.kind == "file" and one.place != WRITER_LOCK:
                path.unlink(missing_ok=True)
            elif one.kind == "folder" and not any(other.startswith(f"{one.place}/") for other in strange):
                path.rmdir()
    # NFS keeps a file that is open under another name, so that the folder would not be empty
    if WRITER_LOCK not in strange:
        (folder / WRITER_LOCK).unlink(missing_ok=True)
    if not strange:
        folder.rmdir()
    return strange


def _told_by(folder: Path) -> tuple[int, int]:
    status = folder.lstat()
    return status.st_dev, status.st_ino


def _check_same(folder: Path, asked_about: tuple[int, int]) -> None:
    if _told_by(folder) != asked_about:
        raise UserError(f"{folder}: another folder has taken its place since you were asked; look again")


def _runs(folder: Path) -> frozenset[str]:
    """The names of the experiment's runs; none where its log is damaged and nothing else tells them.

    ``UserError`` where nothing tells that tl-tui made the folder: other programs may write an ``events.jsonl`` too.
    """
    try:
        return frozenset(run.name for run in planned_runs(requested_experiment(folder)))
    except UserError:
        with suppress(FileNotFoundError), (folder / EVENTS).open("rb") as log:
            if log.read(len(FIRST)).startswith(FIRST):
                return frozenset()
        raise UserError(
            f"{folder}: nothing in it tells that tl-tui made it; look at it, and remove it by hand"
        ) from None


def _each(folder: Path, runs: Set[str], within: str = "") -> Iterator[_Found]:
    """What is in an experiment's folder, what is in a folder before that itself; only tl-tui's own are looked into.

    Links are strange: tl-tui makes none.
    """
    with os.scandir(folder / within) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            place = f"{within}/{entry.name}" if within else entry.name
            if entry.is_dir(follow_symlinks=False) and is_own_folder(place, runs):
                yield from _each(folder, runs, place)
                yield _Found(place, "folder", 0)
            else:
                is_own = entry.is_file(follow_symlinks=False) and is_own_file(place, runs)
                yield _Found(place, "file" if is_own else "strange", entry.stat(follow_symlinks=False).st_size)
