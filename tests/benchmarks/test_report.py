"""What every benchmark prints around its figures."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report


def test_header_names_machine_versions_and_commit() -> None:
    lines = report.header().splitlines()
    assert [line.split()[1] for line in lines] == ["machine:", "system:", "versions:", "commit"]
    assert "GiB of memory" in lines[0]
    assert f"torch {report.version('torch')}" in lines[2]
    assert report.version("no-such-package-here") == "not installed"


def test_other_changes_to_a_commit_have_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ROOT", tmp_path)
    new = tmp_path / "engine" / "new.py"
    new.parent.mkdir()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "empty"], check=True)
    names = [report.commit()]
    for code in ("one", "other", "one"):
        new.write_text(code)
        names.append(report.commit())
    assert names[1] == names[3] != names[2]
    assert all(name.startswith(f"{names[0]} with changes (") for name in names[1:])


@pytest.mark.parametrize(
    ("values", "text"), [([], "–"), ([2.0], "2.0"), ([3.0, 1.0, 2.0], "2.0 (1.0–3.0)"), ([1.0, 2.0], "1.5 (1.0–2.0)")]
)
def test_spread_is_median_and_range(values: list[float], text: str) -> None:
    assert report.spread(values, ".1f") == text


def test_table_is_markdown() -> None:
    assert report.table(["side", "s"], [["plain", "12"], ["a|b", "3"]]).splitlines() == [
        "| side  |  s |",
        "| ----- | -: |",
        "| plain | 12 |",
        "| a\\|b  |  3 |",
    ]


def test_report_loads_without_torch() -> None:
    code = "import sys, benchmarks.report; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=report.ROOT, capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
