from itertools import combinations

import pytest
from msgspec.structs import replace

from engine.comparison.aspects import sections
from engine.comparison.caveats import caveats
from engine.comparison.columns import columns
from engine.comparison.confusion import matrices
from engine.comparison.difference import PairedDifference
from engine.comparison.difference_words import about, oriented, sentence
from engine.comparison.measured_parts import MeasuredPart
from engine.comparison.paired import holm
from engine.comparison.rows import Comparison, DataCounts, Row
from engine.comparison.scores import ClassScores, Scores
from engine.comparison.verdict import choices, verdict
from engine.logs.events import Leak
from engine.states.state import Condition
from tests.engine.comparison.predicted import difference_of, discordant, predicted
from tests.engine.comparison.test_rows import comparison, row

NOTHING = "No measure favours it: another is better or nearly as good in"


def pair_of(
    both: int, only_one: int, only_other: int, neither: int, names: tuple[str, str] = ("a", "b"), seeds: int = 1
) -> PairedDifference:
    """The difference of two strategies whose runs get so many images right."""
    one, other = discordant(both, only_one, only_other, neither)
    runs = ([predicted(right, run=f"x-{seed}") for seed in range(seeds)] for right in (one, other))
    found = difference_of(*runs)
    assert found is not None
    return replace(found, strategies=names)


def result(pair: PairedDifference, *more: PairedDifference, **values: object) -> Comparison:
    """A comparison of the strategies of these differences."""
    accuracies: dict[str, float] = {}
    for one in (pair, *more):
        accuracies |= dict(zip(one.strategies, one.accuracies, strict=True))
    rows = [row(name, accuracy, images=pair.images, **values) for name, accuracy in accuracies.items()]
    return replace(comparison(*rows, images=pair.images), pairs=holm([pair, *more]))


def test_no_difference_is_said_with_its_numbers_and_the_images_it_would_take() -> None:
    said = verdict(result(pair_of(139, 6, 4, 4)))
    assert said.startswith(
        "a is 1.3 points more accurate than b on the same 153 validation images, 94.8 % against 93.5 %"
    )
    assert "(95 % interval -3." in said
    assert ", one seed each: these two networks only): too close to call on this data" in said
    assert "; confirming a difference this size would take about 3,000 images and several seeds." in said
    seeds = verdict(result(pair_of(139, 6, 4, 4, seeds=3)))
    assert "; confirming a difference this size would take about 3,000 images." in seeds


def test_a_difference_of_two_networks_is_not_yet_one_of_strategies() -> None:
    said = verdict(result(pair_of(400, 60, 10, 30)))
    assert "a is 10.0 points more accurate than b on the same 500 validation images" in said
    assert "more than chance explains on these images" in said
    assert "several seeds would confirm it" in said
    assert "too close to call" not in said


def test_several_seeds_speak_of_the_strategies() -> None:
    said = verdict(result(pair_of(400, 60, 10, 30, seeds=3)))
    assert "3 seeds each): more than chance explains on these images and these seeds." in said


def probes(pair: PairedDifference) -> Comparison:
    """Of two probes, each of three seeds that came to the same."""
    found = result(pair, optimizer="LBFGS", epochs=1, epochs_planned=1)
    runs = tuple(
        replace(one, run=f"{one.strategy}-{seed}", seed=seed, seconds_total=100.0 + seed)
        for one in found.runs
        for seed in range(3)
    )
    return replace(found, runs=runs)


def test_seeds_that_change_nothing_are_told_and_not_asked_for() -> None:
    said = verdict(probes(pair_of(139, 6, 4, 4, seeds=3)))
    assert "3 seeds each): too close to call on this data; confirming a difference this size would take" in said
    assert said.endswith("The seed makes no difference to a and b: all runs of each are the same network.")
    few = pair_of(5, 6, 1, 0, seeds=3)
    few = replace(few, images_needed=None, low=-0.1, p=0.5)
    assert "; more seeds would help" in verdict(result(few))
    assert "seeds would help" not in verdict(probes(few))
    assert "more than chance explains on these images. Both" in verdict(probes(pair_of(400, 60, 10, 30, seeds=3)))


@pytest.mark.parametrize("field", ["val_loss", "test_loss"])
def test_of_probes_a_number_that_no_seed_moves_has_no_spread(field: str) -> None:
    still = probes(pair_of(139, 6, 4, 4, seeds=3))
    values = {line.title: line.values for section in sections(still, columns(still)) for line in section.lines}
    assert values["validation accuracy"] == ("94.8 %", "93.5 %") and "±" in values["total time"][0]
    assert "  range over runs" not in values and "±" not in "".join(values["generalisation gap"])
    first, *others = still.runs
    moved = replace(still, runs=(replace(first, **{field: 0.3}), *others))
    values = {line.title: line.values for section in sections(moved, columns(moved)) for line in section.lines}
    assert values["validation accuracy"] == ("94.8 %", "93.5 %"), "which no seed moves"
    assert "±" in values["log loss"][0] or field == "test_loss"
    assert "The seed makes no difference to b: all its runs are the same network." in verdict(moved)
    folds = replace(still, runs=tuple(replace(one, fold=one.seed + 1) for one in still.runs))
    (line, *_) = next(one for one in sections(folds, columns(folds)) if one.title.startswith("Valid")).lines
    assert line.values == ("94.8 ± 0.0 %", "93.5 ± 0.0 %"), "of other images"
    assert "The seed makes no" not in verdict(folds)
    trained = replace(still, runs=tuple(replace(one, optimizer="SGD") for one in still.runs))
    assert "The seed makes no" not in verdict(trained)
    (line, *_) = next(one for one in sections(trained, columns(trained)) if one.title.startswith("Valid")).lines
    assert line.values == ("94.8 ± 0.0 %", "93.5 ± 0.0 %"), "of trained runs that is news"


