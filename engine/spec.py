"""What was asked: data source, strategies and experiment, to and from TOML.

Imports without torch. Every error is a :class:`SpecError` whose text is one line for a person.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
import platformdirs
import tomli_w
from msgspec import Meta, Struct

from engine.text import shown

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[float, Meta(gt=0, le=1e30)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
UpToOne = Annotated[float, Meta(gt=0, le=1)]
Momentum = Annotated[float, Meta(ge=0, lt=1)]
NotNegative = Annotated[float, Meta(ge=0, le=1e30)]
Seed = Annotated[int, Meta(ge=0, lt=2**31)]
Folds = Annotated[int, Meta(ge=2, le=100)]
Strengths = Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=100)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")]

Arithmetic = Literal["fp32", "tf32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
Trains = Literal["all", "head", "batch-norm", "last-stage"]
DEFAULT_STRATEGIES = ("resnet18-finetune", "mobilenetv3-extract")
T = TypeVar("T")
LARGEST_TOML = 1_000_000
BACKBONE = re.compile(r"[a-z][a-z0-9_]{0,59}")
MOST_DOTS = 500
"""In a key. No configuration has as many, and tomllib takes time by their square: for hours in a file of 1 MB."""


class SpecError(ValueError):
    """What was asked cannot be done as written; the text is one line that says what and where."""

    def __init__(self, text: str) -> None:
        super().__init__(shown(text, 2000))


class SGD(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Stochastic gradient descent, ``torch.optim.SGD``."""

    lr: Positive = 1e-3
    momentum: Momentum = 0.9
    weight_decay: NotNegative = 0.0


