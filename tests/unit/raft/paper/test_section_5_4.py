"""Raft, 5.4 to 5.6: what keeps committed entries, crashes, and time (docs/explanation/paper.md)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster import cluster_of
from harness import FAR, TIMING, A, B, Bench, C, D, E, append, beat, entry, log_of, vote

from failover.errors import BadSettings
from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, Heartbeat, HeartbeatResponse, VoteResponse
from failover.raft.timing import Timing

FIVE = Membership(frozenset((A, B, C, D, E)))

# --- 5.4.1: who may be elected ---


def test_who_lacks_a_committed_entry_is_not_elected_though_it_stands_first():
    """Every majority that elects holds at least one member with the entry, and that one refuses."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1)
    others = sorted(table.benches.keys() - {host.core.me})
    behind, ahead = others
    table.isolate(behind)
    host.propose("kept")
    table.run(0.02)
    kept = host.core.commit_index
    assert host.core.log.term_at(kept) is not None and table[ahead].core.log.last_index == kept
    table.crash(host.core.me)
    table.cut.clear()
    new = table.with_host()
    assert new.core.me == ahead
    table.run(0.2)
    assert table[behind].applied == new.applied and b"kept" in [e.command for e in new.applied]


# --- 5.4.2: entries of earlier terms ---


def figure_8() -> dict:
    """Figure 8 after (b): S1 (A) has a second entry of term 2, B too; S5 (E) has one of term 3 there instead."""
    first = entry(1, 1, membership=FIVE)
    old, rival = entry(2, 2, "2"), entry(2, 3, "3")
    return {A: [first, old], B: [first, old], C: [first], D: [first], E: [first, rival]}


def lead_term_4(logs) -> Bench:
    leader = Bench(A, log=logs[A], term=3).win((B, C))
    assert leader.core.term == 4
    return leader


def test_an_old_entry_on_a_majority_is_not_committed_by_that_alone():
    """Figure 8 (c): A leads term 4 and copies its entry of term 2 to C: three of five hold it."""
    leader = lead_term_4(figure_8())
    for follower in (B, C):
        leader.get(follower, AppendResponse(Term(4), True, LogIndex(2)))
    assert leader.core.commit_index == 0


def test_and_indeed_it_can_still_be_overwritten():
    """Figure 8 (d): E wins term 5 with the votes of C and D, and replaces it everywhere."""
    holder = Bench(C, log=[*figure_8()[C], entry(2, 2, "2")], term=4).oversleep(FAR)
    assert holder.get(E, vote(5, (2, 3))).last(VoteResponse).granted
    overwritten = AppendEntries(Term(5), LogIndex(1), Term(1), (entry(2, 3, "3"), entry(3, 5)), LogIndex(0))
    holder.get(E, overwritten)
    assert holder.terms == [1, 3, 5] and not holder.stops


def test_with_an_entry_of_its_own_term_on_a_majority_the_old_one_is_safe():
    """Figure 8 (e): then E cannot win, and both are committed."""
    leader = lead_term_4(figure_8())
    for follower in (B, C):
        leader.get(follower, AppendResponse(Term(4), True, LogIndex(3)))
    assert leader.core.commit_index == 3
    assert [e.term for e in leader.applied] == [1, 2, 4]
    holder = Bench(C, log=[*figure_8()[C], entry(2, 2, "2"), entry(3, 4)], term=4).oversleep(FAR)
    assert not holder.get(E, vote(5, (2, 3))).last(VoteResponse).granted


def test_entries_keep_the_term_that_they_were_made_in():
    """A new leader sends old entries with their old numbers."""
    leader = Bench(A, log=log_of(1, 2, 2), term=3).win()
    leader.get(C, AppendResponse(Term(4), True, LogIndex(1)))
    assert [e.term for e in leader.last(AppendEntries, C).entries] == [2, 2, 4]


# --- 5.5: crashes ---


