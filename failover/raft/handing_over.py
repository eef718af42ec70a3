"""Giving leadership to another voter, on purpose (dissertation, 3.10; design.md, section 4).

    waiting    play goes on until no change of membership is in progress and the target is close behind
    stopped    the tenure is over; the server function unwinds, and the target gets the last entries
    released   the promises made in this term are void, and the target was asked to stand

While it waits, a hand-over can be given up as if nothing had been asked. From the stop on this leader never hosts
again in its term: somebody else must, so whoever has the whole log first may take the target's place. All of it
dies with the term, but for the names of those who were asked in vain: the next time others are asked first.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.ids import MemberId
from failover.raft.messages import HandOver, Release

if TYPE_CHECKING:
    from failover.raft.core import Core
    from failover.raft.leadership import Leadership

VAIN_S = 5.0
"""Who was asked in vain is asked after all others for so long."""
DISK_PATIENCE_MAX_S = 16.0
DISK_FORGIVEN_S = 600.0
"""After so long without another, a hand-over because of the disk is forgotten."""


class VainAttempts:
    """Who did not take over lately. Outlives a leadership: its own end is often how it learns."""

    def __init__(self) -> None:
        self._until: dict[MemberId, float] = {}

    def add(self, member: MemberId, now: float) -> None:
        """`member` was asked in vain."""
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[member] = now + VAIN_S

    def has(self, member: MemberId, now: float) -> bool:
        """Whether `member` was asked in vain lately."""
        return self._until.get(member, -math.inf) > now


class DiskPatience:
    """How long a write may take before this leader makes way for one with a better disk. Outlives a leadership.

    It doubles each time that this member made way: where all disks are slow, the host would else change with
    every other write.
    """

    def __init__(self, first_s: float) -> None:
        self._first_s = self._seconds = first_s
        self._made_way_at = -math.inf

    def seconds(self, now: float) -> float:
        """The patience of this moment."""
        if now > self._made_way_at + DISK_FORGIVEN_S:
            self._seconds = self._first_s
        return self._seconds

    def made_way(self, now: float) -> None:
        """This member handed over because of its disk."""
        self._seconds, self._made_way_at = min(2 * self.seconds(now), DISK_PATIENCE_MAX_S), now


@dataclass(slots=True)
class HandingOver:
    """A hand-over under way. Before `stopped` it can be given up, afterwards not."""

    target: MemberId
    give_up_at: float
    to_anybody: bool = False
    """Nobody in particular was asked for."""
    stopped: bool = False
    """The tenure is over (or there was none)."""
    release_at: float = math.inf
    """The old lease has ended by then, whatever the server function is still doing."""
    other_target_at: float = math.inf
    """From then on whoever has the whole log may take over."""
    released: bool = False
    repeat_at: float = math.inf

    @property
    def deadline(self) -> float:
        """When to look at it again."""
        return min(self.give_up_at, self.release_at, self.other_target_at, self.repeat_at)


class Succession:
    """To whom this leader gives way, why, and how far that has come."""

    def __init__(self, core: Core, leadership: Leadership, now: float) -> None:
        self._core = core
        self._leadership = leadership
        self._led_since = now
        self.under_way: HandingOver | None = None

    @property
    def has_released(self) -> bool:
        """Whether the promises made to this leader in this term are void."""
        return self.under_way is not None and self.under_way.released

    @property
    def deadline(self) -> float:
        """When `go_on` has something to do."""
        return self.under_way.deadline if self.under_way is not None else math.inf

    def consider(self, now: float) -> None:
        """Begin where this leader is of no use and another would be."""
        if self.under_way is not None:
            return
        if self._must_make_way(now):
            self.begin(None, now)
        elif self._disk_holds_up(now) and self.begin(None, now):
            self._core.disk_patience.made_way(now)

    def go_on(self, now: float) -> None:
        """Take the next step of the hand-over under way, if its time has come."""
        if self._leadership.is_witness or self._leadership.is_outgoing:
            self.consider(now)
        handing = self.under_way
        if handing is None:
            return
        if not handing.stopped:
            self._wait_for_target(handing, now)
        if handing.stopped and not handing.released:
            self._wait_for_release(handing, now)
        if handing.released and now >= handing.repeat_at:
            core = self._core
            core.send_now(handing.target, HandOver(core.term, Release(core.me, core.term)))
            handing.repeat_at = now + core.timing.repeat_min_s

    def begin(self, target: MemberId | None, now: float) -> bool:
        """Start handing over to `target`, or to whoever is best; False if nobody can take it.

        It waits for the own no-op and for the end of a change of membership, but no longer than `hand_over_s`.
        """
        if self.under_way is not None:
            return target in (None, self.under_way.target)
        candidates = self.candidates(now)
        chosen = self.best(candidates, now) if target is None else target
        if chosen is None or chosen not in candidates:
            return False
        give_up_at = now + self._core.timing.hand_over_s
        self.under_way = HandingOver(chosen, give_up_at, to_anybody=target is None)
        return True

    def lost(self, now: float) -> None:
        """The leadership ends; if it was released, its target did not take over in time."""
        if self.under_way is not None and self.under_way.released:
            self._core.vain_attempts.add(self.under_way.target, now)

    # --- who ---

    def candidates(self, now: float) -> list[MemberId]:
        """The voters that run the application, are in reach, and mean to stay."""
        voters = self._leadership.membership.voters_that_may_host
        return [voter for voter in sorted(voters) if self._may_take_over(voter, now)]

    def best(self, members: Collection[MemberId], now: float) -> MemberId | None:
        """Who was not asked in vain lately: the fittest of those who lack little, else who is furthest along."""
        replication, last_index = self._leadership.replication, self._core.log.last_index
        hints = {each.member: each.hint for each in self._leadership.tending.ranking.order}

        def worth(member: MemberId) -> tuple[bool, bool, bool, int, int, MemberId]:
            progress = replication.progress[member]
            is_close = progress.is_caught_up(last_index)
            hint = hints.get(member, 0) if is_close else 0
            has_failed = self._core.vain_attempts.has(member, now)
            return (
                not has_failed,
                is_close,
                not progress.stands_last,
                hint,
                replication.match_index(member),
                member,
            )

        return max(members, key=worth, default=None)

    def has_somebody(self, now: float) -> bool:
        """Whether somebody can take over, if not at this moment then soon: the warm can get a vote."""
        membership = self._leadership.membership
        others = membership.members - membership.witnesses - {self._core.me}
        is_young = self._leadership.tending.is_young(now)  # then those who elected it have yet to be heard
        return any(is_young or self._may_take_over(member, now) for member in others)

    def _may_take_over(self, member: MemberId, now: float) -> bool:
        return self._is_in_reach(member, now) and not self._leadership.replication.progress[member].is_leaving

    def _is_in_reach(self, member: MemberId, now: float) -> bool:
        progress = self._leadership.replication.progress.get(member)
        return progress is not None and progress.is_alive(now)

    # --- why ---

    def _must_make_way(self, now: float) -> bool:
        leadership = self._leadership
        if leadership.is_witness or leadership.is_outgoing:
            return leadership.is_settled
        return self._cannot_host(now)

    def _cannot_host(self, now: float) -> bool:
        """An earlier server function of this member does not come to its end: there would never be a host."""
        core = self._core
        patience_s = core.timing.hand_over_s
        return not core.host_is_stopped and core.tenure is None and now > self._led_since + patience_s

    def _disk_holds_up(self, now: float) -> bool:
        """A disk that hangs keeps this member from being of use: let one lead whose disk is ahead.

        But only where the others in reach elect and commit without this disk. Where they do not, nothing would
        be won, and the host would be lost.
        """
        core, membership = self._core, self._leadership.membership
        if not core.writing.hangs(now, core.disk_patience.seconds(now)):
            return False
        others = [voter for voter in membership.all_voters - {core.me} if self._is_in_reach(voter, now)]
        target = self.best(self.candidates(now), now)
        is_ahead = target is not None and self._leadership.replication.match_index(target) > core.durable_index
        return is_ahead and membership.has_quorum(others)

    # --- how ---

    def _wait_for_target(self, handing: HandingOver, now: float) -> None:
        core, leadership = self._core, self._leadership
        if handing.to_anybody:
            handing.target = self.best(self.candidates(now), now) or handing.target
        is_voter = handing.target in leadership.membership.voters_that_may_host
        if not is_voter or now >= handing.give_up_at:
            self._give_up(handing, now)
            return
        progress = leadership.replication.progress[handing.target]
        if leadership.is_changing or not leadership.is_settled or not progress.is_caught_up(core.log.last_index):
            return
        handing.stopped = True
        handing.give_up_at = now + core.timing.hand_over_s
        handing.other_target_at = now + leadership.promise_s(now)
        handing.release_at = now if core.tenure is None else leadership.lease.until(leadership.membership)
        leadership.has_hosted = True  # whether it had begun or not, this term has no tenure any more
        core.end_tenure_for_hand_over()

    def _wait_for_release(self, handing: HandingOver, now: float) -> None:
        core = self._core
        if now >= handing.give_up_at:
            self._give_up(handing, now)
            if not self._leadership.is_witness:  # which tries again, with another
                core.step_down(now)  # there is no tenure to go back to: let an election find a host
            return
        if now >= handing.other_target_at:
            handing.other_target_at = math.inf
            handing.to_anybody = True
        if not core.host_is_stopped and now < handing.release_at:
            return
        handing.release_at = math.inf
        if not self._has_all(handing.target) and handing.to_anybody:
            ready = [member for member in self.candidates(now) if self._has_all(member)]
            handing.target = self.best(ready, now) or handing.target
        if self._has_all(handing.target):
            handing.released = True
            self._leadership.reads.refuse_all()
            handing.other_target_at = math.inf
            handing.give_up_at = now + 2 * core.timing.promise_s
            handing.repeat_at = now

    def _has_all(self, member: MemberId) -> bool:
        return self._leadership.replication.match_index(member) == self._core.log.last_index

    def _give_up(self, handing: HandingOver, now: float) -> None:
        self._core.vain_attempts.add(handing.target, now)
        self.under_way = None
