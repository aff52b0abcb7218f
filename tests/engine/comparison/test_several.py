"""Several runs a strategy, several experiments: what stands side by side and what is said of it."""

from __future__ import annotations

import errno
import json
import os
import statistics
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.comparison import predictions
from engine.comparison.accuracy_interval import accuracy_interval
from engine.comparison.aspects import GROUPS_ALONE, TITLES, Aspect, images, sections
from engine.comparison.columns import columns
from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.comparison.confusion import matrices
from engine.comparison.difference import PairedDifference
from engine.comparison.resampling import corrected_t_p
from engine.comparison.rows import Comparison, DataCounts, Row
from engine.comparison.scores import ClassScores, Scores
from engine.comparison.strategy_means import interval, part
from engine.comparison.strategy_spreads import Spread, StrategySummary, summaries
from engine.comparison.verdict import choices, verdict
from engine.export import FORMATS
from engine.logs import events as ev
from engine.logs.events import AnyEvent, Metrics
from engine.specs import spec
from engine.specs.presets import on_rung
from engine.specs.spec import DataSource
from engine.specs.strategy import changed_strategy
from engine.states.peaks import PeakMemory
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState
from engine.units import percent
from tests.engine.comparison.files import write_predictions
from tests.engine.comparison.test_rows import comparison, row
from tests.tui import logs

FINE, EXTRACT = "resnet18-finetune", "mobilenetv3-extract"


def state(
    seeds: Iterable[int] = (0,), name: str = "x-20261124-100000", fingerprint: str = "f", test: float | None = None
) -> ExperimentState:
    """An experiment of two strategies on ants and bees, 153 validation images."""
    asked = spec.changed(logs.two_strategies(3), seeds=list(seeds))
    return replay([_as(event, name, fingerprint, test) for event in logs.events(asked)])


def _as(event: AnyEvent, name: str, fingerprint: str, test: float | None) -> AnyEvent:
    match event:
        case ev.ExperimentStarted():
            return replace(event, name=name)
        case ev.DataDecoded():
            return replace(event, fingerprint=fingerprint)
        case ev.RunFinished() if test is not None:
            return replace(event, test=Metrics(0.3, test, 40), joules=1234.0)
    return event


def predict(folder: Path, of: ExperimentState, wrong: int = 3, *, test: bool = False) -> Path:
    """Files of predictions of 20 images, of which so many are wrong, for every run at its best epoch."""
    labels = [0, 1] * 10
    for run in of.runs:
        predicted = [1 - label for label in labels[:wrong]] + labels[wrong:]
        assert run.best is not None
        write_predictions(folder, run.run, labels, predicted, epoch=run.best.epoch, test=test)
    return folder


def lines(of: Comparison, *, single_runs: bool = False) -> dict[tuple[str, str], Aspect]:
    shown = columns(of, single_runs=single_runs)
    return {(section.title, line.title): line for section in sections(of, shown) for line in section.lines}


def test_seeds_of_a_strategy_are_one_column_with_mean_deviation_and_range(tmp_path: Path) -> None:
    five = state(range(5))
    first, *rest = five.runs
    best = first.best
    assert best is not None
    worse = replace(best, val=Metrics(0.5, 100 / 153, 153))
    five = replace(five, runs=(replace(first, epochs=(worse,)), *rest))
    made = compare([Source(five)])
    shown = columns(made)
    assert [(column.title, column.note) for column in shown] == [(FINE, "5 seeds"), (EXTRACT, "5 seeds")]
    accuracies = [row.val_accuracy for row in made.runs if row.strategy == FINE]
    known = [100 * accuracy for accuracy in accuracies if accuracy is not None]
    line = lines(made)[TITLES["val"], "validation accuracy"]
    assert line.values[0] == f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f} %"
    assert lines(made)[TITLES["val"], "  range over runs"].values[0] == f"{min(known):.1f} % to {max(known):.1f} %"
    (of_fine, _) = summaries(made)
    spread = of_fine.measures["val_accuracy"]
    assert (100 * spread.mean, spread.runs) == (pytest.approx(statistics.mean(known)), 5)
    assert 100 * (spread.deviation or 0) == pytest.approx(statistics.stdev(known))
    single = columns(made, single_runs=True)
    assert [column.note for column in single[:2]] == ["seed 0", "seed 0"] and len(single) == 10
    assert "  95 % interval" in {title for _, title in lines(made, single_runs=True)}


