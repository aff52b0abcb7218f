from pathlib import Path

import pytest

from engine.data.csv_file import group_column
from engine.data.dataset import DataSet, summary
from engine.data.discover import discover
from engine.errors import DataError
from engine.specs.spec import DataSource


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with images/1.jpg to images/8.jpg (empty: discovery looks at names alone)."""
    (tmp_path / "images").mkdir()
    for number in range(1, 9):
        (tmp_path / f"images/{number}.jpg").write_bytes(b"")
    return tmp_path


def write(path: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def found(path: Path, images: Path | None = None, validation: Path | None = None) -> DataSet:
    return discover(
        DataSource(str(path), images=None if images is None else str(images), validation=validation and str(validation))
    )


def rows(dataset: DataSet) -> dict[str, str]:
    """Label by file name, of all samples."""
    return {Path(one.path).name: dataset.classes[one.label] for one in (*dataset.train, *dataset.val)}


FOUR = ("images/1.jpg,cat", "images/2.jpg,cat", "images/3.jpg,dog", "images/4.jpg,dog")
LABELS = {"1.jpg": "cat", "2.jpg": "cat", "3.jpg": "dog", "4.jpg": "dog"}


def test_rows_without_a_path_or_a_label_are_left_out(root: Path) -> None:
    dataset = found(write(root / "pets.csv", "path,label", *FOUR, "images/5.jpg,", ",dog"))
    assert rows(dataset) == LABELS
    assert any("2 rows without a path or a label left out, the first in line 6" in text for text in dataset.warnings)


@pytest.mark.parametrize("column", ["split", "set", "Data Split", "phase"])
def test_a_given_split_is_used_whatever_its_column_is_called(root: Path, column: str) -> None:
    parts = ("train", "dev", "train", "dev")
    lines = [f"{line},{part}" for line, part in zip(FOUR, parts, strict=True)]
    dataset = found(write(root / "pets.csv", f"path,label,{column}", *lines))
    assert dataset.split == "given: split column, train and val"
    assert [Path(sample.path).name for sample in dataset.val] == ["2.jpg", "4.jpg"]


def test_a_column_that_is_no_split_for_all_its_name_is_none(root: Path) -> None:
    lines = [f"{line},{number}" for number, line in enumerate(FOUR)]
    assert found(write(root / "pets.csv", "path,label,fold", *lines)).split.startswith("split here")


def test_such_a_column_is_a_split_where_only_some_rows_say_no_part(root: Path) -> None:
    """Not silently none: what was meant for the test would be trained on."""
    lines = [f"{line},{part}" for line, part in zip(FOUR, ("train", "train", "test", "unlabeled"), strict=True)]
    with pytest.raises(DataError, match="line 5: split unlabeled; a split is one of train"):
        found(write(root / "pets.csv", "path,label,data_split", *lines))
    with pytest.raises(DataError, match="line 5: no split; a split is one of train"):
        found(write(root / "pets.csv", "path,label,data_split", *lines[:3], FOUR[3]))


def test_paths_may_begin_with_the_folders_own_name(root: Path) -> None:
    lines = [f"{root.name}/{line}" for line in FOUR]
    assert rows(found(write(root / "pets.csv", "image file path,pathology", *lines))) == LABELS


def test_paths_and_labels(root: Path) -> None:
    dataset = found(write(root / "pets.csv", "file_path,label", *FOUR))
    assert (dataset.name, dataset.kind, dataset.path) == ("pets", "csv", str(root / "pets.csv"))
    assert dataset.classes == ("cat", "dog")
    assert rows(dataset) == LABELS
    assert summary(dataset).val == {"cat": 1, "dog": 1}
    assert dataset.split == "split here: 20 % of each class for validation, seed 0"
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    "header",
    ["path,class", "File Name,Target", " FILE-PATH , Label ", "image,diagnosis", "img,y", "image_id,category", "id,dx"],
)
def test_other_names_of_the_columns(root: Path, header: str) -> None:
    assert rows(found(write(root / "pets.csv", header, *FOUR))) == LABELS


def test_other_ways_to_write_a_csv(root: Path) -> None:
    path = root / "pets.csv"
    semicolons = [line.replace(",", ";") for line in ("file_path,label", *FOUR)]
    assert rows(found(write(path, *semicolons))) == LABELS
    tabs = [line.replace(",", "\t") for line in ("n,file_path,label", *(f"1,{line}" for line in FOUR))]
    assert rows(found(write(root / "pets.tsv", *tabs))) == LABELS
    assert rows(found(write(path, "file_path,label", *FOUR, end="\r\n", encoding="utf-8-sig"))) == LABELS
    quoted = ['"images/1.jpg","a, b"', '"images/2.jpg","a, b"', '"images/3.jpg", "c ""d"""', 'images/4.jpg,"c ""d"""']
    dataset = found(write(path, "file_path,label", "", *quoted, " , "))
    assert dataset.classes == ("a, b", 'c "d"')
    backslashes = [line.replace("/", "\\") for line in FOUR]
    assert rows(found(write(path, "file_path,label", *backslashes))) == LABELS
    without_ending = [line.replace(".jpg", "") for line in FOUR]
    assert rows(found(write(path, "image_id,label", *without_ending))) == LABELS


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_cell_may_be_quoted_also_those_of_the_header(root: Path, separator: str) -> None:
    """As R writes them, with a first column without a name, and pandas."""
    table = [("", "path", "label"), *((str(number), *line.split(",")) for number, line in enumerate(FOUR))]
    lines = [separator.join(f'"{cell}"' for cell in cells) for cells in table]
    assert rows(found(write(root / "pets.csv", *lines))) == LABELS


