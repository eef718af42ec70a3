"""Progress against a model that keeps every message under way: what may be sent, from where, and when again."""

from __future__ import annotations

import math
from dataclasses import replace

from harness import TIMING, entry
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from failover.ids import LogIndex, Term
from failover.raft.log import entry_size
from failover.raft.messages import AppendEntries
from failover.raft.progress import PATIENCE_MAX_S, Progress, Sending

SMALL = replace(TIMING, window_messages=4, window_bytes=1000)
LAST = 400


class EveryMessage(RuleBasedStateMachine):
    """`under_way` is what was sent since the last doubt and is not answered, with its size."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(SMALL, LogIndex(LAST))
        self.sending = Sending.PROBE
        self.under_way: list[tuple[int, int]] = []
        self.match = 0
        self.follower = 0
        """How far the follower's log does match, whatever the leader knows of it."""
        self.now = 0.0

    def doubt(self, sending: Sending) -> None:
        self.sending, self.under_way = sending, []

    @rule(seconds=st.sampled_from((0.001, 0.02, 0.5)))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.progress.may_send() and self.progress.next_index <= LAST)
    @rule(count=st.integers(0, 12))
    def send(self, count):
        after = self.progress.next_index - 1
        count = min(count, LAST - after)
        if self.sending is Sending.REPLICATE and not count:
            return  # an empty append is a probe
        entries = tuple(entry(after + n, 1, b"x" * 50) for n in range(1, count + 1))
        self.progress.sent(AppendEntries(Term(1), LogIndex(after), Term(1), entries, LogIndex(0)), self.now)
        self.under_way.append((after + count, sum(map(entry_size, entries))))
        expected = after + 1 + (count if self.sending is Sending.REPLICATE else 0)
        assert self.progress.next_index == expected, "only a pipeline moves on before the answer"

    @rule(more=st.integers(0, 15))
    def the_follower_matches(self, more):
        """Up to somewhere between what is known and the end; answers come late, twice, and out of order."""
        index = min(self.match + more, self.progress.next_index - 1)
        is_news = self.progress.matched(LogIndex(index), self.now)
        assert is_news == (index > self.match)
        if self.sending is not Sending.REPLICATE:
            self.doubt(Sending.REPLICATE)
        self.match = index
        self.under_way = [each for each in self.under_way if each[0] > index]

    @rule(back=st.integers(1, 20))
    def an_old_answer_comes(self, back):
        assert not self.progress.matched(LogIndex(self.match - back), self.now)

    @rule(at=st.integers(0, 60), hint=st.integers(0, LAST))
    def the_follower_refuses(self, at, hint):
        is_current = (
            at > self.match
            if self.sending is Sending.REPLICATE
            else self.sending is Sending.PROBE and at == self.progress.next_index - 1
        )
        assert self.progress.refused(LogIndex(at), LogIndex(hint + 1)) == is_current
        if is_current:
            self.doubt(Sending.PROBE)
            assert self.progress.next_index == max(self.match, hint) + 1

    @precondition(lambda self: self.sending is not Sending.SNAPSHOT)
    @rule(base=st.integers(0, 20))
    def it_took_too_long(self, base):
        self.progress.took_too_long(LogIndex(base))
        self.doubt(Sending.PROBE)
        assert self.progress.next_index > base

    @rule()
    def a_snapshot_is_sent(self):
        self.progress.needs_snapshot(LogIndex(LAST), Term(1), self.now)
        self.doubt(Sending.SNAPSHOT)

    @precondition(lambda self: self.sending is Sending.SNAPSHOT)
    @rule()
    def the_snapshot_failed(self):
        self.progress.snapshot_failed(LogIndex(LAST))
        self.doubt(Sending.PROBE)

    @invariant()
    def the_window_is_what_is_under_way(self):
        assert self.progress.sending is self.sending
        match self.sending:
            case Sending.PROBE:
                assert self.progress.may_send() == (not self.under_way)
            case Sending.SNAPSHOT:
                assert not self.progress.may_send()
            case Sending.REPLICATE:
                has_room = len(self.under_way) < 4 and sum(size for _, size in self.under_way) < 1000
                assert self.progress.may_send() == has_room

    @invariant()
    def indexes_are_in_their_order(self):
        assert self.progress.match_index == self.match < self.progress.next_index <= LAST + 1

    @invariant()
    def what_waits_for_an_answer_is_repeated_some_time(self):
        """No follower is ever forgotten, and none is waited for without an end."""
        if self.under_way or self.sending is Sending.SNAPSHOT:
            assert self.progress.repeat_at <= self.now + PATIENCE_MAX_S
        elif self.sending is Sending.REPLICATE:
            assert self.progress.repeat_at == math.inf


def test_windows_hold_what_is_under_way_and_nothing_else():
    """In every order of sending, answers, losses and snapshots."""
    run_state_machine_as_test(
        EveryMessage, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )
