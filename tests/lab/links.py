"""How bad links treat datagrams: a plan for each one, drawn from a seed. No clock and no sockets here.

Two things stand between two homes. Each home has an access line with a rate and a queue, up and down, that all
its traffic shares; between every two homes lies a way with delay, jitter, loss, doubles and stragglers, for each
direction its own. What a datagram meets depends on the seed, the two homes and how many went that way before.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass

HEADERS_SIZE = 14
"""A rate counts the Ethernet frame, as home routers do; what is given here begins with the IP header."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """From one home to another, in this direction alone."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Each datagram takes up to so much longer, evenly spread. None overtakes another: queues cause jitter."""
    loss: float = 0.0
    """The part that is lost, each datagram by itself."""
    double: float = 0.0
    """The part that arrives twice."""
    straggle: float = 0.0
    """The part that is held up for `straggle_s` more, and is overtaken by what comes after it."""
    straggle_s: float = 0.010


@dataclass(frozen=True, kw_only=True)
class Line:
    """A home's access line in one direction."""

    rate: float = 0.0
    """Bits per second; 0 = no limit."""
    queue_s: float = 0.100
    """What would wait for longer is dropped ..."""
    queue_bytes: int = 0
    """... or what would make the queue longer than this; 0 = only the time counts."""


@dataclass
class _Direction:
    """A way in use."""

    dice: random.Random
    latest: float = 0.0
    """When the last one that was no straggler arrives."""


@dataclass
class _Queue:
    """A line in use: a token bucket that holds no more than one datagram."""

    free_at: float = 0.0


_Event = tuple[float, int, bytes, int, bool]
"""When, a number that decides between equals, the datagram, to which home, and whether it is past all queues."""


class Links:
    """All of it, for homes that are numbers."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.way = Way()
        """Between homes for which nothing else is set."""
        self.up = Line()
        self.down = Line()
        self.ways: dict[tuple[int, int], Way] = {}
        self.ups: dict[int, Line] = {}
        self.downs: dict[int, Line] = {}
        self.counters: Counter[str] = Counter()
        """What happened to how many: `carried`, `lost`, `doubled`, `straggled`, `queue full`."""
        self._directions: dict[tuple[int, int], _Direction] = {}
        self._queues: dict[tuple[str, int], _Queue] = {}
        self._events: list[_Event] = []
        self._numbers = itertools.count()

    @property
    def deadline(self) -> float | None:
        """When `due` has something; None if nothing is under way."""
        return self._events[0][0] if self._events else None

    def enter(self, sender: int, receiver: int, data: bytes, now: float) -> None:
        """A datagram leaves a home."""
        leaves = self._through_line("up", sender, self.ups.get(sender, self.up), len(data), now)
        if leaves is None:
            return
        way = self.ways.get((sender, receiver), self.way)
        direction = self._direction(sender, receiver)
        # Always the same number of dice, so that a change of one part leaves the fate of the others as it was.
        lost, doubled, straggles, *jitters = (direction.dice.random() for _ in range(5))
        if lost < way.loss:
            self.counters["lost"] += 1
            return
        is_late = straggles < way.straggle
        self.counters["straggled"] += is_late
        self.counters["doubled"] += doubled < way.double
        for jitter in jitters[: 2 if doubled < way.double else 1]:
            arrives = leaves + way.delay_s + jitter * way.jitter_s
            if is_late:
                arrives += way.straggle_s
            else:
                arrives = direction.latest = max(arrives, direction.latest)
            self._plan(arrives, data, receiver, is_through=False)

    def due(self, now: float) -> list[tuple[float, bytes]]:
        """What arrives by now, each with the moment when it should."""
        arrived = []
        while self._events and self._events[0][0] <= now:
            at, _, data, to, is_through = heapq.heappop(self._events)
            if is_through:
                self.counters["carried"] += 1
                arrived.append((at, data))
                continue
            passed = self._through_line("down", to, self.downs.get(to, self.down), len(data), at)
            if passed is not None:
                self._plan(passed, data, to, is_through=True)
        return arrived

    def _plan(self, at: float, data: bytes, to: int, *, is_through: bool) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), data, to, is_through))

    def _through_line(self, which: str, home: int, line: Line, size: int, now: float) -> float | None:
        """When a datagram that comes to a line at `now` has passed it; None if its queue is full."""
        if not line.rate:
            return now
        queue = self._queues.setdefault((which, home), _Queue())
        waits_s = max(0.0, queue.free_at - now)
        waiting_bytes = waits_s * line.rate / 8
        if waits_s > line.queue_s or 0 < line.queue_bytes < waiting_bytes + size:
            self.counters["queue full"] += 1
            return None
        queue.free_at = now + waits_s + 8 * (size + HEADERS_SIZE) / line.rate
        return queue.free_at

    def _direction(self, sender: int, receiver: int) -> _Direction:
        found = self._directions.get((sender, receiver))
        if found is None:
            dice = random.Random(f"{self.seed} {sender} {receiver}")
            found = self._directions[sender, receiver] = _Direction(dice)
        return found
