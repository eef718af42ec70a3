"""Standing and voting (Raft, 5.2 and 5.4.1; pre-vote: dissertation, 9.6), and what others got wrong there."""

from __future__ import annotations

import pytest
from harness import FAR, TIMING, A, B, Bench, C, D, E, append, beat, log_of, pre_vote, vote

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    Heartbeat,
    HeartbeatResponse,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)
from failover.raft.timing import Timing


def pre_yes(bench: Bench, *voters) -> Bench:
    for voter in voters:
        bench.get(voter, PreVoteResponse(bench.core.term, Term(bench.core.term + 1), True))
    return bench


def yes(bench: Bench, *voters) -> Bench:
    for voter in voters:
        bench.get(voter, VoteResponse(bench.core.term, bench.core.term, True))
    return bench


def test_a_member_starts_as_a_follower():
    """Raft, 5.2."""
    assert Bench(A).core.role is Role.FOLLOWER


def test_a_follower_that_hears_nothing_stands_but_raises_no_term_before_a_pre_vote():
    """Raft, 5.2; dissertation, 9.6."""
    member = Bench(A).at(FAR)
    member.sent.clear()
    member.stand()
    assert member.core.role is Role.PRE_CANDIDATE and member.core.term == 1
    assert {to for to, m in member.sent if isinstance(m, PreVoteRequest)} == {B, C}


def test_a_candidate_asks_all_others_while_its_own_vote_is_written_and_wins_with_it_only():
    """Raft, 5.2: "increments its current term ... votes for itself and issues RequestVote RPCs"."""
    member = Bench(A).at(FAR).stand()
    member.disk_is_slow = True
    pre_yes(member, B)
    assert (member.core.term, member.core.voted_for) == (2, A)
    assert {to for to, _ in member.sent if _.__class__ is VoteRequest} == {B, C}
    yes(member, B, C)
    assert member.core.role is Role.CANDIDATE
    member.finish_writes()
    assert member.core.role is Role.LEADER


def test_a_candidate_asks_for_votes_with_a_log_that_no_crash_shortens():
    """Found by exploring: a crash lost the entries and the own vote, and the member stood in the same term again.

    A late vote for the longer log then made it leader with the shorter one, without an entry that was committed.
    """
    member = Bench(A, timing=Timing(write_stall_s=FAR)).at(FAR)
    member.disk_is_slow = True
    member.get(B, append(1, (1, 1), 1)).sent.clear()
    pre_yes(member.stand(), C)
    assert member.core.role is Role.CANDIDATE and not member.take(VoteRequest)
    member.finish_writes()
    assert member.take(VoteRequest, C) == [vote(2, (2, 1))]


