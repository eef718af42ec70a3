"""Members that come back: alone, all at once, in any order, elsewhere, after long; each without a ticket."""

from __future__ import annotations

from itertools import permutations

import pytest
import trio
from world import Player, World, in_virtual_time, settled, until, voters

import failover
from failover.storage.memory import MemoryStorage

pytestmark = pytest.mark.trio(run=in_virtual_time)

SOON = failover.Settings(timing=failover.Timing(snapshot_entries=16, kept_entries=8))
AWAY_S = 60.0
"""By then it has lost its vote, and all that it could be sent of the log is gone, as after a day."""


class Game:
    """Some members with storages that outlive them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.storages: list[MemoryStorage] = []
        self.players: list[Player] = []

    async def begin(self, size: int) -> None:
        """Found, join, and accept something from each."""
        for number in range(size):
            ticket = await self.players[0].member.invite() if number else None
            self.storages.append(MemoryStorage())
            self.players.append(
                await self._world.open(
                    found=not number, ticket=ticket, name=str(number), storage=self.storages[-1], settings=SOON
                )
            )
            await until(lambda: self.players[0].member.is_host)
        await until(lambda: voters(self.players[0]) == size)
        await self.accept("at first")

    async def accept(self, what: str) -> None:
        """Settle, then one request of each."""
        await settled(self.players)
        for player in self.players:
            await player.member.request(f"{what} {player.member.status().name}".encode())
        await settled(self.players)

    async def close(self, *numbers: int) -> None:
        """In this order."""
        for number in numbers:
            await self.players[number].close()

    async def resume(self, *numbers: int, elsewhere: bool = False) -> None:
        """In this order, without a ticket; at new addresses, or at the old ones."""
        for number in numbers:
            address = None if elsewhere else self.players[number].address
            self.players[number] = await self._world.open(
                name=str(number), storage=self.storages[number], at=address, settings=SOON
            )

    def check(self, *rounds: str) -> None:
        """Everything that was accepted is in every state, once, in one order."""
        names = [str(number) for number in range(len(self.players))]
        expected = [f"{what} {name}".encode() for what in rounds for name in names]
        for player in self.players:
            assert player.machine.commands == expected


@pytest.fixture
async def game(world):
    return Game(world)


async def test_one_alone_goes_on_where_it_stopped(game):
    await game.begin(1)
    await game.close(0)
    await game.resume(0)
    await game.accept("again")
    game.check("at first", "again")


@pytest.mark.parametrize("closing", list(permutations(range(3))))
@pytest.mark.parametrize("opening", list(permutations(range(3))))
async def test_three_come_back_in_any_order(game, closing, opening):
    await game.begin(3)
    await game.close(*closing)
    await game.resume(*opening)
    await game.accept("again")
    game.check("at first", "again")


@pytest.mark.parametrize("size", [2, 3, 5])
async def test_all_leave_and_come_back_at_once(game, size):
    await game.begin(size)
    async with trio.open_nursery() as nursery:
        for number in range(size):
            nursery.start_soon(game.close, number)
    async with trio.open_nursery() as nursery:
        for number in range(size):
            nursery.start_soon(game.resume, number)
    await game.accept("again")
    game.check("at first", "again")


async def test_each_moves_while_the_others_play_until_nobody_is_where_it_was(game):
    await game.begin(3)
    before = {player.address for player in game.players}
    for number in (0, 1, 2):
        await game.close(number)
        await game.resume(number, elsewhere=True)
        await game.accept(f"round {number}")
    assert before.isdisjoint({player.address for player in game.players})
    game.check("at first", "round 0", "round 1", "round 2")


async def test_all_come_back_and_all_but_one_are_elsewhere(game):
    await game.begin(3)
    await game.close(0, 1, 2)
    await game.resume(0, elsewhere=True)
    await game.resume(1)
    await game.resume(2, elsewhere=True)
    await game.accept("again")
    game.check("at first", "again")


async def test_who_was_away_for_long_takes_a_snapshot_of_what_was_compacted_meanwhile(game):
    await game.begin(3)
    missing = game.storages[2].load().entries[-1].index
    await game.close(2)
    for _ in range(24):
        await trio.sleep(AWAY_S / 24)
        for number in range(5):
            await game.players[1].member.request(b"later %d" % number)
    await until(lambda: game.storages[0].load().entries[0].index > missing + 1)
    await game.resume(2)
    await settled(game.players)
    assert game.players[2].machine.restored == 1, "it was sent the log, not a snapshot"
    assert game.players[2].machine.commands == game.players[0].machine.commands
