"""Promises and leases (design.md, section 4), and what others got wrong in reads, leases and clocks."""

from __future__ import annotations

import pytest
from harness import FAR, A, B, Bench, C, E, append, beat, log_of, pre_vote, vote

from failover.ids import LogIndex, Term
from failover.raft.effects import StopReason
from failover.raft.leadership import BULK_DELAY_S, BULK_ENTRIES
from failover.raft.lease import Lease, Promise
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteResponse,
)
from failover.raft.progress import ALIVE_S
from failover.raft.timing import LEASE_FRACTION, Timing


def test_a_lease_ends_before_its_promise_whatever_the_clocks_do_within_their_bound():
    """Promise from s on, at the soonest until s + P/1.1; lease at the latest until s + L/0.9."""
    assert LEASE_FRACTION / 0.9 < 1 / 1.1


def test_a_promise_is_granted_up_to_the_durable_ceiling():
    follower = Bench(B, ceiling=0.1, disk_is_slow=True, now=FAR).get(A, beat(2, promise=0.075))
    follower.finish_writes()
    assert follower.last(HeartbeatResponse).promise_s == 0.075
    follower.get(A, beat(2, 2, promise=0.3))
    follower.finish_writes()
    assert follower.last(HeartbeatResponse).promise_s == 0.1, "0.1 was durable when it was asked"


def test_the_ceiling_doubles_and_is_durable_before_it_is_first_exceeded():
    follower = Bench(B, ceiling=0.1, disk_is_slow=True, now=FAR).get(A, beat(2)).finish_writes()
    follower.get(A, beat(2, 2, promise=0.3))
    written = follower.writes[-1].hard_state
    assert written is not None and written.promise_ceiling_s == 0.4
    follower.get(A, beat(2, 3, promise=0.3))
    follower.finish_writes().sent.clear()
    follower.get(A, beat(2, 4, promise=0.3))
    assert follower.last(HeartbeatResponse).promise_s == 0.3


def test_a_ceiling_that_is_being_raised_holds_no_answer_back():
    """The disk has much to write when promises grow: answers that wait for it would lose the lease."""
    follower = Bench(B, ceiling=0.1, disk_is_slow=True, now=FAR).get(A, beat(2)).finish_writes()
    follower.sent.clear()
    follower.get(A, append(2, (1, 1), 2)).get(A, beat(2, 2, promise=0.3))
    assert follower.last(HeartbeatResponse).promise_s == 0.1
    follower.get(A, beat(3, 3, promise=0.3))
    assert not follower.take(HeartbeatResponse), "of a new term it must not speak before that is durable"


def test_no_promise_is_longer_than_the_bound_of_the_cluster():
    follower = Bench(B, ceiling=1.0, now=FAR).get(A, beat(2, promise=50.0))
    assert follower.last(HeartbeatResponse).promise_s == Timing().promise_max_s


def test_a_restarted_member_waits_out_its_ceiling_before_it_votes():
    member = Bench(B, ceiling=0.4).at(0.39).get(C, vote(7))
    refusal = member.last(VoteResponse)
    assert not refusal.granted and refusal.retry_after_s == pytest.approx(0.01)
    assert member.core.term == 1, "a barred request does not even raise the term"
    assert member.at(0.4).get(C, vote(7)).last(VoteResponse).granted


def test_a_restarted_member_waits_out_its_ceiling_before_it_stands():
    member = Bench(A, ceiling=0.4).at(0.399)
    assert not member.take(PreVoteRequest)
    assert member.at(0.5).take(PreVoteRequest)


def test_a_promise_bars_votes_and_pre_votes_and_states_the_time_that_remains():
    member = Bench(B).oversleep(FAR).get(A, beat(2, promise=0.075))
    member.oversleep(FAR + 0.025).sent.clear()
    refusal = member.get(C, pre_vote(3)).last(PreVoteResponse)
    assert not refusal.granted and refusal.retry_after_s == pytest.approx(0.05)
    refusal = member.get(C, vote(3)).last(VoteResponse)
    assert not refusal.granted and refusal.retry_after_s == pytest.approx(0.05)
    assert member.core.term == 2


