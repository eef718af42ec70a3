"""What a scene is told about the moment: how large the page is, where the pointer and the focus are, what time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Measure = Callable[[str, float, bool], float]
"""Tells how wide a text is: words, size, bold. All in units of the page."""

WIDTH_MIN, HEIGHT_MIN = 1280.0, 720.0


@dataclass(frozen=True, slots=True)
class Look:
    """One moment."""

    width: float
    """Of the page, at least 1280; what a larger or a wider window has more is room, not larger letters."""
    height: float
    """At least 720."""
    measure: Measure
    now: float = 0.0
    """Seconds, on any clock that goes on; for animations."""
    focus: str = ""
    """The name of what the keyboard acts on."""
    hover: str = ""
    """The name of what the pointer is on."""
    shows_focus: bool = False
    """Whether the last input came from the keyboard."""


def page_size(width: int, height: int) -> tuple[float, float, float]:
    """Return the page's width and height for a window, and how many pixels a unit of the page is.

    960x540 and 1280x720 show the same page; so does any larger window of that shape, in larger letters.
    """
    scale = max(0.0001, min(width / WIDTH_MIN, height / HEIGHT_MIN))
    return width / scale, height / scale, scale
