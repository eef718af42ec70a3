"""When a member may close: after its vote is taken away, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.raft.core import Core


def is_needed(core: Core, now: float) -> bool:
    """Whether the others may need this member's vote, and there is a leader who can take it away.

    A membership without this member counts only once it is known to be committed. Until then its leader may crash
    before the entry is on its disk, and come back in the joint membership, in which it needs the one that is gone:
    of two members, one closed and one restarted would have nobody to ask.

    Just after a hand-over the new leader is not known yet, but there was one a moment ago.
    """
    if core.leadership is not None:
        return False
    return core.standing.has_vote() and now - core.leader_heard_at < core.timing.promise_max_s
