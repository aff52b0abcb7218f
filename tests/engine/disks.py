"""Small file systems of their own, and how to fill them."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A file system of its own in memory; skips the test where this may not be mounted."""
    path.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only root may mount a small disk (`unshare --map-root-user --mount pytest` makes one root)")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)  # also where a test that failed still uses it


def remount(path: Path, options: str) -> None:
    """Makes it, say, read-only while it is in use."""
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)


def fill(folder: Path) -> None:
    """Takes the last byte of room."""
    with (folder / BALLAST).open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


def take_inodes(folder: Path) -> None:
    """Takes the last of the files that there may be, and leaves room in those that are there."""
    (folder / BALLAST).mkdir()
    try:
        for number in range(1 << 20):
            (folder / BALLAST / str(number)).touch()
    except OSError as error:
        assert error.errno == errno.ENOSPC


def empty(folder: Path) -> None:
    """Gives the room back."""
    ballast = folder / BALLAST
    if ballast.is_dir():
        for path in ballast.iterdir():
            path.unlink()
        ballast.rmdir()
    else:
        ballast.unlink()
