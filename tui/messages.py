"""What the app's threads tell the app."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.message import Message

if TYPE_CHECKING:
    from rich.text import Text

    from engine.states.state import ExperimentState
    from tui.compared import Compared
    from tui.words.headline import Answer


@dataclass
class StateRead(Message):
    """The experiment in ``folder`` as its log tells it now."""

    folder: Path
    state: ExperimentState

    def can_replace(self, message: Message) -> bool:
        """A newer state makes an unread older one of the same experiment needless, so a slow screen is never behind."""
        return isinstance(message, StateRead) and message.folder == self.folder


class ComparisonMade(NamedTuple):
    """A comparison is ready to be shown, with what it answers, all that it says in words, and the part of these that
    says the most.
    """

    compared: Compared
    answer: Answer
    words: Text
    brief: Text


class CompareFailed(NamedTuple):
    """There is nothing to compare, and why."""

    reason: str


class ComparisonStands(NamedTuple):
    """What is compared has told nothing new since it was compared before."""
