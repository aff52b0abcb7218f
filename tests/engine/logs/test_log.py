import errno
import itertools
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import filelock
import msgspec
import pytest

import engine.logs.log
from engine.devices.meters import Meters
from engine.errors import LogBusyError
from engine.history.experiment_state import read_state
from engine.logs import events as ev
from engine.logs.folder import COMMANDS, EVENTS, WRITER_LOCK
from engine.logs.log import EventLog, command_reader, event_reader, send_command
from engine.logs.writer_lock import is_being_written, writing_process
from engine.running.controls import Controls
from engine.specs.presets import presets
from engine.specs.spec import default_experiment
from engine.states.replay import replay
from engine.states.state import ExperimentState

MEMORY = ev.Memory(rss=1, peak_rss=2, allocated=3)
METRICS = ev.Metrics(loss=0.5, accuracy=0.75, images=4)
EVERY_EVENT: list[ev.AnyEvent] = [
    ev.ExperimentStarted(
        name="x",
        spec=default_experiment(presets()),
        data=ev.DataSummary("d", "/d", "folders", ("a", "b"), {"a": 1}, {"b": 1}, "given"),
        device=ev.Device("cpu", "some CPU", 10),
        versions={"torch": "2.15"},
    ),
    ev.DataDecoded(train=1, val=1, left_out=0),
    ev.RunStarted(
        run="r-0",
        strategy="r",
        seed=0,
        weights="none",
        parameters_total=3,
        parameters_trainable=1,
        precision="fp32",
        learning_rates=(0.1, 0.01),
        memory=MEMORY,
    ),
    ev.ExperimentResumed(host="box", pid=7, device=ev.Device("cpu", "a CPU", 5), versions={"torch": "2"}),
    ev.StageChanged(run="r-0", stage="training"),
    ev.ProbeSolved(run="r-0", l2=0.03, accuracy=0.9),
    ev.Progress(run="r-0", stage="training", step=1, steps=2, epoch=1, loss=0.3),
    ev.LossMeasured(run="r-0", epoch=1, after=0, step=1, steps=2, loss=0.3),
    ev.EpochFinished(
        run="r-0",
        epoch=1,
        train=METRICS,
        val=METRICS,
        learning_rate=0.1,
        seconds=2.0,
        train_seconds=1.0,
        images_per_second=4.0,
        memory=MEMORY,
        is_best=True,
    ),
    ev.MemorySampled(run="r-0", memory=MEMORY),
    ev.FileSaved(run="r-0", kind="best", path="checkpoints/r-0/best.safetensors", epoch=1),
    ev.RunFinished(run="r-0", end="finished", seconds=3.0, cpu_seconds=4.0, memory=MEMORY),
    ev.RunFailed(run="r-0", kind="weights", message="no [bold]weights[/]\n\x1b[31m", advice="find some"),
    ev.Warned(message="careful"),
    ev.CommandApplied(action="pause", run="r-0"),
    ev.ExperimentFinished(end="finished"),
]


def test_every_kind_of_event_is_tried_here() -> None:
    kinds = set(ev.AnyEvent.__args__)  # type: ignore[attr-defined]
    assert {type(event) for event in EVERY_EVENT} == kinds


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        written = [log.append(event) for event in EVERY_EVENT]
    assert event_reader(tmp_path).read() == written
    elapsed = [event.elapsed for event in written]
    assert elapsed == sorted(elapsed)
    assert all(event.time and event.time.tzinfo == UTC for event in written)


def test_a_reader_follows_a_growing_log_and_waits_for_a_torn_line(tmp_path: Path) -> None:
    reader = event_reader(tmp_path)
    assert reader.read() == []
    path = tmp_path / EVENTS
    path.write_bytes(b'{"event":"Warned","message":"one"}\n{"event":"War')
    assert [event.message for event in reader.read()] == ["one"]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b'ned","message":"two"}\n')
    assert [event.message for event in reader.read()] == ["two"]
    assert reader.unreadable == 0


