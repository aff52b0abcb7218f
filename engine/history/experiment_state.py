"""The state of an experiment on disk now: its log replayed, and whether its writer is still there. Without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from engine.logs.events import AnyEvent, Progress
from engine.logs.folder import SPEC, experiments
from engine.logs.log import LineReader, event_reader
from engine.logs.writer_lock import is_being_written, writing_process
from engine.specs.presets import presets
from engine.specs.spec import Experiment, load_experiment
from engine.states.replay import replay
from engine.states.state import ExperimentState
from engine.text import listed

Status = Literal["running", "paused", "finished", "stopped", "failed", "interrupted", "damaged"]
PROGRESS = (b'{"event":"Progress"',)
"""How the lines begin of which only the last one counts, see :func:`with_progress`; they are most of a log."""
FREQUENT = (*PROGRESS, b'{"event":"MemorySampled"')
"""How the lines begin that :func:`read_quickly` leaves out."""

INFLATED = "all times are inflated"
"""Ends the warning that another experiment ran on the machine at the same time."""

_going_on: dict[Path, tuple[LineReader[AnyEvent], ExperimentState]] = {}
"""How far the logs of running experiments were read by :func:`read_quickly`, and the states that they came to. Whoever
reads on takes it out meanwhile: another thread then reads from the beginning.
"""


def running_elsewhere(out: Path) -> list[Path]:
    """The experiments in ``out`` that another process of this machine is at, newest first."""
    return [folder for folder in experiments(out) if writing_process(folder) not in (None, os.getpid())]


def warning_of_others(out: Path) -> str:
    """That other processes of this machine are at experiments in ``out``, which inflates times; empty where none is, or
    ``out`` cannot be read now.
    """
    try:
        beside = [folder.name for folder in running_elsewhere(out)]
    except OSError:  # a warning is not worth a run
        return ""
    are = "is" if len(beside) == 1 else "are"
    return f"{listed(beside)} {are} also running on this machine: {INFLATED}" if beside else ""


def ran_beside_another(run: str, state: ExperimentState) -> bool:
    """Whether the log tells that another experiment ran on the machine at the same time as this run.

    Older versions of tl-tui told it of no run, when the experiment began or went on: that was not of a run whose last
    epoch was over by then.
    """
    told = [one for one in state.warnings if one.message.endswith(INFLATED)]
    of_all = [one.elapsed for one in told if not one.run]
    latest = next((one.latest for one in state.runs if one.run == run), None)
    return any(one.run == run for one in told) or any(latest is None or latest.elapsed > at for at in of_all)


def read_state(folder: Path) -> ExperimentState:
    """The state of the experiment in a folder now, with all its progress; ``OSError`` where its log cannot be read."""
    return _now(event_reader(folder, PROGRESS), ExperimentState(), folder)


def read_quickly(folder: Path) -> tuple[ExperimentState, int]:
    """The state now, without memory, and how many lines could not be read; errors as in :func:`read_state`.

    Of an experiment that was running when it was last read so, only what its log has since then is read.
    """
    reader, state = _going_on.pop(folder, (None, ExperimentState()))
    if reader is None or not reader.can_go_on():
        reader, state = event_reader(folder, FREQUENT), ExperimentState()
    state = _now(reader, state, folder)
    if state.end is None and not state.interrupted:
        _going_on[folder] = reader, state
    return state, reader.unreadable


def _now(reader: LineReader[AnyEvent], state: ExperimentState, folder: Path) -> ExperimentState:
    state = with_writer(_read_on(reader, state), folder)
    if state.interrupted:  # its writer may have ended it and gone in between
        state = with_writer(_read_on(reader, state), folder)
    return state


def _read_on(reader: LineReader[AnyEvent], state: ExperimentState) -> ExperimentState:
    return with_progress(replay(reader.stream(), state), last_skipped(reader))


def last_skipped(reader: LineReader[AnyEvent]) -> AnyEvent | None:
    """The last event that the reader has skipped since this was asked before; None where there is none."""
    line, reader.last_skipped = reader.last_skipped, b""
    unreadable = reader.unreadable
    event = reader.decode(line)
    reader.unreadable = unreadable  # as of the others that were skipped
    return event


def with_progress(state: ExperimentState, last: AnyEvent | None) -> ExperimentState:
    """The state after the ``last`` of many events of which only that one matters, where all others were replayed before
    it: the time that it tells counts, and its progress unless something later has ended that stage.
    """
    if last is None:
        return state
    heard = last.time if last.time is not None and last.elapsed >= state.elapsed else state.heard
    if isinstance(last, Progress):
        stages = [run.progress for run in state.runs if run.run == last.run] if last.run else [state.stage]
        if any(at is not None and at.stage == last.stage and at.since <= last.elapsed for at in stages):
            state = replay([last], state)
    return msgspec.structs.replace(state, heard=heard, elapsed=max(state.elapsed, last.elapsed))


def with_writer(state: ExperimentState, folder: Path) -> ExperimentState:
    """The state with whether the experiment in the folder is interrupted now."""
    return msgspec.structs.replace(state, interrupted=state.end is None and not is_being_written(folder))


def requested_experiment(folder: Path) -> Experiment:
    """What the experiment in a folder was asked for, also where it never began; ``UserError`` where nothing tells it,
    ``OSError`` where its log cannot be read.
    """
    state, _ = read_quickly(folder)
    return state.spec or load_experiment(folder / SPEC, presets())


def status(state: ExperimentState) -> Status:
    """What became of an experiment; ``failed`` also where only one of its runs did."""
    if state.end is None:
        return "interrupted" if state.interrupted else "paused" if state.paused else "running"
    return "failed" if any(run.failure for run in state.runs) else state.end
