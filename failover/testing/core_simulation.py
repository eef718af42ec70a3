"""Real cores over a simulated network, simulated disks, clocks and processes, with checkers looking on.

One seed gives everything. Time is virtual: an hour takes as long as its events. The network delays, loses,
doubles and reorders; disks are slow, and lose at a crash what was not synced; clocks run up to 10 % fast or slow;
processes crash, pause and restart; links break in one direction or both. When that happens is the business of a
`Schedule`; this file only makes it possible.
"""

from __future__ import annotations

import heapq
import math
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from failover.ids import LogIndex, MemberId, Term
from failover.raft.effects import Effects, HardState
from failover.raft.membership import Membership
from failover.raft.messages import AppendEntries, AppendResponse, Entry, HeartbeatResponse, Message, VoteResponse
from failover.raft.timing import Timing
from failover.testing.checkers import (
    HeldByQuorum,
    NoProgress,
    OneHistory,
    OneHost,
    OneLeaderPerTerm,
    OneVotePerTerm,
    OnlyForwards,
    Violation,
    WitnessesNeverHost,
)
from failover.testing.core_rules import CoreRules
from failover.testing.simulated_member import Disk, SimulatedMember

EVENTS_AT_ONE_TIME_MAX = 10_000
"""More events without the clock moving on are a busy loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong at any moment; seconds and probabilities."""

    delay_s: tuple[float, float] = (0.0001, 0.001)
    late: float = 0.0
    """So many messages take up to `late_s`: they are overtaken by others."""
    late_s: float = 0.2
    loss: float = 0.0
    double: float = 0.0
    disk_s: tuple[float, float] = (0.0002, 0.002)
    unwind_s: tuple[float, float] = (0.0, 0.02)
    """How long a server function takes to end."""
    clock_rates: tuple[float, ...] = (1.0,)
    crash_after_vote: float = 0.0
    """So many members crash as soon as they have given a vote, and start again."""
    crash_after_answer: float = 0.0
    """So many answers to appends are the last thing that their receiver hears before it crashes."""
    slow_answers: float = 0.0
    """So many answers to heartbeats are late, and little else."""
    entries_lost: float = 0.0
    """On so many links nothing large passes in a term: heartbeats and votes do, entries do not."""


