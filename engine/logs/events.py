"""What happened: the events that an experiment writes to its log, one tagged struct each.

Imports without torch. Sizes are in bytes, durations in seconds, accuracies in 0..1. Readers ignore fields and
events they do not know, so that a log of a newer version can still be read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.specs.spec import Experiment

Stage = Literal["weights", "decoding", "warming up", "features", "probing", "training", "validating", "testing"]
CHECKING = "checking"
"""How the detail of the stage ``weights`` begins where nothing is fetched; every run begins and ends that stage so."""
Action = Literal["pause", "resume", "stop", "skip", "suspend"]
"""``stop`` ends an experiment with what it has; ``suspend`` ends only the process, and another goes on from there."""
RunEnd = Literal["finished", "stopped", "skipped"]
MOST = 2**53
"""Of what is counted: as much as a float still tells apart."""


class Metrics(Struct, frozen=True):
    """Means over ``images`` images: cross-entropy ``loss`` (natural logarithm) and ``accuracy`` in 0..1."""

    loss: float
    accuracy: Annotated[float, Meta(ge=0, le=1)]
    images: Annotated[int, Meta(ge=1)]


class Memory(Struct, frozen=True, omit_defaults=True):
    """Memory in use, in bytes.

    ``rss`` and ``peak_rss`` are the process's resident memory. On a CUDA device, ``allocated``, ``reserved`` and
    ``peak_allocated`` are PyTorch's own, ``device_used`` and ``device_total`` the card's, all processes together.
    Peaks are since the run began.
    """

    rss: int
    peak_rss: int
    allocated: int | None = None
    reserved: int | None = None
    peak_allocated: int | None = None
    device_used: int | None = None
    device_total: int | None = None


class Leak(Struct, frozen=True):
    """What groups of images (a patient, a scene) in both training and validation give away.

    ``shared`` of ``images`` validation images have their group in training. ``no_pixels``: the accuracy (0..1) of
    predicting each validation image's label from its group's labels in training, the commonest class where its group
    is not there; ``majority``: that of always saying the commonest class. ``groups`` are in both.
    """

    no_pixels: float
    majority: float
    shared: int
    images: int
    groups: int = 0


class DataSummary(Struct, frozen=True):
    """The data set: image counts by class name, in words how train and validation were divided, and what groups of
    images are known, if any, and what those in training give away of validation (``leak``), those in either of the test
    part (``test_leak``). ``test`` is empty where no part is set apart for it.
    """

    name: str
    path: str
    kind: Literal["folders", "csv", "demo"]
    classes: tuple[str, ...]
    train: dict[str, int]
    val: dict[str, int]
    split: str
    test: dict[str, int] = {}
    groups: str = ""
    leak: Leak | None = None
    test_leak: Leak | None = None


class Device(Struct, frozen=True):
    """Where training runs: torch's name (``cuda:0``), the hardware's name, and its memory in bytes; ``cores``: of a CPU
    those that the process may compute on, 0 where the device is another, or in logs of older versions.
    """

    torch_name: str
    hardware: str
    memory: int
    cores: int = 0


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that happened; the log stamps ``time`` (UTC) and ``elapsed`` (since the experiment began)."""

    time: Annotated[datetime, Meta(tz=True)] | None = None
    elapsed: float = 0.0


class Forecast(Struct, frozen=True):
    """How long an experiment will take, as earlier ones took: ``seconds`` of all runs of a strategy, by its name; those
    of which nothing is known are left out. ``decodes``: the images have to be decoded first, which comes on top.
    """

    seconds: dict[str, float] = {}
    decodes: bool = False


class ExperimentStarted(Event, frozen=True, kw_only=True):
    """The first event of a log, unless it could not even begin; ``forecast`` was made before anything was done."""

    name: str
    spec: Experiment
    data: DataSummary
    device: Device
    versions: dict[str, str]
    forecast: Forecast = Forecast()


class ExperimentResumed(Event, frozen=True, kw_only=True):
    """A process goes on with what an earlier one left: every run that :func:`engine.states.state.is_left`."""

    host: str
    pid: int
    device: Device
    versions: dict[str, str]


class DataDecoded(Event, frozen=True, kw_only=True):
    """Every image was read once; ``left_out`` could not be. ``kept`` says where the decoded ones are.

    ``fingerprint``: a digest of what the images show, their labels and their split. ``val_copies``: validation images
    whose bytes are those of a training image; of folds, images whose bytes another image has too. ``test_copies``: test
    images whose bytes are those of any other part's. ``val_conflicts``, ``test_conflicts``: those whose bytes an image
    of another class has, whatever its part; of folds the first counts training images too.
    """

    train: int
    val: int
    left_out: int
    kept: str = ""
    fingerprint: str = ""
    test: int = 0
    val_copies: int = 0
    test_copies: int = 0
    val_conflicts: int = 0
    test_conflicts: int = 0


