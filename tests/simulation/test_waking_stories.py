"""Stories of members that were paused: what they make of the time that they did not live through."""

from __future__ import annotations

import pytest

from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import host_of, play, quiet


@pytest.mark.parametrize("paused_s", [0.080, 0.120, 0.200, 1.0])
def test_who_wakes_late_hears_what_waited_before_it_calls_anybody_silent(paused_s):
    """The order of design on waking: the end of a lease, the socket, and only then elections."""
    with StackSimulation("late riser", quiet()) as world:
        computers = play(world, 3)
        host = host_of(world)
        term = host.process.running.core.term
        for follower in [computer for computer in computers if computer is not host]:
            running = follower.process.running
            for turn in range(10):
                follower.process.pause(paused_s + 0.003 * turn)
                world.run(paused_s + 0.5)
                assert running.core.standing.suspicion.to_outlast_s(running.clock()) == 0.0
        assert (host_of(world), host.process.running.core.term) == (host, term)