def test_a_follower_that_crashed_before_it_answered_takes_the_same_append_again():
    """Everything that is asked may be asked twice."""
    message = append(2, (1, 1), 2, 2)
    member = Bench(B, disk_is_slow=True).oversleep(FAR).get(A, message)
    assert not member.take(AppendResponse)
    again = Bench(B, log=log_of(1, 2, 2), term=2).oversleep(FAR).get(A, message)
    assert again.last(AppendResponse) == AppendResponse(Term(2), True, LogIndex(3))
    assert again.terms == [1, 2, 2] and not again.writes


def test_a_candidate_that_asks_twice_is_given_the_same_vote_twice_even_after_a_crash():
    member = Bench(B).oversleep(FAR).get(A, vote(5))
    again = Bench(B, term=5, voted_for=A).oversleep(FAR)
    assert (
        member.last(VoteResponse)
        == again.get(A, vote(5)).last(VoteResponse)
        == VoteResponse(Term(5), Term(5), True)
    )


@pytest.mark.parametrize("who", [0, 1, 2])
def test_who_crashes_and_comes_back_gets_what_it_missed(who):
    """Requests to the dead are repeated for ever, so they succeed at last. The host may be one of the dead."""
    table = cluster_of(A, B, C)
    table.with_host()
    name = (A, B, C)[who]
    table.crash(name)
    host = table.with_host()
    for n in range(30):
        host.propose(str(n))
    table.run(5.0)
    table.restart(name)
    table.run(1.5)
    assert table.entries(name) == table.entries(table.with_host().core.me)
    assert len([e for e in table[name].applied if e.command]) == 30


def test_a_crash_of_all_loses_nothing_that_was_committed():
    table = cluster_of(A, B, C)
    host = table.with_host()
    host.propose("kept")
    table.run(0.05)
    for name in (A, B, C):
        table.crash(name)
    for name in (A, B, C):
        table.restart(name)
    assert b"kept" in [e.command for e in table.with_host().applied]


# --- 5.6: time ---


def test_answers_that_come_ever_so_late_break_nothing():
    """Safety does not hang on timing: after ten minutes each answer means what it said, or nothing."""
    leader = Bench(A).lead()
    leader.propose()
    leader.oversleep(leader.now + 600.0)
    leader.get(B, AppendResponse(Term(2), True, LogIndex(3))).get(
        B, HeartbeatResponse(Term(2), 1, 1.0, LogIndex(3))
    )
    assert leader.core.role is Role.FOLLOWER and leader.core.tenure is None
    assert leader.core.commit_index <= 3 and leader.hosted == [2]
    voter = Bench(B, term=8, voted_for=C).oversleep(600.0)
    assert not voter.get(A, vote(8)).last(VoteResponse).granted


def test_the_round_trip_must_fit_into_the_promise_or_the_settings_are_refused():
    """broadcastTime << electionTimeout: heartbeats must renew the lease before it ends."""
    with pytest.raises(BadSettings, match=r"heartbeat_s = 0.06 must be below"):
        Timing(heartbeat_s=0.060, promise_s=0.075)


def test_promises_grow_with_the_measured_round_trip():
    """The same inequality, kept while the link gets slower: ours is measured, not configured."""
    leader = Bench(A).lead()
    short = leader.core.leadership.promise_s(leader.now)
    for _ in range(5):
        leader.sent.clear()
        newest = leader.at(leader.now + 0.031).last(Heartbeat)
        leader.oversleep(leader.now + 0.014).get(B, HeartbeatResponse(Term(2), newest.round, 0.1, LogIndex(2)))
    longer = leader.core.leadership.promise_s(leader.now)
    assert longer > short and longer > (TIMING.heartbeat_s + 2 * 0.014) / 0.81


def test_a_longer_promise_is_asked_for_but_never_above_the_bound_of_the_cluster():
    timing = replace(TIMING, promise_max_s=0.2)
    leader = Bench(A, timing=timing).lead()
    leader.core.quorum_delay.add(5.0, leader.now)
    assert leader.core.leadership.promise_s(leader.now) == 0.2
    assert (
        Bench(B, timing=timing, ceiling=0.2).oversleep(FAR).get(A, beat(2, promise=9.0)).core.promise.until()
        == FAR + 0.2
    )
