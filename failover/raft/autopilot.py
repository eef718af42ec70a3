"""Who should vote: a pure decision of the leader, from the membership and what it sees of the members.

    up to 5 of the fittest members that are there, an odd number; two both vote; a witness makes three of two
    a voter that is gone, or about to close, gives its vote to a warm member
    a voter that is gone loses it also where that lets the others survive more failures
    all others are warm, and nobody is ever removed

What the others survive is counted among those that are there: a set of n voters of whom p are there goes on after
p - majority(n) failures. No decision makes that number smaller, and each makes something better, so that they end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from failover.ids import MemberId
from failover.raft.membership import Membership
from failover.raft.messages import UNKNOWN_HINT
from failover.raft.quorum import survivable
from failover.raft.ranking import Seen

VOTERS_MAX = 5
"""More voters make every commit wait for more disks, and survive what games do not live to see."""
Swap = tuple[MemberId, MemberId]
"""A voter, and the warm member that takes its place."""


def voters_wanted(
    membership: Membership, *, me: MemberId, seen: Mapping[MemberId, Seen], swap: Swap | None = None
) -> frozenset[MemberId] | None:
    """Return the voters to change to, None if all is well.

    Args:
        membership: the one in force.
        me: the leader, which stays a voter: it hands over before it leaves.
        seen: every member, the leader included.
        swap: a voter and a learner that has been clearly fitter for long enough, if there are such two.
    """
    if membership.is_joint or _may_hand_over(membership, me, seen):
        return None
    present = {voter for voter in membership.voters if voter == me or not _is_away(seen[voter])}
    spare = {learner for learner in membership.learners if seen[learner].is_steady and not _is_away(seen[learner])}
    here = _in_order(present | spare, present, me, seen)
    size = _size(here, seen, at_most=max(VOTERS_MAX, len(present)))
    wanted = frozenset(here[:size])
    if size == 2:  # a third vote costs nothing, and is worth something as soon as its owner is back
        gone = {voter for voter in membership.voters - present if not seen[voter].is_leaving}
        wanted |= frozenset(_in_order(gone, gone, me, seen)[:1])
    if all(seen[voter].is_witness for voter in wanted):
        return None
    if _worth(wanted, here, seen) > _worth(membership.voters, here, seen):
        return wanted
    if swap is not None and swap[0] in present - {me} and swap[1] in spare:
        return membership.voters - {swap[0]} | {swap[1]}
    return None


def fitness_swap(
    membership: Membership, *, me: MemberId, seen: Mapping[MemberId, Seen], margin: int
) -> Swap | None:
    """The least fit voter and the fittest warm member, where the difference is worth a change of voters."""
    voters = _known(membership.voters - {me}, seen)
    learners = [each for each in _known(membership.learners, seen) if not each.stands_last]
    if membership.is_joint or not voters or not learners:
        return None
    worst = min(voters, key=lambda each: each.hint)
    best = max(learners, key=lambda each: each.hint)
    return (worst.member, best.member) if best.hint >= worst.hint + margin else None


def fitter_host(
    membership: Membership, *, me: MemberId, seen: Mapping[MemberId, Seen], margin: int
) -> MemberId | None:
    """The voter that would be a better host than this healthy one, by so much that a change is worth it."""
    voters = [each for each in _known(membership.voters - {me}, seen) if not each.stands_last]
    best = max(voters, key=lambda each: each.hint, default=None)
    mine = seen[me].hint
    if membership.is_joint or best is None or mine == UNKNOWN_HINT or best.hint < mine + margin:
        return None
    return best.member


def _known(members: Iterable[MemberId], seen: Mapping[MemberId, Seen]) -> list[Seen]:
    """Those that are well, might host, and said how fit they are."""
    each = [seen[member] for member in sorted(members)]
    return [s for s in each if s.hint != UNKNOWN_HINT and s.is_steady and not s.is_witness and not _is_away(s)]


def _may_hand_over(membership: Membership, me: MemberId, seen: Mapping[MemberId, Seen]) -> bool:
    """Whether this leader is a witness with a player to hand over to, who shall decide."""
    others = (seen[voter] for voter in membership.voters)
    return seen[me].is_witness and any(
        each.is_ready and not each.is_witness and not _is_away(each) for each in others
    )


def _is_away(each: Seen) -> bool:
    return each.is_gone or each.is_leaving


def _size(here: Collection[MemberId], seen: Mapping[MemberId, Seen], *, at_most: int) -> int:
    """How many of those who are here should vote."""
    witnesses = sum(seen[member].is_witness for member in here)
    if len(here) >= 3:
        return min(len(here), at_most) - 1 | 1  # the largest odd number up to that
    return max(1, len(here) - witnesses)


def _in_order(
    members: Iterable[MemberId], voters: Collection[MemberId], me: MemberId, seen: Mapping[MemberId, Seen]
) -> list[MemberId]:
    """Whom to give a vote first: the leader, who has one already, the fitter."""

    def place(member: MemberId) -> tuple[bool, bool, bool, bool, bool, int, MemberId]:
        each = seen[member]
        is_new = member not in voters
        return member != me, each.is_witness, is_new, not each.is_ready, each.stands_last, -each.hint, member

    return sorted(members, key=place)


def _worth(
    voters: frozenset[MemberId], here: Collection[MemberId], seen: Mapping[MemberId, Seen]
) -> tuple[int, int, bool, int, int]:
    """What a set of voters is good for, the most important first."""
    there = [voter for voter in voters if voter in here]
    return (
        -sum(seen[voter].is_leaving for voter in voters),
        survivable(voters, here),
        # Four survive one failure, as three do, and wait for one more; a player and a witness need each other.
        len(voters) % 2 == 1 or (len(voters) == 2 and not any(seen[voter].is_witness for voter in voters)),
        sum(not seen[voter].is_witness for voter in there),
        len(there),
    )
