"""Letters in the order and the form in which they are drawn, for scripts that run from right to left.

Windows and macOS do this by themselves where pyglet draws with their own letters; FreeType (Linux) draws one sign
after the other as it gets them, so there names in Hebrew would be backwards, and Arabic letters would stand apart.
"""

from __future__ import annotations

import sys
from functools import lru_cache

_RIGHT_TO_LEFT = (
    (0x0590, 0x08FF),  # Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic
    (0xFB1D, 0xFDFF),  # their presentation forms
    (0xFE70, 0xFEFF),
    (0x10800, 0x10FFF),
    (0x1E800, 0x1EFFF),
)


def runs_left(words: str) -> bool:
    """Tell whether a text has letters of a script that runs from right to left."""
    return any(first <= ord(sign) <= last for sign in words for first, last in _RIGHT_TO_LEFT)


@lru_cache(maxsize=2_000)
def displayed(words: str) -> str:
    """Return a line as it is to be drawn, from left to right."""
    if words.isascii() or sys.platform in ("win32", "darwin") or not runs_left(words):
        return words
    from arabic_reshaper import reshape  # noqa: PLC0415 - most players never need it
    from bidi import get_display  # noqa: PLC0415

    return str(get_display(str(reshape(words))))
