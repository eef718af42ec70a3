"""Who should vote: a pure decision of the leader, from the membership and what it knows of its members.

For now: every learner that has caught up becomes a voter, up to VOTERS_MAX; a voter that is about to close gives
up its vote, so that those who stay need no majority with it. Nobody is removed here, ever.
"""

from __future__ import annotations

from collections.abc import Collection

from failover.ids import MemberId
from failover.raft.membership import Membership

VOTERS_MAX = 5


def voters_wanted(
    membership: Membership, *, me: MemberId, ready: Collection[MemberId], leaving: Collection[MemberId]
) -> frozenset[MemberId] | None:
    """Return the voters to change to, None if all is well.

    Args:
        membership: the one in force.
        me: the leader, which stays a voter: it hands over before it leaves.
        ready: learners that are in reach and hold (nearly) the whole log.
        leaving: members that said that they are about to close.
    """
    if membership.is_joint:
        return None
    staying = frozenset(voter for voter in membership.voters if voter == me or voter not in leaving)
    free = VOTERS_MAX - len(staying)
    promoted = sorted(learner for learner in ready if learner not in leaving)[: max(0, free)]
    wanted = staying | frozenset(promoted)
    return wanted if wanted != membership.voters else None
