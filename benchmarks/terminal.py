"""How fast the app is: ``python benchmarks/terminal.py``, on the real ``tl-tui`` in a pseudo-terminal.

Beside it a bare Textual app (``bare_app.py``) as the yardstick, and ``tl-tui run`` for the cost that the app adds to
training. Absolute times on a shared machine mean little: read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.images import write_images
from benchmarks.measure import end_on_sigterm
from benchmarks.pseudo_terminal import PseudoTerminal, Size, terminal
from benchmarks.report import header
from benchmarks.terminal_table import BESIDE, FIRST, SIDES, Measured, tables
from engine.logs import folder as folders
from engine.logs.events import AnyEvent, EpochFinished, ExperimentStarted, Progress
from engine.logs.log import event_reader

TL_TUI = str(Path(sys.executable).parent / "tl-tui")
BARE = (sys.executable, str(Path(__file__).with_name("bare_app.py")))
TRAIN_IMAGES, VAL_IMAGES, SIDE = 160, 40, 64
SHORT_EPOCHS, LONG_EPOCHS = 6, 4000
STEADY_SIDE, BATCH_SIZE = 160, 16
TURN_SECONDS, TURNS = 8.0, 3
"""How long each side trains before the other does, beside :data:`REDRAWN`, and how often once both were started."""
SETTLED = 3
"""Epochs after which the app has loaded what it loads ahead."""
REDRAWN = 2.0
"""Seconds after which what was stopped has drawn its screen anew."""
LONGEST_TURN = 180.0
"""Seconds after which a side that was let train hangs."""
KEY_SECONDS = 0.25
"""Between two keys, and a random part of as much again, so that keys fall anywhere in a training step."""
START = "\x12"
"""ctrl+r: start."""


@dataclass(frozen=True)
class Work:
    """What is done how often; ``folder`` holds the images, the configurations and the experiments."""

    folder: Path
    data: Path
    repeats: int
    keys: int
    training_seconds: float
    idle_seconds: float

    def app(self, config: str) -> list[str]:
        """The command that opens the app on the data with a configuration."""
        return [TL_TUI, str(self.data), "--config", str(self.folder / config), "--device", "cpu", "--weights", "none"]

    def run(self, config: str) -> list[str]:
        """The command that does the same without the app."""
        return [TL_TUI, "run", *self.app(config)[1:]]


def main() -> None:
    """Measures and prints."""
    options = _options()
    end_on_sigterm()  # what trains in a terminal would go on
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as scratch:
        folder = Path(scratch)
        os.environ["TL_TUI_CACHE"] = str(folder / "cache")  # neither what a person's own holds, nor anything into it
        work = Work(
            folder,
            options.data.resolve() if options.data else benchmark_images(folder / "images"),
            options.repeats,
            options.keys,
            6 if options.quick else 20,
            5 if options.quick else 15,
        )
        _write_configurations(folder)
        measured = Measured()
        parts = [(part.__name__, "", partial(part, work)) for part in (throughput, short_commands)]
        parts += [
            (sized.__name__, f" at {_name(size)}", partial(sized, work, size))
            for size in options.size
            for sized in (starting, idle, training, yardstick)
        ]
        failed: list[str] = []
        for name, where, part in parts:
            if options.only and name not in options.only:
                continue
            _say(f"{name}{where}")
            try:
                part(measured)
            except (TimeoutError, RuntimeError, subprocess.SubprocessError) as error:
                failed.append(f"{name}{where}: {error}")
                _say(failed[-1])
    if options.json:
        values = [
            {"what": what, "size": size, "values": found} for (what, size), found in sorted(measured.values.items())
        ]
        options.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(header())
    for rows in tables(measured, [_name(size) for size in options.size]):
        print(f"\n{rows}")
    if failed:
        sys.exit("\n".join(("not all was measured:", *failed)))


# What is measured


def starting(work: Work, size: Size, measured: Measured) -> None:
    """From the command to the first frame of Setup, and to an experiment whose engine has loaded PyTorch; in turns with
    it a bare app to its first frame.
    """
    for _ in range(work.repeats):
        with terminal(BARE, size, work.folder) as shown:
            painted = shown.wait_for(_is_bare)
            measured.add("bare app, first paint", _name(size), painted - shown.began)
        out = _empty(work.folder / "runs")
        with terminal(work.app("long.toml"), size, work.folder) as shown:
            painted = shown.wait_for(_is_setup)
            complete = shown.wait_for(lambda text: "ctrl+r starts" in text and "momentum" in text)
            shown.press(START)
            _wait_for_event(out, ExperimentStarted)
            measured.add("first paint", _name(size), painted - shown.began)
            measured.add("every field, data counted", _name(size), complete - shown.began)
            measured.add("ready", _name(size), time.perf_counter() - shown.began)


def idle(work: Work, size: Size, measured: Measured) -> None:
    """Keys and bytes where nothing trains: in Setup, and with a finished experiment in Live and in Compare."""
    _finished_experiment(work)
    with terminal(work.app("long.toml"), size, work.folder) as shown:
        shown.wait_for(lambda text: "ctrl+r starts" in text)
        time.sleep(2)
        measured.add("idle, Setup", _name(size), _bytes_a_second(shown, work.idle_seconds))
        measured.add("key ?, Setup", _name(size), *latencies(shown, HELP, work.keys))
        shown.press("4")
        shown.wait_for(lambda text: "Mark" in text and "finished" in text)
        shown.press("l")
        shown.wait_for(lambda text: "Charts" in text and "finished" in text)
        time.sleep(2)
        measured.add("idle, Live", _name(size), _bytes_a_second(shown, work.idle_seconds))
        shown.press("3")
        shown.wait_for(lambda text: "val acc" in text)
        time.sleep(2)
        measured.add("idle, Compare", _name(size), _bytes_a_second(shown, work.idle_seconds))
        measured.add("keys 2 3, idle", _name(size), *latencies(shown, MODES, work.keys))


def training(work: Work, size: Size, measured: Measured) -> None:
    """Keys and bytes while resnet18 trains, in Live."""
    out = _empty(work.folder / "runs")
    with terminal(work.app("long.toml"), size, work.folder) as shown:
        shown.wait_for(lambda text: "ctrl+r starts" in text)
        shown.press(START)
        _wait_for_event(out, EpochFinished, 2)
        measured.add("training, Live", _name(size), _bytes_a_second(shown, work.training_seconds))
        measured.add("key ?, training", _name(size), *latencies(shown, HELP, work.keys))
        measured.add("keys 3 2, training", _name(size), *latencies(shown, MODES[::-1], work.keys))
        _still_training(out)


def yardstick(work: Work, size: Size, measured: Measured) -> None:
    """A key of a bare Textual app, alone and beside a training thread."""
    other = [("?", lambda text: "other" in text), ("?", lambda text: "bare" in text)]
    with terminal(BARE, size, work.folder) as shown:
        shown.wait_for(_is_bare)
        measured.add("bare app, key ?", _name(size), *latencies(shown, other, work.keys))
    with terminal([*BARE, "train"], size, work.folder) as shown:
        shown.wait_for(lambda text: "trains" in text)
        measured.add("bare app, key ?, training", _name(size), *latencies(shown, other, work.keys))


def throughput(work: Work, measured: Measured) -> None:
    """Training images a second in the app (Live is open) and without it.

    Both are started, and take turns of some seconds: the one whose turn it is not is stopped (SIGSTOP), so that what
    else goes on in the machine meets both alike. Each repeat starts both anew, twice: which of them was there first
    makes more of a difference on a virtual machine than the app does. What the threads that do not train use is no
    question of the hour: it is told too.
    """
    import torch  # noqa: PLC0415 - only here: how many threads train

    starts = list(zip(SIDES, (_training_app, _training_alone), strict=True))
    for _ in range(2 * work.repeats):
        with ExitStack() as opened:
            turns = [(what, *opened.enter_context(start(work))) for what, start in starts]
            order = FIRST[turns[0][0]]
            for _ in range(TURNS):
                for what, process, log in turns:
                    images, beside = _turn(process, log, torch.get_num_threads())
                    measured.add(what, order, images)
                    measured.add(what + BESIDE, order, beside)
                turns.reverse()
        starts.reverse()


@contextmanager
def _training_app(work: Work) -> Iterator[tuple[int, Path]]:
    """The process of an app that trains, stopped, and the folder of its experiment."""
    out = _empty(work.folder / "runs")
    with terminal(work.app("steady.toml"), (120, 40), work.folder) as shown:
        shown.wait_for(lambda text: "ctrl+r starts" in text)
        shown.press(START)
        _wait_for_event(out, EpochFinished, SETTLED, every=0.5)
        os.kill(shown.child.pid, signal.SIGSTOP)
        yield shown.child.pid, out


@contextmanager
def _training_alone(work: Work) -> Iterator[tuple[int, Path]]:
    """The process of a ``tl-tui run`` that trains, stopped, and the folder of its experiment."""
    out = _empty(work.folder / "headless")
    command = [*work.run("steady.toml"), "--out", str(out)]
    training = subprocess.Popen(command, cwd=work.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_event(out, EpochFinished, SETTLED, every=0.5)
        os.kill(training.pid, signal.SIGSTOP)
        yield training.pid, out
    finally:
        training.kill()
        training.wait()


def _turn(process: int, out: Path, training: int) -> tuple[float, float]:
    """Lets a stopped process train for a turn, or for more where the machine is so busy that nothing comes of one.

    Returns the images a second of its training steps, without the first two, and the processor seconds a second of its
    threads that do not train: all but the ``training`` busiest ones.
    """
    before = len(_events(out))
    pairs: list[tuple[Progress, Progress]] = []
    os.kill(process, signal.SIGCONT)
    time.sleep(REDRAWN)
    began, used = time.monotonic(), _used_by_threads(process)
    while not pairs:
        if time.monotonic() > began + LONGEST_TURN:
            raise TimeoutError(f"nothing trained in {LONGEST_TURN:.0f} s")
        time.sleep(TURN_SECONDS)
        told = [event for event in _events(out)[before:] if isinstance(event, Progress) and event.stage == "training"]
        pairs = [(one, two) for one, two in pairwise(told[2:]) if one.epoch == two.epoch]
    os.kill(process, signal.SIGSTOP)
    seconds = time.monotonic() - began
    by_thread = sorted(now - used.get(thread, 0.0) for thread, now in _used_by_threads(process).items())
    steps = sum(two.step - one.step for one, two in pairs)
    images = BATCH_SIZE * steps / sum(two.elapsed - one.elapsed for one, two in pairs)
    return images, sum(by_thread[:-training]) / seconds


def _used_by_threads(process: int) -> dict[int, float]:
    """The processor seconds of each thread so far."""
    return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(process).threads()}


def short_commands(work: Work, measured: Measured) -> None:
    """The commands that answer without the app, in a folder of twenty experiments."""
    _finished_experiment(work)
    for _ in range(max(5, work.repeats)):
        for command in ("--help", "runs", "presets"):
            began = time.perf_counter()
            subprocess.run([TL_TUI, command], cwd=work.folder, check=True, capture_output=True, timeout=60)
            measured.add(f"tl-tui {command}", "", time.perf_counter() - began)


Answer = tuple[str, Callable[[str], bool]]
"""A key and whether the screen shows what it does."""
HELP: Sequence[Answer] = (
    ("?", lambda text: "esc close" in text),
    ("?", lambda text: "esc close" not in text),
)
MODES: Sequence[Answer] = (
    ("2", lambda text: "Charts" in text.splitlines()[-1]),
    ("3", lambda text: "Charts" not in text.splitlines()[-1]),
)


def latencies(shown: PseudoTerminal, answers: Sequence[Answer], count: int) -> list[float]:
    """Seconds from writing a key to the arrival of the bytes that show what it does, for ``count`` keys in turn."""
    dice = random.Random(0)
    found = []
    for number in range(count):
        key, answered = answers[number % len(answers)]
        for _ in shown.moments():
            pass
        if answered(shown.text()):
            raise RuntimeError(f"{key!r} would change nothing:\n{shown.text()}")
        pressed = shown.press(key)
        time.sleep(KEY_SECONDS * (1 + dice.random()))
        found.append(shown.wait_for(answered, 10) - pressed)
    return found


def _bytes_a_second(shown: PseudoTerminal, seconds: float) -> float:
    began = time.perf_counter()
    time.sleep(seconds)
    return shown.bytes_between(began, began + seconds) / seconds


# What it is measured on


def benchmark_images(folder: Path) -> Path:
    """The images that the app trains on here."""
    return write_images(folder, train=TRAIN_IMAGES, val=VAL_IMAGES, side=SIDE)


def _write_configurations(folder: Path) -> None:
    """``short.toml``: one run of some ten seconds. ``long.toml``: resnet18 that never ends, and a run that waits.

    ``steady.toml``: resnet18 that never ends, on larger images.
    """
    tuned = f'[[strategies]]\nname = "tuned"\nbased_on = "resnet18-finetune"\nimage_size = {SIDE}\nepochs = '
    waits = f'[[strategies]]\nname = "waits"\nbased_on = "mobilenetv3-extract"\nimage_size = {SIDE}\n'
    (folder / "short.toml").write_text(f"{tuned}{SHORT_EPOCHS}\n", encoding="utf-8")
    steady = tuned.replace(f"image_size = {SIDE}", f"image_size = {STEADY_SIDE}\nbatch_size = {BATCH_SIZE}")
    (folder / "steady.toml").write_text(f"{steady}{LONG_EPOCHS}\n", encoding="utf-8")
    (folder / "long.toml").write_text(f"{tuned}{LONG_EPOCHS}\n{waits}", encoding="utf-8")


def _finished_experiment(work: Work) -> None:
    """Makes sure that the folder holds twenty finished experiments: one and its copies."""
    kept = work.folder / "kept"
    if not kept.exists():
        command = [*work.run("short.toml"), "--out", str(kept)]
        subprocess.run(command, cwd=work.folder, check=True, capture_output=True, timeout=300)
    out = _empty(work.folder / "runs")
    (first,) = folders.experiments(kept)
    for number in range(20):
        copy = out / f"images-20260101-0000{number:02}"
        copy.mkdir(parents=True)
        for path in first.iterdir():
            if path.is_file():
                shutil.copy(path, copy / path.name)


def _empty(out: Path) -> Path:
    shutil.rmtree(out, ignore_errors=True)
    return out


def _events(out: Path) -> list[AnyEvent]:
    found = folders.experiments(out)
    return event_reader(found[0]).read() if found else []


def _wait_for_event(
    out: Path, kind: type[AnyEvent], number: int = 1, seconds: float = 180.0, every: float = 0.01
) -> None:
    """Returns within ``every`` seconds of the moment at which the log of the only experiment has ``number`` of them.

    Each look reads the log, which takes a share of a core that what is measured then lacks: rarely, where that matters.
    """
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if sum(isinstance(event, kind) for event in _events(out)) >= number:
            return
        time.sleep(every)
    raise TimeoutError(f"{kind.__name__} was not in the log after {seconds:.0f} s")


def _still_training(out: Path) -> None:
    """The keys count only if they were pressed beside a training run."""
    before = sum(isinstance(event, Progress | EpochFinished) for event in _events(out))
    _wait_for_event(out, EpochFinished, sum(isinstance(event, EpochFinished) for event in _events(out)) + 1)
    if sum(isinstance(event, Progress | EpochFinished) for event in _events(out)) <= before:
        raise RuntimeError("the run did not train while keys were pressed")


def _is_setup(text: str) -> bool:
    return "Strategies" in text and "[x] tuned" in text and "Start " in text and "1 Setup" in text


def _is_bare(text: str) -> bool:
    return "bare" in text and "Other" in text


def _name(size: Size) -> str:
    return f"{size[0]}×{size[1]}"


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _size(text: str) -> Size:
    columns, rows = text.lower().replace("×", "x").split("x")
    return int(columns), int(rows)


def _options() -> argparse.Namespace:
    parts = ("throughput", "short_commands", "starting", "idle", "training", "yardstick")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=_size, action="append", metavar="120x40", help="may be repeated")
    parser.add_argument("--data", type=Path, help="a folder of images instead of the generated one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--only", action="append", choices=parts, help="may be repeated")
    parser.add_argument("--quick", action="store_true", help="two repeats, 20 keys, short windows: a trial")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every single value")
    options = parser.parse_args()
    options.size = options.size or [(120, 40), (80, 24)]
    if options.quick:
        options.repeats, options.keys = 2, 20
    return options


if __name__ == "__main__":
    main()