@pytest.mark.parametrize("header", ["path,label,Patient", "path;label;patient_id", "path\tlabel\tLesion ID"])
def test_a_column_that_may_name_groups_is_pointed_out(root: Path, header: str) -> None:
    separator = header[4]
    lines = [header, *(separator.join((f"images/{number}.jpg", "ab"[number % 2], "p1")) for number in range(1, 5))]
    column = header.split(separator)[2]
    note = f"list.csv: column {column} may say which images belong together: name it as the group"
    assert note in "".join(found(write(root / "list.csv", *lines)).warnings)
    told = discover(DataSource(path=str(root / "list.csv"), group=column)).warnings
    assert not any("may say which images" in warning for warning in told)
    assert group_column(root / "list.csv") == column
    assert group_column(write(root / "none.csv", "path,label", "a,b")) == ""


def test_labels_are_text(root: Path) -> None:
    lines = ("images/1.jpg,10", "images/2.jpg,10", "images/3.jpg,9", "images/4.jpg,9")
    assert found(write(root / "x.csv", "file_path,label", *lines)).classes == ("10", "9")


def test_paths_relative_to_a_folder_of_images(root: Path) -> None:
    (root / "lists").mkdir()
    path = write(root / "lists/pets.csv", "file,label", *(line.removeprefix("images/") for line in FOUR))
    assert rows(found(path, images=root / "images")) == LABELS
    absolute = write(root / "lists/pets.csv", "file,label", *(f"{root}/{line}" for line in FOUR))
    assert rows(found(absolute, images=root / "images")) == LABELS


def test_a_split_column(root: Path) -> None:
    lines = (f"{FOUR[0]},train", f"{FOUR[1]},Validation", f"{FOUR[2]},train", f"{FOUR[3]},valid")
    dataset = found(write(root / "pets.csv", "file_path,label,Split", *lines, "images/5.jpg,,test"))
    assert [Path(one.path).name for one in dataset.train] == ["1.jpg", "3.jpg"]
    assert [Path(one.path).name for one in dataset.val] == ["2.jpg", "4.jpg"]
    assert dataset.split == "given: split column, train and val"
    assert "no test part, 1 rows: " in dataset.warnings[0]
    tested = found(write(root / "pets.csv", "file_path,label,Split", *lines[:2], f"{FOUR[2]},test", f"{FOUR[3]},train"))
    assert [Path(one.path).name for one in tested.test] == ["3.jpg"]
    assert tested.split == "given: split column, train and val and test"
    as_test = [line.replace("Validation", "test").replace("valid", "test") for line in lines]
    assert found(write(root / "pets.csv", "file_path,label,split", *as_test)).split.endswith("train and test")
    only_train = [f"{line},train" for line in FOUR]
    assert found(write(root / "pets.csv", "file_path,label,split", *only_train)).split.startswith("split here")


