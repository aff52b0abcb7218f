"""The least code with the same ideas: images decoded once, bf16, channels_last, a frozen backbone run once.

What tl-tui takes longer than this is what its log, checkpoints, cache, predictions and resuming cost.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, RandomHorizontalFlip, RandomResizedCrop
from torchvision.transforms.functional import pil_to_tensor, resize

from benchmarks.measure import Epoch, Task, Trained
from benchmarks.plain_loop import make_model, make_optimizer, pretrained_weights
from engine.devices.precision import bf16_of
from engine.models.backbones import preprocessing
from engine.specs.strategy import Strategy
from engine.training.schedule import rates_of

EVALUATION_BATCH = 64
Part = tuple[Callable[[Tensor], Tensor], Tensor]
"""What gives the network's input for an index of images, and the labels of all."""


def train(task: Task) -> Trained:
    """Trains and validates every epoch."""
    torch.manual_seed(task.seed)
    strategy, device = task.strategy, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = bf16_of(device).in_hardware
    parts = [ImageFolder(str(Path(task.data, name))) for name in ("train", "val")]
    labels, val_labels = (torch.tensor(part.targets, device=device) for part in parts)
    size = preprocessing(strategy.backbone, strategy.image_size).resize
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        images, val_images = (
            list(threads.map(partial(decoded, size=size), (path for path, _ in part.samples))) for part in parts
        )
    pretrained = pretrained_weights(strategy.backbone, task.weights)
    model = make_model(strategy, len(parts[0].classes), pretrained).to(device).to(memory_format=torch.channels_last)
    random, central, normalised = views(strategy, device)

    def seen(images: list[Tensor], view: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
        return normalised(torch.stack([view(images[row]) for row in index.tolist()]).to(device))

    training: Part = partial(seen, images, random), labels
    validation: Part = partial(seen, val_images, central), val_labels
    context: AbstractContextManager[Any] = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    if strategy.trains == "head":
        model.eval()
        name, head = [layer for layer in model.named_modules() if isinstance(layer[1], nn.Linear)][-1]
        model.set_submodule(name, nn.Identity())
        with torch.no_grad(), context:
            training, validation = features(model, *training), features(model, *validation)
        model, context = head, nullcontext()
    epochs = learn(strategy, model, training, validation, context)
    return Trained(tuple(epochs), len(labels) + len(val_labels), pretrained.origin, "bf16" if bf16 else "fp32")


def features(model: nn.Module, inputs: Callable[[Tensor], Tensor], labels: Tensor) -> Part:
    """A part of the data as what the model gives for its images."""
    pieces = torch.split(torch.arange(len(labels)), EVALUATION_BATCH)
    return torch.cat([model(inputs(index)) for index in pieces]).float().__getitem__, labels


def learn(
    strategy: Strategy, model: nn.Module, training: Part, validation: Part, context: AbstractContextManager[Any]
) -> list[Epoch]:
    """The epochs of a model, which keeps the weights of the best one. The context is entered for every forward pass:
    it keeps the weights that it shortened as long as it lasts."""
    (train_batch, labels), (val_batch, val_labels) = training, validation
    optimizer = make_optimizer(strategy, model, fused=True)
    epochs: list[Epoch] = []
    best, best_weights = -1.0, model.state_dict()
    for rate in rates_of(strategy):
        for group in optimizer.param_groups:
            group["lr"] = rate
        since = time.perf_counter()
        model.train()
        for index in torch.split(torch.randperm(len(labels)), strategy.batch_size):
            inputs = train_batch(index)
            with context:
                loss = cross_entropy(model(inputs), labels[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        model.eval()
        right = torch.zeros((), dtype=torch.int64, device=labels.device)
        with torch.no_grad(), context:
            for index in torch.split(torch.arange(len(val_labels)), EVALUATION_BATCH):
                right += (model(val_batch(index)).argmax(1) == val_labels[index]).sum()
        accuracy = right.item() / len(val_labels)
        if accuracy > best:
            best, best_weights = accuracy, copy.deepcopy(model.state_dict())
        epochs.append(Epoch(time.perf_counter() - since, accuracy))
    model.load_state_dict(best_weights)
    return epochs


def decoded(path: str, size: int) -> Tensor:
    """An image whose shorter side is ``size`` pixels: uint8 (3, H, W). JPEGs are decoded at a fraction if it does."""
    with Image.open(path) as image:
        image.draft("RGB", (size, size))
        pixels: Tensor = pil_to_tensor(resize(image.convert("RGB"), size))
    return pixels


def views(
    strategy: Strategy, device: torch.device
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The random and the central view of an image, and what makes a batch of them the network's input."""
    view, augmentation = preprocessing(strategy.backbone, strategy.image_size), strategy.augmentation
    central, random = CenterCrop(view.crop), []
    if augmentation.crop_area < 1:
        random = [RandomResizedCrop(view.crop, scale=(augmentation.crop_area, 1))]
    if augmentation.flip:
        random.append(RandomHorizontalFlip())
    mean, std = (255 * torch.tensor(numbers, device=device).view(3, 1, 1) for numbers in (view.mean, view.std))

    def normalised(images: Tensor) -> Tensor:
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    return Compose(random or [central]), central, normalised
