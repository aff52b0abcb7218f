"""The parts of the data that runs are measured on, and what they are called."""

from __future__ import annotations

from typing import Literal

MeasuredPart = Literal["val", "test"]
PART_WORDS: dict[MeasuredPart, str] = {"val": "validation", "test": "test"}
