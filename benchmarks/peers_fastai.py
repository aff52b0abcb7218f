"""fastai as its tutorials use it: ``vision_learner`` with its own head, all layers or only that head trained.

With the strategy's batch size, crops, optimizer and learning rates, and two workers.
"""

from __future__ import annotations

import time
from functools import partial

import torch
import torchvision
from fastai.vision import all as fastai

from benchmarks.measure import Epoch, Task, Trained
from benchmarks.plain_loop import WORKERS, pretrained_weights
from engine.models.backbones import preprocessing
from engine.specs.strategy import SGD, Strategy
from engine.training.schedule import rates_of


class Timed(fastai.Callback):
    """Sets the rate of every epoch, and notes its seconds and its validation accuracy."""

    order = fastai.Recorder.order + 1  # after the callback that computes the accuracy

    def __init__(self, rates: tuple[float, ...]) -> None:
        self.rates = rates
        self.epochs: list[Epoch] = []
        self.began = 0.0

    def before_epoch(self) -> None:
        """Before training."""
        self.began = time.perf_counter()
        self.opt.set_hyper("lr", self.rates[self.epoch])

    def after_epoch(self) -> None:
        """After validation."""
        accuracy = float(self.recorder.values[-1][-1])
        self.epochs.append(Epoch(time.perf_counter() - self.began, accuracy))


def train(task: Task) -> Trained:
    """Trains and validates every epoch."""
    fastai.set_seed(task.seed)
    strategy = task.strategy
    if not isinstance(strategy.optimizer, SGD):
        raise TypeError("only SGD is written out here")
    dls = fastai.ImageDataLoaders.from_folder(
        task.data,
        train="train",
        valid="val",
        bs=strategy.batch_size,
        drop_last=False,  # by itself fastai leaves out the last batch of training images that is not full
        num_workers=WORKERS,
        item_tfms=_item_transform(strategy),
        batch_tfms=_batch_transforms(strategy),
    )
    optimizer = partial(fastai.SGD, mom=strategy.optimizer.momentum, wd=strategy.optimizer.weight_decay)
    arch = torchvision.models.get_model_builder(strategy.backbone)
    timed = Timed(rates_of(strategy))
    learn = fastai.vision_learner(
        dls, arch, pretrained=False, normalize=False, opt_func=optimizer, metrics=fastai.accuracy, cbs=timed
    )
    pretrained = pretrained_weights(strategy.backbone, task.weights)
    if pretrained.state is not None:
        donor = arch()
        donor.load_state_dict(pretrained.state)
        cut = fastai.model_meta.get(arch, {"cut": None})["cut"]
        learn.model[0].load_state_dict(fastai.create_body(donor, pretrained=False, cut=cut).state_dict())
    if strategy.trains == "head":
        learn.freeze()
    else:
        learn.unfreeze()
    with learn.no_bar():
        learn.fit(strategy.epochs, strategy.optimizer.lr)
    note = "its own head, fp32"
    images = len(dls.train_ds) + len(dls.valid_ds)
    return Trained(tuple(timed.epochs), images, pretrained.origin, note)


def _item_transform(strategy: Strategy) -> fastai.Transform:
    crop = preprocessing(strategy.backbone, strategy.image_size).crop
    if strategy.augmentation.crop_area < 1:
        return fastai.RandomResizedCrop(crop, min_scale=strategy.augmentation.crop_area)
    return fastai.Resize(crop)


def _batch_transforms(strategy: Strategy) -> list[fastai.Transform]:
    view = preprocessing(strategy.backbone, strategy.image_size)
    flip = [fastai.Flip()] if strategy.augmentation.flip else []
    return [*flip, fastai.Normalize.from_stats(view.mean, view.std, cuda=torch.cuda.is_available())]
