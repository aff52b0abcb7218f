"""``tl-tui cache``: what is prepared, how much room it takes, and how it goes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from engine import cache
from tests.tui.test_light_commands import assert_light
from tui.cli import status


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def prepare(name: str, description: str, size: int, kind: str = "decoded", used: int | None = None) -> Path:
    key = cache.key(name)
    with cache.writing(kind, key, description, size) as folder:
        assert folder is not None
        (folder / "data.npy").write_bytes(bytes(size))
    found = cache.find(kind, key)
    assert found is not None
    if used is not None:
        os.utime(found, (used, used))
    return found


def test_entries_are_listed_the_last_used_first(capsys: pytest.CaptureFixture[str], empty_cache: Path) -> None:
    prepare("old", "ants-bees: 397 images of 256 × 256 pixels", 3 * 2**20, used=1_700_000_000)
    prepare("new", "digests of 397 files", 2000, "digests")
    assert status(["cache"]) == 0
    where, head, *lines, advice = capsys.readouterr().out.splitlines()
    assert re.fullmatch(re.escape(str(empty_cache)) + r": 3 MiB of at most [\d.]+ [MG]iB", where)
    assert re.split(r"  +", head.strip()) == ["kind", "what", "size", "last used"]
    rows = [re.split(r"  +", line.strip()) for line in lines]
    assert [row[:3] for row in rows] == [
        ["digests", "digests of 397 files", "< 1 MiB"],
        ["decoded", "ants-bees: 397 images of 256 × 256 pixels", "3 MiB"],
    ]
    assert re.fullmatch(r"2023-11-1[45] \d\d:\d\d", rows[1][3])
    assert "tl-tui cache clear" in advice


def test_clearing_says_what_it_freed(capsys: pytest.CaptureFixture[str], empty_cache: Path) -> None:
    paths = [prepare(name, name, 2**20) for name in ("a", "b", "c")]
    (empty_cache / "thesis.txt").write_text("not of the cache")
    assert status(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "removed 3 entries, 3 MiB\n"
    assert not any(path.exists() for path in paths)
    assert (empty_cache / "thesis.txt").exists()
    assert status(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "removed 0 entries, 0 MiB\n"
    assert status(["cache"]) == 0
    assert "Nothing is cached yet" in capsys.readouterr().out


def test_a_cache_that_was_never_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TL_TUI_CACHE", str(tmp_path / "nowhere" / "yet"))
    assert status(["cache"]) == 0
    assert status(["cache", "clear"]) == 0
    assert "removed 0 entries" in capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists(), "looking makes nothing"


def test_a_limit_of_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "0")
    assert status(["cache"]) == 0
    assert "no room for a cache" in capsys.readouterr().out


def test_descriptions_are_text_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    prepare("x", "[red]photos[/] \x1b[2J\x1b]0;title\x07", 10)
    assert status(["cache"]) == 0
    printed = capsys.readouterr().out
    assert "[red]photos[/]" in printed
    assert "\x1b" not in printed and "\x07" not in printed


@pytest.mark.parametrize(
    ("arguments", "gib", "said"),
    [
        (["cache"], "plenty", "TL_TUI_CACHE_GIB: 'plenty' is not a number of GiB"),
        (["cache", "nonsense"], "1", "nonsense"),
        (["cache", "clear", "all"], "1", "all"),
    ],
    ids=["limit", "command", "argument"],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], gib: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = prepare("kept", "kept", 10)
    monkeypatch.setenv("TL_TUI_CACHE_GIB", gib)
    assert status(arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err
    assert printed.out == ""
    assert entry.exists()


def test_a_busy_cache_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = prepare("kept", "kept", 10)
    monkeypatch.setattr(cache._lock, "__defaults__", (0.1,))
    with cache._lock(empty_cache):
        assert status(["cache"]) == 0, "looking waits for nobody"
        capsys.readouterr()
        assert status(["cache", "clear"]) == 2
    assert (
        capsys.readouterr().err
        == f"tl-tui: {empty_cache} is busy: another tl-tui writes there; try again in a minute\n"
    )
    assert entry.exists()


@pytest.mark.parametrize("line", [["cache"], ["cache", "clear"]], ids=" ".join)
def test_a_folder_that_is_none_is_told_in_one_line(
    line: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("TL_TUI_CACHE", str(file))
    assert status(line) == 2
    assert capsys.readouterr().err == f"tl-tui: {file}: Not a directory\n"
    assert file.read_text() == "in the way"


@pytest.mark.parametrize("line", ["cache", "cache clear", "cache --help"])
def test_it_loads_nothing_heavy(line: str, tmp_path: Path) -> None:
    prepare("a", "a", 10)
    assert_light(line, tmp_path, os.environ)
