"""The leader's role: one object per term led, gone with the role, so that nothing of it can act later.

Leading is not hosting. A tenure begins only when the leader's own no-op is committed and applied, the lease is
held, and no earlier server function of this member still runs; it ends for good with the first doubt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from failover.ids import LogIndex, MemberId
from failover.raft.handing_over import HandingOver, Succession
from failover.raft.lease import Lease
from failover.raft.measure import MissedRounds
from failover.raft.membership import Membership
from failover.raft.messages import AppendResponse, Entry, Heartbeat, HeartbeatResponse
from failover.raft.progress import Progress
from failover.raft.reads import Reads
from failover.raft.replication import Replication
from failover.raft.stagnation import Stagnation
from failover.raft.tending import Tending
from failover.raft.timing import LEASE_FRACTION

if TYPE_CHECKING:
    from failover.raft.core import Core

HEARTBEAT_REPEATS = 4
"""How often an unanswered heartbeat is sent before the next round."""
MISSED_HALF_LIFE_S = 60.0
MISSED_RISK = 1e-8
"""Of losing the lease in any one round because heartbeats or answers are lost: with ten to thirty rounds a second,
once in a thousand hours or more, if losses are independent."""
BULK_BYTES = 512 * 1024
BULK_ENTRIES = 500
"""Where more than either waits to be committed, or a snapshot is being sent, everybody is busy ..."""
BULK_DELAY_S = 0.060
"""... and answers later, before the measured delays say so: of a burst of 16 MiB, taken in by three members and a
newcomer on two processors, one in fifteen cost the lease. A crash meanwhile is noticed so much later."""
DELAY_HEADROOM = 2
"""A quorum may take so many times longer than the longest time seen lately, before the lease is lost."""


class Leadership:
    """What a leader knows and does in its one term."""

    def __init__(self, core: Core, now: float) -> None:
        self._core = core
        self._missed = MissedRounds(MISSED_HALF_LIFE_S, MISSED_RISK)
        self.replication = Replication(core)
        self.lease = Lease(core.me, core.timing, now + self.promise_s(now))
        self.tending = Tending(core, self, now)
        self.first_index = LogIndex(core.log.last_index + 1)
        """The own no-op: before it is committed nothing of earlier terms is known to be (Raft, 5.4.2 and 8)."""
        self.has_hosted = False
        self.is_witness = core.is_witness
        """Whether this leader has no application: it only brings another up to date, and hands over."""
        self.succession = Succession(core, self, now)
        self.reads = Reads(core, self)
        self.stagnation = Stagnation(core, self, now)
        self._next_round = now
        self._knew_of_bulk = False
        """Whether the newest heartbeats asked for what a busy cluster needs."""

    @property
    def membership(self) -> Membership:
        """The membership in force."""
        membership = self._core.log.membership
        assert membership is not None
        return membership

    @property
    def handing_over(self) -> HandingOver | None:
        """The hand-over under way."""
        return self.succession.under_way

    @property
    def has_released(self) -> bool:
        """Whether the promises made to this leader in this term are void."""
        return self.succession.has_released

    @property
    def is_settled(self) -> bool:
        """Whether the own no-op is committed."""
        return self._core.commit_index >= self.first_index

    @property
    def is_outgoing(self) -> bool:
        """Whether this leader has no vote any more: it won in a joint membership that takes its vote away."""
        membership = self.membership
        return self._core.me not in membership.voters and not membership.is_joint

    @property
    def is_changing(self) -> bool:
        """Whether a change of membership is in progress."""
        return self._core.log.membership_index > self._core.commit_index or self.membership.is_joint

    def lost_at(self, now: float) -> float:
        """When this leader must step down unless more promises come in."""
        handing = self.succession.under_way
        if handing is not None and handing.released:
            return handing.give_up_at
        return self.lease.lost_at(self.membership, now)

    def may_host(self, now: float) -> bool:
        """Whether a tenure may begin now, as far as the leader's role goes."""
        return (
            not self.has_hosted
            and not self.is_witness
            and self._core.me in self.membership.all_voters
            and self.handing_over is None
            and self._core.applied_index >= self.first_index
            and self.lease.usable_until(self.membership) > now
        )

    @property
    def deadline(self) -> float:
        """When `tick` has something to do (stepping down is the core's to watch)."""
        due = min(self.replication.deadline, self.succession.deadline)
        if self.has_released:
            return due  # heartbeats have ended
        return min(due, self._next_round, *[each.heartbeat_due for each in self.replication.progress.values()])

    def tick(self, now: float) -> None:
        """Send what is due."""
        if self.stagnation.is_hopeless(now):
            self.stagnation.make_way(now)
            return
        self.replication.tick(now)
        self.succession.consider(now)
        if self.has_released:
            return  # no new promises: the others shall be free for the target, or for an election
        if now >= self._next_round:
            # Anchored to the schedule, not to the wake-up, but never in a burst after a stall.
            self._next_round = max(self._next_round + self._core.timing.heartbeat_s, now)
            if self._next_round <= now:
                self._next_round = now + self._core.timing.heartbeat_s
            self.tending.look(now)
            for progress in self.replication.progress.values():
                progress.heartbeat_repeats = 0
            self._send_heartbeats(self.replication.progress, now)
            return
        unanswered = {m: p for m, p in self.replication.progress.items() if p.heartbeat_due <= now}
        if unanswered:
            self._send_heartbeats(unanswered, now)

    def conclude(self, now: float) -> None:
        """Once a round: decide what follows from all that came in, then send what there is to send."""
        if self.membership.is_joint:
            self.leave_joint()
        self.tending.look(now)
        if self.succession.under_way is not None or self.is_witness or self.is_outgoing:
            self.succession.go_on(now)
        if self._core.leadership is not self:
            return  # it has just given up
        self.reads.confirm()
        if self.reads.needs_round() or self._begins_bulk():
            self._send_heartbeats(self.replication.progress, now)
        self.replication.flush(now)

    def heartbeat_answered(self, sender: MemberId, message: HeartbeatResponse, now: float) -> None:
        """Count a promise towards the lease."""
        progress = self.replication.progress.get(sender)
        if progress is None:
            return
        progress.heartbeat_due, progress.heartbeat_repeats = math.inf, 0
        self.tending.heard(progress, message)
        progress.log_reaches = message.last_log_index
        before = self.lease.until(self.membership)
        self.reads.heard(sender, message.round)
        sent = self.lease.answered(sender, message.round, message.promise_s)
        if sent is not None:
            progress.heartbeat_round_trip.add(now - sent)
            self._missed.reached(self.lease.reached(self.membership), self._core.timing.heartbeat_s)
        progress.is_alive_again(now)
        self._core.standing.suspicion.end(sender, now)
        if sent is not None and self.lease.until(self.membership) > before:
            self._core.quorum_delay.add(now - sent, now)

    def append_answered(self, sender: MemberId, message: AppendResponse, now: float) -> None:
        """Take in how far a log has come."""
        self.replication.answered(sender, message, now)

    def promise_s(self, now: float) -> float:
        """How long a promise to ask for: it must outlast as many heartbeats as may be lost in a row, the answer
        to the next one, a late pump and the margin; or a delay like one that a leader was given up for."""
        is_busy = self._has_bulk() or self.replication.is_sending_snapshot(now)
        delay_s = self._measured_delay_s(now) + (BULK_DELAY_S if is_busy else 0.0)
        return self._promise_against(max(delay_s, self._core.standing.suspicion.to_outlast_s(now)))

    def _has_bulk(self) -> bool:
        core = self._core
        is_long = core.log.last_index - core.commit_index > BULK_ENTRIES
        return is_long or core.applying.uncommitted_bytes > BULK_BYTES

    def _begins_bulk(self) -> bool:
        """Whether much was appended that the running promises know nothing of: a heartbeat goes ahead of it, since
        the next one would come late, and find everybody busy."""
        return not self._knew_of_bulk and not self.has_released and self._has_bulk()

    def _measured_delay_s(self, now: float) -> float:
        core = self._core
        heartbeats_s = self._missed.to_allow_for() * core.timing.heartbeat_s
        return heartbeats_s + DELAY_HEADROOM * core.quorum_delay.value(now) + core.lateness.value(now)

    def _promise_against(self, delay_s: float) -> float:
        timing = self._core.timing
        return min(max(timing.promise_s, (delay_s + timing.margin_s) / LEASE_FRACTION), timing.promise_max_s)

    def lease_ran_out(self, now: float) -> None:
        """No quorum answered in time. How long it would have taken is not known: ask for more the next time.

        Answers after the end of the lease are not counted, so without this the measured delays would never
        exceed what the promises allow for.
        """
        self.succession.lost(now)
        if not self.has_released:
            self._core.standing.suspicion.begin(self._core.me, self.lease.reached(self.membership))
            promise_s = self._promise_against(self._measured_delay_s(now))  # what was learned is no measurement
            self._core.quorum_delay.add(LEASE_FRACTION * promise_s / DELAY_HEADROOM, now)

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
        if not self.is_settled or self.is_changing or self.handing_over is not None or self._core.me not in voters:
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
            core.watch_lease()
        return entry

    def _send_heartbeats(self, to: dict[MemberId, Progress], now: float) -> None:
        core = self._core
        round_ = self.lease.begin_round(now)
        asked = self.promise_s(now)
        if to is self.replication.progress:  # one who is asked again is not everybody
            self._knew_of_bulk = self._has_bulk()
        for member, progress in to.items():
            commit = min(core.commit_index, progress.match_index)
            progress.commit_sent = max(progress.commit_sent, commit)
            core.send_now(member, Heartbeat(core.term, round_, asked, commit, self.tending.ranking.rank(member)))
            patience = progress.heartbeat_round_trip.patience_s(core.timing.repeat_min_s)
            alive = progress.is_alive(now) and progress.heartbeat_repeats < HEARTBEAT_REPEATS
            progress.heartbeat_due = now + patience if alive else math.inf
            progress.heartbeat_repeats += 1
