"""What a leader does for its cluster now and then: rank the members, tend the voters, make way for a fitter host.

Ranks travel with the heartbeats, a small number for each voter. The whole order, for people to look at, goes in a
message of its own when it has changed, and now and then again, since datagrams get lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.raft import autopilot
from failover.raft.membership import Membership
from failover.raft.messages import HeartbeatResponse, RankingNotice
from failover.raft.progress import ALIVE_S, Progress
from failover.raft.ranking import Dwell, Ranking, Seen

if TYPE_CHECKING:
    from failover.raft.core import Core
    from failover.raft.leadership import Leadership

LOOK_S = 0.1
AGAIN_S = 0.005
"""What could not begin is tried again after so long, if anything happens."""
STEADY_S = 0.5
"""A learner that has been ready for so long may vote: one that comes and goes would cost a quorum."""
HEARTBEATS_MISSED_MAX = 4
"""A learner that has missed more is given no vote, however steady it was: it may have closed."""
TELL_S = 0.5
"""The whole order is not told more often."""
TELL_AGAIN_S = 5.0


class Tending:
    """The leader's care for its members. Dies with the role."""

    def __init__(self, core: Core, leadership: Leadership, now: float) -> None:
        self._core = core
        self._leadership = leadership
        self._began = now
        self._due = now
        self.ranking = Ranking(core.me, core.fitness.told)
        self._told_at = -math.inf
        self._has_news = False
        self._swap, self._fitter = Dwell(), Dwell()
        self._makes_way_from = now + core.timing.fitter_rest_s
        core.fitness.rank = None

    def is_young(self, now: float) -> bool:
        """Whether those who are there may not have been heard yet."""
        return now < self._began + ALIVE_S

    def is_due(self, now: float) -> bool:
        """Whether `look` would do more than nothing."""
        return now >= self._due

    def heard(self, progress: Progress, message: HeartbeatResponse) -> None:
        """Take in what a member says of itself; one that is about to close is not kept waiting."""
        if (progress.is_leaving, progress.stands_last) != (message.is_leaving, message.stands_last):
            self._due = -math.inf
        progress.is_leaving, progress.stands_last = message.is_leaving, message.stands_last
        progress.hint = message.hint

    def look(self, now: float) -> None:
        """Look at everybody, and do what is to be done; most calls come too early and cost nothing."""
        if not self.is_due(now):
            return
        self._due = now + LOOK_S
        membership = self._leadership.membership
        seen = self._see_all(membership, now)
        self._has_news |= self.ranking.look(seen.values(), membership.all_voters)
        self._core.fitness.told = self.ranking.order
        if now >= self._told_at + (TELL_S if self._has_news else TELL_AGAIN_S):
            self._tell(now)
        if self._core.me in membership.voters:  # else it hands over as soon as it can
            self._tend_voters(membership, seen, now)
            self._make_way(membership, seen, now)

    # --- seeing ---

    def _see_all(self, membership: Membership, now: float) -> dict[MemberId, Seen]:
        core, progress = self._core, self._leadership.replication.progress
        assert progress.keys() == membership.members - {core.me}
        # Who closes waits for its vote to be taken, though not for long: not until the silent are back, or until
        # a leader that has only just been elected knows that a warm member is there to stay. A witness that leads
        # needs somebody to hand over to, as soon as can be.
        is_urgent = core.is_leaving or core.is_witness or any(each.is_leaving for each in progress.values())
        grace_s, steady_s = (ALIVE_S, 0.0) if is_urgent else (core.timing.voter_grace_s, STEADY_S)
        return {
            member: self._see_myself(member in membership.witnesses)
            if member == core.me
            else self._see(member, member in membership.witnesses, progress[member], grace_s, steady_s, now)
            for member in membership.members
        }

    def _see_myself(self, is_witness: bool) -> Seen:
        core = self._core
        return Seen(
            member=core.me,
            hint=self.ranking.settled(core.me, core.fitness.hint),
            is_witness=is_witness,
            is_leaving=core.is_leaving,
        )

    def _see(
        self,
        member: MemberId,
        is_witness: bool,
        progress: Progress,
        grace_s: float,
        steady_s: float,
        now: float,
    ) -> Seen:
        ready_since = progress.watch(self._core.log.last_index, now)
        is_here = progress.heard_at > now - HEARTBEATS_MISSED_MAX * self._core.timing.heartbeat_s
        return Seen(
            member=member,
            hint=self.ranking.settled(member, progress.hint),
            is_witness=is_witness,
            is_ready=ready_since <= now,
            is_steady=is_here and ready_since <= now - steady_s,
            is_gone=max(progress.heard_at, self._began) <= now - grace_s,
            is_leaving=progress.is_leaving,
            stands_last=progress.stands_last,
        )

    # --- doing ---

    def _tell(self, now: float) -> None:
        self._told_at, self._has_news = now, False
        notice = RankingNotice(self._core.term, self.ranking.order)
        for member in self._leadership.replication.progress:
            self._core.send_now(member, notice)

    def _tend_voters(self, membership: Membership, seen: Mapping[MemberId, Seen], now: float) -> None:
        me, timing = self._core.me, self._core.timing
        pair = autopilot.fitness_swap(membership, me=me, seen=seen, margin=timing.swap_margin)
        has_dwelt = self._swap.lasts_s(pair, now) >= timing.swap_dwell_s
        voters = autopilot.voters_wanted(membership, me=me, seen=seen, swap=pair if has_dwelt else None)
        if voters is None:
            return
        if self._leadership.change_voters(voters, membership.members - voters, b"", now) is None:
            self._due = now + AGAIN_S  # before the own no-op is committed, in a change, without a lease under it

    def _make_way(self, membership: Membership, seen: Mapping[MemberId, Seen], now: float) -> None:
        """Hand over to a clearly fitter voter, where that is wanted: never twice within the rest."""
        core, timing = self._core, self._core.timing
        if not timing.fitter_margin or core.tenure is None:
            return
        fitter = autopilot.fitter_host(membership, me=core.me, seen=seen, margin=timing.fitter_margin)
        lasts_s = self._fitter.lasts_s(fitter, now)
        if fitter is not None and lasts_s >= timing.fitter_dwell_s and now >= self._makes_way_from:
            self._makes_way_from = now + timing.fitter_rest_s
            self._leadership.succession.begin(fitter, now)
