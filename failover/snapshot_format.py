"""The bytes of a snapshot: the library's own tables, then the machine's pieces. Knows nothing of what they mean.

The tables may have megabytes of replies, and the loop has 5 ms for a piece. So they are coded a little at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2

LENGTH_SIZE = 4
CODED_AT_ONCE = 256 * 1024
"""Bytes; more than that is a piece of its own."""
ITEMS_AT_ONCE = 200
"""Values that are coded before others have a turn: about a millisecond."""


def framed(tables: list[Any], first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """The length of the coded tables, the tables, the machine's pieces.

    Pieces may be empty: between two, play goes on.
    """
    blocks: list[bytes] = []
    block, items = bytearray(), 0
    for part in _coded(tables):
        block += part
        items += 1
        if len(block) >= CODED_AT_ONCE or items == ITEMS_AT_ONCE:
            blocks.append(bytes(block))
            block, items = bytearray(), 0
            yield b""
    blocks.append(bytes(block))
    yield sum(map(len, blocks)).to_bytes(LENGTH_SIZE, "little")
    yield from blocks
    yield from chained(first, rest)


def unframed(chunks: Iterator[bytes]) -> tuple[list[Any], bytes]:
    """The tables, and what was read beyond them; chunks may have been cut anew on the way."""
    held = b""
    while len(held) < LENGTH_SIZE:
        held += next(chunks)
    end = LENGTH_SIZE + int.from_bytes(held[:LENGTH_SIZE], "little")
    parts, size = [held], len(held)
    while size < end:
        parts.append(next(chunks))
        size += len(parts[-1])
    held = b"".join(parts)
    return cbor2.loads(held[LENGTH_SIZE:end]), held[end:]


def chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """The one, if there is something in it, then the others."""
    if first:
        yield first
    yield from rest


def _coded(value: object) -> Iterator[bytes]:
    """CBOR (RFC 8949), value by value."""
    if isinstance(value, list):
        yield _array_head(len(value))
        for each in value:
            yield from _coded(each)
    else:
        yield cbor2.dumps(value)


def _array_head(length: int) -> bytes:
    """Section 3 of the RFC: major type 4, with the length in as few bytes as it needs."""
    if length < 24:
        return bytes([0x80 + length])
    if length < 1 << 8:
        return bytes([0x98, length])
    if length < 1 << 16:
        return b"\x99" + length.to_bytes(2, "big")
    return b"\x9a" + length.to_bytes(4, "big")