def test_of_a_probe_alone_the_interval_is_told_not_a_range() -> None:
    found = probes(pair_of(139, 6, 4, 4))
    said = verdict(replace(found, runs=found.runs[:3], pairs=()))
    assert said.startswith("a reaches 94.8 % on 153 validation images (95 % interval ")


def test_equal_strategies_are_said_to_be() -> None:
    said = verdict(result(pair_of(90, 4, 4, 2)))
    assert said.startswith("a and b are equally accurate, 94.0 %, on the same 100 validation images (95 % interval -")
    assert "too close to call on this data." in said


def test_one_seed_is_asked_for_more_than_its_interval() -> None:
    pair = pair_of(132, 16, 5, 0)
    assert pair.low > 0
    assert not pair.different
    said = sentence(pair, 1)
    assert "too close to call on this data; with one seed each, another seed could change it by as much" in said


def test_the_best_of_six_does_not_fool() -> None:
    pair = replace(pair_of(400, 60, 10, 30, seeds=2), p=0.02)
    others = [replace(pair, strategies=("c", f"d{index}"), p=0.5) for index in range(14)]
    corrected = holm([pair, *others])[0]
    assert "too close to call on this data; with 15 comparisons, one this large can arise" in sentence(corrected, 15)
    assert sentence(replace(pair, p_adjusted=0.02, different=True), 1).endswith("these seeds.")


def test_groups_and_folds_are_named() -> None:
    pair = replace(pair_of(90, 5, 2, 3), groups=31, folds=5, runs=10, seeds=2)
    assert ", 2 seeds each, 5 folds, 31 groups)" in sentence(pair, 1)


def test_the_difference_reads_the_same_from_either_side() -> None:
    pair = pair_of(80, 12, 4, 4)
    turned = oriented([pair], "b", "a")
    assert turned is not None
    assert (turned.difference, turned.low, turned.high) == (-pair.difference, -pair.high, -pair.low)
    assert sentence(turned, 1) == sentence(pair, 1)
    assert oriented([pair], "a", "c") is None


def test_one_image_and_one_group_are_singular() -> None:
    one_image, one_group = replace(pair_of(80, 12, 4, 4), images=1), replace(pair_of(80, 12, 4, 4), groups=1)
    assert "on the same validation image," in sentence(one_image, 1)
    assert ", one seed each, 1 group: these" in sentence(one_group, 1)
    alone = comparison(row("a", 1.0, images=1), images=1)
    assert "reaches 100.0 % on 1 validation image (95 %" in verdict(alone)


def test_more_images_of_a_single_group_would_show_nothing() -> None:
    right, wrong = discordant(30, 6, 2)
    found = difference_of([predicted(right, ("p",) * 38)], [predicted(wrong, ("p",) * 38)])
    assert found is not None and found.groups == 1
    said = sentence(found, 1)
    assert said.endswith("too close to call on this data; images of a single group say nothing about other groups.")


def test_a_difference_that_reads_as_none_is_no_reason() -> None:
    pair = pair_of(9390, 21, 17, 572)
    assert 0 < pair.difference < 0.0005
    assert sentence(pair, 1).startswith("a is less than 0.1 points more accurate than b on the same 10,000 validation")
    assert not any("accuracy matters" in choice.sentence for choice in choices(result(pair)))


def test_the_same_images_right_are_not_the_same_accuracy_of_all_others() -> None:
    said = sentence(pair_of(90, 0, 0, 10), 1)
    assert "(95 % interval -3." in said
    assert said.endswith("too close to call on this data, as both are right on the same images.")


def test_of_groups_as_many_more_are_needed() -> None:
    pair = replace(pair_of(139, 6, 4, 4, seeds=3), groups=31, images_needed=590)
    assert " would take about 590 images of about 120 groups." in sentence(pair, 1)


def test_equal_accuracies_without_predictions_are_no_proof_of_none() -> None:
    said = verdict(comparison(row("a", 0.9), row("b", 0.9)))
    assert (
        "too close to call on this data, since with this many images an accuracy is known only to about ±4.8 points"
        in said
    )


CLAIMS = ("chance", "too close", "is shown", "Indistinguishable", "Choose it", "No measure")


