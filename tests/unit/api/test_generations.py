"""Going on without a quorum: what is told before, what becomes of both sides, and that they never mix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from world import Air, Player, World, host_of, in_virtual_time, settled, until, voters

import failover
from failover.events import GenerationBegan, GenerationMet, MemberJoined, QuorumLost, Rejoined, Stopped
from failover.storage.memory import MemoryStorage

pytestmark = pytest.mark.trio(run=in_virtual_time)


async def pair(world: World, first: failover.Storage | str | None, second: failover.Storage | str) -> list[Player]:
    """Two members with these storages; the first hosts."""
    founder = await world.open(storage=first, found=True, name="A")
    await until(lambda: founder.member.is_host)
    ticket = await founder.member.invite()
    other = await world.open(storage=second, ticket=ticket, name="B")
    await until(lambda: voters(founder) == 2)
    await settled([founder, other])
    return [founder, other]


async def crash(player: Player) -> None:
    """Gone without a word."""
    player.member._running.peers._context.transmit = lambda data, address: None
    await player.close()


async def lost(player: Player) -> None:
    """It knows that it has no quorum."""
    await until(lambda: player.events(QuorumLost))


async def go_alone(world: World, player: Player) -> None:
    """It is cut off, and goes on without the others."""
    world.air.cut.add(player.address)
    await lost(player)
    await player.member.continue_alone()


async def test_who_is_left_of_two_goes_on_alone_with_all_that_it_has() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        host, other = await pair(world, MemoryStorage(), MemoryStorage())
        await other.member.request(b"before")
        await settled([host, other])
        await crash(host)
        await lost(other)
        before = other.member.status().generation
        loss = await other.member.continue_alone()
        assert (loss.entries, loss.left_behind) == (0, (host.member.id,))
        assert other.member.is_host and other.member.epoch is not None
        assert other.member.epoch.generation == other.member.status().generation != before
        assert await other.member.request(b"after") == b"1"
        assert other.machine.commands == [b"before", b"after"]
        [began] = other.events(GenerationBegan)
        assert (began.parent, began.generation) == (before, other.member.epoch.generation)
        assert [info.member for info in other.member.status().members] == [other.member.id]
        assert other.member.status().left_behind == (host.member.id,)
        await other.close()


async def test_nobody_goes_on_alone_while_there_is_a_host_or_may_be_one() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        host, other = await pair(world, MemoryStorage(), MemoryStorage())
        for player in (host, other):
            with pytest.raises(failover.Refused, match="there is a host"):
                await player.member.continue_alone(accept_loss=True)
        world.air.cut.add(host.address)
        await until(lambda: other.member.status().host is None)
        with pytest.raises(failover.Refused, match="wait for QuorumLost"):
            await other.member.continue_alone(accept_loss=True)
        for player in (host, other):
            await player.close()


async def test_who_returns_is_told_and_comes_along_as_the_member_that_it_was() -> None:
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), MemoryStorage()
        host, other = await pair(world, storage, MemoryStorage())
        await other.member.request(b"1")
        await settled([host, other])
        await crash(host)
        await lost(other)
        await other.member.continue_alone()
        await other.member.request(b"2")
        back = await world.open(storage=storage)
        await until(lambda: back.events(Stopped))
        [met] = back.events(GenerationMet)
        assert met.member == other.member.id and met.has_host
        assert isinstance(back.events(Stopped)[0].error, failover.Superseded)
        await back.close()
        again = await world.open(storage=storage)
        [rejoined] = again.events(Rejoined)
        assert (rejoined.left, rejoined.generation, rejoined.kept_entries) == (
            back.member.status().generation,
            met.generation,
            0,
        )
        assert again.member.id == host.member.id
        await settled([again, other])
        assert again.machine.commands == [b"1", b"2"]
        await until(lambda: voters(other) == 2)
        assert [event.member for event in other.events(MemberJoined)][-1] == host.member.id
        assert other.member.status().left_behind == ()
        assert await again.member.request(b"3") == b"2"
        for player in (again, other):
            await player.close()


async def test_what_only_the_crashed_host_had_is_kept_in_a_file_and_never_applied(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        world, path = World(nursery, Air()), tmp_path / "a.db"
        host, other = await pair(world, str(path), MemoryStorage())
        await other.member.request(b"shared")
        await settled([host, other])
        world.air.cut.add(other.address)
        async with trio.open_nursery() as asking:
            asking.start_soon(_ask_in_vain, host, b"only here")
            await trio.sleep(0.03)
            await crash(host)
        world.air.cut.discard(other.address)
        await lost(other)
        await other.member.continue_alone()
        back = await world.open(storage=str(path))
        await until(lambda: back.events(Stopped))
        await back.close()
        again = await world.open(storage=str(path))
        [rejoined] = again.events(Rejoined)
        assert rejoined.kept_entries == 1
        [kept] = kept_lines(rejoined.kept_in)
        assert kept["command"] == "b25seSBoZXJl" and kept["sender"] == host.member.id.hex()
        await settled([again, other])
        assert again.machine.commands == other.machine.commands == [b"shared"]
        for player in (again, other):
            await player.close()


def kept_lines(path: str) -> list[dict[str, object]]:
    """What the file holds, which is for its owner's eyes."""
    assert Path(path).stat().st_mode & 0o077 == 0
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


