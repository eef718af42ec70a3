"""Applying against the whole log: each committed entry once, in order; the tail counted byte by byte."""

from __future__ import annotations

from dataclasses import replace

from harness import TIMING, log_of, meta
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from failover.ids import LogIndex, Term
from failover.raft.applying import ENTRIES_AT_ONCE, Applying
from failover.raft.log import Log, entry_size
from failover.raft.messages import Entry

SMALL = replace(TIMING, snapshot_entries=20, snapshot_bytes=4000, kept_entries=5)


class AgainstWholeLog(RuleBasedStateMachine):
    """Knows all entries, what was handed out, and what the machine did with it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(None, log_of(1))
        self.entries = [*log_of(1)]
        self.applying = Applying(self.log, SMALL)
        self.commit = 0
        self.handed_out: list[LogIndex] = []
        self.applied = 0
        self.asked_at: int | None = None
        """The applied index at which a snapshot was asked for and is not stored yet."""
        self.bytes = 0
        """Handed out since a snapshot was last asked for."""

    @property
    def last_handed_out(self) -> int:
        return self.handed_out[-1] if self.handed_out else self.log.snapshot_index

    @rule(count=st.sampled_from((1, 2, 10, 300)), size=st.sampled_from((0, 10, 300)))
    def append(self, count, size):
        for _ in range(count):
            entry = Entry(LogIndex(len(self.entries) + 1), Term(1), b"x" * size)
            self.entries.append(entry)
            self.log.append(entry)
            self.applying.appended(entry)

    @rule(back=st.integers(0, 4))
    def a_leader_drops_the_end(self, back):
        index = max(self.commit + 1, len(self.entries) - back)
        if index <= len(self.entries):
            self.applying.dropped(self.log.between(LogIndex(index - 1), self.log.last_index))
            self.log.truncate_from(LogIndex(index))
            del self.entries[index - 1 :]

    @rule(share=st.floats(0, 1))
    def commit_more(self, share):
        self.commit += round(share * (len(self.entries) - self.commit))

    @rule()
    def hand_out(self):
        before = self.last_handed_out
        given = self.applying.next_entries(LogIndex(self.commit))
        upto = min(self.commit, before + ENTRIES_AT_ONCE)
        assert list(given) == self.entries[before:upto], "the next ones, once, and not too many"
        self.handed_out += [entry.index for entry in given]
        self.bytes += sum(map(entry_size, given))

    @rule(share=st.floats(0, 1))
    def the_machine_applied(self, share):
        self.applied += round(share * (self.last_handed_out - self.applied))
        self.applying.applied(LogIndex(self.applied))

    @rule(count=st.integers(15, 40))
    def play_goes_on(self, count):
        """All of the way at once, as it mostly goes."""
        self.append(count, 10)
        self.commit = len(self.entries)
        while self.last_handed_out < self.commit:
            self.hand_out()
        self.the_machine_applied(1.0)
        self.ask_whether_a_snapshot_is_due(True)

    @rule(is_durable=st.booleans())
    def ask_whether_a_snapshot_is_due(self, is_durable):
        durable = self.applied if is_durable else max(0, self.applied - 1)
        grown = self.applied - self.log.snapshot_index
        is_large = grown >= SMALL.snapshot_entries or (grown > 0 and self.bytes >= SMALL.snapshot_bytes)
        expected = is_large and durable >= self.applied and self.asked_at is None
        assert self.applying.snapshot_is_due(LogIndex(durable)) == expected
        if expected:
            self.asked_at, self.bytes = self.applied, 0

    @precondition(lambda self: self.asked_at)
    @rule(failed=st.booleans())
    def the_snapshot_is_stored_or_failed(self, failed):
        asked_at, self.asked_at = self.asked_at, None
        assert asked_at is not None
        base, snapshot = self.log.base_index, self.log.snapshot_index
        upto = self.applying.snapshot_stored(None if failed else meta(asked_at, 1))
        if failed or asked_at <= snapshot:  # or overtaken by one from a leader
            assert upto is None and (self.log.base_index, self.log.snapshot_index) == (base, snapshot)
        else:
            assert self.log.snapshot_index == asked_at
            kept = max(base, asked_at - SMALL.kept_entries)
            assert self.log.base_index == kept and upto == (kept if kept > base else None)

    @rule(ahead=st.integers(1, 50))
    def a_leaders_snapshot_is_restored(self, ahead):
        index = LogIndex(max(self.commit, self.applied) + ahead)
        self.log.restore(meta(index, 1))
        while len(self.entries) < index:
            self.entries.append(Entry(LogIndex(len(self.entries) + 1), Term(1)))
        self.applying.restored(index)
        self.commit = max(self.commit, index)
        self.applied, self.bytes, self.handed_out = index, 0, [index]

    @invariant()
    def nothing_is_handed_out_twice_or_left_out(self):
        assert (
            self.handed_out == list(range(self.handed_out[0], self.last_handed_out + 1))
            if self.handed_out
            else True
        )
        assert self.applying.has_more(LogIndex(self.commit)) == (self.last_handed_out < self.commit)
        assert self.applying.applied_index == self.applied <= self.last_handed_out

    @invariant()
    def the_uncommitted_tail_is_counted_exactly(self):
        """Neither a leak, by which proposals are refused for ever, nor a gap, by which memory is unbounded."""
        assert self.applying.uncommitted_bytes == sum(map(entry_size, self.entries[self.last_handed_out :]))


def test_each_committed_entry_is_handed_out_once_and_the_tail_is_counted_exactly():
    """With snapshots of its own and of leaders."""
    run_state_machine_as_test(
        AgainstWholeLog, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