@pytest.mark.parametrize(("size", "needed"), [(2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_makes_the_leader_and_one_less_does_not(size, needed):
    """Raft, 5.2; symptom: off by one in even-sized clusters (hashicorp/raft 163a55f)."""
    names = (A, B, C, D, E)[:size]
    member = Bench(A, log=log_of(1, membership=Membership(frozenset(names)))).at(FAR).stand()
    pre_yes(member, *names[1:needed])
    yes(member, *names[1 : needed - 1])
    assert member.core.role is Role.CANDIDATE
    yes(member, names[needed - 1])
    assert member.core.role is Role.LEADER


def test_a_new_leader_sends_heartbeats_at_once():
    """Raft, 5.2: "sends heartbeat messages to all of the other servers ... to prevent new elections"."""
    assert {to for to, m in Bench(A).win().sent if isinstance(m, Heartbeat)} == {B, C}


def test_a_vote_is_given_once_in_a_term_first_come_first_served():
    """Raft, 5.2."""
    member = Bench(B).at(FAR).get(A, vote(5)).get(C, vote(5)).get(A, vote(5))
    assert [m.granted for _, m in member.sent if isinstance(m, VoteResponse)] == [True, False, True]


def test_a_vote_survives_a_crash_with_its_term():
    """Symptoms: a vote given twice around a crash (willemt/raft#47, PySyncObj#201, #202)."""
    member = Bench(B, disk_is_slow=True).oversleep(FAR).get(A, vote(5))
    assert not member.take(VoteResponse), "not before it is durable"
    state = member.writes[-1].hard_state
    assert state is not None and (state.term, state.voted_for) == (5, A), "in one write"
    again = Bench(B, term=state.term, voted_for=state.voted_for).oversleep(FAR).get(C, vote(5))
    assert not again.last(VoteResponse).granted


@pytest.mark.parametrize(
    ("last", "granted"),
    [((3, 2), True), ((4, 2), True), ((2, 3), True), ((2, 2), False), ((9, 1), False), ((1, 9), True)],
)
def test_only_a_log_at_least_as_up_to_date_gets_the_vote(last, granted):
    """Raft, 5.4.1: compared as a pair, term first; symptom: nobody can win (openraft a48a3282)."""
    member = Bench(B, log=log_of(1, 2, 2)).oversleep(FAR)
    assert member.get(A, pre_vote(5, last)).last(PreVoteResponse).granted is granted
    assert member.get(A, vote(5, last)).last(VoteResponse).granted is granted


def test_a_candidate_that_hears_the_leader_of_its_term_follows():
    """Raft, 5.2."""
    member = pre_yes(Bench(A).at(FAR).stand(), B)
    member.get(C, append(member.core.term, (1, 1)))
    assert member.core.role is Role.FOLLOWER and member.core.leader == C


def test_a_candidate_is_not_stopped_by_a_leader_of_an_older_term():
    """Raft, 5.2: "if the term in the RPC is smaller ... continues in candidate state"."""
    member = pre_yes(Bench(A, term=4).at(FAR).stand(), B)
    member.get(C, append(4, (1, 1)))
    assert member.core.role is Role.CANDIDATE


@pytest.mark.parametrize("kind", [AppendResponse, HeartbeatResponse])
def test_a_higher_term_in_an_answer_ends_leading(kind):
    """Raft, 5.1; symptom: two leaders tolerated (eBay/NuRaft#531)."""
    leader = Bench(A).lead()
    no = kind(Term(9), False, LogIndex(1)) if kind is AppendResponse else kind(Term(9), 1, 0.0, LogIndex(1))
    leader.get(B, no)
    assert leader.core.role is Role.FOLLOWER and leader.core.term == 9 and leader.stops


def test_a_pre_vote_changes_nothing_in_who_grants_it():
    """Symptoms: voted_for cleared (canonical/raft#196); the election put off (hashicorp/raft#609)."""
    member = Bench(B, term=4, voted_for=A).oversleep(FAR)
    due, writes = member.effects.deadline, len(member.writes)
    assert member.get(C, pre_vote(9)).last(PreVoteResponse).granted
    assert (member.core.term, member.core.voted_for, len(member.writes)) == (4, A, writes)
    assert member.effects.deadline == due


def test_answers_to_pre_votes_are_no_votes():
    """Symptom: pre-vote answers taken for votes (canonical/raft#196)."""
    member = pre_yes(Bench(A).at(FAR).stand(), B)
    member.get(C, PreVoteResponse(Term(1), Term(2), True))
    assert member.core.role is Role.CANDIDATE


def test_answers_of_an_overlapping_round_do_nothing_to_a_leader():
    """Symptom: a new leader campaigns against itself (openraft PR #1839, 511f33c7)."""
    leader = Bench(A).lead()
    leader.get(C, PreVoteResponse(Term(1), Term(2), True), VoteResponse(Term(2), Term(2), True))
    leader.get(C, PreVoteResponse(Term(2), Term(3), True))
    assert (leader.core.role, leader.core.term) == (Role.LEADER, 2)


def test_a_member_behind_in_terms_is_answered_so_that_it_can_follow():
    """Symptom: no leader for ever: answers of an old term are ignored (etcd-io/etcd#8243, canonical/raft#279)."""
    ahead = Bench(B, term=7).oversleep(FAR)
    answer = ahead.get(A, pre_vote(2)).last(PreVoteResponse)
    assert (answer.term, answer.request_term, answer.granted, answer.retry_after_s) == (7, 2, False, 0.0)
    behind = Bench(A).at(FAR).stand().get(B, answer)
    assert behind.core.term == 7
    behind.sent.clear()
    assert behind.stand().last(PreVoteRequest).term == 8


def test_a_lagging_voter_grants_with_the_term_that_was_asked():
    """Symptom: as above, the other way round (etcd-io/etcd#8243)."""
    answer = Bench(B, term=1).oversleep(FAR).get(A, pre_vote(9)).last(PreVoteResponse)
    assert answer.granted and answer.request_term == 9


def test_the_grant_of_a_voter_that_is_behind_counts():
    """Symptom: as above (etcd-io/etcd#8243): its answer bears its own, lower term."""
    member = Bench(A, term=7).at(FAR).stand()
    member.get(B, PreVoteResponse(Term(1), Term(8), granted=True))
    assert member.core.role is Role.CANDIDATE and member.core.term == 8


def test_longer_log_of_a_lower_term_and_shorter_log_of_a_higher_one_find_a_leader():
    """Symptoms: deadlock in a rolling change (etcd-io/etcd#8501), openraft#1796."""
    longer, higher = Bench(A, log=log_of(1, 1, 1)), Bench(B, log=log_of(1), term=6)
    longer.at(FAR).stand()
    higher.oversleep(longer.now)
    for _ in range(6):
        for message in longer.take(object, B):
            higher.get(A, message)
        for message in higher.take(object, A):
            longer.get(B, message)
        longer.at(longer.now + 0.1)
        higher.oversleep(longer.now)
    assert longer.core.term > 6 and longer.core.role is Role.LEADER


def test_a_member_whose_promise_ended_helps_though_it_still_knows_a_leader():
    """Symptom: a pre-candidate refused because the voter "has a leader" (etcd-io/etcd#8334, raft-rs#84)."""
    voter = Bench(B).oversleep(FAR).get(A, beat(2, promise=0.075)).oversleep(FAR + 0.0751)
    assert voter.core.leader == A
    assert voter.get(C, pre_vote(3)).last(PreVoteResponse).granted


def test_the_former_leaders_pre_vote_is_granted_like_any_other():
    """Symptom: 2 of 3 up and no leader (hashicorp/raft#605, #606)."""
    voter = Bench(B).oversleep(FAR).get(A, beat(2)).oversleep(FAR + 0.2)
    assert voter.get(A, pre_vote(3)).last(PreVoteResponse).granted


def test_followers_of_a_useless_leader_elect_another():
    """Symptom: who still hears a leader without quorum refuses (cockroachdb/cockroach#107060, #92089).

    A leader that too few answer steps down by itself, and its promises end with its heartbeats.
    """
    useless = Bench(A).lead().keep_lease(0.5)
    assert useless.core.role is not Role.LEADER
    assert not useless.at(useless.now + 0.3).take(Heartbeat)


def test_a_half_connected_member_does_not_raise_the_term_of_the_others():
    """Symptom: a six-hour outage, terms bumped by half-connected members (Cloudflare, November 2020)."""
    voter = Bench(B).oversleep(FAR).get(A, beat(2))
    for term in range(3, 30):
        voter.get(C, pre_vote(term), vote(term))
    assert voter.core.term == 2


def test_a_barred_request_says_when_to_ask_again_and_then_it_is_asked_again():
    member = Bench(A).at(FAR).stand()
    member.sent.clear()
    member.get(B, PreVoteResponse(Term(1), Term(2), False, retry_after_s=0.03))
    began = member.now
    while member.now < began + 0.05 and not member.take(PreVoteRequest, B):
        member.at(member.effects.deadline)
    assert member.now - began == pytest.approx(0.03)


def test_a_refusal_from_before_a_grant_does_not_take_it_back():
    five = Membership(frozenset((A, B, C, D, E)))
    member = Bench(A, log=log_of(1, membership=five)).at(FAR).stand()
    pre_yes(member, B)
    member.get(B, PreVoteResponse(Term(1), Term(2), False))
    pre_yes(member, C)
    assert member.core.role is Role.CANDIDATE


def test_enough_refusals_end_a_round_and_the_next_one_waits():
    member = Bench(A).at(FAR).stand()
    member.get(B, PreVoteResponse(Term(1), Term(2), False)).get(C, PreVoteResponse(Term(1), Term(2), False))
    assert member.core.role is Role.FOLLOWER
    member.sent.clear()
    assert member.now < member.effects.deadline <= member.now + 0.1


def test_unreachable_is_not_a_grant_and_says_that_quorum_is_lost():
    member = Bench(A).at(FAR)
    assert member.core.role is not Role.LEADER and member.core.term == 1
    assert member.core.standing.quorum_is_lost


def test_a_stranger_and_a_learner_count_for_nothing():
    """Symptoms: non-voters counted (openraft a10d9906, d882e743, 4d58a51e; hashicorp/raft#477)."""
    membership = Membership(frozenset((A, B, C)), learners=frozenset((D,)))
    member = Bench(A, log=log_of(1, membership=membership)).at(FAR).stand()
    pre_yes(member, D, E)
    assert member.core.role is Role.PRE_CANDIDATE
    pre_yes(member, B)
    yes(member, D, E)
    assert member.core.role is Role.CANDIDATE


def test_a_learner_never_stands():
    """Symptoms: etcd-io/raft db54973, tikv/raft-rs#165; openraft 39690593."""
    membership = Membership(frozenset((A, B)), learners=frozenset((C,)))
    assert not Bench(C, log=log_of(1, membership=membership)).at(FAR).take(PreVoteRequest)


def test_a_learner_that_must_vote_does():
    """Symptom: no leader: the learner has not seen that it was promoted (etcd-io/raft abb533c, raft-rs#58)."""
    membership = Membership(frozenset((A, B)), learners=frozenset((C,)))
    learner = Bench(C, log=log_of(1, membership=membership)).oversleep(FAR)
    assert learner.get(A, vote(3)).last(VoteResponse).granted


def test_who_stands_last_leads_all_the_same_where_nobody_else_can():
    """Symptom: stuck when the member of priority zero alone holds the log (NuRaft#436)."""
    member = Bench(A, log=log_of(1, 1, 1)).oversleep(FAR)
    member.core.stand_last(FAR + 1000.0)
    member.get(C, beat(1)).stand().get(B, PreVoteResponse(Term(1), Term(2), True))
    yes(member, B)
    assert member.core.role is Role.LEADER and member.now < FAR + 0.5


def test_a_newcomer_without_a_log_never_stands():
    """Symptom: two fresh members invite each other and wedge (NuRaft#629, #631)."""
    newcomer = Bench(C, log=[], term=0).at(FAR)
    assert not newcomer.take(PreVoteRequest) and newcomer.core.term == 0


def test_a_disk_that_hangs_keeps_a_member_from_standing_and_when_it_is_done_it_stands():
    """design.md, section 4: a member with a write pending for 250 ms does not stand."""
    member = Bench(A, disk_is_slow=True).oversleep(FAR).get(B, append(2, (1, 1), 2))
    member.sent.clear()
    member.oversleep(FAR + 0.3).tick()
    assert not member.take(PreVoteRequest)
    member.finish_writes().at(FAR + 0.6)
    assert member.take(PreVoteRequest)


def test_a_single_voter_needs_its_own_vote_to_be_durable():
    """Symptoms: completion of an older term counted (openraft#1960)."""
    lone = Bench(A, log=log_of(1, membership=Membership(frozenset((A,)))), disk_is_slow=True).at(0.15)
    assert lone.core.role is Role.CANDIDATE
    lone.finish_writes()
    assert lone.core.role is Role.LEADER and not lone.hosted
    lone.finish_writes()
    assert lone.hosted == [2]


def test_an_earlier_write_that_is_done_is_not_the_own_vote():
    """Symptom: completion of an older term counted (openraft#1960); here entries that a leader had sent."""
    member = Bench(A, disk_is_slow=True).oversleep(FAR).get(B, append(1, (1, 1), 1))
    earlier = member.writes[-1].number
    pre_yes(member.stand(), B)
    yes(member, B)
    assert member.finish_writes(earlier).core.role is Role.CANDIDATE
    assert member.finish_writes().core.role is Role.LEADER


def test_a_restarted_member_stands_soon():
    """Symptom: a long first timer hangs the cluster (openraft 228077a6)."""
    member = Bench(A, ceiling=0.1).at(0.15)
    assert member.take(PreVoteRequest)


def test_a_voter_whose_disk_hangs_is_asked_again_later():
    """Else it would be asked for a vote that it cannot store in time, in one term after the other."""
    voter = Bench(B, disk_is_slow=True, now=FAR).get(A, append(1, (1, 1), 1)).oversleep(FAR + 1)
    answer = voter.get(C, pre_vote(2)).last(PreVoteResponse)
    assert not answer.granted and answer.retry_after_s > 0
    assert voter.finish_writes().get(C, pre_vote(2)).last(PreVoteResponse).granted


def test_votes_that_came_too_late_are_waited_for_longer_the_next_time():
    """Where a disk takes longer than a candidacy lasts, nobody could ever be elected."""
    candidate = Bench(A)
    lasted = []
    for _ in range(3):
        candidate.at(candidate.now + 10).sent.clear()
        pre_yes(candidate.stand(), B)
        began, term = candidate.now, candidate.core.term
        while candidate.core.role is Role.CANDIDATE:
            candidate.at(candidate.effects.deadline)
        lasted.append(candidate.now - began)
        assert candidate.core.term == term
    assert lasted == pytest.approx([0.25, 0.5, 1.0])
    yes(pre_yes(candidate.at(candidate.now + 10).stand(), B), B)
    assert candidate.core.role is Role.LEADER


@pytest.mark.parametrize(("me", "yields"), [(A, False), (B, True)])
def test_who_waits_for_anothers_promise_lets_a_better_rank_stand_first(me, yields):
    """Two members wait for one to end its promise, which may stand then: asking at that moment makes a duel."""
    membership = Membership(frozenset((A, B)))
    other = B if me == A else A
    member = Bench(me, log=log_of(1, membership=membership)).oversleep(FAR).tick()
    asked = member.now
    assert member.take(PreVoteRequest)
    member.get(other, PreVoteResponse(Term(1), Term(2), False, 0.030))
    member.at(asked + 0.031)
    assert bool(member.take(PreVoteRequest)) is not yields
    member.at(asked + 0.031 + TIMING.stagger_s)
    assert bool(member.take(PreVoteRequest)) is yields


def test_duels_end_because_waits_differ():
    """Symptom: timers in lock-step (openraft 5e15946d): rank and dice both part them."""
    dues = set()
    for me in (A, B, C):
        member = Bench(me).at(FAR).get(A if me != A else B, beat(2))
        dues.add(round(member.effects.deadline - member.now, 6))
    assert len(dues) >= 2


def test_a_duelling_candidate_of_a_lower_term_follows_the_higher():
    """Raft, 5.1."""
    member = pre_yes(Bench(A).at(FAR).stand(), B)
    member.get(C, vote(5))
    assert member.core.role is Role.FOLLOWER and member.core.voted_for == C


def test_a_late_own_vote_does_nothing_after_a_lost_election():
    """Scenario: late self-vote after a lost election."""
    member = Bench(A).at(FAR).stand()
    member.disk_is_slow = True
    pre_yes(member, B)
    number = member.writes[-1].number
    member.get(C, append(3, (1, 1)))
    member.finish_writes(number)
    assert member.core.role is Role.FOLLOWER and member.core.term == 3


def test_a_leader_appends_its_no_op_first_and_commits_by_counting_in_its_own_term_only():
    """Raft, 5.4.2, figure 8; symptoms: bakwc/PySyncObj#110, #169, logcabin#44."""
    leader = Bench(A, log=log_of(1, 2, 2), term=3).win()
    assert leader.terms == [1, 2, 2, 4]
    leader.get(B, AppendResponse(Term(4), True, LogIndex(3)))
    leader.get(C, AppendResponse(Term(4), True, LogIndex(3)))
    assert leader.core.commit_index == 0
    leader.get(B, AppendResponse(Term(4), True, LogIndex(4)))
    assert leader.core.commit_index == 4


def test_a_leader_counts_its_own_log_only_as_far_as_it_is_durable():
    """Raft dissertation, 10.2.1; symptom: the leader's own unsynced entries counted."""
    leader = Bench(A).lead()
    leader.disk_is_slow = True
    proposed = leader.propose()
    leader.answer_appends(B)
    assert leader.core.commit_index < proposed.index
    leader.finish_writes()
    assert leader.core.commit_index == proposed.index


def test_the_followers_alone_can_commit_while_the_leaders_disk_is_slow():
    leader = Bench(A).lead()
    leader.disk_is_slow = True
    proposed = leader.propose()
    leader.answer_appends(B, C)
    assert leader.core.commit_index == proposed.index


def test_a_member_that_lost_all_contact_keeps_its_term():
    member = Bench(A).at(60.0)
    assert member.core.term == 1


def test_retried_pre_votes_do_not_flood():
    member = Bench(A).at(FAR)
    member.sent.clear()
    member.at(FAR + 10.0)
    assert len(member.take(PreVoteRequest)) < 10.0 * 2 * 60


def test_a_removed_member_with_a_higher_term_stops_no_leader_by_asking():
    """Symptom: a non-voter with a higher term makes leaders step down for ever (hashicorp/raft#524 to #526)."""
    leader = Bench(A).lead()
    leader.get(D, pre_vote(99), vote(99))
    assert leader.core.role is Role.LEADER and leader.core.term == 2 and not leader.stops


def test_a_voter_that_the_leader_cannot_hear_does_not_depose_it():
    """Symptom: a leader cut from one voter that the rest still reach (cockroachdb/cockroach#92089)."""
    leader = Bench(A).lead().keep_lease(0.3, B)
    leader.get(C, pre_vote(3), vote(3))
    assert leader.core.role is Role.LEADER and not leader.keep_lease(0.5, B).stops


def test_a_vote_in_a_term_that_was_known_before_is_stored_too():
    """Symptom: a vote given twice around a crash (willemt/raft#47): nothing but the vote has changed here."""
    member = Bench(B, term=5, disk_is_slow=True).oversleep(FAR).get(A, vote(5))
    assert not member.take(VoteResponse)
    state = member.writes[-1].hard_state
    assert state is not None and (state.term, state.voted_for) == (5, A)


def test_a_lost_vote_does_not_wait_for_the_dead():
    """Two of three stand at once, the third is dead: a quarter of a second of silence followed each such vote."""
    member = pre_yes(Bench(A).at(FAR).stand(), B)
    assert member.core.role is Role.CANDIDATE
    member.get(B, VoteResponse(member.core.term, member.core.term, False))
    member.at(member.now + 0.021)
    assert member.core.role is not Role.CANDIDATE


def test_a_vote_that_the_living_can_still_win_is_kept_up():
    """C was silent in the pre-vote; D and E, who spoke, may only have slow disks."""
    five = Membership(frozenset((A, B, C, D, E)))
    member = pre_yes(Bench(A, log=log_of(1, membership=five)).at(FAR).stand(), B, D)
    assert member.core.role is Role.CANDIDATE
    member.get(E, PreVoteResponse(Term(1), member.core.term, True))  # too late to count, but a sign of life
    member.get(B, VoteResponse(member.core.term, member.core.term, False))
    member.at(member.now + 0.1)
    assert member.core.role is Role.CANDIDATE


# --- members that are far apart ---


def expiry(bench: Bench) -> float:
    """Stand, and see how long the round of pre-votes is kept up without an answer."""
    began = bench.stand().now
    while bench.core.role is Role.PRE_CANDIDATE:
        bench.at(bench.effects.deadline)
    return bench.now - began


def test_answers_that_miss_their_round_make_the_next_one_longer():
    """Symptom: no host at all where a round trip takes longer than the promises of a LAN."""
    bench = Bench(A, now=FAR)
    assert expiry(bench) == pytest.approx(TIMING.promise_s)
    refusal = PreVoteResponse(bench.core.term, Term(bench.core.term + 1), False, 0.05)
    bench.get(B, refusal).sent.clear()
    assert expiry(bench) == pytest.approx(2 * TIMING.promise_s)


def test_rounds_are_short_again_once_somebody_leads():
    """A cut link or a pause may have been all that made the answers late."""
    bench = Bench(A, now=FAR)
    expiry(bench)
    bench.get(B, PreVoteResponse(bench.core.term, Term(bench.core.term + 1), False, 0.05))
    bench.get(B, beat(2)).sent.clear()
    assert expiry(bench) == pytest.approx(TIMING.promise_s)
