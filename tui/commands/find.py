"""How a command finds the experiment that is meant: by its name, or the newest of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from engine.folder import EVENTS, SPEC, weights_file
from engine.text import shown
from engine.toml import SpecError
from engine.units import percent
from tui.naming import called

if TYPE_CHECKING:
    from engine.history import Status, Summary
    from engine.state import RunState


def find_experiment(name: str | None, out: Path) -> Path:
    """The folder of an experiment: a path, a name below ``out``, or the newest; ``SpecError`` where there is none."""
    if name is None:
        from engine.history import iter_summaries

        newest = next((summary.folder for summary in iter_summaries(out) if summary.strategies), None)
        if newest is None:
            raise SpecError(
                f"there is no experiment in {_place(out)}; `tl-tui run` makes one, --out names another place"
            )
        return newest
    for folder in (Path(name), out / name):
        if (folder / EVENTS).is_file():
            return folder
    where = f"neither as a folder nor in {_place(out)}"
    raise SpecError(f"there is no experiment {name!r}, {where}; --out names another place")


def find_run(name: str | None, out: Path) -> tuple[Path, str | None]:
    """The experiment's folder and the run that is named behind the last colon, if any."""
    try:
        return find_experiment(name, out), None
    except SpecError:
        experiment, colon, run = (name or "").rpartition(":")
        if not colon or not experiment:
            raise
    return find_experiment(experiment, out), run


def named_runs(folder: Path, runs: Sequence[RunState], wanted: Set[str]) -> list[RunState]:
    """The runs of these ids, or of strategies of these names; ``SpecError`` where one is nobody's."""
    missing = wanted - {name for run in runs for name in (run.run, run.strategy.name)}
    if missing:
        there = ", ".join(run.run for run in runs)
        raise SpecError(f"{folder.name} has no run {min(missing)!r}; there are {there}")
    return [run for run in runs if wanted & {run.run, run.strategy.name}]


def find_network(name: str, out: Path) -> tuple[Path, RunState]:
    """The experiment's folder and the run whose network is meant: the named one, or where a strategy or nothing is
    named the one of them with the best validation accuracy. ``SpecError`` where no network of them is kept.
    """
    from engine.history import read_state

    folder, wanted = find_run(name, out)
    runs = read_state(folder).runs
    named = runs if wanted is None else named_runs(folder, runs, {wanted})
    kept = [run for run in named if run.best is not None and weights_file(folder, run.run).is_file()]
    if not kept:
        raise SpecError(
            f"{shown(folder.name)}: no network of {wanted or 'its runs'} is kept; one is once an epoch ended"
        )
    return folder, max(kept, key=lambda run: (run.best.val.accuracy, -run.best.val.loss) if run.best else (0.0, 0.0))


def whose(folder: Path, run: RunState) -> str:
    """Whose network it is, and how accurate, in a line."""
    best = run.best
    measured = "" if best is None else f": validation accuracy {percent(best.val.accuracy)}, epoch {best.epoch}"
    return f"{folder.name}, {run.run}{measured}"


def find_interrupted(name: str | None, out: Path) -> Path:
    """The folder of the experiment to go on with: the named one, or the newest that was interrupted, or of which a run
    could not write what it had learnt.
    """
    if name is not None and (folder := _begun(name, out)) is not None:
        return folder  # it has no log yet
    if name is not None:
        return find_experiment(name, out)
    return _newest("interrupted", out, _to_resume, lambda one: one.unsaved and one.status == "failed")


def find_running(name: str | None, out: Path) -> Path:
    """The folder of the experiment to watch: the named one, or the newest that a process is at."""
    if name is not None:
        return find_experiment(name, out)
    return _newest("running", out, lambda _: "a name says which to look at", lambda one: one.status == "paused")


def _to_resume(found: Sequence[Summary]) -> str:
    """What can be gone on with by name where nothing was interrupted: the newest that a person stopped."""
    from engine.history import read_state
    from engine.state import can_go_on

    stopped = (one.folder for one in found if one.status == "stopped" and can_go_on(read_state(one.folder)))
    if (newest := next(stopped, None)) is not None:
        return f"`tl-tui resume {called(newest)}` goes on with what was stopped"
    return "`tl-tui ctl resume` goes on with one that was paused; a name says which is meant"


def _place(out: Path) -> str:
    """The whole path: the present folder may be another than the person thinks."""
    return shown(str(out.absolute()), 1000)


def _newest(
    status: Status,
    out: Path,
    advice: Callable[[Sequence[Summary]], str],
    or_else: Callable[[Summary], bool] = lambda _: False,
) -> Path:
    """The newest of this status; ``advice`` is given all others where there is none."""
    from engine.history import iter_summaries

    others = []
    for one in iter_summaries(out):
        if one.status == status or or_else(one):
            return one.folder
        others.append(one)
    raise SpecError(f"no experiment in {_place(out)} is {status}; {advice(others)}, --out names another place")


def _begun(name: str, out: Path) -> Path | None:
    """The folder of an experiment of which there is a specification and nothing else yet."""
    for folder in (Path(name), out / name):
        if (folder / SPEC).is_file() and not (folder / EVENTS).is_file():
            return folder
    return None
