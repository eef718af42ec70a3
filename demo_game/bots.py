"""Three bots: pure functions of the position, a few hundred additions a decision.

What looks like their mood is drawn from the seed too, so that every machine that asks gets the same answer.
Chances are in parts of 10,000, in integers, since a float may differ between machines.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

from demo_game import luck, rules
from demo_game.rules import DICE_MAX, Attack, EndTurn, Move, Position

CERTAIN = 10_000


class Skill(IntEnum):
    """How well a bot plays."""

    EASY = 1
    MEDIUM = 2
    HARD = 3


def decide(position: Position, skill: Skill) -> Move:
    """Return the move that a bot of this skill makes for the seat on turn."""
    if skill is Skill.EASY:
        return _easy(position)
    if skill is Skill.MEDIUM:
        return _greedy(position, floor=4_500, full_bonus=1_200)
    return _hard(position)


@lru_cache(maxsize=1)
def _chances() -> tuple[tuple[int, ...], ...]:
    """Return the chance, in parts of 10,000, that a dice roll strictly more than d dice: `[a][d]`, 0 to 8 each."""
    ways = [[1]]  # ways[n][s]: in how many ways n dice show the sum s
    for count in range(1, DICE_MAX + 1):
        before = ways[-1]
        ways.append(
            [sum(before[s - f] for f in range(1, 7) if 0 <= s - f < len(before)) for s in range(6 * count + 1)]
        )

    def chance(a: int, d: int) -> int:
        wins: int = sum(n * sum(ways[d][:s]) for s, n in enumerate(ways[a]))
        rolls: int = 6 ** (a + d)
        return wins * CERTAIN // rolls

    return tuple(tuple(chance(a, d) for d in range(DICE_MAX + 1)) for a in range(DICE_MAX + 1))


def chance(attack: int, defence: int) -> int:
    """Return the attacker's chance to win with so many dice against so many, in parts of 10,000."""
    return _chances()[attack][defence]


def _easy(position: Position) -> Move:
    """Make the likeliest attack, if it beats 45 %; in three turns of ten, lose interest after a few attacks."""
    mood = luck.below(40, position.seed, "mood", position.turn, 0)
    patience = 3 + mood % 6 if mood < 12 else 1_000
    return EndTurn() if position.attacks >= patience else _greedy(position, floor=4_500, full_bonus=0)


def _greedy(position: Position, floor: int, full_bonus: int) -> Move:
    """Make the likeliest attack above `floor`; a full stack gains nothing by waiting, so it may dare more."""
    best, best_score = None, floor
    for attack in rules.attacks(position):
        own, foe = position.dice[attack.source], position.dice[attack.target]
        score = chance(own, foe) + (full_bonus if own == DICE_MAX else 0)
        if score > best_score:
            best, best_score = attack, score
    return best or EndTurn()


def _hard(position: Position) -> Move:
    """Make the attack with the best expected worth: what it adds to the income, less what it lays open."""
    best, best_worth = None, 0
    view = _View(position)
    for attack in rules.attacks(position):
        worth = view.worth(attack)
        if worth > best_worth:
            best, best_worth = attack, worth
    return best or EndTurn()


class _View:
    """One position as the hard bot sees it: regions labelled once, so that each attack is judged in few steps."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.neighbours = position.land.neighbours
        self.region = [0] * position.size.territories
        self.length = [0]
        for seat in range(position.players):
            for region in rules.regions(position, seat):
                self.length.append(len(region))
                for territory in region:
                    self.region[territory] = len(self.length) - 1
        self.income = [rules.income(position, seat) for seat in range(position.players)]

    def worth(self, attack: Attack) -> int:
        """Return the expected worth of an attack, in hundredths of a die per turn times 10,000."""
        position, seat = self.position, self.position.seat
        own, foe_dice = position.dice[attack.source], position.dice[attack.target]
        odds = chance(own, foe_dice)
        if odds < 3_500:
            return 0
        foe = position.owners[attack.target]
        joined = {self.region[t] for t in self.neighbours[attack.target] if position.owners[t] == seat}
        grown = max(0, 1 + sum(self.length[label] for label in joined) - self.income[seat])
        cut = self.length[self.region[attack.target]] == self.income[foe]
        gain = 40 + 100 * grown + (35 if cut else 0) + 12 * foe_dice
        if position.owners.count(foe) == 1:
            gain += 120
        if own == DICE_MAX:
            gain += 60  # a full stack earns nothing by waiting
        won = gain - self.exposure(attack.target, own - 1, {attack.source})
        lost = -12 * (own - 1)
        left_open = self.exposure(attack.source, 1, {attack.target}) - self.exposure(attack.source, own, set())
        return odds * won + (CERTAIN - odds) * lost - CERTAIN * max(0, left_open) // 2

    def exposure(self, territory: int, dice: int, without: set[int]) -> int:
        """Return how likely the strongest foe beside a territory would take it, weighed by what it holds."""
        position = self.position
        foes = [
            position.dice[t]
            for t in self.neighbours[territory]
            if position.owners[t] != position.seat and t not in without
        ]
        if not foes:
            return 0
        return chance(max(foes), dice) * (35 + 6 * dice) // CERTAIN
