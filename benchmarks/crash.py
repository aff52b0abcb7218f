"""Runs that are killed and resumed, beside one that is not: ``python -m benchmarks.crash --kills 100``.

Each trial is an experiment of both kinds of transfer in a process that is killed with SIGKILL at a random point (any
event, in the middle of a line of the log, between writing a checkpoint and renaming it, any moment), then resumed, and
often killed again; at last it is left alone. Counts how many trials end with the same metrics in every epoch, the same
weights and the same predictions, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open

import engine.running.one_run
from benchmarks.images import write_images
from benchmarks.report import header, table
from engine.history.experiment_state import read_state
from engine.hosts import process, thread
from engine.logs.log import EventLog, event_reader
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from engine.training import fit

Where = Literal["event", "line", "rename", "moment"]
WHERE: tuple[Where, ...] = ("event", "line", "rename", "moment")
SIDE, TRAIN_IMAGES, VAL_IMAGES = 40, 22, 9
AGAIN = 0.4
"""How often a resumed process is killed too."""
LONGEST = 120
"""Seconds after which a process hangs."""


@dataclass(frozen=True)
class Kill:
    """Where a process is killed: at the ``number``-th event, line, rename, or after so many hundredths of a second."""

    where: Where
    number: int


def experiment(data: Path) -> Experiment:
    """Both kinds of transfer, small: augmentation, several views, momentum, a schedule, and two sets of weights."""
    small = {"image_size": 32, "batch_size": 5, "epochs": 3}
    views = {"augmentation": {"crop_area": 0.5, "flip": True, "views": 2}}
    known = presets()
    strategies = (
        changed_strategy(known["resnet18-finetune"], **small, backbone="mobilenet_v3_small"),  # quicker, with dropout
        changed_strategy(known["mobilenetv3-extract"], **small, **views),
        changed_strategy(known["mobilenetv3-extract"], **small, **views, name="adam", optimizer={"name": "AdamW"}),
    )
    source = DataSource(path=str(data))
    return Experiment(strategies=strategies, data=source, weights="none", device="cpu", precision="fp32")


def outcome(folder: Path) -> dict[str, Any]:
    """What must be the same: every epoch's numbers, and every tensor that was saved, as bytes."""
    state = read_state(folder)
    found: dict[str, Any] = {"end": state.end}
    for run in state.runs:
        found[run.run] = [
            (epoch.epoch, epoch.train, epoch.val, epoch.learning_rate, epoch.is_best) for epoch in run.epochs
        ]
        for path in (f"checkpoints/{run.run}/best.safetensors", f"predictions/{run.run}.safetensors"):
            with safe_open(folder / path, framework="np") as file:
                found[path] = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    return found


def in_a_process(folder: Path, kill: Kill | None) -> int:
    """Goes on with the experiment in a process of its own, which may be killed; its exit status, negative by a signal.

    Forked from this one, in which torch was imported but has done nothing: a trial need not wait for the import.
    """
    child = os.fork()
    if child == 0:
        status = 3
        with suppress(BaseException):
            os.environ["TL_TUI_CACHE"] = str(folder.parent / "cache")
            signal.alarm(LONGEST)
            _save_often()
            if kill is not None:
                _arrange(kill)
            status = process.main([str(folder)])
        os._exit(status)
    _, waited = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(waited)


def trial(data: Path, folder: Path, dice: random.Random, events: int, kills: int) -> tuple[Path, list[Kill], str]:
    """One experiment that is killed at most ``kills`` times and then left alone.

    Its folder, where it was killed, and what went wrong (empty where nothing did).
    """
    made = thread.create(experiment(data), folder)
    done: list[Kill] = []
    while len(done) < kills and read_state(made).end is None and (not done or dice.random() < AGAIN):
        kill = _anywhere(dice, events)
        status = in_a_process(made, kill)
        if status == 0:  # it had ended before
            break
        if status != -signal.SIGKILL:
            return made, done, f"ended with {status} after {kill}"
        done.append(kill)
    if read_state(made).end is None and (status := in_a_process(made, None)) != 0:
        return made, done, f"the resumed process ended with {status}"
    return made, done, ""


def main() -> int:
    """Kills, resumes, compares and prints; 1 where a trial is not identical."""
    options = _options()
    dice = random.Random(options.seed)
    counts: Counter[str] = Counter()
    identical = trials = kills = 0
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tl-tui-crash-") as scratch:
        data = write_images(Path(scratch, "images"), train=TRAIN_IMAGES, val=VAL_IMAGES, side=SIDE)
        whole = thread.create(experiment(data), Path(scratch, "whole"))
        if in_a_process(whole, None) != 0:
            raise SystemExit(f"the uninterrupted experiment failed: {(whole / 'engine.log').read_text()}")
        wanted, events = outcome(whole), len(event_reader(whole).read())
        while kills < options.kills:
            folder = Path(scratch, str(trials))
            made, done, problem = trial(data, folder, dice, events, options.kills - kills)
            if not done and not problem:
                shutil.rmtree(folder)
                continue  # every kill came too late
            same = not problem and outcome(made) == wanted
            trials, kills, identical = trials + 1, kills + len(done), identical + same
            counts.update(kill.where for kill in done)
            if not same:
                failures.append(f"{done}: {problem or _first_difference(outcome(made), wanted)}")
                print(failures[-1], file=sys.stderr, flush=True)
            shutil.rmtree(folder)
    if options.json:
        print(json.dumps({"trials": trials, "kills": kills, "identical": identical, "where": counts}))
    else:
        print(header())
        print()
        rows = [[where, str(counts[where])] for where in WHERE]
        print(table(["killed at", "times"], [*rows, ["in all", str(kills)]]))
        print(f"\n{identical} of {trials} experiments that were killed and resumed ended identically, bit for bit.")
    return 0 if identical == trials else 1


def _first_difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return next((f"{name} differs" for name in wanted if found.get(name) != wanted[name]), "nothing differs")


def _anywhere(dice: random.Random, events: int) -> Kill:
    where = dice.choice(WHERE)
    most = {"event": events, "line": events, "rename": 24, "moment": 400}[where]
    return Kill(where, dice.randrange(1, most + 1))


def _save_often() -> None:
    """Where the run stands is saved at many steps, and every step is told, so that any of them can be the last."""
    engine.running.one_run.EPOCH_SECONDS = engine.running.one_run.SAVING_SHARE = 0
    engine.running.one_run.STEP_SECONDS = 0.1
    fit.PROGRESS_SECONDS = 0  # type: ignore[attr-defined]


def _arrange(kill: Kill) -> None:
    """Has this process killed there."""
    if kill.where == "moment":
        signal.signal(signal.SIGALRM, _die)
        signal.setitimer(signal.ITIMER_REAL, kill.number / 100)
    elif kill.where == "rename":
        _before(Path, "replace", kill.number, _die)
    elif kill.where == "line":
        _before(os, "write", kill.number, _half_a_line)
    else:
        _before(EventLog, "append", kill.number + 1, _die)


def _before(owner: Any, name: str, number: int, do: Callable[..., None]) -> None:
    """Has something done before the ``number``-th call of a function."""
    call, left = getattr(owner, name), number

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            do(*arguments)
        return call(*arguments, **named)

    setattr(owner, name, counted)


def _half_a_line(file: int, line: bytes) -> None:
    os.write(file, line[: len(line) // 2])
    _die()


def _die(*_arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the points at which processes are killed")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the tables")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
