"""Stories of whole members that seeds have told once, each in its shortest form."""

from __future__ import annotations

from failover.settings import Settings
from failover.testing.guest_list import GuestBook, GuestList, Habits
from failover.testing.linearizability import check_linearizable
from failover.testing.models import AppendOnlyList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import quiet


def test_a_newcomer_that_is_removed_before_its_state_has_come_hears_that_it_is_not_admitted():
    with StackSimulation("removed at once", quiet(snapshot_entries=20, kept_entries=0)) as world:
        ada, ben, eve = (world.add_computer() for _ in range(3))
        world.found()
        world.bring_in([ben])
        for _ in range(100):
            ada.process.carry_out(lambda member: member.request(bytes(8_000)), lambda _: None)
            world.run(0.02)
        tickets: list[str] = []
        ada.process.carry_out(lambda member: member.invite(), tickets.append)
        world.run_until(lambda: tickets, 5.0)
        eve.ticket = tickets[0]
        eve.start()
        world.run_until(lambda: eve.member is not None, 5.0)
        world.run(0.01)  # enough for a channel, not for the state
        ada.process.carry_out(lambda member: member.remove(eve.member), lambda _: None)
        world.run_until(lambda: eve.process is None, 40.0)
        assert not eve.has_opened
        assert "removed again before its first state had come" in str(eve.last_error)


def test_play_goes_on_without_a_change_of_host_while_channels_grow_old_and_are_renewed():
    """Keys are renewed every two minutes, and no channel lives for more than three."""
    book = GuestBook(Habits(every_s=2.0))
    program = Program(machine=GuestList, serve=book.serve, play=book.play, settings=Settings.internet())
    link = Link(delay_s=(0.005, 0.02), loss=0.02, double=0.01)
    with StackSimulation("renewed", program, link=link, clock_rates=(0.9, 1.1)) as world:
        book.world = world
        computers = [world.add_computer() for _ in range(3)]
        world.found()
        world.bring_in(computers[1:])
        world.run(20.0)
        tenures = world.onlooker.one_tenure.tenures
        world.run(200.0)
        assert world.onlooker.one_tenure.tenures == tenures
        assert not world.happened["QuorumLost"]
    check_linearizable(book.history, AppendOnlyList()).require()
    assert all(each.is_certain for each in book.history if each.answered_s < 220.0)


def test_a_process_may_die_in_what_waited_for_the_end_of_its_pause():
    """Seed 143434048: the answers to what was written meanwhile leave it, and the first datagram is its last."""
    with StackSimulation("dies on waking", quiet()) as world:
        ada, ben = (world.add_computer() for _ in range(2))
        world.found()
        world.bring_in([ben])
        paused = ben.process
        paused.pause(60.0)
        paused.call(lambda: paused.socket.send(b"first", ada.address))
        paused.call(lambda: world.trace("never"))
        paused.fuse = 0
        traced: list[str] = []
        world.trace = traced.append
        paused.wake()
        assert not paused.is_alive
        assert world.happened["crashed in a step"] == 1
        assert "never" not in traced


def test_a_process_that_closes_may_die_in_the_write_that_it_waits_for():
    """Seed 61755027: nothing else would ever have happened to it."""
    with StackSimulation("dies in its last write", quiet()) as world:
        ada = world.add_computer()
        world.found()
        process = ada.process
        ada.disk.stalled_until = world.true_time() + 5.0
        process.carry_out(lambda member: member.request(b"x"), lambda _: None)
        world.run(0.01)
        process.close()
        world.run(3.0)
        assert process.is_alive, "it waits for its disk"
        process.fuse = 0
        world.run(4.0)
        assert not process.is_alive
        assert world.happened["crashed in a step"] == 1


def test_while_votes_are_being_given_a_member_says_that_no_failure_is_survived_yet():
    """Three are there and have votes, but until the end of the change is committed both old voters are needed."""
    with StackSimulation("joint", quiet()) as world:
        ada, *others = (world.add_computer(disk_s=(0.02, 0.03)) for _ in range(3))
        world.found()
        seen: set[tuple[int, bool, int]] = set()

        def look() -> bool:
            membership = ada.process.running.core.log.membership
            status = ada.process.member.status()
            voters = sum(each.kind == "voter" for each in status.members)
            seen.add((voters, membership.is_joint, status.failures_survived))
            return voters == 3 and status.failures_survived == 1

        world.bring_in(others)
        world.run_until(look, 30.0)
    assert {(3, True, 0), (3, False, 0), (3, False, 1)} <= seen
    assert (3, True, 1) not in seen
