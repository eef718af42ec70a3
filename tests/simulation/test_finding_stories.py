"""Whole members in virtual time that all moved while they were apart, and how they find each other again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover.errors import Unreachable
from failover.finding import CALM_S as LEAVES_AFTER_S
from failover.finding import MISSING_S
from failover.ids import MemberId
from failover.naming import AGAIN_S
from failover.net.addresses import Address
from failover.net.discovery import announcement
from failover.net.names import Name
from failover.net.tickets import Contact, Ticket
from failover.records import MemberInfo
from failover.testing.computer import Computer
from failover.testing.simulated_lan import SimulatedLan
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import CALM_S, ask, play, quiet


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


@pytest.mark.parametrize("players", [2, 3])
def test_members_that_all_moved_find_each_other_on_the_lan(players):
    with world_with_lan(1) as world:
        computers = play(world, players)
        assert world.lan.posted == 0, "while everybody is heard, nothing is said on the LAN"
        all_move(world, computers)
        took_s = world.run_until(lambda: has_host(world), 20.0)
        assert took_s < MISSING_S + 4.0
        world.run(LEAVES_AFTER_S + 8.0)
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
    running = computer.process.running
    return (
        []
        if running is None
        else [each for each in running.neighbours.members if running.peers.is_connected(each)]
    )


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


# Addresses that people give, and names of machines.


def put_up(world: StackSimulation, players: int, given: list[str]) -> list[Computer]:
    """As `play`, but the first computer's owner gave addresses for it."""
    computers = [world.add_computer() for _ in range(players)]
    computers[0].given = tuple(given)
    world.found()
    world.bring_in(computers[1:])
    world.run(CALM_S)
    return computers


def test_a_ticket_with_a_name_outlives_the_address():
    with StackSimulation(4, quiet()) as world:
        first = world.add_computer()
        first.given = (f"game.example.org:{first.address.port}",)
        world.names["game.example.org"] = [first.address.ip]
        world.found()
        ticket = ask(first, lambda member: member.invite(uses=4, expires_s=0))
        world.run(1.0)
        first.process.close()
        world.run(3.0)
        first.address = world.network.new_address()
        first.start()
        world.run_until(lambda: has_host(world), 10.0)
        world.names["game.example.org"] = ["10.99.0.1", first.address.ip, "224.0.0.1"]
        newcomer = world.add_computer()
        newcomer.ticket = ticket[0]
        newcomer.start()
        world.run_until(lambda: newcomer.is_open, 10.0)


def test_members_find_who_moved_by_a_name_that_points_elsewhere_now():
    with StackSimulation(5, quiet()) as world:
        world.names["game.example.org"] = ["10.0.0.1"]
        computers = put_up(world, 2, ["game.example.org:50000"])
        assert world.asked["game.example.org"] == 1, "by the newcomer; while all are heard, nobody asks"
        all_move(world, computers)
        world.names["game.example.org"] = ["10.77.0.9", computers[0].address.ip]
        took_s = world.run_until(lambda: len(heard_by(computers[1])) == 1, 60.0)
        assert took_s < AGAIN_S + 10.0
        asked = world.asked["game.example.org"]
        world.run(2 * AGAIN_S)
        assert world.asked["game.example.org"] == asked


def test_a_name_that_nobody_knows_costs_one_line_and_the_others_go_on(caplog):
    with StackSimulation(6, quiet()) as world:
        computers = put_up(world, 2, ["nowhere.example.org:7777", "10.0.0.1:50000"])
        assert has_host(world) and len(heard_by(computers[1])) == 1
        computers[0].process.close()
        world.run(3.5 * AGAIN_S)
        assert 4 <= world.asked["nowhere.example.org"] <= 6
        lines = [record.getMessage() for record in caplog.records if "nowhere.example.org" in record.getMessage()]
        assert len(lines) == 2, "one by the newcomer as it joined, one by the member"


def test_a_ticket_of_nothing_but_unknown_names_gets_one_clear_line():
    with StackSimulation(7, quiet()) as world:
        computers = [world.add_computer()]
        world.found()
        ticket = ask(computers[0], lambda member: member.invite())
        world.run(1.0)
        parsed = Ticket.parse(ticket[0])
        only_names = replace(
            parsed, contacts=(Contact(parsed.contacts[0].member, (), (Name("nowhere.example.org", 7777),)),)
        )
        newcomer = world.add_computer()
        newcomer.ticket = only_names.text()
        newcomer.start()
        world.run_until(lambda: newcomer.process is None, 10.0)
        assert isinstance(newcomer.last_error, Unreachable) and "nowhere.example.org" in str(newcomer.last_error)


def test_names_of_one_member_cost_the_name_server_little():
    """Address lists used to hammer a victim: here the victim would be a name server."""
    with StackSimulation(8, quiet()) as world:
        computers = put_up(world, 2, [])
        book = computers[0].process.running.neighbours.names
        info = MemberInfo(computers[1].member, "x", tuple(f"n{number}.example.org:7" for number in range(8)))
        assert len(info.parsed_names()) == 2
        computers[1].process.close()
        world.run(3.0)
        missing = {computers[1].member: [Name(f"n{number}.example.org", 7) for number in range(8)]}
        computers[0].process.carry_out(
            lambda member: book.keep_asking(lambda: missing, lambda member: None), print
        )
        world.run(60.0)
        assert sum(world.asked.values()) <= 2 * 3
