"""What ``tl-tui check`` prints: the report on a data set, the most alarming first, and what to do."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.export.to_json import json_text
from engine.specs.spec import DataSource
from engine.text import counted, shown
from tui.commands.progress import with_progress_bar
from tui.drawing.text import cut_in_the_middle
from tui.drawing.theme import AMBER, BLUE, GREEN, GREY, LEVELS, ROSE, rgb

if TYPE_CHECKING:
    from engine.data.check import DataReport, ImageFacts
    from engine.data.duplicates import Copy, Pair
    from engine.data.findings import Finding
    from engine.data.proposal import Proposal

PAIRS_SHOWN = 10
CLASSES_SHOWN = 20
DIM = rgb(GREY)


def print_check(source: DataSource, *, as_json: bool) -> int:
    """Checks the data and prints the report; 1 where something in them makes every result false, else 0.

    ``DataError`` where they cannot be used.
    """
    from engine.data.check import check  # noqa: PLC0415 - the command line answers before numpy is loaded
    from engine.data.discover import discover  # noqa: PLC0415
    from engine.data.findings import findings  # noqa: PLC0415

    dataset = discover(source)
    console = Console(stderr=as_json)
    report = with_progress_bar(check(dataset, source), console)
    found = findings(report, source)
    status = int(any(one.level == "alarm" for one in found))
    if as_json:
        sys.stdout.write(json_text({**msgspec.to_builtins(report), "findings": msgspec.to_builtins(found)}))
        return status
    for part in (_head(report), *map(_finding, found), *_well(report), Text(), _classes(report, console.width)):
        console.print(part)
    sections = (_images(report.images), _unreadable(report), _pairs(report, console.width), _proposed(report.proposal))
    for lines in map(list, sections):
        if lines:
            console.print(Text("\n").join([Text(), *lines]))
    for line in _next(report, source):
        console.print(line, soft_wrap=True)  # so that a command can be copied
    return status


def _head(report: DataReport) -> Text:
    images = sum(sum(counts.values()) for counts in report.counts.values())
    text = Text.assemble(
        (shown(report.name), "bold"), f"  {images:,} images, {len(report.counts['train']):,} classes\n"
    )
    text.append(f"{shown(report.split)}\n", DIM)
    if report.groups:
        text.append(f"groups: {shown(report.groups)}\n", DIM)
    for warning in report.warnings:
        text.append(f"! {shown(warning, 1000)}\n", rgb(AMBER))
    return text


def _finding(found: Finding) -> Table:
    """The sign, and beside it the sentence with what to do below it."""
    sign, style = LEVELS[found.level]
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    table.add_row(Text(sign, style), Text(shown(found.text, 2000), "" if found.level == "note" else "bold"))
    if found.advice:
        table.add_row(Text(), Text(f"→ {shown(found.advice, 2000)}", rgb(BLUE)))
    return table


def _well(report: DataReport) -> Iterator[Text]:
    """What was looked for and not found."""
    if report.proposal is None and report.leak is not None and not report.leak.shared:
        yield Text("✓ No group is in both training and validation.", rgb(GREEN))
    found = report.duplicates
    if found is not None and not found.exact and not found.near:
        yield Text("✓ No duplicate or near-duplicate images.", rgb(GREEN))


def _classes(report: DataReport, width: int) -> Table:
    table = Table(box=None, header_style=DIM, pad_edge=False, title="")
    table.add_column("class")
    for part in report.counts:
        table.add_column(part, justify="right")
    names = list(report.counts["train"])
    for name in names[:CLASSES_SHOWN]:
        table.add_row(
            Text(cut_in_the_middle(shown(name), max(10, width - 40))),
            *(f"{one[name]:,}" for one in report.counts.values()),
        )
    if more := names[CLASSES_SHOWN:]:
        table.add_row(f"{len(more):,} more", *(f"{sum(one[n] for n in more):,}" for one in report.counts.values()))
    return table


def _images(images: ImageFacts | None) -> Iterator[Text]:
    if images is None or not images.read:
        return
    grey = sum(count for count, _ in images.grey.values())
    sizes = " × ".join(map(str, images.smallest))
    if images.sizes > 1:
        middle_one, largest = (" × ".join(map(str, size)) for size in (images.median, images.largest))
        sizes = f"{images.sizes:,} sizes from {sizes} to {largest}, median {middle_one}"
    colours = (
        "all grey" if grey == images.read else "all in colour" if not grey else f"{grey:,} grey, the others colour"
    )
    yield Text(f"{images.read:,} images read: {sizes} pixels; {colours}", DIM)


def _unreadable(report: DataReport) -> Iterator[Text]:
    """All of them: each is a file to be mended or removed."""
    if report.images is None or not (unreadable := report.images.unreadable):
        return
    yield Text.assemble((f"unreadable: {counted(len(unreadable), 'image', 'images')}", "bold"))
    for one in unreadable:
        yield Text.assemble(f"  {shown(os.path.relpath(one.path, report.root))}", (f"  {one.reason}", DIM))


def _pairs(report: DataReport, width: int) -> Iterator[Text]:
    found = report.duplicates
    if found is None:
        return
    for title, pairs in (("duplicates", found.exact), ("near-duplicates", found.near)):
        if not pairs:
            continue
        yield Text.assemble((f"{title}: {counted(len(pairs), 'pair', 'pairs')}", "bold"))
        for pair in pairs[:PAIRS_SHOWN]:
            yield from _pair(pair, report.root, width)
        if (more := len(pairs) - PAIRS_SHOWN) > 0:
            yield Text(f"  and {more:,} more: --json lists them", DIM)


def _pair(pair: Pair, root: str, width: int) -> Iterator[Text]:
    said = [
        word
        for word, true in (
            ("labels differ", pair.conflict),
            (f"{pair.first.part} and {pair.second.part}", pair.across),
            (f"{pair.bits} of 256 bits differ", not pair.exact),
        )
        if true
    ]
    style = rgb(ROSE if pair.conflict and pair.exact else AMBER if pair.conflict or pair.across else GREY)
    yield Text(f"  {_place(pair.first, root, width - 4)}")
    yield Text(f"  {_place(pair.second, root, width - 4)}")
    if said:
        yield Text(f"    {', '.join(said)}", style)


def _place(copy: Copy, root: str, width: int) -> str:
    return cut_in_the_middle(shown(os.path.relpath(copy.path, root)), max(20, width))


def _proposed(proposal: Proposal | None) -> Iterator[Text]:
    if proposal is None:
        return
    yield Text.assemble(("names suggest groups", "bold"), f": {shown(proposal.pattern, 200)}")
    yield Text(f"  {proposal}; not applied unless you ask for it", DIM)
    for group, paths in proposal.examples:
        yield Text.assemble("  ", (shown(group), rgb(BLUE)), (f"  {', '.join(map(shown, paths))}", DIM))


def _next(report: DataReport, source: DataSource) -> Iterator[Text]:
    """The exact commands, where the split is to be mended."""
    from engine.data.findings import grouped_options  # noqa: PLC0415

    if source.split == "grouped" or report.leak is None or not report.leak.shared:
        return
    share = None if source.test_fraction is None else f"{source.test_fraction:g}"
    given = {"--validation": source.validation, "--images": source.images, "--test-fraction": share}
    words = [source.path or "", *(word for name, value in given.items() if value for word in (name, value))]
    options = " ".join(filter(None, (shlex.join(filter(None, words)), grouped_options(report, source))))
    yield Text("\nwhat to do", "bold")
    for command, what in (("tl-tui check", "check it, split by group:"), ("tl-tui", "train on that split:")):
        yield Text.assemble((f"  {what:<28}", DIM), (shown(f"{command} {options}", 2000), rgb(BLUE)))