def failing_at(monkeypatch: pytest.MonkeyPatch, chunk: int) -> list[int]:
    """The log is read in small chunks, of which this one (counted from 1) cannot be read as long as it is in the list
    that is returned.
    """
    real, broken, count = Path.open, [chunk], itertools.count(1)

    def opened(self: Path, *arguments: Any, **named: Any) -> Any:
        file = real(self, *arguments, **named)
        return Failing(file) if self.name == EVENTS else file

    class Failing:
        def __init__(self, file: BinaryIO) -> None:
            self.file = file

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def seek(self, *where: int) -> int:
            return self.file.seek(*where)

        def read(self, size: int) -> bytes:
            if size == engine.logs.log.CHUNK and broken and next(count) >= broken[0]:
                raise OSError(errno.ESTALE, "Stale file handle")
            return self.file.read(size)

    monkeypatch.setattr(engine.logs.log, "CHUNK", 100)
    monkeypatch.setattr(Path, "open", opened)
    return broken


def test_what_was_read_before_an_error_is_not_taken_for_all_nor_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EventLog(tmp_path) as log:
        written = [log.append(ev.Warned(message=str(number))) for number in range(20)]
    broken, reader = failing_at(monkeypatch, 4), event_reader(tmp_path)
    for _ in range(2):
        with pytest.raises(OSError, match="Stale"):
            reader.read()
    broken.clear()
    assert reader.read() == written
    assert reader.read() == []


def test_no_experiment_goes_on_after_a_part_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventLog(tmp_path) as log:
        written = [log.append(ev.Warned(message=str(number))) for number in range(20)]
    broken = failing_at(monkeypatch, 4)
    with pytest.raises(OSError, match="Stale"):
        EventLog(tmp_path)
    assert not is_being_written(tmp_path)
    with pytest.raises(OSError, match="Stale"):
        read_state(tmp_path)
    broken.clear()
    with EventLog(tmp_path) as log:
        assert log.earlier == written


def test_who_goes_on_keeps_no_progress_of_a_long_log(tmp_path: Path) -> None:
    progress = msgspec.json.encode(ev.Progress(run="r-0", stage="training", step=1, steps=2, elapsed=7.0)) + b"\n"
    sampled = msgspec.json.encode(ev.MemorySampled(run="r-0", memory=MEMORY, elapsed=5000.0)) + b"\n"
    warned = msgspec.json.encode(ev.Warned(message="careful", elapsed=1.0)) + b"\n"
    (tmp_path / EVENTS).write_bytes(warned + 30_000 * (progress + sampled) + warned)
    tracemalloc.start()
    with EventLog(tmp_path) as log:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 8 * engine.logs.log.CHUNK, "the log in memory takes three times that"
        assert [type(event) for event in log.earlier] == [ev.Warned, ev.Warned]
        assert log.earlier_count == 60_002
        assert log.append(ev.Warned(message="goes on")).elapsed >= 5000


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"FromTheFuture","x":1}',
        b'{"event":"Warned"}',
        b"\x00\x00\x00\x00",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
    ],
    ids=["newer", "incomplete", "zeros", "not text", "deep", "null"],
)
def test_a_line_that_cannot_be_understood_is_passed_over(tmp_path: Path, line: bytes) -> None:
    good = b'{"event":"Warned","message":"good","added_later":5}\n'
    (tmp_path / EVENTS).write_bytes(good + line + b"\n" + good)
    reader = event_reader(tmp_path)
    assert [event.message for event in reader.read()] == ["good", "good"]
    assert reader.unreadable == 1


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    assert not is_being_written(tmp_path)
    with EventLog(tmp_path):
        code = "import sys; from pathlib import Path; from engine.logs.log import EventLog; EventLog(Path(sys.argv[1]))"
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
        assert "LogBusyError" in other.stderr
        assert "is being written by process" in other.stderr
        assert is_being_written(tmp_path)
        with pytest.raises(LogBusyError):
            EventLog(tmp_path)
    assert not is_being_written(tmp_path)


