"""The yardstick of ``benchmarks/terminal.py``: as little of a Textual app as answers a key.

``python benchmarks/bare_app.py [train]``; with ``train``, resnet18 trains beside it in a plain loop in a thread.
"""

from __future__ import annotations

import sys
import threading
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static


class Bare(App[None]):
    """One line of text, which ``?`` changes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "other", "Other", key_display="?")]

    def compose(self) -> ComposeResult:
        """The text and the keys."""
        yield Static("bare", id="line")
        yield Footer(show_command_palette=False)

    def action_other(self) -> None:
        """Changes the text."""
        line = self.query_one("#line", Static)
        line.update("bare" if line.content == "other" else "other")

    def say(self, text: str) -> None:
        """Sets the text from another thread."""
        self.call_from_thread(lambda: self.query_one("#line", Static).update(text))


def train(app: Bare) -> None:
    """A plain training loop on noise that never ends: resnet18, 64 pixels, batches of 16."""
    import torch  # noqa: PLC0415 - the yardstick of the first paint loads none
    from torch.nn import functional  # noqa: PLC0415
    from torchvision.models import resnet18  # noqa: PLC0415

    network = resnet18(num_classes=2)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, labels = torch.rand(16, 3, 64, 64), torch.arange(16) % 2
    step = 0
    while True:
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        step += 1
        if step == 5:
            app.say("trains")


def main() -> None:
    """Runs the app."""
    app = Bare()
    if "train" in sys.argv[1:]:
        threading.Thread(target=train, args=(app,), daemon=True).start()
    app.run()


if __name__ == "__main__":
    main()
