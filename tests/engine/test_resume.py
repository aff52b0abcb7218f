"""Going on with an experiment that an earlier process left, in whatever state it left it."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.amp import GradScaler

from benchmarks.images import write_images
from engine.clock import Stopwatch
from engine.comparison import predictions
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.devices.meters import Meters
from engine.errors import ChangedError, DataError, LogBusyError, UserError
from engine.history.experiment_state import read_state
from engine.history.removal import contents, remove
from engine.hosts import thread
from engine.logs import events as ev
from engine.logs.events import Action
from engine.logs.folder import EVENTS, NETWORK, checkpoint_file
from engine.logs.log import EventLog, event_reader, send_command
from engine.models.backbones import Network
from engine.running.experiment import run
from engine.specs.presets import on_rung
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
from engine.states.state import ExperimentState
from engine.training import checkpoint, features, fit, head_start, loss_curve, tensor_file
from engine.training.batches import EVALUATION_BATCH
from engine.training.best import BestEpoch
from engine.training.course import Course
from engine.training.run import at_the_start
from tests.engine.parted import Condition, assert_same_files, at, count, ended, numbers, run_in
from tests.engine.running import save_always, small_experiment, undisturbed, wait_for
from tests.engine.training.runs import fine_tuning, make_run, warmed_up

FINE_TUNING, EXTRACTION = "resnet18-finetune-0", "mobilenetv3-extract-0"
SECONDS = 90.0


@pytest.fixture
def _saved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    save_always(monkeypatch)


saved_often = pytest.mark.usefixtures("_saved_often")
"""Where no wish to leave saves where a run stands, or what was saved is to be gone."""


def test_nobody_deletes_it_while_the_data_are_looked_at(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = thread.create(small_experiment(data=image_folder()), tmp_path / "runs")
    asked_about = contents(folder).folder

    def deleted_meanwhile(_: DataSource) -> DataSet:
        with pytest.raises(LogBusyError):
            remove(folder, asked_about)
        raise DataError("the data are gone")

    monkeypatch.setattr(thread, "discover", deleted_meanwhile)
    with pytest.raises(DataError, match="are gone"):
        thread.resume(folder)
    remove(folder, asked_about)
    with pytest.raises((UserError, OSError)):
        thread.resume(folder)
    assert not folder.exists()


def run_until(folder: Path, asked: Experiment, action: Action, when: Condition) -> None:
    """Runs the experiment in this thread, and asks for something at the first such event."""
    run_in(folder, asked, discover(asked.data), action, when=when)


def go_on(folder: Path, asked: Experiment, *, force: bool = False) -> ExperimentState:
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque(), force=force)
    return read_state(folder)


@pytest.mark.parametrize(
    ("when", "fine_tunes"),
    [
        (at("decoding"), False),
        (at("warming up"), False),
        (at("features"), False),
        (at("training"), True),
        (at("validating"), True),
        (ended(1), True),
        (ended(2), True),
    ],
    ids=["decoding", "warming up", "features", "training", "validating", "epoch 1", "epoch 2"],
)
def test_suspended_and_resumed_it_is_the_same_experiment(
    image_folder: Callable[..., Path],
    tmp_path: Path,
    when: Condition,
    fine_tunes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not fine_tunes:  # else leaving makes the checkpoint that is to be gone at the end
        save_always(monkeypatch)
    asked = small_experiment(data=image_folder())
    halved = tmp_path / "halved"
    run_until(halved, asked, "suspend", when)
    left = read_state(halved)
    assert left.suspended
    assert left.end is None
    state = go_on(halved, asked)
    assert state.end == "finished"
    assert not state.suspended
    assert [one.status for one in state.runs] == ["finished", "finished"]
    assert numbers(state) == numbers(read_state(undisturbed(asked, discover(asked.data), tmp_path / "whole")))
    assert [one.epochs[-1].epoch for one in state.runs] == [3, 3]
    elapsed = [event.elapsed for event in event_reader(halved).read()]
    assert elapsed == sorted(elapsed)
    assert not checkpoint_file(halved, FINE_TUNING).exists(), "what is over needs no checkpoint"


def test_within_the_epoch_in_which_it_was_left_losses_are_those_of_the_same_steps(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(loss_curve, "POINT_SECONDS", 0)
    asked = small_experiment("resnet18-finetune", data=image_folder())
    halved, whole = tmp_path / "halved", tmp_path / "whole"
    run_until(halved, asked, "suspend", lambda event: isinstance(event, ev.LossMeasured) and event.epoch == 2)
    assert read_state(halved).run(FINE_TUNING).losses[-1].step == 1
    run_until(whole, asked, "suspend", lambda _: False)

    def losses(state: ExperimentState) -> list[object]:
        return [(one.epoch, one.after, one.step, one.loss) for one in state.run(FINE_TUNING).losses]

    resumed = go_on(halved, asked)
    assert count(halved, lambda event: isinstance(event, ev.RunStarted) and (event.epoch, event.step) == (2, 1)) == 1
    assert losses(resumed) == losses(read_state(whole))
    assert len(losses(resumed)) == 3 * resumed.run(FINE_TUNING).losses[-1].steps > 3


@pytest.mark.parametrize(
    ("rung", "when"),
    [
        ("probe", lambda event: isinstance(event, ev.ProbeSolved)),
        ("probe", at("validating")),
        ("finetune", lambda event: isinstance(event, ev.ProbeSolved)),
    ],
    ids=["a probe, solved", "a probe, validating", "the start of fine-tuning"],
)
def test_a_head_that_was_solved_for_is_the_same_where_the_search_has_a_beginning(
    rung: str, when: Condition, tmp_path: Path
) -> None:
    """A convolution's: another beginning finds another head. Once found, it is not searched for again."""
    strategy = changed_strategy(on_rung("squeezenet1_1", rung), image_size=32, head="probe", epochs=1)
    dataset = discover(DataSource(path=str(write_images(tmp_path / "images", train=12, val=4, side=40))))
    asked, halved = small_experiment(strategy), tmp_path / "halved"
    run_in(halved, asked, dataset, "suspend", when=when)
    assert run_in(halved, asked, dataset).end == "finished"
    assert count(halved, lambda event: isinstance(event, ev.ProbeSolved)) == 1
    assert_same_files(halved, undisturbed(asked, dataset, tmp_path / "whole"))


def test_the_time_of_solving_counts_once_where_a_probe_is_left_right_after_it(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, slow = head_start.probe, 1.0

    def slowly(*arguments: Any) -> Generator[Any, None, Any]:
        time.sleep(slow)
        return (yield from usual(*arguments))

    monkeypatch.setattr(head_start, "probe", slowly)
    strategy = changed_strategy(on_rung("mobilenet_v3_small", "probe"), image_size=32)
    asked = small_experiment(strategy, data=image_folder())
    run_until(tmp_path, asked, "suspend", lambda event: isinstance(event, ev.ProbeSolved))
    found = checkpoint.read(tmp_path, "mobilenet_v3_small-probe-0")
    assert found is not None
    took = found.header.cost.seconds
    (one,) = go_on(tmp_path, asked).runs
    assert one.seconds is not None
    assert slow < took < one.seconds < took + slow
    assert slow < one.epochs[0].train_seconds < one.seconds


def test_of_other_images_a_probe_is_solved_again_by_force(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data, folder = image_folder(), tmp_path / "run"
    asked = small_experiment(changed_strategy(on_rung("mobilenet_v3_small", "probe"), image_size=32), data=data)
    run_until(folder, asked, "suspend", lambda event: isinstance(event, ev.ProbeSolved))
    Image.new("RGB", (40, 40), (1, 2, 3)).save(next((data / "train").rglob("*.png")))
    assert go_on(folder, asked, force=True).end == "finished"
    assert count(folder, lambda event: isinstance(event, ev.ProbeSolved)) == 2


def test_seconds_go_on_from_where_they_stood(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    run_until(tmp_path, asked, "suspend", ended(2))
    before = sum(epoch.seconds for epoch in read_state(tmp_path).run(FINE_TUNING).epochs)
    one = go_on(tmp_path, asked).run(FINE_TUNING)
    assert one.seconds is not None
    assert one.seconds > one.epochs[-1].run_seconds > one.epochs[-2].run_seconds > before


@pytest.mark.parametrize(("rung", "stage"), [("probe", "probing"), ("extract", "training")])
def test_features_that_a_run_extracted_before_it_was_left_are_not_owed_again(
    rung: str, stage: str, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    strategy = changed_strategy(on_rung("squeezenet1_1", rung), image_size=32, epochs=1)
    asked = msgspec.structs.replace(asked, strategies=(strategy,))
    run_until(tmp_path, asked, "suspend", at(stage))
    (left,) = go_on(tmp_path, asked).runs
    assert (left.status, left.seconds_of_found_features) == ("finished", 0.0)


def test_a_checkpoint_of_another_precision_goes_on_in_fp16(tmp_path: Path) -> None:
    """As on a card without bf16: there gradients are scaled, and the checkpoint knows of no scale."""
    first, second = (
        Course(run, at_the_start(run), BestEpoch(run, tmp_path, ("cold", "warm")), "data")
        for run in (make_run(fine_tuning()), make_run(fine_tuning()))
    )
    checkpoint.save(first)
    second.training.scaler = GradScaler("cpu", enabled=True, init_scale=64.0)
    found = checkpoint.read(tmp_path, first.run.name)
    assert found is not None
    checkpoint.restore(found, second)
    assert second.training.scaler.get_scale() == 64.0


@saved_often
def test_what_a_person_stopped_can_be_resumed_and_what_was_skipped_stays_so(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment(data=image_folder())
    run_until(tmp_path, asked, "skip", ended(1))
    assert [one.status for one in read_state(tmp_path).runs] == ["skipped", "finished"]
    assert not checkpoint_file(tmp_path, FINE_TUNING).exists()
    with pytest.raises(UserError, match="nothing is left"):
        thread.resume(tmp_path)
    stopped = tmp_path / "stopped"
    run_until(stopped, asked, "stop", ended(1))
    assert read_state(stopped).end == "stopped"
    state = go_on(stopped, asked)
    assert state.end == "finished"
    assert [len(one.epochs) for one in state.runs] == [3, 3]


def test_killed_before_its_very_last_event_it_can_be_finished(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("mobilenetv3-extract", data=image_folder(), epochs=1)
    whole = go_on(tmp_path, asked)
    lines = (tmp_path / EVENTS).read_bytes().splitlines(keepends=True)
    assert b"ExperimentFinished" in lines[-1]
    (tmp_path / EVENTS).write_bytes(b"".join(lines[:-1]))
    assert read_state(tmp_path).end is None
    host = thread.resume(tmp_path)
    assert host.wait(SECONDS) and host.failure is None
    assert read_state(tmp_path).end == "finished"
    assert numbers(read_state(tmp_path)) == numbers(whole)
    with pytest.raises(UserError, match="is finished: nothing is left"):
        thread.resume(tmp_path)


def test_a_pause_outlives_the_process_and_commands_meanwhile_are_obeyed(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    orders: deque[Action] = deque(["pause"])
    with EventLog(tmp_path) as log:
        orders.append("suspend")
        assert run(asked, discover(asked.data), log, orders) is None
    assert read_state(tmp_path).paused
    send_command(tmp_path, "resume")
    state = go_on(tmp_path, asked)
    assert state.end == "finished"
    actions = [event.action for event in event_reader(tmp_path).read() if isinstance(event, ev.CommandApplied)]
    assert actions == ["pause", "suspend", "resume"]


def could_not_be_better(folder: Path, run_name: str) -> None:
    """The best epoch of a run's checkpoint gets everything right."""
    found = checkpoint.read(folder, run_name)
    assert found is not None and found.header.best_val is not None
    best = msgspec.structs.replace(found.header.best_val, loss=0.0, accuracy=1.0)
    header = msgspec.json.encode(msgspec.structs.replace(found.header, best_val=best)).decode()
    tensor_file.write(checkpoint_file(folder, run_name), found.tensors, {checkpoint.HEADER: header})


def test_changed_images_are_refused_unless_forced(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    asked, folder = small_experiment("resnet18-finetune", data=data), tmp_path / "run"
    run_until(folder, asked, "suspend", ended(1))
    could_not_be_better(folder, FINE_TUNING)
    picture = next((data / "train").rglob("*.png"))
    Image.new("RGB", (40, 40), (1, 2, 3)).save(picture)
    with pytest.raises(ChangedError, match="`tl-tui resume --force` resumes anyway"):
        go_on(folder, asked)
    assert read_state(folder).end is None, "it can still be resumed"
    state = go_on(folder, asked, force=True)
    assert state.end == "finished"
    one = state.run(FINE_TUNING)
    assert [epoch.epoch for epoch in one.epochs] == [1, 2, 3]
    assert any("by force" in warning.message for warning in state.warnings)
    assert one.epochs[1].is_best, "the best before was that of other images"


def test_after_other_weights_by_force_the_best_is_of_the_network_that_goes_on(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    save_file(warmed_up("squeezenet1_1"), file)
    asked = small_experiment("mobilenetv3-extract", data=image_folder(), weights=str(file))
    folder = tmp_path / "run"
    run_until(folder, asked, "suspend", ended(1))
    could_not_be_better(folder, EXTRACTION)
    save_file({name: tensor.flip(0) for name, tensor in warmed_up("squeezenet1_1").items()}, file)
    with pytest.raises(ChangedError, match="the pretrained weights have changed since it began"):
        go_on(folder, asked)
    state = go_on(folder, asked, force=True)
    assert state.end == "finished"
    assert state.run(EXTRACTION).epochs[1].is_best, "the best before was that of another network"


def test_what_was_missing_when_it_was_to_begin_can_be_put_back(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    file, elsewhere = tmp_path / "mine.safetensors", tmp_path / "elsewhere"
    save_file(warmed_up("squeezenet1_1"), file)
    asked = small_experiment("mobilenetv3-extract", data=image_folder(), weights=str(file))
    folder = thread.create(asked, tmp_path / "runs")
    file.rename(elsewhere)
    host = thread.resume(folder)
    assert host.wait(SECONDS)
    assert "no such file" in host.error
    assert read_state(folder).end == "failed"
    elsewhere.rename(file)
    host = thread.resume(folder)
    assert host.wait(SECONDS)
    state = read_state(folder)
    assert (state.end, state.error) == ("finished", "")


@pytest.mark.parametrize("action", ["stop", "skip"])
def test_what_a_run_took_is_not_forgotten_where_it_is_ended_before_it_goes_on(
    image_folder: Callable[..., Path], tmp_path: Path, action: Action
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    run_until(tmp_path, asked, "suspend", ended(2))
    run_until(tmp_path, asked, action, at("decoding"))
    state = read_state(tmp_path)
    ((row,), (one,)) = compare([Source(state, tmp_path)]).runs, state.runs
    assert one.status == ("stopped" if action == "stop" else "skipped")
    assert row.seconds_total == one.epochs[-1].run_seconds and len(one.epochs) == 2
    assert row.cpu_seconds is None


def test_other_versions_are_told(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_experiment("mobilenetv3-extract", data=image_folder())
    monkeypatch.setattr("engine.running.experiment.versions", lambda: {"torch": "1.0"})
    run_until(tmp_path, asked, "suspend", ended(1))
    monkeypatch.undo()
    state = go_on(tmp_path, asked)
    assert any("torch" in warning.message and "(was 1.0)" in warning.message for warning in state.warnings)


def test_a_damaged_checkpoint_is_told_and_the_run_begins_anew(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    run_until(tmp_path, asked, "suspend", ended(2))
    path = checkpoint_file(tmp_path, FINE_TUNING)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    state = go_on(tmp_path, asked)
    assert state.end == "finished"
    assert [epoch.epoch for epoch in state.run(FINE_TUNING).epochs] == [1, 2, 3]
    assert any("starting over" in warning.message for warning in state.warnings)
    assert len(list(path.parent.glob("unused-*.safetensors"))) == 1


def test_a_checkpoint_that_cannot_be_read_now_is_not_overwritten(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    whole = read_state(undisturbed(asked, discover(asked.data), tmp_path / "whole"))
    folder = tmp_path / "run"
    run_until(folder, asked, "suspend", ended(2))
    path = checkpoint_file(folder, FINE_TUNING)
    opened = Path.open

    def stale(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == path:
            raise OSError(errno.ESTALE, "Stale file handle", str(self))
        return opened(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", stale)
        left = go_on(folder, asked).run(FINE_TUNING)
    assert left.failure is not None
    assert "Stale file handle" in left.failure.message
    assert "then resume" in left.failure.advice
    assert numbers(go_on(folder, asked)) == numbers(whole)


def test_a_checkpoint_of_another_version_is_refused_unless_forced(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    run_until(tmp_path, asked, "suspend", ended(2))
    content = checkpoint_file(tmp_path, FINE_TUNING).read_bytes()
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    with pytest.raises(ChangedError, match=r"written by another version .*`tl-tui resume --force` to start it over"):
        go_on(tmp_path, asked)
    assert checkpoint_file(tmp_path, FINE_TUNING).read_bytes() == content
    assert go_on(tmp_path, asked, force=True).end == "finished"
    assert [path.read_bytes() for path in (tmp_path / "checkpoints").rglob("unused-*")] == [content]


@pytest.mark.parametrize("end", ["finished", "skipped"])
@saved_often
def test_the_checkpoint_of_a_run_that_is_over_goes_when_the_others_go_on(
    end: str, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a process is killed right after it has logged that the run is over."""
    asked = small_experiment(data=image_folder())
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "remove", lambda *_: None)
        if end == "finished":
            run_until(tmp_path, asked, "suspend", lambda event: isinstance(event, ev.RunFinished))
        else:
            run_in(tmp_path, asked, discover(asked.data), "skip", "suspend", when=ended(2))
    assert read_state(tmp_path).run(FINE_TUNING).status == end
    assert checkpoint_file(tmp_path, FINE_TUNING).exists()
    assert go_on(tmp_path, asked).end == "finished"
    assert not checkpoint_file(tmp_path, FINE_TUNING).exists()


class KilledError(BaseException):
    """Ends what goes on as if the process were killed."""


def kill(folder: Path, asked: Experiment, when: Condition) -> None:
    """Runs the experiment in this thread, and ends it at the first such event as if the process were killed then."""

    class Dying(EventLog):
        def append(self, event: ev.Event) -> ev.Event:
            if when(event):
                raise KilledError
            return super().append(event)

    with pytest.raises(KilledError), Dying(folder) as log:
        run(asked, discover(asked.data), log, deque())


@pytest.mark.parametrize("when", [at("decoding"), at("warming up")], ids=["decoding", "warming up"])
@saved_often
def test_skipped_before_it_goes_on_it_leaves_the_network_that_its_killed_process_had_no_time_to_save(
    image_folder: Callable[..., Path], tmp_path: Path, when: Condition
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    kill(tmp_path, asked, in_epoch(3))
    assert not (tmp_path / "checkpoints" / FINE_TUNING / NETWORK).exists()
    run_until(tmp_path, asked, "skip", when)
    assert_skipped_with_its_network(tmp_path)


@saved_often
def test_skipped_before_its_turn_a_run_of_a_killed_process_leaves_its_network_then(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """A run is tried again before it, since it had failed."""
    asked = small_experiment(data=image_folder())
    first, second = asked.strategies[1], asked.strategies[0]
    asked = msgspec.structs.replace(asked, strategies=(first, second))
    kill(tmp_path, asked, in_epoch(3))
    log = tmp_path / EVENTS
    over = next(line for line in log.read_bytes().splitlines() if line.startswith(b'{"event":"RunFinished"'))
    failed = msgspec.json.encode(ev.RunFailed(run=EXTRACTION, kind="error", message="lost", advice=""))
    log.write_bytes(log.read_bytes().replace(over, failed))

    class Asking(EventLog):
        def append(self, event: ev.Event) -> ev.Event:
            if isinstance(event, ev.RunStarted) and event.run == EXTRACTION:
                send_command(tmp_path, "skip", FINE_TUNING)
            return super().append(event)

    with Asking(tmp_path) as writing:
        run(asked, discover(asked.data), writing, deque())
    assert read_state(tmp_path).run(EXTRACTION).status == "finished"
    assert_skipped_with_its_network(tmp_path)


def in_epoch(number: int) -> Condition:
    """Of the fine-tuning."""
    return lambda event: (
        isinstance(event, ev.StageChanged)
        and (event.run, event.detail)
        == (
            FINE_TUNING,
            f"epoch {number}",
        )
    )


def assert_skipped_with_its_network(folder: Path) -> None:
    state = read_state(folder)
    one = state.run(FINE_TUNING)
    assert one.status == "skipped"
    assert len(one.epochs) == 2 and one.best is not None and one.seconds is not None
    saved = {event.kind: event.epoch for event in state.files if event.run == FINE_TUNING}
    assert saved == {"best": one.best.epoch, "predictions": one.best.epoch}
    found = predictions.read(folder, FINE_TUNING)
    assert found is not None and found.epoch == one.best.epoch
    assert (folder / "checkpoints" / FINE_TUNING / NETWORK).exists()
    assert not checkpoint_file(folder, FINE_TUNING).exists()


def test_no_epoch_is_there_twice_where_the_log_has_lost_an_earlier_one(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    asked = small_experiment("resnet18-finetune", data=image_folder())
    run_until(tmp_path, asked, "suspend", ended(2))
    lines = (tmp_path / EVENTS).read_bytes().splitlines(keepends=True)
    first = next(line for line in lines if line.startswith(b'{"event":"EpochFinished"'))
    (tmp_path / EVENTS).write_bytes(b"".join(b"damaged\n" if line == first else line for line in lines))
    state = go_on(tmp_path, asked)
    assert [epoch.epoch for epoch in state.run(FINE_TUNING).epochs] == [2, 3]


@pytest.mark.parametrize("fault", ["write", "fsync"])
@saved_often
def test_what_the_log_could_not_keep_is_in_the_checkpoint_where_the_process_is_killed(
    fault: str, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network's disk says that it is full only when what was written is made durable, and has lost that by then."""
    asked, real, kept = small_experiment(data=image_folder()), os.fsync, list[bytes]()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:

        class Failing(EventLog):
            def append(self, event: ev.Event) -> ev.Event:
                if kept and isinstance(event, ev.StageChanged) and event.run == EXTRACTION:
                    patch.undo()
                    raise KilledError
                if ended(3)(event):
                    kept.append((tmp_path / EVENTS).read_bytes())
                    file = self._file.fileno()
                    if fault == "write":
                        patch.setattr(os, "write", full)
                    else:
                        patch.setattr(os, "fsync", lambda one: full() if one == file else real(one))
                return super().append(event)

        with pytest.raises(KilledError), Failing(tmp_path) as log:
            run(asked, discover(asked.data), log, deque())
    (tmp_path / EVENTS).write_bytes(kept[0])
    state = go_on(tmp_path, asked)
    assert state.end == "finished"
    starts = [event for event in event_reader(tmp_path).read() if isinstance(event, ev.RunStarted)]
    assert [(one.run, one.epoch) for one in starts] == [(FINE_TUNING, 1), (FINE_TUNING, 4), (EXTRACTION, 1)]
    assert [[epoch.epoch for epoch in one.epochs] for one in state.runs] == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    "leave",
    [
        partial(run_until, action="suspend", when=ended(1)),
        partial(
            run_until,
            action="suspend",
            when=lambda event: isinstance(event, ev.Progress) and event.stage == "features" and event.step > 0,
        ),
        partial(kill, when=at("training")),
    ],
    ids=["after them", "within them", "killed"],
)
@saved_often
def test_features_that_have_to_be_extracted_again_are_counted_once(
    leave: Callable[[Path, Experiment], None],
    image_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "0")
    monkeypatch.setitem(EVALUATION_BATCH, "cpu", 8)
    monkeypatch.setattr(features, "PROGRESS_SECONDS", 0)
    passes, fused = list[int](), features.fused

    def slow(network: Network, size: int) -> Callable[[Tensor], Tensor]:
        given = fused(network, size)

        def counted(inputs: Tensor) -> Tensor:
            passes.append(len(inputs))
            return given(inputs)

        return counted

    monkeypatch.setattr(features, "fused", slow)
    clock = Stopwatch(lambda: time.perf_counter() + 1e6 * len(passes))
    monkeypatch.setattr("engine.running.experiment.Meters", partial(Meters, clock=clock))
    asked = small_experiment("mobilenetv3-extract", data=image_folder())
    leave(tmp_path, asked)
    one = go_on(tmp_path, asked).run(EXTRACTION)
    assert len(passes) > 3, "20 images take three of them"
    assert one.seconds is not None
    assert 3e6 < one.epochs[-1].run_seconds < one.seconds < 3.1e6
    assert min(epoch.run_seconds for epoch in one.epochs) > 3e6
    assert one.seconds_of_found_features == 0


def test_an_experiment_that_never_began_begins(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder()), tmp_path)
    host = thread.resume(folder)
    assert host.wait(SECONDS)
    assert read_state(folder).end == "finished"


def test_a_second_writer_is_refused_and_the_first_goes_on(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    host = thread.start(small_experiment("resnet18-finetune", data=image_folder()), tmp_path)
    host.ask("pause")  # else it may be over before the second one comes
    with pytest.raises(LogBusyError, match="is being written by process"):
        thread.resume(host.folder)
    host.ask("resume")
    assert host.wait(SECONDS)
    assert read_state(host.folder).end == "finished"


def test_a_lock_of_another_host_is_taken_over_only_by_force(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = thread.create(small_experiment("mobilenetv3-extract", data=image_folder()), tmp_path)
    lock = folder / "writer.lock"
    lock.write_text("elsewhere 4711\n")
    with pytest.raises(LogBusyError, match=r"process 4711 on elsewhere.*--force on the command line"):
        thread.resume(folder)
    assert lock.read_text() == "elsewhere 4711\n"
    host = thread.resume(folder, force=True)
    assert host.wait(SECONDS)
    assert host.failure is None


def test_missing_data_are_refused_and_nothing_is_lost(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder()
    asked, folder = small_experiment("resnet18-finetune", data=data), tmp_path / "run"
    run_until(folder, asked, "suspend", ended(1))
    before = (folder / "events.jsonl").read_bytes()
    data.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="no such"):
        thread.resume(folder)
    assert (folder / "events.jsonl").read_bytes() == before
    shutil.move(tmp_path / "moved", data)
    assert go_on(folder, asked).end == "finished"


def test_waits_are_short_enough_for_a_batch_system(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    host = thread.start(small_experiment("resnet18-finetune", data=image_folder(), epochs=500), tmp_path)
    wait_for(lambda: any(one.epochs for one in read_state(host.folder).runs))
    host.ask("suspend")
    assert host.wait(SECONDS)
    assert read_state(host.folder).suspended
    assert checkpoint_file(host.folder, FINE_TUNING).exists()