def test_beside_several_runs_a_single_one_has_its_interval_and_theirs_is_of_their_mean() -> None:
    three, one = state(range(3)), state(name="x-20261124-110000")
    made = compare([Source(three), Source(one, runs=frozenset({f"{FINE}-0"}))])
    found = lines(made)
    several, single = found[TITLES["val"], "  range over runs"], found[TITLES["val"], "  95 % interval"]
    assert [value == "–" for value in several.values] == [False, False, True]
    last = made.runs[-1]
    assert single.values[2] == f"{percent(last.val_accuracy_low or 0)} to {percent(last.val_accuracy_high or 0)}"
    for column, value in zip(columns(made), single.values, strict=True):
        ends = interval(column.rows, made, "val")
        assert ends is not None and value == f"{percent(ends[0])} to {percent(ends[1])}"


def test_runs_that_did_not_come_to_a_result_are_left_out_of_the_means() -> None:
    three = state(range(3))
    fine, *rest = three.runs
    failed = RunState(f"{FINE}-0", fine.strategy, 0, status="failed", most=PeakMemory(rss=7 * logs.MIB))
    made = compare([Source(replace(three, runs=(failed, *rest)))])
    found = lines(made)
    line = found["Cost", "peak process RSS"]
    assert line.values[0].endswith(" ± 0 MiB")
    assert summaries(made)[0].measures["peak_memory_bytes"].runs == 2
    assert found["What was trained", "pretrained weights"].values[0] == "torchvision IMAGENET1K_V1, torch hub cache"
    assert found["What was trained", "trainable parameters"].values[0] == "11,177,538 of 11,177,538 (100 %)"
    assert found["What was trained", "epochs (best)"].values[0].startswith("3 (best: ")


def test_totals_of_runs_that_did_not_end_are_not_better() -> None:
    def best(made: Comparison) -> dict[str, tuple[bool, ...]]:
        return {title: line.best for (_, title), line in lines(made).items()}

    whole = state()
    first, second = whole.runs
    stopped = replace(second, epochs=second.epochs[:1], status="stopped", seconds=0.1, cpu_seconds=0.1)
    cut = replace(whole, runs=(first, stopped))
    before, after = best(compare([Source(whole)])), best(compare([Source(cut)]))
    assert before["total time"] == before["CPU time"] == (False, True)
    assert after["total time"] == after["CPU time"] == (False, False)


def test_a_run_without_a_result_is_best_in_nothing(tmp_path: Path) -> None:
    two = state((0, 1))
    predict(tmp_path, two)
    taken = [PeakMemory(allocated=number * logs.MIB) for number in (7, 300, 1900, 300)]
    done = [replace(run, most=most) for run, most in zip(two.runs, taken, strict=True)]
    failed = RunState(f"{FINE}-0", two.runs[0].strategy, 0, status="failed", most=taken[0])
    found = lines(
        compare([Source(replace(two, runs=(failed, *done[1:])), tmp_path)]), single_runs=True
    )  # FINE 0, EXTRACT 0, FINE 1, EXTRACT 1
    memory = found["Cost", "peak CUDA allocated"]
    assert memory.values[0] == "7 MiB" and memory.best == (False, True, False, True)
    assert found["Recall / precision (val)", "ants (10)"].values[:2] == ("–", "80.0 % / 88.9 %")


def test_of_folds_under_way_all_that_is_trained_on_counts(tmp_path: Path) -> None:
    """Two of ten folds, of 21 and 22 of the 397 images."""
    asked = spec.changed(logs.two_strategies(1), folds=10)
    ten = replay(logs.events(asked))
    done = [run for run in ten.runs if run.fold in (1, 2)]
    shares = {}
    for run in done:
        labels = [0, 1] * 10 + [0] * (run.fold or 0)
        wrong = 8 * (run.fold or 0) if run.strategy.name == EXTRACT else 0
        write_predictions(tmp_path, run.run, labels, [1 - label for label in labels[:wrong]] + labels[wrong:])
        shares[run.fold] = wrong / len(labels)
    (pair,) = compare([Source(ten, tmp_path, frozenset(run.run for run in done))]).pairs
    expected, _ = corrected_t_p(list(shares.values()), 21.5 / (397 - 21.5))
    assert pair.corrected_t_p == pytest.approx(expected)


