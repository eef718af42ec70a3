"""Stories of members that leave, or are removed, while something goes wrong at that very moment."""

from __future__ import annotations

import pytest
import trio

from failover.errors import NotAdmitted, Refused
from failover.ids import LogIndex, Term
from failover.member import Member
from failover.raft.log import Log
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, Entry, Heartbeat
from failover.testing.computer import Computer
from failover.testing.process import Process
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import ask, cut_off, host_of, log_of, play, quiet


def leaving_of_two(world: StackSimulation) -> tuple[Computer, Computer]:
    """Two play, and the one that does not host leaves."""
    ada, ben = (world.add_computer(disk_s=(0.01, 0.02)) for _ in range(2))
    world.found()
    world.bring_in([ben])
    world.run_until(lambda: log_of(ada).membership.voters == {ada.member, ben.member}, 10.0)
    world.run(1.0)
    ben.process.carry_out(lambda member: member.leave(), lambda _: None)
    return ada, ben


def test_who_leaves_is_there_until_the_others_need_it_no_more_though_the_host_crashes_at_that_moment():
    """Seed 547552181: both have the entry that ends its vote, and nobody's disk the one after it."""
    with StackSimulation("crash at a farewell", quiet()) as world:
        ada, ben = leaving_of_two(world)
        world.run_until(lambda: log_of(ada).membership.voters == {ada.member}, 5.0)
        world.run_until(lambda: not log_of(ada).membership.is_joint, 5.0)
        assert ada.process.running.core.durable_index < log_of(ada).membership_index
        ada.crash()
        world.run(2.0)
        ada.start()
        world.run_until(lambda: world.onlooker.host() is ada.process, 5.0)
        world.run_until(lambda: ben.process is None, 5.0)
        assert ben.is_gone


def test_who_leaves_hears_it_though_the_farewell_is_lost():
    with StackSimulation("lost farewell", quiet()) as world:
        ada, ben = leaving_of_two(world)
        world.run_until(lambda: log_of(ada).membership.voters == {ada.member}, 5.0)
        world.network.cut.add((ada.number, ben.number))
        world.run_until(lambda: log_of(ada).membership.members == {ada.member}, 5.0)
        world.run(1.0)
        assert ben.process is not None, "nobody told it yet"
        world.network.cut.clear()
        world.run_until(lambda: ben.process is None, 2.0)
        assert ben.is_gone


@pytest.mark.parametrize("moment", ["before", "while its vote goes"])
def test_who_was_out_of_reach_at_its_removal_hears_of_it_when_it_is_back(moment):
    with StackSimulation(f"removed {moment}", quiet()) as world:
        ada, ben, dan = play(world, 3)
        if moment == "before":
            cut_off(world, dan, [ada, ben])
        removed = ask(ada, lambda member: member.remove(dan.member))
        if moment != "before":
            world.run_until(lambda: log_of(dan).membership.is_joint, 5.0)
            cut_off(world, dan, [ada, ben])
        world.run(60.0)
        assert removed == [None] and dan.process is not None
        world.network.cut.clear()
        world.run_until(lambda: dan.process is None, 40.0)
        assert dan.is_gone


def test_of_two_who_leave_at_once_one_leaves_and_the_other_hears_that_it_is_the_last():
    """They handed the host to and fro, thousands of times, and nobody left."""
    with StackSimulation("both leave", quiet()) as world:
        players = play(world, 2)
        tenures = world.onlooker.one_tenure.tenures
        results = [ask(player, lambda member: member.leave()) for player in players]
        world.run_until(lambda: all(results), 5.0)
        assert sorted(type(result).__name__ for (result,) in results) == ["NoneType", "Refused"]
        (refused,) = (result for (result,) in results if isinstance(result, Refused))
        assert "only voter" in str(refused)
        assert world.onlooker.one_tenure.tenures <= tenures + 1
        assert not host_of(world).process.running.core.is_leaving, "it stays, and hosts as before"


@pytest.mark.parametrize("who", ["host", "other"])
def test_somebody_leaves_three_of_whom_one_is_away(who):
    """Without the two of them no majority of the old voters is left: the vote goes first, then the member."""
    with StackSimulation(f"{who} leaves, one away", quiet()) as world:
        players = play(world, 3)
        away, other = (player for player in players if player is not host_of(world))
        away.crash()
        world.run(4.0)
        leaver = host_of(world) if who == "host" else other
        left = ask(leaver, lambda member: member.leave())
        world.run_until(lambda: left, 5.0)
        assert left == [None]
        world.run(1.0)
        assert log_of(host_of(world)).membership.members == {p.member for p in players if p is not leaver}


def test_nobody_is_told_that_it_left_by_one_that_lags_behind():
    """Ben was away while cid and dan came, and goes through a log in which dan is not a member yet. Dan asks."""
    with StackSimulation("lags behind", quiet()) as world:
        ada, ben, cid, dan = (world.add_computer() for _ in range(4))
        world.found()
        world.bring_in([ben])
        world.run(3.0)
        ben.process.close()
        world.run(2.0)
        world.bring_in([cid])
        world.run(3.0)
        for _ in range(400):
            ask(ada, lambda member: member.request(bytes(8_000)))
            world.run(0.01)
        world.bring_in([dan])
        world.run(4.0)
        ask(ada, lambda member: member.hand_over(cid.member))
        world.run(2.0)
        assert host_of(world) is cid
        for way in ((cid.number, ben.number), (ben.number, cid.number)):
            world.network.slow[way] = Link(delay_s=(0.15, 0.16))
        ben.start()
        cut_off(world, dan, [cid])
        world.run(12.0)
        assert dan.is_open, "it is a voter"


