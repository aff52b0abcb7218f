"""Tensors in a safetensors file that is whole, or still the earlier one, whatever happens while it is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from engine.files import sync


class TensorFile(NamedTuple):
    """What a file is to hold."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes one file, see :func:`write_together`."""
    write_together({path: TensorFile(tensors, metadata)})


def write_together(files: Mapping[Path, TensorFile]) -> None:
    """Writes under temporary names, makes that durable, then renames; for the user alone.

    Where writing fails, all of the files are still the earlier ones; where a rename does, perhaps not the first ones.
    Only one process at a time may write in their folders. ``OSError`` names the file that could not be written.
    """
    path = next(iter(files))
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path.parent)
        for path, file in files.items():
            _write_partial(path, file)
        for path in files:
            _partial(path).replace(path)
            sync(path.parent)
    except OSError as error:
        for one in files:
            with suppress(OSError):
                _clear(one.parent)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _write_partial(path: Path, file: TensorFile) -> None:
    partial = _partial(path)
    _save(file.tensors, partial, file.metadata)
    partial.chmod(0o600)
    sync(partial)


def _save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """``save_file``, with the system's error as ``OSError``."""
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _clear(folder: Path) -> None:
    """Removes what a process that was killed while it wrote has left; safetensors' own temporary files too."""
    for pattern in (".tmp*", ".*.partial"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
