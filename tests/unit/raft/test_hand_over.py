"""Handing over, and what the application is told (design.md, section 4; dissertation, 3.10)."""

from __future__ import annotations

import pytest
from harness import FAR, THREE, A, B, Bench, C, D, E, append, beat, log_of, meta, pre_vote, vote

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.effects import StopReason
from failover.raft.handing_over import DiskPatience
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Entry,
    HandOver,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)
from failover.raft.timing import Timing

RELEASE = Release(A, Term(2))


def host(**options) -> Bench:
    bench = Bench(A, **options).lead()
    bench.sent.clear()
    return bench


def hand_over(bench: Bench, target) -> bool:
    begun = bench.core.hand_over(target, bench.now)
    bench.round()
    return begun


def test_an_up_to_date_member_is_asked_to_stand_as_soon_as_the_host_has_stopped():
    leader = host()
    assert hand_over(leader, B)
    assert leader.stops == [StopReason.HANDED_OVER]
    assert leader.last(HandOver, B) == HandOver(Term(2), RELEASE)


def test_the_release_waits_until_the_server_function_has_unwound():
    leader = host()
    leader.host_is_slow = True
    hand_over(leader, B)
    assert leader.stops and not leader.take(HandOver)
    leader.core.host_stopped(leader.now)
    assert leader.round().take(HandOver, B)


def test_the_release_waits_no_longer_than_the_old_lease():
    leader = host()
    leader.host_is_slow = True
    ends = leader.core.lease_until
    hand_over(leader, B)
    leader.keep_lease(ends - leader.now - 0.001, B, C)
    assert not leader.take(HandOver)
    leader.keep_lease(0.03, B, C)
    assert leader.take(HandOver, B)


def test_nothing_is_proposed_while_handing_over():
    """Symptom: writes during the transfer make the target lose (hashicorp/raft#581)."""
    leader = host()
    hand_over(leader, B)
    assert leader.propose() is None


def test_a_slow_target_is_waited_for_while_play_goes_on():
    leader = host()
    for _ in range(100):
        leader.propose()
    leader.answer_appends(C)
    assert hand_over(leader, B) and not leader.stops
    assert leader.propose() is not None, "nothing has stopped yet"
    leader.answer_appends(B)
    assert leader.stops == [StopReason.HANDED_OVER] and leader.take(HandOver, B)


def test_a_target_that_never_catches_up_is_given_up_and_the_tenure_goes_on():
    """Symptoms: the flag is not cleared (hashicorp/raft#493); the pause of writes never lifted (NuRaft#659)."""
    leader = host()
    for _ in range(100):
        leader.propose()
    leader.answer_appends(C)
    hand_over(leader, B)
    leader.keep_lease(1.1, B, C)
    assert leader.core.leadership.handing_over is None
    assert not leader.stops and leader.propose() is not None


@pytest.mark.parametrize("target", [A, D, E])
def test_nobody_hands_over_to_itself_a_learner_or_a_stranger(target):
    """Symptoms: leadership given to a learner (etcd-io/raft db54973, raft-rs#165); removed (hashicorp#816fc51)."""
    membership = Membership(frozenset((A, B, C)), learners=frozenset((D,)))
    leader = host(log=log_of(1, membership=membership))
    leader.get(D, HeartbeatResponse(Term(2), 1, 0.075, LogIndex(1)))  # it lives, and is far behind
    assert not hand_over(leader, target)
    assert not leader.stops and leader.core.leadership.handing_over is None


def test_a_member_that_was_not_heard_for_long_is_no_target():
    leader = Bench(A).lead((B,))
    assert not hand_over(leader, C)


def test_a_follower_cannot_hand_over():
    assert not hand_over(Bench(B).at(FAR).get(A, beat(2)), A)


def test_a_second_hand_over_to_another_member_is_refused_while_one_is_under_way():
    leader = host()
    for _ in range(100):
        leader.propose()
    assert hand_over(leader, B)
    assert hand_over(leader, B) and hand_over(leader, None)
    assert not hand_over(leader, C)


def test_the_flag_dies_with_the_term():
    """Symptoms: writes refused much later (hashicorp/raft#696, redpanda#24404); NuRaft#357."""
    leader = host()
    leader.host_is_slow = True
    hand_over(leader, B)
    leader.core.host_stopped(leader.now)
    leader.host_is_slow = False
    leader.round().get(B, vote(3, (9, 9), RELEASE))
    assert leader.core.role is Role.FOLLOWER
    leader.hosted.clear()
    leader.at(leader.now + 1).sent.clear()
    leader.win().answer_heartbeats(B, C).answer_appends(B, C)
    assert leader.hosted and leader.propose() is not None


