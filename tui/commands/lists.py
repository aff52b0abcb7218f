"""What the short commands print: runs, presets, cache, doctor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.errors import UserError
from engine.text import shown
from engine.units import UNKNOWN, duration, percent_range, size, size_on_disk
from tui.drawing.text import print_line
from tui.words.strategies import described


def print_runs(out: Path, *, as_json: bool) -> int:
    """The experiments, newest first: a line each, and below it the note on it and each strategy's best accuracies."""
    from engine.history.summaries import summaries

    found = summaries(out)
    if as_json:
        told = [msgspec.structs.asdict(one) for one in found]
        return _print_json(
            {"experiments": [{name: one[name] for name in one if name not in ("stamp", "spec")} for one in told]}
        )
    if not found:
        print_line(f"No experiments in {out} yet; `tl-tui` or `tl-tui run` creates one.")
        return 0
    names = [shown(name, 400) for one in found for name in (one.name, *(f"  {strategy}" for strategy in one.reached))]
    table = _table("experiment", "state", "time", "val accuracy")
    table.columns[0].no_wrap = False  # where there is little room the widest column is folded: the names
    table.columns[0].max_width = max(map(cell_len, names))  # what went wrong, beneath, needs no more
    for summary in found:
        seconds = duration(summary.seconds) if summary.seconds else UNKNOWN
        table.add_row(*map(_plain, (summary.name, summary.status, seconds)))
        if summary.note:
            table.add_row(_plain(f"  note: {summary.note}"))
        for strategy, accuracies in summary.reached.items():
            of_it = "skipped" if strategy in summary.skipped else ""
            table.add_row(_plain(f"  {strategy}"), of_it, "", _plain(percent_range(accuracies)))
        if summary.problem:
            table.add_row(_plain(f"  {summary.problem}"))
    Console().print(table)
    return 0


def print_presets(*, as_json: bool) -> int:
    """What each strategy is made of, the rungs for any backbone, and where a person's own ones belong."""
    from engine.specs.presets import known_strategies, own_strategies_file, presets, rungs

    if as_json:
        return _print_json({"strategies": [*known_strategies().values()], "rungs": [*rungs().values()]})
    shipped = presets()
    for strategy in known_strategies().values():
        mark = "" if shipped.get(strategy.name) == strategy else " (own)"
        print_line(strategy.name + mark)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for title, value in described(strategy):
            table.add_row(_plain(f"  {title}"), _plain(value))
        Console().print(table)
        print_line("")
    print_line(
        "Any torchvision model can be trained in these ways, as BACKBONE-RUNG: resnet50-probe, vit_b_16-last-stage."
    )
    ladder = _table("rung", "what trains")
    for rung in rungs().values():
        ladder.add_row(_plain(rung.name), _plain(rung.about))
    Console().print(ladder)
    print_line("")
    print_line(f"Put your own strategies in {own_strategies_file()}, or in a file given with --config.")
    return 0


def print_cache() -> int:
    """Where the cache is and how full; a line an entry, the last used first."""
    from engine import cache

    found, most = cache.entries(), cache.limit()
    taken = size_on_disk(sum(entry.bytes for entry in found))
    used = f"{taken} of at most {size(most)}" if most else "no room for a cache"
    print_line(f"{shown(str(cache.folder()), 400)}: {used}")
    if not found:
        print_line("Nothing is cached yet; the first experiment on your images will be.")
        return 0
    table = _table("kind", "what", "size", "last used")
    for entry in found:
        last = f"{entry.used.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(*map(_plain, (entry.kind, entry.description, size_on_disk(entry.bytes), last)))
    Console().print(table)
    print_line("`tl-tui cache clear` removes all of it.")
    return 0


def clear_cache() -> int:
    """Empties the cache and says what that freed."""
    from engine import cache

    try:
        count, freed = cache.clear()
    except TimeoutError:
        raise UserError(f"{cache.folder()} is busy: another tl-tui writes there; try again in a minute") from None
    print_line(f"removed {count} {'entry' if count == 1 else 'entries'}, {size_on_disk(freed)}")
    return 0


def print_doctor(backbones: Sequence[str], *, as_json: bool) -> int:
    """What tl-tui finds on this machine, the weights of these backbones or of those of the known strategies."""
    from engine.doctor import examine

    report = examine(backbones)
    if as_json:
        return _print_json(report)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for title, value in report.facts():
        table.add_row(_plain(title), _plain(value))
    Console().print(table)
    return 0


def _print_json(value: object) -> int:
    from engine.export.to_json import json_text

    sys.stdout.write(json_text(msgspec.to_builtins(value, enc_hook=str)))
    return 0


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)  # a name is to be copied whole
    return table


def _plain(text: str) -> Text:
    return Text(shown(text, 400))
