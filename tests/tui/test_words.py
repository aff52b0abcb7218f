"""What a person reads of each stage: how far it is, how fast, how long it will still take."""

from __future__ import annotations

import msgspec
import pytest

from engine import events as ev
from engine import spec
from engine.events import AnyEvent, Stage
from engine.state import ExperimentState, fold
from tests.tui import logs
from tui import words
from tui.widgets.header import first_line

EVENTS = logs.events()
TUNED, EXTRACTED = "resnet18-finetune-0", "mobilenetv3-extract-0"


def begun(*more: AnyEvent, decoded: bool = True) -> ExperimentState:
    return fold([*logs.until("DataDecoded" if decoded else "ExperimentStarted", 1, EVENTS), *more])


def stage(name: Stage, detail: str, elapsed: float = 10.0, run: str = TUNED) -> AnyEvent:
    return ev.StageChanged(run=run, stage=name, detail=detail, elapsed=elapsed)


def progress(name: Stage, step: int, steps: int, speed: float | None = None, run: str = TUNED) -> AnyEvent:
    return ev.Progress(run=run, stage=name, step=step, steps=steps, images_per_second=speed, elapsed=20.0)


def test_decoding_is_told_where_every_run_waits() -> None:
    state = begun(stage("decoding", "reading files", run=""), decoded=False)
    assert words.activity(state.runs[0], state, False).plain == "reading files"
    state = fold([progress("decoding", 100, 400, 50.0, run="")], state)
    assert (
        words.activity(state.runs[1], state, False).plain == "reading files · image 100/400 · 50 images/s · 0:06 left"
    )
    state = begun(stage("decoding", "decoding", run=""), decoded=False)
    assert words.going_on(state) == "decoding images"


@pytest.mark.parametrize(
    ("events", "status", "activity"),
    [
        ([stage("weights", "connecting to x")], "● finding weights", "connecting to x"),
        (
            [stage("weights", "downloading from x"), progress("weights", 450, 1000)],
            "● finding weights",
            "45 % · downloading from x",
        ),
        (
            [stage("warming up", "torch.compile"), ev.MemorySampled(run=TUNED, memory=logs._memory(0, False, False),
                                                                     elapsed=75.0)],
            "● warming up",
            "1:05 · torch.compile: this can take minutes",
        ),
        ([stage("warming up", "")], "● warming up", ""),
        (
            [stage("features", "8 views of every training image"), progress("features", 500, 2349, 280.0)],
            "● extracting features",
            "image 500/2,349 · 280 images/s · 0:07 left · 8 views of every training image",
        ),
        (
            [stage("training", "epoch 1"), progress("training", 4, 8, 91.0)],
            "● training",
            "step 4/8 · 91 images/s",
        ),
        ([stage("validating", "epoch 1"), progress("validating", 1, 3)], "● validating", "step 1/3"),
    ],
    ids=lambda value: value.removeprefix("● ") if isinstance(value, str) else "",
)  # fmt: skip
def test_every_stage_has_its_own_progress(events: list[AnyEvent], status: str, activity: str) -> None:
    state = begun(*events)
    run = state.run(TUNED)
    assert words.status(run, state, False).plain == status
    assert words.activity(run, state, False).plain == activity


def test_a_new_epoch_shows_the_speed_of_the_last_one_without_validation() -> None:
    state = fold([*logs.until("EpochFinished", 3, EVENTS), stage("training", "epoch 4", 99.0)])
    assert words.activity(state.run(TUNED), state, False).plain.endswith(" · 91 images/s")


def test_one_line_says_what_goes_on() -> None:
    warm = begun(stage("warming up", "torch.compile"))
    assert words.going_on(warm) == f"{TUNED} · warming up (torch.compile: this can take minutes)"
    trains = fold(logs.until("Progress", 10, EVENTS))
    assert words.going_on(trains) == f"{TUNED} · training · epoch 4/12 · step 6/8 · 91 images/s · ETA 0:27"
    features = begun(
        stage("features", "every image once", run=EXTRACTED), progress("features", 100, 400, 50.0, EXTRACTED)
    )
    said = "extracting features (every image once) · image 100/400 · 50 images/s · 0:06 left"
    assert words.going_on(features) == f"{EXTRACTED} · {said}"
    assert words.going_on(fold([ev.CommandApplied(action="pause", run=TUNED)], trains)) == ""
    assert words.going_on(fold(EVENTS)) == words.going_on(ExperimentState()) == ""


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("", ""),
        ("in memory", ""),
        ("on cuda:0", "images on cuda:0"),
        ("in a memory-mapped file", "images in a memory-mapped file"),
    ],
)
def test_where_images_are_is_said_unless_it_is_memory(kept: str, said: str) -> None:
    events = [
        msgspec.structs.replace(event, kept=kept) if isinstance(event, ev.DataDecoded) else event
        for event in logs.until("RunStarted", 1, EVENTS)
    ]
    state = fold(events)
    assert words.kept(state) == said
    facts = words.facts(state.run(TUNED), state).plain
    said = f"{said} · " if said else ""
    assert facts == f"trains all 11.2 M parameters · fp32 · {said}torchvision IMAGENET1K_V1, torch hub cache"


def test_the_header_says_when_all_is_done_once_that_is_known() -> None:
    three = logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2]))

    def header(kind: str, number: int, width: int = 100) -> str:
        return first_line(fold(logs.until(kind, number, three)), False, width).plain

    assert "done in" not in header("EpochFinished", 6)
    assert "2 classes · done in 1:08" in header("EpochFinished", 24 + 3)  # 9 epochs, another run, and two short ones
    assert "done in" not in header("EpochFinished", 24 + 3, width=60)
    assert "done in" not in header("EpochFinished", 5 * 12 + 3)  # none waits: the run's own time says it
    assert "done in" not in header("ExperimentFinished", 1)
