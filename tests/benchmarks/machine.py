"""The state machine that all benchmarks replicate: the last value of each of a hundred keys, and a count."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import trio

import failover

KEYS = 100


class Store:
    """What PySyncObj's worker does too: `data[key] = value`. Keys longer than two digits hold the ballast."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.count = 0
        self.moved = trio.Event()
        """Set, and replaced, after each batch."""

    def apply(self, command: bytes, context: failover.Context) -> bytes:
        """`key=value`."""
        key, _, value = command.partition(b"=")
        self.data[key] = value
        self.count += 1
        return b"ok"

    def view(self) -> int:
        """How many commands were applied."""
        self.moved.set()
        self.moved = trio.Event()
        return self.count

    def snapshot(self) -> Iterator[bytes]:
        """All pairs; values are at most a command long."""
        return _pieces(self.count, dict(self.data))

    def restore(self, chunks: Iterable[bytes]) -> None:
        """See `snapshot`."""
        rest, held = iter(chunks), bytearray()

        def take(size: int) -> bytes:
            while len(held) < size:
                held.extend(next(rest))
            taken = bytes(held[:size])
            del held[:size]
            return taken

        self.count, self.data = int.from_bytes(take(8), "big"), {}
        pairs = int.from_bytes(take(4), "big")
        for _ in range(pairs):
            key_size, size = int.from_bytes(take(4), "big"), int.from_bytes(take(4), "big")
            key = take(key_size)
            self.data[key] = take(size)

    def digest(self) -> bytes:
        """A checksum of the hundred keys; the ballast counts by its number."""
        digest = zlib.crc32(b"%d %d" % (self.count, len(self.data)))
        for number in range(KEYS):
            digest = zlib.crc32(self.data.get(b"%02d" % number, b""), digest)
        return digest.to_bytes(4, "big")


def _pieces(count: int, data: dict[bytes, bytes]) -> Iterator[bytes]:
    yield count.to_bytes(8, "big") + len(data).to_bytes(4, "big")
    for key, value in data.items():
        yield len(key).to_bytes(4, "big") + len(value).to_bytes(4, "big") + key + value


def command(number: int, size: int) -> bytes:
    """A command of `size` bytes for one of the hundred keys."""
    return (b"%02d=" % (number % KEYS)).ljust(size, b"x")
