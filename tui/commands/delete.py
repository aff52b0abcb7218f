"""Deletes experiments from the command line, after asking."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from engine.errors import LogBusyError
from engine.history.removal import contents, remove
from tui.commands.find import find_by_full_name
from tui.drawing.text import print_line
from tui.words.deleting import is_deleted, what_goes


def delete_experiments(names: Sequence[str], out: Path, *, yes: bool, force: bool) -> int:
    """Deletes each, in its turn; 1 where one is kept: by a person, or since a process is at it.

    ``UserError`` before anything where a name is nobody's, or only the beginning of one.
    """
    folders = dict.fromkeys([find_by_full_name(name, out).absolute() for name in names])
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask; --yes deletes without asking")
    kept = False
    for folder in folders:
        inside = contents(folder)
        if not yes:
            for line in what_goes(folder, inside).splitlines():
                print_line(line)
            if not click.confirm("Delete it?", default=False):
                kept = True
                continue
        try:
            strange = remove(folder, inside.folder, force=force)
        except LogBusyError as error:
            print_line(f"not deleted: {error}", to_stderr=True)
            kept = True
            continue
        print_line(is_deleted(folder, strange))
    return int(kept)
