"""Whether the data is sound, in a few lines: groups in both parts, images that are there twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from engine.data.findings import findings, telling_grey
from engine.data.leaks import is_far_above
from engine.spec import DataSource
from engine.text import counted, shown
from tui.theme import AMBER, GREEN, GREY, ROSE, Colour, rgb

if TYPE_CHECKING:
    from engine.data.check import Report
    from engine.progress import WorkDone

AMBER_KEY = Style(color=rgb(AMBER), bold=True)
MOST_AT_ONCE = 2000
"""Images up to which they are looked at without being asked."""
ALARM = "✗"
"""The sign of a line that tells what makes results false."""


def soundness(report: Report, *, is_grouped: bool, checking: WorkDone | None, column: str = "") -> Text:
    """Lines that each end in a newline, the gravest first, and what keys do about them.

    ``is_grouped``: the split keeps groups whole already; ``checking``: how far looking at the images is, None where
    nobody does; ``column``: the one of a CSV that may say what a group is.
    """
    return Text().join([*_groups(report, is_grouped, column), *_images(report, checking)])


def alarms(report: Report) -> int:
    """How many things make results false."""
    return sum(finding.level == "alarm" for finding in findings(report, DataSource()))


def _groups(report: Report, is_grouped: bool, column: str) -> Iterator[Text]:
    leak, proposal = report.leak, report.proposal
    if leak is None:
        if column:
            yield _key("p", f"take groups from column {shown(column, 20)}")
        else:
            yield _line("·", GREY, "no groups known, so none checked")
        return
    if proposal is not None:
        yield _line("?", AMBER, f"names: {proposal.groups:,} groups, {proposal.explained:,}/{proposal.images:,} images")
        examples = ", ".join(shown(group, 20) for group, _ in proposal.examples)
        yield _line(" ", GREY, f"{shown(proposal.pattern, 60)}: {examples}")
    if leak.shared:
        colour, sign = (ROSE, ALARM) if is_far_above(leak) and proposal is None else (AMBER, "!")
        yield _line(sign, colour, f"{leak.shared:,} of {leak.images:,} val share train's groups", bold=True)
        alone, majority = 100 * leak.no_pixels, 100 * leak.majority
        yield _line(" ", GREY, f"groups alone {alone:.0f} %, majority {majority:.0f} %")
    elif proposal is None:
        yield _line("✓", GREEN, "no group is in train and val")
    if (test := report.test_leak) is not None and test.shared:
        colour, sign = (ROSE, ALARM) if is_far_above(test) and proposal is None else (AMBER, "!")
        yield _line(sign, colour, f"{test.shared:,} of {test.images:,} test share others' groups", bold=True)
    if proposal is not None:
        yield _key("p", "take these groups")
    elif leak.shared:
        yield _key("g", "split anew, groups whole")
    elif is_grouped:
        yield _key("g", "back to the given split")


def _images(report: Report, checking: WorkDone | None) -> Iterator[Text]:
    found, images = report.duplicates, report.images
    if found is None or images is None:
        if checking is not None:
            count = f" {checking.done:,}/{checking.total:,}" if checking.total else ""
            yield _line("…", GREY, f"{checking.detail}{count}")
        else:
            yield _key("i", "look for images that are twice")
        return
    if found.val_copies:
        yield _line(
            ALARM,
            ROSE,
            counted(found.val_copies, "val image is in train too", "val images are in train too"),
            bold=True,
        )
    if found.test_copies:
        yield _line(
            ALARM,
            ROSE,
            counted(found.test_copies, "test image is in train or val", "test images are in train or val"),
            bold=True,
        )
    if found.conflicts:
        yield _line(
            ALARM,
            ROSE,
            counted(found.conflicts, "pair of one image, two labels", "pairs of one image, two labels"),
            bold=True,
        )
    if shares := telling_grey(images):
        yield _line(ALARM, ROSE, f"grey: {_apart(shares)}", bold=True)
    if images.unreadable:
        yield _line("!", AMBER, counted(len(images.unreadable), "image cannot be read", "images cannot be read"))
    if found.harmless:
        yield _line("·", GREY, counted(found.harmless, "image", "images") + " twice within a part")
    if not found.exact and not found.near:
        yield _line("✓", GREEN, "no image is there twice")
    else:
        yield _key("i", "look at them")


def _apart(shares: dict[str, float]) -> str:
    """The classes with the most and the least of them."""
    most, least = (which(shares, key=lambda name: shares[name]) for which in (max, min))
    return f"{shares[most]:.0%} of {shown(most, 12)}, {shares[least]:.0%} of {shown(least, 12)}"


def _line(sign: str, colour: Colour, words: str, bold: bool = False) -> Text:
    return Text.assemble((f"{sign} ", f"bold {rgb(colour)}"), (words, "bold" if bold else rgb(GREY)), "\n")


def _key(key: str, words: str) -> Text:
    return Text.assemble("  ", (key, AMBER_KEY), (f" {words}", rgb(GREY)), "\n")
