"""Naming where a network's pretrained weights came from, in the words of the log. Imports without torch.

``torchvision IMAGENET1K_V1, torch hub cache``, ``torchvision IMAGENET1K_V1, /weights/resnet18-f37072fd.pth``, a path
alone where the weights are somebody's own, or :data:`RANDOM`.
"""

from __future__ import annotations

RANDOM = "none (random initialisation)"


def kind(origin: str) -> str:
    """Which weights they are: torchvision's without where they were, as every backbone has a file of its own."""
    title = origin.partition(",")[0]
    return origin if "/" in title else title  # a comma in somebody's own path


def shortened(origin: str) -> str:
    """The words, with only the last folder and the file of a path."""
    before, slash, path = origin.partition("/")
    parts = path.split("/")
    if not slash or len(parts) < 3:
        return origin
    of_what = before.rpartition(", ")
    return f"{''.join(of_what[:2])}…/{parts[-2]}/{parts[-1]}"
