"""What training costs in an app that lost its terminal: ``python -m benchmarks.orphan``, beside ``tl-tui run``.

Processor seconds of the whole process in an epoch of resnet18, as the engine logs them for each run. SIGHUP comes while
another run trains, before the one that counts. A third side keeps its screen, in Live.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.pseudo_terminal import terminal
from benchmarks.report import header, spread, table
from benchmarks.terminal import START, TL_TUI, benchmark_images
from engine.logs import folder as folders
from engine.logs.events import AnyEvent, EpochFinished, ExperimentFinished, RunFinished, StageChanged
from engine.logs.log import event_reader

SIDE = 64
COUNTS = "counts-0"
"""The run that counts; the one before it is there for the terminal to be lost in."""
SECONDS = 600.0


@dataclass(frozen=True)
class Epochs:
    """What an epoch took, in the mean over a run: processor seconds of all threads, and seconds."""

    cpu_seconds: float
    seconds: float


@dataclass(frozen=True)
class Work:
    """The command line after ``tl-tui``, and the folder that all lies in."""

    arguments: Sequence[str]
    folder: Path


def headless(work: Work) -> list[AnyEvent]:
    """``tl-tui run``, its output thrown away."""
    out = Path(tempfile.mkdtemp(dir=work.folder))
    command = [TL_TUI, "run", *work.arguments, "--out", str(out)]
    subprocess.run(command, cwd=work.folder, check=True, capture_output=True, timeout=SECONDS)
    return _events(out)


def orphan(work: Work) -> list[AnyEvent]:
    """The app, which is told that its terminal hung up while the first run trains."""
    return _app(work, loses_terminal=True)


def app(work: Work) -> list[AnyEvent]:
    """The app with its terminal."""
    return _app(work, loses_terminal=False)


SIDES: dict[str, Callable[[Work], list[AnyEvent]]] = {
    "tl-tui run": headless,
    "the app without its terminal": orphan,
    "the app": app,
}


def _app(work: Work, *, loses_terminal: bool) -> list[AnyEvent]:
    out = Path(tempfile.mkdtemp(dir=work.folder))
    with terminal([TL_TUI, *work.arguments, "--out", str(out)], (120, 40), work.folder) as shown:
        shown.wait_for(lambda text: "ctrl+r starts" in text)
        shown.press(START)
        _wait(lambda: _trains(out))
        if loses_terminal:
            os.kill(shown.child.pid, signal.SIGHUP)
        _wait(lambda: any(isinstance(event, ExperimentFinished) for event in _events(out)))
    return _events(out)


def counted(events: Sequence[AnyEvent]) -> Epochs:
    """The figures of the run that counts; ``RuntimeError`` where it did not finish."""
    last = next((event for event in events if isinstance(event, RunFinished) and event.run == COUNTS), None)
    if last is None or last.end != "finished" or last.cpu_seconds is None:
        raise RuntimeError(f"{COUNTS} did not finish")
    epochs = [event for event in events if isinstance(event, EpochFinished) and event.run == COUNTS]
    return Epochs(last.cpu_seconds / len(epochs), sum(epoch.seconds for epoch in epochs) / len(epochs))


def orphan_table(found: dict[str, list[Epochs]]) -> str:
    """A row a side; the ratios to the first side are those of the medians, in brackets those repeat by repeat."""
    first = next(iter(found.values()))
    rows = []
    for name, epochs in found.items():
        cpu = [epoch.cpu_seconds for epoch in epochs]
        ratios = [ours.cpu_seconds / its.cpu_seconds for ours, its in zip(epochs, first, strict=True)]
        ratio = median(cpu) / median(epoch.cpu_seconds for epoch in first)
        told = "1" if epochs is first else f"{ratio:.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
        rows.append([name, spread(cpu), told, spread([epoch.seconds for epoch in epochs]), str(len(epochs))])
    return table(["side", "CPU s an epoch", "by that of the first", "s an epoch", "runs"], rows)


def main() -> None:
    """Measures all sides in turns and prints."""
    options = _options()
    found: dict[str, list[Epochs]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as name:
        folder = Path(name)
        os.environ["TL_TUI_CACHE"] = str(folder / "cache")
        work = Work(_arguments(folder, options.epochs), folder)
        order = list(SIDES)
        for repeat in range(options.repeats):
            for side in order:
                print(f"… {side}, {repeat + 1} of {options.repeats}", file=sys.stderr, flush=True)
                found[side].append(counted(SIDES[side](work)))
            order.reverse()
    print(header())
    print(f"\n{orphan_table(found)}")


def _arguments(folder: Path, epochs: int) -> list[str]:
    """Writes images and a configuration of two runs; the arguments that name them."""
    config = folder / "runs.toml"
    config.write_text(
        "".join(
            f'[[strategies]]\nname = "{name}"\nbased_on = "resnet18-finetune"\nimage_size = {SIDE}\nepochs = {number}\n'
            for name, number in (("before", 2), (COUNTS.removesuffix("-0"), epochs))
        ),
        encoding="utf-8",
    )
    images = benchmark_images(folder / "images")
    return [str(images), "--config", str(config), "--device", "cpu", "--weights", "none"]


def _trains(out: Path) -> bool:
    return any(isinstance(event, StageChanged) and event.stage == "training" for event in _events(out))


def _wait(condition: Callable[[], bool]) -> None:
    """Looks rarely: each look reads the log, on cores that train."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {SECONDS:.0f} s")
        time.sleep(0.5)


def _events(out: Path) -> list[AnyEvent]:
    found = folders.experiments(out)
    return event_reader(found[0]).read() if found else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of the run that counts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
