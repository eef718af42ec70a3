"""A network like UDP between simulated computers: by address, with delay, loss, doubles and overtaking.

Links go from one computer to another, each direction by itself. What is under way arrives even if its link breaks.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from random import Random

import trio

from failover.net.addresses import Address
from failover.net.channel import RELAYING_SIZE_MAX
from failover.testing.checkers import Violation
from failover.testing.virtual_time import Action, VirtualTime

RECEIVE_BUFFER = 2_000
"""Datagrams that wait for a process that does not read; more are dropped, as a socket does it."""
PORT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What happens to datagrams on their way; seconds and probabilities."""

    delay_s: tuple[float, float] = (0.0001, 0.001)
    late: float = 0.0
    """So many take up to `late_s` more: they are overtaken by others."""
    late_s: float = 0.2
    loss: float = 0.0
    double: float = 0.0


class Network:
    """Carries datagrams from computer to computer, each known by its number."""

    def __init__(self, time: VirtualTime, dice: Random, link: Link, happened: Counter[str]) -> None:
        self.link = link
        """For all links that are not in `slow`."""
        self.slow: dict[tuple[int, int], Link] = {}
        """Links (from, to) with their own manners."""
        self.cut: set[tuple[int, int]] = set()
        """Links that carry nothing."""
        self.carried = 0
        self._time = time
        self._dice = dice
        self._happened = happened
        self._places: dict[Address, Socket] = {}
        self._next_ip = 0

    def new_address(self) -> Address:
        """One that nobody had."""
        self._next_ip += 1
        return Address(f"10.0.{self._next_ip >> 8}.{self._next_ip & 255}", PORT)

    def open(self, computer: int, address: Address) -> Socket:
        """A socket of that computer at that address."""
        socket = self._places[address] = Socket(self, computer, address)
        return socket

    def move(self, socket: Socket, address: Address) -> None:
        """From now on the socket is there: its old address is nobody's, and it does not know."""
        self.close(socket)
        socket.seen_as = address
        self._places[address] = socket

    def close(self, socket: Socket) -> None:
        """Nobody is there any more."""
        if self._places.get(socket.seen_as) is socket:
            del self._places[socket.seen_as]

    def carry(self, data: bytes, sender: Socket, target: Address) -> None:
        """Deliver a datagram once, twice, late or never."""
        if len(data) > RELAYING_SIZE_MAX:
            raise Violation(f"a datagram of {len(data)} bytes")
        place = self._places.get(target)
        if place is None:
            return
        way = (sender.computer, place.computer)
        if way in self.cut:
            return
        link = self.slow.get(way, self.link) if self.slow else self.link
        dice = self._dice.random
        copies = 1
        if link.double and dice() < link.double:
            self._happened["doubled"] += 1
            copies = 2
        for _ in range(copies):
            if link.loss and dice() < link.loss:
                self._happened["lost"] += 1
                continue
            low, high = link.delay_s
            delay = low + (high - low) * dice()
            if link.late and dice() < link.late:
                self._happened["late"] += 1
                delay += link.late_s * dice()
            self.carried += 1
            self._time.after(delay, partial(self._arrive, data, sender.seen_as, target))

    def _arrive(self, data: bytes, source: Address, target: Address) -> None:
        place = self._places.get(target)
        if place is not None and not place.arrive(data, source):
            self._happened["receive buffer full"] += 1


class Socket:
    """One process's place on the network: a `failover.Transport`."""

    def __init__(self, network: Network, computer: int, address: Address) -> None:
        self.computer = computer
        self.address = address
        """What the process takes for its address."""
        self.seen_as = address
        """What the others see: a router between may have changed it."""
        self.is_deaf = False
        """Whether what arrives is lost, since the computer sleeps."""
        self.before_send: Action | None = None
        """Called before each datagram leaves."""
        self.arrived: Action = lambda: None
        """Called when something has arrived."""
        self._network = network
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._reader: trio.lowlevel.Task | None = None

    def arrive(self, data: bytes, source: Address) -> bool:
        """A datagram comes in; False if there is no room for it."""
        if self.is_deaf:
            return True
        if len(self._queue) >= RECEIVE_BUFFER:
            return False
        self._queue.append((data, source))
        self.arrived()
        return True

    def wake_reader(self) -> None:
        """Let the task go on that waits for datagrams; to be called inside the run of the process."""
        if self._reader is not None and self._queue:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)

    # --- `Transport` ---

    def send(self, data: bytes, address: Address) -> None:
        """See `Transport.send`."""
        if self.before_send is not None:
            self.before_send()
        self._network.carry(data, self, address)

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """See `Transport.receive_nowait`."""
        return self._queue.popleft() if self._queue else None

    async def wait_readable(self) -> None:
        """See `Transport.wait_readable`."""
        if self._queue:
            await trio.lowlevel.checkpoint()
            return
        assert self._reader is None
        self._reader = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def close(self) -> None:
        """See `Transport.close`."""
        self._network.close(self)

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """See `Transport.local_addresses`."""
        return (self.address,)