def test_a_higher_term_met_meanwhile_ends_it():
    leader = host()
    hand_over(leader, B)
    leader.sent.clear()
    leader.get(C, beat(9))
    leader.at(leader.now + 0.05)
    assert not leader.take(HandOver) and leader.stops == [StopReason.HANDED_OVER]


def test_the_word_is_repeated_until_the_target_stands():
    """UDP loses the first one."""
    leader = host()
    hand_over(leader, B)
    leader.sent.clear()
    assert len(leader.at(leader.now + 0.03).take(HandOver, B)) >= 3


def test_a_target_that_dies_after_the_stop_leaves_the_way_free_for_an_election():
    """Symptoms: stale reads and no recovery when the target is dead (openraft#1747): its heartbeats go on."""
    leader = host()
    hand_over(leader, B)
    leader.sent.clear()
    began = leader.now
    leader.at(began + 0.14)
    assert not leader.take(Heartbeat), "no new promises for a leader that will not host again"
    leader.at(began + 0.2)
    assert leader.core.role is not Role.LEADER
    assert len(leader.hosted) == 1, "a term has one tenure"


def test_the_host_that_handed_over_may_become_host_again():
    """Scenario: hand-over, back again."""
    member = Bench(A).oversleep(FAR).get(B, append(5, (1, 1), 5, commit=2))
    member.oversleep(member.now + 0.01).get(B, HandOver(Term(5), Release(B, Term(5))))
    assert member.core.role is Role.CANDIDATE
    member.get(C, VoteResponse(Term(6), Term(6), True))
    member.answer_heartbeats(B, C).answer_appends(B, C)
    assert member.hosted == [6]


def test_the_target_stands_at_once_without_a_pre_vote_and_with_the_release():
    """Symptom: the transfer never works with pre-vote on (lni/dragonboat#223)."""
    target = Bench(B).oversleep(FAR).get(A, append(2, (1, 1), 2), beat(2))
    target.sent.clear()
    target.get(A, HandOver(Term(2), RELEASE))
    assert not any(isinstance(m, PreVoteRequest) for _, m in target.sent)
    assert {m.release for m in target.take(VoteRequest)} == {RELEASE}


def test_the_release_in_the_vote_request_lifts_the_voters_promise():
    """Symptom: a campaign on request can never win: heartbeats renewed the leases (openraft 4490c678)."""
    voter = Bench(C).oversleep(FAR).get(A, beat(2))
    assert not voter.get(B, vote(3)).last(VoteResponse).granted
    assert voter.get(B, vote(3, (9, 9), RELEASE)).last(VoteResponse).granted


def test_a_released_promise_does_not_bar_the_next_hand_over():
    """B took over from A and hands on at once: the promise to A is void for good, not for B's request alone."""
    voter = Bench(C).oversleep(FAR).get(A, beat(2)).get(B, vote(3, (9, 9), RELEASE)).get(B, beat(3))
    assert not voter.get(A, vote(4)).last(VoteResponse).granted
    assert voter.get(A, vote(4, (9, 9), Release(B, Term(3)))).last(VoteResponse).granted


def test_the_target_of_a_hand_over_may_hand_on_at_once():
    target = Bench(B).oversleep(FAR).get(A, beat(2), HandOver(Term(2), RELEASE))
    target.get(C, VoteResponse(Term(3), Term(3), True))
    assert target.core.role is Role.LEADER
    target.answer_heartbeats(A, C).answer_appends(A, C)
    assert hand_over(target, C)
    assert target.get(C, vote(4, (9, 9), Release(B, Term(3)))).last(VoteResponse).granted


@pytest.mark.parametrize("release", [Release(A, Term(1)), Release(B, Term(2)), Release(C, Term(2))])
def test_a_release_of_another_leader_or_term_lifts_nothing(release):
    voter = Bench(C).oversleep(FAR).get(A, beat(2))
    assert not voter.get(B, vote(3, (9, 9), release)).last(VoteResponse).granted


def test_a_hand_over_of_an_old_term_is_ignored():
    """Symptom: a removed member wins through a late TimeoutNow (etcd-io/raft 816fc51)."""
    target = Bench(B, term=4).oversleep(FAR).get(A, HandOver(Term(2), RELEASE))
    assert target.core.role is Role.FOLLOWER and target.core.term == 4


