"""Which file holds a backbone's pretrained weights, and whether it lies here: known without torch, network or reading
it. Whether it is whole is known when it is read.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

from engine.models.names import sources

CONVERTED = {"resnet18-f37072fd.pth": "resnet18-f37072fd.safetensors"}
"""What the torch hub cache may hold instead, by torchvision's file: a package index has these in another format."""
TAKES = re.compile(r"^def (\w+)\(\s*\*,\s*weights: Optional\[(\w+)\]", re.MULTILINE)
"""A function that builds a model, and the class of its weights."""
WEIGHTS = re.compile(r"^class (\w+)\(WeightsEnum\):\n((?:[ \t].*\n|\n)+)", re.MULTILINE)
MEMBER = re.compile(r"^    (\w+) = Weights\(\s*(?:#.*\s+)*url=\"[^\"]*/([^\"/]+)\"", re.MULTILINE)
DEFAULT = re.compile(r"^    DEFAULT = (\w+)$", re.MULTILINE)


@cache
def default_files() -> dict[str, str]:
    """The names of the files of torchvision's default weights, by backbone; without those that its source does not
    tell, so empty where that is not there to be read.
    """
    found: dict[str, str] = {}
    for source in sources():
        files = {}
        for name, body in WEIGHTS.findall(source):
            if default := DEFAULT.search(body):
                files[name] = dict(MEMBER.findall(body)).get(default[1], "")
        found |= {backbone: files[name] for backbone, name in TAKES.findall(source) if files.get(name)}
    return found


def is_here(backbone: str, weights: str) -> bool:
    """Whether an experiment's ``weights`` (``default``, ``none``, or a folder or file) need no network for this
    backbone and a file of theirs is there; True also where it is not known which file that would be.
    """
    file = default_files().get(backbone)
    if weights == "none" or file is None:
        return True
    try:
        if weights == "default":
            return any((hub_cache() / name).is_file() for name in (file, CONVERTED.get(file)) if name)
        path = Path(weights).expanduser()
        return (path / file if path.is_dir() else path).is_file()
    except (OSError, ValueError, RuntimeError):  # not to be read, no name of a file, or ~somebody whom nobody knows
        return False


def hub_cache() -> Path:
    """The folder in which torch keeps downloaded weights, as ``torch.hub`` finds it; ``TORCH_HOME`` moves it."""
    home = os.getenv("TORCH_HOME", Path(os.getenv("XDG_CACHE_HOME", "~/.cache"), "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"
