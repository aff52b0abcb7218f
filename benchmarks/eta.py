"""What was said of the time that experiments take, while they ran and before, against how long they took, as tables.

``python -m benchmarks.eta FOLDER …`` replays the logs of experiments that are over, event by event.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.report import header, table
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.log import event_reader
from engine.states.eta import remaining_seconds
from engine.states.replay import replay
from engine.states.state import ExperimentState

LATER = (1 / 3, 1 / 2, 2 / 3)


class Said(Struct, frozen=True):
    """What was foretold at a moment: which ``share`` of the time of the run's epochs was over, 0..1, and the ``error``
    as a share of that time, positive where too much was foretold; None where nothing was."""

    share: float
    error: float | None


def main() -> None:
    """Prints a row for each run that finished, then what was foretold before the experiments began."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="An experiment's folder.")
    logs = [event_reader(folder).read() for folder in parser.parse_args().folders]
    print(f"{header()}\n\n{table(HEAD, [row for log in logs for row in _rows(log)])}")
    print(f"\n{table(FORECAST_HEAD, [row for log in logs for row in _forecasts(log)])}")


HEAD = ("run", "epochs", "seconds", "first told at", *(f"off at {share:.0%}" for share in LATER), "most after 1/3")

FORECAST_HEAD = ("strategy", "runs", "epochs", "foretold, s", "took, s", "off")


def _rows(events: Sequence[AnyEvent]) -> Iterator[tuple[str, ...]]:
    for run in replay(events).runs:
        if run.status != "finished" or len(run.epochs) < 2 or run.probe is not None:
            continue
        begin = next(
            e.elapsed for e in events if isinstance(e, ev.StageChanged) and (e.run, e.stage) == (run.run, "training")
        )
        end = run.epochs[-1].elapsed
        told = list(said(events, run.run, begin, end))
        first = next((f"{one.share:.0%}" for one in told if one.error is not None), "–")
        at = [next((one for one in told if one.share >= share), None) for share in LATER]
        worst = max((one.error for one in told if one.share >= 1 / 3 and one.error is not None), key=abs, default=None)
        errors = [None if one is None else one.error for one in at]
        yield (run.run, str(len(run.epochs)), f"{end - begin:.1f}", first, *map(_percent, (*errors, worst)))


def said(events: Sequence[AnyEvent], run: str, begin: float, end: float) -> Iterator[Said]:
    """What the log foretold of a run whose epochs took from ``begin`` to ``end``, elapsed seconds, at each event."""
    state = ExperimentState()
    for event in events:
        state = replay([event], state)
        if state.decoded is None or not begin <= event.elapsed < end:
            continue
        left = remaining_seconds(state.run(run), state.decoded.train, state.decoded.val)
        whole = end - begin
        error = None if left is None else (left - (end - event.elapsed)) / whole
        yield Said((event.elapsed - begin) / whole, error)


def _forecasts(events: Sequence[AnyEvent]) -> Iterator[tuple[str, ...]]:
    """What was foretold of strategies all of whose runs finished, and what these took from their first event on."""
    state = replay(events)
    spans: dict[str, list[float]] = {}
    for event in events:
        spans.setdefault(getattr(event, "run", ""), []).append(event.elapsed)
    for name, foretold in state.forecast.seconds.items():
        runs = [run for run in state.runs if run.strategy.name == name]
        if all(run.status == "finished" for run in runs):
            took = sum(spans[run.run][-1] - spans[run.run][0] for run in runs)
            epochs = str(runs[0].strategy.epochs)
            yield name, str(len(runs)), epochs, f"{foretold:.1f}", f"{took:.1f}", _percent(foretold / took - 1)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:+.0%}"


if __name__ == "__main__":
    main()
