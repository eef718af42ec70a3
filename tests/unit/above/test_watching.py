"""What members notice about each other."""

from __future__ import annotations

import os

import trio
from tally import Tally, member, voters

import failover


class Dicey(Tally):
    """A machine that is not deterministic."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        return super().apply(command + os.urandom(4).hex().encode(), context)


async def hear(who: failover.Member, kind: type[failover.Event]) -> failover.Event:
    with trio.fail_after(5):
        async for event in who.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the events have ended")


async def test_a_machine_that_is_not_deterministic_is_found_out_on_both_sides() -> None:
    settings = failover.Settings(digest_every=4)
    async with (
        member(Dicey(), found=True, settings=settings) as founder,
        member(Dicey(), ticket=await founder.invite(), settings=settings) as other,
    ):
        await voters(2, founder, other)
        for _ in range(8):
            await other.request(b"a")
        heard = await hear(other, failover.StateDiverged)
        assert isinstance(heard, failover.StateDiverged) and heard.member == founder.id
        heard = await hear(founder, failover.StateDiverged)
        assert isinstance(heard, failover.StateDiverged) and heard.member == other.id


async def test_equal_machines_are_never_said_to_differ() -> None:
    settings = failover.Settings(digest_every=2)
    async with (
        member(found=True, settings=settings) as founder,
        member(ticket=await founder.invite(), settings=settings) as other,
    ):
        await voters(2, founder, other)
        for _ in range(20):
            await other.request(b"a")
        await other.read_barrier()
        heard = [*founder.poll(), *other.poll()]
        assert not [event for event in heard if isinstance(event, failover.StateDiverged)]


async def test_leaving_the_loop_over_events_loses_none() -> None:
    async with member(found=True) as founder:
        await founder.request(b"a")
        await hear(founder, failover.HostChanged)
        await hear(founder, failover.BecomeHost)


async def test_a_wake_that_raises_stops_nothing() -> None:
    def wake() -> None:
        raise RuntimeError("the window is closed")

    async with member(found=True, wake=wake) as alone:
        assert await alone.request(b"a", timeout=2) == b"1"
        assert await alone.request(b"b", timeout=2) == b"2"
