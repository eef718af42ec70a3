"""What goes wrong in a simulation, and when; and what the people at the machines ask for meanwhile.

All of it follows from the seed and the plan. A schedule does not look at what the checkers look at.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from failover.ids import MemberId
from failover.raft.messages import HINT_MAX, UNKNOWN_HINT
from failover.testing.core_simulation import CoreSimulation
from failover.testing.plan import WITNESSED, Plan
from failover.testing.simulated_member import SimulatedMember

MEMBERS_MAX = 9


class Schedule:
    """Acts on a simulation until `ends`."""

    def __init__(self, simulation: CoreSimulation, seed: int, plan: Plan, ends: float) -> None:
        self._simulation = simulation
        self._plan = plan
        self._dice = random.Random(f"schedule {seed}")
        self._witness_dice = random.Random(f"witnesses {seed}")
        self._ends = ends
        self._proposed = 0
        self._weights = tuple(plan.strokes.values())
        self._actions = [getattr(self, f"_{stroke.replace(' ', '_')}") for stroke in plan.strokes]
        self._plan_next(self._strike, plan.calm_s)
        self._plan_next(self._propose, plan.propose_s)
        self._plan_next(self._read, plan.read_s)

    def _plan_next(self, action: Callable[[], None], mean_s: float) -> None:
        when = self._simulation.now + self._dice.expovariate(1 / mean_s)
        if when < self._ends:
            self._simulation.at(when, action)

    def _strike(self) -> None:
        if self._actions:
            self._dice.choices(self._actions, self._weights)[0]()
        self._plan_next(self._strike, self._plan.calm_s)

    def _count(self, what: str) -> None:
        self._simulation.happened[what] += 1

    def _anybody(self) -> SimulatedMember:
        return self._dice.choice(list(self._simulation.members.values()))

    # --- the host at work ---

    def _propose(self) -> None:
        self._propose_some(1)
        self._plan_next(self._propose, self._plan.propose_s)

    def _propose_some(self, number: int) -> None:
        host = self._simulation.host()
        for _ in range(number):
            if host is None:
                return
            self._proposed += 1
            if host.propose(b"%d" % self._proposed + b"." * self._dice.choice((0, 30, 300))) is not None:
                self._count("proposed")

    def _burst(self) -> None:
        self._propose_some(400)

    def _read(self) -> None:
        for member in self._simulation.members.values():
            if member.alive and member.core.leadership is not None:
                self._simulation.read(member)
        self._plan_next(self._read, self._plan.read_s)

    # --- processes and disks ---

    def _crash(self) -> None:
        self._kill(self._anybody())

    def _crash_host(self) -> None:
        if (host := self._simulation.host()) is not None:
            self._count("host crashed")
            self._kill(host)

    def _kill(self, member: SimulatedMember) -> None:
        if member.alive:
            member.crash()
            self._count("crashed")
        if self._dice.random() < 0.7:
            self._simulation.at(
                self._simulation.now + self._dice.choice((0.0, 0.05, 0.5, 5.0)), self._starter(member)
            )

    def _starter(self, member: SimulatedMember) -> Callable[[], None]:
        def start() -> None:
            if not member.alive and self._simulation.now < self._ends:
                member.start()
                self._count("restarted")

        return start

    def _crash_everybody(self) -> None:
        self._count("everybody crashed")
        for member in self._simulation.members.values():
            if member.alive:
                member.crash()
            self._simulation.at(self._simulation.now + self._dice.uniform(0, 0.5), self._starter(member))

    def _restart_all(self) -> None:
        for member in self._simulation.members.values():
            self._starter(member)()

    def _pause(self) -> None:
        self._anybody().pause(self._dice.choice((0.02, 0.08, 0.3, 1.0, 30.0)))
        self._count("paused")

    def _pause_host(self) -> None:
        if (host := self._simulation.host()) is not None:
            host.pause(self._dice.choice((0.02, 0.05, 0.08, 0.3, 2.0, 30.0)))
            self._count("host paused")

    def _slow_disk(self) -> None:
        seconds = self._dice.choice((0.1, 0.3, 1.0, 5.0))
        if self._simulation.now + seconds > self._ends:
            return  # what is slow for good cannot be healed
        self._anybody().stall_disk(seconds)
        self._count("disk stalled")

    def _change_fitness(self) -> None:
        self._anybody().change_fitness(self._dice.choice((UNKNOWN_HINT, 1, 100, 130, 200, HINT_MAX)))
        self._count("fitness changed")

    # --- links ---

    def _partition(self) -> None:
        cut = self._simulation.cut
        members = list(self._simulation.members)
        side = set(self._dice.sample(members, self._dice.randrange(len(members) + 1)))
        cut.update((a, b) for a in members for b in members if (a in side) != (b in side))
        self._count("partitioned")

    def _cut_one_way(self) -> None:
        member, direction = self._anybody().me, self._dice.random() < 0.5
        others = [other for other in self._simulation.members if other != member]
        self._simulation.cut.update((member, o) if direction else (o, member) for o in others)
        self._count("cut one way")

    def _cut_one_link(self) -> None:
        one, other = self._anybody().me, self._anybody().me
        self._simulation.cut.add((one, other))
        self._count("link cut")

    def _cut_host(self) -> None:
        """The host is cut off from all or from one, in one direction or both."""
        if (host := self._simulation.host()) is None:
            return
        others = [other for other in self._simulation.members if other != host.me]
        chosen = others if self._dice.random() < 0.5 else [self._dice.choice(others or [host.me])]
        direction = self._dice.choice(("in", "out", "both"))
        if direction != "in":
            self._simulation.cut.update((host.me, other) for other in chosen)
        if direction != "out":
            self._simulation.cut.update((other, host.me) for other in chosen)
        self._count("host cut off")

    def _reach_one_and_crash(self) -> None:
        """The leader reaches one other member alone, is busy for a moment, and dies; it is soon back."""
        if (leader := self._simulation.leader()) is None:
            return
        friend = self._dice.choice(list(self._simulation.members))
        for other in self._simulation.members:
            if other not in (leader.me, friend):
                self._simulation.cut.update(((leader.me, other), (other, leader.me)))
        self._propose_some(self._dice.choice((0, 1, 3, 30)))
        self._count("reached one and crashed")

        def die() -> None:
            if self._simulation.now >= self._ends:
                return  # the storm is over
            self._simulation.cut.clear()
            self._kill(leader)

        self._simulation.at(self._simulation.now + self._dice.uniform(0.0, 0.02), die)

    def _restart_behind_host(self) -> None:
        """All others restart at once where the host does not see it."""
        if (host := self._simulation.host()) is None:
            return
        for me, member in self._simulation.members.items():
            if member is not host and member.alive:
                self._simulation.cut.update(((host.me, me), (me, host.me)))
                member.crash()
                member.start()
        self._count("all others restarted")

    def _heal(self) -> None:
        self._simulation.cut.clear()
        for member in self._simulation.members.values():
            member.wake()

    # --- wishes ---

    def _hand_over(self) -> None:
        leader = self._simulation.leader()
        if leader is None:
            return
        target = self._dice.choice([None, *self._simulation.members])
        if leader.core.hand_over(target, leader.clock()):
            self._count("hand-over begun")
        leader.carry_out()

    def _resign(self) -> None:
        leader = self._simulation.leader()
        if leader is not None:
            leader.core.resign(leader.clock(), self._dice.choice((0.0, 1.0)))
            leader.carry_out()

    def _change_membership(self) -> None:
        leader = self._simulation.leader()
        if leader is None or (membership := leader.core.log.membership) is None:
            return
        others = sorted(membership.voters - {leader.me})
        learners = set(membership.learners)
        voters = set(membership.voters)
        match self._dice.choice(("join", "join", "remove", "demote", "swap", "promote", "dismiss")):
            case "join" | "swap" as kind:
                if len(self._simulation.members) >= MEMBERS_MAX:
                    return
                is_witness = bool(self._plan.witnesses) and self._witness_dice.random() < WITNESSED
                newcomer = self._simulation.add_member(is_witness=is_witness)
                learners.add(newcomer)
                if kind == "swap" and others:
                    voters.discard(self._dice.choice(others))
            case "remove":
                voters -= set(self._dice.sample(others, min(len(others), self._dice.choice((1, 1, 2)))))
            case "demote" if others:
                chosen = self._dice.choice(others)
                voters.discard(chosen)
                learners.add(chosen)
            case "promote" if learners:
                chosen = self._dice.choice(sorted(learners))
                learners.discard(chosen)
                voters.add(chosen)
            case "dismiss" if learners:
                learners.discard(self._dice.choice(sorted(learners)))
        if len(voters) < min(2, len(membership.voters)):
            return
        witnesses = self._simulation.witnesses_never_host.witnesses
        if leader.core.change_membership(voters, learners, b"change", leader.clock(), witnesses) is not None:
            self._count("membership changed")
        leader.carry_out()


def newest_first(members: list[SimulatedMember]) -> list[SimulatedMember]:
    """Sort by how up to date the logs are (Raft, 5.4.1)."""
    return sorted(members, key=lambda m: (m.core.log.last_term, m.core.log.last_index), reverse=True)


def healthy_quorum(simulation: CoreSimulation, seed: int) -> set[MemberId]:
    """Choose who stays well, so that by all that Raft promises there must be a leader among them."""
    dice = random.Random(f"healthy {seed}")
    committed = simulation.one_history.membership
    assert committed is not None
    everybody = list(simulation.members)
    for _ in range(50):
        chosen = set(dice.sample(everybody, dice.randint(1, len(everybody))))
        best = newest_first([simulation.members[m] for m in sorted(chosen)])[0].core.log.membership
        if best is None or not chosen & best.voters_that_may_host & committed.voters_that_may_host:
            continue  # nobody of them could host
        if committed.has_quorum(chosen) and best.has_quorum(chosen):
            return chosen
    return set(everybody)
