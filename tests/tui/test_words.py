"""What a person reads of each stage: how far it is, how fast, how long it will still take."""

from __future__ import annotations

import msgspec
import pytest

from engine.logs import events as ev
from engine.logs.events import AnyEvent, Stage
from engine.specs import spec
from engine.specs.presets import on_rung
from engine.specs.spec import DataSource
from engine.states.replay import replay
from engine.states.state import ExperimentState, condition
from tests.tui import logs
from tui.screens.live import last_heard, notice
from tui.widgets.header import first_line
from tui.widgets.run_pane import head
from tui.words import run_words

EVENTS = logs.events()
TUNED, EXTRACTED = "resnet18-finetune-0", "mobilenetv3-extract-0"


def begun(*more: AnyEvent, decoded: bool = True) -> ExperimentState:
    return replay([*logs.until("DataDecoded" if decoded else "ExperimentStarted", 1, EVENTS), *more])


def stage(name: Stage, detail: str, elapsed: float = 10.0, run: str = TUNED) -> AnyEvent:
    return ev.StageChanged(run=run, stage=name, detail=detail, elapsed=elapsed)


def progress(name: Stage, step: int, steps: int, speed: float | None = None, run: str = TUNED) -> AnyEvent:
    return ev.Progress(run=run, stage=name, step=step, steps=steps, images_per_second=speed, elapsed=20.0)


def test_decoding_is_told_where_every_run_waits() -> None:
    state = begun(stage("decoding", "reading files", run=""), decoded=False)
    assert run_words.activity(state.runs[0], state).plain == "reading files"
    state = replay([progress("decoding", 100, 400, 50.0, run="")], state)
    assert run_words.activity(state.runs[1], state).plain == "reading files · image 100/400 · 50 images/s · 0:06 left"
    state = begun(stage("decoding", "decoding", run=""), decoded=False)
    assert run_words.going_on(state) == "decoding images"


def test_a_run_waits_for_those_before_it_until_the_experiment_ends() -> None:
    spec_of = begun().spec
    assert spec_of is not None
    state = replay([msgspec.structs.replace(EVENTS[0], spec=msgspec.structs.replace(spec_of, seeds=(0, 1)))])  # type: ignore[type-var]
    state = replay([stage("training", "")], state)
    said = [run_words.activity(run, state).plain for run in state.runs[1:]]
    assert said == ["next", "after 2 others", "after 3 others"]
    state = replay([ev.ExperimentFinished(end="stopped")], state)
    assert [condition(run, state) for run in state.runs] == ["stopped", *["not begun"] * 3]
    assert run_words.activity(state.runs[1], state).plain == "the experiment ended before it started"


def test_the_first_line_never_leaves_out_how_it_ended() -> None:
    state = replay(EVENTS)
    assert "2 classes · finished" in first_line(state, 100).plain
    for width in (50, 58):
        line = first_line(state, width).plain
        assert "finished" in line and "classes" not in line and len(line) <= width


def test_the_first_line_says_of_an_experiment_what_runs_says() -> None:
    failed = ev.RunFailed(run=TUNED, kind="diverged", message="loss is nan", advice="")
    left = msgspec.structs.replace(begun(ev.CommandApplied(action="pause")), interrupted=True)
    states = (replay([*EVENTS[:-1], failed, EVENTS[-1]]), begun(failed, ev.ExperimentFinished(end="stopped")), left)
    said = [first_line(state, 100).plain.partition("2 classes")[2].split() for state in states]
    assert [words[:2] for words in said] == [["·", "failed"], ["·", "failed"], ["·", "interrupted"]]
    assert not {"finished", "stopped", "paused"} & {word for words in said for word in words}
    assert first_line(begun(failed), 100).plain.partition("2 classes")[2].split()[:1] != ["·"], "others go on"


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
        ([stage("validating", "epoch 1"), progress("validating", 1, 3)], "● validating", "image 1/3"),
        ([stage("probing", ""), progress("probing", 3, 11)], "● fitting the last layer", "step 3/11"),
    ],
    ids=lambda value: value.removeprefix("● ") if isinstance(value, str) else "",
)  # fmt: skip
def test_every_stage_has_its_own_progress(events: list[AnyEvent], status: str, activity: str) -> None:
    state = begun(*events)
    run = state.run(TUNED)
    assert run_words.status(run, state).plain == status
    assert run_words.activity(run, state).plain == activity


