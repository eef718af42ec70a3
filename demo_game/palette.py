"""Colours and glyphs of the eight seats, for every kind of screen.

The colours keep their distance under the three common kinds of colour blindness; in grey some are alike, so a
glyph goes with every colour, and is never left out.
"""

from __future__ import annotations

from typing import Final

Colour = tuple[int, int, int]

SEATS: Final[tuple[Colour, ...]] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (222, 143, 190),
    (124, 200, 246),
    (196, 64, 20),
    (245, 235, 110),
    (222, 226, 232),
)
GLYPHS: Final = "●▲■◆★✚⬟○"
"""Circle, triangle, square, diamond, star, cross, pentagon, ring."""

BACKGROUND: Final[Colour] = (13, 17, 23)
CARD: Final[Colour] = (22, 27, 39)
ROW: Final[Colour] = (33, 39, 54)
RAISED: Final[Colour] = (48, 56, 76)
TEXT: Final[Colour] = (230, 234, 240)
QUIET: Final[Colour] = (146, 156, 172)
"""Readable on a card: a contrast of 6 to 1."""
AMBER: Final[Colour] = (240, 190, 80)
GREEN: Final[Colour] = (90, 210, 140)
RED: Final[Colour] = (240, 90, 80)
LEAF: Final[Colour] = (36, 128, 92)
"""What one is meant to press."""


def shaded(colour: Colour, percent: int) -> Colour:
    """Return a colour made darker: 100 leaves it as it is, 0 is black."""
    red, green, blue = (part * percent // 100 for part in colour)
    return red, green, blue


def code(colour: Colour) -> str:
    """Return a colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
