"""The comparison as a table of words: one aspect a line, one value a run. Shared by the terminal and the exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from engine.comparison.rows import Comparison, Row

Better = Literal["higher", "lower"]
TRAINS = {"all": "every layer (fine-tuning)", "head": "last layer only (feature extraction)"}
UNKNOWN = "–"


class Aspect(Struct, frozen=True):
    """A line of the table: a value a run, in words, and which of them are the best (none where that means nothing)."""

    title: str
    values: tuple[str, ...]
    best: tuple[bool, ...]


def aspects(comparison: Comparison) -> tuple[Aspect, ...]:
    """Every line of the comparison table, in order."""
    rows = comparison.runs
    memory_kinds = {row.memory_kind for row in rows}
    memory = f"peak memory ({memory_kinds.pop()})" if len(memory_kinds) == 1 else "peak memory"
    return (
        _words("state", rows, lambda row: f"{row.state}: {row.error}" if row.error else row.state),
        _words("backbone", rows, lambda row: row.backbone),
        _words("what trains", rows, lambda row: TRAINS[row.trains]),
        _words("pretrained weights", rows, lambda row: row.weights or UNKNOWN),
        _words("trainable parameters", rows, _parameters),
        _words("epochs (best)", rows, _epochs),
        _number("validation accuracy", rows, lambda row: row.val_accuracy, percent, "higher"),
        _words("  95 % interval", rows, _interval),
        _number("validation loss", rows, lambda row: row.val_loss, lambda loss: f"{loss:.3f}", "lower"),
        _number("training accuracy (while training)", rows, lambda row: row.train_accuracy, percent, None),
        _number("generalisation gap", rows, lambda row: row.generalisation_gap, points, None),
        _number("time in all", rows, lambda row: row.seconds_total, duration, "lower"),
        _number("time an epoch", rows, lambda row: row.seconds_per_epoch, duration, "lower"),
        _number("training speed", rows, lambda row: row.images_per_second, speed, "higher"),
        _number("processor time", rows, lambda row: row.cpu_seconds, duration, "lower"),
        _number(memory, rows, lambda row: row.peak_memory_bytes, size, "lower"),
        _number("  of it before the run", rows, lambda row: row.memory_at_start_bytes, size, None),
        _words("precision, device", rows, lambda row: f"{row.precision}, {row.device}" if row.precision else UNKNOWN),
    )


def percent(share: float) -> str:
    """0.9346 as ``93.5 %``."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of two shares in percentage points: 0.031 as ``+3.1 points``."""
    return f"{100 * share:+.1f} points"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``0.004 s``, ``8.3 s``, ``1:32``, ``2:03:04``."""
    if seconds < 0.1:
        return f"{seconds:.3f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Bytes in binary units: ``812 MiB``, ``12.4 GiB``."""
    mebibytes = count / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def speed(images_per_second: float) -> str:
    """Images a second, without false digits."""
    return f"{images_per_second:,.0f} images/s" if images_per_second >= 10 else f"{images_per_second:.1f} images/s"


def _words(title: str, rows: tuple[Row, ...], text: Callable[[Row], str]) -> Aspect:
    return Aspect(title, tuple(text(row) for row in rows), (False,) * len(rows))


def _number(
    title: str,
    rows: tuple[Row, ...],
    value: Callable[[Row], float | None],
    text: Callable[[float], str],
    better: Better | None,
) -> Aspect:
    """A line of numbers; the best are those that read the same as the best one."""
    values = [value(row) for row in rows]
    shown = tuple(UNKNOWN if number is None else text(number) for number in values)
    known = [number for number in values if number is not None]
    if better is None or len(known) < 2:
        return Aspect(title, shown, (False,) * len(rows))
    best = text(max(known) if better == "higher" else min(known))
    return Aspect(title, shown, tuple(item == best for item in shown) if len(set(shown)) > 1 else (False,) * len(rows))


def _parameters(row: Row) -> str:
    if not row.parameters_total:
        return UNKNOWN
    share = row.parameters_trainable / row.parameters_total
    return f"{row.parameters_trainable:,} of {row.parameters_total:,} ({100 * share:.3g} %)"


def _epochs(row: Row) -> str:
    done = f"{row.epochs}" if row.epochs == row.epochs_planned else f"{row.epochs} of {row.epochs_planned}"
    return f"{done} (best: {row.best_epoch})" if row.best_epoch else done


def _interval(row: Row) -> str:
    if row.val_accuracy_low is None or row.val_accuracy_high is None:
        return UNKNOWN
    return f"{percent(row.val_accuracy_low)} to {percent(row.val_accuracy_high)}"
