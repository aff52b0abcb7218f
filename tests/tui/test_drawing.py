"""Charts are drawn for what has changed and can be seen, and for nothing else: draws are counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from engine.logs import events as ev
from engine.logs.events import AnyEvent, EpochFinished
from engine.states.replay import replay
from engine.states.state import MemoryPoint
from tests.tui import logs
from tests.tui.conftest import opened, text_of, until
from tui.app import TlTui
from tui.drawing import curves, plot
from tui.drawing.plot import Curves, are_drawn_alike, draw
from tui.drawing.theme import BLUE
from tui.widgets import chart
from tui.widgets.rows import Rows, changed_rows

Log = Callable[[list[AnyEvent]], Path]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of the charts that were drawn."""
    titles: list[str] = []

    def counted(shown: Curves, width: int, height: int) -> object:
        titles.append(shown.title)
        return draw(shown, width, height)

    monkeypatch.setattr(chart, "draw", counted)
    return titles


async def test_lines_do_not_wrap_so_that_each_stays_in_its_row() -> None:
    class Narrow(App[None]):
        def compose(self) -> ComposeResult:
            yield Rows(Text("a line that is far too long for so narrow a window\nthe second"))

    app = Narrow()
    async with app.run_test(size=(20, 4)) as pilot:
        await pilot.pause()
        lines = text_of(app).splitlines()
        assert lines[0].startswith("a line that")
        assert lines[1].startswith("the second")


async def heard(pilot: Pilot[None], app: TlTui, folder: Path, *events: AnyEvent) -> None:
    """Writes the events and waits until the app shows them."""
    last = app.state.elapsed + len(events)
    stamped = [
        msgspec.structs.replace(event, elapsed=app.state.elapsed + number) for number, event in enumerate(events, 1)
    ]
    logs.write(folder, stamped)
    await until(pilot, lambda: app.state.elapsed == last)


def sample(bytes_: int = 10**9) -> AnyEvent:
    return ev.MemorySampled(run="resnet18-finetune-0", memory=ev.Memory(bytes_, bytes_))


def progress(step: int) -> AnyEvent:
    return ev.Progress(run="resnet18-finetune-0", stage="training", step=step, steps=8, epoch=7, loss=0.3)


async def test_only_the_chart_whose_data_changed_is_drawn(app: TlTui, present: Log, drawn: list[str]) -> None:
    events = logs.events()
    folder = present(logs.until("EpochFinished", 6, events))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: set(drawn) == {"accuracy", "loss", "learning rate", "memory"})
        drawn.clear()
        await heard(pilot, app, folder, progress(2), progress(3))
        assert not drawn
        await heard(pilot, app, folder, sample())
        assert drawn == ["memory"]
        drawn.clear()
        seventh = next(event for event in events if isinstance(event, EpochFinished) and event.epoch == 7)
        await heard(pilot, app, folder, seventh)
        assert sorted(drawn) == ["accuracy", "learning rate", "loss"]


def test_of_many_samples_of_memory_not_each_is_worth_a_drawing() -> None:
    (_, made_of), point = curves.CHARTS[-1], MemoryPoint(1.0, ev.Memory(1, 1))
    run = replay(logs.events()).runs[0]
    made = [made_of(msgspec.structs.replace(run, status="running", memory=(point,) * count)) for count in range(300)]
    assert len(set(made[:50])) == 50
    assert len(set(made[100:])) < 70, "of 200"
    assert made_of(msgspec.structs.replace(run, status="finished", memory=(point,) * 299)) not in made
    more = MemoryPoint(300.0, ev.Memory(2**30, 2**30))
    assert made_of(msgspec.structs.replace(run, status="running", memory=(*(point,) * 298, more))) not in made, (
        "the legend tells of the latest, as the header does"
    )


