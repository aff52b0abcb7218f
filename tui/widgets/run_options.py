"""What holds for every run: seeds, folds, weights, device and precision."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, get_args

from textual import on, work
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input

from engine.errors import UserError
from engine.specs.spec import Experiment, Precision, changed
from engine.specs.toml import MOST_FOLDS, MOST_SEEDS
from engine.text import consecutive
from tui.widgets.field import FIELD_KEYS, Field, Menu
from tui.widgets.order import MOST
from tui.widgets.path_input import PathInput, unquoted
from tui.widgets.text_input import TextInput
from tui.work.latest import Latest

PRECISIONS: tuple[str, ...] = get_args(Precision)

WORDS = ("default", "none")
OR_WEIGHTS = "none or path"


def seeds_from(text: str) -> tuple[int, ...]:
    """The seeds in ``0``, ``0 1 2``, ``0,1`` or ``0-4``; :class:`UserError` in a few words."""
    seeds: list[int] = []
    for part in re.split(r"[\s,]+", text.strip()):
        found = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part)
        if found is None:
            raise UserError("e.g. 0 or 0-4")
        first, last = int(found[1]), int(found[2] or found[1])
        if last >= 2**31:
            raise UserError("less than 2147483648")
        if last < first:
            raise UserError("e.g. 0 or 0-4")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise UserError(f"at most {MOST_SEEDS}")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        raise UserError("duplicate seed")
    return tuple(seeds)


def seeds_said(seeds: Sequence[int]) -> str:
    """What :func:`seeds_from` reads as these seeds: ``0 2 4-6``."""
    parts = consecutive(seeds)
    return " ".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else " ".join(map(str, part)) for part in parts)


def folds_from(text: str) -> int | None:
    """``none``, or a number of folds; :class:`UserError` in a few words."""
    if text in ("", "none"):
        return None
    if not re.fullmatch(r"\d{1,3}", text) or not 2 <= int(text) <= MOST_FOLDS:
        raise UserError(f"2 to {MOST_FOLDS}")
    return int(text)


def weights_from(text: str) -> str:
    """``default``, ``none`` or an existing path; :class:`UserError` where there is nothing of that name.

    Asks the disk, so this belongs into a thread.
    """
    if text in WORDS:
        return text
    try:
        path = Path(unquoted(text)).expanduser()
        if text and path.exists():
            return str(path)
    except (OSError, ValueError, RuntimeError):
        pass  # too long, not a name, or ~somebody whom nobody knows
    raise UserError("no such path")


def device_from(text: str) -> str:
    """``auto`` or a device that torch may have; whether it is there is known when torch is loaded."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise UserError("auto, cpu, cuda:1 or mps")
    return text


def _weights_or_problem(text: str) -> tuple[str, str]:
    """What :func:`weights_from` reads, or what is wrong with it."""
    try:
        return weights_from(text), ""
    except UserError as error:
        return "", str(error)


looking = Latest(_weights_or_problem, "weights-path")
"""One thread, whatever is typed while a disk does not answer."""


READERS: dict[str, Callable[[str], object]] = {"seeds": seeds_from, "folds": folds_from, "device": device_from}
STILL_LOOKING = "still looking for that path"


