"""What a follower does with appends that come twice, late, early or from another history (Raft, 5.3)."""

from __future__ import annotations

import pytest
from harness import FAR, THREE, A, B, Bench, C, D, append, beat, entry, log_of, meta, vote
from hypothesis import given
from hypothesis import strategies as st

from failover.ids import LogIndex, Term
from failover.raft.following import EARLY_BYTES_MAX, EARLY_MESSAGES_MAX
from failover.raft.log import Log
from failover.raft.messages import AppendEntries, AppendResponse, CommitNotice, HeartbeatResponse, PreVoteRequest


def follower(*terms: int, **options) -> Bench:
    return Bench(B, log=log_of(*terms), **options).oversleep(FAR)


def test_an_append_that_follows_is_taken_and_answered():
    """Raft, figure 2, AppendEntries 3 and 4."""
    bench = follower(1).get(A, append(2, (1, 1), 2, 2))
    assert bench.terms == [1, 2, 2]
    assert bench.last(AppendResponse) == AppendResponse(Term(2), True, LogIndex(3))


def test_an_append_of_an_older_term_is_refused_with_the_newer_one():
    """Raft, figure 2, AppendEntries 1; 5.1."""
    bench = follower(1, term=5).get(A, append(4, (1, 1), 4))
    answer = bench.last(AppendResponse)
    assert not answer.success and answer.term == 5 and bench.terms == [1]


def test_an_append_whose_place_does_not_match_is_refused():
    """Raft, figure 2, AppendEntries 2."""
    bench = follower(1, 2).get(A, append(3, (2, 1), 3))
    assert not bench.last(AppendResponse).success and bench.terms == [1, 2]


def test_conflicting_entries_are_deleted_with_all_that_follow():
    """Raft, figure 2, AppendEntries 3: "delete the existing entry and all that follow it"."""
    bench = follower(1, 2, 2, 2).get(A, append(3, (2, 2), 3))
    assert bench.terms == [1, 2, 3]
    assert bench.writes[-1].truncate_from == 3


def test_a_matching_suffix_is_not_truncated_by_a_late_append():
    """Symptom: a duplicate drops what came after it (hashicorp/raft 0f31a01, openraft 9540c904, raftos#26)."""
    first, second = append(2, (1, 1), 2), append(2, (2, 2), 2, 2)
    bench = follower(1).get(A, first, second)
    bench.get(A, first, append(2, (1, 1)))
    assert bench.terms == [1, 2, 2, 2]
    assert all(write.truncate_from is None for write in bench.writes)


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=5))
def test_reordered_and_doubled_appends_end_in_the_same_log(order, again):
    """Symptom: match or commit index go backwards under reordering (PySyncObj#166, #167, raftos#25)."""
    messages = [append(2, (1 + n, 2 if n else 1), 2, commit=n) for n in range(5)]
    bench = follower(1)
    commits = []
    for n in (*order, *again, *range(5)):
        bench.get(A, messages[n])
        commits.append(bench.core.commit_index)
    assert bench.terms == [1, 2, 2, 2, 2, 2]
    assert commits == sorted(commits)


def test_an_append_that_came_too_early_is_kept_until_the_gap_is_closed():
    bench = follower(1).get(A, append(2, (2, 2), 2), append(2, (3, 2), 2))
    assert bench.terms == [1]
    bench.get(A, append(2, (1, 1), 2))
    assert bench.terms == [1, 2, 2, 2]
    assert bench.last(AppendResponse).index == 4


def test_an_early_append_that_overlaps_closes_the_gap_too():
    bench = follower(1).get(A, append(2, (2, 2), 2, 2, 2)).get(A, append(2, (1, 1), 2, 2))
    assert bench.terms == [1, 2, 2, 2, 2]


def test_overtaken_early_appends_do_not_fill_the_room_for_new_ones():
    """Symptom: after some reordering no early append is kept any more, as long as the term lasts."""
    bench = follower(1)
    for n in range(EARLY_MESSAGES_MAX):
        bench.get(A, append(2, (2 + n, 2), 2))
    bench.get(A, append(2, (1, 1), *[2] * 200))
    last = bench.core.log.last_index
    bench.get(A, append(2, (last + 1, 2), 2), append(2, (last, 2), 2))
    assert bench.core.log.last_index == last + 2


def test_early_appends_are_bounded_in_number():
    bench = follower(1)
    for n in range(3 * EARLY_MESSAGES_MAX):
        bench.get(A, append(2, (2 + n, 2), 2))
    bench.get(A, append(2, (1, 1), 2))
    assert bench.core.log.last_index == 2 + EARLY_MESSAGES_MAX


def test_early_appends_are_bounded_in_bytes():
    big = bytes(EARLY_BYTES_MAX)
    bench = follower(1)
    bench.get(A, AppendEntries(Term(2), LogIndex(2), Term(2), (entry(3, 2, big),), LogIndex(0)))
    bench.get(A, append(2, (1, 1), 2))
    assert bench.core.log.last_index == 2


