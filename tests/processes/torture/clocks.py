"""Clocks that run too fast or too slow, for a whole process: its member's, and that of its event loop.

Promises count on rates within a tenth of true time. True time is CLOCK_MONOTONIC of the machine, and it alone
goes into the notes.
"""

from __future__ import annotations

import time

import trio

from failover.clock import system_clock


class RatedClock(trio.abc.Clock):
    """Seconds that are `1 / rate` true ones long, from an origin of choice."""

    def __init__(self, rate: float, offset_s: float) -> None:
        self._rate, self._offset_s = rate, offset_s

    def __call__(self) -> float:
        """Seconds now."""
        return self._offset_s + self._rate * system_clock()

    def start_clock(self) -> None:
        """It runs already."""

    def current_time(self) -> float:
        """Seconds now, for trio."""
        return self()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """True seconds until then."""
        return (deadline - self()) / self._rate


def true_ns() -> int:
    """Nanoseconds of the one clock that all processes of this machine share, and that nobody sets."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
