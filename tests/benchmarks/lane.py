"""The unreliable lane: what one position costs its sender and its receiver, and what sixty a second cost ten."""

from __future__ import annotations

import time
from collections import deque

import trio

import failover
from failover.net.addresses import Address
from tests.benchmarks.bench import Bench
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.cost import cpu
from tests.benchmarks.machine import Store
from tests.benchmarks.report import Row, at_most

PACE_PER_S = 60
POSITION_SIZE = 24
MEMBERS = 10
GENEROUS = failover.Settings(unreliable_peer_bytes_per_s=125_000_000, unreliable_bytes_per_s=125_000_000)
"""So that the measured ones leave, however fast they come."""


class Wire:
    """One end of a network in this process: what one sends, the other has at once."""

    def __init__(self, number: int) -> None:
        self.address = Address(f"10.0.0.{number}", 1)
        self.other: Wire
        self.queue: deque[bytes] = deque()
        self.arrived = trio.Event()

    def send(self, data: bytes, address: Address) -> None:
        """See `Transport.send`."""
        self.other.queue.append(data)
        self.other.arrived.set()

    def receive_nowait(self) -> tuple[bytes, Address] | None:
        """See `Transport.receive_nowait`."""
        return (self.queue.popleft(), self.other.address) if self.queue else None

    async def wait_readable(self) -> None:
        """See `Transport.wait_readable`."""
        if not self.queue:
            self.arrived = trio.Event()
        await self.arrived.wait()

    def close(self) -> None:
        """Nothing is held."""

    @property
    def local_addresses(self) -> tuple[Address, ...]:
        """The made-up one."""
        return (self.address,)


async def _one_at_a_time(count: int) -> tuple[float, float]:
    """Seconds of processor time for a sending, and for taking in what came alone."""
    here, there = Wire(1), Wire(2)
    here.other, there.other = there, here
    sending = receiving = 0.0
    async with (
        failover.open_member(Store(), found=True, transport=here, settings=GENEROUS) as one,
        failover.open_member(Store(), ticket=await one.invite(), transport=there, settings=GENEROUS) as two,
    ):
        body, clock = bytes(POSITION_SIZE), time.thread_time
        await trio.sleep(0.5)
        two.poll_unreliable()
        for _ in range(count):
            began = clock()
            one.send_unreliable(body, two.id)
            sent = clock()
            while not two.poll_unreliable():
                await trio.lowlevel.checkpoint()
            sending += sent - began
            receiving += clock() - sent
    return sending / count, receiving / count


def lane(bench: Bench) -> list[Row]:
    """One position alone, and ten members that tell the host sixty times a second, which tells all."""
    bench.say("positions over the unreliable lane, one at a time")
    sending, receiving = trio.run(_one_at_a_time, bench.sizes.latencies)
    bench.say(f"ten members, {PACE_PER_S} positions a second each")
    with Cluster(MEMBERS, None) as cluster:
        host, seconds = cluster.host, bench.sizes.paced_s
        term, idle = host.ask("status")["term"], [host.ask("usage")]
        time.sleep(seconds)
        idle.append(host.ask("usage"))
        numbers = {each: each.send("positions", per_s=PACE_PER_S, for_s=seconds) for each in cluster.members}
        before = {member: member.ask("usage") for member in cluster.members}
        heard = [member.wait(number, seconds + 20)["heard"] for member, number in numbers.items()]
        after = {member: member.ask("usage") for member in cluster.members}
        changes = max(member.ask("status")["term"] for member in cluster.members) - term
    others = [cpu(before[member], after[member]) for member in before if member is not host]
    name = f"{MEMBERS} members, {PACE_PER_S} positions a second each"
    return [
        Row(name="lane: sending a position, processor time", value=sending * 1e6, unit="us"),
        Row(name="lane: receiving a position that comes alone", value=receiving * 1e6, unit="us"),
        Row(name=f"{name}: CPU of the host", value=cpu(before[host], after[host]), unit="%"),
        Row(name=f"{name}: of that without any positions", value=cpu(*idle), unit="%"),
        Row(name=f"{name}: CPU of the others, mean", value=sum(others) / len(others), unit="%"),
        Row(name=f"{name}: told by the host, arrived, least", value=min(heard) / seconds, unit="1/s"),
        Row(name=f"{name}: changes of host", value=changes, unit="", goal=at_most(0)),
    ]
