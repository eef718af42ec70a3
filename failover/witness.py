"""A witness: a third vote for two players, on a machine that is always on and has no copy of the game.

async with failover.open_witness(storage="witness.db", ticket=ticket) as witness:
    async for event in witness.events(): ...

It is a member like any other, made of the same parts, whose state machine is `Opaque`: it promises, votes, stores
the log and the newest snapshot, and reads of both only who the members are. It never hosts, and asks for nothing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from failover.events import Event
from failover.host import Host
from failover.interrupts import unbroken
from failover.member import Member, open_member
from failover.net.endpoint import Transport
from failover.opaque import Opaque
from failover.settings import Settings
from failover.status import Status
from failover.storage.contract import Storage
from failover.surroundings import Surroundings


@unbroken
class Witness:
    """This witness of its cluster. Made by `open_witness`; used from the trio loop that opened it."""

    def __init__(self, member: Member) -> None:
        self.id = member.id
        """This member's id: the public key that was drawn with its storage."""
        self.address = member.address
        """Where it listens first of all."""
        self._member = member

    @property
    def fingerprint(self) -> str:
        """Its key in 16 letters and digits, to compare by voice with what the host sees of a joiner."""
        return self._member.fingerprint

    def status(self) -> Status:
        """A frozen picture of this witness and of what it knows of the others; `digest` is empty."""
        return self._member.status()

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for one reader; ends after `Stopped`. The loop may be left and entered again.

        There is no `BecomeHost` and no `StateDiverged` among them; `MemberLeft` with the own id says that the
        cluster has done with this witness: its storage is of no use any more.
        """
        return self._member.events()

    def poll(self) -> list[Event]:
        """Return what happened since the last call; never blocks."""
        return self._member.poll()

    async def leave(self) -> None:
        """End this witness's membership for good; the storage is of no use afterwards.

        It returns once the others need it no more, even if they crash at this moment; if they fall silent, after
        `Settings.request_timeout_s`.

        Raises:
            OutcomeUnknown: no host in time; it may happen yet.
        """
        await self._member.leave()


@unbroken
@asynccontextmanager
async def open_witness(
    *,
    storage: Storage | str | os.PathLike[str],
    ticket: str | None = None,
    name: str = "witness",
    bind: str = "::",
    port: int = 0,
    addresses: Sequence[str] = (),
    settings: Settings | None = None,
    transport: Transport | None = None,
    wake: Callable[[], None] | None = None,
    surroundings: Surroundings | None = None,
) -> AsyncIterator[Witness]:
    """Open a witness: resume what the storage holds, else join with the ticket.

    It makes two players survive a crash of either, and four survive two. It needs no code of the game, and serves
    any game that uses this library. A cluster takes one; where it is of no use it holds the log and does not vote.

    Args:
        storage: a file's path, or a `Storage`. Not of a player: what a storage was opened as first, it stays.
        ticket: what `invite()` or `short_code()` returned, for joining. Any ticket will do; the application sees
            that it let in a witness (`MemberJoined.is_witness`), and is asked before if it wants to be
            (`Settings.confirm_identity`, `JoinRequested.is_witness`).
        name, bind, port, addresses, transport, wake, surroundings: as for `open_member`.
        settings: as for `open_member`. The players' timings come to it with what they send, so the defaults fit
            all; theirs are better where it is known that they have others.

    Raises:
        NotAdmitted: the cluster said no; it may have a witness already.
        UsageError: the storage is a player's.
        and what `open_member` raises.

    Leaving the block, also by cancellation, gives up its vote and stays a member; `leave()` ends the membership.
    """
    async with open_member(
        Opaque(),
        storage=storage,
        ticket=ticket,
        serve=_serve,
        name=name,
        bind=bind,
        port=port,
        addresses=addresses,
        settings=settings,
        transport=transport,
        wake=wake,
        fitness=_not_known,
        surroundings=surroundings,
    ) as member:
        yield Witness(member)


async def _serve(host: Host) -> None:
    raise AssertionError("a witness never hosts")


def _not_known() -> int:
    """Nobody asks how fit it is: so the computer need not be looked at."""
    return 0
