"""What goes wrong in a run ends that run at most, and loses nothing: disks are really filled, memory really refused."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import engine.running.one_run
from engine.data.discover import discover
from engine.history.experiment_state import read_state
from engine.hosts import thread
from engine.hosts.thread import ThreadHost
from engine.logs import events as ev
from engine.logs.events import Action, Event
from engine.logs.log import EventLog, event_reader
from engine.logs.writer_lock import is_being_written
from engine.models.backbones import build
from engine.running.experiment import run
from engine.specs.spec import Experiment
from engine.states.state import ExperimentState
from engine.training import step
from engine.training.best import BestEpoch
from engine.training.checkpoint import read
from engine.training.retrying import WITHOUT_ONEDNN
from tests import forked
from tests.engine.disks import empty, fill, mounted, remount, take_inodes
from tests.engine.limited import EXTRACTED, IN_PARTS, without_dropout
from tests.engine.running import save_always, small, small_experiment, undisturbed
from tests.engine.training.card import Card

FINE_TUNING, EXTRACTION = "resnet18-finetune-0", "mobilenetv3-extract-0"
ROOT = Path(__file__).parents[2]
SECONDS = 120.0


@pytest.fixture(autouse=True)
def _saved_often(monkeypatch: pytest.MonkeyPatch) -> None:
    save_always(monkeypatch)
    monkeypatch.setattr("engine.running.one_run.SAVE_SECONDS", 0)
    monkeypatch.setattr("engine.training.fit.PROGRESS_SECONDS", 0)
    monkeypatch.setattr("engine.training.evaluation.PROGRESS_SECONDS", 0)


class Watched(EventLog):
    """Does something before an event is written, and remembers why the log could not be written, and what was said."""

    def __init__(self, folder: Path, then: Callable[[Event], None]) -> None:
        super().__init__(folder)
        self.then = then
        self.problems: set[str] = set()
        self.said: list[Event] = []

    def append(self, event: Event) -> Event:
        if threading.current_thread().name != "heartbeat":
            self.said.append(event)
            self.then(event)
        stamped = super().append(event)
        if self.problem is not None:
            self.problems.add(str(self.problem.strerror))
        return stamped


def ended(number: int, run_name: str = FINE_TUNING) -> Callable[[Event], bool]:
    def is_it(event: Event) -> bool:
        return isinstance(event, ev.EpochFinished) and (event.epoch, event.run) == (number, run_name)

    return is_it


def tensors(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {
        str(path.relative_to(folder)): load_file(path)
        for path in sorted(folder.rglob("*.safetensors"))
        if path.name != "last.safetensors"
    }


def assert_same(folder: Path, whole: Path) -> None:
    """The same metrics in every epoch, weights and predictions, bit for bit."""
    for one, other in zip(read_state(folder).runs, read_state(whole).runs, strict=True):
        assert (one.run, one.status) == (other.run, "finished")
        assert [(epoch.epoch, epoch.train, epoch.val, epoch.is_best) for epoch in one.epochs] == [
            (epoch.epoch, epoch.train, epoch.val, epoch.is_best) for epoch in other.epochs
        ]
    found, wanted = tensors(folder), tensors(whole)
    assert len(wanted) == 4
    assert found.keys() == wanted.keys()
    for path, values in wanted.items():
        assert values.keys() == found[path].keys()
        assert all(torch.equal(value, found[path][name]) for name, value in values.items()), path


def assert_undamaged(folder: Path, torn: int = 0) -> None:
    """Every file is whole, and of the same epoch as what belongs to it; so is the log but for so many torn lines."""
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            assert all(file.get_tensor(name) is not None for name in file.keys())  # noqa: SIM118 - no dict
    for predictions in (folder / "predictions").glob("*.safetensors"):
        both = [predictions, folder / "checkpoints" / predictions.stem / "best.safetensors"]
        assert len({safe_open(path, "pt").metadata()["epoch"] for path in both}) == 1
    assert not [path for path in folder.rglob(".*") if path.is_file()], "what was half written takes room"
    reader = event_reader(folder)
    assert isinstance(reader.read()[0], ev.ExperimentStarted)
    assert reader.unreadable <= torn


def messages(events: list[Event] | tuple[ev.Warned, ...]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, ev.Warned))


class TestDisk:
    @pytest.fixture
    def asked(self, image_folder: Callable[..., Path]) -> Experiment:
        return small_experiment(data=image_folder())

    @pytest.mark.slow
    def test_a_disk_that_is_full_for_a_while_costs_nothing(
        self, image_folder: Callable[..., Path], tmp_path: Path
    ) -> None:
        """For so many epochs that what they log does not find room in the last 4 KiB that the log has already."""
        asked = small_experiment(data=image_folder(), epochs=10)
        with mounted(tmp_path / "disk", "size=80m") as disk:
            folder = disk / "run"
            folder.mkdir()

            def then(event: Event) -> None:
                if ended(1)(event):
                    fill(disk)
                elif ended(9)(event):
                    empty(disk)

            log = Watched(folder, then)
            host = ThreadHost(asked, discover(asked.data), log)
            assert host.wait(SECONDS)
            assert host.failure is None
            assert log.problems == {"No space left on device"}
            assert host.problem == ""
            said = messages(read_state(folder).warnings)
            assert "its state could not be saved" in said
            assert "the best epoch could not be saved" in said
            assert "the log could not be written (No space left on device)" in said
            assert read_state(folder).end == "finished"
            assert_undamaged(folder)
            assert_same(folder, undisturbed(asked, discover(asked.data), tmp_path / "whole"))

    @pytest.mark.slow
    def test_a_disk_that_stays_full_ends_the_experiment_properly_and_it_can_be_resumed(
        self, asked: Experiment, tmp_path: Path
    ) -> None:
        with mounted(tmp_path / "disk", "size=80m") as disk:
            folder = disk / "run"
            folder.mkdir()
            log = Watched(folder, lambda event: fill(disk) if ended(2)(event) else None)
            host = ThreadHost(asked, discover(asked.data), log)
            assert host.wait(SECONDS)
            assert host.error.endswith(f"No space left on device: '{folder / 'events.jsonl'}'")
            assert host.problem.endswith("No space left on device")
            failed = {event.run: event.kind for event in log.said if isinstance(event, ev.RunFailed)}
            assert failed == {FINE_TUNING: "writing", EXTRACTION: "writing"}
            epochs = [(event.run, event.epoch) for event in log.said if isinstance(event, ev.EpochFinished)]
            assert epochs == [(name, epoch) for name in (FINE_TUNING, EXTRACTION) for epoch in (1, 2, 3)]
            assert isinstance(log.said[-1], ev.ExperimentFinished)
            assert_undamaged(folder, torn=1)
            assert not is_being_written(folder)
            left = read(folder, FINE_TUNING)
            assert left is not None
            assert (left.header.epoch, left.header.step) >= (2, 0), "the last good one is there"
            empty(disk)
            host = thread.resume(folder)
            assert host.wait(SECONDS)
            assert host.failure is None
            assert_undamaged(folder, torn=1)
            assert_same(folder, undisturbed(asked, discover(asked.data), tmp_path / "whole"))

    @pytest.mark.slow
    def test_a_disk_without_room_for_another_file_fails_the_runs_and_they_can_be_resumed(
        self, asked: Experiment, tmp_path: Path
    ) -> None:
        """The log is there already and goes on; nothing else can be begun, engine.log neither."""
        with mounted(tmp_path / "disk", "size=80m,nr_inodes=100") as disk:
            folder = disk / "run"
            folder.mkdir()
            log = Watched(folder, lambda event: take_inodes(disk) if ended(2)(event) else None)
            host = ThreadHost(asked, discover(asked.data), log)
            assert host.wait(SECONDS)
            assert host.failure is None
            assert log.problems == set()
            state = read_state(folder)
            assert state.end == "finished"
            for left in state.runs:
                assert left.failure is not None
                assert left.failure.kind == "writing"
                assert "No space left on device" in left.failure.message
                assert "resume" in left.failure.advice
                assert len(left.epochs) == 3, "what was measured is not lost"
            assert "its state could not be saved" in messages(state.warnings)
            assert_undamaged(folder)
            empty(disk)
            host = thread.resume(folder)
            assert host.wait(SECONDS)
            assert host.failure is None
            assert_undamaged(folder)
            assert_same(folder, undisturbed(asked, discover(asked.data), tmp_path / "whole"))

    @pytest.mark.slow
    def test_checkpoints_that_become_read_only(self, asked: Experiment, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        with mounted(folder / "checkpoints", "size=80m") as disk:
            log = Watched(folder, lambda event: remount(disk, "ro") if ended(2)(event) else None)
            host = ThreadHost(asked, discover(asked.data), log)
            assert host.wait(SECONDS)
            assert host.failure is None
            state = read_state(folder)
            failures = [left.failure for left in state.runs]
            assert [failure and failure.kind for failure in failures] == ["writing", "writing"]
            assert all(failure and "Read-only file system" in failure.message for failure in failures)
            assert f"its state could not be saved ({disk / FINE_TUNING}" in messages(state.warnings)
            assert_undamaged(folder)
            remount(disk, "rw")
            host = thread.resume(folder)
            assert host.wait(SECONDS)
            assert host.failure is None
            assert_undamaged(folder)
            assert_same(folder, undisturbed(asked, discover(asked.data), tmp_path / "whole"))

    def test_nothing_is_begun_on_a_full_or_read_only_disk(self, asked: Experiment, tmp_path: Path) -> None:
        with mounted(tmp_path / "disk", "size=1m") as disk:
            fill(disk)
            with pytest.raises(OSError, match="No space left on device"):
                thread.start(asked, disk / "runs")
            empty(disk)
            remount(disk, "ro")
            with pytest.raises(OSError, match="Read-only file system"):
                thread.start(asked, disk / "runs")


class TestDiverged:
    def test_the_last_good_state_is_kept_and_the_others_run(
        self, image_folder: Callable[..., Path], tmp_path: Path
    ) -> None:
        """A weight decay that makes the weights half as large again at every step: some go well, then all is lost."""
        optimizer = {"lr": 0.1, "momentum": 0.0, "weight_decay": 25.0}
        bad = small("resnet18-finetune", optimizer=optimizer, epochs=30, backbone="squeezenet1_1")
        asked = small_experiment(bad, "mobilenetv3-extract", data=image_folder())
        with Watched(tmp_path, lambda _: None) as log:
            finished = run(asked, discover(asked.data), log, deque())
        assert finished is not None
        assert finished.end == "finished"
        state = read_state(tmp_path)
        failure = state.run(FINE_TUNING).failure
        assert failure is not None
        assert failure.kind == "diverged"
        assert re.fullmatch(r"the .*loss became (nan|inf) in epoch \d+, (at|after) step \d+", failure.message)
        assert failure.advice == (
            f"lower the learning rate; the last good state is in checkpoints/{FINE_TUNING}/last.safetensors"
        )
        assert state.run(EXTRACTION).status == "finished"
        kept = read(tmp_path, FINE_TUNING)
        assert kept is not None
        assert (kept.header.epoch, kept.header.step) > (1, 0)
        assert all(tensor.isfinite().all() for tensor in kept.tensors.values() if tensor.is_floating_point())
        network = build("squeezenet1_1", 2, "all", None, 0).module.eval()
        weights = {name: tensor for name, tensor in kept.tensors.items() if name.startswith("weights/")}
        network.load_state_dict({name.removeprefix("weights/"): tensor for name, tensor in weights.items()})
        assert network(torch.randn(2, 3, 32, 32)).isfinite().all()

    def test_a_step_that_poisons_the_weights_is_not_saved(
        self, image_folder: Callable[..., Path], tmp_path: Path
    ) -> None:
        """Its own loss is still finite; only the next one is not."""
        asked = small_experiment(small("resnet18-finetune", optimizer={"lr": 1e30}), data=image_folder())
        with Watched(tmp_path, lambda _: None) as log:
            run(asked, discover(asked.data), log, deque())
        told = [event for event in log.said if isinstance(event, ev.Progress) and event.stage == "training"]
        assert [event.step for event in told] == [1]
        failure = read_state(tmp_path).run(FINE_TUNING).failure
        assert failure is not None
        assert failure.message == "the loss became nan in epoch 1, at step 2"
        assert "its state could not be saved (its weights" in messages(read_state(tmp_path).warnings)
        kept = read(tmp_path, FINE_TUNING)
        assert kept is not None
        assert (kept.header.epoch, kept.header.step) == (1, 0)
        assert all(tensor.isfinite().all() for tensor in kept.tensors.values() if tensor.is_floating_point())
        with pytest.raises(ValueError, match="nothing is left to do"):
            thread.resume(tmp_path)


def to_its_end(asked: Experiment, folder: Path) -> None:
    folder.mkdir()
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque())


def suspend_at(folder: Path, asked: Experiment, when: Callable[[Event], bool]) -> None:
    orders: deque[Action] = deque()
    with Watched(folder, lambda event: orders.append("suspend") if when(event) else None) as log:
        assert run(asked, discover(asked.data), log, orders) is None


class TestMemory:
    @pytest.mark.slow
    def test_a_resumed_run_keeps_to_what_fits(self, image_folder: Callable[..., Path], tmp_path: Path) -> None:
        """On a card of half the size, and then on one that would have room for whole batches."""
        asked = small_experiment(small("resnet18-finetune", batch_size=12, image_size=64), data=image_folder(train=12))
        whole, parts, halved = (tmp_path / name for name in ("whole", "parts", "halved"))
        with Card() as card:
            to_its_end(asked, whole)
        capacity = 0.8 * card.peak
        with Card(capacity):
            to_its_end(asked, parts)
        warned = messages(read_state(parts).warnings)
        assert "computed in parts of at most 6 images" in warned
        halved.mkdir()
        with Card(capacity):
            suspend_at(halved, asked, ended(2))
        kept = read(halved, FINE_TUNING)
        assert kept is not None
        assert kept.header.micro_batch is not None
        with EventLog(halved) as log:
            run(asked, discover(asked.data), log, deque())
        assert messages(read_state(halved).warnings) == warned, "nothing was halved again"
        assert numbers(halved) == numbers(parts)
        assert numbers(halved) != numbers(whole)

    @pytest.mark.slow
    def test_a_process_whose_memory_is_limited(
        self, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel refuses what is above a limit on address space, set anew as each run begins to train."""
        data, folder, whole = image_folder(train=32, val=20), tmp_path / "run", tmp_path / "whole"
        limited(folder, data, 50)
        state = read_state(folder)
        assert state.end == "finished"
        cut, too_large, extraction = state.runs
        assert too_large.failure is not None
        assert too_large.failure.kind == "out of memory"
        assert too_large.failure.message.startswith("a training step of 1 image at once does not fit into memory")
        assert "image size" in too_large.failure.advice
        assert (cut.status, extraction.status) == ("finished", "finished")
        # in parts, or without oneDNN's kernels: what is refused first depends on where in its addresses memory lies
        assert any(event.run == cut.run and event.message.startswith("out of memory") for event in state.warnings)
        monkeypatch.setattr(engine.running.one_run, "network_of", without_dropout)
        to_its_end(small_experiment(IN_PARTS, EXTRACTED, data=data), whole)
        for found, wanted in zip((cut, extraction), read_state(whole).runs, strict=True):
            losses = [epoch.val.loss for epoch in wanted.epochs]
            assert [epoch.val.loss for epoch in found.epochs] == pytest.approx(losses, rel=1e-3), "as in whole batches"