class RunStarted(Event, frozen=True, kw_only=True):
    """One strategy with one seed begins, or goes on: with ``step`` steps of ``epoch`` done, and what came before it.

    ``weights`` says in words where they came from, ``none`` if random. ``fold`` is counted from 1.
    ``multiply_adds``: of one image's forward pass, 0 where they could not be counted. ``learning_rates`` are those of
    every epoch, empty where L-BFGS searches for its steps; where stages of the network have rates of their own they are
    the head's, and ``stage_rates`` those at the start, of the head and then of each stage below it.
    """

    run: str
    strategy: str
    seed: int
    weights: str
    parameters_total: int
    parameters_trainable: int
    precision: str
    learning_rates: tuple[float, ...]
    memory: Memory
    epoch: int = 1
    step: int = 0
    fold: int | None = None
    multiply_adds: int = 0
    stage_rates: tuple[float, ...] = ()


class StageChanged(Event, frozen=True, kw_only=True):
    """What the experiment does now; ``run`` is empty for what all runs share."""

    run: str = ""
    stage: Stage
    detail: str = ""


class Progress(Event, frozen=True, kw_only=True):
    """Steps done of a stage, at most five times a second; ``loss`` is the mean over the epoch so far."""

    run: str = ""
    stage: Stage
    step: int
    steps: int
    epoch: int = 0
    loss: float | None = None
    images_per_second: float | None = None


class LossMeasured(Event, frozen=True, kw_only=True):
    """The mean training ``loss`` of the steps of an epoch that follow ``after`` of its ``steps``, up to ``step``.

    A bounded number of times a run, and not where an epoch takes less than seconds: see
    :mod:`engine.training.loss_curve`.
    """

    run: str
    epoch: Annotated[int, Meta(ge=1, le=MOST)]
    after: Annotated[int, Meta(ge=0, le=MOST)]
    step: Annotated[int, Meta(ge=1, le=MOST)]
    steps: Annotated[int, Meta(ge=1, le=MOST)]
    loss: float


class EpochFinished(Event, frozen=True, kw_only=True):
    """An epoch (counted from 1) and its validation are over.

    ``train`` is measured while the epoch trains (with augmentation and dropout), ``val`` after it.
    ``learning_rate``: the last layer's in this epoch; 1 of a probe, whose solver needs none.
    ``seconds`` includes validation; ``train_seconds`` and ``images_per_second`` are of the training part.
    ``run_seconds``: what the run took until then, features included and pauses left out; 0 in logs of older versions.
    ``is_best``: the best validation accuracy so far, ties by lower loss.
    """

    run: str
    epoch: int
    train: Metrics
    val: Metrics
    learning_rate: float
    seconds: float
    train_seconds: float
    images_per_second: float
    memory: Memory
    is_best: bool
    run_seconds: float = 0.0


class ProbeSolved(Event, frozen=True, kw_only=True):
    """The best last layer was found, with the regularisation ``l2``; ``accuracy`` (0..1) is what cross-validation
    within the training images said of that, None where there was nothing to choose from or no way to divide them.
    """

    run: str
    l2: float
    accuracy: float | None = None


class MemorySampled(Event, frozen=True, kw_only=True):
    """Memory once a second; also the sign that the writer is alive."""

    run: str = ""
    memory: Memory


class FileSaved(Event, frozen=True, kw_only=True):
    """A file beside the log is whole. ``path`` is relative to the experiment's folder."""

    run: str
    kind: Literal["best", "predictions"]
    path: str
    epoch: int


class RunFinished(Event, frozen=True, kw_only=True):
    """A run ended without an error; ``seconds`` and ``cpu_seconds`` are its own, pauses left out, None where a person
    ended it before it had begun or gone on: then what an earlier process measured of it holds.

    ``test``: of the best epoch, where there is a test part and it was measured now; one that was measured of the same
    epoch before holds otherwise. ``joules``: the energy that the card took
    meanwhile, other programs' included, where NVML tells it. ``seconds_of_found_features``: those of ``seconds`` that
    extracting its features had taken, in another run or an earlier experiment.
    """

    run: str
    end: RunEnd
    seconds: float | None = None
    cpu_seconds: float | None = None
    memory: Memory
    test: Metrics | None = None
    joules: float | None = None
    seconds_of_found_features: float = 0.0


class RunFailed(Event, frozen=True, kw_only=True):
    """A run ended by an error: its ``kind``, a message in one line, and what to do about it."""

    run: str
    kind: str
    message: str
    advice: str = ""


class Warned(Event, frozen=True, kw_only=True):
    """Something a person should know that stops nothing."""

    run: str = ""
    message: str


class CommandApplied(Event, frozen=True, kw_only=True):
    """A person's command took effect; of a run that was skipped before it started :class:`RunFinished` alone tells."""

    action: Action
    run: str = ""


class ExperimentFinished(Event, frozen=True, kw_only=True):
    """The last event, unless somebody goes on. ``error``: why it could not, in one line, where that is so."""

    end: Literal["finished", "stopped", "failed"]
    error: str = ""


class Command(Struct, frozen=True):
    """What a person asks of a running experiment; ``run``: which is to be skipped, empty for the one that goes on."""

    action: Action
    time: Annotated[datetime, Meta(tz=True)] | None = None
    run: str = ""


AnyEvent = (
    ExperimentStarted
    | ExperimentResumed
    | DataDecoded
    | RunStarted
    | StageChanged
    | Progress
    | LossMeasured
    | EpochFinished
    | ProbeSolved
    | MemorySampled
    | FileSaved
    | RunFinished
    | RunFailed
    | Warned
    | CommandApplied
    | ExperimentFinished
)
