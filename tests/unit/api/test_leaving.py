"""Everybody goes, one after another, in clusters of all sizes; nobody goes for being silent."""

from __future__ import annotations

import pytest
import trio
from world import Player, host_of, in_virtual_time, settled, until, voters

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)

ONE_AFTER_ANOTHER_S = 2.0


def votes_among(members: int) -> int:
    """How many of so many vote, once all is well."""
    return members if members < 3 else min(5, members - 1 | 1)


async def goes(world, player: Player, others: list[Player]) -> None:
    """It leaves; the others go on, and say who they are."""
    began = trio.current_time()
    await player.member.leave()
    assert trio.current_time() - began < ONE_AFTER_ANOTHER_S
    await player.close()
    await settled(others)
    assert [info.member for info in others[0].member.status().members] == sorted(p.member.id for p in others)
    await until(lambda: voters(others[0]) == votes_among(len(others)))
    count = len(others[-1].machine.commands)
    assert await others[-1].member.request(b"go on") == b"%d" % count


@pytest.mark.parametrize("who", ["the host", "another"])
@pytest.mark.parametrize("size", range(2, 11))
async def test_all_leave_but_one_and_play_goes_on_each_time(world, size, who):
    players = await world.cluster(size)
    while len(players) > 1:
        host = host_of(players)
        leaving = host if who == "the host" else next(player for player in players if player is not host)
        players.remove(leaving)
        await goes(world, leaving, players)
    with pytest.raises(failover.Refused, match="the only voter"):
        await players[0].member.leave()
    assert await players[0].member.request(b"alone") == b"%d" % (size - 1)
    await players[0].close()


@pytest.mark.parametrize("leaving", [3, 4])
async def test_a_ticket_outlives_three_who_leave_and_a_newcomer_hears_that_four_are_too_many(world, leaving):
    players = await world.cluster(6)
    ticket = await players[-1].member.invite(uses=8)
    for _ in range(leaving):
        await goes(world, players.pop(0), players)
    if leaving == 3:
        players.append(await world.open(ticket=ticket))
    else:
        with pytest.raises(failover.Unreachable, match=r"nobody answered at .*more than three have left"):
            await world.open(ticket=ticket)
    for player in players:
        await player.close()


async def test_a_newcomer_hears_that_a_removal_may_have_closed_its_ticket(world):
    players = await world.cluster(3)
    ticket = await players[0].member.invite()
    host = host_of(players)
    other = next(player for player in players if player is not host)
    await host.member.remove(other.member.id)
    await until(lambda: other.events(failover.Stopped))
    with pytest.raises(failover.Unreachable, match=r"nobody answered at .*a member was removed"):
        await world.open(ticket=ticket)
    for player in players:
        await player.close()


@pytest.mark.parametrize("size", range(2, 11))
async def test_the_host_removes_all_others_one_after_another(world, size):
    players = await world.cluster(size)
    host = host_of(players)
    for other in [player for player in players if player is not host]:
        await host.member.remove(other.member.id)
        await until(lambda other=other: other.events(failover.Stopped))
        await other.close()
        await until(lambda: host.member.is_host)
        await host.member.request(b"go on")
    assert [info.member for info in host.member.status().members] == [host.member.id]
    assert host.machine.commands == [b"go on"] * (size - 1)
    await host.close()


@pytest.mark.parametrize("size", range(2, 11))
async def test_nobody_is_removed_by_silence(world, size):
    players = await world.cluster(size)
    silent = next(player for player in players if player is not host_of(players))
    world.air.cut.add(silent.address)
    await trio.sleep(20)  # the others have given its vote to somebody else by then
    world.air.cut.discard(silent.address)
    await settled(players)
    assert len(players[0].member.status().members) == size
    assert not any(player.events(failover.MemberLeft) for player in players)
    assert await silent.member.request(b"back") == b"0"
    for player in players:
        await player.close()
