"""Members that close, crash and come back, one after the other: whoever is left plays on (design.md, 5)."""

from __future__ import annotations

import pytest
from harness import FAR, THREE, A, B, Bench, C, D, beat, entry, log_of

from failover.ids import LogIndex, Term
from failover.raft.leaving import is_needed
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, CommitNotice, HeartbeatResponse, PreVoteRequest
from failover.testing.core_simulation import CoreSimulation
from failover.testing.simulated_member import SimulatedMember

PLAYS_ON_WITHIN_S = 5.0


def game(players: int, seed: int = 1, **options) -> CoreSimulation:
    """So many players; who votes is as the autopilot would have it."""
    voters = players if players < 4 else 3 if players == 4 else 5
    simulation = CoreSimulation(seed, voters, learners=players - voters, **options)
    plays_on(simulation)
    simulation.run(1.0)
    return simulation


def plays_on(simulation: CoreSimulation) -> None:
    """A host is there, and what it proposes is committed."""
    simulation.run_until(lambda: simulation.host() is not None, PLAYS_ON_WITHIN_S)
    proposed = simulation.host().propose(b"on")
    simulation.run_until(
        lambda: len(simulation.one_history.committed) >= proposed.index or simulation.host() is None,
        PLAYS_ON_WITHIN_S,
    )


def close(simulation: CoreSimulation, member: SimulatedMember) -> None:
    """As a member closes: hand over, give up the vote, go."""
    core = member.core
    core.is_leaving = True

    def may_go() -> bool:
        if core.leadership is None:
            return not is_needed(core, member.clock())
        if not core.leadership.succession.has_somebody(member.clock()):
            return True
        core.hand_over(None, member.clock())
        member.carry_out()
        return False

    simulation.run_until(may_go, 1.5)
    member.crash()


def up(simulation: CoreSimulation) -> list[SimulatedMember]:
    return [member for member in simulation.members.values() if member.alive]