def test_a_hand_over_that_is_not_the_senders_own_is_ignored():
    target = Bench(B).oversleep(FAR).get(A, beat(2)).get(C, HandOver(Term(2), RELEASE))
    assert target.core.role is Role.FOLLOWER


def test_a_learner_or_removed_member_ignores_a_hand_over():
    """Symptom: etcd-io/raft 816fc51, cockroachdb#8535."""
    membership = Membership(frozenset((A, C)), learners=frozenset((B,)))
    target = Bench(B, log=log_of(1, membership=membership)).oversleep(FAR).get(A, beat(2))
    assert target.get(A, HandOver(Term(2), RELEASE)).core.role is Role.FOLLOWER


def test_a_doubled_word_to_a_candidate_or_leader_changes_nothing():
    """Symptom: a transfer to a candidate blocks for ever (hashicorp/raft#413)."""
    target = Bench(B).oversleep(FAR).get(A, append(2, (1, 1), 2), beat(2)).get(A, HandOver(Term(2), RELEASE))
    term = target.core.term
    target.get(A, HandOver(Term(2), RELEASE))
    assert (target.core.role, target.core.term) == (Role.CANDIDATE, term)


def test_the_old_leaders_late_appends_do_not_end_the_targets_candidacy():
    """Symptom: hashicorp/raft#487."""
    target = Bench(B).oversleep(FAR).get(A, append(2, (1, 1), 2), beat(2)).get(A, HandOver(Term(2), RELEASE))
    target.get(A, append(2, (2, 2), commit=2), beat(2, 9))
    assert target.core.role is Role.CANDIDATE


def test_the_released_leader_grants_its_target_the_vote():
    leader = host()
    hand_over(leader, B)
    assert leader.get(B, vote(3, (9, 9), RELEASE)).last(VoteResponse).granted


def test_a_leader_that_has_not_released_helps_nobody():
    leader = host()
    leader.host_is_slow = True
    hand_over(leader, B)
    leader.sent.clear()
    assert not leader.get(B, vote(3, (9, 9), RELEASE)).last(VoteResponse).granted
    assert not leader.get(C, pre_vote(3)).last(PreVoteResponse).granted


def test_no_read_is_answered_after_the_release():
    """Symptom: stale lease read during a transfer (openraft#1747)."""
    leader = host()
    hand_over(leader, B)
    assert leader.core.read_index(leader.now) is None


def test_a_leader_whose_disk_hangs_hands_over_to_one_whose_disk_is_ahead():
    """design.md, section 4; symptom: etcd-io/etcd#15247: a leader stuck in fdatasync."""
    leader = host()
    leader.disk_is_slow = True
    leader.propose()
    leader.answer_appends(B, C)
    leader.keep_lease(0.24, B, C)
    assert not leader.stops
    leader.keep_lease(0.06, B, C)
    assert leader.stops == [StopReason.HANDED_OVER] and leader.take(HandOver)


def test_a_leader_whose_disk_hangs_stays_where_the_others_are_no_quorum():
    """They could neither elect nor commit without this disk: there would be no host in the end."""
    two = Membership(frozenset((A, B)))
    leader = Bench(A, log=log_of(1, membership=two)).lead((B,))
    leader.disk_is_slow = True
    leader.propose()
    leader.answer_appends(B).keep_lease(2.0, B)
    assert not leader.stops


def test_a_leader_whose_disk_hangs_stays_where_too_few_of_the_others_are_in_reach():
    leader = host()
    leader.keep_lease(1.1, B)
    leader.disk_is_slow = True
    leader.propose()
    leader.answer_appends(B).keep_lease(2.0, B)
    assert not leader.stops


def test_a_member_that_made_way_because_of_its_disk_is_more_patient_the_next_time():
    """Where all disks are slow the host would else change with every other write."""
    patience = DiskPatience(0.25)
    for now, seconds in ((10.0, 0.25), (20.0, 0.5), (30.0, 1.0)):
        assert patience.seconds(now) == seconds
        patience.made_way(now)
    assert patience.seconds(630.0) == 2.0
    assert patience.seconds(630.1) == 0.25, "that was long ago"


def test_a_leader_whose_disk_hangs_stays_when_no_other_is_better():
    leader = host()
    leader.disk_is_slow = True
    leader.propose()
    leader.keep_lease(1.0, B, C)
    assert not leader.stops


