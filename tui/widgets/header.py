"""The two lines at the top of every mode: the experiment and the device, then the modes and when all is done."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Click, Resize
from textual.message import Message
from textual.widgets import Static

from engine.history.experiment_state import status
from engine.logs.events import Memory
from engine.states.state import ExperimentState
from engine.text import shown
from engine.units import size
from tui.drawing.theme import AMBER, BLUE, GREY, rgb
from tui.words.run_words import all_done, division

MODES = {"setup": "Setup", "live": "Live", "compare": "Compare", "runs": "Runs"}
"""The modes in the order of their keys, 1 to 4."""
IN_WORDS = ((40, 2), (40, 1), (24, 1), (12, 1), (24, 0))
"""How much is said of the data, the most that fits: characters of its name, and of its images and its classes both, the
first, or neither.
"""


class Tabs(Static):
    """The modes with their keys, the present one marked; a click goes to one."""

    class Chosen(Message):
        """A mode was clicked."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def on_click(self, event: Click) -> None:
        """Tells which mode was clicked."""
        end = 0
        for mode, name in MODES.items():
            begin, end = end, end + len(name) + 4
            if begin <= event.x < end:
                self.post_message(self.Chosen(mode))


class Header(Vertical):
    """The experiment, the device and the time of day, which is a widget of its own: a second costs a few cells."""

    DEFAULT_CSS = """
    Header { dock: top; height: 2; background: $panel; }
    Header > Horizontal { height: 1; padding: 0 1; }
    Header #experiment { width: 1fr; height: 1; }
    Header #clock { width: 8; height: 1; color: $text-muted; }
    Header Tabs { height: 1; }
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.experiment = Static(id="experiment", markup=False)
        self.clock = Static(id="clock", markup=False)
        self.tabs = Tabs(tabs(self.mode), markup=False)
        self._state = ExperimentState()

    def compose(self) -> ComposeResult:
        """Two lines."""
        with Horizontal():
            yield self.experiment
            yield self.clock
        yield self.tabs

    def show(self, state: ExperimentState) -> None:
        """Shows the experiment; draws nothing where nothing changed."""
        self._state = state
        line = first_line(state, max(20, self.experiment.size.width - 2))
        if line != self.experiment.content:
            self.experiment.update(line, layout=False)
        line = second_line(self.mode, state, max(20, self.tabs.size.width - 1))
        if line != self.tabs.content:
            self.tabs.update(line, layout=False)

    def show_time(self, time: str) -> None:
        """Shows the time of day, ``HH:MM:SS``."""
        if time != self.clock.content:
            self.clock.update(time, layout=False)

    def on_resize(self, event: Resize) -> None:
        """Fits the new width."""
        del event
        self.call_after_refresh(lambda: self.show(self._state))


def tabs(present: str) -> Text:
    """The modes with their keys."""
    text = Text(no_wrap=True)
    for number, (mode, name) in enumerate(MODES.items(), start=1):
        if mode == present:
            text.append(f" {number} {name} ", f"bold reverse {rgb(AMBER)}")
        else:
            text.append(f" {number} ", rgb(AMBER)).append(f"{name} ", rgb(GREY))
    return text


def second_line(mode: str, state: ExperimentState, width: int) -> Text:
    """The modes at the left, when all is done at the right, where that is known: there is room for both."""
    text, done = tabs(mode), all_done(state)
    return text.append(done.rjust(width - text.cell_len), rgb(GREY)) if done else text


def _experiment(state: ExperimentState, name: int, facts: int) -> Text:
    """Its data, in a name of at most ``name`` characters, and its status, as Runs tells it, which is never left out."""
    text = Text.assemble(("tl-tui", f"bold {rgb(BLUE)}"), no_wrap=True)
    if state.data is not None:
        known = (division(state), f"{len(state.data.classes):,} classes")[:facts]
        text.append("  ").append(shown(state.data.name, name), "bold")
        text.append("".join(f" · {fact}" for fact in known), rgb(GREY))
    if (now := status(state)) != "running":
        text.append(f" · {now}", rgb(GREY) if now == "finished" else f"bold {rgb(AMBER)}")
    return text


def first_line(state: ExperimentState, width: int) -> Text:
    """The experiment at the left, the device at the right where both fit in ``width`` cells."""
    left = Text()
    for name, facts in IN_WORDS:
        left = _experiment(state, name, facts)
        if left.cell_len <= width:
            break
    right = next((text for text in device_in_words(state) if left.cell_len + len(text) + 2 <= width), "")
    left.truncate(width, overflow="ellipsis")
    return left.append(" " * (width - left.cell_len - len(right))).append(right, rgb(GREY))


def device_in_words(state: ExperimentState) -> tuple[str, ...]:
    """The device and how much of its memory is in use, at length and short: ``NVIDIA H200 · 12.4 GiB of 139.0 GiB``."""
    if state.device is None:
        return ()
    name, torch_name = shown(state.device.hardware, 30), shown(state.device.torch_name, 20)
    memory = _latest_memory(state)
    if memory is None:
        return (name, torch_name)
    used, total = (memory.device_used, memory.device_total) if memory.device_used else (memory.rss, None)
    amount = f"{size(used)} of {size(total or state.device.memory)}"
    return f"{name} · {amount}", f"{torch_name} · {amount}", torch_name


def _latest_memory(state: ExperimentState) -> Memory | None:
    points = [run.memory[-1] for run in state.runs if run.memory]
    return max(points, key=lambda point: point.elapsed).memory if points else None
