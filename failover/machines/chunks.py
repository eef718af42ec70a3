"""Snapshots of the ready machines: many small parts, made into pieces that take well under 5 ms, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from failover import MalformedBytes

PIECE_SIZE = 64 * 1024
"""Of small entries, 64 KiB take 0.3 ms to put together."""


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts, joined to pieces of about `PIECE_SIZE`."""
    held, size = [], 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE_SIZE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


class Chunks:
    """Reads a snapshot as it comes, however it was cut. Raises MalformedBytes for what is none."""

    def __init__(self, chunks: Iterable[bytes], form: bytes) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self.check(self.take(len(form)) == form, "of another kind or version")

    def take(self, size: int) -> bytes:
        """So many bytes."""
        while self._at + size > len(self._data):
            chunk = next(self._chunks, None)
            if chunk is None:
                raise MalformedBytes("this snapshot is cut off")
            self._data = self._data[self._at :] + chunk
            self._at = 0
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int = 8) -> int:
        """A whole number."""
        return int.from_bytes(self.take(size), "big")

    def end(self) -> None:
        """Nothing follows."""
        self.check(self._at == len(self._data) and not any(self._chunks), "too long")

    def check(self, condition: bool, otherwise: str) -> None:
        """What a snapshot must be."""
        if not condition:
            raise MalformedBytes(f"this snapshot is {otherwise}")
