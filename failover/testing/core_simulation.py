"""The seed of the simulator: real cores over a simulated network, simulated disks, clocks and processes.

One seed gives everything. Time is virtual: an hour takes as long as its events. The network delays, loses,
doubles and reorders; disks are slow, and lose at a crash what was not synced; clocks run up to 10 % fast or slow;
processes crash, pause and restart; links break in one direction or both.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import Effects, HardState, SnapshotMeta, Write
from failover.raft.membership import Membership
from failover.raft.messages import Entry, InstallSnapshot, Message
from failover.raft.timing import Timing
from failover.testing.checkers import OneHistory, OneHost, OneLeaderPerTerm


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong; seconds and probabilities."""

    delay_s: tuple[float, float] = (0.0001, 0.001)
    loss: float = 0.0
    double: float = 0.0
    disk_s: tuple[float, float] = (0.0002, 0.002)
    unwind_s: tuple[float, float] = (0.0, 0.02)
    """How long a server function takes to end."""
    clock_rates: tuple[float, float] = (1.0, 1.0)


@dataclass(slots=True)
class Disk:
    """What one member has made durable."""

    hard_state: HardState
    entries: dict[LogIndex, Entry] = field(default_factory=dict)
    snapshot: SnapshotMeta | None = None

    def write(self, write: Write) -> None:
        """Carry out one write."""
        self.hard_state = write.hard_state or self.hard_state
        if write.truncate_from is not None:
            self.entries = {i: e for i, e in self.entries.items() if i < write.truncate_from}
        self.entries.update((entry.index, entry) for entry in write.entries)
        if write.compact_to is not None:
            self.entries = {i: e for i, e in self.entries.items() if i > write.compact_to}

    def save_snapshot(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        """Store a snapshot, with the rules of `Storage.save_snapshot`."""
        self.snapshot = meta
        if replaces_log:
            held = self.entries.get(meta.last_index)
            agrees = held is not None and held.term == meta.last_term
            self.entries = {i: e for i, e in self.entries.items() if agrees and i > meta.last_index}


class SimulatedMember:
    """One process with its disk, its clock and its core."""

    def __init__(self, simulation: CoreSimulation, me: MemberId, disk: Disk) -> None:
        self.simulation = simulation
        self.me = me
        self.disk = disk
        self.rate = simulation.random.choice(simulation.faults.clock_rates)
        self._epoch = simulation.random.uniform(0, 1e6)
        self.alive = False
        self.paused_until = 0.0
        self._life = 0
        self._disk_free_at = 0.0
        self._tick_at = math.inf
        self.applied: list[bytes] = []
        self.core: Core

    def clock(self) -> float:
        """This member's own clock."""
        return self._epoch + self.simulation.now * self.rate

    def true_time(self, local: float) -> float:
        """The true time at which this member's clock shows `local`."""
        return (local - self._epoch) / self.rate

    def start(self) -> None:
        """Start the process from its disk."""
        self._life += 1
        self.alive = True
        self._tick_at = math.inf
        self._disk_free_at = self.simulation.now
        self.core = Core(
            self.me,
            timing=self.simulation.timing,
            hard_state=self.disk.hard_state,
            snapshot=self.disk.snapshot,
            entries=[self.disk.entries[i] for i in sorted(self.disk.entries)],
            dice=self.simulation.random.random,
            now=self.clock(),
        )
        self.carry_out()

    def crash(self) -> None:
        """Kill the process; writes that were not complete are lost."""
        self._life += 1
        self.alive = False
        self.simulation.one_host.ends(self.me)

    def pause(self, seconds: float) -> None:
        """Stop the process for a while (SIGSTOP, a closed lid)."""
        self.paused_until = max(self.paused_until, self.simulation.now + seconds)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in this process, unless it has died by then; a paused process does it on waking."""
        life = self._life

        def run() -> None:
            if life != self._life:
                return
            if self.simulation.now < self.paused_until:
                self.simulation.at(self.paused_until, run)
                return
            action()

        self.simulation.at(self.simulation.now + seconds, run)

    def receive(self, sender: MemberId, message: Message) -> None:
        """A message arrives."""
        self.core.receive(sender, message, self.clock())
        self.carry_out()

    def propose(self, command: bytes) -> Entry | None:
        """The server function proposes a command."""
        entry = self.core.propose(command, self.clock())
        self.carry_out()
        return entry

    def carry_out(self) -> None:
        """Take the core's effects and do them, as the driver would."""
        while True:
            effects = self.core.take_effects(self.clock())
            self.simulation.observe(self, effects)
            if not self._carry_out(effects):
                break
        self._plan_tick(effects.deadline)

    def _carry_out(self, effects: Effects) -> bool:
        simulation = self.simulation
        if effects.stop_host is not None:
            self.later(simulation.between(simulation.faults.unwind_s), self._host_stopped)
        for to, message in effects.messages_now:
            simulation.send(self.me, to, message)
        if effects.write is not None:
            self._write(effects.write)
        if effects.messages_after_store:
            self._after_disk(partial(self._send_all, effects.messages_after_store))
        for entry in effects.apply:
            self.applied.append(entry.command)
        if effects.apply:
            self.core.applied(effects.apply[-1].index, self.clock())
        if effects.install_snapshot is not None:
            self._install(effects.install_snapshot)
        for to in effects.send_snapshot:
            self._send_snapshot(to)
        if effects.take_snapshot:
            self._take_snapshot()
        return bool(effects.apply)

    def _send_all(self, messages: tuple[tuple[MemberId, Message], ...]) -> None:
        for to, message in messages:
            self.simulation.send(self.me, to, message)

    def _plan_tick(self, deadline: float) -> None:
        when = max(self.true_time(deadline), self.simulation.now)
        if deadline == math.inf or when >= self._tick_at > self.simulation.now:
            return
        self._tick_at = when

        def tick() -> None:
            self._tick_at = math.inf
            self.core.tick(self.clock())
            self.carry_out()

        self.later(when - self.simulation.now + 1e-9, tick)

    def _after_disk(self, action: Callable[[], None]) -> None:
        self.later(max(0.0, self._disk_free_at - self.simulation.now), action)

    def _disk_takes_time(self) -> None:
        takes = self.simulation.between(self.simulation.faults.disk_s)
        self._disk_free_at = max(self._disk_free_at, self.simulation.now) + takes

    def _write(self, write: Write) -> None:
        self._disk_takes_time()
        life = self._life

        def durable() -> None:
            if life == self._life:  # a paused process does not stop its disk
                self.disk.write(write)

        def stored() -> None:
            self.core.stored(write.number, self.clock())
            self.carry_out()

        self.simulation.at(self._disk_free_at, durable)
        self._after_disk(stored)

    def _host_stopped(self) -> None:
        self.core.host_stopped(self.clock())
        self.carry_out()

    def _take_snapshot(self) -> None:
        index = self.core.applied_index
        at = self.core.log.membership_at(index)
        term = self.core.log.term_at(index)
        assert at is not None and term is not None
        meta = SnapshotMeta(index, term, at.membership, at.index)
        self._disk_takes_time()

        def stored() -> None:
            self.disk.save_snapshot(meta, replaces_log=False)
            self.core.snapshot_stored(meta, self.clock())
            self.carry_out()

        self._after_disk(stored)

    def _send_snapshot(self, to: MemberId) -> None:
        meta = self.disk.snapshot
        assert meta is not None
        message = InstallSnapshot(
            self.core.term, meta.last_index, meta.last_term, meta.membership, meta.membership_index, 0
        )
        self.simulation.send(self.me, to, message)
        self.later(0.5, lambda: self.core.snapshot_failed(to, self.clock()))

    def _install(self, meta: SnapshotMeta) -> None:
        self._disk_takes_time()

        def stored() -> None:
            self.disk.save_snapshot(meta, replaces_log=True)
            self.applied = [command for _, command in self.simulation.one_history.committed[: meta.last_index]]
            self.core.snapshot_installed(self.clock())
            self.carry_out()

        self._after_disk(stored)


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
    ) -> None:
        self.random = random.Random(seed)
        self.timing = timing or Timing()
        self.faults = faults or Faults()
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._event_number = 0
        self.cut: set[tuple[MemberId, MemberId]] = set()
        """Links (from, to) that carry nothing."""
        self.one_host, self.one_leader, self.one_history = OneHost(), OneLeaderPerTerm(), OneHistory()
        self._led: set[tuple[MemberId, Term]] = set()
        ids = [MemberId(b"%c" % (97 + i)) for i in range(members + learners)]
        founding = Entry(
            LogIndex(1),
            Term(1),
            b"found",
            Membership(voters=frozenset(ids[:members]), learners=frozenset(ids[members:])),
        )
        self.members = {
            me: SimulatedMember(
                self,
                me,
                Disk(HardState(Term(1), None, self.timing.promise_ceiling_first_s), {LogIndex(1): founding}),
            )
            for me in ids
        }
        for member in self.members.values():
            member.start()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a true time; equal times in the order of asking."""
        self._event_number += 1
        heapq.heappush(self._events, (when, self._event_number, action))

    def between(self, limits: tuple[float, float]) -> float:
        """Draw a duration."""
        return self.random.uniform(*limits)

    def send(self, sender: MemberId, to: MemberId, message: Message) -> None:
        """Put a message on the network: it arrives once, twice, late or never."""
        if (sender, to) in self.cut or to not in self.members:
            return
        copies = 1 + (self.random.random() < self.faults.double)
        for _ in range(copies):
            if self.random.random() < self.faults.loss:
                continue
            receiver = self.members[to]
            if receiver.alive:
                receiver.later(self.between(self.faults.delay_s), partial(receiver.receive, sender, message))

    def run(self, seconds: float) -> None:
        """Let true time pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            when, _, action = heapq.heappop(self._events)
            self.now = max(self.now, when)
            action()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until `condition` holds; returns the seconds that it took."""
        began = self.now
        while not condition():
            if not self._events or self._events[0][0] > began + limit_s:
                raise AssertionError(f"not reached within {limit_s} s: {self.picture()}")
            when, _, action = heapq.heappop(self._events)
            self.now = max(self.now, when)
            action()
        return self.now - began

    def host(self) -> SimulatedMember | None:
        """The member whose tenure runs, as far as itself knows; a paused or dead one does not count."""
        hosts = [
            m
            for m in self.members.values()
            if m.alive and m.core.tenure is not None and m.paused_until <= self.now
        ]
        return max(hosts, key=lambda m: m.core.term, default=None)

    def observe(self, member: SimulatedMember, effects: Effects) -> None:
        """Show the checkers what a member just decided."""
        core = member.core
        if effects.stop_host is not None:
            self.one_host.ends(member.me)
        lease_ends = member.true_time(core.lease_until) if core.lease_until < math.inf else math.inf
        if effects.become_host is not None:
            self.one_host.begins(member.me, effects.become_host, self.now, lease_ends)
        elif core.tenure is not None:
            self.one_host.lease_moved(member.me, self.now, lease_ends)
        if core.leadership is not None:
            self.one_leader.leads(member.me, core.term)
            if (member.me, core.term) not in self._led:
                self._led.add((member.me, core.term))
                tail = core.log.between(core.log.base_index, core.log.last_index)
                self.one_history.leads(member.me, core.log.last_index, tail)
        self.one_history.applies(member.me, effects.apply)
        assert core.log.base_index <= core.log.snapshot_index or core.log.snapshot is None
        assert core.log.snapshot_index <= core.applied_index <= core.commit_index <= core.log.last_index
        assert core.durable_index <= core.log.last_index

    def picture(self) -> str:
        """One line per member, for messages of failed tests."""
        return "; ".join(
            f"{m.me!r} {'up' if m.alive else 'down'} {m.core.role.value} term {m.core.term} "
            f"log {m.core.log.last_index} commit {m.core.commit_index} tenure {m.core.tenure}"
            for m in self.members.values()
        )
