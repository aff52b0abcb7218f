"""What Setup says of the data, beside what ``tl-tui check`` says of them."""

from __future__ import annotations

from msgspec.structs import replace

from engine.data.check import Images, Report
from engine.data.dataset import Unreadable
from engine.data.duplicates import Duplicates, Pair, Picture
from engine.data.findings import findings
from engine.events import Leak
from engine.spec import DataSource
from tui.theme import LEVELS
from tui.widgets.soundness import alarms, soundness


def test_every_alarm_of_the_check_is_a_line() -> None:
    counts = {part: {"ants": 40, "bees": 40} for part in ("train", "val", "test")}
    of_test = Leak(no_pixels=1.0, majority=0.5, shared=40, images=40, groups=9)
    grey = {"ants": (90, 90), "bees": (0, 90)}
    report = Report(
        name="d",
        path="/d",
        root="/d",
        counts=counts,
        split="given",
        groups="names",
        leak=Leak(no_pixels=1.0, majority=0.5, shared=40, images=40, groups=9),
        test_leak=of_test,
        proposal=None,
        warnings=(),
        duplicates=Duplicates((), (), val_copies=3, test_copies=2, within=72),
        images=Images(180, 1, (1, 1), (1, 1), (1, 1), grey, ()),
    )
    said = soundness(report, is_grouped=False, checking=None).plain
    found = [one for one in findings(report, DataSource()) if one.level == "alarm"]
    assert all(one.brief for one in findings(report, DataSource()))
    assert len(found) == alarms(report) == sum(line.startswith(LEVELS["alarm"][0]) for line in said.splitlines())
    twice = Pair(Picture("/d/a.png", "train", "ants"), Picture("/d/b.png", "train", "ants"), exact=True)
    alone = replace(
        report,
        duplicates=Duplicates((twice,), (), val_copies=0, test_copies=0, within=72),
        images=Images(179, 1, (1, 1), (1, 1), (1, 1), {}, (Unreadable("/d/c.png", "broken"),)),
    )
    said_of_one = soundness(alone, is_grouped=False, checking=None).plain
    assert "! 1 image cannot be read" in said_of_one and "· 1 image twice within a part" in said_of_one
    assert "40 of 40 test share others' groups" in said and "grey: 100% of ants, 0% of bees" in said
