"""Who is what: voters, learners, witnesses, and the change in progress.

A membership is in force from the moment its entry is appended (Raft, 6). Voters change only through a joint
membership, whatever the change, so that one rule covers them all: decisions need a majority of `voters` and,
while `outgoing` is not empty, a majority of `outgoing` too.

A witness holds the log but runs no application. A member is one from the entry that admits it to the entry that
removes it, so that every membership in which it stands says so: no member ever becomes a witness, or ceases to be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

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
    witnesses: frozenset[MemberId] = frozenset()
    """Members without the application, whatever else they are: they may vote and never host."""

    def __post_init__(self) -> None:
        assert self.voters, "a cluster has at least one voter"
        assert not self.learners & (self.voters | self.outgoing)
        assert self.learners_next <= self.outgoing - self.voters
        assert self.witnesses <= self.members
        assert self.voters - self.witnesses, "a voter that may host"

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

    @property
    def voters_that_may_host(self) -> frozenset[MemberId]:
        """The voters that run the application."""
        return self.voters - self.witnesses

    def halves(self) -> tuple[frozenset[MemberId], ...]:
        """The sets of which each must agree by majority: one, or two while joint."""
        return (self.voters, self.outgoing) if self.outgoing else (self.voters,)

    def has_quorum(self, agreeing: Collection[MemberId]) -> bool:
        """Whether the members in `agreeing` are a majority of every half."""
        return all(quorum.is_majority(half, agreeing) for half in self.halves())

    def can_reach_quorum(self, refusing: Collection[MemberId]) -> bool:
        """Whether a quorum remains possible once all in `refusing` have said no."""
        return all(quorum.is_majority(half, half - set(refusing)) for half in self.halves())

    def survivable(self, here: Collection[MemberId]) -> int:
        """How many more failures a quorum survives, if those that are `here` are all that there are."""
        return min(quorum.survivable(half, here) for half in self.halves())

    def agreed(self, value_of: Callable[[MemberId], float]) -> float:
        """The largest value that a quorum has reached: the minimum over the halves."""
        agreed = quorum.majority_value(map(value_of, self.voters))
        return min(agreed, quorum.majority_value(map(value_of, self.outgoing))) if self.outgoing else agreed

    def with_learners(
        self, learners: Collection[MemberId], new_witnesses: Collection[MemberId] = frozenset()
    ) -> Membership:
        """This membership with exactly these learners; the quorums stay as they are.

        Args:
            learners: all of them afterwards; disjoint from `voters`.
            new_witnesses: who of the newcomers is one; for all others that is settled.
        """
        assert not self.is_joint
        new_learners = frozenset(learners)
        witnesses = self._witnesses_among(self.voters | new_learners, new_witnesses)
        return Membership(voters=self.voters, learners=new_learners, witnesses=witnesses)

    def entering(
        self,
        voters: Collection[MemberId],
        learners: Collection[MemberId],
        new_witnesses: Collection[MemberId] = frozenset(),
    ) -> Membership:
        """The joint membership on the way from this one to exactly these voters and learners."""
        assert not self.is_joint
        new_voters, new_learners = frozenset(voters), frozenset(learners)
        return Membership(
            voters=new_voters,
            outgoing=self.voters,
            learners=new_learners - self.voters,
            learners_next=new_learners & self.voters,
            witnesses=self._witnesses_among(new_voters | new_learners | self.voters, new_witnesses),
        )

    def leaving(self) -> Membership:
        """The membership that ends a joint one."""
        assert self.is_joint
        learners = self.learners | self.learners_next
        return Membership(
            voters=self.voters, learners=learners, witnesses=self._witnesses_among(self.voters | learners)
        )

    def _witnesses_among(
        self, members: frozenset[MemberId], new: Collection[MemberId] = frozenset()
    ) -> frozenset[MemberId]:
        return (self.witnesses | (frozenset(new) - self.members)) & members
