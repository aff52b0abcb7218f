"""A run's state in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from statistics import mean, stdev

from rich.text import Text

from engine.comparison.columns import are_probes, is_spread
from engine.logs.events import Action
from engine.models.origin import RANDOM
from engine.states.eta import fraction_done, remaining_of_all, remaining_of_stage, remaining_seconds
from engine.states.state import ExperimentState, RunState, StageProgress, condition
from engine.text import shown
from engine.units import clock, duration, percent, short_count, speed, spread
from tui.drawing.text import told_apart
from tui.drawing.theme import AMBER, BLUE, GREY, LINE, SIGNS, STYLES, rgb
from tui.words.strategies import rates, what_trains

STAGES = {
    "weights": "finding weights",
    "decoding": "decoding images",
    "warming up": "warming up",
    "features": "extracting features",
    "probing": "fitting the last layer",
    "training": "training",
    "validating": "validating",
    "testing": "testing",
}
ASKED: dict[Action, str] = {
    "pause": "Pausing after this step",
    "resume": "Resuming",
    "skip": "Skipping; saving its best epoch",
    "stop": "Stopping; saving its state",
    "suspend": "Suspending; saving its state",
}
"""Notices (at most 40 characters) when a command is sent; the panes show when it takes effect."""
MOST_NAME = 160
"""Characters of a name, of which as many are shown as have room."""
COMPILING = ": this can take minutes"
MUTED = rgb(GREY)
FEWEST_BAR = 8
"""Cells below which a bar beside a run's line tells nothing."""


KEPT_IF_STOPPED = "Its progress and best epoch so far are saved"
"""What happens to the current run when the experiment is stopped."""


def asked(action: Action, run: RunState | None) -> str:
    """The notice when a command is sent, ``run`` being the one that it ends; says what is saved only if there is
    something.
    """
    if action == "skip" and run is not None and run.status == "waiting" and not run.epochs:
        return "Skipping; it will not start"
    said = ASKED[action]
    is_nothing = (action == "skip" and (run is None or not run.epochs)) or (action == "stop" and run is None)
    return said.partition(";")[0] if is_nothing else said


def kept_if_skipped(run: RunState) -> str:
    """What happens to a run that is skipped now; it cannot be resumed."""
    if run.is_over:
        return f"It has already ended ({run.status}); nothing to skip"
    if run.epochs:
        said = "Its best epoch so far is saved"
    elif run.status == "waiting":
        said = "It has not started and will have no result"
    else:
        said = "No epoch has finished, so it will have no result"
    return f"{said}.\nA skipped run cannot be resumed"


def status(run: RunState, state: ExperimentState) -> Text:
    """Sign and word: ``● training``."""
    now = condition(run, state)
    word = STAGES[run.progress.stage] if now == "running" and run.progress else now
    return Text(f"{SIGNS[now]} {word}", STYLES[now])


def epoch(run: RunState) -> str:
    """``epoch 7/25``: the one under way, or how many are done."""
    present = len(run.epochs) + (run.status == "running" and len(run.epochs) < run.strategy.epochs)
    return f"epoch {present}/{run.strategy.epochs}"


def time(run: RunState, state: ExperimentState) -> str:
    """How long it took, or how long it will still take; empty where nobody knows."""
    if run.is_over:
        return "" if run.seconds is None else duration(run.seconds)
    if state.interrupted or (run.progress is not None and run.progress.stage == "testing"):
        return ""
    left = remaining_seconds(run, *images(state))
    return "" if left is None else f"ETA {clock(left)}"


def time_with_features(run: RunState, state: ExperimentState, width: int) -> str:
    """:func:`time`, and how much of it cached features count, in as many words as ``width`` cells have room for:
    ``23.7 s (17.9 s cached features)``.
    """
    said, found = time(run, state), run.seconds_of_found_features
    if not run.is_over or not said or not found:
        return said
    words = f"{said} ({duration(found)} cached"
    return next((full for full in (f"{words} features)", f"{words})") if len(full) <= width), said)


def images(state: ExperimentState) -> tuple[int, int]:
    """Images that an epoch trains on and validates, unreadable ones left out once that is known; of folds the mean."""
    train, val, _ = _parts(state)
    folds = state.spec.folds if state.spec is not None else None
    return (train, val) if folds is None else (train + val - (train + val) // folds, (train + val) // folds)


def division(state: ExperimentState) -> str:
    """How many images there are and for what: ``244 train / 153 val / 40 test``, ``397 in 5 folds / 40 test``."""
    train, val, test = _parts(state)
    folds = state.spec.folds if state.spec is not None else None
    said = f"{train:,} train / {val:,} val" if folds is None else f"{train + val:,} in {folds} folds"
    return said + (f" / {test:,} test" if test else "")


def _parts(state: ExperimentState) -> tuple[int, int, int]:
    if state.decoded is not None:
        return state.decoded.train, state.decoded.val, state.decoded.test
    if state.data is not None:
        train, val, test = (sum(part.values()) for part in (state.data.train, state.data.val, state.data.test))
        return train, val, test
    return 0, 0, 0


def bar(fraction: float, width: int, style: str = rgb(BLUE)) -> Text:
    """A bar of ``width`` cells."""
    full = round(max(0.0, min(1.0, fraction)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), rgb(LINE)))


