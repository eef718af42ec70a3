"""Oracles for promises and leases: whether they are kept, and whether what a leader relies on was promised at all.

They keep their own books in true time, from what members decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from failover.ids import MemberId, Term
from failover.raft.membership import Membership
from failover.raft.messages import (
    HandOver,
    HeartbeatResponse,
    Message,
    PreVoteRequest,
    PreVoteResponse,
    Release,
    VoteRequest,
    VoteResponse,
)
from failover.testing.checkers import Violation, quorum_of

FASTEST_CLOCK = 1.1
"""Of what clocks may do: a promise of P seconds lasts P / 1.1 of true time at the least."""
ROUNDING_S = 1e-6
"""Clocks that have run for weeks show no less."""


@dataclass(slots=True)
class _Promise:
    ends: float
    """True time by the clock of the member in the life in which it promised."""
    life: int
    ends_after_restart: float
    """The same for a member that was restarted since, and has another clock: the earliest that it can be."""

    def ends_in(self, life: int) -> float:
        return self.ends if life == self.life else min(self.ends, self.ends_after_restart)


class PromisesKept:
    """Who has promised helps nobody to lead, itself included, unless the holder has released it; and a lease ends
    before the promises of a quorum do (design: promises and lease).
    """

    def __init__(self) -> None:
        self._made: dict[MemberId, dict[Release, _Promise]] = defaultdict(dict)
        self._released: set[Release] = set()

    def decides(
        self,
        member: MemberId,
        life: int,
        to: MemberId,
        message: Message,
        now: float,
        true_after: Callable[[float], float],
    ) -> None:
        """`member` decides to send `message` at true time `now`.

        Args:
            member: who decides.
            life: counts its restarts.
            to: the receiver.
            message: of any kind.
            now: true time.
            true_after: the true time when so many seconds have passed on the member's clock.
        """
        match message:
            case HeartbeatResponse() if message.promise_s > 0:
                holder = Release(to, message.term)
                made = _Promise(true_after(message.promise_s), life, now + message.promise_s / FASTEST_CLOCK)
                known = self._made[member].get(holder)
                if known is None or known.ends_in(life) < made.ends:
                    self._made[member][holder] = made
            case HandOver():
                self._released.add(message.release)
            case PreVoteRequest():
                self._is_free(member, life, now, f"asks for pre-votes for term {message.term}")
            case PreVoteResponse() if message.granted:
                self._is_free(member, life, now, f"gives {to!r} a pre-vote for term {message.request_term}")
            case VoteRequest():
                if message.release is not None and message.release not in self._released:
                    raise Violation(f"{member!r} stands with {message.release}, which was never given")
                self._is_free(member, life, now, f"stands in term {message.term}")
            case VoteResponse() if message.granted:
                given = Release(to, message.request_term)  # asked again, late: it leads that term already
                self._is_free(member, life, now, f"votes for {to!r} in term {message.request_term}", given)

    def _is_free(self, member: MemberId, life: int, now: float, does: str, given: Release | None = None) -> None:
        made = self._made.get(member)
        if not made:
            return
        for holder, promise in list(made.items()):
            if promise.ends_in(life) <= now + ROUNDING_S:
                del made[holder]
            elif holder != given and holder not in self._released:
                raise Violation(f"{member!r} {does} at {now:.6f}, promised to {holder} {promise.ends:.6f}")

    def leases(
        self, leader: MemberId, term: Term, ends: float, membership: Membership, lives: dict[MemberId, int]
    ) -> None:
        """`leader` takes its lease to last until true time `ends`: a quorum must have promised that."""
        holder = Release(leader, term)
        backing = {leader}
        for voter in membership.voters | membership.outgoing:
            promise = self._made[voter].get(holder)
            if promise is not None and promise.ends_in(lives[voter]) >= ends - ROUNDING_S:
                backing.add(voter)
        if not quorum_of(membership, backing):
            raise Violation(f"{leader!r} leads term {term} until {ends:.6f} by the word of {sorted(backing)} only")
