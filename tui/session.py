"""One session of the app: what it leaves on the normal screen, and what goes on without it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from engine.history.experiment_state import read_state
from engine.logs.writer_lock import is_being_written, writer, writing_process
from engine.specs.spec import Experiment
from engine.states.state import as_left
from engine.text import shown
from tui.app import TlTui
from tui.drawing.text import print_line
from tui.errors import app_log, record_error
from tui.naming import called, how_to_go_on
from tui.terminal.lost_terminal import output_may_end, own_terminals, point_nowhere, watched
from tui.terminal.signals import asked_to_end
from tui.terminal.stops import stop_in_order
from tui.terminal.streams import native_output_to, read_any_encoding, read_escape_first
from tui.work.collector import collected_seldom
from tui.work.loading import wait_until_loaded

if TYPE_CHECKING:
    from engine.hosts.thread import ThreadHost


@output_may_end()
def open_app(experiment: Experiment, out: Path, opened: Path | None = None, *, seeks_running: bool = False) -> int:
    """Runs the app; afterwards prints the comparison of what it trained last, so that it stays in the scrollback,
    unless that goes on in a process to which it was handed over. Of an experiment that was only looked at it says where
    it is.

    ``opened``: the folder of the experiment that it shows at first; ``seeks_running``: one that is going on is, if any.
    What trains is left only by the person's own wish: where the terminal is lost (then nothing is printed), or the app
    fails, this process goes on until the experiment is over. SIGTERM and Ctrl-C let the experiment save where it stands
    and end, a second one ends at once. Returns the exit status: 1 where what was started here last, or a run
    of it, failed, or where what went on without a screen was not finished; 130 where it was ended by a signal.
    """
    app = TlTui(out, experiment, opened=opened, seeks_running=seeks_running)
    terminals = own_terminals()
    with _ended_by_signals(app) as asked:
        lost = _run(app)
        if lost:
            point_nowhere(terminals)
        outlived = not app.left and app.hosting.host is not None and (lost or asked() or app.hosting.host.is_alive())
        if app.hosting.host is not None and outlived:
            _outlive(app.hosting.host, silent=lost or asked())
        if app.hosting.host is not None and (outlived or not lost):
            app.turn_to(app.hosting.host.folder)  # whatever was looked at since
    if not lost:
        if app.hosting.host is not None:
            _print_comparison(app)
        _print_whereabouts(app)
    if asked() or (outlived and (app.state.suspended or app.state.end == "stopped")):
        return 130
    if app.return_code and not outlived:
        return app.return_code
    return 1 if _failed(app) or (outlived and app.state.end != "finished") else 0


def _failed(app: TlTui) -> bool:
    """Whether the experiment that was started here last failed, or a run of it; whichever is shown."""
    host = app.hosting.host
    if host is None or host.error:
        return host is not None
    state = app.state
    if host.folder != app.folder:
        try:
            state = read_state(host.folder)
        except OSError:  # deleted since
            return False
    return state.end == "failed" or any(run.status == "failed" for run in state.runs)


def _run(app: TlTui) -> bool:
    """Runs the app until it ends; whether that was because the terminal was lost."""
    lost = threading.Event()

    def leave() -> None:
        lost.set()
        _leave(app)

    try:
        with watched(leave) as failed:
            if 0 not in own_terminals():  # it was lost before: Textual would read its end again and again
                return True
            read_any_encoding()
            read_escape_first()
            stop_in_order(app)
            with native_output_to(app_log(), failed), collected_seldom():
                app.run()
            if app.failure and not lost.is_set():
                print_line(app.failure, to_stderr=True)
    except Exception:
        if app.hosting.host is None or not app.hosting.host.is_alive():
            raise
        record_error()
    finally:
        for number in (signal.SIGTSTP, signal.SIGCONT):  # Textual's answers, which draw the app again
            signal.signal(number, signal.SIG_DFL)
    return lost.is_set()


def _leave(app: TlTui) -> None:
    """Lets the app end; to be called from another thread than its own."""
    with suppress(RuntimeError):  # it has just ended
        app.exit()


def _outlive(host: ThreadHost, *, silent: bool) -> None:
    """Waits for what trains without the app."""
    if not silent:
        said = f"The experiment continues in {host.folder}; Ctrl-C saves it and stops."
        print_line(said, to_stderr=True)
    host.wait()


def _print_comparison(app: TlTui) -> None:
    if app.folder is None or app.hosting.detached is not None or not any(run.epochs for run in app.state.runs):
        return
    wait_until_loaded()  # a thread of the app may be at it
    from engine.comparison.compare import compare  # noqa: PLC0415
    from engine.comparison.compared_runs import Source  # noqa: PLC0415 - not needed to begin
    from tui.drawing.tables import comparison_table  # noqa: PLC0415

    console = Console()
    console.print(comparison_table(compare([Source(as_left(app.state), app.folder)])))
    print_line(str(app.folder))


def _print_whereabouts(app: TlTui) -> None:
    """How to come back to an experiment of which something is left to do."""
    if app.folder is None:
        return
    name = called(app.folder)
    if app.hosting.detached is not None:
        print_line(
            f"It continues in the background (process {app.hosting.detached}): `tl-tui attach {name}` reopens it."
        )
    elif said := how_to_go_on(app.state, app.folder):
        print_line(said)
    elif app.state.end is None and writing_process(app.folder) == os.getpid():  # which is about to end
        print_line(f"It was closed while saving; `tl-tui resume {name}` continues it.")
    elif app.state.end is None and is_being_written(app.folder):
        print_line(f"It is still running ({writer(app.folder)}): `tl-tui attach {name}` reopens it.")
    elif app.hosting.host is None:
        print_line(f"{shown(str(app.folder))}: `tl-tui compare {name}` prints its results.")


@contextmanager
def _ended_by_signals(app: TlTui) -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C let the app leave its screen, and what trains save and end; a second one ends at once.

    Yields a question: whether that was asked. Asking it tells what has begun to train since.
    """
    ending = threading.Event()
    told: list[ThreadHost] = []

    def asked() -> bool:
        if ending.is_set() and app.hosting.host is not None and not told:
            told.append(app.hosting.host)
            app.hosting.host.ask("suspend")
        return ending.is_set()

    def ask() -> None:
        ending.set()
        asked()
        threading.Thread(target=_leave, args=(app,)).start()  # the loop does not hear what a signal does inside it

    with asked_to_end(ask):
        yield asked
