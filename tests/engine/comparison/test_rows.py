import csv
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.aspects import Aspect, sections
from engine.comparison.columns import columns
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.resampling import Units, design_effect
from engine.comparison.rows import Comparison, DataCounts, Row
from engine.comparison.verdict import choices, verdict
from engine.export import FORMATS, write
from engine.logs import events as ev
from engine.logs.events import Memory, Metrics
from engine.models.origin import RANDOM
from engine.specs.presets import presets
from engine.specs.spec import default_experiment
from engine.states.replay import replay
from engine.states.state import ExperimentState
from engine.units import (
    count,
    duration,
    energy,
    percent,
    points,
    roughly,
    short_count,
    size,
    speed,
    spread,
    three_digits,
)


def row(strategy: str, accuracy: float | None, images: int = 153, **values: object) -> Row:
    low, high = accuracy_interval(accuracy, images) if accuracy is not None else (None, None)
    base = Row(
        run=f"{strategy}-0",
        strategy=strategy,
        backbone="resnet18",
        trains="all",
        seed=0,
        weights="some weights",
        parameters_total=100,
        parameters_trainable=100,
        epochs=5,
        epochs_planned=5,
        best_epoch=None if accuracy is None else 4,
        val_accuracy=accuracy,
        val_accuracy_low=low,
        val_accuracy_high=high,
        val_loss=None if accuracy is None else 0.2,
        train_accuracy=None if accuracy is None else accuracy + 0.01,
        generalisation_gap=None if accuracy is None else 0.01,
        seconds_total=100.0,
        seconds_per_epoch=20.0,
        cpu_seconds=190.0,
        images_per_second=15.0,
        peak_memory_bytes=2 * 2**30,
        peak_rss_bytes=2 * 2**30,
        memory_at_start_bytes=2**30,
        memory_kind="process RSS",
        precision="fp32",
        device="some CPU",
        state="finished",
        error="",
    )
    return msgspec.structs.replace(base, **values)


def comparison(*rows: Row, images: int = 153, folds: int | None = None) -> Comparison:
    return Comparison("ants-1", DataCounts(244, images, ("ants", "bees"), folds=folds), rows)


def measured_state(*, interrupted: bool = False, paused: bool = False) -> Comparison:
    """A comparison replayed from events, one run finished, or paused after its last epoch, and one waiting."""
    memories = [Memory(rss=10, peak_rss=rss) for rss in (20, 50, 40)]
    run = "resnet18-finetune-0"
    epochs = [
        ev.EpochFinished(
            run=run,
            epoch=number,
            train=Metrics(0.5, train, 200),
            val=Metrics(0.4, val, 50),
            learning_rate=0.1,
            seconds=3.0 + number,
            train_seconds=2.0,
            images_per_second=100.0,
            memory=memories[number],
            is_best=best,
        )
        for number, train, val, best in ((1, 0.8, 0.9, True), (2, 0.95, 0.88, False))
    ]
    state = replay(
        [
            ev.ExperimentStarted(
                name="x",
                spec=default_experiment(presets()),
                data=ev.DataSummary(
                    "d", "/d", "folders", ("a", "b"), {"a": 100, "b": 101}, {"a": 25, "b": 25}, "given"
                ),
                device=ev.Device("cpu", "some CPU", 10),
                versions={},
            ),
            ev.DataDecoded(train=200, val=50, left_out=1),
            ev.RunStarted(
                run=run,
                strategy="resnet18-finetune",
                seed=0,
                weights="w",
                parameters_total=11,
                parameters_trainable=11,
                precision="fp32",
                learning_rates=(0.1,),
                memory=memories[0],
            ),
            *epochs,
            ev.CommandApplied(action="pause")
            if paused
            else ev.RunFinished(run=run, end="finished", seconds=9.5, cpu_seconds=18.0, memory=memories[0]),
        ]
    )
    return compare([Source(replace(state, interrupted=interrupted))])


