"""What is explored: who the members are, what may happen to them how often, and where the exploring ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from failover.ids import MemberId
from failover.raft.timing import Timing

TICK_S = 0.1
"""True time moves in ticks. All that happens at one tick happens at one instant, in every order."""
SLOW, EXACT, FAST = 0.9, 1.0, 1.1
"""Clock rates at the extremes of the bound, and in the middle."""
SHORT_S, LONG_S = 0.22, 0.44
"""Promises of exactly 2 and 4 ticks on a fast clock; 0.81 of them are 1.98 and 3.96 ticks on a slow one."""

A, B, C, D = (MemberId(name) for name in (b"A", b"B", b"C", b"D"))


def timing(promise_max_s: float = SHORT_S, ceiling_first_s: float = SHORT_S) -> Timing:
    """Few rounds, nothing staggered: a member may do anything as early as the core allows, or later."""
    return Timing(
        heartbeat_s=0.09,  # a new round at every tick, even on a slow clock
        promise_s=SHORT_S,
        promise_max_s=promise_max_s,
        promise_ceiling_first_s=ceiling_first_s,
        margin_s=0.001,
        stagger_s=0.0,
        repeat_min_s=math.inf,
        notice_s=math.inf,  # the commit index travels with heartbeats and entries
        write_stall_s=math.inf,
        hand_over_s=0.2,
    )


Change = tuple[frozenset[MemberId], frozenset[MemberId]]
"""Voters and learners to change to."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One matter, explored deeply with its own alphabet."""

    name: str
    about: str
    voters: tuple[MemberId, ...] = (A, B, C)
    strangers: tuple[MemberId, ...] = ()
    """No members yet; they hold the founding entry."""
    witnesses: tuple[MemberId, ...] = ()
    rates: tuple[tuple[float, ...], ...] = ((SLOW, FAST, FAST), (FAST, SLOW, SLOW))
    """Clock rates of all members; each assignment is explored."""
    timing: Timing = field(default_factory=timing)
    slow_disks: tuple[MemberId, ...] = ()
    """Their writes complete in an action of their own, and are lost in a crash before; other disks are instant."""
    slow_function: bool = False
    """A stopped server function unwinds in an action of its own; otherwise within the step that stops it."""
    pre_votes: bool = False
    """Otherwise every pre-vote is granted at once. It changes nothing where it is granted, and no guarantee
    rests on it: without its messages there are more behaviours in fewer states."""
    elected: bool = True
    """Begin when A hosts term 2, not at the founding."""
    asks_long: bool = False
    """Whether leaders ask for long promises at first."""
    late: MemberId | None = None
    """The first host has committed a command, which is still on its way to this member."""
    budget: dict[str, int] = field(default_factory=dict)
    """How often each may happen: crash, propose, resign, hand over, change, ask."""
    crashing: tuple[MemberId, ...] = (A, B, C, D)
    hand_over_to: tuple[MemberId, ...] = ()
    changes: tuple[Change, ...] = ()
    passive: tuple[MemberId, ...] = ()
    """Members that only answer: they never stand. Where all others are alike, one that may stand is enough."""
    bundled: bool = False
    """What one step sends to one member travels in one datagram, as it does in fact; fewer, larger steps."""
    term_max: int = 4
    rounds_max: int = 2
    """Rounds of heartbeats in one term."""
    rounds_more: int = 1
    """Rounds that the host with which the search begins may add to those of its election."""
    ticks_max: int | None = None
    """Ticks of true time, if those are to be bounded."""
    states_max: int = 400_000
    """The search ends after so many states, if it has not seen them all."""

    @property
    def members(self) -> tuple[MemberId, ...]:
        """Everybody."""
        return self.voters + self.strangers