def test_an_epoch_that_has_ended_is_not_shown_as_validating() -> None:
    state = replay(logs.until("EpochFinished", 3, EVENTS))
    run = state.run(TUNED)
    assert (run_words.status(run, state).plain, run_words.epoch(run)) == ("● training", "epoch 4/12")
    assert run_words.activity(run, state).plain.endswith(" · 91 images/s")
    state = replay(logs.until("EpochFinished", 12, EVENTS))
    run = state.run(TUNED)
    assert (run_words.status(run, state).plain, run_words.epoch(run)) == ("● running", "epoch 12/12")


def test_a_new_epoch_shows_the_speed_of_the_last_one_without_validation() -> None:
    state = replay([*logs.until("EpochFinished", 3, EVENTS), stage("training", "epoch 4", 99.0)])
    assert run_words.activity(state.run(TUNED), state).plain.endswith(" · 91 images/s")


def test_one_line_says_what_goes_on() -> None:
    warm = begun(stage("warming up", "torch.compile"))
    assert run_words.going_on(warm) == f"{TUNED} · warming up (torch.compile: this can take minutes)"
    trains = replay(logs.until("Progress", 10, EVENTS))
    assert run_words.going_on(trains) == f"{TUNED} · training · epoch 4/12 · step 6/8 · 91 images/s · ETA 0:27"
    features = begun(
        stage("features", "every image once", run=EXTRACTED), progress("features", 100, 400, 50.0, EXTRACTED)
    )
    said = "extracting features (every image once) · image 100/400 · 50 images/s · 0:06 left"
    assert run_words.going_on(features) == f"{EXTRACTED} · {said}"
    assert run_words.going_on(replay([ev.CommandApplied(action="pause", run=TUNED)], trains)) == ""
    assert run_words.going_on(replay(EVENTS)) == run_words.going_on(ExperimentState()) == ""


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
    state = replay(events)
    assert run_words.kept(state) == said
    facts = run_words.facts(state.run(TUNED), state).plain
    said = f"{said} · " if said else ""
    assert facts == f"every layer · 11.2 M parameters · fp32 · {said}torchvision IMAGENET1K_V1, torch hub cache"


def test_the_header_says_when_all_is_done_once_that_is_known() -> None:
    three = logs.events(spec.changed(logs.two_strategies(), seeds=[0, 1, 2]))

    def said(kind: str, number: int) -> str:
        return run_words.all_done(replay(logs.until(kind, number, three)))

    assert said("RunStarted", 1) == ""
    assert said("EpochFinished", 6) == "at least 1:36 left"  # 6 epochs and two runs; nothing is known of the short ones
    assert said("EpochFinished", 24 + 3) == "done in 1:08"  # 9 epochs, another run, and two short ones
    assert said("EpochFinished", 5 * 12 + 3) == ""  # none waits: the run's own time says it
    assert said("ExperimentFinished", 1) == ""


def many(seeds: int, folds: int | None = None) -> spec.Experiment:
    return spec.changed(logs.two_strategies(), seeds=list(range(seeds)), **({"folds": folds} if folds else {}))


def test_the_heading_says_how_images_are_divided() -> None:
    state = replay(logs.until("DataDecoded", 1, logs.events(many(1, 5))))
    assert run_words.division(state) == "397 in 5 folds"
    assert run_words.images(state) == (318, 79)
    assert "397 in 5 folds · 2 classes" in first_line(state, 100).plain
    assert state.data is not None
    tested = msgspec.structs.replace(begun(), decoded=ev.DataDecoded(train=244, val=153, test=1040, left_out=0))
    assert run_words.division(tested) == "244 train / 153 val / 1,040 test"
    before = msgspec.structs.replace(
        tested, decoded=None, data=msgspec.structs.replace(state.data, test={"ants": 3, "bees": 4})
    )
    assert run_words.division(before) == "244 train / 153 val / 7 test"


