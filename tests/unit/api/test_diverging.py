"""States that differ are told of, wherever the odd one is; a machine that raises stops its own member alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import trio
from world import Ledger, Player, World, host_of, in_virtual_time, settled, until, voters

import failover

pytestmark = pytest.mark.trio(run=in_virtual_time)

OFTEN = failover.Settings(digest_every=8)
ODD = b"odd"


class Odd(Ledger):
    """Goes its own way at one command."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        if command == ODD:
            self.commands.append(b"%d" % id(self))
        return super().apply(command, context)


async def three(world: World, *odd: int, settings: failover.Settings = OFTEN) -> list[Player]:
    """Three members, of which these go their own way; the first hosts."""
    machines: list[Ledger] = [Odd() if number in odd else Ledger() for number in range(3)]
    first = await world.open(found=True, machine=machines[0], settings=settings)
    await until(lambda: first.member.is_host)
    ticket = await first.member.invite(uses=2)
    players = [first]
    for machine in machines[1:]:
        players.append(await world.open(ticket=ticket, machine=machine, settings=settings))
    await until(lambda: voters(first) == 3)
    await settled(players)
    return players


async def ask(player: Player, count: int) -> None:
    for number in range(count):
        await player.member.request(b"%d" % number)


def diverged(player: Player) -> list[tuple[int, failover.MemberId]]:
    return [(event.index, event.member) for event in player.events(failover.StateDiverged)]


