"""The state of an experiment on disk now: its log replayed, and whether its writer is still there. Without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from engine.logs.events import AnyEvent
from engine.logs.folder import EVENTS, SPEC, experiments
from engine.logs.log import LineReader, event_reader
from engine.logs.writer_lock import is_being_written, writing_process
from engine.specs.presets import presets
from engine.specs.spec import Experiment, load_experiment
from engine.states.replay import replay
from engine.states.state import ExperimentState

Status = Literal["running", "paused", "finished", "stopped", "failed", "interrupted", "damaged"]
FREQUENT = (b'{"event":"Progress"', b'{"event":"MemorySampled"')
"""How the lines begin that :func:`read_quickly` leaves out; they are most of a log."""


def running_elsewhere(out: Path) -> list[Path]:
    """The experiments in ``out`` that another process of this machine is at, newest first."""
    return [folder for folder in experiments(out) if writing_process(folder) not in (None, os.getpid())]


def read_state(folder: Path) -> ExperimentState:
    """The state of the experiment in a folder now, with all its progress; ``OSError`` where its log cannot be read."""
    return _now(event_reader(folder), folder)


def read_quickly(folder: Path) -> tuple[ExperimentState, int]:
    """The state now, without progress and memory, and how many lines could not be read; errors as in
    :func:`read_state`.
    """
    reader: LineReader[AnyEvent] = LineReader(folder / EVENTS, AnyEvent, FREQUENT)
    state, unread = _now(reader, folder), reader.unreadable
    last = reader.decode(reader.last_skipped)
    return msgspec.structs.replace(state, elapsed=max(state.elapsed, last.elapsed if last else 0.0)), unread


def _now(reader: LineReader[AnyEvent], folder: Path) -> ExperimentState:
    state = with_writer(replay(reader.read()), folder)
    if state.interrupted:  # its writer may have ended it and gone in between
        state = with_writer(replay(reader.read(), state), folder)
    return state


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
