"""Stories of the secrets that members share: who goes takes them along, and they are good for nothing any more."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from failover.directory import Directory
from failover.ids import MemberId
from failover.member import Member
from failover.net.addresses import Address
from failover.net.noise import public_key
from failover.net.tickets import Contact, Ticket
from failover.records import ACTIONS, RECORDS, BeginEpoch, SystemCommand
from failover.testing.computer import Computer
from failover.testing.process import Process
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import ask, cut_off, host_of, log_of, play, quiet


def directory_of(computer: Computer) -> Directory:
    """What it knows of the cluster."""
    return computer.process.running.replica.directory


def epochs(computer: Computer) -> list[int]:
    """Those whose secrets it uses, newest first."""
    return [each.epoch for each in computer.process.running.peers._context.secrets]


def epochs_in_log(process: Process) -> list[int]:
    """Those whose secrets ever came to its log."""
    log = process.running.core.log
    records = [
        RECORDS.decode_untrusted(e.command) for e in log.between(log.base_index, log.last_index) if e.command
    ]
    actions = [ACTIONS.decode_untrusted(record.action) for record in records if isinstance(record, SystemCommand)]
    return [action.secrets.epoch for action in actions if isinstance(action, BeginEpoch)]


def remove(world: StackSimulation, by: Computer, gone: Computer) -> None:
    """Have it done, and the secrets changed."""
    before = directory_of(by).secrets[0].epoch
    results = ask(by, lambda member: member.remove(gone.member))
    world.run_until(lambda: results, 10.0)
    assert results == [None]
    world.run_until(lambda: directory_of(by).secrets[0].epoch > before, 2.0)


def forget_channels(one: Computer, others: list[Computer]) -> None:
    """As time does: only a new handshake helps."""
    for here, there in [(one, other) for other in others] + [(other, one) for other in others]:
        here.process.running.peers._members[there.member].channels.close()


def newcomers(world: StackSimulation, count: int) -> list[Computer]:
    """So many more members."""
    found = [world.add_computer() for _ in range(count)]
    world.bring_in(found)
    return found


@pytest.mark.parametrize("removals", [1, 3])
@pytest.mark.parametrize("how", ["crashed", "cut off"])
def test_who_slept_through_removals_gets_back(removals, how):
    with StackSimulation(f"slept {removals} {how}", quiet()) as world:
        ada, ben, cid = play(world, 3)
        others = newcomers(world, removals)
        world.run(3.0)
        if how == "crashed":
            cid.crash()
        else:
            cut_off(world, cid, [ada, ben, *others])
        world.run(3.0)
        for other in others:
            remove(world, ada, other)
        world.run(0.5)
        assert epochs(ada)[0] == epochs(ben)[0] == 1 + removals
        if how == "crashed":
            cid.start()
        else:
            forget_channels(cid, [ada, ben])
            world.network.cut.clear()
        world.run_until(lambda: cid.is_open, 2.0)
        world.run_until(lambda: epochs(cid)[0] == 1 + removals, 1.0 if how == "crashed" else 6.0)
        heard = ask(cid, lambda member: member.request(b"back"))
        world.run_until(lambda: heard, 2.0)
        assert heard == [b"1"]


@pytest.mark.parametrize("seed", range(4))
def test_the_new_secrets_never_reach_the_one_that_goes_though_it_votes_on_its_own_removal(seed):
    with StackSimulation(f"never reach {seed}", quiet()) as world:
        ada, ben, dan = play(world, 3)
        dan.process.running.life._removed = lambda index: None
        dan.process.running.neighbours._departures.follow = lambda *_: []
        process = dan.process
        remove(world, ben, dan)
        world.run(20.0)
        assert epochs_in_log(ada.process) == epochs_in_log(ben.process) == [2]
        assert log_of(dan).membership.is_joint, "it has seen its own removal"
        assert epochs_in_log(process) == []


def test_two_removals_in_one_go_begin_one_epoch():
    with StackSimulation("two in one go", quiet()) as world:
        ada, ben, cid, dan = play(world, 4)
        results = [ask(ada, lambda member, gone=gone: member.remove(gone.member)) for gone in (cid, dan)]
        world.run_until(lambda: all(results), 10.0)
        assert results == [[None], [None]]
        world.run(1.0)
        assert epochs(ben) == epochs(ada) == [2, 1]
        assert host_of(world) in (ada, ben)


@pytest.mark.parametrize("moment", ["removed", "drawn"])
def test_the_epoch_that_is_due_begins_though_the_host_crashes_at_that_moment(moment):
    with StackSimulation(f"crash when {moment}", quiet()) as world:
        players = play(world, 5)
        host = host_of(world)
        (gone, *others) = (computer for computer in players if computer is not host)
        ask(others[0], lambda member: member.remove(gone.member))
        if moment == "removed":
            world.run_until(lambda: log_of(host).membership.members == {c.member for c in (host, *others)}, 5.0)
        else:
            world.run_until(lambda: epochs_in_log(host.process) == [2], 5.0)
        host.crash()
        world.run_until(lambda: epochs(others[0])[0] == 2, 10.0)
        host.start()
        world.run_until(lambda: host.is_open and epochs(host)[0] == 2, 10.0)
        world.run(1.0)
        secrets = {directory_of(computer).secrets for computer in (host, *others)}
        assert len(secrets) == 1, "whoever drew them, all have the same"


def test_who_slept_through_too_many_departures_gets_back_with_a_new_ticket(caplog):
    """Nobody answers what it knows, and it says so; with a ticket of today it is the member that it was."""
    caplog.set_level(logging.INFO, "failover")
    with StackSimulation("slept too long", quiet()) as world:
        ada, ben, cid = play(world, 3)
        others = newcomers(world, 4)
        world.run(3.0)
        cid.crash()
        world.run(3.0)
        for other in others:
            remove(world, ada, other)
        world.run(0.5)  # for a moment ben is behind, and would still answer
        cid.ticket = None
        cid.start()
        world.run(11.0)
        assert epochs(cid) == [1] and log_of(cid).last_index < log_of(ada).last_index
        assert "open its storage with a new ticket" in caplog.text
        assert not any(cid.process.running.peers.is_connected(other.member) for other in (ada, ben))
        tickets = ask(ada, lambda member: member.invite())
        world.run_until(lambda: tickets, 5.0)
        cid.ticket = tickets[0]
        for _ in range(2):
            cid.crash()
            cid.start()
            world.run_until(lambda: cid.is_open, 2.0)
            world.run_until(lambda: epochs(cid) == epochs(ada), 2.0)
        assert len(directory_of(ada).members) == 3
        assert ada.process.member.invites()[0].uses == 1, "it was a member, and used nothing up"


def test_a_ticket_of_old_times_keeps_no_member_from_coming_back():
    with StackSimulation("old ticket", quiet()) as world:
        ada, _, cid = play(world, 3)
        others = newcomers(world, 4)
        world.run(3.0)
        tickets = ask(ada, lambda member: member.invite())
        world.run_until(lambda: tickets, 5.0)
        for other in others:
            remove(world, ada, other)
        world.run(1.0)
        cid.crash()
        cid.ticket = tickets[0]
        cid.start()
        world.run_until(lambda: cid.is_open and log_of(cid).last_index == log_of(ada).last_index, 7.0)


def test_who_was_removed_is_no_member_to_one_that_restarts_with_an_old_snapshot():
    """Its directory is that of the snapshot, with the one that was removed and an invite; its log knows better."""
    with StackSimulation("old snapshot", quiet(snapshot_entries=60, kept_entries=0)) as world:
        ada, ben, dan = play(world, 3)
        tickets = ask(ada, lambda member: member.invite(uses=8))
        world.run_until(lambda: tickets, 5.0)
        while log_of(ben).snapshot_index == 0:
            ask(ada, lambda member: member.request(b"x"))
            world.run(0.05)
        dan.process.running.life._removed = lambda index: None  # its program does not go
        remove(world, ada, dan)
        (eve,) = newcomers(world, 1)  # so that no doubt is left about the change before
        world.run(1.0)
        for computer in (ada, ben, eve):
            computer.crash()
        ben.start()
        world.run_until(lambda: ben.is_open, 2.0)
        world.run(0.2)
        assert dan.member in directory_of(ben).members, "of the snapshot"

        async def knock(member: Member) -> None:
            member._running.peers.connect(ben.member, member._running.clock())

        ask(dan, knock)
        world.run(6.0)
        peers = ben.process.running.peers
        assert dan.member not in peers._members and peers._gatekeeper.invites == {}
        ada.start()
        world.run_until(lambda: world.onlooker.host() is not None, 5.0)
        world.run(1.0)
        fresh = ask(ben, lambda member: member.invite())
        world.run_until(lambda: fresh, 5.0)
        world.run(0.5)
        later = peers._gatekeeper.invites.keys()
        assert later == directory_of(ada).invites.keys() and later, "and later, those that are open"


@pytest.mark.parametrize("contact", ["a stranger", "a stranger among members"])
def test_a_ticket_that_a_stranger_wrote_moves_no_member_to_him(contact):
    with StackSimulation(f"ticket of {contact}", quiet()) as world:
        ada, _, cid = play(world, 3)
        tickets = ask(ada, lambda member: member.invite())
        world.run_until(lambda: tickets, 5.0)
        genuine = Ticket.parse(tickets[0])
        stranger = Contact(MemberId(public_key(b"m" * 32)), (Address("10.9.9.9", 9),))
        theirs = genuine.contacts if contact == "a stranger among members" else ()
        cid.crash()
        cid.ticket = replace(genuine, gate=b"m" * 32, invite_id=b"m" * 16, contacts=(stranger, *theirs[:3])).text()
        cid.start()
        targets = []
        socket, send = cid.process.socket, cid.process.socket.send
        socket.send = lambda data, address: (targets.append(address), send(data, address))
        world.run_until(lambda: cid.is_open, 7.0)
        world.run(1.0)
        assert targets and stranger.addresses[0] not in targets
        assert log_of(cid).last_index == log_of(ada).last_index
