"""Watches the changes of host from this member's place: who, since when, how long it took; and lost quorums."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from failover.clock import Clock
from failover.directory import Directory
from failover.events import Event, HostChanged, QuorumLost, QuorumRegained
from failover.ids import Epoch, MemberId, Term
from failover.raft.core import Core
from failover.raft.effects import StopReason
from failover.raft.messages import Release
from failover.raft.role import Role

TIMELINE_MAX = 8
HANDED_OVER_MS = 40.0
"""A host that fell silent for less than the shortest promise can only have handed over."""


def host_of(core: Core) -> MemberId | None:
    """Who hosts, as far as `core` knows: the leader, unless it is a witness, which leads for a moment only."""
    membership = core.log.membership
    return None if membership is not None and core.leader in membership.witnesses else core.leader


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the timeline: a change of host, as this member saw it."""

    at: float
    """On this member's clock."""
    event: HostChanged


class HostWatch:
    """Turns what the core shows, round by round, into events."""

    def __init__(self, core: Core, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._core = core
        self._clock = clock
        self._emit = emit
        self.host: MemberId | None = None
        self.term = Term(0)
        self._term_seen = core.term
        self._old_heard_at = clock()
        self._election_seen_at: float | None = None
        self._was_released = False
        """Whether the old host was known to have given its promises back when the election was seen."""
        self._own_end: StopReason | None = None
        """Why the last tenure of this member ended; None once another host began."""
        self._quorum_lost = False
        self.timeline: deque[Change] = deque(maxlen=TIMELINE_MAX)

    def look(self, now: float) -> None:
        """Called after each round."""
        core = self._core
        if core.term != self._term_seen or core.role in (Role.PRE_CANDIDATE, Role.CANDIDATE):
            self._term_seen = core.term
            self._see_election(now)
        elif core.leader is not None and core.term == self.term:
            self._election_seen_at = None
            self._old_heard_at = now if core.leader == core.me else core.leader_heard_at
        if core.standing.quorum_is_lost and not self._quorum_lost:
            self._quorum_lost = True
            voters = len(core.log.membership.voters) if core.log.membership else 0
            self._emit(QuorumLost(core.standing.reachable, voters))
        elif self._quorum_lost and host_of(core) is not None and not core.standing.quorum_is_lost:
            self._quorum_is_back()  # maybe with the same host in the same term: only this member was cut off

    def first_entry(self, directory: Directory, term: Term) -> None:
        """An entry of `term` was applied, with this directory: if the term is new, its leader is the new host."""
        host = host_of(self._core)
        if term <= self.term or host is None or term != self._core.term:
            return
        now = self._clock()
        first = self.term == 0 and self.host is None
        began = self._see_election(now)
        silence_ms = 0.0 if first else max(0.0, began - self._old_heard_at) * 1_000
        election_ms = (now - began) * 1_000
        reason = "founded" if first else "handed over" if self._was_handed_over(silence_ms) else "silent"
        self.host, self.term = host, term
        self._election_seen_at = self._own_end = None
        epoch, name = Epoch(directory.generation, term), directory.name_of(host)
        event = HostChanged(self.host, epoch, silence_ms, election_ms, reason, name)
        self.timeline.append(Change(now, event))
        if self._quorum_lost:
            self._quorum_is_back()
        self._emit(event)

    def _see_election(self, now: float) -> float:
        """There is one; returns since when. All of it may come in one round, to who was late."""
        if self._election_seen_at is None:
            self._election_seen_at = now
            old = None if self.host is None else Release(self.host, self.term)
            self._was_released = old is not None and not self._core.promise.is_made_to(old)
        return self._election_seen_at

    def tenure_ended(self, reason: str) -> None:
        """This member was host, and is no more."""
        self._own_end = StopReason(reason)

    def _was_handed_over(self, silence_ms: float) -> bool:
        # A former host knows; it heard itself to the end, so its own silence says nothing.
        if self._own_end is not None:
            return self._own_end == StopReason.HANDED_OVER
        # Who was asked for its vote knows, however late it was; others go by the silence.
        return self._was_released or silence_ms < HANDED_OVER_MS

    def _quorum_is_back(self) -> None:
        self._quorum_lost = False
        self._emit(QuorumRegained())
