"""What goes wrong, and when: drawn from a seed, without a clock and without knowing anything of the members.

A storm is a list of strokes. One of every kind is among them, so that no run, however short, leaves one out; the
others, and the order, are as the dice have it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from tests.processes.torture.ground import Pair

BETWEEN_S = 1.0
"""Between two strokes, on average."""
LAST_AT = 0.9
"""In the last part of a storm nothing new begins: what just began would be healed before it was felt."""
RATES = (0.9, 1.1)


class Kind(Enum):
    """Of strokes."""

    KILL = "kill"
    KILL_ALL = "kill all"
    PAUSE = "pause"
    ONE_WAY = "one way"
    BOTH_WAYS = "both ways"
    HALVES = "halves"
    UNPLUG = "unplug"
    FILL = "fill"
    HAND_OVER = "hand over"


LASTS_S = {Kind.PAUSE: (0.1, 10.0), Kind.KILL_ALL: (0.05, 0.5), Kind.FILL: (1.0, 6.0)}
LASTS_ELSE_S = (0.2, 6.0)
CUTS = (Kind.ONE_WAY, Kind.BOTH_WAYS, Kind.HALVES, Kind.UNPLUG)


@dataclass(frozen=True)
class Stroke:
    """One thing that goes wrong."""

    at_s: float
    """After the beginning of the storm."""
    kind: Kind
    lasts_s: float
    """Down, paused, cut off, full for so long, or until the storm is over."""
    at_host: bool
    """Whether whoever hosts by then takes the first of `places`, and gives it its own."""
    places: tuple[int, ...]
    """All members, the ones that are struck first."""
    count: int
    """How many of them are struck."""

    def struck(self, host: int | None) -> tuple[int, ...]:
        """Whom it strikes."""
        return self._order(host)[: self.count]

    def pairs(self, host: int | None) -> list[Pair]:
        """For a cut: who does not hear whom."""
        order = self._order(host)
        struck, others = order[: self.count], order[self.count :]
        match self.kind:
            case Kind.HALVES:
                middle = len(order) // 2
                return _between(order[:middle], order[middle:], both=True)
            case Kind.BOTH_WAYS:
                return _between(struck, others[self.count :], both=True)
            case _:
                # A member that is heard by nobody, or one that hears nobody, or a little of either.
                pairs = _between(struck, others, both=False)
                turned = [(other, who) for who, other in pairs]
                return turned if self.places[0] < self.places[1] else pairs

    def _order(self, host: int | None) -> tuple[int, ...]:
        first = self.places[0]
        if not self.at_host or host is None or host == first:
            return self.places
        return tuple(host if each == first else first if each == host else each for each in self.places)


def draw_storm(
    dice: random.Random, members: int, seconds: float, of: Sequence[Kind] = tuple(Kind)
) -> list[Stroke]:
    """The strokes of one storm, in their order."""
    kinds = list(of)
    kinds += dice.choices(kinds, k=max(0, round(seconds / BETWEEN_S) - len(kinds)))
    dice.shuffle(kinds)
    moments = sorted(dice.uniform(0.0, LAST_AT * seconds) for _ in kinds)
    return [_draw(dice, kind, at_s, members) for kind, at_s in zip(kinds, moments, strict=True)]


def _draw(dice: random.Random, kind: Kind, at_s: float, members: int) -> Stroke:
    are_several = dice.random() < 0.3 and kind in {Kind.KILL, Kind.PAUSE, Kind.FILL}
    count = members if kind is Kind.KILL_ALL else dice.randint(2, members) if are_several else 1
    return Stroke(
        at_s=at_s,
        kind=kind,
        lasts_s=_log_uniform(dice, *LASTS_S.get(kind, LASTS_ELSE_S)),
        at_host=dice.random() < 0.5,
        places=tuple(dice.sample(range(members), members)),
        count=count,
    )


def draw_clock(dice: random.Random) -> dict[str, float]:
    """Rate and origin of the clock of one life: often at the limits of what promises allow."""
    slow, fast = RATES
    rate = dice.choice((slow, fast, 1.0, dice.uniform(slow, fast)))
    return {"rate": rate, "offset_s": dice.choice((0.0, dice.uniform(0.0, 1e6)))}


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return float(low * (high / low) ** dice.random())


def _between(some: Sequence[int], others: Sequence[int], *, both: bool) -> list[Pair]:
    there = [(who, other) for who in some for other in others]
    return there + [(other, who) for who, other in there] if both else there
