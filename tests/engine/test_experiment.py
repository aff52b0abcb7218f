"""Whole experiments on tiny images with random weights, through the log."""

from __future__ import annotations

import gc
import hashlib
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from engine import export, progress
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.verdict import verdict
from engine.data.dataset import summary
from engine.data.discover import discover
from engine.data.prepared import Prepared
from engine.devices.memory_probe import MemoryProbe
from engine.errors import ChangedError, DataError, UserError
from engine.history.experiment_state import read_state
from engine.history.removal import contents
from engine.hosts import thread
from engine.logs import events as ev
from engine.logs.events import Event, Memory
from engine.logs.folder import WRITER_LOCK, checkpoint_file
from engine.logs.log import EventLog, event_reader, send_command
from engine.logs.writer_lock import is_being_written
from engine.models import weights
from engine.models.backbones import Network
from engine.models.weight_files import hub_cache
from engine.ranking import rank
from engine.running import experiment as engine_experiment
from engine.running import one_run
from engine.running.experiment import run
from engine.specs.presets import named, presets
from engine.specs.spec import DataSource, Experiment, changed, default_experiment, load_experiment
from engine.specs.strategy import Strategy, changed_strategy
from engine.states.peaks import PeakMemory
from engine.states.replay import replay
from engine.states.state import ExperimentState, condition
from engine.training import evaluation, features, fit
from engine.training.feature_store import FeatureStore
from tests.engine.running import small, small_experiment, wait_for

SECONDS = 60.0
FINE_TUNING, EXTRACTION = "resnet18-finetune-0", "mobilenetv3-extract-0"


def experiment(data: Path, **values: object) -> Experiment:
    """Both presets, small and without pretrained weights."""
    extraction = changed_strategy(presets()["mobilenetv3-extract"], epochs=2, batch_size=4, image_size=32)
    return changed(small_experiment(small("resnet18-finetune", epochs=2), extraction, data=data), **values)


def run_in(folder: Path, asked: Experiment) -> ev.ExperimentFinished | None:
    """Runs it in this thread."""
    folder.mkdir(exist_ok=True)
    with EventLog(folder) as log:
        return run(asked, discover(asked.data), log, deque())