def test_a_second_csv_for_validation(root: Path) -> None:
    train = write(root / "a.csv", "file_path,label,split", *(f"{line},whatever" for line in FOUR))
    val = write(root / "b.csv", "label;path", "dog;images/5.jpg", "cat;images/1.jpg")
    dataset = found(train, validation=val)
    assert (len(dataset.train), len(dataset.val)) == (4, 2)
    assert dataset.split == "given: a.csv and b.csv"
    assert any("the split column is not used" in warning for warning in dataset.warnings)
    assert any("1 images are in both training and validation: 1.jpg" in warning for warning in dataset.warnings)


def test_what_is_odd_in_the_rows_is_a_warning(root: Path) -> None:
    extra = (
        "images/1.jpg,cat",
        *("images/5.jpg,cat",) * 2,
        "images/5.jpg,dog",
        "images/99.jpg,cat",
        "images/x\x1b.jpg,dog",
    )
    dataset = found(write(root / "pets.csv", "file_path,label,class", *(f"{line},-" for line in (*FOUR, *extra))))
    assert rows(dataset) == LABELS
    everything = " ".join(dataset.warnings)
    assert "labels are read from column label, not from class" in everything
    assert "2 listed files are not in" in everything
    assert "images/99.jpg, images/x\\x1b.jpg" in everything
    assert "1 image left out, listed with different labels: 5.jpg" in everything
    assert "1 image is listed more than once: 1.jpg" in everything
    assert "1.jpg, 5.jpg" not in everything


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("name,label", *FOUR), "no column of paths; the columns are name, label;"),
        (("Path,Kind\x1b", *FOUR), "no column of labels; the columns are Path, Kind\\x1b;"),
        (FOUR, "no column of paths; the columns are images/1.jpg, cat;"),
        (("path,label",), "a header and no rows"),
        (("", ""), "the file is empty"),
        (("path,label", "images/2.jpg,", "images/3.jpg"), "line 2: no path or no label, nor in any other row"),
        (("", "path,label", ",dog", ",cat"), "line 3: no path or no label, nor in any other row"),
        (("path,label", "a.jpg,cat", "b.jpg,dog"), "none of the 2 files listed is in"),
        (("path,label", "images/1.jpg,a", "images/1.jpg,b"), "every image is listed with different labels: 1.jpg"),
        (("path,label", *FOUR[:2]), "only one class (cat)"),
        (("path,label", *FOUR[:3]), "class dog has 1 image"),
        (("path,label", *FOUR, "../../etc/passwd,cat"), "line 6: ../../etc/passwd does not exist, and lies outside"),
        (("path,label", *FOUR, "/etc/passwd,cat"), "line 6: /etc/passwd lies outside"),
        (("path,label", *FOUR, "..\\..\\secret.jpg,cat"), "lies outside"),
        (("path,label", *FOUR, ".,cat"), "lies outside"),
        (("path,label,split", f"{FOUR[0]},7"), "line 2: split 7; a split is one of train,"),
        (("path,label,split", FOUR[0]), "line 2: no split; a split is one of"),
        (("path,label,split", f"{FOUR[0]},val"), "no row whose split is train"),
        (("path,label", 'images/1.jpg,"cat'), "not valid CSV"),
        (('"path"x,label', *FOUR), "not valid CSV: the quotes in its first line do not match"),
        (("path,label", *FOUR, "images/5.jpg,cat,grey"), "line 6: more cells than the header has"),
    ],
)
def test_unusable_csv_files_say_what_and_where(root: Path, lines: tuple[str, ...], expected: str) -> None:
    path = write(root / "pets.csv", *lines)
    with pytest.raises(DataError) as caught:
        found(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_class_that_only_validation_has(root: Path) -> None:
    train = write(root / "a.csv", "file_path,label", *FOUR)
    with pytest.raises(DataError, match="validation has classes that training lacks: fox"):
        found(train, validation=write(root / "b.csv", "file_path,label", "images/5.jpg,fox"))


def test_files_that_are_no_csv(root: Path) -> None:
    (root / "photo.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match="not UTF-8 text"):
        found(root / "photo.csv")
    path = write(root / "pets.csv", "file_path,label", *FOUR)
    with pytest.raises(DataError, match="no such folder of images"):
        found(path, images=root / "nowhere")
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        found(path, validation=root / "gone.csv")
