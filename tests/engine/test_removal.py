"""An experiment is removed with all that tl-tui wrote, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import log
from engine.log import EventLog, LogBusyError
from engine.removal import contents, remove
from engine.toml import SpecError

OWN = (
    *("experiment.toml", "events.jsonl", "commands.jsonl", "writer.lock", "engine.log", "comparison.md"),
    *(".experiment.toml.4711", "checkpoints/a-0/best.safetensors", "checkpoints/a-0/last.safetensors"),
    *("checkpoints/a-0/unused-12.safetensors", "checkpoints/b-0/.tmpx", "predictions/.a-0.safetensors.partial"),
    "predictions/a-0.safetensors",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment with a file of every kind, each 10 bytes long, but for the lock."""
    folder = tmp_path / "runs" / "a-20261123-120000"
    for place in OWN:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(b"" if place == "writer.lock" else b"0123456789")
    return folder


def test_all_of_it_is_told_and_removed(folder: Path) -> None:
    inside = contents(folder)
    assert (inside.files, inside.bytes, inside.networks) == (len(OWN), 10 * (len(OWN) - 1), 1)
    assert inside.is_exported and not inside.strange
    assert remove(folder) == () and not folder.exists() and folder.parent.exists()


def test_what_others_put_there_stays_with_its_folders(folder: Path) -> None:
    others = {"notes.txt", "checkpoints/a-0/mine.pt", "predictions/plots", "checkpoints/best.safetensors"}
    (folder / "predictions" / "plots").mkdir()
    (folder / "predictions" / "plots" / "best.safetensors").touch()
    for place in others - {"predictions/plots"}:
        (folder / place).touch()
    assert set(contents(folder).strange) == others
    assert set(remove(folder)) == others
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == (others - {"predictions/plots"}) | {"predictions/plots/best.safetensors"}


def test_links_are_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "scratch"
    (folder / "checkpoints").rename(elsewhere)
    (folder / "checkpoints").symlink_to(elsewhere)
    (folder / "mine").symlink_to(elsewhere)
    assert contents(folder).strange == ("mine",)
    linked = folder.parent / "linked-20261123-120000"
    linked.symlink_to(folder)
    assert contents(linked).link == str(folder)
    assert remove(linked) == () and not linked.is_symlink() and (folder / "events.jsonl").is_file()
    assert remove(folder) == ("mine",)
    assert not (folder / "checkpoints").is_symlink() and (elsewhere / "a-0" / "best.safetensors").is_file()


def test_one_that_runs_is_not_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linked = folder.parent / "linked"
    linked.symlink_to(folder)
    there = set(folder.rglob("*"))
    with EventLog(folder):
        for one in (folder, linked):
            with pytest.raises(LogBusyError, match="is being written"):
                remove(one)
    (folder / "writer.lock").write_text("elsewhere 12\n")
    with pytest.raises(LogBusyError, match="elsewhere"):
        remove(folder)
    assert set(folder.rglob("*")) == there and linked.is_symlink()
    remove(folder, force=True)
    assert not folder.exists()


def test_another_programs_folder_is_not_touched(folder: Path) -> None:
    (folder / "experiment.toml").unlink()
    with pytest.raises(SpecError, match="by hand"):
        contents(folder)
    with pytest.raises(SpecError, match="by hand"):
        remove(folder)
    assert (folder / "events.jsonl").is_file()
    (folder / "events.jsonl").write_bytes(b'{"event":"RunStarted"}\n')
    remove(folder)
    assert not folder.exists()


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
        remove(folder)
    assert (folder / "events.jsonl").is_file() and not log.is_being_written(folder)
