"""How a command finds the experiment that is meant: by its name, or a beginning of it, or the newest of its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.logs.folder import EVENTS, SPEC, weights_file
from engine.text import listed, shown
from engine.units import percent
from tui.naming import called

if TYPE_CHECKING:
    from engine.history.experiment_state import Status
    from engine.history.summaries import Summary
    from engine.states.state import RunState


def find_experiment(name: str | None, out: Path) -> Path:
    """The folder of an experiment: a path, a name below ``out`` or a beginning that only one there has, or the newest.

    ``UserError`` where there is none, or where several begin so.
    """
    if name is None:
        from engine.history.summaries import iter_summaries

        newest = next((summary.folder for summary in iter_summaries(out) if summary.strategies), None)
        if newest is None:
            raise UserError(
                f"there is no experiment in {_place(out)}; `tl-tui run` creates one, --out names another folder"
            )
        return newest
    return _find(name, out, (EVENTS,))


def find_by_full_name(name: str, out: Path) -> Path:
    """The folder of an experiment, for what cannot be undone: a path, or a whole name below ``out``.

    ``UserError`` where there is none.
    """
    if (folder := _named(name, out, (EVENTS,))) is not None:
        return folder
    if found := _beginning(name, out, (EVENTS,)):
        raise UserError(
            f"{name!r} is only a prefix of {listed(found)}; deleting cannot be undone, so give the full name"
        )
    raise _nobody(name, out)


def find_run(name: str | None, out: Path) -> tuple[Path, str | None]:
    """The experiment's folder and the run that is named behind the last colon, if any.

    Before a colon, too, a beginning of the experiment's name does; a name that itself has a colon is given in full.
    """
    experiment, colon, run = (name or "").rpartition(":")
    if name is None or not colon or not experiment or _named(name, out, (EVENTS,)) is not None:
        return find_experiment(name, out), None
    return find_experiment(experiment, out), run


def named_runs(folder: Path, runs: Sequence[RunState], wanted: Set[str]) -> list[RunState]:
    """The runs of these ids, or of strategies of these names; ``UserError`` where one is nobody's."""
    missing = wanted - {name for run in runs for name in (run.run, run.strategy.name)}
    if missing:
        there = ", ".join(run.run for run in runs)
        raise UserError(f"{folder.name} has no run {min(missing)!r}; there are {there}")
    return [run for run in runs if wanted & {run.run, run.strategy.name}]


def find_network(name: str, out: Path) -> tuple[Path, RunState]:
    """The experiment's folder and the run whose network is meant: the named one, or where a strategy or nothing is
    named the one of them with the best validation accuracy. ``UserError`` where no network of them is kept.
    """
    from engine.history.experiment_state import read_state

    folder, wanted = find_run(name, out)
    runs = read_state(folder).runs
    named = runs if wanted is None else named_runs(folder, runs, {wanted})
    kept = [run for run in named if run.best is not None and weights_file(folder, run.run).is_file()]
    if not kept:
        raise UserError(
            f"{shown(folder.name)}: no network of {wanted or 'its runs'} is saved yet; one is after the first epoch"
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
    if name is not None:
        return _find(name, out, (EVENTS, SPEC))  # one that has only just begun has no log yet
    return _newest("interrupted", out, _to_resume, lambda one: one.unsaved and one.status == "failed")


def find_running(name: str | None, out: Path) -> Path:
    """The folder of the experiment to watch: the named one, or the newest that a process is at."""
    if name is not None:
        return find_experiment(name, out)
    return _newest("running", out, _to_look_at, lambda one: one.status == "paused")


def _to_look_at(found: Sequence[Summary]) -> str:
    """What can be done where nothing runs: to go on with the newest if that was interrupted, or to name one."""
    if found and found[0].status == "interrupted":
        return f"`tl-tui resume {called(found[0].folder)}` resumes the newest, which was interrupted"
    return "give a name to open another"


def _to_resume(found: Sequence[Summary]) -> str:
    """What can be gone on with by name where nothing was interrupted: the newest that a person stopped."""
    from engine.history.experiment_state import read_state
    from engine.states.state import can_go_on

    stopped = (one.folder for one in found if one.status == "stopped" and can_go_on(read_state(one.folder)))
    if (newest := next(stopped, None)) is not None:
        return f"`tl-tui resume {called(newest)}` resumes what was stopped"
    return "`tl-tui ctl resume` resumes one that was paused; give a name to choose one"


def _place(out: Path) -> str:
    """The absolute path, as the current folder may not be the one that the person has in mind."""
    return shown(str(out.absolute()), 1000)


def _newest(
    status: Status,
    out: Path,
    advice: Callable[[Sequence[Summary]], str],
    or_else: Callable[[Summary], bool] = lambda _: False,
) -> Path:
    """The newest of this status; ``advice`` is given all others where there is none."""
    from engine.history.summaries import iter_summaries

    others = []
    for one in iter_summaries(out):
        if one.status == status or or_else(one):
            return one.folder
        others.append(one)
    raise UserError(f"no experiment in {_place(out)} is {status}; {advice(others)}, --out names another folder")


def _find(name: str, out: Path, marks: Sequence[str]) -> Path:
    """The folder with one of the files ``marks`` that is called so, or the only one that begins so."""
    if (folder := _named(name, out, marks)) is not None:
        return folder
    found = _beginning(name, out, marks)
    if len(found) > 1:
        raise UserError(
            f"several experiments in {_place(out)} begin with {name!r}: {listed(found)}; give more of the name"
        )
    if not found:
        raise _nobody(name, out)
    return out / found[0]


def _named(name: str, out: Path, marks: Sequence[str]) -> Path | None:
    folders = (Path(name), out / name)
    return next((folder for folder in folders if any((folder / mark).is_file() for mark in marks)), None)


def _beginning(name: str, out: Path, marks: Sequence[str]) -> list[str]:
    """The names of the experiments in ``out`` that begin so, the last by name first; none for an empty beginning."""
    names = {path.parent.name for mark in marks for path in out.glob(f"*/{mark}") if path.is_file()}
    return sorted((one for one in names if name and one.startswith(name)), reverse=True)


def _nobody(name: str, out: Path) -> UserError:
    where = f"neither as a folder nor in {_place(out)}"
    return UserError(f"there is no experiment {name!r}, {where}; --out names another place")
