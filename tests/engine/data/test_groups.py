"""Groups from a column, from a pattern, and those that names suggest."""

from __future__ import annotations

import hashlib
import random
import uuid
from pathlib import Path

import pytest

from engine.data.dataset import DataSet, Sample
from engine.data.discover import discover
from engine.data.proposal import Proposal, propose
from engine.errors import DataError
from engine.specs.spec import DataSource

SHARED = Path(__file__).parents[4] / "shared" / "data" / "hymenoptera_data"


def touch(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


BASE = ("train/a/p1_x.png", "train/b/p2_x.png", "val/a/p1_y.png", "val/b/p2_y.png")


@pytest.mark.parametrize("pattern", [r"(p\d)_", r"/([a-z])/(?P<group>p\d)", r"(p\d)|(x)"])
def test_a_pattern_names_groups(tmp_path: Path, pattern: str) -> None:
    dataset = discover(DataSource(touch(tmp_path, *BASE), group_pattern=pattern))
    assert [sample.group for sample in (*dataset.train, *dataset.val)] == ["p1", "p2", "p1", "p2"]
    assert dataset.groups.startswith("pattern ")
    assert dataset.groups.endswith("2 groups of 4 images")


def test_a_pattern_sees_the_path_below_the_folder(tmp_path: Path) -> None:
    dataset = discover(DataSource(touch(tmp_path / "p9_data", *BASE), group_pattern=r"^(.*?)/"))
    assert {sample.group for sample in dataset.train} == {"train"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(p", "is not a regular expression: missing \\), unterminated subpattern"),
        ("p1", "has no capture group; put brackets around what names the group"),
        (r"(patient\d)", "matches none of the paths, such as train/a/p1_x.png"),
        ("()", "matches none of the paths"),
        ("(\\d)|\udcff", "is not valid UTF-8, so it cannot be saved"),
    ],
)
def test_a_pattern_that_is_wrong(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        discover(DataSource(touch(tmp_path, *BASE), group_pattern=pattern))
    assert "\n" not in str(caught.value)


def test_images_that_a_pattern_does_not_match(tmp_path: Path) -> None:
    dataset = discover(DataSource(touch(tmp_path, *BASE, "val/b/other.png"), group_pattern=r"(p\d)_"))
    assert dataset.val[1].group == ""
    assert any("1 images have no group, so each counts as its own group: other.png" in one for one in dataset.warnings)


def listed(root: Path, header: str, *lines: str) -> str:
    touch(root, *(f"{number}.png" for number in range(1, 5)))
    path = root / "list.csv"
    path.write_text("\n".join((header, *lines)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("column", ["Patient ID", "patient_id", "patient id"])
def test_a_column_names_groups(tmp_path: Path, column: str) -> None:
    lines = ("1.png,a,train,7", "2.png,b,train,8", "3.png,a,val,7", "4.png,b,val,")
    dataset = discover(DataSource(listed(tmp_path, "path,label,split,Patient ID", *lines), group=column))
    assert [sample.group for sample in (*dataset.train, *dataset.val)] == ["7", "8", "7", ""]
    assert dataset.groups == f"column {column}: 2 groups of 3 images"
    assert any("1 images have no group" in warning for warning in dataset.warnings)


def test_a_column_of_both_csv_files(tmp_path: Path) -> None:
    train = listed(tmp_path, "path,label,who", "1.png,a,7", "2.png,b,8")
    val = tmp_path / "val.csv"
    val.write_text("path,label,who\n3.png,a,7\n4.png,b,9\n", encoding="utf-8")
    dataset = discover(DataSource(train, validation=str(val), group="who"))
    assert [sample.group for sample in (*dataset.train, *dataset.val)] == ["7", "8", "7", "9"]
    val.write_text("path,label\n3.png,a\n4.png,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"val\.csv: no column who to take groups from; the columns are path, label"):
        discover(DataSource(train, validation=str(val), group="who"))


def test_a_csv_file_with_a_pattern(tmp_path: Path) -> None:
    path = listed(tmp_path, "path,label", "1.png,a", "2.png,b", "3.png,a", "4.png,b")
    dataset = discover(DataSource(path, group_pattern=r"^(\d)\.png"))
    assert {Path(sample.path).stem: sample.group for sample in (*dataset.train, *dataset.val)} == {
        number: number for number in "1234"
    }


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    folder = touch(tmp_path / "f", *BASE)
    with pytest.raises(DataError, match="group can only be named with a CSV file; name groups with group_pattern"):
        discover(DataSource(folder, group="who"))
    with pytest.raises(DataError, match="split grouped needs to know the groups; name a pattern"):
        discover(DataSource(folder, split="grouped"))
    path = listed(tmp_path, "path,label,who", "1.png,a,", "2.png,b,")
    with pytest.raises(DataError, match="column who has no groups: every cell is empty"):
        discover(DataSource(path, group="who"))
    with pytest.raises(DataError, match="name one of them"):
        discover(DataSource(path, group="who", group_pattern="(1)"))


def proposed(names: list[str]) -> Proposal | None:
    classes = sorted({name.split("/")[1] for name in names})
    samples = tuple(Sample(f"/data/{name}", classes.index(name.split("/")[1])) for name in names)
    return propose(DataSet("x", "/data", "folders", tuple(classes), samples[::2], samples[1::2], "", ()), "/data")


def shared(template: str, views: str = "123") -> list[str]:
    """Images of 20 groups, one an item of ``views``."""
    return [
        f"train/{'ab'[number % 2]}/{template.format(id=number, site=number % 5, view=view)}.jpg"
        for number in range(20)
        for view in views
    ]


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("patient-{id:03}-view-{view}", r"patient-(\d+)"),
        ("view{view}_Patient{id}", r"Patient(\d+)"),
        ("IMG_{id:04}_{view}", r"(?:^|/)(IMG_\d+)_[^/]*$"),
        ("P{id}/{view}", r"(?<![A-Za-z0-9])P(\d+)"),
        ("2024-{id}/{view}", r"^[^/]+/[^/]+/([^/]+)/"),
        ("site{site}_case{id}_slice{view}", r"(site[A-Za-z0-9]+[-_ ./]+case[A-Za-z]?\d+)"),
        ("Mass-Training_P_{id:05}_LEFT_{view}", r"(?<![A-Za-z0-9])P_(\d+)"),
        ("video_{id}_frame_{view}", r"video_(\d+)"),
        ("{id:08}_{view}", r"(?:^|/)(\d+)_[^/]*$"),
    ],
)
def test_names_that_share_an_identifier(template: str, pattern: str) -> None:
    found = proposed(shared(template))
    assert found is not None
    assert (found.pattern, found.groups, found.explained, found.images) == (pattern, 20, 60, 60)
    group, paths = found.examples[0]
    assert len(paths) == 3
    assert all(group in path for path in paths)


def test_a_letter_after_the_number() -> None:
    found = proposed([name.replace("1.", "a.").replace("2.", "b.") for name in shared("{id:03}{view}", "12")])
    assert found is not None
    assert (found.groups, found.explained) == (20, 40)


@pytest.mark.parametrize(
    "template", ["{0:04}", "img_{0:04}", "{1}.{0}", "{1}_{0:03}", "ISIC_{0:07}", "n0144076{2}_{0}", "img ({0})"]
)
def test_counters_suggest_nothing(template: str) -> None:
    assert proposed([f"train/{'ab'[n % 2]}/{template.format(n, 'ab'[n % 2], n % 2)}.jpg" for n in range(200)]) is None


def test_random_names_suggest_nothing() -> None:
    rng = random.Random(0)
    digests = [hashlib.md5(str(n).encode()).hexdigest() for n in range(500)]
    assert proposed([f"train/{'ab'[n % 2]}/{digest}.jpg" for n, digest in enumerate(digests)]) is None
    names = [f"train/{'ab'[n % 2]}/{uuid.UUID(int=rng.getrandbits(128))}.jpg" for n in range(500)]
    assert proposed(names) is None
    flickr = [f"train/{'ab'[n % 2]}/{rng.randrange(10**9)}_{digest[:10]}.jpg" for n, digest in enumerate(digests)]
    assert proposed(flickr) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the ants and bees are not beside this checkout")
def test_ants_and_bees_suggest_nothing() -> None:
    dataset = discover(DataSource(str(SHARED)))
    assert propose(dataset, dataset.path) is None


def test_a_proposal_is_never_applied(tmp_path: Path) -> None:
    dataset = discover(DataSource(touch(tmp_path, *shared("patient-{id:03}-view-{view}"))))
    assert {sample.group for sample in (*dataset.train, *dataset.val)} == {""}
    assert dataset.groups == ""
