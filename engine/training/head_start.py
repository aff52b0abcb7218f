"""Putting a probe's head into the network: as a run of its own, or before everything else trains."""

from __future__ import annotations

import logging
from collections.abc import Generator

import torch
from torch import Tensor, nn

from engine.devices.memory_probe import release_memory
from engine.logs import events as ev
from engine.logs.events import Event
from engine.progress import as_events
from engine.specs.strategy import LBFGS
from engine.training.class_weights import class_weights
from engine.training.memory import shortage
from engine.training.probe import divided, probe
from engine.training.run import Run

logger = logging.getLogger("engine")
NOT_DIVIDED = "could not cross-validate the regularisation of the last layer: a class has too few images or groups"


def put_probe(run: Run, features: Tensor) -> Generator[Event, None, ev.ProbeSolved]:
    """Solves for the best head on ``features``, (views, rows, ...), and fills the network's own with it;
    returns the event that tells of it.

    Where there are random views of the training images, each of them counts as an image. Where the device has no room
    for it, it is solved for on the CPU.
    """
    if features.device.type != "cpu":
        try:
            return (yield from _put_probe(run, features))
        except Exception as error:
            if not shortage(error):
                raise
            logger.warning("no memory to solve for the last layer with: %s", str(error))
        release_memory()
        yield ev.Warned(run=run.name, message="out of memory: fitting the last layer on the CPU instead")
    return (yield from _put_probe(run, features.cpu()))


def _put_probe(run: Run, features: Tensor) -> Generator[Event, None, ev.ProbeSolved]:
    part, optimizer = run.images.prepared.train, run.strategy.optimizer
    settings = optimizer if isinstance(optimizer, LBFGS) else LBFGS()
    rows = part.rows.to(features.device)
    seen = features[1:, rows] if len(features) > 1 else features[:, rows]
    labels = part.labels.to(features.device).repeat(len(seen))
    parts = divided(part.samples, settings.folds, run.seed)
    if parts is None and len(settings.l2) > 1:
        yield ev.Warned(run=run.name, message=NOT_DIVIDED)
    head = run.network.head
    weight, bias = head.get_parameter("weight"), head.get_parameter("bias")
    weights = class_weights(run.strategy, part.labels, len(bias))
    work = probe(
        seen.flatten(0, 1),
        labels,
        len(bias),
        None if parts is None else parts.repeat(len(seen)),
        settings,
        None if weights is None else weights[labels.cpu()],
    )
    found = yield from as_events(work, "probing", run.meters.clock, run.name)
    with torch.no_grad():
        _fill(weight, found.head.weight)
        _fill(bias, found.head.bias)
    return ev.ProbeSolved(run=run.name, l2=found.l2, accuracy=found.accuracy)


def _fill(parameter: nn.Parameter, values: Tensor) -> None:
    parameter.copy_(values.view(parameter.shape))
