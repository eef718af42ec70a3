"""Writing against a model of the disk: what it holds, place by place, when writes complete late.

The danger is that a place is written, dropped and written again while the first write is still under way (ABA):
the late completion of the first must not make the second look durable.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from failover.ids import LogIndex, Term
from failover.raft.effects import HardState, Write
from failover.raft.messages import Entry
from failover.raft.writing import Writing


class AgainstDisk(RuleBasedStateMachine):
    """`log` is what is in memory, `disk` what completed writes have made of the disk; entries are told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = Writing(LogIndex(0))
        self.log: list[Entry] = []
        self.disk: list[Entry] = []
        self.under_way: list[tuple[Write, float]] = []
        self.hard_state = self.hard_state_on_disk = HardState(promise_ceiling_s=0.001)
        self.collected = 0
        self.made = 0
        self.now = 0.0

    @rule(count=st.integers(1, 4))
    def append(self, count):
        for _ in range(count):
            self.made += 1
            entry = Entry(LogIndex(len(self.log) + 1), Term(self.made), b"%d" % self.made)
            self.log.append(entry)
            self.writing.append(entry)

    @precondition(lambda self: self.log)
    @rule(back=st.integers(0, 4))
    def truncate(self, back):
        index = max(1, len(self.log) - back)
        del self.log[index - 1 :]
        self.writing.truncate_from(LogIndex(index))

    @rule()
    def vote(self):
        self.hard_state = replace(self.hard_state, term=Term(self.hard_state.term + 1))
        self.writing.hard_state_changed()

    @rule()
    def raise_ceiling(self):
        self.hard_state = replace(self.hard_state, promise_ceiling_s=2 * self.hard_state.promise_ceiling_s)
        self.writing.ceiling_changed()

    @rule(passes=st.sampled_from((0.0, 0.1)))
    def hand_out(self, passes):
        self.now += passes
        write = self.writing.next_write(lambda: self.hard_state, self.now)
        if write is not None:
            self.collected += 1
            assert write.number == self.collected, "numbers rise by one"
            self.under_way.append((write, self.now))

    @precondition(lambda self: self.under_way)
    @rule(count=st.integers(1, 3))
    def complete(self, count):
        """Writes complete in their order; several may be reported by the last of them."""
        done, self.under_way = self.under_way[:count], self.under_way[count:]
        for write, _ in done:
            if write.truncate_from is not None:
                del self.disk[write.truncate_from - 1 :]
            for entry in write.entries:
                assert entry.index == len(self.disk) + 1, "entries follow on what is stored"
                self.disk.append(entry)
            self.hard_state_on_disk = write.hard_state or self.hard_state_on_disk
        self.writing.stored(done[-1][0].number)

    @invariant()
    def durable_is_exactly_what_disk_and_memory_agree_on(self):
        """Entry by entry, not index by index; what is to be dropped is not durable though it is still there."""
        agreed = 0
        for held, stored in zip(self.log, self.disk, strict=False):
            if held is not stored:
                break
            agreed += 1
        assert self.writing.durable_index == agreed

    @invariant()
    def the_hard_state_is_durable_when_the_disk_has_it(self):
        assert self.writing.hard_state_is_durable == (self.hard_state == self.hard_state_on_disk)
        assert self.writing.vote_is_durable == (self.hard_state.term == self.hard_state_on_disk.term)

    @invariant()
    def the_disk_hangs_when_its_oldest_write_is_old(self):
        oldest = self.under_way[0][1] if self.under_way else self.now
        assert self.writing.hangs(self.now, 0.25) == (self.now - oldest > 0.25)

    def teardown(self):
        """When all is written, all is durable."""
        self.hand_out(0.0)
        while self.under_way:
            self.complete(1)
        assert self.writing.durable_index == len(self.log) and self.disk == self.log
        assert self.writing.next_write(lambda: self.hard_state, self.now) is None, "nothing is written twice"


def test_what_is_durable_is_what_the_disk_holds():
    """Whatever was dropped and written again meanwhile."""
    run_state_machine_as_test(
        AgainstDisk, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )
