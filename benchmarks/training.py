"""Training by tl-tui against the loop of PyTorch's tutorial, a sketch of the same ideas, timm and fastai, as a table.

``python -m benchmarks.training --data FOLDER --weights FOLDER --json FILE`` measures and prints; every run is appended
to FILE as it ends, and what FILE holds of the same commit is not measured again, so that a call that was cut short goes
on. A side that fails is told below the table, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.measure import SideFailedError, Task, end_on_sigterm, measure
from benchmarks.report import PACKAGES, ROOT, commit, header
from benchmarks.training_table import Sample, training_table
from engine.data.demo import draw
from engine.logs.log import LineReader
from engine.specs.presets import DEFAULT_STRATEGIES, presets
from engine.specs.strategy import Augmentation, Strategy

EXTRACTION_EPOCHS = 25
SHORT_EPOCHS = 2
CROP_AREA = 0.5
"""The least share of an image that is seen where several views of it are asked for."""
Key = tuple[str, str, str, str, int, int, int]
DEMO = "the demo set"
SKETCH, COMPILED = "sketch", "engine, compiled"
PEERS = {SKETCH: "sketch", "timm": "peers_timm", "fastai": "peers_fastai"}
FETCH = """
import sys
from benchmarks.plain_loop import pretrained_weights
print(*(pretrained_weights(backbone, sys.argv[1]).origin for backbone in sys.argv[2:]), sep="; ")
"""


class Planned(Struct, frozen=True):
    """A run to be measured: of ``side`` as the table names it, by ``module``; the others as in :class:`Sample`."""

    data: str
    weights: str
    strategy: Strategy
    side: str
    module: str
    repeat: int
    seed: int
    full: bool

    @property
    def key(self) -> Key:
        """What tells it from the others of the same commit, as :func:`key` of its sample."""
        return self.data, self.weights, self.strategy.name, self.side, self.repeat, self.seed, self.strategy.epochs


def key(sample: Sample) -> Key:
    """What tells a sample from the others of the same commit."""
    return sample.data, sample.weights, sample.strategy, sample.side, sample.repeat, sample.seed, sample.epochs


def plan(
    data: str,
    weights: str,
    strategies: Sequence[Strategy],
    seeds: Sequence[int],
    repeats: int,
    peers: Sequence[str],
    compiled: bool = False,
) -> Iterator[tuple[Planned, ...]]:
    """The runs, in the order in which they are measured; those of one tuple share a cache and follow each other.

    The engine's second time is another experiment on the same images; ``compiled``: it is measured with
    ``torch.compile`` as well. Every repeat runs all sides, forwards and backwards in turn. The first repeats, one for
    each seed, are of full length; of fine-tuning, whose figure is that of an epoch, the others are shorter.
    """
    for repeat in range(repeats):
        seed = seeds[repeat] if repeat < len(seeds) else max(seeds) + repeat
        for strategy in strategies:
            epochs = strategy.epochs
            if repeat >= len(seeds) and strategy.trains == "all":
                epochs = min(epochs, SHORT_EPOCHS)
            full = epochs == strategy.epochs
            short = msgspec.structs.replace(strategy, epochs=epochs)
            engine: tuple[tuple[str, str], ...] = (("engine", "engine_run"),)
            if strategy.trains == "head":  # of fine-tuning only the decoding is saved
                engine += (("engine, second time", "engine_run"),)
            units: list[tuple[tuple[str, str], ...]] = [(("plain", "plain_loop"),), engine]
            units += [((COMPILED, "engine_run"),)] if compiled else []
            units += [((peer, PEERS[peer]),) for peer in peers if _can(peer, strategy)]
            for unit in units if repeat % 2 == 0 else reversed(units):
                yield tuple(Planned(data, weights, short, side, module, repeat, seed, full) for side, module in unit)


def main() -> None:
    """Measures what is asked and prints the table."""
    options = _options()
    end_on_sigterm()
    peers = _importable_peers() if options.peers else []
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as scratch:
        data = options.data or Path(scratch, "demo")
        if options.data is None:
            draw(data)
        asked = options.epochs, options.batch_size, options.views
        strategies = [_as_asked(presets()[name], *asked) for name in options.presets]
        reader: LineReader[Sample] = LineReader(options.json or Path(scratch, "none"), Sample)
        now = commit()
        samples = [sample for sample in reader.read() if sample.commit == now]
        named = DEMO if options.data is None else str(data)
        units = list(plan(named, options.weights, strategies, options.seeds, options.repeats, peers, options.compile))
        wanted = {planned.key for unit in units for planned in unit}
        done = {key(sample): sample for sample in samples if key(sample) in wanted}
        todo = [unit for unit in units if any(planned.key not in done for planned in unit)]
        if todo:
            _fetch(options.weights, strategies)
        failed: list[str] = []
        for number, unit in enumerate(todo, start=1):
            _say(f"{number}/{len(todo)} {unit[0].strategy.name} · {unit[0].side} · repeat {unit[0].repeat}")
            try:
                for sample in _measured(unit, data):
                    done[key(sample)] = sample
                    if options.json:
                        _append(options.json, sample)
            except SideFailedError as error:
                failed.append(f"{unit[0].strategy.name} · {unit[0].side} · repeat {unit[0].repeat}: {error}")
                _say(failed[-1])
    in_order = [done[planned.key] for unit in units for planned in unit if planned.key in done]
    print(report(in_order, peers))
    if failed:
        sys.exit("\n".join(("not measured:", *failed)))


def report(samples: Sequence[Sample], peers: Sequence[str]) -> str:
    """Everything that is printed: machine, versions, data, table."""
    commits = ", ".join(dict.fromkeys(sample.commit for sample in samples))
    data = ", ".join(
        dict.fromkeys(f"{sample.counted.trained.images} images of {Path(sample.data).name}" for sample in samples)
    )
    lines = (
        header((*PACKAGES, *(peer for peer in peers if peer != SKETCH))),
        f"- measured at commit {commits} on {data}",
    )
    return "\n".join(lines) + "\n\n" + training_table(samples)


def _append(path: Path, sample: Sample) -> None:
    with path.open("ab") as file:
        file.write(msgspec.json.encode(sample) + b"\n")


def _measured(unit: Sequence[Planned], data: Path) -> Iterator[Sample]:
    """Measures the runs of a unit, whose cache is empty at first; after one that fails, none."""
    with tempfile.TemporaryDirectory(prefix="tl-tui-benchmark-") as cache:
        for planned in unit:
            compiled = planned.side == COMPILED
            task = Task(planned.module, planned.strategy, str(data), planned.weights, planned.seed, compiled)
            counted, watched = measure(task, {"TL_TUI_CACHE": cache})
            yield Sample(
                data=planned.data,
                weights=planned.weights,
                strategy=planned.strategy.name,
                trains=planned.strategy.trains,
                side=planned.side,
                repeat=planned.repeat,
                seed=planned.seed,
                epochs=planned.strategy.epochs,
                full=planned.full,
                commit=commit(),
                counted=counted,
                watched=watched,
            )


def _can(peer: str, strategy: Strategy) -> bool:
    """Whether the peer does what the strategy asks: timm trains all, the sketch sees one view of an image."""
    if peer == SKETCH:
        return not strategy.on_features or strategy.augmentation.is_none
    return peer != "timm" or strategy.trains == "all"


def _as_asked(strategy: Strategy, epochs: int | None, batch_size: int | None, views: int | None) -> Strategy:
    default = strategy.epochs if strategy.trains == "all" else EXTRACTION_EPOCHS
    strategy = msgspec.structs.replace(strategy, epochs=default if epochs is None else epochs)
    if batch_size is not None:
        name = f"{strategy.name}-batches-of-{batch_size}"
        strategy = msgspec.structs.replace(strategy, name=name, batch_size=batch_size)
    if views is not None and strategy.on_features:
        augmentation = Augmentation(crop_area=CROP_AREA, flip=True, views=views)
        name = f"{strategy.name}-of-{views}-views"
        strategy = msgspec.structs.replace(strategy, name=name, augmentation=augmentation)
    return strategy


def _fetch(weights: str, strategies: Sequence[Strategy]) -> None:
    """Brings the weights here before anything is measured."""
    command = [sys.executable, "-c", FETCH, weights, *(strategy.backbone for strategy in strategies)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip().rpartition("\n")[2])
    _say(f"weights: {done.stdout.strip()}")


def _importable_peers() -> list[str]:
    found = [peer for peer in PEERS if peer == SKETCH or find_spec(peer)]
    for peer in PEERS:
        if peer not in found:
            _say(f"{peer} is not installed: pip install {peer}, or pip install -e '.[peers]'")
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--presets", nargs="+", choices=list(presets()), default=list(DEFAULT_STRATEGIES))
    parser.add_argument("--data", type=_folder, help="a folder with train and val; the demo set if not given")
    parser.add_argument("--weights", default="default", help="default, none, or torchvision's file or its folder")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one full run each, if so many repeats")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, help=f"the preset's if not given, {EXTRACTION_EPOCHS} of extraction")
    parser.add_argument("--batch-size", type=int, help="images a step, of every side; the preset's if not given")
    parser.add_argument(
        "--views",
        type=int,
        choices=range(2, 1001),
        metavar="K",
        help="augmented ones of an image in extraction; plain: new in each epoch",
    )
    parser.add_argument("--peers", action="store_true", help="a sketch too, timm and fastai where installed")
    parser.add_argument("--compile", action="store_true", help="the engine with torch.compile too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every run there, and do not repeat those in it")
    return parser.parse_args()


def _folder(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not (path / "train").is_dir() or not (path / "val").is_dir():
        raise argparse.ArgumentTypeError(f"{text}: a folder with the folders train and val in it is needed")
    return path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
