"""Faults on demand: what a bad network does to each datagram, decided by a seed. Sans-IO; `faulty` carries it out.

Players' networks lose, delay and reorder; an author's does not. Here an author has theirs, without any tool of the
system and without rights on the machine.
"""

from __future__ import annotations

import heapq
from hashlib import blake2s

from failover.net.addresses import Address
from failover.net.settings import Faults

WAITING_MAX = 8192
"""Datagrams under way in one direction; more are lost."""


class Dice:
    """Draws from [0, 1), the same ones for the same seed on every machine and in every version of Python."""

    __slots__ = ("_count", "_pool", "_seed")

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._count = 0
        self._pool = b""

    def draw(self) -> float:
        """The next one."""
        if not self._pool:
            self._pool = blake2s(self._seed + self._count.to_bytes(8, "little")).digest()
            self._count += 1
        drawn, self._pool = self._pool[:4], self._pool[4:]
        return int.from_bytes(drawn, "little") / 2**32


class FaultyWay:
    """One direction: datagrams in, and out again when and if they arrive. Times are seconds of one clock.

    Each datagram draws equally often, whatever the faults are: with one seed, more loss loses the same and more.
    """

    __slots__ = ("_count", "_dice", "_faults", "_free_at", "_waiting", "lost", "overflowed")

    def __init__(self, faults: Faults, seed: str) -> None:
        self._faults = faults
        self._dice = Dice(seed)
        self._waiting: list[tuple[float, int, bytes, Address]] = []
        self._free_at = 0.0
        self._count = 0
        self.lost = 0
        """As `Faults.loss` wanted."""
        self.overflowed = 0
        """What the line did not carry, or did not hold."""

    def put(self, data: bytes, address: Address, now: float) -> None:
        """A datagram sets out."""
        faults, draw = self._faults, self._dice.draw
        is_lost, is_doubled, is_held_back = (
            draw() < share for share in (faults.loss, faults.duplication, faults.reordering)
        )
        delays = [faults.delay_s + draw() * faults.jitter_s for _ in range(2)]
        if is_lost:
            self.lost += 1
            return
        leaves_at = now
        if faults.rate_bytes_per_s:
            begins_at = max(now, self._free_at)
            if begins_at - now > faults.queue_s:
                self.overflowed += 1
                return
            leaves_at = self._free_at = begins_at + len(data) / faults.rate_bytes_per_s
        if is_held_back:
            leaves_at += faults.reordering_s
        for delay in delays[: 1 + is_doubled]:
            if len(self._waiting) >= WAITING_MAX:
                self.overflowed += 1
                return
            self._count += 1
            heapq.heappush(self._waiting, (leaves_at + delay, self._count, data, address))

    def take(self, now: float) -> tuple[bytes, Address] | None:
        """The next one that has arrived by now."""
        if not self._waiting or self._waiting[0][0] > now:
            return None
        _, _, data, address = heapq.heappop(self._waiting)
        return data, address

    @property
    def deadline(self) -> float:
        """When the next one arrives; infinite if none is under way."""
        return self._waiting[0][0] if self._waiting else float("inf")
