"""A storage that is a copy or an old backup is found out before it takes part in anything."""

from __future__ import annotations

from copy import deepcopy

import pytest
import trio
from world import Player, World, in_virtual_time, settled, until

import failover
from failover.copies import NOTE_COPIED, NOTE_MET, read_met
from failover.raft.core import Core
from failover.storage.memory import MemoryStorage

pytestmark = pytest.mark.trio(run=in_virtual_time)


class Trio:
    """Three members, their storages, and a backup of the third that its later runs know nothing of."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.storages = [MemoryStorage() for _ in range(3)]
        self.players: list[Player] = []
        self.backup = MemoryStorage()

    async def begin(self) -> None:
        """Found, join, settle; a backup is made of the third; it runs again, and something more is accepted."""
        founder = await self.world.open(found=True, name="0", storage=self.storages[0])
        await until(lambda: founder.member.is_host)
        ticket = await founder.member.invite(uses=2)
        self.players = [founder]
        for number in (1, 2):
            storage = self.storages[number]
            self.players.append(await self.world.open(ticket=ticket, name=str(number), storage=storage))
        await settled(self.players)
        await self.players[2].close()
        self.backup = deepcopy(self.storages[2])
        self.players[2] = await self.open(2)
        await settled(self.players)
        await self.players[2].member.request(b"forgotten by the backup")
        await settled(self.players)

    async def open(self, number: int) -> Player:
        """The next run of a member."""
        address = self.players[number].address
        return await self.world.open(name=str(number), storage=self.storages[number], at=address)

    async def close(self, *numbers: int) -> None:
        """End these runs."""
        for number in numbers:
            await self.players[number].close()

    async def find_out(self) -> failover.StorageCopied:
        """Open the backup; it takes part in nothing, and its last event says why."""
        backup = await self.world.open(name="backup", storage=self.backup)
        await until(lambda: backup.events(failover.Stopped))
        (stopped,) = backup.events(failover.Stopped)
        assert backup.events() == [stopped], "it has heard of something else"
        with pytest.raises(failover.Closed):
            await backup.member.request(b"of the backup")
        await backup.close()
        assert isinstance(stopped.error, failover.StorageCopied)
        return stopped.error


@pytest.fixture
async def three(world):
    made = Trio(world)
    await made.begin()
    return made


@pytest.fixture
def heard_of(monkeypatch):
    """Whose messages reached any core."""
    senders = []
    receive = Core.receive

    def noting(core, sender, message, now):
        senders.append((core.me, sender))
        receive(core, sender, message, now)

    monkeypatch.setattr(Core, "receive", noting)
    return senders


async def test_a_backup_is_stopped_by_those_who_play_and_marked(three, heard_of):
    await three.close(2)
    heard_of.clear()
    error = await three.find_out()
    await trio.sleep(1)
    assert "move the file away and join anew with a ticket" in str(error) and "\n" not in str(error)
    third = three.backup.identity().member
    assert heard_of and not [pair for pair in heard_of if third in pair]
    assert three.backup.get_note(NOTE_COPIED) is not None
    with pytest.raises(failover.StorageCopied):
        await three.world.open(storage=three.backup)
    await settled(three.players[:2])


async def test_a_backup_is_found_out_when_all_peers_have_restarted(three, heard_of):
    await three.close(2, 1, 0)
    three.players[:2] = [await three.open(0), await three.open(1)]
    await settled(three.players[:2])
    heard_of.clear()
    await three.find_out()
    third = three.backup.identity().member
    assert not [pair for pair in heard_of if third in pair]


async def test_one_peer_that_met_the_later_run_and_restarted_is_enough(three, heard_of):
    """With one other it would be a quorum, and could lead with a log that lacks what was accepted."""
    await three.close(2, 1, 0)
    three.players[1] = await three.open(1)
    heard_of.clear()
    await three.find_out()
    assert heard_of == []


async def test_it_is_found_out_though_all_of_them_begin_at_once(three, heard_of):
    await three.close(2, 1, 0)
    heard_of.clear()
    found: list[failover.StorageCopied] = []

    async def find_out() -> None:
        found.append(await three.find_out())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(find_out)
        for number in (0, 1):
            three.players[number] = await three.open(number)
    assert len(found) == 1
    await settled(three.players[:2])
    third = three.backup.identity().member
    assert not [pair for pair in heard_of if third in pair]


async def test_a_backup_that_is_alone_with_what_it_knows_accepts_nothing(three):
    await three.close(2, 1, 0)
    backup = await three.world.open(name="backup", storage=three.backup)
    with pytest.raises(failover.NotHost):
        await backup.member.request(b"alone", 30)
    assert not backup.events(failover.BecomeHost)


async def test_the_original_runs_on_and_its_copy_joins_anew(three):
    """Two files with one key, at once: whoever is met first plays, the other one stops."""
    await three.find_out()
    await three.players[2].member.request(b"the original is unharmed")
    await settled(three.players)
    ticket = await three.players[0].member.invite()
    anew = await three.world.open(ticket=ticket, name="anew", storage=MemoryStorage())
    await settled([*three.players, anew])


async def test_a_copy_of_the_newest_state_takes_the_place_of_the_original_which_stops(three):
    copy = deepcopy(three.storages[2])
    taken = await three.world.open(name="copy", storage=copy)
    original = three.players[2]
    await until(lambda: original.events(failover.Stopped), 120)
    assert isinstance(original.events(failover.Stopped)[0].error, failover.StorageCopied)
    await settled([*three.players[:2], taken])
    await original.close()
    with pytest.raises(failover.StorageCopied):
        await three.open(2)


async def test_a_backup_with_a_new_ticket_is_refused_while_it_opens_or_after(three):
    """A ticket gives new secrets to the member that it is, which is one that must not run."""
    await three.close(2)
    player, error = None, None
    try:
        player = await three.world.open(storage=three.backup, ticket=await three.players[0].member.invite())
    except failover.StorageCopied as raised:
        error = raised
    if player is not None:
        await until(lambda: player.events(failover.Stopped))
        error = player.events(failover.Stopped)[0].error
    assert isinstance(error, failover.StorageCopied)
    assert three.backup.get_note(NOTE_COPIED) is not None


async def test_what_is_noted_of_others_is_their_newest_run(three):
    third = three.storages[2].identity().member
    before = read_met(three.storages[0].get_note(NOTE_MET))[third]
    await three.close(2)
    three.players[2] = await three.open(2)
    await settled(three.players)
    after = read_met(three.storages[0].get_note(NOTE_MET))
    assert after[third].incarnation > before.incarnation and len(after) == 2


async def test_restarts_in_any_order_stop_nobody(three):
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        await three.close(*order)
        for number in order[::-1]:
            three.players[number] = await three.open(number)
        await settled(three.players)
        await three.players[0].member.request(b"%d%d%d" % order)
    assert not [player for player in three.players if player.events(failover.Stopped)]


async def test_a_damaged_note_of_runs_is_named(three):
    await three.close(1)
    three.storages[1].set_note(NOTE_MET, b"x" * 65)
    with pytest.raises(failover.StorageCorrupt, match="runs is damaged"):
        await three.open(1)
