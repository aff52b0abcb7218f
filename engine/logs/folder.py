"""An experiment's folder: its name, the files in it, and finding those that are there. Imports without torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from datetime import datetime
from pathlib import Path

from engine.errors import UserError
from engine.text import shown

SPEC = "experiment.toml"
EVENTS = "events.jsonl"
COMMANDS = "commands.jsonl"
WRITER_LOCK = "writer.lock"
ENGINE_LOG = "engine.log"
NOTE = "note.txt"
COMPARISON = "comparison"
"""The name of an export, before its format's ending."""
NETWORK, ONNX = "best.safetensors", "best.onnx"
_OWN_FILES = re.compile(
    "|".join(map(re.escape, (SPEC, EVENTS, COMMANDS, WRITER_LOCK, ENGINE_LOG, NOTE)))
    + rf"|{re.escape(WRITER_LOCK)}\.(break|restore)\.\d+\.[0-9a-f]+"  # filelock's, where a takeover was cut off
    + rf"|{COMPARISON}\.(csv|json|md)"
    + rf"|\.({re.escape(SPEC)}|{re.escape(NOTE)}|{COMPARISON}\.(csv|json|md))\.\d+"  # half written, as the next line
    + r"|checkpoints/(?P<of>[^/]+)/((best|last|unused-\d+)\.safetensors|best\.onnx)"
    + r"|predictions/(?P<by>[^/]+)\.safetensors"
    + r"|checkpoints/(?P<half>[^/]+)/(\.tmp[^/]*|\.[^/]+\.safetensors\.partial|\.best\.onnx\.\d+)"
    + r"|predictions/(\.tmp[^/]*|\.(?P<half_by>[^/]+)\.safetensors\.partial)"
)
_OWN_FOLDERS = re.compile(r"checkpoints(/(?P<of>[^/]+))?|predictions")


def is_own_file(place: str, runs: Set[str]) -> bool:
    """Whether a file at this ``place`` below an experiment's folder (``engine.log``) is one that tl-tui writes.

    ``runs``: the names of the experiment's runs.
    """
    return _is_own(_OWN_FILES.fullmatch(place), runs)


def is_own_folder(place: str, runs: Set[str]) -> bool:
    """Whether a folder at this ``place`` below an experiment's folder is one that tl-tui makes, likewise."""
    return _is_own(_OWN_FOLDERS.fullmatch(place), runs)


def _is_own(match: re.Match[str] | None, runs: Set[str]) -> bool:
    return match is not None and all(run is None or run in runs for run in match.groupdict().values())


def weights_file(folder: Path, run: str) -> Path:
    """The network of a run's best epoch."""
    return folder / "checkpoints" / run / NETWORK


def onnx_file(folder: Path, run: str) -> Path:
    """The same network, where a person asked for it as an ONNX file and named no other place."""
    return folder / "checkpoints" / run / ONNX


def checkpoint_file(folder: Path, run: str) -> Path:
    """The checkpoint of a run that is not over."""
    return folder / "checkpoints" / run / "last.safetensors"


def predictions_file(folder: Path, run: str) -> Path:
    """What a run's best epoch says of the validation images, and of the test images."""
    return folder / "predictions" / f"{run}.safetensors"


def create(out: Path, data_name: str, now: datetime) -> Path:
    """A new folder ``out/DATA-YYYYMMDD-HHMMSS``, readable by its owner alone; ``-2`` and so on where it exists.

    ``UserError`` where ``out`` is a file, ``OSError`` where nothing can be made there.
    """
    if out.is_file():
        raise UserError(f"{shown(str(out))} is a file; --out names the folder of experiments")
    name = f"{slug(data_name)}-{now:%Y%m%d-%H%M%S}"
    out.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = out / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return folder


def slug(name: str) -> str:
    """A name as it can stand in a file name: ASCII letters, digits and dashes, 40 characters at most."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()  # ü as u
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:40] or "experiment"


def experiments(out: Path) -> list[Path]:
    """The experiments in a folder, newest first, by the time in their names: a copy of a folder is as old as it was."""
    if not out.is_dir():
        return []
    found = [path.parent for path in out.glob(f"*/{EVENTS}") if path.is_file() or path.is_dir()]  # no pipe: it waits
    return sorted(found, key=lambda folder: (_began(folder), folder.name), reverse=True)


def _began(folder: Path) -> tuple[str, int]:
    """The time in the experiment's name, and its number among those of that second."""
    match = re.search(r"(\d{8}-\d{6})(?:-(\d{1,9}))?$", folder.name)
    return (match[1], int(match[2] or 1)) if match else ("", 0)
