import dataclasses
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_sample_size_one_tail

from benchmarks.calibration import WORLDS, compared, rates
from engine.comparison.difference import PairedDifference
from engine.comparison.mistakes import mistakes, together
from engine.comparison.paired import holm
from engine.comparison.pairs import SavedRun, differences
from engine.comparison.predictions import Predictions, saved
from engine.comparison.resampling import Units, bootstrap, images_needed, sign_flip_p, welch_p
from tests.engine.comparison.files import write_predictions
from tests.engine.comparison.predicted import difference_of, discordant, predicted

RNG = np.random.default_rng


def difference(one: np.ndarray, other: np.ndarray, groups: tuple[str, ...] = ()) -> PairedDifference:
    """Of two strategies, from (runs, images) of what they get right."""
    first, second = (
        [predicted(right, groups, run=f"{name}-{seed}") for seed, right in enumerate(np.atleast_2d(runs))]
        for name, runs in (("a", one), ("b", other))
    )
    found = difference_of(first, second)
    assert found is not None
    return found


def random_runs(seed: int, images: int = 120, runs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = RNG(seed)
    easy = rng.beta(6, 1, size=images)
    return rng.random((runs, images)) < easy, rng.random((runs, images)) < np.minimum(1, easy * rng.uniform(0.85, 1))


@pytest.mark.parametrize("seed", range(15))
def test_the_exact_test_of_a_single_pair_is_mcnemars(seed: int) -> None:
    one, other = random_runs(seed)
    found = difference(one, other)
    table = [[np.sum(one & other), np.sum(one & ~other)], [np.sum(~one & other), np.sum(~one & ~other)]]
    assert found.mcnemar_p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.discordant == (table[0][1], table[1][0])
    assert found.difference == pytest.approx(one.mean() - other.mean())
    assert found.accuracies == pytest.approx((one.mean(), other.mean()))


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_that_of_a_plain_bootstrap_of_images(seed: int) -> None:
    one, other = random_runs(seed, images=300)
    found, rng = difference(one, other), RNG(seed)
    each = one[0].astype(float) - other[0]
    samples = [each[rng.integers(300, size=300)].mean() for _ in range(4000)]
    low, high = np.percentile(samples, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(("groups", "size"), [(40, 6), (1500, 1)])
def test_the_interval_is_that_of_scipys_bootstrap_of_units(groups: int, size: int) -> None:
    rng = RNG(groups)
    sums, sizes = rng.integers(-size, size + 1, groups), np.full(groups, size) + (rng.random(groups) < 0.5) * (size > 1)
    ours = np.percentile(bootstrap(Units(sums, sizes), rng), [2.5, 97.5])

    def ratio(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return x.sum(axis=axis) / y.sum(axis=axis)

    theirs = stats.bootstrap(
        (sums, sizes), ratio, paired=True, vectorized=True, method="percentile", n_resamples=4000, rng=rng
    ).confidence_interval
    centre, width = sums.sum() / sizes.sum(), theirs.high - theirs.low
    wider = np.sqrt(groups / (groups - 1)) * stats.t.ppf(0.975, groups - 1) / stats.norm.ppf(0.975)
    expected = [centre + wider * (bound - centre) for bound in (theirs.low, theirs.high)]
    assert ours == pytest.approx(expected, abs=0.06 * width)


@pytest.mark.parametrize(
    ("only_one", "only_other", "images"), [(0, 0, 12), (0, 0, 153), (3, 0, 153), (2, 1, 40), (9, 4, 500)]
)
def test_with_few_images_that_differ_the_interval_is_about_that_of_bonett_and_price(
    only_one: int, only_other: int, images: int
) -> None:
    one, other = discordant(images - only_one - only_other, only_one, only_other)
    found = difference(one, other)
    first, second = ((count + 1) / (images + 2) for count in (only_one, only_other))
    half = stats.norm.ppf(0.975) * np.sqrt((first + second - (first - second) ** 2) / (images + 2))
    expected = first - second - half, first - second + half
    assert (found.low, found.high) == pytest.approx(expected, abs=0.3 * half)
    assert found.low < 0 < found.high


def unsure(seed: int, images: int, runs: int, groups: tuple[str, ...] = ()) -> tuple[list, list, np.ndarray]:
    """Two strategies' runs, with probabilities of their own; and (2, runs, images) of their cross-entropies."""
    rng, sides, losses = RNG(seed), [], []
    for name in "ab":
        given = rng.beta(6, 2, size=(runs, images))
        sides.append(
            [giving(predicted(one > 0.5, groups, run=f"{name}-{number}"), one) for number, one in enumerate(given)]
        )
        losses.append(-np.log(given))
    return sides[0], sides[1], np.array(losses)


def giving(made: Predictions, given: np.ndarray) -> Predictions:
    """These predictions with such probabilities of the true classes."""
    probabilities = np.where(np.arange(2) == made.labels[:, None], given[:, None], 1 - given[:, None])
    return dataclasses.replace(made, probabilities=probabilities)


@pytest.mark.parametrize("images", [2, 20, 153])
def test_the_interval_of_log_losses_is_that_of_the_paired_t_test(images: int) -> None:
    one, other, losses = unsure(images, images, 1)
    found = difference_of(one, other)
    assert found is not None
    expected = stats.ttest_rel(*losses[:, 0])
    interval = expected.confidence_interval()
    assert found.loss_difference == pytest.approx(np.subtract(*losses[:, 0]).mean())
    assert (found.loss_low, found.loss_high) == pytest.approx((interval.low, interval.high))


def test_the_interval_of_log_losses_of_groups_is_that_of_clusters() -> None:
    groups = tuple(f"p{number}" for number in np.repeat(np.arange(20), RNG(0).integers(1, 9, 20)))
    one, other, losses = unsure(3, len(groups), 1, groups)
    found = difference_of(one, other)
    assert found is not None and found.loss_low is not None and found.loss_high is not None
    each = np.subtract(*losses[:, 0])
    clustered = OLS(each, np.ones(len(each))).fit(
        cov_type="cluster",
        cov_kwds={"groups": np.unique(groups, return_inverse=True)[1], "use_correction": False, "df_correction": True},
        use_t=True,
    )
    low, high = clustered.params[0] + stats.t.ppf([0.025, 0.975], 19) * clustered.bse[0] * np.sqrt(20 / 19)
    assert (found.loss_low, found.loss_high) == pytest.approx((low, high))


def test_seeds_and_folds_widen_the_interval_of_log_losses() -> None:
    one, other, losses = unsure(4, 60, 3)
    found = difference_of(one, other)
    assert found is not None and found.loss_low is not None and found.loss_high is not None
    means = losses.mean(axis=2)
    variance = np.subtract(*losses.mean(axis=1)).var(ddof=1) / 60 + means.var(axis=1, ddof=1).sum() / 3
    assert found.loss_high - found.loss_low == pytest.approx(2 * stats.t.ppf(0.975, 4) * np.sqrt(variance))
    in_folds = [
        [
            dataclasses.replace(run, run=f"a-0-fold-{fold}", paths=tuple(f"{fold}{path}" for path in run.paths))
            for fold, run in enumerate(side, 1)
        ]
        for side in (one, other)
    ]
    folds = difference_of(*in_folds)
    assert folds is not None and folds.loss_low is not None and folds.loss_high is not None
    differences = np.subtract(*means)
    error = np.sqrt((1 / 3 + 60 / 120) * differences.var(ddof=1))
    images = np.subtract(*losses).ravel().std(ddof=1) / np.sqrt(180)
    half = max(stats.t.ppf(0.975, 2) * error, stats.t.ppf(0.975, 179) * images)
    assert folds.loss_high - folds.loss_low == pytest.approx(2 * half)


def test_a_single_unit_has_no_interval_of_log_losses() -> None:
    found = difference_of([predicted([True])], [predicted([False])])
    assert found is not None
    assert (found.loss_low, found.loss_high) == (None, None) and found.loss_difference < 0


def test_groups_are_resampled_whole() -> None:
    one, other = np.tile([True] * 8 + [False] * 4, 10), np.tile([True] * 4 + [False] * 4 + [True] * 4, 10)
    alone = difference(one, other)
    together = difference(one, other, tuple(f"patient {index // 4}" for index in range(120)))
    assert (alone.groups, together.groups, together.images) == (0, 30, 120)
    assert together.high - together.low == pytest.approx(2 * (alone.high - alone.low), rel=0.15)
    assert (together.mcnemar_p, alone.images_needed) == (None, None)


def test_images_without_a_group_stand_alone() -> None:
    one, other = random_runs(1, images=20)
    assert difference(one, other, ("p",) * 5 + ("",) * 15).groups == 16


@pytest.mark.parametrize("seed", range(10))
def test_the_sign_flip_test_counts_every_combination_of_signs(seed: int) -> None:
    sums = RNG(seed).integers(-4, 6, size=9)
    totals = [abs(np.dot(signs, sums)) for signs in product((-1, 1), repeat=len(sums))]
    assert sign_flip_p(sums) == pytest.approx(np.mean(np.array(totals) >= abs(sums.sum())))


def test_the_sign_flip_test_is_scipys_permutation_test() -> None:
    sums = RNG(5).integers(-6, 9, size=200)
    result = stats.permutation_test(
        (sums, np.zeros(200)), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", rng=RNG(0)
    )
    assert sign_flip_p(sums) == pytest.approx(result.pvalue, abs=0.01)


def folded(seed: int, folds: int, seeds: int) -> tuple[list, list, np.ndarray, list[int]]:
    """Two strategies over folds and seeds; with the differences of their accuracies, and the sizes of the folds."""
    rng, sizes = RNG(seed), [30 + fold % 2 for fold in range(folds)]
    one, other, differences = [], [], []
    for run in range(seeds):
        for fold, size in enumerate(sizes):
            rights = rng.random(size) < 0.9, rng.random(size) < 0.8
            for runs, right in zip((one, other), rights, strict=True):
                runs.append(predicted(right, run=f"a-{run}-fold-{fold + 1}", first=1000 * fold))
            differences.append(rights[0].mean() - rights[1].mean())
    return one, other, np.array(differences), sizes


@pytest.mark.parametrize(("folds", "seeds"), [(5, 1), (10, 1), (4, 3)])
def test_over_folds_the_corrected_t_test_is_that_of_nadeau_and_bengio(folds: int, seeds: int) -> None:
    one, other, differences, sizes = folded(folds, folds, seeds)
    found = difference_of(one, other)
    assert found is not None
    ratio = np.mean(sizes) / (sum(sizes) - np.mean(sizes))
    error = np.sqrt((1 / len(differences) + ratio) * differences.var(ddof=1))
    p = 2 * stats.t.sf(abs(differences.mean()) / error, len(differences) - 1)
    assert found.corrected_t_p == pytest.approx(p)
    assert found.p >= p
    assert (found.folds, found.seeds, found.runs, found.images) == (folds, seeds, folds * seeds, sum(sizes))
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    assert found.high - found.low >= 2 * half - 1e-9


def test_the_corrected_t_test_knows_of_the_folds_that_are_not_done() -> None:
    """Two of ten: what tests is a ninth of what trains, as it will be of all ten."""
    one, other, differences, sizes = folded(3, 10, 1)
    found = difference_of(one[:2], other[:2], sum(sizes))
    assert found is not None
    differences, tested = differences[:2], np.mean(sizes[:2])
    error = np.sqrt((1 / 2 + tested / (sum(sizes) - tested)) * differences.var(ddof=1))
    assert found.corrected_t_p == pytest.approx(2 * stats.t.sf(abs(differences.mean()) / error, 1))


def test_over_unequal_folds_a_difference_that_is_shown_leaves_0_out_of_its_interval() -> None:
    """The t-test takes the mean of the folds' differences, to which small folds add as much as large ones."""
    kinds = [(6, 6, 0), (10, 8, 0), (8, 7, 0), (44, 11, 1)]  # both right, only one, only the other
    pairs = [discordant(*kind) for kind in kinds]
    one, other = (
        [
            predicted(pair[side], run=f"{name}-0-fold-{fold}", first=1000 * fold)
            for fold, pair in enumerate(pairs, start=1)
        ]
        for side, name in enumerate("ab")
    )
    found = difference_of(one, other)
    assert found is not None and found.corrected_t_p is not None
    differences = [(only_one - only_other) / (both + only_one + only_other) for both, only_one, only_other in kinds]
    assert found.difference < np.mean(differences), "of all images together, most of which are in one fold"
    assert found.different and found.low > 0


@pytest.mark.parametrize(("size", "share"), [(0.05, 0.12), (0.013, 0.06), (0.2, 0.2)])
def test_images_needed_agree_with_statsmodels(size: float, share: float) -> None:
    expected = normal_sample_size_one_tail(
        size, 0.8, 0.025, std_null=share**0.5, std_alternative=(share - size**2) ** 0.5
    )
    assert images_needed(size, share) == int(np.ceil(expected))
    assert images_needed(-size, share, 2.5) == int(np.ceil(2.5 * expected))


def test_groups_that_agree_within_need_more_images() -> None:
    one, other = np.repeat([True] * 8 + [False] * 2, 6), np.repeat([True] * 7 + [False] * 2 + [True], 6)
    alone, groups = difference(one, other), tuple(f"{index // 6}" for index in range(60))
    assert alone.images_needed is None  # as often one as the other
    other = np.repeat([True] * 6 + [False] * 3 + [True], 6)
    alone, together = difference(one, other), difference(one, other, groups)
    assert alone.images_needed is not None
    assert together.images_needed == pytest.approx(6 * 10 / 9 * 59 / 60 * alone.images_needed, rel=0.05)


def test_seeds_that_differ_widen_the_interval() -> None:
    one, other = discordant(80, 12, 4, 4)
    alike = difference(np.tile(one, (3, 1)), np.tile(other, (3, 1)))
    better, worse = one | (np.arange(100) > 97), one & (np.arange(100) > 4)
    unlike = difference(np.stack([one, better, worse]), np.tile(other, (3, 1)))
    assert (alike.seeds, alike.discordant) == (3, (36, 12))
    assert unlike.high - unlike.low > 1.2 * (alike.high - alike.low)


def test_few_discordant_images_show_nothing() -> None:
    found = difference(*discordant(141, 9, 3))
    assert found.images == 153
    assert not found.different
    assert found.images_needed is not None
    assert found.images_needed > 300


def test_many_discordant_images_show_a_difference() -> None:
    found = difference(*discordant(400, 60, 10, 30))
    assert found.different
    assert found.low > 0.05
    assert found.strategies == ("a-0", "b-0")


@pytest.mark.parametrize(
    ("one", "other", "groups"),
    [
        ([True], [False], ()),
        ([True], [True], ("p",)),
        ([True, True], [False, False], ("p", "p")),
        ([True] * 9, [False] * 9, ()),
        ([True] * 9, [True] * 9, ()),
        ([False] * 9, [False] * 9, ("p", "q", "r") * 3),
        ([True] * 8 + [False], [True] * 9, ("p",) * 8 + ("q",)),
    ],
)
@pytest.mark.parametrize("seeds", [1, 2])
def test_what_hardly_varies_gives_finite_numbers(one: list, other: list, groups: tuple, seeds: int) -> None:
    found = difference(np.tile(one, (seeds, 1)), np.tile(other, (seeds, 1)), groups)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 0 <= found.p <= 1
    if len(set(groups or range(len(one)))) == 1:
        assert (found.low, found.high, found.different) == (-1, 1, False)


def test_runs_of_other_images_cannot_be_compared() -> None:
    right = [True, False, True]
    assert difference_of([predicted(right)], [predicted(right, first=1)]) is None
    assert difference_of([predicted(right)], [predicted(right), predicted(right)]) is None
    assert difference_of([predicted(right)], [predicted(right, part="test")]) is None
    assert difference_of([predicted(right[:0])], [predicted(right[:0])]) is None


def test_runs_on_a_copy_of_the_images_are_compared() -> None:
    one, other = predicted([True, False, True]), predicted([True, True, True])
    elsewhere = dataclasses.replace(other, paths=tuple(f"/else/where{path}" for path in other.paths))
    assert difference_of([one], [elsewhere]) == difference_of([one], [other])
    first, second, copied = (together([of]) for of in (one, other, elsewhere))
    assert first is not None and second is not None and copied is not None
    assert mistakes(first, copied) == mistakes(first, second)
    assert difference_of([predicted([True])], [predicted([True], first=1)]) is None, "another name"


runs = st.integers(1, 3).flatmap(
    lambda seeds: st.integers(2, 30).flatmap(
        lambda images: st.tuples(
            *(st.lists(st.lists(st.booleans(), min_size=images, max_size=images), min_size=seeds, max_size=seeds),) * 2,
            st.lists(st.sampled_from("pqrs"), min_size=images, max_size=images) | st.just([]),
        )
    )
)


@given(runs)
@settings(max_examples=40, deadline=None)
def test_swapping_the_strategies_flips_the_difference(drawn: tuple[list, list, list]) -> None:
    one, other, groups = np.array(drawn[0]), np.array(drawn[1]), tuple(drawn[2])
    found, swapped = difference(one, other, groups), difference(other, one, groups)
    assert swapped.difference == -found.difference
    assert swapped.accuracies == found.accuracies[::-1]
    assert swapped.discordant == found.discordant[::-1]
    assert swapped.loss_difference == pytest.approx(-found.loss_difference)
    assert (swapped.loss_low is None) == (found.loss_high is None)
    if swapped.loss_low is not None and found.loss_high is not None:
        assert swapped.loss_low == pytest.approx(-found.loss_high)
    near = 0 if found.difference else 0.15  # then either way round is as good, with draws of its own
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=near)
    assert swapped.different == found.different


@given(runs)
@settings(max_examples=30, deadline=None)
def test_names_of_groups_and_the_order_of_images_change_nothing(drawn: tuple[list, list, list]) -> None:
    one, other, groups = np.array(drawn[0]), np.array(drawn[1]), tuple(drawn[2])
    found = difference(one, other, groups)
    assert difference(one, other, tuple(f"another {name}" for name in groups)) == found
    order = RNG(0).permutation(one.shape[1])
    moved = difference(one[:, order], other[:, order], tuple(groups[index] for index in order) if groups else ())
    assert moved == replace(found, **losses(moved))
    assert losses(moved) == pytest.approx(losses(found))


def losses(of: PairedDifference) -> dict[str, float | None]:
    """What adds up in another order to other last digits."""
    return {name: getattr(of, name) for name in ("loss_difference", "loss_low", "loss_high")}


@given(runs)
@settings(max_examples=20, deadline=None)
def test_the_same_predictions_are_no_difference(drawn: tuple[list, list, list]) -> None:
    one, groups = np.array(drawn[0])[:1], tuple(drawn[2])
    found = difference(one, one, groups)
    assert found.difference == 0
    assert -1 <= found.low < 0 < found.high <= 1
    assert (found.different, found.p, found.images_needed) == (False, 1, None)


def test_a_p_value_of_5_percent_is_not_below_it() -> None:
    found = replace(difference(*random_runs(0)), p=0.05)
    assert [pair.different for pair in holm([found])] == [False]
    assert [pair.different for pair in holm([replace(found, p=0.0499)])] == [True]


def test_six_strategies_are_corrected_as_statsmodels_does() -> None:
    base, rng = difference(*random_runs(0)), RNG(3)
    pairs = [replace(base, p=p) for p in rng.uniform(0.0001, 0.03, size=len(list(combinations(range(6), 2))))]
    corrected = holm(pairs)
    rejected, adjusted, *_ = multipletests([pair.p for pair in pairs], method="holm")
    assert [pair.p_adjusted for pair in corrected] == pytest.approx(list(adjusted))
    assert [pair.different for pair in corrected] == list(rejected)
    assert 0 < sum(rejected) < len(pairs)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_large_difference_is_one_among_the_pairs_of_twenty_strategies_too(seeds: int) -> None:
    rng = RNG(4)
    good, bad = (rng.random((seeds, 1000)) < share for share in (0.99, 0.5))
    alike = replace(difference(*random_runs(0)), p=1.0)
    assert holm([difference(good, bad), *[alike] * 189])[0].different


def test_two_variances_make_the_p_value_of_welchs_test() -> None:
    one, other = RNG(0).normal(0.5, 1, 12), RNG(1).normal(0, 4, 5)
    variances = [(float(sample.var(ddof=1)) / len(sample), len(sample) - 1) for sample in (one, other)]
    expected = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert welch_p(float(one.mean() - other.mean()), variances) == pytest.approx(expected)


@pytest.mark.parametrize(("seeds", "grouped"), [(1, False), (3, True)])
def test_the_same_strategy_twice_is_hardly_ever_different(seeds: int, grouped: bool) -> None:
    assert rates(WORLDS[0], 153, seeds, grouped, 40).different <= 0.05


def test_a_strategy_that_is_5_points_better_is_found_on_2000_images() -> None:
    world = next(world for world in WORLDS if world.title == "5 points better")
    assert rates(world, 2000, 3, False, 15).different > 0.9


def test_simulated_seeds_divide_the_folds_anew_as_runs_do() -> None:
    world = next(world for world in WORLDS if world.folds == 5)
    assert "over 15 runs in 15 folds" in compared(world, 153, 3, False, RNG(0)).method


def test_folds_tested_on_the_same_images_are_runs_of_their_own(tmp_path: Path) -> None:
    rng, names = RNG(2), ("tuned", "frozen")
    runs: list[SavedRun] = []
    for name, seed, fold in product(names, (3, 4), (1, 2, 3)):
        labels = [0, 1] * 25
        guesses = np.where(rng.random(50) < 0.8, labels, np.subtract(1, labels)).tolist()
        run = f"{name}-{seed}-fold-{fold}"
        write_predictions(tmp_path, run, labels, guesses, test=True)
        written = saved(tmp_path, run)
        assert written is not None
        runs.append(SavedRun(name, seed, fold, 1, written))
    (found,) = differences(runs, "test", 300, {*names})
    assert found.strategies == names
    assert (found.seeds, found.folds, found.runs, found.images, found.part) == (2, 3, 6, 50, "test")
    assert found.corrected_t_p is None, "it is of different images in every fold"
    assert "spread of 2 seeds, each the mean of its folds" in found.method


def on_a_test_part(one: np.ndarray, other: np.ndarray, seeds: list[int]) -> PairedDifference:
    """Of runs (runs, images) of these seeds, of which those of a seed are its folds."""
    first = [predicted(right, run="a", part="test") for right in one]
    second = [predicted(right, run="b", part="test") for right in other]
    found = difference_of(first, second, seeds=seeds)
    assert found is not None
    return found


def test_a_seeds_folds_on_a_test_part_are_no_independent_seeds() -> None:
    """They share the seed and most of their training images: five that agree tell little more than one."""
    one, other = (np.tile(side, (5, 1)) for side in discordant(440, 36, 18, 6))
    assert on_a_test_part(one, other, [0, 1, 2, 3, 4]).different
    alone, folds = difference(one[0], other[0]), on_a_test_part(one, other, [0] * 5)
    assert not alone.different and not folds.different
    assert folds.p == pytest.approx(alone.p, abs=0.01)
    assert "an allowance for the seed, no less than the spread of its 5 folds" in folds.method


def test_of_several_seeds_folds_on_a_test_part_the_spread_of_the_seeds_counts() -> None:
    better, alike = discordant(450, 40, 0, 10), discordant(450, 0, 0, 50)
    one, other = (np.stack([side] * 5 + [same] * 5) for side, same in zip(better, alike, strict=True))
    assert on_a_test_part(one, other, list(range(10))).different
    found = on_a_test_part(one, other, [0] * 5 + [1] * 5)
    means = [[side[:5].mean(), side[5:].mean()] for side in (one, other)]
    error = np.sqrt(np.var(means, axis=1, ddof=1).sum() / 2)
    assert not found.different and found.low < 0 < found.high
    assert found.high - found.low > 2 * stats.t.ppf(0.975, 2) * error
    assert "spread of 2 seeds, each the mean of its folds" in found.method


def test_one_seeds_folds_that_differ_widen_the_interval_beyond_the_allowance() -> None:
    one, other = discordant(450, 30, 10, 10)
    steady = on_a_test_part(np.tile(one, (5, 1)), np.tile(other, (5, 1)), [0] * 5)
    moved = np.stack([one & (np.arange(500) >= 40 * fold) for fold in range(5)])
    unsteady = on_a_test_part(moved, np.tile(other, (5, 1)), [0] * 5)
    assert unsteady.high - unsteady.low > 2 * (steady.high - steady.low)


def test_strategies_and_seeds_are_not_read_from_the_names_of_runs() -> None:
    one, other = ([predicted([True, False], run=name)] for name in ("mine-7-fold-2", "yours"))
    found = difference_of(one, other)
    assert found is not None
    assert (found.strategies, found.seeds, found.folds) == (("mine-7-fold-2", "yours"), 1, 1)
