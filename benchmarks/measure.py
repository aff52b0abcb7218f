"""One measurement: a side trains in a process of its own, which counts its time; its memory is watched from outside.

``python -m benchmarks.measure`` is that process: a :class:`Task` comes on standard input, a :class:`Counted` goes to
the file that the task names. Imports no torch; the sides do.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Protocol

import msgspec
import psutil
from msgspec import Struct

from benchmarks.report import ROOT
from engine.specs.strategy import Strategy

WATCH_SECONDS = 0.05
PSS_EVERY = 10
"""The memory of all processes together is read this much more rarely, since the kernel walks through their pages."""
KILOBYTE = 1 if sys.platform == "darwin" else 1024
"""The unit of ``ru_maxrss``."""


class Task(Struct, frozen=True):
    """What is trained. ``side``: a module of this package that trains; ``data``: a folder with train and val.

    ``weights`` and ``compile`` as in :class:`engine.specs.spec.Experiment`, the latter of the engine alone.
    """

    side: str
    strategy: Strategy
    data: str
    weights: str
    seed: int
    compile: bool = False


class Epoch(Struct, frozen=True):
    """Seconds of an epoch with its validation, and the validation accuracy in 0..1."""

    seconds: float
    val_accuracy: float


class Trained(Struct, frozen=True):
    """What a side tells of its training. ``images``: those seen in an epoch, training and validation.

    ``stages``: seconds by stage, where the side knows them; ``note``: how it computed, in words.
    """

    epochs: tuple[Epoch, ...]
    images: int
    weights: str
    note: str = ""
    stages: dict[str, float] = {}


class Counted(Struct, frozen=True):
    """A training with its cost: seconds and processor seconds from the imported libraries to the end of the last epoch
    (weights read, images decoded, the best epoch kept), its worker processes included; the largest resident memory of
    its main process in bytes.
    """

    trained: Trained
    seconds: float
    cpu_seconds: float
    peak_rss: int


class Watched(Struct, frozen=True):
    """What was seen from outside: seconds from start to exit, and peaks in bytes of the main process's anonymous memory
    (what it allocated, mapped files left out) and of all its processes together (shared pages counted once).

    ``others``: the share of the machine's processor time, in 0..1, that went to anything else meanwhile.
    """

    seconds: float
    peak_anonymous: int
    peak_together: int
    others: float


class Side(Protocol):
    """A module that trains."""

    def train(self, task: Task) -> Trained:
        """Trains as the task says."""


class SideFailedError(RuntimeError):
    """The process of a side failed; the text ends with what it printed."""


def measure(task: Task, environment: Mapping[str, str] | None = None) -> tuple[Counted, Watched]:
    """Trains in a new process, with further environment variables; :class:`SideFailedError` where that fails."""
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as folder, tempfile.TemporaryFile() as output:
        result = Path(folder, "counted.json")
        began, busy, own = time.perf_counter(), _machine_busy(), _cpu_seconds()
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(result)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": folder} | dict(environment or {}),
            start_new_session=True,
        )
        try:
            assert process.stdin is not None
            with process.stdin:
                process.stdin.write(msgspec.json.encode(task))
            anonymous, together = _watch(process)
        finally:
            if process.poll() is None:  # this process was told to end: its workers would go on
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        seconds = time.perf_counter() - began
        if process.returncode or not result.exists():
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise SideFailedError(f"{task.side} failed with status {process.returncode}:\n{said}")
        others = (_machine_busy() - busy) - (_cpu_seconds() - own)
        counted = msgspec.json.decode(result.read_bytes(), type=Counted)
        return counted, Watched(seconds, anonymous, together, max(0.0, others / seconds / (os.cpu_count() or 1)))


def end_on_sigterm() -> None:
    """Makes SIGTERM an exception, so that what was started is ended."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)


def count(task: Task) -> Counted:
    """Trains in this process and counts."""
    side: Side = importlib.import_module(f"benchmarks.{task.side}")
    began, cpu_began = time.perf_counter(), _cpu_seconds()
    trained = side.train(task)
    seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds() - cpu_began
    return Counted(trained, seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE)


def _cpu_seconds() -> float:
    """Processor seconds of this process and of those of its processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _machine_busy() -> float:
    """Processor seconds that all processes of the machine, and machines beside it, have taken."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Waits for the process; its peaks of anonymous memory and of all its processes together, in bytes."""
    watched = psutil.Process(process.pid)
    anonymous = together = sample = 0
    while process.poll() is None:
        anonymous = max(anonymous, _anonymous(process.pid))
        if sample % PSS_EVERY == 0:
            together = max(together, _together(watched))
        sample += 1
        time.sleep(WATCH_SECONDS)
    return anonymous, together


def _anonymous(pid: int) -> int:
    """Resident memory that belongs to no file, in bytes; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


def _together(process: psutil.Process) -> int:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            info = one.memory_full_info()
            total += getattr(info, "pss", info.uss)
    except psutil.Error:  # one of them ended meanwhile
        return 0
    return total


if __name__ == "__main__":
    counted = count(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(counted))