class AdamW(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Adam with decoupled weight decay, ``torch.optim.AdamW``."""

    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.01


class LBFGS(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The best last layer on a frozen backbone's features, a probe, found by L-BFGS; it has no epochs to train for.

    It minimises the mean cross-entropy plus ``l2 / 2`` times the squared weights, where the features are divided by
    their standard deviation, one number, so that the same values suit every backbone. Of several ``l2`` the one of
    least cross-entropy in a cross-validation of ``folds`` parts within the training images is taken.
    """

    l2: Strengths = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    folds: Folds = 5


class StepLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The rate times ``gamma`` every ``step_size`` epochs."""

    step_size: Count = 7
    gamma: UpToOne = 0.1


class ExponentialLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The rate times ``gamma`` every epoch."""

    gamma: UpToOne = 0.9


class CosineAnnealingLR(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """Half a cosine from the rate down to ``eta_min`` over the run's epochs."""

    eta_min: NotNegative = 0.0


class Constant(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """The same rate in every epoch."""


Optimizer = SGD | AdamW | LBFGS
Schedule = StepLR | ExponentialLR | CosineAnnealingLR | Constant
CHOICES = {
    "optimizer": ("SGD", "AdamW", "LBFGS"),
    "schedule": ("StepLR", "ExponentialLR", "CosineAnnealingLR", "Constant"),
}
"""The names of the kinds of optimizer and of schedule."""


class Augmentation(Struct, frozen=True, forbid_unknown_fields=True):
    """What is varied in training images.

    ``crop_area``: smallest share of the image's area that a random crop takes; 1 is the central crop that
    validation sees. ``flip``: mirror half of the images left to right. ``views``: how many such views of an image a
    frozen backbone extracts, of which each epoch draws one; 1 is none. Fine-tuning sees a new view in every epoch.
    """

    crop_area: UpToOne = 1.0
    flip: bool = False
    views: Annotated[int, Meta(ge=1, le=1000)] = 8

    @property
    def is_none(self) -> bool:
        """Whether training images are the same in every epoch."""
        return self.crop_area == 1 and not self.flip


class Strategy(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to transfer: backbone × what trains × optimizer × schedule × augmentation × epochs.

    ``backbone`` is a torchvision classification model; ``image_size`` in pixels, the backbone's own where None.
    ``trains``: ``all`` (fine-tuning), ``head`` (feature extraction: the last layer alone), ``batch-norm`` (scale and
    shift of the norm layers, and the head) or ``last-stage`` (what works at the last resolution, and the head).
    ``head``: what the new last layer begins with, ``random`` values or those of a ``probe``, see :class:`LBFGS`.
    ``layer_decay``: each stage from the head down trains at the rate of the one above it times this.
    """

    name: Name
    backbone: str = "resnet18"
    trains: Trains = "all"
    head: Literal["random", "probe"] = "random"
    layer_decay: UpToOne = 1.0
    epochs: Annotated[int, Meta(ge=1, le=100_000)] = 5
    batch_size: Count = 32
    image_size: Annotated[int, Meta(ge=32, le=1024)] | None = None
    optimizer: Optimizer = SGD()
    schedule: Schedule = StepLR()
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        if self.is_probe:
            if self.trains != "head":
                raise ValueError("LBFGS finds the best last layer; it needs trains = 'head'")
            msgspec.structs.force_setattr(self, "epochs", 1)

    @property
    def is_probe(self) -> bool:
        """Whether the last layer is solved for at once instead of trained epoch by epoch."""
        return isinstance(self.optimizer, LBFGS)

    @property
    def on_features(self) -> bool:
        """Whether the whole backbone is frozen, so that its features are computed once and epochs run on them."""
        return self.trains == "head"

    @property
    def needs_features(self) -> bool:
        """Whether features are extracted before the first epoch."""
        return self.on_features or self.head == "probe"

    @property
    def learning_rate(self) -> float | None:
        """The initial, highest learning rate; None where L-BFGS searches for its steps itself."""
        return None if isinstance(self.optimizer, LBFGS) else self.optimizer.lr


class Rung(Struct, frozen=True):
    """A strategy for any backbone: its name, what it is in a few words, and the values that it sets."""

    name: str
    about: str
    values: dict[str, Any]


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
    split: Literal["given", "grouped"] = "given"
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
    seeds: Annotated[tuple[Seed, ...], Meta(min_length=1)] = (0,)
    folds: Folds | None = None
    weights: str = "default"
    device: str = "auto"
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        if twice := _repeated(strategy.name for strategy in self.strategies):
            raise ValueError(f"strategy {twice!r} is there twice; give one of them another name")
        if twice := _repeated(str(seed) for seed in self.seeds):
            raise ValueError(f"seed {twice} is there twice")


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


@cache
def rungs() -> dict[str, Rung]:
    """From the least that can train to the most: the strategies for any backbone, by name."""
    found: dict[str, Rung] = {}
    for name, table in _shipped()["rungs"].items():
        values = dict(table)
        about, base = values.pop("about"), values.pop("based_on", None)
        found[name] = Rung(name, about, _merged(found[base].values, values) if base else values)
    return found


def presets() -> dict[str, Strategy]:
    """The two strategies that are compared where nothing else is asked for, by name."""
    return {name: named(name, {}) for name in DEFAULT_STRATEGIES}


def on_rung(backbone: str, rung: str) -> Strategy:
    """A rung's strategy for a backbone: ``resnet50-probe``; ``backbone`` may be one of the short names."""
    values = {**rungs()[rung].values, "name": f"{backbone}-{rung}", "backbone": backbones().get(backbone, backbone)}
    return _convert(values, Strategy, "presets.toml")


def backbones() -> dict[str, str]:
    """Short names of backbones in the names of strategies, and what they are short for."""
    return dict(_shipped()["backbones"])


@cache
def _shipped() -> dict[str, Any]:
    return _parse(resources.files("engine").joinpath("presets.toml").read_text(encoding="utf-8"), "presets.toml")


def own_strategies_file() -> Path:
    """The file in which a person keeps strategies of their own (it need not exist)."""
    return platformdirs.user_config_path("tl-tui") / "strategies.toml"


def known_strategies() -> dict[str, Strategy]:
    """The strategies that ship and a person's own, by name; an own one replaces a shipped one of its name."""
    known = presets()
    own = own_strategies_file()
    if own.is_file():
        known |= strategies_from(read_toml(own), known, str(own))
    return known


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; :class:`SpecError` where it is missing, too large or not TOML."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_TOML + 1)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}") from None
    if len(raw) > LARGEST_TOML:
        raise SpecError(f"{path}: larger than {LARGEST_TOML:,} bytes, which no configuration is")
    try:
        return _parse(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not UTF-8 text") from None


def strategies_from(tables: Mapping[str, Any], known: Mapping[str, Strategy], where: str) -> dict[str, Strategy]:
    """The strategies under ``[[strategies]]``, by name; ``based_on`` may name a known or an earlier one."""
    entries = tables.get("strategies", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{where}: strategies must be written as [[strategies]] tables")
    found: dict[str, Strategy] = {}
    for number, entry in enumerate(entries):
        values = dict(entry)
        base = values.pop("based_on", None)
        if base is not None:
            try:
                values = _merged(msgspec.to_builtins(named(base, {**known, **found})), values)
            except SpecError as error:
                raise SpecError(f"{where}: strategies[{number}].based_on: {error}") from None
        strategy = _convert(values, Strategy, f"{where}: strategies[{number}]")
        if strategy.name in found:
            raise SpecError(f"{where}: strategies[{number}]: the name {strategy.name!r} is there twice")
        found[strategy.name] = strategy
    return found


def load_experiment(path: Path, known: Mapping[str, Strategy]) -> Experiment:
    """The experiment that a TOML file describes; both default strategies where it names none."""
    tables = read_toml(path)
    own = strategies_from(tables, known, str(path))
    chosen = own.values() or default_experiment(known).strategies
    values = {**tables, "strategies": msgspec.to_builtins(tuple(chosen))}
    return _convert(values, Experiment, str(path))


def default_experiment(known: Mapping[str, Strategy]) -> Experiment:
    """The comparison that the project exists for, on the demo set."""
    return Experiment(strategies=tuple(known[name] for name in DEFAULT_STRATEGIES))


def named(name: object, known: Mapping[str, Strategy]) -> Strategy:
    """The known strategy of this name, or the one that ``BACKBONE-RUNG`` describes; else ``SpecError``."""
    if isinstance(name, str):
        if name in known:
            return known[name]
        backbone, _, rung = name.partition("-")
        if rung in rungs() and BACKBONE.fullmatch(backbone):
            return on_rung(backbone, rung)
    there = [*known, f"BACKBONE-RUNG for any torchvision model, RUNG being {', '.join(rungs())}"]
    raise SpecError(f"there is no strategy {name!r}; there are {', '.join(there)}")


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """The experiment with paths that mean the same from any folder; ``SpecError`` where the weights are not there."""
    source = {
        field: _absolute(value, field)
        for field in ("path", "validation", "images")
        if (value := getattr(experiment.data, field)) is not None
    }
    weights = experiment.weights
    if weights not in ("default", "none"):
        weights = _absolute(weights, "weights")
        if not os.path.exists(weights):  # noqa: PTH110 - Path.exists() raises where the name is too long
            raise SpecError(f"weights: {weights} is not there; name a file or a folder, or say default or none")
    return msgspec.structs.replace(experiment, data=msgspec.structs.replace(experiment.data, **source), weights=weights)


def _absolute(text: str, field: str) -> str:
    try:
        path = str(Path(text).expanduser().absolute())
        path.encode()
    except UnicodeEncodeError:
        raise SpecError(f"{field}: {text}: not valid UTF-8, so it cannot be written down; rename it") from None
    except RuntimeError:  # ~somebody whom nobody knows
        raise SpecError(f"{field}: {text}: nobody of that name has a home folder here") from None
    return path


def changed(experiment: Experiment, **values: object) -> Experiment:
    """The experiment with other values, checked like one that was read from a file."""
    return _convert(msgspec.to_builtins(experiment) | msgspec.to_builtins(values), Experiment, "experiment")


def changed_strategy(strategy: Strategy, **values: object) -> Strategy:
    """The strategy with other values, checked; nested tables are merged, so ``optimizer={"lr": 0.1}`` works."""
    return _convert(_merged(msgspec.to_builtins(strategy), values), Strategy, f"strategy {strategy.name}")


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML that :func:`load_experiment` reads back to an equal one."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(experiment)))


def _parse(text: str, where: str) -> dict[str, Any]:
    if any(piece.count(".") > MOST_DOTS for piece in re.split(r"[=\n]", text)):
        raise SpecError(f"{where}: more than {MOST_DOTS} dots in one key, which no configuration has")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SpecError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also what int() says of 5,000 digits
        raise SpecError(f"{where}: not valid TOML: {error}") from None


def _convert(values: object, type_: type[T], where: str) -> T:
    try:
        return msgspec.convert(values, type_)
    except RecursionError:
        raise SpecError(f"{where}: nested too deeply") from None
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`").lstrip(".")
        if choices := next((names for table, names in CHOICES.items() if place.endswith(f"{table}.name")), None):
            message = f"{message}; there are {', '.join(choices)}"
        raise SpecError(f"{where}: {place + ': ' if place else ''}{message}") from None


def _merged(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over ``base``, table by table; a table that names another kind replaces the whole table."""
    result = dict(base)
    for key, value in values.items():
        old = base.get(key)
        merge = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name")
        )
        result[key] = _merged(old, value) if merge and old is not None else value
    return result


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
