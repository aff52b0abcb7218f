"""A person's note on an experiment: one line in a file of its own, so that it can be written while the experiment runs.

Imports without torch.
"""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

from engine.errors import UserError
from engine.files import write_text
from engine.logs.folder import NOTE

LONGEST = 200
"""Characters of a note."""
LOOKED_AT = 4096
"""Bytes of the file that are read: others may have made it, of any size."""


def read_note(folder: Path) -> str:
    """The note on the experiment in a folder, on one line of at most 200 characters, as it was written: see
    :func:`engine.text.shown`. Empty where there is none, or none that can be read.
    """
    path = folder / NOTE
    try:
        if not S_ISREG(path.lstat().st_mode):  # a pipe would keep who reads it waiting, a link may lead anywhere
            return ""
        with path.open("rb") as file:
            line = _one_line(file.read(LOOKED_AT).decode("utf-8-sig", "replace"))
    except OSError:
        return ""
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def checked_note(text: str) -> str:
    """The note as it is kept, on one line; ``UserError`` where it is longer than 200 characters, or cannot be kept."""
    line = _one_line(text)
    if len(line) > LONGEST:
        raise UserError(f"the note has {len(line):,} characters; it may have {LONGEST}")
    try:
        line.encode()
    except UnicodeEncodeError:
        raise UserError("the note is not valid UTF-8; write it otherwise") from None
    return line


def write_note(folder: Path, text: str) -> None:
    """Makes the text the note on the experiment in a folder; one without a word removes it.

    ``UserError`` as in :func:`checked_note`, ``OSError`` where nothing can be written there.
    """
    path, line = folder / NOTE, checked_note(text)
    if line:
        write_text(path, f"{line}\n")
    else:
        path.unlink(missing_ok=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
