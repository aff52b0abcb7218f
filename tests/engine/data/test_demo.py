import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

import engine.cache
from engine.data import demo
from engine.data.dataset import Sample, summary
from engine.data.demo import demo_folder, draw
from engine.data.discover import discover
from engine.data.phantom import SIDE, mass, view
from engine.errors import DataError
from engine.specs.spec import DataSource


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, elsewhere, and a demo set of few patients."""
    monkeypatch.delenv("TL_TUI_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(demo, "PATIENTS", {"train": 2, "both": 4, "val": 2})
    monkeypatch.setattr(demo, "VIEWS", 2)
    return tmp_path / "cache" / "tl-tui"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_set_that_ships() -> None:
    patients = demo._patients()
    assert len(patients) == sum(demo.PATIENTS.values()) == len({number for _, _, number in patients})
    for part, count in demo.PATIENTS.items():
        kinds = [kind for its_part, kind, _ in patients if its_part == part]
        assert kinds.count("benign") == kinds.count("malignant") == count / 2


def test_no_data_means_the_demo_set(cache: Path) -> None:
    dataset = discover(DataSource())
    assert dataset.kind == "demo"
    assert "synthetic" in dataset.name
    assert "not medical" in dataset.name
    assert dataset.path == str(cache / "demo-v2")
    assert dataset.warnings == ()
    facts = summary(dataset)
    assert facts.classes == ("benign", "malignant")
    assert (facts.train, facts.val) == ({"benign": 4, "malignant": 4}, {"benign": 4, "malignant": 4})
    assert facts.groups == r"pattern patient-(\d+): 8 groups of 16 images"
    assert "synthetic, not medical" in (cache / "demo-v2" / "README.txt").read_text(encoding="utf-8")
    with Image.open(dataset.train[0].path) as image:
        assert (image.mode, image.size) == ("L", (SIDE, SIDE))
    with pytest.raises(DataError, match="no data was named"):
        discover(DataSource(images="/x"))


def test_it_lies_in_the_cache_folder_that_was_set_and_is_no_part_of_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TL_TUI_CACHE", "elsewhere")
    monkeypatch.chdir(tmp_path)
    here = demo_folder()
    assert here == tmp_path / "elsewhere" / "demo-v2" and not cache.exists()
    drawn = contents(here)
    name = "0" * 40
    engine.cache.remember("decoded", name, "x", 10, lambda folder: (folder / "x").write_bytes(bytes(10)))
    assert [(entry.key, entry.bytes) for entry in engine.cache.entries()] == [(name, 10)]
    monkeypatch.setenv("TL_TUI_CACHE_GIB", str(15 / 2**30))  # one of ten bytes makes room for the next
    engine.cache.remember("decoded", "1" * 40, "x", 10, lambda folder: (folder / "x").write_bytes(bytes(10)))
    assert [entry.key for entry in engine.cache.entries()] == ["1" * 40]
    assert engine.cache.clear() == (1, 10)
    assert contents(here) == drawn


def test_some_patients_are_in_both_parts_unless_the_split_is_grouped(cache: Path) -> None:
    number = re.compile(r"patient-(\d+)-view-\d+\.png$")

    def patients(samples: tuple[Sample, ...]) -> set[str]:
        for sample in samples:
            assert sample.group == number.search(sample.path)[1]
        return {sample.group for sample in samples}

    given, grouped = (discover(DataSource(split=split)) for split in ("given", "grouped"))
    assert patients(given.train) & patients(given.val) == {"003", "004", "005", "006"}
    assert not patients(grouped.train) & patients(grouped.val)
    assert len(grouped.train) + len(grouped.val) == 16


def test_drawn_again_it_is_the_same(cache: Path, tmp_path: Path) -> None:
    first = contents(demo_folder())
    draw(tmp_path / "again")
    assert contents(tmp_path / "again") == first


def test_what_is_whole_is_kept_and_what_is_not_is_drawn_again(cache: Path) -> None:
    before = contents(demo_folder())
    picture = next((cache / "demo-v2" / "val").rglob("*.png"))
    time = picture.stat().st_mtime_ns
    demo_folder()
    assert picture.stat().st_mtime_ns == time
    picture.unlink()
    (cache / "demo-v2.partial").mkdir()  # as a process that was killed leaves it
    assert contents(demo_folder()) == before
    assert not (cache / "demo-v2.partial").exists()


def test_two_at_once_do_not_clash(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: demo_folder(), range(4)))
    assert len(set(folders)) == 1
    assert demo._is_whole(folders[0])


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"the demo set cannot be drawn into .*demo-v2"):
        demo_folder()


def test_views_of_a_mass_differ_and_masses_stand_out() -> None:
    rng = np.random.default_rng(1)
    one = mass("malignant", rng)
    first, second = (view(one, rng).astype(int) for _ in range(2))
    assert np.abs(first - second).mean() > 5
    middle = slice(SIDE // 2 - 6, SIDE // 2 + 6)
    assert first[middle, middle].mean() > first.mean() + 20


def test_malignant_masses_have_more_and_longer_rays() -> None:
    rng = np.random.default_rng(0)
    total = {
        kind: [sum(length for _, length, _ in mass(kind, rng).spicules) for _ in range(60)]
        for kind in ("benign", "malignant")
    }
    assert np.median(total["malignant"]) > 4 * np.median(total["benign"])
    assert max(total["benign"]) > 0, "benign ones have a few, too"
