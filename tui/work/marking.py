"""Marks experiments for Compare, each once it is known that it was measured on the same data as what is marked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.history.experiment_state import read_state
from engine.text import shown
from tui.errors import in_words, unexpected
from tui.host import app_of
from tui.work.loading import load_for_comparing

if TYPE_CHECKING:
    from textual.screen import Screen


class Marking:
    """What is about to be marked; what is marked is the app's. Its methods are for the app's own thread.

    ``changed`` is called when there are other marks, ``compare`` once what :meth:`must_wait` was asked about is marked
    and the ``screen`` is still the one that is seen.
    """

    def __init__(self, screen: Screen[None], changed: Callable[[], None], compare: Callable[[], object]) -> None:
        self._screen, self._changed, self._compare = screen, changed, compare
        self._waiting: set[Path] = set()  # until it is known whether they may be
        self._compares = False  # once it is known

    def turn(self, folder: Path) -> None:
        """Marks the experiment in a folder, or takes its mark away."""
        marks = app_of(self._screen).marks
        if folder in marks:
            del marks[folder]
            self._changed()
        elif folder in self._waiting:  # asked again before it was marked
            self._waiting.remove(folder)
            self._compare_if_asked()
        else:
            self.mark(folder, None)

    def mark(self, folder: Path, runs: frozenset[str] | None) -> None:
        """Marks the runs (None: all) of an experiment, or says why they cannot be compared with what is marked."""
        self._waiting.add(folder)
        self._look(folder, runs)

    def unmark(self, folder: Path) -> None:
        """Takes the mark of an experiment away, also one that is about to be there."""
        app_of(self._screen).marks.pop(folder, None)
        self._waiting.discard(folder)
        self._changed()

    def clear(self) -> None:
        """Takes all marks away."""
        app_of(self._screen).marks.clear()
        self._waiting.clear()
        self._changed()

    def must_wait(self) -> bool:
        """Whether something is still to be marked before all that is marked can be compared: that is then done."""
        self._compares = bool(self._waiting)
        return self._compares

    def stop_waiting(self) -> None:
        """Compares nothing by itself any more."""
        self._compares = False

    def _beside(self, folder: Path) -> Path | None:
        return next((other for other in app_of(self._screen).marks if other != folder), None)

    def _look(self, folder: Path, runs: frozenset[str] | None) -> None:
        asked = partial(self._looked, folder, runs, self._beside(folder))
        self._screen.run_worker(asked, thread=True, group="marks", exit_on_error=False)

    def _looked(self, folder: Path, runs: frozenset[str] | None, beside: Path | None) -> None:
        self._screen.app.call_from_thread(self._known, folder, runs, beside, obstacle(folder, beside))

    def _known(self, folder: Path, runs: frozenset[str] | None, beside: Path | None, problem: str) -> None:
        if folder not in self._waiting:
            return
        if self._beside(folder) != beside:  # another was marked meanwhile
            self._look(folder, runs)
            return
        self._waiting.remove(folder)
        if problem:
            self._screen.notify(f"{problem}.", title="Not marked", severity="warning")
        else:
            app_of(self._screen).mark(folder, runs)
            self._changed()
        self._compare_if_asked()

    def _compare_if_asked(self) -> None:
        if self._compares and self._screen.is_current:
            self._compare()


def obstacle(folder: Path, beside: Path | None) -> str:
    """Why the experiment in a folder cannot be compared with the one ``beside`` it (None: with any), without a full
    stop; empty where it can be. Reads logs, and loads libraries where there are two, so it belongs into a thread.
    """
    try:
        if beside is None:
            return "" if read_state(folder).runs else _without_runs(folder)
        load_for_comparing()
        from engine.comparison.same_data import what_differs  # noqa: PLC0415
        from tui.work.comparing import state_now  # noqa: PLC0415 - not needed before

        states = [state_now(beside), state_now(folder)]
        return what_differs(states) if states[-1].runs else _without_runs(folder)
    except OSError as error:
        return f"The log cannot be read: {in_words(error)}"
    except Exception as error:
        return unexpected(error)


def _without_runs(folder: Path) -> str:
    return f"The log of {shown(folder.name)} no longer has any run"
