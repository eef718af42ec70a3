"""Ongaro's dissertation: 3.10 leadership transfer, 6.4 reads, 9.6 pre-vote, 10.2 speed."""

from __future__ import annotations

import pytest
from cluster import cluster_of
from harness import FAR, TIMING, A, B, Bench, C, append, beat, log_of, pre_vote

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
)
from failover.raft.timing import LEASE_FRACTION

# --- 3.10: leadership transfer ---


def test_the_target_leads_after_one_round_of_votes_and_the_old_leader_follows():
    table = cluster_of(A, B, C)
    old = table.with_host()
    table.run(0.1).said.clear()
    target = max(table.benches.keys() - {old.core.me})
    began = table.now
    assert old.core.hand_over(target, old.now)
    old.round()
    table.until(lambda: table.host is table[target])
    assert table.now - began < 0.02
    assert old.core.role is Role.FOLLOWER and old.core.term == table[target].core.term == 3
    assert not [said for said in table.said if isinstance(said.message, PreVoteRequest)]


def test_the_target_is_sent_all_that_it_lacks_before_it_is_asked():
    """A target that lacks little is close enough for the host to stop, but not to be asked to stand."""
    leader = Bench(A).lead()
    made = [leader.propose(str(n)) for n in range(10)]
    leader.sent.clear()
    assert leader.core.hand_over(B, leader.now)
    assert leader.round().stops and not leader.take(HandOver)
    leader.get(B, AppendResponse(Term(2), True, made[-2].index))
    assert not leader.take(HandOver)
    leader.get(B, AppendResponse(Term(2), True, made[-1].index))
    assert leader.take(HandOver, B)


def test_a_target_that_fails_leaves_a_cluster_that_elects():
    """There the old leader resumes; ours has stopped its host for good, and leaves the way free."""
    table = cluster_of(A, B, C)
    old = table.with_host()
    table.run(0.1)
    target = max(table.benches.keys() - {old.core.me})
    table.crash(target)
    assert old.core.hand_over(target, old.now)
    old.round()
    host = table.with_host(2.0)
    assert host.core.term > 2 and host.propose("on") is not None


# --- 6.4: reads ---


def test_a_read_waits_for_what_was_committed_when_it_was_asked():
    """Steps 2 and 4: the index of the read is the commit index of then, whatever is applied by then."""
    leader = Bench(A).lead()
    leader.propose()
    assert leader.core.read_index(leader.now) == 2, "what is not committed is not promised to a reader"
    leader.answer_appends(B)
    assert leader.core.read_index(leader.now) == 3


def test_a_read_needs_no_entry_and_no_write():
    leader = Bench(A).lead()
    writes, last = len(leader.writes), leader.core.log.last_index
    for _ in range(10):
        assert leader.core.read_index(leader.now) == 2
    leader.round()
    assert (len(leader.writes), leader.core.log.last_index) == (writes, last)


def test_a_follower_answers_no_read_of_its_own():
    member = Bench(B).oversleep(FAR).get(A, beat(2, commit=1))
    assert member.core.read_index(member.now) is None


def test_every_answered_round_renews_the_lease_by_less_than_an_election_takes():
    """6.4.1: start of the round + election timeout / clock drift bound; our timeout is the promise."""
    leader = Bench(A).lead()
    for _ in range(3):
        leader.sent.clear()
        leader.at(leader.now + 0.031)
        beats = leader.take(Heartbeat, B)
        leader.get(B, HeartbeatResponse(Term(2), beats[-1].round, 0.075, LogIndex(2)))
        assert leader.core.lease_until <= leader.now + LEASE_FRACTION * 0.075
        assert leader.core.lease_until > leader.now + 0.02
    assert LEASE_FRACTION < 0.9 / 1.1


# --- 9.6: pre-vote ---


