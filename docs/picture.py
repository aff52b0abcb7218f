"""Draws docs/live.svg: the app's Live screen at 120×40 with an experiment's log.  python docs/picture.py FOLDER"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from engine.logs.log import event_reader
from engine.states.replay import replay
from tui.app import TlTui


async def picture(folder: Path) -> str:
    """The Live screen as SVG, with the clock at the log's last event."""
    heard = replay(event_reader(folder).read()).heard or datetime.now()
    app = TlTui(folder.parent, clock=lambda: heard)
    async with app.run_test(size=(120, 40)) as pilot:
        app.call_later(app.open_experiment, folder)
        while not app.state.runs:
            await pilot.pause(0.1)
        await pilot.pause(1)
        return app.export_screenshot(title="tl-tui")


Path(__file__).with_name("live.svg").write_text(asyncio.run(picture(Path(sys.argv[1]))), encoding="utf-8")
