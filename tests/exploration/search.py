"""Breadth first over all states of a model: what is found first is found by a shortest way.

Every state that was reached is kept exactly, as one number (no hashes that could collide), with its parent and the
action that led to it, so that a way can be told. States that differ in the names of members alone are told apart:
names give rank and clock, and so would have to be renamed with both.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field

from tests.exploration.abstractions import abstracted
from tests.exploration.cluster import WIDTH, Cluster
from tests.exploration.model import Model
from tests.exploration.prologue import elect

Way = list[tuple[int, int]]
"""(member, action), from a first state on."""


@dataclass
class Found:
    """What a search saw."""

    states: int = 0
    depth: int = 0
    """Actions from a first state to the farthest one that was expanded."""
    seconds: float = 0.0
    is_complete: bool = False
    """Whether every state within the model's bounds was reached."""
    broken: str | None = None
    first: int = 0
    """The first state of the way to what is broken."""
    way: Way = field(default_factory=list)
    levels: list[int] = field(default_factory=list)


class Search:
    """One search through one model."""

    def __init__(self, model: Model) -> None:
        self.cluster = Cluster(model)
        self._parents = array("I")
        self._actions = array("Q")
        self.firsts: list[int] = []

    def run(self, states_max: int) -> Found:
        """Search until all is seen, `states_max` states are, or something is broken."""
        began, found = time.perf_counter(), Found()
        with abstracted():
            self.firsts = [self._first(rates) for rates in self.cluster.model.rates]
            self._breadth_first(states_max, found)
        found.seconds = time.perf_counter() - began
        return found

    def _first(self, rates: tuple[float, ...]) -> int:
        first = self.cluster.first(rates)
        return elect(self.cluster, first, 0) if self.cluster.model.elected else first

    def _breadth_first(self, states_max: int, found: Found) -> None:
        cluster, together = self.cluster, self.cluster.together
        reached = set(self.firsts)
        level = list(dict.fromkeys(self.firsts))
        for number in range(len(level)):
            self._parents.append(number)
            self._actions.append(0)
        offset = 0
        while level and len(reached) < states_max:
            found.levels.append(len(level))
            following: list[int] = []
            for position, state in enumerate(level):
                parts = cluster.apart(state)
                for place, action in cluster.possible(parts):
                    next_ = cluster.after(parts, place, action)
                    if next_ is None:
                        continue
                    if next_[1] is not None:
                        found.broken = next_[1]
                        self._tell(found, offset + position, (place, action))
                        found.states, found.depth = len(reached), len(found.way)
                        return
                    number = together(next_[0])
                    if number not in reached:
                        reached.add(number)
                        following.append(number)
                        self._parents.append(offset + position)
                        self._actions.append(place + 1 << WIDTH | action)
                if len(reached) >= states_max:
                    break
            else:
                found.depth += 1
            offset += len(level)
            level = following
        found.is_complete = not level
        found.states = len(reached)

    def _tell(self, found: Found, position: int, last: tuple[int, int]) -> None:
        way = [last]
        while self._parents[position] != position:
            code = self._actions[position]
            way.append(((code >> WIDTH) - 1, code & (1 << WIDTH) - 1))
            position = self._parents[position]
        found.first, found.way = self.firsts[position], way[::-1]