async def _ask_in_vain(player: Player, body: bytes) -> None:
    with pytest.raises(failover.OutcomeUnknown):
        await player.member.request(body)


async def test_two_that_both_went_on_are_told_and_never_mix_until_one_is_given_up() -> None:
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), MemoryStorage()
        host, other = await pair(world, MemoryStorage(), storage)
        await other.member.request(b"shared")
        await settled([host, other])
        world.air.cut |= {host.address, other.address}
        for player in (host, other):
            await lost(player)
            await player.member.continue_alone()
            await player.member.request(player.member.id[:4])
        world.air.cut.clear()
        for player in (host, other):
            await until(lambda player=player: player.events(GenerationMet))
        assert all(event.has_host for player in (host, other) for event in player.events(GenerationMet))
        await trio.sleep(30)
        assert host.member.is_host and other.member.is_host, "each in its own generation"
        assert host.machine.commands == [b"shared", host.member.id[:4]]
        assert other.machine.commands == [b"shared", other.member.id[:4]]
        theirs = other.events(GenerationMet)[0].generation
        with pytest.raises(failover.UsageError):
            other.member.rejoin(failover.Generation(b"x" * 16))
        other.member.rejoin(theirs)
        await until(lambda: other.events(Stopped))
        await other.close()
        again = await world.open(storage=storage)
        [rejoined] = again.events(Rejoined)
        assert rejoined.kept_entries == 1
        await settled([again, host])
        assert again.machine.commands == host.machine.commands
        for player in (again, host):
            await player.close()


async def test_a_known_loss_must_be_accepted() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        host, other = await pair(world, MemoryStorage(), MemoryStorage())
        other.member._core.following.commit_heard = failover.LogIndex(other.member.status().last_log_index + 3)
        world.air.cut.add(host.address)
        await lost(other)
        assert other.member.loss().entries == 3
        with pytest.raises(failover.LossNotAccepted, match="3 accepted commands would be lost"):
            await other.member.continue_alone()
        assert other.member.status().host is None
        await other.member.continue_alone(accept_loss=True)
        assert other.member.is_host
        for player in (host, other):
            await player.close()


async def test_an_answered_request_whose_entry_never_came_is_a_known_loss() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        host, other = await pair(world, MemoryStorage(), MemoryStorage())
        other.member._running.requests._told.append(1_000)
        world.air.cut.add(host.address)
        await lost(other)
        assert other.member.loss().own_requests == 1
        for player in (host, other):
            await player.close()


async def test_a_crash_right_after_the_decision_leaves_one_generation_or_the_other() -> None:
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), MemoryStorage()
        host, other = await pair(world, MemoryStorage(), storage)
        await other.member.request(b"1")
        await settled([host, other])
        world.air.cut.add(host.address)
        await lost(other)
        other.member._life.generations.begin(accept_loss=False)
        other.member._running.driver.round()  # written; nothing of it is applied
        other.member._running.driver.stop()
        await crash(other)
        world.air.cut.clear()  # the old host is back, and would lead the old generation with it
        back = await world.open(storage=storage)
        await until(lambda: back.member.is_host)
        assert back.machine.commands == [b"1"]
        await until(lambda: host.events(Stopped))
        assert isinstance(host.events(Stopped)[0].error, failover.Superseded)
        for player in (back, host):
            await player.close()


