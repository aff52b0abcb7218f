"""The names of torchvision's classification models, known without importing torch."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from engine.specs.presets import BACKBONE

REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
"""A function that torchvision registers as a model under its own name."""


@cache
def model_names() -> tuple[str, ...]:
    """The names, sorted, read from torchvision's source; none where that is not there to be read."""
    return tuple(sorted(name for source in sources() for name in REGISTERED.findall(source)))


def sources() -> list[str]:
    """torchvision's modules that define models, as text; none where they are not there to be read."""
    spec = find_spec("torchvision")
    folders = [] if spec is None else spec.submodule_search_locations or []
    try:
        return [path.read_text(encoding="utf-8") for folder in folders for path in Path(folder).glob("models/[!_]*.py")]
    except (OSError, ValueError):
        return []


def is_model(name: str) -> bool:
    """Whether torchvision has a model of that name; whether it may be one where its models are not known."""
    known = model_names()
    return name in known or (not known and BACKBONE.fullmatch(name) is not None)
