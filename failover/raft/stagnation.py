"""Whether this leader is of no use: a quorum renews its lease, and nothing that it sends arrives there.

Heartbeats are small and appends are not, so a link can carry the one and lose the other. Such a leader would keep
everybody from electing a better one for ever (cockroachdb/cockroach#107060 tells of a relative). What is slow but
moves is left alone: entries that have arrived and wait for a disk, and snapshots on their way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.raft.progress import Sending

if TYPE_CHECKING:
    from failover.raft.core import Core
    from failover.raft.leadership import Leadership

PATIENCE_FIRST_S = 5.0
"""A slow link takes seconds for a full window."""
PATIENCE_MAX_S = 80.0


class Patience:
    """How long a leader may commit nothing. Doubles each time that it made way, until something is committed."""

    def __init__(self) -> None:
        self.seconds = PATIENCE_FIRST_S

    def was_in_vain(self) -> None:
        """This member made way."""
        self.seconds = min(2 * self.seconds, PATIENCE_MAX_S)

    def helped(self) -> None:
        """This member committed something again."""
        self.seconds = PATIENCE_FIRST_S


class Stagnation:
    """Watches the commit index of one leadership."""

    def __init__(self, core: Core, leadership: Leadership, now: float) -> None:
        self._core = core
        self._leadership = leadership
        self._commit_index = core.commit_index
        self._moved_at = now

    def is_hopeless(self, now: float) -> bool:
        """Whether what is pending has not reached a quorum for long."""
        core = self._core
        if core.commit_index > self._commit_index:
            core.patience.helped()
        if core.commit_index > self._commit_index or core.commit_index == core.log.last_index:
            self._commit_index, self._moved_at = core.commit_index, now
            return False
        if now - self._moved_at < core.patience.seconds:
            return False
        membership = self._leadership.membership
        return not membership.has_quorum([each for each in membership.all_voters if self._is_reached(each)])

    def make_way(self, now: float) -> None:
        """Stop leading, and let all others stand first."""
        core = self._core
        core.patience.was_in_vain()
        core.standing.be_last(now + core.patience.seconds)
        core.step_down(now)

    def _is_reached(self, member: MemberId) -> bool:
        if member == self._core.me:
            return True
        progress = self._leadership.replication.progress[member]
        reaches = max(progress.match_index, progress.log_reaches)
        return progress.sending is Sending.SNAPSHOT or reaches > self._core.commit_index
