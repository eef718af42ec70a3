"""Whole members in virtual time that all moved while they were apart, and how they find each other again."""

from __future__ import annotations

import pytest

from failover.finding import MISSING_S
from failover.ids import MemberId
from failover.net.addresses import Address
from failover.net.discovery import announcement
from failover.testing.computer import Computer
from failover.testing.simulated_lan import SimulatedLan
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import CALM_S, play, quiet


def world_with_lan(seed: int) -> StackSimulation:
    world = StackSimulation(seed, quiet())
    world.lan = SimulatedLan(world.network)
    return world


def all_move(world: StackSimulation, computers: list[Computer]) -> None:
    """Everybody packs up, and comes back somewhere else."""
    for computer in computers:
        computer.process.close()
    world.run(3.0)
    for computer in computers:
        assert computer.process is None
        computer.address = world.network.new_address()
        computer.start()


def has_host(world: StackSimulation) -> bool:
    return world.onlooker.host() is not None


@pytest.mark.parametrize("players", [2, 4])
def test_members_that_all_moved_find_each_other_on_the_lan(players):
    with world_with_lan(1) as world:
        computers = play(world, players)
        assert world.lan.posted == 0, "while everybody is heard, nothing is said on the LAN"
        all_move(world, computers)
        took_s = world.run_until(lambda: has_host(world), 20.0)
        assert took_s < MISSING_S + 4.0
        world.run(60.0)
        assert not world.lan.boards, "they have left the board, since nobody is missing"
        assert all(computer.is_open for computer in computers)


def test_without_a_lan_they_do_not():
    with StackSimulation(1, quiet()) as world:
        all_move(world, play(world, 2))
        world.run(40.0)
        assert not has_host(world)


def test_a_member_that_comes_back_elsewhere_while_the_others_play_on_is_found():
    with world_with_lan(2) as world:
        computers = play(world, 3)
        mover, others = computers[2], computers[:2]
        mover.process.close()
        world.run(2.0)
        for other in others:  # they move as well, one after the other, and he knows neither
            other.process.close()
            world.run(0.5)
            other.address = world.network.new_address()
            other.start()
            world.run(CALM_S)
        mover.address = world.network.new_address()
        mover.start()
        world.run_until(lambda: mover.is_open and has_host(world), 10.0)
        world.run_until(lambda: len(heard_by(mover)) == 2, 10.0)


def heard_by(computer: Computer) -> list[MemberId]:
    peers = computer.process.running.peers
    return [member for member in computer.process.running.neighbours.members if peers.is_connected(member)]


def test_lists_of_addresses_hammer_no_victim():
    """A holder of a leaked ticket claims, four times a second, that the missing member is at a victim's."""
    with world_with_lan(3) as world:
        computers = play(world, 2)
        one, other = computers
        gate = one.process.running.peers.secrets[0].gate
        missing = other.member
        other.process.close()
        world.run(1.0)
        victims = [Address(f"10.9.{number}.1", 7777) for number in range(160)]
        hits: dict[Address, int] = {}
        carry = world.network.carry

        def watched(data, sender, target):
            if target in victims:
                hits[target] = hits.get(target, 0) + 1
            carry(data, sender, target)

        world.network.carry = watched
        eve = world.lan.open_for(99)("", bytes)
        for number, victim in enumerate(victims):
            eve.post({"f": announcement(gate, missing, [victim], number.to_bytes(16, "big"))})
            world.run(0.25)
        assert 0 < sum(hits.values()) <= 80, (
            "in 40 s, of 160 claims: less than two datagrams a second, whatever is said"
        )
        assert max(hits.values()) <= 3
        assert one.process.running.finding.dropped.get("announcement: too many", 0) == 0
        other.address = world.network.new_address()
        other.start()
        world.run_until(lambda: len(heard_by(one)) == 1, 20.0)