def in_folds(split_seed: int = 0, name: str = "x-20261124-100000") -> ExperimentState:
    """An experiment of two strategies with two seeds, in five folds of 397 images."""
    asked = spec.changed(logs.two_strategies(1), folds=5, seeds=[0, 1])
    asked = replace(asked, data=replace(asked.data, split_seed=split_seed))
    return replay([_as(event, name, "f", None) for event in logs.events(asked)])


def test_of_single_folds_those_that_are_not_compared_hold_images_too() -> None:
    """Two of five folds of 397 images, each seed's first."""
    first = compare([Source(in_folds(), runs=frozenset({f"{FINE}-0-fold-3", f"{EXTRACT}-0-fold-3"}))])
    assert images(first, "train", "val", " / ") == "397 images in 5 folds"
    assert "397 images in 5 folds, 2 classes" in FORMATS["md"](first)
    assert "on 79 validation images" in verdict(first)
    alone = compare([Source(in_folds(), runs=frozenset({f"{FINE}-0-fold-1", f"{FINE}-1-fold-1"}))])
    accuracy = statistics.mean(row.val_accuracy or 0.0 for row in alone.runs)
    assert interval(alone.runs, alone, "val") == accuracy_interval(accuracy, 397 // 5)
    assert "on 79 validation images" in verdict(alone)


def test_what_cannot_be_read_now_is_known_once_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = state()
    source = Source(one, predict(tmp_path, one))

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(predictions, "safe_open", fails)
        made = compare([source])
        assert [row.scores for row in made.runs] == [None, None] and made.pairs == ()
    made = compare([source])
    assert None not in [row.scores for row in made.runs] and len(made.pairs) == 1


def test_confusions_of_several_runs_are_said_to_be_added_up(tmp_path: Path) -> None:
    said = {}
    for seeds in ((0,), (0, 1)):
        some = state(seeds)
        said[len(seeds)] = FORMATS["md"](compare([Source(some, predict(tmp_path / f"{len(seeds)}", some))]))
    assert f"Confusion of {FINE} on the validation images:" in said[1]
    assert f"Confusion of {FINE} on the validation images, 2 runs summed:" in said[2]
    assert f"| {FINE}, 2 seeds |" in said[2]


def test_where_a_run_failed_classes_are_told_of_the_part_that_the_verdict_is_of(tmp_path: Path) -> None:
    tested = state((0, 1), test=0.8)
    folder = predict(tmp_path, tested, test=True)
    failed = RunState(f"{FINE}-0", tested.runs[0].strategy, 0, status="failed")
    made = compare([Source(replace(tested, runs=(failed, *tested.runs[1:])), folder)])
    assert {pair.part for pair in made.pairs} == {"test"}
    assert ("Recall / precision (test)", "ants (10)") in lines(made)
    assert {matrix.part for matrix in matrices(columns(made))} == {"test"}


def test_probes_of_several_seeds_tell_their_regularisations_as_a_range() -> None:
    probe = on_rung("resnet18", "probe")
    runs = tuple(
        RunState(f"{probe.name}-{seed}", probe, seed, probe=ev.ProbeSolved(run="", l2=l2))
        for seed, l2 in enumerate((0.03, 0.001, 0.03))
    )
    made = compare([Source(replace(state(), runs=runs))])
    assert lines(made)["What was trained", "optimizer"].values == ("LBFGS, L2 0.001 to 0.03",)
    one = compare([Source(replace(state(), runs=runs[:1]))])
    assert lines(one)["What was trained", "optimizer"].values == ("LBFGS, L2 0.03",)


def test_how_much_classes_count_stands_beside_the_optimizer() -> None:
    strategy = changed_strategy(on_rung("resnet18", "finetune"), class_weights="balanced")
    made = compare([Source(replace(state(), runs=(RunState("a-0", strategy, 0),)))])
    assert lines(made)["What was trained", "optimizer"].values[0].endswith("batch size 16, class weights balanced")
    assert made.runs[0].class_weights == "balanced"


def test_the_regularisation_of_a_probe_that_training_begins_from_is_not_the_optimizers() -> None:
    strategy = on_rung("resnet18", "lpft")
    runs = tuple(
        RunState(f"{strategy.name}-{seed}", strategy, seed, probe=ev.ProbeSolved(run="", l2=l2))
        for seed, l2 in enumerate((0.03, 0.001))
    )
    found = lines(compare([Source(replace(state(), runs=runs))]))
    assert found["What was trained", "optimizer"].values == ("SGD, learning rate 0.001, batch size 16",)
    trains = found["What was trained", "trains"].values
    assert trains == ("every layer (fine-tuning), head initialised by a probe (L2 0.001 to 0.03)",)
    waiting = replace(state(), runs=(RunState(f"{strategy.name}-0", strategy, 0),))
    assert (
        lines(compare([Source(waiting)]))["What was trained", "trains"]
        .values[0]
        .endswith("head initialised by a probe")
    )


def test_folds_are_in_the_heading_of_markdown() -> None:
    asked = spec.changed(logs.two_strategies(3), folds=2)
    text = FORMATS["md"](compare([Source(replay(logs.events(asked)))]))
    assert f"{logs.TRAIN + logs.VAL} images in 2 folds, 2 classes." in text


def test_test_and_validation_are_told_apart(tmp_path: Path) -> None:
    tested = state(test=0.8)
    made = compare([Source(tested, predict(tmp_path, tested, test=True))])
    row = made.runs[0]
    assert (row.test_accuracy, row.test_loss) == (0.8, 0.3)
    assert row.test_accuracy_low == pytest.approx(0.652, abs=1e-3)
    assert row.scores is not None and row.test_scores is not None and row.scores.accuracy == 0.85
    found = lines(made)
    assert found[TITLES["test"], "test accuracy"].values == ("80.0 %", "80.0 %")
    assert found[TITLES["val"], "validation accuracy"].values[0] != "80.0 %"
    assert ("Recall / precision (test)", "ants (10)") in found
    assert found["Cost", "GPU energy"].values == ("1.2 kJ", "1.2 kJ")
    assert not any(section == TITLES["test"] for section, _ in lines(compare([Source(state())])))
    assert {pair.part for pair in made.pairs} == {"test"}


def test_a_comparison_without_its_files_has_no_scores_and_does_not_fail(tmp_path: Path) -> None:
    whole = state()
    predict(tmp_path, whole)
    damaged = tmp_path / "predictions" / f"{whole.runs[0].run}.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    made = compare([Source(whole, tmp_path)])
    assert made.runs[0].scores is None and made.runs[1].scores is not None
    assert made.pairs == ()
    assert made.runs[0].val_accuracy is not None
    for render in FORMATS.values():
        assert render(made)


def test_predictions_of_another_epoch_than_the_best_do_not_count(tmp_path: Path) -> None:
    going_on = state()
    predict(tmp_path, going_on)
    best = going_on.runs[0].best
    assert best is not None
    write_predictions(tmp_path, going_on.runs[0].run, [0, 1], [0, 1], epoch=best.epoch + 1)
    assert compare([Source(going_on, tmp_path)]).runs[0].scores is None


def test_experiments_side_by_side_are_told_apart_by_their_names(tmp_path: Path) -> None:
    first, second = state(), state(name="x-20261124-110000")
    one, other = predict(tmp_path / "a", first), predict(tmp_path / "b", second, wrong=1)
    chosen = frozenset({f"{FINE}-0"})
    made = compare([Source(first, one), Source(second, other, runs=chosen)])
    names = [f"{FINE} (…100000)", EXTRACT, f"{FINE} (…110000)"]
    assert [row.strategy for row in made.runs] == names
    assert [row.experiment[-6:] for row in made.runs] == ["100000", "100000", "110000"]
    assert made.data_differs == ""
    assert {pair.strategies for pair in made.pairs} == {
        (names[0], names[1]),
        (names[0], names[2]),
        (names[1], names[2]),
    }
    assert [pair.difference for pair in made.pairs] == pytest.approx([0, -0.1, -0.1])
    assert not verdict(made).startswith("No verdict")


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (("arrayjob/task1/runs/x", "arrayjob/task2/runs/x"), ("task1", "task2")),
        (("a/x", "b/c/x"), ("a", "b/c")),
        ((f"{'a' * 90}1{'b' * 90}/x", f"{'a' * 90}2{'b' * 90}/x"), None),
    ],
)
def test_experiments_of_one_name_are_never_taken_for_one(
    tmp_path: Path, folders: tuple[str, str], labels: tuple[str, str] | None
) -> None:
    made = compare([Source(state(), tmp_path / folder) for folder in folders])
    strategies = {row.strategy for row in made.runs}
    assert len(strategies) == 4
    if labels is not None:
        assert strategies == {f"{name} ({label})" for name in (FINE, EXTRACT) for label in labels}