def test_which_of_its_strategy_s_runs_it_is() -> None:
    state = replay(logs.events(many(2, 3)))
    assert [run_words.part_of(run, state) for run in state.runs[::5]] == [
        "seed 0 · fold 1/3",
        "seed 0 · fold 3/3",
        "seed 1 · fold 3/3",
    ]
    state = replay(logs.events())
    assert run_words.part_of(state.runs[0], state) == "seed 0"


def test_how_strategies_stand_so_far() -> None:
    events = logs.events(many(5))
    state = replay(logs.until("ExperimentStarted", 1, events))
    assert run_words.so_far(state, 120).plain == "0/10 runs done"
    skips = [ev.RunFinished(run=run.run, end="skipped", memory=ev.Memory(1, 1)) for run in state.runs[1:3]]
    training = [*logs.until("EpochFinished", 1, events), *skips]
    assert run_words.so_far(replay(training), 120).plain == "0/10 runs done · 2 skipped", "they never began"
    both = replay([*logs.until("EpochFinished", 1, events), msgspec.structs.replace(skips[0], run=state.runs[0].run)])
    assert run_words.so_far(both, 120).plain.startswith("1/10 runs done · best val"), "it has a result"
    state = replay(logs.until("RunFinished", 5, events))
    best = [run.best.val.accuracy for run in state.runs[:5:2] if run.best]
    mean, deviation = sum(best) / 3, (sum((one - sum(best) / 3) ** 2 for one in best) / 2) ** 0.5
    said = run_words.so_far(state, 120).plain
    value = f"{100 * mean:.1f} ± {100 * deviation:.1f} % (3)"
    assert said.startswith(f"5/10 runs done · best val resnet18-finetune {value} · ")
    assert said.endswith(" % (2)")
    narrow = run_words.so_far(state, 78)
    assert narrow.cell_len <= 78
    assert narrow.plain.endswith(" % (2)"), "names give way, not numbers"
    probe = msgspec.structs.replace(state.runs[0], strategy=on_rung("resnet18", "probe"))
    three = msgspec.structs.replace(state, runs=(probe,) * 3)
    assert run_words.so_far(three, 120).plain.endswith("resnet18-probe 95.4 % (3)"), "no seed moved it"
    folds = tuple(msgspec.structs.replace(probe, fold=fold) for fold in (1, 2, 3))
    said = run_words.so_far(msgspec.structs.replace(state, runs=folds), 120).plain
    assert said.endswith("resnet18-probe 95.4 ± 0.0 % (3)"), "folds are of other images"
    first = replay(logs.until("RunFinished", 1, events))
    assert run_words.so_far(first, 120).plain.endswith("resnet18-finetune 95.4 %")


def test_the_test_of_a_run_is_told_while_it_goes_on_and_after_it() -> None:
    trained = logs.until("EpochFinished", 12, EVENTS)
    state = replay([*trained, stage("testing", "the best epoch, 10", 99.0), progress("testing", 64, 400, 50.0)])
    (run, *_) = state.runs
    assert run_words.status(run, state).plain == "● testing"
    assert run_words.activity(run, state).plain == "image 64/400 · 50 images/s · 0:07 left · the best epoch, 10"
    assert run_words.time(run, state) == ""
    assert "test" not in run_words.results(run).plain
    memory, test = logs._memory(0, False, False), ev.Metrics(0.3, 0.875, 40)
    finished = ev.RunFinished(run=TUNED, end="finished", seconds=3, cpu_seconds=4, memory=memory, test=test)
    state = replay([finished], state)
    assert "best 95.4 % @10   test 87.5 %   loss" in run_words.results(state.runs[0]).plain


def test_random_weights_cannot_be_overlooked() -> None:
    state = replay(logs.events(spec.changed(logs.two_strategies(2), weights="none")))
    assert "random initialisation · every layer" in head(state.runs[0], state, 56).plain
    assert "random" not in head(replay(EVENTS).runs[0], replay(EVENTS), 56).plain