# --- what the application is told ---


def test_become_host_comes_after_the_own_no_op_is_committed_and_applied():
    """Symptom: BecomeLeader delivered before the state machine caught up (NuRaft#662)."""
    leader = Bench(A, log=log_of(1, 1, 1)).win().answer_heartbeats(B, C)
    assert not leader.hosted
    leader.answer_appends(B)
    assert leader.hosted == [2] and [e.index for e in leader.applied] == [1, 2, 3, 4]


def test_become_host_needs_the_lease():
    leader = Bench(A).win().answer_appends(B, C)
    assert not leader.hosted
    assert leader.answer_heartbeats(B).hosted == [2]


def test_become_host_waits_for_the_last_server_function_of_this_member():
    """One at a time, even while an old one unwinds (design.md, section 4)."""
    leader = host()
    leader.host_is_slow = True
    leader.at(leader.core.lease_until)
    leader.win().answer_heartbeats(B, C).answer_appends(B, C)
    assert leader.hosted == [2] and leader.core.tenure is None
    leader.core.host_stopped(leader.now)
    assert leader.round().hosted == [2, leader.core.term]


def test_every_become_host_has_its_stop_and_no_stop_comes_alone():
    """Symptom: missed notifications (hashicorp/raft#384, vault#8547)."""
    member = Bench(A)
    for _ in range(3):
        member.lead()
        member.at(member.core.lease_until)
    assert len(member.hosted) == len(member.stops) == 3
    assert member.hosted == sorted(set(member.hosted))


def test_a_leader_whose_server_function_failed_can_resign():
    """Symptom: a leader whose application failed keeps leading (nomad#8470, consul#5047)."""
    leader = host()
    leader.core.resign(leader.now, 5.0)
    leader.round()
    assert leader.stops == [StopReason.CLOSED]
    leader.sent.clear()
    assert not leader.at(leader.now + 4.9).take(PreVoteRequest)
    assert leader.at(leader.now + 0.5).take(PreVoteRequest)


def test_what_is_proposed_bears_the_term_of_the_tenure():
    """Symptom: a request accepted by the old leader under the new term (NuRaft#294)."""
    leader = host()
    assert leader.propose().term == leader.core.tenure == 2


def test_an_answer_to_a_heartbeat_of_an_earlier_leadership_backs_no_later_one():
    leader = host()
    old = HeartbeatResponse(Term(2), 1, 0.1, LogIndex(2))
    leader.at(leader.core.lease_until)
    leader.hosted.clear()
    leader.win().answer_appends(B, C).get(B, old).get(C, old)
    assert not leader.hosted


def test_a_bounded_tail_may_be_uncommitted():
    """Scenario: bounded log growth in a partition."""
    leader = host()
    big = "x" * (1 << 20)
    accepted = sum(leader.propose(big) is not None for _ in range(40))
    assert 16 <= accepted <= 17
    leader.get(B, AppendResponse(Term(2), True, leader.core.log.last_index))
    assert leader.propose() is not None


def test_a_hand_over_waits_for_the_own_no_op():
    leader = Bench(A).win().answer_heartbeats(B, C)
    assert hand_over(leader, B) and not leader.take(HandOver)
    assert leader.answer_appends(B, C).take(HandOver, B)
    assert not leader.hosted, "no tenure begins only to be stopped"


def joint_host() -> tuple[Bench, Entry]:
    """A host in the middle of promoting D."""
    leader = host(log=log_of(1, membership=Membership(THREE.voters, learners=frozenset((D,)))))
    leader.get(D, HeartbeatResponse(Term(2), 1, 0.075, LogIndex(1)))
    made = leader.core.change_membership((A, B, C, D), (), b"", leader.now)
    assert made is not None
    return leader.round(), made


def test_a_hand_over_waits_for_the_end_of_a_change_of_membership():
    leader, _ = joint_host()
    assert hand_over(leader, B) and leader.propose() is not None
    leader.answer_appends(B, C, D)
    assert not leader.stops and not leader.core.log.membership.is_joint, "it was left, and that is to be committed"
    leader.answer_appends(B, C, D)
    assert leader.stops == [StopReason.HANDED_OVER] and leader.take(HandOver, B)


def test_it_does_not_wait_for_a_change_of_membership_for_ever():
    leader, _ = joint_host()
    assert hand_over(leader, B)
    leader.keep_lease(1.1, B, C, D)
    assert leader.core.leadership.handing_over is None
    assert not leader.stops and leader.propose() is not None