@pytest.mark.parametrize(
    ("runs", "note"),
    [
        ([(0, None, True), (1, None, True)], "2 seeds"),
        ([(0, None, False), (1, None, False)], "2 seeds"),
        ([(0, None, True), (1, None, False)], "1 of 2 seeds"),
        ([(0, 1, True), (0, 2, True), (0, 3, False)], "2 of 3 folds"),
        ([(0, 1, True), (0, 2, True), (1, 1, True), (1, 2, True)], "2 seeds, 2 folds"),
        ([(0, 1, True), (0, 2, True), (1, 1, True), (1, 2, False)], "3 of 4 runs"),
    ],
)
def test_seeds_and_folds_are_counted_that_have_a_result(runs: list[tuple[int, int | None, bool]], note: str) -> None:
    rows = (row("a", 0.9 if has_result else None, seed=seed, fold=fold) for seed, fold, has_result in runs)
    assert [column.note for column in columns(comparison(*rows))] == [note]


def test_where_one_strategy_was_not_tested_all_are_compared_on_the_validation_images(tmp_path: Path) -> None:
    tested = state(test=0.8)
    predict(tmp_path, tested, test=True)
    other = replace(tested.runs[1], run="other-0", strategy=changed_strategy(tested.runs[1].strategy, name="other"))
    worse = tuple(replace(epoch, val=Metrics(2.0, 0.1, 153)) for epoch in other.epochs)
    made = compare([Source(replace(tested, runs=(*tested.runs, replace(other, test=None, epochs=worse))), tmp_path)])
    said = verdict(made)
    assert {pair.part for pair in made.pairs} == {"val"}
    assert {matrix.part for matrix in matrices(columns(made))} == {"validation"}
    assert "on the same 20 validation images" in said
    assert "chosen on these same images" in said


