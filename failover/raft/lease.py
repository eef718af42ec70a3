"""Promises and the lease: our own rules, by which at most one tenure runs at any instant.

A heartbeat asks its receiver for a promise of P seconds: to help nobody else to lead, itself included. The
leader holds a lease while a quorum's promises, cut to LEASE_FRACTION for the drift of clocks, are running.
A new leader needs votes of a quorum, every two quorums share a member, and that member votes only after its
promise has ended; so the old lease is over before a new leader can be elected. (Compare Raft, section 8, on
leases, and Gray and Cheriton 1989.)
"""

from __future__ import annotations

import math

from failover.ids import MemberId
from failover.raft.membership import Membership
from failover.raft.messages import Release
from failover.raft.timing import LEASE_FRACTION, Timing

ROUNDS_KEPT = 256
"""Heartbeats whose sending time is remembered; an answer to an older one renews nothing."""


class Promise:
    """What this member has promised, in whatever role it is."""

    def __init__(self, ceiling_s: float, restarted_at: float) -> None:
        self.ceiling_s = ceiling_s
        """Durable: no promise was or will be longer before a higher ceiling is durable."""
        self.ceiling_written_s = ceiling_s
        """The ceiling as it is being made durable."""
        self._restart_until = restarted_at + ceiling_s
        """A restarted member does not know what it promised before: it waits out the most that it can be."""
        self.unwinding_until = -math.inf
        """After a tenure of this member's own: the end of that lease, until its server function has unwound.

        The leader's own word is part of the quorum that its lease rests on. Who stops leading with time left on
        the lease (a higher term, a resignation) would else help another to host while its own function unwinds.
        """
        self._until: dict[Release, float] = {}

    def grant(self, holder: Release, asked_s: float, now: float) -> float:
        """Promise to `holder` as much of `asked_s` as the durable ceiling allows; returns that."""
        granted = min(asked_s, self.ceiling_s)
        if len(self._until) > 1:
            self._until = {key: until for key, until in self._until.items() if until > now}
        self._until[holder] = max(self._until.get(holder, 0.0), now + granted)
        return granted

    def void(self, release: Release) -> None:
        """Forget what was promised to this leader in this term: it said itself that its tenure is over.

        For good, and not only for the request that brought the word: else whoever took over could not hand on
        before the promises to its predecessor have ended.
        """
        self._until.pop(release, None)

    def is_made_to(self, holder: Release) -> bool:
        """Whether there was one in its term that it did not give back; it may be over."""
        return holder in self._until

    def until(self) -> float:
        """When the last promise ends."""
        return max(self._restart_until, max(self._until.values(), default=-math.inf))

    def bars_until(self) -> float:
        """Until when this member may help nobody, itself included."""
        return max(self.until(), self.unwinding_until)

    def raise_ceiling(self, asked_s: float, max_s: float) -> bool:
        """Double the ceiling until `asked_s` can be granted; returns whether a new one is to be made durable."""
        is_under_way = self.ceiling_written_s > self.ceiling_s
        if is_under_way or asked_s <= self.ceiling_s or self.ceiling_s >= max_s:
            return False
        while self.ceiling_written_s < min(asked_s, max_s):
            self.ceiling_written_s *= 2
        self.ceiling_written_s = min(self.ceiling_written_s, max_s)
        return True

    def ceiling_is_durable(self) -> None:
        """The ceiling that was written may be used."""
        self.ceiling_s = self.ceiling_written_s


class Lease:
    """What the others have promised to this leader, in this term."""

    def __init__(self, me: MemberId, timing: Timing, first_due: float) -> None:
        self._me = me
        self._margin_s = timing.margin_s
        self.round = 0
        """The newest round of heartbeats."""
        self._sent: dict[int, float] = {}
        self._backed_until: dict[MemberId, float] = {}
        self._reached: dict[MemberId, float] = {}
        """When the newest heartbeat was sent that the member has answered."""
        self._first_due = first_due
        """A leader that has no lease by then steps down."""
        self._held = False
        self._known: tuple[Membership, float] | None = None
        """The last result of `until`: it is asked for at every input, and changes with an answer only."""

    def begin_round(self, now: float) -> int:
        """Note that heartbeats of a new round leave now; returns its number."""
        self.round += 1
        self._sent[self.round] = now
        self._sent.pop(self.round - ROUNDS_KEPT, None)
        return self.round

    def answered(self, member: MemberId, round_: int, granted_s: float) -> float | None:
        """Count a granted promise; returns when its heartbeat was sent, None if it is too old to count.

        The lease is counted from the sending, never from the answer: the promise began somewhere in between.
        """
        sent = self._sent.get(round_)
        if sent is not None and granted_s > 0:
            until = sent + LEASE_FRACTION * granted_s
            self._backed_until[member] = max(self._backed_until.get(member, -math.inf), until)
            self._reached[member] = max(self._reached.get(member, -math.inf), sent)
            self._known = None
        return sent

    def until(self, membership: Membership) -> float:
        """When the lease ends under `membership`.

        The leader counts itself without limit: it helps nobody while it leads, and whatever ends its leading
        ends its tenure in the same step.
        """
        if self._known is None or self._known[0] is not membership:
            self._known = (membership, membership.agreed(self._backing))
        return self._known[1]

    def reached(self, membership: Membership) -> float:
        """When the newest heartbeat was sent that a quorum has answered; infinite where the leader is one."""
        return membership.agreed(
            lambda member: math.inf if member == self._me else self._reached.get(member, -math.inf)
        )

    def usable_until(self, membership: Membership) -> float:
        """When the host must have stopped: a margin before the lease ends."""
        return self.until(membership) - self._margin_s

    def lost_at(self, membership: Membership, now: float) -> float:
        """When this leader must step down unless promises come in. Asked at every input, so not in small steps."""
        known = self._known
        until = known[1] if known is not None and known[0] is membership else self.until(membership)
        usable = until - self._margin_s
        if self._held:
            return usable
        self._held = usable > now
        return usable if self._held else max(usable, self._first_due)

    def _backing(self, member: MemberId) -> float:
        return math.inf if member == self._me else self._backed_until.get(member, -math.inf)
