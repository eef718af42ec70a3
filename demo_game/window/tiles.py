"""Where several windows go on one screen: side by side if it is large enough, else overlapping, each in sight.

Pure arithmetic, in pixels.
"""

from __future__ import annotations

import math

from demo_game.players import Spot

LEAST = 960, 540
TITLE = 30
"""About how high the bar above a window is."""


def tiles(screen: Spot, windows: int, *, below_title: bool = False, width_max: int = 10_000) -> list[Spot]:
    """Return a place for each window, row by row: as large as can be, of 16 by 9, at least 960x540.

    Args:
        screen: the part of the desktop that may be used.
        windows: how many, from 1.
        below_title: whether a place is that of a window's content, or as on macOS that of its frame.
        width_max: no window is wider.
    """
    columns = max(range(1, windows + 1), key=lambda columns: _width(screen, windows, columns))
    width = min(width_max, _width(screen, windows, columns))
    if width < LEAST[0]:
        columns, width = math.ceil(math.sqrt(windows)), LEAST[0]
    height = width * 9 // 16
    rows = math.ceil(windows / columns)
    xs = _spread(screen.x, screen.width - width, columns)
    ys = _spread(screen.y, screen.height - height - TITLE, rows)
    down = TITLE if below_title else 0
    return [Spot(xs[k % columns], ys[k // columns] + down, width, height) for k in range(windows)]


def overlap(spots: list[Spot]) -> bool:
    """Tell whether some window covers a part of another one, title bars aside."""
    return any(
        abs(one.x - other.x) < one.width and abs(one.y - other.y) < one.height
        for number, one in enumerate(spots)
        for other in spots[:number]
    )


def _width(screen: Spot, windows: int, columns: int) -> int:
    """Return the greatest width of windows in so many columns."""
    rows = math.ceil(windows / columns)
    high = max(0, screen.height // rows - TITLE)
    return min(screen.width // columns, high * 16 // 9)


def _spread(first: int, room: int, count: int) -> list[int]:
    """Return places from the first to the last that there is room for, evenly."""
    room = max(0, room)
    return [first + (room * k // (count - 1) if count > 1 else 0) for k in range(count)]
