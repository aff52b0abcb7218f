"""What is said before an experiment is deleted, and after it."""

from __future__ import annotations

from pathlib import Path

from engine.history.removal import FolderContents
from engine.text import counted, joined, listed, shown
from engine.units import size_on_disk


def what_goes(folder: Path, inside: FolderContents) -> str:
    """The folder, what is in it that would be deleted, and what would stay."""
    place = shown(str(folder))
    if inside.link:
        return f"{place}\nis a link to {shown(inside.link)}. Only the link is deleted; the experiment stays."
    networks = counted(inside.networks, "trained network", "trained networks") if inside.networks else ""
    worth = [*filter(None, (networks, "an exported comparison" if inside.is_exported else ""))]
    held = f"with {joined(worth, 'and')}" if worth else "no trained network"
    said = f"{place}\n{counted(inside.files, 'file', 'files')}, {size_on_disk(inside.bytes)}, {held}."
    left = "It is unfinished and could be resumed." if inside.is_left else ""
    return "\n".join(filter(None, (said, what_stays(inside.strange), left)))


def is_deleted(folder: Path, strange: tuple[str, ...]) -> str:
    """That it went, and what stays."""
    return f"{shown(folder.name)} is deleted. {what_stays(strange)}".rstrip()


def what_stays(strange: tuple[str, ...]) -> str:
    """That files which tl-tui does not make are left, and so the folder is; empty where there are none."""
    if not strange:
        return ""
    stays = "is not tl-tui's: it stays" if len(strange) == 1 else "are not tl-tui's: they stay"
    return f"{listed(list(strange), 2)} {stays}, and so does the folder."
