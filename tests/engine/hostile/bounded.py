"""Running code in a process of its own, of which the memory is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests import forked

ROOT = Path(__file__).parents[3]
MEASURE = """
def _kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
"""
MIB = 2**20


def rise(prepare: str, work: str, *arguments: object, seconds: float = 120, fork: bool = False) -> tuple[int, str]:
    """By how many bytes resident memory rose at most while ``work`` ran, after ``prepare``; and what was printed.

    Both are Python; ``sys.argv`` holds the arguments. ``fork``: in a process that has torch already. Fails where the
    process does.
    """
    code = "\n".join(
        (
            "import sys",
            MEASURE,
            dedent(prepare),
            "_before = _kib('VmRSS')",
            dedent(work),
            "print(_kib('VmHWM') - _before)",
        )
    )
    command = ["-c", code, *map(str, arguments)]
    if fork:
        done = forked.run(command, ROOT, seconds)
    else:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    *printed, kib = done.stdout.splitlines()
    return int(kib) * 1024, "\n".join(printed)
