"""The pure core alone: messages a second, and what each input costs whatever the length of the log.

Three cores in this process, joined by a queue; disks and state machines are done at once. Processor time is
counted, so that other programs on the machine disturb less.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import HardState, SnapshotMeta
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, Entry, Heartbeat, Message
from failover.raft.timing import Timing
from tests.benchmarks.bench import ENTRY_SIZE, Bench
from tests.benchmarks.measures import percentile
from tests.benchmarks.report import Row, at_least, at_most

MEMBERS = tuple(MemberId(name) for name in (b"a", b"b", b"c"))
MEMBERSHIP = Membership(frozenset(MEMBERS))
COMMAND = bytes(ENTRY_SIZE)
SHORT, LONG = 1_000, 1_000_000
GROWTH_MAX = 2.0
"""A log a thousand times as long may make no input cost more than so many times as much (the caches of the
processor are part of it; anything in proportion to the log would be a factor of a hundred and more)."""
REPEATS = 2_000
SLICES = 21
NEVER = Timing(snapshot_entries=1 << 40, snapshot_bytes=1 << 50, uncommitted_bytes=1 << 50, kept_entries=0)
"""The log only grows."""


class Trio:
    """Three cores, and the messages between them in the order in which they were sent."""

    def __init__(self, stored: list[Entry], timing: Timing = NEVER) -> None:
        self.now = 0.0
        self.received = 0
        self._queue: deque[tuple[MemberId, MemberId, Message]] = deque()
        self.cores = {me: self._start(me, stored, timing) for me in MEMBERS}
        while not any(core.tenure for core in self.cores.values()):
            self.wait(0.001)
        self.leader = next(core for core in self.cores.values() if core.tenure)

    def _start(self, me: MemberId, stored: list[Entry], timing: Timing) -> Core:
        hard_state = HardState(stored[-1].term, None, timing.promise_ceiling_first_s)
        return Core(
            me,
            timing=timing,
            hard_state=hard_state,
            snapshot=None,
            entries=stored,
            dice=lambda: 0.5,
            now=self.now,
        )

    def wait(self, seconds: float) -> None:
        """Let time pass and everything happen that is due."""
        self.now += seconds
        for core in self.cores.values():
            core.tick(self.now)
            self.round(core)
        self.deliver()

    def round(self, core: Core) -> None:
        """Carry out what a core decides, at once."""
        goes_on = True
        while goes_on:
            goes_on = False
            effects = core.take_effects(self.now)
            for to, message in (*effects.messages_now, *effects.messages_after_store):
                self._queue.append((core.me, to, message))
            if effects.write is not None:
                goes_on |= core.stored(effects.write.number, self.now)
            if effects.apply:
                goes_on |= core.applied(effects.apply[-1].index, self.now)

    def deliver(self) -> None:
        """Let all messages arrive, and those that they lead to."""
        while self._queue:
            sender, to, message = self._queue.popleft()
            core = self.cores[to]
            core.receive(sender, message, self.now)
            self.received += 1
            self.round(core)

    def commit(self, number: int) -> None:
        """Propose so many commands in one round, and go on until they are committed."""
        for _ in range(number):
            assert self.leader.propose(COMMAND, self.now) is not None
        self.round(self.leader)
        self.deliver()
        self.wait(0.0001)


def messages(bench: Bench) -> list[Row]:
    """Messages that cores take in per second of processor time, each with a round of its own."""
    bench.say("the core alone: messages per second")
    rows = []
    kinds: tuple[tuple[str, Callable[[Trio], None]], ...] = (
        ("commits of one entry", lambda trio: trio.commit(1)),
        ("heartbeats and answers", lambda trio: trio.wait(0.030)),
    )
    for title, act in kinds:
        trio = Trio([_founding()])
        per_s = percentile([_messages_per_s(trio, act) for _ in range(SLICES)], 0.5)
        rows.append(
            Row(name=f"core alone, {title}, median", value=per_s, unit="messages/s", goal=at_least(50_000))
        )
    trio, began = Trio([_founding()]), time.process_time()
    for _ in range(1_000):
        trio.commit(64)
    per_s = 64_000 / (time.process_time() - began)
    rows.append(Row(name="core alone, 64 entries a round, on all three", value=per_s, unit="entries/s"))
    return rows


def _messages_per_s(trio: Trio, act: Callable[[Trio], None]) -> float:
    before, began = trio.received, time.process_time()
    for _ in range(400):
        act(trio)
    return (trio.received - before) / (time.process_time() - began)


def _founding() -> Entry:
    return Entry(LogIndex(1), Term(1), b"", MEMBERSHIP)


def log_length(bench: Bench) -> list[Row]:
    """What each input costs beside a log of a thousand and of a million entries."""
    bench.say(f"the core alone: inputs beside logs of {SHORT:,} and {LONG:,} entries")
    costs: dict[str, list[float]] = {}
    for length in (SHORT, LONG):
        for name, value in _costs(length).items():
            costs.setdefault(name, []).append(value)
    return [
        Row(name=f"core: {name}, log {LONG:,} against {SHORT:,} entries", value=max(long, 1.0) / max(short, 1.0),
            unit="times", goal=at_most(GROWTH_MAX), peers={"short_us": short, "long_us": long})
        for name, (short, long) in costs.items()
    ]  # fmt: skip


def _costs(length: int) -> dict[str, float]:
    stored = [_founding(), *(Entry(LogIndex(i), Term(1), COMMAND) for i in range(2, length + 1))]
    trio = Trio(stored)
    gc.collect()
    gc.disable()
    try:
        return {name: percentile(_timed(call), 0.5) * 1e6 for name, call in _calls(trio).items()}
    finally:
        gc.enable()


def _timed(call: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return took


def _calls(trio: Trio) -> dict[str, Callable[[], object]]:
    leader, now = trio.leader, trio.now
    follower = next(core for core in trio.cores.values() if core is not leader)
    other = next(core for core in trio.cores.values() if core not in (leader, follower))

    def append() -> None:
        last = follower.log.last_index
        entry = Entry(LogIndex(last + 1), leader.term, COMMAND)
        message = AppendEntries(leader.term, last, follower.log.last_term, (entry,), last)
        follower.receive(leader.me, message, trio.now)
        trio.round(follower)

    def conflict() -> None:
        """A leader of a higher term overwrites the last entry."""
        term = Term(other.term + 1)
        log = other.log
        if log.last_index == other.commit_index:
            other.append(Entry(LogIndex(log.last_index + 1), log.last_term, COMMAND))
        prev = LogIndex(log.last_index - 1)
        entry = Entry(log.last_index, term, COMMAND)
        at = log.term_at(prev)
        assert at is not None
        other.receive(leader.me, AppendEntries(term, prev, at, (entry,), other.commit_index), trio.now)
        trio.round(other)

    def mismatch() -> None:
        last = other.log.last_index
        message = AppendEntries(other.term, LogIndex(last - 1), Term(other.term + 1), (), LogIndex(0))
        other.receive(leader.me, message, trio.now)
        trio.round(other)

    def snapshot() -> None:
        log = leader.log
        index = LogIndex(max(log.snapshot_index, log.base_index) + 1)
        term = log.term_at(index)
        assert term is not None
        leader.snapshot_stored(SnapshotMeta(index, term, MEMBERSHIP, LogIndex(1)), trio.now)

    def refusal() -> None:
        last = leader.log.last_index
        message = AppendResponse(leader.term, False, LogIndex(last - 1), LogIndex(last // 2), Term(1))
        leader.receive(follower.me, message, trio.now)
        trio.round(leader)

    def election() -> None:
        leader.lead(trio.now)
        trio.round(leader)

    return {
        "propose, replicate, commit, apply": lambda: trio.commit(1),
        "heartbeat": lambda: (follower.receive(leader.me, Heartbeat(leader.term, 1, 0.075, LogIndex(0)), now),
                              trio.round(follower)),
        "read_index": lambda: leader.read_index(trio.now),
        "tick": lambda: leader.tick(trio.now),
        "compaction by one entry": snapshot,
        "refused append": refusal,
        "becoming leader": election,
        "append": append,
        "append that does not match": mismatch,
        "append that overwrites": conflict,
    }  # fmt: skip
