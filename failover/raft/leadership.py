"""The leader's role: one object per term led, gone with the role, so that nothing of it can act later.

Leading is not hosting. A tenure begins only when the leader's own no-op is committed and applied, the lease is
held, and no earlier server function of this member still runs; it ends for good with the first doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.ids import LogIndex, MemberId
from failover.raft import autopilot
from failover.raft.lease import Lease
from failover.raft.membership import Membership
from failover.raft.messages import AppendResponse, Entry, HandOver, Heartbeat, HeartbeatResponse, Release
from failover.raft.progress import Progress
from failover.raft.replication import Replication
from failover.raft.timing import LEASE_FRACTION

if TYPE_CHECKING:
    from failover.raft.core import Core

HEARTBEAT_REPEATS = 4
"""How often an unanswered heartbeat is sent before the next round."""
DELAY_HEADROOM = 2
"""A quorum may take so many times longer than the longest time seen lately, before the lease is lost."""
ALIVE_S = 1.0
"""A follower that answered within this time is worth repeating a heartbeat for, and can be handed over to."""


@dataclass(slots=True)
class HandingOver:
    """A hand-over under way. Before `stopped` it can be given up, afterwards not."""

    target: MemberId
    give_up_at: float
    stopped: bool = False
    """The tenure is over (or there was none)."""
    release_at: float = math.inf
    """The old lease has ended by then, whatever the server function is still doing."""
    released: bool = False
    repeat_at: float = math.inf


class Leadership:
    """What a leader knows and does in its one term."""

    def __init__(self, core: Core, now: float) -> None:
        self._core = core
        self.lease = Lease(core.me, core.timing, now + self.promise_s(now))
        self.replication = Replication(core)
        self.first_index = LogIndex(core.log.last_index + 1)
        """The own no-op: before it is committed nothing of earlier terms is known to be (Raft, 5.4.2 and 8)."""
        self.has_hosted = False
        self.handing_over: HandingOver | None = None
        self._next_round = now

    @property
    def membership(self) -> Membership:
        """The membership in force."""
        membership = self._core.log.membership
        assert membership is not None
        return membership

    @property
    def is_witness(self) -> bool:
        """Whether this leader has no application: it never hosts."""
        return self._core.me in self.membership.witnesses

    @property
    def has_released(self) -> bool:
        """Whether the promises made to this leader in this term are void."""
        return self.handing_over is not None and self.handing_over.released

    @property
    def is_settled(self) -> bool:
        """Whether the own no-op is committed."""
        return self._core.commit_index >= self.first_index

    def lost_at(self, now: float) -> float:
        """When this leader must step down unless more promises come in."""
        if self.has_released:
            assert self.handing_over is not None
            return self.handing_over.give_up_at
        return self.lease.lost_at(self.membership, now)

    def may_host(self, now: float) -> bool:
        """Whether a tenure may begin now, as far as the leader's role goes."""
        return (
            not self.has_hosted
            and not self.is_witness
            and self.handing_over is None
            and self._core.applied_index >= self.first_index
            and self.lease.usable_until(self.membership) > now
        )

    @property
    def deadline(self) -> float:
        """When `tick` has something to do (stepping down is the core's to watch)."""
        due = self.replication.deadline
        if (handing := self.handing_over) is not None:
            due = min(due, handing.give_up_at, handing.release_at, handing.repeat_at)
            if handing.released:
                return due  # heartbeats have ended
        due = min(due, self._next_round)
        for progress in self.replication.progress.values():
            due = min(due, progress.heartbeat_due)
        return due

    def tick(self, now: float) -> None:
        """Send what is due."""
        self.replication.tick(now)
        self._leave_hanging_disk(now)
        if self.handing_over is not None:
            self._go_on_handing_over(self.handing_over, now)
        if self.has_released:
            return  # no new promises: the others shall be free for the target, or for an election
        if now >= self._next_round:
            # Anchored to the schedule, not to the wake-up, but never in a burst after a stall.
            self._next_round = max(self._next_round + self._core.timing.heartbeat_s, now)
            if self._next_round <= now:
                self._next_round = now + self._core.timing.heartbeat_s
            for progress in self.replication.progress.values():
                progress.heartbeat_repeats = 0
            self._send_heartbeats(self.replication.progress, now)
            return
        unanswered = {m: p for m, p in self.replication.progress.items() if p.heartbeat_due <= now}
        if unanswered:
            self._send_heartbeats(unanswered, now)

    def heartbeat_answered(self, sender: MemberId, message: HeartbeatResponse, now: float) -> None:
        """Count a promise towards the lease."""
        progress = self.replication.progress.get(sender)
        if progress is None:
            return
        progress.heartbeat_due, progress.heartbeat_repeats = math.inf, 0
        progress.is_leaving = message.is_leaving
        before = self.lease.until(self.membership)
        sent = self.lease.answered(sender, message.round, message.promise_s)
        if sent is not None:
            progress.heartbeat_round_trip.add(now - sent)
        progress.is_alive_again(now)
        if sent is not None and self.lease.until(self.membership) > before:
            self._core.quorum_delay.add(now - sent, now)

    def append_answered(self, sender: MemberId, message: AppendResponse, now: float) -> None:
        """Take in how far a log has come; a hand-over may have waited for just that."""
        self.replication.answered(sender, message, now)
        if self.handing_over is not None and sender == self.handing_over.target:
            self._go_on_handing_over(self.handing_over, now)

    def promise_s(self, now: float) -> float:
        """How long a promise to ask for: it must outlast a heartbeat, its answer, a late pump and the margin."""
        timing = self._core.timing
        delays = DELAY_HEADROOM * self._core.quorum_delay.value(now) + self._core.lateness.value(now)
        needed = (timing.heartbeat_s + delays + timing.margin_s) / LEASE_FRACTION
        return min(max(timing.promise_s, needed), timing.promise_max_s)

    def lease_ran_out(self, now: float) -> None:
        """No quorum answered in time. How long it would have taken is not known: ask for more the next time.

        Answers after the end of the lease are not counted, so without this the measured delays would never
        exceed what the promises allow for.
        """
        if not self.has_released:
            self._core.quorum_delay.add(LEASE_FRACTION * self.promise_s(now) / DELAY_HEADROOM, now)

    def begin_hand_over(self, target: MemberId | None, now: float) -> bool:
        """Start handing over to `target`, or to the voter that is furthest along; False if nobody can take it."""
        if self.handing_over is not None:
            return target in (None, self.handing_over.target)
        candidates = [member for member in self.membership.voters if self._may_take_over(member, now)]
        if target is None:
            target = self._furthest(candidates)
        if target is None or target not in candidates or not self.is_settled or self.membership.is_joint:
            return False
        self.handing_over = HandingOver(target, now + self._core.timing.hand_over_s)
        self._go_on_handing_over(self.handing_over, now)
        return True

    def change_voters(
        self,
        voters: frozenset[MemberId],
        learners: frozenset[MemberId],
        command: bytes,
        now: float,
        new_witnesses: frozenset[MemberId] = frozenset(),
    ) -> Entry | None:
        """Append what leads to exactly these voters and learners; None if that cannot be started now.

        One change at a time, none before the own no-op is committed (the single-server bug of 2015 applies to
        joint changes too), and none under which the lease would not hold.
        """
        current = self.membership
        in_progress = self._core.log.membership_index > self._core.commit_index or current.is_joint
        if not self.is_settled or in_progress or self.handing_over is not None or self._core.me not in voters:
            return None
        if not voters - current.witnesses - (new_witnesses - current.members):
            return None  # nobody would be left to host
        if voters == current.voters:
            target = current.with_learners(learners, new_witnesses)
        else:
            target = current.entering(voters, learners, new_witnesses)
            if self.lease.usable_until(target) <= now:
                return None
        return self._append(command, target)

    def leave_joint(self) -> None:
        """End a joint membership as soon as it is committed; the entry itself makes sure that it is done once."""
        if self.membership.is_joint and self._core.log.membership_index <= self._core.commit_index:
            self._append(b"", self.membership.leaving())

    def append_noop(self) -> None:
        """Append the own no-op, which commits what earlier terms left."""
        self._append(b"", None)

    def propose(self, command: bytes) -> Entry:
        """Append a command of the host."""
        return self._append(command, None)

    def _append(self, command: bytes, membership: Membership | None) -> Entry:
        core = self._core
        entry = Entry(LogIndex(core.log.last_index + 1), core.term, command, membership)
        core.append(entry)
        if membership is not None:
            self.replication.adopt(membership)
        return entry

    def host_has_stopped(self, now: float) -> None:
        """The server function has unwound: the release need not wait for the lease."""
        if self.handing_over is not None and self.handing_over.stopped:
            self._go_on_handing_over(self.handing_over, now)

    def _go_on_handing_over(self, handing: HandingOver, now: float) -> None:
        core = self._core
        progress = self.replication.progress.get(handing.target)
        if not handing.stopped:
            if progress is None or now >= handing.give_up_at:
                self.handing_over = None  # the tenure goes on as if nothing had been asked
                return
            if not progress.is_caught_up(core.log.last_index):
                return
            handing.stopped = True
            handing.give_up_at = now + core.timing.hand_over_s
            handing.release_at = self.lease.until(self.membership)
            core.end_tenure_for_hand_over()
        if not handing.released and now >= handing.give_up_at:
            core.step_down(now)  # there is no tenure to go back to: let an election find a host
            return
        if not handing.released:
            is_over = core.host_is_stopped or now >= handing.release_at
            if is_over and self.replication.match_index(handing.target) == core.log.last_index:
                handing.released = True
                handing.release_at = math.inf
                handing.give_up_at = now + 2 * core.timing.promise_s
                handing.repeat_at = now
            elif is_over:
                handing.release_at = math.inf
        if handing.released and now >= handing.repeat_at:
            core.send_now(handing.target, HandOver(core.term, Release(core.me, core.term)))
            handing.repeat_at = now + core.timing.repeat_min_s

    def _send_heartbeats(self, to: dict[MemberId, Progress], now: float) -> None:
        core = self._core
        round_ = self.lease.begin_round(now)
        asked = self.promise_s(now)
        for member, progress in to.items():
            commit = min(core.commit_index, progress.match_index)
            progress.commit_sent = max(progress.commit_sent, commit)
            core.send_now(member, Heartbeat(core.term, round_, asked, commit))
            patience = progress.heartbeat_round_trip.patience_s(core.timing.repeat_min_s)
            alive = self._is_alive(member, now) and progress.heartbeat_repeats < HEARTBEAT_REPEATS
            progress.heartbeat_due = now + patience if alive else math.inf
            progress.heartbeat_repeats += 1

    def _leave_hanging_disk(self, now: float) -> None:
        """A disk that hangs keeps this member from being of use: let one lead whose disk is ahead."""
        if self.handing_over is None and self._core.disk_hangs(now):
            target = self._furthest(
                [member for member in self.membership.voters if self._may_take_over(member, now)]
            )
            if target is not None and self.replication.match_index(target) > self._core.durable_index:
                self.begin_hand_over(target, now)

    def _furthest(self, members: Iterable[MemberId]) -> MemberId | None:
        return max(members, key=lambda member: (self.replication.match_index(member), member), default=None)

    def tend_voters(self, now: float) -> None:
        """Change the voters where the autopilot finds that something is to be gained."""
        membership, progress = self.membership, self.replication.progress
        leaving = {member for member, each in progress.items() if each.is_leaving}
        if not membership.learners and not leaving:
            return
        last_index = self._core.log.last_index
        ready = {m for m in membership.learners if self._is_alive(m, now) and progress[m].is_caught_up(last_index)}
        voters = autopilot.voters_wanted(membership, me=self._core.me, ready=ready, leaving=leaving)
        if voters is not None:
            self.change_voters(voters, membership.members - voters, b"", now)

    def _may_take_over(self, member: MemberId, now: float) -> bool:
        return (
            member != self._core.me
            and member not in self.membership.witnesses
            and self._is_alive(member, now)
            and not self._is_leaving(member)
        )

    def _is_leaving(self, member: MemberId) -> bool:
        progress = self.replication.progress.get(member)
        return progress is not None and progress.is_leaving

    def _is_alive(self, member: MemberId, now: float) -> bool:
        progress = self.replication.progress.get(member)
        return progress is not None and progress.heard_at > now - ALIVE_S