def _plain(style: str) -> str:
    return style.removeprefix("bold ")


def results(run: RunState) -> Text:
    """Latest and best validation accuracy, and the loss; what the test said, once it was done."""
    if run.latest is None or run.best is None:
        return Text("no epoch finished yet" if run.status == "running" else "", MUTED)
    test = () if run.test is None else (("   test ", MUTED), (percent(run.test.accuracy), "bold"))
    return Text.assemble(
        ("val accuracy ", MUTED),
        (percent(run.latest.val.accuracy), "bold"),
        ("   best ", MUTED),
        (percent(run.best.val.accuracy), f"bold {rgb(BLUE)}"),
        (f" @{run.best.epoch}", MUTED),
        *test,
        ("   loss ", MUTED),
        f"{run.latest.val.loss:.3f}",
    )


def activity(run: RunState, state: ExperimentState) -> Text:
    """What goes on within the run: the stage's own steps, its speed, its loss."""
    progress = run.progress
    if run.status == "waiting":
        return waiting(run, state)
    epoch_without_steps = progress is not None and progress.stage in ("training", "validating") and not progress.steps
    if progress is None or epoch_without_steps or state.interrupted:
        return _afterwards(run)
    parts = measured(progress, state)
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if said := detail(progress):
        parts.append(said)
    return Text(" · ".join(parts), MUTED)


def waiting(run: RunState, state: ExperimentState) -> Text:
    """What a run waits for: those before it, or what all runs share."""
    if state.stage is not None and state.stage.stage == "decoding":
        return Text(" · ".join([doing(state.stage), *measured(state.stage, state)]), MUTED)
    before = [one for one in takewhile(lambda one: one.run != run.run, state.runs) if not one.is_over]
    if state.current is not None and before:
        return Text("next" if len(before) == 1 else f"after {len(before)} others", MUTED)
    return Text("the experiment ended before it started" if state.end else "", MUTED)


def doing(progress: StageProgress) -> str:
    """The stage and what of it goes on: ``extracting features (every image once)``."""
    word, said = STAGES[progress.stage], detail(progress)
    if progress.stage == "decoding":
        return word if said in ("", "decoding") else said
    return f"{word} ({said})" if said else word


def detail(progress: StageProgress) -> str:
    """What the stage says of itself; the epoch is said elsewhere."""
    if progress.stage in ("training", "validating"):
        return ""
    return shown(progress.detail, 60) + (COMPILING if progress.detail == "torch.compile" else "")


def measured(progress: StageProgress, state: ExperimentState) -> list[str]:
    """How far a stage is, its speed, how long it will still take; where nothing is counted, how long it has taken."""
    parts = [_steps(progress)] if progress.steps else []
    if progress.images_per_second:
        parts.append(speed(progress.images_per_second))
    left, taken = remaining_of_stage(progress), state.elapsed - progress.since
    if left is not None:
        parts.append(f"{clock(left)} left")
    elif not parts and taken >= 1 and progress.stage not in ("training", "validating"):
        parts.append(clock(taken))
    return parts


def going_on(state: ExperimentState) -> str:
    """What goes on now in one line, for those who see nothing else; empty where nothing does."""
    run = state.current
    progress = run.progress if run is not None else state.stage
    if progress is None or state.paused:
        return ""
    parts = [doing(progress), *measured(progress, state)]
    if run is not None:
        trains = progress.stage in ("training", "validating")
        parts = [shown(run.run), parts[0], *([epoch(run)] if trains else []), *parts[1:], time(run, state)]
    return " · ".join(part for part in parts if part)


def all_done(state: ExperimentState) -> str:
    """When the last run ends, where runs wait: ``done in 12:03``, or of some of them ``at least 12:03 left``."""
    if state.end is not None or not any(run.status == "waiting" for run in state.runs):
        return ""
    left = remaining_of_all(state, *images(state))
    if left is None:
        return ""
    return f"at least {clock(left.seconds)} left" if left.is_least else f"done in {clock(left.seconds)}"


def kept(state: ExperimentState) -> str:
    """Where the decoded images are, if not in memory as usual: ``images in a memory-mapped file``."""
    where = state.decoded.kept if state.decoded is not None else ""
    return "" if where in ("", "in memory") else f"images {shown(where, 60)}"


def facts(run: RunState, state: ExperimentState) -> Text:
    """What trains, precision, where weights came from and images are; random ones cannot be overlooked."""
    if not run.parameters_total:
        return Text("")
    trainable, total = short_count(run.parameters_trainable), short_count(run.parameters_total)
    which = total if run.parameters_trainable == run.parameters_total else f"{trainable} of {total}"
    parts = (
        what_trains(run.strategy),
        f"{which} parameters",
        rates(run.stage_rates),
        shown(run.precision, 12),
        kept(state),
    )
    network = " · ".join(part for part in parts if part)
    if run.weights == RANDOM:
        return Text.assemble(("random initialisation", f"bold {rgb(AMBER)}"), (f" · {network}", MUTED))
    return Text(f"{network} · {shown(run.weights, 100)}", MUTED)


