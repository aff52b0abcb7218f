"""What is set for a whole process is looked at in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux, and only with glibc")

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

PRIORITIES = """
import os, threading
from engine.hosts.tuning import step_back
def mine(): return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
def engine():
    step_back(4)
    child = threading.Thread(target=lambda: found.append(mine()))
    child.start()
    child.join()
    found.append(mine())
before, found = mine(), []
thread = threading.Thread(target=engine)
thread.start()
thread.join()
print([one - before for one in (mine(), *found)])
"""

COLLECTOR = """
import gc
from engine.hosts.tuning import uncollected
before = len(gc.get_objects())
with uncollected():
    assert not gc.isenabled()
    kept = [[] for _ in range(50_000)]
print(gc.isenabled(), gc.get_freeze_count() > before + 50_000, len(gc.get_objects()) < before)
"""

TWO_LOAD = """
import gc, threading
from engine.hosts.tuning import uncollected
begun, ended = threading.Event(), threading.Event()
def other():
    with uncollected():
        begun.set()
        ended.wait()
thread = threading.Thread(target=other)
thread.start()
begun.wait()
with uncollected():
    pass
while_one_loads = gc.isenabled()
ended.set()
thread.join()
print(while_one_loads, gc.isenabled())
"""


CREATING = """
import os, sys
from importlib.abc import MetaPathFinder
from pathlib import Path
class Loads(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"))
            sys.exit()
sys.meta_path.insert(0, Loads())
from engine.hosts import thread
from engine.specs.presets import presets
from engine.specs.spec import DataSource, Experiment
from engine.specs.strategy import changed_strategy
small = changed_strategy(presets()["resnet18-finetune"], image_size=64)
thread.create(Experiment((small,), DataSource(path=sys.argv[1])), Path(sys.argv[2]))
"""


def said(code: str, *arguments: str, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    return done.stdout.strip()


@LINUX
def test_a_thread_that_allocates_the_same_again_and_again_causes_few_page_faults() -> None:
    assert int(said(FAULTS, "tuned")) < int(said(FAULTS, "plain")) / 5


@pytest.mark.parametrize(("given", "wanted"), [({"GOMP_SPINCOUNT": "7"}, "7"), ({}, "100000")])
def test_a_persons_own_setting_stays(given: dict[str, str], wanted: str) -> None:
    code = (
        "import os; from engine.hosts.tuning import tune_process as tune; tune(); print(os.environ['GOMP_SPINCOUNT'])"
    )
    assert said(code, environment=given) == wanted


def test_it_is_set_before_torch_is_loaded(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    assert said(CREATING, str(image_folder()), str(tmp_path), environment=environment) == "100000"


@LINUX
def test_a_thread_steps_back_with_those_that_it_starts_and_no_other() -> None:
    assert said(PRIORITIES) == "[0, 4, 4]"


def test_the_collector_leaves_out_what_was_imported() -> None:
    assert said(COLLECTOR) == "True True True"


def test_while_one_thread_loads_another_that_has_loaded_does_not_let_the_collector_in() -> None:
    assert said(TWO_LOAD) == "False True"
