"""Images that a run has seen under whatever name."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.data.seen_before import seen_before
from tests.engine.work import result


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(**contents: bytes) -> list[str]:
    """Files with these contents, by absolute paths, as an experiment has them."""
    for name, content in contents.items():
        Path(name).write_bytes(content)
    return [str(Path(name).absolute()) for name in contents]


def test_the_same_bytes_are_found_and_what_was_in_both_parts_was_trained_on() -> None:
    trained, validated = files(t1=b"one", t2=b"two"), files(v1=b"two", v2=b"six")
    files(a=b"one", b=b"two", c=b"six", d=b"new", e=b"longer")
    (trained_on, validated_on), _ = result(seen_before(["a", "b", "c", "d", "e", "gone"], trained, validated))
    assert (trained_on, validated_on) == (2, 1)
    assert result(seen_before(["gone"], [*trained, str(Path("lost").absolute())], validated))[0] == (0, 0)


def test_no_file_of_another_size_is_read_and_none_twice() -> None:
    trained = files(**{f"t{number}": b"x" * (number + 1) for number in range(9)})
    files(a=b"xxx")
    seen, told = result(seen_before(["a"], trained, []))
    assert seen == (1, 0) and max(work.total for work in told) == 2
    seen, told = result(seen_before(["t4"], trained, []))
    assert seen == (1, 0) and max(work.total for work in told) == 1