@pytest.mark.parametrize(
    ("state", "begins"),
    [(state, "No verdict: ") for state in ("skipped", "stopped", "failed", "interrupted")]
    + [(state, "No verdict yet: ") for state in ("running", "paused", "waiting")],
)
def test_a_strategy_that_was_cut_short_is_named_and_not_judged(state: str, begins: str) -> None:
    made = result(pair_of(400, 60, 10, 30))
    assert "more than chance" in verdict(made) and "Choose it" in choices(made)[0].sentence
    for number, name in enumerate("ab"):
        runs = [*made.runs]
        runs[number] = replace(runs[number], epochs=1, state=state)
        cut = replace(made, runs=tuple(runs))
        assert verdict(cut).startswith(
            f"{begins}{name} trained 1 of 5 epochs. a is 10.0 points more accurate than b on the same 500 validation "
            "images, 92.0 % against 82.0 % (95 % interval "
        )
        said = {one.strategy: one.sentence for one in choices(cut)}
        assert said.pop(name) == "Not judged: it trained 1 of 5 epochs."
        assert [*said.values()] == ["Not judged: no other strategy trained all its epochs."]
        assert not any(claim in verdict(cut) for claim in CLAIMS)
        unpaired = verdict(replace(cut, pairs=()))
        assert unpaired.startswith(f"{begins}{name} trained 1 of 5 epochs. a reaches 92.0 % and b 82.0 % on 500 val")
        assert not any(claim in unpaired for claim in CLAIMS)
        assert not any(any(line.best) for section in sections(cut, columns(cut)) for line in section.lines)


@pytest.mark.parametrize(
    ("states", "begins"),
    [
        (("stopped", "running"), "No verdict: "),
        (("running", "running"), "No verdict yet: "),
        (("stopped", "finished", "waiting"), "No verdict yet: "),
        (("stopped", "running", "running"), "No verdict yet: "),
        (("stopped", "stopped", "waiting"), "No verdict: "),
        (("stopped", "finished", "not begun"), "No verdict: "),
        (("stopped", "finished", "failed"), "No verdict: "),
    ],
)
def test_a_verdict_is_to_come_where_two_strategies_can_still_train_all_their_epochs(
    states: tuple[Condition, ...], begins: str
) -> None:
    has_none = ("waiting", "not begun", "failed")
    rows = [
        row(
            name,
            None if state in has_none else 0.9,
            state=state,
            epochs=0 if state in has_none else 5 if state == "finished" else 2,
        )
        for name, state in zip("abc", states, strict=False)
    ]
    assert verdict(comparison(*rows)).startswith(begins)


def test_of_several_those_that_were_cut_short_are_left_out() -> None:
    first, ahead = pair_of(450, 30, 8, 12), pair_of(400, 10, 62, 28, ("a", "c"))
    made = result(first, ahead, pair_of(400, 12, 60, 28, ("b", "c")))
    assert verdict(made).startswith("c is ")
    runs = tuple(replace(row, epochs=2, state="stopped") if row.strategy == "c" else row for row in made.runs)
    cut = replace(made, runs=runs)
    assert verdict(cut).startswith("a is 4.4 points more accurate than b")
    assert "c is not judged: it trained 2 of 5 epochs." in verdict(cut)
    assert not any(said in verdict(cut) for said in ("accurate than c", "is shown", "Indistinguishable"))
    said = {one.strategy: one.sentence for one in choices(cut)}
    assert said["c"] == "Not judged: it trained 2 of 5 epochs." and "accuracy matters most" in said["a"]
    none = replace(cut, runs=tuple(replace(row, epochs=2, state="stopped") for row in cut.runs))
    assert verdict(none).startswith("No verdict: ") and verdict(none).count("trained 2 of 5 epochs") == 3
    assert not any(claim in verdict(none) for claim in CLAIMS)


def test_of_several_seeds_it_is_told_how_many_runs_were_cut_short() -> None:
    made = comparison(*(row(name, 0.9, seed=seed) for name in "ab" for seed in range(3)))
    runs = [replace(run, epochs=run.seed + 1, state="stopped") if run.strategy == "b" else run for run in made.runs]
    said = verdict(replace(made, runs=tuple(runs)))
    assert said.startswith("No verdict: b trained 1 to 3 of 5 epochs in 3 of 3 runs. ")
    failed = replace(runs[-1], best_epoch=None, val_accuracy=None, epochs=0, state="failed")
    some = replace(made, runs=(*made.runs[:4], replace(runs[4]), failed))
    assert verdict(some).startswith("No verdict: b trained 2 of 5 epochs in 1 of 2 runs. ")
    nothing = replace(made, runs=(*made.runs[:5], failed))
    assert "No verdict" not in verdict(nothing), "a run without a result is not compared"


def test_a_strategy_alone_that_was_cut_short_is_told_as_that() -> None:
    only = comparison(row("a", 0.9, epochs=2, state="stopped"))
    assert verdict(only).startswith("a reaches 90.0 % after 2 of 5 epochs on 153 val")


def test_of_unequal_runs_those_that_both_have_are_compared_and_that_is_said() -> None:
    made = result(pair_of(139, 6, 4, 4))
    assert "that both have" not in verdict(made)
    more = replace(made, runs=(*made.runs, row("b", 0.9, seed=1)))
    assert "94.8 % against 93.5 % over the seeds both have (95 % interval" in verdict(more)
    three = result(pair_of(139, 6, 4, 4, seeds=3))
    assert "94.8 % against 93.5 % over the seeds both have (95 %" in verdict(
        replace(three, runs=tuple(row(name, 0.9, seed=seed) for name in "ab" for seed in range(4)))
    )
    folded = replace(made, runs=tuple(row(name, 0.9, fold=fold) for name in "ab" for fold in (1, 2)))
    assert "over the seeds and folds both have (95 %" in verdict(folded)
    waiting = replace(made, runs=(*made.runs, row("b", None, seed=1)))
    assert "that both have" not in verdict(waiting), "it has no result that could have been compared"


