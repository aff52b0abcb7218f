"""What was found in the data, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

from engine.text import shown
from engine.units import size
from tui.drawing.text import below, cut_in_the_middle
from tui.drawing.theme import AMBER, rgb
from tui.words.soundness import AMBER_KEY, soundness

if TYPE_CHECKING:
    from engine.data.check import DataReport
    from engine.data.dataset import DataSet
    from engine.progress import WorkDone
    from engine.specs.spec import DataSource

CLASSES_SHOWN = 8
WARNINGS_SHOWN = 3
DEMO = "demo set: synthetic, not medical, drawn by tl-tui"
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WebP", "bmp": "BMP", "tif": "TIFF", "tiff": "TIFF"}


class DataFound(Struct, frozen=True):
    """What is shown of a data set: the ``report`` on whether it is sound, as far as is known by now, its files' formats
    and ``size`` in bytes (None if not known), and the ``column`` of a CSV that may say what a group is.
    """

    report: DataReport
    formats: tuple[tuple[str, int], ...] = ()
    size: int | None = None
    is_demo: bool = False
    column: str = ""

    @property
    def images(self) -> dict[str, int]:
        """How many there are by part."""
        return {part: sum(counts.values()) for part, counts in self.report.counts.items()}


def facts(data: DataSet, report: DataReport, column: str = "") -> DataFound:
    """Adds what its files are; looks at each file's size, so not for the event loop."""
    paths = [Path(sample.path) for part in (data.train, data.val, data.test) for sample in part]
    formats = Counter(_format(path) for path in paths)
    return DataFound(report, tuple(formats.most_common()), _size(paths), data.kind == "demo", column)


def described(found: DataFound, width: int, *, source: DataSource, checking: WorkDone | None = None) -> Text:
    """The facts as lines of at most ``width`` cells, apart from the split and the warnings, which wrap.

    ``source``: as it was asked for; ``checking``: how far looking at the images is.
    """
    text, report = Text(), found.report
    if found.is_demo:
        text.append(f"{DEMO}\n", "italic")
    images = Text(" · ").join(Text(f"{count:,} {part}", "bold") for part, count in found.images.items())
    classes = Text.assemble(("c", AMBER_KEY), f" {len(report.counts['train']):,} classes")
    test = Text.assemble(("t", AMBER_KEY), " hold out test" if source.test_fraction is None else " undo test")
    between = " · " if images.cell_len + 3 + classes.cell_len <= width else "\n"
    text.append_text(images).append(between).append_text(classes)
    if may_be_tested(found, source) and images.cell_len + 6 + classes.cell_len + test.cell_len <= width:
        text.append(" · ").append_text(test)
    text.append("\n")
    text.append(f"{shown(report.split)}\n", "dim")
    text.append_text(soundness(report, source, checking=checking, column=found.column))
    for warning in report.warnings[:WARNINGS_SHOWN]:
        text.append(f"! {below(shown(report.path), shown(warning))}\n", rgb(AMBER))
    if (more := len(report.warnings) - WARNINGS_SHOWN) > 0:
        text.append(f"! … {more} more warnings\n", rgb(AMBER))
    text.append_text(_table(report.counts, width))
    text.append(_files(found), "dim")
    text.rstrip()
    return text


def may_be_tested(found: DataFound, source: DataSource) -> bool:
    """Whether images can be set apart for a test, or are: the data come without a part for it."""
    return source.test_fraction is not None or "test" not in found.report.counts


def _table(counts: Mapping[str, Mapping[str, int]], width: int) -> Text:
    """Images by class, and by part in columns."""
    classes = list(counts["train"])
    names = [shown(name) for name in classes[:CLASSES_SHOWN]]
    room = max(8, min(max(map(cell_len, [*names, "class"])), width - 8 * len(counts)))
    text = Text().append(f"{'class':{room}}{''.join(f'{part:>8}' for part in counts)}\n", "dim")
    for name, full in zip(names, classes, strict=False):
        label = Text(cut_in_the_middle(name, room))
        label.pad_right(room - label.cell_len)
        text.append_text(label).append("".join(f"{part[full]:8,}" for part in counts.values()) + "\n")
    if len(classes) > CLASSES_SHOWN:
        text.append(f"… {len(classes) - CLASSES_SHOWN:,} more\n", "dim")
    return text


def _files(found: DataFound) -> str:
    formats = ", ".join(f"{count:,} {name}" for name, count in found.formats[:4])
    if found.size is None or found.size < 2**20 or not formats:
        return formats
    return f"{formats} · {size(found.size)}"


def _format(path: Path) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    return FORMATS.get(suffix, "other")


def _size(paths: Iterable[Path]) -> int | None:
    try:
        return sum(path.stat().st_size for path in paths)
    except OSError:
        return None
