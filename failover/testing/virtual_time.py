"""True time in a simulation: it passes from one event to the next, as fast as they can be done."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from failover.testing.checkers import NoProgress, Violation

EVENTS_AT_ONE_TIME_MAX = 20_000
"""More events without time moving on are a busy loop."""

Action = Callable[[], None]


class VirtualTime:
    """A queue of events, and the time of the one that is being done."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds of true time since the beginning."""
        self.events = 0
        """How many have happened."""
        self._queue: list[tuple[float, int, Action]] = []
        self._number = 0
        self._at_this_time = 0

    def at(self, when: float, action: Action) -> None:
        """Do something at a true time; equal times in the order of asking."""
        self._number += 1
        heapq.heappush(self._queue, (when if when > self.now else self.now, self._number, action))

    def after(self, seconds: float, action: Action) -> None:
        """Do something so much later."""
        self.at(self.now + seconds, action)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        queue = self._queue
        while queue and queue[0][0] <= end:
            self._step()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until `condition` holds; returns the seconds that it took.

        Raises:
            NoProgress: it does not hold in time.
        """
        began = self.now
        while not condition():
            if not self._queue or self._queue[0][0] > began + limit_s:
                raise NoProgress(f"not reached within {limit_s:g} s")
            self._step()
        return self.now - began

    def _step(self) -> None:
        when, _, action = heapq.heappop(self._queue)
        self.events += 1
        if when > self.now:
            self.now, self._at_this_time = when, 0
        self._at_this_time += 1
        if self._at_this_time > EVENTS_AT_ONE_TIME_MAX:
            raise Violation(f"a busy loop at {self.now:.6f}")
        action()
