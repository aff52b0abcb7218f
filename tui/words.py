"""A run's state in words. Pure."""

from __future__ import annotations

from rich.text import Text

from engine.comparison.units import duration, percent, speed
from engine.eta import fraction_done, remaining_of_all, remaining_of_stage, remaining_seconds
from engine.events import Action
from engine.state import ExperimentState, RunState, StageProgress
from engine.text import shown
from tui.strategies import kind, rates
from tui.theme import AMBER, BLUE, GREY, SIGNS, STYLES, Condition, rgb

STAGES = {
    "weights": "finding weights",
    "decoding": "decoding images",
    "warming up": "warming up",
    "features": "extracting features",
    "probing": "solving for the last layer",
    "training": "training",
    "validating": "validating",
}
ASKED: dict[Action, str] = {
    "pause": "Pausing after the present step",
    "resume": "Going on",
    "skip": "Skipping: the best epoch so far is being saved",
    "stop": "Stopping: the best epoch so far is being saved",
    "suspend": "Ending here: where the run stands is being saved",
}
"""What is said when a command was sent; the panes show when it took effect."""
COMPILING = ": this can take minutes"
MUTED = rgb(GREY)


def title(run: RunState) -> str:
    """``resnet18 · fine-tune all``."""
    return f"{shown(run.strategy.backbone, 40)} · {kind(run.strategy)}"


def condition(run: RunState, state: ExperimentState, interrupted: bool) -> Condition:
    """The run's status as a person sees it."""
    if run.status == "running" and interrupted:
        return "interrupted"
    if run.status == "running" and state.paused:
        return "paused"
    return run.status


def status(run: RunState, state: ExperimentState, interrupted: bool) -> Text:
    """Sign and word: ``● training``."""
    now = condition(run, state, interrupted)
    word = STAGES[run.progress.stage] if now == "running" and run.progress else now
    return Text(f"{SIGNS[now]} {word}", STYLES[now])


def epoch(run: RunState) -> str:
    """``epoch 7/25``: the one under way, or how many are done."""
    present = len(run.epochs) + (run.status == "running" and len(run.epochs) < run.strategy.epochs)
    return f"epoch {present}/{run.strategy.epochs}"


def clock(seconds: float) -> str:
    """A coming duration: ``0:07``, ``1:32``, ``2:03:04``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time(run: RunState, state: ExperimentState, interrupted: bool) -> str:
    """How long it took, or how long it will still take; empty where nobody knows."""
    if run.seconds is not None:
        return duration(run.seconds)
    if run.is_over or interrupted:
        return ""
    left = remaining_seconds(run, *images(state))
    return "" if left is None else f"ETA {clock(left)}"


def images(state: ExperimentState) -> tuple[int, int]:
    """Images that an epoch trains on and validates, unreadable ones left out once that is known."""
    if state.decoded is not None:
        return state.decoded.train, state.decoded.val
    if state.data is not None:
        return sum(state.data.train.values()), sum(state.data.val.values())
    return 0, 0


def bar(fraction: float, width: int, style: str = rgb(BLUE)) -> Text:
    """A bar of ``width`` cells."""
    full = round(max(0.0, min(1.0, fraction)) * width)
    return Text.assemble(("━" * full, style), ("─" * (width - full), "#3a4150"))


def results(run: RunState) -> Text:
    """Latest and best validation accuracy, and the loss."""
    if run.latest is None or run.best is None:
        return Text("no epoch has ended yet" if run.status == "running" else "", MUTED)
    return Text.assemble(
        ("val accuracy ", MUTED),
        (percent(run.latest.val.accuracy), "bold"),
        ("   best ", MUTED),
        (percent(run.best.val.accuracy), f"bold {rgb(BLUE)}"),
        (f" @{run.best.epoch}", MUTED),
        ("   loss ", MUTED),
        f"{run.latest.val.loss:.3f}",
    )


def activity(run: RunState, state: ExperimentState, interrupted: bool) -> Text:
    """What goes on within the run: the stage's own steps, its speed, its loss."""
    progress = run.progress
    if run.status == "waiting":
        return waiting(state)
    epoch_without_steps = progress is not None and progress.stage in ("training", "validating") and not progress.steps
    if progress is None or epoch_without_steps or interrupted:
        return _afterwards(run)
    parts = measured(progress, state)
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if said := detail(progress):
        parts.append(said)
    return Text(" · ".join(parts), MUTED)