def test_a_member_that_comes_back_from_a_partition_makes_nobody_step_down():
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1)
    alone = max(table.benches.keys() - {host.core.me})
    table.isolate(alone)
    table.run(5.0)
    assert table[alone].core.term == host.core.term
    table.cut.clear()
    table.run(1.0)
    assert table.host is host and host.hosted == [host.core.term]


def test_a_candidate_asks_for_votes_only_when_a_majority_would_give_theirs():
    member = Bench(A).at(FAR).stand()
    assert not member.take(VoteRequest)
    member.get(B, PreVoteResponse(Term(1), Term(2), False))
    assert not member.take(VoteRequest) and member.core.term == 1
    member.get(C, PreVoteResponse(Term(1), Term(2), True))
    assert member.take(VoteRequest) and member.core.term == 2


@pytest.mark.parametrize(("later", "granted"), [(0.074, False), (0.0751, True)])
def test_a_pre_vote_is_granted_only_when_no_leader_was_heard_for_a_while(later, granted):
    member = Bench(B).oversleep(FAR).get(A, beat(2, promise=0.075)).oversleep(FAR + later)
    assert member.get(C, pre_vote(3)).last(PreVoteResponse).granted is granted


def test_a_pre_vote_is_not_granted_to_a_shorter_log():
    member = Bench(B, log=log_of(1, 1, 1)).oversleep(FAR)
    assert not member.get(C, pre_vote(3, (2, 1))).last(PreVoteResponse).granted


# --- 10.2: speed ---


def test_the_leader_sends_at_once_and_writes_meanwhile():
    """10.2.1: the disk of the leader and the network work at the same time."""
    leader = Bench(A).lead()
    leader.disk_is_slow = True
    leader.sent.clear()
    made = leader.propose()
    assert {to for to, m in leader.sent if isinstance(m, AppendEntries) and made in m.entries} == {B, C}
    assert leader.core.durable_index < made.index


def test_proposals_follow_each_other_without_waiting_for_answers():
    """10.2.2, pipelining: next index moves when something is sent, not when it is answered."""
    leader = Bench(A).lead()
    leader.sent.clear()
    made = [leader.propose() for _ in range(5)]
    sent = leader.take(AppendEntries, B)
    assert [message.entries for message in sent] == [(entry,) for entry in made]
    assert [message.prev_log_index for message in sent] == [2, 3, 4, 5, 6]


def test_what_was_lost_on_the_way_is_sent_again_from_where_the_logs_agree():
    """10.2.2: pipelining may be wrong; next index goes back to what is known."""
    leader = Bench(A).lead()
    made = [leader.propose() for _ in range(5)]
    leader.get(B, AppendResponse(Term(2), True, made[1].index))
    leader.sent.clear()
    leader.at(leader.now + 0.04)
    again = leader.take(AppendEntries, B)
    assert again and again[0].entries[0] == made[2]


def test_a_pipelined_append_that_overtakes_another_is_not_lost():
    """10.2.2: out of order is refused by the check; ours is kept, too, so that nothing is sent twice."""
    member = Bench(B).oversleep(FAR).get(A, append(2, (2, 2), 2), append(2, (1, 1), 2))
    assert member.core.log.last_index == 3 and member.last(AppendResponse).index == 3


def test_many_proposals_of_one_moment_travel_and_are_written_as_one():
    """10.2.2, batching."""
    leader = Bench(A).lead()
    leader.sent.clear()
    writes = len(leader.writes)
    for n in range(100):
        leader.core.propose(str(n).encode(), leader.now)
    leader.round()
    assert len(leader.take(AppendEntries, B)) == 1 and len(leader.writes) == writes + 1


def test_a_batch_is_bounded():
    leader = Bench(A).lead()
    leader.sent.clear()
    for _ in range(8):
        leader.core.propose(bytes(TIMING.batch_bytes // 6), leader.now)
    leader.round()
    assert [len(message.entries) for message in leader.take(AppendEntries, B)] == [5, 3]
