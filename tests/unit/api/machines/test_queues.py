"""Queues on whole members, in virtual time: given once, through losses, changes of host and restarts of takers."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from world import Air, Player, World, host_of, in_virtual_time, settled, until, voters

import failover
from failover.machines import Full, NotHeld, Queue, QueueMachine, use_queue

pytestmark = pytest.mark.trio(run=in_virtual_time)

HOLD_S = 6.0


class Desk:
    """A queue in its own task, so that it can be left, or lost with its process."""

    def __init__(self, nursery: trio.Nursery, player: Player) -> None:
        self._nursery = nursery
        self.player = player
        self.queue: Queue
        self._leave, self._left = trio.Event(), trio.Event()

    async def open(self) -> Queue:
        await self._nursery.start(self._live)
        return self.queue

    async def _live(self, task_status: trio.TaskStatus) -> None:
        async with use_queue(self.player.member, hold_s=HOLD_S) as self.queue:
            task_status.started()
            await self._leave.wait()
        self._left.set()

    async def leave(self) -> None:
        self._leave.set()
        await self._left.wait()


async def desks(
    world: World, nursery: trio.Nursery, size: int, **options: Any
) -> tuple[list[Player], list[Queue]]:
    """A cluster whose members have a queue each."""
    players = [await world.open(found=True, machine=QueueMachine(), **options)]
    await until(lambda: players[0].member.is_host)
    for _ in range(size - 1):
        ticket = await players[0].member.invite()
        players.append(await world.open(ticket=ticket, machine=QueueMachine(), **options))
    await until(lambda: voters(players[0]) == size)
    await settled(players)
    return players, [await Desk(nursery, player).open() for player in players]


async def test_items_come_in_order_each_to_one_taker(world, nursery):
    players, queues = await desks(world, nursery, 3)
    got: list[int] = []

    async def work(queue):
        while True:
            async with await queue.get("jobs") as item:
                got.append(item.value)

    for queue in queues:
        nursery.start_soon(work, queue)
    numbers = [await queues[turn % 3].put("jobs", turn) for turn in range(60)]
    await until(lambda: len(got) == 60)
    assert numbers == sorted(numbers)
    assert sorted(got) == list(range(60))
    await until(lambda: queues[0].picture.held_count == 0)
    await settled(players)
    nursery.cancel_scope.cancel()


async def test_one_taker_gets_a_topic_in_the_order_in_which_it_was_put(world, nursery):
    _, (one, two) = await desks(world, nursery, 2)
    for turn in range(10):
        await one.put("a", turn)
        await one.put("b", -turn)
    assert [(await two.get("a")).value for _ in range(10)] == list(range(10))
    assert (two.picture.waiting("a"), two.picture.waiting("b"), two.picture.held_count) == (0, 10, 10)
    nursery.cancel_scope.cancel()


async def test_a_get_waits_through_a_change_of_host(nursery):
    world = World(nursery, Air(loss=0.05, doubled=0.1))
    players, queues = await desks(world, nursery, 3)
    got = []

    async def work():
        got.append((await queues[1].get("jobs")).value)

    nursery.start_soon(work)
    await trio.sleep(1)
    host = host_of(players)
    assert host is players[0]
    world.air.cut.add(host.address)
    await until(lambda: host_of(players[1:]))
    assert got == []
    await queues[2].put("jobs", "late", timeout=60)
    await until(lambda: got == ["late"])
    nursery.cancel_scope.cancel()


async def test_nothing_is_given_twice_or_lost_while_hosts_are_cut_off(nursery):
    world = World(nursery, Air(loss=0.05, doubled=0.1))
    players, queues = await desks(world, nursery, 3)
    got: list[int] = []
    count = 80

    async def work(queue):
        while True:
            item = await queue.get("jobs")
            got.append(item.value)
            await item.done()

    async def put():
        for number in range(count):
            await queues[number % 3].put("jobs", number, timeout=120)
            await trio.sleep(0.05)

    for queue in queues:
        nursery.start_soon(work, queue)
    async with trio.open_nursery() as putting:
        putting.start_soon(put)
        for _ in range(3):
            await trio.sleep(1)
            await until(lambda: host_of(players))
            host = host_of(players)
            world.air.cut.add(host.address)
            others = [player for player in players if player is not host]
            await until(lambda others=others: host_of(others))
            await trio.sleep(0.3)
            world.air.cut.clear()
    await until(lambda: len(got) >= count)
    await settled(players)
    assert sorted(got) == list(range(count))
    nursery.cancel_scope.cancel()


async def test_a_get_that_is_cancelled_at_any_moment_loses_nothing(world, nursery):
    _, (one, two) = await desks(world, nursery, 2)
    got = []
    for number in range(60):
        await one.put("jobs", number)
        with trio.move_on_after(0.0002 * (number % 30)):
            got.append((await two.get("jobs")).value)
    assert 10 < len(got) < 60, "some are cancelled, some are not"
    while len(got) < 60:
        got.append((await one.get("jobs")).value)
    assert sorted(got) == list(range(60))
    with trio.move_on_after(5) as waiting:
        await one.get("jobs")
    assert waiting.cancelled_caught
    nursery.cancel_scope.cancel()


async def test_what_a_process_holds_is_its_own_for_as_long_as_it_lives(world, nursery):
    _, (one, two) = await desks(world, nursery, 2)
    await one.put("jobs", "slow")
    item = await two.get("jobs")
    with trio.move_on_after(10 * HOLD_S) as waiting:
        await one.get("jobs")
    assert waiting.cancelled_caught
    assert item.is_held
    await item.done()
    assert not item.is_held
    with pytest.raises(NotHeld):
        await item.done()
    nursery.cancel_scope.cancel()


async def test_what_a_process_held_that_fell_silent_is_given_out_again_and_it_hears_so(world, nursery):
    players, (one, two, three) = await desks(world, nursery, 3)
    await one.put("jobs", 1)
    item = await three.get("jobs")
    world.air.cut.add(players[2].address)
    begun = trio.current_time()
    again = await two.get("jobs")
    assert again.number == item.number
    assert HOLD_S - 1 < trio.current_time() - begun < HOLD_S + 3
    world.air.cut.clear()
    with pytest.raises(NotHeld):
        await item.done()
    assert not item.is_held
    await again.done()
    await three.put("jobs", 2)
    assert (await three.get("jobs")).value == 2, "it takes part again by itself"
    nursery.cancel_scope.cancel()


async def test_what_a_member_held_that_was_removed_is_given_out_at_once(world, nursery):
    players, (one, two, three) = await desks(world, nursery, 3)
    await one.put("jobs", 1)
    await three.get("jobs")
    begun = trio.current_time()
    await players[0].member.remove(players[2].member.id)
    assert (await two.get("jobs")).value == 1
    assert trio.current_time() - begun < 2 < HOLD_S
    nursery.cancel_scope.cancel()


async def test_what_a_process_held_that_left_its_queue_is_given_out_at_once(world, nursery):
    players, _ = await desks(world, nursery, 1)
    one = players[0].member
    with pytest.raises(failover.UsageError, match="in use"):
        async with use_queue(one):
            pass
    other = await world.open(ticket=await one.invite(), machine=QueueMachine())
    desk = Desk(nursery, other)
    queue = await desk.open()
    waiting = []

    async def wait_outside():
        with pytest.raises(failover.Closed):
            await queue.get("other")
        waiting.append("ended")

    nursery.start_soon(wait_outside)
    await queue.put("jobs", 1)
    await queue.get("jobs")
    await desk.leave()
    with pytest.raises(failover.Closed):
        await queue.get("jobs")
    await until(lambda: waiting == ["ended"])
    async with use_queue(other.member) as again:
        assert (await again.get("jobs")).value == 1
    nursery.cancel_scope.cancel()


async def test_a_get_that_waits_for_an_answer_when_its_member_closes_is_told(world, nursery):
    players, (one, two) = await desks(world, nursery, 2)
    await one.put("jobs", 1)
    await until(lambda: two.picture.waiting("jobs"))
    told = []

    async def get():
        with pytest.raises(failover.Closed):
            await two.get("jobs")
        told.append(1)

    world.air.cut.add(players[0].address)
    nursery.start_soon(get)
    await trio.sleep(0.5)
    await players[1].close()
    await until(lambda: told)
    nursery.cancel_scope.cancel()


async def test_a_taker_that_restarts_has_what_it_held_given_out_again_at_once(world, nursery):
    players, (one, _) = await desks(world, nursery, 2)
    stored = failover.MemoryStorage()
    third = await world.open(ticket=await players[0].member.invite(), machine=QueueMachine(), storage=stored)
    await one.put("jobs", 1)
    async with AsyncExitStack() as stack:
        queue = await stack.enter_async_context(use_queue(third.member, hold_s=3_600))
        item = await queue.get("jobs")
        world.air.cut.add(third.address)  # it says no goodbye
        await third.close()
    await until(lambda: one.picture.holds(item._taker, item.number))
    again = await world.open(machine=QueueMachine(), storage=stored)
    async with use_queue(again.member):
        begun = trio.current_time()
        assert (await one.get("jobs")).number == item.number
        assert trio.current_time() - begun < 3
    nursery.cancel_scope.cancel()


async def test_a_block_that_raises_gives_its_item_back(world, nursery):
    _, (one,) = await desks(world, nursery, 1)
    await one.put("jobs", 1)
    with pytest.raises(ValueError, match="broken"):
        async with await one.get("jobs") as item:
            raise ValueError("broken")
    with pytest.raises(NotHeld):
        await item.done()
    again = await one.get("jobs")
    assert (again.number, again.value) == (item.number, 1)
    with pytest.raises(NotHeld):
        await item.give_back()
    assert again.is_held
    nursery.cancel_scope.cancel()


async def test_a_give_back_that_is_cancelled_happens_all_the_same(world, nursery):
    _, (one, two) = await desks(world, nursery, 2)
    for number in range(10):
        await one.put("jobs", number)
        item = await two.get("jobs")
        with trio.move_on_after(0.0002 * number):
            await item.give_back()
        assert (await one.get("jobs")).number == item.number
    nursery.cancel_scope.cancel()


async def test_what_is_too_large_or_does_not_fit_is_said(world, nursery):
    player = await world.open(found=True, machine=QueueMachine(size_max=130_000))
    async with use_queue(player.member) as queue:
        for topic, value in (("t" * 256, 1), (1, 1), ("t", bytes(60_001)), ("t", {1, 2}), ("\ud800", 1)):
            with pytest.raises(failover.UsageError):
                await queue.put(topic, value)
        for _ in range(2):
            await queue.put("t", bytes(59_000))
        with pytest.raises(Full):
            await queue.put("t", bytes(59_000))
        await (await queue.get("t")).done()
        await queue.put("t", bytes(59_000))
        assert queue.picture.topics == ("t",)
    for hold_s in (0.5, 3_601):
        with pytest.raises(failover.UsageError):
            async with use_queue(player.member, hold_s=hold_s):
                pass
    nursery.cancel_scope.cancel()
