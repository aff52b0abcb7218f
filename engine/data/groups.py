"""Which images belong together: one patient, animal, scene or video. Imports without torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from engine.data.folders import is_text
from engine.errors import DataError
from engine.text import counted, listed, shown


class Grouping(Struct, frozen=True):
    """The group of each image by its path, where it is known; where that comes from, in words; warnings."""

    of: dict[str, str]
    words: str = ""
    warnings: tuple[str, ...] = ()


def by_column(column: str, of: dict[str, str], paths: Sequence[str], where: str) -> Grouping:
    """Groups that a CSV column gave; images whose cell is empty are a warning. ``DataError`` where all are."""
    missing = [path for path in paths if not of.get(path)]
    if len(missing) == len(paths):
        raise DataError(f"{where}: column {shown(column, 60)} has no groups: every cell is empty")
    words = f"column {shown(column, 60)}: {_counted(of, paths)}"
    return Grouping(of, words, _without_group(missing, where))


def by_pattern(pattern: str, paths: Sequence[str], root: str, where: str) -> Grouping:
    """Groups by a regular expression that is searched in each path below ``root``.

    The group is what its bracket named ``group`` finds, or its first one. Images in which it finds nothing are a
    warning. ``DataError`` where it is no regular expression, has no bracket, or finds nothing at all.
    """
    expression = compiled(pattern)
    of = {path: group for path in paths if (group := group_in(expression, below(path, root)))}
    if not of:
        example = shown(below(paths[0], root), 100)
        raise DataError(f"group_pattern {shown(pattern, 100)!r} matches none of the paths, such as {example}")
    missing = [path for path in paths if path not in of]
    words = f"pattern {shown(pattern, 100)}: {_counted(of, paths)}"
    return Grouping(of, words, _without_group(missing, where))


def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression; ``DataError`` where it is none or has no bracket."""
    if not is_text(pattern):
        raise DataError(f"group_pattern {shown(pattern, 100)!r} is not valid UTF-8, so it cannot be saved")
    try:
        expression = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(f"group_pattern {shown(pattern, 100)!r} is not a regular expression: {error}") from None
    if not expression.groups:
        raise DataError(
            f"group_pattern {shown(pattern, 100)!r} has no capture group; put brackets around what names the group, "
            r"as in patient-(\d+)"
        )
    return expression


def group_in(expression: re.Pattern[str], name: str) -> str:
    """What the bracket finds in a name, empty where nothing."""
    found = expression.search(name)
    if found is None:
        return ""
    return found["group" if "group" in expression.groupindex else 1] or ""


def below(path: str, root: str) -> str:
    """The path below a folder, with slashes; the whole path where it lies elsewhere."""
    return path.removeprefix(root.rstrip("/") + "/").replace("\\", "/")


def sizes(groups: Iterable[str]) -> Counter[str]:
    """How many images each group has; images without a group do not count."""
    return Counter(group for group in groups if group)


def _counted(of: dict[str, str], paths: Sequence[str]) -> str:
    found = sizes(of.get(path, "") for path in paths)
    images = sum(found.values())
    return f"{counted(len(found), 'group', 'groups')} of {counted(images, 'image', 'images')}"


def _without_group(missing: Sequence[str], where: str) -> tuple[str, ...]:
    if not missing:
        return ()
    names = listed([path.rsplit("/", 1)[-1] for path in missing])
    return (f"{where}: {len(missing):,} images have no group, so each counts as its own group: {names}",)
