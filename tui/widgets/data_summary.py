"""What was found in the data, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text

from engine.text import shown
from engine.units import size
from tui.text import middle
from tui.theme import AMBER, rgb
from tui.widgets.soundness import AMBER_KEY, soundness

if TYPE_CHECKING:
    from engine.data.check import Report
    from engine.data.dataset import DataSet
    from engine.progress import WorkDone

CLASSES_SHOWN = 8
WARNINGS_SHOWN = 3
DEMO = "demo set: synthetic, not medical, drawn by tl-tui"
FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WebP", "bmp": "BMP", "tif": "TIFF", "tiff": "TIFF"}


class DataFound(Struct, frozen=True):
    """The facts about a data set that are shown: counts in images, ``size`` in bytes (None if not known).

    ``report``: whether it is sound, as far as is known by now; ``column``: the one that may say what a group is.
    """

    classes: tuple[tuple[str, int, int], ...]
    split: str
    formats: tuple[tuple[str, int], ...] = ()
    size: int | None = None
    warnings: tuple[str, ...] = ()
    is_demo: bool = False
    test: int = 0
    report: Report | None = None
    column: str = ""

    @property
    def train(self) -> int:
        """Images to train on."""
        return sum(train for _, train, _ in self.classes)

    @property
    def val(self) -> int:
        """Images to validate on."""
        return sum(val for _, _, val in self.classes)


def facts(data: DataSet, report: Report | None = None, column: str = "") -> DataFound:
    """Counts a data set; looks at each file's size, so not for the event loop."""
    train, val = (Counter(sample.label for sample in part) for part in (data.train, data.val))
    paths = [Path(sample.path) for part in (data.train, data.val) for sample in part]
    formats = Counter(_format(path) for path in paths)
    return DataFound(
        classes=tuple((name, train[label], val[label]) for label, name in enumerate(data.classes)),
        split=data.split,
        formats=tuple(formats.most_common()),
        size=_size(paths),
        warnings=tuple(warning.removeprefix(shown(data.path)).lstrip("/: ") for warning in data.warnings),
        is_demo=data.kind == "demo",
        test=len(data.test),
        report=report,
        column=column,
    )


def described(found: DataFound, width: int, *, is_grouped: bool = False, checking: WorkDone | None = None) -> Text:
    """The facts as lines of at most ``width`` cells, apart from the split and the warnings, which wrap.

    ``is_grouped``: the split is made anew with groups whole; ``checking``: how far looking at the images is.
    """
    text = Text()
    if found.is_demo:
        text.append(f"{DEMO}\n", "italic")
    images = Text(" · ").join(
        Text(f"{count:,} {part}", "bold")
        for part, count in (("train", found.train), ("val", found.val), ("test", found.test))
        if count or part != "test"
    )
    classes = Text.assemble(("c", AMBER_KEY), f" {len(found.classes):,} classes")
    between = " · " if images.cell_len + 3 + classes.cell_len <= width else "\n"
    text.append_text(images).append(between).append_text(classes).append("\n")
    text.append(f"{shown(found.split)}\n", "dim")
    if found.report is not None:
        text.append_text(soundness(found.report, is_grouped=is_grouped, checking=checking, column=found.column))
    for warning in found.warnings[:WARNINGS_SHOWN]:
        text.append(f"! {shown(warning)}\n", rgb(AMBER))
    if (more := len(found.warnings) - WARNINGS_SHOWN) > 0:
        text.append(f"! … {more} more warnings\n", rgb(AMBER))
    text.append_text(_table(found.classes, width))
    text.append(_files(found), "dim")
    text.rstrip()
    return text


def _table(classes: tuple[tuple[str, int, int], ...], width: int) -> Text:
    names = [shown(name) for name, _, _ in classes[:CLASSES_SHOWN]]
    room = max(8, min(max(map(cell_len, [*names, "class"])), width - 16))
    text = Text().append(f"{'class':{room}}   train     val\n", "dim")
    for name, (_, train, val) in zip(names, classes, strict=False):
        label = Text(middle(name, room))
        label.pad_right(room - label.cell_len)
        text.append_text(label).append(f"{train:8,}{val:8,}\n")
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
