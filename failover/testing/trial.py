"""One seeded run in two phases: while anything may fail nothing may break; then a quorum is well and must work.

The second phase leaves the others dead, cut off, or with links in one direction: they may not disturb.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from failover.ids import MemberId
from failover.raft.core import Core
from failover.raft.messages import HINT_MAX, Entry
from failover.raft.timing import LEASE_FRACTION
from failover.testing.checkers import NoProgress, Violation
from failover.testing.core_simulation import CoreSimulation
from failover.testing.plan import Plan
from failover.testing.schedule import Schedule, healthy_quorum, newest_first

STORMY_S = 20.0
ELECTS_WITHIN_S = 15.0
AGREES_WITHIN_S = 10.0
SETTLES_WITHIN_S = 5.0
CALM_S = 5.0
LEARNS_DELAYS_WITHIN_S = 15.0
MESSAGES_PER_S_MAX = 1500
"""From one member to all others, when nothing happens."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run showed."""

    digest: int
    """Equal for equal runs."""
    simulated_s: float
    tenures: int
    committed: int
    elected_s: float
    """From healing to the first host."""
    agreed_s: float
    happened: Counter[str]


class Trial:
    """A seed, run."""

    def __init__(
        self,
        seed: int,
        *,
        plan: Plan | None = None,
        stormy_s: float = STORMY_S,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._seed = seed
        self._stormy_s = stormy_s
        self.plan = plan or Plan.draw(seed)
        self.simulation = CoreSimulation(
            seed,
            self.plan.voters,
            timing=self.plan.timing,
            faults=self.plan.faults,
            learners=self.plan.learners,
            witnesses=self.plan.witnesses,
            trace=trace,
        )
        self._healthy: set[MemberId] = set()

    def run(self) -> Outcome:
        """Run both phases.

        Raises:
            Violation: a guarantee was broken, or there was no progress in time.
        """
        simulation = self.simulation
        Schedule(simulation, self._seed, self.plan, self._stormy_s)
        simulation.run(self._stormy_s)
        self._make_healthy()
        elected_s = agreed_s = 0.0
        try:
            elected_s = simulation.run_until(self._has_host, ELECTS_WITHIN_S)
            agreed_s = self._agree()
            self._stay_calm()
        except NoProgress:
            if self._is_still_quorum():
                raise
            simulation.happened["quorum moved away"] += 1
        return Outcome(
            simulation.digest,
            simulation.now,
            simulation.one_host.tenures,
            len(simulation.one_history.committed),
            elected_s,
            agreed_s,
            simulation.happened,
        )

    def _make_healthy(self) -> None:
        """A quorum is well from now on; the others stay as sick as can be, for good."""
        simulation = self.simulation
        self._healthy = healthy_quorum(simulation, self._seed)
        simulation.cut.clear()
        faults = simulation.faults
        slow = max(faults.delay_s[1], 0.001)
        simulation.faults = replace(
            faults,
            delay_s=(0.0001, slow),
            late=0.0,
            loss=0.0,
            double=0.0,
            disk_s=(0.0, 0.002),
            crash_after_vote=0.0,
            crash_after_answer=0.0,
            slow_answers=0.0,
            entries_lost=0.0,
        )
        dice = random.Random(f"sick {self._seed}")
        for me, member in simulation.members.items():
            member.change_fitness(HINT_MAX)  # else a host might make way for another, as it should
            if me in self._healthy:
                member.wake()
                if not member.alive:
                    member.start()
                continue
            others = [other for other in simulation.members if other != me]
            sickness = dice.choice(("dead", "cut off", "mute", "deaf", "reaches one", "well"))
            simulation.happened[f"sick: {sickness}"] += 1
            if sickness == "dead" and member.alive:
                member.crash()
            if sickness in ("mute", "cut off"):
                simulation.cut.update((me, other) for other in others)
            if sickness in ("deaf", "cut off"):
                simulation.cut.update((other, me) for other in others)
            if sickness == "reaches one":
                friend = dice.choice(others)
                simulation.cut.update((me, other) for other in others if other != friend)
                simulation.cut.update((other, me) for other in others if other != friend)

    def _is_still_quorum(self) -> bool:
        """Whether the healthy ones are a quorum by the newest membership that one of them has.

        A learner in reach for its last moments may have been promoted, or a sick member may have been counted on.
        """
        best = newest_first([self.simulation.members[me] for me in sorted(self._healthy)])[0].core.log.membership
        if best is None or not best.voters_that_may_host & self._healthy:
            return False
        return best.has_quorum(self._healthy)

    def _has_host(self) -> bool:
        host = self.simulation.host()
        # A sick member may still take itself for host, until its lease ends.
        return host is not None and host.core.commit_index >= len(self.simulation.one_history.committed)

    def _agree(self) -> float:
        """A proposal is committed, and all healthy members of the membership have applied it."""
        simulation = self.simulation
        goal: Entry | None = None

        def is_done() -> bool:
            nonlocal goal
            host = simulation.host()
            if host is not None and (goal is None or host.core.log.term_at(goal.index) not in (None, goal.term)):
                goal = host.propose(b"goal")  # for the first time, or again: it was lost with its host
            elif host is not None and goal is not None and host.core.log.last_index < goal.index:
                goal = None
            if goal is None or len(simulation.one_history.committed) < goal.index:
                return False
            if simulation.one_history.committed[goal.index - 1][0] != goal.term:
                goal = None
                return False
            membership = simulation.one_history.membership
            assert membership is not None
            reached = [simulation.members[m] for m in sorted(self._healthy & membership.members)]
            agree = [member.me for member in reached if member.core.applied_index >= goal.index]
            if host is None or host.me not in self._healthy:
                return membership.has_quorum(agree) or membership.has_quorum([host.me, *agree] if host else agree)
            return len(agree) == len(reached)

        return simulation.run_until(is_done, AGREES_WITHIN_S)

    def _stay_calm(self) -> None:
        """Nothing happens: the host stays, and few messages are sent."""
        simulation = self.simulation
        # Whoever leads may still be waiting for its server function to unwind from an earlier tenure, or for a
        # member that went deaf as it was handing over to it.
        cores = [simulation.members[me].core for me in sorted(self._healthy)]
        simulation.run_until(lambda: all(map(has_settled, cores)) and self._has_host(), SETTLES_WITHIN_S)
        # Autopilot, catching up, a host that had only just been elected. Where round trips exceed what the first
        # promises are for, leaders lose a few tenures until they know.
        timing = self.plan.timing
        needed = timing.heartbeat_s + 2 * simulation.faults.delay_s[1] + timing.margin_s
        simulation.run(1.0 if needed < LEASE_FRACTION * timing.promise_s else LEARNS_DELAYS_WITHIN_S)
        tenures, sent = simulation.one_host.tenures, Counter(simulation.sent)
        host = simulation.host()
        if not self._is_still_quorum():  # whoever hosts does so with the help of the sick, as long as that lasts
            raise NoProgress("a member that is sick was given a vote that is needed")
        simulation.run(CALM_S)
        if simulation.one_host.tenures != tenures or host is None or simulation.host() is not host:
            raise NoProgress(f"the host changed without a reason: {simulation.picture()}")
        for me, number in simulation.sent.items():
            if number - sent[me] > MESSAGES_PER_S_MAX * CALM_S:
                raise Violation(f"{me!r} sent {number - sent[me]} messages in {CALM_S} calm seconds")


def has_settled(core: Core) -> bool:
    """Whether nothing is under way here that ends a tenure, or lets none begin."""
    is_handing_over = core.leadership is not None and core.leadership.handing_over is not None
    return not is_handing_over and (core.host_is_stopped or core.tenure is not None)
