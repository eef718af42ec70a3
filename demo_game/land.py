"""The map: territories grown from the seed on a hex grid, in integers only.

The land is connected by construction: a territory starts beside the land that is there and grows cell by cell.
Hexes have a point at the top; odd rows stand half a cell to the right. A cell is `row * width + column`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from demo_game.coding import U8
from demo_game.luck import Draws

SEA: Final = -1


@dataclass(frozen=True, slots=True)
class Size:
    """One of the two sizes of map."""

    name: str
    width: U8
    height: U8
    territories: U8


SMALL: Final = Size("small", 22, 16, 24)
STANDARD: Final = Size("standard", 30, 21, 40)
SIZES: Final = (SMALL, STANDARD)
"""A position names its size by its place in here."""

_CELLS_MIN, _CELLS_MAX = 6, 13
"""A territory stops growing at a size drawn from 9 to the largest; one stuck below the smallest is given up."""


@dataclass(frozen=True, slots=True)
class Land:
    """A finished map."""

    size: Size
    cells: tuple[int, ...]
    """The territory of each cell of the grid; `SEA` where there is none."""
    neighbours: tuple[tuple[int, ...], ...]
    """For each territory, those that share an edge with it, in rising order."""
    centres: tuple[int, ...]
    """For each territory the cell that lies deepest in it: where its dice are shown."""


def adjacent(size: Size, cell: int) -> Iterator[int]:
    """Yield the up to six cells that share an edge with this one."""
    row, column = divmod(cell, size.width)
    shift = row % 2
    for up, left in ((0, -1), (0, 1), (-1, shift - 1), (-1, shift), (1, shift - 1), (1, shift)):
        if 0 <= row + up < size.height and 0 <= column + left < size.width:
            yield (row + up) * size.width + column + left


@lru_cache(maxsize=64)
def grow(seed: bytes, size: Size) -> Land:
    """Grow the map that belongs to a seed; the same seed gives the same map, here and everywhere."""
    draws = Draws(seed, "land")
    while True:
        cells = _attempt(draws, size)
        if cells is not None:
            return _survey(size, cells)


def _attempt(draws: Draws, size: Size) -> list[int] | None:
    """Try to grow all territories; None if the grid filled up before. Most first attempts succeed."""
    around = [tuple(adjacent(size, cell)) for cell in range(size.width * size.height)]
    open_cells = {cell for cell in range(len(around)) if _in_oval(size, cell)}
    cells = [SEA] * len(around)
    shore = [size.height // 2 * size.width + size.width // 2]
    territory = 0
    while territory < size.territories:
        shore = [cell for cell in shore if cell in open_cells]
        if not shore:
            return None
        start = min((shore[draws.below(len(shore))] for _ in range(3)), key=lambda c: _off_centre(size, c))
        grown = _territory(draws, around, open_cells, start)
        open_cells.difference_update(grown)
        if len(grown) < _CELLS_MIN:
            continue  # too small to carry its dice on a screen: these few cells stay a lake
        for cell in grown:
            cells[cell] = territory
            shore.extend(around[cell])
        territory += 1
    return cells


def _territory(draws: Draws, around: list[tuple[int, ...]], open_cells: set[int], start: int) -> list[int]:
    """Grow one territory from `start` over open cells; it prefers cells that touch it twice, to stay compact."""
    wanted = 9 + draws.below(_CELLS_MAX - 8)
    grown = [start]
    while len(grown) < wanted:
        edge = [cell for own in grown for cell in around[own] if cell in open_cells and cell not in grown]
        if not edge:
            break
        # A cell stands in `edge` once for each own cell it touches, so compact shapes are likelier already;
        # the best of two draws makes them likelier still.
        picks = [edge[draws.below(len(edge))] for _ in range(2)]
        grown.append(max(picks, key=edge.count))
    return grown


def _off_centre(size: Size, cell: int) -> int:
    """Return how far a cell lies from the middle: 0 to about 100 on the rim, squared and per cent."""
    row, column = divmod(cell, size.width)
    across = (2 * column + row % 2 - size.width + 1) ** 2 * 100 // size.width**2
    down = (2 * row - size.height + 1) ** 2 * 100 // size.height**2
    return across + down


def _in_oval(size: Size, cell: int) -> bool:
    """Tell whether a cell lies in the oval that lands keep to; its corners would look like a full box."""
    return _off_centre(size, cell) <= 112


def _survey(size: Size, cells: list[int]) -> Land:
    """Work out who borders on whom, and where the dice of each territory go."""
    borders: list[set[int]] = [set() for _ in range(size.territories)]
    for cell, here in enumerate(cells):
        for other in adjacent(size, cell):
            if here != SEA and cells[other] not in (SEA, here):
                borders[here].add(cells[other])
    centres = tuple(_centre(size, cells, territory) for territory in range(size.territories))
    return Land(size, tuple(cells), tuple(tuple(sorted(b)) for b in borders), centres)


def _centre(size: Size, cells: list[int], territory: int) -> int:
    """Return the cell with the most own cells within two steps; the first of equals, in order of cells."""

    def depth(cell: int) -> int:
        near = [other for other in adjacent(size, cell) if cells[other] == territory]
        return 8 * len(near) + sum(cells[far] == territory for other in near for far in adjacent(size, other))

    own = [cell for cell, here in enumerate(cells) if here == territory]
    return max(own, key=depth)
