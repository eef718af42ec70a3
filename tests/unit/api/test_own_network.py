"""A game with its own network: it moves bytes between members, and knows nothing of addresses."""

from __future__ import annotations

from collections import defaultdict, deque

import trio
from world import Ledger

import failover


class Exchange:
    """All members of this test, by id; what is sent to an id waits there."""

    def __init__(self) -> None:
        self.waiting = defaultdict(deque)
        self.arrived = defaultdict(trio.Event)


class Line:
    """One member's end: learns its own id when the first bytes leave."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.own = None

    def send(self, member, data) -> None:
        self.exchange.waiting[member].append((self.own(), data))
        self.exchange.arrived[member].set()

    def receive(self):
        queue = self.exchange.waiting[self.own()]
        return queue.popleft() if queue else None

    async def wait(self) -> None:
        if not self.exchange.waiting[self.own()]:
            self.exchange.arrived[self.own()] = trio.Event()
            await self.exchange.arrived[self.own()].wait()


def transport(exchange: Exchange) -> failover.MemberTransport:
    line = Line(exchange)
    made = failover.MemberTransport(line)
    line.own = lambda: made.own
    return made


async def test_a_cluster_lives_on_a_network_that_knows_members_only():
    exchange = Exchange()
    async with (
        failover.open_member(Ledger(), found=True, transport=transport(exchange)) as one,
        failover.open_member(Ledger(), ticket=await one.invite(), transport=transport(exchange)) as two,
    ):
        with trio.fail_after(10):
            assert await two.request(b"x")
            await one.request(b"y")
            await two.read_barrier()
        assert two.state == one.state
