"""What became of every experiment in a folder, each in a few facts. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.history.experiment_state import Status, read_quickly, status
from engine.history.note import read_note
from engine.logs.folder import EVENTS, NOTE, SPEC, experiments
from engine.logs.writer_lock import is_being_written
from engine.specs.spec import Experiment
from engine.states.state import WRITING, ExperimentState
from engine.text import counted


class Summary(Struct, frozen=True):
    """One experiment: when it ``began``, on what ``data``, and how it ended; ``data_path``: empty for the demo set.

    ``best``: the best validation accuracy (0..1) by run id, of the runs that finished an epoch; ``reached``: the same
    by strategy, in the order of its runs. ``skipped``: the strategies of which a person skipped a run.
    ``seconds``: from the first event to the last. ``status``: ``interrupted`` if its writer is gone without a last
    event, ``damaged`` if the log tells nothing; ``problem`` says more in one line.
    ``unsaved``: whether a run failed for want of room to write what it had learnt, which going on makes up for.
    ``note``: what a person wrote about it (:func:`engine.history.note.read_note`). ``spec``: what was asked, None where
    the log does not tell it. ``stamp``: size (bytes) and time of change (ns) of the log, and of the note.
    """

    folder: Path
    name: str
    began: datetime | None = None
    data: str = ""
    data_path: str = ""
    strategies: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    folds: int | None = None
    best: dict[str, float] = {}
    reached: dict[str, tuple[float, ...]] = {}
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0
    status: Status = "damaged"
    problem: str = ""
    unsaved: bool = False
    note: str = ""
    spec: Experiment | None = None
    stamp: tuple[int, int, int, int] = (0, 0, 0, 0)


def summaries(out: Path) -> list[Summary]:
    """A summary of every experiment in ``out``, newest first."""
    return list(iter_summaries(out))


def iter_summaries(out: Path, known: Iterable[Summary] = ()) -> Iterator[Summary]:
    """:func:`summaries` one by one, for a reader who shows the newest while the others are being read.

    What has not changed since one of the ``known`` summaries was made, the log and the note, is not read again.
    """
    made = {summary.folder: summary for summary in known}
    for folder in experiments(out):
        yield _renewed(folder, made)


def summary(folder: Path) -> Summary:
    """What the experiment's log tells, and the note on it; never an error: an unreadable log is ``damaged``."""
    stamp = _stamp(folder)  # before reading: what changes meanwhile is read again
    return msgspec.structs.replace(_told(folder), note=read_note(folder), stamp=stamp)


def _told(folder: Path) -> Summary:
    try:
        state, unread = read_quickly(folder)
    except OSError as error:
        return Summary(folder, folder.name, problem=f"cannot be read: {error.strerror or error}")
    if state.spec is None:
        if not unread and state.end is None and not state.interrupted:
            return Summary(folder, folder.name, status="running", problem="just started")
        if state.error:
            return Summary(folder, folder.name, status="failed", problem=state.error)
        if not unread and (folder / SPEC).is_file():
            return Summary(folder, folder.name, status="interrupted", problem="it had not started")
        problem = "the log is empty" if not unread else "nothing in the log can be read"
        return Summary(folder, folder.name, problem=problem)
    return Summary(
        folder=folder,
        name=folder.name,
        began=state.began,
        data=state.data.name if state.data else "",
        data_path=state.spec.data.path or "",
        strategies=tuple(strategy.name for strategy in state.spec.strategies),
        seeds=state.spec.seeds,
        folds=state.spec.folds,
        best={run.run: run.best.val.accuracy for run in state.runs if run.best},
        reached={
            strategy.name: tuple(run.best.val.accuracy for run in state.runs if run.strategy == strategy and run.best)
            for strategy in state.spec.strategies
        },
        skipped=tuple(dict.fromkeys(run.strategy.name for run in state.runs if run.status == "skipped")),
        seconds=state.elapsed,
        status=status(state),
        problem=_problem(state, unread),
        unsaved=any(run.failure is not None and run.failure.kind == WRITING for run in state.runs),
        spec=state.spec,
    )


def _renewed(folder: Path, made: Mapping[Path, Summary]) -> Summary:
    before = made.get(folder)
    if before is None or before.stamp != _stamp(folder) or before.status in ("running", "paused"):
        return summary(folder)
    # The log of an interrupted experiment does not change when it is resumed and has not yet written.
    if before.status == "interrupted" and is_being_written(folder):
        return summary(folder)
    return before


def _problem(state: ExperimentState, unread: int) -> str:
    if state.error:
        return state.error
    failed = next((run for run in state.runs if run.failure), None)
    if failed and failed.failure:
        return f"{failed.run}: {failed.failure.message}"
    return f"{counted(unread, 'line', 'lines')} of the log could not be read" if unread else ""


def _stamp(folder: Path) -> tuple[int, int, int, int]:
    return (*_size_and_time(f"{folder}/{EVENTS}"), *_size_and_time(f"{folder}/{NOTE}"))


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - of thousands again and again: half the time of a Path's
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
