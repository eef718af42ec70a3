"""Signs that are drawn and not written: the eight glyphs of the seats, the host's crown, dice, a few marks.

Shapes and no letters of a font: they look the same everywhere, and tell the seats apart where colours do not.
"""

from __future__ import annotations

import math
from functools import lru_cache

from demo_game.window.shapes import Ink, Mesh, Point, arc, disc, ink, polygon, rounded, stroke, together

_FACE = ink((236, 242, 248))
_FACE_WARM = ink((252, 244, 224))
_PIP = ink((20, 24, 32))

_PIPS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    2: ((-1, -1), (1, 1)),
    3: ((-1, -1), (0, 0), (1, 1)),
    4: ((-1, -1), (1, -1), (-1, 1), (1, 1)),
    5: ((-1, -1), (1, -1), (0, 0), (-1, 1), (1, 1)),
    6: ((-1, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (1, 1)),
}


@lru_cache(maxsize=4_096)
def glyph(colour: int, x: float, y: float, size: float, shade: Ink) -> Mesh:
    """Return the sign of a seat's colour (0 to 7), centred, `size` across."""
    return _DRAWN[colour](x, y, size / 2, shade)


def _circle(x: float, y: float, half: float, shade: Ink) -> Mesh:
    return disc(x, y, half * 0.9, shade)


def _triangle(x: float, y: float, half: float, shade: Ink) -> Mesh:
    return _regular(x, y + half * 0.16, half * 1.06, 3, -0.25, shade)


def _square(x: float, y: float, half: float, shade: Ink) -> Mesh:
    side = half * 0.8
    return polygon(((x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)), shade)


def _diamond(x: float, y: float, half: float, shade: Ink) -> Mesh:
    wide = half * 0.8
    return polygon(((x, y - half), (x + wide, y), (x, y + half), (x - wide, y)), shade)


def _star(x: float, y: float, half: float, shade: Ink) -> Mesh:
    outer = _around(x, y + half * 0.05, half * 1.08, 5, -0.25)
    inner = _around(x, y + half * 0.05, half * 0.46, 5, -0.15)
    rays = [polygon((outer[k], inner[k], (x, y), inner[k - 1]), shade) for k in range(5)]
    return together(polygon(tuple(inner), shade), *rays)


def _cross(x: float, y: float, half: float, shade: Ink) -> Mesh:
    arm, long = half * 0.34, half * 0.94
    across = ((x - long, y - arm), (x + long, y - arm), (x + long, y + arm), (x - long, y + arm))
    down = ((x - arm, y - long), (x + arm, y - long), (x + arm, y + long), (x - arm, y + long))
    return together(polygon(across, shade), polygon(down, shade))


def _pentagon(x: float, y: float, half: float, shade: Ink) -> Mesh:
    return _regular(x, y + half * 0.06, half * 1.0, 5, -0.25, shade)


def _ring(x: float, y: float, half: float, shade: Ink) -> Mesh:
    thick = half * 0.42
    return stroke(tuple(arc(x, y, half * 0.92 - thick / 2, 0.0, 1.0, 24)[:-1]), thick, shade)


def _around(x: float, y: float, radius: float, count: int, turn: float) -> list[Point]:
    angles = [math.tau * (turn + k / count) for k in range(count)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _regular(x: float, y: float, radius: float, count: int, turn: float, shade: Ink) -> Mesh:
    return polygon(tuple(_around(x, y, radius, count, turn)), shade)


_DRAWN = (_circle, _triangle, _square, _diamond, _star, _cross, _pentagon, _ring)


@lru_cache(maxsize=256)
def crown(x: float, y: float, size: float, shade: Ink) -> Mesh:
    """Return the sign of the host."""
    half, base = size / 2, size * 0.28
    low = y + base
    points = ((-half, -base), (-half / 2, base * 0.2), (0.0, -half), (half / 2, base * 0.2), (half, -base))
    spikes = [
        polygon(((x - half, low), (x + dx, y + dy), (x + half, low)), shade) for dx, dy in points if dy <= -base
    ]
    foot = ((x - half, low), (x + half, low), (x + half, low + size * 0.16), (x - half, low + size * 0.16))
    return together(*spikes, polygon(foot, shade))


@lru_cache(maxsize=1_024)
def die(x: float, y: float, size: float, pips: int, *, warm: bool = False, alpha: int = 255) -> Mesh:
    """Return a die with its top left corner at a point; the defender's are warmer."""
    face = _FACE_WARM if warm else _FACE
    middle, step, dot = size / 2, size * 0.27, size * 0.095
    dots = [
        disc(x + middle + dx * step, y + middle + dy * step, dot, (*_PIP[:3], alpha)) for dx, dy in _PIPS[pips]
    ]
    return together(rounded(x, y, size, size, size * 0.2, (*face[:3], alpha)), *dots)


@lru_cache(maxsize=64)
def tick(x: float, y: float, size: float, shade: Ink) -> Mesh:
    """Return a check mark."""
    points = ((x - size * 0.4, y), (x - size * 0.1, y + size * 0.3), (x + size * 0.42, y - size * 0.34))
    return stroke(points, size * 0.18, shade, closed=False)


@lru_cache(maxsize=64)
def chevron(x: float, y: float, size: float, shade: Ink, *, left: bool) -> Mesh:
    """Return an arrow head, for choices that go round."""
    way = -1.0 if left else 1.0
    points = (
        (x - way * size * 0.25, y - size * 0.5),
        (x + way * size * 0.25, y),
        (x - way * size * 0.25, y + size * 0.5),
    )
    return stroke(points, size * 0.22, shade, closed=False)


@lru_cache(maxsize=64)
def plug(x: float, y: float, size: float, shade: Ink) -> Mesh:
    """Return the sign of pulling the plug."""
    half = size / 2
    body = rounded(x - half * 0.55, y - half * 0.3, half * 1.1, half * 0.75, half * 0.25, shade)
    prongs = [
        rounded(x + dx * half - half * 0.1, y - half * 0.95, half * 0.2, half * 0.7, half * 0.08, shade)
        for dx in (-0.28, 0.28)
    ]
    cable = rounded(x - half * 0.09, y + half * 0.4, half * 0.18, half * 0.6, half * 0.05, shade)
    return together(body, *prongs, cable)
