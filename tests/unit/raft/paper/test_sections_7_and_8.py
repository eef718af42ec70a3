"""Raft, 7 and 8: snapshots and clients, where test_snapshots.py and others do not hold it already."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster import Cluster, cluster_of
from harness import FAR, THREE, TIMING, A, B, Bench, C, D, append, beat, entry, log_of, meta, pre_vote

from failover.ids import LogIndex, Term
from failover.raft.membership import Membership
from failover.raft.messages import HeartbeatResponse, InstallSnapshot, PreVoteResponse

SMALL = replace(TIMING, snapshot_entries=10, kept_entries=0)

# --- 7: snapshots ---


def test_every_member_takes_its_own_snapshots_of_what_is_committed():
    """Followers too, and nothing that is not committed is in them."""
    member = Bench(B, timing=SMALL).oversleep(FAR).get(A, append(2, (1, 1), *[2] * 20, commit=11))
    assert member.snapshots_taken == 1
    assert member.core.applied_index == 11 < member.core.log.last_index


@pytest.mark.parametrize("bound", ["entries", "bytes"])
def test_a_snapshot_is_due_when_the_log_has_reached_its_size(bound):
    timing = SMALL if bound == "entries" else replace(SMALL, snapshot_entries=1000, snapshot_bytes=2000)
    big = "x" * (1 if bound == "entries" else 300)
    leader = Bench(A, timing=timing).lead((B,))
    taken = []
    for _ in range(9):
        leader.propose(big)
        leader.answer_appends(B)
        taken.append(leader.snapshots_taken)
    assert taken == sorted(taken) and taken[0] == 0 and taken[-1] == 1


def test_a_snapshot_stands_where_its_last_entry_stood():
    """Its index and term take part in the check of what comes next, as the entry itself did."""
    member = Bench(B, log=[], term=3, snapshot=meta(10, 3)).oversleep(FAR)
    assert member.core.log.is_up_to_date(LogIndex(10), Term(3)) and not member.core.log.is_up_to_date(
        LogIndex(9), Term(3)
    )
    assert member.get(A, append(4, (10, 3), 4)).core.log.last_index == 11
    assert Bench(B, log=[], term=3, snapshot=meta(10, 3)).oversleep(FAR).get(A, append(4, (10, 2), 4)).terms == []


def test_nothing_is_deleted_before_the_snapshot_that_covers_it_is_durable():
    leader = Bench(A, timing=SMALL).lead((B,))
    for _ in range(12):
        leader.propose()
    leader.answer_appends(B)
    assert leader.snapshots_taken == 1
    assert leader.core.log.base_index == 0 and all(write.compact_to is None for write in leader.writes)
    index = leader.core.applied_index
    leader.core.snapshot_stored(meta(index, 2), leader.now)
    leader.round()
    assert leader.core.log.base_index == index and leader.writes[-1].compact_to == index


def test_a_snapshot_of_the_own_past_covers_a_prefix_and_the_rest_stays():
    """A retransmission, or a mistake: what follows it is valid still."""
    member = Bench(B, log=log_of(*[1] * 9)).oversleep(FAR)
    member.get(A, InstallSnapshot(Term(2), LogIndex(5), Term(1), THREE, LogIndex(1), 0))
    member.core.snapshot_installed(member.now)
    member.round()
    assert (member.core.log.base_index, member.core.log.last_index) == (5, 9)


def test_the_state_and_the_membership_become_those_of_the_snapshot():
    """Figure 13, receiver 8: the state machine is reset, and the cluster's membership with it."""
    four = Membership(frozenset((A, B, C, D)))
    member = Bench(B, log=log_of(1, 1, 2)).oversleep(FAR)
    member.get(A, InstallSnapshot(Term(4), LogIndex(50), Term(3), four, LogIndex(30), 0))
    assert member.installs == [meta(50, 3, four, 30)]
    member.core.snapshot_installed(member.now)
    member.round()
    core = member.core
    assert (core.log.membership, core.log.membership_index) == (four, 30)
    assert core.applied_index == core.commit_index == core.log.last_index == 50 and core.log.last_term == 3


def test_while_a_snapshot_comes_the_leader_keeps_its_follower_by_heartbeats():
    """Each chunk counts as a sign of life in the paper; here heartbeats go on beside the transfer."""
    member = Bench(B).oversleep(FAR).get(A, InstallSnapshot(Term(2), LogIndex(50), Term(2), THREE, LogIndex(1), 0))
    member.get(A, beat(2, 7))
    assert member.last(HeartbeatResponse).promise_s == 0.075
    assert not member.get(C, pre_vote(3)).last(PreVoteResponse).granted


def test_a_follower_far_behind_is_brought_up_by_snapshot_and_log():
    table = Cluster(*(Bench(name, timing=SMALL) for name in (A, B, C)))
    table.with_host()
    table.run(0.1).crash(C)
    host = table.with_host()
    for n in range(40):
        host.propose(str(n))
        table.run(0.01)
    assert host.core.log.base_index > 30
    table.restart(C)
    table.until(lambda: table[C].core.applied_index == host.core.applied_index, 3.0)
    assert [said for said in table.said if isinstance(said.message, InstallSnapshot) and said.to == C]


# --- 8: clients ---


def test_the_leader_is_known_to_those_who_hear_it():
    """So that a client that comes to another member can be sent on."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1)
    assert {bench.core.leader for bench in table.benches.values()} == {host.core.me}


def test_a_new_leader_learns_what_is_committed_by_its_no_op():
    """It holds all committed entries (leader completeness), but not yet which they are."""
    leader = Bench(A, log=[*log_of(1), entry(2, 1, "accepted by the last leader")]).win()
    assert leader.core.read_index(leader.now) is None and not leader.applied
    leader.answer_heartbeats(B).answer_appends(B)
    assert leader.core.read_index(leader.now) == 3
    assert [e.index for e in leader.applied] == [1, 2, 3]


def test_a_leader_that_was_replaced_answers_no_read():
    """It has heard nothing yet of the new one: its lease has ended before that one could be elected."""
    table = cluster_of(A, B, C)
    old = table.with_host()
    table.run(0.1)
    assert old.core.read_index(old.now) is not None
    table.isolate(old.core.me)
    while table.host is None or table.host is old:
        table.run(0.001)
        assert old.core.read_index(old.now) is None or table.host in (None, old)
    assert old.core.term < table.host.core.term
    assert old.core.read_index(old.now) is None and table.host.core.read_index(table.now) is not None
