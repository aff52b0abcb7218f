"""Cells of the comparison's table that hold more than one number, as text. Imports without numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from engine.comparison.columns import with_result
from engine.comparison.rows import Row
from engine.models import origin
from engine.units import UNKNOWN, count, duration, percent

TRAINS = {
    "all": "every layer (fine-tuning)",
    "head": "last layer (feature extraction)",
    "batch-norm": "norm layers and last layer",
    "last-stage": "last stage and last layer",
}


def states(rows: Sequence[Row]) -> str:
    """What became of the runs; why, where one failed."""
    texts = [f"{row.state}: {row.error}" if row.error else row.state for row in rows]
    counts = {text: texts.count(text) for text in texts}
    return texts[0] if len(texts) == 1 else ", ".join(f"{number} {text}" for text, number in counts.items())


def turns(rows: Sequence[Row]) -> str:
    """After which epoch the validation loss rose, in how many of the runs."""
    done = [row for row in rows if row.has_result]
    turned = [row for row in done if row.val_loss_turned is not None]
    if not done:
        return UNKNOWN
    if not turned:
        return "no"
    turned_at = from_to(sorted(row.val_loss_turned for row in turned if row.val_loss_turned is not None))
    rise = mean(row.val_loss_rise or 0.0 for row in turned)
    of = f", {len(turned)} of {len(done)} runs" if len(rows) > 1 else ""
    return f"after epoch {turned_at} (+{rise:.3f}{of})"


def to_target(rows: Sequence[Row]) -> str:
    """How long it took to come near the best other strategy's accuracy."""
    asked = [row for row in rows if row.target_accuracy is not None and row.has_result]
    reached = [row.seconds_to_target for row in asked if row.seconds_to_target is not None]
    if not asked:
        return UNKNOWN
    target = percent(asked[0].target_accuracy or 0.0)
    if not reached:
        return f"never ({target})"
    of = f"{len(reached)} of {len(asked)} runs, " if len(asked) > 1 and len(reached) < len(asked) else ""
    return f"{duration(mean(reached))} ({of}{target})"


def what_trains(rows: Sequence[Row]) -> str:
    """Which layers train, and what the last one begins with where that is not random."""
    said, strength = TRAINS.get(rows[0].trains, rows[0].trains), _regularisation(rows)
    if rows[0].head != "probe":
        return said
    return f"{said}, head initialised by a probe" + (f" ({strength})" if strength else "")


def optimizer(rows: Sequence[Row]) -> str:
    """A strategy's, with its learning rate, what regularisation its probes chose, the images of a batch, and how much
    those of each class count.
    """
    row = rows[0]
    rate = "" if row.learning_rate is None else f"learning rate {row.learning_rate:g}"
    decay = f"layer decay {row.layer_decay:g} per stage" if row.layer_decay != 1 else ""
    strength = _regularisation(rows) if row.head != "probe" else ""
    batches = "" if row.batch_size is None else f"batch size {row.batch_size}"
    classes = "" if row.class_weights == "none" else f"class weights {row.class_weights}"
    return ", ".join(filter(None, (row.optimizer, rate, decay, strength, batches, classes))) or UNKNOWN


def _regularisation(rows: Sequence[Row]) -> str:
    """What probes chose; empty where there are none, or none is solved yet."""
    strengths = sorted({row.l2 for row in rows if row.l2 is not None})
    return f"L2 {from_to([f'{one:g}' for one in strengths])}" if strengths else ""


def weights(row: Row) -> str:
    """Where the pretrained weights came from; of a path, the folder and the file."""
    return origin.shortened(row.weights) or UNKNOWN


def parameters(row: Row) -> str:
    """How many parameters train, of all there are."""
    if not row.parameters_total:
        return UNKNOWN
    share = row.parameters_trainable / row.parameters_total
    return f"{row.parameters_trainable:,} of {row.parameters_total:,} ({100 * share:.3g} %)"


def multiply_adds(row: Row) -> str:
    """The multiply-adds of one image's forward pass."""
    return count(row.multiply_adds) if row.multiply_adds is not None else UNKNOWN


def epochs(rows: Sequence[Row]) -> str:
    """How many, and which was the best."""
    done = distinct(
        f"{row.epochs}" if row.epochs == row.epochs_planned else f"{row.epochs} of {row.epochs_planned}"
        for row in with_result(rows)
    )
    best = sorted(row.best_epoch for row in rows if row.best_epoch is not None)
    return f"{done} (best: {from_to(best)})" if best else done


def hardware(row: Row) -> str:
    """The precision and the device."""
    return f"{row.precision}, {row.device}" if row.precision else UNKNOWN


def distinct(texts: Iterable[str]) -> str:
    """Each text once; what is not known only where nothing is."""
    found = dict.fromkeys(texts)
    return "; ".join([text for text in found if text != UNKNOWN] or found)


def from_to(numbers: Sequence[int | str]) -> str:
    """Sorted numbers as ``4`` or ``2 to 5``."""
    return f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"
