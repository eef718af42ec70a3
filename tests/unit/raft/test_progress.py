"""What the leader knows of a follower: windows that never leak, indexes that never fall."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness import A, B, Bench, C, entry
from hypothesis import given
from hypothesis import strategies as st

from failover.ids import LogIndex, Term
from failover.raft.messages import AppendEntries
from failover.raft.progress import CAUGHT_UP_ENTRIES, Progress, Sending
from failover.raft.timing import Timing

TIMING = replace(Timing(), window_messages=4, window_bytes=1000)


def message(after: int, number: int = 1) -> AppendEntries:
    entries = tuple(entry(after + n, 1, b"x" * 50) for n in range(1, number + 1))
    return AppendEntries(Term(1), LogIndex(after), Term(1), entries, LogIndex(0))


def replicating(at: int = 0) -> Progress:
    progress = Progress(TIMING, LogIndex(at))
    progress.matched(LogIndex(at), 0.0)
    assert progress.sending is Sending.REPLICATE
    return progress


def test_a_probe_sends_one_message_and_waits():
    progress = Progress(TIMING, LogIndex(5))
    assert progress.may_send()
    progress.sent(message(5, 0), 0.0)
    assert not progress.may_send()


def test_the_window_counts_messages():
    progress = replicating()
    for n in range(4):
        assert progress.may_send()
        progress.sent(message(n), 0.0)
    assert not progress.may_send()
    progress.matched(LogIndex(1), 0.1)
    assert progress.may_send()


def test_the_window_counts_bytes():
    progress = replicating()
    progress.sent(message(0, 20), 0.0)
    assert not progress.may_send()


@given(st.lists(st.tuples(st.sampled_from(("send", "match", "refuse", "late", "snapshot")), st.integers(0, 30))))
def test_windows_never_leak_and_indexes_never_fall(steps):
    """Symptom: replication stalls, in-flight bytes not reset (etcd-io/raft e419ba5, a370b6f)."""
    progress, now, match = Progress(TIMING, LogIndex(10)), 0.0, 0
    for what, number in steps:
        now += 0.01
        match what:
            case "send" if progress.may_send():
                progress.sent(message(progress.next_index - 1), now)
            case "match" if number < progress.next_index:
                progress.matched(LogIndex(number), now)
            case "refuse":
                progress.refused(LogIndex(number), LogIndex(number // 2 + 1))
            case "late":
                progress.took_too_long(LogIndex(0))
            case "snapshot":
                progress.needs_snapshot(LogIndex(3), Term(1), now)
                progress.snapshot_failed(LogIndex(10))
        assert match <= progress.match_index < progress.next_index
        match = progress.match_index
    progress.took_too_long(LogIndex(0))
    progress.matched(LogIndex(progress.next_index - 1), now)
    assert progress.may_send(), "all was answered: the window is empty"
    assert progress.repeat_at == float("inf")


@pytest.mark.parametrize("sign_of_life", ["an append is answered", "a heartbeat is answered"])
def test_the_first_sign_of_life_ends_the_patience_with_a_silent_follower(sign_of_life):
    """Symptom: the state of the back-off was cleared in one of two places (databendlabs/openraft#1723)."""
    progress = replicating()
    for n in range(10):
        progress.sent(message(0), float(n))
        progress.took_too_long(LogIndex(0))
    progress.sent(message(0, 0), 10.0)
    assert progress.repeat_at - 10.0 > 0.5
    if sign_of_life == "an append is answered":
        for n in range(1, 60):  # the first one is measured as slow, and it takes a while to be forgotten
            progress.matched(LogIndex(n), 10.1 + 0.01 * n)
            progress.sent(message(n), 10.1 + 0.01 * n)
        assert progress.repeat_at - (10.1 + 0.01 * 59) < 0.1
    else:
        progress.is_alive_again(10.1)
        assert progress.repeat_at - 10.1 < 0.1


def test_a_spell_of_errors_does_not_slow_down_what_comes_after_it():
    """Symptom: 200 ms more for every message, for ever (databendlabs/openraft#1723)."""
    progress = replicating()
    for n in range(8):
        progress.sent(message(0), float(n))
        progress.took_too_long(LogIndex(0))
    progress.is_alive_again(9.0)
    progress.matched(LogIndex(1), 9.0)
    progress.sent(message(1), 10.0)
    slow = progress.repeat_at - 10.0
    for n in range(2, 60):
        progress.matched(LogIndex(n), 10.0 + n * 0.01 + 0.002)
        progress.sent(message(n), 10.0 + n * 0.01 + 0.01)
    assert progress.repeat_at - 10.6 < min(slow, 0.5)


def test_caught_up_means_close_and_in_the_flow():
    progress = replicating(100)
    assert progress.is_caught_up(LogIndex(100 + CAUGHT_UP_ENTRIES - 1))
    assert not progress.is_caught_up(LogIndex(100 + CAUGHT_UP_ENTRIES))
    progress.took_too_long(LogIndex(0))
    assert not progress.is_caught_up(LogIndex(100))


def test_the_backlog_of_who_is_away_is_not_sent_again_and_again():
    """A member that is away was sent 64 KiB a second, for as long as the net kept a channel to it."""
    leader = Bench(A).lead()
    leader.sent.clear()
    for _ in range(100):
        leader.propose("x" * 500)
    leader.answer_appends(B).keep_lease(5.0, B)
    sent = [message for to, message in leader.sent if to == C and isinstance(message, AppendEntries)]
    assert sum(len(message.entries) for message in sent) < 500
    assert sent[-1].entries == (), "it is still asked whether it is there"


def test_who_is_back_gets_its_backlog():
    leader = Bench(A).lead()
    for _ in range(100):
        leader.propose()
    leader.answer_appends(B).keep_lease(5.0, B)
    leader.sent.clear()
    leader.keep_lease(0.1, B, C)
    assert len(leader.last(AppendEntries, C).entries) == 100


def test_a_lost_first_append_is_sent_again_as_soon_as_heartbeats_show_how_near_the_follower_is():
    """It holds the no-op of a new leader: until that is committed nobody hosts."""
    leader = Bench(A).win()
    leader.oversleep(leader.now + 0.001).answer_heartbeats(B, C)
    leader.sent.clear()
    assert leader.at(leader.now + 0.020).take(AppendEntries, C)
