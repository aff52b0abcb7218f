"""Killed and resumed runs are the same runs: a few of the kills that ``benchmarks/crash.py`` does by the hundred."""

import json
from pathlib import Path

import pytest

from tests import forked

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_what_was_killed_and_resumed_ends_bit_for_bit_as_if_it_had_not_been() -> None:
    done = forked.run(["-m", "benchmarks.crash", "--kills", "3", "--seed", "1", "--json"], ROOT, 280)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == 3
    assert found["identical"] == found["trials"] >= 1
