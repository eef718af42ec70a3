"""Raft, 5.3: replication and log matching, where test_following.py does not hold it already."""

from __future__ import annotations

from itertools import pairwise

from cluster import Cluster, cluster_of
from harness import FAR, A, B, Bench, C, D, E, append, entry, log_of
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.ids import LogIndex, Term
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, CommitNotice, Heartbeat
from failover.raft.progress import PATIENCE_MAX_S


def test_a_command_is_appended_and_sent_to_each_follower_before_anything_else():
    leader = Bench(A).lead()
    leader.sent.clear()
    made = leader.propose("move")
    assert made == entry(3, 2, "move") and leader.core.log.last_index == 3
    assert [(to, m.entries) for to, m in leader.sent if isinstance(m, AppendEntries)] == [
        (B, (made,)),
        (C, (made,)),
    ]
    assert leader.core.commit_index == 2, "nobody else has it"


def test_it_is_applied_by_the_leader_as_soon_as_it_is_safely_replicated():
    leader = Bench(A).lead()
    made = leader.propose("move")
    assert made not in leader.applied
    leader.get(B, AppendResponse(Term(2), True, LogIndex(3)))
    assert leader.applied[-1] == made


def test_a_silent_follower_is_sent_what_it_lacks_for_ever():
    """Even after the command was applied and answered; here with growing patience, but never above a bound."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    silent = max(table.benches.keys() - {host.core.me})
    table.crash(silent)
    host.propose()
    table.run(30.0)
    assert host.core.applied_index == host.core.log.last_index and table.host is host
    at = [said.at for said in table.said if isinstance(said.message, AppendEntries) and said.to == silent]
    assert max(later - before for before, later in pairwise(at)) <= PATIENCE_MAX_S + 0.01
    assert table.now - at[-1] <= PATIENCE_MAX_S


def test_commits_go_on_at_full_speed_beside_a_silent_and_a_slow_member():
    """A majority that answers is enough: those two cost nobody anything."""
    leader = Bench(A, log=log_of(1, membership=Membership(frozenset((A, B, C, D, E))))).lead((B, C))
    for n in range(500):
        made = leader.propose(str(n))
        leader.get(B, AppendResponse(Term(2), True, made.index)).get(C, AppendResponse(Term(2), True, made.index))
        assert leader.core.commit_index == made.index
        if n % 100 == 0:
            leader.get(D, AppendResponse(Term(2), True, LogIndex(2)))


def test_what_is_committed_travels_with_all_that_follows():
    """Appends, heartbeats and, where nothing else is said, a notice of its own."""
    leader = Bench(A).lead().answer_appends(B, C)
    leader.propose()
    leader.answer_appends(B, C)
    leader.sent.clear()
    leader.at(leader.now + 0.035)
    sent = [m for _, m in leader.sent]
    assert max(m.commit_index for m in sent if isinstance(m, Heartbeat)) == 3
    assert max(m.commit_index for m in sent if isinstance(m, CommitNotice)) == 3
    leader.propose()
    assert leader.last(AppendEntries, B).commit_index == 3


def test_a_heartbeat_tells_nobody_of_commits_beyond_what_is_known_to_match():
    """It says nothing of its place in the log, so the follower cannot check (an append does)."""
    leader = Bench(A).lead((B,))
    leader.propose()
    leader.answer_appends(B)
    leader.sent.clear()
    leader.at(leader.now + 0.035)
    assert {m.commit_index for to, m in leader.sent if isinstance(m, Heartbeat) and to == C} == {0}


def test_a_follower_applies_what_it_learns_to_be_committed():
    member = Bench(B).oversleep(FAR).get(A, append(2, (1, 1), 2, 2))
    assert not member.applied
    member.get(A, append(2, (3, 2), commit=3))
    assert [e.index for e in member.applied] == [1, 2, 3]


def test_a_leader_creates_one_entry_for_an_index_and_never_drops_one():
    """Leader append-only (figure 3), whatever it hears from followers."""
    leader = Bench(A, log=log_of(1, 1, 1)).win()
    before = leader.core.log.between(LogIndex(0), leader.core.log.last_index)
    for index in range(6):
        leader.get(C, AppendResponse(leader.core.term, False, LogIndex(index), LogIndex(0), Term(0)))
        leader.get(B, AppendResponse(leader.core.term, True, LogIndex(index)))
    leader.answer_heartbeats(B, C)
    made = [leader.propose() for _ in range(3)]
    after = leader.core.log.between(LogIndex(0), leader.core.log.last_index)
    assert list(after) == [*before, *made]
    assert [e.index for e in after] == list(range(1, len(after) + 1))
    assert all(write.truncate_from is None for write in leader.writes)


def test_a_leader_takes_no_special_steps_when_it_comes_to_power():
    """It appends, and the followers' logs become equal to its own by the check alone."""
    logs = {A: log_of(1, 1, 1, 3, 3), B: log_of(1, 1, 2, 2, 2, 2), C: log_of(1)}
    members = Membership(frozenset(logs))
    logs = {name: [entry(1, 1, membership=members), *log[1:]] for name, log in logs.items()}
    table = cluster_of(*logs, logs=logs, term=3)
    host = table.with_host()
    assert host.core.me == A
    table.run(0.5)
    assert table.entries(A) == table.entries(B) == table.entries(C)
    assert [e.term for e in table.entries(A)] == [1, 1, 1, 3, 3, 4]


def rivals(draws: list[tuple[int, int]]) -> Cluster:
    """Leaders come and go: each is cut off in the middle of its proposals, and others go on without it."""
    table = cluster_of(A, B, C)
    for alone, proposals in draws:
        table.cut.clear()
        host = table.with_host()
        for n in range(proposals):
            host.propose(f"{host.core.term}/{n}")
        table.isolate((A, B, C)[alone])
        for n in range(proposals):
            host.propose(f"{host.core.term}/cut {n}")
        table.run(0.5)
    return table


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=4))
def test_logs_that_share_an_entry_share_all_before_it(draws):
    """Log matching (figure 3), after leaders were cut off with entries that only they had."""
    table = rivals(draws)
    logs = [table.entries(name) for name in (A, B, C)]
    for one in logs:
        for other in logs:
            shared = [n for n, pair in enumerate(zip(one, other, strict=False), 1) if pair[0].term == pair[1].term]
            last = max(shared, default=0)
            assert one[:last] == other[:last]
    applied = sorted((table[name].applied for name in (A, B, C)), key=len)
    assert all(applied[-1][: len(each)] == each for each in applied), "state machine safety"


def test_the_followers_log_ends_up_as_the_leaders_after_any_crash():
    """Entries that only a dead leader had are overwritten, those that it committed are not."""
    table = rivals([(0, 3), (1, 2), (2, 3)])
    table.cut.clear()
    host = table.with_host()
    table.run(0.5)
    assert table.entries(A) == table.entries(B) == table.entries(C)
    assert all(table[name].core.commit_index == host.core.log.last_index for name in (A, B, C))
