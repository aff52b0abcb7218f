"""Which images a run has trained or been validated on already, found by their bytes, whatever their names."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.data.content_hashes import content_hashes
from engine.data.threads import cores
from engine.progress import WorkDone


class SeenBefore(NamedTuple):
    """Images that were trained on, and others that were validated on: by these a run's best epoch is chosen."""

    trained_on: int
    validated_on: int


def seen_before(
    images: Sequence[str], trained: Sequence[str], validated: Sequence[str]
) -> Generator[WorkDone, None, SeenBefore]:
    """How many of the images have the bytes of a ``trained`` one, or else of a ``validated`` one; all are paths.

    Yields how far it is. Of the latter two no file is read that has not the size of one of the images.
    """
    asked = [str(Path(path).absolute()) for path in images]  # as those of an experiment are, and remembered so
    sizes = {_size(path) for path in asked}
    paths = list({*asked, *(path for path in (*trained, *validated) if _size(path) in sizes)})
    digests = dict(zip(paths, (yield from content_hashes(paths, cores())), strict=True))
    in_training, in_validation = ({digests.get(path) for path in part} for part in (trained, validated))
    found = [digest for path in asked if (digest := digests[path]) is not None]
    return SeenBefore(
        sum(one in in_training for one in found),
        sum(one in in_validation and one not in in_training for one in found),
    )


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):  # ValueError: not a name that a file can have
        return None
