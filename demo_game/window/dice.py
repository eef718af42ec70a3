"""The strip at the foot of the board: whose dice, what they came to."""

from __future__ import annotations

import hashlib

from demo_game.palette import GREEN, QUIET, RED, SEATS
from demo_game.rules import Battle
from demo_game.table import Table
from demo_game.window import glyphs
from demo_game.window.fights import Shown
from demo_game.window.page import Box, Page
from demo_game.window.shapes import ink

ROW_DICE = 5
ROLLS = 9
"""Faces that a rolling die shows in its time."""


def strip(page: Page, box: Box, table: Table, shown: Shown, *, waits: bool, rolls: bool) -> None:
    """Add the strip.

    Args:
        page: to this one.
        box: where.
        table: for the seats' colours.
        shown: which attack.
        waits: whether an attack of this player waits for its answer.
        rolls: whether dice may roll on the screen.
    """
    page.card(box)
    y = box.middle[1]
    if waits and not shown.running:
        page.write(
            "Attack sent: waiting for the host…",
            *box.middle,
            17.0,
            QUIET,
            room=box.width - 40,
            anchor="center",
            layer=2,
        )
        return
    battle = shown.battle
    if battle is None:
        said = "The dice of each attack are shown here."
        page.write(said, *box.middle, 16.0, QUIET, room=box.width - 40, anchor="center", layer=2)
        return
    half = (box.width - 190) / 2
    rolling = shown.rolling and rolls
    left, right = Box(box.x, box.y, half, box.height), Box(box.right - half, box.y, half, box.height)
    _side(page, left, table, battle, shown, attacks=True, rolling=rolling)
    _side(page, right, table, battle, shown, attacks=False, rolling=rolling)
    middle = box.middle[0]
    hidden = shown.running and shown.rolling
    won = battle.captured
    verb = "against" if hidden else ("beats" if won else "fails")
    colour = QUIET if hidden else (GREEN if won else RED)
    page.write(verb, middle, y, 17.0, colour, room=74, bold=not hidden, anchor="center", layer=2)
    if not hidden:
        for dice, x, anchor in ((battle.attack, middle - 44, "right"), (battle.defence, middle + 44, "left")):
            page.write(str(sum(dice)), x, y, 27.0, room=48, bold=True, anchor=anchor, layer=2)


def _side(
    page: Page, box: Box, table: Table, battle: Battle, shown: Shown, *, attacks: bool, rolling: bool
) -> None:
    """Add one side's sign and dice, the sign outermost; more than five dice stand in two rows."""
    dice = battle.attack if attacks else battle.defence
    seat = battle.seat if attacks else battle.foe
    if seat >= len(table.seats):
        return
    colour = table.seats[seat].colour
    sign = box.x + 32 if attacks else box.right - 32
    page.draw(glyphs.glyph(colour, sign, box.middle[1], 26.0, ink(SEATS[colour])), 2)
    rows = 2 if len(dice) > ROW_DICE else 1
    in_row = -(-len(dice) // rows)
    side = min(36.0, (box.height - 12) / rows - 4, (box.width - 66) / max(4, in_row) - 5)
    step = side + 5
    first = box.x + 62 if attacks else box.right - 62 - step * in_row + 5
    top = box.middle[1] - (rows * step - 5) / 2
    for number, face in enumerate(dice):
        pips = _rolling(face, number, shown.part, attacks) if rolling else face
        row, column = divmod(number, in_row)
        page.draw(glyphs.die(first + step * column, top + step * row, side, pips, warm=not attacks), 2)


def _rolling(face: int, number: int, part: float, attacks: bool) -> int:
    """Return what a rolling die shows: anything, a few times; the true face is not known from it."""
    turn = int(part * ROLLS * 1.6)
    return hashlib.blake2s(bytes([face, number, turn, attacks])).digest()[0] % 6 + 1
