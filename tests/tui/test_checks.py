"""``tl-tui check``: what it prints, and its exit status."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tui.cli import status


@pytest.fixture
def patients(tmp_path: Path, image_folder: Callable[..., Path]) -> Path:
    """Three pictures each of five patients of each class: two in training, one in validation; one of them twice."""
    drawn, root = image_folder("drawn", train=10, val=5), tmp_path / "patients"
    for label in ("cold", "warm"):
        for number, path in enumerate(sorted(drawn.glob(f"*/{label}/*.png"))):
            patient, part = f"patient-{label[0]}{number // 3}", ("train", "train", "val")[number % 3]
            (root / part / label).mkdir(parents=True, exist_ok=True)
            path.rename(root / part / label / f"{patient}-{number % 3}.png")
    shutil.copy(root / "train/cold/patient-c0-0.png", root / "val/cold/patient-c0-copy.png")
    return root


PATTERN = r"(patient-[cw]\d)-"


def test_the_report_names_leaks_copies_and_what_to_do(patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", str(patients), "--group-pattern", PATTERN]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "10 groups are in both training and validation: 11 of 11 validation images (100.0 %)" in said
    assert "without looking at a pixel, is right for 100.0 %; always predicting the majority class, for 54.5 %" in said
    assert "1 of 11 validation images is also in training, by bytes or pixels." in said
    assert "train/cold/patient-c0-0.png val/cold/patient-c0-copy.png train and val" in said
    assert f"tl-tui check {patients} --group-pattern '{PATTERN}' --split grouped" in said
    assert said.index("10 groups are in both") < said.index("class train val")


def test_a_proposal_is_shown_with_examples(patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", str(patients)]) == 1, "an image in both parts"
    said = " ".join(capsys.readouterr().out.split())
    assert "If the names mean what they suggest, 10 groups are in both" in said
    assert "10 groups, shared by 31 of 31 images; not applied unless you ask for it" in said
    assert "train/cold/patient-c0-0.png" in said
    assert "--split grouped" in said


def test_a_grouped_split_is_mended(patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", str(patients), "--group-pattern", PATTERN, "--split", "grouped"]) == 0
    said = capsys.readouterr().out
    assert "✓ No group is in both training and validation." in said
    assert "what to do" not in said


def test_what_only_looks_alike_is_told_and_is_no_alarm(
    tmp_path: Path, image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = image_folder("data", train=4, val=2)
    first = min(root.glob("train/cold/*.png"))
    with Image.open(first) as image:
        image.convert("RGB").resize((90, 90)).save(root / "val/warm/alike.png")
    assert status(["check", str(root)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "! 1 of 5 validation images looks like one in training. → compare them side by side" in said
    assert "! 1 near-duplicate pair has two different labels." in said
    assert f"near-duplicates: 1 pair train/cold/{first.name} val/warm/alike.png labels differ, train and val" in said
    assert "✗" not in said


def test_every_image_that_cannot_be_read_is_listed(
    image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = image_folder("data", train=6, val=2)
    broken = sorted(root.glob("train/*/*.png"))[::2]
    for path in broken:
        path.write_bytes(b"")
    status(["check", str(root)])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    start = lines.index(f"unreadable: {len(broken)} images")
    assert len(broken) == 6
    assert lines[start + 1 : start + 7] == [f"{path.relative_to(root)} the file is empty" for path in broken]


def test_json(patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", str(patients), "--group-pattern", PATTERN, "--json"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["leak"] == {"no_pixels": 1.0, "majority": 6 / 11, "shared": 11, "images": 11, "groups": 10}
    (pair,) = report["duplicates"]["exact"]
    assert pair["first"]["part"] == "train"
    assert pair["second"] == {"path": str(patients / "val/cold/patient-c0-copy.png"), "part": "val", "label": "cold"}
    assert report["duplicates"]["val_copies"] == 1
    assert [one["level"] for one in report["findings"]][:2] == ["alarm", "alarm"]
    assert report["counts"] == {"train": {"cold": 10, "warm": 10}, "val": {"cold": 6, "warm": 5}}


def test_csv_with_a_column_of_groups(patients: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(patients.rglob("*.png"))
    lines = [f"{path.relative_to(patients)},{path.parent.name},{path.parts[-3]},{path.name[:10]}" for path in files]
    (patients / "list.csv").write_text("\n".join(("path,label,split,who", *lines)), encoding="utf-8")
    assert status(["check", str(patients / "list.csv"), "--group", "who", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["leak"]["shared"], report["leak"]["groups"]) == (11, 10)
    assert report["groups"] == "column who: 10 groups of 31 images"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--group-pattern", "("], "is not a regular expression"),
        (["--group-pattern", "patient"], "has no capture group"),
        (["--group-pattern", "(case)"], "matches none of the paths"),
        (["--group", "who"], "group can only be named with a CSV file"),
        (["--split", "grouped"], "split grouped needs to know the groups"),
        (["--test-fraction", "2"], "data.test_fraction: must be a number below 1"),
    ],
)
def test_what_cannot_be(patients: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    assert status(["check", str(patients), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_unusable_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["check", str(tmp_path / "gone")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_class_names_are_no_markup(image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    images = image_folder()
    labels = ("[/b]", "[red]x[", "no[b]")
    rows = [f"{path},{labels[number % 3]}" for number, path in enumerate(sorted(images.rglob("*.png")))]
    (images / "list.csv").write_text("\n".join(["path,label", *rows]))
    status(["check", str(images / "list.csv")])
    first = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert first >= set(labels)
