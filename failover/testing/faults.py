"""What may go wrong in a simulation of whole members, and how often; and what the people at the machines do."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import Enum

from failover.testing.simulated_network import Link

CLOCK_RATES = (0.905, 0.905, 1.0, 1.095, 1.095, 0.97, 1.04)
"""The promised bound is 10 %; the extremes are the most dangerous."""


class Stroke(Enum):
    """One thing that happens to somebody."""

    CRASH = "crash"
    CRASH_HOST = "crash host"
    CRASH_SOON = "crash soon"
    """In the middle of a step: after some more datagrams and writes have left."""
    CRASH_ALL = "crash all"
    RESTART = "restart"
    CLOSE = "close"
    CLOSE_HOST = "close host"
    PAUSE = "pause"
    PAUSE_HOST = "pause host"
    SUSPEND = "suspend"
    CLOCK_RATE = "clock rate"
    PARTITION = "partition"
    ONE_WAY = "one way"
    CUT_LINK = "cut link"
    CUT_HOST = "cut host"
    SLOW_LINK = "slow link"
    HEAL = "heal"
    MOVE = "move"
    """A router gives somebody another address in the middle."""
    RETURN_ELSEWHERE = "return elsewhere"
    """Somebody crashes and comes back under another address."""
    SLOW_DISK = "slow disk"
    HANG_DISK = "hang disk"
    FULL_DISK = "full disk"
    HAND_OVER = "hand over"
    JOIN = "join"
    LEAVE = "leave"
    REMOVE = "remove"


HOW_OFTEN = {
    Stroke.CRASH: 3.0,
    Stroke.CRASH_HOST: 2.0,
    Stroke.CRASH_SOON: 3.0,
    Stroke.CRASH_ALL: 0.3,
    Stroke.RESTART: 6.0,
    Stroke.CLOSE: 1.5,
    Stroke.CLOSE_HOST: 0.5,
    Stroke.PAUSE: 2.0,
    Stroke.PAUSE_HOST: 2.0,
    Stroke.SUSPEND: 1.0,
    Stroke.CLOCK_RATE: 1.0,
    Stroke.PARTITION: 2.0,
    Stroke.ONE_WAY: 2.0,
    Stroke.CUT_LINK: 1.5,
    Stroke.CUT_HOST: 2.5,
    Stroke.SLOW_LINK: 1.0,
    Stroke.HEAL: 6.0,
    Stroke.MOVE: 0.5,
    Stroke.RETURN_ELSEWHERE: 0.5,
    Stroke.SLOW_DISK: 1.5,
    Stroke.HANG_DISK: 0.5,
    Stroke.FULL_DISK: 1.0,
    Stroke.HAND_OVER: 2.0,
    Stroke.JOIN: 1.5,
    Stroke.LEAVE: 0.5,
    Stroke.REMOVE: 0.5,
}
"""Compared with the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What may go wrong. The defaults are a bad evening; `Faults.none()` is a quiet one."""

    every_s: float = 1.0
    """Between two strokes, on average."""
    strokes: frozenset[Stroke] = frozenset(Stroke)
    """Which of them may come."""
    link: Link = Link(loss=0.01, double=0.01, late=0.01)
    """The network's manners while nothing is broken."""
    disk_s: tuple[float, float] | None = (0.0002, 0.002)
    """How long a disk write takes, from and to; None = no time at all."""
    files: float = 0.3
    """So many of the computers store in a real file."""
    clock_rates: tuple[float, ...] = CLOCK_RATES
    """Of which each process draws that of its clock."""
    computers_max: int = 9
    """With all that join."""

    @classmethod
    def none(cls) -> Faults:
        """Nothing goes wrong."""
        return cls(strokes=frozenset(), link=Link(), files=0.0, clock_rates=(1.0,))

    @classmethod
    def draw(cls, seed: int) -> Faults:
        """Some faults, drawn by a seed: quiet and rough networks, quick and slow disks."""
        dice = random.Random(f"faults {seed}")
        return cls(
            every_s=dice.choice((0.2, 0.7, 2.0)),
            link=dice.choice(LINKS),
            disk_s=dice.choice((None, (0.0, 0.0), (0.0002, 0.002), (0.001, 0.02), (0.01, 0.12))),
            files=dice.choice((0.0, 0.3, 1.0)),
            clock_rates=CLOCK_RATES if dice.random() < 0.8 else (1.0,),
        )

    def without(self, *strokes: Stroke) -> Faults:
        """The same, but for these."""
        return replace(self, strokes=self.strokes - set(strokes))


LINKS = (
    Link(),
    Link(delay_s=(0.0005, 0.005), late=0.01, late_s=0.1, loss=0.01, double=0.01),
    Link(delay_s=(0.001, 0.02), late=0.05, late_s=0.5, loss=0.05, double=0.05),
    Link(delay_s=(0.0001, 0.03), late=0.1, late_s=3.0, loss=0.25, double=0.2),
    Link(delay_s=(0.02, 0.06), late=0.02, late_s=1.0, loss=0.02, double=0.02),
)
