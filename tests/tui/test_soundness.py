"""What Setup says of the data, beside what ``tl-tui check`` says of them."""

from __future__ import annotations

from msgspec.structs import replace
from rich.cells import cell_len

from engine.data.check import DataReport, ImageFacts
from engine.data.dataset import Unreadable
from engine.data.duplicates import Copy, Duplicates, Pair
from engine.data.findings import findings
from engine.data.proposal import Proposal
from engine.logs.events import Leak
from engine.specs.spec import DataSource
from tui.drawing.theme import LEVELS
from tui.screens.copies import PairList
from tui.words.soundness import alarms, soundness


def report(**values: object) -> DataReport:
    """Of 80 images of each part."""
    counts = {part: {"ants": 40, "bees": 40} for part in ("train", "val", "test")}
    return replace(DataReport("d", "/d", "/d", counts, "given", "names", None, None, None, (), None, None), **values)


def proposal() -> Proposal:
    return Proposal(r"patient-(\d+)", 9, 120, 120, ())


def test_every_alarm_of_the_check_is_a_line() -> None:
    leak = Leak(no_pixels=1.0, majority=0.5, shared=40, images=40, groups=9)
    grey = {"ants": (90, 90), "bees": (0, 90)}
    found_in = report(
        leak=leak,
        test_leak=leak,
        duplicates=Duplicates((), (), val_copies=3, test_copies=2, within=72),
        images=ImageFacts(180, 1, (1, 1), (1, 1), (1, 1), grey, ()),
    )
    said = soundness(found_in, DataSource(), checking=None).plain
    found = [one for one in findings(found_in, DataSource()) if one.level == "alarm"]
    assert all(one.brief for one in findings(found_in, DataSource()))
    assert len(found) == alarms(found_in) == sum(line.startswith(LEVELS["alarm"][0]) for line in said.splitlines())
    assert "40 of 40 test share others' groups\n  given test set: move its files\n" in said
    set_apart = soundness(replace(found_in, proposal=proposal()), DataSource(test_fraction=0.2), checking=None).plain
    assert "test share others' groups" in set_apart and "given test" not in set_apart, "p names the groups"
    assert "grey: 100% of ants, 0% of bees" in said


def test_one_image_is_told_as_one() -> None:
    pair = Pair(Copy("/d/0.png", "train", "ants"), Copy("/d/copy.png", "train", "ants"), exact=True)
    found = report(
        duplicates=Duplicates((pair,), (), 0, 0, 72),
        images=ImageFacts(20, 1, (1, 1), (1, 1), (1, 1), {}, (Unreadable("/d/broken.png", "cut off"),)),
    )
    said = soundness(found, DataSource(), checking=None).plain
    assert "! 1 image cannot be read\n" in said
    assert "· 1 similar pair within a part\n" in said


def test_names_of_pairs_stand_below_each_other_however_wide_their_letters_are() -> None:
    names = ("short", "三個種子", "三個種子" * 9, "e\u0301" * 40)
    pairs = [
        Pair(Copy(f"/d/{name}.png", "train", "ants"), Copy("/d/copy.png", "train", "ants"), exact=True)
        for name in names
    ]
    lines = [PairList(pairs).line(number, 60).plain for number in range(len(pairs))]
    assert {cell_len(line[: line.index(" = ")]) for line in lines} == {14 + 21}
    assert all(cell_len(line) <= 60 for line in lines)