def test_a_strategy_alone_is_told_with_its_interval_or_its_range() -> None:
    one = comparison(row("a", 0.9, images=100), images=100)
    assert verdict(one).startswith("a reaches 90.0 % on 100 validation images (95 % interval 82.6 % to 94.5 %); there")
    three = replace(one, runs=tuple(row("a", accuracy, seed=seed) for seed, accuracy in enumerate((0.88, 0.9, 0.92))))
    assert verdict(three).startswith(
        "a reaches 90.0 % on 100 validation images (88.0 % to 92.0 % in 3 runs; with this many images an accuracy is "
        "known to about ±6.0 points); there is nothing to compare it with."
    )


def test_of_folds_under_way_only_the_images_of_those_that_are_done_count() -> None:
    folds = [row("a", 0.9 if fold < 3 else None, fold=fold, seed=0) for fold in (1, 2, 3, 4)]
    under_way = comparison(*folds, folds=4)
    assert "on 198 validation images" in verdict(under_way), "half of 244 and 153"
    assert "on 397 validation images" in verdict(
        replace(under_way, runs=tuple(replace(one, best_epoch=4, val_accuracy=0.9) for one in folds))
    )


def test_they_are_the_two_that_were_spoken_of() -> None:
    first, worse = pair_of(450, 12, 8, 30), pair_of(400, 62, 10, 28, ("a", "c"))
    said = verdict(result(first, worse, pair_of(400, 60, 12, 28, ("b", "c"))))
    assert said.index("Both take about the same time") < said.index("a is shown to be more accurate than c")


def test_the_time_of_a_run_that_did_not_end_is_not_compared() -> None:
    def said(**of_b: object) -> str:
        made = comparison(row("a", 0.95), row("b", 0.9, seconds_total=10.0, **of_b))
        return " ".join([verdict(made), *(choice.sentence for choice in choices(made))])

    assert said().count("1/10 of the time") == 2
    assert "of the time" not in said(epochs=2, state="stopped")
    assert "of the time" not in said(epochs=2, state="running")
    assert "of the time" not in said(state="failed"), "of one without an end only the epochs' seconds are known"


def test_pairs_are_counted_that_are_judged() -> None:
    pairs = [
        replace(pair_of(450, 30, 8, 12, names), p=0.03, p_adjusted=0.09, different=False)
        for names in combinations("abcd", 2)
    ]
    made = replace(result(pairs[0], *pairs[1:]), pairs=tuple(pairs))
    assert "with 6 comparisons, one this large" in verdict(made)
    cut = tuple(replace(row, epochs=2, state="stopped") if row.strategy == "d" else row for row in made.runs)
    assert "with 3 comparisons, one this large" in verdict(replace(made, runs=cut))


def test_a_strategy_that_nothing_speaks_for_is_told_what_was_looked_at() -> None:
    made = comparison(row("a", 0.9, multiply_adds=100), row("b", 0.9, multiply_adds=100), row("c", 0.8))
    assert [choice.sentence for choice in choices(made)] == [
        "Choose it when accuracy matters most (with b).",
        "Choose it when accuracy matters most (with a).",
        f"{NOTHING} accuracy, time, memory and log loss.",
    ], "what c computes is not known"
    unknown = comparison(row("a", 0.9, seconds_total=None), row("b", 0.9))
    assert f"{NOTHING} accuracy, memory and log loss." in choices(unknown)[0].sentence


def test_differences_that_are_noise_speak_for_nobody() -> None:
    peaks = {"memory_at_start_bytes": 0}
    made = comparison(
        row("a", 0.9, seconds_total=1.0, peak_memory_bytes=10 * 2**20, **peaks),
        row("b", 0.9, seconds_total=2.9, peak_memory_bytes=200 * 2**20, **peaks),
    )
    assert all(choice.sentence.startswith(NOTHING) for choice in choices(made))
    made = comparison(
        row("a", 0.9, seconds_total=10.0, peak_memory_bytes=100 * 2**20, **peaks),
        row("b", 0.9, seconds_total=29.0, peak_memory_bytes=2000 * 2**20, **peaks),
    )
    assert choices(made)[0].sentence == (
        "Choose it when time matters (34 % of the time) or memory is tight (1/20 of the memory a run adds)."
    )


def test_memory_is_not_compared_where_only_the_extracting_would_have_shown_it() -> None:
    peaks = {"memory_at_start_bytes": 0, "seconds_total": 10.0}
    dear, cheap = row("a", 0.9, peak_memory_bytes=2000 * 2**20, **peaks), row("b", 0.9, peak_memory_bytes=1, **peaks)
    assert "memory is tight" in choices(comparison(dear, cheap))[1].sentence
    found = replace(cheap, seconds_of_found_features=3.0)
    assert "memory" not in choices(comparison(dear, found))[1].sentence
    assert "memory is tight" in choices(comparison(dear, found, replace(cheap, seed=1)))[1].sentence, "one did extract"


