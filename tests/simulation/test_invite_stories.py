"""Stories of newcomers: who gets in with a ticket, once and no more, whatever happens to the hosts meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from failover.errors import NotAdmitted, Unreachable
from failover.events import JoinRequested
from failover.net.tickets import Contact, Ticket
from failover.testing.computer import Computer
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import ask, host_of, log_of, play, quiet
from tests.simulation.test_secrets_stories import directory_of, epochs, newcomers, remove


def ticket_of(world: StackSimulation, computer: Computer, **options: Any) -> str:
    """It invites."""
    tickets = ask(computer, lambda member: member.invite(**options))
    world.run_until(lambda: tickets, 5.0)
    return tickets[0]


def knocks(world: StackSimulation, ticket: str) -> Computer:
    """Somebody begins to join with it."""
    newcomer = world.add_computer()
    newcomer.ticket = ticket
    newcomer.start()
    return newcomer


def came_in(world: StackSimulation, newcomer: Computer, limit_s: float = 40.0) -> bool:
    """How it ends."""
    world.run_until(lambda: newcomer.is_open or newcomer.process is None, limit_s)
    return newcomer.is_open


def through(ticket: str, computer: Computer) -> str:
    """The same ticket with this contact alone."""
    return replace(Ticket.parse(ticket), contacts=(Contact(computer.member, (computer.address,)),)).text()


@pytest.mark.parametrize("uses", [1, 2])
@pytest.mark.parametrize("crash_after_s", [None, 0.003, 0.006, 0.01, 0.02])
def test_of_two_joiners_with_one_ticket_through_two_members_as_many_get_in_as_it_says(uses, crash_after_s):
    with StackSimulation(f"two joiners {uses} {crash_after_s}", quiet()) as world:
        players = play(world, 5)
        host = host_of(world)
        doors = [player for player in players if player is not host][:2]
        ticket = ticket_of(world, doors[0], uses=uses)
        joiners = [knocks(world, through(ticket, door)) for door in doors]
        if crash_after_s is not None:
            world.run(crash_after_s)
            host.crash()
        assert sum(came_in(world, joiner) for joiner in joiners) == uses
        for joiner in joiners:
            assert joiner.is_open or (
                isinstance(joiner.last_error, NotAdmitted) and "used up" in str(joiner.last_error)
            )
        world.run(1.0)
        assert len(log_of(host_of(world)).membership.members) == 5 + uses


def test_an_expired_ticket_is_refused_in_one_clear_line():
    with StackSimulation("expired", quiet()) as world:
        ada, _ = play(world, 2)
        ticket = ticket_of(world, ada, expires_s=5)
        world.run(10.0)
        late = knocks(world, ticket)
        assert not came_in(world, late, 2.0)
        assert isinstance(late.last_error, NotAdmitted)
        assert str(late.last_error).endswith("the invite is used up, expired or closed; ask for a new ticket")


@pytest.mark.parametrize("how", ["closed", "a removal"])
def test_who_holds_the_ticket_of_a_closed_invite_gets_no_answer(how):
    with StackSimulation(f"closed by {how}", quiet()) as world:
        ada, ben, cid = play(world, 3)
        ticket = ticket_of(world, ada, uses=8)
        if how == "closed":
            world.run(0.5)
            closed = ask(ben, lambda member: member.close_invite(member.invites()[-1].id))
            world.run_until(lambda: closed, 2.0)
        else:
            remove(world, ada, cid)
        world.run(0.2)  # the others hear it with the next heartbeat
        late = knocks(world, ticket)
        heard = []
        late.process.socket.receive_nowait = lambda real=late.process.socket.receive_nowait: (
            heard.append(datagram) if (datagram := real()) is not None else None
        )
        assert not came_in(world, late, 8.0)
        assert isinstance(late.last_error, Unreachable) and "if a member was removed" in str(late.last_error)
        assert heard == []


def test_a_ticket_whose_gate_was_changed_since_is_good_for_four_epochs():
    with StackSimulation("old gates", quiet()) as world:
        ada, _ = play(world, 2)
        leavers = newcomers(world, 4)
        world.run(4.0)
        ticket = ticket_of(world, ada, uses=8)
        for number, leaver in enumerate(leavers, 1):
            left = ask(leaver, lambda member: member.leave())
            world.run_until(lambda left=left, leaver=leaver: left or leaver.is_gone, 10.0)
            world.run_until(lambda number=number: epochs(ada)[0] == 1 + number, 5.0)
            world.run(1.0)
            late = knocks(world, ticket)
            assert came_in(world, late, 10.0) == (number < 4)
            if number == 4:
                assert isinstance(late.last_error, Unreachable)


def test_a_removed_member_does_not_come_back_under_a_new_name_with_an_invite_that_it_knew():
    """It writes itself a ticket of what it had, for itself as it is and for a fresh identity."""
    with StackSimulation("knew an invite", quiet()) as world:
        ada, ben, dan = play(world, 3)
        ticket_of(world, ada, uses=8, expires_s=0)
        world.run(0.5)
        (invite, *_) = (each for each in directory_of(dan).invites.values() if each.uses)
        running = dan.process.running
        ticket = running.neighbours.ticket(invite, running.whereabouts.info()).text()
        ask(ada, lambda member: member.remove(dan.member))
        for _ in range(3):
            late = knocks(world, ticket)
            assert not came_in(world, late, 10.0)
            assert isinstance(late.last_error, NotAdmitted | Unreachable)
        members = log_of(host_of(world)).membership.members
        assert members == {ada.member, ben.member}


def asks_of(world: StackSimulation, computer: Computer) -> list[JoinRequested]:
    """What its application was asked up to now."""
    found = computer.__dict__.setdefault("asked", [])
    found += [event for event in computer.process.member.poll() if isinstance(event, JoinRequested)]
    return found


def confirms(**options: Any) -> Any:
    """The guest list, whose hosts ask about joiners."""
    program = quiet()
    return replace(program, settings=replace(program.settings, confirm_identity=True, **options))


def let_in(computer: Computer, joiner: JoinRequested) -> None:
    """Its player clicks yes."""

    async def admit(member: Any) -> None:
        member.admit(joiner.member)

    ask(computer, admit)


def played_with_confirmation(world: StackSimulation, players: int) -> list[Computer]:
    """As `play`, by a founder who says yes to all."""
    computers = [world.add_computer() for _ in range(players)]
    world.found()
    tickets = ask(computers[0], lambda member: member.invite(uses=64))
    world.run_until(lambda: tickets, 5.0)
    for number, computer in enumerate(computers[1:], 1):
        computer.ticket = tickets[0]
        computer.start()
        world.run_until(lambda number=number: len(asks_of(world, computers[0])) == number, 5.0)
        let_in(computers[0], asks_of(world, computers[0])[-1])
        world.run_until(lambda computer=computer: computer.is_open, 10.0)
    world.run(6.0)
    return computers


def test_a_question_that_is_open_survives_a_change_of_host():
    with StackSimulation("question and change", confirms()) as world:
        players = played_with_confirmation(world, 3)
        host = host_of(world)
        ticket = ticket_of(world, players[1])
        before = {player: len(asks_of(world, player)) for player in players}
        joiner = knocks(world, ticket)
        world.run(35.0)
        assert joiner.process is not None and not joiner.is_open, "it waits longer than for a host"
        assert len(asks_of(world, host)) == before[host] + 1, "asked once"
        host.crash()
        world.run_until(lambda: world.onlooker.host() is not None and world.onlooker.host() is not host, 10.0)
        next_host = host_of(world)
        world.run_until(lambda: next_host.process.member.joiners, 10.0)
        assert len(asks_of(world, next_host)) == before[next_host] + 1
        let_in(next_host, asks_of(world, next_host)[-1])
        assert came_in(world, joiner, 5.0)


def test_a_question_that_nobody_answers_ends_as_a_refusal():
    with StackSimulation("no answer", confirms(confirm_within_s=10.0)) as world:
        ada = world.add_computer()
        world.found()
        joiner = knocks(world, ticket_of(world, ada))
        world.run(9.0)
        assert joiner.process is not None
        assert not came_in(world, joiner, 3.0)
        assert isinstance(joiner.last_error, NotAdmitted)
        assert "nobody confirmed it within 10 s" in str(joiner.last_error)


def test_a_crowd_that_waits_for_a_yes_does_not_keep_anybody_from_being_removed():
    with StackSimulation("a crowd", confirms()) as world:
        ada, ben = played_with_confirmation(world, 2)
        ticket = ticket_of(world, ada, uses=64)
        for _ in range(17):
            knocks(world, ticket)
        world.run(1.0)
        remove(world, ada, ben)
        assert log_of(ada).membership.members == {ada.member}
        assert all(not computer.is_open for computer in world.computers[2:])
