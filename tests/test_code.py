"""The project's own rules, checked by the tools that hold them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports"],
    ],
    ids=" ".join,
)
def test_tool_finds_nothing(command: list[str]) -> None:
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_screens_load_without_torch() -> None:
    screens = ("setup", "live", "compare", "runs", "add_strategy", "ranking")
    loaded = modules_after(f"import tui.app, {', '.join(f'tui.screens.{name}' for name in screens)}")
    assert not loaded & {"torch", "torchvision", "numpy", "sklearn", "scipy", "PIL"}


def test_command_line_loads_without_textual() -> None:
    loaded = modules_after("import tui.cli, tui.commands.lists, tui.commands.onnx")
    assert not loaded & {"torch", "textual", "numpy", "sklearn", "scipy"}


def test_a_comparison_loads_its_libraries_once_it_is_made() -> None:
    loaded = modules_after(
        "import engine.comparison.compare, engine.comparison.verdict, engine.export, tui.drawing.tables"
    )
    assert not loaded & {"torch", "numpy", "sklearn", "scipy"}


def test_version_pins_lie_within_the_ranges() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from uv import find_uv_bin; print(find_uv_bin())"],
        capture_output=True,
        text=True,
        check=True,
    )
    check = [done.stdout.strip(), "pip", "check", "--quiet", "--python", sys.executable]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
