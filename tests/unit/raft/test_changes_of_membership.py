"""Changes of membership in the core (Raft, 6), and what others got wrong there."""

from __future__ import annotations

from harness import FAR, THREE, A, B, Bench, C, D, E, append, entry, log_of

from failover.ids import LogIndex, MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, HeartbeatResponse, PreVoteRequest

WITH_D = Membership(THREE.voters, learners=frozenset((D,)))


def change(bench: Bench, voters, learners=()):
    made = bench.core.change_membership(voters, learners, b"why", bench.now)
    bench.round()
    return made


def answer(bench: Bench, *followers) -> Bench:
    bench.answer_appends(*followers)
    return bench


def memberships(bench: Bench) -> list[Membership]:
    log = bench.core.log
    return [e.membership for e in log.between(log.base_index, log.last_index) if e.membership]


def test_a_membership_counts_from_the_moment_it_is_appended():
    """Raft, 6; symptoms: etcd-io/etcd#7280, #11284, #12359 (membership applied at commit)."""
    follower = Bench(B).oversleep(FAR)
    two = Membership(frozenset((A, B)))
    message = AppendEntries(Term(2), LogIndex(1), Term(1), (entry(2, 2, membership=two),), LogIndex(0))
    assert follower.get(A, message).core.log.membership == two
    assert follower.core.commit_index < 2


def test_a_truncated_membership_is_taken_back():
    """Raft, 6; symptom: canonical/raft#250, #323."""
    follower = Bench(B).oversleep(FAR)
    two = Membership(frozenset((A, B)))
    follower.get(A, AppendEntries(Term(2), LogIndex(1), Term(1), (entry(2, 2, membership=two),), LogIndex(0)))
    follower.get(C, append(3, (1, 1), 3))
    assert follower.core.log.membership == THREE


def test_nothing_changes_before_the_own_no_op_is_committed():
    """Symptom: the single-server bug (Ongaro, raft-dev, 2015)."""
    member = Bench(A).oversleep(FAR).get(B, append(2, (1, 1), 2, commit=2))
    assert member.core.commit_index == 2, "the membership is committed, by another leader"
    leader = member.win().answer_heartbeats(B, C)
    assert change(leader, (A, B)) is None
    assert change(answer(leader, B, C), (A, B)) is not None


def test_one_change_at_a_time():
    """Symptoms: legal refused and illegal admitted (etcd-io/raft#80)."""
    leader = Bench(A).lead()
    assert change(leader, (A, B)) is not None
    assert change(leader, (A, C)) is None and change(leader, (A, B, C), (D,)) is None
    answer(answer(leader, B, C), B, C)
    assert not leader.core.log.membership.is_joint
    assert change(leader, (A, B), (D,)) is not None


def test_a_joint_membership_is_left_once_and_by_itself():
    """Symptom: several entries that leave it are proposed (etcd-io/raft bd3c759)."""
    leader = Bench(A).lead()
    change(leader, (A, B))
    leader.propose()
    answer(leader, B, C)
    leader.tick().tick()
    assert [m.is_joint for m in memberships(leader)] == [False, True, False]


def test_a_joint_entry_needs_both_halves():
    """Symptoms: openraft 6c0ccaf3, beb0302b; databendlabs/openraft#1802."""
    leader = Bench(A, log=log_of(1, membership=Membership(frozenset((A, B)), learners=frozenset((C, D))))).lead(
        (B,)
    )
    for learner in (C, D):
        leader.at(leader.now + 0.001)
        leader.get(learner, HeartbeatResponse(leader.core.term, 1, 0.075, LogIndex(2)))
    made = change(leader, (A, C, D))
    assert made is not None
    leader.get(C, AppendResponse(leader.core.term, True, made.index))
    assert leader.core.commit_index < made.index, "B is missing in the outgoing half"
    leader.get(B, AppendResponse(leader.core.term, True, made.index))
    assert leader.core.commit_index >= made.index


def test_no_change_under_which_the_lease_would_not_hold():
    """design.md, section 4."""
    leader = Bench(A).lead((B,))
    assert change(leader, (A, C)) is None, "C has promised nothing"


def test_a_leader_does_not_remove_itself():
    """Symptoms: etcd-io/raft#79, #83; etcd-io/etcd#10563: it hands over first."""
    assert change(Bench(A).lead(), (B, C)) is None