def test_rows_hold_what_was_measured_at_the_best_epoch() -> None:
    result = measured_state()
    assert result.data == DataCounts(200, 50, ("a", "b"))
    done, waiting = result.runs
    assert (done.best_epoch, done.epochs, done.epochs_planned) == (1, 2, 5)
    assert (done.val_accuracy, done.train_accuracy) == (0.9, 0.8)
    assert done.generalisation_gap == pytest.approx(-0.1)
    assert (done.seconds_total, done.seconds_per_epoch, done.cpu_seconds) == (9.5, 4.5, 18.0)
    assert done.images_per_second == pytest.approx(100.0)
    assert (done.peak_memory_bytes, done.memory_at_start_bytes, done.memory_kind) == (50, 10, "process RSS")
    assert (waiting.state, waiting.val_accuracy, waiting.seconds_total, waiting.best_epoch) == (
        "waiting",
        None,
        None,
        None,
    )


def test_a_finished_run_of_which_an_epoch_cannot_be_read_is_not_cut_short() -> None:
    done, _ = measured_state().runs
    paused, _ = measured_state(paused=True).runs
    assert (done.epochs, done.epochs_planned, done.is_cut_short, paused.is_cut_short) == (2, 5, False, True)


def test_memory_on_a_device_is_what_torch_allocated_there() -> None:
    result = replay([])
    assert compare([Source(result)]).runs == ()
    memory = Memory(rss=1, peak_rss=2, allocated=3, reserved=9, peak_allocated=7, device_used=11, device_total=12)
    started = msgspec.structs.replace(
        ev.RunStarted(
            run="resnet18-finetune-0",
            strategy="resnet18-finetune",
            seed=0,
            weights="w",
            parameters_total=1,
            parameters_trainable=1,
            precision="bf16",
            learning_rates=(),
            memory=memory,
        )
    )
    state = replay(
        [
            ev.ExperimentStarted(
                name="x",
                spec=default_experiment(presets()),
                data=ev.DataSummary("d", "/d", "folders", ("a", "b"), {"a": 1}, {"b": 1}, "given"),
                device=ev.Device("cuda:0", "some GPU", 12),
                versions={},
            ),
            started,
        ]
    )
    first = compare([Source(state)]).runs[0]
    assert (first.peak_memory_bytes, first.memory_at_start_bytes, first.memory_kind) == (7, 3, "CUDA allocated")


def test_the_interval_is_wilsons() -> None:
    low, high = accuracy_interval(0.9, 100)
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=1e-4)  # Newcombe (1998), formula 3
    assert accuracy_interval(1.0, 10)[1] == pytest.approx(1.0)
    for right in (1, 20.5, 20 + 2 / 3, 22.75):  # a mean over seeds need not be a whole number of images
        low, high = accuracy_interval(right / 24, 24)
        for bound in (low, high):
            assert 24 * (right / 24 - bound) ** 2 / (bound * (1 - bound)) == pytest.approx(1.96**2, rel=1e-3)
    assert accuracy_interval(1.0, 2**63 - 1) == pytest.approx((1.0, 1.0)), "as a damaged log may tell"


def test_the_interval_of_groups_holds_the_accuracy_as_often_as_it_says() -> None:
    """Thirty patients of ten images each, whose images are right together: as often as of images that stand alone."""
    rng, accuracy, correlation, trials = np.random.default_rng(0), 0.85, 0.3, 1000
    shape = (1 - correlation) / correlation
    held = alone = 0
    for _ in range(trials):
        right = rng.binomial(10, rng.beta(accuracy * shape, (1 - accuracy) * shape, 30))
        share = right.sum() / 300
        effect = design_effect(Units(right, np.full(30, 10)), share * (1 - share) / 300)
        low, high = accuracy_interval(share, 300, 30, effect)
        held += low <= accuracy <= high
        low, high = accuracy_interval(share, 300)
        alone += low <= accuracy <= high
    assert 0.93 < held / trials < 0.97
    assert alone / trials < 0.75, "what it would be if every image counted as one of its own"