def test_a_promise_is_kept_in_every_role_and_towards_oneself():
    member = Bench(A, now=FAR).get(B, beat(2, promise=0.1)).oversleep(FAR + 0.099).tick()
    assert not member.take(PreVoteRequest)


def test_an_older_promise_is_not_shortened_by_a_newer_shorter_one():
    member = Bench(B, now=FAR).get(A, beat(2, 1, promise=0.1)).get(A, beat(2, 2, promise=0.01))
    member.oversleep(FAR + 0.09)
    assert not member.get(C, pre_vote(3)).last(PreVoteResponse).granted


def test_a_release_voids_only_the_promises_made_to_its_own_leader_and_term():
    def until_after(release: Release) -> float:
        promise = Promise(ceiling_s=1.0, restarted_at=-9.0)
        promise.grant(Release(A, Term(2)), 0.5, 0.0)
        promise.grant(Release(B, Term(3)), 0.3, 0.0)
        assert promise.until() == 0.5
        promise.void(release)
        return promise.until()

    assert until_after(Release(A, Term(2))) == 0.3
    assert until_after(Release(B, Term(3))) == 0.5
    assert until_after(Release(A, Term(3))) == 0.5


def test_a_release_does_not_shorten_the_wait_after_a_restart():
    promise = Promise(ceiling_s=1.0, restarted_at=0.0)
    promise.grant(Release(A, Term(2)), 0.5, 0.1)
    promise.void(Release(A, Term(2)))
    assert promise.until() == 1.0


def test_a_learner_promises_too():
    """It may be promoted by an entry that this member has not seen (design.md, section 4)."""
    membership = Membership(frozenset((A, C)), learners=frozenset((B,)))
    learner = Bench(B, log=log_of(1, membership=membership), now=FAR).get(A, beat(2))
    assert learner.last(HeartbeatResponse).promise_s == 0.075
    assert not learner.get(C, vote(3)).last(VoteResponse).granted


def test_the_lease_counts_from_the_sending_and_not_from_the_answer():
    """Symptom: the lease outlives reality when ticks are late (etcd-io/etcd#6005, tikv/tikv#964, #1301)."""
    leader = Bench(A).win()
    sent_at = leader.now
    leader.oversleep(sent_at + 0.02).answer_heartbeats(B)
    until = leader.core.leadership.lease.until(leader.core.log.membership)
    assert until == pytest.approx(sent_at + LEASE_FRACTION * 0.075, abs=1e-3)


def test_an_old_answer_renews_nothing():
    """Symptom: a stale read, confirmed by old delayed answers (etcd-io/etcd#20418, etcd-io/raft#397)."""
    lease = Lease(A, Timing(), first_due=1.0)
    membership = Membership(frozenset((A, B, C)))
    first = lease.begin_round(0.0)
    second = lease.begin_round(5.0)
    lease.answered(B, second, 0.1)
    until = lease.until(membership)
    lease.begin_round(5.05)
    lease.answered(B, first, 0.1)
    lease.answered(B, first, 0.1)
    assert lease.until(membership) == until
    for n in range(300):
        lease.begin_round(6.0 + n)
    assert lease.answered(C, first, 0.1) is None, "too old to be remembered counts for nothing"


def test_an_answer_of_another_term_renews_nothing():
    leader = Bench(A).lead()
    until = leader.core.lease_until
    leader.at(leader.now + 0.02)
    leader.get(B, HeartbeatResponse(Term(1), 1, 1.0, leader.core.log.last_index))
    assert leader.core.lease_until == until


def test_a_refused_promise_backs_no_lease():
    leader = Bench(A).win().answer_heartbeats(B, C, granted=0.0).answer_appends(B, C)
    assert not leader.hosted


def test_in_a_joint_membership_the_lease_is_the_minimum_over_both_halves():
    lease = Lease(A, Timing(), first_due=1.0)
    joint = Membership(frozenset((A, B, C)), outgoing=frozenset((A, E)))
    round_ = lease.begin_round(0.0)
    lease.answered(B, round_, 1.0)
    lease.answered(E, round_, 0.1)
    assert lease.until(joint) == pytest.approx(0.081)
    assert lease.until(Membership(joint.voters)) == pytest.approx(0.81)


