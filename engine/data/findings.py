"""What a report on data means, in sentences, the most alarming first, and what to do about it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from engine.data.leaks import is_far_above
from engine.logs.events import Leak
from engine.specs.spec import DataSource
from engine.text import counted, listed, shown
from engine.units import percent

if TYPE_CHECKING:
    from engine.data.check import DataReport, ImageFacts
    from engine.data.duplicates import Duplicates

Level = Literal["alarm", "warning", "note"]
LEVELS: tuple[Level, ...] = ("alarm", "warning", "note")
UNEVEN, VERY_UNEVEN = 3.0, 10.0
"""How many times as many images the largest class has as the smallest."""

PAIRS = "duplicate or near-duplicate pairs"
LOOK = "compare them side by side (tl-tui, i in Setup)"


class Finding(Struct, frozen=True):
    """One thing that was found: what, in a sentence, and what to do about it, empty where nothing.

    ``brief``: the same in a few words, for where there is little room; lines after the first matter less.
    """

    level: Level
    text: str
    advice: str = ""
    brief: str = ""


def findings(report: DataReport, source: DataSource) -> tuple[Finding, ...]:
    """Everything that a person should know about the data, the most alarming first; empty where all is well."""
    found = [*_groups(report, source), *_duplicates(report), *_images(report), *_balance(report)]
    return tuple(sorted(found, key=lambda one: LEVELS.index(one.level)))


def no_pixels(leak: Leak) -> str:
    """The baseline in words."""
    return (
        f"Guessing each validation image's label from its group, without looking at a pixel, is right for "
        f"{percent(leak.no_pixels)}; always predicting the majority class, for {percent(leak.majority)}."
    )


def grouped_options(report: DataReport, source: DataSource) -> str:
    """The options that divide this data with groups whole: ``--group-pattern '…' --split grouped``."""
    return f"{_naming_groups(report, source)} --split grouped".strip()


def _naming_groups(report: DataReport, source: DataSource) -> str:
    """The option that names the groups, or would those that are proposed."""
    if source.group is not None:
        return shlex.join(["--group", source.group])
    pattern = report.proposal.pattern if report.proposal else source.group_pattern
    return shlex.join(["--group-pattern", pattern]) if pattern else ""


def _groups(report: DataReport, source: DataSource) -> Iterator[Finding]:
    leak, advice = report.leak, f"split by group: {grouped_options(report, source)}"
    # Groups that a person named belong in one part, whether or not they give labels away: results are then not those
    # of new groups. What names only suggest is a guess.
    sure = report.proposal is None
    if leak is not None and leak.shared:
        whose = "" if sure else " If the names mean what they suggest,"
        groups = f"{leak.groups:,} group{'s are' if leak.groups > 1 else ' is'}"
        text = (
            f"{whose} {groups} in both training and validation: {leak.shared:,} of {leak.images:,} validation images "
            f"({percent(leak.shared / leak.images)}). {no_pixels(leak)}"
        ).strip()
        if is_far_above(leak):
            text += " Accuracy on this split also rewards memorising the groups."
        else:
            text += " These groups reveal little about the labels, but accuracy on new groups remains unknown."
        brief = (
            f"{leak.shared:,} of {leak.images:,} val share train groups\n"
            f"groups alone {100 * leak.no_pixels:.0f} %, majority {100 * leak.majority:.0f} %"
        )
        yield Finding("alarm" if sure else "warning", text, advice, brief)
    elif report.proposal is not None:
        yield Finding("note", f"Names suggest {report.proposal}; none is in two parts.", _named(report))
    elif leak is None:
        yield Finding(
            "note",
            "No groups are known, so images of one patient, animal or scene may be in two parts unnoticed.",
            "specify them: --group-pattern REGEX, or --group COLUMN of a CSV file",
            "no groups known: leaks not checked",
        )
    yield from _test_groups(report, source)


def _test_groups(report: DataReport, source: DataSource) -> Iterator[Finding]:
    """Groups in the test part and another: where it was set apart here, without them, it can be divided anew."""
    test, named = report.test_leak, _naming_groups(report, source)
    if test is None or not test.shared:
        return
    text = f"{test.shared:,} of {test.images:,} test images share a group with training or validation"
    brief = f"{test.shared:,} of {test.images:,} test share others' groups"
    if report.proposal is not None and source.test_fraction is not None:
        advice = f"name the groups, and the test set is held out by group: {named}"
    else:
        advice = (
            "a test set that came with the data is kept as is: move the images of each group into one part (in a CSV, "
            "their rows), or all test images into training, and hold out a test set by group: "
            f"{named} --test-fraction 0.2"
        )
        brief += "\ngiven test set: move its files"
    groups = f": {listed([*report.test_groups])}." if report.test_groups else "."
    yield Finding("warning" if report.proposal is not None else "alarm", text + groups, advice, brief)


def _named(report: DataReport) -> str:
    return "" if report.proposal is None else f"confirm with: {_naming_groups(report, DataSource())}"


def copies_found(val: int, val_images: int, test: int, pairs: int, judged: str) -> Iterator[Finding]:
    """What copies mean: of ``val`` of the validation images in training, of ``test`` of the test images in another
    part, and of ``pairs`` with two labels, ``judged`` in such a way.
    """
    if val:
        yield Finding(
            "alarm",
            f"{val:,} of {val_images:,} validation images {'is' if val == 1 else 'are'} also in training, {judged}.",
            "remove them from one of the two",
            counted(val, "val image is also in train", "val images are also in train"),
        )
    if test:
        yield Finding(
            "alarm",
            f"{counted(test, 'test image is', 'test images are')} also in training or validation, {judged}.",
            "remove them from the test set",
            counted(test, "test image is in train or val", "test images are in train or val"),
        )
    if pairs:
        yield Finding(
            "alarm",
            f"{counted(pairs, 'duplicate pair has', 'duplicate pairs have')} two different labels.",
            "check them: one of the labels is wrong",
            counted(pairs, "duplicate pair, labels differ", "duplicate pairs, labels differ"),
        )


def _duplicates(report: DataReport) -> Iterator[Finding]:
    found = report.duplicates
    if found is None:
        return
    total, more = sum(report.counts["val"].values()), "" if found.all else "At least "
    yield from copies_found(found.val_copies, total, found.test_copies, found.conflicts, "by bytes or pixels")
    yield from _alike(found, total)
    if found.harmless:
        pairs = counted(found.harmless, "duplicate or near-duplicate pair is", f"{PAIRS} are")
        brief = counted(found.harmless, "similar pair", "similar pairs") + " within a part"
        yield Finding(
            "note", f"{more}{pairs} within one part.", "harmless to the split, but a copy counts twice", brief
        )


def _alike(found: Duplicates, total: int) -> Iterator[Finding]:
    """What only a person can tell, of ``total`` validation images: two that look alike may be one, or may be not."""
    more = "" if found.all else "At least "
    if found.val_alike:
        yield Finding(
            "warning",
            f"{more}{found.val_alike:,} of {total:,} validation images "
            f"{'looks' if found.val_alike == 1 else 'look'} like one in training.",
            f"{LOOK}: copies belong in only one part",
            counted(found.val_alike, "val image looks like train's", "val images look like train's"),
        )
    if found.test_alike:
        yield Finding(
            "warning",
            f"{more}{counted(found.test_alike, 'test image looks', 'test images look')} like one in training or "
            "validation.",
            f"{LOOK}: copies do not belong in the test set",
            counted(found.test_alike, "test image looks like others", "test images look like others"),
        )
    if found.doubtful:
        yield Finding(
            "warning",
            f"{more}{counted(found.doubtful, 'near-duplicate pair', 'near-duplicate pairs')} "
            f"{'has' if found.doubtful == 1 else 'have'} two different labels.",
            f"{LOOK}: if they are one image, one of its labels is wrong",
            counted(found.doubtful, "similar pair, labels differ", "similar pairs, labels differ"),
        )


def _images(report: DataReport) -> Iterator[Finding]:
    images = report.images
    if images is None:
        return
    if images.unreadable:
        unread = counted(len(images.unreadable), "image", "images")
        brief = f"{unread} cannot be read\n{listed([PurePath(one.path).name for one in images.unreadable], 2)}"
        yield Finding("warning", f"{unread} left out, and not counted here: unreadable.", brief=brief)
    if shares := _telling_grey(images):
        said = ", ".join(f"{shown(name, 60)} {percent(share)}" for name, share in shares.items())
        yield Finding(
            "alarm",
            f"Being grey gives an image's class away. Grey images by class: {said}.",
            "a network may learn only that: convert all of them to grey",
            f"grey: {_apart(shares)}",
        )


def _telling_grey(images: ImageFacts) -> dict[str, float]:
    """The share (0..1) of each class's images that are grey, empty where that does not tell classes apart."""
    shares = {name: grey / count for name, (grey, count) in images.grey.items() if count}
    return shares if shares and max(shares.values()) - min(shares.values()) > 0.5 else {}


def _apart(shares: dict[str, float]) -> str:
    """The classes with the most and the least of them."""
    most, least = (which(shares, key=lambda name: shares[name]) for which in (max, min))
    return f"{shares[most]:.0%} of {shown(most, 12)}, {shares[least]:.0%} of {shown(least, 12)}"


def _balance(report: DataReport) -> Iterator[Finding]:
    train = report.counts["train"]
    most, least = (which(train, key=lambda name: train[name]) for which in (max, min))
    times = train[most] / max(train[least], 1)
    if times >= UNEVEN:
        text = (
            f"Class {shown(most, 60)} has {times:.3g} times as many training images as {shown(least, 60)} "
            f"({train[most]:,} and {train[least]:,})."
        )
        advice = (
            "look at balanced accuracy and each class's recall rather than at accuracy; a strategy's class_weights = "
            "'balanced' makes every class count equally"
        )
        brief = f"{times:.3g} times as many {shown(most, 12)} as {shown(least, 12)}\nclass weights can balance them"
        yield Finding("warning" if times >= VERY_UNEVEN else "note", text, advice, brief)
