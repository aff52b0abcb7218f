"""What reaches the terminal: ASCII where there is no more, and nothing from native code."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.events import Key

from engine.states.replay import replay
from tests.tui import logs
from tui.drawing import ascii as plain
from tui.drawing.curves import CHARTS
from tui.drawing.plot import Curves, Series, draw
from tui.drawing.theme import BLUE
from tui.terminal.streams import EscapeFirst


def test_everything_drawn_has_an_ascii_form_of_the_same_width() -> None:
    run = replay(logs.events(cuda=True)).runs[0]
    for curves, _ in CHARTS:
        for line in str(draw(curves(run, BLUE), 60, 10)).split("\n"):
            ascii_line = plain.to_ascii(line)
            assert ascii_line.isascii() and cell_len(ascii_line) == cell_len(line)


def test_in_ascii_a_solid_line_does_not_look_like_a_dotted_one() -> None:
    points = ((1.0, 0.0), (9.0, 1.0), (12.0, 0.2))
    solid, dotted = (
        plain.to_ascii(str(draw(Curves("", (series,), (1, 12), (0, 1), str), 60, 10)))
        for series in (Series("", points, BLUE), Series("", points, BLUE, line="dotted"))
    )
    assert {*'"_='} <= {*solid}
    assert {*'"_='}.isdisjoint(dotted) and {*"'."} <= {*dotted}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("● ✓ ━┄", "* + =."),
        ("╭─╮│", "+-+|"),
        ("⣿⠉⣀⠔⡇⠁⡀⠀", ":\"_=|'. "),
        ("9.5 ± 1, ±2", "9.5+- 1,+-2"),
        ("é", "e"),
        ("蟻 ½", "?? ?"),
        ("plain", "plain"),
    ],
)
def test_ascii(text: str, expected: str) -> None:
    assert plain.to_ascii(text) == expected


def test_ascii_is_chosen_for_terminals_that_have_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain.locale, "getpreferredencoding", lambda _: "UTF-8")
    assert not plain.wanted()
    monkeypatch.setenv("TERM", "linux")
    assert plain.wanted()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(plain.locale, "getpreferredencoding", lambda _: "ISO-8859-1")
    assert plain.wanted()


SCRIPT = """
import os, sys
from pathlib import Path
from tui.terminal.streams import native_output_to
with native_output_to(Path(sys.argv[1]), lambda error: None):
    os.write(1, b"native out\\n")
    os.write(2, b"native err\\n")
    sys.__stderr__.write("drawn\\n")
    sys.__stderr__.flush()
    print(os.get_terminal_size(sys.__stdout__.fileno()).columns > 0, file=sys.__stdout__, flush=True)
os.write(2, b"back again\\n")
"""


def test_native_output_goes_to_the_file_and_the_app_keeps_the_terminal(tmp_path: Path) -> None:
    log, (ours, theirs) = tmp_path / "app.log", pty.openpty()
    subprocess.run(["stty", "cols", "80", "rows", "24"], stdin=theirs, check=True)
    subprocess.run([sys.executable, "-c", SCRIPT, str(log)], stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    seen = os.read(ours, 10_000).decode().replace("\r\n", "\n")
    os.close(ours)
    assert seen == "drawn\nTrue\nback again\n"
    assert log.read_text() == "native out\nnative err\n"


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1bd", "escape d"),
        ("\x1b1\x1b4", "escape 1 escape 4"),
        ("\x1b\r", "escape enter"),
        ("\x1b?\x1b/ q", "escape question_mark escape slash space q"),
        ("\x1bD\x1bé", "escape D escape é"),
        ("d\x1b\x1bdw", "d escape escape d w"),
        ("\x1b[A\x1bOP\x1b\x1b[A", "up f1 escape up"),
        ("\x1b\t\x1bb\x1bf\x1b\x7f", "shift+tab ctrl+left ctrl+right ctrl+w"),
    ],
)
def test_escape_and_the_key_that_came_with_it_are_two_keys(sent: str, keys: str) -> None:
    read = EscapeFirst().feed(sent)
    assert [one.key if isinstance(one, Key) else type(one).__name__.lower() for one in read] == keys.split()