def test_an_interval_of_groups_is_within_its_bounds() -> None:
    assert accuracy_interval(0.9, 100, 100, 1.0) == accuracy_interval(0.9, 100), "each image a group"
    assert accuracy_interval(0.9, 100, 1) == (0.0, 1.0), "a single group tells nothing of others"
    assert all(accuracy_interval(1.0, 100, groups)[1] == 1.0 for groups in range(2, 100))
    assert all(accuracy_interval(0.0, 100, groups)[0] == 0.0 for groups in range(2, 100))
    low, high = accuracy_interval(0.9, 100, 20, 1.0)
    plain_low, plain_high = accuracy_interval(0.9, 100)
    assert low < plain_low < plain_high < high, "Student's t of few groups"


def test_json_has_every_field_and_a_verdict() -> None:
    text = FORMATS["json"](comparison(row("a", 0.95), row("b", 0.9)))
    read = json.loads(text)
    assert list(read) == [*Comparison.__struct_fields__, "strategies", "verdict", "choices"]
    assert read["data"] == {"train": 244, "val": 153, "classes": ["ants", "bees"]} | dict.fromkeys(
        ("test", "val_copies", "test_copies", "val_conflicts", "test_conflicts"), 0
    ) | {"folds": None}
    assert list(read["runs"][0]) == list(Row.__struct_fields__)
    assert read["runs"][1]["val_accuracy"] == 0.9
    assert read["verdict"].startswith("a reaches 95.0 %")


def test_csv_has_a_line_a_run_and_no_formula() -> None:
    text = FORMATS["csv"](comparison(row("a", 0.95, weights="=cmd()"), row("b", None)))
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["run"] for line in lines] == ["a-0", "b-0"]
    assert float(lines[0]["val_accuracy"]) == 0.95
    assert lines[0]["weights"] == "'=cmd()"
    assert lines[1]["val_accuracy"] == ""
    assert float(lines[0]["generalisation_gap"]) == 0.01


def test_markdown_is_a_table_that_text_from_outside_cannot_break() -> None:
    text = FORMATS["md"](comparison(row("a", 0.95, weights="x | y\n<b>"), row("b", 0.9)))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {4}
    assert "x \\| y \\<b\\>" in text
    assert "**a**: Choose it when" in text


@pytest.mark.parametrize(
    ("told", "cell"),
    [
        ("torchvision IMAGENET1K_V1, torch hub cache", "torchvision IMAGENET1K_V1, torch hub cache"),
        ("torchvision IMAGENET1K_V1, /home/a/long/way/r18.pth", "torchvision IMAGENET1K_V1, …/way/r18.pth"),
        ("/home/a, b/long/way/r18.pth", "…/way/r18.pth"),
        ("own/r18.pth", "own/r18.pth"),
        ("", "–"),
    ],
)
def test_of_a_path_to_weights_the_table_has_the_end(told: str, cell: str) -> None:
    compared = comparison(row("a", 0.95, weights=told))
    lines = {line.title: line for section in sections(compared, columns(compared)) for line in section.lines}
    assert lines["pretrained weights"].values == (cell,)
    assert json.loads(FORMATS["json"](compared))["runs"][0]["weights"] == told


def test_exports_are_written_whole(tmp_path: Path) -> None:
    result = comparison(row("a", 0.95), row("b", 0.9))
    paths = write(result, tmp_path)
    assert sorted(path.name for path in paths) == ["comparison.csv", "comparison.json", "comparison.md"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}
    for path in paths:
        assert path.read_text(encoding="utf-8") == FORMATS[path.suffix[1:]](result)


