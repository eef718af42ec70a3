"""The simulators behind one interface: cores alone, and whole members.

A `Variation` makes a run of a seed smaller than the seed alone would: a shorter storm, fewer kinds of bad luck,
calmer networks, fewer members. It can be written as options of the command, so that every run can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from failover.testing.core_simulation import Faults as CoreFaults
from failover.testing.faults import Faults as StackFaults
from failover.testing.faults import Stroke
from failover.testing.plan import STROKES, Plan
from failover.testing.simulated_network import Link
from failover.testing.stack_trial import STORMY_S as STACK_STORMY_S
from failover.testing.stack_trial import StackTrial
from failover.testing.trial import STORMY_S, Outcome, Trial

CALM = ("loss", "double", "late", "disk", "clocks")
"""What can be taken out of a run beside strokes."""
Trace = Callable[[str], None]


@dataclass(frozen=True)
class Variation:
    """How a run differs from what its seed says."""

    seconds: float | None = None
    """Of storm; None = as usual."""
    without: frozenset[str] = frozenset()
    """These strokes never come."""
    calm: frozenset[str] = frozenset()
    """Of `CALM`."""
    members: int | None = None
    """At the beginning; None = as drawn."""

    def options(self) -> str:
        """As options of the command."""
        words = []
        if self.seconds is not None:
            words.append(f"--seconds {self.seconds:g}")
        for name, chosen in (("without", self.without), ("calm", self.calm)):
            if chosen:
                words.append(f'--{name} "{",".join(sorted(chosen))}"')
        if self.members is not None:
            words.append(f"--members {self.members}")
        return "".join(f" {word}" for word in words)


class Runnable(Protocol):
    """A `Trial`, or something like it."""

    def run(self) -> Outcome: ...


@dataclass(frozen=True)
class Level:
    """One simulator."""

    name: str
    stormy_s: float
    strokes: tuple[str, ...]
    must_occur: tuple[str, ...]
    """In a hundred runs or two; else they were worth little."""
    seeds_to_occur: int
    make: Callable[[int, Variation, Trace | None], Runnable]
    members: Callable[[int], int]
    """How many this seed begins with."""


def core_plan(seed: int, variation: Variation) -> Plan:
    """The seed's plan, varied."""
    plan = Plan.draw(seed)
    quiet = CoreFaults()
    faults, calm = plan.faults, variation.calm
    faults = replace(
        faults,
        loss=0.0 if "loss" in calm else faults.loss,
        double=0.0 if "double" in calm else faults.double,
        late=0.0 if "late" in calm else faults.late,
        disk_s=quiet.disk_s if "disk" in calm else faults.disk_s,
        clock_rates=quiet.clock_rates if "clocks" in calm else faults.clock_rates,
    )
    strokes = {stroke: weight for stroke, weight in plan.strokes.items() if stroke not in variation.without}
    if variation.members is not None:
        plan = replace(plan, voters=min(plan.voters, variation.members), learners=0)
    return replace(plan, faults=faults, strokes=strokes)


def core_trial(seed: int, variation: Variation, trace: Trace | None) -> Runnable:
    return Trial(seed, plan=core_plan(seed, variation), stormy_s=variation.seconds or STORMY_S, trace=trace)


def core_members(seed: int) -> int:
    plan = Plan.draw(seed)
    return plan.voters + plan.learners


def stack_trial(seed: int, variation: Variation, trace: Trace | None) -> Runnable:
    faults, quiet, calm = StackFaults.draw(seed), Link(), variation.calm
    link = replace(
        faults.link,
        loss=quiet.loss if "loss" in calm else faults.link.loss,
        double=quiet.double if "double" in calm else faults.link.double,
        late=quiet.late if "late" in calm else faults.link.late,
    )
    faults = replace(
        faults.without(*(stroke for stroke in Stroke if stroke.value in variation.without)),
        link=link,
        disk_s=None if "disk" in calm else faults.disk_s,
        files=0.0 if "disk" in calm else faults.files,
        clock_rates=(1.0,) if "clocks" in calm else faults.clock_rates,
    )
    stormy_s = variation.seconds or STACK_STORMY_S
    return StackTrial(seed, faults=faults, members=variation.members, stormy_s=stormy_s, trace=trace)


def stack_members(seed: int) -> int:
    return StackTrial(seed).members


LEVELS = {
    "core": Level(
        "core",
        STORMY_S,
        (*STROKES, "reach one and crash"),
        (
            "proposed", "crashed", "restarted", "host crashed", "host cut off", "all others restarted",
            "everybody crashed", "paused", "host paused", "partitioned", "cut one way", "link cut", "disk stalled",
            "lost", "doubled", "late", "hand-over begun", "membership changed", "snapshot taken",
            "snapshot installed", "snapshot transfer failed", "stopped: handed over", "stopped: lease lost",
            "stopped: closed", "read answered", "reached one and crashed", "crashed after a vote",
            "crashed after an answer", "entries lost", "sick: dead", "sick: mute", "sick: deaf",
            "sick: cut off", "sick: reaches one",
        ),
        150,
        core_trial,
        core_members,
    ),
    "stack": Level(
        "stack",
        STACK_STORMY_S,
        tuple(stroke.value for stroke in Stroke),
        (
            *(stroke.value for stroke in Stroke), "restarted", "crashed in a step", "crashed while writing",
            "crashed in a job of the disk", "disk full", "elected", "membership changed", "snapshot sent",
            "restored from a snapshot", "joining", "left", "removed", "lost", "doubled", "late", "BecomeHost",
            "HostChanged", "MemberJoined", "MemberLeft", "QuorumLost", "QuorumRegained", "Stopped",
            "stopped: handed over", "stopped: lease lost",
        ),
        60,
        stack_trial,
        stack_members,
    ),
}  # fmt: skip
