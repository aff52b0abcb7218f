"""A process that is stopped and goes on: the app gives the terminal back meanwhile, and draws everything anew."""

from __future__ import annotations

import os
import signal
from asyncio import Handle
from contextlib import suppress

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class StoppedInOrder(LinuxDriver):
    """Draws everything anew after a stop, also after one that no program can answer (SIGSTOP, by which batch systems
    hold jobs): then lets go of the terminal before it takes it again.

    Textual would begin a second time beside what still runs: with every such stop one more thread reads the keys and
    wakes ten times a second. And it would draw only what has changed. Asked to stop (SIGTSTP) in the middle of a write
    it would wait for ever for that write to end. So the loop answers both, between two of the things that it does; what
    goes on before that is not stopped any more, as the system itself has it.
    """

    _stopping: Handle | None = None

    def _sigtstp_application(self, *_: object) -> None:
        if self._stopping is not None:
            return
        try:
            self._stopping = self._loop.call_soon_threadsafe(self._stop)
        except RuntimeError:  # the loop has just ended, with the screen
            os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        if self._stopping is not None:
            self._stopping.cancel()
            self._stopping = None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._begin_anew)

    def _stop(self) -> None:
        self._stopping = None
        if self._auto_restart and self._app.is_running:
            self._let_go()
            self._must_signal_resume = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _begin_anew(self) -> None:
        if self._auto_restart and self._app.is_running:
            self._let_go()
            self.resume_application_mode()
            self._app.refresh()

    def _let_go(self) -> None:
        if self._key_thread is not None and self._key_thread.is_alive():
            self.suspend_application_mode()


def stop_in_order(app: App[None]) -> None:
    """Lets an app that has the terminal to itself stop as :class:`StoppedInOrder` does."""
    if app.driver_class is LinuxDriver:
        app.driver_class = StoppedInOrder
