"""What every benchmark prints around its figures."""

import subprocess
import sys

import pytest

from benchmarks import report


def test_header_names_machine_versions_and_commit() -> None:
    lines = report.header().splitlines()
    assert [line.split()[1] for line in lines] == ["machine:", "system:", "versions:", "commit"]
    assert "GiB of memory" in lines[0]
    assert f"torch {report.version('torch')}" in lines[2]
    assert report.version("no-such-package-here") == "not installed"


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
