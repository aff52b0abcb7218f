"""``tl-tui ctl``: commands to an experiment that runs, and how it stands, without a screen."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal, get_args

from engine.errors import UserError
from engine.export.to_json import json_text
from engine.history.experiment_state import status, with_writer
from engine.logs.events import AnyEvent, CommandApplied
from engine.logs.log import event_reader, send_command
from engine.logs.writer_lock import is_being_written, writer, writer_place
from engine.states.eta import Remaining, remaining_of_all
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState, condition
from engine.text import listed, shown
from engine.units import duration, percent
from tui.commands.find import find_experiment, find_running
from tui.drawing.text import print_line
from tui.words.run_words import epoch, images

Asked = Literal["pause", "resume", "stop", "skip", "status"]
ACTIONS: tuple[Asked, ...] = get_args(Asked)
ANSWER_SECONDS = 20.0
"""How long an answer is waited for: a step, or a batch of validation, may be under way."""
POLL_SECONDS = 0.05


def control(experiment: str | None, action: Asked, run: str | None, out: Path, *, as_json: bool) -> int:
    """Sends the command, waits until it was obeyed, and says how the experiment stands; the exit status.

    ``experiment``: the newest that runs if None. ``run``: the one to skip, that which trains if None.

    0: obeyed, or what was asked for is so already; 1: not obeyed within :data:`ANSWER_SECONDS`. ``UserError`` where no
    process runs the experiment, or nothing of the run is left to skip.
    """
    folder = find_running(experiment, out) if action != "status" else _to_look_at(experiment, out)
    reader = event_reader(folder)
    state = replay(reader.stream())
    obeyed = True
    if action != "status":
        if state.end is not None or not is_being_written(folder):
            raise UserError(
                f"{folder.name} is not running ({status(with_writer(state, folder))}), so {action} would do nothing"
            )
        ends = state.current if run is None else _to_skip(run, state, folder)
        if not _is_so(action, ends, state):
            send_command(folder, action, ends.run if action == "skip" and ends is not None else "")
            obeyed = False
            end = time.monotonic() + ANSWER_SECONDS
            while not obeyed and state.end is None and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
                events = reader.read()
                state = replay(events, state)
                applied = any(_is_answer(event, action, ends) for event in events)
                obeyed = applied or _is_so(action, ends, state)
            while action in ("stop", "skip") and _is_ending(ends, state) and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
                state = replay(reader.read(), state)
    state = with_writer(state, folder)
    is_going_on = state.end is None and not state.interrupted
    by = writer(folder) if is_going_on else ""
    left = remaining_of_all(state, *images(state)) if is_going_on and not state.paused else None
    if as_json:
        place = writer_place(folder) if is_going_on else None
        sys.stdout.write(json_text(_object(state, folder, by, place, left)))
    else:
        for line in _lines(state, folder, by, left):
            print_line(line)
    if not obeyed:
        why = "it has not taken effect yet" if state.end is None else "it ended first"
        sys.stderr.write(f"tl-tui: {action} requested; {why}\n")
    return 0 if obeyed else 1


def _to_skip(name: str, state: ExperimentState, folder: Path) -> RunState:
    """The run that is to be skipped; ``UserError`` where there is none of this name, or it has ended."""
    run = next((one for one in state.runs if one.run == name), None)
    if run is not None and not run.is_over:
        return run
    wrong = f"has no run {name!r}" if run is None else f"{shown(name)} has ended ({run.status})"
    there = [f"{one.run} ({condition(one, state)})" for one in state.runs if not one.is_over]
    raise UserError(f"{folder.name}: {wrong}; {listed(there, 10) or 'none'} can be skipped")


def _is_answer(event: AnyEvent, action: Asked, ends: RunState | None) -> bool:
    """Whether the event tells that this was obeyed, and of a skip in the run that was meant."""
    if not isinstance(event, CommandApplied) or event.action != action:
        return False
    return action != "skip" or ends is None or event.run == ends.run


def _is_so(action: Asked, ends: RunState | None, state: ExperimentState) -> bool:
    """Whether what is asked for is so by now, whoever did it."""
    if action == "skip" and ends is not None and state.run(ends.run).is_over:
        return True
    return state.end is not None if action in ("stop", "skip") else state.paused == (action == "pause")


def _is_ending(run: RunState | None, state: ExperimentState) -> bool:
    """Whether the run that was to end still saves what it has learnt."""
    return state.end is None and run is not None and not state.run(run.run).is_over


def _to_look_at(experiment: str | None, out: Path) -> Path:
    """The experiment that is meant; the newest where none runs, so that a script that asks again hears of its end."""
    try:
        return find_running(experiment, out)
    except UserError:
        return find_experiment(experiment, out)


def _lines(state: ExperimentState, folder: Path, by: str, left: Remaining | None) -> list[str]:
    who, until = f" by {by}" if by else "", ""
    if left is not None:
        until = f" · {'at least ' if left.is_least else ''}{duration(left.seconds)} left"
    first = f"{folder.name} · {status(state)}{who}{until}"
    why = [f"  {shown(state.error, 400)}"] if state.error else []
    return [first, *why, *(f"  {_line(run, state)}" for run in state.runs)]


def _line(run: RunState, state: ExperimentState) -> str:
    parts = [run.run, condition(run, state), epoch(run) if run.started is not None else ""]
    if run.best is not None:
        parts.append(f"best validation accuracy {percent(run.best.val.accuracy)} at epoch {run.best.epoch}")
    if run.failure is not None:
        parts.append(shown(run.failure.message))
    return " · ".join(filter(None, parts))


def _object(
    state: ExperimentState, folder: Path, by: str, place: tuple[str, int] | None, left: Remaining | None
) -> dict[str, Any]:
    """What it says of a run is named as in a comparison."""
    host, process = place or (None, None)
    return {
        "experiment": folder.name,
        "folder": str(folder.resolve()),
        "status": status(state),
        "error": state.error,
        "writer": by or None,
        "process": process,
        "host": host,
        "remaining_seconds": None if left is None else left.seconds,
        "remaining_is_lower_bound": None if left is None else left.is_least,
        "runs": [
            {
                "run": run.run,
                "state": condition(run, state),
                "error": "" if run.failure is None else run.failure.message,
                "stage": None if state.interrupted or run.progress is None else run.progress.stage,
                "epochs": len(run.epochs),
                "epochs_planned": run.strategy.epochs,
                "val_accuracy": None if run.best is None else run.best.val.accuracy,
                "best_epoch": None if run.best is None else run.best.epoch,
            }
            for run in state.runs
        ],
    }