def test_a_just_promoted_learner_gets_the_entry_of_its_promotion_before_it_is_asked_to_stand():
    """Symptom: transfer to a just promoted learner panics or fails (openraft#1805)."""
    leader, made = joint_host()
    assert hand_over(leader, D)
    leader.answer_appends(B, C).answer_appends(B, C)
    assert not leader.core.leadership.is_changing and not leader.stops, "D has said nothing yet"
    leader.get(D, AppendResponse(Term(2), True, made.index))
    assert leader.stops == [StopReason.HANDED_OVER] and not leader.take(HandOver), "it lacks the last entry"
    leader.answer_appends(D)
    assert leader.take(HandOver, D)


@pytest.mark.parametrize("learners", [(), (B,)], ids=["removed", "demoted"])
def test_a_target_that_stops_being_a_voter_is_given_up(learners):
    """Scenario: hand-over to a removed or demoted member (etcd's raft tests)."""
    leader = host()
    assert leader.core.change_membership((A, C), learners, b"", leader.now) is not None
    assert not hand_over(leader.round(), B)
    assert hand_over(leader, C)


def test_a_hand_over_after_a_snapshot():
    """Scenario: the target needed a snapshot (etcd's raft tests)."""
    leader = Bench(A, log=log_of(*[1] * 50), timing=Timing(snapshot_entries=10, kept_entries=0)).lead((C,))
    index = leader.core.applied_index
    leader.core.snapshot_stored(meta(index, 2), leader.now)
    leader.round().get(B, AppendResponse(Term(2), False, LogIndex(50)), HeartbeatResponse(Term(2), 1, 0.1, 0))
    assert leader.snapshots_sent == [B]
    assert hand_over(leader, B) and not leader.stops
    leader.get(B, AppendResponse(Term(2), True, index))
    assert leader.stops and leader.take(HandOver, B)


def test_another_one_takes_over_when_the_target_goes_silent_after_the_stop():
    """Between stop and release the target has not answered for the last entries."""
    leader = host()
    leader.propose()
    assert hand_over(leader, B) and leader.stops
    leader.answer_appends(C)
    assert not leader.take(HandOver), "B is the one that was asked for"
    leader.keep_lease(0.1, C)
    assert not leader.take(HandOver, B) and leader.core.leadership.handing_over.target == C


def test_a_lease_that_outlasts_the_patience_with_the_target_leaves_no_deadline_behind():
    """A deadline in the past would be met again and again."""
    leader = Bench(A).win().answer_heartbeats(B, C, granted=0.4).answer_appends(B, C)
    leader.host_is_slow = True
    hand_over(leader, B)
    leader.oversleep(leader.now + 0.1).tick()
    assert leader.stops == [StopReason.HANDED_OVER] and leader.effects.deadline > leader.now


def test_with_nobody_ready_after_the_stop_the_leader_steps_down():
    """There is no tenure to go back to."""
    leader = host()
    leader.propose()
    assert hand_over(leader, B) and leader.stops
    leader.keep_lease(1.1, B, C)
    assert leader.core.role is not Role.LEADER


def test_who_was_asked_in_vain_is_asked_last_the_next_time():
    leader = host()
    assert hand_over(leader, C)
    leader.at(leader.now + 0.16)
    assert leader.core.leadership is None, "C did not take over"
    leader.win().answer_heartbeats(B, C).answer_appends(B, C)
    assert hand_over(leader, None)
    assert leader.core.leadership.handing_over.target == B
    assert leader.take(HandOver, C) == []


def test_back_again_at_once():
    """Scenario: the new host hands over to the old one."""
    leader = host()
    assert hand_over(leader, B)
    leader.get(B, vote(3, (9, 9), RELEASE), append(3, (2, 2), 3), beat(3))
    leader.sent.clear()
    leader.get(B, HandOver(Term(3), Release(B, Term(3))))
    assert leader.core.role is Role.CANDIDATE and leader.core.term == 4


def test_a_target_without_a_word_of_it_is_no_candidate():
    """The word is lost, and so are its repetitions: others elect, when the promises have ended."""
    leader = host()
    assert hand_over(leader, B)
    leader.at(leader.now + 0.3)
    assert leader.core.role is not Role.LEADER
    assert leader.get(C, pre_vote(9)).last(PreVoteResponse).granted
