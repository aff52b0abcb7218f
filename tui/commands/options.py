"""The options that several commands share, and the experiment that they describe. Imports what it needs when asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tui.naming import RUNS

if TYPE_CHECKING:
    from engine.specs.spec import DataSource, Experiment

F = TypeVar("F", bound=Callable[..., Any])

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=RUNS,
    show_default=True,
    metavar="DIR",
    help="The folder of experiments.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object to stdout at the end, everything else to stderr."
)
detach_option = click.option("--detach", is_flag=True, help="Run it in the background, and print its name.")


def data_options(command: F) -> F:
    """The data and how to divide it, shared by the app, ``run``, ``check`` and ``rank``."""
    options = [
        click.argument("data", required=False),
        click.option("--validation", metavar="CSV", help="A second CSV file, for validation."),
        click.option("--images", metavar="DIR", help="The folder that a CSV's paths are relative to."),
        click.option("--group", metavar="COLUMN", help="CSV column with each image's group: patient, scene, …"),
        click.option(
            "--group-pattern",
            metavar="REGEX",
            help=r"Regex whose bracket captures the group in the path below DATA: 'patient-(\d+)'.",
        ),
        click.option(
            "--split",
            type=click.Choice(["given", "grouped"]),
            help="grouped: re-split training and validation by group.",
        ),
        click.option(
            "--test-fraction", type=float, metavar="SHARE", help="Hold out this share as a test set, such as 0.2."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def data_of(data: str | None, **asked: str | float | None) -> DataSource:
    """The data that :func:`data_options` describe."""
    from engine.specs import spec
    from engine.specs.presets import presets

    named = {name: value for name, value in asked.items() if value is not None}
    return spec.changed(spec.default_experiment(presets()), data={"path": data, **named}).data


def experiment_options(command: F) -> F:
    """The options that say what to run, shared by the app and ``run``."""
    options = [
        data_options,
        click.option(
            "--strategy",
            "-s",
            "strategies",
            multiple=True,
            metavar="NAME",
            help="A strategy to run, such as resnet50-probe (see `tl-tui presets`); repeatable.  "
            "Default: resnet18-finetune and mobilenetv3-extract.",
        ),
        click.option("--epochs", type=int, help="Epochs for every strategy."),
        click.option("--batch-size", type=int, help="Images per training step."),
        click.option("--lr", type=float, help="Initial learning rate for every strategy."),
        click.option(
            "--seed",
            "seeds",
            type=int,
            multiple=True,
            help="A seed; repeatable: each strategy runs once per seed.",
        ),
        click.option(
            "--seeds", "seed_count", type=click.IntRange(1, 1000), metavar="N", help="Run N seeds: 0, 1, … N-1."
        ),
        click.option(
            "--folds",
            type=click.IntRange(2, 100),
            metavar="K",
            help="K-fold cross-validation over the training and validation images.",
        ),
        click.option("--weights", metavar="default|none|DIR|FILE", help="Pretrained weights to start from."),
        click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, …"),
        click.option(
            "--precision",
            type=click.Choice(["auto", "fp32", "tf32", "bf16", "fp16"]),
            help="Arithmetic precision; auto: bf16 or fp16 if the device has it, else fp32.",
        ),
        click.option(
            "--compile",
            is_flag=True,
            default=None,
            help="torch.compile for fine-tuning: adds seconds to minutes at the start of every run "
            "for faster steps on a GPU; no gain on CPUs.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="A TOML file with an experiment, or with your own strategies.",
        ),
        out_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def experiment_of(
    data: str | None,
    validation: str | None,
    images: str | None,
    group: str | None,
    group_pattern: str | None,
    split: str | None,
    test_fraction: float | None,
    strategies: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seeds: tuple[int, ...],
    seed_count: int | None,
    config: Path | None,
    **values: str | bool | int | None,
) -> Experiment:
    """The experiment that the options describe, over that of ``--config`` or the default one."""
    import msgspec

    from engine.specs import spec
    from engine.specs.presets import known_strategies, named
    from engine.specs.strategy import changed_strategy

    if seeds and seed_count:
        raise click.UsageError("--seed names a seed, --seeds says how many: use one or the other")
    seeds = seeds or tuple(range(seed_count or 0))
    known = known_strategies()
    experiment = spec.load_experiment(config, known) if config else spec.default_experiment(known)
    known |= {strategy.name: strategy for strategy in experiment.strategies}
    chosen = [named(name, known) for name in strategies] or list(experiment.strategies)
    settings = {"epochs": epochs, "batch_size": batch_size}
    given: dict[str, object] = {name: value for name, value in settings.items() if value is not None}
    rate = {"optimizer": {"lr": lr}} if lr is not None else {}
    source = experiment.data
    if data is not None:  # other data: what the configuration says of its own does not belong to it
        source = spec.DataSource(path=data, val_fraction=source.val_fraction, split_seed=source.split_seed)
    asked = {
        **{"validation": validation, "images": images, "group": group, "group_pattern": group_pattern},
        **{"split": split, "test_fraction": test_fraction},
    }
    return spec.changed(
        experiment,
        strategies=[changed_strategy(one, **given, **({} if one.is_probe else rate)) for one in chosen],
        data=msgspec.structs.replace(source, **{name: value for name, value in asked.items() if value is not None}),
        **({"seeds": seeds} if seeds else {}),
        **{name: value for name, value in values.items() if value is not None},
    )
