"""An experiment without the app: Rich progress on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from time import sleep

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.errors import UserError
from engine.export.to_json import json_text, to_json
from engine.hosts import thread
from engine.hosts.process import NotBegunError, detach
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.folder import ENGINE_LOG
from engine.logs.log import event_reader, send_command
from engine.specs.spec import Experiment
from engine.states.replay import replay
from engine.states.state import ExperimentState, RunState, StageProgress, as_left
from engine.text import counted, shown, visible
from engine.units import duration, percent, size, speed
from tui.drawing.tables import comparison_table
from tui.naming import called, how_to_go_on
from tui.terminal.lost_terminal import output_may_end
from tui.terminal.signals import asked_to_end
from tui.words.forecast import how_long, on_what_ground
from tui.words.run_words import STAGES, detail, division, doing, epoch, going_on, kept, measured, time

POLL_SECONDS = 0.1
BAR_WIDTH = 10
SILENT_SECONDS = 30.0
"""In a log file: after so long without a line, one says what goes on."""


@output_may_end()
def run_headless(experiment: Experiment, out: Path, *, as_json: bool, note: str = "") -> int:
    """Runs the experiment, noted as ``note``, and prints what happens, then the comparison; returns the exit status.

    Raises ``UserError`` where the input is unusable. A first Ctrl-C or SIGTERM saves where it stands and ends, a second
    one ends at once. Goes on in silence where the terminal goes away, or who reads the output.
    """
    return _shown(thread.start(experiment, out, note=note), as_json=as_json)


@output_may_end()
def resume_headless(folder: Path, *, force: bool, as_json: bool) -> int:
    """Goes on with what is left of the experiment in a folder, paused or not, as :func:`run_headless` does.

    Raises what :func:`engine.hosts.thread.resume` does.
    """
    host = thread.resume(folder, force=force)
    host.ask("resume")
    return _shown(host, as_json=as_json)


def start_detached(experiment: Experiment, out: Path, *, as_json: bool, note: str = "") -> int:
    """Starts the experiment, noted as ``note``, in a process of its own session and prints its name."""
    folder = thread.create(experiment, out, note)
    return detach_headless(folder, force=False, as_json=as_json)


def detach_headless(folder: Path, *, force: bool, as_json: bool) -> int:
    """Goes on with the experiment in a process of its own session, and prints its name, or an object, on stdout."""
    try:
        process = detach(folder, force=force)
    except NotBegunError as error:
        raise UserError(f"{folder.name} could not be started: {error}") from None
    found = {"experiment": folder.name, "folder": str(folder.resolve()), "process": process}
    sys.stdout.write(json_text(found) if as_json else f"{visible(folder.name)}\n")
    sys.stderr.write(f"process {process}; `tl-tui attach {called(folder)}` opens it\n")
    return 0


def resume_detached(folder: Path, *, force: bool, as_json: bool) -> int:
    """Goes on with what is left of the experiment, paused or not, as :func:`detach_headless` does."""
    status = detach_headless(folder, force=force, as_json=as_json)
    send_command(folder, "resume")
    return status


def _shown(host: thread.ThreadHost, *, as_json: bool) -> int:
    """Prints what happens in an experiment, then the comparison; returns the exit status."""
    console = Console(stderr=as_json, highlight=False, soft_wrap=not sys.stdout.isatty())
    with _interruptible(host) as ending, _display(console) as display:
        state = _follow(host, display, ending)
    if isinstance(host.failure, UserError):
        raise host.failure
    if host.failure is not None:
        console.print(Text.assemble(("The experiment could not continue:", "red"), f" {shown(host.error, 400)}"))
        log = host.folder / ENGINE_LOG
        if log.is_file() and log.stat().st_size:  # it lies on the same disk, which may be full
            console.print(Text(f"The full traceback is in {shown(str(log), 1000)}"))
        console.print(Text(f"Once that is fixed, `tl-tui resume {called(host.folder)}` continues it."))
        return 1
    comparison = compare([Source(as_left(state), host.folder)])
    console.print()
    if state.suspended and not any(run.epochs for run in state.runs):
        console.print(Text("No run has a result yet."))
    else:
        console.print(comparison_table(comparison))
        console.print(Text(f"\n{shown(str(host.folder), 1000)}"))
    if as_json:
        sys.stdout.write(to_json(comparison))
    if said := how_to_go_on(state, host.folder):
        console.print(Text(said))
    if state.end == "stopped" or state.suspended:
        return 130
    return 0 if state.end == "finished" and all(run.status != "failed" for run in state.runs) else 1


class Display:
    """Prints events as they come; what goes on now is a bar on a terminal, elsewhere a line where long nothing came."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self.console = console
        self.progress = progress
        self.task: TaskID | None = progress.add_task("starting", total=None, said="") if progress else None
        self.printed = 0.0

    def show(self, event: AnyEvent, state: ExperimentState) -> None:
        """Prints the lines that belong to an event, and shows what goes on."""
        for line in lines(event, state):
            self.console.print(line)
            self.printed = event.elapsed
        if self.progress is not None and self.task is not None:
            self._move(self.progress, self.task, event, state)
        elif event.elapsed - self.printed >= SILENT_SECONDS and (now := going_on(state)):
            self.console.print(Text(now))
            self.printed = event.elapsed

    def _move(self, bar: Progress, task: TaskID, event: AnyEvent, state: ExperimentState) -> None:
        run = state.current
        now = run.progress if run is not None else state.stage
        if isinstance(event, ev.StageChanged | ev.EpochFinished):
            _begin(bar, task, _title(now, run))
        elif not isinstance(event, ev.Progress | ev.MemorySampled):
            return
        if now is None:
            return
        parts = measured(now, state)
        if run is not None:
            parts += [time(run, state), detail(now)]
        bar.update(task, completed=now.step, total=now.steps or None, said=" · ".join(filter(None, parts)))