def test_a_class_that_nothing_was_measured_of_is_a_caveat() -> None:
    there, gone = ClassScores("ants", 1.0, 1.0, 9), ClassScores("bees", None, None, 0)
    scored = Scores(9, 1.0, 1.0, 1.0, None, None, "", None, None, 0.1, 0.1, (there, gone), ((9, 0), (0, 0)))
    made = comparison(row("a", 0.9, scores=scored))
    said = "no image of 1 of 2 classes: bees; accuracy on that was not measured, so there is no ROC AUC."
    assert f"The validation part has {said}" in caveats(made, "val")
    folded = comparison(row("a", 0.9, scores=scored, fold=1))
    assert f"The folds that were measured have {said}" in caveats(folded, "val")
    whole = replace(scored, classes=(there, replace(gone, support=1)))
    assert not any("no image of" in said for said in caveats(comparison(row("a", 0.9, scores=whole)), "val"))


def test_of_a_test_that_decides_the_classes_it_has_none_of_are_counted_and_named() -> None:
    classes = [ClassScores("ants", 1.0, 1.0, 9), *(ClassScores(name, None, None, 0) for name in ("bees", "cats"))]
    scored = Scores(9, 1.0, 1.0, 1.0, None, None, "", None, None, 0.1, 0.1, tuple(classes), ((9, 0, 0),) * 3)
    tested = row("a", 0.9, test_accuracy=0.9, test_scores=scored)
    made = comparison(tested, replace(tested, run="b-0", strategy="b"))
    made = replace(made, data=replace(made.data, classes=("ants", "bees", "cats")))
    said = "The test part has no image of 2 of 3 classes: bees, cats; accuracy on those was not measured"
    assert f"{said}, so there is no ROC AUC." in verdict(made)
    some = replace(scored, classes=(*classes[:2], replace(classes[2], support=1)))
    made = replace(made, runs=tuple(replace(one, test_scores=some) for one in made.runs))
    said = "The test part has no image of 1 of 3 classes: bees; accuracy on that was not measured"
    assert f"{said}, and balanced accuracy and ROC AUC leave it out." in verdict(made)


def test_what_always_the_same_answer_would_reach_is_a_caveat() -> None:
    classes = (ClassScores("ants", 1.0, 1.0, 40), ClassScores("bees", 0.5, 0.5, 60))
    scored = Scores(100, 1.0, 1.0, 1.0, None, None, "", None, None, 0.1, 0.1, classes, ((40, 0), (30, 30)))
    made = comparison(*(row(name, accuracy, 100, scores=scored) for name, accuracy in (("a", 0.6), ("b", 0.68))))
    (said,) = [one for one in caveats(made, "val") if "always predicting" in one]
    assert said == "a, b are not shown to be more accurate than always predicting bees."
    better = comparison(row("a", 0.6, 100, scores=scored), row("b", 0.75, 100, scores=scored))
    (said,) = [one for one in caveats(better, "val") if "always predicting" in one]
    assert said == "a is not shown to be more accurate than always predicting bees."
    begun = replace(better, runs=(replace(better.runs[0], epochs=1, state="running"), better.runs[1]))
    assert not any("always predicting" in one for one in caveats(begun, "val")), "it may come to be"
    assert not any("always" in one for one in caveats(comparison(row("b", 0.75, 100, scores=scored)), "val"))


def uneven(name: str, ants: int, bees: int, **values: object) -> Row:
    """A run on 180 ants and 20 bees, of which so many are found."""
    classes = (ClassScores("ants", 1.0, ants / 180, 180), ClassScores("bees", 1.0, bees / 20, 20))
    balanced, confusion = (ants / 180 + bees / 20) / 2, ((ants, 180 - ants), (20 - bees, bees))
    accuracy = (ants + bees) / 200
    scored = Scores(200, accuracy, balanced, 1.0, None, None, "", None, None, 0.1, 0.1, classes, confusion)
    return row(name, accuracy, 200, scores=scored, **values)


def test_of_uneven_classes_balanced_accuracy_is_told_and_qualifies_the_choice() -> None:
    made = comparison(uneven("a", 179, 7), uneven("b", 170, 14), images=200)
    said = "Classes are imbalanced (9:1): balanced accuracy is 67.2 % (a) against 82.2 % (b)."
    assert said in verdict(made)
    one, other = (choice.sentence for choice in choices(made))
    assert one == (
        "Choose it when accuracy matters most (+1.0 points, not confirmed by this data; "
        "but balanced accuracy is 67.2 % against 82.2 %)."
    )
    assert other == (
        "Choose it when every class counts equally "
        "(balanced accuracy 82.2 % against 67.2 %, not tested against chance)."
    )
    tested = [replace(one, test_accuracy=one.val_accuracy, test_scores=one.scores, scores=None) for one in made.runs]
    assert said in verdict(replace(made, runs=tuple(tested))), "of the part that is compared"