def test_a_run_that_was_cut_short_before_its_test_leaves_the_others_theirs(tmp_path: Path) -> None:
    tested = state(test=0.8)
    predict(tmp_path, tested, test=True)
    cut = tested.runs[1]
    strategy = changed_strategy(cut.strategy, name="other")
    cut = replace(cut, run="other-0", strategy=strategy, epochs=cut.epochs[:1], status="failed", test=None)
    made = compare([Source(replace(tested, runs=(*tested.runs, cut)), tmp_path)])
    assert [(pair.strategies, pair.part) for pair in made.pairs] == [((FINE, EXTRACT), "test")]
    said = verdict(made)
    assert "on the same 20 test images" in said and "other is not judged: it trained 1 of 3 epochs." in said
    assert "chosen on these same images" not in said
    assert [one.sentence for one in choices(made) if one.strategy == "other"] == [
        "Not judged: it trained 1 of 3 epochs."
    ]
    alone = replace(made, runs=made.runs[1:])
    assert part(alone) == "val", "where nobody else is whole it counts"


def test_copies_of_one_experiment_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    same = state()
    made = compare([Source(same, tmp_path / "here"), Source(same, tmp_path / "there")])
    assert len({row.strategy for row in made.runs}) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": ("bees", "ants")}, "different classes"),
        ({"val": {"ants": 71, "bees": 83}}, "154 instead of 153 validation images"),
        ({"test": {"ants": 5}}, "5 instead of 0 test images"),
    ],
    ids=str,
)
def test_other_data_gives_rows_and_no_verdict(changed: dict[str, object], said: str) -> None:
    first, second = state(), state(name="other")
    assert second.data is not None
    second = replace(second, data=replace(second.data, **changed))
    made = compare([Source(first), Source(second)])
    assert said in made.data_differs and len(made.runs) == 4
    assert verdict(made) == f"No verdict: {made.data_differs}."
    assert choices(made) == () and made.pairs == ()
    assert not any(any(line.best) for line in lines(made).values()), "nothing is better than on other data"
    assert {row.target_accuracy for row in made.runs} == {None}
    assert said in FORMATS["md"](made) and said in FORMATS["json"](made)


