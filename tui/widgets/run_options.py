"""What holds for every run: seeds, folds, weights, device and precision."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, get_args

from textual import on
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input

from engine.specs.spec import Experiment, Precision, changed
from engine.specs.toml import MOST_FOLDS, MOST_SEEDS, SpecError
from engine.text import consecutive
from tui.widgets.field import FIELD_KEYS, Choice, Field
from tui.widgets.path_input import PathInput, unquoted
from tui.widgets.text_input import TextInput

PRECISIONS: tuple[str, ...] = get_args(Precision)


WORDS = ("default", "none")
OR_WEIGHTS = "or none, path"


def seeds_from(text: str) -> tuple[int, ...]:
    """The seeds in ``0``, ``0 1 2``, ``0,1`` or ``0-4``; :class:`SpecError` in a few words."""
    seeds: list[int] = []
    for part in re.split(r"[\s,]+", text.strip()):
        found = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part)
        if found is None:
            raise SpecError("0, or 0-4")
        first, last = int(found[1]), int(found[2] or found[1])
        if last >= 2**31:
            raise SpecError("less than 2147483648")
        if last < first:
            raise SpecError("0, or 0-4")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise SpecError(f"at most {MOST_SEEDS}")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        raise SpecError("one is there twice")
    return tuple(seeds)


def seeds_said(seeds: Sequence[int]) -> str:
    """What :func:`seeds_from` reads as these seeds: ``0 2 4-6``."""
    parts = consecutive(seeds)
    return " ".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else " ".join(map(str, part)) for part in parts)


def folds_from(text: str) -> int | None:
    """``none``, or a number of folds; :class:`SpecError` in a few words."""
    if text in ("", "none"):
        return None
    if not re.fullmatch(r"\d{1,3}", text) or not 2 <= int(text) <= MOST_FOLDS:
        raise SpecError(f"2 to {MOST_FOLDS}")
    return int(text)


def weights_from(text: str) -> str:
    """``default``, ``none`` or an existing path; :class:`SpecError` where there is nothing of that name."""
    if text in WORDS:
        return text
    try:
        path = Path(unquoted(text)).expanduser()
        if text and path.exists():
            return str(path)
    except (OSError, ValueError, RuntimeError):
        pass  # too long, not a name, or ~somebody whom nobody knows
    raise SpecError("no such path")


def device_from(text: str) -> str:
    """``auto`` or a device that torch may have; whether it is there is known when torch is loaded."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise SpecError("auto, cpu, cuda:1 or mps")
    return text


READERS: dict[str, Callable[[str], object]] = {
    "seeds": seeds_from,
    "folds": folds_from,
    "weights": weights_from,
    "device": device_from,
}


class RunOptions(Vertical):
    """Seeds, folds, weights, device and precision, one a line; ``problems`` in a few words by label."""

    DEFAULT_CSS = """
    RunOptions { height: 5; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_KEYS]

    class Changed(Message):
        """A value was changed."""

    def __init__(self, experiment: Experiment, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.problems: dict[str, str] = {}
        self.seeds = TextInput(seeds_said(experiment.seeds), compact=True, id="run-seeds")
        folds = "none" if experiment.folds is None else str(experiment.folds)
        self.folds = TextInput(folds, compact=True, id="run-folds", max_length=4)
        self.weights = PathInput(experiment.weights, words=WORDS, id="run-weights")
        devices = SuggestFromList(["auto", "cpu", "cuda:0", "mps"])
        self.device = TextInput(experiment.device, compact=True, id="run-device", suggester=devices, max_length=20)
        self._first_precision: str = experiment.precision
        self.precision = Choice([(name, name) for name in PRECISIONS], experiment.precision, id="run-precision")
        self.fields = {
            "seeds": Field("seeds", self.seeds, "0-4: 5 seeds", classes="-short"),
            "folds": Field("folds", self.folds, "or 5", classes="-short"),
            "weights": Field("weights", self.weights, OR_WEIGHTS, classes="-wide"),
            "device": Field("device", self.device, "or cuda:1", classes="-short"),
            "precision": Field("precision", self.precision, classes="-short"),
        }

    async def complete(self) -> None:
        """One line a value; not composed, so that the first frame does not wait for them."""
        await self.mount(*self.fields.values())

    @property
    def asked_weights(self) -> str:
        """Which weights are asked for; what is typed where that is wrong, so that it can be said why."""
        typed = self.weights.value.strip()
        try:
            return weights_from(typed)
        except SpecError:
            return typed

    @property
    def asked_device(self) -> str:
        """Which device is asked for, be it one or not."""
        return self.device.value.strip()

    @property
    def values(self) -> tuple[str, ...]:
        """What is typed and chosen, be it right or wrong."""
        typed = self.seeds, self.folds, self.weights, self.device
        return *(one.value for one in typed), self._chosen_precision

    @property
    def _chosen_precision(self) -> str:
        """What is chosen; until the field is mounted, which is blank before, what it will show."""
        return self._first_precision if self.precision.is_blank() else str(self.precision.value)

    def applied(self, experiment: Experiment) -> Experiment:
        """The experiment with these values; :class:`SpecError` where one of them is wrong."""
        return changed(
            experiment,
            seeds=seeds_from(self.seeds.value),
            folds=folds_from(self.folds.value.strip()),
            weights=weights_from(self.weights.value.strip()),
            device=device_from(self.device.value.strip()),
            precision=self._chosen_precision,
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        name = (event.input.id or "").removeprefix("run-")
        self.problems.pop(name, None)
        try:
            READERS[name](event.value.strip())
        except SpecError as error:
            self.problems[name] = str(error)
        if name == "weights":  # of a path, more has room without the hint
            self.fields[name].hint = OR_WEIGHTS if event.value.strip() in WORDS else ""
        self.fields[name].say(self.problems.get(name, ""))
        self.post_message(self.Changed())

    @on(Choice.Changed)
    def _picked(self, event: Choice.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())
