"""The banner: amber while the host is silent, green after it moved, red while too few are reachable."""

from __future__ import annotations

from demo_game.palette import TEXT, Colour
from demo_game.window.page import Box, Page
from demo_game.window.scene import Around
from demo_game.window.shapes import mixed

_GROUNDS: dict[str, Colour] = {"silent": (122, 78, 12), "moved": (26, 104, 70), "alone": (130, 40, 36)}
LAYER = 8
SIZE = 18.0


def banner(page: Page, around: Around, box: Box) -> None:
    """Add the banner, if there is one: as wide as its words, in the middle of the box, never wider than it."""
    link = around.link
    shown = link.story.banner(page.look.now, link.table) if link is not None else None
    if shown is None:
        return
    if shown.tone == "silent":
        page.again(0.1)
    buttons = [(name, words, page.look.measure(words, 15.0, False) + 32) for name, words in shown.actions]
    beside = sum(width + 10 for _, _, width in buttons)
    words = page.fitted(shown.words, SIZE, box.width - 48 - beside, bold=True)
    wide = page.look.measure(words, SIZE, True) + 48 + beside
    x = box.x + (box.width - wide) / 2
    page.base += LAYER
    page.panel(Box(x, box.y, wide, box.height), _GROUNDS[shown.tone])
    page.write(words, x + 24, box.middle[1], SIZE, TEXT, room=wide - 46 - beside, bold=True, layer=2)
    right = x + wide - 10
    for name, label, width in reversed(buttons):
        spot = Box(right - width, box.y + 8, width, box.height - 16)
        lit = page.target(name, spot)
        page.panel(spot, mixed(_GROUNDS[shown.tone], (255, 255, 255), 28 if lit else 16), radius=7.0, layer=2)
        page.write(label, *spot.middle, 15.0, TEXT, room=width - 8, anchor="center", layer=3)
        right -= width + 10
    page.base -= LAYER
