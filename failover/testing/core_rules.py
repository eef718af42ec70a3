"""Shows the oracles of `promise_checkers` and `rule_checkers` what happens in a core simulation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from failover.ids import MemberId, Term
from failover.raft.effects import Effects
from failover.raft.membership import Membership
from failover.raft.messages import (
    AppendResponse,
    HandOver,
    HeartbeatResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    VoteRequest,
    VoteResponse,
)
from failover.raft.timing import Timing
from failover.testing.checkers import Violation
from failover.testing.promise_checkers import PromisesKept
from failover.testing.rule_checkers import OrderOfMemberships, OwnTermCommits, Reads, Sizes, stored_before_said

if TYPE_CHECKING:
    from failover.testing.simulated_member import SimulatedMember

ELECTORAL = (HandOver, HeartbeatResponse, PreVoteRequest, PreVoteResponse, VoteRequest, VoteResponse)
ANSWERS = (AppendResponse, HeartbeatResponse, VoteResponse)
LOOK_AT_SIZES_EVERY = 97
"""Rounds. Looking takes about as long as a round."""


class CoreRules:
    """All rules of one run."""

    def __init__(self, members: dict[MemberId, SimulatedMember], founding: Membership, timing: Timing) -> None:
        self._members = members
        self.promises = PromisesKept()
        self.own_term = OwnTermCommits()
        self.memberships = OrderOfMemberships(founding)
        self.reads = Reads()
        self.sizes = Sizes(timing, members_max=9)
        self._rounds = 0
        self._leases: dict[MemberId, tuple[Term, float, Membership]] = {}

    def decides(self, member: SimulatedMember, effects: Effects, now: float) -> None:
        """`member` decides on these effects at true time `now`."""
        self._promises(member, effects.messages_now, now)
        self._promises(member, effects.messages_after_store, now)
        if effects.apply:
            self.memberships.applied(effects.apply)
        if effects.install_snapshot is not None:
            self.memberships.snapshot(member.me, effects.install_snapshot)
        if effects.take_snapshot:
            self._takes_snapshot(member)
        core = member.core
        if core.leadership is not None:
            at = core.log.term_at(core.commit_index)
            self.own_term.leads(member.me, member.life, core.term, core.commit_index, at)
            if core.tenure is not None:
                self._lease(member)
        self._rounds += 1
        if self._rounds % LOOK_AT_SIZES_EVERY == 0:
            self.sizes.look_at(member.me, core)

    def sends(self, member: SimulatedMember, to: MemberId, message: Message) -> None:
        """`member` puts a message on the network."""
        if isinstance(message, ANSWERS):
            stored_before_said(member.me, to, message, member.disk.hard_state)
            if isinstance(message, AppendResponse) and message.success:
                self._matches(member, self._members[to], message)

    def _matches(self, member: SimulatedMember, leader: SimulatedMember, message: AppendResponse) -> None:
        """What a follower says to hold of its leader's log is on its disk (Raft, figure 3: log matching)."""
        core = leader.core
        if not leader.alive or core.leadership is None or core.term != message.term:
            return
        term = core.log.term_at(message.index)
        if term is not None and not member.disk.holds(message.index, term):
            raise Violation(f"{member.me!r} says to {leader.me!r} that it holds {message.index} of term {term}")

    def _promises(self, member: SimulatedMember, messages: Iterable[tuple[MemberId, Message]], now: float) -> None:
        for to, message in messages:
            if isinstance(message, ELECTORAL):
                self.promises.decides(
                    member.me, member.life, to, message, now, lambda seconds: now + seconds / member.rate
                )
                if isinstance(message, HandOver):
                    self._hands_over(member, to)

    def _hands_over(self, member: SimulatedMember, to: MemberId) -> None:
        log, disk = member.core.log, self._members[to].disk
        if disk.hard_state.term > member.core.term:
            return  # somebody leads there already, and may have replaced what it held
        if not disk.holds(log.last_index, log.last_term):
            raise Violation(f"{member.me!r} hands over to {to!r}, which does not hold {log.last_index}")

    def _takes_snapshot(self, member: SimulatedMember) -> None:
        core = member.core
        index = core.applied_index
        term = core.log.term_at(index)
        if term is None or not member.disk.holds(index, term):
            raise Violation(f"{member.me!r} takes a snapshot at {index}, which is not durable here")

    def _lease(self, member: SimulatedMember) -> None:
        core = member.core
        membership = core.log.membership
        assert membership is not None
        until = core.lease_until
        known = self._leases.get(member.me)
        if known is not None and known[:2] == (core.term, until) and known[2] is membership:
            return
        self._leases[member.me] = (core.term, until, membership)
        ends = member.true_time(until) if until < math.inf else math.inf
        lives = {me: each.life for me, each in self._members.items()}
        self.promises.leases(member.me, core.term, ends, membership, lives)
