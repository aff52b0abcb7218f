"""Where a network's first weights came from, in the words that the log keeps. Imports without torch.

``torchvision IMAGENET1K_V1, torch hub cache``, ``torchvision IMAGENET1K_V1, /weights/resnet18-f37072fd.pth``, a path
alone where the weights are somebody's own, or :data:`RANDOM`.
"""

from __future__ import annotations

RANDOM = "none (random initialisation)"


def kind(origin: str) -> str:
    """Which weights, without where they were: every backbone has a file of its own."""
    return origin.partition(",")[0]


def shortened(origin: str) -> str:
    """Of a path only the last folder and the file."""
    before, slash, path = origin.partition("/")
    parts = path.split("/")
    if not slash or len(parts) < 3:
        return origin
    of_what = before.rpartition(", ")
    return f"{''.join(of_what[:2])}…/{parts[-2]}/{parts[-1]}"
