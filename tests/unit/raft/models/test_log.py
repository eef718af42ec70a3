"""Log against a model that is too simple to be wrong: the whole history as one list, never compacted."""

from __future__ import annotations

from harness import THREE, A, B, C
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from failover.ids import LogIndex, Term
from failover.raft.effects import SnapshotMeta
from failover.raft.log import Log, MembershipAt, entry_size
from failover.raft.membership import Membership
from failover.raft.messages import Entry

TWO = Membership(frozenset((A, B)))
LEARNING = Membership(frozenset((A, B)), learners=frozenset((C,)))
memberships = st.none() | st.sampled_from((THREE, TWO, LEARNING))
drawn = st.tuples(st.integers(0, 2), st.integers(0, 60), memberships)


class AgainstHistory(RuleBasedStateMachine):
    """`history` holds every entry from the first on; the log may have forgotten those up to `base`."""

    def __init__(self) -> None:
        super().__init__()
        self.history = [Entry(LogIndex(1), Term(1), b"", THREE)]
        self.base = self.snapshot = 0
        self.log = Log(None, self.history)

    # --- what the model knows ---

    @property
    def last(self) -> int:
        return len(self.history)

    def term(self, index: int) -> int:
        return self.history[index - 1].term if index else 0

    def membership_at(self, index: int) -> MembershipAt | None:
        return next(
            (MembershipAt(e.index, e.membership) for e in reversed(self.history[:index]) if e.membership), None
        )

    def meta(self, index: int) -> SnapshotMeta:
        at = self.membership_at(index)
        assert at is not None
        return SnapshotMeta(LogIndex(index), Term(self.term(index)), at.membership, at.index)

    def made(self, after: int, later_term: int, size: int, membership: Membership | None) -> Entry:
        return Entry(LogIndex(after + 1), Term(self.term(after) + later_term), b"x" * size, membership)

    # --- what may happen ---

    @initialize(more=st.lists(drawn, max_size=10))
    def grow(self, more):
        for each in more:
            self.append(each)

    @rule(each=drawn)
    def append(self, each):
        entry = self.made(self.last, *each)
        self.history.append(entry)
        self.log.append(entry)

    @rule(back=st.integers(0, 5))
    def truncate(self, back):
        index = max(self.snapshot + 1, 2, self.last - back)
        if index <= self.last:
            del self.history[index - 1 :]
            self.log.truncate_from(LogIndex(index))

    @rule(share=st.floats(0, 1))
    def take_a_snapshot(self, share):
        index = max(self.snapshot, round(share * self.last))
        if index:
            self.snapshot = index
            self.log.snapshot = self.meta(index)

    @rule(share=st.floats(0, 1))
    def compact(self, share):
        index = self.base + round(share * (self.snapshot - self.base))
        self.base = index
        self.log.compact_to(LogIndex(index))

    @rule(ahead=st.integers(-5, 20), later_term=st.integers(1, 3), membership=memberships)
    def take_over_a_snapshot_that_conflicts_or_is_far_ahead(self, ahead, later_term, membership):
        """Another history from the own snapshot on: nothing of what was there is left."""
        index = max(self.last + ahead, self.snapshot + 1, 2)
        term = Term(self.term(min(index, self.last)) + later_term)
        del self.history[max(self.snapshot, 1) :]
        while self.last < index:
            self.history.append(
                Entry(LogIndex(self.last + 1), term, b"", membership if self.last == index - 1 else None)
            )
        self.base = self.snapshot = self.last
        self.log.restore(self.meta(self.last))

    @precondition(lambda self: self.last > self.snapshot)
    @rule(share=st.floats(0, 1))
    def take_over_a_snapshot_of_what_it_has(self, share):
        index = self.snapshot + round(share * (self.last - self.snapshot))
        if index:
            self.log.restore(self.meta(index))
            self.base = self.snapshot = index

    @rule()
    def restart(self):
        """From what the disk holds: the snapshot and the entries behind the base."""
        stored = self.history[self.base :]
        snapshot = self.meta(self.snapshot) if self.snapshot else None
        self.log = Log(snapshot, stored)
        if snapshot is None:
            self.base = 0
        elif stored and stored[0].index <= self.snapshot:
            self.base = stored[0].index  # its own term is known, the one before it is not
        else:
            self.base = self.snapshot

    # --- what must hold ---

    @invariant()
    def the_ends_are_the_same(self):
        log = self.log
        assert (log.base_index, log.base_term) == (self.base, self.term(self.base))
        assert (log.last_index, log.last_term) == (self.last, self.term(self.last))
        assert log.snapshot_index == self.snapshot

    @invariant()
    def every_place_has_its_term_and_what_is_not_there_has_none(self):
        for index in range(self.last + 3):
            known = self.base <= index <= self.last
            assert self.log.term_at(LogIndex(index)) == (self.term(index) if known else None)

    @invariant()
    def the_entries_are_the_same(self):
        assert list(self.log.between(LogIndex(self.base), LogIndex(self.last))) == self.history[self.base :]
        middle = (self.base + self.last) // 2
        assert list(self.log.between(LogIndex(middle), LogIndex(self.last))) == self.history[middle:]

    @invariant()
    def memberships_are_those_of_the_newest_entry_that_has_one(self):
        for index in range(max(self.snapshot, self.base), self.last + 1):
            assert self.log.membership_at(LogIndex(index)) == self.membership_at(index)
        newest = self.membership_at(self.last)
        assert newest is not None
        assert (self.log.membership, self.log.membership_index) == (newest.membership, newest.index)

    @rule(size_max=st.integers(0, 400), start=st.floats(0, 1))
    def a_batch_is_the_longest_that_fits_or_one_entry(self, size_max, start):
        index = self.base + 1 + round(start * (self.last - self.base))
        rest = self.history[index - 1 :]
        fits = [n for n in range(len(rest) + 1) if sum(map(entry_size, rest[:n])) <= size_max]
        expected = rest[: max([1, *fits])]
        assert list(self.log.from_index(LogIndex(index), size_max)) == expected

    @rule(index=st.integers(0, 60), term=st.integers(0, 20))
    def backing_up_finds_the_last_place_of_no_later_term(self, index, term):
        places = [p for p in range(self.base, min(index, self.last) + 1) if self.term(p) <= term]
        found = max(places, default=self.base)
        assert self.log.back_up(LogIndex(index), Term(term)) == (found, self.term(found))

    @rule(index=st.integers(0, 60), term=st.integers(0, 20))
    def up_to_date_is_decided_by_term_and_then_by_length(self, index, term):
        mine = self.term(self.last)
        expected = term > mine or (term == mine and index >= self.last)
        assert self.log.is_up_to_date(LogIndex(index), Term(term)) == expected


def test_the_log_agrees_with_the_whole_history():
    """Compacted, truncated, restored and restarted in every order."""
    run_state_machine_as_test(
        AgainstHistory, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
