"""Stories of members that were paused: what they make of the time that they did not live through."""

from __future__ import annotations

import pytest

from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import ask, host_of, play, quiet


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


@pytest.mark.parametrize("paused_s", [0.045, 0.060])
def test_who_was_late_for_a_hand_over_does_not_take_it_for_a_crash(paused_s):
    with StackSimulation("late for a hand-over", quiet()) as world:
        computers = play(world, 3)
        host = host_of(world)
        target, other = [computer for computer in computers if computer is not host]
        ask(host, lambda member: member.hand_over(target.member))
        other.process.pause(paused_s)
        world.run_until(lambda: world.onlooker.host() is target.process, 1.0)
        world.run(1.0)
        change = other.process.running.life.watch.timeline[-1].event
        assert (change.host, change.reason) == (target.member, "handed over")
        assert change.silence_ms > 40.0, "by the silence alone one could not tell"