def test_early_appends_die_with_the_term():
    bench = follower(1).get(A, append(2, (2, 2), 2)).get(C, beat(3)).get(C, append(3, (1, 1), 2))
    assert bench.terms == [1, 2]


def test_only_what_a_message_proved_to_match_is_committed_on_its_word():
    """Raft, figure 2, AppendEntries 5: min(leaderCommit, index of last new entry)."""
    bench = follower(1, 1, 1).get(A, append(2, (1, 1), commit=3))
    assert bench.core.commit_index == 1
    bench.get(A, append(2, (1, 1), 2, commit=9))
    assert bench.core.commit_index == 2


def test_the_commit_index_never_falls():
    """Symptom: the commit index regresses (etcd-io/raft 8ecce32; PySyncObj#166)."""
    bench = follower(1).get(A, append(2, (1, 1), 2, 2, commit=3))
    bench.get(A, append(2, (1, 1), 2, commit=1), CommitNotice(Term(2), LogIndex(1)), beat(2, 5, commit=0))
    assert bench.core.commit_index == 3 and [e.index for e in bench.applied] == [1, 2, 3]


def test_a_commit_notice_beyond_the_log_commits_the_log_only():
    bench = follower(1).get(A, append(2, (1, 1), 2)).get(A, CommitNotice(Term(2), LogIndex(9)))
    assert bench.core.commit_index == 2


def test_a_commit_notice_of_an_old_term_changes_nothing():
    bench = follower(1, 1, term=5).get(A, CommitNotice(Term(4), LogIndex(2)))
    assert bench.core.commit_index == 0


def test_an_answer_waits_until_its_entries_are_durable():
    """Symptom: acknowledged and then lost (PySyncObj#84; openraft docs io_ordering)."""
    bench = follower(1, disk_is_slow=True).get(A, append(2, (1, 1), 2))
    assert not bench.take(AppendResponse)
    assert bench.finish_writes().last(AppendResponse).index == 2


def test_a_late_completion_does_not_make_replaced_entries_durable():
    """Symptom: ABA across terms (etcd async_storage_writes_append_aba_race; openraft cecb5de8)."""
    bench = follower(1, disk_is_slow=True).get(A, append(2, (1, 1), 2, 2))
    first = bench.writes[-1].number
    bench.get(C, append(3, (1, 1), 3, 3))
    bench.finish_writes(first)
    assert bench.core.durable_index == 1
    assert bench.finish_writes().core.durable_index == 3


def test_the_durable_index_falls_with_a_truncation():
    """Symptom: entries acknowledged as durable after a truncation (ClickHouse#102629)."""
    bench = follower(1, 2, 2, 2)
    bench.disk_is_slow = True
    bench.get(A, append(3, (2, 2), 3))
    assert bench.core.durable_index == 2


def test_a_heartbeat_answer_need_not_wait_for_entries_once_the_term_is_durable():
    bench = follower(1, disk_is_slow=True).get(A, beat(2)).finish_writes()
    bench.sent.clear()
    bench.get(A, append(2, (1, 1), 2), beat(2, 2))
    assert bench.last(HeartbeatResponse).round == 2


def test_a_heartbeat_answer_waits_for_a_new_term_to_be_durable():
    """Symptom: term never stored (PySyncObj#201, #202)."""
    bench = follower(1, disk_is_slow=True).get(A, beat(2))
    assert not bench.take(HeartbeatResponse)
    assert bench.finish_writes().last(HeartbeatResponse).term == 2


def test_a_heartbeat_never_makes_a_short_log_look_reverted():
    """Symptom: a heartbeat whose place is the commit index fakes a reversion (openraft#1500)."""
    bench = follower(1).get(A, beat(2, commit=50))
    assert bench.core.commit_index == 1 and not bench.take(AppendResponse)


def test_much_that_is_committed_at_once_is_applied_in_parts_and_nobody_waits_for_the_next():
    bench = follower(1)
    bench.core.receive(A, append(2, (1, 1), *[2] * 299, commit=300), bench.now)
    for upto in (256, 300):
        effects = bench.core.take_effects(bench.now)
        assert effects.apply[-1].index == upto
        assert (effects.deadline <= bench.now) == (upto < 300)
        bench.core.applied(LogIndex(upto), bench.now)


def test_two_leaders_in_one_term_are_a_mistake_of_our_own_and_stop_the_member():
    """Symptom: tolerated instead of stopped (eBay/NuRaft#531)."""
    leader = Bench(A).lead()
    with pytest.raises(AssertionError):
        leader.get(B, beat(leader.core.term))


def test_a_committed_entry_is_never_replaced():
    """Raft, 5.4.3; symptoms: eBay/NuRaft#185, canonical/raft#355."""
    bench = follower(1).get(A, append(2, (1, 1), 2, commit=2))
    bench.get(C, append(3, (1, 1), 3))
    assert bench.terms == [1, 2]