def test_the_better_value_of_a_line_is_marked() -> None:
    def found(*rows: Row) -> dict[str, Aspect]:
        compared = comparison(*rows)
        return {line.title: line for section in sections(compared, columns(compared)) for line in section.lines}

    lines = found(row("a", 0.95, seconds_total=50.0), row("b", 0.9))
    assert lines["validation accuracy"].values == ("95.0 %", "90.0 %")
    assert lines["validation accuracy"].best == (True, False)
    assert lines["total time"].best == (True, False)
    assert lines["time per epoch"].best == (False, False), "equal values have no better one"
    assert lines["generalisation gap"].best == (False, False)
    assert lines["peak process RSS"].values == ("2.0 GiB", "2.0 GiB")
    lines = found(
        row("a", 0.9, peak_rss_bytes=2**30, peak_allocated_bytes=2**30), row("b", 0.9, peak_allocated_bytes=2**31)
    )
    assert lines["peak process RSS"].best == (False, False), "it holds what the process needed before"
    assert lines["peak CUDA allocated"].best == (True, False)
    waiting = found(row("a", 0.9), row("b", 0.9), row("c", None))
    assert waiting["validation accuracy"].best == (False,) * 3, "nor have they because a third has none yet"


def test_nothing_is_marked_as_the_best_where_strategies_have_other_seeds() -> None:
    def has_best(*rows: Row) -> bool:
        made = comparison(*rows)
        return any(any(line.best) for section in sections(made, columns(made)) for line in section.lines)

    one, other = row("a", 0.9), row("b", 0.8)
    assert has_best(one, other)
    assert not has_best(one, other, row("b", 0.99, seed=1))
    assert has_best(one, other, row("b", None, seed=1))
    assert has_best(one, other, row("a", 0.7, seed=1), row("b", 0.99, seed=1))


def test_a_difference_within_the_uncertainty_is_no_difference() -> None:
    said = verdict(comparison(row("a", 0.935), row("b", 0.922, seconds_total=2.7)))
    assert "±4.3 points" in said
    assert "too close to call on this data" in said
    assert "b takes 1/37 of the time" in said
    sentences = {choice.strategy: choice.sentence for choice in choices(comparison(row("a", 0.935), row("b", 0.922)))}
    assert "not confirmed by this data" in sentences["a"]
    assert sentences["b"].startswith("No measure favours it")


def test_what_a_run_took_that_ended_early_is_the_least_that_it_takes() -> None:
    result = comparison(row("a", 0.9, seconds_total=90.0, epochs=2, state="stopped"), row("b", 0.88, seconds_total=9.0))
    assert "b takes at most 1/10 of the time." in verdict(result)
    early = comparison(row("a", 0.9, seconds_total=90.0), row("b", 0.88, seconds_total=9.0, epochs=2, state="stopped"))
    assert "of the time" not in verdict(early), "it may take as long in the end"
    assert all("of the time" not in choice.sentence for choice in choices(early))


def test_times_that_differ_by_little_are_about_the_same_in_every_sentence() -> None:
    result = comparison(row("a", 0.9, seconds_total=2.4), row("b", 0.88, seconds_total=0.5))
    assert "Both take about the same time." in verdict(result)
    assert all("of the time" not in choice.sentence for choice in choices(result))


def test_a_difference_beyond_chance_is_said_to_be_one() -> None:
    a, b = row("a", 0.95, images=2000), row("b", 0.9, images=2000, seconds_total=90.0)
    said = verdict(comparison(a, b, images=2000))
    assert "a is more accurate, beyond what chance explains" in said
    assert "about the same time" in said
    assert "not confirmed by this data" not in choices(comparison(a, b, images=2000))[0].sentence


def test_overfitting_is_said_of_the_strategy_that_does() -> None:
    result = comparison(row("a", 0.9, generalisation_gap=0.08), row("b", 0.85, peak_memory_bytes=2**30))
    sentences = {choice.strategy: choice.sentence for choice in choices(result)}
    assert "Its training accuracy is 8.0 points higher than its validation accuracy." in sentences["a"]
    assert "training accuracy" not in sentences["b"]