def test_balanced_accuracy_is_not_told_where_it_says_the_same_or_classes_are_even() -> None:
    same = comparison(uneven("a", 171, 19), uneven("b", 162, 18), images=200)
    assert "uneven" not in verdict(same) and "balanced" not in choices(same)[0].sentence
    even = comparison(uneven("a", 179, 7), uneven("b", 170, 14), images=200)
    half = [ClassScores("ants", 1.0, 0.9, 118), ClassScores("bees", 1.0, 0.5, 82)]
    runs = [replace(one, scores=one.scores and replace(one.scores, classes=tuple(half))) for one in even.runs]
    assert "uneven" not in verdict(replace(even, runs=tuple(runs)))


def test_of_more_than_two_classes_the_commonest_and_the_rarest_are_told() -> None:
    more = [ClassScores("ants", 1.0, 1.0, 1200), ClassScores("bees", 1.0, 0.0, 100), ClassScores("cats", 1.0, 1.0, 500)]
    runs = [uneven(name, 179, 7) for name in ("a", "b")]
    runs = [replace(one, scores=one.scores and replace(one.scores, classes=tuple(more))) for one in runs]
    said = verdict(comparison(*runs, images=200))
    assert "Classes are imbalanced (up to 12:1): balanced accuracy is 67.2 % (a) against 67.2 % (b)." in said


@pytest.mark.parametrize(
    ("part", "fold", "said"),
    [
        ("val", None, "3 validation images are also in training, byte for byte."),
        (
            "val",
            1,
            "3 images have a byte-for-byte duplicate, which may be in training while the other is validated on.",
        ),
        ("test", None, "1 test image is also in training or validation, byte for byte."),
    ],
)
def test_images_in_two_parts_are_a_caveat(part: MeasuredPart, fold: int | None, said: str) -> None:
    made = comparison(row("a", 0.9, fold=fold))
    copied = replace(made, data=replace(made.data, val_copies=3, test_copies=1))
    assert said in caveats(copied, part)
    assert said not in caveats(made, part)


@pytest.mark.parametrize(
    ("part", "fold", "said"),
    [
        ("val", None, "3 validation images have a copy in another class: one of the labels is wrong."),
        ("val", 1, "3 images have a copy in another class: one of the labels is wrong."),
        ("test", None, "1 test image has a copy in another class: one of the labels is wrong."),
    ],
)
def test_images_of_two_classes_are_a_caveat(part: MeasuredPart, fold: int | None, said: str) -> None:
    made = comparison(row("a", 0.9, fold=fold))
    in_two = replace(made, data=replace(made.data, val_conflicts=3, test_conflicts=1))
    assert said in caveats(in_two, part)
    assert not any("another class" in one for one in caveats(made, part))


def test_a_test_that_was_known_before_training_went_on_is_a_caveat() -> None:
    again = row("a", 0.9, test_accuracy=0.9, times_tested=2)
    (said,) = [one for one in caveats(comparison(again, row("b", 0.9, test_accuracy=0.9)), "test") if "known" in one]
    assert said == "The test of a was known before training continued, which may have influenced choices."
    assert not any("known" in one for one in caveats(comparison(replace(again, times_tested=1)), "test"))


def test_a_strategy_without_a_result_does_not_change_what_the_others_are_measured_on() -> None:
    there, gone = ClassScores("ants", 1.0, 1.0, 9), ClassScores("bees", 1.0, 1.0, 9)
    scored = Scores(18, 1.0, 1.0, 1.0, None, None, "", None, None, 0.1, 0.1, (there, gone), ((9, 0), (0, 9)))
    tested = row("a", 0.9, scores=scored, test_scores=scored, test_accuracy=0.9)
    made = comparison(tested, row("b", None, state="waiting"))
    shown = columns(made)
    assert [matrix.part for matrix in matrices(shown)] == ["test"]
    assert any(section.title == "Recall / precision (test)" for section in sections(made, shown))


def test_what_predicts_with_fewer_operations_is_fast_later() -> None:
    made = comparison(row("a", 0.9, multiply_adds=32 * 10**6), row("b", 0.9, multiply_adds=10**6))
    said = {choice.strategy: choice.sentence for choice in choices(made)}
    assert said["b"] == "Choose it when the trained network must be fast (1/32 of the multiply-adds)."
    assert said["a"].startswith(NOTHING)


def test_of_more_than_two_a_share_is_of_the_cheapest_of_the_others() -> None:
    made = comparison(
        row("a", 0.9, multiply_adds=100),
        row("b", 0.9, multiply_adds=80, seconds_total=80.0),
        row("c", 0.9, multiply_adds=10, seconds_total=100.0),
    )
    said = {choice.strategy: choice.sentence for choice in choices(made)}
    assert said["b"] == "Choose it when time matters (80 % of the time of the next best)."
    assert said["c"] == "Choose it when the trained network must be fast (1/8 of the multiply-adds of the next best)."


def test_a_log_loss_is_a_reason_as_far_as_this_data_can_confirm_it() -> None:
    def said(low: float, high: float, seeds: int = 2) -> str:
        pair = replace(pair_of(90, 4, 4, 2, seeds=seeds), loss_difference=-0.1, loss_low=low, loss_high=high)
        made = result(pair)
        made = replace(made, runs=tuple(replace(row, val_loss=0.4) for row in made.runs))
        surer = replace(made.runs[0], val_loss=0.3)
        return choices(replace(made, runs=(surer, made.runs[1])))[0].sentence

    assert said(-0.15, -0.05) == "Choose it when its probabilities must be reliable (log loss 0.300 against 0.400)."
    assert said(-0.25, 0.05).endswith("(log loss 0.300 against 0.400, not confirmed by this data).")
    assert said(-0.15, -0.05, seeds=1).endswith("(log loss 0.300 against 0.400, with one seed each).")
    unpaired = comparison(row("a", 0.9, val_loss=0.3), row("b", 0.9, val_loss=0.4))
    assert choices(unpaired)[0].sentence.endswith("(log loss 0.300 against 0.400, not confirmed by this data).")


