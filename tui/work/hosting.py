"""What trains in the app's own process: one experiment at a time, started, resumed and handed over in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.history.experiment_state import read_quickly, running_elsewhere
from engine.logs.writer_lock import is_being_written
from engine.specs.spec import Experiment
from engine.text import shown
from tui.errors import reason
from tui.work.loading import wait_until_loaded

if TYPE_CHECKING:
    from engine.hosts.thread import ThreadHost
    from engine.logs.events import Action
    from engine.states.state import ExperimentState

NICE = 5
"""How far training steps back, so that a key is answered while all cores train; it has no effect unless another process
competes for the cores."""


class Started(NamedTuple):
    """An experiment runs in the background of this process."""

    host: ThreadHost


class OthersTrain(NamedTuple):
    """A new experiment was not started, since others, by name, train on this machine already."""

    experiment: Experiment
    names: list[str]


class NotStarted(NamedTuple):
    """A new experiment, or an earlier one anew, could not be started, and why."""

    reason: str
    is_new: bool


class HandedOver(NamedTuple):
    """Nothing trains here any more: another process goes on with it, or it had come to its end."""


class NotHandedOver(NamedTuple):
    """What was to be handed over is about to go on here, and why."""

    reason: str


Outcome = Started | OthersTrain | NotStarted | HandedOver | NotHandedOver


class Trouble(NamedTuple):
    """Something about what trains here that its log cannot tell."""

    title: str
    text: str


class Hosting:
    """The experiment of this process, if there is one: ``host`` from its start on, also after its end.

    ``work`` runs a function in a thread; ``tell`` takes, from any thread, what became of it.
    ``detached``: the process that has taken the experiment over, ``is_handing_over`` while it is being started.
    ``is_starting``: between what was asked and ``host``.
    """

    def __init__(self, work: Callable[[Callable[[], None]], object], tell: Callable[[Outcome], object]) -> None:
        self.host: ThreadHost | None = None
        self.detached: int | None = None
        self.is_handing_over = False
        self.is_starting = False
        self._resumed: Path | None = None  # whose log does not tell yet that it goes on
        self._work = work
        self._tell = tell
        self._wanted: Action | None = None
        self._failed: ThreadHost | None = None
        self._problem = ""

    @property
    def is_training(self) -> bool:
        """Whether an experiment runs in this process."""
        return self.host is not None and self.host.is_alive()

    def is_resuming(self, folder: Path | None) -> bool:
        """Whether the earlier experiment in this folder is about to go on here, and its log does not tell so yet."""
        is_it = folder is not None and self._resumed == folder.absolute()
        return is_it and (self.is_starting or self.is_training)

    @property
    def is_starting_new(self) -> bool:
        """Whether an experiment is about to begin here, of which there is no log yet."""
        return self.is_starting and self._resumed is None

    @property
    def is_busy(self) -> bool:
        """Whether an experiment runs here, is about to, or is being handed over."""
        return self.is_starting or self.is_handing_over or self.is_training

    def has_read(self, folder: Path, state: ExperimentState) -> None:
        """Takes note of what the log in ``folder`` tells by now: what was resumed there may go on."""
        is_it = not self.is_starting and self._resumed == folder.absolute()
        if is_it and state.end is None and not state.interrupted:
            self._resumed = None

    def ask(self, action: Action) -> None:
        """Asks what trains here, or is about to, for something."""
        self._wanted = action  # first: the host may be made this moment
        if self.host is not None and self.host.is_alive():
            self.host.ask(action)

    def has_writer(self, folder: Path) -> bool:
        """Whether anybody, here or elsewhere, is at the experiment in this folder."""
        is_own = self.host is not None and self.host.folder.absolute() == folder.absolute()
        return (is_own and (self.is_training or self.is_handing_over)) or is_being_written(folder)

    def start(self, experiment: Experiment, out: Path, *, beside_others: bool = False) -> None:
        """Starts the experiment below ``out``: :class:`Started` or :class:`NotStarted` tells whether it could.

        :class:`OthersTrain` where others run below ``out`` elsewhere, unless it is to run ``beside_others``.
        """
        self._resumed = None
        self._begin(partial(_started, experiment, out, beside_others))

    def resume(self, folder: Path) -> None:
        """Goes on with what is left of an experiment, likewise, also where it was paused."""
        self._resumed = folder.absolute()
        self._begin(partial(_resumed, folder))
        self.ask("resume")

    def hand_over(self, folder: Path) -> None:
        """Leaves the experiment, which was asked to be suspended, to a process of its own, or where it came to its end
        before that as it is: :class:`HandedOver`. Where that cannot be, :class:`NotHandedOver`, it goes on here.
        """
        self.is_handing_over, self._wanted = True, None  # that it be suspended was obeyed
        self._work(partial(self._hand_over, folder))

    def problem_in(self, folder: Path | None) -> str:
        """Why the log in this folder cannot be written by what trains here, in one line: the file and, after the last
        colon, the reason; empty where it can.
        """
        host = self.host
        return shown(host.problem) if host is not None and host.folder == folder and host.is_alive() else ""

    def troubles(self, folder: Path | None, state: ExperimentState) -> Iterator[Trouble]:
        """What there is to tell since the last time; ``folder`` and ``state``: of the experiment that is shown."""
        host = self.host
        if host is None:
            return
        problem = self.problem_in(host.folder)
        if problem and problem != self._problem:
            goes_on = "Training continues and writing is retried."
            yield Trouble("Cannot write the log", f"{problem}. {goes_on}")
        self._problem = problem
        if host is not self._failed and not host.is_alive() and host.error:
            self._failed = host
            if folder != host.folder or state.end is None:  # else its last event tells it
                yield Trouble("The experiment failed", shown(host.error))

    def _begin(self, make: Callable[[], ThreadHost]) -> None:
        self.is_starting, self._wanted = True, None  # at once: the thread may be late
        self._work(partial(self._make, make))

    def _make(self, make: Callable[[], ThreadHost]) -> None:
        self.is_starting = True
        try:
            outcome = self._made(make)
        finally:
            self.is_starting = False  # before it is told: what is shown then is of now
        self._tell(outcome)

    def _made(self, make: Callable[[], ThreadHost]) -> Started | OthersTrain | NotStarted:
        wait_until_loaded()
        try:
            self.host = make()  # kept before anybody is told: the app may be about to end
            if self._wanted is not None:
                self.host.ask(self._wanted)
        except _OthersTrainError as found:
            return OthersTrain(found.experiment, found.names)
        except Exception as error:
            return NotStarted(reason(error), is_new=self._resumed is None)
        return Started(self.host)

    def _hand_over(self, folder: Path) -> None:
        from engine.hosts.process import NotBegunError, detach  # noqa: PLC0415 - not needed to begin

        try:
            if read_quickly(folder)[0].end is None:
                self.detached = detach(folder)
        except NotBegunError as error:
            self._keep(folder, str(error))
        except Exception as error:
            self._keep(folder, reason(error))
        else:
            self._tell(HandedOver())
        self.is_handing_over = False

    def _keep(self, folder: Path, reason: str) -> None:
        """Goes on here with what could not be handed over."""
        self._tell(NotHandedOver(reason))
        self._resumed = folder.absolute()
        self._make(partial(_resumed, folder))


class _OthersTrainError(Exception):
    def __init__(self, experiment: Experiment, names: list[str]) -> None:
        super().__init__()
        self.experiment, self.names = experiment, names


def _started(experiment: Experiment, out: Path, beside_others: bool) -> ThreadHost:
    from engine.hosts import thread  # noqa: PLC0415 - finds images, which nobody needs before

    if not beside_others and (others := running_elsewhere(out)):
        raise _OthersTrainError(experiment, [folder.name for folder in others])
    return thread.start(experiment, out, NICE)


def _resumed(folder: Path) -> ThreadHost:
    from engine.hosts import thread  # noqa: PLC0415

    return thread.resume(folder, NICE)
