"""Whether there is anything to do: most of what comes in changes what the core knows, and nothing that it decides.

Of five idle members, the leader takes in four answers to each round of heartbeats; of a commit among three,
the second answer comes when all is done. A round for each of these would cost more than the answer itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.raft.progress import Sending

if TYPE_CHECKING:
    from failover.raft.core import Core
    from failover.raft.leadership import Leadership


def may_rest(core: Core, now: float) -> bool:
    """Whether `Core.take_effects` would have nothing to hand out but the next deadline.

    It may say no where that is so; never yes where it is not.
    """
    applying = core.applying
    if core.out or core.writing.has_news or applying.has_grown:
        return False
    if applying.has_more(core.commit_index) and core.following.installing is None:
        return False
    if core.leadership is None:
        return core.leader is not None  # without one every little thing may be of interest
    return _may_rest(core.leadership, core, now)


def _may_rest(leadership: Leadership, core: Core, now: float) -> bool:
    """Whether `Leadership.conclude` and the beginning of a tenure have nothing to do."""
    if not leadership.has_hosted or leadership.succession.under_way is not None or leadership.reads.is_asked:
        return False
    membership = leadership.membership
    if membership.is_joint or core.me not in membership.voters or leadership.tending.is_due(now):
        return False
    last_index = core.log.last_index
    return all(
        progress.next_index > last_index and progress.sending is not Sending.PROBE
        for progress in leadership.replication.progress.values()
    )