def test_the_run_that_trained_last_is_the_one_heard_last_wherever_it_stands() -> None:
    runs = replay(EVENTS).runs
    assert 0 < last_heard(runs[0]) < last_heard(runs[1])
    begins_again = msgspec.structs.replace(logs.until("RunStarted", 1, EVENTS)[-1], elapsed=1000.0)
    trains, _ = replay([begins_again], replay(EVENTS)).runs
    assert last_heard(trains) == float("inf")
    assert last_heard(msgspec.structs.replace(trains, status="failed")) == 1000.0 > last_heard(runs[1])
    assert last_heard(replay(logs.until("ExperimentStarted", 1, EVENTS)).runs[0]) == 0


def test_a_run_says_how_much_of_its_time_cached_features_count() -> None:
    state = replay([*EVENTS, logs.until("RunFinished", 2, EVENTS)[-1]])
    run = msgspec.structs.replace(state.run(EXTRACTED), seconds=23.7, seconds_of_found_features=17.94)
    first = {width: head(run, state, width).plain.splitlines()[0] for width in (78, 57, 48, 40)}
    assert first[78].endswith("━  23.7 s (17.9 s cached features)")
    assert first[57].endswith("12/12  23.7 s (17.9 s cached features)")
    assert first[48].endswith("12/12  23.7 s (17.9 s cached)")
    assert first[40].endswith("━  23.7 s")
    going = msgspec.structs.replace(run, status="running", seconds=None)
    assert "cached" not in head(going, state, 78).plain
    assert "cached" not in head(state.run(EXTRACTED), state, 78).plain


def test_what_goes_on_again_says_how_long_it_will_take() -> None:
    begun_before = logs.until("EpochFinished", 3, EVENTS)
    memory, device = logs._memory(0, False, False), ev.Device("cpu", "a CPU", 1)
    stopped = [
        ev.RunFinished(run=TUNED, end="stopped", seconds=9.0, cpu_seconds=9.0, memory=memory),
        ev.ExperimentFinished(end="stopped"),
    ]
    again = [
        ev.ExperimentResumed(host="x", pid=1, device=device, versions={}),
        *(msgspec.structs.replace(event, epoch=4) for event in begun_before if isinstance(event, ev.RunStarted)),
        ev.Progress(run=TUNED, stage="training", step=1, steps=8, epoch=4, elapsed=99.0),
    ]
    state = replay([*begun_before, *stopped])
    assert run_words.time(state.runs[0], state) == "9.0 s"
    state = replay(again, state)
    assert run_words.time(state.runs[0], state).startswith("ETA 0:"), "not what it took until it was stopped"


def test_skipping_says_what_is_kept() -> None:
    before, after = (replay(logs.until(*until, EVENTS)) for until in (("Progress", 3), ("EpochFinished", 2)))
    assert before.current is not None and after.current is not None
    assert run_words.kept_if_skipped(before.current).startswith("No epoch has finished, so it will have no result.")
    assert run_words.kept_if_skipped(after.current).startswith("Its best epoch so far is saved.")
    assert run_words.asked("skip", before.current) == "Skipping"
    assert run_words.asked("skip", after.current) == "Skipping; saving its best epoch"
    waiting, over = after.runs[1], replay(EVENTS).runs[0]
    assert run_words.kept_if_skipped(waiting).startswith("It has not started and will have no result.")
    assert run_words.asked("skip", waiting) == "Skipping; it will not start"
    begun_before = msgspec.structs.replace(waiting, epochs=over.epochs)
    assert run_words.kept_if_skipped(begun_before).startswith("Its best epoch so far is saved.")
    assert run_words.asked("skip", begun_before) == "Skipping; saving its best epoch"
    assert run_words.kept_if_skipped(over) == "It has already ended (finished); nothing to skip"


def test_a_warning_takes_no_room_for_the_path_of_the_data() -> None:
    asked = spec.changed(logs.two_strategies(), data=DataSource(path="/scans/of a hospital"))
    before = replay(logs.until("ExperimentStarted", 1, logs.events(asked)))
    left_out = ev.Warned(message="/scans/of a hospital/train: 1 left out: notes.txt")
    assert notice(replay([left_out], before), 80).plain.endswith(": train: 1 left out: notes.txt")
    other = ev.Warned(message="/elsewhere: no room")
    assert notice(replay([other], before), 80).plain.endswith(": /elsewhere: no room")
