"""A witness votes and holds the log, and never hosts (design.md, section 4)."""

from __future__ import annotations

import pytest
from harness import FAR, A, B, Bench, C, D, append, beat, log_of, meta

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    HandOver,
    InstallSnapshot,
    PreVoteRequest,
    Release,
)
from failover.raft.timing import Timing

WITNESSED = Membership(frozenset((A, B, C)), witnesses=frozenset((C,)))
"""A and B are players; C is a witness."""


def bench(me, **options) -> Bench:
    return Bench(me, **{"log": log_of(1, membership=WITNESSED)} | options)


def host() -> Bench:
    leader = bench(A).lead()
    leader.sent.clear()
    return leader


def test_a_witness_that_leads_never_hosts():
    leader = bench(C).win((A, B)).answer_heartbeats(A, B).answer_appends(A, B)
    leader.keep_lease(1.0, A, B)
    assert not leader.hosted and leader.core.tenure is None
    assert leader.propose() is None


def test_a_witness_counts_for_commits_and_for_the_lease():
    leader = bench(A).lead((C,))
    proposed = leader.propose()
    leader.answer_appends(C)
    assert leader.core.commit_index == proposed.index
    assert not leader.keep_lease(1.0, C).stops


def test_nobody_hands_over_to_a_witness():
    leader = host()
    assert not leader.core.hand_over(C, leader.now)
    leader.core.hand_over(None, leader.now)
    assert leader.round().take(HandOver, C) == [] and leader.core.leadership.handing_over.target == B


def test_a_lone_player_cannot_hand_over_to_its_witness():
    leader = bench(A).lead((C,))
    assert not leader.core.hand_over(None, leader.now)


def test_a_witness_that_is_asked_to_take_over_does_not():
    member = bench(C).oversleep(FAR).get(A, append(2, (1, 1), 2), beat(2))
    assert member.get(A, HandOver(Term(2), Release(A, Term(2)))).core.role is Role.FOLLOWER


def test_a_witness_stands_after_all_who_may_host():
    """Rank: the id would let it stand first."""
    witnessed = Membership(frozenset((A, B, C)), witnesses=frozenset((A,)))
    stood = {me: Bench(me, log=log_of(1, membership=witnessed)).stand().now for me in (A, B, C)}
    assert stood[B] < stood[C] < stood[A]


def test_a_witness_stands_all_the_same_where_nobody_else_does():
    member = bench(C).oversleep(FAR).get(A, append(2, (1, 1), 2, 2), beat(2, promise=0.075))
    member.sent.clear()
    assert member.at(FAR + 0.2).take(PreVoteRequest, B)


def test_a_newcomer_can_be_a_witness_and_stays_one_when_it_is_promoted():
    leader = Bench(A, log=log_of(1, membership=Membership(frozenset((A, B))))).lead((B,))
    assert leader.core.change_membership((A, B), (D,), b"", leader.now, new_witnesses=(D,))
    leader.round().answer_appends(B, D).keep_lease(0.7, B, D)
    leader.answer_appends(B, D).answer_appends(B, D)
    membership = leader.core.log.membership
    assert not membership.is_joint and membership.voters == {A, B, D} and membership.witnesses == {D}


def test_nobody_becomes_a_witness_or_ceases_to_be_one():
    leader = host()
    leader.core.change_membership((A, B, C), (D,), b"", leader.now, new_witnesses=(B,))
    leader.round().answer_appends(B, C)
    assert leader.core.log.membership.witnesses == {C}
    leader.core.change_membership((A, B), (C, D), b"", leader.now)
    leader.round().answer_appends(B, C).answer_appends(B, C)
    assert C in leader.core.log.membership.witnesses


def test_the_last_voter_that_may_host_cannot_be_removed():
    witnesses = Membership(frozenset((A, B, C)), witnesses=frozenset((A, C)))
    leader = Bench(A, log=log_of(1, membership=witnesses)).win().answer_heartbeats(B, C).answer_appends(B, C)
    assert leader.core.change_membership((A, C), (), b"", leader.now) is None


@pytest.mark.parametrize("membership", [WITNESSED, WITNESSED.entering((A, C, D), (B,), (D,))])
def test_witnesses_survive_a_snapshot_and_a_restart(membership):
    member = Bench(B, log=(), snapshot=meta(5, 2, membership))
    assert member.core.log.membership.witnesses == membership.witnesses


def test_a_witness_takes_no_snapshot_for_it_has_no_state():
    timing = Timing(snapshot_entries=10, kept_entries=0)
    for me, expected in ((B, 1), (C, 0)):
        member = bench(me, timing=timing).get(A, append(2, (1, 1), *[2] * 20, commit=21))
        assert len(member.applied) == 21 and member.snapshots_taken == expected


