"""The demo set: synthetic pictures that tl-tui draws itself into the user's cache. Imports without torch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image

from engine import cache
from engine.data.phantom import Kind, mass, view
from engine.errors import DataError
from engine.text import shown

VERSION = "demo-v2"
"""Another name whenever the pictures or their places change, so that a cache never mixes two."""
PATIENTS: dict[Literal["train", "val", "both"], int] = {"train": 28, "both": 24, "val": 16}
"""Of the patients in both parts every other view is in train, the others in val."""
VIEWS = 4
GROUP_PATTERN = r"patient-(\d+)"
"""What finds the patient in a file's name."""
LOCK_SECONDS = 120
README = "README.txt"
NOTICE = """\
tl-tui demo set: synthetic, not medical

Every picture here was drawn by tl-tui from random numbers: a mass with a smooth outline ("benign") or with rays
("malignant") on noise that stands for tissue. The patients are invented; no picture comes from a person, and nothing
learnt from them says anything about one.

The split into train and val is made badly on purpose, as it is in many public data sets: of 24 of the 68 patients half
of the views are in train and the other half in val. `tl-tui check` shows that, and `--split grouped` mends it.
"""


def demo_folder() -> Path:
    """The folder of the demo set, ``train/CLASS`` and ``val/CLASS``, drawn at the first call in a few seconds.

    The same pictures on every machine. ``DataError`` where the cache folder cannot be written, ``UserError`` where
    TL_TUI_CACHE names none.
    """
    folder = cache.home() / VERSION
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(folder.with_name(f"{VERSION}.lock"), timeout=LOCK_SECONDS):
            if not _is_whole(folder):  # another process may have drawn it meanwhile
                _replace(folder)
    except Timeout:
        raise DataError(f"{shown(str(folder))}: another process has been drawing the demo set for too long") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"the demo set cannot be drawn into {shown(str(folder))}: {reason}") from None
    return folder


def _replace(folder: Path) -> None:
    """Draws under another name first, so that a folder of the right name is always whole."""
    partial = folder.with_name(f"{VERSION}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    draw(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def draw(folder: Path) -> None:
    """Draws the whole demo set into a new folder."""
    folder.mkdir()
    for where, kind, patient in _patients():
        rng = np.random.default_rng(patient)
        one = mass(kind, rng)
        for number in range(1, VIEWS + 1):
            place = folder / _part(where, number) / kind
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(view(one, rng)).save(place / _file_name(patient, number), compress_level=1)
    (folder / README).write_text(NOTICE, encoding="utf-8")


def _patients() -> list[tuple[str, Kind, int]]:
    """Where the views of each patient are, the kind of mass and the patient's number."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    places = [place for place, count in PATIENTS.items() for _ in range(count)]
    return [(place, kinds[number % 2], number) for number, place in enumerate(places, start=1)]


def _part(where: str, number: int) -> str:
    """The folder that a view is in."""
    return where if where != "both" else ("val", "train")[number % 2]


def _file_name(patient: int, number: int) -> str:
    return f"patient-{patient:03}-view-{number}.png"


def _is_whole(folder: Path) -> bool:
    wanted = {
        folder / _part(where, number) / kind / _file_name(patient, number)
        for where, kind, patient in _patients()
        for number in range(1, VIEWS + 1)
    }
    return (folder / README).is_file() and wanted <= set(folder.glob("*/*/*.png"))
