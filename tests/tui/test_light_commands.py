"""The commands that answer at once load nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tui import logs

HEAVY = ("torch", "torchvision", "textual", "scipy", "sklearn", "numpy", "PIL", "plotext")
SCRIPT = """
import json, sys
from tui.cli import status
code = status(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def assert_light(line: str, folder: Path, environment: Mapping[str, str]) -> None:
    """The command line, run in the folder by a process of its own, says something and loads nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *line.split()],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, loaded = json.loads(done.stderr)
    assert code == 0 and done.stdout.strip()
    assert "tui" in loaded and not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("line", ["--help", "--version", "run --help", "runs", "presets"])
def test_commands_without_a_screen_load_nothing_heavy(line: str, tmp_path: Path) -> None:
    logs.write(tmp_path / "runs" / "ants-bees-20261123-120000", logs.events())
    assert_light(line, tmp_path, {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)})


@pytest.mark.parametrize("closed", [">&-", "<&- 2>&-", ">&- 2>&-"])
def test_output_that_the_caller_closed_is_no_error(closed: str, tmp_path: Path) -> None:
    command = f'exec "$0" -c "from tui.cli import main; main()" presets {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.split())
