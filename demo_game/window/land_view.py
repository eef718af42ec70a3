"""The map on a page: territories, outlines, dice labels, odds."""

from __future__ import annotations

from dataclasses import dataclass

from demo_game.land import SEA
from demo_game.palette import AMBER, BACKGROUND, SEATS, TEXT, Colour
from demo_game.rules import Battle
from demo_game.table import Table
from demo_game.window import glyphs, hexes, shapes
from demo_game.window.aim import Aim, attackers, odds, targets
from demo_game.window.fights import Shown
from demo_game.window.hexes import Chart
from demo_game.window.page import Box, Page
from demo_game.window.shapes import ink, mixed

DIM_PERCENT = 34
"""How far territories that cannot be used now move towards the background."""
_INK: Colour = (18, 22, 30)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the map shows beside the position."""

    table: Table
    shown: Shown
    mine: bool
    """Whether the player who looks may attack now."""
    aim: Aim
    pending: tuple[int, int] | None
    """An attack that waits for its answer: from where, to where."""
    pulse: float
    """0 to 1, going up and down; 1 where motion is unwanted."""
    shows_cursor: bool


def draw_land(page: Page, chart: Chart, sight: Sight) -> None:
    """Add the map."""
    position = sight.shown.position
    page.draw(hexes.shadow(chart), 0)
    usable = set(attackers(position)) if sight.mine else set()
    chosen = sight.aim.chosen
    reach = set(targets(position, chosen)) if sight.mine and chosen != SEA else set()
    fought = _fought(sight)
    for territory in range(position.size.territories):
        lit = not sight.mine or territory in usable | reach or territory in fought
        colour = SEATS[sight.table.seats[position.owners[territory]].colour]
        ground = colour if lit else mixed(colour, BACKGROUND, DIM_PERCENT)
        page.draw(hexes.ground(chart, territory, ground), 1)
        page.draw(hexes.outline(chart, territory, 2.6, ink(BACKGROUND)), 2)
        _label(page, chart, sight, territory, lit=lit)
    for territory in usable - {chosen}:
        page.draw(hexes.outline(chart, territory, 1.6, ink((255, 255, 255), 150)), 3)
    for territory in reach:
        page.draw(hexes.outline(chart, territory, 2.2, ink(AMBER, 235)), 4)
    if chosen != SEA and sight.mine:
        page.draw(hexes.outline(chart, chosen, 4.0, ink((255, 255, 255))), 5)
    for territory in fought:
        alpha = int(130 + 125 * sight.pulse)
        page.draw(hexes.outline(chart, territory, 4.0, ink((255, 255, 255), alpha)), 5)
    _pointed(page, chart, sight, reach)


def _fought(sight: Sight) -> tuple[int, ...]:
    """Return the two territories of the attack that is being shown, or that waits for its answer."""
    battle: Battle | None = sight.shown.battle
    if sight.shown.running and battle is not None:
        return battle.source, battle.target
    return sight.pending or ()


def _label(page: Page, chart: Chart, sight: Sight, territory: int, *, lit: bool) -> None:
    """Add a territory's sign and dice, in a pill in its middle."""
    position = sight.shown.position
    x, y = chart.label_at(territory)
    unit = min(1.25, chart.step / 29.0)
    width, height = 44 * unit, 23 * unit
    own = sight.table.seats[position.owners[territory]].colour
    ground = (255, 255, 255) if lit else (186, 192, 202)
    page.draw(shapes.rounded(x - width / 2, y - height / 2, width, height, height / 2, ink(ground, 232)), 6)
    page.draw(glyphs.glyph(own, x - 9.5 * unit, y, 14 * unit, ink(_INK)), 7)
    dice = str(position.dice[territory])
    page.write(dice, x + 9 * unit, y, 17.0 * unit, _INK, room=18 * unit, bold=True, anchor="center", layer=7)


def _pointed(page: Page, chart: Chart, sight: Sight, reach: set[int]) -> None:
    """Add what follows the pointer and the cursor: an outline, and the chance to win."""
    looked = sight.aim.looked_at
    if sight.shows_cursor and sight.aim.cursor != SEA:
        page.draw(hexes.outline(chart, sight.aim.cursor, 2.4, ink((255, 255, 255))), 8)
    if looked == SEA or not sight.mine or looked not in reach:
        return
    percent = odds(sight.shown.position, sight.aim.chosen, looked)
    words = f"{percent} %"
    x, y = chart.label_at(looked)
    width = page.look.measure(words, 16.0, True) + 22
    top = y - 46 if y - 46 > 70 else y + 18
    page.panel(Box(x - width / 2, top, width, 28), (20, 26, 38), radius=14.0, layer=9)
    page.draw(shapes.frame(x - width / 2, top, width, 28, 14.0, 1.5, ink(AMBER)), 10)
    page.write(words, x, top + 14, 16.0, TEXT, room=width - 8, bold=True, anchor="center", layer=10)