def test_a_leader_alone_needs_nobody():
    lone = Bench(A, log=log_of(1, membership=Membership(frozenset((A,))))).at(FAR)
    assert lone.hosted == [2] and lone.core.lease_until == float("inf")


def test_a_leader_without_a_lease_a_promise_after_its_election_steps_down():
    leader = Bench(A).win()
    began = leader.now
    leader.at(began + 0.074)
    assert leader.core.leadership is not None
    leader.at(began + 0.0751)
    assert leader.core.leadership is None and not leader.hosted


def test_the_host_is_stopped_a_margin_before_its_lease_ends():
    leader = Bench(A).lead()
    ends = leader.core.lease_until
    leader.at(ends - 0.0101)
    assert not leader.stops
    leader.at(ends - 0.0099)
    assert leader.stops == [StopReason.LEASE_LOST]


def test_a_leader_that_lost_its_lease_is_not_given_it_back_by_a_late_answer():
    """Check-quorum is the lease: who loses it steps down for good; a term has at most one tenure."""
    leader = Bench(A).lead()
    leader.at(leader.now + 0.02)
    beats = leader.take(Heartbeat)
    leader.at(leader.core.lease_until)
    term = leader.core.term
    leader.get(B, HeartbeatResponse(term, beats[-1].round, 1.0, leader.core.log.last_index))
    assert leader.stops == [StopReason.LEASE_LOST] and leader.hosted == [term]
    assert leader.core.tenure is None and leader.core.lease_until == float("-inf")


@pytest.mark.parametrize("pause_s", [0.075, 1.0, 30.0, 2**31 / 1000, 25 * 86_400.0])
@pytest.mark.parametrize("first", ["tick", "message", "propose", "stored"])
def test_the_first_thing_after_waking_is_that_the_host_stops(pause_s, first):
    """Also: a dead member counted alive after 24.8 days (NuRaft#660); tikv/tikv#1301; etcd-io/etcd#15247."""
    host = Bench(A).lead()
    host.sent.clear()
    host.oversleep(host.now + pause_s)
    match first:
        case "tick":
            host.core.tick(host.now)
        case "message":
            host.core.receive(B, HeartbeatResponse(host.core.term, 1, 1.0, host.core.log.last_index), host.now)
        case "propose":
            assert host.core.propose(b"x", host.now) is None
        case "stored":
            host.core.stored(99, host.now)
    effects = host.core.take_effects(host.now)
    assert effects.stop_host is StopReason.LEASE_LOST
    assert not any(isinstance(message, Heartbeat) for _, message in effects.messages_now)


def test_a_lease_that_runs_out_between_two_messages_of_one_round_is_not_given_back():
    """The first comes late, which the core notes, and in time for the lease; the second does not."""
    host = Bench(A).lead()
    ends, answer = host.core.lease_until, HeartbeatResponse(host.core.term, 1, 1.0, host.core.log.last_index)
    host.core.receive(C, AppendResponse(host.core.term, True, LogIndex(1)), ends - 0.011)
    host.core.receive(B, answer, ends + 0.001)
    assert host.core.take_effects(ends + 0.001).stop_host is StopReason.LEASE_LOST


def test_a_fresh_leader_answers_no_read_before_its_own_no_op_is_committed():
    """Symptom: a stale read by a fresh leader (etcd-io/etcd#7331, tikv/tikv#6340, #9239; Raft, 8)."""
    leader = Bench(A).win().answer_heartbeats(B, C)
    assert leader.core.read_index(leader.now) is None
    leader.answer_appends(B)
    assert leader.core.read_index(leader.now) == leader.core.commit_index


def test_no_read_by_lease_after_the_lease_or_by_a_deposed_leader():
    """Symptom: a stale read from a deposed leader (etcd-io/etcd#20418); leases without check-quorum
    (tikv/raft-rs#141)."""
    leader = Bench(A).lead()
    assert leader.core.read_index(leader.now) is not None
    assert leader.core.read_index(leader.core.lease_until) is None
    deposed = Bench(A).lead()
    deposed.get(B, beat(deposed.core.term + 1))
    assert deposed.core.read_index(deposed.now) is None


