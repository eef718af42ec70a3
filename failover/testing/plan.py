"""What holds for a whole run: the cluster, its timing, what may go wrong, how often. Drawn from the seed.

Ordinary runs have a bit of everything. The other kinds look for one thing each, in which a certain kind of mistake
would show; what each of them is for stands at its maker.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from failover.raft.timing import Timing
from failover.testing.core_simulation import Faults

CLOCK_RATES = (0.91, 0.91, 1.0, 1.09, 1.09, 0.97, 1.04)
"""The promised bound is 10 %; the extremes are the most dangerous."""
NETWORKS = (
    Faults(),
    Faults(delay_s=(0.0005, 0.005), late=0.01, late_s=0.1, loss=0.01, double=0.01),
    Faults(delay_s=(0.001, 0.02), late=0.05, late_s=0.5, loss=0.05, double=0.05),
    Faults(delay_s=(0.0001, 0.03), late=0.1, late_s=3.0, loss=0.25, double=0.2),
    Faults(delay_s=(0.02, 0.06), late=0.02, late_s=1.0, loss=0.02, double=0.02),
)
DISKS = ((0.0, 0.0), (0.0002, 0.002), (0.001, 0.02), (0.01, 0.15))
UNWINDS = ((0.0, 0.02), (0.0, 0.0), (0.1, 2.0))
SIZES = ((3, 0), (3, 0), (3, 0), (5, 0), (5, 0), (3, 1), (4, 0), (2, 0), (2, 1), (1, 0), (1, 2))
STROKES: Mapping[str, float] = {
    "crash": 3, "crash host": 2, "pause": 2, "pause host": 2, "partition": 3, "cut one way": 3, "cut one link": 2,
    "heal": 4, "slow disk": 2, "hand over": 4, "change membership": 4, "restart all": 4, "cut host": 4,
    "restart behind host": 2, "crash everybody": 0.3, "resign": 0.5, "burst": 1, "change fitness": 2,
}  # fmt: skip
"""How often each kind of bad luck strikes in an ordinary run, relative to the others."""
KINDS = (("race", 0.24), ("half sent", 0.05), ("duel", 0.05), ("slow answers", 0.05), ("relay", 0.05))
"""Kinds of runs that look for one thing, and how many there are of them; all others are ordinary."""
INTERNET = Timing(
    heartbeat_s=0.1, promise_s=1.0, promise_ceiling_first_s=1.0, margin_s=0.03, stagger_s=0.15,
    repeat_min_s=0.02, notice_s=0.02,
)  # fmt: skip
NO_DELAY = Timing(
    heartbeat_s=0.1, promise_s=1.0, promise_ceiling_first_s=1.0, margin_s=0.002, stagger_s=0.002,
)  # fmt: skip
"""Promises are long and elections take no time: whoever helps too early makes two hosts at once."""

WITNESSED = 0.3
"""In so many plans some voters are witnesses, and so are some of those who join."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for a whole run."""

    voters: int
    learners: int
    timing: Timing
    faults: Faults
    calm_s: float
    """Between two strokes of bad luck, on average."""
    propose_s: float
    """Between two proposals of the host, on average."""
    kind: str = "ordinary"
    strokes: Mapping[str, float] = field(default_factory=lambda: STROKES)
    """The kinds of bad luck, and how often each strikes, relative to the others."""
    read_s: float = 0.05
    """Between two reads, on average, of everybody who takes itself for the leader."""
    witnesses: int = 0
    """So many of the voters have no application."""

    @classmethod
    def draw(cls, seed: int, kind: str | None = None) -> Plan:
        """The plan of this seed, of any kind or of this one."""
        plan = cls._draw(seed, kind)
        has_room = plan.kind in ("ordinary", "race")  # the others tell stories that need all their players
        if has_room and random.Random(f"witness {seed}").random() < WITNESSED:
            return replace(plan, witnesses=(plan.voters - 1) // 2 or plan.voters - 1)
        return plan

    @classmethod
    def _draw(cls, seed: int, kind: str | None) -> Plan:
        dice = random.Random(f"plan {seed}")
        drawn = dice.random()
        for name, share in KINDS:
            drawn -= share
            if kind is None and drawn < 0:
                kind = name
        match kind:
            case "race":
                return cls._race(dice)
            case "half sent":
                return cls._half_sent(dice)
            case "duel":
                return cls._duel(dice)
            case "slow answers":
                return cls._slow_answers(dice)
            case "relay":
                return cls._relay(dice)
            case _:
                return cls._ordinary(dice)

    @classmethod
    def _ordinary(cls, dice: random.Random) -> Plan:
        voters, learners = dice.choice(SIZES)
        faults = replace(
            dice.choice(NETWORKS),
            disk_s=dice.choice(DISKS),
            unwind_s=dice.choice(UNWINDS),
            clock_rates=CLOCK_RATES if dice.random() < 0.8 else (1.0,),
        )
        timing = Timing()
        if faults.delay_s[0] >= 0.02 or dice.random() < 0.1:
            timing = INTERNET
        if dice.random() < 0.7:  # snapshots all the time, and windows that fill up
            kept = dice.choice((0, 5, 30))
            timing = replace(
                timing,
                snapshot_entries=dice.choice((30, 100)),
                kept_entries=kept,
                window_messages=4,
                batch_bytes=6000,
            )
        timing = replace(timing, voter_grace_s=dice.choice((0.3, 2.0)))
        if dice.random() < 0.3:
            timing = replace(timing, swap_dwell_s=1.0, fitter_margin=32, fitter_dwell_s=0.3, fitter_rest_s=2.0)
        return cls(
            voters,
            learners,
            timing,
            faults,
            calm_s=dice.choice((0.05, 0.3, 1.0)),
            propose_s=dice.choice((0.003, 0.02)),
        )

    @classmethod
    def _race(cls, dice: random.Random) -> Plan:
        """Two hosts at once, if anybody helps too early or hosts too long."""
        faults = Faults(
            delay_s=(0.0001, 0.0005),
            late=0.05,
            late_s=dice.choice((0.1, 2.0)),
            loss=dice.choice((0.0, 0.05)),
            disk_s=dice.choice(((0.0, 0.0), (0.0, 0.001), (0.0, 0.05))),
            unwind_s=(0.0, 0.3),
            clock_rates=(0.91, 1.09),
        )
        propose_s = dice.choice((0.02, 3.0))
        return cls(dice.choice((3, 3, 5)), 0, NO_DELAY, faults, calm_s=0.4, propose_s=propose_s, kind="race")

    @classmethod
    def _half_sent(cls, dice: random.Random) -> Plan:
        """Leaders that reach one follower and crash, again and again: the story of figure 8 in the Raft paper."""
        faults = Faults(
            delay_s=(0.0002, 0.002),
            disk_s=(0.0, 0.001),
            clock_rates=CLOCK_RATES,
            entries_lost=dice.choice((0.4, 0.65, 0.65)),
            crash_after_answer=dice.choice((0.02, 0.1, 0.2)),
        )
        timing = replace(Timing(), batch_bytes=1, window_messages=1, stagger_s=0.003)
        strokes = {"reach one and crash": 3, "crash host": 2, "restart all": 3, "heal": 1, "resign": 2}
        voters = dice.choice((5, 5, 3))
        return cls(voters, 0, timing, faults, calm_s=0.12, propose_s=0.02, kind="half sent", strokes=strokes)

    @classmethod
    def _duel(cls, dice: random.Random) -> Plan:
        """Candidates of the same term, and voters that crash as soon as they have answered."""
        faults = Faults(
            delay_s=(0.0005, 0.02), late=0.1, late_s=0.2, double=0.1, disk_s=(0.0, 0.01), crash_after_vote=0.4
        )
        timing = replace(Timing(), stagger_s=0.0002, promise_ceiling_first_s=0.075)
        strokes = {"crash host": 4, "cut host": 2, "partition": 2, "heal": 4, "restart all": 4, "resign": 2}
        voters = dice.choice((3, 4, 5))
        return cls(voters, 0, timing, faults, calm_s=0.25, propose_s=0.05, kind="duel", strokes=strokes)

    @classmethod
    def _slow_answers(cls, dice: random.Random) -> Plan:
        """Answers to heartbeats take long, elections do not, and clocks are as far apart as they may be."""
        faults = Faults(
            delay_s=(0.0001, 0.001),
            late=0.01,
            late_s=0.4,
            slow_answers=0.7,
            disk_s=(0.0, 0.0005),
            clock_rates=(0.91, 1.09),
        )
        strokes = {"cut host": 6, "heal": 3, "pause host": 1, "crash host": 1, "restart all": 2}
        voters = dice.choice((3, 3, 5))
        return cls(voters, 0, NO_DELAY, faults, calm_s=0.5, propose_s=0.3, kind="slow answers", strokes=strokes)

    @classmethod
    def _relay(cls, dice: random.Random) -> Plan:
        """The host is handed on and on, while old messages come late, and old hosts take long to end."""
        faults = Faults(
            delay_s=(0.0001, 0.002),
            late=0.15,
            late_s=dice.choice((0.3, 1.0)),
            double=0.1,
            disk_s=(0.0, 0.002),
            unwind_s=(0.0, 0.5),
            clock_rates=(0.91, 1.09),
        )
        strokes = {"hand over": 10, "cut host": 1, "cut one link": 2, "heal": 2, "restart behind host": 0.5,
                   "pause": 1, "crash": 1, "restart all": 2, "change membership": 1}  # fmt: skip
        timing = NO_DELAY if dice.random() < 0.6 else Timing()
        voters = dice.choice((3, 4, 5))
        return cls(voters, 0, timing, faults, calm_s=0.15, propose_s=0.02, kind="relay", strokes=strokes)
