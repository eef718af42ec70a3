"""How soon a member knows that there is no quorum, and that there is one again."""

from __future__ import annotations

import pytest
import trio
from world import Air, Player, World, host_of, in_virtual_time, settled, until

import failover
from failover.events import QuorumLost, QuorumRegained

pytestmark = pytest.mark.trio(run=in_virtual_time)

TIMING = failover.Timing()
PROMISE_S = TIMING.promise_s


async def heard_after(player: Player, kind: type, began: float) -> float:
    """How long it took this player to hear of it."""
    await until(lambda: player.events(kind))
    return trio.current_time() - began


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_a_host_hears_within_a_second_and_others_within_two_promises(size: int) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(size)
        host = host_of(players)
        assert host is not None
        began = trio.current_time()
        for player in players:
            world.air.cut.add(player.address)
        took: dict[str, float] = {}

        async def measure(player: Player) -> None:
            took[player.member.status().name] = await heard_after(player, QuorumLost, began)

        async with trio.open_nursery() as measuring:
            for player in players:
                measuring.start_soon(measure, player)
        of_host = took.pop(host.member.status().name)
        assert of_host <= 1.0
        # One promise, the places of those who stand before, and a round of asking that lasts another promise.
        assert max(took.values()) <= 2 * (PROMISE_S + size * TIMING.stagger_s)
        for player in players:
            [lost] = player.events(QuorumLost)
            assert (lost.reachable, lost.voters) == (1, size)
            with pytest.raises(failover.NotHost):
                await player.member.request(b"in vain", timeout=0.5)
        world.air.cut.clear()
        for player in players:
            await until(lambda player=player: player.events(QuorumRegained))
        await settled(players)
        for player in players:
            await player.close()


async def test_who_is_cut_off_alone_hears_it_and_comes_back_to_the_same_host() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(3)
        epoch = players[0].member.epoch
        world.air.cut.add(players[2].address)
        await until(lambda: players[2].events(QuorumLost))
        await trio.sleep(5)
        world.air.cut.clear()
        await until(lambda: players[2].events(QuorumRegained))
        assert players[0].member.epoch == epoch
        assert not any(player.events(QuorumLost) for player in players[:2])
        for player in players:
            await player.close()
