"""Messages larger than a datagram: what both ends of a transfer agree upon, and the protocols for snapshots.

A batch is one encoded message of up to 1 MiB; its chunks follow OPEN at once. A snapshot is up to 256 MiB, is
announced by a message, waits for ACCEPT, and is followed by the SHA-256 of its content as the last 32 bytes of
its stream. `sending` and `receiving` have the two ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from failover.ids import MemberId
from failover.net.frames import CHUNK_SIZE

BATCH_SIZE_MAX = 1 << 20
BATCHES_AT_ONCE = 4
BATCHES_WAITING_MAX = 64
BATCHES_WAITING_BYTES_MAX = 8 << 20
"""What may wait per peer behind the four under way; more is dropped, and Raft sends it again."""
BATCH_SILENCE_S = 2.0
SNAPSHOT_SIZE_MAX = 256 << 20
SNAPSHOT_SILENCE_S = 15.0
"""An unfinished transfer without a sign of life for this long is given up by both sides."""
DIGEST_SIZE = 32
RECEIVED_BYTES_MAX = 32 << 20
"""Chunks held in memory for unfinished transfers of all peers together."""


class SnapshotSource(Protocol):
    """The bytes of a stored snapshot, on the sending side. Must not change while it is sent."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; may raise OSError, which ends the transfer."""


class SnapshotSink(Protocol):
    """Where a snapshot goes on the receiving side, for instance a temporary file."""

    def write(self, data: bytes) -> None:
        """The next piece, in order; may raise OSError, which ends the transfer."""

    def finish(self) -> object:
        """All is there and the digest is right; what this returns reaches the driver."""

    def abort(self) -> None:
        """It will never be complete: delete what was written."""


OpenSink = Callable[[MemberId, object, int], SnapshotSink | None]
"""Asked with (sender, announcing message, size); None refuses the snapshot."""


class MemorySource:
    """A snapshot in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._content)

    def read(self, offset: int, size: int) -> bytes:
        """A piece."""
        return self._content[offset : offset + size]


class MemorySink:
    """Collects a snapshot in memory; `finish` returns its bytes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """The next piece."""
        self._pieces.append(data)

    def finish(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)

    def abort(self) -> None:
        """Forget it."""
        self._pieces.clear()


def stream_size(is_snapshot: bool, size: int) -> int:
    """Bytes that the chunks carry for a content of `size` bytes."""
    return size + DIGEST_SIZE if is_snapshot else size


def chunk_count(is_snapshot: bool, size: int) -> int:
    """Chunks of equal size but the last."""
    return -(-stream_size(is_snapshot, size) // CHUNK_SIZE)


def chunk_size_at(number: int, is_snapshot: bool, size: int) -> int:
    """How many bytes chunk `number` has, no more and no fewer."""
    return min(CHUNK_SIZE, stream_size(is_snapshot, size) - number * CHUNK_SIZE)
