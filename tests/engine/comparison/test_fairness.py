import msgspec
import pytest

from engine.comparison.compared_runs import ComparedRun, Source
from engine.comparison.fairness import unfairness
from engine.logs import events as ev
from engine.logs.events import Memory, Metrics
from engine.specs.presets import on_rung
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import Augmentation, Strategy, changed_strategy
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState

SAME = Strategy(name="a", epochs=2)
NOTHING = Memory(0, 0)


def state(*strategies: Strategy, seeds: tuple[int, ...] = (0,), folds: int | None = None) -> ExperimentState:
    """An experiment of which every run finished two epochs."""
    spec = Experiment(strategies, DataSource(path="/d"), seeds=seeds, folds=folds)
    data = ev.DataSummary("d", "/d", "folders", ("x", "y"), {"x": 9, "y": 9}, {"x": 3, "y": 3}, "as given")
    events: list[ev.AnyEvent] = [
        ev.ExperimentStarted(
            name="e",
            spec=spec,
            data=data,
            device=ev.Device("cpu", "a CPU", 1),
            versions={"torch": "2.15", "numpy": "2"},
        ),
        ev.DataDecoded(train=18, val=6, left_out=0, fingerprint="abc"),
    ]
    for run in replay(events).runs:
        metrics = Metrics(0.5, 0.5, 6)
        events.append(
            ev.RunStarted(
                run=run.run, strategy=run.strategy.name, seed=run.seed, weights=f"IMAGENET1K_V1, /w/{run.run}.pth",
                parameters_total=1, parameters_trainable=1, precision="fp32", learning_rates=(), memory=NOTHING,
            )
        )  # fmt: skip
        events += [
            ev.EpochFinished(
                run=run.run, epoch=epoch, train=metrics, val=metrics, learning_rate=0.1, seconds=1.0, train_seconds=1.0,
                images_per_second=1.0, memory=NOTHING, is_best=epoch == 1,
            )
            for epoch in (1, 2)
        ]  # fmt: skip
        events.append(ev.RunFinished(run=run.run, end="finished", seconds=1.0, cpu_seconds=1.0, memory=NOTHING))
    return replay(events)


def all_of(*states: ExperimentState) -> list[ComparedRun]:
    return [ComparedRun(Source(one), run, one.name, run.strategy.name) for one in states for run in one.runs]


def other(**values: object) -> Strategy:
    return changed_strategy(SAME, name="b", **values)


def test_what_a_strategy_is_made_of_is_not_unfair() -> None:
    different = other(backbone="mobilenet_v3_small", trains="head", optimizer={"name": "AdamW"}, layer_decay=0.5)
    assert unfairness(all_of(state(SAME, different), state(other()))) == ()


def test_a_single_strategy_is_compared_with_nothing() -> None:
    runs = all_of(state(SAME, seeds=(0, 1)))
    assert unfairness(runs) == ()
    assert unfairness([]) == ()


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 5},
        {"batch_size": 16},
        {"augmentation": {"flip": True}},
        {"image_size": 128},
    ],
)
def test_a_run_that_ended_without_an_epoch_is_not_counted(values: dict[str, object]) -> None:
    made = state(SAME, changed_strategy(SAME, name="c"), other(**values))
    *compared, last = made.runs
    assert len(unfairness(all_of(made))) == 1
    for over in ("failed", "skipped", "stopped"):
        runs = (*compared, msgspec.structs.replace(last, epochs=(), status=over))
        assert unfairness(all_of(msgspec.structs.replace(made, runs=runs))) == (), over


