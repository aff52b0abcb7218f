"""The real ``tl-tui`` loses its terminal: what trains goes on to its end, and nothing else does."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte
import pytest

from engine.logs import folder as folders
from engine.logs.events import AnyEvent, ExperimentFinished, Stage, StageChanged
from engine.logs.log import LineReader, event_reader
from engine.states.replay import replay
from tests import forked
from tui.errors import app_log

SECONDS = 90.0
START = b"\x1b[15~"
"""F5."""
LEFT = b"\x1b[?1049l"
"""What leaves the alternate screen."""


class Session:
    """A command with two pseudo-terminals, one for its input and one for its output, so that each can end alone.

    ``controlling``: the first is the one of its session, as in a shell: closing it sends SIGHUP.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, controlling: bool) -> None:
        self.folder = folder
        self.written = b""
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.events: list[AnyEvent] = []
        self._log: LineReader[AnyEvent] | None = None
        (self.input, their_input), (self.output, their_output) = pty.openpty(), pty.openpty()
        for terminal in (their_input, their_output):
            termios.tcsetwinsize(terminal, (24, 80))
        environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        arguments = arguments if arguments[0] == "-c" else ["tl-tui", *arguments]
        streams = (their_input, their_output, their_output)
        self.process = forked.start(arguments, streams, folder, environment, controlling=controlling)
        os.close(their_input)
        os.close(their_output)
        self.open = {self.input, self.output}

    def close(self, *terminals: int) -> None:
        for terminal in terminals:
            self.open.remove(terminal)
            os.close(terminal)

    def read(self) -> None:
        """Takes in what was written, and what was logged."""
        time.sleep(0.02)
        for descriptor in select.select([self.output], [], [], 0)[0] if self.output in self.open else ():
            with suppress(OSError):  # the command has ended
                data = os.read(descriptor, 1 << 16)
                self.written += data
                if not self.events:
                    self._stream.feed(data)
        if self._log is None and (found := folders.experiments(self.folder / "runs")):
            self._log = event_reader(found[0])
        if self._log is not None:
            self.events += self._log.read()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            self.read()
            assert self.process.poll() is None, f"it ended before {what}:\n{self.text()}"
            assert time.monotonic() < end, f"not in {SECONDS} s: {what}\n{self.text()}"

    def wait_for_end(self) -> int:
        """Its exit status."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < end, f"it does not end:\n{self.text()}"
        self.read()
        return self.process.returncode

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait_for_stage(self, stage: Stage, number: int = 1) -> None:
        def reached() -> bool:
            return sum(isinstance(event, StageChanged) and event.stage == stage for event in self.events) >= number

        self.wait_for(reached, stage)

    def points_nowhere(self) -> bool:
        return all(Path(f"/proc/{self.process.pid}/fd/{number}").readlink() == Path(os.devnull) for number in (0, 1, 2))


@contextmanager
def session(arguments: Sequence[str], folder: Path, controlling: bool = True) -> Iterator[Session]:
    started = Session(arguments, folder, controlling)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.wait()
        started.close(*started.open)


def pty_closed(app: Session) -> None:
    app.close(app.input, app.output)


def hung_up(app: Session) -> None:
    app.process.send_signal(signal.SIGHUP)
    app.process.send_signal(signal.SIGCONT)  # as the kernel and shells do


def input_ended(app: Session) -> None:
    app.close(app.input)


def output_closed(app: Session) -> None:
    app.close(app.output)


LOSSES = {
    "pty closed, with SIGHUP": (pty_closed, True),
    "pty closed, without SIGHUP": (pty_closed, False),
    "SIGHUP only": (hung_up, True),
    "end of input only": (input_ended, False),
    "output closed only": (output_closed, False),
}


@pytest.fixture
def arguments(image_folder: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Both strategies at 32 pixels on enough images for each stage to last."""
    config = tmp_path / "small.toml"
    config.write_text(
        "".join(
            f'[[strategies]]\nname = "{name}"\nbased_on = "{base}"\n'
            'backbone = "squeezenet1_1"\nimage_size = 32\nepochs = 12\n'
            for name, base in (("tuned", "resnet18-finetune"), ("extracted", "mobilenetv3-extract"))
        )
    )
    images = image_folder(train=12, val=40)
    return [str(images), "--weights", "none", "--device", "cpu", "--config", str(config)]


