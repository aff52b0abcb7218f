"""Whether the data is sound, in a few lines: what was found, what is fine, and what keys do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from engine.data.findings import Finding, findings
from engine.specs.spec import DataSource
from engine.text import shown
from tui.drawing.theme import AMBER, GREEN, GREY, LEVELS, rgb

if TYPE_CHECKING:
    from engine.data.check import DataReport
    from engine.progress import WorkDone

AMBER_KEY = Style(color=rgb(AMBER), bold=True)
MOST_AT_ONCE = 2000
"""Images up to which they are looked at without being asked."""


def soundness(report: DataReport, source: DataSource, *, checking: WorkDone | None, column: str = "") -> Text:
    """Lines that each end in a newline, the gravest first.

    ``source``: as it was asked for; ``checking``: how far looking at the images is, None where
    nobody does; ``column``: the one of a CSV that may say what a group is.
    """
    found = [line for finding in findings(report, source) for line in _finding(finding)]
    keys = _keys(report, source.split == "grouped", checking, column)
    return Text().join([*found, *_fine(report), *_proposal(report), *keys])


def alarms(report: DataReport) -> int:
    """How many findings make results false."""
    return sum(finding.level == "alarm" for finding in findings(report, DataSource()))


def _finding(finding: Finding) -> Iterator[Text]:
    sign, style = LEVELS[finding.level]
    for place, words in enumerate(finding.brief.splitlines()):
        yield _line(" " if place else sign, style, words, bold=not place and finding.level != "note")


def _fine(report: DataReport) -> Iterator[Text]:
    if report.leak is not None and not report.leak.shared and report.proposal is None:
        yield _line("✓", rgb(GREEN), "no group is in train and val")
    if report.duplicates is not None and not report.duplicates.exact and not report.duplicates.near:
        yield _line("✓", rgb(GREEN), "no duplicates or near-duplicates")


def _proposal(report: DataReport) -> Iterator[Text]:
    if (proposal := report.proposal) is not None:
        yield _line(
            "?",
            rgb(AMBER),
            f"names suggest {proposal.groups:,} groups ({proposal.explained:,}/{proposal.images:,})",
        )
        examples = ", ".join(shown(group, 20) for group, _ in proposal.examples)
        yield _line(" ", rgb(GREY), f"{shown(proposal.pattern, 60)}: {examples}")


def _keys(report: DataReport, is_grouped: bool, checking: WorkDone | None, column: str) -> Iterator[Text]:
    if report.proposal is not None:
        yield _key("p", "use these groups")
    elif report.leak is None and column:
        yield _key("p", f"use groups from column {shown(column, 20)}")
    elif report.leak is not None and report.leak.shared:
        yield _key("g", "re-split by group")
    elif report.leak is not None and is_grouped:
        yield _key("g", "use the original split")
    if checking is not None and report.duplicates is None:
        count = f" {checking.done:,}/{checking.total:,}" if checking.total else ""
        yield _line("…", rgb(GREY), f"{checking.detail}{count}")
    elif report.duplicates is None:
        yield _key("i", "find duplicates")
    elif report.duplicates.exact or report.duplicates.near:
        yield _key("i", "show them")


def _line(sign: str, style: str, words: str, bold: bool = False) -> Text:
    return Text.assemble((f"{sign} ", style), (words, "bold" if bold else rgb(GREY)), "\n")


def _key(key: str, words: str) -> Text:
    return Text.assemble("  ", (key, AMBER_KEY), (f" {words}", rgb(GREY)), "\n")
