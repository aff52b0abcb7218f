"""CSV files from strangers: paths that lead elsewhere, files that never end, hundreds of thousands of rows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.data import csv_file
from engine.data.dataset import DataSet
from engine.data.discover import discover
from engine.errors import DataError
from engine.specs.spec import DataSource
from tests.engine.hostile.bounded import MIB, rise

ROWS = ["1.jpg,cat", "2.jpg,cat", "3.jpg,dog", "4.jpg,dog"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images (empty: nothing opens them), and beside it what is none of a data set's business."""
    for name in ("data/1.jpg", "data/2.jpg", "data/3.jpg", "data/4.jpg", "data/sub/5.jpg", "secret.jpg", "data2/6.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "data"


def found(root: Path, *rows: str, header: str = "path,label", ending: str = "\n", **source: str | None) -> DataSet:
    path = root / "list.csv"
    path.write_bytes((ending.join((header, *rows)) + ending).encode())
    return discover(DataSource(path=str(path), **{"images": None, "validation": None, **source}))


def refusal(root: Path, *rows: str, header: str = "path,label", **source: str | None) -> str:
    with pytest.raises(DataError) as caught:
        found(root, *rows, header=header, **source)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) <= 2000
    return said


def names(data: DataSet) -> set[str]:
    return {Path(sample.path).name for sample in (*data.train, *data.val)}


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "../secret.jpg",
        "..\\secret.jpg",
        "sub/../../secret.jpg",
        "./.././secret.jpg",
        "sub/..",
        "../data2/6.jpg",  # a folder whose name only begins like that of the images
        "/etc/../etc/passwd",
        "//etc/passwd",
        "\\\\server\\share\\..\\..\\..\\..\\..\\..\\x.jpg",
        "data/../../secret.jpg",
        "..",
        ".",
    ],
)
def test_a_path_that_leads_out_of_the_folder_is_refused(root: Path, path: str) -> None:
    said = refusal(root, *ROWS, f"{path},cat")
    assert "line 6" in said
    assert "lies outside" in said
    is_there = os.path.lexists(os.path.normpath(root / path.replace("\\", "/")))
    assert ("'images in' in Setup, --images DIR" in said) == is_there, "and how to ask for it"
    assert ("does not exist" in said) != is_there


def test_what_does_not_exist_outside_is_not_to_be_asked_for(root: Path) -> None:
    said = refusal(root, *ROWS, f"{root.parent}/nope/x.jpg,cat")
    assert said.endswith(
        f"line 6: {root.parent}/nope/x.jpg does not exist, and lies outside {root}, the folder of images"
    )
    (root.parent / "nope").mkdir()
    (root.parent / "nope" / "x.jpg").touch()
    assert "name the folder that holds them all" in refusal(root, *ROWS, f"{root.parent}/nope/x.jpg,cat")


def test_whoever_asks_for_a_larger_folder_gets_it(root: Path) -> None:
    rows = [f"{root}/1.jpg,cat", f"{root}/2.jpg,cat", f"{root}/3.jpg,dog", f"{root.parent}/secret.jpg,dog"]
    assert "lies outside" in refusal(root, *rows)
    assert names(found(root, *rows, images=str(root.parent))) == {"1.jpg", "2.jpg", "3.jpg", "secret.jpg"}
    assert names(found(root, *rows, images="/")) == {"1.jpg", "2.jpg", "3.jpg", "secret.jpg"}
    assert names(found(root, *ROWS, "sub/../2.jpg,cat", f"{root}/sub/5.jpg,cat")) == {f"{n}.jpg" for n in range(1, 6)}


def test_odd_ways_of_writing_a_csv(root: Path) -> None:
    (root / "a, b.jpg").touch()
    (root / 'x "y".jpg').touch()
    rows = [*ROWS, '"a, b.jpg",cat', '"x ""y"".jpg",dog', '"sub/\n5.jpg",cat', "", ",", "  1.jpg  ,  cat  "]
    data = found(root, *rows, header="\ufeffpath,label", ending="\r\n")
    assert names(data) == {"1.jpg", "2.jpg", "3.jpg", "4.jpg", "a, b.jpg", 'x "y".jpg'}
    everything = "\n".join(data.warnings)
    assert "1 listed file is not in" in everything
    assert "sub/\\n5.jpg" in everything
    assert "1 image is listed more than once: 1.jpg" in everything


