"""``tl-tui compare`` of several experiments and of single runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.logs import events as ev
from engine.specs import spec
from engine.specs.strategy import changed_strategy
from tests.tui import logs
from tui.cli import status

FINE, EXTRACT = "resnet18-finetune", "mobilenetv3-extract"
Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Writes the log of an experiment of two strategies below ``runs``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def make(name: str, seeds: int = 1, classes: tuple[str, str] = ("ants", "bees"), lr: float | None = None) -> Path:
        asked = spec.changed(logs.two_strategies(2), seeds=list(range(seeds)))
        if lr is not None:
            strategies = [changed_strategy(one, optimizer={"lr": lr}) for one in asked.strategies]
            asked = spec.changed(asked, strategies=strategies)
        events = logs.events(asked)
        first = events[0]
        assert isinstance(first, ev.ExperimentStarted)
        events[0] = replace(first, name=name, data=replace(first.data, classes=classes))
        return logs.write(tmp_path / "runs" / name, events)

    return make


def test_two_experiments_stand_side_by_side(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made("a-1")
    made("a-2")
    assert status(["compare", "a-1", "runs/a-2", "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["experiment"] == "a-1, a-2"
    assert [(row["experiment"], row["run"], row["strategy"]) for row in read["runs"]] == [
        (name, f"{strategy}-0", f"{strategy} (…{name[-1]})") for name in ("a-1", "a-2") for strategy in (FINE, EXTRACT)
    ]
    assert status(["compare", "a-1", "a-2"]) == 0
    table = capsys.readouterr().out
    assert "(…1)" in table and "(…2)" in table and "No verdict" not in table


def test_strategies_of_one_name_are_told_apart_by_what_they_are_set_to(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lr in (("a-1", 0.5), ("a-2", 0.25), ("a-3", 0.25)):
        made(name, lr=lr)
    assert status(["compare", "a-1", "a-2", "--format", "json"]) == 0
    names = {row["strategy"] for row in json.loads(capsys.readouterr().out)["runs"]}
    assert names == {f"{one} (lr {lr})" for one in (FINE, EXTRACT) for lr in ("0.5", "0.25")}
    assert status(["compare", "a-1", "a-2", "a-3", "--format", "json"]) == 0
    names = {row["strategy"] for row in json.loads(capsys.readouterr().out)["runs"]}
    assert names == {f"{one} ({why})" for one in (FINE, EXTRACT) for why in ("lr 0.5", "lr 0.25, …2", "lr 0.25, …3")}


@pytest.mark.parametrize("name", ["x.xls", "x.csv.gz"])
def test_a_file_whose_ending_names_no_format_is_not_written(
    name: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    made("a-1")
    assert status(["compare", "a-1", "-o", name]) == 2
    assert f"unknown ending {Path(name).suffix}; use .csv, .json, .md or .txt" in capsys.readouterr().err
    assert not Path(name).exists()
    assert status(["compare", "a-1", "-o", name, "--format", "csv"]) == 0
    assert Path(name).read_text(encoding="utf-8").startswith("experiment,")
    assert status(["compare", "a-1", "-o", "x.txt"]) == 0
    assert FINE in Path("x.txt").read_text(encoding="utf-8")


def test_single_runs_are_chosen_behind_a_colon(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made("a-1", seeds=2)
    made("a-2")
    arguments = ["compare", f"a-1:{FINE}-1", "a-1:mobilenetv3-extract", f"a-2:{EXTRACT}-0", "--format", "json"]
    assert status(arguments) == 0
    read = json.loads(capsys.readouterr().out)
    assert [(row["experiment"], row["run"]) for row in read["runs"]] == [
        ("a-1", f"{EXTRACT}-0"),
        ("a-1", f"{FINE}-1"),
        ("a-1", f"{EXTRACT}-1"),
        ("a-2", f"{EXTRACT}-0"),
    ]
    assert status(["compare", f"a-2:{EXTRACT}-0", "a-2", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2, "an experiment named with and without a run is whole"


def test_a_column_a_strategy_or_a_run(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made("a-1", seeds=3)
    assert status(["compare"]) == 0
    together = capsys.readouterr().out
    assert together.count("3 seeds") == 2 and "seed 1" not in together and " ± " in together
    assert status(["compare", "--runs"]) == 0
    single = capsys.readouterr().out
    assert all(single.count(f"seed {seed}") == 2 for seed in range(3)) and "mean ±" not in single
    for arguments, columns in (([], 2), (["--runs"], 6)):
        assert status(["compare", "--format", "md", *arguments]) == 0
        first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| validation accuracy"))
        assert first.count("|") == columns + 2


def test_other_data_is_said_in_a_line(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made("a-1")
    made("b-1", classes=("cats", "dogs"))
    assert status(["compare", "a-1", "b-1"]) == 0
    table = capsys.readouterr().out
    assert "No verdict: b-1 was not measured on the same data as a-1: different classes." in table
    assert table.count("validation accuracy") == 1 and "★ best" not in table


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a-1:nobody"], "a-1 has no run 'nobody'; there are resnet18-finetune-0, mobilenetv3-extract-0"),
        (["a-1", "nobody"], "there is no experiment 'nobody'"),
        (["nobody:x"], "there is no experiment 'nobody'"),
        (["a-1", "--positive", "wasps"], "--positive 'wasps' is not a class of this data; there are ants, bees"),
    ],
)
def test_what_is_not_there_is_said(
    made: Made, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    made("a-1")
    assert status(["compare", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_positive_class_is_in_every_format(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made("a-1")
    assert status(["compare", "--positive", "ants", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["positive"] == "ants"
    assert status(["compare", "--format", "csv"]) == 0
    header, first, _ = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert first[header.index("positive")] == "bees"
