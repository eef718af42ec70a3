"""Stories of whole members whose links lose datagrams: commits in time, though some must be repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from failover.host import Host
from failover.settings import Settings
from failover.testing.guest_list import GuestList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import CALM_S

ROUND_TRIP_S = 0.040
PACE_PER_S = 60


class Metronome:
    """A server function that commits sixty times a second and notes how long each commit took."""

    def __init__(self) -> None:
        self.took: list[float] = []

    async def serve(self, host: Host) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(self._commit, host)
                await trio.sleep(1 / PACE_PER_S)

    async def _commit(self, host: Host) -> None:
        began = trio.current_time()
        await host.commit(b"tick")
        self.took.append(trio.current_time() - began)


@pytest.mark.parametrize("name", ["lossy 1", "lossy 2"])
def test_a_commit_takes_little_more_than_a_round_trip_where_one_datagram_in_fifty_is_lost(name):
    metronome = Metronome()
    program = Program(machine=GuestList, serve=metronome.serve, play=None, settings=Settings.internet())
    link = Link(delay_s=(ROUND_TRIP_S / 2, ROUND_TRIP_S / 2))
    with StackSimulation(name, program, link=link, clock_rates=(1.0, 1.0)) as world:
        computers = [world.add_computer() for _ in range(3)]
        world.found()
        world.bring_in(computers[1:])
        world.run(CALM_S)
        tenures = world.onlooker.one_tenure.tenures
        world.network.link = replace(link, loss=0.02)
        metronome.took.clear()
        world.run(20.0)
        assert world.onlooker.one_tenure.tenures == tenures
    took = sorted(metronome.took)
    assert len(took) > 19 * PACE_PER_S
    assert took[len(took) // 2] < 1.3 * ROUND_TRIP_S
    assert took[int(len(took) * 0.99)] < 3 * ROUND_TRIP_S
