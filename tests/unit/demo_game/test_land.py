from __future__ import annotations

from collections import Counter

import pytest

from demo_game.balance import seed_number
from demo_game.land import SEA, SIZES, Land, Size, adjacent, grow


def reached(land: Land) -> set[int]:
    found, todo = {0}, [0]
    while todo:
        for other in land.neighbours[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_every_map_is_whole_connected_and_of_fair_pieces(size: Size) -> None:
    for number in range(20):
        land = grow(seed_number(number), size)
        cells = Counter(territory for territory in land.cells if territory != SEA)
        assert sorted(cells) == list(range(size.territories))
        assert min(cells.values()) >= 6 and max(cells.values()) <= 13
        assert len(reached(land)) == size.territories
        for territory, near in enumerate(land.neighbours):
            assert territory not in near and list(near) == sorted(near)
            assert all(territory in land.neighbours[other] for other in near)
            assert land.cells[land.centres[territory]] == territory


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_touching_is_mutual_and_inner_cells_touch_six(size: Size) -> None:
    for cell in range(size.width * size.height):
        near = list(adjacent(size, cell))
        assert len(near) == len(set(near))
        assert all(cell in adjacent(size, other) for other in near)
        row, column = divmod(cell, size.width)
        if 0 < row < size.height - 1 and 0 < column < size.width - 1:
            assert len(near) == 6


def test_seeds_give_different_maps() -> None:
    assert len({grow(seed_number(n), SIZES[0]).cells for n in range(10)}) == 10