def test_a_read_needs_a_majority_not_one_less():
    """Symptom: reads served with majority - 1 (openraft d60f1e85)."""
    five = Membership(frozenset((A, B, C, b"d", E)))
    leader = Bench(A, log=log_of(1, membership=five)).win((B, C)).answer_appends(B, C)
    leader.answer_heartbeats(B)
    assert leader.core.read_index(leader.now) is None
    assert leader.answer_heartbeats(C).core.read_index(leader.now) is not None


def test_a_host_whose_clock_only_runs_on_keeps_its_lease_while_a_quorum_answers():
    host = Bench(A).lead().keep_lease(2.0, B)
    assert host.hosted == [2] and not host.stops


def test_a_blocked_disk_does_not_keep_a_lost_lease():
    """Symptom: leases revoked by a leader stuck in fdatasync (etcd-io/etcd#15247, #12528)."""
    host = Bench(A).lead()
    host.disk_is_slow = True
    host.propose()
    host.at(host.core.lease_until)
    assert host.stops == [StopReason.LEASE_LOST]


def test_a_higher_term_ends_the_tenure_at_once():
    """Symptom: a request accepted by the old leader under the new term (NuRaft#294)."""
    host = Bench(A).lead()
    host.get(B, append(9, (1, 1)))
    assert host.stops == [StopReason.HIGHER_TERM]
    assert host.propose() is None
    assert all(e.term < 9 for e in host.core.log.between(1, host.core.log.last_index))


def test_a_deposed_host_helps_nobody_until_its_server_function_has_unwound():
    """Found by exploring: its lease rests on its own word too, and still ran while it made another one host."""
    host = Bench(A).lead()
    host.host_is_slow = True
    host.get(B, HeartbeatResponse(Term(3), 1, 0.0, 0))
    assert host.stops == [StopReason.HIGHER_TERM] and host.core.term == 3
    host.get(B, vote(3, (2, 2)))
    assert not host.last(VoteResponse).granted, "B would host beside it"
    host.core.host_stopped(host.now)
    host.get(B, vote(3, (2, 2)))
    assert host.last(VoteResponse).granted


def test_a_deposed_host_waits_no_longer_than_its_old_lease_for_its_server_function():
    host = Bench(A).lead()
    host.host_is_slow = True
    ends = host.core.lease_until
    host.core.resign(host.now)
    host.round().oversleep(ends - 0.001).get(B, vote(3, (2, 2)))
    assert not host.last(VoteResponse).granted
    host.oversleep(ends).get(B, vote(3, (2, 2)))
    assert host.last(VoteResponse).granted


def test_delays_that_cost_one_leader_its_lease_make_the_next_promises_longer():
    """Symptom: on a link slower than the first promise, host followed host for ever (seeds 3 and 11)."""
    leader = Bench(A).lead()
    before = leader.core.leadership.promise_s(leader.now)
    leader.at(leader.core.lease_until)
    assert leader.core.role.value == "follower"
    leader.hosted.clear()
    leader.win()
    assert leader.core.leadership.promise_s(leader.now) > before + 0.03


def test_the_first_promises_of_a_leader_outlast_the_round_trip_of_its_pre_vote():
    member = Bench(A).at(FAR)
    member.sent.clear()
    member.stand()
    term = Term(member.core.term + 1)
    member.oversleep(member.now + 0.06)
    member.get(B, PreVoteResponse(member.core.term, term, granted=True))
    member.get(B, VoteResponse(term, term, granted=True))
    assert member.core.leadership.promise_s(member.now) * LEASE_FRACTION > 2 * 0.06


def test_losing_the_lease_after_a_release_is_no_sign_of_slow_answers():
    leader = Bench(A).lead()
    leader.core.hand_over(B, leader.now)
    leader.round()
    assert leader.core.leadership.has_released
    value = leader.core.quorum_delay.value(leader.now)
    leader.at(leader.now + 1.0)
    assert leader.core.quorum_delay.value(leader.now) <= value


