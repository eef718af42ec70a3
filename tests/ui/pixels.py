"""What an X window shows, as pixels: read by `xwd`, written as PNG."""

from __future__ import annotations

import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pixels:
    """A picture; rows from the top, three bytes a pixel."""

    width: int
    height: int
    rows: bytes

    def at(self, x: float, y: float) -> Colour:
        """Return the colour of a pixel."""
        start = 3 * (round(y) * self.width + round(x))
        red, green, blue = self.rows[start : start + 3]
        return red, green, blue

    def save(self, path: Path) -> Path:
        """Write a PNG file (ISO 15948: signature, header, one compressed run of rows, end)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        row = 3 * self.width
        raw = b"".join(b"\0" + self.rows[start : start + row] for start in range(0, len(self.rows), row))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(raw, 6)), _chunk(b"IEND", b""))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        return path


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read_window(window: str, environment: dict[str, str]) -> Pixels:
    """Read what a window shows; what other windows cover is not there."""
    command = ["xwd", "-silent", "-id", window]
    raw = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=20).stdout
    header = struct.unpack(">25I", raw[:100])
    size, width, height, row, colours = header[0], header[4], header[5], header[12], header[19]
    start = size + 12 * colours
    rows = bytearray(3 * width * height)
    for y in range(height):
        line = raw[start + y * row : start + y * row + 4 * width]  # blue, green, red, nothing
        here = 3 * width * y
        for channel in range(3):
            rows[here + channel : here + 3 * width : 3] = line[2 - channel :: 4]
    return Pixels(width, height, bytes(rows))
