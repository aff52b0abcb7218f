"""An experiment is removed with all that tl-tui wrote, and with nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.errors import LogBusyError, UserError
from engine.history.removal import contents, remove
from engine.logs.log import EventLog
from engine.logs.writer_lock import is_being_written
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment, to_toml
from engine.specs.strategy import changed_strategy

OWN = (
    *("experiment.toml", "events.jsonl", "commands.jsonl", "writer.lock", "engine.log", "comparison.md"),
    *(
        "note.txt",
        ".note.txt.4711",
        ".experiment.toml.4711",
        "checkpoints/a-0/best.safetensors",
        "checkpoints/a-0/last.safetensors",
    ),
    *("checkpoints/a-0/unused-12.safetensors", "checkpoints/b-0/.tmpx", "predictions/.a-0.safetensors.partial"),
    *(f"writer.lock.break.4711.{'0a' * 16}", f"writer.lock.restore.4711.{'0a' * 16}"),
    *("predictions/a-0.safetensors", "checkpoints/a-0/best.onnx", "checkpoints/b-0/.best.onnx.4711"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment with a file of every kind, each 10 bytes long, but for the lock."""
    folder = tmp_path / "runs" / "a-20261123-120000"
    for place in OWN:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"" if place == "writer.lock" else b"0123456789")
    asked = Experiment(
        tuple(changed_strategy(presets()["resnet18-finetune"], name=name) for name in "ab"), DataSource()
    )
    (folder / "experiment.toml").write_text(to_toml(asked))
    return folder


def removed(folder: Path, *, force: bool = False) -> tuple[str, ...]:
    """What is left after the experiment as it is now was asked about and removed."""
    return remove(folder, contents(folder).folder, force=force)


def test_all_of_it_is_told_and_removed(folder: Path) -> None:
    inside = contents(folder)
    size = sum((folder / place).stat().st_size for place in OWN)
    assert (inside.files, inside.bytes, inside.networks) == (len(OWN), size, 1)
    assert inside.is_exported and not inside.strange
    assert inside.is_left, "it has not begun"
    assert removed(folder) == () and not folder.exists() and folder.parent.exists()


def test_what_others_put_there_stays_with_its_folders(folder: Path) -> None:
    others = {
        "notes.txt",
        "writer.lock.break.me",
        "checkpoints/a-0/mine.pt",
        "predictions/plots",
        "checkpoints/best.safetensors",
    }
    others |= {"predictions/ensemble.safetensors", "checkpoints/mine"}  # of no run of the experiment
    others |= {"writer.lock.break.mine"}
    (folder / "checkpoints" / "mine").mkdir()
    (folder / "checkpoints" / "mine" / "best.safetensors").touch()
    (folder / "predictions" / "plots").mkdir()
    (folder / "predictions" / "plots" / "best.safetensors").touch()
    for place in others - {"predictions/plots", "checkpoints/mine"}:
        (folder / place).touch()
    assert set(contents(folder).strange) == others
    assert set(removed(folder)) == others
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    inside = {"predictions/plots", "checkpoints/mine"}
    assert left == (others - inside) | {f"{place}/best.safetensors" for place in inside}


def test_links_are_not_followed_and_those_inside_stay(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "scratch"
    (folder / "checkpoints").rename(elsewhere)
    (folder / "checkpoints").symlink_to(elsewhere)
    linked = folder.parent / "linked-20261123-120000"
    linked.symlink_to(folder)
    assert contents(linked).link == str(folder)
    assert removed(linked) == () and not linked.is_symlink() and (folder / "events.jsonl").is_file()
    assert contents(folder).strange == removed(folder) == ("checkpoints",), "where the networks are is still told"
    assert (folder / "checkpoints").is_symlink() and (elsewhere / "a-0" / "best.safetensors").is_file()


def test_what_took_its_place_since_the_question_is_not_touched(folder: Path) -> None:
    asked_about = contents(folder).folder
    shutil.copytree(folder, folder.with_name("copy"))
    folder.rename(folder.with_name("moved"))
    folder.with_name("copy").rename(folder)
    with pytest.raises(UserError, match="another folder"):
        remove(folder, asked_about)
    assert (folder / "events.jsonl").is_file()


def test_one_that_runs_is_not_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = folder.parent / "linked"
    linked.symlink_to(folder)
    there = set(folder.rglob("*"))
    with EventLog(folder):
        for one in (folder, linked):
            with pytest.raises(LogBusyError, match="is being written"):
                removed(one)
    (folder / "writer.lock").write_text("elsewhere 12\n")
    with pytest.raises(LogBusyError, match="elsewhere"):
        removed(folder)
    assert set(folder.rglob("*")) == there and linked.is_symlink()
    removed(folder, force=True)
    assert not folder.exists()


def test_another_programs_folder_is_not_touched(folder: Path) -> None:
    asked_about = contents(folder).folder
    (folder / "experiment.toml").write_text("[other]\n")
    with pytest.raises(UserError, match="by hand"):
        contents(folder)
    with pytest.raises(UserError, match="by hand"):
        remove(folder, asked_about)
    assert (folder / "events.jsonl").is_file()
    (folder / "events.jsonl").write_bytes(b'{"event":"RunStarted"}\n')
    assert set(removed(folder)) == {"checkpoints/a-0", "checkpoints/b-0", "predictions/.a-0.safetensors.partial"} | {
        "predictions/a-0.safetensors"
    }, "nothing tells the runs any more"


def test_where_something_cannot_be_removed_the_log_is_still_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.name == "experiment.toml":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(PermissionError):
        removed(folder)
    assert (folder / "events.jsonl").is_file() and not is_being_written(folder)
