"""What `tl-tui run` prints while it runs: a bar on a terminal, and lines that are never far apart elsewhere."""

from __future__ import annotations

import errno
import io
import threading
import tracemalloc
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from rich.console import Console

from engine.hosts.thread import ThreadHost
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.folder import EVENTS
from engine.specs.presets import named, presets
from engine.states.replay import replay
from engine.states.state import ExperimentState
from tests.tui import logs
from tui.commands.run import SILENT_SECONDS, Display, _display, _follow, _shown, lines
from tui.naming import called

SLOWER = 40
"""How many times slower than the made-up log: a stage then takes minutes."""


def slow(some: list[AnyEvent]) -> list[AnyEvent]:
    """The events with more time between them, and the memory once a second as in every log."""
    found: list[AnyEvent] = []
    for event in some:
        before, now = (found[-1].elapsed if found else 0.0), event.elapsed * SLOWER
        run = getattr(event, "run", "")
        memory = logs._memory(0, False, False)
        found += [ev.MemorySampled(run=run, memory=memory, elapsed=at) for at in range(int(before) + 1, int(now) + 1)]
        found.append(msgspec.structs.replace(event, elapsed=now))
    return found


def test_a_log_file_is_never_silent_for_long() -> None:
    file = io.StringIO()
    display = Display(Console(file=file, width=200), None)
    state, printed = ExperimentState(), [0.0]
    for event in slow(logs.events()):
        size = len(file.getvalue())
        state = replay([event], state)
        display.show(event, state)
        if len(file.getvalue()) > size:
            printed.append(event.elapsed)
    gaps = [after - before for before, after in pairwise(printed)]
    assert max(gaps) <= SILENT_SECONDS + 1
    said = file.getvalue()
    for line in (
        "image 120/397 · 310 images/s",
        "mobilenetv3-extract-0 · extracting features (every image once) · image 250/397 · 280 images/s · 0:01 left",
        "resnet18-finetune-0 · training · epoch 2/12 · step 3/8 · 91 images/s · ETA ",
        "resnet18-finetune-0 · epoch 2/12 · train ",
    ):
        assert line in said, line
    assert "\x1b" not in said


