"""The parts of the data that runs are measured on, and what they are called."""

from __future__ import annotations

from typing import Literal

Part = Literal["val", "test"]
PARTS: dict[Part, str] = {"val": "validation", "test": "test"}