def test_who_was_deposed_does_not_stand_while_its_server_function_unwinds():
    """Its own word is part of the quorum that the lease rests on."""
    host = Bench(A).lead()
    host.host_is_slow = True
    host.get(B, HeartbeatResponse(Term(9), 1, 0.0, 1))
    assert host.core.leadership is None and not host.core.host_is_stopped
    lease_ends = host.core.promise.unwinding_until
    assert lease_ends > host.now
    host.sent.clear()
    host.core.standing._due = host.now - 1.0  # whatever it was waiting for is over
    assert not host.at(lease_ends - 0.001).take(PreVoteRequest)
    assert host.at(lease_ends + 1.0).take(PreVoteRequest)


@pytest.mark.parametrize(("entries", "size"), [(20, 32_000), (BULK_ENTRIES + 1, 1)])
def test_while_much_is_under_way_promises_are_longer(entries, size):
    """Everybody is busy then, and answers later than ever before; no measurement says so in time."""
    leader = Bench(A).lead()
    assert leader.core.leadership is not None
    before = leader.core.leadership.promise_s(leader.now)
    for _ in range(entries):
        leader.propose("x" * size)
    assert leader.core.leadership.promise_s(leader.now) > before + BULK_DELAY_S
    leader.answer_appends(B, C)
    assert leader.core.leadership.promise_s(leader.now) == before


@pytest.mark.parametrize(("entries", "size"), [(20, 32_000), (BULK_ENTRIES + 1, 1)])
def test_a_burst_is_led_by_a_heartbeat_that_asks_for_more(entries, size):
    """The next regular one would be up to 30 ms away, and be behind the burst on every follower."""
    leader = Bench(A).lead()
    leader.sent.clear()
    for _ in range(entries):
        leader.core.propose(b"x" * size, leader.now)
    leader.round()
    kinds = [type(message) for to, message in leader.sent if to == B]
    assert kinds[0] is Heartbeat and AppendEntries in kinds
    assert leader.last(Heartbeat).promise_s > leader.core.timing.promise_s + BULK_DELAY_S
    for _ in range(entries):
        leader.core.propose(b"x" * size, leader.now)
    assert not leader.round().take(Heartbeat), "once is enough"
    leader.answer_appends(B, C).keep_lease(0.1, B, C)
    leader.sent.clear()
    for _ in range(entries):
        leader.core.propose(b"x" * size, leader.now)
    assert leader.round().take(Heartbeat), "the next burst is another one"


def test_a_heartbeat_repeated_to_one_who_is_silent_leads_no_burst_to_the_others():
    leader = Bench(A).lead()
    leader.at(leader.now + leader.core.timing.heartbeat_s).answer_heartbeats(B)
    leader.sent.clear()
    repeat_at = leader.core.leadership.replication.progress[C].heartbeat_due
    assert repeat_at < leader.now + leader.core.timing.heartbeat_s, "before the next round"
    leader.oversleep(repeat_at)
    for _ in range(2 * BULK_ENTRIES):
        leader.core.propose(b"x", leader.now)
    leader.tick()
    assert [type(message) for to, message in leader.sent if to == B][:2] == [Heartbeat, AppendEntries]


def test_while_a_snapshot_is_sent_promises_are_longer():
    leader = Bench(A).lead()
    assert leader.core.leadership is not None
    before = leader.core.leadership.promise_s(leader.now)
    progress = leader.core.leadership.replication.progress[B]
    progress.needs_snapshot(LogIndex(1), Term(1), leader.now)
    assert leader.core.leadership.promise_s(leader.now) > before + BULK_DELAY_S
    leader.keep_lease(2 * ALIVE_S, C)
    assert leader.core.leadership.promise_s(leader.now) == pytest.approx(before, rel=0.05), "it is gone"
    leader.keep_lease(0.1, B, C)
    assert leader.core.leadership.promise_s(leader.now) > before + BULK_DELAY_S
    progress.transfer_failed(LogIndex(1), leader.now)
    assert leader.core.leadership.promise_s(leader.now) == pytest.approx(before, rel=0.05)


def test_what_is_under_way_is_no_measure_of_the_delays_that_cost_a_lease():
    lost = []
    for size in (10, 32_000):
        leader = Bench(A).lead()
        for _ in range(20):
            leader.propose("x" * size)
        leader.at(leader.now + 0.5)
        assert leader.core.leadership is None
        lost.append(leader.core.quorum_delay.value(leader.now))
    assert lost[0] == pytest.approx(lost[1], rel=0.02)