def test_a_log_that_cannot_be_read_for_a_while_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network's disk; what was there before is not printed again."""
    logs.write(tmp_path, logs.events())
    known = len(logs.until("RunStarted", 1, logs.events()))
    host = SimpleNamespace(
        folder=tmp_path, earlier_events=known, problem="", is_alive=iter([*[True] * 5, False]).__next__
    )
    real, left = Path.open, [OSError(errno.ESTALE, "Stale file handle")] * 3

    def opened(self: Path, *arguments: Any, **named: Any) -> Any:
        if self.name == EVENTS and left:
            raise left.pop()
        return real(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", opened)
    file = io.StringIO()
    state = _follow(cast(ThreadHost, host), Display(Console(file=file, width=200), None), threading.Event())
    assert state.end == "finished"
    said = file.getvalue()
    assert "resnet18-finetune-0 · epoch 1/12" in said
    assert "244 train" not in said


def test_what_earlier_processes_wrote_is_not_held_in_memory(tmp_path: Path) -> None:
    """Of a day that is 86,400 samples of memory."""
    begun = logs.until("RunStarted", 1, logs.events())
    sampled = ev.MemorySampled(run="resnet18-finetune-0", memory=logs._memory(0, False, False))
    known = [*begun, *[sampled] * 40_000]
    logs.write(tmp_path, [*known, *logs.events()[len(begun) :]])
    alive = iter([True, False]).__next__
    host = SimpleNamespace(folder=tmp_path, earlier_events=len(known), problem="", is_alive=alive)
    file = io.StringIO()
    display = Display(Console(file=file, width=200), None)
    tracemalloc.start()
    try:
        state = _follow(cast(ThreadHost, host), display, threading.Event())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert state.end == "finished" and peak < 6e6, peak
    assert "resnet18-finetune-0 · epoch 1/12" in file.getvalue() and "244 train" not in file.getvalue()


@pytest.mark.parametrize(("name", "rate"), [("resnet18-finetune", "lr 0.01 · "), ("resnet18-probe", "")])
def test_an_epoch_is_one_line(name: str, rate: str) -> None:
    strategy = named(name, presets())
    epoch = ev.EpochFinished(
        run=f"{name}-0",
        epoch=2,
        train=ev.Metrics(accuracy=0.525, loss=0.688, images=40),
        val=ev.Metrics(accuracy=1.0, loss=0.5, images=8),
        learning_rate=0.01,
        seconds=6.0,
        train_seconds=5.0,
        images_per_second=20.0,
        memory=logs._memory(0, False, False),
        is_best=True,
    )
    state = SimpleNamespace(run=lambda _: SimpleNamespace(strategy=strategy))
    said = [line.plain for line in lines(epoch, cast(ExperimentState, state))]
    measured = "train 52.5 % loss 0.688 · val 100.0 % loss 0.500 · best"
    assert said == [f"{name}-0 · epoch 2/{strategy.epochs} · {measured} · {rate}6.0 s · 20 images/s"]


def test_what_is_quick_adds_no_lines() -> None:
    file = io.StringIO()
    display = Display(Console(file=file, width=200), None)
    state = ExperimentState()
    for event in logs.events():
        state = replay([event], state)
        display.show(event, state)
    lines = file.getvalue().splitlines()
    assert len(lines) == 1 + 1 + 1 + 2 * (1 + 12 + 1)  # data, a warning and how many were left out, of each run its own


def test_what_was_foretold_is_the_second_line() -> None:
    started = logs.events()[0]
    assert isinstance(started, ev.ExperimentStarted)

    def said(*known: str, decodes: bool = False) -> list[str]:
        forecast = ev.Forecast(dict.fromkeys(known, 130.0), decodes)
        event = msgspec.structs.replace(started, forecast=forecast)
        return [line.plain for line in lines(event, replay([event]))][1:]

    assert said() == said(decodes=True) == []
    assert said("resnet18-finetune") == ["2 runs · at least 2 min · no comparable earlier runs of mobilenetv3-extract"]
    assert said("resnet18-finetune", "mobilenetv3-extract") == ["2 runs · about 4 min · based on earlier runs"]
    [line] = said("resnet18-finetune", "mobilenetv3-extract", decodes=True)
    assert line == "2 runs · about 4 min after decoding · based on earlier runs"


def test_where_images_are_is_one_line_unless_it_is_memory() -> None:
    for kept, expected in (("in memory", ""), ("in a memory-mapped file", "images in a memory-mapped file\n")):
        file = io.StringIO()
        events = logs.until("ExperimentStarted", 1, logs.events())
        decoded = ev.DataDecoded(train=244, val=153, left_out=0, kept=kept)
        Display(Console(file=file, width=200), None).show(decoded, replay([*events, decoded]))
        assert file.getvalue() == expected


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_the_bar_tells_the_stage(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    paper = Console(file=io.StringIO(), width=width, color_system=None)
    state, events = ExperimentState(), slow(logs.events())
    bars: list[str] = []
    done: list[tuple[float, float | None]] = []
    with _display(console) as display:
        assert display.progress is not None
        for event in events:
            state = replay([event], state)
            display.show(event, state)
            with paper.capture() as capture:
                paper.print(display.progress.get_renderable())
            bars.append(capture.get().splitlines()[0].rstrip())
            (task,) = display.progress.tasks
            done.append((task.completed, task.total))
    assert max(map(len, bars)) <= width

    def some(*parts: str) -> bool:
        return any(all(part in bar for part in parts) for bar in bars)

    assert some("image 120/397", "310 images/s")
    assert some("extracting features", "━", "image 250/397 · 280 images/s · 0:01 left")
    assert some("training · epoch 4/12", "━", "step 6/8 · 91 images/s · ETA ")
    assert some("resnet18-finetune-0 · finding weights")
    ended = [number for number, event in enumerate(events) if isinstance(event, ev.EpochFinished)][:12]
    assert bars[ended[0]].startswith("training · epoch 2/12 ━━━━━━━━━━ ETA ")
    assert bars[ended[-1]] == "resnet18-finetune-0 · epoch 12/12 ━━━━━━━━━━"
    assert {done[number] for number in ended} == {(0, None)}, "nothing of the next epoch, of which nothing is known"


@pytest.mark.parametrize("epochs", [0, 1])
def test_what_was_interrupted_before_it_had_a_result_is_told_without_a_table(
    epochs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = logs.until("EpochFinished", 1, logs.events()) if epochs else logs.until("RunStarted", 1, logs.events())
    folder = logs.write(tmp_path / "ants-bees", [*begun, ev.CommandApplied(action="suspend", time=logs.BEGAN)])
    host = SimpleNamespace(folder=folder, earlier_events=0, problem="", failure=None, is_alive=lambda: False)
    assert _shown(cast(ThreadHost, host), as_json=False) == 130
    said = capsys.readouterr().out
    assert f"It is unfinished; `tl-tui resume {called(folder)}`" in said
    assert ("validation accuracy" in said) == bool(epochs)
    assert ("No run has a result yet." in said) != bool(epochs)
