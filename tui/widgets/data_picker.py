"""Chooses the data: a path, and at once what is found there."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import DescendantBlur, Resize
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from engine.progress import WorkDone
from engine.specs.spec import DataSource
from engine.text import shown
from tui.widgets.field import FIELD_KEYS, Field
from tui.widgets.path_input import PathInput, unquoted, with_slash
from tui.words.data_summary import DEMO, DataFound, described, may_be_tested
from tui.words.soundness import MOST_AT_ONCE, alarms
from tui.work.latest import Latest
from tui.work.looking_at_data import checked, looked_at

if TYPE_CHECKING:
    from engine.data.check import DataReport
    from engine.data.duplicates import Pair

TEST_SHARE = 0.2
"""Of the images, those that are set apart for a test where a person gives no other share."""
PAUSE = 0.3
"""Seconds without a key before what was typed is looked at."""


class _DataPath(PathInput):
    """From it, what was found below it is scrolled: that is no field, so Tab does not stop there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "pageup", "page(-1)", show=False, id="setup.page-up", tooltip="in the path field: scroll the findings up"
        ),
        Binding(
            "pagedown",
            "page(1)",
            show=False,
            id="setup.page-down",
            tooltip="in the path field: scroll the findings down",
        ),
    ]

    class Paged(Message):
        """Scroll the findings by a page."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def action_page(self, pages: int) -> None:
        """Asks for another page."""
        self.post_message(self.Paged(pages))


class DataPicker(Vertical):
    """A path (and for a CSV what belongs to it) and a summary of what is there.

    ``found`` is None and ``problem`` is empty while the data are being looked at. Images are looked at after that, in
    a thread of its own: of a large data set only when a person asks for it, and not while something trains.
    """

    DEFAULT_CSS = """
    DataPicker { height: 1fr; }
    DataPicker VerticalScroll { height: 1fr; min-height: 2; scrollbar-size-vertical: 1; }
    DataPicker Static { padding: 0 1; width: 1fr; height: auto; }
    DataPicker .-problem { color: $text-error; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [*FIELD_KEYS]

    class Changed(Message):
        """The data were looked at, or another path was typed."""

    def __init__(self, source: DataSource, *, id: str = "") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id or None)
        self.first = source
        self._test_share = source.test_fraction or TEST_SHARE
        self.found: DataFound | None = None
        self.problem = ""
        self._pause: Timer | None = None
        self._by_slash = False  # whether that key led to the path: a person may mean it as the path's first character
        self._looked: DataSource | None = None
        self._checking: WorkDone | None = None
        self._unseen: DataSource | None = None  # whose images could not be looked at
        self._looking = Latest(looked_at, "looking")
        path = _DataPath(source.path or "", placeholder="empty: demo set", id="data-path")
        images = PathInput(source.images or "", placeholder="the CSV's folder", id="data-images")
        validation = PathInput(source.validation or "", placeholder="none", id="data-validation")
        self.path, self.images, self.validation = path, images, validation
        self.csv_fields = (
            Field("images in", images, classes="-wide"),
            Field("second CSV", validation, classes="-wide"),
        )
        self.summary = Static(markup=False)
        self.view = VerticalScroll(self.summary, can_focus=False)

    def compose(self) -> ComposeResult:
        """The path, what belongs to a CSV, and the summary."""
        yield Field("path", self.path, classes="-wide")
        yield from self.csv_fields
        yield self.view

    def on_mount(self) -> None:
        """The data that were named at the start are looked at when the screen asks for it: that loads much."""
        self._show_csv_fields()
        self.summary.update(Text("reading …", "dim"))

    def on_unmount(self) -> None:
        """Ends the thread that reads the data."""
        self._looking.end()

    @property
    def source(self) -> DataSource:
        """What is typed, as a data source."""
        return source_of(self.first, self.path.value, self.validation.value, self.images.value)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Where something is typed."""
        return self.path, self.images, self.validation

    @property
    def is_looking(self) -> bool:
        """Whether the typed data are still being read."""
        return self.found is None and not self.problem

    @property
    def may_be_grouped(self) -> bool:
        """Whether groups are known, so that the split can keep them whole."""
        return self.found is not None and bool(self.found.report.groups)

    @property
    def may_be_tested(self) -> bool:
        """Whether images can be set apart for a test, or are."""
        return self.found is not None and may_be_tested(self.found, self.source)

    @property
    def proposed(self) -> dict[str, str]:
        """How to group, as a column of the CSV or the names of images suggest; empty where they suggest nothing."""
        if self.found is None:
            return {}
        if (proposal := self.found.report.proposal) is not None:
            return {"group_pattern": proposal.pattern}
        return {"group": self.found.column} if self.found.column else {}

    @property
    def may_be_checked(self) -> bool:
        """Whether the images have not been checked yet."""
        return self.found is not None and self.found.report.duplicates is None and self._checking is None

    @property
    def alarms(self) -> int:
        """How many alarms there are: findings that make results false."""
        return 0 if self.found is None else alarms(self.found.report)

    @property
    def copies(self) -> tuple[Pair, ...]:
        """The pairs of images that are the same or nearly, the gravest first; none before they were looked for."""
        if self.found is None or (duplicates := self.found.report.duplicates) is None:
            return ()
        pairs = (*duplicates.exact, *duplicates.near)
        return tuple(sorted(pairs, key=lambda pair: (not pair.conflict, not pair.across, not pair.exact)))

    def turn_split(self) -> None:
        """From the given split to one with groups whole, and back."""
        self._divide(split="given" if self.source.split == "grouped" else "grouped")

    def take_proposed(self) -> None:
        """Takes what is suggested as groups."""
        self._divide(**self.proposed)

    def turn_test(self) -> None:
        """Sets images apart for a test, a fifth unless another share was given at first, and back."""
        self._divide(test_fraction=self._test_share if self.source.test_fraction is None else None)

    def _divide(self, **values: str | float | None) -> None:
        self.first = replace(self.source, **values)
        self._forget()
        self.look()

    def take_focus(self) -> None:
        """The cursor is in the path, all of it selected; at once, for a key that arrived together with this one."""
        self.screen.set_focus(self.path)
        self.path.select_all()
        self._by_slash = True

    @on(DescendantBlur)
    def _left(self) -> None:
        self._by_slash = False

    @on(_DataPath.Paged)
    def _page(self, event: _DataPath.Paged) -> None:
        self.view.scroll_relative(y=event.pages * max(1, self.view.size.height - 1), animate=False)

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
        self.stop_checking()
        self._looked = None
        self.found, self.problem = None, ""
        self.post_message(self.Changed())

    def _show_csv_fields(self) -> None:
        is_csv = unquoted(self.path.value).lower().endswith(".csv")
        for field in self.csv_fields:
            field.display = is_csv

    def look_now(self) -> None:
        """Looks at what is typed without waiting for a pause, unless that is looked at already."""
        if self.source != self._looked:
            self.look()

    def look(self) -> None:
        """Looks at what is typed now, in a thread."""
        if self._pause is not None:
            self._pause.stop()
        source = self.source
        self._looked = source
        if source.path is None and source.validation is None:
            self.summary.update(Text(f"{DEMO}\nreading …", "dim"))
        else:
            self.summary.update(Text("reading …", "dim"))
        self._discover(source, self.path.value if self._by_slash else "")

    @work(exclusive=True, group="discover", exit_on_error=False)
    async def _discover(self, source: DataSource, typed: str) -> None:
        """``typed``: the path, if the slash that led to it may be its first character."""
        meant = await asyncio.to_thread(with_slash, typed)
        if meant != typed == self.path.value:
            self.put(Path(meant))
            source = self._looked = self.source
        found, problem = await self._looking.answer(source)
        self._show(source, found, problem)

    def _show(self, source: DataSource, found: DataFound | None, problem: str) -> None:
        if source != self.source:
            return
        self.found, self.problem = found, problem
        self._draw()
        self.post_message(self.Changed())

    def check_images(self, *, asked: bool = False) -> None:
        """Looks for images that are there twice; unless it was ``asked`` for, only where there are not too many."""
        if self.found is None or not self.may_be_checked:
            return
        count = sum(self.found.images.values())
        if asked or (count <= MOST_AT_ONCE and self._unseen != self.source):
            self._checking = WorkDone("reading images")
            self._draw()
            self._check(self.source)

    def stop_checking(self) -> None:
        """Leaves the images alone, since the data are others now, or something is to train."""
        self.workers.cancel_group(self, "check")
        self._checking = None
        self._draw()

    @work(thread=True, exclusive=True, group="check", exit_on_error=False)
    def _check(self, source: DataSource) -> None:
        worker = get_current_worker()
        with closing(checked(source)) as steps:
            for now in steps:
                if worker.is_cancelled:
                    return
                self.app.call_from_thread(self._show_check, source, now)

    def _show_check(self, source: DataSource, now: WorkDone | DataReport | str) -> None:
        if source != self.source or self.found is None or self._checking is None:
            return
        if isinstance(now, WorkDone):
            self._checking = now
        elif isinstance(now, str):  # the experiment can start all the same
            self._checking, self._unseen = None, source
            self.notify(shown(now), title="The images were not checked", severity="warning")
        else:
            self._checking = None
            self.found = replace(self.found, report=now)
            self.post_message(self.Changed())
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """The summary is laid out by width."""
        del event
        self._draw()

    def _draw(self) -> None:
        if self.found is None and not self.problem:
            return
        self.summary.set_class(bool(self.problem), "-problem")
        if self.found is not None:
            width = max(20, self.size.width - 4)
            self.summary.update(described(self.found, width, source=self.source, checking=self._checking))
        else:
            self.summary.update(Text(shown(self.problem)))


def source_of(first: DataSource, path: str, validation: str, images: str) -> DataSource:
    """What was given ``first``, with what is typed now; how to group and to split belong to the path they came with."""
    is_csv = unquoted(path).lower().endswith(".csv")
    if _expanded(path) != _expanded(first.path or ""):
        first = replace(first, group=None, group_pattern=None, split="given")
    return replace(
        first,
        path=_expanded(path),
        validation=_expanded(validation) if is_csv else None,
        images=_expanded(images) if is_csv else None,
    )


def _expanded(text: str) -> str | None:
    text = unquoted(text)
    if not text:
        return None
    try:
        return str(Path(text).expanduser())
    except (RuntimeError, ValueError):  # ~somebody whom nobody knows; a null character
        return text
