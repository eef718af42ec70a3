"""The game that simulations play when they are given none: members put items on a list, and read it.

Every item is put once and says who put it, so that whatever is lost, doubled or out of order can be seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from failover.errors import Closed, NotHost, OutcomeUnknown, Refused
from failover.host import Host
from failover.machine import Context
from failover.member import Member
from failover.testing.history import History
from failover.testing.models import Append, Read

if TYPE_CHECKING:
    from failover.testing.stack_simulation import StackSimulation

TICK_S = 0.3
READS = 0.2
"""So many of the things that a member asks are reads."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture of the list. The list behind it only grows."""

    items: list[bytes]
    length: int

    def all(self) -> tuple[bytes, ...]:
        """The items."""
        return tuple(self.items[: self.length])


class GuestList:
    """The state machine."""

    def __init__(self) -> None:
        self._items: list[bytes] = []
        self._hash = bytes(16)

    def apply(self, command: bytes, context: Context) -> bytes:
        """Put an item on the list; the reply is how many there are then."""
        self._items.append(command)
        self._hash = hashlib.blake2s(self._hash + command, digest_size=16).digest()
        return b"%d" % len(self._items)

    def view(self) -> Seen:
        """See `StateMachine.view`."""
        return Seen(self._items, len(self._items))

    def snapshot(self) -> Iterator[bytes]:
        """See `StateMachine.snapshot`."""
        items = self._items[:]
        return iter([self._hash, *(len(item).to_bytes(4, "big") + item for item in items)])

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `StateMachine.restore`."""
        raw = b"".join(chunks)
        self._hash, at = raw[:16], 16
        self._items = []
        while at < len(raw):
            size = int.from_bytes(raw[at : at + 4], "big")
            self._items.append(raw[at + 4 : at + 4 + size])
            at += 4 + size

    def digest(self) -> bytes:
        """See `StateMachine.digest`."""
        return self._hash


class GuestBook:
    """Plays every member, and keeps the history of what they asked and heard."""

    def __init__(self, every_s: float = 0.5, size_max: int = 64, at_once: int = 1) -> None:
        self.history = History()
        self.world: StackSimulation | None = None
        """Given before anybody plays."""
        self._every_s = every_s
        self._size_max = size_max
        self._at_once = at_once
        """So many things a member asks at the same time."""
        self._number = 0

    async def serve(self, host: Host) -> None:
        """The server function: takes requests, and puts items on the list itself from time to time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look, host)
            nursery.start_soon(self._tick, host)
            async for request in host.requests():
                await request.propose()

    async def _look(self, host: Host) -> None:
        """Look at the state under the lease: nobody else can have put anything there since."""
        while True:
            await trio.sleep(TICK_S)
            with suppress(NotHost):
                seen: Any = host.state
                self.history.replied(self._begin("host", Read()), seen.all(), self._now())

    async def _tick(self, host: Host) -> None:
        """Commit something by itself, as a server function does."""
        while True:
            await trio.sleep(TICK_S)
            number = self._begin("host", Append(item := self._new_item()))
            await self._hear(number, partial(host.commit, item))

    async def play(self, member: Member, dice: Random) -> None:
        """Play one member."""
        name = member.status().name
        async with trio.open_nursery() as nursery:
            for number in range(self._at_once):
                nursery.start_soon(self._ask, member, f"{name}/{number}", dice)

    async def _ask(self, member: Member, name: str, dice: Random) -> None:
        while True:
            await trio.sleep(dice.expovariate(1 / self._every_s))
            if dice.random() < READS:
                await self._read(name, member)
            else:
                number = self._begin(name, Append(item := self._new_item(dice.randrange(self._size_max))))
                await self._hear(number, partial(member.request, item, timeout=dice.choice((1.0, 5.0, 30.0))))

    async def _read(self, name: str, member: Member) -> None:
        number = self._begin(name, Read())
        with trio.move_on_after(5.0) as scope:
            await member.read_barrier()
            seen: Any = member.state
            self.history.replied(number, seen.all(), self._now())
        if scope.cancelled_caught:
            self.history.refused(number, self._now())

    async def _hear(self, number: int, ask: Callable[[], Awaitable[bytes]]) -> None:
        try:
            reply = await ask()
        except OutcomeUnknown:
            self.history.unknown(number, self._now())
        except (NotHost, Refused, Closed):
            self.history.refused(number, self._now())
        else:
            self.history.replied(number, int(reply), self._now())

    def _begin(self, caller: str, asked: Append | Read) -> int:
        return self.history.begin(caller, asked, self._now())

    def _now(self) -> float:
        assert self.world is not None
        return self.world.true_time()

    def _new_item(self, size: int = 0) -> bytes:
        self._number += 1
        return b"%d" % self._number + b"." * size
