"""The ``tl-tui`` process: runs a command line; errors become one line and an exit status."""

from __future__ import annotations

import codecs
import os
import sys
import threading
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

import click

from engine.errors import UserError
from tui.commands.command_line import cli


def main() -> None:
    """The console entry point: errors become one line and an exit status."""
    from tui.terminal.lost_terminal import LastingText
    from tui.terminal.signals import EndedAtOnceError

    _open_closed_output()
    codecs.register_error("tl-tui", _escaped)
    for stream in (sys.stdout, sys.stderr):  # where they are not UTF-8, they take no ✓ and no name of a class
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="tl-tui")
    if sys.__stdout__ is not None:  # it did not come closed
        sys.stdout = LastingText(1, sys.stdout, _output_failed)
    try:
        code = status(sys.argv[1:])
        waits = threading.active_count() == 1
    except EndedAtOnceError:
        code, waits = 130, False
    if waits:
        sys.exit(code)
    # Not by way of the interpreter's own end: it would wait for a thread that a disk does not answer, and one that
    # still computes would abort the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that cannot be encoded: their escapes in JSON, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from json import dumps

    return dumps(error.object[error.start : error.end])[1:-1], error.end


def _output_failed(error: OSError) -> NoReturn:
    """Raises what says that it is the output which cannot be written; what is written from now on goes nowhere."""
    from tui.terminal.lost_terminal import of_output, point_nowhere

    point_nowhere([1])  # else the interpreter, which flushes too, would fail at its end
    raise of_output(error) from None


def _open_closed_output() -> None:
    """Where standard input, output or error came closed (``>&-``), it reads nothing and swallows what is written.

    In the order of their numbers, so that each gets its own: else the next file that is opened would have it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def status(arguments: list[str]) -> int:
    """Runs a command line and returns its exit status; usage and input errors print one line and give 2."""
    try:
        return _done(arguments)
    except click.ClickException as error:
        error.show()
        return 2
    except UserError as error:
        click.echo(f"tl-tui: {error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except OSError as error:
        from tui.errors import in_words

        click.echo(f"tl-tui: {in_words(error, 1000)}", err=True)
        return 2


def _done(arguments: list[str]) -> int:
    """Runs a command line; 0 also where the reader of what it prints has gone."""
    try:
        code = int(cli.main(arguments, prog_name="tl-tui", standalone_mode=False) or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except SystemExit as left:
        if left.code != 1:  # so Rich and click end where the reader has gone, and no command of tl-tui
            raise
        code = 0
    return code
