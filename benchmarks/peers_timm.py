"""timm with its fast flags, after the loop of its ``train.py``.

``--channels-last``, ``--amp`` in bf16 where the hardware has it, two workers, its own prefetching loader; with the
augmentation, optimizer and schedule of the strategy.
"""

from __future__ import annotations

import copy
import time

import timm
import torch
from timm import data as timm_data
from timm import utils
from torch import nn

from benchmarks.measure import Epoch, Task, Trained
from benchmarks.plain_loop import WORKERS, make_optimizer, pretrained_weights
from engine.devices.precision import bf16_of
from engine.models.backbones import preprocessing
from engine.specs.strategy import Strategy
from engine.training.schedule import rates_of


def train(task: Task) -> Trained:
    """Trains and validates every epoch; only backbones whose layers timm names as torchvision does (resnet)."""
    utils.random_seed(task.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    strategy = task.strategy
    train_set = timm_data.create_dataset("", root=task.data, split="train")
    val_set = timm_data.create_dataset("", root=task.data, split="val")
    loader_train, loader_eval = loaders(strategy, train_set, val_set, device)
    pretrained = pretrained_weights(strategy.backbone, task.weights)
    model: nn.Module = timm.create_model(strategy.backbone, num_classes=len(train_set.reader.class_to_idx))
    if pretrained.state is not None:
        body = {name: value for name, value in pretrained.state.items() if not name.startswith("fc.")}
        missing = model.load_state_dict(body, strict=False)
        if missing.unexpected_keys or set(missing.missing_keys) != {"fc.weight", "fc.bias"}:
            raise ValueError(f"timm's {strategy.backbone} names its layers otherwise than torchvision")
    model.to(device).to(memory_format=torch.channels_last)
    bf16 = bf16_of(device).in_hardware
    amp_autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    optimizer = make_optimizer(strategy, model)
    loss_fn = nn.CrossEntropyLoss().to(device)
    epochs: list[Epoch] = []
    best = 0.0
    for rate in rates_of(strategy):
        for group in optimizer.param_groups:
            group["lr"] = rate
        began = time.perf_counter()
        model.train()
        losses_m = utils.AverageMeter()
        for inputs, target in loader_train:
            images = inputs.contiguous(memory_format=torch.channels_last)
            with amp_autocast:
                loss = loss_fn(model(images), target)
            loss.backward()
            optimizer.step()
            losses_m.update(loss.item(), images.size(0))
            optimizer.zero_grad()
        accuracy = validate(model, loader_eval, loss_fn, amp_autocast)
        if accuracy > best:
            best, _best_state = accuracy, copy.deepcopy(model.state_dict())
        epochs.append(Epoch(time.perf_counter() - began, accuracy))
    note = f"channels_last, {'bf16' if bf16 else 'fp32'}"
    return Trained(tuple(epochs), len(train_set) + len(val_set), pretrained.origin, note)


def loaders(
    strategy: Strategy, train_set: timm_data.ImageDataset, val_set: timm_data.ImageDataset, device: torch.device
) -> tuple[timm_data.loader.PrefetchLoader, timm_data.loader.PrefetchLoader]:
    """timm's own loaders, which train on every image as the other sides do: by itself timm leaves out the last batch
    that is not full. Its colour jitter, which the strategy does not have, is left out.
    """
    view = preprocessing(strategy.backbone, strategy.image_size)
    augmentation = strategy.augmentation
    common = {
        "input_size": (3, view.crop, view.crop),
        "batch_size": strategy.batch_size,
        "mean": view.mean,
        "std": view.std,
        "num_workers": WORKERS,
        "device": device,
        "interpolation": "bilinear",
    }
    train = timm_data.create_loader(
        train_set,
        is_training=True,
        scale=(augmentation.crop_area, 1.0),
        hflip=0.5 if augmentation.flip else 0.0,
        color_jitter=None,
        **common,
    )
    train.loader.batch_sampler.drop_last = False
    return train, timm_data.create_loader(val_set, is_training=False, crop_pct=view.crop / view.resize, **common)


def validate(
    model: nn.Module,
    loader: timm_data.loader.PrefetchLoader,
    loss_fn: nn.Module,
    amp_autocast: torch.autocast,
) -> float:
    """The accuracy in 0..1 over the loader's images."""
    losses_m, top1_m = utils.AverageMeter(), utils.AverageMeter()
    model.eval()
    with torch.inference_mode():
        for inputs, target in loader:
            images = inputs.contiguous(memory_format=torch.channels_last)
            with amp_autocast:
                output = model(images)
                loss = loss_fn(output, target)
            (acc1,) = utils.accuracy(output, target, topk=(1,))
            losses_m.update(loss.item(), images.size(0))
            top1_m.update(acc1.item(), images.size(0))
    return float(top1_m.avg) / 100