def waiting(state: ExperimentState) -> Text:
    """What a run waits for: another run, or what all runs share."""
    if state.stage is not None and state.stage.stage == "decoding":
        return Text(" · ".join([doing(state.stage), *measured(state.stage, state)]), MUTED)
    if state.current is not None:
        return Text(f"after {shown(state.current.run, 60)}", MUTED)
    return Text("")


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
        parts = [shown(run.run), parts[0], *([epoch(run)] if trains else []), *parts[1:], time(run, state, False)]
    return " · ".join(part for part in parts if part)


def all_done(state: ExperimentState) -> str:
    """When the last run ends, where runs wait and as many seconds as they need are known: ``done in 12:03``."""
    if state.end is not None or not any(run.status == "waiting" for run in state.runs):
        return ""
    left = remaining_of_all(state, *images(state))
    return "" if left is None else f"done in {clock(left)}"


def kept(state: ExperimentState) -> str:
    """Where the decoded images are, if not in memory as usual: ``images in a memory-mapped file``."""
    where = state.decoded.kept if state.decoded is not None else ""
    return "" if where in ("", "in memory") else f"images {shown(where, 60)}"


def facts(run: RunState, state: ExperimentState) -> Text:
    """Trainable parameters, precision, where weights came from and images are; random ones cannot be overlooked."""
    if not run.parameters_total:
        return Text("")
    trainable, total = count(run.parameters_trainable), count(run.parameters_total)
    which = f"all {total}" if run.parameters_trainable == run.parameters_total else f"{trainable} of {total}"
    parts = (f"trains {which} parameters", rates(run.stage_rates), shown(run.precision, 12), kept(state))
    network = " · ".join(part for part in parts if part)
    if run.weights.startswith("none"):
        return Text.assemble(("random initialisation", f"bold {rgb(AMBER)}"), (f" · {network}", MUTED))
    return Text(f"{network} · {shown(run.weights, 100)}", MUTED)


def count(number: int) -> str:
    """A count in a few characters: ``2,050``, ``1.52 M``."""
    return f"{number:,}" if number < 100_000 else f"{number / 1e6:.3g} M"


def line(run: RunState, state: ExperimentState, interrupted: bool, width: int) -> Text:
    """The run in one line of at most ``width`` cells: status, name, epoch, best accuracy, time."""
    now = condition(run, state, interrupted)
    longest = max((len(other.run) for other in state.runs), default=0)
    name = Text(f"{SIGNS[now]} {shown(run.run, 60)}", STYLES[now])
    name.truncate(max(8, min(longest + 2, width - 30)), overflow="ellipsis", pad=True)
    parts = [f"{status(run, state, interrupted).plain[2:]:<19}"] if width >= 70 else []
    done = epoch(run).removeprefix("epoch ") if run.status != "waiting" else ""
    parts.append(f"{done:>5}")
    parts.append(f"best {percent(run.best.val.accuracy):<7}" if run.best is not None else " " * 12)
    parts.append(time(run, state, interrupted))
    text = Text.assemble(name, " ", (" ".join(parts), MUTED), no_wrap=True)
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
    unit = "step" if progress.stage in ("training", "validating") else "image"
    return f"{unit} {progress.step:,}/{progress.steps:,}"


def _afterwards(run: RunState) -> Text:
    if run.latest is None:
        return Text("")
    return Text(f"train accuracy {percent(run.latest.train.accuracy)} · {speed(run.latest.images_per_second)}", MUTED)