def test_it_waits_for_a_ranking_that_still_computes(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    asked = experiment(image_folder(), strategies=(changed_strategy(presets()["mobilenetv3-extract"], image_size=32),))
    ranking = rank(discover(asked.data), ["mobilenet_v3_small"], "none", "cpu")
    next(ranking)
    host = thread.start(asked, tmp_path / "runs")
    assert not host.wait(1)
    assert not [one for one in event_reader(host.folder).read() if isinstance(one, ev.RunStarted)]
    ranking.close()
    assert host.wait(SECONDS)
    assert read_state(host.folder).end == "finished"


def test_nothing_of_a_failed_experiment_stays_in_memory(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images, on a card half of what there is, are known to the frames of the error that ended it."""
    images: list[weakref.ref[Prepared]] = []

    def unusable(prepared: Prepared, *_: object) -> Prepared:
        images.append(weakref.ref(prepared))
        raise UserError("they cannot be used") from KeyError("first")

    monkeypatch.setattr(one_run, "InputImages", unusable)
    host = thread.start(experiment(image_folder()), tmp_path / "runs")
    assert host.wait(SECONDS)
    assert host.error == "they cannot be used"
    gc.collect()  # what only knows itself does not stay
    assert [one() for one in images] == [None]


def test_what_an_earlier_experiment_took_is_given_back_before_there_is_to_be_room_for_images(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = list[str]()

    def stopped(*_: object) -> Generator[Event, None, Prepared]:
        happened.append("images")
        raise UserError("enough")
        yield

    monkeypatch.setattr(engine_experiment, "release_memory", lambda: happened.append("released"))
    monkeypatch.setattr(one_run, "images_of", stopped)
    with pytest.raises(UserError, match="enough"):
        run_in(tmp_path / "x", experiment(image_folder()))
    assert happened == ["released", "images"]


def test_features_leave_the_card_once_the_head_that_they_were_for_is_in_place(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, real = list[str](), FeatureStore.leave_device

    def noted(store: FeatureStore) -> None:
        left.append(type(event_reader(tmp_path / "x").read()[-1]).__name__)
        real(store)

    monkeypatch.setattr(FeatureStore, "leave_device", noted)
    begins_with_a_probe = small("resnet18-finetune", epochs=1, head="probe")
    run_in(tmp_path / "x", small_experiment(begins_with_a_probe, data=image_folder()))
    assert left == ["ProbeSolved"]


def test_both_strategies_from_start_to_end(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    asked = experiment(image_folder())
    host = thread.start(asked, tmp_path / "runs")
    assert host.wait(SECONDS)
    assert host.failure is None
    assert load_experiment(host.folder / "experiment.toml", {}) == asked
    state = read_state(host.folder)
    assert state.end == "finished"
    assert [run.run for run in state.runs] == [FINE_TUNING, EXTRACTION]
    for run_state in state.runs:
        assert run_state.status == "finished"
        assert [epoch.epoch for epoch in run_state.epochs] == [1, 2]
        assert [epoch.learning_rate for epoch in run_state.epochs] == pytest.approx(run_state.learning_rates)
        assert run_state.best
    for saved in state.files:
        assert (host.folder / saved.path).stat().st_size > 0
    assert {(saved.run, saved.kind) for saved in state.files} == {
        (run, kind) for run in (FINE_TUNING, EXTRACTION) for kind in ("best", "predictions")
    }
    fine_tuning, extraction = compare([Source(state)]).runs
    assert fine_tuning.parameters_trainable == fine_tuning.parameters_total
    assert extraction.parameters_trainable == 2 * 1024 + 2
    export.write(compare([Source(state)]), host.folder)
    inside = contents(host.folder)
    assert not inside.is_left
    assert (inside.networks, inside.is_exported, inside.strange) == (2, True, ()), "all of it is known as tl-tui's"
    assert fine_tuning.peak_memory_bytes
    assert any("not transfer learning" in warning.message for warning in state.warnings)
    assert not is_being_written(host.folder)


def test_the_second_experiment_is_foretold_by_the_first_and_finds_what_that_prepared(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = experiment(image_folder())
    run_in(tmp_path / "a-20260101-000000", asked)
    run_in(tmp_path / "b-20260102-000000", changed(asked, seeds=(0, 1)))
    first, second = (read_state(folder) for folder in sorted(tmp_path.glob("?-*")))
    assert first.forecast == ev.Forecast({}, decodes=True)
    assert not second.forecast.decodes
    took = {one.strategy.name: one.seconds or 0.0 for one in first.runs}
    assert set(second.forecast.seconds) == set(took)
    assert 2 * took["resnet18-finetune"] < second.forecast.seconds["resnet18-finetune"]


def test_weights_that_cannot_be_had_are_told_before_anything_trains(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(weights, "MIRRORS", {})
    hub_cache().mkdir(parents=True)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), hub_cache() / "here")
    digest = hashlib.sha256((hub_cache() / "here").read_bytes()).hexdigest()[:8]
    (hub_cache() / "here").rename(hub_cache() / f"squeezenet1_1-{digest}.pth")
    monkeypatch.setattr(
        weights,
        "_official",
        lambda backbone: weights._Official(f"{backbone}-{digest}.pth", "http://127.0.0.1:9/", backbone),
    )
    run_in(tmp_path / "run", experiment(image_folder(), weights="default"))
    events = event_reader(tmp_path / "run").read()
    kinds = [type(event) for event in events]
    told = kinds.index(ev.Warned)
    assert told < kinds.index(ev.RunStarted)
    warned = events[told]
    assert isinstance(warned, ev.Warned)
    assert "mobilenet_v3_small comes later and would fail: no pretrained weights" in warned.message
    assert [run.status for run in replay(events).runs] == ["finished", "failed"]


PROBE = named("resnet18-probe", {})


@pytest.mark.parametrize(
    ("strategy", "values", "warned"),
    [
        (PROBE, {}, True),
        (PROBE, {"seeds": [0]}, False),
        (PROBE, {"folds": 2}, False),
        (PROBE, {"weights": "none"}, False),
        (changed_strategy(PROBE, augmentation={"flip": True}), {}, False),
        (named("resnet18-lpft", {}), {}, False),
    ],
)
def test_seeds_that_change_next_to_nothing_are_told_at_the_start(
    image_folder: Callable[..., Path], tmp_path: Path, strategy: Strategy, values: dict[str, object], warned: bool
) -> None:
    asked = experiment(image_folder(), **{"strategies": [strategy], "seeds": [0, 1], "weights": "default", **values})
    with EventLog(tmp_path) as log:
        engine_experiment._begin(asked, discover(asked.data), log, ev.Device("cpu", "some", 1), ExperimentState())
    said = [event.message for event in event_reader(tmp_path).read() if isinstance(event, ev.Warned)]
    assert any("resnet18-probe: the seed only affects" in message for message in said) == warned


@pytest.mark.parametrize(("folds", "warned"), [(None, ["validation", "test"]), (2, ["test"])])
def test_folds_keep_groups_whole_so_no_leak_into_validation_is_told_at_the_start(
    image_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folds: int | None,
    warned: list[str],
) -> None:
    asked = experiment(image_folder(), folds=folds)
    leak = ev.Leak(no_pixels=0.9, majority=0.5, shared=100, images=100)
    leaking = msgspec.structs.replace(summary(discover(asked.data)), leak=leak, test_leak=leak)
    monkeypatch.setattr(engine_experiment, "summary", lambda _: leaking)
    with EventLog(tmp_path) as log:
        engine_experiment._begin(asked, discover(asked.data), log, ev.Device("cpu", "some", 1), ExperimentState())
    said = [event.message for event in event_reader(tmp_path).read() if isinstance(event, ev.Warned)]
    assert {part for part in ("validation", "test") if any(f"{part} images share a group" in one for one in said)} == {
        *warned
    }


def test_every_stage_tells_how_far_it_is(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (progress, fit, evaluation):
        monkeypatch.setattr(module, "every", lambda *_: lambda: True)
    run_in(tmp_path, experiment(image_folder()))
    told: dict[str, list[tuple[int, int]]] = {}
    for event in event_reader(tmp_path).read():
        if isinstance(event, ev.Progress):
            told.setdefault(event.stage, []).append((event.step, event.steps))
    assert set(told) == {"decoding", "features", "training", "validating"}
    for stage, steps in told.items():
        assert all(0 <= step <= of for step, of in steps), stage
        assert any(step == of > 0 for step, of in steps), stage
    assert {of for _, of in told["validating"]} == {8}, "images"


def test_another_experiment_beside_it_is_told(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    strategies = (changed_strategy(presets()["mobilenetv3-extract"], epochs=1, image_size=32),)
    asked = experiment(image_folder(), strategies=strategies)
    (tmp_path / "other").mkdir()
    with EventLog(tmp_path / "other") as other:
        other.append(ev.Warned(message="begun"))
        (other.folder / WRITER_LOCK).write_text(f"{socket.gethostname()} 1\n")
        run_in(tmp_path / "run", asked)
    state = read_state(tmp_path / "run")
    assert [one.message for one in state.warnings if "also running" in one.message] == [
        "other is also running on this machine: all times are inflated"
    ]
    assert all(row.ran_beside_another for row in compare([Source(state)]).runs)


def test_another_experiment_that_begins_later_is_told_of_the_runs_beside_it(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategies = (changed_strategy(presets()["mobilenetv3-extract"], epochs=1, image_size=32),)
    asked = experiment(image_folder(), strategies=strategies, seeds=(0, 1))
    (tmp_path / "other").mkdir()
    drive, names = engine_experiment._drive, list[str]()

    def begins_during_the_second(*arguments: Any, **named: Any) -> Any:
        names.append(arguments[3])
        if len(names) == 2:
            other.append(ev.Warned(message="begun"))
            (other.folder / WRITER_LOCK).write_text(f"{socket.gethostname()} 1\n")
        return drive(*arguments, **named)

    monkeypatch.setattr(engine_experiment, "_drive", begins_during_the_second)
    with EventLog(tmp_path / "other") as other:
        run_in(tmp_path / "run", asked)
    state = read_state(tmp_path / "run")
    assert [(row.run, row.ran_beside_another) for row in compare([Source(state)]).runs] == [
        (names[0], False),
        (names[1], True),
    ]


def test_another_experiment_that_ends_is_told_of_the_runs_beside_it(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategies = (changed_strategy(presets()["mobilenetv3-extract"], epochs=1, image_size=32),)
    asked = experiment(image_folder(), strategies=strategies, seeds=(0, 1))
    (tmp_path / "other").mkdir()
    drive = engine_experiment._drive

    def ends_during_the_first(*arguments: Any, **named: Any) -> Any:
        (tmp_path / "other" / WRITER_LOCK).unlink(missing_ok=True)
        return drive(*arguments, **named)

    monkeypatch.setattr(engine_experiment, "_drive", ends_during_the_first)
    with EventLog(tmp_path / "other") as other:
        other.append(ev.Warned(message="begun"))
        (other.folder / WRITER_LOCK).write_text(f"{socket.gethostname()} 1\n")
        run_in(tmp_path / "run", asked)
    state = read_state(tmp_path / "run")
    assert [row.ran_beside_another for row in compare([Source(state)]).runs] == [True, False]


def test_seeds_run_one_after_the_other(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    strategies = (changed_strategy(presets()["mobilenetv3-extract"], epochs=1, image_size=32),)
    host = thread.start(experiment(image_folder(), strategies=strategies, seeds=(2, 1)), tmp_path)
    assert host.wait(SECONDS)
    events = event_reader(host.folder).read()
    started = [event.run for event in events if isinstance(event, ev.RunStarted)]
    assert started == ["mobilenetv3-extract-2", "mobilenetv3-extract-1"]
    assert sum(isinstance(event, ev.DataDecoded) for event in events) == 1, "decoded once for all"


def test_images_of_every_side_are_decoded_once(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    small = {"epochs": 1, "image_size": 32}
    one = changed_strategy(presets()["mobilenetv3-extract"], **small)
    other = changed_strategy(one, name="larger", image_size=64)
    host = thread.start(experiment(image_folder(), strategies=(one, other), seeds=(0, 1)), tmp_path)
    assert host.wait(SECONDS)
    events = event_reader(host.folder).read()
    assert sum(isinstance(event, ev.RunFinished) for event in events) == 4
    assert sum(isinstance(event, ev.DataDecoded) for event in events) == 2


def test_images_that_change_between_two_sides_are_not_compared_as_if_they_were_the_same(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data, folder = image_folder(), tmp_path / "run"
    one = small("mobilenetv3-extract", epochs=1)
    asked = small_experiment(one, changed_strategy(one, name="larger", image_size=64), data=data)
    picture = data / "val" / "warm" / "0.png"
    before = picture.read_bytes()

    class Meanwhile(EventLog):
        def append(self, event: ev.Event) -> ev.Event:
            if isinstance(event, ev.RunFinished):
                picture.unlink(missing_ok=True)
            return super().append(event)

    folder.mkdir()
    with pytest.raises(ChangedError, match="the images, labels or split"), Meanwhile(folder) as log:
        run(asked, discover(asked.data), log, deque())
    assert [one.status for one in read_state(folder).runs] == ["finished", "waiting"]
    picture.write_bytes(before)
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque())
    state = read_state(folder)
    assert state.end == "finished"
    assert [one.epochs[-1].val.images for one in state.runs] == [8, 8]


def test_features_that_are_found_count_as_long_as_they_took(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    strategies = (changed_strategy(presets()["mobilenetv3-extract"], epochs=1, image_size=32),)
    asked = experiment(image_folder(), strategies=strategies)
    rows = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run_in(tmp_path / name, asked)
        rows += compare([Source(read_state(tmp_path / name))]).runs
    first, second = rows
    assert first.seconds_of_found_features == 0
    assert first.seconds_total is not None and second.seconds_total is not None
    assert 0 < second.seconds_of_found_features < min(first.seconds_total, second.seconds_total)


def test_networks_are_compiled_where_that_is_asked_for(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts, calls = [], []

    def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
        first = next(one for one in network.parameters() if one.dim() == 4)
        layouts.append(first.is_contiguous(memory_format=torch.channels_last))

        def call(images: Tensor) -> Tensor:
            calls.append(len(images))
            made: Tensor = network(images)
            return made

        return call

    monkeypatch.setattr("engine.running.one_run.compiled", compiled)
    run_in(tmp_path, experiment(image_folder(), compile=True))
    assert layouts == [True], "a frozen backbone's features are computed once, without"
    assert calls == [4, 8] + 2 * [4, 4, 4, 8], "warming up, then training and validation of two epochs"


def test_weights_that_are_not_there_are_told_before_anything_trains(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "squeezenet1_1-b8a52dc0.pth").touch()
    asked = experiment(image_folder(), weights=str(tmp_path / "weights"))
    with pytest.raises(UserError, match=r"mobilenetv3-extract: .*no mobilenet_v3_small-047dcff4.pth in this folder"):
        run_in(tmp_path, asked)
    assert not any(isinstance(event, ev.RunStarted) for event in event_reader(tmp_path).read())
    with pytest.raises(UserError, match="in this folder"):
        thread.start(asked, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_of_what_ships_nothing_is_loaded_to_know_that_it_can_be_had() -> None:
    asked = default_experiment(presets())
    assert thread._is_possible_anywhere(asked)
    assert not thread._is_possible_anywhere(changed(asked, device="cuda:7"))


def test_weights_that_are_not_there_leave_no_folder(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    data = DataSource(path=str(image_folder()))
    asked = changed(default_experiment(presets()), data=data, weights=str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"resnet18-finetune: .*resnet18-\w+\.pth"):
        thread.create(asked, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unreadable_image_is_named_and_left_out(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    (data / "train" / "cold" / "broken.png").write_bytes(b"this is no image")
    two_sizes = small("resnet18-finetune", epochs=1), small("mobilenetv3-extract", epochs=1, image_size=40)
    host = thread.start(small_experiment(*two_sizes, data=data), tmp_path / "runs")
    assert host.wait(SECONDS)
    state = read_state(host.folder)
    assert state.end == "finished"
    assert state.decoded
    assert (state.decoded.train, state.decoded.val, state.decoded.left_out) == (12, 8, 1)
    assert sum("broken.png" in warning.message for warning in state.warnings) == 1, "not again for each size of images"


def test_a_class_that_validation_has_lost_is_told(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    for path in (data / "val" / "cold").iterdir():
        path.write_bytes(b"this is no image")
    run_in(tmp_path, experiment(data))
    said = [warning.message for warning in read_state(tmp_path).warnings]
    assert "no validation image of cold can be read, so there is no result for it" in said


def test_an_image_of_two_classes_is_told_in_the_verdict(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    (data / "val" / "cold" / "copy.png").write_bytes((data / "train" / "warm" / "1.png").read_bytes())
    run_in(tmp_path, small_experiment("mobilenetv3-extract", data=data, epochs=1))
    said = verdict(compare([Source(read_state(tmp_path))]))
    assert "1 validation image has a copy in another class: one of the labels is wrong." in said
    assert "1 validation image is also in training, byte for byte." in said


def test_a_failed_run_does_not_keep_the_next_from_running(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    first, second = experiment(image_folder()).strategies
    diverging = changed_strategy(first, optimizer={"lr": 1e12})
    host = thread.start(experiment(image_folder(), strategies=(diverging, second)), tmp_path / "runs")
    assert host.wait(SECONDS)
    state = read_state(host.folder)
    failed = state.run(FINE_TUNING)
    assert failed.status == "failed"
    assert failed.failure
    assert (failed.failure.kind, failed.failure.advice) == ("diverged", "lower the learning rate")
    assert state.run(EXTRACTION).status == "finished"
    assert state.end == "finished"


def test_an_unexpected_error_is_one_line_and_its_traceback_is_kept(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line [red]")

    monkeypatch.setattr("engine.running.one_run.fit", broken)
    host = thread.start(experiment(image_folder()), tmp_path / "runs")
    assert host.wait(SECONDS)
    failure = read_state(host.folder).run(FINE_TUNING).failure
    assert failure
    assert failure.message == "RuntimeError: first line second line [red]"
    assert "Traceback" in (host.folder / "engine.log").read_text()


def test_weights_that_are_not_there_are_told_at_once(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        thread.start(experiment(image_folder(), weights=str(tmp_path / "nowhere")), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_results_that_cannot_be_saved_fail_their_run_alone(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    asked = experiment(image_folder())
    (tmp_path / "checkpoints").write_text("a file where a folder has to be")
    finished = run_in(tmp_path, asked)
    assert finished is not None
    assert finished.end == "finished"
    state = read_state(tmp_path)
    for run_state in state.runs:
        assert run_state.status == "failed"
        assert run_state.failure
        assert run_state.failure.kind == "writing"
        assert len(run_state.epochs) == 2, "what was measured is not lost"


def test_weights_that_do_not_fit_fail_the_runs(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    host = thread.start(experiment(image_folder(), weights=str(tmp_path / "other")), tmp_path / "runs")
    assert host.wait(SECONDS)
    failure = read_state(host.folder).run(FINE_TUNING).failure
    assert failure
    assert failure.kind == "weights"
    assert "other" in failure.message


def test_an_unknown_backbone_is_recorded_and_raised(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    unknown = (changed_strategy(presets()["resnet18-finetune"], backbone="resnet19"),)
    asked = experiment(image_folder(), strategies=unknown)
    with pytest.raises(UserError, match="resnet19"):
        run_in(tmp_path, asked)
    state = read_state(tmp_path)
    assert state.end == "failed"
    assert "resnet19" in state.error


def test_a_schedule_that_leaves_nothing_to_learn_is_told(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    schedule = {"name": "StepLR", "step_size": 1}
    extraction = changed_strategy(presets()["mobilenetv3-extract"], epochs=30, image_size=32, schedule=schedule)
    run_in(tmp_path, experiment(image_folder(), strategies=(extraction,)))
    told = [warned.message for warned in read_state(tmp_path).warnings]
    assert sum("from epoch 4 of 30, StepLR leaves a thousandth" in message for message in told) == 1


def test_a_class_without_readable_images_ends_it(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    for path in (data / "train" / "warm").iterdir():
        path.write_bytes(b"broken")
    asked = experiment(data)
    with pytest.raises(DataError, match="no training image of class warm can be read"):
        run_in(tmp_path, asked)
    assert read_state(tmp_path).end == "failed"


def test_data_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        thread.start(experiment(tmp_path / "nowhere"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("folds", [None, 2])
def test_copies_that_make_results_false_are_told_once_before_the_first_run_trains(
    image_folder: Callable[..., Path], tmp_path: Path, folds: int | None
) -> None:
    data = image_folder("data")
    for known, place in (
        ("train/warm/1.png", "train/cold/of-two-labels.png"),  # neither of them is measured
        ("train/warm/2.png", "val/warm/trained-on.png"),
        ("train/cold/2.png", "val/cold/trained-on.png"),
        ("train/cold/3.png", "test/cold/trained-on.png"),
        ("train/warm/3.png", "test/warm/new.png"),
    ):
        (data / place).parent.mkdir(parents=True, exist_ok=True)
        (data / place).write_bytes((data / known).read_bytes())
    Image.new("RGB", (40, 40), (1, 2, 3)).save(data / "test" / "warm" / "new.png")
    sides = [small("resnet18-finetune", epochs=1), small("mobilenetv3-extract", epochs=1, image_size=64)]
    run_in(tmp_path / "run", small_experiment(*sides, data=data, folds=folds))
    events = event_reader(tmp_path / "run").read()
    begins = next(place for place, event in enumerate(events) if isinstance(event, ev.RunStarted))
    told = [event.message for event in events if isinstance(event, ev.Warned) and "check names them" in event.message]
    before = [event.message for event in events[:begins] if isinstance(event, ev.Warned)]
    in_two_parts = "2 of 10 validation images are also in training, byte for byte; remove them from one of the two"
    folded = (
        "6 images have a byte-for-byte duplicate, which may be in training while the other is validated on; remove all "
        "but one of each"
    )
    assert (
        told
        == [message for message in before if message in told]
        == [
            f"{message} (tl-tui check names them)"
            for message in (
                in_two_parts if folds is None else folded,
                "1 test image is also in training or validation, byte for byte; remove them from the test set",
                "1 duplicate pair has two different labels; check them: one of the labels is wrong",
            )
        ]
    )


class TestCommands:
    @pytest.fixture
    def host(self, image_folder: Callable[..., Path], tmp_path: Path) -> thread.ThreadHost:
        """Two runs that would go on for a very long time."""
        first, second = experiment(image_folder()).strategies
        long = tuple(changed_strategy(strategy, epochs=100_000) for strategy in (first, second))
        host = thread.start(experiment(image_folder(), strategies=long), tmp_path / "runs")
        wait_for(lambda: bool(self.epochs(host)))
        return host

    def epochs(self, host: thread.ThreadHost) -> int:
        state = read_state(host.folder)
        return sum(len(run.epochs) for run in state.runs)

    def test_skip_goes_on_to_the_next_and_stop_ends(self, host: thread.ThreadHost) -> None:
        send_command(host.folder, "skip")
        wait_for(lambda: bool(read_state(host.folder).run(EXTRACTION).epochs))
        host.ask("stop")
        assert host.wait(SECONDS)
        state = read_state(host.folder)
        assert (state.run(FINE_TUNING).status, state.run(EXTRACTION).status) == ("skipped", "stopped")
        assert state.end == "stopped"
        for run_state in state.runs:
            assert (host.folder / "checkpoints" / run_state.run / "best.safetensors").exists()
            assert run_state.seconds

    def test_a_run_that_waits_is_left_out_before_it_begins_and_stays_so(self, host: thread.ThreadHost) -> None:
        stale = checkpoint_file(host.folder, EXTRACTION)
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_bytes(b"")
        send_command(host.folder, "pause")
        wait_for(lambda: read_state(host.folder).paused)
        send_command(host.folder, "skip", EXTRACTION)
        wait_for(lambda: read_state(host.folder).run(EXTRACTION).status == "skipped")
        state = read_state(host.folder)
        assert state.paused and state.run(FINE_TUNING).status == "running" and not stale.exists()
        before = self.epochs(host)
        send_command(host.folder, "resume")
        wait_for(lambda: self.epochs(host) > before)
        host.ask("stop")
        assert host.wait(SECONDS)
        left_out = read_state(host.folder).run(EXTRACTION)
        assert (left_out.status, left_out.started, left_out.seconds, left_out.epochs) == ("skipped", None, None, ())
        assert left_out.most == PeakMemory(), "what the run beside it took is not its own"
        again = thread.resume(host.folder)
        wait_for(lambda: self.epochs(host) > before + 1)
        send_command(host.folder, "skip")
        assert again.wait(SECONDS) and again.failure is None
        state = read_state(host.folder)
        assert ([one.status for one in state.runs], state.end) == (["skipped", "skipped"], "finished")
        events = event_reader(host.folder).read()
        assert {event.run for event in events if isinstance(event, ev.StageChanged | ev.RunStarted)} == {
            "",
            FINE_TUNING,
        }

    def test_a_skip_that_comes_after_the_run_has_ended_spares_the_next(self, host: thread.ThreadHost) -> None:
        send_command(host.folder, "skip", FINE_TUNING)
        wait_for(lambda: bool(read_state(host.folder).run(EXTRACTION).epochs))
        before = self.epochs(host)
        send_command(host.folder, "skip", FINE_TUNING)
        wait_for(lambda: self.epochs(host) > before + 2 or read_state(host.folder).end is not None)
        assert [one.status for one in read_state(host.folder).runs] == ["skipped", "running"]
        host.ask("stop")
        assert host.wait(SECONDS)
        events = event_reader(host.folder).read()
        assert sum(isinstance(event, ev.RunFinished) and event.run == FINE_TUNING for event in events) == 1

    def test_a_pause_holds_and_does_not_count_as_training_time(self, host: thread.ThreadHost) -> None:
        send_command(host.folder, "pause")
        wait_for(lambda: read_state(host.folder).paused)
        before = self.epochs(host)
        time.sleep(1.5)
        assert self.epochs(host) == before
        send_command(host.folder, "resume")
        wait_for(lambda: self.epochs(host) > before)
        host.ask("stop")
        assert host.wait(SECONDS)
        state = read_state(host.folder)
        assert not state.paused
        run_state = state.run(FINE_TUNING)
        assert run_state.seconds is not None
        assert run_state.started is not None
        events = event_reader(host.folder).read()
        (ended,) = [event.elapsed for event in events if isinstance(event, ev.RunFinished)]
        assert ended - run_state.started - run_state.seconds > 1.0
        applied = [event.action for event in events if isinstance(event, ev.CommandApplied)]
        assert applied == ["pause", "resume", "stop"]

    def test_impatience_loses_nothing(self, host: thread.ThreadHost) -> None:
        """Several skips and a stop at once: the first run ends with its files, the experiment with the stop."""
        for action in ("skip", "skip", "stop"):
            send_command(host.folder, action)
        assert host.wait(SECONDS)
        state = read_state(host.folder)
        assert state.end == "stopped"
        assert state.run(FINE_TUNING).seconds
        assert [(saved.run, saved.kind) for saved in state.files] == [
            (FINE_TUNING, "best"),
            (FINE_TUNING, "predictions"),
        ]

    def test_stopping_while_paused(self, host: thread.ThreadHost) -> None:
        send_command(host.folder, "pause")
        wait_for(lambda: read_state(host.folder).paused)
        host.ask("stop")
        assert host.wait(SECONDS)
        assert read_state(host.folder).end == "stopped"

    def test_skipping_while_paused_frees_the_machine_until_a_person_resumes(self, host: thread.ThreadHost) -> None:
        send_command(host.folder, "pause")
        wait_for(lambda: read_state(host.folder).paused)
        send_command(host.folder, "skip")
        wait_for(lambda: read_state(host.folder).run(EXTRACTION).status == "running")
        time.sleep(1.5)
        state = read_state(host.folder)
        assert [condition(one, state) for one in state.runs] == ["skipped", "paused"]
        assert state.paused and not state.run(EXTRACTION).epochs and state.run(EXTRACTION).started is None
        assert (host.folder / "checkpoints" / FINE_TUNING / "best.safetensors").exists()
        send_command(host.folder, "resume")
        wait_for(lambda: bool(read_state(host.folder).run(EXTRACTION).epochs))
        assert not read_state(host.folder).paused
        for action in ("pause", "stop"):
            send_command(host.folder, action)
        assert host.wait(SECONDS)
        events = event_reader(host.folder).read()
        applied = [(event.action, event.run) for event in events if isinstance(event, ev.CommandApplied)]
        assert applied == [
            ("pause", FINE_TUNING), ("skip", FINE_TUNING), ("resume", EXTRACTION), ("pause", EXTRACTION),
            ("stop", EXTRACTION),
        ]  # fmt: skip

    def test_memory_is_sampled_beside_training(self, host: thread.ThreadHost) -> None:
        wait_for(lambda: bool(read_state(host.folder).run(FINE_TUNING).memory))
        host.ask("stop")
        assert host.wait(SECONDS)
        assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_what_strategies_share_is_counted_for_each(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, passes = features.fused, list[int]()

    def slow(network: Network, size: int) -> Callable[[Tensor], Tensor]:
        given = fused(network, size)

        def after_a_while(inputs: Tensor) -> Tensor:
            passes.append(len(inputs))
            time.sleep(0.5)
            return given(inputs)

        return after_a_while

    monkeypatch.setattr(features, "fused", slow)
    small = {"epochs": 1, "image_size": 32, "backbone": "mobilenet_v3_small"}
    strategies = tuple(
        changed_strategy(named(name, {}), **small)
        for name in ("mobilenetv3-extract", "mobilenetv3-probe", "resnet18-extract")
    )
    run_in(tmp_path, experiment(image_folder(), strategies=strategies))
    assert len(passes) == 1
    seconds = [one.seconds for one in read_state(tmp_path).runs]
    assert all(one is not None and one >= 0.5 for one in seconds), seconds


def test_a_card_that_is_lost_beside_training_is_in_the_engine_s_log_alone(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, uncaught = MemoryProbe.sample, []

    def lost(probe: MemoryProbe) -> Memory:
        if threading.current_thread().name == "heartbeat":
            raise RuntimeError("CUDA error: device unavailable")
        return sample(probe)

    monkeypatch.setattr(MemoryProbe, "sample", lost)
    monkeypatch.setattr("engine.running.experiment.HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    asked = experiment(image_folder())
    finished = run_in(tmp_path, msgspec.structs.replace(asked, strategies=asked.strategies[1:]))
    assert finished is not None and finished.end == "finished"
    assert "memory can no longer be measured" in (tmp_path / "engine.log").read_text()
    assert not uncaught
