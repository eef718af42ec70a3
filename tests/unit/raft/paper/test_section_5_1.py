"""Raft, 5.1: roles, terms, and what every message does to them (docs/explanation/paper.md)."""

from __future__ import annotations

import pytest
from cluster import cluster_of
from harness import FAR, THREE, A, B, Bench, C, D, E, append, beat, vote

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    CommitNotice,
    HandOver,
    HeartbeatResponse,
    InstallSnapshot,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)


def candidate() -> Bench:
    member = Bench(A).at(FAR).stand()
    return member.get(B, PreVoteResponse(Term(1), Term(2), True))


ROLES = {
    Role.FOLLOWER: lambda: Bench(A).oversleep(FAR),
    Role.PRE_CANDIDATE: lambda: Bench(A).at(FAR).stand(),
    Role.CANDIDATE: candidate,
    Role.LEADER: lambda: Bench(A).lead(),
}


def test_normally_one_leads_and_all_others_follow():
    table = cluster_of(A, B, C, D, E)
    table.with_host()
    table.run(1.0)
    roles = sorted(bench.core.role.value for bench in table.benches.values())
    assert roles == ["follower"] * 4 + ["leader"]
    assert len({bench.core.term for bench in table.benches.values()}) == 1


def test_a_follower_says_nothing_of_its_own_accord():
    """It answers, and that is all, as long as it hears a leader."""
    member = Bench(B).oversleep(FAR)
    for n in range(20):
        member.get(A, beat(2, n, promise=0.075))
        member.sent.clear()
        member.at(member.now + 0.05)
        assert not member.sent


def test_a_follower_takes_no_proposal_and_knows_who_does():
    """Clients are sent on to the leader; the layer above does it with this."""
    member = Bench(B).oversleep(FAR).get(A, beat(2))
    assert member.propose() is None and member.core.log.last_index == 1
    assert member.core.leader == A


def test_every_term_is_one_more_than_the_last_and_begins_with_an_election():
    member = Bench(A)
    for _ in range(3):
        before = member.core.term
        member.win()
        assert member.core.term == before + 1
        member.at(member.now + 1.0)


def test_a_split_vote_leaves_its_term_without_a_leader_and_the_next_one_comes_soon():
    """A and B stand at the same moment, C votes for one and D for the other: of four, neither has three."""
    table = cluster_of(A, B, C, D)
    for one, other, choice in ((A, B, C), (B, A, D)):
        table[one].at(FAR).stand()
        for voter in (C, D):
            table[one].get(voter, PreVoteResponse(Term(1), Term(2), True))
        assert table[one].core.role is Role.CANDIDATE
        table[choice].oversleep(FAR).get(one, vote(2))
        assert table[choice].core.voted_for == one != other
    table.now = max(bench.now for bench in table.benches.values())
    host = table.with_host(1.0)
    assert host.core.term == 3
    assert all(bench.core.term == 3 for bench in table.benches.values())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "message",
    [
        append(9, (1, 1)),
        beat(9),
        CommitNotice(Term(9), LogIndex(0)),
        InstallSnapshot(Term(9), LogIndex(50), Term(8), THREE, LogIndex(1), 0),
        AppendResponse(Term(9), False, LogIndex(1)),
        HeartbeatResponse(Term(9), 1, 0.0, LogIndex(1)),
        PreVoteResponse(Term(9), Term(2), False),
        VoteResponse(Term(9), Term(2), False),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_larger_term_is_taken_over_in_every_role_and_makes_a_follower(role, message):
    """Terms are exchanged with everything that is said; the smaller one gives way at once, and durably."""
    member = ROLES[role]()
    assert member.core.role is role
    member.get(B, message)
    assert (member.core.term, member.core.role) == (9, Role.FOLLOWER)
    stored = member.writes[-1].hard_state
    assert stored is not None and stored.term == 9


@pytest.mark.parametrize("role", [role for role in ROLES if role is not Role.LEADER])
def test_a_vote_request_of_a_larger_term_is_taken_over_by_all_who_may_help(role):
    """Who has promised, or leads with a lease, may not: see 6, on disruptive members."""
    member = ROLES[role]().get(B, vote(9))
    assert (member.core.term, member.core.role) == (9, Role.FOLLOWER)


@pytest.mark.parametrize(
    "message",
    [
        append(4, (1, 1), 4, commit=2),
        beat(4, commit=1),
        vote(4),
        InstallSnapshot(Term(4), LogIndex(50), Term(3), THREE, LogIndex(1), 0),
        CommitNotice(Term(4), LogIndex(1)),
        HandOver(Term(4), Release(A, Term(4))),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_request_with_an_old_term_is_rejected_and_changes_nothing(message):
    member = Bench(B, term=5).oversleep(FAR)
    due = member.effects.deadline
    member.get(A, message)
    core = member.core
    assert (core.term, core.role, core.leader, core.voted_for) == (5, Role.FOLLOWER, None, None)
    assert (core.log.last_index, core.commit_index, core.following.installing) == (1, 0, None)
    assert core.promise.until() <= FAR and member.effects.deadline == due
    answers = [m for _, m in member.sent if isinstance(m, AppendResponse | HeartbeatResponse | VoteResponse)]
    assert all(m.term == 5 for m in answers)
    assert bool(answers) == (not isinstance(message, CommitNotice | HandOver)), "these two are not answered, ever"


def test_an_answer_with_an_old_term_counts_for_nothing():
    leader = Bench(A, term=6).win()
    assert leader.core.term == 7
    leader.get(B, AppendResponse(Term(6), True, leader.core.log.last_index))
    leader.get(C, AppendResponse(Term(6), True, leader.core.log.last_index))
    assert leader.core.commit_index == 0 and leader.core.role is Role.LEADER


def test_requests_that_nobody_answers_are_sent_again():
    """Pre-votes, votes and appends alike; who answered is not asked again."""
    member = Bench(A).at(FAR).stand()
    asked = [to for to, m in member.at(member.now + 0.06).sent if isinstance(m, PreVoteRequest)]
    assert asked.count(B) >= 2 and asked.count(C) >= 2
    member.stand().get(B, PreVoteResponse(Term(1), Term(2), True))
    member.sent.clear()
    member.at(member.now + 0.05)
    assert len(member.take(VoteRequest, C)) >= 2
    leader = Bench(A).win()
    leader.get(B, AppendResponse(leader.core.term, True, leader.core.log.last_index))
    leader.sent.clear()
    leader.at(leader.now + 0.07)
    sent = [to for to, m in leader.sent if isinstance(m, AppendEntries)]
    assert sent.count(C) >= 1 and sent.count(B) == 0


def test_all_are_asked_in_parallel():
    """No request waits for the answer to another."""
    member = Bench(A).at(FAR)
    member.sent.clear()
    member.stand()
    assert [to for to, m in member.sent if isinstance(m, PreVoteRequest)][:2] == [B, C]
    leader = Bench(A).lead()
    leader.sent.clear()
    leader.propose()
    assert [to for to, m in leader.sent if isinstance(m, AppendEntries)] == [B, C]
