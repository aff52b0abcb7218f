"""What was asked: data source, strategies and experiment, to and from TOML. Imports without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
import tomli_w
from msgspec import Meta, Struct

from engine.errors import UserError
from engine.specs.presets import DEFAULT_STRATEGIES, strategies_from
from engine.specs.strategy import CHOICES, Strategy
from engine.specs.toml import Folds, Fraction, Seed, Seeds, convert, read_toml, without_none

Arithmetic = Literal["fp32", "tf32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Split = Literal["given", "grouped"]
NAMES = {**CHOICES, "precision": get_args(Precision), "split": get_args(Split)}
"""What may be named in an experiment, by the setting."""


class DataSource(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the labelled images are.

    ``path``: a folder or a CSV file; the demo set where None. ``validation``: a second CSV for validation.
    ``images``: the folder that a CSV's paths are relative to (the CSV's own where None).

    Images of one patient, animal, scene or video are a group. ``group``: the CSV column that names it;
    ``group_pattern``: a regular expression whose first bracket finds it in an image's path below ``path``.
    ``split``: ``given`` (divided here where the data comes undivided) or ``grouped`` (divided anew, groups whole).
    ``val_fraction`` and ``split_seed`` say how to divide; ``test_fraction`` of the images is set apart first, for a
    test at the end of every run, where the data comes without a test part.
    """

    path: str | None = None
    validation: str | None = None
    images: str | None = None
    group: str | None = None
    group_pattern: str | None = None
    split: Split = "given"
    val_fraction: Fraction = 0.2
    test_fraction: Fraction | None = None
    split_seed: Seed = 0


class Experiment(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that decides a comparison: every strategy runs once for every seed on the same data.

    ``folds``: every seed divides training and validation images together into so many parts, groups whole, and runs
    so many times, each time validated on another part; None: once, on the split as it is.
    ``weights``: ``default`` (pretrained, found or fetched), ``none`` (random), or a folder or file.
    ``device``: ``auto`` or a torch device such as ``cpu`` or ``cuda:1``. ``compile``: fine-tuned networks go through
    ``torch.compile``, which costs seconds to minutes at the start of a run.
    """

    strategies: Annotated[tuple[Strategy, ...], Meta(min_length=1)]
    data: DataSource = DataSource()
    seeds: Seeds = (0,)
    folds: Folds | None = None
    weights: str = "default"
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        if twice := _repeated(strategy.name for strategy in self.strategies):
            raise ValueError(f"duplicate strategy {twice!r}; rename one of them")
        if twice := _repeated(str(seed) for seed in self.seeds):
            raise ValueError(f"duplicate seed {twice}")


class PlannedRun(NamedTuple):
    """One run of an experiment; ``fold`` is counted from 1, None where there are none."""

    strategy: Strategy
    seed: int
    fold: int | None

    @property
    def name(self) -> str:
        """Unique within its experiment: ``resnet18-finetune-0``, ``resnet18-finetune-0-fold-2``."""
        name = f"{self.strategy.name}-{self.seed}"
        return name if self.fold is None else f"{name}-fold-{self.fold}"


def planned_runs(experiment: Experiment) -> tuple[PlannedRun, ...]:
    """Every run of an experiment in the order in which they run: strategies take turns."""
    folds = (None,) if experiment.folds is None else range(1, experiment.folds + 1)
    return tuple(
        PlannedRun(strategy, seed, fold)
        for seed in experiment.seeds
        for fold in folds
        for strategy in experiment.strategies
    )


def load_experiment(path: Path, known: Mapping[str, Strategy]) -> Experiment:
    """The experiment that a TOML file describes; both default strategies where it names none."""
    tables = read_toml(path)
    own = strategies_from(tables, known, str(path))
    chosen = own.values() or default_experiment(known).strategies
    values = {**tables, "strategies": msgspec.to_builtins(tuple(chosen))}
    return convert(values, Experiment, str(path), NAMES)


def default_experiment(known: Mapping[str, Strategy]) -> Experiment:
    """The comparison that the project exists for, on the demo set."""
    return Experiment(strategies=tuple(known[name] for name in DEFAULT_STRATEGIES))


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """The experiment with paths that mean the same from any folder; ``UserError`` where one cannot be. Asks no disk."""
    source = {
        field: _absolute(value, field)
        for field in ("path", "validation", "images")
        if (value := getattr(experiment.data, field))
    }
    weights = experiment.weights
    if weights not in ("default", "none"):
        weights = _absolute(weights, "weights")
    return msgspec.structs.replace(experiment, data=msgspec.structs.replace(experiment.data, **source), weights=weights)


def check_weights(weights: str) -> None:
    """Raises ``UserError`` where these weights of an experiment are a file or a folder that is not there."""
    if weights not in ("default", "none") and not os.path.exists(weights):  # noqa: PTH110 - Path.exists() raises where the name is too long
        raise UserError(f"weights: {weights} does not exist; give a file, a folder, default or none")


def _absolute(text: str, field: str) -> str:
    try:
        path = str(Path(text).expanduser().absolute())
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{field}: {text}: not valid UTF-8, so it cannot be saved; rename it") from None
    except (RuntimeError, ValueError):  # ~somebody whom nobody knows; a null character
        raise UserError(f"{field}: {text}: no such user here") from None
    return path


def changed(experiment: Experiment, **values: object) -> Experiment:
    """The experiment with other values, checked like one that was read from a file."""
    return convert(msgspec.to_builtins(experiment) | msgspec.to_builtins(values), Experiment, "experiment", NAMES)


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML that :func:`load_experiment` reads back to an equal one."""
    return tomli_w.dumps(without_none(msgspec.to_builtins(experiment)))


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
