"""Where the land lies on a page: hexes, territories, their outlines, and which one is at a point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from demo_game.land import SEA, Land, adjacent
from demo_game.palette import Colour
from demo_game.window.page import Box
from demo_game.window.shapes import Ink, Mesh, Point, ink, polygon, stroke, together

_ROW = math.sqrt(3) / 2
"""Half a row of hexes with a point at the top is this much of a column apart, times the square root of 3."""

_LIGHT = 10
"""A hex is so much lighter at its top, and darker at its foot; in its middle it has its owner's colour."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A land, laid out on a page."""

    land: Land
    left: float
    """Where the middle of the hex in row 0, column 0 is."""
    top: float
    step: float
    """From one hex to the next in its row."""

    @property
    def radius(self) -> float:
        """From a hex's middle to its corners."""
        return self.step / math.sqrt(3)

    def middle(self, cell: int) -> Point:
        """Return where the middle of a hex is."""
        row, column = divmod(cell, self.land.size.width)
        return self.left + self.step * (column + row % 2 / 2), self.top + self.step * _ROW * row

    def label_at(self, territory: int) -> Point:
        """Return where a territory's dice are shown."""
        return self.middle(self.land.centres[territory])

    def territory_at(self, x: float, y: float) -> int:
        """Return the territory at a point of the page; `SEA` if there is none."""
        size = self.land.size
        row = round((y - self.top) / (self.step * _ROW))
        best, best_distance = SEA, self.radius
        for near in (row - 1, row, row + 1):
            column = round((x - self.left) / self.step - near % 2 / 2)
            if 0 <= near < size.height and 0 <= column < size.width:
                cell = near * size.width + column
                mx, my = self.middle(cell)
                distance = math.hypot(x - mx, y - my)
                if distance < best_distance:
                    best, best_distance = self.land.cells[cell], distance
        return best


@lru_cache(maxsize=16)
def chart(land: Land, box: Box) -> Chart:
    """Lay a land out as large as a box allows, in its middle."""
    width = land.size.width
    cells = [cell for cell, territory in enumerate(land.cells) if territory != SEA]
    spots = [(cell % width + cell // width % 2 / 2, cell // width * _ROW) for cell in cells]
    x0, x1 = min(x for x, _ in spots), max(x for x, _ in spots)
    y0, y1 = min(y for _, y in spots), max(y for _, y in spots)
    step = min(box.width / (x1 - x0 + 1), box.height / (y1 - y0 + 2 / math.sqrt(3)), 56.0)
    x, y = box.middle
    return Chart(land, x - step * (x0 + x1) / 2, y - step * (y0 + y1) / 2, step)


def _corners(chart: Chart, cell: int, grow: float = 0.0) -> list[Point]:
    """Return a hex's corners, from the top to the right."""
    x, y = chart.middle(cell)
    radius = chart.radius + grow
    angles = [math.tau * (k / 6 - 0.25) for k in range(6)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


@lru_cache(maxsize=4_096)
def ground(chart: Chart, territory: int, colour: Colour) -> Mesh:
    """Return a territory's hexes; each is a little lighter at its top."""
    red, green, blue = colour
    top = min(255, red + _LIGHT), min(255, green + _LIGHT), min(255, blue + _LIGHT), 255
    foot = max(0, red - _LIGHT), max(0, green - _LIGHT), max(0, blue - _LIGHT), 255
    hexes = [
        # Grown by a hair, so that no line of the background shows between them.
        polygon(tuple(_corners(chart, cell, 0.35)), top, foot, 0.0)
        for cell, here in enumerate(chart.land.cells)
        if here == territory
    ]
    return together(*hexes)


@lru_cache(maxsize=1_024)
def outline(chart: Chart, territory: int, thick: float, shade: Ink) -> Mesh:
    """Return the line round a territory."""
    return together(*(stroke(tuple(loop), thick, shade) for loop in loops(chart, territory)))


@lru_cache(maxsize=16)
def shadow(chart: Chart) -> Mesh:
    """Return the shadow that the land throws on the sea."""
    down = chart.step * 0.2
    moved = Chart(chart.land, chart.left, chart.top + down, chart.step)
    cells = [cell for cell, here in enumerate(chart.land.cells) if here != SEA]
    shade = ink((4, 6, 9))
    return together(*(polygon(tuple(_corners(moved, cell, 1.5)), shade, None, 1.5) for cell in cells))


@lru_cache(maxsize=1_024)
def loops(chart: Chart, territory: int) -> list[list[Point]]:
    """Return the closed lines round a territory; more than one if it has a lake."""
    cells = {cell for cell, here in enumerate(chart.land.cells) if here == territory}
    edges: dict[tuple[int, int], tuple[tuple[int, int], Point]] = {}
    for cell in cells:
        corners = _corners(chart, cell)
        near = _by_side(chart.land, cell)
        for side in range(6):
            if near[side] not in cells:
                edges[_knot(chart.land, cell, side)] = _knot(chart.land, cell, side + 1), corners[side]
    found = []
    while edges:
        first = here = next(iter(edges))
        loop = []
        while True:
            here, point = edges.pop(here)
            loop.append(point)
            if here == first:
                break
        found.append(loop)
    return found


_KNOTS = ((0, -2), (1, -1), (1, 1), (0, 2), (-1, 1), (-1, -1))
"""Where a hex's corners are, in half columns and half radii from its middle."""


def _knot(land: Land, cell: int, corner: int) -> tuple[int, int]:
    """Return a corner's name: the same for the up to three hexes that meet in it."""
    row, column = divmod(cell, land.size.width)
    across, down = _KNOTS[corner % 6]
    return 2 * column + row % 2 + across, 3 * row + down


def _by_side(land: Land, cell: int) -> list[int]:
    """Return the neighbour beyond each side; side k lies between the corners k and k + 1. -1 = off the grid."""
    size = land.size
    row, column = divmod(cell, size.width)
    shift = row % 2
    sides = ((-1, shift), (0, 1), (1, shift), (1, shift - 1), (0, -1), (-1, shift - 1))
    near = []
    inside = set(adjacent(size, cell))
    for down, right in sides:
        other = (row + down) * size.width + column + right
        near.append(other if other in inside and 0 <= column + right < size.width else -1)
    return near
