"""What is set for the whole process is looked at in processes of their own."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, threading
import numpy as np
from engine.hosts.tuning import tune_process
if sys.argv[1] == "tuned":
    tune_process()
def steps():
    for _ in range(3):
        np.ones(12_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(12_000_000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


def faults(tuned: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, tuned], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_a_thread_that_allocates_the_same_again_and_again_causes_few_page_faults() -> None:
    assert faults("tuned") < faults("plain") / 5


def test_a_persons_own_setting_stays() -> None:
    code = (
        "from engine.hosts.tuning import tune_process; tune_process(); import os; print(os.environ['GOMP_SPINCOUNT'])"
    )
    for given, wanted in (({"GOMP_SPINCOUNT": "7"}, "7"), ({}, "1000")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given)
        assert done.stdout.strip() == wanted
