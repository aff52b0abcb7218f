"""Digests of files, and when they may be remembered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import cache
from engine.cached_rows import CONTENTS, VALUES
from engine.data import content_hashes as module
from engine.data.content_hashes import content_hashes
from tests.engine.work import result


def hashed(*paths: Path) -> tuple[list[str | None], list[int]]:
    """The digests, and how many files were read for them, as it was told."""
    digests, told = result(content_hashes([str(path) for path in paths], 2))
    return digests, [work.done for work in told if work.done]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files, two of the same bytes."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "again.jpg")]
    for path, content in zip(paths, (b"first", b"second", b"first"), strict=True):
        path.write_bytes(content)
    return paths


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file of the test had been there for long."""
    monkeypatch.setattr(module, "TRUSTED_AFTER_SECONDS", -3600)


def remembered() -> list[str]:
    return [entry.description for entry in cache.entries()]


def test_the_same_bytes_have_the_same_digest_whatever_the_name(files: list[Path]) -> None:
    digests, done = hashed(*files)
    assert digests[0] == digests[2] != digests[1]
    assert all(digest is not None and len(digest) == 64 for digest in digests)
    assert done == [1, 2, 3]
    assert hashed(*reversed(files))[0] == digests[::-1]


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_is_not_read_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = hashed(*files)
    assert remembered() == ["digests of 3 files"]

    def fail(path: str) -> str:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(module, "_digest", fail)
    assert hashed(*files) == (first, [])
    assert hashed(*files[1:]) == (first[1:], []), "in other company"


@pytest.mark.usefixtures("settled")
def test_of_files_that_are_new_among_others_these_alone_are_read(files: list[Path], tmp_path: Path) -> None:
    first, _ = hashed(*files[:2])
    (tmp_path / "new.png").write_bytes(b"third")
    again, done = hashed(files[1], tmp_path / "new.png", files[0], files[2])
    assert done == [1, 2]
    assert again == [first[1], hashed(tmp_path / "new.png")[0][0], first[0], first[0]]
    assert hashed(*files, tmp_path / "new.png")[1] == [], "from two entries"


@pytest.mark.usefixtures("settled")
def test_a_changed_file_is_read_again_though_its_size_and_time_are_as_before(files: list[Path]) -> None:
    first, _ = hashed(*files)
    before = files[1].stat()
    files[1].write_bytes(b"SECOND")
    os.utime(files[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files[1].stat().st_mtime_ns == before.st_mtime_ns
    again, done = hashed(*files)
    assert done == [1]
    assert again[1] != first[1] and again[::2] == first[::2]


@pytest.mark.usefixtures("settled")
def test_a_file_put_in_the_place_of_another_is_read(files: list[Path]) -> None:
    first, _ = hashed(*files)
    files[0].replace(files[1])
    files[0].write_bytes(b"second")
    again, done = hashed(*files)
    assert done == [1, 2]
    assert again == [first[1], first[0], first[2]]


def test_what_changed_just_before_is_not_remembered(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for path in files:
        os.utime(path, (0, 0))  # this time says otherwise, but it was set
    for _ in range(2):
        assert hashed(*files)[1] == [1, 2, 3]
    assert not remembered()
    changed = max(path.stat().st_ctime_ns for path in files)
    monkeypatch.setattr(module.time, "time_ns", lambda: changed + 2_000_000_000)
    hashed(*files)
    assert not remembered()
    monkeypatch.setattr(module.time, "time_ns", lambda: changed + 2_000_000_001)
    hashed(*files)
    assert remembered()


@pytest.mark.usefixtures("settled")
def test_what_changes_while_it_is_read_is_not_remembered(files: list[Path]) -> None:
    work = content_hashes([str(path) for path in files], 1)
    while next(work).done < 1:
        pass
    files[0].write_bytes(b"longer than before")
    result(work)
    assert remembered() == ["digests of 2 files"]
    assert hashed(*files)[1] == [1]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("missing", ["nowhere.png", "", "nul\0"])
def test_what_cannot_be_read_has_no_digest_and_is_tried_again(files: list[Path], tmp_path: Path, missing: str) -> None:
    paths = [str(files[0]), f"{tmp_path}/{missing}", str(files[1])]
    digests, _ = result(content_hashes(paths, 2))
    assert digests[1] is None
    assert digests[0] is not None and digests[2] is not None
    assert remembered() == ["digests of 2 files"]
    again, told = result(content_hashes(paths, 2))
    assert (again, told[-1].done) == (digests, 1)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("content", [b"", b"\x80", b"\x91\xa3one", b"\x93\x01\x02\x03", b"\xff"])
@pytest.mark.parametrize("name", [CONTENTS, VALUES])
def test_a_broken_memory_is_made_anew(files: list[Path], name: str, content: bytes) -> None:
    first, _ = hashed(*files)
    (entry,) = cache.entries()
    (entry.path / name).write_bytes(content)
    assert hashed(*files) == (first, [1, 2, 3])
    assert hashed(*files) == (first, [])


@pytest.mark.usefixtures("settled")
def test_without_a_cache_everything_is_read(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "0")
    assert hashed(*files) == hashed(*files)
    assert hashed(*files)[1] == [1, 2, 3]


@pytest.mark.usefixtures("settled")
def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(str(tmp_path)) + b"/odd\xff.png")
    try:
        Path(name).write_bytes(b"first")
    except OSError:
        pytest.skip("this file system takes only text as names")
    first = hashed(Path(name))
    assert first[0] != [None]
    assert hashed(Path(name)) == (first[0], [])


def test_no_files() -> None:
    assert hashed() == ([], [])
