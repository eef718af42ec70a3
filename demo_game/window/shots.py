"""Pictures that are asked for by file, so that a program can have them from a window of another process.

Who makes `NAME.ask` in the folder gets `NAME.png`, whole or not at all; the question is then gone.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pyglet


class Shots:
    """The folder of one window.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def wanted(self) -> bool:
        """Tell whether somebody asks."""
        return any(name.endswith(".ask") for name in os.listdir(self._folder))

    def take(self) -> None:
        """Answer every question with what was just drawn, and is not yet shown: after that it is undefined."""
        for question in sorted(self._folder.glob("*.ask")):
            beside = question.with_suffix(".part.png")
            save(beside)
            os.replace(beside, question.with_suffix(".png"))
            question.unlink(missing_ok=True)


def save(path: Path) -> None:
    """Write what the present context has drawn to a PNG file."""
    drawn = pyglet.image.get_buffer_manager().get_color_buffer().get_image_data()  # type: ignore[no-untyped-call]
    path.write_bytes(png(drawn.width, drawn.height, drawn.get_bytes("RGBA", drawn.width * 4)))


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return a picture as a PNG file (ISO 15948: signature, header, one compressed run of rows, end).

    pyglet's own encoder takes seconds for a window, in which that window stands still. Transparency is left out:
    blending leaves holes in a screen's alpha channel, which nobody sees there, and everybody would in the file.

    Args:
        width: in pixels.
        height: in pixels.
        pixels: red, green, blue and alpha of each, the lowest row first, as OpenGL has them.
    """
    opaque = bytearray(3 * width * height)
    for channel in range(3):
        opaque[channel::3] = pixels[channel::4]
    row = 3 * width
    rows = b"".join(b"\0" + opaque[y * row : (y + 1) * row] for y in reversed(range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (("IHDR", header), ("IDAT", zlib.compress(rows, 9)), ("IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind.encode(), body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
