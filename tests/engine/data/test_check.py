"""Is the data sound? Planted copies and shared groups are found, each by the number that was planted."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from engine.data import near
from engine.data.check import DataReport, check, quick_check
from engine.data.dataset import Sample, leak, summary
from engine.data.discover import discover
from engine.data.duplicates import Copy, _most_telling
from engine.data.findings import Finding, findings
from engine.data.leaks import is_far_above
from engine.data.looks import Hashes, hashes, look
from engine.data.phantom import mass, view
from engine.errors import DataError
from engine.logs.events import Leak
from engine.progress import WorkDone
from engine.specs.spec import DataSource
from tests.engine.work import result


def picture(seed: int) -> Image.Image:
    """A picture unlike that of any other seed, with structure at every scale."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(view(mass(("benign", "malignant")[seed % 2], rng), rng))


def save(image: Image.Image, path: Path, **options: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def checked(source: DataSource) -> DataReport:
    report, said = result(check(discover(source), source))
    assert all(isinstance(one, WorkDone) for one in said)
    return report


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 different pictures of two classes in train and 6 in val."""
    root = tmp_path_factory.mktemp("clean")
    for number in range(18):
        save(picture(number), root / ("train" if number < 12 else "val") / "ab"[number % 2] / f"{number:02}.png")
    return root


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "data"))


def test_different_pictures_are_different(clean: Path) -> None:
    report = checked(DataSource(str(clean)))
    assert report.duplicates is not None
    assert (report.duplicates.exact, report.duplicates.near, report.duplicates.val_copies) == ((), (), 0)
    assert report.images is not None
    assert report.images.read == 18
    assert report.images.smallest == report.images.largest == (128, 128)
    assert report.images.grey == {"a": (9, 9), "b": (9, 9)}
    assert [one.level for one in findings(report, DataSource(str(clean)))] == ["note"]


def test_of_all_copies_the_two_that_differ_most_are_told() -> None:
    one, other, far = Copy("/x", "train", "a"), Copy("/z", "train", "a"), Copy("/y", "val", "b")
    assert _most_telling([one, far], [other]) == (far, other)
    assert _most_telling([one], [other, far]) == (one, far)


def test_the_same_bytes_are_found_within_and_across_parts(data: Path) -> None:
    shutil.copy(data / "train/a/00.png", data / "val/a/copy.png")
    shutil.copy(data / "train/a/00.png", data / "train/a/copy.png")
    shutil.copy(data / "train/a/02.png", data / "val/b/wrong.png")
    shutil.copy(data / "val/b/13.png", data / "val/b/copy.png")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None
    pairs = [(Path(one.first.path).name, Path(one.second.path).name, one.across, one.conflict) for one in found.exact]
    assert pairs == [
        ("02.png", "wrong.png", True, True),
        ("00.png", "copy.png", True, False),
        ("00.png", "copy.png", False, False),
        ("13.png", "copy.png", False, False),
    ]
    assert (found.val_copies, found.conflicts, found.across, found.near) == (2, 1, 2, ())


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: image.resize((70, 91)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "cropped": lambda image: image.crop((2, 2, image.width - 2, image.height - 2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nearly_the_same_is_found(data: Path, change: str) -> None:
    for number in (0, 2, 4):
        save(CHANGES[change](picture(number)), data / f"val/a/changed{number}.png")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None
    pairs = {(Path(one.first.path).name, Path(one.second.path).name) for one in found.near}
    assert pairs == {(f"0{number}.png", f"changed{number}.png") for number in (0, 2, 4)}
    assert (found.val_copies, found.val_alike, found.exact) == (0, 3, ())
    assert not any(one.conflict for one in found.near)


def test_equal_pixels_of_other_bytes_are_the_same_image(data: Path) -> None:
    save(picture(0).convert("RGB"), data / "val/a/coloured.png")
    shutil.copy(data / "val/a/coloured.png", data / "val/b/coloured2.png")
    pixels = np.array(picture(2))
    pixels[64, 64] ^= 1  # too little for a hash or a tiny picture
    save(Image.fromarray(pixels), data / "val/a/changed.png")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None
    exact = {(Path(one.first.path).name, Path(one.second.path).name) for one in found.exact}
    assert exact == {("00.png", "coloured.png"), ("00.png", "coloured2.png")}
    (pair,) = found.near
    assert (Path(pair.second.path).name, pair.bits) == ("changed.png", 0)
    assert (found.val_copies, found.val_alike, found.conflicts, found.doubtful) == (2, 1, 1, 0)


def test_what_only_looks_alike_is_no_alarm(data: Path) -> None:
    save(CHANGES["darker"](picture(0)), data / "val/b/darker.png")
    save(CHANGES["darker"](picture(2)), data / "test/a/darker.png")
    report = checked(DataSource(str(data)))
    found = [one for one in findings(report, DataSource(str(data))) if "groups" not in one.text]
    assert [(one.level, one.text) for one in found] == [
        ("warning", "1 of 7 validation images looks like one in training."),
        ("warning", "1 test image looks like one in training or validation."),
        ("warning", "1 near-duplicate pair has two different labels."),
    ]
    assert all("compare them" in one.advice for one in found)


def drawn(number: int) -> Image.Image:
    """A disc or a square of a random colour, size and place on a plain, noisy ground."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", (160, 160), tuple(rng.integers(150, 255, 3).tolist()))
    (x, y), size = rng.integers(40, 110, 2).tolist(), int(rng.integers(15, 32))
    draw = ImageDraw.Draw(image)
    shape = draw.ellipse if number % 2 else draw.rectangle
    shape((x - size, y - size, x + size, y + size), fill=tuple(rng.integers(0, 200, 3).tolist()))
    noisy = np.asarray(image, np.int16) + rng.integers(-25, 25, (160, 160, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def test_simple_images_of_other_colours_do_not_look_alike_and_their_copies_do(tmp_path: Path) -> None:
    many, copied = 240, 24
    images = [drawn(number) for number in range(many)]
    changes = [*CHANGES.values(), lambda image: image.convert("L")]
    images += [changes[number % len(changes)](images[number]) for number in range(copied)]
    for number, image in enumerate(images):
        save(image, tmp_path / f"{number}.png")
    seen = hashes([look(str(tmp_path / f"{number}.png")) for number in range(len(images))])
    pairs = {(one, other) for one, other in searched(seen).pairs.tolist()}
    copies = {(number, many + number) for number in range(copied)}
    assert len(copies - pairs) <= 1
    assert sum(other < many for _, other in pairs) <= 8, "102 by their hashes alone"


def test_plain_images_of_other_colours_do_not_look_alike(tmp_path: Path) -> None:
    for number, colour in enumerate(("red", "blue", "red", "#0000fe", "black", "white", "black")):
        save(Image.new("RGB", (40, 40 + number), colour), tmp_path / f"{number}.png")
    seen = hashes([look(str(tmp_path / f"{number}.png")) for number in range(7)])
    assert searched(seen).pairs.tolist() == [[0, 2], [1, 3], [4, 6]]


def test_a_pair_with_two_labels_is_not_called_harmless(data: Path) -> None:
    save(picture(1), data / "train/a/again.png")
    report = checked(DataSource(str(data)))
    assert report.duplicates is not None
    (pair,) = report.duplicates.exact
    assert pair.conflict and not pair.across
    assert not any("within one part" in one.text for one in findings(report, DataSource(str(data))))


def test_saved_as_jpeg_is_found(data: Path) -> None:
    save(picture(1), data / "val/a/again.jpg", quality=30)
    report = checked(DataSource(str(data)))
    assert report.duplicates is not None
    (pair,) = report.duplicates.near
    assert (Path(pair.second.path).name, pair.across, pair.conflict) == ("again.jpg", True, True)


def test_of_more_pairs_than_are_collected_it_says_at_least(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        save(CHANGES["brighter"](picture(number)), data / f"val/a/again{number}.png")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None and found.all and near.LEAST <= found.within <= near.FINE_WITHIN
    monkeypatch.setattr(near, "MOST_PAIRS", 2)
    report = checked(DataSource(str(data)))
    assert report.duplicates is not None and not report.duplicates.all and len(report.duplicates.near) == 2
    texts = [one.text for one in findings(report, DataSource(str(data))) if one.level == "warning"]
    assert texts[0].startswith("At least 2 of 10 validation images look like one in training")


def test_copies_of_what_is_nearly_the_same_count_too(data: Path) -> None:
    save(picture(0), data / "val/a/near.jpg", quality=50)
    shutil.copy(data / "val/a/near.jpg", data / "val/b/near2.jpg")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None
    assert (len(found.exact), len(found.near), found.val_copies, found.val_alike) == (1, 1, 0, 2)


def test_a_test_part_is_compared_with_both_others(data: Path) -> None:
    for number, name in ((20, "20.png"), (0, "train.png"), (12, "val.png")):
        save(picture(number), data / f"test/a/{name}")
    found = checked(DataSource(str(data))).duplicates
    assert found is not None
    assert (found.val_copies, found.test_copies) == (0, 2)


def test_unreadable_files_are_named(data: Path) -> None:
    (data / "val/a/broken.png").write_bytes(b"no image")
    report = checked(DataSource(str(data)))
    assert report.images is not None
    (one,) = report.images.unreadable
    assert (Path(one.path).name, one.reason) == ("broken.png", "not an image format that can be read")
    assert any(
        "1 image left out, and not counted here: unreadable" in found.text
        for found in findings(report, DataSource(str(data)))
    )
    quick = quick_check(discover(DataSource(str(data))), DataSource(str(data)))
    assert report.counts["val"]["a"] == quick.counts["val"]["a"] - 1, "as in training: it is not counted"


def test_nothing_readable(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for label in "ab":
            save(picture(0), path := tmp_path / part / label / "x.png")
            path.write_bytes(b"")
    report = checked(DataSource(str(tmp_path)))
    assert report.images is not None
    assert (report.images.read, len(report.images.unreadable)) == (0, 4)


def test_grey_that_gives_the_class_away(data: Path) -> None:
    for path in data.glob("*/b/*.png"):
        Image.merge("RGB", (Image.open(path), *[Image.new("L", (128, 128), 90)] * 2)).save(path)
    report = checked(DataSource(str(data)))
    assert any("Grey images by class: a 100.0 %, b 0.0 %." in one.text for one in findings(report, DataSource()))


def test_a_second_check_opens_no_image(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked(DataSource(str(data)))
    monkeypatch.setattr("engine.data.looks.look", lambda _: pytest.fail("an image was opened"))
    assert checked(DataSource(str(data))) == first


def test_a_quick_check_opens_no_image(tmp_path: Path) -> None:
    for number in range(40):
        path = (
            tmp_path / ("train", "val")[number % 4 // 3] / "ab"[number // 4 % 2] / f"case{number // 4}_{number % 4}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    source = DataSource(str(tmp_path))
    report = quick_check(discover(source), source)
    assert (report.duplicates, report.images, report.groups) == (None, None, "")
    assert report.proposal is not None
    assert report.proposal.groups == 10
    assert report.leak == Leak(1.0, 0.5, 10, 10, 10)
    (found, *_) = findings(report, source)
    assert found.level == "warning"
    assert found.text.startswith("If the names mean what they suggest, 10 groups are in both training and validation")
    assert found.advice == r"split by group: --group-pattern 'case(\d+)' --split grouped"


def samples(*images: tuple[int, str]) -> list[Sample]:
    return [Sample(f"/{number}.png", label, group) for number, (label, group) in enumerate(images)]


def test_the_baseline_without_pixels() -> None:
    train = samples((0, "p"), (0, "p"), (1, "p"), (1, "q"), (1, "q"), (0, "r"), (1, "r"), (1, ""), (1, "s"))
    # p says 0, q says 1, r is a tie, so the first class; unknown groups and none: the commonest of training, 1
    val = samples((0, "p"), (1, "p"), (1, "q"), (1, "r"), (0, "r"), (1, "new"), (0, ""), (0, "new"))
    assert leak(train, val) == Leak(no_pixels=4 / 8, majority=4 / 8, shared=5, images=8, groups=3)


@pytest.mark.parametrize(
    ("no_pixels", "majority", "images", "far"),
    [(0.6, 0.5, 1000, True), (0.54, 0.5, 10_000, False), (0.6, 0.5, 40, False), (0.9, 0.5, 40, True), (0, 0, 0, False)],
)
def test_far_above(no_pixels: float, majority: float, images: int, far: bool) -> None:
    assert is_far_above(Leak(no_pixels, majority, 1, images)) is far


def test_shared_groups_are_counted_and_mended(data: Path) -> None:
    source = DataSource(str(data), group_pattern=r"(\d)\.png")  # the last digit: 0 … 9, every class with five
    dataset = discover(source)
    report = quick_check(dataset, source)
    assert report.leak == summary(dataset).leak == Leak(1.0, 0.5, 6, 6, 6)
    (first, *_) = findings(report, source)
    assert (first.level, first.advice) == (
        "alarm",
        r"split by group: --group-pattern '(\d)\.png' --split grouped",
    )
    mended = DataSource(str(data), group_pattern=r"(\d)\.png", split="grouped")
    report = quick_check(discover(mended), mended)
    assert report.leak is not None
    assert (report.leak.shared, report.leak.no_pixels) == (0, 0.5)
    assert findings(report, mended) == ()


def test_named_groups_in_two_parts_are_an_alarm_whatever_they_tell(data: Path) -> None:
    files = sorted(data.rglob("*.png"))
    rows = [f"{path},{path.parent.name},{path.parts[-3]},p{number // 2 % 2}" for number, path in enumerate(files)]
    for label in "ab":
        save(picture(90 + ord(label)), data / f"c{label}.png")
        rows.append(f"c{label}.png,{label},test,p0")
    (data / "list.csv").write_text("\n".join(("path,label,split,patient", *rows)), encoding="utf-8")
    source = DataSource(str(data / "list.csv"), group="patient")
    report = quick_check(discover(source), source)
    assert report.leak is not None and report.test_leak is not None
    assert report.leak.shared == 6 and report.test_leak.shared == 2
    told = summary(discover(source))
    assert (told.leak, told.test_leak) == (report.leak, report.test_leak), "the verdict is told what the check is"
    assert not is_far_above(report.leak) and not is_far_above(report.test_leak)
    found = [one for one in findings(report, source) if "share" in one.text or "groups are in both" in one.text]
    assert [one.level for one in found] == ["alarm", "alarm"]
    assert "These groups reveal little about the labels" in found[0].text
    assert "rewards" not in found[0].text
    assert found[1].text == "2 of 2 test images share a group with training or validation: p0."
    assert "move the images of each group into one part" in found[1].advice
    assert found[1].advice.endswith("by group: --group patient --test-fraction 0.2")
    # what the advice says mends it: the test images to training, and (of three patients) a test set apart here
    kept = "\n".join(("path,label,split,patient", *(row.replace(",test,", ",train,") for row in rows)))
    (data / "list.csv").write_text(kept.replace(",p0", ",p5", 3), encoding="utf-8")
    mended = DataSource(str(data / "list.csv"), group="patient", test_fraction=0.2)
    report = quick_check(discover(mended), mended)
    assert report.counts["test"] and report.test_groups == ()
    assert not any("test images share" in one.text for one in findings(report, mended))


def test_a_test_set_apart_here_is_mended_by_naming_the_groups(tmp_path: Path) -> None:
    for number in range(40):
        patient, label = number // 4, "ab"[number % 2]
        save(picture(number), tmp_path / label / f"patient-{patient}-{number}.png")
    source = DataSource(str(tmp_path), test_fraction=0.2)
    report = quick_check(discover(source), source)
    assert report.proposal is not None and report.test_leak is not None and report.test_leak.shared
    (said,) = [one for one in findings(report, source) if "test images share" in one.text]
    options = shlex.join(["--group-pattern", report.proposal.pattern])
    assert said.level == "warning"
    assert said.advice == f"name the groups, and the test set is held out by group: {options}"
    named = DataSource(str(tmp_path), test_fraction=0.2, group_pattern=report.proposal.pattern)
    mended = quick_check(discover(named), named)
    assert mended.test_leak is not None and (mended.test_leak.shared, mended.test_groups) == (0, ())


def test_uneven_classes() -> None:
    counts = {"train": {"a": 100, "b": 5}, "val": {"a": 1, "b": 1}}
    report = DataReport("x", "/x", "/x", counts, "", "pattern", Leak(0.5, 0.5, 0, 2), None, None, ())
    assert findings(report, DataSource()) == (
        Finding(
            "warning",
            "Class a has 20 times as many training images as b (100 and 5).",
            "look at balanced accuracy and each class's recall rather than at accuracy; a strategy's class_weights = "
            "'balanced' makes every class count equally",
            "20 times as many a as b\nclass weights can balance them",
        ),
    )


def searched(hashes: Hashes) -> near.NearPairs:
    return result(near.near_pairs(hashes))[0]


def without_looks(coarse: np.ndarray, fine: np.ndarray) -> Hashes:
    """Hashes of pictures that agree in all but these."""
    return Hashes(coarse, fine, np.zeros((len(coarse), 64, 3), np.uint8), np.zeros(len(coarse), np.bool_))


def flipped(hashes: Hashes, rng: np.random.Generator, count: int) -> Hashes:
    """The hashes with ``count`` bits of the coarse and twice as many of the fine ones turned over."""
    coarse, fine = hashes.coarse.copy(), hashes.fine.copy()
    for row in range(len(coarse)):
        for bit in rng.choice(64, count, replace=False):
            coarse[row] ^= np.uint64(1 << int(bit))
        for bit in rng.choice(256, 2 * count, replace=False):
            fine[row, bit // 64] ^= np.uint64(1 << int(bit % 64))
    return without_looks(coarse, fine)


def test_the_search_finds_every_pair_within_reach_and_no_other() -> None:
    rng = np.random.default_rng(0)
    base = without_looks(rng.integers(0, 2**64, 60, np.uint64), rng.integers(0, 2**64, (60, 4), np.uint64))
    for count in range(0, 20, 3):
        changed = flipped(base, rng, count)
        found = searched(Hashes(*(np.concatenate(pair) for pair in zip(base, changed, strict=True))))
        wanted = [[one, one + 60] for one in range(60)] if count <= near.COARSE_WITHIN else []
        assert found.pairs.tolist() == wanted, count
        assert found.all
        assert set(found.bits.tolist()) <= {2 * count}


def test_where_all_images_are_alike_nearly_the_same_means_more() -> None:
    rng = np.random.default_rng(0)

    def alike(share: float) -> np.ndarray:  # 300 hashes that differ from one by so many bits
        bits = rng.random((300, 256)) < share
        return np.packbits(bits, axis=1).view(np.uint64)

    assert near.reach(alike(0.5)) == near.FINE_WITHIN
    assert 20 <= near.reach(alike(0.2)) < 50
    assert near.reach(alike(0.05)) == near.LEAST
    assert near.reach(alike(0.5)[:1]) == near.FINE_WITHIN


def test_images_of_one_hash_are_paired_with_the_first_alone() -> None:
    found = searched(without_looks(np.zeros(50, np.uint64), np.zeros((50, 4), np.uint64)))
    assert found.pairs.tolist() == [[0, other] for other in range(1, 50)]
    assert set(found.bits.tolist()) == {0}


def test_more_pairs_than_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "MOST_PAIRS", 30)
    fine = np.zeros((20, 4), np.uint64)
    fine[:, 0] = np.arange(20)
    monkeypatch.setattr(near, "LEAST", 256)
    found = searched(without_looks(np.zeros(20, np.uint64), fine))
    assert not found.all
    assert len(found.pairs) == 30


def test_an_image_turned_by_its_metadata_looks_as_it_is_shown(tmp_path: Path) -> None:
    image = picture(3).convert("RGB").crop((0, 0, 128, 96))
    save(image, tmp_path / "upright.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    upright, turned = look(str(tmp_path / "upright.jpg")), look(str(tmp_path / "turned.jpg"))
    assert (turned.width, turned.height) == (128, 96)
    differing = np.bitwise_count(np.frombuffer(upright.fine, np.uint8) ^ np.frombuffer(turned.fine, np.uint8)).sum()
    assert differing < near.FINE_WITHIN


def test_closing_it_ends_its_threads(data: Path) -> None:
    source = DataSource(str(data))
    work = check(discover(source), source)
    assert [next(work).detail for _ in range(3)] == ["reading files"] * 3
    work.close()
    with pytest.raises(StopIteration):
        next(work)


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        checked(DataSource(str(tmp_path / "gone")))
