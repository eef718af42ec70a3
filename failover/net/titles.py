"""Titles of games, as strangers on the LAN send them and people's menus show them.

A title is somebody else's text on this one's screen. What would move a cursor, turn a line round or show nothing
at all goes; whether two titles only look alike is left to people, and to the address that comes with each.
"""

from __future__ import annotations

TITLE_SIZE_MAX = 96
"""Bytes of UTF-8."""

_NEVER_SHOWN = (
    (0x0000, 0x001F),  # escapes of terminals
    (0x007F, 0x009F),
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),
    (0x061C, 0x061C),  # direction marks, here and below: they turn the rest of a line round
    (0x115F, 0x1160),  # letters that are drawn as nothing, here, at 3164 and at FFA0
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xD800, 0xF8FF),  # halves of surrogate pairs, which no UTF-8 holds; what means something else everywhere
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    (0x1D173, 0x1D17A),
    (0xE0000, 0x10FFFF),
)
"""Written out, since the tables of `unicodedata` differ between versions of Python."""


def clean(title: str) -> str:
    """The title without control and invisible characters, its words parted by one space each; perhaps nothing.

    What is clean stays as it is.
    """
    words = ("".join(letter for letter in word if not _is_hidden(ord(letter))) for word in title.split())
    return " ".join(word for word in words if word)


def _is_hidden(code: int) -> bool:
    return any(first <= code <= last for first, last in _NEVER_SHOWN)
