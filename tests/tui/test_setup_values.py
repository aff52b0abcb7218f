"""What Setup reads from text and what it says: the parts without a screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click import IntRange
from msgspec.structs import replace
from rich.cells import cell_len

from engine.data.check import DataReport
from engine.errors import UserError
from engine.specs.presets import presets
from engine.specs.spec import DataSource, changed, default_experiment
from engine.specs.strategy import CosineAnnealingLR, settings
from engine.specs.toml import MOST_SEEDS
from tui.commands.command_line import run
from tui.drawing.text import cut_in_the_middle, told_apart
from tui.widgets.data_picker import _expanded, source_of
from tui.widgets.path_input import completion
from tui.widgets.run_options import device_from, folds_from, seeds_from, seeds_said, weights_from
from tui.widgets.schedule_preview import preview
from tui.widgets.strategy_form import with_value
from tui.words.data_summary import DataFound, described

FINE_TUNE = presets()["resnet18-finetune"]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", (0,)), (" 3, 1 ", (3, 1)), ("0-2", (0, 1, 2)), ("7 0-1", (7, 0, 1)), ("2147483647", (2**31 - 1,))],
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_from(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "3-1", "0 0", "0-1 1", "0-100000", "2147483648", "99999999999"])
def test_wrong_seeds(text: str) -> None:
    with pytest.raises(UserError):
        seeds_from(text)


def test_folds() -> None:
    assert [folds_from(text) for text in ("none", "", "2", "100")] == [None, None, 2, 100]
    for text in ("1", "0", "-3", "101", "five", "2.0"):
        with pytest.raises(UserError):
            folds_from(text)


def test_weights_are_a_word_or_a_path_that_exists(tmp_path: Path) -> None:
    assert [weights_from(text) for text in ("default", "none", str(tmp_path))] == ["default", "none", str(tmp_path)]
    for text in ("", "None", str(tmp_path / "no"), "a\0b", "x" * 5000, "~nobody-of-this-name/x"):
        with pytest.raises(UserError):
            weights_from(text)


def test_a_path_may_be_quoted_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ants-bees").mkdir()
    for quote in ("'", '"'):
        quoted = f"{quote}ants-bees{quote}"
        assert _expanded(quoted) == weights_from(quoted) == "ants-bees"
        (tmp_path / quoted).mkdir()
        assert _expanded(f"./{quoted}") == weights_from(f"./{quoted}") == quoted


def test_what_is_typed_is_read_without_asking_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read at every key, and a disk may not answer."""
    with monkeypatch.context() as patch:
        for ask in (os.path, "lexists"), (os.path, "exists"), (Path, "exists"):
            patch.setattr(*ask, lambda _: pytest.fail("the disk was asked"))
        typed = source_of(DataSource(), "'/away/a.csv'", '"/away/b.csv"', " /away ")
    assert typed == DataSource(path="/away/a.csv", validation="/away/b.csv", images="/away")


def test_devices_look_like_torch_devices() -> None:
    assert [device_from(text) for text in ("auto", "cpu", "cuda:1")] == ["auto", "cpu", "cuda:1"]
    for text in ("", "CUDA", "cuda:", "cuda 1", "bogus"):
        with pytest.raises(UserError):
            device_from(text)


def test_a_value_is_put_where_it_belongs() -> None:
    changed = with_value(FINE_TUNE, "optimizer.momentum", 0.5)
    assert settings(changed)["optimizer.momentum"] == 0.5
    assert settings(changed)["optimizer.lr"] == settings(FINE_TUNE)["optimizer.lr"]
    assert with_value(FINE_TUNE, "schedule.name", "CosineAnnealingLR").schedule == CosineAnnealingLR()
    assert "schedule.eta_min" not in settings(FINE_TUNE)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epochs", 0, "at least 1"),
        ("optimizer.lr", -1.0, "above 0"),
        ("optimizer.momentum", 1.0, "below 1"),
        ("image_size", 5000, "at most 1024"),
    ],
)
def test_a_wrong_value_is_told_in_a_few_words(key: str, value: float, said: str) -> None:
    with pytest.raises(UserError, match=f"^{said}$"):
        with_value(FINE_TUNE, key, value)


