"""Doing work on images again with fewer of them at once where memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TypeVar

from engine.devices.memory_probe import release_memory
from engine.logs import events as ev
from engine.logs.events import Event
from engine.text import counted
from engine.training.batches import evaluation_sizes
from engine.training.memory import DoesNotFitError, do_without_onednn, shortage
from engine.training.run import Run, Training

logger = logging.getLogger("engine")
T = TypeVar("T")
WITHOUT_ONEDNN = (
    "oneDNN cannot make more kernels in this process, so training continues with PyTorch's own, slower ones; "
    "it can be resumed in a new process with more memory"
)


def retry_with_fewer_images(
    run: Run, training: Training, what: str, count: int, work: Callable[[int | None], Generator[Event, None, T]]
) -> Generator[Event, None, T]:
    """Does ``work(at_once)`` on ``count`` images, anew with half as many at once wherever memory runs out.

    A warning tells of it; :class:`DoesNotFitError` where a single image does not fit. ``what`` the work is, in words.
    """
    while True:
        try:
            return (yield from work(training.at_once))
        except Exception as error:
            short = shortage(error)
            if short is None:
                raise
            logger.warning("no memory while %s: %s", what, str(error))
        release_memory()
        if short == "kernels":
            do_without_onednn()
            yield ev.Warned(run=run.name, message=f"out of memory while {what}: {WITHOUT_ONEDNN}")
            continue
        before = max(evaluation_sizes(count, run.images.device, training.at_once))
        if before == 1:
            raise DoesNotFitError(f"a single image does not fit into memory while {what}")
        training.at_once = before // 2
        images = counted(before // 2, "image", "images")
        message = f"out of memory while {what}: from now on at most {images} at once"
        yield ev.Warned(run=run.name, message=message)
