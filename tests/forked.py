"""Python processes that are forked from one that has torch and the app loaded: each begins in a tenth of the time.

They are real processes otherwise: with arguments, environment, folder, terminal and signals of their own. ``python -m
tests.forked NAME`` is the process that they come from: one for all processes of pytest, from the first use on until
none of them is connected. Where whole folders are tested, pytest-xdist's processes are forked from it too.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import marshal
import os
import runpy
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
LARGEST = 1 << 20
WITH_TESTS = "TL_TUI_TESTS_FROM"
"""The variable that names the process that the others come from, where processes of pytest are among them."""


class Forked:
    """What :class:`subprocess.Popen` is, for such a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    streams: tuple[int, int, int],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    controlling: bool = False,
) -> Forked:
    """Starts ``tl-tui …``, or Python's ``-c CODE …`` or ``-m MODULE …``, in a session of its own.

    ``streams``: standard input, output and error; ``controlling``: the first is the terminal of the session.
    """
    wanted = {
        "arguments": [os.fsdecode(one) for one in arguments],
        "folder": str(folder),
        "environment": dict(os.environ if environment is None else environment),
        "controlling": controlling,
    }
    pid = _ask(wanted, streams)
    assert pid is not None
    return Forked(pid)


def run(arguments: Sequence[str], folder: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, and returns what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        process = start(arguments, (nothing.fileno(), out.fileno(), error.fileno()), folder)
        status = process.wait(timeout)
        said = []
        for file in (out, error):
            file.seek(0)
            said.append(file.read().decode("utf-8", "backslashreplace"))
        return subprocess.CompletedProcess(list(arguments), status, *said)


def end() -> None:
    """Lets go of the process that the others came from, which ends with the last that does."""
    if _origin.cache_info().currsize:
        _origin().close()
        _origin.cache_clear()


@cache
def _origin() -> socket.socket:
    name = os.environ.get(WITH_TESTS) or f"tl-tui-tests-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    connection, begun = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), False
    for _ in range(600):
        with suppress(ConnectionRefusedError):
            connection.connect(f"\0{name}")
            return connection
        if not begun:
            begun = True
            _begin(name)
        time.sleep(0.05)
    raise TimeoutError("the process from which others are forked does not answer")


def _begin(name: str) -> None:
    """Starts the process that the others come from, which ends at once where another one of this name is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for pytest, which lets go of it then
    )
    process.returncode = 0  # it may outlive this process, which waits for no end of it


def _ask(question: dict[str, Any], streams: Sequence[int] = ()) -> int | None:
    connection = _origin()
    socket.send_fds(connection, [json.dumps(question).encode()], streams)
    answer: int | None = json.loads(connection.recv(LARGEST))
    return answer


def python_for_xdist() -> str:
    """What pytest-xdist is to start in place of Python, so that its processes are forked: see :func:`stand_in`."""
    os.environ[WITH_TESTS] = f"tl-tui-tests-{os.getpid()}"
    return shlex.join([sys.executable, __file__])


def stand_in(code: str) -> int:
    """Runs the code in a process that is forked, and ends as that does: xdist waits only for what it started itself."""
    process = start(["pytest", code], (0, 1, 2), Path.cwd())
    signal.signal(signal.SIGINT, lambda number, _: os.kill(process.pid, number))  # Ctrl-C does not reach its session
    while process.poll() is None:  # a pidfd would tell at once, but not every system has them
        time.sleep(0.05)
    return process.wait()


# In the process that the others come from


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Answers until nobody is connected, None; returns what was asked for in each process that is forked."""
    connected: list[socket.socket] = []
    while True:
        ready, _, _ = select.select([listener, *connected], [], [], 60)
        for one in ready:
            if one is listener:
                connection, _ = listener.accept()
                if _user_of(connection) == os.getuid():  # the name is no secret
                    connected.append(connection)
                continue
            try:
                wanted = _answered(one)
            except OSError:  # it was closed, or killed before it took the answer
                connected.remove(one)
                one.close()
                continue
            if wanted is not None:
                for other in connected:
                    other.close()
                return wanted
        if not connected:  # the last has ended, or who began this did before it was connected
            return None


def _answered(connection: socket.socket) -> dict[str, Any] | None:
    """Answers one question, ``OSError`` where none comes any more; in the process that is forked, returns it, whose
    streams are those that came with it.
    """
    data, streams, _, _ = socket.recv_fds(connection, LARGEST, 3)
    if not data:
        raise ConnectionResetError
    question: dict[str, Any] = json.loads(data)
    if "poll" in question:
        pid, status = os.waitpid(question["poll"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    elif (answer := os.fork()) == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return question
    for stream in streams:
        os.close(stream)
    connection.send(json.dumps(answer).encode())
    return None


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def become(wanted: dict[str, Any]) -> None:
    """What a new interpreter does, as far as it depends on how it is called."""
    os.setsid()
    if wanted["controlling"]:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc] # noqa: SIM115
    sys.stdout = sys.__stdout__ = _written(1, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _written(2, "backslashreplace")  # type: ignore[misc]
    kind, *arguments = wanted["arguments"]
    if kind == "tl-tui":
        from tui.cli import main  # noqa: PLC0415 - loaded already

        sys.argv = [kind, *arguments]
        main()
    elif kind == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        if kind == "pytest":
            give_rewritten()
        code, *arguments = arguments
        sys.argv = [kind, *arguments]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


def _status(wanted: dict[str, Any]) -> int:
    """The exit status that an interpreter has, which tells of an error that nobody caught."""
    try:
        become(wanted)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)  # noqa: T201
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def end_with(status: int) -> NoReturn:
    """What an interpreter does at its end, but for taking everything apart.

    That writes to all memory, of which the system would first make a copy: two seconds for what torch loads.
    """
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status & 0xFF)


def _written(descriptor: int, errors: str) -> Any:
    line_by_line = descriptor == 2 or os.isatty(descriptor)
    return open(descriptor, "w", 1 if line_by_line else -1, "utf-8", errors, closefd=False)


def load() -> None:
    """Loads what takes long, as the app and an experiment do one after the other."""
    from engine.hosts.tuning import uncollected  # noqa: PLC0415

    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # tests of several processes want the same cores
    with uncollected():
        import scipy.stats  # noqa: F401, PLC0415
        import sklearn.metrics  # noqa: F401, PLC0415
        import torchvision  # noqa: F401, PLC0415

        import engine.hosts.thread  # noqa: F401, PLC0415
        import tui.session  # noqa: F401, PLC0415


rewritten: dict[str, tuple[bytes, CodeType]] = {}
"""By path, what pytest makes of each file of the tests, so that its assertions tell why they fail."""


def rewrite() -> None:
    """Prints :data:`rewritten`, which takes as long as all that is loaded."""
    from _pytest.assertion.rewrite import _rewrite_test  # noqa: PLC0415

    made = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        with suppress(SyntaxError):  # pytest tells it where it collects that file
            made[str(path)] = _rewrite_test(path, None)  # type: ignore[arg-type]
    marshal.dump(made, sys.stdout.buffer)


def load_with_tests() -> None:
    """Loads what tests need, with warnings as errors, as pytest has them."""
    rewriting = [sys.executable, "-m", "tests.forked", "rewrite"]
    with subprocess.Popen(rewriting, stdout=subprocess.PIPE) as other, warnings.catch_warnings():
        warnings.simplefilter("error")
        load()
        assert other.stdout is not None
        rewritten.update(marshal.load(other.stdout))


def give_rewritten() -> None:
    """Has pytest take what is rewritten already."""
    from _pytest.assertion import rewrite  # noqa: PLC0415

    itself = rewrite._rewrite_test
    rewrite._rewrite_test = lambda path, config: rewritten.get(str(path)) or itself(path, config)


def main(name: str) -> None:
    """The process that the others come from."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(f"\0{name}")
        except OSError:  # another process of pytest was faster
            return
        listener.listen()
        load_with_tests() if WITH_TESTS in os.environ else load()
        wanted = serve(listener)
    if wanted is not None:
        end_with(_status(wanted))
    os._exit(0)  # nothing to save, and taking all apart takes seconds


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["-u", "-c", code]:
            sys.exit(stand_in(code))
        case ["rewrite"]:
            rewrite()
        case [name]:
            main(name)
