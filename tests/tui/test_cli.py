"""The command line as scripts and people use it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from engine.comparison.rows import Row
from engine.errors import UserError
from engine.history.experiment_state import read_state
from engine.history.note import read_note
from engine.logs import events as ev
from engine.logs import folder as folders
from engine.logs.log import EventLog
from engine.specs.spec import Experiment, Precision, planned_runs
from tests import forked
from tests.engine.running import wait_for
from tests.tui import logs
from tui.app import TlTui
from tui.cli import status
from tui.commands.find import find_experiment, find_interrupted, find_run
from tui.naming import RUNS, called
from tui.session import _failed, _print_whereabouts

SMALL = ["--weights", "none", "--epochs", "1", "--batch-size", "4", "--device", "cpu", "--config"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Both strategies at 32 pixels, so that a run takes a second."""
    path = tmp_path / "small.toml"
    path.write_text(
        "".join(
            f'[[strategies]]\nname = "{name}"\nbased_on = "{base}"\nbackbone = "squeezenet1_1"\nimage_size = 32\n'
            for name, base in (("tuned", "resnet18-finetune"), ("extracted", "mobilenetv3-extract"))
        )
    )
    return path


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


def only_experiment(out: Path) -> Path:
    (folder,) = folders.experiments(out)
    return folder


