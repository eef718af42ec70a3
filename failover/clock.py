"""The one clock of a member: seconds that never go back and that count suspend.

A promise or a lease must run out while a laptop sleeps, so a clock that stands still meanwhile will not do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds from an arbitrary origin."""

if sys.platform == "linux":
    # CLOCK_MONOTONIC, which `time.monotonic` reads, stands still during suspend on Linux.
    def system_clock() -> float:
        """Seconds since boot, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

elif sys.platform == "darwin":  # not run here
    # `time.monotonic` is mach_absolute_time, which stands still during sleep; this one is mach_continuous_time.
    def system_clock() -> float:
        """Seconds since boot, sleep included."""
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)

elif sys.platform == "win32":  # not run here
    # QueryPerformanceCounter counts sleep and hibernation (Microsoft: "Acquiring high-resolution time stamps");
    # `time.monotonic` does too, but in steps of 15.6 ms before Python 3.13.
    def system_clock() -> float:
        """Seconds since boot, sleep included."""
        return time.perf_counter()

else:

    def system_clock() -> float:
        """Seconds from an arbitrary origin; whether this system counts suspend is not known."""
        return time.monotonic()
