"""Meshes: coloured triangles, made by pure functions and kept, so that equal shapes are one object.

Lengths are those of a page, y points down. Edges fade out over about a pixel (`FEATHER`), since a window without
multisampling has no other way to smooth them. Colours have an alpha, 0 to 255.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from demo_game.palette import Colour

FEATHER = 1.0
_KEPT = 8_192
"""Shapes that are remembered; a board in play uses about 700."""

Point = tuple[float, float]
Ink = tuple[int, int, int, int]
"""Red, green, blue, alpha."""


class Mesh:
    """Triangles. Two meshes are equal if they are the same object: the functions below remember what they made."""

    __slots__ = ("inks", "points")

    def __init__(self, points: Sequence[float], inks: Sequence[int]) -> None:
        self.points = tuple(points)
        """x, y of each corner, three corners a triangle."""
        self.inks = tuple(inks)
        """Red, green, blue, alpha of each corner."""


def ink(colour: Colour, alpha: int = 255) -> Ink:
    """Return a colour with an alpha."""
    return (*colour, alpha)


def mixed(one: Colour, other: Colour, percent: int) -> Colour:
    """Return a colour between two: 0 is the one, 100 the other."""
    red, green, blue = ((a * (100 - percent) + b * percent) // 100 for a, b in zip(one, other, strict=True))
    return red, green, blue


class _Builder:
    def __init__(self) -> None:
        self.points: list[float] = []
        self.inks: list[int] = []

    def triangle(self, corners: Sequence[Point], inks: Sequence[Ink]) -> None:
        for (x, y), shade in zip(corners, inks, strict=True):
            self.points += (x, y)
            self.inks += shade

    def quad(self, corners: Sequence[Point], inks: Sequence[Ink]) -> None:
        a, b, c, d = corners
        i, j, k, m = inks
        self.triangle((a, b, c), (i, j, k))
        self.triangle((a, c, d), (i, k, m))

    def mesh(self) -> Mesh:
        return Mesh(self.points, self.inks)


def _clear(shade: Ink) -> Ink:
    return (*shade[:3], 0)


def _outwards(corners: Sequence[Point], by: float) -> list[Point]:
    """Move a closed outline outwards (inwards if negative), keeping its edges parallel."""
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise((*corners, corners[0])))
    sign = 1.0 if area > 0 else -1.0
    moved = []
    for place, (x, y) in enumerate(corners):
        (x0, y0), (x1, y1) = corners[place - 1], corners[(place + 1) % len(corners)]
        n0 = _normal(x0, y0, x, y, sign)
        n1 = _normal(x, y, x1, y1, sign)
        mx, my = n0[0] + n1[0], n0[1] + n1[1]
        scale = 2.0 / max(0.5, mx * mx + my * my)  # longer at corners, but no spikes
        moved.append((x + mx * scale * by, y + my * scale * by))
    return moved


def _normal(x0: float, y0: float, x1: float, y1: float, sign: float) -> Point:
    dx, dy = x1 - x0, y1 - y0
    length = math.hypot(dx, dy) or 1.0
    return sign * dy / length, -sign * dx / length


def _fill(builder: _Builder, corners: Sequence[Point], inks: Sequence[Ink], feather: float) -> None:
    """Fill a convex outline, with an edge that fades out."""
    inner = _outwards(corners, -feather / 2) if feather else list(corners)
    for place in range(1, len(inner) - 1):
        triple = (0, place, place + 1)
        builder.triangle([inner[p] for p in triple], [inks[p] for p in triple])
    if feather:
        outer = _outwards(corners, feather / 2)
        for place in range(len(corners)):
            after = (place + 1) % len(corners)
            edge = (inner[place], inner[after], outer[after], outer[place])
            fades = (inks[place], inks[after], _clear(inks[after]), _clear(inks[place]))
            builder.quad(edge, fades)


@lru_cache(maxsize=_KEPT)
def polygon(corners: tuple[Point, ...], shade: Ink, to: Ink | None = None, feather: float = FEATHER) -> Mesh:
    """Return a filled convex polygon; with `to`, its colour changes from top to bottom."""
    builder = _Builder()
    _fill(builder, corners, _gradient(corners, shade, to), feather)
    return builder.mesh()


def _gradient(corners: Sequence[Point], shade: Ink, to: Ink | None) -> list[Ink]:
    if to is None:
        return [shade] * len(corners)
    top = min(y for _, y in corners)
    span = max(y for _, y in corners) - top or 1.0
    return [_between(shade, to, (y - top) / span) for _, y in corners]


def _between(one: Ink, other: Ink, part: float) -> Ink:
    red, green, blue, alpha = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue, alpha


def arc(x: float, y: float, radius: float, first: float, last: float, steps: int) -> list[Point]:
    """Return points on a circle, from one angle to another, in turns of a whole circle; 0 is at the right."""
    angles = [math.tau * (first + (last - first) * step / steps) for step in range(steps + 1)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _rounded_corners(x: float, y: float, width: float, height: float, radius: float) -> tuple[Point, ...]:
    radius = max(0.01, min(radius, width / 2, height / 2))
    steps = max(3, int(radius))
    left, right, top, bottom = x + radius, x + width - radius, y + radius, y + height - radius
    return tuple(
        arc(right, top, radius, 0.75, 1.0, steps)
        + arc(right, bottom, radius, 0.0, 0.25, steps)
        + arc(left, bottom, radius, 0.25, 0.5, steps)
        + arc(left, top, radius, 0.5, 0.75, steps)
    )


@lru_cache(maxsize=_KEPT)
def rounded(
    x: float, y: float, width: float, height: float, radius: float, shade: Ink, to: Ink | None = None
) -> Mesh:
    """Return a rectangle with round corners."""
    return polygon(_rounded_corners(x, y, width, height, radius), shade, to)


@lru_cache(maxsize=_KEPT)
def frame(x: float, y: float, width: float, height: float, radius: float, thick: float, shade: Ink) -> Mesh:
    """Return the outline of such a rectangle, drawn inside it."""
    half = thick / 2
    corners = _rounded_corners(x + half, y + half, width - thick, height - thick, radius - half)
    return stroke(corners, thick, shade)


@lru_cache(maxsize=_KEPT)
def rectangle(x: float, y: float, width: float, height: float, shade: Ink, to: Ink | None = None) -> Mesh:
    """Return a rectangle with sharp corners."""
    return polygon(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), shade, to, 0.0)


@lru_cache(maxsize=_KEPT)
def disc(x: float, y: float, radius: float, shade: Ink) -> Mesh:
    """Return a filled circle."""
    return polygon(tuple(arc(x, y, radius, 0.0, 1.0, max(12, int(radius * 3)))[:-1]), shade)


@lru_cache(maxsize=_KEPT)
def stroke(corners: tuple[Point, ...], thick: float, shade: Ink, closed: bool = True) -> Mesh:
    """Return a line along points, as thick as given, half of it at either side."""
    builder = _Builder()
    if closed:
        ways = [_outwards(corners, by) for by in _depths(thick)]
        ways = [[*way, way[0]] for way in ways]
    else:
        ways = [_beside(corners, by) for by in _depths(thick)]
    for one, other, alphas in zip(ways, ways[1:], ((0, 1), (1, 1), (1, 0)), strict=False):
        first, second = (shade if alpha else _clear(shade) for alpha in alphas)
        for place in range(len(one) - 1):
            quad = (one[place], one[place + 1], other[place + 1], other[place])
            builder.quad(quad, (first, first, second, second))
    return builder.mesh()


def _depths(thick: float) -> tuple[float, float, float, float]:
    half, fade = thick / 2, FEATHER / 2
    return -half - fade, -max(0.0, half - fade), max(0.0, half - fade), half + fade


def _beside(points: Sequence[Point], by: float) -> list[Point]:
    moved = []
    for place, (x, y) in enumerate(points):
        (x0, y0), (x1, y1) = points[max(0, place - 1)], points[min(len(points) - 1, place + 1)]
        nx, ny = _normal(x0, y0, x1, y1, 1.0)
        moved.append((x + nx * by, y + ny * by))
    return moved


@lru_cache(maxsize=_KEPT)
def together(*meshes: Mesh) -> Mesh:
    """Return several meshes as one, drawn in this order."""
    points: list[float] = []
    inks: list[int] = []
    for mesh in meshes:
        points += mesh.points
        inks += mesh.inks
    return Mesh(points, inks)
