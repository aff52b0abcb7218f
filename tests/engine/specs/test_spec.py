from pathlib import Path

import pytest

from engine.data.discover import discover
from engine.errors import DataError, UserError
from engine.specs import spec
from engine.specs.presets import DEFAULT_STRATEGIES, known_strategies, named, on_rung, presets, rungs, strategies_from
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import LBFGS, SGD, ExponentialLR, StepLR, changed_strategy, settings
from engine.specs.toml import LARGEST_TOML, read_toml


def write(folder: Path, text: str) -> Path:
    path = folder / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_two_presets_are_what_they_stand_for() -> None:
    fine_tuning, extraction = (presets()[name] for name in DEFAULT_STRATEGIES)
    assert (fine_tuning.backbone, fine_tuning.trains) == ("resnet18", "all")
    assert isinstance(fine_tuning.optimizer, SGD)
    assert fine_tuning.optimizer.momentum == 0.9
    assert isinstance(fine_tuning.schedule, StepLR)
    assert fine_tuning.schedule.step_size < fine_tuning.epochs, "a step that never comes is no schedule"
    assert (extraction.backbone, extraction.trains) == ("mobilenet_v3_small", "head")
    assert isinstance(extraction.optimizer, SGD)
    assert extraction.optimizer.momentum == 0.9
    assert isinstance(extraction.schedule, ExponentialLR)


def test_any_backbone_on_any_rung_has_a_name() -> None:
    assert list(rungs()) == ["probe", "extract", "finetune", "bn", "last-stage", "lpft", "layerwise"]
    assert named("vit_b_16-last-stage", {}).trains == "last-stage"
    assert named("mobilenetv3-bn", {}).backbone == "mobilenet_v3_small"
    probe = named("resnet50-probe", {})
    assert (probe.backbone, probe.trains, probe.epochs, probe.learning_rate) == ("resnet50", "head", 1, None)
    assert isinstance(probe.optimizer, LBFGS)
    assert named("resnet18-lpft", {}).head == "probe"
    assert named("resnet18-layerwise", {}).layer_decay == 0.5
    for name in DEFAULT_STRATEGIES:
        assert named(name, {}) == presets()[name]
    mine = changed_strategy(probe, name="resnet50-probe", image_size=160)
    assert named("resnet50-probe", {"resnet50-probe": mine}) == mine, "a person's own comes first"


@pytest.mark.parametrize("name", ["resnet18", "resnet18-", "-probe", "a b-probe"])
def test_what_is_no_strategy_is_told_with_what_there_is(name: str) -> None:
    with pytest.raises(UserError, match=r"there are resnet18-finetune.*BACKBONE-RUNG.*last-stage") as caught:
        named(name, presets())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnet50-prob", "resnet50-probe"),
        ("vit_b_16-layer-wise", "vit_b_16-layerwise"),
        ("resnet18-finetune-2", "resnet18-finetune"),
        ("Mobilenetv3-Probe", "mobilenetv3-probe"),
    ],
)
def test_what_is_nearly_a_strategy_is_asked_for(name: str, meant: str) -> None:
    with pytest.raises(UserError) as caught:
        named(name, presets())
    assert str(caught.value) == f"there is no strategy {name!r}; did you mean {meant}?"


def test_a_probe_has_one_epoch_whatever_is_asked() -> None:
    probe = on_rung("resnet18", "probe")
    assert changed_strategy(probe, epochs=7) == probe


def test_an_experiment_survives_toml(tmp_path: Path) -> None:
    known = presets()
    experiment = Experiment(
        strategies=(
            *known.values(),
            *(on_rung("resnet50", rung) for rung in rungs()),
            changed_strategy(on_rung("resnet34", "probe"), class_weights="balanced"),
        ),
        data=DataSource(path="/some/where [red]x[/]", images="/images", val_fraction=0.3),
        seeds=(3, 1),
        weights="none",
        device="cpu",
        precision="fp32",
    )
    assert spec.load_experiment(write(tmp_path, spec.to_toml(experiment)), {}) == experiment


