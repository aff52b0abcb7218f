"""In what the strategies of a comparison differ, or two experiments, as they were asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from engine.models import origin
from engine.specs.spec import Experiment
from engine.specs.strategy import Strategy, settings
from engine.states.state import RunState
from engine.text import listed, numbers, shown
from tui.drawing.text import cut_in_the_middle
from tui.drawing.theme import AMBER, GREY, rgb, strategy_colours
from tui.words.strategies import label, of_parameter

UNSET = "–"
BETWEEN = " · "
"""Stands between the numbers of a parameter that has several."""
MANY = 4
"""Numbers from which on only their ends are said."""
MOST = 60
"""Characters of a value."""


@dataclass(frozen=True)
class SpecDifference:
    """A parameter, and its value in each of the strategies; ``–`` where one has no such parameter."""

    parameter: str
    values: tuple[str, ...]


_PLAIN: dict[str, object] = {"head": "random", "layer_decay": 1.0, "class_weights": "none"}
"""Values that say no more than that there is none."""


def spec_differences(runs: Sequence[Sequence[RunState]]) -> tuple[SpecDifference, ...]:
    """The parameters that differ between the strategies, ``runs`` being those of each, in their order."""
    described = [_described(some) for some in runs]
    names = _together(dict.fromkeys(name for one in described for name in one))
    rows = [SpecDifference(name, tuple(one.get(name, UNSET) for one in described)) for name in names]
    return tuple(replace(_brief(row), parameter=label(row.parameter)) for row in rows if len(set(row.values)) > 1)


def _brief(row: SpecDifference) -> SpecDifference:
    """Long rows of numbers by their ends, as long as that tells them apart."""
    said = tuple(_ends(value) for value in row.values)
    return SpecDifference(row.parameter, said) if len(set(said)) == len(set(row.values)) else row


def _ends(value: str) -> str:
    numbers = value.split(BETWEEN)
    return value if len(numbers) < MANY else f"{len(numbers)} values, {numbers[0]} to {numbers[-1]}"


def side_by_side(strategies: tuple[str, ...], found: tuple[SpecDifference, ...], width: int) -> Text:
    """A line a parameter, a column a strategy: values that are not the first strategy's stand out."""
    names = max([len(one.parameter) for one in found] + [9])
    room = max(8, (width - names) // max(1, len(strategies)) - 2)
    cells = min(
        room, 30, max([len(name) for name in strategies] + [len(value) for one in found for value in one.values])
    )
    head = Text.assemble((f"{'setting':{names}}", rgb(GREY)))
    for name, colour in strategy_colours(strategies).items():
        head.append("  ").append(_fitted(name, cells), f"bold {rgb(colour)}")
    lines = [head]
    for one in found:
        line = Text.assemble((f"{one.parameter:{names}}", rgb(GREY)))
        for value in one.values:
            line.append("  ").append(_fitted(value, cells), "" if value == one.values[0] else rgb(AMBER))
        lines.append(line)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def in_common(strategies: Sequence[Strategy]) -> tuple[str, ...]:
    """What all strategies have alike, ``batch size 32``, but for what says no more than that there is none."""
    first, *others = (_values(one) for one in strategies)
    alike = [key for key, value in first.items() if all(other.get(key) == value for other in others)]
    return tuple(f"{label(key)} {_brief(SpecDifference(key, (first[key],))).values[0]}" for key in _together(alike))


def unlike(before: Experiment, now: Experiment) -> tuple[str, ...]:
    """The settings that differ from the experiment ``before`` it on the same data: ``epochs 25 (was
    10)``, ``resnet18-finetune: learning rate 0.01 (was 0.001)``. Other strategies come last: their names are long.
    """
    old, new = ({one.name: one for one in asked.strategies} for asked in (before, now))
    of: dict[str, list[str]] = {}  # what changed: of which strategies
    for name in (name for name in new if name in old):
        for change in _changes(settings(old[name]), settings(new[name])):
            of.setdefault(change, []).append(name)
    parts = []
    for names in dict.fromkeys(map(tuple, of.values())):
        said = ", ".join(change for change, some in of.items() if tuple(some) == names)
        parts.append(said if len(names) == len(new) else f"{listed([*names])}: {said}")
    parts += [", ".join(_changes(_of_all_runs(before), _of_all_runs(now))), _other_strategies([*old], [*new])]
    return tuple(filter(None, parts))


def _other_strategies(before: list[str], now: list[str]) -> str:
    gone = listed([name for name in before if name not in now], 2)
    come = listed([name for name in now if name not in before], 2)
    if gone and come:
        return f"{come} instead of {gone}"
    return f"with {come}" if come else f"without {gone}" if gone else ""


def _changes(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """``learning rate 0.01 (was 0.001)`` for every parameter that both have and that differs."""
    found = []
    for name in [name for name in now if name in before and now[name] != before[name]]:
        row = _brief(SpecDifference(name, (_text(name, now[name]), _text(name, before[name]))))
        found.append(f"{label(name)} {shown(row.values[0], MOST)} (was {shown(row.values[1], MOST)})")
    return found


def _of_all_runs(asked: Experiment) -> dict[str, object]:
    """The settings of all runs, by their name in ``experiment.toml``."""
    both = (asked, asked.data)
    found: dict[str, object] = {name: getattr(one, name) for one in both for name in one.__struct_fields__}
    del found["strategies"], found["data"], found["path"]
    said = {name: "none" if value is None else value for name, value in found.items()}
    return {**said, "seeds": numbers(sorted(asked.seeds))}


def _fitted(text: str, width: int) -> str:
    cell = Text(cut_in_the_middle(shown(text, 200), width))
    cell.truncate(width, pad=True)
    return cell.plain


def _described(runs: Sequence[RunState]) -> dict[str, str]:
    if not runs:
        return {}
    values = _values(runs[0].strategy)
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
    weights = ", ".join(dict.fromkeys(origin.kind(run.weights) for run in runs if run.weights))
    precision = ", ".join(dict.fromkeys(run.precision for run in runs if run.precision))
    return {**values, "seeds": seeds, "weights": weights, "precision": precision}


def _values(strategy: Strategy) -> dict[str, str]:
    return {
        name: _text(name, value)
        for name, value in settings(strategy).items()
        if _PLAIN.get(name) != value and (strategy.is_augmented or name != "augmentation.views")
    }


def _text(key: str, value: object) -> str:
    return of_parameter(key, value, BETWEEN)


def _together(names: Iterable[str]) -> list[str]:
    """In their order, but those of one table (``schedule``, ``schedule.gamma``) one after the other."""
    found = list(names)
    tables = [name.partition(".")[0] for name in found]
    return sorted(found, key=lambda name: tables.index(name.partition(".")[0]))
