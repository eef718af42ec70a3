"""What the explorer leaves out of the real core: measurements, repeats of what was sent, and who is fit for what.

Measured delays decide only how long a promise is asked for; here that is a choice, made by an action. Repeats
decide only how often a message is sent; here every message can arrive any number of times at any later moment.
Who shall vote and who shall host is chosen by actions too, in the place of the autopilot. Everything else is the
core as it ships.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from failover.ids import MemberId
from failover.raft import core, election, leadership, progress, standing, tending


class Chosen:
    """Stands for a `DecayingMax`: shows the value that was chosen, whatever is measured."""

    def __init__(self, half_life_s: float) -> None:
        self.value_s = 0.0

    def add(self, sample: float, now: float) -> None:
        """Measure nothing."""

    def value(self, now: float) -> float:
        """Show what was chosen."""
        return self.value_s


class NoneMissed:
    """Stands for a `MissedRounds`: promises need to outlast one heartbeat."""

    def __init__(self, half_life_s: float, risk: float) -> None:
        pass

    def reached(self, sent_at: float, interval_s: float) -> None:
        """Measure nothing."""

    def to_allow_for(self) -> float:
        """No more than there must be."""
        return 1.0


class NobodySuspected:
    """Stands for a `Suspicion`: how long promises are is chosen, whoever was late."""

    def __init__(self, me: MemberId) -> None:
        pass

    def begin(self, leader: MemberId, since: float) -> None:
        """Suspect nobody."""

    def end(self, member: MemberId, now: float) -> None:
        """Learn nothing."""

    def to_outlast_s(self, now: float) -> float:
        """Ask for nothing more."""
        return 0.0


class NeverRepeated:
    """Stands for a `RoundTrip`: nothing is ever so late that it is sent again."""

    is_measured = True
    smoothed_s, deviation_s = math.inf, 0.0

    def __init__(self, first_guess_s: float) -> None:
        pass

    def add(self, sample_s: float) -> None:
        """Measure nothing."""

    def patience_s(self, least_s: float) -> float:
        """Wait for ever."""
        return math.inf


@contextmanager
def abstracted() -> Iterator[None]:
    """Explore within this block."""
    with (
        patch.object(core, "DecayingMax", Chosen),
        patch.object(leadership, "MissedRounds", NoneMissed),
        patch.object(progress, "RoundTrip", NeverRepeated),
        patch.object(progress, "PATIENCE_MAX_S", math.inf),
        patch.object(election, "REPEAT_FIRST_S", math.inf),
        patch.object(standing, "VOTE_PATIENCE_S", 0.0),
        patch.object(standing, "Suspicion", NobodySuspected),
        patch.object(progress, "ALIVE_S", math.inf),
        patch.object(tending, "ALIVE_S", math.inf),
        patch.object(tending.Tending, "look", lambda self, now: None),
    ):
        yield
