"""Where members are changes in the middle of a game, and everybody gets to know it."""

from __future__ import annotations

from failover.net.tickets import Ticket
from failover.records import ACTIONS, RECORDS, Moved, SystemCommand
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import ask, play, quiet


def said(of, by):
    """The addresses that one's directory has of another."""
    return by.process.running.replica.directory.members[of.member].addresses


def moves(by, after):
    """How many announcements one's log has behind that index."""
    core = by.process.running.core
    commands = (each.command for each in core.log.between(after, core.log.last_index))
    records = (RECORDS.decode_untrusted(command) for command in commands if command)
    actions = (ACTIONS.decode_untrusted(each.action) for each in records if isinstance(each, SystemCommand))
    return sum(isinstance(each, Moved) for each in actions)


def test_a_member_whose_machine_has_other_addresses_now_tells_the_cluster():
    with StackSimulation("another network", quiet()) as world:
        ada, ben = play(world, 2)
        socket = ben.process.socket
        world.network.move(socket, world.network.new_address())
        socket.address = socket.seen_as
        world.run_until(lambda: said(ben, ada) == (str(socket.address),), 15.0)
        assert ada.process.running.peers.is_connected(ben.member)


def test_a_member_behind_a_router_says_how_it_is_seen_from_outside():
    with StackSimulation("a router", quiet()) as world:
        ada, ben = play(world, 2)
        own, outside = str(ben.address), world.network.new_address()
        world.network.move(ben.process.socket, outside)
        world.run_until(lambda: said(ben, ada) == (own, str(outside)), 60.0)
        tickets = ask(ben, lambda member: member.invite())
        world.run_until(lambda: tickets, 5.0)
        assert outside in Ticket.parse(tickets[0]).contacts[0].addresses
        world.network.move(ben.process.socket, ben.address)  # at home again
        world.run_until(lambda: said(ben, ada) == (own,), 60.0)


def test_an_address_that_changes_all_the_time_does_not_fill_the_log():
    with StackSimulation("a fickle line", quiet()) as world:
        ada, ben = play(world, 2)
        socket = ben.process.socket
        before = ada.process.running.core.log.last_index
        for _ in range(15):
            world.network.move(socket, world.network.new_address())
            socket.address = socket.seen_as
            world.run(6.0)
        assert 2 <= moves(ada, before) < 9
        world.run_until(lambda: said(ben, ada) == (str(socket.address),), 120.0)
