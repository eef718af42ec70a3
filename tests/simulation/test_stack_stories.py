"""Stories of whole members that seeds have told once, each in its shortest form."""

from __future__ import annotations

from dataclasses import replace

from failover.raft.timing import Timing
from failover.settings import Settings
from failover.testing.guest_list import GuestBook, GuestList, Habits
from failover.testing.linearizability import check_linearizable
from failover.testing.models import AppendOnlyList
from failover.testing.process import Program
from failover.testing.simulated_network import Link
from failover.testing.stack_simulation import StackSimulation


def quiet(**timing: int) -> Program:
    settings = Settings(timing=replace(Timing(), **timing))
    return Program(machine=GuestList, serve=None, play=None, settings=settings)


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
