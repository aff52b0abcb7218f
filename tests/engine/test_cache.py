"""The folder of prepared data, with real processes, real kills and real full disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from engine import cache
from engine.errors import UserError
from tests.engine.disks import mounted, remount

ROOT = Path(__file__).parents[2]
KIB, MIB = 2**10, 2**20
WRITER = """
import sys
from engine import cache
for number in map(int, sys.argv[2:]):
    with cache.writing("kind", cache.key(number), f"number {number}", 100 * 1024) as folder:
        if folder is not None:
            (folder / "data").write_bytes(bytes([number]) * 100 * 1024)
    used = sum(entry.bytes for entry in cache.entries())
    assert used <= int(sys.argv[1]), used
    for entry in cache.entries():
        try:
            raw = (entry.path / "data").read_bytes()
        except FileNotFoundError:  # removed this moment
            continue
        assert len(raw) == 100 * 1024 and len(set(raw)) == 1
"""
STUCK = """
import sys, time
from engine import cache
with cache.writing("kind", cache.key("stuck"), "never whole", 300 * 1024) as folder:
    (folder / "data").write_bytes(bytes(100 * 1024))
    print("writing", flush=True)
    time.sleep(60)
"""


def put(name: str, size: int = 100 * KIB, said: int | None = None, description: str = "made up") -> bool:
    """Writes an entry of so many bytes; whether there was room."""
    with cache.writing("kind", cache.key(name), description, size if said is None else said) as folder:
        if folder is None:
            return False
        (folder / "data").write_bytes(bytes(size))
    return True


def there(name: str) -> bool:
    return (cache.folder() / "kind" / cache.key(name)).exists()


def hidden() -> list[Path]:
    return list(cache.folder().glob(".partial-*"))


def used(name: str, seconds_ago: int) -> None:
    """Makes it as if the entry had last been used then."""
    path = cache.folder() / "kind" / cache.key(name)
    now = path.stat().st_mtime
    os.utime(path, (now, now - seconds_ago))


def limit(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setenv("TL_TUI_CACHE_GIB", str(size / 2**30))


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def test_an_entry_is_found_as_it_was_written() -> None:
    assert cache.find("kind", cache.key("a")) is None
    assert put("a", 5, description="five bytes")
    found = cache.find("kind", cache.key("a"))
    assert found is not None
    assert (found / "data").read_bytes() == bytes(5)
    (entry,) = cache.entries()
    assert (entry.kind, entry.key, entry.path, entry.bytes) == ("kind", cache.key("a"), found, 5)
    assert entry.description == "five bytes"
    assert sorted(path.name for path in found.iterdir()) == ["data", cache.META]
    assert not hidden()


def test_an_entry_is_renamed_into_its_place_so_that_nobody_sees_a_part_of_it() -> None:
    with cache.writing("kind", cache.key("x"), "made up", 100) as folder:
        assert folder is not None
        (folder / "data").write_bytes(b"whole")
        written = folder.stat().st_ino
    found = cache.find("kind", cache.key("x"))
    assert found is not None
    assert found.stat().st_ino == written


def test_an_entry_is_on_the_disk_before_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real_sync, real_rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda file: done.append("sync") or real_sync(file))
    monkeypatch.setattr(Path, "rename", lambda self, to: done.append("rename") or real_rename(self, to))
    assert put("x")
    assert done[:3] == ["sync", "sync", "rename"], "its file, what it says of itself, then the name"


def test_entries_are_for_their_owner_only(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_CACHE", str(empty_cache / "new"))
    assert put("a")
    for path in (cache.folder(), cache.folder() / "kind", cache.folder() / "kind" / cache.key("a")):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_mapped_file_outlives_its_entry() -> None:
    with cache.writing("kind", cache.key("a"), "a row", KIB) as folder:
        assert folder is not None
        mapped = np.lib.format.open_memmap(folder / "row.npy", mode="w+", dtype=np.uint8, shape=(KIB,))
        mapped[:] = 7  # as the caller does: not flushed, still mapped when the block ends
    found = cache.find("kind", cache.key("a"))
    assert found is not None
    row = np.load(found / "row.npy", mmap_mode="r", allow_pickle=False)
    assert cache.clear()[0] == 1
    assert cache.find("kind", cache.key("a")) is None and not found.exists()
    assert row.sum() == 7 * KIB


def test_keys_depend_on_the_parts_and_where_they_end() -> None:
    assert cache.key("a", "b", 1) == cache.key("a", "b", 1)
    assert len({cache.key(*parts) for parts in (("ab",), ("a", "b"), ("b", "a"), ("", "ab"), (b"a", 1))}) == 5


ENDINGS = [RuntimeError("mine"), OSError("mine"), FileNotFoundError(2, "mine", "/mine"), KeyboardInterrupt()]


@pytest.mark.parametrize("ending", ENDINGS, ids=repr)
def test_what_the_block_raises_is_raised_and_leaves_no_entry(ending: BaseException) -> None:
    with (
        pytest.raises(type(ending)) as caught,
        cache.writing("kind", cache.key("a"), "cut short", 10) as folder,
    ):
        assert folder is not None
        (folder / "data").write_bytes(b"half")
        raise ending
    assert caught.value is ending
    assert cache.entries() == [] and not hidden()


def test_closing_a_generator_in_the_block_leaves_no_entry() -> None:
    def work() -> Iterator[int]:
        with cache.writing("kind", cache.key("a"), "cut short", 10) as folder:
            assert folder is not None
            (folder / "data").write_bytes(b"half")
            yield 1
            (folder / "more").write_bytes(b"all")

    steps = work()
    assert next(steps) == 1
    assert len(hidden()) == 1 and cache.entries() == []
    steps.close()
    assert cache.entries() == [] and not hidden()


def test_a_folder_that_vanishes_while_it_is_written_costs_only_the_entry(caplog: pytest.LogCaptureFixture) -> None:
    with cache.writing("kind", cache.key("a"), "swept away", 10) as folder:
        assert folder is not None
        (folder / cache.LOCK).unlink()
        folder.rmdir()
        (folder / "data").write_bytes(b"nowhere to go")
    assert "could not be written" in caplog.text
    assert cache.entries() == []


def test_one_that_vanishes_meanwhile_hides_none_of_those_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = cache.key("recipe")
    names = {f"{recipe}-{cache.key(number)}" for number in range(3)}
    for name in names:
        cache.remember("kind", name, name, 10, lambda folder: (folder / "data").write_bytes(b"all"))
    listed = cache._folders

    def removed_meanwhile(path: Path) -> list[Path]:
        found = listed(path)
        shutil.rmtree(found[0])
        return found

    monkeypatch.setattr(cache, "_folders", removed_meanwhile)
    found = {path.name for path in cache.alike("kind", recipe, "")}
    assert len(found) == 2 and found < names


def test_what_was_not_used_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    for age, name in enumerate("cba"):
        assert put(name)
        used(name, 100 - age)
    assert [entry.key for entry in cache.entries()] == [cache.key(name) for name in "abc"]
    assert cache.find("kind", cache.key("c")) is not None  # now the last used
    assert put("d")
    assert [there(name) for name in "abcd"] == [True, False, True, True]
    assert put("e", 300 * KIB)
    assert [there(name) for name in "abcde"] == [False, False, False, False, True]


def test_what_is_larger_than_the_limit_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    assert put("a")
    assert not put("b", 351 * KIB)
    assert put("c", 351 * KIB, said=10)  # it said that it would fit
    assert [there(name) for name in "abc"] == [True, False, False]
    assert not hidden()


def test_what_others_are_writing_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    assert put("a")
    with cache.writing("kind", cache.key("b"), "in the making", 200 * KIB) as folder:
        assert folder is not None
        assert not put("c", 200 * KIB), "both together are more than the limit"
        assert there("a")
        assert put("d", 150 * KIB)
        assert not there("a")
        (folder / "data").write_bytes(bytes(200 * KIB))
    assert [there(name) for name in "abcd"] == [False, True, False, True]


def test_limit_zero_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert put("a")
    limit(monkeypatch, 0)
    assert cache.limit() == 0
    assert cache.find("kind", cache.key("a")) is None
    assert not put("b", 0)
    assert [entry.key for entry in cache.entries()] == [cache.key("a")]


@pytest.mark.parametrize("wrong", ["much", "", "nan", "inf"])
def test_a_limit_that_is_no_number_is_told(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_CACHE_GIB", wrong)
    for ask in (cache.limit, lambda: cache.find("kind", "a"), lambda: put("a")):
        with pytest.raises(UserError, match=r"^TL_TUI_CACHE_GIB: '.*' is not a number of GiB, such as 20 or 0.5$"):
            ask()


def test_a_home_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_CACHE", "~no-such-person/cache")
    with pytest.raises(UserError, match="TL_TUI_CACHE: '~no-such-person/cache' names nobody's home"):
        cache.find("kind", "a")


def test_the_limit_is_a_share_of_the_disk_with_the_cache_counted_in(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(empty_cache, "size=4m"):
        assert cache.limit() == pytest.approx(MIB, abs=64 * KIB)
        assert put("a", 800 * KIB)
        assert cache.limit() == pytest.approx(MIB, abs=64 * KIB)
        limit(monkeypatch, 2**40)
        assert cache.limit() == pytest.approx(4 * MIB, abs=64 * KIB)


def test_another_writer_of_the_same_entry_who_was_first_is_kept() -> None:
    with cache.writing("kind", cache.key("a"), "second", 10) as folder:
        assert folder is not None
        assert put("a", 10, description="first")
        first = cache.entries()[0]
        (folder / "data").write_bytes(bytes(10))
    assert cache.entries() == [first]
    with cache.writing("kind", cache.key("a"), "third, with more", 20) as folder:
        assert folder is not None
        assert put("a", 15, description="meanwhile, with less")
        (folder / "data").write_bytes(bytes(20))
    (entry,) = cache.entries()
    assert (entry.description, entry.bytes) == ("third, with more", 20)
    assert put("a", 10, description="fourth: it looked, and what was there would not do")
    assert cache.entries()[0].bytes == 10


@pytest.mark.parametrize("same", [True, False], ids=["the same entries", "other entries"])
def test_processes_that_write_at_once_stay_below_the_limit(same: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    numbers = [[str(number % 6 + (0 if same else 6 * who)) for number in range(16)] for who in range(2)]
    with process(WRITER, str(350 * KIB), *numbers[0]) as one, process(WRITER, str(350 * KIB), *numbers[1]) as other:
        for writer in (one, other):
            _, said = writer.communicate(timeout=60)
            assert writer.returncode == 0, said
            assert not said
    assert 1 <= len(cache.entries()) <= 3
    assert not hidden()


def test_a_killed_process_leaves_no_entry_and_its_remains_go(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    with process(STUCK) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (partial,) = hidden()
        assert cache.entries() == []
        assert not put("a"), "what is promised to a living process is not taken"
        assert hidden() == [partial]
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(10)
    assert hidden() == [partial] and cache.find("kind", cache.key("stuck")) is None
    assert put("a")
    assert not hidden()
    assert [entry.key for entry in cache.entries()] == [cache.key("a")]


def test_what_a_crash_leaves_between_any_two_steps_goes(empty_cache: Path) -> None:
    assert put("a")
    (empty_cache / ".partial-100-abcd_123").mkdir()  # not yet locked
    sealed = empty_cache / ".partial-10-01234567"  # all written, about to be put into its place
    sealed.mkdir()
    (sealed / cache.META).write_bytes(b'{"description": "whole", "bytes": 10}')
    (sealed / "data").write_bytes(bytes(10))
    assert [entry.key for entry in cache.entries()] == [cache.key("a")]
    assert put("b")
    assert not hidden()


def test_foreign_files_are_left_alone(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    foreign = [
        "notes.txt",
        "photos/a.jpg",
        "snapshots/" + 40 * "a" + "/weights.bin",  # as model hubs name their folders
        "kind/other/meta.json",
        ".partial-of-a-download/half",
        ".hidden/" + 40 * "b" + "/data",
    ]
    for name in foreign:
        (empty_cache / name).parent.mkdir(parents=True, exist_ok=True)
        (empty_cache / name).write_bytes(bytes(400 * KIB))
    (empty_cache / "kind" / "link").symlink_to(empty_cache / "photos")
    for name in "abcde":
        assert put(name)
    assert len(cache.entries()) == 3
    assert cache.clear() == (3, 300 * KIB)
    assert all((empty_cache / name).stat().st_size == 400 * KIB for name in foreign)
    assert (empty_cache / "kind" / "link").is_symlink()


BROKEN = [b"", b"{", b'{"description": "x"}', b'{"description": "x", "bytes": -5}', b"\xff", b"[" * 10**5]


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[:40]))
def test_an_entry_whose_description_is_broken_still_counts(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 350 * KIB)
    assert put("a") and put("b")
    (cache.folder() / "kind" / cache.key("a") / cache.META).write_bytes(content)
    used("a", 100)
    assert [(entry.description, entry.bytes // KIB) for entry in cache.entries()][1:] == [
        ("damaged", 100 + len(content) // KIB)
    ]
    assert put("c", 200 * KIB)
    assert [there(name) for name in "abc"] == [False, True, True]


def test_an_entry_without_description_is_none_and_is_replaced(empty_cache: Path) -> None:
    assert put("a")
    (empty_cache / "kind" / cache.key("a") / cache.META).unlink()
    assert cache.find("kind", cache.key("a")) is None
    assert put("a", 5)
    assert [entry.bytes for entry in cache.entries()] == [5]


def test_any_name_may_be_in_a_description() -> None:
    assert put("a", description="odd\udcff\n\x1b[31m" + 1000 * "x")
    (entry,) = cache.entries()
    assert entry.description.startswith(r"odd\udcff\n\x1b[31mxxx")
    assert len(entry.description) <= 300


@pytest.mark.parametrize("seconds", [-(10.0**9), 2.0**40])
def test_odd_times_are_only_odd(seconds: float) -> None:
    assert put("a")
    with suppress(OverflowError):
        os.utime(cache.folder() / "kind" / cache.key("a"), (seconds, seconds))
    (entry,) = cache.entries()
    assert entry.used.year >= 1970


def test_clear_removes_entries_and_remains_but_not_what_is_being_written(empty_cache: Path) -> None:
    assert put("a") and put("b")
    with cache.writing("kind", cache.key("c"), "in the making", 10) as folder:
        assert folder is not None
        left = empty_cache / ".partial-10-01234567"
        left.mkdir()
        (left / "data").write_bytes(bytes(7 * KIB))
        assert cache.clear() == (2, 207 * KIB)
        assert hidden() == [folder]
    assert [entry.key for entry in cache.entries()] == [cache.key("c")]


def test_clearing_what_is_not_there(empty_cache: Path) -> None:
    assert cache.clear() == (0, 0)
    assert not list(empty_cache.iterdir())
    empty_cache.rmdir()
    assert cache.clear() == (0, 0)
    assert cache.entries() == []
    assert not empty_cache.exists()


def test_a_busy_cache_costs_only_the_entry(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert put("kept")
    monkeypatch.setattr(cache._lock, "__defaults__", (0.1,))
    with cache._lock(empty_cache):
        assert not put("a")
        assert "nothing can be written to the cache" in caplog.text
        with pytest.raises(TimeoutError):
            cache.clear()
    with cache.writing("kind", cache.key("a"), "late", 10) as folder:
        assert folder is not None
        (folder / "data").write_bytes(bytes(10))
        busy = cache._lock(empty_cache)
        busy.acquire()
    busy.release()
    assert "could not be put into the cache" in caplog.text
    assert [entry.key for entry in cache.entries()] == [cache.key("kept")] and not hidden()


def test_where_files_cannot_be_locked_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    assert put("a")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert not put("b")
    assert cache.find("kind", cache.key("a")) is not None
    assert "No locks available" in caplog.text


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_costs_only_the_entry(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TL_TUI_CACHE", str(tmp_path / place))
    assert not put("a")
    assert cache.find("kind", cache.key("a")) is None


def test_a_folder_that_can_only_be_read_is_read(empty_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mounted(empty_cache, "size=4m"):
        assert put("a", 10)
        remount(empty_cache, "ro")
        assert cache.find("kind", cache.key("a")) is not None
        assert not put("b", 10)
        assert "Read-only file system" in caplog.text
        with pytest.raises(OSError, match="Read-only"):
            cache.clear()
        assert [entry.key for entry in cache.entries()] == [cache.key("a")]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root, who may read and write everywhere, is nobody meanwhile."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_closed_folder_costs_only_the_entry(empty_cache: Path) -> None:
    assert put("a", 10)
    empty_cache.chmod(0)
    try:
        with unprivileged():
            assert cache.find("kind", cache.key("a")) is None
            assert cache.limit() == 0
            assert not put("b", 10)
            for ask in (cache.entries, cache.clear):
                with pytest.raises(PermissionError):
                    ask()
    finally:
        empty_cache.chmod(0o700)
    assert there("a") and not there("b")


def test_an_entry_of_someone_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be two people")
    with tempfile.TemporaryDirectory() as shared:  # not below pytest's own, which nobody else may enter
        Path(shared).chmod(0o1777)
        monkeypatch.setenv("TL_TUI_CACHE", shared)
        assert put("a", 10)
        (Path(shared) / cache.LOCK).chmod(0o666)
        with unprivileged():
            assert cache.find("kind", cache.key("a")) is None
            assert cache.entries() == []
            assert not put("a", 10)
            assert cache.clear() == (0, 0)
            assert not hidden()
        assert [entry.key for entry in cache.entries()] == [cache.key("a")]


def test_a_full_disk_costs_only_the_entry(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limit(monkeypatch, 2**30)
    with mounted(empty_cache, "size=1m"):
        assert put("a", 300 * KIB)
        assert not put("b", 2 * MIB), "more than the disk has"
        went_on = False
        with cache.writing("kind", cache.key("b"), "too large", 10) as folder:
            assert folder is not None
            (folder / "data").write_bytes(bytes(2 * MIB))
            went_on = True
        assert not went_on
        assert "No space left" in caplog.text
        assert not hidden() and there("a") and not there("b")
        assert put("c", 500 * KIB), "what was half written takes no room"


def test_an_array_on_a_full_disk_is_dropped(empty_cache: Path) -> None:
    with mounted(empty_cache, "size=1m"):
        with suppress(OSError), cache.writing("kind", cache.key("a"), "too large", 10) as folder:
            assert folder is not None
            np.save(folder / "data.npy", np.zeros(2 * MIB, np.uint8))
        assert cache.entries() == [] and not hidden()
        assert put("b", 100 * KIB)
