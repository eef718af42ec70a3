"""Raft, 6, and the dissertation, 4: changes of membership, joint ones only (docs/explanation/paper.md)."""

from __future__ import annotations

import pytest
from cluster import Cluster, cluster_of
from harness import FAR, THREE, A, B, Bench, C, D, E, append, beat, entry, log_of, pre_vote, vote

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Role
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)

F = MemberId(b"f")
OLD, NEW = frozenset((A, B, C)), frozenset((A, D, E))
JOINT = Membership(NEW, outgoing=OLD)


def joint_log(*terms: int) -> list:
    """Founded by A, B and C; the second entry, of term 1, begins the way to A, D and E."""
    return [*log_of(1), entry(2, 1, membership=JOINT), *[entry(n, term) for n, term in enumerate(terms, 3)]]


def begin(host: Bench, voters, learners=()) -> bool:
    made = host.core.change_membership(voters, learners, b"", host.now)
    host.round()
    return made is not None


def change(table: Cluster, *voters) -> None:
    """Have the host change to these voters, and wait until all of them know that it is done."""
    host = table.with_host()
    table.until(lambda: begin(host, voters))
    table.until(lambda: all(table[name].core.log.membership == Membership(frozenset(voters)) for name in voters))


# --- the joint membership ---


def test_entries_go_to_all_members_of_both_memberships():
    leader = Bench(A, log=joint_log()).win((B, D))
    assert {to for to, m in leader.sent if isinstance(m, AppendEntries)} == {B, C, D, E}


@pytest.mark.parametrize("me", [B, E])
def test_a_voter_of_either_membership_may_lead(me):
    member = Bench(me, log=joint_log()).at(FAR).stand()
    for voter in (A, C, D) if me == B else (A, B, D):
        member.get(voter, PreVoteResponse(Term(1), Term(2), True))
    for voter in (A, C, D) if me == B else (A, B, D):
        member.get(voter, VoteResponse(Term(2), Term(2), True))
    assert member.core.role is Role.LEADER


@pytest.mark.parametrize("voters", [(B, C), (D, E)])
def test_an_election_needs_a_majority_of_each(voters):
    """A and all of one side are a majority there, and none of the other."""
    member = Bench(A, log=joint_log()).at(FAR).stand()
    for voter in voters:
        member.get(voter, PreVoteResponse(Term(1), Term(2), True))
    assert member.core.role is Role.PRE_CANDIDATE
    other = D if voters == (B, C) else B
    member.get(other, PreVoteResponse(Term(1), Term(2), True))
    assert member.core.role is Role.CANDIDATE
    for voter in voters:
        member.get(voter, VoteResponse(Term(2), Term(2), True))
    assert member.core.role is Role.CANDIDATE
    member.get(other, VoteResponse(Term(2), Term(2), True))
    assert member.core.role is Role.LEADER


@pytest.mark.parametrize("holders", [(B, C), (D, E)])
def test_a_commit_needs_a_majority_of_each(holders):
    leader = Bench(A, log=joint_log()).win((B, D))
    last = leader.core.log.last_index
    for holder in holders:
        leader.get(holder, AppendResponse(Term(2), True, last))
    assert leader.core.commit_index == 0
    leader.get(D if holders == (B, C) else B, AppendResponse(Term(2), True, last))
    assert leader.core.commit_index >= last


def test_a_change_is_an_entry_of_its_own_that_holds_both_memberships():
    leader = Bench(A).lead()
    made = leader.core.change_membership((A, B), (C,), b"why", leader.now)
    assert made is not None and made.command == b"why"
    assert made.membership == Membership(frozenset((A, B)), outgoing=OLD, learners_next=frozenset((C,)))
    assert leader.core.log.membership == made.membership, "in force at once"


