"""A core's rounds, with a look at what it says of them before: it may rest only where there is nothing to do."""

from __future__ import annotations

from failover.raft.core import Core
from failover.raft.effects import Effects
from failover.testing.checkers import Violation


def taken(core: Core, now: float) -> Effects:
    """What the core hands out now.

    Raises:
        Violation: it had said that a round would hand out nothing.
    """
    deadline = core.rest(now)
    effects = core.take_effects(now)
    if deadline is not None and effects != Effects(deadline=deadline):
        raise Violation(f"a member rested, with this to do: {effects}")
    return effects
