"""Which runs are compared, and what their experiments and strategies are called. Imports without numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from engine.specs.strategy import Strategy, settings
from engine.states.state import ExperimentState, RunState
from engine.text import shown

if TYPE_CHECKING:
    from engine.comparison.predictions import Saved

MOST_SAID = 2
"""Settings that a strategy is told from others by: a name has little room."""


class Source(Struct, frozen=True):
    """An experiment of which runs are compared.

    ``folder``: where its predictions lie, None where they are not to be read. ``runs``: the ids of those to compare,
    None for all.
    """

    state: ExperimentState
    folder: Path | None = None
    runs: frozenset[str] | None = None


class ComparedRun(NamedTuple):
    """A run that is compared; its experiment and its strategy by names that are unique in the comparison."""

    source: Source
    run: RunState
    experiment: str
    strategy: str

    @property
    def saved(self) -> Saved | None:
        """Its file of predictions."""
        from engine.comparison.predictions import saved  # noqa: PLC0415 - loads numpy

        return saved(self.source.folder, self.run.run) if self.source.folder is not None else None


def compared_runs(sources: Sequence[Source]) -> list[ComparedRun]:
    """The runs that are compared, of experiments whose data is known. A strategy that several of these have is called
    ``STRATEGY (lr 0.01)`` there, by what it is set to otherwise than the others of its name; where that does not tell
    it from each of them, by its experiment (too), without what the experiments' names begin with in common.
    """
    sources = [source for source in sources if source.state.data is not None]
    runs = [[run for run in one.state.runs if one.runs is None or run.run in one.runs] for one in sources]
    strategies = Counter(name for some in runs for name in {run.strategy.name for run in some})
    names = [source.state.name for source in sources]
    if len(set(names)) < len(names):  # copies of one, or begun in the same second
        names = _places(sources)
    begin = len(commonprefix(names).rpartition("-")[0])  # noqa: RUF071 - names, of which letters count
    shorts = [shown(f"…{name[begin + 1 :]}" if begin else name, 60) for name in names]
    if len(set(shorts)) < len(shorts):
        shorts = [f"{number}: {short}" for number, short in enumerate(shorts, start=1)]
    labels = {name: _labels([_of_name(some, name) for some in runs], shorts) for name in strategies}
    found = []
    for place, (source, name, some) in enumerate(zip(sources, names, runs, strict=True)):
        for run in some:
            strategy = run.strategy.name
            label = strategy if strategies[strategy] == 1 else f"{strategy} ({labels[strategy][place]})"
            found.append(ComparedRun(source, run, name, label))
    return found


def _of_name(runs: Sequence[RunState], name: str) -> Strategy | None:
    return next((run.strategy for run in runs if run.strategy.name == name), None)


def _labels(strategies: Sequence[Strategy | None], experiments: Sequence[str]) -> list[str]:
    """What tells each of some strategies of one name, of an experiment each, from the others; None is none."""
    said = [settings(one) if one is not None else {} for one in strategies]
    there = [one for one in said if one]
    differ = [name for name in dict.fromkeys(chain(*there)) if len({str(one.get(name)) for one in there}) > 1]
    unlike = [", ".join(_setting(name, one[name]) for name in differ[:MOST_SAID] if name in one) for one in said]
    alone = Counter(unlike)
    return [
        text if text and alone[text] == 1 else ", ".join(filter(None, (text, experiment)))
        for text, experiment in zip(unlike, experiments, strict=True)
    ]


def _setting(name: str, value: object) -> str:
    """``lr 0.01``, ``schedule StepLR``."""
    said = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    return shown(f"{name.removesuffix('.name').rpartition('.')[2]} {said}", 30)


def _places(sources: Sequence[Source]) -> list[str]:
    """Where experiments of one name lie, without what all of their paths begin and end with."""
    if any(source.folder is None for source in sources):
        return [f"{number}: {source.state.name}" for number, source in enumerate(sources, start=1)]
    paths = [source.folder.parts for source in sources if source.folder is not None]
    while min(map(len, paths)) > 1 and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths]
    while min(map(len, paths)) > 1 and len({path[-1] for path in paths}) == 1:
        paths = [path[:-1] for path in paths]
    return ["/".join(path) for path in paths]