def test_a_run_that_ended_early_counts_with_the_epochs_it_had() -> None:
    made = state(SAME, other())
    last = made.runs[1]
    runs = (made.runs[0], msgspec.structs.replace(last, epochs=last.epochs[:1], status="failed"))
    assert unfairness(all_of(msgspec.structs.replace(made, runs=runs))) == ("Epochs: 2 for a; 1 of 2 for b.",)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 5}, "Epochs: 2 for a; 2 of 5 for b."),
        ({"batch_size": 16}, "Batch size: 32 for a; 16 for b."),
        ({"image_size": 128}, "Image size: the backbone's own for a; 128 pixels for b."),
        (
            {"augmentation": {"crop_area": 0.5, "flip": True}},
            "Augmentation: none for a; random crops of at least 50 % of the area and flips for b.",
        ),
        (
            {"trains": "head", "augmentation": {"flip": True, "views": 4}},
            "Augmentation: none for a; flips (4 views per image) for b.",
        ),
    ],
)
def test_what_else_differs_is_said(values: dict[str, object], sentence: str) -> None:
    assert unfairness(all_of(state(SAME, other(**values)))) == (sentence,)


def test_a_probe_has_neither_epochs_nor_batches_but_may_see_views() -> None:
    probe = on_rung("resnet18", "probe")
    other = changed_strategy(probe, name="p2", epochs=9, batch_size=7)
    assert unfairness(all_of(state(SAME, probe, other))) == ()
    augmented = changed_strategy(probe, name="p2", augmentation=msgspec.to_builtins(Augmentation(flip=True)))
    (said,) = unfairness(all_of(state(SAME, probe, augmented)))
    assert said == "Augmentation: none for a and resnet18-probe; flips (8 views per image) for p2."


def changed_runs(one: ExperimentState, **values: object) -> ExperimentState:
    runs: list[RunState] = [msgspec.structs.replace(run, **values) for run in one.runs]
    return msgspec.structs.replace(one, runs=tuple(runs))


def test_what_differs_between_experiments_is_said() -> None:
    first, second = state(SAME), state(other())
    assert second.data is not None
    assert second.decoded is not None
    second = msgspec.structs.replace(
        changed_runs(second, precision="bf16", weights="none (random)"),
        device=ev.Device("cuda:0", "a GPU", 1),
        versions={"torch": "2.16", "numpy": "2"},
        data=msgspec.structs.replace(second.data, split="divided here"),
        decoded=msgspec.structs.replace(second.decoded, fingerprint="abd"),
    )
    assert unfairness(all_of(first, second)) == (
        "Split: as given for a; divided here for b.",
        "Images, labels and split (digest): abc for a; abd for b.",
        "Pretrained weights: IMAGENET1K_V1 for a; none (random) for b.",
        "Precision: fp32 for a; bf16 for b.",
        "Device: a CPU for a; a GPU for b.",
        "Version of torch: 2.15 for a; 2.16 for b.",
    )


def test_seeds_and_folds_that_only_one_has_are_said() -> None:
    assert unfairness(all_of(state(SAME, seeds=(0, 1)), state(other()))) == ("Seeds: 0, 1 for a; 0 for b.",)
    runs = all_of(state(SAME, other(), seeds=(0, 1), folds=2))
    assert unfairness(runs) == ()
    assert unfairness(runs[:-1]) == ("Seeds: 0, 1 (folds 1, 2) for a; 0 (folds 1, 2), 1 (fold 1) for b.",)


def test_runs_that_wait_count_as_they_were_asked_for() -> None:
    waiting = replay(
        [
            ev.ExperimentStarted(
                name="e", spec=Experiment((SAME, other(epochs=5))), device=ev.Device("cpu", "a CPU", 1), versions={},
                data=ev.DataSummary("d", "/d", "folders", ("x", "y"), {"x": 9}, {"x": 3}, "as given"),
            )
        ]
    )  # fmt: skip
    assert unfairness(all_of(waiting)) == ("Epochs: 2 for a; 5 for b.",)
    for over in ({"end": "stopped"}, {"end": "failed"}, {"interrupted": True}):
        assert unfairness(all_of(msgspec.structs.replace(waiting, **over))) == (), "they will get no result"


def test_a_run_in_its_first_epoch_counts_as_it_was_asked_for() -> None:
    made = state(SAME, other(epochs=5))
    runs = (made.runs[0], msgspec.structs.replace(made.runs[1], epochs=(), status="running"))
    assert unfairness(all_of(msgspec.structs.replace(made, runs=runs))) == ("Epochs: 2 for a; 5 for b.",)
