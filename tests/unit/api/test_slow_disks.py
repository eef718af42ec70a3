"""A disk that takes seconds for a write costs the commits that wait for it, and nobody's heartbeat or lease."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
import trio
from world import in_virtual_time, settled, until, voters

import failover
from failover.raft.core import Core
from failover.raft.effects import Write
from failover.raft.messages import HeartbeatResponse
from failover.storage.memory import MemoryStorage
from failover.writer import Done, Job

pytestmark = pytest.mark.trio(run=in_virtual_time)


class SlowWriter:
    """A `failover.writer.Writer` whose transactions take as long as `takes_s` says when they begin."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.takes_s = 0.0
        self.written = 0
        self._nursery = nursery
        self._queue: deque[Write | tuple[Job, Done]] = deque()
        self._is_busy = False

    def open(self, storage, stored, failed, troubled):
        """See `failover.writer.OpenWriter`."""
        self._storage, self._stored = storage, stored
        return self

    def write(self, write: Write) -> None:
        self._give(write)

    def run(self, job: Job, done: Done) -> None:
        self._give((job, done))

    def _give(self, item: Write | tuple[Job, Done]) -> None:
        self._queue.append(item)
        if not self._is_busy:
            self._is_busy = True
            self._nursery.start_soon(self._work)

    async def _work(self) -> None:
        while self._queue:
            item = self._queue.popleft()
            await trio.sleep(self.takes_s)
            self.written += 1
            if isinstance(item, Write):
                self._storage.write((item,))
                self._stored(item.number)
            else:
                item[1](item[0]())
        self._is_busy = False

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.fixture
async def slow_third(world, nursery):
    """Three members; the third's disk can be made slow."""
    writers = [SlowWriter(nursery) for _ in range(3)]
    players = []
    for number, writer in enumerate(writers):
        ticket = await players[0].member.invite() if players else None
        players.append(
            await world.open(
                found=not players,
                ticket=ticket,
                name=str(number),
                storage=MemoryStorage(),
                open_writer=writer.open,
            )
        )
        await until(lambda: players[0].member.is_host)
    await until(lambda: voters(players[0]) == 3)
    await settled(players)
    for player in players:
        player.events()
        player.heard.clear()
    return players, writers


@pytest.fixture
def answers(monkeypatch):
    """When each member's core got an answer to a heartbeat, and whose."""
    heard = []
    receive = Core.receive

    def noting(core, sender, message, now):
        if isinstance(message, HeartbeatResponse):
            heard.append((sender, now))
        receive(core, sender, message, now)

    monkeypatch.setattr(Core, "receive", noting)
    return heard


async def test_a_write_of_five_seconds_costs_the_others_nothing(slow_third, answers):
    players, writers = slow_third
    writers[2].takes_s = 5.0
    before, began, longest = writers[2].written, trio.current_time(), 0.0
    while trio.current_time() < began + 4.9:
        sent = trio.current_time()
        await players[1].member.request(b"play goes on")
        longest = max(longest, trio.current_time() - sent)
        await trio.sleep(0.05)
    assert writers[2].written <= before + 1, "its disk was not slow: this test tests nothing"
    assert longest < 0.1
    assert players[0].member.is_host
    assert [player.events(failover.StopHost, failover.HostChanged, failover.QuorumLost) for player in players] == [
        [], [], [],
    ]  # fmt: skip
    moments = [now for sender, now in answers if sender == players[2].member.id and now > began]
    gaps = [after - before for before, after in pairwise(moments)]
    assert len(moments) > 50 and max(gaps) < 0.2, "it has missed heartbeats"
    writers[2].takes_s = 0.0
    await settled(players)


async def test_where_the_slow_one_is_needed_nothing_is_accepted_but_the_lease_holds(slow_third):
    players, writers = slow_third
    await players[1].close()
    await until(lambda: voters(players[0]) == 2)
    await trio.sleep(1)
    players[0].events()
    players[0].heard.clear()
    writers[2].takes_s = 3.0
    sent = trio.current_time()
    await players[0].member.request(b"needs both disks")
    took = trio.current_time() - sent
    assert 2.9 < took < 7.0, "it was accepted before it was stored"
    assert players[0].member.is_host and not players[0].events(failover.StopHost, failover.QuorumLost)


async def test_a_host_whose_disk_hangs_makes_way_for_one_whose_disk_works(slow_third):
    players, writers = slow_third
    writers[0].takes_s = 20.0
    await players[1].member.request(b"starts the write")
    await until(lambda: not players[0].member.is_host, 3)
    await until(lambda: players[1].member.is_host or players[2].member.is_host, 3)
    for number in range(5):
        await players[1].member.request(b"%d" % number)
    writers[0].takes_s = 0.0
    await trio.sleep(20)
    await settled(players)
