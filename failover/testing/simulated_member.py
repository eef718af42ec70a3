"""One simulated process: a real core on a simulated disk and clock.

It carries out the core's effects in their order, as the driver does, and knows nothing of the faults around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import Effects, HardState, SnapshotMeta, Write
from failover.raft.messages import UNKNOWN_HINT, Entry, InstallSnapshot, Message
from failover.testing.rounds import taken

if TYPE_CHECKING:
    from failover.testing.core_simulation import CoreSimulation

SNAPSHOT_PATIENCE_S = 0.5
"""A transfer that did not arrive is reported as failed after this long."""
EPOCH_MAX = 1e6

Done = Callable[[], None]


def _nothing() -> None:
    pass


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
            self._keep_below(write.truncate_from)
        self.entries.update((entry.index, entry) for entry in write.entries)
        if write.compact_to is not None:
            self._keep_above(write.compact_to)

    def save_snapshot(self, meta: SnapshotMeta, *, replaces_log: bool) -> None:
        """Store a snapshot, with the rules of `Storage.save_snapshot`."""
        if replaces_log:
            if self._term_at(meta.last_index) == meta.last_term:
                self._keep_above(meta.last_index)
            else:
                self.entries.clear()
        elif self.snapshot is not None and meta.last_index < self.snapshot.last_index:
            return  # overtaken by one from another member
        self.snapshot = meta

    def holds(self, index: LogIndex, term: Term) -> bool:
        """Whether the entry (index, term) is here, or covered by the snapshot; 0 is everywhere."""
        covered = self.snapshot is not None and index <= self.snapshot.last_index
        return covered or index == 0 or self._term_at(index) == term

    def _term_at(self, index: LogIndex) -> Term | None:
        entry = self.entries.get(index)
        return entry.term if entry is not None else None

    def _keep_below(self, index: LogIndex) -> None:
        while self.entries and (last := next(reversed(self.entries))) >= index:
            del self.entries[last]

    def _keep_above(self, index: LogIndex) -> None:
        while self.entries and (first := next(iter(self.entries))) <= index:
            del self.entries[first]


class SimulatedMember:
    """One process with its disk, its clock and its core."""

    def __init__(self, simulation: CoreSimulation, me: MemberId, disk: Disk) -> None:
        self.simulation = simulation
        self.me = me
        self.disk = disk
        self.rate = 1.0
        self._epoch = 0.0
        self.alive = False
        self.paused_until = 0.0
        self.life = 0
        self._backlog: list[Done] = []
        """What waits for the end of a pause."""
        self.snapshots_received: set[InstallSnapshot] = set()
        """Arrived, which does not say that any of it was stored before a crash."""
        self._disk_stalled_until = 0.0
        self._disk_batch: list[tuple[Done, Done]] = []
        """What is being written: what becomes durable, and what the process does then."""
        self._disk_queue: list[tuple[Done, Done]] = []
        self._tick_at = math.inf
        self.applied: list[bytes] = []
        self.hint = UNKNOWN_HINT
        """How fit the machine is; a process that starts finds it so."""
        self.core: Core

    @property
    def is_running(self) -> bool:
        """Whether the process is alive and not paused."""
        return self.alive and self.paused_until <= self.simulation.now

    def clock(self) -> float:
        """This member's own clock."""
        return self._epoch + self.simulation.now * self.rate

    def true_time(self, local: float) -> float:
        """The true time at which this member's clock shows `local`."""
        return (local - self._epoch) / self.rate

    def start(self) -> None:
        """Start the process from its disk, perhaps after a reboot that set its clock anew."""
        self.life += 1
        self.alive = True
        self.paused_until = 0.0
        self.rate = self.simulation.random.choice(self.simulation.faults.clock_rates)
        self._epoch = self.simulation.random.uniform(0, EPOCH_MAX)
        self._tick_at = math.inf
        self._disk_batch, self._disk_queue = [], []
        self._backlog.clear()
        first = self.disk.snapshot.last_index if self.disk.snapshot else 0
        self.applied = [command for _, command, _ in self.simulation.one_history.committed[:first]]
        self.core = Core(
            self.me,
            timing=self.simulation.timing,
            hard_state=self.disk.hard_state,
            snapshot=self.disk.snapshot,
            entries=list(self.disk.entries.values()),
            dice=self.simulation.random.random,
            now=self.clock(),
        )
        self.core.fitness.set_hint(self.hint)
        self.carry_out()

    def change_fitness(self, hint: int) -> None:
        """The machine is fitter or less fit to host from now on."""
        self.hint = hint
        self.core.fitness.set_hint(hint)

    def crash(self) -> None:
        """Kill the process; writes that were not complete are lost."""
        self.life += 1
        self.alive = False
        self.simulation.one_host.ends(self.me)

    def pause(self, seconds: float) -> None:
        """Stop the process for a while (SIGSTOP, a closed lid)."""
        if self.alive:
            self.paused_until = max(self.paused_until, self.simulation.now + seconds)
            self.simulation.at(self.paused_until, partial(self._go_on, self.life))

    def wake(self) -> None:
        """End a pause early."""
        if self.paused_until > self.simulation.now:
            self.paused_until = self.simulation.now
            self.simulation.at(self.paused_until, partial(self._go_on, self.life))

    def _go_on(self, life: int) -> None:
        if life == self.life and self.is_running:
            backlog, self._backlog = self._backlog, []
            for action in backlog:
                action()

    def stall_disk(self, seconds: float) -> None:
        """The disk does nothing for so long."""
        self._disk_stalled_until = max(self._disk_stalled_until, self.simulation.now + seconds)

    def later(self, seconds: float, action: Done) -> None:
        """Do something in this process, unless it has died by then; a paused process does it on waking."""
        self.simulation.at(self.simulation.now + seconds, partial(self._run, self.life, action))

    def first_of_all(self, action: Done) -> None:
        """Do something now, or on waking before all else, as a thread beside the pump may."""
        if self.is_running and not self._backlog:
            action()
        else:
            self._backlog.insert(0, action)

    def _run(self, life: int, action: Done) -> None:
        if life != self.life:
            return
        if self._backlog or not self.is_running:
            self._backlog.append(action)
        else:
            action()

    def receive(self, sender: MemberId, message: Message) -> None:
        """A message arrives."""
        if isinstance(message, InstallSnapshot):
            self.snapshots_received.add(message)
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
            effects = taken(self.core, self.clock())
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
        goes_on = False
        for entry in effects.apply:
            self.applied.append(entry.command)
        if effects.apply:
            goes_on = self.core.applied(effects.apply[-1].index, self.clock())
        if effects.install_snapshot is not None:
            self._install(effects.install_snapshot)
        if effects.keep_snapshot is not None:
            self._keep(effects.keep_snapshot)
        for to in effects.send_snapshot:
            self._send_snapshot(to)
        if effects.take_snapshot:
            self._take_snapshot()
        return goes_on

    def _send_all(self, messages: tuple[tuple[MemberId, Message], ...]) -> None:
        for to, message in messages:
            self.simulation.send(self.me, to, message)

    def _plan_tick(self, deadline: float) -> None:
        when = max(self.true_time(deadline), self.simulation.now)
        if deadline == math.inf or when >= self._tick_at > self.simulation.now:
            return
        self._tick_at = when
        self.later(when - self.simulation.now + 1e-9, partial(self._tick, when))

    def _tick(self, planned: float) -> None:
        if planned != self._tick_at:
            return  # an earlier deadline took its place, and planned the next
        self._tick_at = math.inf
        self.core.tick(self.clock())
        self.carry_out()

    # Writes that wait together go into one transaction, as the driver's writer does it.

    def _after_disk(self, done: Done) -> None:
        """Do something when all that was given to the disk so far is durable."""
        if self._disk_queue:
            self._disk_queue.append((_nothing, done))
        elif self._disk_batch:
            self._disk_batch.append((_nothing, done))
        else:
            self.later(0.0, done)

    def _on_disk(self, durable: Done, done: Done) -> None:
        self._disk_queue.append((durable, done))
        if not self._disk_batch:
            self._disk_begins()

    def _disk_begins(self) -> None:
        self._disk_batch, self._disk_queue = self._disk_queue, []
        takes = self.simulation.between(self.simulation.faults.disk_s)
        self.simulation.at(
            max(self._disk_stalled_until, self.simulation.now) + takes, partial(self._disk_ends, self.life)
        )

    def _disk_ends(self, life: int) -> None:
        if life != self.life:
            return  # the process died before: nothing of it survives
        batch, self._disk_batch = self._disk_batch, []
        for durable, _ in batch:
            durable()  # a paused process does not stop its disk
        for _, done in batch:
            self.later(0.0, done)
        if self._disk_queue:
            self._disk_begins()

    def _write(self, write: Write) -> None:
        self._on_disk(partial(self.disk.write, write), partial(self._stored, write.number))

    def _stored(self, number: int) -> None:
        if self.core.stored(number, self.clock()):
            self.carry_out()

    def _host_stopped(self) -> None:
        self.simulation.one_host.ends(self.me)
        self.core.host_stopped(self.clock())
        self.carry_out()

    def _take_snapshot(self) -> None:
        self.simulation.happened["snapshot taken"] += 1
        index = self.core.applied_index
        at = self.core.log.membership_at(index)
        term = self.core.log.term_at(index)
        assert at is not None and term is not None
        meta = SnapshotMeta(index, term, at.membership, at.index)

        self._store_snapshot(meta)

    def _keep(self, meta: SnapshotMeta) -> None:
        self.simulation.happened["snapshot kept"] += 1
        self._store_snapshot(meta)

    def _store_snapshot(self, meta: SnapshotMeta) -> None:
        def stored() -> None:
            self.core.snapshot_stored(meta, self.clock())
            self.carry_out()

        self._on_disk(partial(self.disk.save_snapshot, meta, replaces_log=False), stored)

    def _send_snapshot(self, to: MemberId) -> None:
        meta = self.disk.snapshot
        assert meta is not None
        message = InstallSnapshot(
            self.core.term, meta.last_index, meta.last_term, meta.membership, meta.membership_index, 0
        )
        self.simulation.send(self.me, to, message)
        self.later(SNAPSHOT_PATIENCE_S, partial(self._transfer_ended, to, message))

    def _transfer_ended(self, to: MemberId, message: InstallSnapshot) -> None:
        arrived = message in self.simulation.members[to].snapshots_received
        self.simulation.happened["snapshot transfer failed"] += not arrived
        self.core.transfer_ended(to, self.clock(), arrived=arrived)
        self.carry_out()

    def _install(self, meta: SnapshotMeta) -> None:
        self.simulation.happened["snapshot installed"] += 1

        def stored() -> None:
            self.applied = [command for _, command, _ in self.simulation.one_history.committed[: meta.last_index]]
            self.core.snapshot_installed(self.clock())
            self.carry_out()

        self._on_disk(partial(self.disk.save_snapshot, meta, replaces_log=True), stored)
