"""What the Compare screen shows: runs of one or more experiments, what was measured of them, and their pairs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from engine import text
from engine.comparison.columns import Column, columns
from engine.comparison.compared_runs import ComparedRun, Source, compared_runs
from engine.comparison.rows import Comparison, Row
from engine.history.experiment_state import ran_beside_another
from engine.states.state import ExperimentState, RunState, condition
from tui.drawing.theme import Colour, strategy_colours

RunKey = tuple[Path | None, str]
"""By what a run is known, whatever is compared with it: its experiment's folder and its id. Names do not do: a copied
folder's experiment has the same one.
"""


@dataclass(frozen=True)
class Compared:
    """A comparison, and the run that each of its rows is of, in their order."""

    comparison: Comparison
    runs: tuple[ComparedRun, ...]

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies' names, in the order in which they come."""
        return tuple(dict.fromkeys(row.strategy for row in self.comparison.runs))

    @property
    def colours(self) -> dict[str, Colour]:
        """The strategies' colours."""
        return strategy_colours(self.strategies)

    def rows_of(self, strategy: str) -> tuple[int, ...]:
        """The places of a strategy's rows."""
        return tuple(place for place, row in enumerate(self.comparison.runs) if row.strategy == strategy)

    def runs_of(self, strategy: str) -> list[RunState]:
        """A strategy's runs, in the order of its rows."""
        return [one.run for one in self.runs if one.strategy == strategy]


def standing(run: RunState, state: ExperimentState) -> tuple[object, ...]:
    """What of a run, in the ``state`` of its experiment, has to change for it to be compared again: that it begins,
    finishes an epoch, or ends, or that another experiment was seen beside it.
    """
    return run.run, condition(run, state), len(run.epochs), run.parameters_total, ran_beside_another(run.run, state)


def compared(comparison: Comparison, sources: Sequence[Source]) -> Compared:
    """The comparison together with what it was made of, by :func:`engine.comparison.compare.compare`."""
    return Compared(comparison, tuple(compared_runs(sources)))


def best_pair(shown: Compared) -> tuple[int, int] | None:
    """The places of two rows to look at first, None where fewer than two have a result.

    They are of the two strategies of highest mean validation accuracy (of a single one its first two runs), and have
    the same seed and fold, the first that both have, if there is one.
    """
    rows = shown.comparison.runs
    done = {name: [place for place in shown.rows_of(name) if rows[place].has_result] for name in shown.strategies}
    ranked = sorted((name for name in done if done[name]), key=lambda name: -_mean_accuracy(rows, done[name]))
    if len(ranked) < 2:
        alone = done[ranked[0]] if ranked else []
        return (alone[0], alone[1]) if len(alone) > 1 else None
    first, second = done[ranked[0]], done[ranked[1]]
    for one in first:
        for other in second:
            if (rows[one].seed, rows[one].fold) == (rows[other].seed, rows[other].fold):
                return one, other
    return first[0], second[0]


def beside(shown: Compared, places: Sequence[int]) -> tuple[int, ...]:
    """The places of the rows to look at beside these, none where no other has a result.

    Beside one row that of the same seed and fold where there is one, of the strategy of highest mean validation
    accuracy, or another one's; else one of the same fold, if there is one. Beside several of a strategy all of the best
    other strategy's.
    """
    rows, mine = shown.comparison.runs, shown.comparison.runs[places[0]]
    accuracy = {name: _mean_accuracy(rows, shown.rows_of(name)) for name in shown.strategies}
    others = [at for at, row in enumerate(rows) if at not in places and row.has_result]
    if len(places) > 1:
        names = [name for name in dict.fromkeys(rows[at].strategy for at in others) if name != mine.strategy]
        return shown.rows_of(max(names, key=accuracy.__getitem__)) if names else ()

    def rank(at: int) -> tuple[bool, bool, float]:
        row = rows[at]
        return row.fold != mine.fold, row.seed != mine.seed, -accuracy[row.strategy]

    return tuple(sorted(others, key=rank)[:1])


def places_in(compared: Compared, column: Column) -> tuple[int, ...]:
    """Where the comparison has the runs of one of its columns."""
    return tuple(at for at, row in enumerate(compared.comparison.runs) if any(row is one for one in column.rows))


def offered(compared: Compared) -> list[tuple[str, Column]]:
    """The strategies, and below each that has several its runs, by name: what a person may choose to look at."""
    runs = columns(compared.comparison, single_runs=True)
    found: list[tuple[str, Column]] = []
    for one in columns(compared.comparison):
        found.append((text.shown(one.title, 160), one))
        if len(one.rows) > 1:
            found += [(f"    {run.note}", run) for run in runs if run.title == one.title]
    return found


def key_of(compared: Compared, place: int) -> RunKey:
    """The run that is at this place."""
    one = compared.runs[place]
    return one.source.folder, one.run.run


def places_of(compared: Compared) -> dict[RunKey, int]:
    """Where the comparison has each run."""
    return {key_of(compared, place): place for place in range(len(compared.runs))}


def _mean_accuracy(rows: Sequence[Row], places: Sequence[int]) -> float:
    return mean(rows[place].val_accuracy or 0.0 for place in places)