def test_log_losses_too_are_of_the_seeds_that_both_have() -> None:
    pair = replace(pair_of(90, 4, 4, 2), loss_difference=-0.1, loss_low=-0.15, loss_high=-0.05)
    made = comparison(row("a", 0.9, val_loss=0.3), row("a", 0.9, seed=1, val_loss=0.37), row("b", 0.9, val_loss=0.4))
    said = choices(replace(made, pairs=(pair,)))[0].sentence
    assert "(log loss 0.300 against 0.400, with one seed each)" in said


def test_a_log_loss_of_nothing_is_known_and_the_least() -> None:
    def said(first: float, second: float) -> list[str]:
        made = comparison(row("a", 0.9, val_loss=first), row("b", 0.9, val_loss=second))
        return [choice.sentence for choice in choices(made)]

    surest, other = said(0.0, 0.4)
    assert "its probabilities must be reliable (log loss 0.000 against 0.400" in surest
    assert other == f"{NOTHING} accuracy, time, memory and log loss."
    assert not any("probabilities" in one for one in said(0.0, 0.0))


def test_which_of_the_others_are_shown_to_be_worse() -> None:
    first, worse = pair_of(450, 12, 8, 30), pair_of(400, 62, 10, 28, ("a", "c"))
    said = verdict(result(first, worse, pair_of(400, 60, 12, 28, ("b", "c"))))
    assert "a is shown to be more accurate than c." in said
    alike = pair_of(449, 13, 6, 32, ("a", "c"))
    assert "Indistinguishable from a: c." in verdict(result(first, alike))


def test_what_is_better_in_the_runs_that_both_have_is_not_said_to_be_worse() -> None:
    first, better = pair_of(450, 12, 8, 30), pair_of(400, 10, 62, 28, ("a", "c"))
    made = result(first, pair_of(400, 12, 60, 28, ("b", "c")), better)
    said = verdict(replace(made, runs=(row("a", 0.9), row("b", 0.8), row("c", 0.95), row("c", 0.2, seed=1))))
    assert "a is shown to be more" not in said
    assert "Indistinguishable" not in said
    assert "c is shown to be more accurate than a over the runs both have." in said


def test_accuracy_speaks_for_nobody_who_is_behind_in_the_runs_that_both_have() -> None:
    ahead, behind = pair_of(450, 12, 8, 30), pair_of(400, 10, 62, 28, ("a", "c"))
    made = result(ahead, pair_of(400, 12, 60, 28, ("b", "c")), behind)
    rows = (row("a", 0.9), row("b", 0.8), row("c", 0.95), row("c", 0.2, seed=1))
    said = {choice.strategy: choice.sentence for choice in choices(replace(made, runs=rows))}
    assert [name for name, sentence in said.items() if "accuracy matters" in sentence] == ["c"]


def test_the_choice_goes_by_the_seeds_that_both_have_as_the_verdict_does() -> None:
    made = result(pair_of(139, 6, 4, 4))
    more = replace(made, runs=(*made.runs, row("b", 0.99, seed=1)))
    assert verdict(more).startswith("a is 1.3 points more accurate than b")
    said = {choice.strategy: choice.sentence for choice in choices(more)}
    assert "accuracy matters most (+1.3 points, not confirmed by this data)" in said["a"]
    assert "accuracy matters" not in said["b"]


def test_without_predictions_each_ones_own_interval_judges() -> None:
    said = verdict(comparison(row("a", 0.935), row("b", 0.922)))
    assert "too close to call on this data" in said
    assert "judged by their separate intervals, as their predictions" in said
    said = verdict(comparison(row("a", 0.935), row("b", 0.922, seed=5)))
    assert "judged by their separate intervals, as they share no seed" in said


def test_other_data_has_no_verdict() -> None:
    other = replace(
        result(pair_of(80, 12, 4, 4)), data_differs="two was not measured on the same data as one: other classes"
    )
    assert verdict(other) == "No verdict: two was not measured on the same data as one: other classes."
    assert choices(other) == ()


def test_choices_rest_on_the_paired_difference() -> None:
    sure = result(pair_of(400, 60, 10, 30))
    assert choices(sure)[0].sentence == "Choose it when accuracy matters most (+10.0 points)."
    unsure = choices(result(pair_of(139, 6, 4, 4)))[0].sentence
    assert "+1.3 points, not confirmed by this data" in unsure


def test_the_test_part_counts_where_every_run_was_tested() -> None:
    tested = comparison(row("a", 0.9, test_accuracy=0.80), row("b", 0.85, test_accuracy=0.84), images=100)
    tested = replace(tested, data=DataCounts(244, 100, ("ants", "bees"), 200))
    assert verdict(tested).startswith("b reaches 84.0 % and a 80.0 % on 200 test images")
    assert "these same images" not in verdict(tested)
    only_one = comparison(row("a", 0.9, test_accuracy=0.80), row("b", 0.85))
    assert verdict(only_one).startswith("a reaches 90.0 % and b 85.0 % on 153 validation images")


