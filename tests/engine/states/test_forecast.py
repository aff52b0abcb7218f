"""What is foretold of an experiment, against made-up logs of runs whose costs are known to the second."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.logs import events as ev
from engine.logs.events import AnyEvent, Device, Forecast
from engine.specs.spec import Experiment
from engine.specs.strategy import LBFGS, SGD, AdamW, Augmentation, StepLR, Strategy
from engine.states.forecast import DataSize, RunCost, counted_size, forecast, run_costs
from tests.engine.known_costs import (
    CARD,
    CPU,
    DATA,
    FEATURES,
    FIXED,
    NOTHING,
    SAVING,
    SOLVING,
    TRAINING,
    VALIDATING,
    log,
)

TUNED = Strategy("tuned", epochs=4)
EXTRACTED = Strategy("extracted", trains="head", epochs=10)
EXTRACTED_TOO = replace(EXTRACTED, name="twin")
WARM = Strategy("warm", head="probe", epochs=4)
ONCE = FIXED + DATA.test * VALIDATING
"""Seconds of a run beside its epochs and features."""


def costs(*logs: list[AnyEvent]) -> list[RunCost]:
    return [cost for one in logs for cost in run_costs(one)]


def seconds(
    known: list[RunCost], *strategies: Strategy, images: DataSize = DATA, device: Device = CPU, **asked: Any
) -> dict[str, float]:
    experiment = Experiment(strategies, **asked)
    return forecast(known, experiment, images._replace(folds=experiment.folds), [device]).seconds


def epochs(count: int, train: int = 200, val: int = 100) -> Any:
    """Seconds of so many epochs: what saving takes is a share of each, which four of them tell a quarter too low."""
    return pytest.approx(count * (train * TRAINING + val * VALIDATING + SAVING * 3 / 4 * (train / 200)), abs=0.6)


def test_epochs_seeds_and_folds_are_counted() -> None:
    known = costs(log(TUNED))
    once = seconds(known, TUNED)["tuned"]
    assert once - ONCE == epochs(4)
    assert seconds(known, replace(TUNED, epochs=40))["tuned"] - ONCE == pytest.approx(10 * (once - ONCE))
    assert seconds(known, TUNED, seeds=(0, 1, 2))["tuned"] == pytest.approx(3 * once)
    in_folds = seconds(known, TUNED, seeds=(0, 1), folds=3)["tuned"]  # the same 300 images, divided otherwise
    assert in_folds == pytest.approx(6 * once)
    fewer = seconds(known, TUNED, images=DataSize("/fewer", 2, 100, 50, 0, None))["tuned"]
    assert fewer - FIXED == pytest.approx((once - ONCE) / 2)


def test_validation_and_training_have_their_own_speed() -> None:
    known = costs(log(TUNED))
    more = seconds(known, TUNED, images=DATA._replace(val=1100))["tuned"] - seconds(known, TUNED)["tuned"]
    assert more == pytest.approx(4 * 1000 * VALIDATING, rel=0.05)


def test_features_are_extracted_once_and_found_where_the_same_data_were_there_before() -> None:
    known = costs(log(EXTRACTED))
    others = DATA._replace(path="/others")
    again, anew = seconds(known, EXTRACTED)["extracted"], seconds(known, EXTRACTED, images=others)["extracted"]
    assert anew - again == pytest.approx(350 * FEATURES)
    three = seconds(known, EXTRACTED, images=others, seeds=(0, 1, 2))["extracted"]
    assert three == pytest.approx(3 * again + 350 * FEATURES)
    twin = replace(EXTRACTED, name="twin", optimizer=SGD(lr=0.1))
    both = seconds(known, EXTRACTED, twin, images=others)
    assert both == pytest.approx({"extracted": anew, "twin": again})  # they share them
    one_image_more = seconds(known, EXTRACTED, images=DATA._replace(test=51))["extracted"]
    assert one_image_more == pytest.approx(again + 351 * FEATURES + VALIDATING)


def test_random_views_are_counted() -> None:
    seen = replace(EXTRACTED, augmentation=Augmentation(flip=True, views=8))
    known = costs(log(seen))
    others = DATA._replace(path="/others")
    extracting = seconds(known, seen, images=others)["extracted"] - seconds(known, seen)["extracted"]
    assert extracting == pytest.approx((350 + 8 * 200) * FEATURES)
    in_folds = seconds(known, seen, images=others, folds=3)["extracted"] - seconds(known, seen, folds=3)["extracted"]
    assert in_folds == pytest.approx((350 + 8 * 300) * FEATURES)  # every image trains in one of them
    assert not seconds(known, replace(seen, augmentation=Augmentation(flip=True, views=4)))


def test_what_a_run_found_in_the_cache_is_not_its_fixed_cost() -> None:
    [second, first] = costs(log(EXTRACTED, EXTRACTED_TOO))
    assert second.fixed == pytest.approx(first.fixed) == pytest.approx(FIXED)
    assert second.features == pytest.approx(FEATURES)


def test_a_test_takes_what_validation_does_whether_there_was_one_or_not() -> None:
    for earlier in (0, 50, 1000):
        known = costs(log(TUNED, EXTRACTED, images=DATA._replace(test=earlier)))
        assert [cost.fixed for cost in known] == pytest.approx([FIXED, FIXED])
        without = seconds(known, TUNED, images=DATA._replace(test=0))["tuned"]
        for test in (20, 400):
            with_one = seconds(known, TUNED, images=DATA._replace(test=test), seeds=(0, 1, 2))["tuned"]
            assert with_one == pytest.approx(3 * (without + test * VALIDATING))


@pytest.mark.parametrize(
    "fetched",
    [
        (("connecting to x", 2.0), ("downloading from x", 90.0)),
        (("checking x.pth", 0.0), ("another process is fetching x.pth", 80.0), ("downloading from x", 5.0)),
    ],
    ids=["those of later runs", "its own"],
)
def test_weights_are_fetched_once(fetched: tuple[tuple[str, float], ...]) -> None:
    events = log(TUNED, EXTRACTED, fetched=fetched)
    sampled = ev.MemorySampled(run="tuned-0", memory=NOTHING)
    beating = [one for event in events for one in (replace(sampled, elapsed=event.elapsed), event)]
    for told in (events, beating):
        assert [cost.fixed for cost in costs(told)] == pytest.approx([FIXED, FIXED])


def test_a_probe_before_training_is_told_from_its_features() -> None:
    [cost] = costs(log(WARM))
    assert (cost.features, cost.solving) == pytest.approx((FEATURES, SOLVING))
    assert seconds([cost], WARM)["warm"] - ONCE - 200 * SOLVING == epochs(4)


def test_of_what_was_computed_otherwise_nothing_is_known() -> None:
    known = costs(log(TUNED, EXTRACTED))
    assert set(seconds(known, TUNED, EXTRACTED)) == {"tuned", "extracted"}
    for changes in (
        {"backbone": "resnet50"},
        {"trains": "batch-norm"},
        {"image_size": 64},
        {"batch_size": 8},
        {"optimizer": AdamW()},
        {"augmentation": Augmentation(flip=True)},
    ):
        assert not seconds(known, replace(TUNED, **changes)), changes  # type: ignore[arg-type]
    for changes in ({"schedule": StepLR(1)}, {"optimizer": SGD(lr=1.0)}, {"name": "x"}, {"class_weights": "balanced"}):
        assert seconds(known, replace(TUNED, **changes)), changes  # type: ignore[arg-type]
    assert not seconds(known, TUNED, compile=True) and seconds(known, EXTRACTED, compile=True)
    three_classes = DATA._replace(classes=3)
    assert set(seconds(known, TUNED, EXTRACTED, images=three_classes)) == {"tuned"}
    probe = Strategy("probe", trains="head", optimizer=LBFGS())
    [solved] = costs(log(probe))
    assert seconds([solved], probe) and not seconds([solved], replace(probe, optimizer=LBFGS(folds=3)))


def test_another_machine_device_or_precision_tells_nothing() -> None:
    known = costs(log(TUNED))
    assert seconds(known, TUNED, device=replace(CPU, memory=round(1.01 * CPU.memory)))
    for other in (replace(CPU, hardware="EPYC"), replace(CPU, memory=2 * CPU.memory), CARD):
        assert not seconds(known, TUNED, device=other)
    many, few = replace(CPU, cores=16), replace(CPU, cores=4)
    known_of_many = costs(log(TUNED, EXTRACTED, device=many))
    assert set(seconds(known_of_many, TUNED, EXTRACTED, device=many)) == {"tuned", "extracted"}
    assert not seconds(known_of_many, TUNED, EXTRACTED, device=few)
    assert seconds(known, TUNED, device=few)  # an older log does not tell its cores
    assert not seconds(known, TUNED, precision="bf16")
    assert seconds(known, TUNED, precision="fp32")  # which is what auto came to
    assert not forecast(known, Experiment((TUNED,)), DATA, [CPU, CARD]).seconds  # auto would take the card by now
    asked = Experiment((TUNED,), device="cpu")
    assert not forecast(known, asked, DATA, [CPU, CARD]).seconds  # nor does it say what was asked for then
    by_name = [replace(cost, asked=replace(cost.asked, device="cpu")) for cost in known]
    assert forecast(by_name, asked, DATA, [CPU, CARD]).seconds


def test_far_more_or_far_fewer_images_tell_nothing() -> None:
    known = costs(log(TUNED))
    for train, is_known in ((19, False), (20, True), (2000, True), (2001, False)):
        assert bool(seconds(known, TUNED, images=DATA._replace(train=train))) == is_known


def held_up(events: list[AnyEvent], at: int, *commands: AnyEvent, seconds: float = 500.0) -> list[AnyEvent]:
    """The same, but before the event ``at`` the commands come, with as many seconds between each two of them."""
    begin = events[at - 1].elapsed
    between = [replace(one, elapsed=begin + seconds * number) for number, one in enumerate(commands)]
    lost = seconds * (len(commands) - 1)
    return [*events[:at], *between, *(replace(one, elapsed=one.elapsed + lost) for one in events[at:])]


def told(action: ev.Action, run: str) -> ev.CommandApplied:
    return ev.CommandApplied(action=action, run=run)


def at(events: list[AnyEvent], kind: type[AnyEvent], number: int = 1) -> int:
    """The place of the so manieth event of this kind."""
    return [place for place, event in enumerate(events) if isinstance(event, kind)][number - 1]


@pytest.mark.parametrize("strategy", [TUNED, EXTRACTED, WARM], ids=lambda one: str(one.name))
def test_a_pause_is_no_part_of_what_a_run_took(strategy: Strategy) -> None:
    events, name = log(strategy, fetched=(("downloading from x", 30.0),)), f"{strategy.name}-0"
    [undisturbed] = costs(events)
    for place in range(3, len(events) - 1):  # wherever it is paused, also while its weights are fetched
        [cost] = costs(held_up(events, place, told("pause", name), told("resume", name)))
        for field in ("fixed", "features", "solving", "training", "validating"):
            assert getattr(cost, field) == pytest.approx(getattr(undisturbed, field)), (place, field)
    # paused while the images were decoded, which is no part of the run
    assert costs(held_up(events, 1, told("pause", name), told("resume", name))) == [undisturbed]


def test_a_run_whose_turn_came_while_all_was_paused_tells_what_it_took() -> None:
    events = log(TUNED, seeds=(0, 1))
    first, second = (f"tuned-{seed}" for seed in (0, 1))
    [cost, _] = costs(events)
    skipped = at(events, ev.EpochFinished, 3)  # of four epochs it had done three when it was paused and then skipped
    begins = at(events, ev.RunFinished)
    ended = replace(events[begins], end="skipped")
    events = [
        *held_up(events[: skipped + 1], skipped + 1, told("pause", first), told("skip", first)),
        *[replace(one, elapsed=one.elapsed + 500.0) for one in (ended, *events[begins + 1 :])],
    ]
    turn = at(
        events, ev.StageChanged, [one.run for one in events if isinstance(one, ev.StageChanged)].index(second) + 1
    )
    events = held_up(events, turn + 1, ev.MemorySampled(run=second, memory=NOTHING), told("resume", second))
    [waited, ended_early] = costs(events)
    assert waited.fixed == pytest.approx(cost.fixed)
    assert (ended_early.training, ended_early.validating) == pytest.approx((cost.training, cost.validating), rel=0.01)


def test_a_run_that_a_person_ended_tells_what_its_epochs_took() -> None:
    events, name = log(TUNED), "tuned-0"
    [whole] = costs(events)
    last, over = at(events, ev.EpochFinished, 2), at(events, ev.RunFinished)
    for action, end in (("skip", "skipped"), ("stop", "stopped")):
        finished = replace(events[over], end=end)
        [cost] = costs(
            [
                *events[: last + 1],
                replace(told(action, name), elapsed=events[last].elapsed + 40.0),  # within the third epoch, it is lost
                replace(events[over - 1], elapsed=events[last].elapsed + 40.0),
                replace(finished, elapsed=events[last].elapsed + 40.0 + DATA.test * VALIDATING + FIXED / 2),
            ]
        )
        assert cost.fixed == pytest.approx(whole.fixed, abs=SAVING)
        assert (cost.training, cost.validating) == pytest.approx((whole.training, whole.validating), rel=0.02)
        before_its_first = [one for one in events[:last] if not isinstance(one, ev.EpochFinished)]
        assert not costs([*before_its_first, told(action, name), finished])


def test_of_a_resumed_experiment_the_runs_of_one_process_each_tell() -> None:
    events = log(TUNED, EXTRACTED, EXTRACTED_TOO)
    on = ev.ExperimentResumed(host="", pid=1, device=CARD, versions={})
    assert len(costs(events)) == 3
    between = at(events, ev.RunFinished) + 1
    [third, second, first] = costs([*events[:between], on, *events[between:]])
    assert [one.device for one in (first, second, third)] == [CPU, CARD, CARD]
    within = at(events, ev.EpochFinished, TUNED.epochs + 3)
    assert [one.strategy.name for one in costs([*events[:within], on, *events[within:]])] == ["twin", "tuned"]


def test_what_did_not_end_or_does_not_say_what_it_took_tells_nothing() -> None:
    events = log(TUNED)
    assert costs(events)
    assert not costs(events[: at(events, ev.RunFinished)])
    older = [replace(one, run_seconds=0.0) if isinstance(one, ev.EpochFinished) else one for one in events]
    assert not costs(older)  # which do not tell what came before the epochs
    assert not costs([]) and not costs(events[1:])


def test_the_median_of_the_newest_five_tells() -> None:
    def slower(times: float) -> RunCost:
        [cost] = costs(log(TUNED))
        return replace(cost, training=times * cost.training, validating=0.0, fixed=0.0)

    usual = seconds([slower(1)], TUNED)["tuned"]
    assert seconds([slower(1), slower(9), slower(1)], TUNED)["tuned"] == pytest.approx(usual)
    newest_first = [*map(slower, (1, 1, 1, 1, 1)), *map(slower, (9,) * 20)]
    assert seconds(newest_first, TUNED)["tuned"] == pytest.approx(usual)


def test_images_that_were_not_decoded_yet_are_said_to_be() -> None:
    known = costs(log(TUNED))

    def decodes(*strategies: Strategy, images: DataSize = DATA) -> bool:
        return forecast(known, Experiment(strategies), images, [CPU]).decodes

    assert not decodes(TUNED) and not decodes(EXTRACTED)
    assert decodes(TUNED, images=DATA._replace(path="/others")) and decodes(TUNED, images=DATA._replace(val=101))
    assert decodes(TUNED, replace(EXTRACTED, image_size=64))
    assert forecast([], Experiment((TUNED,)), DATA, [CPU]) == Forecast({}, True)


def test_images_are_counted_by_part() -> None:
    counts = {"train": {"a": 3, "b": 2}, "val": {"a": 1, "b": 0}}
    assert counted_size("/x", counts, None) == DataSize("/x", 2, 5, 1, 0, None)
    assert counted_size("/x", counts | {"test": {"a": 2, "b": 2}}, 3).an_epoch == (4, 2)


def test_absurd_logs_tell_nothing() -> None:
    events = log(EXTRACTED)
    timeless = [
        replace(one, seconds=0.0, train_seconds=0.0) if isinstance(one, ev.EpochFinished) else one for one in events
    ]
    assert not costs(timeless)
    started = events[0]
    assert isinstance(started, ev.ExperimentStarted)
    without_images = replace(started.data, train={}, val={}, test={})
    assert not costs([replace(started, data=without_images), *events[1:]])
    endless = costs([*events[:-2], replace(events[-2], elapsed=1e308), events[-1]])
    assert endless and not seconds(endless, EXTRACTED, seeds=range(100))
