"""A test part is measured once, at the end, with the weights of the best epoch, whatever happens meanwhile."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional

from engine.clock import Stopwatch
from engine.data.dataset import DataSet
from engine.data.prepare import prepare
from engine.devices.meters import Meters
from engine.errors import ChangedError, DataError
from engine.history.experiment_state import read_state
from engine.logs import events as ev
from engine.logs.events import Action, Event
from engine.logs.folder import checkpoint_file
from engine.logs.log import EventLog, event_reader, send_command
from engine.models.backbones import build, preprocessing
from engine.running.experiment import run
from engine.training import evaluation, saving
from engine.training.batches import InputImages
from tests import forked
from tests.engine.parted import (
    EXTRACTION,
    FINE_TUNING,
    assert_same_files,
    at,
    count,
    data_set,
    ended,
    numbers,
    run_in,
)
from tests.engine.running import save_always, small_experiment, undisturbed
from tests.engine.work import result

CPU = torch.device("cpu")
FIRST, SECOND = f"{FINE_TUNING}-0", f"{EXTRACTION}-0"


@pytest.fixture
def _saved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    save_always(monkeypatch)


saved_often = pytest.mark.usefixtures("_saved_often")


@pytest.fixture
def dataset(image_folder: Callable[..., Path]) -> DataSet:
    return data_set(image_folder(), image_folder("other", val=5))


@pytest.mark.parametrize("name", [FINE_TUNING, EXTRACTION])
def test_it_is_what_the_saved_network_says_of_the_test_images(name: str, dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment(name)
    state = run_in(tmp_path / "run", asked, dataset)
    (finished,) = state.runs
    assert finished.test
    assert finished.test.images == len(dataset.test) == 10
    predictions = tmp_path / "run" / "predictions" / f"{name}-0.safetensors"
    saved = load_file(predictions)
    view = preprocessing("squeezenet1_1", 32)
    with ThreadPoolExecutor(1) as later:
        prepared, _ = result(prepare(dataset, view.resize, CPU, later))
    network = build("squeezenet1_1", 2, "all", None, 7)
    network.module.load_state_dict(load_file(tmp_path / "run" / "checkpoints" / f"{name}-0" / "best.safetensors"))
    network.module.eval()
    with torch.no_grad():
        logits = network.module(torch.cat(list(InputImages(prepared, view, CPU).central(prepared.test.rows))))
    labels = torch.tensor([sample.label for sample in dataset.test])
    torch.testing.assert_close(saved["test_logits"], logits)
    assert torch.equal(saved["test_labels"], labels)
    assert finished.test.accuracy == pytest.approx((saved["test_logits"].argmax(1) == labels).double().mean().item())
    assert finished.test.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-4)
    with safe_open(predictions, "pt") as file:
        described = file.metadata()
    assert msgspec.json.decode(described["test_paths"]) == [sample.path for sample in dataset.test]
    assert msgspec.json.decode(described["test_groups"]) == [""] * 10
    assert state.decoded
    assert (state.decoded.train, state.decoded.val, state.decoded.test) == (12, 8, 10)


@pytest.mark.slow
def test_nothing_that_is_chosen_depends_on_it(dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment()
    with_test = run_in(tmp_path / "with", asked, dataset)
    without = run_in(tmp_path / "without", asked, msgspec.structs.replace(dataset, test=()))
    for one, other in zip(with_test.runs, without.runs, strict=True):
        assert one.test
        assert other.test is None
        assert [(epoch.train, epoch.val, epoch.is_best) for epoch in one.epochs] == [
            (epoch.train, epoch.val, epoch.is_best) for epoch in other.epochs
        ]
        for path in (f"checkpoints/{one.run}/best.safetensors", f"predictions/{one.run}.safetensors"):
            found, wanted = load_file(tmp_path / "with" / path), load_file(tmp_path / "without" / path)
            assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    assert count(tmp_path / "without", at("testing")) == 0


@pytest.mark.slow
@pytest.mark.parametrize("when", [at("testing"), ended(3), ended(2)], ids=["testing", "epoch 3", "epoch 2"])
@pytest.mark.parametrize("action", ["suspend", "stop"])
def test_left_at_the_end_and_resumed_it_is_done_and_the_same(
    action: Action, when: Callable[[Event], bool], dataset: DataSet, tmp_path: Path
) -> None:
    asked = small_experiment()
    left = run_in(tmp_path / "halved", asked, dataset, action, when=when)
    assert left.suspended == (action == "suspend")
    state = run_in(tmp_path / "halved", asked, dataset)
    assert state.end == "finished"
    whole = undisturbed(asked, dataset, tmp_path / "whole")
    assert numbers(state) == numbers(read_state(whole))
    assert all(one.test for one in state.runs)
    assert_same_files(tmp_path / "halved", whole)
    trained = [event.epoch for event in event_reader(tmp_path / "halved").read() if isinstance(event, ev.EpochFinished)]
    assert sorted(trained) == [1, 1, 2, 2, 3, 3], "no epoch is trained again for the test"


DYING = """
import os, signal, sys
from collections import deque
from pathlib import Path

