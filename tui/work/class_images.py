"""Which images each class has: looks at the data, so :func:`class_images` belongs into a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import DataError
from tui.errors import unexpected
from tui.work.loading import wait_until_loaded

if TYPE_CHECKING:
    from engine.data.splits import Part
    from engine.specs.spec import DataSource


class ClassImages(NamedTuple):
    """A class, and the paths of its images in every part that the data has, in the order in which they are read."""

    name: str
    parts: dict[Part, list[str]]


def class_images(source: DataSource) -> list[ClassImages] | str:
    """All classes, or in a line why the data cannot be used."""
    wait_until_loaded()
    # Imported here because only this thread needs it.
    from engine.data.discover import discover  # noqa: PLC0415

    try:
        data = discover(source)
    except (DataError, OSError) as error:
        return str(error)
    except Exception as error:
        return unexpected(error)
    found: list[ClassImages] = [
        ClassImages(name, {"train": [], "val": [], **({"test": []} if data.test else {})}) for name in data.classes
    ]
    for part in found[0].parts if found else ():
        for sample in {"train": data.train, "val": data.val, "test": data.test}[part]:
            found[sample.label].parts[part].append(sample.path)
    return found


def some(of: ClassImages, parts: Sequence[Part], first: int, count: int) -> list[tuple[Part, str]]:
    """So many of a class's images in these parts from the ``first`` on, each with its part."""
    found: list[tuple[Part, str]] = []
    for part in parts:
        paths = of.parts[part]
        found += [(part, path) for path in paths[first : first + count - len(found)]]
        first = max(0, first - len(paths))
    return found