def test_the_new_membership_alone_commits_the_entry_that_ends_the_change():
    """Under its own rules: who is outgoing is not asked any more."""
    leader = Bench(A, log=joint_log()).win((B, D))
    last = leader.core.log.last_index
    for holder in (B, D):
        leader.get(holder, AppendResponse(Term(2), True, last))
    leaves = leader.core.log.last_index
    assert leaves == last + 1 and leader.core.log.membership == Membership(NEW)
    leader.get(B, AppendResponse(Term(2), True, leaves)).get(C, AppendResponse(Term(2), True, leaves))
    assert leader.core.commit_index == last
    leader.get(E, AppendResponse(Term(2), True, leaves))
    assert leader.core.commit_index == leaves


def test_a_new_leader_ends_the_change_that_it_finds():
    """Whoever is elected while joint goes on with it; a client has nothing to do."""
    table = Cluster(*(Bench(name, log=joint_log()) for name in (A, B, C, D, E)))
    host = table.with_host()
    table.until(lambda: host.core.commit_index >= host.core.log.membership_index > 2)
    assert {table[name].core.log.membership for name in NEW} == {Membership(NEW)}


def test_old_and_new_members_may_be_switched_off_when_the_change_is_committed():
    table = Cluster(*(Bench(name, log=joint_log()) for name in (A, B, C, D, E)))
    host = table.with_host()
    table.until(lambda: host.core.commit_index >= host.core.log.membership_index > 2)
    table.run(0.2)
    for name in OLD - NEW:
        table.crash(name)
    new = table.with_host()
    assert new.core.me in NEW
    assert new.propose("after") is not None
    table.until(lambda: b"after" in [e.command for e in new.applied])


def test_what_is_truncated_gives_back_the_membership_before_it():
    """Dissertation, 4.1: the newest in the log counts; if it goes, the one before it."""
    member = Bench(C, log=joint_log()).oversleep(FAR)
    assert member.core.log.membership == JOINT
    member.get(B, append(3, (1, 1), 3))
    assert member.core.log.membership == THREE


# --- who is asked, and who asks (dissertation, 4.1) ---


def test_appends_are_taken_from_a_leader_that_the_own_membership_does_not_know():
    """The newcomer's log is what says who leads; it must first grow."""
    newcomer = Bench(D, log=[], term=0).oversleep(FAR)
    message = AppendEntries(Term(2), LogIndex(0), Term(0), tuple(log_of(1)), LogIndex(0))
    newcomer.get(A, message)
    assert newcomer.last(AppendResponse).success and newcomer.core.leader == A
    member = Bench(B).oversleep(FAR).get(F, append(2, (1, 1), 2))
    assert member.core.leader == F and member.core.log.last_index == 2


def test_a_vote_is_given_to_a_candidate_that_the_own_membership_does_not_know():
    """Else nobody might be electable: the voter may have seen less of the change than the candidate."""
    member = Bench(B).oversleep(FAR)
    assert member.get(F, pre_vote(2)).last(PreVoteResponse).granted
    assert member.get(F, vote(2)).last(VoteResponse).granted


# --- catching up (6; dissertation, 4.2.1) ---


def test_a_newcomer_first_receives_the_log_and_counts_for_nothing():
    learner = Membership(frozenset((A, B)), learners=frozenset((D,)))
    table = Cluster(*(Bench(name, log=log_of(1, membership=learner)) for name in (A, B)))
    host = table.with_host()
    for n in range(200):
        host.propose(str(n))
    table.run(0.2)
    assert host.core.commit_index == host.core.log.last_index, "without any answer of D"
    table.benches[D] = Bench(D, log=[], term=0, now=table.now)
    table.until(lambda: D in table.with_host().core.log.membership.voters, 3.0)
    assert len(table.entries(D)) > 200