async def test_those_with_a_quorum_go_on_and_are_told_of_who_left() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(3)
        alone = players[2]
        await go_alone(world, alone)
        world.air.cut.clear()
        await until(lambda: all(player.events(GenerationMet) for player in players))
        await trio.sleep(5)
        assert not any(player.events(Stopped) for player in players)
        assert await players[1].member.request(b"three") == b"0"
        assert await alone.member.request(b"one") == b"0"
        assert alone.machine.commands == [b"one"]
        for player in players:
            await player.close()


async def test_a_member_that_may_not_rejoin_by_itself_waits_for_the_word() -> None:
    async with trio.open_nursery() as nursery:
        world, storage = World(nursery, Air()), MemoryStorage()
        host, other = await pair(world, storage, MemoryStorage())
        await crash(host)
        await lost(other)
        await other.member.continue_alone()
        back = await world.open(storage=storage, settings=failover.Settings(rejoins=False))
        await until(lambda: back.events(GenerationMet))
        await trio.sleep(10)
        assert not back.events(Stopped)
        back.member.rejoin(back.events(GenerationMet)[0].generation)
        await until(lambda: back.events(Stopped))
        for player in (back, other):
            await player.close()


async def test_who_went_alone_cannot_come_back_to_where_its_vote_counts() -> None:
    """With an empty log and no memory of its votes it would help a second leader in one term."""
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(3)
        alone = players[2]
        before = alone.member.status().generation
        await go_alone(world, alone)
        world.air.cut.clear()
        await until(lambda: alone.events(GenerationMet))
        assert alone.events(GenerationMet)[0].generation == before
        with pytest.raises(failover.Refused, match="counts there still"):
            alone.member.rejoin(before)
        await alone.member.request(b"goes on")
        for player in players:
            await player.close()


async def test_a_decision_to_rejoin_is_tried_once_and_gives_up_nothing_that_came_later() -> None:
    async with trio.open_nursery() as nursery:
        world, storages = World(nursery, Air()), [MemoryStorage(), MemoryStorage()]
        host, other = await pair(world, *storages)
        await crash(other)
        await lost(host)
        await host.member.continue_alone()
        back = await world.open(storage=storages[1])
        await until(lambda: back.events(Stopped))
        await back.close()
        world.air.cut.add(host.address)  # whom it wanted to join is away
        resumed = await world.open(storage=storages[1])
        assert not resumed.events(Rejoined)
        await lost(resumed)
        await resumed.member.continue_alone()
        await resumed.member.request(b"days of play")
        await resumed.close()
        world.air.cut.clear()
        again = await world.open(storage=storages[1])
        await until(lambda: again.events(GenerationMet))
        await trio.sleep(10)
        assert not again.events(Rejoined, Stopped)
        assert again.machine.commands == [b"days of play"]
        for player in (again, host):
            await player.close()


async def test_what_a_quorum_accepted_since_is_given_up_by_nobody_on_its_own() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        players = await world.cluster(3)
        alone = host_of(players)
        assert alone is not None
        others = [player for player in players if player is not alone]
        await go_alone(world, alone)
        await others[0].member.request(b"accepted by two")
        await settled(others)
        world.air.cut |= {others[1].address}
        world.air.cut.discard(alone.address)
        await until(lambda: others[0].events(GenerationMet), 120)
        await trio.sleep(10)
        assert others[0].events(QuorumLost) and not others[0].events(Stopped)
        world.air.cut.clear()
        await settled(others)
        assert others[1].machine.commands == [b"accepted by two"]
        for player in players:
            await player.close()


async def test_deciding_twice_founds_one_generation() -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, Air())
        host, other = await pair(world, MemoryStorage(), MemoryStorage())
        await crash(host)
        await lost(other)
        other.member._life.generations.begin(accept_loss=False)
        with pytest.raises(failover.Refused, match="does so already"):
            await other.member.continue_alone()
        await until(lambda: other.member.is_host)
        assert len(other.events(GenerationBegan)) == 1
        await other.close()