def test_other_images_of_the_same_number_are_other_data() -> None:
    made = compare([Source(state()), Source(state(name="other", fingerprint="g"))])
    assert "same number of images, but different images" in made.data_differs
    folds = replace(state(name="other"), spec=spec.changed(logs.two_strategies(3), folds=5))
    assert compare([Source(state()), Source(folds)]).data_differs.endswith("5 folds instead of none")
    assert compare([Source(folds), Source(state())]).data_differs.endswith("no folds instead of 5")
    divided_anew = compare([Source(in_folds()), Source(in_folds(split_seed=7, name="other"))])
    assert divided_anew.data_differs.endswith("folds divided with split seed 7 instead of 0")
    assert compare([Source(in_folds()), Source(in_folds(name="other"))]).data_differs == ""
    undivided = state(name="other")
    assert undivided.spec is not None
    undivided = replace(undivided, spec=replace(undivided.spec, data=DataSource(path="/data", split_seed=7)))
    assert compare([Source(state()), Source(undivided)]).data_differs == "", "whose split was found, not drawn"
    unknown = compare([Source(state(fingerprint="")), Source(state(name="other"))])
    assert unknown.data_differs == "", "an older log does not tell"


def test_the_positive_class_is_asked_for_or_the_last_by_name(tmp_path: Path) -> None:
    known = state()
    source = Source(known, predict(tmp_path, known))
    for wanted, positive in ((None, "bees"), ("ants", "ants"), ("wasps", "bees")):
        made = compare([source], wanted)
        assert made.positive == positive
        assert {row.scores.positive for row in made.runs if row.scores} == {positive}
        assert (TITLES["val"], f"sensitivity ({positive})") in lines(made)


def test_time_to_come_near_the_others_best() -> None:
    made = compare([Source(state())])
    fine, extract = made.runs
    assert fine.target_accuracy == pytest.approx(0.95 * (extract.val_accuracy or 0))
    assert extract.target_accuracy == pytest.approx(0.95 * (fine.val_accuracy or 0))
    assert extract.seconds_to_target is not None and fine.seconds_total is not None
    assert extract.seconds_to_target < fine.seconds_total
    alone = compare([Source(state(), runs=frozenset({f"{FINE}-0"}))])
    assert alone.runs[0].target_accuracy is None
    assert ("Cost", "to 95 % of best other") not in lines(alone)


def test_confusion_is_added_up_over_runs_and_the_worst_pairs_come_first(tmp_path: Path) -> None:
    two = state((0, 1))
    predict(tmp_path, two, wrong=3)
    (fine, _) = matrices(columns(compare([Source(two, tmp_path)])))
    assert fine.counts == ((16, 4), (2, 18))
    assert [(one.true, one.predicted, one.images, one.of) for one in fine.most_confused] == [
        ("ants", "bees", 4, 20),
        ("bees", "ants", 2, 20),
    ]


@pytest.mark.parametrize("with_images", [20, 12], ids=["of all are images", "of some are none"])
def test_of_many_classes_only_the_worst_have_a_line(tmp_path: Path, with_images: int) -> None:
    known = state()
    names = [f"class {number:02}" for number in range(20)]
    labels = [number % with_images for number in range(10 * with_images)]
    predicted = [0 if label in (7, 11) else label for label in labels]
    for run in known.runs:
        assert run.best is not None
        write_predictions(tmp_path, run.run, labels, predicted, names, epoch=run.best.epoch)
    assert known.data is not None
    known = replace(known, data=replace(known.data, classes=tuple(names)))
    made = compare([Source(known, tmp_path)])
    shown = [title for section, title in lines(made) if section.startswith("Recall")]
    assert len(shown) == 8 and {"class 07 (10)", "class 11 (10)"} <= set(shown)
    assert made.positive == "" and (TITLES["val"], "ROC AUC (one vs rest)") in lines(made)
    assert "class 07 predicted as class 00: 10 (100.0 %)" in FORMATS["md"](made)
    cells = FORMATS["csv"](made).splitlines()[0].split(",")
    assert {"val_recall_class 07", "val_support_class 19", "test_precision_class 00"} <= set(cells)


def test_exports_hold_every_measure(tmp_path: Path) -> None:
    tested = state(test=0.8)
    made = compare([Source(tested, predict(tmp_path, tested, test=True))])
    read = json.loads(FORMATS["json"](made))
    assert read["runs"][0]["scores"]["confusion"] == [[8, 2], [1, 9]]
    assert read["runs"][0]["test_scores"]["roc_auc"] is not None
    assert read["strategies"][0]["measures"]["test_accuracy"]["mean"] == 0.8
    header, first, _ = FORMATS["csv"](made).splitlines()
    assert first.count(",") >= header.count(",") and "val_roc_auc" in header


