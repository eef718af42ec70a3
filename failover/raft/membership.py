"""Who is what: voters, learners, and the change in progress.

A membership is in force from the moment its entry is appended (Raft, 6). Voters change only through a joint
membership, whatever the change, so that one rule covers them all: decisions need a majority of `voters` and,
while `outgoing` is not empty, a majority of `outgoing` too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from failover.ids import MemberId
from failover.raft import quorum


@dataclass(frozen=True, slots=True)
class Membership:
    """An immutable picture of who is what."""

    voters: frozenset[MemberId]
    """Count for quorum. While joint: the incoming ones."""
    outgoing: frozenset[MemberId] = frozenset()
    """While joint: the voters before the change; else empty."""
    learners: frozenset[MemberId] = frozenset()
    """Receive the log and count in nothing. Disjoint from `voters` and `outgoing`."""
    learners_next: frozenset[MemberId] = frozenset()
    """While joint: outgoing voters that become learners when the change ends."""

    def __post_init__(self) -> None:
        assert self.voters, "a cluster has at least one voter"
        assert not self.learners & (self.voters | self.outgoing)
        assert self.learners_next <= self.outgoing - self.voters

    @property
    def is_joint(self) -> bool:
        """Whether a change of voters is in progress."""
        return bool(self.outgoing)

    @property
    def all_voters(self) -> frozenset[MemberId]:
        """Everybody whose vote counts in either half."""
        return self.voters | self.outgoing

    @property
    def members(self) -> frozenset[MemberId]:
        """Everybody who receives the log."""
        return self.voters | self.outgoing | self.learners

    def halves(self) -> tuple[frozenset[MemberId], ...]:
        """The sets of which each must agree by majority: one, or two while joint."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)

    def has_quorum(self, agreeing: Collection[MemberId]) -> bool:
        """Whether the members in `agreeing` are a majority of every half."""
        return all(quorum.is_majority(half, agreeing) for half in self.halves())

    def can_reach_quorum(self, refusing: Collection[MemberId]) -> bool:
        """Whether a quorum remains possible once all in `refusing` have said no."""
        return all(quorum.is_majority(half, half - set(refusing)) for half in self.halves())

    def agreed(self, value_of: Callable[[MemberId], float]) -> float:
        """The largest value that a quorum has reached: the minimum over the halves."""
        return min(quorum.majority_value(map(value_of, half)) for half in self.halves())

    def with_learner(self, member: MemberId) -> Membership:
        """This membership and one learner more; the quorums stay as they are."""
        assert not self.is_joint and member not in self.members
        return replace(self, learners=self.learners | {member})

    def without_learner(self, member: MemberId) -> Membership:
        """This membership without one of its learners."""
        assert not self.is_joint and member in self.learners
        return replace(self, learners=self.learners - {member})

    def entering(self, voters: Collection[MemberId], learners: Collection[MemberId]) -> Membership:
        """The joint membership on the way from this one to exactly these voters and learners."""
        assert not self.is_joint
        new_voters, new_learners = frozenset(voters), frozenset(learners)
        return Membership(
            voters=new_voters,
            outgoing=self.voters,
            learners=new_learners - self.voters,
            learners_next=new_learners & self.voters,
        )

    def leaving(self) -> Membership:
        """The membership that ends a joint one."""
        assert self.is_joint
        return Membership(voters=self.voters, learners=self.learners | self.learners_next)
