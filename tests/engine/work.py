"""Doing work that tells how far it is."""

from collections.abc import Generator
from typing import TypeVar

Said = TypeVar("Said")
T = TypeVar("T")


def result(work: Generator[Said, None, T]) -> tuple[T, list[Said]]:
    """What the work returns, and everything that it said."""
    said = []
    while True:
        try:
            said.append(next(work))
        except StopIteration as finished:
            return finished.value, said
