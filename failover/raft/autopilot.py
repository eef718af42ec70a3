"""Who should vote: a pure decision of the leader, from the membership and what it knows of its members.

For now: every learner that has caught up becomes a voter, up to VOTERS_MAX. Nobody is removed here, ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from failover.ids import MemberId
from failover.raft.membership import Membership

VOTERS_MAX = 5


def voters_wanted(membership: Membership, caught_up: Mapping[MemberId, bool]) -> frozenset[MemberId] | None:
    """Return the voters to change to, None if all is well.

    Args:
        membership: the one in force.
        caught_up: for each learner, whether it holds (nearly) the whole log.
    """
    if membership.is_joint:
        return None
    free = VOTERS_MAX - len(membership.voters)
    ready = sorted(member for member, is_ready in caught_up.items() if is_ready)[: max(0, free)]
    return membership.voters | frozenset(ready) if ready else None
