"""Images that at least one of two runs gets wrong, against counting them one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from engine.comparison.mistakes import Answered, Together, in_cell, mistakes, together, worst
from engine.comparison.predictions import Predictions

CLASSES = ("ants", "bees", "[wasps]")


def of_run(
    run: str, labels: list[int], probabilities: list[list[float]], paths: list[str] | None = None
) -> Predictions:
    names = paths or [f"/images/{number}.png" for number in range(len(labels))]
    return Predictions(
        run,
        "val",
        1,
        CLASSES,
        tuple(names),
        tuple(f"group {name}" for name in names),
        np.array(labels, dtype=np.int64),
        np.array(probabilities, dtype=np.float64).reshape(-1, len(CLASSES)),
    )


def alone(predicted: Predictions) -> Together:
    of_one = together([predicted])
    assert of_one is not None
    return of_one


def said(run: str, labels: list[int], probabilities: list[list[float]], paths: list[str] | None = None) -> Together:
    return alone(of_run(run, labels, probabilities, paths))


ONE = said("one-0", [0, 1, 2, 1], [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]])
OTHER = said("other-0", [0, 1, 2, 1], [[0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.05, 0.05, 0.9]])


def test_only_images_that_one_gets_wrong_the_most_confident_mistake_first() -> None:
    found = mistakes(ONE, OTHER)
    assert [one.path for one in found] == ["/images/3.png", "/images/1.png", "/images/2.png"]
    assert [one.confidence for one in found] == [0.9, 0.6, 0.5]
    assert found[1] == Answered(
        path="/images/1.png",
        group="group /images/1.png",
        label="bees",
        right=(1,),
        predicted=("ants", "bees"),
        probabilities=(0.6, 0.8),
        of_label=(0.3, 0.8),
        losses=(-math.log(0.3), -math.log(0.8)),
        runs=(1, 1),
        runs_wrong=(1, 0),
    )


def test_the_order_of_the_runs_changes_nothing_but_who_is_first() -> None:
    there, back = mistakes(ONE, OTHER), mistakes(OTHER, ONE)
    assert [one.path for one in there] == [one.path for one in back]
    assert [one.right for one in there] == [tuple(1 - run for run in one.right) for one in back]
    assert [one.predicted for one in there] == [one.predicted[::-1] for one in back]


def test_images_are_matched_by_path_and_those_of_one_alone_are_left_out() -> None:
    turned = said(
        "other-0",
        [1, 2, 0, 1],
        [[0.05, 0.05, 0.9], [0.5, 0.3, 0.2], [0.0, 0.9, 0.1], [0.1, 0.8, 0.1]],
        ["/images/3.png", "/images/2.png", "/images/9.png", "/images/1.png"],
    )
    assert [one.path for one in mistakes(ONE, turned)] == ["/images/3.png", "/images/1.png", "/images/2.png"]
    assert mistakes(ONE, said("other-0", [0], [[0.1, 0.9, 0.0]], ["/elsewhere.png"])) == ()


def test_the_same_path_twice_is_two_images() -> None:
    twice = ["/a.png", "/a.png", "/b.png"]
    one = said("one-0", [0, 1, 0], [[0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0]], twice)
    other = said("other-0", [0, 0, 1], [[0.2, 0.8, 0], [0.1, 0.9, 0], [0.3, 0.7, 0]], ["/b.png", "/a.png", "/a.png"])
    assert [(found.path, found.label, found.right) for found in mistakes(one, other)] == [
        ("/a.png", "ants", (0,)),
        ("/a.png", "bees", (1,)),
        ("/b.png", "ants", (0,)),
    ]


def test_an_image_under_two_labels_is_nobodys_mistake() -> None:
    other = said("other-0", [1, 1, 2, 1], OTHER.probabilities.tolist())
    assert "/images/0.png" not in [one.path for one in mistakes(ONE, other)]


def test_other_classes_are_refused() -> None:
    other = replace(ONE, run="x-0", classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="same classes"):
        mistakes(ONE, other)


def test_many_images_as_counted_one_by_one() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 500).tolist()
    one, other = (
        said(name, labels, softmax(3 * random.normal(size=(500, 3)), axis=1).tolist()) for name in ("one", "two")
    )
    found = {found.path: found for found in mistakes(one, other)}
    for number, label in enumerate(labels):
        rights = [run.probabilities[number].argmax() == label for run in (one, other)]
        if all(rights):
            assert f"/images/{number}.png" not in found
            continue
        mistake = found[f"/images/{number}.png"]
        assert mistake.right == tuple(run for run, right in enumerate(rights) if right)
        wrong = [run for run, right in zip((one, other), rights, strict=True) if not right]
        assert mistake.confidence == min(run.probabilities[number].max() for run in wrong)
    confidences = [found.confidence for found in found.values()]
    assert confidences == sorted(confidences, reverse=True)


def test_the_worst_of_a_run_are_its_wrong_ones_the_highest_loss_first() -> None:
    labels = [0, 1, 2, 0, 1]
    # the surest mistake, of 5, is not the worst: it leaves more to the true class than 3 does
    unsure, sure = [0.02, 0.5, 0.48], [0.7, 0.3, 0.0]
    one = said("one-0", labels, [[0.9, 0.1, 0], [0.6, 0.2, 0.2], [0.5, 0.5, 0], unsure, sure])
    paths = [one.paths[at] for at in (3, 4, 2)]
    other = said("two-0", [0, 0, 2], [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.4, 0.6, 0]], paths)
    found = worst(one, other)
    assert [it.path for it in found] == [one.paths[at] for at in (2, 3, 1, 4)], "without 0, which is right"
    assert [it.losses[0] for it in found] == pytest.approx(log_losses(one, (2, 3, 1, 4)))
    assert [it.right for it in found] == [(), (1,), (), ()]
    assert [len(it.predicted) for it in found] == [2, 2, 1, 1], "4 has another label there, 1 is not there"
    assert [it.path for it in worst(one, None)] == [it.path for it in found]
    assert worst(said("right-0", [0], [[0.9, 0.1, 0.0]]), other) == ()


def log_losses(of: Together, places: Sequence[int]) -> list[float]:
    """Each by scikit-learn, which does not let a probability be 0 either."""
    known = list(range(len(CLASSES)))
    return [float(log_loss(of.labels[[at]], of.probabilities[[at]], labels=known)) for at in places]


def test_of_several_runs_the_worst_are_by_their_mean_loss_with_how_many_are_wrong() -> None:
    paths = ["/a.png", "/b.png", "/c.png", "/d.png"]
    seeds = [
        of_run("s-0", [0, 1, 2, 0], [[0.1, 0.6, 0.3], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4], [0.4, 0.3, 0.3]], paths),
        of_run(
            "s-1", [2, 0, 1, 0], [[0.6, 0.1, 0.3], [0.2, 0.1, 0.7], [0.3, 0.7, 0.0], [0.1, 0.8, 0.1]], turned(paths)
        ),
        of_run("s-2", [0, 1, 2, 0], [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.1, 0.0, 0.9], [0.6, 0.2, 0.2]], paths),
    ]
    everybody = together(seeds)
    other = said("o-0", [0, 2], [[0.3, 0.4, 0.3], [0.1, 0.1, 0.8]], ["/a.png", "/c.png"])
    assert everybody is not None
    first, second, third = worst(everybody, other)  # nobody is wrong of b
    assert (first.path, first.runs_wrong, first.runs) == ("/a.png", (3, 1), (3, 1))
    assert (second.path, second.runs_wrong, second.runs) == ("/d.png", (1,), (3,)), "which no other has seen"
    assert (third.path, third.runs_wrong, third.runs) == ("/c.png", (1, 0), (3, 1))
    assert [one.right for one in (first, second, third)] == [(), (), (1,)]
    chances = [0.1, 0.2, 0.2], [0.4, 0.1, 0.6], [0.4, 0.3, 0.9]
    for one, of_label in zip((first, second, third), chances, strict=True):
        assert one.of_label[0] == pytest.approx(np.mean(of_label))
        assert one.losses[0] == pytest.approx(-np.log(of_label).mean())
    assert first.predicted == ("[wasps]", "bees"), "two of the three take it for that"
    assert first.probabilities == pytest.approx(((0.3 + 0.7 + 0.5) / 3, 0.4))
    assert third.predicted == ("ants", "[wasps]"), "the one that is wrong, though the mean is right"


def turned(paths: list[str]) -> list[str]:
    """Another order."""
    return [paths[2], paths[0], paths[1], paths[3]]


def test_of_folds_each_image_is_judged_by_the_one_that_held_it_out() -> None:
    folds = [
        of_run("f-0", [0, 1], [[0.2, 0.8, 0.0], [0.0, 1.0, 0.0]], ["/a.png", "/b.png"]),
        of_run("f-1", [0, 1], [[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]], ["/c.png", "/d.png"]),
    ]
    everything = together(folds)
    assert everything is not None and everything.paths == ("/a.png", "/b.png", "/c.png", "/d.png")
    assert everything.groups == tuple(f"group {path}" for path in everything.paths)
    found = worst(everything, None)
    assert [(one.path, one.group, one.runs, one.runs_wrong) for one in found] == [
        ("/d.png", "group /d.png", (1,), (1,)),
        ("/a.png", "group /a.png", (1,), (1,)),
    ]


def test_together_an_image_that_occurs_twice_stays_two_and_one_under_two_labels_too() -> None:
    twice = of_run("one-0", [0, 0, 1], [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.9, 0]], ["/a.png"] * 3)
    both = together([twice, twice])
    assert both is not None and both.labels.tolist() == [0, 0, 1]
    assert (both.runs.tolist(), both.wrong.tolist()) == ([2, 2, 2], [0, 2, 0])
    assert together([]) is None
    with pytest.raises(ValueError, match="same classes"):
        together([twice, replace(twice, classes=("a", "b", "c"))])


def test_a_cell_has_all_images_that_the_first_run_puts_there() -> None:
    labels = [0, 0, 0, 0, 1]
    one = said("one-0", labels, [[0.2, 0.7, 0.1], [0.1, 0.9, 0], [0.9, 0.1, 0], [0.4, 0.6, 0], [0.1, 0.9, 0]])
    paths = [one.paths[3], one.paths[0], one.paths[4]]
    other = said("two-0", [0, 0, 1], [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.6, 0.4, 0]], paths)
    found = in_cell(one, other, "ants", "bees")
    assert [(it.path[-5], it.right, len(it.predicted)) for it in found] == [("1", (), 1), ("0", (1,), 2), ("3", (), 2)]
    assert [it.confidence for it in found] == [0.9, 0.7, 0.6]
    assert [it.path for it in in_cell(one, None, "ants", "bees")] == [one.paths[at] for at in (1, 0, 3)]
    assert [(it.path, it.right) for it in in_cell(one, one, "bees", "bees")] == [(one.paths[4], (0, 1))]
    assert in_cell(one, other, "[wasps]", "ants") == ()
    with pytest.raises(ValueError, match="wolves"):
        in_cell(one, other, "ants", "wolves")
