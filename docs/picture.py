"""Draws docs/live.svg and docs/compare.svg: two screens at 120×40 of an experiment.  python docs/picture.py FOLDER"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from engine.logs.log import event_reader
from engine.states.replay import replay
from tui.app import TlTui
from tui.widgets.comparison_table import ComparisonTable


async def draw(folder: Path) -> None:
    """Writes both pictures of the experiment in ``folder``, with the clock at its log's last event."""
    heard = replay(event_reader(folder).read()).heard or datetime.now()
    app = TlTui(folder.parent, clock=lambda: heard)
    async with app.run_test(size=(120, 40)) as pilot:
        app.call_later(app.open_experiment, folder)
        while not app.state.runs:
            await pilot.pause(0.1)
        await pilot.pause(1)
        _write("live", app)
        await pilot.press("3")
        while not any(table.lines for table in app.screen.query(ComparisonTable)):
            await pilot.pause(0.1)
        await pilot.pause(1)
        _write("compare", app)


def _write(name: str, app: TlTui) -> None:
    Path(__file__).with_name(f"{name}.svg").write_text(app.export_screenshot(title="tl-tui"), encoding="utf-8")


asyncio.run(draw(Path(sys.argv[1])))
