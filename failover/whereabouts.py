"""Where this member itself is: looks now and then, and tells the cluster when that has changed.

A laptop that goes elsewhere is found by what it sends (`failover.net.paths`). The cluster's directory is for
those that are away meanwhile, for newcomers, and for the day on which all start again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

import trio

from failover.errors import FailoverError
from failover.ids import MemberId
from failover.net.addresses import ADDRESSES_MAX, Address
from failover.net.bucket import Bucket
from failover.net.endpoint import Transport, UdpTransport
from failover.net.peers import Peers
from failover.opening import Opened
from failover.records import MemberInfo, Moved
from failover.replica import Replica

LOOK_S = 5.0
MOVED_AGAIN_S = 1.0
"""What could not be announced is announced again after this long, as far as there may be more of them:"""
MOVED_PER_S, MOVED_BURST = 1 / 60, 6.0
"""Each is an entry of everybody's log. Addresses that change all the time are told once a minute."""
ANNOUNCE_S = 5.0
"""Who waits for a host meanwhile looks around again: it may be the new address that makes one reachable."""
OUTSIDE_STEADY_S = 10.0
"""How the others see this member is told once it has been the same for this long: some routers change it."""


class Whereabouts:
    """See the module's docstring."""

    def __init__(
        self, opened: Opened, transport: Transport, peers: Peers, replica: Replica, clock: Callable[[], float]
    ) -> None:
        self._opened = opened
        self._id: MemberId = opened.identity.member
        self._transport = transport
        self._peers = peers
        self._replica = replica
        self._clock = clock
        self._local = tuple(transport.local_addresses)
        self._outside: Address | None = None
        self._outside_seen: tuple[Address | None, float] = (None, 0.0)
        self._announcements = Bucket(MOVED_PER_S, MOVED_BURST, clock())

    def info(self) -> MemberInfo:
        """What to say of this member: the addresses that people gave, its own, and how others see it."""
        local = list(map(str, self._local))
        outside = [str(self._outside)] if self._outside is not None else []
        # A ticket has room for few: one for those at home, one for those elsewhere come first.
        addresses = dict.fromkeys((*self._opened.given, *local[:1], *outside, *local[1:]))
        return replace(self._opened.info, addresses=tuple(addresses)[:ADDRESSES_MAX])

    async def keep_known(
        self, announce: Callable[[Moved], Awaitable[bytes]], turned: Callable[[], Awaitable[None]]
    ) -> NoReturn:
        """Look, and announce what is new."""
        while True:
            directory = self._replica.directory
            if directory is None or self._id not in directory.members:
                await turned()
                continue
            info = self.info()
            if directory.members[self._id] != info and self._announcements.take(self._clock()):
                with suppress(FailoverError), trio.move_on_after(ANNOUNCE_S):
                    await announce(Moved(info))
                await trio.sleep(MOVED_AGAIN_S)
            else:
                await trio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        now, local = self._clock(), await _own_addresses(self._transport)
        if local != self._local:
            self._local = local
            self._peers.set_addresses(local, now)
        outside = self._peers.outside_address()
        if outside != self._outside_seen[0]:
            self._outside_seen = (outside, now)
        elif now - self._outside_seen[1] >= OUTSIDE_STEADY_S:
            self._outside = outside


async def _own_addresses(transport: Transport) -> tuple[Address, ...]:
    """Of the machine's interfaces; off the loop, since some systems take their time."""
    if isinstance(transport, UdpTransport):
        return await trio.to_thread.run_sync(lambda: tuple(transport.local_addresses))
    return tuple(transport.local_addresses)
