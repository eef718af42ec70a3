"""What a server function may do with its requests, and what it hears when its time is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from tally import Cuttable, member, until, voters

import failover


async def test_several_tasks_may_take_requests() -> None:
    async def serve(host: failover.Host) -> None:
        async def take_one() -> None:
            async for request in host.requests():
                await request.propose()
                return

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(take_one)
            await trio.sleep_forever()

    async with member(found=True, serve=serve) as alone:
        for number in (b"1", b"2", b"3"):
            assert await alone.request(number, timeout=2) == number


async def test_one_request_gets_one_answer() -> None:
    heard: list[bytes] = []

    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"propose":
                await request.propose()
            else:
                request.refuse("no")
            with pytest.raises(failover.UsageError):
                request.refuse("after all")
            with pytest.raises(failover.UsageError):
                host.propose(b"x", answering=request)
            heard.append(request.body)

    async with member(found=True, serve=serve) as alone:
        assert await alone.request(b"propose", timeout=2) == b"1"
        with pytest.raises(failover.Refused):
            await alone.request(b"refuse", timeout=2)
        assert alone.state == ("propose",)
    assert heard == [b"propose", b"refuse"]


async def test_a_cancelled_proposal_did_not_happen() -> None:
    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            if request.body == b"cancelled":
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await request.propose()
                request.refuse("cancelled")
            else:
                await request.propose()

    async with member(found=True, serve=serve) as alone:
        with pytest.raises(failover.Refused):
            await alone.request(b"cancelled", timeout=2)
        assert await alone.request(b"a", timeout=2) == b"1"


async def test_a_flood_that_waits_for_the_quorum_does_not_end_the_tenure() -> None:
    timing = failover.Timing(uncommitted_bytes=100_000)
    async with member(found=True, settings=failover.Settings(timing=timing)) as alone:
        await alone.request(b"first")
        epoch = alone.epoch
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(alone.request, b"x" * 60_000)
        assert alone.epoch == epoch and len(alone.state) == 41  # type: ignore[arg-type]


async def test_every_method_of_a_host_is_refused_from_the_end_of_the_lease_on() -> None:
    now = [0.0]
    kept: list[failover.Host] = []
    taken: list[failover.Request] = []

    async def serve(host: failover.Host) -> None:
        kept.append(host)
        async for request in host.requests():
            taken.append(request)

    def clock() -> float:
        return now[0] + trio.current_time()

    patient = failover.Settings.internet()  # a busy machine shall end no tenure here
    surroundings = failover.Surroundings(clock=clock)
    async with (
        member(found=True, serve=serve, settings=patient, surroundings=surroundings) as founder,
        member(ticket=await founder.invite()) as other,
        trio.open_nursery() as nursery,
    ):
        await voters(2, founder, other)
        nursery.start_soon(founder.request, b"a")
        await until(lambda: taken)
        host, request = kept[0], taken[0]
        host.propose(b"b")
        now[0] += 10.0  # as after a pause: nothing has told the member yet
        calls: list[Callable[[], object]] = [
            lambda: host.state,
            lambda: host.propose(b"c"),
            host.alive,
            lambda: request.refuse("no"),
        ]
        for call in calls:
            with pytest.raises(failover.NotHost):
                call()
        for wait in (lambda: host.commit(b"d"), request.propose, host.requests().__anext__):
            with pytest.raises(failover.NotHost):
                await wait()
        assert not host.is_running() and not founder.is_host
        nursery.cancel_scope.cancel()


async def test_a_failed_server_function_is_replaced_though_the_chosen_successor_went_silent() -> None:
    async def serve(host: failover.Host) -> None:
        async for request in host.requests():
            await request.propose()
            if request.body == b"fail":
                for _ in range(100):  # so that nobody is caught up
                    host.propose(b"n")
                raise RuntimeError("the server function")

    settings = failover.Settings(timing=failover.Timing(hand_over_s=0.2))
    wires = [Cuttable(), Cuttable()]
    async with (
        member(found=True, serve=serve, settings=settings) as founder,
        member(ticket=await founder.invite(), transport=wires[0], settings=settings) as one,
        member(ticket=await founder.invite(), transport=wires[1], settings=settings) as two,
    ):
        await voters(3, founder, one, two)
        chosen = max(one, two, key=lambda each: each.id)
        left = min(one, two, key=lambda each: each.id)
        wires[0 if chosen is one else 1].is_cut = True
        await founder.request(b"fail", timeout=2)
        # Of the hundred, which nobody waited for, those count that had reached the other voter.
        assert 2 <= int(await founder.request(b"a", timeout=4)) <= 102
        assert left.is_host
