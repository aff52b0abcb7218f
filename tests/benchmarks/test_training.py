"""The benchmark of training: its plan, its table, and a run of each side on a few images."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from benchmarks import engine_run, training
from benchmarks.measure import Counted, Epoch, SideFailedError, Task, Trained, Watched, count, measure
from benchmarks.report import ROOT, commit
from benchmarks.training import plan
from benchmarks.training_table import MIB, Sample, best_accuracy, epoch_seconds, ratios, training_table
from engine.logs import events as ev
from engine.specs.presets import presets
from engine.specs.strategy import Strategy

FINE_TUNING = presets()["resnet18-finetune"]
EXTRACTION = presets()["mobilenetv3-extract"]


def sample(side: str, seconds: tuple[float, ...], *, trains: str = "all", repeat: int = 0, full: bool = True) -> Sample:
    trained = Trained(tuple(Epoch(one, 0.5 + one / 100) for one in seconds), 100, "none", "fp32", {"decoding": 1.5})
    return Sample(
        data="images",
        weights="none",
        strategy="one",
        trains=trains,
        side=side,
        repeat=repeat,
        seed=repeat,
        epochs=len(seconds),
        full=full,
        commit="abc",
        counted=Counted(trained, sum(seconds) + 2, 2 * sum(seconds), 300 * MIB),
        watched=Watched(sum(seconds) + 5, 200 * MIB, 400 * MIB, 0.25),
    )


def test_first_epoch_of_fine_tuning_does_not_count() -> None:
    assert epoch_seconds(sample("plain", (9, 4, 6))) == 5
    assert epoch_seconds(sample("plain", (9,))) == 9


def test_extraction_counts_everything() -> None:
    assert epoch_seconds(sample("plain", (9, 4, 6), trains="head")) == 21 / 3


def test_best_accuracy_is_the_largest() -> None:
    assert best_accuracy(sample("plain", (9, 4, 6))) == pytest.approx(0.59)


def test_ratios_are_of_the_same_repeat() -> None:
    base = [sample("plain", (0, 8), repeat=0), sample("plain", (0, 12), repeat=1)]
    group = [sample("engine", (0, 3), repeat=1), sample("engine", (0, 4), repeat=0), sample("engine", (0, 1), repeat=2)]
    assert ratios(base, group, epoch_seconds) == [4, 2]


def test_table_has_a_row_a_side_with_figures_of_full_runs() -> None:
    text = training_table(
        [
            sample("plain", (9, 4), repeat=0),
            sample("plain", (9, 8), repeat=1, full=False),
            sample("engine", (3, 2), repeat=0),
            sample("engine", (3, 2), repeat=1, full=False),
        ]
    )
    _, _, plain, engine = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:4])
    assert plain[:5] == ["one · plain", "6 (4–8)", "1", "15", "1"]
    assert engine[:5] == ["one · engine", "2 (2–2)", "3 (2–4)", "7", "2.14"]
    assert engine[5:] == ["50", "10", "300", "400", "53.0 (53.0)", "2", "1"]
    assert plain[-1] == "3 (2–4)"
    assert "Other processes took 25 (25–25) %" in text
    assert "- one · engine: 2 epochs; fp32; weights: none; decoding 1.50 s; the first epoch took 1.50 times" in text


def test_plan_takes_turns_and_shortens_further_repeats_of_fine_tuning() -> None:
    units = list(plan("images", "none", [FINE_TUNING, EXTRACTION], seeds=[7, 9], repeats=3, peers=["timm"]))
    runs = [planned for unit in units for planned in unit]
    sides = [planned.side for planned in runs if planned.strategy.name == FINE_TUNING.name]
    assert sides == ["plain", "engine", "timm", "timm", "engine", "plain", "plain", "engine", "timm"]
    sides = [planned.side for planned in units[3] + units[4]]
    assert sides == ["plain", "engine", "engine, second time"]
    assert [planned.seed for planned in runs if planned.side == "plain"] == [7, 7, 9, 9, 11, 11]
    epochs = [planned.strategy.epochs for planned in runs if planned.side == "plain"]
    assert epochs == [5, 5, 5, 5, 2, 5]
    assert len({planned.key for planned in runs}) == len(runs)
    full = [planned.full for planned in runs if planned.side == "plain"]
    assert full == [True, True, True, True, False, True], "those of extraction are all as long as asked"


def test_views_are_asked_of_extraction_and_of_sides_that_draw_as_many() -> None:
    tuned, extracted = (training._as_asked(one, None, None, 4) for one in (FINE_TUNING, EXTRACTION))
    assert (tuned.name, tuned.augmentation) == (FINE_TUNING.name, FINE_TUNING.augmentation)
    assert (extracted.name, extracted.extracted_views) == (f"{EXTRACTION.name}-of-4-views", 5)
    units = list(plan("images", "none", [extracted], seeds=[0], repeats=1, peers=["sketch", "timm", "fastai"]))
    assert [unit[0].side for unit in units] == ["plain", "engine", "fastai"]


def test_seconds_by_stage_of_a_log() -> None:
    memory = ev.Memory(1, 1)
    events = [
        ev.StageChanged(stage="decoding", elapsed=1.0),
        ev.StageChanged(stage="training", elapsed=3.0),
        ev.StageChanged(stage="validating", elapsed=7.0),
        ev.StageChanged(stage="training", elapsed=8.0),
        ev.RunFinished(run="a", end="finished", seconds=1, cpu_seconds=1, memory=memory, elapsed=10.0),
    ]
    stages = engine_run.seconds_by_stage(events)
    assert stages == {"starting": 1.0, "decoding": 2.0, "training": 6.0, "validating": 1.0}


def test_failed_run_is_no_figure() -> None:
    with pytest.raises(RuntimeError, match="a failed: no luck"):
        engine_run.from_log([ev.RunFailed(run="a", kind="error", message="no luck")])


@pytest.mark.parametrize("side", ["plain_loop", "engine_run", "sketch"])
@pytest.mark.parametrize("strategy", [FINE_TUNING, EXTRACTION], ids=lambda strategy: strategy.trains)
def test_side_trains(
    side: str,
    strategy: Strategy,
    image_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TL_TUI_CACHE", str(tmp_path / "cache"))
    small = msgspec.structs.replace(strategy, epochs=2, image_size=32, batch_size=6)
    counted = count(Task(side, small, str(image_folder()), "none", 0))
    assert counted.trained.images == 20
    assert [0 <= epoch.val_accuracy <= 1 for epoch in counted.trained.epochs] == [True, True]
    assert counted.seconds >= sum(epoch.seconds for epoch in counted.trained.epochs) > 0
    assert counted.cpu_seconds > 0
    assert counted.peak_rss > MIB
    assert counted.trained.weights == "none (random initialisation)"


def test_sides_read_weights_alike(image_folder: Callable[..., Path]) -> None:
    with pytest.raises(Exception, match="no such file or folder"):
        count(Task("plain_loop", FINE_TUNING, str(image_folder()), "nowhere", 0))


@pytest.mark.slow
def test_side_is_measured_in_a_process_of_its_own(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    small = msgspec.structs.replace(EXTRACTION, epochs=2, image_size=32)
    task = Task("engine_run", small, str(image_folder()), "none", 0)
    counted, watched = measure(task, {"TL_TUI_CACHE": str(tmp_path / "cache")})
    assert len(counted.trained.epochs) == 2
    assert watched.seconds > counted.seconds
    assert counted.peak_rss > 100 * MIB
    assert counted.peak_rss > watched.peak_anonymous
    assert any((tmp_path / "cache").iterdir())


def test_side_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(SideFailedError, match=r"no_side failed with status 1:\n(.*\n)*ModuleNotFoundError"):
        measure(Task("no_side", FINE_TUNING, str(tmp_path), "none", 0))


def test_runs_of_other_weights_are_other_runs() -> None:
    one = sample("plain", (3,))
    assert training.key(msgspec.structs.replace(one, weights="default")) != training.key(one)


def test_after_an_engine_that_failed_there_is_no_second_time_and_the_command_fails(
    image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides: list[str] = []

    def measured(task: Task, _: dict[str, str]) -> tuple[Counted, Watched]:
        sides.append(task.side)
        if task.side == "engine_run":
            raise SideFailedError("no luck")
        one = sample("plain", (3,))
        return one.counted, one.watched

    monkeypatch.setattr(training, "measure", measured)
    monkeypatch.setattr(training, "_fetch", lambda *_: None)
    command = ["training", "--data", str(image_folder()), "--presets", EXTRACTION.name, "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=r"not measured:\n.*engine · repeat 0: no luck"):
        training.main()
    assert sides == ["plain_loop", "engine_run"]
    assert "second time" not in capsys.readouterr().out


def test_an_epoch_of_the_engine_has_what_was_saved_after_the_one_before() -> None:
    metrics = ev.Metrics(1.0, 0.5, 10)
    one = ev.EpochFinished(
        run="a",
        epoch=1,
        train=metrics,
        val=metrics,
        learning_rate=0.1,
        seconds=2.0,
        train_seconds=1.0,
        images_per_second=10.0,
        memory=ev.Memory(1, 1),
        is_best=True,
        elapsed=3.0,
    )
    other = msgspec.structs.replace(one, epoch=2, elapsed=6.0)
    assert list(engine_run._whole_epochs([one, other])) == [2, 3]


def test_command_measures_nothing_twice(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    file, sides = tmp_path / "runs.jsonl", ("plain", "engine", "engine, second time")
    images = image_folder()
    asked = {"strategy": EXTRACTION.name, "data": str(images), "weights": "default", "commit": commit()}
    samples = [msgspec.structs.replace(sample(side, (3,), trains="head"), **asked) for side in sides]
    torn = b'{"data": "ima'
    file.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in samples) + torn)
    options = ["--data", str(images), "--json", str(file), "--epochs", "1", "--repeats", "1"]
    command = [sys.executable, "-m", "benchmarks.training", "--presets", EXTRACTION.name, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stderr
    assert f"measured at commit {commit()} on 100 images of images" in done.stdout
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| mobilenetv3")] == [
        f"mobilenetv3-extract · {side}" for side in sides
    ]
