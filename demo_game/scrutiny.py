"""Can a table that came from outside be one of a game? For files that anybody may have written.

The rules trust the table they are given; on one that was made up they might run into anything, and a name in it
might hold what moves a terminal's cursor. Everything that `machine` leads to passes.
"""

from __future__ import annotations

from demo_game import rules
from demo_game.bots import Skill
from demo_game.land import SIZES
from demo_game.rules import DICE_MAX, PLAYERS_MAX, PLAYERS_MIN, ROUNDS_MAX, Battle, Position
from demo_game.table import LINES_MAX, NAME_LENGTH_MAX, Phase, Seat, Table, has_controls

_LINE_LENGTH_MAX = 1_000
"""The longest line of a game names all eight players."""
_MEMBER_SIZE_MAX = 32
_FACES = range(1, 7)


def objection(table: Table) -> str | None:
    """Return what shows that no game leads to this table; None if nothing was found."""
    options, position = table.options, table.position
    if not (
        PLAYERS_MIN <= options.players <= PLAYERS_MAX
        and options.map < len(SIZES)
        and 1 <= options.rounds <= ROUNDS_MAX
        and (options.turn_s == 0 or 10 <= options.turn_s <= 600)
    ):
        return "an option out of its range"
    if len(table.seats) > PLAYERS_MAX or not all(map(_is_seat, table.seats)):
        return "a seat that nobody can have"
    if len({seat.colour for seat in table.seats}) != len(table.seats):
        return "a colour on two seats"
    if len(table.lines) > LINES_MAX or any(
        len(line.text) > _LINE_LENGTH_MAX or has_controls(line.text) for line in table.lines
    ):
        return "a line that nobody can have written"
    if (position is not None) != (table.phase in (Phase.PLAY, Phase.OVER)):
        return "a position without a game, or a game without one"
    if position is None:
        return None if table.battle is None and not table.history else "a battle without a game"
    return _objection_to_game(table, position)


def _is_seat(seat: Seat) -> bool:
    return (
        0 < len(seat.name) <= NAME_LENGTH_MAX + 2  # with the number that a name taken already gets
        and not has_controls(seat.name)
        and len(seat.member) <= _MEMBER_SIZE_MAX
        and seat.colour < PLAYERS_MAX
        and seat.skill in (0, *Skill)
    )


def _objection_to_game(table: Table, position: Position) -> str | None:
    """Look at what there is only in a game. The size comes first: the map is grown from it."""
    if position.size not in SIZES:
        return "a map of no known size"
    if position.players != len(table.seats) or position.players < PLAYERS_MIN:
        return "a position of other players"
    try:
        rules.check(position)
    except ValueError as error:
        return str(error)
    if (table.phase is Phase.OVER) != (position.outcome is not None):
        return "an outcome in mid-game, or an end without one"
    if len(table.history) > ROUNDS_MAX + 2 or any(len(each) != position.players for each in table.history):
        return "a history of other players"
    if table.battle is not None and not _is_battle(table.battle, position):
        return "a battle that cannot have been"
    return None


def _is_battle(battle: Battle, position: Position) -> bool:
    return (
        max(battle.seat, battle.foe) < position.players
        and max(battle.source, battle.target) < position.size.territories
        and all(0 < len(dice) <= DICE_MAX for dice in (battle.attack, battle.defence))
        and all(face in _FACES for face in battle.attack + battle.defence)
    )
