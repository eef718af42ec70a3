"""A pytest plugin for tests by the real clock: tells what the library did from what the machine did.

`pytest -p tests.real_time --reruns 4 --reruns-delay 5 --only-rerun MachineStoodStill`. On a shared machine all
processes stand still together, now and then, for as long as a lease: no program can keep its times through that. A
test that fails fails as ever. But if the machine was seen to stand still while it ran, the failure is called
`MachineStoodStill`, and the test may run again; all of them are told at the end. What no pause can excuse, a
`failover.testing.Violation` (something lost, doubled, or two hosts), is never called so.

Two witnesses that no test can bribe: a thread that only sleeps, and the kernel's own account of the time that the
hypervisor gave to others (`steal`, proc_stat(5)); a process that hogs a core adds to neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from failover.testing import Violation

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


class Watch(threading.Thread):
    """Notes when the machine stands still, for as long as the process lives.

    Args:
        clock: seconds.
        stolen: the seconds taken from each core since it was started; empty where nobody tells.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, stolen: Callable[[], list[float]] | None = None
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self.stalls: list[Stall] = []
        self.began = clock()
        self._clock, self._stolen = clock, stolen or stolen_here
        self._woken = self._window = self.began
        self._taken = self._taken_first = self._stolen()
        self._over = threading.Event()

    def run(self) -> None:
        """Sleep, and look."""
        while not self._over.wait(SLEEP_S):
            self.look()

    def end(self) -> None:
        """Look no more."""
        self._over.set()

    def look(self) -> None:
        """Take note of what happened since the last look."""
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

    def _note(self, stall: Stall) -> None:
        if len(self.stalls) < STALLS_MAX:
            self.stalls.append(stall)

    def since(self, moment: float) -> list[Stall]:
        """Return what was noted after a moment."""
        return [stall for stall in self.stalls if stall.at >= moment]

    def told(self) -> str:
        """Return one line on how steady the machine has been."""
        seconds = self._clock() - self.began
        taken = sum(self._stolen()) - sum(self._taken_first)
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
    watch = config.stash[WATCH] = Watch()
    watch.start()


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
