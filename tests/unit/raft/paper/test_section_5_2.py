"""Raft, 5.2: elections, where tests/unit/raft/test_elections.py does not hold it already."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from cluster import cluster_of
from harness import FAR, TIMING, A, B, Bench, C, append, beat, log_of

from failover.ids import Term
from failover.raft.core import Core, Role
from failover.raft.effects import HardState
from failover.raft.messages import (
    AppendResponse,
    Heartbeat,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)


def candidate(me=A) -> Bench:
    member = Bench(me).at(FAR).stand()
    return member.get(C, PreVoteResponse(Term(1), Term(2), True))


def test_a_follower_stays_one_while_it_hears_the_leader():
    """What holds it back is the promise in its answer, not a timer of its own."""
    member = Bench(B).oversleep(FAR)
    for n in range(40):
        member.get(A, beat(2, n)).at(member.now + 0.07)
    assert member.core.role is Role.FOLLOWER and not member.take(PreVoteRequest)


def test_a_leader_sends_its_heartbeats_to_all_and_at_regular_times():
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1).said.clear()
    table.run(1.0)
    for other in table.benches.keys() - {host.core.me}:
        at = [said.at for said in table.said if isinstance(said.message, Heartbeat) and said.to == other]
        assert [later - before for before, later in pairwise(at)] == pytest.approx(
            [TIMING.heartbeat_s] * 32, abs=1e-6
        )


def test_a_heartbeat_that_leaves_late_does_not_delay_those_after_it():
    """Counted from the schedule, not from the wake-up: else all would drift, and lateness would add up."""
    leader = Bench(A).lead()
    began = leader.now
    leader.oversleep(began + TIMING.heartbeat_s + 0.012).tick().answer_heartbeats(B, C).sent.clear()
    assert not leader.at(began + 2 * TIMING.heartbeat_s - 0.001).take(Heartbeat)
    assert leader.at(began + 2 * TIMING.heartbeat_s + 0.001).take(Heartbeat)


def test_votes_of_an_earlier_term_elect_nobody():
    """A majority counts for one and the same term."""
    member = candidate().at(FAR + 2.0)  # nobody answered: it asks again, for a vote in a later term
    while member.core.role is not Role.CANDIDATE:
        member.stand().get(C, PreVoteResponse(member.core.term, Term(member.core.term + 1), True))
    assert member.core.term == 3
    member.get(B, VoteResponse(Term(2), Term(2), True)).get(C, VoteResponse(Term(3), Term(2), True))
    assert member.core.role is Role.CANDIDATE
    member.get(B, VoteResponse(Term(3), Term(3), True))
    assert member.core.role is Role.LEADER


def test_one_vote_that_comes_twice_is_one_vote():
    five = log_of(1, membership=cluster_of(A, B, C, b"d", b"e")[A].core.log.membership)
    member = Bench(A, log=five).at(FAR).stand()
    for voter in (B, C):
        member.get(voter, PreVoteResponse(Term(1), Term(2), True))
    for _ in range(3):
        member.get(B, VoteResponse(Term(2), Term(2), True))
    assert member.core.role is Role.CANDIDATE


def test_a_candidate_answers_a_leader_of_an_older_term_with_its_own():
    """Rejects the call and stays a candidate."""
    member = candidate()
    member.sent.clear()
    member.get(B, append(1, (1, 1)))
    answer = member.last(AppendResponse, B)
    assert not answer.success and answer.term == 2 and member.core.role is Role.CANDIDATE


def test_a_candidate_that_neither_wins_nor_loses_stands_again_in_a_new_term():
    member = candidate()
    member.sent.clear()
    while member.core.role is not Role.CANDIDATE or member.core.term == 2:
        member.at(member.effects.deadline)
        if member.core.role is Role.PRE_CANDIDATE:
            member.get(C, PreVoteResponse(Term(2), Term(3), True))
        assert member.now < FAR + 2.0
    assert member.core.term == 3 and any(m.term == 3 for m in member.take(VoteRequest))


def first_stand_after_a_lost_round(dice) -> float:
    core = Core(
        A,
        timing=TIMING,
        hard_state=HardState(Term(1), None, 0.1),
        snapshot=None,
        entries=log_of(1),
        dice=dice,
        now=0.0,
    )
    core.fitness.rank = 0  # else it would wait for those of better rank, too
    core.tick(FAR)
    assert core.role is Role.PRE_CANDIDATE
    for voter in (B, C):
        core.receive(voter, PreVoteResponse(Term(1), Term(2), False), FAR)
    return core.take_effects(FAR).deadline - FAR


def test_after_a_lost_round_the_wait_is_drawn_by_lot():
    """So that split votes do not repeat themselves for ever; drawn over one promise."""
    waits = [first_stand_after_a_lost_round(random.Random(seed).random) for seed in range(50)]
    assert len({round(wait, 6) for wait in waits}) == len(waits)
    assert 0.0 <= min(waits) < 0.2 * TIMING.promise_s and 0.8 * TIMING.promise_s < max(waits) <= TIMING.promise_s


def test_one_of_those_who_miss_the_leader_stands_first_and_wins_at_once():
    """Ours: not by lot but by rank, so that the first round decides."""
    table = cluster_of(A, B, C, b"d", b"e")
    first = table.with_host()
    table.run(1.0).crash(first.core.me)
    term, table.said = first.core.term, []
    host = table.with_host(1.0)
    assert host.core.term == term + 1
    stood = {said.sender for said in table.said if isinstance(said.message, VoteRequest)}
    assert stood == {host.core.me}