def numbers(folder: Path) -> list[tuple[ev.Metrics, ev.Metrics]]:
    return [(epoch.train, epoch.val) for one in read_state(folder).runs for epoch in one.epochs]


def limited(folder: Path, data: Path, mib: int) -> None:
    """Runs the experiment in a process that may take so many MiB more than it has."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process's address space")
    done = forked.run(["-m", "tests.engine.limited", str(folder), str(data), str(mib)], ROOT, SECONDS)
    assert done.returncode == 0, done.stderr


NO_ROOM_FOR_KERNELS = """
import resource
from pathlib import Path
import torch
from torch.nn import functional
from engine.training.memory import do_without_onednn, shortage

def convolve(images):
    return functional.conv2d(torch.ones(images, 8, 8, 8), torch.ones(8, 8, 3, 3))

convolve(1)
freed = [torch.empty(16_000) for _ in range(500)]  # too small to be given back to the system
last = torch.empty(16_000)
del freed
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now, resource.RLIM_INFINITY))
try:
    convolve(2)
except RuntimeError as error:
    print(shortage(error))
    do_without_onednn()
    print(float(convolve(2).sum()))
"""


@pytest.mark.slow
def test_onednn_without_memory_for_a_kernel_is_done_without() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM_FOR_KERNELS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if not done.stdout:
        pytest.skip("oneDNN took no memory for it here")
    assert done.stdout.split() == ["kernels", str(2.0 * 8 * 6 * 6 * 72)]


def test_every_run_without_onednn_says_so_and_the_next_experiment_has_it_again(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each experiment has a thread of its own, and in another thread oneDNN makes kernels again."""
    real = step.functional.cross_entropy

    def without_memory(*arguments: Any, **named: Any) -> torch.Tensor:
        if torch.backends.mkldnn.enabled:
            raise RuntimeError("could not create a primitive")
        return real(*arguments, **named)

    asked = small_experiment(data=image_folder(), epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(step.functional, "cross_entropy", without_memory)
        short = finished(asked, tmp_path / "short")
    told = {one.run for one in short.warnings if WITHOUT_ONEDNN in one.message}
    assert told == {FINE_TUNING, EXTRACTION}
    assert not torch.backends.mkldnn.enabled
    after = finished(asked, tmp_path / "after")
    assert not any(WITHOUT_ONEDNN in one.message for one in after.warnings)
    assert torch.backends.mkldnn.enabled


def finished(asked: Experiment, folder: Path) -> ExperimentState:
    folder.mkdir()
    with EventLog(folder) as log:
        run(asked, discover(asked.data), log, deque())
    return read_state(folder)


class TestAnythingElse:
    def test_an_error_in_the_last_save_fails_its_run_alone(
        self, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = BestEpoch.save

        def broken(self: BestEpoch) -> Sequence[ev.Event]:
            if self.run.name == FINE_TUNING:
                raise ZeroDivisionError("a cosmic ray")
            return real(self)

        monkeypatch.setattr(BestEpoch, "save", broken)
        host = thread.start(small_experiment(data=image_folder()), tmp_path / "runs")
        assert host.wait(SECONDS)
        state = read_state(host.folder)
        assert (state.end, [one.status for one in state.runs]) == ("finished", ["failed", "finished"])
        assert "a cosmic ray" in (host.folder / "engine.log").read_text()

    def test_an_error_deep_in_a_step_fails_its_run_alone(
        self, image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the place of its traceback, and what was reached until then."""
        asked = small_experiment(data=image_folder())
        real, calls = torch.optim.SGD.step, []

        def broken(self: torch.optim.SGD, *arguments: object) -> object:
            calls.append(1)
            if len(calls) == 6:
                raise ZeroDivisionError("a cosmic ray\x1b[31m")
            return real(self, *arguments)

        monkeypatch.setattr(torch.optim.SGD, "step", broken)
        host = thread.start(asked, tmp_path / "runs")
        assert host.wait(SECONDS)
        assert host.failure is None
        state = read_state(host.folder)
        assert state.end == "finished"
        failure = state.run(FINE_TUNING).failure
        assert failure is not None
        assert (failure.kind, failure.message[:35]) == ("error", "ZeroDivisionError: a cosmic ray\\x1b")
        assert "engine.log" in failure.advice
        logged = (host.folder / "engine.log").read_text()
        assert "Traceback (most recent call last)" in logged
        assert "in broken" in logged
        assert state.run(EXTRACTION).status == "finished"
        monkeypatch.undo()
        host = thread.resume(host.folder)
        assert host.wait(SECONDS)
        assert [one.status for one in read_state(host.folder).runs] == ["finished", "finished"]
