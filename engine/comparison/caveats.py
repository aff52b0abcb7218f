"""What to bear in mind beside a verdict, a sentence each. Imports without numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.comparison.columns import Column, columns, no_seed_moves, scored
from engine.comparison.measured_parts import PART_WORDS, MeasuredPart
from engine.comparison.rows import Comparison
from engine.comparison.strategy_means import interval
from engine.data.findings import UNEVEN
from engine.data.leaks import leak_sentences
from engine.models.origin import RANDOM
from engine.text import counted, joined, listed
from engine.text import shown as one_line

if TYPE_CHECKING:
    from engine.comparison.scores import Scores


def caveats(comparison: Comparison, part: MeasuredPart) -> tuple[str, ...]:
    """Why the numbers of a part may be other than they seem, the gravest first; empty where nothing is known against
    them.
    """
    done = [row for row in comparison.runs if row.has_result]
    shown = columns(comparison)
    measured_on, by_column = scored(shown)
    into_test = comparison.test_leak if part == "test" else None
    said = [f"{sentence}." for sentence in leak_sentences(comparison.leak, into_test)]
    if any(row.weights == RANDOM for row in done):
        said.append("Weights were initialised at random, so this is not transfer learning.")
    said += _no_seed_moves(shown)
    said += _seen_before(comparison, part)
    said += _of_two_classes(comparison, part)
    said += _without_an_image(by_column, comparison, measured_on)
    said += _no_better_than_one_answer(shown, by_column, comparison, part)
    if 0 < len(done) < len(comparison.runs):
        are_to_come = any(row.state in ("waiting", "running", "paused") for row in comparison.runs)
        so_far = " so far" if are_to_come else ""
        said.append(f"{len(done)} of {len(comparison.runs)} runs have a result{so_far}.")
    if part == "val" and any(row.epochs > 1 for row in done):
        said.append(
            "The best epoch was chosen on these same images, so accuracy is optimistic; "
            "a test fraction would hold out others."
        )
    return tuple(said)


def unevenness(comparison: Comparison) -> str:
    """How many times as many images of the commonest as of the rarest class the part has on which strategies are
    compared: ``9:1``, of more than two classes ``up to 9:1``; empty where that is little or not known.
    """
    _, by_column = scored(columns(comparison))
    images = [count for count in _support(by_column).values() if count]
    if not images or (times := max(images) / min(images)) < UNEVEN:
        return ""
    ratio = f"{times:.2g}:1" if times < 10 else f"{times:,.0f}:1"
    return ratio if len(images) == 2 else f"up to {ratio}"


def _support(by_column: Sequence[Sequence[Scores]]) -> Counter[str]:
    """Images of each class that were measured, of the strategy with the most runs."""
    support = Counter[str]()
    for scores in max(by_column, key=len, default=()):
        support.update({one.name: one.support for one in scores.classes})
    return support


def _no_seed_moves(shown: Sequence[Column]) -> list[str]:
    """That several seeds gave some strategies one and the same network."""
    alike = [column.title for column in shown if no_seed_moves(column.rows)]
    if not alike:
        return []
    its = "all its runs are" if len(alike) == 1 else "all runs of each are"
    return [f"The seed makes no difference to {joined(alike, 'and')}: {its} the same network."]


def _seen_before(comparison: Comparison, part: MeasuredPart) -> list[str]:
    """That a part is not new to the networks, or to the person."""
    data, said = comparison.data, []
    if part == "test" and data.test_copies:
        tested = counted(data.test_copies, "test image is", "test images are")
        said.append(f"{tested} also in training or validation, byte for byte.")
    elif part == "val" and data.val_copies and any(row.fold for row in comparison.runs):
        copies = counted(data.val_copies, "image has", "images have")
        said.append(f"{copies} a byte-for-byte duplicate, which may be in training while the other is validated on.")
    elif part == "val" and data.val_copies:
        copies = counted(data.val_copies, "validation image is", "validation images are")
        said.append(f"{copies} also in training, byte for byte.")
    again = dict.fromkeys(row.strategy for row in comparison.runs if row.times_tested > 1)
    if part == "test" and again:
        said.append(
            f"The test of {listed([*again])} was known before training continued, which may have influenced choices."
        )
    return said


def _of_two_classes(comparison: Comparison, part: MeasuredPart) -> list[str]:
    """That some of the images which were measured are there under another class too."""
    data, folded = comparison.data, any(row.fold for row in comparison.runs)
    of_val = data.val_conflicts, "image" if folded else "validation image"
    count, what = (data.test_conflicts, "test image") if part == "test" else of_val
    has = counted(count, f"{what} has", f"{what}s have")
    return [f"{has} a copy in another class: one of the labels is wrong."] if count else []


def _no_better_than_one_answer(
    shown: Sequence[Column], by_column: Sequence[Sequence[Scores]], comparison: Comparison, part: MeasuredPart
) -> list[str]:
    """Which strategies are not shown to be more accurate than always answering the commonest class; nothing of those
    that were cut short.
    """
    support = _support(by_column)
    if not support.total():
        return []
    (commonest, images), *_ = support.most_common(1)
    share = images / support.total()
    not_shown = [
        column.title
        for column in shown
        if not any(row.is_cut_short for row in column.rows)
        and (found := interval(column.rows, comparison, part)) is not None
        and found[0] <= share
    ]
    if not not_shown:
        return []
    are = "is" if len(not_shown) == 1 else "are"
    return [f"{listed(not_shown)} {are} not shown to be more accurate than always predicting {one_line(commonest)}."]


def _without_an_image(by_column: Sequence[Sequence[Scores]], comparison: Comparison, part: MeasuredPart) -> list[str]:
    """That nothing was measured of some classes."""
    classes = [one for known in by_column for scores in known for one in scores.classes]
    measured = {one.name for one in classes if one.support}
    if not classes or measured >= {*comparison.data.classes}:
        return []
    missing = [name for name in comparison.data.classes if name not in measured]
    folded = part == "val" and any(row.fold for row in comparison.runs)
    where = "The folds that were measured have" if folded else f"The {PART_WORDS[part]} part has"
    of = f"{len(missing):,} of {len(comparison.data.classes):,} classes: {listed(missing, 5)}"
    those, them = ("that", "it") if len(missing) == 1 else ("those", "them")
    left_out = f"and balanced accuracy and ROC AUC leave {them} out"
    so = left_out if len(measured) > 1 else "so there is no ROC AUC"
    return [f"{where} no image of {of}; accuracy on {those} was not measured, {so}."]