def _begin(bar: Progress, task: TaskID, title: str) -> None:
    """Begins anew; how much there is to do is not known."""
    bar.reset(task, description=title, said="")
    next(one for one in bar.tasks if one.id == task).total = None


def _title(stage: StageProgress | None, run: RunState | None) -> str:
    """What stands before the bar; the run's name only until a line above says it, and after its last epoch."""
    if run is None:
        return "" if stage is None else doing(stage)
    if stage is None:
        return f"{shown(run.run)} · {epoch(run)}"
    if run.started is None:
        return f"{shown(run.run)} · {STAGES[stage.stage]}"
    return f"{STAGES[stage.stage]} · {epoch(run)}" if stage.stage in ("training", "validating") else STAGES[stage.stage]


def lines(event: AnyEvent, state: ExperimentState) -> Iterator[Text]:
    """What is printed when this happens."""
    match event:
        case ev.ExperimentStarted(data=data, device=device, spec=spec, forecast=forecast):
            counts = f"{division(state)} · {len(data.classes)} classes"
            where = f"{shown(device.hardware)} ({size(device.memory)})"
            yield Text.assemble((shown(data.name), "bold"), f" · {counts} · {where}")
            names = [strategy.name for strategy in spec.strategies]
            if time_it_takes := how_long(forecast, names):
                runs = counted(len(state.runs), "run", "runs")
                yield Text(f"{runs} · {time_it_takes} · {on_what_ground(forecast, names)}")
        case ev.DataDecoded(left_out=left_out):
            if left_out:
                yield Text(f"images left out because they could not be read: {left_out}", "yellow")
            if where := kept(state):
                yield Text(where)
        case ev.Warned(message=message):
            yield Text.assemble(("warning:", "yellow"), f" {shown(message, 400)}")
        case ev.ExperimentResumed():
            yield Text.assemble((shown(state.name), "bold"), " resumed")
        case ev.RunStarted(run=run, parameters_trainable=trainable, precision=precision, weights=weights):
            facts = f" · {trainable:,} parameters train · {shown(precision)} · {shown(weights)}"
            yield Text.assemble((shown(run), "bold"), facts)
            if event.step or event.epoch > 1:
                yield Text(
                    f"{shown(run)} · resumes in epoch {event.epoch} after {counted(event.step, 'step', 'steps')}"
                )
        case ev.EpochFinished(run=run, epoch=number, train=train, val=val, learning_rate=rate):
            strategy = state.run(run).strategy
            yield Text.assemble(
                f"{shown(run)} · epoch {number}/{strategy.epochs} · "
                f"train {percent(train.accuracy)} loss {train.loss:.3f} · val ",
                (percent(val.accuracy), "bold"),
                f" loss {val.loss:.3f}{' · best' if event.is_best else ''}",
                "" if strategy.is_probe else f" · lr {rate:.2g}",
                f" · {duration(event.seconds)} · {speed(event.images_per_second)}",
            )
        case ev.RunFailed(run=run, kind=kind, message=message, advice=advice):
            said = shown(" ".join((message, advice)).strip(), 400)
            yield Text.assemble((f"{shown(run)} failed ({shown(kind)}):", "red"), f" {said}")
        case ev.RunFinished(run=run, end=end, seconds=seconds, test=test):
            tested = f" · test {percent(test.accuracy)} on {test.images:,} images" if test is not None else ""
            after = "" if seconds is None else f" after {duration(seconds)}"
            yield Text(f"{shown(run)} · {end}{after}{tested}")


def _follow(host: thread.ThreadHost, display: Display, ending: threading.Event) -> ExperimentState:
    """Shows every event from now on until the experiment is over, and returns its final state."""
    reader = event_reader(host.folder)
    state, left, problem, said = ExperimentState(), host.earlier_events, "", False

    def told(*, alive: bool) -> Iterator[AnyEvent]:
        # a network's disk may be away for a while; what was written is read later
        with suppress(OSError) if alive else nullcontext():
            yield from reader.stream()

    def earlier(events: Iterator[AnyEvent]) -> Iterator[AnyEvent]:
        """Those of other processes, which are not shown, and of which a day's are tens of megabytes."""
        nonlocal left
        for event in islice(events, left):
            left -= 1
            yield event

    while True:
        if ending.is_set() and not said:
            said = True
            display.console.print("[yellow]stopping: saving its state; again to quit at once[/]")
        alive = host.is_alive()  # asked before reading, so that nothing written at the end is missed
        if host.problem != problem:
            problem = host.problem
            display.console.print(Text(_about_log(problem), "yellow"))
        events = told(alive=alive)
        state = replay(earlier(events), state)
        for event in events:
            state = replay([event], state)
            display.show(event, state)
        if not alive:
            return state
        sleep(POLL_SECONDS)


def _about_log(problem: str) -> str:
    if not problem:
        return "the log can be written again; nothing important is missing"
    return f"cannot write the log ({shown(problem)}): training continues, and writing is retried"


@contextmanager
def _display(console: Console) -> Iterator[Display]:
    if not console.is_terminal:
        yield Display(console, None)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH, table_column=Column(min_width=BAR_WIDTH)),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        yield Display(console, progress)


@contextmanager
def _interruptible(host: thread.ThreadHost) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask the experiment to save where it stands and end; a second one ends the process.

    Gives what is set then. Nothing is printed in a signal's handler: it may have interrupted a print.
    """
    asked = threading.Event()

    def ask() -> None:
        asked.set()
        host.ask("suspend")

    with asked_to_end(ask):
        yield asked
