"""Saving what a run has reached while it goes on, as far as there is room: the events that say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial

from engine.logs import events as ev
from engine.logs.events import Event
from engine.text import shown
from engine.training import checkpoint
from engine.training.checkpoint import PoisonedError
from engine.training.course import Course
from engine.training.memory import shortage

GOES_ON = "; training continues, and saving is retried"
LEFT = "; resuming will start from the last save"
logger = logging.getLogger("engine")


def save_checkpoint(course: Course, then: str = GOES_ON) -> Generator[Event, None, None]:
    """Saves where the run stands, unless that cannot be or is not worth it."""
    yield from _tried(course, "its state", partial(checkpoint.save, course), then)


def save_best(course: Course, then: str = GOES_ON) -> Generator[Event, None, None]:
    """Saves the best epoch, unless that cannot be."""
    yield from _tried(course, "the best epoch", course.best.save, then)


def before_leaving(course: Course, *, best_too: bool = False) -> Generator[Event, None, None]:
    """Saves where the run stands for the process that goes on with it, and the best epoch, unless that cannot be."""
    course.unsaved.clear()  # a person who leaves is told, also where that was told before
    yield from save_checkpoint(course, LEFT)
    if best_too:
        yield from save_best(course, "")


def is_want_of_room(error: Exception) -> bool:
    """Whether something could not be saved for want of room, of permission or of memory."""
    return isinstance(error, OSError) or shortage(error) is not None


def _tried(
    course: Course, what: str, save: Callable[[], Sequence[Event] | None], then: str
) -> Generator[Event, None, None]:
    """Saves something and tells what that tells; where it cannot be, says so the first time."""
    try:
        saved = save()
    except Exception as error:
        if not is_want_of_room(error) and not isinstance(error, PoisonedError):
            raise
        logger.warning("%s of %s could not be saved: %s", what, course.run.name, str(error))
        first = what not in course.unsaved
        course.unsaved.add(what)
        if first:
            yield ev.Warned(run=course.run.name, message=f"{what} could not be saved ({why(error)}){then}")
        return
    course.unsaved.discard(what)
    yield from saved or ()


def why(error: Exception) -> str:
    """Why something could not be saved, in a few words, with the file's name."""
    if isinstance(error, OSError) and error.filename:
        return shown(f"{error.filename}: {error.strerror}")
    return "not enough memory" if shortage(error) else shown(str(error))