def test_a_newcomer_with_an_empty_log_is_brought_up_in_one_step_back():
    """nextIndex goes back over all that it lacks at once, not entry by entry."""
    learner = Membership(frozenset((A, B)), learners=frozenset((D,)))
    leader = Bench(A, log=log_of(*[1] * 500, membership=learner)).win((B,))
    at = leader.last(AppendEntries, D).prev_log_index
    leader.get(D, AppendResponse(Term(2), False, at, LogIndex(0), Term(0)))
    assert leader.take(AppendEntries, D)[0].prev_log_index == 0


def test_a_newcomer_that_falls_silent_is_not_waited_for():
    """It stays a learner, and the next change is free."""
    learner = Membership(OLD, learners=frozenset((D,)))
    leader = Bench(A, log=log_of(1, membership=learner)).lead().keep_lease(2.0, B, C)
    assert leader.core.log.membership == learner
    leader.answer_appends(B, C)
    assert leader.core.change_membership(OLD, (), b"", leader.now) is not None


# --- removing (6; dissertation, 4.2.2 to 4.2.4) ---


def test_a_leader_that_is_to_go_hands_over_and_its_successor_removes_it():
    """Ours: nobody leads a cluster that it does not vote in."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1)
    assert host.core.change_membership(table.benches.keys() - {host.core.me}, (), b"", host.now) is None
    assert host.core.hand_over(None, host.now)
    host.round()
    table.until(lambda: table.host not in (None, host))
    rest = table.benches.keys() - {host.core.me}
    change(table, *rest)
    assert table.with_host().core.log.membership == Membership(frozenset(rest))


def test_a_removed_member_that_never_heard_of_it_disrupts_nothing():
    """It asks and asks; who has promised helps it with nothing, not even with its term."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.run(0.1)
    removed = max(table.benches.keys() - {host.core.me})
    table.isolate(removed)
    change(table, *(table.benches.keys() - {removed}))
    table.cut.clear()
    table.said.clear()
    table.run(3.0)
    asked = [said for said in table.said if said.sender == removed and isinstance(said.message, PreVoteRequest)]
    assert asked, "it does try"
    assert table.host is host and len(host.hosted) == 1
    assert not [said for said in table.said if isinstance(said.message, VoteRequest)]


def test_a_vote_request_while_a_promise_runs_raises_no_term_and_gets_no_vote():
    """Raft, 6: within the minimum election timeout of hearing a leader, it is disregarded."""
    member = Bench(B).oversleep(FAR).get(A, beat(2, promise=0.075)).oversleep(FAR + 0.07)
    member.get(F, vote(99))
    assert (member.core.term, member.core.voted_for) == (2, None)
    member.oversleep(FAR + 0.0751).get(F, vote(99))
    assert (member.core.term, member.core.voted_for) == (99, F)


@pytest.mark.parametrize("crashes", ["joint appended", "joint committed", "left"])
def test_a_change_comes_to_its_end_whenever_its_leader_crashes(crashes):
    """Dissertation, 4.2.4: with majorities of both alive, some voter can always be elected and go on."""
    names = (A, B, C, D, E)
    everybody = Membership(OLD, learners=frozenset((D, E)))
    table = Cluster(*(Bench(name, log=log_of(1, membership=everybody)) for name in names))
    host = table.with_host()
    table.until(
        lambda: host.core.log.membership.voters == frozenset(names) and not host.core.log.membership.is_joint
    )
    table.until(lambda: host.core.commit_index == host.core.log.last_index)
    table.run(0.1)
    keep = sorted(table.benches.keys() - {host.core.me})[:2]
    three = frozenset((host.core.me, *keep))
    assert begin(host, three, frozenset(names) - three)
    index = host.core.log.membership_index
    if crashes == "joint committed":
        table.until(lambda: host.core.commit_index >= index)
    elif crashes == "left":
        table.until(lambda: host.core.log.membership_index > index)
        table.run(0.0015)
    table.crash(host.core.me)
    new = table.with_host()
    table.until(lambda: not new.core.log.membership.is_joint and new.core.commit_index == new.core.log.last_index)
    assert new.propose("on") is not None
