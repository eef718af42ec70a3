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
from failover.ids import MemberId
from failover.machine import Context
from failover.member import Member
from failover.testing.history import History
from failover.testing.models import Append, Read

if TYPE_CHECKING:
    from failover.testing.stack_simulation import StackSimulation

TICK_S = 0.3
FAILS_WITHIN_S = 10.0
READS = 0.2
"""So many of the things that a member asks are reads."""


class ServeFailed(Exception):
    """What a server function raises that fails on purpose."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the members of the guest list behave."""

    every_s: float = 0.5
    """Between two things that a member asks, on average."""
    at_once: int = 1
    """So many things a member asks at the same time."""
    size_max: int = 64
    """Of an item, in bytes."""
    refused: float = 0.0
    """So many requests the server function refuses."""
    fails: float = 0.0
    """In so many tenures the server function raises after some time, or takes no request any more."""
    keyed: float = 0.3
    """So many requests carry a key, and are asked again, also after restarts, until all is known of them."""
    lingers: float = 0.0
    """So many tenures end with a server function that takes its time."""

    @classmethod
    def draw(cls, dice: Random) -> Habits:
        """Some habits."""
        return cls(
            every_s=dice.choice((0.2, 0.5, 2.0)),
            at_once=dice.choice((1, 1, 4)),
            size_max=dice.choice((64, 64, 4_000)),
            refused=dice.choice((0.0, 0.1)),
            fails=dice.choice((0.0, 0.0, 0.3)),
            lingers=dice.choice((0.0, 0.3)),
        )


class GuestBook:
    """Plays every member, and keeps the history of what they asked and heard."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.history = History()
        self.world: StackSimulation | None = None
        """Given before anybody plays."""
        self.is_calm = False
        """From now on the server function does its best."""
        self._habits = habits or Habits()
        self._number = 0
        self._open: dict[MemberId, dict[bytes, tuple[int, bytes]]] = {}
        """What each player's saved game has open: with which key it asked for which item, as which operation."""

    async def serve(self, host: Host) -> None:
        """The server function: takes requests, and puts items on the list itself from time to time."""
        dice, habits = Random(host.id + host.epoch.term.to_bytes(8, "big")), self._habits
        fails = not self.is_calm and dice.random() < habits.fails
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look, host)
                nursery.start_soon(self._tick, host)
                if fails and dice.random() < 0.5:
                    nursery.start_soon(self._fail, dice.uniform(0.0, FAILS_WITHIN_S))
                    fails = False
                await self._take_requests(host, dice, dice.randrange(30) if fails else None)
        finally:
            if not self.is_calm and dice.random() < habits.lingers:
                with trio.CancelScope(shield=True):
                    await trio.sleep(dice.choice((0.01, 0.1, 1.0)))

    async def _take_requests(self, host: Host, dice: Random, hangs_after: int | None) -> None:
        taken = 0
        async for request in host.requests():
            if not self.is_calm and dice.random() < self._habits.refused:
                request.refuse("the guest is not welcome")
            else:
                await request.propose()
            taken += 1
            if taken == hangs_after:
                self._note("server function hangs")
                await trio.sleep_forever()

    async def _fail(self, after_s: float) -> None:
        await trio.sleep(after_s)
        self._note("server function fails")
        raise ServeFailed("as the simulation wants it")

    def _note(self, what: str) -> None:
        assert self.world is not None
        self.world.happened[what] += 1

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
            for key in self._open.get(member.id, {}):  # of an earlier run, which was killed
                self._note("asked again after a restart")
                nursery.start_soon(self._settle, member, key)
            for number in range(self._habits.at_once):
                nursery.start_soon(self._ask, member, f"{name}/{number}", dice)

    async def greet(self, member: Member) -> None:
        """Put an item on the list now.

        Raises:
            Refused, OutcomeUnknown, Closed: see `Member.request`.
        """
        number = self._begin("at the end", Append(item := self._new_item()))
        await self._hear(number, partial(member.request, item, timeout=5.0), is_told=True)

    async def _ask(self, member: Member, name: str, dice: Random) -> None:
        while True:
            await trio.sleep(dice.expovariate(1 / self._habits.every_s))
            if dice.random() < READS:
                await self._read(name, member)
            elif dice.random() < self._habits.keyed:
                number = self._begin(name, Append(item := self._new_item(dice.randrange(self._habits.size_max))))
                key = member.new_key()
                self._open.setdefault(member.id, {})[key] = number, item
                await self._settle(member, key)
            else:
                number = self._begin(name, Append(item := self._new_item(dice.randrange(self._habits.size_max))))
                await self._hear(number, partial(member.request, item, timeout=dice.choice((1.0, 5.0, 30.0))))

    async def _settle(self, member: Member, key: bytes) -> None:
        """Ask with a key until it is known what became of it; if this run ends before, the next goes on."""
        number, item = self._open[member.id][key]
        while True:
            try:
                reply = await member.request(item, timeout=5.0, key=key)
            except Refused:
                self.history.refused(number, self._now())
                break
            except (OutcomeUnknown, NotHost):
                await trio.sleep(TICK_S)
            else:
                self.history.replied(number, int(reply), self._now())
                break
        del self._open[member.id][key]

    async def _read(self, name: str, member: Member) -> None:
        number = self._begin(name, Read())
        with trio.move_on_after(5.0) as scope:
            await member.read_barrier()
            seen: Any = member.state
            self.history.replied(number, seen.all(), self._now())
        if scope.cancelled_caught:
            self.history.refused(number, self._now())

    async def _hear(self, number: int, ask: Callable[[], Awaitable[bytes]], *, is_told: bool = False) -> None:
        try:
            reply = await ask()
        except (OutcomeUnknown, NotHost, Refused, Closed) as error:
            note = self.history.unknown if isinstance(error, OutcomeUnknown) else self.history.refused
            note(number, self._now())
            if is_told:
                raise
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
