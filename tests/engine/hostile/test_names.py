"""Names from outside: data sets on a real file system, exports, and the folders that experiments get."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.comparison.rows import Comparison, DataCounts, Row
from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.data.folders import is_text
from engine.errors import DataError, UserError
from engine.export import FORMATS, write
from engine.logs import folder as folders
from engine.specs.presets import presets
from engine.specs.spec import DataSource
from engine.specs.strategy import changed_strategy
from engine.text import listed, shown, visible
from tests.engine.hostile.names import NAMES, fits_a_folder, unsafe

QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)
NOW = datetime(2026, 11, 24, 12, 0)
ANY_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from([*NAMES.values()])


@QUICK
@given(ANY_TEXT)
def test_what_is_shown_is_printable_and_stays_so(text: str) -> None:
    for made in (shown(text), shown(text, 10), visible(text), listed([text] * 5)):
        assert made.isprintable()
        assert not unsafe(made)
    assert len(shown(text, 10)) <= 10
    assert shown(shown(text)) == shown(text)
    assert unsafe(visible(text, keep="\n")) == set()


@pytest.mark.parametrize("name", ["long", "long escapes"])
def test_long_text_is_cut_as_if_it_had_been_made_visible_first(name: str) -> None:
    whole = visible(NAMES[name])
    assert shown(NAMES[name], 20) == f"{whole[:9]}…{whole[-10:]}"


def comparison(text: str) -> Comparison:
    row = Row(
        run="a-0",
        strategy="a",
        backbone=text,
        trains="all",
        seed=0,
        weights=text,
        parameters_total=10,
        parameters_trainable=5,
        epochs=2,
        epochs_planned=2,
        best_epoch=1,
        val_accuracy=0.5,
        val_accuracy_low=0.4,
        val_accuracy_high=0.6,
        val_loss=0.7,
        train_accuracy=0.25,
        generalisation_gap=-0.25,
        seconds_total=1.0,
        seconds_per_epoch=0.5,
        cpu_seconds=1.0,
        images_per_second=5.0,
        peak_memory_bytes=100,
        memory_at_start_bytes=50,
        memory_kind="process RSS",
        precision=text,
        device=text,
        state="failed",
        error=text,
    )
    other = msgspec.structs.replace(row, run="b-0", strategy="b")
    return Comparison(text, DataCounts(10, 10, (text, "b")), (row, other))


def as_logged(text: str) -> str:
    """Text as it can stand in a log: one that is not Unicode cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


@QUICK
@given(ANY_TEXT.map(as_logged))
def test_exports_hold_no_control_character_and_no_formula(text: str) -> None:
    made = {name: render(comparison(text)) for name, render in FORMATS.items()}
    for exported in made.values():
        assert not unsafe(exported)
    assert json.loads(made["json"])["experiment"] == text, "escaped, not changed"
    assert json.loads(made["json"])["runs"][0]["error"] == text
    rows = list(csv.reader(io.StringIO(made["csv"])))
    assert len(rows) == 3
    assert {len(row) for row in rows} == {len(rows[0])}
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t", "\r"))
        assert not cell.startswith("-") or float(cell) < 0
    table = [line for line in made["md"].splitlines() if line.startswith("|")]
    plain = [line.replace("\\\\", "").replace("\\|", "") for line in table]
    assert {line.count("|") for line in plain} == {4}


def test_exports_are_files_for_the_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = folders.create(tmp_path, NAMES["title"], NOW)
        write(comparison("a"), folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "nobody else reaches what is in it"


@QUICK
@given(ANY_TEXT | st.sampled_from(["..", "../../x", "/etc/passwd", "", ".", "a/../../b", "\0", "~root"]))
def test_an_experiment_never_leaves_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    out = tmp_path_factory.mktemp("out")
    made = folders.create(out, name, NOW)
    again = folders.create(out, name, NOW)
    assert {made.resolve().parent, again.resolve().parent} == {out.resolve()}
    assert made != again
    assert not unsafe(made.name)
    assert len(made.name) < 80


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "..", "", ".hidden", "a\n", "a\0b", "-x", "x" * 81, "a b", *NAMES.values()]
)
def test_a_strategy_of_such_a_name_is_refused(name: str) -> None:
    strategy = presets()["resnet18-finetune"]
    with pytest.raises(UserError) as caught:
        changed_strategy(strategy, name=name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 2000


def hostile_folders(root: Path) -> tuple[str, ...]:
    """Class folders of all names that are possible and text, an image in each whose name is hostile too."""
    made = []
    for name in filter(fits_a_folder, NAMES.values()):
        if not is_text(name):
            continue
        made.append(name)
        for number in range(2):
            path = root / name / f"{number}{name[:100]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tuple(sorted(made))


def said(data: DataSet) -> str:
    return "\n".join((data.split, *data.warnings))


def test_folders_of_any_name_are_classes_of_that_name(tmp_path: Path) -> None:
    root = tmp_path / NAMES["title"]
    names = hostile_folders(root)
    (root / names[0] / f"{NAMES['not utf-8']}.png").touch()
    (root / names[0] / f"{NAMES['colour']}.txt").touch()
    (root / NAMES["c1"]).mkdir(exist_ok=True)
    data = discover(DataSource(path=str(root)))
    assert data.classes == names, "as they are: only what is shown of them is changed"
    assert len(names) > 20
    assert "the name is not valid UTF-8" in said(data)
    assert "not an image by its name" in said(data)
    assert all(warning.isprintable() for warning in data.warnings)
    msgspec.json.encode(data)  # a log takes it


def test_a_class_that_is_not_utf8_is_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("a", NAMES["not utf-8"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    with pytest.raises(DataError, match=r"the folder name \\udcff.* is not valid UTF-8; rename it"):
        discover(DataSource(path=str(tmp_path)))


def test_a_data_set_in_a_folder_that_is_not_utf8_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / NAMES["not utf-8"]
    root.mkdir()
    monkeypatch.chdir(root)
    for path in (".", str(root), "images.csv"):
        with pytest.raises(DataError, match="not valid UTF-8") as caught:
            discover(DataSource(path=path))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_said_in_one_line(name: str) -> None:
    with pytest.raises(DataError) as caught:
        discover(DataSource(path=f"/nowhere/{NAMES[name]}"))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 2000


def test_labels_of_any_name_are_classes_of_that_name(tmp_path: Path) -> None:
    labels = sorted({name.strip() for name in NAMES.values() if is_text(name)})
    with (tmp_path / "images.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for number, label in enumerate(labels):
            for copy in "ab":
                (tmp_path / f"{number}{copy}.png").touch()
                writer.writerow([f"{number}{copy}.png", label])
    data = discover(DataSource(path=str(tmp_path / "images.csv")))
    assert data.classes == tuple(labels)
    assert data.warnings == ()
