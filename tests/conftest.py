"""Small generated image sets that stand for a person's own."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from xdist.scheduler import LoadGroupScheduling

from tests import forked

os.environ["OMP_NUM_THREADS"] = "1"  # three test processes on two cores; also for the processes that they start

COLOURS = {"cold": (40, 60, 200), "warm": (210, 70, 40), "green": (50, 190, 60)}

SHARING = {
    "test_suspended_and_resumed_it_is_the_same_experiment",
    "test_left_at_the_end_and_resumed_it_is_done_and_the_same",
}
"""Tests whose parameters are compared with the same experiment that nothing disturbs."""


def draw(path: Path, colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (48, 40)) -> None:
    """A noisy image of about this colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(path.suffix.lower(), colour, seed, size))


@cache  # most tests want the same few
def encoded(suffix: str, colour: tuple[int, int, int], seed: int, size: tuple[int, int]) -> bytes:
    noise = np.random.default_rng(seed).integers(-40, 40, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, Image.registered_extensions()[suffix])
    return file.getvalue()


class ByTest(LoadGroupScheduling):
    """Each test goes to the next process that is free, but all that export a network to one, and so do those of
    :data:`SHARING` with each of their parameters.

    That loads the exporter once, which takes seconds, and makes what they share once. A mark ``xdist_group`` does
    nothing: xdist 3.8 writes it where pytest 9.2 no longer looks.
    """

    def _split_scope(self, nodeid: str) -> str:
        if "/test_onnx_" in nodeid:
            return "onnx"
        test = nodeid.partition("[")[0]
        return test if test.rpartition("::")[2] in SHARING else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByTest:
    return ByTest(config, log)


def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Forks the processes where they test a folder; for single files they load only what those need, and coverage has
    to see it loaded.
    """
    is_seen = "coverage" in sys.modules
    if sys.platform == "linux" and not is_seen and any(Path(argument).is_dir() for argument in config.args):
        for spec in specs:
            spec.python = forked.python_for_xdist()


def pytest_configure() -> None:
    """What is imported while tests are collected stays: nothing of it is garbage."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no process has one left to do while the other has nothing."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Collects garbage less often, and leaves the libraries' many objects out of it: a quarter of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 10)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    forked.end()
    gc.unfreeze()
    if hasattr(config, "workerinput"):
        os._exit(0)  # it has told all; taking apart what all tests loaded takes seconds, for which xdist waits


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a test prepares is found by no other, and nothing is left in the person's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TL_TUI_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def disks_never_waited_for() -> Iterator[None]:
    """What tests write need not outlive a loss of power: ``os.fsync`` only fails where it would, on what is not open.

    Where others use the disk too, it takes longer than the training of so small networks.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: os.fstat(file) and None)
        yield


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes ``tmp_path/NAME`` with ``train/CLASS`` and ``val/CLASS``, so many images a class."""

    def make(name: str = "images", train: int = 6, val: int = 4, classes: tuple[str, ...] = ("cold", "warm")) -> Path:
        root = tmp_path / name
        for label, class_name in enumerate(classes):
            for part, count in (("train", train), ("val", val)):
                for number in range(count):
                    seed = 1000 * label + 100 * (part == "val") + number
                    draw(root / part / class_name / f"{number}.png", COLOURS[class_name], seed)
        return root

    return make