def test_a_sample_of_memory_that_moves_no_dot_changes_the_legend_alone() -> None:
    run = msgspec.structs.replace(replay(logs.events()).runs[0], status="running")
    samples = tuple(MemoryPoint(float(number), ev.Memory(2**30, 2**30)) for number in range(200))
    more = MemoryPoint(200.0, ev.Memory(3 * 2**29, 2**31))
    one, other = (
        curves.memory(msgspec.structs.replace(run, memory=memory), BLUE) for memory in (samples, (*samples, more))
    )
    assert are_drawn_alike(one, other) and one != other
    assert other.series[0].value == "1.5 GiB, peak 2.0 GiB"
    over = curves.memory(msgspec.structs.replace(run, status="finished", memory=(*samples, more)), BLUE)
    assert over.series[0].points[-1] == (200.0, 3 * 2**29)


async def test_a_chart_that_cannot_be_seen_costs_nothing_until_it_can(
    app: TlTui, present: Log, drawn: list[str]
) -> None:
    folder = present(logs.until("EpochFinished", 6, logs.events()))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, folder)
        await until(pilot, lambda: bool(drawn))
        assert "memory" not in drawn
        await heard(pilot, app, folder, sample())
        assert "memory" not in drawn
        for _ in range(4):
            await pilot.press("c")
        assert "memory" in drawn
        await pilot.press("3")
        await until(pilot, lambda: app.current_mode == "compare")
        drawn.clear()
        await heard(pilot, app, folder, sample(2 * 10**9), progress(4))
        assert not drawn


def test_very_long_histories_are_thinned_before_they_are_plotted(monkeypatch: pytest.MonkeyPatch) -> None:
    events = logs.events(logs.two_strategies(2))
    one = next(event for event in events if isinstance(event, EpochFinished))
    many = [msgspec.structs.replace(one, epoch=number) for number in range(1, 10_001)]
    run = replay(many, replay(events[:1])).runs[0]
    run = msgspec.structs.replace(run, learning_rates=(0.1,) * 9_000 + (0.01,) * 1_000)
    assert len(run.epochs) == 10_000
    for of in (curves.accuracy, curves.loss):
        for series in of([run], BLUE).series:
            assert len(series.points) <= curves.MOST_EPOCHS + 1
            assert series.points[0][0] == 1 and series.points[-1][0] == 10_000
    rates = curves.learning_rate(run)
    assert sum(len(series.points) for series in rates.series) <= 2 * (curves.MOST_EPOCHS + 1)
    assert rates.series[0].points[-1] == (10_000.0, 0.01) and rates.x == (1.0, 10_000.0)
    plotted: list[int] = []
    real = plot.thinned
    monkeypatch.setattr(plot, "thinned", lambda *asked: plotted.append(len(real(*asked))) or real(*asked))
    draw(curves.accuracy([run], BLUE), 58, 8)
    assert len(plotted) == 2 and max(plotted) <= 2 * 58


async def test_what_is_sent_in_rows_looks_like_what_is_drawn_anew(app: TlTui, present: Log) -> None:
    events = logs.events()
    folder = present(logs.until("EpochFinished", 3, events))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, folder)
        before = text_of(app)
        for epoch in (4, 5, 6):
            finished = next(event for event in events if isinstance(event, EpochFinished) and event.epoch == epoch)
            await heard(pilot, app, folder, progress(epoch), sample(epoch * 10**8), finished)
            in_rows = text_of(app)
            app.screen.refresh(layout=True)
            for widget in app.screen.query("*"):
                widget.refresh()
            await pilot.pause()
            assert in_rows == text_of(app) != before
            before = in_rows


def test_only_the_rows_that_differ_count() -> None:
    before = Text.assemble("one\n", ("two", "bold"), "\nthree")
    assert changed_rows(before, before.copy()) == []
    assert changed_rows(before, Text.assemble("one\n", "two", "\nthree")) == [1]
    assert changed_rows(before, Text.assemble("ONE\n", ("two", "bold"), "\nthree ")) == [0, 2]
    assert changed_rows(before, Text("one\ntwo")) is None
