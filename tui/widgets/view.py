"""What the views of a comparison have in common."""

from __future__ import annotations

from textual.containers import Vertical
from textual.message import Message

from tui.compared import Compared


class View(Vertical):
    """One of the views of Compare, of which one is in sight at a time."""

    class Back(Message):
        """Leave this view for the one it was opened from."""

        def __init__(self, view: View) -> None:
            super().__init__()
            self.view = view

    def show(self, compared: Compared) -> None:
        """Shows this comparison."""
        raise NotImplementedError

    def take_focus(self) -> None:
        """The keys work here."""
        self.screen.set_focus(self)  # at once, for the keys that came with the one that led here

    def action_back(self) -> None:
        """Asks the screen to leave."""
        self.post_message(self.Back(self))
