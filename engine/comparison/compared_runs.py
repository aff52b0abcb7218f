"""Which runs are compared, and what their experiments and strategies are called. Imports without numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from engine.states.state import ExperimentState, RunState
from engine.text import shown

if TYPE_CHECKING:
    from engine.comparison.predictions import Saved


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
    ``STRATEGY (EXPERIMENT)`` there, without what the experiments' names begin with in common.
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
    found = []
    for source, name, short, some in zip(sources, names, shorts, runs, strict=True):
        for run in some:
            strategy = run.strategy.name
            label = strategy if strategies[strategy] == 1 else f"{strategy} ({short})"
            found.append(ComparedRun(source, run, name, label))
    return found


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