def test_memory_is_compared_beyond_what_the_process_held_before() -> None:
    result = comparison(row("a", 0.9), row("b", 0.9, peak_memory_bytes=3 * 2**29, seconds_total=1.0))
    sentences = {choice.strategy: choice.sentence for choice in choices(result)}
    assert "Choose it when time matters (1/100 of the time) or memory is tight (50 % of" in sentences["b"]


def test_a_run_that_nobody_goes_on_with_is_interrupted() -> None:
    assert compare([Source(ExperimentState(interrupted=True))]).runs == ()
    rows = measured_state(interrupted=True).runs
    assert [row.state for row in rows] == ["finished", "not begun"]


def test_a_run_that_is_paused_is_not_said_to_be_running() -> None:
    assert [row.state for row in measured_state(paused=True).runs] == ["paused", "waiting"]
    assert [row.state for row in measured_state(paused=True, interrupted=True).runs] == ["interrupted", "not begun"]


def test_verdicts_without_two_results() -> None:
    assert verdict(comparison(row("a", None), row("b", None))) == "No run has a result yet."
    assert "nothing to compare it with" in verdict(comparison(row("a", 0.9), row("b", None)))
    assert choices(comparison(row("a", 0.9))) == ()


def test_random_weights_are_told() -> None:
    assert "not transfer learning" in verdict(comparison(row("a", 0.6, weights=RANDOM), row("b", 0.6)))


def test_seeds_of_a_strategy_are_averaged() -> None:
    result = comparison(row("a", 0.9), row("a", 0.8, seed=1, run="a-1"), row("b", 0.7))
    assert "a reaches 85.0 %" in verdict(result)


def test_numbers_as_a_person_reads_them() -> None:
    assert [duration(s) for s in (0.0044, 8.31, 59.4, 59.97, 92, 7384)] == [
        "0.004 s",
        "8.3 s",
        "59.4 s",
        "1:00",
        "1:32",
        "2:03:04",
    ]
    about = [roughly(seconds) for seconds in (0.0, 8.31, 89, 92, 3599, 5399, 5400, 30 * 3600, 7 * 86400)]
    assert about == ["1 s", "8 s", "89 s", "2 min", "60 min", "90 min", "1.5 h", "30.0 h", "7.0 days"]
    assert (percent(0.93464), points(-0.031)) == ("93.5 %", "-3.1 points")
    assert (size(812 * 2**20), size(12.4 * 2**30)) == ("812 MiB", "12.4 GiB")
    assert (speed(4.25), speed(10300)) == ("4.2 images/s", "10,300 images/s")


def test_a_deviation_has_the_digits_and_the_unit_of_its_mean() -> None:
    assert spread(0.9351, 0.0082, percent) == "93.5 ± 0.8 %"
    assert spread(-0.031, 0.004, points) == "-3.1 ± 0.4 points"
    assert spread(0.2451, 0.0123, three_digits) == "0.245 ± 0.012"
    assert spread(12.5, 0.04, duration) == "12.5 ± 0.0 s"
    assert spread(92.0, 3.0, duration) == "1:32 ± 3.0 s"
    assert spread(3725.0, 92.0, duration) == "1:02:05 ± 1:32"
    assert spread(2.3 * 2**30, 12 * 2**20, size) == "2.3 GiB ± 12 MiB"
    assert spread(15250.0, 1234.0, speed) == "15,250 ± 1,234 images/s"


def test_large_counts_and_energies_are_short() -> None:
    assert [count(number) for number in (12, 2050, 1_824_033_792, 56.5e6)] == [
        "12",
        "2.05 thousand",
        "1.82 billion",
        "56.5 million",
    ]
    rounded = (999.4, 999_499, 999_600, 999_999_999, 1.02e12)
    assert [short_count(number) for number in rounded] == ["999", "999 k", "1 M", "1 G", "1.02 T"]
    assert (energy(812.4), energy(12_400.0)) == ("812 J", "12.4 kJ")
