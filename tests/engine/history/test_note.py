"""The note on an experiment: written whole or not at all, and harmless whoever wrote it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.files import write_text
from engine.history.note import LONGEST, read_note, write_note
from engine.logs.folder import NOTE
from tests.engine.disks import mounted, remount


def test_a_note_is_one_line_and_an_empty_one_is_none(tmp_path: Path) -> None:
    assert read_note(tmp_path) == ""
    write_note(tmp_path, "  wider crops,\n  lr × 10 ")
    assert (tmp_path / NOTE).read_text(encoding="utf-8") == "wider crops, lr × 10\n"
    assert read_note(tmp_path) == "wider crops, lr × 10"
    write_note(tmp_path, "é" * LONGEST)
    assert read_note(tmp_path) == "é" * LONGEST
    for _ in range(2):
        write_note(tmp_path, " \n")
        assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "\udcff"])
def test_what_cannot_be_kept_leaves_the_present_one(text: str, tmp_path: Path) -> None:
    write_note(tmp_path, "first")
    with pytest.raises(UserError, match="the note"):
        write_note(tmp_path, text)
    assert read_note(tmp_path) == "first" and [path.name for path in tmp_path.iterdir()] == [NOTE]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"\xef\xbb\xbfof an editor\r\n", "of an editor"),
        (b"one\n\n two\x1b[31m\n", "one two\x1b[31m"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 10**6, "x" * (LONGEST - 1) + "…"),
        (b"\n" * 10**6, ""),
    ],
    ids=["marked", "lines", "not UTF-8", "long", "blank"],
)
def test_what_others_wrote_is_cut_to_a_line(content: bytes, note: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_bytes(content)
    assert read_note(tmp_path) == note


def test_what_is_no_file_is_no_note(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of another folder")
    for kind in ("pipe", "link", "folder"):
        (tmp_path / kind).mkdir()
    os.mkfifo(tmp_path / "pipe" / NOTE)
    (tmp_path / "link" / NOTE).symlink_to(secret)
    (tmp_path / "folder" / NOTE).mkdir()
    for kind in ("link", "folder", "pipe"):
        assert read_note(tmp_path / kind) == "", kind
    write_note(tmp_path / "link", "mine")
    assert read_note(tmp_path / "link") == "mine" and secret.read_text() == "of another folder"


def test_where_nothing_can_be_written_the_error_names_the_note(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        write_note(disk, "first")
        remount(disk, "ro")
        for text in ("second", ""):
            with pytest.raises(OSError, match="Read-only") as raised:
                write_note(disk, text)
            assert raised.value.filename == str(disk / NOTE)
        assert read_note(disk) == "first"


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "experiment.toml", list[str]()
    write_text(path, "before")
    monkeypatch.setattr("engine.files.os.fsync", lambda _: synced.append(path.read_text()))
    write_text(path, "after")
    assert (synced, path.read_text()) == (["before"], "after")