@pytest.mark.parametrize("players", range(1, 11))
@pytest.mark.parametrize("who", ["host", "last", "host and last in turn"])
def test_players_of_games_of_every_size_leave_one_by_one_and_the_rest_plays_on(players, who):
    simulation = game(players)
    for turn in range(players - 1):
        is_host = who == "host" or (who != "last" and turn % 2 == 0)
        others = [member for member in up(simulation) if member is not simulation.host()]
        close(simulation, simulation.host() if is_host else others[-1])
        plays_on(simulation)
    assert len(up(simulation)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_players_who_leave_at_the_same_time_leave_a_game_that_goes_on(seed):
    simulation = game(7, seed)
    leavers = up(simulation)[: 2 + seed % 3]
    for member in leavers:
        member.core.is_leaving = True
    for member in leavers:
        close(simulation, member)
    plays_on(simulation)


@pytest.mark.parametrize("players", range(4, 11))
@pytest.mark.parametrize("seed", range(3))
def test_one_crash_after_another_is_survived_as_long_as_two_are_left(players, seed):
    """Four players, two crashes one after the other; the host or anybody."""
    simulation = game(players, seed)
    while len(up(simulation)) > 2:
        victim = simulation.random.choice(up(simulation))
        victim.crash()
        simulation.run(simulation.timing.voter_grace_s + 2.0)
        if len(up(simulation)) >= 2:
            plays_on(simulation)


def test_three_players_and_one_crash():
    simulation = game(3)
    simulation.host().crash()
    plays_on(simulation)


def test_who_returns_votes_again_where_that_is_of_use():
    simulation = game(5)
    gone = [member for member in up(simulation) if member is not simulation.host()][:2]
    for member in gone:
        member.crash()
    simulation.run(4.0)
    assert len(simulation.one_history.membership.voters) == 3, "two gave up their votes: one more may crash"
    for member in gone:
        member.start()
    simulation.run(4.0)
    assert len(simulation.one_history.membership.voters) == 5
    assert not simulation.one_history.membership.is_joint


def test_a_silence_shorter_than_the_grace_changes_nothing():
    simulation = game(4)
    before = simulation.one_history.membership
    voter = next(simulation.members[v] for v in sorted(before.voters) if v != simulation.host().me)
    for _ in range(5):
        voter.pause(1.5)
        simulation.run(3.0)
    assert simulation.one_history.membership == before


def test_a_voter_that_comes_and_goes_is_swapped_once():
    simulation = game(4)
    voter = next(
        simulation.members[v]
        for v in sorted(simulation.one_history.membership.voters)
        if v != simulation.host().me
    )
    changes = []
    for _ in range(5):
        voter.pause(4.0)
        simulation.run(8.0)
        changes.append(simulation.one_history.membership)
    assert len(set(changes)) == 1 and voter.me in changes[0].learners


# --- when a member may go ---


ONLY_A = Membership(frozenset((A,)), learners=frozenset((B,)))
TWO = Membership(frozenset((A, B)))


def closing(commit: int) -> Bench:
    """B of two closes; its log holds the membership without it, committed up to here."""
    joint = TWO.entering((A,), (B,))
    log = [*log_of(1, membership=TWO)]
    member = Bench(B, log=log).oversleep(FAR).get(A, beat(2))
    member.core.is_leaving = True
    entries = (entry(2, 2, membership=joint), entry(3, 2, membership=ONLY_A))
    return member.get(A, AppendEntries(Term(2), LogIndex(1), Term(1), entries, LogIndex(commit)))


def test_who_closes_waits_until_the_membership_without_it_is_committed():
    """Else the leader may crash before that is on its disk, and come back needing the one that is gone."""
    member = closing(commit=2)
    assert is_needed(member.core, member.now)
    assert not is_needed(member.get(A, CommitNotice(Term(2), LogIndex(3))).core, member.now)


def test_who_leads_is_not_waited_for_it_hands_over():
    assert not is_needed(Bench(A).lead().core, 0.0)


def test_who_has_no_log_has_no_vote():
    assert not is_needed(Bench(D, log=[]).core, 0.0)


def test_who_closes_waits_for_no_leader_that_is_gone():
    member = closing(commit=2)
    assert not is_needed(member.oversleep(FAR + 1.1).core, member.now)


@pytest.mark.parametrize("seed", range(20))
def test_of_two_one_closes_and_the_other_crashes_meanwhile_and_plays_on_when_it_is_back(seed):
    """The one that closes may alone know the newest membership: it is there until the other leads."""
    simulation = game(2, seed)
    host = simulation.host()
    other = next(member for member in up(simulation) if member is not host)
    other.core.is_leaving = True
    simulation.run_until(lambda: host.core.log.membership.is_joint, 2.0)
    host.stall_disk(0.05)
    simulation.run(0.002 * seed)
    host.crash()
    simulation.run(0.02)
    host.start()
    close(simulation, other)
    plays_on(simulation)
    assert simulation.host() is host


# --- whose vote counts no more ---


def test_who_is_to_lose_its_vote_may_stand_until_that_is_committed():
    """Raft dissertation, 4.2.2 and figure 4.6: it may be the only one with the entry that says so."""
    member = closing(commit=2)
    member.core.is_leaving = False
    member.sent.clear()
    assert member.at(FAR + 1).take(PreVoteRequest, A)
    member.get(A, CommitNotice(Term(2), LogIndex(3)))
    member.sent.clear()
    assert not member.at(FAR + 10).take(PreVoteRequest)


def test_a_voter_that_became_one_of_one_and_crashed_is_elected_by_those_who_know():
    """Found by the simulation: {a, b, c} becomes {c}, and c crashes before its disk has the entry that says so.

    a and b have the longer log and no vote, c has a vote and the shorter log: nobody was left to elect.
    """
    joint = THREE.entering((C,), (A, B))
    alone = Membership(frozenset((C,)), learners=frozenset((A, B)))
    knows = Bench(A, log=[*log_of(1), entry(2, 1, membership=joint), entry(3, 1, membership=alone)])
    knows.core.commit(LogIndex(2))
    knows.win((C,))
    assert knows.core.leadership is not None and not knows.hosted, "it leads, and does not host"
    knows.answer_heartbeats(B, C).answer_appends(B, C)
    assert not knows.hosted
    knows.keep_lease(0.3, B, C)
    assert knows.core.leadership is None or knows.core.leadership.handing_over.target == C


def test_who_lost_its_vote_in_an_entry_that_its_heir_lost_stands_after_a_restart_too():
    """Found by the simulation: {a, b} becomes {b}, b crashes before its disk has the entry, and so does a.

    b needs a's vote by its shorter log, a has no vote by its longer one. What is committed nobody knows any more.
    """
    joint, alone = TWO.entering((B,), (A,)), Membership(frozenset((B,)), learners=frozenset((A,)))
    log = [*log_of(1, membership=TWO), entry(2, 1, membership=joint), entry(3, 1, membership=alone)]
    knows = Bench(A, log=log, ceiling=0.8)
    assert knows.core.commit_index == 0
    knows.win((B,))
    assert knows.core.leadership is not None
    knows.answer_heartbeats(B).answer_appends(B)
    assert knows.core.commit_index >= 3
    knows.keep_lease(0.3, B)
    assert knows.core.leadership is None or knows.core.leadership.handing_over.target == B


def test_who_lost_its_vote_long_ago_does_not_stand_after_a_restart():
    joint, alone = TWO.entering((B,), (A,)), Membership(frozenset((B,)), learners=frozenset((A,)))
    later = alone.with_learners((A, C))
    log = [*log_of(1, membership=TWO), entry(2, 1, membership=joint)]
    log += [entry(3, 1, membership=alone), entry(4, 1, membership=later)]
    assert not Bench(A, log=log).at(FAR).take(PreVoteRequest)


def test_a_leader_without_a_vote_hands_over():
    leader = Bench(A).lead()
    learner = Membership(frozenset((B, C)), learners=frozenset((A,)))
    leader.core.leadership._append(b"", THREE.entering((B, C), (A,)))
    leader.round().answer_appends(B, C).answer_appends(B, C)
    leader.keep_lease(0.3, B, C)
    assert leader.core.log.membership == learner and leader.stops


# --- promotion ---


def test_a_learner_that_needed_only_a_snapshot_is_promoted():
    """Symptom: promotion is looked at with answers to appends only (rabbitmq/ra#584)."""
    membership = Membership(frozenset((A, B)), learners=frozenset((D,)))
    leader = Bench(A, log=log_of(1, membership=membership)).lead((B,))
    last = leader.core.log.last_index
    progress = leader.core.leadership.replication.progress[D]
    progress.needs_snapshot(last, leader.core.term, leader.now)
    leader.get(D, HeartbeatResponse(leader.core.term, 1, 0.075, last))
    leader.get(D, AppendResponse(leader.core.term, True, last))
    leader.keep_lease(1.0, B, D)
    assert D in leader.core.log.membership.all_voters, "nothing was appended since"


def test_a_learner_that_closes_is_not_promoted_after_it_is_gone():
    membership = Membership(frozenset((A, B)), learners=frozenset((D,)))
    leader = Bench(A, log=log_of(1, membership=membership)).lead((B,))
    leader.get(D, AppendResponse(leader.core.term, True, leader.core.log.last_index))
    leader.keep_lease(0.3, B, D)
    leader.keep_lease(2.0, B)
    assert leader.core.log.membership == membership