class RunOptions(Vertical):
    """Seeds, folds, weights, device and precision, one a line; ``problems`` in a few words by label.

    Whether the path of the weights is there is asked in a thread: that is no problem until it has answered.
    """

    DEFAULT_CSS = """
    RunOptions { height: 5; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_KEYS]

    class Changed(Message):
        """A value was changed."""

    def __init__(self, experiment: Experiment, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.problems: dict[str, str] = {}
        self._answered = asyncio.Event()  # set once it is known whether the weights that are typed are there
        self._weights = ""  # which those are; empty where they are not
        if experiment.weights in WORDS:
            self._weights = experiment.weights
            self._answered.set()
        self.seeds = TextInput(seeds_said(experiment.seeds), compact=True, id="run-seeds")
        folds = "none" if experiment.folds is None else str(experiment.folds)
        self.folds = TextInput(folds, compact=True, id="run-folds", max_length=4)
        self.weights = PathInput(experiment.weights, words=WORDS, id="run-weights")
        devices = SuggestFromList(["auto", "cpu", "cuda:0", "mps"])
        self.device = TextInput(experiment.device, compact=True, id="run-device", suggester=devices, max_length=20)
        self._first_precision: str = experiment.precision
        self.precision = Menu([(name, name) for name in PRECISIONS], experiment.precision, id="run-precision")
        self.fields = {
            "seeds": Field("seeds", self.seeds, "0-4 = 5 seeds", classes="-short"),
            "folds": Field("folds", self.folds, "or 5", classes="-short"),
            "weights": Field("weights", self.weights, OR_WEIGHTS, classes="-wide"),
            "device": Field("device", self.device, "or cuda:1", classes="-short"),
            "precision": Field("precision", self.precision, classes="-short"),
        }

    async def complete(self) -> None:
        """One line a value; not composed, so that the first frame does not wait for them."""
        await self.mount(*self.fields.values())

    @property
    def is_looking(self) -> bool:
        """Whether it is not known yet if the weights are there."""
        return not self._answered.is_set()

    async def looked(self) -> None:
        """Waits until that is known, a second at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), MOST)

    @property
    def asked_weights(self) -> str:
        """The chosen weights; if invalid, the text as typed, so that the reason can be said."""
        return self._weights or self.weights.value.strip()

    @property
    def asked_device(self) -> str:
        """The device as typed, valid or not."""
        return self.device.value.strip()

    @property
    def values(self) -> tuple[str, ...]:
        """All values as typed and chosen, valid or not."""
        typed = self.seeds, self.folds, self.weights, self.device
        return *(one.value for one in typed), self._chosen_precision

    @property
    def _chosen_precision(self) -> str:
        """What is chosen; until the field is mounted, which is blank before, what it will show."""
        return self._first_precision if self.precision.is_blank() else str(self.precision.value)

    def applied(self, experiment: Experiment) -> Experiment:
        """The experiment with these values; :class:`UserError` where one of them is wrong, or not known to be right."""
        if not self._weights:
            raise UserError(f"weights: {self.problems.get('weights', STILL_LOOKING)}")
        return changed(
            experiment,
            seeds=seeds_from(self.seeds.value),
            folds=folds_from(self.folds.value.strip()),
            weights=self._weights,
            device=device_from(self.device.value.strip()),
            precision=self._chosen_precision,
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        name = (event.input.id or "").removeprefix("run-")
        if event.input is self.weights:
            self._look()
            return
        problem = ""
        try:
            READERS[name](event.value.strip())
        except UserError as error:
            problem = str(error)
        self._say(name, problem)

    def _look(self) -> None:
        """Whether what is typed now are weights: of a word at once, of a path in a thread."""
        self.workers.cancel_group(self, "weights-path")
        typed = self.weights.value.strip()
        is_word = typed in WORDS
        self.fields["weights"].hint = OR_WEIGHTS if is_word else ""  # of a path, more has room without it
        if is_word:
            self._know(typed, "")
        else:
            self._answered.clear()
            self._weights = ""
            self._say("weights", "")
            self._ask(typed)

    @work(group="weights-path", exit_on_error=False)
    async def _ask(self, typed: str) -> None:
        self._know(*await looking.answer(typed))

    def _know(self, weights: str, problem: str) -> None:
        self._weights = weights
        self._answered.set()
        self._say("weights", problem)

    def _say(self, name: str, problem: str) -> None:
        self.problems.pop(name, None)
        if problem:
            self.problems[name] = problem
        self.fields[name].say(problem)
        self.post_message(self.Changed())

    @on(Menu.Changed)
    def _picked(self, event: Menu.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())
