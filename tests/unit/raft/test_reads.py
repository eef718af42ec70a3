"""Linearizable reads by a round of the quorum (dissertation, 6.4)."""

from __future__ import annotations

from harness import THREE, A, B, Bench, C, D, E, beat, log_of

from failover.ids import LogIndex, Term
from failover.raft.effects import ReadAnswer
from failover.raft.membership import Membership
from failover.raft.messages import Heartbeat, HeartbeatResponse
from failover.raft.reads import READS_MAX


def host(**options) -> Bench:
    leader = Bench(A, **options).lead()
    leader.sent.clear()
    return leader


def ask(leader: Bench) -> int | None:
    number = leader.core.read(leader.now)
    leader.round()
    return number


def answers(leader: Bench) -> list[tuple[int, int | None]]:
    found = [(each.number, each.index) for each in leader.reads]
    leader.reads.clear()
    return found


def test_a_read_is_confirmed_by_a_quorum_that_answers_a_heartbeat_sent_after_it():
    leader = host()
    number = ask(leader)
    assert answers(leader) == []
    leader.answer_heartbeats(B)
    assert answers(leader) == [(number, leader.core.commit_index)]


def test_a_read_does_not_wait_for_the_next_regular_heartbeat():
    leader = host()
    ask(leader)
    assert {to for to, m in leader.sent if isinstance(m, Heartbeat)} == {B, C}


def test_an_answer_to_an_older_heartbeat_confirms_nothing():
    """Symptom: old delayed heartbeat answers confirmed a retried read (etcd-io/etcd#20418, etcd-io/raft#397)."""
    leader = host()
    older = leader.core.leadership.lease.round
    ask(leader)
    for follower in (B, C):
        leader.get(follower, HeartbeatResponse(Term(2), older, 0.075, LogIndex(2)))
    assert answers(leader) == []


def test_the_same_question_asked_again_is_a_new_question():
    """Scenario: repeated read request: what confirmed the first one does not confirm the second."""
    leader = host()
    first = ask(leader)
    leader.answer_heartbeats(B)
    second = ask(leader)
    assert answers(leader) == [(first, leader.core.commit_index)] and second != first
    leader.answer_heartbeats(C)
    assert answers(leader) == [(second, leader.core.commit_index)]


def test_questions_that_come_during_a_round_share_the_next_one():
    leader = host()
    first = ask(leader)
    leader.take(Heartbeat)
    later = [ask(leader) for _ in range(50)]
    assert not leader.take(Heartbeat), "a round is under way"
    round_ = leader.core.leadership.lease.round
    leader.get(B, HeartbeatResponse(Term(2), round_, 0.075, LogIndex(2)))
    assert [number for number, _ in answers(leader)] == [first]
    assert len(leader.sent) == 2, "one heartbeat to each of two followers, for fifty questions"
    leader.answer_heartbeats(C)
    assert [number for number, _ in answers(leader)] == later


def test_a_lost_round_is_made_up_for_by_the_next_heartbeats():
    leader = host()
    number = ask(leader)
    leader.sent.clear()
    leader.at(leader.now + 0.02).answer_heartbeats(C)
    assert [each for each, _ in answers(leader)] == [number]


def test_the_index_is_that_of_the_moment_of_asking():
    leader = host()
    before = leader.core.commit_index
    ask(leader)
    leader.propose()
    leader.answer_appends(B).answer_heartbeats(B)
    assert answers(leader) == [(1, before)] and leader.core.commit_index > before


def test_no_read_before_the_own_no_op_is_committed():
    """Symptom: stale read by a fresh leader (etcd-io/etcd#7331, tikv/tikv#6340, #9239)."""
    leader = Bench(A).win().answer_heartbeats(B, C)
    assert ask(leader) is None
    assert ask(leader.answer_appends(B, C)) is not None


def test_a_follower_and_a_candidate_are_not_asked():
    assert ask(Bench(B).oversleep(10).get(A, beat(2))) is None
    assert ask(Bench(A).at(10).stand()) is None


def test_a_minority_confirms_nothing():
    """Symptom: reads served with a majority less one (openraft d60f1e85)."""
    five = Membership(frozenset((A, B, C, D, E)))
    leader = Bench(A, log=log_of(1, membership=five)).lead((B, C))
    leader.sent.clear()
    number = ask(leader)
    assert answers(leader.answer_heartbeats(B)) == []
    assert answers(leader.answer_heartbeats(E)) == [(number, leader.core.commit_index)]


def test_learners_and_strangers_confirm_nothing():
    leader = host(log=log_of(1, membership=Membership(THREE.voters, learners=frozenset((D,)))))
    ask(leader)
    assert answers(leader.answer_heartbeats(D, E)) == []


def test_a_joint_membership_needs_both_halves():
    leader = Bench(A).lead()
    leader.get(D, HeartbeatResponse(Term(2), 1, 0.075, LogIndex(1)))
    assert leader.core.change_membership((A, B, C), (D, E), b"", leader.now)
    leader.round().answer_appends(B, C).answer_heartbeats(D, E)
    assert leader.core.change_membership((A, D, E), (B, C), b"", leader.now)
    leader.round().sent.clear()
    number = ask(leader)
    assert answers(leader.answer_heartbeats(B, C)) == []
    assert answers(leader.answer_heartbeats(D)) == [(number, leader.core.commit_index)]


def test_a_lone_voter_confirms_its_reads_itself():
    lone = Bench(A, log=log_of(1, membership=Membership(frozenset((A,))))).at(10.0)
    number = ask(lone)
    assert number is not None and answers(lone) == [(number, lone.core.commit_index)]


def test_a_higher_term_refuses_all_that_wait():
    leader = host()
    numbers = [ask(leader) for _ in range(3)]
    leader.get(B, beat(3))
    assert answers(leader) == [(number, None) for number in numbers]


def test_the_end_of_the_lease_refuses_all_that_wait():
    """A round of the quorum does not outlive the role, and the role does not outlive the lease."""
    leader = host()
    number = ask(leader)
    leader.at(leader.now + 0.5)
    assert answers(leader) == [(number, None)]


def test_a_release_refuses_all_that_wait_and_all_that_come():
    """Symptom: reads not gated by a transfer (openraft#1747)."""
    leader = host()
    number = ask(leader)
    leader.core.hand_over(B, leader.now)
    leader.round()
    assert answers(leader) == [(number, None)] and ask(leader) is None


def test_an_answer_of_an_earlier_leadership_confirms_nothing_in_a_later_one():
    leader = host()
    leader.keep_lease(0.5, B, C)
    late = HeartbeatResponse(Term(2), leader.core.leadership.lease.round, 0.075, LogIndex(2))
    leader.at(leader.now + 0.2).win().answer_heartbeats(B, C).answer_appends(B, C)
    leader.sent.clear()
    assert ask(leader) is not None
    assert answers(leader.get(B, late).get(C, late)) == []


def test_a_bounded_number_waits():
    leader = host()
    numbers = [ask(leader) for _ in range(READS_MAX + 10)]
    assert numbers.count(None) == 10
    leader.answer_heartbeats(B).answer_heartbeats(B)
    assert len(answers(leader)) == READS_MAX and ask(leader) is not None


def test_what_is_answered_is_said_once():
    leader = host()
    number = ask(leader)
    leader.answer_heartbeats(B, C)
    assert leader.reads == [ReadAnswer(number, leader.core.commit_index)]