def speaks_as_leader(process: Process, to: list[Computer], log: Log, term: Term) -> None:
    """A removed member whose program does not go says that it leads, and appends a membership of its own."""
    mine = Membership(frozenset({process.running.id}), outgoing=log.membership.voters)
    entry = Entry(LogIndex(log.last_index + 1), term, b"", mine)
    for computer in to:
        process.running.driver.send(computer.member, Heartbeat(term, 1, 1.0, LogIndex(0)))
        append = AppendEntries(term, log.last_index, log.last_term, (entry,), LogIndex(log.last_index))
        process.running.driver.send(computer.member, append)


@pytest.mark.parametrize("restarted", [False, True])
def test_from_who_was_removed_nothing_is_taken(restarted):
    with StackSimulation(f"removed {restarted}", quiet()) as world:
        ada, ben, dan = play(world, 3)
        dan.process.running.life._removed = lambda index: None
        ask(ada, lambda member: member.remove(dan.member))
        world.run(1.0)
        if restarted:
            for computer in (ada, ben):
                computer.crash()
                computer.start()
        host = host_of(world)
        world.run(0.1)
        log, term = log_of(host), Term(host.process.running.core.term + 1)
        last = log.last_index
        speaks_as_leader(dan.process, [ada, ben], log, term)
        world.run(0.3)
        assert host_of(world) is host and host.process.running.core.term < term
        assert log_of(ada).last_index == log_of(ben).last_index == last


def test_who_came_and_went_long_ago_is_not_looked_for_after_a_restart():
    with StackSimulation("came and went", quiet()) as world:
        ada = world.add_computer()
        world.found()
        for _ in range(4):
            guest = world.add_computer()
            world.bring_in([guest])
            ask(guest, lambda member: member.leave())
            world.run_until(lambda guest=guest: guest.is_gone, 5.0)
        ada.crash()
        ada.start()
        host_of(world)
        assert len(ada.process.running.peers._members) <= 1, "the last may not have heard it"


def test_who_was_removed_does_not_come_back_under_the_same_identity():
    """Admitted, it died before its note was written, and was removed. Were it admitted again, those who lag behind
    would take it for removed, and tell it so."""
    with StackSimulation("back again", quiet()) as world:
        ada, ben = play(world, 2)
        tickets = ask(ada, lambda member: member.invite(uses=4))
        world.run_until(lambda: tickets, 5.0)
        eve = world.add_computer()
        eve.ticket = tickets[0]
        eve.start()
        replica = ada.process.running.replica
        world.run_until(lambda: len(replica.directory.members) == 3, 5.0)
        eve.crash()
        (admitted,) = replica.directory.members.keys() - {ada.member, ben.member}
        removed = ask(ada, lambda member: member.remove(admitted))
        world.run_until(lambda: removed, 5.0)
        eve.is_gone = False
        newer = ask(ada, lambda member: member.invite())  # its removal closed all that were open
        world.run_until(lambda: newer, 5.0)
        eve.ticket = newer[0]
        eve.start()
        world.run_until(lambda: eve.process is None, 20.0)
        assert isinstance(eve.last_error, NotAdmitted)
        assert "join with a new storage" in str(eve.last_error)
        assert admitted not in replica.directory.members


def test_closing_gives_up_the_vote_though_a_wish_to_leave_ends_in_the_middle():
    with StackSimulation("leaves and closes", quiet(), link=Link(delay_s=(0.05, 0.051))) as world:
        ada, ben = play(world, 2)
        ben.process.running.requests._send = lambda *_: None  # the request is lost

        async def leave(member: Member) -> None:
            with trio.move_on_after(0.02):
                await member.leave()

        ask(ben, leave)
        world.run(0.01)
        ben.process.close()
        world.run_until(lambda: ben.process is None, 2.0)
        world.run(1.0)
        assert host_of(world) is ada
        assert log_of(ada).membership.voters == {ada.member}


def test_a_second_click_on_leave_outlives_the_first():
    with StackSimulation("two clicks", quiet()) as world:
        players = play(world, 2)
        tenures = world.onlooker.one_tenure.tenures

        async def leave(member: Member) -> None:
            with trio.move_on_after(0.001):
                await member.leave()

        for player in players:
            ask(player, leave)
        results = [ask(player, lambda member: member.leave()) for player in players]
        world.run_until(lambda: any(results), 10.0)
        world.run(5.0)
        assert world.onlooker.one_tenure.tenures <= tenures + 2
        assert len(log_of(host_of(world)).membership.members) == 1


def test_the_note_of_an_address_is_newer_than_the_directory_of_a_snapshot():
    """Ben moved and everybody knows; both crash, and ada comes back elsewhere: it must look where ben is now."""
    with StackSimulation("noted", quiet(snapshot_entries=30, kept_entries=0)) as world:
        ada, ben = play(world, 2)
        while log_of(ada).snapshot_index == 0:
            ask(ada, lambda member: member.request(b"x"))
            world.run(0.05)
        ben.crash()
        ben.address = world.network.new_address()
        ben.start()
        world.run(5.0)
        assert ada.process.running.replica.directory.members[ben.member].addresses == (str(ben.address),)
        for computer in (ada, ben):
            computer.crash()
        ada.address = world.network.new_address()
        for computer in (ada, ben):
            computer.start()
        host_of(world)
