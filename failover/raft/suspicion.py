"""Leaders that were given up, and were only late: from then on promises outlast such a delay.

Where a busy machine keeps a process waiting once, it will do so again. What is measured before a lease is lost
shows it too late, and is soon forgotten; a lost lease costs every player a moment, so it is remembered for longer.
(Chandra and Toueg 1996, "Unreliable failure detectors": who suspected wrongly waits longer before the next time.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from failover.raft.measure import DecayingMax

if TYPE_CHECKING:
    from failover.ids import MemberId

LATE_MAX_S = 0.250
"""Who is back sooner was there all the time: no process ends and is started again so fast."""
OUTLASTED_MAX_S = 0.110
"""Promises do not grow beyond this for a delay: a real failover would have to wait for their end."""
HALF_LIFE_S = 600.0


class Suspicion:
    """Which leader was given up last, and how late those were that came back. Lives as long as the member."""

    def __init__(self, me: MemberId) -> None:
        self._me = me
        self._delays = DecayingMax(HALF_LIFE_S)
        self._leader: MemberId | None = None
        self._since = -math.inf

    def begin(self, leader: MemberId, since: float) -> None:
        """`leader` is given up (by itself, if it is this member): until that moment all was well with it."""
        self._leader, self._since = leader, since

    def end(self, member: MemberId, now: float) -> None:
        """`member` leads, or answers to this one as its leader: so it is there, and there is a quorum again."""
        if self._leader not in (member, self._me):
            return
        self._leader = None
        if now - self._since < LATE_MAX_S:
            self._delays.add(min(now - self._since, OUTLASTED_MAX_S), now)

    def to_outlast_s(self, now: float) -> float:
        """The longest delay that a leader was given up for, forgotten by halves; 0 if none was."""
        return self._delays.value(now)