import pytest

from engine.running.experiment import run
from engine.logs.log import EventLog
from tests.engine.parted import FINE_TUNING, at, data_set
from tests.engine.running import save_always, small_experiment

class Dying(EventLog):
    def append(self, event):
        if at("testing")(event):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().append(event)

save_always(pytest.MonkeyPatch())
folder, images, other = map(Path, sys.argv[1:])
with Dying(folder) as log:
    run(small_experiment(FINE_TUNING), data_set(images, other), log, deque())
"""


@pytest.mark.slow
def test_killed_while_testing_the_test_is_done_again(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    images, other = image_folder(), image_folder("other", val=5)
    asked, folder, dataset = small_experiment(FINE_TUNING), tmp_path / "halved", data_set(images, other)
    folder.mkdir()
    done = forked.run(["-c", DYING, str(folder), str(images), str(other)], Path(__file__).parents[2], 120)
    assert done.returncode == -signal.SIGKILL
    left = read_state(folder)
    assert (len(left.runs[0].epochs), left.runs[0].test, left.end) == (3, None, None)
    whole = undisturbed(asked, dataset, tmp_path / "whole")
    assert numbers(run_in(folder, asked, dataset)) == numbers(read_state(whole))
    assert_same_files(folder, whole)
    assert count(folder, ended(3)) == 1


def test_paused_while_testing_it_goes_on(dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment(FINE_TUNING)
    whole = numbers(read_state(undisturbed(asked, dataset, tmp_path / "whole")))

    def when(event: Event) -> bool:
        return at("testing")(event) or (isinstance(event, ev.CommandApplied) and event.action == "pause")

    assert numbers(run_in(tmp_path / "paused", asked, dataset, "pause", "resume", when=when)) == whole
    actions = [one.action for one in event_reader(tmp_path / "paused").read() if isinstance(one, ev.CommandApplied)]
    assert actions == ["pause", "resume"]


@pytest.mark.parametrize(("action", "status"), [("stop", "stopped"), ("skip", "skipped")])
@saved_often
def test_what_a_person_ends_is_tested_too(action: Action, status: str, dataset: DataSet, tmp_path: Path) -> None:
    state = run_in(tmp_path / "run", small_experiment(), dataset, action, when=ended(2))
    ended_run = state.run(FIRST)
    assert ended_run.status == status
    assert len(ended_run.epochs) == 2
    assert ended_run.test
    assert "test_logits" in load_file(tmp_path / "run" / "predictions" / f"{FIRST}.safetensors")
    assert checkpoint_file(tmp_path / "run", FIRST).exists() == (action == "stop"), "only that is gone on with"
    assert ended_run.times_tested == 1
    if action == "stop":
        with EventLog(tmp_path / "run") as log:
            run(small_experiment(), dataset, log, deque())
        assert read_state(tmp_path / "run").run(FIRST).times_tested == 2, "which the verdict says"


def begins(event: Event) -> bool:
    return isinstance(event, ev.RunStarted)


@pytest.mark.parametrize("strategy", [FINE_TUNING, EXTRACTION])
@pytest.mark.parametrize("action", ["stop", "skip"])
@pytest.mark.parametrize("when", [at("warming up"), begins], ids=["getting ready", "begun"])
def test_what_was_tested_stays_so_where_it_ends_again_before_it_goes_on(
    when: Callable[[Event], bool], action: Action, strategy: str, dataset: DataSet, tmp_path: Path
) -> None:
    asked, folder = small_experiment(strategy), tmp_path / "run"
    (left,) = run_in(folder, asked, dataset, "stop", when=ended(2)).runs
    predictions = folder / "predictions" / f"{strategy}-0.safetensors"
    saved = load_file(predictions)
    (again,) = run_in(folder, asked, dataset, action, when=when).runs
    assert left.test and left.seconds and again.seconds
    assert again.status == {"stop": "stopped", "skip": "skipped"}[action]
    assert (again.test, again.times_tested, again.best) == (left.test, 1, left.best)
    assert when is begins or again.seconds == left.seconds
    assert torch.equal(load_file(predictions)["test_logits"], saved["test_logits"])
    if action == "stop":
        whole = undisturbed(asked, dataset, tmp_path / "whole")
        assert numbers(run_in(folder, asked, dataset)) == numbers(read_state(whole))
        assert_same_files(folder, whole)


def test_where_no_epoch_has_ended_there_is_nothing_to_test(dataset: DataSet, tmp_path: Path) -> None:
    state = run_in(tmp_path / "run", small_experiment(), dataset, "stop", when=at("training"))
    assert state.run(FIRST).test is None
    assert count(tmp_path / "run", at("testing")) == 0


def test_a_test_can_be_skipped(dataset: DataSet, tmp_path: Path) -> None:
    state = run_in(tmp_path / "run", small_experiment(), dataset, "skip", when=at("testing"))
    assert [(one.status, one.test is None, len(one.epochs)) for one in state.runs] == [
        ("skipped", True, 3),
        ("finished", False, 3),
    ]
    assert "test_logits" not in load_file(tmp_path / "run" / "predictions" / f"{FIRST}.safetensors")


def test_a_signal_need_not_wait_for_the_test_of_what_was_stopped(dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment(FINE_TUNING)

    def when(event: Event) -> bool:
        return ended(2)(event) or at("testing")(event)

    left = run_in(tmp_path / "run", asked, dataset, "stop", "suspend", when=when)
    assert (left.end, left.suspended) == ("stopped", False), "what the person wanted holds"
    assert (left.run(FIRST).status, left.run(FIRST).test) == ("stopped", None)
    state = run_in(tmp_path / "run", asked, dataset)
    assert numbers(state) == numbers(read_state(undisturbed(asked, dataset, tmp_path / "whole")))


@saved_often
def test_what_was_skipped_stays_so_where_a_signal_ends_its_test(dataset: DataSet, tmp_path: Path) -> None:
    def when(event: Event) -> bool:
        return ended(2)(event) or at("testing")(event)

    left = run_in(tmp_path / "run", small_experiment(), dataset, "skip", "suspend", when=when)
    assert (left.end, left.suspended) == (None, True)
    state = run_in(tmp_path / "run", small_experiment(), dataset)
    assert [(one.status, len(one.epochs)) for one in state.runs] == [("skipped", 2), ("finished", 3)]


def test_a_stop_that_comes_while_all_is_suspended_is_obeyed_once_by_who_goes_on(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = saving.before_leaving

    def disturbed(*arguments: Any, **named: Any) -> Generator[Event, None, None]:
        send_command(tmp_path / "run", "stop")
        return leaving(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(saving, "before_leaving", disturbed)
        left = run_in(tmp_path / "run", small_experiment(), dataset, "suspend", when=ended(1))
    assert (left.end, left.suspended, left.run(FIRST).is_over) == (None, True, False)
    assert run_in(tmp_path / "run", small_experiment(), dataset).end == "stopped"
    assert run_in(tmp_path / "run", small_experiment(), dataset).end == "finished"


@saved_often
def test_where_memory_runs_out_it_is_tested_with_fewer_images_at_once(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_experiment(FINE_TUNING)
    evaluated, sizes = evaluation.evaluated, []

    def short(*arguments: Any) -> Generator[Event, None, Any]:
        _, _, _, stage, _, at_once = arguments
        if stage == "testing":
            sizes.append(at_once)
            if at_once is None or at_once > 3:
                raise torch.OutOfMemoryError("out of memory")
        return (yield from evaluated(*arguments))

    monkeypatch.setattr(evaluation, "evaluated", short)
    state = run_in(tmp_path / "run", asked, dataset)
    assert sizes == [None, 5, 2]
    assert any("out of memory while testing" in warning.message for warning in state.warnings)
    monkeypatch.undo()
    (one,), (other,) = state.runs, read_state(undisturbed(asked, dataset, tmp_path / "whole")).runs
    assert one.test
    assert other.test
    assert one.test.accuracy == other.test.accuracy
    assert one.test.loss == pytest.approx(other.test.loss)
    assert checkpoint_file(tmp_path / "run", FIRST).exists() is False


def test_its_time_is_not_the_run_s(dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = evaluation.evaluated
    now = [0.0]

    def slow(*arguments: Any) -> Generator[Event, None, Any]:
        now[0] += 1000 if arguments[3] == "testing" else 0
        return (yield from evaluated(*arguments))

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    monkeypatch.setattr(evaluation, "evaluated", slow)
    monkeypatch.setattr("engine.running.experiment.Meters", partial(Meters, clock=Stopwatch(clock)))
    (finished,) = run_in(tmp_path / "run", small_experiment(EXTRACTION), dataset).runs
    assert finished.test
    assert finished.seconds is not None
    assert finished.seconds < 1000


def test_an_experiment_that_began_without_one_goes_on_without(dataset: DataSet, tmp_path: Path) -> None:
    asked, before = small_experiment(), msgspec.structs.replace(dataset, test=())
    run_in(tmp_path / "run", asked, before, "suspend", when=ended(1))
    state = run_in(tmp_path / "run", asked, dataset)
    assert state.end == "finished"
    assert all(one.test is None for one in state.runs)
    assert not any("by force" in warning.message for warning in state.warnings)


def test_other_test_images_are_other_images(dataset: DataSet, tmp_path: Path) -> None:
    asked = small_experiment(FINE_TUNING)
    run_in(tmp_path / "run", asked, dataset, "suspend", when=ended(1))
    changed = msgspec.structs.replace(dataset, test=dataset.test[1:])
    with pytest.raises(ChangedError, match="--force"):
        run_in(tmp_path / "run", asked, changed)
    assert read_state(tmp_path / "run").end is None


def test_test_images_that_cannot_be_read_are_named(dataset: DataSet, tmp_path: Path) -> None:
    Path(dataset.test[0].path).write_bytes(b"broken")
    state = run_in(tmp_path / "run", small_experiment(EXTRACTION), dataset)
    assert state.runs[0].test
    assert state.runs[0].test.images == 9
    assert any(dataset.test[0].path in warning.message for warning in state.warnings)
    for sample in dataset.test:
        Path(sample.path).write_bytes(b"broken")
    with pytest.raises(DataError, match="no image of the test part can be read"):
        run_in(tmp_path / "broken", small_experiment(EXTRACTION), dataset)
