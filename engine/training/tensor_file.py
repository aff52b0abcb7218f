"""Tensors in a safetensors file that is whole, or still the earlier one, whatever happens while it is written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes under a temporary name, makes it durable, then renames; for the user alone.

    Only one process at a time may write in the file's folder. ``OSError`` names ``path``.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path.parent)
        _save(tensors, partial, metadata)
        partial.chmod(0o600)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    except OSError as error:
        _clear(path.parent)
        raise OSError(error.errno, error.strerror, str(path)) from error


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


def _sync(folder: Path) -> None:
    """Makes a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