WITHOUT_LOCKS = """
import errno, fcntl, os, sys, warnings
from pathlib import Path
from engine.logs import events as ev
from engine.logs.log import EventLog
def no_locks(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")
fcntl.flock = no_locks
warnings.simplefilter("ignore")
log = EventLog(Path(sys.argv[1]))
log.append(ev.Warned(message="one"))
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_where_the_file_system_has_no_locks_a_writer_is_told_from_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", no_locks)
    command = [sys.executable, "-c", WITHOUT_LOCKS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"begun\n"
        assert writing_process(tmp_path) == other.pid
        for force in (False, True):
            with pytest.raises(LogBusyError, match=f"is being written by process {other.pid} on "):
                EventLog(tmp_path, force=force)
        other.kill()
    assert not is_being_written(tmp_path)
    with EventLog(tmp_path) as log:
        assert len(log.earlier) == 1 and writing_process(tmp_path) == os.getpid()
    assert not is_being_written(tmp_path)
    (tmp_path / WRITER_LOCK).write_text("12\nelsewhere\n")
    with pytest.raises(LogBusyError, match=r"by process 12 on elsewhere; .* --force on the command line takes over"):
        EventLog(tmp_path)
    with EventLog(tmp_path, force=True):
        assert writing_process(tmp_path) == os.getpid()


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EventLog(tmp_path / "deleted")
    assert not (tmp_path / "deleted").exists()


def test_who_only_asks_for_the_writer_keeps_no_one_from_writing(tmp_path: Path) -> None:
    with EventLog(tmp_path):
        pass
    asking = filelock.FileLock(tmp_path / WRITER_LOCK, thread_local=False)
    asking.acquire()
    threading.Timer(0.05, asking.release).start()
    with EventLog(tmp_path) as log:
        assert log.append(ev.Warned(message="mine")).time is not None


def test_a_log_that_cannot_be_opened_is_not_kept_locked(tmp_path: Path) -> None:
    (tmp_path / EVENTS).mkdir()
    with pytest.raises(OSError):
        EventLog(tmp_path)
    assert not is_being_written(tmp_path)


def test_commands_that_cannot_be_read_now_are_obeyed_later(tmp_path: Path) -> None:
    send_command(tmp_path, "stop")  # to a process that was lost
    (tmp_path / COMMANDS).rename(tmp_path / "elsewhere")
    (tmp_path / COMMANDS).mkdir()
    with EventLog(tmp_path) as log:
        controls = Controls(tmp_path, log, Meters(), deque(), ExperimentState(), [].append)
        assert controls.obey("run") is None
        (tmp_path / COMMANDS).rmdir()
        (tmp_path / "elsewhere").rename(tmp_path / COMMANDS)
        assert controls.obey("run") is None
        send_command(tmp_path, "skip")
        assert controls.obey("run") == "skip"


def test_a_skip_of_another_run_does_not_end_this_one_nor_a_pause(tmp_path: Path) -> None:
    left_out: list[str] = []
    with EventLog(tmp_path) as log:
        controls = Controls(tmp_path, log, Meters(), deque(), ExperimentState(), left_out.append)
        for run in ("other", "run"):
            send_command(tmp_path, "skip", run)
        assert (controls.obey("run"), left_out) == ("skip", ["other"])
        send_command(tmp_path, "pause")
        send_command(tmp_path, "skip", "third")
        threading.Timer(0.3, send_command, (tmp_path, "resume")).start()
        began = time.monotonic()
        assert controls.obey("run") is None
        assert time.monotonic() - began >= 0.3 and left_out == ["other", "third"]
        with (tmp_path / COMMANDS).open("a") as file:  # as older versions write it
            file.write(f'{{"action":"skip","time":"{datetime.now(UTC).isoformat()}"}}\n')
        assert controls.obey("run") == "skip"
    assert [(one.action, one.run) for one in event_reader(tmp_path).read() if isinstance(one, ev.CommandApplied)] == [
        (action, "run") for action in ("skip", "pause", "resume", "skip")
    ]


def test_a_pause_outlasts_a_skip_but_lets_the_skipped_run_end(tmp_path: Path) -> None:
    orders = deque[ev.Action](["pause", "skip"])
    with EventLog(tmp_path) as log:
        controls = Controls(tmp_path, log, Meters(), orders, ExperimentState(), [].append)
        assert controls.obey("first") == "skip"
        assert controls.obey("first") is None, "it saves what it has learnt"
        threading.Timer(0.3, orders.append, ["resume"]).start()
        began = time.monotonic()
        assert controls.obey("second") is None
        assert time.monotonic() - began >= 0.3
        orders.extend(["pause", "skip"])
        assert controls.obey("second") == "skip"
        orders.append("suspend")
        assert (controls.obey("second"), controls.obey("second")) == ("suspend", None)
    state = replay(event_reader(tmp_path).read())
    assert state.paused
    with EventLog(tmp_path) as log:
        assert Controls(tmp_path, log, Meters(), deque(["stop"]), state, [].append).obey("third") == "stop"


def test_who_knows_the_new_writer_is_heard_by_it_however_long_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = engine.logs.log.event_reader

    def slow(folder: Path) -> engine.logs.log.LineReader[ev.AnyEvent]:
        assert writing_process(folder) == os.getpid()
        send_command(folder, "skip")
        return reader(folder)

    monkeypatch.setattr(engine.logs.log, "event_reader", slow)
    with EventLog(tmp_path) as log:
        assert Controls(tmp_path, log, Meters(), deque(), ExperimentState(), [].append).obey("run") == "skip"


def test_who_only_looks_is_not_taken_for_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EventLog(tmp_path):
        pass
    looking = filelock.FileLock(tmp_path / WRITER_LOCK, thread_local=False)
    looking.acquire()
    monkeypatch.setattr(engine.logs.log.time, "sleep", lambda _: looking.release())
    assert not is_being_written(tmp_path)
    looking.acquire()
    monkeypatch.setattr(engine.logs.log.time, "sleep", lambda _: None)
    assert is_being_written(tmp_path)
    looking.release()


@pytest.mark.parametrize("ends", ["stop", "suspend"])
def test_what_ends_is_not_paused_any_more(tmp_path: Path, ends: ev.Action) -> None:
    with EventLog(tmp_path) as log:
        controls = Controls(
            tmp_path, log, Meters(), deque[ev.Action]([ends, "pause", "suspend"]), ExperimentState(), [].append
        )
        assert controls.obey("run") == ends
        assert controls.obey("run") == "suspend"
        assert controls.obey("run") is None


def test_threads_may_append_at_once(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:

        def write() -> None:
            for _ in range(200):
                log.append(ev.Warned(message="x" * 500))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    reader = event_reader(tmp_path)
    assert len(reader.read()) == 800
    assert reader.unreadable == 0


def test_a_command_whose_time_has_no_zone_is_passed_over(tmp_path: Path) -> None:
    lines = ('{"action":"stop","time":"2026-11-28T09:00:00"}', '{"action":"pause","time":"2026-11-28T09:00:00Z"}')
    (tmp_path / COMMANDS).write_text("\n".join(lines) + "\n")
    reader = command_reader(tmp_path)
    assert [command.action for command in reader.read()] == ["pause"]
    assert reader.unreadable == 1


def test_commands_are_read_once_in_order(tmp_path: Path) -> None:
    reader = command_reader(tmp_path)
    send_command(tmp_path, "pause")
    send_command(tmp_path, "resume")
    assert [command.action for command in reader.read()] == ["pause", "resume"]
    with (tmp_path / COMMANDS).open("a") as file:
        file.write('{"action":"dance"}\n')
    send_command(tmp_path, "stop")
    commands = reader.read()
    assert [command.action for command in commands] == ["stop"]
    assert commands[0].time is not None
    assert commands[0].time <= datetime.now(UTC)
