"""How fit this computer is to host: the hint that a member gives of itself where the game gives none.

What counts is how quickly the others are reached, how busy the computer is, whether it runs on its battery, and
how late the pump was called lately. The computer is looked at from another thread, since some batteries take
their time to answer; `score` is arithmetic.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from statistics import median
from typing import Any, NoReturn

import psutil
import trio

from failover.interrupts import unbroken
from failover.raft.messages import HINT_MAX, UNKNOWN_HINT

log = logging.getLogger("failover")

LOOK_S = 3.0
"""Between two looks."""
FIRST_LOOK_S = 0.5
"""The second look comes this soon after the first: load is what happened between two."""
SMOOTHING = 0.3
"""How much of the last look counts in the load."""
Fitness = Callable[[], int]
"""A game's own word: 1 to 255, larger is fitter; 0 = not known. Called now and then; must return at once."""


@dataclass(frozen=True, slots=True)
class Computer:
    """What was seen of the computer."""

    busy_s: float
    """For how long its processors worked, all together, since some moment in the past."""
    total_s: float
    """For how long they might have."""
    charge: float | None = None
    """What is left in the battery, 0 to 1, where the computer runs on it; None where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What the hint is made of."""

    round_trips_s: tuple[float, ...] = ()
    """To each of the others that answers."""
    load: float = 0.0
    """The part of the processors that works, 0 to 1."""
    charge: float | None = None
    stall_s: float = 0.0
    """How late the pump was called lately."""


LookAtComputer = Callable[[], Awaitable[Computer]]


def score(measures: Measures) -> int:
    """Return the hint: HINT_MAX for a computer that has nothing against it, less for each thing that has.

    What the players would notice costs most: 20 points for each doubling of the round trip above some
    milliseconds, up to 60 for a busy computer or a late pump, and 30 to 120 for one that runs on its battery.
    """
    trip_s = median(measures.round_trips_s) if measures.round_trips_s else 0.0
    against = min(120.0, 20.0 * math.log2(1.0 + trip_s / 0.002))
    against += 60.0 * min(1.0, max(0.0, measures.load))
    against += min(60.0, 20.0 * math.log2(1.0 + measures.stall_s / 0.020))
    if measures.charge is not None:
        against += 30.0 + 90.0 * (1.0 - min(1.0, max(0.0, measures.charge) / 0.5))
    return max(1, round(HINT_MAX - against))


def load_between(before: Computer, after: Computer) -> float:
    """The part of the processors' time between two looks that was worked."""
    passed = after.total_s - before.total_s
    return min(1.0, max(0.0, (after.busy_s - before.busy_s) / passed)) if passed > 0 else 0.0


def look_at_this_computer() -> Computer:
    """Look at processors and battery; works where there is none, and where the system tells nothing of it."""
    try:
        times: Any = psutil.cpu_times()
    except (OSError, psutil.Error):  # a sandbox may hide them
        return Computer(0.0, 0.0, _charge())
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts the time of virtual machines among `user` and `nice`, too.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return Computer(total - idle, total, _charge())


def _charge() -> float | None:
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, NotImplementedError, OSError, RuntimeError, ValueError):
        return None  # some systems have no such call, or no such file
    if battery is None or battery.power_plugged is not False:
        return None
    return float(battery.percent) / 100.0


async def look_from_thread() -> Computer:
    """Look without holding up the loop."""
    return await trio.to_thread.run_sync(look_at_this_computer, abandon_on_cancel=True)


@unbroken
class FitnessWatch:
    """Gives the core this member's hint, now and then."""

    def __init__(
        self,
        *,
        own: Fitness | None,
        look: LookAtComputer,
        round_trips_s: Callable[[], Collection[float]],
        stall_s: Callable[[], float],
        set_hint: Callable[[int], None],
    ) -> None:
        self._own = own
        self._look = look
        self._round_trips_s = round_trips_s
        self._stall_s = stall_s
        self._set_hint = set_hint
        self._has_complained = False

    async def run(self) -> NoReturn:
        """Look for ever."""
        if self._own is not None:
            while True:
                self._set_hint(self._ask(self._own))
                await trio.sleep(LOOK_S)
        before, load = await self._look(), None
        await trio.sleep(FIRST_LOOK_S)
        while True:
            computer = await self._look()
            latest = load_between(before, computer)
            load = latest if load is None else load + SMOOTHING * (latest - load)
            before = computer
            self._set_hint(score(self._measures(computer, load)))
            await trio.sleep(LOOK_S)

    def _measures(self, computer: Computer, load: float) -> Measures:
        return Measures(
            round_trips_s=tuple(self._round_trips_s()), load=load, charge=computer.charge, stall_s=self._stall_s()
        )

    def _ask(self, own: Fitness) -> int:
        """The game's own word; one that makes no sense is none, and is complained of once."""
        try:
            hint = own()
            if not isinstance(hint, int) or not UNKNOWN_HINT <= hint <= HINT_MAX:
                raise ValueError(f"fitness() returned {hint!r}, not a whole number from 0 to {HINT_MAX}")
        except Exception as error:  # it is advice: a game goes on without it
            if not self._has_complained:
                log.error("the game's own fitness is of no use: %r", error, exc_info=error)
            self._has_complained = True
            return UNKNOWN_HINT
        return hint
