"""Whether a comparison was fair: what differs between the strategies besides what is compared. Imports without torch.

Backbone, what trains, optimizer and learning rates are what a strategy is; everything else should be equal, or told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from engine.comparison.compared_runs import ComparedRun
from engine.models import origin
from engine.specs.strategy import Strategy
from engine.text import joined, numbers

Knob = Callable[[ComparedRun], str | None]


def unfairness(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    """What differs between strategies, a sentence each, from what was recorded; empty where all of it is the same.

    Runs that may still get a result count as they were asked for; those that ended without one are not compared.
    """
    runs = [one for one in runs if one.run.best is not None or _goes_on(one)]
    if len({one.strategy for one in runs}) < 2:
        return ()
    sentences = [_sentence(title, _values(runs, knob)) for title, knob in _KNOBS.items()]
    sentences.append(_sentence("Seeds", _seeds(runs)))
    libraries = dict.fromkeys(library for one in runs for library in one.source.state.versions)
    sentences += [_sentence(f"Version of {name}", _values(runs, _version(name))) for name in libraries]
    return tuple(sentence for sentence in sentences if sentence)


def _goes_on(one: ComparedRun) -> bool:
    """Whether the run is at work, or waits in an experiment that is."""
    state = one.source.state
    return not one.run.is_over and state.end is None and not state.interrupted


def _values(runs: Sequence[ComparedRun], knob: Knob) -> dict[str, str]:
    """Each strategy's value, or values where its runs differ; strategies of which it is not known are left out."""
    found: dict[str, dict[str, None]] = {}
    for one in runs:
        if value := knob(one):
            found.setdefault(one.strategy, {})[value] = None
    return {strategy: " and ".join(sorted(values)) for strategy, values in found.items()}


def _sentence(title: str, values: dict[str, str]) -> str:
    by_value: dict[str, list[str]] = {}
    for strategy, value in values.items():
        by_value.setdefault(value, []).append(strategy)
    if len(by_value) < 2:
        return ""
    return f"{title}: " + "; ".join(f"{value} for {joined(names, 'and')}" for value, names in by_value.items()) + "."


def _seeds(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Each strategy's seeds that have a result, and their folds."""
    found: dict[str, dict[int, set[int]]] = {}
    for one in runs:
        if one.run.best is not None:
            folds = found.setdefault(one.strategy, {}).setdefault(one.run.seed, set())
            folds |= {one.run.fold} if one.run.fold is not None else set()
    return {strategy: _seeds_in_words(seeds) for strategy, seeds in found.items()}


def _seeds_in_words(seeds: dict[int, set[int]]) -> str:
    folds = {tuple(sorted(folds)) for folds in seeds.values()}
    said = numbers(sorted(seeds))
    if folds == {()}:
        return said
    if len(folds) == 1:
        return f"{said} ({_folds(folds.pop())})"
    return ", ".join(f"{seed} ({_folds(seeds[seed])})" for seed in sorted(seeds))


def _folds(some: Collection[int]) -> str:
    return f"{'fold' if len(some) == 1 else 'folds'} {numbers(sorted(some))}"


def _version(library: str) -> Knob:
    return lambda one: one.source.state.versions.get(library)


def _split(one: ComparedRun) -> str | None:
    return one.source.state.data.split if one.source.state.data else None


def _fingerprint(one: ComparedRun) -> str | None:
    return one.source.state.decoded.fingerprint[:12] if one.source.state.decoded else None


def _image_size(strategy: Strategy) -> str:
    return f"{strategy.image_size} pixels" if strategy.image_size else "the backbone's own"


def _augmentation(strategy: Strategy) -> str:
    if not strategy.is_augmented:
        return "none"
    augmentation = strategy.augmentation
    crops = f"random crops of at least {100 * augmentation.crop_area:.0f} % of the area"
    parts = [*([crops] if augmentation.crop_area < 1 else []), *(["flips"] if augmentation.flip else [])]
    views = f" ({augmentation.views} views per image)" if strategy.on_features else ""
    return " and ".join(parts) + views


def _epochs(one: ComparedRun) -> str | None:
    """Planned epochs, and how many there were where a run ended early; a probe has none."""
    planned = one.run.strategy.epochs
    if one.run.strategy.is_probe:
        return None
    done = len(one.run.epochs)
    return f"{done} of {planned}" if one.run.is_over and done < planned else f"{planned}"


def _batch_size(one: ComparedRun) -> str | None:
    return None if one.run.strategy.is_probe else f"{one.run.strategy.batch_size}"


def _weights(one: ComparedRun) -> str:
    return origin.kind(one.run.weights)


_KNOBS: dict[str, Knob] = {
    "Split": _split,
    "Images, labels and split (digest)": _fingerprint,
    "Image size": lambda one: _image_size(one.run.strategy),
    "Augmentation": lambda one: _augmentation(one.run.strategy),
    "Epochs": _epochs,
    "Batch size": _batch_size,
    "Pretrained weights": _weights,
    "Precision": lambda one: one.run.precision,
    "Device": lambda one: one.source.state.device.hardware if one.source.state.device else None,
}
