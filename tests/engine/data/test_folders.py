import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine.data.dataset import DataSet, summary
from engine.data.discover import discover
from engine.data.folders import images_at, labels_at
from engine.errors import DataError
from engine.specs.spec import DataSource

SHARED = Path(__file__).parents[4] / "shared" / "data" / "hymenoptera_data"


def touch(root: Path, *names: str) -> Path:
    """Files of these names; discovery looks at names alone."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def found(root: Path, **values: object) -> DataSet:
    return discover(DataSource(str(root), **values))  # type: ignore[arg-type]


def relative(dataset: DataSet, samples: Iterable[object]) -> list[str]:
    return [str(Path(sample.path).relative_to(dataset.path)) for sample in samples]  # type: ignore[attr-defined]


def error_of(root: Path, **values: object) -> str:
    with pytest.raises(DataError) as caught:
        found(root, **values)
    message = str(caught.value)
    assert "\n" not in message
    return message


BASE = ("train/b/1.jpg", "train/b/2.JPG", "train/a/1.png", "val/a/1.webp", "val/b/1.tiff")


def test_train_and_val_folders(tmp_path: Path) -> None:
    dataset = found(touch(tmp_path / "insects", *BASE))
    assert (dataset.name, dataset.path, dataset.kind) == ("insects", str(tmp_path / "insects"), "folders")
    assert dataset.classes == ("a", "b")
    assert relative(dataset, dataset.train) == ["train/a/1.png", "train/b/1.jpg", "train/b/2.JPG"]
    assert [sample.label for sample in dataset.train] == [0, 1, 1]
    assert relative(dataset, dataset.val) == ["val/a/1.webp", "val/b/1.tiff"]
    assert dataset.split == "given: folders train and val"
    assert dataset.warnings == ()
    facts = summary(dataset)
    assert (facts.train, facts.val) == ({"a": 1, "b": 2}, {"a": 1, "b": 1})


@pytest.mark.parametrize("name", ["val", "valid", "validation", "test", "Validation", "Testing"])
def test_other_names_of_the_validation_folder(tmp_path: Path, name: str) -> None:
    dataset = found(touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", f"{name}/a/1.jpg", f"{name}/b/1.jpg"))
    assert relative(dataset, dataset.val) == [f"{name}/a/1.jpg", f"{name}/b/1.jpg"]
    assert name in dataset.split


def test_val_goes_before_test_and_what_is_not_used_is_said(tmp_path: Path) -> None:
    dataset = found(touch(tmp_path, *BASE, "test/a/1.jpg", "extra/x.jpg"))
    assert all("/val/" in sample.path for sample in dataset.val)
    assert relative(dataset, dataset.test) == ["test/a/1.jpg"]
    assert dataset.split == "given: folders train and val and test"
    assert "not used beside train, val, test: extra" in dataset.warnings[0]


@pytest.mark.parametrize("name", ["test/1.jpg", "test/c/1.jpg", "test/notes.txt"])
def test_a_test_folder_without_labels_that_are_known_is_no_test_part(tmp_path: Path, name: str) -> None:
    dataset = found(touch(tmp_path, *BASE, name))
    assert dataset.test == ()
    assert any("no test part" in warning for warning in dataset.warnings)


def test_a_train_folder_alone_is_split_here(tmp_path: Path) -> None:
    names = [f"train/{label}/{number}.jpg" for label in "ab" for number in range(5)]
    dataset = found(touch(tmp_path, *names))
    assert (len(dataset.train), len(dataset.val)) == (8, 2)
    assert dataset.split == "split here: 20 % of each class for validation, seed 0"


def test_class_folders_are_split_by_class_and_seed(tmp_path: Path) -> None:
    names = [f"{label}/{number}.jpg" for label, count in (("a", 20), ("b", 10), ("c", 2)) for number in range(count)]
    touch(tmp_path, *names)
    dataset = found(tmp_path)
    assert summary(dataset).val == {"a": 4, "b": 2, "c": 1}
    everything = {sample.path for sample in (*dataset.train, *dataset.val)}
    assert len(everything) == len(dataset.train) + len(dataset.val) == 32
    assert found(tmp_path) == dataset
    other = found(tmp_path, split_seed=1)
    assert summary(other).val == summary(dataset).val
    assert other.val != dataset.val
    assert "seed 1" in other.split
    assert summary(found(tmp_path, val_fraction=0.9)).train == {"a": 2, "b": 1, "c": 1}


def test_the_split_does_not_depend_on_where_the_folder_is(tmp_path: Path) -> None:
    names = [f"{label}/{number}.jpg" for label in "ab" for number in range(9)]
    one, two = (found(touch(tmp_path / place, *names)) for place in ("one", "deep/two"))
    assert relative(one, one.val) == relative(two, two.val)


def test_what_is_no_image_is_left_out(tmp_path: Path) -> None:
    touch(
        tmp_path, *BASE, "train/a/none.gif", "train/a/README", "train/a/jpg", "train/a/.hidden.jpg", "train/.git/x.jpg"
    )
    touch(tmp_path, "__MACOSX/train/a/1.jpg", "notes.txt")
    dataset = found(tmp_path)
    assert len(dataset.train) == 3
    (warning,) = dataset.warnings
    assert "3 left out (not an image by its name): a/README, a/jpg, a/none.gif" in warning


@pytest.mark.parametrize("to", ["data", "data/train", "data/train/b"])
def test_a_link_to_where_other_classes_are_is_not_followed(tmp_path: Path, to: str) -> None:
    touch(tmp_path / "data", "train/a/1.png", "train/a/2.png", "train/b/3.png", "train/b/4.png")
    (tmp_path / "data/train/a/all").symlink_to(tmp_path / to)
    dataset = found(tmp_path / "data")
    assert [one.label for one in (*dataset.train, *dataset.val)].count(0) == 2
    assert any("1 left out (a link to a folder of other classes): a/all" in text for text in dataset.warnings)


def test_a_link_that_leads_to_itself_costs_only_itself(tmp_path: Path) -> None:
    touch(tmp_path / "data", "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    for name in ("a/5.png", "a/x", "c"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "data" / name)
    dataset = found(tmp_path / "data")
    assert dataset.classes == ("a", "b")
    names = {Path(one.path).name for one in (*dataset.train, *dataset.val)}
    assert names == {"1.png", "2.png", "3.png", "4.png", "5.png"}, "decoding says that it leads nowhere"


def test_folders_inside_a_class_count_and_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "data", *BASE, "train/a/deep/er/9.jpg")
    touch(tmp_path / "elsewhere", "8.jpg")
    (tmp_path / "data/train/a/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/train/a/round").symlink_to(tmp_path / "data/train/a")
    (tmp_path / "data/train/a/gone.jpg").symlink_to(tmp_path / "nowhere")
    dataset = found(tmp_path / "data")
    of_a = [path for path in relative(dataset, dataset.train) if "/a/" in path]
    assert of_a == ["train/a/1.png", "train/a/deep/er/9.jpg", "train/a/gone.jpg", "train/a/link/8.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_called_like_an_image_is_never_opened(tmp_path: Path) -> None:
    touch(tmp_path, *BASE)
    os.mkfifo(tmp_path / "train/a/pipe.jpg")
    assert len(found(tmp_path).train) == 3


def test_an_empty_class_folder_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, *BASE)
    (tmp_path / "train/c").mkdir()
    dataset = found(tmp_path)
    assert dataset.classes == ("a", "b")
    assert "no images in c" in dataset.warnings[0]


def test_a_class_without_validation_images_is_a_warning(tmp_path: Path) -> None:
    dataset = found(touch(tmp_path, *BASE, "train/c/1.jpg"))
    assert "no validation image of c" in dataset.warnings[0]
    assert summary(dataset).val["c"] == 0


def test_labels_that_are_made_of_others_are_a_warning(tmp_path: Path) -> None:
    dataset = found(touch(tmp_path, *(f"train/{name}/1.jpg" for name in ("a", "b", "a|b", "a&c")), *BASE))
    assert [warning for warning in dataset.warnings if "of its own" in warning] == [
        f"{tmp_path}: a|b: each taken for a class of its own, not for several labels"
    ]


def test_train_and_valid_can_be_classes(tmp_path: Path) -> None:
    vehicles = touch(tmp_path / "vehicles", *(f"{name}/{n}.jpg" for name in ("bus", "train") for n in range(2)))
    assert found(vehicles).classes == ("bus", "train")
    stamps = touch(tmp_path / "stamps", *(f"{name}/{n}.jpg" for name in ("invalid", "valid") for n in range(2)))
    assert found(stamps).classes == ("invalid", "valid")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1.jpg"], "has images but no class folders"),
        (["notes.txt"], "no class folders in it"),
        (["a/1.txt", "b/1.gif"], "no images in its 2 folders (files of other kinds: 2)"),
        (["a/1.jpg", "a/2.jpg"], "only one class (a); at least 2 are needed"),
        (["data/a/1.jpg", "data/b/1.jpg"], "did you mean"),
        ([*BASE, "val/c/1.jpg"], "validation has classes that training lacks: c"),
        (["a/1.jpg", "a/2.jpg", "b/1.jpg"], "class b has 1 image"),
        (["train/1.jpg", "val/1.jpg"], "train: has images but no class folders"),
        (["val/a/1.jpg", "val/b/1.jpg"], "has val with class folders, but no folder train"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/1.jpg"], "val: has images but no class folders"),
    ],
)
def test_unusable_folders_say_what_and_where(tmp_path: Path, names: list[str], expected: str) -> None:
    message = error_of(touch(tmp_path, *names))
    assert str(tmp_path) in message
    assert expected in message


def test_what_was_meant_by_a_path_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = touch(tmp_path / "photographs", "a/1.jpg")
    assert error_of(tmp_path / "photograph").endswith("photograph: no such file or folder; did you mean photographs?")
    assert error_of(tmp_path / "x" / "photographs").endswith("no such file or folder"), "its folder is not there either"
    monkeypatch.chdir(tmp_path)
    without_slash = Path(str(root).removeprefix("/"))
    assert error_of(without_slash).endswith(f"no such file or folder; did you mean {root}?")


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    assert error_of(tmp_path / "no\x1bwhere") == f"{tmp_path}/no\\x1bwhere: no such file or folder"
    assert "unpack it first" in error_of(touch(tmp_path, "data.zip") / "data.zip")
    assert "is an image; give the folder" in error_of(touch(tmp_path, "x.JPG") / "x.JPG")
    with pytest.raises(DataError, match="empty"):
        discover(DataSource(" "))
    with pytest.raises(DataError, match="nobody"):
        discover(DataSource("~nobody-of-this-name/x"))
    with pytest.raises(DataError):
        discover(DataSource("a\0b"))


def test_csv_options_do_not_go_with_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, *BASE)
    assert "validation and images can only be named with a CSV file" in error_of(
        tmp_path, validation="v.csv", images="."
    )


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names there are always Unicode")
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    touch(tmp_path, *BASE)
    os.close(os.open(bytes(tmp_path / "train/a") + b"/\xff.jpg", os.O_CREAT | os.O_WRONLY))
    dataset = found(tmp_path)
    assert len(dataset.train) == 3
    assert "the name is not valid UTF-8" in dataset.warnings[0]
    assert "\\udcff" in dataset.warnings[0]
    os.rename(bytes(tmp_path / "train/a"), bytes(tmp_path / "train") + b"/\xfe")  # noqa: PTH104
    assert "is not valid UTF-8; rename it" in error_of(tmp_path)


def test_class_names_keep_what_they_are_but_messages_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "x\ny/1.jpg", "b/1.jpg", "b/2.jpg")
    assert "class x\\ny has 1 image" in error_of(tmp_path)
    assert found(touch(tmp_path, "x\ny/2.jpg")).classes == ("b", "x\ny")


def test_images_have_the_label_of_their_class_folder(tmp_path: Path) -> None:
    names = (
        "a/1.jpg",
        "a/deep/2.jpg",
        "val/b/3.jpg",
        "val/c/4.jpg",
        "c/5.jpg",
        "test/deep/6.jpg",
        "x/a/7.jpg",
        "8.jpg",
    )
    touch(tmp_path, *names)
    labels, (warning,) = labels_at(tmp_path, images_at(tmp_path), ("a", "b"))
    assert {str(Path(path).relative_to(tmp_path)): label for path, label in labels.items()} == {
        "a/1.jpg": "a", "a/deep/2.jpg": "a", "val/b/3.jpg": "b",
    }  # fmt: skip
    assert warning.endswith(": 4 images without a label, in folders that are no class: c, deep, x")
    assert {*labels_at(tmp_path, images_at(tmp_path), ("test", "a"))[0].values()} == {"test", "a"}, "a class, no part"


def test_folders_that_are_no_class_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "ants/1.jpg", "val/bees/2.jpg", "3.jpg")
    labels, (warning,) = labels_at(tmp_path, images_at(tmp_path), ("b", "a"))
    assert labels == {}
    assert warning.endswith(": its folders (ants, bees) are no class of the experiment (a, b), so nothing is scored")


@pytest.mark.parametrize("place", ["a", "a/1.jpg", "c"])
def test_without_a_class_folder_there_are_no_labels(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(touch(tmp_path, "a/1.jpg", "c/2.jpg"))
    assert labels_at(Path(place), images_at(Path(place)), ("1.jpg", "2.jpg", "c")) == ({}, ())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    touch(tmp_path, *BASE)
    (tmp_path / "train/a").chmod(0)
    try:
        assert "train/a: permission denied" in error_of(tmp_path)
    finally:
        (tmp_path / "train/a").chmod(0o700)


def test_discovery_loads_neither_torch_nor_pillow() -> None:
    code = "import sys, engine.data.discover; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "PIL", "numpy", "sklearn"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the ants and bees are not beside this checkout")
def test_ants_and_bees() -> None:
    dataset = found(SHARED)
    assert (len(dataset.train), len(dataset.val)) == (244, 153)
    assert dataset.classes == ("ants", "bees")
    assert "ants/imageNotFound.gif" in dataset.warnings[0]