def test_a_file_without_strategies_means_the_default_ones(tmp_path: Path) -> None:
    known = presets()
    experiment = spec.load_experiment(write(tmp_path, "seeds = [7]"), known)
    assert tuple(strategy.name for strategy in experiment.strategies) == DEFAULT_STRATEGIES
    assert experiment.seeds == (7,)


def test_based_on_takes_the_other_values() -> None:
    known = presets()
    mine = strategies_from(
        {
            "strategies": [
                {"name": "a", "based_on": "resnet18-finetune", "epochs": 9, "optimizer": {"lr": 0.5}},
                {"name": "b", "based_on": "a", "schedule": {"name": "ExponentialLR", "gamma": 0.5}},
            ]
        },
        known,
        "here",
    )
    assert mine["a"].epochs == 9
    assert mine["a"].optimizer == SGD(lr=0.5, momentum=0.9)
    assert mine["a"].schedule == known["resnet18-finetune"].schedule
    assert mine["b"].schedule == ExponentialLR(gamma=0.5)
    assert mine["b"].optimizer == mine["a"].optimizer
    (other,) = strategies_from(
        {"strategies": [{"name": "c", "based_on": "vit_b_16-bn", "epochs": 2}]}, known, "here"
    ).values()
    assert (other.backbone, other.trains, other.epochs) == ("vit_b_16", "batch-norm", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [1, 1]", "duplicate seed 1"),
        ("seeds = []", "seeds: must not be empty"),
        ("colour = 'red'", "there is no setting 'colour'"),
        ("precision = 'fp8'", "precision: there is no 'fp8'; there are auto, fp32, tf32, bf16, fp16"),
        ("[[strategies]]\nname = 'x'\nepochs = 0", "strategies[0]: epochs: must be a whole number of at least 1"),
        (
            "[[strategies]]\nname = 'x'\noptimizer = { name = 'SGD', lr = -1.0 }",
            "optimizer.lr: must be a number above 0",
        ),
        (
            "[[strategies]]\nname = 'x'\nschedule = { name = 'Nope' }",
            "schedule.name: there is no 'Nope'; there are StepLR, Exp",
        ),
        (
            "[[strategies]]\nname = 'x'\noptimizer = { name = 'LBFGS' }",
            "strategies[0]: LBFGS finds the best last layer; it needs trains = 'head'",
        ),
        (
            "[[strategies]]\nbased_on = 'resnet18-probe'\nname = 'x'\noptimizer = { l2 = [] }",
            "optimizer.l2: must not be empty",
        ),
        (
            "[[strategies]]\nbased_on = 'resnet18-probe'\nname = 'x'\noptimizer = { l2 = [0.0] }",
            "must be a number above 0",
        ),
        ("[[strategies]]\nbased_on = 'resnet18-probe'\nname = 'x'\noptimizer = { folds = 1 }", "optimizer.folds"),
        ("[[strategies]]\nname = 'x'\nlayer_decay = 1.5", "layer_decay: must be a number of at most 1"),
        ("[[strategies]]\nname = 'x'\nlayer_decay = 0.0", "layer_decay: must be a number above 0"),
        (
            "[[strategies]]\nname = 'x'\nclass_weights = 'inverse'",
            "class_weights: there is no 'inverse'; there are none, balanced",
        ),
        ("[[strategies]]\nname = 'x'\nhead = 'zero'", "head: there is no 'zero'; there are random, probe"),
        (
            "[[strategies]]\nname = 'x'\ntrains = 'tail'",
            "trains: there is no 'tail'; there are all, head, batch-norm, last-stage",
        ),
        ("[[strategies]]\nname = '../x'", "strategies[0]: name"),
        ("[[strategies]]\nbased_on = 'nobody'\nname = 'x'", "no strategy 'nobody'; there are resnet18-finetune"),
        ("[[strategies]]\nname = 'x'\n[[strategies]]\nname = 'x'", "duplicate name 'x'"),
        ("[[strategies]]\nbased_on = ['a']\nname = 'x'", "no strategy ['a']"),
        (
            "[[strategies]]\nname = 'x'\noptimizer = { name = 'SGD', lr = inf }",
            "optimizer.lr: must be a number of at most 1e+30",
        ),
        ("[[strategies]]\nname = 'x'\noptimizer = { name = 'SGD', lr = nan }", "optimizer.lr: must be a number"),
        ("[[strategies]]\nname = 'x'\nbatch_size = 99999999999999999999", "batch_size"),
        ("strategies = 3", "strategies must be written as [[strategies]] tables"),
        ("not toml at all", "not valid TOML"),
        ("a = " + "[" * 5000, "not valid TOML"),
        ("# " + "x" * LARGEST_TOML, "larger than"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        spec.load_experiment(path, presets())
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.toml: No such file"):
        read_toml(tmp_path / "no.toml")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_toml(tmp_path / "raw.toml")


def test_own_strategies_are_added_to_those_that_ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write(tmp_path, "[[strategies]]\nname = 'mine'\nbased_on = 'resnet18-finetune'\nepochs = 2")
    monkeypatch.setattr("engine.specs.presets.own_strategies_file", lambda: own)
    known = known_strategies()
    assert known["mine"].epochs == 2
    assert set(DEFAULT_STRATEGIES) < set(known)


def test_changed_values_are_checked_like_read_ones() -> None:
    strategy = presets()["resnet18-finetune"]
    assert changed_strategy(strategy, optimizer={"lr": 0.25}).optimizer == SGD(lr=0.25, momentum=0.9)
    with pytest.raises(
        UserError, match=r"strategy resnet18-finetune: batch_size: must be a whole number of at least 1"
    ):
        changed_strategy(strategy, batch_size=0)
    experiment = spec.default_experiment(presets())
    with pytest.raises(UserError, match="seeds"):
        spec.changed(experiment, seeds=(-1,))


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = spec.changed(spec.default_experiment(presets()), data={"path": "x"}, weights="w")
    moved = spec.with_absolute_paths(experiment)
    assert moved.data.path == str(tmp_path / "x")
    assert moved.data.images is None
    assert moved.weights == str(tmp_path / "w")
    assert spec.with_absolute_paths(spec.default_experiment(presets())).weights == "default"


def test_an_empty_path_is_not_the_present_folder() -> None:
    """As of a shell's variable that is not set."""
    moved = spec.with_absolute_paths(spec.changed(spec.default_experiment(presets()), data={"path": ""}))
    with pytest.raises(DataError, match="the path of the data is empty"):
        discover(moved.data)


def test_settings_are_those_that_mean_something_to_a_strategy() -> None:
    tuned, frozen = (settings(presets()[name]) for name in DEFAULT_STRATEGIES)
    probe = settings(on_rung("resnet50", "probe"))
    assert "name" not in {*tuned, *frozen, *probe}
    assert (tuned["schedule.name"], tuned["augmentation.flip"]) == ("StepLR", True)
    assert tuned.keys() - frozen.keys() == {"head", "layer_decay", "schedule.step_size"}
    assert frozen.keys() - tuned.keys() == {"augmentation.views"}
    assert frozen.keys() - probe.keys() == {
        *("epochs", "batch_size", "schedule.name", "schedule.gamma"),
        *("optimizer.lr", "optimizer.momentum", "optimizer.weight_decay"),
    }
    assert probe.keys() - frozen.keys() == {"optimizer.l2", "optimizer.folds"}


def test_one_view_of_an_image_is_no_augmentation_of_a_frozen_backbone() -> None:
    tuned, frozen = (changed_strategy(presets()[name], augmentation={"flip": True}) for name in DEFAULT_STRATEGIES)
    assert tuned.is_augmented and frozen.is_augmented
    assert changed_strategy(tuned, augmentation={"views": 1}).is_augmented
    assert not changed_strategy(frozen, augmentation={"views": 1}).is_augmented
    still = {"flip": False, "crop_area": 1.0}
    assert not any(changed_strategy(one, augmentation=still).is_augmented for one in (tuned, frozen))