# --- the log of a witness ---


def announced(last_index: int, term: int = 2) -> InstallSnapshot:
    return InstallSnapshot(Term(term), LogIndex(last_index), Term(2), WITNESSED, LogIndex(1), 100)


def witness_with_log() -> Bench:
    """C holds, and knows as committed, entries up to 21."""
    return bench(C, timing=Timing(snapshot_entries=10, kept_entries=4)).get(
        A, append(2, (1, 1), *[2] * 20, commit=21)
    )


def test_a_witness_keeps_the_leaders_snapshot_and_cuts_its_log_short():
    """Its log would grow for ever: it has no state of which to take a snapshot."""
    member = witness_with_log().get(A, announced(15))
    assert [kept.last_index for kept in member.keeps] == [15] and not member.installs
    assert member.core.log.base_index == 0, "not before it is durable"
    member.core.snapshot_stored(member.keeps[0], member.now)
    member.round()
    assert (member.core.log.snapshot_index, member.core.log.base_index) == (15, 11)
    assert member.core.applied_index == 21, "and nothing is applied again"


def test_a_witness_goes_on_answering_while_it_stores_a_snapshot():
    member = witness_with_log().get(A, announced(15)).get(A, append(2, (21, 2), 2))
    assert member.last(AppendResponse).index == 22


def test_a_witness_says_how_far_its_snapshot_reaches():
    member = witness_with_log().get(A, announced(15))
    assert member.get(A, append(2, (21, 2), 2)).last(AppendResponse).hint_index == 0
    member.core.snapshot_stored(member.keeps[0], member.now)
    assert member.round().get(A, append(2, (22, 2), 2)).last(AppendResponse).hint_index == 15


def test_a_witness_stores_one_snapshot_at_a_time_and_no_older_one():
    member = witness_with_log().get(A, announced(15), announced(18))
    assert len(member.keeps) == 1
    member.core.snapshot_stored(member.keeps[0], member.now)
    member.round().get(A, announced(12), announced(15))
    assert len(member.keeps) == 1
    assert len(member.get(A, announced(18)).keeps) == 2


def test_nobody_else_keeps_a_snapshot_that_it_does_not_need():
    member = bench(B).get(A, append(2, (1, 1), *[2] * 20, commit=21), announced(15))
    assert not member.keeps and not member.installs


def host_with_snapshot() -> Bench:
    leader = bench(A, timing=Timing(snapshot_entries=10, kept_entries=4)).lead()
    for _ in range(20):
        leader.propose()
    leader.answer_appends(B, C)
    assert leader.snapshots_taken
    leader.core.snapshot_stored(meta(12, 2, WITNESSED), leader.now)
    return leader.round()


def holds(leader: Bench, follower, covered: int = 0) -> Bench:
    """It holds all, and has a snapshot up to `covered`."""
    leader.propose()
    last = leader.core.log.last_index
    return leader.get(follower, AppendResponse(leader.core.term, True, last, LogIndex(covered)))


def test_a_leader_sends_its_witness_each_newer_snapshot_once():
    leader = host_with_snapshot()
    holds(holds(holds(leader, B), C), C)
    assert leader.snapshots_sent == [C]
    holds(leader, C, 12)
    assert leader.snapshots_sent == [C]
    leader.answer_appends(B)
    leader.core.snapshot_stored(meta(20, 2, WITNESSED), leader.now)
    holds(leader.round(), C, 12)
    assert leader.snapshots_sent == [C, C]


def test_a_witness_that_has_a_snapshot_as_new_is_sent_none():
    leader = host_with_snapshot()
    assert holds(leader, C, 12).snapshots_sent == [] and holds(leader, C, 40).snapshots_sent == []


def test_a_witness_takes_one_snapshot_at_a_time():
    """The bytes of the second would be taken for those of the first."""
    witness = witness_with_log().get(A, announced(15), announced(90))
    assert [kept.last_index for kept in witness.keeps] == [15] and not witness.installs
    witness.core.snapshot_stored(witness.keeps[0], witness.now)
    witness.round().get(A, announced(90))
    assert [installed.last_index for installed in witness.installs] == [90]


def test_a_snapshot_that_does_not_reach_the_witness_is_sent_again_ever_more_rarely():
    leader = holds(host_with_snapshot(), C)
    for _ in range(2000):
        if leader.core.leadership.replication.progress[C].supplied_index:
            leader.core.transfer_ended(C, leader.now, arrived=False)
        leader.keep_lease(0.02, B, C)
        holds(leader, C)
    assert 8 <= len(leader.snapshots_sent) <= 13