def test_labels_of_validation_that_training_lacks_are_named(root: Path) -> None:
    (root / "val.csv").write_text("path,label\n1.jpg,cat\n2.jpg,\x1b[31mwolf\n3.jpg,fox\n", encoding="utf-8")
    said = refusal(root, *ROWS, validation=str(root / "val.csv"))
    assert "validation has classes that training lacks: \\x1b[31mwolf, fox" in said


def test_null_characters_are_only_files_that_are_not_there(root: Path) -> None:
    data = found(root, *ROWS, "a\0b.jpg,cat", "\0/1.jpg,dog")
    assert names(data) == {"1.jpg", "2.jpg", "3.jpg", "4.jpg"}
    assert "2 listed files are not in" in data.warnings[0]
    assert data.warnings[0].isprintable()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([f"1.jpg,{'x' * 200_000}"], "field larger than field limit"),
        ([f"1.jpg,{'x,' * 600_000}"], "a line of more than 1,000,000 characters"),
        (['1.jpg,"cat', *["x" * 50] * 10_000], "not valid CSV"),
        (["x" * 3_000_000], "a line of more than 1,000,000 characters"),
    ],
    ids=["long cell", "many cells", "quote without end", "long line"],
)
def test_what_is_no_list_of_images_is_refused(root: Path, rows: list[str], expected: str) -> None:
    assert expected in refusal(root, *ROWS, *rows)


def test_a_header_without_end_is_refused(root: Path) -> None:
    assert "a line of more than 1,000,000 characters" in refusal(root, *ROWS, header="," * 3_000_000)


def test_pipes_and_devices_are_not_read(root: Path) -> None:
    os.mkfifo(root / "5.jpg")
    os.mkfifo(root / "val.csv")
    os.mkfifo(root / "pipe")
    (root / "6.jpg").symlink_to("/dev/zero")
    (root / "7.jpg").symlink_to(root / "pipe")
    (root / "8.jpg").symlink_to(root / "nowhere")
    (root / "9.jpg").symlink_to(root / "9.jpg")
    data = found(root, *ROWS, *(f"{number}.jpg,cat" for number in range(5, 9)))
    assert "3 listed files are not in" in data.warnings[0]
    assert names(data) == {"1.jpg", "2.jpg", "3.jpg", "4.jpg", "8.jpg"}, "decoding says that a link leads nowhere"
    assert "not a file" in refusal(root, *ROWS, validation=str(root / "val.csv"))
    (root / "list.csv").unlink()
    os.mkfifo(root / "list.csv")
    with pytest.raises(DataError, match="neither a folder nor a CSV file"):
        discover(DataSource(path=str(root / "list.csv")))


def test_a_csv_that_is_too_large_is_not_read(root: Path) -> None:
    path = root / "list.csv"
    path.touch()
    os.truncate(path, csv_file.LARGEST_CSV + 1)  # takes no room on the disk
    with pytest.raises(DataError, match="larger than 500,000,000 bytes"):
        discover(DataSource(path=str(path)))


@pytest.mark.slow
def test_many_rows_take_bounded_memory(root: Path) -> None:
    path = root / "list.csv"
    with path.open("w") as file:
        file.write("path,label,fold\n")
        for number in range(300_000):
            image = number // 2 % 4 + 1
            name = f"sub/{number}" if number % 2 else f"{image}"
            file.write(f"{name}.jpg,{'cat' if image < 3 else 'dog'},train\n")
    risen, printed = rise(
        "from engine.data.discover import discover\nfrom engine.specs.spec import DataSource",
        "data = discover(DataSource(path=sys.argv[1]))\nprint(len(data.train), len(data.val), *data.warnings, sep='|')",
        path,
    )
    assert "149,999 listed files are not in" in printed
    assert "4 images are listed more than once: 1.jpg, 2.jpg, 3.jpg and 1 more" in printed
    assert risen < 160 * MIB
