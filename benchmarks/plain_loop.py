"""The loop of PyTorch's transfer-learning tutorial as people write it, for any of the engine's strategies.

ImageFolder, Pillow transforms, a DataLoader of two workers, fp32, ``.item()`` in every step, a frozen backbone run
again in every epoch, the best weights copied. Nothing here is slower, or faster, than in the tutorial.
"""

from __future__ import annotations

import copy
import time
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks.measure import Epoch, Task, Trained
from engine.models.backbones import preprocessing
from engine.models.weights import Pretrained, fetch
from engine.specs.strategy import SGD, Strategy
from engine.training.schedule import rates_of

WORKERS = 2


def train(task: Task) -> Trained:
    """Trains and validates every epoch."""
    torch.manual_seed(task.seed)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    strategy = task.strategy
    image_datasets = {
        phase: datasets.ImageFolder(str(Path(task.data, phase)), transform)
        for phase, transform in data_transforms(strategy).items()
    }
    dataloaders = {
        phase: DataLoader(dataset, batch_size=strategy.batch_size, shuffle=True, num_workers=WORKERS)
        for phase, dataset in image_datasets.items()
    }
    pretrained = pretrained_weights(strategy.backbone, task.weights)
    model = make_model(strategy, len(image_datasets["train"].classes), pretrained).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = make_optimizer(strategy, model)
    best_model_wts, best_acc = copy.deepcopy(model.state_dict()), 0.0
    epochs: list[Epoch] = []
    for rate in rates_of(strategy):
        for group in optimizer.param_groups:
            group["lr"] = rate
        since = time.perf_counter()
        epoch_acc = 0.0
        for phase in ("train", "val"):
            if phase == "train":
                model.train()
            else:
                model.eval()
            running_loss = 0.0
            running_corrects = torch.tensor(0, device=device)
            for images, classes in dataloaders[phase]:
                inputs, labels = images.to(device), classes.to(device)
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data)
            size = len(image_datasets[phase])
            epoch_acc = running_corrects.item() / size
            print(f"{phase} loss: {running_loss / size:.4f} accuracy: {epoch_acc:.4f}")
        if epoch_acc > best_acc:
            best_acc, best_model_wts = epoch_acc, copy.deepcopy(model.state_dict())
        epochs.append(Epoch(time.perf_counter() - since, epoch_acc))
    model.load_state_dict(best_model_wts)
    return Trained(tuple(epochs), sum(map(len, image_datasets.values())), pretrained.origin, "fp32")


def data_transforms(strategy: Strategy) -> dict[str, transforms.Compose]:
    """The Pillow transforms of both phases that the strategy's augmentation describes."""
    view = preprocessing(strategy.backbone, strategy.image_size)
    central = [transforms.Resize(view.resize), transforms.CenterCrop(view.crop)]
    normalised = [transforms.ToTensor(), transforms.Normalize(view.mean, view.std)]
    augmentation = strategy.augmentation
    seen = list(central)
    if augmentation.crop_area < 1:
        seen = [transforms.RandomResizedCrop(view.crop, scale=(augmentation.crop_area, 1))]
    if augmentation.flip:
        seen.append(transforms.RandomHorizontalFlip())
    return {
        "train": transforms.Compose([*seen, *normalised]),
        "val": transforms.Compose([*central, *normalised]),
    }


def pretrained_weights(backbone: str, choice: str) -> Pretrained:
    """The same weights that the engine starts from."""
    fetching = fetch(backbone, choice)
    while True:
        try:
            next(fetching)
        except StopIteration as finished:
            pretrained: Pretrained = finished.value
            return pretrained


def make_model(strategy: Strategy, classes: int, pretrained: Pretrained) -> nn.Module:
    """torchvision's model with a new last layer; only that layer trains where the strategy says so."""
    model: nn.Module = torchvision.models.get_model(strategy.backbone)
    if pretrained.state is not None:
        model.load_state_dict(pretrained.state)
    if strategy.trains == "head":
        for param in model.parameters():
            param.requires_grad = False
    if isinstance(model, torchvision.models.ResNet):
        model.fc = nn.Linear(model.fc.in_features, classes)
    else:
        classifier = model.get_submodule("classifier")
        if not isinstance(classifier, nn.Sequential) or not isinstance(last := classifier[-1], nn.Linear):
            raise TypeError(f"{strategy.backbone}: only networks that end in fc or in classifier are written out here")
        classifier[-1] = nn.Linear(last.in_features, classes)
    return model


def make_optimizer(strategy: Strategy, model: nn.Module, *, fused: bool | None = None) -> torch.optim.Optimizer:
    """The strategy's optimizer as torch makes it by default, or ``fused``."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = strategy.optimizer
    if isinstance(optimizer, SGD):
        return torch.optim.SGD(
            parameters, lr=optimizer.lr, momentum=optimizer.momentum, weight_decay=optimizer.weight_decay, fused=fused
        )
    return torch.optim.AdamW(parameters, lr=optimizer.lr, weight_decay=optimizer.weight_decay, fused=fused)
