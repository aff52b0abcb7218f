"""Numbers as a person reads them. Imports without numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNKNOWN = "–"


def percent(share: float) -> str:
    """0.9346 as ``93.5 %``."""
    return f"{100 * share:.1f} %"


def percent_range(shares: Sequence[float]) -> str:
    """Shares (0..1) in percent: one, or from the lowest to the highest of several runs: ``92.6–93.4 %``."""
    if not shares:
        return UNKNOWN
    low, high = f"{100 * min(shares):.1f}", f"{100 * max(shares):.1f}"
    return f"{high} %" if low == high else f"{low}–{high} %"


def points(share: float) -> str:
    """A difference of two shares in percentage points: 0.031 as ``+3.1 points``."""
    return f"{100 * share:+.1f} points"


def three_digits(number: float) -> str:
    """A loss, or a measure in 0..1 that is not called a percentage: ``0.935``."""
    return f"{number:.3f}"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``0.004 s``, ``8.3 s``, ``1:32``, ``2:03:04``."""
    if seconds < 0.1:
        return f"{seconds:.3f} s"
    return f"{seconds:.1f} s" if seconds < 59.95 else clock(seconds)  # not 60.0 s


def clock(seconds: float) -> str:
    """Whole seconds as a clock shows them: ``0:07``, ``1:32``, ``2:03:04``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def roughly(seconds: float) -> str:
    """Seconds that are not known well: ``8 s``, ``4 min``, ``2.5 h``, ``3.0 days``."""
    for unit, name, digits in ((86400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.{digits}f} {name}"
    return f"{max(1, round(seconds))} s"


def size(count: float) -> str:
    """Bytes in binary units: ``812 MiB``, ``12.4 GiB``."""
    mebibytes = count / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def size_on_disk(count: int) -> str:
    """Bytes on the disk, where a little is not nothing: ``< 1 MiB``, ``812 MiB``."""
    return "< 1 MiB" if 0 < count < 2**20 else size(count)


def file_size(count: int) -> str:
    """Bytes of a single file in decimal units: ``512 B``, ``34.2 kB``."""
    said = short_count(count)
    return f"{said}B" if " " in said else f"{said} B"


def speed(images_per_second: float) -> str:
    """Images a second, without false digits."""
    return f"{images_per_second:,.0f} images/s" if images_per_second >= 10 else f"{images_per_second:.1f} images/s"


def count(number: float) -> str:
    """A large count in thousands, millions, billions or trillions: ``1.82 billion``."""
    return _scaled(number, ("trillion", "billion", "million", "thousand"))


def short_count(number: float) -> str:
    """The same in a few characters: ``1.82 G``."""
    return _scaled(number, ("T", "G", "M", "k"))


def _scaled(number: float, names: tuple[str, str, str, str]) -> str:
    for size_, name in zip((1e12, 1e9, 1e6, 1e3), names, strict=True):
        if number >= 0.9995 * size_:  # less is 999 of the next unit when rounded
            return f"{number / size_:.3g} {name}"
    return f"{number:.0f}"


def energy(joules: float) -> str:
    """Joules as ``812 J`` or ``12.4 kJ``."""
    return f"{joules:.0f} J" if joules < 1000 else f"{joules / 1000:.1f} kJ"


def spread(mean: float, deviation: float, text: Callable[[float], str]) -> str:
    """A mean and its standard deviation as ``93.5 ± 0.8 %``, rounded like the mean where their units match."""
    number, _, unit = text(mean).partition(" ")
    other, _, same = text(deviation).lstrip("+").partition(" ")
    if unit != same or ":" in other:
        return f"{text(mean)} ± {text(deviation)}"
    digits = len(number.partition(".")[2])
    return f"{number} ± {float(other.replace(',', '')):,.{digits}f} {unit}".strip()
