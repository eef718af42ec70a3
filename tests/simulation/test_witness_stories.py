"""Stories of two players and a witness, in virtual time: who crashes when, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from failover.errors import NotAdmitted
from failover.testing.computer import Computer
from failover.testing.stack_simulation import StackSimulation
from tests.simulation.stories import CALM_S, ask, cut_off, host_of, log_of, quiet


def play(world: StackSimulation) -> tuple[Computer, Computer, Computer]:
    """Ada, who founded the cluster, Ben, and the witness; all of them vote."""
    ada, ben = world.add_computer(), world.add_computer()
    witness = world.add_computer(is_witness=True)
    world.found()
    world.bring_in([ben, witness])
    world.run(CALM_S)
    assert log_of(ada).membership.voters == {ada.member, ben.member, witness.member}
    return ada, ben, witness


def put(world: StackSimulation, through: Computer, count: int) -> None:
    """So many items, each accepted."""
    results = [ask(through, lambda member: member.request(b"x" * 100)) for _ in range(count)]
    world.run_until(lambda: all(results), 10.0)
    assert all(isinstance(result[0], bytes) for result in results)


def items(computer: Computer) -> int:
    return len(computer.process.machine._items)


def crash(*computers: Computer) -> None:
    for computer in computers:
        computer.crash()


def test_the_host_crashes():
    with StackSimulation("witness 1", quiet()) as world:
        ada, ben, _ = play(world)
        put(world, ben, 10)
        ada.crash()
        world.run_until(lambda: world.onlooker.host() is ben.process, 2.0)
        put(world, ben, 10)
        assert items(ben) == 20 and not world.happened["QuorumLost"]


@pytest.mark.parametrize("gone", ["ben", "witness"])
def test_one_of_the_others_crashes_and_the_host_goes_on(gone):
    with StackSimulation(f"witness 2 {gone}", quiet()) as world:
        ada, ben, witness = play(world)
        tenures = world.onlooker.one_tenure.tenures
        crash(ben if gone == "ben" else witness)
        put(world, ada, 10)
        world.run(10.0)
        put(world, ada, 10)
        assert world.onlooker.one_tenure.tenures == tenures and not world.happened["QuorumLost"]


@pytest.mark.parametrize("how", ["sleeps", "closes"])
def test_a_witness_that_sleeps_or_closes_does_no_harm_and_counts_again_when_it_is_back(how):
    with StackSimulation(f"witness {how}", quiet()) as world:
        ada, ben, witness = play(world)
        tenures = world.onlooker.one_tenure.tenures
        if how == "sleeps":
            witness.process.pause(1.0)
        else:
            witness.process.close()
        put(world, ben, 10)
        world.run(2.0)
        if how == "closes":
            assert log_of(ada).membership.voters == {ada.member, ben.member}
            witness.start()
        world.run(CALM_S)
        assert log_of(ada).membership.voters == {ada.member, ben.member, witness.member}
        assert world.onlooker.one_tenure.tenures == tenures and not world.happened["QuorumLost"]


@pytest.mark.parametrize("back", ["ada", "witness"])
def test_the_host_and_the_witness_crash_and_the_one_that_is_left_waits_for_either(back):
    with StackSimulation(f"witness 3 {back}", quiet()) as world:
        ada, ben, witness = play(world)
        put(world, ben, 10)
        crash(ada, witness)
        asked = ask(ben, lambda member: member.request(b"meanwhile"))
        world.run(10.0)
        assert world.onlooker.host() is None and not asked and world.happened["QuorumLost"]
        (ada if back == "ada" else witness).start()
        world.run_until(lambda: asked, 20.0)
        assert isinstance(asked[0], bytes)


@pytest.mark.parametrize("compacted", [False, True])
def test_the_witness_alone_holds_what_was_accepted_and_brings_it_to_the_first_that_returns(compacted):
    """Ben sleeps while the others accept much; then Ada crashes for good."""
    timing = {"snapshot_entries": 20, "kept_entries": 5} if compacted else {}
    with StackSimulation(f"witness 4 {compacted}", quiet(**timing)) as world:
        ada, ben, witness = play(world)
        put(world, ada, 10)
        ben.crash()
        for _ in range(10):
            put(world, ada, 20)
        world.run(2.0)
        assert (log_of(witness).base_index > 100) is compacted
        crash(ada, witness)
        world.run(1.0)
        ben.start()
        witness.start()
        world.run_until(lambda: world.onlooker.host() is not None, 20.0)
        assert host_of(world) is ben and items(ben) == 210
        assert world.happened["witness led"]


def test_both_players_crash_and_the_witness_waits_without_end():
    with StackSimulation("witness 5", quiet()) as world:
        ada, ben, witness = play(world)
        put(world, ben, 10)
        crash(ada, ben)
        term = witness.process.running.core.term
        world.run(300.0)
        assert witness.process.running.core.term == term, "it asks, and nobody pays for it"
        ben.start()
        world.run_until(lambda: world.onlooker.host() is not None, 40.0)
        assert host_of(world) is ben and items(ben) == 10


@pytest.mark.parametrize("back", [(0, 1), (0, 2), (1, 2)])
def test_everybody_crashes_and_any_two_go_on_with_all_that_was_accepted(back):
    with StackSimulation(f"witness 6 {back}", quiet()) as world:
        players = play(world)
        put(world, players[1], 10)
        crash(*players)
        for number in back:
            players[number].start()
        world.run_until(lambda: world.onlooker.host() is not None, 20.0)
        assert items(host_of(world)) == 10


def test_a_witness_that_was_away_for_long_takes_the_snapshot_and_counts_again():
    with StackSimulation("witness 7", quiet(snapshot_entries=20, kept_entries=5)) as world:
        ada, ben, witness = play(world)
        witness.crash()
        for _ in range(5):
            put(world, ada, 20)
        witness.start()
        world.run(5.0)
        assert world.happened["witness restored"]
        ben.crash()
        put(world, ada, 10)
        assert items(ada) == 110


def test_a_witness_that_is_removed_while_it_is_out_of_reach_hears_it_later():
    with StackSimulation("witness 8", quiet()) as world:
        ada, ben, witness = play(world)
        cut_off(world, witness, [ada, ben])
        removed = ask(ada, lambda member: member.remove(witness.member))
        world.run(10.0)
        assert removed == [None]
        put(world, ada, 5)
        world.network.cut.clear()
        world.run_until(lambda: witness.process is None, 60.0)
        assert witness.is_gone


def test_a_full_disk_of_the_witness_holds_up_nobody():
    with StackSimulation("witness 9", quiet()) as world:
        ada, ben, witness = play(world)
        witness.disk.is_full = True
        put(world, ada, 50)
        world.run(5.0)
        assert not world.happened["QuorumLost"]
        witness.disk.is_full = False
        world.run(5.0)
        ada.crash()
        world.run_until(lambda: world.onlooker.host() is ben.process, 3.0)
        assert items(ben) == 50


def test_of_two_witnesses_that_join_at_once_one_is_admitted():
    with StackSimulation("witness 10", quiet()) as world:
        ada, ben = world.add_computer(), world.add_computer()
        world.found()
        world.bring_in([ben])
        tickets: list[str] = []
        ask(ada, lambda member: member.invite(uses=2))
        ada.process.carry_out(lambda member: member.invite(uses=2), tickets.append)
        world.run_until(lambda: tickets, 5.0)
        both = [world.add_computer(is_witness=True) for _ in range(2)]
        for each in both:
            each.ticket = tickets[0]
            each.start()
        world.run(20.0)
        (refused,) = (each for each in both if each.process is None)
        assert isinstance(refused.last_error, NotAdmitted) and "there is a witness already" in str(
            refused.last_error
        )
        assert len(log_of(ada).membership.witnesses) == 1


def test_a_ticket_is_good_for_a_player_or_a_witness_and_settings_may_differ():
    """A witness does not know the game's settings; what the players send tells it their timings."""
    with StackSimulation(
        "witness 11", quiet(heartbeat_s=0.1, promise_s=0.5, margin_s=0.03, stagger_s=0.06)
    ) as world:
        ada, ben = world.add_computer(), world.add_computer()
        witness = world.add_computer(is_witness=True)
        witness.program = replace(witness.program, settings=quiet().settings)
        world.found()
        world.bring_in([ben, witness])
        world.run(CALM_S)
        tenures = world.onlooker.one_tenure.tenures
        world.run(60.0)
        assert world.onlooker.one_tenure.tenures == tenures
        put(world, ben, 10)
        ada.crash()
        world.run_until(lambda: world.onlooker.host() is ben.process, 5.0)
        assert items(ben) == 10
