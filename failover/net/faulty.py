"""A `Transport` that carries out the faults of `faults`, around any other. With trio, for the waiting.

It has no task of its own: whoever waits for datagrams to read (the driver always does) waits here also for
the moment at which a delayed one is to leave, or to arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import trio

from failover.net.addresses import Address
from failover.net.endpoint import CountsLosses, Transport
from failover.net.faults import FaultyWay
from failover.net.settings import FaultSettings

DRAIN_MAX = 64
"""Datagrams taken from the real transport at once: what was sent must not wait for a flood to end."""


class FaultyTransport:
    """See the module's docstring. `clock` gives seconds; waiting is trio's."""

    def __init__(self, transport: Transport, faults: FaultSettings, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._clock = clock
        self._sent = FaultyWay(faults.sent, f"sent {faults.seed}")
        self._received = FaultyWay(faults.received, f"received {faults.seed}")
        self._waits = trio.CancelScope()

    def send(self, data: bytes, address: Address) -> None:
        """Send, sooner or later or never."""
        now = self._clock()
        before = self._sent.deadline
        self._sent.put(data, address, now)
        self._let_leave(now)
        if self._sent.deadline < before:
            self._waits.deadline = min(self._waits.deadline, self._trio_time(self._sent.deadline, now))

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """The next datagram that has arrived through all faults."""
        now = self._clock()
        self._take_in(now)
        return self._received.take(now)

    async def wait_readable(self) -> None:
        """Until one has arrived; meanwhile, send what is due."""
        await trio.lowlevel.checkpoint()
        while True:
            now = self._clock()
            self._let_leave(now)
            self._take_in(now)
            if self._received.deadline <= now:
                return
            due = min(self._sent.deadline, self._received.deadline)
            with trio.CancelScope(deadline=self._trio_time(due, now)) as self._waits:
                await self._transport.wait_readable()

    def close(self) -> None:
        """What is under way leaves at once: on a real network it would have left already."""
        while (waiting := self._sent.take(float("inf"))) is not None:
            self._transport.send(*waiting)
        self._transport.close()

    @property
    def local_addresses(self) -> Sequence[Address]:
        """Those of the real transport."""
        return self._transport.local_addresses

    @property
    def counters(self) -> Mapping[str, int]:
        """What was lost here, and in the real transport."""
        real = self._transport.counters if isinstance(self._transport, CountsLosses) else {}
        counted = Counter(real)
        for way in (self._sent, self._received):
            counted["faults: lost on demand"] += way.lost
            counted["faults: line is full"] += way.overflowed
        return +counted

    def _let_leave(self, now: float) -> None:
        while (due := self._sent.take(now)) is not None:
            self._transport.send(*due)

    def _take_in(self, now: float) -> None:
        for _ in range(DRAIN_MAX):
            received = self._transport.receive_nowait()
            if received is None:
                return
            self._received.put(*received, now)

    @staticmethod
    def _trio_time(at: float, now: float) -> float:
        return trio.current_time() + max(0.0, at - now)
