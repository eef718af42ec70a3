"""Many games between bots: how much is each seat worth, and each skill? For `demo-game sim`.

Seeds count up from a start, so that a result can be repeated by whoever doubts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from demo_game import rules
from demo_game.bots import Skill, decide
from demo_game.land import Size
from demo_game.rules import Position


@dataclass(frozen=True, slots=True)
class Tally:
    """What many games came to."""

    games: int
    by_seat: tuple[int, ...]
    """Games won by each seat, the first to move first."""
    by_skill: dict[Skill, int]
    turns: int
    """Turns played in all games."""
    attacks: int
    by_rounds: int
    """Games that the last round ended."""

    def share(self, seat: int) -> float:
        """Return a seat's wins as a part of its fair share: 1.0 is fair, 1.6 the most we accept."""
        return self.by_seat[seat] * len(self.by_seat) / self.games


def seed_number(number: int) -> bytes:
    """Return the seed of a simulated game."""
    return hashlib.sha256(b"hexhold sim %d" % number).digest()


def finish(position: Position, skills: Sequence[Skill]) -> Iterator[tuple[Position, rules.Battle | None]]:
    """Play a game to its end between bots, one skill a seat; yield what each move led to."""
    while position.outcome is None:
        position, battle = rules.play(position, decide(position, skills[position.seat]))
        yield position, battle


def measure(
    games: int,
    size: Size,
    skills: Sequence[Skill],
    *,
    first: int = 0,
    extra: int | None = None,
    rounds: int = rules.ROUNDS_DEFAULT,
) -> Tally:
    """Play `games` games; the skills move round the table, so that no seat always has the same one.

    Args:
        games: how many; thousands for percentages that hold.
        size: the map.
        skills: one for each seat, 2 to 8.
        first: number of the first seed.
        extra: c of the seat compensation; None takes the one in the rules.
        rounds: the last round.
    """
    players = len(skills)
    by_seat, by_skill = [0] * players, dict.fromkeys(sorted(set(skills)), 0)
    turns = attacks = by_rounds = 0
    for number in range(first, first + games):
        seated = [skills[(seat + number) % players] for seat in range(players)]
        position = rules.deal(seed_number(number), players, size, rounds, extra)
        for after, battle in finish(position, seated):
            position = after
            attacks += battle is not None
        assert position.outcome is not None
        turns += position.turn
        by_seat[position.outcome.winner] += 1
        by_skill[seated[position.outcome.winner]] += 1
        by_rounds += position.outcome.reason == "rounds"
    return Tally(games, tuple(by_seat), by_skill, turns, attacks, by_rounds)
