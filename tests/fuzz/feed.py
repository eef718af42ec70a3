"""A row of bytes as a target's source of decisions. Whatever the bytes are, they mean something.

Numbers come first and short, and a piece of bytes has its size before it, so that a fuzzer that copies, cuts and
joins rows makes rows that still mean something. `Row` writes what `Feed` reads: seeds are made with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Feed:
    """Reads; at its end all numbers are 0 and all pieces empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether all of it was read."""
        return self._at >= len(self._data)

    def number(self, size: int) -> int:
        """Of `size` bytes, little-endian."""
        return int.from_bytes(self._take(size), "little")

    def byte(self) -> int:
        """0 to 255."""
        return self.number(1)

    def choice(self, options: Sequence[_T]) -> _T:
        """One of them, by a byte."""
        return options[self.byte() % len(options)]

    def piece(self, size_max: int = 65_535) -> bytes:
        """Its size (u16), then so many bytes, as far as there are."""
        return self._take(self.number(2) % (size_max + 1))

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self._data))

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


class Row:
    """Writes what `Feed` reads."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def number(self, value: int, size: int) -> Row:
        """See `Feed.number`."""
        self._pieces.append(value.to_bytes(size, "little"))
        return self

    def choices(self, *values: int) -> Row:
        """See `Feed.byte` and `Feed.choice`: the place of the option."""
        self._pieces.append(bytes(values))
        return self

    def piece(self, data: bytes) -> Row:
        """See `Feed.piece`."""
        return self.number(len(data), 2).rest(data)

    def rest(self, data: bytes) -> Row:
        """See `Feed.rest`."""
        self._pieces.append(data)
        return self

    def done(self) -> bytes:
        """The input."""
        return b"".join(self._pieces)