def start(app: Session) -> None:
    """Starts the experiment with a key."""
    app.wait_for(lambda: all(text in app.text() for text in ("24 train", "cold", "warm")), "Setup")
    os.write(app.input, START)


def said_since_it_left(app: Session) -> str:
    """What it wrote after its screen that a person would see."""
    assert LEFT in app.written
    after = app.written.rpartition(LEFT)[2].decode()
    return re.sub(r"\x1b\[[?<>=]?[0-9;]*[a-zA-Z]", "", after).strip()


def assert_finished(app: Session, runs: list[str], status: int) -> None:
    last = app.events[-1]
    assert isinstance(last, ExperimentFinished) and last.end == "finished"
    assert [(run.run, run.status) for run in replay(app.events).runs] == [(run, "finished") for run in runs]
    assert status == 0
    assert not app_log().exists() or not app_log().read_text(), "nothing went wrong on the way"


def cpu_seconds_of_the_app(process: int) -> dict[str, float]:
    """Processor time by thread, of the main one and every other that did not step back as the engine's do."""
    spent = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):  # it has just ended
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            spent[task.name] = (int(fields[16]), int(fields[11]) + int(fields[12]))
    nice = spent[str(process)][0]
    return {name: ticks / os.sysconf("SC_CLK_TCK") for name, (its_nice, ticks) in spent.items() if its_nice == nice}


@pytest.mark.slow
def test_a_closed_terminal_ends_no_run_and_the_app_costs_nothing_from_then_on(
    arguments: list[str], tmp_path: Path
) -> None:
    with session(arguments, tmp_path) as app:
        start(app)
        app.wait_for_stage("training")
        pty_closed(app)
        app.wait_for(app.points_nowhere, "standard input, output and error are /dev/null")
        began, before = time.monotonic(), cpu_seconds_of_the_app(app.process.pid)
        app.wait_for_stage("training", 11)  # of tuned: ten epochs
        seconds, after = time.monotonic() - began, cpu_seconds_of_the_app(app.process.pid)
        status = app.wait_for_end()
        assert_finished(app, ["tuned-0", "extracted-0"], status)
    spent = sum(used - before.get(thread, 0) for thread, used in after.items())
    assert spent <= 0.05 + seconds / 10, f"{spent:.2f} s in {seconds:.2f} s of training"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "stage", "strategies", "epochs"),
    [
        ("SIGHUP only", "warming up", ["tuned"], 4),
        ("end of input only", "features", ["extracted"], 500),  # of a few milliseconds, so that it outlasts the loss
        ("output closed only", "decoding", ["tuned"], 4),
    ],
)
def test_what_trains_goes_on_whatever_is_lost_and_when(
    loss: str, stage: Stage, strategies: list[str], epochs: int, arguments: list[str], tmp_path: Path
) -> None:
    lose, controlling = LOSSES[loss]
    chosen = [f"--strategy={name}" for name in strategies]
    with session([*arguments, *chosen, f"--epochs={epochs}"], tmp_path, controlling) as app:
        start(app)
        app.wait_for_stage(stage)
        lose(app)
        app.wait_for(app.points_nowhere, "standard input, output and error are /dev/null")
        status = app.wait_for_end()
        assert_finished(app, [f"{name}-0" for name in strategies], status)
        if app.output in app.open:
            assert said_since_it_left(app) == ""


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_where_nothing_trains_it_just_exits(loss: str, arguments: list[str], tmp_path: Path) -> None:
    lose, controlling = LOSSES[loss]
    with session(arguments, tmp_path, controlling) as app:
        app.wait_for(lambda: "cold" in app.text(), "Setup")
        lose(app)
        assert app.wait_for_end() == 0
        assert not app.events
        if app.output in app.open:
            assert said_since_it_left(app) == ""
    assert not app_log().exists() or not app_log().read_text()


