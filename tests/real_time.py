"""A pytest plugin for tests by the real clock: tells what the library did from what the machine did.

`pytest -p tests.real_time --reruns 4 --reruns-delay 5 --only-rerun MachineStoodStill`. On a shared machine all
processes stand still together, now and then, for as long as a lease: no program can keep its times through that. A
test that fails fails as ever. But if the machine was seen to stand still while it ran, the failure is called
`MachineStoodStill`, and the test may run again; all of them are told at the end. What no pause can excuse, a
`failover.testing.Violation` (something lost, doubled, or two hosts), is never called so.

Two witnesses that no test can bribe: a process of its own that only sleeps, and the kernel's own account of the
time that the hypervisor gave to others (`steal`, proc_stat(5)). A test that hogs a core, or the interpreter's
lock, adds to neither.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from failover.testing import Violation
from tests.benchmarks.parentage import die_with_parent

ROOT = Path(__file__).parents[1]

SLEEP_S = 0.005
LATE_S = 0.030
"""The sleeper was woken so much too late: two of three heartbeats of a lease."""
WINDOW_S = 0.100
STOLEN_S = 0.030
"""So much of a window was taken from one core."""
TICK_S = 0.010
STALLS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Stall:
    """A moment at which this machine stood still."""

    at: float
    """When it was noticed, by `time.monotonic`."""
    seconds: float
    was: str
    """`late`: the sleeper was; `stolen`: the hypervisor said so."""


class Sleeper:
    """Notes when the machine stands still.

    Args:
        note: gets each stall.
        clock: seconds.
        stolen: the seconds taken from each core since it was started; empty where nobody tells.
    """

    def __init__(
        self, note: Callable[[Stall], None], clock: Callable[[], float], stolen: Callable[[], list[float]]
    ) -> None:
        self._note, self._clock, self._stolen = note, clock, stolen
        self._woken = self._window = clock()
        self._taken = stolen()

    def look(self) -> None:
        """Take note of what happened since the last look, `SLEEP_S` ago if all is well."""
        now = self._clock()
        late = now - self._woken - SLEEP_S
        self._woken = now
        if late > LATE_S:
            self._note(Stall(now, late, "late"))
        if now - self._window >= WINDOW_S:
            self._window, before = now, self._taken
            self._taken = self._stolen()
            most = max((after - taken for taken, after in zip(before, self._taken, strict=True)), default=0.0)
            if most > STOLEN_S - TICK_S / 2:
                self._note(Stall(now, most, "stolen"))


def sleep_and_tell() -> None:
    """Be the process that only sleeps: after an empty line each stall is a line of JSON on the standard output."""
    die_with_parent()
    sleeper = Sleeper(lambda stall: print(json.dumps(astuple(stall)), flush=True), time.monotonic, stolen_here)
    print(flush=True)
    while True:
        time.sleep(SLEEP_S)
        sleeper.look()


class Watch:
    """Knows when the machine stood still, as the sleeping process tells it."""

    def __init__(self) -> None:
        self.stalls: list[Stall] = []
        self._began, self._taken = time.monotonic(), sum(stolen_here())
        command = [sys.executable, "-m", "tests.real_time"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # from now on it sleeps
        self._thread = threading.Thread(target=self._listen, name="watch", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if len(self.stalls) < STALLS_MAX:
                self.stalls.append(Stall(*json.loads(line)))

    def end(self) -> None:
        """Watch no more."""
        with self._process:
            self._process.kill()
            self._thread.join()

    def since(self, moment: float) -> list[Stall]:
        """Return what was noted after a moment; waits until the sleeper must have told it."""
        time.sleep(2 * WINDOW_S)
        return [stall for stall in self.stalls if stall.at >= moment]

    def told(self) -> str:
        """Return one line on how steady the machine has been."""
        seconds, taken = time.monotonic() - self._began, sum(stolen_here()) - self._taken
        late, stolen = (longest([s for s in self.stalls if s.was == was]) for was in ("late", "stolen"))
        return (
            f"in {seconds:.0f} s: woken late {late}; taken by the hypervisor {stolen}, {taken:.1f} core seconds"
            " in all"
        )


def longest(stalls: list[Stall]) -> str:
    """How often, and for how long at most."""
    most = max((stall.seconds for stall in stalls), default=0.0)
    return f"{len(stalls)} times (at most {most * 1_000:.0f} ms)"


def stolen_here(path: Path = Path("/proc/stat")) -> list[float]:
    """Return how many seconds were taken from each core since it was started; empty where nobody tells."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    cores = [line.split() for line in lines if line.startswith("cpu") and line[3].isdigit()]
    return [int(core[8]) * TICK_S for core in cores if len(core) > 8]


class MachineStoodStill(AssertionError):
    """A test failed while the machine stood still: it says nothing about what is tested."""


WATCH = pytest.StashKey[Watch]()
EXCUSED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.stash[EXCUSED] = []
    config.stash[WATCH] = Watch()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Watch no more."""
    config.stash[WATCH].end()


def excusing(item: pytest.Item) -> Generator[None, object, object]:
    """Call a failure by its name, if the machine stood still meanwhile."""
    began = time.monotonic()
    try:
        return (yield)
    except (Violation, pytest.skip.Exception):
        raise
    except (Exception, pytest.fail.Exception) as error:
        stalls = item.config.stash[WATCH].since(began)
        if not stalls:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        late, stolen = (longest([stall for stall in stalls if stall.was == was]) for was in ("late", "stolen"))
        words = f"woken late {late}, taken by the hypervisor {stolen}; and so: {what}"
        item.config.stash[EXCUSED].append(f"{item.nodeid}: {words}")
        raise MachineStoodStill(words) from error


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Clusters are opened here."""
    return (yield from excusing(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """The test itself."""
    return (yield from excusing(item))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell how steady the machine was, and which failures were excused by it."""
    terminalreporter.section("the machine")
    terminalreporter.line(config.stash[WATCH].told())
    for line in config.stash[EXCUSED]:
        terminalreporter.line(f"excused: {line}")


if __name__ == "__main__":
    sleep_and_tell()
