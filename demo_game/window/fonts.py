"""Letters: which fonts, and how wide a text is in them.

The system's own sans-serif font, since a game that brings no font has none missing. pyglet's FreeType (Linux)
looks no further for signs that a font lacks, so there the others that may have them are named; Windows and macOS
look by themselves.
"""

from __future__ import annotations

import sys
from functools import lru_cache

from pyglet import font
from pyglet.font.base import Font

from demo_game.window.scripts import displayed

_FAMILIES = {
    "win32": ("Segoe UI", "Arial"),
    "darwin": ("Helvetica Neue", "Helvetica"),
}
_FAMILIES_ELSEWHERE = ("DejaVu Sans", "Noto Sans", "Liberation Sans", "FreeSans")
_MORE_SIGNS = (
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "FreeSans",
    "Unifont",
)
POINTS_PER_PIXEL = 72 / 96


def families() -> tuple[str, ...]:
    """Return the fonts to use, the best first."""
    return _FAMILIES.get(sys.platform, _FAMILIES_ELSEWHERE)


@lru_cache(maxsize=1)
def family() -> str:
    """Return the best font that this machine has; a name of ours where it has none: pyglet then takes any."""
    return next((name for name in families() if font.have_font(name)), families()[0])


@lru_cache(maxsize=128)
def load(pixels: float, bold: bool) -> Font:
    """Return a font by the height of its letters in pixels."""
    weight = "bold" if bold else "normal"
    loaded = font.load(family(), pixels * POINTS_PER_PIXEL, weight=weight)
    if sys.platform not in _FAMILIES and not getattr(loaded, "fallbacks", None):
        for name in _MORE_SIGNS:
            if name != family() and font.have_font(name):
                loaded.add_fallback(font.load(name, pixels * POINTS_PER_PIXEL, weight=weight))
    return loaded


@lru_cache(maxsize=20_000)
def width_px(words: str, pixels: float, bold: bool) -> float:
    """Return how many pixels wide a line is."""
    glyphs, places = load(pixels, bold).get_glyphs(displayed(words))
    return float(sum(glyph.advance + place.x_advance for glyph, place in zip(glyphs, places, strict=True)))
