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
from tui.widgets.field import FIELD_KEYS, Field, Menu
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


class Parameter(NamedTuple):
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


PARAMETERS = (
    Parameter("backbone", _model),
    Parameter("trains", str, choices=tuple((words, value) for value, words in TRAINS.items())),
    Parameter("head", str, choices=_same("random", "probe")),
    Parameter("layer_decay", _number, "× per stage"),
    Parameter("epochs", _whole),
    Parameter("batch_size", _whole, "images"),
    Parameter("image_size", _whole_or_none, "px"),
    Parameter("optimizer.name", str, choices=_same(*CHOICES["optimizer.name"])),
    Parameter("optimizer.lr", _number),
    Parameter("optimizer.momentum", _number),
    Parameter("optimizer.weight_decay", _number),
    Parameter("optimizer.l2", _numbers),
    Parameter("optimizer.folds", _whole, "to choose L2"),
    Parameter("schedule.name", str, choices=_same(*CHOICES["schedule.name"])),
    Parameter("schedule.step_size", _whole, "epochs"),
    Parameter("schedule.gamma", _number, "factor"),
    Parameter("schedule.eta_min", _number),
    Parameter("augmentation.crop_area", _number, "1 = no crop"),
    Parameter("augmentation.flip", lambda text: text == "yes", choices=_same("yes", "no")),
    Parameter("augmentation.views", _whole, "1 = fixed"),
    Parameter("class_weights", str, choices=_same(*CHOICES["class_weights"])),
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
        self.fields = {parameter.key: self._field(parameter, values) for parameter in PARAMETERS}
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
    def at_cursor(self) -> tuple[Parameter, object] | None:
        """The parameter that the cursor is in, and its value; None while what is typed there is none."""
        focused = self.screen.focused
        if focused is None or not (focused.id or "").startswith(self.PREFIX):
            return None
        parameter = _parameter(_key(focused.id))
        return None if parameter.label in self.problems else (parameter, settings(self.strategy)[parameter.key])

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._change(_key(event.input.id), event.input.value.strip())  # not what it was: it may have been filled since

    @on(Menu.Changed)
    def _picked(self, event: Menu.Changed) -> None:
        event.stop()
        self._change(_key(event.select.id), str(event.select.value))

    def _change(self, key: str, text: str) -> None:
        parameter = _parameter(key)
        before = settings(self.strategy)
        if key not in before or text == _in_field(before[key]):
            self._say(parameter, "")
            self.post_message(self.Changed())
            return
        try:
            strategy = with_value(self.strategy, key, parameter.read(text))
        except UserError as error:
            self._say(parameter, str(error))
            self.post_message(self.Changed())
            return
        self._say(parameter, "")
        other_kind = settings(strategy).keys() != before.keys()
        self.strategy = strategy
        if other_kind:
            self._fill()
        self.post_message(self.Changed())

    def _say(self, parameter: Parameter, problem: str) -> None:
        self.problems.pop(parameter.label, None)
        if problem:
            self.problems[parameter.label] = problem
        self.fields[parameter.key].say(problem.removesuffix(EXAMPLE))

    def _fill(self) -> None:
        """Shows the values; hides the lines that the strategy does not have."""
        values = settings(self.strategy)
        for parameter in PARAMETERS:
            field = self.fields[parameter.key]
            field.display = parameter.key in values
            self._say(parameter, "")
            if parameter.key not in values:
                continue
            control = field.control
            if isinstance(control, Input | Menu):
                with control.prevent(Input.Changed, Menu.Changed):
                    control.value = _in_field(values[parameter.key])

    def _field(self, parameter: Parameter, values: Mapping[str, object]) -> Field:
        """The line of a parameter with the strategy's value: what a control first holds, it says has changed."""
        value = _in_field(values[parameter.key]) if parameter.key in values else ""
        is_of_schedule = parameter.key.startswith("schedule.") and parameter.key != "schedule.name"
        title = f"  {parameter.label}" if is_of_schedule else parameter.label
        id_ = self.PREFIX + parameter.key.replace(".", "-")
        if parameter.choices:
            return Field(title, Menu(list(parameter.choices), value or parameter.choices[0][1], id=id_), parameter.hint)
        suggester = SuggestFromList(COMMON_BACKBONES) if parameter.key == "backbone" else None
        placeholder = "backbone default" if parameter.key == "image_size" else ""
        control = TextInput(value, compact=True, id=id_, suggester=suggester, placeholder=placeholder, max_length=80)
        wide = parameter.key in ("backbone", "image_size", "optimizer.l2")
        return Field(title, control, parameter.hint, classes="" if wide else "-short")


def _parameter(key: str) -> Parameter:
    return next(parameter for parameter in PARAMETERS if parameter.key == key)


def _key(id_: str | None) -> str:
    name = (id_ or "").removeprefix(StrategyForm.PREFIX)
    return next(parameter.key for parameter in PARAMETERS if parameter.key.replace(".", "-") == name)