EARLY = """
import os, signal
from tui.app import TlTui
from tui.cli import main
begin = TlTui.__init__
def hung_up_before(self, *arguments, **options):
    os.kill(os.getpid(), signal.SIGHUP)
    begin(self, *arguments, **options)
TlTui.__init__ = hung_up_before
main()
"""


@pytest.mark.slow
def test_an_app_whose_terminal_is_lost_before_it_draws_just_exits(arguments: list[str], tmp_path: Path) -> None:
    with session(["-c", EARLY, *arguments], tmp_path) as app:
        assert app.wait_for_end() == 0
        assert not app.written


@pytest.mark.slow
def test_sigterm_ends_in_order_what_goes_on_without_a_terminal(arguments: list[str], tmp_path: Path) -> None:
    lose, controlling = LOSSES["pty closed, without SIGHUP"]
    with session([*arguments, "--epochs", "1000"], tmp_path, controlling) as app:
        start(app)
        app.wait_for_stage("validating")
        lose(app)
        app.wait_for(app.points_nowhere, "standard input, output and error are /dev/null")
        app.wait_for_stage("validating", 3)
        app.process.terminate()
        assert app.wait_for_end() == 130
        state = replay(app.events)
        assert state.suspended and state.end is None, "`tl-tui resume` goes on from there"


BROKEN = """
import sys
from tui.app import TlTui
from tui.cli import main
def broken(self):
    raise RuntimeError("broken on purpose")
TlTui.action_help = broken
main()
"""


@pytest.mark.slow
def test_an_app_that_fails_ends_no_run_either(arguments: list[str], tmp_path: Path) -> None:
    with session(["-c", BROKEN, *arguments, "--strategy", "tuned"], tmp_path) as app:
        start(app)
        app.wait_for_stage("training")
        os.write(app.input, b"?")
        status = app.wait_for_end()
        said = said_since_it_left(app)
        assert [run.status for run in replay(app.events).runs] == ["finished"]
        assert status == 0
    assert "tl-tui crashed" in said and "The experiment continues in" in said and "validation accuracy" in said
    assert "broken on purpose" in app_log().read_text()


# The same without the app


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["SIGHUP only", "output closed only"])
def test_tl_tui_run_goes_on_in_silence(loss: str, arguments: list[str], tmp_path: Path) -> None:
    lose, controlling = LOSSES[loss]
    with session(["run", *arguments, "--strategy", "tuned", "--epochs", "6"], tmp_path, controlling) as headless:
        headless.wait_for_stage("training")
        lose(headless)
        status = headless.wait_for_end()
        assert_finished(headless, ["tuned-0"], status)
        assert b"validation accuracy" not in headless.written


WORK = """
import os, signal, sys
from tui.terminal.lost_terminal import output_may_end
@output_may_end()
def work():
    for number in range(3):
        print("x" * 10_000, flush=number == 1)
        os.write(done, b"x")
        if sys.argv[1] == "SIGHUP" and number == 0:
            os.kill(os.getpid(), signal.SIGHUP)
done = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
try:
    work()
except OSError as error:
    os.write(done, f" {error.filename}: {error.strerror}".encode())
"""


def worked(folder: Path, output: int, sent: str = "") -> str:
    """What the work noted beside its output; it must end well and complain nowhere."""
    note = folder / "note"
    command = [sys.executable, "-c", WORK, sent, str(note)]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return note.read_text()


def test_output_that_nobody_reads_stops_no_work(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    assert worked(tmp_path, theirs) == "xxx"
    os.close(theirs)


def test_a_full_disk_under_the_output_stops_no_work_and_is_told_at_the_end(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        assert worked(tmp_path, full.fileno()) == "xxx standard output: No space left on device"


def test_a_file_goes_on_being_written_after_sighup_as_under_nohup(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert worked(tmp_path, log.fileno(), "SIGHUP") == "xxx"
    assert len((tmp_path / "log").read_text()) == 3 * 10_001
