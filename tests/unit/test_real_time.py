"""The plugin that tells a machine that stood still from a library that was late."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.real_time import STOLEN_S, Sleeper, Stall, Watch, stolen_here

ROOT = Path(__file__).parents[2]

STAT = """cpu  10 0 0 0 0 0 0 12 0 0
cpu0 5 0 0 0 0 0 0 5 0 0
cpu1 5 0 0 0 0 0 0 7 0 0
intr 1 2 3
"""


class Machine:
    def __init__(self) -> None:
        self.now, self.taken = 100.0, [0.0, 0.0]
        self.noted: list[Stall] = []
        self.sleeper = Sleeper(self.noted.append, lambda: self.now, lambda: list(self.taken))

    def sleeps(self, seconds: float = 0.005, taken: float = 0.0) -> None:
        self.now += seconds
        self.taken[1] += taken
        self.sleeper.look()


def test_a_steady_machine_excuses_nothing() -> None:
    machine = Machine()
    for _ in range(200):
        machine.sleeps(0.012, 0.0002)
    assert machine.noted == []


def test_a_sleeper_that_is_woken_late_is_noted() -> None:
    machine = Machine()
    machine.sleeps()
    machine.sleeps(0.040)
    (stall,) = machine.noted
    assert stall.was == "late" and stall.seconds == pytest.approx(0.035)


def test_time_that_the_hypervisor_takes_in_small_pieces_is_noted() -> None:
    machine = Machine()
    for _ in range(30):
        machine.sleeps(0.005, STOLEN_S / 10)
    (stall,) = machine.noted
    assert stall.was == "stolen"


def test_the_sleeping_process_is_not_late_because_this_one_is() -> None:
    watch = Watch()
    began = time.monotonic()
    try:
        # One call that holds the interpreter's lock for a while: no other thread of this process runs meanwhile.
        sum(itertools.repeat(1, 30_000_000))
        held_s = time.monotonic() - began
        late = [stall for stall in watch.since(began) if stall.was == "late" and stall.seconds > held_s / 2]
    finally:
        watch.end()
    assert held_s > 0.05 and late == []


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can be stopped there")
def test_a_stopped_machine_is_noted_by_the_sleeping_process() -> None:
    watch = Watch()
    try:
        began = time.monotonic()
        watch._process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        watch._process.send_signal(signal.SIGCONT)
        stalls = [stall for stall in watch.since(began) if stall.was == "late"]
    finally:
        watch.end()
    assert max(stall.seconds for stall in stalls) > 0.15
    assert "woken late" in watch.told()


def test_the_kernels_account_is_read(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(STAT, encoding="ascii")
    assert stolen_here(stat) == pytest.approx([0.05, 0.07])
    assert stolen_here(tmp_path / "elsewhere") == []


TESTS = """
import time
import pytest
from failover.testing import Violation
from tests.real_time import WATCH, Stall

tries = []

@pytest.fixture
def watch(request):
    return request.config.stash[WATCH]

def stand_still(watch):
    watch.stalls.append(Stall(time.monotonic(), 0.2, "late"))

def test_excused(watch):
    tries.append("excused")
    if len(tries) < 3:
        stand_still(watch)
        assert False, "too late"

def test_violation(watch):
    stand_still(watch)
    raise Violation("two hosts")

def test_not_excused(watch):
    watch.stalls.clear()
    raise TimeoutError("too late")

@pytest.fixture
def opened(watch):
    tries.append("opened")
    if tries.count("opened") < 2:
        stand_still(watch)
        raise TimeoutError("it does not open")

def test_opened(opened):
    pass
"""


def test_only_failures_while_it_stood_still_run_again(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    plugin = ("-p", "tests.real_time", "--reruns", "3", "--only-rerun", "MachineStoodStill")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--rootdir", str(tmp_path), "-q", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout
    assert "2 failed, 2 passed, 3 rerun" in told, told + done.stderr
    assert "test_violation - failover.testing" in told or "Violation: two hosts" in told
    assert "TimeoutError: too late" in told
    excused = [line for line in told.splitlines() if line.startswith("excused: ")]
    assert len(excused) == 3 and "woken late 1 times (at most 200 ms)" in told
