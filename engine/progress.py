"""Progress of long work (decoding, downloads, features): from generators to events in the log."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from msgspec import Struct

from engine.clock import PROGRESS_SECONDS, every
from engine.logs import events as ev
from engine.logs.events import Event, Stage

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")


class WorkDone(Struct, frozen=True):
    """How far work is: ``done`` of ``total`` units, 0 while that is not known, of what ``detail`` says.

    ``images``: whether the units are images.
    """

    detail: str
    done: int = 0
    total: int = 0
    images: bool = False


def transformed(work: Generator[S, None, T], change: Callable[[S], U | None]) -> Generator[U, None, T]:
    """Does the work and returns its result, while ``change`` makes something else of what it yields; None is left out.

    Closing it, or an exception that is thrown in, closes the work.
    """
    with closing(work):
        while True:
            try:
                step = next(work)
            except StopIteration as finished:
                result: T = finished.value
                return result
            if (changed := change(step)) is not None:
                yield changed


def counting_images(detail: str, work: Generator[int, None, T], total: int) -> Generator[WorkDone, None, T]:
    """Does work on ``total`` images that yields how many are done, and returns its result."""
    yield WorkDone(detail, 0, total, images=True)
    return (yield from transformed(work, lambda done: WorkDone(detail, done, total, images=True)))


def as_events(
    work: Generator[WorkDone, None, T], stage: Stage, clock: Callable[[], float], run: str = ""
) -> Generator[Event, None, T]:
    """Does the work and returns its result; yields ``StageChanged`` for a new detail, and throttled ``Progress``."""
    due = every(PROGRESS_SECONDS, clock)
    detail, since, before = "", clock(), 0

    def said(now: WorkDone) -> Event | None:
        nonlocal detail, since, before
        if now.detail != detail:
            detail, since, before = now.detail, clock(), now.done
            return ev.StageChanged(run=run, stage=stage, detail=detail)
        if not due():
            return None
        speed = (now.done - before) / max(clock() - since, 1e-9) if now.images else None
        return ev.Progress(run=run, stage=stage, step=now.done, steps=now.total, images_per_second=speed)

    return (yield from transformed(work, said))
