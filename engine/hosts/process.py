"""An experiment in a process of its own session, which outlives any terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from engine import cache
from engine.errors import UserError
from engine.files import private
from engine.hosts import thread
from engine.logs.folder import ENGINE_LOG
from engine.logs.writer_lock import writing_process

BEGIN_SECONDS = 120.0
"""It has PyTorch to load and the images to find, perhaps on a slow disk."""
END_SECONDS = 10.0
POLL_SECONDS = 0.05


class NotBegunError(RuntimeError):
    """The process could not go on with the experiment; the text is the one line that it left."""


def detach(folder: Path, *, force: bool = False) -> int:
    """Starts a process that goes on with the experiment, and returns its id once it writes the log.

    What it says goes to ``engine.log``. :class:`NotBegunError` where it ends at once, and ``OSError``.
    """
    folder = folder.resolve()
    command = [sys.executable, "-m", __spec__.name, *(["--force"] if force else []), str(folder)]
    environment = dict(os.environ)
    if environment.get("TL_TUI_CACHE"):
        environment["TL_TUI_CACHE"] = str(cache.home())  # it may be named from the folder where this process is
    with open(folder / ENGINE_LOG, "ab", opener=private) as log:
        said_before = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_until_it_writes(process, folder, said_before)
    finally:
        process.returncode = 0  # else Python warns that nobody waits for its end, which is not for this process to do
    return process.pid


def _wait_until_it_writes(process: subprocess.Popen[bytes], folder: Path, said_before: int) -> None:
    end = time.monotonic() + BEGIN_SECONDS
    while writing_process(folder) != process.pid:
        if process.poll() is not None:
            if process.returncode in (0, 1):  # it was that fast
                break
            raise NotBegunError(
                _last_line(folder / ENGINE_LOG, said_before) or f"it exited with status {process.returncode}"
            )
        if time.monotonic() > end:
            _end(process)  # before anybody else goes on with the experiment
            raise NotBegunError(f"process {process.pid} did not start within {BEGIN_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends it, by force where it does not obey: what it wrote until then is whole, as after any other end."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(arguments: list[str]) -> int:
    """Goes on with what is left of an experiment; SIGTERM saves where it stands and ends, a second one ends at once.

    Exit status: 0 it ended or was suspended, the log tells how; 1 it failed as a whole, 2 it could not begin (both with
    one line on stderr); 130 ended at once.
    """
    *options, folder = arguments
    host: thread.ThreadHost | None = None
    asked = False

    def suspend(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(130)  # the interpreter's own end would wait for threads, and abort those that compute
        asked = True
        if host is not None:
            host.ask("suspend")

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, suspend)
    try:
        host = thread.resume(Path(folder), force="--force" in options)
    except (UserError, OSError) as error:
        sys.stderr.write(f"tl-tui: {error}\n")
        return 2
    if asked:
        host.ask("suspend")
    while not host.wait(3600):
        pass
    if host.failure is not None:
        sys.stderr.write(f"tl-tui: {host.error}\n")
    return 1 if host.failure else 0


def _last_line(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        lines = file.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("tl-tui: ") if lines else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
