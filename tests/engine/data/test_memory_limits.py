"""How much memory images may take, as the system's own files tell."""

from pathlib import Path

import pytest

from engine.data import memory_limits
from engine.data.memory_limits import image_memory_budget
from engine.errors import DataError


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 1000 bytes to spare, and no groups."""
    monkeypatch.setattr(memory_limits.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    monkeypatch.setattr(memory_limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory_limits, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def group(folder: Path, names: memory_limits.Names, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.limit).write_text(f"{limit}\n")
    (folder / names.used).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"cache 7\n{names.cached} {cached}\n")


def test_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert image_memory_budget() == 500
    monkeypatch.setenv("TL_TUI_RAM_SHARE", "0.25")
    assert image_memory_budget() == 250


def test_images_that_are_there_already_are_a_part_of_the_share() -> None:
    assert [image_memory_budget(held) for held in (200, 600, 1000, 2000)] == [400, 200, 0, 0]


@pytest.mark.parametrize("wrong", ["much", "-1", "2", "nan"])
def test_no_share(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_RAM_SHARE", wrong)
    with pytest.raises(DataError, match="TL_TUI_RAM_SHARE"):
        image_memory_budget()


@pytest.mark.parametrize(
    ("own", "place", "names"),
    [
        ("0::/", "", memory_limits.V2),
        ("0::/job/step", "job/step", memory_limits.V2),
        ("0::/job/step", "job", memory_limits.V2),
        ("4:cpu:/a\n7:memory:/docker/x\n0::/", "memory/docker/x", memory_limits.V1),
        ("7:cpu,memory:/docker/x", "memory", memory_limits.V1),
    ],
    ids=["container", "group", "a group above it", "first version", "first version in a container"],
)
def test_the_limits_of_its_groups_count(groups: Path, own: str, place: str, names: memory_limits.Names) -> None:
    (groups / "own").write_text(own + "\n")
    group(groups / place, names, "900", used=500, cached=0)
    assert image_memory_budget() == 200
    group(groups / place, names, "900", used=500, cached=300)
    assert image_memory_budget() == 350, "what is cached of files is not in use"
    group(groups / place, names, "max", used=500, cached=300)
    assert image_memory_budget() == 500
    group(groups / place, names, "400", used=500, cached=0)
    assert image_memory_budget() == 0


def test_a_group_that_it_is_not_in_does_not_count(groups: Path) -> None:
    (groups / "own").write_text("0::/mine\n")
    group(groups / "another", memory_limits.V2, "100", used=50, cached=0)
    assert image_memory_budget() == 500