def test_shrinking_to_one_voter_commits():
    """Symptom: hangs: a lower quorum is not looked at again (etcd-io/etcd#4246, NuRaft#488, raft-rs#363)."""
    leader = Bench(A).lead()
    change(leader, (A,))
    answer(leader, B, C)
    assert leader.core.log.membership == Membership(frozenset((A,)))
    proposed = leader.propose()
    assert proposed is not None and leader.core.commit_index == proposed.index


def test_a_learner_counts_for_nothing_in_commits_and_is_promoted_when_caught_up():
    """Symptoms: openraft a10d9906; a member added before it exists freezes commits (EastGuard#150)."""
    leader = Bench(A, log=log_of(1, membership=Membership(frozenset((A, B)), learners=frozenset((D,))))).lead((B,))
    proposed = leader.propose()
    leader.get(D, AppendResponse(leader.core.term, True, LogIndex(1)))
    assert leader.core.commit_index < proposed.index
    answer(leader, B).get(D, AppendResponse(leader.core.term, True, proposed.index))
    leader.keep_lease(0.4, B, D)
    assert D not in leader.core.log.membership.all_voters, "it may be gone again at once"
    leader.keep_lease(0.4, B, D)
    assert D in leader.core.log.membership.all_voters


def test_a_silent_newcomer_is_not_promoted():
    leader = Bench(A, log=log_of(1, membership=WITH_D)).lead()
    leader.keep_lease(0.5, B, C)
    assert D not in leader.core.log.membership.all_voters


def test_progress_of_those_who_stay_is_kept():
    """Symptoms: progress reset when a learner is promoted (openraft#584); NuRaft#473."""
    leader = Bench(A).lead()
    before = leader.core.leadership.replication.progress[B]
    change(leader, (A, B))
    assert leader.core.leadership.replication.progress[B] is before
    answer(answer(leader, B, C), B, C)
    assert set(leader.core.leadership.replication.progress) == {B}


def test_an_answer_of_a_removed_member_does_nothing():
    """Symptom: an answer that was under way (etcd-io/raft#79)."""
    leader = Bench(A).lead()
    change(leader, (A, B))
    answer(answer(leader, B, C), B)
    leader.get(C, AppendResponse(leader.core.term, True, LogIndex(99)))
    assert leader.core.commit_index <= leader.core.log.last_index


def test_a_new_member_does_not_cost_the_leader_its_lease():
    """Symptom: a spurious step-down when a member is added (etcd-io/raft a3afec7)."""
    leader = Bench(A).lead()
    newcomers = (D, E, MemberId(b"f"), MemberId(b"g"))
    assert change(leader, (A, B, C), newcomers) is not None, "of seven, three would be no majority"
    assert not leader.keep_lease(0.5, B, C).stops


def test_who_does_not_lead_changes_nothing():
    assert Bench(B).core.change_membership(frozenset((A, B)), frozenset(), b"", 0.0) is None


def test_a_removed_member_that_knows_it_never_stands():
    """Symptom: a removed member disrupts (hashicorp/raft#477)."""
    removed = Bench(C).oversleep(FAR)
    two = Membership(frozenset((A, B)))
    removed.get(A, AppendEntries(Term(2), LogIndex(1), Term(1), (entry(2, 2, membership=two),), LogIndex(2)))
    removed.sent.clear()
    assert not removed.at(FAR + 10).take(PreVoteRequest)


def test_a_role_follows_from_the_log_after_a_restart():
    """Symptoms: openraft 39690593; dragonboat#204, #94."""
    promoted = WITH_D.entering((A, B, C, D), ()).leaving()
    member = Bench(D, log=[*log_of(1, membership=WITH_D), entry(2, 1, membership=promoted)]).at(FAR)
    assert member.take(PreVoteRequest)


def test_learners_next_become_learners():
    """Scenario: demote and promote (etcd's confchange tests)."""
    leader = Bench(A).lead()
    leader.core.leadership.replication.progress[C].is_leaving = True
    change(leader, (A, B), (C,))
    assert C in leader.core.log.membership.learners_next
    answer(leader, B, C)
    assert leader.core.log.membership.learners == {C}