def test_doubled_messages_change_nothing():
    """Everything may come twice (UDP)."""
    bench = follower(1)
    for message in (beat(2), append(2, (1, 1), 2, 2, commit=3), CommitNotice(Term(2), LogIndex(3)), vote(2)):
        bench.get(A, message)
        seen = (bench.terms, bench.core.term, bench.core.commit_index, bench.core.voted_for, len(bench.applied))
        writes = len(bench.writes)
        bench.get(A, message)
        again = (bench.terms, bench.core.term, bench.core.commit_index, bench.core.voted_for, len(bench.applied))
        assert (again, len(bench.writes)) == (seen, writes)


# Raft, figure 7: the logs that a new leader of term 8 may find.
FIGURE_7 = {
    "leader": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6),
    "a": (1, 1, 1, 4, 4, 5, 5, 6, 6),
    "b": (1, 1, 1, 4),
    "c": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
    "d": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
    "e": (1, 1, 1, 4, 4, 4, 4),
    "f": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
}


@pytest.mark.parametrize("name", "abcdef")
def test_a_new_leader_makes_every_log_of_figure_7_equal_to_its_own(name):
    """Raft, 5.3, figure 7; as many round trips as there are differing terms, not entries."""
    leader = Bench(A, log=log_of(*FIGURE_7["leader"]), term=7).win()
    other = Bench(C, log=log_of(*FIGURE_7[name]), term=7).oversleep(FAR)
    rounds = 0
    while messages := leader.take(AppendEntries, C):
        rounds += 1
        other.get(A, *messages)
        leader.get(C, *other.take(AppendResponse))
    assert other.terms == leader.terms
    assert rounds <= 5


logs = st.lists(st.integers(1, 5), min_size=1, max_size=12).map(sorted)


@given(logs, st.integers(0, 14), st.integers(0, 6), st.integers(0, 4))
def test_back_up_finds_the_last_place_of_no_later_term(terms, index, term, compacted):
    log = Log(None, log_of(*terms))
    compacted = min(compacted, len(terms))
    if compacted:
        log.snapshot = meta(compacted, terms[compacted - 1])
        log.compact_to(LogIndex(compacted))
    places = [
        p for p in range(compacted, len(terms) + 1) if p <= index and (log.term_at(LogIndex(p)) or 0) <= term
    ]
    found, found_term = log.back_up(LogIndex(index), Term(term))
    assert found == max(places, default=compacted)
    assert found_term == log.term_at(found)


@given(logs, logs)
def test_probing_always_comes_to_an_end(ours, theirs):
    """Both sides step back over whole conflicting terms until they agree; they never go round in circles."""
    leader, other = Log(None, log_of(*ours)), Log(None, log_of(*theirs))
    place, steps = leader.last_index, 0
    while place and other.term_at(place) != leader.term_at(place):
        hint = other.back_up(place, leader.term_at(place))
        before, place = place, leader.back_up(min(hint[0], leader.last_index), hint[1])[0]
        assert place < before
        steps += 1
    assert steps <= len(set(ours)) + len(set(theirs))


def test_the_founding_membership_counts_from_the_moment_it_is_appended():
    """Raft, 6."""
    bench = Bench(B, log=[], term=0).oversleep(FAR)
    assert bench.core.log.membership is None
    founding = AppendEntries(Term(1), LogIndex(0), Term(0), (entry(1, 1, membership=THREE),), LogIndex(0))
    assert bench.get(A, founding).core.log.membership == THREE


def test_a_newcomer_without_a_log_forgets_a_leader_that_went_silent():
    """Found by the simulation: it never stands, and else it would never ask the others who leads now."""
    newcomer = Bench(D, log=[]).get(A, beat(1))
    assert newcomer.core.leader == A
    newcomer.at(newcomer.now + 0.9)
    assert newcomer.core.leader == A
    newcomer.at(newcomer.now + 1.2)
    assert newcomer.core.leader is None
    assert not newcomer.take(PreVoteRequest)


@pytest.mark.parametrize(
    "entries",
    [
        (entry(2, 2), entry(2, 2)),
        (entry(2, 2), entry(4, 2)),
        (entry(3, 2),),
        (entry(2, 2), entry(3, 1)),
        (entry(2, 0),),
        (entry(2, 3),),
    ],
)
def test_an_append_whose_entries_do_not_follow_each_other_is_not_heard(entries):
    """Found by fuzzing: half of it was in the log before the other half was looked at. No leader sends that."""
    bench = follower(1)
    bench.get(A, AppendEntries(Term(2), LogIndex(1), Term(1), entries, LogIndex(3)))
    assert bench.terms == [1] and bench.core.term == 1
    assert not bench.sent
    assert bench.get(A, append(2, (1, 1), 2, 2)).terms == [1, 2, 2]