def test_a_best_epoch_chosen_on_the_same_images_is_a_caveat() -> None:
    assert "The best epoch was chosen on these same images" in verdict(result(pair_of(80, 12, 4, 4)))
    assert caveats(comparison(row("a", 0.9, epochs=1, epochs_planned=1, best_epoch=1)), "val") == ()


def test_a_leak_is_the_gravest_caveat() -> None:
    runs = comparison(row("a", 0.9, weights="none (random)"))
    leaking = replace(runs, leak=Leak(0.871, 0.52, 140, 153))
    first, *others = caveats(leaking, "val")
    assert first.startswith("140 of 153 validation images share a group with training")
    assert "their groups predict 87.1 % of the labels (majority class: 52.0 %), so validation accuracy rewards" in first
    assert first in verdict(leaking)
    assert "memory" not in verdict(replace(runs, leak=Leak(0.54, 0.52, 10, 153)))
    assert "chosen on these same images" in others[-1]
    assert not any("--" in one for one in (first, *others)), "who reads it in the app has no command line"


def test_a_leak_into_the_test_part_is_told_where_that_part_counts() -> None:
    leaking = replace(comparison(row("a", 0.9)), test_leak=Leak(0.871, 0.52, 30, 40))
    first, *_ = caveats(leaking, "test")
    assert first.startswith("30 of 40 test images share a group with training or validation")
    assert "predict 87.1 % of the labels (majority class: 52.0 %), so test accuracy rewards memorisation" in first
    assert not any("memorisation" in one for one in caveats(leaking, "val"))
    both = caveats(replace(leaking, leak=Leak(0.871, 0.52, 140, 153)), "test")
    assert [one.split()[3] for one in both[:2]] == ["test", "validation"]
    harmless = replace(leaking, test_leak=Leak(0.54, 0.52, 10, 40))
    assert not any("memorisation" in one for one in caveats(harmless, "test"))


@pytest.mark.parametrize(
    ("count", "words"),
    [(7, "about 7"), (96, "about 96"), (341, "about 350"), (1873, "about 1,900"), (10**7, "more than a million")],
)
def test_images_without_false_digits(count: int, words: str) -> None:
    assert about(count) == words


def times(slow: dict[str, object], fast: dict[str, object]) -> str:
    """What is said of two strategies whose runs took this."""
    return verdict(comparison(row("a", 0.95, **slow), row("b", 0.9, **fast)))


def test_times_of_a_busy_machine_are_told_with_the_processor_time() -> None:
    slow: dict[str, object] = {"seconds_total": 100.0, "cpu_seconds": 80.0}
    fast: dict[str, object] = {"seconds_total": 10.0, "cpu_seconds": 18.0}
    waited = ": a had 0.8 cores at work, so it waited for other programs or the disk."
    assert f"b takes 1/10 of the time; of the CPU time b takes 1/4{waited}" in times(slow, fast)
    many = times({**slow, "cpu_seconds": 400.0}, {**fast, "cpu_seconds": 70.0})
    assert "b takes 1/10 of the time; of the CPU time b takes 1/6." in many, "perhaps it cannot use more"
    for alike in (
        {"cpu_seconds": 11.9},  # 1.19 cores
        {"cpu_seconds": None},
        {"memory_kind": "CUDA allocated"},
    ):
        assert "b takes 1/10 of the time." in times(slow, {**fast, **alike}), alike
    assert "b takes at most 1/10 of the time." in times({**slow, "state": "running"}, fast)
    assert "b takes 1/100 of the time." in times(slow, {"seconds_total": 1.0, "cpu_seconds": 1.9}), "too short to tell"


def test_times_beside_another_experiment_are_told_as_inflated() -> None:
    plain = [row("a", 0.95, joules=9.0), row("b", 0.9, seconds_total=10.0, cpu_seconds=19.0, joules=99.0)]
    warned = " Another experiment ran on this machine meanwhile, which inflates times."
    for number in range(2):
        rows = [*plain]
        assert "inflates" not in verdict(comparison(*rows))
        rows[number] = replace(rows[number], ran_beside_another=True)
        made = comparison(*rows)
        assert f"b takes 1/10 of the time.{warned}" in verdict(made)
        assert "time matters (1/10 of the time, while another experiment ran too)" in choices(made)[1].sentence
        best = {line.title: line.best for one in sections(made, columns(made)) for line in one.lines}
        assert not any(best["total time"]) and not any(best["GPU energy"]) and any(best["validation accuracy"])
    assert f"Both take about the same time.{warned}" in verdict(comparison(rows[1], replace(rows[1], strategy="a")))


def test_equal_times_may_be_those_of_a_busy_machine_too() -> None:
    said = times({"seconds_total": 10.0, "cpu_seconds": 19.0}, {"seconds_total": 10.0, "cpu_seconds": 6.0})
    waited = ": b had 0.6 cores at work, so it waited for other programs or the disk."
    assert f"Both take about the same time; of the CPU time b takes 32 %{waited}" in said