def next_comparison(player: Player) -> int:
    return (player.member.status().applied_index // OFTEN.digest_every + 1) * OFTEN.digest_every


async def test_a_follower_that_is_odd_hears_it_and_so_does_the_host(world):
    players = await three(world, 2)
    ids = [player.member.id for player in players]
    index = next_comparison(players[0])
    await players[1].member.request(ODD)
    await ask(players[1], OFTEN.digest_every)
    await trio.sleep(1)
    assert diverged(players[2])[0] == (index, ids[0])
    assert diverged(players[0])[0] == (index, ids[2])
    assert diverged(players[1]) == []


async def test_where_the_host_is_odd_all_others_hear_it(world):
    players = await three(world, 0)
    ids = [player.member.id for player in players]
    index = next_comparison(players[0])
    await players[1].member.request(ODD)
    await ask(players[1], OFTEN.digest_every)
    await trio.sleep(1)
    assert diverged(players[1])[0] == diverged(players[2])[0] == (index, ids[0])
    assert sorted(diverged(players[0])[:2]) == sorted((index, each) for each in ids[1:])


async def test_where_two_differ_both_hear_of_the_host(world):
    players = await three(world, 1, 2)
    ids = [player.member.id for player in players]
    index = next_comparison(players[0])
    await players[1].member.request(ODD)
    await ask(players[1], OFTEN.digest_every)
    await trio.sleep(1)
    assert diverged(players[1])[0] == diverged(players[2])[0] == (index, ids[0])
    assert sorted(diverged(players[0])[:2]) == sorted((index, each) for each in ids[1:])


async def test_a_difference_is_told_of_again_after_a_restart_and_after_a_change_of_host(world):
    storage = failover.MemoryStorage()
    players = await three(world)
    odd = await world.open(ticket=await players[0].member.invite(), machine=Odd(), settings=OFTEN, storage=storage)
    await settled([*players, odd])
    await players[1].member.request(ODD)
    await ask(players[1], OFTEN.digest_every)
    await until(lambda: diverged(odd))
    await odd.close()
    await players[0].member.hand_over()
    await until(lambda: (host_of(players) or players[0]) is not players[0])
    again = await world.open(machine=Odd(), settings=OFTEN, storage=storage)
    index = next_comparison(players[0])
    await ask(players[0], OFTEN.digest_every)
    host = host_of(players)
    assert host is not None
    await until(lambda: diverged(again))
    assert diverged(again)[-1][0] >= index
    assert diverged(again)[-1][1] == host.member.id


async def test_who_was_restored_from_the_snapshot_of_the_host_differs_with_the_host_from_none(world):
    """What to do about an odd member: it begins anew, from a snapshot."""
    timing = failover.Timing(snapshot_entries=16, kept_entries=0)
    settings = failover.Settings(digest_every=8, timing=timing)
    players = await three(world, 2, settings=settings)
    await players[1].member.request(ODD)
    await ask(players[1], 40)
    await until(lambda: diverged(players[2]))
    await players[2].member.leave()
    newcomer = await world.open(ticket=await players[0].member.invite(), machine=Odd(), settings=settings)
    assert newcomer.machine.restored
    await ask(players[1], 2 * OFTEN.digest_every)
    await settled([*players[:2], newcomer])
    assert diverged(newcomer) == []


class Raising(Ledger):
    """Raises in one of its methods from some moment on."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method, self.is_bad = method, False

    def _maybe(self, method: str) -> None:
        if self.is_bad and method == self.method:
            raise ValueError("out of order")

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        if command == b"poison":
            self.is_bad = True
        self._maybe("apply")
        return super().apply(command, context)

    def view(self) -> tuple[bytes, ...]:
        self._maybe("view")
        return super().view()

    def snapshot(self) -> Iterator[bytes]:
        self._maybe("snapshot")
        yield from super().snapshot()
        self._maybe("snapshot, later")

    def digest(self) -> bytes:
        self._maybe("digest")
        return super().digest()


SMALL = failover.Settings(digest_every=4, timing=failover.Timing(snapshot_entries=16, kept_entries=4))


@pytest.mark.parametrize("is_host", [False, True])
@pytest.mark.parametrize("method", ["apply", "view", "snapshot", "snapshot, later", "digest"])
async def test_a_machine_that_raises_stops_its_member_and_the_others_go_on(world, method, is_host):
    machines: list[Ledger] = [Ledger(), Ledger(), Ledger()]
    bad = machines[0 if is_host else 2] = Raising(method)
    players = [await world.open(found=True, machine=machines[0], settings=SMALL)]
    await until(lambda: players[0].member.is_host)
    ticket = await players[0].member.invite(uses=2)
    players += [await world.open(ticket=ticket, machine=each, settings=SMALL) for each in machines[1:]]
    await until(lambda: voters(players[0]) == 3)
    await settled(players)
    asker = players[1].member
    await asker.request(b"poison")
    await ask(players[1], 40)
    victim = next(player for player in players if player.machine is bad)
    await until(lambda: victim.events(failover.Stopped))
    error = victim.events(failover.Stopped)[0].error
    assert isinstance(error, failover.MachineFailed)
    assert error.method == method.partition(",")[0]
    assert isinstance(error, failover.ApplyFailed) == (method == "apply")
    assert isinstance(error.__cause__, ValueError)
    assert f" {error.index}: " in str(error)
    others = [player for player in players if player is not victim]
    poisoned = others[0].machine.commands.index(b"poison")
    assert error.index >= others[0].machine.contexts[poisoned].index
    assert await asker.request(b"after") == b"41"
    await settled(others)
    assert others[0].machine.commands == others[1].machine.commands


class Unrestorable(Ledger):
    """Cannot read what it wrote."""

    def restore(self, chunks: object) -> None:
        raise ValueError("another version")


async def test_a_machine_that_cannot_be_restored_from_a_peer_stops_its_member_and_the_others_go_on(world):
    players = [await world.open(found=True, settings=SMALL)]
    await until(lambda: players[0].member.is_host)
    await ask(players[0], 40)
    ticket = await players[0].member.invite()
    with pytest.raises(failover.MachineFailed, match="restore raised at log index") as caught:
        await world.open(ticket=ticket, machine=Unrestorable(), settings=SMALL)
    assert isinstance(caught.value.__cause__, ValueError)
    assert await players[0].member.request(b"after") == b"40"


async def test_a_machine_that_cannot_be_restored_at_the_start_is_named(world):
    storage = failover.MemoryStorage()
    founder = await world.open(found=True, settings=SMALL, storage=storage)
    await until(lambda: founder.member.is_host)
    await ask(founder, 40)
    await founder.close()
    with pytest.raises(failover.MachineFailed, match="restore raised at log index"):
        await world.open(machine=Unrestorable(), settings=SMALL, storage=storage)


class Sluggish(Ledger):
    """Takes its time for each piece."""

    def __init__(self, clock: trio.abc.Clock, pieces_s: list[float]) -> None:
        super().__init__()
        self._clock, self._pieces_s = clock, pieces_s

    def snapshot(self) -> Iterator[bytes]:
        yield from list(super().snapshot())
        for seconds in self._pieces_s:
            self._clock.jump(seconds)  # type: ignore[attr-defined]
            yield b""


@pytest.mark.parametrize(
    ("pieces_ms", "told_ms"),
    [
        ([6] * 5, 6),
        ([6, 6, 6, 6, 4, 6, 6, 6, 6], 0),
        ([1, 51, 1], 51),
        ([49, 1, 49, 1], 0),
        ([5] * 20, 0),
    ],
)
async def test_a_machine_whose_pieces_take_too_long_is_told_of_once(world, caplog, pieces_ms, told_ms):
    clock = trio.lowlevel.current_clock()
    machine = Sluggish(clock, [0.0009999 * each for each in pieces_ms])
    founder = await world.open(found=True, machine=machine, settings=SMALL)
    await until(lambda: founder.member.is_host)
    with caplog.at_level(logging.WARNING, logger="failover"):
        for _ in range(3):
            before = founder.member.status().snapshot_index
            await ask(founder, 20)
            await until(lambda before=before: founder.member.status().snapshot_index > before)
    assert founder.member.status().slow_snapshot_ms == pytest.approx(told_ms, abs=0.1)
    assert sum("snapshot took" in line for line in caplog.messages) == bool(told_ms)
