"""Chooses the data: a path, and at once what is found there."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from engine.spec import DataSource
from engine.text import shown
from tui.widgets.data_summary import DEMO, DataFound, described, facts
from tui.widgets.field import Field
from tui.widgets.path_input import PathInput

PAUSE = 0.3
"""Seconds without a key before what was typed is looked at."""


class Scrollable(VerticalScroll):
    """Takes the focus only when there is something to scroll to."""

    def on_resize(self) -> None:
        """The size of the view changed."""
        self.call_after_refresh(self.settle)

    def settle(self) -> None:
        """Decides again whether the focus may come here."""
        self.can_focus = self.max_scroll_y > 0


class DataPicker(Vertical):
    """A path (and for a CSV what belongs to it) and a summary of what is there.

    ``found`` is None and ``problem`` is empty while the data are being looked at.
    """

    DEFAULT_CSS = """
    DataPicker { height: 1fr; }
    DataPicker Scrollable { height: 1fr; min-height: 2; scrollbar-size-vertical: 1; margin: 0 0 0 0; }
    DataPicker Static { padding: 0 1; width: 1fr; height: auto; }
    DataPicker .-problem { color: $text-error; }
    """

    class Changed(Message):
        """The data were looked at, or another path was typed."""

    def __init__(self, source: DataSource, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.first = source
        self.found: DataFound | None = None
        self.problem = ""
        self._pause: Timer | None = None
        self._looked: DataSource | None = None
        path = PathInput(source.path or "", placeholder="empty: the demo set", id="data-path")
        images = PathInput(source.images or "", placeholder="the CSV's own folder", id="data-images")
        validation = PathInput(source.validation or "", placeholder="none", id="data-validation")
        self.path, self.images, self.validation = path, images, validation
        self.csv_fields = (
            Field("images in", images, classes="-wide"),
            Field("second CSV", validation, classes="-wide"),
        )
        self.summary = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The path, what belongs to a CSV, and the summary."""
        yield Field("path", self.path, classes="-wide")
        yield from self.csv_fields
        with Scrollable():
            yield self.summary

    def on_mount(self) -> None:
        """The data that were named at the start are looked at when the screen asks for it: that loads much."""
        self._show_csv_fields()
        self.summary.update(Text("looking …", "dim"))

    @property
    def source(self) -> DataSource:
        """What is typed, as a data source; how to split is as it was given at the start."""
        path = self.path.value.strip()
        is_csv = path.lower().endswith(".csv")
        return DataSource(
            path=_expanded(path),
            validation=_expanded(self.validation.value) if is_csv else None,
            images=_expanded(self.images.value) if is_csv else None,
            val_fraction=self.first.val_fraction,
            split_seed=self.first.split_seed,
        )

    def put(self, path: Path) -> None:
        """Chooses a path, as if it were typed."""
        self.path.value = str(path)
        self.path.cursor_position = len(self.path.value)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_csv_fields()
        if self.source == self._looked:
            return
        self._forget()
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self.look)

    def _forget(self) -> None:
        self._looked = None
        self.found, self.problem = None, ""
        self.post_message(self.Changed())

    def _show_csv_fields(self) -> None:
        is_csv = self.path.value.strip().lower().endswith(".csv")
        for field in self.csv_fields:
            field.display = is_csv

    def look(self) -> None:
        """Looks at what is typed now, in a thread."""
        source = self.source
        self._looked = source
        if source.path is None and source.validation is None:
            self.summary.update(Text(f"{DEMO}\nlooking …", "dim"))
        else:
            self.summary.update(Text("looking …", "dim"))
        self._discover(source)

    @work(thread=True, exclusive=True, group="discover", exit_on_error=False)
    def _discover(self, source: DataSource) -> None:
        found, problem = _looked_at(source)
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._show, source, found, problem)

    def _show(self, source: DataSource, found: DataFound | None, problem: str) -> None:
        if source != self.source:
            return
        self.found, self.problem = found, problem
        self._draw()
        self.post_message(self.Changed())

    def on_resize(self, event: Resize) -> None:
        """The summary is laid out by width."""
        del event
        self._draw()

    def _draw(self) -> None:
        if self.found is None and not self.problem:
            return
        self.summary.set_class(bool(self.problem), "-problem")
        if self.found is not None:
            self.summary.update(described(self.found, max(20, self.size.width - 4)))
        else:
            self.summary.update(Text(shown(self.problem)))
        self.call_after_refresh(self.query_one(Scrollable).settle)


def _looked_at(source: DataSource) -> tuple[DataFound | None, str]:
    # Imported here because only this thread needs it, and the first paint must not wait for it.
    from engine.data.discover import DataError, discover  # noqa: PLC0415

    try:
        return facts(discover(source)), ""
    except (DataError, OSError) as error:
        return None, str(error)


def _expanded(text: str) -> str | None:
    text = text.strip()
    if not text:
        return None
    try:
        return str(Path(text).expanduser())
    except RuntimeError:  # ~somebody whom nobody knows
        return text
