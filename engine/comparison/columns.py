"""The columns of a comparison: strategies with all their runs, or single runs. Imports without numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.rows import Comparison, Row, of_part, part_compared
from engine.comparison.score_names import Better
from engine.states.state import RunState

if TYPE_CHECKING:
    from engine.comparison.scores import Scores


class Column(Struct, frozen=True):
    """What is compared: one run, or all the runs of a strategy together; ``note`` says which."""

    title: str
    note: str
    rows: tuple[Row, ...]


def with_result(rows: Sequence[Row]) -> Sequence[Row]:
    """The runs that have a result, whose means are taken; all of them where none has one yet."""
    return [row for row in rows if row.has_result] or rows


def no_seed_moves(rows: Sequence[Row]) -> bool:
    """Whether several runs are probes of the same images that came to the same network."""
    found = {(row.val_accuracy, row.val_loss, row.test_accuracy, row.test_loss) for row in rows}
    return all(row.has_result for row in rows) and are_probes(rows) and len(rows) > 1 and len(found) == 1


def is_spread(numbers: Sequence[float], of_probes: bool) -> bool:
    """Whether what was measured of several runs is told with its deviation: of :func:`are_probes` only where it
    differs.
    """
    return len(numbers) > 1 and (len({*numbers}) > 1 or not of_probes)


def are_probes(runs: Sequence[Row | RunState]) -> bool:
    """Whether they are all probes of the same images, of which a seed changes hardly more than how regularisation is
    cross-validated.
    """
    return all(run.is_probe and run.fold is None for run in runs)


def scored(shown: Sequence[Column]) -> tuple[MeasuredPart, list[list[Scores]]]:
    """The part that measures of single classes are of, and of each column the scores of its runs, where known."""
    part = part_compared([row for column in shown for row in column.rows])
    found = [[of_part(row, part).scores for row in column.rows] for column in shown]
    return part, [[one for one in scores if one is not None] for scores in found]


def best(numbers: Sequence[float | None], text: Callable[[float], str], better: Better | None) -> tuple[bool, ...]:
    """Which of the columns' numbers are the best: those that read the same as the best one, none where all read so."""
    said = [None if number is None else text(number) for number in numbers]
    known = [number for number in numbers if number is not None]
    if better is None or len({*said} - {None}) < 2:
        return (False,) * len(numbers)
    good_end = text(max(known) if better == "higher" else min(known))
    return tuple(one == good_end for one in said)


def comparable(comparison: Comparison, shown: Sequence[Column]) -> bool:
    """Whether one number can be better than another: on the same data, of runs that trained all their epochs, and of
    strategies that have a result of the same seeds and folds: else the best mean may come from easier ones.
    """
    if comparison.data_differs or any(row.is_cut_short for column in shown for row in column.rows):
        return False
    results = [{(row.seed, row.fold) for row in column.rows if row.has_result} for column in shown]
    are_runs = len({column.title for column in shown}) < len(shown)
    return are_runs or len({frozenset(some) for some in results if some}) < 2


def columns(comparison: Comparison, *, single_runs: bool = False) -> tuple[Column, ...]:
    """A column a strategy, in the order of the rows; with ``single_runs`` a column a run."""
    strategies: dict[str, list[Row]] = {}
    for row in comparison.runs:
        strategies.setdefault(row.strategy, []).append(row)
    if not single_runs:
        return tuple(Column(name, _runs(rows), tuple(rows)) for name, rows in strategies.items())
    several = len(strategies) < len(comparison.runs)
    return tuple(Column(row.strategy, seed_of(row) if several else "", (row,)) for row in comparison.runs)


def seed_of(row: Row) -> str:
    """What a run is called where its strategy is known: ``seed 1``, ``seed 0, fold 3``."""
    return f"seed {row.seed}" if row.fold is None else f"seed {row.seed}, fold {row.fold}"


def _runs(rows: Sequence[Row]) -> str:
    """How many seeds and folds a strategy's runs have, where there are several; once some runs have a result, of how
    many there is one.
    """
    if len(rows) == 1:
        return ""
    done = with_result(rows)
    seeds = _of_all("seeds", *(len({row.seed for row in some}) for some in (done, rows)))
    folds = _of_all("folds", *(len({row.fold for row in some}) for some in (done, rows)))
    if (seeds and folds and len(done) < len(rows)) or not (seeds or folds):
        return _of_all("runs", len(done), len(rows))
    return ", ".join(filter(None, (seeds, folds)))


def _of_all(name: str, done: int, every: int) -> str:
    """``1 of 2 seeds``, ``2 seeds``; empty where there is one only."""
    if every == 1:
        return ""
    return f"{every} {name}" if done == every else f"{done} of {every} {name}"