def test_what_groups_give_away_stands_below_validation_accuracy() -> None:
    known = state()
    assert known.data is not None
    for no_pixels, told in ((0.9, True), (0.55, False)):
        leak = ev.Leak(no_pixels=no_pixels, majority=0.54, shared=140, images=153)
        made = compare([Source(replace(known, data=replace(known.data, leak=leak)))])
        line = lines(made).get((TITLES["val"], "  groups alone, no pixels"))
        assert (line.values if line else None) == (("90.0 %", "90.0 %") if told else None)
    leak = ev.Leak(no_pixels=0.9, majority=0.54, shared=140, images=153)
    tested = replace(state(test=0.8), data=replace(known.data, test_leak=leak))
    found = [title for title, line in lines(compare([Source(tested)])) if line == GROUPS_ALONE]
    assert found == [TITLES["test"]], "those of the test part stand below its own"


def test_absurd_times_of_a_damaged_log_are_not_known(tmp_path: Path) -> None:
    two = state((0, 1))
    absurd = tuple(replace(epoch, seconds=1e308, train_seconds=5e-324, run_seconds=0.0) for epoch in two.runs[0].epochs)
    two = replace(two, runs=(replace(two.runs[0], epochs=absurd, seconds=None), *two.runs[1:]))
    made = compare([Source(two)])
    assert (made.runs[0].seconds_total, made.runs[0].images_per_second) == (None, None)
    for render in FORMATS.values():
        assert "inf" not in render(made).replace("Infinity", "inf").replace("information", "")


def test_the_documentation_names_every_field() -> None:
    text = (Path(__file__).parents[3] / "docs" / "verdict.md").read_text(encoding="utf-8")
    structs = (Comparison, DataCounts, ev.Leak, Row, Scores, ClassScores, PairedDifference, StrategySummary, Spread)
    fields = {field for struct in structs for field in struct.__struct_fields__}
    assert {field for field in fields if f"`{field}`" not in text} == set()


def test_images_of_groups_make_the_interval_of_a_run_and_of_its_strategy_wider(tmp_path: Path) -> None:
    two = state((0, 1))
    for run in two.runs:
        assert run.best is not None
        guesses = [0, 1] * 8 + [1, 0] * 2  # the last group is all wrong
        groups = [str(image // 4) for image in range(20)]
        write_predictions(tmp_path, run.run, [0, 1] * 10, guesses, epoch=run.best.epoch, groups=groups)
    made = compare([Source(two, tmp_path)])
    for one in made.runs:
        assert one.scores is not None and one.val_accuracy is not None
        assert (one.scores.groups, one.scores.design_effect > 4) == (5, True)
        wanted = accuracy_interval(one.val_accuracy, 153, 5, one.scores.design_effect)
        assert (one.val_accuracy_low, one.val_accuracy_high) == wanted
        assert wanted[0] < accuracy_interval(one.val_accuracy, 153)[0] - 0.05
    rows = [one for one in made.runs if one.strategy == made.runs[0].strategy]
    effect = statistics.mean(one.scores.design_effect for one in rows if one.scores)
    wanted = accuracy_interval(statistics.mean(one.val_accuracy or 0 for one in rows), 153, 5, effect)
    assert interval(rows, made, "val") == wanted, "seeds on the same images are of the same groups"


def test_a_run_that_makes_no_mistake_does_not_tell_how_alike_the_images_of_a_group_are(tmp_path: Path) -> None:
    """So the mean of a strategy's runs takes it from those that do, as long as there is one."""
    two = state((0, 1))
    groups = [str(image // 4) for image in range(20)]
    for run in two.runs:
        assert run.best is not None
        first_is_wrong = [1 - image % 2 if run.seed and image == 0 else image % 2 for image in range(20)]
        write_predictions(tmp_path, run.run, [0, 1] * 10, first_is_wrong, epoch=run.best.epoch, groups=groups)
    made = compare([Source(two, tmp_path)])
    rows = [one for one in made.runs if one.strategy == made.runs[0].strategy]
    effects = [one.scores.design_effect for one in rows if one.scores]
    assert effects == pytest.approx([4.0, 20 / 19])
    accuracy = statistics.mean(one.val_accuracy or 0 for one in rows)
    assert interval(rows, made, "val") == accuracy_interval(accuracy, 153, 5, effects[1])
    assert interval(rows[:1], made, "val") == (rows[0].val_accuracy_low, rows[0].val_accuracy_high)