def part_of(run: RunState, state: ExperimentState) -> str:
    """Which of its strategy's runs it is: ``seed 0``, ``seed 0 · fold 2/5``."""
    folds = state.spec.folds if state.spec is not None else None
    return f"seed {run.seed}" + (f" · fold {run.fold}/{folds}" if run.fold is not None else "")


def so_far(state: ExperimentState, width: int) -> Text:
    """How many runs are over and how many never began, and each strategy's best validation accuracy: the mean and
    deviation of those that are over, and how many these are. In at most ``width`` cells.
    """
    skipped = sum(run.never_began for run in state.runs)
    over = sum(run.is_over for run in state.runs) - skipped
    found: dict[str, list[RunState]] = {run.strategy.name: [] for run in state.runs}
    for run in state.runs:
        if run.is_over and run.best is not None:
            found[run.strategy.name].append(run)
    said = {name: _mean(runs) for name, runs in found.items() if runs}
    also = f" · {skipped} skipped" if skipped else ""
    text = Text(f"{over}/{len(state.runs)} runs done{also}", no_wrap=True)
    if said:
        begin = " · best val " if width >= 100 else " · "
        room = width - text.cell_len - len(begin) - sum(len(one) + 4 for one in said.values())
        text.append(begin, MUTED)
        names = told_apart([shown(name, MOST_NAME) for name in said], max(8, room // len(said)))
        for number, (name, values) in enumerate(zip(names, said.values(), strict=True)):
            text.append(" · " if number else "", MUTED)
            text.append(f"{name} ", MUTED).append(values)
    text.truncate(width, overflow="ellipsis")
    return text


def mean_accuracy(values: Sequence[float], of_probes: bool) -> str:
    """``93.5 ± 0.6 %``; of one run, and of probes of the same images that no seed moved, ``93.5 %``."""
    return spread(mean(values), stdev(values), percent) if is_spread(values, of_probes) else percent(values[0])


def _mean(runs: Sequence[RunState]) -> str:
    """:func:`mean_accuracy` and of how many runs, where there are several: ``93.5 ± 0.6 % (5)``."""
    values = [run.best.val.accuracy for run in runs if run.best is not None]
    said = mean_accuracy(values, are_probes(runs))
    return f"{said} ({len(values)})" if len(values) > 1 else said


def lines(state: ExperimentState, which: Sequence[int], width: int) -> list[Text]:
    """Some of the runs, by their numbers, a line of at most ``width`` cells each: see :func:`_line`. All names are cut
    together, so that they differ.
    """
    names = [shown(run.run, MOST_NAME) for run in state.runs]
    longest = max(map(len, names), default=0)
    room = max(8, min(longest + 2, width - 30))
    said = told_apart(names, room - 2)
    with_status = width >= max(70, longest + 49)
    bar_cells = min(24, width - room - 54) if with_status else 0
    return [_line(state.runs[at], state, said[at], room, with_status, bar_cells, width) for at in which]


def _line(
    run: RunState, state: ExperimentState, said: str, room: int, with_status: bool, bar_cells: int, width: int
) -> Text:
    """A sign with the run's name, status, epoch, a bar where that has room, best accuracy, time."""
    now = condition(run, state)
    name = Text(f"{SIGNS[now]} {said}", STYLES[now])
    name.truncate(room, overflow="ellipsis", pad=True)
    begin = f"{status(run, state).plain[2:]:<19} " if with_status else ""
    done = epoch(run).removeprefix("epoch ") if run.status != "waiting" else ""
    best = f"best {percent(run.best.val.accuracy):<7}" if run.best is not None else " " * 12
    text = Text.assemble(name, " ", (f"{begin}{done:>5} ", MUTED), no_wrap=True)
    if bar_cells >= FEWEST_BAR:
        begun = run.status != "waiting"
        text.append_text(bar(overall(run), bar_cells, _plain(STYLES[now])) if begun else Text(" " * bar_cells))
        text.append("  ")
    text.append(f"{best} {time(run, state)}", MUTED)
    text.truncate(width, overflow="ellipsis")
    return text


def overall(run: RunState) -> float:
    """How much of the run is done, 0..1; before training, how much of the stage."""
    if run.status == "finished":
        return 1.0
    progress = run.progress
    if progress is not None and progress.stage not in ("training", "validating"):
        return progress.step / progress.steps if progress.steps else 0.0
    return fraction_done(run)


def _steps(progress: StageProgress) -> str:
    if progress.stage == "weights":
        return f"{100 * progress.step / progress.steps:.0f} %"
    unit = "step" if progress.stage in ("training", "probing") else "image"
    return f"{unit} {progress.step:,}/{progress.steps:,}"


def _afterwards(run: RunState) -> Text:
    if run.latest is None:
        return Text("")
    return Text(f"train accuracy {percent(run.latest.train.accuracy)} · {speed(run.latest.images_per_second)}", MUTED)
