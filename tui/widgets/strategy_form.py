"""The parameters of one strategy, each in a line that checks what is typed at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input

from engine.errors import UserError
from engine.models.names import is_model
from engine.specs.strategy import CHOICES, Strategy, changed_strategy, settings
from tui.widgets.field import FIELD_KEYS, Choice, Field
from tui.widgets.text_input import TextInput
from tui.words.strategies import TRAINS, label, value_in_words

COMMON_BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "convnext_tiny",
    "densenet121",
    "regnet_y_400mf",
    "shufflenet_v2_x1_0",
    "swin_t",
    "vgg16",
    "vit_b_16",
)
"""Suggestions; any other torchvision classification model works as well."""

OTHER_SIZE = {"mobilenet_v3_small": "mobilenet_v3_large", "mobilenet_v3_large": "mobilenet_v3_small"}
EXAMPLE = ", such as 0.001"
"""Said below the form, where there is room: beside a field there is none at 80 columns."""
NOT_A_NUMBER = f"a number{EXAMPLE}"


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError("a whole number") from None


def _whole_or_none(text: str) -> int | None:
    return _whole(text) if text else None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise UserError(NOT_A_NUMBER) from None
    if not math.isfinite(number):
        raise UserError(NOT_A_NUMBER)
    return number


def _numbers(text: str) -> list[float]:
    return [_number(part) for part in re.split(r"[\s,]+", text)]


def _model(text: str) -> str:
    if not is_model(text):
        raise UserError("not a model")
    return text


class Entry(NamedTuple):
    """A parameter: where it is in a strategy, how its text is read, and a hint."""

    key: str
    read: Callable[[str], object]
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """What the parameter is called."""
        return label(self.key)


def _same(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, value) for value in values)


ENTRIES = (
    Entry("backbone", _model),
    Entry("trains", str, choices=tuple((words, value) for value, words in TRAINS.items())),
    Entry("head", str, choices=_same("random", "probe")),
    Entry("layer_decay", _number, "× per stage"),
    Entry("epochs", _whole),
    Entry("batch_size", _whole, "images"),
    Entry("image_size", _whole_or_none, "px"),
    Entry("optimizer.name", str, choices=_same(*CHOICES["optimizer.name"])),
    Entry("optimizer.lr", _number),
    Entry("optimizer.momentum", _number),
    Entry("optimizer.weight_decay", _number),
    Entry("optimizer.l2", _numbers),
    Entry("optimizer.folds", _whole, "to choose L2"),
    Entry("schedule.name", str, choices=_same(*CHOICES["schedule.name"])),
    Entry("schedule.step_size", _whole, "epochs"),
    Entry("schedule.gamma", _number, "factor"),
    Entry("schedule.eta_min", _number),
    Entry("augmentation.crop_area", _number, "1 = no crop"),
    Entry("augmentation.flip", lambda text: text == "yes", choices=_same("yes", "no")),
    Entry("augmentation.views", _whole, "1 = fixed"),
    Entry("class_weights", str, choices=_same(*CHOICES["class_weights"])),
)


def with_value(strategy: Strategy, key: str, value: object) -> Strategy:
    """The strategy with another value at a dotted key; :class:`UserError` in a few words where it cannot be.

    A new kind of optimizer keeps the learning rate; all else becomes that kind's default. L-BFGS is for the last layer
    alone: the two change together.
    """
    table, _, name = key.rpartition(".")
    values: dict[str, object] = {name: value}
    if key == "optimizer.name" and value != "LBFGS" and strategy.learning_rate is not None:
        values["lr"] = strategy.learning_rate
    changes: dict[str, object] = {table: values} if table else values
    if key == "optimizer.name" and value == "LBFGS":
        changes["trains"] = "head"
    if key == "trains" and value != "head" and strategy.is_probe:
        changes["optimizer"] = {"name": "SGD"}
    if strategy.is_probe and (key == "optimizer.name" or "optimizer" in changes):
        changes["epochs"] = Strategy("default").epochs
    try:
        return changed_strategy(strategy, **changes)
    except UserError as error:
        raise UserError(_brief(str(error), strategy.name, key)) from None


def _brief(message: str, name: str, key: str) -> str:
    """What is wrong, without the place, which the person is looking at."""
    message = message.removeprefix(f"strategy {name}: ").removeprefix(f"{key}: ")
    return re.sub(r"^must be a (whole )?number (of )?(?=at |above |below )", "", message)


def _in_field(value: object) -> str:
    """A parameter's value as its field has it, which is blank where the backbone's own is meant."""
    return "" if value is None else value_in_words(value, " ")


class StrategyForm(VerticalScroll, can_focus=False):
    """Shows a strategy's parameters; checks what is typed.

    ``problems``: what is wrong now, in a few words by the parameter's label.
    """

    DEFAULT_CSS = """
    StrategyForm { height: 1fr; scrollbar-size-vertical: 1; }
    StrategyForm > Field { padding: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *FIELD_KEYS,
        Binding(
            "ctrl+t",
            "screen.to_all",
            "To all",
            id="parameters.to-all",
            tooltip="apply this value to every ticked strategy",
        ),
    ]
    PREFIX: ClassVar[str] = "parameter-"

    class Changed(Message):
        """What is in a field was changed; the form's ``strategy`` has the last valid values."""

    def __init__(self, strategy: Strategy, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.strategy = strategy
        self.problems: dict[str, str] = {}
        self.fields: dict[str, Field] = {}

    async def complete(self) -> None:
        """One line a parameter; not composed, so that the first frame does not wait for them."""
        values = settings(self.strategy)
        self.fields = {entry.key: self._field(entry, values) for entry in ENTRIES}
        for key, field in self.fields.items():
            field.display = key in values
        await self.mount(*self.fields.values())

    def load(self, strategy: Strategy) -> None:
        """Shows another strategy, or another state of the same one; what is being typed into this one stays."""
        if strategy == self.strategy:
            return
        self.strategy = strategy
        self.problems = {}
        if self.fields:
            self._fill()

    def focus_first(self) -> None:
        """Puts the cursor into the first parameter."""
        if self.fields:
            first = self.fields["optimizer.l2" if self.strategy.is_probe else "epochs"]
            self.screen.set_focus(first.control)  # at once, for a key that arrived together with this one

    @property
    def at_cursor(self) -> tuple[Entry, object] | None:
        """The parameter that the cursor is in, and its value; None while what is typed there is none."""
        focused = self.screen.focused
        if focused is None or not (focused.id or "").startswith(self.PREFIX):
            return None
        entry = _entry(_key(focused.id))
        return None if entry.label in self.problems else (entry, settings(self.strategy)[entry.key])

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._change(_key(event.input.id), event.input.value.strip())  # not what it was: it may have been filled since

    @on(Choice.Changed)
    def _picked(self, event: Choice.Changed) -> None:
        event.stop()
        self._change(_key(event.select.id), str(event.select.value))

    def _change(self, key: str, text: str) -> None:
        entry = _entry(key)
        before = settings(self.strategy)
        if key not in before or text == _in_field(before[key]):
            self._say(entry, "")
            self.post_message(self.Changed())
            return
        try:
            strategy = with_value(self.strategy, key, entry.read(text))
        except UserError as error:
            self._say(entry, str(error))
            self.post_message(self.Changed())
            return
        self._say(entry, "")
        other_kind = settings(strategy).keys() != before.keys()
        self.strategy = strategy
        if other_kind:
            self._fill()
        self.post_message(self.Changed())

    def _say(self, entry: Entry, problem: str) -> None:
        self.problems.pop(entry.label, None)
        if problem:
            self.problems[entry.label] = problem
        self.fields[entry.key].say(problem.removesuffix(EXAMPLE))

    def _fill(self) -> None:
        """Shows the values; hides the lines that the strategy does not have."""
        values = settings(self.strategy)
        for entry in ENTRIES:
            field = self.fields[entry.key]
            field.display = entry.key in values
            self._say(entry, "")
            if entry.key not in values:
                continue
            control = field.control
            if isinstance(control, Input | Choice):
                with control.prevent(Input.Changed, Choice.Changed):
                    control.value = _in_field(values[entry.key])

    def _field(self, entry: Entry, values: Mapping[str, object]) -> Field:
        """The line of a parameter with the strategy's value: what a control first holds, it says has changed."""
        value = _in_field(values[entry.key]) if entry.key in values else ""
        is_of_schedule = entry.key.startswith("schedule.") and entry.key != "schedule.name"
        title = f"  {entry.label}" if is_of_schedule else entry.label
        id_ = self.PREFIX + entry.key.replace(".", "-")
        if entry.choices:
            return Field(title, Choice(list(entry.choices), value or entry.choices[0][1], id=id_), entry.hint)
        suggester = SuggestFromList(COMMON_BACKBONES) if entry.key == "backbone" else None
        placeholder = "backbone default" if entry.key == "image_size" else ""
        control = TextInput(value, compact=True, id=id_, suggester=suggester, placeholder=placeholder, max_length=80)
        wide = entry.key in ("backbone", "image_size", "optimizer.l2")
        return Field(title, control, entry.hint, classes="" if wide else "-short")


def _entry(key: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.key == key)


def _key(id_: str | None) -> str:
    name = (id_ or "").removeprefix(StrategyForm.PREFIX)
    return next(entry.key for entry in ENTRIES if entry.key.replace(".", "-") == name)