def test_paths_complete_to_folders_and_csv_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("images", "imagery", ".hidden", "bad\nname", "images/train", "images/val", "imagery/only"):
        (tmp_path / name).mkdir()
    for name in ("labels.csv", "labels.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert completion("im") == "imagery/"
    assert completion("images") == "images/"
    assert completion(f"{tmp_path}/l") == f"{tmp_path}/labels.csv"
    assert completion("~/la") == "~/labels.csv"
    assert completion(".h") == ".hidden/"
    assert completion("no", ("default", "none")) == "none"
    assert completion("images/t") == "images/train/" and completion("imagery/") == "imagery/only/"
    for nothing in (
        "",
        "images/",
        "bad",
        "labels.csv",
        "labels.t",
        "no/such/folder/x",
        "~nobody-of-this-name/x",
        "a\0b/c",
        "~\0/x",
        "x\ud800/y",
    ):
        assert completion(nothing) is None, nothing


def reported(counts: dict[str, dict[str, int]], warnings: tuple[str, ...] = ()) -> DataReport:
    return DataReport("images", "/images", "/images", counts, "given", "", None, None, None, warnings)


def test_many_classes_are_cut_short_and_all_are_counted() -> None:
    names = [f"class {number:03}" for number in range(98)]
    report = reported({"train": dict.fromkeys(names, 10), "val": dict.fromkeys(names, 2)})
    lines = described(DataFound(report, (("JPEG", 1176),), 3 * 2**20), 36, source=DataSource()).plain.splitlines()
    assert lines[0] == "980 train · 196 val · c 98 classes"
    assert "… 90 more" in lines
    assert lines[-1] == "1,176 JPEG · 3 MiB"
    assert sum(line.startswith("class 0") for line in lines) == 8


def test_names_and_warnings_are_made_harmless_and_fit() -> None:
    names = ("\x1b[31m" + "long" * 30, "日本語" * 20)
    counts = dict.fromkeys(("train", "val", "test"), dict.fromkeys(names, 1))
    text = described(DataFound(reported(counts, tuple("abcde"))), 36, source=DataSource())
    assert "\x1b" not in text.plain
    assert "… 2 more warnings" in text.plain
    assert all(line.cell_len <= 36 for line in text.split())


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short", 5, "short"),
        ("abcdefghij", 5, "ab…ij"),
        ("日本語日本語", 6, "日…語"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
        ("ab", -3, ""),
    ],
)
def test_the_middle_is_left_out(text: str, width: int, cut: str) -> None:
    assert cut_in_the_middle(text, width) == cut


@pytest.mark.parametrize(
    ("names", "width", "cut"),
    [
        (("short", "longer one"), 10, ["short", "longer one"]),
        (("resnet18-lr-0.001-cosine", "resnet18-lr-0.01-cosine"), 14, ["resn…0.001…ine", "resn…0.01…sine"]),
        (("image_0001_left.jpg", "image_0002_left.jpg"), 12, ["ima…0001…jpg", "ima…0002…jpg"]),
        (("a" * 40, "a" * 39 + "b" + "a" * 40, "other"), 9, ["aaa…aaaaa", "…baa…aaaa", "other"]),
        (("same" * 9, "same" * 9), 9, ["same…same", "same…same"]),
        (("日本語日本語日", "日本語二本語日"), 9, ["日…語日…", "日…語二…"]),
        (("abcd", "abce"), 2, ["…d", "…e"]),
        (("abcd", "abce"), 1, ["…", "…"]),
        (("abcd", "abce"), 0, ["", ""]),
    ],
)
def test_what_names_differ_in_is_not_left_out(names: tuple[str, ...], width: int, cut: list[str]) -> None:
    assert told_apart(names, width) == cut
    assert all(cell_len(name) <= width for name in cut)


def test_the_preview_has_one_level_step_an_epoch() -> None:
    points = [point for series in preview(FINE_TUNE).series for point in series.points]
    rates = [1e-3] * 3 + [1e-4] * 2
    assert [x for x, _ in points] == [1, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4.5, 4.5, 5]
    assert [y for _, y in points] == pytest.approx([rate for rate in rates for _ in range(2)])


def test_more_epochs_than_a_screen_has_are_not_drawn() -> None:
    assert preview(with_value(FINE_TUNE, "epochs", 100_000)).series == ()


def test_as_many_seeds_as_anywhere_are_said_and_read_back() -> None:
    most = tuple(range(MOST_SEEDS))
    for seeds, said in ((most, "0-999"), ((7, 1, 2, 3, 5, 6), "7 1-3 5 6"), ((2**31 - 1,), "2147483647")):
        assert seeds_said(changed(default_experiment(presets()), seeds=seeds).seeds) == said
        assert seeds_from(said) == seeds
    for text in ("0-1000", "0-998 1000-1998"):
        with pytest.raises(UserError, match="at most 1000"):
            seeds_from(text)
    with pytest.raises(UserError, match="seeds: there may be 1000 at most"):
        changed(default_experiment(presets()), seeds=(*most, MOST_SEEDS))
    (option,) = (one for one in run.params if one.name == "seed_count")
    assert isinstance(option.type, IntRange) and option.type.max == MOST_SEEDS


def test_groups_of_a_path_below_home_are_kept() -> None:
    first = DataSource(path="~/x", group_pattern="(p)", split="grouped")
    assert source_of(first, "~/x", "", "") == replace(first, path=str(Path.home() / "x"))
    assert source_of(first, "~/y", "", "") == DataSource(path=str(Path.home() / "y"))
