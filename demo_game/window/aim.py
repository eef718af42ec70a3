"""What a player points at on the map, and what a press there means. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from demo_game import rules
from demo_game.bots import CERTAIN, chance
from demo_game.land import SEA
from demo_game.rules import Position
from demo_game.window.hexes import Chart

_WAYS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(slots=True)
class Aim:
    """Territories by number; `SEA` = none."""

    chosen: int = SEA
    """One's own, to attack from."""
    cursor: int = SEA
    """Where the keyboard is."""
    pointed: int = SEA
    """Where the pointer is."""

    @property
    def looked_at(self) -> int:
        """What the player looks at: the pointer's territory, or else the cursor's."""
        return self.pointed if self.pointed != SEA else self.cursor

    def tidy(self, position: Position, mine: bool) -> None:
        """Let go of what can attack no more."""
        if self.chosen != SEA and (not mine or not targets(position, self.chosen)):
            self.chosen = SEA

    def press(self, position: Position, territory: int) -> rules.Attack | str:
        """Press a territory on one's own turn; return an attack, or words for the player."""
        own = position.owners[territory] == position.seat
        if self.chosen == territory:
            self.chosen = SEA
            return ""
        if own:
            if position.dice[territory] < 2:
                return "An attack needs at least two dice."
            if not targets(position, territory):
                return "There is nobody to attack from there."
            self.chosen = territory
            return ""
        if self.chosen == SEA:
            return "Choose a territory of yours first."
        attack = rules.Attack(self.chosen, territory)
        objection = rules.objection(position, attack)
        return attack if objection is None else f"{objection[:1].upper()}{objection[1:]}."

    def step(self, position: Position, chart: Chart, way: str) -> None:
        """Move the cursor to the next territory in a direction."""
        if self.cursor == SEA:
            self.cursor = next(iter(attackers(position)), 0)
            return
        x, y = chart.label_at(self.cursor)
        dx, dy = _WAYS[way]
        best, best_cost = self.cursor, math.inf
        for territory in range(position.size.territories):
            tx, ty = chart.label_at(territory)
            ahead = (tx - x) * dx + (ty - y) * dy
            aside = abs((tx - x) * dy) + abs((ty - y) * dx)
            cost = ahead + 2.2 * aside
            if ahead > 2 and aside < 1.6 * ahead and cost < best_cost:
                best, best_cost = territory, cost
        self.cursor = best

    def tab(self, position: Position, chart: Chart, by: int) -> None:
        """Move the cursor to the next territory that can attack, or, with one chosen, be attacked."""
        found = targets(position, self.chosen) if self.chosen != SEA else attackers(position)
        row = sorted(found, key=lambda t: (round(chart.label_at(t)[1] / 40), chart.label_at(t)[0]))
        if row:
            here = row.index(self.cursor) if self.cursor in row else (-1 if by > 0 else 0)
            self.cursor = row[(here + by) % len(row)]


def attackers(position: Position) -> list[int]:
    """Return the territories that the seat on turn can attack from."""
    return sorted({attack.source for attack in rules.attacks(position)})


def targets(position: Position, source: int) -> list[int]:
    """Return what can be attacked from a territory by the seat on turn."""
    return [attack.target for attack in rules.attacks(position) if attack.source == source]


def odds(position: Position, source: int, target: int) -> int:
    """Return the chance to win an attack, in per cent."""
    return round(100 * chance(position.dice[source], position.dice[target]) / CERTAIN)
