"""Figure 2 of the Raft paper, box by box, where no other test holds its lines (docs/explanation/paper.md)."""

from __future__ import annotations

from cluster import cluster_of
from harness import FAR, A, B, Bench, C, append, beat, log_of, pre_vote, vote
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.ids import LogIndex, Term
from failover.raft.core import Role
from failover.raft.messages import (
    AppendEntries,
    AppendResponse,
    CommitNotice,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)

# --- State ---


def test_the_first_entry_has_index_one_and_a_new_member_has_none():
    """State: the first index is 1; term, vote and commit index begin at nothing."""
    core = Bench(B, log=[], term=0).core
    assert (core.term, core.voted_for, core.commit_index, core.applied_index, core.log.last_index) == (
        0,
        None,
        0,
        0,
        0,
    )
    assert Bench(B, log=[], term=0).oversleep(FAR).get(A, append(1, (0, 0), 1)).core.log.last_index == 1


def test_a_restarted_member_knows_its_term_vote_and_log_and_takes_nothing_for_committed():
    """State: persistent on all, volatile on all."""
    core = Bench(B, log=log_of(1, 2, 2), term=5, voted_for=C).core
    assert (core.term, core.voted_for, core.log.last_index, core.commit_index, core.applied_index) == (
        5,
        C,
        3,
        0,
        0,
    )


terms = st.integers(1, 6)
anything = st.one_of(
    st.builds(beat, terms, st.integers(1, 5), commit=st.integers(0, 4)),
    st.builds(vote, terms, st.tuples(st.integers(0, 4), terms)),
    st.builds(pre_vote, terms, st.tuples(st.integers(0, 4), terms)),
    st.builds(lambda t, i: CommitNotice(Term(t), LogIndex(i)), terms, st.integers(0, 4)),
    st.builds(lambda t, r, g: VoteResponse(Term(t), Term(r), g), terms, terms, st.just(False)),
    st.builds(lambda t, i: AppendResponse(Term(t), False, LogIndex(i)), terms, st.integers(0, 4)),
    st.builds(lambda t: HeartbeatResponse(Term(t), 1, 0.0, LogIndex(1)), terms),
)


@settings(deadline=None)
@given(st.lists(st.tuples(anything, st.sampled_from((0.0, 0.01, 0.3))), max_size=30))
def test_term_and_indexes_never_fall_whatever_is_heard(heard: list[tuple[Message, float]]):
    """State: current term, commit index and last applied increase monotonically."""
    member = Bench(B, log=log_of(1, 1, 1)).oversleep(FAR)
    seen = []
    for message, later in heard:
        # One leader for each term, as Raft would have it: A says all that leaders say.
        member.at(member.now + later)
        if member.core.leadership is None:
            member.get(A, message)
        core = member.core
        seen.append((core.term, core.commit_index, core.applied_index))
        assert core.applied_index <= core.commit_index <= core.log.last_index
    for each in zip(*seen, strict=True):
        assert list(each) == sorted(each)


def test_the_vote_belongs_to_one_term_and_a_new_term_begins_with_none():
    """State: votedFor is the candidate voted for in the current term, or null."""
    member = Bench(B, term=4, voted_for=A).oversleep(FAR).get(C, append(5, (1, 1)))
    assert (member.core.term, member.core.voted_for) == (5, None)
    stored = member.writes[-1].hard_state
    assert stored is not None and (stored.term, stored.voted_for) == (5, None)


def test_a_new_leader_knows_nothing_of_its_followers_and_guesses_the_end_of_its_own_log():
    """State on leaders, made anew after each election: next = last + 1, match = 0."""
    leader = Bench(A, log=log_of(1, 1, 1)).win()
    leader.answer_appends(B)
    leader.at(leader.now + 1.0)
    assert leader.core.role is not Role.LEADER
    last = leader.core.log.last_index
    leader.win()
    progress = leader.core.leadership.replication.progress
    assert {(p.match_index, p.next_index) for p in progress.values()} == {(0, last + 1)}


# --- AppendEntries ---


def test_an_append_says_what_stands_just_before_its_entries():
    """AppendEntries, arguments: term, prevLogIndex, prevLogTerm, entries, leaderCommit."""
    leader = Bench(A, log=log_of(1, 2, 2), term=2).win()
    sent = leader.last(AppendEntries, B)
    assert (sent.term, sent.prev_log_index, sent.prev_log_term, sent.commit_index) == (3, 3, 2, 0)
    assert [(e.index, e.term) for e in sent.entries] == [(4, 3)]