def test_run_and_every_way_to_read_it(
    image_folder: Callable[..., Path], config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert status(["run", str(image_folder()), *SMALL, str(config), "--note", "which [b]is\nbetter"]) == 0
    said = capsys.readouterr().out
    assert "tuned-0 · epoch 1/1" in said
    assert "validation accuracy" in said
    assert "on the same 8 validation images" in " ".join(said.split()), "the verdict"

    folder = only_experiment(tmp_path / "runs")
    assert status(["compare"]) == 0
    assert "validation accuracy" in capsys.readouterr().out

    assert status(["compare", folder.name, "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["experiment"] == folder.name
    none = dict.fromkeys(("test", "val_copies", "test_copies", "val_conflicts", "test_conflicts"), 0)
    assert read["data"] == {"train": 12, "val": 8, "classes": ["cold", "warm"], "folds": None} | none
    assert [run["strategy"] for run in read["runs"]] == ["tuned", "extracted"]
    assert {run["state"] for run in read["runs"]} == {"finished"}
    assert all(0 <= run["val_accuracy"] <= 1 for run in read["runs"])
    assert all(run["weights"].startswith("none") for run in read["runs"])
    assert "not transfer learning" in read["verdict"]

    assert status(["compare", str(folder), "--format", "csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["run"] for line in lines] == ["tuned-0", "extracted-0"]
    assert set(Row.__struct_fields__) - {"scores", "test_scores"} <= set(lines[0])
    assert all(0 <= float(line["val_balanced_accuracy"]) <= 1 for line in lines), "its predictions were read"
    assert {line["positive"] for line in lines} == {"warm"}

    assert status(["compare", "--format", "md", "-o", "table.md"]) == 0
    assert "| validation accuracy |" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert status(["compare", "-o", "table.csv"]) == 0
    assert (tmp_path / "table.csv").read_text(encoding="utf-8").startswith("experiment,")
    assert status(["compare", "-o", "nowhere/x.csv"]) == 2
    assert f"{Path('nowhere/x.csv')}: No such file or directory" in capsys.readouterr().err
    assert status(["compare", "-o", "table.txt"]) == 0
    assert "validation accuracy" in (tmp_path / "table.txt").read_text(encoding="utf-8")
    capsys.readouterr()

    assert status(["runs"]) == 0
    listed = capsys.readouterr().out
    assert folder.name in listed
    assert "finished" in listed and "note: which [b]is better" in " ".join(listed.split())
    assert "better" not in (folder / "experiment.toml").read_text(), "another with --config is another"
    accuracies = {run["strategy"]: f"{100 * run['val_accuracy']:.1f} %" for run in read["runs"]}
    assert {tuple(line.split(maxsplit=1)) for line in map(str.strip, listed.splitlines())} >= set(accuracies.items())


def test_an_experiment_runs_again_from_its_own_file(
    image_folder: Callable[..., Path], config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert status(["run", str(image_folder()), "--strategy", "extracted", "--seed", "5", *SMALL, str(config)]) == 0
    first = only_experiment(tmp_path / "runs")
    assert status(["run", "--config", str(first / "experiment.toml"), "--out", "again"]) == 0
    second = only_experiment(tmp_path / "again")
    losses = [read_state(folder).run("extracted-5").epochs[0].val.loss for folder in (first, second)]
    assert losses[0] == losses[1], "the same spec on the same machine is the same run"
    capsys.readouterr()


def test_compiling_and_every_precision_can_be_asked_for(
    image_folder: Callable[..., Path], config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Experiment] = []
    monkeypatch.setattr("tui.commands.run.run_headless", lambda experiment, *_, **__: asked.append(experiment))
    for precision in get_args(Precision):
        assert status(["run", str(image_folder()), "--precision", precision]) == 0
    assert [experiment.precision for experiment in asked] == list(get_args(Precision))
    assert not any(experiment.compile for experiment in asked)

    compiled = tmp_path / "compiled.toml"
    compiled.write_text(f"compile = true\n{config.read_text()}")
    for arguments in (["--compile"], ["--config", str(compiled)]):
        assert status(["run", str(image_folder()), *arguments]) == 0
        assert asked[-1].compile


def test_json_alone_is_on_stdout(
    image_folder: Callable[..., Path], config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(image_folder()), "--json", "-s", "extracted", *SMALL, str(config)]
    assert status(arguments) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["runs"][0]["strategy"] == "extracted"
    assert "epoch 1/1" in said.err


def test_a_failed_run_is_status_1(
    image_folder: Callable[..., Path], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["run", str(image_folder()), "--lr", "1e30", *SMALL, str(config)]) == 1
    assert "diverged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere"], "nowhere"),
        (["run", "--strategy", "nobody"], "there is no strategy 'nobody'; there are resnet18-finetune"),
        (["run", "--lr", "inf"], "lr"),
        (["run", "--weights", "nowhere"], "nowhere does not exist"),
        (["run", "--weights", "~\0"], "weights: ~\\x00: no such user"),
        (["compare", "--format", "csv", "-o", "."], "'.' is a directory"),
        (["run", "--epochs", "0"], "epochs: must be a whole number of at least 1"),
        (["run", "--lr", "-1"], "lr"),
        (["run", "--seed", "1", "--seed", "1"], "duplicate seed 1"),
        (["run", "--precision", "fp8"], "fp8"),
        (["run", "--config", "none.toml"], "none.toml: No such file"),
        (["run", "--nonsense"], "--nonsense"),
        (["compare"], "runs; `tl-tui run` creates one, --out names another folder"),
        (["compare", "nobody"], "there is no experiment 'nobody'"),
        (["compare", "--format", "xml"], "xml"),
        (["nowhere"], "nowhere"),
        (["comapre"], "did you mean `tl-tui compare`?"),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert status(arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-s", "resnet19-probe"], "no classification model 'resnet19'; did you mean resnet18, resnet"),
        (["-s", "resnet18-prob"], "there is no strategy 'resnet18-prob'; did you mean resnet18-probe?"),
        (["-s", "alexnet-bn"], "AlexNet has no norm layers"),
        (["--device", "cuda:7"], "cuda:7"),
        (["--out", __file__], "test_cli.py is a file; --out names the folder of experiments"),
        (["--note", "x" * 201], "the note has 201 characters; it may have 200"),
        (["--folds", "11"], "20 groups or images are too few to be divided into 11 parts"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("detached", [False, True], ids=["", "detached"])
def test_what_cannot_be_had_is_refused_before_a_folder_is_made(
    arguments: list[str],
    said: str,
    detached: bool,
    image_folder: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status(["run", str(image_folder()), *arguments, *(["--detach"] if detached else [])]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_listings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "config" / "tl-tui" / "strategies.toml"
    own.parent.mkdir(parents=True)
    own.write_text('[[strategies]]\nname = "mine"\nbased_on = "resnet18-finetune"')
    assert status(["presets"]) == 0
    said = capsys.readouterr().out
    assert "resnet18-finetune" in said
    assert "mine (own)" in said
    assert "  schedule      StepLR step size 3, gamma 0.1" in said
    assert status(["runs"]) == 0
    assert "No experiments in runs yet" in capsys.readouterr().out
    assert status(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "torchvision" in said
    assert re.search(r"^precision +(fp32|bf16|fp16): ", said, re.MULTILINE)
    assert "weights of resnet18 " in said
    assert status(["doctor", "--backbones", "resnet34, resnet34,resnet99"]) == 0
    said = capsys.readouterr().out
    assert said.count("weights of resnet34 ") == 1 and "weights of resnet18 " not in said
    assert "did you mean" in said
    assert status(["doctor", "--backbones", ","]) == 2
    assert "name at least one" in capsys.readouterr().err
    assert status(["--help"]) == 0
    assert status(["--version"]) == 0


def test_listings_for_scripts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = logs.write(tmp_path / "runs" / "ants-bees", logs.events())

    def told(command: str) -> Any:
        assert status([command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    experiment = told("runs")["experiments"][0]
    assert (experiment["name"], experiment["status"]) == (folder.name, "finished")
    assert set(experiment["reached"]) == set(experiment["strategies"])
    assert (experiment["note"], experiment["problem"]) == ("", "") and not {"stamp", "spec"} & set(experiment)
    with EventLog(folder):  # another process trains there
        for words in (["the \x1b[31m", "first"], ["é second"], [""]):
            assert status(["note", folder.name, *words]) == 0
            assert told("runs")["experiments"][0]["note"] == " ".join(words)
    assert status(["note", folder.name]) == 2 and "TEXT" in capsys.readouterr().err
    assert told("presets")["strategies"][0]["optimizer"]["name"] == "SGD"
    assert [rung["name"] for rung in told("presets")["rungs"]][:2] == ["probe", "extract"]
    assert told("doctor")["device"]["torch_name"] in ("cpu", "cuda:0", "mps")


@pytest.mark.slow
def test_without_a_terminal_the_app_is_run_and_ctrl_c_saves_and_ends(
    image_folder: Callable[..., Path], config: Path, tmp_path: Path
) -> None:
    """The command without ``run``, which it does where there is no terminal; the real signal."""
    arguments = [str(image_folder()), *SMALL, str(config), "--epochs", "100000", "--out", str(tmp_path / "out")]
    out, error = tmp_path / "out.txt", tmp_path / "error.txt"
    with Path(os.devnull).open() as nothing, out.open("w") as said, error.open("w") as wrong:
        process = forked.start(["tl-tui", *arguments], (nothing.fileno(), said.fileno(), wrong.fileno()), tmp_path)
        wait_for(lambda: "tuned-0 · epoch 1/" in out.read_text() or process.poll() is not None)
        before = out.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    rest = out.read_text().removeprefix(before)
    assert "\x1b" not in before + rest + error.read_text()
    assert "saving its state" in rest
    assert "validation accuracy" in rest
    folder = only_experiment(tmp_path / "out")
    state = read_state(folder)
    assert state.suspended
    assert state.end is None
    assert f"tl-tui resume {folder}" in rest
    assert (folder / "checkpoints" / "tuned-0" / "best.safetensors").exists()
    assert (folder / "checkpoints" / "tuned-0" / "last.safetensors").exists()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(image_folder: Callable[..., Path], config: Path, tmp_path: Path) -> None:
    arguments = ["run", str(image_folder()), *SMALL, str(config), "--epochs", "100000", "--out", str(tmp_path / "out")]
    said, wrong = tmp_path / "said", tmp_path / "wrong"
    with Path(os.devnull).open() as nothing, said.open("w") as out, wrong.open("w") as error:
        process = forked.start(["tl-tui", *arguments], (nothing.fileno(), out.fileno(), error.fileno()), tmp_path)
        wait_for(lambda: "epoch 1/" in said.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # two of a kind at once may arrive as one
        assert process.wait() == 130
    assert "terminate" not in wrong.read_text() and "Traceback" not in wrong.read_text()
    assert "tl-tui resume" not in said.read_text()


def asked_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, list[Experiment]]:
    """The exit status, and the experiment that would run."""
    found: list[Experiment] = []
    monkeypatch.setattr("tui.commands.run.run_headless", lambda experiment, *_, **__: found.append(experiment))
    return status(["run", *arguments]), found


def test_export_and_the_options_of_the_app_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["export"]) == 2
    said = capsys.readouterr().err
    assert "`tl-tui compare --format" in said and "`tl-tui onnx`" in said
    assert status(["--help"]) == 0
    assert "`tl-tui app --help`" in capsys.readouterr().out


def test_seeds_are_named_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, seeds in (([], (0,)), (["--seed", "7", "--seed", "3"], (7, 3)), (["--seeds", "4"], (0, 1, 2, 3))):
        code, (experiment,) = asked_with(monkeypatch, *arguments)
        assert (code, experiment.seeds, experiment.folds) == (0, seeds, None)
    _, (experiment,) = asked_with(monkeypatch, "--folds", "5", "--seeds", "2")
    assert (experiment.seeds, experiment.folds) == ((0, 1), 5)
    assert len(planned_runs(experiment)) == 2 * 2 * 5


@pytest.mark.parametrize(
    "arguments", [["--seeds", "2", "--seed", "1"], ["--seeds", "0"], ["--folds", "1"], ["--folds", "x"]], ids=" ".join
)
def test_seeds_and_folds_that_make_no_sense(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked_with(monkeypatch, *arguments) == (2, [])
    assert arguments[0] in capsys.readouterr().err


def test_resume_finds_what_could_not_be_written(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    events = logs.events()
    full, diverged = (
        ev.RunFailed(run="resnet18-finetune-0", kind=kind, message="no") for kind in ("writing", "diverged")
    )
    end = ev.ExperimentFinished(end="finished")
    logs.write(out / "a-20260101-000000", [events[0], full, end])
    logs.write(out / "b-20260102-000000", [events[0], diverged, end])
    logs.write(out / "c-20260103-000000", events)
    assert find_interrupted(None, out).name == "a-20260101-000000"
    logs.write(out / "d-20260104-000000", events[:5])
    assert find_interrupted(None, out).name == "d-20260104-000000"
    assert find_interrupted("c-20260103-000000", out).name == "c-20260103-000000"


def test_resume_names_what_was_stopped_where_nothing_was_interrupted(tmp_path: Path) -> None:
    out, events = tmp_path / "runs", logs.events()
    for name in ("a-20260101-000000", "b-20260102-000000"):
        logs.write(out / name, [*events[:5], ev.ExperimentFinished(end="stopped")])
    logs.write(out / "c-20260103-000000", events)
    logs.write(out / "d-20260104-000000", [*events[:-1], ev.ExperimentFinished(end="stopped")])  # nothing is left
    with pytest.raises(UserError, match=r"is interrupted; `tl-tui resume .*b-20260102-000000` resumes"):
        find_interrupted(None, out)


def test_attach_names_the_newest_that_was_interrupted_where_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    logs.write(tmp_path / "runs" / "a-20260101-000000", logs.events())
    logs.write(tmp_path / "runs" / "b-20260102-000000", logs.events()[:5])
    assert status(["attach"]) == 2
    said = capsys.readouterr().err
    assert "is running; `tl-tui resume b-20260102-000000` resumes the newest, which was interrupted" in said
    logs.write(tmp_path / "runs" / "c-20260103-000000", logs.events())
    assert status(["attach"]) == 2
    assert "is running; give a name to open another" in capsys.readouterr().err


def test_the_app_leaves_behind_how_to_go_on_with_what_was_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = TlTui(tmp_path)
    folder = logs.write(tmp_path / "a-20260101-000000", [*logs.events()[:5], ev.ExperimentFinished(end="stopped")])
    app.turn_to(folder)
    _print_whereabouts(app)
    assert f"Some runs are unfinished; `tl-tui resume {called(folder)}` continues them" in capsys.readouterr().out
    finished = logs.write(tmp_path / "b-20260102-000000", logs.events())
    app.turn_to(finished)
    _print_whereabouts(app)
    assert f"`tl-tui compare {called(finished)}` prints its results" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["runs", "other place", "/abs"])
def test_an_experiment_is_found_by_what_it_is_called(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = (tmp_path / "elsewhere" if place == "/abs" else Path(place)) / "a-20260101-000000"
    folder.mkdir(parents=True)
    (folder / "events.jsonl").touch()
    (word,) = shlex.split(called(folder))
    assert find_experiment(word, RUNS).samefile(folder)


def test_a_beginning_of_its_name_says_which_experiment_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    for name in ("ants", "ants-20260101-000000", "ants-20260102-000000", "bees-20260101-000000"):
        logs.write(out / name, logs.events())
    (out / "begun").mkdir()
    (out / "begun" / "experiment.toml").touch()
    bees = out / "bees-20260101-000000"
    assert find_experiment("b", out) == find_interrupted("bee", out) == bees
    assert find_interrupted("beg", out) == out / "begun", "it has no log yet"
    assert find_experiment("ants", out) == out / "ants", "a full name is no beginning"
    assert find_run("bees:resnet18-finetune-0", out) == (bees, "resnet18-finetune-0")
    for line in ("note ants- x", "ctl ants- status", "ctl ants- stop", "resume ants-", "compare ants-:x", "onnx ants-"):
        assert status(line.split()) == 2, line
        said = capsys.readouterr().err
        assert (
            f"in {out} begin with 'ants-': ants-20260102-000000, ants-20260101-000000; give more of the name" in said
        ), line
        assert said.count("\n") == 1, line
    with pytest.raises(UserError, match="there is no experiment ''"):
        find_experiment("", out)
    assert status(["note", "bees", "of", "2026"]) == 0 and read_note(bees) == "of 2026"


def test_a_beginning_of_its_name_deletes_no_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = logs.write(tmp_path / "runs" / "bees-20260101-000000", logs.events())
    assert status(["delete", "--yes", "bees"]) == 2 and folder.is_dir()
    said = capsys.readouterr().err
    assert "'bees' is only a prefix of bees-20260101-000000" in said and "give the full name" in said


@pytest.mark.parametrize("line", ["runs", "runs --json", "presets", "presets --json", "--help"])
def test_a_reader_who_has_gone_is_no_failure(line: str, tmp_path: Path) -> None:
    logs.write(tmp_path / "runs" / "ants-bees-20261123-120000", logs.events())
    ours, theirs = os.pipe()
    os.close(ours)
    command = [str(Path(sys.executable).parent / "tl-tui"), *line.split()]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("line", ["runs", "runs --json", "presets --json", "--help"])
def test_output_that_cannot_be_written_is_said_in_words(line: str, tmp_path: Path) -> None:
    logs.write(tmp_path / "runs" / "ants-bees-20261123-120000", logs.events())
    command = [str(Path(sys.executable).parent / "tl-tui"), *line.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, b"tl-tui: standard output: No space left on device\n")


def test_beside_a_long_name_the_other_columns_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = f"{'a-long-name-' * 8}20261123-120000"
    logs.write(tmp_path / "runs" / name, logs.events())
    assert status(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = " ".join(lines)
    assert all(word in said for word in ("state", "time", "val accuracy", "finished", "94.8 %"))
    assert max(map(len, lines)) <= 80
    folded = "".join(line[: lines[0].index("state")].strip() for line in lines)
    assert name in folded, "whole, to be copied"


def test_an_experiment_by_two_paths_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = logs.write(tmp_path / "runs" / "ants-bees", logs.events())
    (tmp_path / "link").symlink_to(folder)
    for names in (("ants-bees", "runs/ants-bees"), (str(folder), "ants-bees"), ("link", "runs/../runs/ants-bees/")):
        assert status(["compare", *names, "--format", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [run["run"] for run in told["runs"]] == ["resnet18-finetune-0", "mobilenetv3-extract-0"], names


def test_experiments_are_deleted_after_a_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = (logs.write(tmp_path / "runs" / name, logs.events()[:3]) for name in ("kept", "gone"))
    assert status(["delete", "gone"]) == 2 and "--yes" in capsys.readouterr().err, "nobody is there to be asked"
    assert status(["delete", "gone", "nobody's"]) == 2 and "there is no experiment" in capsys.readouterr().err
    assert status(["delete", "--yes", "gone", "nobody's"]) == 2 and gone.is_dir(), "nothing before all are found"
    assert status(["delete", "--yes", "gone", "runs/gone"]) == 0 and not gone.exists()
    assert "gone is deleted." in capsys.readouterr().out
    with EventLog(kept):
        other = logs.write(tmp_path / "runs" / "other", logs.events()[:3])
        assert status(["delete", "--yes", "kept", "other"]) == 1 and kept.is_dir() and not other.exists()
        assert "not deleted: kept is being written by process" in capsys.readouterr().err
    answers = iter("ny")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: next(answers))
    assert status(["delete", "kept"]) == 1 and kept.is_dir()
    assert f"{kept}\n2 files, < 1 MiB, no trained network.\nIt is unfinished" in capsys.readouterr().out
    assert status(["delete", "kept"]) == 0 and not kept.exists()


COMPUTES = """
import threading, time
import torch
from tui import cli
def compute():
    weights = torch.ones(8, 8, requires_grad=True)
    while True:
        (weights @ weights).sum().backward()
def status(_):
    threading.Thread(target=compute, daemon=True).start()
    time.sleep(0.5)
    print("done")
    return 1
cli.status = status
cli.main()
"""


def test_a_thread_that_still_computes_aborts_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", COMPUTES], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"done\n", b"")


def test_output_that_cannot_encode_a_name_has_its_escapes_and_stays_json(tmp_path: Path) -> None:
    logs.write(tmp_path / "runs" / "bä-✓-20261123-120000", logs.events())
    script = "from tui.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "runs", "--json", "--out", str(tmp_path / "runs")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii() and json.loads(done.stdout)["experiments"][0]["name"] == "bä-✓-20261123-120000"


@pytest.mark.parametrize(("end", "shows_another", "failed"), [("failed", False, True), ("finished", True, False)])
def test_the_app_knows_whether_what_was_started_in_it_failed(
    tmp_path: Path, end: str, shows_another: bool, failed: bool
) -> None:
    app = TlTui(tmp_path)
    ended = msgspec.structs.replace(logs.events()[-1], end=end)
    ours = logs.write(tmp_path / "ours", [logs.events()[0], ended])
    theirs = logs.write(tmp_path / "theirs", [logs.events()[0], msgspec.structs.replace(ended, end="failed")])
    app.turn_to(theirs if shows_another else ours)
    assert not _failed(app), "nothing was started"
    app.hosting.host = Namespace(folder=ours, error="")  # type: ignore[assignment]
    assert _failed(app) == failed