class CoreSimulation:
    """A cluster in virtual time, with its checkers."""

    def __init__(
        self,
        seed: int,
        members: int,
        *,
        timing: Timing | None = None,
        faults: Faults | None = None,
        learners: int = 0,
        witnesses: int = 0,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.timing = timing or Timing()
        self.faults = faults or Faults()
        self.now = 0.0
        self.events = 0
        """How many have happened."""
        self.sent: Counter[MemberId] = Counter()
        """Messages that each member put on the network."""
        self.happened: Counter[str] = Counter()
        """What was exercised, for those who ask whether a run was worth anything."""
        self.digest = 0
        """A checksum over all that was observed: equal runs have equal ones."""
        self._trace = trace
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._event_number = 0
        self._at_this_time = 0
        self.cut: set[tuple[MemberId, MemberId]] = set()
        """Links (from, to) that carry nothing."""
        self.one_host, self.one_leader, self.one_history = OneHost(), OneLeaderPerTerm(), OneHistory()
        self.one_vote, self.only_forwards, self.held = OneVotePerTerm(), OnlyForwards(), HeldByQuorum()
        self._swallow: dict[tuple[MemberId, MemberId, Term], bool] = {}
        self.witnesses_never_host = WitnessesNeverHost()
        self._led: set[tuple[MemberId, Term]] = set()
        ids = [MemberId(b"%c" % (97 + i)) for i in range(members + learners)]
        founding = Entry(
            LogIndex(1),
            Term(1),
            b"found",
            Membership(
                voters=frozenset(ids[:members]),
                learners=frozenset(ids[members:]),
                witnesses=frozenset(ids[members - witnesses : members]),
            ),
        )
        assert founding.membership is not None
        self.witnesses_never_host.witnesses.update(founding.membership.witnesses)
        self.one_history.membership = founding.membership
        self.members: dict[MemberId, SimulatedMember] = {}
        assert founding.membership is not None
        self.rules = CoreRules(self.members, founding.membership, self.timing)
        self.members |= {
            me: SimulatedMember(self, me, Disk(self._first_state(Term(1)), {LogIndex(1): founding})) for me in ids
        }
        for member in self.members.values():
            member.start()

    def _first_state(self, term: Term) -> HardState:
        return HardState(term, None, self.timing.promise_ceiling_first_s)

    def add_member(self, *, is_witness: bool = False) -> MemberId:
        """Make another process, with an empty disk and an id that nobody had."""
        me = MemberId(b"%c" % (97 + len(self.members)))
        if is_witness:
            self.witnesses_never_host.witnesses.add(me)
        self.members[me] = SimulatedMember(self, me, Disk(self._first_state(Term(0))))
        self.members[me].start()
        return me

    # --- time and network ---

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a true time; equal times in the order of asking."""
        self._event_number += 1
        heapq.heappush(self._events, (when, self._event_number, action))

    def between(self, limits: tuple[float, float]) -> float:
        """Draw a duration."""
        return self.random.uniform(*limits)

    def send(self, sender: MemberId, to: MemberId, message: Message) -> bool:
        """Put a message on the network: it arrives once, twice, late or never; returns whether it ever will."""
        self.sent[sender] += 1
        self.one_vote.says(sender, to, message)
        self.rules.sends(self.members[sender], to, message)
        if self.faults.crash_after_vote and isinstance(message, VoteResponse) and message.granted:
            self._perhaps_crash(self.members[sender])
        if (sender, to) in self.cut or to not in self.members or not self.members[to].alive:
            return False
        if (
            self.faults.entries_lost
            and isinstance(message, AppendEntries)
            and self._is_swallowed(sender, to, message)
        ):
            return False
        faults, dice = self.faults, self.random.random
        copies = 1 + (faults.double > 0 and dice() < faults.double)
        if copies > 1:
            self.happened["doubled"] += 1
        arrives = False
        for _ in range(copies):
            if faults.loss and dice() < faults.loss:
                self.happened["lost"] += 1
                continue
            delay = self.between(faults.delay_s)
            late = max(faults.late, faults.slow_answers) if isinstance(message, HeartbeatResponse) else faults.late
            if late and dice() < late:
                self.happened["late"] += 1
                delay += self.random.uniform(0, faults.late_s)
            receiver = self.members[to]
            receiver.later(delay, partial(receiver.receive, sender, message))
            arrives = True
            if self.faults.crash_after_answer and isinstance(message, AppendResponse) and message.success:
                self._perhaps_crash_after(receiver, delay)
        return arrives

    def _perhaps_crash(self, member: SimulatedMember) -> None:
        if self.random.random() < self.faults.crash_after_vote:
            self.happened["crashed after a vote"] += 1
            self.at(self.now, partial(self._restart, member, member.life))

    def _perhaps_crash_after(self, member: SimulatedMember, delay: float) -> None:
        if self.random.random() < self.faults.crash_after_answer:
            self.happened["crashed after an answer"] += 1
            self.at(self.now + delay, partial(self._restart, member, member.life))

    def _is_swallowed(self, sender: MemberId, to: MemberId, message: AppendEntries) -> bool:
        """Whether this link carries no entries in this term."""
        link = (sender, to, message.term)
        if link not in self._swallow:
            self._swallow[link] = self.random.random() < self.faults.entries_lost
        self.happened["entries lost"] += self._swallow[link]
        return self._swallow[link]

    def _restart(self, member: SimulatedMember, life: int) -> None:
        still_goes_wrong = self.faults.crash_after_vote or self.faults.crash_after_answer
        if member.life == life and still_goes_wrong:
            member.crash()
            member.start()

    def _step(self) -> None:
        when, _, action = heapq.heappop(self._events)
        self.events += 1
        if when > self.now:
            self.now, self._at_this_time = when, 0
        self._at_this_time += 1
        if self._at_this_time > EVENTS_AT_ONE_TIME_MAX:
            raise Violation(f"a busy loop at {self.now:.6f}: {self.picture()}")
        action()

    def run(self, seconds: float) -> None:
        """Let true time pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self._step()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until `condition` holds; returns the seconds that it took."""
        began = self.now
        while not condition():
            if not self._events or self._events[0][0] > began + limit_s:
                raise NoProgress(f"not reached within {limit_s} s: {self.picture()}")
            self._step()
        return self.now - began

    # --- looking on ---

    def host(self) -> SimulatedMember | None:
        """The member whose tenure runs, as far as itself knows; a paused or dead one does not count."""
        hosts = [m for m in self.members.values() if m.is_running and m.core.tenure is not None]
        return max(hosts, key=lambda m: m.core.term, default=None)

    def leader(self) -> SimulatedMember | None:
        """The running member that leads the highest term."""
        leaders = [m for m in self.members.values() if m.is_running and m.core.leadership is not None]
        return max(leaders, key=lambda m: m.core.term, default=None)

    def observe(self, member: SimulatedMember, effects: Effects) -> None:
        """Show the checkers what a member just decided."""
        core = member.core
        if effects.stop_host is not None:
            self.happened[f"stopped: {effects.stop_host.value}"] += 1
        self._observe_host(member, effects)
        self.rules.decides(member, effects, self.now)
        if core.leadership is not None:
            self._observe_leader(member)
        self.one_history.applies(member.me, effects.apply)
        if effects.become_host is not None:
            self.one_history.hosts(member.me, effects.become_host, core.applied_index)
        self.only_forwards.shows(member.me, member.life, core.term, core.commit_index, core.applied_index)
        log = core.log
        # The chain of inequalities on the fields (failover/raft/log.py).
        if not (
            log.base_index <= log.snapshot_index <= core.applied_index <= core.commit_index <= log.last_index
            or (log.base_index == 0 and log.snapshot is None)
        ):
            raise Violation(f"indexes out of order: {self.picture()}")
        if not core.durable_index <= log.last_index:
            raise Violation(f"{member.me!r} takes {core.durable_index} of {log.last_index} for durable")
        seen = (
            f"{self.now:.9f} {member.me!r} {core.role.value} {core.term} {core.commit_index} {log.last_index} "
            f"{len(effects.messages_now)} {len(effects.messages_after_store)} {effects.become_host}"
        )
        self.digest = zlib.crc32(seen.encode(), self.digest)
        if self._trace is not None:
            self._trace(f"{self.now:.6f} {member.me.decode()} {core.role.value} t{core.term} {in_short(effects)}")

    def _observe_host(self, member: SimulatedMember, effects: Effects) -> None:
        core = member.core
        if core.tenure is None:
            return
        until = core.lease_until
        if until <= member.clock():
            raise Violation(f"{member.me!r} still hosts at the end of its lease")
        lease_ends = member.true_time(until) if until < math.inf else math.inf
        if effects.become_host is not None:
            self.witnesses_never_host.begins(member.me, effects.become_host)
            self.one_host.begins(member.me, effects.become_host, self.now, lease_ends)
        else:
            self.one_host.lease_moved(member.me, self.now, lease_ends)

    def _observe_leader(self, member: SimulatedMember) -> None:
        core = member.core
        self.one_leader.leads(member.me, core.term)
        if core.is_witness and (member.me, core.term) not in self._led:
            self.happened["witness led"] += 1
        self.one_vote.leads(member.me, core.term)
        if (member.me, core.term) not in self._led:
            self._led.add((member.me, core.term))
            assert core.log.membership is not None
            self.one_vote.is_elected(member.me, core.term, core.log.membership)
            tail = core.log.between(core.log.base_index, core.log.last_index)
            self.one_history.leads(member.me, core.term, core.log.last_index, tail)
        if self.held.is_news(core.commit_index):
            index, term = core.commit_index, core.log.term_at(core.commit_index)
            assert term is not None and core.log.membership is not None
            holders = [m.me for m in self.members.values() if m.disk.holds(index, term)]
            # A change appended in the same round is in force since then only.
            before = core.log.membership_at(index)
            memberships = (core.log.membership, before.membership if before else core.log.membership)
            self.held.commits(member.me, index, memberships, holders)

    def read(self, member: SimulatedMember) -> None:
        """Somebody asks `member` for a linearizable read; it answers at once, or when it is awake again."""
        done = len(self.one_history.committed)
        member.first_of_all(partial(self._answer_read, member, done))

    def _answer_read(self, member: SimulatedMember, done: int) -> None:
        index = member.core.read_index(member.clock())
        if index is not None:
            self.happened["read answered"] += 1
            self.rules.reads.answered(member.me, index, done)
        member.core.tick(member.clock())
        member.carry_out()

    def picture(self) -> str:
        """One line per member, for messages of failed tests."""
        return "; ".join(
            f"{m.me!r} {'up' if m.alive else 'down'} {m.core.role.value} term {m.core.term} "
            f"log {m.core.log.base_index}..{m.core.log.last_index} commit {m.core.commit_index} "
            f"tenure {m.core.tenure}"
            for m in self.members.values()
        )


def in_short(effects: Effects) -> str:
    """What is decided, without what is not."""
    fields = [
        f"{name}={value}"
        for name, value in effects._asdict().items()
        if name != "deadline" and value not in (None, (), False)
    ]
    return ", ".join(fields) or "nothing"
