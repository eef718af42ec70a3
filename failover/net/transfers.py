"""Messages larger than a datagram: what both ends of a transfer agree upon, and the protocols for snapshots.

A batch is one encoded message of up to 1 MiB; its chunks follow OPEN at once. A snapshot is up to 256 MiB, is
announced by a message and by the SHA-256 of its content, and waits for ACCEPT. `sending` and `receiving` have the
two ends, `arriving` what is there of one.
"""

from __future__ import annotations

import hashlib
import hmac
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
SNAPSHOTS_AT_ONCE = 2
"""Snapshots on their way in from all peers together: each may fill a temporary file. One is the rule; a second may
come from the next leader, while the last one has not been silent for long enough."""
RECEIVED_BYTES_MAX = 32 << 20
"""Chunks held in memory for unfinished transfers of all peers together."""


class SnapshotSource(Protocol):
    """The bytes of a stored snapshot, on the sending side. Must not change while it is sent."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 of all of it."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on; may raise OSError, which ends the transfer."""


class SnapshotSink(Protocol):
    """Where a snapshot goes on the receiving side, for instance a temporary file.

    It may put off its work, so that nobody waits for a disk. What fails meanwhile it raises, as OSError, at the
    next call; that ends the transfer.
    """

    @property
    def is_busy(self) -> bool:
        """Whether so much waits to be written that nothing more is to be given."""

    def write(self, offset: int, data: bytes) -> None:
        """A piece that belongs there; pieces come in any order, none twice."""

    def finish(self, digest: bytes) -> None:
        """All is there: begin to find out whether it has this SHA-256."""

    def outcome(self) -> object:
        """None as long as that is being found out; then what shall reach the driver, or False: it has another."""

    def abort(self) -> None:
        """It will never be complete: delete what was written."""


OpenSink = Callable[[MemberId, object, int], SnapshotSink | None]
"""Asked with (sender, announcing message, size); None refuses the snapshot."""


class MemorySource:
    """A snapshot in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.digest = hashlib.sha256(content).digest()

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._content)

    def read(self, offset: int, size: int) -> bytes:
        """A piece."""
        return self._content[offset : offset + size]


class MemorySink:
    """Collects a snapshot in memory; its outcome are the bytes."""

    is_busy = False

    def __init__(self) -> None:
        self._pieces: dict[int, bytes] = {}
        self._outcome: bytes | bool | None = None

    def write(self, offset: int, data: bytes) -> None:
        """A piece."""
        self._pieces[offset] = data

    def finish(self, digest: bytes) -> None:
        """Look at once."""
        content = b"".join(data for _, data in sorted(self._pieces.items()))
        is_right = hmac.compare_digest(hashlib.sha256(content).digest(), digest)
        self._outcome = content if is_right else False

    def outcome(self) -> object:
        """What was found."""
        return self._outcome

    def abort(self) -> None:
        """Forget it."""
        self._pieces.clear()


def chunk_count(size: int) -> int:
    """Chunks of equal size but the last; of an empty content, one that is empty."""
    return max(1, -(-size // CHUNK_SIZE))


def chunk_size_at(number: int, size: int) -> int:
    """How many bytes chunk `number` has, no more and no fewer."""
    return min(CHUNK_SIZE, size - number * CHUNK_SIZE)