def test_several_entries_travel_in_one_append():
    """AppendEntries, arguments: entries may be more than one."""
    leader = Bench(A).lead()
    leader.sent.clear()
    for _ in range(3):
        leader.core.propose(b"x", leader.now)
    leader.round()
    assert [len(message.entries) for message in leader.take(AppendEntries, B)] == [3]


def test_a_success_names_the_last_entry_that_matches_and_bears_the_term():
    """AppendEntries, results; how far it matched stands in ours too, for answers that come late or twice."""
    member = Bench(B, log=log_of(1, 1)).oversleep(FAR).get(A, append(3, (1, 1), 1, 3))
    assert member.last(AppendResponse) == AppendResponse(Term(3), True, LogIndex(3))


# --- RequestVote ---


def test_a_vote_request_of_an_older_term_is_refused_with_the_newer_term():
    """RequestVote, receiver 1."""
    member = Bench(B, term=7).oversleep(FAR).get(A, vote(6))
    assert member.last(VoteResponse) == VoteResponse(Term(7), Term(6), False)
    assert member.core.voted_for is None


def test_a_vote_request_says_where_the_candidates_log_ends():
    """RequestVote, arguments."""
    member = Bench(A, log=log_of(1, 2, 2)).at(FAR).stand()
    member.get(B, PreVoteResponse(Term(2), Term(3), True))
    asked = member.last(VoteRequest, B)
    assert (asked.term, asked.last_log_index, asked.last_log_term) == (3, 3, 2)


# --- Rules for servers ---


def test_what_is_committed_is_applied_in_the_order_of_the_log_and_once():
    """All servers: while commitIndex > lastApplied, apply the next."""
    member = Bench(B).oversleep(FAR).get(A, append(2, (1, 1), 2, 2, 2))
    member.get(A, append(2, (4, 2), commit=2)).get(A, append(2, (4, 2), commit=4)).get(
        A, append(2, (4, 2), commit=4)
    )
    assert [e.index for e in member.applied] == [1, 2, 3, 4]


def test_giving_a_vote_puts_off_ones_own_candidacy():
    """Followers: stand only if nothing came from a leader and no vote was given meanwhile."""
    member = Bench(B).oversleep(0.10)
    due = member.effects.deadline
    member.get(A, vote(2))
    assert member.last(VoteResponse).granted
    assert member.effects.deadline >= 0.10 + member.core.timing.promise_s > due


def test_a_refused_vote_puts_nothing_off():
    """Followers: only a vote that was given counts."""
    member = Bench(B, log=log_of(1, 2)).oversleep(0.10)
    due = member.effects.deadline
    member.get(A, vote(2, (1, 1)))
    assert not member.last(VoteResponse).granted
    assert member.effects.deadline == due


def test_an_idle_leader_repeats_its_heartbeats():
    """Leaders: heartbeats during idle periods, so that nobody stands."""
    table = cluster_of(A, B, C)
    host = table.with_host()
    table.said.clear()
    table.run(2.0)
    beats = [said.to for said in table.said if isinstance(said.message, Heartbeat)]
    others = table.benches.keys() - {host.core.me}
    assert all(beats.count(other) >= 2.0 / host.core.timing.heartbeat_s - 2 for other in others)
    assert len(beats) <= 2 * (2.0 / host.core.timing.heartbeat_s + 2), "once each, as they are answered"
    assert table.host is host and host.hosted == [host.core.term]


def test_a_leader_sends_what_a_follower_lacks_from_its_next_index_on():
    """Leaders: if the last index >= nextIndex, send the entries from nextIndex."""
    leader = Bench(A, log=log_of(1, 1, 1, 1)).win()
    leader.sent.clear()
    leader.get(C, AppendResponse(leader.core.term, True, LogIndex(2)))
    assert [e.index for e in leader.last(AppendEntries, C).entries] == [3, 4, 5]


def test_a_success_moves_next_and_match_index():
    """Leaders: if successful, update nextIndex and matchIndex."""
    leader = Bench(A).win().answer_appends(B)
    progress = leader.core.leadership.replication.progress[B]
    assert (progress.match_index, progress.next_index) == (2, 3)


def test_a_refusal_moves_next_index_back_and_the_leader_tries_again():
    """Leaders: if it fails because of inconsistency, decrement nextIndex and retry."""
    leader = Bench(A, log=log_of(1, 1, 1, 2, 2), term=2).win()
    at = leader.last(AppendEntries, C).prev_log_index
    leader.get(C, AppendResponse(leader.core.term, False, at, LogIndex(3), Term(1)))
    again = leader.last(AppendEntries, C)
    assert (again.prev_log_index, again.prev_log_term) == (3, 1)
