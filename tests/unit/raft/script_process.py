"""One process of a script: a real core on a disk that works as the script says, with a clock of its own.

It carries out the core's effects in their order, as the driver does, and writes down what a reader should see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import script_trace as words

from failover.ids import LogIndex, MemberId, Term
from failover.raft.core import Core, Role
from failover.raft.effects import Effects, SnapshotMeta, Write
from failover.raft.messages import InstallSnapshot, Message
from failover.testing.rounds import taken
from failover.testing.simulated_member import Disk

if TYPE_CHECKING:
    from script_world import World

TICK_SLACK_S = 1e-9
"""A tick comes a hair after its deadline, so that rounding does not make it come before."""


@dataclass(frozen=True)
class Job:
    """Something for the disk."""

    durable: Callable[[], None]
    """Changes what survives a crash."""
    done: Callable[[], None]
    """What the process does then."""
    text: str


class Process:
    """One member: alive or crashed, running or paused."""

    core: Core

    def __init__(self, world: World, name: str, disk: Disk) -> None:
        self.world, self.name, self.disk = world, name, disk
        self.me = MemberId(name.encode())
        self.is_up = self.is_paused = False
        self.life = 0
        self.disk_takes_s = 0.0
        """How long a write takes; inf: until the script says that it is done."""
        self.unwinds_at_once = True
        self.rate, self._epoch = 1.0, 0.0
        self._jobs: list[Job] = []
        self._batch = 0
        """How many of the jobs are being written now; what waits goes together into the next write."""
        self._held: list[tuple[int, tuple[tuple[MemberId, Message], ...]]] = []
        self._written = self._stored = 0
        self._hard_state: tuple[Term, MemberId | None] = (Term(0), None)
        self._backlog: list[Callable[[], None]] = []
        self._planned = 0
        self._shown: tuple[object, ...] = ()
        self._shown_commit = LogIndex(0)

    # --- clock ---

    def clock(self) -> float:
        """This member's own clock."""
        return self._epoch + self.world.now * self.rate

    def true_time(self, local: float) -> float:
        """When this member's clock shows `local`."""
        return (local - self._epoch) / self.rate

    def run_at(self, rate: float) -> None:
        """Have the clock run faster or slower from now on."""
        now = self.clock()
        self.rate, self._epoch = rate, now - self.world.now * rate
        self.carry_out()

    # --- life ---

    def start(self) -> None:
        """Start from what the disk holds."""
        self.life += 1
        self.is_up, self.is_paused = True, False
        self._jobs, self._batch, self._held, self._backlog = [], 0, [], []
        self._written = self._stored = 0
        hard = self.disk.hard_state
        self._hard_state = (hard.term, hard.voted_for)
        self.core = Core(
            self.me,
            timing=self.world.timing,
            hard_state=hard,
            snapshot=self.disk.snapshot,
            entries=list(self.disk.entries.values()),
            dice=lambda: self.name.encode()[-1] * 0.15 % 1,
            now=self.clock(),
        )
        self._be_ranked()
        self._shown, self._shown_commit = self._picture(), self.core.commit_index
        self.carry_out()

    def _be_ranked(self) -> None:
        """Know a rank by name at first, as no process does: so that a story begins with whom it is about."""
        membership = self.core.log.membership
        if self.life == 1 and membership is not None and self.me in membership.all_voters:
            self.core.fitness.rank = sorted(membership.all_voters).index(self.me)
            self.core.standing.wait(self.clock())

    def crash(self) -> None:
        """Die; what is not durable is gone."""
        self.is_up = False
        self._jobs, self._batch = [], 0
        self.life += 1
        self.world.checkers.one_host.ends(self.me)

    def pause(self) -> None:
        """Stand still; what arrives waits."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on: first of all what the clock has reached, then what has arrived."""
        self.is_paused = False
        self._tick()
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            action()

    def _do(self, life: int, action: Callable[[], None]) -> None:
        if life != self.life or not self.is_up:
            return
        if self.is_paused:
            self._backlog.append(action)
        else:
            action()

    # --- inputs ---

    def receive(self, sender: MemberId, message: Message) -> None:
        """A message arrives."""

        def take_in() -> None:
            self.core.receive(sender, message, self.clock())
            self.carry_out()

        self._do(self.life, take_in)

    def transfer_failed(self, to: str, life: int) -> None:
        """A snapshot for `to` did not arrive."""

        def take_in() -> None:
            self.core.transfer_ended(MemberId(to.encode()), self.clock(), arrived=False)
            self.carry_out()

        self._do(life, take_in)

    def host_stopped(self) -> None:
        """The server function has unwound."""
        self.core.host_stopped(self.clock())
        self.carry_out()

    def _tick(self) -> None:
        world = self.world
        if self.core.leadership is None and world.only_stands is not None and self.name not in world.only_stands:
            return  # planned anew when the others may stand again
        self.core.tick(self.clock())
        self.carry_out()

    # --- carrying out ---

    def carry_out(self) -> None:
        """Do what the core has decided, until nothing is left."""
        again = True
        while again:
            effects = taken(self.core, self.clock())
            self.world.watch(self, effects)
            again = self._carry_out(effects)
        self._plan_tick(effects.deadline)

    def _carry_out(self, effects: Effects) -> bool:
        self._note_changes(effects)
        again = effects.stop_host is not None and self.unwinds_at_once
        if again:
            self.core.host_stopped(self.clock())
        self.world.post(self.name, effects.messages_now)
        if effects.write is not None:
            self._written = effects.write.number
            again |= self._write(effects.write)
        if effects.messages_after_store and self._stored >= self._written:
            self.world.post(self.name, effects.messages_after_store)
        elif effects.messages_after_store:
            self._held.append((self._written, effects.messages_after_store))
        if effects.apply:
            self.core.applied(effects.apply[-1].index, self.clock())
            self._note(f"applies {words.entries(effects.apply)}")
            again = True
        if effects.install_snapshot is not None:
            self._install(effects.install_snapshot)
            again = True
        for to in effects.send_snapshot:
            self._send_snapshot(to)
        if effects.take_snapshot:
            self._take_snapshot()
            again = True
        if effects.become_host is not None:
            self._note(f"BECOMES HOST in term {effects.become_host}")
        return again

    def _plan_tick(self, deadline: float) -> None:
        self._planned += 1
        number, life = self._planned, self.life

        def tick() -> None:
            if number == self._planned and life == self.life and not self.is_paused:
                self._tick()

        if deadline < math.inf:
            self.world.at(self.true_time(deadline) + TICK_SLACK_S, tick)

    # --- disk ---

    def _write(self, write: Write) -> bool:
        text = words.write(write, self._hard_state)
        if write.hard_state is not None:
            self._hard_state = (write.hard_state.term, write.hard_state.voted_for)

        def stored() -> None:
            self._stored = write.number
            self.core.stored(write.number, self.clock())
            while self._held and self._held[0][0] <= write.number:
                self.world.post(self.name, self._held.pop(0)[1])

        return self._give_to_disk(Job(lambda: self.disk.write(write), stored, text))

    def _give_to_disk(self, job: Job) -> bool:
        """Have something written; returns whether it is done already."""
        if not self._jobs and not self.disk_takes_s:
            if job.text:
                self._note(f"stores {job.text}")
            job.durable()
            job.done()
            return True
        if job.text:
            self._note(f"writes {job.text}")
        self._jobs.append(job)
        self._begin_batch()
        return False

    def _begin_batch(self) -> None:
        if self._batch or not self._jobs or self.disk_takes_s == math.inf:
            return
        self._batch, life = len(self._jobs), self.life

        def end() -> None:
            if life == self.life:
                count, self._batch = self._batch, 0
                self.finish_writes(count)
                self._begin_batch()

        # What is quick is part of the round; for a slow disk nobody waits.
        self.world.at(self.world.now + self.disk_takes_s, end, counts=self.disk_takes_s < 0.1)

    def finish_writes(self, count: int | None = None) -> int:
        """The first `count` things given to the disk (all of them, if None) are durable now; returns how many."""
        done = self._jobs[:count]
        self._jobs = self._jobs[len(done) :]
        for job in done:
            job.durable()  # a paused process does not stop its disk
            if job.text:
                self._note(f"has stored {job.text}")

        def take_in() -> None:
            for job in done:
                job.done()
            self.carry_out()

        if done:
            self._do(self.life, take_in)
        return len(done)

    def use_disk(self, takes_s: float) -> None:
        """From now on a write takes so long; what hung before is done first when the disk works again."""
        self.disk_takes_s = takes_s
        if not takes_s:
            self._batch = 0
            self.finish_writes()
        self._begin_batch()

    # --- snapshots ---

    def _take_snapshot(self) -> None:
        index = self.core.applied_index
        at, term = self.core.log.membership_at(index), self.core.log.term_at(index)
        assert at is not None and term is not None
        meta = SnapshotMeta(index, term, at.membership, at.index)
        self._give_to_disk(
            Job(
                lambda: self.disk.save_snapshot(meta, replaces_log=False),
                lambda: self.core.snapshot_stored(meta, self.clock()),
                f"a snapshot of {words.snapshot(meta)}",
            )
        )

    def _install(self, meta: SnapshotMeta) -> None:
        self._give_to_disk(
            Job(
                lambda: self.disk.save_snapshot(meta, replaces_log=True),
                lambda: self.core.snapshot_installed(self.clock()),
                f"the snapshot {words.snapshot(meta)} instead of its log",
            )
        )

    def _send_snapshot(self, to: MemberId) -> None:
        meta = self.disk.snapshot
        assert meta is not None
        message = InstallSnapshot(
            self.core.term, meta.last_index, meta.last_term, meta.membership, meta.membership_index, 0
        )
        self.world.post(self.name, [(to, message)])

    # --- what a reader sees ---

    def _note(self, what: str) -> None:
        if self.world.trace.is_news(self.name, what):
            self.world.trace.write(self.name, what)

    def _picture(self) -> tuple[object, ...]:
        core = self.core
        return core.role, core.term, core.leader

    def _note_changes(self, effects: Effects) -> None:
        if effects.stop_host is not None:
            self._note(f"STOPS HOSTING: {effects.stop_host.value}")
        picture = self._picture()
        if picture != self._shown:
            self._shown = picture
            self._note(self.describe_role())
        if self.core.commit_index > self._shown_commit:
            self._shown_commit = self.core.commit_index
            if not effects.apply:  # else: applying shows it
                self._note(f"commits up to {self.core.commit_index}")

    def describe_role(self) -> str:
        """What this member is, in words."""
        core = self.core
        match core.role:
            case Role.LEADER:
                return f"leads term {core.term}"
            case Role.CANDIDATE:
                return f"stands in term {core.term}"
            case Role.PRE_CANDIDATE:
                return f"would stand in term {core.term + 1}"
            case Role.FOLLOWER:
                return f"follows {words.name(core.leader)} in term {core.term}"
